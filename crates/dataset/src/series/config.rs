//! The `data:` block of a run file for time series.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::encoder::zone_name;
use super::frequency::Frequency;
use super::generator::traffic_demo;
use crate::datetime::{DateFormat, Reading};
use crate::{DataConfig, Error, Format, Result, Table};

/// Where time series come from, which columns they are, how their timestamps are made regular, and how they are split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeriesDataConfig {
    /// A built-in data set, in place of `path`.
    pub source: Option<SeriesBuiltin>,
    /// The CSV or Parquet file: a row is one timestamp of one series.
    pub path: Option<PathBuf>,
    /// Where the file can be downloaded when it is not there yet.
    pub url: Option<String>,
    /// The sha256 that a downloaded file must have, in hex.
    pub sha256: Option<String>,
    /// The name shown for the data set; the file's stem or the source's name by default.
    pub name: Option<String>,
    /// The file's format; `auto` looks at its first bytes.
    pub format: Format,
    /// CSV: the character between two values, one ASCII character such as `;` or a tab.
    pub delimiter: char,
    /// CSV: the character around values that contain a delimiter; null where quotes mean nothing.
    pub quote: Option<char>,
    /// CSV: whether the first row holds the column names.
    pub has_header: bool,
    /// CSV without a header: the column names; `column_1`, `column_2`, .. by default.
    pub columns: Vec<String>,
    /// Texts that stand for a missing value; an empty cell always does.
    pub null_values: Vec<String>,
    /// Whether blanks around a value are dropped.
    pub trim: bool,
    /// The column of timestamps. The clock is read as written, so all must have one zone, or none.
    pub time: String,
    /// How timestamps are written, such as `%d/%m/%Y %H:%M`; null for ISO 8601: `2016-07-01 13:00`, `2016-07`, `2016`.
    pub time_format: Option<String>,
    /// The column that names the series of a row; null if all rows are one series.
    pub group: Option<String>,
    /// The columns to forecast, each also an input by its own past; empty: every numeric column without another role.
    pub targets: Vec<String>,
    /// Columns known up to the first forecast step only. A text column becomes a 0/1 channel per text of train rows.
    pub past_covariates: Vec<String>,
    /// Columns known over the whole horizon when a forecast is made, such as planned prices; text as above.
    pub future_covariates: Vec<String>,
    /// A column that is null, `None`, `0` or `false` except on holidays. One such row makes all steps of its day a
    /// holiday: a 0/1 channel that is known over the horizon.
    pub holiday: Option<String>,
    /// Columns that are nothing of all that.
    pub ignore_columns: Vec<String>,
    /// Column to `[lowest, highest]`; a value outside is taken for a missing one, and counted.
    pub valid_range: BTreeMap<String, [f64; 2]>,
    /// The first timestamp to use.
    pub start: Option<String>,
    /// The last timestamp to use; a day, a month or a year is used to its end.
    pub end: Option<String>,
    /// The distance between two steps, in pandas' words: `15min`, `h`, `2h`, `D`, `B` (Monday to Friday), `W`, `MS`,
    /// `ME`, `QS`, `QE`, `YS`, `YE`; null to take it from the timestamps.
    pub frequency: Option<String>,
    /// Which row counts where a series has two of one timestamp.
    pub duplicates: Duplicates,
    /// What happens to rows that are not in the order of time.
    pub unsorted: Unsorted,
    /// What happens to steps and values that are missing.
    pub gaps: GapPolicy,
    /// Longer gaps are not filled, and windows that touch them are left out; null to fill all.
    pub max_gap_steps: Option<usize>,
    /// Keeps the last steps of each series only, at most this many.
    pub max_series_length: Option<usize>,
    /// What happens to a series that is shorter than look-back + horizon or than `split.borders`, or whose train part
    /// has no value of a target.
    pub short_series: ShortSeries,
    /// How each series is divided, in the order of time, into train, valid and test.
    pub split: SeriesSplitConfig,
}

impl Default for SeriesDataConfig {
    fn default() -> Self {
        let file = DataConfig::default();
        Self {
            source: None,
            path: None,
            url: None,
            sha256: None,
            name: None,
            format: file.format,
            delimiter: file.delimiter,
            quote: file.quote,
            has_header: file.has_header,
            columns: Vec::new(),
            null_values: file.null_values,
            trim: file.trim,
            time: String::new(),
            time_format: None,
            group: None,
            targets: Vec::new(),
            past_covariates: Vec::new(),
            future_covariates: Vec::new(),
            holiday: None,
            ignore_columns: Vec::new(),
            valid_range: BTreeMap::new(),
            start: None,
            end: None,
            frequency: None,
            duplicates: Duplicates::Error,
            unsorted: Unsorted::Sort,
            gaps: GapPolicy::Mask,
            max_gap_steps: None,
            max_series_length: None,
            short_series: ShortSeries::Skip,
            split: SeriesSplitConfig::default(),
        }
    }
}

impl SeriesDataConfig {
    /// Finds what is wrong with the settings themselves, before any file is opened.
    pub fn check(&self) -> Result<()> {
        if self.source.is_some() && self.path.is_some() {
            return invalid("data.source", "`data.path` is set as well; remove one of them");
        }
        self.file_config().check()?;
        DateFormat::of_series(self.time_format.as_deref())
            .map_err(|problem| Error::Setting { key: "data.time_format", problem })?;
        if let Some(name) = &self.frequency {
            Frequency::parse(name).map_err(|problem| Error::Setting { key: "data.frequency", problem })?;
        }
        if let (Some(start), Some(end)) = (self.start_time()?, self.end_time()?)
            && start >= end
        {
            return invalid("data.end", "it must be later than `data.start`");
        }
        if let Some((column, [low, high])) =
            self.valid_range.iter().find(|(_, [low, high])| low >= high || low.is_nan() || high.is_nan())
        {
            return invalid("data.valid_range", format!("`{column}: [{low}, {high}]` is no range from low to high"));
        }
        if self.max_gap_steps == Some(0) || self.max_series_length == Some(0) {
            let key = if self.max_gap_steps == Some(0) { "data.max_gap_steps" } else { "data.max_series_length" };
            return invalid(key, "it must be at least 1, or null");
        }
        self.split.check(self)
    }

    /// What `read_table` needs to know.
    pub(crate) fn file_config(&self) -> DataConfig {
        DataConfig {
            path: self.path.clone(),
            url: self.url.clone(),
            sha256: self.sha256.clone(),
            name: self.name.clone(),
            format: self.format,
            delimiter: self.delimiter,
            quote: self.quote,
            has_header: self.has_header,
            columns: self.columns.clone(),
            null_values: self.null_values.clone(),
            trim: self.trim,
            ignore_columns: self.ignore_columns.clone(),
            ..DataConfig::default()
        }
    }

    /// These settings for the file of another one.
    pub(crate) fn with_file_of(&self, other: &Self) -> Self {
        let Self {
            source,
            path,
            url,
            sha256,
            name,
            format,
            delimiter,
            quote,
            has_header,
            columns,
            null_values,
            trim,
            ..
        } = other.clone();
        let own = self.clone();
        Self {
            source,
            path,
            url,
            sha256,
            name,
            format,
            delimiter,
            quote,
            has_header,
            columns,
            null_values,
            trim,
            ..own
        }
    }

    /// These settings for a file that is written as another one: how its cells are read.
    pub(crate) fn with_dialect_of(self, other: &Self) -> Self {
        let Self { delimiter, quote, has_header, columns, null_values, trim, .. } = other.clone();
        Self { delimiter, quote, has_header, columns, null_values, trim, ..self }
    }

    /// The name shown for the data set: `name`, else the file's stem, else the source's name.
    pub fn display_name(&self) -> String {
        match (&self.name, self.source) {
            (None, Some(source)) => source.name().to_string(),
            _ => self.file_config().display_name(),
        }
    }

    pub(crate) fn start_time(&self) -> Result<Option<i64>> {
        self.start.as_deref().map(|text| self.parse_time("data.start", text)).transpose()
    }

    pub(crate) fn end_time(&self) -> Result<Option<i64>> {
        let end = self.end.as_deref().map(|text| self.read_time("data.end", text)).transpose()?;
        Ok(end.map(|end| end.last_second()))
    }

    /// A time of the run file, in ISO 8601 or as in the data.
    fn parse_time(&self, key: &'static str, text: &str) -> Result<i64> {
        Ok(self.read_time(key, text)?.moment.epoch())
    }

    /// An error if a time of the run file names another zone than that of the data, whose clock is read as written.
    pub(crate) fn check_zones(&self, zone: Option<i32>) -> Result<()> {
        let split = &self.split;
        let times = [
            ("data.start", &self.start),
            ("data.end", &self.end),
            ("data.split.valid_from", &split.valid_from),
            ("data.split.test_from", &split.test_from),
        ];
        for (key, text) in times {
            let Some(text) = text else { continue };
            let own = self.read_time(key, text)?.zone;
            if own.is_some() && own != zone {
                let (own, zone) = (zone_name(own), zone_name(zone));
                let problem =
                    format!("`{text}` is {own}, but the timestamps of the data are {zone}; leave the zone out");
                return invalid(key, problem);
            }
        }
        Ok(())
    }

    fn read_time(&self, key: &'static str, text: &str) -> Result<Reading> {
        let read = |format: Option<&str>| DateFormat::of_series(format).ok()?.read(text);
        match read(None).or_else(|| read(self.time_format.as_deref())) {
            Some(reading) => Ok(reading),
            None => invalid(key, format!("`{text}` is no time written like `2016-07-01 13:00` or `2016-07-01`")),
        }
    }
}

/// A series that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeriesBuiltin {
    /// Two years of hourly traffic with weather and holidays: made by a seeded generator, the same on every machine.
    TrafficDemo,
}

impl SeriesBuiltin {
    /// The rows, as if they were read from a file.
    pub fn table(self) -> Result<Table> {
        match self {
            Self::TrafficDemo => traffic_demo(),
        }
    }

    /// The name used in a run file.
    pub fn name(self) -> &'static str {
        match self {
            Self::TrafficDemo => "traffic_demo",
        }
    }
}

/// Which row counts where a series has two of one timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// None: it is an error.
    Error,
    /// The first in the file.
    First,
    /// The last in the file.
    Last,
    /// Their mean; of texts the first.
    Mean,
}

/// What happens to rows that are not in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unsorted {
    /// They are sorted, and counted.
    Sort,
    /// It is an error.
    Error,
}

/// What happens to steps and values that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapPolicy {
    /// It is an error.
    Error,
    /// A straight line from the value before to the value after. Where a look-back ends within a gap, it is filled with
    /// the help of a value that is not known yet; how many windows that concerns is told.
    Interpolate,
    /// The last value before the gap.
    ForwardFill,
    /// Windows that touch a missing value are left out.
    Mask,
}

impl GapPolicy {
    /// The name used in a run file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Interpolate => "interpolate",
            Self::ForwardFill => "forward_fill",
            Self::Mask => "mask",
        }
    }
}

/// What happens to a series without enough steps to learn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShortSeries {
    /// It is an error.
    Error,
    /// It is left out and told; an error if no other one is left.
    Skip,
}

/// How each series is divided, in the order of time: by shares, or by dates, or by rows. Windows of valid and test have
/// all steps that they forecast in their part, and look back across its border.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeriesSplitConfig {
    /// Share of each series' steps, before those of `test`, used to choose the best epoch.
    pub valid: f64,
    /// Share of each series' last steps, scored once, at the end.
    pub test: f64,
    /// In place of the shares: the first timestamp of valid. `test_from` is then needed too.
    pub valid_from: Option<String>,
    /// In place of the shares: the first timestamp of test.
    pub test_from: Option<String>,
    /// In place of the shares: the steps from each series' start at which train, valid and test end.
    pub borders: Option<[usize; 3]>,
}

impl Default for SeriesSplitConfig {
    fn default() -> Self {
        Self { valid: 0.1, test: 0.2, valid_from: None, test_from: None, borders: None }
    }
}

impl SeriesSplitConfig {
    fn check(&self, data: &SeriesDataConfig) -> Result<()> {
        if let Some([train, valid, test]) = self.borders {
            if self.valid_from.is_some() || self.test_from.is_some() {
                return invalid("data.split.borders", "`valid_from` or `test_from` is set as well; remove one of them");
            }
            if train == 0 || train >= valid || valid >= test {
                return invalid("data.split.borders", "they must ascend, such as [8640, 11520, 14400]");
            }
            return Ok(());
        }
        match self.dates(data)? {
            Some([valid, test]) if valid >= test => {
                return invalid("data.split.test_from", "it must be later than `valid_from`");
            }
            Some(_) => return Ok(()),
            None => {}
        }
        for (key, share) in [("data.split.valid", self.valid), ("data.split.test", self.test)] {
            if !(share > 0.0 && share < 1.0) {
                return invalid(key, format!("`{share}` leaves a part empty; it must be between 0 and 1, like 0.2"));
            }
        }
        if self.valid + self.test >= 1.0 {
            let sum = self.valid + self.test;
            return invalid(
                "data.split",
                format!("`valid` and `test` sum to {sum}, which leaves no steps to train on"),
            );
        }
        Ok(())
    }

    /// The first times of valid and test, if dates divide.
    pub(crate) fn dates(&self, data: &SeriesDataConfig) -> Result<Option<[i64; 2]>> {
        match (&self.valid_from, &self.test_from) {
            (None, None) => Ok(None),
            (Some(valid), Some(test)) => {
                let valid = data.parse_time("data.split.valid_from", valid)?;
                Ok(Some([valid, data.parse_time("data.split.test_from", test)?]))
            }
            (None, _) => invalid("data.split.valid_from", "it is needed beside `test_from`"),
            (_, None) => invalid("data.split.test_from", "it is needed beside `valid_from`"),
        }
    }
}

pub(crate) fn invalid<T>(key: &'static str, problem: impl Into<String>) -> Result<T> {
    Err(Error::Setting { key, problem: problem.into() })
}
