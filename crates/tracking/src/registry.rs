//! The two interfaces beside [`Store`](crate::Store) for models: the registry and MLflow 3's logged models.

use crate::{
    DatasetName, LoggedModel, Metric, ModelOutput, ModelStatus, ModelVersion, NewLoggedModel, NewRegisteredModel,
    NewVersion, RegisteredModel, Result, Stage, model_rules,
};

/// Registered models, their versions, aliases and tags. Every store has it:
/// [`Store::registry`](crate::Store::registry).
///
/// A call that names a model, version or alias that is not there errors with
/// [`Error::NotFound`](crate::Error::NotFound), unless it says otherwise.
pub trait Registry: Send + Sync {
    /// Registers a name. Errors with [`Error::AlreadyExists`](crate::Error::AlreadyExists) when it is taken.
    fn create_model(&self, model: &NewRegisteredModel) -> Result<RegisteredModel>;
    /// Reads a registered model.
    fn model(&self, name: &str) -> Result<RegisteredModel>;
    /// All registered models by name. Prompts, which MLflow keeps among them, are left out.
    fn models(&self) -> Result<Vec<RegisteredModel>>;
    /// Replaces the description.
    fn set_model_description(&self, name: &str, description: &str) -> Result<()>;
    /// Gives a model and its versions another name. Errors with
    /// [`Error::AlreadyExists`](crate::Error::AlreadyExists) when that is taken.
    fn rename_model(&self, name: &str, new_name: &str) -> Result<()>;
    /// Removes a model with its versions; their files stay.
    fn delete_model(&self, name: &str) -> Result<()>;
    /// Sets a tag.
    fn set_model_tag(&self, name: &str, key: &str, value: &str) -> Result<()>;
    /// Removes a tag; one that is not there is no error.
    fn delete_model_tag(&self, name: &str, key: &str) -> Result<()>;

    /// Adds the next version. A version that comes from a logged model is also noted in that model's tag
    /// `mlflow.modelVersions`, as MLflow does.
    fn create_version(&self, version: &NewVersion) -> Result<ModelVersion>;
    /// Reads a version.
    fn version(&self, name: &str, version: u32) -> Result<ModelVersion>;
    /// All versions of a model, oldest first.
    fn versions(&self, name: &str) -> Result<Vec<ModelVersion>>;
    /// The root of a version's files: a path or URI.
    fn version_location(&self, name: &str, version: u32) -> Result<String>;
    /// Replaces the description.
    fn set_version_description(&self, name: &str, version: u32, description: &str) -> Result<()>;
    /// Removes a version and its aliases; its files stay.
    fn delete_version(&self, name: &str, version: u32) -> Result<()>;
    /// Moves a version to a stage; `archive_existing` moves the others that are there to `Archived`.
    /// Errors with [`Error::Invalid`](crate::Error::Invalid) when that is asked for another stage than `Staging` or `Production`.
    fn set_stage(&self, name: &str, version: u32, stage: Stage, archive_existing: bool) -> Result<()>;
    /// Sets a tag.
    fn set_version_tag(&self, name: &str, version: u32, key: &str, value: &str) -> Result<()>;
    /// Removes a tag; one that is not there is no error.
    fn delete_version_tag(&self, name: &str, version: u32, key: &str) -> Result<()>;

    /// Points an alias to a version, and away from where it pointed before.
    /// Errors with [`Error::Invalid`](crate::Error::Invalid) for `latest`, `v1` and the like, which are reserved.
    fn set_alias(&self, name: &str, alias: &str, version: u32) -> Result<()>;
    /// Points an alias to `version` if it points to `expected` now (`None`: if it is not there). Errors with
    /// [`Error::Conflict`](crate::Error::Conflict), which says where it points, and changes nothing otherwise.
    ///
    /// MLflow's servers cannot do this in one step. There the alias is read and then set: of two callers that are within
    /// one round trip of each other, both may be told that they have won, and the later one has.
    fn move_alias(&self, name: &str, alias: &str, expected: Option<u32>, version: u32) -> Result<()> {
        model_rules::check_alias(alias)?;
        model_rules::check_expected(name, alias, expected, self.model(name)?.aliases.get(alias).copied())?;
        self.set_alias(name, alias, version)
    }
    /// Removes an alias; one that is not there is no error.
    fn delete_alias(&self, name: &str, alias: &str) -> Result<()>;
    /// The version that an alias points to.
    fn version_by_alias(&self, name: &str, alias: &str) -> Result<ModelVersion> {
        let model = self.model(name)?;
        let version = model.aliases.get(alias).ok_or_else(|| model_rules::alias_not_found(&model, alias))?;
        self.version(name, *version)
    }
}

/// Logged models, MLflow 3's `models:/m-ID`. Where they are not to be had,
/// [`Store::logged_models`](crate::Store::logged_models) says why.
///
/// A call that names a model or run that is not there errors with [`Error::NotFound`](crate::Error::NotFound).
pub trait LoggedModels: Send + Sync {
    /// Creates a model with status `PENDING`. Its files go to [`ArtifactsOf::Model`](crate::ArtifactsOf::Model).
    fn create(&self, model: &NewLoggedModel) -> Result<LoggedModel>;
    /// Reads a model. A deleted one is not found.
    fn get(&self, model_id: &str) -> Result<LoggedModel>;
    /// All models of some experiments, newest first.
    fn list(&self, experiment_ids: &[String]) -> Result<Vec<LoggedModel>>;
    /// Says that the files are complete, or never will be.
    fn set_status(&self, model_id: &str, status: ModelStatus) -> Result<()>;
    /// Sets tags, `(key, value)` each.
    fn set_tags(&self, model_id: &str, tags: &[(String, String)]) -> Result<()>;
    /// Removes a tag. Errors with [`Error::NotFound`](crate::Error::NotFound) when there is none.
    fn remove_tag(&self, model_id: &str, key: &str) -> Result<()>;
    /// Deletes a model; its files stay.
    fn delete(&self, model_id: &str) -> Result<()>;
    /// Says which models a run made. Idempotent.
    fn log_outputs(&self, run_id: &str, outputs: &[ModelOutput]) -> Result<()>;
    /// Says which models a run has used. Idempotent.
    fn log_model_inputs(&self, run_id: &str, model_ids: &[String]) -> Result<()>;
    /// Writes points that belong to a run and, with the data they were measured on, to a model. Idempotent. MLflow has one
    /// value per model, run, key, step and time; do not send another one.
    fn log_metrics(
        &self,
        run_id: &str,
        model_id: &str,
        metrics: &[Metric],
        dataset: Option<&DatasetName>,
    ) -> Result<()>;
}
