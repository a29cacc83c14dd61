//! What a tabular run leaves behind beside plots: data set record, model summary, predictions.

use std::collections::BTreeMap;

use anyhow::Result;
use dataset::{ColumnProfile, DataConfig, DatasetInfo, Profile, Source, Splits};
use modeling::{Inputs, TabularMlp, TabularMlpConfig, Task, summarize};
use serde::{Deserialize, Serialize};
use training::metrics::{ClassScores, Predictions, per_class_report};

use crate::bundle::Net;
use crate::export::{Export, Unsupported, tabular};
use crate::fitting::Learner;
use crate::model_place::MODEL_FOLDER;
use crate::outputs::{layer_table, log_input, tag_files};
use crate::session::Session;
use crate::tabular::interval::Interval;
use crate::tabular::job::TabularJob;
use crate::tabular::scoring::{Scores, kind_of};

/// The data in two lines for people.
fn describe_data(info: &DatasetInfo) -> String {
    let sizes: Vec<String> = info.parts.iter().map(|part| format!("{} {}", part.n_rows, part.name)).collect();
    let classes =
        if info.classes.is_empty() { String::new() } else { format!(", classes {}", info.classes.join(" / ")) };
    let (name, columns, target) = (&info.name, info.feature_columns.len(), &info.target);
    format!("data: {name}, {} rows ({}), {columns} columns -> `{target}`\n", info.n_rows, sizes.join(", "))
        + &format!("task: {} ({}){classes}", problem_name(info), info.problem_reason)
}

/// Looks at the raw columns: a short table on the console, `data_report.html`, `.md` and `.json` among the outputs.
pub fn report_data(session: &Session, source: &Source) -> Result<()> {
    let report = source.report()?;
    session.console.note(&report.to_text());
    report.warnings.iter().for_each(|warning| session.console.warn(&warning.message));
    session.write_text("data_report.html", &report.to_html())?;
    session.write_text("data_report.md", &report.to_markdown())?;
    session.write_text("data_report.json", &report.to_json()?)?;
    session.console.stop_if_interrupted()
}

/// Says what the data is, and records it: facts as params, row counts as tags, and one input with the split inside its
/// digest.
pub fn record_data(session: &Session, splits: &Splits) -> Result<()> {
    let (run, info) = (&session.run, &splits.info);
    session.check_same_data(&info.digest)?;
    session.console.note(&describe_data(info));
    run.log_params(&BTreeMap::from([
        ("dataset_name".to_owned(), info.name.clone()),
        ("dataset_digest".to_owned(), info.digest.clone()),
        ("problem_type".to_owned(), problem_name(info)),
        ("n_features".to_owned(), splits.preprocessor.feature_names().len().to_string()),
        ("feature_columns".to_owned(), info.feature_columns.join(",")),
    ]));
    tag_files(run, info);
    for (context, part) in [("training", &splits.train), ("validation", &splits.valid), ("test", &splits.test)] {
        run.set_tag(&format!("n_rows.{context}"), &part.n_rows().to_string());
    }
    log_input(run, info, "training");
    session.console.stop_if_interrupted()
}

/// `regression`, `binary` or `multiclass`.
fn problem_name(info: &DatasetInfo) -> String {
    serde_json::to_value(info.problem_type).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Layers with shapes and parameter counts, as a text table.
pub fn model_summary(job: &TabularJob) -> String {
    let (n_numeric, n_categories) = (job.inputs.n_numeric, job.inputs.cardinalities.len());
    let loss = job.task.loss_name();
    let heading = format!("TabularMlp: {n_numeric} numeric inputs, {n_categories} embedded categories, loss {loss}");
    layer_table(&heading, &summarize(job.model, &job.inputs, job.task.n_outputs()), "row")
}

/// `classification_report.txt`: precision, recall, F1, support and AUC of every class on the test rows.
pub fn write_class_report(session: &Session, job: &TabularJob, test: &Scores) -> Result<()> {
    let labels = job.splits.preprocessor.target.labels();
    let scores = per_class_report(&test.predictions(&job.splits.test.target, job.task));
    if scores.is_empty() {
        return Ok(());
    }
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).max(5);
    let heading = format!(
        "{:width$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}\n",
        "class", "precision", "recall", "f1", "auc", "support"
    );
    let row = |(label, s): (&String, &ClassScores)| {
        format!("{label:width$}  {:9.4}  {:9.4}  {:9.4}  {:9.4}  {:9}\n", s.precision, s.recall, s.f1, s.auc, s.support)
    };
    let rows: String = labels.iter().zip(&scores).map(row).collect();
    session.write_text("classification_report.txt", &format!("{heading}{rows}"))
}

/// `predictions/test_predictions.csv`: all raw columns, `y_test`, `y_pred` and, for classes, probabilities; for numbers, the
/// interval's bounds.
pub fn write_predictions(
    session: &Session,
    job: &TabularJob,
    test: &Scores,
    interval: Option<&Interval>,
) -> Result<()> {
    let (splits, task) = (job.splits, job.task);
    let path = session.folder("predictions")?.join("test_predictions.csv");
    let (target, labels) = (&splits.test.target, splits.preprocessor.target.labels());
    let text = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value.to_string()).collect::<Vec<String>>();
    let mut names: Vec<String> = vec!["y_test".to_owned(), "y_pred".to_owned()];
    let mut columns: Vec<Vec<String>> = Vec::new();
    if task == Task::Regression {
        columns.push(raw_target(splits)?);
        columns.push(text(&mut test.predicted.iter().copied()));
        if let Some(interval) = interval {
            names.extend(["y_lower", "y_upper"].map(str::to_owned));
            let bounds = test.predicted.iter().map(|&prediction| interval.bounds(prediction, &splits.preprocessor));
            columns.push(text(&mut bounds.clone().map(|(lower, _)| lower)));
            columns.push(text(&mut bounds.map(|(_, upper)| upper)));
        }
    } else {
        let label = |class: usize| labels[class].clone();
        columns.push(target.iter().map(|&class| label(class as usize)).collect());
        columns.push(test.predictions(target, task).classes().into_iter().map(label).collect());
        let n = task.n_outputs();
        for (column, name) in proba_names(task, labels).into_iter().enumerate() {
            names.push(name);
            columns.push(text(&mut test.predicted.iter().skip(column).step_by(n).copied()));
        }
    }
    let extra: Vec<(&str, Vec<String>)> = names.iter().map(String::as_str).zip(columns).collect();
    Ok(splits.write_predictions(&extra, &path)?)
}

/// In the model's folder: what it says of the validation rows. Thresholds and calibration are chosen on these, never on
/// rows that a model is judged by.
pub const VALIDATION_FILE: &str = "validation.csv";
/// Of more validation rows evenly spread ones are kept.
const MOST_VALIDATION_ROWS: usize = 50_000;

/// Writes [`VALIDATION_FILE`]: target (class index or number), then each output.
pub fn write_validation(session: &Session, job: &TabularJob, valid: &Scores) -> Result<()> {
    let target = &job.splits.valid.target;
    let n_outputs = job.task.n_outputs();
    let mut text = "target".to_owned();
    (0..n_outputs).for_each(|output| text.push_str(&format!(",output_{output}")));
    text.push('\n');
    let step = target.len().div_ceil(MOST_VALIDATION_ROWS).max(1);
    for (target, outputs) in target.iter().zip(valid.predicted.chunks(n_outputs)).step_by(step) {
        text.push_str(&target.to_string());
        outputs.iter().for_each(|output| text.push_str(&format!(",{output}")));
        text.push('\n');
    }
    session.write_text(&format!("{MODEL_FOLDER}/{VALIDATION_FILE}"), &text)
}

/// Back from [`write_validation`]: targets `[rows]` and predictions `[rows, n_outputs]`; `None` if it is not such a file.
pub fn read_validation(text: &str, n_outputs: usize) -> Option<(Vec<f32>, Vec<f32>)> {
    let (mut target, mut predicted) = (Vec::new(), Vec::new());
    for line in text.lines().skip(1) {
        let cells = line.split(',').map(|cell| cell.parse().ok()).collect::<Option<Vec<f32>>>()?;
        let (first, outputs) = cells.split_first()?;
        if outputs.len() != n_outputs {
            return None;
        }
        target.push(*first);
        predicted.extend(outputs);
    }
    Some((target, predicted))
}

/// In the model's folder: how the train rows are distributed, and what is predicted for validation rows.
pub const PROFILE_FILE: &str = "profile.json";

/// Writes [`PROFILE_FILE`].
pub fn write_profile(session: &Session, job: &TabularJob, profile: Profile, valid: &Scores) -> Result<()> {
    let predictions = prediction_profiles(&valid.predicted, job.task, job.splits.preprocessor.target.labels());
    session.write_text(&format!("{MODEL_FOLDER}/{PROFILE_FILE}"), &profile.with_predictions(predictions).to_json()?)
}

/// How predictions (original units, or probabilities row by row) are distributed: `y_pred`, then the probabilities.
pub fn prediction_profiles(predicted: &[f32], task: Task, labels: &[String]) -> Vec<ColumnProfile> {
    let n_outputs = task.n_outputs();
    let output = |place: usize| predicted.iter().skip(place).step_by(n_outputs).map(|&x| Some(f64::from(x)));
    if task == Task::Regression {
        return vec![ColumnProfile::of_numbers("y_pred", output(0))];
    }
    // The targets have no part in which class is the most probable one.
    let target = vec![0.0; predicted.len() / n_outputs];
    let classes = Predictions { kind: kind_of(task), target: &target, predicted }.classes();
    let levels = ColumnProfile::of_levels("y_pred", classes.into_iter().map(|class| Some(labels[class].as_str())));
    let names = proba_names(task, labels);
    let probabilities = names.iter().zip(0..).map(|(name, place)| ColumnProfile::of_numbers(name, output(place)));
    std::iter::once(levels).chain(probabilities).collect()
}

/// Names of the columns of probabilities: one for the positive class, or one for each.
pub fn proba_names(task: Task, labels: &[String]) -> Vec<String> {
    match task {
        Task::Regression => Vec::new(),
        Task::Binary => vec!["y_proba".to_owned()],
        Task::Multiclass { .. } => labels.iter().map(|label| format!("y_proba_{label}")).collect(),
    }
}

/// The target as it stands in the file, which `f32` may not hold exactly.
fn raw_target(splits: &Splits) -> Result<Vec<String>> {
    let column = splits.test_table.column(&splits.info.target, "`data.target`")?;
    Ok((0..column.len()).map(|row| column.text(row).unwrap_or_default().into_owned()).collect())
}

/// The model as an ONNX graph that takes the raw columns.
pub fn export(job: &TabularJob, models: &[TabularMlp], data: &DataConfig) -> Result<Export, Unsupported> {
    let source = tabular::Source {
        preprocessor: &job.splits.preprocessor,
        task: job.task,
        null_values: &data.null_values,
        trim: data.trim,
        rows: &job.splits.test_table,
    };
    tabular::export(&source, models)
}

/// What a bundle tells of the network.
#[derive(Debug, Serialize, Deserialize)]
pub struct TabularNet {
    /// Shape of the network.
    pub model: TabularMlpConfig,
    /// What goes in.
    pub inputs: Inputs,
    /// What comes out.
    pub task: Task,
    /// Class names by index; empty for regression.
    pub classes: Vec<String>,
    /// The column that is predicted.
    pub target: String,
    /// How the cells of the file are written that it was trained on (delimiter, what stands for a missing value, ..), and
    /// which columns are no features.
    #[serde(default)]
    pub file: DataConfig,
    /// Around predicted numbers.
    #[serde(default)]
    pub interval: Option<Interval>,
}

impl Net for TabularNet {
    const MODEL_TYPE: &'static str = TabularJob::MODEL_TYPE;
}

impl TabularNet {
    /// Of a job whose rows came from this data.
    pub fn of(job: &TabularJob, data: &DataConfig, interval: Option<Interval>) -> Self {
        let info = &job.splits.info;
        Self {
            model: job.model.clone(),
            inputs: job.inputs.clone(),
            task: job.task,
            classes: info.classes.clone(),
            target: info.target.clone(),
            file: data.file_settings(),
            interval,
        }
    }
}
