//! Baselines of forecasting: the published protocol on ETTh1, and small cases with known answers.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use modeling::baselines::Error;
use modeling::forecast_baselines::{CalendarProfile, LeastSquares, LeastSquaresFit, repeat_last, seasonal_naive};

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

#[test]
fn least_squares_agrees_with_numpy() {
    let mut series = vec![0.0_f64];
    for t in 0..60 {
        series.push(0.9 * series[t] + 2.0 + f64::from(u8::from(t % 7 == 0)));
    }
    let series: Vec<f32> = series.iter().map(|&x| x as f32).collect();
    let (lookback, horizon) = (3, 2);
    let (mut past, mut target) = (Vec::new(), Vec::new());
    for window in series.windows(lookback + horizon) {
        past.extend(&window[..lookback]);
        target.extend(&window[lookback..]);
    }
    let mut fit = LeastSquaresFit::new(lookback, horizon);
    fit.add(&past, &target).unwrap();
    let model = fit.solve(0.0).unwrap();
    // numpy.linalg.lstsq on the differences and a column of ones
    let wanted = [-0.310_129_26, -0.592_841_3, 0.039_665_94, 0.073_955_75, 0.087_330_2, 0.162_907_88];
    for (found, wanted) in model.coefficients.iter().zip(wanted) {
        assert!((found - wanted).abs() < 1e-5, "{:?}", model.coefficients);
    }
    let read = LeastSquares::from_json(&model.to_json().unwrap()).unwrap();
    assert_eq!(read, model);
    assert_eq!(read.forecast(&past).unwrap(), model.forecast(&past).unwrap());
}

/// Numbers without meaning in -1..1.
fn made_up(n: u32) -> Vec<f32> {
    (0..n).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 32_768.0 - 1.0).collect()
}

#[test]
fn any_number_of_threads_and_of_batches_gives_the_same_bits() {
    let (past, target) = (made_up(1500 * 200), made_up(1500 * 30));
    let fitted = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let mut fit = LeastSquaresFit::new(200, 30);
            fit.add(&past, &target).unwrap();
            fit.solve(0.01).unwrap()
        })
    };
    let one = fitted(1);
    assert_eq!((one.rows, one.coefficients.len()), (1500, 6000));
    assert_eq!(one, fitted(1));
    assert_eq!(one, fitted(3));
}

#[test]
fn least_squares_copes_with_too_little_to_learn_from() {
    // A constant series: the last value and no more.
    let mut fit = LeastSquaresFit::new(4, 2);
    fit.add(&[3.0; 40], &[3.0; 20]).unwrap();
    assert_eq!(fit.solve(0.0).unwrap().forecast(&[5.0; 4]).unwrap(), [5.0, 5.0]);
    // Fewer windows than steps of look-back: finite, and right where it has learned.
    let (past, target) = (made_up(5 * 50), made_up(5 * 3));
    let mut fit = LeastSquaresFit::new(50, 3);
    fit.add(&past, &target).unwrap();
    let forecast = fit.solve(0.0).unwrap().forecast(&past).unwrap();
    assert!(forecast.iter().zip(&target).all(|(f, y)| (f - y).abs() < 1e-3), "{forecast:?} {target:?}");
    // One step of look-back: a random walk with drift.
    let mut fit = LeastSquaresFit::new(1, 1);
    fit.add(&[1.0, 2.0, 4.0], &[2.0, 4.0, 7.0]).unwrap();
    assert_eq!(fit.solve(0.0).unwrap().forecast(&[10.0]).unwrap(), [12.0]);
}

#[test]
fn errors_say_what_is_wrong() {
    let mut fit = LeastSquaresFit::new(4, 2);
    let message = fit.solve(0.0).unwrap_err().to_string();
    assert_eq!(message, "the rows given to a baseline do not fit together: there is no window to learn from");
    let message = fit.add(&[0.0; 8], &[0.0; 3]).unwrap_err().to_string();
    assert_eq!(message, "the rows given to a baseline do not fit together: 2 pasts, 3 values for a horizon of 2");
    let message = fit.add(&[0.0, 0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0, 0.0], &[0.0; 4]).unwrap_err().to_string();
    assert_eq!(message, "row 2 has NaN in the past; a baseline needs finite numbers, impute the missing ones");
    fit.add(&[0.0, 1.0, 2.0, 4.0], &[5.0, 6.0]).unwrap();
    let model = fit.solve(0.0).unwrap();
    assert!(matches!(model.forecast(&[0.0; 5]), Err(Error::Shape { .. })));
    let json = model.to_json().unwrap();
    for (old, new) in [("\"version\":1", "\"version\":2"), ("\"lookback\":4", "\"lookback\":5"), ("ridge", "rigde")] {
        let broken = json.replacen(old, new, 1);
        assert_ne!(broken, json);
        assert!(matches!(LeastSquares::from_json(&broken), Err(Error::Json { .. })), "{broken}");
    }
}

#[test]
fn naive_forecasts_repeat() {
    let past = [9.0, 1.0, 2.0, 3.0];
    assert_eq!(seasonal_naive(&past, 3, 7), Some(vec![1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]));
    assert_eq!(seasonal_naive(&past, 4, 2), Some(vec![9.0, 1.0]));
    assert_eq!(seasonal_naive(&past, 5, 2), None);
    assert_eq!(seasonal_naive(&past, 0, 2), None);
    assert_eq!(repeat_last(&past, 3), Some(vec![3.0; 3]));
    assert_eq!(repeat_last(&[], 3), None);
}

#[test]
fn a_profile_is_the_mean_of_each_slot() {
    let mut profile = CalendarProfile::new(4);
    profile.add(&[0, 1, 0], &[1.0, 5.0, 2.0]).unwrap();
    profile.add(&[1, 2], &[7.0, f32::NAN]).unwrap();
    // Slot 2 has no value: the mean of all four. So has a slot that no train row could have.
    assert_eq!(profile.forecast(&[0, 1, 2, 3, 9]), [1.5, 6.0, 3.75, 3.75, 3.75]);
    assert_eq!(CalendarProfile::from_json(&profile.to_json().unwrap()).unwrap(), profile);
    let message = profile.add(&[4], &[1.0]).unwrap_err().to_string();
    assert_eq!(message, "the rows given to a baseline do not fit together: slot 4 of 4");
    assert!(profile.add(&[0, 1], &[1.0]).is_err());
    let broken = profile.to_json().unwrap().replacen("\"counts\":[", "\"counts\":[1,", 1);
    assert!(matches!(CalendarProfile::from_json(&broken), Err(Error::Json { .. })));
}
