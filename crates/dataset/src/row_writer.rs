//! Rows with their predictions to a file, a chunk at a time.
//!
//! Writing is in two steps, so that several threads can share the work: [`RowWriter::encode`] turns a chunk into bytes
//! (any thread, any order), [`RowWriter::write`] appends them to the file in order.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(feature = "parquet")]
use crate::parquet_file::{ParquetChunk, ParquetSink};
use crate::{Column, ColumnType, Error, FileColumn, OutputColumn, OutputFormat, RawColumn, Result, Table};

/// What a column of a written file holds. A CSV file does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputType {
    /// Texts.
    Text,
    /// Whole numbers of 64 bits.
    Whole,
    /// Numbers of 64 bits.
    Number,
    /// Numbers of 32 bits.
    Number32,
    /// True or false.
    Boolean,
}

impl OutputType {
    /// Of a column that is copied from a file: as the file declares it, else a number where the model takes one (`known`),
    /// else text.
    pub fn of_copy(column: &FileColumn, known: Option<&RawColumn>) -> Self {
        match (column.declared, known.map(|raw| raw.column_type)) {
            (Some(ColumnType::Long), _) => Self::Whole,
            (Some(ColumnType::Boolean), _) => Self::Boolean,
            (Some(ColumnType::Double), _) | (None, Some(ColumnType::Long | ColumnType::Double)) => Self::Number,
            _ => Self::Text,
        }
    }
}

/// A CSV or Parquet file in the making. It grows under a temporary name, which goes away unless [`RowWriter::finish`] is
/// called.
pub struct RowWriter {
    sink: Sink,
    columns: Vec<(String, OutputType)>,
    /// Temporary name and name; `None` for stdout.
    names: Option<(PathBuf, PathBuf)>,
}

enum Sink {
    Csv(Mutex<Box<dyn Write + Send>>),
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetSink>),
}

/// Rows as they will stand in the file.
pub struct EncodedRows(Encoded);

enum Encoded {
    Csv(Vec<u8>),
    #[cfg(feature = "parquet")]
    Parquet(ParquetChunk),
}

impl RowWriter {
    /// Begins a file with these columns; on stdout, always as CSV, without a path.
    pub fn create(path: Option<&Path>, format: OutputFormat, columns: Vec<(String, OutputType)>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self { sink: csv_sink(io::stdout(), &columns).map_err(of_stdout)?, columns, names: None });
        };
        let temporary = temporary_name(path);
        let begin = || -> io::Result<Sink> {
            let file = File::create(&temporary)?;
            match format {
                OutputFormat::Csv => csv_sink(file, &columns),
                OutputFormat::Parquet => parquet_sink(file, &columns),
            }
        };
        let sink = begin().map_err(Error::io("write", path))?;
        Ok(Self { sink, columns, names: Some((temporary, path.to_path_buf())) })
    }

    /// The bytes of a chunk: columns of the file come from `results` by name, else from the table.
    pub fn encode(&self, table: &Table, results: &[(String, OutputColumn)]) -> Result<EncodedRows> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, output_type) in &self.columns {
            columns.push(match results.iter().find(|(result, _)| result == name) {
                Some((_, result)) if result.len() == table.n_rows() => Cells::Result(result),
                Some((_, result)) => {
                    let (found, expected) = (result.len(), table.n_rows());
                    return Err(Error::ColumnLength { column: name.clone(), found, expected });
                }
                None => Cells::Copy(table.column(name, "the columns to write")?, *output_type),
            });
        }
        let encoded = match &self.sink {
            Sink::Csv(_) => Encoded::Csv(csv_rows(&columns, table.n_rows())),
            #[cfg(feature = "parquet")]
            Sink::Parquet(sink) => {
                let names = self.columns.iter().map(|(name, _)| name.as_str());
                let chunk = sink.encode(names.zip(columns)).map_err(|error| self.error(error))?;
                Encoded::Parquet(chunk)
            }
        };
        Ok(EncodedRows(encoded))
    }

    /// Appends a chunk. False if the reader of stdout has closed it: it has seen enough.
    pub fn write(&self, rows: EncodedRows) -> Result<bool> {
        let written = match (&self.sink, rows.0) {
            (Sink::Csv(to), Encoded::Csv(bytes)) => lock(to).write_all(&bytes),
            #[cfg(feature = "parquet")]
            (Sink::Parquet(sink), Encoded::Parquet(chunk)) => sink.write(chunk),
            #[cfg(feature = "parquet")]
            _ => Err(io::Error::other("the chunk was encoded for another file")),
        };
        match written {
            Err(error) if self.names.is_none() && error.kind() == ErrorKind::BrokenPipe => Ok(false),
            written => written.map(|()| true).map_err(|error| self.error(error)),
        }
    }

    /// Gives the file its name.
    pub fn finish(mut self) -> Result<()> {
        let ended = match &self.sink {
            Sink::Csv(to) => lock(to).flush(),
            #[cfg(feature = "parquet")]
            Sink::Parquet(sink) => sink.finish(),
        };
        match ended {
            Err(error) if self.names.is_none() && error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            ended => ended.map_err(|error| self.error(error))?,
        }
        let Some((temporary, path)) = self.names.take() else { return Ok(()) };
        let synced = File::open(&temporary).and_then(|file| file.sync_all());
        synced.and_then(|()| fs::rename(&temporary, &path)).map_err(Error::io("write", &path))
    }

    fn error(&self, error: io::Error) -> Error {
        match &self.names {
            Some((_, path)) => Error::io("write", path)(error),
            None => of_stdout(error),
        }
    }
}

impl Drop for RowWriter {
    fn drop(&mut self) {
        if let Some((temporary, _)) = &self.names {
            // Whatever ended the work is the error to report.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// A thread that panicked while it wrote ends the program.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn of_stdout(error: io::Error) -> Error {
    Error::io("write", Path::new("stdout"))(error)
}

/// Beside the file; the process id keeps two programs apart.
fn temporary_name(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    PathBuf::from(name)
}

/// The values of one column of a chunk.
pub(crate) enum Cells<'a> {
    /// Computed.
    Result(&'a OutputColumn),
    /// Copied from the file that was read.
    #[cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "CSV has no types"))]
    Copy(&'a Column, OutputType),
}

fn csv_sink(mut to: impl Write + Send + 'static, columns: &[(String, OutputType)]) -> io::Result<Sink> {
    let mut header = Vec::new();
    for (i, (name, _)) in columns.iter().enumerate() {
        if i > 0 {
            header.push(b',');
        }
        push_field(&mut header, name);
    }
    header.push(b'\n');
    match to.write_all(&header) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(Sink::Csv(Mutex::new(Box::new(to)))),
    }
}

#[cfg(feature = "parquet")]
fn parquet_sink(file: File, columns: &[(String, OutputType)]) -> io::Result<Sink> {
    ParquetSink::create(file, columns).map(|sink| Sink::Parquet(Box::new(sink)))
}

#[cfg(not(feature = "parquet"))]
fn parquet_sink(_file: File, _columns: &[(String, OutputType)]) -> io::Result<Sink> {
    Err(io::Error::other("the program was built without the feature `parquet`"))
}

fn csv_rows(columns: &[Cells], n_rows: usize) -> Vec<u8> {
    let fields: Vec<Fields> = columns.iter().map(Fields::of).collect();
    let mut bytes = Vec::with_capacity(n_rows * columns.len() * 8);
    for row in 0..n_rows {
        for (i, field) in fields.iter().enumerate() {
            if i > 0 {
                bytes.push(b',');
            }
            field.push(row, &mut bytes);
        }
        bytes.push(b'\n');
    }
    bytes
}

/// The cells of a column as CSV fields. Distinct texts are put into quotes once.
enum Fields<'a> {
    /// `of_row` points into `levels`, which end with an empty field.
    Levels {
        levels: Vec<Vec<u8>>,
        of_row: &'a [u32],
    },
    Copy(&'a Column),
    Result(&'a OutputColumn),
}

impl<'a> Fields<'a> {
    fn of(cells: &Cells<'a>) -> Self {
        let quoted = |text: &str| {
            let mut field = Vec::new();
            push_field(&mut field, text);
            field
        };
        match cells {
            Cells::Result(OutputColumn::Label { labels, of_row }) => {
                Self::Levels { levels: labels.iter().map(|label| quoted(label)).chain([Vec::new()]).collect(), of_row }
            }
            Cells::Result(column) => Self::Result(column),
            Cells::Copy(column, _) => match column.levels() {
                Some((levels, of_row)) => Self::Levels {
                    levels: levels.iter().map(|level| quoted(level)).chain([Vec::new()]).collect(),
                    of_row,
                },
                None => Self::Copy(column),
            },
        }
    }

    fn push(&self, row: usize, to: &mut Vec<u8>) {
        match self {
            Self::Levels { levels, of_row } => {
                to.extend_from_slice(&levels[(of_row[row] as usize).min(levels.len() - 1)]);
            }
            Self::Copy(column) => column.with_text(row, |text| push_field(to, text.unwrap_or_default())),
            Self::Result(column) => column.push_text(row, to),
        }
    }
}

/// In quotes where a reader would need them.
pub(crate) fn push_field(to: &mut Vec<u8>, text: &str) {
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        to.extend_from_slice(text.as_bytes());
        return;
    }
    to.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            to.push(b'"');
        }
        to.push(byte);
    }
    to.push(b'"');
}
