//! What a tabular run leaves behind beside plots: data set record, model summary, predictions.

use std::collections::BTreeMap;

use anyhow::Result;
use dataset::{DataConfig, DatasetInfo, Source, Splits};
use modeling::{Inputs, TabularMlp, TabularMlpConfig, Task, summarize};
use serde::{Deserialize, Serialize};
use training::metrics::{ClassScores, per_class_report};

use crate::bundle::Net;
use crate::export::{Export, Unsupported, tabular};
use crate::fitting::Learner;
use crate::outputs::{layer_table, log_input, tag_files};
use crate::session::Session;
use crate::tabular::job::TabularJob;
use crate::tabular::scoring::Scores;

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
    log_input(run, info);
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

/// `predictions/test_predictions.csv`: all raw columns, `y_test`, `y_pred` and, for classes, probabilities.
pub fn write_predictions(session: &Session, job: &TabularJob, test: &Scores) -> Result<()> {
    let (splits, task) = (job.splits, job.task);
    let path = session.folder("predictions")?.join("test_predictions.csv");
    let (target, labels) = (&splits.test.target, splits.preprocessor.target.labels());
    let text = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value.to_string()).collect::<Vec<String>>();
    let mut names: Vec<String> = vec!["y_test".to_owned(), "y_pred".to_owned()];
    let mut columns: Vec<Vec<String>> = Vec::new();
    if task == Task::Regression {
        columns.push(raw_target(splits)?);
        columns.push(text(&mut test.predicted.iter().copied()));
    } else {
        let label = |class: usize| labels[class].clone();
        columns.push(target.iter().map(|&class| label(class as usize)).collect());
        columns.push(test.predictions(target, task).classes().into_iter().map(label).collect());
        let n = task.n_outputs();
        for (column, label) in labels.iter().enumerate().take(n) {
            names.push(if n == 1 { "y_proba".to_owned() } else { format!("y_proba_{label}") });
            columns.push(text(&mut test.predicted.iter().skip(column).step_by(n).copied()));
        }
    }
    let extra: Vec<(&str, Vec<String>)> = names.iter().map(String::as_str).zip(columns).collect();
    Ok(splits.write_predictions(&extra, &path)?)
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
}

impl Net for TabularNet {
    const MODEL_TYPE: &'static str = TabularJob::MODEL_TYPE;
}

impl TabularNet {
    /// Of a job.
    pub fn of(job: &TabularJob) -> Self {
        let info = &job.splits.info;
        Self {
            model: job.model.clone(),
            inputs: job.inputs.clone(),
            task: job.task,
            classes: info.classes.clone(),
            target: info.target.clone(),
        }
    }
}
