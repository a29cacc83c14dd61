//! Proposes the next values.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Direction, Space, Trial, Values};

/// The `search:` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SearchConfig {
    /// How values are proposed.
    pub name: SamplerKind,
    /// Random trials before TPE takes over.
    pub startup: usize,
    /// Values that TPE draws and chooses from, for each proposal.
    pub candidates: usize,
    /// Seed of the proposals.
    pub seed: u64,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self { name: SamplerKind::Tpe, startup: 10, candidates: 24, seed: 0 }
    }
}

/// How values are proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SamplerKind {
    /// Multivariate tree-structured Parzen estimator: near what was good, away from what was bad.
    Tpe,
    /// At random.
    Random,
    /// Every combination once, in an order of its own; floats need a step.
    Grid,
    /// Quasi-random (scrambled Sobol): evenly spread.
    Qmc,
}

/// Proposes values for all parameters that are active and not in `fixed`; gives them with the fixed ones. `None`: the grid is
/// used up. What it gives depends on the arguments alone: the same study asked again for the same number gives the same.
pub fn suggest(
    config: &SearchConfig,
    space: &Space,
    directions: &[Direction],
    trials: &[Trial],
    number: u32,
    fixed: &Values,
) -> Option<Values> {
    todo!("{config:?} {space:?} {directions:?} {trials:?} {number} {fixed:?}")
}
