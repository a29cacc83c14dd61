//! The store behind a tracker that is off.

mod models;

use std::collections::BTreeMap;
use std::path::Path;

use uuid::Uuid;

use crate::{
    Artifact, ArtifactsOf, Batch, DatasetInput, Error, Experiment, Lifecycle, LoggedModels, Metric, Millis, NewRun,
    Page, Registry, Result, RunData, RunInfo, RunQuery, RunStatus, Store, ViewType,
};

/// Accepts every write, keeps nothing, finds nothing.
pub(crate) struct NullStore;

fn nothing_here<T>() -> Result<T> {
    Err(Error::NotFound("tracking is off: nothing is stored".into()))
}

impl Store for NullStore {
    fn uri(&self) -> String {
        "off".into()
    }

    fn create_experiment(&self, _: &str) -> Result<String> {
        Ok("0".into())
    }

    fn experiment_by_name(&self, _: &str) -> Result<Option<Experiment>> {
        Ok(None)
    }

    fn experiment(&self, _: &str) -> Result<Experiment> {
        nothing_here()
    }

    fn experiments(&self, _: ViewType) -> Result<Vec<Experiment>> {
        Ok(Vec::new())
    }

    fn set_experiment_tag(&self, _: &str, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    fn delete_experiment(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn restore_experiment(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn create_run(&self, run: &NewRun) -> Result<RunInfo> {
        Ok(RunInfo {
            run_id: Uuid::new_v4().simple().to_string(),
            experiment_id: run.experiment_id.clone(),
            name: run.name.clone(),
            user: run.user.clone(),
            status: RunStatus::Running,
            start_time_ms: run.start_time_ms,
            end_time_ms: None,
            lifecycle: Lifecycle::Active,
            artifact_uri: String::new(),
        })
    }

    /// An empty run of that id, so that a run that was not tracked can be resumed.
    fn run(&self, run_id: &str) -> Result<RunData> {
        let info = self.create_run(&NewRun::default())?;
        Ok(RunData {
            info: RunInfo { run_id: run_id.to_owned(), ..info },
            params: BTreeMap::new(),
            tags: BTreeMap::new(),
            metrics: BTreeMap::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            model_inputs: Vec::new(),
        })
    }

    fn update_run(&self, _: &str, _: RunStatus, _: Option<Millis>, _: Option<&str>) -> Result<()> {
        Ok(())
    }

    fn delete_run(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn restore_run(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn log_batch(&self, _: &str, _: &Batch) -> Result<()> {
        Ok(())
    }

    fn delete_tag(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    fn log_inputs(&self, _: &str, _: &[DatasetInput]) -> Result<()> {
        Ok(())
    }

    fn search_runs(&self, _: &RunQuery) -> Result<Page<RunData>> {
        Ok(Page { items: Vec::new(), next_page_token: None })
    }

    fn metric_history(&self, _: &str, _: &str) -> Result<Vec<Metric>> {
        Ok(Vec::new())
    }

    fn put_artifact(&self, _: ArtifactsOf<'_>, _: &Path, _: &str) -> Result<()> {
        Ok(())
    }

    fn list_artifacts(&self, _: ArtifactsOf<'_>, _: &str) -> Result<Vec<Artifact>> {
        Ok(Vec::new())
    }

    fn get_artifact(&self, _: ArtifactsOf<'_>, _: &str, _: &Path) -> Result<()> {
        nothing_here()
    }

    fn registry(&self) -> &dyn Registry {
        self
    }

    fn logged_models(&self) -> Result<&dyn LoggedModels> {
        Ok(self)
    }
}
