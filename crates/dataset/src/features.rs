//! New columns computed from raw ones, row by row: the `features.engineer:` block.
//!
//! Nothing is fitted here, so there is nothing to leak: a new column is a raw column to all that follows (imputation,
//! scaling, categories). The block is stored in the [`crate::Preprocessor`], which computes the same columns at inference.
//! The kinds are applied in the order of the fields of [`EngineerConfig`], and each can use what an earlier one made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::datetime::{DateFormat, DatetimePart, Moment};
use crate::error::nearest;
use crate::{Column, Error, Result, Table};

/// Columns to compute from raw ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EngineerConfig {
    /// Numbers taken from dates: `date.month`.
    pub datetime: Vec<DatetimeFeature>,
    /// Quotients: `rooms/households`; missing where the denominator is 0.
    pub ratio: Vec<RatioFeature>,
    /// Products of two or more columns, also called interactions: `age*fare`.
    pub product: Vec<Vec<String>>,
    /// Powers: `age^2`.
    pub power: Vec<PowerFeature>,
    /// Columns whose `ln(1 + x)` is added: `log1p(income)`. For long right tails; values must be above -1.
    pub log1p: Vec<String>,
    /// Columns that only serve to make new ones and are no features themselves. (Dates never are, see `datetime`.)
    pub drop_originals: Vec<String>,
}

/// Numbers taken from one column of dates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatetimeFeature {
    /// The column.
    pub column: String,
    /// How dates are written, such as `%d/%m/%Y %H:%M`; null for `2016-07-01`, with or without a time of day.
    #[serde(default)]
    pub format: Option<String>,
    /// What is taken from each date.
    #[serde(default = "default_parts")]
    pub parts: Vec<DatetimePart>,
    /// Writes what repeats itself (months, days, weekdays, hours ..) as sine and cosine, so that December is near January.
    #[serde(default)]
    pub cyclic: bool,
    /// Keeps the dates themselves too, each as a category of its own.
    #[serde(default)]
    pub keep_original: bool,
}

fn default_parts() -> Vec<DatetimePart> {
    use DatetimePart::{DayOfYear, EpochDays, Hour, IsWeekend, Month, Weekday, Year};
    vec![Year, Month, Weekday, Hour, IsWeekend, DayOfYear, EpochDays]
}

/// One column over another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RatioFeature {
    /// The column above the line.
    pub numerator: String,
    /// The column below the line.
    pub denominator: String,
}

/// A column to a power.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerFeature {
    /// The column.
    pub column: String,
    /// The exponent, such as 2 or 0.5.
    pub exponent: f64,
}

/// Raw and engineered columns under one roof.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    pub table: Table,
    /// The engineered ones, in the order in which they were made.
    pub made: Vec<Column>,
}

impl Columns {
    /// The column of that name; an engineered one comes first.
    pub(crate) fn column(&self, name: &str, wanted_by: &str) -> Result<&Column> {
        if let Some(made) = self.made.iter().find(|column| column.name == name) {
            return Ok(made);
        }
        if self.made.is_empty() || self.table.names().any(|raw| raw == name) {
            return self.table.column(name, wanted_by);
        }
        let names: Vec<&str> = self.table.names().chain(self.made.iter().map(|column| column.name.as_str())).collect();
        Err(Error::NoColumn {
            file: self.table.origin().to_string(),
            column: name.to_string(),
            wanted_by: wanted_by.to_string(),
            hint: nearest(name, names.iter().copied()),
        })
    }

    /// Checks that no new column has the name of another one.
    pub(crate) fn check_names(&self) -> Result<()> {
        let clash = |(i, column): (usize, &Column)| {
            let is_twice = self.made[..i].iter().any(|other| other.name == column.name);
            (is_twice || self.table.names().any(|raw| raw == column.name)).then(|| column.name.clone())
        };
        match self.made.iter().enumerate().find_map(clash) {
            Some(column) => Err(Error::EngineeredName { file: self.table.origin().to_string(), column }),
            None => Ok(()),
        }
    }

    fn numbers(&self, name: &str, wanted_by: &str, rows: &[u32]) -> Result<Vec<Option<f64>>> {
        self.column(name, wanted_by)?.numbers(rows, self.table.origin())
    }
}

impl EngineerConfig {
    /// Finds what is wrong with the settings themselves.
    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |key, problem: String| Err(Error::Setting { key, problem });
        if let Some(few) = self.product.iter().find(|columns| columns.len() < 2) {
            return invalid("features.engineer.product", format!("`{few:?}` is no list of at least two columns"));
        }
        if let Some(power) = self.power.iter().find(|power| !power.exponent.is_finite() || power.exponent == 0.0) {
            let problem = format!("{} is no exponent that makes a new column of `{}`", power.exponent, power.column);
            return invalid("features.engineer.power", problem);
        }
        for date in &self.datetime {
            if date.parts.is_empty() {
                return invalid(
                    "features.engineer.datetime",
                    format!("`{}` has an empty list of `parts`", date.column),
                );
            }
            if let Some(format) = &date.format {
                DateFormat::new(format)
                    .map_err(|problem| Error::Setting { key: "features.engineer.datetime", problem })?;
            }
        }
        let sources = self.sources();
        match self.drop_originals.iter().find(|name| !sources.contains(&name.as_str())) {
            Some(name) => {
                let problem = format!("nothing is made of `{name}`; to leave it out use `data.ignore_columns`");
                invalid("features.engineer.drop_originals", problem)
            }
            None => Ok(()),
        }
    }

    /// The columns that something is made of, raw and engineered, each once, with the key that names it first.
    fn used(&self) -> Vec<(&str, &'static str)> {
        let dates = self.datetime.iter().map(|date| (date.column.as_str(), "`features.engineer.datetime`"));
        let ratios = self.ratio.iter().flat_map(|ratio| {
            [&ratio.numerator, &ratio.denominator].map(|name| (name.as_str(), "`features.engineer.ratio`"))
        });
        let products = self.product.iter().flatten().map(|name| (name.as_str(), "`features.engineer.product`"));
        let powers = self.power.iter().map(|power| (power.column.as_str(), "`features.engineer.power`"));
        let logs = self.log1p.iter().map(|name| (name.as_str(), "`features.engineer.log1p`"));
        let mut used: Vec<(&str, &'static str)> = Vec::new();
        for (name, key) in dates.chain(ratios).chain(products).chain(powers).chain(logs) {
            if !used.iter().any(|(seen, _)| *seen == name) {
                used.push((name, key));
            }
        }
        used
    }

    fn sources(&self) -> Vec<&str> {
        self.used().into_iter().map(|(name, _)| name).collect()
    }

    /// Whether something is made of this column.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.sources().contains(&name)
    }

    /// Whether a column is replaced by what is made of it.
    pub(crate) fn replaces(&self, name: &str) -> bool {
        self.drop_originals.iter().any(|dropped| dropped == name)
            || self.datetime.iter().any(|date| date.column == name && !date.keep_original)
    }

    /// Checks that no source is the target or the split column (`taken`: name and role), for that would give the answer away.
    pub(crate) fn check_sources(&self, taken: &[(&str, &'static str)]) -> Result<()> {
        for (name, key) in self.used() {
            if let Some((_, role)) = taken.iter().find(|(taken, _)| *taken == name) {
                return Err(Error::ColumnRole { column: name.to_string(), role, wanted_by: key });
            }
        }
        Ok(())
    }

    /// Computes the new columns of every row.
    pub(crate) fn apply(&self, table: &Table) -> Result<Columns> {
        let mut columns = Columns { table: table.clone(), made: Vec::new() };
        let rows: Vec<u32> = (0..table.n_rows() as u32).collect();
        for date in &self.datetime {
            let made = date_columns(date, &columns, &rows)?;
            columns.made.extend(made);
        }
        for RatioFeature { numerator, denominator } in &self.ratio {
            let above = columns.numbers(numerator, "`features.engineer.ratio`", &rows)?;
            let below = columns.numbers(denominator, "`features.engineer.ratio`", &rows)?;
            let quotients = above.into_iter().zip(below).map(|(a, b)| ratio(a?, b?)).collect();
            columns.made.push(Column::from_numbers(&format!("{numerator}/{denominator}"), quotients));
        }
        for factors in &self.product {
            let mut product = columns.numbers(&factors[0], "`features.engineer.product`", &rows)?;
            for factor in &factors[1..] {
                let factor = columns.numbers(factor, "`features.engineer.product`", &rows)?;
                product.iter_mut().zip(factor).for_each(|(a, b)| *a = a.and_then(|a| Some(a * b?)));
            }
            columns.made.push(Column::from_numbers(&factors.join("*"), product));
        }
        for PowerFeature { column, exponent } in &self.power {
            let made = map(&columns, column, "`features.engineer.power`", &format!("{column}^{exponent}"), |x| {
                x.powf(*exponent)
            })?;
            columns.made.push(made);
        }
        for column in &self.log1p {
            let made = map(&columns, column, "`features.engineer.log1p`", &format!("log1p({column})"), f64::ln_1p)?;
            columns.made.push(made);
        }
        Ok(columns)
    }
}

/// Missing where the quotient is none, or beyond what `f32` holds.
fn ratio(above: f64, below: f64) -> Option<f64> {
    let quotient = above / below;
    (quotient.abs() <= f64::from(f32::MAX)).then_some(quotient)
}

/// A column of `f(x)`; an error where that is no number.
fn map(columns: &Columns, source: &str, key: &str, name: &str, f: impl Fn(f64) -> f64) -> Result<Column> {
    let rows: Vec<u32> = (0..columns.table.n_rows() as u32).collect();
    let values = columns.numbers(source, key, &rows)?;
    let results: Vec<Option<f64>> = values.iter().map(|value| value.map(&f)).collect();
    let is_wrong = |result: &Option<f64>| result.is_some_and(|y| !(y.abs() <= f64::from(f32::MAX)));
    match results.iter().position(is_wrong) {
        None => Ok(Column::from_numbers(name, results)),
        Some(row) => Err(Error::Undefined {
            file: columns.table.origin().to_string(),
            column: source.to_string(),
            row: row + 1,
            value: values[row].unwrap_or_default(),
            function: name.to_string(),
        }),
    }
}

fn date_columns(date: &DatetimeFeature, columns: &Columns, rows: &[u32]) -> Result<Vec<Column>> {
    let column = columns.column(&date.column, "`features.engineer.datetime`")?;
    let format = date.format.as_deref().unwrap_or(DateFormat::ISO);
    let problem = |problem| Error::Setting { key: "features.engineer.datetime", problem };
    let parsed = DateFormat::new(format).map_err(problem)?;
    let moments: Vec<Option<Option<Moment>>> = column.map_texts(rows, |text| text.map(|text| parsed.parse(text)));
    if let Some(row) = moments.iter().position(|moment| *moment == Some(None)) {
        return Err(Error::NotADate {
            file: columns.table.origin().to_string(),
            column: date.column.clone(),
            row: row + 1,
            value: column.text(row).unwrap_or_default().into_owned(),
            format: if date.format.is_some() { format } else { "2016-07-01 or 2016-07-01 18:30:00" }.to_string(),
        });
    }
    let made = |name: &str, f: &dyn Fn(Moment) -> f64| {
        let numbers = moments.iter().map(|moment| moment.flatten().map(f)).collect();
        Column::from_numbers(&format!("{}.{name}", date.column), numbers)
    };
    let of_part = |&part: &DatetimePart| {
        let name = part.name();
        match part.turn().filter(|_| date.cyclic) {
            Some(turn) => vec![
                made(&format!("{name}_sin"), &|moment| (turn(moment) * std::f64::consts::TAU).sin()),
                made(&format!("{name}_cos"), &|moment| (turn(moment) * std::f64::consts::TAU).cos()),
            ],
            None => vec![made(name, &|moment| part.of(moment))],
        }
    };
    Ok(date.parts.iter().flat_map(of_part).collect())
}
