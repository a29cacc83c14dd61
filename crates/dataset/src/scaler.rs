//! Numbers on a common scale.

use serde::{Deserialize, Serialize};

use crate::Scaling;

/// Quantiles kept by `quantile_normal`, as scikit-learn does by default.
const N_QUANTILES: usize = 1000;
/// Shares nearer to 0 or 1 count as this, which bounds the result to +-5.2. As in scikit-learn, a unit in the last place
/// is taken off.
pub const SMALLEST_SHARE: f64 = 1e-7 - f64::EPSILON;

/// Algorithm AS 241 (Wichura 1988) for the inverse of the normal distribution, exact to 1e-16: the coefficients of the
/// numerator and the denominator near the middle, then of those in the tails, each from the highest power down.
#[allow(clippy::excessive_precision, reason = "the digits as they are printed in the paper")]
pub const NORMAL_DEVIATE: [[f64; 8]; 4] = [
    [
        2509.0809287301226727,
        33430.575583588128105,
        67265.770927008700853,
        45921.953931549871457,
        13731.693765509461125,
        1971.5909503065514427,
        133.14166789178437745,
        3.387132872796366608,
    ],
    [
        5226.495278852854561,
        28729.085735721942674,
        39307.89580009271061,
        21213.794301586595867,
        5394.1960214247511077,
        687.1870074920579083,
        42.313330701600911252,
        1.0,
    ],
    [
        7.7454501427834140764e-4,
        0.0227238449892691845833,
        0.24178072517745061177,
        1.27045825245236838258,
        3.64784832476320460504,
        5.7694972214606914055,
        4.6303378461565452959,
        1.42343711074968357734,
    ],
    [
        1.05075007164441684324e-9,
        5.475938084995344946e-4,
        0.0151986665636164571966,
        0.14810397642748007459,
        0.68976733498510000455,
        1.6763848301838038494,
        2.05319162663775882187,
        1.0,
    ],
];

/// How a number is brought to a common scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaler {
    /// As it is.
    None,
    /// `(x - mean) / std`
    Standard {
        /// Mean of the train rows.
        mean: f64,
        /// Population standard deviation of the train rows.
        std: f64,
    },
    /// `(x - min) / (max - min)`
    MinMax {
        /// Smallest train value.
        min: f64,
        /// Largest train value.
        max: f64,
    },
    /// The normal deviate of the share of train values below `x`.
    QuantileNormal {
        /// Quantiles of the train rows at equal steps from the smallest to the largest value.
        quantiles: Vec<f64>,
    },
}

impl Scaler {
    pub(crate) fn fit(scaling: Scaling, values: &[f64]) -> Self {
        let n = values.len() as f64;
        match scaling {
            Scaling::None => Self::None,
            Scaling::Standard => {
                let mean = values.iter().sum::<f64>() / n;
                let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
                // The rounded mean of equal values may differ from them in the last bit.
                let is_constant = values.iter().all(|&x| x == values[0]);
                Self::Standard { mean, std: if is_constant { 0.0 } else { variance.sqrt() } }
            }
            Scaling::MinMax => Self::MinMax {
                min: values.iter().copied().fold(f64::INFINITY, f64::min),
                max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            },
            Scaling::QuantileNormal => {
                Self::QuantileNormal { quantiles: quantiles(values, N_QUANTILES.min(values.len())) }
            }
        }
    }

    /// A constant column (its width is 0) becomes 0.
    pub(crate) fn apply(&self, x: f64) -> f64 {
        let scale = |from: f64, width: f64| (x - from) / if width > 0.0 { width } else { 1.0 };
        match self {
            Self::None => x,
            Self::Standard { mean, std } => scale(*mean, *std),
            Self::MinMax { min, max } => scale(*min, max - min),
            Self::QuantileNormal { quantiles } => normal_deviate(share_below(x, quantiles)),
        }
    }

    /// Says what no scaler that was fitted can be.
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        match self {
            Self::QuantileNormal { quantiles } if quantiles.is_empty() || !quantiles.is_sorted() => {
                Err("its quantiles are not in ascending order".to_string())
            }
            _ => Ok(()),
        }
    }
}

/// Linear quantiles in the arithmetic of `numpy.nanpercentile`: the last bit decides whether two of them are equal.
fn quantiles(values: &[f64], n: usize) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let quantile = |i: usize| {
        let place = quantile_share(i, n) * 100.0 / 100.0 * (sorted.len() - 1) as f64;
        let (below, above) = (sorted[place as usize], sorted[(place as usize + 1).min(sorted.len() - 1)]);
        let (width, t) = (above - below, place.fract());
        if t < 0.5 { below + width * t } else { above - width * (1.0 - t) }
    };
    let ascending = |highest: &mut f64, i| {
        *highest = highest.max(quantile(i));
        Some(*highest)
    };
    (0..n).scan(f64::NEG_INFINITY, ascending).collect()
}

/// The share of train values that quantile `i` of `n` stands for.
pub fn quantile_share(i: usize, n: usize) -> f64 {
    if i + 1 == n { 1.0 } else { i as f64 * (1.0 / (n - 1) as f64) }
}

/// From 0 to 1. Where quantiles are equal, halfway between the first and the last of them.
fn share_below(x: f64, quantiles: &[f64]) -> f64 {
    let n = quantiles.len();
    let (first, last) = (quantiles[0], quantiles[n - 1]);
    if first == last {
        return 0.5;
    }
    if x - 1e-7 < first {
        return 0.0;
    }
    if x + 1e-7 > last {
        return 1.0;
    }
    let step =
        |from: usize| (quantile_share(from + 1, n) - quantile_share(from, n)) / (quantiles[from + 1] - quantiles[from]);
    let below = quantiles.partition_point(|&quantile| quantile <= x) - 1;
    let above = quantiles.partition_point(|&quantile| quantile < x);
    // From 2^30 on, 1e-7 less is the same number, so `x` may be the first or the last quantile, beside which there is none.
    let from_below =
        quantile_share(below, n) + if x > quantiles[below] { (x - quantiles[below]) * step(below) } else { 0.0 };
    let from_above =
        quantile_share(above, n) - if x < quantiles[above] { (quantiles[above] - x) * step(above - 1) } else { 0.0 };
    0.5 * (from_below + from_above)
}

/// The inverse of the normal distribution, bounded at +-5.2.
fn normal_deviate(share: f64) -> f64 {
    let [a, b, c, d] = NORMAL_DEVIATE;
    let polynomial = |coefficients: [f64; 8], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let share = share.clamp(SMALLEST_SHARE, 1.0 - SMALLEST_SHARE);
    let centred = share - 0.5;
    if centred.abs() <= 0.425 {
        let r = 0.180625 - centred * centred;
        return centred * polynomial(a, r) / polynomial(b, r);
    }
    let r = (-share.min(1.0 - share).ln()).sqrt() - 1.6;
    (polynomial(c, r) / polynomial(d, r)).copysign(centred)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        }
    }

    /// scipy 1.x, `scipy.stats.norm.ppf`.
    #[test]
    fn normal_deviates_are_those_of_scipy() {
        let shares = [0.0, 1e-5, 0.01, 0.07, 0.075, 0.3, 0.5, 0.6, 0.925, 0.93, 0.999, 1.0 - 1e-7];
        let expected = [
            -5.199337582605575,
            -4.264890793922825,
            -2.3263478740408408,
            -1.4757910281791706,
            -1.4395314709384563,
            -0.5244005127080409,
            0.0,
            0.2533471031357997,
            1.4395314709384563,
            1.475791028179171,
            3.090232306167813,
            5.199337582290661,
        ];
        assert_close(&shares.map(normal_deviate), &expected);
    }

    /// scikit-learn 1.9.1, `QuantileTransformer(output_distribution="normal", n_quantiles=n, subsample=None)`.
    #[test]
    fn quantile_normal_is_that_of_scikit_learn() {
        let train = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4].map(f64::from);
        let values = [0.0, 1.0, 1.5, 2.0, 3.0, 4.25, 5.0, 7.5, 8.9999, 9.0, 10.0, 6.0];
        let transform = |n| {
            let scaler = Scaler::QuantileNormal { quantiles: quantiles(&train, n) };
            values.map(|x| scaler.apply(x))
        };
        let all = [
            -5.199337582605575,
            -5.199337582605575,
            -1.4121875789061642,
            -1.11895838106256,
            -0.5549229427026537,
            -0.032987932937402896,
            0.199201324789267,
            0.7164975001779911,
            1.2520906285957851,
            5.19933758270342,
            5.19933758270342,
            0.47950565333095047,
        ];
        assert_close(&transform(20), &all);
        let seven = [
            -5.199337582605575,
            -5.199337582605575,
            -1.4652337926855223,
            -1.0675705238781412,
            -0.43072729929545756,
            -0.06968492031845568,
            0.18001236979270552,
            0.8331468660796095,
            4.149409984347971,
            5.19933758270342,
            5.19933758270342,
            0.4972005706815544,
        ];
        assert_close(&transform(7), &seven);
        let expected = [1.0, 2.166666666666666, 3.0, 4.5, 5.666666666666664, 8.0, 9.0];
        assert_eq!(quantiles(&train, 7), expected, "to the last bit");
    }

    /// scikit-learn 1.9.1 as above, `n_quantiles=8`; 1e-7 more or less is the same number here.
    #[test]
    fn large_numbers_have_the_quantiles_of_scikit_learn() {
        let expected = [
            -5.199337582605575,
            -1.465233792685523,
            -0.7916386077433746,
            -0.5659488219328631,
            -0.3661063568005698,
            0.3661063568005695,
            1.0435291298908735,
            1.465233792685523,
            5.19933758270342,
        ];
        for offset in [1e10, -1e10] {
            let train = [0.0, 0.0, 1.0, 3.0, 7.0, 7.0, 20.0, 20.0].map(|x| offset + x);
            let scaler = Scaler::QuantileNormal { quantiles: quantiles(&train, 8) };
            assert_close(
                &[-5.0, 0.0, 0.5, 1.0, 2.0, 7.0, 19.5, 20.0, 21.0].map(|x| scaler.apply(offset + x)),
                &expected,
            );
            let untied = Scaler::QuantileNormal { quantiles: vec![offset, offset + 1.0, offset + 3.0] };
            assert_close(&[0.0, 3.0].map(|x| untied.apply(offset + x)), &[-5.199337582605575, 5.19933758270342]);
        }
    }

    #[test]
    fn a_constant_column_becomes_0() {
        for scaling in [Scaling::Standard, Scaling::MinMax, Scaling::QuantileNormal] {
            assert_eq!(Scaler::fit(scaling, &[0.5; 7]).apply(0.5), 0.0, "{scaling:?}");
        }
    }
}
