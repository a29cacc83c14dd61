//! Columns as they were read: every cell is text or missing.
//!
//! One representation for CSV, Parquet and built-in data means one set of typing rules, and a cell is written back as it was
//! read, but for blanks around it and what stands for a missing value. Numbers from typed sources are stored in their shortest exact form.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::nearest;
use crate::{DataConfig, Error, Result};

/// Named columns of equal length. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    origin: String,
    sha256: Option<String>,
    columns: Arc<[Column]>,
    n_rows: usize,
}

/// One named column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The name in the header.
    pub name: String,
    /// One value per row; `None` is missing.
    pub cells: Vec<Option<String>>,
    /// The type, where the source states one (Parquet); otherwise it is guessed from the cells.
    pub declared: Option<ColumnType>,
}

/// What a column holds, in MLflow's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Integers without missing values.
    Long,
    /// Any numbers.
    Double,
    /// `true` and `false` in any case; 0 and 1 as a feature.
    Boolean,
    /// Anything else.
    String,
}

/// From this share of numbers on, a column with other values is taken for a damaged numeric one.
const MOSTLY_NUMERIC: f64 = 0.9;

impl Table {
    /// Checks that names differ and lengths agree. `origin` is the file or source shown in messages.
    pub fn new(origin: &str, columns: Vec<Column>) -> Result<Self> {
        let n_rows = columns.first().map_or(0, |column| column.cells.len());
        let mut names = HashSet::new();
        for Column { name, cells, .. } in &columns {
            if !names.insert(name) {
                return Err(Error::DuplicateColumn { file: origin.to_string(), column: name.clone() });
            }
            if cells.len() != n_rows {
                return Err(Error::ColumnLength { column: name.clone(), found: cells.len(), expected: n_rows });
            }
        }
        Ok(Self { origin: origin.to_string(), sha256: None, columns: columns.into(), n_rows })
    }

    /// The same table, with the sha256 of the file that it came from.
    pub(crate) fn with_sha256(self, sha256: String) -> Self {
        Self { sha256: Some(sha256), ..self }
    }

    /// The file's path, or the name of a built-in data set.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The sha256 of the file in hex; `None` for tables that are no file.
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// All columns in file order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The number of data rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The column names in file order.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The column of that name; `wanted_by` is the setting that names it, for the message.
    pub fn column(&self, name: &str, wanted_by: &str) -> Result<&Column> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| Error::NoColumn {
            file: self.origin.clone(),
            column: name.to_string(),
            wanted_by: wanted_by.to_string(),
            hint: nearest(name, self.names()),
        })
    }

    /// Writes the given 0-based rows and `extra` columns (one value per row written) as CSV with a header. A raw column
    /// with the name of an extra one is left out.
    pub fn write_csv(&self, rows: &[u32], extra: &[(&str, Vec<String>)], path: &Path) -> Result<()> {
        if let Some((name, values)) = extra.iter().find(|(_, values)| values.len() != rows.len()) {
            return Err(Error::ColumnLength { column: name.to_string(), found: values.len(), expected: rows.len() });
        }
        let text = self.csv(rows, extra).map_err(Error::io("format rows for", path))?;
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = Path::new(&temporary);
        let written = fs::write(temporary, &text).and_then(|()| fs::rename(temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(temporary);
        }
        written.map_err(Error::io("write", path))
    }

    fn csv(&self, rows: &[u32], extra: &[(&str, Vec<String>)]) -> std::io::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let is_raw = |column: &&Column| !extra.iter().any(|(name, _)| *name == column.name);
        let columns: Vec<&Column> = self.columns.iter().filter(is_raw).collect();
        let names = columns.iter().map(|column| column.name.as_str());
        writer.write_record(names.chain(extra.iter().map(|(name, _)| *name)))?;
        for (i, &row) in rows.iter().enumerate() {
            let raw = columns.iter().map(|column| column.cells[row as usize].as_deref().unwrap_or(""));
            writer.write_record(raw.chain(extra.iter().map(|(_, values)| values[i].as_str())))?;
        }
        writer.into_inner().map_err(|error| error.into_error())
    }

    /// A fingerprint of names, values and `part_of_row` (0, 1, 2): 32 hex digits, the first half of a sha256.
    ///
    /// Two tables have one digest exactly if they have the same columns in the same order, with the same texts and
    /// missing cells after trimming and `null_values`, and the same rows in each part.
    pub(crate) fn digest(&self, part_of_row: &[u8]) -> String {
        let mut hasher = Sha256::new();
        let mut buffer = Vec::new();
        for column in self.columns.iter() {
            buffer.clear();
            for text in std::iter::once(Some(&column.name)).chain(column.cells.iter().map(Option::as_ref)) {
                let length = text.map_or(u32::MAX, |text| text.len() as u32);
                buffer.extend_from_slice(&length.to_le_bytes());
                buffer.extend_from_slice(text.map_or(&[], |text| text.as_bytes()));
            }
            hasher.update(&buffer);
        }
        hasher.update(part_of_row);
        hex(&hasher.finalize()[..16])
    }
}

/// A cell after trimming; `None` if its text stands for a missing value.
pub(crate) fn clean<'a>(text: &'a str, data: &DataConfig) -> Option<&'a str> {
    let text = if data.trim { text.trim() } else { text };
    let missing = text.is_empty() || data.null_values.iter().any(|null| null == text);
    (!missing).then_some(text)
}

impl Column {
    /// A column whose type is guessed from its cells.
    pub fn new(name: &str, cells: Vec<Option<String>>) -> Self {
        Self { name: name.to_string(), cells, declared: None }
    }

    /// The declared type, else the type that all cells share; `None` if every cell is missing.
    pub fn column_type(&self) -> Option<ColumnType> {
        let present = self.cells.iter().flatten();
        let has_missing = present.clone().count() < self.cells.len();
        present.clone().next()?;
        let all = |test: fn(&str) -> bool| present.clone().all(|text| test(text));
        let found = self.declared.unwrap_or_else(|| {
            if all(|text| parse_bool(text).is_some()) {
                ColumnType::Boolean
            } else if !all(|text| parse_number(text).is_some()) {
                ColumnType::String
            } else if all(is_integer) {
                ColumnType::Long
            } else {
                ColumnType::Double
            }
        });
        // A Python reader of the schema would see integers with gaps as floats.
        Some(if found == ColumnType::Long && has_missing { ColumnType::Double } else { found })
    }

    /// The cells as numbers (booleans as 0 and 1, `None` where missing); an error at the first cell that is none.
    pub(crate) fn numbers(&self, rows: &[u32], file: &str) -> Result<Vec<Option<f64>>> {
        let parse = |&row: &u32| {
            let Some(text) = &self.cells[row as usize] else { return Ok(None) };
            let number = parse_number(text).or_else(|| parse_bool(text).map(f64::from));
            number.map(Some).ok_or_else(|| Error::NotANumber {
                file: file.to_string(),
                column: self.name.clone(),
                row: row as usize + 1,
                value: text.clone(),
            })
        };
        rows.iter().map(parse).collect()
    }

    /// An error if the column is a numeric one that a few stray texts turned into text.
    pub(crate) fn check_not_mixed(&self, file: &str) -> Result<()> {
        let mut numbers = HashSet::new();
        let (mut n_numbers, mut total, mut first_text) = (0, 0, None);
        for (row, text) in self.cells.iter().enumerate().filter_map(|(row, cell)| Some((row, cell.as_ref()?))) {
            total += 1;
            if parse_number(text).is_some() {
                n_numbers += 1;
                numbers.insert(text);
            } else {
                first_text.get_or_insert((row, text));
            }
        }
        let Some((row, value)) = first_text else { return Ok(()) };
        if numbers.len() <= 20 || (n_numbers as f64) < MOSTLY_NUMERIC * total as f64 {
            return Ok(());
        }
        let (file, column, value) = (file.to_string(), self.name.clone(), value.clone());
        Err(Error::MixedColumn { file, column, numbers: n_numbers, total, row: row + 1, value })
    }

    /// True if the first value begins like a date, such as `2016-07-01` or `1/7/2016`.
    pub(crate) fn looks_like_dates(&self) -> bool {
        let Some(first) = self.cells.iter().flatten().next() else { return false };
        let day = first.split([' ', 'T']).next().unwrap_or_default();
        ['-', '/', '.'].iter().any(|&mark| {
            let fields: Vec<&str> = day.split(mark).collect();
            fields.len() == 3 && fields.iter().all(|f| f.len() <= 4 && f.parse::<u32>().is_ok())
        })
    }
}

/// A number that an `f32` can hold. Words such as `inf` and `nan` are none, so that they are noticed.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let numeric = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if !text.bytes().all(numeric) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.abs() <= f64::from(f32::MAX))
}

fn is_integer(text: &str) -> bool {
    text.parse::<i64>().is_ok()
}

fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    text.eq_ignore_ascii_case("false").then_some(false)
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
