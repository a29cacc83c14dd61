//! A study in its database: ask for a trial, report its progress, tell its score.
//!
//! Any number of programs on any number of machines work on one study without a driver: what they agree on is in the database.
//! Numbers are given and trials are counted under the lock of the study's row; whoever finishes a trial does so on condition
//! that it is RUNNING, so that of two only one succeeds.
//!
//! Python programs may work on the same study. In a SQLite file, though, Optuna takes trials from the queue without any lock, so
//! that two programs may work on the same one; the first to tell wins. PostgreSQL has no such gap.
//!
//! # Dead workers
//!
//! A worker gives a sign of life every `heartbeat_seconds` for its trials ([`Study::beat`]). Once there was none for
//! `grace_seconds`, any other worker fails the trial and queues a copy with the same parameters, at most `max` times over; so
//! `grace_seconds` must be longer than the heartbeat of every program that works on the study, Python's too. If the worker was
//! only slow, it learns from [`Verdict::Lost`] or from [`Study::tell`] that the trial is not its own any more.
//!
//! # Outages
//!
//! While the database is away every call tries again for `outage_seconds`, then fails with [`Error::Unreachable`]; it may be
//! repeated later. A repetition does no harm even if the first attempt had reached the database: values and attributes are
//! written in place of those of the same name, an outcome is recognised by its time, a trial that was begun unnoticed is found
//! by its attribute `worker`, and a queued one by an id of its own. After an outage nobody is taken for dead for
//! `grace_seconds`, for nobody could give a sign of life.

mod ask;
mod revive;
mod tell;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{Local, NaiveDateTime, SubsecRound};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::history::History;
use crate::storage::rows::{self, Attributes};
use crate::storage::{self, Database, Failure};
use crate::{Direction, PruneConfig, SearchConfig, Space, Trial, TrialState, Values, json, params, worker};

/// Longest JSON of an attribute, in characters: what every database that Optuna knows takes.
const MAX_ATTRIBUTE: usize = 2045;

/// User attribute of a trial: who works on it, as `host:pid:id`.
const WORKER: &str = "worker";

/// User attribute of a trial: why it failed.
pub(crate) const FAILURE: &str = "failure";

/// User attribute of a trial that was queued again: why, and as which one.
const REPLACED: &str = "queued_again";

/// System attribute of a trial that [`Study::enqueue`] has made: an id of the call.
const QUEUED: &str = "queued";

/// Why the study cannot go on. Messages never contain credentials.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A study of this name is in the database already.
    #[error("a study `{0}` is there already")]
    Exists(String),
    /// No study of this name is in the database.
    #[error("there is no study `{name}` in `{url}`")]
    NotFound {
        /// The name.
        name: String,
        /// The database.
        url: String,
    },
    /// The study that is there has other directions or another number of objectives.
    #[error("the study `{0}` has other objectives: their number or directions differ")]
    Directions(String),
    /// An address that is not understood; it is not shown, because it may hold a password.
    #[error(
        "the address of the database {0}. Hint: it is `sqlite:///file.db`, `sqlite:////absolute/file.db` or \
         `postgresql://user:password@host:port/database`, also as `postgresql+psycopg2://..` or `postgresql+psycopg://..`"
    )]
    Url(String),
    /// Tables that are not those of Optuna 3.2 to 5.0.
    #[error("the database cannot be used. {0}")]
    Schema(String),
    /// The JSON of an attribute is longer than 2,045 characters.
    #[error("attribute `{key}` has {length} characters as JSON; at most {MAX_ATTRIBUTE} are possible")]
    TooLong {
        /// Its name.
        key: String,
        /// Its length.
        length: usize,
    },
    /// A value to be fixed is not within its parameter, or there is no such parameter.
    #[error("`{0}` cannot be fixed: no such parameter, or the value is not one of its values")]
    Fixed(String),
    /// As many values as objectives are needed.
    #[error("{found} values were told, but the study has {expected} objectives")]
    Values {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// The database refused.
    #[error("cannot {doing} in `{url}`: {reason}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// The database.
        url: String,
        /// Its reason.
        reason: String,
    },
    /// The database is away or overloaded: worth a repetition.
    #[error("cannot {doing} in `{url}`, tried for {seconds} s: {reason}")]
    Unreachable {
        /// What was being done.
        doing: &'static str,
        /// The database.
        url: String,
        /// For how long it was tried.
        seconds: u64,
        /// Why it failed in the end.
        reason: String,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
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
    /// Seconds to go on trying while the database is away.
    pub outage_seconds: u64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { max: 2, heartbeat_seconds: 15, grace_seconds: 120, outage_seconds: 600 }
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
    database: Database,
    id: i64,
    history: History,
    worker: String,
    /// Trials that this program works on, with the time at which it first tried to end them.
    mine: BTreeMap<i64, Option<NaiveDateTime>>,
    /// An attempt to ask may have begun a trial that nobody knows of.
    is_unsure: bool,
}

impl Study {
    /// Makes a study, and its database file and tables where there are none yet. `url`: `sqlite:///file.db` or
    /// `postgresql://user:password@host/database` (also as `postgresql+psycopg2://..`). Errors with [`Error::Exists`] if there
    /// is one of this name.
    pub fn create(url: &str, settings: StudySettings) -> Result<Self> {
        let database = Database::open(url, true, settings.retry.outage())?;
        let Some(mut database) = database else { return Err(not_found(url, settings.name)) };
        let id = database
            .write("create a study", |session, _| rows::create_study(session, &settings.name, &settings.directions))?;
        match id {
            Some(id) => Ok(Self::new(settings, database, id)),
            None => Err(Error::Exists(settings.name)),
        }
    }

    /// Joins a study that is there. Errors with [`Error::NotFound`] if there is none, and with [`Error::Directions`] if its
    /// directions are others.
    pub fn open(url: &str, settings: StudySettings) -> Result<Self> {
        let database = Database::open(url, false, settings.retry.outage())?;
        let Some(mut database) = database else { return Err(not_found(url, settings.name)) };
        let found = database.run("open a study", |session| match rows::study_id(session, &settings.name)? {
            Some(id) => Ok(Some((id, rows::directions(session, id)?))),
            None => Ok(None),
        })?;
        match found {
            None => Err(Error::NotFound { name: settings.name, url: database.shown() }),
            Some((id, Some(directions))) if directions == settings.directions => Ok(Self::new(settings, database, id)),
            Some(_) => Err(Error::Directions(settings.name)),
        }
    }

    fn new(settings: StudySettings, database: Database, id: i64) -> Self {
        let history = History::new(&settings.space);
        Self { settings, database, id, history, worker: worker::new(), mine: BTreeMap::new(), is_unsure: false }
    }

    /// An error if this is no address of a database. It is not opened.
    pub fn check_url(url: &str) -> Result<()> {
        crate::storage::check_url(url)
    }

    /// Names of the studies in a database; none if there is no database file or table yet.
    pub fn names(url: &str) -> Result<Vec<String>> {
        match Database::open(url, false, Duration::ZERO)? {
            Some(mut database) => database.run("list the studies", |session| rows::study_names(session)),
            None => Ok(Vec::new()),
        }
    }

    /// What it was made with.
    pub fn settings(&self) -> &StudySettings {
        &self.settings
    }

    /// Queues a trial in which these parameters are fixed and the others are proposed as always. Errors with [`Error::Fixed`]
    /// for a value that is not of the space.
    pub fn enqueue(&mut self, fixed: &Values) -> Result<()> {
        let fixed = params::fixed_params(&self.settings.space, fixed).map_err(Error::Fixed)?;
        let queued = json::to_text(&Uuid::new_v4().to_string().into());
        let attributes = [("fixed_params", checked("fixed_params", &fixed)?), (QUEUED, queued.clone())];
        let study = self.id;
        self.database.write("queue a trial", |session, is_sent| {
            rows::lock_study(session, study)?;
            if is_sent && rows::has_trial_with(session, study, QUEUED, &queued)? {
                return Ok(());
            }
            let number = rows::next_number(session, study)?;
            let trial = rows::create_trial(session, study, number, TrialState::Waiting, None)?;
            rows::set_attributes(session, Attributes::OfTrialSystem, trial, &attributes)
        })
    }

    /// All trials, by number, read anew. Attributes that another program gives to a finished trial are not seen.
    pub fn trials(&mut self) -> Result<&[Trial]> {
        let Self { settings, database, history, id, .. } = self;
        database.run("read the trials", |session| history.refresh(session, *id, &settings.space))?;
        Ok(self.history.trials())
    }

    /// A user attribute of the study.
    pub fn attribute(&mut self, key: &str) -> Result<Option<Value>> {
        let study = self.id;
        let text = self
            .database
            .run("read an attribute", |session| rows::attribute(session, Attributes::OfStudy, study, key))?;
        Ok(text.map(|text| json::from_text(&text)))
    }

    /// Sets user attributes of the study, all or none. Errors with [`Error::TooLong`].
    pub fn set_attributes(&mut self, attributes: &BTreeMap<String, Value>) -> Result<()> {
        let text = |(key, value): (&'_ String, _)| Ok((key.clone(), checked(key, value)?));
        let texts: Vec<(String, String)> = attributes.iter().map(text).collect::<Result<_>>()?;
        let texts: Vec<(&str, String)> = texts.iter().map(|(key, text)| (key.as_str(), text.clone())).collect();
        let study = self.id;
        self.database
            .write("set attributes", |session, _| rows::set_attributes(session, Attributes::OfStudy, study, &texts))
    }

    /// Sets a user attribute of a trial, also of a finished one. Errors with [`Error::TooLong`].
    pub fn set_trial_attribute(&mut self, trial: &Trial, key: &str, value: &Value) -> Result<()> {
        let text = [(key, checked(key, value)?)];
        self.database.write("set an attribute", |session, _| {
            rows::set_attributes(session, Attributes::OfTrial, trial.id, &text)
        })?;
        self.history.set_attribute(trial.id, key, value);
        Ok(())
    }
}

impl RetryConfig {
    fn outage(&self) -> Duration {
        Duration::from_secs(self.outage_seconds)
    }
}

/// The JSON of an attribute.
fn checked(key: &str, value: &Value) -> Result<String> {
    let text = json::to_text(value);
    if text.len() > MAX_ATTRIBUTE {
        return Err(Error::TooLong { key: key.to_owned(), length: text.len() });
    }
    Ok(text)
}

/// There is not even a database, or it has no tables.
fn not_found(url: &str, name: String) -> Error {
    match storage::shown(url) {
        Ok(url) => Error::NotFound { name, url },
        Err(error) => error,
    }
}

/// To the microsecond, as databases keep it.
fn now() -> NaiveDateTime {
    Local::now().naive_local().trunc_subsecs(6)
}
