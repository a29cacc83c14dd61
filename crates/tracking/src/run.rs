//! A [`Run`] takes what is logged and never fails.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::journal::JournalWriter;
use crate::panics;
use crate::record::{ModelPoint, Record, Upload};
use crate::rules::{ERROR_TAG, now_ms};
use crate::shared::{Shared, lock};
use crate::spool::Ticket;
use crate::sync::Janitor;
use crate::uploads::upload_files;
use crate::writer::{write_journal, write_records};
use crate::{
    DatasetInput, DatasetName, Error, Metric, ModelFiles, Options, Result, RunInfo, RunStatus, Sampler, Store,
    SystemMetricsOptions,
};

const NOTE_TAG: &str = "mlflow.note.content";
const ERROR_FILE: &str = "error.txt";
/// Metrics of the machine have names that begin so.
pub(crate) const SYSTEM_PREFIX: &str = "system/";
/// How often the end of the threads is looked for.
const EXIT_POLL: Duration = Duration::from_millis(2);

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
    threads: Threads,
    exit_timeout: Duration,
    fsync: bool,
    /// Sends what is left, once the server is back.
    janitor: Option<Arc<Janitor>>,
    /// Logs the machine's load.
    sampler: Mutex<Option<Sampler>>,
    finished: Mutex<Option<Outcome>>,
}

/// The threads that write one run.
pub(crate) struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    /// Starts them: with a journal one more. The ticket is that of a run which may have to be made first.
    pub(crate) fn start(shared: &Arc<Shared>, ticket: Option<Ticket>, journal: Option<JournalWriter>) -> Result<Self> {
        let mut threads = Self(Vec::new());
        let started = threads.start_all(shared, ticket, journal);
        if started.is_err() {
            shared.abandon();
        }
        started.map(|()| threads)
    }

    fn start_all(
        &mut self,
        shared: &Arc<Shared>,
        ticket: Option<Ticket>,
        journal: Option<JournalWriter>,
    ) -> Result<()> {
        if let Some(journal) = journal {
            self.spawn("tracking-journal", shared, |shared| write_journal(shared, journal))?;
        }
        self.spawn("tracking-records", shared, move |shared| write_records(shared, ticket.as_ref()))?;
        self.spawn("tracking-uploads", shared, upload_files)
    }

    fn spawn(&mut self, name: &str, shared: &Arc<Shared>, work: impl FnOnce(&Shared) + Send + 'static) -> Result<()> {
        let shared = Arc::clone(shared);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || work(&shared));
        self.0.push(thread.map_err(|error| Error::Unavailable {
            message: format!("cannot start thread `{name}`: {error}"),
            retry_after_s: None,
        })?);
        Ok(())
    }

    /// True once all have ended, false when `progress` has not changed for as long as `limit` says.
    pub(crate) fn end_while_moving(&self, progress: &dyn Fn() -> u64, limit: &dyn Fn() -> Duration) -> bool {
        let mut seen = progress();
        let mut moved = Instant::now();
        while !self.0.iter().all(JoinHandle::is_finished) {
            std::thread::sleep(EXIT_POLL);
            let now = progress();
            if now != seen {
                (seen, moved) = (now, Instant::now());
            }
            if moved.elapsed() > limit() {
                return false;
            }
        }
        true
    }
}

/// On a server: the page of an experiment's runs for the browser.
pub(crate) fn run_page(store: &dyn Store, experiment_id: &str) -> Option<String> {
    let uri = store.uri();
    uri.starts_with("http").then(|| format!("{uri}/#/experiments/{experiment_id}/runs"))
}

/// What became of everything that was logged, in records (points, params, tags, inputs, models) and files.
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
    /// Lost: the queue was full, the run had ended, or the disk took no more.
    pub dropped: u64,
    /// Not stored when the time was up, and kept in `spool`.
    pub left: u64,
    /// The run's folder, when there is something left in it. It is sent by the next run, or by [`crate::sync`].
    pub spool: Option<PathBuf>,
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
        if let Some(spool) = &self.spool {
            write!(f, ", kept in `{}`", spool.display())?;
        }
        match &self.problem {
            Some(problem) if !self.is_complete() => write!(f, ": {problem}"),
            _ => Ok(()),
        }
    }
}

impl Run {
    pub(crate) fn new(
        shared: Arc<Shared>,
        info: RunInfo,
        threads: Threads,
        options: &Options,
        janitor: Option<Arc<Janitor>>,
    ) -> Self {
        if let Some(folder) = &shared.folder {
            panics::run_opened(folder.path());
        }
        let (sampler, finished) = (Mutex::new(None), Mutex::new(None));
        let Options { exit_timeout, fsync, .. } = *options;
        Self { inner: Arc::new(Inner { shared, info, threads, exit_timeout, fsync, janitor, sampler, finished }) }
    }

    /// Logs the machine's load until the run is finished; steps go on after those that are `logged`.
    pub(crate) fn sample_system(
        &self,
        options: &SystemMetricsOptions,
        logged: &BTreeMap<String, Metric>,
    ) -> Result<()> {
        let system = logged.iter().filter(|(key, _)| key.starts_with(SYSTEM_PREFIX)).map(|(_, point)| point.step + 1);
        // A handle would keep the run alive.
        let shared = Arc::downgrade(&self.inner.shared);
        let sampler = Sampler::start(options, system.max().unwrap_or(0), move |metrics, step| {
            if let Some(shared) = shared.upgrade() {
                let metrics = metrics.iter().map(|(key, value)| (key.as_str(), *value));
                shared.records.push(points(metrics, step));
            }
        })?;
        *lock(&self.inner.sampler) = Some(sampler);
        Ok(())
    }

    /// 32 hexadecimal digits. A run that was started while its server was away keeps its local id here.
    pub fn id(&self) -> &str {
        &self.inner.info.run_id
    }

    /// The id in the store, once the run is there.
    pub fn store_id(&self) -> Option<&str> {
        self.inner.shared.run_id.get().map(String::as_str)
    }

    /// The experiment that the run belongs to; empty for a run that was started while its server was away.
    pub fn experiment_id(&self) -> &str {
        &self.inner.info.experiment_id
    }

    /// Shown name.
    pub fn name(&self) -> &str {
        &self.inner.info.name
    }

    /// On a server: the run's page for the browser.
    pub fn url(&self) -> Option<String> {
        let experiment_id = Some(self.experiment_id()).filter(|id| !id.is_empty())?;
        Some(format!("{}/{}", run_page(self.inner.shared.store.as_ref(), experiment_id)?, self.store_id()?))
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
        self.push(points(metrics.iter().copied(), step));
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

    /// Uploads a file to a folder of the run (`""` is the root).
    ///
    /// The file must stay as it is until the run is finished. After that it may be replaced or deleted, also when it is not
    /// uploaded yet, but not changed in place: what waits is a second name for it, where the file system can.
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

    /// Logs the files below a folder as a model of MLflow 3 (`models:/m-ID`) that this run has made, with params, tags and
    /// metrics of its own. The files must stay as they are, as with [`Run::log_artifact`].
    ///
    /// Each call makes a new model, and of several with one name the newest is `runs:/RUN_ID/NAME`. It is `READY` when its
    /// files are there, and `UPLOAD_FAILED` when one of them was refused. Its metrics come when the run ends. A file `MLmodel` is
    /// told where it is: `model_id`, `run_id` and `artifact_path`. Where there are no logged models (MLflow 2) the files become
    /// artifacts of the run in the folder NAME.
    pub fn log_model(&self, files: ModelFiles) {
        self.upload(Upload::Model { files: Box::new(files), time_ms: now_ms() });
    }

    /// Says that the run uses a logged model (`m-ID`), for example to evaluate it.
    pub fn log_model_input(&self, model_id: &str) {
        self.push([Record::ModelInput(model_id.into())]);
    }

    /// Logs points of this run that belong to a logged model (`m-ID`) too, with the data that they were measured on: they show
    /// on the model's page. Where there is no such model they are points of the run only.
    pub fn log_model_metrics(&self, model_id: &str, dataset: Option<&DatasetName>, metrics: &[(&str, f64)], step: i64) {
        let timestamp_ms = now_ms();
        self.push(metrics.iter().map(|(key, value)| {
            let metric = Metric { key: (*key).into(), value: *value, timestamp_ms, step };
            Record::ModelPoint(Box::new(ModelPoint { metric, model_id: model_id.into(), dataset: dataset.cloned() }))
        }));
    }

    fn push(&self, records: impl IntoIterator<Item = Record>) {
        self.inner.shared.records.push(records.into_iter());
    }

    fn upload(&self, upload: Upload) {
        self.push([Record::Upload(upload)]);
    }

    /// Writes what is queued, then the status, and tells what became of it all.
    ///
    /// On an embedded store it takes as long as the store goes on answering; once nothing moves, at most
    /// [`Options::exit_timeout`](crate::Options::exit_timeout). On a server it takes at most that time, and longer only
    /// while a file advances: what is left stays in the spool folder. A file that is out but not confirmed gets another
    /// second per 10 MB: a server passes it on to its object storage before it answers. A file that is sent again after a
    /// failure advances only beyond what was sent before. May be called from any thread through a clone, e.g. on Ctrl-C;
    /// later calls return the first outcome.
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

/// Points of one step, measured now.
fn points<'a>(metrics: impl Iterator<Item = (&'a str, f64)>, step: i64) -> impl Iterator<Item = Record> {
    let timestamp_ms = now_ms();
    metrics.map(move |(key, value)| Record::Metric(Metric { key: key.into(), value, timestamp_ms, step }))
}

impl Inner {
    fn finish(&self, status: RunStatus) -> Outcome {
        let mut finished = lock(&self.finished);
        if let Some(outcome) = &*finished {
            return outcome.clone();
        }
        let shared = &self.shared;
        // Before the queue closes: a point that comes later would count as dropped.
        drop(lock(&self.sampler).take());
        if status == RunStatus::Finished
            && let Some(panic) = shared.folder.as_ref().and_then(|folder| folder.panic())
        {
            shared.note("panic", panic);
        }
        shared.records.close_with(Record::End(status, now_ms()));
        self.wait_for_threads();
        let outcome = self.close_folder(status);
        *finished = Some(outcome.clone());
        outcome
    }

    /// Waits while it makes sense: first for the disk, then for the store. Uploads are given up first, so that there is
    /// time left for the status.
    fn wait_for_threads(&self) {
        let (shared, threads) = (&self.shared, &self.threads);
        let failures = shared.failures();
        let begin = Instant::now();
        while shared.tail.as_ref().is_some_and(|tail| !tail.is_closed()) && begin.elapsed() < self.exit_timeout {
            std::thread::sleep(EXIT_POLL);
        }
        // What the disk has taken of the time is gone.
        let time = self.exit_timeout.saturating_sub(begin.elapsed());
        // The close has hurried the next try. If a server that was away still is, what is left stays in the journal.
        let is_away = || shared.tail.is_some() && shared.is_away(failures);
        let progress = || shared.progress();
        let limit = |share: f64| if is_away() { Duration::ZERO } else { time.mul_f64(share) };
        if !threads.end_while_moving(&progress, &|| limit(0.8) + shared.patience()) {
            shared.uploads.abandon();
            if !threads.end_while_moving(&progress, &|| limit(0.2)) {
                shared.abandon();
            }
        }
    }

    /// Deletes the run's folder when all is stored; else makes sure that it holds what is left.
    fn close_folder(&self, status: RunStatus) -> Outcome {
        let shared = &self.shared;
        let mut counts = shared.counts();
        let ended = shared.ended.load(std::sync::atomic::Ordering::Acquire);
        let mut spool = None;
        if let Some(folder) = &shared.folder {
            panics::run_closed(folder.path());
            if shared.is_settled() {
                folder.remove();
            } else {
                if shared.tail.is_none() && !ended && self.save_unsaved(folder.path()).is_err() {
                    counts.dropped += std::mem::take(&mut counts.left);
                }
                spool = Some(folder.path().to_path_buf());
                if let Some(janitor) = &self.janitor {
                    janitor.wake();
                }
            }
        }
        let problem = shared.problem();
        let (written, set_aside) = (counts.written, counts.set_aside);
        Outcome { status, ended, written, set_aside, dropped: counts.dropped, left: counts.left, spool, problem }
    }

    /// A local store that did not take its records in time: a journal keeps them.
    fn save_unsaved(&self, folder: &Path) -> Result<()> {
        JournalWriter::open(folder, self.fsync)?.append(&self.shared.unsaved()).map(drop).inspect_err(|error| {
            tracing::warn!("tracking: what is not stored is lost: {error}");
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if lock(&self.finished).is_some() {
            return;
        }
        if std::thread::panicking() {
            let reason =
                panics::last().unwrap_or_else(|| "the program panicked; its standard error says where".to_string());
            self.shared.records.push(std::iter::once(Record::Tag(ERROR_TAG.into(), reason)));
        }
        self.finish(RunStatus::Failed);
    }
}
