//! From a file or a built-in data set to a [`Table`].

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::table::hex;
use crate::{Builtin, Column, DataConfig, Error, Format, Result, Table, csv_file};

/// Reads the data set that `data` names, as it is: no typing, no splitting.
pub fn read_table(data: &DataConfig) -> Result<Table> {
    data.check()?;
    match (data.source, &data.path) {
        (Some(Builtin::WineQuality), _) => wine_quality(),
        (None, Some(path)) => read_file(path, data),
        (None, None) => {
            let problem = "neither `data.path` nor `data.source` is set".to_string();
            Err(Error::Setting { key: "data.path", problem })
        }
    }
}

fn read_file(path: &Path, data: &DataConfig) -> Result<Table> {
    if path.is_dir() {
        return Err(Error::Folder { path: path.to_path_buf() });
    }
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::FileNotFound {
            path: path.to_path_buf(),
            absolute: std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()),
        },
        _ => Error::io("read", path)(error),
    })?;
    let file = path.display().to_string();
    let sha256 = hex(&Sha256::digest(&bytes));
    check_file_type(&bytes, &file)?;
    let is_parquet = match data.format {
        Format::Auto => bytes.starts_with(b"PAR1"),
        Format::Csv => false,
        Format::Parquet => true,
    };
    let columns = if is_parquet { read_parquet(bytes, &file, data)? } else { csv_file::read(&bytes, &file, data)? };
    let table = Table::new(&file, columns)?;
    if table.n_rows() == 0 {
        return Err(Error::NoRows { file });
    }
    Ok(table.with_sha256(sha256))
}

#[cfg(feature = "parquet")]
use crate::parquet_file::read as read_parquet;

#[cfg(not(feature = "parquet"))]
fn read_parquet(_bytes: Vec<u8>, file: &str, _data: &DataConfig) -> Result<Vec<Column>> {
    Err(Error::ParquetNotBuilt { file: file.to_string() })
}

fn check_file_type(bytes: &[u8], file: &str) -> Result<()> {
    let (found, hint) = match bytes {
        [0x1F, 0x8B, ..] => ("gzip-compressed", "decompress it first"),
        [b'P', b'K', 3, 4, ..] => ("a zip archive or an Excel workbook", "unpack it, or export the sheet as CSV"),
        _ => return Ok(()),
    };
    Err(Error::WrongFileType { file: file.to_string(), found, hint })
}

const WINE_COLUMNS: [&str; 11] = [
    "fixed_acidity",
    "volatile_acidity",
    "citric_acid",
    "residual_sugar",
    "chlorides",
    "free_sulfur_dioxide",
    "total_sulfur_dioxide",
    "density",
    "pH",
    "sulphates",
    "alcohol",
];

fn wine_quality() -> Result<Table> {
    let wines = linfa_datasets::winequality();
    let mut columns: Vec<Column> = WINE_COLUMNS
        .iter()
        .zip(wines.records.columns())
        .map(|(name, values)| Column::new(name, values.iter().map(|value| Some(value.to_string())).collect()))
        .collect();
    columns.push(Column::new("quality", wines.targets.iter().map(|grade| Some(grade.to_string())).collect()));
    Table::new(Builtin::WineQuality.name(), columns)
}
