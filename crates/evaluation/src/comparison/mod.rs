//! Whether one model is better than another, or chance would have done as much.
//!
//! | what is there | test |
//! |---|---|
//! | rows that all models were scored on, any metric | [`paired_bootstrap`]: which rows were drawn is the chance |
//! | the same for ROC AUC, at once and without draws | [`delong`] |
//! | a figure of each model per seed | [`welch`]: which seed was drawn is the chance |
//! | a figure of each model per seed and split, pair by pair | [`paired_t`] |
//! | many pairs of models | [`holm`], over the p-values of any of them |
//!
//! All take rows (clusters, seeds) for independent of each other. The folds of a cross-validation are not, as they share
//! training rows: a [`paired_t`] over them is too sure (Dietterich 1998).

mod delong;
mod paired;
mod t_tests;

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Interval, nan_from_null};
use crate::statistics::{critical_value, two_sided_tail};

pub use delong::{DeLong, delong};
pub use paired::{PairedBootstrap, RankedScores, Statistic, paired_bootstrap, paired_bootstrap_of};
pub use t_tests::{mean_and_sd, paired_t, welch};

/// A spread below this share of the figures themselves is what rounding leaves of none.
const ROUNDING: f64 = 1e-13;

/// What a two-sided test of "there is no difference" found.
///
/// Where the figures do not spread at all, nothing says how far chance might have moved them: interval and p-value are
/// NaN, unless there is no difference either (p = 1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// The first less the second.
    #[serde(deserialize_with = "nan_from_null")]
    pub difference: f64,
    /// Of the difference, at the level asked for.
    pub interval: Interval,
    /// How often chance alone would give a difference this far from 0, if there were none. NaN where nothing can be told.
    #[serde(deserialize_with = "nan_from_null")]
    pub p_value: f64,
}

impl TestResult {
    /// By Student's t with `degrees` of freedom; infinite degrees are the normal distribution.
    fn of_t(values: [f64; 2], difference: f64, standard_error: f64, degrees: f64, level: f64) -> Self {
        if is_rounding(standard_error, values) {
            return Self::without_spread(values, difference);
        }
        let reach = critical_value(level, degrees) * standard_error;
        let interval = Interval { low: difference - reach, high: difference + reach };
        Self { difference, interval, p_value: two_sided_tail(difference / standard_error, degrees) }
    }

    fn without_spread(values: [f64; 2], difference: f64) -> Self {
        if is_rounding(difference, values) {
            return Self { difference, interval: Interval { low: difference, high: difference }, p_value: 1.0 };
        }
        Self { difference, interval: Interval { low: f64::NAN, high: f64::NAN }, p_value: f64::NAN }
    }
}

/// Whether a spread or a difference of two figures is 0 but for rounding.
fn is_rounding(spread: f64, values: [f64; 2]) -> bool {
    spread.is_finite() && spread.abs() <= ROUNDING * values[0].abs().max(values[1].abs())
}

/// p-values adjusted for being many (Holm 1979): below 0.05 they leave a chance of at most 5 % that any of the differences
/// found is none. In the order given; one that is NaN stays NaN and does not count.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).filter(|&i| !p_values[i].is_nan()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let (mut adjusted, mut highest) = (vec![f64::NAN; p_values.len()], 0.0_f64);
    for (rank, &i) in order.iter().enumerate() {
        highest = highest.max((order.len() - rank) as f64 * p_values[i]).min(1.0);
        adjusted[i] = highest;
    }
    adjusted
}
