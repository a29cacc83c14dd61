//! What `compare_runs` can be told.

use evaluation::gates::Gate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracking::{RunStatus, ViewType};

use crate::console::LoggingConfig;
use crate::kind::RunKind;
use crate::program::{self, ProgramConfig};
use crate::session::{MlflowConfig, PathsConfig};

/// Everything that `compare_runs` can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Experiments to look in; empty for all.
    pub experiments: Vec<String>,
    /// Metrics to show, with or without `metrics.`; the first one ranks. Empty for what the newest run was stopped by.
    pub metrics: Vec<String>,
    /// Which value is best; null for what is known of the metric.
    pub best: Option<Best>,
    /// MLflow filter, such as `params.model.dropout = '0.2' and metrics.val_auc > 0.8`.
    pub filter: String,
    /// Which runs take part; empty for all.
    pub kinds: Vec<RunKind>,
    /// How they have ended; empty for any way.
    #[schemars(with = "Vec<String>")]
    pub statuses: Vec<RunStatus>,
    /// `active`, `deleted` or `all`.
    pub view: View,
    /// Runs that started before this are left out: `7d`, `12h`, `30m`, a date or a time such as `2026-05-01T12:00`.
    pub since: Option<String>,
    /// So many of the best are shown and compared.
    pub top: usize,
    /// Columns of the table, such as `name`, `age`, `metrics.test_auc`, `params.model.dropout`, `tags.mlflow.user`; null for a
    /// choice that fits.
    pub columns: Option<Vec<String>>,
    /// Runs that agree in this param are taken together; `seed`: those that differ in nothing but their seeds.
    pub group_by: Option<String>,
    /// How sure a difference is.
    pub statistics: StatisticsConfig,
    /// Alias of the model that is in use, by which the others are measured.
    pub champion: String,
    /// Registered model whose champion is meant; null for any that the runs belong to.
    pub registered_model: Option<String>,
    /// Requirements of a model that is registered, such as `test_auc >= 0.80`, as `evaluate` has them.
    pub gates: Vec<Gate>,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// Threads to compute with; null for one per core. The result is the same with any number.
    pub threads: Option<usize>,
    /// Where the runs are, and where a decision is logged.
    pub mlflow: MlflowConfig,
    /// Folders.
    pub paths: PathsConfig,
    /// Log file.
    pub logging: LoggingConfig,
}

/// Which value of a metric is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Best {
    /// The greatest, as of an accuracy.
    Highest,
    /// The least, as of an error.
    Lowest,
}

impl Best {
    /// Whether `a` is better than `b`.
    pub fn is_better(self, a: f64, b: f64) -> bool {
        match self {
            Self::Highest => a > b,
            Self::Lowest => a < b,
        }
    }
}

/// Which runs, by whether they are in the bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Not in the bin.
    Active,
    /// In the bin.
    Deleted,
    /// Both.
    All,
}

impl From<View> for ViewType {
    fn from(view: View) -> Self {
        match view {
            View::Active => Self::ActiveOnly,
            View::Deleted => Self::DeletedOnly,
            View::All => Self::All,
        }
    }
}

/// The `statistics:` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StatisticsConfig {
    /// Look at the runs' stored predictions. Without, runs are ranked and nothing is said of chance.
    pub enabled: bool,
    /// Bootstrap draws.
    pub samples: usize,
    /// Share that an interval is to hold; a difference counts if its corrected p-value is below what is left.
    pub level: f64,
}

impl Default for StatisticsConfig {
    fn default() -> Self {
        Self { enabled: true, samples: 2000, level: 0.95 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            experiments: Vec::new(),
            metrics: Vec::new(),
            best: None,
            filter: String::new(),
            kinds: vec![RunKind::Train, RunKind::Refit],
            statuses: vec![RunStatus::Finished],
            view: View::Active,
            since: None,
            top: 20,
            columns: None,
            group_by: None,
            statistics: StatisticsConfig::default(),
            champion: "champion".to_owned(),
            registered_model: None,
            gates: Vec::new(),
            seed: 42,
            threads: None,
            mlflow: MlflowConfig { experiment_name: "promotions".to_owned(), ..MlflowConfig::default() },
            paths: PathsConfig::default(),
            logging: LoggingConfig::default(),
        }
    }
}

impl ProgramConfig for Config {
    const PROGRAM: &'static str = "compare_runs";

    fn check(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, problem: &str| Err((key.to_owned(), problem.to_owned()));
        if !(1..=50_000).contains(&self.top) {
            return wrong("top", &format!("`{}` is not between 1 and 50000", self.top));
        }
        if !(10..=1_000_000).contains(&self.statistics.samples) {
            return wrong("statistics.samples", "it must be between 10 and 1000000");
        }
        if !(self.statistics.level > 0.0 && self.statistics.level < 1.0) {
            return wrong("statistics.level", "it must be between 0 and 1, like 0.95");
        }
        tracking::filter::Filter::parse(&self.filter).map_err(|error| ("filter".to_owned(), error.to_string()))?;
        if let Some(since) = &self.since {
            super::select::since_ms(since).map_err(|problem| ("since".to_owned(), problem))?;
        }
        program::check_threads(self.threads)?;
        self.mlflow.check().map_err(|(key, reason)| (format!("mlflow.{key}"), reason))
    }

    /// Of a decision.
    fn run_name(&self) -> String {
        self.mlflow.run_name.clone().unwrap_or_else(|| "promotion".to_owned())
    }

    fn tags(&self) -> Vec<(&'static str, String)> {
        vec![RunKind::Promotion.tag()]
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
