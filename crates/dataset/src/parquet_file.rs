//! Parquet to columns, through polars.

use std::fmt::{Display, Write};
use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use polars::io::parquet::metadata::FileMetadataRef;
use polars::io::parquet::write::{BatchedWriter, RowGroupIterColumns};
use polars::prelude::{
    ArrowDataType, Column as Series, DataFrame, DataType, Field, IntoColumn, NamedFrom, ParallelStrategy,
    ParquetCompression, ParquetReader, ParquetWriter, PolarsError, PolarsResult, Schema, SerReader, TimeUnit,
};
use polars::series::Series as Values;

use crate::column::{ColumnBuilder, parse_bool, parse_number};
use crate::row_writer::Cells;
use crate::table::clean;
use crate::{Column, ColumnType, DataConfig, Error, FileColumn, OutputColumn, OutputType, Result};

/// All columns of the file. An ignored column of a type that cannot be read is kept, without its values.
pub(crate) fn read(input: &File, file: &str, data: &DataConfig) -> Result<Vec<Column>> {
    // Polars panics on some damaged files: a fault of the file must stay an error.
    catch_unwind(AssertUnwindSafe(|| read_columns(input, file, data)))
        .unwrap_or_else(|_| Err(Error::NotParquet { file: file.to_string(), reason: "it is damaged".to_string() }))
}

/// Writes named columns.
pub(crate) fn write(columns: &[(String, OutputColumn)], file: File) -> std::io::Result<()> {
    let other = |error: PolarsError| std::io::Error::other(error);
    let columns = columns.iter().map(|(name, column)| to_polars(name, column)).collect::<PolarsResult<Vec<_>>>();
    let mut frame = DataFrame::new_infer_height(columns.map_err(other)?).map_err(other)?;
    ParquetWriter::new(&file).finish(&mut frame).map_err(other)?;
    file.sync_all()
}

/// The rows of a Parquet file, in the order of the file.
pub(crate) struct ParquetRows {
    input: Arc<File>,
    metadata: FileMetadataRef,
    next_row: usize,
}

/// Some of them, not read yet.
pub(crate) struct Slice {
    input: Arc<File>,
    metadata: FileMetadataRef,
    start: usize,
    pub(crate) n_rows: usize,
}

impl ParquetRows {
    /// Reads names and types of the columns; `file` is for messages.
    pub(crate) fn open(input: File, file: &str) -> Result<(Self, Vec<FileColumn>)> {
        let columns = |mut reader: ParquetReader<BufReader<&File>>| -> PolarsResult<_> {
            let schema = reader.schema()?;
            Ok((
                schema.iter().map(|(name, field)| file_column(name, field.dtype())).collect(),
                reader.get_metadata()?.clone(),
            ))
        };
        let (columns, metadata) = guarded(file, || columns(ParquetReader::new(BufReader::new(&input))))?;
        Ok((Self { input: Arc::new(input), metadata, next_row: 0 }, columns))
    }

    /// The number of rows in the file.
    pub(crate) fn n_rows(&self) -> usize {
        self.metadata.num_rows
    }

    /// The next rows, at most so many; none at the end of the file.
    pub(crate) fn next(&mut self, n_rows: usize) -> Slice {
        let (start, n_rows) = (self.next_row, n_rows.min(self.n_rows() - self.next_row));
        self.next_row += n_rows;
        Slice { input: self.input.clone(), metadata: self.metadata.clone(), start, n_rows }
    }
}

impl Slice {
    /// Reads those of the columns that can be read.
    pub(crate) fn read(&self, columns: &[FileColumn], file: &str, data: &DataConfig) -> Result<Vec<Column>> {
        let names: Vec<String> =
            columns.iter().filter(|column| column.unreadable.is_none()).map(|column| column.name.clone()).collect();
        let read = || {
            let mut reader = ParquetReader::new(BufReader::new(&*self.input));
            reader.set_metadata(self.metadata.clone());
            // The caller reads other slices at the same time.
            let reader = reader.read_parallel(ParallelStrategy::None).with_columns(Some(names.clone()));
            let frame = reader.with_slice(Some((self.start, self.n_rows))).finish()?;
            names.iter().map(|name| read_column(&frame, name, data)).collect()
        };
        guarded(file, read)
    }
}

/// Polars panics on some damaged files: a fault of the file must stay an error.
fn guarded<T>(file: &str, read: impl FnOnce() -> PolarsResult<T>) -> Result<T> {
    let not_parquet = |reason: String| Error::NotParquet { file: file.to_string(), reason };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| not_parquet(error.to_string())),
        Err(_) => Err(not_parquet("it is damaged".to_string())),
    }
}

fn file_column(name: &str, found: &ArrowDataType) -> FileColumn {
    use ArrowDataType as T;
    let (declared, unreadable) = match found {
        _ if !is_readable(found) => (None, Some(format!("{found:?}"))),
        T::Boolean => (Some(ColumnType::Boolean), None),
        T::Float32 | T::Float64 => (Some(ColumnType::Double), None),
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => {
            (Some(ColumnType::Long), None)
        }
        _ => (Some(ColumnType::String), None),
    };
    FileColumn { name: name.to_string(), declared, unreadable }
}

/// A Parquet file that grows chunk by chunk; each chunk is a row group.
pub(crate) struct ParquetSink(BatchedWriter<File>);

/// A chunk, compressed.
pub(crate) struct ParquetChunk(Vec<RowGroupIterColumns<'static, PolarsError>>);

impl ParquetSink {
    /// Begins a file with these columns.
    pub(crate) fn create(file: File, columns: &[(String, OutputType)]) -> std::io::Result<Self> {
        let field = |(name, output_type): &(String, OutputType)| {
            let data_type = match output_type {
                OutputType::Text => DataType::String,
                OutputType::Whole => DataType::Int64,
                OutputType::Number => DataType::Float64,
                OutputType::Number32 => DataType::Float32,
                OutputType::Boolean => DataType::Boolean,
            };
            Field::new(name.as_str().into(), data_type)
        };
        let schema = Schema::from_iter(columns.iter().map(field));
        let writer = ParquetWriter::new(file).with_compression(ParquetCompression::Snappy).set_parallel(false);
        writer.batched(&schema).map(Self).map_err(std::io::Error::other)
    }

    /// Compresses named columns, those of the file in their order.
    pub(crate) fn encode<'a>(
        &self,
        columns: impl Iterator<Item = (&'a str, Cells<'a>)>,
    ) -> std::io::Result<ParquetChunk> {
        let column = |(name, cells): (&str, Cells)| match cells {
            Cells::Result(column) => to_polars(name, column),
            Cells::Copy(column, output_type) => copy_to_polars(name, column, output_type),
        };
        let encode = || -> PolarsResult<ParquetChunk> {
            let frame = DataFrame::new_infer_height(columns.map(column).collect::<PolarsResult<Vec<_>>>()?)?;
            self.0.encode_and_compress(&frame).collect::<PolarsResult<Vec<_>>>().map(ParquetChunk)
        };
        encode().map_err(std::io::Error::other)
    }

    /// Appends a chunk.
    pub(crate) fn write(&self, chunk: ParquetChunk) -> std::io::Result<()> {
        self.0.write_row_groups(chunk.0).map_err(std::io::Error::other)
    }

    /// Writes the end of the file.
    pub(crate) fn finish(&self) -> std::io::Result<()> {
        self.0.finish().map(drop).map_err(std::io::Error::other)
    }
}

/// The cells of a column as values of a type; an error at the first one that is none.
fn copy_to_polars(name: &str, column: &Column, output_type: OutputType) -> PolarsResult<Series> {
    fn cells<T>(column: &Column, of_text: impl Fn(&str) -> Option<T>) -> PolarsResult<Vec<Option<T>>> {
        let wrong = |text: &str| {
            let problem = format!("column `{}`: `{text}` cannot be written as the other values", column.name);
            PolarsError::ComputeError(problem.into())
        };
        let cell = |text: Option<&str>| text.map(|text| of_text(text).ok_or_else(|| wrong(text))).transpose();
        (0..column.len()).map(|row| column.with_text(row, cell)).collect()
    }
    let name = name.into();
    let values = match output_type {
        OutputType::Whole => Values::new(name, cells(column, |text| text.parse::<i64>().ok())?),
        OutputType::Number => {
            let number = |text: &str| parse_number(text).or_else(|| parse_bool(text).map(f64::from));
            Values::new(name, cells(column, number)?)
        }
        OutputType::Number32 => Values::new(name, cells(column, |text| text.parse::<f32>().ok())?),
        OutputType::Boolean => Values::new(name, cells(column, parse_bool)?),
        OutputType::Text => Values::new(name, cells(column, |text| Some(text.to_string()))?),
    };
    Ok(values.into_column())
}

fn to_polars(name: &str, column: &OutputColumn) -> PolarsResult<Series> {
    let name = name.into();
    Ok(match column {
        OutputColumn::Text(values) => Values::new(name, values).into_column(),
        OutputColumn::Whole(values) => Values::new(name, values).into_column(),
        OutputColumn::Number(values) => Values::new(name, values).into_column(),
        OutputColumn::Number32(values) => Values::new(name, values).into_column(),
        OutputColumn::Label { labels, of_row } => {
            let texts: Vec<&str> = of_row.iter().map(|&label| labels[label as usize].as_str()).collect();
            Values::new(name, texts).into_column()
        }
        OutputColumn::Time(seconds) => {
            let milliseconds: Vec<i64> = seconds.iter().map(|time| time * 1000).collect();
            Values::new(name, milliseconds).cast(&DataType::Datetime(TimeUnit::Milliseconds, None))?.into_column()
        }
    })
}

fn read_columns(input: &File, file: &str, data: &DataConfig) -> Result<Vec<Column>> {
    let not_parquet = |error: PolarsError| Error::NotParquet { file: file.to_string(), reason: error.to_string() };
    let mut reader = ParquetReader::new(BufReader::new(input));
    let schema = reader.schema().map_err(not_parquet)?;
    let n_rows = reader.num_rows().map_err(not_parquet)?;
    let mut columns = Vec::new();
    for (name, field) in schema.iter() {
        columns.push(if is_readable(field.dtype()) {
            // One at a time, so that polars' and our form of a large table are not in memory together.
            let reader = ParquetReader::new(BufReader::new(input)).with_columns(Some(vec![name.to_string()]));
            let frame = reader.finish().map_err(not_parquet)?;
            read_column(&frame, name, data).map_err(not_parquet)?
        } else if data.ignore_columns.iter().any(|ignored| ignored == name.as_str()) {
            Column::new(name, vec![None; n_rows])
        } else {
            let found = format!("{:?}", field.dtype());
            return Err(Error::UnsupportedColumnType { file: file.to_string(), column: name.to_string(), found });
        });
    }
    Ok(columns)
}

fn is_readable(found: &ArrowDataType) -> bool {
    use ArrowDataType as T;
    match found {
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => true,
        T::Float32 | T::Float64 | T::Boolean | T::Utf8 | T::LargeUtf8 | T::Utf8View => true,
        T::Date32 | T::Timestamp(_, None) => true,
        // pandas' categories
        T::Dictionary(_, values, _) => matches!(**values, T::Utf8 | T::LargeUtf8 | T::Utf8View),
        _ => false,
    }
}

fn read_column(frame: &DataFrame, name: &str, data: &DataConfig) -> std::result::Result<Column, PolarsError> {
    let series = frame.column(name)?.as_materialized_series();
    let series = &match series.dtype() {
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => series.cast(&DataType::Int64)?,
        DataType::Date | DataType::Datetime(..) | DataType::Categorical(..) => series.cast(&DataType::String)?,
        _ => series.clone(),
    };
    let (declared, mut column) = match series.dtype() {
        DataType::Boolean => (ColumnType::Boolean, column(name, series.bool()?.iter(), data)),
        DataType::Int32 => (ColumnType::Long, column(name, series.i32()?.iter(), data)),
        DataType::Int64 => (ColumnType::Long, column(name, series.i64()?.iter(), data)),
        DataType::UInt32 => (ColumnType::Long, column(name, series.u32()?.iter(), data)),
        DataType::UInt64 => (ColumnType::Long, column(name, series.u64()?.iter(), data)),
        DataType::Float32 => (ColumnType::Double, column(name, numbers(series.f32()?.iter()), data)),
        DataType::Float64 => (ColumnType::Double, column(name, numbers(series.f64()?.iter()), data)),
        _ => (ColumnType::String, column(name, series.str()?.iter(), data)),
    };
    column.declared = Some(declared);
    Ok(column)
}

/// NaN is a missing value: pandas writes it for one.
fn numbers<T: Copy + PartialEq>(values: impl Iterator<Item = Option<T>>) -> impl Iterator<Item = Option<T>> {
    #[allow(clippy::eq_op, reason = "only NaN differs from itself")]
    values.map(|value| value.filter(|value| value == value))
}

fn column<T: Display>(name: &str, values: impl Iterator<Item = Option<T>>, data: &DataConfig) -> Column {
    let mut column = ColumnBuilder::new(name);
    let mut text = String::new();
    for value in values {
        text.clear();
        let is_written = value.is_some_and(|value| write!(text, "{value}").is_ok());
        // `null_values` such as -999 hold here too.
        column.push(if is_written { clean(&text, data) } else { None });
    }
    column.finish()
}
