//! What the fuzzer has found worth keeping, see `fuzz/README.md`, through the same checks.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;

#[path = "../fuzz/checks/filter.rs"]
mod filter;
#[path = "../fuzz/checks/journal.rs"]
mod journal;

/// Runs each file of `fuzz/corpus/<target>`.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!((5..50).contains(&files.len()), "{target}: {} files", files.len());
    files.iter().for_each(|file| check(&fs::read(file).unwrap()));
}

#[test]
fn the_corpus_of_filters_passes() {
    replay("filter", filter::check);
}

#[test]
fn the_corpus_of_journals_passes() {
    replay("journal", journal::check);
}
