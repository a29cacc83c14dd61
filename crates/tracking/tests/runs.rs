//! What a `Run` does with what is logged, whatever the store does.

#[path = "support/faulty.rs"]
mod faulty;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use faulty::{Faulty, away};
use tracking::{ArtifactsOf, Error, MemoryStore, Options, Result, Run, RunOptions, RunStatus, Store, Tracker};

struct Setup {
    folder: tempfile::TempDir,
    store: Arc<Faulty>,
    tracker: Tracker,
}

fn setup(options: Options, fault: impl Fn(&str, &str) -> Result<()> + Send + Sync + 'static) -> Setup {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = MemoryStore::new(&folder.path().join("mlruns"));
    let store = Arc::new(Faulty { inner, fault: Box::new(fault), is_remote: false, uri: "faulty" });
    let options = Options { spool_dir: folder.path().join("spool"), ..options };
    let tracker = Tracker::with_store(store.clone(), &options);
    Setup { folder, store, tracker }
}

fn well() -> Setup {
    setup(Options::default(), |_, _| Ok(()))
}

impl Setup {
    fn start(&self) -> Run {
        self.tracker.start_run(&RunOptions { experiment: "e".into(), ..RunOptions::default() }).expect("starts")
    }
}

#[test]
fn everything_arrives_in_the_embedded_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("mlflow.db");
    let uri = format!("sqlite:///{}", database.display());
    let artifact_root = folder.path().join("mlruns");
    let tracker = Tracker::open(&Options {
        uri: uri.clone(),
        artifact_root,
        spool_dir: folder.path().join("spool"),
        ..Options::default()
    })
    .expect("opens");
    let parent = tracker.start_run(&RunOptions { experiment: "e".into(), ..RunOptions::default() }).expect("starts");
    let tags = BTreeMap::from([("mlflow.user".to_string(), "ada".to_string())]);
    let options = RunOptions {
        experiment: "e".into(),
        name: "child".into(),
        tags,
        parent_run_id: Some(parent.id().into()),
        ..RunOptions::default()
    };
    let run = tracker.start_run(&options).expect("starts");
    run.log_params(&BTreeMap::from([("lr".to_string(), "0.1".to_string()), ("long".to_string(), "ä".repeat(7000))]));
    for step in 0..3000 {
        run.log_metric("loss", step as f64, step);
    }
    run.log_text("hello", "a/b.txt");
    assert!(run.finish(RunStatus::Finished).is_complete());
    let stored = tracker.store().run(run.id()).expect("the run");
    assert_eq!((stored.info.status, stored.info.name.as_str()), (RunStatus::Finished, "child"));
    assert_eq!(stored.tags["mlflow.parentRunId"], parent.id());
    assert_eq!(stored.params["long"].chars().count(), 6000);
    assert_eq!(stored.metrics["loss"].value, 2999.0);
    assert_eq!(tracker.store().metric_history(run.id(), "loss").expect("points").len(), 3000);
    let copy = folder.path().join("copy");
    tracker.store().get_artifact(ArtifactsOf::Run(run.id()), "params/long.txt", &copy).expect("the full value");
    assert_eq!(fs::read_to_string(&copy).expect("a copy"), "ä".repeat(7000));
    assert_eq!((run.url(), tracker.view_command()), (None, Some(format!("mlflow ui --backend-store-uri {uri}"))));
}

#[test]
fn a_run_that_is_dropped_has_failed() {
    let setup = well();
    let run = setup.start();
    let (id, other) = (run.id().to_string(), run.clone());
    run.log_metric("loss", 1.0, 0);
    drop(run);
    assert_eq!(setup.store.run(&id).expect("the run").info.status, RunStatus::Running, "one handle is left");
    drop(other);
    let stored = setup.store.run(&id).expect("the run");
    assert_eq!((stored.info.status, stored.metrics.len()), (RunStatus::Failed, 1));
    assert!(stored.info.end_time_ms.is_some() && !stored.tags.contains_key("error"));
}

#[test]
fn a_panic_fails_the_run_and_says_so() {
    let setup = well();
    let run = setup.start();
    let id = run.id().to_string();
    let panicked = std::thread::spawn(move || {
        run.log_param("lr", "0.1");
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    let stored = setup.store.run(&id).expect("the run");
    assert_eq!((stored.info.status, stored.params.len()), (RunStatus::Failed, 1));
    assert!(stored.tags["error"].contains("panicked"), "{:?}", stored.tags);
}

#[test]
fn an_error_is_kept_as_tag_and_artifact() {
    let setup = well();
    let run = setup.start();
    assert!(run.fail("the data has no rows").is_complete());
    let stored = setup.store.run(run.id()).expect("the run");
    assert_eq!((stored.info.status, stored.tags["error"].as_str()), (RunStatus::Failed, "the data has no rows"));
    assert_eq!(setup.store.list_artifacts(ArtifactsOf::Run(run.id()), "").expect("artifacts")[0].path, "error.txt");
}

#[test]
fn finish_may_come_from_another_thread_and_twice() {
    let setup = well();
    let run = setup.start();
    run.log_metric("loss", 1.0, 0);
    let handle = run.clone();
    let first = std::thread::spawn(move || handle.finish(RunStatus::Killed)).join().expect("an outcome");
    run.log_metric("loss", 2.0, 1);
    let second = run.finish(RunStatus::Finished);
    assert_eq!(first, second);
    assert_eq!(setup.store.run(run.id()).expect("the run").info.status, RunStatus::Killed);
    assert_eq!(setup.store.metric_history(run.id(), "loss").expect("points").len(), 1);
}

#[test]
fn a_full_queue_costs_the_caller_no_time_and_is_counted() {
    let closed = Arc::new(AtomicBool::new(true));
    let gate = closed.clone();
    let options = Options { queue_bytes: 100_000, ..Options::default() };
    let setup = setup(
        options,
        move |call, _| if call == "log_batch" && gate.load(Ordering::SeqCst) { Err(away()) } else { Ok(()) },
    );
    let run = setup.start();
    let begin = Instant::now();
    for step in 0..50_000 {
        run.log_metric("loss", 1.0, step);
    }
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    closed.store(false, Ordering::SeqCst);
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.dropped > 40_000 && outcome.ended && outcome.left == 0, "{outcome}");
    assert_eq!(outcome.written + outcome.dropped, 50_000);
    let stored = setup.store.run(run.id()).expect("the run");
    assert_eq!(stored.tags["tracking.records_dropped"], outcome.dropped.to_string());
    assert_eq!(setup.store.metric_history(run.id(), "loss").expect("points").len() as u64, outcome.written);
}

#[test]
fn a_changed_param_is_set_aside_with_its_reason() {
    let setup = well();
    let run = setup.start();
    run.log_param("lr", "0.1");
    run.log_param("lr", "0.2");
    run.log_metric("loss", 1.0, 0);
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.written, outcome.set_aside, outcome.ended), (2, 1, true), "{outcome}");
    let stored = setup.store.run(run.id()).expect("the run");
    assert_eq!(stored.params["lr"], "0.1");
    assert!(stored.tags["tracking.set_aside.param.lr"].contains("0.2"), "{:?}", stored.tags);
}

#[test]
fn keys_that_mlflow_refuses_are_mended() {
    let setup = well();
    let run = setup.start();
    let long = "k".repeat(300);
    for key in ["a%b", "/a//../b/", "", "..", "größe", long.as_str(), "recall@5", "recall%5"] {
        run.log_metric(key, 1.0, 0);
    }
    run.set_tag("nul", "a\0b");
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{outcome}");
    let stored = setup.store.run(run.id()).expect("the run");
    let keys: Vec<&str> = stored.metrics.keys().map(String::as_str).collect();
    let long = format!("{}_cdaf59d1", &long[..241]);
    let mended = ["_811c9dc5", "_a3d4a70d", "a/b_606cf827", "a_b_1a9d4deb", "größe", long.as_str()];
    assert_eq!(keys, [&mended[..], &["recall_5_249b687f", "recall_5_b7ba07ce"]].concat());
    assert_eq!(stored.tags["tracking.renamed.metric.a_b_1a9d4deb"], "a%b");
    assert_eq!(stored.tags["nul"], "a\u{fffd}b");
}

#[test]
fn a_store_that_refuses_the_run_is_not_asked_for_every_record() {
    let calls = Arc::new(AtomicU32::new(0));
    let seen = calls.clone();
    let setup = setup(Options::default(), move |call, _| {
        seen.fetch_add(u32::from(call == "log_batch"), Ordering::SeqCst);
        Ok(())
    });
    let run = setup.start();
    setup.store.delete_run(run.id()).expect("deletes");
    for step in 0..10_000 {
        run.log_metric("loss", 1.0, step);
    }
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.set_aside, outcome.left), (10_000, 0), "{outcome}");
    assert!(calls.load(Ordering::SeqCst) < 200, "{calls:?}");
    assert!(outcome.to_string().contains("Current state is deleted"), "{outcome}");
}

#[test]
fn many_bad_records_take_no_good_one_with_them() {
    let setup = setup(Options::default(), |_, keys| {
        if keys.contains("bad") { Err(Error::Invalid("not this one".into())) } else { Ok(()) }
    });
    let run = setup.start();
    for i in 0..200 {
        run.log_metric(&format!("{}{i}", if i % 100 == 90 { "good" } else { "bad" }), 1.0, 0);
    }
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.written, outcome.set_aside, outcome.ended), (2, 198, true), "{outcome}");
    assert_eq!(setup.store.run(run.id()).expect("the run").metrics.len(), 2);
}

#[test]
fn a_file_that_cannot_be_sent_holds_up_no_other() {
    let options = Options { exit_timeout: Duration::from_secs(1), ..Options::default() };
    let setup = setup(options, |_, detail| if detail == "bad.txt" { Err(away()) } else { Ok(()) });
    let run = setup.start();
    for path in ["a.txt", "bad.txt", "b.txt", "c.txt"] {
        run.log_text(path, path);
    }
    run.log_artifact(&setup.folder.path().join("missing"), "");
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.written, outcome.set_aside, outcome.left, outcome.ended), (3, 1, 1, true), "{outcome}");
    let names: Vec<String> = setup
        .store
        .list_artifacts(ArtifactsOf::Run(run.id()), "")
        .expect("artifacts")
        .into_iter()
        .map(|artifact| artifact.path)
        .collect();
    assert_eq!(names, ["a.txt", "b.txt", "c.txt"]);
}

#[test]
fn a_folder_is_sent_whole() {
    let setup = well();
    let dir = setup.folder.path().join("model");
    fs::create_dir_all(dir.join("deep/er")).expect("a folder");
    for file in ["a.txt", "deep/b.txt", "deep/er/c.txt"] {
        fs::write(dir.join(file), file).expect("a file");
    }
    let run = setup.start();
    run.log_dir(&dir, "m");
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.written, outcome.is_complete()), (3, true), "{outcome}");
    for file in ["a.txt", "deep/b.txt", "deep/er/c.txt"] {
        let copy = setup.folder.path().join("copy");
        setup.store.get_artifact(ArtifactsOf::Run(run.id()), &format!("m/{file}"), &copy).expect("a file");
        assert_eq!(fs::read_to_string(copy).expect("a copy"), file);
    }
}

#[test]
fn two_create_one_experiment() {
    let setup = well();
    let ids: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| setup.tracker.experiment_id("same").expect("an id"))).collect();
        threads.into_iter().map(|thread| thread.join().expect("an id")).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn a_tracker_that_is_off_has_the_same_api() {
    let tracker = Tracker::disabled();
    let start = || tracker.start_run(&RunOptions::default()).expect("starts");
    let (run, other) = (start(), start());
    assert!(run.id().len() == 32 && run.id() != other.id());
    run.log_metric("loss", 1.0, 0);
    run.log_artifact(Path::new("no such file"), "");
    assert!(run.finish(RunStatus::Finished).is_complete());
    assert_eq!((run.url(), tracker.view_command()), (None, None));
}

/// Prints what a call costs the training loop. Nothing is asserted: the machine may be busy.
#[test]
fn cost_of_a_call() {
    let setup = well();
    let run = setup.start();
    let mut nanos: Vec<u128> = (0..200_000)
        .map(|step| {
            let begin = Instant::now();
            run.log_metric("train_loss", 0.5, step);
            begin.elapsed().as_nanos()
        })
        .collect();
    nanos.sort_unstable();
    let at = |share: f64| nanos[(nanos.len() as f64 * share) as usize];
    println!("log_metric: median {} ns, p99 {} ns, p99.9 {} ns", at(0.5), at(0.99), at(0.999));
    let begin = Instant::now();
    let outcome = run.finish(RunStatus::Finished);
    println!("{outcome}; finish took {:.2} s", begin.elapsed().as_secs_f32());
}
