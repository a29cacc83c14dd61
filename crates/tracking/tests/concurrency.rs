//! Many writers on one embedded store: threads, processes, and one that is killed.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::{env, thread};

use rusqlite::Connection;
use tempfile::TempDir;
use tracking::{Batch, Error, Metric, NewRegisteredModel, NewRun, NewVersion, RunQuery, SqliteStore, Store};

const FOLDER: &str = "TRACKING_TEST_FOLDER";
const BATCHES: &str = "TRACKING_TEST_BATCHES";
const POINTS_PER_BATCH: i64 = 20;

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(&folder.join("mlflow.db"), &folder.join("mlruns")).unwrap()
}

fn check_integrity(folder: &Path) {
    let connection = Connection::open(folder.join("mlflow.db")).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

fn new_run(store: &SqliteStore, experiment_id: &str) -> String {
    store.create_run(&NewRun { experiment_id: experiment_id.into(), ..NewRun::default() }).unwrap().run_id
}

/// Logs one batch of the metric `loss` plus a param.
fn log(store: &SqliteStore, run_id: &str, batch: i64) {
    let point =
        |index| Metric { key: "loss".into(), value: 0.5, timestamp_ms: 1, step: batch * POINTS_PER_BATCH + index };
    let metrics = (0..POINTS_PER_BATCH).map(point).collect();
    let params = vec![(format!("p{batch}"), batch.to_string())];
    store.log_batch(run_id, &Batch { metrics, params, tags: Vec::new() }).unwrap();
}

fn check_run(store: &SqliteStore, run_id: &str, batches: i64) {
    let steps: Vec<i64> = store.metric_history(run_id, "loss").unwrap().iter().map(|point| point.step).collect();
    assert_eq!(steps, (0..batches * POINTS_PER_BATCH).collect::<Vec<_>>());
    let run = store.run(run_id).unwrap();
    assert_eq!((run.params.len() as i64, run.metrics["loss"].step), (batches, batches * POINTS_PER_BATCH - 1));
}

/// MLflow's own queries need them: see the `Drop` of the store.
#[test]
fn closing_leaves_statistics() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let run_id = new_run(&store, "0");
    log(&store, &run_id, 0);
    drop(store);
    assert!(!folder.path().join("mlflow.db-wal").exists(), "closing tidies up");
    let connection = Connection::open(folder.path().join("mlflow.db")).unwrap();
    let count = "SELECT count(*) FROM sqlite_stat1 WHERE tbl IN ('runs', 'latest_metrics', 'params')";
    let rows: i64 = connection.query_row(count, [], |row| row.get(0)).unwrap();
    assert!(rows >= 3, "{rows} rows");
}

#[test]
fn eight_threads_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let run_id = new_run(&store, "0");
                (0..25).for_each(|batch| log(&store, &run_id, batch));
                check_run(&store, &run_id, 25);
            });
        }
    });
    let query = RunQuery { experiment_ids: vec!["0".into()], ..RunQuery::default() };
    assert_eq!(store.search_runs(&query).unwrap().items.len(), 8);
}

/// A reader leaves no statistics, and waits for no writer when it goes.
#[test]
fn reading_writes_nothing() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let run_id = new_run(&store, "0");
    log(&store, &run_id, 0);
    drop(store);
    let connection = Connection::open(folder.path().join("mlflow.db")).unwrap();
    connection.execute_batch("DELETE FROM sqlite_stat1").unwrap();
    let store = open(folder.path());
    let query = RunQuery { experiment_ids: vec!["0".into()], ..RunQuery::default() };
    assert_eq!(store.ranked_runs(&query, "loss", true).unwrap().count(), 1);
    drop(store);
    let rows: i64 = connection.query_row("SELECT count(*) FROM sqlite_stat1", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0);
}

/// Of many that saw the same champion, one replaces it.
#[test]
fn one_of_many_moves_an_alias() {
    const THREADS: u32 = 8;
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let model = || "wine".to_owned();
    store.registry().create_model(&NewRegisteredModel { name: model(), ..NewRegisteredModel::default() }).unwrap();
    for _ in 0..2 * THREADS {
        let version = NewVersion { name: model(), source: "/tmp/wine".into(), ..NewVersion::default() };
        store.registry().create_version(&version).unwrap();
    }
    let (mut expected, start) = (None, Barrier::new(THREADS as usize));
    // Versions of their own in odd rounds, so that nobody points it to where it is.
    for first in [1, 1 + THREADS].into_iter().cycle().take(6) {
        let attempt = &|version: u32| {
            let own = open(folder.path());
            start.wait();
            own.registry().move_alias("wine", "champion", expected, version).map(|()| version)
        };
        let attempts: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> =
                (first..first + THREADS).map(|version| scope.spawn(move || attempt(version))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let won: Vec<u32> = attempts.iter().filter_map(|attempt| attempt.as_ref().ok().copied()).collect();
        let lost = attempts.iter().filter(|attempt| matches!(attempt, Err(Error::Conflict(_)))).count();
        assert_eq!((won.len(), lost), (1, THREADS as usize - 1), "{attempts:?}");
        expected = Some(won[0]);
        assert_eq!(store.registry().model("wine").unwrap().aliases.get("champion").copied(), expected);
    }
}

/// Starts [`child_writer`] in a process of its own.
fn spawn_writer(folder: &Path, batches: i64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child_writer", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(BATCHES, batches.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Not a test of its own: what a child process does. Prints `run ID`, then `done N` after each batch that was
/// acknowledged.
#[test]
#[ignore = "run by the tests below"]
fn child_writer() {
    let folder = env::var_os(FOLDER).unwrap();
    let batches: i64 = env::var(BATCHES).unwrap().parse().unwrap();
    let store = open(Path::new(&folder));
    let experiment_id = match store.create_experiment("shared") {
        Ok(id) => id,
        Err(Error::AlreadyExists(_)) => store.experiment_by_name("shared").unwrap().unwrap().experiment_id,
        Err(error) => panic!("{error}"),
    };
    let run_id = new_run(&store, &experiment_id);
    println!("\nrun {run_id}");
    for batch in 0..batches {
        log(&store, &run_id, batch);
        println!("done {batch}");
    }
}

/// Six processes create the same file and the same experiment at once and write.
#[test]
fn processes_that_start_at_once_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let children: Vec<Child> = (0..6).map(|_| spawn_writer(folder.path(), 20)).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let store = open(folder.path());
    let experiment = store.experiment_by_name("shared").unwrap().unwrap();
    let query = RunQuery { experiment_ids: vec![experiment.experiment_id], ..RunQuery::default() };
    let runs = store.search_runs(&query).unwrap().items;
    assert_eq!(runs.len(), 6);
    runs.iter().for_each(|run| check_run(&store, &run.info.run_id, 20));
    drop(store);
    check_integrity(folder.path());
}

/// What was acknowledged before a `kill -9` is there afterwards.
#[test]
fn a_killed_process_loses_nothing_acknowledged() {
    let folder = TempDir::new().unwrap();
    let mut child = spawn_writer(folder.path(), 1_000_000);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let run_id = lines.find_map(|line| line.strip_prefix("run ").map(str::to_owned)).unwrap();
    lines.find(|line| line == "done 50").unwrap();
    child.kill().unwrap();
    let last = lines.filter_map(|line| line.strip_prefix("done ")?.parse().ok()).last().unwrap_or(50_i64);
    child.wait().unwrap();

    let store = open(folder.path());
    let points = store.metric_history(&run_id, "loss").unwrap().len() as i64;
    assert!(points >= (last + 1) * POINTS_PER_BATCH, "{points} points after batch {last} was acknowledged");
    assert_eq!(points % POINTS_PER_BATCH, 0, "a batch is all or nothing");
    check_run(&store, &run_id, points / POINTS_PER_BATCH);
    log(&store, &run_id, points / POINTS_PER_BATCH);
    drop(store);
    check_integrity(folder.path());
}
