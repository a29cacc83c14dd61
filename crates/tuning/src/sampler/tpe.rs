//! The tree-structured Parzen estimator: one density of what was good and one of what was bad; what is proposed is, of some draws
//! from the good one, that which is most probable among good and least among bad (Bergstra et al., NeurIPS 2011), multivariate,
//! with trials that still run counted as bad, as Optuna 5 does it by default.

use rand_chacha::ChaCha8Rng;

use super::parzen::Parzen;
use super::{SearchConfig, complete};
use crate::pareto::ranks;
use crate::{Direction, Distribution, Param, Space, Trial, TrialState, Values};

/// Most trials that count as good.
const MOST_GOOD: usize = 25;

/// Proposes what the finished trials say; nothing before there are `startup` of them. Parameters without conditions are proposed
/// together, conditional ones one by one; fixed ones stay.
pub fn suggest(
    config: &SearchConfig,
    (space, fixed): (&Space, &Values),
    directions: &[Direction],
    trials: &[Trial],
    number: u32,
    rng: &mut ChaCha8Rng,
) -> Values {
    let is_ended = |trial: &&Trial| matches!(trial.state, TrialState::Complete | TrialState::Pruned);
    let ended: Vec<&Trial> = trials.iter().filter(is_ended).collect();
    if ended.len() < config.startup.max(1) {
        return Values::new();
    }
    let running = trials.iter().filter(|trial| trial.state == TrialState::Running && trial.number != number);
    let (good, bad) = split(&ended, directions);
    let bad: Vec<&Trial> = bad.into_iter().chain(running).collect();
    let joint: Vec<&Param> = space.params().iter().filter(|param| param.when.is_empty()).collect();
    let proposed = propose(&joint, &good, &bad, config.candidates, rng);
    // A conditional parameter is proposed where its conditions are met by what was proposed before.
    let lone = |param: &Param, _: &Values| propose(&[param], &good, &bad, config.candidates, rng).remove(&param.name);
    let unused = |_: &Distribution| f64::NAN;
    complete(space, &proposed, fixed, unused, lone)
}

/// Of the draws from the good density the one with the greatest ratio to the bad one.
fn propose(params: &[&Param], good: &[&Trial], bad: &[&Trial], candidates: usize, rng: &mut ChaCha8Rng) -> Values {
    if params.is_empty() {
        return Values::new();
    }
    let distributions: Vec<&Distribution> = params.iter().map(|param| &param.distribution).collect();
    let values = |trial: &&Trial| params.iter().map(|param| trial.params.get(&param.name).copied()).collect();
    let observed = |trials: &[&Trial]| trials.iter().filter_map(values).collect::<Vec<Vec<f64>>>();
    let (good, bad) = (Parzen::new(&distributions, &observed(good)), Parzen::new(&distributions, &observed(bad)));
    let drawn: Vec<Vec<f64>> = (0..candidates.max(1)).map(|_| good.draw(rng)).collect();
    let ratios = good.log_density(&drawn).into_iter().zip(bad.log_density(&drawn)).map(|(good, bad)| good - bad);
    let best = ratios.enumerate().reduce(|best, other| if other.1 > best.1 { other } else { best });
    let Some((best, _)) = best else { return Values::new() };
    params.iter().zip(&drawn[best]).map(|(param, &value)| (param.name.clone(), value)).collect()
}

/// The best tenth (rounded up, at most 25), and the others, each by number. Complete trials go before pruned ones, of which those that
/// came further go first.
fn split<'a>(ended: &[&'a Trial], directions: &[Direction]) -> (Vec<&'a Trial>, Vec<&'a Trial>) {
    let n_good = (ended.len().div_ceil(10)).min(MOST_GOOD);
    let (complete, mut pruned): (Vec<&Trial>, Vec<&Trial>) =
        ended.iter().copied().partition(|trial| trial.state == TrialState::Complete);
    let mut order = best_first(&complete, directions);
    pruned.sort_by(|a, b| {
        let key = |trial: &Trial| {
            let last = trial.intermediate.last_key_value();
            last.map_or((i64::MAX, f64::INFINITY), |(step, value)| (-step, loss(*value, directions[0])))
        };
        let ((a_step, a_loss), (b_step, b_loss)) = (key(a), key(b));
        a_step.cmp(&b_step).then(a_loss.total_cmp(&b_loss)).then(a.number.cmp(&b.number))
    });
    order.extend(pruned);
    let mut bad = order.split_off(n_good);
    order.sort_by_key(|trial| trial.number);
    bad.sort_by_key(|trial| trial.number);
    (order, bad)
}

/// By value; with several objectives by the front that a trial is on, within a front the lonely ones first (crowding distance: Deb
/// et al., NSGA-II, 2002).
fn best_first<'a>(complete: &[&'a Trial], directions: &[Direction]) -> Vec<&'a Trial> {
    let mut order: Vec<usize> = (0..complete.len()).collect();
    let losses: Vec<Vec<f64>> = complete
        .iter()
        .map(|trial| trial.values.iter().zip(directions).map(|(&value, &direction)| loss(value, direction)).collect())
        .collect();
    match directions {
        [_] => order.sort_by(|&a, &b| losses[a][0].total_cmp(&losses[b][0])),
        _ => {
            let (ranks, crowding) = (ranks(&losses), crowding(&losses));
            order.sort_by(|&a, &b| ranks[a].cmp(&ranks[b]).then(crowding[b].total_cmp(&crowding[a])));
        }
    }
    order.into_iter().map(|index| complete[index]).collect()
}

/// Less is better; what is not a number is the worst.
fn loss(value: f64, direction: Direction) -> f64 {
    if value.is_nan() { f64::INFINITY } else { direction.loss(value) }
}

/// How far apart the neighbours of each point are, over all objectives.
fn crowding(losses: &[Vec<f64>]) -> Vec<f64> {
    let mut distance = vec![0.0; losses.len()];
    for objective in 0..losses.first().map_or(0, Vec::len) {
        let mut order: Vec<usize> = (0..losses.len()).collect();
        order.sort_by(|&a, &b| losses[a][objective].total_cmp(&losses[b][objective]));
        let (first, last) = (order[0], order[order.len() - 1]);
        let range = losses[last][objective] - losses[first][objective];
        distance[first] = f64::INFINITY;
        distance[last] = f64::INFINITY;
        for window in order.windows(3).filter(|_| range > 0.0) {
            distance[window[1]] += (losses[window[2]][objective] - losses[window[0]][objective]) / range;
        }
    }
    distance
}
