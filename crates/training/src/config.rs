//! The `training:` section of a config file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ClassWeights, EarlyStoppingConfig, OptimizerKind, Schedule, ScheduleOptions};

/// How long, how fast and with what to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Passes over the training rows, at most.
    pub epochs: usize,
    /// Start no further epoch after this many minutes of wall time (evaluation and earlier parts of a resumed run
    /// included), for each network of an ensemble or a cross-validation; null for no limit. Epochs are never cut, so
    /// the last one may run over.
    pub time_budget_minutes: Option<f64>,
    /// Rows that go through the network at once.
    pub batch_size: usize,
    /// Batches per optimizer step: 4 x 64 rows give the step of 256 rows with the memory of 64.
    pub accumulate_batches: usize,
    /// Update rule.
    pub optimizer: OptimizerKind,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay (AdamW), or L2 penalty (Adam, SGD).
    pub weight_decay: f64,
    /// Decay of the running means of gradient and squared gradient, used by `adamw` and `adam`.
    pub betas: [f64; 2],
    /// Added to the denominator, used by `adamw` and `adam`.
    pub epsilon: f64,
    /// Momentum, used by `sgd` only, 0 <= momentum < 1.
    pub momentum: f64,
    /// Look ahead along the momentum (Nesterov), used by `sgd` only.
    pub nesterov: bool,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// Numbers of the schedules that need some.
    pub schedule_options: ScheduleOptions,
    /// Epochs of linear warm-up from 0 to the peak; fractions allowed. `one_cycle` has its own and ignores this.
    pub warmup_epochs: f64,
    /// Greatest L2 norm of the whole gradient; 0 switches clipping off.
    pub gradient_clip_norm: f64,
    /// Weight of each class in the training loss; that of the other splits stays plain. A label that looks like a number
    /// needs quotes.
    pub class_weights: ClassWeights,
    /// Share of each target that is spread evenly over all classes (Szegedy et al., arXiv 1512.00567) in the training loss;
    /// 0 for none.
    pub label_smoothing: f64,
    /// Evaluate and keep a running average of the weights, `average = d average + (1 - d) weights` after each step;
    /// null for the weights themselves. Typical: 0.99 for hundreds of steps, 0.999 for tens of thousands.
    pub ema_decay: Option<f64>,
    /// When to stop before `epochs`, and which epoch is the best.
    pub early_stopping: EarlyStoppingConfig,
    /// Log the loss of every n-th step as `train_loss_step`; 0 for never.
    pub log_every_steps: usize,
    /// Keep the weights of every n-th epoch, beside the best and the last; 0 for none.
    pub checkpoint_every_epochs: usize,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 100,
            time_budget_minutes: None,
            batch_size: 256,
            accumulate_batches: 1,
            optimizer: OptimizerKind::AdamW,
            learning_rate: 1e-3,
            weight_decay: 1e-2,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            momentum: 0.9,
            nesterov: false,
            schedule: Schedule::Cosine,
            schedule_options: ScheduleOptions::default(),
            warmup_epochs: 1.0,
            gradient_clip_norm: 1.0,
            class_weights: ClassWeights::None,
            label_smoothing: 0.0,
            ema_decay: None,
            early_stopping: EarlyStoppingConfig::default(),
            log_every_steps: 0,
            checkpoint_every_epochs: 0,
        }
    }
}

/// `Ok` if `holds`, else the key with "`value` is not `rule`".
pub(crate) fn require(key: &'static str, value: f64, holds: bool, rule: &str) -> Result<(), (&'static str, String)> {
    if holds { Ok(()) } else { Err((key, format!("`{value}` is not {rule}"))) }
}

impl TrainingConfig {
    /// Says what is wrong with the values, as `(key, reason)`.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let counts =
            [("epochs", self.epochs), ("batch_size", self.batch_size), ("accumulate_batches", self.accumulate_batches)];
        for (key, value) in counts {
            // The bounds keep products of them in range.
            require(key, value as f64, (1..=10_000_000).contains(&value), "between 1 and 10000000")?;
        }
        let (warmup, epochs) = (self.warmup_epochs, self.epochs as f64);
        require("warmup_epochs", warmup, (0.0..=epochs).contains(&warmup), "between 0 and `training.epochs`")?;
        let norm = self.gradient_clip_norm;
        require("gradient_clip_norm", norm, norm >= 0.0 && norm.is_finite(), "at least 0 (0 is off)")?;
        let smoothing = self.label_smoothing;
        require("label_smoothing", smoothing, (0.0..1.0).contains(&smoothing), "in 0 <= label_smoothing < 1")?;
        if let Some(minutes) = self.time_budget_minutes {
            require("time_budget_minutes", minutes, minutes > 0.0, "above 0 (null is no limit)")?;
        }
        if let Some(decay) = self.ema_decay {
            require("ema_decay", decay, decay > 0.0 && decay < 1.0, "in 0 < ema_decay < 1 (null is off)")?;
        }
        self.check_optimizer()?;
        self.schedule_options.check()?;
        self.class_weights.check()?;
        self.early_stopping.check()
    }

    fn check_optimizer(&self) -> Result<(), (&'static str, String)> {
        let (rate, decay, momentum) = (self.learning_rate, self.weight_decay, self.momentum);
        require("learning_rate", rate, rate > 0.0 && rate <= 100.0, "above 0 and at most 100")?;
        require("weight_decay", decay, (0.0..=100.0).contains(&decay), "between 0 and 100")?;
        require("momentum", momentum, (0.0..1.0).contains(&momentum), "in 0 <= momentum < 1")?;
        for beta in self.betas {
            require("betas", beta, (0.0..1.0).contains(&beta), "in 0 <= beta < 1")?;
        }
        require("epsilon", self.epsilon, self.epsilon > 0.0 && self.epsilon <= 1.0, "above 0 and at most 1")?;
        if self.nesterov && momentum == 0.0 {
            return Err(("nesterov", "`true` needs `training.momentum` above 0".to_owned()));
        }
        Ok(())
    }

    /// Optimizer steps of one epoch; the last may see fewer rows.
    pub fn steps_per_epoch(&self, n_rows: usize) -> usize {
        n_rows.div_ceil(self.batch_size * self.accumulate_batches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_values_are_named() {
        let check = |config: TrainingConfig| config.check().map_err(|(key, _)| key);
        assert_eq!(check(TrainingConfig::default()), Ok(()));
        assert_eq!(check(TrainingConfig { epochs: 0, ..Default::default() }), Err("epochs"));
        assert_eq!(check(TrainingConfig { learning_rate: -1.0, ..Default::default() }), Err("learning_rate"));
        assert_eq!(check(TrainingConfig { learning_rate: f64::NAN, ..Default::default() }), Err("learning_rate"));
        assert_eq!(check(TrainingConfig { momentum: 1.0, ..Default::default() }), Err("momentum"));
        assert_eq!(check(TrainingConfig { nesterov: true, momentum: 0.0, ..Default::default() }), Err("nesterov"));
        assert_eq!(check(TrainingConfig { ema_decay: Some(1.0), ..Default::default() }), Err("ema_decay"));
        assert_eq!(check(TrainingConfig { label_smoothing: 1.0, ..Default::default() }), Err("label_smoothing"));
        assert_eq!(check(TrainingConfig { accumulate_batches: 0, ..Default::default() }), Err("accumulate_batches"));
        let options = ScheduleOptions { plateau_factor: 1.0, ..Default::default() };
        let bad = TrainingConfig { schedule_options: options, ..Default::default() };
        assert_eq!(check(bad), Err("schedule_options.plateau_factor"));
    }

    #[test]
    fn a_partial_group_of_batches_is_a_step() {
        let config = TrainingConfig { batch_size: 10, accumulate_batches: 4, ..Default::default() };
        assert_eq!([1, 40, 41, 85].map(|n_rows| config.steps_per_epoch(n_rows)), [1, 1, 2, 3]);
    }
}
