//! Intervals around predicted numbers, as wide as the errors on validation rows say.

use dataset::Preprocessor;
use serde::{Deserialize, Serialize};
use training::conformal_quantile;

/// A split-conformal interval of a regression; part of the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Share of the actual values that it is to hold, such as 0.9.
    pub coverage: f64,
    /// Half of its width, standardised: with a logarithmic target, intervals are wider where the prediction is greater.
    pub width: f64,
}

impl Interval {
    /// From the errors on validation rows; `None` if these are too few (90 % takes 9, 95 % takes 19).
    pub fn calibrate(target: &[f32], predicted: &[f32], coverage: f64, preprocessor: &Preprocessor) -> Option<Self> {
        let scaled = |value: &f32| f64::from(preprocessor.standardize(*value));
        let mut errors: Vec<f64> =
            target.iter().zip(predicted).map(|(y, prediction)| (scaled(y) - scaled(prediction)).abs()).collect();
        conformal_quantile(&mut errors, coverage).map(|width| Self { coverage, width })
    }

    /// Lower and upper bound around a prediction, in the target's own units.
    pub fn bounds(&self, prediction: f32, preprocessor: &Preprocessor) -> (f32, f32) {
        let (middle, width) = (f64::from(preprocessor.standardize(prediction)), self.width);
        (preprocessor.restore((middle - width) as f32), preprocessor.restore((middle + width) as f32))
    }

    /// The share of rows whose actual value lies inside.
    pub fn measure(&self, target: &[f32], predicted: &[f32], preprocessor: &Preprocessor) -> f64 {
        let is_inside = |(y, prediction): &(&f32, &f32)| {
            let (lower, upper) = self.bounds(**prediction, preprocessor);
            (lower..=upper).contains(*y)
        };
        target.iter().zip(predicted).filter(is_inside).count() as f64 / target.len() as f64
    }
}
