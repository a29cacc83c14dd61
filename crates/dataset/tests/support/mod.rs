//! What the tests of time series share.

#![allow(dead_code, clippy::unwrap_used, reason = "not every test file uses all of it")]

use std::fs;
use std::path::PathBuf;

use dataset::*;
use tempfile::TempDir;

/// A file of the test data, if it is there.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    let found = path.exists().then_some(path);
    if found.is_none() {
        println!("SKIPPED: no ../shared/data/{name}");
    }
    found
}

/// Settings for a file with this text, whose timestamps are in `t`, and the folder that holds it.
pub fn file(text: &str) -> (TempDir, SeriesDataConfig) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.csv");
    fs::write(&path, text).unwrap();
    (folder, SeriesDataConfig { path: Some(path), time: "t".to_string(), ..SeriesDataConfig::default() })
}

/// `t,y` with a row for each hour from 2016-07-01 on.
pub fn hourly(n: usize, y: impl Fn(usize) -> String) -> String {
    (0..n).fold("t,y\n".to_string(), |text, i| text + &format!("{},{}\n", hour(i), y(i)))
}

/// The hour `i` after 2016-07-01.
pub fn hour(i: usize) -> String {
    format_time(1_467_331_200 + 3600 * i as i64)
}

pub fn windows(lookback: usize, horizon: usize) -> WindowsConfig {
    WindowsConfig { lookback, horizon, ..WindowsConfig::default() }
}

pub fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

/// Nothing but the columns, as they are.
pub fn plain() -> SeriesFeaturesConfig {
    SeriesFeaturesConfig { scaling: SeriesScaling::None, calendar: Some(Vec::new()), ..SeriesFeaturesConfig::default() }
}

pub fn counts(splits: &SeriesSplits) -> [usize; 3] {
    [splits.train.len(), splits.valid.len(), splits.test.len()]
}

pub fn assert_close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected} +- {tolerance}");
}
