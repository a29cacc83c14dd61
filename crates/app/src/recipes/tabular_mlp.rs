//! Trains an MLP on the rows of a table: data -> model -> loop -> result.

use std::path::Path;

use anyhow::Result;
use burn::module::Module;
use dataset::{CrossValidationConfig, DataConfig, FeaturesConfig, Source, Splits};
use modeling::baselines::{BaselineConfig, BaselineKind};
use modeling::{TabularMlp, TabularMlpConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use training::TrainingConfig;

use crate::baselines::fit_baselines;
use crate::cli::{RunFlags, TabularFlags};
use crate::config;
use crate::console::{LoggingConfig, print_result};
use crate::cross_validation::cross_validate;
use crate::device::{DeviceKind, use_threads};
use crate::exit::Mistake;
use crate::fitting::{Fitted, Job, check_fits};
use crate::history::ResultTable;
use crate::importance::measure_importance;
use crate::resume::{self, StoppedRun};
use crate::session::{MlflowConfig, PathsConfig, Session, Setup, run_tracked};
use crate::trained_model::TrainedModel;
use crate::{outputs, plots};

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

impl Config {
    /// Looks at ranges; gives the first wrong key and the reason.
    pub fn check(&self) -> Result<(), (String, String)> {
        self.data.check().and_then(|()| self.features.check()).map_err(setting)?;
        self.cv.as_ref().map_or(Ok(()), CrossValidationConfig::check).map_err(setting)?;
        if self.init_from.is_some() && self.cv.is_some() {
            return Err(("cv".to_owned(), "a fold would be scored on rows that `init_from` has seen".to_owned()));
        }
        if let Some(threads) = self.threads.filter(|threads| !(1..=1024).contains(threads)) {
            return Err(("threads".to_owned(), format!("`{threads}` is not between 1 and 1024")));
        }
        if !(1..=1000).contains(&self.ensemble) {
            return Err(("ensemble".to_owned(), format!("`{}` is not between 1 and 1000", self.ensemble)));
        }
        self.baseline_options.check().map_err(|error| ("baseline_options".to_owned(), error.to_string()))?;
        self.model.check().map_err(|(key, reason)| (format!("model.{key}"), reason))?;
        self.training.check().map_err(|(key, reason)| (format!("training.{key}"), reason))?;
        self.mlflow.check().map_err(|(key, reason)| (format!("mlflow.{key}"), reason))?;
        self.device.check().map_err(|(key, reason)| (key.to_owned(), reason))
    }

    /// `tabular_mlp__dataset=adult__seed=42`
    pub fn run_name(&self) -> String {
        let default = || format!("tabular_mlp__dataset={}__seed={}", self.data.display_name(), self.seed);
        self.mlflow.run_name.clone().unwrap_or_else(default)
    }
}

/// The key and the reason of a data setting that cannot be right.
fn setting(error: dataset::Error) -> (String, String) {
    match error {
        dataset::Error::Setting { key, problem } => (key.to_owned(), problem),
        other => ("data".to_owned(), other.to_string()),
    }
}

/// The program: loads the config, then trains inside a tracked session.
pub fn main(file: &Path, flags: &RunFlags, own: &TabularFlags) -> Result<()> {
    if flags.print_schema {
        print_result(&config::schema::<Config>("train_tabular_mlp"));
        return Ok(());
    }
    let overrides = flags.overrides(own.overrides())?;
    let profile = flags.profile();
    let load = || config::load(file, profile.as_deref(), &overrides, Config::check);
    let (mut loaded, resumed) = match &flags.resume {
        None => (load()?, None),
        Some(what) => {
            let places = || -> Result<_> {
                let config: Config = load()?.config;
                Ok((config.mlflow, config.paths))
            };
            let folder = resume::find_folder(what, places)?;
            let loaded = config::load_again(&folder.join(resume::EFFECTIVE_CONFIG), &overrides, Config::check)?;
            let config: &Config = &loaded.config;
            resume::check_overrides(&overrides, config.ensemble > 1 || config.cv.is_some())?;
            let stopped = StoppedRun::open(&folder, &config.mlflow, &config.paths)?;
            (loaded, Some(stopped))
        }
    };
    if let Some(from) = &loaded.config.init_from {
        // The shape is the model's: what is logged and kept must say so.
        loaded.config.model = TrainedModel::find(from, &loaded.config)?.bundle.model;
    }
    if flags.print_config {
        print_result(&loaded.explain());
        return Ok(());
    }
    let config: &Config = &loaded.config;
    let setup = Setup {
        mlflow: &config.mlflow,
        paths: &config.paths,
        logging: &config.logging,
        run_name: config.run_name(),
        tags: match resumed {
            Some(_) => Vec::new(),
            None => vec![
                ("model_type", "tabular_mlp".to_owned()),
                ("dataset_name", config.data.display_name()),
                ("env", profile.clone().unwrap_or_else(|| "default".to_owned())),
            ],
        },
        resumed,
    };
    run_tracked(&loaded, flags, &setup, train)
}

/// Trains, and leaves everything in the session's run and output folder. Gives the final metrics of each split.
pub fn train(config: &Config, session: &Session) -> Result<ResultTable> {
    let (run, console) = (&session.run, &session.console);

    // Data
    use_threads(config.threads)?;
    let device = config.device.open(console)?;
    let start = config.init_from.as_deref().map(|from| TrainedModel::find(from, config)).transpose()?;
    let source = open_data(config, start.as_ref(), session)?;
    outputs::report_data(session, &source)?;
    if let Some(cv) = &config.cv {
        cross_validate(cv, &source, config, &device, session)?;
    }
    let mut splits = source.splits()?;
    outputs::record_data(session, &splits)?;
    check_start(start.as_ref(), &splits)?;
    check_fits(&config.training, &splits)?;
    let baselines = fit_baselines(&config.baselines, &config.baseline_options, &splits, config.seed, session)?;

    // Model
    let weights = start.as_ref().map_or(&[][..], |start| &start.weights);
    let job = Job { init_from: weights, ..Job::new(&config.model, &config.training, &mut splits, &device) };
    let n_params = job.init(config.seed)?.num_params();
    session.write_text("model_summary.txt", &outputs::model_summary(&job))?;
    run.log_param("n_params", &n_params.to_string());
    run.log_param("loss_function", job.task.loss_name());
    console.note(&format!("model: {n_params} parameters"));

    // Loop
    if config.find_learning_rate && session.logged.epochs.is_empty() {
        job.find_learning_rate(config.seed, session)?;
    }
    let members = fit_members(&job, config, session)?;

    // Result: the best epochs' weights, the test rows scored once
    let models = members.iter().map(|member| job.load(&member.weights)).collect::<Result<Vec<TabularMlp>>>()?;
    let [train, valid, test] = job.score(&models);
    session.log_metrics(&test.named("test"), members[0].best_epoch);
    let result = ResultTable::new(&[("train", &train), ("val", &valid), ("test", &test)], &members, baselines);
    plots::plot_test(session, &job, &test)?;
    plots::plot_comparison(session, &job, &result)?;
    measure_importance(&job, &models, config.seed, session)?;
    outputs::write_class_report(session, &job, &test)?;
    outputs::write_predictions(session, &job, &test)?;
    outputs::write_bundle(session, &job, &members, &result)?;
    console.stop_if_interrupted()?;
    Ok(result)
}

/// Finds or downloads the file, reads and splits it.
fn open_data(config: &Config, start: Option<&TrainedModel>, session: &Session) -> Result<Source> {
    let url = config.data.url.as_deref().map(tracking::redact_url);
    let data = DataConfig { url, ..session.find_data(&config.data, &config.paths)? };
    Ok(match start {
        Some(start) => Source::open_for(&data, &start.preprocessor, config.seed)?,
        None => Source::open(&data, &config.features, config.seed)?,
    })
}

/// Another split of the file that a model has learnt from has test rows that it has seen.
fn check_start(start: Option<&TrainedModel>, splits: &Splits) -> Result<()> {
    let Some(start) = start else { return Ok(()) };
    let known = |key: &str| start.bundle.dataset.get(key);
    let is_same_file = known("files").is_some_and(|files| *files == outputs::file_digests(&splits.info));
    if is_same_file && known("digest") != Some(&splits.info.digest) {
        let problem = "`init_from`: the model has learnt from another split of this file, so it has seen test rows";
        return Err(Mistake::new(problem).hint("use the seed of its run, or new rows").into());
    }
    Ok(())
}

/// Trains the one network in the session's own run, or the members of an ensemble in nested ones, seed after seed.
fn fit_members(job: &Job, config: &Config, session: &Session) -> Result<Vec<Fitted>> {
    if config.ensemble == 1 {
        return Ok(vec![job.fit(config.seed, session)?]);
    }
    let fit_member = |member: usize| {
        // Far from the seeds of other runs: members of the ensembles of seeds 1 and 2 have nothing in common.
        let seed = config.seed.wrapping_mul(1000).wrapping_add(member as u64);
        let tags = [("model_type", "tabular_mlp".to_owned()), ("ensemble_member", (member + 1).to_string())];
        session.nested(&format!("member {} of {}", member + 1, config.ensemble), &tags, |nested| {
            nested.run.log_param("seed", &seed.to_string());
            outputs::log_input(&nested.run, &job.splits.info);
            job.fit(seed, nested)
        })
    };
    (0..config.ensemble).map(fit_member).collect()
}
