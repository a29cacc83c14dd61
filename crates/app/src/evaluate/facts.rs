//! What gates can ask about.

use std::collections::BTreeMap;

use evaluation::Difference;
use evaluation::gates::{Direction, FactError, Facts, Gate, GateResult, Measured};

use super::figures::{Figure, SliceScore};

/// Looks up a slice of a metric without its prefix.
pub type SliceOf<'a> = dyn Fn(&str, &str, &str) -> Result<SliceScore, FactError> + 'a;
/// Compares with another model by a metric without its prefix, at a level.
pub type DifferenceTo<'a> = dyn Fn(&str, &str, f64) -> Result<Difference, FactError> + 'a;

/// What is known of a model that was judged.
pub struct Known<'a> {
    /// By full name: `test_auc`, `val_auc`, `latency_ms_p99`, ..
    pub figures: BTreeMap<String, Measured>,
    /// `test_auc`.
    pub main_metric: String,
    /// Which way a metric without its prefix is better.
    pub direction: &'a dyn Fn(&str) -> Option<training::metrics::Direction>,
    /// Scores a slice.
    pub slice: &'a SliceOf<'a>,
    /// Scores another model.
    pub difference: &'a DifferenceTo<'a>,
}

impl Known<'_> {
    /// Holds every gate against what is known.
    pub fn check(&self, gates: &[Gate]) -> Vec<GateResult> {
        gates.iter().map(|gate| gate.check(self)).collect()
    }
}

/// Full name and figure, as a gate sees it.
pub fn measured(prefix: &str, figure: &Figure) -> (String, Measured) {
    let interval = Some(figure.interval).filter(|interval| interval.low.is_finite());
    (format!("{prefix}_{}", figure.name), Measured { value: figure.value, interval, n_rows: None })
}

/// A number without an interval.
pub fn plain(value: f64) -> Measured {
    Measured { value, interval: None, n_rows: None }
}

/// `auc` for `test_auc`; only what was judged can be sliced and compared.
fn without_prefix(metric: &str) -> Result<&str, FactError> {
    metric.strip_prefix("test_").ok_or_else(|| {
        FactError::Failed(format!("`{metric}` is not of the judged rows; those are called `test_{metric}`"))
    })
}

impl Facts for Known<'_> {
    fn metric(&self, name: &str) -> Option<Measured> {
        self.figures.get(name).copied()
    }

    fn names(&self) -> Vec<String> {
        self.figures.keys().cloned().collect()
    }

    fn main_metric(&self) -> &str {
        &self.main_metric
    }

    fn direction(&self, metric: &str) -> Option<Direction> {
        let name = ["test_", "val_", "train_"].iter().find_map(|prefix| metric.strip_prefix(prefix)).unwrap_or(metric);
        (self.direction)(name).map(|direction| match direction {
            training::metrics::Direction::Minimize => Direction::Minimize,
            training::metrics::Direction::Maximize => Direction::Maximize,
        })
    }

    fn slice(&self, column: &str, level: &str, metric: &str) -> Result<Measured, FactError> {
        let score = (self.slice)(column, level, without_prefix(metric)?)?;
        let interval = Some(score.interval).filter(|interval| interval.low.is_finite());
        Ok(Measured { value: score.value, interval, n_rows: Some(score.n_rows) })
    }

    fn difference(&self, reference: &str, metric: &str, level: f64) -> Result<Difference, FactError> {
        (self.difference)(reference, without_prefix(metric)?, level)
    }
}
