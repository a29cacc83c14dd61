//! A run's model as a version of a registered model.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use tracking::{NewRegisteredModel, NewVersion, Registry, Store};

use crate::exit::Mistake;
use crate::model_place::logged_model_of;

/// The file that makes a folder a model for MLflow.
const MLMODEL: &str = "MLmodel";

/// The address of a run's model, or why it has none. `folder`: among the run's artifacts, where its store has no logged models.
pub fn model_source(store: &dyn Store, run_id: &str, folder: &str) -> Result<String> {
    if let Some(model_id) = logged_model_of(store, run_id) {
        return Ok(format!("models:/{model_id}"));
    }
    let source = format!("runs:/{run_id}/{folder}");
    let place = tracking::resolve(store, &source)?;
    let files = store.list_artifacts(place.of(), &place.path)?;
    let is_model = files.iter().any(|file| file.path.rsplit('/').next() == Some(MLMODEL));
    if is_model {
        return Ok(source);
    }
    let problem = format!("run `{run_id}` has no model: there is no `{folder}/{MLMODEL}` among its artifacts");
    let hint = "trials and baselines keep none; `--kind train` or `--kind refit` ranks runs that do";
    Err(Mistake::new(problem).hint(hint).into())
}

/// What a version says beside its model.
pub struct VersionText {
    /// Of the registered model, if it is made now.
    pub model: String,
    /// Of the version.
    pub version: String,
    /// Of the version.
    pub tags: BTreeMap<String, String>,
}

/// The version that a run's model is under this name, and whether it was made now: a run has one.
pub fn ensure_version(
    registry: &dyn Registry,
    (name, run_id): (&str, &str),
    source: String,
    text: VersionText,
) -> Result<(u32, bool)> {
    match registry.model(name) {
        Ok(_) => {}
        Err(tracking::Error::NotFound(_)) => {
            let model = NewRegisteredModel { name: name.to_owned(), description: text.model, tags: BTreeMap::new() };
            match registry.create_model(&model) {
                // Another process was quicker.
                Ok(_) | Err(tracking::Error::AlreadyExists(_)) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot register model `{name}`")),
            }
        }
        Err(error) => return Err(error.into()),
    }
    let known = registry.versions(name)?;
    if let Some(known) = known.iter().find(|version| version.run_id.as_deref() == Some(run_id)) {
        return Ok((known.version, false));
    }
    let version = registry.create_version(&NewVersion {
        name: name.to_owned(),
        source,
        run_id: Some(run_id.to_owned()),
        model_id: None,
        description: text.version,
        tags: text.tags,
    });
    Ok((version.with_context(|| format!("cannot register a version of `{name}`"))?.version, true))
}
