//! What is computed from a target's own past: differences, and statistics of its last steps.

use super::features::RollingStatistic;

/// `y[t] - y[t - steps]`; NaN where one of them is missing.
pub(crate) fn difference(values: &[f64], steps: usize) -> Vec<f64> {
    let of_step = |t: usize| t.checked_sub(steps).map_or(f64::NAN, |earlier| values[t] - values[earlier]);
    (0..values.len()).map(of_step).collect()
}

/// The statistic of `window` steps up to and with each step; NaN where one of them is missing. Each is computed on its
/// own, so that no rounding of earlier steps gets in: a value does not depend on where the series begins.
pub(crate) fn rolling(values: &[f64], window: usize, statistic: RollingStatistic) -> Vec<f64> {
    let mut sorted = Vec::with_capacity(window);
    let mut of_step = |t: usize| {
        let Some(first) = (t + 1).checked_sub(window) else { return f64::NAN };
        let steps = &values[first..=t];
        if steps.iter().any(|value| value.is_nan()) {
            return f64::NAN;
        }
        match statistic {
            RollingStatistic::Mean => mean(steps),
            RollingStatistic::Std => {
                let mean = mean(steps);
                (steps.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (window - 1) as f64).sqrt()
            }
            RollingStatistic::Min => steps.iter().copied().fold(f64::INFINITY, f64::min),
            RollingStatistic::Max => steps.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            RollingStatistic::Median => {
                sorted.clear();
                sorted.extend_from_slice(steps);
                sorted.sort_unstable_by(f64::total_cmp);
                (sorted[(window - 1) / 2] + sorted[window / 2]) / 2.0
            }
        }
    };
    (0..values.len()).map(&mut of_step).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
