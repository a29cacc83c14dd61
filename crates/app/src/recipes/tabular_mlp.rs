//! Trains an MLP on the rows of a table: data -> model -> loop -> result.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::module::Module;
use dataset::{CrossValidationConfig, DataConfig, FeaturesConfig, Preprocessor, Source};
use modeling::baselines::{BaselineConfig, BaselineKind};
use modeling::{TabularMlp, TabularMlpConfig, Task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use training::TrainingConfig;

use crate::bundle::{TrainedModel, write_bundle};
use crate::cli::{RunFlags, TabularFlags};
use crate::console::LoggingConfig;
use crate::device::{DeviceKind, use_threads};
use crate::export;
use crate::fitting::{Learner, fit_members, suggest_learning_rate};
use crate::history::ResultTable;
use crate::kind::RunKind;
use crate::plots::plot_comparison;
use crate::program::{self, ProgramConfig, TrainingProgram, wrong_setting};
use crate::session::{MlflowConfig, PathsConfig, Session};
use crate::tabular::baselines::fit_classical;
use crate::tabular::cross_validation::cross_validate;
use crate::tabular::importance::measure_importance;
use crate::tabular::interval::Interval;
use crate::tabular::job::{TabularJob, check_fits, shown_metric};
use crate::tabular::outputs::{self, TabularNet};
use crate::tabular::plots::plot_test;
use crate::tabular::scoring::Scores;

/// Config file that the program takes when none is given.
pub const DEFAULT_CONFIG: &str = "configs/train_tabular_baseline.yaml";

/// Everything that a run of `train_tabular_mlp` can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seed of the split, the weights, dropout and the order of rows: the same seed gives the same run, bit for bit.
    pub seed: u64,
    /// Which rows, which target, how they are split.
    pub data: DataConfig,
    /// How columns become inputs.
    pub features: FeaturesConfig,
    /// The network.
    pub model: TabularMlpConfig,
    /// The loop.
    pub training: TrainingConfig,
    /// How many networks are trained, each from another seed; their probabilities (or values) are averaged.
    pub ensemble: usize,
    /// Regression: share of the actual values that the intervals `y_lower` to `y_upper` are to hold; their width comes from
    /// the errors on valid rows (split conformal). null for none.
    pub interval_coverage: Option<f64>,
    /// k-fold cross-validation beside the run's own training, each fold as a nested run; null for none. A fold trains one
    /// network, and its best epoch is chosen on the rows that it is scored by.
    pub cv: Option<CrossValidationConfig>,
    /// A model to train on, with new data: a run's id, its output folder, or a folder with a `bundle.json`. Network,
    /// columns, encoding and target are the model's; `model` and `features` of this file are not used.
    pub init_from: Option<String>,
    /// Classical models to see the network beside, each as a nested run.
    pub baselines: Vec<BaselineKind>,
    /// Settings of the baselines.
    pub baseline_options: BaselineConfig,
    /// Tracking.
    pub mlflow: MlflowConfig,
    /// Folders.
    pub paths: PathsConfig,
    /// Log file.
    pub logging: LoggingConfig,
    /// Draw the learning-rate range test before training (`plots/learning_rate_finder`); the rate itself stays as set.
    pub find_learning_rate: bool,
    /// Where tensors live.
    pub device: DeviceKind,
    /// Threads for training; null for one per core. The result is the same with any number.
    pub threads: Option<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 42,
            data: DataConfig::default(),
            features: FeaturesConfig::default(),
            model: TabularMlpConfig::default(),
            training: TrainingConfig::default(),
            ensemble: 1,
            interval_coverage: Some(0.9),
            cv: None,
            init_from: None,
            baselines: Vec::new(),
            baseline_options: BaselineConfig::default(),
            mlflow: MlflowConfig::default(),
            paths: PathsConfig::default(),
            logging: LoggingConfig::default(),
            find_learning_rate: false,
            device: DeviceKind::Auto,
            threads: None,
        }
    }
}

impl ProgramConfig for Config {
    const PROGRAM: &'static str = "train_tabular_mlp";

    fn check(&self) -> Result<(), (String, String)> {
        self.data.check().and_then(|()| self.features.check()).map_err(wrong_setting)?;
        self.cv.as_ref().map_or(Ok(()), CrossValidationConfig::check).map_err(wrong_setting)?;
        if self.init_from.is_some() && self.cv.is_some() {
            return Err(("cv".to_owned(), "a fold would be scored on rows that `init_from` has seen".to_owned()));
        }
        program::check_threads(self.threads)?;
        program::check_ensemble(self.ensemble)?;
        program::check_coverage(self.interval_coverage)?;
        self.baseline_options.check().map_err(|error| ("baseline_options".to_owned(), error.to_string()))?;
        self.model.check().map_err(|(key, reason)| (format!("model.{key}"), reason))?;
        self.training.check().map_err(|(key, reason)| (format!("training.{key}"), reason))?;
        self.mlflow.check().map_err(|(key, reason)| (format!("mlflow.{key}"), reason))?;
        self.device.check().map_err(|(key, reason)| (key.to_owned(), reason))
    }

    /// `tabular_mlp__dataset=adult__seed=42`
    fn run_name(&self) -> String {
        let default = || format!("tabular_mlp__dataset={}__seed={}", self.data.display_name(), self.seed);
        self.mlflow.run_name.clone().unwrap_or_else(default)
    }

    fn tags(&self) -> Vec<(&'static str, String)> {
        vec![
            RunKind::Train.tag(),
            ("model_type", TabularJob::MODEL_TYPE.to_owned()),
            ("dataset_name", self.data.display_name()),
        ]
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

impl TrainingProgram for Config {
    fn has_nested_trainings(&self) -> bool {
        self.ensemble > 1 || self.cv.is_some()
    }
}

/// The program: loads the config, then trains inside a tracked session.
pub fn main(file: &Path, flags: &RunFlags, own: &TabularFlags) -> Result<()> {
    let settle = |config: &mut Config| {
        if let Some(model) = start_of(config)? {
            config.model = model.net.model;
        }
        Ok(())
    };
    program::train(file, flags, own.overrides(), settle, train)
}

/// The model of `init_from`.
fn start_of(config: &Config) -> Result<Option<TrainedModel<TabularNet>>> {
    let find = |from: &String| TrainedModel::find("init_from", from, &config.mlflow, &config.paths);
    config.init_from.as_ref().map(find).transpose()
}

/// Trains, and leaves everything in the session's run and output folder. Gives the final metrics of each split.
pub fn train(config: &Config, session: &Session) -> Result<ResultTable> {
    let console = &session.console;

    // Data
    use_threads(config.threads)?;
    let device = config.device.open(console)?;
    let start = start_of(config)?;
    let source = open_data(config, start.as_ref(), session)?;
    outputs::report_data(session, &source)?;
    if let Some(cv) = &config.cv {
        cross_validate(cv, &source, (&config.model, &config.training), config.seed, &device, session)?;
    }
    let profile = source.profile()?;
    let mut splits = source.splits()?;
    outputs::record_data(session, &splits)?;
    start.as_ref().map_or(Ok(()), |start| start.check_unseen_test(&splits.info))?;
    check_fits(&config.training, &splits)?;
    let shown = shown_metric(&config.training, &splits);
    let (kinds, options) = (&config.baselines, &config.baseline_options);
    let baselines = fit_classical(kinds, options, &splits, (config.seed, shown.0), session)?;

    // Model
    let weights = start.as_ref().map_or(&[][..], |start| &start.weights);
    let job =
        TabularJob { init_from: weights, ..TabularJob::new(&config.model, &config.training, &mut splits, &device)? };
    let n_params = job.init(config.seed)?.num_params();
    session.write_text("model_summary.txt", &outputs::model_summary(&job))?;
    session.log_model_param("n_params", &n_params.to_string());
    session.log_model_param("loss_function", job.loss_name());
    console.note(&format!("model: {n_params} parameters"));

    // Loop
    if config.find_learning_rate && session.logged.epochs.is_empty() {
        suggest_learning_rate(&job, config.seed, session)?;
    }
    let members = fit_members(&job, config.ensemble, config.seed, session)?;

    // Result: the best epochs' weights, the test rows scored once
    let models = members
        .iter()
        .map(|member| job.load(&session.in_runs(&member.weights)))
        .collect::<Result<Vec<TabularMlp>>>()?;
    let [train, valid, test] = job.score(&models);
    session.log_metrics(&test.metrics.named("test"), members[0].best_epoch);
    let interval = calibrate(config.interval_coverage, &job, [&valid, &test], members[0].best_epoch, session);
    let scores = [("train", &train.metrics), ("val", &valid.metrics), ("test", &test.metrics)];
    let result = ResultTable::new(("mlp", shown.0), &scores, &members, baselines);
    plot_test(session, &job, &test)?;
    plot_comparison(session, &result, shown, &format!("{} test rows", job.splits.test.n_rows()))?;
    measure_importance(&job, &models, config.seed, session)?;
    outputs::write_class_report(session, &job, &test)?;
    outputs::write_predictions(session, &job, &test, interval.as_ref())?;
    outputs::write_validation(session, &job, &valid)?;
    outputs::write_profile(session, &job, profile, &valid)?;
    let preprocessor = job.splits.preprocessor.to_json()?;
    write_bundle(session, TabularNet::of(&job, &config.data, interval), &preprocessor, job.info(), &members, &result)?;
    let exported = outputs::export(&job, &models, &config.data);
    export::write(session, TabularJob::MODEL_TYPE, &exported, job.info())?;
    console.stop_if_interrupted()?;
    Ok(result)
}

/// Intervals of a regression as wide as the errors on valid rows say; how much they cover is measured on the test rows.
fn calibrate(
    coverage: Option<f64>,
    job: &TabularJob,
    [valid, test]: [&Scores; 2],
    best_epoch: usize,
    session: &Session,
) -> Option<Interval> {
    let (splits, preprocessor) = (job.splits, &job.splits.preprocessor);
    let coverage = coverage.filter(|_| job.task == Task::Regression)?;
    let interval = Interval::calibrate(&splits.valid.target, &valid.predicted, coverage, preprocessor);
    let Some(interval) = interval else {
        session
            .console
            .warn("`interval_coverage`: there are too few valid rows to calibrate intervals; there are none");
        return None;
    };
    let covered = interval.measure(&splits.test.target, &test.predicted, preprocessor);
    session.log_metrics(&[("test_coverage".to_owned(), covered)], best_epoch);
    Some(interval)
}

/// Finds or downloads the file, reads and splits it.
pub fn open_data(config: &Config, start: Option<&TrainedModel<TabularNet>>, session: &Session) -> Result<Source> {
    let found = found_data(config, session)?;
    Ok(match start {
        Some(start) => Source::open_for(&found, &Preprocessor::from_json(&start.preprocessor)?, config.seed)?,
        None => Source::open(&found, &config.features, config.seed)?,
    })
}

/// The data settings with the places where the files were found, or downloaded to.
pub fn found_data(config: &Config, session: &Session) -> Result<DataConfig> {
    let data = &config.data;
    let find =
        |key: &str, path: &Option<PathBuf>, from| session.find_file(key, path.as_deref(), from, &config.paths.data_dir);
    Ok(DataConfig {
        path: find("data.path", &data.path, (data.url.as_deref(), data.sha256.as_deref()))?,
        train_path: find("data.train_path", &data.train_path, (None, None))?,
        valid_path: find("data.valid_path", &data.valid_path, (None, None))?,
        test_path: find("data.test_path", &data.test_path, (None, None))?,
        url: data.url.as_deref().map(tracking::redact_url),
        ..data.clone()
    })
}
