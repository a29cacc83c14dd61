//! What `evaluate` can be told.

use std::path::PathBuf;

use evaluation::gates::Gate;
use evaluation::threshold::Goal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::console::LoggingConfig;
use crate::kind::RunKind;
use crate::program::{self, ProgramConfig};
use crate::session::{MlflowConfig, PathsConfig};

/// Everything that a run of `evaluate` can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The model: a run's id, a folder, `models:/NAME@ALIAS`, `models:/NAME/VERSION` or `runs:/RUN_ID/model`; null for the
    /// newest one below `paths.models_dir`.
    pub model: Option<String>,
    /// Rows to judge it on, with the target among them; null for the test rows of its own run.
    pub data: Option<PathBuf>,
    /// A file of predictions in place of a model: columns `y_test`, `y_pred` and, for classes, `y_proba` (of class 1) or
    /// `y_proba_<class>`. Other columns are slices.
    pub predictions: Option<PathBuf>,
    /// The metric that slices, columns and reference models are compared by; null for the first of the kind (`auc`,
    /// `rmse`, `mae`).
    pub metric: Option<String>,
    /// How sure each figure is.
    pub intervals: IntervalsConfig,
    /// Two classes: how the threshold is chosen, on validation rows only.
    pub operating_point: Goal,
    /// Parts of the rows to look at by themselves.
    pub slices: SlicesConfig,
    /// How much the model relies on each column.
    pub importance: ImportanceConfig,
    /// Requirements, such as `test_auc >= 0.80` or `slice sex=Female test_auc >= 0.78`; one that does not hold makes the
    /// program fail.
    pub gates: Vec<Gate>,
    /// Name in the registry that `@champion` in a gate belongs to; null for that of `model`.
    pub registered_model: Option<String>,
    /// What the model card says beside the figures.
    pub card: CardConfig,
    /// Seed of the bootstrap and of shuffled columns.
    pub seed: u64,
    /// Threads to compute with; null for one per core. The result is the same with any number.
    pub threads: Option<usize>,
    /// Tracking.
    pub mlflow: MlflowConfig,
    /// Folders.
    pub paths: PathsConfig,
    /// Log file.
    pub logging: LoggingConfig,
}

/// The `intervals:` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IntervalsConfig {
    /// Bootstrap draws.
    pub samples: usize,
    /// Share that an interval is to hold.
    pub level: f64,
}

impl Default for IntervalsConfig {
    fn default() -> Self {
        Self { samples: 1000, level: 0.95 }
    }
}

/// The `slices:` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SlicesConfig {
    /// Columns whose values make slices; null for all input columns, an empty list for none.
    pub columns: Option<Vec<String>>,
    /// Levels of a text column; rarer ones are taken together.
    pub max_levels: usize,
    /// Quantile bins of a column of numbers.
    pub bins: usize,
    /// Smaller slices are not scored.
    pub min_rows: usize,
}

impl Default for SlicesConfig {
    fn default() -> Self {
        Self { columns: None, max_levels: 8, bins: 4, min_rows: 30 }
    }
}

/// The `importance:` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImportanceConfig {
    /// How often each column is shuffled; 0 for no permutation importance.
    pub repeats: usize,
    /// Of more rows evenly spread ones are taken.
    pub max_rows: usize,
    /// Partial dependence is drawn for so many of the most important columns.
    pub dependence_columns: usize,
}

impl Default for ImportanceConfig {
    fn default() -> Self {
        Self { repeats: 5, max_rows: 2000, dependence_columns: 6 }
    }
}

/// The `card:` section. Markdown; an empty text is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CardConfig {
    /// What the model is for.
    pub intended_use: String,
    /// What it must not be used for.
    pub out_of_scope_use: String,
    /// What is known to be weak.
    pub limitations: String,
    /// Who or what may be harmed, and what was done about it.
    pub ethical_considerations: String,
    /// Who answers questions.
    pub contact: String,
    /// Under which terms it may be used.
    pub licence: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model: None,
            data: None,
            predictions: None,
            metric: None,
            intervals: IntervalsConfig::default(),
            operating_point: Goal::F1,
            slices: SlicesConfig::default(),
            importance: ImportanceConfig::default(),
            gates: Vec::new(),
            registered_model: None,
            card: CardConfig::default(),
            seed: 42,
            threads: None,
            mlflow: MlflowConfig::default(),
            paths: PathsConfig::default(),
            logging: LoggingConfig::default(),
        }
    }
}

impl ProgramConfig for Config {
    const PROGRAM: &'static str = "evaluate";

    fn check(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, problem: &str| Err((key.to_owned(), problem.to_owned()));
        if self.predictions.is_some() && (self.model.is_some() || self.data.is_some()) {
            return wrong("predictions", "a file of predictions is judged without `model` and `data`");
        }
        if !(10..=100_000).contains(&self.intervals.samples) {
            return wrong("intervals.samples", "it must be between 10 and 100000");
        }
        if !(self.intervals.level > 0.0 && self.intervals.level < 1.0) {
            return wrong("intervals.level", "it must be between 0 and 1, like 0.95");
        }
        let sizes = [
            ("slices.max_levels", self.slices.max_levels, 1),
            ("slices.bins", self.slices.bins, 2),
            ("slices.min_rows", self.slices.min_rows, 2),
            ("importance.max_rows", self.importance.max_rows, 10),
        ];
        if let Some((key, _, least)) = sizes.iter().find(|(_, size, least)| size < least) {
            return wrong(key, &format!("it must be at least {least}"));
        }
        if let Err(problem) = self.operating_point.check() {
            return wrong("operating_point", &problem);
        }
        program::check_threads(self.threads)?;
        self.mlflow.check().map_err(|(key, reason)| (format!("mlflow.{key}"), reason))
    }

    /// `evaluate__tabular_mlp__dataset=adult__seed=42`
    fn run_name(&self) -> String {
        let of_path = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let what = self.predictions.as_ref().map(of_path).or_else(|| self.model.clone()).unwrap_or_default();
        self.mlflow.run_name.clone().unwrap_or_else(|| format!("evaluate__{what}"))
    }

    fn tags(&self) -> Vec<(&'static str, String)> {
        vec![RunKind::Evaluate.tag()]
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
