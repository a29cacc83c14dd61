//! Judges a model, or a file of predictions: what -> rows -> figures -> pictures, page, gates.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use dataset::DatasetInfo;
use modeling::Task;
use tracking::DatasetName;

use crate::bundle::read_metrics;
use crate::cli::{CommonFlags, push};
use crate::config::Override;
use crate::device::use_threads;
use crate::evaluate::config::Config;
use crate::evaluate::figures::SliceScore;
use crate::evaluate::{Evaluation, Subject, card, forecasts, page, predictions_file, table, table_rows, windows};
use crate::fitting::Learner;
use crate::forecast::job::ForecastJob;
use crate::model_place::{ModelPlace, logged_model_of};
use crate::outputs::log_input;
use crate::program;
use crate::session::Session;

/// Config file that the program takes when none is given.
pub const DEFAULT_CONFIG: &str = "configs/evaluate.yaml";

#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Shortcuts for config keys")]
pub struct EvaluateFlags {
    /// A run's id, a folder, models:/NAME@ALIAS, models:/NAME/VERSION or runs:/RUN_ID/model (model) [default: the newest]
    #[arg(long, short, visible_alias = "run", value_name = "RUN_ID|PATH|URI")]
    pub model: Option<String>,
    /// Rows to judge it on, with the target among them (data) [default: the test rows of its own run]
    #[arg(long, short, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// A file of predictions in place of a model: y_test, y_pred, y_proba (predictions)
    #[arg(long, value_name = "FILE")]
    pub predictions: Option<PathBuf>,
    /// Metric that slices, columns and models are compared by (metric)
    #[arg(long, value_name = "NAME")]
    pub metric: Option<String>,
    /// Seed of the bootstrap and of shuffled columns
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl EvaluateFlags {
    fn overrides(&self) -> Vec<Override> {
        let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let mut all = Vec::new();
        push(&mut all, "--model", "model", self.model.clone());
        push(&mut all, "--data", "data", shown(&self.data));
        push(&mut all, "--predictions", "predictions", shown(&self.predictions));
        push(&mut all, "--metric", "metric", self.metric.clone());
        push(&mut all, "--seed", "seed", self.seed);
        all
    }
}

/// The program: loads the config, finds the model, then judges it inside a tracked session.
pub fn main(file: &Path, flags: &CommonFlags, own: &EvaluateFlags) -> Result<()> {
    let place = OnceCell::new();
    let settle = |config: &mut Config| {
        if config.predictions.is_none() {
            let found = match &config.model {
                Some(what) => ModelPlace::find("model", what, &config.mlflow, &config.paths)?,
                None => ModelPlace::newest(&config.paths.models_dir, |_| true)?,
            };
            config.model = Some(found.run_id.clone().filter(|_| config.model.is_none()).unwrap_or(found.asked.clone()));
            // Set once: the config is settled once.
            let _ = place.set(found);
        }
        Ok(())
    };
    program::run(file, flags, own.overrides(), settle, |config, session| judge(config, place.get(), session))
}

/// Judges the model at `place`, or the config's file of predictions; leaves everything in the session's run and folder.
fn judge(config: &Config, place: Option<&ModelPlace>, session: &Session) -> Result<Evaluation> {
    use_threads(config.threads)?;
    let found = find_out(config, place, session)?;
    leave(&found, config, session)?;
    Ok(found)
}

/// Computes everything; pictures and predictions are left in the session's folder.
pub fn find_out(config: &Config, place: Option<&ModelPlace>, session: &Session) -> Result<Evaluation> {
    let found = match (place, &config.predictions) {
        (Some(place), _) if place.model_type()? == ForecastJob::MODEL_TYPE => judge_forecasts(place, config, session)?,
        (Some(place), _) => judge_rows(place, config, session)?,
        (None, Some(file)) => judge_predictions(file, config, session)?,
        (None, None) => unreachable!("there is a model where there is no file of predictions"),
    };
    session.console.stop_if_interrupted()?;
    Ok(found)
}

/// Leaves what was found out in the session's run and folder, and links to and from the run that made the model.
pub fn leave(found: &Evaluation, config: &Config, session: &Session) -> Result<()> {
    record(found, session);
    write(found, config, session)
}

/// A model of rows of a table.
fn judge_rows(place: &ModelPlace, config: &Config, session: &Session) -> Result<Evaluation> {
    let table_rows::TableSubject { predictor, rows, info } = table_rows::open(config, place, session)?;
    log_input(&session.run, &info, "evaluation");
    let task = match rows.task {
        Task::Regression => "a number".to_owned(),
        _ => format!("classes {}", rows.labels.join(", ")),
    };
    let subject = Subject { n_rows: rows.n_rows(), unit: "rows", task, ..subject_of(place, &info, config, session)? };
    let inputs: Vec<String> = predictor.preprocessor.raw.iter().map(|column| column.name.clone()).collect();
    table_rows::write_predictions(&rows, session)?;
    table::judge(&rows, Some(&predictor), (subject, &read_metrics(&place.folder)?), &inputs, config, session)
}

/// A forecaster.
fn judge_forecasts(place: &ModelPlace, config: &Config, session: &Session) -> Result<Evaluation> {
    let judged = windows::open(config, place, session)?;
    let info = &judged.splits.info;
    log_input(&session.run, info, "evaluation");
    let shape = judged.splits.shape();
    let task = format!("a forecast of {} steps from the last {}", shape.horizon, shape.lookback);
    let n_rows = judged.splits.test.len();
    let subject = Subject { n_rows, unit: "windows", task, ..subject_of(place, info, config, session)? };
    forecasts::judge(&judged, (subject, &read_metrics(&place.folder)?), config, session)
}

/// Predictions of any model.
fn judge_predictions(file: &Path, config: &Config, session: &Session) -> Result<Evaluation> {
    let rows = predictions_file::read(file)?;
    let inputs: Vec<String> = rows.table.names().map(str::to_owned).collect();
    let task = match rows.task {
        Task::Regression => "a number".to_owned(),
        _ => format!("classes {}", rows.labels.join(", ")),
    };
    let subject = Subject {
        model: file.display().to_string(),
        model_type: "predictions".to_owned(),
        data: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        n_rows: rows.n_rows(),
        unit: "rows",
        target: rows.target_name.clone(),
        task,
        ..Subject::default()
    };
    table::judge(&rows, None, (subject, &BTreeMap::new()), &inputs, config, session)
}

/// What is known of a model's origin; `n_rows`, `unit` and `task` are the caller's.
fn subject_of(place: &ModelPlace, info: &DatasetInfo, config: &Config, session: &Session) -> Result<Subject> {
    let of_run = || place.run_id.as_ref().and_then(|run_id| logged_model_of(session.store(), run_id));
    Ok(Subject {
        model: config.model.clone().unwrap_or_else(|| place.asked.clone()),
        model_type: place.model_type()?,
        run_id: place.run_id.clone(),
        model_id: place.model_id.clone().or_else(of_run),
        registered: place.registered.clone(),
        data: info.name.clone(),
        digest: Some(info.digest.clone()),
        target: info.target.clone(),
        ..Subject::default()
    })
}

/// Metrics and verdict on the run, and on the model; links to the run that made the model, and from there back.
fn record(found: &Evaluation, session: &Session) {
    let (run, subject) = (&session.run, &found.subject);
    let metrics = found.metrics();
    session.log_metrics(&metrics, 0);
    run.set_tag("model_type", &subject.model_type);
    run.set_tag("evaluated_model", &subject.model);
    if !found.gates.is_empty() {
        run.set_tag("gates", if found.n_failed() == 0 { "passed" } else { "failed" });
    }
    if let Some(model_id) = &subject.model_id {
        let digest = subject.digest.clone().unwrap_or_default();
        let dataset = DatasetName { name: subject.data.clone(), digest };
        let points: Vec<(&str, f64)> = metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        run.log_model_input(model_id);
        run.set_tag("model_id", model_id);
        run.log_model_metrics(model_id, Some(&dataset), &points, 0);
    }
    if let Some(run_id) = &subject.run_id {
        run.set_tag("source_run_id", run_id);
        session.tag_run(run_id, "evaluation_run_id", run.store_id().unwrap_or(run.id()));
    }
}

/// `evaluation.json`, `report.html`, `report.md`, `model_card.md`, `slices.csv`.
fn write(found: &Evaluation, config: &Config, session: &Session) -> Result<()> {
    session.write_text("evaluation.json", &serde_json::to_string_pretty(found)?)?;
    if let Some(table) = found.table.as_ref().filter(|table| !table.slices.is_empty()) {
        session.write_text("slices.csv", &slices_csv(&table.slices))?;
    }
    let document = page::document(found, config, &session.folder("plots")?);
    session.write_text("report.html", &document.to_html()?)?;
    session.write_text("report.md", &document.to_markdown(Path::new("plots"))?)?;
    let card = card::document(found, config).to_markdown(Path::new("plots"))?;
    session.write_text("model_card.md", &card).context("the model card")
}

fn slices_csv(slices: &[SliceScore]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let row = |slice: &SliceScore| {
        let (low, high) = (slice.interval.low, slice.interval.high);
        format!("{},{},{},{},{low},{high}\n", quoted(&slice.column), quoted(&slice.level), slice.n_rows, slice.value)
    };
    std::iter::once("column,slice,rows,value,low,high\n".to_owned()).chain(slices.iter().map(row)).collect()
}
