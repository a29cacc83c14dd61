//! Makes the tables, or checks whose they are.

use std::collections::BTreeSet;

use super::{Outcome, Session};
use crate::Error;

/// The schema of Optuna 3.2 to 5.0.
const REVISION: &str = "v3.2.0.a";

/// Makes the tables where there are none and `create`; whether there are some now. To be called in a transaction.
///
/// Errors with [`Error::Schema`] for tables of another version, or of another program.
pub(super) fn check(session: &mut dyn Session, create: bool) -> Outcome<bool> {
    let dialect = session.dialect();
    session.script(dialect.lock_schema)?;
    let mut tables = BTreeSet::new();
    for row in session.query(dialect.tables, &[])? {
        tables.insert(row[0].text()?.to_owned());
    }
    if !tables.contains("alembic_version") {
        if tables.contains("studies") {
            return refuse("Its tables are older than Optuna 1, or those of another program.");
        }
        if create {
            make(session)?;
        }
        return Ok(create);
    }
    let rows = session.query("SELECT CAST(version_num AS TEXT) FROM alembic_version", &[])?;
    let found = rows.first().map_or(Ok("none"), |row| row[0].text())?;
    if found == REVISION {
        return Ok(true);
    }
    if !tables.contains("studies") {
        return refuse(
            "It has tables of another program (`alembic_version` without `studies`): give studies a database of their own.",
        );
    }
    match release(found) {
        Some(version) if Some(version) < release(REVISION) => refuse(&format!(
            "Its tables are those of an older Optuna (`{found}`, `{REVISION}` is needed): make a copy of it, then `optuna storage upgrade --storage ..`."
        )),
        _ => refuse(&format!(
            "Its tables are of version `{found}`, which this program does not know: it reads and writes `{REVISION}` (Optuna 3.2 to 5.0)."
        )),
    }
}

fn make(session: &mut dyn Session) -> Outcome<()> {
    session.script(session.dialect().schema)?;
    session.script(&format!(
        "INSERT INTO version_info (version_info_id, schema_version, library_version) VALUES (1, 12, '5.0.0');
         INSERT INTO alembic_version (version_num) VALUES ('{REVISION}')"
    ))
}

/// `v3.2.0.a` -> (3, 2, 0).
fn release(revision: &str) -> Option<(u32, u32, u32)> {
    let mut parts = revision.strip_prefix('v')?.split('.').map_while(|part| part.parse().ok());
    Some((parts.next()?, parts.next()?, parts.next()?))
}

fn refuse<T>(problem: &str) -> Outcome<T> {
    Err(Error::Schema(problem.to_owned()).into())
}
