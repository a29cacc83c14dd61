//! Each fault of a file with time series is found before training, and its message says where it is and what to do.

#![allow(clippy::unwrap_used)]

mod support;

use dataset::*;
use support::*;

/// The message for a file of this text under settings changed by `change`; `FILE` stands for the path. Look-back 4,
/// horizon 2.
fn message(text: &str, change: impl FnOnce(&mut SeriesDataConfig)) -> String {
    let (_folder, mut data) = file(text);
    change(&mut data);
    let path = data.path.clone().unwrap();
    let error = SeriesSource::open(&data, &SeriesFeaturesConfig::default(), &windows(4, 2)).expect_err("it is faulty");
    error.to_string().replace(&path.display().to_string(), "FILE")
}

fn unchanged(_: &mut SeriesDataConfig) {}

fn good() -> String {
    hourly(40, |i| (i % 5).to_string())
}

/// `good` with one line changed; 1 is the first row.
fn with_row(row: usize, line: &str) -> String {
    let mut lines: Vec<String> = good().lines().map(String::from).collect();
    lines[row] = line.to_string();
    lines.join("\n") + "\n"
}

#[test]
fn unsorted_rows() {
    let swapped = with_row(9, "2016-07-01 06:30:00,1");
    let found = message(&swapped, |data| data.unsorted = Unsorted::Error);
    let expected = "`FILE`, column `t`, row 9: 2016-07-01 06:30:00 comes after 2016-07-01 07:00:00; sort the rows by \
                    time, or set `data.unsorted: sort`";
    assert_eq!(found, expected);
}

#[test]
fn duplicate_timestamps() {
    let found = message(&(good() + "2016-07-01 03:00:00,9\n2016-07-01 03:00:00,9\n"), unchanged);
    let expected = "`FILE`, column `t`, row 41: 2016-07-01 03:00:00 is the timestamp of row 4 too (2 such rows); set \
                    `data.duplicates` to first, last or mean, or name the column that tells series apart in \
                    `data.group`";
    assert_eq!(found, expected);
    let groups = "t,g,y\n2016-07-01,a,1\n2016-07-02,a,1\n2016-07-02,b,1\n2016-07-02,a,1\n";
    let found = message(groups, |data| data.group = Some("g".to_string()));
    assert!(
        found.contains("row 4: 2016-07-02 00:00:00 is the timestamp of row 2 too, series `a` (1 such rows)"),
        "{found}"
    );
}

#[test]
fn unreadable_timestamps() {
    let expected = "`FILE`, column `t`, row 5: `1/7/2016 4:00` is no timestamp written like `2016-07-01 13:00`; set \
                    `data.time_format` (such as `%d/%m/%Y %H:%M`), or correct the value";
    assert_eq!(message(&with_row(5, "1/7/2016 4:00,1"), unchanged), expected);
    assert!(
        message(&with_row(5, "2016-02-30 04:00,1"), unchanged).contains("row 5: `2016-02-30 04:00` is no timestamp")
    );
    let format = |data: &mut SeriesDataConfig| data.time_format = Some("%d/%m/%Y".to_string());
    assert!(message(&good(), format).contains("row 1: `2016-07-01 00:00:00` is no timestamp written like `%d/%m/%Y`"));
    assert!(message(&with_row(7, ",1"), unchanged).starts_with("`FILE`, column `t`, row 7: the timestamp is missing"));
}

#[test]
fn mixed_zones() {
    let hint = "write all timestamps in one zone, best UTC";
    let found = message(&with_row(3, "2016-07-01T02:00:00Z,1"), unchanged);
    let expected =
        "`FILE`, column `t`, row 3: `2016-07-01T02:00:00Z` is in another zone than `2016-07-01 00:00:00` (row 1)";
    assert_eq!(found, format!("{expected}; {hint}"));
    let summer = "t,y\n2016-03-27 00:00+01:00,1\n2016-03-27 01:00+01:00,1\n2016-03-27 03:00+02:00,1\n";
    assert!(message(summer, unchanged).contains("row 3: `2016-03-27 03:00+02:00` is in another zone"));
    assert!(
        !message("t,y\n2016-03-27T00:00Z,1\n2016-03-27 01:00+00:00,1\n", unchanged).contains("zone"),
        "both are UTC"
    );
}

#[test]
fn series_that_are_too_short() {
    let found = message(&hourly(5, |i| i.to_string()), unchanged);
    let expected =
        "`FILE`: 5 steps, but a window needs 4 (`windows.lookback`) + 2 (`windows.horizon`) = 6; shorten the window";
    assert_eq!(found, expected);
    let groups = hourly(40, |i| format!("{},a", i % 7)).replace("t,y\n", "t,y,g\n") + "2016-07-01 00:00:00,3,b\n";
    let found = message(&groups, |data| {
        data.group = Some("g".to_string());
        data.short_series = ShortSeries::Error;
    });
    let expected = "`FILE`, series `b`: 1 steps, but a window needs 4 (`windows.lookback`) + 2 (`windows.horizon`) = \
                    6; shorten the window, or set `data.short_series: skip`";
    assert_eq!(found, expected);
    let found = message(&hourly(7, |i| i.to_string()), unchanged);
    let expected = "`FILE`: there is no whole window in train: its longest series has 4 steps there, but a window \
                    takes 4 + 2 = 6; enlarge the part in `data.split`, or shorten `windows.lookback` or \
                    `windows.horizon`";
    assert_eq!(found, expected);
    let borders = |data: &mut SeriesDataConfig| data.split.borders = Some([20, 30, 50]);
    let found = message(&good(), borders);
    assert_eq!(found, "`FILE`: `data.split.borders` ends at step 50, but there are 40 steps; lower the borders");
}

/// One row tells no frequency; with one given, the length is what is wrong.
#[test]
fn groups_with_one_row() {
    let rows = "t,g,y\n2016-07-01,a,1\n2016-07-02,b,2\n2016-07-03,c,2\n";
    let group = |data: &mut SeriesDataConfig| data.group = Some("g".to_string());
    let found = message(rows, group);
    let expected = "`FILE`, column `t`: no frequency can be found, no series has two timestamps; set `data.frequency` \
                    (such as `h`), or resample the rows";
    assert_eq!(found, expected);
    let found = message(rows, |data| {
        group(data);
        data.frequency = Some("D".to_string());
    });
    assert!(found.starts_with("`FILE`, series `a`: 1 steps, but a window needs 4"), "{found}");
    let found = message("t,g,y\n2016-07-01,a,1\n2016-07-02,,2\n", group);
    assert_eq!(found, "`FILE`, column `g`, row 2: the name of the series is missing; fill or remove the row");
}

#[test]
fn constant_series() {
    let found = message(&hourly(40, |i| if i < 28 { "7" } else { "8" }.to_string()), unchanged);
    let expected = "`FILE`: the train steps of every target (`y`) are constant, so there is nothing to learn";
    assert_eq!(found, expected);
}

#[test]
fn runs_of_missing_values() {
    let found = message(&hourly(60, |i| if i % 6 == 5 { "NaN".to_string() } else { i.to_string() }), unchanged);
    let expected = "`FILE`: there is no whole window in train: each of 36 touches a missing value; the longest whole \
                    stretch has 5 steps, from 2016-07-01 00:00:00, but a window takes 4 + 2 = 6; fill the gaps \
                    (`data.gaps: interpolate` or `forward_fill`, now `mask`), or shorten the window";
    assert_eq!(found, expected);
    let only_at_the_end = hourly(60, |i| if i < 50 { String::new() } else { i.to_string() });
    let found = message(&only_at_the_end, unchanged);
    assert!(found.contains("no whole window in train: `y` has no value in the train part (42 steps);"), "{found}");
}

#[test]
fn gaps_as_errors() {
    let error = |data: &mut SeriesDataConfig| data.gaps = GapPolicy::Error;
    let text: String =
        good().lines().enumerate().filter(|(i, _)| ![8, 9, 20].contains(i)).map(|(_, l)| format!("{l}\n")).collect();
    let expected = "`FILE`: every column is missing from 2016-07-01 07:00:00 to 2016-07-01 08:00:00 (2 steps; 2 gaps \
                    in all); set `data.gaps` to interpolate, forward_fill or mask";
    assert_eq!(message(&text, error), expected);
    assert!(
        message(&with_row(12, "2016-07-01 11:00:00,"), error).contains("`y` is missing from 2016-07-01 11:00:00 to")
    );
}

#[test]
fn timestamps_off_the_grid() {
    let expected = "`FILE`, column `t`, row 5: 2016-07-01 04:10:00 is off the grid: with the inferred frequency `h` \
                    the steps beside it are 2016-07-01 04:00:00 and 2016-07-01 05:00:00; correct the value, or set \
                    `data.frequency`";
    assert_eq!(message(&with_row(5, "2016-07-01 04:10:00,1"), unchanged), expected);
    let first = message(&with_row(1, "2016-06-30 23:45:00,1"), unchanged);
    assert!(first.contains("row 1: 2016-06-30 23:45:00 is off the grid"), "the first one is the odd one: {first}");
    let set = message(&good(), |data| data.frequency = Some("2h".to_string()));
    assert!(set.contains("row 2: 2016-07-01 01:00:00 is off the grid: with the set frequency `2h`"), "{set}");
    let months = message("t,y\n2016-01-31,1\n2016-02-29,1\n", |data| data.frequency = Some("MS".to_string()));
    assert!(months.contains("row 1: 2016-01-31 00:00:00 is off the grid: with the set frequency `MS`"), "{months}");
    let weekend = message("t,y\n2016-07-01,1\n2016-07-02,1\n", |data| data.frequency = Some("B".to_string()));
    assert!(weekend.contains("beside it are 2016-07-01 00:00:00 and 2016-07-04 00:00:00"), "{weekend}");
}

#[test]
fn timestamps_without_a_frequency() {
    let rows = (0..40).fold("t,y\n".to_string(), |text, i| text + &format!("{},1\n", format_time(86_400 + i * i * 61)));
    let found = message(&rows, unchanged);
    assert!(
        found.starts_with("`FILE`, column `t`: no frequency can be found, the most frequent distance, 61s, is"),
        "{found}"
    );
    let found = message(&(good() + "2076-07-01 00:00:00,1\n"), unchanged);
    let expected = "`FILE`: from 2016-07-01 00:00:00 to 2076-07-01 00:00:00 there are 525961 steps of `h`, but only 41 \
                    rows; a timestamp may be wrong: set `data.start` or `data.end`, or another `data.frequency`";
    assert_eq!(found, expected);
}

#[test]
fn columns_that_are_not_there_or_have_two_roles() {
    let found = message(&good(), |data| data.targets = names(&["Y2"]));
    assert_eq!(found, "`FILE` has no column `Y2` (named in `data.targets`); did you mean `y`?");
    let found = message(&good(), |data| data.time = "tt".to_string());
    assert_eq!(found, "`FILE` has no column `tt` (named in `data.time`); did you mean `t`?");
    let found = message(&good(), |data| {
        data.targets = names(&["y"]);
        data.future_covariates = names(&["y"]);
    });
    assert_eq!(found, "column `y` is the target, so it cannot be listed in `data.future_covariates` too");
    let found = message(&good(), |data| data.valid_range = [("z".to_string(), [0.0, 1.0])].into());
    assert!(found.starts_with("`FILE` has no column `z` (named in `data.valid_range`)"), "{found}");
    let found = message(&(good().replace("t,y", "t,y,z").replace(":00,", ":00,7,")), |data| {
        data.valid_range = [("z".to_string(), [0.0, 1.0])].into();
        data.targets = names(&["y"]);
    });
    assert_eq!(found, "`data.valid_range`: `z` is neither a target nor a covariate of numbers");
    let found = message(&good(), |data| data.time = String::new());
    assert_eq!(found, "`data.time` is not set: which column of `FILE` holds the timestamps? `t` looks like it");
    let found = message("t,y\n2016-07-01,a\n2016-07-02,b\n", unchanged);
    assert_eq!(found, "`FILE`: no column is left to forecast; name numeric columns in `data.targets`");
    let stray = message(&with_row(30, "2016-07-02 05:00:00,x7"), |data| data.targets = names(&["y"]));
    assert!(stray.contains("column `y`, row 30: `x7` is not a number"), "{stray}");
}

#[test]
fn times_that_hold_nothing() {
    let found = message(&good(), |data| data.start = Some("2017-01-01".to_string()));
    let expected = "`FILE`: no row is between `data.start` and `data.end`; its timestamps are from 2016-07-01 00:00:00 \
                    to 2016-07-02 15:00:00";
    assert_eq!(found, expected);
}

/// What no file could satisfy: key and reason.
#[test]
fn settings_that_cannot_be() {
    type Change = fn(&mut SeriesDataConfig);
    let changes: [(&str, Change); 13] = [
        ("data.source", |data| data.source = Some(SeriesBuiltin::TrafficDemo)),
        ("data.time_format", |data| data.time_format = Some("%H:%M".to_string())),
        ("data.frequency", |data| data.frequency = Some("hourly".to_string())),
        ("data.start", |data| data.start = Some("yesterday".to_string())),
        ("data.end", |data| (data.start, data.end) = (Some("2017".to_string()), Some("2016".to_string()))),
        ("data.valid_range", |data| data.valid_range = [("y".to_string(), [1.0, 0.0])].into()),
        ("data.max_gap_steps", |data| data.max_gap_steps = Some(0)),
        ("data.max_series_length", |data| data.max_series_length = Some(0)),
        ("data.split.borders", |data| data.split.borders = Some([5, 5, 9])),
        ("data.split.test_from", |data| data.split.valid_from = Some("2016".to_string())),
        ("data.split.valid", |data| data.split.valid = 0.0),
        ("data.split", |data| data.split.test = 0.95),
        ("data.delimiter", |data| data.delimiter = '"'),
    ];
    for (key, change) in changes {
        let found = message(&good(), change);
        assert!(found.starts_with(&format!("`{key}`: ")), "{key}: {found}");
    }
    let features = SeriesFeaturesConfig::default();
    let wrong = [
        SeriesFeaturesConfig { calendar: Some(vec![DatetimePart::Year]), ..features.clone() },
        SeriesFeaturesConfig { lags: vec![0], ..features.clone() },
        SeriesFeaturesConfig { differences: vec![3, 3], ..features.clone() },
        SeriesFeaturesConfig { season_steps: Some(0), ..features.clone() },
        SeriesFeaturesConfig {
            rolling: RollingConfig { windows: vec![1], ..RollingConfig::default() },
            ..features.clone()
        },
    ];
    let keys = ["calendar", "lags", "differences", "season_steps", "rolling.windows"];
    for (features, key) in wrong.iter().zip(keys) {
        let found = features.check().unwrap_err().to_string();
        assert!(found.starts_with(&format!("`features.{key}`: ")), "{found}");
    }
    assert!(windows(0, 2).check().unwrap_err().to_string().starts_with("`windows.lookback`: `0` is not"));
    let backtest = BacktestConfig { folds: 0, ..BacktestConfig::default() };
    assert!(backtest.check().unwrap_err().to_string().starts_with("`backtest.folds`: `0` is not"));
}

#[test]
fn targets_without_a_value() {
    let expected = "`FILE`: no row has a value of a target (`y`); 40 rows were read; look at `data.targets`, \
                    `data.null_values` and `data.valid_range`";
    let empty = |data: &mut SeriesDataConfig| data.targets = vec!["y".to_string()];
    assert_eq!(message(&hourly(40, |_| String::new()), empty), expected);
    let out = message(&good(), |data| data.valid_range = [("y".to_string(), [1e6, 2e6])].into());
    assert!(out.contains("40 rows were read, 40 values of `y` are outside of `data.valid_range`;"), "{out}");
}

#[test]
fn fractions_of_a_second() {
    let found = message(&with_row(3, "2016-07-01 02:00:00.5,1"), unchanged);
    let expected = "`FILE`, column `t`, row 3: `2016-07-01 02:00:00.5` has a fraction of a second; steps below one \
                    second are not supported: resample the rows";
    assert_eq!(found, expected);
}

#[test]
fn zones_of_the_run_file() {
    let found = message(&good(), |data| data.start = Some("2016-07-01T05:00+02:00".to_string()));
    let expected = "`data.start`: `2016-07-01T05:00+02:00` is in zone +02:00, but the timestamps of the data are \
                    without a zone; leave the zone out";
    assert_eq!(found, expected);
    let zoned = good().replace(":00,", ":00Z,");
    let found = message(&zoned, |data| {
        data.split.valid_from = Some("2016-07-01T20:00Z".to_string());
        data.split.test_from = Some("2016-07-02T00:00-01:00".to_string());
    });
    assert!(found.starts_with("`data.split.test_from`") && found.contains("are in zone +00:00"), "{found}");
}

/// The name of a series that is left out stands once in the warning.
#[test]
fn series_left_out_are_named_once() {
    let mut text = "t,g,y\n".to_string();
    for i in 0..60 {
        let late = if i < 50 { String::new() } else { i.to_string() };
        text += &format!("{0},a,{1}\n{0},b,{late}\n", hour(i), i % 7);
    }
    let (_folder, data) = file(&text);
    let data = SeriesDataConfig { group: Some("g".to_string()), ..data };
    let source = SeriesSource::open(&data, &plain(), &windows(4, 2)).unwrap();
    let told = "1 series left out (`y` has no value in the train part (42 steps)): `b`";
    assert_eq!(source.report().warnings, [told]);
}
