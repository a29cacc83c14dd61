//! How much a model relies on each feature.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::metrics::Direction;

/// How much worse the score becomes without one feature, in the units of the score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Importance {
    /// Mean over the repeats; around 0 or below for a feature that is not needed.
    pub mean: f64,
    /// Standard deviation over the repeats (divided by their number, as scikit-learn).
    pub std: f64,
}

/// Permutation importance (Breiman 2001): how far the score falls when the values of one feature are shuffled over the
/// rows. `score` gets a feature `0..n_features` and an order of the rows `[n_rows]`: row `i` takes the feature's values
/// from row `order[i]`. A feature may be several columns of a matrix that belong together. `baseline` is the score
/// `(value, direction)` of the rows as they are. Correlated features share their importance: each may look unimportant.
pub fn permutation_importance(
    n_features: usize,
    n_rows: usize,
    repeats: usize,
    seed: u64,
    (baseline, direction): (f64, Direction),
    mut score: impl FnMut(usize, &[u32]) -> f64,
) -> Vec<Importance> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<u32> = (0..n_rows as u32).collect();
    let mut of_feature = |feature| {
        let losses: Vec<f64> = (0..repeats)
            .map(|_| {
                order.shuffle(&mut rng);
                let fall = baseline - score(feature, &order);
                if direction == Direction::Maximize { fall } else { -fall }
            })
            .collect();
        let mean = losses.iter().sum::<f64>() / repeats as f64;
        let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / repeats as f64;
        Importance { mean, std: variance.sqrt() }
    };
    (0..n_features).map(&mut of_feature).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// y = 2 a + b, scored by the model y = 2 a + b with three features: shuffling a costs E(2 a - 2 a')^2 = 8 var(a),
    /// b 2 var(b), c nothing.
    #[test]
    fn importance_is_what_shuffling_costs() {
        const ROWS: usize = 2000;
        let value = |row: usize, feature: usize| ((row * (31 + 22 * feature) + feature) % 101) as f64 / 101.0;
        let target = |row: usize| 2.0 * value(row, 0) + value(row, 1);
        let mse = |feature: usize, order: &[u32]| {
            let predicted = |row: usize| {
                let from = |column: usize| if column == feature { order[row] as usize } else { row };
                2.0 * value(from(0), 0) + value(from(1), 1)
            };
            (0..ROWS).map(|row| (predicted(row) - target(row)).powi(2)).sum::<f64>() / ROWS as f64
        };
        let baseline = (0.0, Direction::Minimize);
        let found = permutation_importance(3, ROWS, 20, 1, baseline, mse);
        // The variance of 0..100 over 101 is (101^2 - 1) / 12 / 101^2.
        let variance = (101.0_f64.powi(2) - 1.0) / 12.0 / 101.0_f64.powi(2);
        assert!((found[0].mean - 8.0 * variance).abs() < 0.02, "{found:?}");
        assert!((found[1].mean - 2.0 * variance).abs() < 0.005, "{found:?}");
        assert_eq!(found[2], Importance { mean: 0.0, std: 0.0 });
        assert!(found[0].std > 0.0 && found[0].std < 0.05);
        assert_eq!(permutation_importance(3, ROWS, 20, 1, baseline, mse), found, "the same seed");
        let up = permutation_importance(1, ROWS, 20, 1, (0.0, Direction::Maximize), |f, o| -mse(f, o));
        assert_eq!(up[0], found[0]);
    }
}
