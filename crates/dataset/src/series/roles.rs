//! Which column is what.

use serde::{Deserialize, Serialize};

use super::config::{SeriesDataConfig, invalid};
use super::error::SeriesError;
use crate::csv_file::UNNAMED;
use crate::error::listed;
use crate::{Column, ColumnType, Error, Result, Table};

/// A column beside the targets that is an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Covariate {
    /// The column.
    pub name: String,
    /// Whether it is known over the horizon.
    pub is_future: bool,
    /// A text column's levels in the train steps, ascending: a 0/1 channel each. `None` for numbers.
    pub levels: Option<Vec<String>>,
}

impl Covariate {
    pub(crate) fn is_text(&self) -> bool {
        self.levels.is_some()
    }
}

/// Columns with a role.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Roles {
    pub targets: Vec<String>,
    /// First those known up to the forecast, then those known over the horizon; levels are not known yet.
    pub covariates: Vec<Covariate>,
    /// Columns without a role, and why they are no targets.
    pub unused: Vec<(String, &'static str)>,
}

impl Roles {
    /// Checks that every column named in a setting exists and has one role.
    pub(crate) fn new(table: &Table, data: &SeriesDataConfig) -> Result<Self> {
        let file = table.origin();
        if data.time.is_empty() {
            let dates = table.columns().iter().find(|column| column.looks_like_dates());
            let hint = match dates {
                Some(column) => format!("`{}` looks like it", column.name),
                None => format!("There are {}", listed(table.names())),
            };
            return Err(SeriesError::NoTime { file: file.to_string(), hint }.into());
        }
        let mut taken: Vec<(&str, &'static str)> = Vec::new();
        for (role, key, names) in listed_roles(data) {
            for name in names {
                table.column(name, key)?;
                if let Some((_, role)) = taken.iter().find(|(column, _)| column == name) {
                    return Err(Error::ColumnRole { column: name.clone(), role, wanted_by: key });
                }
                taken.push((name, role));
            }
        }
        let mut targets = data.targets.clone();
        let mut unused = Vec::new();
        for column in table.columns().iter().filter(|column| !taken.iter().any(|(name, _)| *name == column.name)) {
            let is_numeric = || matches!(column.column_type(), Some(ColumnType::Long | ColumnType::Double));
            let is_named = !column.name.starts_with(UNNAMED);
            if data.targets.is_empty() && is_named && (is_numeric() || is_damaged(column, file)) {
                targets.push(column.name.clone());
            } else {
                unused.push((column.name.clone(), why_unused(column)));
            }
        }
        if targets.is_empty() {
            return Err(SeriesError::NoTargets { file: file.to_string() }.into());
        }
        let mut covariates = Vec::new();
        for (names, is_future) in [(&data.past_covariates, false), (&data.future_covariates, true)] {
            for name in names {
                covariates.push(covariate(table, name, is_future)?);
            }
        }
        let roles = Self { targets, covariates, unused };
        for name in data.valid_range.keys() {
            table.column(name, "`data.valid_range`")?;
            if !roles.numbers().contains(&name.as_str()) {
                return invalid("data.valid_range", format!("`{name}` is neither a target nor a covariate of numbers"));
            }
        }
        Ok(roles)
    }

    /// Columns of numbers: targets, then covariates.
    pub(crate) fn numbers(&self) -> Vec<&str> {
        let covariates = self.covariates.iter().filter(|covariate| !covariate.is_text());
        self.targets.iter().chain(covariates.map(|covariate| &covariate.name)).map(String::as_str).collect()
    }

    /// How many of them, the first, are known up to the forecast only.
    pub(crate) fn n_past_numbers(&self) -> usize {
        let is_past = |covariate: &&Covariate| !covariate.is_text() && !covariate.is_future;
        self.targets.len() + self.covariates.iter().filter(is_past).count()
    }

    /// Columns of text.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let covariates = self.covariates.iter().filter(|covariate| covariate.is_text());
        covariates.map(|covariate| covariate.name.as_str()).collect()
    }
}

fn why_unused(column: &Column) -> &'static str {
    match column.column_type() {
        None => "empty",
        Some(ColumnType::Long | ColumnType::Double) if column.name.starts_with(UNNAMED) => "no name in the header",
        Some(ColumnType::Long | ColumnType::Double) => "not listed",
        Some(_) => "no numbers",
    }
}

fn listed_roles(data: &SeriesDataConfig) -> [(&'static str, &'static str, &[String]); 7] {
    let one = std::slice::from_ref::<String>;
    [
        ("column of timestamps", "`data.time`", one(&data.time)),
        ("column that names the series", "`data.group`", data.group.as_slice()),
        ("target", "`data.targets`", &data.targets),
        ("past covariate", "`data.past_covariates`", &data.past_covariates),
        ("future covariate", "`data.future_covariates`", &data.future_covariates),
        ("holiday column", "`data.holiday`", data.holiday.as_slice()),
        ("ignored column", "`data.ignore_columns`", &data.ignore_columns),
    ]
}

fn covariate(table: &Table, name: &str, is_future: bool) -> Result<Covariate> {
    let column = table.column(name, "the covariates")?;
    let is_text = column.column_type() == Some(ColumnType::String) && !is_damaged(column, table.origin());
    Ok(Covariate { name: name.to_string(), is_future, levels: is_text.then(Vec::new) })
}

/// Numbers but for a few texts: taken for numbers, so that reading them names the first stray text.
fn is_damaged(column: &Column, file: &str) -> bool {
    column.check_not_mixed(file).is_err()
}
