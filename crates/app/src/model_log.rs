//! A run's folder `model/` as MLflow 3 logs models.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use tracking::{DatasetName, ModelFiles};

/// What `bundle.json` says that a reader of MLflow's page of the model wants to know.
#[derive(Deserialize)]
struct Facts {
    model_type: String,
    #[serde(default)]
    dataset: BTreeMap<String, String>,
    #[serde(default)]
    metrics: BTreeMap<String, Option<f64>>,
}

/// The model in a folder with a `bundle.json`; none in any other. Its metrics belong to the data set that it has learnt from:
/// the digest has the split in it.
pub fn model_files(folder: &Path, mut params: BTreeMap<String, String>) -> Option<ModelFiles> {
    let text = fs::read_to_string(folder.join("bundle.json")).ok()?;
    let Facts { model_type, dataset, metrics } = serde_json::from_str(&text).ok()?;
    let name_of = |key: &str| dataset.get(key).cloned();
    params.insert("model_type".to_owned(), model_type.clone());
    params.extend(name_of("name").map(|name| ("dataset_name".to_owned(), name)));
    params.extend(name_of("digest").map(|digest| ("dataset_digest".to_owned(), digest)));
    let rows = name_of("name").zip(name_of("digest")).map(|(name, digest)| DatasetName { name, digest });
    // Train rows are scored otherwise while the model learns than at the end.
    let is_shown = |key: &String| key.starts_with("val_") || key.starts_with("test_");
    let metrics = metrics.into_iter().filter(|(key, _)| is_shown(key));
    let metrics = metrics.filter_map(|(key, value)| Some((key, value?, rows.clone())));
    Some(ModelFiles { model_type, params, metrics: metrics.collect(), ..ModelFiles::new(folder) })
}
