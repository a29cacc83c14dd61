//! Parquet to columns, through polars.

use std::fmt::{Display, Write};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use polars::prelude::{ArrowDataType, DataFrame, DataType, ParquetReader, PolarsError, SerReader};

use crate::column::ColumnBuilder;
use crate::table::clean;
use crate::{Column, ColumnType, DataConfig, Error, Result};

/// All columns of the file. An ignored column of a type that cannot be read is kept, without its values.
pub(crate) fn read(bytes: Vec<u8>, file: &str, data: &DataConfig) -> Result<Vec<Column>> {
    // Polars panics on some damaged files: a fault of the file must stay an error.
    catch_unwind(AssertUnwindSafe(|| read_columns(bytes, file, data)))
        .unwrap_or_else(|_| Err(Error::NotParquet { file: file.to_string(), reason: "it is damaged".to_string() }))
}

fn read_columns(bytes: Vec<u8>, file: &str, data: &DataConfig) -> Result<Vec<Column>> {
    let not_parquet = |error: PolarsError| Error::NotParquet { file: file.to_string(), reason: error.to_string() };
    if !bytes.starts_with(b"PAR1") {
        let reason = "it does not begin with `PAR1`".to_string();
        return Err(Error::NotParquet { file: file.to_string(), reason });
    }
    let mut reader = ParquetReader::new(Cursor::new(bytes));
    let schema = reader.schema().map_err(not_parquet)?;
    let n_rows = reader.num_rows().map_err(not_parquet)?;
    let mut readable = Vec::new();
    for (name, field) in schema.iter() {
        if is_readable(field.dtype()) {
            readable.push(name.to_string());
        } else if !data.ignore_columns.iter().any(|ignored| ignored == name.as_str()) {
            let found = format!("{:?}", field.dtype());
            return Err(Error::UnsupportedColumnType { file: file.to_string(), column: name.to_string(), found });
        }
    }
    let frame = reader.with_columns(Some(readable)).finish().map_err(not_parquet)?;
    let column = |name: &str| match frame.get_column_index(name) {
        Some(_) => read_column(&frame, name, data).map_err(not_parquet),
        None => Ok(Column::new(name, vec![None; n_rows])),
    };
    schema.iter_names().map(|name| column(name)).collect()
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
