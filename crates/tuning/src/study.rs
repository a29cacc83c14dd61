//! A study in its database: ask for a trial, report its progress, tell its score.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Direction, PruneConfig, SearchConfig, Space, Trial, Values};

/// Why the study cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A study of this name is in the database already.
    #[error("a study `{0}` is there already")]
    Exists(String),
}

/// Result of this module.
pub type Result<T> = std::result::Result<T, Error>;

/// The `retry:` section: trials whose worker is dead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// How often a trial is tried again after its worker has died.
    pub max: u32,
    /// Seconds between two signs of life of a worker.
    pub heartbeat_seconds: u64,
    /// Seconds without a sign of life after which a worker is taken for dead.
    pub grace_seconds: u64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { max: 2, heartbeat_seconds: 15, grace_seconds: 120 }
    }
}

/// What a study is.
#[derive(Debug, Clone)]
pub struct StudySettings {
    /// Unique in its database.
    pub name: String,
    /// One per objective.
    pub directions: Vec<Direction>,
    /// What is tried.
    pub space: Space,
    /// How values are proposed.
    pub search: SearchConfig,
    /// How trials are pruned.
    pub prune: PruneConfig,
    /// Epochs of a whole trial, for the pruner.
    pub max_epochs: u32,
    /// What happens to trials of dead workers.
    pub retry: RetryConfig,
    /// Trials after which no more is begun, over all workers. A trial that was queued again in place of another one does not
    /// count twice.
    pub n_trials: u32,
}

/// What there is to do.
#[derive(Debug)]
pub enum Ask {
    /// Work on this trial, which is RUNNING now and has all its parameters.
    Trial(Trial),
    /// Nothing now, but others still work, and what they leave may come back.
    Wait,
    /// All trials are finished.
    Done,
}

/// What a report brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// Stop, and tell [`Outcome::Pruned`].
    Prune,
    /// Somebody took this worker for dead and has queued the trial again: stop, nothing is left to tell.
    Lost,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// One finite value per objective.
    Complete(Vec<f64>),
    /// Its value is the last one reported, as Optuna does it.
    Pruned,
    /// Why it has no value; kept as user attribute `failure`.
    Failed(String),
    /// The program stops (Ctrl-C, time limit): the trial goes back to the queue with its parameters, not counted as a retry.
    Requeued,
}

/// A study, as one program sees it. Not for several threads at once: put it behind a lock.
pub struct Study {
    settings: StudySettings,
}

impl Study {
    /// Makes a study, and its database and tables where there are none yet. `url`: `sqlite:///file.db` or
    /// `postgresql://user:password@host/database` (also as `postgresql+psycopg2://..`). Errors with [`Error::Exists`] if there
    /// is one of this name.
    pub fn create(url: &str, settings: StudySettings) -> Result<Self> {
        todo!("{url} {settings:?}")
    }

    /// Joins a study that is there. Errors if its directions are others.
    pub fn open(url: &str, settings: StudySettings) -> Result<Self> {
        todo!("{url} {settings:?}")
    }

    /// Names of the studies in a database; none if there is no database yet.
    pub fn names(url: &str) -> Result<Vec<String>> {
        todo!("{url}")
    }

    /// What it was made with.
    pub fn settings(&self) -> &StudySettings {
        &self.settings
    }

    /// Queues a trial in which these parameters are fixed and the others are proposed as always.
    pub fn enqueue(&mut self, fixed: &Values) -> Result<()> {
        todo!("{fixed:?}")
    }

    /// Takes the first trial of the queue, or begins a new one if there are not `n_trials` yet; its parameters are proposed and
    /// stored.
    pub fn ask(&mut self) -> Result<Ask> {
        todo!()
    }

    /// Stores the value of the first objective after a step, and asks the pruner.
    pub fn report(&mut self, trial: &Trial, step: i64, value: f64) -> Result<Verdict> {
        todo!("{trial:?} {step} {value}")
    }

    /// Ends a trial. False if it is not this worker's any more: nothing was changed then.
    pub fn tell(&mut self, trial: &Trial, outcome: &Outcome) -> Result<bool> {
        todo!("{trial:?} {outcome:?}")
    }

    /// A sign of life for every trial that this program works on, to be given every `heartbeat_seconds`; then fails the trials
    /// of dead workers and queues them again.
    pub fn beat(&mut self) -> Result<()> {
        todo!()
    }

    /// Queues the trials again whose process is known to be dead, without waiting for the grace to pass.
    pub fn requeue_orphans(&mut self) -> Result<u32> {
        todo!()
    }

    /// All trials, by number, read anew.
    pub fn trials(&mut self) -> Result<&[Trial]> {
        todo!()
    }

    /// A user attribute of the study.
    pub fn attribute(&mut self, key: &str) -> Result<Option<Value>> {
        todo!("{key}")
    }

    /// Sets user attributes of the study.
    pub fn set_attributes(&mut self, attributes: &BTreeMap<String, Value>) -> Result<()> {
        todo!("{attributes:?}")
    }

    /// Sets a user attribute of a trial.
    pub fn set_trial_attribute(&mut self, trial: &Trial, key: &str, value: &Value) -> Result<()> {
        todo!("{trial:?} {key} {value}")
    }
}
