//! Rows into plain data.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::Outcome;
use crate::{Dataset, DatasetInput, Experiment, Lifecycle, Metric, ModelOutput, Result, RunData, RunInfo, rules};

/// Columns of `runs r` in the order of [`to_run_info`].
pub(super) const RUN_COLUMNS: &str = "r.run_uuid, r.experiment_id, r.name, r.user_id, r.status, r.start_time, \
                                      r.end_time, r.lifecycle_stage, r.artifact_uri";

/// Experiments that fulfil an SQL condition, newest first.
pub(super) fn experiments(
    db: &Connection,
    has_workspaces: bool,
    condition: &str,
    values: impl Params,
) -> Outcome<Vec<Experiment>> {
    let workspace = if has_workspaces { "workspace = 'default'" } else { "TRUE" };
    let mut experiments: Vec<Experiment> = db
        .prepare_cached(&format!(
            "SELECT experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time
             FROM experiments WHERE {workspace} AND {condition} ORDER BY creation_time DESC, experiment_id DESC"
        ))?
        .query_map(values, to_experiment)?
        .collect::<rusqlite::Result<_>>()?;
    let mut tags = db.prepare_cached("SELECT key, value FROM experiment_tags WHERE experiment_id = ?1")?;
    for experiment in &mut experiments {
        let rows = tags.query_map([&experiment.experiment_id], |row| Ok((row.get(0)?, optional_text(row, 1)?)))?;
        experiment.tags = rows.collect::<rusqlite::Result<_>>()?;
    }
    Ok(experiments)
}

fn to_experiment(row: &Row<'_>) -> rusqlite::Result<Experiment> {
    Ok(Experiment {
        experiment_id: row.get::<_, i64>(0)?.to_string(),
        name: row.get(1)?,
        artifact_location: optional_text(row, 2)?,
        lifecycle: lifecycle(&optional_text(row, 3)?),
        creation_time_ms: row.get::<_, Option<i64>>(4)?.unwrap_or_default(),
        last_update_time_ms: row.get::<_, Option<i64>>(5)?.unwrap_or_default(),
        tags: BTreeMap::new(),
    })
}

/// Most text columns of MLflow may be NULL, which means no more than empty.
pub(super) fn optional_text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(row.get::<_, Option<String>>(column)?.unwrap_or_default())
}

fn lifecycle(stage: &str) -> Lifecycle {
    if stage == "deleted" { Lifecycle::Deleted } else { Lifecycle::Active }
}

/// One run without its params, tags and metrics. Errors with [`crate::Error::NotFound`].
pub(super) fn run_info(db: &Connection, run_id: &str) -> Outcome<RunInfo> {
    let query = format!("SELECT {RUN_COLUMNS} FROM runs r WHERE r.run_uuid = ?1");
    let found = run_infos(db, &query, [run_id])?.pop();
    Ok(found.ok_or_else(|| rules::run_not_found(run_id))?)
}

/// The runs in the JSON list `ids`, in no order; one that is not there is left out.
pub(super) fn runs(db: &Connection, has_outputs: bool, ids: &str) -> Outcome<Vec<RunData>> {
    let query = format!("SELECT {RUN_COLUMNS} FROM runs r WHERE r.run_uuid IN (SELECT value FROM json_each(?1))");
    let infos = run_infos(db, &query, [ids])?;
    with_details(db, has_outputs, infos)
}

/// The runs that a query of [`RUN_COLUMNS`] finds.
pub(super) fn run_infos(db: &Connection, query: &str, values: impl Params) -> Outcome<Vec<RunInfo>> {
    let mut statement = db.prepare_cached(query)?;
    let infos: Vec<Result<RunInfo>> = statement.query_map(values, to_run_info)?.collect::<rusqlite::Result<_>>()?;
    Ok(infos.into_iter().collect::<Result<_>>()?)
}

fn to_run_info(row: &Row<'_>) -> rusqlite::Result<Result<RunInfo>> {
    let status = optional_text(row, 4)?.parse();
    let info = RunInfo {
        run_id: row.get(0)?,
        experiment_id: row.get::<_, i64>(1)?.to_string(),
        name: optional_text(row, 2)?,
        user: optional_text(row, 3)?,
        status: crate::RunStatus::Running,
        start_time_ms: row.get::<_, Option<i64>>(5)?.unwrap_or_default(),
        end_time_ms: row.get(6)?,
        lifecycle: lifecycle(&optional_text(row, 7)?),
        artifact_uri: optional_text(row, 8)?,
    };
    Ok(status.map(|status| RunInfo { status, ..info }))
}

/// Lifecycle of a run. Errors with [`crate::Error::NotFound`].
pub(super) fn run_lifecycle(db: &Connection, run_id: &str) -> Outcome<Lifecycle> {
    let stage: Option<Option<String>> = db
        .prepare_cached("SELECT lifecycle_stage FROM runs WHERE run_uuid = ?1")?
        .query_row([run_id], |row| row.get(0))
        .optional()?;
    Ok(stage.map(|stage| lifecycle(&stage.unwrap_or_default())).ok_or_else(|| rules::run_not_found(run_id))?)
}

/// Adds params, tags, latest metrics, inputs and outputs with one query each, however many runs there are.
pub(super) fn with_details(db: &Connection, has_outputs: bool, infos: Vec<RunInfo>) -> Outcome<Vec<RunData>> {
    let ids: Vec<&str> = infos.iter().map(|info| info.run_id.as_str()).collect();
    let ids = serde_json::json!(ids).to_string();
    let mut params = pairs(db, "params", &ids)?;
    let mut tags = pairs(db, "tags", &ids)?;
    let mut metrics = latest_metrics(db, &ids)?;
    let mut inputs = inputs(db, &ids)?;
    let mut outputs = if has_outputs { outputs(db, &ids)? } else { HashMap::new() };
    let mut model_inputs = model_inputs(db, &ids)?;
    let run = |info: RunInfo| RunData {
        params: params.remove(&info.run_id).unwrap_or_default(),
        tags: tags.remove(&info.run_id).unwrap_or_default(),
        metrics: metrics.remove(&info.run_id).unwrap_or_default(),
        inputs: inputs.remove(&info.run_id).unwrap_or_default(),
        outputs: outputs.remove(&info.run_id).unwrap_or_default(),
        model_inputs: model_inputs.remove(&info.run_id).unwrap_or_default(),
        info,
    };
    Ok(infos.into_iter().map(run).collect())
}

/// `key -> value` of each run in the JSON list `ids`.
fn pairs(db: &Connection, table: &str, ids: &str) -> Outcome<HashMap<String, BTreeMap<String, String>>> {
    let mut found: HashMap<String, BTreeMap<String, String>> = HashMap::new();
    let mut statement = db.prepare_cached(&format!(
        "SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN (SELECT value FROM json_each(?1))"
    ))?;
    let mut rows = statement.query([ids])?;
    while let Some(row) = rows.next()? {
        found.entry(row.get(0)?).or_default().insert(row.get(1)?, optional_text(row, 2)?);
    }
    Ok(found)
}

fn latest_metrics(db: &Connection, ids: &str) -> Outcome<HashMap<String, BTreeMap<String, Metric>>> {
    let mut found: HashMap<String, BTreeMap<String, Metric>> = HashMap::new();
    let mut statement = db.prepare_cached(
        "SELECT key, value, is_nan, timestamp, step, run_uuid FROM latest_metrics
         WHERE run_uuid IN (SELECT value FROM json_each(?1))",
    )?;
    let mut rows = statement.query([ids])?;
    while let Some(row) = rows.next()? {
        let metric = to_metric(row)?;
        found.entry(row.get(5)?).or_default().insert(metric.key.clone(), metric);
    }
    Ok(found)
}

/// Key, value, is_nan, timestamp, step.
fn to_metric(row: &Row<'_>) -> rusqlite::Result<Metric> {
    Ok(Metric {
        key: row.get(0)?,
        value: if row.get(2)? { f64::NAN } else { row.get(1)? },
        timestamp_ms: row.get::<_, Option<i64>>(3)?.unwrap_or_default(),
        step: row.get(4)?,
    })
}

/// All points of a metric. Errors with [`crate::Error::NotFound`] when there is no such run.
pub(super) fn metric_history(db: &Connection, run_id: &str, key: &str) -> Outcome<Vec<Metric>> {
    run_lifecycle(db, run_id)?;
    // `+key` keeps the key out of the choice of an index: in a file without statistics SQLite would take the primary key,
    // which begins with it, and read this metric of all runs.
    let mut statement = db.prepare_cached(
        "SELECT key, value, is_nan, timestamp, step FROM metrics
         WHERE run_uuid = ?1 AND +key = ?2 ORDER BY step, timestamp, value",
    )?;
    let points = statement.query_map([run_id, key], to_metric)?;
    Ok(points.collect::<rusqlite::Result<_>>()?)
}

/// Data sets of each run in the order of logging. A data set has one row per tag.
fn inputs(db: &Connection, ids: &str) -> Outcome<HashMap<String, Vec<DatasetInput>>> {
    let mut found: HashMap<String, Vec<DatasetInput>> = HashMap::new();
    let mut statement = db.prepare_cached(
        "SELECT i.destination_id, d.name, d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema,
                d.dataset_profile, t.name, t.value
         FROM inputs i
         JOIN datasets d ON d.dataset_uuid = i.source_id
         LEFT JOIN input_tags t ON t.input_uuid = i.input_uuid
         WHERE i.destination_type = 'RUN' AND i.source_type = 'DATASET'
             AND i.destination_id IN (SELECT value FROM json_each(?1))
         ORDER BY i.rowid",
    )?;
    let mut rows = statement.query([ids])?;
    while let Some(row) = rows.next()? {
        let inputs = found.entry(row.get(0)?).or_default();
        let dataset = to_dataset(row)?;
        if inputs.last().is_none_or(|last| last.dataset != dataset) {
            inputs.push(DatasetInput { dataset, tags: BTreeMap::new() });
        }
        if let (Some(input), Some(key)) = (inputs.last_mut(), row.get::<_, Option<String>>(7)?) {
            input.tags.insert(key, optional_text(row, 8)?);
        }
    }
    Ok(found)
}

/// Logged models of each run in the order of logging.
fn outputs(db: &Connection, ids: &str) -> Outcome<HashMap<String, Vec<ModelOutput>>> {
    let mut found: HashMap<String, Vec<ModelOutput>> = HashMap::new();
    let mut statement = db.prepare_cached(
        "SELECT source_id, destination_id, step FROM inputs
         WHERE source_type = 'RUN_OUTPUT' AND destination_type = 'MODEL_OUTPUT'
             AND source_id IN (SELECT value FROM json_each(?1))
         ORDER BY rowid",
    )?;
    let mut rows = statement.query([ids])?;
    while let Some(row) = rows.next()? {
        let output = ModelOutput { model_id: row.get(1)?, step: row.get(2)? };
        found.entry(row.get(0)?).or_default().push(output);
    }
    Ok(found)
}

/// Ids of the logged models that each run has used, in the order of logging.
fn model_inputs(db: &Connection, ids: &str) -> Outcome<HashMap<String, Vec<String>>> {
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    let mut statement = db.prepare_cached(
        "SELECT source_id, destination_id FROM inputs
         WHERE source_type = 'RUN_INPUT' AND destination_type = 'MODEL_INPUT'
             AND source_id IN (SELECT value FROM json_each(?1))
         ORDER BY rowid",
    )?;
    let mut rows = statement.query([ids])?;
    while let Some(row) = rows.next()? {
        found.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(found)
}

fn to_dataset(row: &Row<'_>) -> rusqlite::Result<Dataset> {
    Ok(Dataset {
        name: row.get(1)?,
        digest: row.get(2)?,
        source_type: row.get(3)?,
        source: row.get(4)?,
        schema: row.get(5)?,
        profile: row.get(6)?,
    })
}
