//! A run done again: the YAML that says how, and whether the same came out.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;
use tracking::{Metric, RunData, Store};

use crate::console::number;
use crate::exit::Mistake;
use crate::fitting::Learner;
use crate::forecast::job::ForecastJob;
use crate::kind::RunKind;
use crate::program::ProgramConfig;
use crate::recipes::{tabular_mlp, ts_mlp};
use crate::resume::EFFECTIVE_CONFIG;
use crate::runs::digest_of;
use crate::runs::run_file;
use crate::session::PathsConfig;
use crate::tabular::job::TabularJob;

/// The tag of a run that does another one again: the other's id.
pub const REPRODUCES: &str = "reproduces";
/// Whether the same came out: `identical` or `different`.
pub const REPRODUCED: &str = "reproduced";
/// What the result may depend on, as tags have it, and for people.
const VERSIONS: [(&str, &str); 6] = [
    ("app.version", "version"),
    ("app.cargo_lock_sha256", "Cargo.lock"),
    ("app.profile", "build profile"),
    ("rustc", "rustc"),
    ("mlflow.source.git.commit", "git commit"),
    ("host.cpu", "CPU"),
];
/// Differing metrics that are shown.
const SHOWN: usize = 5;

/// The config that a run was done with, as a file on this machine.
pub fn config_file(run: &RunData, store: &dyn Store, paths: &PathsConfig) -> Result<PathBuf> {
    let run_id = &run.info.run_id;
    run_file(store, paths, run_id, EFFECTIVE_CONFIG)?.ok_or_else(|| {
        let mistake = Mistake::new(format!("run `{run_id}` has not kept its config (`{EFFECTIVE_CONFIG}`)"));
        match run.tags.get("mlflow.parentRunId") {
            Some(parent) => mistake.hint(format!("it is a part of run {parent}, which may have")).into(),
            None => mistake.hint("only runs of these programs do, unless `mlflow.log_artifacts` is off").into(),
        }
    })
}

/// The program that trains what the run says that it has trained.
pub fn program_of(run: &RunData) -> Option<&'static str> {
    match run.tags.get("model_type")?.as_str() {
        TabularJob::MODEL_TYPE => Some(tabular_mlp::Config::PROGRAM),
        ForecastJob::MODEL_TYPE => Some(ts_mlp::Config::PROGRAM),
        _ => None,
    }
}

/// The YAML that reproduces a run, with a head that says how.
pub fn config_text(run: &RunData, store: &dyn Store, paths: &PathsConfig) -> Result<String> {
    let file = config_file(run, store, paths)?;
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let info = &run.info;
    let tag = |key: &str| run.tags.get(key).map_or("unknown", String::as_str);
    let program = program_of(run).unwrap_or(match RunKind::of(run) {
        // The tags of a trial are those of the search.
        RunKind::Trial if text.contains("\nwindows:") => ts_mlp::Config::PROGRAM,
        RunKind::Trial => tabular_mlp::Config::PROGRAM,
        _ => tag("mlflow.source.name"),
    });
    Ok(format!(
        "# Config of run {} `{}` of {}.\n# Data digest {}, git commit {}.\n#\n#   cargo run --bin {program} -- --config FILE\n\
         #   cargo run --bin {program} -- --from-run {}     checks data and versions, and says whether the same comes out\n\n{text}",
        info.run_id,
        info.name,
        crate::compare::moment(info.start_time_ms),
        digest_of(run).unwrap_or("unknown"),
        tag("mlflow.source.git.commit"),
        info.run_id,
    ))
}

/// What is not as it was when the run was made, for people.
pub fn changed_versions(original: &RunData, tags: &BTreeMap<String, String>) -> Vec<String> {
    let changed = |(key, name): &(&str, &str)| {
        let (before, now) = (original.tags.get(*key)?, tags.get(*key)?);
        // A digest says nothing to people.
        let shown =
            || if *key == "app.cargo_lock_sha256" { String::new() } else { format!(" (`{before}`, now `{now}`)") };
        (before != now).then(|| format!("{name}{}", shown()))
    };
    let mut found: Vec<String> = VERSIONS.iter().filter_map(changed).collect();
    let is_dirty =
        |tags: &BTreeMap<String, String>| tags.get("mlflow.source.git.dirty").is_some_and(|dirty| dirty == "true");
    if is_dirty(&original.tags) || is_dirty(tags) {
        found.push("changes that are not committed".to_owned());
    }
    found
}

/// How a run that was done again differs from the first time.
#[derive(Debug, Clone, Serialize)]
pub struct Reproduction {
    /// The run that was done again.
    pub run_id: String,
    /// Metrics that both have, each with all its points.
    pub n_metrics: usize,
    /// Name, last value then, last value now.
    pub differing: Vec<(String, f64, f64)>,
    /// Metrics of the first time that there are none of now, as what a search says of its trial.
    pub missing: Vec<String>,
}

impl Reproduction {
    /// Holds every point of every metric against those of the original, bit for bit. What is measured of the machine is left
    /// out.
    pub fn compare(original: &RunData, run_id: &str, store: &dyn Store) -> Result<Self> {
        let again = store.run(run_id)?;
        let mut differing = Vec::new();
        let (mut n_metrics, mut missing) = (0, Vec::new());
        for name in original.metrics.keys().filter(|name| !is_of_machine(name)) {
            if !again.metrics.contains_key(name) {
                missing.push(name.clone());
                continue;
            }
            let before = store.metric_history(&original.info.run_id, name)?;
            let now = store.metric_history(run_id, name)?;
            n_metrics += 1;
            if !are_same(&before, &now) {
                let last = |points: &[Metric]| points.last().map_or(f64::NAN, |point| point.value);
                differing.push((name.clone(), last(&before), last(&now)));
            }
        }
        Ok(Self { run_id: original.info.run_id.clone(), n_metrics, differing, missing })
    }

    /// Whether everything that both have measured is the same.
    pub fn is_identical(&self) -> bool {
        self.differing.is_empty() && self.n_metrics > 0
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let (run_id, n) = (&self.run_id, self.n_metrics);
        let missing = match self.missing.as_slice() {
            [] => String::new(),
            names => format!("; not measured now: {}", names.join(", ")),
        };
        if self.is_identical() {
            return format!("identical to run {run_id}: {n} metrics agree in every point, to the last bit{missing}");
        }
        let value =
            |(name, before, now): &(String, f64, f64)| format!("{name} {} (was {})", number(*now), number(*before));
        let shown: Vec<String> = self.differing.iter().take(SHOWN).map(value).collect();
        let more = if self.differing.len() > SHOWN { ", .." } else { "" };
        let differ = format!("{} of {n} metrics differ: {}{more}", self.differing.len(), shown.join(", "));
        format!("not identical to run {run_id}: {differ}{missing}")
    }
}

/// The same values at the same steps, bit for bit; of a single value the step is only where it was noted.
fn are_same(before: &[Metric], now: &[Metric]) -> bool {
    let bits = |points: &[Metric]| -> Vec<u64> { points.iter().map(|point| point.value.to_bits()).collect() };
    let is_same_step = |(a, b): (&Metric, &Metric)| a.step == b.step;
    bits(before) == bits(now) && (before.len() == 1 || before.iter().zip(now).all(is_same_step))
}

/// How long something took is never the same.
fn is_of_machine(name: &str) -> bool {
    name.starts_with("system/")
        || name.ends_with("_seconds")
        || name.ends_with("per_second")
        || name.starts_with("latency_")
}
