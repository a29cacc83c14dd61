//! Sending what runs have left in the spool folder, and ending the runs of processes that died.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::journal::{JournalReader, JournalWriter, Position, segments};
use crate::logged::Logged;
use crate::queue::Queue;
use crate::record::Record;
use crate::rules::{ERROR_TAG, HEARTBEAT_TAG, LAST_SEEN_TAG, now_ms, parse_rfc3339, rfc3339};
use crate::run::Threads;
use crate::shared::{Shared, lock};
use crate::source::Tail;
use crate::spool::{
    RunFolder, Ticket, in_use, read_ticket, run_folders, take_over_soon, waiting_files, waiting_models,
};
use crate::uri::{absolute, open_counted};
use crate::writer::BATCH;
use crate::{Batch, HttpOptions, Millis, Options, Result, RunInfo, RunQuery, RunStatus, Store, ViewType};

/// Records that are read at once when a journal is only looked at.
const LOOK: usize = 10_000;
/// How long a store that does not answer is waited for, when what is left is sent without being asked for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to send what is left to a server.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A run of which something is left in the spool folder.
#[derive(Debug, Clone)]
pub struct Leftover {
    /// Its folder.
    pub folder: PathBuf,
    /// The run's id, local or not, as the program knew it.
    pub id: String,
    /// Its id in the store; none for a run that never came there.
    pub run_id: Option<String>,
    /// Experiment and shown name.
    pub experiment: String,
    /// Shown name.
    pub name: String,
    /// Where it belongs, without credentials.
    pub uri: String,
    /// When it was started.
    pub start_time_ms: Millis,
    /// A process is writing it right now.
    pub is_live: bool,
    /// Records in the journal that the store has not confirmed.
    pub records: u64,
    /// Files that wait for their upload.
    pub files: u64,
    /// Bytes of those files.
    pub file_bytes: u64,
    /// Bytes of torn or damaged records, which cannot be read.
    pub discarded_bytes: u64,
}

/// What became of a leftover.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// Records and files stored now.
    pub written: u64,
    /// Records and files that the store refused; the reasons are tags `tracking.set_aside.*`.
    pub set_aside: u64,
    /// Bytes of torn or damaged records, which could not be read.
    pub discarded_bytes: u64,
    /// The run's id in the store.
    pub run_id: Option<String>,
    /// Nothing is left, and the folder is gone.
    pub is_complete: bool,
    /// The last thing that went wrong.
    pub problem: Option<String>,
}

/// Looks at the spool folder and changes nothing. Each run's folder, oldest run first, with what is in it, or the reason
/// why it cannot be read.
pub fn leftovers(spool_dir: &Path) -> Result<Vec<(PathBuf, Result<Leftover>)>> {
    let mut found: Vec<(PathBuf, Result<Leftover>)> =
        run_folders(spool_dir)?.into_iter().map(|folder| (folder.clone(), look(&folder))).collect();
    // A parent comes before its nested runs. What cannot be read comes last.
    found.sort_by_key(|(_, look)| look.as_ref().map_or(Millis::MAX, |leftover| leftover.start_time_ms));
    Ok(found)
}

fn look(folder: &Path) -> Result<Leftover> {
    let ticket = read_ticket(folder)?;
    let mut files: Vec<PathBuf> = waiting_files(folder)?.into_iter().map(|file| file.path).collect();
    for model in waiting_models(folder)? {
        files.extend(model.files()?.into_iter().map(|(_, path)| path));
    }
    let mut reader = JournalReader::open(folder);
    let mut records = 0;
    loop {
        let read = reader.read(Position::END, LOOK)?;
        if read.is_empty() {
            break;
        }
        records += read.iter().filter(|record| record.is_logged()).count() as u64;
    }
    Ok(Leftover {
        folder: folder.into(),
        // Taken for this moment only.
        is_live: RunFolder::take_over(folder)?.is_none(),
        id: ticket.id,
        run_id: ticket.run_id,
        experiment: ticket.experiment,
        name: ticket.name,
        uri: ticket.uri,
        start_time_ms: ticket.start_time_ms,
        records,
        files: files.len() as u64,
        file_bytes: files.iter().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum(),
        discarded_bytes: reader.discarded_bytes(),
    })
}

/// Sends what a run has left: to the store that it belongs to, or to the store at `to`, where it becomes a new run. Ends
/// the run if its process died. A store that does not answer is waited for as long as `patience` says.
///
/// Errors for a run that a process is writing, a journal that cannot be read, and an address that is none. May be
/// repeated: what was sent is not sent again, and what is sent twice is stored once.
pub fn send(folder: &Path, to: Option<&str>, http: &HttpOptions, patience: Duration) -> Result<Sent> {
    // Perhaps a thread of ours is just sending it.
    let Some(taken) = take_over_soon(folder, patience)? else {
        return match read_ticket(folder) {
            Ok(ticket) => Err(in_use(&ticket)),
            Err(_) => Ok(Sent { is_complete: true, ..Sent::default() }),
        };
    };
    let ticket = taken.ticket()?;
    let (store, bytes_moved) = open_counted(to.unwrap_or(&ticket.uri), &ticket.artifact_root, http)?;
    end_if_dead(&taken, true)?;
    let uri = absolute(&store.uri());
    if uri != ticket.uri {
        // There it is another run.
        taken.save(&Ticket { uri, run_id: None, ..ticket })?;
        taken.forget_homes()?;
    }
    send_folder(store, bytes_moved, taken, patience)
}

/// Ends the runs on a server that have given no sign of life for so long, wherever they ran, as `KILLED` at their last
/// one; with `dry_run` only finds them. For machines that are gone: a run whose machine is there is ended by the next run
/// on it. A run that was only cut off from its server says that it is running when it is back.
pub fn end_silent_runs(store: &dyn Store, silent_for: Duration, dry_run: bool) -> Result<Vec<RunInfo>> {
    let latest_ms = now_ms() - Millis::try_from(silent_for.as_millis()).unwrap_or(Millis::MAX);
    let mut ended = Vec::new();
    for experiment in store.experiments(ViewType::ActiveOnly)? {
        let query = RunQuery {
            experiment_ids: vec![experiment.experiment_id],
            filter: "attributes.status = 'RUNNING'".into(),
            max_results: 50_000,
            ..RunQuery::default()
        };
        for run in store.search_runs(&query)?.items {
            // Runs of other programs have no such tag, and may be silent as long as they like.
            let Some(last_ms) = run.tags.get(HEARTBEAT_TAG).and_then(|time| parse_rfc3339(time)) else { continue };
            if last_ms < latest_ms && (dry_run || end_silent_run(store, &run.info.run_id, last_ms)?) {
                ended.push(run.info);
            }
        }
    }
    Ok(ended)
}

/// False for a run that has ended, or said something, since it was found: with many runs that is a while.
fn end_silent_run(store: &dyn Store, run_id: &str, last_ms: Millis) -> Result<bool> {
    let last_seen = rfc3339(last_ms);
    let run = store.run(run_id)?;
    if run.info.status != RunStatus::Running || run.tags.get(HEARTBEAT_TAG) != Some(&last_seen) {
        return Ok(false);
    }
    let reason = format!("no sign of life since {last_seen}: the machine is gone, or cut off");
    let tags = vec![(ERROR_TAG.into(), reason), (LAST_SEEN_TAG.into(), last_seen)];
    store.log_batch(run_id, &Batch { tags, ..Batch::default() })?;
    store.update_run(run_id, RunStatus::Killed, Some(last_ms), None)?;
    Ok(true)
}

/// Ends the runs whose process died. On a file that is done at once; on a server their end is added to what they have
/// left. What goes wrong is a warning: it must not keep the next run from its start.
pub(crate) fn end_dead_runs(store: &Arc<dyn Store>, options: &Options) {
    for path in run_folders(&options.spool_dir).unwrap_or_default() {
        let ended = take_over_dead(&path, store, options.fsync).and_then(|folder| match folder {
            Some(folder) if !store.is_remote() => send_folder(store.clone(), None, folder, PATIENCE).map(Some),
            _ => Ok(None),
        });
        let problem = match ended {
            Ok(Some(sent)) if !sent.is_complete => sent.problem.unwrap_or_default(),
            Ok(_) => continue,
            Err(error) => error.to_string(),
        };
        tracing::warn!("tracking: what is left in `{}` is not stored: {problem}", path.display());
    }
}

/// Sends to a server, in the background, what dead runs and runs that have ended without it have left.
pub(crate) struct Janitor {
    store: Arc<dyn Store>,
    spool_dir: PathBuf,
    fsync: bool,
    /// How often it was woken since it went to sleep; 0 while there is no thread.
    wakes: AtomicU64,
}

impl Janitor {
    pub(crate) fn new(store: Arc<dyn Store>, options: &Options) -> Self {
        Self { store, spool_dir: options.spool_dir.clone(), fsync: options.fsync, wakes: AtomicU64::new(0) }
    }

    /// There may be something to send. The thread ends when there is nothing more, or with the last tracker and run.
    pub(crate) fn wake(self: &Arc<Self>) {
        if self.wakes.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        let janitor = Arc::downgrade(self);
        let work = move || {
            let mut pause = FIRST_PAUSE;
            while let Some(janitor) = janitor.upgrade() {
                let wakes = janitor.wakes.load(Ordering::Acquire);
                // Who was woken meanwhile looks once more.
                let sleep = || janitor.wakes.compare_exchange(wakes, 0, Ordering::AcqRel, Ordering::Acquire).is_ok();
                if janitor.send_all() && sleep() {
                    return;
                }
                drop(janitor);
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("tracking-leftovers".into()).spawn(work) {
            self.wakes.store(0, Ordering::Release);
            tracing::warn!("tracking: cannot start a thread: {error}");
        }
    }

    /// True when nothing is left that could be sent; false when the server does not answer, or a run of this process still
    /// holds its folder.
    fn send_all(&self) -> bool {
        let uri = absolute(&self.store.uri());
        let ticket = |path: PathBuf| Some((read_ticket(&path).ok().filter(|ticket| ticket.uri == uri)?, path));
        let mut found: Vec<(Ticket, PathBuf)> =
            run_folders(&self.spool_dir).unwrap_or_default().into_iter().filter_map(ticket).collect();
        // A parent comes before its nested runs.
        found.sort_by_key(|(ticket, _)| ticket.start_time_ms);
        let mut is_done = true;
        // One after the other: each holds an open file, and there may be thousands.
        for (ticket, path) in found {
            let sent = match take_over_dead(&path, &self.store, self.fsync) {
                Ok(Some(folder)) => send_folder(self.store.clone(), None, folder, PATIENCE),
                Ok(None) => {
                    is_done &= ticket.process_id != std::process::id() || !path.exists();
                    continue;
                }
                Err(error) => Err(error),
            };
            match sent {
                Ok(sent) if sent.is_complete => {
                    tracing::info!("tracking: sent {} records that `{}` had left", sent.written, path.display());
                }
                Ok(_) => return false,
                Err(error) => tracing::warn!("tracking: what is left in `{}` is not sent: {error}", path.display()),
            }
        }
        is_done
    }
}

/// The folder of a run of this store that nobody writes any more.
fn take_over_dead(path: &Path, store: &Arc<dyn Store>, fsync: bool) -> Result<Option<RunFolder>> {
    if !read_ticket(path).is_ok_and(|ticket| ticket.uri == absolute(&store.uri())) {
        return Ok(None);
    }
    let Some(folder) = RunFolder::take_over(path)? else { return Ok(None) };
    end_if_dead(&folder, fsync)?;
    Ok(Some(folder))
}

/// Adds the end to a run that has none: `KILLED`, or `FAILED` when a panic was noted, at its last sign of life.
pub(crate) fn end_if_dead(folder: &RunFolder, fsync: bool) -> Result<()> {
    if has_end(folder.path())? {
        return Ok(());
    }
    let status = if folder.panic().is_some() { RunStatus::Failed } else { RunStatus::Killed };
    let died = Record::Died(status, folder.last_seen_ms());
    JournalWriter::open(folder.path(), fsync)?.append(&[died]).map(drop)
}

/// Whether the end of a run is in its journal. It is the last record, so only the last segment with records is read.
fn has_end(folder: &Path) -> Result<bool> {
    for segment in segments(folder)?.into_iter().rev() {
        let mut reader = JournalReader::from_segment(folder, segment);
        let mut last = reader.read(Position::END, LOOK)?.pop();
        let was_empty = last.is_none();
        while let Some(record) = last {
            if !record.is_logged() {
                return Ok(true);
            }
            last = reader.read(Position::END, LOOK)?.pop();
        }
        if !was_empty {
            break;
        }
    }
    Ok(false)
}

/// Sends a run's folder and deletes it when nothing is left in it.
pub(crate) fn send_folder(
    store: Arc<dyn Store>,
    bytes_moved: Option<Arc<AtomicU64>>,
    folder: RunFolder,
    patience: Duration,
) -> Result<Sent> {
    let ticket = folder.ticket()?;
    let tail = Tail::of_leftovers(JournalReader::open(folder.path()), BATCH);
    let queue = Queue::new(0, 1, Duration::ZERO);
    let shared = Arc::new(Shared::new(store, Some(folder), queue, Some(tail), bytes_moved, Logged::default()));
    if let Some(run_id) = &ticket.run_id {
        // A fresh cell takes its first value.
        let _ = shared.run_id.set(run_id.clone());
    }
    let threads = Threads::start(&shared, Some(ticket), None)?;
    if !threads.end_while_moving(&|| shared.signs_of_life(), &|| patience + shared.patience()) {
        shared.abandon();
    }
    if let Some(error) = lock(&shared.failed).take() {
        return Err(error);
    }
    let counts = shared.counts();
    let is_complete = shared.is_settled();
    if let Some(folder) = shared.folder.as_ref().filter(|_| is_complete) {
        folder.remove();
    }
    Ok(Sent {
        written: counts.written,
        set_aside: counts.set_aside,
        discarded_bytes: shared.tail.as_ref().map_or(0, Tail::discarded_bytes),
        run_id: shared.run_id.get().cloned(),
        is_complete,
        problem: shared.problem().or_else(|| (!is_complete).then(|| no_answer(shared.store.as_ref(), patience))),
    })
}

fn no_answer(store: &dyn Store, patience: Duration) -> String {
    format!("`{}` did not answer within {} s", store.uri(), patience.as_secs_f32())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::{RunOptions, Tracker};

    fn options(folder: &Path) -> Options {
        Options {
            uri: format!("sqlite:///{}", folder.join("mlflow.db").display()),
            artifact_root: folder.join("mlruns"),
            spool_dir: folder.join("spool"),
            ..Options::default()
        }
    }

    /// The database may have been replaced by an older copy.
    #[test]
    fn what_a_run_that_the_store_does_not_know_has_left_is_kept() {
        let folder = TempDir::new().unwrap();
        let options = options(folder.path());
        let tracker = Tracker::open(&options).unwrap();
        let run = tracker.start_run(&RunOptions::default()).unwrap();
        let ticket = read_ticket(&options.spool_dir.join(run.id())).unwrap();
        run.finish(RunStatus::Finished);
        let unknown = Ticket { id: "unknown".into(), run_id: Some("unknown".into()), ..ticket };
        let left = RunFolder::create(&options.spool_dir, &unknown).unwrap();
        let records = [Record::Tag("a".into(), "b".into()), Record::End(RunStatus::Finished, 1)];
        JournalWriter::open(left.path(), false).unwrap().append(&records).unwrap();
        let path = left.path().to_path_buf();
        drop(left);
        let error = send(&path, None, &options.http, PATIENCE).unwrap_err();
        assert!(error.to_string().contains("Run with id=unknown not found"), "{error}");
        assert_eq!(look(&path).unwrap().records, 1);
    }

    /// A process may be killed when all that a run has left is stored, and its folder is not gone yet.
    #[test]
    fn a_folder_whose_records_are_all_stored_goes() {
        let folder = TempDir::new().unwrap();
        let options = options(folder.path());
        let tracker = Tracker::open(&options).unwrap();
        let run = tracker.start_run(&RunOptions::default()).unwrap();
        let ticket = read_ticket(&options.spool_dir.join(run.id())).unwrap();
        assert!(run.finish(RunStatus::Finished).is_complete());

        let left = RunFolder::create(&options.spool_dir, &ticket).unwrap();
        JournalWriter::open(left.path(), false).unwrap().append(&[Record::End(RunStatus::Finished, 1)]).unwrap();
        let mut reader = JournalReader::open(left.path());
        assert_eq!(reader.read(Position::END, LOOK).unwrap().len(), 1);
        reader.acknowledge().unwrap();
        let path = left.path().to_path_buf();
        drop(left);
        let sent = send(&path, None, &options.http, PATIENCE).unwrap();
        assert!(sent.is_complete && !path.exists(), "{sent:?}");
        assert_eq!(tracker.store().run(run.id()).unwrap().info.status, RunStatus::Finished);
    }
}
