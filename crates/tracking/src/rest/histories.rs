//! One metric of many runs: the end point that MLflow's own charts use, and one request per run where it is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use serde::Deserialize;

use super::{RestStore, sort_points};
use crate::wire::WireMetric;
use crate::{Error, Metric, Result, ranked};

/// MLflow takes 100, but MLflow 2 and 3.1 sit behind gunicorn, which refuses a request line over 4094 bytes. This leaves room
/// for a long key.
const RUNS_PER_REQUEST: usize = 80;
/// An answer with so many points may have been cut off.
const POINTS_PER_ANSWER: usize = 25_000;

#[derive(Default, Deserialize)]
#[serde(default)]
struct BulkHistory {
    metrics: Vec<PointOfRun>,
}

#[derive(Deserialize)]
struct PointOfRun {
    run_id: String,
    #[serde(flatten)]
    metric: WireMetric,
}

impl RestStore {
    pub(super) fn histories(&self, run_ids: &[String], key: &str) -> Result<BTreeMap<String, Vec<Metric>>> {
        let ids: Vec<String> = run_ids.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect();
        let mut found: BTreeMap<String, Vec<Metric>> = BTreeMap::new();
        let (mut rest, mut size) = (ids.as_slice(), RUNS_PER_REQUEST);
        while !rest.is_empty() {
            let (group, others) = rest.split_at(size.min(rest.len()));
            match self.bulk_history(group, key)? {
                Some(points) if points.len() < POINTS_PER_ANSWER => {
                    for point in points {
                        found.entry(point.run_id).or_default().push(point.metric.into());
                    }
                }
                Some(_) if group.len() > 1 => {
                    size = group.len().div_ceil(2);
                    continue;
                }
                answer => {
                    found.extend(ranked::histories(self, group, key)?);
                    // Known only now: a proxy whose server is away refuses everything.
                    self.has_no_bulk_history.fetch_or(answer.is_none(), Ordering::Relaxed);
                }
            }
            rest = others;
        }
        found.values_mut().for_each(|points| sort_points(points));
        Ok(found)
    }

    /// Points of a group of runs; `None` where there is no such end point, or none that we may use.
    fn bulk_history(&self, run_ids: &[String], key: &str) -> Result<Option<Vec<PointOfRun>>> {
        if self.has_no_bulk_history.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let limit = POINTS_PER_ANSWER.to_string();
        let mut query = vec![("metric_key", key), ("max_results", &limit)];
        query.extend(run_ids.iter().map(|run_id| ("run_id", run_id.as_str())));
        match self.http.get_ajax::<BulkHistory>("metrics/get-history-bulk", &query) {
            Ok(answer) => Ok(Some(answer.metrics)),
            Err(Error::NotFound(_) | Error::Invalid(_) | Error::NotMlflow(_) | Error::Denied(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
