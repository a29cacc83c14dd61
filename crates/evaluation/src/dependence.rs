//! Where to look at a feature's partial dependence (Friedman 2001): the values that it is set to, in all rows at once.

use std::collections::HashMap;

use crate::statistics::{finite_sorted, occurring_quantile};

/// The outermost twentieths are left out: there the model has seen little.
const FROM: f64 = 0.05;
const TO: f64 = 0.95;

/// Up to `points` values for a number, ascending and distinct: all that occur if they are no more, else those at equal
/// steps from the 5 % to the 95 % quantile. Each is one that occurs, so whole numbers stay whole. Empty if all are
/// missing.
pub fn number_grid(values: &[f64], points: usize) -> Vec<f64> {
    let sorted = finite_sorted(values);
    let mut distinct = sorted.clone();
    distinct.dedup();
    if distinct.len() <= points {
        return distinct;
    }
    let step = |point: usize| match points {
        1 => 0.5,
        _ => FROM + (TO - FROM) * point as f64 / (points - 1) as f64,
    };
    let mut grid: Vec<f64> = (0..points).map(|point| occurring_quantile(&sorted, step(point))).collect();
    grid.dedup();
    grid
}

/// Up to `points` levels, the most frequent first; missing values are none.
pub fn level_grid<'a>(values: &[Option<&'a str>], points: usize) -> Vec<&'a str> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for level in values.iter().flatten() {
        *counts.entry(level).or_default() += 1;
    }
    let mut levels: Vec<(&str, usize)> = counts.into_iter().collect();
    levels.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    levels.into_iter().take(points).map(|(level, _)| level).collect()
}
