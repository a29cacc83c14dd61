//! From scaled outputs for windows to forecasts in original units and their metrics.

use anyhow::Result;
use dataset::{Scale, SeriesBatch, SeriesSplits, Window};
use training::metrics::{ChannelScale, ForecastErrors};

use crate::history::Metrics;

/// Windows that are forecast at once, so that memory stays bounded.
const CHUNK: usize = 256;

/// Loss and metrics of some windows.
pub struct ForecastScores {
    /// Over all windows, steps and channels.
    pub metrics: Metrics,
    /// The sums, for tables by step and by series.
    pub errors: ForecastErrors,
}

/// The forecast of one target for one window, in original units.
pub struct Forecast<'a> {
    /// The window's place among those that are forecast.
    pub index: usize,
    /// Which target.
    pub target: usize,
    /// How it is scaled.
    pub scale: Scale,
    /// What came, `[horizon]`; empty where it is not known yet.
    pub actual: &'a [f64],
    levels: &'a [f64],
    /// `[quantiles * horizon]`, quantile by quantile, ascending at each step; `[horizon]` for a point forecast.
    values: Vec<f64>,
}

impl<'a> Forecast<'a> {
    /// From the scaled output of a network. `levels` are the quantiles, empty for a point forecast.
    ///
    /// Quantiles that cross are put in order (Chernozhukov et al. 2010), which never raises the pinball loss.
    pub fn new(scaled: &[f32], (index, target): (usize, usize), scale: Scale, levels: &'a [f64]) -> Self {
        let mut values: Vec<f64> = scaled.iter().map(|&value| scale.invert(f64::from(value))).collect();
        sort_steps(&mut values, levels.len());
        Self { index, target, scale, actual: &[], levels, values }
    }

    fn horizon(&self) -> usize {
        self.values.len() / self.levels.len().max(1)
    }

    /// Point forecast, `[horizon]`: the median where quantiles are forecast.
    pub fn point(&self) -> &[f64] {
        let middle = self.levels.iter().position(|&level| level == 0.5).unwrap_or(0);
        &self.values[middle * self.horizon()..][..self.horizon()]
    }

    /// `[quantiles * horizon]`, quantile by quantile, ascending at each step; empty for a point forecast.
    pub fn quantiles(&self) -> &[f64] {
        if self.levels.is_empty() { &[] } else { &self.values }
    }

    /// Lowest and highest quantile, `[horizon]` each; the point forecast twice where there are none.
    pub fn outermost(&self) -> (&[f64], &[f64]) {
        let horizon = self.horizon();
        (&self.values[..horizon], &self.values[self.values.len() - horizon..])
    }
}

/// Forecasts windows, 256 at a time, and hands out each target of each window in their order.
///
/// `predict` gives scaled forecasts `[batch * targets, quantiles * horizon]`; `levels` are the quantiles, empty for a point
/// forecast.
pub fn for_each_forecast(
    splits: &SeriesSplits,
    windows: &[Window],
    levels: &[f64],
    mut predict: impl FnMut(&mut SeriesBatch) -> Result<Vec<f32>>,
    mut visit: impl FnMut(Window, &Forecast) -> Result<()>,
) -> Result<()> {
    let shape = splits.shape();
    let (horizon, n_targets) = (shape.horizon, shape.n_targets);
    let columns = horizon * levels.len().max(1);
    for (chunk_index, chunk) in windows.chunks(CHUNK).enumerate() {
        let mut batch = splits.batch(chunk);
        let scaled = predict(&mut batch)?;
        for (row, (values, actual)) in scaled.chunks(columns).zip(batch.actual.chunks(horizon)).enumerate() {
            let (place, target) = (row / n_targets, row % n_targets);
            let (index, window) = (chunk_index * CHUNK + place, chunk[place]);
            let scale = splits.scale(window.series as usize, target);
            visit(window, &Forecast { actual, ..Forecast::new(values, (index, target), scale, levels) })?;
        }
    }
    Ok(())
}

/// Which target of which series: the channel of [`ForecastErrors`].
pub fn channel_of(splits: &SeriesSplits, window: Window, target: usize) -> usize {
    window.series as usize * splits.shape().n_targets + target
}

/// Puts the quantiles of each step in ascending order. `[quantiles, horizon]`
fn sort_steps(values: &mut [f64], n_quantiles: usize) {
    if n_quantiles < 2 {
        return;
    }
    let horizon = values.len() / n_quantiles;
    for step in 0..horizon {
        let mut of_step: Vec<f64> = values[step..].iter().step_by(horizon).copied().collect();
        of_step.sort_by(f64::total_cmp);
        of_step.into_iter().enumerate().for_each(|(index, value)| values[index * horizon + step] = value);
    }
}

/// Sums of errors for each target of each series, with nothing in them yet.
pub fn no_errors(splits: &SeriesSplits, levels: &[f64]) -> ForecastErrors {
    let shape = splits.shape();
    let channel = |channel: usize| {
        let (series, target) = (channel / shape.n_targets, channel % shape.n_targets);
        let (naive_mae, naive_mse) = splits.seasonal_errors(series, target);
        ChannelScale { factor: splits.scale(series, target).factor, naive_mae, naive_mse }
    };
    let channels = (0..shape.n_series * shape.n_targets).map(channel).collect();
    ForecastErrors::new(shape.horizon, channels, levels.to_vec())
}

/// Forecasts windows and adds up the errors. The loss is NaN: only the caller knows it.
pub fn score(
    splits: &SeriesSplits,
    windows: &[Window],
    levels: &[f64],
    predict: impl FnMut(&mut SeriesBatch) -> Result<Vec<f32>>,
) -> Result<ForecastScores> {
    let mut errors = no_errors(splits, levels);
    for_each_forecast(splits, windows, levels, predict, |window, forecast| {
        let channel = channel_of(splits, window, forecast.target);
        errors.add(channel, forecast.actual, forecast.point(), forecast.quantiles());
        Ok(())
    })?;
    Ok(ForecastScores { metrics: Metrics { loss: f64::NAN, values: errors.values() }, errors })
}
