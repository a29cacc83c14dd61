//! `--resume RUN_ID|PATH`: finds a stopped run's output folder, on this machine or in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tracking::{HttpOptions, Options, Run, Store, Tracker};

use crate::config::Override;
use crate::exit::Mistake;
use crate::session::{MlflowConfig, PathsConfig, folder_name};

/// The config that a run was started with, in its output folder and among its artifacts.
pub const EFFECTIVE_CONFIG: &str = "configs/effective_app_config.yaml";

/// Sections that make a run what it is: with another value it would be another run.
const FIXED: [&str; 8] = ["seed", "data", "features", "model", "cv", "ensemble", "baselines", "init_from"];

/// A run that can go on.
#[derive(Debug, Clone)]
pub struct StoppedRun {
    /// Its id.
    pub run_id: String,
    /// Its output folder, with checkpoint and config.
    pub folder: PathBuf,
    /// The params that it has logged; they cannot be changed.
    params: BTreeMap<String, String>,
    /// The epochs whose metrics have reached the store.
    pub logged_epochs: BTreeSet<i64>,
}

impl StoppedRun {
    /// Reads what the store knows about the run whose output folder this is. `mlflow` and `paths` are those of the run.
    pub fn open(folder: &Path, mlflow: &MlflowConfig, paths: &PathsConfig) -> Result<Self> {
        let run_id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let tracker = open_tracker(mlflow, paths)?;
        let store = tracker.store();
        let unknown = || format!("cannot resume run `{run_id}` in `{}`", store.uri());
        let params = store.run(&run_id).with_context(unknown)?.params;
        let logged_epochs = logged_epochs(store, &run_id).with_context(unknown)?;
        Ok(Self { run_id, folder: folder.to_owned(), params, logged_epochs })
    }

    /// Logs new params. One that had another value keeps it, as MLflow wants it; the new one becomes a tag.
    pub fn log_changes(&self, run: &Run, params: BTreeMap<String, String>) {
        let (known, new): (BTreeMap<_, _>, BTreeMap<_, _>) =
            params.into_iter().partition(|(key, _)| self.params.contains_key(key));
        run.log_params(&new);
        for (key, value) in known.iter().filter(|(key, value)| self.params.get(*key) != Some(*value)) {
            run.set_tag(&format!("resumed.{key}"), value);
        }
    }
}

/// Refuses overrides that would make another run of it.
pub fn check_overrides(overrides: &[Override]) -> Result<(), Mistake> {
    let is_fixed = |o: &&Override| FIXED.contains(&o.key.split('.').next().unwrap_or_default());
    match overrides.iter().find(is_fixed) {
        None => Ok(()),
        Some(o) => Err(Mistake::new(format!("`{}` cannot be changed when a run is resumed", o.key))
            .hint("resume without it, or start a new run; `init_from` starts one from this run's weights")),
    }
}

/// The output folder of a run: given by its path, or by the run's id below `models_dir`, else among the store's artifacts.
pub fn find_folder(what: &str, mlflow: &MlflowConfig, paths: &PathsConfig) -> Result<PathBuf> {
    let folder = match local_folder(what, &paths.models_dir) {
        Some(folder) => folder,
        None => download(what, open_tracker(mlflow, paths)?.store(), mlflow, paths)?,
    };
    if !folder.join(EFFECTIVE_CONFIG).is_file() {
        let problem = format!("`{what}`: `{}` is not the output folder of a run", folder.display());
        return Err(Mistake::new(problem).hint(format!("it has no `{EFFECTIVE_CONFIG}`")).into());
    }
    folder.canonicalize().with_context(|| format!("cannot open folder `{}`", folder.display()))
}

/// Opens the store that the config names.
pub fn open_tracker(mlflow: &MlflowConfig, paths: &PathsConfig) -> Result<Tracker> {
    if !mlflow.enabled {
        return Ok(Tracker::disabled());
    }
    let mut options =
        Options { artifact_root: paths.artifacts_dir.clone(), http: HttpOptions::from_env()?, ..Options::default() };
    if let Some(uri) = &mlflow.tracking_uri {
        options.uri.clone_from(uri);
    }
    Ok(Tracker::open(&options)?)
}

/// The epochs whose metrics have reached the store.
pub fn logged_epochs(store: &dyn Store, run_id: &str) -> tracking::Result<BTreeSet<i64>> {
    Ok(store.metric_history(run_id, "val_loss")?.into_iter().map(|point| point.step).collect())
}

/// `what` as a folder, or as the name of a folder one level below `models_dir`.
fn local_folder(what: &str, models_dir: &Path) -> Option<PathBuf> {
    let path = Path::new(what);
    if path.is_dir() {
        return Some(path.to_owned());
    }
    let experiments = fs::read_dir(models_dir).ok()?;
    experiments.flatten().map(|experiment| experiment.path().join(what)).find(|folder| folder.is_dir())
}

/// Copies a run's artifacts to the place where its output folder belongs.
fn download(what: &str, store: &dyn Store, mlflow: &MlflowConfig, paths: &PathsConfig) -> Result<PathBuf> {
    let nowhere = |error: &dyn std::fmt::Display| {
        let problem = format!("`{what}`: no such folder, and no such run in `{}`: {error}", store.uri());
        Mistake::new(problem).hint(format!("runs on this machine: {}", list_runs(&paths.models_dir)))
    };
    let info = store.run(what).map_err(|error| nowhere(&error))?.info;
    let folder = paths.models_dir.join(folder_name(&mlflow.experiment_name)).join(&info.run_id);
    let mut folders = vec![String::new()];
    let mut files = Vec::new();
    while let Some(next) = folders.pop() {
        for artifact in store.list_artifacts(what, &next)? {
            if artifact.is_dir { folders.push(artifact.path) } else { files.push(artifact.path) }
        }
    }
    if files.is_empty() {
        return Err(nowhere(&"it has no artifacts").into());
    }
    for file in files {
        let local = folder.join(&file);
        fs::create_dir_all(local.parent().unwrap_or(&folder))?;
        store.get_artifact(what, &file, &local)?;
    }
    Ok(folder)
}

/// Run ids with a config in their output folder, newest first.
fn list_runs(models_dir: &Path) -> String {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let runs = entries(models_dir).flat_map(|experiment| entries(&experiment).collect::<Vec<_>>());
    let mut runs: Vec<_> =
        runs.filter_map(|run| Some((fs::metadata(run.join(EFFECTIVE_CONFIG)).ok()?.modified().ok()?, run))).collect();
    runs.sort();
    let names: Vec<_> = runs.iter().rev().take(5).map(|(_, run)| run.display().to_string()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
