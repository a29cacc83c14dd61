//! The pictures of a forecasting run: series, forecasts, errors by step, residuals.

use std::path::Path;

use anyhow::Result;
use dataset::{SeriesSource, SeriesSplits, format_time};
use modeling::Forecaster;
use report::{
    ErrorByStep, ForecastWindow, ForecastWindows, Interval, ResidualsOverTime, SeriesOverview, SeriesPanel, SeriesPart,
    StepErrors,
};

use crate::console::number;
use crate::forecast::baselines::{SimpleScores, step_errors};
use crate::forecast::intervals::Intervals;
use crate::forecast::job::{ForecastJob, Networks};
use crate::forecast::predictions::{TestScores, WindowError};
use crate::forecast::scoring::{Forecast, for_each_forecast};
use crate::session::Session;

/// Windows in the picture of the worst ones.
const N_WORST: usize = 6;
/// Parts of the data, as the pictures name them.
const PARTS: [&str; 3] = ["train", "val", "test"];

/// All series with the marks of the split and their gaps.
pub fn plot_series(session: &Session, source: &SeriesSource) -> Result<()> {
    let (lines, report) = (source.lines(), source.report());
    let named: Vec<String> = lines
        .iter()
        .map(|line| if report.n_series > 1 { format!("{}, {}", line.series, line.target) } else { line.target.clone() })
        .collect();
    let parts: Vec<Vec<SeriesPart>> = lines
        .iter()
        .map(|line| {
            let starts = [line.times.first().copied().unwrap_or(f64::NAN), line.borders[0], line.borders[1]];
            let spans = starts.into_iter().zip(line.borders);
            PARTS.iter().zip(spans).map(|(name, (start, end))| SeriesPart { name, start, end }).collect()
        })
        .collect();
    let panels: Vec<SeriesPanel> = lines
        .iter()
        .zip(&named)
        .zip(&parts)
        .map(|((line, name), parts)| SeriesPanel {
            name,
            times: &line.times,
            values: &line.values,
            parts,
            gaps: &line.gaps,
        })
        .collect();
    let subtitle = format!("{} · {} to {}, every {}", report.name, report.from, report.to, report.frequency);
    let spec = SeriesOverview { title: "Series", subtitle: &subtitle, panels: &panels };
    Ok(report::series_overview(&spec, &session.folder("plots")?.join("series"))?)
}

/// Forecasts beside what came, errors by step, residuals.
pub fn plot_test(
    session: &Session,
    job: &ForecastJob,
    models: &[Forecaster],
    intervals: Option<&Intervals>,
    test: &TestScores,
    baselines: &[SimpleScores],
) -> Result<()> {
    let folder = session.folder("plots")?;
    let subtitle = format!("{} · {} test windows", session.run.name(), job.splits.test.len());
    let draw = |title: &str, chosen: &[(String, WindowError)], stem: &str| -> Result<()> {
        let drawn = chosen.iter().map(|(name, error)| Drawn::new(job, models, intervals, name, *error));
        let drawn = drawn.collect::<Result<Vec<Drawn>>>()?;
        draw_windows(title, &subtitle, intervals.map(|intervals| intervals.coverage), &drawn, &folder.join(stem))
    };
    draw("Forecasts, test", &typical(&test.windows), "forecasts")?;
    draw("Worst windows, test", &worst(&test.windows, job.shape.horizon), "worst_windows")?;
    plot_steps(job, test, baselines, &subtitle, &folder)?;
    plot_residuals(job.splits, test, &subtitle, &folder)
}

/// A good, a median and a bad window: the 10th, 50th and 90th percentile of the error.
fn typical(windows: &[WindowError]) -> Vec<(String, WindowError)> {
    let sorted = by_error(windows);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    let named = [("good window (10th percentile)", 0.1), ("median window", 0.5), ("bad window (90th percentile)", 0.9)];
    if sorted.is_empty() { Vec::new() } else { named.map(|(name, share)| (name.to_owned(), at(share))).to_vec() }
}

/// The windows with the greatest errors, of those that overlap only the worst.
fn worst(windows: &[WindowError], horizon: usize) -> Vec<(String, WindowError)> {
    let mut chosen: Vec<(String, WindowError)> = Vec::new();
    for error in by_error(windows).into_iter().rev() {
        let overlaps = |(_, other): &(String, WindowError)| {
            let is_same = error.window.series == other.window.series && error.target == other.target;
            is_same && (error.window.origin.abs_diff(other.window.origin) as usize) < horizon
        };
        if chosen.len() < N_WORST && !chosen.iter().any(overlaps) {
            chosen.push((format!("no. {}", chosen.len() + 1), error));
        }
    }
    chosen
}

fn by_error(windows: &[WindowError]) -> Vec<WindowError> {
    let mut sorted: Vec<WindowError> = windows.iter().copied().filter(|error| error.mae_scaled.is_finite()).collect();
    sorted.sort_by(|a, b| a.mae_scaled.total_cmp(&b.mae_scaled));
    sorted
}

/// What is drawn of one window.
struct Drawn {
    title: String,
    target: String,
    history_times: Vec<f64>,
    history: Vec<f64>,
    times: Vec<f64>,
    actual: Vec<f64>,
    forecast: Vec<f64>,
    bounds: Option<(Vec<f64>, Vec<f64>)>,
}

impl Drawn {
    fn new(
        job: &ForecastJob,
        models: &[Forecaster],
        intervals: Option<&Intervals>,
        name: &str,
        error: WindowError,
    ) -> Result<Self> {
        let (splits, window) = (job.splits, error.window);
        let mut networks = Networks::new(job, models);
        let (mut actual, mut forecast, mut bounds) = (Vec::new(), Vec::new(), None);
        let visit = |_, found: &Forecast| {
            if found.target == error.target {
                (actual, forecast) = (found.actual.to_vec(), found.point().to_vec());
                bounds = intervals.map(|intervals| intervals.bounds(found));
            }
            Ok(())
        };
        let predict = |batch: &mut _| Ok(networks.predict(batch));
        for_each_forecast(splits, &[window], &job.model.quantiles, predict, visit)?;
        let seconds = |times: Vec<i64>| times.into_iter().map(|time| time as f64).collect::<Vec<f64>>();
        let past = splits.past_times(window);
        let shown = past.len().min(3 * job.shape.horizon);
        let (origin, times) = (window.origin as usize, splits.times(window));
        Ok(Self {
            title: title_of(splits, name, &error, &times),
            target: splits.target_names()[error.target].clone(),
            history_times: seconds(past[past.len() - shown..].to_vec()),
            history: splits.values(window.series as usize, error.target)[origin - shown..origin].to_vec(),
            times: seconds(times),
            actual,
            forecast,
            bounds,
        })
    }
}

/// `median window, MAE 214 · from 2018-03-02 05:00:00`. Windows of several series or targets are sorted by the standardised
/// error, which then stands there too.
fn title_of(splits: &SeriesSplits, name: &str, error: &WindowError, times: &[i64]) -> String {
    let shape = splits.shape();
    let series = match shape.n_series {
        1 => String::new(),
        _ => format!("{} · ", splits.series_name(error.window.series as usize)),
    };
    let scaled = match shape.n_series * shape.n_targets {
        1 => String::new(),
        _ => format!(" ({} standardised)", number(error.mae_scaled)),
    };
    let from = format_time(times[0]);
    let is_daily = times.iter().all(|time| format_time(*time).ends_with(" 00:00:00"));
    let from = if is_daily { from.trim_end_matches(" 00:00:00") } else { &from };
    format!("{name}, MAE {}{scaled} · {series}from {from}", number(error.mae))
}

fn draw_windows(title: &str, subtitle: &str, coverage: Option<f64>, drawn: &[Drawn], stem: &Path) -> Result<()> {
    let panels: Vec<ForecastWindow> = drawn
        .iter()
        .map(|window| ForecastWindow {
            title: &window.title,
            target: &window.target,
            history_times: &window.history_times,
            history: &window.history,
            times: &window.times,
            actual: &window.actual,
            forecast: &window.forecast,
            interval: window.bounds.as_ref().map(|(lower, upper)| Interval { lower, upper }),
        })
        .collect();
    let interval_label = coverage.map_or(String::new(), interval_label);
    let spec = ForecastWindows { title, subtitle, interval_label: &interval_label, panels: &panels };
    Ok(report::forecast_windows(&spec, stem)?)
}

/// `90% interval`
fn interval_label(coverage: f64) -> String {
    format!("{}% interval", number(100.0 * coverage).trim_end_matches('0').trim_end_matches('.'))
}

fn plot_steps(
    job: &ForecastJob,
    test: &TestScores,
    baselines: &[SimpleScores],
    subtitle: &str,
    folder: &Path,
) -> Result<()> {
    let (metric, _) = job.shown_metric();
    let numbers = |values: &[Option<f64>]| values.iter().map(|value| value.unwrap_or(f64::NAN)).collect::<Vec<f64>>();
    let own = numbers(&step_errors(&test.scores.errors, metric));
    let others: Vec<(&str, Vec<f64>)> =
        baselines.iter().map(|((name, _), by_step)| (name.as_str(), numbers(by_step))).collect();
    let mut models = vec![StepErrors { name: job.model.kind.name(), values: &own, highlight: true }];
    models.extend(others.iter().map(|(name, values)| StepErrors { name, values, highlight: false }));
    let step = format!("step of the horizon (every {})", job.splits.encoder.frequency());
    let spec = ErrorByStep { title: "Error by step, test", subtitle, metric, step: &step, models: &models };
    Ok(report::error_by_step(&spec, &folder.join("error_by_step"))?)
}

fn plot_residuals(splits: &SeriesSplits, test: &TestScores, subtitle: &str, folder: &Path) -> Result<()> {
    let pairs = &test.pairs;
    let target = match splits.target_names() {
        [target] => target.clone(),
        targets => format!("{} targets, standardised", targets.len()),
    };
    let spec = |title| report::Predictions {
        title,
        subtitle,
        target: &target,
        actual: &pairs.actual,
        predicted: &pairs.predicted,
        scores: &[],
    };
    report::predicted_vs_actual(&spec("Forecast against actual, test"), &folder.join("predicted_vs_actual"))?;
    report::residuals(&spec("Residuals, test"), &folder.join("residuals"))?;
    let over_time = ResidualsOverTime {
        title: "Residuals over time, test",
        subtitle,
        target: &target,
        times: &pairs.times,
        actual: &pairs.actual,
        predicted: &pairs.predicted,
    };
    Ok(report::residuals_over_time(&over_time, &folder.join("residuals_over_time"))?)
}

/// The forecast of what is not known yet. `panels`: name, target, past and coming times, past values, forecast, bounds.
pub fn plot_latest(title: &str, coverage: Option<f64>, panels: Vec<LatestPanel>, stem: &Path) -> Result<()> {
    let drawn: Vec<Drawn> = panels
        .into_iter()
        .map(|panel| Drawn {
            title: panel.title,
            target: panel.target,
            history_times: panel.past_times,
            history: panel.past,
            times: panel.times,
            actual: Vec::new(),
            forecast: panel.forecast,
            bounds: panel.bounds,
        })
        .collect();
    draw_windows(title, "", coverage, &drawn, stem)
}

/// One target of one series, as `forecast` draws it. Times are epoch seconds.
pub struct LatestPanel {
    /// Over the panel.
    pub title: String,
    /// The target.
    pub target: String,
    /// `[lookback]`
    pub past_times: Vec<f64>,
    /// `[lookback]`
    pub past: Vec<f64>,
    /// `[horizon]`
    pub times: Vec<f64>,
    /// `[horizon]`
    pub forecast: Vec<f64>,
    /// Lower and upper bounds.
    pub bounds: Option<(Vec<f64>, Vec<f64>)>,
}
