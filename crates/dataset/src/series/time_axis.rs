//! The column of timestamps.

use super::error::SeriesError;
use crate::datetime::{DateFormat, Reading};
use crate::{Column, Error, Result};

/// One time per row.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    /// Seconds since 1970-01-01 on the clock as written, by row.
    pub seconds: Vec<i64>,
    /// The one zone of all timestamps, in seconds east of Greenwich; `None` if they have none.
    pub zone: Option<i32>,
}

/// What a cell says.
#[derive(Clone, Copy)]
enum Stamp {
    Missing,
    Unreadable,
    Fraction,
    At(i64, Option<i32>),
}

/// Reads the timestamps of all rows. Errors at the first that is missing, cannot be read, has a fraction of a second or
/// another zone than the first one. `format` is that of `data.time_format`; `file` is for messages.
pub(crate) fn read_times(column: &Column, format: Option<&str>, file: &str) -> Result<Times> {
    let parser =
        DateFormat::of_series(format).map_err(|problem| Error::Setting { key: "data.time_format", problem })?;
    let read = |text: Option<&str>| match text.map(|text| parser.read(text)) {
        None => Stamp::Missing,
        Some(None) => Stamp::Unreadable,
        Some(Some(Reading { has_fraction: true, .. })) => Stamp::Fraction,
        Some(Some(Reading { moment, zone, .. })) => Stamp::At(moment.epoch(), zone),
    };
    let rows: Vec<u32> = (0..column.len() as u32).collect();
    let mut times = Times { seconds: Vec::with_capacity(rows.len()), zone: None };
    for (row, stamp) in column.map_texts(&rows, read).into_iter().enumerate() {
        match stamp {
            Stamp::At(seconds, zone) if row == 0 || zone == times.zone => {
                times.zone = zone;
                times.seconds.push(seconds);
            }
            wrong => return Err(fault(wrong, column, row, format, file).into()),
        }
    }
    Ok(times)
}

fn fault(stamp: Stamp, column: &Column, row: usize, format: Option<&str>, file: &str) -> SeriesError {
    let text = |row| column.text(row).unwrap_or_default().into_owned();
    let (file, column, value) = (file.to_string(), column.name.clone(), text(row));
    let row = row + 1;
    match stamp {
        Stamp::Missing => SeriesError::MissingTimestamp { file, column, row },
        Stamp::Fraction => SeriesError::Fraction { file, column, row, value },
        Stamp::At(..) => SeriesError::MixedZones { file, column, row, value, first: text(0), first_row: 1 },
        Stamp::Unreadable => {
            let format = format.unwrap_or("2016-07-01 13:00").to_string();
            SeriesError::NotATimestamp { file, column, row, value, format }
        }
    }
}
