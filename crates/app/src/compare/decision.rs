//! Whether a model may be registered: the same gates as `evaluate`, on the same rows as the model that it is to replace.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use evaluation::gates::{self, FactError, Gate, GateResult};
use serde::Deserialize;
use tracking::RunData;

use super::config::{Best, Config};
use super::flags::DecideFlags;
use super::select::{Selection, bare_metric, direction_of};
use crate::config::nearest;
use crate::evaluate::config::{Config as EvaluateConfig, ImportanceConfig, IntervalsConfig, SlicesConfig};
use crate::evaluate::facts::{Known, plain};
use crate::exit::Mistake;
use crate::model_place::ModelPlace;
use crate::recipes::evaluate;
use crate::session::Session;

/// The gates of the config, the file and the flags.
pub fn gates(config: &Config, flags: &DecideFlags, selection: &Selection) -> Result<Vec<Gate>> {
    let mut all = config.gates.clone();
    if let Some(file) = &flags.gate {
        all.extend(read(file)?);
    }
    if let Some(reference) = &flags.require_better_than {
        // Of a loss the judge knows nothing; it has its own idea of what to compare by.
        let bare = selection.metrics.first().map(|metric| bare_metric(&metric.name)).filter(|bare| *bare != "loss");
        let metric = bare.map(|bare| format!("test_{bare}"));
        let margin = flags.min_delta.map_or_else(String::new, |margin| format!(" by more than {margin}"));
        let sure = flags
            .confidence
            .map_or_else(String::new, |share| format!(" with {} % confidence", (share * 1e8).round() / 1e6));
        let text = format!("{} better than {reference}{margin}{sure}", metric.unwrap_or_default());
        all.push(gates::parse(text.trim()).map_err(|error| Mistake::new(error.to_string()))?);
    }
    Ok(all)
}

/// A list of gates, or a mapping with such a list under `gates`.
fn read(file: &Path) -> Result<Vec<Gate>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        gates: Vec<Gate>,
    }
    let text = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let shown = file.display();
    let wrong = |error: serde_yaml::Error| {
        Mistake::new(format!("`{shown}`: {error}")).hint("write a list, or `gates:` with a list under it")
    };
    let value: serde_yaml::Value = serde_yaml::from_str(&text).map_err(wrong)?;
    let gates = match &value {
        serde_yaml::Value::Sequence(_) => serde_yaml::from_value(value).map_err(wrong)?,
        // An `evaluate` config has gates too, beside its other keys.
        serde_yaml::Value::Mapping(keys) if keys.contains_key("gates") => {
            let gates = keys.get("gates").cloned().unwrap_or_default();
            serde_yaml::from_value(gates).map_err(wrong)?
        }
        _ => serde_yaml::from_value::<File>(value).map_err(wrong)?.gates,
    };
    Ok(gates)
}

/// Holds the gates against the run's model: judged on its test rows where it is a model of this workspace, else by what the run
/// has logged.
pub fn check(
    gates: &[Gate],
    (run, name, alias): (&RunData, &str, Option<&str>),
    is_dry_run: bool,
    config: &Config,
    session: &Session,
) -> Result<Vec<GateResult>> {
    if gates.is_empty() {
        return Ok(Vec::new());
    }
    let judged = gates.iter().any(|gate| {
        gate.reference().is_some()
            || gate.slice().is_some()
            || gate.metric().is_some_and(|metric| !run.metrics.contains_key(metric))
    });
    let place = ModelPlace::find("run", &run.info.run_id, &config.mlflow, &config.paths);
    let mut results = match (place, judged) {
        (Ok(place), _) => {
            let of_judge = EvaluateConfig {
                model: Some(run.info.run_id.clone()),
                gates: gates.iter().filter(|gate| !is_without_rival(gate, (name, alias), session)).cloned().collect(),
                registered_model: Some(name.to_owned()),
                // What a gate does not ask for is left to `evaluate`.
                importance: ImportanceConfig { repeats: 0, dependence_columns: 0, ..ImportanceConfig::default() },
                slices: SlicesConfig { columns: Some(Vec::new()), ..SlicesConfig::default() },
                intervals: IntervalsConfig { samples: config.statistics.samples, level: config.statistics.level },
                seed: config.seed,
                mlflow: config.mlflow.clone(),
                paths: config.paths.clone(),
                ..EvaluateConfig::default()
            };
            let found = evaluate::find_out(&of_judge, Some(&place), session)?;
            // A dry run leaves nothing in the store.
            if !is_dry_run {
                evaluate::leave(&found, &of_judge, session)?;
            }
            found.gates
        }
        (Err(error), true) => return Err(error.context("the gates ask for more than the run has logged")),
        (Err(_), false) => by_logged_metrics(gates, run),
    };
    let unopposed = gates.iter().filter(|gate| is_without_rival(gate, (name, alias), session));
    results.extend(unopposed.map(|gate| GateResult {
        gate: gate.to_string(),
        value: None,
        interval: None,
        passed: true,
        reason: format!("`{name}` has no {} yet: there is nothing to beat", gate.reference().unwrap_or_default()),
    }));
    Ok(results)
}

/// Whether a gate names an alias that nobody has yet and that this model is to get, or a model that there is none of yet. Any
/// other alias that is not there is a mistake, not an open door.
fn is_without_rival(gate: &Gate, (name, wanted): (&str, Option<&str>), session: &Session) -> bool {
    let Some(alias) = gate.reference().and_then(|reference| reference.strip_prefix('@')) else { return false };
    let Ok(store) = session.registry_store() else { return false };
    match store.registry().model(name) {
        Ok(model) => !model.aliases.contains_key(alias) && wanted == Some(alias),
        Err(tracking::Error::NotFound(_)) => true,
        Err(_) => false,
    }
}

fn by_logged_metrics(gates: &[Gate], run: &RunData) -> Vec<GateResult> {
    let impossible =
        || FactError::Failed("the run's model is none of this workspace, so it cannot be judged on rows".to_owned());
    let known = Known {
        figures: run.metrics.iter().map(|(key, point)| (key.clone(), plain(point.value))).collect(),
        main_metric: String::new(),
        direction: &|metric| {
            direction_of(metric).map(|best| match best {
                Best::Highest => training::metrics::Direction::Maximize,
                Best::Lowest => training::metrics::Direction::Minimize,
            })
        },
        slice: &|_, _, _| Err(impossible()),
        difference: &|_, _, _| Err(impossible()),
    };
    known.check(gates)
}

/// `KEY=VALUE`.
pub fn parse_tags(tags: &[String]) -> Result<Vec<(String, String)>, Mistake> {
    let parse = |text: &String| {
        let pair = text.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        pair.ok_or_else(|| Mistake::new(format!("`--tag {text}` has no `=`")).hint("write `--tag KEY=VALUE`"))
    };
    tags.iter().map(parse).collect()
}

/// A stage by its name, in any case.
pub fn parse_stage(text: &str) -> Result<tracking::Stage, Mistake> {
    let all = tracking::Stage::ALL.map(tracking::Stage::as_str);
    let found = all.iter().find(|stage| stage.eq_ignore_ascii_case(text));
    let known = [tracking::Stage::Staging, tracking::Stage::Production];
    let stage = found.and_then(|stage| stage.parse().ok()).filter(|stage| known.contains(stage));
    stage.ok_or_else(|| {
        let problem = format!("`--promote {text}`: it is neither `Staging` nor `Production`");
        match nearest(text, known.iter().map(|stage| stage.as_str())) {
            Some(near) => Mistake::new(problem).hint(format!("did you mean `{near}`?")),
            None => Mistake::new(problem),
        }
    })
}
