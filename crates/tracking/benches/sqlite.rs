//! How fast the embedded store writes points and finds runs: `cargo bench -p tracking --bench sqlite`.
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tracking::{Batch, Metric, NewRun, RunQuery, SqliteStore, Store};

const POINTS: usize = 1_000_000;
const RUNS: usize = 10_000;
const KEYS: usize = 20;

fn main() {
    for batch_points in [1, 100, 1_000, 10_000] {
        write_points(batch_points);
    }
    search();
}

fn open(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(&folder.path().join("mlflow.db"), &folder.path().join("mlruns")).unwrap()
}

/// One run, five metrics, steps in order, as a training loop logs them.
fn write_points(batch_points: usize) {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let run_id = store.create_run(&NewRun { experiment_id: "0".into(), ..NewRun::default() }).unwrap().run_id;
    let points = POINTS.min(batch_points * 1_000);
    let start = Instant::now();
    for from in (0..points).step_by(batch_points) {
        let metrics = (from..from + batch_points).map(point).collect();
        store.log_batch(&run_id, &Batch { metrics, ..Batch::default() }).unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{points} points in batches of {batch_points}: {:.0} points/s", points as f64 / seconds);
}

fn point(index: usize) -> Metric {
    let step = (index / 5) as i64;
    Metric {
        key: format!("metric_{}", index % 5),
        value: 1.0 / (1.0 + index as f64),
        timestamp_ms: 1_700_000_000_000 + step,
        step,
    }
}

fn search() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let start = Instant::now();
    for run in 0..RUNS {
        let new = NewRun { experiment_id: "0".into(), start_time_ms: run as i64, ..NewRun::default() };
        let run_id = store.create_run(&new).unwrap().run_id;
        let value = |key: usize| ((run * 7919 + key * 104_729) % 10_007) as f64 / 10_007.0;
        let metrics =
            (0..KEYS).map(|key| Metric { key: format!("m{key}"), value: value(key), timestamp_ms: 1, step: 1 });
        let params = (0..KEYS).map(|key| (format!("p{key}"), (run % (key + 2)).to_string()));
        let batch = Batch { metrics: metrics.collect(), params: params.collect(), tags: Vec::new() };
        store.log_batch(&run_id, &batch).unwrap();
    }
    println!("{RUNS} runs written in {:.1} s", start.elapsed().as_secs_f64());
    time_queries(&store, "before statistics");
    drop(store);
    time_queries(&open(&folder), "reopened");
}

fn time_queries(store: &SqliteStore, when: &str) {
    for (filter, order) in [
        ("", ""),
        ("", "metrics.m3 DESC"),
        ("metrics.m0 > 0.5 and params.p1 = '1'", "metrics.m3 DESC"),
        ("metrics.m0 > 0.99 and params.p5 LIKE '1%' and status = 'RUNNING'", "params.p2"),
        ("tags.mlflow.runName ILIKE '%a%'", "metrics.m3"),
        ("metrics.m0 > 2", "metrics.m3 DESC"),
    ] {
        let order_by = if order.is_empty() { Vec::new() } else { vec![order.to_owned()] };
        let query = RunQuery {
            experiment_ids: vec!["0".into()],
            filter: filter.into(),
            order_by,
            max_results: 100,
            ..RunQuery::default()
        };
        let mut times: Vec<Duration> = (0..9)
            .map(|_| {
                let start = Instant::now();
                store.search_runs(&query).unwrap();
                start.elapsed()
            })
            .collect();
        times.sort();
        println!("{when}: `{filter}` order `{order}`: median {:.1} ms", times[4].as_secs_f64() * 1e3);
    }
}
