//! What turns the rows of a file into a forecaster's inputs: stored with the model, applied again when it forecasts.

use serde::{Deserialize, Serialize};

use super::config::SeriesDataConfig;
use super::error::SeriesError;
use super::features::{SeriesFeaturesConfig, WindowsConfig};
use super::frequency::Frequency;
use super::layout::{CalendarChannel, Layout};
use super::raw::{Raw, derived_names};
use super::roles::{Covariate, Roles};
use super::scaling::{Scale, Scales};
use super::store::SeriesShape;
use crate::{Error, Result, Table};

/// The layout of the stored JSON. Raise it when a field is added or changes its meaning.
const VERSION: u32 = 1;

/// Columns, calendar, features, levels, scales and lengths of a forecaster; all fitted on its train steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesEncoder {
    version: u32,
    /// Columns and rules. Of the file only how its cells are written: neither where it is nor how it is divided.
    pub(crate) data: SeriesDataConfig,
    /// With calendar and season filled in.
    pub(crate) features: SeriesFeaturesConfig,
    pub(crate) windows: WindowsConfig,
    pub(crate) frequency: Frequency,
    /// Of the timestamps, in seconds east of Greenwich.
    pub(crate) zone: Option<i32>,
    pub(crate) covariates: Vec<Covariate>,
    /// Channels of the calendar.
    pub(crate) calendar: Vec<CalendarChannel>,
    pub(crate) scales: Scales,
}

impl SeriesEncoder {
    /// Without what is fitted: levels, calendar and scales.
    pub(crate) fn unfitted(
        data: &SeriesDataConfig,
        features: &SeriesFeaturesConfig,
        windows: &WindowsConfig,
        roles: &Roles,
        raw: &Raw,
    ) -> Self {
        let mut data = SeriesDataConfig {
            targets: roles.targets.clone(),
            ignore_columns: Vec::new(),
            start: None,
            end: None,
            max_series_length: None,
            split: Default::default(),
            ..data.with_file_of(&SeriesDataConfig::default()).with_dialect_of(data)
        };
        data.valid_range.retain(|column, _| roles.numbers().contains(&column.as_str()));
        let calendar = features.calendar.clone().unwrap_or_else(|| raw.frequency.calendar());
        let season_steps = features.season_steps.unwrap_or_else(|| raw.frequency.season_steps());
        Self {
            version: VERSION,
            data,
            features: SeriesFeaturesConfig {
                calendar: Some(calendar),
                season_steps: Some(season_steps),
                ..features.clone()
            },
            windows: *windows,
            frequency: raw.frequency,
            zone: raw.zone,
            covariates: roles.covariates.clone(),
            calendar: Vec::new(),
            scales: Scales::default(),
        }
    }

    /// JSON from which [`SeriesEncoder::from_json`] makes an identical one, to the last bit.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|error| unusable(error.to_string()))
    }

    /// Reads what `to_json` wrote.
    pub fn from_json(json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_str(json).map_err(|error| unusable(error.to_string()))?;
        if version != VERSION {
            let reason =
                format!("it has version {version}, this program reads version {VERSION}; train the model again");
            return Err(unusable(reason));
        }
        let encoder: Self = serde_json::from_str(json).map_err(|error| unusable(error.to_string()))?;
        encoder.check().map_err(|error| unusable(error.to_string()))?;
        Ok(encoder)
    }

    /// Says what no encoder that was fitted can be.
    fn check(&self) -> Result<()> {
        self.features.check()?;
        self.windows.check()?;
        let n_channels = self.number_names().len();
        let is_scale = |scale: &Scale| scale.offset.is_finite() && scale.factor.is_finite() && scale.factor > 0.0;
        let is_whole = |scales: &Vec<Scale>| scales.len() == n_channels && scales.iter().all(is_scale);
        let is_fitted = self.scales.of_series.values().chain(&self.scales.shared).all(is_whole);
        let is_step = match self.frequency {
            Frequency::Seconds(step) => step > 0,
            Frequency::Months { months, day } => months > 0 && (1..=31).contains(&day),
            Frequency::BusinessDays => true,
        };
        if self.data.targets.is_empty() || !is_fitted || !is_step {
            let reason = "targets, scales or frequency are not those of a fitted encoder".to_string();
            return Err(unusable(reason));
        }
        Ok(())
    }

    /// Columns of numbers in the order of their scales: targets, covariates, what is computed from targets.
    pub(crate) fn number_names(&self) -> Vec<String> {
        let covariates = self.covariates.iter().filter(|covariate| !covariate.is_text());
        let mut names = self.data.targets.clone();
        names.extend(covariates.map(|covariate| covariate.name.clone()));
        names.extend(derived_names(&self.data.targets, &self.features));
        names
    }

    /// Sizes of what a model of this data sees; `n_series` is how many series have scales of their own.
    pub fn shape(&self) -> SeriesShape {
        SeriesShape::new(&Layout::new(self), &self.windows, self.scales.of_series.len().max(1))
    }

    /// The distance between two steps; `Display` gives pandas' word for it.
    pub fn frequency(&self) -> Frequency {
        self.frequency
    }

    /// The columns to forecast.
    pub fn target_names(&self) -> &[String] {
        &self.data.targets
    }

    /// Names of the channels known up to the first forecast step only, in the order of `past_covariates`.
    pub fn past_names(&self) -> Vec<String> {
        Layout::new(self).past.into_iter().map(|channel| channel.name).collect()
    }

    /// Names of the channels known over the horizon, in the order of `future_covariates`.
    pub fn future_names(&self) -> Vec<String> {
        Layout::new(self).future.into_iter().map(|channel| channel.name).collect()
    }

    /// Steps of a season.
    pub fn season_steps(&self) -> usize {
        self.features.season_steps.unwrap_or(1)
    }

    /// Whether a column of the file names the series of each row.
    pub fn is_grouped(&self) -> bool {
        self.data.group.is_some()
    }

    /// The inputs beside the columns, with calendar and season filled in.
    pub fn features(&self) -> &SeriesFeaturesConfig {
        &self.features
    }

    /// Settings for another file that is written as the one trained on: `delimiter`, `quote`, `has_header`, `columns`,
    /// `null_values` and `trim`, and nothing else. With a path, they are what [`SeriesEncoder::latest`] takes.
    pub fn file_settings(&self) -> SeriesDataConfig {
        SeriesDataConfig::default().with_dialect_of(&self.data)
    }

    /// Look-back, horizon and strides.
    pub fn windows(&self) -> WindowsConfig {
        self.windows
    }

    /// Columns and rules. Of the file only how its cells are written: neither where it is nor how it is divided.
    pub fn data(&self) -> &SeriesDataConfig {
        &self.data
    }

    /// Steps before a window's first one that its lags, differences and rolling statistics reach back to.
    pub fn reach(&self) -> usize {
        let SeriesFeaturesConfig { lags, differences, rolling, .. } = &self.features;
        let behind = rolling.windows.iter().map(|window| window - 1);
        lags.iter().chain(differences).copied().chain(behind).max().unwrap_or(0)
    }

    /// The scale of a target; `series` is its name, empty where the file has one series. `None` for a series that was
    /// not trained on.
    pub fn scale(&self, series: &str, target: usize) -> Option<Scale> {
        self.scales.of(series)?.get(target).copied()
    }

    /// The data settings under which a file is read for this model: its columns, the file's rows.
    pub(crate) fn settings_for(&self, data: &SeriesDataConfig) -> Result<SeriesDataConfig> {
        let own = &self.data;
        let lists: [(_, &[String], &[String]); 4] = [
            ("data.targets", &data.targets, &own.targets),
            ("data.past_covariates", &data.past_covariates, &own.past_covariates),
            ("data.future_covariates", &data.future_covariates, &own.future_covariates),
            ("data.holiday", data.holiday.as_slice(), own.holiday.as_slice()),
        ];
        for (key, given, models) in lists {
            if !given.is_empty() && given != models {
                let problem = format!("the model that is trained on has {}", shown(models));
                return Err(Error::Setting { key, problem });
            }
        }
        Ok(SeriesDataConfig {
            time: if data.time.is_empty() { own.time.clone() } else { data.time.clone() },
            group: data.group.clone().or(own.group.clone()),
            targets: own.targets.clone(),
            past_covariates: own.past_covariates.clone(),
            future_covariates: own.future_covariates.clone(),
            holiday: own.holiday.clone(),
            valid_range: own.valid_range.clone(),
            ..data.clone()
        })
    }

    /// The model's columns in another table.
    pub(crate) fn roles(&self, table: &Table, data: &SeriesDataConfig) -> Result<Roles> {
        Ok(Roles { covariates: self.covariates.clone(), ..Roles::new(table, data)? })
    }

    /// An error if the clock of the data is not that of the model.
    pub(crate) fn check_zone(&self, zone: Option<i32>) -> Result<()> {
        if zone == self.zone {
            return Ok(());
        }
        let (found, expected) = (zone_name(zone), zone_name(self.zone));
        let problem = format!("the timestamps are {found}, those that the model was trained on were {expected}");
        Err(Error::Setting { key: "data.time", problem })
    }
}

fn unusable(reason: String) -> Error {
    SeriesError::Encoder { reason }.into()
}

fn shown(names: &[String]) -> String {
    if names.is_empty() { "none".to_string() } else { crate::error::listed(names.iter().map(String::as_str)) }
}

/// `in zone +02:00`, or `without a zone`.
pub(crate) fn zone_name(zone: Option<i32>) -> String {
    let Some(seconds) = zone else { return "without a zone".to_string() };
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    format!("in zone {sign}{:02}:{:02}", minutes / 60, minutes % 60)
}
