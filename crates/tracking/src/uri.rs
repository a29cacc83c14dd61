//! From a tracking URI to a store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::{Error, HttpOptions, RestStore, Result, SqliteStore, Store, redact_url};

/// What a tracking URI may begin with.
const SCHEMES: &[&str] = &["http", "https", "sqlite"];
/// What MLflow understands and only its server can open for us.
const SERVER_SIDE: &[&str] = &["postgresql", "mysql", "mssql"];
/// What MLflow's Python client opens by itself, with a log-in and a file store of their own.
const OTHER_SERVICES: &[&str] = &["databricks", "databricks-uc", "uc"];

/// Opens the store behind a tracking URI.
///
/// | URI | store |
/// |---|---|
/// | `http://HOST:PORT`, `https://HOST/PREFIX` | [`RestStore`]; not contacted yet |
/// | `sqlite:///mlflow.db`, `sqlite:////srv/mlflow.db` | [`SqliteStore`], path relative or absolute, artifacts below `artifact_root` |
///
/// Errors with [`Error::Invalid`] and a way out for everything else.
pub fn open_store(uri: &str, artifact_root: &Path, http: &HttpOptions) -> Result<Arc<dyn Store>> {
    open_counted(uri, artifact_root, http).map(|(store, _)| store)
}

/// A store and, where it counts them, the bytes it has moved: by them a long upload is told from a hanging one.
pub(crate) type Counted = (Arc<dyn Store>, Option<Arc<AtomicU64>>);

pub(crate) fn open_counted(uri: &str, artifact_root: &Path, http: &HttpOptions) -> Result<Counted> {
    // MLflow takes `databricks` alone for an address.
    let scheme = scheme(uri).or_else(|| OTHER_SERVICES.iter().copied().find(|service| *service == uri));
    match scheme {
        Some("http" | "https") => {
            let store = RestStore::new(uri, http)?;
            let bytes_moved = store.bytes_moved();
            Ok((Arc::new(store), Some(bytes_moved)))
        }
        Some("sqlite") => Ok((Arc::new(SqliteStore::open(&sqlite_path(uri)?, artifact_root)?), None)),
        None | Some("file") => Err(Error::Invalid(format!(
            "tracking URI `{}` is a folder, a format that MLflow itself no longer opens. Hint: use \
             `sqlite:///mlflow.db`; `mlflow migrate-filestore` moves existing runs",
            redact_url(uri)
        ))),
        Some(scheme) => Err(unknown_scheme(uri, scheme)),
    }
}

/// The address with an absolute path, so that it is the same from every folder.
pub(crate) fn absolute(uri: &str) -> String {
    let path = uri.strip_prefix("sqlite:///").and_then(|path| std::path::absolute(path).ok());
    path.map_or_else(|| uri.to_owned(), |path| format!("sqlite:///{}", path.display()))
}

/// The part before `:`; none for a path, `C:\\mlruns` included.
fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let plain = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    (plain && scheme.len() > 1).then_some(scheme)
}

fn sqlite_path(uri: &str) -> Result<PathBuf> {
    match uri.strip_prefix("sqlite:///") {
        Some(path) if !path.is_empty() && !path.starts_with(":memory:") && !path.contains('?') => Ok(path.into()),
        _ => Err(Error::Invalid(format!(
            "tracking URI `{}` names no database file. Hint: `sqlite:///mlflow.db` is a file in the current folder, \
             `sqlite:////srv/mlflow.db` one with an absolute path",
            redact_url(uri)
        ))),
    }
}

fn unknown_scheme(uri: &str, scheme: &str) -> Error {
    let shown = redact_url(uri);
    // `postgresql+psycopg2` is PostgreSQL.
    let kind = scheme.split('+').next().unwrap_or(scheme);
    if SERVER_SIDE.contains(&kind) {
        return Error::Invalid(format!(
            "tracking URI `{shown}`: only an MLflow server opens `{kind}`. Hint: run `mlflow server --backend-store-uri \
             {scheme}://...` and give its address, e.g. `http://127.0.0.1:5000`"
        ));
    }
    if OTHER_SERVICES.contains(&scheme) {
        return Error::Invalid(format!(
            "tracking URI `{shown}`: `{scheme}` has a log-in and an artifact store of its own, which only MLflow's Python \
             client speaks. Hint: use an MLflow server, or `sqlite:///mlflow.db`"
        ));
    }
    if !uri.contains("://") {
        return Error::Invalid(format!("tracking URI `{shown}` has no scheme. Hint: did you mean `http://{shown}`?"));
    }
    let distance = |known: &&&str| strsim::damerau_levenshtein(known, scheme);
    let nearest = SCHEMES.iter().min_by_key(distance).copied().unwrap_or("http");
    Error::Invalid(format!(
        "tracking URI `{shown}` begins with `{scheme}`, which is none of {}. Hint: did you mean `{nearest}`?",
        SCHEMES.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(uri: &str) -> String {
        match open_store(uri, Path::new("mlruns"), &HttpOptions::default()) {
            Ok(store) => panic!("{uri} opened {}", store.uri()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn sqlite_has_three_slashes_for_relative_and_four_for_absolute_paths() {
        assert_eq!(sqlite_path("sqlite:///mlflow.db").expect("a path"), Path::new("mlflow.db"));
        assert_eq!(sqlite_path("sqlite:////srv/m.db").expect("a path"), Path::new("/srv/m.db"));
        for bad in ["sqlite://", "sqlite:///", "sqlite:mlflow.db", "sqlite:///:memory:", "sqlite:///a.db?mode=ro"] {
            assert!(error(bad).contains("sqlite:///mlflow.db"), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_opened_says_what_can() {
        for folder in ["mlruns", "./mlruns", "/srv/mlruns", "file:///srv/mlruns", "file:mlruns", "C:\\mlruns"] {
            assert!(error(folder).contains("migrate-filestore"), "{folder}");
        }
        for service in ["databricks", "databricks://prod", "databricks-uc", "uc:http://host"] {
            assert!(error(service).contains("only MLflow's Python client"), "{}", error(service));
        }
        for database in ["postgresql://u:s3cret@host/db", "postgresql+psycopg2://u:s3cret@h/db"] {
            let error = error(database);
            assert!(error.contains("mlflow server --backend-store-uri") && !error.contains("s3cret"), "{error}");
        }
        for secret in
            ["my_user:s3cret@host:5000", "me@corp.com:s3cret@host", "file://u:s3cret@h/x", "u:s3cret@host:5000"]
        {
            assert!(!error(secret).contains("s3cret"), "{}", error(secret));
        }
        assert!(error("htp://localhost:5000").contains("did you mean `http`"));
        assert!(error("sqllite:///m.db").contains("did you mean `sqlite`"));
        assert!(error("localhost:5000").contains("did you mean `http://localhost:5000`"));
        assert!(error("http://").contains("not the address of a server"));
    }
}
