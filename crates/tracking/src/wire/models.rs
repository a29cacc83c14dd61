//! JSON of registered and logged models.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Chunk, KeyValue, Kind, NumberOrText, WireMetric, int64, metric_json, to_map};
use crate::{
    DatasetName, LoggedModel, Metric, Millis, ModelMetric, ModelStatus, ModelVersion, RegisteredModel, Result,
    model_rules,
};

/// Versions are text on the way, and numbers everywhere else.
fn version<'de, D: Deserializer<'de>>(input: D) -> std::result::Result<u32, D::Error> {
    match NumberOrText::<u32>::deserialize(input)? {
        NumberOrText::Number(number) => Ok(number),
        NumberOrText::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

#[derive(Deserialize)]
struct WireAlias {
    alias: String,
    #[serde(deserialize_with = "version")]
    version: u32,
}

#[derive(Deserialize)]
pub(crate) struct WireModel {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default, deserialize_with = "int64")]
    creation_timestamp: Millis,
    #[serde(default, deserialize_with = "int64")]
    last_updated_timestamp: Millis,
    #[serde(default)]
    aliases: Vec<WireAlias>,
    #[serde(default)]
    tags: Vec<KeyValue>,
}

impl From<WireModel> for RegisteredModel {
    fn from(wire: WireModel) -> Self {
        Self {
            name: wire.name,
            description: wire.description,
            creation_time_ms: wire.creation_timestamp,
            last_update_time_ms: wire.last_updated_timestamp,
            aliases: wire.aliases.into_iter().map(|alias| (alias.alias, alias.version)).collect(),
            tags: to_map(wire.tags),
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct WireVersion {
    name: String,
    #[serde(deserialize_with = "version")]
    version: u32,
    #[serde(default)]
    source: String,
    #[serde(default)]
    run_id: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    current_stage: Option<String>,
    #[serde(default, deserialize_with = "int64")]
    creation_timestamp: Millis,
    #[serde(default, deserialize_with = "int64")]
    last_updated_timestamp: Millis,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    tags: Vec<KeyValue>,
}

impl WireVersion {
    pub(crate) fn into_version(mut self) -> Result<ModelVersion> {
        self.aliases.sort();
        Ok(ModelVersion {
            name: self.name,
            version: self.version,
            source: self.source,
            run_id: some_text(self.run_id),
            description: self.description,
            stage: self.current_stage.map_or(Ok(crate::Stage::None), |stage| stage.parse())?,
            creation_time_ms: self.creation_timestamp,
            last_update_time_ms: self.last_updated_timestamp,
            aliases: self.aliases,
            tags: to_map(self.tags),
        })
    }
}

fn some_text(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

#[derive(Deserialize)]
struct WireModelInfo {
    model_id: String,
    experiment_id: String,
    name: String,
    #[serde(default)]
    artifact_uri: String,
    #[serde(default, deserialize_with = "int64")]
    creation_timestamp_ms: Millis,
    #[serde(default, deserialize_with = "int64")]
    last_updated_timestamp_ms: Millis,
    #[serde(default)]
    status: String,
    #[serde(default)]
    model_type: String,
    #[serde(default)]
    source_run_id: String,
    #[serde(default)]
    tags: Vec<KeyValue>,
}

#[derive(Deserialize)]
struct WireModelMetric {
    #[serde(flatten)]
    metric: WireMetric,
    #[serde(default)]
    run_id: String,
    #[serde(default)]
    dataset_name: String,
    #[serde(default)]
    dataset_digest: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireModelData {
    params: Vec<KeyValue>,
    metrics: Vec<WireModelMetric>,
}

#[derive(Deserialize)]
pub(crate) struct WireLoggedModel {
    info: WireModelInfo,
    #[serde(default)]
    data: WireModelData,
}

/// MLflow's name of a status.
pub(crate) fn status_name(status: ModelStatus) -> &'static str {
    match status {
        ModelStatus::Pending => "LOGGED_MODEL_PENDING",
        ModelStatus::Ready => "LOGGED_MODEL_READY",
        ModelStatus::Failed => "LOGGED_MODEL_UPLOAD_FAILED",
    }
}

impl From<WireLoggedModel> for LoggedModel {
    fn from(wire: WireLoggedModel) -> Self {
        let known = [ModelStatus::Pending, ModelStatus::Ready, ModelStatus::Failed];
        let status = known.into_iter().find(|status| status_name(*status) == wire.info.status);
        let metrics = wire.data.metrics.into_iter().map(|point| ModelMetric {
            metric: point.metric.into(),
            run_id: point.run_id,
            dataset: some_text(point.dataset_name).map(|name| DatasetName { name, digest: point.dataset_digest }),
        });
        let mut metrics: Vec<ModelMetric> = metrics.collect();
        metrics.sort_by(|a, b| model_rules::metric_order(a).cmp(&model_rules::metric_order(b)));
        Self {
            model_id: wire.info.model_id,
            experiment_id: wire.info.experiment_id,
            name: wire.info.name,
            artifact_location: wire.info.artifact_uri,
            creation_time_ms: wire.info.creation_timestamp_ms,
            last_update_time_ms: wire.info.last_updated_timestamp_ms,
            status: status.unwrap_or(ModelStatus::Pending),
            model_type: wire.info.model_type,
            source_run_id: some_text(wire.info.source_run_id),
            params: to_map(wire.data.params),
            tags: to_map(wire.info.tags),
            metrics,
        }
    }
}

/// Cuts points of a logged model into bodies for `runs/log-batch`, and sends one after the other.
/// Points that are given twice are sent once: a server takes them for two.
pub(crate) fn for_each_model_body(
    run_id: &str,
    model_id: &str,
    metrics: &[Metric],
    dataset: Option<&DatasetName>,
    mut send: impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    let mut chunk = Chunk::default();
    let mut seen = BTreeSet::new();
    for metric in metrics {
        let mut item = metric_json(metric);
        item["model_id"] = Value::from(model_id);
        if let Some(dataset) = dataset {
            item["dataset_name"] = Value::from(dataset.name.as_str());
            item["dataset_digest"] = Value::from(dataset.digest.as_str());
        }
        let item = item.to_string();
        if !seen.insert(item.clone()) {
            continue;
        }
        if !chunk.has_room(Kind::Metric, item.len()) {
            send(&std::mem::take(&mut chunk).body(run_id))?;
        }
        chunk.push(Kind::Metric, item);
    }
    if chunk.items > 0 { send(&chunk.body(run_id)) } else { Ok(()) }
}
