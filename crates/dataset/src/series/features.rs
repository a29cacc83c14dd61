//! The `features:`, `windows:` and `backtest:` blocks of a run file for time series.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::invalid;
use crate::{DatetimePart, Result, Scaling};

/// Inputs beside the columns themselves, and the scale of all. Everything is computed within a series and from its past
/// only, and fitted on its train steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeriesFeaturesConfig {
    /// How numbers are brought to a common scale. 0/1 channels and the calendar stay as they are; a covariate that is
    /// constant in the train steps is 0 in all.
    pub scaling: SeriesScaling,
    /// Whether each series has its own mean and standard deviation, or all share those of all train steps together.
    pub per_series: bool,
    /// What is taken from the timestamps, known over the horizon; null for what fits the frequency (hourly: hour,
    /// weekday and month; daily: weekday and month; monthly: month), `[]` for nothing.
    pub calendar: Option<Vec<DatetimePart>>,
    /// How it is written.
    pub calendar_encoding: CalendarEncoding,
    /// Each target as it was this many steps earlier. Known over the horizon where that is at least the horizon's
    /// length.
    pub lags: Vec<usize>,
    /// Each target less itself this many steps earlier; known up to the first forecast step.
    pub differences: Vec<usize>,
    /// Statistics of each target's last steps; known up to the first forecast step.
    pub rolling: RollingConfig,
    /// Steps of a season, for the seasonal-naive forecast and the errors scaled by it; null for the frequency's (15
    /// minutes: 96, hourly: 24, daily: 7, weekly: 52, monthly: 12, quarterly: 4).
    pub season_steps: Option<usize>,
}

impl Default for SeriesFeaturesConfig {
    fn default() -> Self {
        Self {
            scaling: SeriesScaling::Standard,
            per_series: true,
            calendar: None,
            calendar_encoding: CalendarEncoding::OneHot,
            lags: Vec::new(),
            differences: Vec::new(),
            rolling: RollingConfig::default(),
            season_steps: None,
        }
    }
}

/// A feature that reaches further back is a mistake, or a data set of its own.
const MAX_STEPS: usize = 1_000_000;

impl SeriesFeaturesConfig {
    /// Finds what is wrong with the settings themselves.
    pub fn check(&self) -> Result<()> {
        let calendar = self.calendar.as_deref().unwrap_or_default();
        if calendar.iter().any(|part| matches!(part, DatetimePart::Year | DatetimePart::EpochDays)) {
            let problem =
                "`year` and `epoch_days` only grow, so that no forecast would be for a value seen in training";
            return invalid("features.calendar", problem);
        }
        check_list("features.calendar", calendar, |_| true)?;
        let is_step = |steps: &usize| (1..=MAX_STEPS).contains(steps);
        check_list("features.lags", &self.lags, is_step)?;
        check_list("features.differences", &self.differences, is_step)?;
        check_list("features.rolling.windows", &self.rolling.windows, |steps| is_step(steps) && *steps > 1)?;
        check_list("features.rolling.statistics", &self.rolling.statistics, |_| true)?;
        if !self.rolling.windows.is_empty() && self.rolling.statistics.is_empty() {
            return invalid("features.rolling.statistics", "it is empty: mean, std, min, max and median are known");
        }
        if self.season_steps.is_some_and(|steps| !is_step(&steps)) {
            return invalid("features.season_steps", format!("it must be from 1 to {MAX_STEPS}, or null"));
        }
        Ok(())
    }
}

/// Every value must be allowed, and none given twice.
fn check_list<T: PartialEq + std::fmt::Debug>(
    key: &'static str,
    list: &[T],
    is_allowed: impl Fn(&T) -> bool,
) -> Result<()> {
    if let Some(value) = list.iter().find(|value| !is_allowed(value)) {
        return invalid(key, format!("`{value:?}` is no number of steps that works here"));
    }
    match (1..list.len()).find(|&i| list[..i].contains(&list[i])) {
        Some(i) => invalid(key, format!("`{:?}` is listed twice", list[i])),
        None => Ok(()),
    }
}

/// How numbers of a series are brought to a common scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeriesScaling {
    /// Mean 0, standard deviation 1 (of the population, as in scikit-learn).
    Standard,
    /// From 0 to 1.
    MinMax,
    /// As they are.
    None,
}

impl SeriesScaling {
    pub(crate) fn kind(self) -> Scaling {
        match self {
            Self::Standard => Scaling::Standard,
            Self::MinMax => Scaling::MinMax,
            Self::None => Scaling::None,
        }
    }
}

/// How what repeats itself in the calendar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CalendarEncoding {
    /// As sine and cosine, so that December is near January: two channels each (one for `is_weekend`).
    Cyclic,
    /// A 0/1 channel for each hour, each weekday and so on that train steps have, and none where they have one only:
    /// what an MLP learns most from.
    /// `day_of_year` is cyclic even so.
    OneHot,
}

/// Statistics of the last steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollingConfig {
    /// How many steps each statistic is taken over, the current one included; empty for no statistics.
    pub windows: Vec<usize>,
    /// Which.
    pub statistics: Vec<RollingStatistic>,
}

impl Default for RollingConfig {
    fn default() -> Self {
        Self { windows: Vec::new(), statistics: vec![RollingStatistic::Mean, RollingStatistic::Std] }
    }
}

/// A statistic of a few steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RollingStatistic {
    /// Their mean.
    Mean,
    /// Their standard deviation (of the sample, as in pandas).
    Std,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The middle one.
    Median,
}

impl RollingStatistic {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Std => "std",
            Self::Min => "min",
            Self::Max => "max",
            Self::Median => "median",
        }
    }
}

/// Which stretches of a series are shown to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WindowsConfig {
    /// Steps that the model sees.
    pub lookback: usize,
    /// Steps that it forecasts.
    pub horizon: usize,
    /// Steps from one train window to the next.
    pub stride: usize,
    /// Steps from one valid or test window to the next; 1 scores every window.
    pub eval_stride: usize,
}

impl Default for WindowsConfig {
    fn default() -> Self {
        Self { lookback: 168, horizon: 24, stride: 1, eval_stride: 1 }
    }
}

impl WindowsConfig {
    /// Finds what is wrong with the settings themselves.
    pub fn check(&self) -> Result<()> {
        let keys = [
            ("windows.lookback", self.lookback),
            ("windows.horizon", self.horizon),
            ("windows.stride", self.stride),
            ("windows.eval_stride", self.eval_stride),
        ];
        match keys.into_iter().find(|(_, steps)| !(1..=MAX_STEPS).contains(steps)) {
            Some((key, steps)) => invalid(key, format!("`{steps}` is not between 1 and {MAX_STEPS}")),
            None => Ok(()),
        }
    }
}

/// A back-test with a rolling origin: the steps of train and valid are scored block by block, each by a model of what
/// came before. The test part is never touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BacktestConfig {
    /// How many blocks are scored; the last one ends with the valid part.
    pub folds: usize,
    /// Steps of a block, at least the horizon; null for as many as the valid part has.
    pub step: Option<usize>,
    /// Whether each fold trains a model of its own; otherwise the first fold's model forecasts all blocks.
    pub refit: bool,
}

impl Default for BacktestConfig {
    fn default() -> Self {
        Self { folds: 3, step: None, refit: true }
    }
}

impl BacktestConfig {
    /// Finds what is wrong with the settings themselves.
    pub fn check(&self) -> Result<()> {
        if !(1..=1000).contains(&self.folds) {
            return invalid("backtest.folds", format!("`{}` is not between 1 and 1000", self.folds));
        }
        match self.step {
            Some(0) => invalid("backtest.step", "it must be at least the horizon, or null"),
            _ => Ok(()),
        }
    }
}
