//! What a model takes along: forecasts from the last rows of a file, more training on other rows, and back-tests.

#![allow(clippy::unwrap_used)]

mod support;

use dataset::*;
use support::*;

/// Hours of two series with a price that is known in advance and holidays; `y` is empty from `known` on.
fn shops(n: usize, known: usize, cell: impl Fn(usize) -> String) -> String {
    let mut text = "t,shop,y,price,holiday\n".to_string();
    for i in 0..n {
        let y = |level: usize| if i < known { (level + i % 7).to_string() } else { String::new() };
        text += &format!("{},a,{},{},None\n", hour(i), y(10), cell(i));
        text += &format!("{},b,{},{},None\n", hour(i), y(500), cell(i));
    }
    text
}

fn settings(data: SeriesDataConfig) -> SeriesDataConfig {
    SeriesDataConfig {
        group: Some("shop".to_string()),
        targets: names(&["y"]),
        future_covariates: names(&["price"]),
        holiday: Some("holiday".to_string()),
        ..data
    }
}

/// A model of the shops: look-back 4, horizon 3.
fn model(features: &SeriesFeaturesConfig) -> SeriesEncoder {
    let (_folder, data) = file(&shops(60, 60, |i| (i % 4).to_string()));
    let splits = SeriesSource::open(&settings(data), features, &windows(4, 3)).unwrap().splits().unwrap();
    let encoder = SeriesEncoder::from_json(&splits.encoder.to_json().unwrap()).unwrap();
    assert_eq!(encoder.shape(), splits.shape());
    assert_eq!(encoder.future_names(), splits.future_names());
    encoder
}

/// The forecast from a file of this text; `FILE` stands for its path in the message.
fn latest(encoder: &SeriesEncoder, text: &str) -> std::result::Result<Latest, String> {
    let (_folder, data) = file(text);
    let path = data.path.clone().unwrap().display().to_string();
    encoder.latest(&data).map_err(|error| error.to_string().replace(&path, "FILE"))
}

#[test]
fn forecasts_come_from_the_last_rows() {
    let encoder = model(&SeriesFeaturesConfig::default());
    let latest = latest(&encoder, &shops(53, 50, |i| (i % 4).to_string())).unwrap();
    assert_eq!(latest.series.iter().map(|series| series.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((latest.shape.n_series, latest.shape.lookback, latest.shape.horizon), (2, 4, 3));
    let b = &latest.series[1];
    assert_eq!(b.times.iter().map(|time| format_time(*time)).collect::<Vec<_>>(), [hour(50), hour(51), hour(52)]);
    assert_eq!(b.past_times.iter().map(|time| format_time(*time)).collect::<Vec<_>>()[0], hour(46));
    assert_eq!(b.past, [[46, 47, 48, 49].map(|i| f64::from(500 + i % 7))]);
    assert_eq!(b.scales, [encoder.scale("b", 0).unwrap()]);
    assert_eq!(b.scales[0].invert(f64::from(latest.batch.past[4])).round(), 504.0);
    assert_eq!(latest.batch.future_covariates.len(), 2 * latest.shape.n_future * 7);
    assert!(latest.warnings.is_empty(), "{:?}", latest.warnings);
}

#[test]
fn what_is_known_of_the_horizon_must_be_there() {
    let encoder = model(&SeriesFeaturesConfig::default());
    let ended = latest(&encoder, &shops(52, 50, |i| (i % 4).to_string())).unwrap_err();
    let expected = format!(
        "`FILE`, series `a`: the forecast from {} needs `price` for all 3 steps, but it is missing at {}; add rows \
         with it, leaving the targets empty",
        hour(50),
        hour(52)
    );
    assert_eq!(ended, expected);
    let empty =
        latest(&encoder, &shops(60, 50, |i| if i == 51 { String::new() } else { (i % 4).to_string() })).unwrap_err();
    assert!(empty.contains(&format!("it is missing at {}", hour(51))), "{empty}");
    let one = shops(53, 50, |i| (i % 4).to_string()).replace(&format!("{},a,,2,None\n", hour(50)), "");
    let found = latest(&encoder, &one).unwrap();
    assert_eq!((found.series.len(), found.series[0].name.as_str()), (1, "b"));
    assert!(found.warnings[0].contains("series `a`: the forecast from"), "{:?}", found.warnings);
}

#[test]
fn a_series_can_be_too_short_or_have_a_gap_at_its_end() {
    let features = SeriesFeaturesConfig { lags: vec![6], ..SeriesFeaturesConfig::default() };
    let encoder = model(&features);
    let short = latest(&encoder, &shops(12, 9, |i| (i % 4).to_string())).unwrap_err();
    let expected = format!(
        "`FILE`, series `a`: no forecast can be made from {}, since the file has 9 steps before it, and the model \
        needs 10",
        hour(9)
    );
    assert_eq!(short, expected);
    assert!(latest(&encoder, &shops(13, 10, |i| (i % 4).to_string())).is_ok());
    let text = shops(33, 30, |i| (i % 4).to_string());
    let gap =
        text.lines().filter(|line| !line.starts_with(&hour(28))).fold(String::new(), |text, line| text + line + "\n");
    let gap = latest(&encoder, &gap).unwrap_err();
    assert!(gap.contains("since a value is missing in the 10 steps before it"), "{gap}");
}

/// Holidays of days without a row are not known; a series that the model has not seen is scaled by itself.
#[test]
fn what_is_not_known_is_told() {
    let (_folder, data) = file(&shops(60, 60, |i| (i % 4).to_string()));
    let data = SeriesDataConfig { future_covariates: Vec::new(), ..settings(data) };
    let source = SeriesSource::open(&data, &SeriesFeaturesConfig::default(), &windows(4, 3)).unwrap();
    let encoder = source.splits().unwrap().encoder;
    let told = |n| latest(&encoder, &shops(n, n, |_| "1".to_string())).unwrap().warnings;
    assert_eq!(told(45), [""; 0], "the horizon ends with the second day");
    let expected = "`holiday` is not known from 2016-07-03 00:00:00 on; these days are taken for no holidays";
    assert_eq!(told(46), [expected]);
    let other = latest(&encoder, &shops(45, 45, |_| "1".to_string()).replace(",b,", ",c,")).unwrap();
    assert_eq!(other.warnings, ["not in the training of the model, so scaled by their own steps: `c`"]);
    assert_close(other.series[1].scales[0].offset, 503.0, 0.5);
    assert!(encoder.scale("c", 0).is_none());
}

#[test]
fn other_files_must_fit_the_model() {
    let encoder = model(&SeriesFeaturesConfig::default());
    let text = shops(53, 50, |i| (i % 4).to_string());
    let zoned = latest(&encoder, &text.replace(":00,a", ":00Z,a").replace(":00,b", ":00Z,b")).unwrap_err();
    let expected =
        "`data.time`: the timestamps are in zone +00:00, those that the model was trained on were without a zone";
    assert_eq!(zoned, expected);
    let renamed = latest(&encoder, &text.replace("price", "prize")).unwrap_err();
    assert_eq!(renamed, "`FILE` has no column `price` (named in `data.future_covariates`); did you mean `prize`?");
    let days = latest(&encoder, "t,shop,y,price,holiday\n2016-07-01 00:30,a,1,1,None\n2016-07-01 01:00,a,1,1,None\n")
        .unwrap_err();
    assert!(days.contains("is off the grid, series `a`: with the model's frequency `h`"), "{days}");
    let broken = |json: &str| SeriesEncoder::from_json(json).unwrap_err().to_string();
    assert!(broken("{\"version\": 99}").contains("it has version 99, this program reads version 1"));
    assert!(broken("no").starts_with("the stored series encoder cannot be used"));
    let json = encoder.to_json().unwrap();
    assert!(broken(&json.replacen("\"factor\": ", "\"factor\": -", 1)).contains("are not those of a fitted encoder"));
}

/// More training of a model: its scales and columns, other rows.
#[test]
fn training_goes_on_with_the_scales_of_the_model() {
    let encoder = model(&SeriesFeaturesConfig::default());
    let (_folder, data) = file(&shops(80, 80, |i| (50 + i % 4).to_string()).replace(",b,", ",c,"));
    let source = SeriesSource::open_for(&data, &windows(4, 3), &encoder).unwrap();
    let splits = source.splits().unwrap();
    assert_eq!(splits.encoder.scale("a", 1), encoder.scale("a", 1), "the price");
    assert_eq!(splits.scale(0, 0), encoder.scale("a", 0).unwrap());
    let told = "not in the training of the model, so scaled by their own train steps: `c`";
    assert_eq!(splits.info.warnings, [told]);
    assert_close(splits.scale(1, 0).offset, 503.0, 0.1);
    let error =
        |data: &SeriesDataConfig, windows| SeriesSource::open_for(data, &windows, &encoder).unwrap_err().to_string();
    let other = SeriesDataConfig { targets: names(&["price"]), ..data.clone() };
    assert_eq!(error(&other, windows(4, 3)), "`data.targets`: the model that is trained on has `y`");
    assert_eq!(error(&data, windows(4, 2)), "`windows.horizon`: `2`, but the model that is trained on has 3");
}

/// Texts that the train steps do not have are none of the levels.
#[test]
fn new_texts_are_no_level() {
    let color = |i: usize| ["red", "blue", "green"][if i < 42 { i % 2 } else { i % 3 }];
    let text =
        (0..60).fold("t,y,color\n".to_string(), |text, i| text + &format!("{},{},{}\n", hour(i), i % 5, color(i)));
    let (_folder, data) = file(&text);
    let data = SeriesDataConfig { targets: names(&["y"]), future_covariates: names(&["color"]), ..data };
    let splits = SeriesSource::open(&data, &plain(), &windows(2, 1)).unwrap().splits().unwrap();
    assert_eq!(splits.future_names(), ["color=blue", "color=red"]);
    let window = splits.test.iter().find(|window| window.origin == 53).unwrap();
    let told = "`color` has texts in 6 valid and test steps that no train step has (first `green`): they are none of \
                its levels";
    assert_eq!(splits.info.warnings, [told]);
    // Steps 51 (red), 52 (blue), 53 (green).
    assert_eq!(splits.batch(&[*window]).future_covariates, [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn back_tests_never_touch_the_test_part() {
    let (_folder, data) = file(&hourly(200, |i| (i * i % 11 + i).to_string()));
    let source = SeriesSource::open(&data, &SeriesFeaturesConfig::default(), &windows(10, 4)).unwrap();
    let folds = source.backtest(&BacktestConfig { folds: 3, ..BacktestConfig::default() }).unwrap();
    let scored: Vec<_> =
        folds.iter().map(|fold| (fold.fold, format_time(fold.scored.0), format_time(fold.scored.1))).collect();
    // Train ends at step 140, valid at 160: blocks of 20.
    let expected = [(1, hour(100), hour(119)), (2, hour(120), hour(139)), (3, hour(140), hour(159))];
    assert_eq!(scored, expected);
    for (fold, start) in folds.iter().zip([100, 120, 140]) {
        let splits = source.fold(fold).unwrap();
        assert_eq!(counts(&splits), [start - 20 - 14 + 1, 17, 17]);
        assert_eq!((splits.test[0].origin, splits.valid[0].origin), (start as u32, start as u32 - 20));
        let train = &splits.values(0, 0)[..start - 20];
        assert_close(splits.scale(0, 0).offset, train.iter().sum::<f64>() / train.len() as f64, 1e-9);
        assert_eq!(splits.train_steps(0), 0..start - 20);
        assert_ne!(splits.info.digest, source.splits().unwrap().info.digest);
    }
    let first = source.fold(&folds[0]).unwrap();
    let last = source.fold_for(&folds[2], &first.encoder).unwrap();
    assert_eq!((last.scale(0, 0), last.test[0].origin), (first.scale(0, 0), 140));

    let short = source.backtest(&BacktestConfig { folds: 2, step: Some(6), refit: true }).unwrap();
    assert_eq!(source.fold(&short[1]).unwrap().test.iter().map(|w| w.origin).collect::<Vec<_>>(), [154, 155, 156]);
    let error = |config: BacktestConfig| source.backtest(&config).unwrap_err().to_string();
    let many = error(BacktestConfig { folds: 7, step: Some(20), refit: true });
    let expected = "`backtest.folds`: the first of 7 folds would have 0 steps to learn from, fewer than look-back + \
                    horizon = 14; lower `backtest.folds` or `backtest.step`";
    assert_eq!(many, expected);
    let short = error(BacktestConfig { folds: 2, step: Some(3), refit: true });
    assert_eq!(short, "`backtest.step`: a block of 3 steps has no window with a horizon of 4");
}

#[test]
fn the_dialect_goes_with_the_model() {
    let text = shops(80, 77, |i| format!("{i}")).replace(',', ";").replace(";5;", ";n/k;");
    let (_folder, data) = file(&text);
    let data = SeriesDataConfig { delimiter: ';', null_values: names(&["n/k"]), ..settings(data) };
    let encoder = SeriesSource::open(&data, &plain(), &windows(6, 3)).unwrap().splits().unwrap().encoder;
    let encoder = SeriesEncoder::from_json(&encoder.to_json().unwrap()).unwrap();
    assert!(encoder.is_grouped());
    assert_eq!(encoder.features().calendar, Some(Vec::new()));
    let settings = encoder.file_settings();
    let expected = SeriesDataConfig { delimiter: ';', null_values: names(&["n/k"]), ..SeriesDataConfig::default() };
    assert_eq!(settings, expected);
    encoder.latest(&SeriesDataConfig { path: data.path, ..settings }).unwrap();
}

/// Over the horizon an empty text is missing, and one that is no level is told.
#[test]
fn texts_of_the_horizon_are_checked() {
    let colors = |last: &str| {
        (0..62).fold("t,y,color\n".to_string(), |text, i| {
            let color = if i == 61 { last } else { ["red", "blue"][i % 2] };
            text + &format!("{},{},{color}\n", hour(i), if i < 60 { (i % 5).to_string() } else { String::new() })
        })
    };
    let (_folder, data) = file(&colors("red"));
    let data = SeriesDataConfig { targets: names(&["y"]), future_covariates: names(&["color"]), ..data };
    let encoder = SeriesSource::open(&data, &plain(), &windows(4, 2)).unwrap().splits().unwrap().encoder;
    assert_eq!(latest(&encoder, &colors("red")).unwrap().warnings, [""; 0]);
    let told = "`color` is `green` or the like in 1 steps: none of the texts that the model has learned";
    assert_eq!(latest(&encoder, &colors("green")).unwrap().warnings, [told]);
    let error = latest(&encoder, &colors("")).unwrap_err();
    assert!(error.contains(&format!("needs `color` for all 2 steps, but it is missing at {}", hour(61))), "{error}");
}

#[test]
fn a_text_column_without_a_level_is_told() {
    let text = (0..60).fold("t,y,color\n".to_string(), |text, i| {
        text + &format!("{},{},{}\n", hour(i), i % 5, if i < 50 { "" } else { "red" })
    });
    let (_folder, data) = file(&text);
    let data = SeriesDataConfig { targets: names(&["y"]), past_covariates: names(&["color"]), ..data };
    let source = SeriesSource::open(&data, &plain(), &windows(4, 2)).unwrap();
    assert_eq!(source.report().warnings, ["`color` has no text in the train steps, so it is no input"]);
}

/// A series whose valid part is empty has no block, so its times are not those of the scored steps.
#[test]
fn empty_blocks_have_no_time() {
    let mut text = "t,shop,y\n".to_string();
    (0..100).for_each(|i| text += &format!("{},a,{}\n", hour(i), i % 7));
    (2000..2006).for_each(|i| text += &format!("{},b,{}\n", hour(i), i % 7));
    let (_folder, data) = file(&text);
    let data = SeriesDataConfig { group: Some("shop".to_string()), ..data };
    let source = SeriesSource::open(&data, &plain(), &windows(3, 2)).unwrap();
    let folds = source.backtest(&BacktestConfig { folds: 1, ..BacktestConfig::default() }).unwrap();
    assert_eq!((format_time(folds[0].scored.0), format_time(folds[0].scored.1)), (hour(70), hour(79)));
}
