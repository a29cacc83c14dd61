//! Runs by the best point of a metric, and the histories that this needs.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{fresh_experiment, log_metrics, log_params, point, start};
use crate::{Error, Metric, RankedRun, RunQuery, Store, ViewType};

/// With a slash, spaces and a dot: an order by it needs backticks.
const KEY: &str = "val/best score.v2";

pub(super) fn run(store: &dyn Store) {
    histories(store);
    let ids = runs(store);
    rankings(store, &ids);
    queries(store, &ids);
    many(store);
}

fn histories(store: &dyn Store) {
    let experiment_id = fresh_experiment(store, "histories");
    let [one, two, other] = ["one", "two", "other"].map(|name| start(store, &experiment_id, name, 1).run_id);
    let points = vec![
        point(KEY, 1.0, 30, 2),
        point(KEY, f64::NAN, 20, 1),
        point(KEY, f64::INFINITY, 5, 1),
        point("x", 0.5, 1, 0),
    ];
    log_metrics(store, &one, points);
    log_metrics(
        store,
        &two,
        vec![point(KEY, f64::NEG_INFINITY, 10, 0), point(KEY, -2.5, 11, -1), point(KEY, 3.0, 9, 0)],
    );
    log_metrics(store, &other, vec![point("x", 0.5, 1, 0)]);
    let nobody = Uuid::new_v4().simple().to_string();

    let ids = [other.clone(), two.clone(), nobody, one.clone(), two.clone()];
    let found = store.metric_histories(&ids, KEY).unwrap();
    let shown = |run: &String| format!("{:?}", store.metric_history(run, KEY).unwrap());
    assert_eq!(found.keys().collect::<BTreeSet<_>>(), [&one, &two].into());
    for run in [&one, &two] {
        assert_eq!(found[run].len(), 3);
        assert_eq!(format!("{:?}", found[run]), shown(run), "the same as one by one");
    }
    let places: Vec<_> = found[&two].iter().map(|point| (point.step, point.timestamp_ms)).collect();
    assert_eq!(places, [(-1, 11), (0, 9), (0, 10)]);
    assert_eq!(store.metric_histories(&ids, "nothing").unwrap(), BTreeMap::new());
    assert_eq!(store.metric_histories(&[], KEY).unwrap(), BTreeMap::new());
    let keys = store.metric_keys(std::slice::from_ref(&experiment_id)).unwrap();
    assert_eq!(keys, [KEY, "x"]);
    assert_eq!(store.metric_keys(&[]).unwrap(), [""; 0]);
}

struct Runs {
    experiment_id: String,
    other_experiment_id: String,
    /// Names by run id.
    names: BTreeMap<String, &'static str>,
}

/// Name, start, values at steps 0, 1, ...
const RUNS: &[(&str, i64, &[f64])] = &[
    ("fell", 1_000, &[0.5, 0.9, 0.1]),
    ("last", 2_000, &[0.1, 0.2, 0.8]),
    ("nan at the end", 3_000, &[0.7, f64::NAN]),
    ("only nan", 4_000, &[f64::NAN, f64::NAN]),
    ("only nan, newer", 4_500, &[f64::NAN]),
    ("none", 5_000, &[]),
    ("tie, older", 6_000, &[0.6, 0.6, 0.3]),
    ("tie, newer", 7_000, &[0.0, 0.6]),
    ("up", 8_000, &[0.2, f64::INFINITY, 0.3]),
    ("down", 9_000, &[0.2, f64::NEG_INFINITY, 0.3]),
    ("negative", 9_500, &[-3.0, -2.0, -4.0]),
];

fn runs(store: &dyn Store) -> Runs {
    let (experiment_id, other_experiment_id) = (fresh_experiment(store, "ranked"), fresh_experiment(store, "ranked"));
    let mut names = BTreeMap::new();
    let mut add = |experiment_id: &str, name, start_ms, values: &[f64]| {
        let run_id = start(store, experiment_id, name, start_ms).run_id;
        let points = values.iter().zip(0_i64..).map(|(value, step)| point(KEY, *value, 100 + step, step));
        let decoy = point("decoy", 100.0, 1, 0);
        log_metrics(store, &run_id, points.chain([decoy]).collect());
        log_params(store, &run_id, &[("size", if start_ms < 6_000 { "small" } else { "big" })]).unwrap();
        names.insert(run_id.clone(), name);
        run_id
    };
    for (name, start_ms, values) in RUNS {
        add(&experiment_id, name, *start_ms, values);
    }
    let deleted = add(&experiment_id, "deleted", 500, &[0.99]);
    store.delete_run(&deleted).unwrap();
    add(&other_experiment_id, "elsewhere", 600, &[0.95]);
    Runs { experiment_id, other_experiment_id, names }
}

fn rank(store: &dyn Store, query: &RunQuery, key: &str, highest: bool) -> Vec<RankedRun> {
    store.ranked_runs(query, key, highest).unwrap().collect::<Result<_, _>>().unwrap()
}

fn names(runs: &Runs, ranked: &[RankedRun]) -> Vec<&'static str> {
    ranked.iter().map(|found| runs.names[&found.run.info.run_id]).collect()
}

fn rankings(store: &dyn Store, runs: &Runs) {
    // What is not used is not looked at: not even a page token that is none.
    let query = RunQuery {
        experiment_ids: vec![runs.experiment_id.clone()],
        order_by: vec!["metrics.decoy".into()],
        max_results: 2,
        page_token: Some("eyJvZmZzZXQiOiAxfQ==".into()),
        ..RunQuery::default()
    };
    let highest = rank(store, &query, KEY, true);
    let expected = [
        "up",
        "fell",
        "last",
        "nan at the end",
        "tie, newer",
        "tie, older",
        "down",
        "negative",
        "only nan, newer",
        "only nan",
    ];
    assert_eq!(names(runs, &highest), expected);
    let shown = |best: &Metric| (best.value, best.timestamp_ms, best.step);
    assert_eq!(shown(&highest[0].best), (f64::MAX, 101, 1));
    assert_eq!(shown(&highest[1].best), (0.9, 101, 1));
    assert_eq!(shown(&highest[5].best), (0.6, 100, 0), "the earliest of equal points");
    assert!(highest[9].best.value.is_nan() && highest[9].best.step == 0);
    assert!(highest.iter().all(|found| found.best.key == KEY));
    let whole = store.run(&highest[1].run.info.run_id).unwrap();
    assert_eq!((&highest[1].run.params, &highest[1].run.tags), (&whole.params, &whole.tags));
    assert_eq!((&highest[1].run.metrics, &highest[1].run.info), (&whole.metrics, &whole.info));

    let lowest = rank(store, &query, KEY, false);
    let expected = [
        "down",
        "negative",
        "tie, newer",
        "last",
        "fell",
        "up",
        "tie, older",
        "nan at the end",
        "only nan, newer",
        "only nan",
    ];
    assert_eq!(names(runs, &lowest), expected);
    assert_eq!(shown(&lowest[0].best), (-f64::MAX, 101, 1));
    assert_eq!(shown(&lowest[1].best), (-4.0, 102, 2));
    assert_eq!(rank(store, &query, "nothing", true), []);
}

fn queries(store: &dyn Store, runs: &Runs) {
    let query = || RunQuery { experiment_ids: vec![runs.experiment_id.clone()], ..RunQuery::default() };
    let find = |query: &RunQuery| names(runs, &rank(store, query, KEY, true));
    // MLflow 2 and 3.1 take NaN for 0 in a filter.
    let filter = format!("params.size = 'small' and metrics.`{KEY}` > 0.05 and metrics.`{KEY}` < 0.85");
    assert_eq!(find(&RunQuery { filter, ..query() }), ["fell", "last"]);
    assert_eq!(find(&RunQuery { filter: "params.size = 'none'".into(), ..query() }), [""; 0]);
    assert_eq!(find(&RunQuery { view: ViewType::DeletedOnly, ..query() }), ["deleted"]);
    assert_eq!(find(&RunQuery { view: ViewType::All, ..query() })[..3], ["up", "deleted", "fell"]);
    let experiment_ids = vec![runs.other_experiment_id.clone(), runs.experiment_id.clone()];
    assert_eq!(find(&RunQuery { experiment_ids, ..RunQuery::default() })[..3], ["up", "elsewhere", "fell"]);
    assert_eq!(find(&RunQuery::default()), [""; 0], "no experiments, no runs");
    let bad = RunQuery { filter: "metrics.x > 'a'".into(), ..query() };
    let error = store.ranked_runs(&bad, KEY, true).err().unwrap();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
}

/// More than one request or chunk takes.
fn many(store: &dyn Store) {
    let experiment_id = fresh_experiment(store, "ranked");
    let mut scores = BTreeMap::new();
    for index in 0..105_i64 {
        let run_id = start(store, &experiment_id, "many", index).run_id;
        let score = (index * 37 % 105) as f64;
        log_metrics(store, &run_id, vec![point("score", score, 1, 0), point("score", -score, 2, 1)]);
        scores.insert(run_id, score);
    }
    let ids: Vec<String> = scores.keys().cloned().collect();
    let histories = store.metric_histories(&ids, "score").unwrap();
    assert_eq!(histories.len(), 105);
    assert!(histories.iter().all(|(run_id, points)| points.len() == 2 && points[0].value == scores[run_id]));
    let query = RunQuery { experiment_ids: vec![experiment_id], ..RunQuery::default() };
    let ranked = rank(store, &query, "score", true);
    let found: Vec<f64> = ranked.iter().map(|found| found.best.value).collect();
    assert_eq!(found, (0..105).rev().map(f64::from).collect::<Vec<_>>());
    assert!(ranked.iter().all(|found| scores[&found.run.info.run_id] == found.best.value));
    let three: Vec<f64> =
        store.ranked_runs(&query, "score", false).unwrap().take(3).map(|found| found.unwrap().best.value).collect();
    assert_eq!(three, [-104.0, -103.0, -102.0]);
}
