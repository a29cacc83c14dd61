//! Compares rows of now with those that a model was trained on.

use std::path::PathBuf;
use std::process::ExitCode;

use app::cli::CommonFlags;
use app::recipes::drift::{self, DriftFlags};
use clap::Parser;

/// Tell whether rows of now still look like those that a model was trained on, and track that as a run of its own
#[derive(Parser)]
#[command(version, after_help = "Exit code: 0, or 1 if the data have drifted or something fails, 2 for wrong use")]
struct Cli {
    /// YAML file that says how to compare
    #[arg(long, short, value_name = "FILE", default_value = drift::DEFAULT_CONFIG)]
    config: PathBuf,
    #[command(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    own: DriftFlags,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    app::exit::report(drift::main(&cli.config, &cli.common, &cli.own))
}
