//! The threads behind a [`Run`](crate::Run): one writes records in batches, one uploads files.
//!
//! Both take from a bounded queue, repeat what fails for a passing reason until it succeeds or the program has exited
//! long enough, and set aside what the store refuses. A journal on disk would stand between `take` and the store.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::http::backoff;
use crate::queue::{Queue, Weigh};
use crate::rules::{MAX_KEY_CHARS, MAX_PARAM_CHARS, MAX_TAG_CHARS, check_active, check_key, truncate};
use crate::{ArtifactsOf, Batch, DatasetInput, Error, Metric, Millis, Result, RunStatus, Store};

/// Records in one write.
const BATCH: usize = 1000;
/// Slowest way from a server to its object storage that an exit waits for: 10 MB per second.
const UNSEEN_BYTES_PER_MS: u64 = 10_000;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After so many refusals in a row the store may refuse the run, not the records: then there is no bad one to search for.
const REFUSALS_IN_A_ROW: u32 = 20;
/// Notes of this kind explain a lot; thousands of them would bury the run's own tags.
const MOST_NOTES: usize = 100;
/// Tags with this prefix are written by this crate about the tracking itself.
const NOTE_PREFIX: &str = "tracking.";

#[derive(Clone)]
pub(crate) enum Record {
    Metric(Metric),
    Param(String, String),
    Tag(String, String),
    Input(Box<DatasetInput>),
}

impl Record {
    /// For messages: what it is and its key.
    fn label(&self) -> (&'static str, &str) {
        match self {
            Self::Metric(metric) => ("metric", &metric.key),
            Self::Param(key, _) => ("param", key),
            Self::Tag(key, _) => ("tag", key),
            Self::Input(input) => ("input", &input.dataset.name),
        }
    }
}

impl Weigh for Record {
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Metric(metric) => metric.key.len(),
                Self::Param(key, value) | Self::Tag(key, value) => key.len() + value.len(),
                Self::Input(input) => {
                    let dataset = &input.dataset;
                    let long =
                        [&dataset.schema, &dataset.profile].into_iter().flatten().map(String::len).sum::<usize>();
                    dataset.name.len() + dataset.source.len() + long
                }
            }
    }
}

#[derive(Clone)]
pub(crate) enum Upload {
    File { local_file: PathBuf, folder: String },
    Dir { local_dir: PathBuf, folder: String },
    Text { text: String, artifact_path: String },
}

impl Weigh for Upload {
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::File { local_file: path, folder } | Self::Dir { local_dir: path, folder } => {
                    path.as_os_str().len() + folder.len()
                }
                Self::Text { text, artifact_path } => text.len() + artifact_path.len(),
            }
    }
}

/// What the program and the two threads share about one run.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) run_id: String,
    pub(crate) records: Queue<Record>,
    pub(crate) uploads: Queue<Upload>,
    /// How the run ends, set before the queues are closed.
    pub(crate) end: OnceLock<(RunStatus, Millis)>,
    /// The end is written.
    pub(crate) ended: AtomicBool,
    uploads_done: AtomicBool,
    written: AtomicU64,
    set_aside: AtomicU64,
    /// Answers of the store, good or bad: while it grows, the store is alive.
    answers: AtomicU64,
    bytes_moved: Option<Arc<AtomicU64>>,
    /// The file that is being sent: its bytes, and what was moved before it.
    sending: Mutex<Option<(u64, u64)>>,
    /// The last failure, for the one line at exit.
    problem: Mutex<Option<String>>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    seen: BTreeSet<String>,
    to_write: Vec<Record>,
}

/// How a call to the store came out.
enum Sent {
    Written,
    Refused(Error),
    Abandoned,
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
        run_id: String,
        max_bytes: usize,
        bytes_moved: Option<Arc<AtomicU64>>,
    ) -> Self {
        Self {
            store,
            run_id,
            records: Queue::new(max_bytes, BATCH),
            uploads: Queue::new(max_bytes, 1),
            end: OnceLock::new(),
            ended: AtomicBool::new(false),
            uploads_done: AtomicBool::new(false),
            written: AtomicU64::new(0),
            set_aside: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            bytes_moved,
            sending: Mutex::new(None),
            problem: Mutex::new(None),
            notes: Mutex::default(),
        }
    }

    /// Grows as long as the store answers or a transfer advances.
    pub(crate) fn progress(&self) -> u64 {
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

    /// `(written, set aside, dropped, left)`, in records and files.
    pub(crate) fn counts(&self) -> (u64, u64, u64, u64) {
        let (written, set_aside) = (self.written.load(Ordering::Relaxed), self.set_aside.load(Ordering::Relaxed));
        let ((records, no_room), (files, no_room_for_files)) = (self.records.counts(), self.uploads.counts());
        (written, set_aside, no_room + no_room_for_files, (records + files).saturating_sub(written + set_aside))
    }

    pub(crate) fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
    }

    /// Leaves a tag about the tracking itself on the run, once per key.
    fn note(&self, key: &str, value: String) {
        let key = clean_key(&format!("{NOTE_PREFIX}{key}"));
        let mut notes = lock(&self.notes);
        if notes.seen.len() < MOST_NOTES && notes.seen.insert(key.clone()) {
            tracing::warn!("{key}: {value}");
            notes.to_write.push(Record::Tag(key, truncate(&value, MAX_TAG_CHARS).into()));
        }
    }

    /// Repeats a call until it comes out one way or the other.
    fn send<T: Weigh>(&self, queue: &Queue<T>, call: &dyn Fn() -> Result<()>) -> Sent {
        let mut tries = 0;
        loop {
            match call() {
                Err(error) if error.may_pass() => {
                    self.report_trouble(&error, tries);
                    if !queue.pause(pause_after(&error, tries)) {
                        return Sent::Abandoned;
                    }
                    tries += 1;
                }
                answer => {
                    self.answers.fetch_add(1, Ordering::Relaxed);
                    if tries > 0 {
                        tracing::info!("tracking: `{}` answers again", self.store.uri());
                    }
                    return answer.map_or_else(Sent::Refused, |()| Sent::Written);
                }
            }
        }
    }

    fn report_trouble(&self, error: &Error, tries: u32) {
        if tries == 0 {
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
}

/// The record thread: writes until the queue is closed and empty, then how the run ended.
pub(crate) fn write_records(shared: &Shared) {
    let mut writer = Writer { shared, refusals: 0 };
    while let Some(records) = shared.records.take() {
        let bytes = records.iter().map(Weigh::bytes).sum();
        writer.write(records);
        writer.write_notes();
        shared.records.release(bytes);
    }
    // Only now: a long param that was among the last records became a file.
    shared.uploads.close();
    while !shared.uploads_done.load(Ordering::Acquire)
        && !shared.uploads.is_abandoned()
        && !shared.records.is_abandoned()
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    writer.write_end();
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
}

impl Writer<'_> {
    fn write(&mut self, records: Vec<Record>) {
        let (inputs, records): (Vec<_>, Vec<_>) = records
            .into_iter()
            .map(|record| self.adjust(record))
            .partition(|record| matches!(record, Record::Input(_)));
        for record in inputs {
            self.write_input(record);
        }
        self.write_batch(&records, Counted::Yes);
    }

    fn write_input(&mut self, record: Record) {
        let Record::Input(input) = &record else { return };
        let shared = self.shared;
        let inputs = std::slice::from_ref(input.as_ref());
        let log = || {
            shared.store.log_inputs(&shared.run_id, inputs).map_err(|error| match error {
                // An old server does not know this call, and says so as a proxy says that its server is away.
                Error::NotMlflow(message) => Error::Invalid(message),
                other => other,
            })
        };
        match shared.send(&shared.records, &log) {
            Sent::Written => shared.count_written(1),
            Sent::Refused(reason) => shared.set_aside("input", &input.dataset.name, &reason),
            Sent::Abandoned => {}
        }
    }

    /// Writes records; halves what is refused until the bad ones are found.
    fn write_batch(&mut self, records: &[Record], counted: Counted) {
        if records.is_empty() {
            return;
        }
        let shared = self.shared;
        let batch = to_batch(records);
        match shared.send(&shared.records, &|| shared.store.log_batch(&shared.run_id, &batch)) {
            Sent::Written => {
                self.refusals = 0;
                if counted == Counted::Yes {
                    shared.count_written(records.len());
                }
            }
            Sent::Refused(reason) if records.len() == 1 || self.run_is_refused() => {
                self.refusals += 1;
                for record in records.iter().filter(|_| counted == Counted::Yes) {
                    let (what, key) = record.label();
                    shared.set_aside(what, key, &reason);
                }
            }
            Sent::Refused(_) => {
                let (head, tail) = records.split_at(records.len() / 2);
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
        let look = || check_active("run", &shared.run_id, shared.store.run(&shared.run_id)?.info.lifecycle);
        let refused = matches!(shared.send(&shared.records, &look), Sent::Refused(_));
        if !refused {
            self.refusals = 0;
        }
        refused
    }

    /// Notes are extra: they are not counted, and one that is refused is not noted again.
    fn write_notes(&mut self) {
        let notes = std::mem::take(&mut lock(&self.shared.notes).to_write);
        self.write_batch(&notes, Counted::No);
    }

    fn write_end(&mut self) {
        let shared = self.shared;
        let Some(&(status, time_ms)) = shared.end.get() else { return };
        let (_, set_aside, dropped, left) = shared.counts();
        for (key, count) in [("set_aside", set_aside), ("dropped", dropped), ("left", left)] {
            if count > 0 {
                shared.note(&format!("records_{key}"), count.to_string());
            }
        }
        self.write_notes();
        let end = || shared.store.update_run(&shared.run_id, status, Some(time_ms), None);
        match shared.send(&shared.records, &end) {
            Sent::Written => shared.ended.store(true, Ordering::Release),
            Sent::Refused(error) => shared.report_trouble(&error, 0),
            Sent::Abandoned => {}
        }
    }

    /// Turns a record that MLflow would refuse or cut into one that it takes, and leaves a note.
    fn adjust(&self, record: Record) -> Record {
        match record {
            Record::Metric(mut metric) => {
                metric.key = self.adjust_key("metric", metric.key);
                metric.timestamp_ms = metric.timestamp_ms.max(0);
                if !metric.value.is_finite() {
                    let value = format!("{} at step {}", metric.value, metric.step);
                    self.shared.note(&format!("not_finite.{}", metric.key), value);
                }
                Record::Metric(metric)
            }
            Record::Param(key, value) => {
                let key = self.adjust_key("param", key);
                let value = self.adjust_value("params", &key, value, MAX_PARAM_CHARS);
                Record::Param(key, value)
            }
            Record::Tag(key, value) => {
                let key = self.adjust_key("tag", key);
                let value = self.adjust_value("tags", &key, value, MAX_TAG_CHARS);
                Record::Tag(key, value)
            }
            input => input,
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
        let upload = Upload::Text { text: value, artifact_path };
        self.shared.uploads.push(std::iter::once(upload));
        short
    }
}

fn to_batch(records: &[Record]) -> Batch {
    let mut batch = Batch::default();
    for record in records {
        match record.clone() {
            Record::Metric(metric) => batch.metrics.push(metric),
            Record::Param(key, value) => batch.params.push((key, value)),
            Record::Tag(key, value) => batch.tags.push((key, value)),
            Record::Input(_) => {}
        }
    }
    batch
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

/// The upload thread: one file after the other, so that a big checkpoint holds up no metric. A file that fails goes to
/// the end of the queue, so that it holds up no other file.
pub(crate) fn upload_files(shared: &Shared) {
    let mut failures = 0;
    while let Some(uploads) = shared.uploads.take() {
        for upload in uploads {
            match put(shared, &upload) {
                Err(error) if error.may_pass() => {
                    shared.report_trouble(&error, failures);
                    shared.uploads.requeue(upload);
                    shared.uploads.pause(pause_after(&error, failures));
                    failures += 1;
                }
                answer => {
                    shared.answers.fetch_add(1, Ordering::Relaxed);
                    failures = 0;
                    settle(shared, &upload, answer);
                }
            }
        }
    }
    shared.uploads_done.store(true, Ordering::Release);
}

fn settle(shared: &Shared, upload: &Upload, answer: Result<Vec<Upload>>) {
    match (upload, answer) {
        (Upload::Dir { .. }, Ok(files)) => shared.uploads.replace(upload, files),
        (_, Ok(_)) => {
            shared.count_written(1);
            shared.uploads.release(upload.bytes());
        }
        (_, Err(reason)) => {
            let name = match upload {
                Upload::File { local_file: path, .. } | Upload::Dir { local_dir: path, .. } => {
                    path.display().to_string()
                }
                Upload::Text { artifact_path, .. } => artifact_path.clone(),
            };
            shared.set_aside("artifact", &name, &reason);
            shared.uploads.release(upload.bytes());
        }
    }
}

/// Uploads a file or a text; of a folder, names the files.
fn put(shared: &Shared, upload: &Upload) -> Result<Vec<Upload>> {
    match upload {
        Upload::File { local_file, folder } => {
            let name = local_file.file_name().unwrap_or_default().to_string_lossy();
            let bytes = local_file.metadata().map_or(0, |metadata| metadata.len());
            *lock(&shared.sending) = Some((bytes, shared.bytes_moved()));
            let put = shared.store.put_artifact(ArtifactsOf::Run(&shared.run_id), local_file, &below(folder, &name));
            *lock(&shared.sending) = None;
            put.map(|()| Vec::new())
        }
        Upload::Dir { local_dir, folder } => files_in(local_dir, folder),
        Upload::Text { text, artifact_path } => {
            let file = std::env::temp_dir().join(format!("tracking-{}.txt", Uuid::new_v4().simple()));
            let written = fs::write(&file, text).map_err(|source| io_error("write", &file, source));
            let put = written
                .and_then(|()| shared.store.put_artifact(ArtifactsOf::Run(&shared.run_id), &file, artifact_path));
            // Nothing depends on the temporary file; the system removes what stays.
            let _ = fs::remove_file(&file);
            put.map(|()| Vec::new())
        }
    }
}

fn below(folder: &str, name: &str) -> String {
    match folder.trim_matches('/') {
        "" => name.to_string(),
        folder => format!("{folder}/{name}"),
    }
}

fn files_in(dir: &Path, folder: &str) -> Result<Vec<Upload>> {
    let mut files = Vec::new();
    let mut dirs = vec![(dir.to_path_buf(), folder.to_string())];
    while let Some((dir, folder)) = dirs.pop() {
        for entry in fs::read_dir(&dir).map_err(|source| io_error("read", &dir, source))? {
            let path = entry.map_err(|source| io_error("read", &dir, source))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // A link to a folder is left out: it may lead back to where we are.
            if path.is_dir() && !path.is_symlink() {
                dirs.push((path, below(&folder, &name)));
            } else if !path.is_dir() {
                files.push(Upload::File { local_file: path, folder: folder.clone() });
            }
        }
    }
    Ok(files)
}

fn io_error(doing: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { doing, path: path.into(), source }
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
}
