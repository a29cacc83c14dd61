//! How the learning rate moves. All schedules are functions of the step, but for `reduce_on_plateau`, which looks at the
//! monitored value after each epoch.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TrainingConfig;
use crate::config::require;
use crate::metrics::Direction;

/// Shape of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Stays at the peak; `none` means the same.
    #[serde(alias = "none")]
    Constant,
    /// Half a cosine from the peak to 0 over all epochs.
    #[default]
    Cosine,
    /// Up to the peak, then far down, each along half a cosine (Smith and Topin, arXiv 1708.07120). PyTorch's
    /// `OneCycleLR` with `cycle_momentum=False`.
    OneCycle,
    /// Times `step_gamma` every `step_size_epochs` epochs. PyTorch's `StepLR`.
    Step,
    /// Times `plateau_factor` when the monitored metric has not become better for `plateau_patience` epochs. PyTorch's
    /// `ReduceLROnPlateau` with a relative threshold.
    ReduceOnPlateau,
}

/// The `training.schedule_options` section; each schedule reads its own keys. Defaults are PyTorch's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleOptions {
    /// `one_cycle`: share of all steps in which the rate rises.
    pub one_cycle_rise: f64,
    /// `one_cycle`: the first rate is the peak divided by this.
    pub one_cycle_div_factor: f64,
    /// `one_cycle`: the last rate is the first divided by this.
    pub one_cycle_final_div_factor: f64,
    /// `step`: epochs between two drops.
    pub step_size_epochs: usize,
    /// `step`: factor of a drop.
    pub step_gamma: f64,
    /// `reduce_on_plateau`: factor of a drop.
    pub plateau_factor: f64,
    /// `reduce_on_plateau`: epochs without improvement that are borne; the next one drops the rate.
    pub plateau_patience: usize,
    /// `reduce_on_plateau`: relative improvement that counts.
    pub plateau_threshold: f64,
    /// `reduce_on_plateau`: the rate never falls below.
    pub plateau_min_learning_rate: f64,
}

impl Default for ScheduleOptions {
    fn default() -> Self {
        Self {
            one_cycle_rise: 0.3,
            one_cycle_div_factor: 25.0,
            one_cycle_final_div_factor: 1e4,
            step_size_epochs: 30,
            step_gamma: 0.1,
            plateau_factor: 0.1,
            plateau_patience: 10,
            plateau_threshold: 1e-4,
            plateau_min_learning_rate: 0.0,
        }
    }
}

impl ScheduleOptions {
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let inside = |key, value: f64| require(key, value, value > 0.0 && value < 1.0, "between 0 and 1");
        let factor = |key, value: f64| require(key, value, value >= 1.0 && value.is_finite(), "at least 1");
        inside("schedule_options.one_cycle_rise", self.one_cycle_rise)?;
        factor("schedule_options.one_cycle_div_factor", self.one_cycle_div_factor)?;
        factor("schedule_options.one_cycle_final_div_factor", self.one_cycle_final_div_factor)?;
        let size = self.step_size_epochs;
        let sizes = 1..=10_000_000;
        require("schedule_options.step_size_epochs", size as f64, sizes.contains(&size), "between 1 and 10000000")?;
        let gamma = self.step_gamma;
        require("schedule_options.step_gamma", gamma, gamma > 0.0 && gamma <= 1.0, "above 0 and at most 1")?;
        inside("schedule_options.plateau_factor", self.plateau_factor)?;
        let (threshold, least) = (self.plateau_threshold, self.plateau_min_learning_rate);
        require("schedule_options.plateau_threshold", threshold, (0.0..1.0).contains(&threshold), "in 0 <= x < 1")?;
        require("schedule_options.plateau_min_learning_rate", least, (0.0..=100.0).contains(&least), "at least 0")
    }
}

impl TrainingConfig {
    /// Learning rate of a step, counted from 0; that of `reduce_on_plateau` before any drop.
    pub fn learning_rate_at(&self, step: usize, steps_per_epoch: usize) -> f64 {
        let (total, peak) = (self.epochs * steps_per_epoch, self.learning_rate);
        if self.schedule == Schedule::OneCycle {
            return self.schedule_options.one_cycle(peak, step, total);
        }
        let warmup_steps = self.warmup_epochs * steps_per_epoch as f64;
        // The first step is 1/warmup of the peak, not 0, which would waste it.
        let position = step as f64 + 1.0;
        if position < warmup_steps {
            return peak * position / warmup_steps;
        }
        match self.schedule {
            Schedule::Step => {
                let drops = step / (self.schedule_options.step_size_epochs * steps_per_epoch);
                peak * self.schedule_options.step_gamma.powf(drops as f64)
            }
            Schedule::Cosine => {
                let total = total as f64;
                let progress = (step as f64 - warmup_steps).max(0.0) / (total - warmup_steps).max(1.0);
                half_cosine(peak, 0.0, progress.min(1.0))
            }
            Schedule::Constant | Schedule::ReduceOnPlateau | Schedule::OneCycle => peak,
        }
    }
}

impl ScheduleOptions {
    /// As PyTorch: the turn lies between two steps where `one_cycle_rise * total` is no whole number.
    fn one_cycle(&self, peak: f64, step: usize, total: usize) -> f64 {
        let first = peak / self.one_cycle_div_factor;
        let (step, turn, end) = (step as f64, self.one_cycle_rise * total as f64 - 1.0, total as f64 - 1.0);
        if step <= turn {
            // A turn at step 0 has no way up.
            half_cosine(first, peak, if turn > 0.0 { step / turn } else { 1.0 })
        } else {
            half_cosine(peak, first / self.one_cycle_final_div_factor, ((step - turn) / (end - turn)).min(1.0))
        }
    }
}

/// From `start` (progress 0) to `end` (progress 1).
fn half_cosine(start: f64, end: f64, progress: f64) -> f64 {
    end + (start - end) * 0.5 * (1.0 + (PI * progress).cos())
}

/// What `reduce_on_plateau` remembers between epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plateau {
    /// Learning rate over its peak.
    pub factor: f64,
    best: Option<f64>,
    waited: usize,
}

impl Plateau {
    pub fn new() -> Self {
        Self { factor: 1.0, best: None, waited: 0 }
    }

    /// Takes in the monitored value of an epoch. NaN and infinity are no improvement. Does nothing under the other schedules.
    pub fn update(&mut self, config: &TrainingConfig, direction: Direction, value: f64) {
        if config.schedule != Schedule::ReduceOnPlateau {
            return;
        }
        let (options, peak) = (&config.schedule_options, config.learning_rate);
        let better = match (self.best, direction) {
            (None, _) => value.is_finite(),
            (Some(best), Direction::Minimize) => value < best * (1.0 - options.plateau_threshold),
            (Some(best), Direction::Maximize) => value > best * (1.0 + options.plateau_threshold),
        };
        if better {
            (self.best, self.waited) = (Some(value), 0);
            return;
        }
        self.waited += 1;
        if self.waited > options.plateau_patience {
            self.waited = 0;
            let rate = peak * self.factor;
            let lower = (rate * options.plateau_factor).max(options.plateau_min_learning_rate);
            // PyTorch's `eps`: a smaller drop is not worth it (and a greater floor is no drop).
            if rate - lower > 1e-8 {
                self.factor = lower / peak;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f64], wanted: &[f64]) {
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-12, "{found} in place of {wanted}");
        }
    }

    fn rates(config: &TrainingConfig, steps_per_epoch: usize) -> Vec<f64> {
        (0..config.epochs * steps_per_epoch).map(|step| config.learning_rate_at(step, steps_per_epoch)).collect()
    }

    #[test]
    fn learning_rate_warms_up_to_the_peak_and_falls_to_zero() {
        let config = TrainingConfig { epochs: 10, warmup_epochs: 2.0, learning_rate: 0.5, ..Default::default() };
        let rates = rates(&config, 100);
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
        assert_eq!(serde_json::from_str::<Schedule>("\"none\"").unwrap(), Schedule::Constant);
    }

    /// Values of PyTorch 2.15 (`OneCycleLR(max_lr=.5, cycle_momentum=False)`).
    #[test]
    fn one_cycle_agrees_with_pytorch() {
        let base = TrainingConfig { schedule: Schedule::OneCycle, learning_rate: 0.5, ..Default::default() };
        let twelve = [
            0.020000000000000018,
            0.17489482710979154,
            0.43964257956106434,
            0.49720771772545586,
            0.46650648492070584,
            0.4058728269748815,
            0.32368949884755166,
            0.23131855133348753,
            0.14153049910434962,
            0.0667387650944153,
            0.01728349371269761,
            2e-06,
        ];
        close(&rates(&TrainingConfig { epochs: 3, ..base.clone() }, 4), &twelve);
        let ten = [
            0.05,
            0.3875,
            0.49454236328326795,
            0.4523019943451431,
            0.375125,
            0.2763559837010965,
            0.1730730056548569,
            0.08313463106187524,
            0.022092021953760407,
            0.0005,
        ];
        let schedule_options = ScheduleOptions {
            one_cycle_rise: 0.25,
            one_cycle_div_factor: 10.0,
            one_cycle_final_div_factor: 100.0,
            ..Default::default()
        };
        close(&rates(&TrainingConfig { epochs: 10, schedule_options, ..base.clone() }, 1), &ten);
        assert!(rates(&TrainingConfig { epochs: 1, ..base }, 1)[0].is_finite());
    }

    /// Values of PyTorch 2.15 (`StepLR(step_size=2, gamma=.3)`).
    #[test]
    fn step_agrees_with_pytorch() {
        let config = TrainingConfig {
            schedule: Schedule::Step,
            learning_rate: 0.5,
            epochs: 7,
            warmup_epochs: 0.0,
            schedule_options: ScheduleOptions { step_size_epochs: 2, step_gamma: 0.3, ..Default::default() },
            ..Default::default()
        };
        let by_epoch = [0.5, 0.5, 0.15, 0.15, 0.045, 0.045, 0.0135];
        close(&rates(&config, 1), &by_epoch);
        let three_steps_each: Vec<f64> = by_epoch.iter().flat_map(|&rate| [rate; 3]).collect();
        close(&rates(&config, 3), &three_steps_each);
    }

    /// Values of PyTorch 2.15 (`ReduceLROnPlateau`): the rates that the epochs with these monitored values ran with.
    #[test]
    fn reduce_on_plateau_agrees_with_pytorch() {
        let run = |options: ScheduleOptions, direction, monitored: &[f64]| {
            let config = TrainingConfig {
                schedule: Schedule::ReduceOnPlateau,
                learning_rate: 0.5,
                schedule_options: options,
                ..Default::default()
            };
            let mut plateau = Plateau::new();
            let mut rates = Vec::new();
            for &value in monitored {
                rates.push(config.learning_rate * plateau.factor);
                plateau.update(&config, direction, value);
            }
            rates
        };
        let options = ScheduleOptions {
            plateau_factor: 0.2,
            plateau_patience: 1,
            plateau_min_learning_rate: 0.003,
            ..Default::default()
        };
        let monitored = [1.0, 0.9, 0.9, 0.89999, 0.8, 0.81, 0.79995, 0.9, 0.9, f64::NAN, 0.9, 0.9, 0.9, 0.7];
        let wanted = [0.5, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.02, 0.02, 0.004, 0.004, 0.003, 0.003, 0.003];
        close(&run(options, Direction::Minimize, &monitored), &wanted);
        let options =
            ScheduleOptions { plateau_factor: 0.5, plateau_patience: 2, plateau_threshold: 1e-3, ..Default::default() };
        let monitored = [0.5, 0.6, 0.6, 0.60001, 0.61, f64::NAN, 0.6, 0.6, 0.6];
        let wanted = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25];
        close(&run(options, Direction::Maximize, &monitored), &wanted);
    }
}
