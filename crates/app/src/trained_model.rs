//! A model from the folder that a run left behind.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dataset::Preprocessor;

use crate::exit::Mistake;
use crate::outputs::{BUNDLE_VERSION, Bundle};
use crate::recipes::tabular_mlp::Config;
use crate::resume::find_folder;

/// What `outputs::write_bundle` wrote.
pub struct TrainedModel {
    /// Shape, inputs, task.
    pub bundle: Bundle,
    /// From raw columns to inputs.
    pub preprocessor: Preprocessor,
    /// One file per member of the ensemble.
    pub weights: Vec<PathBuf>,
}

impl TrainedModel {
    /// Finds a model by the id of its run, the run's output folder, or the folder with the `bundle.json`.
    pub fn find(what: &str, config: &Config) -> Result<Self> {
        let folder = match Path::new(what) {
            path if path.join("bundle.json").is_file() => path.to_owned(),
            _ => {
                let places = || Ok((config.mlflow.clone(), config.paths.clone()));
                find_folder(what, places).context("`init_from`")?.join("model")
            }
        };
        if !folder.join("bundle.json").is_file() {
            let problem = format!("`init_from: {what}`: no model in `{}`", folder.display());
            return Err(Mistake::new(problem)
                .hint("the run must have finished; `--resume` goes on with one that has not")
                .into());
        }
        Self::read(&folder)
    }

    /// Reads a model's folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))
        };
        let bundle = folder.join("bundle.json");
        let bundle: Bundle = serde_json::from_str(&read("bundle.json")?)
            .with_context(|| format!("`{}` is not the description of a model", bundle.display()))?;
        if bundle.version != BUNDLE_VERSION {
            let (folder, version) = (folder.display(), bundle.version);
            bail!("the model in `{folder}` has version {version}, this program reads {BUNDLE_VERSION}; train it again");
        }
        let preprocessor = Preprocessor::from_json(&read("preprocessor.json")?)?;
        let weights = bundle.weights.iter().map(|file| folder.join(file)).collect();
        Ok(Self { bundle, preprocessor, weights })
    }
}
