//! CSV text to columns, with exact places in the errors.

use std::io::Read;
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder};

use crate::column::ColumnBuilder;
use crate::read::{Source, WatchedRead};
use crate::table::clean;
use crate::{Column, DataConfig, Error, Result};

/// Delimiters tried when a file seems to have one column only.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Split before their cells are looked at.
const ROWS_AT_ONCE: usize = 1 << 14;

/// How the names of columns begin that have none in the header.
pub(crate) const UNNAMED: &str = "unnamed_";

/// All columns of the text in `source`, which begins with `head`; `file` is for messages. There may be no rows.
pub(crate) fn read(head: &[u8], source: &mut Source<impl Read>, file: &str, data: &DataConfig) -> Result<Vec<Column>> {
    let mut rows = CsvRows::open(head, source, file, data, None)?;
    let mut columns: Vec<ColumnBuilder> = rows.names.iter().map(|name| ColumnBuilder::new(name)).collect();
    loop {
        let lines = rows.next(ROWS_AT_ONCE)?;
        if lines.n_rows == 0 {
            return Ok(columns.into_iter().map(ColumnBuilder::finish).collect());
        }
        lines.push_to(&mut columns, data);
    }
}

/// The rows of a CSV file, in the order of the file.
pub(crate) struct CsvRows<R> {
    reader: Reader<R>,
    /// The columns.
    pub(crate) names: Vec<String>,
    file: String,
    quote: Option<char>,
    record: ByteRecord,
    /// Whether `record` holds a row that is still to be given.
    is_read: bool,
    /// Rows so far.
    n_rows: usize,
    /// Whether the last cell so far has an end of a line in it.
    spans_lines: bool,
}

/// Rows whose cells are split, but not looked at.
pub(crate) struct Lines {
    /// One cell after the other, row by row.
    text: String,
    /// Where each cell ends.
    ends: Vec<usize>,
    /// The number of rows.
    pub(crate) n_rows: usize,
}

impl Lines {
    /// Adds the cells to the columns, which are all columns of the file.
    pub(crate) fn push_to(&self, columns: &mut [ColumnBuilder], data: &DataConfig) {
        let width = columns.len();
        for (place, column) in columns.iter_mut().enumerate() {
            for cell in (place..self.ends.len()).step_by(width) {
                let start = if cell == 0 { 0 } else { self.ends[cell - 1] };
                column.push(clean(&self.text[start..self.ends[cell]], data));
            }
        }
    }
}

impl<R: WatchedRead> CsvRows<R> {
    /// Reads the names of the columns. `input` begins with `head`, which shows whether the delimiter is right; `file` is for
    /// messages. `absent`: a column of `data.columns` that the file may do without.
    pub(crate) fn open(head: &[u8], input: R, file: &str, data: &DataConfig, absent: Option<&str>) -> Result<Self> {
        if head.trim_ascii().is_empty() {
            return Err(Error::Empty { file: file.to_string() });
        }
        check_delimiter(head, file, data)?;
        let reader = settings(data, data.delimiter as u8).buffer_capacity(1 << 17).from_reader(input);
        let mut rows = Self {
            reader,
            names: Vec::new(),
            file: file.to_string(),
            quote: data.quote,
            record: ByteRecord::new(),
            is_read: false,
            n_rows: 0,
            spans_lines: false,
        };
        if rows.read_record()? {
            rows.names = names(&rows.record, file, data, absent)?;
            rows.is_read = !data.has_header;
        }
        Ok(rows)
    }

    /// The next rows, at most so many; none at the end of the file.
    pub(crate) fn next(&mut self, n_rows: usize) -> Result<Lines> {
        let mut lines = Lines { text: String::new(), ends: Vec::new(), n_rows: 0 };
        while lines.n_rows < n_rows {
            if !std::mem::take(&mut self.is_read) && !self.read_record()? {
                self.check_last_quote()?;
                break;
            }
            self.n_rows += 1;
            self.add_record(&mut lines)?;
        }
        Ok(lines)
    }

    /// Bytes of the file that have been given out as rows.
    pub(crate) fn position(&self) -> u64 {
        self.reader.position().byte()
    }

    fn read_record(&mut self) -> Result<bool> {
        let file = &self.file;
        self.reader.read_byte_record(&mut self.record).map_err(|error| Error::io("read", Path::new(file))(error.into()))
    }

    /// Adds the cells of `record`.
    fn add_record(&mut self, lines: &mut Lines) -> Result<()> {
        let (record, row) = (&self.record, self.n_rows as u64);
        let line = || record.position().map_or(0, |position| position.line());
        if record.len() != self.names.len() {
            let (found, expected) = (record.len() as u64, self.names.len() as u64);
            return Err(Error::RaggedRow { file: self.file.clone(), row, line: line(), found, expected });
        }
        if !record.as_slice().is_ascii() {
            for (name, field) in self.names.iter().zip(record) {
                utf8(field, &self.file, || format!("row {row} (line {}), column `{name}`", line()))?;
            }
        }
        let start = lines.text.len();
        // Its cells are text, so all of it is.
        lines.text.push_str(std::str::from_utf8(record.as_slice()).unwrap_or_default());
        lines.ends.extend((0..record.len()).filter_map(|cell| Some(start + record.range(cell)?.end)));
        lines.n_rows += 1;
        self.spans_lines = record.get(record.len() - 1).is_some_and(|cell| cell.contains(&b'\n'));
        Ok(())
    }

    /// The reader takes the end of the file for a closing quote; rows that were swallowed that way must not get lost.
    fn check_last_quote(&self) -> Result<()> {
        let Some(quote) = self.quote else { return Ok(()) };
        if self.spans_lines && self.reader.get_ref().last_byte() != quote as u8 {
            return Err(Error::UnclosedQuote { file: self.file.clone(), row: self.n_rows });
        }
        Ok(())
    }
}

fn settings(data: &DataConfig, delimiter: u8) -> ReaderBuilder {
    let mut settings = ReaderBuilder::new();
    settings.has_headers(false).flexible(true).delimiter(delimiter);
    match data.quote {
        Some(quote) => settings.quote(quote as u8),
        None => settings.quoting(false),
    };
    settings
}

/// The names of the columns. One that the header leaves nameless (often a saved row index) is `unnamed_1` and so on.
fn names(first: &ByteRecord, file: &str, data: &DataConfig, absent: Option<&str>) -> Result<Vec<String>> {
    let lacks_one = data.columns.len() == first.len() + 1;
    let is_here = |name: &&String| !lacks_one || absent != Some(name.as_str());
    let given: Vec<&String> = data.columns.iter().filter(is_here).collect();
    if !given.is_empty() && given.len() != first.len() {
        let (found, expected) = (first.len(), data.columns.len());
        return Err(Error::ColumnNames { file: file.to_string(), found, expected });
    }
    let name = |(i, field): (usize, &[u8])| {
        let header = if data.has_header { utf8(field, file, || "the header".to_string())?.trim() } else { "" };
        let header = given.get(i).map_or(header, |name| name.as_str());
        Ok(match (header, data.has_header) {
            ("", true) => format!("{UNNAMED}{}", i + 1),
            ("", false) => format!("column_{}", i + 1),
            (name, _) => name.to_string(),
        })
    };
    first.iter().enumerate().map(name).collect()
}

fn utf8<'a>(field: &'a [u8], file: &str, place: impl Fn() -> String) -> Result<&'a str> {
    std::str::from_utf8(field).map_err(|error| {
        let byte = field[error.valid_up_to()];
        Error::NotUtf8 { file: file.to_string(), place: place(), byte }
    })
}

/// An error if the configured delimiter finds one column where another one finds several in each of the first rows.
fn check_delimiter(bytes: &[u8], file: &str, data: &DataConfig) -> Result<()> {
    let n_columns = |delimiter: u8| -> usize {
        let mut rows = settings(data, delimiter).from_reader(bytes).into_byte_records().take(10).flatten();
        let first = rows.next().map_or(0, |row| row.len());
        if rows.all(|row| row.len() == first) { first } else { 0 }
    };
    let header = settings(data, data.delimiter as u8).from_reader(bytes).into_byte_records().flatten().next();
    if header.is_some_and(|row| row.len() > 1) {
        return Ok(());
    }
    match DELIMITERS.iter().find(|&&delimiter| n_columns(delimiter) > 1) {
        Some(&b'\t') => Err(Error::WrongDelimiter { file: file.to_string(), found: "\\t".to_string() }),
        Some(&found) => Err(Error::WrongDelimiter { file: file.to_string(), found: char::from(found).to_string() }),
        None => Ok(()),
    }
}
