//! A study in a file.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, params_from_iter};

use super::{Cell, Dialect, Failure, Outcome, Row, Session, with_causes};

/// How long to wait for other writers.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

static DIALECT: Dialect = Dialect {
    // The write lock first: a transaction that starts as a reader cannot wait for it.
    begin: "BEGIN IMMEDIATE",
    for_update: "",
    heartbeat_age: "(julianday(CURRENT_TIMESTAMP) - julianday(heartbeat)) * 86400.0",
    lock_schema: "",
    tables: "SELECT name FROM sqlite_master WHERE type = 'table'",
    schema: include_str!("sqlite.sql"),
};

struct Sqlite(Connection);

/// Opens a file, or makes it and its folder.
pub(super) fn open(path: &Path) -> Outcome<impl Session + use<>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::Broken(format!("cannot create `{}`: {error}", folder.display())))?;
    }
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Readers and the writer do not wait for each other, and a commit does not wait for the disk: a killed program loses
    // nothing, a power cut at most the last moments. It fails while others use the file in the other mode, which works too.
    let _ = connection.pragma_update(None, "journal_mode", "WAL");
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(Sqlite(connection))
}

impl Session for Sqlite {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn query(&mut self, sql: &str, values: &[Cell]) -> Outcome<Vec<Row>> {
        let sql = sql.replace('$', "?");
        let mut statement = self.0.prepare_cached(&sql)?;
        let width = statement.column_count();
        let rows = statement
            .query_map(params_from_iter(values), |row| (0..width).map(|at| cell(row.get_ref(at)?)).collect())?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn execute(&mut self, sql: &str, values: &[Cell]) -> Outcome<u64> {
        let changed = self.0.prepare_cached(&sql.replace('$', "?"))?.execute(params_from_iter(values))?;
        Ok(changed as u64)
    }

    fn script(&mut self, sql: &str) -> Outcome<()> {
        Ok(self.0.execute_batch(sql)?)
    }
}

fn cell(value: ValueRef<'_>) -> rusqlite::Result<Cell> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Int(value),
        ValueRef::Real(value) => Cell::Real(value),
        ValueRef::Text(_) | ValueRef::Blob(_) => Cell::Text(value.as_str()?.to_owned()),
    })
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Int(value) => (*value).into(),
            Self::Real(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
            Self::Time(value) => value.format("%Y-%m-%d %H:%M:%S%.6f").to_string().into(),
        })
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let reason = with_causes(&error);
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(reason),
            _ => Self::Broken(reason),
        }
    }
}
