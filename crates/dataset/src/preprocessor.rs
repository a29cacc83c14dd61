//! Raw columns to network inputs: fitted on the train rows, stored with the model, applied again at inference.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::column::{is_digits, without_zeros};
use crate::features::Columns;
use crate::scaler::Scaler;
use crate::target::{Target, TargetEncoding};
use crate::{
    CategoricalEncoding, Column, ColumnType, EngineerConfig, Error, FeaturesConfig, Imputation, Part, Result, Table,
};

/// The layout of the stored JSON. Raise it when a field is added or changes its meaning.
///
/// - 1: numbers with `fill` and `scaler` (`none`, `standard`, `min_max`), categories, target with `mean` and `std`.
/// - 2: the scaler `quantile_normal`, `transform` of a numeric target, `raw` and `engineer`.
const VERSION: u32 = 2;

/// Encoded between two cuts of the table.
const ROWS_AT_ONCE: usize = 1 << 20;

const OTHER: &str = "<other>";
const MISSING: &str = "<missing>";

/// Everything that turns raw columns into a network's inputs, and its outputs back into the target's terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessor {
    version: u32,
    /// The raw columns that `transform` needs, in file order.
    pub raw: Vec<RawColumn>,
    /// What is computed from them first.
    pub engineer: EngineerConfig,
    /// The raw and computed columns that are encoded, in the order of the features.
    pub inputs: Vec<Input>,
    /// One-hot columns or embedding indices.
    pub categorical: CategoricalEncoding,
    /// The target column.
    pub target: Target,
}

/// A column that the data must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawColumn {
    /// The column's name.
    pub name: String,
    /// The column's type in the file.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether the train rows had missing values.
    pub nullable: bool,
}

/// One raw or computed column and what becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The column's name.
    pub name: String,
    /// The column's type in the file.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether the train rows had missing values.
    pub nullable: bool,
    /// How its values become numbers.
    pub encoder: Encoder,
}

/// Where the encoded values of one input stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputColumns {
    /// The input's name.
    pub name: String,
    /// Columns of `Part::numeric`.
    pub numeric: Vec<Range<usize>>,
    /// Column of `Part::categorical`.
    pub categorical: Option<usize>,
}

/// How the values of a column become numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoder {
    /// A number: filled in, then scaled. Booleans are 0 and 1.
    Numeric {
        /// Stands in for a missing value.
        fill: f64,
        /// Applied after filling in.
        scaler: Scaler,
        /// Whether a 0/1 column tells which values were missing.
        missing_indicator: bool,
    },
    /// A level: slots are `levels` in order, then `<other>`, then `<missing>`.
    ///
    /// A level that the train rows did not have goes to `<other>`, or else has no slot: all zeros as one-hot columns,
    /// index 0 as an embedding index (slot `i` has index `i + 1`).
    Category {
        /// Levels with a slot of their own, sorted.
        levels: Vec<String>,
        /// Whether rare levels share a slot.
        other: bool,
        /// Whether missing values have a slot.
        missing: bool,
    },
}

impl Input {
    /// Fits the encoder on the train rows. `None` if the column tells no train row from another.
    pub(crate) fn fit(
        column: &Column,
        column_type: ColumnType,
        train: &[u32],
        config: &FeaturesConfig,
        file: &str,
    ) -> Result<Option<Self>> {
        let nullable = train.iter().any(|&row| column.is_missing(row as usize));
        let encoder = match column_type {
            ColumnType::String => fit_category(column, train, config),
            _ => fit_numeric(&column.numbers(train, file)?, nullable, &config.of_column(&column.name)),
        };
        Ok(encoder.map(|encoder| Self { name: column.name.clone(), column_type, nullable, encoder }))
    }

    fn has_indicator(&self) -> bool {
        matches!(self.encoder, Encoder::Numeric { missing_indicator: true, .. })
    }

    /// The number of one-hot columns of a categorical column.
    pub(crate) fn n_slots(&self) -> usize {
        match &self.encoder {
            Encoder::Numeric { .. } => 0,
            Encoder::Category { levels, other, missing } => levels.len() + usize::from(*other) + usize::from(*missing),
        }
    }
}

fn fit_numeric(cells: &[Option<f64>], nullable: bool, config: &FeaturesConfig) -> Option<Encoder> {
    let mut present: Vec<f64> = cells.iter().flatten().copied().collect();
    let first = *present.first()?;
    let missing_indicator = config.missing_indicator && nullable;
    let fill = match config.impute {
        Imputation::Mean => present.iter().sum::<f64>() / present.len() as f64,
        Imputation::Median => median(&mut present),
        Imputation::MostFrequent => most_frequent(&mut present),
        Imputation::Constant => config.fill_value,
    };
    let filled: Vec<f64> = cells.iter().map(|cell| cell.unwrap_or(fill)).collect();
    let is_constant = filled.iter().all(|&x| x == first);
    let scaler = Scaler::fit(config.scaling, &filled);
    (!is_constant || missing_indicator).then_some(Encoder::Numeric { fill, scaler, missing_indicator })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// The value that occurs most often; the smallest of several such.
fn most_frequent(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let mut best: &[f64] = &[];
    for equal in values.chunk_by(|a, b| a == b) {
        if equal.len() > best.len() {
            best = equal;
        }
    }
    best.first().copied().unwrap_or_default()
}

fn fit_category(column: &Column, train: &[u32], config: &FeaturesConfig) -> Option<Encoder> {
    let (counts, n_missing) = column.count_texts(train);
    let counts = merged_integers(counts);
    let missing = n_missing > 0;
    if counts.is_empty() || counts.len() + usize::from(missing) < 2 {
        return None;
    }
    let n_seen = counts.len();
    let mut levels: Vec<(String, usize)> = counts.into_iter().collect();
    levels.sort_unstable_by(|(a, n_a), (b, n_b)| n_b.cmp(n_a).then(a.cmp(b)));
    levels.retain(|(_, count)| *count >= config.min_frequency);
    let most = config.max_categories.map_or(usize::MAX, |most| most - usize::from(missing));
    if levels.len() + usize::from(levels.len() < n_seen) > most {
        levels.truncate(most - 1);
    }
    let other = levels.len() < n_seen;
    if levels.len() + usize::from(other) + usize::from(missing) < 2 {
        return None;
    }
    let mut levels: Vec<String> = levels.into_iter().map(|(level, _)| level).collect();
    levels.sort_unstable();
    Some(Encoder::Category { levels, other, missing })
}

/// Where all levels are integers, `1.0` is counted as `1`: which one a file says depends on the program that wrote it.
pub(crate) fn merged_integers(counts: HashMap<String, usize>) -> HashMap<String, usize> {
    if !counts.keys().all(|level| is_digits(without_zeros(level))) {
        return counts;
    }
    let mut merged = HashMap::new();
    counts.into_iter().for_each(|(level, n)| *merged.entry(without_zeros(&level).to_string()).or_default() += n);
    merged
}

impl Preprocessor {
    pub(crate) fn new(raw: Vec<RawColumn>, inputs: Vec<Input>, features: &FeaturesConfig, target: Target) -> Self {
        let (engineer, categorical) = (features.engineer.clone(), features.categorical);
        Self { version: VERSION, raw, engineer, inputs, categorical, target }
    }

    /// Columns of `Part::numeric`.
    pub fn n_numeric(&self) -> usize {
        self.feature_names().len() - self.cardinalities().len()
    }

    /// How many columns of `Part::numeric`, from the left, hold real numbers; the others hold 0 or 1.
    pub fn n_real(&self) -> usize {
        self.numbers().count()
    }

    /// Embedding rows needed per column of `Part::categorical`; index 0 is for unknown levels. Empty under one-hot.
    pub fn cardinalities(&self) -> Vec<usize> {
        match self.categorical {
            CategoricalEncoding::OneHot => Vec::new(),
            CategoricalEncoding::Embedding => self.categories().map(|input| input.n_slots() + 1).collect(),
        }
    }

    /// Names of the columns of `Part::numeric`, then of `Part::categorical`.
    ///
    /// Numbers first, then missing indicators (`age=<missing>`), then one-hot columns (`sex=Male`).
    pub fn feature_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.numbers().map(|input| input.name.clone()).collect();
        names.extend(self.numbers().filter(|input| input.has_indicator()).map(|i| format!("{}={MISSING}", i.name)));
        for input in self.categories() {
            let Encoder::Category { levels, other, missing } = &input.encoder else { continue };
            if self.categorical == CategoricalEncoding::Embedding {
                names.push(input.name.clone());
                continue;
            }
            let slots =
                levels.iter().map(String::as_str).chain(other.then_some(OTHER)).chain(missing.then_some(MISSING));
            names.extend(slots.map(|slot| format!("{}={slot}", input.name)));
        }
        names
    }

    /// Where the values of each input stand, in the order of `inputs`.
    pub fn input_columns(&self) -> Vec<InputColumns> {
        let (mut number, mut indicator) = (0, self.n_real());
        let mut slot = indicator + self.numbers().filter(|input| input.has_indicator()).count();
        let mut index = 0;
        let columns_of = |input: &Input| {
            let (mut numeric, mut categorical) = (Vec::new(), None);
            match (&input.encoder, self.categorical) {
                (Encoder::Numeric { .. }, _) => {
                    numeric.push(number..number + 1);
                    number += 1;
                    if input.has_indicator() {
                        numeric.push(indicator..indicator + 1);
                        indicator += 1;
                    }
                }
                (Encoder::Category { .. }, CategoricalEncoding::OneHot) => {
                    numeric.push(slot..slot + input.n_slots());
                    slot += input.n_slots();
                }
                (Encoder::Category { .. }, CategoricalEncoding::Embedding) => {
                    categorical = Some(index);
                    index += 1;
                }
            }
            InputColumns { name: input.name.clone(), numeric, categorical }
        };
        self.inputs.iter().map(columns_of).collect()
    }

    fn numbers(&self) -> impl Iterator<Item = &Input> {
        self.inputs.iter().filter(|input| matches!(input.encoder, Encoder::Numeric { .. }))
    }

    fn categories(&self) -> impl Iterator<Item = &Input> {
        self.inputs.iter().filter(|input| matches!(input.encoder, Encoder::Category { .. }))
    }

    /// Encodes every row of a table with the same columns in any order; others are ignored, the target is not needed.
    ///
    /// The part's `target` is empty: see [`Preprocessor::encode_target`].
    pub fn transform(&self, table: &Table) -> Result<Part> {
        let encode = || {
            let made = self.engineer.apply(table)?;
            self.encode(Columns { table, made: &made }, (0..table.n_rows() as u32).collect())
        };
        encode().map_err(|error| error.below(table.first_row()))
    }

    /// For each of `inputs`, in how many rows of a table it is a category that no train row had. 0 for numbers, and where
    /// rare categories share a slot: there unknown ones are among these.
    pub fn count_unknown(&self, table: &Table) -> Result<Vec<usize>> {
        let rows: Vec<u32> = (0..table.n_rows() as u32).collect();
        let count = |input: &Input| {
            let Encoder::Category { levels, other: false, .. } = &input.encoder else { return Ok(0) };
            let are_integers = levels.iter().all(|level| is_digits(level));
            let is_known = |text: &str| {
                let text = if are_integers { without_zeros(text) } else { text };
                levels.binary_search_by(|level| level.as_str().cmp(text)).is_ok()
            };
            let column = table.column(&input.name, "the model's inputs")?;
            let known = column.map_texts(&rows, |text| text.is_none_or(is_known));
            Ok(known.into_iter().filter(|is_known| !is_known).count())
        };
        self.inputs.iter().map(count).collect()
    }

    /// The target of every row of a table that has it: class indices, or numbers in their own units.
    pub fn encode_target(&self, table: &Table) -> Result<Vec<f32>> {
        let rows: Vec<u32> = (0..table.n_rows() as u32).collect();
        self.target.encode(table, &rows).map_err(|error| error.below(table.first_row()))
    }

    /// Encodes the given rows; `target` stays empty.
    pub(crate) fn encode(&self, columns: Columns, rows: Vec<u32>) -> Result<Part> {
        let mut part = Part::empty(rows, Vec::new());
        self.make_room(&mut part);
        self.fill(columns, 0, &mut part)?;
        Ok(part)
    }

    /// Encodes the rows of all parts and takes the table down on the way: a large table and all of its encoded rows need
    /// not stand in memory together.
    pub(crate) fn encode_all(&self, mut table: Table, mut made: Vec<Column>, parts: &mut [&mut Part]) -> Result<()> {
        parts.iter_mut().for_each(|part| self.make_room(part));
        // From the end, because that is where a column can be cut.
        for start in (0..table.n_rows()).step_by(ROWS_AT_ONCE).rev() {
            let columns = Columns { table: &table, made: &made };
            parts.iter_mut().try_for_each(|part| self.fill(columns, start as u32, part))?;
            table.truncate(start);
            made.iter_mut().for_each(|column| column.truncate(start));
        }
        Ok(())
    }

    /// Zeros for all rows; they take no memory until they are written.
    fn make_room(&self, part: &mut Part) {
        part.numeric = vec![0.0; part.n_rows() * self.n_numeric()];
        part.categorical = vec![0; part.n_rows() * self.cardinalities().len()];
    }

    /// Encodes those rows of the part that lie between `start` and the end of the table.
    fn fill(&self, columns: Columns, start: u32, part: &mut Part) -> Result<()> {
        let from = part.row_numbers.partition_point(|&row| row < start);
        let to = part.row_numbers.partition_point(|&row| (row as usize) < columns.table.n_rows());
        let rows = &part.row_numbers[from..to];
        let (width, n_categorical) = (self.n_numeric(), self.cardinalities().len());
        let numeric = &mut part.numeric[from * width..to * width];
        let categorical = &mut part.categorical[from * n_categorical..to * n_categorical];
        for (j, input) in self.numbers().enumerate() {
            let indicator = input.has_indicator().then(|| self.indicator_index(&input.name));
            fill_numbers(numeric, width, j, indicator, input, columns, rows)?;
        }
        let mut n_done = self.numbers().count() + self.numbers().filter(|input| input.has_indicator()).count();
        for (j, input) in self.categories().enumerate() {
            let slots = input_slots(input, columns, rows)?;
            for (i, slot) in slots.into_iter().enumerate().filter_map(|(i, slot)| Some((i, slot?))) {
                match self.categorical {
                    CategoricalEncoding::OneHot => numeric[i * width + n_done + slot] = 1.0,
                    CategoricalEncoding::Embedding => categorical[i * n_categorical + j] = slot as u32 + 1,
                }
            }
            n_done += input.n_slots();
        }
        Ok(())
    }

    fn indicator_index(&self, name: &str) -> usize {
        let before = self.numbers().filter(|input| input.has_indicator()).take_while(|input| input.name != name);
        self.numbers().count() + before.count()
    }

    /// Regression: a value in its own units -> transformed, then mean 0 and standard deviation 1 over the train rows, as
    /// far as `data.target_transform` and `data.target_scaling` say so. Classes stay.
    pub fn standardize(&self, value: f32) -> f32 {
        match &self.target.encoding {
            TargetEncoding::Number { transform, mean, std } => {
                ((transform.apply(f64::from(value)) - mean) / std) as f32
            }
            TargetEncoding::Classes { .. } => value,
        }
    }

    /// The inverse of [`Preprocessor::standardize`].
    pub fn restore(&self, value: f32) -> f32 {
        match &self.target.encoding {
            TargetEncoding::Number { transform, mean, std } => {
                // A wild output of the network must not become infinite: it would hide every other row's error.
                let number = transform.invert(f64::from(value) * std + mean);
                number.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
            }
            TargetEncoding::Classes { .. } => value,
        }
    }

    /// JSON from which [`Preprocessor::from_json`] makes an identical one, to the last bit.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|error| Error::Preprocessor { reason: error.to_string() })
    }

    /// Reads what `to_json` wrote.
    pub fn from_json(json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let unusable = |error: serde_json::Error| Error::Preprocessor { reason: error.to_string() };
        let Versioned { version } = serde_json::from_str(json).map_err(unusable)?;
        if version != VERSION {
            let reason =
                format!("it has version {version}, this program reads version {VERSION}; train the model again");
            return Err(Error::Preprocessor { reason });
        }
        let preprocessor: Self = serde_json::from_str(json).map_err(unusable)?;
        let scalers = preprocessor.inputs.iter().map(|input| match &input.encoder {
            Encoder::Numeric { scaler, .. } => scaler.check().map_err(|reason| format!("`{}`: {reason}", input.name)),
            Encoder::Category { .. } => Ok(()),
        });
        let checks = scalers.chain([preprocessor.target.check()]).collect::<std::result::Result<(), String>>();
        checks.map_err(|reason| Error::Preprocessor { reason })?;
        Ok(preprocessor)
    }
}

fn fill_numbers(
    numeric: &mut [f32],
    width: usize,
    place: usize,
    indicator: Option<usize>,
    input: &Input,
    columns: Columns,
    rows: &[u32],
) -> Result<()> {
    let Encoder::Numeric { fill, scaler, .. } = &input.encoder else { return Ok(()) };
    let numbers = columns.column(&input.name, "the model's inputs")?.numbers(rows, columns.table.origin())?;
    for (row, number) in numeric.chunks_exact_mut(width).zip(numbers) {
        // A tiny deviation makes huge numbers; an infinite one would make every figure of the model NaN.
        let scaled = scaler.apply(number.unwrap_or(*fill)).clamp(f64::from(f32::MIN), f64::from(f32::MAX));
        row[place] = scaled as f32;
        if let Some(indicator) = indicator {
            row[indicator] = f32::from(number.is_none());
        }
    }
    Ok(())
}

/// The slot of each row's level; `None` for an unknown one.
fn input_slots(input: &Input, columns: Columns, rows: &[u32]) -> Result<Vec<Option<usize>>> {
    let Encoder::Category { levels, other, missing } = &input.encoder else { return Ok(Vec::new()) };
    let column = columns.column(&input.name, "the model's inputs")?;
    let index: HashMap<&str, usize> = levels.iter().enumerate().map(|(i, level)| (level.as_str(), i)).collect();
    let other_slot = other.then_some(levels.len());
    let missing_slot = missing.then_some(levels.len() + usize::from(*other));
    let are_integers = levels.iter().all(|level| is_digits(level));
    let slot = |text: Option<&str>| match text {
        None => missing_slot,
        Some(level) => index.get(if are_integers { without_zeros(level) } else { level }).copied().or(other_slot),
    };
    Ok(column.map_texts(rows, slot))
}
