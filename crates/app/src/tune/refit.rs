//! The winner: its config as a file, and its network trained anew, whose test rows are scored once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tuning::Trial;

use crate::config::Override;
use crate::fitting::nth_seed;
use crate::flatten::flatten;
use crate::kind::RunKind;
use crate::model_place::MODEL_FOLDER;
use crate::outputs::write_text;
use crate::registering::{VersionText, ensure_version, model_source};
use crate::session::{RunResult, Session, folder_name};
use crate::tune::base::Base;
use crate::tune::config::Config;
use crate::tune::outputs::describe_best;
use crate::tune::result::Found;
use crate::tune::tunable::Tunable;

/// A seed that no trial has used: their repeats count from 0.
const REFIT: usize = 500;
/// Where configs are, for people.
const CONFIGS: &str = "configs";

/// What the refit gave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refitted {
    /// Its run.
    pub run_id: String,
    /// Seed that it was trained with.
    pub seed: u64,
    /// Of each split; null where there is no number.
    pub metrics: Vec<(String, Option<f64>)>,
    /// Name and version in the registry.
    pub registered: Option<(String, u32)>,
}

/// Writes `configs/best_<study>.yaml`, which the base config's program runs as it stands.
pub fn write_config<C: Tunable>(
    base: &Base<C>,
    best: &Trial,
    study: &str,
    found: &Found,
    session: &Session,
) -> Result<PathBuf> {
    let path = PathBuf::from(CONFIGS).join(format!("best_{}.yaml", folder_name(study)));
    let text = format!(
        "# Best of study `{study}`: {}. Found by run {}.\n# cargo run --bin {} -- --config {}\n{}",
        describe_best(found).unwrap_or_default(),
        found.parent_run_id,
        C::PROGRAM,
        path.display(),
        base.plain(&best.params)?
    );
    session.write_text("configs/best.yaml", &text)?;
    write_text(&path, &text)?;
    Ok(path)
}

/// What is trained anew.
pub struct Refit<'a, C> {
    /// Of `tune`.
    pub config: &'a Config,
    /// The config that was tuned, with its space.
    pub base: &'a Base<C>,
    /// The base config itself.
    pub tuned: &'a C,
    /// Name of the study.
    pub study: &'a str,
}

impl<C: Tunable> Refit<'_, C> {
    /// Trains the winner in a nested run, with a seed that the search has not used, on the same parts of the data. What the
    /// winner owes to the luck of its seed shows in its valid score, and the test rows have had no say in anything.
    pub fn run(&self, best: &Trial, session: &Session) -> Result<Refitted> {
        let seed = nth_seed(self.tuned.seed(), REFIT);
        let mut settings = self.base.settings(&best.params);
        for text in &self.config.refit_set {
            settings.push(Override::parse_set(text)?);
        }
        let set =
            |key: &str, value: u64| Override { flag: "refit".to_owned(), key: key.to_owned(), value: value.into() };
        settings.push(set("seed", seed));
        if let Some(key) = C::SPLIT_SEED.filter(|key| !self.sets_seed(key)) {
            settings.push(set(key, self.tuned.seed()));
        }
        let loaded = self.base.load(&settings)?;
        let config = &loaded.config;
        let mut tags = config.tags();
        tags.extend([RunKind::Refit.tag(), ("study", self.study.to_owned())]);
        tags.push(("trial.number", best.number.to_string()));
        let refitted = session.nested("refit of the best", &tags, |nested| {
            nested.run.log_params(&flatten(config));
            nested.write_text(crate::resume::EFFECTIVE_CONFIG, &loaded.to_yaml())?;
            let result = config.train(nested)?;
            nested.console.note(&result.to_text());
            let metrics = result.metrics_json().into_iter().map(|(name, value)| (name, value.as_f64())).collect();
            Ok(Refitted { run_id: nested.run.id().to_owned(), seed, metrics, registered: None })
        })?;
        let test = refitted.metrics.iter().filter(|(name, _)| name.starts_with("test_"));
        let test: Vec<_> = test.filter_map(|(name, value)| Some((format!("refit_{name}"), (*value)?))).collect();
        session.log_metrics(&test, 0);
        session.run.set_tag("refit_run_id", &refitted.run_id);
        let registered = self.register(&refitted, session)?;
        Ok(Refitted { registered, ..refitted })
    }

    /// Whether the base config sets a split seed of its own.
    fn sets_seed(&self, key: &str) -> bool {
        let base = serde_json::to_value(self.tuned).unwrap_or_default();
        base.pointer(&format!("/{}", key.replace('.', "/"))).is_some_and(Value::is_u64)
    }

    /// Makes a version of the registered model, once.
    fn register(&self, refitted: &Refitted, session: &Session) -> Result<Option<(String, u32)>> {
        let Some(name) = &self.config.register_as else { return Ok(None) };
        if !self.config.mlflow.enabled {
            return Ok(None);
        }
        let store = session.registry_store()?;
        let source = model_source(session.store(), &refitted.run_id, MODEL_FOLDER)?;
        let text = VersionText {
            model: format!("Found by study `{}`", self.study),
            version: format!("Refit of the best trial of study `{}`", self.study),
            tags: BTreeMap::new(),
        };
        let (version, _) = ensure_version(store.registry(), (name, &refitted.run_id), source, text)?;
        Ok(Some((name.clone(), version)))
    }
}
