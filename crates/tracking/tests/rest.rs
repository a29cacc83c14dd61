//! Stock MLflow servers of two generations. `MLFLOW_PYTHON`, `MLFLOW_PYTHON_31` and `MLFLOW2_PYTHON` name Pythons that have
//! one installed.

#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::Instant;

use server::Server;
use tracking::{
    ArtifactsOf, Batch, DatasetInput, Error, HttpOptions, Metric, NewRun, Options, RestStore, RunOptions, RunQuery,
    RunStatus, Store, Tracker, conformance,
};

fn options(uri: &str) -> Options {
    let spool_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rest");
    Options { uri: uri.into(), spool_dir, ..Options::default() }
}

#[test]
fn mlflow_3() {
    let folder = tempfile::tempdir().expect("a folder");
    let destination = folder.path().join("artifacts");
    let destination = destination.to_str().expect("UTF-8");
    let Some(server) = Server::start("MLFLOW_PYTHON", folder.path(), &["--artifacts-destination", destination]) else {
        return;
    };
    check(&server, folder.path(), true);
}

#[test]
fn mlflow_31() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(server) = Server::start("MLFLOW_PYTHON_31", folder.path(), &[]) else { return };
    check(&server, folder.path(), true);
}

#[test]
fn mlflow_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let destination = folder.path().join("artifacts");
    let destination = destination.to_str().expect("UTF-8");
    let Some(server) = Server::start("MLFLOW2_PYTHON", folder.path(), &["--artifacts-destination", destination]) else {
        return;
    };
    check(&server, folder.path(), false);
}

/// Artifacts in a folder that the server and we share, and its proxy off.
#[test]
fn mounted_artifact_root() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("mount");
    let root = root.to_str().expect("UTF-8");
    let arguments = ["--no-serve-artifacts", "--default-artifact-root", root];
    let Some(server) = Server::start("MLFLOW_PYTHON", folder.path(), &arguments) else { return };
    let scratch = tempfile::tempdir().expect("a folder");
    let store = RestStore::new(&server.uri, &HttpOptions::default()).expect("a store");
    conformance::run(Arc::new(store), scratch.path());
    assert!(fs::read_dir(root).expect("the mount").count() > 0);
}

fn check(server: &Server, folder: &Path, has_logged_models: bool) {
    let scratch = folder.join("scratch");
    fs::create_dir(&scratch).expect("a folder");
    let store = RestStore::new(&server.uri, &HttpOptions::default()).expect("a store");
    assert_eq!(store.logged_models().is_ok(), has_logged_models);
    let store = Arc::new(store);
    conformance::run(store.clone(), &scratch);
    histories_are_whole(store.as_ref());
    let tracker = Tracker::open(&options(&server.uri)).expect("opens");
    a_run_arrives_whole(&tracker, &server.uri, &scratch);
    a_resumed_run_is_running_again(&tracker);
    many_ask_for_one_experiment(&tracker);
    a_deleted_experiment_is_explained(&tracker);
    a_big_file_comes_back_the_same(&tracker, &scratch);
}

/// Also beyond what one answer of a server holds.
fn histories_are_whole(store: &dyn Store) {
    let points = [10_000, 25_001, 25_000, 3];
    let ids = points.map(|points| {
        let new = NewRun { experiment_id: "0".into(), name: "long".into(), ..NewRun::default() };
        let run_id = store.create_run(&new).expect("a run").run_id;
        let point = |step| Metric { key: "loss".into(), value: 1.0 / step as f64, timestamp_ms: 30_000 - step, step };
        let metrics = (0..points).map(point).collect();
        store.log_batch(&run_id, &Batch { metrics, ..Batch::default() }).expect("logs");
        run_id
    });
    let found = store.metric_histories(&ids, "loss").expect("histories");
    for (run_id, points) in ids.iter().zip(points) {
        let steps: Vec<i64> = found[run_id].iter().map(|point| point.step).collect();
        assert_eq!(steps, (0..points).collect::<Vec<_>>());
    }
}

fn a_run_arrives_whole(tracker: &Tracker, uri: &str, scratch: &Path) {
    let model = scratch.join("model dir");
    fs::create_dir_all(model.join("größe/deep")).expect("a folder");
    fs::write(model.join("a 1%.txt"), "one").expect("a file");
    fs::write(model.join("größe/deep/b+&=.bin"), [0, 159, 146, 150]).expect("a file");
    let tags = BTreeMap::from([("mlflow.user".to_string(), "ada".to_string())]);
    let run = tracker
        .start_run(&RunOptions { experiment: "whole".into(), name: "first".into(), tags, ..RunOptions::default() })
        .expect("starts");
    let long = "v".repeat(20_000);
    run.log_param("learning_rate", "0.001");
    run.log_param("long", &long);
    run.log_param("odd key?*", "kept");
    for step in 0..2500 {
        run.log_metrics(&[("train_loss", 1.0 / (1 + step) as f64), ("valid_loss", 0.5)], step);
    }
    run.log_metric("diverged", f64::NAN, 7);
    run.log_metric("overflow", f64::INFINITY, 7);
    run.set_note("# a note");
    run.log_text("hello", "notes/hello.txt");
    run.log_dir(&model, "model");
    run.log_artifact(&model.join("a 1%.txt"), "");
    run.log_artifact(&scratch.join("not there"), "");
    let mut input = DatasetInput::default();
    (input.dataset.name, input.dataset.digest) = ("adult".into(), "d1".into());
    (input.dataset.source_type, input.dataset.source) = ("local".into(), "{}".into());
    input.tags.insert("mlflow.data.context".into(), "training".into());
    run.log_input(input.clone());
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.ended, outcome.set_aside, outcome.dropped, outcome.left), (true, 1, 0, 0), "{outcome}");

    let store = tracker.store();
    let stored = store.run(run.id()).expect("the run");
    assert_eq!((stored.info.status, stored.info.user.as_str()), (RunStatus::Finished, "ada"));
    assert_eq!(stored.params["learning_rate"], "0.001");
    assert_eq!(stored.params["long"].len(), 6000);
    assert_eq!(stored.params["odd key___1cb500c0"], "kept");
    assert_eq!(stored.tags["tracking.renamed.param.odd key___1cb500c0"], "odd key?*");
    assert_eq!(stored.tags["tracking.not_finite.diverged"], "NaN at step 7");
    assert_eq!(stored.tags["tracking.records_set_aside"], "1");
    assert!(!stored.tags.contains_key("tracking.creation"), "the mark of the creation is gone");
    assert!(stored.metrics["diverged"].value.is_nan());
    assert_eq!(stored.metrics["overflow"].value, f64::MAX);
    assert_eq!(stored.inputs[0].tags, input.tags);
    assert_eq!(store.metric_history(run.id(), "train_loss").expect("points").len(), 2500);
    for (path, content) in [
        ("params/long.txt", long.as_bytes()),
        ("notes/hello.txt", b"hello"),
        ("a 1%.txt", b"one"),
        ("model/a 1%.txt", b"one"),
        ("model/größe/deep/b+&=.bin", &[0, 159, 146, 150]),
    ] {
        let copy = scratch.join("copy");
        store.get_artifact(ArtifactsOf::Run(run.id()), path, &copy).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(fs::read(&copy).expect("a copy"), content, "{path}");
    }
    let page = format!("{uri}/#/experiments/{}/runs/{}", run.experiment_id(), run.id());
    assert_eq!((run.url(), tracker.view_command()), (Some(page), None));
}

fn a_resumed_run_is_running_again(tracker: &Tracker) {
    let first =
        tracker.start_run(&RunOptions { experiment: "resume".into(), ..RunOptions::default() }).expect("starts");
    first.log_metric("loss", 1.0, 0);
    let id = first.id().to_string();
    assert!(first.finish(RunStatus::Killed).is_complete());
    let resume = RunOptions { resume_run_id: Some(id.clone()), ..RunOptions::default() };
    let second = tracker.start_run(&resume).expect("resumes");
    let info = tracker.store().run(&id).expect("the run").info;
    assert_eq!((info.status, info.end_time_ms), (RunStatus::Running, None));
    second.log_metric("loss", 0.5, 1);
    assert!(second.finish(RunStatus::Finished).is_complete());
    assert_eq!(tracker.store().metric_history(&id, "loss").expect("points").len(), 2);
}

fn many_ask_for_one_experiment(tracker: &Tracker) {
    let start = Barrier::new(4);
    let ids: Vec<String> = std::thread::scope(|scope| {
        let ask = || {
            start.wait();
            tracker.experiment_id("asked at once").expect("an id")
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("an id")).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

fn a_deleted_experiment_is_explained(tracker: &Tracker) {
    let id = tracker.experiment_id("binned").expect("an id");
    tracker.store().delete_experiment(&id).expect("deletes");
    let start = tracker.start_run(&RunOptions { experiment: "binned".into(), ..RunOptions::default() });
    let error = start.expect_err("deleted").to_string();
    assert!(error.contains(&format!("mlflow experiments restore --experiment-id {id}")), "{error}");
}

fn a_big_file_comes_back_the_same(tracker: &Tracker, scratch: &Path) {
    let (big, copy) = (scratch.join("big.bin"), scratch.join("big.copy"));
    let content: Vec<u8> = (0..64 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(&big, &content).expect("a file");
    let run = tracker.start_run(&RunOptions::default()).expect("starts");
    let start = Instant::now();
    run.log_artifact(&big, "checkpoints");
    assert!(run.finish(RunStatus::Finished).is_complete());
    println!("64 MiB up in {:.2} s", start.elapsed().as_secs_f32());
    let start = Instant::now();
    tracker.store().get_artifact(ArtifactsOf::Run(run.id()), "checkpoints/big.bin", &copy).expect("comes back");
    println!("64 MiB down in {:.2} s", start.elapsed().as_secs_f32());
    assert!(fs::read(&copy).expect("a copy") == content);
    let missing = tracker.store().get_artifact(ArtifactsOf::Run(run.id()), "checkpoints/none.bin", &copy);
    assert!(matches!(missing, Err(Error::NotFound(_))), "{missing:?}");
    assert_eq!(tracker.store().search_runs(&RunQuery::default()).map(|page| page.items.len()).ok(), Some(0));
}
