//! What is kept of a column: its numbers as a step function, or the counts of its levels.

use std::collections::BTreeMap;

use rayon::prelude::*;

/// Numbers or levels of a column, missing values counted apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    pub(super) n_missing: f64,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Numbers(Numbers),
    Levels(Levels),
}

/// Weighted numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbers {
    /// Rows with a value.
    pub n: f64,
    /// Distinct, ascending.
    pub values: Vec<f64>,
    /// Share of the rows with a value of at most `values[i]`; the last is 1.
    pub cumulative: Vec<f64>,
    /// NaN without rows.
    pub mean: f64,
    /// Divided by n - 1; NaN with fewer than two rows.
    pub sd: f64,
}

/// Counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Levels {
    pub counts: BTreeMap<String, u64>,
    /// Rows of further levels that nobody named.
    pub rest: u64,
}

impl Levels {
    pub fn n(&self) -> f64 {
        (self.counts.values().sum::<u64>() + self.rest) as f64
    }
}

impl Distribution {
    /// Of numbers as they are; what is not finite counts as missing.
    pub fn from_numbers(values: &[f64]) -> Self {
        let mut finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        finite.par_sort_unstable_by(f64::total_cmp);
        let n = finite.len() as f64;
        let mean = finite.iter().sum::<f64>() / n;
        let squares: f64 = finite.iter().map(|value| (value - mean).powi(2)).sum();
        let numbers = Numbers::new(n, finite.iter().map(|&value| (value, 1.0)), mean, (squares / (n - 1.0)).sqrt());
        Self { n_missing: values.len() as f64 - n, shape: Shape::Numbers(numbers) }
    }

    /// Of numbers that count `weights` times each (0 or more). Pairs that are not finite count as missing, by their
    /// weight, or once if that is what is wrong.
    pub fn from_weighted(values: &[f64], weights: &[f64]) -> Self {
        let weight = |weight: f64| if weight.is_finite() { weight.max(0.0) } else { 1.0 };
        let (mut pairs, missing): (Vec<_>, Vec<_>) =
            values.iter().copied().zip(weights.iter().copied()).partition(|(v, w)| v.is_finite() && w.is_finite());
        pairs.retain(|(_, weight)| *weight > 0.0);
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let n: f64 = pairs.iter().map(|pair| pair.1).sum();
        let mean = pairs.iter().map(|(v, w)| v * w).sum::<f64>() / n;
        let squares: f64 = pairs.iter().map(|(v, w)| w * (v - mean).powi(2)).sum();
        let numbers = Numbers::new(n, pairs.into_iter(), mean, (squares / (n - 1.0)).sqrt());
        Self { n_missing: missing.into_iter().map(|(_, w)| weight(w)).sum(), shape: Shape::Numbers(numbers) }
    }

    /// Of a profile: the quantiles 0, 1/k, 2/k, .. 1 of `n` numbers, ascending, with their mean and standard deviation
    /// (NaN if not known). As many quantiles as numbers are the numbers themselves. Of k + 1 quantiles each stands for
    /// 1/k of the rows, the outer two for half of that: with 1001 quantiles the distribution function is right to 0.0005.
    pub fn from_quantiles(quantiles: &[f64], n: u64, n_missing: u64, mean: f64, sd: f64) -> Self {
        let mut sorted: Vec<f64> = quantiles.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let exact = sorted.len() as u64 == n;
        let weight = |index: usize| if !exact && (index == 0 || index == last) { 0.5 } else { 1.0 };
        let pairs = sorted.iter().enumerate().map(|(index, &value)| (value, weight(index)));
        let n = if sorted.is_empty() { 0.0 } else { n as f64 };
        Self { n_missing: n_missing as f64, shape: Shape::Numbers(Numbers::new(n, pairs, mean, sd)) }
    }

    /// Of counted levels, `rest` rows of further ones and missing values. A level may come twice.
    pub fn from_levels(counts: impl IntoIterator<Item = (String, u64)>, rest: u64, n_missing: u64) -> Self {
        let mut sums = BTreeMap::new();
        for (level, count) in counts {
            *sums.entry(level).or_default() += count;
        }
        sums.retain(|_, count| *count > 0);
        Self { n_missing: n_missing as f64, shape: Shape::Levels(Levels { counts: sums, rest }) }
    }

    /// Of texts as they are; `None` is missing.
    pub fn from_texts(values: &[Option<&str>]) -> Self {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for level in values.iter().flatten() {
            *counts.entry(level).or_default() += 1;
        }
        let n: u64 = counts.values().sum();
        let owned = counts.into_iter().map(|(level, count)| (level.to_owned(), count));
        Self::from_levels(owned, 0, values.len() as u64 - n)
    }

    /// Rows with a value.
    pub fn n(&self) -> f64 {
        match &self.shape {
            Shape::Numbers(numbers) => numbers.n,
            Shape::Levels(levels) => levels.n(),
        }
    }

    /// Share of the rows without a value; `None` without rows.
    pub fn missing_share(&self) -> Option<f64> {
        let rows = self.n() + self.n_missing;
        (rows > 0.0).then(|| self.n_missing / rows)
    }

    /// True for numbers, false for levels.
    pub fn is_numeric(&self) -> bool {
        matches!(self.shape, Shape::Numbers(_))
    }
}

impl Numbers {
    /// `pairs` of value and weight, ascending by value.
    fn new(n: f64, pairs: impl Iterator<Item = (f64, f64)>, mean: f64, sd: f64) -> Self {
        let (mut values, mut cumulative, mut total) = (Vec::new(), Vec::new(), 0.0);
        for (value, weight) in pairs {
            total += weight;
            if values.last() == Some(&value) {
                cumulative.pop();
            } else {
                values.push(value);
            }
            cumulative.push(total);
        }
        cumulative.iter_mut().for_each(|sum| *sum /= total);
        Self { n, values, cumulative, mean, sd }
    }

    /// Share of the values up to and including `x`.
    pub fn share_up_to(&self, x: f64) -> f64 {
        let above = self.values.partition_point(|&value| value <= x);
        above.checked_sub(1).map_or(0.0, |last| self.cumulative[last])
    }

    /// The smallest value up to which at least the share `q` lies. NaN without values.
    pub fn quantile(&self, q: f64) -> f64 {
        let place = self.cumulative.partition_point(|&share| share < q - 1e-12);
        self.values.get(place).or(self.values.last()).copied().unwrap_or(f64::NAN)
    }
}
