//! A database file of ours: opening it, what must hold of it, and Python scripts that look at it.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::Value;
use tracking::SqliteStore;

pub fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(&folder.join("mlflow.db"), &folder.join("mlruns")).unwrap()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// SQLite finds the file sound, and every row has its parent.
pub fn check_integrity(db: &Path) {
    let connection = Connection::open(db).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let broken = connection.prepare("PRAGMA foreign_key_check").unwrap().query_map([], |_| Ok(())).unwrap().count();
    assert_eq!(broken, 0, "rows without a parent");
}

/// Runs a script below `tests/py`; `None`, with a word about it, when `variable` names no Python.
pub fn python(variable: &str, script: &str, arguments: &[&str], input: &str) -> Option<Value> {
    let Some(python) = env::var_os(variable) else {
        eprintln!("skipped: {variable} is not set");
        return None;
    };
    let mut child = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py").join(script))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {log}");
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{script}: {error}: {log}")))
}
