//! Trains a forecaster on time series.

use std::path::PathBuf;
use std::process::ExitCode;

use app::cli::{RunFlags, SeriesFlags};
use app::recipes::ts_mlp;
use clap::Parser;

/// Train a forecaster on time series, as one YAML file says, and track the run
#[derive(Parser)]
#[command(version, after_help = "Precedence: defaults < YAML < profile < MLFLOW_*, ML_TABULAR_* variables < flags")]
struct Cli {
    /// YAML file that says what to do
    #[arg(long, short, value_name = "FILE", default_value = ts_mlp::DEFAULT_CONFIG)]
    config: PathBuf,
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    series: SeriesFlags,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    app::exit::report(ts_mlp::main(&cli.config, &cli.run, &cli.series))
}
