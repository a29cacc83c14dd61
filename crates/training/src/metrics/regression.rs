//! Metrics of predicted numbers.

use super::Scored;

/// Prediction minus target, row by row.
fn errors<'a>(s: &'a Scored) -> impl Iterator<Item = f64> + Clone + 'a {
    s.rows.target.iter().zip(s.rows.predicted).map(|(&target, &predicted)| f64::from(predicted) - f64::from(target))
}

/// Mean squared error.
pub(super) fn mse(s: &Scored) -> f64 {
    errors(s).map(|error| error * error).sum::<f64>() / s.rows.n_rows()
}

/// Root of the mean squared error, in the target's units.
pub(super) fn rmse(s: &Scored) -> f64 {
    mse(s).sqrt()
}

/// Mean absolute error, in the target's units.
pub(super) fn mae(s: &Scored) -> f64 {
    errors(s).map(f64::abs).sum::<f64>() / s.rows.n_rows()
}

/// Median absolute error, in the target's units; between the two in the middle where there are two.
pub(super) fn medae(s: &Scored) -> f64 {
    let mut sizes: Vec<f64> = errors(s).map(f64::abs).collect();
    let middle = sizes.len() / 2;
    if sizes.is_empty() {
        return f64::NAN;
    }
    let (below, &mut upper, _) = sizes.select_nth_unstable_by(middle, f64::total_cmp);
    if s.rows.target.len() % 2 == 1 {
        return upper;
    }
    (below.iter().copied().fold(0.0, f64::max) + upper) / 2.0
}

/// Mean absolute error relative to the target, as a share (0.1 is 10 %). A target of 0 counts as 2.2e-16, so that one
/// missed zero makes it huge, as in scikit-learn: look at `mae` where targets can be 0.
pub(super) fn mape(s: &Scored) -> f64 {
    let relative = |(error, &target): (f64, &f32)| error.abs() / f64::from(target).abs().max(f64::EPSILON);
    errors(s).zip(s.rows.target).map(relative).sum::<f64>() / s.rows.n_rows()
}

/// Greatest absolute error, in the target's units.
pub(super) fn max_error(s: &Scored) -> f64 {
    errors(s).map(f64::abs).fold(0.0, f64::max)
}

/// Share of the target's variance that is explained; 0 for always predicting the mean, negative for worse. A constant
/// target has none: then 1 if it is predicted exactly, else 0. NaN for a single row.
pub(super) fn r2(s: &Scored) -> f64 {
    if s.rows.target.len() < 2 { f64::NAN } else { explained(mse(s), target_variance(s)) }
}

/// As `r2`, but a constant error costs nothing.
pub(super) fn explained_variance(s: &Scored) -> f64 {
    explained(variance(errors(s), s.rows.n_rows()), target_variance(s))
}

fn explained(unexplained: f64, total: f64) -> f64 {
    if total == 0.0 { f64::from(u8::from(unexplained == 0.0)) } else { 1.0 - unexplained / total }
}

fn target_variance(s: &Scored) -> f64 {
    variance(s.rows.target.iter().map(|&value| f64::from(value)), s.rows.n_rows())
}

fn variance(values: impl Iterator<Item = f64> + Clone, n: f64) -> f64 {
    let mean = values.clone().sum::<f64>() / n;
    values.map(|value| (value - mean).powi(2)).sum::<f64>() / n
}
