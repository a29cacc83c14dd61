//! Models that a run logs: while its server is away, when its process is killed between two calls, and as Python sees them.
//!
//! `MLFLOW_PYTHON` and `MLFLOW_PYTHON_31` name Pythons with a current MLflow and 3.1; tests that need one that is not there
//! say so and pass.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "support/database.rs"]
mod database;
#[path = "support/stage.rs"]
mod stage;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use database::{check_integrity, python, text};
use serde_json::json;
use stage::proxy::Fault::{Answer, DelayAfter, Hang, Pass};
use stage::{Stage, spawn};
use tempfile::TempDir;
use tracking::sync::{leftovers, send};
use tracking::{
    ArtifactsOf, DatasetName, Error, LoggedModel, ModelFiles, ModelStatus, Options, Run, RunOptions, RunStatus, Store,
    Tracker,
};

const URI: &str = "TRACKING_TEST_URI";
const FOLDER: &str = "TRACKING_TEST_FOLDER";
const EXPERIMENT: &str = "RUN_MODELS_EXPERIMENT";
const LONG: Duration = Duration::from_secs(600);

fn options(uri: &str, folder: &Path) -> Options {
    let (artifact_root, spool_dir) = (folder.join("mlruns"), folder.join("spool"));
    Options { uri: uri.into(), artifact_root, spool_dir, exit_timeout: Duration::from_secs(30), ..Options::default() }
}

fn start(tracker: &Tracker, experiment: &str) -> Run {
    tracker.start_run(&RunOptions { experiment: experiment.into(), ..RunOptions::default() }).unwrap()
}

/// A model of two files that MLflow can read.
fn write_model(folder: &Path) -> PathBuf {
    let model = folder.join("model");
    fs::create_dir_all(&model).unwrap();
    let flavors = "flavors:\n  python_function:\n    loader_module: mlflow.onnx\n    data: model.onnx\n";
    fs::write(model.join("MLmodel"), flavors).unwrap();
    fs::write(model.join("model.onnx"), "weights").unwrap();
    model
}

fn model_files(folder: &Path) -> ModelFiles {
    let adult = DatasetName { name: "adult".into(), digest: "d1".into() };
    ModelFiles {
        model_type: "tabular_mlp".into(),
        params: [("n_params".to_owned(), "7".to_owned())].into(),
        tags: [("team".to_owned(), "red".to_owned())].into(),
        metrics: vec![("test_auc".into(), 0.875, Some(adult))],
        step: 3,
        ..ModelFiles::new(write_model(folder))
    }
}

fn models(store: &dyn Store, experiment: &str) -> Vec<LoggedModel> {
    let Some(experiment) = store.experiment_by_name(experiment).unwrap() else { return Vec::new() };
    store.logged_models().unwrap().list(&[experiment.experiment_id]).unwrap()
}

/// One model, all of it.
fn check_one_model(store: &dyn Store, experiment: &str, what: &str) {
    let found = models(store, experiment);
    assert_eq!(found.len(), 1, "{what}");
    let model = &found[0];
    assert_eq!((model.status, model.metrics.len()), (ModelStatus::Ready, 1), "{what}: {model:?}");
    assert_eq!(model.tags.keys().collect::<Vec<_>>(), ["team"], "{what}: no mark is left");
    let files = store.list_artifacts(ArtifactsOf::Model(&model.model_id), "").unwrap();
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["MLmodel", "model.onnx"], "{what}");
    let run = store.run(model.source_run_id.as_deref().unwrap()).unwrap();
    assert_eq!((run.outputs.len(), run.outputs[0].step), (1, 3), "{what}");
    assert_eq!(store.metric_history(&run.info.run_id, "test_auc").unwrap().len(), 1, "{what}");
}

/// Sends what is left in a spool folder, once nobody else does.
fn send_rest(options: &Options) {
    let begin = Instant::now();
    loop {
        let found = leftovers(&options.spool_dir).unwrap();
        if found.is_empty() {
            return;
        }
        for (folder, _) in found {
            match send(&folder, None, &options.http, Duration::from_secs(30)) {
                Ok(sent) => assert_eq!(sent.set_aside, 0, "{sent:?}"),
                // A thread of `Tracker::open` is at it, or has just deleted the folder.
                Err(Error::Invalid(_) | Error::Io { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert!(begin.elapsed() < LONG, "still not sent");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Not a test of its own: logs a model, and waits to be killed.
#[test]
#[ignore = "run by the tests below"]
fn child_model() {
    let folder = PathBuf::from(env::var_os(FOLDER).unwrap());
    let tracker = Tracker::open(&options(&env::var(URI).unwrap(), &folder)).unwrap();
    let run = start(&tracker, &env::var(EXPERIMENT).unwrap());
    run.log_metric("test_auc", 0.875, 3);
    run.log_model(model_files(&folder));
    thread::sleep(LONG);
}

/// A process dies when the server has just done what it was asked and has not said so, or while a file is on its way.
#[test]
fn a_process_that_is_killed_between_two_calls_leaves_one_model() {
    let Some(stage) = Stage::new() else { return };
    // The call, how many of it come before, and what happens to it.
    let moments = [
        ("logged-models", 0, DelayAfter(LONG)),
        ("PUT artifact", 1, Hang),
        ("runs/outputs", 0, DelayAfter(LONG)),
        // Delete the mark, read the place of the files twice, and set the status.
        ("logged-models/m-", 3, DelayAfter(LONG)),
    ];
    for (endpoint, before, fault) in moments {
        let folder = TempDir::new().unwrap();
        let experiment = format!("killed at {endpoint}").replace('/', " ");
        let calls = Arc::new(AtomicUsize::new(0));
        let seen = calls.clone();
        stage.proxy.script(move |request| {
            let is_it =
                request.endpoint == endpoint || (endpoint.ends_with('-') && request.endpoint.starts_with(endpoint));
            if is_it && seen.fetch_add(1, Ordering::Relaxed) >= before { fault } else { Pass }
        });
        let folder_text = folder.path().display().to_string();
        let variables = [(URI, stage.proxy.uri()), (FOLDER, folder_text), (EXPERIMENT, experiment.clone())];
        let mut child = spawn("child_model", &variables);
        let begin = Instant::now();
        let reached = || calls.load(Ordering::Relaxed) > before && !models(&stage.store, &experiment).is_empty();
        while !reached() {
            assert!(begin.elapsed() < Duration::from_secs(60), "{endpoint} was never called");
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(Duration::from_millis(200));
        child.kill().unwrap();
        child.wait().unwrap();
        stage.proxy.up();
        let options = options(&stage.proxy.uri(), folder.path());
        drop(Tracker::open(&options).unwrap());
        send_rest(&options);
        check_one_model(&stage.store, &experiment, endpoint);
        let run_id = models(&stage.store, &experiment)[0].source_run_id.clone().unwrap();
        assert_eq!(stage.store.run(&run_id).unwrap().info.status, RunStatus::Killed);
    }
}

/// A run in a file is killed at any moment: its model is whole, or not there.
#[test]
fn a_process_that_is_killed_leaves_a_whole_model_or_none_in_a_file() {
    let folder = TempDir::new().unwrap();
    let uri = format!("sqlite:///{}", folder.path().join("mlflow.db").display());
    let mut whole = 0;
    for kill in 0..8 {
        let experiment = format!("killed {kill}");
        let folder_text = folder.path().display().to_string();
        let mut child =
            spawn("child_model", &[(URI, uri.clone()), (FOLDER, folder_text), (EXPERIMENT, experiment.clone())]);
        let begin = Instant::now();
        let spooled = || leftovers(&folder.path().join("spool")).is_ok_and(|found| !found.is_empty());
        while !spooled() {
            assert!(begin.elapsed() < Duration::from_secs(60), "no run");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(25 * kill));
        child.kill().unwrap();
        child.wait().unwrap();
        let tracker = Tracker::open(&options(&uri, folder.path())).unwrap();
        assert!(leftovers(&folder.path().join("spool")).unwrap().is_empty());
        if !models(tracker.store(), &experiment).is_empty() {
            check_one_model(tracker.store(), &experiment, &experiment);
            whole += 1;
        }
    }
    println!("{whole} of 8 models were taken before the kill");
    assert!(whole > 0, "too little was tested");
    check_integrity(&folder.path().join("mlflow.db"));
}

/// The server is away while the model is logged, and back later.
#[test]
fn a_server_that_is_away_gets_the_model_later() {
    let Some(stage) = Stage::new() else { return };
    let folder = TempDir::new().unwrap();
    let options = Options { exit_timeout: Duration::from_secs(1), ..options(&stage.proxy.uri(), folder.path()) };
    stage.proxy.down();
    let tracker = Tracker::open(&options).unwrap();
    let run = start(&tracker, "away");
    run.log_metric("test_auc", 0.875, 3);
    run.log_model(model_files(folder.path()));
    let outcome = run.finish(RunStatus::Finished);
    // The point, the model and its two files.
    assert_eq!((outcome.written, outcome.left, outcome.dropped), (0, 4, 0), "{outcome}");
    let (_, look) = leftovers(&options.spool_dir).unwrap().remove(0);
    let look = look.unwrap();
    assert_eq!((look.records, look.files, look.file_bytes > 7), (1, 2, true));
    drop((run, tracker));
    // What is kept is a copy: the run's own folder may go.
    fs::remove_dir_all(folder.path().join("model")).unwrap();
    stage.proxy.up();
    send_rest(&options);
    check_one_model(&stage.store, "away", "after an outage");
}

/// What was sent in part to one store goes whole to another.
#[test]
fn a_model_that_has_begun_goes_to_another_store_whole() {
    let Some(stage) = Stage::new() else { return };
    let folder = TempDir::new().unwrap();
    let options = Options { exit_timeout: Duration::from_secs(3), ..options(&stage.proxy.uri(), folder.path()) };
    let tracker = Tracker::open(&options).unwrap();
    let run = start(&tracker, "moved");
    let puts = stage.proxy.count("PUT artifact");
    stage.proxy.script(move |request| match request.endpoint == "PUT artifact" && request.number > puts {
        true => Answer(503, ""),
        false => Pass,
    });
    run.log_metric("test_auc", 0.875, 3);
    run.log_model(model_files(folder.path()));
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.left > 0 && outcome.spool.is_some(), "{outcome}");
    let left = outcome.spool.unwrap();
    drop((run, tracker));
    let elsewhere = folder.path().join("elsewhere.db");
    let to = format!("sqlite:///{}", elsewhere.display());
    // A thread of the tracker may still hold the folder.
    let begin = Instant::now();
    while let Err(error) = send(&left, Some(&to), &options.http, Duration::from_secs(30)) {
        assert!(begin.elapsed() < Duration::from_secs(30), "{error}");
    }
    let store = tracking::SqliteStore::open(&elsewhere, &options.artifact_root).unwrap();
    let found = models(&store, "moved");
    assert_eq!((found.len(), found[0].status), (1, ModelStatus::Ready));
    assert_eq!(store.list_artifacts(ArtifactsOf::Model(&found[0].model_id), "").unwrap().len(), 2);
}

/// A file that the store refuses leaves a model that says so.
#[test]
fn a_model_with_a_refused_file_has_failed() {
    let Some(stage) = Stage::new() else { return };
    let folder = TempDir::new().unwrap();
    stage.proxy.script(|request| match request.endpoint == "PUT artifact" && request.number.is_multiple_of(2) {
        true => Answer(400, ""),
        false => Pass,
    });
    let run = start(&Tracker::open(&options(&stage.proxy.uri(), folder.path())).unwrap(), "refused");
    run.log_model(model_files(folder.path()));
    let outcome = run.finish(RunStatus::Finished);
    stage.proxy.up();
    assert_eq!((outcome.set_aside, outcome.left, outcome.ended), (1, 0, true), "{outcome}");
    let found = models(&stage.store, "refused");
    assert_eq!((found.len(), found[0].status), (1, ModelStatus::Failed));
}

/// A folder that is not there costs the run nothing.
#[test]
fn a_model_without_files_is_set_aside() {
    let folder = TempDir::new().unwrap();
    let uri = format!("sqlite:///{}", folder.path().join("mlflow.db").display());
    let tracker = Tracker::open(&options(&uri, folder.path())).unwrap();
    let run = start(&tracker, "none");
    run.log_model(ModelFiles::new(folder.path().join("missing")));
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.set_aside, outcome.left, outcome.ended), (1, 0, true), "{outcome}");
    assert!(outcome.problem.unwrap().contains("missing"));
    assert!(models(tracker.store(), "none").is_empty());
    let off = start(&Tracker::disabled(), "off");
    off.log_model(model_files(folder.path()));
    assert!(off.finish(RunStatus::Finished).is_complete());
}

/// What Python sees of a model, of the run that made it and of one that uses it; and what it makes of them.
fn python_uses_our_model(variable: &str, options: &Options, uri: &str, experiment: &str, scratch: &Path) {
    let tracker = Tracker::open(options).unwrap();
    let run = start(&tracker, experiment);
    run.log_metric("test_auc", 0.875, 3);
    run.log_model(model_files(scratch));
    assert!(run.finish(RunStatus::Finished).is_complete());
    let run_id = run.id().to_owned();
    let model = models(tracker.store(), experiment).remove(0);
    let user = start(&tracker, experiment);
    let fresh = DatasetName { name: "fresh".into(), digest: "d2".into() };
    user.log_model_input(&model.model_id);
    user.log_model_metrics(&model.model_id, Some(&fresh), &[("test_auc", 0.5)], 0);
    assert!(user.finish(RunStatus::Finished).is_complete());
    let user_id = user.id().to_owned();
    drop((run, user, tracker));

    let arguments = [uri, experiment, &run_id, &user_id, text(scratch)];
    let Some(seen) = python(variable, "run_models.py", &arguments, "") else { return };
    let id = &model.model_id;
    let expected = json!({
        "model": [id, "model", "tabular_mlp", "READY", {"n_params": "7"}, "red", run_id],
        "same": true,
        "metrics": [
            ["test_auc", 0.5, 0, "fresh", "d2", user_id],
            ["test_auc", 0.875, 3, "adult", "d1", run_id],
        ],
        "outputs": [[id, 3]],
        "inputs": [id],
        "mlmodel": [id, id, run_id, true],
        "files": {
            "models": ["MLmodel", "model.onnx"],
            "runs": ["MLmodel", "model.onnx"],
            "champion": ["MLmodel", "model.onnx"],
        },
        "version": [1, run_id, format!("models:/{id}")],
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(seen[key], *value, "{variable}: {key}");
    }
}

fn python_uses_our_model_in_a_file(variable: &str) {
    if env::var_os(variable).is_none() {
        eprintln!("skipped: {variable} is not set");
        return;
    }
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("mlflow.db");
    let uri = format!("sqlite:///{}", database.display());
    python_uses_our_model(variable, &options(&uri, folder.path()), &uri, "python", folder.path());
    check_integrity(&database);
}

#[test]
fn current_mlflow_uses_our_model_in_a_file() {
    python_uses_our_model_in_a_file("MLFLOW_PYTHON");
}

#[test]
fn mlflow_31_uses_our_model_in_a_file() {
    python_uses_our_model_in_a_file("MLFLOW_PYTHON_31");
}

#[test]
fn python_uses_our_model_on_a_server() {
    let Some(stage) = Stage::new() else { return };
    let folder = TempDir::new().unwrap();
    let options = options(&stage.server.uri, folder.path());
    python_uses_our_model("MLFLOW_PYTHON", &options, &stage.server.uri, "python on a server", folder.path());
}
