//! Ends trials that have no hope.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Direction, Trial};

/// The `prune:` section. The unit is the epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PruneConfig {
    /// Which rule.
    pub name: PrunerKind,
    /// No trial is pruned before this many epochs.
    pub min: u32,
    /// `asha`, `hyperband`: at each rung one of `factor` trials goes on, and the next rung is `factor` times as far.
    pub factor: u32,
    /// `median`: trials that must be complete before any is pruned.
    pub startup: u32,
}

impl Default for PruneConfig {
    fn default() -> Self {
        Self { name: PrunerKind::None, min: 5, factor: 3, startup: 5 }
    }
}

/// Which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrunerKind {
    /// Every trial runs to its end.
    None,
    /// Its best value so far is worse than the median of the others at the same epoch.
    Median,
    /// Asynchronous successive halving.
    Asha,
    /// Several brackets of successive halving, with different first rungs.
    Hyperband,
}

/// What a pruner says of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Whether to end it.
    pub prune: bool,
    /// System attributes to keep with the trial, `completed_rung_0` and so on, which Optuna's own pruners read.
    pub attributes: Vec<(String, f64)>,
}

/// Judges a running trial after its latest reported step. `max_epochs` is how long a trial runs at most.
pub fn judge(
    config: &PruneConfig,
    study: &str,
    direction: Direction,
    trials: &[Trial],
    trial: &Trial,
    max_epochs: u32,
) -> Judgement {
    todo!("{config:?} {study} {direction:?} {trials:?} {trial:?} {max_epochs}")
}
