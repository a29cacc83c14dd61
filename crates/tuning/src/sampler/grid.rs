//! Every combination once.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::{Space, Values};

/// More would not be tried.
pub const MOST_POINTS: usize = 100_000;

/// All combinations, each with its active parameters; `None` if there are too many, or endlessly many.
pub fn points(space: &Space) -> Option<Vec<Values>> {
    let mut points = vec![Values::new()];
    for param in space.params() {
        let all = param.distribution.all()?;
        let mut longer = Vec::new();
        for point in points {
            if !Space::is_active(param, &point) {
                longer.push(point);
            } else {
                longer.extend(all.iter().map(|&value| {
                    let mut point = point.clone();
                    point.insert(param.name.clone(), value);
                    point
                }));
            }
            if longer.len() > MOST_POINTS {
                return None;
            }
        }
        points = longer;
    }
    Some(points)
}

/// The point at a place of a sequence that the seed shuffles; `None` behind its end.
pub fn point(space: &Space, seed: u64, place: usize) -> Option<Values> {
    let mut points = points(space)?;
    points.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    points.into_iter().nth(place)
}
