//! `runs:/...` and `models:/...`: what MLflow calls models by, and the way from there to their files.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use uuid::Uuid;

use crate::model_rules::{is_alias, nearest};
use crate::{Artifact, ArtifactsOf, Error, LoggedModel, ModelStatus, Result, Stage, Store, artifacts};

/// A version may point to another place by such an address again; more steps than this are a circle.
const MOST_STEPS: usize = 8;

/// An address of a model, or of a folder or file in it. Read it with [`str::parse`].
///
/// | text | meaning |
/// |---|---|
/// | `runs:/RUN_ID/PATH` | an artifact of a run, or the newest logged model of that name that it made |
/// | `models:/NAME/3` | a version of a registered model |
/// | `models:/NAME/Production` | the newest version at a stage |
/// | `models:/NAME/latest` | the newest version |
/// | `models:/NAME@ALIAS` | the version that an alias points to |
/// | `models:/m-ID` | a logged model |
///
/// Each may go on with `/PATH`, a folder or file in it. Names may have spaces, dots and `@`; nothing is percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelUri {
    /// An artifact of a run.
    Run {
        /// The run.
        run_id: String,
        /// Below its artifact root; empty for all of it.
        path: String,
    },
    /// A logged model.
    Model {
        /// `m-` and 32 hexadecimal digits.
        model_id: String,
        /// Below its root.
        path: String,
    },
    /// A version of a registered model.
    Version {
        /// The registered model.
        name: String,
        /// Counted from 1.
        version: u32,
        /// Below its root.
        path: String,
    },
    /// The newest version at a stage.
    Stage {
        /// The registered model.
        name: String,
        /// The stage.
        stage: Stage,
        /// Below its root.
        path: String,
    },
    /// The newest version.
    Latest {
        /// The registered model.
        name: String,
        /// Below its root.
        path: String,
    },
    /// The version that an alias points to.
    Alias {
        /// The registered model.
        name: String,
        /// The alias.
        alias: String,
        /// Below its root.
        path: String,
    },
}

impl FromStr for ModelUri {
    type Err = Error;

    fn from_str(uri: &str) -> Result<Self> {
        let parts = |rest: &str| {
            // Two slashes begin the name of a host, which no store here has.
            let rest = rest.strip_prefix("//").map_or(rest, |rest| if rest.starts_with('/') { rest } else { "" });
            let rest = rest.strip_prefix('/').unwrap_or_default().trim_end_matches('/');
            let (first, path) = rest.split_once('/').unwrap_or((rest, ""));
            (first.to_owned(), path.to_owned())
        };
        let parsed = match uri.split_once(':') {
            Some(("runs", rest)) => {
                let (run_id, path) = parts(rest);
                (!run_id.is_empty()).then_some(Self::Run { run_id, path })
            }
            Some(("models", rest)) => {
                let (name, path) = parts(rest);
                parse_model(name, &path)?
            }
            _ => None,
        };
        parsed.ok_or_else(|| {
            Error::Invalid(format!(
                "`{}` names no model. Hint: write models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/STAGE, \
                 models:/NAME/latest, models:/m-ID or runs:/RUN_ID/FOLDER.",
                crate::redact_url(uri)
            ))
        })
    }
}

/// What stands after `models:/`: the first part, and what follows it.
fn parse_model(name: String, path: &str) -> Result<Option<ModelUri>> {
    if name.trim().is_empty() {
        return Ok(None);
    }
    if is_model_id(&name) {
        return Ok(Some(ModelUri::Model { model_id: name, path: path.into() }));
    }
    let (suffix, below) = path.split_once('/').unwrap_or((path, ""));
    if !suffix.is_empty() && suffix.chars().all(|c| c.is_ascii_digit()) {
        let too_large = |_| Error::NotFound(format!("Model Version (name={name}, version={suffix}) not found"));
        let version = suffix.parse().map_err(too_large)?;
        return Ok(Some(ModelUri::Version { name, version, path: below.into() }));
    }
    if let Some((name, alias)) = name.rsplit_once('@')
        && !name.trim().is_empty()
        && is_alias(alias)
    {
        let (name, path) = (name.to_owned(), path.to_owned());
        return Ok(Some(match alias.eq_ignore_ascii_case("latest") {
            true => ModelUri::Latest { name, path },
            false => ModelUri::Alias { name, alias: alias.into(), path },
        }));
    }
    Ok(match suffix {
        "" => None,
        suffix if suffix.eq_ignore_ascii_case("latest") => Some(ModelUri::Latest { name, path: below.into() }),
        suffix => {
            let stages = Stage::ALL.map(Stage::as_str);
            let stage = suffix.parse().map_err(|_| {
                Error::Invalid(format!(
                    "`{suffix}` is no version of `{name}` and none of the stages {}{}",
                    stages.join(", "),
                    nearest(suffix, stages.into_iter())
                ))
            })?;
            Some(ModelUri::Stage { name, stage, path: below.into() })
        }
    })
}

fn is_model_id(text: &str) -> bool {
    text.strip_prefix("m-").is_some_and(|id| id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Where the files of a model are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    owner: Owner,
    /// Folder or file below the root of the owner; empty for all of it.
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Owner {
    Run(String),
    Model(String),
    Location(String),
}

impl Place {
    /// Whose artifacts they are.
    pub fn of(&self) -> ArtifactsOf<'_> {
        match &self.owner {
            Owner::Run(run_id) => ArtifactsOf::Run(run_id),
            Owner::Model(model_id) => ArtifactsOf::Model(model_id),
            Owner::Location(uri) => ArtifactsOf::Location(uri),
        }
    }
}

/// Finds the place that a [`ModelUri`] names.
///
/// Errors with [`Error::Invalid`] for text that is no such address, and with [`Error::NotFound`], with the nearest name
/// that there is, for a model, version, alias or run that is not there.
pub fn resolve(store: &dyn Store, uri: &str) -> Result<Place> {
    let mut next: ModelUri = uri.parse()?;
    for _ in 0..MOST_STEPS {
        let (name, version, path) = match next {
            ModelUri::Run { run_id, path } => return run_place(store, run_id, path),
            ModelUri::Model { model_id, path } => {
                let owner = Owner::Model(store.logged_models()?.get(&model_id)?.model_id);
                return Ok(Place { owner, path });
            }
            ModelUri::Version { name, version, path } => (name, version, path),
            ModelUri::Stage { name, stage, path } => (name.clone(), newest(store, &name, Some(stage))?, path),
            ModelUri::Latest { name, path } => (name.clone(), newest(store, &name, None)?, path),
            ModelUri::Alias { name, alias, path } => {
                let found = store.registry().version_by_alias(&name, &alias);
                (name.clone(), found.map_err(|error| with_nearest_model(store, &name, error))?.version, path)
            }
        };
        let found = store.registry().version_location(&name, version);
        let location = found.map_err(|error| with_nearest_model(store, &name, error))?;
        if !location.starts_with("models:") && !location.starts_with("runs:") {
            return Ok(Place { owner: Owner::Location(location), path });
        }
        next = below(&location, &path).parse()?;
    }
    Err(Error::Invalid(format!("`{uri}` leads from version to version in a circle. Hint: register it anew.")))
}

/// The registered version that an address names, as `(name, version)`; `None` for addresses of runs and logged models.
pub fn registered_version(store: &dyn Store, uri: &str) -> Result<Option<(String, u32)>> {
    Ok(match uri.parse()? {
        ModelUri::Run { .. } | ModelUri::Model { .. } => None,
        ModelUri::Version { name, version, .. } => Some((name, version)),
        ModelUri::Stage { name, stage, .. } => Some((name.clone(), newest(store, &name, Some(stage))?)),
        ModelUri::Latest { name, .. } => Some((name.clone(), newest(store, &name, None)?)),
        ModelUri::Alias { name, alias, .. } => {
            let found = store.registry().version_by_alias(&name, &alias);
            Some((name.clone(), found.map_err(|error| with_nearest_model(store, &name, error))?.version))
        }
    })
}

fn below(folder: &str, path: &str) -> String {
    if path.is_empty() { folder.to_owned() } else { format!("{}/{path}", folder.trim_end_matches('/')) }
}

fn newest(store: &dyn Store, name: &str, stage: Option<Stage>) -> Result<u32> {
    let versions = store.registry().versions(name).map_err(|error| with_nearest_model(store, name, error))?;
    let found = versions.iter().rfind(|version| stage.is_none_or(|stage| version.stage == stage));
    found.map(|version| version.version).ok_or_else(|| {
        let at = stage.map(|stage| format!(" and stage '{stage}'")).unwrap_or_default();
        Error::NotFound(format!("No versions of model with name '{name}'{at} found"))
    })
}

/// Adds the registered name that is nearest to one that is not there.
fn with_nearest_model(store: &dyn Store, name: &str, error: Error) -> Error {
    let Error::NotFound(message) = error else { return error };
    // Without the other names the message is still right.
    let models = store.registry().models().unwrap_or_default();
    if models.iter().any(|model| model.name == name) {
        return Error::NotFound(message);
    }
    Error::NotFound(message + &nearest(name, models.iter().map(|model| model.name.as_str())))
}

/// A folder of a run, or since MLflow 3 a logged model of that name that the run made.
fn run_place(store: &dyn Store, run_id: String, path: String) -> Result<Place> {
    let in_run = |path| Ok(Place { owner: Owner::Run(run_id.clone()), path });
    if path.is_empty() || exists(store, ArtifactsOf::Run(&run_id), &path)? {
        return in_run(path);
    }
    let (name, below) = path.split_once('/').unwrap_or((&path, ""));
    let mut found: Vec<LoggedModel> = Vec::new();
    for output in store.run(&run_id)?.outputs {
        match store.logged_models()?.get(&output.model_id) {
            Ok(model) if model.name == name => found.push(model),
            // A run may have made models that were deleted since.
            Ok(_) | Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    // The newest that is complete.
    match found.into_iter().max_by_key(|model| (model.status == ModelStatus::Ready, model.creation_time_ms)) {
        Some(model) => Ok(Place { owner: Owner::Model(model.model_id), path: below.into() }),
        None => in_run(path),
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn exists(store: &dyn Store, of: ArtifactsOf<'_>, path: &str) -> Result<bool> {
    Ok(is_file(store, of, path)? || !store.list_artifacts(of, path)?.is_empty())
}

fn is_file(store: &dyn Store, of: ArtifactsOf<'_>, path: &str) -> Result<bool> {
    Ok(store.list_artifacts(of, folder_of(path))?.iter().any(|artifact| artifact.path == path && !artifact.is_dir))
}

/// Fetches the folder that a [`ModelUri`] names, each file streamed, as the folder `target`; a single file is put into it.
/// Gives the number of files.
///
/// The folder grows under a temporary name beside `target` and gets its own when it is complete. Errors with
/// [`Error::AlreadyExists`] when `target` is there already, unless it is an empty folder; with those of [`resolve`]; and
/// with [`Error::NotFound`] when the place has no files.
pub fn download(store: &dyn Store, uri: &str, target: &Path) -> Result<usize> {
    let place = resolve(store, uri)?;
    if target.exists() && fs::read_dir(target).map_or(true, |mut entries| entries.next().is_some()) {
        return Err(Error::AlreadyExists(format!(
            "`{}` is there already and not empty. Hint: name a folder that is not there yet.",
            target.display()
        )));
    }
    // Without a slash at the end, which would put the temporary folder into the target.
    let target: PathBuf = target.components().collect();
    let mut partial = target.clone().into_os_string();
    partial.push(format!(".{}.part", Uuid::new_v4().simple()));
    let partial = PathBuf::from(partial);
    let fetched = fetch(store, &place, &partial).and_then(|files| {
        // Not every system renames onto an empty folder; where there is none, or it cannot go, the renaming says so.
        let _ = fs::remove_dir(&target);
        let renamed = fs::rename(&partial, &target);
        renamed.map(|()| files).map_err(|source| Error::Io { doing: "write", path: target, source })
    });
    if fetched.is_err() {
        // What is left of a broken download helps nobody; the download's own error is the one to report.
        let _ = fs::remove_dir_all(&partial);
    }
    fetched
}

fn fetch(store: &dyn Store, place: &Place, target: &Path) -> Result<usize> {
    let files = files(store, place)?;
    if files.is_empty() {
        return Err(nothing_there(store, place));
    }
    for file in &files {
        // A server's word for a file is a path on this machine: it must not lead elsewhere.
        artifacts::check_path(&file.path)?;
        let root = if file.path == place.path { folder_of(&place.path) } else { &place.path };
        let local = target.join(file.path.strip_prefix(root).unwrap_or(&file.path).trim_start_matches('/'));
        let folder = local.parent().unwrap_or(target);
        fs::create_dir_all(folder).map_err(|source| Error::Io { doing: "create", path: folder.into(), source })?;
        store.get_artifact(place.of(), &file.path, &local)?;
    }
    Ok(files.len())
}

/// All files of a run or model below a folder (`""` is the root), sorted by path.
pub(crate) fn files_below(store: &dyn Store, of: ArtifactsOf<'_>, folder: &str) -> Result<Vec<Artifact>> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for artifact in store.list_artifacts(of, &folder)? {
            if artifact.is_dir { folders.push(artifact.path) } else { files.push(artifact) }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// All files below a place, or the one file that it is.
fn files(store: &dyn Store, place: &Place) -> Result<Vec<Artifact>> {
    let mut files = files_below(store, place.of(), &place.path)?;
    if files.is_empty() && !place.path.is_empty() && is_file(store, place.of(), &place.path)? {
        files.push(Artifact { path: place.path.clone(), is_dir: false, bytes: None });
    }
    Ok(files)
}

fn nothing_there(store: &dyn Store, place: &Place) -> Error {
    let of = place.of();
    if place.path.is_empty() {
        return Error::NotFound(format!("{of} has no files"));
    }
    // Without the other names the message is still right.
    let beside = store.list_artifacts(of, folder_of(&place.path)).unwrap_or_default();
    let hint = nearest(&place.path, beside.iter().map(|artifact| artifact.path.as_str()));
    Error::NotFound(format!("No artifact `{}` in {of}{hint}", place.path))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const ID: &str = "m-0123456789abcdef0123456789abcdef";

    fn version(name: &str, version: u32, path: &str) -> ModelUri {
        ModelUri::Version { name: name.into(), version, path: path.into() }
    }

    #[test]
    fn addresses_are_read_as_mlflow_reads_them() {
        let run = |run_id: &str, path: &str| ModelUri::Run { run_id: run_id.into(), path: path.into() };
        let alias = |name: &str, alias: &str, path: &str| ModelUri::Alias {
            name: name.into(),
            alias: alias.into(),
            path: path.into(),
        };
        let latest = |name: &str, path: &str| ModelUri::Latest { name: name.into(), path: path.into() };
        let model = |path: &str| ModelUri::Model { model_id: ID.into(), path: path.into() };
        let stage = ModelUri::Stage { name: "my model".into(), stage: Stage::Production, path: "a/b".into() };
        for (text, expected) in [
            ("runs:/abc/model", run("abc", "model")),
            ("runs:/abc/plots/a b.png", run("abc", "plots/a b.png")),
            ("runs:/abc", run("abc", "")),
            ("models:/wine/3", version("wine", 3, "")),
            ("models:///wine/3/", version("wine", 3, "")),
            ("models:/my model.v2/12/MLmodel", version("my model.v2", 12, "MLmodel")),
            ("models:/a@b/7", version("a@b", 7, "")),
            ("models:/wine@champion", alias("wine", "champion", "")),
            ("models:/a@b@champion/MLmodel", alias("a@b", "champion", "MLmodel")),
            ("models:/wine@Latest", latest("wine", "")),
            ("models:/wine/LATEST", latest("wine", "")),
            ("models:/my model/production/a/b", stage),
            (&format!("models:/{ID}"), model("")),
            (&format!("models:/{ID}/1"), model("1")),
        ] {
            assert_eq!(text.parse::<ModelUri>().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn other_text_is_refused_with_the_forms_that_work() {
        for bad in [
            "",
            "wine",
            "models:",
            "models:/",
            "models:wine/1",
            "models://host/wine/1",
            "models:/wine",
            "models:/ /1",
            "models:/wine@",
            "models:/@x",
            "runs:/",
            "runs://host/abc",
            "s3://key:secret@bucket/x",
            "mlflow-artifacts:/1",
        ] {
            let error = bad.parse::<ModelUri>().unwrap_err().to_string();
            assert!(error.contains("models:/NAME@ALIAS") && !error.contains("secret"), "{bad}: {error}");
        }
        let error = "models:/wine/Prodction".parse::<ModelUri>().unwrap_err().to_string();
        assert!(error.contains("`Production`"), "{error}");
        assert!(matches!("models:/wine/99999999999".parse::<ModelUri>(), Err(Error::NotFound(_))));
    }
}
