//! Series on their grids: the values of every column by step, cleaned, filled, and extended by what is computed from
//! them.
//!
//! Nothing here looks at train or test: a value depends on its own series only and, but for gaps that are filled by
//! `interpolate`, on its past.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::config::{GapPolicy, SeriesDataConfig};
use super::error::{SeriesError, of_series};
use super::features::SeriesFeaturesConfig;
use super::frequency::Frequency;
use super::gaps::{Run, fill, fill_texts, is_within, missing_runs};
use super::grid::{Grid, Placed};
use super::roles::Roles;
use super::rolling::{difference, rolling};
use crate::error::listed;
use crate::{Result, Table, format_time};

/// A text cell of a step without a row.
pub(crate) const NO_ROW: u32 = u32::MAX;
/// A text cell that is empty in its row: none of the levels.
pub(crate) const NO_TEXT: u32 = u32::MAX - 1;

/// One series, by step.
#[derive(Clone, Debug)]
pub(crate) struct RawSeries {
    pub name: String,
    /// The time of step 0.
    pub start: i64,
    pub n_steps: usize,
    /// Steps up to the last with a target; what follows is the future.
    pub n_known: usize,
    /// Steps up to the last with a row.
    pub n_given: usize,
    /// Targets, numeric covariates, then what is computed from targets; NaN is missing. `[n_steps]` each.
    pub numbers: Vec<Arc<Vec<f64>>>,
    /// Text covariates: places in [`Raw::texts`], `NO_TEXT` or `NO_ROW`.
    pub texts: Vec<Vec<u32>>,
    /// Days since 1970-01-01.
    pub holidays: BTreeSet<i64>,
    /// Steps without a row.
    pub absent: Vec<Run>,
    /// Missing values of each number column as read, before filling.
    pub missing: Vec<Vec<Run>>,
    /// Steps of each text column without a text, as read, before filling.
    pub missing_texts: Vec<Vec<Run>>,
    /// Of those of columns known up to the forecast only, those that were filled by looking ahead.
    pub interpolated: Vec<Run>,
}

/// All series.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub frequency: Frequency,
    pub zone: Option<i32>,
    pub series: Vec<RawSeries>,
    /// Names of the number columns.
    pub number_names: Vec<String>,
    /// Names of the text columns.
    pub text_names: Vec<String>,
    /// Distinct texts of each text column, ascending.
    pub texts: Vec<Vec<String>>,
    pub counts: Counts,
}

/// What was done to the rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub n_unsorted: usize,
    pub n_duplicates: usize,
    pub n_outside: usize,
    /// Values outside of `valid_range`, by column.
    pub out_of_range: BTreeMap<String, usize>,
    /// Steps cut off by `max_series_length`.
    pub n_cut: usize,
}

/// Reads the columns of `roles` by step. `frequency` is that of a model, if there is one. `horizon`: how many steps
/// are wanted after the last known one, whether the table has rows for them or not.
pub(crate) fn clean(
    table: &Table,
    data: &SeriesDataConfig,
    features: &SeriesFeaturesConfig,
    roles: &Roles,
    frequency: Option<Frequency>,
    horizon: usize,
) -> Result<Raw> {
    let Grid { frequency, zone, series, n_unsorted, n_duplicates, n_outside } = Grid::new(table, data, frequency)?;
    let mut counts = Counts { n_unsorted, n_duplicates, n_outside, ..Counts::default() };
    let mut columns = Vec::new();
    for name in roles.numbers() {
        columns.push(number_columns(table, name, data, &series, &mut counts)?);
    }
    let mut all_texts = Vec::new();
    let mut text_columns = Vec::new();
    for name in roles.texts() {
        let (distinct, by_series) = read_texts(table, name, &series)?;
        all_texts.push(distinct);
        text_columns.push(by_series);
    }
    let n_targets = roles.targets.len();
    let mut cleaned = Vec::new();
    for (i, placed) in series.into_iter().enumerate() {
        let numbers = columns.iter_mut().map(|column| std::mem::take(&mut column[i])).collect();
        let texts = text_columns.iter_mut().map(|column| std::mem::take(&mut column[i])).collect();
        let mut raw = assemble(placed, numbers, texts, n_targets, horizon);
        if let Some(most) = data.max_series_length {
            counts.n_cut += raw.keep_last(most, frequency);
        }
        raw.fill_gaps(data.gaps, data.max_gap_steps, roles.n_past_numbers());
        cleaned.push(raw);
    }
    if cleaned.iter().all(|series| series.n_known == 0) {
        return Err(no_values(table, roles, &counts).into());
    }
    let mut number_names: Vec<String> = roles.numbers().into_iter().map(String::from).collect();
    number_names.extend(derived_names(&roles.targets, features));
    let text_names = roles.texts().into_iter().map(String::from).collect();
    let mut raw = Raw { frequency, zone, series: cleaned, number_names, text_names, texts: all_texts, counts };
    if data.gaps == GapPolicy::Error {
        raw.check_no_gaps(table.origin())?;
    }
    for series in &mut raw.series {
        series.derive(n_targets, features);
    }
    Ok(raw)
}

fn no_values(table: &Table, roles: &Roles, counts: &Counts) -> SeriesError {
    let targets = roles.targets.iter().filter_map(|name| Some((name, counts.out_of_range.get(name)?)));
    let removed = targets.filter(|(_, n)| **n > 0);
    let removed: String =
        removed.map(|(name, n)| format!(", {n} values of `{name}` are outside of `data.valid_range`")).collect();
    let (file, rows) = (table.origin().to_string(), table.n_rows());
    SeriesError::NoTargetValues { file, targets: listed(roles.targets.iter().map(String::as_str)), rows, removed }
}

/// One column by series and step.
fn number_columns(
    table: &Table,
    name: &str,
    data: &SeriesDataConfig,
    series: &[Placed],
    counts: &mut Counts,
) -> Result<Vec<Vec<f64>>> {
    let rows: Vec<u32> = (0..table.n_rows() as u32).collect();
    let mut values: Vec<f64> = table
        .column(name, "the columns of the series")?
        .numbers(&rows, table.origin())?
        .into_iter()
        .map(|value| value.unwrap_or(f64::NAN))
        .collect();
    if let Some([low, high]) = data.valid_range.get(name) {
        let outside = values.iter_mut().filter(|value| **value < *low || **value > *high);
        let n_outside = outside.map(|value| *value = f64::NAN).count();
        counts.out_of_range.insert(name.to_string(), n_outside);
    }
    let of_series = |placed: &Placed| {
        let mut steps = vec![f64::NAN; placed.n_steps];
        for cells in placed.cells.chunk_by(|a, b| a.0 == b.0) {
            let present = cells.iter().map(|&(_, row)| values[row as usize]).filter(|value| !value.is_nan());
            let (sum, n) = present.fold((0.0, 0), |(sum, n), value| (sum + value, n + 1));
            steps[cells[0].0 as usize] = if n == 1 { sum } else { sum / f64::from(n) };
        }
        steps
    };
    Ok(series.iter().map(of_series).collect())
}

/// The distinct texts of a column, and one place in them by series and step.
fn read_texts(table: &Table, name: &str, series: &[Placed]) -> Result<(Vec<String>, Vec<Vec<u32>>)> {
    let column = table.column(name, "the covariates")?;
    let rows: Vec<u32> = (0..table.n_rows() as u32).collect();
    let distinct: Vec<String> = column.count_texts(&rows).0.into_keys().collect::<BTreeSet<_>>().into_iter().collect();
    let place = |text: Option<&str>| {
        let place = text.and_then(|text| distinct.binary_search_by(|known| known.as_str().cmp(text)).ok());
        place.map_or(NO_TEXT, |place| place as u32)
    };
    let places = column.map_texts(&rows, place);
    let of_series = |placed: &Placed| {
        let mut steps = vec![NO_ROW; placed.n_steps];
        placed.cells.iter().rev().for_each(|&(step, row)| steps[step as usize] = places[row as usize]);
        steps
    };
    let by_series = series.iter().map(of_series).collect();
    Ok((distinct, by_series))
}

fn assemble(
    placed: Placed,
    mut numbers: Vec<Vec<f64>>,
    mut texts: Vec<Vec<u32>>,
    n_targets: usize,
    horizon: usize,
) -> RawSeries {
    let is_known = |step: &usize| numbers[..n_targets].iter().any(|target| !target[*step].is_nan());
    let n_known = (0..placed.n_steps).rev().find(is_known).map_or(0, |last| last + 1);
    let n_steps = placed.n_steps.max(n_known + horizon);
    numbers.iter_mut().for_each(|column| column.resize(n_steps, f64::NAN));
    texts.iter_mut().for_each(|column| column.resize(n_steps, NO_ROW));
    let mut has_row = vec![false; n_steps];
    placed.cells.iter().for_each(|&(step, _)| has_row[step as usize] = true);
    let absent = missing_runs(n_known, |step| !has_row[step]);
    let missing = numbers.iter().map(|column| missing_runs(n_steps, |step| column[step].is_nan())).collect();
    let is_empty = |place: u32| place == NO_ROW || place == NO_TEXT;
    let missing_texts = texts.iter().map(|column| missing_runs(n_steps, |step| is_empty(column[step]))).collect();
    RawSeries {
        name: placed.name,
        start: placed.start,
        n_steps,
        n_known,
        n_given: placed.n_steps,
        numbers: numbers.into_iter().map(Arc::new).collect(),
        texts,
        holidays: placed.holidays,
        absent,
        missing,
        missing_texts,
        interpolated: Vec::new(),
    }
}

impl RawSeries {
    /// Cuts off all but the last `most` known steps; how many that is.
    fn keep_last(&mut self, most: usize, frequency: Frequency) -> usize {
        let n_cut = self.n_known.saturating_sub(most);
        self.start = frequency.time(self.start, n_cut as i64);
        self.n_steps -= n_cut;
        self.n_known -= n_cut;
        self.n_given -= n_cut;
        self.numbers.iter_mut().for_each(|column| *column = Arc::new(column[n_cut..].to_vec()));
        self.texts.iter_mut().for_each(|column| drop(column.drain(..n_cut)));
        let shift = |run: &mut Run| {
            run.from = run.from.saturating_sub(n_cut);
            run.to = run.to.saturating_sub(n_cut);
            run.to > run.from
        };
        self.absent.retain_mut(shift);
        self.missing.iter_mut().chain(&mut self.missing_texts).for_each(|runs| runs.retain_mut(shift));
        n_cut
    }

    /// The first `n_past` number columns end at `n_known`: what they hold behind it must not be seen, not even to fill
    /// a gap.
    fn fill_gaps(&mut self, policy: GapPolicy, longest: Option<usize>, n_past: usize) {
        let longest = longest.unwrap_or(usize::MAX);
        for (i, (column, runs)) in self.numbers.iter_mut().zip(&self.missing).enumerate() {
            let known = if i < n_past { self.n_known } else { self.n_steps };
            let filled = fill(&mut Arc::make_mut(column)[..known], runs, policy, longest, i < n_past);
            if policy == GapPolicy::Interpolate && i < n_past {
                self.interpolated.extend(filled);
            }
        }
        self.texts.iter_mut().for_each(|column| fill_texts(column, policy, longest));
        self.interpolated.sort_unstable_by_key(|run| run.from);
    }

    /// Adds the columns of [`derived_names`].
    fn derive(&mut self, n_targets: usize, features: &SeriesFeaturesConfig) {
        let targets: Vec<Arc<Vec<f64>>> = self.numbers[..n_targets].to_vec();
        for target in &targets {
            self.numbers.extend(features.differences.iter().map(|&steps| Arc::new(difference(target, steps))));
            for &window in &features.rolling.windows {
                let of_window = |&statistic: &_| Arc::new(rolling(target, window, statistic));
                self.numbers.extend(features.rolling.statistics.iter().map(of_window));
            }
        }
    }

    /// The time of a step.
    pub(crate) fn time(&self, frequency: Frequency, step: usize) -> i64 {
        frequency.time(self.start, step as i64)
    }
}

/// Names of the columns computed from each target, in their order.
pub(crate) fn derived_names(targets: &[String], features: &SeriesFeaturesConfig) -> Vec<String> {
    let mut names = Vec::new();
    for target in targets {
        names.extend(features.differences.iter().map(|steps| format!("difference_{steps}({target})")));
        for window in &features.rolling.windows {
            let statistics = features.rolling.statistics.iter();
            names.extend(statistics.map(|statistic| format!("rolling_{}_{window}({target})", statistic.name())));
        }
    }
    names
}

impl Raw {
    /// `gaps: error`: a step without a row, or a row without a value, is an error. Not in the future.
    fn check_no_gaps(&self, file: &str) -> Result<()> {
        let mut first: Option<(&RawSeries, String, Run)> = None;
        let mut count = 0;
        for series in &self.series {
            let whole = series.absent.iter().map(|run| ("every column is".to_string(), *run));
            let texts = self.text_names.iter().zip(&series.missing_texts);
            let columns = self.number_names.iter().zip(&series.missing).chain(texts);
            let known = |run: &Run| Run { to: run.to.min(series.n_known), ..*run };
            let cells =
                columns.flat_map(|(name, runs)| runs.iter().map(move |run| (format!("`{name}` is"), known(run))));
            let cells = cells.filter(|(_, run)| run.from < run.to && !is_within(*run, &series.absent));
            for (what, run) in whole.chain(cells) {
                count += 1;
                if first.as_ref().is_none_or(|(owner, _, other)| owner.name == series.name && run.from < other.from) {
                    first = Some((series, what, run));
                }
            }
        }
        let Some((series, what, run)) = first else { return Ok(()) };
        let time = |step| format_time(series.time(self.frequency, step));
        Err(SeriesError::SeriesGap {
            file: file.to_string(),
            of_series: of_series(&series.name),
            what,
            from: time(run.from),
            to: time(run.to - 1),
            steps: run.to - run.from,
            count,
        }
        .into())
    }
}
