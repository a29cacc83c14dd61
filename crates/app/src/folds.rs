//! Trainings of the same settings on several parts of the data: mean and spread of their scores, as metrics, table, picture.

use anyhow::Result;
use evaluation::comparison::mean_and_sd;
use report::FoldMetric;
use training::metrics::Direction;

use crate::console::number;
use crate::session::Session;

/// Metrics of the scored rows of a fold. What is not a number is `None`: JSON has no NaN.
pub type FoldScores = Vec<(String, Option<f64>)>;

/// What the folds are called.
pub struct FoldNames {
    /// Before the names of metrics and files: `cv` gives `cv_auc_mean` and `cv_results.csv`.
    pub metrics: &'static str,
    /// Name of the picture's file.
    pub picture: &'static str,
    /// Title of the picture: `Cross-validation, left-out rows`.
    pub title: &'static str,
    /// Prefix of the scores: `val`.
    pub split: &'static str,
}

/// Scores as they are kept, without NaN.
pub fn fold_scores(metrics: Vec<(String, f64)>) -> FoldScores {
    metrics.into_iter().map(|(name, value)| (name, Some(value).filter(|value| value.is_finite()))).collect()
}

/// Logs mean and standard deviation (of a sample, n - 1; not of a single fold) of every metric to the session's run; writes
/// the table, draws `headline` and up to three more metrics of `shown`, and says how the headline did.
pub fn report_folds(
    session: &Session,
    names: &FoldNames,
    scores: &[FoldScores],
    shown: &[(&str, Direction)],
    headline: &str,
) -> Result<()> {
    let summary = summarize(names, scores);
    session.log_metrics(&summary, 0);
    session.write_text(&format!("{}_results.csv", names.metrics), &to_csv(scores))?;
    let mut ordered = shown.to_vec();
    ordered.sort_by_key(|(metric, _)| *metric != headline);
    plot(session, names, scores, &ordered, &summary)?;
    session.console.note(&describe(names, headline, scores.len(), &summary));
    Ok(())
}

/// Mean and spread over the folds of every metric that all folds have.
fn summarize(names: &FoldNames, scores: &[FoldScores]) -> Vec<(String, f64)> {
    let mut summary = Vec::new();
    for (column, (name, _)) in scores.first().into_iter().flatten().enumerate() {
        let Some(values) = scores.iter().map(|fold| fold[column].1).collect::<Option<Vec<f64>>>() else { continue };
        let (mean, sd) = mean_and_sd(&values);
        let (what, name) = (names.metrics, bare(names, name));
        summary.push((format!("{what}_{name}_mean"), mean));
        if values.len() > 1 {
            summary.push((format!("{what}_{name}_std"), sd));
        }
    }
    summary
}

/// `val_auc` -> `auc`
fn bare<'a>(names: &FoldNames, name: &'a str) -> &'a str {
    name.strip_prefix(names.split).and_then(|rest| rest.strip_prefix('_')).unwrap_or(name)
}

/// Up to four metrics with a point per fold.
fn plot(
    session: &Session,
    names: &FoldNames,
    scores: &[FoldScores],
    shown: &[(&str, Direction)],
    summary: &[(String, f64)],
) -> Result<()> {
    let mut drawn: Vec<(&str, Direction, Vec<f64>)> = Vec::new();
    for &(metric, direction) in shown {
        let of_fold =
            |fold: &FoldScores| fold.iter().find(|(name, _)| bare(names, name) == metric).and_then(|(_, value)| *value);
        if let Some(values) = scores.iter().map(of_fold).collect::<Option<Vec<f64>>>() {
            drawn.push((metric, direction, values));
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
            mean: of(format!("{}_{name}_mean", names.metrics)),
            sd: of(format!("{}_{name}_std", names.metrics)),
        })
        .collect();
    let subtitle = format!("{} · {} folds", session.run.name(), scores.len());
    let spec = report::FoldScores { title: names.title, subtitle: &subtitle, metrics: &metrics };
    Ok(report::fold_scores(&spec, &session.folder("plots")?.join(names.picture))?)
}

/// One row per fold.
fn to_csv(scores: &[FoldScores]) -> String {
    let names: Vec<&str> = scores.first().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let mut text = format!("fold,{}\n", names.join(","));
    for (index, fold) in scores.iter().enumerate() {
        let cells: Vec<String> = fold.iter().map(|(_, value)| value.map_or(String::new(), |x| x.to_string())).collect();
        text.push_str(&format!("{},{}\n", index + 1, cells.join(",")));
    }
    text
}

/// `cross-validation, 5 folds: val_auc 0.912 ± 0.004`
fn describe(names: &FoldNames, headline: &str, folds: usize, summary: &[(String, f64)]) -> String {
    let value = |what: &str| {
        let name = format!("{}_{headline}_{what}", names.metrics);
        summary.iter().find(|(known, _)| *known == name).map(|(_, value)| number(*value))
    };
    let (what, mean) = (names.picture.replace('_', "-"), value("mean").unwrap_or_default());
    let spread = value("std").map_or(String::new(), |std| format!(" ± {std}"));
    format!("{what}, {folds} folds: {}_{headline} {mean}{spread}", names.split)
}
