//! Trains an MLP on the rows of a table.

use std::path::PathBuf;
use std::process::ExitCode;

use app::cli::{RunFlags, TabularFlags};
use app::recipes::tabular_mlp;
use clap::Parser;

/// Train an MLP on the rows of a table, as one YAML file says, and track the run
#[derive(Parser)]
#[command(version, after_help = "Precedence: defaults < YAML < profile < MLFLOW_*, ML_TABULAR_* variables < flags")]
struct Cli {
    /// YAML file that says what to do
    #[arg(long, short, value_name = "FILE", default_value = tabular_mlp::DEFAULT_CONFIG)]
    config: PathBuf,
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    tabular: TabularFlags,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    app::exit::report(tabular_mlp::main(&cli.config, &cli.run, &cli.tabular))
}
