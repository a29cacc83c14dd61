//! What is fitted on the train steps, and which series are long enough for it.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Serialize;

use super::config::{SeriesDataConfig, ShortSeries};
use super::encoder::SeriesEncoder;
use super::error::{SeriesError, of_series};
use super::features::WindowsConfig;
use super::layout::Layout;
use super::raw::{Raw, RawSeries};
use super::scaling::{Scale, fit, has_targets};
use super::store::Window;
use super::windows::{Holes, Parts, windows_of};
use crate::split::PARTS;
use crate::{Result, format_time};

/// More 0/1 channels of one column than this are a mistake.
const MAX_LEVELS: usize = 1000;

/// A series that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkippedSeries {
    /// Its name.
    pub name: String,
    /// Its steps.
    pub n_steps: usize,
    /// Why.
    pub reason: String,
}

/// Takes out the series that are too short for one window or whose train part is empty, and divides the others.
pub(crate) fn divide(
    raw: &mut Raw,
    data: &SeriesDataConfig,
    windows: &WindowsConfig,
    n_targets: usize,
    file: &str,
) -> Result<(Vec<Parts>, Vec<SkippedSeries>)> {
    let (mut kept, mut parts_of, mut skipped, mut first) = (Vec::new(), Vec::new(), Vec::new(), None);
    for series in std::mem::take(&mut raw.series) {
        let parts = Parts::new(&series, data, raw.frequency)?;
        match fault(&series, &parts, windows, n_targets, file, data) {
            None => {
                kept.push(series);
                parts_of.push(parts);
            }
            Some((reason, error)) => {
                first.get_or_insert(error);
                skipped.push(SkippedSeries { name: series.name, n_steps: series.n_known, reason });
            }
        }
    }
    raw.series = kept;
    match first {
        Some(error) if data.short_series == ShortSeries::Error || raw.series.is_empty() => Err(error.into()),
        _ => Ok((parts_of, skipped)),
    }
}

/// Why a series cannot be used, in short and as an error.
fn fault(
    series: &RawSeries,
    parts: &Parts,
    windows: &WindowsConfig,
    n_targets: usize,
    file: &str,
    data: &SeriesDataConfig,
) -> Option<(String, SeriesError)> {
    let WindowsConfig { lookback, horizon, .. } = *windows;
    let (needed, found) = (lookback + horizon, series.n_known);
    let (file, of_series) = (file.to_string(), of_series(&series.name));
    if found < needed {
        let is_choice = data.group.is_some() && data.short_series == ShortSeries::Error;
        let or_skip = if is_choice { ", or set `data.short_series: skip`" } else { "" };
        let error = SeriesError::ShortSeries { file, of_series, found, lookback, horizon, needed, or_skip };
        return Some((format!("{found} steps, a window needs {needed}"), error));
    }
    let border = parts.0[2];
    if border > found {
        let reason = format!("{found} steps, `data.split.borders` needs {border}");
        return Some((reason, SeriesError::BorderBeyond { file, of_series, border, found }));
    }
    if !has_targets(series, &parts.range(0), n_targets) {
        let reason = format!("a target has no value in the train part ({} steps){of_series}", parts.0[0]);
        let hint = "enlarge it in `data.split`, or set `data.start`".to_string();
        return Some((reason.clone(), SeriesError::NoWindow { file, part: PARTS[0], reason, hint }));
    }
    None
}

/// Fits levels and scales on the train steps. `model`: what it knows stays, and only series that it does not know are
/// fitted.
pub(crate) fn fit_encoder(
    unfitted: &SeriesEncoder,
    raw: &Raw,
    parts: &[Parts],
    model: Option<&SeriesEncoder>,
    file: &str,
    warnings: &mut Vec<String>,
) -> Result<SeriesEncoder> {
    let train: Vec<Range<usize>> = parts.iter().map(|parts| parts.range(0)).collect();
    let mut encoder = unfitted.clone();
    let n_targets = encoder.data.targets.len();
    let fitted = fit(raw, &train, &encoder.features, n_targets);
    if let Some(model) = model {
        encoder.covariates = model.covariates.clone();
        let mut unknown = fitted.scales.of_series;
        unknown.retain(|name, _| model.scales.of(name).is_none());
        encoder.scales = model.scales.clone();
        if !unknown.is_empty() {
            let names = crate::error::listed(unknown.keys().map(String::as_str));
            warnings.push(format!("not in the training of the model, so scaled by their own train steps: {names}"));
            encoder.scales.of_series.extend(unknown);
        }
        return Ok(encoder);
    }
    encoder.scales = fitted.scales;
    let texts = encoder.covariates.iter_mut().filter(|covariate| covariate.is_text());
    for (column, covariate) in texts.enumerate() {
        let levels = levels(raw, &train, column);
        if levels.len() > MAX_LEVELS {
            let (file, column) = (file.to_string(), covariate.name.clone());
            return Err(SeriesError::TooManyLevels { file, column, levels: levels.len() }.into());
        }
        covariate.levels = Some(levels);
    }
    let n_fitted =
        raw.series.iter().zip(&train).filter(|(series, steps)| has_targets(series, steps, n_targets)).count();
    let is_constant = |names: &Vec<String>| names.len() >= n_fitted;
    if fitted.constant[..n_targets].iter().all(is_constant) {
        let targets = crate::error::listed(encoder.data.targets.iter().map(String::as_str));
        return Err(SeriesError::ConstantTargets { file: file.to_string(), targets }.into());
    }
    for (name, series) in raw.number_names.iter().zip(fitted.constant).filter(|(_, series)| !series.is_empty()) {
        warnings.push(constant(name, &series, n_fitted, encoder.features.per_series));
    }
    Ok(encoder)
}

fn constant(name: &str, series: &[String], n_series: usize, per_series: bool) -> String {
    if n_series == 1 || !per_series {
        return format!("`{name}` is constant in the train steps, so it tells nothing; its scale is 1");
    }
    let hint =
        if series.len() == n_series { "; `features.per_series: false` would keep what tells series apart" } else { "" };
    let n = series.len();
    format!("`{name}` is constant in the train steps of {n} of {n_series} series (first `{}`){hint}", series[0])
}

/// The texts that occur in the train steps, ascending.
fn levels(raw: &Raw, train: &[Range<usize>], column: usize) -> Vec<String> {
    let steps = raw.series.iter().zip(train).flat_map(|(series, steps)| &series.texts[column][steps.clone()]);
    let places: BTreeSet<u32> = steps.copied().collect();
    places.iter().filter_map(|&place| raw.texts[column].get(place as usize).cloned()).collect()
}

/// The scales of each series; `NONE` for one that could not be fitted, which has no windows then.
pub(crate) fn scales_of(raw: &Raw, encoder: &SeriesEncoder) -> Vec<Vec<Scale>> {
    let none = vec![Scale::NONE; raw.number_names.len()];
    raw.series.iter().map(|series| encoder.scales.of(&series.name).map_or(none.clone(), <[Scale]>::to_vec)).collect()
}

/// All windows of train, valid and test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Windows {
    pub parts: [Vec<Window>; 3],
    /// Windows that touch a missing value.
    pub left_out: [usize; 3],
    /// Windows whose look-back ends in a gap that was filled by looking ahead.
    pub n_ahead: usize,
}

/// An error if a part has no window.
pub(crate) fn enumerate(raw: &Raw, encoder: &SeriesEncoder, parts: &[Parts], file: &str) -> Result<Windows> {
    let layout = Layout::new(encoder);
    let mut all = Windows::default();
    // In each part: the longest stretch that a window can lie in.
    let mut longest: [Option<(usize, &RawSeries, usize)>; 3] = [None; 3];
    for (number, (series, parts)) in raw.series.iter().zip(parts).enumerate() {
        if encoder.scales.of(&series.name).is_none() {
            continue;
        }
        let holes = Holes::new(series, &layout, &encoder.windows);
        let mut is_ahead = vec![false; series.n_steps];
        series.interpolated.iter().for_each(|run| is_ahead[run.from..run.to].fill(true));
        for (part, longest) in longest.iter_mut().enumerate() {
            let (windows, n_left_out) = windows_of(number, &holes, parts, part, &encoder.windows);
            all.n_ahead += windows.iter().filter(|window| is_ahead[window.origin as usize - 1]).count();
            all.left_out[part] += n_left_out;
            all.parts[part].extend(windows);
            let lookback = if part == 0 { 0 } else { encoder.windows.lookback };
            let range = parts.range(part);
            let (from, length) = holes.longest_stretch(range.start.saturating_sub(lookback)..range.end);
            if longest.is_none_or(|(most, ..)| length > most) {
                *longest = Some((length, series, from));
            }
        }
    }
    match (0..3).find(|&part| all.parts[part].is_empty()) {
        Some(part) => Err(no_window(raw, encoder, parts, part, all.left_out[part], longest[part], file).into()),
        None => Ok(all),
    }
}

fn no_window(
    raw: &Raw,
    encoder: &SeriesEncoder,
    parts: &[Parts],
    part: usize,
    n_left_out: usize,
    longest: Option<(usize, &RawSeries, usize)>,
    file: &str,
) -> SeriesError {
    let WindowsConfig { lookback, horizon, .. } = encoder.windows;
    let (file, name) = (file.to_string(), PARTS[part]);
    let (n_whole, series, from) = match longest {
        Some(longest) if n_left_out > 0 => longest,
        _ => {
            let most = parts.iter().map(|parts| parts.range(part).len()).max().unwrap_or(0);
            let (needed, what) = match part {
                0 => (lookback + horizon, format!("{lookback} + {horizon} = {}", lookback + horizon)),
                _ => (horizon, horizon.to_string()),
            };
            let reason = match most >= needed {
                true => "no series has both enough train steps and enough steps there".to_string(),
                false => format!("its longest series has {most} steps there, but a window takes {what}"),
            };
            let hint =
                "enlarge the part in `data.split`, or shorten `windows.lookback` or `windows.horizon`".to_string();
            return SeriesError::NoWindow { file, part: name, reason, hint };
        }
    };
    let reach = encoder.reach();
    let lagged =
        if reach > 0 { format!(", and {reach} before it for lags and rolling statistics") } else { String::new() };
    let reason = format!(
        "each of {n_left_out} touches a missing value; the longest whole stretch has {n_whole} steps, from {}{}, but a \
         window takes {lookback} + {horizon} = {}{lagged}",
        format_time(series.time(raw.frequency, from)),
        of_series(&series.name),
        lookback + horizon,
    );
    let gaps = encoder.data.gaps.name();
    let hint =
        format!("fill the gaps (`data.gaps: interpolate` or `forward_fill`, now `{gaps}`), or shorten the window");
    SeriesError::NoWindow { file, part: name, reason, hint }
}
