//! Scaled series in memory, and the batches of windows that are cut from them.
//!
//! The values of a channel are held once, in one piece per series, so a window of a channel is one slice: a look-back
//! of a year takes no more memory than one of a day. Lags are slices of the target, and series of one phase share a
//! calendar.

use std::sync::Arc;

use super::encoder::SeriesEncoder;
use super::features::WindowsConfig;
use super::frequency::Frequency;
use super::layout::{Calendar, Layout, Place};
use super::raw::{Raw, RawSeries};
use super::scaling::Scale;
use crate::datetime::DAY_SECONDS;

/// A stretch of one series: look-back before `origin`, horizon from it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// The number of the series.
    pub series: u32,
    /// The first step to forecast, on the series' own grid.
    pub origin: u32,
}

/// Sizes of what a model sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesShape {
    /// Series.
    pub n_series: usize,
    /// Columns to forecast.
    pub n_targets: usize,
    /// Channels known up to the first forecast step only, beside the targets.
    pub n_past: usize,
    /// Channels known over the horizon.
    pub n_future: usize,
    /// Steps that the model sees.
    pub lookback: usize,
    /// Steps that it forecasts.
    pub horizon: usize,
}

impl SeriesShape {
    pub(crate) fn new(layout: &Layout, windows: &WindowsConfig, n_series: usize) -> Self {
        let (n_targets, n_past, n_future) = (layout.n_targets, layout.past.len(), layout.future.len());
        Self { n_series, n_targets, n_past, n_future, lookback: windows.lookback, horizon: windows.horizon }
    }
}

/// Windows as row-major arrays; scaled, but for `actual`. B windows, T targets, P past and F future channels, look-back
/// L, horizon H.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesBatch {
    /// The targets before the origin, `[B, T, L]`.
    pub past: Vec<f32>,
    /// Channels known up to the origin only, `[B, P, L]`.
    pub past_covariates: Vec<f32>,
    /// Channels known over the horizon, `[B, F, L + H]`.
    pub future_covariates: Vec<f32>,
    /// What is to be forecast, `[B, T, H]`; empty when forecasting.
    pub target: Vec<f32>,
    /// The same in original units, exact; `[B, T, H]`.
    pub actual: Vec<f64>,
}

/// One series.
#[derive(Clone, Debug)]
pub(crate) struct StoredSeries {
    pub name: String,
    pub start: i64,
    pub n_steps: usize,
    /// `[stored channels, n_steps]`, scaled.
    scaled: Vec<f32>,
    /// The targets in original units, `[n_steps]` each.
    pub actual: Vec<Arc<Vec<f64>>>,
    /// Of the number channels.
    pub scales: Vec<Scale>,
    /// Which calendar, and where the series begins in it.
    calendar: usize,
    offset: usize,
}

/// All series.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub shape: SeriesShape,
    pub frequency: Frequency,
    past: Vec<Place>,
    future: Vec<Place>,
    pub series: Vec<StoredSeries>,
    calendars: Vec<Calendar>,
}

impl Store {
    /// `scales`: of the number channels of each series.
    pub(crate) fn new(raw: &Raw, encoder: &SeriesEncoder, scales: Vec<Vec<Scale>>) -> Self {
        let layout = Layout::new(encoder);
        let (calendars, places) = calendars(raw, encoder);
        let stored = raw.series.iter().zip(scales).zip(places).map(|((series, scales), (calendar, offset))| {
            let scaled = scaled(series, raw, &layout, &scales);
            StoredSeries {
                name: series.name.clone(),
                start: series.start,
                n_steps: series.n_steps,
                scaled,
                actual: series.numbers[..layout.n_targets].to_vec(),
                scales,
                calendar,
                offset,
            }
        });
        Self {
            shape: SeriesShape::new(&layout, &encoder.windows, raw.series.len()),
            frequency: raw.frequency,
            series: stored.collect(),
            past: layout.past.iter().map(|channel| channel.place).collect(),
            future: layout.future.iter().map(|channel| channel.place).collect(),
            calendars,
        }
    }

    /// What a model sees of these windows; without targets.
    pub(crate) fn inputs(&self, windows: &[Window]) -> SeriesBatch {
        let SeriesShape { n_targets, n_past, n_future, lookback, horizon, .. } = self.shape;
        let n = windows.len();
        let mut batch = SeriesBatch {
            past: Vec::with_capacity(n * n_targets * lookback),
            past_covariates: Vec::with_capacity(n * n_past * lookback),
            future_covariates: Vec::with_capacity(n * n_future * (lookback + horizon)),
            ..SeriesBatch::default()
        };
        for window in windows {
            let (series, origin) = (&self.series[window.series as usize], window.origin as usize);
            for target in 0..n_targets {
                batch.past.extend_from_slice(series.channel(target, origin - lookback, origin));
            }
            for &place in &self.past {
                batch.past_covariates.extend_from_slice(self.slice(series, place, origin - lookback, origin));
            }
            for &place in &self.future {
                batch.future_covariates.extend_from_slice(self.slice(
                    series,
                    place,
                    origin - lookback,
                    origin + horizon,
                ));
            }
        }
        batch
    }

    /// The inputs and what is to be forecast.
    pub(crate) fn batch(&self, windows: &[Window]) -> SeriesBatch {
        let SeriesShape { n_targets, horizon, .. } = self.shape;
        let mut batch = self.inputs(windows);
        batch.target.reserve_exact(windows.len() * n_targets * horizon);
        batch.actual.reserve_exact(windows.len() * n_targets * horizon);
        for window in windows {
            let (series, origin) = (&self.series[window.series as usize], window.origin as usize);
            for (target, actual) in series.actual.iter().enumerate() {
                batch.target.extend_from_slice(series.channel(target, origin, origin + horizon));
                batch.actual.extend_from_slice(&actual[origin..origin + horizon]);
            }
        }
        batch
    }

    fn slice<'a>(&'a self, series: &'a StoredSeries, place: Place, from: usize, to: usize) -> &'a [f32] {
        match place {
            Place::Stored(channel) => series.channel(channel, from, to),
            Place::Lag { target, steps } => series.channel(target, from - steps, to - steps),
            Place::Calendar(channel) => {
                &self.calendars[series.calendar].channels[channel][series.offset + from..series.offset + to]
            }
        }
    }

    /// Slots of the calendar profile, of the given steps.
    pub(crate) fn slots(&self, series: usize, from: usize, to: usize) -> &[u16] {
        let series = &self.series[series];
        &self.calendars[series.calendar].slots[series.offset + from..series.offset + to]
    }

    /// Times of the given steps.
    pub(crate) fn times(&self, series: usize, from: usize, to: usize) -> Vec<i64> {
        (from..to).map(|step| self.frequency.time(self.series[series].start, step as i64)).collect()
    }
}

impl StoredSeries {
    fn channel(&self, channel: usize, from: usize, to: usize) -> &[f32] {
        &self.scaled[channel * self.n_steps..(channel + 1) * self.n_steps][from..to]
    }
}

/// Number channels on their scale, then texts and holidays as 0 and 1.
fn scaled(series: &RawSeries, raw: &Raw, layout: &Layout, scales: &[Scale]) -> Vec<f32> {
    let mut scaled = Vec::with_capacity(layout.n_stored() * series.n_steps);
    for (values, scale) in series.numbers.iter().zip(scales) {
        // A tiny deviation makes huge numbers; an infinite one would make every figure of the model NaN.
        let to_scale = |&x: &f64| scale.apply(x).clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
        scaled.extend(values.iter().map(to_scale));
    }
    for (column, level) in &layout.one_hot {
        let place = raw.texts[*column].binary_search(level).map_or(u32::MAX, |place| place as u32);
        scaled.extend(series.texts[*column].iter().map(|&text| f32::from(text == place && place != u32::MAX)));
    }
    if layout.has_holidays {
        let is_holiday = |step| series.holidays.contains(&series.time(raw.frequency, step).div_euclid(DAY_SECONDS));
        scaled.extend((0..series.n_steps).map(|step| f32::from(is_holiday(step))));
    }
    scaled
}

/// One calendar for all series of one phase, and each series' place in them: (calendar, its first step there).
fn calendars(raw: &Raw, encoder: &SeriesEncoder) -> (Vec<Calendar>, Vec<(usize, usize)>) {
    let frequency = raw.frequency;
    // (a time of the phase, first and last step that are needed, counted from it)
    let mut phases: Vec<(i64, i64, i64)> = Vec::new();
    let mut steps = Vec::new();
    for series in &raw.series {
        let found = phases.iter().position(|(time, ..)| frequency.step(*time, series.start).1);
        let phase = found.unwrap_or_else(|| {
            phases.push((series.start, 0, 0));
            phases.len() - 1
        });
        let (time, first, last) = &mut phases[phase];
        let from = frequency.step(*time, series.start).0;
        *first = from.min(*first);
        *last = (*last).max(from + series.n_steps as i64);
        steps.push((phase, from));
    }
    let calendar = |&(time, first, last): &(i64, i64, i64)| {
        let n_steps = (last - first) as usize;
        Calendar::new(frequency, frequency.time(time, first), n_steps, &encoder.calendar)
    };
    let places = steps.into_iter().map(|(phase, from)| (phase, (from - phases[phase].1) as usize)).collect();
    (phases.iter().map(calendar).collect(), places)
}
