//! Scrambled Halton points (Owen, A randomized Halton algorithm in R, arXiv 1706.02808): evenly spread, other ones for every seed.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::{Space, Values};

/// The point at a place of the sequence, with a value for every parameter, active or not.
pub fn point(space: &Space, seed: u64, place: usize) -> Values {
    let values = space.params().iter().zip(primes()).enumerate().map(|(dimension, (param, base))| {
        let share = radical_inverse(place as u64, base, seed, dimension as u64);
        (param.name.clone(), param.distribution.at(share))
    });
    values.collect()
}

/// The digits of `n` in a base, each permuted, mirrored at the point: between 0 and 1.
fn radical_inverse(mut n: u64, base: u64, seed: u64, dimension: u64) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(dimension);
    let (mut share, mut weight) = (0.0, 1.0 / base as f64);
    // Digits beyond those of `n` are zeros, which are permuted too.
    while weight > 1e-16 {
        let mut digits: Vec<u64> = (0..base).collect();
        digits.shuffle(&mut rng);
        share += weight * digits[(n % base) as usize] as f64;
        n /= base;
        weight /= base as f64;
    }
    share.min(1.0 - f64::EPSILON)
}

fn primes() -> impl Iterator<Item = u64> {
    (2..).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0))
}
