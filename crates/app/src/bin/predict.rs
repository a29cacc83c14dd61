//! Predicts the rows of a file.

use std::process::ExitCode;

use app::recipes::predict::{self, PredictFlags};
use clap::Parser;

/// Predict the rows of a CSV or Parquet file, of any size, with a model that train_tabular_mlp has left
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    flags: PredictFlags,
}

fn main() -> ExitCode {
    app::exit::report(predict::main(&Cli::parse().flags))
}
