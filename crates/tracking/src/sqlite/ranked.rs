//! One metric of many runs, and runs by its best point.
//!
//! A ranking reads the points of one metric from the primary key alone, which begins with the key and has every column,
//! and of the runs their ids. Params, tags and metrics are read when a caller gets to them.

use std::collections::{BTreeMap, HashMap};
use std::vec;

use rusqlite::{Connection, Row, params_from_iter};

use super::{Outcome, SqliteStore, read, search};
use crate::ranked::{Place, Point, best_first, compare_runs};
use crate::{Metric, Millis, RankedRun, RankedRuns, Result, RunData, RunQuery};

/// Details are read for so many runs first, then for twice as many each time.
const FIRST_CHUNK: usize = 32;
const LAST_CHUNK: usize = 1000;

/// A run of which no more is known than its place needs.
struct Candidate {
    run_id: String,
    start_time_ms: Millis,
    best: Point,
}

impl Candidate {
    fn place(&self) -> Place<'_> {
        (self.best.value, self.start_time_ms, &self.run_id)
    }
}

/// Every point of a metric of some runs.
pub(super) fn metric_histories(
    db: &Connection,
    run_ids: &[String],
    key: &str,
) -> Outcome<BTreeMap<String, Vec<Metric>>> {
    let mut points: HashMap<String, Vec<Point>> = run_ids.iter().map(|run_id| (run_id.clone(), Vec::new())).collect();
    each_value(db, key, &mut points, |points, value, row| {
        points.push(to_point(value, row)?);
        Ok(())
    })?;
    let place = |point: &Point| (point.step, point.timestamp_ms);
    let to_history = |(run_id, mut points): (String, Vec<Point>)| {
        // As SQL orders them: it holds NaN as 0.
        let value = |point: &Point| if point.value.is_nan() { 0.0 } else { point.value };
        points.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| value(a).total_cmp(&value(b))));
        (run_id, points.into_iter().map(|point| point.named(key)).collect())
    };
    Ok(points.into_iter().filter(|(_, points)| !points.is_empty()).map(to_history).collect())
}

/// Gives the value of every point of a metric to the run that has it, in no order, and the row for the rest of it: most
/// points are not the best, and here each column counts.
fn each_value<T>(
    db: &Connection,
    key: &str,
    runs: &mut HashMap<String, T>,
    mut take: impl FnMut(&mut T, f64, &Row<'_>) -> rusqlite::Result<()>,
) -> Outcome<()> {
    let columns = "SELECT run_uuid, CASE WHEN is_nan THEN NULL ELSE value END, timestamp, step FROM metrics WHERE";
    let mut statement;
    let mut rows = if by_run_is_quicker(db, runs.len())? {
        let ids: Vec<&String> = runs.keys().collect();
        let ids = serde_json::json!(ids).to_string();
        // `+key` as for the history of one run.
        let condition = "run_uuid IN (SELECT value FROM json_each(?1)) AND +key = ?2";
        statement = db.prepare_cached(&format!("{columns} {condition}"))?;
        statement.query([ids.as_str(), key])?
    } else {
        statement = db.prepare_cached(&format!("{columns} key = ?1"))?;
        statement.query([key])?
    };
    while let Some(row) = rows.next()? {
        let Some(run) = runs.get_mut(row.get_ref(0)?.as_str().unwrap_or_default()) else { continue };
        take(run, row.get::<_, Option<f64>>(1)?.unwrap_or(f64::NAN), row)?;
    }
    Ok(())
}

fn to_point(value: f64, row: &Row<'_>) -> rusqlite::Result<Point> {
    Ok(Point { value, timestamp_ms: row.get::<_, Option<i64>>(2)?.unwrap_or_default(), step: row.get(3)? })
}

/// By run, SQLite visits all metrics of the wanted runs, by key this metric of all runs, and a visit costs about the same.
/// The greatest row ids tell how many runs there are and how many metrics they have, without a count.
fn by_run_is_quicker(db: &Connection, wanted: usize) -> Outcome<bool> {
    let rows = |table: &str| {
        let mut statement = db.prepare_cached(&format!("SELECT coalesce(max(rowid), 0) FROM {table}"))?;
        statement.query_row([], |row| row.get::<_, i64>(0))
    };
    let (runs, latest) = (rows("runs")? as f64, rows("latest_metrics")? as f64);
    let metrics_per_run = latest / runs.max(1.0);
    Ok(wanted as f64 * metrics_per_run < runs)
}

/// Ranks the runs of a query without their details.
fn candidates(store: &SqliteStore, query: &RunQuery, key: &str, highest: bool) -> Result<Vec<Candidate>> {
    let statement = search::select_all("r.run_uuid, r.start_time", query, store.has_workspaces)?;
    let runs = store.read(|db| {
        let mut ids = db.prepare_cached(&statement.sql)?;
        let rows = ids.query_map(params_from_iter(&statement.values), |row| {
            Ok((row.get(0)?, (row.get::<_, Option<i64>>(1)?.unwrap_or_default(), None)))
        })?;
        let mut runs: HashMap<String, (Millis, Option<Point>)> = rows.collect::<rusqlite::Result<_>>()?;
        each_value(db, key, &mut runs, |(_, best), value, row| {
            if best.is_none_or(|best| best_first(value, best.value, highest).is_le()) {
                let point = to_point(value, row)?;
                *best = Some(best.filter(|best| best.compare(&point, highest).is_le()).unwrap_or(point));
            }
            Ok(())
        })?;
        Ok(runs)
    })?;
    let to_candidate = |(run_id, (start_time_ms, best)): (String, (Millis, Option<Point>))| {
        Some(Candidate { run_id, start_time_ms, best: best? })
    };
    let mut found: Vec<Candidate> = runs.into_iter().filter_map(to_candidate).collect();
    found.sort_unstable_by(|a, b| compare_runs(a.place(), b.place(), highest));
    Ok(found)
}

/// Ranks the runs of a query.
pub(super) fn ranked_runs<'a>(
    store: &'a SqliteStore,
    query: &RunQuery,
    key: &str,
    highest: bool,
) -> Result<RankedRuns<'a>> {
    let candidates = candidates(store, query, key, highest)?.into_iter();
    let (key, ready) = (key.to_owned(), Vec::new().into_iter());
    Ok(Box::new(Ranking { store, key, candidates, ready, chunk: FIRST_CHUNK }))
}

/// The runs in their order, with details read in chunks.
struct Ranking<'a> {
    store: &'a SqliteStore,
    key: String,
    candidates: vec::IntoIter<Candidate>,
    ready: vec::IntoIter<RankedRun>,
    chunk: usize,
}

impl Ranking<'_> {
    fn read_chunk(&mut self) -> Result<()> {
        let chunk: Vec<Candidate> = self.candidates.by_ref().take(self.chunk).collect();
        self.chunk = (self.chunk * 2).min(LAST_CHUNK);
        let mut runs: HashMap<String, RunData> = self.store.read(|db| {
            let ids: Vec<&String> = chunk.iter().map(|found| &found.run_id).collect();
            let runs = read::runs(db, self.store.has_logged_models, &serde_json::json!(ids).to_string())?;
            Ok(runs.into_iter().map(|run| (run.info.run_id.clone(), run)).collect())
        })?;
        // A run that was purged since is not there.
        let to_ranked =
            |found: Candidate| Some(RankedRun { run: runs.remove(&found.run_id)?, best: found.best.named(&self.key) });
        self.ready = chunk.into_iter().filter_map(to_ranked).collect::<Vec<_>>().into_iter();
        Ok(())
    }
}

impl Iterator for Ranking<'_> {
    type Item = Result<RankedRun>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(run) = self.ready.next() {
                return Some(Ok(run));
            }
            if self.candidates.len() == 0 {
                return None;
            }
            if let Err(error) = self.read_chunk() {
                // A ranking with a hole is none.
                self.candidates = Vec::new().into_iter();
                return Some(Err(error));
            }
        }
    }
}

/// Names of the metrics of some experiments, in order. The primary key begins with them: each step looks up the next one
/// instead of passing over all runs that have the one before.
pub(super) fn metric_keys(db: &Connection, experiment_ids: &[i64], has_workspaces: bool) -> Outcome<Vec<String>> {
    let experiments = search::experiments_among("?1", has_workspaces);
    let mut statement = db.prepare_cached(&format!(
        "WITH RECURSIVE keys(key) AS (
             SELECT min(key) FROM latest_metrics
             UNION ALL
             SELECT (SELECT min(key) FROM latest_metrics WHERE key > keys.key) FROM keys WHERE keys.key IS NOT NULL
         )
         SELECT key FROM keys WHERE EXISTS (
             SELECT 1 FROM latest_metrics l CROSS JOIN runs r ON r.run_uuid = l.run_uuid
             WHERE l.key = keys.key AND r.experiment_id IN ({experiments})
         )"
    ))?;
    let keys = statement.query_map([serde_json::json!(experiment_ids).to_string()], |row| row.get(0))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}
