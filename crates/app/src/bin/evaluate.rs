//! Judges a model, or a file of predictions.

use std::path::PathBuf;
use std::process::ExitCode;

use app::cli::CommonFlags;
use app::recipes::evaluate::{self, EvaluateFlags};
use clap::Parser;

/// Judge a model (or a file of predictions) by more than one number, and track that as a run of its own
#[derive(Parser)]
#[command(version, after_help = "Exit code: 0, or 1 if a gate does not hold or something fails, 2 for wrong use")]
struct Cli {
    /// YAML file that says how to judge
    #[arg(long, short, value_name = "FILE", default_value = evaluate::DEFAULT_CONFIG)]
    config: PathBuf,
    #[command(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    own: EvaluateFlags,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    app::exit::report(evaluate::main(&cli.config, &cli.common, &cli.own))
}
