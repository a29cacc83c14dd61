//! The flags that several programs have.

use std::env;
use std::path::PathBuf;

use clap::Args;
use serde_yaml::Value;

use crate::config::Override;
use crate::exit::Mistake;

// No doc comments on these structs: clap would print them in place of the program's own description.
#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
pub struct CommonFlags {
    /// Profile of the YAML file to lay over its base values [env: ML_TABULAR_ENV]
    #[arg(long, value_name = "PROFILE")]
    pub env: Option<String>,
    /// Set any key of the config; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", help_heading = "Config")]
    pub set: Vec<String>,
    /// Show the effective config and where each value came from, then exit
    #[arg(long, help_heading = "Config")]
    pub print_config: bool,
    /// Print the JSON Schema of the config, then exit
    #[arg(long, help_heading = "Config")]
    pub print_schema: bool,

    /// Threads to compute with; the result is the same with any number
    #[arg(long, value_name = "N", help_heading = "Config")]
    pub threads: Option<u64>,

    /// Do not track; local outputs are written all the same
    #[arg(long, help_heading = "Tracking")]
    pub no_mlflow: bool,
    /// Experiment to log to
    #[arg(long, value_name = "NAME", help_heading = "Tracking")]
    pub experiment_name: Option<String>,
    /// Shown name of the run
    #[arg(long, value_name = "NAME", help_heading = "Tracking")]
    pub run_name: Option<String>,

    /// No progress, no notes: only errors, and the result on stdout
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
    /// Print the result as one JSON object
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
pub struct RunFlags {
    #[command(flatten)]
    pub common: CommonFlags,
    /// Go on with a stopped run: its id, or its output folder [takes its config from there]
    #[arg(long, value_name = "RUN_ID|PATH")]
    pub resume: Option<String>,
    /// Do a run again, with its config; checks data and versions, and says whether the same comes out
    #[arg(long, value_name = "RUN_ID", conflicts_with = "resume")]
    pub from_run: Option<String>,
    /// Seed of everything that is drawn at random
    #[arg(long, value_name = "N", help_heading = "Config")]
    pub seed: Option<u64>,
    /// auto, cpu, cuda or wgpu
    #[arg(long, value_name = "DEVICE", help_heading = "Config")]
    pub device: Option<String>,
}

#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Shortcuts for config keys")]
pub struct TabularFlags {
    /// CSV or Parquet file (data.path); replaces data.source and data.url
    #[arg(long, value_name = "FILE")]
    pub csv_path: Option<PathBuf>,
    /// Column to predict (data.target); drops bins and classes that the file gives for its own target
    #[arg(long, value_name = "COLUMN")]
    pub target_column: Option<String>,
    /// Column that identifies a row and is no feature (data.id_columns)
    #[arg(long, value_name = "COLUMN")]
    pub id_column: Option<String>,
    /// auto, classification, binary, multiclass or regression (data.problem_type)
    #[arg(long, value_name = "TYPE")]
    pub problem_type: Option<String>,
    /// Number of classes that the data must have (data.num_classes)
    #[arg(long, value_name = "N")]
    pub num_classes: Option<u64>,
    #[command(flatten)]
    pub shortcuts: ShortcutFlags,
}

#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Shortcuts for config keys")]
pub struct SeriesFlags {
    /// CSV or Parquet file (data.path); replaces data.source and data.url
    #[arg(long, value_name = "FILE")]
    pub csv_path: Option<PathBuf>,
    /// Column of timestamps (data.time); drops group, covariates and holidays that the file gives for its own data
    #[arg(long, value_name = "COLUMN")]
    pub datetime_column: Option<String>,
    /// Columns to forecast, e.g. load,price (data.targets)
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub target_column: Option<Vec<String>>,
    /// Column that names the series of a row (data.group)
    #[arg(long, value_name = "COLUMN")]
    pub group_column: Option<String>,
    /// Distance between two steps: 15min, h, D, W, MS, .. (data.frequency)
    #[arg(long, value_name = "FREQUENCY")]
    pub freq: Option<String>,
    /// Steps to look back (windows.lookback)
    #[arg(long, visible_alias = "lookback", value_name = "STEPS")]
    pub input_window: Option<u64>,
    /// Steps to forecast (windows.horizon)
    #[arg(long, visible_alias = "horizon", value_name = "STEPS")]
    pub prediction_horizon: Option<u64>,
    /// mlp, linear, nlinear, dlinear, rlinear, tide or tsmixer (model.kind)
    #[arg(long, value_name = "KIND")]
    pub model: Option<String>,
    #[command(flatten)]
    pub shortcuts: ShortcutFlags,
}

#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Shortcuts for config keys")]
pub struct ShortcutFlags {
    /// Widths of the hidden layers, e.g. 128,64 (model.hidden_dims)
    #[arg(long, value_name = "WIDTHS", value_delimiter = ',')]
    pub hidden_dims: Option<Vec<u64>>,
    /// model.dropout
    #[arg(long, value_name = "SHARE")]
    pub dropout: Option<f64>,
    /// model.activation
    #[arg(long, value_name = "NAME")]
    pub activation: Option<String>,
    /// training.epochs
    #[arg(long, value_name = "N")]
    pub epochs: Option<u64>,
    /// training.batch_size
    #[arg(long, value_name = "N")]
    pub batch_size: Option<u64>,
    /// training.learning_rate
    #[arg(long, value_name = "RATE")]
    pub learning_rate: Option<f64>,
    /// training.weight_decay
    #[arg(long, value_name = "RATE")]
    pub weight_decay: Option<f64>,
}

/// ML_TABULAR_ENV.
pub fn profile_of_environment() -> Option<String> {
    env::var("ML_TABULAR_ENV").ok().filter(|name| !name.is_empty())
}

impl CommonFlags {
    /// The profile: the flag, else ML_TABULAR_ENV.
    pub fn profile(&self) -> Option<String> {
        self.env.clone().or_else(profile_of_environment)
    }

    /// `own` flags of the program as config keys, then these, then every `--set`, which is the most explicit.
    pub fn overrides(&self, own: Vec<Override>) -> Result<Vec<Override>, Mistake> {
        let mut all = own;
        push(&mut all, "--threads", "threads", self.threads);
        push(&mut all, "--experiment-name", "mlflow.experiment_name", self.experiment_name.clone());
        // It would go before the name.
        push(&mut all, "--experiment-name", "mlflow.experiment_id", self.experiment_name.as_ref().map(|_| Value::Null));
        push(&mut all, "--run-name", "mlflow.run_name", self.run_name.clone());
        push(&mut all, "--no-mlflow", "mlflow.enabled", self.no_mlflow.then_some(false));
        for text in &self.set {
            all.push(Override::parse_set(text)?);
        }
        Ok(all)
    }
}

impl RunFlags {
    /// `own` flags of the program as config keys, then these.
    pub fn overrides(&self, own: Vec<Override>) -> Result<Vec<Override>, Mistake> {
        let mut all = own;
        push(&mut all, "--seed", "seed", self.seed);
        push(&mut all, "--device", "device", self.device.clone());
        self.common.overrides(all)
    }
}

impl TabularFlags {
    /// The named flags as config keys.
    pub fn overrides(&self) -> Vec<Override> {
        let mut all = Vec::new();
        if let Some(path) = &self.csv_path {
            push(&mut all, "--csv-path", "data.path", Some(path.display().to_string()));
            let others = ["data.train_path", "data.valid_path", "data.test_path"];
            for key in ["data.source", "data.url", "data.sha256", "data.name"].into_iter().chain(others) {
                push(&mut all, "--csv-path", key, Some(Value::Null));
            }
        }
        if let Some(target) = &self.target_column {
            push(&mut all, "--target-column", "data.target", Some(target.clone()));
            // What the file says about its own target is not true of another one.
            for key in ["data.target_bins", "data.positive_class", "data.num_classes"] {
                push(&mut all, "--target-column", key, Some(Value::Null));
            }
        }
        push(&mut all, "--id-column", "data.id_columns", self.id_column.clone().map(|column| vec![column]));
        push(&mut all, "--problem-type", "data.problem_type", self.problem_type.clone());
        push(&mut all, "--num-classes", "data.num_classes", self.num_classes);
        all.extend(self.shortcuts.overrides());
        all
    }
}

impl SeriesFlags {
    /// The named flags as config keys.
    pub fn overrides(&self) -> Vec<Override> {
        let mut all = Vec::new();
        if let Some(path) = &self.csv_path {
            push(&mut all, "--csv-path", "data.path", Some(path.display().to_string()));
            for key in ["data.source", "data.url", "data.sha256", "data.name"] {
                push(&mut all, "--csv-path", key, Some(Value::Null));
            }
        }
        if let Some(column) = &self.datetime_column {
            push(&mut all, "--datetime-column", "data.time", Some(column.clone()));
            // What the file says about its own columns is not true of others.
            for key in ["data.group", "data.holiday"] {
                push(&mut all, "--datetime-column", key, Some(Value::Null));
            }
            for key in ["data.targets", "data.past_covariates", "data.future_covariates"] {
                push(&mut all, "--datetime-column", key, Some(Value::Sequence(Vec::new())));
            }
        }
        push(&mut all, "--target-column", "data.targets", self.target_column.clone());
        push(&mut all, "--group-column", "data.group", self.group_column.clone());
        push(&mut all, "--freq", "data.frequency", self.freq.clone());
        push(&mut all, "--input-window", "windows.lookback", self.input_window);
        push(&mut all, "--prediction-horizon", "windows.horizon", self.prediction_horizon);
        push(&mut all, "--model", "model.kind", self.model.clone());
        all.extend(self.shortcuts.overrides());
        all
    }
}

impl ShortcutFlags {
    fn overrides(&self) -> Vec<Override> {
        let mut all = Vec::new();
        push(&mut all, "--hidden-dims", "model.hidden_dims", self.hidden_dims.clone());
        push(&mut all, "--dropout", "model.dropout", self.dropout);
        push(&mut all, "--activation", "model.activation", self.activation.clone());
        push(&mut all, "--epochs", "training.epochs", self.epochs);
        push(&mut all, "--batch-size", "training.batch_size", self.batch_size);
        push(&mut all, "--learning-rate", "training.learning_rate", self.learning_rate);
        push(&mut all, "--weight-decay", "training.weight_decay", self.weight_decay);
        all
    }
}

/// Adds a flag that was given as a config key.
pub fn push(all: &mut Vec<Override>, flag: &str, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        all.push(Override { flag: flag.to_owned(), key: key.to_owned(), value: value.into() });
    }
}
