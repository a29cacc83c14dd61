//! The windows of train, valid and test, and everything that a training run asks of them.

use std::ops::Range;

use super::encoder::SeriesEncoder;
use super::scaling::Scale;
use super::store::{SeriesBatch, SeriesShape, Store, Window};
use super::windows::Parts;
use crate::DatasetInfo;

/// Scaled series and their windows.
#[derive(Clone, Debug)]
pub struct SeriesSplits {
    /// Windows to learn from: all of their steps are train steps.
    pub train: Vec<Window>,
    /// Windows to choose the best epoch by: the steps that they forecast are valid steps.
    pub valid: Vec<Window>,
    /// Windows to score once, at the end: the steps that they forecast are test steps.
    pub test: Vec<Window>,
    /// What turned rows into these arrays; belongs into the model's bundle.
    pub encoder: SeriesEncoder,
    /// What to record about the data.
    pub info: DatasetInfo,
    pub(crate) store: Store,
    pub(crate) parts: Vec<Parts>,
    pub(crate) past_names: Vec<String>,
    pub(crate) future_names: Vec<String>,
}

impl SeriesSplits {
    /// Sizes of what a model sees.
    pub fn shape(&self) -> SeriesShape {
        self.store.shape
    }

    /// The windows as arrays. Windows must be of these splits; any other panics or gives NaN, as indexing does.
    pub fn batch(&self, windows: &[Window]) -> SeriesBatch {
        self.store.batch(windows)
    }

    /// How a target of a series is scaled.
    pub fn scale(&self, series: usize, target: usize) -> Scale {
        self.store.series[series].scales[target]
    }

    /// The target's values by step in original units; NaN where missing.
    pub fn values(&self, series: usize, target: usize) -> &[f64] {
        &self.store.series[series].actual[target]
    }

    /// The train steps of a series.
    pub fn train_steps(&self, series: usize) -> Range<usize> {
        self.parts[series].range(0)
    }

    /// Steps of a season.
    pub fn season_steps(&self) -> usize {
        self.encoder.season_steps()
    }

    /// The mean absolute and the mean squared error of the seasonal-naive forecast `y[t - m]` over the train steps, in
    /// original units: what MASE and RMSSE divide by. NaN if there is no such pair of values.
    pub fn seasonal_errors(&self, series: usize, target: usize) -> (f64, f64) {
        let values = &self.values(series, target)[self.train_steps(series)];
        let season = self.season_steps();
        let (mut n, mut absolute, mut squared) = (0.0, 0.0, 0.0);
        for t in season..values.len() {
            let error = values[t] - values[t - season];
            if !error.is_nan() {
                n += 1.0;
                absolute += error.abs();
                squared += error * error;
            }
        }
        (absolute / n, squared / n)
    }

    /// The slots of the calendar profile of the steps to forecast, `[horizon]`: weekday and time of day for hourly
    /// data, the weekday for daily data, the week of the year for weekly data, else the month.
    pub fn profile(&self, window: Window) -> &[u16] {
        let origin = window.origin as usize;
        self.store.slots(window.series as usize, origin, origin + self.store.shape.horizon)
    }

    /// How many slots there are.
    pub fn n_profile_slots(&self) -> usize {
        self.store.frequency.n_slots()
    }

    /// The slots of all steps of a series, and its train steps, so that a profile can be averaged.
    pub fn profile_of_series(&self, series: usize) -> (&[u16], Range<usize>) {
        (self.store.slots(series, 0, self.store.series[series].n_steps), self.train_steps(series))
    }

    /// Epoch seconds of the steps to forecast, `[horizon]`.
    pub fn times(&self, window: Window) -> Vec<i64> {
        let origin = window.origin as usize;
        self.store.times(window.series as usize, origin, origin + self.store.shape.horizon)
    }

    /// Epoch seconds of the steps that the model sees, `[lookback]`.
    pub fn past_times(&self, window: Window) -> Vec<i64> {
        let origin = window.origin as usize;
        self.store.times(window.series as usize, origin - self.store.shape.lookback, origin)
    }

    /// The name of a series; the data set's where it has one series only.
    pub fn series_name(&self, series: usize) -> &str {
        let name = &self.store.series[series].name;
        if name.is_empty() { &self.info.name } else { name }
    }

    /// The columns to forecast.
    pub fn target_names(&self) -> &[String] {
        self.encoder.target_names()
    }

    /// Names of the channels of `past_covariates`.
    pub fn past_names(&self) -> &[String] {
        &self.past_names
    }

    /// Names of the channels of `future_covariates`.
    pub fn future_names(&self) -> &[String] {
        &self.future_names
    }
}
