//! Sends what runs have left on this machine to their server, and copies embedded runs to a server.

use std::process::ExitCode;

use app::recipes::sync_runs::{self, SyncFlags};
use clap::Parser;

/// Send what runs have left on this machine to their server, and copy runs of the embedded store to a server
///
/// Without flags: ends the runs whose process died, and sends every journal in `logs/spool` to the server that it belongs
/// to. With `--to`, copies the runs of `mlflow.db` there, too. Both may be repeated: nothing is sent twice.
#[derive(Parser)]
#[command(
    version,
    after_help = "Credentials come from MLFLOW_TRACKING_USERNAME, _PASSWORD, _TOKEN, _TOKEN_FILE. \
                                 Exit code: 0 all is sent, 1 something is left, 2 wrong use"
)]
struct Cli {
    #[command(flatten)]
    flags: SyncFlags,
}

fn main() -> ExitCode {
    app::exit::report(sync_runs::main(&Cli::parse().flags))
}
