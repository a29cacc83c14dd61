//! What a tabular run leaves behind beside plots: data set record, model summary, predictions, bundle.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use dataset::{DatasetInfo, Source, Splits};
use modeling::{Inputs, TabularMlpConfig, Task, summarize, weight_bytes};
use serde::{Deserialize, Serialize};
use tracking::{Dataset, DatasetInput, Run};
use training::metrics::{ClassScores, per_class_report};

use crate::fitting::{Fitted, Job};
use crate::history::ResultTable;
use crate::scoring::Scores;
use crate::session::Session;

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
    let parts: &[&str] = match info.files.len() {
        3 => &[".train", ".valid", ".test"],
        2 => &[".train", ".test"],
        _ => &[""],
    };
    for (part, file) in parts.iter().zip(&info.files) {
        run.set_tag(&format!("dataset_file_sha256{part}"), &file.sha256);
    }
    for (context, part) in [("training", &splits.train), ("validation", &splits.valid), ("test", &splits.test)] {
        run.set_tag(&format!("n_rows.{context}"), &part.n_rows().to_string());
    }
    log_input(run, info);
    session.console.stop_if_interrupted()
}

/// Records which rows a run learns from; the digest has the split in it.
pub fn log_input(run: &Run, info: &DatasetInfo) {
    run.log_input(DatasetInput {
        dataset: Dataset {
            name: info.name.clone(),
            digest: info.digest.clone(),
            source_type: info.source_type.clone(),
            source: info.source.clone(),
            schema: Some(info.schema.clone()),
            profile: Some(info.profile.clone()),
        },
        tags: BTreeMap::from([("mlflow.data.context".to_owned(), "training".to_owned())]),
    });
}

/// `regression`, `binary` or `multiclass`.
fn problem_name(info: &DatasetInfo) -> String {
    serde_json::to_value(info.problem_type).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Layers with shapes and parameter counts, as a text table.
pub fn model_summary(job: &Job) -> String {
    let (config, inputs, task) = (job.model, &job.inputs, job.task);
    let layers = summarize(config, inputs, task.n_outputs());
    let width =
        |cell: fn(&modeling::Layer) -> usize, least: usize| layers.iter().map(cell).max().unwrap_or(0).max(least);
    let (name, kind, output) = (width(|l| l.name.len(), 5), width(|l| l.kind.len(), 4), width(|l| l.output.len(), 6));
    let mut text = format!(
        "TabularMlp: {} numeric inputs, {} embedded categories, loss {}\n\n",
        inputs.n_numeric,
        inputs.cardinalities.len(),
        task.loss_name()
    );
    let rule = "-".repeat(name + kind + output + 30);
    text.push_str(&format!(
        "{:name$}  {:kind$}  {:output$}  {:>10}  {:>12}\n{rule}\n",
        "layer", "kind", "output", "parameters", "FLOPs/row"
    ));
    for layer in &layers {
        text.push_str(&format!(
            "{:name$}  {:kind$}  {:output$}  {:>10}  {:>12}\n",
            layer.name, layer.kind, layer.output, layer.parameters, layer.flops
        ));
    }
    let total: usize = layers.iter().map(|layer| layer.parameters).sum();
    let flops: usize = layers.iter().map(|layer| layer.flops).sum();
    let kib = weight_bytes(&layers) as f64 / 1024.0;
    text + &format!(
        "{rule}\ntotal parameters: {total} ({kib:.1} KiB as f32)\nFLOPs per row, one forward pass: {flops}\n"
    )
}

/// `classification_report.txt`: precision, recall, F1, support and AUC of every class on the test rows.
pub fn write_class_report(session: &Session, job: &Job, test: &Scores) -> Result<()> {
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
pub fn write_predictions(session: &Session, job: &Job, test: &Scores) -> Result<()> {
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

/// Layout of `bundle.json`. Raise it when a field is added or changes its meaning.
pub const BUNDLE_VERSION: u32 = 2;

/// The sha256 of the data files, one after the other.
pub fn file_digests(info: &DatasetInfo) -> String {
    info.files.iter().map(|file| file.sha256.as_str()).collect::<Vec<_>>().join(",")
}

/// `model/bundle.json`: what is needed, beside weights and preprocessor, to make the model again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Bundle {
    /// Format of this file.
    pub version: u32,
    /// Which network: `tabular_mlp`.
    pub model_type: String,
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
    /// Input columns in order, as MLflow's colspec.
    pub schema: serde_json::Value,
    /// Name and fingerprint of the training data.
    pub dataset: BTreeMap<String, String>,
    /// Files with weights in this folder; the predictions of several are averaged.
    pub weights: Vec<String>,
    /// Final metrics of each split.
    pub metrics: serde_json::Map<String, serde_json::Value>,
}

/// The folder `model/`: weights, preprocessor, bundle. All that inference needs.
pub fn write_bundle(session: &Session, job: &Job, members: &[Fitted], result: &ResultTable) -> Result<()> {
    let splits = job.splits;
    let file = |member: usize| match members.len() {
        1 => "model.safetensors".to_owned(),
        _ => format!("model_{}.safetensors", member + 1),
    };
    let weights: Vec<String> = (0..members.len()).map(file).collect();
    for (member, file) in members.iter().zip(&weights) {
        session.write_file(&format!("model/{file}"), |temporary| fs::copy(&member.weights, temporary).map(drop))?;
    }
    let preprocessor = splits.preprocessor.to_json()?;
    session.write_text("model/preprocessor.json", &preprocessor)?;
    session.write_text("extra_artifacts/preprocessor.json", &preprocessor)?;
    let bundle = Bundle {
        version: BUNDLE_VERSION,
        model_type: "tabular_mlp".to_owned(),
        model: job.model.clone(),
        inputs: job.inputs.clone(),
        task: job.task,
        classes: splits.info.classes.clone(),
        target: splits.info.target.clone(),
        schema: serde_json::from_str(&splits.info.schema)?,
        dataset: BTreeMap::from([
            ("name".to_owned(), splits.info.name.clone()),
            ("digest".to_owned(), splits.info.digest.clone()),
            ("files".to_owned(), file_digests(&splits.info)),
        ]),
        weights,
        metrics: result.to_json(),
    };
    session.write_text("model/bundle.json", &serde_json::to_string_pretty(&bundle)?)
}
