//! Cross-validation, baselines and ensembles: runs inside a run.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::fs;

use support::{SHORT, Workdir};
use tracking::{RunData, RunStatus};

fn children<'a>(runs: &'a [RunData], parent: &str) -> Vec<&'a RunData> {
    let mut children: Vec<&RunData> =
        runs.iter().filter(|run| run.tags.get("mlflow.parentRunId").is_some_and(|id| id == parent)).collect();
    children.sort_by(|a, b| a.info.name.cmp(&b.info.name));
    children
}

#[test]
fn folds_are_nested_runs_and_the_parent_has_mean_and_spread() {
    let dir = Workdir::new();
    let cv = ["--set", "baselines=[]", "--set", "cv.folds=3", "--set", "cv.repeats=2", "--json"];
    let finished = dir.run(&[&cv[..], &SHORT].concat()).ok();
    let runs = dir.all_runs();
    let parent_id = finished.json()["run_id"].as_str().unwrap().to_owned();
    let parent = runs.iter().find(|run| run.info.run_id == parent_id).unwrap();
    let folds = children(&runs, &parent_id);
    assert_eq!(folds.len(), 6);
    assert_eq!(runs.len(), 7);
    for fold in &folds {
        assert_eq!(fold.info.status, RunStatus::Finished);
        assert_eq!(fold.inputs.len(), 1, "which rows it has learnt from");
        assert!(fold.info.name.starts_with("fold ") && fold.info.name.contains("repeat"), "{}", fold.info.name);
        assert!(fold.metrics.contains_key("val_auc") && !fold.metrics.contains_key("test_auc"), "test stays aside");
    }
    // Each fold's score is that of its best epoch.
    let scores: Vec<f64> = folds.iter().map(|fold| fold.metrics["best_val_loss"].value).collect();
    let mean = scores.iter().sum::<f64>() / 6.0;
    let std = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / 5.0).sqrt();
    assert!((parent.metrics["cv_loss_mean"].value - mean).abs() < 1e-6, "{scores:?}");
    assert!((parent.metrics["cv_loss_std"].value - std).abs() < 1e-6, "{scores:?}");
    assert!(parent.metrics.contains_key("test_auc"), "the parent trains on the run's own split");
    let outputs = dir.path(finished.json()["outputs"].as_str().unwrap());
    assert_eq!(fs::read_to_string(outputs.join("cv_results.csv")).unwrap().lines().count(), 7);
    assert!(outputs.join("plots/cross_validation.png").exists());
}

#[test]
fn baselines_stand_beside_the_network() {
    let dir = Workdir::new();
    let args = ["--set", "baselines=[dummy, logistic, decision_tree]"];
    let finished = dir.run(&[&args[..], &SHORT].concat()).ok();
    for name in ["mlp", "dummy", "logistic", "decision_tree"] {
        assert!(finished.stdout.contains(name), "{}", finished.stdout);
    }
    let runs = dir.all_runs();
    assert_eq!(runs.len(), 4);
    let parent = runs.iter().find(|run| !run.tags.contains_key("mlflow.parentRunId")).unwrap();
    let nested = children(&runs, &parent.info.run_id);
    assert_eq!(nested.len(), 3);
    let dummy = nested.iter().find(|run| run.tags["model_type"] == "dummy").unwrap();
    assert_eq!(dummy.metrics["test_auc"].value, 0.5, "it cannot tell one row from another");
    let logistic = nested.iter().find(|run| run.tags["model_type"] == "logistic").unwrap();
    assert!(logistic.metrics["test_auc"].value > 0.8);
    assert_eq!(parent.metrics["baseline_logistic_test_auc"].value, logistic.metrics["test_auc"].value);
    let outputs = dir.path("models/tabular_mlp_baseline");
    assert!(outputs.join(&parent.info.run_id).join("plots/model_comparison.png").exists());
    assert!(outputs.join(&logistic.info.run_id).join("model/baseline.json").exists());
}

#[test]
fn a_baseline_that_cannot_do_the_task_is_left_out_by_name() {
    let dir = Workdir::new();
    let finished = dir.run(&[&["--set", "baselines=[linear, dummy]"][..], &SHORT].concat()).ok();
    assert!(
        finished.stderr.contains("no `linear` for this kind of target; there are dummy, logistic"),
        "{}",
        finished.stderr
    );
    assert_eq!(dir.all_runs().len(), 2);
    let misspelt = dir.run(&[&["--set", "baselines=[logistik]"][..], &SHORT].concat());
    assert_eq!(misspelt.code, 2);
    assert!(misspelt.stderr.contains("logistic"), "{}", misspelt.stderr);
}

#[test]
fn a_baseline_that_fails_does_not_fail_the_run() {
    let dir = Workdir::new();
    let rows: String = (0..9000).map(|row| format!("v{},{}\n", row % 3000, row % 2)).collect();
    dir.write("wide.csv", format!("x,y\n{rows}"));
    let args = ["--csv-path", "wide.csv", "--target-column", "y", "--set", "baselines=[logistic]"];
    let finished = dir.run(&[&args[..], &SHORT].concat()).ok();
    assert!(finished.stderr.contains("features.max_categories"), "{}", finished.stderr);
    let runs = dir.all_runs();
    let baseline = runs.iter().find(|run| run.tags["model_type"] == "logistic").unwrap();
    assert_eq!(baseline.info.status, RunStatus::Failed);
    assert_eq!(dir.runs()[0].info.status, RunStatus::Finished);
}

#[test]
fn an_ensemble_is_one_model_of_averaged_probabilities() {
    let dir = Workdir::new();
    let finished = dir.run(&[&["--set", "baselines=[]", "--set", "ensemble=3", "--json"][..], &SHORT].concat()).ok();
    let runs = dir.all_runs();
    assert_eq!(runs.len(), 4);
    let seeds: Vec<&str> = runs.iter().filter_map(|run| run.params.get("seed")).map(String::as_str).collect();
    for seed in ["42000", "42001", "42002"] {
        assert!(seeds.contains(&seed), "{seeds:?}");
    }
    let outputs = dir.path(finished.json()["outputs"].as_str().unwrap());
    let bundle: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(outputs.join("model/bundle.json")).unwrap()).unwrap();
    let weights = bundle["weights"].as_array().unwrap();
    assert_eq!(weights.len(), 3);
    assert!(weights.iter().all(|file| outputs.join("model").join(file.as_str().unwrap()).exists()));
    // Averaging probabilities cannot be worse than the mean of the members' log losses (Jensen).
    let parent_id = finished.json()["run_id"].as_str().unwrap().to_owned();
    let members = children(&runs, &parent_id);
    let mean = members.iter().map(|run| run.metrics["best_val_loss"].value).sum::<f64>() / 3.0;
    let ensemble = finished.json()["metrics"]["val_log_loss"].as_f64().unwrap();
    assert!(ensemble <= mean + 1e-6, "{ensemble} > {mean}");
}
