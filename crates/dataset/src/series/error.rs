//! What can be wrong with time series. Each message says where, and what to do about it.
//!
//! Rows are counted from 1 and the header is not counted. `of_series` is ", series `x`", or nothing where the file has
//! one series.

/// Why time series could not be read, divided or encoded. `file` is the path, or the name of a built-in data set.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the fields are explained by the message above them
pub enum SeriesError {
    /// `data.time` is not set.
    #[error("`data.time` is not set: which column of `{file}` holds the timestamps? {hint}")]
    NoTime { file: String, hint: String },

    /// No number to forecast.
    #[error("`{file}`: no column is left to forecast; name numeric columns in `data.targets`")]
    NoTargets { file: String },

    /// Targets without any value. `removed`: how many `data.valid_range` took out, or nothing.
    #[error(
        "`{file}`: no row has a value of a target ({targets}); {rows} rows were read{removed}; look at `data.targets`, \
         `data.null_values` and `data.valid_range`"
    )]
    NoTargetValues { file: String, targets: String, rows: usize, removed: String },

    /// A row without a timestamp.
    #[error("`{file}`, column `{column}`, row {row}: the timestamp is missing; fill or remove the row")]
    MissingTimestamp { file: String, column: String, row: usize },

    /// Text that should be a timestamp.
    #[error(
        "`{file}`, column `{column}`, row {row}: `{value}` is no timestamp written like `{format}`; set \
         `data.time_format` (such as `%d/%m/%Y %H:%M`), or correct the value"
    )]
    NotATimestamp { file: String, column: String, row: usize, value: String, format: String },

    /// A time between two seconds.
    #[error(
        "`{file}`, column `{column}`, row {row}: `{value}` has a fraction of a second; steps below one second are not \
         supported: resample the rows"
    )]
    Fraction { file: String, column: String, row: usize, value: String },

    /// Clocks that cannot be compared.
    #[error(
        "`{file}`, column `{column}`, row {row}: `{value}` is in another zone than `{first}` (row {first_row}); write \
         all timestamps in one zone, best UTC"
    )]
    MixedZones { file: String, column: String, row: usize, value: String, first: String, first_row: usize },

    /// A time before the one above.
    #[error(
        "`{file}`, column `{column}`, row {row}: {value} comes after {previous}{of_series}; sort the rows by time, or \
         set `data.unsorted: sort`"
    )]
    UnsortedTime { file: String, column: String, row: usize, value: String, previous: String, of_series: String },

    /// One timestamp twice in a series.
    #[error(
        "`{file}`, column `{column}`, row {row}: {value} is the timestamp of row {first_row} too{of_series} ({count} \
         such rows); set `data.duplicates` to first, last or mean, or name the column that tells series apart in \
         `data.group`"
    )]
    DuplicateTime {
        file: String,
        column: String,
        row: usize,
        value: String,
        first_row: usize,
        of_series: String,
        count: usize,
    },

    /// Timestamps without a common distance.
    #[error(
        "`{file}`, column `{column}`: no frequency can be found, {reason}; set `data.frequency` (such as `h`), or \
         resample the rows"
    )]
    NoFrequency { file: String, column: String, reason: String },

    /// A timestamp between two steps.
    #[error(
        "`{file}`, column `{column}`, row {row}: {value} is off the grid{of_series}: with {how} frequency \
         `{frequency}` the steps beside it are {before} and {after}; correct the value, or set `data.frequency`"
    )]
    OffGrid {
        file: String,
        column: String,
        row: usize,
        value: String,
        of_series: String,
        how: &'static str,
        frequency: String,
        before: String,
        after: String,
    },

    /// A grid that is nearly empty.
    #[error(
        "`{file}`: from {from} to {to} there are {steps} steps of `{frequency}`{of_series}, but only {rows} rows; a \
         timestamp may be wrong: set `data.start` or `data.end`, or another `data.frequency`"
    )]
    SparseGrid { file: String, from: String, to: String, steps: i64, frequency: String, of_series: String, rows: usize },

    /// No rows between start and end.
    #[error("`{file}`: no row is between `data.start` and `data.end`; its timestamps are from {from} to {to}")]
    NothingInTime { file: String, from: String, to: String },

    /// Missing steps or values under `gaps: error`.
    #[error(
        "`{file}`{of_series}: {what} missing from {from} to {to} ({steps} steps; {count} gaps in all); set `data.gaps` \
         to interpolate, forward_fill or mask"
    )]
    SeriesGap { file: String, of_series: String, what: String, from: String, to: String, steps: usize, count: usize },

    /// A row that belongs to no series.
    #[error("`{file}`, column `{column}`, row {row}: the name of the series is missing; fill or remove the row")]
    MissingGroup { file: String, column: String, row: usize },

    /// Too few steps for one window.
    #[error(
        "`{file}`{of_series}: {found} steps, but a window needs {lookback} (`windows.lookback`) + {horizon} \
         (`windows.horizon`) = {needed}; shorten the window{or_skip}"
    )]
    ShortSeries {
        file: String,
        of_series: String,
        found: usize,
        lookback: usize,
        horizon: usize,
        needed: usize,
        or_skip: &'static str,
    },

    /// A border beyond the end.
    #[error(
        "`{file}`{of_series}: `data.split.borders` ends at step {border}, but there are {found} steps; lower the \
        borders"
    )]
    BorderBeyond { file: String, of_series: String, border: usize, found: usize },

    /// A part without a window.
    #[error("`{file}`: there is no whole window in {part}: {reason}; {hint}")]
    NoWindow { file: String, part: &'static str, reason: String, hint: String },

    /// A series that never changes.
    #[error("`{file}`: the train steps of every target ({targets}) are constant, so there is nothing to learn")]
    ConstantTargets { file: String, targets: String },

    /// A text column with too many texts for 0/1 channels.
    #[error(
        "`{file}`, column `{column}`: {levels} texts are too many for a 0/1 channel each; list it in \
        `data.ignore_columns`"
    )]
    TooManyLevels { file: String, column: String, levels: usize },

    /// A covariate that is not known for the horizon.
    #[error(
        "`{file}`{of_series}: the forecast from {origin} needs `{column}` for all {horizon} steps, but it is missing \
         at {missing}; add rows with it, leaving the targets empty"
    )]
    FutureMissing { file: String, of_series: String, column: String, origin: String, horizon: usize, missing: String },

    /// The last steps of a series are not enough to forecast from.
    #[error("`{file}`{of_series}: no forecast can be made from {origin}, since {reason}")]
    NoForecast { file: String, of_series: String, origin: String, reason: String },

    /// A stored encoder that cannot be used.
    #[error("the stored series encoder cannot be used: {reason}")]
    Encoder { reason: String },
}

/// ", series `x`", or nothing where the file has one series.
pub(crate) fn of_series(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(", series `{name}`") }
}
