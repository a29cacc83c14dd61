//! Plain data that goes into and comes out of a [`Store`](crate::Store), with MLflow's names and units.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, ModelOutput, redact_url};

/// Milliseconds since the Unix epoch, MLflow's only unit of time.
pub type Millis = i64;

/// How a run stands. `Running` until [`Store::update_run`](crate::Store::update_run) says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunStatus {
    /// The run is being written.
    Running,
    /// Announced, not started.
    Scheduled,
    /// Ended well.
    Finished,
    /// Ended with an error or a panic.
    Failed,
    /// Stopped from outside: a signal, a kill, a power cut.
    Killed,
}

impl RunStatus {
    /// MLflow's spelling: `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED`, `KILLED`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Scheduled => "SCHEDULED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RunStatus {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Running, Self::Scheduled, Self::Finished, Self::Failed, Self::Killed]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| Error::Invalid(format!("`{text}` is not a run status")))
    }
}

/// `Active` or in the bin (`Deleted`, restorable).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// Normal.
    Active,
    /// Deleted, and restorable until it is purged.
    Deleted,
}

/// Which lifecycle a search looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ViewType {
    /// Active only (default).
    #[default]
    ActiveOnly,
    /// Deleted only.
    DeletedOnly,
    /// Both.
    All,
}

/// A named group of runs. Its `Debug` output shows the artifact location without credentials.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// Decimal id, unique in a store.
    pub experiment_id: String,
    /// Unique name, at most 500 characters.
    pub name: String,
    /// Where artifacts of its runs go: a path or URI.
    pub artifact_location: String,
    /// Active or deleted.
    pub lifecycle: Lifecycle,
    /// Creation time.
    pub creation_time_ms: Millis,
    /// Time of the last change.
    pub last_update_time_ms: Millis,
    /// Free tags.
    pub tags: BTreeMap<String, String>,
}

impl fmt::Debug for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Experiment")
            .field("experiment_id", &self.experiment_id)
            .field("name", &self.name)
            .field("artifact_location", &redact_url(&self.artifact_location))
            .field("lifecycle", &self.lifecycle)
            .field("creation_time_ms", &self.creation_time_ms)
            .field("last_update_time_ms", &self.last_update_time_ms)
            .field("tags", &self.tags)
            .finish()
    }
}

/// What [`Store::create_run`](crate::Store::create_run) needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewRun {
    /// The experiment the run belongs to.
    pub experiment_id: String,
    /// Shown name; also written as tag `mlflow.runName`.
    pub name: String,
    /// Owner; also written as tag `mlflow.user`.
    pub user: String,
    /// Start.
    pub start_time_ms: Millis,
    /// First tags, `mlflow.parentRunId` and `mlflow.source.*` among them.
    pub tags: BTreeMap<String, String>,
}

/// The facts about a run that never grow. Its `Debug` output shows the artifact root without credentials.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// 32 hexadecimal digits.
    pub run_id: String,
    /// The experiment the run belongs to.
    pub experiment_id: String,
    /// Shown name.
    pub name: String,
    /// Owner.
    pub user: String,
    /// How the run stands.
    pub status: RunStatus,
    /// Start.
    pub start_time_ms: Millis,
    /// End, `None` while running.
    pub end_time_ms: Option<Millis>,
    /// Active or deleted.
    pub lifecycle: Lifecycle,
    /// Root of the run's artifacts: a path or URI.
    pub artifact_uri: String,
}

impl fmt::Debug for RunInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunInfo")
            .field("run_id", &self.run_id)
            .field("experiment_id", &self.experiment_id)
            .field("name", &self.name)
            .field("user", &self.user)
            .field("status", &self.status)
            .field("start_time_ms", &self.start_time_ms)
            .field("end_time_ms", &self.end_time_ms)
            .field("lifecycle", &self.lifecycle)
            .field("artifact_uri", &redact_url(&self.artifact_uri))
            .finish()
    }
}

/// A run with its params, tags, data sets and the latest value of every metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunData {
    /// Id, status, times.
    pub info: RunInfo,
    /// Written once each.
    pub params: BTreeMap<String, String>,
    /// Replaceable.
    pub tags: BTreeMap<String, String>,
    /// The point with the greatest (step, timestamp, value) of each key.
    pub metrics: BTreeMap<String, Metric>,
    /// What the run read.
    pub inputs: Vec<DatasetInput>,
    /// The logged models that the run made. On a server of MLflow 3.1 a search leaves them out, and
    /// [`Store::run`](crate::Store::run) has them.
    pub outputs: Vec<ModelOutput>,
    /// Ids of the logged models that the run has used. A search may leave them out as it does the outputs.
    #[serde(default)]
    pub model_inputs: Vec<String>,
}

/// One point of a metric. NaN and infinities are allowed and stored as MLflow stores them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Name, at most 250 characters.
    pub key: String,
    /// Value.
    pub value: f64,
    /// When it was measured.
    pub timestamp_ms: Millis,
    /// Position on the x axis, usually the epoch.
    pub step: i64,
}

/// What one call of [`Store::log_batch`](crate::Store::log_batch) writes. A param or tag is `(key, value)`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Points, any number: the store splits to its own limits.
    pub metrics: Vec<Metric>,
    /// Immutable once written; the same value again is harmless.
    pub params: Vec<(String, String)>,
    /// Replace earlier values.
    pub tags: Vec<(String, String)>,
}

impl Batch {
    /// Number of points, params and tags.
    pub fn len(&self) -> usize {
        self.metrics.len() + self.params.len() + self.tags.len()
    }

    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A data set as MLflow's `Dataset` column shows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// Shown name, at most 500 characters.
    pub name: String,
    /// Fingerprint of the content, at most 36 characters.
    pub digest: String,
    /// `local`, `http`, ...
    pub source_type: String,
    /// JSON, e.g. `{"uri": "data/adult.csv"}`.
    pub source: String,
    /// JSON: `{"mlflow_colspec": [{"type": "double", "name": "age", "required": true}, ...]}`.
    pub schema: Option<String>,
    /// JSON: `{"num_rows": 48842, "num_elements": 781472}`.
    pub profile: Option<String>,
}

/// A data set and what the run used it for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetInput {
    /// The data set.
    pub dataset: Dataset,
    /// Tags; MLflow shows `mlflow.data.context` (`training`, `validation`, `test`).
    pub tags: BTreeMap<String, String>,
}

/// A file or folder below the artifact root of a run or model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Path relative to that root, with `/`.
    pub path: String,
    /// True for a folder.
    pub is_dir: bool,
    /// Size, `None` for a folder.
    pub bytes: Option<u64>,
}

/// What [`Store::search_runs`](crate::Store::search_runs) looks for. Grammar of `filter` and `order_by`: [`crate::filter`].
#[derive(Debug, Clone, PartialEq)]
pub struct RunQuery {
    /// Experiments to look in.
    pub experiment_ids: Vec<String>,
    /// MLflow filter, e.g. `metrics.val_auc > 0.8 and params.model = 'mlp'`; empty for all.
    pub filter: String,
    /// Keys such as `metrics.val_auc DESC`; ties by start time, newest first, then run id.
    pub order_by: Vec<String>,
    /// Lifecycle.
    pub view: ViewType,
    /// Page size, 1..=50000.
    pub max_results: usize,
    /// From the page before.
    pub page_token: Option<String>,
}

impl Default for RunQuery {
    fn default() -> Self {
        Self {
            experiment_ids: Vec::new(),
            filter: String::new(),
            order_by: Vec::new(),
            view: ViewType::ActiveOnly,
            max_results: 1000,
            page_token: None,
        }
    }
}

/// One page of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// Results in order.
    pub items: Vec<T>,
    /// Give it to the next call; `None` after the last page.
    pub next_page_token: Option<String>,
}
