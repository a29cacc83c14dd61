//! Small figures that several modules need.

/// The quantile `q` (0 to 1) of ascending values, linear between neighbours (numpy's default). NaN without values.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    // Equal infinities have no difference.
    if below == above { below } else { below + (above - below) * place.fract() }
}

/// The smallest of ascending values up to which at least the share `q` lies (numpy's `inverted_cdf`): always one that
/// occurs. NaN without values.
pub(crate) fn occurring_quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = (q.clamp(0.0, 1.0) * sorted.len() as f64 - 1e-9).ceil() as usize;
    sorted[place.saturating_sub(1).min(last)]
}

/// The finite values, ascending.
pub(crate) fn finite_sorted(values: &[f64]) -> Vec<f64> {
    use rayon::prelude::*;
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.par_sort_unstable_by(f64::total_cmp);
    sorted
}

/// `a / b`, or 0 where nothing is there to divide by (scikit-learn's `zero_division=0`).
pub(crate) fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

/// The chance that a chi-squared variable with this many degrees of freedom exceeds `x`. NaN without freedom.
pub(crate) fn chi_squared_tail(x: f64, degrees: usize) -> f64 {
    if degrees == 0 || x.is_nan() {
        return f64::NAN;
    }
    // The regularised upper incomplete gamma function Q(degrees / 2, x / 2).
    let (a, y) = (degrees as f64 / 2.0, x.max(0.0) / 2.0);
    if y < a + 1.0 { 1.0 - lower_gamma(a, y) } else { upper_gamma(a, y) }
}

/// P(a, y) by its series; quick for y < a + 1.
fn lower_gamma(a: f64, y: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
    while term > sum * 1e-17 {
        n += 1.0;
        term *= y / n;
        sum += term;
    }
    sum * (a * y.ln() - y - ln_gamma(a)).exp()
}

/// Q(a, y) by its continued fraction (Lentz); quick for y > a + 1.
fn upper_gamma(a: f64, y: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let mut b = y + 1.0 - a;
    let (mut c, mut d) = (1.0 / TINY, 1.0 / b);
    let mut fraction = d;
    for i in 1..100_000 {
        let i = f64::from(i);
        let numerator = -i * (i - a);
        b += 2.0;
        d = 1.0 / nonzero(numerator * d + b, TINY);
        c = nonzero(b + numerator / c, TINY);
        fraction *= c * d;
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction * (a * y.ln() - y - ln_gamma(a)).exp()
}

fn nonzero(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

/// ln Gamma of a positive number: Stirling's series, after moving the argument up to where it is exact.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 15.0 {
        shift += x.ln();
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0)))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - shift
}

/// The chance that Kolmogorov's limit distribution exceeds `x`.
pub(crate) fn kolmogorov_tail(x: f64) -> f64 {
    use std::f64::consts::PI;
    if x < 1.0 {
        // Jacobi's transform of the series below, which is quick for small x.
        let term = |k: f64| (-((2.0 * k - 1.0) * PI / x).powi(2) / 8.0).exp();
        return if x <= 0.0 {
            1.0
        } else {
            1.0 - (2.0 * PI).sqrt() / x * (1..=4).map(|k| term(f64::from(k))).sum::<f64>()
        };
    }
    let term = |k: i32| f64::from(1 - 2 * ((k + 1) % 2)) * (-2.0 * f64::from(k * k) * x * x).exp();
    (2.0 * (1..=6).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1: `stats.chi2.sf`, `special.kolmogorov`.
    #[test]
    fn tails_equal_scipys() {
        #[rustfmt::skip]
        let chi = [
            (0.3, 1, 0.583882420770365), (3.84, 1, 0.05004352124870519), (12.0, 9, 0.21330930508341653),
            (40.0, 9, 7.598525229464264e-06), (900.0, 1000, 0.9892827619087102), (1100.0, 1000, 0.014614408126295192),
            (5.0, 2, 0.0820849986238988), (300.0, 20, 8.082849629775851e-52),
        ];
        for (x, degrees, expected) in chi {
            let found = chi_squared_tail(x, degrees);
            assert!((found / expected - 1.0).abs() < 1e-10, "{x} {degrees}: {found} is not {expected}");
        }
        #[rustfmt::skip]
        let kolmogorov = [
            (0.2, 0.999999999999495), (0.5, 0.9639452436648751), (0.9, 0.3927307079406543), (1.0, 0.26999967167735456),
            (1.36, 0.049485876755377876), (2.5, 7.453306344157342e-06), (5.0, 3.8574996959278356e-22),
        ];
        for (x, expected) in kolmogorov {
            let found = kolmogorov_tail(x);
            assert!((found / expected - 1.0).abs() < 1e-12, "{x}: {found} is not {expected}");
        }
        assert_eq!((chi_squared_tail(0.0, 3), kolmogorov_tail(0.0)), (1.0, 1.0));
        assert!(chi_squared_tail(1.0, 0).is_nan());
    }

    /// numpy 2.4.6: `quantile`, with `method="inverted_cdf"` too.
    #[test]
    fn quantiles_equal_numpys() {
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        assert_eq!([0.0, 0.1, 0.5, 0.9, 1.0].map(|q| quantile(&values, q)), [1.0, 1.4, 4.0, 12.8, 16.0]);
        assert_eq!([0.0, 0.2, 0.21, 0.6, 1.0].map(|q| occurring_quantile(&values, q)), [1.0, 1.0, 2.0, 4.0, 16.0]);
        assert!(quantile(&[], 0.5).is_nan() && occurring_quantile(&[], 0.5).is_nan());
        assert_eq!(quantile(&[f64::INFINITY; 2], 0.3), f64::INFINITY);
    }
}
