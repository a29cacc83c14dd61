//! Baselines on the published splits of real data, where `../shared/data` has them, beside scikit-learn 1.9.1.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Instant;

use dataset::{DataConfig, FeaturesConfig, SplitConfig, Splits};
use modeling::Task;
use modeling::baselines::{Baseline, BaselineConfig, BaselineKind, fit};
use training::metrics::{Kind, Predictions, compute_all};

/// Standardised numbers and one-hot columns, which is the default.
fn load(file: &str, target: &str, ignored: &[&str]) -> Option<Splits> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(file);
    if !path.exists() {
        println!("skipped: `{}` is not there", path.display());
        return None;
    }
    let data = DataConfig {
        path: Some(path),
        target: target.to_string(),
        ignore_columns: ignored.iter().map(|name| (*name).to_string()).collect(),
        split: SplitConfig { column: Some("split".to_string()), ..SplitConfig::default() },
        ..DataConfig::default()
    };
    Some(dataset::load(&data, &FeaturesConfig::default(), 0).unwrap())
}

/// Fitted on train rows with the given settings; the metric on test rows.
fn score(splits: &Splits, kind: BaselineKind, config: &BaselineConfig, task: Task, metric: &str) -> (Baseline, f64) {
    let (train, test) = (&splits.train, &splits.test);
    let start = Instant::now();
    let model = fit(kind, config, &train.numeric, splits.preprocessor.n_numeric(), &train.target, task, 0).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let predicted = model.predict(&test.numeric).unwrap();
    let kind_of_target = if task == Task::Regression { Kind::Regression } else { Kind::Binary };
    let metrics = compute_all(&Predictions { kind: kind_of_target, target: &test.target, predicted: &predicted });
    println!("{} in {seconds:.2} s, warnings {:?}: {metrics:?}", kind.name(), model.warnings);
    let value = metrics.iter().find(|(name, _)| *name == metric).unwrap().1;
    (model, value)
}

fn assert_near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value}, not {expected}");
}

/// DecisionTreeClassifier(max_depth=8, min_samples_leaf=20)
fn tree() -> BaselineConfig {
    BaselineConfig { max_depth: 8, min_rows_per_leaf: 20, ..Default::default() }
}

#[test]
fn adult() {
    let Some(splits) = load("adult.csv", "class", &[]) else { return };
    let config = BaselineConfig::default();
    let (_, auc) = score(&splits, BaselineKind::Dummy, &config, Task::Binary, "auc");
    assert_eq!(auc, 0.5);
    let (model, auc) = score(&splits, BaselineKind::Logistic, &config, Task::Binary, "auc");
    assert_near(auc, 0.9051, 0.0005);
    assert!(model.warnings.is_empty(), "{:?}", model.warnings);
    let (_, auc) = score(&splits, BaselineKind::DecisionTree, &tree(), Task::Binary, "auc");
    assert_near(auc, 0.9030, 0.002);
    // The class as a number: one-hot columns that sum to one.
    let (model, rmse) = score(&splits, BaselineKind::Linear, &config, Task::Regression, "rmse");
    assert_near(rmse, 0.339_488, 0.0001);
    assert_eq!(model.warnings.len(), 1);
}

#[test]
fn california() {
    let Some(splits) = load("california.csv", "MedHouseVal", &[]) else { return };
    let config = BaselineConfig::default();
    let (_, rmse) = score(&splits, BaselineKind::Linear, &config, Task::Regression, "rmse");
    assert_near(rmse, 0.7257, 0.0001);
    score(&splits, BaselineKind::ElasticNet, &config, Task::Regression, "rmse");
    let (_, r2) = score(&splits, BaselineKind::Dummy, &config, Task::Regression, "r2");
    assert!((-0.01..=0.0).contains(&r2), "{r2}");
}

#[test]
fn churn() {
    let ignored = ["RowNumber", "CustomerId", "Surname"];
    let Some(splits) = load("churn.csv", "Exited", &ignored) else { return };
    let (_, auc) = score(&splits, BaselineKind::Logistic, &BaselineConfig::default(), Task::Binary, "auc");
    assert_near(auc, 0.7661, 0.0005);
    let (_, auc) = score(&splits, BaselineKind::DecisionTree, &tree(), Task::Binary, "auc");
    assert_near(auc, 0.8300, 0.002);
}
