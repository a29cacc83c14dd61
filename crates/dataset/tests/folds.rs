//! Cross-validation and groups.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;

use dataset::*;

/// 120 rows, 24 shops of 5 rows, every third row of class `a`; `x` is the row number but missing in row 1.
fn shops() -> (tempfile::TempDir, DataConfig) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shops.csv");
    let mut text = "shop,x,town,y\n".to_string();
    for row in 0..120 {
        let x = if row == 1 { String::new() } else { row.to_string() };
        text += &format!("s{},{x},t{},{}\n", row / 5, row % 7, if row % 3 == 0 { "a" } else { "b" });
    }
    fs::write(&path, text).unwrap();
    let id_columns = vec!["shop".to_string()];
    (folder, DataConfig { path: Some(path), target: "y".to_string(), id_columns, ..DataConfig::default() })
}

fn open(data: &DataConfig) -> Source {
    Source::open(data, &FeaturesConfig::default(), 3).unwrap()
}

fn shops_of(rows: &[u32]) -> BTreeSet<u32> {
    rows.iter().map(|row| row / 5).collect()
}

#[test]
fn folds_leave_the_test_part_alone() {
    let (_folder, data) = shops();
    let source = open(&data);
    let test = load(&data, &FeaturesConfig::default(), 3).unwrap().test;
    let folds =
        source.folds(&CrossValidationConfig { folds: 4, repeats: 2, ..CrossValidationConfig::default() }).unwrap();
    assert_eq!(folds.len(), 8);
    for fold in &folds {
        let splits = source.fold(fold).unwrap();
        assert_eq!((splits.train.n_rows(), splits.valid.n_rows()), (72, 24));
        assert_eq!((splits.test.n_rows(), splits.test_table.n_rows()), (0, 0), "folds compare settings");
        assert!(fold.train.iter().chain(&fold.valid).all(|row| !test.row_numbers.contains(row)));
        assert_eq!(splits.valid.row_numbers, fold.valid);
        assert_eq!(splits.info.parts[1].class_counts, [8, 16], "a third of class `a`");
    }
    assert_eq!((folds[5].repeat, folds[5].fold), (2, 2));
    let unstratified = CrossValidationConfig { folds: 4, stratify: false, ..CrossValidationConfig::default() };
    assert_ne!(source.folds(&unstratified).unwrap()[0].valid, folds[0].valid);
}

/// The mean that `x` is scaled by must be the one of the fold's own train rows.
#[test]
fn each_fold_is_fitted_on_its_own_train_rows() {
    let (_folder, data) = shops();
    let source = open(&data);
    let mut means = BTreeSet::new();
    for fold in source.folds(&CrossValidationConfig::default()).unwrap() {
        let known: Vec<f64> = fold.train.iter().filter(|&&row| row != 1).map(|&row| f64::from(row)).collect();
        let mut sorted = known.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let median = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
        let n = fold.train.len() as f64;
        let expected = (known.iter().sum::<f64>() + if fold.train.contains(&1) { median } else { 0.0 }) / n;
        let splits = source.fold(&fold).unwrap();
        let Encoder::Numeric { scaler, .. } = &splits.preprocessor.inputs[0].encoder else { panic!("x is numeric") };
        let Scaler::Standard { mean, .. } = scaler else { panic!("standard is the default") };
        assert!((mean - expected).abs() < 1e-9, "{mean} is not {expected}");
        means.insert(mean.to_bits());
    }
    assert_eq!(means.len(), 5, "every fold has its own");
}

#[test]
fn groups_stay_in_one_part_and_one_fold() {
    let (_folder, mut data) = shops();
    data.split.group = Some("shop".to_string());
    let source = open(&data);
    let splits = load(&data, &FeaturesConfig::default(), 3).unwrap();
    let parts = [&splits.train, &splits.valid, &splits.test].map(|part| shops_of(&part.row_numbers));
    assert_eq!(parts.iter().map(BTreeSet::len).sum::<usize>(), 24, "no shop is in two parts");
    assert_eq!([splits.train.n_rows(), splits.valid.n_rows(), splits.test.n_rows()], [70, 25, 25]);
    for group in [None, Some("shop".to_string())] {
        let config = CrossValidationConfig { folds: 3, repeats: 2, group, ..CrossValidationConfig::default() };
        for fold in source.folds(&config).unwrap() {
            assert!(shops_of(&fold.train).is_disjoint(&shops_of(&fold.valid)));
            assert!((30..=35).contains(&fold.valid.len()), "{}", fold.valid.len());
        }
    }
}

#[test]
fn mistakes_are_named() {
    let (_folder, data) = shops();
    let message = |data: &DataConfig, change: fn(&mut CrossValidationConfig)| {
        let mut config = CrossValidationConfig::default();
        change(&mut config);
        open(data).folds(&config).unwrap_err().to_string()
    };
    let found = [
        message(&data, |cv| cv.folds = 1),
        message(&data, |cv| cv.repeats = 0),
        message(&data, |cv| cv.folds = 33),
        message(&data, |cv| (cv.folds, cv.stratify) = (97, false)),
        message(&data, |cv| cv.group = Some("shpo".into())),
        message(&data, |cv| cv.group = Some("town".into())),
        message(&data, |cv| cv.group = Some("y".into())),
        message(&data, |cv| cv.group = Some("shop".into())),
        message(
            &DataConfig { split: SplitConfig { group: Some("shop".into()), ..SplitConfig::default() }, ..data.clone() },
            |cv| {
                cv.folds = 20;
            },
        ),
    ];
    let expected = [
        "`cv.folds`: `1` folds leave no rows to train on",
        "`cv.repeats`: it must be at least 1",
        "has 32 rows of class `a` beside the test part, fewer than the 33 folds of `cv.folds`",
        "has 96 rows beside the test part, fewer than the 97 folds of `cv.folds`; lower `cv.folds`",
        "no column `shpo` (named in `cv.group`); did you mean `shop`?",
        "column `town` is named in `cv.group`, so it cannot be a feature too; list it in `data.id_columns`",
        "column `y` is the target",
        "of `shop` are in the test part and in others, so the test would not be fair; set `data.split.group: shop`",
        "groups in `shop`, fewer than the 20 folds",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found}\nlacks\n{expected}");
    }
}
