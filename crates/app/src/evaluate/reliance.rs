//! What the model relies on: permutation importance and partial dependence, on raw columns, so that what is computed from
//! a column goes with it.

use anyhow::Result;
use dataset::{Column, Table};
use evaluation::dependence::{level_grid, number_grid};
use serde::Serialize;
use training::metrics::Direction;
use training::{Importance, permutation_importance};

use super::config::ImportanceConfig;
use super::figures::metric_of;
use super::rows::{JudgedRows, Outcomes, numbers, texts};
use crate::session::Session;
use crate::tabular::predictor::Predictor;

/// Values of a column at which the mean prediction is taken.
const GRID_POINTS: usize = 21;
const GRID_LEVELS: usize = 12;

/// How much worse the metric becomes without a column.
#[derive(Debug, Clone, Serialize)]
pub struct ColumnImportance {
    /// The raw column.
    pub column: String,
    /// Mean fall of the metric.
    pub mean: f64,
    /// Standard deviation over the shuffles.
    pub std: f64,
}

/// The mean prediction if a column had one value in all rows.
#[derive(Debug, Clone, Serialize)]
pub struct Dependence {
    /// The raw column.
    pub column: String,
    /// Which class' probability it is; empty for a regression.
    pub class: String,
    /// Values, or levels.
    pub grid: Grid,
    /// Mean prediction at each point of the grid.
    pub mean: Vec<f64>,
}

/// Where partial dependence is computed.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Grid {
    /// Of a column of numbers.
    Numbers(Vec<f64>),
    /// Of any other.
    Levels(Vec<String>),
}

/// Some of the judged rows, with the model that is asked about them.
pub struct Reliance<'a> {
    judged: &'a JudgedRows,
    predictor: &'a Predictor,
    table: Table,
    outcomes: Outcomes,
    columns: Vec<String>,
}

impl<'a> Reliance<'a> {
    /// Takes evenly spread rows.
    pub fn new(judged: &'a JudgedRows, predictor: &'a Predictor, settings: &ImportanceConfig) -> Self {
        let n_rows = judged.n_rows();
        let step = n_rows.div_ceil(settings.max_rows).max(1);
        let rows: Vec<u32> = (0..n_rows as u32).step_by(step).collect();
        let columns = predictor.preprocessor.raw.iter().map(|column| column.name.clone()).collect();
        let (table, outcomes) = (judged.table.select(&rows), judged.outcomes.select(&rows));
        Self { judged, predictor, table, outcomes, columns }
    }

    /// Shuffles each column a few times; the most important column first.
    pub fn importance(
        &self,
        (metric, direction): (&str, Direction),
        settings: &ImportanceConfig,
        seed: u64,
        session: &Session,
    ) -> Result<Vec<ColumnImportance>> {
        if settings.repeats == 0 {
            return Ok(Vec::new());
        }
        let bar = session.console.count_bar("shuffles");
        let mut failed = None;
        let baseline = metric_of(self.judged, &self.outcomes, metric);
        let shuffled = |column: usize, order: &[u32]| {
            if failed.is_some() || session.console.is_interrupted() {
                return f64::NAN;
            }
            bar.inc(1);
            let found = self.shuffled(&self.columns[column], order, metric);
            found.unwrap_or_else(|error| {
                failed = Some(error);
                f64::NAN
            })
        };
        let n_rows = self.outcomes.target.len();
        let (repeats, score) = (settings.repeats, (baseline, direction));
        let found = permutation_importance(self.columns.len(), n_rows, repeats, seed, score, shuffled);
        bar.finish_and_clear();
        session.console.stop_if_interrupted()?;
        if let Some(error) = failed {
            return Err(error);
        }
        let named = |(column, found): (&String, Importance)| ColumnImportance {
            column: column.clone(),
            mean: found.mean,
            std: found.std,
        };
        let mut all: Vec<ColumnImportance> = self.columns.iter().zip(found).map(named).collect();
        all.sort_by(|a, b| b.mean.total_cmp(&a.mean));
        Ok(all)
    }

    fn shuffled(&self, name: &str, order: &[u32], metric: &str) -> Result<f64> {
        let column = self.table.column(name, "the model")?.select(order);
        let predicted = self.predictor.predict(&self.with(column)?)?;
        Ok(metric_of(self.judged, &Outcomes::new(self.outcomes.target.clone(), predicted), metric))
    }

    /// The rows with one column in place of that of its name.
    fn with(&self, column: Column) -> Result<Table> {
        let other = |own: &Column| if own.name == column.name { column.clone() } else { own.clone() };
        Ok(Table::new(self.table.origin(), self.table.columns().iter().map(other).collect())?)
    }

    /// Partial dependence (Friedman 2001) of the prediction on one column: of class 1, of several classes on each.
    pub fn dependence(&self, name: &str) -> Result<Vec<Dependence>> {
        let column = self.table.column(name, "the model")?;
        let grid = match numbers(column, self.table.origin()) {
            Some(values) => Grid::Numbers(number_grid(&values, GRID_POINTS)),
            None => {
                let cells = texts(column);
                let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
                Grid::Levels(level_grid(&cells, GRID_LEVELS).into_iter().map(str::to_owned).collect())
            }
        };
        let n_rows = self.outcomes.target.len();
        let columns: Vec<Column> = match &grid {
            Grid::Numbers(values) => {
                values.iter().map(|&value| Column::from_numbers(name, vec![Some(value); n_rows])).collect()
            }
            Grid::Levels(levels) => {
                levels.iter().map(|level| Column::new(name, vec![Some(level.clone()); n_rows])).collect()
            }
        };
        let means = columns.into_iter().map(|column| self.mean_predictions(column)).collect::<Result<Vec<_>>>()?;
        let labels = &self.judged.labels;
        let class = |output: usize| match labels.len() {
            0 => String::new(),
            2 => labels[1].clone(),
            _ => labels[output].clone(),
        };
        let of_output = |output: usize| Dependence {
            column: name.to_owned(),
            class: class(output),
            grid: grid.clone(),
            mean: means.iter().map(|mean| mean[output]).collect(),
        };
        Ok((0..self.outcomes.columns()).map(of_output).collect())
    }

    fn mean_predictions(&self, column: Column) -> Result<Vec<f64>> {
        let predicted = self.predictor.predict(&self.with(column)?)?;
        let outputs = self.outcomes.columns();
        let n_rows = self.outcomes.target.len() as f64;
        let sum = |output: usize| predicted.iter().skip(output).step_by(outputs).map(|&p| f64::from(p)).sum::<f64>();
        Ok((0..outputs).map(|output| sum(output) / n_rows).collect())
    }
}
