//! Predictions of a chunk of raw rows, as columns of a file.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Result, bail};
use dataset::{ColumnCheck, EncodedRows, FileColumn, OutputColumn, OutputType, Preprocessor, RowWriter, Rows, Table};
use modeling::Task;

use crate::console::number;
use crate::exit::Mistake;
use crate::tabular::outputs::proba_names;
use crate::tabular::predictor::Predictor;

/// From this share of a column's values on that a model does not know, the column is most likely another one.
const MANY_UNKNOWN: f64 = 0.01;

/// Which columns of the file stand beside the predictions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Keep {
    /// All that can be read.
    #[default]
    All,
    /// Those that identify a row.
    Ids,
    /// None.
    None,
    /// These.
    Named(Vec<String>),
}

impl FromStr for Keep {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "all" => Self::All,
            "ids" => Self::Ids,
            "none" => Self::None,
            names => Self::Named(names.split(',').map(|name| name.trim().to_owned()).collect()),
        })
    }
}

/// Where the time of all threads went, in seconds, and what was met on the way.
#[derive(Debug, Clone, Default)]
pub struct Spent {
    /// Reading the file.
    pub reading: f64,
    /// Understanding its cells and encoding them.
    pub encoding: f64,
    /// In the network.
    pub network: f64,
    /// Making the bytes that are written.
    pub writing: f64,
    n_rows: usize,
    /// Values that the model does not know, by input.
    unknown: Vec<usize>,
}

impl Spent {
    /// Adds another chunk's.
    pub fn add(&mut self, other: Self) {
        self.reading += other.reading;
        self.encoding += other.encoding;
        self.network += other.network;
        self.writing += other.writing;
        self.n_rows += other.n_rows;
        self.unknown.resize(other.unknown.len(), 0);
        self.unknown.iter_mut().zip(other.unknown).for_each(|(sum, n)| *sum += n);
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [reading, encoding, network, writing] =
            [self.reading, self.encoding, self.network, self.writing].map(number);
        write!(f, "thread seconds: reading {reading}, encoding {encoding}, network {network}, writing {writing}")
    }
}

/// A model that turns chunks of rows into chunks of a file.
pub struct BatchPredictor {
    predictor: Predictor,
    threshold: f32,
}

impl BatchPredictor {
    /// `threshold`: of two classes, the positive one is predicted from this probability on.
    pub fn new(predictor: Predictor, threshold: f32) -> Result<Self, Mistake> {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Mistake::new(format!("`--threshold`: `{threshold}` is not between 0 and 1")));
        }
        if threshold != 0.5 && predictor.net.task != Task::Binary {
            return Err(Mistake::new("`--threshold` is for two classes, which this model does not predict"));
        }
        Ok(Self { predictor, threshold })
    }

    fn preprocessor(&self) -> &Preprocessor {
        &self.predictor.preprocessor
    }

    /// See [`Preprocessor::check_columns`].
    pub fn check_columns(&self, file: &str, columns: &[FileColumn]) -> Result<ColumnCheck> {
        Ok(self.preprocessor().check_columns(file, columns)?)
    }

    /// What a person should know about the columns, a line each.
    pub fn describe(&self, check: &ColumnCheck, file: &str) -> Vec<String> {
        let mut lines = Vec::new();
        if !check.extra.is_empty() {
            lines.push(format!("`{file}`: the model does not use {}", check.extra.join(", ")));
        }
        if check.is_reordered {
            lines
                .push(format!("`{file}`: the columns stand in another order than at training; they are found by name"));
        }
        lines.extend(check.coerced.iter().map(|coerced| format!("`{file}`: {coerced}")));
        lines
    }

    /// Names of the columns that hold predictions, with their types.
    fn result_columns(&self) -> Vec<(String, OutputType)> {
        let net = &self.predictor.net;
        let mut columns = vec![match net.task {
            Task::Regression => ("y_pred".to_owned(), OutputType::Number32),
            _ => ("y_pred".to_owned(), OutputType::Text),
        }];
        columns.extend(proba_names(net.task, &net.classes).into_iter().map(|name| (name, OutputType::Number32)));
        if net.interval.is_some() {
            columns.extend(["y_lower", "y_upper"].map(|name| (name.to_owned(), OutputType::Number32)));
        }
        columns
    }

    /// The columns to write: those of the file that are kept, then the predictions, which replace others of their names.
    pub fn output_columns(
        &self,
        keep: &Keep,
        file: &str,
        columns: &[FileColumn],
    ) -> Result<Vec<(String, OutputType)>, Mistake> {
        let results = self.result_columns();
        let readable: Vec<&FileColumn> = columns.iter().filter(|column| column.unreadable.is_none()).collect();
        let find = |name: &String| {
            let names: Vec<&str> = readable.iter().map(|column| column.name.as_str()).collect();
            let missing = || {
                Mistake::new(format!("`--keep {name}`: `{file}` has no such column")).hint(format!(
                    "there are {}; `all`, `ids` and `none` are no names of columns here",
                    names.join(", ")
                ))
            };
            readable.iter().find(|column| column.name == *name).copied().ok_or_else(missing)
        };
        let ids = &self.predictor.net.file.id_columns;
        let kept: Vec<&FileColumn> = match keep {
            Keep::All => readable.clone(),
            Keep::Ids => readable.iter().filter(|column| ids.contains(&column.name)).copied().collect(),
            Keep::None => Vec::new(),
            Keep::Named(names) => names.iter().map(find).collect::<Result<_, _>>()?,
        };
        if *keep == Keep::Ids && kept.is_empty() {
            let problem = format!("`--keep ids`: `{file}` has none of the model's id columns");
            return Err(Mistake::new(problem).hint("`data.id_columns` named none at training; give names, or `all`"));
        }
        let is_result = |name: &str| results.iter().any(|(result, _)| result == name);
        let raw = |name: &str| self.preprocessor().raw.iter().find(|raw| raw.name == name);
        let copy = |column: &&FileColumn| (column.name.clone(), OutputType::of_copy(column, raw(&column.name)));
        let mut all: Vec<(String, OutputType)> =
            kept.iter().filter(|column| !is_result(&column.name)).map(copy).collect();
        all.extend(results);
        Ok(all)
    }

    /// Predicts a chunk and makes the bytes that are written.
    pub fn predict(&self, rows: Rows, writer: &RowWriter) -> Result<(EncodedRows, Spent)> {
        let mut clock = Instant::now();
        let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();
        let table = rows.table()?;
        let part = self.preprocessor().transform(&table)?;
        let unknown = self.preprocessor().count_unknown(&table)?;
        let encoding = lap();
        let predicted = self.predictor.predict_encoded(part);
        self.check(&predicted, &table)?;
        let network = lap();
        let bytes = writer.encode(&table, &self.results(&predicted))?;
        let spent = Spent { reading: 0.0, encoding, network, writing: lap(), n_rows: table.n_rows(), unknown };
        Ok((bytes, spent))
    }

    /// A model whose weights are no numbers must not pass for one that predicts.
    fn check(&self, predicted: &[f32], table: &Table) -> Result<()> {
        let Some(place) = predicted.iter().position(|value| !value.is_finite()) else { return Ok(()) };
        let row = table.first_row() + place / self.predictor.net.task.n_outputs() + 1;
        bail!("`{}`, row {row}: the model's output is not a number; its weights are damaged", table.origin())
    }

    /// The columns of [`Self::result_columns`] from values in original units, or probabilities row by row.
    fn results(&self, predicted: &[f32]) -> Vec<(String, OutputColumn)> {
        let (net, names) = (&self.predictor.net, self.result_columns());
        let n_outputs = net.task.n_outputs();
        let output =
            |place: usize| OutputColumn::Number32(predicted.iter().skip(place).step_by(n_outputs).copied().collect());
        let mut columns = Vec::with_capacity(names.len());
        match net.task {
            Task::Regression => {
                columns.push(output(0));
                if let Some(interval) = net.interval {
                    let bounds = predicted.iter().map(|&value| interval.bounds(value, self.preprocessor()));
                    let (lower, upper) = bounds.unzip();
                    columns.extend([OutputColumn::Number32(lower), OutputColumn::Number32(upper)]);
                }
            }
            Task::Binary => {
                let of_row = predicted.iter().map(|&p| u32::from(p >= self.threshold)).collect();
                columns.push(OutputColumn::Label { labels: net.classes.clone(), of_row });
                columns.push(output(0));
            }
            Task::Multiclass { .. } => {
                let of_row = predicted.chunks(n_outputs).map(most_probable).collect();
                columns.push(OutputColumn::Label { labels: net.classes.clone(), of_row });
                columns.extend((0..n_outputs).map(output));
            }
        }
        names.into_iter().map(|(name, _)| name).zip(columns).collect()
    }

    /// Says which columns had values that the model does not know.
    pub fn unknown_values(&self, spent: &Spent) -> Vec<String> {
        let counts = self.preprocessor().inputs.iter().zip(&spent.unknown).filter(|(_, n)| **n > 0);
        let warning = |(input, n): (&dataset::Input, &usize)| {
            let hint = if *n as f64 > MANY_UNKNOWN * spent.n_rows as f64 { "; is it the same column?" } else { "" };
            let (name, rows) = (&input.name, spent.n_rows);
            format!("column `{name}`: {n} of {rows} values are categories that the model has not learnt{hint}")
        };
        counts.map(warning).collect()
    }
}

/// The place of the greatest probability, the first of several.
fn most_probable(probabilities: &[f32]) -> u32 {
    let mut best = 0;
    for (place, probability) in probabilities.iter().enumerate() {
        if *probability > probabilities[best] {
            best = place;
        }
    }
    best as u32
}
