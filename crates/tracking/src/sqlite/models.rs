//! Logged models in MLflow's tables.

use std::collections::BTreeMap;

use rusqlite::{Connection, Params, Row, named_params, params};
use uuid::Uuid;

use super::read::optional_text;
use super::{Outcome, SqliteStore, write};
use crate::model_rules::{self, MODEL_VERSIONS_TAG};
use crate::rules::{self, now_ms, stored_value};
use crate::{
    Batch, DatasetName, LoggedModel, LoggedModels, Metric, ModelMetric, ModelOutput, ModelStatus, ModelVersion,
    NewLoggedModel, Result,
};

/// MLflow's number of a status.
fn status_number(status: ModelStatus) -> i64 {
    match status {
        ModelStatus::Pending => 1,
        ModelStatus::Ready => 2,
        ModelStatus::Failed => 3,
    }
}

/// Models that are not deleted and fulfil an SQL condition, newest first.
fn models(db: &Connection, condition: &str, values: impl Params) -> Outcome<Vec<LoggedModel>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT model_id, experiment_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms,
                status, model_type, source_run_id
         FROM logged_models WHERE coalesce(lifecycle_stage, 'active') != 'deleted' AND {condition}
         ORDER BY creation_timestamp_ms DESC, model_id"
    ))?;
    let mut models: Vec<LoggedModel> = statement.query_map(values, to_model)?.collect::<rusqlite::Result<_>>()?;
    for model in &mut models {
        model.params =
            pairs(db, "SELECT param_key, param_value FROM logged_model_params WHERE model_id = ?1", &model.model_id)?;
        model.tags =
            pairs(db, "SELECT tag_key, tag_value FROM logged_model_tags WHERE model_id = ?1", &model.model_id)?;
        model.metrics = metrics(db, &model.model_id)?;
    }
    Ok(models)
}

fn to_model(row: &Row<'_>) -> rusqlite::Result<LoggedModel> {
    Ok(LoggedModel {
        model_id: row.get(0)?,
        experiment_id: row.get::<_, i64>(1)?.to_string(),
        name: row.get(2)?,
        artifact_location: row.get(3)?,
        creation_time_ms: row.get(4)?,
        last_update_time_ms: row.get(5)?,
        status: match row.get(6)? {
            2 => ModelStatus::Ready,
            3 => ModelStatus::Failed,
            _ => ModelStatus::Pending,
        },
        model_type: optional_text(row, 7)?,
        source_run_id: row.get::<_, Option<String>>(8)?.filter(|run_id| !run_id.is_empty()),
        params: BTreeMap::new(),
        tags: BTreeMap::new(),
        metrics: Vec::new(),
    })
}

fn pairs(db: &Connection, query: &str, model_id: &str) -> Outcome<BTreeMap<String, String>> {
    let mut statement = db.prepare_cached(query)?;
    let rows = statement.query_map([model_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn metrics(db: &Connection, model_id: &str) -> Outcome<Vec<ModelMetric>> {
    let mut statement = db.prepare_cached(
        "SELECT metric_name, metric_value, metric_timestamp_ms, metric_step, run_id, dataset_name, dataset_digest
         FROM logged_model_metrics WHERE model_id = ?1
         ORDER BY metric_name, metric_step, metric_timestamp_ms, run_id",
    )?;
    let rows = statement.query_map([model_id], |row| {
        let dataset: (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
        Ok(ModelMetric {
            metric: Metric {
                key: row.get(0)?,
                value: row.get::<_, Option<f64>>(1)?.unwrap_or_default(),
                timestamp_ms: row.get(2)?,
                step: row.get(3)?,
            },
            run_id: row.get(4)?,
            dataset: dataset.0.map(|name| DatasetName { name, digest: dataset.1.unwrap_or_default() }),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// One model. Errors with [`crate::Error::NotFound`].
pub(super) fn get(db: &Connection, model_id: &str) -> Outcome<LoggedModel> {
    let found = models(db, "model_id = ?1", [model_id])?.pop();
    Ok(found.ok_or_else(|| model_rules::logged_model_not_found(model_id))?)
}

fn create(db: &Connection, new: &NewLoggedModel) -> Outcome<LoggedModel> {
    let (lifecycle, location) = write::experiment_facts(db, &new.experiment_id)?;
    rules::check_active("experiment", &new.experiment_id, lifecycle)?;
    let model_id = format!("m-{}", Uuid::new_v4().simple());
    db.execute(
        "INSERT INTO logged_models
             (model_id, experiment_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms, status,
              lifecycle_stage, model_type, source_run_id)
         VALUES (:model_id, :experiment_id, :name, :location, :now, :now, :status, 'active', :model_type, :run_id)",
        named_params! {
            ":model_id": model_id, ":experiment_id": new.experiment_id, ":name": new.name,
            ":location": format!("{}/models/{model_id}/artifacts", location.trim_end_matches('/')),
            ":now": now_ms(), ":status": status_number(ModelStatus::Pending), ":model_type": new.model_type,
            ":run_id": new.source_run_id,
        },
    )?;
    let mut insert = db.prepare_cached(
        "INSERT INTO logged_model_params (model_id, experiment_id, param_key, param_value) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (key, value) in &new.params {
        insert.execute([&model_id, &new.experiment_id, key, value])?;
    }
    new.tags.iter().try_for_each(|(key, value)| set_tag(db, &model_id, &new.experiment_id, key, value))?;
    get(db, &model_id)
}

fn set_tag(db: &Connection, model_id: &str, experiment_id: &str, key: &str, value: &str) -> Outcome<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute([model_id, experiment_id, key, value])?;
    Ok(())
}

/// Notes in a model's tags that it became a registered version.
pub(super) fn note_version(db: &Connection, model_id: &str, version: &ModelVersion) -> Outcome<()> {
    let model = get(db, model_id)?;
    match model_rules::with_version_noted(model.tags.get(MODEL_VERSIONS_TAG), version) {
        Some(noted) => set_tag(db, model_id, &model.experiment_id, MODEL_VERSIONS_TAG, &noted),
        None => Ok(()),
    }
}

fn update(db: &Connection, model_id: &str, assignment: &str, value: impl rusqlite::ToSql) -> Outcome<()> {
    get(db, model_id)?;
    db.execute(
        &format!("UPDATE logged_models SET {assignment} = ?1, last_updated_timestamp_ms = ?2 WHERE model_id = ?3"),
        params![value, now_ms(), model_id],
    )?;
    Ok(())
}

fn log_outputs(db: &Connection, run_id: &str, outputs: &[ModelOutput]) -> Outcome<()> {
    write::check_active(db, run_id)?;
    for output in outputs {
        db.execute(
            "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step)
             VALUES (?1, 'RUN_OUTPUT', ?2, 'MODEL_OUTPUT', ?3, ?4) ON CONFLICT DO NOTHING",
            params![write::new_uuid(), run_id, output.model_id, output.step],
        )?;
    }
    Ok(())
}

fn log_model_inputs(db: &Connection, run_id: &str, model_ids: &[String]) -> Outcome<()> {
    write::check_active(db, run_id)?;
    for model_id in model_ids {
        db.execute(
            "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id)
             VALUES (?1, 'RUN_INPUT', ?2, 'MODEL_INPUT', ?3) ON CONFLICT DO NOTHING",
            params![write::new_uuid(), run_id, model_id],
        )?;
    }
    Ok(())
}

fn log_metrics(
    db: &Connection,
    run_id: &str,
    model_id: &str,
    metrics: Vec<Metric>,
    dataset: Option<&DatasetName>,
) -> Outcome<()> {
    get(db, model_id)?;
    let batch = Batch { metrics, ..Batch::default() };
    write::log_batch(db, run_id, &batch)?;
    let mut insert = db.prepare_cached(
        "INSERT INTO logged_model_metrics
             (model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, experiment_id, run_id,
              dataset_name, dataset_digest)
         SELECT ?1, ?2, ?3, ?4, ?5, experiment_id, run_uuid, ?6, ?7 FROM runs WHERE run_uuid = ?8
         ON CONFLICT DO NOTHING",
    )?;
    let (name, digest) = dataset.map(|dataset| (&dataset.name, &dataset.digest)).unzip();
    for metric in &batch.metrics {
        let value = stored_value(metric.value).0;
        insert.execute(params![model_id, metric.key, metric.timestamp_ms, metric.step, value, name, digest, run_id])?;
    }
    Ok(())
}

impl LoggedModels for SqliteStore {
    fn create(&self, model: &NewLoggedModel) -> Result<LoggedModel> {
        model_rules::check_logged_model(model)?;
        self.write(|db| create(db, model))
    }

    fn get(&self, model_id: &str) -> Result<LoggedModel> {
        self.read(|db| get(db, model_id))
    }

    fn list(&self, experiment_ids: &[String]) -> Result<Vec<LoggedModel>> {
        let ids: Vec<i64> = experiment_ids.iter().map(|id| rules::parse_experiment_id(id)).collect::<Result<_>>()?;
        let ids = serde_json::json!(ids).to_string();
        self.read(|db| models(db, "experiment_id IN (SELECT value FROM json_each(?1))", [ids]))
    }

    fn set_status(&self, model_id: &str, status: ModelStatus) -> Result<()> {
        self.write(|db| update(db, model_id, "status", status_number(status)))
    }

    fn set_tags(&self, model_id: &str, tags: &[(String, String)]) -> Result<()> {
        tags.iter().try_for_each(|(key, _)| rules::check_key("Tag key", key))?;
        self.write(|db| {
            let experiment_id = get(db, model_id)?.experiment_id;
            tags.iter().try_for_each(|(key, value)| set_tag(db, model_id, &experiment_id, key, value))
        })
    }

    fn remove_tag(&self, model_id: &str, key: &str) -> Result<()> {
        self.write(|db| {
            get(db, model_id)?;
            match db.execute("DELETE FROM logged_model_tags WHERE model_id = ?1 AND tag_key = ?2", [model_id, key])? {
                0 => Err(model_rules::logged_model_tag_not_found(model_id, key).into()),
                _ => Ok(()),
            }
        })
    }

    fn delete(&self, model_id: &str) -> Result<()> {
        self.write(|db| update(db, model_id, "lifecycle_stage", "deleted"))
    }

    fn log_outputs(&self, run_id: &str, outputs: &[ModelOutput]) -> Result<()> {
        self.write(|db| log_outputs(db, run_id, outputs))
    }

    fn log_model_inputs(&self, run_id: &str, model_ids: &[String]) -> Result<()> {
        self.write(|db| log_model_inputs(db, run_id, model_ids))
    }

    fn log_metrics(
        &self,
        run_id: &str,
        model_id: &str,
        metrics: &[Metric],
        dataset: Option<&DatasetName>,
    ) -> Result<()> {
        metrics.iter().try_for_each(|metric| rules::check_key("Metric name", &metric.key))?;
        self.write(|db| log_metrics(db, run_id, model_id, metrics.to_vec(), dataset))
    }
}
