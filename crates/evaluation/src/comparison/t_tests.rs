//! Tests on a few repetitions of each model: seeds, or splits of the data.

use super::TestResult;

/// Mean and sample standard deviation (`n - 1`). The mean is NaN without values, the deviation for fewer than two.
pub fn mean_and_sd(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (mean, f64::NAN);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

/// Whether the means of two samples differ that have nothing to do with each other, such as the same metric over seeds
/// (Welch 1947). The variances may be unequal; the degrees of freedom are Satterthwaite's. Interval and p-value are NaN
/// with fewer than two values in either sample, or with a NaN.
pub fn welch(a: &[f64], b: &[f64], level: f64) -> TestResult {
    let ((mean_a, sd_a), (mean_b, sd_b)) = (mean_and_sd(a), mean_and_sd(b));
    // Squared standard errors of the two means.
    let (square_a, square_b) = (sd_a * sd_a / a.len() as f64, sd_b * sd_b / b.len() as f64);
    let total = square_a + square_b;
    // In shares of the whole, so that squares of small variances do not vanish.
    let part = |square: f64, n: usize| (square / total).powi(2) / (n as f64 - 1.0);
    let degrees = 1.0 / (part(square_a, a.len()) + part(square_b, b.len()));
    TestResult::of_t([mean_a, mean_b], mean_a - mean_b, total.sqrt(), degrees, level)
}

/// Whether the differences `a[i] - b[i]` have a mean other than 0: two models over the same splits or seeds. Interval and
/// p-value are NaN with fewer than two pairs, or with a NaN.
pub fn paired_t(a: &[f64], b: &[f64], level: f64) -> TestResult {
    let n = a.len().min(b.len());
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let (difference, sd) = mean_and_sd(&differences);
    let means = [mean_and_sd(&a[..n]).0, mean_and_sd(&b[..n]).0];
    TestResult::of_t(means, difference, sd / (n as f64).sqrt(), n as f64 - 1.0, level)
}
