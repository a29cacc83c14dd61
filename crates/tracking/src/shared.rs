//! What the program and the threads behind a run share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::gate::Gate;
use crate::http::backoff;
use crate::keys::{clean_key, hash};
use crate::logged::Logged;
use crate::queue::Queue;
use crate::record::{Record, Upload};
use crate::rules::{MAX_TAG_CHARS, truncate};
use crate::source::{Source, Tail};
use crate::spool::{ModelTicket, RunFolder, files_in};
use crate::{Error, Result, Store};

/// Slowest way from a server to its object storage that an exit waits for: 10 MB per second.
const UNSEEN_BYTES_PER_MS: u64 = 10_000;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After so long without its server others may take a run for dead, and it says that it lives.
const LONG_AWAY: Duration = Duration::from_secs(60);
/// Notes of this kind explain a lot; thousands of them would bury the run's own tags.
const MOST_NOTES: usize = 100;
/// Tags with this prefix are written by this crate about the tracking itself.
const NOTE_PREFIX: &str = "tracking.";

/// What the program and the threads share about one run.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    /// The run's id in the store, once it is there.
    pub(crate) run_id: OnceLock<String>,
    /// None when tracking is off.
    pub(crate) folder: Option<RunFolder>,
    pub(crate) records: Queue<Record>,
    /// The journal between queue and server. A local store is as durable as a journal, and has none.
    pub(crate) tail: Option<Tail>,
    /// Wakes the upload thread; what waits lies in the folder.
    pub(crate) uploads: Gate,
    pub(crate) uploads_done: AtomicBool,
    /// How the run ended is stored.
    pub(crate) ended: AtomicBool,
    /// The store has answered to how the run ended: it has stored it, or never will, or somebody else was faster.
    pub(crate) end_settled: AtomicBool,
    /// The server was away for so long that others may take the run for dead.
    pub(crate) was_away: AtomicBool,
    /// What the record thread has in hand: if a store without a journal never takes it, it must not be lost.
    pub(crate) in_hand: Mutex<Arc<Vec<Record>>>,
    /// Files that uploads of folders stand for, beyond one each; an empty folder takes one away, so it may wrap.
    pub(crate) more_files: AtomicU64,
    /// In the journal, or given up.
    pub(crate) journaled: AtomicU64,
    pub(crate) written: AtomicU64,
    pub(crate) set_aside: AtomicU64,
    /// Answers of the store, good or bad: while it grows, the store is alive.
    pub(crate) answers: AtomicU64,
    /// Files that were stored or refused.
    pub(crate) files_settled: AtomicU64,
    /// Failed calls since the store has last answered.
    pub(crate) failures: AtomicU64,
    /// When the first of them was.
    pub(crate) away_since: Mutex<Option<Instant>>,
    /// What a resumed run had logged before.
    pub(crate) logged: Logged,
    /// The store did not answer when the run was started, and that was said.
    pub(crate) starts_away: bool,
    pub(crate) bytes_moved: Option<Arc<AtomicU64>>,
    /// The file that is being sent: its bytes, and what was moved before it.
    pub(crate) sending: Mutex<Option<(u64, u64)>>,
    /// The last failure, for the one line at exit.
    pub(crate) problem: Mutex<Option<String>>,
    /// Why nothing more is sent: the journal cannot be read on, or the store refuses the run.
    pub(crate) failed: Mutex<Option<Error>>,
    pub(crate) notes: Mutex<Notes>,
}

#[derive(Default)]
pub(crate) struct Notes {
    seen: BTreeSet<String>,
    pub(crate) to_write: Vec<(String, String)>,
}

/// How a call to the store came out.
pub(crate) enum Sent<T> {
    Done(T),
    Refused(Error),
    Abandoned,
}

/// What became of all records, in records and files.
pub(crate) struct Counts {
    pub(crate) written: u64,
    pub(crate) set_aside: u64,
    pub(crate) dropped: u64,
    pub(crate) left: u64,
}

/// A panic elsewhere leaves whole values here, so a poisoned lock is as good as any.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn pause_after(error: &Error, tries: u32) -> Duration {
    match error {
        // The server's wish counts in full, and nothing else may make a pause longer.
        Error::Unavailable { retry_after_s: Some(wish), .. } => backoff(0, FIRST_PAUSE, Some(*wish)),
        _ => backoff(tries, FIRST_PAUSE, None).min(LONGEST_PAUSE),
    }
}

impl Shared {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        folder: Option<RunFolder>,
        records: Queue<Record>,
        tail: Option<Tail>,
        bytes_moved: Option<Arc<AtomicU64>>,
        logged: Logged,
    ) -> Self {
        Self {
            store,
            run_id: OnceLock::new(),
            folder,
            records,
            tail,
            uploads: Gate::default(),
            uploads_done: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            end_settled: AtomicBool::new(false),
            was_away: AtomicBool::new(false),
            in_hand: Mutex::default(),
            more_files: AtomicU64::new(0),
            journaled: AtomicU64::new(0),
            written: AtomicU64::new(0),
            set_aside: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            files_settled: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            away_since: Mutex::new(None),
            logged,
            starts_away: false,
            bytes_moved,
            sending: Mutex::new(None),
            problem: Mutex::new(None),
            failed: Mutex::new(None),
            notes: Mutex::default(),
        }
    }

    /// The run's id in the store; empty before it is there, which no call is made for.
    pub(crate) fn run_id(&self) -> &str {
        self.run_id.get().map_or("", String::as_str)
    }

    /// Where the record thread takes from.
    pub(crate) fn source(&self) -> &dyn Source {
        match &self.tail {
            Some(tail) => tail,
            None => &self.records,
        }
    }

    /// All threads stop at the next opportunity.
    pub(crate) fn abandon(&self) {
        self.records.abandon();
        self.source().abandon();
        self.uploads.abandon();
    }

    /// Grows as long as it makes sense to wait at exit: while files advance and, without a journal to keep what is left,
    /// while the store answers.
    pub(crate) fn progress(&self) -> u64 {
        match &self.tail {
            Some(_) => self.files_settled.load(Ordering::Relaxed) + self.bytes_moved(),
            None => self.signs_of_life(),
        }
    }

    /// Failed calls since the store has last answered.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Acquire)
    }

    /// Whether it makes no sense to wait for the store: it was away when the run started and has not answered to it since, or
    /// has been away for long and has failed again since there were `failures`.
    pub(crate) fn is_away(&self, failures: u64) -> bool {
        let since = *lock(&self.away_since);
        // A run may be over before its first try: perhaps the store is back.
        let is_new = self.run_id.get().is_none() && self.starts_away && self.failures() > 0;
        is_new || (since.is_some_and(|since| since.elapsed() >= LONGEST_PAUSE) && self.failures() > failures)
    }

    /// Grows with every answer of the store and every byte of a file.
    pub(crate) fn signs_of_life(&self) -> u64 {
        self.answers.load(Ordering::Relaxed) + self.bytes_moved()
    }

    pub(crate) fn bytes_moved(&self) -> u64 {
        self.bytes_moved.as_ref().map_or(0, |bytes| bytes.load(Ordering::Relaxed))
    }

    /// Extra time for a file that is out, or that moves unseen, because the store does not count.
    pub(crate) fn patience(&self) -> Duration {
        match *lock(&self.sending) {
            Some((bytes, before)) if self.bytes_moved.is_none() || self.bytes_moved() >= before + bytes => {
                Duration::from_millis(bytes / UNSEEN_BYTES_PER_MS)
            }
            _ => Duration::ZERO,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let (written, set_aside) = (self.written.load(Ordering::Relaxed), self.set_aside.load(Ordering::Relaxed));
        let (accepted, no_room) = self.records.counts();
        let accepted = accepted.wrapping_add(self.more_files.load(Ordering::Relaxed));
        // With a journal, what is not in it is lost when the process ends.
        let kept = if self.tail.is_some() { self.journaled.load(Ordering::Relaxed).min(accepted) } else { accepted };
        Counts {
            written,
            set_aside,
            dropped: no_room + accepted - kept,
            left: kept.saturating_sub(written + set_aside),
        }
    }

    pub(crate) fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
    }

    /// Nothing waits any more: all that was logged is stored or set aside, and the end too.
    pub(crate) fn is_settled(&self) -> bool {
        let is_empty = |folder: &RunFolder| {
            folder.files().is_ok_and(|files| files.is_empty()) && folder.models().is_ok_and(|models| models.is_empty())
        };
        self.end_settled.load(Ordering::Acquire) && self.folder.as_ref().is_none_or(is_empty)
    }

    /// Leaves a tag about the tracking itself on the run, once per key.
    pub(crate) fn note(&self, key: &str, value: String) {
        // ASCII: the key may be in here because the store does not count one of its characters as a letter.
        let plain: String = key.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
        let plain = if plain == key { plain } else { format!("{plain}_{}", hash(key)) };
        let key = clean_key(&format!("{NOTE_PREFIX}{plain}"));
        let mut notes = lock(&self.notes);
        if notes.seen.len() < MOST_NOTES && notes.seen.insert(key.clone()) {
            tracing::warn!("{key}: {value}");
            notes.to_write.push((key, truncate(&value, MAX_TAG_CHARS).into()));
        }
    }

    /// Calls the store until it takes or refuses, with a pause after each failure that may pass.
    pub(crate) fn send<T>(&self, call: &dyn Fn() -> Result<T>) -> Sent<T> {
        let source = self.source();
        let mut tries = 0;
        let begin = Instant::now();
        loop {
            if source.is_abandoned() {
                return Sent::Abandoned;
            }
            match call() {
                Err(error) if error.may_pass() => {
                    lock(&self.away_since).get_or_insert_with(Instant::now);
                    self.failures.fetch_add(1, Ordering::AcqRel);
                    self.report_trouble(&error, tries);
                    if !source.pause(pause_after(&error, tries)) {
                        return Sent::Abandoned;
                    }
                    tries += 1;
                }
                answer => {
                    self.failures.store(0, Ordering::Release);
                    *lock(&self.away_since) = None;
                    self.answers.fetch_add(1, Ordering::Relaxed);
                    if tries > 0 {
                        tracing::info!("tracking: `{}` answers again", self.store.uri());
                        self.was_away.fetch_or(begin.elapsed() >= LONG_AWAY, Ordering::Relaxed);
                    }
                    return answer.map_or_else(Sent::Refused, Sent::Done);
                }
            }
        }
    }

    /// An old server does not know every call, and says so as a proxy says that its server is away: then it is a refusal.
    pub(crate) fn of_mlflow<T>(&self, answer: Result<T>) -> Result<T> {
        answer.map_err(|error| match error {
            Error::NotMlflow(message) if self.store.run(self.run_id()).is_ok() => Error::Invalid(message),
            other => other,
        })
    }

    pub(crate) fn report_trouble(&self, error: &Error, tries: u32) {
        let is_known = self.starts_away && self.run_id.get().is_none();
        // Whoever sends leftovers says how it went, and the background thread tries every minute.
        if tries == 0 && (is_known || self.tail.as_ref().is_some_and(Tail::is_of_leftovers)) {
            tracing::debug!("tracking waits: {error}");
        } else if tries == 0 {
            tracing::warn!("tracking waits: {error}");
        }
        *lock(&self.problem) = Some(error.to_string());
    }

    /// What is known to be wrong before the first try.
    pub(crate) fn know_problem(&self, why: &str) {
        *lock(&self.problem) = Some(why.to_owned());
    }

    pub(crate) fn count_written(&self, records: usize) {
        self.written.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_aside(&self, what: &str, key: &str, reason: &Error) {
        self.set_aside.fetch_add(1, Ordering::Relaxed);
        *lock(&self.problem) = Some(format!("{what} `{key}`: {reason}"));
        self.note(&format!("set_aside.{what}.{key}"), reason.to_string());
    }

    /// Gives a sign of life to whoever looks at the run's folder.
    pub(crate) fn touch(&self) {
        if let Some(folder) = &self.folder {
            folder.touch();
        }
    }

    /// Whether a resumed run has this point already; then it counts as stored.
    pub(crate) fn is_doubled(&self, record: &Record) -> bool {
        if self.logged.is_empty() {
            return false;
        }
        let is_doubled = matches!(record, Record::Metric(metric) if self.logged.has(&clean_key(&metric.key), metric));
        if is_doubled {
            self.journaled.fetch_add(1, Ordering::Relaxed);
            self.count_written(1);
        }
        is_doubled
    }

    /// Takes an upload into the run's folder, a folder file by file.
    pub(crate) fn spool(&self, upload: &Upload) {
        // Tracking is off: nothing is kept.
        let Some(folder) = &self.folder else { return self.count_written(1) };
        let (local_dir, below) = match upload {
            Upload::Dir { local_dir, folder } => (local_dir, folder),
            Upload::Model { files, time_ms } => {
                let ticket = ModelTicket::new(files, *time_ms);
                // The model itself was counted, its files come on top.
                return self.take_in(upload, &|| folder.add_model(&files.local_dir, &ticket));
            }
            file => return self.spool_file(folder, file),
        };
        match files_in(local_dir, below) {
            Ok(files) => {
                // The folder was counted as one; an empty one is none.
                self.more_files.fetch_add((files.len() as u64).wrapping_sub(1), Ordering::Relaxed);
                files.iter().for_each(|file| self.spool_file(folder, file));
            }
            Err(reason) => self.refuse_upload(upload, &reason),
        }
    }

    fn spool_file(&self, folder: &RunFolder, upload: &Upload) {
        self.take_in(upload, &|| folder.add(upload).map(|()| 0));
    }

    /// Takes files into the run's folder and wakes the upload thread. A full disk is waited for. `add` gives how many files
    /// there are beyond the one that was counted when it was logged.
    fn take_in(&self, upload: &Upload, add: &dyn Fn() -> Result<u64>) {
        let mut tries = 0;
        loop {
            match add() {
                Ok(more) => {
                    self.more_files.fetch_add(more, Ordering::Relaxed);
                    self.journaled.fetch_add(more + 1, Ordering::Relaxed);
                    return self.uploads.ring();
                }
                Err(error) if error.is_transient() => {
                    self.report_trouble(&error, tries);
                    if !self.records.pause(pause_after(&error, tries)) {
                        return;
                    }
                    tries += 1;
                }
                Err(reason) => return self.refuse_upload(upload, &reason),
            }
        }
    }

    fn refuse_upload(&self, upload: &Upload, reason: &Error) {
        self.journaled.fetch_add(1, Ordering::Relaxed);
        self.set_aside("artifact", &upload_name(upload), reason);
    }

    /// Takes a file into the folder that the program did not log itself.
    pub(crate) fn spool_extra(&self, upload: &Upload) {
        self.more_files.fetch_add(1, Ordering::Relaxed);
        self.spool(upload);
    }

    /// What a store without a journal has not taken in time: out of the queue and out of the record thread's hand.
    pub(crate) fn unsaved(&self) -> Vec<Record> {
        let mut records = lock(&self.in_hand).as_ref().clone();
        records.extend(self.records.drain());
        records.retain(|record| !matches!(record, Record::Upload(_)));
        records
    }
}

fn upload_name(upload: &Upload) -> String {
    match upload {
        Upload::File { local_file: path, .. } | Upload::Dir { local_dir: path, .. } => path.display().to_string(),
        Upload::Text { artifact_path, .. } => artifact_path.clone(),
        Upload::Model { files, .. } => files.local_dir.display().to_string(),
    }
}
