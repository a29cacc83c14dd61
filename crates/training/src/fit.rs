//! The loop.

use std::time::Instant;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::average::WeightAverage;
use crate::schedule::Plateau;
use crate::{Checkpoint, CheckpointError, Optimizer, TrainingConfig, clip_by_global_norm};

/// What to train on, and from where.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// The checked config.
    pub config: &'a TrainingConfig,
    /// Training rows.
    pub n_rows: usize,
    /// Decides dropout and the order of the rows, each epoch anew.
    pub seed: u64,
    /// Go on from here in place of starting.
    pub resume: Option<&'a Checkpoint>,
    /// Told a number before each epoch, to seed whatever draws random numbers in `step` (dropout).
    pub seed_epoch: &'a dyn Fn(u64),
}

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
    /// Mean loss of the rows of this step.
    pub loss: f64,
}

/// Handed out after every epoch.
pub struct EpochEnd<'a, M> {
    /// From 1.
    pub epoch: usize,
    /// A copy without dropout and gradients, for evaluation and for keeping: the average of the weights where the config
    /// asks for it.
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
    /// The monitored value (`early_stopping.monitor`) of this epoch, for the caller to fill in before it takes a
    /// checkpoint or returns. `reduce_on_plateau` follows it; NaN is no improvement.
    pub monitored: f64,
    state: &'a LoopState<M>,
    plan: Plan<'a>,
}

impl<M: Module> EpochEnd<'_, M> {
    /// Everything that [`fit`] needs to go on after this epoch: weights in full precision, batch norm, optimizer, average,
    /// schedule, time used. `caller` is any text that belongs to it and comes back with it (such as the state of early
    /// stopping). Costs about four times the weights in bytes with Adam, and as much more memory while it is made.
    pub fn checkpoint(&self, caller: &str) -> Result<Vec<u8>, CheckpointError> {
        let plateau = self.state.plateau_after(self.plan.config, self.monitored);
        Checkpoint::write(self.state, &self.plan, plateau, caller)
    }
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Continue,
    /// End the training here, in good order.
    Stop,
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All epochs are done.
    AllEpochs,
    /// A closure said [`Next::Stop`].
    Told,
    /// `time_budget_minutes` is used up.
    TimeBudget,
}

/// How training ended.
#[derive(Debug)]
pub struct Fitted<M> {
    /// The model after the last step, in training mode; never the average.
    pub model: M,
    /// Whole epochs done, those before a resume included.
    pub epochs: usize,
    /// Why no further epoch followed.
    pub ended: Ended,
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
    /// [`Plan::resume`] does not fit.
    #[error(transparent)]
    Resume(#[from] CheckpointError),
    /// A closure failed.
    #[error(transparent)]
    Caller(E),
}

/// Where the loop stands.
pub(crate) struct LoopState<M> {
    pub model: M,
    pub optimizer: Optimizer,
    pub average: Option<WeightAverage>,
    pub plateau: Plateau,
    /// Whole epochs done.
    pub epoch: usize,
    /// Optimizer steps done.
    pub global_step: usize,
    pub seconds_before: f64,
    pub start: Instant,
}

impl<M: Module> LoopState<M> {
    pub fn new(model: M, optimizer: Optimizer, average: Option<WeightAverage>, seconds_before: f64) -> Self {
        let (plateau, start) = (Plateau::new(), Instant::now());
        Self { model, optimizer, average, plateau, epoch: 0, global_step: 0, seconds_before, start }
    }

    fn start(model: M, plan: &Plan) -> Result<Self, CheckpointError> {
        match plan.resume {
            Some(checkpoint) => checkpoint.restore(model, plan),
            None => {
                let average = plan.config.ema_decay.map(WeightAverage::new);
                Ok(Self::new(model, Optimizer::new(plan.config), average, 0.0))
            }
        }
    }

    /// Wall time used so far, before a resume too.
    pub fn seconds(&self) -> f64 {
        self.seconds_before + self.start.elapsed().as_secs_f64()
    }

    fn plateau_after(&self, config: &TrainingConfig, monitored: f64) -> Plateau {
        let mut plateau = self.plateau.clone();
        plateau.update(config, config.early_stopping.direction(), monitored);
        plateau
    }

    fn evaluation_model(&self) -> M {
        let model = self.model.valid();
        self.average.as_ref().map_or_else(|| model.clone(), |average| average.apply(model.clone()))
    }
}

/// Sums over an epoch.
struct Epoch {
    rows: Vec<u32>,
    loss_sum: f64,
    outputs: Vec<Tensor<2>>,
    learning_rate: f64,
    seconds: f64,
    is_whole: bool,
}

/// Trains `model` on rows `0..n_rows`.
///
/// `step` gets the model and the rows of a batch and computes loss and outputs. `on_step` and `on_epoch` log, draw,
/// keep weights, and say when to stop. Every epoch visits every row once, the last batch included however small; order
/// and dropout of an epoch depend on `seed` and the epoch's number alone, so that a training resumed from a checkpoint
/// ends with the same bits as one that was never interrupted.
pub fn fit<M: Module, E>(
    model: M,
    plan: Plan,
    mut step: impl FnMut(&M, &[u32]) -> StepOutput,
    mut on_step: impl FnMut(StepEnd) -> Next,
    mut on_epoch: impl FnMut(&mut EpochEnd<M>) -> Result<Next, E>,
) -> Result<Fitted<M>, Error<E>> {
    let config = plan.config;
    let mut state = LoopState::start(model, &plan)?;
    while state.epoch < config.epochs {
        let is_out_of_time = config.time_budget_minutes.is_some_and(|minutes| state.seconds() >= minutes * 60.0);
        if is_out_of_time && state.epoch > 0 {
            return Ok(Fitted { model: state.model, epochs: state.epoch, ended: Ended::TimeBudget });
        }
        let epoch;
        (state, epoch) = train_epoch(state, &plan, &mut step, &mut on_step)?;
        if !epoch.is_whole {
            return Ok(Fitted { model: state.model, epochs: state.epoch, ended: Ended::Told });
        }
        state.epoch += 1;
        let mut end = EpochEnd {
            epoch: state.epoch,
            model: state.evaluation_model(),
            train_loss: epoch.loss_sum / plan.n_rows as f64,
            train_output: Tensor::cat(epoch.outputs, 0),
            train_rows: epoch.rows,
            learning_rate: epoch.learning_rate,
            seconds: epoch.seconds,
            samples_per_second: plan.n_rows as f64 / epoch.seconds,
            monitored: f64::NAN,
            state: &state,
            plan,
        };
        let next = on_epoch(&mut end).map_err(Error::Caller)?;
        let plateau = state.plateau_after(config, end.monitored);
        state.plateau = plateau;
        if next == Next::Stop {
            return Ok(Fitted { model: state.model, epochs: state.epoch, ended: Ended::Told });
        }
    }
    Ok(Fitted { model: state.model, epochs: state.epoch, ended: Ended::AllEpochs })
}

/// One pass over all rows, or up to the step at which `on_step` said stop.
fn train_epoch<M: Module, E>(
    mut state: LoopState<M>,
    plan: &Plan,
    step: &mut impl FnMut(&M, &[u32]) -> StepOutput,
    on_step: &mut impl FnMut(StepEnd) -> Next,
) -> Result<(LoopState<M>, Epoch), Error<E>> {
    let (config, number, start) = (plan.config, state.epoch + 1, Instant::now());
    let steps_per_epoch = config.steps_per_epoch(plan.n_rows);
    let rows = shuffled(plan.n_rows, plan.seed, number);
    // Makes dropout a function of seed and epoch.
    (plan.seed_epoch)(epoch_seed(plan.seed, number));
    let mut epoch = Epoch {
        rows: Vec::new(),
        loss_sum: 0.0,
        outputs: Vec::new(),
        learning_rate: 0.0,
        seconds: 0.0,
        is_whole: true,
    };
    for group in rows.chunks(config.batch_size * config.accumulate_batches) {
        let learning_rate = config.learning_rate_at(state.global_step, steps_per_epoch) * state.plateau.factor;
        state.global_step += 1;
        let (mut gradients, loss) = gradients(&state.model, group, config.batch_size, step, &mut epoch.outputs);
        if !loss.is_finite() {
            return Err(Error::NonFiniteLoss { loss, epoch: number, global_step: state.global_step, learning_rate });
        }
        if config.gradient_clip_norm > 0.0 {
            clip_by_global_norm(&mut gradients, &state.model, config.gradient_clip_norm);
        }
        state.model = state.optimizer.step(state.model, gradients, learning_rate);
        if let Some(average) = &mut state.average {
            average.update(&state.model);
        }
        epoch.loss_sum += loss * group.len() as f64;
        epoch.learning_rate = learning_rate;
        if on_step(StepEnd { epoch: number, global_step: state.global_step, loss }) == Next::Stop {
            epoch.is_whole = false;
            break;
        }
    }
    (epoch.rows, epoch.seconds) = (rows, start.elapsed().as_secs_f64());
    Ok((state, epoch))
}

/// Gradients and loss of one optimizer step: the mean over all its rows, as one great batch would give.
pub(crate) fn gradients<M: Module>(
    model: &M,
    group: &[u32],
    batch_size: usize,
    step: &mut impl FnMut(&M, &[u32]) -> StepOutput,
    outputs: &mut Vec<Tensor<2>>,
) -> (GradientsParams, f64) {
    let mut accumulator = GradientsAccumulator::new();
    let mut mean_loss = 0.0;
    for batch in group.chunks(batch_size) {
        let StepOutput { loss, output } = step(model, batch);
        let share = batch.len() as f64 / group.len() as f64;
        mean_loss += f64::from(loss.clone().into_scalar::<f32>()) * share;
        outputs.push(output.inner());
        let loss = if share < 1.0 { loss.mul_scalar(share) } else { loss };
        accumulator.accumulate(model, GradientsParams::from_grads(loss.backward(), model));
    }
    (accumulator.grads(), mean_loss)
}

/// A fresh order of `0..n_rows` for an epoch, the same on every machine (ChaCha8).
pub(crate) fn shuffled(n_rows: usize, seed: u64, epoch: usize) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..n_rows as u32).collect();
    rows.shuffle(&mut ChaCha8Rng::seed_from_u64(epoch_seed(seed, epoch)));
    rows
}

/// Spreads seed and epoch over 64 bits (splitmix64), so that neighbouring seeds share nothing.
pub(crate) fn epoch_seed(seed: u64, epoch: usize) -> u64 {
    let mut z = seed.wrapping_add((epoch as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
