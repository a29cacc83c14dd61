//! Rows of a table to series on regular grids: which row stands at which step.

use std::collections::{BTreeSet, HashMap};

use super::config::{Duplicates, SeriesDataConfig, Unsorted};
use super::error::{SeriesError, of_series};
use super::frequency::Frequency;
use super::time_axis::{Times, read_times};
use crate::datetime::DAY_SECONDS;
use crate::{Column, Error, Result, Table, format_time};

/// A grid may have this many steps for each row, and `FREE_STEPS` beside.
const STEPS_PER_ROW: i64 = 200;
const FREE_STEPS: i64 = 100_000;

/// The rows of one series and their steps.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// Empty if the file has one series only.
    pub name: String,
    /// The time of step 0.
    pub start: i64,
    pub n_steps: usize,
    /// (step, row), ascending; a step has several rows under `duplicates: mean` only.
    pub cells: Vec<(u32, u32)>,
    /// Days since 1970-01-01 that are holidays.
    pub holidays: BTreeSet<i64>,
}

/// All series of a table.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub frequency: Frequency,
    pub zone: Option<i32>,
    pub series: Vec<Placed>,
    /// Rows that stand below a later one of their series.
    pub n_unsorted: usize,
    /// Rows with the timestamp of an earlier one of their series.
    pub n_duplicates: usize,
    /// Rows outside of `start` and `end`.
    pub n_outside: usize,
}

/// What messages need to know.
struct Place<'a> {
    file: &'a str,
    column: &'a str,
    frequency: Frequency,
    how: &'static str,
}

/// (time, row), in the order of time.
type Stamps = Vec<(i64, u32)>;

impl Grid {
    /// `frequency`: that of a model; otherwise the one of the settings, or the one that the timestamps have.
    pub(crate) fn new(table: &Table, data: &SeriesDataConfig, frequency: Option<Frequency>) -> Result<Self> {
        let column = table.column(&data.time, "`data.time`")?;
        let file = table.origin();
        let times = read_times(column, data.time_format.as_deref(), file)?;
        data.check_zones(times.zone)?;
        let (mut series, n_outside) = rows_of_series(table, data, &times)?;
        let holidays = holidays(table, data, &times)?;
        let (mut n_unsorted, mut n_duplicates) = (0, 0);
        for (name, stamps) in &mut series {
            n_unsorted += sort(stamps, name, data, column, file)?;
            n_duplicates += resolve_duplicates(stamps, name, data, column, file)?;
        }
        let given = data.frequency.as_deref().map(Frequency::parse).transpose();
        let given = given.map_err(|problem| Error::Setting { key: "data.frequency", problem })?;
        let (frequency, how) = match (frequency, given) {
            (Some(frequency), _) => (frequency, "the model's"),
            (None, Some(frequency)) => (frequency, "the set"),
            (None, None) => (infer(&series, column, file)?, "the inferred"),
        };
        let place = Place { file, column: &column.name, frequency, how };
        let place_one = |(name, stamps): (String, Stamps)| place.series(name, &stamps, &holidays);
        let series = series.into_iter().map(place_one).collect::<Result<_>>()?;
        Ok(Self { frequency, zone: times.zone, series, n_unsorted, n_duplicates, n_outside })
    }
}

/// The rows of each series in file order, and how many are outside of `start` and `end`.
fn rows_of_series(table: &Table, data: &SeriesDataConfig, times: &Times) -> Result<(Vec<(String, Stamps)>, usize)> {
    let (from, to) = (data.start_time()?.unwrap_or(i64::MIN), data.end_time()?.unwrap_or(i64::MAX));
    let file = table.origin();
    let group = data.group.as_deref().map(|name| table.column(name, "`data.group`")).transpose()?;
    let mut number_of: HashMap<String, usize> = HashMap::new();
    let mut series: Vec<(String, Stamps)> = Vec::new();
    let mut n_outside = 0;
    for (row, &time) in times.seconds.iter().enumerate() {
        if !(from..=to).contains(&time) {
            n_outside += 1;
            continue;
        }
        let mut number = |name: &str| match number_of.get(name) {
            Some(&number) => number,
            None => {
                series.push((name.to_string(), Vec::new()));
                number_of.insert(name.to_string(), series.len() - 1);
                series.len() - 1
            }
        };
        let number = match group {
            None => number(""),
            Some(column) => column.with_text(row, |name| name.map(number)).ok_or_else(|| {
                SeriesError::MissingGroup { file: file.to_string(), column: column.name.clone(), row: row + 1 }
            })?,
        };
        series[number].1.push((time, row as u32));
    }
    if series.is_empty() {
        let time = |time: Option<&i64>| format_time(time.copied().unwrap_or_default());
        let (from, to) = (time(times.seconds.iter().min()), time(times.seconds.iter().max()));
        return Err(SeriesError::NothingInTime { file: file.to_string(), from, to }.into());
    }
    Ok((series, n_outside))
}

/// Holidays by the name of the series.
fn holidays(table: &Table, data: &SeriesDataConfig, times: &Times) -> Result<HashMap<String, BTreeSet<i64>>> {
    let mut holidays: HashMap<String, BTreeSet<i64>> = HashMap::new();
    let Some(name) = &data.holiday else { return Ok(holidays) };
    let column = table.column(name, "`data.holiday`")?;
    let group = data.group.as_deref().map(|name| table.column(name, "`data.group`")).transpose()?;
    let is_none = |text: &str| text == "0" || ["none", "false"].iter().any(|none| text.eq_ignore_ascii_case(none));
    let is_holiday = |text: Option<&str>| text.is_some_and(|text| !is_none(crate::column::without_zeros(text)));
    for (row, time) in times.seconds.iter().enumerate() {
        if column.with_text(row, is_holiday) {
            let name = group.and_then(|group| group.text(row)).unwrap_or_default().into_owned();
            holidays.entry(name).or_default().insert(time.div_euclid(DAY_SECONDS));
        }
    }
    Ok(holidays)
}

/// Sorts by time, rows of one time in file order; how many rows stood below a later one.
fn sort(stamps: &mut Stamps, name: &str, data: &SeriesDataConfig, column: &Column, file: &str) -> Result<usize> {
    let (mut n_unsorted, mut latest, mut first) = (0, i64::MIN, None);
    for &(time, row) in stamps.iter() {
        if time < latest {
            n_unsorted += 1;
            first.get_or_insert((time, row, latest));
        }
        latest = latest.max(time);
    }
    if let (Unsorted::Error, Some((time, row, previous))) = (data.unsorted, first) {
        return Err(SeriesError::UnsortedTime {
            file: file.to_string(),
            column: column.name.clone(),
            row: row as usize + 1,
            value: format_time(time),
            previous: format_time(previous),
            of_series: of_series(name),
        }
        .into());
    }
    stamps.sort_unstable();
    Ok(n_unsorted)
}

/// Leaves one row for each time (all of them for their mean); how many rows have the time of an earlier one.
fn resolve_duplicates(
    stamps: &mut Stamps,
    name: &str,
    data: &SeriesDataConfig,
    column: &Column,
    file: &str,
) -> Result<usize> {
    let n_duplicates = stamps.windows(2).filter(|pair| pair[0].0 == pair[1].0).count();
    match data.duplicates {
        _ if n_duplicates == 0 => {}
        Duplicates::Error => {
            let first = stamps.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| (pair[0], pair[1]));
            let ((_, first_row), (time, row)) = first.unwrap_or_default();
            return Err(SeriesError::DuplicateTime {
                file: file.to_string(),
                column: column.name.clone(),
                row: row as usize + 1,
                value: format_time(time),
                first_row: first_row as usize + 1,
                of_series: of_series(name),
                count: n_duplicates,
            }
            .into());
        }
        Duplicates::First => stamps.dedup_by_key(|(time, _)| *time),
        Duplicates::Last => {
            stamps.reverse();
            stamps.dedup_by_key(|(time, _)| *time);
            stamps.reverse();
        }
        Duplicates::Mean => {}
    }
    Ok(n_duplicates)
}

fn infer(series: &[(String, Stamps)], column: &Column, file: &str) -> Result<Frequency> {
    let distinct = |(_, stamps): &(String, Stamps)| {
        let mut times: Vec<i64> = stamps.iter().map(|(time, _)| *time).collect();
        times.dedup();
        times
    };
    let times: Vec<Vec<i64>> = series.iter().map(distinct).collect();
    let no_frequency =
        |reason| SeriesError::NoFrequency { file: file.to_string(), column: column.name.clone(), reason };
    Ok(Frequency::infer(&times).map_err(no_frequency)?)
}

impl Place<'_> {
    fn series(&self, name: String, stamps: &Stamps, holidays: &HashMap<String, BTreeSet<i64>>) -> Result<Placed> {
        let (from, to) = (stamps[0].0, stamps[stamps.len() - 1].0);
        let start = self.anchor(stamps);
        let n_steps = self.frequency.step(start, to).0 + 1;
        if n_steps > stamps.len() as i64 * STEPS_PER_ROW + FREE_STEPS || n_steps > i64::from(u32::MAX / 2) {
            let (from, to, frequency) = (format_time(from), format_time(to), self.frequency.to_string());
            let (file, of_series, rows) = (self.file.to_string(), of_series(&name), stamps.len());
            return Err(SeriesError::SparseGrid { file, from, to, steps: n_steps, frequency, of_series, rows }.into());
        }
        let step_of = |&(time, row): &(i64, u32)| match self.frequency.step(start, time) {
            (step, true) => Ok((step as u32, row)),
            (step, false) => Err(self.off_grid(&name, start, step, time, row).into()),
        };
        let cells = stamps.iter().map(step_of).collect::<Result<_>>()?;
        let holidays = holidays.get(&name).cloned().unwrap_or_default();
        Ok(Placed { name, start, n_steps: n_steps as usize, cells, holidays })
    }

    /// The first time, if it is on the grid of those after it. It is the odd one itself if the second and the third
    /// are on one grid without it; then the message should name it.
    fn anchor(&self, stamps: &Stamps) -> i64 {
        let on_grid = |start: i64, time: i64| self.frequency.step(start, time).1;
        let first = stamps[0].0;
        let mut later = stamps.iter().map(|(time, _)| *time).filter(|&time| time != first);
        match (later.next(), later.find(|_| true)) {
            (Some(second), Some(third)) if !on_grid(first, second) && on_grid(second, third) => {
                self.frequency.time(second, self.frequency.step(second, first).0)
            }
            _ => first,
        }
    }

    fn off_grid(&self, name: &str, start: i64, step: i64, time: i64, row: u32) -> SeriesError {
        SeriesError::OffGrid {
            file: self.file.to_string(),
            column: self.column.to_string(),
            row: row as usize + 1,
            value: format_time(time),
            of_series: of_series(name),
            how: self.how,
            frequency: self.frequency.to_string(),
            before: format_time(self.frequency.time(start, step)),
            after: format_time(self.frequency.time(start, step + 1)),
        }
    }
}
