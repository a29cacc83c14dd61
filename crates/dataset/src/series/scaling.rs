//! The scale of each number channel, fitted on the train steps.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::features::{SeriesFeaturesConfig, SeriesScaling};
use super::raw::{Raw, RawSeries};
use crate::Scaler;

/// `original = offset + factor * scaled`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// In original units: the mean, or the smallest value.
    pub offset: f64,
    /// In original units, above 0: the standard deviation, or the range. For a target that is constant in the train
    /// steps the mean of the other series' factors, or 1.
    pub factor: f64,
}

impl Scale {
    /// As it is.
    pub const NONE: Self = Self { offset: 0.0, factor: 1.0 };

    /// For a covariate that is constant in the train steps: so wide that every number becomes 0 in single precision. A
    /// value that training never saw would meet weights that never learned.
    pub(crate) fn silent(offset: f64) -> Self {
        Self { offset, factor: f64::MAX }
    }

    /// Scaled to original.
    pub fn invert(self, scaled: f64) -> f64 {
        self.offset + self.factor * scaled
    }

    /// Original to scaled.
    pub fn apply(self, x: f64) -> f64 {
        (x - self.offset) / self.factor
    }
}

/// Scales of all number channels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scales {
    /// Those that hold for a series that is not listed.
    pub shared: Option<Vec<Scale>>,
    /// By name.
    pub of_series: BTreeMap<String, Vec<Scale>>,
}

impl Scales {
    pub(crate) fn of(&self, series: &str) -> Option<&[Scale]> {
        self.of_series.get(series).or(self.shared.as_ref()).map(Vec::as_slice)
    }
}

/// What [`fit`] found.
pub(crate) struct Fit {
    pub scales: Scales,
    /// For each number channel: the series in which all train values are one.
    pub constant: Vec<Vec<String>>,
}

/// Fits on the `train` steps of each series; missing values do not count. A series without a value of some target
/// gets no scales of its own.
pub(crate) fn fit(raw: &Raw, train: &[Range<usize>], features: &SeriesFeaturesConfig, n_targets: usize) -> Fit {
    let n_channels = raw.number_names.len();
    let mut constant = vec![Vec::new(); n_channels];
    let mut scales = Scales::default();
    if !features.per_series {
        let of_channel = |channel: usize| {
            let all = raw.series.iter().zip(train).flat_map(|(series, steps)| present(series, channel, steps));
            scale(features, &all.collect::<Vec<f64>>(), channel < n_targets)
        };
        let found: Vec<(Scale, bool)> = (0..n_channels).map(of_channel).collect();
        for (channel, _) in found.iter().enumerate().filter(|(_, (_, is_constant))| *is_constant) {
            constant[channel] = raw.series.iter().map(|series| series.name.clone()).collect();
        }
        scales.shared = Some(found.into_iter().map(|(scale, _)| scale).collect());
        return Fit { scales, constant };
    }
    for (series, steps) in raw.series.iter().zip(train).filter(|(series, steps)| has_targets(series, steps, n_targets))
    {
        let mut own = Vec::new();
        for (channel, names) in constant.iter_mut().enumerate() {
            let values: Vec<f64> = present(series, channel, steps).collect();
            let (scale, is_constant) = scale(features, &values, channel < n_targets);
            own.push(scale);
            if is_constant {
                names.push(series.name.clone());
            }
        }
        scales.of_series.insert(series.name.clone(), own);
    }
    (0..n_targets).for_each(|target| pool(&mut scales, target, &constant[target]));
    Fit { scales, constant }
}

/// A target that is constant in one series has no width of its own there, and with 1 it could outweigh all others in a
/// scaled loss: it gets the mean width of the others.
fn pool(scales: &mut Scales, target: usize, constant: &[String]) {
    let is_constant = |name: &String| constant.contains(name);
    let others = scales.of_series.iter().filter(|(name, _)| !is_constant(name)).map(|(_, own)| own[target].factor);
    let n = others.clone().count();
    if n == 0 {
        return;
    }
    let factor = others.sum::<f64>() / n as f64;
    for (_, own) in scales.of_series.iter_mut().filter(|(name, _)| is_constant(name)) {
        own[target].factor = factor;
    }
}

/// Whether every target has a value in these steps.
pub(crate) fn has_targets(series: &RawSeries, steps: &Range<usize>, n_targets: usize) -> bool {
    (0..n_targets).all(|target| present(series, target, steps).next().is_some())
}

/// The values that are there.
pub(crate) fn present<'a>(
    series: &'a RawSeries,
    channel: usize,
    steps: &Range<usize>,
) -> impl Iterator<Item = f64> + 'a {
    series.numbers[channel][steps.clone()].iter().copied().filter(|value| !value.is_nan())
}

/// The scale, and whether all values are one.
fn scale(features: &SeriesFeaturesConfig, values: &[f64], is_target: bool) -> (Scale, bool) {
    let first = values.first().copied().unwrap_or(0.0);
    if values.iter().all(|&value| value == first) {
        let constant = match (is_target, features.scaling) {
            (false, _) => Scale::silent(first),
            (true, SeriesScaling::None) => Scale::NONE,
            // The rounded mean of equal values may differ from them in the last bit.
            (true, _) => Scale { offset: first, factor: 1.0 },
        };
        return (constant, true);
    }
    let (offset, width) = match Scaler::fit(features.scaling.kind(), values) {
        Scaler::Standard { mean, std } => (mean, std),
        Scaler::MinMax { min, max } => (min, max - min),
        Scaler::None | Scaler::QuantileNormal { .. } => return (Scale::NONE, false),
    };
    (Scale { offset, factor: if width > 0.0 { width } else { 1.0 } }, false)
}
