//! Artifacts of a server: through its proxy, or straight to a folder that both can see.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use reqwest::Url;
use serde::Deserialize;

use super::RestStore;
use crate::wire::WireFile;
use crate::{Artifact, ArtifactsOf, Error, Result, Store, artifacts};

/// Where artifacts are.
#[derive(Debug, PartialEq)]
enum Root {
    /// Path below the root of the server's artifact proxy.
    Proxy(String),
    /// Folder on this machine.
    Folder(PathBuf),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FilePage {
    files: Vec<WireFile>,
    next_page_token: String,
}

impl RestStore {
    pub(super) fn upload(&self, of: ArtifactsOf<'_>, local_file: &Path, artifact_path: &str) -> Result<()> {
        artifacts::check_path(artifact_path)?;
        match self.root(of)? {
            Root::Folder(folder) => {
                let bytes = local_file.metadata().map_or(0, |metadata| metadata.len());
                self.http.bytes_moved.fetch_add(bytes, Ordering::Relaxed);
                artifacts::put(&folder, local_file, artifact_path)
            }
            Root::Proxy(root) => self.http.put_file(local_file, &format!("{root}/{artifact_path}")),
        }
    }

    pub(super) fn list_folder(&self, of: ArtifactsOf<'_>, folder: &str) -> Result<Vec<Artifact>> {
        if !folder.is_empty() {
            artifacts::check_path(folder)?;
        }
        if let ArtifactsOf::Run(run_id) = of {
            return self.list_run(run_id, folder);
        }
        let path = |name: String| if folder.is_empty() { name } else { format!("{folder}/{name}") };
        match self.root(of)? {
            Root::Folder(root) => artifacts::list(&root, folder),
            Root::Proxy(root) => {
                let page: FilePage = self.http.list_files(format!("{root}/{folder}").trim_end_matches('/'))?;
                let files = page.files.into_iter().map(Artifact::from);
                let mut found: Vec<Artifact> =
                    files.map(|file| Artifact { path: path(file.path.clone()), ..file }).collect();
                found.sort_by(|a, b| a.path.cmp(&b.path));
                Ok(found)
            }
        }
    }

    /// The server lists a run also where we could not reach its files.
    fn list_run(&self, run_id: &str, folder: &str) -> Result<Vec<Artifact>> {
        let mut query = vec![("run_id", run_id)];
        if !folder.is_empty() {
            query.push(("path", folder));
        }
        let mut found: Vec<Artifact> = Vec::new();
        let mut token = String::new();
        loop {
            let mut query = query.clone();
            if !token.is_empty() {
                query.push(("page_token", &token));
            }
            let page: FilePage = self.http.get("artifacts/list", &query)?;
            found.extend(page.files.into_iter().map(Artifact::from));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    pub(super) fn fetch(&self, of: ArtifactsOf<'_>, artifact_path: &str, local_file: &Path) -> Result<()> {
        artifacts::check_path(artifact_path)?;
        match self.root(of)? {
            Root::Folder(folder) => artifacts::get(&folder, artifact_path, local_file),
            Root::Proxy(root) => match self.http.get_file(&format!("{root}/{artifact_path}"), local_file) {
                // MLflow 2 breaks, with status 500, over a file that is not there.
                Err(error) if error.is_transient() && !self.has_artifact(of, artifact_path)? => {
                    Err(Error::NotFound(format!("No artifact `{artifact_path}` in {of} on `{}`", self.uri())))
                }
                answer => answer,
            },
        }
    }

    fn has_artifact(&self, of: ArtifactsOf<'_>, artifact_path: &str) -> Result<bool> {
        let folder = artifact_path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Ok(self.list_folder(of, folder)?.iter().any(|artifact| artifact.path == artifact_path))
    }

    fn root(&self, of: ArtifactsOf<'_>) -> Result<Root> {
        let host = self.http.host();
        match of {
            // `<root>/<experiment>/<run>/artifacts`
            ArtifactsOf::Run(id) => parse_root(&self.root_uri(id, || Ok(self.run(id)?.info.artifact_uri))?, host, 3),
            // `<root>/<experiment>/models/<model>/artifacts`
            ArtifactsOf::Model(id) => {
                parse_root(&self.root_uri(id, || Ok(self.logged_models()?.get(id)?.artifact_location))?, host, 4)
            }
            ArtifactsOf::Location(uri) => parse_root(uri, host, 0),
        }
    }

    fn root_uri(&self, id: &str, ask: impl FnOnce() -> Result<String>) -> Result<String> {
        // The lock is not held while the server is asked: it may hang, and other runs need it not.
        let roots = || self.artifact_roots.lock().unwrap_or_else(PoisonError::into_inner);
        let known = roots().get(id).cloned();
        if let Some(uri) = known {
            return Ok(uri);
        }
        let uri = ask()?;
        roots().insert(id.into(), uri.clone());
        Ok(uri)
    }
}

/// Understands an artifact URI on the server `host`, whose root is `levels` folders above it.
fn parse_root(uri: &str, host: &str, levels: usize) -> Result<Root> {
    let here = |folder: PathBuf| {
        // Without its root here, files would go where the server never looks.
        let root = folder.ancestors().nth(levels).unwrap_or(&folder);
        let same_machine = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if same_machine || root.is_dir() {
            return Ok(Root::Folder(folder));
        }
        Err(Error::Invalid(format!(
            "the server keeps artifacts in `{}`, which is not on this machine. Hint: mount it here, or start the server \
             with `--serve-artifacts` and `--artifacts-destination`",
            root.display()
        )))
    };
    if Path::new(uri).is_absolute() {
        return here(uri.into());
    }
    let url = Url::parse(uri).ok();
    match url.as_ref().map(|url| (url.scheme(), url.host_str().unwrap_or_default(), url)) {
        Some(("mlflow-artifacts", "", url)) => Ok(Root::Proxy(decode(url.path()))),
        Some(("mlflow-artifacts", other, url)) if other == host.trim_matches(['[', ']']) => {
            Ok(Root::Proxy(decode(url.path())))
        }
        Some(("file", _, url)) if url.to_file_path().is_ok() => here(url.to_file_path().unwrap_or_default()),
        _ => Err(Error::Invalid(format!(
            "the server keeps artifacts in `{}`, which only it can write. Hint: start it with `--artifacts-destination` \
             set to that address, so that it passes artifacts on, and use a new experiment",
            crate::redact_url(uri)
        ))),
    }
}

fn decode(path: &str) -> String {
    percent_encoding::percent_decode_str(path.trim_matches('/')).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifact_roots_are_understood_or_explained() {
        let proxy = |path: &str| Root::Proxy(path.into());
        let parse = |uri: &str, host: &str| parse_root(uri, host, 3);
        assert_eq!(parse("mlflow-artifacts:/1/r/artifacts", "h").expect("a root"), proxy("1/r/artifacts"));
        assert_eq!(parse("mlflow-artifacts:///1/r", "h").expect("a root"), proxy("1/r"));
        assert_eq!(parse("mlflow-artifacts://h:5000/1/r", "h").expect("a root"), proxy("1/r"));
        let folder = Root::Folder("/srv/mlruns/1/r/artifacts".into());
        assert_eq!(parse("/srv/mlruns/1/r/artifacts", "127.0.0.1").expect("a root"), folder);
        assert_eq!(parse("file:///srv/mlruns/1/r/artifacts", "localhost").expect("a root"), folder);
        let absent = parse("/no/such/root/1/r/artifacts", "far.example").expect_err("not mounted").to_string();
        assert!(absent.contains("`/no/such/root`") && absent.contains("mount it"), "{absent}");
        let s3 = parse("s3://key:secret@bucket/1", "h").expect_err("not ours").to_string();
        assert!(s3.contains("s3://bucket/1") && !s3.contains("secret"), "{s3}");
    }
}
