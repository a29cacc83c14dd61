//! Compares the runs of a store, registers and promotes the best.

use std::path::PathBuf;
use std::process::ExitCode;

use app::cli::CommonFlags;
use app::compare::flags::CompareFlags;
use app::recipes::compare_runs;
use clap::Parser;

/// Tell which run is best, whether it really is, and what made the difference; register and promote it behind gates
#[derive(Parser)]
#[command(version, after_help = "Exit code: 0, or 1 if a gate does not hold or something fails, 2 for wrong use")]
struct Cli {
    /// YAML file that says how to compare
    #[arg(long, short, value_name = "FILE", default_value = compare_runs::DEFAULT_CONFIG)]
    config: PathBuf,
    #[command(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    own: CompareFlags,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    app::exit::report(compare_runs::main(&cli.config, &cli.common, &cli.own))
}
