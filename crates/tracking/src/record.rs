//! What a run logs, one item each, and how the journal spells it.

use std::path::PathBuf;

use crate::queue::Weigh;
use crate::{DatasetInput, DatasetName, Metric, Millis, ModelFiles, RunStatus};

/// One logged item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    Metric(Metric),
    Param(String, String),
    Tag(String, String),
    Input(Box<DatasetInput>),
    /// The run uses the logged model of this id.
    ModelInput(String),
    ModelPoint(Box<ModelPoint>),
    /// Never in a journal: the file itself goes to the run's folder.
    Upload(Upload),
    /// The last record: how the run ended, and when.
    End(RunStatus, Millis),
    /// The last record of a run whose process died, with its last sign of life. It counts only if nobody else has ended the
    /// run.
    Died(RunStatus, Millis),
}

/// Something to store as an artifact.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Upload {
    File {
        local_file: PathBuf,
        folder: String,
    },
    Dir {
        local_dir: PathBuf,
        folder: String,
    },
    Text {
        text: String,
        artifact_path: String,
    },
    /// Files of a logged model; the time is that of the call.
    Model {
        files: Box<ModelFiles>,
        time_ms: Millis,
    },
}

/// A point that belongs to a logged model too.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelPoint {
    pub(crate) metric: Metric,
    pub(crate) model_id: String,
    /// What it was measured on.
    pub(crate) dataset: Option<DatasetName>,
}

impl Record {
    /// True for what the program logged, false for the marks that this crate adds.
    pub(crate) fn is_logged(&self) -> bool {
        !matches!(self, Self::End(..) | Self::Died(..))
    }

    /// Appends the record's bytes: its kind, then its fields, numbers little-endian, the last text without a length.
    ///
    /// `Upload` has no bytes and must not come here.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Metric(metric) => {
                encode_point(METRIC, metric, bytes);
                bytes.extend(metric.key.as_bytes());
            }
            Self::ModelPoint(point) => {
                encode_point(MODEL_POINT, &point.metric, bytes);
                let names = (&point.metric.key, &point.model_id, &point.dataset);
                // Texts always have a JSON form.
                bytes.extend(serde_json::to_vec(&names).unwrap_or_default());
            }
            Self::ModelInput(model_id) => {
                bytes.push(MODEL_INPUT);
                bytes.extend(model_id.as_bytes());
            }
            Self::Param(key, value) => encode_pair(PARAM, key, value, bytes),
            Self::Tag(key, value) => encode_pair(TAG, key, value, bytes),
            Self::Input(input) => {
                bytes.push(INPUT);
                // Texts and maps of texts always have a JSON form.
                bytes.extend(serde_json::to_vec(input).unwrap_or_default());
            }
            Self::End(status, time_ms) => encode_end(END, *status, *time_ms, bytes),
            Self::Died(status, time_ms) => encode_end(DIED, *status, *time_ms, bytes),
            Self::Upload(_) => debug_assert!(false, "an upload has no place in a journal"),
        }
    }

    /// The record with these bytes; none when they are no record.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        match kind {
            METRIC => {
                let (metric, key) = decode_point(rest)?;
                Some(Self::Metric(Metric { key: text(key)?, ..metric }))
            }
            MODEL_POINT => {
                let (metric, names) = decode_point(rest)?;
                let (key, model_id, dataset) = serde_json::from_slice(names).ok()?;
                let metric = Metric { key, ..metric };
                Some(Self::ModelPoint(Box::new(ModelPoint { metric, model_id, dataset })))
            }
            MODEL_INPUT => text(rest).map(Self::ModelInput),
            PARAM => decode_pair(rest).map(|(key, value)| Self::Param(key, value)),
            TAG => decode_pair(rest).map(|(key, value)| Self::Tag(key, value)),
            INPUT => serde_json::from_slice(rest).ok().map(Self::Input),
            END => decode_end(rest).map(|(status, time_ms)| Self::End(status, time_ms)),
            DIED => decode_end(rest).map(|(status, time_ms)| Self::Died(status, time_ms)),
            _ => None,
        }
    }
}

const METRIC: u8 = 1;
const PARAM: u8 = 2;
const TAG: u8 = 3;
const INPUT: u8 = 4;
const END: u8 = 5;
const DIED: u8 = 6;
const MODEL_INPUT: u8 = 7;
const MODEL_POINT: u8 = 8;

/// The kind and the numbers of a point; its names come after them.
fn encode_point(kind: u8, Metric { value, timestamp_ms, step, .. }: &Metric, bytes: &mut Vec<u8>) {
    bytes.push(kind);
    bytes.extend(value.to_bits().to_le_bytes());
    bytes.extend(timestamp_ms.to_le_bytes());
    bytes.extend(step.to_le_bytes());
}

/// A point without its key, and the bytes of its names.
fn decode_point(bytes: &[u8]) -> Option<(Metric, &[u8])> {
    let (value, rest) = bytes.split_first_chunk()?;
    let (timestamp_ms, rest) = rest.split_first_chunk()?;
    let (step, names) = rest.split_first_chunk()?;
    let metric = Metric {
        key: String::new(),
        value: f64::from_bits(u64::from_le_bytes(*value)),
        timestamp_ms: i64::from_le_bytes(*timestamp_ms),
        step: i64::from_le_bytes(*step),
    };
    Some((metric, names))
}

fn encode_pair(kind: u8, key: &str, value: &str, bytes: &mut Vec<u8>) {
    bytes.push(kind);
    bytes.extend((key.len() as u32).to_le_bytes());
    bytes.extend(key.as_bytes());
    bytes.extend(value.as_bytes());
}

fn decode_pair(bytes: &[u8]) -> Option<(String, String)> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (key, value) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((text(key)?, text(value)?))
}

fn encode_end(kind: u8, status: RunStatus, time_ms: Millis, bytes: &mut Vec<u8>) {
    bytes.push(kind);
    bytes.extend(time_ms.to_le_bytes());
    bytes.extend(status.as_str().as_bytes());
}

fn decode_end(bytes: &[u8]) -> Option<(RunStatus, Millis)> {
    let (time_ms, status) = bytes.split_first_chunk()?;
    Some((std::str::from_utf8(status).ok()?.parse().ok()?, i64::from_le_bytes(*time_ms)))
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

impl Weigh for Record {
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Metric(metric) => metric.key.len(),
                Self::Param(key, value) | Self::Tag(key, value) => key.len() + value.len(),
                Self::Input(input) => {
                    let dataset = &input.dataset;
                    let long =
                        [&dataset.schema, &dataset.profile].into_iter().flatten().map(String::len).sum::<usize>();
                    dataset.name.len() + dataset.source.len() + long
                }
                Self::ModelInput(model_id) => model_id.len(),
                Self::ModelPoint(point) => {
                    let dataset = point.dataset.as_ref().map_or(0, |dataset| dataset.name.len() + dataset.digest.len());
                    size_of::<ModelPoint>() + point.metric.key.len() + point.model_id.len() + dataset
                }
                Self::Upload(Upload::Model { files, .. }) => model_bytes(files),
                Self::Upload(Upload::Text { text, artifact_path }) => text.len() + artifact_path.len(),
                Self::Upload(Upload::File { local_file: path, folder } | Upload::Dir { local_dir: path, folder }) => {
                    path.as_os_str().len() + folder.len()
                }
                Self::End(..) | Self::Died(..) => 0,
            }
    }
}

fn model_bytes(files: &ModelFiles) -> usize {
    let texts = files.params.iter().chain(&files.tags).map(|(key, value)| key.len() + value.len());
    let point = size_of::<(String, f64, Option<DatasetName>)>();
    let points = files.metrics.iter().map(|(key, ..)| point + key.len());
    size_of::<ModelFiles>() + files.local_dir.as_os_str().len() + texts.chain(points).sum::<usize>()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Dataset;

    /// One record of each kind that a journal holds, odd values among them.
    pub(crate) fn examples() -> Vec<Record> {
        let metric = |value, step| {
            Record::Metric(Metric { key: "val/größe".into(), value, timestamp_ms: 1_700_000_000_000, step })
        };
        let model_point = |value, dataset| {
            let metric = Metric { key: "test/größe".into(), value, timestamp_ms: 7, step: -2 };
            Record::ModelPoint(Box::new(ModelPoint { metric, model_id: "m-1".into(), dataset }))
        };
        let named = DatasetName { name: "adult \"x\"".into(), digest: "d1".into() };
        let dataset = Dataset { name: "adult".into(), schema: Some("{}".into()), ..Dataset::default() };
        vec![
            metric(0.1, 3),
            metric(f64::INFINITY, i64::MAX),
            metric(-0.0, -1),
            Record::Param("lr".into(), "0.001".into()),
            Record::Param(String::new(), String::new()),
            Record::Tag("note".into(), "zwei\nZeilen \0".into()),
            Record::Input(Box::new(DatasetInput { dataset, ..DatasetInput::default() })),
            Record::ModelInput("m-1".into()),
            model_point(f64::NEG_INFINITY, None),
            model_point(0.25, Some(named)),
            Record::End(RunStatus::Failed, 12),
            Record::Died(RunStatus::Killed, i64::MIN),
        ]
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for record in examples() {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            assert_eq!(Record::decode(&bytes).as_ref(), Some(&record));
        }
    }

    #[test]
    fn a_nan_keeps_its_bits() {
        let nan = Record::Metric(Metric { key: "m".into(), value: f64::NAN, timestamp_ms: 0, step: 0 });
        let mut bytes = Vec::new();
        nan.encode(&mut bytes);
        let Some(Record::Metric(back)) = Record::decode(&bytes) else { panic!("no metric") };
        assert_eq!(back.value.to_bits(), f64::NAN.to_bits());
    }
}
