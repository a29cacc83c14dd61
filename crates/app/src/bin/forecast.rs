//! Forecasts what follows the last rows of a file.

use std::process::ExitCode;

use app::recipes::forecast::{self, ForecastFlags};
use clap::Parser;

/// Forecast what follows the last rows of a file, with a model that train_ts_mlp has left
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    flags: ForecastFlags,
}

fn main() -> ExitCode {
    app::exit::report(forecast::main(&Cli::parse().flags))
}
