//! Ends trials that have no hope.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Direction, Trial, TrialState};

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
    let go_on = Judgement { prune: false, attributes: Vec::new() };
    let Some((&step, &value)) = trial.intermediate.last_key_value() else { return go_on };
    if step < i64::from(config.min) {
        return go_on;
    }
    match config.name {
        PrunerKind::None => go_on,
        PrunerKind::Median => Judgement { prune: is_below_median(config, direction, trials, trial, step), ..go_on },
        PrunerKind::Asha => halve(config, 0, direction, trials, trial, (step, value)),
        PrunerKind::Hyperband => {
            let brackets = Brackets::new(config, max_epochs);
            let own = brackets.of(study, trial.number);
            let mates: Vec<Trial> =
                trials.iter().filter(|other| brackets.of(study, other.number) == own).cloned().collect();
            halve(config, own, direction, &mates, trial, (step, value))
        }
    }
}

/// Optuna's `MedianPruner`.
fn is_below_median(config: &PruneConfig, direction: Direction, trials: &[Trial], trial: &Trial, step: i64) -> bool {
    let complete: Vec<&Trial> = trials.iter().filter(|other| other.state == TrialState::Complete).collect();
    if complete.is_empty() || complete.len() < config.startup as usize {
        return false;
    }
    let values = trial.intermediate.values().copied().filter(|value| !value.is_nan());
    let Some(best) = values.reduce(|a, b| if direction.is_better(b, a) { b } else { a }) else { return true };
    let at_step = complete.iter().filter_map(|other| other.intermediate.get(&step).copied());
    let mut others: Vec<f64> = at_step.filter(|value| !value.is_nan()).collect();
    if others.is_empty() {
        return false;
    }
    others.sort_by(f64::total_cmp);
    let median = 0.5 * (others[(others.len() - 1) / 2] + others[others.len() / 2]);
    direction.is_better(median, best)
}

/// Optuna's `SuccessiveHalvingPruner`: at each rung the best of every `factor` trials that have come there so far goes on. `skipped`
/// rungs are left out at the beginning.
fn halve(
    config: &PruneConfig,
    skipped: u32,
    direction: Direction,
    trials: &[Trial],
    trial: &Trial,
    (step, value): (i64, f64),
) -> Judgement {
    let mut attributes = Vec::new();
    let reached = (0..).take_while(|&rung| trial.system_attributes.contains_key(&rung_key(rung))).count() as u32;
    for rung in reached.. {
        let at = f64::from(config.min) * f64::from(config.factor).powf(f64::from(skipped + rung));
        if (step as f64) < at {
            break;
        }
        if value.is_nan() {
            return Judgement { prune: true, attributes };
        }
        let key = rung_key(rung);
        let of_other = |other: &Trial| other.system_attributes.get(&key).and_then(Value::as_f64);
        let others = trials.iter().filter(|other| other.number != trial.number).filter_map(of_other);
        let mut competing: Vec<f64> = others.chain([value]).collect();
        competing.sort_by(|a, b| direction.loss(*a).total_cmp(&direction.loss(*b)));
        let n_promoted = (competing.len() / config.factor as usize).max(1);
        attributes.push((key, value));
        if direction.is_better(competing[n_promoted - 1], value) {
            return Judgement { prune: true, attributes };
        }
    }
    Judgement { prune: false, attributes }
}

fn rung_key(rung: u32) -> String {
    format!("completed_rung_{rung}")
}

/// Optuna's `HyperbandPruner`: which trial belongs to which bracket.
struct Brackets {
    /// Share of the trials of each bracket.
    budgets: Vec<u32>,
}

impl Brackets {
    fn new(config: &PruneConfig, max_epochs: u32) -> Self {
        let ratio = f64::from(max_epochs.max(1)) / f64::from(config.min.max(1));
        let factor = f64::from(config.factor);
        // Exact powers must not lose a bracket to rounding.
        let n = (ratio.max(1.0).ln() / factor.ln() + 1e-9).floor() as u32 + 1;
        let budget = |bracket: u32| {
            let s = n - 1 - bracket;
            (f64::from(n) * factor.powf(f64::from(s)) / f64::from(s + 1)).ceil() as u32
        };
        Self { budgets: (0..n).map(budget).collect() }
    }

    /// The same for everyone who knows the study's name.
    fn of(&self, study: &str, number: u32) -> u32 {
        let total: u32 = self.budgets.iter().sum();
        let mut place = crc32fast::hash(format!("{study}_{number}").as_bytes()) % total;
        for (bracket, &budget) in (0..).zip(&self.budgets) {
            if place < budget {
                return bracket;
            }
            place -= budget;
        }
        0
    }
}
