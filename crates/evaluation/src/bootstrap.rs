//! How sure a figure is, given that other rows might have been drawn: the percentile bootstrap (Efron 1979).
//!
//! Draw `i` takes its random numbers from stream `i` of the generator, so any number of threads gives the same bits.
//! Where rows belong together (windows of one series, rows of one customer), let `n_rows` be the number of groups and
//! have the closure look up the rows of each.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize};

use crate::statistics::quantile;

/// Draws that share one buffer: few enough to keep all threads busy, many enough to make buffers rare.
const DRAWS_PER_BLOCK: usize = 16;

/// A confidence interval. Both ends are NaN where nothing is known; JSON has `null` for them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    #[serde(deserialize_with = "nan_from_null")]
    pub low: f64,
    /// Upper end.
    #[serde(deserialize_with = "nan_from_null")]
    pub high: f64,
}

/// How far two models are apart on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// On the rows as they are.
    #[serde(deserialize_with = "nan_from_null")]
    pub value: f64,
    /// Over the draws.
    pub interval: Interval,
}

/// The middle `level` (such as 0.95) of each figure over `samples` draws of `0..n_rows` with replacement.
///
/// `compute` gets the drawn rows `[n_rows]` in ascending order, repeats included, so what is sorted once (scores, say)
/// stays sorted in every draw; it returns one value per figure, always as many. A draw for which a figure is NaN does not
/// count for it; NaN if none is left. Empty without rows or draws.
pub fn bootstrap_intervals(
    n_rows: usize,
    samples: usize,
    seed: u64,
    level: f64,
    compute: impl Fn(&[u32]) -> Vec<f64> + Sync,
) -> Vec<Interval> {
    let draws = row_draws(n_rows, samples, seed, compute);
    let Some(first) = draws.first() else { return Vec::new() };
    (0..first.len()).map(|index| middle(figure(&draws, index), level)).collect()
}

/// A difference between two models (or any one figure) with the middle `level` of its draws; see [`bootstrap_intervals`].
/// `compute` scores both models on the rows it gets and returns `this - other`: what both find hard or easy cancels out.
/// NaN without rows.
pub fn paired_difference(
    n_rows: usize,
    samples: usize,
    seed: u64,
    level: f64,
    compute: impl Fn(&[u32]) -> f64 + Sync,
) -> Difference {
    let all: Vec<u32> = (0..n_rows as u32).collect();
    let value = if all.is_empty() { f64::NAN } else { compute(&all) };
    Difference { value, interval: middle(row_draws(n_rows, samples, seed, compute), level) }
}

/// What `compute` makes of the rows of each draw, in order.
fn row_draws<T: Send>(n_rows: usize, samples: usize, seed: u64, compute: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
    draws(n_rows, samples, seed, |counts, rows| {
        repeat_rows(counts, rows);
        compute(rows)
    })
}

/// What `compute` makes of each draw, in order. It gets how often each of `0..n` was drawn, `n` times in all, and a buffer
/// for its own use, which holds what the draw before left there.
pub(crate) fn draws<B: Default, T: Send>(
    n: usize,
    samples: usize,
    seed: u64,
    compute: impl Fn(&[u32], &mut B) -> T + Sync,
) -> Vec<T> {
    if n == 0 {
        return Vec::new();
    }
    let base = ChaCha8Rng::seed_from_u64(seed);
    let block = |block: usize| {
        let (mut counts, mut buffer) = (vec![0; n], B::default());
        let last = samples.min((block + 1) * DRAWS_PER_BLOCK);
        let one = |draw: usize| {
            let mut rng = base.clone();
            rng.set_stream(draw as u64);
            draw_counts(&mut rng, &mut counts);
            compute(&counts, &mut buffer)
        };
        (block * DRAWS_PER_BLOCK..last).map(one).collect::<Vec<T>>()
    };
    (0..samples.div_ceil(DRAWS_PER_BLOCK))
        .into_par_iter()
        .map(block)
        .collect::<Vec<_>>()
        .into_iter()
        .flatten()
        .collect()
}

/// How often each is drawn, if as many are drawn with replacement as there are.
fn draw_counts(rng: &mut ChaCha8Rng, counts: &mut [u32]) {
    let n = counts.len() as u32;
    counts.fill(0);
    for _ in 0..n {
        counts[rng.random_range(0..n) as usize] += 1;
    }
}

/// Each row as often as its count says, ascending.
pub(crate) fn repeat_rows(counts: &[u32], rows: &mut Vec<u32>) {
    rows.clear();
    for (row, count) in counts.iter().enumerate() {
        rows.extend(std::iter::repeat_n(row as u32, *count as usize));
    }
}

/// One figure in all draws that have it.
pub(crate) fn figure(draws: &[Vec<f64>], index: usize) -> Vec<f64> {
    draws.iter().filter_map(|draw| draw.get(index)).copied().collect()
}

/// The ends of the middle `level` of the values; NaNs do not count.
pub(crate) fn middle(mut values: Vec<f64>, level: f64) -> Interval {
    values.retain(|value| !value.is_nan());
    values.sort_unstable_by(f64::total_cmp);
    let tail = ((1.0 - level) / 2.0).clamp(0.0, 0.5);
    Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail) }
}

/// JSON has no NaN: it is written as `null`.
pub(crate) fn nan_from_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
