//! Runs in the order of the best point that a metric ever had: what a table of the best shows.
//!
//! This is not the order of a search by `metrics.KEY`, which knows the latest points only: a run that was best at epoch
//! 20 and has overfitted since is worse there than it was.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::filter::{Field, SortKey};
use crate::{Error, Metric, Millis, Result, RunData, RunQuery, Store};

/// Of so many runs the histories are in memory at once.
const RUNS_PER_GROUP: usize = 400;
const RUNS_PER_PAGE: usize = 1000;

/// A run and the best point of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedRun {
    /// The run as a search gives it.
    pub run: RunData,
    /// The best point of all, or one that is NaN where there is no other.
    pub best: Metric,
}

impl RankedRun {
    fn place(&self) -> Place<'_> {
        (self.best.value, self.run.info.start_time_ms, &self.run.info.run_id)
    }
}

/// What [`Store::ranked_runs`] gives, best first. It reads as it goes, so any step may fail.
pub type RankedRuns<'a> = Box<dyn Iterator<Item = Result<RankedRun>> + 'a>;

/// A point of a metric, without the name: of many points at once there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) value: f64,
    pub(crate) timestamp_ms: Millis,
    pub(crate) step: i64,
}

impl Point {
    pub(crate) fn named(self, key: &str) -> Metric {
        Metric { key: key.to_owned(), value: self.value, timestamp_ms: self.timestamp_ms, step: self.step }
    }

    /// The order in which points of one run are better: value, then the earlier step, then the earlier time.
    pub(crate) fn compare(&self, other: &Self, highest: bool) -> Ordering {
        let place = |point: &Self| (point.step, point.timestamp_ms);
        best_first(self.value, other.value, highest).then_with(|| place(self).cmp(&place(other)))
    }
}

impl From<&Metric> for Point {
    fn from(metric: &Metric) -> Self {
        Self { value: metric.value, timestamp_ms: metric.timestamp_ms, step: metric.step }
    }
}

/// What places a run: its best value, start time and run id.
pub(crate) type Place<'a> = (f64, Millis, &'a str);

/// The order of runs: value, then start time, newest first, then run id.
pub(crate) fn compare_runs(a: Place<'_>, b: Place<'_>, highest: bool) -> Ordering {
    best_first(a.0, b.0, highest).then_with(|| b.1.cmp(&a.1)).then_with(|| a.2.cmp(b.2))
}

/// NaN is last, whatever the direction.
pub(crate) fn best_first(a: f64, b: f64, highest: bool) -> Ordering {
    match a.partial_cmp(&b) {
        Some(order) if highest => order.reverse(),
        Some(order) => order,
        None => a.is_nan().cmp(&b.is_nan()),
    }
}

/// Ranks what a search finds, for stores that can do no better. The search puts runs without the metric last, so it ends
/// with the first of them.
pub(crate) fn by_search<'a, S: Store + ?Sized>(
    store: &'a S,
    query: &RunQuery,
    key: &str,
    highest: bool,
) -> Result<RankedRuns<'a>> {
    let mut runs = runs_with_metric(store, query, key, highest)?.into_iter();
    let mut ranked = Vec::with_capacity(runs.len());
    while runs.len() > 0 {
        let group: Vec<RunData> = runs.by_ref().take(RUNS_PER_GROUP).collect();
        let ids: Vec<String> = group.iter().map(|run| run.info.run_id.clone()).collect();
        let mut histories = store.metric_histories(&ids, key)?;
        ranked.extend(group.into_iter().filter_map(|run| {
            let points = histories.remove(&run.info.run_id)?;
            let best = points.iter().map(Point::from).min_by(|a, b| a.compare(b, highest))?.named(key);
            Some(RankedRun { run, best })
        }));
    }
    ranked.sort_by(|a, b| compare_runs(a.place(), b.place(), highest));
    Ok(Box::new(ranked.into_iter().map(Ok)))
}

/// Every run of a query that has the metric, once, also while others write.
fn runs_with_metric<S: Store + ?Sized>(store: &S, query: &RunQuery, key: &str, highest: bool) -> Result<Vec<RunData>> {
    let order = SortKey { field: Field::Metric(key.to_owned()), ascending: !highest };
    let mut query =
        RunQuery { order_by: vec![order.to_string()], max_results: RUNS_PER_PAGE, page_token: None, ..query.clone() };
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    loop {
        let page = store.search_runs(&query)?;
        for run in page.items {
            if !run.metrics.contains_key(key) {
                return Ok(found);
            }
            if seen.insert(run.info.run_id.clone()) {
                found.push(run);
            }
        }
        query.page_token = page.next_page_token;
        if query.page_token.is_none() {
            return Ok(found);
        }
    }
}

/// One history after the other, for stores that can do no better.
pub(crate) fn histories<S: Store + ?Sized>(
    store: &S,
    run_ids: &[String],
    key: &str,
) -> Result<BTreeMap<String, Vec<Metric>>> {
    let mut found = BTreeMap::new();
    for run_id in run_ids {
        let points = match store.metric_history(run_id, key) {
            Err(Error::NotFound(_)) => continue,
            answer => answer?,
        };
        if !points.is_empty() {
            found.insert(run_id.clone(), points);
        }
    }
    Ok(found)
}

/// The metrics of the newest runs.
pub(crate) fn metric_keys<S: Store + ?Sized>(store: &S, experiment_ids: &[String]) -> Result<Vec<String>> {
    let query = RunQuery { experiment_ids: experiment_ids.to_vec(), max_results: RUNS_PER_PAGE, ..RunQuery::default() };
    let runs = store.search_runs(&query)?.items;
    let keys: BTreeSet<String> = runs.into_iter().flat_map(|run| run.metrics.into_keys()).collect();
    Ok(keys.into_iter().collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn nan_is_last_in_both_directions() {
        let sorted = |highest| {
            let mut values = [f64::NAN, 1.0, f64::INFINITY, -0.0, f64::NEG_INFINITY, 0.0, f64::NAN];
            values.sort_by(|a, b| best_first(*a, *b, highest));
            format!("{values:?}")
        };
        assert_eq!(sorted(true), "[inf, 1.0, -0.0, 0.0, -inf, NaN, NaN]");
        assert_eq!(sorted(false), "[-inf, -0.0, 0.0, 1.0, inf, NaN, NaN]");
    }
}
