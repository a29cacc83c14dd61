//! What was read, what was done to it, and what is left.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::config::{GapPolicy, SeriesDataConfig};
use super::encoder::{SeriesEncoder, zone_name};
use super::fitting::{SkippedSeries, Windows};
use super::gaps::{Run, is_within};
use super::raw::{NO_ROW, NO_TEXT, Raw, RawSeries};
use super::roles::Roles;
use super::source::TableFacts;
use super::windows::Parts;
use crate::error::listed;
use crate::split::PARTS;
use crate::{Error, Result, format_time};

/// A report on time series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeriesReport {
    /// The data set.
    pub name: String,
    /// Rows of the file.
    pub n_rows: usize,
    /// Series that are used.
    pub n_series: usize,
    /// The distance between two steps, in pandas' words.
    pub frequency: String,
    /// Whether it was taken from the timestamps.
    pub is_inferred: bool,
    /// `without a zone`, or which.
    pub zone: String,
    /// The first and the last known step of all series.
    pub from: String,
    /// See `from`.
    pub to: String,
    /// Steps of all series, those that are missing included.
    pub n_steps: usize,
    /// Fewest and most steps of a series.
    pub lengths: (usize, usize),
    /// Steps without a row.
    pub n_absent: usize,
    /// Missing values of each column of numbers or texts, steps without a row included; columns without any are not
    /// listed.
    pub n_missing: BTreeMap<String, usize>,
    /// Those of them that were filled.
    pub n_filled: BTreeMap<String, usize>,
    /// The policy of `data.gaps`.
    pub gaps_policy: String,
    /// Runs of steps without a row, and of values missing in rows; longest first.
    pub gaps: Vec<Gap>,
    /// Rows that were not in the order of time.
    pub n_unsorted: usize,
    /// Rows with the timestamp of an earlier one of their series.
    pub n_duplicates: usize,
    /// Rows outside of `data.start` and `data.end`.
    pub n_outside: usize,
    /// Steps cut off by `data.max_series_length`.
    pub n_cut: usize,
    /// Values outside of `data.valid_range`, by column.
    pub out_of_range: BTreeMap<String, usize>,
    /// Steps at the ends of series that have rows but no targets.
    pub n_future: usize,
    /// Series that were left out.
    pub skipped: Vec<SkippedSeries>,
    /// Train, valid and test.
    pub parts: Vec<SeriesPart>,
    /// Windows whose look-back ends in a gap that was filled by looking ahead.
    pub n_windows_ahead: usize,
    /// Channels that the model sees beside the targets' own past.
    pub past_names: Vec<String>,
    /// Channels that it sees over the horizon, too.
    pub future_names: Vec<String>,
    /// The targets over all train steps, in original units.
    pub targets: Vec<TargetFigures>,
    /// What a user should look at, though it is no error.
    pub warnings: Vec<String>,
}

/// A run of missing steps or values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The series; empty where there is one only.
    pub series: String,
    /// The column; `None` where whole rows are missing.
    pub column: Option<String>,
    /// The first missing step.
    pub from: String,
    /// The last missing step.
    pub to: String,
    /// How many.
    pub n_steps: usize,
}

/// A part of all series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeriesPart {
    /// `train`, `valid` or `test`.
    pub name: String,
    /// Steps of all series.
    pub n_steps: usize,
    /// The first and the last step of all series.
    pub from: String,
    /// See `from`.
    pub to: String,
    /// Windows.
    pub n_windows: usize,
    /// Windows that were left out since they touch a missing value.
    pub n_left_out: usize,
}

/// A target over the train steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetFigures {
    /// The column.
    pub name: String,
    /// Values, filled ones included.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (of the population).
    pub std: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// What the report is about.
pub(crate) struct Subject<'a> {
    pub data: &'a SeriesDataConfig,
    pub raw: &'a Raw,
    pub parts: &'a [Parts],
    pub encoder: &'a SeriesEncoder,
    pub windows: &'a Windows,
    pub facts: &'a TableFacts,
    pub roles: &'a Roles,
}

impl SeriesReport {
    /// `warnings`: those of the fit.
    pub(crate) fn new(subject: &Subject, skipped: Vec<SkippedSeries>, warnings: Vec<String>) -> Self {
        let &Subject { data, raw, parts, encoder, windows, facts, roles } = subject;
        let known = || raw.series.iter().map(|series| series.n_known);
        let count = |of: fn(&RawSeries, ReadColumn) -> usize| {
            let count = |column| raw.series.iter().map(|series| of(series, column)).sum();
            let counted = read_columns(raw, roles).map(|(name, column)| (name.clone(), count(column)));
            counted.filter(|(_, n): &(String, usize)| *n > 0).collect::<BTreeMap<_, _>>()
        };
        let time = |(series, step): (&RawSeries, usize)| format_time(series.time(raw.frequency, step));
        let first = raw.series.iter().map(|series| time((series, 0))).min().unwrap_or_default();
        let last = raw.series.iter().map(|series| time((series, series.n_known - 1))).max().unwrap_or_default();
        let n_missing = count(missing_values);
        let n_left = count(values_left_out);
        let filled = n_missing.iter().map(|(name, n)| (name.clone(), n - n_left.get(name).copied().unwrap_or(0)));
        let mut report = Self {
            name: data.display_name(),
            n_rows: facts.n_rows,
            n_series: raw.series.len(),
            frequency: raw.frequency.to_string(),
            is_inferred: data.frequency.is_none(),
            zone: zone_name(raw.zone),
            from: first,
            to: last,
            n_steps: known().sum(),
            lengths: (known().min().unwrap_or(0), known().max().unwrap_or(0)),
            n_absent: raw.series.iter().flat_map(|series| &series.absent).map(|run| run.to - run.from).sum(),
            n_filled: filled.filter(|(_, n)| *n > 0).collect(),
            n_missing,
            gaps_policy: data.gaps.name().to_string(),
            gaps: gaps(raw, roles),
            n_unsorted: raw.counts.n_unsorted,
            n_duplicates: raw.counts.n_duplicates,
            n_outside: raw.counts.n_outside,
            n_cut: raw.counts.n_cut,
            out_of_range: raw.counts.out_of_range.clone(),
            n_future: raw.series.iter().map(|series| series.n_given - series.n_known).sum(),
            skipped,
            parts: (0..3).map(|part| of_part(part, raw, parts, windows)).collect(),
            n_windows_ahead: windows.n_ahead,
            past_names: encoder.past_names(),
            future_names: encoder.future_names(),
            targets: (0..roles.targets.len()).map(|target| figures(target, raw, parts)).collect(),
            warnings,
        };
        report.warnings.extend(report.findings(data, roles));
        report.warnings.extend(filled_targets(subject));
        report.warnings.extend(without_windows(raw, windows));
        report
    }

    /// What a user should look at.
    fn findings(&self, data: &SeriesDataConfig, roles: &Roles) -> Vec<String> {
        let mut found = Vec::new();
        if !self.skipped.is_empty() {
            let names = self.skipped.iter().map(|series| series.name.as_str());
            let (n, names) = (self.skipped.len(), listed(names));
            found.push(format!("{n} series left out ({}): {names}", self.skipped[0].reason));
        }
        if self.n_unsorted > 0 {
            found.push(format!("{} rows were not in the order of time; they were sorted", self.n_unsorted));
        }
        let n_windows: usize = self.parts.iter().map(|part| part.n_windows).sum();
        if self.n_windows_ahead > 0 {
            found.push(format!(
                "{} of {n_windows} windows have a look-back that ends in a gap which `gaps: interpolate` filled with \
                 the help of the value after it, so they see a little of the future",
                self.n_windows_ahead
            ));
        }
        let n_left_out: usize = self.parts.iter().map(|part| part.n_left_out).sum();
        if n_left_out > n_windows && data.gaps == GapPolicy::Mask {
            found.push(format!(
                "{n_left_out} windows are left out since they touch a missing value, more than the {n_windows} that \
                 are used; `data.gaps: interpolate` or `forward_fill` would keep them"
            ));
        }
        if self.n_future > 0 {
            found.push(format!(
                "{} steps at the end have no targets: they are the future, and in no part",
                self.n_future
            ));
        }
        let reasons: BTreeSet<&str> = roles.unused.iter().map(|(_, reason)| *reason).collect();
        for reason in reasons.into_iter().filter(|_| data.targets.is_empty()) {
            let unused = roles.unused.iter().filter(|(_, other)| *other == reason);
            let names = listed(unused.map(|(name, _)| name.as_str()));
            found.push(format!("columns without a role, not used ({reason}): {names}"));
        }
        found
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|error| Error::Report { reason: error.to_string() })
    }
}

/// A column of the file, by its place among those of its kind.
#[derive(Clone, Copy)]
enum ReadColumn {
    Number(usize),
    Text(usize),
}

impl ReadColumn {
    /// Where values are missing in the file.
    fn missing(self, series: &RawSeries) -> &[Run] {
        match self {
            Self::Number(i) => &series.missing[i],
            Self::Text(i) => &series.missing_texts[i],
        }
    }
}

fn read_columns<'a>(raw: &'a Raw, roles: &Roles) -> impl Iterator<Item = (&'a String, ReadColumn)> {
    let numbers = raw.number_names.iter().take(roles.numbers().len()).enumerate();
    let texts = raw.text_names.iter().enumerate();
    numbers.map(|(i, name)| (name, ReadColumn::Number(i))).chain(texts.map(|(i, name)| (name, ReadColumn::Text(i))))
}

/// Scored values that were filled count as truth, which should be known.
fn filled_targets(subject: &Subject) -> Option<String> {
    let &Subject { data, raw, encoder, windows, roles, .. } = subject;
    let horizon = encoder.windows().horizon;
    let mut is_scored: Vec<Vec<bool>> = raw.series.iter().map(|series| vec![false; series.n_steps]).collect();
    for window in windows.parts[1].iter().chain(&windows.parts[2]) {
        let origin = window.origin as usize;
        is_scored[window.series as usize][origin..origin + horizon].fill(true);
    }
    let n_scored = is_scored.iter().flatten().filter(|is_scored| **is_scored).count() * roles.targets.len();
    let mut n_filled = 0;
    for (series, is_scored) in raw.series.iter().zip(&is_scored) {
        let missing = series.missing[..roles.targets.len()].iter().flatten();
        let steps = missing.flat_map(|run| run.from..run.to.min(series.n_known));
        n_filled += steps.filter(|&step| is_scored[step]).count();
    }
    (n_filled > 0).then(|| {
        format!(
            "{n_filled} of {n_scored} scored values (valid and test) were filled by `gaps: {}`, not measured",
            data.gaps.name()
        )
    })
}

/// Where there are several series: those that have no window in a part.
fn without_windows(raw: &Raw, windows: &Windows) -> Vec<String> {
    let of_part = |part: usize| {
        let mut has_windows = vec![false; raw.series.len()];
        windows.parts[part].iter().for_each(|window| has_windows[window.series as usize] = true);
        let without = raw.series.iter().zip(has_windows).filter(|(_, has_windows)| !has_windows);
        let names: Vec<&str> = without.map(|(series, _)| series.name.as_str()).collect();
        let told =
            || format!("{} series have no window in {}: {}", names.len(), PARTS[part], listed(names.iter().copied()));
        (!names.is_empty()).then(told)
    };
    (0..3).filter_map(of_part).collect()
}

/// Missing values of a column, of known steps.
fn missing_values(series: &RawSeries, column: ReadColumn) -> usize {
    let known = column.missing(series).iter().filter(|run| run.from < series.n_known);
    known.map(|run| run.to.min(series.n_known) - run.from).sum()
}

/// Those that were not filled.
fn values_left_out(series: &RawSeries, column: ReadColumn) -> usize {
    match column {
        ReadColumn::Number(i) => series.numbers[i][..series.n_known].iter().filter(|value| value.is_nan()).count(),
        ReadColumn::Text(i) => {
            series.texts[i][..series.n_known].iter().filter(|place| [NO_ROW, NO_TEXT].contains(place)).count()
        }
    }
}

fn gaps(raw: &Raw, roles: &Roles) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for series in &raw.series {
        let gap = |column: Option<&String>, from: usize, to: usize| Gap {
            series: series.name.clone(),
            column: column.cloned(),
            from: format_time(series.time(raw.frequency, from)),
            to: format_time(series.time(raw.frequency, to - 1)),
            n_steps: to - from,
        };
        gaps.extend(series.absent.iter().map(|run| gap(None, run.from, run.to)));
        for (name, column) in read_columns(raw, roles) {
            let known = column.missing(series).iter().filter(|run| run.from < series.n_known);
            let cells = known.map(|run| Run { to: run.to.min(series.n_known), ..*run });
            let cells = cells.filter(|&run| !is_within(run, &series.absent));
            gaps.extend(cells.map(|run| gap(Some(name), run.from, run.to)));
        }
    }
    gaps.sort_by_key(|gap| std::cmp::Reverse(gap.n_steps));
    gaps
}

fn of_part(part: usize, raw: &Raw, parts: &[Parts], windows: &Windows) -> SeriesPart {
    let ranges = || raw.series.iter().zip(parts).map(|(series, parts)| (series, parts.range(part)));
    let time = |series: &RawSeries, step| format_time(series.time(raw.frequency, step));
    let not_empty = || ranges().filter(|(_, range)| !range.is_empty());
    SeriesPart {
        name: PARTS[part].to_string(),
        n_steps: ranges().map(|(_, range)| range.len()).sum(),
        from: not_empty().map(|(series, range)| time(series, range.start)).min().unwrap_or_default(),
        to: not_empty().map(|(series, range)| time(series, range.end - 1)).max().unwrap_or_default(),
        n_windows: windows.parts[part].len(),
        n_left_out: windows.left_out[part],
    }
}

fn figures(target: usize, raw: &Raw, parts: &[Parts]) -> TargetFigures {
    let train = raw.series.iter().zip(parts).flat_map(|(series, parts)| &series.numbers[target][parts.range(0)]);
    let values: Vec<f64> = train.copied().filter(|value| !value.is_nan()).collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    TargetFigures {
        name: raw.number_names[target].clone(),
        n: values.len(),
        mean,
        std: (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt(),
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}
