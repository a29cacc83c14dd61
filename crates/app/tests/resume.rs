//! A run that was stopped goes on as if nothing had happened.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::Workdir;
use tracking::{RunStatus, Store};

/// Dropout, batch norm, weight averaging and a schedule with a memory: all that a resumed run could forget.
const CONFIG: [&str; 16] = [
    "--set",
    "baselines=[]",
    "--epochs",
    "24",
    "--set",
    "training.early_stopping.patience=0",
    "--set",
    "model.norm=batch",
    "--set",
    "training.ema_decay=0.9",
    "--set",
    "training.schedule=reduce_on_plateau",
    "--set",
    "training.schedule_options.plateau_patience=1",
    "--set",
    "training.accumulate_batches=2",
];

fn output_folder(json: &serde_json::Value, dir: &Workdir) -> PathBuf {
    dir.path(json["outputs"].as_str().unwrap())
}

/// The only run's output folder.
fn only_folder(dir: &Workdir) -> PathBuf {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(dir.path("models/tabular_mlp_baseline")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders.remove(0)
}

/// The history without the columns that measure time.
fn history(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("training_history.csv")).unwrap();
    let without_times = |line: &str| line.rsplitn(3, ',').last().unwrap().to_owned();
    text.lines().map(without_times).collect()
}

/// Names and bytes of everything that must not depend on whether the run was stopped.
fn results(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = [
        "models/tabular_mlp_best.safetensors",
        "models/tabular_mlp_last.safetensors",
        "model/model.safetensors",
        "predictions/test_predictions.csv",
    ];
    names.iter().map(|name| ((*name).to_owned(), fs::read(folder.join(name)).unwrap())).collect()
}

/// Waits until the checkpoint has been written `times` times.
fn wait_for_checkpoints(dir: &Workdir, times: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut seen = Vec::new();
    while seen.len() < times {
        assert!(Instant::now() < deadline, "no checkpoint");
        let experiment = dir.path("models/tabular_mlp_baseline");
        let run = fs::read_dir(experiment).ok().and_then(|mut runs| runs.next()).and_then(Result::ok);
        let written = run.and_then(|run| fs::metadata(run.path().join("models/checkpoint.bin")).ok()?.modified().ok());
        if let Some(written) = written.filter(|written| seen.last() != Some(written)) {
            seen.push(written);
        }
        sleep(Duration::from_millis(1));
    }
}

/// The uninterrupted run.
fn reference() -> (Workdir, PathBuf) {
    let dir = Workdir::new();
    let finished = dir.run(&[&CONFIG[..], &["--json"]].concat()).ok();
    let folder = output_folder(&finished.json(), &dir);
    (dir, folder)
}

#[test]
fn a_killed_run_goes_on_bit_for_bit_in_the_same_run() {
    let (reference_dir, reference) = reference();
    let dir = Workdir::new();
    let mut program = dir.command(&CONFIG).spawn().unwrap();
    wait_for_checkpoints(&dir, 3);
    // On Unix this is SIGKILL: nothing is flushed, nothing is said to the store.
    program.kill().unwrap();
    program.wait().unwrap();

    let folder = only_folder(&dir);
    let run_id = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let killed = dir.store().run(&run_id).unwrap();
    assert_eq!(killed.info.status, RunStatus::Running, "nobody could say that it was killed");
    assert!(!folder.join("model/model.safetensors").exists(), "killed before its end");

    // By id, although the folder is on this machine.
    let finished = dir.run(&["--resume", &run_id, "--json"]).ok();
    assert_eq!(finished.json()["run_id"], *run_id);
    assert!(finished.stderr.contains("going on after epoch"), "{}", finished.stderr);
    assert_eq!(results(&folder), results(&reference));
    assert_eq!(history(&folder), history(&reference));

    // Every epoch stands in the store once, with the metrics of the run that was never stopped.
    let (store, reference_store) = (dir.store(), reference_dir.store());
    let reference_id = reference.file_name().unwrap().to_str().unwrap();
    assert_eq!(store.run(&run_id).unwrap().info.status, RunStatus::Finished);
    for metric in ["val_loss", "val_auc", "learning_rate", "best_val_loss", "test_auc"] {
        let points = |store: &dyn Store, run: &str| -> Vec<(i64, u64)> {
            store.metric_history(run, metric).unwrap().iter().map(|point| (point.step, point.value.to_bits())).collect()
        };
        assert_eq!(points(&store, &run_id), points(&reference_store, reference_id), "{metric}");
    }
}

#[test]
fn an_interrupted_run_goes_on_from_its_folder_without_tracking() {
    let (_dir, reference) = reference();
    let dir = Workdir::new();
    let mut program = dir.command(&[&CONFIG[..], &["--no-mlflow"]].concat()).spawn().unwrap();
    wait_for_checkpoints(&dir, 2);
    let status = std::process::Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap();
    assert!(status.success());
    assert_eq!(program.wait().unwrap().code(), Some(130));
    let folder = only_folder(&dir);
    dir.run(&["--resume", folder.to_str().unwrap()]).ok();
    assert_eq!(results(&folder), results(&reference));
    assert_eq!(history(&folder), history(&reference));
}

#[test]
fn a_finished_run_can_be_given_more_epochs() {
    let dir = Workdir::new();
    let constant = ["--set", "training.schedule=constant", "--set", "training.early_stopping.patience=0", "--json"];
    let short = dir.run(&[&constant[..], &["--epochs", "3"]].concat()).ok().json();
    let folder = output_folder(&short, &dir);
    let run_id = short["run_id"].as_str().unwrap();
    let longer = dir.run(&["--resume", folder.to_str().unwrap(), "--epochs", "6", "--json"]).ok().json();
    assert_eq!(longer["run_id"], run_id);
    assert_eq!(longer["epochs"], 6);
    let at_once = dir.run(&[&constant[..], &["--epochs", "6"]].concat()).ok().json();
    assert_eq!(results(&folder), results(&output_folder(&at_once, &dir)));
    let run = dir.store().run(run_id).unwrap();
    assert_eq!(run.params["training.epochs"], "3", "MLflow keeps a param as it was first logged");
    assert_eq!(run.tags["resumed.training.epochs"], "6");
    assert_eq!(dir.store().metric_history(run_id, "val_loss").unwrap().len(), 6);
}

#[test]
fn a_run_goes_on_from_the_artifacts_of_another_machine() {
    let (_dir, reference) = reference();
    let dir = Workdir::new();
    let mut program = dir.command(&CONFIG).spawn().unwrap();
    wait_for_checkpoints(&dir, 2);
    std::process::Command::new("kill").args(["-TERM", &program.id().to_string()]).status().unwrap();
    program.wait().unwrap();
    let folder = only_folder(&dir);
    let run_id = folder.file_name().unwrap().to_str().unwrap().to_owned();
    fs::remove_dir_all(dir.path("models")).unwrap();
    dir.run(&["--resume", &run_id]).ok();
    assert_eq!(results(&folder), results(&reference));
}

#[test]
fn members_of_an_ensemble_that_are_done_are_not_trained_again() {
    let ensemble = [&CONFIG[..], &["--set", "ensemble=3"]].concat();
    let reference_dir = Workdir::new();
    let reference = reference_dir.run(&[&ensemble[..], &["--json"]].concat()).ok();
    let reference = output_folder(&reference.json(), &reference_dir);
    let dir = Workdir::new();
    let mut program = dir.command(&ensemble).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let done = |dir: &Workdir| {
        let runs = fs::read_dir(dir.path("models/tabular_mlp_baseline")).into_iter().flatten().flatten();
        runs.filter(|run| run.path().join("result.json").exists()).count()
    };
    while done(&dir) == 0 {
        assert!(Instant::now() < deadline, "no member was done");
        sleep(Duration::from_millis(1));
    }
    program.kill().unwrap();
    program.wait().unwrap();
    let runs = fs::read_dir(dir.path("models/tabular_mlp_baseline")).unwrap();
    let parent = runs.map(|run| run.unwrap().path()).find(|run| run.join("nested_runs.json").exists()).unwrap();
    let finished = dir.run(&["--resume", parent.to_str().unwrap(), "--json"]).ok();
    assert!(finished.stderr.contains("member 1 of 3: done before"), "{}", finished.stderr);
    for file in ["model/model_1.safetensors", "model/model_3.safetensors", "predictions/test_predictions.csv"] {
        assert_eq!(fs::read(parent.join(file)).unwrap(), fs::read(reference.join(file)).unwrap(), "{file}");
    }
    let runs = dir.all_runs();
    assert_eq!(runs.len(), 4, "the parent and its three members, none of them twice");
    assert!(runs.iter().all(|run| run.info.status == RunStatus::Finished));
}

#[test]
fn what_cannot_be_resumed_is_refused_before_anything_is_written() {
    let dir = Workdir::new();
    let started = dir.run(&["--epochs", "2", "--set", "training.warmup_epochs=0", "--json"]).ok().json();
    let run_id = started["run_id"].as_str().unwrap();
    let before = dir.runs();

    let refused = dir.run(&["--resume", run_id, "--set", "model.dropout=0.5"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("`model.dropout` cannot be changed"), "{}", refused.stderr);
    let unknown = dir.run(&["--resume", "0123456789abcdef0123456789abcdef"]);
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
    assert!(unknown.stderr.contains(run_id), "names the runs there are: {}", unknown.stderr);
    let folder = output_folder(&started, &dir);
    let checkpoint = folder.join("models/checkpoint.bin");
    let bytes = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    let damaged = dir.run(&["--resume", run_id]);
    assert_eq!(damaged.code, 1, "{}", damaged.stderr);
    assert!(damaged.stderr.contains("checkpoint.bin"), "{}", damaged.stderr);
    assert_eq!(dir.runs().len(), before.len());
}

#[test]
fn resuming_logs_nothing_twice_and_takes_nothing_from_the_environment() {
    let dir = Workdir::new();
    let flags = ["--epochs", "4", "--set", "training.early_stopping.patience=0", "--set", "training.log_every_steps=1"];
    let started = dir.run(&[&flags[..], &["--set", "find_learning_rate=true", "--json"]].concat()).ok().json();
    let run_id = started["run_id"].as_str().unwrap();
    let points = |metric: &str| dir.store().metric_history(run_id, metric).unwrap().len();
    let counts = || {
        let metrics = ["val_loss", "train_loss_step", "test_auc", "best_epoch", "baseline_logistic_test_auc"];
        metrics.map(points).to_vec()
    };
    let before = counts();
    assert_eq!(before, [4, 60, 1, 1, 1]);
    let mut again = dir.command(&["--resume", run_id, "--json"]);
    let finished: support::Finished = again.env("ML_TABULAR_SEED", "7").output().unwrap().into();
    assert_eq!(finished.ok().json()["metrics"], started["metrics"]);
    assert_eq!(counts(), before);
    assert_eq!(dir.all_runs().len(), 3, "the run and its two baselines");
}

#[test]
fn finished_members_are_not_taken_for_other_data() {
    let dir = Workdir::new();
    let rows: String = (0..300).map(|row| format!("{},{}\n", row % 17, i32::from(row % 17 > 8))).collect();
    dir.write("rows.csv", format!("x,y\n{rows}"));
    let flags =
        ["--csv-path", "rows.csv", "--target-column", "y", "--epochs", "2", "--set", "training.warmup_epochs=0"];
    let ensemble = ["--set", "ensemble=2", "--set", "baselines=[]", "--no-mlflow", "--json"];
    let started = dir.run(&[&flags[..], &ensemble].concat()).ok().json();
    let folder = output_folder(&started, &dir);
    dir.write("rows.csv", format!("x,y\n{}", rows.replace("3,0", "4,0")));
    let refused = dir.run(&["--resume", folder.to_str().unwrap(), "--no-mlflow"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("has changed since"), "{}", refused.stderr);
    let refused = dir.run(&["--resume", folder.to_str().unwrap(), "--no-mlflow", "--epochs", "9"]);
    assert!(refused.stderr.contains("`training.epochs` cannot be changed"), "members are done: {}", refused.stderr);
}

#[test]
fn new_data_is_no_resume() {
    let dir = Workdir::new();
    let rows: String = (0..200).map(|row| format!("{},{}\n", row % 17, i32::from(row % 17 > 8))).collect();
    dir.write("rows.csv", format!("x,y\n{rows}"));
    let flags =
        ["--csv-path", "rows.csv", "--target-column", "y", "--epochs", "2", "--set", "training.warmup_epochs=0"];
    let started = dir.run(&[&flags[..], &["--json"]].concat()).ok().json();
    dir.write("rows.csv", format!("x,y\n{}", rows.replace("3,0", "4,0")));
    let refused = dir.run(&["--resume", started["run_id"].as_str().unwrap(), "--epochs", "4"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("has changed since") && refused.stderr.contains("init_from"), "{}", refused.stderr);
}
