//! The conformance suite on the stores that need no server.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use tempfile::TempDir;
use tracking::{MemoryStore, SqliteStore, conformance};

#[test]
fn memory_store_conforms() {
    let folder = TempDir::new().unwrap();
    let scratch = TempDir::new().unwrap();
    conformance::run(Arc::new(MemoryStore::new(folder.path())), scratch.path());
}

#[test]
fn sqlite_store_conforms() {
    let folder = TempDir::new().unwrap();
    let scratch = TempDir::new().unwrap();
    let store = SqliteStore::open(&folder.path().join("mlflow.db"), &folder.path().join("mlruns")).unwrap();
    conformance::run(Arc::new(store), scratch.path());
}
