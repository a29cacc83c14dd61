//! `cv:` trains one network per fold, each in a nested run, and tells mean and spread on the parent.

use anyhow::Result;
use burn::tensor::Device;
use dataset::{CrossValidationConfig, Source};
use report::FoldMetric;
use training::metrics::{Direction, METRICS};

use crate::console::number;
use crate::fitting::Job;
use crate::outputs::log_input;
use crate::recipes::tabular_mlp::Config;
use crate::session::Session;

/// Metrics of the left-out rows of a fold. What is not a number is `None`: JSON has no NaN.
type FoldScores = Vec<(String, Option<f64>)>;

/// Trains on every fold and logs `cv_<metric>_mean` and `cv_<metric>_std` (of a sample, n - 1) to the parent run.
///
/// The best epoch of a fold is chosen on the rows that it is scored by, as everywhere where early stopping meets
/// cross-validation: the scores compare settings, the test rows judge the result.
pub fn cross_validate(
    cv: &CrossValidationConfig,
    source: &Source,
    config: &Config,
    device: &Device,
    session: &Session,
) -> Result<()> {
    let mut scores: Vec<FoldScores> = Vec::new();
    for fold in source.folds(cv)? {
        let repeat = if cv.repeats > 1 { format!(", repeat {}", fold.repeat) } else { String::new() };
        let name = format!("fold {} of {}{repeat}", fold.fold, cv.folds);
        let tags = [
            ("model_type", "tabular_mlp".to_owned()),
            ("cv.fold", fold.fold.to_string()),
            ("cv.repeat", fold.repeat.to_string()),
        ];
        scores.push(session.nested(&name, &tags, |nested| {
            let mut splits = source.fold(&fold)?;
            log_input(&nested.run, &splits.info);
            fit_fold(&Job::new(&config.model, &config.training, &mut splits, device), config.seed, nested)
        })?);
    }
    let summary = summarize(&scores);
    session.log_metrics(&summary, 0);
    session.write_text("cv_results.csv", &to_csv(&scores))?;
    plot_folds(session, &scores, &summary)?;
    session.console.note(&describe(config.training.early_stopping.metric(), scores.len(), &summary));
    Ok(())
}

fn fit_fold(job: &Job, seed: u64, session: &Session) -> Result<FoldScores> {
    let fitted = job.fit(seed, session)?;
    let [_, valid, _] = job.score(&[job.load(&fitted.weights)?]);
    let finite = |(name, value): (String, f64)| (name, Some(value).filter(|value| value.is_finite()));
    Ok(valid.named("val").into_iter().map(finite).collect())
}

/// Mean and spread over the folds of every metric that all folds have.
fn summarize(scores: &[FoldScores]) -> Vec<(String, f64)> {
    let mut summary = Vec::new();
    for (column, (name, _)) in scores.first().into_iter().flatten().enumerate() {
        let Some(values) = scores.iter().map(|fold| fold[column].1).collect::<Option<Vec<f64>>>() else { continue };
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let name = name.trim_start_matches("val_");
        summary.extend([(format!("cv_{name}_mean"), mean), (format!("cv_{name}_std"), variance.sqrt())]);
    }
    summary
}

/// Up to four metrics with a point per fold.
fn plot_folds(session: &Session, scores: &[FoldScores], summary: &[(String, f64)]) -> Result<()> {
    let mut drawn: Vec<(&str, Direction, Vec<f64>)> = Vec::new();
    for metric in METRICS {
        let of_fold = |fold: &FoldScores| {
            fold.iter().find(|(name, _)| name.strip_prefix("val_") == Some(metric.name)).and_then(|(_, value)| *value)
        };
        if let Some(values) = scores.iter().map(of_fold).collect::<Option<Vec<f64>>>() {
            drawn.push((metric.name, metric.direction, values));
        }
    }
    let of = |name: String| summary.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, value)| *value);
    let metrics: Vec<FoldMetric> = drawn
        .iter()
        .take(4)
        .map(|(name, direction, values)| FoldMetric {
            name,
            lower_is_better: *direction == Direction::Minimize,
            values,
            mean: of(format!("cv_{name}_mean")),
            sd: of(format!("cv_{name}_std")),
        })
        .collect();
    let subtitle = format!("{} · {} trainings", session.run.name(), scores.len());
    let spec = report::FoldScores { title: "Cross-validation, left-out rows", subtitle: &subtitle, metrics: &metrics };
    Ok(report::fold_scores(&spec, &session.folder("plots")?.join("cross_validation"))?)
}

/// One row per fold.
fn to_csv(scores: &[FoldScores]) -> String {
    let names: Vec<&str> = scores.first().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let mut text = format!("training,{}\n", names.join(","));
    for (index, fold) in scores.iter().enumerate() {
        let cells: Vec<String> = fold.iter().map(|(_, value)| value.map_or(String::new(), |x| x.to_string())).collect();
        text.push_str(&format!("{},{}\n", index + 1, cells.join(",")));
    }
    text
}

/// `cross-validation, 5 trainings: val_auc 0.912 ± 0.004`
fn describe(monitor: &str, trainings: usize, summary: &[(String, f64)]) -> String {
    let value = |what: &str| {
        let name = format!("cv_{monitor}_{what}");
        number(summary.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, value)| *value))
    };
    format!("cross-validation, {trainings} trainings: val_{monitor} {} ± {}", value("mean"), value("std"))
}
