//! The study of a run in its database: made, joined, or taken up again.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;
use tuning::{Error, Space, Study, StudySettings, Values};

use crate::exit::Mistake;
use crate::session::Session;
use crate::tune::config::Config;
use crate::tune::objective::{Objective, directions};

/// User attributes of a study.
pub const PARENT_ATTRIBUTE: &str = "mlflow_parent_run_id";
const DEFINITION: &str = "definition";
const DATA: &str = "data";
const CODE: &str = "code";
/// How long a worker waits for its study to be made.
const PATIENCE: Duration = Duration::from_secs(600);

/// What must be the same for all who work on a study.
pub struct Fingerprint {
    /// Base config, space, and how a trial is scored.
    pub definition: String,
    /// The rows and their split.
    pub data: String,
    /// The programs' version and commit.
    pub code: String,
}

impl Fingerprint {
    fn attributes(&self) -> BTreeMap<String, Value> {
        let pairs = [(DEFINITION, &self.definition), (DATA, &self.data), (CODE, &self.code)];
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value.as_str().into())).collect()
    }

    /// An error if the study was made with another one.
    fn check(&self, study: &mut Study) -> Result<()> {
        let parts = [
            (DEFINITION, &self.definition, "its base config, its space or its scoring"),
            (DATA, &self.data, "its data, or their split"),
            (CODE, &self.code, "the programs' code (another version or commit)"),
        ];
        for (key, own, what) in parts {
            let known = study.attribute(key)?;
            if known.as_ref().and_then(Value::as_str).is_some_and(|known| known != own) {
                let problem = format!("study `{}`: {what} has changed since it was made", study.settings().name);
                return Err(Mistake::new(problem)
                    .hint("trials before and after would not compare; start a new study, or say `--accept-changes`")
                    .into());
            }
        }
        Ok(())
    }
}

/// What the study of a run is.
pub fn settings(
    config: &Config,
    name: String,
    space: &Space,
    objectives: &[Objective],
    max_epochs: usize,
) -> StudySettings {
    StudySettings {
        name,
        directions: directions(objectives),
        space: space.clone(),
        search: config.search.clone(),
        prune: config.prune.clone(),
        max_epochs: max_epochs as u32,
        retry: config.retry.clone(),
        n_trials: config.n_trials,
    }
}

/// Makes a study under its name, or the first of `name-2`, `name-3`, .. that is free, with the points to try first.
pub fn create(
    config: &Config,
    settings: &StudySettings,
    fingerprint: &Fingerprint,
    start: &[Values],
    session: &Session,
) -> Result<Study> {
    let mut name = settings.name.clone();
    let mut study = loop {
        match Study::create(&config.storage, StudySettings { name: name.clone(), ..settings.clone() }) {
            Ok(study) => break study,
            Err(Error::Exists(_)) => {
                let known = Study::names(&config.storage)?;
                let free = (2..).map(|n| format!("{}-{n}", settings.name)).find(|name| !known.contains(name));
                name = free.unwrap_or_default();
            }
            Err(error) => return Err(error.into()),
        }
    };
    if name != settings.name {
        let taken = &settings.name;
        session.console.note(&format!("a study `{taken}` is in the database already; this one is `{name}`"));
    }
    let mut attributes = fingerprint.attributes();
    attributes.insert(PARENT_ATTRIBUTE.to_owned(), session.run.id().into());
    for point in start {
        study.enqueue(point)?;
    }
    // Last: a worker that finds them finds a whole study.
    study.set_attributes(&attributes)?;
    Ok(study)
}

/// Joins a study that another program has made, or that a stopped run has left. A worker waits until it is there.
pub fn join(
    config: &Config,
    settings: &StudySettings,
    fingerprint: Option<&Fingerprint>,
    session: &Session,
) -> Result<Study> {
    let start = Instant::now();
    loop {
        let is_there = Study::names(&config.storage)?.contains(&settings.name);
        if is_there {
            let mut study = Study::open(&config.storage, settings.clone())?;
            if study.attribute(PARENT_ATTRIBUTE)?.is_some() {
                fingerprint.map_or(Ok(()), |fingerprint| fingerprint.check(&mut study))?;
                return Ok(study);
            }
        }
        if start.elapsed() > PATIENCE {
            let problem =
                format!("there is no study `{}` in `{}`", settings.name, tracking::redact_url(&config.storage));
            return Err(Mistake::new(problem)
                .hint("start it with `cargo run --bin tune -- --study NAME --storage URL`, without `--worker`")
                .into());
        }
        session.console.stop_if_interrupted()?;
        thread::sleep(Duration::from_millis(500));
    }
}
