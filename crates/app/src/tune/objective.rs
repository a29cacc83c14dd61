//! What a trial is judged by.

use anyhow::Result;
use evaluation::comparison::mean_and_sd;
use tuning::Direction;

use crate::config::nearest;
use crate::exit::Mistake;
use crate::history::Metrics;
use crate::tune::config::Config;
use crate::tune::tunable::Tunable;

/// What is measured.
#[derive(Debug, Clone, PartialEq)]
enum Measure {
    /// A metric of the valid rows at the best epoch, without `val_`.
    Metric(String),
    /// Weights of the network.
    Params,
    /// Wall time of the trainings.
    Seconds,
}

/// One objective of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// `val_auc`, `n_params`, `seconds`
    pub name: String,
    /// Which way it is better.
    pub direction: Direction,
    measure: Measure,
}

/// What one training gave.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Of the valid rows at the best epoch.
    pub metrics: Metrics,
    /// Weights of the network.
    pub n_params: usize,
    /// Wall time.
    pub seconds: f64,
}

impl Objective {
    /// The objectives that the config names, or the metric that the base config monitors.
    pub fn all<C: Tunable>(config: &Config, base: &C, data: &C::Data) -> Result<Vec<Self>> {
        let monitored = || vec![format!("val_{}", base.training().early_stopping.metric())];
        let names = if config.metrics.is_empty() { monitored() } else { config.metrics.clone() };
        let all = names.iter().map(|name| Self::named(name, base, data)).collect::<Result<Vec<_>>>()?;
        match all.as_slice() {
            [first, second] if first == second => {
                Err(Mistake::new(format!("`metrics`: `{}` stands there twice", first.name)).into())
            }
            _ => Ok(all),
        }
    }

    fn named<C: Tunable>(name: &str, base: &C, data: &C::Data) -> Result<Self> {
        let cost = |measure| Self { name: name.to_owned(), direction: Direction::Minimize, measure };
        match name {
            "n_params" => return Ok(cost(Measure::Params)),
            "seconds" => return Ok(cost(Measure::Seconds)),
            _ => {}
        }
        let metric = name.strip_prefix("val_").unwrap_or(name);
        let direction = base.direction_of(data, metric).map_err(|names| {
            let mistake = Mistake::new(format!("`metrics`: no metric `{name}` for this problem type"));
            let near = nearest(metric, names.iter().copied()).map(|near| format!("did you mean `val_{near}`? "));
            mistake.hint(format!("{}choose of {}", near.unwrap_or_default(), names.join(", ")))
        })?;
        let direction = match direction {
            training::metrics::Direction::Maximize => Direction::Maximize,
            training::metrics::Direction::Minimize => Direction::Minimize,
        };
        Ok(Self { name: format!("val_{metric}"), direction, measure: Measure::Metric(metric.to_owned()) })
    }

    /// After an epoch; `None` for what is known at the end only.
    pub fn of_epoch(&self, metrics: &Metrics) -> Option<f64> {
        match &self.measure {
            Measure::Metric(name) => Some(metrics.get(name)),
            _ => None,
        }
    }

    /// Mean and standard deviation (of a sample; `None` for one training) over the trainings of a trial.
    pub fn over(&self, trainings: &[Measured]) -> (f64, Option<f64>) {
        let of = |training: &Measured| match &self.measure {
            Measure::Metric(name) => training.metrics.get(name),
            Measure::Params => training.n_params as f64,
            Measure::Seconds => training.seconds,
        };
        let values: Vec<f64> = trainings.iter().map(of).collect();
        let (mean, sd) = mean_and_sd(&values);
        (mean, Some(sd).filter(|_| values.len() > 1))
    }

    /// Whether `a` is better than `b`.
    pub fn is_better(&self, a: f64, b: f64) -> bool {
        self.direction.is_better(a, b)
    }
}

/// Which way each is better.
pub fn directions(objectives: &[Objective]) -> Vec<Direction> {
    objectives.iter().map(|objective| objective.direction).collect()
}

/// The complete trial with the best value of the first objective; the earliest of several.
pub fn best_trial<'a>(trials: &'a [tuning::Trial], objective: &Objective) -> Option<&'a tuning::Trial> {
    let complete = trials.iter().filter(|trial| trial.state == tuning::TrialState::Complete);
    complete.reduce(|best, trial| match (best.values.first(), trial.values.first()) {
        (Some(&value), Some(&other)) if objective.is_better(other, value) => trial,
        _ => best,
    })
}
