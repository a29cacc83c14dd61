//! The scale of each number channel, fitted on the train steps.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::features::SeriesFeaturesConfig;
use super::raw::{Raw, RawSeries};
use crate::Scaler;

/// `original = offset + factor * scaled`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// In original units: the mean, or the smallest value.
    pub offset: f64,
    /// In original units, above 0: the standard deviation, or the range. 1 for a constant.
    pub factor: f64,
}

impl Scale {
    /// As it is.
    pub const NONE: Self = Self { offset: 0.0, factor: 1.0 };

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
            scale(features, &all.collect::<Vec<f64>>())
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
            let (scale, is_constant) = scale(features, &present(series, channel, steps).collect::<Vec<f64>>());
            own.push(scale);
            if is_constant {
                names.push(series.name.clone());
            }
        }
        scales.of_series.insert(series.name.clone(), own);
    }
    Fit { scales, constant }
}

/// Whether every target has a value in these steps.
pub(crate) fn has_targets(series: &RawSeries, steps: &Range<usize>, n_targets: usize) -> bool {
    (0..n_targets).all(|target| present(series, target, steps).next().is_some())
}

fn present<'a>(series: &'a RawSeries, channel: usize, steps: &Range<usize>) -> impl Iterator<Item = f64> + 'a {
    series.numbers[channel][steps.clone()].iter().copied().filter(|value| !value.is_nan())
}

/// The scale, and whether all values are one.
fn scale(features: &SeriesFeaturesConfig, values: &[f64]) -> (Scale, bool) {
    let is_constant = values.iter().all(|&value| value == values[0]);
    let (offset, width) = match Scaler::fit(features.scaling.kind(), values) {
        Scaler::Standard { mean, std } => (mean, std),
        Scaler::MinMax { min, max } => (min, max - min),
        Scaler::None | Scaler::QuantileNormal { .. } => return (Scale::NONE, is_constant),
    };
    match values.first() {
        None => (Scale::NONE, true),
        // The rounded mean of equal values may differ from them in the last bit.
        Some(&first) if is_constant => (Scale { offset: first, factor: 1.0 }, true),
        Some(_) => (Scale { offset, factor: if width > 0.0 { width } else { 1.0 } }, false),
    }
}
