//! Opening a store and starting runs in it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::journal::{JournalReader, JournalWriter};
use crate::logged::Logged;
use crate::null::NullStore;
use crate::queue::Queue;
use crate::rules::{ERROR_TAG, HEARTBEAT_TAG, LAST_SEEN_TAG, LOCAL_ID_TAG, PARENT_TAG, USER_TAG, now_ms, rfc3339};
use crate::run::{Run, SYSTEM_PREFIX, Threads, run_page};
use crate::shared::{Shared, lock};
use crate::source::Tail;
use crate::spool::{RunFolder, Ticket, in_use, read_ticket, run_folders, take_over_soon};
use crate::sync::Janitor;
use crate::uri::{absolute, open_counted, open_store};
use crate::variables::environment;
use crate::writer::BATCH;
use crate::{
    Batch, Error, HttpOptions, Lifecycle, Metric, Result, RunData, RunInfo, RunStatus, Store, SystemMetricsOptions,
    redact_url, start, sync,
};

/// How long the start of a run waits for an answer of the server before it goes on without.
const START_TIMEOUT: Duration = Duration::from_secs(5);
/// After a server did not answer, runs start without asking it for so long.
const AWAY: Duration = Duration::from_secs(30);
/// How long the resumption of a run waits for another thread that is just sending what the run has left.
const RESUME_WAIT: Duration = Duration::from_secs(10);

/// Where and how to track. Its `Debug` output never shows a secret.
#[derive(Clone)]
pub struct Options {
    /// Tracking URI, see [`open_store`](crate::open_store).
    pub uri: String,
    /// Where registered models are, if not in the same store.
    pub registry_uri: Option<String>,
    /// Where an embedded store puts artifacts.
    pub artifact_root: PathBuf,
    /// Credentials and deadlines for a server.
    pub http: HttpOptions,
    /// Folder for open runs: journals of what a server has not got yet, files that wait for their upload, and locks that
    /// tell dead runs from live ones. Empty once all runs have ended and everything is stored.
    pub spool_dir: PathBuf,
    /// How long records are collected before they go to the disk. What was logged within it is lost by a `kill -9`.
    pub flush_interval: Duration,
    /// Wait until the disk has what was written, so that it survives a power cut, not only the end of the process.
    pub fsync: bool,
    /// A server that cannot be reached at the start is an error. Without, the run starts under a local id.
    pub strict: bool,
    /// How long [`Run::finish`] waits for a store that does not answer.
    pub exit_timeout: Duration,
    /// Memory for what is not on the disk yet, per run.
    pub queue_bytes: usize,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("uri", &redact_url(&self.uri))
            .field("registry_uri", &self.registry_uri.as_deref().map(redact_url))
            .field("artifact_root", &self.artifact_root)
            .field("http", &self.http)
            .field("spool_dir", &self.spool_dir)
            .field("flush_interval", &self.flush_interval)
            .field("fsync", &self.fsync)
            .field("strict", &self.strict)
            .field("exit_timeout", &self.exit_timeout)
            .field("queue_bytes", &self.queue_bytes)
            .finish()
    }
}

impl Default for Options {
    /// `sqlite:///mlflow.db` with artifacts in `./mlruns`, as MLflow does; `./mlflow-spool`; 100 ms and `fsync`; 5 s; 64 MiB.
    fn default() -> Self {
        Self {
            uri: "sqlite:///mlflow.db".into(),
            registry_uri: None,
            artifact_root: "mlruns".into(),
            http: HttpOptions::default(),
            spool_dir: "mlflow-spool".into(),
            flush_interval: Duration::from_millis(100),
            fsync: true,
            strict: false,
            exit_timeout: Duration::from_secs(5),
            queue_bytes: 64 << 20,
        }
    }
}

impl Options {
    /// The default with `MLFLOW_TRACKING_URI`, `MLFLOW_REGISTRY_URI` and what [`HttpOptions::from_env`] reads.
    pub fn from_env() -> Result<Self> {
        let default = Self::default();
        let uri = environment("MLFLOW_TRACKING_URI").filter(|uri| !uri.is_empty());
        Ok(Self {
            uri: uri.unwrap_or(default.uri),
            registry_uri: environment("MLFLOW_REGISTRY_URI").filter(|uri| !uri.is_empty()),
            http: HttpOptions::from_env()?,
            ..default
        })
    }
}

/// Which run to start.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Name of the experiment, made when it is not there; empty for `Default`.
    pub experiment: String,
    /// Id of the experiment, which must be there; it goes before the name.
    pub experiment_id: Option<String>,
    /// Shown name; empty lets the store choose.
    pub name: String,
    /// First tags: `mlflow.user`, `mlflow.source.name`, `mlflow.source.git.commit`, your own.
    pub tags: BTreeMap<String, String>,
    /// The run that this one is a part of, e.g. a sweep.
    pub parent_run_id: Option<String>,
    /// Continues this run: `experiment` and `name` are then those it has.
    pub resume_run_id: Option<String>,
    /// What the program writes its log to: if the process dies, the end of it is kept with the run.
    pub log_file: Option<PathBuf>,
    /// The machine's load beside the run's own metrics. It goes on until the run is finished.
    pub system_metrics: SystemMetricsOptions,
}

/// Starts runs in one store. Cheap to clone.
#[derive(Clone)]
pub struct Tracker {
    store: Arc<dyn Store>,
    /// The same store with a short deadline, for what the start of a run waits for.
    quick_store: Arc<dyn Store>,
    /// `None` for a store that does not count.
    bytes_moved: Option<Arc<AtomicU64>>,
    options: Arc<Options>,
    /// False when tracking is off.
    is_on: bool,
    /// When the server was last found not to answer, and why.
    away: Arc<Mutex<Option<(Instant, String)>>>,
    /// Sends to a server what runs have left.
    janitor: Option<Arc<Janitor>>,
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker").field("uri", &self.store.uri()).finish_non_exhaustive()
    }
}

impl Tracker {
    /// Opens the store and asks it something, so that a wrong address or password shows before the training.
    ///
    /// A server that is away is no error, unless the options are `strict`. Runs of this spool folder whose process died
    /// are ended as `KILLED` (`FAILED` after a panic); what they have left is sent, to a server in the background.
    pub fn open(options: &Options) -> Result<Self> {
        let (store, bytes_moved) = open_counted(&options.uri, &options.artifact_root, &options.http)?;
        let quick = HttpOptions {
            timeout: options.http.timeout.min(START_TIMEOUT),
            max_retries: options.http.max_retries.min(1),
            ..options.http.clone()
        };
        let quick_store = match store.is_remote() {
            true => open_counted(&options.uri, &options.artifact_root, &quick)?.0,
            false => store.clone(),
        };
        let tracker = Self { bytes_moved, quick_store, ..Self::with_store(store, options) };
        match tracker.quick_store.experiment_by_name("Default") {
            Err(error) if tracker.can_do_without(&error) => {
                tracker.note_away(&error);
                tracing::warn!(
                    "{error}. Runs start without it, and what they log is kept in `{}`. Hint: is MLFLOW_TRACKING_URI \
                     right?",
                    options.spool_dir.display()
                );
            }
            Err(error) => return Err(with_hint(error)),
            Ok(_) => {}
        }
        sync::end_dead_runs(&tracker.store, options);
        if let Some(janitor) = &tracker.janitor {
            janitor.wake();
        }
        Ok(tracker)
    }

    /// Tracks to a store that is open already; `uri`, `artifact_root` and `http` of the options are not used.
    pub fn with_store(store: Arc<dyn Store>, options: &Options) -> Self {
        let janitor = || Arc::new(Janitor::new(store.clone(), options));
        Self {
            janitor: store.is_remote().then(janitor),
            quick_store: store.clone(),
            store,
            bytes_moved: None,
            options: Arc::new(options.clone()),
            is_on: true,
            away: Arc::default(),
        }
    }

    /// A tracker that is off: the same API, and nothing is kept. Run ids are fresh all the same.
    pub fn disabled() -> Self {
        Self { is_on: false, ..Self::with_store(Arc::new(NullStore), &Options::default()) }
    }

    /// The store, for what is not about one's own run: searches, history, artifacts of others.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The store with the registered models: the same one, or that of `registry_uri`. Errors when that cannot be opened.
    pub fn registry_store(&self) -> Result<Arc<dyn Store>> {
        match &self.options.registry_uri {
            Some(uri) => open_store(uri, &self.options.artifact_root, &self.options.http),
            None => Ok(self.store.clone()),
        }
    }

    /// The id of the experiment with this name, which is made when there is none.
    ///
    /// Two processes may ask at once. Errors with [`Error::Invalid`] when the experiment is deleted.
    pub fn experiment_id(&self, name: &str) -> Result<String> {
        start::experiment_id(self.store.as_ref(), name)
    }

    /// Reads a run by its id, or by the local id that it was started under while its server was away.
    pub fn find_run(&self, run_id: &str) -> Result<RunData> {
        start::find_run(self.store.as_ref(), run_id)
    }

    /// Starts or resumes a run. This talks to the store and can fail; the [`Run`] cannot.
    ///
    /// While a server is away, a new run starts under a local id and is made there later. A resumed one needs its server:
    /// a step of a curve that it has already is not stored again, so going on from an older checkpoint doubles none.
    pub fn start_run(&self, options: &RunOptions) -> Result<Run> {
        let (run, logged) = match &options.resume_run_id {
            Some(run_id) => self.resume(run_id, options)?,
            None => (self.create(options)?, BTreeMap::new()),
        };
        if options.system_metrics.enabled && self.is_on {
            run.sample_system(&options.system_metrics, &logged)?;
        }
        Ok(run)
    }

    fn create(&self, options: &RunOptions) -> Result<Run> {
        let mut ticket = self.ticket(options);
        if !self.is_on {
            let info = self.store.create_run(&start::new_run(&ticket, String::new()))?;
            return self.attach(info, None, ticket, Logged::default());
        }
        let mut folder = RunFolder::create(&self.options.spool_dir, &ticket)?;
        let info = match self.make_now(&ticket) {
            Ok(info) => {
                ticket.id.clone_from(&info.run_id);
                ticket.run_id = Some(info.run_id.clone());
                folder.rename(&ticket)?;
                self.delete_mark(&info.run_id);
                info
            }
            Err(error) if self.can_do_without(&error) => local_info(&ticket),
            Err(error) => {
                folder.remove();
                return Err(error);
            }
        };
        self.attach(info, Some(folder), ticket, Logged::default())
    }

    fn ticket(&self, options: &RunOptions) -> Ticket {
        let mut tags = options.tags.clone();
        if let Some(parent) = &options.parent_run_id {
            tags.insert(PARENT_TAG.into(), parent.clone());
        }
        Ticket {
            uri: absolute(&self.store.uri()),
            artifact_root: absolute_path(&self.options.artifact_root),
            id: Uuid::new_v4().simple().to_string(),
            run_id: None,
            experiment: options.experiment.clone(),
            experiment_id: options.experiment_id.clone(),
            name: options.name.clone(),
            user: tags.get(USER_TAG).cloned().unwrap_or_default(),
            start_time_ms: now_ms(),
            tags,
            log_file: options.log_file.as_ref().map(absolute_path),
            process_id: std::process::id(),
        }
    }

    /// Makes the run in the store, if that answers soon.
    fn make_now(&self, ticket: &Ticket) -> Result<RunInfo> {
        if self.is_away() {
            return Err(Error::Unavailable { message: format!("`{}` is away", self.store.uri()), retry_after_s: None });
        }
        let store = self.quick_store.as_ref();
        let made = start::make_run_now(store, &self.options.spool_dir, ticket);
        if let Err(error) = &made
            && self.can_do_without(error)
        {
            self.note_away(error);
            tracing::warn!("{error}. The run starts as {}, and is sent later", ticket.id);
        }
        made
    }

    /// The local id has done its service on a run whose own id is in the ticket. Not before: a process that is killed in
    /// between would leave a run that nobody finds.
    fn delete_mark(&self, run_id: &str) {
        if let Err(error) = self.quick_store.delete_tag(run_id, LOCAL_ID_TAG) {
            // One that stays does no harm.
            tracing::debug!("tag `{LOCAL_ID_TAG}` stays on run `{run_id}`: {error}");
        }
    }

    /// Also gives the metrics that the run has logged before.
    fn resume(&self, run_id: &str, options: &RunOptions) -> Result<(Run, BTreeMap<String, Metric>)> {
        if !self.is_on {
            let info = RunInfo { run_id: run_id.to_owned(), ..local_info(&self.ticket(options)) };
            return Ok((self.attach(info, None, self.ticket(options), Logged::default())?, BTreeMap::new()));
        }
        self.send_rest_of(run_id)?;
        let mut stored = self.find_run(run_id)?;
        if stored.info.run_id != run_id {
            // It was resumed before, and has then written under the id that the store has given it.
            self.send_rest_of(&stored.info.run_id)?;
            stored = self.store.run(&stored.info.run_id)?;
        }
        let info = stored.info;
        if info.lifecycle == Lifecycle::Deleted {
            return Err(Error::Invalid(format!(
                "run `{run_id}` is deleted. Hint: bring it back with `mlflow runs restore --run-id {run_id}`"
            )));
        }
        let ticket = Ticket { id: info.run_id.clone(), run_id: Some(info.run_id.clone()), ..self.ticket(options) };
        let folder = RunFolder::create(&self.options.spool_dir, &ticket)?;
        if self.store.is_remote() {
            // First: who looks for silent runs would end one that runs and was last heard of long ago.
            let tags = vec![(HEARTBEAT_TAG.into(), rfc3339(now_ms()))];
            self.store.log_batch(&info.run_id, &Batch { tags, ..Batch::default() })?;
        }
        self.store.update_run(&info.run_id, RunStatus::Running, None, None)?;
        // What was said about its last end is no longer true.
        for tag in [ERROR_TAG, LAST_SEEN_TAG].into_iter().filter(|tag| stored.tags.contains_key(*tag)) {
            self.store.delete_tag(&info.run_id, tag)?;
        }
        let info = RunInfo { status: RunStatus::Running, end_time_ms: None, ..info };
        let curves = stored.metrics.keys().filter(|key| !key.starts_with(SYSTEM_PREFIX));
        let logged = Logged::read(self.store.as_ref(), &info.run_id, curves)?;
        let run = self.attach(info, Some(folder), ticket, logged)?;
        options.tags.iter().for_each(|(key, value)| run.set_tag(key, value));
        Ok((run, stored.metrics))
    }

    /// Sends what the last process of a run has left, so that the store tells all about it. Resuming does it by itself.
    ///
    /// Errors when another process is writing the run, when it belongs to another store, and when something cannot be sent.
    pub fn send_rest_of(&self, run_id: &str) -> Result<()> {
        // A run that was started under a local id keeps the folder of that name.
        let is_its = |path: &&PathBuf| {
            path.file_name().is_some_and(|name| name == run_id)
                || read_ticket(path).is_ok_and(|ticket| ticket.run_id.as_deref() == Some(run_id))
        };
        run_folders(&self.options.spool_dir)?.iter().filter(is_its).try_for_each(|path| self.send_rest_in(path, run_id))
    }

    fn send_rest_in(&self, path: &Path, run_id: &str) -> Result<()> {
        let Some(folder) = take_over_soon(path, RESUME_WAIT)? else {
            return match read_ticket(path) {
                Ok(ticket) => Err(in_use(&ticket)),
                // Sent and gone meanwhile.
                Err(_) => Ok(()),
            };
        };
        self.check_home(&folder.ticket()?)?;
        sync::end_if_dead(&folder, self.options.fsync)?;
        let sent = sync::send_folder(self.store.clone(), self.bytes_moved.clone(), folder, self.options.exit_timeout)?;
        match sent.is_complete {
            true => Ok(()),
            false => Err(Error::Unavailable {
                message: format!(
                    "run `{run_id}` cannot go on before what it has left is sent: {}",
                    sent.problem.unwrap_or_default()
                ),
                retry_after_s: None,
            }),
        }
    }

    /// Another store would refuse the records of a run that it does not know, and they would be gone.
    fn check_home(&self, ticket: &Ticket) -> Result<()> {
        let uri = absolute(&self.store.uri());
        if ticket.uri == uri {
            return Ok(());
        }
        // The same store may be known under two addresses.
        match ticket.run_id.as_ref().map(|run_id| self.store.run(run_id)) {
            Some(Ok(_)) => Ok(()),
            None | Some(Err(Error::NotFound(_))) => Err(Error::Invalid(format!(
                "run `{}` has something left for `{}`, and this is `{uri}`. Hint: set the tracking URI to that one, or send \
                 it there first (`sync_runs`)",
                ticket.id, ticket.uri
            ))),
            Some(Err(error)) => Err(error),
        }
    }

    fn attach(&self, info: RunInfo, folder: Option<RunFolder>, ticket: Ticket, logged: Logged) -> Result<Run> {
        let options = &self.options;
        let mut journal = None;
        let mut tail = None;
        if let Some(folder) = folder.as_ref().filter(|_| self.store.is_remote()) {
            let writer = JournalWriter::open(folder.path(), options.fsync)?;
            tail = Some(Tail::following(JournalReader::open(folder.path()), writer.position(), BATCH));
            journal = Some(writer);
        }
        let queue = Queue::new(options.queue_bytes, BATCH, options.flush_interval);
        let mut shared = Shared::new(self.store.clone(), folder, queue, tail, self.bytes_moved.clone(), logged);
        shared.starts_away = self.is_on && ticket.run_id.is_none();
        if let Some((_, why)) = lock(&self.away).as_ref().filter(|_| shared.starts_away) {
            shared.know_problem(why);
        }
        let shared = Arc::new(shared);
        if ticket.run_id.is_some() || !self.is_on {
            // A fresh cell takes its first value.
            let _ = shared.run_id.set(info.run_id.clone());
        }
        let threads = Threads::start(&shared, Some(ticket), journal)?;
        Ok(Run::new(shared, info, threads, options, self.janitor.clone()))
    }

    /// Whether a run can start although the store has answered so.
    fn can_do_without(&self, error: &Error) -> bool {
        self.store.is_remote() && !self.options.strict && matches!(error, Error::Unavailable { .. })
    }

    fn note_away(&self, error: &Error) {
        *lock(&self.away) = Some((Instant::now(), error.to_string()));
    }

    fn is_away(&self) -> bool {
        lock(&self.away).as_ref().is_some_and(|(since, _)| since.elapsed() < AWAY)
    }

    /// For an embedded store: the command that shows its runs in a browser.
    pub fn view_command(&self) -> Option<String> {
        let uri = self.store.uri();
        uri.starts_with("sqlite:").then(|| format!("mlflow ui --backend-store-uri {uri}"))
    }

    /// For a server: the page with the runs of an experiment.
    pub fn experiment_url(&self, experiment_id: &str) -> Option<String> {
        run_page(self.store.as_ref(), experiment_id)
    }
}

fn with_hint(error: Error) -> Error {
    match error {
        Error::Unavailable { message, retry_after_s } => Error::Unavailable {
            message: format!(
                "{message}. Hint: start it with `mlflow server`, check MLFLOW_TRACKING_URI, or use `sqlite:///mlflow.db`, \
                 which needs no server"
            ),
            retry_after_s,
        },
        other => other,
    }
}

/// The same from every folder.
fn absolute_path(path: &PathBuf) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.clone())
}

/// What is known about a run that is not in the store yet.
fn local_info(ticket: &Ticket) -> RunInfo {
    RunInfo {
        run_id: ticket.id.clone(),
        experiment_id: String::new(),
        name: ticket.name.clone(),
        user: ticket.user.clone(),
        status: RunStatus::Running,
        start_time_ms: ticket.start_time_ms,
        end_time_ms: None,
        lifecycle: Lifecycle::Active,
        artifact_uri: String::new(),
    }
}
