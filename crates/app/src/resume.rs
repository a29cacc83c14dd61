//! `--resume RUN_ID|PATH`: finds a stopped run's output folder, on this machine or in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tracking::{HttpOptions, Options, Run, Store, Tracker};

use crate::config::Override;
use crate::exit::Mistake;
use crate::model_place::FETCHED;
use crate::session::{MODEL_DIR, MlflowConfig, PathsConfig, folder_name};

/// The config that a run was started with, in its output folder and among its artifacts.
pub const EFFECTIVE_CONFIG: &str = "configs/effective_app_config.yaml";

/// What may be another value when a run goes on. With anything else it would be another run.
const CHANGEABLE: [&str; 17] = [
    "training.epochs",
    "training.early_stopping.patience",
    "training.time_budget_minutes",
    "training.log_every_steps",
    "training.checkpoint_every_epochs",
    "n_trials",
    "timeout_minutes",
    "max_failures",
    "patience",
    "workers",
    "storage",
    "retry",
    "device",
    "threads",
    "mlflow",
    "paths",
    "logging",
];

/// A run that can go on.
#[derive(Debug, Clone)]
pub struct StoppedRun {
    /// Its id.
    pub run_id: String,
    /// Its output folder, with checkpoint and config.
    pub folder: PathBuf,
    /// The params that it has logged; they cannot be changed.
    params: BTreeMap<String, String>,
    /// What has reached the store.
    pub logged: Logged,
}

/// How far a run had come before it was resumed: what does not end with an epoch is not computed again.
#[derive(Debug, Clone, Default)]
pub struct Logged {
    /// Whole epochs.
    pub epochs: BTreeSet<i64>,
    /// Step of the last point of each metric.
    latest: BTreeMap<String, i64>,
}

impl Logged {
    /// Asks the store.
    pub fn of(store: &dyn Store, run_id: &str) -> tracking::Result<Self> {
        let epochs = store.metric_history(run_id, "val_loss")?.into_iter().map(|point| point.step).collect();
        let metrics = store.run(run_id)?.metrics;
        Ok(Self { epochs, latest: metrics.into_iter().map(|(key, point)| (key, point.step)).collect() })
    }

    /// Whether a metric with one point per step has come so far.
    pub fn reaches(&self, key: &str, step: i64) -> bool {
        self.latest.get(key).is_some_and(|at| *at >= step)
    }
}

impl StoppedRun {
    /// Reads what the store knows about the run whose output folder this is. `mlflow` and `paths` are those of the run.
    pub fn open(folder: &Path, mlflow: &MlflowConfig, paths: &PathsConfig) -> Result<Self> {
        let run_id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let tracker = open_tracker(mlflow, paths)?;
        let store = tracker.store();
        let unknown = || format!("cannot resume run `{run_id}` in `{}`", store.uri());
        // What the run has left must not be logged a second time.
        tracker.send_rest_of(&run_id).with_context(unknown)?;
        let run = tracker.find_run(&run_id).with_context(unknown)?;
        let logged = Logged::of(store, &run.info.run_id).with_context(unknown)?;
        Ok(Self { run_id: run.info.run_id, folder: folder.to_owned(), params: run.params, logged })
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

/// Refuses overrides that would make another run of it. `is_nested`: parts of it are runs of their own, which may be done.
pub fn check_overrides(overrides: &[Override], is_nested: bool) -> Result<(), Mistake> {
    let is_changeable = |o: &&Override| {
        let inside = |key: &&str| o.key.strip_prefix(*key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        CHANGEABLE.iter().any(inside) && !(is_nested && o.key.starts_with("training."))
    };
    match overrides.iter().find(|o| !is_changeable(o)) {
        None => Ok(()),
        Some(o) => Err(Mistake::new(format!("`{}` cannot be changed when this run is resumed", o.key))
            .hint("resume without it, or start a new run; `init_from` starts one from this run's weights")),
    }
}

/// The output folder of a run: given by its path, or by the run's id below `models_dir`, else among the store's artifacts.
///
/// `places` tells where to look for an id; it is not asked for a path.
pub fn find_folder(what: &str, places: impl FnOnce() -> Result<(MlflowConfig, PathsConfig)>) -> Result<PathBuf> {
    let folder = if Path::new(what).is_dir() {
        PathBuf::from(what)
    } else {
        let (mlflow, paths) = places()?;
        match local_folder(what, &paths.models_dir) {
            Some(folder) => folder,
            None => download(what, open_tracker(&mlflow, &paths)?.store(), &mlflow, &paths)?,
        }
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
    let mut options = Options {
        artifact_root: paths.artifacts_dir.clone(),
        spool_dir: paths.spool_dir.clone(),
        http: HttpOptions::from_env()?,
        registry_uri: mlflow.registry_uri.clone(),
        strict: mlflow.strict,
        flush_interval: Duration::from_millis(mlflow.flush_interval_ms),
        fsync: mlflow.fsync,
        ..Options::default()
    };
    if let Some(uri) = &mlflow.tracking_uri {
        options.uri.clone_from(uri);
    }
    Ok(Tracker::open(&options)?)
}

/// `run_id` as the name of a folder one level below `models_dir`.
pub fn local_folder(run_id: &str, models_dir: &Path) -> Option<PathBuf> {
    // What was fetched of other machines' runs is not all of them.
    let experiments = fs::read_dir(models_dir).ok()?.flatten().filter(|folder| folder.file_name() != FETCHED);
    experiments.map(|experiment| experiment.path().join(run_id)).find(|folder| folder.is_dir())
}

/// Copies a run's artifacts to the place where its output folder belongs.
fn download(what: &str, store: &dyn Store, mlflow: &MlflowConfig, paths: &PathsConfig) -> Result<PathBuf> {
    let nowhere = |error: &dyn std::fmt::Display| {
        let problem = format!("`{what}`: no such folder, and no such run in `{}`: {error}", store.uri());
        Mistake::new(problem).hint(format!("runs on this machine: {}", list_runs(&paths.models_dir)))
    };
    let info = store.run(what).map_err(|error| nowhere(&error))?.info;
    let folder = paths.models_dir.join(folder_name(&mlflow.experiment_name)).join(&info.run_id);
    let partial = folder.with_extension("download");
    // What a download that was broken off has left.
    let _ = fs::remove_dir_all(&partial);
    match tracking::download(store, &format!("runs:/{}", info.run_id), &partial) {
        Err(error @ tracking::Error::NotFound(_)) => return Err(nowhere(&error).into()),
        fetched => fetched?,
    };
    // Logged as a model, not among the artifacts; a run that was stopped has none.
    let model = partial.join(MODEL_DIR);
    if !model.exists() {
        match tracking::download(store, &format!("runs:/{}/{MODEL_DIR}", info.run_id), &model) {
            Ok(_) | Err(tracking::Error::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    fs::rename(&partial, &folder).with_context(|| format!("cannot write `{}`", folder.display()))?;
    Ok(folder)
}

/// The output folders of runs that have this file, newest first.
pub fn newest_runs(models_dir: &Path, file: &str) -> Vec<PathBuf> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let runs = entries(models_dir).flat_map(|experiment| entries(&experiment).collect::<Vec<_>>());
    let mut runs: Vec<_> =
        runs.filter_map(|run| Some((fs::metadata(run.join(file)).ok()?.modified().ok()?, run))).collect();
    runs.sort();
    runs.into_iter().rev().map(|(_, run)| run).collect()
}

/// Runs that could be meant.
fn list_runs(models_dir: &Path) -> String {
    let newest = newest_runs(models_dir, EFFECTIVE_CONFIG);
    let names: Vec<_> = newest.iter().take(5).map(|run| run.display().to_string()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
