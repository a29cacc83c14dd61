//! Any stock MLflow server, 2.x or 3.x, over its REST API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::{Http, HttpOptions, backoff};
use crate::rules::{LOCAL_ID_TAG, RUN_NAME_TAG, USER_TAG};
use crate::wire::{self, WireExperiment, WireFile, WireInfo, WireMetric, WireRun, dataset_input, to_pairs};
use crate::{
    Artifact, Batch, DatasetInput, Error, Experiment, Metric, Millis, NewRun, Page, Result, RunData, RunInfo, RunQuery,
    RunStatus, Store, ViewType, artifacts,
};

const EXPERIMENTS_PER_PAGE: usize = 1000;
const POINTS_PER_PAGE: &str = "25000";
const CREATE_TRIES: u32 = 4;

/// Runs on an MLflow server. Artifacts go through the server, or straight to a folder that both can see.
#[derive(Debug)]
pub struct RestStore {
    http: Http,
    /// Artifact root by run: it never changes, so it is asked for once.
    artifact_roots: Mutex<BTreeMap<String, String>>,
}

/// Where the artifacts of a run are.
#[derive(Debug, PartialEq)]
enum Root {
    /// Path below the root of the server's artifact proxy.
    Proxy(String),
    /// Folder on this machine.
    Folder(PathBuf),
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct FilePage {
    files: Vec<WireFile>,
    next_page_token: String,
}

impl RestStore {
    /// Prepares access to `uri` (`http://HOST:PORT`, `https://USER:PASSWORD@HOST/PREFIX`). Does not talk to the server yet.
    pub fn new(uri: &str, options: &HttpOptions) -> Result<Self> {
        Ok(Self { http: Http::new(uri, options)?, artifact_roots: Mutex::default() })
    }

    /// Counts the bytes of artifacts that went to and from the server: what tells a long transfer from a hanging one.
    pub fn bytes_moved(&self) -> Arc<AtomicU64> {
        self.http.bytes_moved.clone()
    }

    fn post(&self, endpoint: &str, body: Value) -> Result<()> {
        self.http.post::<Nothing>(endpoint, &body.to_string()).map(drop)
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

    /// `runs/create` is the one call that makes something new each time, so before it is repeated the run is looked for.
    /// A server that commits only after that search leaves an empty run behind; nothing is lost.
    fn create_marked(&self, experiment_id: &str, mark: &str, body: &str) -> Result<RunInfo> {
        let mut tries = 0;
        loop {
            let error = match self.http.post_once::<OneRun>("runs/create", body) {
                Ok(created) => return created.run.info.into_info(),
                Err(error) if error.is_transient() && tries + 1 < CREATE_TRIES => error,
                Err(error) => return Err(error),
            };
            let Error::Unavailable { retry_after_s, .. } = error else { return Err(error) };
            std::thread::sleep(backoff(tries, Duration::from_millis(250), retry_after_s.map(|wish| wish.min(10))));
            if let Some(run) = self.find_created(experiment_id, mark)? {
                return Ok(run);
            }
            tries += 1;
        }
    }

    fn has_artifact(&self, run_id: &str, artifact_path: &str) -> Result<bool> {
        let folder = artifact_path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Ok(self.list_artifacts(run_id, folder)?.iter().any(|artifact| artifact.path == artifact_path))
    }

    fn root(&self, run_id: &str) -> Result<Root> {
        // The lock is not held while the server is asked: it may hang, and other runs need it not.
        let roots = || self.artifact_roots.lock().unwrap_or_else(PoisonError::into_inner);
        let known = roots().get(run_id).cloned();
        if let Some(uri) = known {
            return parse_root(&uri, self.http.host());
        }
        let uri = self.run(run_id)?.info.artifact_uri;
        let root = parse_root(&uri, self.http.host())?;
        roots().insert(run_id.into(), uri);
        Ok(root)
    }
}

/// Understands an artifact URI of a run on the server `host`.
fn parse_root(uri: &str, host: &str) -> Result<Root> {
    let here = |folder: PathBuf| {
        // `<root>/<experiment>/<run>/artifacts`: without its root here, files would go where the server never looks.
        let root = folder.ancestors().nth(3).unwrap_or(&folder);
        let same_machine = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if same_machine || root.is_dir() {
            return Ok(Root::Folder(folder));
        }
        Err(Error::Invalid(format!(
            "the server keeps artifacts in `{}`, which is not on this machine. Hint: mount it here, or start the server \
             with `--serve-artifacts` and `--artifacts-destination`",
            root.display()
        )))
    };
    if Path::new(uri).is_absolute() {
        return here(uri.into());
    }
    let url = Url::parse(uri).ok();
    match url.as_ref().map(|url| (url.scheme(), url.host_str().unwrap_or_default(), url)) {
        Some(("mlflow-artifacts", "", url)) => Ok(Root::Proxy(decode(url.path()))),
        Some(("mlflow-artifacts", other, url)) if other == host.trim_matches(['[', ']']) => {
            Ok(Root::Proxy(decode(url.path())))
        }
        Some(("file", _, url)) if url.to_file_path().is_ok() => here(url.to_file_path().unwrap_or_default()),
        _ => Err(Error::Invalid(format!(
            "the server keeps artifacts in `{}`, which only it can write. Hint: start it with `--artifacts-destination` \
             set to that address, so that it passes artifacts on, and use a new experiment",
            crate::redact_url(uri)
        ))),
    }
}

fn decode(path: &str) -> String {
    percent_encoding::percent_decode_str(path.trim_matches('/')).decode_utf8_lossy().into_owned()
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
        let info = self.create_marked(&run.experiment_id, &mark, &body.to_string())?;
        if callers_mark.is_none()
            && let Err(error) = self.delete_tag(&info.run_id, LOCAL_ID_TAG)
        {
            tracing::debug!("tag `{LOCAL_ID_TAG}` stays on run `{}`: {error}", info.run_id);
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
        self.post("runs/log-inputs", json!({"run_id": run_id, "datasets": datasets}))
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
        metrics
            .sort_by(|a, b| (a.step, a.timestamp_ms).cmp(&(b.step, b.timestamp_ms)).then(a.value.total_cmp(&b.value)));
        Ok(metrics)
    }

    fn put_artifact(&self, run_id: &str, local_file: &Path, artifact_path: &str) -> Result<()> {
        artifacts::check_path(artifact_path)?;
        match self.root(run_id)? {
            Root::Folder(folder) => {
                let bytes = local_file.metadata().map_or(0, |metadata| metadata.len());
                self.http.bytes_moved.fetch_add(bytes, Ordering::Relaxed);
                artifacts::put(&folder, local_file, artifact_path)
            }
            Root::Proxy(root) => self.http.put_file(local_file, &format!("{root}/{artifact_path}")),
        }
    }

    fn list_artifacts(&self, run_id: &str, folder: &str) -> Result<Vec<Artifact>> {
        let mut query = vec![("run_id", run_id)];
        if !folder.is_empty() {
            artifacts::check_path(folder)?;
            query.push(("path", folder));
        }
        let mut found: Vec<Artifact> = Vec::new();
        let mut token = String::new();
        loop {
            let mut query = query.clone();
            if !token.is_empty() {
                query.push(("page_token", &token));
            }
            let page: FilePage = self.http.get("artifacts/list", &query)?;
            found.extend(page.files.into_iter().map(Artifact::from));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn get_artifact(&self, run_id: &str, artifact_path: &str, local_file: &Path) -> Result<()> {
        artifacts::check_path(artifact_path)?;
        match self.root(run_id)? {
            Root::Folder(folder) => artifacts::get(&folder, artifact_path, local_file),
            Root::Proxy(root) => match self.http.get_file(&format!("{root}/{artifact_path}"), local_file) {
                // MLflow 2 breaks, with status 500, over a file that is not there.
                Err(error) if error.is_transient() && !self.has_artifact(run_id, artifact_path)? => {
                    Err(Error::NotFound(format!("No artifact `{artifact_path}` in run `{run_id}` on `{}`", self.uri())))
                }
                answer => answer,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifact_roots_are_understood_or_explained() {
        let proxy = |path: &str| Root::Proxy(path.into());
        assert_eq!(parse_root("mlflow-artifacts:/1/r/artifacts", "h").expect("a root"), proxy("1/r/artifacts"));
        assert_eq!(parse_root("mlflow-artifacts:///1/r", "h").expect("a root"), proxy("1/r"));
        assert_eq!(parse_root("mlflow-artifacts://h:5000/1/r", "h").expect("a root"), proxy("1/r"));
        let folder = Root::Folder("/srv/mlruns/1/r/artifacts".into());
        assert_eq!(parse_root("/srv/mlruns/1/r/artifacts", "127.0.0.1").expect("a root"), folder);
        assert_eq!(parse_root("file:///srv/mlruns/1/r/artifacts", "localhost").expect("a root"), folder);
        let absent = parse_root("/no/such/root/1/r/artifacts", "far.example").expect_err("not mounted").to_string();
        assert!(absent.contains("`/no/such/root`") && absent.contains("mount it"), "{absent}");
        let s3 = parse_root("s3://key:secret@bucket/1", "h").expect_err("not ours").to_string();
        assert!(s3.contains("s3://bucket/1") && !s3.contains("secret"), "{s3}");
    }
}
