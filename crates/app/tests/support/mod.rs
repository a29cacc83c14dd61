//! Runs the real program in a folder of its own.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use tracking::{RunData, RunQuery, SqliteStore, Store};

/// The workspace root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A file of the shared data folder, if this machine has it.
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let path = root().join("../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("SKIPPED: no ../shared/data/{name} on this machine");
    None
}

/// An empty working directory with the shipped configs.
pub struct Workdir {
    pub folder: TempDir,
}

impl Workdir {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("configs")).unwrap();
        for entry in fs::read_dir(root().join("configs")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, folder.path().join("configs").join(path.file_name().unwrap())).unwrap();
            }
        }
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The program, not yet started, with none of the caller's settings.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_train_tabular_mlp"), args)
    }

    /// Another program, not yet started.
    pub fn command_of(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.folder.path());
        for (name, _) in std::env::vars() {
            if name.starts_with("ML_TABULAR_") || name.starts_with("MLFLOW_") {
                command.env_remove(name);
            }
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Finished {
        Finished::from(self.command(args).output().unwrap())
    }

    /// The embedded store that the program wrote.
    pub fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.path("mlflow.db"), &self.path("mlruns")).unwrap()
    }

    /// The runs of the embedded store that are no part of another, newest first.
    pub fn runs(&self) -> Vec<RunData> {
        self.all_runs().into_iter().filter(|run| !run.tags.contains_key("mlflow.parentRunId")).collect()
    }

    /// All runs of the embedded store, newest first.
    pub fn all_runs(&self) -> Vec<RunData> {
        let store = self.store();
        let experiments = store.experiments(tracking::ViewType::All).unwrap();
        let experiment_ids = experiments.into_iter().map(|experiment| experiment.experiment_id).collect();
        store.search_runs(&RunQuery { experiment_ids, ..RunQuery::default() }).unwrap().items
    }
}

/// What a finished program said.
pub struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Finished {
    /// Panics with everything that was said unless the program succeeded.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in\n{}", self.stdout))
    }
}

/// Paths of all files below a folder, from there.
pub fn files_below(folder: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    files
}

/// Panics unless every part stands in the text.
pub fn assert_contains(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "no `{part}` in\n{error}");
    }
}

/// Flags that make a run short.
pub const SHORT: [&str; 4] = ["--epochs", "3", "--set", "training.warmup_epochs=0"];
