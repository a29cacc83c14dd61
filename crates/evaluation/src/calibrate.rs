//! Probabilities that can be taken at their word: fitted on rows that the model was not trained on (validation), applied
//! to others.
//!
//! Probabilities are `[rows]` (of class 1) for two classes, else `[rows, n_classes]` row by row.

use serde::{Deserialize, Serialize};

/// Probabilities in a loss are clipped here, as in the table of metrics: the resolution of `f32`.
const CLIP: f64 = f32::EPSILON as f64;
/// 1 / temperature stays between these: beyond, all probabilities are 0, 1 or alike.
const INVERSE_RANGE: [f64; 2] = [0.01, 100.0];

/// One number that divides the log-odds (Guo et al., arXiv 1706.04599): above 1 it makes a model less sure, below 1
/// surer. It never changes which class is the most probable.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// 0.01 to 100; 1 changes nothing.
    pub temperature: f64,
    /// 2 for two classes with one probability per row.
    pub n_classes: usize,
}

impl Temperature {
    /// The temperature of the lowest log loss. `target` `[rows]` holds class indices. Rows with a probability that is not
    /// finite or an unknown class do not count. `None` unless at least two classes occur.
    pub fn fit(target: &[usize], probabilities: &[f64], n_classes: usize) -> Option<Self> {
        let rows = usable_rows(target, probabilities, n_classes)?;
        let logs: Vec<(usize, Vec<f64>)> = rows
            .into_iter()
            .map(|(class, row)| (class, both(row).iter().map(|p| p.clamp(CLIP, 1.0 - CLIP).ln()).collect()))
            .collect();
        // The loss is convex in 1 / temperature, so its slope has one zero: halve the interval around it.
        let [mut low, mut high] = INVERSE_RANGE.map(f64::ln);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            *(if slope(&logs, middle.exp()) > 0.0 { &mut high } else { &mut low }) = middle;
        }
        Some(Self { temperature: (-f64::midpoint(low, high)).exp(), n_classes })
    }

    /// The probabilities at this temperature, in the form of those given.
    pub fn apply(&self, probabilities: &[f64]) -> Vec<f64> {
        let columns = columns(self.n_classes);
        if columns == 1 {
            let scaled = |p: &f64| 1.0 / (1.0 + (((1.0 - p).ln() - p.ln()) / self.temperature).exp());
            return probabilities.iter().map(scaled).collect();
        }
        let scaled = |row: &[f64]| softmax(&row.iter().map(|p| p.ln() / self.temperature).collect::<Vec<f64>>());
        probabilities.chunks(columns).flat_map(scaled).collect()
    }
}

/// The derivative of the log loss (times the rows) with respect to 1 / temperature.
fn slope(logs: &[(usize, Vec<f64>)], inverse: f64) -> f64 {
    let of_row = |(class, logs): &(usize, Vec<f64>)| {
        let shares = softmax(&logs.iter().map(|log| log * inverse).collect::<Vec<f64>>());
        shares.iter().zip(logs).map(|(share, log)| share * log).sum::<f64>() - logs[*class]
    };
    logs.iter().map(of_row).sum()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / total).collect()
}

/// A rising step function from probability to probability (Zadrozny and Elkan 2002; pool adjacent violators), linear
/// between steps and constant outside, as scikit-learn's `IsotonicRegression(out_of_bounds="clip")`. Bends to any
/// miscalibration, so it needs rows: a thousand or more. More than two classes: each against the rest, then divided by
/// their sum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Isotonic {
    /// One for two classes, else one per class.
    curves: Vec<Curve>,
}

/// Linear between its corners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Curve {
    /// Ascending.
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Isotonic {
    /// As [`Temperature::fit`]. A class that does not occur keeps its probabilities.
    pub fn fit(target: &[usize], probabilities: &[f64], n_classes: usize) -> Option<Self> {
        let rows = usable_rows(target, probabilities, n_classes)?;
        let of_column = |column: usize| {
            let class = if n_classes > 2 { column } else { 1 };
            let pairs = rows.iter().map(|(target, row)| (row[column], f64::from(*target == class))).collect();
            let occurs = rows.iter().any(|(target, _)| *target == class);
            if occurs { Curve::fit(pairs) } else { Curve { x: vec![0.0, 1.0], y: vec![0.0, 1.0] } }
        };
        Some(Self { curves: (0..columns(n_classes)).map(of_column).collect() })
    }

    /// The calibrated probabilities, in the form of those given. A row in which every class gets 0 is uniform.
    pub fn apply(&self, probabilities: &[f64]) -> Vec<f64> {
        let n = self.curves.len();
        let of_row = |row: &[f64]| {
            let shares: Vec<f64> = row.iter().zip(&self.curves).map(|(p, curve)| curve.at(*p)).collect();
            let total: f64 = shares.iter().sum();
            match n {
                1 => shares,
                _ if total == 0.0 => vec![1.0 / n as f64; n],
                _ => shares.into_iter().map(|share| share / total).collect(),
            }
        };
        probabilities.chunks(n.max(1)).flat_map(of_row).collect()
    }
}

impl Curve {
    /// Pools neighbours until the means rise. `pairs` of probability and outcome, not empty.
    fn fit(mut pairs: Vec<(f64, f64)>) -> Self {
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut blocks: Vec<Block> = Vec::new();
        for equal in pairs.chunk_by(|a, b| a.0 == b.0) {
            let sum = equal.iter().map(|pair| pair.1).sum();
            let mut block = Block { first: equal[0].0, last: equal[0].0, sum, rows: equal.len() as f64 };
            while let Some(before) = blocks.pop_if(|before| before.mean() >= block.mean()) {
                block = Block {
                    first: before.first,
                    last: block.last,
                    sum: before.sum + block.sum,
                    rows: before.rows + block.rows,
                };
            }
            blocks.push(block);
        }
        let mut curve = Self { x: Vec::new(), y: Vec::new() };
        for block in &blocks {
            let ends = if block.first < block.last { &[block.first, block.last][..] } else { &[block.first] };
            curve.x.extend(ends);
            curve.y.extend(ends.iter().map(|_| block.mean()));
        }
        curve
    }

    /// NaN stays NaN.
    fn at(&self, x: f64) -> f64 {
        let next = self.x.partition_point(|&corner| corner < x);
        match (next.checked_sub(1), self.x.get(next)) {
            _ if x.is_nan() => f64::NAN,
            (Some(before), Some(&right)) => {
                let (left, low, high) = (self.x[before], self.y[before], self.y[next]);
                low + (high - low) * (x - left) / (right - left)
            }
            (None, Some(_)) => self.y[next],
            (before, None) => before.map_or(f64::NAN, |last| self.y[last]),
        }
    }
}

/// Neighbours with one value.
struct Block {
    first: f64,
    last: f64,
    sum: f64,
    rows: f64,
}

impl Block {
    fn mean(&self) -> f64 {
        self.sum / self.rows
    }
}

fn columns(n_classes: usize) -> usize {
    if n_classes > 2 { n_classes } else { 1 }
}

/// One probability becomes those of both classes.
fn both(row: &[f64]) -> Vec<f64> {
    if let [p] = row { vec![1.0 - p, *p] } else { row.to_vec() }
}

/// Class and probabilities of the rows that can be used; `None` unless two classes occur.
fn usable_rows<'a>(target: &[usize], probabilities: &'a [f64], n_classes: usize) -> Option<Vec<(usize, &'a [f64])>> {
    let rows = target.iter().copied().zip(probabilities.chunks_exact(columns(n_classes)));
    let usable = |(class, row): &(usize, &[f64])| *class < n_classes.max(2) && row.iter().all(|p| p.is_finite());
    let rows: Vec<_> = rows.filter(usable).collect();
    let first = rows.first()?.0;
    rows.iter().any(|(class, _)| *class != first).then_some(rows)
}
