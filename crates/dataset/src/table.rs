//! The columns of a file, and the way back to a file.
//!
//! A cell is written back as it was read, but for blanks around it and what stands for a missing value. Numbers from
//! typed sources are written in their shortest exact form.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::nearest;
use crate::write::write_whole;
use crate::{Column, DataConfig, Error, FileColumn, Result};

/// Named columns of equal length.
#[derive(Clone, Debug)]
pub struct Table {
    origin: String,
    files: Vec<DataFile>,
    columns: Vec<Column>,
    n_rows: usize,
    /// Rows of the file that stand before these.
    first_row: usize,
}

/// A file that rows came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataFile {
    /// Its path as it was given.
    pub path: String,
    /// The sha256 of its bytes in hex.
    pub sha256: String,
    /// Its rows.
    pub n_rows: usize,
}

impl Table {
    /// Checks that names differ and lengths agree. `origin` is the file or source shown in messages.
    pub fn new(origin: &str, columns: Vec<Column>) -> Result<Self> {
        let n_rows = columns.first().map_or(0, Column::len);
        let mut names = HashSet::new();
        for column in &columns {
            let name = column.name.clone();
            if !names.insert(&column.name) {
                return Err(Error::DuplicateColumn { file: origin.to_string(), column: name });
            }
            if column.len() != n_rows {
                return Err(Error::ColumnLength { column: name, found: column.len(), expected: n_rows });
            }
        }
        Ok(Self { origin: origin.to_string(), files: Vec::new(), columns, n_rows, first_row: 0 })
    }

    /// The same table, with the sha256 of the file that it came from.
    pub(crate) fn with_sha256(self, sha256: String) -> Self {
        let file = DataFile { path: self.origin.clone(), sha256, n_rows: self.n_rows };
        Self { files: vec![file], ..self }
    }

    /// The same table, as rows of a file that follow `first_row` others there.
    pub(crate) fn at_row(self, first_row: usize) -> Self {
        Self { first_row, ..self }
    }

    /// How many rows of the file stand before the first one here: 0 unless a [`crate::RowReader`] gave the table.
    pub fn first_row(&self) -> usize {
        self.first_row
    }

    /// Names and declared types of the columns, for [`crate::Preprocessor::check_columns`].
    pub fn file_columns(&self) -> Vec<FileColumn> {
        let of =
            |column: &Column| FileColumn { name: column.name.clone(), declared: column.declared, unreadable: None };
        self.columns.iter().map(of).collect()
    }

    /// Adds the rows of another file with the same columns.
    pub(crate) fn append(&mut self, other: Self) -> Result<()> {
        if let Some(extra) = other.names().find(|name| !self.names().any(|known| known == *name)) {
            let (file, column, train) = (other.origin.clone(), extra.to_string(), self.origin.clone());
            return Err(Error::ExtraColumn { file, column, train });
        }
        for column in &mut self.columns {
            column.append(other.column(&column.name, "`data.train_path`, whose columns every part needs")?);
        }
        self.files.extend(other.files);
        self.n_rows += other.n_rows;
        Ok(())
    }

    /// The (first) file's path, or the name of a built-in data set.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The files that the rows came from, in order; none for built-in data.
    pub fn files(&self) -> &[DataFile] {
        &self.files
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

    /// The same columns with the given 0-based rows only, in their order; they are no longer rows of a file. Panics beyond the
    /// last row.
    pub fn select(&self, rows: &[u32]) -> Self {
        let columns = self.columns.iter().map(|column| column.select(rows)).collect();
        Self { origin: self.origin.clone(), files: Vec::new(), columns, n_rows: rows.len(), first_row: 0 }
    }

    /// Drops the rows from `n_rows` on, and gives their memory back.
    pub(crate) fn truncate(&mut self, n_rows: usize) {
        self.columns.iter_mut().for_each(|column| column.truncate(n_rows));
        self.n_rows = n_rows;
    }

    /// Writes all rows and `extra` columns (one value per row) as CSV with a header; the file is whole or not there.
    ///
    /// A raw column with the name of an extra one is left out.
    pub fn write_csv(&self, extra: &[(&str, Vec<String>)], path: &Path) -> Result<()> {
        if let Some((name, values)) = extra.iter().find(|(_, values)| values.len() != self.n_rows) {
            return Err(Error::ColumnLength { column: name.to_string(), found: values.len(), expected: self.n_rows });
        }
        write_whole(path, |temporary| self.write_rows(extra, temporary))
    }

    fn write_rows(&self, extra: &[(&str, Vec<String>)], path: &Path) -> std::io::Result<()> {
        let mut writer = csv::Writer::from_writer(File::create(path)?);
        let is_raw = |column: &&Column| !extra.iter().any(|(name, _)| *name == column.name);
        let columns: Vec<&Column> = self.columns.iter().filter(is_raw).collect();
        let names = columns.iter().map(|column| column.name.as_str());
        writer.write_record(names.chain(extra.iter().map(|(name, _)| *name)))?;
        for row in 0..self.n_rows {
            for column in &columns {
                column.with_text(row, |text| writer.write_field(text.unwrap_or_default()))?;
            }
            extra.iter().try_for_each(|(_, values)| writer.write_field(&values[row]))?;
            writer.write_record(None::<&[u8]>)?;
        }
        writer.into_inner().map_err(|error| error.into_error())?.sync_all()
    }

    /// A fingerprint of names, values and `part_of_row` (0, 1, 2): 32 hex digits, the first half of a sha256.
    ///
    /// Two tables have one digest exactly if they have the same columns in the same order, with the same texts and
    /// missing cells after trimming and `null_values`, and the same rows in each part.
    pub(crate) fn digest(&self, part_of_row: &[u8]) -> String {
        let mut hasher = Sha256::new();
        let mut buffer = Vec::new();
        for column in self.columns.iter() {
            let mut add = |text: Option<&str>| {
                let length = text.map_or(u32::MAX, |text| text.len() as u32);
                buffer.extend_from_slice(&length.to_le_bytes());
                buffer.extend_from_slice(text.unwrap_or_default().as_bytes());
                if buffer.len() > 1 << 16 {
                    hasher.update(&buffer);
                    buffer.clear();
                }
            };
            add(Some(&column.name));
            (0..column.len()).for_each(|row| column.with_text(row, &mut add));
        }
        hasher.update(&buffer);
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

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
