//! The thread that uploads the files and the models of a run's folder.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::model_uploads::{send_model, waits};
use crate::shared::{Shared, lock, pause_after};
use crate::spool::{RunFolder, SpooledFile, SpooledModel};
use crate::{ArtifactsOf, Error, Result};

/// The upload thread: one file after the other, then one model after the other, oldest first. One that fails holds up no
/// other: it stays in the folder and is tried again in the next round.
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
        let mut models = folder.models().unwrap_or_default();
        models.retain(|model| !waits(model, closed));
        let is_idle = (files.is_empty() && models.is_empty()) || shared.run_id.get().is_none();
        if closed && is_idle {
            return;
        }
        if is_idle {
            gate.wait(rings, Duration::from_secs(1));
            continue;
        }
        for file in files {
            if gate.is_abandoned() {
                return;
            }
            match put(shared, ArtifactsOf::Run(shared.run_id()), &file.path, &file.artifact_path) {
                Err(error) if error.may_pass() => wait(shared, &error, &mut failures),
                answer => {
                    failures = 0;
                    settle(shared, folder, &file, answer);
                }
            }
        }
        for mut model in models {
            match send_model(shared, &mut model, closed) {
                Err(error) if error.may_pass() => wait(shared, &error, &mut failures),
                answer => {
                    failures = 0;
                    settle_model(shared, &model, answer);
                }
            }
        }
    }
}

fn wait(shared: &Shared, error: &Error, failures: &mut u32) {
    shared.report_trouble(error, *failures);
    shared.uploads.pause(pause_after(error, *failures));
    *failures += 1;
}

/// Stores a file.
pub(crate) fn put(shared: &Shared, of: ArtifactsOf<'_>, local_file: &Path, artifact_path: &str) -> Result<()> {
    let bytes = local_file.metadata().map_or(0, |metadata| metadata.len());
    *lock(&shared.sending) = Some((bytes, shared.bytes_moved()));
    let put = shared.store.put_artifact(of, local_file, artifact_path);
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

/// A model that neither the store nor the disk will ever take goes; one that waits for the end of its run stays.
fn settle_model(shared: &Shared, model: &SpooledModel, answer: Result<bool>) {
    if let Err(reason) = answer {
        shared.set_aside("model", &model.ticket.name, &reason);
        let left = model.files().map_or(0, |files| files.len());
        shared.set_aside.fetch_add(left as u64, Ordering::Relaxed);
        model.remove();
    }
}
