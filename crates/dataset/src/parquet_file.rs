//! Parquet to columns, through polars.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use polars::prelude::{ArrowDataType, DataFrame, DataType, ParquetReader, PolarsError, SerReader};

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
    let (declared, cells) = match series.dtype() {
        DataType::Boolean => (ColumnType::Boolean, texts(series.bool()?.iter())),
        DataType::Int32 => (ColumnType::Long, texts(series.i32()?.iter())),
        DataType::Int64 => (ColumnType::Long, texts(series.i64()?.iter())),
        DataType::UInt32 => (ColumnType::Long, texts(series.u32()?.iter())),
        DataType::UInt64 => (ColumnType::Long, texts(series.u64()?.iter())),
        DataType::Float32 => (ColumnType::Double, texts(series.f32()?.iter().map(|x| x.filter(|x| !x.is_nan())))),
        DataType::Float64 => (ColumnType::Double, texts(series.f64()?.iter().map(|x| x.filter(|x| !x.is_nan())))),
        _ => (ColumnType::String, texts(series.str()?.iter())),
    };
    // `null_values` such as -999 hold here too.
    let cells = cells.into_iter().map(|cell| clean(&cell?, data).map(str::to_string)).collect();
    Ok(Column { name: name.to_string(), cells, declared: Some(declared) })
}

fn texts<T: ToString>(values: impl Iterator<Item = Option<T>>) -> Vec<Option<String>> {
    values.map(|value| value.map(|value| value.to_string())).collect()
}
