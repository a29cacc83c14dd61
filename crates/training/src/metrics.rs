//! One table of metrics: name, direction, function. To add a metric, write a function and one row of [`METRICS`].
//!
//! All are computed in `f64` over all rows at once, never averaged over batches. Definitions and edge cases are those of
//! scikit-learn; what is undefined (AUC of a single class) is NaN.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    pub compute: fn(&Predictions) -> f64,
}

const CLASSIFICATION: &[Kind] = &[Kind::Binary, Kind::Multiclass];
const BINARY: &[Kind] = &[Kind::Binary];
const MULTICLASS: &[Kind] = &[Kind::Multiclass];
const REGRESSION: &[Kind] = &[Kind::Regression];

/// Every metric there is, in the order in which they are shown.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    Metric { name: "auc",               kinds: CLASSIFICATION, direction: Direction::Maximize, compute: auc },
    Metric { name: "accuracy",          kinds: CLASSIFICATION, direction: Direction::Maximize, compute: accuracy },
    Metric { name: "log_loss",          kinds: CLASSIFICATION, direction: Direction::Minimize, compute: log_loss },
    Metric { name: "average_precision", kinds: BINARY,         direction: Direction::Maximize, compute: average_precision },
    Metric { name: "precision",         kinds: BINARY,         direction: Direction::Maximize, compute: precision },
    Metric { name: "recall",            kinds: BINARY,         direction: Direction::Maximize, compute: recall },
    Metric { name: "f1",                kinds: BINARY,         direction: Direction::Maximize, compute: f1 },
    Metric { name: "f1_macro",          kinds: MULTICLASS,     direction: Direction::Maximize, compute: f1_macro },
    Metric { name: "rmse",              kinds: REGRESSION,     direction: Direction::Minimize, compute: rmse },
    Metric { name: "mae",               kinds: REGRESSION,     direction: Direction::Minimize, compute: mae },
    Metric { name: "mse",               kinds: REGRESSION,     direction: Direction::Minimize, compute: mse },
    Metric { name: "r2",                kinds: REGRESSION,     direction: Direction::Maximize, compute: r2 },
];

/// The metrics of a kind of target.
pub fn metrics_for(kind: Kind) -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(move |metric| metric.kinds.contains(&kind))
}

/// All metrics of the table that are defined for these predictions, as `(name, value)`.
pub fn compute_all(predictions: &Predictions) -> Vec<(&'static str, f64)> {
    metrics_for(predictions.kind).map(|metric| (metric.name, (metric.compute)(predictions))).collect()
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

/// Share of rows whose most probable class is right.
fn accuracy(p: &Predictions) -> f64 {
    let right = p.classes().iter().zip(p.target).filter(|(class, target)| **class == **target as usize).count();
    right as f64 / p.target.len() as f64
}

/// Mean of -log(probability of the true class); probabilities are clipped at the resolution of `f32`.
fn log_loss(p: &Predictions) -> f64 {
    let columns = p.columns();
    let clip = |probability: f64| probability.clamp(f64::from(f32::EPSILON), 1.0 - f64::from(f32::EPSILON));
    let total: f64 = p
        .target
        .iter()
        .enumerate()
        .map(|(row, &class)| match p.kind {
            Kind::Multiclass => -clip(f64::from(p.predicted[row * columns + class as usize])).ln(),
            _ if class == 1.0 => -clip(f64::from(p.predicted[row])).ln(),
            _ => -clip(1.0 - f64::from(p.predicted[row])).ln(),
        })
        .sum();
    total / p.target.len() as f64
}

/// Area under the ROC curve; more classes: mean of one-against-rest over the classes (macro).
fn auc(p: &Predictions) -> f64 {
    if p.kind == Kind::Binary {
        return auc_of(p.target, p.predicted, 1.0);
    }
    let columns = p.columns();
    let areas = (0..columns).map(|class| {
        let scores: Vec<f32> = p.predicted.iter().skip(class).step_by(columns).copied().collect();
        auc_of(p.target, &scores, class as f32)
    });
    areas.sum::<f64>() / columns as f64
}

/// Probability that a row of `class` scores higher than another one, ties counted as one half (Mann-Whitney U).
pub fn auc_of(target: &[f32], scores: &[f32], class: f32) -> f64 {
    let order = ascending(scores);
    let (mut positives, mut rank_sum, mut start) = (0.0, 0.0, 0);
    while start < order.len() {
        let tied = order[start..].iter().take_while(|&&row| scores[row] == scores[order[start]]).count().max(1);
        let mean_rank = start as f64 + (tied as f64 + 1.0) / 2.0;
        let hits = order[start..start + tied].iter().filter(|&&row| target[row] == class).count() as f64;
        positives += hits;
        rank_sum += hits * mean_rank;
        start += tied;
    }
    let negatives = target.len() as f64 - positives;
    (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives)
}

/// Corners of the ROC curve of one class as (false positive rate, true positive rate), from (0, 0) to (1, 1).
pub fn roc_curve(target: &[f32], scores: &[f32], class: f32) -> Vec<(f64, f64)> {
    let (positives, negatives) = class_counts(target, class);
    let corner = |&(hits, misses): &(usize, usize)| (misses as f64 / negatives, hits as f64 / positives);
    std::iter::once((0.0, 0.0)).chain(threshold_counts(target, scores, class).iter().map(corner)).collect()
}

/// Corners of the precision-recall curve of one class as (recall, precision), from the strictest threshold on.
pub fn precision_recall_curve(target: &[f32], scores: &[f32], class: f32) -> Vec<(f64, f64)> {
    let (positives, _) = class_counts(target, class);
    threshold_counts(target, scores, class)
        .iter()
        .map(|&(hits, misses)| (hits as f64 / positives, hits as f64 / (hits + misses) as f64))
        .collect()
}

fn average_precision(p: &Predictions) -> f64 {
    average_precision_of(p.target, p.predicted, 1.0)
}

/// Precision averaged over the gains in recall, sum of (R_n - R_{n-1}) P_n; 0 if no row is of `class`.
pub fn average_precision_of(target: &[f32], scores: &[f32], class: f32) -> f64 {
    let mut last_recall = 0.0;
    let mut area = 0.0;
    for (recall, precision) in precision_recall_curve(target, scores, class) {
        area += (recall - last_recall) * precision;
        last_recall = recall;
    }
    if area.is_nan() { 0.0 } else { area }
}

/// `matrix[true class][predicted class]` = rows.
pub fn confusion_matrix(p: &Predictions) -> Vec<Vec<usize>> {
    let mut matrix = vec![vec![0; p.n_classes()]; p.n_classes()];
    for (class, &target) in p.classes().into_iter().zip(p.target) {
        matrix[target as usize][class] += 1;
    }
    matrix
}

/// Of the rows called positive, the share that is (0 if none is called so).
fn precision(p: &Predictions) -> f64 {
    let matrix = confusion_matrix(p);
    ratio(matrix[1][1], matrix[0][1] + matrix[1][1])
}

/// Of the positive rows, the share that is found (0 if there is none).
fn recall(p: &Predictions) -> f64 {
    let matrix = confusion_matrix(p);
    ratio(matrix[1][1], matrix[1][0] + matrix[1][1])
}

/// Harmonic mean of precision and recall of class 1.
fn f1(p: &Predictions) -> f64 {
    f1_of(&confusion_matrix(p), 1)
}

/// Mean of each class's F1, over the classes that occur in targets or predictions.
fn f1_macro(p: &Predictions) -> f64 {
    let matrix = confusion_matrix(p);
    let occurs = |class: &usize| matrix[*class].iter().any(|&n| n > 0) || matrix.iter().any(|row| row[*class] > 0);
    let scores: Vec<f64> = (0..matrix.len()).filter(occurs).map(|class| f1_of(&matrix, class)).collect();
    scores.iter().sum::<f64>() / scores.len() as f64
}

fn f1_of(matrix: &[Vec<usize>], class: usize) -> f64 {
    let called: usize = matrix.iter().map(|row| row[class]).sum();
    let actual: usize = matrix[class].iter().sum();
    ratio(2 * matrix[class][class], called + actual)
}

/// Mean squared error.
fn mse(p: &Predictions) -> f64 {
    errors(p).map(|error| error * error).sum::<f64>() / p.target.len() as f64
}

/// Root of the mean squared error, in the target's units.
fn rmse(p: &Predictions) -> f64 {
    mse(p).sqrt()
}

/// Mean absolute error, in the target's units.
fn mae(p: &Predictions) -> f64 {
    errors(p).map(f64::abs).sum::<f64>() / p.target.len() as f64
}

/// Share of the target's variance that is explained; 0 for always predicting the mean, negative for worse. A constant
/// target has none: then 1 if it is predicted exactly, else 0.
fn r2(p: &Predictions) -> f64 {
    let n = p.target.len() as f64;
    let mean = p.target.iter().map(|&value| f64::from(value)).sum::<f64>() / n;
    let total: f64 = p.target.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum();
    if total == 0.0 {
        return if mse(p) == 0.0 { 1.0 } else { 0.0 };
    }
    1.0 - mse(p) * n / total
}

fn errors<'a>(p: &'a Predictions) -> impl Iterator<Item = f64> + 'a {
    p.target.iter().zip(p.predicted).map(|(&target, &predicted)| f64::from(predicted) - f64::from(target))
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn argmax(row: &[f32]) -> usize {
    (0..row.len()).rev().max_by(|&a, &b| row[a].partial_cmp(&row[b]).unwrap_or(Ordering::Equal)).unwrap_or(0)
}

fn ascending(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    order
}

/// (rows of `class`, other rows)
fn class_counts(target: &[f32], class: f32) -> (f64, f64) {
    let positives = target.iter().filter(|&&value| value == class).count() as f64;
    (positives, target.len() as f64 - positives)
}

/// For each distinct score from the highest down: (rows of `class`, other rows) that score at least as much.
fn threshold_counts(target: &[f32], scores: &[f32], class: f32) -> Vec<(usize, usize)> {
    let order = ascending(scores);
    let (mut hits, mut misses) = (0, 0);
    let mut counts = Vec::new();
    for (position, &row) in order.iter().enumerate().rev() {
        if target[row] == class {
            hits += 1
        } else {
            misses += 1
        }
        if position == 0 || scores[order[position - 1]] != scores[row] {
            counts.push((hits, misses));
        }
    }
    counts
}
