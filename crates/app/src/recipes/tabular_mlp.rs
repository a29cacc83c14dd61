//! Trains an MLP on the rows of a table: data -> model -> loop -> result.

use std::path::Path;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use dataset::{DataConfig, FeaturesConfig, Part, Splits};
use modeling::{Inputs, TabularMlp, TabularMlpConfig, Task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracking::Run;
use training::metrics::direction_of;
use training::{EarlyStopping, EpochEnd, Next, StepOutput, TrainingConfig, Verdict, fit};

use crate::cli::{RunFlags, TabularFlags};
use crate::config;
use crate::console::LoggingConfig;
use crate::device::DeviceKind;
use crate::exit::Mistake;
use crate::history::{History, ResultTable};
use crate::outputs;
use crate::scoring::{self, Scores};
use crate::session::{MlflowConfig, PathsConfig, Session, Setup, run_tracked};

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
        self.training.check().map_err(|(key, reason)| (format!("training.{key}"), reason))
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
        println!("{}", config::schema::<Config>("train_tabular_mlp"));
        return Ok(());
    }
    let loaded = config::load(file, flags.profile().as_deref(), &flags.overrides(own.overrides())?, Config::check)?;
    if flags.print_config {
        print!("{}", loaded.explain());
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
    let file = session.find_data(&config.data, &config.paths)?;
    let splits = dataset::load(&DataConfig { path: file, ..config.data.clone() }, &config.features, config.seed)?;
    console.note(&outputs::describe_data(&splits.info));
    splits.info.warnings.iter().for_each(|warning| console.warn(warning));
    outputs::log_data(run, &splits);

    // Model
    let device = config.device.open()?;
    let task = scoring::task_of(&splits.preprocessor);
    let inputs =
        Inputs { n_numeric: splits.preprocessor.n_numeric(), cardinalities: splits.preprocessor.cardinalities() };
    device.seed(config.seed);
    let model = config.model.init(&inputs, task.n_outputs(), &device.clone().autodiff());
    let summary = outputs::model_summary(&config.model, &inputs, task);
    session.write_text("model_summary.txt", &summary)?;
    run.log_param("n_parameters", &model.num_params().to_string());
    run.log_param("loss_function", task.loss_name());
    console.note(&format!("model: {} parameters, {} inputs", model.num_params(), inputs.n_numeric + inputs.cardinalities.len()));

    // Loop
    let train = Tensors::new(&splits.train, &splits, &device.clone().autodiff());
    let valid = Tensors::new(&splits.valid, &splits, &device);
    let monitor = config.training.early_stopping.metric();
    let direction = direction_of(monitor, scoring::kind_of(task)).map_err(|names| unknown_metric(monitor, &names))?;
    let mut stopping = EarlyStopping::new(&config.training.early_stopping, direction);
    let mut history = History::new(monitor);
    let best_weights = session.folder("checkpoints")?.join("best.safetensors");
    let last_weights = best_weights.with_file_name("last.safetensors");
    let total_steps = config.training.epochs * train.rows.div_ceil(config.training.batch_size);
    let bar = console.training_bar(total_steps as u64, config.training.epochs);

    let step = |model: &TabularMlp, rows: &[u32]| {
        let batch = train.select(rows);
        let output = model.forward(batch.numeric, batch.categorical);
        StepOutput { loss: task.loss(output.clone(), batch.target), output }
    };
    let on_step = |end: training::StepEnd| {
        bar.step(end.global_step, end.epoch);
        if config.training.log_every_steps > 0 && end.global_step.is_multiple_of(config.training.log_every_steps) {
            run.log_metric("train_loss_step", end.loss, end.global_step as i64);
        }
        if session.is_interrupted() { Next::Stop } else { Next::Continue }
    };
    let on_epoch = |end: EpochEnd<TabularMlp>| -> Result<Next> {
        let order: Vec<f32> = end.train_rows.iter().map(|&row| splits.train.target[row as usize]).collect();
        let trained = scoring::score(end.train_output.clone(), end.train_loss, &order, task, &splits.preprocessor);
        let validated = evaluate(&end.model, &valid, &splits.valid, task, &splits);
        let row = history.push(&end, &trained, &validated);
        log_all(run, &row, end.epoch);
        modeling::save_weights(&end.model, &last_weights)?;
        let verdict = stopping.update(end.epoch, validated.get(monitor));
        if verdict == Verdict::Best {
            modeling::save_weights(&end.model, &best_weights)?;
        }
        bar.epoch(end.epoch, &history.line(stopping.best()));
        Ok(if verdict == Verdict::Stop { Next::Stop } else { Next::Continue })
    };
    let fitted =
        fit(model, &config.training, train.rows, config.seed, &device, step, on_step, on_epoch).map_err(loop_error);
    bar.finish();
    let fitted = fitted?;
    session.write_text("training_history.csv", &history.to_csv())?;
    session.stop_if_interrupted()?;

    // Result: the best epoch's weights, the test rows scored once
    let (best_epoch, best_value) = stopping
        .best()
        .with_context(|| format!("`val_{monitor}` was never a number\nhint: monitor another metric of this problem type"))?;
    let best: TabularMlp = modeling::load_weights(fitted.model.valid(), &best_weights)?;
    let scored = |part: &Part| evaluate(&best, &Tensors::new(part, &splits, &device), part, task, &splits);
    let (train, valid, test) = (scored(&splits.train), scored(&splits.valid), scored(&splits.test));
    run.log_metric("best_epoch", best_epoch as f64, fitted.epochs as i64);
    run.log_metric(&format!("best_val_{monitor}"), best_value, fitted.epochs as i64);
    log_all(run, &test.named("test"), best_epoch);

    let result = ResultTable::new(&[("train", &train), ("val", &valid), ("test", &test)], best_epoch, fitted.epochs);
    outputs::write_plots(session, &splits, &history, &test, task, config.training.epochs, best_epoch)?;
    outputs::write_predictions(session, &splits, &test, task)?;
    outputs::write_bundle(session, &splits, &config.model, &inputs, task, &best_weights, &result)?;
    session.log_folder();
    Ok(result)
}

/// One part of the data as tensors.
struct Tensors {
    /// `[rows, n_numeric]`
    numeric: Tensor<2>,
    /// `[rows, n_categorical]`
    categorical: Tensor<2, Int>,
    /// `[rows]`, standardised for regression
    target: Tensor<1>,
    rows: usize,
}

impl Tensors {
    fn new(part: &Part, splits: &Splits, device: &Device) -> Self {
        let rows = part.n_rows();
        let target: Vec<f32> = part.target.iter().map(|&value| splits.preprocessor.standardize(value)).collect();
        let categorical: Vec<i32> = part.categorical.iter().map(|&index| index as i32).collect();
        let (n_numeric, n_categorical) = (splits.preprocessor.n_numeric(), splits.preprocessor.cardinalities().len());
        Self {
            numeric: Tensor::from_data(TensorData::new(part.numeric.clone(), [rows, n_numeric]), device),
            categorical: Tensor::from_data(TensorData::new(categorical, [rows, n_categorical]), device),
            target: Tensor::from_floats(target.as_slice(), device),
            rows,
        }
    }

    /// The given rows, `[rows.len(), ..]`.
    fn select(&self, rows: &[u32]) -> Self {
        let indices: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let indices = Tensor::<1, Int>::from_ints(indices.as_slice(), &self.numeric.device());
        Self {
            numeric: self.numeric.clone().select(0, indices.clone()),
            categorical: self.categorical.clone().select(0, indices.clone()),
            target: self.target.clone().select(0, indices),
            rows: rows.len(),
        }
    }
}

/// Loss and metrics of a part, computed 8,192 rows at a time so that memory stays bounded.
fn evaluate(model: &TabularMlp, tensors: &Tensors, part: &Part, task: Task, splits: &Splits) -> Scores {
    const CHUNK: usize = 8192;
    let (mut outputs, mut loss_sum) = (Vec::new(), 0.0);
    for start in (0..tensors.rows).step_by(CHUNK) {
        let range = start..(start + CHUNK).min(tensors.rows);
        let output =
            model.forward(tensors.numeric.clone().slice(range.clone()), tensors.categorical.clone().slice(range.clone()));
        let loss = task.loss(output.clone(), tensors.target.clone().slice(range.clone()));
        loss_sum += f64::from(loss.into_scalar::<f32>()) * range.len() as f64;
        outputs.push(output);
    }
    scoring::score(Tensor::cat(outputs, 0), loss_sum / tensors.rows as f64, &part.target, task, &splits.preprocessor)
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
