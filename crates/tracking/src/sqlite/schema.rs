//! Opening, creating and checking the database file.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Params, TransactionBehavior, named_params};

use super::Outcome;
use crate::{Error, rules};

/// How long to wait for other writers. MLflow itself waits 20 s, and its migration of an old file can take 10 s.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

const SCHEMA: &str = include_str!("schema.sql");

/// A table and columns of it.
type Table = (&'static str, &'static [&'static str]);

/// What this store reads and writes. Newer MLflow versions have more tables and columns, which do no harm.
const NEEDED: &[Table] = &[
    (
        "experiments",
        &["experiment_id", "name", "artifact_location", "lifecycle_stage", "creation_time", "last_update_time"],
    ),
    ("experiment_tags", &["key", "value", "experiment_id"]),
    (
        "runs",
        &[
            "run_uuid",
            "name",
            "user_id",
            "status",
            "start_time",
            "end_time",
            "lifecycle_stage",
            "artifact_uri",
            "experiment_id",
            "deleted_time",
        ],
    ),
    ("params", &["key", "value", "run_uuid"]),
    ("tags", &["key", "value", "run_uuid"]),
    ("metrics", &["key", "value", "timestamp", "run_uuid", "step", "is_nan"]),
    ("latest_metrics", &["key", "value", "timestamp", "step", "is_nan", "run_uuid"]),
    (
        "datasets",
        &[
            "dataset_uuid",
            "experiment_id",
            "name",
            "digest",
            "dataset_source_type",
            "dataset_source",
            "dataset_schema",
            "dataset_profile",
        ],
    ),
    ("inputs", &["input_uuid", "source_type", "source_id", "destination_type", "destination_id"]),
    ("input_tags", &["input_uuid", "name", "value"]),
    ("registered_models", &["name", "creation_time", "last_updated_time", "description"]),
    ("registered_model_tags", &["name", "key", "value"]),
    ("registered_model_aliases", &["name", "alias", "version"]),
    (
        "model_versions",
        &[
            "name",
            "version",
            "creation_time",
            "last_updated_time",
            "description",
            "user_id",
            "current_stage",
            "source",
            "run_id",
            "status",
            "status_message",
            "run_link",
            "storage_location",
        ],
    ),
    ("model_version_tags", &["name", "version", "key", "value"]),
];

/// What logged models need besides. MLflow 2 has none of it.
const NEEDED_FOR_LOGGED_MODELS: &[Table] = &[
    ("inputs", &["step"]),
    (
        "logged_models",
        &[
            "model_id",
            "experiment_id",
            "name",
            "artifact_location",
            "creation_timestamp_ms",
            "last_updated_timestamp_ms",
            "status",
            "lifecycle_stage",
            "model_type",
            "source_run_id",
        ],
    ),
    ("logged_model_params", &["model_id", "experiment_id", "param_key", "param_value"]),
    ("logged_model_tags", &["model_id", "experiment_id", "tag_key", "tag_value"]),
    (
        "logged_model_metrics",
        &[
            "model_id",
            "metric_name",
            "metric_timestamp_ms",
            "metric_step",
            "metric_value",
            "experiment_id",
            "run_id",
            "dataset_name",
            "dataset_digest",
        ],
    ),
];

/// Opens the file, creates the schema and experiment 0 when it is empty, and checks that it is MLflow's.
pub(super) fn open(path: &Path, artifact_root: &str) -> Outcome<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "case_sensitive_like", true)?;
    // Every commit reaches the disk: what the caller was told is written is written, power cut or not.
    connection.pragma_update(None, "synchronous", "FULL")?;
    if tables(&connection)?.is_empty() {
        create(&mut connection)?;
    }
    check(&connection, path)?;
    enable_wal(&connection)?;
    create_default_experiment(&mut connection, artifact_root)?;
    Ok(connection)
}

/// True when the file has MLflow's `workspace` column (3.10 and later).
pub(super) fn has_workspaces(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(columns(connection, "experiments")?.contains("workspace"))
}

/// True when the file has MLflow 3's tables of logged models.
pub(super) fn has_logged_models(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(missing(connection, NEEDED_FOR_LOGGED_MODELS)?.is_none())
}

/// The first table and column that is not there.
fn missing(connection: &Connection, needed: &[Table]) -> rusqlite::Result<Option<(&'static str, &'static str)>> {
    for (table, needed) in needed {
        let columns = columns(connection, table)?;
        if let Some(column) = needed.iter().find(|column| !columns.contains(**column)) {
            return Ok(Some((table, column)));
        }
    }
    Ok(None)
}

/// Creates all tables in one transaction: of two processes that start at once, the second one finds them made.
fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if tables(&transaction)?.is_empty() {
        transaction.execute_batch(SCHEMA)?;
    }
    transaction.commit()
}

fn check(connection: &Connection, path: &Path) -> Outcome<()> {
    let path = path.display();
    let found = tables(connection)?;
    if !found.contains("experiments") || !found.contains("alembic_version") {
        return Err(Error::Invalid(format!(
            "`{path}` is a database, but not one of MLflow: it has no table `experiments` or `alembic_version`. Hint: \
             name another file."
        ))
        .into());
    }
    if let Some((table, column)) = missing(connection, NEEDED)? {
        return Err(Error::Invalid(format!(
            "`{path}` was made by a version of MLflow that does not fit: table `{table}` has no column `{column}`. Hint: \
             back it up, then run `mlflow db upgrade sqlite:///{path}`."
        ))
        .into());
    }
    Ok(())
}

/// Readers and one writer at once. The mode stays in the file. SQLite does not wait for others here, so this does.
fn enable_wal(connection: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(10));
            }
            other => return other.map(drop),
        }
    }
}

/// MLflow expects experiment 0 in a database without experiments, and makes it at every open.
fn create_default_experiment(connection: &mut Connection, artifact_root: &str) -> rusqlite::Result<()> {
    let is_empty = |connection: &Connection| {
        connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM experiments)", [], |row| row.get::<_, bool>(0))
    };
    if !is_empty(connection)? {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if is_empty(&transaction)? {
        transaction.execute(
            "INSERT INTO experiments
                 (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time)
             VALUES (0, 'Default', :location, 'active', :now, :now)",
            named_params! { ":location": format!("{artifact_root}/0"), ":now": rules::now_ms() },
        )?;
    }
    transaction.commit()
}

fn tables(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    names(connection, "SELECT name FROM sqlite_master WHERE type = 'table'", [])
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<BTreeSet<String>> {
    names(connection, "SELECT name FROM pragma_table_info(?1)", [table])
}

fn names(connection: &Connection, query: &str, values: impl Params) -> rusqlite::Result<BTreeSet<String>> {
    connection.prepare(query)?.query_map(values, |row| row.get(0))?.collect()
}
