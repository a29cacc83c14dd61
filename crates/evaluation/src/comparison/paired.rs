//! The paired bootstrap: each draw of rows is the same for all models, so what they all find hard or easy cancels out in
//! their differences.

use std::collections::HashMap;

use super::{TestResult, is_rounding};
use crate::bootstrap::{Interval, draws, figure, middle, repeat_rows};

/// One figure of one model on a fixed set of rows, prepared so that a draw of them costs one pass.
#[derive(Debug, Clone)]
pub enum Statistic {
    /// The mean of a loss per row `[rows]`: accuracy (0 or 1), log loss, Brier score, MAE, MSE.
    Mean(Vec<f64>),
    /// Its square root: RMSE, of squared errors `[rows]`.
    RootMean(Vec<f64>),
    /// ROC AUC; see [`Statistic::auc`].
    Auc(RankedScores),
}

impl Statistic {
    /// ROC AUC; ties count half. NaN unless both classes are there, or with a score that is NaN.
    pub fn auc(is_positive: &[bool], scores: &[f64]) -> Self {
        Self::Auc(RankedScores::new(is_positive, scores))
    }

    /// On the rows as they are; NaN without rows.
    pub fn value(&self) -> f64 {
        self.of_counts(&vec![1; self.n_rows()])
    }

    fn n_rows(&self) -> usize {
        match self {
            Self::Mean(losses) | Self::RootMean(losses) => losses.len(),
            Self::Auc(scores) => scores.n_rows,
        }
    }

    /// If each row were there as often as its count says.
    fn of_counts(&self, counts: &[u32]) -> f64 {
        match self {
            Self::Mean(losses) => mean_of_counts(losses, counts),
            Self::RootMean(squares) => mean_of_counts(squares, counts).sqrt(),
            Self::Auc(scores) => scores.auc_of_counts(counts),
        }
    }
}

fn mean_of_counts(losses: &[f64], counts: &[u32]) -> f64 {
    let (mut sum, mut n) = (0.0, 0_u64);
    for (loss, &count) in losses.iter().zip(counts) {
        // An infinite loss that is not drawn must not make a NaN.
        sum += if count == 0 { 0.0 } else { f64::from(count) * loss };
        n += u64::from(count);
    }
    sum / n as f64
}

/// The rows of a binary model in the order of their scores.
#[derive(Debug, Clone)]
pub struct RankedScores {
    n_rows: usize,
    /// Ascending by score; empty if a score is NaN.
    order: Vec<RankedRow>,
}

#[derive(Debug, Clone, Copy)]
struct RankedRow {
    row: u32,
    is_positive: bool,
    /// Whether the next score is higher, or there is none.
    ends_tie: bool,
}

impl RankedScores {
    fn new(is_positive: &[bool], scores: &[f64]) -> Self {
        let n_rows = is_positive.len().min(scores.len());
        if scores[..n_rows].iter().any(|score| score.is_nan()) {
            return Self { n_rows, order: Vec::new() };
        }
        let mut rows: Vec<u32> = (0..n_rows as u32).collect();
        let score = |row: u32| scores[row as usize];
        rows.sort_unstable_by(|&a, &b| score(a).total_cmp(&score(b)));
        let ranked = |(place, &row): (usize, &u32)| {
            let ends_tie = rows.get(place + 1).is_none_or(|&next| score(next) != score(row));
            RankedRow { row, is_positive: is_positive[row as usize], ends_tie }
        };
        Self { n_rows, order: rows.iter().enumerate().map(ranked).collect() }
    }

    fn auc_of_counts(&self, counts: &[u32]) -> f64 {
        // Twice the pairs in the right order, so that a tie, which counts half, is a whole number.
        let (mut twice_right, mut positives, mut negatives) = (0_u64, 0_u64, 0_u64);
        let (mut tied_positives, mut tied_negatives) = (0_u64, 0_u64);
        for ranked in &self.order {
            let count = u64::from(counts.get(ranked.row as usize).copied().unwrap_or(0));
            // A branch here would be as hard to foresee as the class is.
            let of_positives = count * u64::from(ranked.is_positive);
            tied_positives += of_positives;
            tied_negatives += count - of_positives;
            if ranked.ends_tie {
                twice_right += tied_positives * (2 * negatives + tied_negatives);
                positives += tied_positives;
                negatives += tied_negatives;
                (tied_positives, tied_negatives) = (0, 0);
            }
        }
        twice_right as f64 / (2.0 * positives as f64 * negatives as f64)
    }
}

/// What [`paired_bootstrap`] found. Figures of a model that is not there are NaN.
#[derive(Debug, Clone)]
pub struct PairedBootstrap {
    /// `[models]`
    values: Vec<f64>,
    /// `[samples][models]`
    draws: Vec<Vec<f64>>,
}

/// The figures of several models over `samples` draws of the rows with replacement.
///
/// `clusters` `[rows]` has a number for each row: rows with the same one (windows of one series, rows of one customer)
/// are drawn together. `None` draws the rows one by one. Fewer than about 30 rows, or clusters, make all that comes of it
/// too sure: they show too little of how different others may be. So do few draws, a little: take 2,000.
pub fn paired_bootstrap(models: &[Statistic], clusters: Option<&[u32]>, samples: usize, seed: u64) -> PairedBootstrap {
    let n_rows = models.iter().map(Statistic::n_rows).min().unwrap_or(0);
    let compute = |counts: &[u32], _: &mut Vec<u32>| models.iter().map(|model| model.of_counts(counts)).collect();
    resample(n_rows, clusters, samples, seed, compute)
}

/// [`paired_bootstrap`] for any other metric. `compute` gets the drawn rows in ascending order, repeats included (at most
/// `n_rows` without clusters, more or fewer with them), and returns one value per model, always as many. Without rows it
/// is not called, and there are no values.
pub fn paired_bootstrap_of(
    n_rows: usize,
    clusters: Option<&[u32]>,
    samples: usize,
    seed: u64,
    compute: impl Fn(&[u32]) -> Vec<f64> + Sync,
) -> PairedBootstrap {
    resample(n_rows, clusters, samples, seed, |counts, rows| {
        repeat_rows(counts, rows);
        if rows.is_empty() { Vec::new() } else { compute(rows) }
    })
}

/// `compute` gets how often each row is drawn, and a buffer.
fn resample(
    n_rows: usize,
    clusters: Option<&[u32]>,
    samples: usize,
    seed: u64,
    compute: impl Fn(&[u32], &mut Vec<u32>) -> Vec<f64> + Sync,
) -> PairedBootstrap {
    let Some(clusters) = clusters else {
        let values = compute(&vec![1; n_rows], &mut Vec::new());
        return PairedBootstrap { values, draws: draws(n_rows, samples, seed, compute) };
    };
    let n_rows = n_rows.min(clusters.len());
    let (n_clusters, cluster_of) = numbered(&clusters[..n_rows]);
    let values = compute(&vec![1; n_rows], &mut Vec::new());
    let draws = draws(n_clusters, samples, seed, |of_clusters, (of_rows, buffer): &mut (Vec<u32>, Vec<u32>)| {
        of_rows.clear();
        of_rows.extend(cluster_of.iter().map(|&cluster| of_clusters[cluster as usize]));
        compute(of_rows, buffer)
    });
    PairedBootstrap { values, draws }
}

/// How many clusters there are, and which it is for each row, from 0 in the order in which they appear.
fn numbered(clusters: &[u32]) -> (usize, Vec<u32>) {
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    let number = |cluster: &u32| {
        let next = numbers.len() as u32;
        *numbers.entry(*cluster).or_insert(next)
    };
    let cluster_of = clusters.iter().map(number).collect();
    (numbers.len(), cluster_of)
}

impl PairedBootstrap {
    /// On the rows as they are `[models]`.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The middle `level` of one model's draws. Those without a value do not count; NaN if none is left, or without a value
    /// on the rows as they are.
    pub fn interval(&self, model: usize, level: f64) -> Interval {
        let is_known = !figure_of(&self.values, model).is_nan();
        middle(if is_known { figure(&self.draws, model) } else { Vec::new() }, level)
    }

    /// Model `a` less model `b`, with the middle `level` of the draws' differences. The p-value is twice the share of
    /// draws on the rarer side of 0, as if there were one more on either (Davison & Hinkley 1997), so never below
    /// `2 / (samples + 1)`.
    pub fn difference(&self, a: usize, b: usize, level: f64) -> TestResult {
        let values = [figure_of(&self.values, a), figure_of(&self.values, b)];
        let difference = values[0] - values[1];
        let of_draw = |draw: &Vec<f64>| figure_of(draw, a) - figure_of(draw, b);
        let mut draws: Vec<f64> = self.draws.iter().map(of_draw).filter(|value| !value.is_nan()).collect();
        if difference.is_nan() {
            draws.clear();
        }
        let all = middle(draws.clone(), 1.0);
        if is_rounding(all.high - all.low, values) {
            return TestResult::without_spread(values, difference);
        }
        let p_value = two_sided_share(&draws);
        TestResult { difference, interval: middle(draws, level), p_value }
    }
}

fn figure_of(figures: &[f64], model: usize) -> f64 {
    figures.get(model).copied().unwrap_or(f64::NAN)
}

/// NaN without draws.
fn two_sided_share(draws: &[f64]) -> f64 {
    if draws.is_empty() {
        return f64::NAN;
    }
    let one_more = |count: usize| (count + 1) as f64;
    let below = one_more(draws.iter().filter(|value| **value <= 0.0).count());
    let above = one_more(draws.iter().filter(|value| **value >= 0.0).count());
    (2.0 * below.min(above) / one_more(draws.len())).min(1.0)
}
