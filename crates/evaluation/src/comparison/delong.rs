//! ROC AUCs on the same rows, with their covariance (DeLong, DeLong & Clarke-Pearson 1988), in `O(n log n)` by midranks
//! (Sun & Xu 2014).

use super::TestResult;
use crate::bootstrap::Interval;
use crate::statistics::critical_value;

/// ROC AUCs of several models on the same rows. NaN throughout for a model with a NaN among its scores.
#[derive(Debug, Clone, PartialEq)]
pub struct DeLong {
    /// `[models]`; ties count half.
    pub auc: Vec<f64>,
    /// `[models, models]`. NaN if there are fewer than two rows of either class.
    pub covariance: Vec<Vec<f64>>,
}

/// The AUC of each model, `scores` `[models][rows]`. `None` unless both classes are there.
pub fn delong(is_positive: &[bool], scores: &[Vec<f64>]) -> Option<DeLong> {
    let n_rows = scores.iter().map(Vec::len).chain([is_positive.len()]).min()?;
    let is_positive = &is_positive[..n_rows];
    let n_positive = is_positive.iter().filter(|positive| **positive).count();
    if n_positive == 0 || n_positive == n_rows {
        return None;
    }
    let placements: Vec<Placements> = scores.iter().map(|scores| Placements::new(is_positive, scores)).collect();
    let auc: Vec<f64> = placements.iter().map(|model| mean(&model.positives)).collect();
    let of_pair = |a: &Placements, b: &Placements| {
        covariance_of_means(&a.positives, &b.positives) + covariance_of_means(&a.negatives, &b.negatives)
    };
    let covariance = placements.iter().map(|a| placements.iter().map(|b| of_pair(a, b)).collect()).collect();
    Some(DeLong { auc, covariance })
}

impl DeLong {
    /// Of one AUC, by the normal distribution, within 0 to 1. An AUC of exactly 0 or 1 has no spread, so its interval has
    /// no width; with few rows do not believe it. NaN for a model that is not there.
    pub fn interval(&self, model: usize, level: f64) -> Interval {
        let auc = self.auc.get(model).copied().unwrap_or(f64::NAN);
        let reach = critical_value(level, f64::INFINITY) * self.covariance(model, model).sqrt();
        Interval { low: (auc - reach).clamp(0.0, 1.0), high: (auc + reach).clamp(0.0, 1.0) }
    }

    /// The AUC of model `a` less that of `b`, by the normal distribution.
    pub fn difference(&self, a: usize, b: usize, level: f64) -> TestResult {
        let values = [a, b].map(|model| self.auc.get(model).copied().unwrap_or(f64::NAN));
        let variance = self.covariance(a, a) + self.covariance(b, b) - 2.0 * self.covariance(a, b);
        // What rounding leaves may be below 0; `max` would make 0 of a NaN.
        let error = if variance < 0.0 { 0.0 } else { variance.sqrt() };
        TestResult::of_t(values, values[0] - values[1], error, f64::INFINITY, level)
    }

    fn covariance(&self, a: usize, b: usize) -> f64 {
        self.covariance.get(a).and_then(|row| row.get(b)).copied().unwrap_or(f64::NAN)
    }
}

/// How each row stands among those of the other class, 0 to 1; the mean of either list is the AUC.
struct Placements {
    /// For each positive the share of negatives below it.
    positives: Vec<f64>,
    /// For each negative the share of positives above it.
    negatives: Vec<f64>,
}

impl Placements {
    fn new(is_positive: &[bool], scores: &[f64]) -> Self {
        let scores = &scores[..is_positive.len()];
        let class = |wanted: bool| {
            let of_class = |(score, positive): (&f64, &bool)| (*positive == wanted).then_some(*score);
            scores.iter().zip(is_positive).filter_map(of_class).collect::<Vec<f64>>()
        };
        let (positive_scores, negative_scores) = (class(true), class(false));
        let (n_positive, n_negative) = (positive_scores.len() as f64, negative_scores.len() as f64);
        let (positive_ranks, negative_ranks) = (midranks(&positive_scores), midranks(&negative_scores));
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        // A rank among all rows less that among those of its class is the number of others below.
        for (rank, is_positive) in midranks(scores).into_iter().zip(is_positive) {
            if *is_positive {
                positives.push((rank - positive_ranks[positives.len()]) / n_negative);
            } else {
                negatives.push(1.0 - (rank - negative_ranks[negatives.len()]) / n_positive);
            }
        }
        Self { positives, negatives }
    }
}

/// Ranks from 1; equal values share their mean rank. All NaN if a value is.
fn midranks(values: &[f64]) -> Vec<f64> {
    let mut ranks = vec![f64::NAN; values.len()];
    if values.iter().any(|value| value.is_nan()) {
        return ranks;
    }
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    let value = |index: &u32| values[*index as usize];
    order.sort_unstable_by(|a, b| value(a).total_cmp(&value(b)));
    let mut n_below = 0;
    for equal in order.chunk_by(|a, b| value(a) == value(b)) {
        let rank = n_below as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|index| ranks[*index as usize] = rank);
        n_below += equal.len();
    }
    ranks
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The covariance of the means of two lists of pairs. NaN for fewer than two.
fn covariance_of_means(a: &[f64], b: &[f64]) -> f64 {
    let (n, mean_a, mean_b) = (a.len() as f64, mean(a), mean(b));
    let products: f64 = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum();
    products / (n - 1.0) / n
}
