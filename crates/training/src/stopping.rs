//! Which epoch is the best, and when to stop waiting for a better one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::{Direction, monitored_names};

/// The `training.early_stopping` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EarlyStoppingConfig {
    /// Metric on the validation rows, with or without `val_`: `loss` or a name of the metrics table (for forecasts: of theirs).
    pub monitor: String,
    /// Stop after this many epochs without a better value; 0 trains all epochs and still keeps the best.
    pub patience: usize,
    /// A value counts as better only if it is better by more than this.
    pub min_delta: f64,
}

impl Default for EarlyStoppingConfig {
    fn default() -> Self {
        Self { monitor: "val_loss".to_owned(), patience: 16, min_delta: 0.0 }
    }
}

impl EarlyStoppingConfig {
    /// Name of the monitored metric without `val_`.
    pub fn metric(&self) -> &str {
        self.monitor.strip_prefix("val_").unwrap_or(&self.monitor)
    }

    /// Which way the monitored metric is better.
    pub(crate) fn direction(&self) -> Direction {
        let known = monitored_names().into_iter().find(|(name, _)| *name == self.metric());
        known.map_or(Direction::Minimize, |(_, direction)| direction)
    }

    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let names: Vec<&str> = monitored_names().into_iter().map(|(name, _)| name).collect();
        if !names.contains(&self.metric()) {
            let problem = format!("no metric `{}`; there are {}", self.metric(), names.join(", "));
            return Err(("early_stopping.monitor", problem));
        }
        if self.min_delta.is_nan() || self.min_delta < 0.0 {
            return Err(("early_stopping.min_delta", format!("`{}` is not at least 0", self.min_delta)));
        }
        Ok(())
    }
}

/// Follows one metric over the epochs. A resumed run shows it the epochs done once more.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStopping {
    patience: usize,
    min_delta: f64,
    direction: Direction,
    best: Option<(usize, f64)>,
}

/// What one epoch meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Best so far: keep its weights.
    Best,
    /// Not better, go on.
    Wait,
    /// Not better for too long.
    Stop,
}

impl EarlyStopping {
    /// Starts with nothing seen.
    pub fn new(config: &EarlyStoppingConfig, direction: Direction) -> Self {
        Self { patience: config.patience, min_delta: config.min_delta, direction, best: None }
    }

    /// Judges an epoch (counted from 1). NaN and infinity are never better.
    pub fn update(&mut self, epoch: usize, value: f64) -> Verdict {
        let better = match (self.best, self.direction) {
            _ if !value.is_finite() => false,
            (None, _) => true,
            (Some((_, best)), Direction::Minimize) => value < best - self.min_delta,
            (Some((_, best)), Direction::Maximize) => value > best + self.min_delta,
        };
        if better {
            self.best = Some((epoch, value));
            return Verdict::Best;
        }
        let waited = epoch - self.best.map_or(0, |(epoch, _)| epoch);
        if self.patience > 0 && waited >= self.patience { Verdict::Stop } else { Verdict::Wait }
    }

    /// Epoch (from 1) and value of the best so far.
    pub fn best(&self) -> Option<(usize, f64)> {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(direction: Direction, patience: usize, min_delta: f64, values: &[f64]) -> Vec<Verdict> {
        let config = EarlyStoppingConfig { patience, min_delta, ..Default::default() };
        let mut stopping = EarlyStopping::new(&config, direction);
        values.iter().enumerate().map(|(index, &value)| stopping.update(index + 1, value)).collect()
    }

    #[test]
    fn stops_after_patience_epochs_without_improvement() {
        use Verdict::{Best, Stop, Wait};
        assert_eq!(verdicts(Direction::Minimize, 2, 0.0, &[3.0, 2.0, 2.0, 2.5]), [Best, Best, Wait, Stop]);
        assert_eq!(verdicts(Direction::Maximize, 2, 0.0, &[0.5, 0.6, 0.7]), [Best, Best, Best]);
        assert_eq!(verdicts(Direction::Minimize, 0, 0.0, &[1.0; 4]), [Best, Wait, Wait, Wait]);
    }

    #[test]
    fn min_delta_and_nan_are_no_improvement() {
        use Verdict::{Best, Stop, Wait};
        assert_eq!(verdicts(Direction::Minimize, 9, 0.1, &[1.0, 0.95, 0.8]), [Best, Wait, Best]);
        assert_eq!(verdicts(Direction::Maximize, 2, 0.0, &[f64::NAN, f64::NAN]), [Wait, Stop]);
        assert_eq!(verdicts(Direction::Minimize, 9, 0.0, &[f64::INFINITY, 7.0]), [Wait, Best]);
    }
}
