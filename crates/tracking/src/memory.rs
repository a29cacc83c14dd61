//! A store in memory, for tests of programs: nothing but artifacts touches the disk.

mod models;
mod registry;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::filter::{Filter, OrderBy, check_max_results, page_offset, page_token};
use crate::rules::{self, MAX_PARAM_CHARS, MAX_TAG_CHARS, RUN_NAME_TAG, stored_value, truncate};
use crate::{
    Artifact, ArtifactsOf, Batch, DatasetInput, Error, Experiment, Lifecycle, LoggedModel, LoggedModels, Metric,
    Millis, NewRun, Page, Registry, Result, RunData, RunInfo, RunQuery, RunStatus, Store, ViewType, artifacts,
};

/// Runs in memory, artifacts in a folder. Behaves like the embedded store and a server, and is gone with the process.
pub struct MemoryStore {
    artifact_root: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The id of an experiment is its index.
    experiments: Vec<Experiment>,
    runs: BTreeMap<String, StoredRun>,
    registered: registry::Registered,
    logged_models: BTreeMap<String, LoggedModel>,
}

struct StoredRun {
    data: RunData,
    /// Points of each metric in order of (step, timestamp, value).
    history: BTreeMap<String, Vec<Metric>>,
}

impl MemoryStore {
    /// An empty store with experiment 0, `Default`. Artifacts go below `artifact_root`, which need not exist.
    pub fn new(artifact_root: &Path) -> Self {
        let store = Self { artifact_root: artifact_root.to_path_buf(), state: Mutex::default() };
        store.add_experiment(&mut store.state(), "Default");
        store
    }

    /// A panic elsewhere leaves no half-made state here, so a poisoned lock is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_experiment(&self, state: &mut State, name: &str) -> String {
        let experiment_id = state.experiments.len().to_string();
        let now = rules::now_ms();
        state.experiments.push(Experiment {
            experiment_id: experiment_id.clone(),
            name: name.to_owned(),
            artifact_location: self.artifact_root.join(&experiment_id).to_string_lossy().into_owned(),
            lifecycle: Lifecycle::Active,
            creation_time_ms: now,
            last_update_time_ms: now,
            tags: BTreeMap::new(),
        });
        experiment_id
    }

    fn move_experiment(&self, experiment_id: &str, from: Lifecycle, to: Lifecycle) -> Result<()> {
        let mut state = self.state();
        let experiment = state.experiment(experiment_id)?;
        if experiment.lifecycle != from {
            return Err(rules::experiment_not_found(experiment_id));
        }
        experiment.lifecycle = to;
        experiment.last_update_time_ms = rules::now_ms();
        for run in state.runs.values_mut().filter(|run| run.data.info.experiment_id == experiment_id) {
            run.data.info.lifecycle = to;
        }
        Ok(())
    }

    fn artifact_root(&self, of: ArtifactsOf<'_>) -> Result<PathBuf> {
        Ok(match of {
            ArtifactsOf::Run(run_id) => PathBuf::from(&self.state().run(run_id)?.data.info.artifact_uri),
            ArtifactsOf::Model(model_id) => PathBuf::from(&self.state().logged_model(model_id)?.artifact_location),
            ArtifactsOf::Location(folder) => PathBuf::from(folder),
        })
    }
}

impl State {
    fn experiment(&mut self, experiment_id: &str) -> Result<&mut Experiment> {
        let index = rules::parse_experiment_id(experiment_id)?;
        usize::try_from(index)
            .ok()
            .and_then(|index| self.experiments.get_mut(index))
            .ok_or_else(|| rules::experiment_not_found(experiment_id))
    }

    fn run(&mut self, run_id: &str) -> Result<&mut StoredRun> {
        self.runs.get_mut(run_id).ok_or_else(|| rules::run_not_found(run_id))
    }

    fn active_run(&mut self, run_id: &str) -> Result<&mut StoredRun> {
        let run = self.run(run_id)?;
        rules::check_active("run", run_id, run.data.info.lifecycle)?;
        Ok(run)
    }
}

impl StoredRun {
    fn log_params(&mut self, params: &[(String, String)]) -> Result<()> {
        let mut merged = self.data.params.clone();
        let mut conflicts = Vec::new();
        for (key, value) in params {
            let value = truncate(value, MAX_PARAM_CHARS);
            let logged = merged.entry(key.clone()).or_insert_with(|| value.to_owned());
            if logged != value {
                conflicts.push((key.clone(), logged.clone(), value.to_owned()));
            }
        }
        if !conflicts.is_empty() {
            return Err(rules::param_conflict(&self.data.info.run_id, &conflicts));
        }
        self.data.params = merged;
        Ok(())
    }

    fn log_metric(&mut self, metric: &Metric) {
        let value = if metric.value.is_nan() { f64::NAN } else { stored_value(metric.value).0 };
        let metric = Metric { value, ..metric.clone() };
        let points = self.history.entry(metric.key.clone()).or_default();
        if let Err(at) = points.binary_search_by(|point| point_order(point, &metric)) {
            points.insert(at, metric.clone());
        }
        let latest = self.data.metrics.entry(metric.key.clone()).or_insert_with(|| metric.clone());
        if latest_order(&metric, latest) == Ordering::Greater {
            *latest = metric;
        }
    }

    fn set_tag(&mut self, key: &str, value: &str) {
        let value = truncate(value, MAX_TAG_CHARS);
        if key == RUN_NAME_TAG {
            self.data.info.name = value.to_owned();
        }
        self.data.tags.insert(key.to_owned(), value.to_owned());
    }
}

/// (step, timestamp, value), with NaN at 0 as in MLflow's database.
fn latest_order(a: &Metric, b: &Metric) -> Ordering {
    let values = stored_value(a.value).0.partial_cmp(&stored_value(b.value).0);
    (a.step, a.timestamp_ms).cmp(&(b.step, b.timestamp_ms)).then(values.unwrap_or(Ordering::Equal))
}

/// The order of a history, in which NaN and 0 are two points.
fn point_order(a: &Metric, b: &Metric) -> Ordering {
    latest_order(a, b).then(a.value.is_nan().cmp(&b.value.is_nan()))
}

fn in_view(view: ViewType, lifecycle: Lifecycle) -> bool {
    match view {
        ViewType::All => true,
        ViewType::ActiveOnly => lifecycle == Lifecycle::Active,
        ViewType::DeletedOnly => lifecycle == Lifecycle::Deleted,
    }
}

impl Store for MemoryStore {
    fn uri(&self) -> String {
        "memory:".into()
    }

    fn create_experiment(&self, name: &str) -> Result<String> {
        rules::check_experiment_name(name)?;
        let mut state = self.state();
        if state.experiments.iter().any(|experiment| experiment.name == name) {
            return Err(Error::AlreadyExists(format!("Experiment(name={name}) already exists.")));
        }
        Ok(self.add_experiment(&mut state, name))
    }

    fn experiment_by_name(&self, name: &str) -> Result<Option<Experiment>> {
        Ok(self.state().experiments.iter().find(|experiment| experiment.name == name).cloned())
    }

    fn experiment(&self, experiment_id: &str) -> Result<Experiment> {
        self.state().experiment(experiment_id).cloned()
    }

    fn experiments(&self, view: ViewType) -> Result<Vec<Experiment>> {
        let state = self.state();
        Ok(state.experiments.iter().rev().filter(|experiment| in_view(view, experiment.lifecycle)).cloned().collect())
    }

    fn set_experiment_tag(&self, experiment_id: &str, key: &str, value: &str) -> Result<()> {
        rules::check_key("Tag key", key)?;
        let mut state = self.state();
        let experiment = state.experiment(experiment_id)?;
        rules::check_active("experiment", experiment_id, experiment.lifecycle)?;
        experiment.tags.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn delete_experiment(&self, experiment_id: &str) -> Result<()> {
        self.move_experiment(experiment_id, Lifecycle::Active, Lifecycle::Deleted)
    }

    fn restore_experiment(&self, experiment_id: &str) -> Result<()> {
        self.move_experiment(experiment_id, Lifecycle::Deleted, Lifecycle::Active)
    }

    fn create_run(&self, run: &NewRun) -> Result<RunInfo> {
        let mut state = self.state();
        let experiment = state.experiment(&run.experiment_id)?;
        rules::check_active("experiment", &run.experiment_id, experiment.lifecycle)?;
        let run_id = Uuid::new_v4().simple().to_string();
        let (name, tags) = rules::name_and_tags(run, &run_id);
        let info = RunInfo {
            experiment_id: experiment.experiment_id.clone(),
            name,
            user: run.user.clone(),
            status: RunStatus::Running,
            start_time_ms: run.start_time_ms,
            end_time_ms: None,
            lifecycle: Lifecycle::Active,
            artifact_uri: format!("{}/{run_id}/artifacts", experiment.artifact_location),
            run_id: run_id.clone(),
        };
        let (params, metrics) = (BTreeMap::new(), BTreeMap::new());
        let data = RunData {
            info: info.clone(),
            params,
            tags,
            metrics,
            inputs: Vec::new(),
            outputs: Vec::new(),
            model_inputs: Vec::new(),
        };
        state.runs.insert(run_id, StoredRun { data, history: BTreeMap::new() });
        Ok(info)
    }

    fn run(&self, run_id: &str) -> Result<RunData> {
        Ok(self.state().run(run_id)?.data.clone())
    }

    fn update_run(
        &self,
        run_id: &str,
        status: RunStatus,
        end_time_ms: Option<Millis>,
        name: Option<&str>,
    ) -> Result<()> {
        let mut state = self.state();
        let run = state.active_run(run_id)?;
        run.data.info.status = status;
        run.data.info.end_time_ms = end_time_ms;
        if let Some(name) = name {
            run.set_tag(RUN_NAME_TAG, name);
        }
        Ok(())
    }

    fn delete_run(&self, run_id: &str) -> Result<()> {
        self.state().run(run_id)?.data.info.lifecycle = Lifecycle::Deleted;
        Ok(())
    }

    fn restore_run(&self, run_id: &str) -> Result<()> {
        self.state().run(run_id)?.data.info.lifecycle = Lifecycle::Active;
        Ok(())
    }

    fn log_batch(&self, run_id: &str, batch: &Batch) -> Result<()> {
        rules::check_batch(batch)?;
        let mut state = self.state();
        let run = state.active_run(run_id)?;
        run.log_params(&batch.params)?;
        batch.metrics.iter().for_each(|metric| run.log_metric(metric));
        batch.tags.iter().for_each(|(key, value)| run.set_tag(key, value));
        Ok(())
    }

    fn delete_tag(&self, run_id: &str, key: &str) -> Result<()> {
        match self.state().active_run(run_id)?.data.tags.remove(key) {
            Some(_) => Ok(()),
            None => Err(rules::tag_not_found(run_id, key)),
        }
    }

    fn log_inputs(&self, run_id: &str, inputs: &[DatasetInput]) -> Result<()> {
        let mut state = self.state();
        let run = state.active_run(run_id)?;
        for input in inputs {
            let same = |logged: &DatasetInput| {
                (&logged.dataset.name, &logged.dataset.digest) == (&input.dataset.name, &input.dataset.digest)
            };
            if !run.data.inputs.iter().any(same) {
                run.data.inputs.push(input.clone());
            }
        }
        Ok(())
    }

    fn search_runs(&self, query: &RunQuery) -> Result<Page<RunData>> {
        check_max_results(query.max_results)?;
        let filter = Filter::parse(&query.filter)?;
        let order = OrderBy::parse(&query.order_by)?;
        let offset = page_offset(query.page_token.as_deref())?;
        let state = self.state();
        let wanted = |run: &RunData| {
            query.experiment_ids.contains(&run.info.experiment_id)
                && in_view(query.view, run.info.lifecycle)
                && filter.matches(run)
        };
        let mut found: Vec<RunData> =
            state.runs.values().map(|run| &run.data).filter(|run| wanted(run)).cloned().collect();
        order.sort(&mut found);
        let end = offset.saturating_add(query.max_results);
        let next_page_token = (found.len() > end).then(|| page_token(end));
        let items = found.into_iter().skip(offset).take(query.max_results).collect();
        Ok(Page { items, next_page_token })
    }

    fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        Ok(self.state().run(run_id)?.history.get(key).cloned().unwrap_or_default())
    }

    fn put_artifact(&self, of: ArtifactsOf<'_>, local_file: &Path, artifact_path: &str) -> Result<()> {
        artifacts::put(&self.artifact_root(of)?, local_file, artifact_path)
    }

    fn list_artifacts(&self, of: ArtifactsOf<'_>, folder: &str) -> Result<Vec<Artifact>> {
        artifacts::list(&self.artifact_root(of)?, folder)
    }

    fn get_artifact(&self, of: ArtifactsOf<'_>, artifact_path: &str, local_file: &Path) -> Result<()> {
        artifacts::get(&self.artifact_root(of)?, artifact_path, local_file)
    }

    fn registry(&self) -> &dyn Registry {
        self
    }

    fn logged_models(&self) -> Result<&dyn LoggedModels> {
        Ok(self)
    }
}
