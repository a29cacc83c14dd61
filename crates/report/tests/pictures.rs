//! Every picture on normal and on hostile numbers: the files exist, decode, hold what they should, and never change.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use report::{
    ConfusionMatrix, CurvePanel, Error, LearningCurves, Predictions, RankingCurve, RankingCurves, Series,
    confusion_matrix, learning_curves, pr_curve, predicted_vs_actual, residuals, roc_curve,
};

/// A title and a class name that XML must escape, or cannot hold at all.
const HOSTILE_TEXT: &str = "<b>&\"'\u{0}\u{7}\u{FFFE} 東京 🦀 العربية\n";
const HOSTILE_NUMBERS: [f64; 9] =
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 1e100, -1e100, 5e-324, 0.0];

/// Checks both files and returns the text of the SVG and the size of the PNG.
fn check(stem: &Path) -> (String, (u32, u32)) {
    let svg = fs::read_to_string(format!("{}.svg", stem.display())).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let text: Vec<&str> =
        document.descendants().filter(|n| n.is_text()).filter_map(|n| n.text()).map(str::trim).collect();
    let root = document.root_element();
    let size = |name| root.attribute(name).unwrap().parse::<u32>().unwrap();
    assert!(!svg.contains("NaN") && !svg.contains("inf\""));

    let file = fs::File::open(format!("{}.png", stem.display())).unwrap();
    let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (size("width"), size("height")));
    let mut colors = HashSet::new();
    let is_drawn_on = pixels.chunks(3).any(|pixel| colors.insert(pixel) && colors.len() > 20);
    assert!(is_drawn_on, "only {} colours", colors.len());
    assert!(!fs::exists(format!("{}.png.tmp", stem.display())).unwrap());
    (text.join("\n"), (info.width, info.height))
}

fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn curves<'a>(title: &'a str, train: &'a [f64], val: &'a [f64], best_epoch: Option<usize>) -> LearningCurves<'a> {
    let series = |name, values| Series { name, values };
    LearningCurves {
        title,
        subtitle: "run 1",
        panels: vec![
            CurvePanel { label: "Loss", series: vec![series("train", train), series("val", val)], log_if_wide: false },
            CurvePanel { label: "Rate", series: vec![series("Rate", train)], log_if_wide: true },
        ],
        best_epoch,
        best_series: "val",
        planned_epochs: 100,
    }
}

#[test]
fn learning_curves_name_the_best_epoch_and_the_early_stop() {
    let folder = folder();
    let stem = folder.path().join("curves.fold-1");
    let train: Vec<f64> = (1..=60).map(|e| 10f64.powf(-f64::from(e) / 20.0)).collect();
    let val: Vec<f64> = (1..=60).map(|e| 0.3 + (f64::from(e) - 40.0).powi(2) / 1e4).collect();
    learning_curves(&curves("Learning curves", &train, &val, Some(40)), &stem).unwrap();
    let (text, size) = check(&stem);
    assert_eq!(size.0, 1600);
    let parts = ["Learning curves", "run 1", "train", "val", "Loss", "best epoch: 40", "epoch 40: 0.3"];
    assert_contains(&text, &parts);
    assert_contains(&text, &["stopped early after epoch 60 of 100", "epoch", "0.001", "0.01", "0.1"]);
}

#[test]
fn learning_curves_take_any_numbers() {
    let folder = folder();
    let stem = folder.path().join("curves");
    let long: Vec<f64> = (0..5_000).map(|i| f64::from(i % 17)).collect();
    let inputs: [&[f64]; 6] = [&[], &[0.5], &[3.0, 3.0, 3.0], &[f64::NAN; 4], &HOSTILE_NUMBERS, &long];
    for values in inputs {
        for best in [None, Some(1), Some(usize::MAX)] {
            learning_curves(&curves(HOSTILE_TEXT, values, &[1.0], best), &stem).unwrap();
            check(&stem);
        }
        learning_curves(&curves("", &[], values, Some(2)), &stem).unwrap();
        let (text, _) = check(&stem);
        let is_empty = values.is_empty() || values.iter().all(|v| v.is_nan());
        assert_eq!(text.matches("no data").count(), if is_empty { 2 } else { 1 }, "{values:?}");
    }
    let none = LearningCurves { panels: vec![], ..curves("None", &[], &[], None) };
    learning_curves(&none, &stem).unwrap();
    assert_contains(&check(&stem).0, &["None", "no data"]);
}

#[test]
fn long_curves_stay_small() {
    let folder = folder();
    let points: Vec<(f64, f64)> = (0..=16_000).map(|i| f64::from(i) / 16_000.0).map(|x| (x, x.powf(0.2))).collect();
    let curve = RankingCurve { class: ">50K", points: &points, area: 0.9271, base_rate: 0.24 };
    let spec = RankingCurves { title: "ROC", subtitle: "Adult", curves: vec![curve] };
    roc_curve(&spec, &folder.path().join("roc")).unwrap();
    assert_contains(&check(&folder.path().join("roc")).0, &[">50K (AUC 0.927)", "random (AUC 0.500)"]);
    let bytes = fs::metadata(folder.path().join("roc.svg")).unwrap().len();
    assert!(bytes < 60_000, "{bytes} bytes");
    pr_curve(&spec, &folder.path().join("pr")).unwrap();
    assert_contains(&check(&folder.path().join("pr")).0, &[">50K (AP 0.927, base rate 0.240)", "Recall", "Precision"]);
}

#[test]
fn ranking_curves_take_any_numbers_and_many_classes() {
    let folder = folder();
    let stem = folder.path().join("roc");
    let hostile: Vec<(f64, f64)> = HOSTILE_NUMBERS.iter().flat_map(|x| HOSTILE_NUMBERS.map(|y| (*x, y))).collect();
    let inputs: [&[(f64, f64)]; 5] = [&[], &[(0.5, 0.5)], &[(f64::NAN, 0.0)], &hostile, &[(0.0, 0.0), (1.0, 1.0)]];
    for points in inputs {
        for classes in [0, 1, 26] {
            let curve = |i: usize| RankingCurve {
                class: HOSTILE_TEXT,
                points,
                area: HOSTILE_NUMBERS[i % 9],
                base_rate: HOSTILE_NUMBERS[(i + 4) % 9],
            };
            let spec = RankingCurves { title: HOSTILE_TEXT, subtitle: "", curves: (0..classes).map(curve).collect() };
            roc_curve(&spec, &stem).unwrap();
            let (text, _) = check(&stem);
            assert_eq!(text.contains("16 others"), classes == 26);
            pr_curve(&spec, &stem).unwrap();
            check(&stem);
        }
    }
}

fn names(count: usize, name: &str) -> Vec<String> {
    (0..count).map(|i| format!("{name}{i}")).collect()
}

#[test]
fn confusion_matrix_shows_counts_and_shares() {
    let folder = folder();
    let stem = folder.path().join("confusion");
    let classes = ["no".to_string(), "yes".to_string()];
    let counts = [vec![11_500, 935], vec![0, 0]];
    let spec = ConfusionMatrix { title: "Confusion", subtitle: "test", classes: &classes, counts: &counts };
    confusion_matrix(&spec, &stem).unwrap();
    let (text, _) = check(&stem);
    assert_contains(&text, &["Confusion", "test", "no", "yes", "11,500", "92.5%", "935", "7.5%", "Predicted class"]);
}

#[test]
fn confusion_matrix_takes_any_size_and_names() {
    let folder = folder();
    let stem = folder.path().join("confusion");
    for size in [0, 1, 2, 7, 30, 120] {
        for (name, count) in [("c", 0), (HOSTILE_TEXT, 7), ("a class with a name that goes on, and on", u64::MAX)] {
            let (classes, counts) = (names(size, name), vec![vec![count; size]; size]);
            let spec = ConfusionMatrix { title: "Confusion", subtitle: "", classes: &classes, counts: &counts };
            confusion_matrix(&spec, &stem).unwrap();
            let (text, (width, height)) = check(&stem);
            assert!((400..=2400).contains(&width) && (300..=2400).contains(&height), "{size}: {width}x{height}");
            assert_eq!(text.contains("no data"), size == 0);
        }
    }
}

#[test]
fn confusion_matrix_refuses_a_matrix_that_is_not_square() {
    let folder = folder();
    let classes = names(2, "c");
    for counts in [vec![vec![1, 2]], vec![vec![1, 2], vec![3]], vec![vec![1, 2, 3], vec![4, 5, 6]]] {
        let spec = ConfusionMatrix { title: "", subtitle: "", classes: &classes, counts: &counts };
        let error = confusion_matrix(&spec, &folder.path().join("confusion")).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }));
        assert_contains(&error.to_string(), &["`confusion_matrix`", "2 class names"]);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn predictions<'a>(actual: &'a [f64], predicted: &'a [f64]) -> Predictions<'a> {
    let scores = &[("RMSE", 0.4712), ("R²", f64::NAN)];
    Predictions { title: "Predictions", subtitle: "test", target: "value (USD)", actual, predicted, scores }
}

#[test]
fn regression_pictures_show_scores_and_units() {
    let folder = folder();
    for rows in [40, 4_128, 20_000] {
        let actual: Vec<f64> = (0..rows).map(|i| f64::from(i % 500) * 1000.0).collect();
        let predicted: Vec<f64> = actual.iter().enumerate().map(|(i, a)| a + 1000.0 * (i as f64).sin()).collect();
        let stem = folder.path().join("predicted");
        predicted_vs_actual(&predictions(&actual, &predicted), &stem).unwrap();
        let (text, _) = check(&stem);
        assert_contains(&text, &["Predictions", "test", "Actual value (USD)", "RMSE", "0.4712", "n/a"]);
        assert_eq!(text.contains("rows per bin"), rows > 5_000);
        let stem = folder.path().join("residuals");
        residuals(&predictions(&actual, &predicted), &stem).unwrap();
        assert_contains(&check(&stem).0, &["Predicted value (USD)", "Residual (actual − predicted)", "Rows"]);
    }
}

#[test]
fn regression_pictures_take_any_numbers() {
    let folder = folder();
    let stem = folder.path().join("picture");
    let pairs: Vec<(f64, f64)> = HOSTILE_NUMBERS.iter().flat_map(|x| HOSTILE_NUMBERS.map(|y| (*x, y))).collect();
    // Reversed, this gives every pair again.
    let hostile: Vec<f64> = pairs.iter().map(|p| p.0).chain(pairs.iter().map(|p| p.1)).collect();
    let (many, same) = (hostile.repeat(200), vec![7.0; 6_000]);
    let inputs: [&[f64]; 7] = [&[], &[1.0], &[2.0, 2.0], &[f64::NAN], &hostile, &many, &same];
    for actual in inputs {
        let reversed: Vec<f64> = actual.iter().rev().copied().collect();
        predicted_vs_actual(&predictions(actual, &reversed), &stem).unwrap();
        assert_eq!(check(&stem).0.contains("no data"), actual.iter().all(|v| v.is_nan()));
        residuals(&predictions(actual, &reversed), &stem).unwrap();
        check(&stem);
    }
    let error = residuals(&predictions(&[1.0], &[]), &stem).unwrap_err();
    assert_contains(&error.to_string(), &["`residuals`", "1 actual values, but 0 predicted ones"]);
}

#[test]
fn equal_input_gives_equal_bytes() {
    let folder = folder();
    let values: Vec<f64> = (0..300).map(|i| f64::from(i).sin()).collect();
    let draw = |name: &str| {
        let stem = folder.path().join(name);
        learning_curves(&curves("Curves", &values, &values, Some(9)), &stem).unwrap();
        [".png", ".svg"].map(|suffix| fs::read(format!("{}{suffix}", stem.display())).unwrap())
    };
    assert_eq!(draw("first"), draw("second"));
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_nothing_is_left() {
    let folder = folder();
    let stem = folder.path().join("missing").join("roc");
    let spec = RankingCurves { title: "", subtitle: "", curves: vec![] };
    let error = roc_curve(&spec, &stem).unwrap_err();
    assert_contains(&error.to_string(), &["missing", "roc.png`"]);

    fs::create_dir(folder.path().join("roc.png")).unwrap();
    let error = roc_curve(&spec, &folder.path().join("roc")).unwrap_err();
    assert!(matches!(error, Error::Write { .. }));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["roc.png"]);
}
