//! The comparison as a page that works from disk.

use anyhow::Result;
use report::{ComparedMetric, ComparedRun, MetricCurves, RunComparison, Tone};
use tracking::{Metric, RunData, Store};

use super::Comparison;
use super::config::Best;
use super::select::{Candidate, bare_metric, direction_of};

/// Metrics that become columns beside those that were asked for.
const MOST_METRICS: usize = 20;
/// Points of a curve; of more evenly spread ones are taken.
const MOST_POINTS: usize = 200;
/// Tags that a diff shows beside params and metrics.
const FACTS: [(&str, &str); 8] = [
    ("git commit", "mlflow.source.git.commit"),
    ("git dirty", "mlflow.source.git.dirty"),
    ("user", "mlflow.user"),
    ("rustc", "rustc"),
    ("framework", "framework"),
    ("Cargo.lock", "app.cargo_lock_sha256"),
    ("CPU", "host.cpu"),
    ("system", "host.os"),
];

/// The page. `remarks`: warnings and verdicts in words.
pub fn html(comparison: &Comparison, store: &dyn Store) -> Result<String> {
    let metrics = metric_columns(comparison);
    let params = comparison.params();
    let selection = &comparison.selection;
    let run = |candidate: &Candidate| {
        let info = &candidate.run.info;
        let verdict = comparison.judgement.verdicts.iter().find(|verdict| verdict.run_id == info.run_id);
        let interval = comparison.judgement.intervals.get(&info.run_id);
        ComparedRun {
            run_id: info.run_id.clone(),
            name: info.name.clone(),
            status: info.status.to_string(),
            kind: candidate.kind.as_str().to_owned(),
            experiment: selection.experiments.get(&info.experiment_id).cloned().unwrap_or_default(),
            started: super::moment(info.start_time_ms),
            duration_seconds: candidate.seconds(),
            url: None,
            metrics: metrics.iter().map(|metric| value(comparison, candidate, &metric.name)).collect(),
            best_step: candidate.best.first().and_then(Option::as_ref).map(|point| point.step),
            interval: interval.map(|interval| (interval.low, interval.high)),
            p_value: verdict.map(|verdict| verdict.p_adjusted),
            is_champion: comparison.champion.as_ref().is_some_and(|champion| champion.run_id == info.run_id),
            params: params.iter().map(|name| candidate.run.params.get(name).cloned()).collect(),
            facts: facts(candidate),
        }
    };
    let names: Vec<&str> = std::iter::once("data digest").chain(FACTS.iter().map(|(name, _)| *name)).collect();
    let page = RunComparison {
        title: format!(
            "{} of {} runs",
            selection.metrics.first().map_or("", |metric| &metric.name),
            selection.runs.len()
        ),
        subtitle: format!("{} · {}", store.uri(), super::moment(comparison.now_ms)),
        notes: notes(comparison),
        runs: selection.runs.iter().map(run).collect(),
        curves: curves(comparison, store)?,
        facts: names.into_iter().map(str::to_owned).collect(),
        footer: "compare_runs".to_owned(),
        metrics,
        params,
    };
    Ok(page.to_html()?)
}

fn notes(comparison: &Comparison) -> Vec<(Tone, String)> {
    let warnings = comparison.warnings.iter().map(|text| (Tone::Warning, text.clone()));
    let notes = comparison.judgement.notes.iter().map(|text| (Tone::Plain, text.clone()));
    let judgement = &comparison.judgement;
    let texts: Vec<String> =
        judgement.verdicts.iter().take(super::SHOWN_VERDICTS).map(|verdict| format!("- {}", verdict.text)).collect();
    let basis = judgement.basis.clone().map(|basis| (Tone::Plain, format!("{basis}\n\n{}", texts.join("\n"))));
    let studies = comparison.studies.iter().map(|study| (Tone::Plain, study.text.clone()));
    warnings.chain(notes).chain(basis).chain(studies).collect()
}

/// The metrics that were asked for, then others that most runs have.
fn metric_columns(comparison: &Comparison) -> Vec<ComparedMetric> {
    let selection = &comparison.selection;
    let asked = selection.metrics.iter().map(|metric| (metric.name.clone(), metric.best == Best::Lowest));
    let mut columns: Vec<(String, bool)> = asked.collect();
    let mut counts: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for candidate in &selection.runs {
        for key in candidate.run.metrics.keys().filter(|key| !key.starts_with("system/")) {
            *counts.entry(key).or_default() += 1;
        }
    }
    let of_split =
        |name: &str| ["test_", "val_", "best_val_", "train_"].iter().position(|split| name.starts_with(split));
    let mut others: Vec<(&str, usize)> = counts.into_iter().collect();
    others.sort_by_key(|(name, count)| (of_split(name).unwrap_or(9), std::cmp::Reverse(*count), *name));
    for (name, _) in others {
        if columns.len() < MOST_METRICS && columns.iter().all(|(known, _)| known != name) {
            columns.push((name.to_owned(), direction_of(name) == Some(Best::Lowest)));
        }
    }
    columns.into_iter().map(|(name, lower_is_better)| ComparedMetric { name, lower_is_better }).collect()
}

/// The best value of a metric that was asked for, else the last one.
fn value(comparison: &Comparison, candidate: &Candidate, name: &str) -> Option<f64> {
    let asked = comparison.selection.metrics.iter().position(|metric| metric.name == name);
    match asked {
        Some(index) => candidate.best[index].as_ref().map(|point| point.value),
        None => candidate.run.metrics.get(name).map(|point| point.value),
    }
}

fn facts(candidate: &Candidate) -> Vec<Option<String>> {
    let tag = |run: &RunData, key: &str| run.tags.get(key).cloned();
    let digest = candidate.digest().map(str::to_owned);
    std::iter::once(digest).chain(FACTS.iter().map(|(_, key)| tag(&candidate.run, key))).collect()
}

/// The metrics that were asked for, and the same and the loss of train and validation rows.
fn curves(comparison: &Comparison, store: &dyn Store) -> Result<Vec<MetricCurves>> {
    let selection = &comparison.selection;
    let mut names: Vec<String> = Vec::new();
    for metric in &selection.metrics {
        let bare = bare_metric(&metric.name);
        names.extend([metric.name.clone(), format!("val_{bare}"), format!("train_{bare}")]);
    }
    names.extend(["val_loss", "train_loss", "learning_rate"].map(str::to_owned));
    let ids: Vec<String> = selection.runs.iter().map(|candidate| candidate.run.info.run_id.clone()).collect();
    let mut curves: Vec<MetricCurves> = Vec::new();
    for name in names {
        if curves.iter().any(|known| known.metric == name) {
            continue;
        }
        let histories = store.metric_histories(&ids, &name)?;
        let of_run = |(index, id): (usize, &String)| {
            let points = histories.get(id).filter(|points| points.len() > 1)?;
            Some((index, thinned(points)))
        };
        let points: Vec<_> = ids.iter().enumerate().filter_map(of_run).collect();
        if !points.is_empty() {
            curves.push(MetricCurves { metric: name, points });
        }
    }
    Ok(curves)
}

/// Evenly spread points, the last one among them.
fn thinned(points: &[Metric]) -> Vec<(f64, f64)> {
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    let last = points.len() - 1;
    let kept = points.iter().enumerate().filter(|(index, _)| index % every == 0 || *index == last);
    kept.map(|(_, point)| (point.step as f64, point.value)).collect()
}
