//! A file or a built-in table becomes typed, split, encoded and scaled arrays.
//!
//! [`load`] reads the columns as text ([`read_table`]), adds engineered ones ([`EngineerConfig`]), guesses a type for each,
//! takes the problem type from the target, splits the rows, fits the encoding on the train rows ([`Preprocessor`]) and
//! applies it to all three parts. [`Source`] does so in steps, so that a file is read once for all folds of a
//! cross-validation.
//!
//! How a column is typed: `true`/`false` in any case is boolean and becomes 0 and 1; numeric if every value parses as a
//! number, however few distinct ones there are; everything else, dates included, is categorical. A column with at least
//! nine numbers in ten values and more than 20 distinct numbers is an error, not a category: it is nearly always a
//! numeric column with stray text. `data.types` overrules all of it.

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
mod read;
mod scaler;
mod source;
mod split;
mod statistics;
mod table;
mod target;

pub use column::{Column, ColumnType};
pub use config::{
    Builtin, CategoricalEncoding, ColumnKind, ColumnSettings, DataConfig, FeaturesConfig, Format, Imputation,
    ProblemTypeSetting, Scaling, SplitConfig, TargetBins, TargetScaling, TargetTransform,
};
pub use data_report::{
    Alone, ColumnReport, DataReport, DataWarning, Drift, LevelCount, NumberStats, RepeatedRows, Role, TargetReport,
    WarningKind,
};
pub use datetime::DatetimePart;
pub use error::{Error, Result};
pub use features::{DatetimeFeature, EngineerConfig, PowerFeature, RatioFeature};
pub use folds::{CrossValidationConfig, Fold};
pub use info::{DatasetInfo, PartInfo};
pub use load::{Part, Splits, load};
pub use preprocessor::{Encoder, Input, InputColumns, Preprocessor, RawColumn};
pub use read::read_table;
pub use scaler::Scaler;
pub use source::Source;
pub use table::{DataFile, Table};
pub use target::{ProblemType, Target, TargetEncoding};
