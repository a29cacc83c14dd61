//! The normal distribution, far out in its tails too.

use std::f64::consts::{PI, SQRT_2};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Log of the probability of being below `x`.
fn log_cdf(x: f64) -> f64 {
    if x > -30.0 {
        return (0.5 * libm::erfc(-x / SQRT_2)).ln();
    }
    // Asymptotic series (Abramowitz and Stegun 26.2.12): the next term is below 1e-11 here.
    let inverse = 1.0 / (x * x);
    let series = 1.0 - inverse * (1.0 - inverse * (3.0 - inverse * (15.0 - inverse * 105.0)));
    -0.5 * x * x - 0.5 * (2.0 * PI).ln() - (-x).ln() + series.ln()
}

/// Log of the probability of being between `a` and `b`, `a < b`.
pub fn log_mass(a: f64, b: f64) -> f64 {
    if a > 0.0 {
        return log_mass(-b, -a);
    }
    if b > 0.0 {
        let outside = 0.5 * (libm::erfc(-a / SQRT_2) + libm::erfc(b / SQRT_2));
        return (-outside).ln_1p();
    }
    let (low, high) = (log_cdf(a), log_cdf(b));
    high + (-(low - high).exp_m1()).ln()
}

/// Draws from a normal distribution cut off at `low` and `high`. `mean` lies between them and `sd` is at most as wide as they are
/// apart, so that every third draw at least is kept.
pub fn draw_truncated(mean: f64, sd: f64, low: f64, high: f64, rng: &mut ChaCha8Rng) -> f64 {
    for _ in 0..1000 {
        // Box and Muller; 1 - u is never 0.
        let (u, v) = (rng.random::<f64>(), rng.random::<f64>());
        let value = mean + sd * (-2.0 * (1.0 - u).ln()).sqrt() * (2.0 * PI * v).cos();
        if (low..=high).contains(&value) {
            return value;
        }
    }
    mean.clamp(low, high)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// scipy.stats.norm.logcdf and log of differences by mpmath.
    #[test]
    fn agrees_with_scipy() {
        for (x, expected) in [
            (-40.0, -804.608_442_013_753_9),
            (-30.5, -469.462_737_322_912_1),
            (-29.5, -439.429_474_609_150_3),
            (-5.0, -15.064_998_393_988_725),
            (0.0, -std::f64::consts::LN_2),
            (3.0, -0.001_350_809_964_748_192_5),
        ] {
            assert!((log_cdf(x) - expected).abs() < 1e-9 * expected.abs().max(1.0), "{x}: {}", log_cdf(x));
        }
        assert!((log_mass(-1.0, 1.0) - 0.682_689_492_137_086_f64.ln()).abs() < 1e-14);
        assert_eq!(log_mass(3.0, 4.0), log_mass(-4.0, -3.0));
    }
}
