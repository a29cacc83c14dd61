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

/// The chance that Student's t with this many degrees of freedom (any positive number) is further from 0 than `t`, to
/// either side; infinite degrees are the normal distribution. NaN without freedom.
pub(crate) fn two_sided_tail(t: f64, degrees: f64) -> f64 {
    if t.is_nan() || degrees.is_nan() || degrees <= 0.0 {
        return f64::NAN;
    }
    let square = t * t;
    if square.is_infinite() {
        0.0
    } else if degrees.is_infinite() {
        chi_squared_tail(square, 1)
    } else {
        let total = degrees + square;
        incomplete_beta(degrees / 2.0, 0.5, degrees / total, square / total)
    }
}

/// How far Student's t (infinite degrees: the normal) is from 0 with chance `level`: the inverse of [`two_sided_tail`],
/// by bisection. Infinite for a level of 1 or more, NaN without freedom.
pub(crate) fn critical_value(level: f64, degrees: f64) -> f64 {
    let tail = 1.0 - level;
    if level.is_nan() || two_sided_tail(1.0, degrees).is_nan() {
        return f64::NAN;
    } else if tail <= 0.0 || tail >= 1.0 {
        return if tail <= 0.0 { f64::INFINITY } else { 0.0 };
    }
    let (mut low, mut high) = (0.0, 1.0);
    while two_sided_tail(high, degrees) > tail {
        (low, high) = (high, 2.0 * high);
    }
    while high - low > 1e-15 * high {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        *(if two_sided_tail(middle, degrees) > tail { &mut low } else { &mut high }) = middle;
    }
    high
}

/// The regularised incomplete beta function I_x(a, b). `y` is `1 - x`, which the caller knows more exactly.
fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    // ln of x^a y^b / B(a, b); a logarithm near 0 is taken of what is missing from 1.
    let ln = |x: f64, y: f64| if x > 0.5 { (-y).ln_1p() } else { x.ln() };
    let factor = (a * ln(x, y) + b * ln(y, x) + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b)).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        factor * beta_fraction(a, b, x) / a
    } else {
        1.0 - factor * beta_fraction(b, a, y) / b
    }
}

/// The continued fraction of the incomplete beta function (Lentz); quick for x < (a + 1) / (a + b + 2).
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let (mut c, mut d) = (1.0, 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0), TINY));
    let mut fraction = d;
    for m in 1..100_000 {
        let m = f64::from(m);
        let (even, odd) = (a + 2.0 * m - 1.0, a + 2.0 * m);
        let numerators = [m * (b - m) * x / (even * odd), -(a + m) * (a + b + m) * x / (odd * (odd + 1.0))];
        let mut change = 1.0;
        for numerator in numerators {
            d = 1.0 / nonzero(1.0 + numerator * d, TINY);
            c = nonzero(1.0 + numerator / c, TINY);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
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

    /// mpmath 1.3.0 with 40 digits: `betainc`, `erfc`, and the inverses by bisection; scipy 1.17.1 agrees to 1e-12.
    #[test]
    fn students_t_and_the_normal_equal_mpmaths() {
        const INF: f64 = f64::INFINITY;
        #[rustfmt::skip]
        let tails = [
            (0.001, 3.0, 0.9992648949694609), (0.3, 1.0, 0.8144528418445153), (2.5, 4.7, 0.057592159346867296),
            (2.0, 9.0, 0.07655282377070104), (12.0, 3.0, 0.0012450158007893367), (60.0, 2.0, 0.0002776620905946787),
            (1.96, 1000.0, 0.05027318495574872), (3.0, 12345.6, 0.002705183650338794),
            (40.0, 5.0, 1.8411962171772954e-07), (8.0, 200.0, 9.879200909330639e-14),
            (1e6, 1.0, 6.366197723673691e-07), (0.7, 0.5, 0.6854006625207665),
            (0.001, INF, 0.9992021155721779), (0.5, INF, 0.6170750774519738), (1.0, INF, 0.3173105078629141),
            (3.0, INF, 0.002699796063260189), (6.0, INF, 1.973175290075396e-09), (12.0, INF, 3.552964224155358e-33),
            (30.0, INF, 9.813427854296374e-198),
        ];
        for (t, degrees, expected) in tails {
            let found = two_sided_tail(t, degrees);
            assert!((found / expected - 1.0).abs() < 1e-10, "{t} {degrees}: {found} is not {expected}");
            assert_eq!(found, two_sided_tail(-t, degrees));
        }
        let of_many = two_sided_tail(1.5, 1e6) / 0.13361471823679277;
        assert!((of_many - 1.0).abs() < 1e-8, "{of_many}");
        #[rustfmt::skip]
        let values = [
            (0.95, 1.0, 12.706204736174694), (0.95, 4.7, 2.62072607535317), (0.99, 9.0, 3.249835541592126),
            (0.5, 30.0, 0.6827556933212926), (0.9, 1000.0, 1.6463788172854648), (0.95, 12345.6, 1.9601561582595102),
            (0.01, 3.0, 0.013604054691036678), (0.999999, 2.0, 999.9992499854659), (0.95, 0.5, 164.55767348048823),
            (0.5, INF, 0.6744897501960817), (0.9, INF, 1.6448536269514729), (0.95, INF, 1.9599639845400538),
            (0.99, INF, 2.5758293035489004), (0.999999, INF, 4.891638475692932), (0.01, INF, 0.012533469508069264),
        ];
        for (level, degrees, expected) in values {
            let found = critical_value(level, degrees);
            assert!((found / expected - 1.0).abs() < 1e-10, "{level} {degrees}: {found} is not {expected}");
        }
    }

    #[test]
    fn students_t_has_ends() {
        for degrees in [1e-3, 0.5, 1.0, 30.0, 1e9, 1e300, f64::INFINITY] {
            assert_eq!(two_sided_tail(0.0, degrees), 1.0);
            assert_eq!([f64::INFINITY, 1e200, -1e200].map(|t| two_sided_tail(t, degrees)), [0.0; 3]);
            assert_eq!(
                [0.0, -1.0, 1.0, 2.0].map(|l| critical_value(l, degrees)),
                [0.0, 0.0, f64::INFINITY, f64::INFINITY]
            );
            let hardly = critical_value(1e-12, degrees);
            assert!(hardly > 0.0 && hardly < 1e-8, "{hardly}");
        }
        for (t, degrees) in [(f64::NAN, 3.0), (1.0, f64::NAN), (1.0, 0.0), (1.0, -1.0)] {
            assert!(two_sided_tail(t, degrees).is_nan() && critical_value(t * 0.95, degrees).is_nan());
        }
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
