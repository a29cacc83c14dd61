//! The test windows, forecast once: scores, intervals, the file of forecasts, and what the pictures need.

use anyhow::Result;
use dataset::{OutputFormat, SeriesSplits, Window, write_columns};
use modeling::Forecaster;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::forecast::intervals::Intervals;
use crate::forecast::job::{ForecastJob, Networks};
use crate::forecast::scoring::{Forecast, ForecastScores, channel_of, for_each_forecast, no_errors};
use crate::forecast::table::{ForecastTable, Place};
use crate::history::Metrics;
use crate::session::Session;

/// More rows than this are not written unless `stride` says so.
const MANY_ROWS: usize = 500_000;
/// Pairs of actual and forecast value that are kept for pictures.
const MOST_PAIRS: usize = 200_000;

/// The `predictions:` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PredictionsConfig {
    /// `csv` or `parquet`.
    pub format: OutputFormat,
    /// Write every n-th test window; null for all of them, or every horizon-th where all would be more than 500,000 rows.
    /// Scores are of all windows in any case.
    pub stride: Option<usize>,
}

impl Default for PredictionsConfig {
    fn default() -> Self {
        Self { format: OutputFormat::Csv, stride: None }
    }
}

impl PredictionsConfig {
    /// Looks at ranges; gives the wrong key and the reason.
    pub fn check(&self) -> Result<(), (String, String)> {
        match self.stride {
            Some(0) => Err(("stride".to_owned(), "it must be at least 1, or null".to_owned())),
            _ => Ok(()),
        }
    }

    fn stride(&self, splits: &SeriesSplits) -> usize {
        let shape = splits.shape();
        let rows = splits.test.len() * shape.n_targets * shape.horizon;
        self.stride.unwrap_or(if rows > MANY_ROWS { shape.horizon } else { 1 })
    }
}

/// One target of one window, and how far off it was.
#[derive(Debug, Clone, Copy)]
pub struct WindowError {
    /// The window.
    pub window: Window,
    /// Which target.
    pub target: usize,
    /// Mean absolute error in original units.
    pub mae: f64,
    /// The same on the standardised scale, by which targets can be compared.
    pub mae_scaled: f64,
}

/// What came out of the test windows.
pub struct TestScores {
    /// Metrics and sums.
    pub scores: ForecastScores,
    /// One entry per window and target.
    pub windows: Vec<WindowError>,
    /// Actual and forecast values, evenly spread over the windows: of one target in original units, of several standardised.
    pub pairs: Pairs,
}

/// Forecasts beside what came.
#[derive(Default)]
pub struct Pairs {
    /// Epoch seconds.
    pub times: Vec<f64>,
    /// What came.
    pub actual: Vec<f64>,
    /// Point forecasts.
    pub predicted: Vec<f64>,
}

/// Forecasts every test window once; writes `predictions/test_predictions.csv` (or `.parquet`).
pub fn score_test(
    job: &ForecastJob,
    models: &[Forecaster],
    intervals: Option<&Intervals>,
    config: &PredictionsConfig,
    session: &Session,
) -> Result<TestScores> {
    let (splits, levels) = (job.splits, &job.model.quantiles);
    let mut networks = Networks::new(job, models);
    let mut errors = no_errors(splits, levels);
    let (mut windows, mut pairs) = (Vec::new(), Pairs::default());
    let stride = config.stride(splits);
    let mut table = ForecastTable::new(splits.encoder.is_grouped(), job.shape.n_targets, levels);
    let pairs_stride = (splits.test.len() * job.shape.n_targets * job.shape.horizon).div_ceil(MOST_PAIRS);
    let visit = |window, forecast: &Forecast| {
        let channel = channel_of(splits, window, forecast.target);
        errors.add(channel, forecast.actual, forecast.point(), forecast.quantiles());
        let bounds = intervals.map(|intervals| (intervals.bounds(forecast), intervals.coverage));
        if let Some(((lower, upper), coverage)) = &bounds {
            errors.add_interval(channel, forecast.actual, lower, upper, *coverage);
        }
        windows.push(window_error(window, forecast));
        if forecast.index.is_multiple_of(stride) {
            let place = Place {
                series: splits.series_name(window.series as usize),
                target: &splits.target_names()[forecast.target],
                times: &splits.times(window),
            };
            table.push(&place, forecast, bounds.as_ref().map(|(bounds, _)| bounds));
        }
        if forecast.index.is_multiple_of(pairs_stride) {
            pairs.push(splits, window, forecast);
        }
        Ok(())
    };
    for_each_forecast(splits, &splits.test, levels, |batch| Ok(networks.predict(batch)), visit)?;
    let extension = match config.format {
        OutputFormat::Csv => "csv",
        OutputFormat::Parquet => "parquet",
    };
    let path = session.folder("predictions")?.join(format!("test_predictions.{extension}"));
    write_columns(&table.into_columns(), config.format, &path)?;
    if stride > 1 {
        session.console.note(&format!("predictions: one test window in {stride} is written, all of them are scored"));
    }
    let metrics = Metrics { loss: networks.mean_loss(), values: errors.values() };
    Ok(TestScores { scores: ForecastScores { metrics, errors }, windows, pairs })
}

fn window_error(window: Window, forecast: &Forecast) -> WindowError {
    let distances = forecast.actual.iter().zip(forecast.point()).map(|(actual, point)| (actual - point).abs());
    let mae = distances.sum::<f64>() / forecast.actual.len() as f64;
    WindowError { window, target: forecast.target, mae, mae_scaled: mae / forecast.scale.factor }
}

impl Pairs {
    fn push(&mut self, splits: &SeriesSplits, window: Window, forecast: &Forecast) {
        let is_one = splits.shape().n_targets == 1;
        let shown = |&value: &f64| if is_one { value } else { forecast.scale.apply(value) };
        self.times.extend(splits.times(window).into_iter().map(|time| time as f64));
        self.actual.extend(forecast.actual.iter().map(shown));
        self.predicted.extend(forecast.point().iter().map(shown));
    }
}
