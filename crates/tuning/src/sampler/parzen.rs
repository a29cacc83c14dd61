//! The Parzen estimator of TPE: a mixture with one kernel for each observation and one for the prior (Bergstra et al., NeurIPS
//! 2011; Watanabe, arXiv 2304.11127). Kernels are products over the parameters, so dependencies between them are seen.
//!
//! Prior weight 1, magic clip on, endpoints not considered, as Optuna 5 does it by default.

use std::f64::consts::PI;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::normal::{draw_truncated, log_mass};
use crate::Distribution;

/// Weight of the prior beside that of one observation.
const PRIOR_WEIGHT: f64 = 1.0;

/// A density over some parameters.
pub struct Parzen {
    /// Logs of the kernels' weights; the last is the prior.
    log_weights: Vec<f64>,
    /// One for each parameter.
    marginals: Vec<Marginal>,
}

/// One parameter of all kernels.
enum Marginal {
    /// Log probability of a kernel's own choice and of any other one. The prior has no choice of its own.
    Choices {
        own: Vec<Option<usize>>,
        log_own: f64,
        log_other: f64,
        log_prior: f64,
        n: usize,
    },
    Numbers(Numbers),
}

/// Normal kernels, cut off at the bounds, of a number (or its log).
struct Numbers {
    means: Vec<f64>,
    sds: Vec<f64>,
    /// Log of the mass within the bounds.
    log_masses: Vec<f64>,
    log: bool,
    /// Of the grid, 0 without.
    step: f64,
    /// On the scale of the values.
    low: f64,
    high: f64,
}

impl Parzen {
    /// From observations, oldest first: `observations[i][j]` is the internal value of parameter `j`.
    pub fn new(distributions: &[&Distribution], observations: &[Vec<f64>]) -> Self {
        let mut weights = weights(observations.len());
        weights.push(if observations.is_empty() { 1.0 } else { PRIOR_WEIGHT });
        let sum: f64 = weights.iter().sum();
        let column = |index: usize| observations.iter().map(|values| values[index]).collect::<Vec<f64>>();
        let marginals =
            distributions.iter().enumerate().map(|(index, distribution)| Marginal::new(distribution, &column(index)));
        Self { log_weights: weights.iter().map(|weight| (weight / sum).ln()).collect(), marginals: marginals.collect() }
    }

    /// Draws a point.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut share = rng.random::<f64>();
        let kernel = self.log_weights.iter().position(|weight| {
            share -= weight.exp();
            share < 0.0
        });
        let kernel = kernel.unwrap_or(self.log_weights.len() - 1);
        self.marginals.iter().map(|marginal| marginal.draw(kernel, rng)).collect()
    }

    /// Log density at each point. Of a logarithmic number it is that of the logarithm.
    pub fn log_density(&self, points: &[Vec<f64>]) -> Vec<f64> {
        let n_kernels = self.log_weights.len();
        let mut logs: Vec<f64> = points.iter().flat_map(|_| self.log_weights.iter().copied()).collect();
        for (index, marginal) in self.marginals.iter().enumerate() {
            // On a grid many points are the same, and a kernel's mass there is costly.
            let mut known: Vec<(f64, Vec<f64>)> = Vec::new();
            for (point, logs) in points.iter().zip(logs.chunks_mut(n_kernels)) {
                let value = point[index];
                if let Some((_, found)) = known.iter().find(|(other, _)| *other == value) {
                    logs.iter_mut().zip(found).for_each(|(log, of_kernel)| *log += of_kernel);
                    continue;
                }
                let of_kernels = marginal.log_densities(value);
                logs.iter_mut().zip(&of_kernels).for_each(|(log, of_kernel)| *log += of_kernel);
                known.push((value, of_kernels));
            }
        }
        logs.chunks(n_kernels).map(log_sum_exp).collect()
    }
}

impl Marginal {
    fn new(distribution: &Distribution, values: &[f64]) -> Self {
        let n_kernels = values.len() + 1;
        match distribution {
            Distribution::Categorical { choices } => {
                let n = choices.len();
                let (extra, log_prior) = (PRIOR_WEIGHT / n_kernels as f64, -(n as f64).ln());
                let sum = 1.0 + extra * n as f64;
                let own = values.iter().map(|&value| Some(value as usize)).chain([None]).collect();
                Self::Choices { own, log_own: ((1.0 + extra) / sum).ln(), log_other: (extra / sum).ln(), log_prior, n }
            }
            Distribution::Float { low, high, log, step } => {
                Self::Numbers(Numbers::new(values, (*low, *high), *log, step.unwrap_or(0.0)))
            }
            Distribution::Int { low, high, log, step } => {
                Self::Numbers(Numbers::new(values, (*low as f64, *high as f64), *log, *step as f64))
            }
        }
    }

    fn draw(&self, kernel: usize, rng: &mut ChaCha8Rng) -> f64 {
        match self {
            Self::Choices { own, log_own, log_other, log_prior, n } => {
                let mut share = rng.random::<f64>();
                let log_probability = |choice: usize| match own[kernel] {
                    None => *log_prior,
                    Some(own) if own == choice => *log_own,
                    Some(_) => *log_other,
                };
                let chosen = (0..*n).find(|&choice| {
                    share -= log_probability(choice).exp();
                    share < 0.0
                });
                chosen.unwrap_or(n - 1) as f64
            }
            Self::Numbers(numbers) => numbers.draw(kernel, rng),
        }
    }

    /// Of a value, for each kernel.
    fn log_densities(&self, value: f64) -> Vec<f64> {
        match self {
            Self::Choices { own, log_own, log_other, log_prior, .. } => {
                let of_kernel = |own: &Option<usize>| match own {
                    None => *log_prior,
                    Some(own) if *own == value as usize => *log_own,
                    Some(_) => *log_other,
                };
                own.iter().map(of_kernel).collect()
            }
            Self::Numbers(numbers) => numbers.log_densities(value),
        }
    }
}

impl Numbers {
    fn new(values: &[f64], (low, high): (f64, f64), log: bool, step: f64) -> Self {
        let scaled = |value: f64| if log { value.ln() } else { value };
        let (from, to) = (scaled(low - step / 2.0), scaled(high + step / 2.0));
        let mut means: Vec<f64> = values.iter().map(|&value| scaled(value)).collect();
        let mut sds = widths(&means, from, to);
        means.push(0.5 * (from + to));
        sds.push(to - from);
        let mass = |(mean, sd): (&f64, &f64)| log_mass((from - mean) / sd, (to - mean) / sd);
        // A single value has a range of nothing; its density is never looked at.
        let log_masses = if from < to { means.iter().zip(&sds).map(mass).collect() } else { vec![0.0; means.len()] };
        Self { means, sds, log_masses, log, step, low, high }
    }

    fn scaled(&self, value: f64) -> f64 {
        if self.log { value.ln() } else { value }
    }

    fn draw(&self, kernel: usize, rng: &mut ChaCha8Rng) -> f64 {
        let (from, to) = (self.scaled(self.low - self.step / 2.0), self.scaled(self.high + self.step / 2.0));
        let drawn = draw_truncated(self.means[kernel], self.sds[kernel], from, to, rng);
        let value = if self.log { drawn.exp() } else { drawn };
        let on_grid =
            if self.step > 0.0 { self.low + ((value - self.low) / self.step).round() * self.step } else { value };
        on_grid.clamp(self.low, self.high)
    }

    fn log_densities(&self, value: f64) -> Vec<f64> {
        let kernels = self.means.iter().zip(&self.sds).zip(&self.log_masses);
        if self.low == self.high {
            return vec![0.0; self.means.len()];
        }
        if self.step > 0.0 {
            let (left, right) = (self.scaled(value - self.step / 2.0), self.scaled(value + self.step / 2.0));
            let mass =
                |((mean, sd), whole): ((&f64, &f64), &f64)| log_mass((left - mean) / sd, (right - mean) / sd) - whole;
            return kernels.map(mass).collect();
        }
        let (x, norm) = (self.scaled(value), 0.5 * (2.0 * PI).ln());
        let density = |((mean, sd), whole): ((&f64, &f64), &f64)| {
            let z = (x - mean) / sd;
            -0.5 * z * z - norm - sd.ln() - whole
        };
        kernels.map(density).collect()
    }
}

/// Standard deviations: the distance to the farther neighbour, within limits. The outermost ones look inwards only.
fn widths(means: &[f64], low: f64, high: f64) -> Vec<f64> {
    let n = means.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| means[a].total_cmp(&means[b]));
    let at = |place: usize| match place {
        0 => low,
        place if place == n + 1 => high,
        place => means[order[place - 1]],
    };
    let narrowest = (high - low) / (2.0 + n as f64).min(100.0);
    let mut widths = vec![0.0; n];
    for (place, &index) in (1..).zip(&order) {
        let (left, right) = (at(place) - at(place - 1), at(place + 1) - at(place));
        let width = match place {
            1 if n > 1 => right,
            place if place == n && n > 1 => left,
            _ => left.max(right),
        };
        widths[index] = width.clamp(narrowest, high - low);
    }
    widths
}

/// Up to 25 observations count the same; of more, the older ones less.
fn weights(n: usize) -> Vec<f64> {
    const RECENT: usize = 25;
    if n < RECENT {
        return vec![1.0; n];
    }
    let n_older = n - RECENT;
    let first = 1.0 / n as f64;
    let ramp = |index: usize| match n_older {
        1 => first,
        _ => first + (1.0 - first) * index as f64 / (n_older - 1) as f64,
    };
    (0..n_older).map(ramp).chain([1.0; RECENT]).collect()
}

fn log_sum_exp(logs: &[f64]) -> f64 {
    let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    greatest + logs.iter().map(|log| (log - greatest).exp()).sum::<f64>().ln()
}
