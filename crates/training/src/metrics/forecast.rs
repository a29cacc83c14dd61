//! Metrics of forecasts: sums that are fed window by window, and one table of metrics over them.
//!
//! A channel is one target of one series. Memory is that of one set of sums per channel and step of the horizon,
//! however many windows there are. Everything is in original units, but for the two `_scaled` metrics, whose errors are
//! divided by the channel's [`ChannelScale::factor`]: on the standardised scale, as the papers report them, where the
//! series are standardised (`features.scaling`, by default).
//!
//! Two ways to average over channels:
//! - `mae`, `rmse`, `mse`, `mape`, `smape`, `bias`, `mse_scaled`, `mae_scaled`, `pinball` and the interval metrics take all
//!   windows, steps and channels as one heap of errors (`rmse` is the root of the heap's mean, not a mean of roots).
//! - `mase`, `rmsse` and `r2` take each channel as a heap of its own and average over the channels that have a value.

use std::ops::Range;

use super::Direction::{self, Maximize, Minimize};

/// What turns the errors of a channel into those that channels can be compared by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelScale {
    /// Above 0, original = offset + factor * scaled: the standard deviation of the train rows with standard scaling.
    pub factor: f64,
    /// Mean absolute error of the seasonal-naive forecast on the train rows, in original units; NaN if there is none.
    pub naive_mae: f64,
    /// Its mean squared error; NaN if there is none.
    pub naive_mse: f64,
}

/// Sums of the errors of one channel, over some windows and steps.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sums {
    /// Actual values seen; `f64` as all counts here, which saves casts.
    count: f64,
    /// Predicted minus actual.
    error: f64,
    absolute: f64,
    squared: f64,
    /// `|error| / |actual|` where the actual value is not 0.
    relative: f64,
    relative_count: f64,
    /// `2 |error| / (|actual| + |predicted|)`.
    symmetric: f64,
    /// Mean of the actual values, and the sum of their squared distances from it (Welford 1962).
    mean: f64,
    scatter: f64,
    /// Pinball loss, mean over the quantiles.
    pinball: f64,
    pinball_count: f64,
    covered: f64,
    width: f64,
    winkler: f64,
    interval_count: f64,
}

impl Sums {
    fn add(&mut self, actual: f64, predicted: f64) {
        let error = predicted - actual;
        let size = error.abs();
        self.count += 1.0;
        self.error += error;
        self.absolute += size;
        self.squared += error * error;
        if actual != 0.0 {
            self.relative += size / actual.abs();
            self.relative_count += 1.0;
        }
        if size != 0.0 {
            self.symmetric += 2.0 * size / (actual.abs() + predicted.abs());
        }
        let from_mean = actual - self.mean;
        self.mean += from_mean / self.count;
        self.scatter += from_mean * (actual - self.mean);
    }

    /// Chan et al. 1979 for the scatter.
    fn merge(&mut self, other: &Self) {
        let count = self.count + other.count;
        if other.count > 0.0 {
            let apart = other.mean - self.mean;
            self.scatter += other.scatter + apart * apart * self.count * other.count / count;
            self.mean += apart * other.count / count;
        }
        self.count = count;
        self.error += other.error;
        self.absolute += other.absolute;
        self.squared += other.squared;
        self.relative += other.relative;
        self.relative_count += other.relative_count;
        self.symmetric += other.symmetric;
        self.pinball += other.pinball;
        self.pinball_count += other.pinball_count;
        self.covered += other.covered;
        self.width += other.width;
        self.winkler += other.winkler;
        self.interval_count += other.interval_count;
    }
}

/// The sums of a channel with its scale.
struct Channel {
    scale: ChannelScale,
    sums: Sums,
}

/// Collects errors of windows. See the head of this module for what is averaged how.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastErrors {
    horizon: usize,
    channels: Vec<ChannelScale>,
    quantiles: Vec<f64>,
    /// `[channels, horizon]`.
    sums: Vec<Sums>,
}

impl ForecastErrors {
    /// Nothing seen yet. `quantiles` are the levels of the quantile forecasts, between 0 and 1; empty for none.
    pub fn new(horizon: usize, channels: Vec<ChannelScale>, quantiles: Vec<f64>) -> Self {
        let sums = vec![Sums::default(); horizon * channels.len()];
        Self { horizon, channels, quantiles, sums }
    }

    /// As new, for some of the channels.
    ///
    /// # Panics
    ///
    /// If there are not so many channels.
    pub fn only(&self, channels: Range<usize>) -> Self {
        Self::new(self.horizon, self.channels[channels].to_vec(), self.quantiles.clone())
    }

    /// Takes in the steps of one window of a channel: the truth `[horizon]`, a point forecast `[horizon]`, and one
    /// forecast for each quantile `[quantiles, horizon]` (empty: the point forecast alone). A step whose actual value
    /// is not finite is not scored; a point forecast that is not finite makes all metrics NaN.
    ///
    /// # Panics
    ///
    /// If a slice is too short or there is no such channel.
    pub fn add(&mut self, channel: usize, actual: &[f64], predicted: &[f64], quantiles: &[f64]) {
        let sums = &mut self.sums[channel * self.horizon..][..self.horizon];
        for ((sums, &actual), &predicted) in
            sums.iter_mut().zip(&actual[..self.horizon]).zip(&predicted[..self.horizon])
        {
            if actual.is_finite() {
                sums.add(actual, predicted);
            }
        }
        if quantiles.is_empty() {
            return;
        }
        let share = 1.0 / self.quantiles.len() as f64;
        for (index, &level) in self.quantiles.iter().enumerate() {
            let forecasts = &quantiles[index * self.horizon..][..self.horizon];
            for ((sums, &actual), &forecast) in sums.iter_mut().zip(actual).zip(forecasts) {
                if actual.is_finite() {
                    sums.pinball += pinball_loss(actual, forecast, level) * share;
                    sums.pinball_count += share;
                }
            }
        }
    }

    /// Takes in the bounds of one window of a channel, `[horizon]` each, that are to hold `coverage` (0.9 for 90 %) of
    /// the actual values. All intervals of one collection should have one coverage. A step with a NaN among the three
    /// has no interval and is not scored.
    ///
    /// # Panics
    ///
    /// As [`Self::add`].
    pub fn add_interval(&mut self, channel: usize, actual: &[f64], lower: &[f64], upper: &[f64], coverage: f64) {
        let sums = &mut self.sums[channel * self.horizon..][..self.horizon];
        let bounds = lower[..self.horizon].iter().zip(&upper[..self.horizon]);
        for ((sums, &actual), (&lower, &upper)) in sums.iter_mut().zip(&actual[..self.horizon]).zip(bounds) {
            if actual.is_nan() || lower.is_nan() || upper.is_nan() {
                continue;
            }
            let outside = (lower - actual).max(actual - upper).max(0.0);
            sums.covered += f64::from(u8::from((lower..=upper).contains(&actual)));
            sums.width += upper - lower;
            sums.winkler += upper - lower + 2.0 / (1.0 - coverage) * outside;
            sums.interval_count += 1.0;
        }
    }

    /// Adds what another collection of the same horizon and quantiles has seen, its channels from `first` on.
    ///
    /// # Panics
    ///
    /// If the horizons differ, or there are not so many channels.
    pub fn merge_at(&mut self, first: usize, other: &Self) {
        assert_eq!(self.horizon, other.horizon, "horizon");
        let sums = &mut self.sums[first * self.horizon..][..other.sums.len()];
        sums.iter_mut().zip(&other.sums).for_each(|(sums, other)| sums.merge(other));
    }

    /// Actual values seen: windows x steps x channels.
    pub fn n_values(&self) -> u64 {
        self.sums.iter().map(|sums| sums.count as u64).sum()
    }

    /// The metrics over all windows, steps and channels, as `(name, value)`: those of the table for which there are
    /// quantile forecasts or intervals.
    pub fn values(&self) -> Vec<(&'static str, f64)> {
        let channels: Vec<Channel> = (0..self.channels.len()).map(|channel| self.whole_horizon(channel)).collect();
        self.metrics().map(|metric| (metric.name, metric.value(&channels))).collect()
    }

    /// One metric over all windows, steps and channels; NaN if the table has no such name.
    pub fn value(&self, name: &str) -> f64 {
        let channels: Vec<Channel> = (0..self.channels.len()).map(|channel| self.whole_horizon(channel)).collect();
        FORECAST_METRICS.iter().find(|metric| metric.name == name).map_or(f64::NAN, |metric| metric.value(&channels))
    }

    /// The same metrics for each step of the horizon over all windows and channels, as columns `(name, [horizon])`.
    pub fn by_step(&self) -> Vec<(&'static str, Vec<f64>)> {
        let at = |step: usize| -> Vec<Channel> {
            let sums = self.sums.iter().skip(step).step_by(self.horizon.max(1));
            self.channels.iter().zip(sums).map(|(&scale, &sums)| Channel { scale, sums }).collect()
        };
        let steps: Vec<Vec<Channel>> = (0..self.horizon).map(at).collect();
        let column = |metric: &ForecastMetric| steps.iter().map(|channels| metric.value(channels)).collect();
        self.metrics().map(|metric| (metric.name, column(metric))).collect()
    }

    /// The same metrics for each channel over all windows and steps, as columns `(name, [channels])`.
    pub fn by_channel(&self) -> Vec<(&'static str, Vec<f64>)> {
        let channels: Vec<Channel> = (0..self.channels.len()).map(|channel| self.whole_horizon(channel)).collect();
        let column = |metric: &ForecastMetric| channels.chunks(1).map(|channel| metric.value(channel)).collect();
        self.metrics().map(|metric| (metric.name, column(metric))).collect()
    }

    fn whole_horizon(&self, channel: usize) -> Channel {
        let mut sums = Sums::default();
        self.sums[channel * self.horizon..][..self.horizon].iter().for_each(|step| sums.merge(step));
        Channel { scale: self.channels[channel], sums }
    }

    /// The metrics for which something was seen.
    fn metrics(&self) -> impl Iterator<Item = &'static ForecastMetric> {
        let has_quantiles = self.sums.iter().any(|sums| sums.pinball_count > 0.0);
        let has_intervals = self.sums.iter().any(|sums| sums.interval_count > 0.0);
        FORECAST_METRICS.iter().filter(move |metric| match metric.of {
            Point => true,
            Quantiles => has_quantiles,
            Intervals => has_intervals,
        })
    }
}

/// Koenker and Bassett 1978: `level` times what the forecast is too low by, or `1 - level` times what it is too high
/// by.
fn pinball_loss(actual: f64, forecast: f64, level: f64) -> f64 {
    let low = actual - forecast;
    (level * low).max((level - 1.0) * low)
}

/// What a metric judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judges {
    /// The point forecast.
    Point,
    /// Quantile forecasts.
    Quantiles,
    /// Intervals.
    Intervals,
}

use Judges::{Intervals, Point, Quantiles};

/// One row of the table.
pub struct ForecastMetric {
    /// Name without `train_`, `val_`, `test_`.
    pub name: &'static str,
    /// What it judges.
    pub of: Judges,
    /// Which way is better; `None` where neither is: a bias is good at 0, a coverage at the level that was asked for,
    /// and a narrow interval only if it covers.
    pub direction: Option<Direction>,
    /// Computes it over channels.
    compute: fn(&[Channel]) -> f64,
}

impl ForecastMetric {
    fn value(&self, channels: &[Channel]) -> f64 {
        let is_finite = channels.iter().all(|channel| channel.sums.error.is_finite());
        if is_finite { (self.compute)(channels) } else { f64::NAN }
    }
}

/// Every metric of forecasts, in the order in which they are shown.
#[rustfmt::skip]
pub const FORECAST_METRICS: &[ForecastMetric] = &[
    ForecastMetric { name: "mae",            of: Point,     direction: Some(Minimize), compute: mae },
    ForecastMetric { name: "rmse",           of: Point,     direction: Some(Minimize), compute: |c| mse(c).sqrt() },
    ForecastMetric { name: "mse",            of: Point,     direction: Some(Minimize), compute: mse },
    ForecastMetric { name: "mape",           of: Point,     direction: Some(Minimize), compute: mape },
    ForecastMetric { name: "smape",          of: Point,     direction: Some(Minimize), compute: smape },
    ForecastMetric { name: "mase",           of: Point,     direction: Some(Minimize), compute: mase },
    ForecastMetric { name: "rmsse",          of: Point,     direction: Some(Minimize), compute: rmsse },
    ForecastMetric { name: "r2",             of: Point,     direction: Some(Maximize), compute: r2 },
    ForecastMetric { name: "mse_scaled",     of: Point,     direction: Some(Minimize), compute: mse_scaled },
    ForecastMetric { name: "mae_scaled",     of: Point,     direction: Some(Minimize), compute: mae_scaled },
    ForecastMetric { name: "bias",           of: Point,     direction: None,           compute: bias },
    ForecastMetric { name: "pinball",        of: Quantiles, direction: Some(Minimize), compute: pinball },
    ForecastMetric { name: "coverage",       of: Intervals, direction: None,           compute: coverage },
    ForecastMetric { name: "interval_width", of: Intervals, direction: None,           compute: interval_width },
    ForecastMetric { name: "interval_score", of: Intervals, direction: Some(Minimize), compute: interval_score },
];

/// Direction of a metric that early stopping can follow in the training of a forecaster, or the names to choose from.
/// `loss` is always there, `pinball` with quantile forecasts. Metrics of intervals are not: an interval is made after
/// training.
pub fn forecast_direction_of(name: &str, has_quantiles: bool) -> Result<Direction, Vec<&'static str>> {
    let is_there = |metric: &&ForecastMetric| metric.of == Point || metric.of == Quantiles && has_quantiles;
    let metrics = || FORECAST_METRICS.iter().filter(is_there).filter_map(|m| Some((m.name, m.direction?)));
    let mut known = std::iter::once(("loss", Minimize)).chain(metrics());
    let found = known.find(|(known, _)| *known == name).map(|(_, direction)| direction);
    found.ok_or_else(|| std::iter::once("loss").chain(metrics().map(|(name, _)| name)).collect())
}

/// A sum over a count, each over all channels; NaN where nothing was counted.
fn pooled(channels: &[Channel], sum: fn(&Channel) -> f64, count: fn(&Sums) -> f64) -> f64 {
    channels.iter().map(sum).sum::<f64>() / channels.iter().map(|channel| count(&channel.sums)).sum::<f64>()
}

/// Mean of the values that are finite; NaN if none is.
fn mean_of_channels(channels: &[Channel], value: fn(&Channel) -> f64) -> f64 {
    let values = || channels.iter().map(value).filter(|value| value.is_finite());
    values().sum::<f64>() / values().count() as f64
}

/// Mean absolute error.
fn mae(channels: &[Channel]) -> f64 {
    pooled(channels, |c| c.sums.absolute, |s| s.count)
}

/// Mean squared error.
fn mse(channels: &[Channel]) -> f64 {
    pooled(channels, |c| c.sums.squared, |s| s.count)
}

/// Mean absolute error relative to the actual value, as a share (0.1 is 10 %), over the steps whose actual value is not
/// 0; NaN if all are 0.
fn mape(channels: &[Channel]) -> f64 {
    pooled(channels, |c| c.sums.relative, |s| s.relative_count)
}

/// Mean of `2 |error| / (|actual| + |predicted|)`, a share from 0 to 2; 0 where both are 0.
fn smape(channels: &[Channel]) -> f64 {
    pooled(channels, |c| c.sums.symmetric, |s| s.count)
}

/// Mean absolute error over that of the seasonal-naive forecast on the train rows (Hyndman and Koehler 2006), mean over
/// the channels that have one above 0.
fn mase(channels: &[Channel]) -> f64 {
    mean_of_channels(channels, |c| c.sums.absolute / c.sums.count / c.scale.naive_mae)
}

/// Root of the mean squared error over that of the seasonal-naive forecast on the train rows (M5 competition), mean
/// over the channels that have one above 0.
fn rmsse(channels: &[Channel]) -> f64 {
    mean_of_channels(channels, |c| (c.sums.squared / c.sums.count / c.scale.naive_mse).sqrt())
}

/// Share of the variance of the actual values that is explained, mean over the channels that have variance.
fn r2(channels: &[Channel]) -> f64 {
    mean_of_channels(channels, |c| 1.0 - c.sums.squared / c.sums.scatter)
}

/// Mean squared error on the scale of `features.scaling`: by default the standardised one, as the papers report it.
fn mse_scaled(channels: &[Channel]) -> f64 {
    pooled(channels, |c| c.sums.squared / (c.scale.factor * c.scale.factor), |s| s.count)
}

/// Mean absolute error on the scale of `features.scaling`: by default the standardised one, as the papers report it.
fn mae_scaled(channels: &[Channel]) -> f64 {
    pooled(channels, |c| c.sums.absolute / c.scale.factor, |s| s.count)
}

/// Mean of predicted minus actual: above 0 where forecasts are too high.
fn bias(channels: &[Channel]) -> f64 {
    pooled(channels, |c| c.sums.error, |s| s.count)
}

/// Pinball loss, mean over the quantiles; without the factor 2 that some use: that of the median is half of `mae`.
fn pinball(channels: &[Channel]) -> f64 {
    pooled(channels, |c| c.sums.pinball, |s| s.pinball_count)
}

/// Share of the actual values on or between the bounds.
fn coverage(channels: &[Channel]) -> f64 {
    pooled(channels, |c| c.sums.covered, |s| s.interval_count)
}

/// Mean of upper minus lower bound.
fn interval_width(channels: &[Channel]) -> f64 {
    pooled(channels, |c| c.sums.width, |s| s.interval_count)
}

/// Mean of the width plus `2 / (1 - coverage)` times the distance of an actual value outside (Winkler 1972): small for
/// intervals that are narrow and yet cover.
fn interval_score(channels: &[Channel]) -> f64 {
    pooled(channels, |c| c.sums.winkler, |s| s.interval_count)
}
