//! Our side of `benches/tracking/run.sh`: one measure per call, printed as lines `name value`.
//!
//! ```text
//! client caller DATABASE     nanoseconds of one `log_metric`
//! client points DATABASE     points per second until they can be read, embedded store
//! client server URI          the same through a server
//! client fill DATABASE       10,000 runs with 20 metrics and 20 params each
//! client search DATABASE     milliseconds to find some of them
//! client exit DATABASE       seconds of `finish` after 100,000 points
//! client gone URI FOLDER     the same after the server has gone: makes FOLDER/ours.ready, waits for FOLDER/gone
//! ```
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use tracking::{
    Batch, Metric, NewRun, Options, Run, RunOptions, RunQuery, RunStatus, SqliteStore, Store, Tracker, open_store,
};

const POINTS: usize = 500_000;
const POINTS_TO_SERVER: usize = 20_000;
const BACKLOG: usize = 100_000;
const RUNS: usize = 10_000;
const KEYS: usize = 20;
/// Metrics of one step.
const METRICS: [&str; 5] = ["train_loss", "val_loss", "val_auc", "lr", "grad_norm"];

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["caller", database] => caller(Path::new(database)),
        ["points", database] => points(Path::new(database)),
        ["server", uri] => server(uri),
        ["fill", database] => fill(Path::new(database)),
        ["search", database] => search(Path::new(database)),
        ["exit", database] => exit(Path::new(database)),
        ["gone", uri, folder] => gone(uri, Path::new(folder)),
        _ => eprintln!("usage: benches/tracking/run.sh, whose first lines say what it needs"),
    }
}

fn open(database: &Path) -> SqliteStore {
    SqliteStore::open(database, &database.with_extension("mlruns")).unwrap()
}

fn start_run(uri: String, artifact_root: PathBuf) -> Run {
    let tracker = Tracker::open(&Options { uri, artifact_root, ..Options::default() }).unwrap();
    tracker.start_run(&RunOptions::default()).unwrap()
}

fn start_embedded(database: &Path) -> Run {
    start_run(format!("sqlite:///{}", database.display()), database.with_extension("mlruns"))
}

/// Every call on its own, as fast as it goes, while the writer writes.
fn caller(database: &Path) {
    let run = start_embedded(database);
    let mut times: Vec<Duration> = (0..BACKLOG)
        .map(|index| {
            let start = Instant::now();
            run.log_metric(METRICS[index % 5], index as f64, (index / 5) as i64);
            start.elapsed()
        })
        .collect();
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{outcome}");
    times.sort_unstable();
    println!("caller_median_ns {}", times[BACKLOG / 2].as_nanos());
    println!("caller_p99_ns {}", times[BACKLOG / 100 * 99].as_nanos());
}

/// Points of one run in order of steps, as a training loop logs them.
fn batch(from: usize, count: usize) -> Batch {
    let point = |index: usize| {
        let step = (index / 5) as i64;
        let key = METRICS[index % 5].to_owned();
        Metric { key, value: 1.0 / (1.0 + index as f64), timestamp_ms: 1_700_000_000_000 + step, step }
    };
    Batch { metrics: (from..from + count).map(point).collect(), ..Batch::default() }
}

/// Seconds, and those of the processor, to write points in batches of `size`; all can be read then.
fn write(store: &dyn Store, count: usize, size: usize) -> (f64, f64) {
    let run_id = store.create_run(&NewRun { experiment_id: "0".into(), ..NewRun::default() }).unwrap().run_id;
    let batches: Vec<Batch> = (0..count).step_by(size).map(|from| batch(from, size)).collect();
    let (start, before) = (Instant::now(), cpu_seconds());
    batches.iter().for_each(|batch| store.log_batch(&run_id, batch).unwrap());
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - before);
    check(store, &run_id, count);
    (seconds, cpu)
}

fn check(store: &dyn Store, run_id: &str, count: usize) {
    let found: usize = METRICS.iter().map(|key| store.metric_history(run_id, key).unwrap().len()).sum();
    assert_eq!(found, count, "points that can be read");
}

fn points(database: &Path) {
    let store = open(database);
    for size in [1_000, 10_000] {
        let (seconds, cpu) = write(&store, POINTS, size);
        println!("log_batch_{size}_points_per_s {:.0}", POINTS as f64 / seconds);
        println!("log_batch_{size}_cpu_us {:.2}", cpu / POINTS as f64 * 1e6);
    }
    let run = start_embedded(database);
    let (start, before) = (Instant::now(), cpu_seconds());
    log_steps(&run, POINTS);
    let outcome = run.finish(RunStatus::Finished);
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - before);
    assert!(outcome.is_complete(), "{outcome}");
    println!("run_points_per_s {:.0}", POINTS as f64 / seconds);
    println!("run_cpu_us {:.2}", cpu / POINTS as f64 * 1e6);
    check(&store, run.id(), POINTS);
}

/// Of this process, user and system, from `/proc` in hundredths of a second; 0 where there is none.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn server(uri: &str) {
    let store = open_store(uri, Path::new("unused"), &Options::default().http).unwrap();
    let (seconds, _) = write(store.as_ref(), POINTS_TO_SERVER, 1_000);
    println!("server_points_per_s {:.0}", POINTS_TO_SERVER as f64 / seconds);
}

fn fill(database: &Path) {
    let store = open(database);
    for run in 0..RUNS {
        let new = NewRun { experiment_id: "0".into(), start_time_ms: run as i64, ..NewRun::default() };
        let run_id = store.create_run(&new).unwrap().run_id;
        let value = |key: usize| ((run * 7919 + key * 104_729) % 10_007) as f64 / 10_007.0;
        let metric = |key| Metric { key: format!("m{key}"), value: value(key), timestamp_ms: 1, step: 1 };
        let params = (0..KEYS).map(|key| (format!("p{key}"), (run % (key + 2)).to_string())).collect();
        let metrics = (0..KEYS).map(metric).collect();
        store.log_batch(&run_id, &Batch { metrics, params, tags: Vec::new() }).unwrap();
    }
}

/// The same searches as in `peer.py`.
fn search(database: &Path) {
    let store = open(database);
    for (name, filter, max_results) in [
        ("search_top_100_ms", "", 100),
        ("search_page_1000_ms", "", 1_000),
        ("search_filter_100_ms", "metrics.m0 > 0.5 and params.p1 = '1'", 100),
    ] {
        let query = RunQuery {
            experiment_ids: vec!["0".into()],
            filter: filter.into(),
            order_by: vec!["metrics.m3 DESC".into()],
            max_results,
            ..RunQuery::default()
        };
        let timed = || {
            let start = Instant::now();
            assert_eq!(store.search_runs(&query).unwrap().items.len(), max_results);
            start.elapsed()
        };
        let mut times: Vec<Duration> = (0..9).map(|_| timed()).collect();
        times.sort();
        println!("{name} {:.2}", times[4].as_secs_f64() * 1e3);
    }
}

fn exit(database: &Path) {
    let run = start_embedded(database);
    log_steps(&run, BACKLOG);
    let start = Instant::now();
    let outcome = run.finish(RunStatus::Finished);
    println!("exit_s {:.2}", start.elapsed().as_secs_f64());
    assert!(outcome.is_complete(), "{outcome}");
}

fn log_steps(run: &Run, points: usize) {
    for step in 0..points / METRICS.len() {
        run.log_metrics(&METRICS.map(|key| (key, step as f64)), step as i64);
    }
}

fn gone(uri: &str, folder: &Path) {
    let run = start_run(uri.to_owned(), "unused".into());
    fs::write(folder.join("ours.ready"), "").unwrap();
    while !folder.join("gone").exists() {
        thread::sleep(Duration::from_millis(50));
    }
    log_steps(&run, BACKLOG);
    let start = Instant::now();
    let outcome = run.finish(RunStatus::Finished);
    println!("exit_gone_s {:.2}", start.elapsed().as_secs_f64());
    eprintln!("ours: {outcome}");
}
