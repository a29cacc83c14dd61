//! Trials that no other one beats in everything.

use crate::{Direction, Trial, TrialState};

/// Indices of the complete trials that no other dominates, by number. With one objective: those with the best value.
pub fn front(trials: &[Trial], directions: &[Direction]) -> Vec<usize> {
    let complete: Vec<usize> = (0..trials.len()).filter(|&index| trials[index].state == TrialState::Complete).collect();
    let loss = |(&value, direction): (&f64, &Direction)| direction.loss(value);
    let losses: Vec<Vec<f64>> =
        complete.iter().map(|&index| trials[index].values.iter().zip(directions).map(loss).collect()).collect();
    let ranks = ranks(&losses);
    complete.into_iter().zip(ranks).filter(|(_, rank)| *rank == 0).map(|(index, _)| index).collect()
}

/// The front that each point is on, from 0: with all points of lower ranks away, nothing dominates it. Less is better.
pub(crate) fn ranks(losses: &[Vec<f64>]) -> Vec<usize> {
    let mut ranks = vec![usize::MAX; losses.len()];
    let (mut rank, mut n_left) = (0, losses.len());
    while n_left > 0 {
        let is_left = |index: &usize| ranks[*index] == usize::MAX;
        let left: Vec<usize> = (0..losses.len()).filter(is_left).collect();
        let is_beaten = |index: usize| left.iter().any(|&other| dominates(&losses[other], &losses[index]));
        let mut on_front: Vec<usize> = left.iter().copied().filter(|&index| !is_beaten(index)).collect();
        if on_front.is_empty() {
            // What is not a number beats nothing and is beaten by nothing: cannot be, but must not loop.
            on_front = left;
        }
        n_left -= on_front.len();
        on_front.into_iter().for_each(|index| ranks[index] = rank);
        rank += 1;
    }
    ranks
}

/// Nowhere worse, and somewhere better.
fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b) && a.iter().zip(b).any(|(a, b)| a < b)
}
