//! One table of metrics: name, direction, function. To add a metric, write a function and one row of [`METRICS`].
//!
//! All are computed in `f64` over all rows at once, never averaged over batches. Definitions and edge cases are those of
//! scikit-learn; what is undefined (AUC of a single class) is NaN. Work that several metrics share (sorting by score,
//! counting classes) is done once, by [`Scored`].
//!
//! Forecasts have a table of their own, [`FORECAST_METRICS`], over sums that [`ForecastErrors`] collects window by window.

mod calibration;
mod classes;
mod forecast;
mod intervals;
mod ranking;
mod regression;

use std::cell::OnceCell;
use std::cmp::Ordering;

use calibration::{brier, expected_calibration_error, log_loss};
use classes::{Tally, accuracy, balanced_accuracy, macro_mean, matthews_correlation, micro, of_class_1, weighted_mean};
use ranking::{Ranking, auc, auc_weighted, average_precision};
use regression::{explained_variance, mae, mape, max_error, medae, mse, r2, rmse};

pub use calibration::{CalibrationBin, calibration_curve};
pub use classes::{ClassScores, confusion_matrix, per_class_report};
pub use forecast::{ChannelScale, FORECAST_METRICS, ForecastErrors, ForecastMetric, Judges, forecast_direction_of};
pub use intervals::{Band, auc_interval, bootstrap_interval, pr_band, roc_band};
pub use ranking::{auc_of, average_precision_of, precision_recall_curve, roc_curve};

/// Kind of target, which decides the metrics that make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Regression,
    /// Two classes.
    Binary,
    /// Three or more classes.
    Multiclass,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Small is good.
    Minimize,
    /// Great is good.
    Maximize,
}

/// Targets and predictions of the same rows.
#[derive(Debug, Clone, Copy)]
pub struct Predictions<'a> {
    /// Kind of target.
    pub kind: Kind,
    /// Value in original units, or class index, `[rows]`.
    pub target: &'a [f32],
    /// Value in original units; probability of class 1; or one probability per class, `[rows, columns]` row by row.
    pub predicted: &'a [f32],
}

impl Predictions<'_> {
    /// Probability columns: 1 for regression and binary.
    fn columns(&self) -> usize {
        self.predicted.len() / self.target.len().max(1)
    }

    /// Most probable class of each row; binary: probability at least one half.
    pub fn classes(&self) -> Vec<usize> {
        match self.kind {
            Kind::Multiclass => self.predicted.chunks(self.columns()).map(argmax).collect(),
            _ => self.predicted.iter().map(|&p| usize::from(p >= 0.5)).collect(),
        }
    }

    /// Number of classes: 2 for binary.
    pub fn n_classes(&self) -> usize {
        self.columns().max(2)
    }

    /// Scores of one class, `[rows]`: its column; binary: the one column, which ranks class 1.
    fn scores(&self, class: usize) -> Vec<f32> {
        let columns = self.columns();
        self.predicted.iter().skip(if columns > 1 { class } else { 0 }).step_by(columns).copied().collect()
    }

    fn n_rows(&self) -> f64 {
        self.target.len() as f64
    }
}

/// Predictions with what several metrics need, worked out when first asked for.
pub struct Scored<'a> {
    /// The rows.
    pub rows: Predictions<'a>,
    confusion: OnceCell<Vec<Vec<usize>>>,
    rankings: OnceCell<Vec<Ranking>>,
}

impl<'a> Scored<'a> {
    /// Computes nothing yet.
    pub fn new(rows: &Predictions<'a>) -> Self {
        Self { rows: *rows, confusion: OnceCell::new(), rankings: OnceCell::new() }
    }

    /// `matrix[true class][predicted class]` = rows.
    pub fn confusion(&self) -> &[Vec<usize>] {
        self.confusion.get_or_init(|| confusion_matrix(&self.rows))
    }

    /// Binary: class 1 against class 0; multiclass: each class against the rest.
    fn rankings(&self) -> &[Ranking] {
        self.rankings.get_or_init(|| {
            let ranked = if self.rows.kind == Kind::Binary { 1..2 } else { 0..self.rows.n_classes() };
            ranked.map(|class| Ranking::new(self.rows.target, &self.rows.scores(class), class as f32)).collect()
        })
    }
}

/// One row of the table.
pub struct Metric {
    /// Name without `train_`, `val_`, `test_`.
    pub name: &'static str,
    /// Where it is defined.
    pub kinds: &'static [Kind],
    /// Which way is better.
    pub direction: Direction,
    /// Computes it.
    pub compute: fn(&Scored) -> f64,
}

const CLASSES: &[Kind] = &[Kind::Binary, Kind::Multiclass];
const BINARY: &[Kind] = &[Kind::Binary];
const MULTI: &[Kind] = &[Kind::Multiclass];
const NUMBER: &[Kind] = &[Kind::Regression];

use Direction::{Maximize, Minimize};

/// Every metric there is, in the order in which they are shown.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    Metric { name: "auc",                kinds: CLASSES, direction: Maximize, compute: auc },
    Metric { name: "auc_weighted",       kinds: MULTI,   direction: Maximize, compute: auc_weighted },
    Metric { name: "accuracy",           kinds: CLASSES, direction: Maximize, compute: accuracy },
    Metric { name: "balanced_accuracy",  kinds: CLASSES, direction: Maximize, compute: balanced_accuracy },
    Metric { name: "log_loss",           kinds: CLASSES, direction: Minimize, compute: log_loss },
    Metric { name: "brier",              kinds: CLASSES, direction: Minimize, compute: brier },
    Metric { name: "ece",                kinds: CLASSES, direction: Minimize, compute: expected_calibration_error },
    Metric { name: "average_precision",  kinds: CLASSES, direction: Maximize, compute: average_precision },
    Metric { name: "precision",          kinds: BINARY,  direction: Maximize, compute: |s| of_class_1(s, Tally::precision) },
    Metric { name: "recall",             kinds: BINARY,  direction: Maximize, compute: |s| of_class_1(s, Tally::recall) },
    Metric { name: "f1",                 kinds: BINARY,  direction: Maximize, compute: |s| of_class_1(s, Tally::f1) },
    Metric { name: "precision_macro",    kinds: MULTI,   direction: Maximize, compute: |s| macro_mean(s, Tally::precision) },
    Metric { name: "precision_micro",    kinds: MULTI,   direction: Maximize, compute: |s| micro(s, Tally::precision) },
    Metric { name: "precision_weighted", kinds: MULTI,   direction: Maximize, compute: |s| weighted_mean(s, Tally::precision) },
    Metric { name: "recall_macro",       kinds: MULTI,   direction: Maximize, compute: |s| macro_mean(s, Tally::recall) },
    Metric { name: "recall_micro",       kinds: MULTI,   direction: Maximize, compute: |s| micro(s, Tally::recall) },
    Metric { name: "recall_weighted",    kinds: MULTI,   direction: Maximize, compute: |s| weighted_mean(s, Tally::recall) },
    Metric { name: "f1_macro",           kinds: MULTI,   direction: Maximize, compute: |s| macro_mean(s, Tally::f1) },
    Metric { name: "f1_micro",           kinds: MULTI,   direction: Maximize, compute: |s| micro(s, Tally::f1) },
    Metric { name: "f1_weighted",        kinds: MULTI,   direction: Maximize, compute: |s| weighted_mean(s, Tally::f1) },
    Metric { name: "mcc",                kinds: CLASSES, direction: Maximize, compute: matthews_correlation },
    Metric { name: "rmse",               kinds: NUMBER,  direction: Minimize, compute: rmse },
    Metric { name: "mae",                kinds: NUMBER,  direction: Minimize, compute: mae },
    Metric { name: "mse",                kinds: NUMBER,  direction: Minimize, compute: mse },
    Metric { name: "medae",              kinds: NUMBER,  direction: Minimize, compute: medae },
    Metric { name: "mape",               kinds: NUMBER,  direction: Minimize, compute: mape },
    Metric { name: "max_error",          kinds: NUMBER,  direction: Minimize, compute: max_error },
    Metric { name: "r2",                 kinds: NUMBER,  direction: Maximize, compute: r2 },
    Metric { name: "explained_variance", kinds: NUMBER,  direction: Maximize, compute: explained_variance },
];

impl Metric {
    /// Its value for these predictions; NaN if one of them is not finite.
    pub fn value(&self, predictions: &Predictions) -> f64 {
        if is_finite(predictions) { (self.compute)(&Scored::new(predictions)) } else { f64::NAN }
    }
}

/// The metrics of a kind of target.
pub fn metrics_for(kind: Kind) -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(move |metric| metric.kinds.contains(&kind))
}

/// All metrics of the table that are defined for these predictions, as `(name, value)`. All are NaN if a prediction is not
/// finite.
pub fn compute_all(predictions: &Predictions) -> Vec<(&'static str, f64)> {
    let (scored, finite) = (Scored::new(predictions), is_finite(predictions));
    let value = |metric: &Metric| if finite { (metric.compute)(&scored) } else { f64::NAN };
    metrics_for(predictions.kind).map(|metric| (metric.name, value(metric))).collect()
}

/// Direction of a metric for a kind of target, or the names to choose from. `loss` is always there.
pub fn direction_of(name: &str, kind: Kind) -> Result<Direction, Vec<&'static str>> {
    if name == "loss" {
        return Ok(Direction::Minimize);
    }
    metrics_for(kind)
        .find(|metric| metric.name == name)
        .map(|metric| metric.direction)
        .ok_or_else(|| std::iter::once("loss").chain(metrics_for(kind).map(|metric| metric.name)).collect())
}

/// What early stopping can follow in any program, by either table, each name once. Which of them a run has is known only when
/// its data are read.
pub(crate) fn monitored_names() -> Vec<(&'static str, Direction)> {
    let mut names = vec![("loss", Minimize)];
    names.extend(METRICS.iter().map(|metric| (metric.name, metric.direction)));
    for metric in FORECAST_METRICS {
        if let Some(direction) = metric.direction.filter(|_| names.iter().all(|(name, _)| *name != metric.name)) {
            names.push((metric.name, direction));
        }
    }
    names
}

fn is_finite(predictions: &Predictions) -> bool {
    predictions.predicted.iter().all(|value| value.is_finite())
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The first of the greatest.
fn argmax(row: &[f32]) -> usize {
    (0..row.len()).rev().max_by(|&a, &b| row[a].partial_cmp(&row[b]).unwrap_or(Ordering::Equal)).unwrap_or(0)
}
