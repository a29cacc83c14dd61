//! Metrics of forecasts against scikit-learn 1.9.1 and sktime 1.2.0, and what they do at the edges.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::fs;
use std::time::Instant;

use training::metrics::{
    ChannelScale, FORECAST_METRICS, ForecastErrors, METRICS, direction_of, forecast_direction_of, metrics_for,
};
use training::metrics::{Direction, Kind};
use training::{EarlyStoppingConfig, TrainingConfig};

const CHANNELS: usize = 3;
const WINDOWS: usize = 5;
const HORIZON: usize = 4;
const QUANTILES: [(f64, f64); 3] = [(0.1, -1.0), (0.5, 0.0), (0.9, 1.5)];

/// The truth of one window of a channel, some of it 0, and its forecast.
fn window(channel: usize, window: usize) -> (Vec<f64>, Vec<f64>) {
    let unit = channel as f64 + 1.0;
    let actual = |step: usize| (((7 * window + 3 * step + 5 * channel) % 11) as f64 - 4.0) * unit * 0.5;
    let error = |step: usize| (((5 * window + 2 * step + 3 * channel) % 7) as f64 - 2.0) * unit * 0.25;
    (0..HORIZON).map(|step| (actual(step), actual(step) + error(step))).unzip()
}

/// Standard deviations made up; errors of the seasonal-naive forecast (4 steps) on 40 train rows.
fn scale(channel: usize) -> ChannelScale {
    let train: Vec<f64> = (0..40).map(|t| ((t * t + 3 * channel) % 13) as f64 * (channel as f64 + 1.0)).collect();
    let errors: Vec<f64> = train.windows(5).map(|w| (w[4] - w[0]).abs()).collect();
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / errors.len() as f64;
    ChannelScale {
        factor: [2.0, 0.5, 4.0][channel],
        naive_mae: mean(&mut errors.iter().copied()),
        naive_mse: mean(&mut errors.iter().map(|error| error * error)),
    }
}

fn empty() -> ForecastErrors {
    let levels = QUANTILES.iter().map(|(level, _)| *level).collect();
    ForecastErrors::new(HORIZON, (0..CHANNELS).map(scale).collect(), levels)
}

fn shifted(values: &[f64], by: f64) -> Vec<f64> {
    values.iter().map(|value| value + by).collect()
}

fn errors_of(windows: std::ops::Range<usize>) -> ForecastErrors {
    let mut errors = empty();
    for (channel, index) in (0..CHANNELS).flat_map(|channel| windows.clone().map(move |index| (channel, index))) {
        let (actual, predicted) = window(channel, index);
        let quantiles: Vec<f64> = QUANTILES.iter().flat_map(|(_, by)| shifted(&predicted, *by)).collect();
        errors.add(channel, &actual, &predicted, &quantiles);
        errors.add_interval(channel, &actual, &shifted(&predicted, -1.0), &shifted(&predicted, 1.5), 0.8);
    }
    errors
}

#[track_caller]
fn assert_close(name: &str, found: f64, wanted: f64) {
    let close = (found - wanted).abs() <= 1e-12 * wanted.abs().max(1.0) || (found.is_nan() && wanted.is_nan());
    assert!(close, "{name}: {found} in place of {wanted}");
}

#[track_caller]
fn column<'a>(table: &'a [(&str, Vec<f64>)], name: &str) -> &'a [f64] {
    &table.iter().find(|(known, _)| *known == name).unwrap().1
}

/// With `Y`, `F` as `[windows * steps, channels]`, `Y != 0` for `mape`, both raveled for `smape` and
/// `mean_pinball_loss`: scikit-learn's `mean_absolute_error(Y, F)`, `mean_squared_error(Y, F)` and its root,
/// `mean_absolute_percentage_error`, `r2_score(Y, F, multioutput="uniform_average")`, `mean_pinball_loss(alpha=..)`;
/// the mean over channels of sktime's `mean_absolute_scaled_error(y, f, y_train=train, sp=4)` and
/// `mean_squared_scaled_error(.., square_root=True)`; sktime's `mean_absolute_percentage_error(symmetric=True)`; numpy
/// for bias, coverage, width and score of the intervals.
#[test]
fn values_agree_with_scikit_learn_and_sktime() {
    let expected = [
        ("mae", 0.9500000000000001),
        ("rmse", 1.2466622103307161),
        ("mse", 1.5541666666666665),
        ("mape", 0.40575757575757576),
        ("smape", 0.5052667214829013),
        ("mase", 0.10188006495515001),
        ("rmsse", 0.10344855485247666),
        ("r2", 0.8714383232532915),
        ("mse_scaled", 1.7402994791666668),
        ("mae_scaled", 0.8156250000000002),
        ("bias", 0.5583333333333333),
        ("pinball", 0.3361111111111111),
        ("coverage", 0.7333333333333333),
        ("interval_width", 2.5),
        ("interval_score", 5.333333333333333),
    ];
    let errors = errors_of(0..WINDOWS);
    let found = errors.values();
    assert_eq!(found.len(), expected.len());
    for ((name, value), (expected_name, wanted)) in found.into_iter().zip(expected) {
        assert_eq!(name, expected_name);
        assert_close(name, value, wanted);
        assert_close(name, errors.value(name), wanted);
    }
    assert_eq!(errors.n_values(), (CHANNELS * WINDOWS * HORIZON) as u64);
    assert!(errors.value("auc").is_nan());
}

/// The same functions on one step or one channel.
#[test]
fn steps_and_channels_agree_with_scikit_learn() {
    let errors = errors_of(0..WINDOWS);
    let check = |name: &str, found: &[f64], wanted: &[f64]| {
        assert_eq!(found.len(), wanted.len());
        found.iter().zip(wanted).for_each(|(found, wanted)| assert_close(name, *found, *wanted));
    };
    let by_step = errors.by_step();
    assert_eq!(by_step.len(), FORECAST_METRICS.len());
    check("mae", column(&by_step, "mae"), &[1.0, 14.0 / 15.0, 0.9, 29.0 / 30.0]);
    let r2 = [0.8448198049446315, 0.8706310679611651, 0.8751596107698743, 0.8455501618122977];
    check("r2", column(&by_step, "r2"), &r2);
    check("interval_width", column(&by_step, "interval_width"), &[2.5; HORIZON]);
    let by_channel = errors.by_channel();
    check("mse", column(&by_channel, "mse"), &[0.303125, 1.2375, 3.121875]);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    for name in ["mase", "rmsse", "r2"] {
        assert_close(name, mean(column(&by_channel, name)), errors.value(name));
    }
    check("r2", column(&by_channel, "r2"), &[0.876401630988787, 0.8805501930501931, 0.8573631457208943]);
}

#[test]
fn parts_merge_into_the_whole() {
    let whole = errors_of(0..WINDOWS);
    for cut in 0..=WINDOWS {
        let mut merged = errors_of(0..cut);
        merged.merge_at(0, &errors_of(cut..WINDOWS));
        assert_eq!(merged.n_values(), whole.n_values());
        for ((name, found), (_, wanted)) in merged.values().into_iter().zip(whole.values()) {
            assert_close(name, found, wanted);
        }
    }
}

#[test]
fn a_great_offset_costs_r2_no_digits() {
    let mut errors = ForecastErrors::new(HORIZON, vec![scale(0)], vec![]);
    for index in 0..WINDOWS {
        let (actual, predicted) = window(0, index);
        errors.add(0, &shifted(&actual, 1e9), &shifted(&predicted, 1e9), &[]);
    }
    assert!((errors.value("r2") - 0.876401630988787).abs() < 1e-6, "{}", errors.value("r2"));
}

#[test]
fn what_is_undefined_is_nan_or_left_out() {
    let nothing = ChannelScale { factor: 1.0, naive_mae: f64::NAN, naive_mse: f64::NAN };
    let constant = ChannelScale { factor: 1.0, naive_mae: 0.0, naive_mse: 0.0 };
    let none = ForecastErrors::new(2, vec![nothing], vec![]);
    assert_eq!(none.values().len(), 11, "no quantiles, no intervals");
    assert!(none.values().iter().all(|(_, value)| value.is_nan()));
    assert_eq!(none.by_step().iter().map(|(_, values)| values.len()).sum::<usize>(), 22);
    assert!(ForecastErrors::new(0, vec![], vec![]).values().iter().all(|(_, value)| value.is_nan()));

    let mut zeros = ForecastErrors::new(2, vec![nothing, constant], vec![]);
    zeros.add(0, &[0.0, 0.0], &[0.0, 1.0], &[]);
    zeros.add(1, &[0.0, 0.0], &[0.0, 0.0], &[]);
    for (name, wanted) in [("mae", 0.25), ("mape", f64::NAN), ("smape", 0.5), ("mase", f64::NAN), ("r2", f64::NAN)] {
        assert_close(name, zeros.value(name), wanted);
    }
    // One channel has a scale and one has variance: the means are theirs.
    let mut mixed =
        ForecastErrors::new(2, vec![nothing, ChannelScale { factor: 1.0, naive_mae: 0.5, naive_mse: 1.0 }], vec![]);
    mixed.add(0, &[1.0, 3.0], &[1.0, 2.0], &[]);
    mixed.add(1, &[5.0, 5.0], &[6.0, 5.0], &[]);
    for (name, wanted) in [("mase", 1.0), ("rmsse", 0.5f64.sqrt()), ("r2", 0.5), ("mape", (1.0 / 3.0 + 0.2) / 4.0)] {
        assert_close(name, mixed.value(name), wanted);
    }
    // No truth: not scored. No forecast: no metric.
    mixed.add(0, &[f64::NAN, f64::INFINITY], &[0.0, 0.0], &[]);
    assert_eq!(mixed.n_values(), 4);
    for predicted in [f64::NAN, f64::INFINITY] {
        let mut failed = mixed.clone();
        failed.add(0, &[0.0, 2.0], &[predicted, 2.0], &[]);
        assert!(failed.values().iter().all(|(_, value)| value.is_nan()));
        assert_close("step 1", column(&failed.by_step(), "mae")[1], 1.0 / 3.0);
    }
}

#[test]
fn intervals_hold_their_ends_and_may_be_missing_or_endless() {
    let mut errors = ForecastErrors::new(4, vec![scale(0)], vec![]);
    let (nan, endless) = (f64::NAN, f64::INFINITY);
    errors.add_interval(0, &[1.0, 2.0, 3.0, 4.0], &[1.0, 2.5, nan, 0.0], &[1.5, 3.5, nan, 3.0], 0.9);
    for (name, wanted) in [("coverage", 1.0 / 3.0), ("interval_width", 1.5), ("interval_score", 4.5 / 3.0 + 20.0 * 0.5)]
    {
        assert_close(name, errors.value(name), wanted);
    }
    assert!(column(&errors.by_step(), "coverage")[2].is_nan());
    errors.add_interval(0, &[1.0; 4], &[-endless; 4], &[endless; 4], 0.9);
    assert_eq!((errors.value("coverage"), errors.value("interval_width")), (5.0 / 7.0, endless));
}

#[test]
fn names_have_one_direction_in_both_tables() {
    let mut names: Vec<_> = FORECAST_METRICS.iter().map(|metric| metric.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), FORECAST_METRICS.len()), (15, 15));
    let shared: Vec<_> = metrics_for(Kind::Regression)
        .filter_map(|metric| Some((metric, FORECAST_METRICS.iter().find(|other| other.name == metric.name)?)))
        .collect();
    assert_eq!(shared.len(), 5);
    assert!(shared.iter().all(|(metric, other)| other.direction == Some(metric.direction)));
    assert!(METRICS.iter().all(|metric| !metric.name.ends_with("_scaled")));

    assert_eq!(forecast_direction_of("loss", false), Ok(Direction::Minimize));
    assert_eq!(forecast_direction_of("r2", false), Ok(Direction::Maximize));
    assert_eq!(forecast_direction_of("pinball", true), Ok(Direction::Minimize));
    let names = forecast_direction_of("pinball", false).unwrap_err();
    assert_eq!((names[0], names.len()), ("loss", 11));
    assert_eq!(forecast_direction_of("coverage", true).unwrap_err().len(), 12);
    assert!(forecast_direction_of("bias", true).is_err() && direction_of("smape", Kind::Regression).is_err());
}

#[test]
fn early_stopping_knows_both_tables() {
    let check = |monitor: &str| {
        let early_stopping = EarlyStoppingConfig { monitor: monitor.to_owned(), ..Default::default() };
        TrainingConfig { early_stopping, ..Default::default() }.check()
    };
    for name in ["val_loss", "auc", "val_mse_scaled", "smape", "pinball", "r2"] {
        assert_eq!(check(name), Ok(()));
    }
    for name in ["val_bias", "coverage", "msee"] {
        let (key, problem) = check(name).unwrap_err();
        assert_eq!(key, "early_stopping.monitor");
        assert_eq!(problem.matches(" mse,").count(), 1, "{problem}");
    }
}

/// The published protocol on ETTh1 (Zeng et al., arXiv 2205.13504) with the forecast "as 24 hours before": all 2,785
/// test windows of 96 steps and 7 channels, on the scale of rows 0..8640; 0.512 and 0.433 computed in numpy.
#[test]
fn seasonal_naive_on_etth1_has_the_known_errors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ETTh1.csv");
    let Ok(text) = fs::read_to_string(path) else {
        println!("SKIPPED: no `{path}`");
        return;
    };
    const ROWS: std::ops::Range<usize> = 11_520..14_400;
    let rows: Vec<Vec<f64>> =
        text.lines().skip(1).map(|line| line.split(',').skip(1).map(|cell| cell.parse().unwrap()).collect()).collect();
    let series: Vec<Vec<f64>> = (0..7).map(|channel| rows.iter().map(|row| row[channel]).collect()).collect();
    let scale = |values: &Vec<f64>| {
        let mean = values[..8640].iter().sum::<f64>() / 8640.0;
        let factor = (values[..8640].iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 8640.0).sqrt();
        ChannelScale { factor, naive_mae: f64::NAN, naive_mse: f64::NAN }
    };
    let mut errors = ForecastErrors::new(96, series.iter().map(scale).collect(), vec![]);
    for (channel, values) in series.iter().enumerate() {
        for origin in ROWS.start..=ROWS.end - 96 {
            let predicted: Vec<f64> = (0..96).map(|step| values[origin - 24 + step % 24]).collect();
            errors.add(channel, &values[origin..origin + 96], &predicted, &[]);
        }
    }
    assert_eq!(errors.n_values(), 2785 * 96 * 7);
    let (mse, mae) = (errors.value("mse_scaled"), errors.value("mae_scaled"));
    assert!((mse - 0.512).abs() < 5e-4 && (mae - 0.433).abs() < 5e-4, "{mse} {mae}");
}

/// As many as the validation windows of ETTh1 at horizon 96 after every epoch. The limit leaves room for a busy
/// machine.
#[test]
fn two_million_values_take_milliseconds() {
    let channels: Vec<ChannelScale> = (0..7).map(|channel| scale(channel % 3)).collect();
    let actual: Vec<f64> = (0..96 + 2_976).map(|i| f64::from(i * 37 % 101) / 10.0).collect();
    let predicted = shifted(&actual, 0.5);
    let seconds = |_| {
        let start = Instant::now();
        let mut errors = ForecastErrors::new(96, channels.clone(), vec![]);
        for (window, channel) in (0..2_976).flat_map(|window| (0..7).map(move |channel| (window, channel))) {
            errors.add(channel, &actual[window..window + 96], &predicted[window..window + 96], &[]);
        }
        assert!(errors.values().iter().any(|(name, value)| *name == "mae" && (value - 0.5).abs() < 1e-9));
        assert_eq!(errors.n_values(), 1_999_872);
        start.elapsed().as_secs_f64()
    };
    let fastest = (0..5).map(seconds).fold(f64::INFINITY, f64::min);
    println!("{:.1} ms", fastest * 1e3);
    assert!(fastest < 0.5, "{fastest} s");
}
