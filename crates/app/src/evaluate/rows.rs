//! Rows with what came and what was predicted: of a model, or of a file of predictions.

use dataset::{Column, ColumnType, Table};
use modeling::Task;
use training::metrics::{Direction, compute_all, direction_of};

use crate::tabular::scoring::{ScoredRows, kind_of};

/// Metrics that need probabilities, not only classes.
const OF_PROBABILITIES: [&str; 6] = ["auc", "auc_weighted", "log_loss", "brier", "ece", "average_precision"];

/// Targets and predictions of the same rows.
#[derive(Debug)]
pub struct Outcomes {
    /// `[rows]`: class indices, or numbers in their own units.
    pub target: Vec<f32>,
    /// Original units, or probabilities row by row, `[rows, n_outputs]`.
    pub predicted: Vec<f32>,
    /// The predicted class of each row, where a file says so by another rule than the most probable one.
    pub classes: Option<Vec<f32>>,
}

/// The rows that are judged.
pub struct JudgedRows {
    /// What was asked for.
    pub task: Task,
    /// Class names by index; empty for a regression.
    pub labels: Vec<String>,
    /// The column that is predicted.
    pub target_name: String,
    /// Columns beside target and prediction, row for row.
    pub table: Table,
    /// What came and what was predicted.
    pub outcomes: Outcomes,
    /// The same of the rows by which the model was chosen, if they are known: thresholds and calibration are fitted on them.
    pub validation: Option<Outcomes>,
    /// Without, a prediction is a class only.
    pub has_probabilities: bool,
}

impl JudgedRows {
    /// For metrics and pictures.
    pub fn scored(&self) -> ScoredRows<'_> {
        self.of(&self.outcomes)
    }

    /// Other outcomes of the same task.
    pub fn of<'a>(&'a self, outcomes: &'a Outcomes) -> ScoredRows<'a> {
        ScoredRows {
            target: &outcomes.target,
            predicted: &outcomes.predicted,
            task: self.task,
            labels: &self.labels,
            target_name: &self.target_name,
        }
    }

    /// The number of rows.
    pub fn n_rows(&self) -> usize {
        self.outcomes.target.len()
    }

    /// All metrics that these predictions have.
    pub fn metrics(&self, outcomes: &Outcomes) -> Vec<(&'static str, f64)> {
        let mut values = compute_all(&self.of(outcomes).predictions());
        values.retain(|(name, _)| self.has_probabilities || !OF_PROBABILITIES.contains(name));
        if let Some(classes) = &outcomes.classes {
            let predicted = certain(classes, self.task);
            let by_class = compute_all(&ScoredRows { predicted: &predicted, ..self.of(outcomes) }.predictions());
            for (name, value) in values.iter_mut().filter(|(name, _)| !OF_PROBABILITIES.contains(name)) {
                *value = by_class.iter().find(|(known, _)| known == name).map_or(*value, |(_, value)| *value);
            }
        }
        values
    }

    /// Which way a metric is better, or the names to choose from.
    pub fn direction_of(&self, metric: &str) -> Result<Direction, Vec<&'static str>> {
        let names: Vec<&'static str> = self.metrics(&self.outcomes).into_iter().map(|(name, _)| name).collect();
        if !names.contains(&metric) {
            return Err(names);
        }
        direction_of(metric, kind_of(self.task))
    }
}

/// Classes as probabilities of 0 and 1, row by row.
pub fn certain(classes: &[f32], task: Task) -> Vec<f32> {
    let outputs = if task == Task::Binary { 1..2 } else { 0..task.n_outputs() };
    classes.iter().flat_map(|&class| outputs.clone().map(move |output| f32::from(class == output as f32))).collect()
}

impl Outcomes {
    /// Of a model.
    pub fn new(target: Vec<f32>, predicted: Vec<f32>) -> Self {
        Self { target, predicted, classes: None }
    }

    /// The given rows in the given order.
    pub fn select(&self, rows: &[u32]) -> Self {
        let columns = self.columns();
        let of_row = |&row: &u32| &self.predicted[row as usize * columns..(row as usize + 1) * columns];
        Self {
            target: rows.iter().map(|&row| self.target[row as usize]).collect(),
            predicted: rows.iter().flat_map(of_row).copied().collect(),
            classes: self.classes.as_ref().map(|classes| rows.iter().map(|&row| classes[row as usize]).collect()),
        }
    }

    /// Predictions of one row.
    pub fn columns(&self) -> usize {
        self.predicted.len() / self.target.len().max(1)
    }

    /// Whether each row is of class 1, and its probability: of two classes.
    pub fn binary(&self) -> (Vec<bool>, Vec<f64>) {
        let is_hit = self.target.iter().map(|&class| class == 1.0).collect();
        (is_hit, self.predicted.iter().map(|&score| f64::from(score)).collect())
    }
}

/// The cells of a column as numbers (NaN: missing), if it holds numbers.
pub fn numbers(column: &Column, origin: &str) -> Option<Vec<f64>> {
    let is_number = column.column_type().is_some_and(|kind| !matches!(kind, ColumnType::String | ColumnType::Boolean));
    let rows: Vec<u32> = (0..column.len() as u32).collect();
    let cells = is_number.then(|| column.numbers(&rows, origin).ok()).flatten()?;
    Some(cells.into_iter().map(|cell| cell.unwrap_or(f64::NAN)).collect())
}

/// The cells of a column as texts.
pub fn texts(column: &Column) -> Vec<Option<String>> {
    (0..column.len()).map(|row| column.text(row).map(|text| text.into_owned())).collect()
}
