//! Columns of results to a CSV or Parquet file.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::row_writer::push_field;
use crate::{Error, Result, format_time};

/// The format of a written file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputFormat {
    /// Text with one row per line; opens everywhere.
    Csv,
    /// Apache Parquet: typed, and about a fifth of the size.
    Parquet,
}

impl OutputFormat {
    /// Parquet for a name that ends with `.parquet`, else CSV.
    pub fn of_path(path: &Path) -> Self {
        let is_parquet = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"));
        if is_parquet { Self::Parquet } else { Self::Csv }
    }
}

/// The values of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputColumn {
    /// Texts.
    Text(Vec<String>),
    /// Whole numbers.
    Whole(Vec<i64>),
    /// Numbers.
    Number(Vec<f64>),
    /// Numbers of 32 bits.
    Number32(Vec<f32>),
    /// Texts of which there are few: the text of a row is `labels[of_row[row]]`.
    Label {
        /// Distinct texts.
        labels: Vec<String>,
        /// Their place, one for each row.
        of_row: Vec<u32>,
    },
    /// Seconds since 1970-01-01; a text such as `2016-07-01 13:00:00` in CSV, a timestamp in Parquet.
    Time(Vec<i64>),
}

impl OutputColumn {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Whole(values) | Self::Time(values) => values.len(),
            Self::Number(values) => values.len(),
            Self::Number32(values) => values.len(),
            Self::Label { of_row, .. } => of_row.len(),
        }
    }

    /// As it stands in a CSV file; numbers in their shortest exact form, NaN as an empty cell.
    fn text(&self, row: usize) -> String {
        match self {
            Self::Text(values) => values[row].clone(),
            Self::Label { labels, of_row } => labels[of_row[row] as usize].clone(),
            Self::Time(values) => format_time(values[row]),
            Self::Whole(_) | Self::Number(_) | Self::Number32(_) => {
                let mut text = Vec::new();
                self.push_text(row, &mut text);
                String::from_utf8_lossy(&text).into_owned()
            }
        }
    }

    /// Adds a cell of a CSV file.
    pub(crate) fn push_text(&self, row: usize, to: &mut Vec<u8>) {
        let written = match self {
            Self::Number(values) if values[row].is_nan() => Ok(()),
            Self::Number(values) => write!(to, "{}", values[row]),
            Self::Number32(values) if values[row].is_nan() => Ok(()),
            Self::Number32(values) => write!(to, "{}", values[row]),
            Self::Whole(values) => write!(to, "{}", values[row]),
            Self::Text(_) | Self::Label { .. } | Self::Time(_) => {
                push_field(to, &self.text(row));
                Ok(())
            }
        };
        debug_assert!(written.is_ok(), "memory takes what it is given");
    }
}

/// Writes named columns of equal length. The file is whole or not there.
pub fn write_columns(columns: &[(String, OutputColumn)], format: OutputFormat, path: &Path) -> Result<()> {
    let n_rows = n_rows(columns)?;
    write_whole(path, |temporary| match format {
        OutputFormat::Csv => write_csv(columns, n_rows, temporary),
        OutputFormat::Parquet => write_parquet(columns, temporary),
    })
}

/// Makes a file: `write` gets a temporary name, and the file appears under its own when that is done, or not at all.
pub(crate) fn write_whole(path: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let written = write(temporary).and_then(|()| fs::rename(temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(temporary);
    }
    written.map_err(Error::io("write", path))
}

/// Named columns of equal length as CSV with a header.
pub fn columns_to_csv(columns: &[(String, OutputColumn)]) -> Result<String> {
    let mut bytes = Vec::new();
    write_rows(columns, n_rows(columns)?, &mut bytes).map_err(Error::io("write", Path::new("CSV")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn n_rows(columns: &[(String, OutputColumn)]) -> Result<usize> {
    let n_rows = columns.first().map_or(0, |(_, column)| column.len());
    match columns.iter().find(|(_, column)| column.len() != n_rows) {
        None => Ok(n_rows),
        Some((name, column)) => {
            Err(Error::ColumnLength { column: name.clone(), found: column.len(), expected: n_rows })
        }
    }
}

fn write_csv(columns: &[(String, OutputColumn)], n_rows: usize, path: &Path) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    write_rows(columns, n_rows, &mut file)?;
    file.into_inner().map_err(|error| error.into_error())?.sync_all()
}

fn write_rows(columns: &[(String, OutputColumn)], n_rows: usize, to: &mut impl Write) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record(columns.iter().map(|(name, _)| name))?;
    for row in 0..n_rows {
        writer.write_record(columns.iter().map(|(_, column)| column.text(row)))?;
    }
    writer.flush()
}

#[cfg(feature = "parquet")]
fn write_parquet(columns: &[(String, OutputColumn)], path: &Path) -> std::io::Result<()> {
    crate::parquet_file::write(columns, File::create(path)?)
}

#[cfg(not(feature = "parquet"))]
fn write_parquet(_columns: &[(String, OutputColumn)], _path: &Path) -> std::io::Result<()> {
    Err(std::io::Error::other("the program was built without the feature `parquet`"))
}
