//! Trials that no other one beats in everything.

use crate::{Direction, Trial};

/// Indices of the complete trials that no other dominates, by number. With one objective: those with the best value.
pub fn front(trials: &[Trial], directions: &[Direction]) -> Vec<usize> {
    todo!("{trials:?} {directions:?}")
}
