//! What a study does with the tables. SQL that both databases understand; every function is one or a few statements.

use chrono::NaiveDateTime;

use super::{Cell, Failure, Outcome, Row, Session, list};
use crate::{Direction, TrialState};

/// Trials whose details are read by one statement.
const DETAILS_AT_ONCE: usize = 1000;

/// A row of `trials`.
pub(crate) struct TrialRow {
    pub id: i64,
    pub number: u32,
    pub state: TrialState,
    pub started: Option<NaiveDateTime>,
    pub ended: Option<NaiveDateTime>,
}

/// A row of one of the tables below `trials`.
pub(crate) enum Detail {
    Param { name: String, value: f64, distribution: String },
    Value { objective: usize, value: f64 },
    Intermediate { step: i64, value: f64 },
    UserAttribute { key: String, json: String },
    SystemAttribute { key: String, json: String },
}

/// A RUNNING trial, as one looks for dead workers.
pub(crate) struct Pulse {
    pub id: i64,
    pub number: u32,
    /// JSON of user attribute `worker`.
    pub worker: Option<String>,
    /// Seconds since the last sign of life, by the clock of the database; `None` if its program gives none.
    pub age: Option<f64>,
}

/// Whose attributes.
#[derive(Clone, Copy)]
#[allow(clippy::enum_variant_names, reason = "`Attributes::OfTrial` reads well")]
pub(crate) enum Attributes {
    OfStudy,
    OfTrial,
    OfTrialSystem,
}

impl Attributes {
    /// The table and its column with the owner.
    fn table(self) -> (&'static str, &'static str) {
        match self {
            Self::OfStudy => ("study_user_attributes", "study_id"),
            Self::OfTrial => ("trial_user_attributes", "trial_id"),
            Self::OfTrialSystem => ("trial_system_attributes", "trial_id"),
        }
    }
}

pub(crate) fn study_names(session: &mut dyn Session) -> Outcome<Vec<String>> {
    let rows = session.query("SELECT study_name FROM studies ORDER BY study_id", &[])?;
    rows.iter().map(|row| Ok(row[0].text()?.to_owned())).collect()
}

pub(crate) fn study_id(session: &mut dyn Session, name: &str) -> Outcome<Option<i64>> {
    let rows = session.query("SELECT study_id FROM studies WHERE study_name = $1", &[name.into()])?;
    rows.first().map(|row| row[0].int()).transpose()
}

/// `None` if there is one of this name.
pub(crate) fn create_study(session: &mut dyn Session, name: &str, directions: &[Direction]) -> Outcome<Option<i64>> {
    let sql = "INSERT INTO studies (study_name) VALUES ($1) ON CONFLICT (study_name) DO NOTHING RETURNING study_id";
    let rows = session.query(sql, &[name.into()])?;
    let Some(study) = rows.first().map(|row| row[0].int()).transpose()? else { return Ok(None) };
    for (objective, direction) in (0_i64..).zip(directions) {
        let direction = match direction {
            Direction::Minimize => "MINIMIZE",
            Direction::Maximize => "MAXIMIZE",
        };
        session.execute(
            "INSERT INTO study_directions (study_id, objective, direction) VALUES ($1, $2, $3)",
            &[study.into(), objective.into(), direction.into()],
        )?;
    }
    Ok(Some(study))
}

/// `None` if one of them is neither.
pub(crate) fn directions(session: &mut dyn Session, study: i64) -> Outcome<Option<Vec<Direction>>> {
    let sql = "SELECT CAST(direction AS TEXT) FROM study_directions WHERE study_id = $1 ORDER BY objective";
    let rows = session.query(sql, &[study.into()])?;
    let mut directions = Vec::new();
    for row in &rows {
        match row[0].text()? {
            "MINIMIZE" => directions.push(Direction::Minimize),
            "MAXIMIZE" => directions.push(Direction::Maximize),
            _ => return Ok(None),
        }
    }
    Ok(Some(directions))
}

/// Numbers are given to trials under this lock, here and in Optuna. It holds until the end of the transaction.
pub(crate) fn lock_study(session: &mut dyn Session, study: i64) -> Outcome<()> {
    let sql = format!("SELECT study_id FROM studies WHERE study_id = $1{}", session.dialect().for_update);
    session.query(&sql, &[study.into()])?;
    Ok(())
}

/// Trials with greater ids than `after`, and those of `ids`; in the order of their ids.
pub(crate) fn trials(session: &mut dyn Session, study: i64, after: i64, ids: &[i64]) -> Outcome<Vec<TrialRow>> {
    let or_known = if ids.is_empty() { String::new() } else { format!(" OR trial_id IN {}", list(ids)) };
    let sql = format!(
        "SELECT trial_id, number, CAST(state AS TEXT), datetime_start, datetime_complete FROM trials
         WHERE study_id = {study} AND number IS NOT NULL AND (trial_id > {after}{or_known}) ORDER BY trial_id"
    );
    session.query(&sql, &[])?.iter().map(trial_row).collect()
}

fn trial_row(row: &Row) -> Outcome<TrialRow> {
    let number = row[1].int()?;
    Ok(TrialRow {
        id: row[0].int()?,
        number: u32::try_from(number).map_err(|_| Failure::Broken(format!("a trial has the number {number}")))?,
        state: state(row[2].text()?)?,
        started: row[3].time()?,
        ended: row[4].time()?,
    })
}

/// All that belongs to these trials, each with the id of its trial; parameters and attributes in no order.
pub(crate) fn details(session: &mut dyn Session, ids: &[i64]) -> Outcome<Vec<(i64, Detail)>> {
    let mut details = Vec::new();
    for ids in ids.chunks(DETAILS_AT_ONCE) {
        let these = format!("WHERE trial_id IN {}", list(ids));
        let sql = format!(
            "SELECT 0, trial_id, 0, param_name, param_value, distribution_json FROM trial_params {these}
             UNION ALL SELECT 1, trial_id, objective, CAST(value_type AS TEXT), value, NULL FROM trial_values {these}
             UNION ALL SELECT 2, trial_id, step, CAST(intermediate_value_type AS TEXT), intermediate_value, NULL
                 FROM trial_intermediate_values {these}
             UNION ALL SELECT 3, trial_id, 0, \"key\", NULL, value_json FROM trial_user_attributes {these}
             UNION ALL SELECT 4, trial_id, 0, \"key\", NULL, value_json FROM trial_system_attributes {these}"
        );
        for row in session.query(&sql, &[])? {
            details.push((row[1].int()?, detail(&row)?));
        }
    }
    Ok(details)
}

fn detail(row: &Row) -> Outcome<Detail> {
    let text = || Ok::<_, Failure>(row[5].text()?.to_owned());
    let name = row[3].text()?;
    Ok(match row[0].int()? {
        0 => Detail::Param { name: name.to_owned(), value: row[4].real()?, distribution: text()? },
        1 => Detail::Value { objective: row[2].int()? as usize, value: number(name, &row[4])? },
        2 => Detail::Intermediate { step: row[2].int()?, value: number(name, &row[4])? },
        3 => Detail::UserAttribute { key: name.to_owned(), json: text()? },
        _ => Detail::SystemAttribute { key: name.to_owned(), json: text()? },
    })
}

/// Databases have no common way to keep infinities.
fn number(kind: &str, value: &Cell) -> Outcome<f64> {
    match kind {
        "INF_POS" => Ok(f64::INFINITY),
        "INF_NEG" => Ok(f64::NEG_INFINITY),
        "NAN" => Ok(f64::NAN),
        _ => value.real(),
    }
}

fn number_cells(value: f64) -> [Cell; 2] {
    match value {
        f64::INFINITY => [Cell::Null, "INF_POS".into()],
        f64::NEG_INFINITY => [Cell::Null, "INF_NEG".into()],
        value if value.is_nan() => [Cell::Null, "NAN".into()],
        value => [value.into(), "FINITE".into()],
    }
}

/// A new trial; its id. To be called under the lock of the study.
pub(crate) fn create_trial(
    session: &mut dyn Session,
    study: i64,
    number: u32,
    state: TrialState,
    started: Option<NaiveDateTime>,
) -> Outcome<i64> {
    let rows = session.query(
        "INSERT INTO trials (study_id, number, state, datetime_start) VALUES ($1, $2, $3, $4) RETURNING trial_id",
        &[study.into(), i64::from(number).into(), state_text(state).into(), started.map_or(Cell::Null, Cell::Time)],
    )?;
    rows.first().map_or_else(|| Err(Failure::Broken("a new trial has no id".to_owned())), |row| row[0].int())
}

/// Whether a trial has this system attribute.
pub(crate) fn has_trial_with(session: &mut dyn Session, study: i64, key: &str, json: &str) -> Outcome<bool> {
    let sql = "SELECT t.trial_id FROM trials t JOIN trial_system_attributes a ON a.trial_id = t.trial_id
               WHERE t.study_id = $1 AND a.\"key\" = $2 AND a.value_json = $3";
    Ok(!session.query(sql, &[study.into(), key.into(), json.into()])?.is_empty())
}

/// The number that a new trial will have. To be called under the lock of the study.
pub(crate) fn next_number(session: &mut dyn Session, study: i64) -> Outcome<u32> {
    let rows = session.query("SELECT COUNT(*) FROM trials WHERE study_id = $1", &[study.into()])?;
    let count = rows.first().map_or(Ok(0), |row| row[0].int())?;
    u32::try_from(count).map_err(|_| Failure::Broken("too many trials".to_owned()))
}

/// WAITING to RUNNING; false if somebody else was faster.
pub(crate) fn claim(session: &mut dyn Session, trial: i64, started: NaiveDateTime) -> Outcome<bool> {
    let sql = "UPDATE trials SET state = 'RUNNING', datetime_start = $2 WHERE trial_id = $1 AND state = 'WAITING'";
    Ok(session.execute(sql, &[trial.into(), started.into()])? == 1)
}

/// RUNNING to a finished state; false if it is not RUNNING.
pub(crate) fn finish(session: &mut dyn Session, trial: i64, state: TrialState, ended: NaiveDateTime) -> Outcome<bool> {
    let sql = "UPDATE trials SET state = $2, datetime_complete = $3 WHERE trial_id = $1 AND state = 'RUNNING'";
    Ok(session.execute(sql, &[trial.into(), state_text(state).into(), ended.into()])? == 1)
}

/// Whether [`finish`] was called with just these arguments before.
pub(crate) fn was_finished(
    session: &mut dyn Session,
    trial: i64,
    state: TrialState,
    ended: NaiveDateTime,
) -> Outcome<bool> {
    let sql = "SELECT trial_id FROM trials WHERE trial_id = $1 AND state = $2 AND datetime_complete = $3";
    Ok(!session.query(sql, &[trial.into(), state_text(state).into(), ended.into()])?.is_empty())
}

/// `params`: name, internal value, JSON of the distribution. Takes the place of those of the same names.
pub(crate) fn set_params(session: &mut dyn Session, trial: i64, params: &[(&str, f64, &str)]) -> Outcome<()> {
    let rows: Vec<Row> =
        params.iter().map(|&(name, value, json)| vec![trial.into(), name.into(), value.into(), json.into()]).collect();
    upsert(session, "trial_params", &["trial_id", "param_name"], &["param_value", "distribution_json"], rows)
}

pub(crate) fn set_values(session: &mut dyn Session, trial: i64, values: &[f64]) -> Outcome<()> {
    let row = |(objective, &value): (i64, &f64)| {
        let [value, kind] = number_cells(value);
        vec![trial.into(), objective.into(), value, kind]
    };
    let rows = (0..).zip(values).map(row).collect();
    upsert(session, "trial_values", &["trial_id", "objective"], &["value", "value_type"], rows)
}

/// `attributes`: key and JSON.
pub(crate) fn set_attributes(
    session: &mut dyn Session,
    of: Attributes,
    owner: i64,
    attributes: &[(&str, String)],
) -> Outcome<()> {
    let (table, owner_column) = of.table();
    let rows = attributes.iter().map(|(key, json)| vec![owner.into(), (*key).into(), json.clone().into()]).collect();
    upsert(session, table, &[owner_column, "\"key\""], &["value_json"], rows)
}

/// The JSON of an attribute.
pub(crate) fn attribute(session: &mut dyn Session, of: Attributes, owner: i64, key: &str) -> Outcome<Option<String>> {
    let (table, column) = of.table();
    let sql = format!("SELECT value_json FROM {table} WHERE {column} = $1 AND \"key\" = $2");
    let rows = session.query(&sql, &[owner.into(), key.into()])?;
    rows.first().map(|row| Ok(row[0].text()?.to_owned())).transpose()
}

fn upsert(session: &mut dyn Session, table: &str, keys: &[&str], others: &[&str], rows: Vec<Row>) -> Outcome<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let width = keys.len() + others.len();
    let marks = |row: usize| list(&(1..=width).map(|at| format!("${}", row * width + at)).collect::<Vec<_>>());
    let places: Vec<String> = (0..rows.len()).map(marks).collect();
    let changes: Vec<String> = others.iter().map(|name| format!("{name} = excluded.{name}")).collect();
    let (places, changes) = (places.join(", "), changes.join(", "));
    let (keys, others) = (keys.join(", "), others.join(", "));
    let sql =
        format!("INSERT INTO {table} ({keys}, {others}) VALUES {places} ON CONFLICT ({keys}) DO UPDATE SET {changes}");
    session.execute(&sql, &rows.concat())?;
    Ok(())
}

/// Stores the value of a step; false if the trial is not RUNNING.
pub(crate) fn report(session: &mut dyn Session, trial: i64, step: i64, value: f64) -> Outcome<bool> {
    let [value, kind] = number_cells(value);
    let sql = "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
               SELECT trial_id, $2, $3, $4 FROM trials WHERE trial_id = $1 AND state = 'RUNNING'
               ON CONFLICT (trial_id, step) DO UPDATE SET intermediate_value = excluded.intermediate_value,
               intermediate_value_type = excluded.intermediate_value_type";
    Ok(session.execute(sql, &[trial.into(), step.into(), value, kind])? == 1)
}

/// The value of the last step.
pub(crate) fn last_report(session: &mut dyn Session, trial: i64) -> Outcome<Option<f64>> {
    let sql = "SELECT CAST(intermediate_value_type AS TEXT), intermediate_value FROM trial_intermediate_values
               WHERE trial_id = $1 ORDER BY step DESC LIMIT 1";
    let rows = session.query(sql, &[trial.into()])?;
    rows.first().map(|row| number(row[0].text()?, &row[1])).transpose()
}

/// A sign of life; the first one of a trial makes its row.
pub(crate) fn beat(session: &mut dyn Session, trials: &[i64]) -> Outcome<()> {
    if trials.is_empty() {
        return Ok(());
    }
    let rows: Vec<String> = trials.iter().map(|trial| format!("({trial}, CURRENT_TIMESTAMP)")).collect();
    let sql = format!(
        "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES {}
         ON CONFLICT (trial_id) DO UPDATE SET heartbeat = CURRENT_TIMESTAMP",
        rows.join(", ")
    );
    session.execute(&sql, &[])?;
    Ok(())
}

/// All RUNNING trials.
pub(crate) fn pulses(session: &mut dyn Session, study: i64) -> Outcome<Vec<Pulse>> {
    let age = session.dialect().heartbeat_age;
    let sql = format!(
        "SELECT t.trial_id, t.number, w.value_json, {age} FROM trials t
         LEFT JOIN trial_heartbeats h ON h.trial_id = t.trial_id
         LEFT JOIN trial_user_attributes w ON w.trial_id = t.trial_id AND w.\"key\" = 'worker'
         WHERE t.study_id = $1 AND t.state = 'RUNNING' ORDER BY t.number"
    );
    session.query(&sql, &[study.into()])?.iter().map(pulse).collect()
}

fn pulse(row: &Row) -> Outcome<Pulse> {
    Ok(Pulse {
        id: row[0].int()?,
        number: row[1].int()? as u32,
        worker: if row[2] == Cell::Null { None } else { Some(row[2].text()?.to_owned()) },
        age: if row[3] == Cell::Null { None } else { Some(row[3].real()?) },
    })
}

/// Queues a copy of a trial: its parameters, whatever program and space they are of, and its attributes but those of
/// `without` and the pruner's; its id. To be called under the lock of the study.
pub(crate) fn copy_trial(
    session: &mut dyn Session,
    study: i64,
    trial: i64,
    number: u32,
    without: &[&str],
) -> Outcome<i64> {
    let copy = create_trial(session, study, number, TrialState::Waiting, None)?;
    let without: Vec<String> = without.iter().map(|key| format!("'{key}'")).collect();
    let without = list(&without);
    session.script(&format!(
        "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
             SELECT {copy}, param_name, param_value, distribution_json FROM trial_params
             WHERE trial_id = {trial} ORDER BY param_id;
         INSERT INTO trial_user_attributes (trial_id, \"key\", value_json)
             SELECT {copy}, \"key\", value_json FROM trial_user_attributes
             WHERE trial_id = {trial} AND \"key\" NOT IN {without};
         INSERT INTO trial_system_attributes (trial_id, \"key\", value_json)
             SELECT {copy}, \"key\", value_json FROM trial_system_attributes
             WHERE trial_id = {trial} AND \"key\" NOT IN {without} AND \"key\" NOT LIKE 'completed_rung%'"
    ))?;
    Ok(copy)
}

fn state(text: &str) -> Outcome<TrialState> {
    Ok(match text {
        "WAITING" => TrialState::Waiting,
        "RUNNING" => TrialState::Running,
        "COMPLETE" => TrialState::Complete,
        "PRUNED" => TrialState::Pruned,
        "FAIL" => TrialState::Fail,
        other => return Err(Failure::Broken(format!("a trial has the unknown state `{other}`"))),
    })
}

fn state_text(state: TrialState) -> &'static str {
    match state {
        TrialState::Waiting => "WAITING",
        TrialState::Running => "RUNNING",
        TrialState::Complete => "COMPLETE",
        TrialState::Pruned => "PRUNED",
        TrialState::Fail => "FAIL",
    }
}
