//! CSV text to columns, with exact places in the errors.

use std::io::Read;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use crate::column::ColumnBuilder;
use crate::read::Source;
use crate::table::clean;
use crate::{Column, DataConfig, Error, Result};

/// Delimiters tried when a file seems to have one column only.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How the names of columns begin that have none in the header.
pub(crate) const UNNAMED: &str = "unnamed_";

/// All columns of the text in `source`, which begins with `head`; `file` is for messages. There may be no rows.
pub(crate) fn read(head: &[u8], source: &mut Source<impl Read>, file: &str, data: &DataConfig) -> Result<Vec<Column>> {
    if head.trim_ascii().is_empty() {
        return Err(Error::Empty { file: file.to_string() });
    }
    check_delimiter(head, file, data)?;
    let mut reader = settings(data, data.delimiter as u8).buffer_capacity(1 << 17).from_reader(&mut *source);
    let mut record = ByteRecord::new();
    let mut columns = Vec::new();
    let mut row = 0;
    while reader.read_byte_record(&mut record).map_err(|error| Error::io("read", Path::new(file))(error.into()))? {
        if columns.is_empty() {
            columns = named_columns(&record, file, data)?;
            if data.has_header {
                continue;
            }
        }
        row += 1;
        let line = record.position().map_or(0, |position| position.line());
        push_row(&mut columns, &record, row, line, file, data)?;
    }
    drop(reader);
    let columns: Vec<Column> = columns.into_iter().map(ColumnBuilder::finish).collect();
    check_last_quote(&columns, source.last_byte, file, data)?;
    Ok(columns)
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

/// Columns without cells. A column that the header leaves nameless (often a saved row index) is `unnamed_1` and so on.
fn named_columns(first: &ByteRecord, file: &str, data: &DataConfig) -> Result<Vec<ColumnBuilder>> {
    if !data.columns.is_empty() && data.columns.len() != first.len() {
        let (found, expected) = (first.len(), data.columns.len());
        return Err(Error::ColumnNames { file: file.to_string(), found, expected });
    }
    let name = |(i, field): (usize, &[u8])| {
        let header = if data.has_header { utf8(field, file, || "the header".to_string())?.trim() } else { "" };
        let header = data.columns.get(i).map_or(header, String::as_str);
        let name = match (header, data.has_header) {
            ("", true) => format!("{UNNAMED}{}", i + 1),
            ("", false) => format!("column_{}", i + 1),
            (name, _) => name.to_string(),
        };
        Ok(ColumnBuilder::new(&name))
    };
    first.iter().enumerate().map(name).collect()
}

fn push_row(
    columns: &mut [ColumnBuilder],
    record: &ByteRecord,
    row: u64,
    line: u64,
    file: &str,
    data: &DataConfig,
) -> Result<()> {
    if record.len() != columns.len() {
        let (found, expected) = (record.len() as u64, columns.len() as u64);
        return Err(Error::RaggedRow { file: file.to_string(), row, line, found, expected });
    }
    for (column, field) in columns.iter_mut().zip(record) {
        let text = utf8(field, file, || format!("row {row} (line {line}), column `{}`", column.name()))?;
        column.push(clean(text, data));
    }
    Ok(())
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

/// The reader takes the end of the file for a closing quote; rows that were swallowed that way must not get lost.
fn check_last_quote(columns: &[Column], last_byte: u8, file: &str, data: &DataConfig) -> Result<()> {
    let Some(quote) = data.quote else { return Ok(()) };
    let Some(last) = columns.last().filter(|column| !column.is_empty()) else { return Ok(()) };
    let spans_lines = last.text(last.len() - 1).is_some_and(|text| text.contains('\n'));
    if spans_lines && last_byte != quote as u8 {
        return Err(Error::UnclosedQuote { file: file.to_string(), row: last.len() });
    }
    Ok(())
}
