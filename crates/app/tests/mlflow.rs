//! The program against the real MLflow: a server of two generations, and the embedded file shared with Python.
//!
//! `MLFLOW_PYTHON` and `MLFLOW2_PYTHON` name Pythons that have MLflow; without them the tests say that they were skipped.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

#[path = "../../tracking/tests/support/server.rs"]
mod server;
mod support;

use std::fs;
use std::process::Command;

use server::Server;
use support::{SHORT, Workdir};
use tracking::{ArtifactsOf, HttpOptions, ModelStatus, RestStore, RunQuery, RunStatus, Store};

#[test]
fn logs_to_the_newest_server() {
    logs_to_a_server("MLFLOW_PYTHON");
}

#[test]
fn logs_to_a_2x_server() {
    logs_to_a_server("MLFLOW2_PYTHON");
}

fn logs_to_a_server(variable: &str) {
    let dir = Workdir::new();
    let destination = dir.path("server_artifacts").display().to_string();
    let Some(server) = Server::start(variable, dir.folder.path(), &["--artifacts-destination", &destination]) else {
        return;
    };
    let output =
        dir.command(&[&["--json"], &SHORT[..]].concat()).env("MLFLOW_TRACKING_URI", &server.uri).output().unwrap();
    let finished = support::Finished::from(output).ok();
    assert!(
        finished.stderr.contains("🏃 View run tabular_mlp__dataset=wine_quality__seed=42 at: "),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains(&format!("🧪 View experiment at: {}/#/experiments/", server.uri)),
        "{}",
        finished.stderr
    );
    assert!(!dir.path("mlflow.db").exists(), "nothing goes to the embedded store");

    let store = RestStore::new(&server.uri, &HttpOptions::default()).unwrap();
    let experiment = store.experiment_by_name("tabular_mlp_baseline").unwrap().unwrap();
    let query = RunQuery {
        experiment_ids: vec![experiment.experiment_id],
        filter: "metrics.test_auc > 0.5 and params.seed = '42' and tags.model_type = 'tabular_mlp'".to_owned(),
        ..RunQuery::default()
    };
    let runs = store.search_runs(&query).unwrap().items;
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    assert_eq!(run.info.status, RunStatus::Finished);
    assert_eq!(run.info.run_id, finished.json()["run_id"]);
    let logged = finished.json()["metrics"]["test_auc"].as_f64().unwrap();
    assert_eq!(run.metrics["test_auc"].value, logged, "to the last bit");
    let steps: Vec<i64> =
        store.metric_history(&run.info.run_id, "val_auc").unwrap().iter().map(|point| point.step).collect();
    assert_eq!(steps, [1, 2, 3]);
    assert_eq!(run.inputs[0].dataset.name, "wine_quality");
    let of_run = ArtifactsOf::Run(&run.info.run_id);
    for (folder, file) in [("plots", "plots/roc.png"), ("predictions", "predictions/test_predictions.csv")] {
        let found = store.list_artifacts(of_run, folder).unwrap();
        assert!(found.iter().any(|artifact| artifact.path == file && artifact.bytes > Some(0)), "{file}: {found:?}");
    }
    // The model: a logged one, or with MLflow 2 a folder of the run.
    let folder = dir.path("fetched model");
    assert!(tracking::download(&store, &format!("runs:/{}/model", run.info.run_id), &folder).unwrap() >= 5);
    let local = dir.path(finished.json()["outputs"].as_str().unwrap()).join("model/model.safetensors");
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), fs::read(local).unwrap());
    let Ok(models) = store.logged_models() else {
        assert!(!store.list_artifacts(of_run, "model").unwrap().is_empty());
        return;
    };
    assert!(store.list_artifacts(of_run, "model").unwrap().is_empty(), "not twice");
    let run = store.run(&run.info.run_id).unwrap();
    assert_eq!(run.outputs.len(), 1);
    let model = models.get(&run.outputs[0].model_id).unwrap();
    assert_eq!((model.name.as_str(), model.model_type.as_str()), ("model", "tabular_mlp"));
    assert_eq!((model.status, model.source_run_id.as_deref()), (ModelStatus::Ready, Some(run.info.run_id.as_str())));
    for (param, value) in [("dataset_name", "wine_quality"), ("n_params", run.params["n_params"].as_str())] {
        assert_eq!(model.params[param], value);
    }
    let point = model.metrics.iter().find(|point| point.metric.key == "test_auc").unwrap();
    assert_eq!((point.metric.value, point.dataset.as_ref().unwrap().name.as_str()), (logged, "wine_quality"));
    assert!(model.metrics.iter().any(|point| point.metric.key == "val_auc"));
}

/// Python opens the file that the program made (and migrates it), reads everything, writes a run; the program goes on.
#[test]
fn python_and_the_program_share_one_file() {
    let Ok(python) = std::env::var("MLFLOW_PYTHON") else {
        println!("SKIPPED: MLFLOW_PYTHON is not set");
        return;
    };
    let dir = Workdir::new();
    let finished = dir.run(&[&["--json"], &SHORT[..]].concat()).ok();
    let script = r#"
import json, mlflow
client = mlflow.MlflowClient()                      # no address: the default, which is our file
experiment = client.get_experiment_by_name("tabular_mlp_baseline")
run = client.search_runs([experiment.experiment_id], "metrics.test_auc > 0.5 and tags.model_type = 'tabular_mlp'")[0]
mlflow.set_experiment("tabular_mlp_baseline")
with mlflow.start_run(run_name="python"):
    mlflow.log_param("seed", 1)
    mlflow.log_metric("test_auc", 0.75, step=1)
    mlflow.log_text("hello", "notes/hello.txt")
print(json.dumps({
    "run_id": run.info.run_id, "status": run.info.status, "test_auc": run.data.metrics["test_auc"],
    "epochs": [m.step for m in client.get_metric_history(run.info.run_id, "val_loss")],
    "dataset": run.inputs.dataset_inputs[0].dataset.name, "params": len(run.data.params),
    "artifacts": sorted(f.path for f in client.list_artifacts(run.info.run_id)),
    "predictions": open(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="predictions/test_predictions.csv")).readline(),
}))
"#;
    let mut command = Command::new(python);
    let output =
        command.args(["-c", script]).current_dir(dir.folder.path()).env_remove("MLFLOW_TRACKING_URI").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["run_id"], finished.json()["run_id"]);
    assert_eq!(seen["status"], "FINISHED");
    assert_eq!(seen["test_auc"], finished.json()["metrics"]["test_auc"]);
    assert_eq!(seen["epochs"], serde_json::json!([1, 2, 3]));
    assert_eq!(seen["dataset"], "wine_quality");
    assert!(seen["params"].as_u64().unwrap() > 30);
    let folders = [
        "classification_report.txt",
        "configs",
        "data_digest.txt",
        "data_report.html",
        "data_report.json",
        "data_report.md",
        "extra_artifacts",
        "feature_importance.csv",
        "logs",
        "model_summary.txt",
        "models",
        "nested_runs.json",
        "plots",
        "predictions",
        "training_history.csv",
    ];
    assert_eq!(seen["artifacts"], serde_json::json!(folders));
    assert!(seen["predictions"].as_str().unwrap().trim_end().ends_with("y_test,y_pred,y_proba"));

    dir.run(&SHORT).ok();
    let names: Vec<String> = dir.runs().into_iter().map(|run| run.info.name).collect();
    let own = "tabular_mlp__dataset=wine_quality__seed=42";
    assert_eq!(names, [own, "python", own], "newest first");
}
