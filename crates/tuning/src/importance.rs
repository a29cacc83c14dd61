//! How much each parameter decides about the objective (PED-ANOVA: Watanabe et al., IJCAI 2023).

use crate::{Direction, Space, Trial};

/// Shares that sum to 1, greatest first, of the parameters that all complete trials have; empty with too few trials or without
/// a difference between them. `target` gives a trial's value.
pub fn importances(
    space: &Space,
    trials: &[Trial],
    direction: Direction,
    target: impl Fn(&Trial) -> Option<f64>,
) -> Vec<(String, f64)> {
    let _ = (space, trials, direction, target(&trials[0]));
    todo!()
}
