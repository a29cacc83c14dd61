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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns<'a> {
    pub table: &'a Table,
    /// The engineered ones, in the order in which they were made.
    pub made: &'a [Column],
}

impl<'a> Columns<'a> {
    /// The column of that name; an engineered one comes first.
    pub(crate) fn column(self, name: &str, wanted_by: &str) -> Result<&'a Column> {
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
    pub(crate) fn check_names(self) -> Result<()> {
        let clash = |(i, column): (usize, &Column)| {
            let is_twice = self.made[..i].iter().any(|other| other.name == column.name);
            (is_twice || self.table.names().any(|raw| raw == column.name)).then(|| column.name.clone())
        };
        match self.made.iter().enumerate().find_map(clash) {
            Some(column) => Err(Error::EngineeredName { file: self.table.origin().to_string(), column }),
            None => Ok(()),
        }
    }

    fn numbers(self, name: &str, wanted_by: &str, rows: &[u32]) -> Result<Vec<Option<f64>>> {
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
    pub(crate) fn apply(&self, table: &Table) -> Result<Vec<Column>> {
        let mut made: Vec<Column> = Vec::new();
        let rows: Vec<u32> = if *self == Self::default() { Vec::new() } else { (0..table.n_rows() as u32).collect() };
        for date in &self.datetime {
            let parts = date_columns(date, Columns { table, made: &made }, &rows)?;
            made.extend(parts);
        }
        for RatioFeature { numerator, denominator } in &self.ratio {
            let columns = Columns { table, made: &made };
            let above = columns.numbers(numerator, "`features.engineer.ratio`", &rows)?;
            let below = columns.numbers(denominator, "`features.engineer.ratio`", &rows)?;
            let quotients = above.into_iter().zip(below).map(|(a, b)| ratio(a?, b?)).collect();
            made.push(Column::from_numbers(&format!("{numerator}/{denominator}"), quotients));
        }
        for factors in &self.product {
            made.push(product(factors, Columns { table, made: &made }, &rows)?);
        }
        for PowerFeature { column, exponent } in &self.power {
            let source =
                Source { columns: Columns { table, made: &made }, name: column, key: "`features.engineer.power`" };
            made.push(source.map(&format!("{column}^{exponent}"), &rows, |x| x.powf(*exponent))?);
        }
        for column in &self.log1p {
            let source =
                Source { columns: Columns { table, made: &made }, name: column, key: "`features.engineer.log1p`" };
            made.push(source.map(&format!("log1p({column})"), &rows, f64::ln_1p)?);
        }
        Ok(made)
    }
}

fn product(factors: &[String], columns: Columns, rows: &[u32]) -> Result<Column> {
    let key = "`features.engineer.product`";
    let name = factors.join("*");
    let mut product = columns.numbers(&factors[0], key, rows)?;
    for factor in &factors[1..] {
        let values = columns.numbers(factor, key, rows)?;
        for (row, (a, b)) in product.iter_mut().zip(values).enumerate() {
            *a = a.and_then(|a| Some(a * b?));
            if let (Some(a), Some(value)) = (*a, b) {
                check_range(a, &name, factor, value, row, columns.table)?;
            }
        }
    }
    Ok(Column::from_numbers(&name, product))
}

/// A column to compute a new one from.
struct Source<'a> {
    columns: Columns<'a>,
    name: &'a str,
    /// The key that names it.
    key: &'static str,
}

impl Source<'_> {
    /// A column of `f(x)`; an error where that is no number.
    fn map(&self, name: &str, rows: &[u32], f: impl Fn(f64) -> f64) -> Result<Column> {
        let mut values = self.columns.numbers(self.name, self.key, rows)?;
        for (row, value) in values.iter_mut().enumerate() {
            if let Some(x) = *value {
                let y = f(x);
                check_range(y, name, self.name, x, row, self.columns.table)?;
                *value = Some(y);
            }
        }
        Ok(Column::from_numbers(name, values))
    }
}

/// An error if `y`, which `function` made of a value of `column`, is none or beyond what `f32` holds.
fn check_range(y: f64, function: &str, column: &str, value: f64, row: usize, table: &Table) -> Result<()> {
    if y.abs() <= f64::from(f32::MAX) {
        return Ok(());
    }
    let (file, column, function) = (table.origin().to_string(), column.to_string(), function.to_string());
    Err(Error::Undefined { file, column, row: row + 1, value, function })
}

/// Missing where the quotient is none, or beyond what `f32` holds.
fn ratio(above: f64, below: f64) -> Option<f64> {
    let quotient = above / below;
    (quotient.abs() <= f64::from(f32::MAX)).then_some(quotient)
}

fn date_columns(date: &DatetimeFeature, columns: Columns, rows: &[u32]) -> Result<Vec<Column>> {
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
