//! The flags of `tune` beside those that several programs have.

use std::path::PathBuf;

use clap::Args;

use crate::cli::push;
use crate::config::Override;

// No doc comment on the struct: clap would print it in place of the program's own description.
#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
pub struct TuneFlags {
    /// Go on with a stopped search: the id of its run, or its output folder [takes its config from there]
    #[arg(long, value_name = "RUN_ID|PATH", conflicts_with = "worker")]
    pub resume: Option<String>,
    /// Work on a study that another process has started, here or on another machine; needs --study and --storage
    #[arg(long)]
    pub worker: bool,
    /// Go on although data, space or code are not those that the study was made with
    #[arg(long)]
    pub accept_changes: bool,
    /// Name of the study (study)
    #[arg(long, value_name = "NAME", help_heading = "Shortcuts for config keys")]
    pub study: Option<String>,
    /// Database of the study (storage)
    #[arg(long, value_name = "URL", help_heading = "Shortcuts for config keys")]
    pub storage: Option<String>,
    /// Config file that is tuned (base)
    #[arg(long, value_name = "FILE", help_heading = "Shortcuts for config keys")]
    pub base: Option<PathBuf>,
    /// Trials of the study (n_trials)
    #[arg(long, visible_alias = "trials", value_name = "N", help_heading = "Shortcuts for config keys")]
    pub n_trials: Option<u64>,
    /// Minutes after which no new trial begins (timeout_minutes)
    #[arg(long, visible_alias = "timeout", value_name = "MINUTES", help_heading = "Shortcuts for config keys")]
    pub timeout_minutes: Option<f64>,
    /// Trials at once in this process (workers.trials)
    #[arg(long, value_name = "N", help_heading = "Shortcuts for config keys")]
    pub workers: Option<u64>,
    /// Seed of the proposals (search.seed)
    #[arg(long, value_name = "N", help_heading = "Shortcuts for config keys")]
    pub seed: Option<u64>,
}

impl TuneFlags {
    /// The named flags as config keys.
    pub fn overrides(&self) -> Vec<Override> {
        let mut all = Vec::new();
        push(&mut all, "--study", "study", self.study.clone());
        push(&mut all, "--storage", "storage", self.storage.clone());
        push(&mut all, "--base", "base", self.base.as_ref().map(|path| path.display().to_string()));
        push(&mut all, "--n-trials", "n_trials", self.n_trials);
        push(&mut all, "--timeout-minutes", "timeout_minutes", self.timeout_minutes);
        push(&mut all, "--workers", "workers.trials", self.workers);
        push(&mut all, "--seed", "search.seed", self.seed);
        all
    }
}
