//! The threads behind a [`Run`](crate::Run).
//!
//! Records go from a bounded queue to the store. In front of a server stands a journal on disk: one thread moves records
//! from the queue to the journal, another from the journal to the server. Files wait in the run's folder, and a thread of
//! their own uploads them, so that a big checkpoint holds up no metric. Everybody repeats what fails for a passing reason
//! until it succeeds or the program has exited long enough, and sets aside what the store refuses.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::gate::Gate;
use crate::http::backoff;
use crate::journal::JournalWriter;
use crate::logged::Logged;
use crate::queue::{Queue, Weigh};
use crate::record::{Record, Upload};
use crate::rules::{
    ERROR_TAG, HEARTBEAT_TAG, LAST_SEEN_TAG, MAX_KEY_CHARS, MAX_PARAM_CHARS, MAX_TAG_CHARS, check_active, check_key,
    now_ms, rfc3339, truncate,
};
use crate::source::{Source, Tail};
use crate::spool::{RunFolder, SpooledFile, Ticket, files_in, log_tail};
use crate::start::make_run;
use crate::{ArtifactsOf, Batch, Error, Millis, Result, RunStatus, Store};

/// Records in one write.
pub(crate) const BATCH: usize = 1000;
/// Slowest way from a server to its object storage that an exit waits for: 10 MB per second.
const UNSEEN_BYTES_PER_MS: u64 = 10_000;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a run on a server says that it lives; [`crate::sync::end_silent_runs`] looks for it.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// After so many refusals in a row the store may refuse the run, not the records: then there is no bad one to search for.
const REFUSALS_IN_A_ROW: u32 = 20;
/// Notes of this kind explain a lot; thousands of them would bury the run's own tags.
const MOST_NOTES: usize = 100;
/// Tags with this prefix are written by this crate about the tracking itself.
const NOTE_PREFIX: &str = "tracking.";
/// The end of the log of a run that died.
const LOG_TAIL_FILE: &str = "log_tail.txt";

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
    uploads_done: AtomicBool,
    /// How the run ended is stored.
    pub(crate) ended: AtomicBool,
    /// The store has answered to how the run ended: it has stored it, or never will, or somebody else was faster.
    end_settled: AtomicBool,
    /// The server was away for so long that others may take the run for dead.
    was_away: AtomicBool,
    /// What the record thread has in hand: if a store without a journal never takes it, it must not be lost.
    in_hand: Mutex<Arc<Vec<Record>>>,
    /// Files that uploads of folders stand for, beyond one each; an empty folder takes one away, so it may wrap.
    more_files: AtomicU64,
    /// In the journal, or given up.
    journaled: AtomicU64,
    written: AtomicU64,
    set_aside: AtomicU64,
    /// Answers of the store, good or bad: while it grows, the store is alive.
    answers: AtomicU64,
    /// Files that were stored or refused.
    files_settled: AtomicU64,
    /// Failed calls since the store has last answered.
    failures: AtomicU64,
    /// When the first of them was.
    away_since: Mutex<Option<Instant>>,
    /// What a resumed run had logged before.
    logged: Logged,
    /// The store did not answer when the run was started, and that was said.
    pub(crate) starts_away: bool,
    bytes_moved: Option<Arc<AtomicU64>>,
    /// The file that is being sent: its bytes, and what was moved before it.
    sending: Mutex<Option<(u64, u64)>>,
    /// The last failure, for the one line at exit.
    problem: Mutex<Option<String>>,
    /// Why nothing more is sent: the journal cannot be read on, or the store refuses the run.
    pub(crate) failed: Mutex<Option<Error>>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    seen: BTreeSet<String>,
    to_write: Vec<(String, String)>,
}

/// How a call to the store came out.
enum Sent<T> {
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

fn pause_after(error: &Error, tries: u32) -> Duration {
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
    fn run_id(&self) -> &str {
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
        let answers = if self.tail.is_some() { &self.files_settled } else { &self.answers };
        answers.load(Ordering::Relaxed) + self.bytes_moved()
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

    fn bytes_moved(&self) -> u64 {
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
        let no_files = self.folder.as_ref().is_none_or(|folder| folder.files().is_ok_and(|files| files.is_empty()));
        self.end_settled.load(Ordering::Acquire) && no_files
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
    fn send<T>(&self, call: &dyn Fn() -> Result<T>) -> Sent<T> {
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
                        self.was_away.fetch_or(begin.elapsed() >= HEARTBEAT, Ordering::Relaxed);
                    }
                    return answer.map_or_else(Sent::Refused, Sent::Done);
                }
            }
        }
    }

    fn report_trouble(&self, error: &Error, tries: u32) {
        let is_known = self.starts_away && self.run_id.get().is_none();
        // Whoever sends leftovers says how it went, and the background thread tries every minute.
        if tries == 0 && (is_known || self.tail.as_ref().is_some_and(Tail::is_of_leftovers)) {
            tracing::debug!("tracking waits: {error}");
        } else if tries == 0 {
            tracing::warn!("tracking waits: {error}");
        }
        *lock(&self.problem) = Some(error.to_string());
    }

    fn count_written(&self, records: usize) {
        self.written.fetch_add(records as u64, Ordering::Relaxed);
    }

    fn set_aside(&self, what: &str, key: &str, reason: &Error) {
        self.set_aside.fetch_add(1, Ordering::Relaxed);
        *lock(&self.problem) = Some(format!("{what} `{key}`: {reason}"));
        self.note(&format!("set_aside.{what}.{key}"), reason.to_string());
    }

    /// Gives a sign of life to whoever looks at the run's folder.
    fn touch(&self) {
        if let Some(folder) = &self.folder {
            folder.touch();
        }
    }

    /// Whether a resumed run has this point already; then it counts as stored.
    fn is_doubled(&self, record: &Record) -> bool {
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
    fn spool(&self, upload: &Upload) {
        // Tracking is off: nothing is kept.
        let Some(folder) = &self.folder else { return self.count_written(1) };
        let Upload::Dir { local_dir, folder: below } = upload else { return self.spool_file(folder, upload) };
        match files_in(local_dir, below) {
            Ok(files) => {
                // The folder was counted as one; an empty one is none.
                self.more_files.fetch_add((files.len() as u64).wrapping_sub(1), Ordering::Relaxed);
                files.iter().for_each(|file| self.spool_file(folder, file));
            }
            Err(reason) => self.refuse_upload(upload, &reason),
        }
    }

    /// Takes a file into the run's folder and wakes the upload thread. A full disk is waited for.
    fn spool_file(&self, folder: &RunFolder, upload: &Upload) {
        let mut tries = 0;
        loop {
            match folder.add(upload) {
                Ok(()) => {
                    self.journaled.fetch_add(1, Ordering::Relaxed);
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
    fn spool_extra(&self, upload: &Upload) {
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
    }
}

/// The journal thread: from the queue to the disk, until the queue is closed and empty.
pub(crate) fn write_journal(shared: &Shared, mut journal: JournalWriter) {
    let Some(tail) = &shared.tail else { return };
    while let Some(mut records) = shared.records.take() {
        let bytes = records.iter().map(Weigh::bytes).sum();
        records.retain(|record| !shared.is_doubled(record));
        let (uploads, records): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| matches!(record, Record::Upload(_)));
        for record in &uploads {
            if let Record::Upload(upload) = record {
                shared.spool(upload);
            }
        }
        if !records.is_empty() && !append(shared, tail, &mut journal, &records) {
            break;
        }
        shared.records.release(bytes);
        shared.touch();
    }
    tail.close();
}

/// Appends until it succeeds: a full disk is waited for. False when the program has waited long enough.
fn append(shared: &Shared, tail: &Tail, journal: &mut JournalWriter, records: &[Record]) -> bool {
    let mut tries = 0;
    loop {
        match journal.append(records) {
            Ok(end) => {
                // Before the record thread sees the last of them, and says how many are missing.
                let logged = records.iter().filter(|record| record.is_logged()).count();
                shared.journaled.fetch_add(logged as u64, Ordering::Relaxed);
                tail.advance(end);
                return true;
            }
            Err(error) => {
                shared.report_trouble(&error, tries);
                if !shared.records.pause(pause_after(&error, tries)) {
                    return false;
                }
                tries += 1;
            }
        }
    }
}

/// The record thread: makes the run if it is not there, writes records, then how the run ended.
pub(crate) fn write_records(shared: &Shared, ticket: Option<&Ticket>) {
    if ticket.is_none_or(|ticket| is_there(shared, ticket)) {
        Writer { shared, refusals: 0, heartbeat: Instant::now() }.write_all();
    }
    shared.uploads.close();
}

/// Whether the run is in the store; it is made when it is not.
fn is_there(shared: &Shared, ticket: &Ticket) -> bool {
    if shared.run_id.get().is_some() {
        return true;
    }
    let Some(folder) = &shared.folder else { return false };
    let spool_dir = folder.path().parent().unwrap_or(folder.path());
    match shared.send(&|| make_run(shared.store.as_ref(), spool_dir, ticket)) {
        Sent::Done(run_id) => {
            tracing::info!("tracking: run {} is run {run_id} on `{}`", ticket.id, shared.store.uri());
            // Without the note it is found again by its tag.
            if let Err(error) = folder.save(&Ticket { run_id: Some(run_id.clone()), ..ticket.clone() }) {
                tracing::debug!("{error}");
            }
            let _ = shared.run_id.set(run_id);
            shared.uploads.ring();
            true
        }
        Sent::Refused(error) => {
            tracing::warn!("tracking: `{}` refuses run {}: {error}", shared.store.uri(), ticket.id);
            *lock(&shared.problem) = Some(error.to_string());
            *lock(&shared.failed) = Some(error);
            false
        }
        Sent::Abandoned => false,
    }
}

/// Whether records are the program's own, or notes of this module.
#[derive(Clone, Copy, PartialEq)]
enum Counted {
    Yes,
    No,
}

struct Writer<'a> {
    shared: &'a Shared,
    /// In a row.
    refusals: u32,
    heartbeat: Instant,
}

impl Writer<'_> {
    fn write_all(&mut self) {
        let (shared, source) = (self.shared, self.shared.source());
        let mut failures = 0;
        loop {
            let records = match source.take() {
                Ok(Some(records)) => {
                    failures = 0;
                    Arc::new(records)
                }
                Ok(None) => {
                    // Whoever stored the end of the run was killed before the folder was gone.
                    let was_stored = shared.tail.as_ref().is_some_and(Tail::was_stored);
                    return shared.end_settled.store(was_stored, Ordering::Release);
                }
                // The program has perhaps too many open files for a moment.
                Err(error) if shared.tail.as_ref().is_some_and(|tail| !tail.is_closed()) => {
                    shared.report_trouble(&error, failures);
                    source.pause(pause_after(&error, failures));
                    failures += 1;
                    self.beat();
                    continue;
                }
                Err(error) => {
                    shared.report_trouble(&error, 0);
                    *lock(&shared.failed) = Some(error);
                    return;
                }
            };
            *lock(&shared.in_hand) = Arc::clone(&records);
            self.write(&records);
            self.write_notes();
            let last = records.last().filter(|last| !last.is_logged());
            if let Some(end) = last {
                self.write_end(end);
            }
            if source.is_abandoned() {
                return;
            }
            *lock(&shared.in_hand) = Arc::default();
            if let Err(error) = source.done(records.iter().map(Weigh::bytes).sum()) {
                // Then the same records are perhaps sent once more later, which does no harm.
                tracing::debug!("{error}");
            }
            if last.is_some() {
                return;
            }
            self.beat();
        }
    }

    /// A sign of life, for this machine and, on a server, for others.
    fn beat(&mut self) {
        let shared = self.shared;
        shared.touch();
        // What a dead run has left is no sign of life.
        let is_dead = shared.tail.as_ref().is_some_and(Tail::is_of_leftovers);
        if !shared.store.is_remote() || is_dead || self.heartbeat.elapsed() < HEARTBEAT {
            return;
        }
        self.heartbeat = Instant::now();
        self.write_tags(vec![(HEARTBEAT_TAG.into(), rfc3339(now_ms()))]);
        if shared.was_away.swap(false, Ordering::Relaxed) {
            // A refusal is met again, and said, when the run ends.
            let _ = shared.send(&|| shared.store.update_run(shared.run_id(), RunStatus::Running, None, None));
        }
    }

    fn write(&mut self, records: &[Record]) {
        let mut batch = Batch::default();
        for record in records {
            match record {
                Record::Input(_) => self.write_input(record),
                Record::Upload(upload) => self.shared.spool(upload),
                // With a journal it is out already.
                record if self.shared.is_doubled(record) => {}
                record => self.adjust(record, &mut batch),
            }
        }
        self.write_batch(batch, Counted::Yes);
    }

    fn write_input(&mut self, record: &Record) {
        let Record::Input(input) = record else { return };
        let shared = self.shared;
        let inputs = std::slice::from_ref(input.as_ref());
        let log = || {
            shared.store.log_inputs(shared.run_id(), inputs).map_err(|error| match error {
                // An old server does not know this call, and says so as a proxy says that its server is away.
                Error::NotMlflow(message) => Error::Invalid(message),
                other => other,
            })
        };
        match shared.send(&log) {
            Sent::Done(()) => shared.count_written(1),
            Sent::Refused(reason) => shared.set_aside("input", &input.dataset.name, &reason),
            Sent::Abandoned => {}
        }
    }

    /// Writes a batch; halves what is refused until the bad items are found.
    fn write_batch(&mut self, batch: Batch, counted: Counted) {
        if batch.is_empty() {
            return;
        }
        let shared = self.shared;
        match shared.send(&|| shared.store.log_batch(shared.run_id(), &batch)) {
            Sent::Done(()) => {
                self.refusals = 0;
                if counted == Counted::Yes {
                    shared.count_written(batch.len());
                }
            }
            Sent::Refused(reason) if batch.len() == 1 || self.run_is_refused() => {
                self.refusals += 1;
                for (what, key) in labels(&batch).into_iter().filter(|_| counted == Counted::Yes) {
                    shared.set_aside(what, key, &reason);
                }
            }
            Sent::Refused(_) => {
                let (head, tail) = halves(batch);
                self.write_batch(head, counted);
                self.write_batch(tail, counted);
            }
            Sent::Abandoned => {}
        }
    }

    /// After many refusals in a row: whether the run is gone or deleted. If not, the search for bad records goes on.
    fn run_is_refused(&mut self) -> bool {
        if self.refusals < REFUSALS_IN_A_ROW {
            return false;
        }
        let shared = self.shared;
        let look = || check_active("run", shared.run_id(), shared.store.run(shared.run_id())?.info.lifecycle);
        let refused = matches!(shared.send(&look), Sent::Refused(_));
        if !refused {
            self.refusals = 0;
        }
        refused
    }

    /// Notes are extra: they are not counted, and one that is refused is not noted again.
    fn write_notes(&mut self) {
        let notes = std::mem::take(&mut lock(&self.shared.notes).to_write);
        self.write_tags(notes);
    }

    fn write_tags(&mut self, tags: Vec<(String, String)>) {
        self.write_batch(Batch { tags, ..Batch::default() }, Counted::No);
    }

    fn write_end(&mut self, end: &Record) {
        let shared = self.shared;
        let (Record::End(status, time_ms) | Record::Died(status, time_ms)) = *end else { return };
        let has_died = matches!(end, Record::Died(..)) && self.is_running();
        if has_died {
            self.report_death(time_ms);
        }
        // Only now: what was among the last records may have become a file.
        shared.uploads.close();
        let waiting = || !shared.uploads_done.load(Ordering::Acquire) && !shared.uploads.is_abandoned();
        while waiting() && !shared.source().is_abandoned() {
            std::thread::sleep(Duration::from_millis(5));
            self.beat();
        }
        let counts = shared.counts();
        for (key, count) in [("set_aside", counts.set_aside), ("dropped", counts.dropped)] {
            if count > 0 {
                shared.note(&format!("records_{key}"), count.to_string());
            }
        }
        self.write_notes();
        let update = || match end {
            // Somebody else has ended the run.
            Record::Died(..) if !has_died => Ok(()),
            _ => shared.store.update_run(shared.run_id(), status, Some(time_ms), None),
        };
        let sent = shared.send(&update);
        shared.ended.store(matches!(sent, Sent::Done(())), Ordering::Release);
        shared.end_settled.store(!matches!(sent, Sent::Abandoned), Ordering::Release);
        if let Sent::Refused(error) = sent {
            shared.report_trouble(&error, 0);
        }
    }

    /// Whether nobody has ended the run in the store.
    fn is_running(&self) -> bool {
        let shared = self.shared;
        let look = || Ok(shared.store.run(shared.run_id())?.info.status == RunStatus::Running);
        matches!(shared.send(&look), Sent::Done(true))
    }

    /// Says on the run what is known about the death of its process.
    fn report_death(&mut self, last_seen_ms: Millis) {
        let Some(folder) = &self.shared.folder else { return };
        let ticket = folder.ticket().ok();
        let process = ticket.as_ref().map_or("?".into(), |ticket| ticket.process_id.to_string());
        let last_seen = rfc3339(last_seen_ms);
        let reason = folder.panic().unwrap_or_else(|| {
            format!("process {process} ended without a word (killed, or a power cut); last seen {last_seen}")
        });
        self.write_tags(vec![(ERROR_TAG.into(), reason), (LAST_SEEN_TAG.into(), last_seen)]);
        let log_file = ticket.and_then(|ticket| ticket.log_file);
        if let Some(text) = log_file.and_then(|file| log_tail(&file).ok()) {
            self.shared.spool_extra(&Upload::Text { text, artifact_path: LOG_TAIL_FILE.into() });
        }
    }

    /// Adds a record to a batch in a form that MLflow neither refuses nor cuts, and leaves a note about what was changed.
    fn adjust(&self, record: &Record, batch: &mut Batch) {
        match record {
            Record::Metric(metric) => {
                let mut metric = metric.clone();
                metric.key = self.adjust_key("metric", metric.key);
                metric.timestamp_ms = metric.timestamp_ms.max(0);
                if !metric.value.is_finite() {
                    let value = format!("{} at step {}", metric.value, metric.step);
                    self.shared.note(&format!("not_finite.{}", metric.key), value);
                }
                batch.metrics.push(metric);
            }
            Record::Param(key, value) => {
                let key = self.adjust_key("param", key.clone());
                let value = self.adjust_value("params", &key, value.clone(), MAX_PARAM_CHARS);
                batch.params.push((key, value));
            }
            Record::Tag(key, value) => {
                let key = self.adjust_key("tag", key.clone());
                let value = self.adjust_value("tags", &key, value.clone(), MAX_TAG_CHARS);
                batch.tags.push((key, value));
            }
            Record::Input(_) | Record::Upload(_) | Record::End(..) | Record::Died(..) => {}
        }
    }

    fn adjust_key(&self, what: &str, key: String) -> String {
        if check_key(what, &key).is_ok() {
            return key;
        }
        let clean = clean_key(&key);
        self.shared.note(&format!("renamed.{what}.{clean}"), key);
        clean
    }

    fn adjust_value(&self, folder: &str, key: &str, value: String, max_chars: usize) -> String {
        // PostgreSQL refuses the character 0, and no reader misses it.
        let value = if value.contains('\0') { value.replace('\0', "\u{fffd}") } else { value };
        let short = truncate(&value, max_chars);
        if short.len() == value.len() {
            return value;
        }
        let short = short.to_string();
        let artifact_path = format!("{folder}/{}.txt", file_stem(key));
        self.shared.note(&format!("truncated.{folder}.{key}"), format!("full value: {artifact_path}"));
        self.shared.spool_extra(&Upload::Text { text: value, artifact_path });
        short
    }
}

/// What each item is and its key, for messages.
fn labels(batch: &Batch) -> Vec<(&'static str, &str)> {
    let metrics = batch.metrics.iter().map(|metric| ("metric", metric.key.as_str()));
    let params = batch.params.iter().map(|(key, _)| ("param", key.as_str()));
    metrics.chain(params).chain(batch.tags.iter().map(|(key, _)| ("tag", key.as_str()))).collect()
}

/// Two batches of about the same size.
fn halves(mut batch: Batch) -> (Batch, Batch) {
    let mut to_move = batch.len() / 2;
    // From the back of each list, tags first.
    let tags = batch.tags.split_off(batch.tags.len().saturating_sub(to_move));
    to_move -= tags.len();
    let params = batch.params.split_off(batch.params.len().saturating_sub(to_move));
    to_move -= params.len();
    let metrics = batch.metrics.split_off(batch.metrics.len() - to_move);
    (batch, Batch { metrics, params, tags })
}

/// The nearest key that MLflow accepts. One that is changed ends in a hash of the original, so that `recall@5` and
/// `recall%5` stay two keys.
fn clean_key(key: &str) -> String {
    if check_key("key", key).is_ok() {
        return key.to_string();
    }
    let plain: String =
        key.chars().map(|c| if c.is_alphanumeric() || "_-. :/".contains(c) { c } else { '_' }).collect();
    let parts: Vec<&str> = plain.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    let clean = parts.join("/");
    let hash = hash(key);
    format!("{}_{hash}", truncate(&clean, MAX_KEY_CHARS - 1 - hash.len()))
}

/// A file name for a key that every file system takes. One that is changed ends in a hash of the key.
fn file_stem(key: &str) -> String {
    let plain = key.replace(':', "_");
    let end = (0..=plain.len().min(200)).rev().find(|end| plain.is_char_boundary(*end)).unwrap_or(0);
    if plain[..end] == *key { plain } else { format!("{}_{}", &plain[..end], hash(key)) }
}

/// FNV-1a, 32 bits: the same on every machine and in every version, so that a resumed run goes on under the same keys.
fn hash(text: &str) -> String {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

/// The upload thread: one file after the other, oldest first. One that fails holds up no other: it stays in the folder
/// and is tried again in the next round.
pub(crate) fn upload_files(shared: &Shared) {
    if let Some(folder) = &shared.folder {
        upload_from(shared, folder);
    }
    shared.uploads_done.store(true, Ordering::Release);
}

fn upload_from(shared: &Shared, folder: &RunFolder) {
    let gate = &shared.uploads;
    let mut failures = 0;
    while !gate.is_abandoned() {
        let (rings, closed) = (gate.rings(), gate.is_closed());
        let files = folder.files().unwrap_or_default();
        if closed && (files.is_empty() || shared.run_id.get().is_none()) {
            return;
        }
        if files.is_empty() || shared.run_id.get().is_none() {
            gate.wait(rings, Duration::from_secs(1));
            continue;
        }
        for file in files {
            if gate.is_abandoned() {
                return;
            }
            match put(shared, &file) {
                Err(error) if error.may_pass() => {
                    shared.report_trouble(&error, failures);
                    gate.pause(pause_after(&error, failures));
                    failures += 1;
                }
                answer => {
                    failures = 0;
                    settle(shared, folder, &file, answer);
                }
            }
        }
    }
}

fn put(shared: &Shared, file: &SpooledFile) -> Result<()> {
    let bytes = file.path.metadata().map_or(0, |metadata| metadata.len());
    *lock(&shared.sending) = Some((bytes, shared.bytes_moved()));
    let put = shared.store.put_artifact(ArtifactsOf::Run(shared.run_id()), &file.path, &file.artifact_path);
    *lock(&shared.sending) = None;
    put
}

fn settle(shared: &Shared, folder: &RunFolder, file: &SpooledFile, answer: Result<()>) {
    shared.answers.fetch_add(1, Ordering::Relaxed);
    match answer {
        Ok(()) => shared.count_written(1),
        Err(reason) => shared.set_aside("artifact", &file.artifact_path, &reason),
    }
    folder.remove_file(file);
    shared.files_settled.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_keys_stay_different_and_good_ones_stay() {
        let long = "k".repeat(251);
        for (a, b) in [("recall@5", "recall%5"), ("a//b", "a/b"), (long.as_str(), &(long.clone() + "k")), ("", "..")] {
            assert_ne!(clean_key(a), clean_key(b));
            check_key("Metric name", &clean_key(a)).expect("a good key");
        }
        assert_eq!((clean_key("recall@5").as_str(), clean_key("a/b:c").as_str()), ("recall_5_249b687f", "a/b:c"));
        assert_ne!(file_stem("a:b"), file_stem("a_b"));
        assert_ne!(file_stem(&long[1..]), file_stem(&long[2..]));
        assert_eq!(file_stem("a/b c"), "a/b c");
    }

    #[test]
    fn halves_keep_every_item() {
        let pair = |key: usize| (key.to_string(), String::new());
        for (metrics, params, tags) in [(2, 0, 0), (0, 1, 1), (3, 2, 4), (1, 0, 9), (9, 1, 0)] {
            let metric = |step| crate::Metric { key: "m".into(), value: 0.0, timestamp_ms: 0, step };
            let batch = Batch {
                metrics: (0..metrics).map(metric).collect(),
                params: (0..params).map(pair).collect(),
                tags: (0..tags).map(pair).collect(),
            };
            let (mut head, tail) = halves(batch.clone());
            assert!(head.len().abs_diff(tail.len()) <= 1);
            head.metrics.extend(tail.metrics);
            head.params.extend(tail.params);
            head.tags.extend(tail.tags);
            assert_eq!(head, batch);
        }
    }
}
