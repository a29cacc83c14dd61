//! What a forecasting run leaves behind beside plots: data record, model summary, tables by step and series, bundle.

use std::collections::BTreeMap;

use anyhow::Result;
use dataset::{SeriesSource, SeriesSplits};
use modeling::{ForecastShape, ForecasterConfig, summarize_forecaster};
use serde::{Deserialize, Serialize};
use training::metrics::ForecastErrors;

use crate::bundle::Net;
use crate::fitting::Learner;
use crate::forecast::intervals::Intervals;
use crate::forecast::job::ForecastJob;
use crate::outputs::{layer_table, log_input, tag_files};
use crate::session::Session;

/// Looks at the raw series: a short account on the console, `data_report.md` and `.json` and `gaps.csv` among the outputs.
pub fn report_data(session: &Session, source: &SeriesSource) -> Result<()> {
    let report = source.report();
    session.console.note(&report.to_text());
    report.warnings.iter().for_each(|warning| session.console.warn(warning));
    session.write_text("data_report.md", &report.to_markdown())?;
    session.write_text("data_report.json", &serde_json::to_string_pretty(report)?)?;
    session.write_text("gaps.csv", &report.gaps_csv())?;
    session.console.stop_if_interrupted()
}

/// Says what the windows are, and records the data: facts as params, sizes as tags, and one input with the split inside its
/// digest.
pub fn record_data(session: &Session, splits: &SeriesSplits) -> Result<()> {
    let (run, info, shape) = (&session.run, &splits.info, splits.shape());
    session.check_same_data(&info.digest)?;
    let targets = splits.target_names();
    let (train, valid, test) = (splits.train.len(), splits.valid.len(), splits.test.len());
    session.console.note(&format!(
        "windows: {train} train, {valid} val, {test} test; {} steps -> {} steps of {}",
        shape.lookback,
        shape.horizon,
        targets.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    ));
    run.log_params(&BTreeMap::from(
        [
            ("dataset_name", info.name.clone()),
            ("dataset_digest", info.digest.clone()),
            ("problem_type", "forecast".to_owned()),
            ("targets", targets.join(",")),
            ("ts_input_window", shape.lookback.to_string()),
            ("ts_prediction_horizon", shape.horizon.to_string()),
            ("ts_num_targets", shape.n_targets.to_string()),
            ("ts_num_features", (shape.n_targets + shape.n_past + shape.n_future).to_string()),
            ("ts_num_series", shape.n_series.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    ));
    tag_files(run, info);
    for (context, part, windows) in [("training", 0, train), ("validation", 1, valid), ("test", 2, test)] {
        run.set_tag(&format!("n_rows.{context}"), &info.parts[part].n_rows.to_string());
        run.set_tag(&format!("n_windows.{context}"), &windows.to_string());
    }
    log_input(run, info);
    session.console.stop_if_interrupted()
}

/// Layers with shapes and parameter counts, as a text table.
pub fn model_summary(job: &ForecastJob) -> String {
    let ForecastShape { n_targets, n_past, n_future, lookback, horizon } = job.shape;
    let heading = format!(
        "Forecaster: {n_targets} targets, {n_past} past and {n_future} future covariates, \
         {lookback} steps -> {horizon} steps, loss {}",
        job.loss_name()
    );
    layer_table(&heading, &summarize_forecaster(job.model, &job.shape))
}

/// `metrics_by_step.csv` and `metrics_by_series.csv`; the errors by step as metrics too, with the step of the horizon (from 1)
/// as MLflow's step.
pub fn write_tables(session: &Session, splits: &SeriesSplits, errors: &ForecastErrors) -> Result<()> {
    let by_step = errors.by_step();
    for (name, values) in by_step.iter().filter(|(name, _)| ["mae", "rmse", "coverage"].contains(name)) {
        for (step, value) in (1..).zip(values) {
            session.log_metrics(&[(format!("test_{name}_by_step"), *value)], step);
        }
    }
    let steps: Vec<String> = (1..=splits.shape().horizon).map(|step| step.to_string()).collect();
    session.write_text("metrics_by_step.csv", &to_csv(&["step"], &[steps], &by_step))?;
    let channels = (0..splits.shape().n_series).flat_map(|series| {
        splits.target_names().iter().map(move |target| (csv_cell(splits.series_name(series)), csv_cell(target)))
    });
    let (series, targets): (Vec<String>, Vec<String>) = channels.unzip();
    let table = to_csv(&["series", "target"], &[series, targets], &errors.by_channel());
    session.write_text("metrics_by_series.csv", &table)
}

/// Columns of text, then columns of numbers.
fn to_csv(names: &[&str], keys: &[Vec<String>], columns: &[(&str, Vec<f64>)]) -> String {
    let heading: Vec<&str> = names.iter().copied().chain(columns.iter().map(|(name, _)| *name)).collect();
    let mut text = heading.join(",") + "\n";
    for row in 0..keys[0].len() {
        let keys = keys.iter().map(|key| key[row].clone());
        let values = columns.iter().map(|(_, values)| values[row].to_string());
        text += &(keys.chain(values).collect::<Vec<_>>().join(",") + "\n");
    }
    text
}

/// A cell of a CSV file, in quotes where it needs them.
fn csv_cell(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// What a bundle tells of the network.
#[derive(Debug, Serialize, Deserialize)]
pub struct ForecastNet {
    /// Kind and shape of the network.
    pub model: ForecasterConfig,
    /// What goes in and what comes out.
    pub shape: ForecastShape,
    /// Widths of the prediction intervals; null without.
    pub intervals: Option<Intervals>,
}

impl Net for ForecastNet {
    const MODEL_TYPE: &'static str = ForecastJob::MODEL_TYPE;
}
