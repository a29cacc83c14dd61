//! MLflow's JSON: what its REST API sends, and how a batch is cut to what it accepts.

mod models;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::rules::{MAX_PARAM_CHARS, MAX_TAG_CHARS, truncate};
use crate::{
    Artifact, Batch, Dataset, DatasetInput, Experiment, Lifecycle, Metric, Millis, ModelOutput, Result, RunData,
    RunInfo,
};

pub(crate) use models::{WireLoggedModel, WireModel, WireVersion, for_each_model_body, status_name};

const PARAMS_PER_REQUEST: usize = 100;
const TAGS_PER_REQUEST: usize = 100;
const ITEMS_PER_REQUEST: usize = 1000;
/// The server's limit is 1,000,000; the rest is for the frame around the items.
const BYTES_PER_REQUEST: usize = 900_000;

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText<T> {
    Number(T),
    Text(String),
}

/// int64 arrives as a number, or as text from servers that follow proto3's JSON rules.
fn int64<'de, D: Deserializer<'de>>(input: D) -> std::result::Result<i64, D::Error> {
    match NumberOrText::<i64>::deserialize(input)? {
        NumberOrText::Number(number) => Ok(number),
        NumberOrText::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

fn optional_int64<'de, D: Deserializer<'de>>(input: D) -> std::result::Result<Option<i64>, D::Error> {
    int64(input).map(Some)
}

/// A float arrives as a number, or as `"NaN"`, `"Infinity"`, `"-Infinity"`.
fn float<'de, D: Deserializer<'de>>(input: D) -> std::result::Result<f64, D::Error> {
    match NumberOrText::<f64>::deserialize(input)? {
        NumberOrText::Number(number) => Ok(number),
        NumberOrText::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

#[derive(Deserialize)]
pub(crate) struct KeyValue {
    key: String,
    #[serde(default)]
    value: String,
}

fn to_map(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, pair.value)).collect()
}

pub(crate) fn to_pairs(map: &BTreeMap<String, String>) -> Vec<Value> {
    map.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

fn lifecycle(stage: &str) -> Lifecycle {
    if stage == "deleted" { Lifecycle::Deleted } else { Lifecycle::Active }
}

#[derive(Deserialize)]
pub(crate) struct WireExperiment {
    experiment_id: String,
    name: String,
    #[serde(default)]
    artifact_location: String,
    #[serde(default)]
    lifecycle_stage: String,
    #[serde(default, deserialize_with = "int64")]
    creation_time: Millis,
    #[serde(default, deserialize_with = "int64")]
    last_update_time: Millis,
    #[serde(default)]
    tags: Vec<KeyValue>,
}

impl From<WireExperiment> for Experiment {
    fn from(wire: WireExperiment) -> Self {
        Self {
            experiment_id: wire.experiment_id,
            name: wire.name,
            artifact_location: wire.artifact_location,
            lifecycle: lifecycle(&wire.lifecycle_stage),
            creation_time_ms: wire.creation_time,
            last_update_time_ms: wire.last_update_time,
            tags: to_map(wire.tags),
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct WireInfo {
    run_id: String,
    experiment_id: String,
    #[serde(default)]
    run_name: String,
    #[serde(default)]
    user_id: String,
    status: String,
    #[serde(default, deserialize_with = "int64")]
    start_time: Millis,
    #[serde(default, deserialize_with = "optional_int64")]
    end_time: Option<Millis>,
    #[serde(default)]
    lifecycle_stage: String,
    #[serde(default)]
    artifact_uri: String,
}

impl WireInfo {
    pub(crate) fn into_info(self) -> Result<RunInfo> {
        Ok(RunInfo {
            run_id: self.run_id,
            experiment_id: self.experiment_id,
            name: self.run_name,
            user: self.user_id,
            status: self.status.parse()?,
            start_time_ms: self.start_time,
            end_time_ms: self.end_time.filter(|end| *end != 0),
            lifecycle: lifecycle(&self.lifecycle_stage),
            artifact_uri: self.artifact_uri,
        })
    }
}

#[derive(Deserialize)]
pub(crate) struct WireMetric {
    #[serde(default)]
    key: String,
    #[serde(deserialize_with = "float")]
    value: f64,
    #[serde(default, deserialize_with = "int64")]
    timestamp: Millis,
    #[serde(default, deserialize_with = "int64")]
    step: i64,
}

/// Puts the numbers that JSON does not know, and Python writes all the same, in quotes.
pub(crate) fn with_quoted_numbers(json: &str) -> Cow<'_, str> {
    if !json.contains("NaN") && !json.contains("Infinity") {
        return json.into();
    }
    let mut quoted = String::with_capacity(json.len() + json.len() / 8);
    let mut rest = json;
    while !rest.is_empty() {
        let (outside, text) = rest.split_at(rest.find('"').unwrap_or(rest.len()));
        let outside = outside.replace("NaN", "\"NaN\"").replace("Infinity", "\"Infinity\"");
        quoted.push_str(&outside.replace("-\"Infinity\"", "\"-Infinity\""));
        let (text, others) = text.split_at(end_of_text(text));
        quoted.push_str(text);
        rest = others;
    }
    quoted.into()
}

/// Where the JSON text ends that `json` begins with.
fn end_of_text(json: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return at + 1,
            byte => escaped = byte == b'\\' && !escaped,
        }
    }
    json.len()
}

impl From<WireMetric> for Metric {
    fn from(wire: WireMetric) -> Self {
        Self { key: wire.key, value: wire.value, timestamp_ms: wire.timestamp, step: wire.step }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireData {
    metrics: Vec<WireMetric>,
    params: Vec<KeyValue>,
    tags: Vec<KeyValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireDataset {
    name: String,
    digest: String,
    source_type: String,
    source: String,
    schema: Option<String>,
    profile: Option<String>,
}

#[derive(Deserialize)]
struct WireInput {
    dataset: WireDataset,
    #[serde(default)]
    tags: Vec<KeyValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireInputs {
    dataset_inputs: Vec<WireInput>,
    model_inputs: Vec<WireModelInput>,
}

#[derive(Deserialize)]
struct WireModelInput {
    model_id: String,
}

#[derive(Deserialize)]
struct WireOutput {
    model_id: String,
    #[serde(default, deserialize_with = "int64")]
    step: i64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireOutputs {
    model_outputs: Vec<WireOutput>,
}

#[derive(Deserialize)]
pub(crate) struct WireRun {
    pub(crate) info: WireInfo,
    #[serde(default)]
    data: WireData,
    #[serde(default)]
    inputs: WireInputs,
    #[serde(default)]
    outputs: WireOutputs,
}

impl WireRun {
    pub(crate) fn into_data(self) -> Result<RunData> {
        let metrics = self.data.metrics.into_iter().map(Metric::from);
        let inputs = self.inputs.dataset_inputs.into_iter().map(|input| DatasetInput {
            dataset: Dataset {
                name: input.dataset.name,
                digest: input.dataset.digest,
                source_type: input.dataset.source_type,
                source: input.dataset.source,
                schema: input.dataset.schema,
                profile: input.dataset.profile,
            },
            tags: to_map(input.tags),
        });
        let outputs = self.outputs.model_outputs.into_iter();
        let outputs = outputs.map(|output| ModelOutput { model_id: output.model_id, step: output.step });
        Ok(RunData {
            info: self.info.into_info()?,
            params: to_map(self.data.params),
            tags: to_map(self.data.tags),
            metrics: metrics.map(|metric| (metric.key.clone(), metric)).collect(),
            inputs: inputs.collect(),
            outputs: outputs.collect(),
            model_inputs: self.inputs.model_inputs.into_iter().map(|input| input.model_id).collect(),
        })
    }
}

#[derive(Deserialize)]
pub(crate) struct WireFile {
    path: String,
    #[serde(default)]
    is_dir: bool,
    #[serde(default, deserialize_with = "optional_int64")]
    file_size: Option<i64>,
}

impl From<WireFile> for Artifact {
    fn from(wire: WireFile) -> Self {
        let bytes = wire.file_size.and_then(|size| u64::try_from(size).ok()).filter(|_| !wire.is_dir);
        Self { path: wire.path, is_dir: wire.is_dir, bytes }
    }
}

pub(crate) fn dataset_input(input: &DatasetInput) -> Value {
    let dataset = &input.dataset;
    let mut wire = json!({
        "name": dataset.name, "digest": dataset.digest, "source_type": dataset.source_type, "source": dataset.source,
    });
    for (key, value) in [("schema", &dataset.schema), ("profile", &dataset.profile)] {
        if let Some(value) = value {
            wire[key] = value.as_str().into();
        }
    }
    json!({"dataset": wire, "tags": to_pairs(&input.tags)})
}

fn metric_json(metric: &Metric) -> Value {
    let value = match metric.value {
        value if value.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        value => json!(value),
    };
    json!({"key": metric.key, "value": value, "timestamp": metric.timestamp_ms, "step": metric.step})
}

/// Cuts a batch into bodies for `runs/log-batch` that keep MLflow's limits, and sends one after the other.
/// Repetitions go: of equal params one is left (MLflow refuses a key twice), of a tag's values the last.
pub(crate) fn for_each_body(run_id: &str, batch: &Batch, mut send: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let pair = |key: &str, value: &str, chars| json!({"key": key, "value": truncate(value, chars)}).to_string();
    let mut seen = BTreeSet::new();
    let params = batch.params.iter().filter(|param| seen.insert(*param));
    let tags: BTreeMap<&str, &str> = batch.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let items = params
        .map(|(key, value)| (Kind::Param, pair(key, value, MAX_PARAM_CHARS)))
        .chain(tags.iter().map(|(key, value)| (Kind::Tag, pair(key, value, MAX_TAG_CHARS))))
        .chain(batch.metrics.iter().map(|metric| (Kind::Metric, metric_json(metric).to_string())));
    let mut chunk = Chunk::default();
    for (kind, item) in items {
        if !chunk.has_room(kind, item.len()) {
            send(&std::mem::take(&mut chunk).body(run_id))?;
        }
        chunk.push(kind, item);
    }
    if chunk.items > 0 { send(&chunk.body(run_id)) } else { Ok(()) }
}

#[derive(Clone, Copy)]
enum Kind {
    Param,
    Tag,
    Metric,
}

/// Items of one request, already JSON.
#[derive(Default)]
struct Chunk {
    lists: [Vec<String>; 3],
    items: usize,
    bytes: usize,
}

impl Chunk {
    fn has_room(&self, kind: Kind, bytes: usize) -> bool {
        let most = match kind {
            Kind::Param => PARAMS_PER_REQUEST,
            Kind::Tag => TAGS_PER_REQUEST,
            Kind::Metric => ITEMS_PER_REQUEST,
        };
        self.items == 0
            || (self.lists[kind as usize].len() < most
                && self.items < ITEMS_PER_REQUEST
                && self.bytes + bytes < BYTES_PER_REQUEST)
    }

    fn push(&mut self, kind: Kind, item: String) {
        self.items += 1;
        self.bytes += item.len() + 1;
        self.lists[kind as usize].push(item);
    }

    fn body(self, run_id: &str) -> String {
        let [params, tags, metrics] = self.lists.map(|list| list.join(","));
        let run_id = json!(run_id);
        format!(r#"{{"run_id":{run_id},"params":[{params}],"tags":[{tags}],"metrics":[{metrics}]}}"#)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(batch: &Batch) -> Vec<Value> {
        let mut bodies = Vec::new();
        for_each_body("r", batch, |body| {
            assert!(body.len() < 1_000_000, "{} bytes", body.len());
            bodies.push(serde_json::from_str(body).expect("JSON"));
            Ok(())
        })
        .expect("never fails");
        bodies
    }

    fn count(bodies: &[Value], list: &str) -> usize {
        bodies.iter().map(|body| body[list].as_array().map_or(0, Vec::len)).sum()
    }

    #[test]
    fn a_batch_is_cut_to_the_limits_of_the_server() {
        let point = |step| Metric { key: "loss".into(), value: 0.5, timestamp_ms: 1, step };
        let batch = Batch {
            metrics: (0..2500).map(point).collect(),
            params: (0..250).map(|i| (format!("p{i}"), "x".repeat(7000))).collect(),
            tags: (0..101).map(|i| (format!("t{i}"), "ä".repeat(9000))).collect(),
        };
        let bodies = bodies(&batch);
        assert_eq!((count(&bodies, "metrics"), count(&bodies, "params"), count(&bodies, "tags")), (2500, 250, 101));
        for body in &bodies {
            let sizes = ["metrics", "params", "tags"].map(|list| body[list].as_array().map_or(0, Vec::len));
            assert!(sizes[0] <= 1000 && sizes[1] <= 100 && sizes[2] <= 100 && sizes.iter().sum::<usize>() <= 1000);
        }
        assert_eq!(bodies[0]["params"][0]["value"].as_str().map(str::len), Some(6000));
        let tag = bodies.iter().find_map(|body| body["tags"][0]["value"].as_str()).expect("a tag");
        assert_eq!(tag.chars().count(), 8000);
    }

    #[test]
    fn repeated_params_and_tags_are_sent_once() {
        let pair = |key: &str, value: &str| (key.to_string(), value.to_string());
        let batch = Batch {
            params: vec![pair("a", "1"), pair("a", "1"), pair("a", "2")],
            tags: vec![pair("t", "old"), pair("t", "new")],
            ..Batch::default()
        };
        let bodies = bodies(&batch);
        assert_eq!((bodies.len(), count(&bodies, "params"), count(&bodies, "tags")), (1, 2, 1));
        assert_eq!(bodies[0]["tags"][0]["value"], "new");
    }

    #[test]
    fn bare_numbers_are_quoted_outside_of_texts_only() {
        for (json, expected) in [
            (r#"{"NaN": NaN, "x":-Infinity}"#, r#"{"NaN": "NaN", "x":"-Infinity"}"#),
            (r#"["a NaN", "\" NaN", "\\", NaN, Infinity]"#, r#"["a NaN", "\" NaN", "\\", "NaN", "Infinity"]"#),
            (r#"["\\\" NaN \u00e9 ü", 1e-5, true, NaN]"#, r#"["\\\" NaN \u00e9 ü", 1e-5, true, "NaN"]"#),
            ("NaN", "\"NaN\""),
            ("[1, -2]", "[1, -2]"),
        ] {
            assert_eq!(with_quoted_numbers(json), expected);
        }
    }

    #[test]
    fn numbers_may_be_text() {
        let text = r#"{"key": "m", "value": "-Infinity", "timestamp": "12", "step": 3}"#;
        let metric = Metric::from(serde_json::from_str::<WireMetric>(text).expect("parses"));
        assert_eq!((metric.value, metric.timestamp_ms, metric.step), (f64::NEG_INFINITY, 12, 3));
        let nan = serde_json::from_str::<WireMetric>(r#"{"key": "m", "value": "NaN", "timestamp": 1}"#);
        assert!(nan.expect("parses").value.is_nan());
    }
}
