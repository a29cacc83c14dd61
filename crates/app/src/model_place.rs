//! Where a model is: by its run, its folder, or an address of the registry.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use tracking::{ArtifactsOf, ModelUri, Store};

use crate::exit::Mistake;
use crate::resume::{EFFECTIVE_CONFIG, find_folder, newest_runs, open_tracker};
use crate::session::{MlflowConfig, PathsConfig};

/// The file that makes a folder a model of ours.
pub const BUNDLE: &str = "bundle.json";
/// In a run's output folder.
pub const MODEL_FOLDER: &str = "model";
/// Below the models folder: models that were fetched from a store.
pub const FETCHED: &str = "fetched";

/// A model on this machine, and what is known of its origin.
#[derive(Debug, Clone)]
pub struct ModelPlace {
    /// Has the `bundle.json`.
    pub folder: PathBuf,
    /// As it was asked for.
    pub asked: String,
    /// The run that made it.
    pub run_id: Option<String>,
    /// The logged model of MLflow 3 that it is.
    pub model_id: Option<String>,
    /// Name and version in the registry, where it was asked for by these.
    pub registered: Option<(String, u32)>,
}

impl ModelPlace {
    /// Finds a model by the id of its run, the run's output folder, the folder with the `bundle.json`, or an address
    /// `models:/..` or `runs:/..`. `wanted_by` is the setting or flag that names it, for messages.
    pub fn find(wanted_by: &str, what: &str, mlflow: &MlflowConfig, paths: &PathsConfig) -> Result<Self> {
        let place = if what.starts_with("models:") || what.starts_with("runs:") {
            fetch(what, mlflow, paths).with_context(|| format!("`{wanted_by}: {what}`"))?
        } else {
            local(wanted_by, what, mlflow, paths)?
        };
        if !place.folder.join(BUNDLE).is_file() {
            let problem = format!("`{wanted_by}: {what}`: no model of this workspace in `{}`", place.folder.display());
            let hint = "the run must have finished; `--resume` goes on with one that has not";
            return Err(Mistake::new(problem).hint(hint).into());
        }
        Ok(place)
    }

    /// The newest model below the models folder; `is_wanted` gets its type, such as `tabular_mlp`.
    pub fn newest(models_dir: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Self, Mistake> {
        let runs = newest_runs(models_dir, &format!("{MODEL_FOLDER}/{BUNDLE}"));
        let is_one = |run: &PathBuf| model_type(&run.join(MODEL_FOLDER)).is_ok_and(|kind| is_wanted(&kind));
        let newest = runs.into_iter().find(is_one).ok_or_else(|| {
            Mistake::new(format!("no such model below `{}`", models_dir.display())).hint(
                "train one with `cargo run --bin train_tabular_mlp` or `train_ts_mlp`, or name one with `--model`",
            )
        })?;
        Ok(Self::of_run(&newest, &newest.display().to_string()))
    }

    fn of_run(run_folder: &Path, asked: &str) -> Self {
        let run_id = run_folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let (folder, asked) = (run_folder.join(MODEL_FOLDER), asked.to_owned());
        Self { folder, asked, run_id, model_id: None, registered: None }
    }

    /// `tabular_mlp`, `ts_mlp`.
    pub fn model_type(&self) -> Result<String> {
        model_type(&self.folder)
    }
}

fn model_type(folder: &Path) -> Result<String> {
    #[derive(Deserialize)]
    struct Header {
        model_type: String,
    }
    let path = folder.join(BUNDLE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let header: Header = serde_json::from_str(&text)
        .with_context(|| format!("`{}` is not the description of a model", path.display()))?;
    Ok(header.model_type)
}

fn local(wanted_by: &str, what: &str, mlflow: &MlflowConfig, paths: &PathsConfig) -> Result<ModelPlace> {
    let path = Path::new(what);
    if path.join(BUNDLE).is_file() {
        let folder = path.canonicalize().with_context(|| format!("cannot open folder `{what}`"))?;
        let run_folder = folder.parent().filter(|run| run.join(EFFECTIVE_CONFIG).is_file());
        let run_id = run_folder.and_then(|run| Some(run.file_name()?.to_string_lossy().into_owned()));
        return Ok(ModelPlace { folder, asked: what.to_owned(), run_id, model_id: None, registered: None });
    }
    let places = || Ok((mlflow.clone(), paths.clone()));
    let run_folder = find_folder(what, places).with_context(|| format!("`{wanted_by}`"))?;
    let place = ModelPlace::of_run(&run_folder, what);
    if place.folder.join(BUNDLE).is_file() {
        return Ok(place);
    }
    // The run was fetched from its server, whose model stands apart from the run's files.
    match &place.run_id {
        Some(run_id) if mlflow.enabled => {
            let fetched = fetch(&format!("runs:/{run_id}/{MODEL_FOLDER}"), mlflow, paths);
            Ok(fetched.map_or(place, |fetched| ModelPlace { asked: what.to_owned(), ..fetched }))
        }
        _ => Ok(place),
    }
}

/// Copies the files of a model to this machine, unless they are there.
fn fetch(uri: &str, mlflow: &MlflowConfig, paths: &PathsConfig) -> Result<ModelPlace> {
    let tracker = open_tracker(mlflow, paths)?;
    let parsed: ModelUri = uri.parse()?;
    let registry = tracker.registry_store()?;
    let is_of_run = matches!(parsed, ModelUri::Run { .. });
    let store = if is_of_run { tracker.store() } else { registry.as_ref() };
    let registered = tracking::registered_version(store, uri)?;
    let place = tracking::resolve(store, uri)?;
    let (mut run_id, mut model_id) = (None, None);
    let key = match place.of() {
        ArtifactsOf::Model(id) => {
            model_id = Some(id.to_owned());
            run_id = store.logged_models()?.get(id)?.source_run_id;
            id.to_owned()
        }
        ArtifactsOf::Run(id) => {
            run_id = Some(id.to_owned());
            id.to_owned()
        }
        ArtifactsOf::Location(_) => String::new(),
    };
    let key = match &registered {
        Some((name, version)) if key.is_empty() => format!("{}-{version}", crate::session::folder_name(name)),
        _ if key.is_empty() => "model".to_owned(),
        _ => key,
    };
    if let (Some((name, version)), None) = (&registered, &run_id) {
        run_id = store.registry().version(name, *version)?.run_id;
    }
    let folder = paths.models_dir.join(FETCHED).join(&key);
    if !folder.join(BUNDLE).is_file() {
        // Another process may want the same model at the same time.
        let partial = folder.with_file_name(format!("{key}.{}.part", std::process::id()));
        tracking::download(store, uri, &partial)?;
        let moved = fs::rename(&partial, &folder);
        if moved.is_err() {
            let _ = fs::remove_dir_all(&partial);
        }
        if !folder.is_dir() {
            moved.with_context(|| format!("cannot write folder `{}`", folder.display()))?;
        }
    }
    Ok(ModelPlace { folder, asked: uri.to_owned(), run_id, model_id, registered })
}

/// The logged model that a run made last, if its store has such.
pub fn logged_model_of(store: &dyn Store, run_id: &str) -> Option<String> {
    store.run(run_id).ok()?.outputs.last().map(|output| output.model_id.clone())
}
