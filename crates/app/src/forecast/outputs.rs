//! What a forecasting run leaves behind beside plots: data record, model summary, tables by step and series, bundle.

use std::collections::BTreeMap;

use anyhow::Result;
use dataset::{Column, OutputColumn, SeriesSource, SeriesSplits, Table, Window, columns_to_csv, format_time};
use modeling::onnx::Element;
use modeling::{ForecastShape, Forecaster, ForecasterConfig, summarize_forecaster};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use training::metrics::ForecastErrors;

use crate::bundle::Net;
use crate::exit::Mistake;
use crate::export::{Export, Field, Unsupported, series};
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
    log_input(run, info, "training");
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
    layer_table(&heading, &summarize_forecaster(job.model, &job.shape), "window")
}

/// `metrics_by_step.csv` and `metrics_by_series.csv`; the errors by step as metrics too, with the step of the horizon (from 1)
/// as MLflow's step.
pub fn write_tables(session: &Session, splits: &SeriesSplits, errors: &ForecastErrors) -> Result<()> {
    let (by_step, shape) = (errors.by_step(), splits.shape());
    if session.logged.reaches("test_mae_by_step", 1) {
        // Points of a metric cannot be replaced.
        session.console.note("`test_*_by_step` stay those of before the run was resumed; `metrics_by_step.csv` is new");
    }
    for (name, values) in by_step.iter().filter(|(name, _)| ["mae", "rmse", "coverage"].contains(name)) {
        for (step, value) in (1..).zip(values) {
            session.log_metrics(&[(format!("test_{name}_by_step"), *value)], step);
        }
    }
    let steps = OutputColumn::Whole((1..=shape.horizon as i64).collect());
    session.write_text("metrics_by_step.csv", &to_csv(vec![("step", steps)], by_step)?)?;
    let names = |series: usize| splits.target_names().iter().map(move |target| (series, target));
    let (series, targets) = (0..shape.n_series)
        .flat_map(names)
        .map(|(series, target)| (splits.series_name(series).to_owned(), target.clone()))
        .unzip();
    let keys = vec![("series", OutputColumn::Text(series)), ("target", OutputColumn::Text(targets))];
    session.write_text("metrics_by_series.csv", &to_csv(keys, errors.by_channel())?)
}

/// Keys, then columns of numbers.
fn to_csv(keys: Vec<(&str, OutputColumn)>, columns: Vec<(&str, Vec<f64>)>) -> Result<String> {
    let numbers = columns.into_iter().map(|(name, values)| (name, OutputColumn::Number(values)));
    let all: Vec<(String, OutputColumn)> =
        keys.into_iter().chain(numbers).map(|(name, column)| (name.to_owned(), column)).collect();
    Ok(columns_to_csv(&all)?)
}

/// The model as an ONNX graph that takes the raw columns; the example is the last window of the file.
pub fn export(
    net: &ForecastNet,
    source: &SeriesSource,
    splits: &SeriesSplits,
    models: &[Forecaster],
) -> Result<Export, Unsupported> {
    let made = series::graph(net, &splits.encoder, models, &splits.info.schema)
        .map_err(|error| Unsupported::new(error.to_string()))?;
    let field = |(name, element, _): &series::Column| Field { name: name.clone(), kind: kind_of(*element) };
    let inputs: Vec<Field> = made.inputs.iter().map(field).collect();
    Ok(Export {
        outputs: made.outputs.iter().map(field).collect(),
        example: example(source.last_rows(), &inputs, made.rows_per_window),
        inputs,
        onnx: made.bytes,
    })
}

/// MLflow's word for the type of a column.
fn kind_of(element: Element) -> &'static str {
    match element {
        Element::Float => "float",
        Element::Double => "double",
        Element::Int64 => "long",
        Element::Bool => "boolean",
        Element::String => "string",
    }
}

/// The last rows as cells; none if the file does not hold a column as the graph takes it (times as numbers).
fn example(rows: &Table, inputs: &[Field], n_rows: usize) -> Vec<Vec<Value>> {
    let columns = inputs.iter().map(|input| rows.column(&input.name, "the model").ok());
    let Some(columns) = columns.collect::<Option<Vec<_>>>() else { return Vec::new() };
    let cell = |column: &Column, input: &Field, row: usize| -> Option<Value> {
        let Some(text) = column.text(row) else { return Some(Value::Null) };
        match input.kind {
            "string" => Some(json!(text)),
            "boolean" => Some(json!(text.eq_ignore_ascii_case("true") || text == "1")),
            _ => text.parse::<f64>().ok().map(|number| json!(number)),
        }
    };
    let row = |row: usize| columns.iter().zip(inputs).map(|(column, input)| cell(column, input, row)).collect();
    let first = rows.n_rows().saturating_sub(n_rows);
    (first..rows.n_rows()).map(row).collect::<Option<_>>().unwrap_or_default()
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
    /// Last valid step of each series (without a name where there is one series only), in epoch seconds: what came later
    /// the model has not seen.
    pub seen_until: BTreeMap<String, i64>,
}

impl ForecastNet {
    /// An error if test windows of more training lie where the model has been trained or chosen.
    pub fn check_unseen_test(&self, splits: &SeriesSplits) -> Result<(), Mistake> {
        let first_test = times_of_series(splits, &splits.test, |times| times.first().copied(), i64::min);
        for (series, first) in first_test {
            let Some(seen) = self.seen_until.get(&series).filter(|seen| **seen >= first) else { continue };
            let (first, seen) = (format_time(first), format_time(*seen));
            let problem = format!("`init_from`: test begins at {first}, and the model has seen steps up to {seen}");
            return Err(Mistake::new(problem).hint("divide the data by `data.split.test_from`, later than that"));
        }
        Ok(())
    }

    /// For [`ForecastNet::seen_until`].
    pub fn last_seen(splits: &SeriesSplits) -> BTreeMap<String, i64> {
        times_of_series(splits, &splits.valid, |times| times.last().copied(), i64::max)
    }
}

/// One time of each series' windows.
fn times_of_series(
    splits: &SeriesSplits,
    windows: &[Window],
    of_window: impl Fn(&[i64]) -> Option<i64>,
    better: impl Fn(i64, i64) -> i64,
) -> BTreeMap<String, i64> {
    let mut found: BTreeMap<String, i64> = BTreeMap::new();
    for window in windows {
        let Some(time) = of_window(&splits.times(*window)) else { continue };
        let is_grouped = splits.encoder.is_grouped();
        let name = if is_grouped { splits.series_name(window.series as usize).to_owned() } else { String::new() };
        found.entry(name).and_modify(|known| *known = better(*known, time)).or_insert(time);
    }
    found
}

impl Net for ForecastNet {
    const MODEL_TYPE: &'static str = ForecastJob::MODEL_TYPE;
}
