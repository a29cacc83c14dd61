//! What programs use: a [`Tracker`] starts runs, a [`Run`] takes what is logged and never fails.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::null::NullStore;
use crate::rules::{USER_TAG, now_ms};
use crate::uri::open_counted;
use crate::writer::{Record, Shared, Upload, lock, upload_files, write_records};
use crate::{
    DatasetInput, Error, HttpOptions, Lifecycle, Metric, NewRun, Result, RunInfo, RunStatus, Store, redact_url,
};

const PARENT_TAG: &str = "mlflow.parentRunId";
const NOTE_TAG: &str = "mlflow.note.content";
/// Why a run failed.
const ERROR_TAG: &str = "error";
const ERROR_FILE: &str = "error.txt";
/// How often the end of the writer is looked for.
const EXIT_POLL: Duration = Duration::from_millis(2);

/// Where and how to track. Its `Debug` output never shows a secret.
#[derive(Clone)]
pub struct Options {
    /// Tracking URI, see [`open_store`](crate::open_store).
    pub uri: String,
    /// Where an embedded store puts artifacts.
    pub artifact_root: PathBuf,
    /// Credentials and deadlines for a server.
    pub http: HttpOptions,
    /// How long [`Run::finish`] waits for a store that does not answer.
    pub exit_timeout: Duration,
    /// Memory for what is not written yet, per run, once for records and once for files to upload.
    pub queue_bytes: usize,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("uri", &redact_url(&self.uri))
            .field("artifact_root", &self.artifact_root)
            .field("http", &self.http)
            .field("exit_timeout", &self.exit_timeout)
            .field("queue_bytes", &self.queue_bytes)
            .finish()
    }
}

impl Default for Options {
    /// `sqlite:///mlflow.db` with artifacts in `./mlruns`, as MLflow does; 5 s; 64 MiB.
    fn default() -> Self {
        Self {
            uri: "sqlite:///mlflow.db".into(),
            artifact_root: "mlruns".into(),
            http: HttpOptions::default(),
            exit_timeout: Duration::from_secs(5),
            queue_bytes: 64 << 20,
        }
    }
}

impl Options {
    /// The default with `MLFLOW_TRACKING_URI` and what [`HttpOptions::from_env`] reads.
    pub fn from_env() -> Result<Self> {
        let default = Self::default();
        let uri = std::env::var("MLFLOW_TRACKING_URI").ok().filter(|uri| !uri.is_empty());
        Ok(Self { uri: uri.unwrap_or(default.uri), http: HttpOptions::from_env()?, ..default })
    }
}

/// Which run to start.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Name of the experiment, made when it is not there; empty for `Default`.
    pub experiment: String,
    /// Shown name; empty lets the store choose.
    pub name: String,
    /// First tags: `mlflow.user`, `mlflow.source.name`, `mlflow.source.git.commit`, your own.
    pub tags: BTreeMap<String, String>,
    /// The run that this one is a part of, e.g. a sweep.
    pub parent_run_id: Option<String>,
    /// Continues this run: `experiment` and `name` are then those it has.
    pub resume_run_id: Option<String>,
}

/// Starts runs in one store. Cheap to clone.
#[derive(Clone)]
pub struct Tracker {
    store: Arc<dyn Store>,
    /// `None` for a store that does not count.
    bytes_moved: Option<Arc<AtomicU64>>,
    exit_timeout: Duration,
    queue_bytes: usize,
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker").field("uri", &self.store.uri()).finish_non_exhaustive()
    }
}

impl Tracker {
    /// Opens the store and asks it something, so that a wrong address or password shows before the training.
    pub fn open(options: &Options) -> Result<Self> {
        let (store, bytes_moved) = open_counted(&options.uri, &options.artifact_root, &options.http)?;
        store.experiment_by_name("Default").map_err(|error| match error {
            Error::Unavailable { message, retry_after_s } => Error::Unavailable {
                message: format!(
                    "{message}. Hint: start it with `mlflow server`, check MLFLOW_TRACKING_URI, or use \
                     `sqlite:///mlflow.db`, which needs no server"
                ),
                retry_after_s,
            },
            other => other,
        })?;
        Ok(Self { bytes_moved, ..Self::with_store(store, options) })
    }

    /// Tracks to a store that is open already; `uri`, `artifact_root` and `http` of the options are not used.
    pub fn with_store(store: Arc<dyn Store>, options: &Options) -> Self {
        Self { store, bytes_moved: None, exit_timeout: options.exit_timeout, queue_bytes: options.queue_bytes }
    }

    /// A tracker that is off: the same API, and nothing is kept. Run ids are fresh all the same.
    pub fn disabled() -> Self {
        Self::with_store(Arc::new(NullStore), &Options::default())
    }

    /// The store, for what is not about one's own run: searches, history, artifacts of others.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The id of the experiment with this name, which is made when there is none.
    ///
    /// Two processes may ask at once. Errors with [`Error::Invalid`] when the experiment is deleted.
    pub fn experiment_id(&self, name: &str) -> Result<String> {
        let name = if name.is_empty() { "Default" } else { name };
        let taken = match self.existing_experiment(name)? {
            Some(id) => return Ok(id),
            None => match self.store.create_experiment(name) {
                Err(Error::AlreadyExists(message)) => message,
                created => return created,
            },
        };
        // Another process was faster, or the server's reply to our own request was lost.
        self.existing_experiment(name)?.ok_or(Error::AlreadyExists(taken))
    }

    fn existing_experiment(&self, name: &str) -> Result<Option<String>> {
        match self.store.experiment_by_name(name)? {
            Some(found) if found.lifecycle == Lifecycle::Deleted => Err(Error::Invalid(format!(
                "experiment `{name}` is deleted in `{}`. Hint: bring it back with `mlflow experiments restore \
                 --experiment-id {}`, or use another name",
                self.store.uri(),
                found.experiment_id
            ))),
            found => Ok(found.map(|experiment| experiment.experiment_id)),
        }
    }

    /// Starts or resumes a run. This talks to the store and can fail; the [`Run`] cannot.
    pub fn start_run(&self, options: &RunOptions) -> Result<Run> {
        let info = match &options.resume_run_id {
            Some(run_id) => self.resume(run_id)?,
            None => self.create(options)?,
        };
        let run = self.attach(info)?;
        if options.resume_run_id.is_some() {
            options.tags.iter().for_each(|(key, value)| run.set_tag(key, value));
        }
        Ok(run)
    }

    fn create(&self, options: &RunOptions) -> Result<RunInfo> {
        let mut tags = options.tags.clone();
        if let Some(parent) = &options.parent_run_id {
            tags.insert(PARENT_TAG.into(), parent.clone());
        }
        self.store.create_run(&NewRun {
            experiment_id: self.experiment_id(&options.experiment)?,
            name: options.name.clone(),
            user: tags.get(USER_TAG).cloned().unwrap_or_default(),
            start_time_ms: now_ms(),
            tags,
        })
    }

    fn resume(&self, run_id: &str) -> Result<RunInfo> {
        let info = self.store.run(run_id)?.info;
        if info.lifecycle == Lifecycle::Deleted {
            return Err(Error::Invalid(format!(
                "run `{run_id}` is deleted. Hint: bring it back with `mlflow runs restore --run-id {run_id}`"
            )));
        }
        self.store.update_run(run_id, RunStatus::Running, None, None)?;
        Ok(RunInfo { status: RunStatus::Running, end_time_ms: None, ..info })
    }

    fn attach(&self, info: RunInfo) -> Result<Run> {
        let shared =
            Arc::new(Shared::new(self.store.clone(), info.run_id.clone(), self.queue_bytes, self.bytes_moved.clone()));
        let writer = spawn("tracking-records", shared.clone(), write_records)?;
        let uploader = spawn("tracking-uploads", shared.clone(), upload_files);
        if uploader.is_err() {
            shared.records.abandon();
        }
        uploader?;
        let inner = Inner { shared, info, writer, exit_timeout: self.exit_timeout, finished: Mutex::new(None) };
        Ok(Run { inner: Arc::new(inner) })
    }

    /// For an embedded store: the command that shows its runs in a browser.
    pub fn view_command(&self) -> Option<String> {
        let uri = self.store.uri();
        uri.starts_with("sqlite:").then(|| format!("mlflow ui --backend-store-uri {uri}"))
    }

    /// For a server: the page with the runs of an experiment.
    pub fn experiment_url(&self, experiment_id: &str) -> Option<String> {
        experiment_url(self.store.as_ref(), experiment_id)
    }
}

fn experiment_url(store: &dyn Store, experiment_id: &str) -> Option<String> {
    let uri = store.uri();
    uri.starts_with("http").then(|| format!("{uri}/#/experiments/{experiment_id}/runs"))
}

fn spawn(name: &str, shared: Arc<Shared>, work: fn(&Shared)) -> Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(move || work(&shared)).map_err(|error| Error::Unavailable {
        message: format!("cannot start thread `{name}`: {error}"),
        retry_after_s: None,
    })
}

/// One run being written. Clones are handles to the same run, for other threads.
///
/// No `log_*` call fails or does I/O: each puts a record into a bounded queue. When the last handle goes without
/// [`Run::finish`], the run has failed.
#[derive(Clone)]
pub struct Run {
    inner: Arc<Inner>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", &self.id()).finish_non_exhaustive()
    }
}

struct Inner {
    shared: Arc<Shared>,
    info: RunInfo,
    writer: JoinHandle<()>,
    exit_timeout: Duration,
    finished: Mutex<Option<Outcome>>,
}

/// What became of everything that was logged, in records (points, params, tags, inputs) and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How the run ended.
    pub status: RunStatus,
    /// The store knows the status.
    pub ended: bool,
    /// Stored.
    pub written: u64,
    /// Refused by the store; the reasons are tags `tracking.set_aside.*`.
    pub set_aside: u64,
    /// Not accepted: the queue was full, or the run had ended.
    pub dropped: u64,
    /// Accepted, and not stored when the time was up.
    pub left: u64,
    /// The last thing that went wrong, whether or not it passed.
    pub problem: Option<String>,
}

impl Outcome {
    /// Everything that was logged is stored, and the status too.
    pub fn is_complete(&self) -> bool {
        self.ended && self.set_aside + self.dropped + self.left == 0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records stored", self.written)?;
        for (count, what) in [(self.set_aside, "refused"), (self.dropped, "dropped"), (self.left, "not sent")] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if !self.ended {
            write!(f, ", status {} not stored", self.status)?;
        }
        match &self.problem {
            Some(problem) if !self.is_complete() => write!(f, ": {problem}"),
            _ => Ok(()),
        }
    }
}

impl Run {
    /// 32 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.inner.info.run_id
    }

    /// The experiment that the run belongs to.
    pub fn experiment_id(&self) -> &str {
        &self.inner.info.experiment_id
    }

    /// Shown name.
    pub fn name(&self) -> &str {
        &self.inner.info.name
    }

    /// On a server: the run's page for the browser.
    pub fn url(&self) -> Option<String> {
        experiment_url(self.inner.shared.store.as_ref(), self.experiment_id())
            .map(|runs| format!("{runs}/{}", self.id()))
    }

    /// Logs a hyperparameter. A second value for the same key is refused and noted.
    pub fn log_param(&self, key: &str, value: &str) {
        self.push([Record::Param(key.into(), value.into())]);
    }

    /// Logs hyperparameters; a value longer than 6000 characters is cut and kept whole as artifact `params/<key>.txt`.
    pub fn log_params(&self, params: &BTreeMap<String, String>) {
        self.push(params.iter().map(|(key, value)| Record::Param(key.clone(), value.clone())));
    }

    /// Logs one point, measured now. `step` is the position on the x axis, usually the epoch.
    pub fn log_metric(&self, key: &str, value: f64, step: i64) {
        self.log_metrics(&[(key, value)], step);
    }

    /// Logs several metrics of one step.
    pub fn log_metrics(&self, metrics: &[(&str, f64)], step: i64) {
        let timestamp_ms = now_ms();
        let metric = |&(key, value): &(&str, f64)| Metric { key: key.into(), value, timestamp_ms, step };
        self.push(metrics.iter().map(|point| Record::Metric(metric(point))));
    }

    /// Sets a tag; a value longer than 8000 characters is cut and kept whole as artifact `tags/<key>.txt`.
    pub fn set_tag(&self, key: &str, value: &str) {
        self.push([Record::Tag(key.into(), value.into())]);
    }

    /// Sets the description, Markdown, that MLflow shows above the run.
    pub fn set_note(&self, markdown: &str) {
        self.set_tag(NOTE_TAG, markdown);
    }

    /// Records a data set that the run reads.
    pub fn log_input(&self, input: DatasetInput) {
        self.push([Record::Input(Box::new(input))]);
    }

    /// Uploads a file to a folder of the run (`""` is the root). The file must stay as it is until the run is finished.
    pub fn log_artifact(&self, local_file: &Path, artifact_folder: &str) {
        self.upload(Upload::File { local_file: local_file.into(), folder: artifact_folder.into() });
    }

    /// Uploads all files below a folder to a folder of the run (`""` is the root).
    pub fn log_dir(&self, local_dir: &Path, artifact_folder: &str) {
        self.upload(Upload::Dir { local_dir: local_dir.into(), folder: artifact_folder.into() });
    }

    /// Stores text as a file of the run.
    pub fn log_text(&self, text: &str, artifact_path: &str) {
        self.upload(Upload::Text { text: text.into(), artifact_path: artifact_path.into() });
    }

    fn push(&self, records: impl IntoIterator<Item = Record>) {
        self.inner.shared.records.push(records.into_iter());
    }

    fn upload(&self, upload: Upload) {
        self.inner.shared.uploads.push(std::iter::once(upload));
    }

    /// Writes what is queued, then the status, and tells what became of it all.
    ///
    /// Takes as long as the store goes on answering or an upload goes on advancing; once nothing moves, at most
    /// [`Options::exit_timeout`], and for a file that is out but not confirmed another second per 10 MB: a server passes
    /// it on to its object storage before it answers. A file that is sent again after a failure advances only beyond what
    /// was sent before. May be called from any thread through a clone, e.g. on Ctrl-C; later calls return the first outcome.
    pub fn finish(&self, status: RunStatus) -> Outcome {
        self.inner.finish(status)
    }

    /// Ends as `FAILED`, with the reason as tag `error` and artifact `error.txt`.
    pub fn fail(&self, reason: &str) -> Outcome {
        if lock(&self.inner.finished).is_none() {
            self.set_tag(ERROR_TAG, reason);
            self.log_text(reason, ERROR_FILE);
        }
        self.finish(RunStatus::Failed)
    }
}

impl Inner {
    fn finish(&self, status: RunStatus) -> Outcome {
        let mut finished = lock(&self.finished);
        if let Some(outcome) = &*finished {
            return outcome.clone();
        }
        // Set once: the lock lets only the first caller come here.
        let _ = self.shared.end.set((status, now_ms()));
        self.shared.records.close();
        self.wait_for_writer();
        let (written, set_aside, dropped, left) = self.shared.counts();
        let ended = self.shared.ended.load(Ordering::Acquire);
        let problem = self.shared.problem();
        let outcome = Outcome { status, ended, written, set_aside, dropped, left, problem };
        *finished = Some(outcome.clone());
        outcome
    }

    /// Waits while anything moves. Uploads are given up first, so that there is time left for the status.
    fn wait_for_writer(&self) {
        if !self.moves_to_the_end(&|| self.exit_timeout.mul_f64(0.8) + self.shared.patience()) {
            self.shared.uploads.abandon();
            if !self.moves_to_the_end(&|| self.exit_timeout.mul_f64(0.2)) {
                self.shared.records.abandon();
            }
        }
    }

    /// True once the writer has ended, false when nothing has moved for as long as `limit` says.
    fn moves_to_the_end(&self, limit: &dyn Fn() -> Duration) -> bool {
        let mut seen = self.shared.progress();
        let mut moved = Instant::now();
        while !self.writer.is_finished() {
            std::thread::sleep(EXIT_POLL);
            let progress = self.shared.progress();
            if progress != seen {
                (seen, moved) = (progress, Instant::now());
            }
            if moved.elapsed() > limit() {
                return false;
            }
        }
        true
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if lock(&self.finished).is_some() {
            return;
        }
        if std::thread::panicking() {
            let reason = "the program panicked; its standard error says where".to_string();
            self.shared.records.push(std::iter::once(Record::Tag(ERROR_TAG.into(), reason)));
        }
        self.finish(RunStatus::Failed);
    }
}
