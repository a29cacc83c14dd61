//! The folder `model/` that a run leaves behind: weights, preprocessor, description. All that inference needs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dataset::DatasetInfo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::exit::Mistake;
use crate::fitting::Fitted;
use crate::history::ResultTable;
use crate::model_place::{BUNDLE, ModelPlace};
use crate::outputs::file_digests;
use crate::session::{MlflowConfig, PathsConfig, Session};

/// Layout of `bundle.json`. Raise it when a field is added or changes its meaning.
const VERSION: u32 = 2;

/// What a program tells of its network beside the weights.
pub trait Net: Serialize + DeserializeOwned {
    /// `tabular_mlp`, ..
    const MODEL_TYPE: &'static str;
}

/// `model/bundle.json`: what is needed, beside weights and preprocessor, to make the model again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Bundle<N> {
    /// Format of this file.
    version: u32,
    /// Which network: `tabular_mlp`.
    model_type: String,
    /// Shape of the network, what goes in, what comes out.
    #[serde(flatten)]
    pub net: N,
    /// Input columns in order, as MLflow's colspec.
    schema: serde_json::Value,
    /// Name and fingerprint of the training data.
    dataset: BTreeMap<String, String>,
    /// Files with weights in this folder; the predictions of several are averaged.
    weights: Vec<String>,
    /// Final metrics of each split.
    metrics: serde_json::Map<String, serde_json::Value>,
}

/// Writes the folder `model/`. `preprocessor` is JSON: from raw columns to inputs.
pub fn write_bundle<N: Net>(
    session: &Session,
    net: N,
    preprocessor: &str,
    info: &DatasetInfo,
    members: &[Fitted],
    result: &ResultTable,
) -> Result<()> {
    let file = |member: usize| match members.len() {
        1 => "model.safetensors".to_owned(),
        _ => format!("model_{}.safetensors", member + 1),
    };
    let weights: Vec<String> = (0..members.len()).map(file).collect();
    for (member, file) in members.iter().zip(&weights) {
        session.write_file(&format!("model/{file}"), |temporary| {
            fs::copy(session.in_runs(&member.weights), temporary).map(drop)
        })?;
    }
    session.write_text("model/preprocessor.json", preprocessor)?;
    session.write_text("extra_artifacts/preprocessor.json", preprocessor)?;
    let bundle = Bundle {
        version: VERSION,
        model_type: N::MODEL_TYPE.to_owned(),
        net,
        schema: serde_json::from_str(&info.schema)?,
        dataset: BTreeMap::from([
            ("name".to_owned(), info.name.clone()),
            ("digest".to_owned(), info.digest.clone()),
            ("files".to_owned(), file_digests(info)),
        ]),
        weights,
        metrics: result.metrics_json(),
    };
    session.write_text("model/bundle.json", &serde_json::to_string_pretty(&bundle)?)
}

/// A model from the folder that [`write_bundle`] wrote.
pub struct TrainedModel<N> {
    /// Shape, inputs, outputs.
    pub net: N,
    /// JSON: from raw columns to inputs.
    pub preprocessor: String,
    /// One file per member of the ensemble.
    pub weights: Vec<PathBuf>,
    /// Where it lies: `model/` of a run's output folder, or a copy of that.
    pub folder: PathBuf,
    dataset: BTreeMap<String, String>,
}

impl<N: Net> TrainedModel<N> {
    /// Finds a model, see [`ModelPlace::find`].
    pub fn find(wanted_by: &str, what: &str, mlflow: &MlflowConfig, paths: &PathsConfig) -> Result<Self> {
        Self::read(&ModelPlace::find(wanted_by, what, mlflow, paths)?.folder)
    }

    /// Reads a model's folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))
        };
        let text = read("bundle.json")?;
        let shown = folder.display();
        let not_a_model = || format!("`{}` is not the description of a model", folder.join("bundle.json").display());
        let header: Header = serde_json::from_str(&text).with_context(not_a_model)?;
        if header.version != VERSION {
            bail!(
                "the model in `{shown}` has version {}, this program reads {VERSION}; train it again",
                header.version
            );
        }
        if header.model_type != N::MODEL_TYPE {
            bail!("the model in `{shown}` is a `{}`, this program takes a `{}`", header.model_type, N::MODEL_TYPE);
        }
        let bundle: Bundle<N> = serde_json::from_str(&text).with_context(not_a_model)?;
        let weights = bundle.weights.iter().map(|file| folder.join(file)).collect();
        let (preprocessor, folder) = (read("preprocessor.json")?, folder.to_owned());
        Ok(Self { net: bundle.net, preprocessor, weights, folder, dataset: bundle.dataset })
    }

    /// Shown name of the data that it was trained with.
    pub fn dataset_name(&self) -> Option<&str> {
        self.dataset.get("name").map(String::as_str)
    }

    /// Fingerprint of the data that it was trained with, and of their split.
    pub fn dataset_digest(&self) -> Option<&str> {
        self.dataset.get("digest").map(String::as_str)
    }

    /// Another split of the file that a model has learnt from has test rows that it has seen.
    pub fn check_unseen_test(&self, info: &DatasetInfo) -> Result<(), Mistake> {
        let known = |key: &str| self.dataset.get(key);
        let is_same_file = known("files").is_some_and(|files| *files == file_digests(info));
        if is_same_file && known("digest") != Some(&info.digest) {
            let problem = "`init_from`: the model has learnt from another split of this file, so it has seen test rows";
            return Err(Mistake::new(problem).hint("use the seed of its run, or new rows"));
        }
        Ok(())
    }
}

/// What training has said of the model in a folder: `val_auc`, ..
pub fn read_metrics(folder: &Path) -> Result<BTreeMap<String, f64>> {
    #[derive(Deserialize)]
    struct Figures {
        metrics: BTreeMap<String, Option<f64>>,
    }
    let path = folder.join(BUNDLE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let figures: Figures = serde_json::from_str(&text)
        .with_context(|| format!("`{}` is not the description of a model", path.display()))?;
    Ok(figures.metrics.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// What is looked at before the rest is understood.
#[derive(Deserialize)]
struct Header {
    version: u32,
    model_type: String,
}
