//! The rows of a file a chunk at a time: a file that is larger than the memory can be worked on.
//!
//! Reading is in two steps, so that several threads can share the work: [`RowReader::next_rows`] takes the next rows from
//! the file in order and does little with them, [`Rows::table`] understands their cells and needs nothing but the rows.

use std::fs::File;
use std::io::{Chain, Cursor, Read};
use std::sync::Arc;

use crate::column::ColumnBuilder;
use crate::csv_file::{CsvRows, Lines};
#[cfg(feature = "parquet")]
use crate::parquet_file::{ParquetRows, Slice};
use crate::read::{Opened, WatchedRead, open_file};
use crate::{Column, ColumnType, DataConfig, Error, Result, Table, read_table};

/// A column of a file, before any row is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileColumn {
    /// Its name.
    pub name: String,
    /// Its type, where the file states one (Parquet).
    pub declared: Option<ColumnType>,
    /// The Parquet type of a column that cannot be read; no [`Table`] has it.
    pub unreadable: Option<String>,
}

/// Reads a CSV or Parquet file from its first row to its last, in memory for a chunk of rows (and for Parquet the
/// compressed pages that hold them).
pub struct RowReader {
    shared: Arc<Shared>,
    input: Input,
    n_bytes: u64,
    n_read: usize,
}

/// What all rows of a file have in common.
struct Shared {
    file: String,
    data: DataConfig,
    columns: Vec<FileColumn>,
}

enum Input {
    Csv(Box<CsvRows<Watched>>),
    #[cfg(feature = "parquet")]
    Parquet(ParquetRows),
    /// Of a built-in data set.
    Table(Table),
}

impl RowReader {
    /// Opens the file of `data.path` (or the data set of `data.source`), and reads the names of its columns. Of the settings only those that say how the file
    /// is written count, see [`DataConfig::file_settings`]. A CSV file without a header may lack `data.target`.
    pub fn open(data: &DataConfig) -> Result<Self> {
        let Some(path) = &data.path else {
            if data.source.is_some() {
                return Self::of_builtin(data);
            }
            return Err(Error::Setting { key: "data.path", problem: "it is not set".to_string() });
        };
        let opened = open_file(path, data)?;
        let n_bytes = opened.input.metadata().map_err(Error::io("read", path))?.len();
        let file = opened.name.clone();
        let (input, columns) = if opened.is_parquet { open_parquet(opened)? } else { open_csv(opened, data)? };
        check_names(&columns, &file)?;
        let shared = Arc::new(Shared { file, data: data.clone(), columns });
        Ok(Self { shared, input, n_bytes, n_read: 0 })
    }

    fn of_builtin(data: &DataConfig) -> Result<Self> {
        let table = read_table(data)?;
        let column = |name: &str| FileColumn { name: name.to_string(), declared: None, unreadable: None };
        let columns = table.names().map(column).collect();
        let shared = Arc::new(Shared { file: table.origin().to_string(), data: data.clone(), columns });
        Ok(Self { shared, n_bytes: table.n_rows() as u64, input: Input::Table(table), n_read: 0 })
    }

    /// The columns in file order.
    pub fn columns(&self) -> &[FileColumn] {
        &self.shared.columns
    }

    /// Whether it is a Parquet file.
    pub fn is_parquet(&self) -> bool {
        match self.input {
            #[cfg(feature = "parquet")]
            Input::Parquet(_) => true,
            _ => false,
        }
    }

    /// The file's path, for messages.
    pub fn origin(&self) -> &str {
        &self.shared.file
    }

    /// Rows that were given so far.
    pub fn n_read(&self) -> usize {
        self.n_read
    }

    /// How much of the file was given so far, from 0 to 1; 0 if the file (a pipe) does not tell its size.
    pub fn fraction(&self) -> f64 {
        match &self.input {
            Input::Csv(rows) => (rows.position() as f64 / self.n_bytes.max(1) as f64).min(f64::from(self.n_bytes > 0)),
            #[cfg(feature = "parquet")]
            Input::Parquet(rows) => self.n_read as f64 / rows.n_rows().max(1) as f64,
            Input::Table(table) => self.n_read as f64 / table.n_rows().max(1) as f64,
        }
    }

    /// The next rows, at most `n_rows` of them; `None` at the end of the file.
    pub fn next_rows(&mut self, n_rows: usize) -> Result<Option<Rows>> {
        let (cells, n_rows) = match &mut self.input {
            Input::Csv(rows) => {
                let lines = rows.next(n_rows.max(1))?;
                let n_rows = lines.n_rows;
                (Cells::Csv(lines), n_rows)
            }
            #[cfg(feature = "parquet")]
            Input::Parquet(rows) => {
                let slice = rows.next(n_rows.max(1));
                let n_rows = slice.n_rows;
                (Cells::Parquet(slice), n_rows)
            }
            Input::Table(table) => {
                let end = self.n_read.saturating_add(n_rows.max(1)).min(table.n_rows());
                let rows: Vec<u32> = (self.n_read as u32..end as u32).collect();
                (Cells::Table(table.select(&rows)), rows.len())
            }
        };
        let first_row = self.n_read;
        self.n_read += n_rows;
        Ok((n_rows > 0).then(|| Rows { shared: self.shared.clone(), first_row, n_rows, cells }))
    }

    /// The next rows as a table, at most `n_rows` of them; `None` at the end of the file.
    pub fn next_table(&mut self, n_rows: usize) -> Result<Option<Table>> {
        self.next_rows(n_rows)?.map(Rows::table).transpose()
    }
}

/// Rows as they stand in the file.
pub struct Rows {
    shared: Arc<Shared>,
    first_row: usize,
    n_rows: usize,
    cells: Cells,
}

enum Cells {
    Csv(Lines),
    #[cfg(feature = "parquet")]
    Parquet(Slice),
    Table(Table),
}

impl Rows {
    /// How many there are.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Their cells: all columns that can be read.
    pub fn table(self) -> Result<Table> {
        let Shared { file, data, columns } = &*self.shared;
        let columns: Vec<Column> = match self.cells {
            Cells::Csv(lines) => {
                let mut builders: Vec<_> = columns.iter().map(|column| ColumnBuilder::new(&column.name)).collect();
                lines.push_to(&mut builders, data);
                builders.into_iter().map(ColumnBuilder::finish).collect()
            }
            #[cfg(feature = "parquet")]
            Cells::Parquet(slice) => slice.read(columns, file, data)?,
            Cells::Table(table) => return Ok(table.at_row(self.first_row)),
        };
        Ok(Table::new(file, columns)?.at_row(self.first_row))
    }
}

fn open_csv(opened: Opened, data: &DataConfig) -> Result<(Input, Vec<FileColumn>)> {
    let Opened { input, head, name, .. } = opened;
    let watched = Watched { input: Cursor::new(head.clone()).chain(input), last_byte: 0 };
    let rows = CsvRows::open(&head, watched, &name, data, Some(&data.target))?;
    let column = |name: &String| FileColumn { name: name.clone(), declared: None, unreadable: None };
    let columns = rows.names.iter().map(column).collect();
    Ok((Input::Csv(Box::new(rows)), columns))
}

#[cfg(feature = "parquet")]
fn open_parquet(opened: Opened) -> Result<(Input, Vec<FileColumn>)> {
    let (rows, columns) = ParquetRows::open(opened.input, &opened.name)?;
    Ok((Input::Parquet(rows), columns))
}

#[cfg(not(feature = "parquet"))]
fn open_parquet(opened: Opened) -> Result<(Input, Vec<FileColumn>)> {
    Err(Error::ParquetNotBuilt { file: opened.name })
}

fn check_names(columns: &[FileColumn], file: &str) -> Result<()> {
    let twice = columns.iter().enumerate().find(|(i, column)| columns[..*i].iter().any(|c| c.name == column.name));
    match twice {
        Some((_, column)) => Err(Error::DuplicateColumn { file: file.to_string(), column: column.name.clone() }),
        None => Ok(()),
    }
}

/// A file from its first byte on, whose end is remembered.
struct Watched {
    input: Chain<Cursor<Vec<u8>>, File>,
    last_byte: u8,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.input.read(buffer)?;
        if let Some(byte) = buffer[..n].trim_ascii_end().last() {
            self.last_byte = *byte;
        }
        Ok(n)
    }
}

impl WatchedRead for Watched {
    fn last_byte(&self) -> u8 {
        self.last_byte
    }
}
