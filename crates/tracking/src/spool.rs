//! A folder per open run: who writes it, what is not stored yet, and a lock that tells a dead run from a live one.
//!
//! | in `<spool>/<run id>/` | what it is |
//! |---|---|
//! | `run.json` | the [`Ticket`]: which run this is and where it goes |
//! | `lock` | locked as long as the process lives; its time of change is the run's last sign of life |
//! | `*.journal`, `sent` | records, see [`crate::journal`] |
//! | `files/N.data`, `files/N.json` | a file to upload (a second name for it, or a copy) and where it goes |
//! | `models/N/` | a logged model: `model.json` and its files, see [`models`] |
//! | `panic.txt` | what a thread said when it panicked |
//!
//! The folder goes when everything in it is stored and the run has ended.

mod models;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::journal::{segments, sync};
use crate::record::Upload;
use crate::{Error, Millis, Result};

pub(crate) use models::{Home, ModelTicket, SpooledModel, TicketMetric, waiting_models};

const TICKET: &str = "run.json";
const LOCK: &str = "lock";
const FILES: &str = "files";
/// Ending of the name of a folder that is being deleted.
const GONE: &str = "gone";
const PANIC: &str = "panic.txt";
/// How much of a dead run's log is kept with it.
const LOG_TAIL_BYTES: u64 = 32 << 10;

/// Which run a folder belongs to. No credentials: those come from the environment when it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ticket {
    /// Address of the store, without credentials.
    pub(crate) uri: String,
    /// Where an embedded store keeps artifacts.
    pub(crate) artifact_root: PathBuf,
    /// The id that the program knows: the folder's name.
    pub(crate) id: String,
    /// The id in the store; none while the run has not been made there.
    pub(crate) run_id: Option<String>,
    /// Name of the experiment, if it is not given by its id.
    pub(crate) experiment: String,
    #[serde(default)]
    pub(crate) experiment_id: Option<String>,
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) start_time_ms: Millis,
    pub(crate) tags: BTreeMap<String, String>,
    /// What the program writes its log to.
    pub(crate) log_file: Option<PathBuf>,
    /// The process that writes the run.
    pub(crate) process_id: u32,
}

/// A run's folder, locked by this process.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    lock: File,
    next_file: AtomicU64,
}

/// A file that waits for its upload.
#[derive(Debug, PartialEq)]
pub(crate) struct SpooledFile {
    number: u64,
    /// The content.
    pub(crate) path: PathBuf,
    pub(crate) artifact_path: String,
}

#[derive(Serialize, Deserialize)]
struct FileTicket {
    artifact_path: String,
}

impl RunFolder {
    /// Makes the folder of a new run.
    pub(crate) fn create(spool_dir: &Path, ticket: &Ticket) -> Result<Self> {
        let path = spool_dir.join(&ticket.id);
        create_folder(&path.join(FILES))?;
        let lock_path = path.join(LOCK);
        let lock = File::create(&lock_path).map_err(|source| Error::io("create", &lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(in_use(&read_ticket(&path).unwrap_or_else(|_| ticket.clone())));
            }
            Err(TryLockError::Error(source)) => return Err(no_locks(&lock_path, &source)),
        }
        let folder = Self { path, lock, next_file: AtomicU64::new(1) };
        folder.save(ticket)?;
        Ok(folder)
    }

    /// Takes over the folder of a run that nobody writes any more. None when its process lives, or has just cleaned up.
    pub(crate) fn take_over(path: &Path) -> Result<Option<Self>> {
        let lock_path = path.join(LOCK);
        // Windows locks no file that is open for appending only.
        let lock = match File::options().write(true).open(&lock_path) {
            Ok(lock) => lock,
            // Not yet or no longer a run's folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::io("open", &lock_path, source)),
        };
        match lock.try_lock() {
            Ok(()) if path.join(TICKET).is_file() => {}
            Ok(()) | Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(no_locks(&lock_path, &source)),
        }
        let folder = Self { path: path.into(), lock, next_file: AtomicU64::new(1) };
        let last_file = folder.files()?.last().map_or(0, |file| file.number);
        let last_model = folder.models()?.last().map_or(0, |model| model.number);
        folder.next_file.store(last_file.max(last_model) + 1, Ordering::Relaxed);
        Ok(Some(folder))
    }

    /// Gives the folder its run's final id as name, and writes the ticket.
    pub(crate) fn rename(&mut self, ticket: &Ticket) -> Result<()> {
        let path = self.path.with_file_name(&ticket.id);
        if path != self.path {
            fs::rename(&self.path, &path).map_err(|source| Error::io("rename", &self.path, source))?;
            self.path = path;
        }
        self.save(ticket)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads `run.json`.
    pub(crate) fn ticket(&self) -> Result<Ticket> {
        read_ticket(&self.path)
    }

    /// Writes `run.json`, whole or not at all. A journal whose ticket a power cut has taken could not be sent.
    pub(crate) fn save(&self, ticket: &Ticket) -> Result<()> {
        let text = serde_json::to_string_pretty(ticket).unwrap_or_default();
        let path = self.path.join(TICKET);
        write_whole(&path, &text)?;
        [path.as_path()].into_iter().chain(self.path.ancestors().take(2)).for_each(sync);
        Ok(())
    }

    /// Gives a sign of life.
    pub(crate) fn touch(&self) {
        // A sign that could not be given only makes the last one look older.
        let _ = self.lock.set_modified(SystemTime::now());
    }

    /// The last sign of life.
    pub(crate) fn last_seen_ms(&self) -> Millis {
        let modified = self.lock.metadata().and_then(|lock| lock.modified()).unwrap_or(UNIX_EPOCH);
        Millis::try_from(modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or_default()
    }

    /// Takes an upload into the folder; a folder becomes its files.
    ///
    /// A file gets a second name where the file system can, else it is copied: it may be replaced or deleted after that.
    pub(crate) fn add(&self, upload: &Upload) -> Result<()> {
        match upload {
            Upload::Text { text, artifact_path } => self.add_with(artifact_path, |data| {
                fs::write(data, text).map_err(|source| Error::io("write", data, source))
            }),
            Upload::File { local_file, folder } => {
                let name = local_file.file_name().unwrap_or_default().to_string_lossy();
                self.add_file(local_file, &below(folder, &name))
            }
            Upload::Dir { local_dir, folder } => {
                files_in(local_dir, folder)?.iter().try_for_each(|file| self.add(file))
            }
            Upload::Model { files, time_ms } => {
                self.add_model(&files.local_dir, &ModelTicket::new(files, *time_ms)).map(drop)
            }
        }
    }

    fn add_file(&self, local_file: &Path, artifact_path: &str) -> Result<()> {
        let file = file_behind(local_file)?;
        self.add_with(artifact_path, |data| second_name(&file, data))
    }

    fn add_with(&self, artifact_path: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let number = self.next_file.fetch_add(1, Ordering::Relaxed);
        let data = self.file(number, "data");
        // A process that was killed before the upload counted has perhaps left this name, and behind it is a file of the
        // user's: it must not be written into.
        let _ = fs::remove_file(&data);
        let ticket = serde_json::to_string(&FileTicket { artifact_path: artifact_path.into() }).unwrap_or_default();
        // The name in the ticket is what makes the upload count, so it comes last.
        fill(&data).and_then(|()| write_whole(&self.file(number, "json"), &ticket)).inspect_err(|_| {
            // Half a file helps nobody, and takes room on a full disk.
            let _ = fs::remove_file(&data);
        })
    }

    fn file(&self, number: u64, extension: &str) -> PathBuf {
        self.path.join(FILES).join(format!("{number:08}.{extension}"))
    }

    /// Files that wait, oldest first.
    pub(crate) fn files(&self) -> Result<Vec<SpooledFile>> {
        waiting_files(&self.path)
    }

    /// A file is stored, or never will be.
    pub(crate) fn remove_file(&self, file: &SpooledFile) {
        // The name first: without it the content is nothing. What stays is uploaded again, or goes with the folder.
        let _ = fs::remove_file(self.file(file.number, "json"));
        let _ = fs::remove_file(&file.path);
    }

    /// What a thread said when it panicked, kept by [`note_panic`].
    pub(crate) fn panic(&self) -> Option<String> {
        fs::read_to_string(self.path.join(PANIC)).ok()
    }

    /// Deletes the folder: all is stored.
    pub(crate) fn remove(&self) {
        // Renamed first: after a kill in between, half a folder would look like a damaged run.
        let gone = self.path.with_extension(GONE);
        let path = if fs::rename(&self.path, &gone).is_ok() { &gone } else { &self.path };
        // What stays is no run's.
        let _ = fs::remove_dir_all(path);
    }
}

/// Keeps the words of a panic in a run's folder, in case that the process does not live to report them.
pub(crate) fn note_panic(run_folder: &Path, message: &str) {
    // In a panic there is nobody to tell that even this failed.
    let _ = fs::write(run_folder.join(PANIC), message);
}

/// The folders below `spool_dir`, sorted by name; empty when there is no such folder.
pub(crate) fn run_folders(spool_dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(spool_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::io("read", spool_dir, source)),
    };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| is_run(path)).collect();
    folders.sort();
    Ok(folders)
}

/// False for what a process leaves that is killed while it begins or deletes a folder: there is nothing in it to lose.
fn is_run(path: &Path) -> bool {
    let is_gone = path.extension().is_some_and(|extension| extension == GONE);
    path.is_dir()
        && !is_gone
        && (path.join(TICKET).is_file() || !segments(path).is_ok_and(|segments| segments.is_empty()))
}

/// Reads a run's ticket without its lock.
pub(crate) fn read_ticket(run_folder: &Path) -> Result<Ticket> {
    let path = run_folder.join(TICKET);
    let text = fs::read_to_string(&path).map_err(|source| Error::io("read", &path, source))?;
    serde_json::from_str(&text).map_err(|error| Error::Invalid(format!("`{}` is damaged: {error}", path.display())))
}

/// Files that wait in a run's folder, oldest first.
pub(crate) fn waiting_files(run_folder: &Path) -> Result<Vec<SpooledFile>> {
    let folder = run_folder.join(FILES);
    let entries = fs::read_dir(&folder).map_err(|source| Error::io("read", &folder, source))?;
    let number = |path: &Path| path.file_stem()?.to_str()?.parse::<u64>().ok();
    let mut files = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "json")
            && let Some(number) = number(&path)
            && let Ok(text) = fs::read_to_string(&path)
            && let Ok(FileTicket { artifact_path }) = serde_json::from_str(&text)
        {
            files.push(SpooledFile { number, path: path.with_extension("data"), artifact_path });
        }
    }
    files.sort_by_key(|file| file.number);
    Ok(files)
}

/// The last lines of a log, from their first line break on.
pub(crate) fn log_tail(log_file: &Path) -> io::Result<String> {
    let mut file = File::open(log_file)?;
    let start = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(match text.split_once('\n') {
        Some((_, whole_lines)) if start > 0 => whole_lines.to_owned(),
        _ => text.into_owned(),
    })
}

/// Waits until a folder can be taken over, for example because another thread is just sending it.
pub(crate) fn take_over_soon(path: &Path, wait: Duration) -> Result<Option<RunFolder>> {
    let deadline = Instant::now() + wait;
    loop {
        let taken = RunFolder::take_over(path)?;
        if taken.is_some() || !path.join(TICKET).exists() || Instant::now() >= deadline {
            return Ok(taken);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The error of a file system that cannot lock, as some over a network.
fn no_locks(lock_path: &Path, source: &io::Error) -> Error {
    Error::Invalid(format!(
        "cannot lock `{}`: {source}. Hint: put the spool folder on a local disk",
        lock_path.display()
    ))
}

/// The error for a run that a process writes.
pub(crate) fn in_use(ticket: &Ticket) -> Error {
    Error::Invalid(format!(
        "run `{}` is being written by process {}. Hint: stop that one first",
        ticket.id, ticket.process_id
    ))
}

/// The file behind a link, not the link.
fn file_behind(local_file: &Path) -> Result<PathBuf> {
    let unreadable = |source| Error::io("read", local_file, source);
    let file = local_file.canonicalize().map_err(unreadable)?;
    if file.is_file() { Ok(file) } else { Err(unreadable(io::ErrorKind::IsADirectory.into())) }
}

/// Gives a file a second name where the file system can, else copies it.
fn second_name(file: &Path, name: &Path) -> Result<()> {
    let copy = |_| fs::copy(file, name).map(drop);
    fs::hard_link(file, name).or_else(copy).map_err(|source| Error::io("copy", file, source))
}

fn below(folder: &str, name: &str) -> String {
    match folder.trim_matches('/') {
        "" => name.to_string(),
        folder => format!("{folder}/{name}"),
    }
}

/// All files below a folder, sorted by their paths, each for its own folder of the run.
pub(crate) fn files_in(dir: &Path, folder: &str) -> Result<Vec<Upload>> {
    let mut files = Vec::new();
    let mut dirs = vec![(dir.to_path_buf(), folder.to_string())];
    while let Some((dir, folder)) = dirs.pop() {
        for entry in fs::read_dir(&dir).map_err(|source| Error::io("read", &dir, source))? {
            let path = entry.map_err(|source| Error::io("read", &dir, source))?.path();
            // A link to a folder is left out: it may lead back to where we are.
            if path.is_dir() && !path.is_symlink() {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                dirs.push((path, below(&folder, &name)));
            } else if !path.is_dir() {
                files.push((path, folder.clone()));
            }
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(local_file, folder)| Upload::File { local_file, folder }).collect())
}

fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|source| Error::io("create", path, source))
}

fn write_whole(path: &Path, text: &str) -> Result<()> {
    let partial = path.with_extension("part");
    fs::write(&partial, text)
        .and_then(|()| fs::rename(&partial, path))
        .map_err(|source| Error::io("write", path, source))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn ticket(id: &str) -> Ticket {
        Ticket {
            uri: "http://127.0.0.1:5000".into(),
            artifact_root: "mlruns".into(),
            id: id.into(),
            run_id: None,
            experiment: "wine".into(),
            experiment_id: None,
            name: "baseline".into(),
            user: "ada".into(),
            start_time_ms: 1,
            tags: BTreeMap::new(),
            log_file: None,
            process_id: 7,
        }
    }

    #[test]
    fn a_folder_is_taken_over_when_its_process_is_gone() {
        let spool = TempDir::new().unwrap();
        let folder = RunFolder::create(spool.path(), &ticket("r1")).unwrap();
        let path = folder.path().to_path_buf();
        assert!(RunFolder::take_over(&path).unwrap().is_none(), "its owner lives");
        let other = Ticket { process_id: 8, ..ticket("r1") };
        assert!(RunFolder::create(spool.path(), &other).unwrap_err().to_string().contains("by process 7"));
        drop(folder);
        let folder = RunFolder::take_over(&path).unwrap().unwrap();
        assert_eq!(folder.ticket().unwrap(), ticket("r1"));
        folder.remove();
        assert!(!path.exists());
        assert_eq!(run_folders(spool.path()).unwrap(), Vec::<PathBuf>::new());
        assert!(RunFolder::take_over(&path).unwrap().is_none());
    }

    #[test]
    fn files_wait_in_order_and_survive_their_originals() {
        let spool = TempDir::new().unwrap();
        let work = TempDir::new().unwrap();
        fs::create_dir_all(work.path().join("plots/deep")).unwrap();
        for name in ["model.bin", "plots/a.png", "plots/deep/b.png"] {
            fs::write(work.path().join(name), name).unwrap();
        }
        let folder = RunFolder::create(spool.path(), &ticket("r1")).unwrap();
        let file = |name: &str| Upload::File { local_file: work.path().join(name), folder: "models".into() };
        folder.add(&file("model.bin")).unwrap();
        let text = Upload::Text { text: "hello".into(), artifact_path: "notes/hello.txt".into() };
        folder.add(&text).unwrap();
        let plots = Upload::Dir { local_dir: work.path().join("plots"), folder: String::new() };
        folder.add(&plots).unwrap();
        assert!(folder.add(&file("missing.bin")).unwrap_err().to_string().contains("missing.bin"));
        assert!(folder.add(&file("plots")).is_err(), "a folder is no file");
        drop(folder);
        work.close().unwrap();

        let folder = RunFolder::take_over(&spool.path().join("r1")).unwrap().unwrap();
        let files = folder.files().unwrap();
        let found: Vec<(&str, String)> =
            files.iter().map(|file| (file.artifact_path.as_str(), fs::read_to_string(&file.path).unwrap())).collect();
        let expected = [
            ("models/model.bin", "model.bin"),
            ("notes/hello.txt", "hello"),
            ("a.png", "plots/a.png"),
            ("deep/b.png", "plots/deep/b.png"),
        ];
        assert_eq!(found, expected.map(|(path, text)| (path, text.to_owned())));
        folder.remove_file(&files[0]);
        folder.add(&text).unwrap();
        let left = folder.files().unwrap();
        assert_eq!(left.iter().map(|file| file.number).collect::<Vec<_>>(), [2, 3, 4, 5]);
    }

    /// A process may be killed between the two names of an upload, and its number is taken again.
    #[test]
    fn a_file_of_the_user_is_never_written_into() {
        let spool = TempDir::new().unwrap();
        let model = spool.path().join("model.bin");
        fs::write(&model, "weights").unwrap();
        let folder = RunFolder::create(spool.path(), &ticket("r1")).unwrap();
        fs::hard_link(&model, folder.file(1, "data")).unwrap();
        drop(folder);
        let folder = RunFolder::take_over(&spool.path().join("r1")).unwrap().unwrap();
        folder.add(&Upload::Text { text: "the log".into(), artifact_path: "log_tail.txt".into() }).unwrap();
        assert_eq!(fs::read_to_string(&model).unwrap(), "weights");
        assert_eq!(fs::read_to_string(&folder.files().unwrap()[0].path).unwrap(), "the log");
    }

    #[test]
    fn a_log_tail_begins_with_a_whole_line() {
        let folder = TempDir::new().unwrap();
        let log = folder.path().join("run.log");
        fs::write(&log, "one\ntwo\n").unwrap();
        assert_eq!(log_tail(&log).unwrap(), "one\ntwo\n");
        fs::write(&log, (0..10_000).map(|i| format!("line {i}\n")).collect::<String>()).unwrap();
        let tail = log_tail(&log).unwrap();
        assert!(tail.starts_with("line ") && tail.ends_with("line 9999\n") && tail.len() <= LOG_TAIL_BYTES as usize);
    }
}
