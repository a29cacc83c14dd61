//! Any stock MLflow server, 2.x or 3.x, over its REST API.

mod artifacts;
mod histories;
mod models;
mod registry;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::{Http, HttpOptions, backoff};
use crate::model_rules::CREATION_TAG;
use crate::rules::{LOCAL_ID_TAG, RUN_NAME_TAG, USER_TAG};
use crate::wire::{self, WireExperiment, WireInfo, WireMetric, WireRun, dataset_input, to_pairs};
use crate::{
    Artifact, ArtifactsOf, Batch, DatasetInput, Error, Experiment, LoggedModels, Metric, Millis, NewRun, Page,
    Registry, Result, RunData, RunInfo, RunQuery, RunStatus, Store, ViewType,
};

const EXPERIMENTS_PER_PAGE: usize = 1000;
const POINTS_PER_PAGE: &str = "25000";
const CREATE_TRIES: u32 = 4;

/// Runs on an MLflow server. Artifacts go through the server, or straight to a folder that both can see.
#[derive(Debug)]
pub struct RestStore {
    http: Http,
    /// Artifact root by id of run or logged model: it never changes, so it is asked for once.
    artifact_roots: Mutex<BTreeMap<String, String>>,
    /// The server's answer to whether it has logged models, once it has given one.
    logged_models: OnceLock<std::result::Result<(), String>>,
    /// The server, or a proxy before it, has refused the end point for histories of many runs.
    has_no_bulk_history: AtomicBool,
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct CreatedExperiment {
    experiment_id: String,
}

#[derive(Deserialize)]
struct OneExperiment {
    experiment: WireExperiment,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ExperimentPage {
    experiments: Vec<WireExperiment>,
    next_page_token: String,
}

#[derive(Deserialize)]
struct OneRun {
    run: WireRun,
}

#[derive(Deserialize)]
struct UpdatedRun {
    #[serde(rename = "run_info")]
    _info: WireInfo,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RunPage {
    runs: Vec<WireRun>,
    next_page_token: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MetricPage {
    metrics: Vec<WireMetric>,
    next_page_token: String,
}

impl RestStore {
    /// Prepares access to `uri` (`http://HOST:PORT`, `https://USER:PASSWORD@HOST/PREFIX`). Does not talk to the server yet.
    pub fn new(uri: &str, options: &HttpOptions) -> Result<Self> {
        Ok(Self {
            http: Http::new(uri, options)?,
            artifact_roots: Mutex::default(),
            logged_models: OnceLock::new(),
            has_no_bulk_history: AtomicBool::new(false),
        })
    }

    /// Counts the bytes of artifacts that went to and from the server: what tells a long transfer from a hanging one.
    pub fn bytes_moved(&self) -> Arc<AtomicU64> {
        self.http.bytes_moved.clone()
    }

    fn post(&self, endpoint: &str, body: Value) -> Result<()> {
        self.http.post::<Nothing>(endpoint, &body.to_string()).map(drop)
    }

    /// Makes a call that makes something new each time. Before it is repeated, what it may have made is looked for.
    /// A server that commits only after that search leaves a second one behind; nothing is lost.
    fn create_once<T>(
        &self,
        create: impl Fn() -> Result<T>,
        find_created: impl Fn() -> Result<Option<T>>,
    ) -> Result<T> {
        let mut tries = 0;
        loop {
            let error = match create() {
                Err(error) if error.is_transient() && tries + 1 < CREATE_TRIES => error,
                answer => return answer,
            };
            let Error::Unavailable { retry_after_s, .. } = error else { return Err(error) };
            std::thread::sleep(backoff(tries, Duration::from_millis(250), retry_after_s.map(|wish| wish.min(10))));
            if let Some(created) = find_created()? {
                return Ok(created);
            }
            tries += 1;
        }
    }

    /// The run that a lost reply was about.
    fn find_created(&self, experiment_id: &str, mark: &str) -> Result<Option<RunInfo>> {
        let query = RunQuery {
            experiment_ids: vec![experiment_id.into()],
            filter: format!("tags.`{LOCAL_ID_TAG}` = '{mark}'"),
            max_results: 1,
            ..RunQuery::default()
        };
        Ok(self.search_runs(&query)?.items.pop().map(|run| run.info))
    }
}

/// Removes the mark of a creation, which has done its work. Where it stays it does no harm.
fn remove_mark(what: &str, remove: impl FnOnce() -> Result<()>) {
    if let Err(error) = remove() {
        tracing::debug!("tag `{CREATION_TAG}` stays on {what}: {error}");
    }
}

fn sort_points(points: &mut [Metric]) {
    points.sort_by(|a, b| (a.step, a.timestamp_ms).cmp(&(b.step, b.timestamp_ms)).then(a.value.total_cmp(&b.value)));
}

fn none_if_empty(token: String) -> Option<String> {
    Some(token).filter(|token| !token.is_empty())
}

impl Store for RestStore {
    fn uri(&self) -> String {
        self.http.uri()
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn create_experiment(&self, name: &str) -> Result<String> {
        let body = json!({"name": name}).to_string();
        Ok(self.http.post::<CreatedExperiment>("experiments/create", &body)?.experiment_id)
    }

    fn experiment_by_name(&self, name: &str) -> Result<Option<Experiment>> {
        match self.http.get::<OneExperiment>("experiments/get-by-name", &[("experiment_name", name)]) {
            Ok(found) => Ok(Some(found.experiment.into())),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn experiment(&self, experiment_id: &str) -> Result<Experiment> {
        let found: OneExperiment = self.http.get("experiments/get", &[("experiment_id", experiment_id)])?;
        Ok(found.experiment.into())
    }

    fn experiments(&self, view: ViewType) -> Result<Vec<Experiment>> {
        let mut experiments: Vec<Experiment> = Vec::new();
        let mut token = None;
        loop {
            let body = json!({"max_results": EXPERIMENTS_PER_PAGE, "view_type": view, "page_token": token});
            let page: ExperimentPage = self.http.post("experiments/search", &body.to_string())?;
            experiments.extend(page.experiments.into_iter().map(Experiment::from));
            token = none_if_empty(page.next_page_token);
            if token.is_none() {
                break;
            }
        }
        let id = |experiment: &Experiment| experiment.experiment_id.parse::<u64>().unwrap_or(0);
        experiments.sort_by_key(|experiment| std::cmp::Reverse((experiment.creation_time_ms, id(experiment))));
        Ok(experiments)
    }

    fn set_experiment_tag(&self, experiment_id: &str, key: &str, value: &str) -> Result<()> {
        let body = json!({"experiment_id": experiment_id, "key": key, "value": value});
        self.post("experiments/set-experiment-tag", body)
    }

    fn delete_experiment(&self, experiment_id: &str) -> Result<()> {
        self.post("experiments/delete", json!({"experiment_id": experiment_id}))
    }

    fn restore_experiment(&self, experiment_id: &str) -> Result<()> {
        self.post("experiments/restore", json!({"experiment_id": experiment_id}))
    }

    fn create_run(&self, run: &NewRun) -> Result<RunInfo> {
        let mut tags = run.tags.clone();
        // Marks the run while it is made, so that it is found again when the server's reply is lost. A caller may bring the
        // mark, and keeps it then.
        let callers_mark = tags.get(LOCAL_ID_TAG).cloned();
        let mark = callers_mark.clone().unwrap_or_else(|| Uuid::new_v4().simple().to_string());
        tags.insert(LOCAL_ID_TAG.into(), mark.clone());
        if !run.user.is_empty() {
            tags.insert(USER_TAG.into(), run.user.clone());
        }
        let mut body = json!({
            "experiment_id": run.experiment_id, "user_id": run.user, "start_time": run.start_time_ms,
        });
        if !run.name.is_empty() {
            // A server refuses a name and a different `mlflow.runName`; the name is what was asked for.
            tags.remove(RUN_NAME_TAG);
            body["run_name"] = run.name.as_str().into();
        }
        body["tags"] = to_pairs(&tags).into();
        let body = body.to_string();
        let info = self.create_once(
            || self.http.post_once::<OneRun>("runs/create", &body)?.run.info.into_info(),
            || self.find_created(&run.experiment_id, &mark),
        )?;
        if callers_mark.is_none() {
            remove_mark(&format!("run `{}`", info.run_id), || self.delete_tag(&info.run_id, LOCAL_ID_TAG));
        }
        Ok(info)
    }

    fn run(&self, run_id: &str) -> Result<RunData> {
        self.http.get::<OneRun>("runs/get", &[("run_id", run_id)])?.run.into_data()
    }

    fn update_run(
        &self,
        run_id: &str,
        status: RunStatus,
        end_time_ms: Option<Millis>,
        name: Option<&str>,
    ) -> Result<()> {
        // A server keeps the old end time when there is none in the request, but takes 0 for "no end".
        let mut body = json!({"run_id": run_id, "status": status.as_str(), "end_time": end_time_ms.unwrap_or(0)});
        if let Some(name) = name {
            body["run_name"] = name.into();
        }
        self.http.post::<UpdatedRun>("runs/update", &body.to_string()).map(drop)
    }

    fn delete_run(&self, run_id: &str) -> Result<()> {
        self.post("runs/delete", json!({"run_id": run_id}))
    }

    fn restore_run(&self, run_id: &str) -> Result<()> {
        self.post("runs/restore", json!({"run_id": run_id}))
    }

    fn log_batch(&self, run_id: &str, batch: &Batch) -> Result<()> {
        wire::for_each_body(run_id, batch, |body| self.http.post::<Nothing>("runs/log-batch", body).map(drop))
    }

    fn delete_tag(&self, run_id: &str, key: &str) -> Result<()> {
        self.post("runs/delete-tag", json!({"run_id": run_id, "key": key}))
    }

    fn log_inputs(&self, run_id: &str, inputs: &[DatasetInput]) -> Result<()> {
        let datasets: Vec<Value> = inputs.iter().map(dataset_input).collect();
        let body = json!({"run_id": run_id, "datasets": datasets});
        // Of two runs that bring the same new data set at once, a server refuses the later one with a bad request. By then
        // the data set is there.
        match self.post("runs/log-inputs", body.clone()) {
            Err(Error::Invalid(_)) => self.post("runs/log-inputs", body),
            answer => answer,
        }
    }

    fn search_runs(&self, query: &RunQuery) -> Result<Page<RunData>> {
        let body = json!({
            "experiment_ids": query.experiment_ids, "filter": query.filter, "order_by": query.order_by,
            "run_view_type": query.view, "max_results": query.max_results, "page_token": query.page_token,
        });
        let page: RunPage = self.http.post("runs/search", &body.to_string())?;
        let items = page.runs.into_iter().map(WireRun::into_data).collect::<Result<_>>()?;
        Ok(Page { items, next_page_token: none_if_empty(page.next_page_token) })
    }

    fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        let mut metrics: Vec<Metric> = Vec::new();
        let mut token = String::new();
        loop {
            let mut query = vec![("run_id", run_id), ("metric_key", key), ("max_results", POINTS_PER_PAGE)];
            if !token.is_empty() {
                query.push(("page_token", &token));
            }
            let page: MetricPage = self.http.get("metrics/get-history", &query)?;
            metrics.extend(page.metrics.into_iter().map(Metric::from));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        if metrics.is_empty() {
            // A server answers the same for a run without this metric and for no run at all.
            self.run(run_id)?;
        }
        sort_points(&mut metrics);
        Ok(metrics)
    }

    fn metric_histories(&self, run_ids: &[String], key: &str) -> Result<BTreeMap<String, Vec<Metric>>> {
        self.histories(run_ids, key)
    }

    fn put_artifact(&self, of: ArtifactsOf<'_>, local_file: &Path, artifact_path: &str) -> Result<()> {
        self.upload(of, local_file, artifact_path)
    }

    fn list_artifacts(&self, of: ArtifactsOf<'_>, folder: &str) -> Result<Vec<Artifact>> {
        self.list_folder(of, folder)
    }

    fn get_artifact(&self, of: ArtifactsOf<'_>, artifact_path: &str, local_file: &Path) -> Result<()> {
        self.fetch(of, artifact_path, local_file)
    }

    fn registry(&self) -> &dyn Registry {
        self
    }

    fn logged_models(&self) -> Result<&dyn LoggedModels> {
        self.check_logged_models()?;
        Ok(self)
    }
}
