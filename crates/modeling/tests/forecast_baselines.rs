//! Baselines of forecasting: the published protocol on ETTh1, and small cases with known answers.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use modeling::forecast_baselines::{LeastSquaresFit, seasonal_naive};

const CHANNELS: usize = 7;
const LOOKBACK: usize = 336;

/// Rows 0..14400, by channel, standardised on the train rows (0..8640). `None` without the file.
fn etth1() -> Option<Vec<Vec<f32>>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ETTh1.csv");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("SKIPPED: {path} is not there");
        return None;
    };
    let rows: Vec<Vec<f64>> = text
        .lines()
        .skip(1)
        .take(14_400)
        .map(|line| line.split(',').skip(1).map(|cell| cell.parse().unwrap()).collect())
        .collect();
    let channel = |channel: usize| {
        let train = rows[..8640].iter().map(|row| row[channel]);
        let mean = train.clone().sum::<f64>() / 8640.0;
        let deviation = (train.map(|x| (x - mean).powi(2)).sum::<f64>() / 8640.0).sqrt();
        rows.iter().map(|row| ((row[channel] - mean) / deviation) as f32).collect()
    };
    Some((0..CHANNELS).map(channel).collect())
}

/// Past and target of windows whose first step to forecast is in `origins`, window by window, channel by channel.
fn windows(series: &[Vec<f32>], origins: std::ops::Range<usize>, horizon: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut past, mut target) = (Vec::new(), Vec::new());
    for origin in origins {
        for channel in series {
            past.extend(&channel[origin - LOOKBACK..origin]);
            target.extend(&channel[origin..origin + horizon]);
        }
    }
    (past, target)
}

/// MSE and MAE over all test windows.
fn score(series: &[Vec<f32>], horizon: usize, forecast: impl Fn(&[f32]) -> Vec<f32>) -> [f64; 2] {
    let (mut squares, mut absolutes, mut count) = (0.0, 0.0, 0);
    for first in (11_520..14_400 - horizon + 1).step_by(256) {
        let (past, target) = windows(series, first..(first + 256).min(14_400 - horizon + 1), horizon);
        let forecast = forecast(&past);
        assert_eq!(forecast.len(), target.len());
        for (f, y) in forecast.iter().zip(&target) {
            let error = f64::from(f - y);
            squares += error * error;
            absolutes += error.abs();
        }
        count += target.len();
    }
    assert_eq!(count, (14_400 - 11_520 - horizon + 1) * CHANNELS * horizon);
    [squares / count as f64, absolutes / count as f64]
}

fn check_etth1(horizon: usize, least_squares: [f64; 2], naive: [f64; 2]) {
    let Some(series) = etth1() else { return };
    let start = std::time::Instant::now();
    let mut fit = LeastSquaresFit::new(LOOKBACK, horizon);
    for first in (LOOKBACK..8640 - horizon + 1).step_by(256) {
        let (past, target) = windows(&series, first..(first + 256).min(8640 - horizon + 1), horizon);
        fit.add(&past, &target).unwrap();
    }
    println!("sums: {:?}", start.elapsed());
    let model = fit.solve(0.0).unwrap();
    println!("solved: {:?}", start.elapsed());
    assert_eq!(model.rows, (8640 - LOOKBACK - horizon + 1) * CHANNELS);
    let found = score(&series, horizon, |past| model.forecast(past).unwrap());
    println!("scored: {:?}: {found:?}", start.elapsed());
    for (found, wanted) in found.iter().zip(least_squares) {
        assert!((found - wanted).abs() <= 0.00005, "{horizon}: {found} in place of {wanted}");
    }
    let row = |past: &[f32]| seasonal_naive(past, 24, horizon).unwrap();
    let found = score(&series, horizon, |past| past.chunks(LOOKBACK).flat_map(row).collect());
    for (found, wanted) in found.iter().zip(naive) {
        assert!((found - wanted).abs() <= 0.0005, "{horizon}: {found} in place of {wanted}");
    }
}

#[test]
fn etth1_at_horizon_96_gives_the_published_numbers() {
    check_etth1(96, [0.3702, 0.3915], [0.512, 0.433]);
}

#[test]
fn etth1_at_longer_horizons_gives_the_published_numbers() {
    check_etth1(192, [0.4034, 0.4112], [0.581, 0.469]);
    check_etth1(336, [0.4277, 0.4262], [0.650, 0.501]);
    check_etth1(720, [0.4344, 0.4505], [0.655, 0.514]);
}
