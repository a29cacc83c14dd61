//! What every program does around its recipe: console, log file, run, output folder, signals, and a truthful end.

use std::any::Any;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracking::{Batch, Outcome, Run, RunData, RunOptions, RunStatus, Store, SystemMetricsOptions, Tracker};

use crate::cli::CommonFlags;
use crate::config::Loaded;
use crate::console::{Console, LOG_FILE_ONLY, LoggingConfig, print_result, start_logging};
use crate::exit::{Interrupted, Mistake, Panicked, describe};
use crate::flatten::flatten;
use crate::model_log::model_files;
use crate::outputs::write_file;
use crate::pipeline::lock;
use crate::reproduce::{REPRODUCED, REPRODUCES, Reproduction, changed_versions};
use crate::resume::{Logged, StoppedRun, open_tracker};
use crate::runs::digest_of;
use crate::{download, environment};

/// In a run's output folder: which nested run does what.
const NESTED_RUNS: &str = "nested_runs.json";
/// In a run's output folder: the fingerprint of its data and split.
const DATA_DIGEST: &str = "data_digest.txt";
/// In a run's output folder: its model, which is logged under the same name.
pub const MODEL_DIR: &str = "model";
/// In a nested run's output folder, once it is done: what came out.
const NESTED_RESULT: &str = "result.json";

/// The `mlflow:` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MlflowConfig {
    /// Track at all. Without, the program does the same work and keeps its local outputs.
    pub enabled: bool,
    /// `http(s)://server`, or `sqlite:///file.db`; null for `sqlite:///mlflow.db` with artifacts in `./mlruns`.
    pub tracking_uri: Option<String>,
    /// Where registered models are; null for the same place.
    pub registry_uri: Option<String>,
    /// Experiment that the run belongs to; made if it is not there.
    pub experiment_name: String,
    /// Id of the experiment, which must be there; goes before the name.
    pub experiment_id: Option<String>,
    /// Shown name of the run; null for a name made of model, data set and seed.
    pub run_name: Option<String>,
    /// Log files (plots, weights, predictions), not only params and metrics.
    pub log_artifacts: bool,
    /// Log the machine's load (CPU, memory, disk, network) beside the run's own metrics.
    pub system_metrics: bool,
    /// A server that cannot be reached at the start, and anything that is not stored at the end, is an error. Without, the
    /// run goes on, and what the server has not got is kept in `paths.spool_dir`.
    pub strict: bool,
    /// How long records are collected before they go to the disk, in milliseconds: what a `kill -9` costs at most.
    pub flush_interval_ms: u64,
    /// Wait until the disk has what was written, so that it survives a power cut too.
    pub fsync: bool,
    /// Free tags of the run.
    pub tags: BTreeMap<String, String>,
    /// Note shown on the run's page (Markdown).
    pub description: Option<String>,
}

impl Default for MlflowConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            tracking_uri: None,
            registry_uri: None,
            experiment_name: "default_experiment".to_owned(),
            experiment_id: None,
            run_name: None,
            log_artifacts: true,
            system_metrics: false,
            strict: false,
            flush_interval_ms: 100,
            fsync: true,
            tags: BTreeMap::new(),
            description: None,
        }
    }
}

impl MlflowConfig {
    /// Checks ranges; gives key and reason.
    pub fn check(&self) -> Result<(), (String, String)> {
        match self.flush_interval_ms {
            1..=60_000 => Ok(()),
            other => Err(("flush_interval_ms".to_owned(), format!("`{other}` is not between 1 and 60000"))),
        }
    }
}

/// The `paths:` section. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PathsConfig {
    /// Where data files are looked for and downloaded to.
    pub data_dir: PathBuf,
    /// Where each run leaves its local outputs: `<models_dir>/<experiment>/<run id>`.
    pub models_dir: PathBuf,
    /// Where log files go.
    pub logs_dir: PathBuf,
    /// Where the embedded store keeps artifacts.
    pub artifacts_dir: PathBuf,
    /// Where open runs, and records that a server has not got yet, are kept; `sync_runs` sends them.
    pub spool_dir: PathBuf,
}

impl Default for PathsConfig {
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            models_dir: "models".into(),
            logs_dir: "logs".into(),
            artifacts_dir: "mlruns".into(),
            spool_dir: "logs/spool".into(),
        }
    }
}

/// The sections that every program has, and the names of this run.
pub struct Setup<'a> {
    /// `mlflow:`
    pub mlflow: &'a MlflowConfig,
    /// `paths:`
    pub paths: &'a PathsConfig,
    /// `logging:`
    pub logging: &'a LoggingConfig,
    /// Shown name of the run.
    pub run_name: String,
    /// Tags that say what kind of run this is.
    pub tags: Vec<(&'static str, String)>,
    /// The stopped run to go on with.
    pub resumed: Option<StoppedRun>,
    /// The run that is done again.
    pub original: Option<RunData>,
    /// Works for another program's run: it has none of its own.
    pub is_helper: bool,
}

/// One run in progress.
pub struct Session {
    /// Progress and notes.
    pub console: Console,
    /// The tracked run; with tracking off, a run that goes nowhere.
    pub run: Run,
    /// What is in the store already, from before the run was resumed.
    pub logged: Logged,
    tracker: Tracker,
    /// The experiment's name.
    experiment: String,
    /// Of the experiment, if it is known before the first run.
    experiment_id: Option<String>,
    /// Tags that every run of this program gets.
    own_tags: BTreeMap<String, String>,
    /// Output folder of this run.
    folder: PathBuf,
    /// Output folders of the experiment's runs.
    runs_folder: PathBuf,
    log_file: PathBuf,
    log_artifacts: bool,
    /// A part of another run.
    is_nested: bool,
    is_resumed: bool,
    /// The run that is done again.
    original: Option<RunData>,
    open_runs: OpenRuns,
    /// Params that the model has too.
    model_params: Mutex<BTreeMap<String, String>>,
    /// Folders of nested runs that were not all on their server when they ended.
    kept: Arc<Mutex<Vec<PathBuf>>>,
}

/// The runs that a second Ctrl-C ends: this one and a nested one. A run that has ended is not kept, so that the store is
/// closed at the end.
type OpenRuns = Arc<Mutex<Vec<Run>>>;

/// What a run brings, printed at its end.
pub trait RunResult {
    /// For people.
    fn to_text(&self) -> String;
    /// How it ended, for the last line: `best epoch 7 of 20`.
    fn summary(&self) -> String;
    /// For programs: keys beside the run's id and status.
    fn to_json(&self) -> serde_json::Map<String, serde_json::Value>;
    /// An error makes the program fail although its run is FINISHED: the work is done, and what it found is bad.
    fn verdict(&self) -> Result<()> {
        Ok(())
    }
}

/// Runs `recipe` inside a session: starts the run with its config logged, ends it with the status that is true, prints the
/// result. Errors and Ctrl-C come back after the run has been ended.
pub fn run_tracked<C: Serialize, R: RunResult>(
    loaded: &Loaded<C>,
    flags: &CommonFlags,
    setup: &Setup,
    recipe: impl FnOnce(&C, &Session) -> Result<R>,
) -> Result<()> {
    let session = Session::start(loaded, flags, setup)?;
    let result = catch_unwind(AssertUnwindSafe(|| recipe(&loaded.config, &session)))
        .unwrap_or_else(|payload| Err(Panicked(panic_message(payload.as_ref())).into()));
    let outcome = session.end(result.as_ref().err());
    let result = result?;
    if setup.mlflow.strict && !outcome.is_complete() {
        bail!("tracking of run {} is incomplete, and `mlflow.strict` is set: {outcome}", session.run.id());
    }
    let reproduction = session.reproduction();
    if flags.json {
        print_result(&session.to_json(&result, &outcome, reproduction.as_ref()).to_string());
    } else {
        let run = if setup.is_helper { String::new() } else { format!("run {} FINISHED, ", session.run.id()) };
        print_result(&format!("{}\n{run}{}", result.to_text(), result.summary()));
        reproduction.iter().for_each(|reproduction| print_result(&reproduction.to_text()));
    }
    result.verdict()
}

/// Logs metrics of one step of any run.
pub fn log_metrics(run: &Run, metrics: &[(String, f64)], step: usize) {
    let metrics: Vec<(&str, f64)> = metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    run.log_metrics(&metrics, step as i64);
}

/// The text of `panic!("...")`.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

impl Session {
    fn start<C: Serialize>(loaded: &Loaded<C>, flags: &CommonFlags, setup: &Setup) -> Result<Self> {
        let console = Console::new(flags.quiet);
        let program = environment::program();
        let log_file = start_logging(setup.logging, &setup.paths.logs_dir, &program, &console)?;
        tracking::install_panic_hook();
        let tracker = open_tracker(setup.mlflow, setup.paths)?;
        let own_tags = environment::tags(&program);
        let mut tags = own_tags.clone();
        tags.extend(setup.tags.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        tags.extend(setup.mlflow.tags.clone());
        if let Some(original) = &setup.original {
            tags.insert(REPRODUCES.to_owned(), original.info.run_id.clone());
            let changed = changed_versions(original, &own_tags);
            if !changed.is_empty() {
                let what = changed.join(", ");
                console.warn(&format!("run {} was made with another {what}: results may differ", original.info.run_id));
            }
        }
        let mut system_metrics = SystemMetricsOptions::from_env()?;
        system_metrics.enabled |= setup.mlflow.system_metrics;
        // A launcher may have made the run: then it is filled, not made.
        let launched = || env::var("MLFLOW_RUN_ID").ok().filter(|id| !id.is_empty() && setup.mlflow.enabled);
        let runs_in = if setup.is_helper { Tracker::disabled() } else { tracker.clone() };
        let run = runs_in.start_run(&RunOptions {
            experiment: setup.mlflow.experiment_name.clone(),
            experiment_id: setup.mlflow.experiment_id.clone(),
            name: setup.run_name.clone(),
            tags,
            resume_run_id: setup.resumed.as_ref().map(|stopped| stopped.run_id.clone()).or_else(launched),
            log_file: Some(log_file.clone()),
            system_metrics,
            ..RunOptions::default()
        })?;
        // Nested runs stand beside the run, wherever it was started.
        let stopped_in = setup.resumed.as_ref().map(|stopped| stopped.folder.clone());
        let runs_folder = match stopped_in.as_ref().and_then(|folder| folder.parent()) {
            Some(folder) => folder.to_owned(),
            None => setup.paths.models_dir.join(folder_name(&setup.mlflow.experiment_name)),
        };
        let of_run = Some(run.experiment_id().to_owned()).filter(|id| !id.is_empty() && !setup.is_helper);
        let experiment_id = of_run.or_else(|| setup.mlflow.experiment_id.clone());
        let open_runs = Arc::new(Mutex::new(vec![run.clone()]));
        install_signal_handler(console.clone(), Arc::clone(&open_runs));
        let session = Self {
            console,
            logged: setup.resumed.as_ref().map(|stopped| stopped.logged.clone()).unwrap_or_default(),
            folder: stopped_in.unwrap_or_else(|| runs_folder.join(run.id())),
            run,
            tracker,
            experiment: setup.mlflow.experiment_name.clone(),
            experiment_id,
            own_tags,
            runs_folder,
            log_file,
            log_artifacts: setup.mlflow.log_artifacts && setup.mlflow.enabled && !setup.is_helper,
            is_nested: false,
            is_resumed: setup.resumed.is_some(),
            original: setup.original.clone(),
            open_runs,
            model_params: Mutex::default(),
            kept: Arc::default(),
        };
        let verb = if setup.resumed.is_some() { "resuming run" } else { "run" };
        if !setup.is_helper {
            session.console.note(&format!("{verb} {} `{}`", session.run.id(), setup.run_name));
        }
        match session.log_config(loaded, setup) {
            Ok(()) => Ok(session),
            Err(error) => {
                session.run.fail(&describe(&error));
                Err(error)
            }
        }
    }

    /// The resolved config as params and as file, before anything else happens.
    fn log_config<C: Serialize>(&self, loaded: &Loaded<C>, setup: &Setup) -> Result<()> {
        let params = flatten(&loaded.config);
        match &setup.resumed {
            None => self.run.log_params(&params),
            Some(stopped) => stopped.log_changes(&self.run, params),
        }
        if let Some(note) = &setup.mlflow.description {
            self.run.set_note(note);
        }
        if setup.resumed.is_none() {
            let original = fs::read_to_string(&loaded.file).unwrap_or_default();
            let name = loaded.file.file_name().unwrap_or_default().to_string_lossy();
            self.write_text(&format!("configs/{name}"), &original)?;
        }
        // Last, so that it wins when the run was started from another run's effective config.
        self.write_text("configs/effective_app_config.yaml", &loaded.to_yaml())?;
        if self.log_artifacts {
            self.run.log_dir(&self.folder.join("configs"), "configs");
        }
        Ok(())
    }

    /// Does a part of the work in a nested run with its own output folder, and ends it as what it was.
    ///
    /// The result is kept in the nested run's folder: when the parent is resumed, a part that was finished is not done
    /// again, and one that was stopped goes on in its run.
    pub fn nested<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        tags: &[(&str, String)],
        work: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        let mut known = self.nested_runs()?;
        if let Some(run_id) = known.get(name)
            && let Ok(text) = fs::read_to_string(self.runs_folder.join(run_id).join(NESTED_RESULT))
        {
            self.console.note(&format!("{name}: done before, in run {run_id}"));
            if self.tracker.find_run(run_id)?.info.status != RunStatus::Finished {
                // Killed between its last file and its last word to the store, and perhaps taken for dead since.
                self.start_nested(name, tags, Some(run_id))?.close(None);
            }
            return Ok(serde_json::from_str(&text)?);
        }
        let child = self.start_nested(name, tags, known.get(name))?;
        self.console.note(&format!("{name}: run {}", child.run.id()));
        known.insert(name.to_owned(), child.run.id().to_owned());
        self.write_text(NESTED_RUNS, &serde_json::to_string_pretty(&known)?)?;
        let result = work(&child).and_then(|result| {
            child.write_text(NESTED_RESULT, &serde_json::to_string(&result)?)?;
            Ok(result)
        });
        child.close(result.as_ref().err());
        result
    }

    /// Names and ids of the nested runs started so far.
    fn nested_runs(&self) -> Result<BTreeMap<String, String>> {
        match fs::read_to_string(self.folder.join(NESTED_RUNS)) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("`{NESTED_RUNS}` is damaged")),
            Err(_) => Ok(BTreeMap::new()),
        }
    }

    fn start_nested(&self, name: &str, tags: &[(&str, String)], stopped: Option<&String>) -> Result<Self> {
        let mut all = self.own_tags.clone();
        all.extend(tags.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let run = self.tracker.start_run(&RunOptions {
            experiment: self.experiment.clone(),
            experiment_id: self.experiment_id.clone(),
            name: name.to_owned(),
            tags: all,
            parent_run_id: Some(self.run.id().to_owned()),
            resume_run_id: stopped.cloned(),
            log_file: Some(self.log_file.clone()),
            // The parent tells about the machine.
            system_metrics: SystemMetricsOptions::default(),
        })?;
        lock(&self.open_runs).push(run.clone());
        let logged = match stopped {
            Some(_) => Logged::of(self.tracker.store(), run.id())?,
            None => Logged::default(),
        };
        Ok(Self {
            logged,
            console: self.console.clone(),
            folder: self.runs_folder.join(run.id()),
            run,
            tracker: self.tracker.clone(),
            experiment: self.experiment.clone(),
            experiment_id: self.experiment_id.clone(),
            own_tags: self.own_tags.clone(),
            runs_folder: self.runs_folder.clone(),
            log_file: self.log_file.clone(),
            log_artifacts: self.log_artifacts,
            is_nested: true,
            is_resumed: stopped.is_some(),
            original: None,
            open_runs: Arc::clone(&self.open_runs),
            model_params: Mutex::default(),
            kept: Arc::clone(&self.kept),
        })
    }

    /// Starts the run of a trial, below a parent that may be another program's. Several may be open at once.
    pub fn start_trial(&self, parent_run_id: &str, name: &str, tags: BTreeMap<String, String>) -> Result<Run> {
        // Asking git and the machine costs more than a small trial.
        let mut all = self.own_tags.clone();
        all.extend(tags);
        let run = self.tracker.start_run(&RunOptions {
            experiment: self.experiment.clone(),
            experiment_id: self.experiment_id.clone(),
            name: name.to_owned(),
            tags: all,
            parent_run_id: Some(parent_run_id.to_owned()),
            log_file: Some(self.log_file.clone()),
            ..RunOptions::default()
        })?;
        lock(&self.open_runs).push(run.clone());
        Ok(run)
    }

    /// Ends the run of a trial: with a status, or as FAILED with the reason.
    pub fn end_trial(&self, run: &Run, status: Result<RunStatus, String>) {
        let outcome = match status {
            Ok(status) => run.finish(status),
            Err(reason) => run.fail(&reason),
        };
        lock(&self.open_runs).retain(|open| open.id() != run.id());
        self.report_tracking(run, &outcome, true);
    }

    /// Logs metrics of one step. What a resumed run has logged before is not stored again.
    pub fn log_metrics(&self, metrics: &[(String, f64)], step: usize) {
        log_metrics(&self.run, metrics, step);
    }

    /// Logs a param of the run that its model has too.
    pub fn log_model_param(&self, key: &str, value: &str) {
        self.run.log_param(key, value);
        lock(&self.model_params).insert(key.to_owned(), value.to_owned());
    }

    /// The store, for what is not about the own run.
    pub fn store(&self) -> &dyn Store {
        self.tracker.store()
    }

    /// The store of registered models.
    pub fn registry_store(&self) -> Result<Arc<dyn Store>> {
        Ok(self.tracker.registry_store()?)
    }

    /// Whether the run was begun by an earlier process.
    pub fn was_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Sets a tag of another run. A run that is not in this store, as a model from elsewhere may say, is left alone.
    pub fn tag_run(&self, run_id: &str, key: &str, value: &str) {
        let batch = Batch { tags: vec![(key.to_owned(), value.to_owned())], ..Batch::default() };
        if let Err(error) = self.store().log_batch(run_id, &batch) {
            tracing::warn!("run {run_id} does not say `{key}`: {error}");
        }
    }

    /// Calls another run finished, which its own process could not do any more.
    pub fn mark_finished(&self, run_id: &str) {
        let end_time_ms = self.store().run(run_id).ok().and_then(|run| run.info.end_time_ms);
        let end_time_ms = end_time_ms.or_else(|| Some(chrono::Utc::now().timestamp_millis()));
        if let Err(error) = self.store().update_run(run_id, RunStatus::Finished, end_time_ms, None) {
            tracing::warn!("run {run_id} is done, but is not FINISHED in the store: {error}");
        }
    }

    /// Makes sure that the run's data is the one that it was started with. `digest` is its fingerprint with the split.
    pub fn check_same_data(&self, digest: &str) -> Result<()> {
        if let Some(original) = &self.original
            && let Some(known) = digest_of(original).filter(|known| *known != digest)
        {
            let problem = format!(
                "cannot reproduce run {}: the data, or its split, is not what it was (digest `{known}`, now `{digest}`)",
                original.info.run_id
            );
            let hint = "`compare_runs --export-config RUN_ID` writes the config, for a new run on these data";
            return Err(Mistake::new(problem).hint(hint).into());
        }
        match fs::read_to_string(self.folder.join(DATA_DIGEST)) {
            Ok(known) if known.trim() != digest => {
                let problem = format!("cannot resume run {}: the data, or its split, has changed since", self.run.id());
                Err(Mistake::new(problem).hint("to go on with new data, start a run with `init_from`").into())
            }
            Ok(_) => Ok(()),
            Err(_) => self.write_text(DATA_DIGEST, &format!("{digest}\n")),
        }
    }

    /// Makes sure that a data file is there, if one is named; gives the place where it was found. `key` is the setting
    /// that names it, `url` and `sha256` say where to get it.
    pub fn find_file(
        &self,
        key: &str,
        path: Option<&Path>,
        (url, sha256): (Option<&str>, Option<&str>),
        data_dir: &Path,
    ) -> Result<Option<PathBuf>> {
        let find = |path| download::find_or_download(key, path, url, sha256, data_dir, &self.console);
        path.map(find).transpose()
    }

    /// A path below the run's output folder.
    pub fn in_folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A path below the folder of the experiment's runs, without that folder.
    pub fn below_runs(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.runs_folder).unwrap_or(path).to_owned()
    }

    /// Back from [`Session::below_runs`].
    pub fn in_runs(&self, path: &Path) -> PathBuf {
        self.runs_folder.join(path)
    }

    /// Makes a folder below the run's output folder.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create folder `{}`", folder.display()))?;
        Ok(folder)
    }

    /// Writes a text file below the output folder, whole or not at all.
    pub fn write_text(&self, name: &str, text: &str) -> Result<()> {
        self.write_file(name, |temporary| fs::write(temporary, text))
    }

    /// Makes a file, and the folder it stands in, below the output folder: `write` gets a temporary name, and the file
    /// appears under its own when that is done, or not at all.
    pub fn write_file(&self, name: &str, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
        write_file(&self.folder.join(name), write)
    }

    /// Uploads what there is and ends the run as what it was: FINISHED, KILLED (Ctrl-C) or FAILED with the reason.
    fn end(&self, error: Option<&anyhow::Error>) -> Outcome {
        // A panic in a nested run has not come past its end.
        let others: Vec<Run> = lock(&self.open_runs).iter().filter(|run| run.id() != self.run.id()).cloned().collect();
        for run in others {
            run.fail("the program ended in this run");
            lock(&self.open_runs).retain(|open| open.id() != run.id());
        }
        if let Some(error) = error {
            tracing::error!(target: LOG_FILE_ONLY, "{}", describe(error));
        }
        self.copy_log();
        let outcome = self.close(error);
        self.console.note(&format!("outputs: {}", self.folder.display()));
        self.console.note(&format!("log:     {}", self.log_file.display()));
        if let (Some(run), Some(experiment)) = (self.run.url(), self.tracker.experiment_url(self.run.experiment_id())) {
            self.console.note(&format!("🏃 View run {} at: {run}", self.run.name()));
            self.console.note(&format!("🧪 View experiment at: {experiment}"));
        }
        if let Some(command) = self.tracker.view_command() {
            self.console.note(&format!("look:    {command}"));
        }
        outcome
    }

    /// Uploads the output folder and tells the store how the run ended.
    fn close(&self, error: Option<&anyhow::Error>) -> Outcome {
        // A nested run that failed at once has left no file.
        if self.log_artifacts && self.folder.exists() {
            self.upload_outputs(error.is_none());
        }
        let outcome = match error {
            None => self.run.finish(RunStatus::Finished),
            Some(error) if error.is::<Interrupted>() => self.run.finish(RunStatus::Killed),
            Some(error) => self.run.fail(&describe(error)),
        };
        lock(&self.open_runs).retain(|open| open.id() != self.run.id());
        self.report_tracking(&self.run, &outcome, self.is_nested);
        outcome
    }

    /// Uploads the output folder. A model that is done is logged as a model, not among the artifacts.
    fn upload_outputs(&self, is_finished: bool) {
        let model_dir = self.folder.join(MODEL_DIR);
        let model = model_files(&model_dir, lock(&self.model_params).clone());
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut outputs: Vec<PathBuf> = entries.filter(|path| model.is_none() || *path != model_dir).collect();
        outputs.sort();
        for path in outputs {
            match path.file_name().filter(|_| path.is_dir()) {
                Some(name) => self.run.log_dir(&path, &name.to_string_lossy()),
                None => self.run.log_artifact(&path, ""),
            }
        }
        // What an earlier end of this run has left is logged already.
        if let Some(model) = model.filter(|_| is_finished) {
            self.run.log_model(model);
        }
    }

    /// Says what is not in the store. What is kept on disk is no loss, and of nested runs it is said by their parent.
    fn report_tracking(&self, run: &Run, outcome: &Outcome, is_nested: bool) {
        let hint = "Hint: the next run sends what is kept, or `cargo run --bin sync_runs`";
        let id = run.id();
        match &outcome.spool {
            _ if outcome.is_complete() && is_nested => {}
            _ if outcome.is_complete() => self.report_kept(hint),
            Some(spool) if outcome.dropped + outcome.set_aside == 0 => {
                let problem = outcome.problem.as_deref().unwrap_or("no answer");
                let text = format!(
                    "run {id} is not all on its server ({problem}); {} records are kept in `{}`. {hint}",
                    outcome.left,
                    spool.display()
                );
                if is_nested {
                    tracing::info!("{text}");
                    lock(&self.kept).push(spool.clone());
                } else if self.console.is_quiet() {
                    // The one line that says how to send it.
                    tracing::error!("{text}");
                } else {
                    self.console.warn(&text);
                }
            }
            // An error, so that `--quiet` shows it too: something that was logged is lost, or refused.
            spool => {
                let hint = spool.as_ref().map_or(String::new(), |_| format!(". {hint}"));
                tracing::error!("tracking of run {id} is incomplete: {outcome}{hint}");
            }
        }
    }

    /// The server was away while nested runs ended, and back at the end of their parent.
    fn report_kept(&self, hint: &str) {
        // What was sent since is gone.
        let kept = lock(&self.kept).iter().filter(|folder| folder.exists()).count();
        if kept > 0 {
            self.console.warn(&format!("{kept} of its nested runs are not on their server yet. {hint}"));
        }
    }

    /// A copy, because the log goes on while files are uploaded.
    fn copy_log(&self) {
        let name = self.log_file.file_name().unwrap_or_default().to_string_lossy();
        let copied =
            self.write_file(&format!("logs/{name}"), |temporary| fs::copy(&self.log_file, temporary).map(drop));
        if let Err(error) = copied {
            self.console.warn(&format!("the log is not among the artifacts: {error}"));
        }
    }

    /// Whether the run that was done again came out the same; its own run has ended. `None` where nobody knows.
    fn reproduction(&self) -> Option<Reproduction> {
        let original = self.original.as_ref()?;
        let run_id = self.run.store_id().unwrap_or(self.run.id());
        match Reproduction::compare(original, run_id, self.store()) {
            Ok(found) => {
                let word = if found.is_identical() { "identical" } else { "different" };
                self.tag_run(run_id, REPRODUCED, word);
                Some(found)
            }
            Err(error) => {
                self.console
                    .warn(&format!("whether run {} is reproduced is not known: {error:#}", original.info.run_id));
                None
            }
        }
    }

    fn to_json(
        &self,
        result: &impl RunResult,
        outcome: &Outcome,
        reproduction: Option<&Reproduction>,
    ) -> serde_json::Value {
        let mut object = serde_json::json!({
            "run_id": self.run.id(),
            "status": "FINISHED",
            "tracking": if outcome.is_complete() { "complete".to_owned() } else { outcome.to_string() },
            "outputs": self.folder.display().to_string(),
        });
        if let Some(object) = object.as_object_mut() {
            object.extend(result.to_json());
            if let Some(found) = reproduction {
                let mut value = serde_json::json!(found);
                value["identical"] = found.is_identical().into();
                object.insert(REPRODUCES.to_owned(), value);
            }
        }
        object
    }
}

/// The first signal asks the program to end the run in good order. The second ends it at once: the status is still
/// written, if the store takes it within a second.
fn install_signal_handler(console: Console, open_runs: OpenRuns) {
    let handler = move || {
        if !console.interrupt() {
            console.note("stopping; press Ctrl-C again to stop at once");
            return;
        }
        let runs = lock(&open_runs).clone();
        let (done, wait) = mpsc::channel();
        thread::spawn(move || {
            runs.iter().rev().for_each(|run| drop(run.finish(RunStatus::Killed)));
            let _ = done.send(());
        });
        let _ = wait.recv_timeout(Duration::from_secs(1));
        process::exit(130);
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::warn!("cannot handle Ctrl-C: {error}");
    }
}

/// An experiment's name as one folder.
pub fn folder_name(experiment: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_. ".contains(c) { c } else { '_' };
    let name: String = experiment.chars().map(safe).collect();
    if Path::new(&name).file_name().is_some() { name } else { "experiment".to_owned() }
}
