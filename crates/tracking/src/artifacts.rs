//! Artifacts in a local folder.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use uuid::Uuid;

use crate::{Artifact, Error, Result};

/// Copies `local_file` to `artifact_path` below `root`, complete or not at all.
///
/// The copy grows beside the root, not in it, so that no listing ever shows half a file.
pub(crate) fn put(root: &Path, local_file: &Path, artifact_path: &str) -> Result<()> {
    let target = file_below(root, artifact_path)?;
    let folder = target.parent().unwrap_or(root);
    fs::create_dir_all(folder).map_err(|source| Error::io("create", folder, source))?;
    let partial = root.with_file_name(format!(".upload-{}", Uuid::new_v4().simple()));
    copy(local_file, &partial, &target)
}

/// Copies an artifact to `local_file`, under a temporary name beside it until it is complete.
pub(crate) fn get(root: &Path, artifact_path: &str, local_file: &Path) -> Result<()> {
    let source = file_below(root, artifact_path)?;
    if !source.is_file() {
        return Err(Error::NotFound(format!("No artifact `{artifact_path}` in `{}`", root.display())));
    }
    let mut partial = local_file.as_os_str().to_owned();
    partial.push(format!(".{}.part", Uuid::new_v4().simple()));
    copy(&source, Path::new(&partial), local_file)
}

fn copy(source: &Path, partial: &Path, target: &Path) -> Result<()> {
    // Synced before it gets its name: after a power cut there is the whole file or none.
    let copied = File::open(source)
        .and_then(|mut from| {
            let mut to = File::create_new(partial)?;
            io::copy(&mut from, &mut to)?;
            to.sync_all()
        })
        .map_err(|error| Error::io("copy", source, error))
        .and_then(|_| fs::rename(partial, target).map_err(|error| Error::io("write", target, error)));
    if copied.is_err() {
        // What is left of a failed copy helps nobody; the copy's own error is the one to report.
        let _ = fs::remove_file(partial);
    }
    copied
}

/// One folder, sorted by path. A folder that is not there is empty, as on a server.
pub(crate) fn list(root: &Path, folder: &str) -> Result<Vec<Artifact>> {
    let path = if folder.is_empty() { root.to_path_buf() } else { file_below(root, folder)? };
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut artifacts = Vec::new();
    for entry in fs::read_dir(&path).map_err(|source| Error::io("read", &path, source))? {
        let entry = entry.map_err(|source| Error::io("read", &path, source))?;
        let metadata = fs::metadata(entry.path()).map_err(|source| Error::io("read", &entry.path(), source))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        artifacts.push(Artifact {
            path: if folder.is_empty() { name } else { format!("{folder}/{name}") },
            is_dir: metadata.is_dir(),
            bytes: metadata.is_file().then_some(metadata.len()),
        });
    }
    artifacts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(artifacts)
}

fn file_below(root: &Path, artifact_path: &str) -> Result<PathBuf> {
    check_path(artifact_path)?;
    Ok(root.join(artifact_path))
}

/// Refuses a path that would leave the run's folder or has a second spelling, locally and as part of an address.
pub(crate) fn check_path(artifact_path: &str) -> Result<()> {
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains('\\');
    // On Windows a drive is no plain name.
    let plain = Path::new(artifact_path).components().all(|part| matches!(part, Component::Normal(_)));
    if artifact_path.split('/').any(odd) || !plain {
        return Err(Error::Invalid(format!(
            "Invalid artifact path: '{artifact_path}'. Hint: write a path below the run's root with `/` and without \
             `..`."
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_run_are_refused() {
        for bad in ["", "/a", "a//b", "../a", "a/..", "a/", "a/./b", "a\\b"] {
            assert!(matches!(check_path(bad), Err(Error::Invalid(_))), "{bad}");
        }
        check_path("model/MLmodel").expect("a plain path");
    }
}
