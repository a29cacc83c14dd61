//! Trains an MLP on the rows of a table: data -> model -> loop -> result.

use std::path::Path;

use anyhow::{Context, Result};
use burn::module::Module;
use dataset::{DataConfig, FeaturesConfig, Splits};
use modeling::{Inputs, TabularMlp, TabularMlpConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracking::Run;
use training::metrics::direction_of;
use training::{EarlyStopping, EpochEnd, Next, Plan, StepEnd, StepOutput, TrainingConfig, Verdict, fit};

use crate::cli::{RunFlags, TabularFlags};
use crate::config;
use crate::console::{LoggingConfig, print_result};
use crate::device::DeviceKind;
use crate::exit::Mistake;
use crate::history::{History, ResultTable};
use crate::outputs;
use crate::scoring::{self, Rows};
use crate::session::{MlflowConfig, PathsConfig, Session, Setup, run_tracked};

/// Config file that the program takes when none is given.
pub const DEFAULT_CONFIG: &str = "configs/train_tabular_baseline.yaml";

const BEST_WEIGHTS: &str = "tabular_mlp_best.safetensors";
const LAST_WEIGHTS: &str = "tabular_mlp_last.safetensors";
const NAN_HINT: &str = "hint: monitor another metric, e.g. `training.early_stopping.monitor: val_loss`";

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
    /// Tracking.
    pub mlflow: MlflowConfig,
    /// Folders.
    pub paths: PathsConfig,
    /// Log file.
    pub logging: LoggingConfig,
    /// Where tensors live.
    pub device: DeviceKind,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 42,
            data: DataConfig::default(),
            features: FeaturesConfig::default(),
            model: TabularMlpConfig::default(),
            training: TrainingConfig::default(),
            mlflow: MlflowConfig::default(),
            paths: PathsConfig::default(),
            logging: LoggingConfig::default(),
            device: DeviceKind::Auto,
        }
    }
}

impl Config {
    /// Looks at ranges; gives the first wrong key and the reason.
    pub fn check(&self) -> Result<(), (String, String)> {
        self.data.check().and_then(|()| self.features.check()).map_err(setting)?;
        self.model.check().map_err(|(key, reason)| (format!("model.{key}"), reason))?;
        self.training.check().map_err(|(key, reason)| (format!("training.{key}"), reason))?;
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
    let loaded = config::load(file, flags.profile().as_deref(), &flags.overrides(own.overrides())?, Config::check)?;
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
        tags: vec![
            ("model_type", "tabular_mlp".to_owned()),
            ("dataset_name", config.data.display_name()),
            ("env", flags.profile().unwrap_or_else(|| "default".to_owned())),
        ],
    };
    run_tracked(&loaded, flags, &setup, train)
}

/// Trains, and leaves everything in the session's run and output folder. Gives the final metrics of each split.
pub fn train(config: &Config, session: &Session) -> Result<ResultTable> {
    let (run, console) = (&session.run, &session.console);

    // Data
    let splits = load_data(config, session)?;
    let preprocessor = &splits.preprocessor;

    // Model
    let device = config.device.open(console)?;
    let task = scoring::task_of(preprocessor);
    let inputs = Inputs {
        n_numeric: preprocessor.n_numeric(),
        n_real: preprocessor.n_real(),
        cardinalities: preprocessor.cardinalities(),
    };
    device.seed(config.seed);
    let model = config.model.init(&inputs, task.n_outputs(), &device.clone().autodiff());
    session.write_text("model_summary.txt", &outputs::model_summary(&config.model, &inputs, task))?;
    run.log_param("n_params", &model.num_params().to_string());
    run.log_param("loss_function", task.loss_name());
    console.note(&format!("model: {} parameters", model.num_params()));

    // Loop
    let train = Rows::new(&splits.train, preprocessor, &device.clone().autodiff());
    let valid = Rows::new(&splits.valid, preprocessor, &device);
    let monitor = config.training.early_stopping.metric();
    let direction = direction_of(monitor, scoring::kind_of(task)).map_err(|names| unknown_metric(monitor, &names))?;
    let mut stopping = EarlyStopping::new(&config.training.early_stopping, direction);
    let mut history = History::new(monitor);
    let weights = session.folder("models")?;
    let n_rows = splits.train.n_rows();
    let bar = console.training_bar(config.training.steps_per_epoch(n_rows), config.training.epochs);

    let step = |model: &TabularMlp, rows: &[u32]| {
        let batch = train.select(rows);
        let output = model.forward(batch.numeric, batch.categorical);
        StepOutput { loss: task.loss(output.clone(), batch.target), output }
    };
    let on_step = |end: StepEnd| {
        bar.step(end.global_step, end.epoch);
        let every = config.training.log_every_steps;
        if every > 0 && end.global_step.is_multiple_of(every) {
            run.log_metric("train_loss_step", end.loss, end.global_step as i64);
        }
        if console.is_interrupted() { Next::Stop } else { Next::Continue }
    };
    let on_epoch = |end: &mut EpochEnd<TabularMlp>| -> Result<Next> {
        let target: Vec<f32> = end.train_rows.iter().map(|&row| splits.train.target[row as usize]).collect();
        let trained = scoring::score(end.train_output.clone(), end.train_loss, &target, task, preprocessor);
        let forward = |numeric, categorical| end.model.forward(numeric, categorical);
        let validated = scoring::evaluate(forward, &valid, &splits.valid, task, preprocessor);
        log_all(run, &history.push(end, &trained, &validated), end.epoch);
        end.monitored = validated.get(monitor);
        let verdict = stopping.update(end.epoch, end.monitored);
        save_checkpoints(end, &weights, verdict == Verdict::Best, config.training.checkpoint_every_epochs)?;
        bar.epoch(end.epoch, &history.line(stopping.best()));
        Ok(if verdict == Verdict::Stop { Next::Stop } else { Next::Continue })
    };
    let plan = Plan { config: &config.training, n_rows, seed: config.seed, resume: None };
    let fitted = fit(model, plan, step, on_step, on_epoch);
    bar.finish();
    session.write_text("training_history.csv", &history.to_csv())?;
    let fitted = fitted.map_err(loop_error)?;
    console.stop_if_interrupted()?;

    // Result: the best epoch's weights, the test rows scored once
    let (best_epoch, _) = stopping.best().with_context(|| format!("`val_{monitor}` was never a number\n{NAN_HINT}"))?;
    let best: TabularMlp = modeling::load_weights(fitted.model.valid(), &weights.join(BEST_WEIGHTS))?;
    let [train, valid, test] = [&splits.train, &splits.valid, &splits.test].map(|part| {
        let rows = Rows::new(part, preprocessor, &device);
        scoring::evaluate(|numeric, categorical| best.forward(numeric, categorical), &rows, part, task, preprocessor)
    });
    log_all(run, &test.named("test"), best_epoch);
    log_all(run, &history.best(best_epoch), fitted.epochs);
    let result = ResultTable::new(&[("train", &train), ("val", &valid), ("test", &test)], best_epoch, fitted.epochs);
    outputs::write_plots(session, &splits, &history, &test, task, (config.training.epochs, best_epoch))?;
    outputs::write_predictions(session, &splits, &test, task)?;
    outputs::write_bundle(session, &splits, &config.model, &inputs, task, &weights.join(BEST_WEIGHTS), &result)?;
    console.stop_if_interrupted()?;
    Ok(result)
}

/// Finds or downloads the file, reads, splits and encodes it, and records what it is.
fn load_data(config: &Config, session: &Session) -> Result<Splits> {
    let path = session.find_data(&config.data, &config.paths)?;
    let url = config.data.url.as_deref().map(tracking::redact_url);
    let data = DataConfig { path, url, ..config.data.clone() };
    let splits = dataset::load(&data, &config.features, config.seed)?;
    session.console.note(&outputs::describe_data(&splits.info));
    splits.info.warnings.iter().for_each(|warning| session.console.warn(warning));
    outputs::log_data(&session.run, &splits);
    session.console.stop_if_interrupted()?;
    Ok(splits)
}

/// The weights after this epoch as the last, the best if they are, and one of every n-th epoch.
fn save_checkpoints(end: &EpochEnd<TabularMlp>, folder: &Path, is_best: bool, every: usize) -> Result<()> {
    modeling::save_weights(&end.model, &folder.join(LAST_WEIGHTS))?;
    if is_best {
        modeling::save_weights(&end.model, &folder.join(BEST_WEIGHTS))?;
    }
    if every > 0 && end.epoch.is_multiple_of(every) {
        modeling::save_weights(&end.model, &folder.join(format!("tabular_mlp_epoch_{}.safetensors", end.epoch)))?;
    }
    Ok(())
}

fn log_all(run: &Run, metrics: &[(String, f64)], epoch: usize) {
    let metrics: Vec<(&str, f64)> = metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    run.log_metrics(&metrics, epoch as i64);
}

fn unknown_metric(monitor: &str, names: &[&str]) -> Mistake {
    Mistake::new(format!("`training.early_stopping.monitor`: no metric `{monitor}` for this problem type"))
        .hint(format!("choose one of {}", names.join(", ")))
}

fn loop_error(error: training::Error<anyhow::Error>) -> anyhow::Error {
    match error {
        training::Error::Caller(error) => error,
        diverged => anyhow::anyhow!(
            "{diverged}\nhint: lower `training.learning_rate`, or look for very large values in the data (`features.scaling: standard`)"
        ),
    }
}
