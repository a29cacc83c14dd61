//! What a tabular run leaves behind: data set record, model summary, plots, predictions, bundle.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use dataset::{DatasetInfo, Splits};
use modeling::{Inputs, TabularMlpConfig, Task, summarize, weight_bytes};
use report::{ConfusionMatrix, CurvePanel, LearningCurves, RankingCurve, RankingCurves, Series};
use serde::{Deserialize, Serialize};
use tracking::{Dataset, DatasetInput, Run};
use training::metrics::{auc_of, average_precision_of, confusion_matrix, precision_recall_curve, roc_curve};

use crate::history::{History, ResultTable};
use crate::scoring::Scores;
use crate::session::Session;

/// A confusion matrix of more classes cannot be read.
const MOST_CLASSES_DRAWN: usize = 100;

/// The data in two lines for people.
pub fn describe_data(info: &DatasetInfo) -> String {
    let sizes: Vec<String> = info.parts.iter().map(|part| format!("{} {}", part.n_rows, part.name)).collect();
    let classes =
        if info.classes.is_empty() { String::new() } else { format!(", classes {}", info.classes.join(" / ")) };
    let (name, columns, target) = (&info.name, info.feature_columns.len(), &info.target);
    format!("data: {name}, {} rows ({}), {columns} columns -> `{target}`\n", info.n_rows, sizes.join(", "))
        + &format!("task: {} ({}){classes}", problem_name(info), info.problem_reason)
}

/// Records the data set: facts as params, row counts as tags, and one input with the split inside its digest.
pub fn log_data(run: &Run, splits: &Splits) {
    let info = &splits.info;
    run.log_params(&BTreeMap::from([
        ("dataset_name".to_owned(), info.name.clone()),
        ("dataset_digest".to_owned(), info.digest.clone()),
        ("problem_type".to_owned(), problem_name(info)),
        ("n_features".to_owned(), splits.preprocessor.feature_names().len().to_string()),
        ("feature_columns".to_owned(), info.feature_columns.join(",")),
    ]));
    if let Some(sha256) = &info.file_sha256 {
        run.set_tag("dataset_file_sha256", sha256);
    }
    for (context, part) in [("training", &splits.train), ("validation", &splits.valid), ("test", &splits.test)] {
        run.set_tag(&format!("n_rows.{context}"), &part.n_rows().to_string());
    }
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
pub fn model_summary(config: &TabularMlpConfig, inputs: &Inputs, task: Task) -> String {
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

/// Learning curves; for classes ROC, precision-recall and confusion matrix; for numbers predicted-vs-actual and residuals.
pub fn write_plots(
    session: &Session,
    splits: &Splits,
    history: &History,
    test: &Scores,
    task: Task,
    (planned_epochs, best_epoch): (usize, usize),
) -> Result<()> {
    let folder = session.folder("plots")?;
    let rows = |part: &dataset::Part| part.n_rows();
    let about = format!("{} · {} train, {} val rows", session.run.name(), rows(&splits.train), rows(&splits.valid));
    plot_history(history, &about, planned_epochs, best_epoch, &folder)?;
    let subtitle = format!("{} · {} test rows", session.run.name(), rows(&splits.test));
    match task {
        Task::Regression => plot_regression(splits, test, &subtitle, &folder),
        Task::Binary | Task::Multiclass { .. } => plot_classes(splits, test, task, &subtitle, &folder),
    }
}

fn plot_history(
    history: &History,
    subtitle: &str,
    planned_epochs: usize,
    best_epoch: usize,
    folder: &Path,
) -> Result<()> {
    let monitor = history.monitor();
    let column = |name: String| history.column(&name);
    let columns = [
        ("Loss", vec![("train", column("train_loss".to_owned())), ("val", column("val_loss".to_owned()))]),
        (monitor, vec![("train", column(format!("train_{monitor}"))), ("val", column(format!("val_{monitor}")))]),
        ("Learning rate", vec![("learning rate", column("learning_rate".to_owned()))]),
    ];
    let panels = columns
        .iter()
        .filter(|(label, _)| *label != "loss")
        .map(|(label, series)| CurvePanel {
            label,
            series: series.iter().map(|(name, values)| Series { name, values }).collect(),
            log_if_wide: *label != monitor,
        })
        .collect();
    let curves = LearningCurves {
        title: "Learning curves",
        subtitle,
        panels,
        best_epoch: Some(best_epoch),
        best_series: "val",
        planned_epochs,
    };
    Ok(report::learning_curves(&curves, &folder.join("learning_curves"))?)
}

fn plot_classes(splits: &Splits, test: &Scores, task: Task, subtitle: &str, folder: &Path) -> Result<()> {
    let (target, labels) = (&splits.test.target, splits.preprocessor.target.labels());
    // Binary: the one column is the probability of class 1.
    let columns = task.n_outputs();
    let first_class = if task == Task::Binary { 1 } else { 0 };
    let scores: Vec<(usize, Vec<f32>)> = (0..columns)
        .map(|column| (first_class + column, test.predicted.iter().skip(column).step_by(columns).copied().collect()))
        .collect();
    type Corners = fn(&[f32], &[f32], f32) -> Vec<(f64, f64)>;
    type Area = fn(&[f32], &[f32], f32) -> f64;
    type Write = fn(&RankingCurves, &Path) -> report::Result<()>;
    let roc: (Corners, Area, Write) = (roc_curve, auc_of, report::roc_curve);
    let precision_recall: (Corners, Area, Write) = (precision_recall_curve, average_precision_of, report::pr_curve);
    let pictures =
        [("ROC curve, test", "roc", roc), ("Precision-recall curve, test", "precision_recall", precision_recall)];
    for (title, file, (corners, area, write)) in pictures {
        let points: Vec<_> = scores.iter().map(|(class, scores)| corners(target, scores, *class as f32)).collect();
        let mut curves = Vec::new();
        for ((class, scores), points) in scores.iter().zip(&points) {
            let (area, base_rate) = (area(target, scores, *class as f32), share(target, *class));
            curves.push(RankingCurve { class: &labels[*class], points, area, base_rate });
        }
        write(&RankingCurves { title, subtitle, curves }, &folder.join(file))?;
    }

    if labels.len() > MOST_CLASSES_DRAWN {
        return Ok(());
    }
    let counts: Vec<Vec<u64>> = confusion_matrix(&test.predictions(target, task))
        .into_iter()
        .map(|row| row.into_iter().map(|count| count as u64).collect())
        .collect();
    let matrix = ConfusionMatrix { title: "Confusion matrix, test", subtitle, classes: labels, counts: &counts };
    Ok(report::confusion_matrix(&matrix, &folder.join("confusion_matrix"))?)
}

/// Share of the rows that belong to a class.
fn share(target: &[f32], class: usize) -> f64 {
    target.iter().filter(|&&value| value as usize == class).count() as f64 / target.len() as f64
}

fn plot_regression(splits: &Splits, test: &Scores, subtitle: &str, folder: &Path) -> Result<()> {
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
    let (actual, predicted) = (wide(&splits.test.target), wide(&test.predicted));
    let spec = |title| report::Predictions {
        title,
        subtitle,
        target: &splits.info.target,
        actual: &actual,
        predicted: &predicted,
        scores: &[],
    };
    let scores = [("RMSE", test.get("rmse")), ("MAE", test.get("mae")), ("R²", test.get("r2"))];
    let versus = report::Predictions { scores: &scores, ..spec("Predicted against actual, test") };
    report::predicted_vs_actual(&versus, &folder.join("predicted_vs_actual"))?;
    Ok(report::residuals(&spec("Residuals, test"), &folder.join("residuals"))?)
}

/// `predictions/test_predictions.csv`: all raw columns, `y_test`, `y_pred` and, for classes, probabilities.
pub fn write_predictions(session: &Session, splits: &Splits, test: &Scores, task: Task) -> Result<()> {
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
    Ok(splits.test.write_predictions(&extra, &path)?)
}

/// The target as it stands in the file, which `f32` may not hold exactly.
fn raw_target(splits: &Splits) -> Result<Vec<String>> {
    let column = splits.test.table.column(&splits.info.target, "`data.target`")?;
    let cell = |&row: &u32| column.cells[row as usize].clone().unwrap_or_default();
    Ok(splits.test.row_numbers.iter().map(cell).collect())
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
    /// Final metrics of each split.
    pub metrics: serde_json::Map<String, serde_json::Value>,
}

/// The folder `model/`: weights, preprocessor, bundle. All that inference needs.
pub fn write_bundle(
    session: &Session,
    splits: &Splits,
    model: &TabularMlpConfig,
    inputs: &Inputs,
    task: Task,
    weights: &Path,
    result: &ResultTable,
) -> Result<()> {
    session.write_file("model/model.safetensors", |temporary| fs::copy(weights, temporary).map(drop))?;
    let preprocessor = splits.preprocessor.to_json()?;
    session.write_text("model/preprocessor.json", &preprocessor)?;
    session.write_text("extra_artifacts/preprocessor.json", &preprocessor)?;
    let bundle = Bundle {
        version: 1,
        model_type: "tabular_mlp".to_owned(),
        model: model.clone(),
        inputs: inputs.clone(),
        task,
        classes: splits.info.classes.clone(),
        target: splits.info.target.clone(),
        schema: serde_json::from_str(&splits.info.schema)?,
        dataset: BTreeMap::from([
            ("name".to_owned(), splits.info.name.clone()),
            ("digest".to_owned(), splits.info.digest.clone()),
        ]),
        metrics: result.to_json(),
    };
    session.write_text("model/bundle.json", &serde_json::to_string_pretty(&bundle)?)
}
