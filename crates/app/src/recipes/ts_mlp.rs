//! Trains a forecaster on windows of time series: data -> model -> loop -> result.

use std::path::Path;

use anyhow::Result;
use burn::module::Module;
use dataset::{BacktestConfig, SeriesDataConfig, SeriesEncoder, SeriesFeaturesConfig, SeriesSource, WindowsConfig};
use modeling::{Forecaster, ForecasterConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use training::TrainingConfig;

use crate::bundle::{TrainedModel, write_bundle};
use crate::cli::{RunFlags, SeriesFlags};
use crate::console::LoggingConfig;
use crate::device::{DeviceKind, use_threads};
use crate::export;
use crate::fitting::{Learner, fit_members, suggest_learning_rate};
use crate::forecast::backtest::backtest;
use crate::forecast::baselines::{self, BaselineKind, fit_simple};
use crate::forecast::inputs;
use crate::forecast::intervals::Intervals;
use crate::forecast::job::{ForecastJob, check_training};
use crate::forecast::outputs::{self, ForecastNet};
use crate::forecast::plots::{plot_series, plot_test};
use crate::forecast::predictions::{PredictionsConfig, score_test};
use crate::history::ResultTable;
use crate::kind::RunKind;
use crate::plots::plot_comparison;
use crate::program::{self, ProgramConfig, TrainingProgram, wrong_setting};
use crate::session::{MlflowConfig, PathsConfig, Session};

/// Config file that the program takes when none is given.
pub const DEFAULT_CONFIG: &str = "configs/train_ts_baseline.yaml";

/// Everything that a run of `train_ts_mlp` can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seed of the weights, dropout and the order of windows: the same seed gives the same run, bit for bit.
    pub seed: u64,
    /// Which series, which columns, how they are split in time.
    pub data: SeriesDataConfig,
    /// What is made of the columns: scaling, calendar, lags, rolling statistics.
    pub features: SeriesFeaturesConfig,
    /// How far to look back and ahead.
    pub windows: WindowsConfig,
    /// The network.
    pub model: ForecasterConfig,
    /// The loop.
    pub training: TrainingConfig,
    /// Share of the actual values that prediction intervals are to hold, calibrated on the valid windows (split-conformal);
    /// null for no intervals.
    pub interval_coverage: Option<f64>,
    /// How many networks are trained, each from another seed; their forecasts are averaged.
    pub ensemble: usize,
    /// A rolling-origin back-test beside the run's own training, each fold as a nested run; null for none.
    pub backtest: Option<BacktestConfig>,
    /// A model to train on, with new data: a run's id, its output folder, or a folder with a `bundle.json`. Network,
    /// columns, scaling, look-back and horizon are the model's, whatever `model`, `features` and `windows` of this file say.
    pub init_from: Option<String>,
    /// Simple forecasts to see the network beside, each as a nested run.
    pub baselines: Vec<BaselineKind>,
    /// The file of test forecasts.
    pub predictions: PredictionsConfig,
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
            data: SeriesDataConfig::default(),
            features: SeriesFeaturesConfig::default(),
            windows: WindowsConfig::default(),
            model: ForecasterConfig::default(),
            training: TrainingConfig::default(),
            interval_coverage: Some(0.9),
            ensemble: 1,
            backtest: None,
            init_from: None,
            baselines: BaselineKind::ALL.to_vec(),
            predictions: PredictionsConfig::default(),
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
    const PROGRAM: &'static str = "train_ts_mlp";

    fn check(&self) -> Result<(), (String, String)> {
        let data = self.data.check().and_then(|()| self.features.check()).and_then(|()| self.windows.check());
        data.map_err(wrong_setting)?;
        self.backtest.as_ref().map_or(Ok(()), BacktestConfig::check).map_err(wrong_setting)?;
        if self.init_from.is_some() && self.backtest.is_some() {
            return Err(("backtest".to_owned(), "a fold would be scored on rows that `init_from` has seen".to_owned()));
        }
        program::check_coverage(self.interval_coverage)?;
        self.predictions.check().map_err(|(key, reason)| (format!("predictions.{key}"), reason))?;
        baselines::check(&self.baselines)?;
        program::check_threads(self.threads)?;
        program::check_ensemble(self.ensemble)?;
        self.model.check().map_err(|(key, reason)| (format!("model.{key}"), reason))?;
        self.training.check().map_err(|(key, reason)| (format!("training.{key}"), reason))?;
        check_training(&self.training, &self.model)?;
        self.mlflow.check().map_err(|(key, reason)| (format!("mlflow.{key}"), reason))?;
        self.device.check().map_err(|(key, reason)| (key.to_owned(), reason))
    }

    /// `ts_mlp__dataset=metro__input=168__horizon=24`
    fn run_name(&self) -> String {
        let (dataset, windows) = (self.data.display_name(), &self.windows);
        let default = || format!("ts_mlp__dataset={dataset}__input={}__horizon={}", windows.lookback, windows.horizon);
        self.mlflow.run_name.clone().unwrap_or_else(default)
    }

    fn tags(&self) -> Vec<(&'static str, String)> {
        vec![
            RunKind::Train.tag(),
            ("model_type", ForecastJob::MODEL_TYPE.to_owned()),
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
        self.ensemble > 1 || self.backtest.is_some()
    }
}

/// The program: loads the config, then trains inside a tracked session.
pub fn main(file: &Path, flags: &RunFlags, own: &SeriesFlags) -> Result<()> {
    let settle = |config: &mut Config| {
        if let Some(model) = start_of(config)? {
            config.windows.lookback = model.net.shape.lookback;
            config.windows.horizon = model.net.shape.horizon;
            config.features = SeriesEncoder::from_json(&model.preprocessor)?.features().clone();
            config.model = model.net.model;
        }
        Ok(())
    };
    program::train(file, flags, own.overrides(), settle, train)
}

/// The model of `init_from`.
fn start_of(config: &Config) -> Result<Option<TrainedModel<ForecastNet>>> {
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
    inputs::warn_of_unused(&config.model, &config.data, &config.features, &session.console);
    plot_series(session, &source)?;
    if let Some(settings) = &config.backtest {
        backtest(settings, &source, (&config.model, &config.training), config.seed, &device, session)?;
    }
    let splits = source.splits()?;
    outputs::record_data(session, &splits)?;
    start.as_ref().map_or(Ok(()), |start| start.net.check_unseen_test(&splits))?;

    // Model
    let weights = start.as_ref().map_or(&[][..], |start| &start.weights);
    let job =
        ForecastJob { init_from: weights, ..ForecastJob::new(&config.model, &config.training, &splits, &device)? };
    let (metric, _) = job.shown_metric();
    let simple = fit_simple(&config.baselines, &splits, metric, session)?;
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

    // Result: the best epochs' weights, intervals from the valid windows, the test windows scored once
    let models = members
        .iter()
        .map(|member| job.load(&session.in_runs(&member.weights)))
        .collect::<Result<Vec<Forecaster>>>()?;
    let [train, valid] = [&splits.train, &splits.valid].map(|windows| job.score(&models, windows));
    let (train, valid) = (train?.metrics, valid?.metrics);
    let intervals = match config.interval_coverage {
        Some(coverage) => Intervals::calibrate(&job, &models, coverage)?,
        None => None,
    };
    if intervals.is_none() && config.interval_coverage.is_some() {
        console.warn("`interval_coverage`: there are too few valid windows to calibrate intervals; there are none");
    }
    let test = score_test(&job, &models, intervals.as_ref(), &config.predictions, session)?;
    session.log_metrics(&test.scores.metrics.named("test"), members[0].best_epoch);
    outputs::write_tables(session, &splits, &test.scores.errors)?;
    let scores = [("train", &train), ("val", &valid), ("test", &test.scores.metrics)];
    plot_test(session, &job, &models, intervals.as_ref(), &test, &simple)?;
    let baselines = simple.into_iter().map(|(scores, _)| scores).collect();
    let result = ResultTable::new((config.model.kind.name(), metric), &scores, &members, baselines);
    plot_comparison(session, &result, job.shown_metric(), &format!("{} test windows", splits.test.len()))?;
    let seen_until = ForecastNet::last_seen(&splits);
    let net = ForecastNet { model: config.model.clone(), shape: job.shape, intervals, seen_until };
    let exported = outputs::export(&net, &source, &splits, &models);
    write_bundle(session, net, &splits.encoder.to_json()?, job.info(), &members, &result)?;
    export::write(session, ForecastJob::MODEL_TYPE, &exported, job.info())?;
    console.stop_if_interrupted()?;
    Ok(result)
}

/// Finds or downloads the file and makes the series regular.
pub fn open_data(
    config: &Config,
    start: Option<&TrainedModel<ForecastNet>>,
    session: &Session,
) -> Result<SeriesSource> {
    let found = found_data(config, session)?;
    Ok(match start {
        Some(start) => {
            SeriesSource::open_for(&found, &config.windows, &SeriesEncoder::from_json(&start.preprocessor)?)?
        }
        None => SeriesSource::open(&found, &inputs::used_features(&config.model, &config.features), &config.windows)?,
    })
}

/// The data settings with the place where the file was found, or downloaded to.
pub fn found_data(config: &Config, session: &Session) -> Result<SeriesDataConfig> {
    let data = &config.data;
    let from = (data.url.as_deref(), data.sha256.as_deref());
    Ok(SeriesDataConfig {
        path: session.find_file("data.path", data.path.as_deref(), from, &config.paths.data_dir)?,
        url: data.url.as_deref().map(tracking::redact_url),
        ..data.clone()
    })
}
