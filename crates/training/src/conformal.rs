//! Prediction intervals whose coverage is measured, not assumed: split-conformal calibration.
//!
//! A trained model forecasts windows that it was not fitted on. The size of its errors there says how wide an interval
//! must be: with `n` errors, the `ceil((n + 1) * coverage)`-th smallest (Papadopoulos et al. 2002; Lei et al., JASA
//! 2018). Each step of the horizon has its own, as in Stankeviciute et al. (NeurIPS 2021), but without their
//! correction: `coverage` is that of each step by itself, not of a whole window at once.
//!
//! For quantile forecasts the error is how far the truth lies outside of the two quantiles, negative inside
//! (conformalised quantile regression, Romano, Patterson and Candès, arXiv 1905.03222): where the quantiles were too
//! far apart, the interval shrinks.
//!
//! What is promised: if the calibration windows and the new one are exchangeable (their order carries no information),
//! the interval holds the truth with a probability of at least `coverage`, for any model and any distribution. Time
//! series are not: neighbouring windows overlap, levels drift, and the windows that chose the best epoch flatter the
//! model. So measure the coverage on test windows, and report it beside the one that was asked for.

/// Collects how far forecasts of calibration windows miss, by group (a target, or a target of a series) and step.
///
/// Keeps every error: 8 bytes for each window, group and step.
#[derive(Debug, Clone)]
pub struct Conformal {
    horizon: usize,
    /// `[groups * horizon]`, each the scores of all windows.
    scores: Vec<Vec<f64>>,
}

impl Conformal {
    /// Nothing seen yet.
    pub fn new(groups: usize, horizon: usize) -> Self {
        Self { horizon, scores: vec![Vec::new(); groups * horizon] }
    }

    /// Takes in one window of a group: the truth and the point forecast, `[horizon]` each. The interval is forecast ±
    /// width. Groups of many series need errors on a common scale; their widths are then on that scale too.
    ///
    /// # Panics
    ///
    /// If a slice is too short or there is no such group.
    pub fn add(&mut self, group: usize, actual: &[f64], predicted: &[f64]) {
        self.add_band(group, actual, predicted, predicted);
    }

    /// As [`Self::add`] for a lower and an upper quantile forecast, `[horizon]` each. The interval is lower - width to
    /// upper + width; it is empty at a step whose two quantiles lie closer together than twice a width that is
    /// negative.
    ///
    /// # Panics
    ///
    /// As [`Self::add`].
    pub fn add_band(&mut self, group: usize, actual: &[f64], lower: &[f64], upper: &[f64]) {
        let scores = &mut self.scores[group * self.horizon..][..self.horizon];
        for (step, scores) in scores.iter_mut().enumerate() {
            if actual[step].is_finite() {
                scores.push((lower[step] - actual[step]).max(actual[step] - upper[step]));
            }
        }
    }

    /// By how much to widen the forecasts of each group and step for this coverage (0.9 for 90 %), `[groups, horizon]`.
    /// NaN where there are too few windows: 90 % takes 9, 95 % takes 19, 99 % takes 99.
    pub fn widths(&mut self, coverage: f64) -> Vec<f64> {
        self.scores.iter_mut().map(|scores| conformal_quantile(scores, coverage).unwrap_or(f64::NAN)).collect()
    }
}

/// The `ceil((n + 1) * coverage)`-th smallest of `n` scores, which are reordered; `None` if there are too few or it is
/// not finite. A NaN counts as the greatest.
pub fn conformal_quantile(scores: &mut [f64], coverage: f64) -> Option<f64> {
    // Without the small number, 100 * 0.55 = 55.00000000000001 would be rank 56.
    let rank = ((scores.len() + 1) as f64 * coverage - 1e-9).ceil().max(1.0) as usize;
    if rank > scores.len() {
        return None;
    }
    // `total_cmp` alone would sort NaN by its sign.
    let greatest_last = |score: &f64| if score.is_nan() { f64::INFINITY } else { *score };
    let (_, quantile, _) =
        scores.select_nth_unstable_by(rank - 1, |a, b| greatest_last(a).total_cmp(&greatest_last(b)));
    Some(*quantile).filter(|quantile| quantile.is_finite())
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn quantiles_are_those_by_hand() {
        let of = |n: u32, coverage| {
            let mut scores: Vec<f64> = (1..=n).rev().map(f64::from).collect();
            conformal_quantile(&mut scores, coverage)
        };
        // ceil(10 * 0.9) = 9 of 9, ceil(9 * 0.9) = 9 of 8, ceil(100 * 0.55) = 55, ceil(20 * 0.95) = 19, ceil(11 * 0.5)
        // = 6.
        assert_eq!([of(9, 0.9), of(8, 0.9), of(99, 0.55)], [Some(9.0), None, Some(55.0)]);
        assert_eq!([of(19, 0.95), of(18, 0.95), of(10, 0.5), of(0, 0.5)], [Some(19.0), None, Some(6.0), None]);
        assert_eq!(conformal_quantile(&mut [-f64::NAN, 3.0, 1.0], 0.5), Some(3.0));
        assert_eq!(conformal_quantile(&mut [-f64::NAN, 3.0, 1.0], 0.75), None);
    }

    #[test]
    fn each_group_and_step_has_its_own_width() {
        let mut residuals = Conformal::new(2, 2);
        for size in [1.0, -2.0, 3.0] {
            residuals.add(0, &[10.0, 20.0], &[10.0 + size, 20.0 - 2.0 * size]);
            residuals.add(1, &[0.0, f64::NAN], &[5.0 * size, 0.0]);
        }
        // ceil(4 * 0.75) = 3, of the last step's none.
        let widths = residuals.widths(0.75);
        assert_eq!(widths[..3], [3.0, 6.0, 15.0]);
        assert!(widths[3].is_nan() && residuals.widths(0.8).iter().all(|width| width.is_nan()));
        // ceil(4 * 0.5) = 2.
        assert_eq!(residuals.widths(0.5)[..3], [2.0, 4.0, 10.0]);

        // Inside by 1, outside by 2 above, inside by 0.5: all of 3 in 75 %, and 50 % shrink it.
        let mut band = Conformal::new(1, 1);
        for actual in [1.0, 6.0, 3.5] {
            band.add_band(0, &[actual], &[0.0], &[4.0]);
        }
        assert_eq!(band.widths(0.75), [2.0]);
        assert_eq!(band.widths(0.5), [-0.5]);
    }

    /// 400 calibrations with 50 windows and 50 new ones each, at 3 levels. The chance to cover is that of a beta
    /// distribution with mean `rank / (n + 1)` (Vovk 2012): exactly 46/51, 41/51 and 26/51 here. 20,000 dependent draws
    /// have a standard deviation of 0.0049 at most (beta-binomial); the bounds are 4 of them.
    #[test]
    fn exchangeable_windows_are_covered_as_often_as_promised() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for (coverage, rank) in [(0.9, 46.0), (0.8, 41.0), (0.5, 26.0)] {
            let (mut covered, mut covered_band) = (0, 0);
            for _ in 0..400 {
                // Skewed errors, and quantile forecasts that are too narrow: the promise needs neither shape.
                let mut draw = || -(1.0 - random.random::<f64>()).ln() - 0.3;
                let (mut point, mut band) = (Conformal::new(1, 1), Conformal::new(1, 1));
                for actual in (0..50).map(|_| draw()) {
                    point.add(0, &[actual], &[0.0]);
                    band.add_band(0, &[actual], &[-0.1], &[0.4]);
                }
                let (width, widening) = (point.widths(coverage)[0], band.widths(coverage)[0]);
                for actual in (0..50).map(|_| draw()) {
                    covered += usize::from(actual.abs() <= width);
                    covered_band += usize::from((-0.1 - widening..=0.4 + widening).contains(&actual));
                }
            }
            for covered in [covered, covered_band] {
                let (found, wanted) = (covered as f64 / 20_000.0, rank / 51.0);
                assert!((found - wanted).abs() < 0.02, "{coverage}: {found} in place of {wanted}");
            }
        }
    }
}
