//! Studies through the public API, on SQLite and, where `initdb` and `postgres` are found, on PostgreSQL. With `PEER_PYTHON`
//! set to a Python that has Optuna, also together with Optuna.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod conformance;
mod cost;
mod outage;
mod proxy;
mod python;
mod schema;
mod server;
mod workers;

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use tuning::{
    Ask, Condition, Direction, Distribution, Param, PruneConfig, PrunerKind, RetryConfig, SamplerKind, SearchConfig,
    Space, Study, StudySettings, Trial,
};

/// An empty database of a test.
struct Base {
    url: String,
    /// The file of SQLite.
    file: Option<PathBuf>,
    _dir: Option<TempDir>,
}

impl Base {
    fn sqlite() -> Self {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("studies/study.db");
        Self { url: format!("sqlite:///{}", file.display()), file: Some(file), _dir: Some(dir) }
    }

    fn postgres() -> Option<Self> {
        server::new_database().map(|url| Self { url, file: None, _dir: None })
    }

    fn all() -> Vec<Self> {
        std::iter::once(Self::sqlite()).chain(Self::postgres()).collect()
    }

    /// Runs one statement behind the back of the study; `now` in it is the time of the database.
    fn sql(&self, sql: &str) {
        match &self.file {
            Some(file) => {
                let db = rusqlite::Connection::open(file).unwrap();
                db.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
                db.execute_batch(sql).unwrap();
            }
            None => postgres::Client::connect(&self.url, postgres::NoTls).unwrap().batch_execute(sql).unwrap(),
        }
    }

    /// Makes the last sign of life of a trial an hour older.
    fn age(&self, trial: &Trial) {
        let earlier =
            if self.file.is_some() { "datetime(heartbeat, '-1 hour')" } else { "heartbeat - interval '1 hour'" };
        self.sql(&format!("UPDATE trial_heartbeats SET heartbeat = {earlier} WHERE trial_id = {}", trial.id));
    }
}

fn param(name: &str, distribution: Distribution) -> Param {
    Param { name: name.into(), distribution, when: vec![] }
}

fn space() -> Space {
    let choice = |choices: &[Value]| Distribution::Categorical { choices: choices.to_vec() };
    Space::new(vec![
        param("training.lr", Distribution::Float { low: 1e-5, high: 0.1, log: true, step: None }),
        param("dropout", Distribution::Float { low: 0.0, high: 0.6, log: false, step: Some(0.05) }),
        param("depth", Distribution::Int { low: 1, high: 6, log: false, step: 1 }),
        param("solver", choice(&[json!("adamw"), json!("sgd"), Value::Null])),
        param("layers", choice(&[json!([64, 64]), json!([128])])),
        Param {
            when: vec![Condition { param: "solver".into(), is_one_of: vec![1.0] }],
            ..param("momentum", Distribution::Float { low: 0.0, high: 0.99, log: false, step: None })
        },
    ])
    .unwrap()
}

fn settings(name: &str, n_trials: u32) -> StudySettings {
    StudySettings {
        name: name.into(),
        directions: vec![Direction::Minimize],
        space: space(),
        search: SearchConfig { name: SamplerKind::Random, ..SearchConfig::default() },
        prune: PruneConfig { name: PrunerKind::None, ..PruneConfig::default() },
        max_epochs: 20,
        retry: RetryConfig { max: 2, ..RetryConfig::default() },
        n_trials,
    }
}

fn ask(study: &mut Study) -> Trial {
    match study.ask().unwrap() {
        Ask::Trial(trial) => trial,
        other => panic!("{other:?} instead of a trial"),
    }
}
