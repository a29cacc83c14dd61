//! Metrics with intervals, of all rows and of slices.

use std::collections::BTreeSet;

use anyhow::Result;
use evaluation::gates::FactError;
use evaluation::slices::{Values, groups};
use evaluation::{Interval, bootstrap_intervals};
use serde::Serialize;
use training::metrics::Direction;

use super::config::{IntervalsConfig, SlicesConfig};
use super::rows::{JudgedRows, Outcomes, numbers, texts};
use crate::exit::Mistake;
use crate::session::Session;

/// Slices are many, so each gets fewer draws than the metrics of all rows.
const MOST_SLICE_SAMPLES: usize = 300;
/// More columns than this are not sliced unless they are named.
const MOST_COLUMNS: usize = 60;

/// A metric and how sure it is.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Name without `test_`.
    pub name: String,
    /// Of all rows.
    pub value: f64,
    /// Percentile bootstrap.
    pub interval: Interval,
}

/// All metrics of the judged rows.
pub fn measure(judged: &JudgedRows, settings: &IntervalsConfig, seed: u64) -> Vec<Figure> {
    let values = judged.metrics(&judged.outcomes);
    let draw = |rows: &[u32]| metric_values(judged, rows);
    let intervals = bootstrap_intervals(judged.n_rows(), settings.samples, seed, settings.level, draw);
    let figure = |((name, value), interval): ((&str, f64), Interval)| Figure { name: name.to_owned(), value, interval };
    values.into_iter().zip(intervals).map(figure).collect()
}

fn metric_values(judged: &JudgedRows, rows: &[u32]) -> Vec<f64> {
    let drawn: Outcomes = judged.outcomes.select(rows);
    judged.metrics(&drawn).into_iter().map(|(_, value)| value).collect()
}

/// One metric of some of the rows.
pub fn metric_of(judged: &JudgedRows, outcomes: &Outcomes, metric: &str) -> f64 {
    if outcomes.classes.is_some() {
        return judged.metrics(outcomes).iter().find(|(name, _)| *name == metric).map_or(f64::NAN, |(_, value)| *value);
    }
    judged.of(outcomes).value(metric)
}

/// One metric of the rows that share a value of a column.
#[derive(Debug, Clone, Serialize)]
pub struct SliceScore {
    /// The column.
    pub column: String,
    /// The value, or the bin.
    pub level: String,
    /// Its rows.
    pub n_rows: usize,
    /// NaN where it is not defined, as the AUC of a single class.
    pub value: f64,
    /// Percentile bootstrap.
    pub interval: Interval,
}

/// One metric by slices of every column, the worst first.
pub struct Slicing<'a> {
    /// The rows.
    pub judged: &'a JudgedRows,
    /// Which columns and how.
    pub settings: &'a SlicesConfig,
    /// Level and draws of the intervals.
    pub intervals: &'a IntervalsConfig,
    /// Of the draws.
    pub seed: u64,
}

impl Slicing<'_> {
    /// Scores the slices of the columns that the config names, else of all `inputs`.
    pub fn score(
        &self,
        (metric, direction): (&str, Direction),
        inputs: &[String],
        session: &Session,
    ) -> Result<Vec<SliceScore>> {
        let columns = self.columns(inputs)?;
        let bar = session.console.count_bar("slices");
        let mut scores = Vec::new();
        for column in columns {
            session.console.stop_if_interrupted()?;
            for (level, rows) in self.groups(&column)? {
                scores.push(self.score_rows(&column, level, &rows, metric));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let badness = |score: &SliceScore| match direction {
            _ if score.value.is_nan() => f64::INFINITY,
            Direction::Maximize => score.value,
            Direction::Minimize => -score.value,
        };
        scores.sort_by(|a, b| badness(a).total_cmp(&badness(b)));
        Ok(scores)
    }

    /// The slice `column=level` by itself, for a gate.
    pub fn score_one(&self, column: &str, level: &str, metric: &str) -> Result<SliceScore, FactError> {
        let unknown =
            |what, name: &str, known: Vec<String>| Err(FactError::Unknown { what, name: name.to_owned(), known });
        let names: Vec<String> = self.judged.table.names().map(str::to_owned).collect();
        if !names.iter().any(|name| name == column) {
            return unknown("column", column, names);
        }
        if let Err(names) = self.judged.direction_of(metric) {
            return unknown("metric", metric, names.into_iter().map(str::to_owned).collect());
        }
        let groups = self.groups(column).map_err(|error| FactError::Failed(error.to_string()))?;
        match groups.iter().find(|(known, _)| known == level) {
            Some((level, rows)) => Ok(self.score_rows(column, level.clone(), rows, metric)),
            None => unknown("level", level, groups.into_iter().map(|(level, _)| level).collect()),
        }
    }

    fn columns(&self, inputs: &[String]) -> Result<Vec<String>> {
        let table = &self.judged.table;
        let known: BTreeSet<&str> = table.names().collect();
        match &self.settings.columns {
            None => {
                Ok(inputs.iter().filter(|name| known.contains(name.as_str())).take(MOST_COLUMNS).cloned().collect())
            }
            Some(named) => {
                for name in named {
                    table.column(name, "`slices.columns`").map_err(|error| Mistake::new(error.to_string()))?;
                }
                Ok(named.clone())
            }
        }
    }

    /// Level and rows of each slice that is large enough.
    fn groups(&self, name: &str) -> Result<Vec<(String, Vec<u32>)>> {
        let (table, settings) = (&self.judged.table, self.settings);
        let column = table.column(name, "a slice")?;
        let cells = texts(column);
        let values = match numbers(column, table.origin()) {
            Some(numbers) if has_more_values(&numbers, settings.max_levels) => Values::Number(numbers),
            _ => Values::Text(cells.iter().map(Option::as_deref).collect()),
        };
        let mut found = groups(&values, settings.max_levels, settings.bins);
        found.retain(|group| group.rows.len() >= settings.min_rows);
        Ok(found.into_iter().map(|group| (group.label, group.rows)).collect())
    }

    fn score_rows(&self, column: &str, level: String, rows: &[u32], metric: &str) -> SliceScore {
        let outcomes = self.judged.outcomes.select(rows);
        let samples = self.intervals.samples.min(MOST_SLICE_SAMPLES);
        let draw = |rows: &[u32]| vec![metric_of(self.judged, &outcomes.select(rows), metric)];
        let intervals = bootstrap_intervals(rows.len(), samples, self.seed, self.intervals.level, draw);
        SliceScore {
            column: column.to_owned(),
            level,
            n_rows: rows.len(),
            value: metric_of(self.judged, &outcomes, metric),
            interval: intervals[0],
        }
    }
}

/// Whether a column of numbers has more distinct values than are shown one by one.
fn has_more_values(numbers: &[f64], most: usize) -> bool {
    let mut seen = BTreeSet::new();
    numbers.iter().filter(|number| !number.is_nan()).any(|number| {
        seen.insert(number.to_bits());
        seen.len() > most
    })
}
