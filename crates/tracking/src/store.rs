//! The one interface that every store implements.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{
    Artifact, ArtifactsOf, Batch, DatasetInput, Experiment, LoggedModels, Metric, Millis, NewRun, Page, RankedRuns,
    Registry, Result, RunData, RunInfo, RunQuery, RunStatus, ViewType, ranked,
};

/// A place where runs are kept. All calls block, and all may be made from several threads and processes at once.
///
/// `crate::conformance` holds the suite that every implementation passes.
pub trait Store: Send + Sync {
    /// Address without credentials, as shown to people.
    fn uri(&self) -> String;

    /// True for a store behind a network, where calls can fail for hours: a journal on disk stands in front of it.
    fn is_remote(&self) -> bool {
        false
    }

    /// Creates an experiment and gives its id. Errors with [`Error::AlreadyExists`](crate::Error::AlreadyExists) when the name is taken, also by a deleted one.
    fn create_experiment(&self, name: &str) -> Result<String>;
    /// Finds an experiment by its exact name, deleted ones too.
    fn experiment_by_name(&self, name: &str) -> Result<Option<Experiment>>;
    /// Reads an experiment by id. Errors with [`Error::NotFound`](crate::Error::NotFound).
    fn experiment(&self, experiment_id: &str) -> Result<Experiment>;
    /// All experiments of a lifecycle, newest first.
    fn experiments(&self, view: ViewType) -> Result<Vec<Experiment>>;
    /// Sets a tag.
    fn set_experiment_tag(&self, experiment_id: &str, key: &str, value: &str) -> Result<()>;
    /// Moves an experiment, and its runs, to the bin.
    fn delete_experiment(&self, experiment_id: &str) -> Result<()>;
    /// Brings a deleted experiment, and its runs, back.
    fn restore_experiment(&self, experiment_id: &str) -> Result<()>;

    /// Creates a run with status `RUNNING`.
    fn create_run(&self, run: &NewRun) -> Result<RunInfo>;
    /// Reads a run with its latest metrics.
    fn run(&self, run_id: &str) -> Result<RunData>;
    /// Changes status, end time (`None` clears it: a resumed run) and, when given, the name.
    fn update_run(
        &self,
        run_id: &str,
        status: RunStatus,
        end_time_ms: Option<Millis>,
        name: Option<&str>,
    ) -> Result<()>;
    /// Moves a run to the bin.
    fn delete_run(&self, run_id: &str) -> Result<()>;
    /// Brings a deleted run back.
    fn restore_run(&self, run_id: &str) -> Result<()>;
    /// Writes points, params and tags. Idempotent: the same batch again changes nothing.
    /// Errors with [`Error::Invalid`](crate::Error::Invalid) when a param gets another value than it has; nothing of that chunk is written.
    fn log_batch(&self, run_id: &str, batch: &Batch) -> Result<()>;
    /// Removes a tag. Errors with [`Error::NotFound`](crate::Error::NotFound) when there is none.
    fn delete_tag(&self, run_id: &str, key: &str) -> Result<()>;
    /// Records what the run read. Idempotent.
    fn log_inputs(&self, run_id: &str, inputs: &[DatasetInput]) -> Result<()>;
    /// Finds runs.
    fn search_runs(&self, query: &RunQuery) -> Result<Page<RunData>>;
    /// Every point of one metric in order of (step, timestamp, value).
    fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>>;
    /// The same of many runs, by run id. A run without this metric is left out, and so is one that is not there.
    fn metric_histories(&self, run_ids: &[String], key: &str) -> Result<BTreeMap<String, Vec<Metric>>> {
        ranked::histories(self, run_ids, key)
    }
    /// The runs of `query` that have a metric, in the order of its best point: the highest or lowest value that it ever
    /// had, the earliest of equal ones. NaN is never the best; runs that have nothing else come last. Ties by start time,
    /// newest first, then run id. `order_by`, `max_results` and `page_token` of the query are not used.
    fn ranked_runs<'a>(&'a self, query: &RunQuery, key: &str, highest: bool) -> Result<RankedRuns<'a>> {
        ranked::by_search(self, query, key, highest)
    }
    /// Names of the metrics that runs of these experiments have, sorted, for a hint when one is not found. A store may look
    /// at the newest 1000 runs only.
    fn metric_keys(&self, experiment_ids: &[String]) -> Result<Vec<String>> {
        ranked::metric_keys(self, experiment_ids)
    }

    /// Copies a local file to `artifact_path` (a file path below the root of `of`, with `/`), streamed.
    fn put_artifact(&self, of: ArtifactsOf<'_>, local_file: &Path, artifact_path: &str) -> Result<()>;
    /// Lists one folder (`""` is the root), sorted by path.
    fn list_artifacts(&self, of: ArtifactsOf<'_>, folder: &str) -> Result<Vec<Artifact>>;
    /// Copies an artifact file to a local file, under a temporary name until it is complete.
    fn get_artifact(&self, of: ArtifactsOf<'_>, artifact_path: &str, local_file: &Path) -> Result<()>;

    /// Registered models and their versions.
    fn registry(&self) -> &dyn Registry;
    /// Logged models. Errors with [`Error::Invalid`](crate::Error::Invalid) where there are none: on a server or in a
    /// file of MLflow 2.
    fn logged_models(&self) -> Result<&dyn LoggedModels>;
}
