//! What `tune` can be told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tuning::{PruneConfig, RetryConfig, SearchConfig};

use crate::console::LoggingConfig;
use crate::kind::RunKind;
use crate::program::{self, ProgramConfig, TrainingProgram};
use crate::session::{MlflowConfig, PathsConfig};

/// Everything that a run of `tune` can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name of the study in its database. A new run of the same study gets a number after it.
    pub study: String,
    /// Whose config is tuned.
    pub recipe: Recipe,
    /// The config that is tuned: all that the space does not name stays as it is there.
    pub base: PathBuf,
    /// `KEY=VALUE`, laid over the base config as `--set` does it: `training.epochs=5`.
    pub set: Vec<String>,
    /// One metric of the valid rows, or two for a Pareto front: `val_auc`. Also `n_params` and `seconds`, less being better.
    /// Which way a metric is better is known. Empty for the one that the base config monitors.
    pub metrics: Vec<String>,
    /// The keys that are tried, with their values.
    pub space: BTreeMap<String, ParamConfig>,
    /// Points to try first: `{}` is the base config itself, where the space has its values; what a point leaves out is proposed.
    pub start: Vec<BTreeMap<String, Value>>,
    /// How values are proposed.
    pub search: SearchConfig,
    /// Trials without hope end early, as their epochs say.
    pub prune: PruneConfig,
    /// Trials of the study, over all workers and resumed runs.
    pub n_trials: u32,
    /// No new trial begins after this time; null for no limit.
    pub timeout_minutes: Option<f64>,
    /// Failed trials after which the study ends with an error; null for no limit.
    pub max_failures: Option<u32>,
    /// Trials without a better value after which no new one begins; null for no limit.
    pub patience: Option<u32>,
    /// Score each trial on this many folds of the train and valid rows in place of the valid rows; the mean counts.
    pub folds: Option<usize>,
    /// Networks that are trained for each trial (and fold), each from another seed; the mean counts.
    pub seeds: usize,
    /// How many trials run at once, on how many threads.
    pub workers: WorkersConfig,
    /// The database of the study, in Optuna's schema: `sqlite:///FILE`, or `postgresql://USER:PASSWORD@HOST/DATABASE` for
    /// workers on many machines.
    pub storage: String,
    /// Trials of workers that have died.
    pub retry: RetryConfig,
    /// Train the winner anew, as the base config's own program does it: with fresh seeds, scored once on the test rows, with a model.
    pub refit_best: bool,
    /// `KEY=VALUE`, laid over the winner's config for the refit: more epochs than the trials had, say.
    pub refit_set: Vec<String>,
    /// Name in the registry for the refitted model; null for none.
    pub register_as: Option<String>,
    /// Threads of all trials together; null for one per core.
    pub threads: Option<usize>,
    /// Tracking.
    pub mlflow: MlflowConfig,
    /// Folders.
    pub paths: PathsConfig,
    /// Log file.
    pub logging: LoggingConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            study: "study".to_owned(),
            recipe: Recipe::TabularMlp,
            base: PathBuf::from("configs/train_tabular_baseline.yaml"),
            set: Vec::new(),
            metrics: Vec::new(),
            space: BTreeMap::new(),
            start: Vec::new(),
            search: SearchConfig::default(),
            prune: PruneConfig::default(),
            n_trials: 30,
            timeout_minutes: None,
            max_failures: Some(10),
            patience: None,
            folds: None,
            seeds: 1,
            workers: WorkersConfig::default(),
            storage: "sqlite:///tune.db".to_owned(),
            retry: RetryConfig::default(),
            refit_best: true,
            refit_set: Vec::new(),
            register_as: None,
            threads: None,
            mlflow: MlflowConfig::default(),
            paths: PathsConfig::default(),
            logging: LoggingConfig::default(),
        }
    }
}

/// The program whose config is tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    /// `train_tabular_mlp`
    TabularMlp,
    /// `train_ts_mlp`
    TsMlp,
}

/// Values of one key: exactly one of `float`, `int`, `choice` and `constant`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ParamConfig {
    /// Numbers from the first to the second, both included.
    pub float: Option<[f64; 2]>,
    /// Whole numbers from the first to the second, both included.
    pub int: Option<[i64; 2]>,
    /// One of these, of any kind, lists too.
    pub choice: Option<Vec<Value>>,
    /// Always this: the same as in `set`, where it belongs to the space.
    pub constant: Option<Value>,
    /// Drawn evenly on the logarithmic scale.
    pub log: bool,
    /// Only the lower bound plus multiples of this.
    pub step: Option<f64>,
    /// Tried only while other keys of the space have these values (or one of a list); otherwise it stays as in the base config.
    pub when: BTreeMap<String, Value>,
}

/// The `workers:` section.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkersConfig {
    /// Trials at once, in this process; null for one per thread. With one, a study repeats bit for bit; with more, what is
    /// proposed depends on which trial ends first.
    pub trials: Option<usize>,
}

impl ProgramConfig for Config {
    const PROGRAM: &'static str = "tune";

    fn check(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, reason: String| Err((key.to_owned(), reason));
        let positive = |minutes: &f64| *minutes > 0.0;
        if self.study.is_empty() || self.study.len() > 200 {
            return wrong("study", "a study needs a name of at most 200 bytes".to_owned());
        }
        match self.n_trials {
            0 => return wrong("n_trials", "there must be at least 1".to_owned()),
            n if n > 1_000_000 => return wrong("n_trials", format!("`{n}` is not between 1 and 1000000")),
            _ => {}
        }
        if !(1..=100).contains(&self.seeds) {
            return wrong("seeds", format!("`{}` is not between 1 and 100", self.seeds));
        }
        if let Some(folds) = self.folds.filter(|folds| !(2..=100).contains(folds)) {
            return wrong("folds", format!("`{folds}` is not between 2 and 100"));
        }
        if let Some(minutes) = self.timeout_minutes.filter(|minutes| !positive(minutes)) {
            return wrong("timeout_minutes", format!("`{minutes}` is not more than 0"));
        }
        if let Some(trials) = self.workers.trials.filter(|trials| !(1..=256).contains(trials)) {
            return wrong("workers.trials", format!("`{trials}` is not between 1 and 256"));
        }
        if self.metrics.len() > 2 {
            return wrong("metrics", "one metric, or two for a Pareto front".to_owned());
        }
        self.check_pruning()?;
        program::check_threads(self.threads)?;
        self.mlflow.check().map_err(|(key, reason)| (format!("mlflow.{key}"), reason))
    }

    fn run_name(&self) -> String {
        self.mlflow.run_name.clone().unwrap_or_else(|| format!("tune__study={}", self.study))
    }

    fn tags(&self) -> Vec<(&'static str, String)> {
        vec![RunKind::Tune.tag(), ("study", self.study.clone())]
    }

    fn mlflow(&self) -> &MlflowConfig {
        &self.mlflow
    }

    fn paths(&self) -> &PathsConfig {
        &self.paths
    }

    fn logging(&self) -> &LoggingConfig {
        &self.logging
    }
}

impl Config {
    fn check_pruning(&self) -> Result<(), (String, String)> {
        if self.prune.name == tuning::PrunerKind::None {
            return Ok(());
        }
        if self.metrics.len() > 1 {
            let reason = "a trial with two metrics cannot be pruned; set `prune.name: none`";
            return Err(("prune.name".to_owned(), reason.to_owned()));
        }
        if self.prune.min == 0 {
            return Err(("prune.min".to_owned(), "a trial needs at least 1 epoch to be judged".to_owned()));
        }
        if self.prune.factor < 2 {
            return Err(("prune.factor".to_owned(), format!("`{}` is not 2 or more", self.prune.factor)));
        }
        Ok(())
    }
}

impl TrainingProgram for Config {
    fn has_nested_trainings(&self) -> bool {
        true
    }
}
