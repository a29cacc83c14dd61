//! How the values of raw columns are distributed: what later data is compared with.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::preprocessor::merged_integers;
use crate::{Column, ColumnType, Error, Preprocessor, Result, Source, Table};

/// The layout of the stored JSON. Raise it when a field is added or changes its meaning.
const VERSION: u32 = 1;
/// Quantiles of a column of numbers, at most.
const MOST_QUANTILES: usize = 1001;
/// Levels of a column of texts that are counted one by one, at most.
const MOST_LEVELS: usize = 1000;

/// The distribution of each column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    version: u32,
    /// The rows that were looked at.
    pub n_rows: usize,
    /// The raw columns that the model uses, in file order.
    pub columns: Vec<ColumnProfile>,
    /// The target, where the table has it.
    pub target: Option<ColumnProfile>,
    /// What the model predicts for rows that it did not learn from: `y_pred` and probabilities.
    #[serde(default)]
    pub predictions: Vec<ColumnProfile>,
}

/// The distribution of one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnProfile {
    /// The column's name.
    pub name: String,
    /// The rows, with those that miss a value.
    pub n_rows: usize,
    /// The rows that miss a value.
    pub n_missing: usize,
    /// What the others hold.
    pub values: ProfileValues,
}

/// What is known of the values that are not missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProfileValues {
    /// Numbers; booleans are 0 and 1.
    Numbers {
        /// Their mean; 0 without values.
        mean: f64,
        /// Their population standard deviation; 0 without values.
        sd: f64,
        /// From the smallest to the largest at equal steps of the share: all values, sorted, where there are no more than
        /// 1,001, else 1,001 linear quantiles.
        quantiles: Vec<f64>,
    },
    /// Texts.
    Levels {
        /// Up to 1,000 levels with their rows, most rows first, then by name.
        counts: Vec<(String, usize)>,
        /// Rows of all other levels.
        n_rest: usize,
        /// How many other levels there are.
        n_rest_levels: usize,
    },
}

impl Source {
    /// The train rows' distributions of the columns that the model uses, and of the target.
    pub fn profile(&self) -> Result<Profile> {
        Profile::of_rows(&self.preprocessor, &self.table, &self.plan.rows[0])
            .map_err(|error| error.located(self.table.files()))
    }
}

impl Profile {
    /// The distributions of the model's columns in all rows of a table, and of the target where the table has it.
    pub fn of_table(preprocessor: &Preprocessor, table: &Table) -> Result<Self> {
        let rows: Vec<u32> = (0..table.n_rows() as u32).collect();
        Self::of_rows(preprocessor, table, &rows).map_err(|error| error.below(table.first_row()))
    }

    fn of_rows(preprocessor: &Preprocessor, table: &Table, rows: &[u32]) -> Result<Self> {
        let of = |name: &str, is_text: bool| {
            let column = table.column(name, "the model's inputs")?;
            if is_text { Ok(levels_of(column, rows)) } else { numbers_of(column, rows, table.origin()) }
        };
        let raw = preprocessor.raw.iter();
        let columns = raw.map(|raw| of(&raw.name, raw.column_type == ColumnType::String)).collect::<Result<_>>()?;
        let target = &preprocessor.target;
        let has_target = table.names().any(|name| name == target.name);
        let target = has_target.then(|| match target.labels() {
            [] => of(&target.name, false),
            labels => {
                let classes = target.encode(table, rows)?;
                Ok(ColumnProfile::of_levels(
                    &target.name,
                    classes.iter().map(|&class| Some(labels[class as usize].as_str())),
                ))
            }
        });
        let target = target.transpose()?;
        Ok(Self { version: VERSION, n_rows: rows.len(), columns, target, predictions: Vec::new() })
    }

    /// The same profile, with what the model predicts.
    pub fn with_predictions(self, predictions: Vec<ColumnProfile>) -> Self {
        Self { predictions, ..self }
    }

    /// JSON, which [`Profile::from_json`] reads.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| unusable(error.to_string()))
    }

    /// Reads what `to_json` wrote.
    pub fn from_json(json: &str) -> Result<Self> {
        let profile: Self = serde_json::from_str(json).map_err(|error| unusable(error.to_string()))?;
        if profile.version != VERSION {
            let reason = format!(
                "it has version {}, this program reads version {VERSION}; train the model again",
                profile.version
            );
            return Err(unusable(reason));
        }
        Ok(profile)
    }
}

impl ColumnProfile {
    /// Of numbers; `None` and NaN are missing.
    pub fn of_numbers(name: &str, numbers: impl Iterator<Item = Option<f64>>) -> Self {
        let (mut present, mut n_rows) = (Vec::new(), 0);
        numbers
            .inspect(|_| n_rows += 1)
            .flatten()
            .filter(|number| !number.is_nan())
            .for_each(|number| present.push(number));
        present.sort_unstable_by(f64::total_cmp);
        let n = present.len().max(1) as f64;
        let mean = present.iter().sum::<f64>() / n;
        let sd = (present.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        let n_missing = n_rows - present.len();
        let values = ProfileValues::Numbers { mean, sd, quantiles: quantiles(present) };
        Self { name: name.to_string(), n_rows, n_missing, values }
    }

    /// Of texts; `None` is missing.
    pub fn of_levels<'a>(name: &str, levels: impl Iterator<Item = Option<&'a str>>) -> Self {
        let (mut counts, mut n_missing) = (HashMap::<&str, usize>::new(), 0);
        for level in levels {
            match level {
                Some(level) => *counts.entry(level).or_default() += 1,
                None => n_missing += 1,
            }
        }
        let counts = counts.into_iter().map(|(level, n)| (level.to_string(), n)).collect();
        Self::of_counts(name, counts, n_missing)
    }

    fn of_counts(name: &str, mut counts: Vec<(String, usize)>, n_missing: usize) -> Self {
        let n_rows = n_missing + counts.iter().map(|(_, n)| n).sum::<usize>();
        counts.sort_unstable_by(|(a, n_a), (b, n_b)| n_b.cmp(n_a).then(a.cmp(b)));
        let rest = counts.split_off(MOST_LEVELS.min(counts.len()));
        let values =
            ProfileValues::Levels { counts, n_rest: rest.iter().map(|(_, n)| n).sum(), n_rest_levels: rest.len() };
        Self { name: name.to_string(), n_rows, n_missing, values }
    }
}

fn numbers_of(column: &Column, rows: &[u32], file: &str) -> Result<ColumnProfile> {
    let numbers = column.numbers(rows, file)?;
    Ok(ColumnProfile::of_numbers(&column.name, numbers.into_iter()))
}

fn levels_of(column: &Column, rows: &[u32]) -> ColumnProfile {
    let (counts, n_missing) = column.count_texts(rows);
    ColumnProfile::of_counts(&column.name, merged_integers(counts).into_iter().collect(), n_missing)
}

/// Of sorted values.
fn quantiles(sorted: Vec<f64>) -> Vec<f64> {
    if sorted.len() <= MOST_QUANTILES {
        return sorted;
    }
    let quantile = |i: usize| {
        let place = i as f64 / (MOST_QUANTILES - 1) as f64 * (sorted.len() - 1) as f64;
        let (below, above) = (sorted[place as usize], sorted[(place as usize + 1).min(sorted.len() - 1)]);
        below + (above - below) * place.fract()
    };
    (0..MOST_QUANTILES).map(quantile).collect()
}

fn unusable(reason: String) -> Error {
    Error::Profile { reason }
}
