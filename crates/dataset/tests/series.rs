//! Time series: the published protocols, to the window.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Instant;

use dataset::*;

/// A file of the test data, if it is there.
fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    let found = path.exists().then_some(path);
    if found.is_none() {
        println!("SKIPPED: no ../shared/data/{name}");
    }
    found
}

fn windows(lookback: usize, horizon: usize) -> WindowsConfig {
    WindowsConfig { lookback, horizon, ..WindowsConfig::default() }
}

fn etth1() -> Option<SeriesDataConfig> {
    Some(SeriesDataConfig {
        path: Some(shared("ETTh1.csv")?),
        time: "date".to_string(),
        split: SeriesSplitConfig { borders: Some([8640, 11520, 14400]), ..SeriesSplitConfig::default() },
        ..SeriesDataConfig::default()
    })
}

fn counts(splits: &SeriesSplits) -> [usize; 3] {
    [splits.train.len(), splits.valid.len(), splits.test.len()]
}

#[test]
fn etth1_has_the_windows_of_the_papers() {
    let Some(data) = etth1() else { return };
    let source = SeriesSource::open(&data, &SeriesFeaturesConfig::default(), &windows(336, 96)).unwrap();
    println!("{}", source.report().to_text());
    let splits = source.splits().unwrap();
    assert_eq!(counts(&splits), [8209, 2785, 2785]);
}

#[test]
fn metro_has_the_rows_and_windows_of_the_protocol() {
    let Some(path) = shared("Metro_Interstate_Traffic_Volume.csv") else { return };
    let data = SeriesDataConfig {
        path: Some(path),
        time: "date_time".to_string(),
        targets: vec!["traffic_volume".to_string()],
        past_covariates: ["temp", "rain_1h", "snow_1h", "clouds_all", "weather_main"].map(String::from).to_vec(),
        holiday: Some("holiday".to_string()),
        duplicates: Duplicates::First,
        start: Some("2015-06-11 20:00".to_string()),
        end: Some("2018-09-30 23:00".to_string()),
        gaps: GapPolicy::Interpolate,
        ..SeriesDataConfig::default()
    };
    let begin = Instant::now();
    let source = SeriesSource::open(&data, &SeriesFeaturesConfig::default(), &windows(168, 24)).unwrap();
    let splits = source.splits().unwrap();
    println!("{:?}", begin.elapsed());
    println!("{}", source.report().to_markdown());
    println!("{:?}", splits.info);
    assert_eq!(splits.test.len(), 5772);
}

#[test]
fn demo() {
    let data = SeriesDataConfig {
        source: Some(SeriesBuiltin::TrafficDemo),
        time: "date_time".to_string(),
        targets: vec!["traffic_volume".to_string()],
        holiday: Some("holiday".to_string()),
        ..SeriesDataConfig::default()
    };
    let begin = Instant::now();
    let source = SeriesSource::open(&data, &SeriesFeaturesConfig::default(), &windows(168, 24)).unwrap();
    let splits = source.splits().unwrap();
    println!("{:?}", begin.elapsed());
    println!("{}", source.report().to_text());
    println!("{}", splits.encoder.to_json().unwrap());
    let n = splits.test.len();
    let begin = Instant::now();
    splits.batch(&splits.test[..32]);
    println!("{:?} {n}", begin.elapsed());
}
