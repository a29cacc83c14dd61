//! A store that fails as a test says.

use std::path::Path;

use tracking::{
    Artifact, ArtifactsOf, Batch, DatasetInput, Error, Experiment, LoggedModels, MemoryStore, Metric, Millis, NewRun,
    Page, Registry, Result, RunData, RunInfo, RunQuery, RunStatus, Store, ViewType,
};

pub type Fault = Box<dyn Fn(&str, &str) -> Result<()> + Send + Sync>;

/// A store in memory that asks `fault(call, detail)` before each write of a run, and says whether it is a server.
pub struct Faulty {
    pub inner: MemoryStore,
    pub fault: Fault,
    pub is_remote: bool,
    pub uri: &'static str,
}

impl Store for Faulty {
    fn uri(&self) -> String {
        self.uri.into()
    }
    fn is_remote(&self) -> bool {
        self.is_remote
    }
    fn create_experiment(&self, name: &str) -> Result<String> {
        self.inner.create_experiment(name)
    }
    fn experiment_by_name(&self, name: &str) -> Result<Option<Experiment>> {
        self.inner.experiment_by_name(name)
    }
    fn experiment(&self, experiment_id: &str) -> Result<Experiment> {
        self.inner.experiment(experiment_id)
    }
    fn experiments(&self, view: ViewType) -> Result<Vec<Experiment>> {
        self.inner.experiments(view)
    }
    fn set_experiment_tag(&self, experiment_id: &str, key: &str, value: &str) -> Result<()> {
        self.inner.set_experiment_tag(experiment_id, key, value)
    }
    fn delete_experiment(&self, experiment_id: &str) -> Result<()> {
        self.inner.delete_experiment(experiment_id)
    }
    fn restore_experiment(&self, experiment_id: &str) -> Result<()> {
        self.inner.restore_experiment(experiment_id)
    }
    fn create_run(&self, run: &NewRun) -> Result<RunInfo> {
        (self.fault)("create_run", &run.name)?;
        self.inner.create_run(run)
    }
    fn run(&self, run_id: &str) -> Result<RunData> {
        self.inner.run(run_id)
    }
    fn update_run(&self, run_id: &str, status: RunStatus, end: Option<Millis>, name: Option<&str>) -> Result<()> {
        (self.fault)("update_run", status.as_str())?;
        self.inner.update_run(run_id, status, end, name)
    }
    fn delete_run(&self, run_id: &str) -> Result<()> {
        self.inner.delete_run(run_id)
    }
    fn restore_run(&self, run_id: &str) -> Result<()> {
        self.inner.restore_run(run_id)
    }
    fn log_batch(&self, run_id: &str, batch: &Batch) -> Result<()> {
        let keys: Vec<&str> = batch.metrics.iter().map(|metric| metric.key.as_str()).collect();
        (self.fault)("log_batch", &keys.join(" "))?;
        self.inner.log_batch(run_id, batch)
    }
    fn delete_tag(&self, run_id: &str, key: &str) -> Result<()> {
        self.inner.delete_tag(run_id, key)
    }
    fn log_inputs(&self, run_id: &str, inputs: &[DatasetInput]) -> Result<()> {
        (self.fault)("log_inputs", "")?;
        self.inner.log_inputs(run_id, inputs)
    }
    fn search_runs(&self, query: &RunQuery) -> Result<Page<RunData>> {
        self.inner.search_runs(query)
    }
    fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        self.inner.metric_history(run_id, key)
    }
    fn put_artifact(&self, of: ArtifactsOf<'_>, local_file: &Path, artifact_path: &str) -> Result<()> {
        (self.fault)("put_artifact", artifact_path)?;
        self.inner.put_artifact(of, local_file, artifact_path)
    }
    fn list_artifacts(&self, of: ArtifactsOf<'_>, folder: &str) -> Result<Vec<Artifact>> {
        self.inner.list_artifacts(of, folder)
    }
    fn get_artifact(&self, of: ArtifactsOf<'_>, artifact_path: &str, local_file: &Path) -> Result<()> {
        self.inner.get_artifact(of, artifact_path, local_file)
    }
    fn registry(&self) -> &dyn Registry {
        self.inner.registry()
    }
    fn logged_models(&self) -> Result<&dyn LoggedModels> {
        self.inner.logged_models()
    }
}

pub fn away() -> Error {
    Error::Unavailable { message: "away".into(), retry_after_s: None }
}
