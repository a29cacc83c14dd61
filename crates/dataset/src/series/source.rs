//! Time series that are read once: for their report, their windows and the blocks of a back-test.

use sha2::{Digest, Sha256};

use super::config::{SeriesBuiltin, SeriesDataConfig};
use super::encoder::SeriesEncoder;
use super::features::{SeriesFeaturesConfig, WindowsConfig};
use super::fitting::{Windows, divide, enumerate, fit_encoder, scales_of};
use super::frequency::Frequency;
use super::generator::traffic_demo;
use super::raw::{Raw, clean};
use super::report::{SeriesReport, Subject};
use super::roles::Roles;
use super::splits::SeriesSplits;
use super::store::Store;
use super::windows::Parts;
use crate::datetime::DAY_SECONDS;
use crate::info::describe_series;
use crate::table::hex;
use crate::{ColumnType, DataFile, Error, Result, Table, read_table};

/// Series that were read, cleaned and put on a regular grid.
#[derive(Clone, Debug)]
pub struct SeriesSource {
    data: SeriesDataConfig,
    pub(crate) file: String,
    pub(crate) raw: Raw,
    pub(crate) parts: Vec<Parts>,
    /// Without levels and scales.
    pub(crate) unfitted: SeriesEncoder,
    /// Fitted on the train steps of `parts`, or the model's.
    encoder: SeriesEncoder,
    windows: Windows,
    facts: TableFacts,
    report: SeriesReport,
    /// The last rows of one series as they stand in the file, as many as a window takes.
    last_rows: Table,
}

/// What is left of a table whose cells were taken over.
#[derive(Clone, Debug)]
pub(crate) struct TableFacts {
    pub files: Vec<DataFile>,
    pub n_rows: usize,
    pub n_columns: usize,
    /// Over names and cells.
    digest: String,
    /// Columns with a role, in file order.
    pub columns: Vec<(String, ColumnType)>,
}

/// Reads the table that the settings name.
pub(crate) fn read_series(data: &SeriesDataConfig) -> Result<Table> {
    data.check()?;
    match data.source {
        Some(SeriesBuiltin::TrafficDemo) => traffic_demo(),
        None => read_table(&data.file_config()),
    }
}

impl SeriesSource {
    /// Reads and cleans the series, divides them, and fits scales and levels on the train steps.
    pub fn open(data: &SeriesDataConfig, features: &SeriesFeaturesConfig, windows: &WindowsConfig) -> Result<Self> {
        features.check()?;
        windows.check()?;
        let table = read_series(data)?;
        let roles = Roles::new(&table, data)?;
        let raw = clean(&table, data, features, &roles, None, 0)?;
        let unfitted = SeriesEncoder::unfitted(data, features, windows, &roles, &raw);
        Self::build(&table, data, &roles, raw, unfitted, None)
    }

    /// For more training of a model on other rows: columns, features, levels and scales are the model's, and so are
    /// look-back and horizon. What the settings say of columns must agree with the model, or be left out.
    pub fn open_for(data: &SeriesDataConfig, windows: &WindowsConfig, model: &SeriesEncoder) -> Result<Self> {
        windows.check()?;
        for (key, own, models) in [
            ("windows.lookback", windows.lookback, model.windows.lookback),
            ("windows.horizon", windows.horizon, model.windows.horizon),
        ] {
            if own != models {
                let problem = format!("`{own}`, but the model that is trained on has {models}");
                return Err(Error::Setting { key, problem });
            }
        }
        let data = &model.settings_for(data)?;
        let table = read_series(data)?;
        let roles = model.roles(&table, data)?;
        let raw = clean(&table, data, &model.features, &roles, Some(model.frequency), 0)?;
        model.check_zone(raw.zone)?;
        let unfitted = SeriesEncoder::unfitted(data, &model.features, windows, &roles, &raw);
        Self::build(&table, data, &roles, raw, unfitted, Some(model))
    }

    fn build(
        table: &Table,
        data: &SeriesDataConfig,
        roles: &Roles,
        mut raw: Raw,
        unfitted: SeriesEncoder,
        model: Option<&SeriesEncoder>,
    ) -> Result<Self> {
        let file = table.origin().to_string();
        let (parts, skipped) = divide(&mut raw, data, &unfitted.windows, &roles.targets, &file)?;
        let mut warnings = Vec::new();
        let encoder = fit_encoder(&unfitted, &raw, &parts, model, &file, &mut warnings)?;
        let windows = enumerate(&raw, &encoder, &parts, &file)?;
        let facts = TableFacts::new(table, data, roles);
        let (encoder_, windows_) = (&encoder, &windows);
        let subject =
            Subject { data, raw: &raw, parts: &parts, encoder: encoder_, windows: windows_, facts: &facts, roles };
        let report = SeriesReport::new(&subject, skipped, warnings);
        let last_rows = last_rows(table, data, &encoder);
        Ok(Self { data: data.clone(), file, raw, parts, unfitted, encoder, windows, facts, report, last_rows })
    }

    /// The last rows of one series as they stand in the file: as many as a window takes, with what its features reach
    /// back to, or more.
    pub fn last_rows(&self) -> &Table {
        &self.last_rows
    }

    /// What was read, what was done to it, and what is left.
    pub fn report(&self) -> &SeriesReport {
        &self.report
    }

    /// The windows of `data.split`.
    pub fn splits(&self) -> Result<SeriesSplits> {
        let warnings = self.report.warnings.clone();
        Ok(self.with_windows(&self.parts, self.encoder.clone(), self.windows.clone(), warnings))
    }

    pub(crate) fn with_windows(
        &self,
        parts: &[Parts],
        encoder: SeriesEncoder,
        windows: Windows,
        warnings: Vec<String>,
    ) -> SeriesSplits {
        let store = Store::new(&self.raw, &encoder, scales_of(&self.raw, &encoder));
        let target = encoder.target_names().join(",");
        let info = describe_series(&self.data, &self.facts, parts, target, self.digest(parts), warnings);
        let [train, valid, test] = windows.parts;
        let (past_names, future_names) = (encoder.past_names(), encoder.future_names());
        SeriesSplits { train, valid, test, encoder, info, store, parts: parts.to_vec(), past_names, future_names }
    }

    /// Of the cells, of the first step of each series and of the borders of its parts.
    fn digest(&self, parts: &[Parts]) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.facts.digest.as_bytes());
        for (series, parts) in self.raw.series.iter().zip(parts) {
            hasher.update(series.start.to_le_bytes());
            parts.0.iter().for_each(|&border| hasher.update((border as u64).to_le_bytes()));
        }
        hex(&hasher.finalize()[..16])
    }

    /// Every target of every series, for a plot.
    pub fn lines(&self) -> Vec<SeriesLine> {
        let frequency = self.raw.frequency;
        let mut lines = Vec::new();
        for (series, parts) in self.raw.series.iter().zip(&self.parts) {
            let time = |step: usize| series.time(frequency, step) as f64;
            let times: Vec<f64> = (0..series.n_known).map(time).collect();
            for (target, name) in self.encoder.target_names().iter().enumerate() {
                let mut values = series.numbers[target][..series.n_known].to_vec();
                let gaps: Vec<_> = series.missing[target].iter().filter(|run| run.from < series.n_known).collect();
                gaps.iter().for_each(|run| values[run.from..run.to.min(series.n_known)].fill(f64::NAN));
                lines.push(SeriesLine {
                    series: if series.name.is_empty() { self.data.display_name() } else { series.name.clone() },
                    target: name.clone(),
                    times: times.clone(),
                    values,
                    borders: parts.0.map(time),
                    gaps: gaps.iter().map(|run| (time(run.from), time(run.to.min(series.n_known) - 1))).collect(),
                });
            }
        }
        lines
    }
}

fn last_rows(table: &Table, data: &SeriesDataConfig, encoder: &SeriesEncoder) -> Table {
    let n_rows = table.n_rows() as u32;
    let group = data.group.as_ref().and_then(|name| table.column(name, "`data.group`").ok());
    let is_of_last = |row: &u32| {
        group.is_none_or(|group| group.text(*row as usize) == group.text(n_rows.saturating_sub(1) as usize))
    };
    // A holiday's name may stand at midnight only.
    let day = match encoder.frequency {
        Frequency::Seconds(step) => (DAY_SECONDS / step) as usize,
        Frequency::Months { .. } | Frequency::BusinessDays => 0,
    };
    let most = encoder.reach().max(day) + encoder.windows.lookback + encoder.windows.horizon;
    let mut rows: Vec<u32> = (0..n_rows).rev().filter(is_of_last).take(most).collect();
    rows.reverse();
    table.select(&rows)
}

/// One target of one series as it stands in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesLine {
    /// The name of the series, or of the data set where it has one only.
    pub series: String,
    /// The column.
    pub target: String,
    /// Epoch seconds of each step.
    pub times: Vec<f64>,
    /// In original units, NaN where missing: nothing is filled.
    pub values: Vec<f64>,
    /// Epoch seconds at which valid begins, test begins, and test ends.
    pub borders: [f64; 3],
    /// (from, to) in epoch seconds: the first and the last missing step.
    pub gaps: Vec<(f64, f64)>,
}

impl TableFacts {
    fn new(table: &Table, data: &SeriesDataConfig, roles: &Roles) -> Self {
        let is_unused = |name: &str| {
            data.ignore_columns.iter().chain(roles.unused.iter().map(|(name, _)| name)).any(|unused| unused == name)
        };
        let used = table.columns().iter().filter(|column| !is_unused(&column.name));
        let typed = used.map(|column| (column.name.clone(), column.column_type().unwrap_or(ColumnType::Double)));
        Self {
            files: table.files().to_vec(),
            n_rows: table.n_rows(),
            n_columns: table.columns().len(),
            digest: table.digest(&[]),
            columns: typed.collect(),
        }
    }
}
