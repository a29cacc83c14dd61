//! What a run does, as its tag `kind` says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracking::RunData;

/// The tag of every run of these programs.
pub const KIND: &str = "kind";
const PARENT: &str = "mlflow.parentRunId";

/// Values of the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// A training program's own run. A run that some other program has made, and which is no part of another, counts as one.
    Train,
    /// The winner of a search, trained anew.
    Refit,
    /// One network of an ensemble.
    Member,
    /// One fold of a cross-validation or back-test.
    Fold,
    /// A simple model beside a network.
    Baseline,
    /// A search.
    Tune,
    /// One trial of a search.
    Trial,
    /// A model judged.
    Evaluate,
    /// Rows of now held against those of training.
    Drift,
    /// A model let into the registry, or not.
    Promotion,
    /// A part of another run, of a program that does not say what it is.
    Other,
}

impl RunKind {
    /// As the tag has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Refit => "refit",
            Self::Member => "member",
            Self::Fold => "fold",
            Self::Baseline => "baseline",
            Self::Tune => "tune",
            Self::Trial => "trial",
            Self::Evaluate => "evaluate",
            Self::Drift => "drift",
            Self::Promotion => "promotion",
            Self::Other => "other",
        }
    }

    /// The tag.
    pub fn tag(self) -> (&'static str, String) {
        (KIND, self.as_str().to_owned())
    }

    /// Of a run.
    pub fn of(run: &RunData) -> Self {
        let tag = run.tags.get(KIND).map(|kind| serde_json::Value::String(kind.clone()));
        match tag.map(serde_json::from_value) {
            Some(Ok(kind)) => kind,
            _ if run.tags.contains_key(PARENT) => Self::Other,
            _ => Self::Train,
        }
    }
}
