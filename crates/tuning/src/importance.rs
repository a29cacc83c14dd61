//! How much each parameter decides about the objective (PED-ANOVA: Watanabe et al., IJCAI 2023; conditional parameters: Optuna 5):
//! how far the density of a parameter among the best tenth of the trials is from its density among all of them.

use crate::sampler::normal::log_mass;
use crate::{Direction, Distribution, Param, Space, Trial, TrialState};

/// Share of the trials whose parameters are looked at.
const BEST: f64 = 0.1;
/// Cells that the range of a number is divided into, at most.
const CELLS: usize = 50;
const PRIOR_WEIGHT: f64 = 1.0;

/// Shares that sum to 1, greatest first, of the parameters that complete trials have; empty with too few trials or without
/// a difference between them. `target` gives a trial's value; trials without a finite one are left out.
pub fn importances(
    space: &Space,
    trials: &[Trial],
    direction: Direction,
    target: impl Fn(&Trial) -> Option<f64>,
) -> Vec<(String, f64)> {
    let complete = trials.iter().filter(|trial| trial.state == TrialState::Complete);
    let valued = complete.filter_map(|trial| {
        Some((trial, target(trial).filter(|value| value.is_finite()).map(|value| direction.loss(value))?))
    });
    let valued: Vec<(&Trial, f64)> = valued.collect();
    if valued.len() < 2 {
        return Vec::new();
    }
    let mut losses: Vec<f64> = valued.iter().map(|(_, loss)| *loss).collect();
    losses.sort_by(f64::total_cmp);
    let limit = losses[(BEST * losses.len() as f64).ceil() as usize - 1];
    let all: Vec<&Trial> = valued.iter().map(|(trial, _)| *trial).collect();
    let best: Vec<&Trial> = valued.iter().filter(|(_, loss)| *loss <= limit).map(|(trial, _)| *trial).collect();
    let raw = |param: &Param| (param.name.clone(), importance(param, &all, &best));
    let raw: Vec<(String, f64)> = space.params().iter().map(raw).collect();
    let sum: f64 = raw.iter().map(|(_, value)| value).sum();
    if sum.is_nan() || sum <= 0.0 {
        return Vec::new();
    }
    let mut shares: Vec<(String, f64)> = raw.into_iter().map(|(name, value)| (name, value / sum)).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    shares
}

/// The divergence, weighted by how often the parameter is active among the best trials and among all.
fn importance(param: &Param, all: &[&Trial], best: &[&Trial]) -> f64 {
    let values = |trials: &[&Trial]| -> Vec<f64> {
        trials.iter().filter_map(|trial| trial.params.get(&param.name).copied()).collect()
    };
    let (of_all, of_best) = (values(all), values(best));
    let is_single = param.distribution.all().is_some_and(|all| all.len() == 1);
    if of_all.len() < 2 || of_best.is_empty() || is_single {
        return 0.0;
    }
    let share_of_best = of_best.len() as f64 / best.len() as f64;
    let share_of_all = of_all.len() as f64 / all.len() as f64;
    let densities = [&of_best, &of_all].map(|values| density(&param.distribution, values));
    let divergence: f64 =
        densities[0].iter().zip(&densities[1]).map(|(best, all)| all * (best / all - 1.0).powi(2)).sum();
    share_of_best.powi(2) / share_of_all * divergence
}

/// Probability of each cell (of a number) or choice, estimated from values.
fn density(distribution: &Distribution, values: &[f64]) -> Vec<f64> {
    let (cells, is_number) = match distribution {
        Distribution::Categorical { choices } => {
            (count(choices.len(), values.iter().map(|&value| value as usize)), false)
        }
        number => (cells(number, values), true),
    };
    let observed: Vec<(f64, f64)> =
        cells.iter().enumerate().filter(|(_, n)| **n > 0).map(|(cell, &n)| (cell as f64, n as f64)).collect();
    let probability = if is_number { smooth(&observed, cells.len()) } else { of_choices(&observed, cells.len()) };
    probability.into_iter().map(|p| p + 1e-12).collect()
}

fn count(n: usize, indices: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut counts = vec![0; n];
    indices.for_each(|index| counts[index.min(n - 1)] += 1);
    counts
}

/// How many values fall into each cell of the range; of a logarithmic number, of the range of its log.
fn cells(distribution: &Distribution, values: &[f64]) -> Vec<usize> {
    let (low, high, log, n) = match distribution {
        Distribution::Int { low, high, log: true, .. } => {
            let doublings = ((high - low + 1) as f64).log2().ceil() as usize + 1;
            (*low as f64, *high as f64, true, doublings)
        }
        Distribution::Int { low, high, step, .. } => {
            (*low as f64, *high as f64, false, ((high - low) / step) as usize + 1)
        }
        Distribution::Float { low, high, log, step } => {
            let n = step.map_or(CELLS, |step| ((high - low) / step).round() as usize + 1);
            (*low, *high, *log, n)
        }
        Distribution::Categorical { .. } => return Vec::new(),
    };
    let n = n.min(CELLS);
    let scaled = |value: f64| if log { value.ln() } else { value };
    let width = (scaled(high) - scaled(low)) / (n - 1) as f64;
    let cell = |&value: &f64| ((scaled(value) - scaled(low)) / width - 0.5).ceil().max(0.0) as usize;
    count(n, values.iter().map(cell))
}

/// One kernel per observed choice, and one for the prior.
fn of_choices(observed: &[(f64, f64)], n: usize) -> Vec<f64> {
    let extra = PRIOR_WEIGHT / (observed.len() + 1) as f64;
    let sum = 1.0 + extra * n as f64;
    let total = observed.iter().map(|(_, weight)| weight).sum::<f64>() + PRIOR_WEIGHT;
    let of = |choice: usize| {
        let of_kernel =
            |(own, weight): &(f64, f64)| weight * if *own as usize == choice { 1.0 + extra } else { extra } / sum;
        (observed.iter().map(of_kernel).sum::<f64>() + PRIOR_WEIGHT / n as f64) / total
    };
    (0..n).map(of).collect()
}

/// Normal kernels on the cells, as wide as Scott's rule says, and one for the prior.
fn smooth(observed: &[(f64, f64)], n: usize) -> Vec<f64> {
    let total: f64 = observed.iter().map(|(_, weight)| weight).sum();
    let (low, high) = (-0.5, n as f64 - 0.5);
    let sd = scott(observed, total).max(0.5 / 1.64);
    let prior = ((n - 1) as f64 / 2.0, n as f64, PRIOR_WEIGHT);
    let kernels: Vec<(f64, f64, f64)> =
        observed.iter().map(|(mean, weight)| (*mean, sd, *weight)).chain([prior]).collect();
    let of = |cell: usize| {
        let of_kernel = |(mean, sd, weight): &(f64, f64, f64)| {
            let mass = |a: f64, b: f64| log_mass((a - mean) / sd, (b - mean) / sd);
            weight * (mass(cell as f64 - 0.5, cell as f64 + 0.5) - mass(low, high)).exp()
        };
        kernels.iter().map(of_kernel).sum::<f64>() / (total + PRIOR_WEIGHT)
    };
    (0..n).map(of).collect()
}

/// Scott's rule with the lesser of standard deviation and interquartile range.
fn scott(observed: &[(f64, f64)], total: f64) -> f64 {
    let mean = observed.iter().map(|(x, weight)| x * weight).sum::<f64>() / total;
    let squares: f64 = observed.iter().map(|(x, weight)| (x - mean).powi(2) * weight).sum();
    let sd = (squares / (total - 1.0).max(1.0)).sqrt();
    let mut sum = 0.0;
    let sums: Vec<f64> = observed
        .iter()
        .map(|(_, weight)| {
            sum += weight;
            sum
        })
        .collect();
    let first = sums.iter().position(|&sum| sum >= (total / 4.0).floor()).unwrap_or(0);
    let third = sums.iter().position(|&sum| sum > (total * 3.0 / 4.0).floor()).unwrap_or(observed.len() - 1);
    let range = observed[third.min(observed.len() - 1)].0 - observed[first].0;
    1.059 * (range / 1.34).min(sd) * total.powf(-0.2)
}
