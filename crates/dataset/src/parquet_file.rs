//! Parquet to columns, through polars.

use std::fmt::{Display, Write};
use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};

use polars::prelude::{
    ArrowDataType, Column as Series, DataFrame, DataType, IntoColumn, NamedFrom, ParquetReader, ParquetWriter,
    PolarsError, PolarsResult, SerReader, TimeUnit,
};
use polars::series::Series as Values;

use crate::column::ColumnBuilder;
use crate::table::clean;
use crate::{Column, ColumnType, DataConfig, Error, OutputColumn, Result};

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

fn to_polars(name: &str, column: &OutputColumn) -> PolarsResult<Series> {
    let name = name.into();
    Ok(match column {
        OutputColumn::Text(values) => Values::new(name, values).into_column(),
        OutputColumn::Whole(values) => Values::new(name, values).into_column(),
        OutputColumn::Number(values) => Values::new(name, values).into_column(),
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
