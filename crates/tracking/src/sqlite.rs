//! The embedded store: MLflow's own database file, without MLflow.

mod models;
mod ranked;
mod read;
mod registry;
mod schema;
mod search;
mod write;

use std::collections::BTreeMap;
use std::fs;
use std::path::{self, Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::filter::{check_max_results, page_offset, page_token};
use crate::{
    Artifact, ArtifactsOf, Batch, DatasetInput, Error, Experiment, Lifecycle, LoggedModels, Metric, Millis, NewRun,
    Page, RankedRuns, Registry, Result, RunData, RunInfo, RunQuery, RunStatus, Store, ViewType, artifacts, rules,
};

/// `sqlite:///mlflow.db` with artifacts in a folder, as `mlflow ui` finds them in a directory.
///
/// Several threads, processes and Python programs may use the same file at once: writers queue up for at most 30 s.
/// What a call has written survives a kill of the process and a power cut.
pub struct SqliteStore {
    path: PathBuf,
    /// Absolute, because MLflow resolves relative ones from wherever it is started.
    artifact_root: String,
    has_workspaces: bool,
    has_logged_models: bool,
    connection: Mutex<Connection>,
}

/// Why work inside a transaction stopped; the store adds the file to SQLite's reasons.
enum Failure {
    Sql(rusqlite::Error),
    Refused(Error),
}

type Outcome<T> = std::result::Result<T, Failure>;

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Failure {
    fn at(self, doing: &'static str, path: &Path) -> Error {
        match self {
            Failure::Sql(source) => Error::Database { doing, path: path.to_path_buf(), source },
            Failure::Refused(error) => error,
        }
    }
}

impl SqliteStore {
    /// Opens or creates the database file `path` and its folder. New experiments keep their artifacts below
    /// `artifact_root`, which is created with the first artifact.
    ///
    /// Errors with [`Error::Invalid`] for a database that is not MLflow's or is too old, and with [`Error::Database`]
    /// for a file that is no database.
    pub fn open(path: &Path, artifact_root: &Path) -> Result<Self> {
        let absolute =
            |path: &Path| path::absolute(path).map_err(|source| Error::io("find the absolute path of", path, source));
        let artifact_root = absolute(artifact_root)?.into_os_string().into_string().map_err(|name| {
            Error::Invalid(format!("The artifact folder `{}` is not UTF-8. Hint: rename it.", name.display()))
        })?;
        if let Some(folder) = absolute(path)?.parent() {
            fs::create_dir_all(folder).map_err(|source| Error::io("create", folder, source))?;
        }
        let connection = schema::open(path, &artifact_root).map_err(|failure| failure.at("open", path))?;
        let failed = |source| Error::Database { doing: "open", path: path.to_path_buf(), source };
        Ok(Self {
            path: path.to_path_buf(),
            artifact_root,
            has_workspaces: schema::has_workspaces(&connection).map_err(failed)?,
            has_logged_models: schema::has_logged_models(&connection).map_err(failed)?,
            connection: Mutex::new(connection),
        })
    }

    /// A panic elsewhere has rolled its transaction back, so a poisoned lock is as good as any.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on one consistent view of the database.
    fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Outcome<T>) -> Result<T> {
        self.transact("read", TransactionBehavior::Deferred, work)
    }

    /// Runs `work` all or nothing. The write lock is taken first: a transaction that starts as a reader cannot wait.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Outcome<T>) -> Result<T> {
        self.transact("write", TransactionBehavior::Immediate, work)
    }

    fn transact<T>(
        &self,
        doing: &'static str,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Outcome<T>,
    ) -> Result<T> {
        let mut connection = self.connection();
        let run = || {
            let transaction = connection.transaction_with_behavior(behavior)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|failure: Failure| failure.at(doing, &self.path))
    }

    fn artifact_root(&self, of: ArtifactsOf<'_>) -> Result<PathBuf> {
        let uri = match of {
            ArtifactsOf::Run(run_id) => self.read(|db| Ok(read::run_info(db, run_id)?.artifact_uri))?,
            ArtifactsOf::Model(model_id) => self.logged_models()?.get(model_id)?.artifact_location,
            ArtifactsOf::Location(uri) => uri.to_owned(),
        };
        local_path(&uri).ok_or_else(|| {
            let uri = crate::redact_url(&uri);
            Error::Invalid(format!(
                "The artifacts of {of} are at `{uri}`, which is no local folder. Hint: reach them through the MLflow \
                 server that wrote them."
            ))
        })
    }

    fn check_logged_models(&self) -> Result<()> {
        if self.has_logged_models {
            return Ok(());
        }
        let path = self.path.display();
        Err(Error::Invalid(format!(
            "`{path}` was made by MLflow 2, which has no logged models; runs and the registry work. Hint: they need \
             MLflow 3: back the file up, then run its `mlflow db upgrade sqlite:///{path}`."
        )))
    }
}

impl Drop for SqliteStore {
    /// A writer leaves statistics in the file: without them MLflow's own queries over 10,000 runs take seconds.
    fn drop(&mut self) {
        let connection = self.connection();
        // A reader leaves the file as it was: a program that prints a table would take three times as long.
        if connection.total_changes() == 0 {
            return;
        }
        // Statistics are a courtesy: they wait for nobody, and a failure to write them is nobody's loss.
        let _ = connection.busy_timeout(Duration::from_millis(100));
        // 0x10 looks at some thousand rows of each index only, so that leaving is as quick with a billion points.
        let _ = connection.execute_batch("PRAGMA optimize = 0x10012");
    }
}

/// The folder that a plain path or `file:` URI names; `None` for `mlflow-artifacts:`, `s3:` and the like.
fn local_path(uri: &str) -> Option<PathBuf> {
    match reqwest::Url::parse(uri) {
        Ok(url) if url.scheme() == "file" => url.to_file_path().ok(),
        // A scheme of one letter is a Windows drive.
        Ok(url) if url.scheme().len() > 1 => None,
        _ => Some(PathBuf::from(uri)),
    }
}

impl Store for SqliteStore {
    fn uri(&self) -> String {
        format!("sqlite:///{}", self.path.display())
    }

    fn create_experiment(&self, name: &str) -> Result<String> {
        rules::check_experiment_name(name)?;
        self.write(|db| write::create_experiment(db, name, &self.artifact_root, self.has_workspaces))
    }

    fn experiment_by_name(&self, name: &str) -> Result<Option<Experiment>> {
        self.read(|db| Ok(read::experiments(db, self.has_workspaces, "name = ?1", [name])?.pop()))
    }

    fn experiment(&self, experiment_id: &str) -> Result<Experiment> {
        let id = rules::parse_experiment_id(experiment_id)?;
        self.read(|db| {
            let found = read::experiments(db, self.has_workspaces, "experiment_id = ?1", [id])?.pop();
            Ok(found.ok_or_else(|| rules::experiment_not_found(experiment_id))?)
        })
    }

    fn experiments(&self, view: ViewType) -> Result<Vec<Experiment>> {
        let condition = match view {
            ViewType::ActiveOnly => "lifecycle_stage = 'active'",
            ViewType::DeletedOnly => "lifecycle_stage = 'deleted'",
            ViewType::All => "TRUE",
        };
        self.read(|db| read::experiments(db, self.has_workspaces, condition, []))
    }

    fn set_experiment_tag(&self, experiment_id: &str, key: &str, value: &str) -> Result<()> {
        rules::check_key("Tag key", key)?;
        self.write(|db| write::set_experiment_tag(db, experiment_id, key, value))
    }

    fn delete_experiment(&self, experiment_id: &str) -> Result<()> {
        self.write(|db| write::move_experiment(db, experiment_id, Lifecycle::Active, Lifecycle::Deleted))
    }

    fn restore_experiment(&self, experiment_id: &str) -> Result<()> {
        self.write(|db| write::move_experiment(db, experiment_id, Lifecycle::Deleted, Lifecycle::Active))
    }

    fn create_run(&self, run: &NewRun) -> Result<RunInfo> {
        self.write(|db| write::create_run(db, run))
    }

    fn run(&self, run_id: &str) -> Result<RunData> {
        self.read(|db| {
            let info = read::run_info(db, run_id)?;
            let run = read::with_details(db, self.has_logged_models, vec![info])?.pop();
            Ok(run.ok_or_else(|| rules::run_not_found(run_id))?)
        })
    }

    fn update_run(
        &self,
        run_id: &str,
        status: RunStatus,
        end_time_ms: Option<Millis>,
        name: Option<&str>,
    ) -> Result<()> {
        self.write(|db| write::update_run(db, run_id, status, end_time_ms, name))
    }

    fn delete_run(&self, run_id: &str) -> Result<()> {
        self.write(|db| write::move_run(db, run_id, Lifecycle::Deleted))
    }

    fn restore_run(&self, run_id: &str) -> Result<()> {
        self.write(|db| write::move_run(db, run_id, Lifecycle::Active))
    }

    fn log_batch(&self, run_id: &str, batch: &Batch) -> Result<()> {
        rules::check_batch(batch)?;
        self.write(|db| write::log_batch(db, run_id, batch))
    }

    fn delete_tag(&self, run_id: &str, key: &str) -> Result<()> {
        self.write(|db| write::delete_tag(db, run_id, key))
    }

    fn log_inputs(&self, run_id: &str, inputs: &[DatasetInput]) -> Result<()> {
        self.write(|db| write::log_inputs(db, run_id, inputs))
    }

    fn search_runs(&self, query: &RunQuery) -> Result<Page<RunData>> {
        check_max_results(query.max_results)?;
        let statement = search::select_runs(read::RUN_COLUMNS, query, self.has_workspaces)?;
        let mut found = self.read(|db| {
            let infos = read::run_infos(db, &statement.sql, rusqlite::params_from_iter(&statement.values))?;
            read::with_details(db, self.has_logged_models, infos)
        })?;
        let has_more = found.len() > query.max_results;
        found.truncate(query.max_results);
        let end = page_offset(query.page_token.as_deref())? + query.max_results;
        Ok(Page { items: found, next_page_token: has_more.then(|| page_token(end)) })
    }

    fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        self.read(|db| read::metric_history(db, run_id, key))
    }

    fn metric_histories(&self, run_ids: &[String], key: &str) -> Result<BTreeMap<String, Vec<Metric>>> {
        self.read(|db| ranked::metric_histories(db, run_ids, key))
    }

    fn ranked_runs<'a>(&'a self, query: &RunQuery, key: &str, highest: bool) -> Result<RankedRuns<'a>> {
        ranked::ranked_runs(self, query, key, highest)
    }

    fn metric_keys(&self, experiment_ids: &[String]) -> Result<Vec<String>> {
        let ids: Vec<i64> = experiment_ids.iter().map(|id| rules::parse_experiment_id(id)).collect::<Result<_>>()?;
        self.read(|db| ranked::metric_keys(db, &ids, self.has_workspaces))
    }

    fn put_artifact(&self, of: ArtifactsOf<'_>, local_file: &Path, artifact_path: &str) -> Result<()> {
        artifacts::put(&self.artifact_root(of)?, local_file, artifact_path)
    }

    fn list_artifacts(&self, of: ArtifactsOf<'_>, folder: &str) -> Result<Vec<Artifact>> {
        artifacts::list(&self.artifact_root(of)?, folder)
    }

    fn get_artifact(&self, of: ArtifactsOf<'_>, artifact_path: &str, local_file: &Path) -> Result<()> {
        artifacts::get(&self.artifact_root(of)?, artifact_path, local_file)
    }

    fn registry(&self) -> &dyn Registry {
        self
    }

    fn logged_models(&self) -> Result<&dyn LoggedModels> {
        self.check_logged_models()?;
        Ok(self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn only_local_places_are_folders() {
        assert_eq!(local_path("/a b/mlruns/0").unwrap(), Path::new("/a b/mlruns/0"));
        assert_eq!(local_path("./mlruns/0").unwrap(), Path::new("./mlruns/0"));
        assert_eq!(local_path("file:///a%20b/mlruns").unwrap(), Path::new("/a b/mlruns"));
        for uri in ["mlflow-artifacts:/1/x/artifacts", "s3://bucket/1", "gs://bucket/1"] {
            assert_eq!(local_path(uri), None, "{uri}");
        }
    }
}
