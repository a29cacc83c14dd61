//! A real server that goes away and comes back, disks without room, and processes that are killed.
//!
//! `MLFLOW_PYTHON` names a Python that has MLflow; without it the tests that need a server say that they were skipped.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "support/stage.rs"]
mod stage;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};

use rusqlite::{Connection, OpenFlags};
use stage::proxy::Fault::{self, Answer, Hang, LoseReply, Pass};
use stage::{Stage, figure, memory_kb, spawn, up_to};
use tempfile::TempDir;
use tracing::field::{Field, Visit};
use tracing::{Level, span};
use tracking::sync::{Leftover, leftovers, send};
use tracking::{HttpOptions, Options, RunOptions, RunQuery, RunStatus, SqliteStore, Store, Tracker};

const URI: &str = "TRACKING_TEST_URI";
const FOLDER: &str = "TRACKING_TEST_FOLDER";

/// What a child process tracks with: everything that it writes itself is in `folder`.
fn options(uri: &str, folder: &Path) -> Options {
    let http = HttpOptions { timeout: Duration::from_secs(2), ..HttpOptions::default() };
    let (artifact_root, spool_dir) = (folder.join("mlruns"), folder.join("spool"));
    Options { uri: uri.into(), artifact_root, spool_dir, http, ..Options::default() }
}

fn child_options() -> Options {
    options(&env::var(URI).unwrap(), Path::new(&env::var_os(FOLDER).unwrap()))
}

fn in_experiment(experiment: &str) -> RunOptions {
    RunOptions { experiment: experiment.into(), ..RunOptions::default() }
}

fn check_integrity(database: &Path) {
    let connection = Connection::open(database).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

/// A child process, with which a test talks line by line.
struct Talk {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Talk {
    fn start(test: &str, variables: &[(&str, String)]) -> Self {
        let mut child = spawn(test, variables);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits for this line; gives those before it.
    fn wait_for(&mut self, line: &str) -> String {
        let mut before = String::new();
        for said in self.lines.by_ref().map(Result::unwrap) {
            if said == line {
                return before;
            }
            before += &(said + "\n");
        }
        panic!("no `{line}` in: {before}");
    }

    /// Lets the child go on.
    fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// What else it says, once it has ended well.
    fn end(mut self) -> String {
        let rest: Vec<String> = self.lines.map(Result::unwrap).collect();
        let rest = rest.join("\n");
        assert!(self.child.wait().unwrap().success(), "{rest}");
        rest
    }
}

/// In a child: says a line, and waits until it may go on.
fn say_and_wait(line: &str) {
    println!("\n{line}");
    std::io::stdin().lines().next().unwrap().unwrap();
}

/// Rows "server down, hanging, or answering 429/500/503 mid-run".
#[test]
fn a_run_goes_on_through_an_outage() {
    let outages = [
        ("down", None),
        ("hanging", Some(Hang)),
        ("429", Some(Answer(429, ""))),
        ("429 and a wish", Some(Answer(429, "Retry-After: 1\r\n"))),
        ("500", Some(Answer(500, ""))),
        ("503", Some(Answer(503, ""))),
    ];
    if Stage::new().is_none() {
        return;
    }
    thread::scope(|scope| {
        for (name, fault) in outages {
            scope.spawn(move || outlive(name, fault));
        }
    });
}

/// Without a fault, the server is down.
fn outlive(name: &str, fault: Option<Fault>) {
    let stage = Stage::new().unwrap();
    let folder = TempDir::new().unwrap();
    let options = Options { exit_timeout: Duration::from_secs(30), ..options(&stage.proxy.uri(), folder.path()) };
    let run = Tracker::open(&options).unwrap().start_run(&in_experiment(&format!("outage {name}"))).unwrap();
    let (mut slowest, mut requests) = (Duration::ZERO, 0);
    for step in 0..800 {
        match step {
            100 => {
                match fault {
                    Some(fault) => stage.proxy.always(fault),
                    None => stage.proxy.down(),
                }
                requests = stage.proxy.count("runs/log-batch");
            }
            600 => {
                requests = stage.proxy.count("runs/log-batch") - requests;
                stage.proxy.up();
            }
            _ => {}
        }
        let call = Instant::now();
        run.log_metric("loss", 1.0, step);
        slowest = slowest.max(call.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    assert!(slowest < Duration::from_millis(250), "{name}: a call took {slowest:?}");
    assert!(requests <= 10, "{name}: {requests} requests to a server that is not well");
    assert!(name == "down" || requests > 0, "{name}: nobody noticed");
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{name}: {outcome}");
    let runs = stage.runs(&format!("outage {name}"));
    assert_eq!((runs.len(), runs[0].info.status), (1, RunStatus::Finished), "{name}");
    assert_eq!(stage.steps(run.id(), "loss"), up_to(800), "{name}");
}

/// A small disk. Making one needs root; a test that gets none says so and passes.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let size = format!("size={megabytes}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        if mount.is_ok_and(|mount| mount.status.success()) {
            return Some(Self { folder });
        }
        eprintln!("skipped: no right to mount a small disk");
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.path("filler")).unwrap();
        while file.write_all(&[0; 1024]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.path("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // One that stays costs a few megabytes of memory.
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

/// Collects the warnings of a child process.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Message(&mut self.0.lock().unwrap()));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Message<'a>(&'a mut Vec<String>);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0.push(format!("{value:?}"));
        }
    }
}

const BEFORE: i64 = 1000;
const WHILE_FULL: i64 = 100_000;
const AFTER: i64 = 2000;

/// Not a test of its own: logs while there is room, while there is none, and when there is room again.
#[test]
#[ignore = "run by the tests below"]
fn child_disk_full() {
    let warnings = Warnings::default();
    tracing::subscriber::set_global_default(warnings.clone()).unwrap();
    let options = Options { queue_bytes: 1 << 20, ..child_options() };
    let run = Tracker::open(&options).unwrap().start_run(&in_experiment("disk full")).unwrap();
    println!("\nrun\n{}", run.id());
    (0..BEFORE).for_each(|step| run.log_metric("loss", 1.0, step));
    thread::sleep(Duration::from_secs(1));
    say_and_wait("room");
    let mut slowest = Duration::ZERO;
    for step in BEFORE..BEFORE + WHILE_FULL {
        let call = Instant::now();
        run.log_metric("loss", 1.0, step);
        slowest = slowest.max(call.elapsed());
        if step % 1000 == 0 {
            thread::sleep(Duration::from_millis(30));
        }
    }
    say_and_wait("full");
    // Longer than the longest pause between two tries can be by now.
    thread::sleep(Duration::from_secs(8));
    for step in BEFORE + WHILE_FULL..BEFORE + WHILE_FULL + AFTER {
        run.log_metric("loss", 1.0, step);
    }
    let outcome = run.finish(RunStatus::Finished);
    println!("dropped: {}\nleft: {}\nslowest_ms: {}", outcome.dropped, outcome.left, slowest.as_millis());
    println!("outcome {outcome}");
    let warnings = warnings.0.lock().unwrap();
    let about_the_disk = warnings.iter().filter(|text| text.contains("full") || text.contains("space")).count();
    println!("disk_warnings: {about_the_disk}\n{warnings:?}");
}

/// What the child of a test about a full disk must have said. Gives how many points it says are missing.
fn check_full_disk(said: &str) -> i64 {
    let missing = figure(said, "dropped");
    assert!(missing > 0 && said.contains(&format!("{missing} dropped")), "{said}");
    assert!(figure(said, "slowest_ms") < 250, "{said}");
    assert_eq!(figure(said, "disk_warnings"), 1, "{said}");
    println!(
        "disk full: {missing} of {WHILE_FULL} points found no room, slowest call {} ms",
        figure(said, "slowest_ms")
    );
    missing as i64
}

/// What was logged before and after is there, and of the rest as much as was said.
fn check_steps(steps: &[i64], missing: i64) {
    assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "a point is there twice");
    assert_eq!(steps.len() as i64 + missing, BEFORE + WHILE_FULL + AFTER);
    assert_eq!(steps[..BEFORE as usize], up_to(BEFORE));
    assert_eq!(steps[steps.len() - AFTER as usize], BEFORE + WHILE_FULL);
}

/// Row "disk full", embedded store.
#[test]
fn a_full_disk_costs_only_what_finds_no_room_in_a_file() {
    let Some(disk) = SmallDisk::mount(8) else { return };
    let database = disk.path("mlflow.db");
    let uri = format!("sqlite:///{}", database.display());
    let folder = disk.folder.path().display().to_string();
    let mut child = Talk::start("child_disk_full", &[(URI, uri), (FOLDER, folder)]);
    child.wait_for("run");
    let said = child.wait_for("room");
    disk.fill();
    child.go();
    let said = said + &child.wait_for("full");
    disk.free();
    child.go();
    let said = said + &child.end();
    let missing = check_full_disk(&said);
    check_integrity(&database);
    let store = SqliteStore::open(&database, &disk.path("mlruns")).unwrap();
    let run_id = said.lines().next().unwrap();
    let steps: Vec<i64> = store.metric_history(run_id, "loss").unwrap().iter().map(|point| point.step).collect();
    check_steps(&steps, missing);
    let run = store.run(run_id).unwrap();
    assert_eq!(run.info.status, RunStatus::Finished);
    assert_eq!(run.tags["tracking.records_dropped"], missing.to_string());
}

/// Sends what is left in the spool of `options`, once nobody else does.
fn send_rest(options: &Options) {
    let begin = Instant::now();
    loop {
        let found = leftovers(&options.spool_dir).unwrap();
        if found.is_empty() {
            return;
        }
        for (folder, look) in found {
            match look {
                Ok(look) => assert_eq!(look.discarded_bytes, 0),
                // A thread of ours is just deleting it, and will be done soon.
                Err(error) => assert!(begin.elapsed() < Duration::from_secs(20), "{}: {error}", folder.display()),
            }
            match send(&folder, None, &options.http, Duration::from_secs(30)) {
                Ok(sent) => assert_eq!(sent.set_aside, 0, "{sent:?}"),
                // A thread of ours or of `Tracker::open` is still at it.
                Err(error) => assert!(error.to_string().contains("is being written by"), "{error}"),
            }
        }
        assert!(begin.elapsed() < Duration::from_secs(3600), "still not sent");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Row "server down at start": it comes while the run goes on.
#[test]
fn a_run_starts_without_its_server_and_arrives_with_it() {
    let Some(stage) = Stage::new() else { return };
    let folder = TempDir::new().unwrap();
    let options = Options { exit_timeout: Duration::from_secs(60), ..options(&stage.proxy.uri(), folder.path()) };
    stage.proxy.down();
    let begin = Instant::now();
    let run = Tracker::open(&options).unwrap().start_run(&in_experiment("down at start")).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(run.store_id().is_none() && run.id().len() == 32, "{}", run.id());
    for step in 0..1000 {
        if step == 300 {
            stage.proxy.up();
        }
        run.log_metric("loss", 1.0, step);
        thread::sleep(Duration::from_millis(3));
    }
    run.log_param("seed", "42");
    run.log_text("hello", "hello.txt");
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{outcome}");
    let runs = stage.runs("down at start");
    assert_eq!(runs.len(), 1);
    let (stored, info) = (&runs[0], &runs[0].info);
    assert_eq!(stored.tags["tracking.local_run_id"], run.id());
    assert_eq!((info.status, stored.params["seed"].as_str()), (RunStatus::Finished, "42"));
    assert_eq!(stage.steps(&info.run_id, "loss"), up_to(1000));
    assert_eq!(stage.files(&info.run_id, "").len(), 1);
}

/// Row "server down at start": it comes after the run, and the reply to the first sync is lost.
#[test]
fn a_run_that_never_saw_its_server_is_sent_later() {
    let Some(stage) = Stage::new() else { return };
    let folder = TempDir::new().unwrap();
    let options = options(&stage.proxy.uri(), folder.path());
    stage.proxy.down();
    let start_ms = now_ms();
    let run = Tracker::open(&options).unwrap().start_run(&in_experiment("never seen")).unwrap();
    (0..5000).for_each(|step| run.log_metric("loss", 1.0, step));
    run.log_text("hello", "hello.txt");
    let begin = Instant::now();
    let outcome = run.finish(RunStatus::Finished);
    let end_ms = now_ms();
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    assert_eq!((outcome.written, outcome.left, outcome.dropped), (0, 5001, 0), "{outcome}");
    let local_id = run.id().to_owned();
    drop(run);
    // Time passes: what is stored must have the time at which it was logged.
    thread::sleep(Duration::from_secs(2));
    stage.proxy.up();
    stage.proxy.script(|request| if request.number == 0 { LoseReply } else { Pass });
    send_rest(&options);
    let runs = stage.runs("never seen");
    assert_eq!(runs.len(), 1);
    let info = &runs[0].info;
    assert_eq!(runs[0].tags["tracking.local_run_id"], local_id);
    let end = info.end_time_ms.unwrap();
    assert!(info.start_time_ms >= start_ms && end <= end_ms, "{start_ms} {info:?} {end_ms}");
    assert_eq!(info.status, RunStatus::Finished);
    let points = stage.store.metric_history(&info.run_id, "loss").unwrap();
    assert_eq!(points.iter().map(|point| point.step).collect::<Vec<_>>(), up_to(5000));
    assert!(points.iter().all(|point| (start_ms..=end_ms).contains(&point.timestamp_ms)), "times are not the original");
    assert_eq!(stage.files(&info.run_id, "").len(), 1);

    let requests = stage.proxy.count("runs/log-batch");
    send_rest(&options);
    assert_eq!(stage.proxy.count("runs/log-batch"), requests, "a second sync has nothing to do");
    assert_eq!(stage.runs("never seen").len(), 1);
}

/// Promise 6: an exit with a backlog takes at most 5 s, and the rest is sent by a later sync.
#[test]
fn an_exit_with_a_backlog_is_bounded_and_the_rest_is_sent_later() {
    let Some(stage) = Stage::new() else { return };
    let folder = TempDir::new().unwrap();
    let options = options(&stage.proxy.uri(), folder.path());
    let run = Tracker::open(&options).unwrap().start_run(&in_experiment("backlog")).unwrap();
    stage.proxy.always(Hang);
    (0..50_000).for_each(|step| run.log_metric("loss", 1.0, step));
    let begin = Instant::now();
    let outcome = run.finish(RunStatus::Finished);
    let took = begin.elapsed();
    let end_ms = now_ms();
    println!("exit with 50000 points before a server that hangs: {took:?}: {outcome}");
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!((outcome.left, outcome.dropped, outcome.ended), (50_000, 0, false), "{outcome}");
    let run_id = run.id().to_owned();
    drop(run);
    stage.proxy.up();
    send_rest(&options);
    assert_eq!(stage.steps(&run_id, "loss"), up_to(50_000));
    let info = stage.run(&run_id).info;
    assert_eq!(info.status, RunStatus::Finished);
    assert!(info.end_time_ms.unwrap() <= end_ms, "the end is when the run ended, not when it was sent");
}

fn outage_points() -> i64 {
    env::var("OUTAGE_POINTS").map_or(180_000, |points| points.parse().unwrap())
}

/// Points of one step.
const KEYS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
/// Steps before the outage, and after it.
const AROUND: i64 = 200;

/// Not a test of its own: logs before, during and after an outage, 100,000 points per second at most.
#[test]
#[ignore = "run by the test below"]
fn child_long_outage() {
    let run = Tracker::open(&child_options()).unwrap().start_run(&in_experiment("long outage")).unwrap();
    println!("\nrun\n{}", run.id());
    let log = |step: i64| run.log_metrics(&KEYS.map(|key| (key, step as f64)), step);
    (0..AROUND).for_each(log);
    thread::sleep(Duration::from_secs(2));
    say_and_wait("before");
    let last = AROUND + outage_points() / KEYS.len() as i64;
    for step in AROUND..last {
        log(step);
        if step % 100 == 0 {
            thread::sleep(Duration::from_millis(10));
        }
    }
    say_and_wait("during");
    (last..last + AROUND).for_each(log);
    // The backlog is being sent, and memory is watched.
    thread::sleep(Duration::from_secs(5));
    let outcome = run.finish(RunStatus::Finished);
    println!("dropped: {}\nleft: {}\n{outcome}", outcome.dropped, outcome.left);
}

/// Promises 3, 4 and 7: what an hour logs at ten metrics and five steps per second, while the server is down, hangs, and
/// answers 503. `OUTAGE_POINTS=2000000` is more than fifty steps per second.
#[test]
fn an_hour_without_a_server_costs_no_memory_and_no_point() {
    let Some(stage) = Stage::new() else { return };
    let folder = TempDir::new().unwrap();
    let options = options(&stage.proxy.uri(), folder.path());
    let variables = [(URI, stage.proxy.uri()), (FOLDER, folder.path().display().to_string())];
    let mut child = Talk::start("child_long_outage", &variables);
    child.wait_for("run");
    let before = child.wait_for("before");
    let run_id = before.lines().next().unwrap().to_owned();
    let memory = MemoryWatch::start(child.child.id());
    stage.proxy.down();
    child.go();
    // Down, then each of the others for a while.
    thread::sleep(Duration::from_millis(500));
    stage.proxy.up();
    stage.proxy.script(|request| if request.number % 2 == 0 { Hang } else { Answer(503, "Retry-After: 1\r\n") });
    child.wait_for("during");
    stage.proxy.up();
    let back = Instant::now();
    child.go();
    let said = child.end();
    let growth_kb = memory.stop();
    assert_eq!(figure(&said, "dropped"), 0, "{said}");
    let left = figure(&said, "left");
    send_rest(&options);
    let sent_s = back.elapsed().as_secs_f64();
    println!(
        "{} points without a server: memory grew by {growth_kb} kB, {left} were left at exit, all sent {sent_s:.0} s \
         after it was back",
        outage_points()
    );
    assert!(growth_kb < 16 << 10, "memory grew by {growth_kb} kB");
    check_long_outage(&stage, &run_id);
}

fn check_long_outage(stage: &Stage, run_id: &str) {
    assert_eq!(stage.run(run_id).info.status, RunStatus::Finished);
    let steps = 2 * AROUND + outage_points() / KEYS.len() as i64;
    let database = Connection::open_with_flags(stage.server.database(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    for key in KEYS {
        let rows: (i64, i64, i64, i64, i64) = database
            .query_row(
                "SELECT count(*), count(DISTINCT step), min(step), max(step), sum(value != step) FROM metrics \
                 WHERE run_uuid = ? AND key = ?",
                [run_id, key],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
            )
            .unwrap();
        assert_eq!(rows, (steps, steps, 0, steps - 1, 0), "{key}");
    }
    let out_of_order: i64 = database
        .query_row(
            "SELECT count(*) FROM (SELECT timestamp - lag(timestamp) OVER (PARTITION BY key ORDER BY step) AS gap \
             FROM metrics WHERE run_uuid = ?) WHERE gap < 0",
            [run_id],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(out_of_order, 0);
}

/// Looks at the memory of a process from outside.
struct MemoryWatch {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<u64>,
}

impl MemoryWatch {
    fn start(process: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, process) = (stop.clone(), process.to_string());
        let first = memory_kb(&process, "VmRSS").unwrap();
        let watch = move || {
            let mut most = first;
            while !stopped.load(Ordering::Relaxed) {
                // None once the process has ended.
                most = most.max(memory_kb(&process, "VmRSS").unwrap_or(0));
                thread::sleep(Duration::from_millis(10));
            }
            most - first
        };
        Self { stop, thread: thread::spawn(watch) }
    }

    /// How far memory has grown at most, in kB.
    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Row "resume", with nothing of the first part on the server yet.
#[test]
fn a_run_that_is_only_in_its_journal_is_resumed() {
    let Some(stage) = Stage::new() else { return };
    let folder = TempDir::new().unwrap();
    let options = options(&stage.proxy.uri(), folder.path());
    stage.proxy.down();
    let first = Tracker::open(&options).unwrap().start_run(&in_experiment("resumed unsent")).unwrap();
    (0..100).for_each(|step| first.log_metric("loss", 1.0, step));
    let id = first.id().to_owned();
    first.finish(RunStatus::Killed);
    drop(first);
    stage.proxy.up();
    let tracker = Tracker::open(&options).unwrap();
    let resume = RunOptions { resume_run_id: Some(id), ..RunOptions::default() };
    let second = tracker.start_run(&resume).unwrap();
    (100..200).for_each(|step| second.log_metric("loss", 1.0, step));
    second.finish(RunStatus::Finished);
    drop(second);
    send_rest(&options);
    let runs = stage.runs("resumed unsent");
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].info.status, RunStatus::Finished);
    assert_eq!(stage.steps(&runs[0].info.run_id, "loss"), up_to(200));
}

/// Row "disk full", journal: the server is away, and there is no room for what it does not get.
#[test]
fn a_full_disk_costs_only_what_finds_no_room_in_a_journal() {
    let Some(stage) = Stage::new() else { return };
    let Some(disk) = SmallDisk::mount(2) else { return };
    let folder = disk.folder.path().display().to_string();
    let mut child = Talk::start("child_disk_full", &[(URI, stage.proxy.uri()), (FOLDER, folder)]);
    child.wait_for("run");
    let said = child.wait_for("room");
    stage.proxy.down();
    disk.fill();
    child.go();
    let said = said + &child.wait_for("full");
    disk.free();
    stage.proxy.up();
    child.go();
    let said = said + &child.end();
    let missing = check_full_disk(&said);
    send_rest(&options(&stage.proxy.uri(), disk.folder.path()));
    let run_id = said.lines().next().unwrap();
    check_steps(&stage.steps(run_id, "loss"), missing);
    let run = stage.run(run_id);
    assert_eq!(run.info.status, RunStatus::Finished);
    assert_eq!(run.tags["tracking.records_dropped"], missing.to_string());
}

/// Rows "torn or truncated journal record" and "one unreadable journal among many": of three runs that never saw their
/// server, one has a journal that a power cut has torn, and one lost its ticket.
#[test]
fn damaged_journals_cost_what_is_damaged() {
    let Some(stage) = Stage::new() else { return };
    let folder = TempDir::new().unwrap();
    let options = options(&stage.proxy.uri(), folder.path());
    stage.proxy.down();
    let tracker = Tracker::open(&options).unwrap();
    let folders = ["torn", "no ticket", "whole"].map(|experiment| {
        let run = tracker.start_run(&in_experiment(experiment)).unwrap();
        (0..1000).for_each(|step| run.log_metric("loss", 1.0, step));
        run.finish(RunStatus::Finished);
        options.spool_dir.join(run.id())
    });
    // Its own thread would send what we damage.
    drop(tracker);
    let is_live =
        |(_, leftover): &(PathBuf, tracking::Result<Leftover>)| leftover.as_ref().is_ok_and(|run| run.is_live);
    while leftovers(&options.spool_dir).unwrap().iter().any(is_live) {
        thread::sleep(Duration::from_millis(50));
    }
    stage.proxy.up();
    let is_journal = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "journal");
    let journal = fs::read_dir(&folders[0]).unwrap().map(|entry| entry.unwrap().path()).find(is_journal).unwrap();
    let bytes = fs::metadata(&journal).unwrap().len();
    fs::File::options().write(true).open(&journal).unwrap().set_len(bytes / 2).unwrap();
    fs::write(folders[1].join("run.json"), "{").unwrap();

    let send = |folder: &PathBuf| send(folder, None, &options.http, Duration::from_secs(30));
    let torn = send(&folders[0]).unwrap();
    assert!(torn.is_complete && torn.discarded_bytes > 0, "{torn:?}");
    let steps = stage.steps(&torn.run_id.unwrap(), "loss");
    assert!((300..700).contains(&steps.len()), "{} points of half a journal", steps.len());
    assert_eq!(steps, up_to(steps.len() as i64));
    let error = send(&folders[1]).unwrap_err().to_string();
    assert!(error.contains("run.json") && error.contains("damaged"), "{error}");
    let whole = send(&folders[2]).unwrap();
    assert!(whole.is_complete, "{whole:?}");
    assert_eq!(stage.steps(&whole.run_id.unwrap(), "loss"), up_to(1000));
    let left: Vec<PathBuf> = leftovers(&options.spool_dir).unwrap().into_iter().map(|(folder, _)| folder).collect();
    assert_eq!(left, [folders[1].clone()], "the damaged one stays, to be looked at");
}

/// What is logged within this time before a `kill -9` may be lost: `Options::flush_interval` (100 ms) and the time of one
/// write to a disk, on a machine that does other things as well.
const WINDOW_MS: i64 = 500;
const CRASHES: &str = "crashes";

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Not a test of its own: logs until it is killed, and says what and when: `logged STEP TIME`.
#[test]
#[ignore = "run by the tests below"]
fn child_crash() {
    let run = Tracker::open(&child_options()).unwrap().start_run(&in_experiment(CRASHES)).unwrap();
    println!("\nrun {}", run.id());
    for step in 0.. {
        run.log_metric("loss", step as f64, step);
        println!("logged {step} {}", now_ms());
        if step % 4 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        if step % 500 == 0 {
            run.log_param(&format!("p{step}"), "1");
            run.log_text("hello", &format!("{step}.txt"));
        }
    }
}

/// A process that was killed.
struct Crash {
    run_id: String,
    /// When each step was logged, in ms.
    logged: Vec<i64>,
    killed_ms: i64,
}

/// Kills a child at a random moment; `None` when it had not started its run yet.
fn crash(variables: &[(&str, String)]) -> Option<Crash> {
    let mut child = spawn("child_crash", variables);
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let listen = thread::spawn(move || stdout.lines().map_while(Result::ok).collect::<Vec<String>>());
    let random = u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos());
    thread::sleep(Duration::from_micros(random % 1_500_000));
    let killed_ms = now_ms();
    child.kill().unwrap();
    child.wait().unwrap();
    let lines = listen.join().unwrap();
    let run_id = lines.iter().find_map(|line| line.strip_prefix("run "))?.to_owned();
    // The last line may be torn: a step without its time was logged all the same, and is not counted.
    let times = lines.iter().filter_map(|line| line.strip_prefix("logged ")?.split_once(' ')?.1.parse().ok());
    Some(Crash { run_id, logged: times.collect(), killed_ms })
}

/// Kills `CRASH_TESTS` processes (12) one after the other; each finds what the one before has left.
fn crashes(variables: &[(&str, String)]) -> Vec<Crash> {
    let count = env::var("CRASH_TESTS").map_or(12, |count| count.parse().unwrap());
    (0..count).filter_map(|_| crash(variables)).collect()
}

/// What is in the store of each process that was killed: a beginning of what it logged, up to the loss window.
fn check_crashes(tracker: &Tracker, crashes: &[Crash], place: &str) {
    let store = tracker.store();
    let (mut logged, mut lost, mut worst_ms) = (0, 0, 0);
    for crash in crashes {
        // A run may have started under a local id: the network was bad.
        let info = tracker.find_run(&crash.run_id).unwrap().info;
        let points = store.metric_history(&info.run_id, "loss").unwrap();
        let steps: Vec<i64> = points.iter().map(|point| point.step).collect();
        assert_eq!(steps, up_to(steps.len() as i64), "run {}: a hole, or a point twice", crash.run_id);
        assert!(points.iter().all(|point| point.value == point.step as f64));
        logged += crash.logged.len();
        if let Some(first_lost_ms) = crash.logged.get(steps.len()) {
            lost += crash.logged.len() - steps.len();
            worst_ms = worst_ms.max(crash.killed_ms - first_lost_ms);
        }
        let end_ms = info.end_time_ms.unwrap_or_else(|| panic!("no end: {info:?}"));
        let last_ms = points.last().map_or(info.start_time_ms, |point| point.timestamp_ms);
        assert!((last_ms - 1000..=crash.killed_ms + 1000).contains(&end_ms), "{last_ms} {end_ms} {}", crash.killed_ms);
    }
    println!(
        "{place}: {} runs were killed, {logged} points logged, {lost} lost within the window, the oldest {worst_ms} ms old",
        crashes.len()
    );
    assert!(crashes.len() > 3 && logged > 500, "too little was tested");
    assert!(worst_ms <= WINDOW_MS, "a point that was {worst_ms} ms old is lost");
    // Also those that were killed before they could say which run was theirs.
    let experiment_id = store.experiment_by_name(CRASHES).unwrap().unwrap().experiment_id;
    let query = RunQuery { experiment_ids: vec![experiment_id], ..RunQuery::default() };
    let runs = store.search_runs(&query).unwrap().items;
    assert!(runs.len() >= crashes.len());
    let alive: Vec<_> = runs.iter().filter(|run| run.info.status != RunStatus::Killed).collect();
    assert!(alive.is_empty(), "{} dead runs still run: {alive:#?}", alive.len());
}

/// Row "`kill -9` at any moment", embedded store.
#[test]
fn processes_that_are_killed_lose_little_in_a_file() {
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("mlflow.db");
    let uri = format!("sqlite:///{}", database.display());
    let crashes = crashes(&[(URI, uri.clone()), (FOLDER, folder.path().display().to_string())]);
    let tracker = Tracker::open(&options(&uri, folder.path())).unwrap();
    check_crashes(&tracker, &crashes, "embedded store");
    drop(tracker);
    check_integrity(&database);
}

/// Row "`kill -9` at any moment", journal and server. The network is bad as well.
#[test]
fn processes_that_are_killed_lose_little_in_a_journal() {
    let Some(stage) = Stage::new() else { return };
    let folder = TempDir::new().unwrap();
    stage.proxy.script(|request| match (request.endpoint, request.number % 7) {
        (_, 3) => LoseReply,
        ("runs/log-batch", 5) => Answer(503, ""),
        _ => Pass,
    });
    let crashes = crashes(&[(URI, stage.proxy.uri()), (FOLDER, folder.path().display().to_string())]);
    stage.proxy.up();
    let options = options(&stage.proxy.uri(), folder.path());
    let tracker = Tracker::open(&options).unwrap();
    send_rest(&options);
    check_crashes(&tracker, &crashes, "journal and server");
}
/// Row "resume from an older checkpoint".
fn resume_doubles_no_step(tracker: &Tracker, experiment: &str) {
    let first = tracker.start_run(&in_experiment(experiment)).unwrap();
    (0..100).for_each(|step| first.log_metrics(&[("loss", 1.0), ("accuracy", 0.5)], step));
    let id = first.id().to_owned();
    assert!(first.finish(RunStatus::Killed).is_complete());
    drop(first);
    let resume = RunOptions { resume_run_id: Some(id.clone()), ..RunOptions::default() };
    let second = tracker.start_run(&resume).unwrap();
    assert_eq!(second.id(), id);
    // The last checkpoint was written after step 59.
    (60..150).for_each(|step| second.log_metrics(&[("loss", 1.0), ("accuracy", 0.5)], step));
    assert!(second.finish(RunStatus::Finished).is_complete());
    assert_eq!(tracker.store().run(&id).unwrap().info.status, RunStatus::Finished);
    for key in ["loss", "accuracy"] {
        let points = tracker.store().metric_history(&id, key).unwrap();
        assert_eq!(points.iter().map(|point| point.step).collect::<Vec<_>>(), up_to(150), "{key}");
    }
}

#[test]
fn a_resumed_run_doubles_no_step_in_a_file() {
    let folder = TempDir::new().unwrap();
    let uri = format!("sqlite:///{}", folder.path().join("mlflow.db").display());
    resume_doubles_no_step(&Tracker::open(&options(&uri, folder.path())).unwrap(), "resumed");
}

#[test]
fn a_resumed_run_doubles_no_step_on_a_server() {
    let Some(stage) = Stage::new() else { return };
    let folder = TempDir::new().unwrap();
    let options = Options { exit_timeout: Duration::from_secs(30), ..options(&stage.proxy.uri(), folder.path()) };
    resume_doubles_no_step(&Tracker::open(&options).unwrap(), "resumed");
}
