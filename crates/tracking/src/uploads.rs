//! The thread that uploads the files of a run's folder.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::shared::{Shared, lock, pause_after};
use crate::spool::{RunFolder, SpooledFile};
use crate::{ArtifactsOf, Result};

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
