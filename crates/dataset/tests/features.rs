//! Columns computed from raw ones.

#![allow(clippy::unwrap_used)]

use std::fs;

use dataset::*;

const TRIPS: &str = "\
when,rooms,homes,fare,y,part
2016-02-29 18:30:00,10,2,0,a,train
2023-12-31,9,0,99,b,train
1969-07-20T20:17:40Z,8,4,3,a,train
,7,,,b,train
2000-01-01,6,3,7,a,val
1900-03-01,5,5,1,b,test
";

fn trips(engineer: &str) -> std::result::Result<(DataConfig, FeaturesConfig, tempfile::TempDir), serde_json::Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trips.csv");
    fs::write(&path, TRIPS).unwrap();
    let mut data = DataConfig { path: Some(path), target: "y".to_string(), ..DataConfig::default() };
    data.split.column = Some("part".to_string());
    let engineer = serde_json::from_str(engineer)?;
    let features = FeaturesConfig { engineer, scaling: Scaling::None, ..FeaturesConfig::default() };
    Ok((data, features, folder))
}

fn message(engineer: &str) -> String {
    let (data, features, _folder) = trips(engineer).unwrap();
    load(&data, &features, 1).unwrap_err().to_string()
}

const ALL: &str = r#"{
    "datetime": [{"column": "when", "parts": ["year", "quarter", "month", "day", "weekday", "hour", "minute", "is_weekend",
                                              "day_of_year", "epoch_days"]}],
    "ratio": [{"numerator": "rooms", "denominator": "homes"}],
    "product": [["rooms", "fare"]],
    "power": [{"column": "fare", "exponent": 0.5}],
    "log1p": ["fare", "rooms/homes"],
    "drop_originals": ["rooms"]
}"#;

/// Dates: pandas 3.1 (`dt.year`, `dt.quarter`, .. `dt.dayofyear`, `(s - Timestamp(0)) / Timedelta("1D")`); missing ones
/// are filled with the median of the train rows.
#[test]
fn new_columns_hold_what_their_names_say() {
    let (data, features, _folder) = trips(ALL).unwrap();
    let splits = load(&data, &features, 1).unwrap();
    let names = splits.preprocessor.feature_names();
    let dates =
        ["year", "quarter", "month", "day", "weekday", "hour", "minute", "is_weekend", "day_of_year", "epoch_days"];
    let mut expected: Vec<String> = ["homes", "fare"].map(String::from).to_vec();
    expected.extend(dates.iter().map(|part| format!("when.{part}")));
    expected.extend(["rooms/homes", "rooms*fare", "fare^0.5", "log1p(fare)", "log1p(rooms/homes)"].map(String::from));
    assert_eq!(names, expected);
    let row = |part: &Part, i: usize| part.numeric[i * names.len()..][..names.len()].to_vec();
    let ln = |x: f64| x.ln() as f32;
    let first = [2.0, 0.0, 2016., 1., 2., 29., 0., 18., 30., 0., 60., 16860.771, 5., 0., 0., 0., ln(6.0)];
    assert_eq!(row(&splits.train, 0), first);
    // A quotient over 0 is missing: the median of 5 and 2.
    let second = [0.0, 99.0, 2023., 4., 12., 31., 6., 0., 0., 1., 365., 19722., 3.5, 891., 99f32.sqrt(), ln(100.0)];
    assert_eq!(row(&splits.train, 1)[..16], second);
    assert_eq!(row(&splits.train, 2)[2..12], [1969., 3., 7., 20., 6., 20., 17., 1., 201., -164.1544]);
    assert_eq!(row(&splits.valid, 0)[2..12], [2000., 1., 1., 1., 5., 0., 0., 1., 1., 10957.]);
    assert_eq!(row(&splits.test, 0)[2..12], [1900., 1., 3., 1., 3., 0., 0., 0., 60., -25508.]);
}

#[test]
fn inference_needs_the_raw_columns_only() {
    let (data, features, _folder) = trips(ALL).unwrap();
    let splits = load(&data, &features, 1).unwrap();
    let raw: Vec<&str> = splits.preprocessor.raw.iter().map(|raw| raw.name.as_str()).collect();
    assert_eq!(raw, ["when", "rooms", "homes", "fare"]);
    assert_eq!(splits.info.feature_columns, raw);
    assert!(splits.info.schema.contains("\"when\"") && !splits.info.schema.contains("log1p"));
    let stored = Preprocessor::from_json(&splits.preprocessor.to_json().unwrap()).unwrap();
    assert_eq!(stored, splits.preprocessor);
    let cell = |text: &str| vec![Some(text.to_string())];
    let columns = [("fare", "1"), ("homes", "5"), ("when", "1900-03-01"), ("rooms", "5"), ("log1p(fare)", "x")];
    let table = Table::new("request", columns.map(|(name, text)| Column::new(name, cell(text))).to_vec()).unwrap();
    assert_eq!(stored.transform(&table).unwrap().numeric, splits.test.numeric);
    let table = Table::new("request", vec![Column::new("fare", cell("1"))]).unwrap();
    let error = stored.transform(&table).unwrap_err().to_string();
    assert!(error.contains("`request` has no column `when` (named in `features.engineer.datetime`)"), "{error}");
}

#[test]
fn an_engineered_column_can_serve_another_one_only() {
    let config =
        r#"{"product": [["rooms", "fare"]], "log1p": ["rooms*fare"], "drop_originals": ["rooms*fare", "rooms"]}"#;
    let (mut data, features, _folder) = trips(config).unwrap();
    data.ignore_columns = vec!["when".to_string()];
    let names = load(&data, &features, 1).unwrap().preprocessor.feature_names();
    assert_eq!(names, ["homes", "fare", "log1p(rooms*fare)"]);
}

#[test]
fn turns_of_the_clock_are_sines_and_cosines() {
    let config = r#"{"datetime": [{"column": "when", "parts": ["month", "hour", "year"], "cyclic": true}]}"#;
    let (data, features, _folder) = trips(config).unwrap();
    let splits = load(&data, &features, 1).unwrap();
    let names = splits.preprocessor.feature_names();
    assert_eq!(names[3..], ["when.month_sin", "when.month_cos", "when.hour_sin", "when.hour_cos", "when.year"]);
    // February is 1/12 of the way around, 18 o'clock 3/4.
    let expected = [0.5, 0.8660254037844387, -1.0, 0.0, 2016.0];
    for (found, expected) in splits.train.numeric[3..8].iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} is not {expected}");
    }
}

#[test]
fn dates_can_be_written_in_other_ways() {
    let formats =
        [("%d/%m/%Y", "29/02/2016"), ("%d.%m.%y", "29.2.16"), ("%b %d, %Y", "Feb 29, 2016"), ("%Y%m%d", "20160229")];
    let mut n_checked = 0;
    for (format, text) in formats {
        let config = format!(
            r#"{{"datetime": [{{"column": "when", "format": "{format}", "parts": ["month", "epoch_days"]}}]}}"#
        );
        let (mut data, features, folder) = trips(&config).unwrap();
        let path = folder.path().join("dates.csv");
        let quoted = format!("\"{text}\"");
        let rows =
            TRIPS.replace("2016-02-29 18:30:00", &quoted).replace("1969-07-20T20:17:40Z", "").replace("2023-12-31", "");
        fs::write(&path, rows.replace("2000-01-01", &quoted).replace("1900-03-01", "")).unwrap();
        data.path = Some(path);
        let source = load(&data, &features, 1).unwrap();
        assert!(source.info.warnings.iter().any(|warning| warning.contains("`when.month`, `when.epoch_days`")));
        n_checked += 1;
    }
    assert_eq!(n_checked, formats.len());
}

#[test]
fn mistakes_say_where_they_are() {
    let cases = [
        (r#"{"log1p": ["far"]}"#, "no column `far` (named in `features.engineer.log1p`); did you mean `fare`?"),
        (r#"{"log1p": ["y"]}"#, "column `y` is the target, so it cannot be listed in `features.engineer.log1p`"),
        (r#"{"log1p": ["fare", "fare"]}"#, "`features.engineer` makes a column `log1p(fare)`, but"),
        (
            r#"{"power": [{"column": "homes", "exponent": -1}]}"#,
            "row 2: `homes^-1` has no value that fits for `homes` = 0",
        ),
        (r#"{"product": [["fare"]]}"#, "is no list of at least two columns"),
        (r#"{"drop_originals": ["fare"]}"#, "nothing is made of `fare`; to leave it out use `data.ignore_columns`"),
        (r#"{"log1p": ["when"]}"#, "column `when`, row 1: `2016-02-29 18:30:00` is not a number"),
        (
            r#"{"datetime": [{"column": "when", "format": "%d/%m/%Y"}]}"#,
            "column `when`, row 1: `2016-02-29 18:30:00` is no date written like `%d/%m/%Y`",
        ),
        (r#"{"datetime": [{"column": "when", "format": "%d/%m"}]}"#, "`%d/%m` lacks a year (%Y)"),
        (r#"{"datetime": [{"column": "when", "format": "%q"}]}"#, "`%q` in `%q` is not known"),
        (r#"{"datetime": [{"column": "fare"}]}"#, "row 1: `0` is no date written like `2016-07-01"),
    ];
    for (config, expected) in cases {
        let found = message(config);
        assert!(found.contains(expected), "{found}\nlacks\n{expected}");
    }
    assert_eq!(cases.len(), 11);
    let error = trips(r#"{"log": ["fare"]}"#).unwrap_err().to_string();
    assert!(error.contains("unknown field `log`"), "{error}");
}

#[test]
fn days_that_do_not_exist_are_no_dates() {
    for wrong in
        ["2023-02-29", "2023-13-01", "2023-00-01", "2023-01-01 24:00", "2023-01-01 12", "23-01-01", "2023-01-011"]
    {
        let (mut data, features, folder) = trips(r#"{"datetime": [{"column": "when"}]}"#).unwrap();
        let path = folder.path().join("wrong.csv");
        fs::write(&path, TRIPS.replace("2023-12-31", wrong)).unwrap();
        data.path = Some(path);
        let error = load(&data, &features, 1).unwrap_err().to_string();
        assert!(error.contains(&format!("row 2: `{wrong}` is no date")), "{error}");
    }
}
