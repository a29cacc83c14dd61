//! Distances between two distributions. All are `None` where one side has no values, or where a column of numbers meets
//! one of levels.

use serde::{Deserialize, Serialize};

use super::distribution::{Distribution, Levels, Numbers, Shape};
use crate::statistics::{chi_squared_tail, kolmogorov_tail};

/// Bins of a column of numbers: tenths of the reference.
const BINS: usize = 10;
/// Up to this product of the rows, the p-value of Kolmogorov and Smirnov is exact.
const EXACT_PRODUCT: f64 = 1e6;

/// Rows of either side in the same bins.
pub(super) struct Binned {
    pub reference: Vec<f64>,
    pub current: Vec<f64>,
}

impl Binned {
    /// Numbers: [`bin_edges`] of the reference, the outer bins open. Levels: one bin each, and one for the rows of levels
    /// that are not named, where the current rows' unknown levels belong too if the reference has such.
    pub fn new(reference: &Distribution, current: &Distribution) -> Option<Self> {
        let binned = match (&reference.shape, &current.shape) {
            (Shape::Numbers(reference), Shape::Numbers(current)) => {
                let edges = bin_edges(reference);
                Self { reference: counts(reference, &edges), current: counts(current, &edges) }
            }
            (Shape::Levels(reference), Shape::Levels(current)) => of_levels(reference, current),
            _ => return None,
        };
        (reference.n() > 0.0 && current.n() > 0.0).then_some(binned)
    }

    /// PSI with half a row added to each bin that either side fills: an empty bin would make it infinite, and a tiny share
    /// in place of none would make much of a bin that a small sample misses by chance.
    pub fn psi(&self) -> f64 {
        let filled: Vec<(f64, f64)> = self.filled().collect();
        let totals = filled.iter().fold((0.0, 0.0), |sum, bin| (sum.0 + bin.0 + 0.5, sum.1 + bin.1 + 0.5));
        let of_bin = |&(reference, current): &(f64, f64)| {
            let (p, q) = ((reference + 0.5) / totals.0, (current + 0.5) / totals.1);
            (q - p) * (q / p).ln()
        };
        filled.iter().map(of_bin).sum()
    }

    /// Square root of the divergence in bits.
    pub fn jensen_shannon(&self) -> f64 {
        let (n, m) = self.totals();
        let part = |p: f64, middle: f64| if p > 0.0 { p * (p / middle).log2() } else { 0.0 };
        let of_bin = |(reference, current): (f64, f64)| {
            let (p, q) = (reference / n, current / m);
            let middle = f64::midpoint(p, q);
            f64::midpoint(part(p, middle), part(q, middle))
        };
        self.filled().map(of_bin).sum::<f64>().clamp(0.0, 1.0).sqrt()
    }

    /// p-value of the chi-squared test that both sides are drawn from one distribution; 1 if all is in one bin.
    pub fn p_value(&self) -> f64 {
        let (n, m) = self.totals();
        let balance = (m / n).sqrt();
        let of_bin = |(reference, current): (f64, f64)| {
            (balance * reference - current / balance).powi(2) / (reference + current)
        };
        let degrees = self.filled().count().saturating_sub(1);
        if degrees == 0 { 1.0 } else { chi_squared_tail(self.filled().map(of_bin).sum(), degrees) }
    }

    fn totals(&self) -> (f64, f64) {
        (self.reference.iter().sum(), self.current.iter().sum())
    }

    fn filled(&self) -> impl Iterator<Item = (f64, f64)> {
        let bins = self.reference.iter().copied().zip(self.current.iter().copied());
        bins.filter(|(reference, current)| reference + current > 0.0)
    }
}

/// Borders between the tenths of the reference's values. A value that fills a tenth or more is a bin of its own, so that
/// a constant that changes is seen whichever way it goes.
fn bin_edges(reference: &Numbers) -> Vec<f64> {
    let tenths: Vec<f64> = (1..BINS).map(|tenth| reference.quantile(tenth as f64 / BINS as f64)).collect();
    let edges = |equal: &[f64]| match equal {
        [edge] => vec![*edge],
        _ => vec![equal[0].next_down(), equal[0]],
    };
    let mut edges: Vec<f64> = tenths.chunk_by(|a, b| a == b).flat_map(edges).collect();
    edges.dedup();
    edges
}

/// Rows per bin; one that equals a border belongs to the bin on its left.
pub(super) fn counts(numbers: &Numbers, edges: &[f64]) -> Vec<f64> {
    let mut below = 0.0;
    let upper_shares = edges.iter().map(|&edge| numbers.share_up_to(edge)).chain([1.0]);
    upper_shares
        .map(|share| {
            let count = (share - below) * numbers.n;
            below = share;
            count
        })
        .collect()
}

fn of_levels(reference: &Levels, current: &Levels) -> Binned {
    let count = |levels: &Levels, level: &String| levels.counts.get(level).copied().unwrap_or(0) as f64;
    let new: Vec<&String> = current.counts.keys().filter(|level| !reference.counts.contains_key(*level)).collect();
    let mut names: Vec<&String> = reference.counts.keys().collect();
    let mut rest = current.rest as f64;
    if reference.rest > 0 {
        rest += new.iter().map(|level| count(current, level)).sum::<f64>();
    } else {
        names.extend(new);
    }
    let of_side = |levels: &Levels, rest: f64| names.iter().map(|level| count(levels, level)).chain([rest]).collect();
    Binned { reference: of_side(reference, reference.rest as f64), current: of_side(current, rest) }
}

/// The population stability index, the sum of `(q - p) ln(q / p)` over the bins' shares. By a rule of thumb a column is
/// stable below 0.1 and another one above 0.2 (Siddiqi 2006: above 0.25). Numbers are in ten bins of equally many
/// reference values.
pub fn psi(reference: &Distribution, current: &Distribution) -> Option<f64> {
    Binned::new(reference, current).map(|binned| binned.psi())
}

/// The Jensen-Shannon distance, base 2, over the bins of [`psi()`]: 0 if equal, 1 if disjoint.
pub fn jensen_shannon(reference: &Distribution, current: &Distribution) -> Option<f64> {
    Binned::new(reference, current).map(|binned| binned.jensen_shannon())
}

/// The two-sample test of Kolmogorov and Smirnov.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KolmogorovSmirnov {
    /// The largest distance between the two distribution functions, 0 to 1.
    pub statistic: f64,
    /// The chance of one as large if both sides are one distribution. Exact for up to a million pairs of rows, else from
    /// the limit distribution with Vrbik's correction (2018). Too high where values are tied.
    pub p_value: f64,
}

/// Of numbers. The p-value of a profile counts its rows, although it keeps only quantiles.
pub fn kolmogorov_smirnov(reference: &Distribution, current: &Distribution) -> Option<KolmogorovSmirnov> {
    let (a, b) = both_numbers(reference, current)?;
    let mut statistic = 0.0_f64;
    walk(a, b, |_, p, q| statistic = statistic.max((p - q).abs()));
    Some(KolmogorovSmirnov { statistic, p_value: ks_p_value(statistic, a.n, b.n) })
}

/// The mean distance that values must move to turn one distribution into the other (earth mover's distance), in the
/// column's own units. Of numbers.
pub fn wasserstein(reference: &Distribution, current: &Distribution) -> Option<f64> {
    let (a, b) = both_numbers(reference, current)?;
    let mut distance = 0.0;
    walk(a, b, |width, p, q| {
        // The last value has nothing after it.
        if width.is_finite() {
            distance += width * (p - q).abs();
        }
    });
    Some(distance)
}

fn both_numbers<'a>(reference: &'a Distribution, current: &'a Distribution) -> Option<(&'a Numbers, &'a Numbers)> {
    match (&reference.shape, &current.shape) {
        (Shape::Numbers(a), Shape::Numbers(b)) if a.n > 0.0 && b.n > 0.0 => Some((a, b)),
        _ => None,
    }
}

/// Both distribution functions from each value that occurs to the next: how far that is (infinite after the last), and
/// their heights.
fn walk(a: &Numbers, b: &Numbers, mut step: impl FnMut(f64, f64, f64)) {
    let (mut i, mut j) = (0, 0);
    let next = |i: usize, j: usize| {
        let at = |numbers: &Numbers, index: usize| numbers.values.get(index).copied().unwrap_or(f64::INFINITY);
        at(a, i).min(at(b, j))
    };
    let height = |numbers: &Numbers, passed: usize| if passed == 0 { 0.0 } else { numbers.cumulative[passed - 1] };
    while i < a.values.len() || j < b.values.len() {
        let value = next(i, j);
        i += usize::from(a.values.get(i) == Some(&value));
        j += usize::from(b.values.get(j) == Some(&value));
        step(next(i, j) - value, height(a, i), height(b, j));
    }
}

fn ks_p_value(statistic: f64, n: f64, m: f64) -> f64 {
    let whole = n.fract() == 0.0 && m.fract() == 0.0;
    if whole && n * m <= EXACT_PRODUCT {
        return exact_ks_p_value(statistic, n as usize, m as usize);
    }
    let root = (n * m / (n + m)).sqrt();
    let z = root * statistic;
    kolmogorov_tail(z + 1.0 / (6.0 * root) + (z - 1.0) / (4.0 * root * root))
}

/// All orders in which the rows of both sides may come are equally likely. Walks through them with the chance of being
/// after `i` rows of one and `j` of the other without having met a distance of `statistic` yet; what meets it is the
/// p-value.
fn exact_ks_p_value(statistic: f64, n: usize, m: usize) -> f64 {
    // Distances are multiples of 1 / (n m): compare them as whole numbers.
    let limit = (statistic * n as f64 * m as f64 - 1e-6).ceil() as i64;
    if limit <= 0 {
        return 1.0;
    }
    let mut chances = vec![0.0; m + 1];
    let mut met = 0.0;
    for i in 0..=n {
        for j in 0..=m {
            let left = (n - i + m - j + 1) as f64;
            let from_above = if i > 0 { chances[j] * (n - i + 1) as f64 / left } else { 0.0 };
            let from_left = if j > 0 { chances[j - 1] * (m - j + 1) as f64 / left } else { 0.0 };
            let chance = if i + j == 0 { 1.0 } else { from_above + from_left };
            let distance = (i as i64 * m as i64 - j as i64 * n as i64).abs();
            chances[j] = if distance >= limit { 0.0 } else { chance };
            met += if distance >= limit { chance } else { 0.0 };
        }
    }
    met.min(1.0)
}
