//! The loop.

use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::{TrainingConfig, clip_by_global_norm};

/// What one training step computed.
pub struct StepOutput {
    /// Mean loss of the batch, `[1]`.
    pub loss: Tensor<1>,
    /// Raw outputs, `[batch, n_outputs]`.
    pub output: Tensor<2>,
}

/// Handed out after every optimizer step.
#[derive(Debug, Clone, Copy)]
pub struct StepEnd {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Optimizer steps so far, over all epochs, from 1.
    pub global_step: usize,
    /// Mean loss of this batch.
    pub loss: f64,
}

/// Handed out after every epoch.
pub struct EpochEnd<M> {
    /// From 1.
    pub epoch: usize,
    /// A copy without dropout and gradients, for evaluation and for keeping.
    pub model: M,
    /// Mean loss over all training rows, each seen once in training mode.
    pub train_loss: f64,
    /// Raw outputs for the training rows in training mode, `[rows, n_outputs]`, in the order of `train_rows`.
    pub train_output: Tensor<2>,
    /// Row indices in the order of this epoch.
    pub train_rows: Vec<u32>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Time of the training steps, in seconds.
    pub seconds: f64,
    /// Training rows per second.
    pub samples_per_second: f64,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Continue,
    /// End the training here, in good order.
    Stop,
}

/// How training ended.
#[derive(Debug)]
pub struct Fitted<M> {
    /// The model after the last step, in training mode.
    pub model: M,
    /// Whole epochs done.
    pub epochs: usize,
}

/// Why training failed.
#[derive(Debug, thiserror::Error)]
pub enum Error<E> {
    /// NaN or infinity: the weights are lost from here on.
    #[error("the loss became `{loss}` in epoch {epoch}, step {global_step} (learning rate {learning_rate:.3e})")]
    NonFiniteLoss {
        /// NaN or infinite.
        loss: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Optimizer step, from 1.
        global_step: usize,
        /// Rate in use.
        learning_rate: f64,
    },
    /// A closure failed.
    #[error(transparent)]
    Caller(E),
}

/// Trains `model` on rows `0..n_rows`.
///
/// `step` gets the model and the rows of a batch and computes loss and outputs. `on_step` and `on_epoch` log, draw,
/// keep weights, and say when to stop. Every epoch visits every row once, the last batch included however small; order
/// and dropout of an epoch depend on `seed` and the epoch's number alone.
pub fn fit<M: Module, E>(
    mut model: M,
    config: &TrainingConfig,
    n_rows: usize,
    seed: u64,
    mut step: impl FnMut(&M, &[u32]) -> StepOutput,
    mut on_step: impl FnMut(StepEnd) -> Next,
    mut on_epoch: impl FnMut(EpochEnd<M>) -> Result<Next, E>,
) -> Result<Fitted<M>, Error<E>> {
    let mut optimizer = config.init_optimizer();
    let steps_per_epoch = n_rows.div_ceil(config.batch_size);
    let mut global_step = 0;
    for epoch in 1..=config.epochs {
        let start = Instant::now();
        let rows = shuffled(n_rows, seed, epoch);
        model.devices().iter().for_each(|device| device.seed(epoch_seed(seed, epoch)));
        let (mut loss_sum, mut learning_rate) = (0.0, 0.0);
        let mut outputs = Vec::with_capacity(steps_per_epoch);
        for batch in rows.chunks(config.batch_size) {
            learning_rate = config.learning_rate_at(global_step, steps_per_epoch);
            global_step += 1;
            let StepOutput { loss, output } = step(&model, batch);
            let value = f64::from(loss.clone().into_scalar::<f32>());
            if !value.is_finite() {
                return Err(Error::NonFiniteLoss { loss: value, epoch, global_step, learning_rate });
            }
            let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
            if config.gradient_clip_norm > 0.0 {
                clip_by_global_norm(&mut gradients, &model, config.gradient_clip_norm);
            }
            model = optimizer.step(learning_rate, model, gradients);
            loss_sum += value * batch.len() as f64;
            outputs.push(output.inner());
            if on_step(StepEnd { epoch, global_step, loss: value }) == Next::Stop {
                return Ok(Fitted { model, epochs: epoch - 1 });
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let end = EpochEnd {
            epoch,
            model: model.valid(),
            train_loss: loss_sum / n_rows as f64,
            train_output: Tensor::cat(outputs, 0),
            train_rows: rows,
            learning_rate,
            seconds,
            samples_per_second: n_rows as f64 / seconds,
        };
        if on_epoch(end).map_err(Error::Caller)? == Next::Stop {
            return Ok(Fitted { model, epochs: epoch });
        }
    }
    Ok(Fitted { model, epochs: config.epochs })
}

/// A fresh order of `0..n_rows` for an epoch, the same on every machine (ChaCha8).
fn shuffled(n_rows: usize, seed: u64, epoch: usize) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..n_rows as u32).collect();
    rows.shuffle(&mut ChaCha8Rng::seed_from_u64(epoch_seed(seed, epoch)));
    rows
}

/// Spreads seed and epoch over 64 bits (splitmix64), so that neighbouring seeds share nothing.
fn epoch_seed(seed: u64, epoch: usize) -> u64 {
    let mut z = seed.wrapping_add((epoch as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
