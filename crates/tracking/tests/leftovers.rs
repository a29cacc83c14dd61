//! What runs leave in the spool folder, and who sends it.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "support/faulty.rs"]
mod faulty;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use faulty::{Faulty, away};
use tempfile::TempDir;
use tracking::sync::{end_silent_runs, leftovers};
use tracking::{ArtifactsOf, Batch, Error, MemoryStore, Options, Result, RunOptions, RunStatus, Store, Tracker};

struct Setup {
    folder: TempDir,
    store: Arc<Faulty>,
    options: Options,
}

impl Setup {
    /// A server, as far as the crate can see.
    fn new(fault: impl Fn(&str, &str) -> Result<()> + Send + Sync + 'static) -> Self {
        let folder = TempDir::new().unwrap();
        let inner = MemoryStore::new(&folder.path().join("mlruns"));
        let store = Arc::new(Faulty { inner, fault: Box::new(fault), is_remote: true, uri: "faulty" });
        let (spool_dir, exit_timeout) = (folder.path().join("spool"), Duration::from_secs(1));
        Self { store, options: Options { spool_dir, exit_timeout, ..Options::default() }, folder }
    }

    fn tracker(&self) -> Tracker {
        Tracker::with_store(self.store.clone(), &self.options)
    }

    fn spooled(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.options.spool_dir).unwrap();
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_none()).collect()
    }

    fn wait_until_all_is_sent(&self) {
        let begin = Instant::now();
        while !self.spooled().is_empty() {
            assert!(begin.elapsed() < Duration::from_secs(15), "still there: {:?}", self.spooled());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn named(name: &str) -> RunOptions {
    RunOptions { experiment: "e".into(), name: name.into(), ..RunOptions::default() }
}

/// A switch for a fault.
#[derive(Clone, Default)]
struct Switch(Arc<AtomicBool>);

impl Switch {
    fn set(&self, on: bool) {
        self.0.store(on, Ordering::SeqCst);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn what_a_run_has_left_is_sent_by_the_same_process() {
    let down = Switch::default();
    let seen = down.clone();
    let setup = Setup::new(move |_, _| if seen.is_on() { Err(away()) } else { Ok(()) });
    let tracker = setup.tracker();
    let run = tracker.start_run(&named("a")).unwrap();
    down.set(true);
    run.log_metric("loss", 1.0, 0);
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.left, outcome.ended), (1, false), "{outcome}");
    // The handle lives a little longer, as in most programs.
    thread::sleep(Duration::from_millis(300));
    let id = run.id().to_owned();
    drop(run);
    down.set(false);
    setup.wait_until_all_is_sent();
    assert_eq!(setup.store.run(&id).unwrap().info.status, RunStatus::Finished);
    assert_eq!(setup.store.metric_history(&id, "loss").unwrap().len(), 1);
}

#[test]
fn files_that_are_left_by_a_run_whose_end_is_stored_are_sent_and_nothing_stays() {
    let stuck = Switch::default();
    let seen = stuck.clone();
    stuck.set(true);
    let setup = Setup::new(move |call, _| if call == "put_artifact" && seen.is_on() { Err(away()) } else { Ok(()) });
    let tracker = setup.tracker();
    let run = tracker.start_run(&named("a")).unwrap();
    run.log_text("hello", "hello.txt");
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.left, outcome.ended), (1, true), "{outcome}");
    let id = run.id().to_owned();
    drop((run, tracker));
    stuck.set(false);
    thread::sleep(Duration::from_millis(500));
    setup.tracker().send_rest_of(&id).unwrap();
    assert_eq!(setup.store.list_artifacts(ArtifactsOf::Run(&id), "").unwrap().len(), 1);
    assert_eq!(setup.spooled(), Vec::<PathBuf>::new());
}

#[test]
fn a_run_that_the_server_refuses_holds_up_no_other() {
    let down = Switch::default();
    let seen = down.clone();
    down.set(true);
    let setup = Setup::new(move |call, name| match (call, name) {
        ("create_run", "bad") if !seen.is_on() => Err(Error::Invalid("no such experiment".into())),
        _ if seen.is_on() => Err(away()),
        _ => Ok(()),
    });
    let tracker = setup.tracker();
    for name in ["bad", "good"] {
        let run = tracker.start_run(&named(name)).unwrap();
        run.log_metric("loss", 1.0, 0);
        assert!(!run.finish(RunStatus::Finished).ended);
    }
    down.set(false);
    let begin = Instant::now();
    while setup.spooled().len() > 1 {
        assert!(begin.elapsed() < Duration::from_secs(15), "the good one waits for the bad one");
        thread::sleep(Duration::from_millis(20));
    }
    let left = leftovers(&setup.options.spool_dir).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].1.as_ref().unwrap().name, "bad", "what is refused is kept");
    let id = left[0].1.as_ref().unwrap().id.clone();
    thread::sleep(Duration::from_secs(1));
    let error = setup.tracker().send_rest_of(&id).unwrap_err().to_string();
    assert!(error.contains("no such experiment"), "{error}");
}

#[test]
fn a_disk_that_takes_nothing_does_not_double_the_time_of_an_exit() {
    let setup = Setup::new(|_, _| Ok(()));
    let run = setup.tracker().start_run(&named("a")).unwrap();
    run.log_metric("loss", 1.0, 0);
    thread::sleep(Duration::from_millis(500));
    // The next segment of the journal finds no folder.
    fs::remove_dir_all(&setup.options.spool_dir).unwrap();
    (0..10).for_each(|i| run.log_param(&i.to_string(), &"x".repeat(1 << 20)));
    thread::sleep(Duration::from_millis(500));
    run.log_metric("loss", 1.0, 1);
    let begin = Instant::now();
    let outcome = run.finish(RunStatus::Finished);
    let took = begin.elapsed();
    assert!(!outcome.ended && outcome.dropped > 0, "{outcome}");
    assert!(took < setup.options.exit_timeout + Duration::from_millis(500), "{took:?}: {outcome}");
}

#[test]
fn an_empty_folder_is_no_file() {
    let setup = Setup::new(|_, _| Ok(()));
    let run = setup.tracker().start_run(&named("a")).unwrap();
    let empty = setup.folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    run.log_dir(&empty, "m");
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete() && outcome.written == 0, "{outcome}");
}

#[test]
fn a_bad_file_in_a_folder_costs_only_itself() {
    let setup = Setup::new(|_, _| Ok(()));
    let run = setup.tracker().start_run(&named("a")).unwrap();
    let dir = setup.folder.path().join("model");
    fs::create_dir(&dir).unwrap();
    for name in ["a.txt", "c.txt"] {
        fs::write(dir.join(name), name).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", dir.join("b.txt")).unwrap();
    run.log_dir(&dir, "m");
    let outcome = run.finish(RunStatus::Finished);
    let names: Vec<String> = setup
        .store
        .list_artifacts(ArtifactsOf::Run(run.id()), "m")
        .unwrap()
        .into_iter()
        .map(|artifact| artifact.path)
        .collect();
    assert_eq!(names, ["m/a.txt", "m/c.txt"]);
    assert_eq!((outcome.written, outcome.set_aside, outcome.dropped, outcome.left), (2, 1, 0, 0), "{outcome}");
}

#[test]
fn a_huge_value_costs_nothing_behind_it() {
    let setup = Setup::new(|_, _| Ok(()));
    let (exit_timeout, queue_bytes) = (Duration::from_secs(20), 256 << 20);
    let options = Options { exit_timeout, queue_bytes, ..setup.options.clone() };
    let run = Tracker::with_store(setup.store.clone(), &options).start_run(&named("a")).unwrap();
    run.set_tag("huge", &"x".repeat(70 << 20));
    run.log_metric("loss", 1.0, 0);
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{outcome}");
    assert_eq!(setup.store.metric_history(run.id(), "loss").unwrap().len(), 1);
    assert_eq!(setup.store.list_artifacts(ArtifactsOf::Run(run.id()), "tags").unwrap()[0].bytes, Some(70 << 20));
}

fn resuming(id: &str) -> RunOptions {
    RunOptions { resume_run_id: Some(id.into()), ..RunOptions::default() }
}

fn steps(setup: &Setup, id: &str, key: &str) -> Vec<i64> {
    setup.store.metric_history(id, key).unwrap().iter().map(|point| point.step).collect()
}

/// A run that is started without its server has two ids, and its folder the name of one of them.
#[test]
fn a_run_goes_on_under_either_id_after_what_it_has_left() {
    let down = Switch::default();
    let seen = down.clone();
    down.set(true);
    let setup = Setup::new(move |_, _| if seen.is_on() { Err(away()) } else { Ok(()) });
    let run = setup.tracker().start_run(&named("a")).unwrap();
    down.set(false);
    let begin = Instant::now();
    while run.store_id().is_none() {
        assert!(begin.elapsed() < Duration::from_secs(5), "not made");
        thread::sleep(Duration::from_millis(10));
    }
    let (local_id, id) = (run.id().to_owned(), run.store_id().unwrap().to_owned());
    let mut run = run;
    for (round, resumed) in (0..).zip([&id, &local_id, &local_id, &id]) {
        down.set(true);
        (round * 10..round * 10 + 20).for_each(|step| run.log_metric("loss", 1.0, step));
        let outcome = run.finish(RunStatus::Killed);
        assert!(!outcome.ended && outcome.left > 0, "{outcome}");
        drop(run);
        down.set(false);
        run = setup.tracker().start_run(&resuming(resumed)).unwrap();
        assert_eq!(steps(&setup, &id, "loss"), (0..round * 10 + 20).collect::<Vec<_>>());
        assert_eq!(setup.spooled().len(), 1, "only the one that is open");
    }
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{outcome}");
    assert_eq!(setup.store.run(&id).unwrap().info.status, RunStatus::Finished);
}

#[test]
fn what_a_run_has_left_for_one_store_is_not_thrown_at_another() {
    let down = Switch::default();
    let seen = down.clone();
    let setup = Setup::new(move |_, _| if seen.is_on() { Err(away()) } else { Ok(()) });
    let run = setup.tracker().start_run(&named("a")).unwrap();
    down.set(true);
    run.log_metric("loss", 1.0, 0);
    assert_eq!(run.finish(RunStatus::Killed).left, 1);
    let id = run.id().to_owned();
    drop(run);
    let inner = MemoryStore::new(&setup.folder.path().join("other"));
    let other = Faulty { inner, fault: Box::new(|_, _| Ok(())), is_remote: true, uri: "other" };
    let error = Tracker::with_store(Arc::new(other), &setup.options).start_run(&resuming(&id)).unwrap_err().to_string();
    assert!(error.contains("`faulty`") && error.contains("`other`"), "{error}");
    down.set(false);
    setup.tracker().start_run(&resuming(&id)).unwrap().finish(RunStatus::Finished);
    assert_eq!(steps(&setup, &id, "loss"), [0]);
}

#[test]
fn a_resumed_run_is_not_taken_for_silent() {
    let setup = Setup::new(|_, _| Ok(()));
    let run = setup.tracker().start_run(&named("a")).unwrap();
    let id = run.id().to_owned();
    run.finish(RunStatus::Killed);
    let tags = vec![("tracking.heartbeat".into(), "2020-01-01T00:00:00Z".into())];
    setup.store.log_batch(&id, &Batch { tags, ..Batch::default() }).unwrap();
    let run = setup.tracker().start_run(&resuming(&id)).unwrap();
    assert!(end_silent_runs(setup.store.as_ref(), Duration::from_secs(600), false).unwrap().is_empty());
    assert!(run.finish(RunStatus::Finished).is_complete());
}

#[test]
fn a_resumed_run_doubles_no_step_of_a_key_that_was_mended() {
    let setup = Setup::new(|_, _| Ok(()));
    let first = setup.tracker().start_run(&named("a")).unwrap();
    (0..5).for_each(|step| first.log_metric("recall@5", 1.0, step));
    assert!(first.finish(RunStatus::Killed).is_complete());
    let second = setup.tracker().start_run(&resuming(first.id())).unwrap();
    (3..8).for_each(|step| second.log_metric("recall@5", 0.5, step));
    assert!(second.finish(RunStatus::Finished).is_complete());
    assert_eq!(steps(&setup, first.id(), "recall_5_249b687f"), (0..8).collect::<Vec<_>>());
}

/// For example because the program has too many open files for a moment.
#[test]
fn a_journal_that_cannot_be_read_for_a_moment_is_read_on() {
    let setup = Setup::new(|_, _| Ok(()));
    let run = setup.tracker().start_run(&named("a")).unwrap();
    let segment = setup.options.spool_dir.join(run.id()).join("00000001.journal");
    thread::sleep(Duration::from_millis(300));
    fs::rename(&segment, segment.with_extension("away")).unwrap();
    run.log_metric("loss", 1.0, 0);
    thread::sleep(Duration::from_millis(500));
    assert!(steps(&setup, run.id(), "loss").is_empty());
    fs::rename(segment.with_extension("away"), &segment).unwrap();
    let begin = Instant::now();
    while steps(&setup, run.id(), "loss").is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(5), "nobody reads on");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(run.finish(RunStatus::Finished).is_complete());
}
