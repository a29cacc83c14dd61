//! What can be wrong with a data set. Each message says where, and what to do about it.
//!
//! Rows are counted from 1 and the header is not counted; a line number counts every line of the file.

use std::io;
use std::path::{Path, PathBuf};

use crate::{DataFile, SeriesError};

/// Result of reading or encoding data.
pub type Result<T> = std::result::Result<T, Error>;

/// Why data could not be read or encoded. `file` is the path, or the name of a built-in data set.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the fields are explained by the message above them
pub enum Error {
    /// A setting that no data could satisfy.
    #[error("`{key}`: {problem}")]
    Setting { key: &'static str, problem: String },

    /// No such file.
    #[error("no file `{}` (looked for `{}`); check `data.path`", path.display(), absolute.display())]
    FileNotFound { path: PathBuf, absolute: PathBuf },

    /// A folder where a file should be.
    #[error("`{}` is a folder; set `data.path` to a CSV or Parquet file in it", path.display())]
    Folder { path: PathBuf },

    /// The system refused.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },

    /// Nothing in the file.
    #[error("`{file}` is empty; it needs a header and at least one row")]
    Empty { file: String },

    /// Column names and nothing else.
    #[error("`{file}` has a header but no rows")]
    NoRows { file: String },

    /// Compressed files and spreadsheets.
    #[error("`{file}` is {found}, not a CSV or Parquet file; {hint}")]
    WrongFileType { file: String, found: &'static str, hint: &'static str },

    /// A row that is longer or shorter than the first.
    #[error(
        "`{file}`, row {row} (line {line}) has {found} values, but there are {expected} columns; \
         look for an unquoted delimiter or an unclosed quote there"
    )]
    RaggedRow { file: String, row: u64, line: u64, found: u64, expected: u64 },

    /// A quoted value that swallows the rest of the file.
    #[error(
        "`{file}`, row {row}: a quote that is never closed takes in the rest of the file; \
         close it, or set `data.quote: null` if quotes mean nothing here"
    )]
    UnclosedQuote { file: String, row: usize },

    /// One column where there should be several.
    #[error(
        "`{file}` has one column; it looks like `{found}` separates the columns: set `data.delimiter: \"{found}\"`"
    )]
    WrongDelimiter { file: String, found: String },

    /// Bytes that are no UTF-8 text.
    #[error(
        "`{file}`, {place}: byte 0x{byte:02X} is not UTF-8 text; save the file as UTF-8 (it may be Latin-1 or UTF-16)"
    )]
    NotUtf8 { file: String, place: String, byte: u8 },

    /// `data.columns` does not fit the file.
    #[error("`{file}` has {found} columns, but `data.columns` lists {expected} names")]
    ColumnNames { file: String, found: usize, expected: usize },

    /// Two columns of one name.
    #[error("`{file}`: two columns are named `{column}`; rename one of them")]
    DuplicateColumn { file: String, column: String },

    /// Columns of different lengths.
    #[error("column `{column}` has {found} values for {expected} rows")]
    ColumnLength { column: String, found: usize, expected: usize },

    /// A file that claims to be Parquet, or a damaged one.
    #[error("`{file}` cannot be read as Parquet: {reason}; for a text file set `data.format: csv`")]
    NotParquet { file: String, reason: String },

    /// A Parquet column of dates, lists and the like.
    #[error(
        "`{file}`: column `{column}` has the Parquet type {found}; booleans, integers, floats, text, \
         categories, dates and timestamps without a zone can be read: convert it, or list it in `data.ignore_columns`"
    )]
    UnsupportedColumnType { file: String, column: String, found: String },

    /// Parquet left out of this build.
    #[error("`{file}` is a Parquet file, but the program was built without the feature `parquet`")]
    ParquetNotBuilt { file: String },

    /// `data.target` is not set.
    #[error("`data.target` is not set: which column of `{file}` is to be predicted? There are {columns}")]
    NoTarget { file: String, columns: String },

    /// A name that no column has.
    #[error("`{file}` has no column `{column}` (named in {wanted_by}); {hint}")]
    NoColumn { file: String, column: String, wanted_by: String, hint: String },

    /// Files of one data set with different columns.
    #[error("`{file}` has a column `{column}`, which `{train}` does not have; all parts need the same columns")]
    ExtraColumn { file: String, column: String, train: String },

    /// A group whose rows are in two parts.
    #[error(
        "`{file}`, row {row}: `{group}` of `data.split.group: {column}` is in {part} and in an earlier part too; \
         a group must be in one part"
    )]
    SplitGroup { file: String, column: String, group: String, row: usize, part: &'static str },

    /// One column in two roles.
    #[error("column `{column}` is the {role}, so it cannot be listed in {wanted_by} too")]
    ColumnRole { column: String, role: &'static str, wanted_by: &'static str },

    /// No column is left to learn from.
    #[error("`{file}`: no feature is left beside the target `{target}`; {reason}")]
    NoFeatures { file: String, target: String, reason: String },

    /// A value that should be a number.
    #[error(
        "`{file}`, column `{column}`, row {row}: `{value}` is not a number (or one beyond 3.4e38); \
         correct it, or add it to `data.null_values` if it means a missing value"
    )]
    NotANumber { file: String, column: String, row: usize, value: String },

    /// Numbers, but for a few values.
    #[error(
        "`{file}`, column `{column}`: {numbers} of {total} values are numbers, but row {row} holds `{value}`; add it to \
         `data.null_values` if it means a missing value, or set `data.types.{column}: categorical`"
    )]
    MixedColumn { file: String, column: String, numbers: usize, total: usize, row: usize, value: String },

    /// Rows without a target.
    #[error(
        "`{file}`: the target `{column}` is missing in {count} rows, first in row {row}; fill or remove these rows"
    )]
    MissingTarget { file: String, column: String, count: usize, row: usize },

    /// A target outside of the logarithm's range.
    #[error(
        "`{file}`, column `{column}`, row {row}: `data.target_transform: log` takes ln(1 + y), which `{value}` has none \
         of; every value must be above -1"
    )]
    NoLogarithm { file: String, column: String, row: usize, value: f32 },

    /// Nothing to tell apart.
    #[error("`{file}`: every row has the same target, `{column}` = `{class}`; there is nothing to learn")]
    OneClass { file: String, column: String, class: String },

    /// Nothing to tell apart in 32 bits.
    #[error(
        "`{file}`: the target `{column}` is {value} in every train row, as far as 32-bit numbers tell (7 digits); its \
         values differ by less than that, so subtract a constant such as {value} from the column"
    )]
    OneNumber { file: String, column: String, value: String },

    /// A number of classes that was not expected.
    #[error("`{file}`: `{wanted_by}` asks for {expected} classes, but the target `{column}` has {found}: {classes}")]
    ClassCount { file: String, column: String, wanted_by: String, expected: usize, found: usize, classes: String },

    /// Nearly every row is its own class.
    #[error(
        "`{file}`: the target `{column}` has {found} classes in {rows} rows; \
         for a number to predict set `data.problem_type: regression`, or group it with `data.target_bins`"
    )]
    TooManyClasses { file: String, column: String, found: usize, rows: usize },

    /// A class that does not occur.
    #[error("`{file}`: the target `{column}` has no class `{class}` (named in {wanted_by}); the classes are {classes}")]
    NoClass { file: String, column: String, class: String, wanted_by: &'static str, classes: String },

    /// A class that cannot have been learnt.
    #[error("`{file}`, row {row}: class `{class}` occurs in {part} but in no train row; move a row of it into train")]
    UnseenClass { file: String, row: usize, class: String, part: &'static str },

    /// A split column with other words.
    #[error("`{file}`, column `{column}`: `{found}` is no part (row {row}); the values must be train, val and test")]
    SplitValue { file: String, column: String, found: String, row: usize },

    /// A part without rows.
    #[error("`{file}`: {part} gets none of the {rows} rows; {hint}")]
    EmptyPart { file: String, part: &'static str, rows: usize, hint: &'static str },

    /// Fewer rows than folds.
    #[error("`{file}` has {found} {what}, fewer than the {folds} folds of `cv.folds`; {hint}")]
    TooFewForFolds { file: String, folds: usize, what: String, found: usize, hint: &'static str },

    /// A group column that would tell the network which group a row belongs to.
    #[error("column `{column}` is named in {wanted_by}, so it cannot be a feature too; list it in `data.id_columns`")]
    GroupIsFeature { column: String, wanted_by: &'static str },

    /// A group with rows in the test part and outside.
    #[error(
        "`{file}`: rows of the group `{group}` of `{column}` are in the test part and in others, so the test would not be \
         fair; set `data.split.group: {column}`"
    )]
    GroupInTest { file: String, column: String, group: String },

    /// A function outside of its domain.
    #[error(
        "`{file}`, row {row}: `{function}` has no value that fits for `{column}` = {value}; correct the value, add it to \
         `data.null_values` if it means a missing value, or remove `{function}` from `features.engineer`"
    )]
    Undefined { file: String, column: String, row: usize, value: f64, function: String },

    /// Text that should be a date.
    #[error(
        "`{file}`, column `{column}`, row {row}: `{value}` is no date written like `{format}`; set `format` in \
         `features.engineer.datetime` (such as `%d/%m/%Y`), or correct the value"
    )]
    NotADate { file: String, column: String, row: usize, value: String, format: String },

    /// Two columns of one name, one of them made here.
    #[error(
        "`features.engineer` makes a column `{column}`, but `{file}` has one or it is made twice; remove or rename one"
    )]
    EngineeredName { file: String, column: String },

    /// One-hot columns that would fill the memory.
    #[error(
        "`{file}`: {columns} feature columns for {rows} rows do not fit into memory; set `features.categorical: embedding` \
         or `features.max_categories`, or list `{widest}` ({levels} levels) in `data.ignore_columns`"
    )]
    TooWide { file: String, columns: usize, rows: usize, widest: String, levels: usize },

    /// Columns that a model needs and a file does not have, or has with other contents.
    #[error("`{file}` does not fit the model: {}", problems.join("; "))]
    Columns { file: String, problems: Vec<String> },

    /// What is wrong with time series.
    #[error(transparent)]
    Series(#[from] Box<SeriesError>),

    /// A data report that cannot be written as JSON.
    #[error("the data report cannot be written: {reason}")]
    Report { reason: String },

    /// A stored profile that cannot be used.
    #[error("the stored profile of the training data cannot be used: {reason}")]
    Profile { reason: String },

    /// A stored preprocessor that cannot be used.
    #[error("the stored preprocessor cannot be used: {reason}")]
    Preprocessor { reason: String },
}

impl From<SeriesError> for Error {
    fn from(error: SeriesError) -> Self {
        Self::Series(Box::new(error))
    }
}

impl Error {
    /// With the row counted within its own file, where a table has the rows of several.
    pub(crate) fn located(mut self, files: &[DataFile]) -> Self {
        if let Self::NotANumber { file, row, .. }
        | Self::MixedColumn { file, row, .. }
        | Self::MissingTarget { file, row, .. }
        | Self::NoLogarithm { file, row, .. }
        | Self::UnseenClass { file, row, .. }
        | Self::SplitGroup { file, row, .. }
        | Self::Undefined { file, row, .. }
        | Self::NotADate { file, row, .. } = &mut self
        {
            for one in files {
                if *row <= one.n_rows {
                    file.clone_from(&one.path);
                    break;
                }
                *row -= one.n_rows;
            }
        }
        self
    }

    /// With the row counted from the beginning of the file, where `n_before` rows stand before those that were looked at.
    pub(crate) fn below(mut self, n_before: usize) -> Self {
        if let Self::NotANumber { row, .. }
        | Self::MissingTarget { row, .. }
        | Self::NoLogarithm { row, .. }
        | Self::Undefined { row, .. }
        | Self::NotADate { row, .. } = &mut self
        {
            *row += n_before;
        }
        self
    }

    /// Wraps an I/O error of a file; `doing` is a verb such as `read`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_path_buf(), source }
    }
}

/// "did you mean `x`?" where a name is close, else the names there are.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    let distance = |name: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &wanted.to_lowercase());
    let best = names.clone().min_by_key(|name| distance(name));
    match best {
        Some(name) if distance(name) <= (wanted.chars().count() / 3).max(1) => format!("did you mean `{name}`?"),
        _ => format!("there are {}", listed(names)),
    }
}

/// Up to 20 names in backticks.
pub(crate) fn listed<'a>(names: impl Iterator<Item = &'a str> + Clone) -> String {
    let shown: Vec<String> = names.clone().take(20).map(|name| format!("`{name}`")).collect();
    let more = names.count() - shown.len();
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}
