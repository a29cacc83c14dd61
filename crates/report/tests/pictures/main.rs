//! Every picture on normal and on hostile numbers: the files exist, decode, hold what they should, and never change.

#![allow(clippy::unwrap_used)]

mod judging;
mod search;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use ab_glyph::{Font, FontRef};
use report::{
    Band, Calibration, CalibrationBin, CalibrationCurve, ConfusionMatrix, CurvePanel, Error, ErrorByStep, FoldMetric,
    FoldScores, ForecastWindow, ForecastWindows, Importance, Interval, LearningCurves, LearningRateFinder,
    LearningRateSchedule, ModelComparison, ModelScore, PermutationImportance, Predictions, RankingCurve, RankingCurves,
    ResidualsOverTime, ScoreGroup, ScoreHistograms, Series, SeriesOverview, SeriesPanel, SeriesPart, StepErrors,
    calibration, confusion_matrix, error_by_step, fold_scores, forecast_windows, learning_curves, learning_rate_finder,
    learning_rate_schedule, model_comparison, permutation_importance, pr_curve, predicted_vs_actual, residuals,
    residuals_over_time, roc_curve, score_histograms, series_overview,
};

/// A title and a class name that XML must escape, or cannot hold at all.
const HOSTILE_TEXT: &str = "<b>&\"'\u{0}\u{7}\u{FFFE} 東京 🦀 العربية\n";
const HOSTILE_NUMBERS: [f64; 9] =
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 1e100, -1e100, 5e-324, 0.0];

/// A piece of text in an SVG: its letters, and left, top, right and bottom in pixels.
type Label = (String, [f64; 4]);

/// All text of an SVG of ours, measured with the font that the PNG is set in.
fn labels(document: &roxmltree::Document) -> Vec<Label> {
    const SUBPIXELS: f64 = 3.0;
    let regular = FontRef::try_from_slice(include_bytes!("../../fonts/Inter-Regular.otf")).unwrap();
    let bold = FontRef::try_from_slice(include_bytes!("../../fonts/Inter-Bold.otf")).unwrap();
    let label = |node: roxmltree::Node| {
        let number = |name| node.attribute(name).map_or(0.0, |v: &str| v.parse::<f64>().unwrap()) / SUBPIXELS;
        let (x, y, size) = (number("x"), number("y"), number("font-size"));
        let text = node.text().unwrap_or_default().trim().to_string();
        let font = if node.attribute("font-weight").is_some() { &bold } else { &regular };
        let advance = |c| f64::from(font.h_advance_unscaled(font.glyph_id(c)));
        let width = text.chars().map(advance).sum::<f64>() * size / f64::from(font.units_per_em().unwrap());
        let before = match node.attribute("text-anchor") {
            Some("end") => width,
            Some("middle") => width / 2.0,
            _ => 0.0,
        };
        // From the height of capitals to the baseline.
        let (top, bottom) = (0.04 * size, 0.76 * size);
        let upward = node.attribute("transform").is_some();
        let [left, right] = [-before, width - before];
        (
            text,
            if upward {
                [x + top, y - right, x + bottom, y - left]
            } else {
                [x + left, y + top, x + right, y + bottom]
            },
        )
    };
    document.descendants().filter(|n| n.has_tag_name("text")).map(label).collect()
}

/// No text leaves the picture or runs into another.
fn assert_readable(svg: &str) {
    let document = roxmltree::Document::parse(svg).unwrap();
    let root = document.root_element();
    let size = |name| root.attribute(name).unwrap().parse::<f64>().unwrap();
    let labels = labels(&document);
    for (i, (text, [left, top, right, bottom])) in labels.iter().enumerate() {
        let is_inside = *left >= 0.0 && *top >= 0.0 && *right <= size("width") && *bottom <= size("height");
        assert!(is_inside, "`{text}` leaves the picture: {left} {top} {right} {bottom}");
        for (other, [l, t, r, b]) in &labels[i + 1..] {
            let apart = r <= left || l >= right || b <= top || t >= bottom;
            assert!(apart || text.is_empty() || other.is_empty(), "`{text}` and `{other}` run into each other");
        }
    }
}

/// Checks both files and returns the text of the SVG and the size of the PNG.
fn check(stem: &Path) -> (String, (u32, u32)) {
    let svg = fs::read_to_string(format!("{}.svg", stem.display())).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let text: Vec<&str> =
        document.descendants().filter(|n| n.has_tag_name("text")).filter_map(|n| n.text()).map(str::trim).collect();
    let root = document.root_element();
    let size = |name| root.attribute(name).unwrap().parse::<u32>().unwrap();
    assert!(!svg.contains("NaN") && !svg.contains("inf\""));
    assert_readable(&svg);

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
    let curve = RankingCurve {
        class: ">50K",
        points: &points,
        area: 0.9271,
        interval: Some((0.9214, 0.9333)),
        band: None,
        base_rate: 0.24,
    };
    let spec = RankingCurves { title: "ROC", subtitle: "Adult", band_label: "", curves: vec![curve] };
    roc_curve(&spec, &folder.path().join("roc")).unwrap();
    assert_contains(&check(&folder.path().join("roc")).0, &[">50K (AUC 0.927 [0.921, 0.933])", "random (AUC 0.500)"]);
    let bytes = fs::metadata(folder.path().join("roc.svg")).unwrap().len();
    assert!(bytes < 60_000, "{bytes} bytes");
    pr_curve(&spec, &folder.path().join("pr")).unwrap();
    assert_contains(
        &check(&folder.path().join("pr")).0,
        &[">50K (AP 0.927 [0.921, 0.933], base rate 0.240)", "Recall", "Precision"],
    );
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
                interval: Some((HOSTILE_NUMBERS[(i + 1) % 9], HOSTILE_NUMBERS[(i + 2) % 9])),
                band: Some(Band { x: &HOSTILE_NUMBERS, lower: &HOSTILE_NUMBERS[..9], upper: &[0.5; 9] }),
                base_rate: HOSTILE_NUMBERS[(i + 4) % 9],
            };
            let curves = (0..classes).map(curve).collect();
            let spec = RankingCurves { title: HOSTILE_TEXT, subtitle: "", band_label: HOSTILE_TEXT, curves };
            roc_curve(&spec, &stem).unwrap();
            let (text, _) = check(&stem);
            assert_eq!(text.contains("16 others"), classes == 26);
            pr_curve(&spec, &stem).unwrap();
            check(&stem);
        }
    }
}

#[test]
fn bands_are_drawn_and_named_and_must_have_one_length() {
    let folder = folder();
    let stem = folder.path().join("pr");
    let (x, lower) = ([0.0, 0.25, 0.5, 1.0], [0.7, 0.6, 0.5, 0.1]);
    let curve = |upper| RankingCurve {
        class: "a class with a name that goes on, and on, and on, until it takes the whole line",
        points: &[(0.0, 1.0), (0.5, 0.8), (1.0, 0.2)],
        area: 0.75,
        interval: Some((0.7, 0.8)),
        band: Some(Band { x: &x, lower: &lower, upper }),
        base_rate: 0.2,
    };
    let spec = |upper, count: usize| RankingCurves {
        title: "PR",
        subtitle: "",
        band_label: "95% interval",
        curves: (0..count).map(|_| curve(upper)).collect(),
    };
    for count in [1, 2, 3, 4] {
        pr_curve(&spec(&[0.9, 0.9, 0.8, 0.3], count), &stem).unwrap();
        assert_contains(&check(&stem).0, &["… (AP 0.750 [0.700, 0.800]", "95% interval"]);
        let svg = fs::read_to_string(stem.with_extension("svg")).unwrap();
        assert_eq!(svg.matches("<polygon").count(), if count <= 3 { count } else { 0 });
    }
    let error = pr_curve(&spec(&[0.9], 1), &folder.path().join("other")).unwrap_err();
    assert_contains(&error.to_string(), &["`pr_curve`", "4 x, 4 lower and 1 upper values"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
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
        let (text, _) = check(&stem);
        assert_contains(&text, &["Predicted value (USD)", "Residual (actual − predicted)", "Rows", "mean ", ", SD "]);
        assert_contains(&text, &["Normal Q-Q plot", "Quantile of the normal distribution"]);
        assert_eq!(text.contains("10th and 90th percentile"), rows >= 100);
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

const LONG_NAME: &str = "workclass=Self-employed-not-inc or without pay, never worked, unknown";

#[test]
fn calibration_shows_errors_intervals_and_counts() {
    let folder = folder();
    let stem = folder.path().join("calibration");
    let bin = |i: u32| {
        let (low, middle) = (f64::from(i) / 10.0, f64::from(i) / 10.0 + 0.05);
        let interval = Some((middle - 0.03, middle + 0.04));
        CalibrationBin {
            low,
            high: low + 0.1,
            predicted: middle,
            observed: middle,
            interval,
            count: u64::from(i) * 900,
        }
    };
    let bins: Vec<CalibrationBin> = (0..10).map(bin).collect();
    for curves in [1, 2, 3, 4, 10, 30] {
        let curve = |i: usize| CalibrationCurve { class: LONG_NAME, bins: &bins, ece: 0.0123 + 0.001 * i as f64 };
        let spec = Calibration {
            title: "Calibration",
            subtitle: "test",
            interval_label: "95% Wilson interval",
            curves: (0..curves).map(curve).collect(),
        };
        calibration(&spec, &stem).unwrap();
        let (text, _) = check(&stem);
        assert_contains(&text, &["Calibration", "test", "perfectly calibrated", "Rows", "5,000", "(ECE 0.0"]);
        assert_contains(&text, &["Mean predicted probability", "Observed share of positives"]);
        assert_eq!(text.contains("95% Wilson interval"), curves <= 3);
        assert_eq!(text.contains("(ECE 0.012)"), curves <= 10, "the worst are named");
        assert_eq!(text.contains("20 others (ECE ≤ 0.031)"), curves == 30);
    }
}

#[test]
fn calibration_takes_any_numbers() {
    let folder = folder();
    let stem = folder.path().join("calibration");
    let bin = |i: usize| {
        let number = |shift: usize| HOSTILE_NUMBERS[(i + shift) % 9];
        let interval = Some((number(4), number(5)));
        let count = [0, 1, u64::MAX][i % 3];
        CalibrationBin { low: number(0), high: number(1), predicted: number(2), observed: number(3), interval, count }
    };
    let all: Vec<CalibrationBin> = (0..27).map(bin).collect();
    for bins in [&[], &all[..1], &all[..]] {
        for curves in [0, 1, 26] {
            let curve = |i: usize| CalibrationCurve { class: HOSTILE_TEXT, bins, ece: HOSTILE_NUMBERS[i % 9] };
            let curves = (0..curves).map(curve).collect();
            let spec = Calibration { title: HOSTILE_TEXT, subtitle: "", interval_label: HOSTILE_TEXT, curves };
            calibration(&spec, &stem).unwrap();
            assert!(bins.len() > 1 || check(&stem).0.contains("no data"));
        }
    }
}

fn histograms<'a>(first: &'a [f64], second: &'a [f64]) -> ScoreHistograms<'a> {
    ScoreHistograms {
        title: "Scores",
        subtitle: "test",
        score: "Predicted probability of >50K",
        groups: vec![ScoreGroup { name: "no", scores: first }, ScoreGroup { name: LONG_NAME, scores: second }],
        threshold: Some(0.5),
    }
}

#[test]
fn score_histograms_show_groups_and_the_threshold() {
    let folder = folder();
    let stem = folder.path().join("scores");
    let many: Vec<f64> = (0..300_000).map(|i| (f64::from(i) * 0.37).sin().abs()).collect();
    score_histograms(&histograms(&[0.25], &many), &stem).unwrap();
    let (text, size) = check(&stem);
    assert_eq!(size.0, 1400);
    assert_contains(&text, &["no (1 row, mean 0.250)", "(300,000 rows, mean 0.637)", "threshold 0.5"]);
    assert_contains(&text, &["Predicted probability of >50K", "% of the group's rows", "100"]);
    let inputs: [&[f64]; 5] = [&[], &[f64::NAN], &HOSTILE_NUMBERS, &[1.0], &[-1.0, 2.0]];
    for scores in inputs {
        score_histograms(&histograms(scores, &[]), &stem).unwrap();
        let (text, _) = check(&stem);
        let is_empty = !scores.iter().any(|v| (0.0..=1.0).contains(v));
        assert_eq!((text.contains("no data"), text.contains("threshold")), (is_empty, !is_empty), "{scores:?}");
    }
    let none = ScoreHistograms { groups: vec![], title: HOSTILE_TEXT, score: HOSTILE_TEXT, ..histograms(&[], &[]) };
    score_histograms(&none, &stem).unwrap();
    assert_contains(&check(&stem).0, &["no data"]);
}

fn importances<'a>(features: &'a [Importance<'a>]) -> PermutationImportance<'a> {
    let (title, subtitle) = ("Importance", "test");
    PermutationImportance { title, subtitle, metric: "RMSE (100,000 USD)", lower_is_better: true, features }
}

#[test]
fn permutation_importance_shows_the_top_and_counts_the_rest() {
    let folder = folder();
    let stem = folder.path().join("importance");
    let all = names(1_000, "feature_");
    let feature = |(i, feature): (usize, &'_ String)| (feature.clone(), 0.05 - i as f64 * 0.0001);
    let values: Vec<(String, f64)> = all.iter().enumerate().map(feature).collect();
    for (count, rest) in
        [(1, None), (20, None), (105, Some("and 85 more, each at most 0.048")), (1_000, Some("and 980 more"))]
    {
        // Reversed: the order given must not matter.
        let features: Vec<Importance> = values[..count]
            .iter()
            .rev()
            .map(|(feature, mean)| Importance { feature, mean: *mean, spread: 0.002 })
            .collect();
        permutation_importance(&importances(&features), &stem).unwrap();
        let (text, size) = check(&stem);
        assert_contains(&text, &["Importance", "feature_0", "0.0500", "± 0.0020"]);
        assert_contains(&text, &["Increase of RMSE (100,000 USD) when the feature is shuffled"]);
        assert!(!text.contains("feature_20"));
        assert!(size.1 < 1300, "{size:?}");
        assert_eq!(rest.is_some(), text.contains("more"));
        assert_contains(&text, &[rest.unwrap_or("")]);
    }
}

#[test]
fn permutation_importance_takes_any_numbers() {
    let folder = folder();
    let stem = folder.path().join("importance");
    let feature = |feature, mean, spread| Importance { feature, mean, spread };
    let hostile: Vec<Importance> =
        (0..81).map(|i| feature(HOSTILE_TEXT, HOSTILE_NUMBERS[i % 9], HOSTILE_NUMBERS[i / 9])).collect();
    let negative = [feature("noise", -0.01, 0.002), feature(LONG_NAME, -0.02, f64::NAN)];
    let zero = [feature("a", 0.0, 0.0), feature("b", -0.0, 0.0)];
    let tiny = [feature("a", 3e-12, 1e-13), feature("b", -1e-12, 0.0)];
    for features in [&[], &hostile[..], &negative, &zero, &tiny, &[feature("x", f64::NAN, 1.0)]] {
        permutation_importance(&importances(features), &stem).unwrap();
        let (text, _) = check(&stem);
        assert_eq!(text.contains("no data"), features.iter().all(|f| f.mean.is_nan()));
    }
    assert_contains(&check(&stem).0, &["and 1 more without a value"]);
    permutation_importance(&importances(&negative), &stem).unwrap();
    assert_contains(&check(&stem).0, &["−0.0100", "± 0.0020", "workclass=Self"]);
}

fn schedule(rates: &[f64]) -> LearningRateSchedule<'_> {
    let (title, subtitle) = ("Learning rate", "warm-up, then cosine");
    LearningRateSchedule { title, subtitle, rates, steps_per_epoch: Some(100), warmup: 500, best_epoch: Some(20) }
}

#[test]
fn learning_rate_schedules_show_warm_up_and_best_epoch() {
    let folder = folder();
    let stem = folder.path().join("rate");
    let rates: Vec<f64> = (0..300_000)
        .map(f64::from)
        .map(|i| if i < 500.0 { (i + 1.0) / 5e5 } else { 1e-3 * (1.0 - (i - 500.0) / 3e5) + 1e-6 })
        .collect();
    learning_rate_schedule(&schedule(&rates), &stem).unwrap();
    let (text, _) = check(&stem);
    assert_contains(&text, &["highest: 0.001", "at step 501", "warm-up: 500 steps", "best epoch: 20", "last: 2.6"]);
    assert_contains(&text, &["optimizer step (100 per epoch)", "Learning rate", "1e−5", "0.001", "300,000"]);
    let per_epoch =
        LearningRateSchedule { steps_per_epoch: None, warmup: 1, best_epoch: Some(9), ..schedule(&[0.1; 8]) };
    learning_rate_schedule(&per_epoch, &stem).unwrap();
    let (text, _) = check(&stem);
    assert_contains(&text, &["epoch", "warm-up: 1 epoch", "highest: 0.1 at epoch 1", "last: 0.1"]);
    assert!(!text.contains("best epoch"), "{text}");
    let inputs: [&[f64]; 6] = [&[], &[0.5], &[0.0; 3], &[f64::NAN; 4], &HOSTILE_NUMBERS, &[1e-300, 1e-12, 1e90]];
    for rates in inputs {
        for (best_epoch, steps_per_epoch) in [(Some(0), None), (Some(1), Some(0)), (Some(usize::MAX), Some(2))] {
            let spec = LearningRateSchedule { best_epoch, steps_per_epoch, warmup: 2, ..schedule(rates) };
            learning_rate_schedule(&spec, &stem).unwrap();
        }
        assert_eq!(check(&stem).0.contains("no data"), rates.iter().all(|v| v.is_nan()));
    }
}

fn finder<'a>(rates: &'a [f64], losses: &'a [f64], smoothed: &'a [f64]) -> LearningRateFinder<'a> {
    let (title, subtitle, suggestion) = ("Learning rate finder", "test", Some(0.003));
    LearningRateFinder { title, subtitle, loss: "Log loss", rates, losses, smoothed, suggestion }
}

#[test]
fn learning_rate_finder_marks_the_suggestion() {
    let folder = folder();
    let stem = folder.path().join("finder");
    let rates: Vec<f64> = (0..80).map(|i| 1e-6 * 10f64.powf(f64::from(i) / 10.0)).collect();
    let smoothed: Vec<f64> = rates.iter().map(|r| 0.7 - 0.3 * r / (r + 1e-3) + (r * 5.0).powi(4)).collect();
    let losses: Vec<f64> = smoothed.iter().enumerate().map(|(i, l)| l + 0.02 * (i as f64).sin()).collect();
    learning_rate_finder(&finder(&rates, &losses, &smoothed), &stem).unwrap();
    let (text, _) = check(&stem);
    let parts = ["smoothed loss", "loss of each batch", "suggested: 0.003", "Log loss", "1e−4", "0.01", "0.6"];
    assert_contains(&text, &parts);
    assert!(!text.contains("10,000"), "the explosion does not stretch the axis: {text}");
    learning_rate_finder(&finder(&rates, &losses, &[]), &stem).unwrap();
    assert!(!check(&stem).0.contains("smoothed"));

    let pairs: Vec<(f64, f64)> = HOSTILE_NUMBERS.iter().flat_map(|x| HOSTILE_NUMBERS.map(|y| (*x, y))).collect();
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    let inputs: [(&[f64], &[f64]); 5] =
        [(&[], &[]), (&[0.1], &[f64::NAN]), (&x, &y), (&[0.1], &[1.0]), (&[1e-3, 1e-2, 1e-1], &[0.5; 3])];
    for (rates, losses) in inputs {
        for smoothed in [losses, &[]] {
            learning_rate_finder(&finder(rates, losses, smoothed), &stem).unwrap();
            assert_eq!(check(&stem).0.contains("no data"), rates.is_empty() || losses[0].is_nan() && rates.len() == 1);
        }
    }
    let error = learning_rate_finder(&finder(&x, &y, &[1.0]), &stem).unwrap_err();
    assert_contains(&error.to_string(), &["`learning_rate_finder`", "81 rates, but 81 losses and 1 smoothed ones"]);
}

fn comparison<'a>(models: &'a [ModelScore<'a>]) -> ModelComparison<'a> {
    let (title, subtitle, metric, lower_is_better) = ("Models", "test", "RMSE", true);
    ModelComparison { title, subtitle, metric, lower_is_better, interval_label: "95% interval", models }
}

#[test]
fn model_comparison_puts_the_best_on_top() {
    let folder = folder();
    let stem = folder.path().join("models");
    let score =
        |name, value| ModelScore { name, value, interval: Some((value - 0.02, value + 0.03)), highlight: false };
    let own = ModelScore { highlight: true, ..score("MLP", 0.4712) };
    let models = [score("linear", 0.7257), score("failed", f64::NAN), own, score(LONG_NAME, 0.55)];
    model_comparison(&comparison(&models), &stem).unwrap();
    let (text, _) = check(&stem);
    assert_contains(&text, &["RMSE (lower is better)", "95% interval", "0.4712", "[0.4512, 0.5012]", "n/a"]);
    let position = |name: &str| text.find(name).unwrap();
    assert!(position("MLP") < position("workclass=") && position("workclass=") < position("linear"), "{text}");
    assert!(position("linear") < position("failed"), "{text}");
    let higher = ModelComparison { lower_is_better: false, ..comparison(&models) };
    model_comparison(&higher, &stem).unwrap();
    let (text, _) = check(&stem);
    assert!(text.find("linear") < text.find("MLP") && text.contains("(higher is better)"), "{text}");

    let hostile = |i: usize| ModelScore {
        name: HOSTILE_TEXT,
        value: HOSTILE_NUMBERS[i % 9],
        interval: Some((HOSTILE_NUMBERS[i / 9], HOSTILE_NUMBERS[(i + 5) % 9])),
        highlight: i.is_multiple_of(2),
    };
    let hostile: Vec<ModelScore> = (0..81).map(hostile).collect();
    let (same, big) = ([score("a", 1.0), score("b", 1.0)], [score("a", 3e12), score("b", -7e12)]);
    for models in [&[], &hostile[..], &hostile[..1], &same, &big] {
        model_comparison(&comparison(models), &stem).unwrap();
        let (text, _) = check(&stem);
        assert_eq!((text.contains("no data"), text.contains("and 41 more")), (models.is_empty(), models.len() == 81));
    }
}

fn folds<'a>(metrics: &'a [FoldMetric<'a>]) -> FoldScores<'a> {
    FoldScores { title: "Cross-validation", subtitle: "5 folds", metrics }
}

#[test]
fn fold_scores_show_mean_and_spread() {
    let folder = folder();
    let stem = folder.path().join("folds");
    let metric = |name, values, mean, sd| FoldMetric { name, lower_is_better: false, values, mean, sd };
    let values = [0.91, 0.92, 0.905, 0.915, 0.9];
    let metrics = [metric("ROC AUC", &values, 0.91, 0.0079), metric(LONG_NAME, &values[..3], 0.9117, f64::NAN)];
    fold_scores(&folds(&metrics), &stem).unwrap();
    let (text, _) = check(&stem);
    assert_contains(&text, &["ROC AUC (higher is better)", "0.9100 ± 0.0079", "0.9117", "fold 1", "fold 5", "mean"]);
    let many = [0.5; 60];
    for values in [&[], &[f64::NAN][..], &[1.0], &HOSTILE_NUMBERS, &many] {
        for (mean, sd) in HOSTILE_NUMBERS.iter().flat_map(|mean| HOSTILE_NUMBERS.map(|sd| (*mean, sd))).step_by(41) {
            let metrics = [metric(HOSTILE_TEXT, values, mean, sd), metric("m", &[1e-9], 1e-9, 0.0)];
            fold_scores(&folds(&metrics), &stem).unwrap();
            let (text, _) = check(&stem);
            assert_eq!(text.contains("no data"), values.iter().all(|v| v.is_nan()));
            assert_eq!(text.contains("one of 60 folds"), values.len() == 60);
        }
    }
    fold_scores(&folds(&[]), &stem).unwrap();
    assert_contains(&check(&stem).0, &["no data"]);
}

/// 2016-07-01 00:00.
const START: f64 = 1_467_331_200.0;

fn hours(count: usize) -> Vec<f64> {
    (0..count).map(|i| START + 3_600.0 * i as f64).collect()
}

fn overview<'a>(panels: &'a [SeriesPanel<'a>]) -> SeriesOverview<'a> {
    SeriesOverview { title: "Series", subtitle: "hourly", panels }
}

fn parts<'a>(times: &[f64]) -> Vec<SeriesPart<'a>> {
    let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize];
    let ends = [("train", 0.0, 0.7), ("valid", 0.7, 0.8), ("test", 0.8, 1.0)];
    ends.map(|(name, start, end)| SeriesPart { name, start: at(start), end: at(end) }).into()
}

#[test]
fn series_overview_shows_parts_and_counts_gaps() {
    let folder = folder();
    let stem = folder.path().join("series");
    let times = hours(50_000);
    let mut values: Vec<f64> = (0..50_000).map(|i| 3_000.0 + 2_000.0 * (i as f64 * 0.26).sin()).collect();
    values[10_000..12_000].fill(f64::NAN);
    values[30_000] = f64::NAN;
    let gaps = [(times[10_000], times[11_999]), (times[30_000], times[30_000])];
    let parts = parts(&times);
    let panel = |name| SeriesPanel { name, times: &times, values: &values, parts: &parts, gaps: &gaps };
    for count in [1, 2, 40] {
        let panels: Vec<SeriesPanel> = (0..count).map(|i| panel(if i == 0 { LONG_NAME } else { "traffic" })).collect();
        series_overview(&overview(&panels), &stem).unwrap();
        let (text, size) = check(&stem);
        assert_eq!(size.0, 1600);
        assert_contains(&text, &["Series", "hourly", "workclass", "train 2016-07-01", "2 gaps", "2018", "valid"]);
        assert_contains(&text, &["50,000 steps, 2,001 without a value"]);
        assert_eq!(text.contains("and 32 more, not drawn"), count == 40);
        assert_eq!(text.matches("steps").count(), count.min(8));
    }
    // As wide as its pixels, however long it is.
    series_overview(&overview(&[panel("traffic")]), &stem).unwrap();
    let bytes = fs::metadata(stem.with_extension("svg")).unwrap().len();
    assert!(bytes < 150_000, "{bytes} bytes");
    let svg = fs::read_to_string(stem.with_extension("svg")).unwrap();
    let color = "stroke=\"#0072B2\"";
    assert_eq!(svg.matches(color).count(), 2, "broken at the long gap, and not at the one below a pixel");
}

#[test]
fn series_overview_takes_any_numbers() {
    let folder = folder();
    let stem = folder.path().join("series");
    let hostile: Vec<f64> = HOSTILE_NUMBERS.iter().flat_map(|_| HOSTILE_NUMBERS).collect();
    let shifted: Vec<f64> = (0..81).map(|i| HOSTILE_NUMBERS[i / 9]).collect();
    let part = |i: usize| SeriesPart { name: HOSTILE_TEXT, start: hostile[i], end: shifted[i] };
    let (all_parts, gaps) =
        ((0..81).map(part).collect::<Vec<_>>(), hostile.iter().copied().zip(shifted.iter().copied()));
    let gaps: Vec<(f64, f64)> = gaps.collect();
    let twenty = hours(20);
    let alternating: Vec<f64> = (0..20).map(|i| if i % 2 == 0 { 1.0 } else { f64::NAN }).collect();
    let inputs: [(&[f64], &[f64]); 7] = [
        (&[], &[]),
        (&[START], &[1.0]),
        (&[START; 2], &[1.0, 2.0]),
        (&twenty, &[f64::NAN; 20]),
        (&twenty, &alternating),
        (&twenty, &[5.0; 20]),
        (&shifted, &hostile),
    ];
    for (times, values) in inputs {
        for (parts, gaps) in [(&all_parts[..0], &gaps[..0]), (&all_parts[..], &gaps[..])] {
            let panel = || SeriesPanel { name: HOSTILE_TEXT, times, values, parts, gaps };
            series_overview(&overview(&[panel(), panel()]), &stem).unwrap();
            let is_empty = !values.iter().any(|value| value.is_finite() && value.abs() <= 1e100);
            assert_eq!(check(&stem).0.contains("no data"), is_empty, "{values:?}");
        }
    }
    series_overview(&overview(&[]), &stem).unwrap();
    assert_contains(&check(&stem).0, &["no data"]);
    let bad = SeriesPanel { name: "OT", times: &twenty, values: &[1.0], parts: &[], gaps: &[] };
    let error = series_overview(&overview(&[bad]), &stem).unwrap_err();
    assert_contains(&error.to_string(), &["`series_overview`", "`OT` has 20 times, but 1 values"]);
}

fn windows<'a>(panels: &'a [ForecastWindow<'a>]) -> ForecastWindows<'a> {
    ForecastWindows { title: "Forecasts", subtitle: "test", interval_label: "90% interval", panels }
}

#[test]
fn forecast_windows_show_history_truth_and_interval() {
    let folder = folder();
    let stem = folder.path().join("windows");
    for (horizon, lookback) in [(1, 336), (24, 168), (96, 336), (720, 336), (12, 0)] {
        let times = hours(lookback + horizon);
        let values: Vec<f64> = (0..times.len()).map(|i| 10.0 + (i as f64 * 0.26).sin()).collect();
        let [forecast, lower, upper] =
            [0.3, -0.9, 1.1].map(|by| -> Vec<f64> { values[lookback..].iter().map(|value| value + by).collect() });
        let panel = |title, with_truth: bool| ForecastWindow {
            title,
            target: LONG_NAME,
            history_times: &times[..lookback],
            history: &values[..lookback],
            times: &times[lookback..],
            actual: if with_truth { &values[lookback..] } else { &[] },
            forecast: &forecast,
            interval: with_truth.then_some(Interval { lower: &lower, upper: &upper }),
        };
        for count in if horizon == 24 { vec![1, 3, 20] } else { vec![3] } {
            let panels: Vec<ForecastWindow> = (0..count).map(|_| panel("median window, MAE 0.3", true)).collect();
            forecast_windows(&windows(&panels), &stem).unwrap();
            let (text, size) = check(&stem);
            assert_eq!(size.0, 1600);
            assert_contains(&text, &["actual", "forecast", "start of the forecast", "90% interval", "workclass"]);
            assert_contains(&text, &["Jul", ", 2016"][..usize::from(horizon > 24)]);
            assert_eq!(text.contains("history"), lookback > 0);
            assert_eq!(text.matches("median window").count(), count.min(12));
            assert_eq!(text.contains("and 8 more, not drawn"), count == 20);
        }
        // The real future.
        forecast_windows(&windows(&[panel(LONG_NAME, false)]), &stem).unwrap();
        let (text, _) = check(&stem);
        assert!(!text.contains("actual") && !text.contains("interval") && text.contains("forecast"));
    }
}

#[test]
fn forecast_windows_take_any_numbers() {
    let folder = folder();
    let stem = folder.path().join("windows");
    let hostile: Vec<f64> = HOSTILE_NUMBERS.iter().flat_map(|_| HOSTILE_NUMBERS).collect();
    let shifted: Vec<f64> = (0..81).map(|i| HOSTILE_NUMBERS[i / 9]).collect();
    let twenty = hours(20);
    let inputs: [(&[f64], &[f64], &[f64]); 5] = [
        (&[], &[], &[]),
        (&[START], &[1.0], &[f64::NAN]),
        (&twenty, &[f64::NAN; 20], &[f64::INFINITY; 20]),
        (&twenty, &[5.0; 20], &[5.0; 20]),
        (&shifted, &hostile, &shifted),
    ];
    for (times, values, bounds) in inputs {
        let panel = ForecastWindow {
            title: HOSTILE_TEXT,
            target: HOSTILE_TEXT,
            history_times: times,
            history: bounds,
            times,
            actual: values,
            forecast: values,
            interval: Some(Interval { lower: bounds, upper: values }),
        };
        forecast_windows(&windows(&[panel]), &stem).unwrap();
        let is_empty = !values.iter().any(|value| value.is_finite() && value.abs() <= 1e100);
        assert_eq!(check(&stem).0.contains("no data"), is_empty, "{values:?}");
    }
    forecast_windows(&windows(&[]), &stem).unwrap();
    assert_contains(&check(&stem).0, &["no data"]);

    let good = ForecastWindow {
        title: "w",
        target: "y",
        history_times: &twenty[..5],
        history: &[1.0; 5],
        times: &twenty[..3],
        actual: &[1.0; 3],
        forecast: &[1.0; 3],
        interval: None,
    };
    let short = Some(Interval { lower: &[1.0; 3], upper: &[1.0; 2] });
    for (panel, problem) in [
        (ForecastWindow { history: &[1.0], ..good }, "1 history values, but 5 times"),
        (ForecastWindow { actual: &[1.0], ..good }, "3 times, but 3 forecasts and 1 actual values"),
        (ForecastWindow { forecast: &[], ..good }, "3 times, but 0 forecasts and 3 actual values"),
        (ForecastWindow { interval: short, ..good }, "3 times, but 3 lower and 2 upper bounds"),
    ] {
        let error = forecast_windows(&windows(&[panel]), &stem).unwrap_err();
        assert_contains(&error.to_string(), &["`forecast_windows`", "`w` has", problem]);
    }
}

fn by_step<'a>(models: &'a [StepErrors<'a>]) -> ErrorByStep<'a> {
    let step = "step of the horizon (1 hour each)";
    ErrorByStep { title: "Error by step", subtitle: "test", metric: "MAE (vehicles per hour)", step, models }
}

#[test]
fn error_by_step_names_the_model_and_its_baselines() {
    let folder = folder();
    let stem = folder.path().join("steps");
    for steps in [1, 12, 96, 720] {
        let errors = |factor: f64| -> Vec<f64> { (1..=steps).map(|step| factor * (step as f64).sqrt()).collect() };
        let (own, naive, wide) = (errors(100.0), errors(150.0), errors(9_000.0));
        let model = |name, values, highlight| StepErrors { name, values, highlight };
        let models = [model("seasonal naive", &naive, false), model("MLP", &own, true), model(LONG_NAME, &own, false)];
        error_by_step(&by_step(&models), &stem).unwrap();
        let (text, size) = check(&stem);
        assert_eq!(size.0, 1600);
        assert_contains(
            &text,
            &["MLP (mean ", "seasonal naive (mean ", "MAE (vehicles per hour)", "step of the horizon"],
        );
        error_by_step(&by_step(&[model("MLP", &own, true), model("far off", &wide, false)]), &stem).unwrap();
        assert_contains(&check(&stem).0, &["far off (mean ", "\n1,000\n"]);
        let many: Vec<StepErrors> = (0..30).map(|i| model(LONG_NAME, &wide, i == 29)).collect();
        error_by_step(&by_step(&many), &stem).unwrap();
        assert_contains(&check(&stem).0, &["20 others"]);
    }
    let inputs: [&[f64]; 5] = [&[], &[f64::NAN; 3], &HOSTILE_NUMBERS, &[0.0; 4], &[1e-300, 1e90]];
    for values in inputs {
        let models = [StepErrors { name: HOSTILE_TEXT, values, highlight: true }];
        error_by_step(&by_step(&models), &stem).unwrap();
        assert_eq!(check(&stem).0.contains("no data"), values.iter().all(|value| value.is_nan()));
    }
    error_by_step(&by_step(&[]), &stem).unwrap();
    assert_contains(&check(&stem).0, &["no data"]);
}

fn timed<'a>(times: &'a [f64], actual: &'a [f64], predicted: &'a [f64]) -> ResidualsOverTime<'a> {
    let (title, subtitle, target) = ("Residuals over time", "test", LONG_NAME);
    ResidualsOverTime { title, subtitle, target, times, actual, predicted }
}

#[test]
fn residuals_over_time_follow_the_calendar() {
    let folder = folder();
    let stem = folder.path().join("residuals");
    for (step, count, expected) in [
        (3_600.0, 200_000, vec!["By hour of the day", "By weekday", "Mon", "21"]),
        (86_400.0, 900, vec!["By weekday", "By month", "Dec"]),
        (2_629_800.0, 144, vec!["By month"]),
        (31_557_600.0, 30, vec!["Over time"]),
    ] {
        let times: Vec<f64> = (0..count).map(|i| START + step * f64::from(i % 5_000)).collect();
        let actual: Vec<f64> = (0..count).map(|i| f64::from(i % 97)).collect();
        let predicted: Vec<f64> = (0..count).map(|i| f64::from(i % 89)).collect();
        residuals_over_time(&timed(&times, &actual, &predicted), &stem).unwrap();
        let (text, size) = check(&stem);
        assert_eq!(size.0, 1600);
        assert_contains(&text, &expected);
        assert_contains(&text, &["Actual − predicted", "mean", "middle 80%", "workclass"]);
        assert_eq!(text.contains("By weekday"), (3_600.0..1e6).contains(&step));
    }
    let (x, y): (Vec<f64>, Vec<f64>) = HOSTILE_NUMBERS.iter().flat_map(|x| HOSTILE_NUMBERS.map(|y| (*x, y))).unzip();
    let reversed: Vec<f64> = y.iter().rev().copied().collect();
    let inputs: [(&[f64], &[f64]); 5] =
        [(&[], &[]), (&[START], &[1.0]), (&[START; 3], &[1.0; 3]), (&[START], &[f64::NAN]), (&x, &y)];
    for (times, actual) in inputs {
        let predicted = if actual.len() == 81 { &reversed[..] } else { actual };
        residuals_over_time(&timed(times, actual, predicted), &stem).unwrap();
        assert_eq!(check(&stem).0.contains("no data"), actual.iter().all(|value| value.is_nan()));
    }
    let error = residuals_over_time(&timed(&x, &y, &[]), &stem).unwrap_err();
    assert_contains(&error.to_string(), &["`residuals_over_time`", "81 times, but 81 actual values and 0 predicted"]);
}

fn read_both(stem: &Path) -> Vec<u8> {
    [".png", ".svg"].map(|suffix| fs::read(format!("{}{suffix}", stem.display())).unwrap()).concat()
}

#[test]
fn equal_input_gives_equal_bytes() {
    let folder = folder();
    let values: Vec<f64> = (0..300).map(|i| f64::from(i).sin()).collect();
    let draw = |name: &str| {
        let stem = folder.path().join(name);
        learning_curves(&curves("Curves", &values, &values, Some(9)), &stem).unwrap();
        let mut bytes = read_both(&stem);
        residuals(&predictions(&values, &values), &stem).unwrap();
        bytes.extend(read_both(&stem));
        score_histograms(&histograms(&values, &values), &stem).unwrap();
        bytes.extend(read_both(&stem));
        let (times, parts) = (hours(300), parts(&hours(300)));
        let panel = SeriesPanel { name: "y", times: &times, values: &values, parts: &parts, gaps: &[] };
        series_overview(&overview(&[panel]), &stem).unwrap();
        bytes.extend(read_both(&stem));
        bytes
    };
    assert_eq!(draw("first"), draw("second"));
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_nothing_is_left() {
    let folder = folder();
    let stem = folder.path().join("missing").join("roc");
    let spec = RankingCurves { title: "", subtitle: "", band_label: "", curves: vec![] };
    let error = roc_curve(&spec, &stem).unwrap_err();
    assert_contains(&error.to_string(), &["missing", "roc.png`"]);

    fs::create_dir(folder.path().join("roc.png")).unwrap();
    let error = roc_curve(&spec, &folder.path().join("roc")).unwrap_err();
    assert!(matches!(error, Error::Write { .. }));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["roc.png"]);
}
