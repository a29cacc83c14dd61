//! The learning-rate range test: raise the rate with every step until the loss explodes, and look where it fell fastest
//! (Smith, arXiv 1506.01186; smoothing, stop and suggestion as in fastai).

use burn::module::Module;

use crate::fit::{epoch_seed, gradients, shuffled};
use crate::{Optimizer, StepOutput, TrainingConfig, clip_by_global_norm};

const STEPS: usize = 100;
const FIRST_RATE: f64 = 1e-7;
const LAST_RATE: f64 = 10.0;
/// Share of the past in the smoothed loss.
const SMOOTHING: f64 = 0.98;
/// A smoothed loss of more than this times the best ends the sweep.
const EXPLODED: f64 = 4.0;

/// The losses that a sweep met, one per step.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningRateSweep {
    /// Rate of each step, from 1e-7 on, growing by the same factor.
    pub rates: Vec<f64>,
    /// Loss before each step.
    pub losses: Vec<f64>,
    /// The losses' exponential moving average with bias correction.
    pub smoothed: Vec<f64>,
    /// Rate at which the smoothed loss fell fastest per factor of the rate; `None` if it never fell.
    pub suggestion: Option<f64>,
}

/// Trains a copy of `model` for at most 100 steps with rates from 1e-7 to 10, with the config's optimizer, clipping and
/// batch size (times `accumulate_batches`), and without its schedule. `step` is that of [`fit`](crate::fit()), `seed_epoch` that
/// of its [`Plan`](crate::Plan). `model` itself, its batch norm included, stays as it is.
pub fn find_learning_rate<M: Module>(
    model: &M,
    config: &TrainingConfig,
    n_rows: usize,
    seed: u64,
    seed_epoch: &dyn Fn(u64),
    mut step: impl FnMut(&M, &[u32]) -> StepOutput,
) -> LearningRateSweep {
    // A plain clone would share the running statistics of batch norm.
    let mut model = model.valid().train();
    let mut optimizer = Optimizer::new(config);
    seed_epoch(epoch_seed(seed, 1));
    let group_size = config.batch_size * config.accumulate_batches;
    let epochs = STEPS.div_ceil(config.steps_per_epoch(n_rows));
    let orders: Vec<Vec<u32>> = (1..=epochs).map(|epoch| shuffled(n_rows, seed, epoch)).collect();
    let groups = orders.iter().flat_map(|rows| rows.chunks(group_size)).take(STEPS);
    let mut sweep = Sweep::default();
    for (index, group) in groups.enumerate() {
        let rate = FIRST_RATE * (LAST_RATE / FIRST_RATE).powf(index as f64 / (STEPS - 1) as f64);
        let (mut gradients, loss) = gradients(&model, group, config.batch_size, &mut step, &mut Vec::new());
        if sweep.push(rate, loss) {
            break;
        }
        if config.gradient_clip_norm > 0.0 {
            clip_by_global_norm(&mut gradients, &model, config.gradient_clip_norm);
        }
        model = optimizer.step(model, gradients, rate);
    }
    sweep.finish()
}

#[derive(Default)]
struct Sweep {
    rates: Vec<f64>,
    losses: Vec<f64>,
    smoothed: Vec<f64>,
    average: f64,
}

impl Sweep {
    /// True if the loss has exploded.
    fn push(&mut self, rate: f64, loss: f64) -> bool {
        if !loss.is_finite() {
            return true;
        }
        self.rates.push(rate);
        self.losses.push(loss);
        self.average = SMOOTHING * self.average + (1.0 - SMOOTHING) * loss;
        let smoothed = self.average / (1.0 - SMOOTHING.powi(self.losses.len() as i32));
        self.smoothed.push(smoothed);
        smoothed > EXPLODED * self.smoothed.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn finish(self) -> LearningRateSweep {
        let suggestion = steepest(&self.rates, &self.smoothed);
        LearningRateSweep { rates: self.rates, losses: self.losses, smoothed: self.smoothed, suggestion }
    }
}

/// As fastai, the first tenth of the steps and the last five do not count: noise, and the explosion. The slope at a step
/// is taken over five steps to each side, because neighbours differ by chance.
fn steepest(rates: &[f64], losses: &[f64]) -> Option<f64> {
    const REACH: usize = 5;
    let slope = |step: usize| losses[step + REACH] - losses[step - REACH];
    let steps = (losses.len() / 10).max(REACH)..losses.len().saturating_sub(2 * REACH);
    let falling = steps.map(|step| (slope(step), rates[step])).filter(|(slope, _)| *slope < 0.0);
    falling.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, rate)| rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steepest_fall_is_suggested_and_an_explosion_ends_the_sweep() {
        let mut sweep = Sweep::default();
        // Falls fastest at step 40, explodes at step 70.
        let loss = |i: f64| 1.0 - 0.8 / (1.0 + (-(i - 40.0) / 2.0).exp()) + ((i - 70.0) / 2.0).exp();
        let ended = (0..100).find(|&i| sweep.push(1e-7 * 10f64.powf(f64::from(i) * 0.08), loss(f64::from(i))));
        let ended = ended.unwrap();
        assert!((75..90).contains(&ended), "{ended}");
        let found = sweep.finish();
        assert_eq!(found.rates.len(), ended as usize + 1);
        let step = ((found.suggestion.unwrap() / 1e-7).log10() / 0.08).round();
        assert!((40.0..50.0).contains(&step), "the average lags behind: {step}");
        // Bias-corrected average of 3, 1: (.98 * .02 * 3 + .02 * 1) / (1 - .98^2).
        let mut two = Sweep::default();
        assert!(!two.push(1.0, 3.0) && !two.push(2.0, 1.0));
        assert!((two.smoothed[0] - 3.0).abs() < 1e-12 && (two.smoothed[1] - 1.98989898989899).abs() < 1e-12);
        assert!(two.push(3.0, f64::NAN));
        assert_eq!(two.finish().suggestion, None);
    }
}
