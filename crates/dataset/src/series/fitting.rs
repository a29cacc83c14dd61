//! What is fitted on the train steps, and which series are long enough for it.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Serialize;

use super::config::{SeriesDataConfig, ShortSeries};
use super::encoder::SeriesEncoder;
use super::error::{SeriesError, of_series};
use super::features::{SeriesScaling, WindowsConfig};
use super::layout::{CalendarChannel, Layout};
use super::raw::{Raw, RawSeries};
use super::scaling::{Scale, fit, has_targets, present};
use super::store::Window;
use super::windows::{Holes, Parts, windows_of};
use crate::datetime::Moment;
use crate::error::listed;
use crate::split::PARTS;
use crate::{Result, format_time};

/// A deviation below this share of the largest value is near the rounding of single precision.
const FINEST: f64 = 1e-5;
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
    targets: &[String],
    file: &str,
) -> Result<(Vec<Parts>, Vec<SkippedSeries>)> {
    let (mut kept, mut parts_of, mut skipped, mut first) = (Vec::new(), Vec::new(), Vec::new(), None);
    for series in std::mem::take(&mut raw.series) {
        let parts = Parts::new(&series, data, raw.frequency)?;
        match fault(&series, &parts, windows, targets, file, data) {
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
    targets: &[String],
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
    let is_empty = |target: &usize| present(series, *target, &parts.range(0)).next().is_none();
    if let Some(target) = (0..targets.len()).find(is_empty) {
        let short = format!("`{}` has no value in the train part ({} steps)", targets[target], parts.0[0]);
        let reason = format!("{short}{of_series}");
        let hint = "enlarge it in `data.split`, or set `data.start`".to_string();
        return Some((short, SeriesError::NoWindow { file, part: PARTS[0], reason, hint }));
    }
    None
}

/// Fits levels, calendar and scales on the train steps. `model`: what it knows stays, and only series that it does not
/// know are fitted.
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
        encoder.calendar = model.calendar.clone();
        let mut unknown = fitted.scales.of_series;
        unknown.retain(|name, _| model.scales.of(name).is_none());
        encoder.scales = model.scales.clone();
        if !unknown.is_empty() {
            let names = listed(unknown.keys().map(String::as_str));
            warnings.push(format!("not in the training of the model, so scaled by their own train steps: {names}"));
            encoder.scales.of_series.extend(unknown);
        }
        warnings.extend(unseen_texts(raw, parts, &encoder));
        return Ok(encoder);
    }
    encoder.scales = fitted.scales;
    encoder.calendar = calendar(raw, &train, &encoder);
    fit_levels(&mut encoder, raw, &train, file)?;
    let n_fitted =
        raw.series.iter().zip(&train).filter(|(series, steps)| has_targets(series, steps, n_targets)).count();
    let is_constant = |names: &Vec<String>| names.len() >= n_fitted;
    if fitted.constant[..n_targets].iter().all(is_constant) {
        let targets = listed(encoder.data.targets.iter().map(String::as_str));
        return Err(SeriesError::ConstantTargets { file: file.to_string(), targets }.into());
    }
    for (channel, series) in fitted.constant.iter().enumerate().filter(|(_, series)| !series.is_empty()) {
        let name = &raw.number_names[channel];
        warnings.push(constant(name, series, n_fitted, channel < n_targets, encoder.features.per_series));
    }
    warnings.extend(too_fine(raw, &train, &encoder));
    warnings.extend(unseen_texts(raw, parts, &encoder));
    Ok(encoder)
}

fn calendar(raw: &Raw, train: &[Range<usize>], encoder: &SeriesEncoder) -> Vec<CalendarChannel> {
    let times = raw
        .series
        .iter()
        .zip(train)
        .flat_map(|(series, steps)| steps.clone().map(|step| Moment::from_epoch(series.time(raw.frequency, step))));
    let parts = encoder.features.calendar.as_deref().unwrap_or_default();
    CalendarChannel::fit(parts, encoder.features.calendar_encoding, times)
}

fn fit_levels(encoder: &mut SeriesEncoder, raw: &Raw, train: &[Range<usize>], file: &str) -> Result<()> {
    let texts = encoder.covariates.iter_mut().filter(|covariate| covariate.is_text());
    for (column, covariate) in texts.enumerate() {
        let levels = levels(raw, train, column);
        if levels.len() > MAX_LEVELS {
            let (file, column) = (file.to_string(), covariate.name.clone());
            return Err(SeriesError::TooManyLevels { file, column, levels: levels.len() }.into());
        }
        covariate.levels = Some(levels);
    }
    Ok(())
}

/// `series`: those in which the channel is constant.
fn constant(name: &str, series: &[String], n_series: usize, is_target: bool, per_series: bool) -> String {
    let what = if is_target { "" } else { ", so it is no input: the model sees 0 in all steps" };
    if n_series == 1 || !per_series {
        let what = if is_target { "; its scale is 1" } else { what };
        return format!("`{name}` is constant in the train steps{what}");
    }
    let n = series.len();
    let what = match (is_target, n == n_series) {
        (true, true) => "; its scale is 1; `features.per_series: false` would keep what tells series apart",
        (true, false) => "; its scale there is the mean of the other series'",
        (false, true) => {
            "; the model sees 0 in all steps; `features.per_series: false` would keep what tells series apart"
        }
        (false, false) => "; there the model sees 0 in all steps",
    };
    format!("`{name}` is constant in the train steps of {n} of {n_series} series (first `{}`){what}", series[0])
}

/// Numbers whose differences single precision would round away, since nothing is taken off them.
fn too_fine(raw: &Raw, train: &[Range<usize>], encoder: &SeriesEncoder) -> Vec<String> {
    if encoder.features.scaling != SeriesScaling::None {
        return Vec::new();
    }
    let is_fine = |channel: usize| {
        raw.series.iter().zip(train).any(|(series, steps)| {
            let values: Vec<f64> = present(series, channel, steps).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / values.len() as f64;
            let largest = values.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
            variance > 0.0 && variance.sqrt() < FINEST * largest
        })
    };
    let fine = raw.number_names.iter().enumerate().filter(|(channel, _)| is_fine(*channel));
    let warning = |(_, name): (usize, &String)| {
        format!(
            "`{name}` varies by less than a hundred-thousandth of its size, which is lost to rounding without scaling; \
             set `features.scaling: standard`"
        )
    };
    fine.map(warning).collect()
}

/// Texts of valid and test that are none of the levels, and columns without any level.
fn unseen_texts(raw: &Raw, parts: &[Parts], encoder: &SeriesEncoder) -> Vec<String> {
    let mut warnings = Vec::new();
    let covariates = encoder.covariates.iter().filter_map(|covariate| Some((covariate, covariate.levels.as_ref()?)));
    for (column, (covariate, levels)) in covariates.enumerate() {
        if levels.is_empty() {
            warnings.push(format!("`{}` has no text in the train steps, so it is no input", covariate.name));
            continue;
        }
        let is_unseen: Vec<bool> = raw.texts[column].iter().map(|text| !levels.contains(text)).collect();
        let scored = raw
            .series
            .iter()
            .zip(parts)
            .flat_map(|(series, parts)| &series.texts[column][parts.range(1).start..parts.range(2).end]);
        let unseen = |place: &&u32| is_unseen.get(**place as usize).copied().unwrap_or(false);
        let unseen: Vec<u32> = scored.filter(unseen).copied().collect();
        if let Some(&first) = unseen.first() {
            warnings.push(format!(
                "`{}` has texts in {} valid and test steps that no train step has (first `{}`): they are none of its \
                 levels",
                covariate.name,
                unseen.len(),
                raw.texts[column][first as usize]
            ));
        }
    }
    warnings
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
        let holes = Holes::new(series, &layout, encoder);
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
    let (file, name, reach) = (file.to_string(), PARTS[part], encoder.reach());
    let (n_whole, series, from) = match longest {
        Some(longest) if n_left_out > 0 => longest,
        _ => {
            let most = parts.iter().map(|parts| parts.range(part).len()).max().unwrap_or(0);
            let needed = lookback + horizon + reach;
            let (needed, what) = match (part, reach) {
                (0, 0) => (needed, format!("{lookback} + {horizon} = {needed}")),
                (0, _) => {
                    let what = "look-back + horizon + what lags and rolling statistics reach back";
                    (needed, format!("{lookback} + {horizon} + {reach} = {needed} ({what})"))
                }
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
