//! A file or a built-in table becomes typed, split, encoded and scaled arrays.
//!
//! [`load`] reads the columns ([`read_table`]), adds engineered ones ([`EngineerConfig`]), guesses a type for each,
//! takes the problem type from the target, splits the rows, fits the encoding on the train rows ([`Preprocessor`]) and
//! applies it to all three parts. [`Source`] does so in steps, so that a file is read once for all folds of a
//! cross-validation.
//!
//! Memory: a cell with up to 8 digits takes 4 bytes, a longer number 8, a text 4 beside one copy of each distinct text;
//! a file is read as a stream, and the raw columns are cut off row by row as they are encoded. What stays is the
//! encoded rows and the raw columns of the test rows, for the written predictions.
//!
//! How a column is typed: `true`/`false` in any case, with or without 0 and 1, is boolean and becomes 0 and 1; numeric
//! if every value parses as a number, however few distinct ones there are; everything else, dates included, is
//! categorical. A column with at least nine numbers in ten values and more than 20 distinct numbers is an error, not a
//! category: it is nearly always a numeric column with stray text. Where at least half of the cells of a text column
//! are numbers, a warning says so. `data.types` overrules all of it.
//!
//! Time series: [`SeriesSource`] reads a file's series onto a regular grid, [`SeriesSplits`] gives their windows as
//! arrays, and [`SeriesEncoder`] is what a forecast from other rows needs.

mod column;
mod config;
mod csv_file;
mod data_report;
mod data_report_html;
mod data_report_text;
mod datetime;
mod decimal;
mod error;
mod features;
mod folds;
mod info;
mod load;
#[cfg(feature = "parquet")]
mod parquet_file;
mod preprocessor;
mod profile;
mod read;
mod row_writer;
mod rows;
mod scaler;
mod schema;
mod series;
mod source;
mod split;
mod statistics;
mod table;
mod target;
mod write;

pub use column::{Column, ColumnType};
pub use config::{
    Builtin, CategoricalEncoding, ColumnKind, ColumnSettings, DataConfig, FeaturesConfig, Format, Imputation,
    ProblemTypeSetting, Scaling, SplitConfig, TargetBins, TargetScaling, TargetTransform,
};
pub use data_report::{
    Alone, ColumnReport, DataReport, DataWarning, Drift, LevelCount, NumberStats, RepeatedRows, Role, TargetReport,
    WarningKind,
};
pub use datetime::{DatetimePart, format_time};
pub use error::{Error, Result};
pub use features::{DatetimeFeature, EngineerConfig, PowerFeature, RatioFeature};
pub use folds::{CrossValidationConfig, Fold};
pub use info::{DatasetInfo, PartInfo};
pub use load::{LabelledRows, Part, Splits, load, load_labelled};
pub use preprocessor::{Encoder, Input, InputColumns, Preprocessor, RawColumn};
pub use profile::{ColumnProfile, Profile, ProfileValues};
pub use read::read_table;
pub use row_writer::{EncodedRows, OutputType, RowWriter};
pub use rows::{FileColumn, RowReader, Rows};
pub use scaler::Scaler;
pub use schema::ColumnCheck;
pub use series::{
    BacktestConfig, BacktestFold, CalendarEncoding, ChannelSource, Covariate, Duplicates, Frequency, Gap, GapPolicy,
    Latest, LatestSeries, RollingConfig, RollingStatistic, Scale, SeriesBatch, SeriesBuiltin, SeriesDataConfig,
    SeriesEncoder, SeriesError, SeriesFeaturesConfig, SeriesLine, SeriesPart, SeriesReport, SeriesScaling, SeriesShape,
    SeriesSource, SeriesSplitConfig, SeriesSplits, ShortSeries, SkippedSeries, TargetFigures, Unsorted, Window,
    WindowsConfig,
};
pub use source::Source;
pub use table::{DataFile, Table};
pub use target::{ProblemType, Target, TargetEncoding};
pub use write::{OutputColumn, OutputFormat, columns_to_csv, write_columns};
