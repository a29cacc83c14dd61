//! What is known of one trial.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use serde_json::Value;

use crate::study::FAILURE;

/// Values of parameters in their internal form: numbers as they are (also of logarithmic ones), a categorical one as the index
/// of its choice. Only the active ones are there.
pub type Values = BTreeMap<String, f64>;

/// Which way an objective is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Direction {
    Minimize,
    Maximize,
}

impl Direction {
    /// Whether `a` is better than `b`.
    pub fn is_better(self, a: f64, b: f64) -> bool {
        self.loss(a) < self.loss(b)
    }

    /// The value, or its negative, so that less is better.
    pub fn loss(self, value: f64) -> f64 {
        match self {
            Self::Minimize => value,
            Self::Maximize => -value,
        }
    }
}

/// How far a trial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialState {
    /// Queued: some or all of its parameters are fixed, and nobody works on it.
    Waiting,
    /// Somebody works on it.
    Running,
    /// Ended with its values.
    Complete,
    /// Ended early, because its intermediate values gave no hope.
    Pruned,
    /// Ended without values.
    Fail,
}

impl TrialState {
    /// Whether nothing more will come.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Complete | Self::Pruned | Self::Fail)
    }
}

/// One trial of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Of the database, over all studies.
    pub id: i64,
    /// From 0, within the study.
    pub number: u32,
    /// How far it is.
    pub state: TrialState,
    /// What it tries. A parameter that another program has given another distribution is left out.
    pub params: Values,
    /// One per objective; empty unless complete.
    pub values: Vec<f64>,
    /// Value of the (first) objective after each step; steps count from 1 (epochs). May be NaN or infinite.
    pub intermediate: BTreeMap<i64, f64>,
    /// Local time, as Optuna keeps it.
    pub started: Option<NaiveDateTime>,
    /// Local time.
    pub ended: Option<NaiveDateTime>,
    /// Ours and other users'.
    pub user_attributes: BTreeMap<String, Value>,
    /// Optuna's, such as `fixed_params`, `failed_trial`, `completed_rung_0`.
    pub system_attributes: BTreeMap<String, Value>,
}

impl Trial {
    /// Why it failed; `None` also of one that failed only because its worker was gone, and that was queued again.
    pub fn failure(&self) -> Option<&str> {
        self.user_attributes.get(FAILURE).filter(|_| self.state == TrialState::Fail)?.as_str()
    }
}
