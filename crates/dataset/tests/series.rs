//! Time series: the published protocols to the window and to the last digit, on the real files where they are there.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use dataset::*;
use support::*;

fn etth1() -> Option<SeriesDataConfig> {
    Some(SeriesDataConfig {
        path: Some(shared("ETTh1.csv")?),
        time: "date".to_string(),
        split: SeriesSplitConfig { borders: Some([8640, 11520, 14400]), ..SeriesSplitConfig::default() },
        ..SeriesDataConfig::default()
    })
}

fn metro() -> Option<SeriesDataConfig> {
    Some(SeriesDataConfig {
        path: Some(shared("Metro_Interstate_Traffic_Volume.csv")?),
        time: "date_time".to_string(),
        targets: names(&["traffic_volume"]),
        past_covariates: names(&["temp", "rain_1h", "snow_1h", "clouds_all", "weather_main"]),
        holiday: Some("holiday".to_string()),
        duplicates: Duplicates::First,
        start: Some("2015-06-11 20:00".to_string()),
        end: Some("2018-09-30 23:00".to_string()),
        gaps: GapPolicy::Interpolate,
        ..SeriesDataConfig::default()
    })
}

fn open(data: &SeriesDataConfig, windows: WindowsConfig) -> SeriesSource {
    SeriesSource::open(data, &SeriesFeaturesConfig::default(), &windows).unwrap()
}

/// LTSF-Linear's borders: `len - H + 1` windows of valid and test, `len - L - H + 1` of train. Horizon 96: 2,785, as
/// published.
#[test]
fn etth1_has_the_windows_of_the_papers() {
    let Some(data) = etth1() else { return };
    let splits = open(&data, windows(336, 96)).splits().unwrap();
    assert_eq!(counts(&splits), [8209, 2785, 2785]);
    assert_eq!(splits.target_names(), ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]);
    let parts: Vec<usize> = splits.info.parts.iter().map(|part| part.n_rows).collect();
    assert_eq!(parts, [8640, 2880, 2880]);
    let (first, last) = (splits.test[0], splits.test[2784]);
    assert_eq!(format_time(splits.times(first)[0]), "2017-10-24 00:00:00");
    assert_eq!(format_time(splits.times(last)[95]), "2018-02-20 23:00:00");
    for (horizon, n_test) in [(192, 2689), (336, 2545), (720, 2161)] {
        let splits = open(&data, windows(336, horizon)).splits().unwrap();
        assert_eq!(counts(&splits), [8640 - 336 - horizon + 1, n_test, n_test]);
    }
    let strided = WindowsConfig { stride: 10, eval_stride: 96, ..windows(336, 96) };
    assert_eq!(counts(&open(&data, strided).splits().unwrap()), [(8640 - 432) / 10 + 1, 2784 / 96 + 1, 2784 / 96 + 1]);
}

/// numpy 2.4: `v.mean(0)` and `v.std(0)` of the first 8,640 rows.
#[test]
fn etth1_is_scaled_as_numpy_does() {
    let Some(data) = etth1() else { return };
    let splits = open(&data, windows(336, 96)).splits().unwrap();
    for (target, (mean, std)) in ETTH1_MEANS.into_iter().zip(ETTH1_STDS).enumerate() {
        let scale = splits.scale(0, target);
        assert_close(scale.offset, mean, 1e-12 * mean);
        assert_close(scale.factor, std, 1e-12 * std);
    }
    let batch = splits.batch(&splits.test[..3]);
    let shape = splits.shape();
    assert_eq!((shape.n_series, shape.n_targets, shape.n_past, shape.n_future), (1, 7, 0, 24 + 7 + 12));
    assert_eq!(batch.past.len(), 3 * 7 * 336);
    assert_eq!(batch.future_covariates.len(), 3 * 43 * (336 + 96));
    for (i, (&scaled, &actual)) in batch.target.iter().zip(&batch.actual).enumerate() {
        let scale = splits.scale(0, i / 96 % 7);
        assert_close(scale.invert(f64::from(scaled)), actual, 1e-5);
        assert_eq!(scale.apply(actual) as f32, scaled);
    }
}

const ETTH1_MEANS: [f64; 7] = [
    7.937742245659508,
    2.0210386567335163,
    5.079770601157927,
    0.7461858799957015,
    2.781762386375555,
    0.7884531235540096,
    17.1282616982271,
];
const ETTH1_STDS: [f64; 7] = [
    5.812749409143771,
    2.0901046504076,
    5.518793579036245,
    1.9263792741329822,
    1.0235226594952194,
    0.6302366362251923,
    9.176491024944333,
];

/// The errors of `forecast(batch, window, target)`, which gives one window's target on the batch's scale, over the test
/// windows: mean squared and mean absolute.
fn errors(splits: &SeriesSplits, forecast: impl Fn(&[f32], Window) -> Vec<f64>) -> (f64, f64) {
    let SeriesShape { n_targets, lookback, horizon, .. } = splits.shape();
    let (mut squared, mut absolute, mut n) = (0.0, 0.0, 0.0);
    for windows in splits.test.chunks(64) {
        let batch = splits.batch(windows);
        for row in 0..windows.len() * n_targets {
            let past = &batch.past[row * lookback..(row + 1) * lookback];
            let forecast = forecast(past, windows[row / n_targets]);
            for (forecast, target) in forecast.iter().zip(&batch.target[row * horizon..(row + 1) * horizon]) {
                let error = forecast - f64::from(*target);
                squared += error * error;
                absolute += error.abs();
                n += 1.0;
            }
        }
    }
    (squared / n, absolute / n)
}

fn seasonal_naive(past: &[f32], horizon: usize, season: usize) -> Vec<f64> {
    let last = &past[past.len() - season..];
    (0..horizon).map(|step| f64::from(last[step % season])).collect()
}

/// Published in benchmarks of ETTh1: .512/.433 at horizon 96, .655/.514 at 720 (seasonal naive 24, all windows).
#[test]
fn etth1_gives_the_listed_seasonal_naive() {
    let Some(data) = etth1() else { return };
    for (horizon, mse, mae) in [(96, 0.51222511, 0.43330271), (720, 0.65540527, 0.51412185)] {
        let splits = open(&data, windows(336, horizon)).splits().unwrap();
        let found = errors(&splits, |past, _| seasonal_naive(past, horizon, 24));
        assert_close(found.0, mse, 1e-6);
        assert_close(found.1, mae, 1e-6);
    }
}

/// The protocol: the first row of each timestamp, an hourly index, linear interpolation, 70/10/20. pandas 3.0:
/// `m.drop_duplicates('t').set_index('t')[start:end].traffic_volume.reindex(hours).interpolate()`.
#[test]
fn metro_has_the_rows_and_windows_of_the_protocol() {
    let Some(data) = metro() else { return };
    let source = open(&data, windows(168, 24));
    let report = source.report();
    assert_eq!((report.n_steps, report.n_absent), (28_972, 2_295));
    assert_eq!(report.n_filled["traffic_volume"], 2_295);
    assert_eq!(report.gaps.iter().map(|gap| gap.n_steps).sum::<usize>(), 2_295);
    assert_eq!((report.gaps[0].n_steps, report.gaps[0].from.as_str()), (117, "2015-06-14 21:00:00"));
    assert_eq!((report.frequency.as_str(), report.is_inferred), ("h", true));
    let parts: Vec<usize> = report.parts.iter().map(|part| part.n_steps).collect();
    assert_eq!(parts, [20_280, 2_897, 5_795]);
    let ahead = format!("{} of 28735 windows have a look-back that ends in a gap", report.n_windows_ahead);
    assert!(report.warnings.iter().any(|warning| warning.starts_with(&ahead)), "{:?}", report.warnings);

    let splits = source.splits().unwrap();
    assert_eq!(counts(&splits), [20_280 - 191, 2_897 - 23, 5_772]);
    assert_eq!(splits.values(0, 0).iter().sum::<f64>(), 96_044_254.0);
    assert_close(splits.scale(0, 0).offset, 3313.747657790927, 1e-9);
    assert_close(splits.scale(0, 0).factor, 1941.7512636930096, 1e-9);
    let (absolute, squared) = splits.seasonal_errors(0, 0);
    assert_close(absolute, 576.7803977929955, 1e-9);
    assert_close(squared, 1053402.2105839308, 1e-6);
}

/// The listed RMSE: repeat last 2747.6, seasonal naive 1027.5 and 610.7, weekday x hour profile of the train rows
/// 438.9.
#[test]
fn metro_gives_the_listed_baselines() {
    let Some(data) = metro() else { return };
    let splits = open(&data, windows(168, 24)).splits().unwrap();
    let scale = splits.scale(0, 0);
    let rmse = |forecast: &dyn Fn(&[f32], Window) -> Vec<f64>| errors(&splits, forecast).0.sqrt() * scale.factor;
    assert_close(rmse(&|past, _| vec![f64::from(past[167]); 24]), 2747.6, 0.05);
    assert_close(rmse(&|past, _| seasonal_naive(past, 24, 24)), 1027.5, 0.05);
    assert_close(rmse(&|past, _| seasonal_naive(past, 24, 168)), 610.7, 0.05);
    assert_eq!(splits.n_profile_slots(), 168);
    let (mut sums, mut counts) = (vec![0.0; 168], vec![0.0; 168]);
    let (slots, train) = splits.profile_of_series(0);
    for step in train {
        sums[slots[step] as usize] += scale.apply(splits.values(0, 0)[step]);
        counts[slots[step] as usize] += 1.0;
    }
    let profile =
        |window: Window| splits.profile(window).iter().map(|&s| sums[s as usize] / counts[s as usize]).collect();
    assert_close(rmse(&|_, window| profile(window)), 438.9, 0.05);
}

/// A holiday is named in the first hour of its day only, and holds for all hours. Texts become 0/1 channels.
#[test]
fn metro_has_holidays_and_weather() {
    let Some(data) = metro() else { return };
    let splits = open(&data, windows(168, 24)).splits().unwrap();
    let holiday = splits.future_names().iter().position(|name| name == "is_holiday(holiday)").unwrap();
    let n_future = splits.shape().n_future;
    let is_holiday = |day: &str| {
        let at = |window: &&Window| format_time(splits.times(**window)[0]) == format!("{day} 00:00:00");
        let window = splits.train.iter().chain(&splits.valid).chain(&splits.test).find(at).unwrap();
        let batch = splits.batch(&[*window]);
        batch.future_covariates[holiday * 192 + 168..(holiday + 1) * 192].to_vec()
    };
    assert_eq!(holiday, n_future - 1);
    assert_eq!(is_holiday("2018-07-04"), [1.0; 24]);
    assert_eq!(is_holiday("2018-07-05"), [0.0; 24]);
    let weather: Vec<usize> = (4..splits.shape().n_past).collect();
    assert_eq!(splits.past_names()[4..6], ["weather_main=Clear", "weather_main=Clouds"]);
    let batch = splits.batch(&splits.test[..1]);
    for step in 0..168 {
        let sum: f32 = weather.iter().map(|channel| batch.past_covariates[channel * 168 + step]).sum();
        assert_eq!(sum, 1.0);
    }
}

/// `"1949-01"` is a month; the twelve months of a year are a season.
#[test]
fn airline_is_monthly() {
    let Some(path) = shared("airline-passengers.csv") else { return };
    let data = SeriesDataConfig { path: Some(path), time: "Month".to_string(), ..SeriesDataConfig::default() };
    let source = open(&data, windows(24, 12));
    assert_eq!((source.report().frequency.as_str(), source.report().n_steps), ("MS", 144));
    let splits = source.splits().unwrap();
    assert_eq!(splits.season_steps(), 12);
    assert_eq!(counts(&splits), [100 - 35, 15 - 11, 29 - 11]);
    assert_eq!((splits.future_names().len(), splits.future_names()[11].as_str()), (12, "month=12"));
    let times: Vec<String> = splits.times(splits.train[0]).into_iter().map(format_time).collect();
    assert_eq!((times[0].as_str(), times[11].as_str()), ("1951-01-01 00:00:00", "1951-12-01 00:00:00"));
}

/// Two years of hourly traffic on a machine without any data.
#[test]
fn the_demo_is_there() {
    let data = SeriesDataConfig {
        source: Some(SeriesBuiltin::TrafficDemo),
        time: "date_time".to_string(),
        targets: names(&["traffic_volume"]),
        past_covariates: names(&["temp_c", "rain_1h", "snow_1h", "clouds"]),
        holiday: Some("holiday".to_string()),
        ..SeriesDataConfig::default()
    };
    let splits = open(&data, windows(168, 24)).splits().unwrap();
    assert_eq!(counts(&splits), [12_280 - 191, 1_755 - 23, 3_509 - 23]);
    assert_eq!((splits.info.name.as_str(), splits.series_name(0)), ("traffic_demo", "traffic_demo"));
    assert_eq!(splits.info.digest.len(), 32);
    assert_eq!(splits.info.source, r#"{"tags":{"dataset":"traffic_demo"}}"#);
}

/// The best of a few turns, since other programs share the processor.
fn best(n: usize, mut work: impl FnMut()) -> Duration {
    let turn = |_| {
        let begin = Instant::now();
        work();
        begin.elapsed()
    };
    (0..n).map(turn).min().unwrap()
}

#[test]
fn it_is_fast() {
    if let Some(data) = metro() {
        let time = best(3, || drop(open(&data, windows(168, 24)).splits().unwrap()));
        println!("Metro read and prepared in {time:?}");
        assert!(time < Duration::from_millis(500), "{time:?}");
    }
    if let Some(data) = etth1() {
        // As in `configs/train_ts_etth1.yaml`: the series alone, no calendar.
        let features = SeriesFeaturesConfig { calendar: Some(vec![]), ..SeriesFeaturesConfig::default() };
        let splits = SeriesSource::open(&data, &features, &windows(336, 96)).unwrap().splits().unwrap();
        let step = splits.train.len() / 32;
        let shuffled: Vec<Window> = splits.train.iter().step_by(step).take(32).copied().collect();
        assert_eq!(shuffled.len(), 32);
        let time = best(500, || drop(std::hint::black_box(splits.batch(&shuffled))));
        println!("a batch of 32 windows of ETTh1 in {time:?}");
        assert!(time < Duration::from_micros(100), "{time:?}");
    }
}
