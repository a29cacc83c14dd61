//! Prediction intervals around the forecasts, as wide as the errors on validation windows say.

use anyhow::Result;
use dataset::SeriesSplits;
use modeling::Forecaster;
use serde::{Deserialize, Serialize};
use training::Conformal;

use crate::forecast::job::{ForecastJob, Networks};
use crate::forecast::scoring::{Forecast, for_each_forecast};

/// Half-widths by target and step; part of the bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// Share of the actual values that they are to hold, such as 0.9.
    pub coverage: f64,
    /// By how much a forecast (or its outermost quantiles) is widened, scaled, `[targets, horizon]`.
    pub widths: Vec<f64>,
}

impl Intervals {
    /// Split-conformal widths from the validation windows; `None` if they are too few.
    pub fn calibrate(job: &ForecastJob, models: &[Forecaster], coverage: f64) -> Result<Option<Self>> {
        let mut networks = Networks::new(job, models);
        let mut conformal = Conformal::new(job.shape.n_targets, job.shape.horizon);
        let visit = |_, forecast: &Forecast| {
            let scaled = |values: &[f64]| values.iter().map(|&x| forecast.scale.apply(x)).collect::<Vec<f64>>();
            let (lower, upper) = forecast.outermost();
            conformal.add_band(forecast.target, &scaled(forecast.actual), &scaled(lower), &scaled(upper));
            Ok(())
        };
        let splits: &SeriesSplits = job.splits;
        let predict = |batch: &mut _| Ok(networks.predict(batch));
        for_each_forecast(splits, &splits.valid, &job.model.quantiles, predict, visit)?;
        let widths = conformal.widths(coverage);
        Ok(widths.iter().all(|width| width.is_finite()).then_some(Self { coverage, widths }))
    }

    /// Lower and upper bound of each step in original units.
    pub fn bounds(&self, forecast: &Forecast) -> (Vec<f64>, Vec<f64>) {
        let (lower, upper) = forecast.outermost();
        let widths = &self.widths[forecast.target * lower.len()..][..lower.len()];
        let steps = lower.iter().zip(upper).zip(widths);
        steps
            .map(|((lower, upper), width)| {
                // Quantiles nearer together than the (negative) widening takes away meet in their middle.
                let width = (width * forecast.scale.factor).max((lower - upper) / 2.0);
                (lower - width, upper + width)
            })
            .unzip()
    }
}
