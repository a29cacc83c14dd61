//! What becomes of the columns of a time series: grid, gaps, roles, features, scales, parts.

#![allow(clippy::unwrap_used)]

mod support;

use dataset::*;
use support::*;

fn open(data: &SeriesDataConfig, features: &SeriesFeaturesConfig, windows: WindowsConfig) -> SeriesSource {
    SeriesSource::open(data, features, &windows).unwrap()
}

/// The values of the first target.
fn values(data: &SeriesDataConfig) -> Vec<f64> {
    let splits = open(data, &plain(), windows(2, 1)).splits().unwrap();
    splits.values(0, 0).to_vec()
}

fn same(found: &[f64], expected: &[f64]) {
    let is_same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
    assert!(found.len() == expected.len() && found.iter().zip(expected).all(is_same), "{found:?} is not {expected:?}");
}

const NAN: f64 = f64::NAN;

/// A batch of one window is a plain cut of the columns.
#[test]
fn windows_are_cut_out() {
    let (_folder, mut data) = file(&hourly(40, |i| (i * i).to_string()));
    let splits = open(&data, &plain(), windows(4, 3)).splits().unwrap();
    assert_eq!(counts(&splits), [28 - 6, 4 - 2, 8 - 2]);
    assert_eq!(splits.train[0], Window { series: 0, origin: 4 });
    let batch = splits.batch(&[splits.train[0], splits.test[5]]);
    assert_eq!(batch.past, [0.0, 1.0, 4.0, 9.0, 1089.0, 1156.0, 1225.0, 1296.0]);
    assert_eq!(batch.target, [16.0, 25.0, 36.0, 1369.0, 1444.0, 1521.0]);
    assert_eq!(batch.actual, [16.0, 25.0, 36.0, 1369.0, 1444.0, 1521.0]);
    assert!(batch.past_covariates.is_empty() && batch.future_covariates.is_empty());
    assert_eq!(
        splits.times(splits.test[5]).into_iter().map(format_time).collect::<Vec<_>>(),
        [hour(37), hour(38), hour(39)]
    );
    assert_eq!(format_time(splits.past_times(splits.test[5])[0]), hour(33));
    data.split.borders = Some([20, 26, 36]);
    let splits = open(&data, &plain(), WindowsConfig { stride: 2, ..windows(4, 3) }).splits().unwrap();
    assert_eq!(counts(&splits), [7, 4, 8]);
    assert_eq!(splits.valid[0].origin, 20, "it looks back across the border");
    data.split = SeriesSplitConfig {
        valid_from: Some("2016-07-01 20:30".to_string()),
        test_from: Some("2016-07-02".to_string()),
        ..SeriesSplitConfig::default()
    };
    let splits = open(&data, &plain(), windows(4, 3)).splits().unwrap();
    assert_eq!(splits.info.parts.iter().map(|part| part.n_rows).collect::<Vec<_>>(), [21, 3, 16]);
}

/// pandas 3.0: `Series.interpolate(limit_area="inside")` and `ffill()`.
#[test]
fn gaps_are_filled_as_pandas_does() {
    let rows = [(0, "2"), (1, ""), (3, "7.1"), (5, "3"), (6, "8"), (7, "9"), (8, "1"), (9, "2")];
    let rows = rows.iter().fold("t,y\n".to_string(), |text, (i, y)| text + &format!("{},{y}\n", hour(*i)));
    let (_folder, mut data) = file(&rows);
    data.split.borders = Some([6, 8, 10]);
    data.gaps = GapPolicy::Interpolate;
    same(&values(&data), &[2.0, 3.7, 5.4, 7.1, 5.05, 3.0, 8.0, 9.0, 1.0, 2.0]);
    data.gaps = GapPolicy::ForwardFill;
    same(&values(&data), &[2.0, 2.0, 2.0, 7.1, 7.1, 3.0, 8.0, 9.0, 1.0, 2.0]);
    data.max_gap_steps = Some(1);
    data.split.borders = Some([8, 9, 10]);
    same(&values(&data), &[2.0, NAN, NAN, 7.1, 7.1, 3.0, 8.0, 9.0, 1.0, 2.0]);
    data.gaps = GapPolicy::Mask;
    let source = open(&data, &plain(), windows(2, 1));
    let report = source.report();
    assert_eq!((report.n_absent, report.n_missing["y"], report.n_filled.get("y")), (2, 3, None));
    let gaps: Vec<_> = report.gaps.iter().map(|gap| (gap.column.clone(), gap.from.clone(), gap.n_steps)).collect();
    let whole = |i| (None, hour(i), 1);
    assert_eq!(gaps, [(Some("y".to_string()), hour(1), 2), whole(2), whole(4)]);
    assert_eq!(report.gaps_csv().lines().nth(1).unwrap(), format!(",y,{},{},2", hour(1), hour(2)));
    let splits = source.splits().unwrap();
    assert_eq!(splits.train, [Window { series: 0, origin: 7 }], "windows that touch a missing value are left out");
    assert_eq!(report.parts[0].n_left_out, 5);
    let line = &source.lines()[0];
    same(&line.values, &[2.0, NAN, NAN, 7.1, NAN, 3.0, 8.0, 9.0, 1.0, 2.0]);
    assert_eq!(line.gaps.len(), 2);
    let at = |step: usize| line.times[step];
    assert_eq!(line.gaps, [(at(1), at(2)), (at(4), at(4))], "the first and the last missing step");
    assert_eq!(line.borders[0], line.times[8]);
}

#[test]
fn rows_are_sorted_and_duplicates_resolved() {
    let rows = [(2, "5"), (0, "1"), (1, "2"), (1, "4"), (3, "7"), (4, "1"), (5, "3"), (6, "2"), (7, "2"), (1, "9")];
    let rows = rows.iter().fold("t,y\n".to_string(), |text, (i, y)| text + &format!("{},{y}\n", hour(*i)));
    let (_folder, mut data) = file(&rows);
    data.split.borders = Some([5, 6, 8]);
    for (rule, second) in [(Duplicates::First, 2.0), (Duplicates::Last, 9.0), (Duplicates::Mean, 5.0)] {
        data.duplicates = rule;
        let source = open(&data, &plain(), windows(2, 1));
        assert_eq!((source.report().n_unsorted, source.report().n_duplicates), (4, 2));
        assert!(source.report().warnings[0].starts_with("4 rows were not in the order of time"));
        same(source.splits().unwrap().values(0, 0), &[1.0, second, 5.0, 7.0, 1.0, 3.0, 2.0, 2.0]);
    }
}

#[test]
fn values_out_of_range_are_missing() {
    let (_folder, mut data) = file(&hourly(20, |i| if i == 5 { "0".to_string() } else { (280 + i).to_string() }));
    data.valid_range.insert("y".to_string(), [200.0, 400.0]);
    data.gaps = GapPolicy::Interpolate;
    let source = open(&data, &plain(), windows(2, 1));
    assert_eq!(source.report().out_of_range["y"], 1);
    assert_eq!(source.splits().unwrap().values(0, 0)[5], 285.0);
}

#[test]
fn stretches_of_time_are_chosen() {
    let (_folder, mut data) = file(&hourly(60, |i| i.to_string()));
    data.start = Some("2016-07-01 10:00".to_string());
    data.end = Some("2016-07-02 15:00".to_string());
    let source = open(&data, &plain(), windows(2, 1));
    assert_eq!((source.report().n_outside, source.report().n_steps), (30, 30));
    assert_eq!((source.report().from.as_str(), source.report().to.as_str()), (&*hour(10), &*hour(39)));
    data.max_series_length = Some(20);
    let source = open(&data, &plain(), windows(2, 1));
    assert_eq!((source.report().n_cut, source.report().from.as_str()), (10, &*hour(20)));
    assert_eq!(source.splits().unwrap().values(0, 0)[0], 20.0);
}

/// pandas 3.0: `x.diff(3)` and `x.rolling(4).mean()` and so on.
#[test]
fn computed_columns_are_those_of_pandas() {
    let x = ["3", "1", "4", "1", "5", "9", "2", "6", "5", "3.5", "", "9", "7", "9", "3", "2"];
    let (_folder, mut data) = file(&hourly(30, |i| x.get(i).map_or(i.to_string(), |x| x.to_string())));
    data.split.borders = Some([16, 22, 30]);
    let features = SeriesFeaturesConfig {
        lags: vec![2, 1],
        differences: vec![3],
        rolling: RollingConfig {
            windows: vec![4],
            statistics: vec![
                RollingStatistic::Mean,
                RollingStatistic::Std,
                RollingStatistic::Min,
                RollingStatistic::Max,
                RollingStatistic::Median,
            ],
        },
        ..plain()
    };
    let splits = open(&data, &features, windows(1, 2)).splits().unwrap();
    let of = "difference_3(y) rolling_mean_4(y) rolling_std_4(y) rolling_min_4(y) rolling_max_4(y) \
              rolling_median_4(y) lag_1(y)";
    assert_eq!(splits.past_names().join(" "), of);
    assert_eq!(splits.future_names(), ["lag_2(y)"], "a lag of the horizon's length is known over the horizon");
    let origins: Vec<u32> = splits.train.iter().chain(&splits.valid).chain(&splits.test).map(|w| w.origin).collect();
    let around_the_gap: Vec<u32> = (4..=8).chain(16..=20).chain(22..=28).collect();
    assert_eq!(origins, around_the_gap, "4 steps before the window are needed, too");
    let batch = splits.batch(&splits.train[..3]);
    let expected = [
        [-2.0, 2.25, 1.5, 1.0, 4.0, 2.0, 4.0],
        [4.0, 2.75, 2.0615528128088303, 1.0, 5.0, 2.5, 1.0],
        [5.0, 4.75, 3.304037933599835, 1.0, 9.0, 4.5, 5.0],
    ];
    for (found, expected) in batch.past_covariates.iter().zip(expected.as_flattened()) {
        assert_eq!(*found, *expected as f32);
    }
    assert_eq!(batch.future_covariates, [1.0, 4.0, 1.0, 4.0, 1.0, 5.0, 1.0, 5.0, 9.0]);
}

#[test]
fn the_calendar_is_known_over_the_horizon() {
    let (_folder, data) = file(&hourly(200, |i| i.to_string()));
    let cyclic = SeriesFeaturesConfig { calendar_encoding: CalendarEncoding::Cyclic, ..Default::default() };
    let splits = open(&data, &cyclic, windows(3, 2)).splits().unwrap();
    let of = ["hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "month_sin", "month_cos"];
    assert_eq!(splits.future_names(), of);
    // Friday 2016-07-01, 3 h and 4 h are the steps to forecast.
    let batch = splits.batch(&splits.train[..1]);
    let (turn, tau) = (1.0 / 24.0, std::f64::consts::TAU);
    for (step, found) in batch.future_covariates[..5].iter().enumerate() {
        assert_close(f64::from(*found), (tau * turn * step as f64).sin(), 1e-7);
    }
    assert_close(f64::from(batch.future_covariates[10]), (tau * 4.0 / 7.0).sin(), 1e-7);
    assert_close(f64::from(batch.future_covariates[20]), (tau * 0.5).sin(), 1e-7);

    let features = SeriesFeaturesConfig {
        calendar: Some(vec![DatetimePart::Weekday, DatetimePart::IsWeekend]),
        calendar_encoding: CalendarEncoding::OneHot,
        ..plain()
    };
    let splits = open(&data, &features, windows(3, 2)).splits().unwrap();
    assert_eq!(splits.shape().n_future, 7, "train ends on a Wednesday, with the weekdays 4, 5, 6, 0, 1 and 2");
    let saturday = splits.train.iter().find(|window| window.origin == 24 + 3).unwrap();
    let batch = splits.batch(&[*saturday]);
    let at_first = |channel: usize| batch.future_covariates[channel * 5];
    assert_eq!((0..7).map(at_first).collect::<Vec<f32>>(), [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
}

/// Two series of different lengths, starts and scales in one file, row by row in turn, and one with a single row.
fn grouped() -> String {
    let mut text = "t,shop,y,price,kind\n".to_string();
    for i in 0..60 {
        text += &format!("{},a,{},{},{}\n", hour(i), 10 + i % 7, i % 3, if i % 2 == 0 { "red" } else { "blue" });
        if i >= 20 {
            text += &format!("{},b,{},{},green\n", hour(i), 1000 + 100 * (i % 7), 5 + i % 3);
        }
    }
    text + &format!("{},c,1,1,red\n", hour(3))
}

fn of_groups(data: SeriesDataConfig) -> SeriesDataConfig {
    SeriesDataConfig {
        group: Some("shop".to_string()),
        targets: names(&["y"]),
        past_covariates: names(&["kind"]),
        future_covariates: names(&["price"]),
        ..data
    }
}

#[test]
fn series_are_told_apart() {
    let (_folder, data) = file(&grouped());
    let data = of_groups(data);
    let cyclic = SeriesFeaturesConfig { calendar_encoding: CalendarEncoding::Cyclic, ..Default::default() };
    let source = open(&data, &cyclic, windows(5, 2));
    let report = source.report();
    assert_eq!((report.n_series, report.lengths), (2, (40, 60)));
    assert_eq!(report.skipped.len(), 1);
    assert_eq!((report.skipped[0].name.as_str(), report.skipped[0].n_steps), ("c", 1));
    assert!(
        report.warnings[0].starts_with("1 series left out (1 steps, a window needs 7): `c`"),
        "{:?}",
        report.warnings
    );
    let splits = source.splits().unwrap();
    assert_eq!([0, 1].map(|series| splits.series_name(series)), ["a", "b"]);
    assert_eq!(counts(&splits), [42 - 6 + 28 - 6, 6 - 1 + 4 - 1, 12 - 1 + 8 - 1]);
    assert_eq!(splits.past_names(), ["kind=blue", "kind=green", "kind=red"]);
    assert_eq!(splits.future_names().last().unwrap(), "price");
    let b = splits.train.iter().find(|window| window.series == 1).unwrap();
    assert_eq!(format_time(splits.times(*b)[0]), hour(25));
    assert_eq!(splits.batch(&[*b]).actual, [1400.0, 1500.0]);
    assert_eq!(splits.batch(&[*b]).past_covariates[5..10], [1.0; 5], "green");
    let hours = &splits.batch(&[*b]).future_covariates[..7];
    let sine = |hour: usize| (std::f64::consts::TAU * (hour % 24) as f64 / 24.0).sin();
    for (step, found) in hours.iter().enumerate() {
        assert_close(f64::from(*found), sine(20 + step), 1e-6);
    }
    // Both are 7 steps of one period, so they are alike once each is on its own scale.
    let a = Window { series: 0, origin: b.origin + 20 };
    let (a, b) = (splits.batch(&[a]), splits.batch(&[*b]));
    assert!(a.past.iter().zip(&b.past).all(|(a, b)| (a - b).abs() < 0.3), "{a:?} {b:?}");
    assert!(splits.scale(1, 0).offset > 1000.0 && splits.scale(0, 0).offset < 20.0);
}

#[test]
fn one_scale_for_all_is_that_of_all_train_steps() {
    let (_folder, data) = file(&grouped());
    let features = SeriesFeaturesConfig { per_series: false, ..SeriesFeaturesConfig::default() };
    let splits = open(&of_groups(data), &features, windows(5, 2)).splits().unwrap();
    let all: Vec<f64> = splits.values(0, 0)[..42].iter().chain(&splits.values(1, 0)[..28]).copied().collect();
    let mean = all.iter().sum::<f64>() / 70.0;
    let std = (all.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / 70.0).sqrt();
    for series in 0..2 {
        assert_close(splits.scale(series, 0).offset, mean, 1e-9);
        assert_close(splits.scale(series, 0).factor, std, 1e-9);
    }
    let features = SeriesFeaturesConfig { scaling: SeriesScaling::MinMax, ..SeriesFeaturesConfig::default() };
    let (_folder, data) = file(&grouped());
    let splits = open(&of_groups(data), &features, windows(5, 2)).splits().unwrap();
    assert_eq!(splits.scale(1, 0), Scale { offset: 1000.0, factor: 600.0 });
}

#[test]
fn constants_are_told() {
    let text = (0..40).fold("t,y,z\n".to_string(), |text, i| text + &format!("{},{i},5\n", hour(i)));
    let (_folder, data) = file(&text);
    let source = open(&data, &SeriesFeaturesConfig::default(), windows(3, 2));
    let told = "`z` is constant in the train steps; its scale is 1";
    assert_eq!(source.report().warnings, [told]);
    let splits = source.splits().unwrap();
    assert_eq!(splits.scale(0, 1), Scale { offset: 5.0, factor: 1.0 });
    assert_eq!(splits.batch(&splits.train[..1]).past[3..], [0.0; 3]);
    assert_eq!(splits.info.warnings, [told]);
}

/// Rows without targets at the end are no part, and what they say of the horizon is not lost.
#[test]
fn the_future_is_no_part() {
    let (_folder, data) = file(&hourly(50, |i| if i < 40 { i.to_string() } else { String::new() }));
    let source = open(&data, &plain(), windows(3, 2));
    assert_eq!((source.report().n_steps, source.report().n_future), (40, 10));
    assert!(source.report().warnings[0].contains("10 steps at the end have no targets"));
    assert_eq!(source.report().n_missing.len(), 0);
    assert_eq!(source.splits().unwrap().info.parts[2].n_rows, 8);
}

#[test]
fn zones_and_formats_are_read() {
    let zoned = hourly(30, |i| i.to_string()).replace(":00,", ":00+02:00,");
    let (_folder, data) = file(&zoned);
    let source = open(&data, &plain(), windows(3, 2));
    assert_eq!((source.report().zone.as_str(), source.report().from.as_str()), ("in zone +02:00", &*hour(0)));
    let days = (1..=28).fold("t,y\n".to_string(), |text, day| text + &format!("{day:02}/02/2015 08:30,{day}\n"));
    let (_folder, data) = file(&days);
    let data = SeriesDataConfig { time_format: Some("%d/%m/%Y %H:%M".to_string()), ..data };
    let source = open(&data, &plain(), windows(3, 2));
    assert_eq!((source.report().frequency.as_str(), source.report().from.as_str()), ("D", "2015-02-01 08:30:00"));
}

/// Month ends, and a quarter that is missing.
#[test]
fn calendars_make_grids() {
    let ends =
        ["01-31", "02-29", "03-31", "04-30", "05-31", "06-30", "07-31", "08-31", "09-30", "10-31", "11-30", "12-31"];
    let months =
        ends.iter().enumerate().fold("t,y\n".to_string(), |text, (i, end)| text + &format!("2016-{end},{i}\n"));
    let (_folder, data) = file(&months);
    let source = open(&data, &plain(), windows(1, 1));
    assert_eq!((source.report().frequency.as_str(), source.report().n_absent), ("ME", 0));
    let quarters =
        ["2015-03", "2015-06", "2015-09", "2015-12", "2016-03", "2016-09", "2016-12", "2017-03", "2017-06", "2017-09"];
    let quarters = quarters.iter().enumerate().fold("t,y\n".to_string(), |text, (i, at)| text + &format!("{at},{i}\n"));
    let (_folder, mut data) = file(&quarters);
    data.gaps = GapPolicy::Interpolate;
    data.split.borders = Some([6, 8, 11]);
    let source = open(&data, &plain(), windows(1, 1));
    assert_eq!((source.report().frequency.as_str(), source.report().n_absent), ("QS", 1));
    assert_eq!(source.splits().unwrap().values(0, 0)[5], 4.5);
    assert_eq!(source.report().gaps[0].from, "2016-06-01 00:00:00");
}

#[test]
fn reports_are_written() {
    let (_folder, data) = file(&grouped());
    let source = open(&of_groups(data), &SeriesFeaturesConfig::default(), windows(5, 2));
    let text = source.report().to_text();
    assert!(text.starts_with("101 rows, 2 series of 40 to 60 steps, every h (inferred), without a zone\n"), "{text}");
    assert!(text.contains("train: 70 steps from 2016-07-01 00:00:00 to 2016-07-02 23:00:00, 58 windows\n"), "{text}");
    let markdown = source.report().to_markdown();
    for part in ["# Data: d\n", "## Warnings", "| y | 70 |", "- known over the horizon: `hour=0`", "## Series left out"]
    {
        assert!(markdown.contains(part), "{part} in {markdown}");
    }
    assert!(source.report().to_json().unwrap().contains("\"n_series\": 2"));
}

/// The digest changes with a value and with the split, not with features or windows.
#[test]
fn digests_tell_data_apart() {
    let digest = |text: &str, change: &dyn Fn(&mut SeriesDataConfig), lookback| {
        let (_folder, mut data) = file(text);
        change(&mut data);
        open(&data, &SeriesFeaturesConfig::default(), windows(lookback, 2)).splits().unwrap().info.digest
    };
    let text = hourly(60, |i| i.to_string());
    let digests = [
        digest(&text, &|_| {}, 3),
        digest(&text, &|_| {}, 4),
        digest(&text.replace(",30\n", ",31\n"), &|_| {}, 3),
        digest(&text, &|data| data.split.test = 0.3, 3),
        digest(&text, &|data| data.start = Some("2016-07-01 01:00".to_string()), 3),
    ];
    assert_eq!(digests[0], digests[1]);
    for other in 2..5 {
        assert_ne!(digests[0], digests[other]);
    }
}

/// pandas 3.0: `DataFrame({"t": date_range("2016-01-31", periods=40, freq="ME"), "y":
/// ..}).drop(index=11).to_parquet(..)`, with `y[7]` NaN.
#[cfg(feature = "parquet")]
#[test]
fn timestamps_of_parquet_are_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/month_ends.parquet");
    let data = SeriesDataConfig {
        path: Some(path.into()),
        time: "t".to_string(),
        gaps: GapPolicy::Interpolate,
        ..SeriesDataConfig::default()
    };
    let source = open(&data, &plain(), windows(3, 2));
    let report = source.report();
    assert_eq!((report.frequency.as_str(), report.n_steps, report.n_absent), ("ME", 40, 1));
    assert_eq!((report.from.as_str(), report.to.as_str()), ("2016-01-31 00:00:00", "2019-04-30 00:00:00"));
    let expected: Vec<f64> = (0..40).map(|i| 1.5 * f64::from(i)).collect();
    assert_eq!(source.splits().unwrap().values(0, 0), expected);
}

/// Series of one frequency need not be at the same times: each has its own grid.
#[test]
fn series_can_be_out_of_step() {
    let half = |i: usize| hour(i).replace(":00:00", ":30:00");
    let mut text = "t,shop,y\n".to_string();
    for i in 0..40 {
        text += &format!("{},a,{}\n{},b,{}\n", hour(i), i % 7, half(i + 5), i % 7);
    }
    let (_folder, data) = file(&text);
    let data = SeriesDataConfig { group: Some("shop".to_string()), ..data };
    let features: SeriesFeaturesConfig =
        serde_json::from_str(r#"{"calendar": ["hour", "minute", "day_of_month"], "calendar_encoding": "one_hot"}"#)
            .unwrap();
    let splits = open(&data, &features, windows(2, 1)).splits().unwrap();
    let names = splits.future_names();
    // Hours 0 to 23, minutes 0 and 30, and days 1 and 2 of the train steps.
    assert_eq!((names.len(), &names[24..]), (28, &["minute=0", "minute=30", "day=1", "day=2"].map(String::from)[..]));
    for (series, origin, hour, minute) in [(0, 30, 6, 0), (1, 30, 11, 30)] {
        let window = Window { series, origin };
        assert_eq!(format_time(splits.times(window)[0])[11..16], format!("{hour:02}:{minute:02}"));
        let batch = splits.batch(&[window]);
        let on: Vec<usize> = (0..28).filter(|channel| batch.future_covariates[channel * 3 + 2] == 1.0).collect();
        assert_eq!(on, [hour, 24 + minute / 30, 27], "the second day");
    }
}

/// Trading days: weekends are no gaps, a holiday is one.
#[test]
fn business_days_have_no_weekends() {
    let days = (4..30).filter(|day| ![9, 10, 16, 17, 23, 24, 20].contains(day));
    let text = days.fold("t,y\n".to_string(), |text, day| text + &format!("2016-07-{day:02},{}\n", day % 5));
    let (_folder, data) = file(&text);
    let data = SeriesDataConfig { gaps: GapPolicy::ForwardFill, ..data };
    let source = open(&data, &SeriesFeaturesConfig::default(), windows(3, 1));
    let report = source.report();
    assert_eq!((report.frequency.as_str(), report.n_steps, report.n_absent), ("B", 20, 1));
    assert_eq!(report.gaps[0].from, "2016-07-20 00:00:00");
    let splits = source.splits().unwrap();
    assert_eq!((splits.season_steps(), splits.n_profile_slots()), (5, 5));
    let monday = splits.valid.iter().find(|window| splits.profile(**window) == [0]).unwrap();
    assert_eq!(format_time(splits.times(*monday)[0]), "2016-07-25 00:00:00");
    assert_eq!(format_time(splits.past_times(*monday)[2]), "2016-07-22 00:00:00");
}

/// Months from August on are in valid and test only: no weight of them would be learned.
#[test]
fn calendar_levels_are_those_of_train_steps() {
    let days = (0..300).fold("t,y\n".to_string(), |text, i| text + &format!("{},{}\n", hour(24 * i), i % 7));
    let (_folder, data) = file(&days);
    let features = SeriesFeaturesConfig {
        calendar: Some(vec![DatetimePart::Month, DatetimePart::Hour, DatetimePart::DayOfYear]),
        ..SeriesFeaturesConfig::default()
    };
    let source = open(&data, &features, windows(3, 2));
    let splits = source.splits().unwrap();
    // From 2016-07-01, 210 train days: to January. All are at hour 0, which tells nothing.
    let levels = ["month=1", "month=7", "month=8", "month=9", "month=10", "month=11", "month=12"];
    assert_eq!(splits.future_names(), [&levels[..], &["day_of_year_sin", "day_of_year_cos"]].concat());
    let april = splits.test.last().unwrap();
    assert!(splits.batch(&[*april]).future_covariates[..7 * 5].iter().all(|value| *value == 0.0));
    let stored = SeriesEncoder::from_json(&splits.encoder.to_json().unwrap()).unwrap();
    assert_eq!((stored.future_names(), stored.shape()), (splits.future_names().to_vec(), splits.shape()));
    // The first fold learns from 120 days: to October.
    let fold = &source.backtest(&BacktestConfig::default()).unwrap()[0];
    assert_eq!(source.fold(fold).unwrap().future_names()[..5], [&levels[1..5], &["day_of_year_sin"]].concat());
}

/// 15-minute data has 4 minutes, not 60.
#[test]
fn minutes_are_those_of_the_data() {
    let minutes = (0..400)
        .fold("t,y\n".to_string(), |text, i| text + &format!("{},{}\n", format_time(1_467_331_200 + 900 * i), i % 7));
    let (_folder, data) = file(&minutes);
    let splits = open(&data, &SeriesFeaturesConfig::default(), windows(3, 2)).splits().unwrap();
    assert_eq!(splits.future_names()[..4], ["minute=0", "minute=15", "minute=30", "minute=45"]);
}

/// What training never saw change is 0 in all steps, whatever it does later.
#[test]
fn a_constant_covariate_is_no_input() {
    let text = (0..100).fold("t,y,z\n".to_string(), |text, i| {
        text + &format!("{},{},{}\n", hour(i), i % 7, if i < 80 { 5 } else { 900 })
    });
    let (_folder, data) = file(&text);
    let data = SeriesDataConfig { targets: names(&["y"]), past_covariates: names(&["z"]), ..data };
    for scaling in [SeriesScaling::Standard, SeriesScaling::MinMax, SeriesScaling::None] {
        let features = SeriesFeaturesConfig { scaling, ..plain() };
        let splits = open(&data, &features, windows(3, 2)).splits().unwrap();
        let told = "`z` is constant in the train steps, so it is no input: the model sees 0 in all steps";
        assert_eq!(splits.info.warnings, [told]);
        let stored = SeriesEncoder::from_json(&splits.encoder.to_json().unwrap()).unwrap();
        assert_eq!(stored, splits.encoder);
        assert!(splits.batch(&splits.test).past_covariates.iter().all(|value| *value == 0.0), "{scaling:?}");
    }
}

/// A series at rest does not outweigh the others when its errors are divided by its scale.
#[test]
fn a_constant_target_has_the_scale_of_the_other_series() {
    let mut text = "t,g,y\n".to_string();
    for i in 0..60 {
        let rest = if i < 50 { 8 } else { 9 };
        text += &format!("{0},a,{1}\n{0},b,{rest}\n{0},c,{2}\n", hour(i), 100 * (i % 2), 300 * (i % 2));
    }
    let (_folder, data) = file(&text);
    let data = SeriesDataConfig { group: Some("g".to_string()), ..data };
    let features = SeriesFeaturesConfig { calendar: Some(Vec::new()), ..SeriesFeaturesConfig::default() };
    let splits = open(&data, &features, windows(3, 2)).splits().unwrap();
    let expected = [(50.0, 50.0), (8.0, 100.0), (150.0, 150.0)];
    assert_eq!([0, 1, 2].map(|series| splits.scale(series, 0)).map(|scale| (scale.offset, scale.factor)), expected);
    let told = "`y` is constant in the train steps of 1 of 3 series (first `b`); its scale there is the mean of the \
                other series'";
    assert_eq!(splits.info.warnings, [told]);
}

#[test]
fn what_rounds_away_without_scaling_is_told() {
    let (_folder, data) = file(&hourly(60, |i| (10_000_000 + i % 3).to_string()));
    let warnings = open(&data, &plain(), windows(3, 2)).report().warnings.clone();
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("`y` varies by less than a hundred-thousandth"),
        "{warnings:?}"
    );
    assert_eq!(
        open(&data, &SeriesFeaturesConfig { calendar: Some(Vec::new()), ..Default::default() }, windows(3, 2))
            .report()
            .warnings,
        [""; 0]
    );
}

/// Steps 0 to 69 train, 70 to 79 valid, 80 to 99 test; one missing value in each.
#[test]
fn filled_values_that_are_scored_are_told() {
    let text = hourly(100, |i| if [20, 75, 90].contains(&i) { String::new() } else { (i % 7).to_string() });
    let (_folder, data) = file(&text);
    let warnings =
        |gaps| open(&SeriesDataConfig { gaps, ..data.clone() }, &plain(), windows(3, 2)).report().warnings.clone();
    let told = "2 of 30 scored values (valid and test) were filled by `gaps: forward_fill`, not measured";
    assert_eq!(warnings(GapPolicy::ForwardFill), [told]);
    assert_eq!(warnings(GapPolicy::Mask), [""; 0]);
}

#[test]
fn empty_texts_are_missing() {
    let word = |i: usize| ["calm", "rain", ""][if [5, 30].contains(&i) { 2 } else { i % 2 }];
    let text = (0..60).fold("t,y,word\n".to_string(), |text, i| text + &format!("{},{},{}\n", hour(i), i % 5, word(i)));
    let (_folder, data) = file(&text);
    let data = SeriesDataConfig { targets: names(&["y"]), past_covariates: names(&["word"]), ..data };
    let report = open(&data, &plain(), windows(3, 2)).report().clone();
    assert_eq!(report.n_missing, [("word".to_string(), 2)].into());
    assert_eq!((report.n_filled.len(), report.gaps.len(), report.gaps[0].column.as_deref()), (0, 2, Some("word")));
    let data = SeriesDataConfig { gaps: GapPolicy::Error, ..data };
    let error = SeriesSource::open(&data, &plain(), &windows(3, 2)).unwrap_err().to_string();
    assert!(error.contains(&format!("`word` is missing from {} to", hour(5))), "{error}");
}

/// Columns that are no targets by default, each with its reason.
#[test]
fn columns_that_are_passed_over_are_told() {
    let text =
        (0..60).fold(",t,y,word,nothing\n".to_string(), |text, i| text + &format!("{i},{},{},calm,\n", hour(i), i % 5));
    let (_folder, data) = file(&text);
    let expected = [
        "columns without a role, not used (empty): `nothing`",
        "columns without a role, not used (no name in the header): `unnamed_1`",
        "columns without a role, not used (no numbers): `word`",
    ];
    assert_eq!(open(&data, &plain(), windows(3, 2)).report().warnings, expected);
}

#[test]
fn series_without_windows_are_named() {
    let mut text = "t,g,y\n".to_string();
    for (name, n) in [("a", 100), ("b", 12), ("c", 12)] {
        (0..n).for_each(|i| text += &format!("{},{name},{}\n", hour(i), i % 7));
    }
    let (_folder, data) = file(&text);
    let data = SeriesDataConfig { group: Some("g".to_string()), ..data };
    let expected = ["2 series have no window in valid: `b`, `c`"];
    assert_eq!(open(&data, &plain(), windows(3, 2)).report().warnings, expected);
}

/// Lags need history: the first origins without it are not there, rather than told as missing.
#[test]
fn history_is_not_missing() {
    let (_folder, data) = file(&hourly(100, |i| (i * i % 11).to_string()));
    let features = SeriesFeaturesConfig { lags: vec![10], ..plain() };
    let source = open(&data, &features, windows(3, 2));
    assert_eq!(source.report().parts[0].n_left_out, 0);
    assert_eq!(source.splits().unwrap().train[0].origin, 13);
    let error = SeriesSource::open(&data, &SeriesFeaturesConfig { lags: vec![80], ..plain() }, &windows(3, 2));
    let expected = "there is no whole window in train: its longest series has 70 steps there, but a window takes \
                    3 + 2 + 80 = 85 (look-back + horizon + what lags and rolling statistics reach back)";
    let error = error.unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

/// As pandas slices: `2016-07-03` is the whole day.
#[test]
fn an_end_without_a_time_is_whole() {
    let (_folder, data) = file(&hourly(100, |i| (i % 7).to_string()));
    for (end, n) in [("2016-07-03", 72), ("2016-07-03 00:00", 49), ("2016-07", 100)] {
        let data = SeriesDataConfig { end: Some(end.to_string()), ..data.clone() };
        assert_eq!(open(&data, &plain(), windows(3, 2)).report().n_steps, n, "{end}");
    }
}
