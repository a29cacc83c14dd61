//! How sure a metric or a curve is, given that other rows might have been drawn.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::Predictions;
use super::ranking::{falling, is_hit, same_score};

/// 97.5 % quantile of the standard normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;
/// Points of a band: 0, 0.01, ..., 1.
const GRID: usize = 101;

/// Area under the ROC curve of `class` as a 95 % interval (DeLong et al. 1988, normal approximation, cut to 0..1). NaN
/// with fewer than two rows on either side; of no width where the classes are told apart without error.
pub fn auc_interval(target: &[f32], scores: &[f32], class: f32) -> (f64, f64) {
    let groups = Groups::new(target, scores, class);
    let (m, n) = (groups.hits.len() as f64, groups.misses.len() as f64);
    let counts = groups.count(&groups.hits, &groups.misses);
    // For each row of the class the share of others below it, and for each other row that of the class above it.
    let (mut above, mut others_left) = (0.0, n);
    let (mut of_class, mut of_others) = (Vec::new(), Vec::new());
    for &(hits, misses) in &counts {
        let (hits, misses) = (f64::from(hits), f64::from(misses));
        of_class.push((hits, (others_left - misses / 2.0) / n));
        of_others.push((misses, (above + hits / 2.0) / m));
        above += hits;
        others_left -= misses;
    }
    let area = of_class.iter().map(|(weight, share)| weight * share).sum::<f64>() / m;
    let variance = |shares: &[(f64, f64)], count: f64| {
        shares.iter().map(|(weight, share)| weight * (share - area).powi(2)).sum::<f64>() / (count - 1.0) / count
    };
    let reach = Z_95 * (variance(&of_class, m) + variance(&of_others, n)).sqrt();
    if reach.is_finite() { ((area - reach).max(0.0), (area + reach).min(1.0)) } else { (f64::NAN, f64::NAN) }
}

/// The middle `level` (such as 0.95) of a metric over `samples` draws of the rows with replacement (percentile bootstrap,
/// Efron 1979). Draws for which the metric is NaN do not count; NaN if none is left. The same seed gives the same draws.
pub fn bootstrap_interval(
    predictions: &Predictions,
    metric: impl Fn(&Predictions) -> f64,
    samples: usize,
    seed: u64,
    level: f64,
) -> (f64, f64) {
    let (rows, columns) = (predictions.target.len(), predictions.columns());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut values = Vec::with_capacity(samples);
    let (mut target, mut predicted) = (Vec::with_capacity(rows), Vec::with_capacity(predictions.predicted.len()));
    for _ in 0..if rows == 0 { 0 } else { samples } {
        target.clear();
        predicted.clear();
        for _ in 0..rows {
            let row = rng.random_range(0..rows as u32) as usize;
            target.push(predictions.target[row]);
            predicted.extend(&predictions.predicted[row * columns..(row + 1) * columns]);
        }
        values.push(metric(&Predictions { kind: predictions.kind, target: &target, predicted: &predicted }));
    }
    middle(&mut values, level)
}

/// A pointwise interval around a curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// False positive rate (ROC) or recall (precision-recall): 0, 0.01, ..., 1.
    pub grid: Vec<f64>,
    /// Lower end at each point of the grid.
    pub lower: Vec<f64>,
    /// Upper end.
    pub upper: Vec<f64>,
}

/// True positive rate at each false positive rate: the middle `level` over `samples` draws with replacement, inside and
/// outside of `class` apart (as R's pROC). `None` where one of them is empty.
pub fn roc_band(target: &[f32], scores: &[f32], class: f32, samples: usize, seed: u64, level: f64) -> Option<Band> {
    let rates = |corners: &[(f64, f64)], grid: &[f64]| {
        let (positives, negatives) = corners[corners.len() - 1];
        let at = |next: usize| match next {
            0 => (0.0, 0.0),
            next => (corners[next - 1].1 / negatives, corners[next - 1].0 / positives),
        };
        let mut last = 0;
        let rate = |&x: &f64| {
            while last < corners.len() && at(last + 1).0 <= x {
                last += 1;
            }
            let (left, right) = (at(last), at((last + 1).min(corners.len())));
            let slope = if right.0 > left.0 { (right.1 - left.1) / (right.0 - left.0) } else { 0.0 };
            left.1 + slope * (x - left.0)
        };
        grid.iter().map(rate).collect()
    };
    band(&Groups::new(target, scores, class), samples, seed, level, rates)
}

/// Precision at each recall, at the strictest threshold that reaches it; drawn as [`roc_band`].
pub fn pr_band(target: &[f32], scores: &[f32], class: f32, samples: usize, seed: u64, level: f64) -> Option<Band> {
    let precisions = |corners: &[(f64, f64)], grid: &[f64]| {
        let positives = corners[corners.len() - 1].0;
        let mut corner = 0;
        let precision = |&recall: &f64| {
            while corners[corner].0 / positives < recall || corners[corner] == (0.0, 0.0) {
                corner += 1;
            }
            corners[corner].0 / (corners[corner].0 + corners[corner].1)
        };
        grid.iter().map(precision).collect()
    };
    band(&Groups::new(target, scores, class), samples, seed, level, precisions)
}

/// `curve` turns the corners (rows of the class, other rows, both counted from the highest score down) of a draw into one
/// value per point of the grid.
fn band(
    groups: &Groups,
    samples: usize,
    seed: u64,
    level: f64,
    curve: impl Fn(&[(f64, f64)], &[f64]) -> Vec<f64>,
) -> Option<Band> {
    if groups.hits.is_empty() || groups.misses.is_empty() {
        return None;
    }
    let grid: Vec<f64> = (0..GRID).map(|point| point as f64 / (GRID - 1) as f64).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |from: &[u32]| -> Vec<u32> {
        (0..from.len()).map(|_| from[rng.random_range(0..from.len() as u32) as usize]).collect()
    };
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); GRID];
    for _ in 0..samples {
        let (mut hits, mut misses) = (0.0, 0.0);
        let drawn = groups.count(&draw(&groups.hits), &draw(&groups.misses));
        let corners: Vec<(f64, f64)> = drawn
            .iter()
            .map(|&(more_hits, more_misses)| {
                (hits, misses) = (hits + f64::from(more_hits), misses + f64::from(more_misses));
                (hits, misses)
            })
            .collect();
        for (values, value) in values.iter_mut().zip(curve(&corners, &grid)) {
            values.push(value);
        }
    }
    let (lower, upper) = values.iter_mut().map(|values| middle(values, level)).unzip();
    Some(Band { grid, lower, upper })
}

/// Rows by the distinct scores that they have, from the highest down.
struct Groups {
    /// Number of distinct scores.
    count: usize,
    /// For each row of the class, which score it has.
    hits: Vec<u32>,
    /// For each other row.
    misses: Vec<u32>,
}

impl Groups {
    fn new(target: &[f32], scores: &[f32], class: f32) -> Self {
        let keys = falling(target, scores, class);
        let mut groups = Self { count: 0, hits: Vec::new(), misses: Vec::new() };
        for (index, &key) in keys.iter().enumerate() {
            if index == 0 || !same_score(keys[index - 1], key) {
                groups.count += 1;
            }
            let rows = if is_hit(key) { &mut groups.hits } else { &mut groups.misses };
            rows.push(groups.count as u32 - 1);
        }
        groups
    }

    /// Rows of the class and other rows at each score.
    fn count(&self, hits: &[u32], misses: &[u32]) -> Vec<(u32, u32)> {
        let mut counts = vec![(0, 0); self.count];
        hits.iter().for_each(|&group| counts[group as usize].0 += 1);
        misses.iter().for_each(|&group| counts[group as usize].1 += 1);
        counts
    }
}

/// The ends of the middle `level` of the values; NaNs do not count.
fn middle(values: &mut Vec<f64>, level: f64) -> (f64, f64) {
    values.retain(|value| !value.is_nan());
    values.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    (quantile(values, tail), quantile(values, 1.0 - tail))
}

/// Interpolated linearly between the two nearest of the sorted values, as numpy; NaN of nothing.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}
