//! Plain data of the model registry and of logged models, with MLflow's names and units.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Metric, Millis};

/// What [`Registry::create_model`](crate::Registry::create_model) needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewRegisteredModel {
    /// Unique name without `/` and `:`.
    pub name: String,
    /// Markdown; may be empty.
    pub description: String,
    /// First tags.
    pub tags: BTreeMap<String, String>,
}

/// A name under which versions of a model are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisteredModel {
    /// Unique name.
    pub name: String,
    /// Markdown; empty when there is none.
    pub description: String,
    /// Creation time.
    pub creation_time_ms: Millis,
    /// Time of the last change.
    pub last_update_time_ms: Millis,
    /// Alias to version, e.g. `champion -> 3`.
    pub aliases: BTreeMap<String, u32>,
    /// Free tags.
    pub tags: BTreeMap<String, String>,
}

/// What [`Registry::create_version`](crate::Registry::create_version) needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewVersion {
    /// Name of the registered model, which must exist.
    pub name: String,
    /// Where the files are: `models:/m-ID` (a logged model), `runs:/RUN_ID/FOLDER`, `models:/NAME/VERSION`, or the
    /// address of a folder below the artifacts of `run_id` or `model_id`.
    pub source: String,
    /// The run that made it. A source `runs:/...` or `models:/...` says it by itself.
    pub run_id: Option<String>,
    /// The logged model that it is. A source `models:/m-ID` says it by itself.
    pub model_id: Option<String>,
    /// Markdown; may be empty.
    pub description: String,
    /// First tags.
    pub tags: BTreeMap<String, String>,
}

/// A version of a registered model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelVersion {
    /// Name of the registered model.
    pub name: String,
    /// Counted from 1; the number of a deleted version is not used again.
    pub version: u32,
    /// Where it came from, as given. [`Registry::version_location`](crate::Registry::version_location) has the files.
    pub source: String,
    /// The run that made it.
    pub run_id: Option<String>,
    /// Markdown; empty when there is none.
    pub description: String,
    /// Deprecated by MLflow in favour of aliases, and still used.
    pub stage: Stage,
    /// Creation time.
    pub creation_time_ms: Millis,
    /// Time of the last change.
    pub last_update_time_ms: Millis,
    /// Aliases that point to it, sorted.
    pub aliases: Vec<String>,
    /// Free tags.
    pub tags: BTreeMap<String, String>,
}

/// Where a version stands on its way to production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Stage {
    /// Nowhere (default).
    #[default]
    None,
    /// On trial.
    Staging,
    /// In use.
    Production,
    /// Out of use.
    Archived,
}

impl Stage {
    /// All stages in MLflow's order.
    pub const ALL: [Self; 4] = [Self::None, Self::Staging, Self::Production, Self::Archived];

    /// MLflow's spelling: `None`, `Staging`, `Production`, `Archived`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Staging => "Staging",
            Self::Production => "Production",
            Self::Archived => "Archived",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = Error;

    /// Upper and lower case are the same, as in MLflow.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|stage| stage.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            Error::Invalid(format!("Invalid Model Version stage: `{text}`. Hint: it must be one of {all}."))
        })
    }
}

/// What [`LoggedModels::create`](crate::LoggedModels::create) needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewLoggedModel {
    /// The experiment that it belongs to.
    pub experiment_id: String,
    /// Shown name, not unique, without `/ : . % " '`.
    pub name: String,
    /// Free word for the kind of model; may be empty.
    pub model_type: String,
    /// The run that makes it.
    pub source_run_id: Option<String>,
    /// Written once.
    pub params: BTreeMap<String, String>,
    /// Replaceable.
    pub tags: BTreeMap<String, String>,
}

/// A folder with a model, for [`Run::log_model`](crate::Run::log_model).
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFiles {
    /// The folder; all files below it belong to the model.
    pub local_dir: PathBuf,
    /// Shown name, `model` by default: the model is also found as `runs:/RUN_ID/NAME`. Characters that MLflow does not take
    /// (`/ : . % " '`) become `_`.
    pub name: String,
    /// Free word for the kind of model; may be empty.
    pub model_type: String,
    /// Written once.
    pub params: BTreeMap<String, String>,
    /// Replaceable.
    pub tags: BTreeMap<String, String>,
    /// Metrics of the model: key, value, the data that it was measured on. One that the run has logged with this value is that
    /// point; one that the run does not have becomes a point of the run too, at `step`; one that the run has with other values
    /// only is left out, because MLflow would put it into the run's curve.
    pub metrics: Vec<(String, f64, Option<DatasetName>)>,
    /// The step at which the model was made.
    pub step: i64,
}

impl ModelFiles {
    /// The files below a folder as model `model`, without params, tags and metrics.
    pub fn new(local_dir: impl Into<PathBuf>) -> Self {
        Self {
            local_dir: local_dir.into(),
            name: "model".to_owned(),
            model_type: String::new(),
            params: BTreeMap::new(),
            tags: BTreeMap::new(),
            metrics: Vec::new(),
            step: 0,
        }
    }
}

/// A model of MLflow 3: files with params, tags and metrics of their own, found as `models:/m-ID`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggedModel {
    /// `m-` and 32 hexadecimal digits.
    pub model_id: String,
    /// The experiment that it belongs to.
    pub experiment_id: String,
    /// Shown name.
    pub name: String,
    /// Root of its files: a path or URI.
    pub artifact_location: String,
    /// Creation time.
    pub creation_time_ms: Millis,
    /// Time of the last change of its status.
    pub last_update_time_ms: Millis,
    /// Whether its files are complete.
    pub status: ModelStatus,
    /// Kind of model; empty when nobody said.
    pub model_type: String,
    /// The run that made it.
    pub source_run_id: Option<String>,
    /// Written once.
    pub params: BTreeMap<String, String>,
    /// Replaceable.
    pub tags: BTreeMap<String, String>,
    /// All its points, in order of (key, step, timestamp, run).
    pub metrics: Vec<ModelMetric>,
}

/// Whether the files of a logged model are complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ModelStatus {
    /// Being written.
    Pending,
    /// Complete.
    Ready,
    /// Given up.
    Failed,
}

/// A point that belongs to a logged model. NaN is stored as 0, as MLflow does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelMetric {
    /// Key, value, time, step.
    pub metric: Metric,
    /// The run that measured it.
    pub run_id: String,
    /// The data that it was measured on.
    pub dataset: Option<DatasetName>,
}

/// What identifies a data set in an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetName {
    /// Shown name.
    pub name: String,
    /// Fingerprint of its content.
    pub digest: String,
}

/// A logged model that a run made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelOutput {
    /// `m-` and 32 hexadecimal digits.
    pub model_id: String,
    /// The step at which it was made.
    pub step: i64,
}

/// Whose artifacts are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactsOf<'a> {
    /// A run, by id.
    Run(&'a str),
    /// A logged model, by id.
    Model(&'a str),
    /// A folder of artifacts by its path or URI, as versions of a registered model have it.
    Location(&'a str),
}

impl fmt::Display for ArtifactsOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run_id) => write!(f, "run `{run_id}`"),
            Self::Model(model_id) => write!(f, "model `{model_id}`"),
            Self::Location(uri) => write!(f, "`{}`", crate::redact_url(uri)),
        }
    }
}
