//! Searches the settings of a training program.

use std::path::PathBuf;
use std::process::ExitCode;

use app::cli::CommonFlags;
use app::recipes::tune;
use app::tune::flags::TuneFlags;
use clap::Parser;

/// Search the best settings of a training program: one run for the search, one nested run per trial
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit code: 0; 1 if something fails; 2 for wrong use; 75 if the database is away: start it again"
)]
struct Cli {
    /// YAML file that says what to search
    #[arg(long, short, value_name = "FILE", default_value = tune::DEFAULT_CONFIG)]
    config: PathBuf,
    #[command(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    own: TuneFlags,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    app::exit::report(tune::main(&cli.config, &cli.common, &cli.own))
}
