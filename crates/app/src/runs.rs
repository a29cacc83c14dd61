//! Runs in a store: which is meant, what data they had, their files.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tracking::filter::{Attribute, Field};
use tracking::{ArtifactsOf, DatasetInput, RunData, RunQuery, Store, ViewType};

use crate::config::nearest;
use crate::exit::Mistake;
use crate::model_place::FETCHED;
use crate::resume::local_folder;
use crate::session::PathsConfig;

/// All experiments, deleted ones too: `id -> name`.
pub fn experiments_by_id(store: &dyn Store) -> Result<BTreeMap<String, String>> {
    let all = store.experiments(ViewType::All)?;
    Ok(all.into_iter().map(|experiment| (experiment.experiment_id, experiment.name)).collect())
}

/// Finds a run by its id, the beginning of its id, or its name.
pub fn find_run(store: &dyn Store, experiments: &BTreeMap<String, String>, what: &str) -> Result<RunData> {
    const FULL_ID: usize = 32;
    const SHORTEST: usize = 4;
    let is_id = what.chars().all(|c| c.is_ascii_hexdigit());
    if is_id && what.len() == FULL_ID {
        match store.run(what) {
            Err(tracking::Error::NotFound(_)) => {}
            found => return Ok(found?),
        }
    }
    let ids: Vec<String> = experiments.keys().cloned().collect();
    let search = |filter: String, max_results: usize| -> Result<Vec<RunData>> {
        let query =
            RunQuery { experiment_ids: ids.clone(), filter, max_results, view: ViewType::All, ..RunQuery::default() };
        Ok(if ids.is_empty() { Vec::new() } else { store.search_runs(&query)?.items })
    };
    let quote = if what.contains('\'') { '"' } else { '\'' };
    let name = Field::Attribute(Attribute::RunName);
    let mut found = search(format!("{name} = {quote}{what}{quote}"), 10)?;
    let mut newest = Vec::new();
    if found.is_empty() {
        newest = search(String::new(), 1000)?;
        if is_id && what.len() >= SHORTEST {
            found = newest.iter().filter(|run| run.info.run_id.starts_with(what)).cloned().collect();
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let names = newest.iter().map(|run| run.info.name.as_str());
            Err(Mistake::new(format!("run `{what}` not found in `{}`", store.uri()))
                .hint(near_names(what, names))
                .into())
        }
        _ => {
            let ids: Vec<&str> = found.iter().map(|run| run.info.run_id.as_str()).collect();
            Err(Mistake::new(format!("`{what}` may be any of several runs"))
                .hint(format!("give one of {}", ids.join(", ")))
                .into())
        }
    }
}

/// `did you mean A?`, or which there are.
pub fn near_names<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let mut names: Vec<&str> = names.collect();
    let mut known = HashSet::new();
    names.retain(|name| known.insert(*name));
    let within = || names.iter().find(|name| name.contains(wanted) || wanted.contains(**name)).copied();
    if let Some(name) = nearest(wanted, names.iter().copied()).or_else(within) {
        return format!("did you mean `{name}`?");
    }
    let mut shown: Vec<&str> = names.iter().copied().take(SHOWN).collect();
    if names.len() > SHOWN {
        shown.push("..");
    }
    if shown.is_empty() { "there are none".to_owned() } else { format!("there are {}", shown.join(", ")) }
}

/// Fingerprint of the data that a run was trained on, with their split.
pub fn digest_of(run: &RunData) -> Option<&str> {
    let of_training =
        |input: &&DatasetInput| input.tags.get("mlflow.data.context").is_none_or(|context| context == "training");
    run.inputs.iter().find(of_training).map(|input| input.dataset.digest.as_str())
}

/// Where single files of a run are kept that were fetched from its store.
pub fn fetched_files(paths: &PathsConfig, run_id: &str) -> PathBuf {
    // Beside the models that were fetched, which may have the run's name.
    paths.models_dir.join(FETCHED).join("files").join(run_id)
}

/// Finds a file of a run, such as `configs/effective_app_config.yaml`; `None` if the run has none. What is fetched is kept
/// below the models folder.
pub fn run_file(store: &dyn Store, paths: &PathsConfig, run_id: &str, name: &str) -> Result<Option<PathBuf>> {
    let local = local_folder(run_id, &paths.models_dir).map(|folder| folder.join(name));
    if let Some(local) = local.filter(|path| path.is_file()) {
        return Ok(Some(local));
    }
    let path = fetched_files(paths, run_id).join(name);
    if path.is_file() {
        return Ok(Some(path));
    }
    let (folder, _) = name.rsplit_once('/').unwrap_or(("", name));
    let of = ArtifactsOf::Run(run_id);
    if !store.list_artifacts(of, folder)?.iter().any(|file| file.path == name) {
        return Ok(None);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create folder `{}`", folder.display()))?;
    }
    store.get_artifact(of, name, &path)?;
    Ok(Some(path))
}
