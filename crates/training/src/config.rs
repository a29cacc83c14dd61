//! The `training:` section of a config file.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EarlyStoppingConfig, OptimizerKind};

/// How long, how fast and with what to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Passes over the training rows, at most.
    pub epochs: usize,
    /// Rows per optimizer step.
    pub batch_size: usize,
    /// Update rule.
    pub optimizer: OptimizerKind,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay (AdamW), or L2 penalty (Adam, SGD).
    pub weight_decay: f64,
    /// Momentum, used by `sgd` only, 0 <= momentum < 1.
    pub momentum: f64,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// Epochs of linear warm-up from 0 to the peak; fractions allowed.
    pub warmup_epochs: f64,
    /// Greatest L2 norm of the whole gradient; 0 switches clipping off.
    pub gradient_clip_norm: f64,
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
            batch_size: 256,
            optimizer: OptimizerKind::AdamW,
            learning_rate: 1e-3,
            weight_decay: 1e-2,
            momentum: 0.9,
            schedule: Schedule::Cosine,
            warmup_epochs: 1.0,
            gradient_clip_norm: 1.0,
            early_stopping: EarlyStoppingConfig::default(),
            log_every_steps: 0,
            checkpoint_every_epochs: 0,
        }
    }
}

/// Shape of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Stays at the peak.
    Constant,
    /// Half a cosine from the peak to 0 over all epochs.
    #[default]
    Cosine,
}

impl TrainingConfig {
    /// Says what is wrong with the values, as `(key, reason)`.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let at_least_one = |key, value| {
            if value == 0 { Err((key, "`0` is not at least 1".to_owned())) } else { Ok(()) }
        };
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)?;
        let require = |key, value: f64, holds: bool, rule: &str| {
            if holds { Ok(()) } else { Err((key, format!("`{value}` is not {rule}"))) }
        };
        let (rate, decay, momentum) = (self.learning_rate, self.weight_decay, self.momentum);
        require("learning_rate", rate, rate > 0.0 && rate <= 100.0, "above 0 and at most 100")?;
        require("weight_decay", decay, (0.0..=100.0).contains(&decay), "between 0 and 100")?;
        require("momentum", momentum, (0.0..1.0).contains(&momentum), "in 0 <= momentum < 1")?;
        let (warmup, epochs) = (self.warmup_epochs, self.epochs as f64);
        let rule = "between 0 and `training.epochs`";
        require("warmup_epochs", warmup, (0.0..=epochs).contains(&warmup), rule)?;
        let norm = self.gradient_clip_norm;
        require("gradient_clip_norm", norm, norm >= 0.0 && norm.is_finite(), "at least 0 (0 is off)")?;
        self.early_stopping.check()
    }

    /// Learning rate of a step, counted from 0.
    pub fn learning_rate_at(&self, step: usize, steps_per_epoch: usize) -> f64 {
        let warmup_steps = self.warmup_epochs * steps_per_epoch as f64;
        // The first step is 1/warmup of the peak, not 0, which would waste it.
        let position = step as f64 + 1.0;
        if position < warmup_steps {
            return self.learning_rate * position / warmup_steps;
        }
        match self.schedule {
            Schedule::Constant => self.learning_rate,
            Schedule::Cosine => {
                let total = (self.epochs * steps_per_epoch) as f64;
                let progress = (step as f64 - warmup_steps).max(0.0) / (total - warmup_steps).max(1.0);
                self.learning_rate * 0.5 * (1.0 + (PI * progress.min(1.0)).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learning_rate_warms_up_to_the_peak_and_falls_to_zero() {
        let config = TrainingConfig { epochs: 10, warmup_epochs: 2.0, learning_rate: 0.5, ..Default::default() };
        let rates: Vec<f64> = (0..1000).map(|step| config.learning_rate_at(step, 100)).collect();
        assert!((rates[0] - 0.5 / 200.0).abs() < 1e-12);
        assert!(rates[..200].windows(2).all(|pair| pair[0] < pair[1]));
        assert!((rates[200] - 0.5).abs() < 1e-12);
        assert!((rates[600] - 0.25).abs() < 1e-12, "half-way down: {}", rates[600]);
        assert!(rates[200..].windows(2).all(|pair| pair[0] > pair[1]));
        assert!(rates[999] < 1e-4);
    }

    #[test]
    fn constant_schedule_without_warmup_is_constant() {
        let config = TrainingConfig { schedule: Schedule::Constant, warmup_epochs: 0.0, ..Default::default() };
        assert!((0..500).all(|step| config.learning_rate_at(step, 7) == config.learning_rate));
    }

    #[test]
    fn out_of_range_values_are_named() {
        let check = |config: TrainingConfig| config.check().map_err(|(key, _)| key);
        assert_eq!(check(TrainingConfig::default()), Ok(()));
        assert_eq!(check(TrainingConfig { epochs: 0, ..Default::default() }), Err("epochs"));
        assert_eq!(check(TrainingConfig { learning_rate: -1.0, ..Default::default() }), Err("learning_rate"));
        assert_eq!(check(TrainingConfig { learning_rate: f64::NAN, ..Default::default() }), Err("learning_rate"));
        assert_eq!(check(TrainingConfig { momentum: 1.0, ..Default::default() }), Err("momentum"));
    }
}
