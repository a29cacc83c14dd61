//! Whether runs may be compared at all: their data, their split; and what a search's winner is worth on test rows.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use tracking::{RunData, Store};

use super::config::Best;
use super::select::{Candidate, RankedBy, Selection, bare_metric, best_point, direction_of};
use super::verdicts::short;
use crate::console::number;
use crate::kind::RunKind;

const PARENT: &str = "mlflow.parentRunId";
const FILE_DIGEST: &str = "dataset_file_sha256";

/// What to know before figures are compared.
pub fn warnings(selection: &Selection) -> Vec<String> {
    let Some((first, others)) = selection.runs.split_first() else { return Vec::new() };
    let mut found = Vec::new();
    let differs = |other: &&Candidate| other.digest() != first.digest();
    let different: Vec<&Candidate> = others.iter().filter(differs).collect();
    let unknown = different.iter().filter(|other| other.digest().is_none() || first.digest().is_none()).count();
    let is_known = |other: &&&Candidate| other.digest().is_some() && first.digest().is_some();
    let (split, data): (Vec<&Candidate>, Vec<&Candidate>) =
        different.iter().filter(is_known).partition(|other| is_same_file(&other.run, &first.run));
    let all = selection.runs.len();
    let count = |n: usize| format!("{n} of {all} runs {}", if n == 1 { "has" } else { "have" });
    if !data.is_empty() {
        let text = "used other data than the best one: their figures are about other rows";
        found.push(format!("{} {text}{}", count(data.len()), names(&data)));
    }
    if !split.is_empty() {
        let text =
            "split the same data in another way than the best one: part of each difference is the luck of the split";
        found.push(format!("{} {text}{}", count(split.len()), names(&split)));
    }
    if unknown > 0 && unknown < all - 1 {
        found.push(format!("{} not recorded its data: nobody knows whether the rows are the same", count(unknown)));
    }
    found
}

/// ` (a, b, c ..)`
fn names(runs: &[&Candidate]) -> String {
    const SHOWN: usize = 5;
    let mut shown: Vec<&str> = runs.iter().take(SHOWN).map(|candidate| candidate.short_id()).collect();
    if runs.len() > SHOWN {
        shown.push("..");
    }
    format!(" ({})", shown.join(", "))
}

/// Whether two runs have read the same files.
pub fn is_same_file(a: &RunData, b: &RunData) -> bool {
    let files = |run: &RunData| -> BTreeMap<String, String> {
        run.tags.iter().filter(|(key, _)| key.starts_with(FILE_DIGEST)).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    let source =
        |run: &RunData| run.inputs.first().map(|input| (input.dataset.name.clone(), input.dataset.source.clone()));
    // A table that comes with the program has no file.
    match (files(a), files(b)) {
        (a_files, b_files) if a_files.is_empty() && b_files.is_empty() => source(a).is_some() && source(a) == source(b),
        (a, b) => a == b,
    }
}

/// How a search's winner does on rows that had no say in its choice.
#[derive(Debug, Clone, Serialize)]
pub struct Shrinkage {
    /// Name of the study.
    pub study: String,
    /// The search's run.
    pub run_id: String,
    /// What trials were judged by: `val_auc`.
    pub objective: String,
    /// Complete trials.
    pub n_trials: Option<f64>,
    /// The winner's value, by which it was chosen.
    pub winner: f64,
    /// The same settings with a fresh seed, on the same validation rows.
    pub refit_validation: Option<f64>,
    /// And on the test rows.
    pub refit_test: Option<f64>,
    /// In words.
    pub text: String,
}

/// Of every search that the runs belong to.
pub fn shrinkages(selection: &Selection, store: &dyn Store) -> Result<Vec<Shrinkage>> {
    let mut parents: Vec<&str> = Vec::new();
    for candidate in &selection.runs {
        let parent = match candidate.kind {
            RunKind::Tune => Some(candidate.run.info.run_id.as_str()),
            RunKind::Refit | RunKind::Trial => candidate.run.tags.get(PARENT).map(String::as_str),
            _ => None,
        };
        if let Some(parent) = parent.filter(|parent| !parents.contains(parent)) {
            parents.push(parent);
        }
    }
    let mut found = Vec::new();
    for parent in parents {
        match store.run(parent) {
            Ok(run) => found.extend(shrinkage(&run, store)?),
            Err(tracking::Error::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

fn shrinkage(parent: &RunData, store: &dyn Store) -> Result<Option<Shrinkage>> {
    let Some(objective) = parent.params.get("objective").and_then(|all| all.split(',').next()) else { return Ok(None) };
    let Some(winner) = parent.metrics.get(&format!("best_{objective}")).map(|point| point.value) else {
        return Ok(None);
    };
    let Some(refit) = parent.tags.get("refit_run_id") else { return Ok(None) };
    let best = direction_of(objective).unwrap_or(match parent.params.get("direction").map(String::as_str) {
        Some("maximize" | "maximize,maximize" | "maximize,minimize") => Best::Highest,
        _ => Best::Lowest,
    });
    let history = store.metric_history(refit, objective)?;
    let refit_validation = best_point(&history, best).map(|point| point.value);
    let test = format!("test_{}", bare_metric(objective));
    let refit_test = store.run(refit)?.metrics.get(&test).map(|point| point.value);
    let mut shrinkage = Shrinkage {
        study: parent.tags.get("study").cloned().unwrap_or_else(|| parent.info.name.clone()),
        run_id: parent.info.run_id.clone(),
        objective: objective.to_owned(),
        n_trials: parent.metrics.get("n_trials_complete").map(|point| point.value),
        winner,
        refit_validation,
        refit_test,
        text: String::new(),
    };
    shrinkage.text = in_words(&shrinkage, best);
    Ok(Some(shrinkage))
}

fn in_words(found: &Shrinkage, best: Best) -> String {
    let trials = found.n_trials.map_or_else(String::new, |n| format!(" of {n} trials"));
    let (study, objective) = (&found.study, &found.objective);
    let mut text = format!("study `{study}`: the winner{trials} was chosen by {objective} {}", number(found.winner));
    let beside = |value: f64| {
        let loss = if best == Best::Highest { found.winner - value } else { value - found.winner };
        let word = if loss > 0.0 { "worse" } else { "better" };
        let change = if loss == 0.0 { "the same".to_owned() } else { format!("{} {word}", short(loss.abs())) };
        format!("{} ({change})", number(value))
    };
    if let Some(value) = found.refit_validation {
        text += &format!("; trained anew with another seed it has {}", beside(value));
    }
    if let Some(value) = found.refit_test {
        text += &format!(", and {} on the test rows, which had no say", beside(value));
    }
    text
}

/// The model that is in use.
#[derive(Debug, Clone, Serialize)]
pub struct Champion {
    /// Registered model.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The run that made it.
    pub run_id: String,
    /// Its best value of the metric that ranks; `None` if it has none.
    pub value: Option<f64>,
}

/// The champion that the runs are measured by: of the named model, else the only one whose run is in these experiments.
pub fn champion(
    (alias, model): (&str, Option<&str>),
    selection: &Selection,
    (store, registry): (&dyn Store, &dyn Store),
) -> Result<Option<Champion>> {
    let Some(metric) = selection.metrics.first() else { return Ok(None) };
    let mut found = Vec::new();
    for registered in registry.registry().models()? {
        if model.is_some_and(|model| model != registered.name) {
            continue;
        }
        let Some(&version) = registered.aliases.get(alias) else { continue };
        let Some(run_id) = registry.registry().version(&registered.name, version)?.run_id else { continue };
        if let Some(value) = value_of(&run_id, metric, selection, store)? {
            found.push(Champion { name: registered.name, version, run_id, value });
        }
    }
    // Of several nobody knows which is meant.
    Ok(if found.len() == 1 { found.pop() } else { None })
}

/// The best value of a run in these experiments; the outer `None` if it is not in them.
#[allow(clippy::option_option, reason = "a run that is not there, and one without the metric")]
fn value_of(run_id: &str, metric: &RankedBy, selection: &Selection, store: &dyn Store) -> Result<Option<Option<f64>>> {
    if let Some(candidate) = selection.runs.iter().find(|candidate| candidate.run.info.run_id == run_id) {
        return Ok(Some(Some(candidate.value())));
    }
    let run = match store.run(run_id) {
        Ok(run) if selection.experiments.contains_key(&run.info.experiment_id) => run,
        Ok(_) | Err(tracking::Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !run.metrics.contains_key(&metric.name) {
        return Ok(Some(None));
    }
    let history = store.metric_history(run_id, &metric.name)?;
    Ok(Some(best_point(&history, metric.best).map(|point| point.value)))
}
