//! From a file or a built-in data set to a [`Table`].

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::table::hex;
use crate::{Builtin, Column, DataConfig, Error, Format, Result, Table, csv_file};

/// The part of a file that shows its type and delimiter.
const HEAD_BYTES: u64 = 1 << 20;

/// Reads the data set that `data` names, as it is: no typing, no splitting. With a file per part, the rows of the train
/// file come first, then those of the valid file, if there is one, then those of the test file.
pub fn read_table(data: &DataConfig) -> Result<Table> {
    data.check()?;
    if let Some(path) = &data.train_path {
        let mut table = read_file(path, data)?;
        for path in data.valid_path.iter().chain(&data.test_path) {
            table.append(read_file(path, data)?)?;
        }
        return Ok(table);
    }
    match (data.source, &data.path) {
        (Some(Builtin::WineQuality), _) => wine_quality(),
        (None, Some(path)) => read_file(path, data),
        (None, None) => {
            let problem = "neither `data.path` nor `data.source` is set".to_string();
            Err(Error::Setting { key: "data.path", problem })
        }
    }
}

/// A file that was looked into.
pub(crate) struct Opened {
    /// Behind `head`.
    pub(crate) input: File,
    /// Its first bytes.
    pub(crate) head: Vec<u8>,
    /// For messages.
    pub(crate) name: String,
    pub(crate) is_parquet: bool,
}

/// Opens a file and looks which kind it is.
pub(crate) fn open_file(path: &Path, data: &DataConfig) -> Result<Opened> {
    if path.is_dir() {
        return Err(Error::Folder { path: path.to_path_buf() });
    }
    let input = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::FileNotFound {
            path: path.to_path_buf(),
            absolute: std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()),
        },
        _ => Error::io("read", path)(error),
    })?;
    let name = path.display().to_string();
    let mut head = Vec::new();
    (&input).take(HEAD_BYTES).read_to_end(&mut head).map_err(Error::io("read", path))?;
    check_file_type(&head, &name)?;
    let begins_so = head.starts_with(b"PAR1");
    let is_parquet = match data.format {
        Format::Auto => begins_so,
        Format::Csv => false,
        Format::Parquet => true,
    };
    if is_parquet && !begins_so {
        return Err(Error::NotParquet { file: name, reason: "it does not begin with `PAR1`".to_string() });
    }
    Ok(Opened { input, head, name, is_parquet })
}

fn read_file(path: &Path, data: &DataConfig) -> Result<Table> {
    let Opened { input, head, name: file, is_parquet } = open_file(path, data)?;
    let mut source = Source { input: head.as_slice().chain(&input), hasher: Sha256::new(), last_byte: 0 };
    let columns = if is_parquet {
        io::copy(&mut source, &mut io::sink()).map_err(Error::io("read", path))?;
        read_parquet(&input, &file, data)?
    } else {
        csv_file::read(&head, &mut source, &file, data)?
    };
    let table = Table::new(&file, columns)?;
    if table.n_rows() == 0 {
        return Err(Error::NoRows { file });
    }
    Ok(table.with_sha256(hex(&source.hasher.finalize())))
}

/// Bytes on their way through, of which the end is remembered.
pub(crate) trait WatchedRead: Read {
    /// The last byte so far that is no blank and no end of a line.
    fn last_byte(&self) -> u8;
}

/// A file on its way through: hashed while it is read, so that it need not fit into memory.
pub(crate) struct Source<R> {
    input: R,
    hasher: Sha256,
    last_byte: u8,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        if let Some(byte) = buffer[..n].trim_ascii_end().last() {
            self.last_byte = *byte;
        }
        Ok(n)
    }
}

impl<R: Read> WatchedRead for &mut Source<R> {
    fn last_byte(&self) -> u8 {
        self.last_byte
    }
}

#[cfg(feature = "parquet")]
use crate::parquet_file::read as read_parquet;

#[cfg(not(feature = "parquet"))]
fn read_parquet(_input: &File, file: &str, _data: &DataConfig) -> Result<Vec<Column>> {
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
