//! The test windows, forecast once: scores, intervals, the file of forecasts, and what the pictures need.

use std::path::Path;

use anyhow::Result;
use dataset::{OutputColumn, OutputFormat, SeriesSplits, Window, write_columns};
use modeling::Forecaster;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::forecast::intervals::Intervals;
use crate::forecast::job::{ForecastJob, Networks};
use crate::forecast::scoring::{Forecast, ForecastScores, channel_of, for_each_forecast, no_errors};
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
    fn stride(&self, splits: &SeriesSplits) -> usize {
        let shape = splits.shape();
        let rows = splits.test.len() * shape.n_targets * shape.horizon;
        self.stride.unwrap_or(if rows > MANY_ROWS { shape.horizon } else { 1 }).max(1)
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
    let mut rows = Rows::new(splits, levels, intervals.is_some());
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
            rows.push(splits, window, forecast, bounds.as_ref().map(|(bounds, _)| bounds));
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
    rows.write(config.format, &path)?;
    if stride > 1 {
        session.console.note(&format!("predictions: every {stride}th test window is written, all of them are scored"));
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

/// The columns of the file of forecasts: a row is one step of one target of one window.
struct Rows {
    series: Option<Vec<String>>,
    target: Option<Vec<String>>,
    window: Vec<i64>,
    step: Vec<i64>,
    time: Vec<i64>,
    actual: Vec<f64>,
    predicted: Vec<f32>,
    bounds: Option<[Vec<f32>; 2]>,
    levels: Vec<f64>,
    quantiles: Vec<Vec<f32>>,
}

impl Rows {
    fn new(splits: &SeriesSplits, levels: &[f64], has_bounds: bool) -> Self {
        let shape = splits.shape();
        Self {
            series: (shape.n_series > 1).then(Vec::new),
            target: (shape.n_targets > 1).then(Vec::new),
            window: Vec::new(),
            step: Vec::new(),
            time: Vec::new(),
            actual: Vec::new(),
            predicted: Vec::new(),
            bounds: has_bounds.then(Default::default),
            levels: levels.to_vec(),
            quantiles: vec![Vec::new(); levels.len()],
        }
    }

    fn push(
        &mut self,
        splits: &SeriesSplits,
        window: Window,
        forecast: &Forecast,
        bounds: Option<&(Vec<f64>, Vec<f64>)>,
    ) {
        let horizon = forecast.point().len();
        let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
        if let Some(column) = &mut self.series {
            let name = splits.series_name(window.series as usize);
            column.extend(std::iter::repeat_n(name.to_owned(), horizon));
        }
        if let Some(column) = &mut self.target {
            column.extend(std::iter::repeat_n(splits.target_names()[forecast.target].clone(), horizon));
        }
        self.window.extend(std::iter::repeat_n(forecast.index as i64, horizon));
        self.step.extend(1..=horizon as i64);
        self.time.extend(splits.times(window));
        self.actual.extend(forecast.actual);
        self.predicted.extend(single(forecast.point()));
        if let (Some([lower, upper]), Some(bounds)) = (&mut self.bounds, bounds) {
            lower.extend(single(&bounds.0));
            upper.extend(single(&bounds.1));
        }
        for (column, values) in self.quantiles.iter_mut().zip(forecast.quantiles().chunks(horizon)) {
            column.extend(single(values));
        }
    }

    fn write(self, format: OutputFormat, path: &Path) -> Result<()> {
        let mut columns: Vec<(String, OutputColumn)> = Vec::new();
        let mut push = |name: &str, column| columns.push((name.to_owned(), column));
        self.series.into_iter().for_each(|names| push("series", OutputColumn::Text(names)));
        self.target.into_iter().for_each(|names| push("target", OutputColumn::Text(names)));
        push("window", OutputColumn::Whole(self.window));
        push("step", OutputColumn::Whole(self.step));
        push("time", OutputColumn::Time(self.time));
        push("y_test", OutputColumn::Number(self.actual));
        push("y_pred", OutputColumn::Single(self.predicted));
        for (name, values) in ["y_lower", "y_upper"].into_iter().zip(self.bounds.into_iter().flatten()) {
            push(name, OutputColumn::Single(values));
        }
        for (level, values) in self.levels.iter().zip(self.quantiles) {
            push(&format!("y_q{level}"), OutputColumn::Single(values));
        }
        Ok(write_columns(&columns, format, path)?)
    }
}
