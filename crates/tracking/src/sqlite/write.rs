//! Plain data into rows. Columns are always named: newer MLflow versions have more of them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, named_params, params};
use uuid::Uuid;

use super::{Outcome, read};
use crate::rules::{self, MAX_PARAM_CHARS, MAX_TAG_CHARS, RUN_NAME_TAG, stored_value, truncate};
use crate::{Batch, Dataset, DatasetInput, Error, Lifecycle, Metric, Millis, NewRun, RunInfo, RunStatus};

pub(super) fn create_experiment(
    db: &Connection,
    name: &str,
    artifact_root: &str,
    has_workspaces: bool,
) -> Outcome<String> {
    if !read::experiments(db, has_workspaces, "name = ?1", [name])?.is_empty() {
        return Err(Error::AlreadyExists(format!("Experiment(name={name}) already exists.")).into());
    }
    db.execute(
        "INSERT INTO experiments (name, lifecycle_stage, creation_time, last_update_time)
         VALUES (:name, 'active', :now, :now)",
        named_params! { ":name": name, ":now": rules::now_ms() },
    )?;
    let experiment_id = db.last_insert_rowid();
    let location = format!("{artifact_root}/{experiment_id}");
    db.execute(
        "UPDATE experiments SET artifact_location = ?1 WHERE experiment_id = ?2",
        params![location, experiment_id],
    )?;
    Ok(experiment_id.to_string())
}

/// Lifecycle and artifact location.
pub(super) fn experiment_facts(db: &Connection, experiment_id: &str) -> Outcome<(Lifecycle, String)> {
    let id = rules::parse_experiment_id(experiment_id)?;
    let found = read::experiments(db, false, "experiment_id = ?1", [id])?.pop();
    let experiment = found.ok_or_else(|| rules::experiment_not_found(experiment_id))?;
    Ok((experiment.lifecycle, experiment.artifact_location))
}

pub(super) fn set_experiment_tag(db: &Connection, experiment_id: &str, key: &str, value: &str) -> Outcome<()> {
    let (lifecycle, _) = experiment_facts(db, experiment_id)?;
    rules::check_active("experiment", experiment_id, lifecycle)?;
    db.execute(
        "INSERT INTO experiment_tags (experiment_id, key, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (key, experiment_id) DO UPDATE SET value = excluded.value",
        [experiment_id, key, value],
    )?;
    Ok(())
}

/// Moves an experiment and its runs; one that is not where it should come from does not exist for MLflow.
pub(super) fn move_experiment(db: &Connection, experiment_id: &str, from: Lifecycle, to: Lifecycle) -> Outcome<()> {
    let (lifecycle, _) = experiment_facts(db, experiment_id)?;
    if lifecycle != from {
        return Err(rules::experiment_not_found(experiment_id).into());
    }
    let now = rules::now_ms();
    db.execute(
        "UPDATE experiments SET lifecycle_stage = ?1, last_update_time = ?2 WHERE experiment_id = ?3",
        params![stage(to), now, experiment_id],
    )?;
    db.execute(
        "UPDATE runs SET lifecycle_stage = ?1, deleted_time = ?2 WHERE experiment_id = ?3",
        params![stage(to), deleted_time(to), experiment_id],
    )?;
    Ok(())
}

fn stage(lifecycle: Lifecycle) -> &'static str {
    match lifecycle {
        Lifecycle::Active => "active",
        Lifecycle::Deleted => "deleted",
    }
}

fn deleted_time(lifecycle: Lifecycle) -> Option<Millis> {
    (lifecycle == Lifecycle::Deleted).then(rules::now_ms)
}

pub(super) fn create_run(db: &Connection, run: &NewRun) -> Outcome<RunInfo> {
    let (lifecycle, location) = experiment_facts(db, &run.experiment_id)?;
    rules::check_active("experiment", &run.experiment_id, lifecycle)?;
    let run_id = Uuid::new_v4().simple().to_string();
    let (name, tags) = rules::name_and_tags(run, &run_id);
    let info = RunInfo {
        artifact_uri: format!("{}/{run_id}/artifacts", location.trim_end_matches('/')),
        run_id,
        experiment_id: run.experiment_id.clone(),
        name,
        user: run.user.clone(),
        status: RunStatus::Running,
        start_time_ms: run.start_time_ms,
        end_time_ms: None,
        lifecycle: Lifecycle::Active,
    };
    db.execute(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,
                           source_version, lifecycle_stage, artifact_uri, experiment_id)
         VALUES (?1, ?2, 'UNKNOWN', '', '', ?3, 'RUNNING', ?4, '', 'active', ?5, ?6)",
        params![info.run_id, info.name, info.user, info.start_time_ms, info.artifact_uri, info.experiment_id],
    )?;
    tags.iter().try_for_each(|(key, value)| upsert_tag(db, &info.run_id, key, value))?;
    Ok(info)
}

pub(super) fn check_active(db: &Connection, run_id: &str) -> Outcome<()> {
    Ok(rules::check_active("run", run_id, read::run_lifecycle(db, run_id)?)?)
}

pub(super) fn update_run(
    db: &Connection,
    run_id: &str,
    status: RunStatus,
    end_time_ms: Option<Millis>,
    name: Option<&str>,
) -> Outcome<()> {
    check_active(db, run_id)?;
    db.execute(
        "UPDATE runs SET status = ?1, end_time = ?2 WHERE run_uuid = ?3",
        params![status.as_str(), end_time_ms, run_id],
    )?;
    name.map_or(Ok(()), |name| set_tag(db, run_id, RUN_NAME_TAG, name))
}

pub(super) fn move_run(db: &Connection, run_id: &str, to: Lifecycle) -> Outcome<()> {
    read::run_lifecycle(db, run_id)?;
    db.execute(
        "UPDATE runs SET lifecycle_stage = ?1, deleted_time = ?2 WHERE run_uuid = ?3",
        params![stage(to), deleted_time(to), run_id],
    )?;
    Ok(())
}

pub(super) fn log_batch(db: &Connection, run_id: &str, batch: &Batch) -> Outcome<()> {
    check_active(db, run_id)?;
    log_params(db, run_id, &batch.params)?;
    log_metrics(db, run_id, &batch.metrics)?;
    batch.tags.iter().try_for_each(|(key, value)| set_tag(db, run_id, key, value))
}

fn log_params(db: &Connection, run_id: &str, params: &[(String, String)]) -> Outcome<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO params (key, value, run_uuid) VALUES (?1, ?2, ?3) ON CONFLICT (key, run_uuid) DO NOTHING",
    )?;
    let mut logged = db.prepare_cached("SELECT value FROM params WHERE key = ?1 AND run_uuid = ?2")?;
    let mut conflicts = Vec::new();
    for (key, value) in params {
        let value = truncate(value, MAX_PARAM_CHARS);
        if insert.execute([key, value, run_id])? == 0 {
            let old: String = logged.query_row([key, run_id], |row| row.get(0))?;
            if old != value {
                conflicts.push((key.clone(), old, value.to_owned()));
            }
        }
    }
    if conflicts.is_empty() { Ok(()) } else { Err(rules::param_conflict(run_id, &conflicts).into()) }
}

fn log_metrics(db: &Connection, run_id: &str, metrics: &[Metric]) -> Outcome<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING",
    )?;
    let mut latest: HashMap<&str, (i64, Millis, f64, bool)> = HashMap::new();
    for metric in metrics {
        let (value, is_nan) = stored_value(metric.value);
        insert.execute(params![metric.key, value, metric.timestamp_ms, run_id, metric.step, is_nan])?;
        let point = (metric.step, metric.timestamp_ms, value, is_nan);
        let best = latest.entry(&metric.key).or_insert(point);
        if (point.0, point.1, point.2) > (best.0, best.1, best.2) {
            *best = point;
        }
    }
    let mut upsert = db.prepare_cached(
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (key, run_uuid) DO UPDATE
         SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan
         WHERE (excluded.step, excluded.timestamp, excluded.value)
             > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)",
    )?;
    for (key, (step, timestamp, value, is_nan)) in latest {
        upsert.execute(params![key, value, timestamp, step, is_nan, run_id])?;
    }
    Ok(())
}

/// Sets a tag; `mlflow.runName` renames the run.
fn set_tag(db: &Connection, run_id: &str, key: &str, value: &str) -> Outcome<()> {
    let value = truncate(value, MAX_TAG_CHARS);
    if key == RUN_NAME_TAG {
        db.execute("UPDATE runs SET name = ?1 WHERE run_uuid = ?2", [value, run_id])?;
    }
    upsert_tag(db, run_id, key, value)
}

fn upsert_tag(db: &Connection, run_id: &str, key: &str, value: &str) -> Outcome<()> {
    db.prepare_cached(
        "INSERT INTO tags (key, value, run_uuid) VALUES (?1, ?2, ?3)
         ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value",
    )?
    .execute([key, value, run_id])?;
    Ok(())
}

pub(super) fn delete_tag(db: &Connection, run_id: &str, key: &str) -> Outcome<()> {
    check_active(db, run_id)?;
    if db.execute("DELETE FROM tags WHERE run_uuid = ?1 AND key = ?2", [run_id, key])? == 0 {
        return Err(rules::tag_not_found(run_id, key).into());
    }
    Ok(())
}

/// Records inputs; an input that the run has already keeps its first tags, as in MLflow.
pub(super) fn log_inputs(db: &Connection, run_id: &str, inputs: &[DatasetInput]) -> Outcome<()> {
    check_active(db, run_id)?;
    let experiment_id = read::run_info(db, run_id)?.experiment_id;
    for input in inputs {
        let dataset_uuid = dataset_uuid(db, &experiment_id, &input.dataset)?;
        let input_uuid = new_uuid();
        let added = db.execute(
            "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id)
             VALUES (?1, 'DATASET', ?2, 'RUN', ?3) ON CONFLICT DO NOTHING",
            [&input_uuid, &dataset_uuid, run_id],
        )?;
        if added == 1 {
            for (name, value) in &input.tags {
                db.execute(
                    "INSERT INTO input_tags (input_uuid, name, value) VALUES (?1, ?2, ?3)",
                    [&input_uuid, name, value],
                )?;
            }
        }
    }
    Ok(())
}

/// The data set's id in its experiment, where name and digest identify it; written when it is new.
fn dataset_uuid(db: &Connection, experiment_id: &str, dataset: &Dataset) -> Outcome<String> {
    let known = db
        .query_row(
            "SELECT dataset_uuid FROM datasets WHERE experiment_id = ?1 AND name = ?2 AND digest = ?3",
            [experiment_id, &dataset.name, &dataset.digest],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(uuid) = known {
        return Ok(uuid);
    }
    let uuid = new_uuid();
    let Dataset { name, digest, source_type, source, schema, profile } = dataset;
    db.execute(
        "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source,
                               dataset_schema, dataset_profile)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![uuid, experiment_id, name, digest, source_type, source, schema, profile],
    )?;
    Ok(uuid)
}

pub(super) fn new_uuid() -> String {
    Uuid::new_v4().simple().to_string()
}
