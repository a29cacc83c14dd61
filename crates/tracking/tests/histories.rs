//! Histories of many runs from a server that lacks the end point for them, or cuts its answers off.

#[path = "support/loopback.rs"]
mod loopback;

use std::sync::{Arc, Mutex};

use loopback::{Request, reply, serve};
use serde_json::{Value, json};
use tracking::{HttpOptions, RestStore, Store};

type Log = Arc<Mutex<Vec<String>>>;

const NOT_THERE: &str = "<title>404 Not Found</title>";
const POINTS_PER_ANSWER: usize = 25_000;

fn run_ids(request: &Request) -> Vec<String> {
    let query = request.target().split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter_map(|pair| pair.strip_prefix("run_id=")).map(str::to_owned).collect()
}

/// Points of a run, as many as its id says: `n20x3` has 20.
fn points(run_id: &str) -> Vec<Value> {
    let points = run_id[1..].split('x').next().and_then(|number| number.parse().ok()).expect("a number");
    (0..points)
        .map(|step: i64| json!({"key": "k", "value": 0.5, "timestamp": step, "step": step, "run_id": run_id}))
        .collect()
}

/// A server that has every run but `n0x0`.
fn server(has_bulk: bool) -> (RestStore, Log) {
    let log = Log::default();
    let seen = log.clone();
    let address = serve(move |request: &Request| {
        seen.lock().expect("a lock").push(request.target().to_owned());
        let ids = run_ids(request);
        let error = json!({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"});
        match request.call() {
            "get-history-bulk" if has_bulk && request.target().starts_with("/ajax-api/") => {
                let mut found: Vec<Value> = ids.iter().flat_map(|id| points(id)).collect();
                found.truncate(POINTS_PER_ANSWER);
                reply(200, "", &json!({"metrics": found}).to_string())
            }
            "get-history" if ids[0] == "n0x0" => reply(404, "", &error.to_string()),
            "get-history" => reply(200, "", &json!({"metrics": points(&ids[0])}).to_string()),
            "get" => reply(404, "", &error.to_string()),
            _ => reply(404, "", NOT_THERE),
        }
    });
    (RestStore::new(&format!("http://{address}"), &HttpOptions::default()).expect("a store"), log)
}

fn calls(log: &Log) -> (usize, usize) {
    let log = log.lock().expect("a lock");
    let bulk = log.iter().filter(|target| target.contains("get-history-bulk")).count();
    (bulk, log.iter().filter(|target| target.contains("get-history?")).count())
}

fn check(store: &RestStore, ids: &[String], key: &str) {
    let found = store.metric_histories(ids, key).expect("histories");
    let whole = ids.iter().filter(|id| *id != "n0x0").all(|id| found[id].len() == points(id).len());
    assert!(whole && !found.contains_key("n0x0"));
}

#[test]
fn without_the_end_point_runs_are_asked_for_one_by_one() {
    let (store, log) = server(false);
    let ids = ["n3x0", "n2x1", "n0x0"].map(str::to_owned);
    check(&store, &ids, "k");
    check(&store, &ids, "k");
    assert_eq!(calls(&log), (1, 6), "what is not there is asked for once");
}

#[test]
fn cut_answers_are_asked_for_again_in_parts() {
    let (store, log) = server(true);
    let ids: Vec<String> = (0..100).map(|index| format!("n1000x{index}")).collect();
    check(&store, &ids, "k");
    assert_eq!(calls(&log), (7, 0), "80, 40 and 20 runs, then 20 each");

    let (store, log) = server(true);
    check(&store, &["n30000x1", "n5x2", "n25000x3", "n24999x4"].map(str::to_owned), "k");
    assert_eq!(calls(&log).1, 2, "a run that fills an answer is read by pages");
}

/// gunicorn takes 4094 bytes.
#[test]
fn request_lines_stay_short() {
    let (store, log) = server(true);
    let ids: Vec<String> = (0..250).map(|index| format!("n1x{index:029}")).collect();
    check(&store, &ids, &"k/".repeat(125));
    let log = log.lock().expect("a lock");
    let longest = log.iter().map(|target| target.len() + "GET  HTTP/1.1".len()).max().expect("requests");
    assert_eq!((log.len(), longest <= 4094), (4, true), "{longest}");
}
