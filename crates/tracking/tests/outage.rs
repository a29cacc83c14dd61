//! A real server that goes away and comes back, disks without room, and processes that are killed.
//!
//! `MLFLOW_PYTHON` names a Python that has MLflow; without it the tests that need a server say that they were skipped.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "support/stage.rs"]
mod stage;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rusqlite::Connection;
use stage::proxy::Fault::{self, Answer, Hang};
use stage::{Stage, figure, spawn, up_to};
use tempfile::TempDir;
use tracing::field::{Field, Visit};
use tracing::{Level, span};
use tracking::{HttpOptions, Options, RunOptions, RunStatus, SqliteStore, Store, Tracker};

const URI: &str = "TRACKING_TEST_URI";
const FOLDER: &str = "TRACKING_TEST_FOLDER";

/// What a child process tracks with: everything that it writes itself is in `folder`.
fn options(uri: &str, folder: &Path) -> Options {
    let http = HttpOptions { timeout: Duration::from_secs(2), ..HttpOptions::default() };
    Options { uri: uri.into(), artifact_root: folder.join("mlruns"), http, ..Options::default() }
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
