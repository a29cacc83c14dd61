//! What `drift` can be told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use evaluation::drift::Thresholds;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Role;
use crate::console::LoggingConfig;
use crate::kind::RunKind;
use crate::program::{self, ProgramConfig};
use crate::session::{MlflowConfig, PathsConfig};

/// Everything that a run of `drift` can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The model: a run's id, a folder, `models:/NAME@ALIAS`, `models:/NAME/VERSION` or `runs:/RUN_ID/model`; null for the
    /// newest one of a table below `paths.models_dir`.
    pub model: Option<String>,
    /// Current rows, with or without the target; null for the test rows of the model's own run, which should not differ.
    pub data: Option<PathBuf>,
    /// Rows to compare with; null for the model's profile of the rows that it was trained on.
    pub reference: Option<PathBuf>,
    /// From which size on a difference counts.
    pub thresholds: Thresholds,
    /// Other limits for single columns, by name: inputs, the target, `y_pred` or `y_proba`.
    pub columns: BTreeMap<String, ColumnThresholds>,
    /// Columns that are measured and shown, but not judged.
    pub ignore: Vec<String>,
    /// What makes the program fail: more than `thresholds.drifted_share` of the inputs have drifted, or the predictions have,
    /// or the target has.
    pub alarms: Vec<Role>,
    /// Bars in the picture of a column of numbers.
    pub bins: usize,
    /// Threads to compute with; null for one per core. The result is the same with any number.
    pub threads: Option<usize>,
    /// Tracking.
    pub mlflow: MlflowConfig,
    /// Folders.
    pub paths: PathsConfig,
    /// Log file.
    pub logging: LoggingConfig,
}

/// Limits of one column; null for that of `thresholds`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnThresholds {
    /// PSI from which the column is worth watching.
    pub psi_watch: Option<f64>,
    /// Population stability index.
    pub psi: Option<f64>,
    /// Jensen-Shannon distance, 0 to 1.
    pub jensen_shannon: Option<f64>,
    /// Statistic of Kolmogorov and Smirnov, 0 to 1.
    pub kolmogorov_smirnov: Option<f64>,
    /// Wasserstein distance in standard deviations of the reference.
    pub wasserstein: Option<f64>,
    /// Change of the share of missing values, either way.
    pub missing_share: Option<f64>,
    /// Share of rows with a level that the reference does not have, or a number outside of its range.
    pub unseen_share: Option<f64>,
    /// A distance counts only if chance alone gives one as large less often than this.
    pub significance: Option<f64>,
}

impl ColumnThresholds {
    /// These limits, and those of `all` where there is none. A limit for PSI below the one for watching takes it along.
    pub fn over(&self, all: &Thresholds) -> Thresholds {
        let psi = self.psi.or(all.psi);
        let watch = all.psi_watch.filter(|watch| psi.is_none_or(|psi| *watch <= psi));
        Thresholds {
            psi_watch: self.psi_watch.or(watch),
            psi,
            jensen_shannon: self.jensen_shannon.or(all.jensen_shannon),
            kolmogorov_smirnov: self.kolmogorov_smirnov.or(all.kolmogorov_smirnov),
            wasserstein: self.wasserstein.or(all.wasserstein),
            missing_share: self.missing_share.or(all.missing_share),
            unseen_share: self.unseen_share.or(all.unseen_share),
            significance: self.significance.or(all.significance),
            drifted_share: all.drifted_share,
        }
    }
}

impl Config {
    /// The limits of a column.
    pub fn thresholds_of(&self, column: &str) -> Thresholds {
        self.columns.get(column).map_or_else(|| self.thresholds.clone(), |own| own.over(&self.thresholds))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model: None,
            data: None,
            reference: None,
            thresholds: Thresholds::default(),
            columns: BTreeMap::new(),
            ignore: Vec::new(),
            alarms: Role::ALL.to_vec(),
            bins: 20,
            threads: None,
            mlflow: MlflowConfig::default(),
            paths: PathsConfig::default(),
            logging: LoggingConfig::default(),
        }
    }
}

impl ProgramConfig for Config {
    const PROGRAM: &'static str = "drift";

    fn check(&self) -> Result<(), (String, String)> {
        self.thresholds.check().map_err(|(key, problem)| (format!("thresholds.{key}"), problem))?;
        for column in self.columns.keys() {
            let limits = self.thresholds_of(column);
            limits.check().map_err(|(key, problem)| (format!("columns.{column}.{key}"), problem))?;
        }
        if !(2..=200).contains(&self.bins) {
            return Err(("bins".to_owned(), format!("`{}` is not between 2 and 200", self.bins)));
        }
        program::check_threads(self.threads)?;
        self.mlflow.check().map_err(|(key, reason)| (format!("mlflow.{key}"), reason))
    }

    /// `drift__adult_new`
    fn run_name(&self) -> String {
        let of_path = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let what = self.data.as_ref().map(of_path).or_else(|| self.model.clone()).unwrap_or_default();
        self.mlflow.run_name.clone().unwrap_or_else(|| format!("drift__{what}"))
    }

    fn tags(&self) -> Vec<(&'static str, String)> {
        vec![RunKind::Drift.tag()]
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
