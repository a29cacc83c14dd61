//! How good the proposals are, and what they cost: `benches/tuning/sampler/run.sh` puts this beside Optuna.
//!
//! `sampler FOLDER SEEDS TRIALS`: prints a line `problem seed trials best` for each problem and each of `10 30 100 ..` trials up to
//! `TRIALS`, then `problem cost trials milliseconds` for proposals after so many trials. FOLDER has `mlp.csv`, a table of trainings.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use tuning::{Condition, Direction, Distribution, Param, SearchConfig, Space, Trial, TrialState, Values, suggest};

type Objective = Box<dyn Fn(&Values) -> f64>;

struct Problem {
    name: &'static str,
    space: Space,
    objective: Objective,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, seeds, n_trials] = arguments.as_slice() else { panic!("usage: sampler FOLDER SEEDS TRIALS") };
    let (seeds, n_trials): (u64, usize) = (seeds.parse().unwrap(), n_trials.parse().unwrap());
    for problem in problems(Path::new(folder)) {
        for seed in 0..seeds {
            let trials = search(&problem, seed, n_trials);
            for n in [30, 100].into_iter().filter(|n| *n <= n_trials) {
                let best = trials[..n].iter().map(|trial| trial.values[0]).fold(f64::INFINITY, f64::min);
                println!("{} {seed} {n} {best}", problem.name);
            }
        }
        for n in [100, 1000] {
            println!("{} cost {n} {}", problem.name, cost(&problem, n));
        }
    }
}

fn search(problem: &Problem, seed: u64, n_trials: usize) -> Vec<Trial> {
    let config = SearchConfig { seed, ..SearchConfig::default() };
    let mut trials = Vec::new();
    for number in 0..n_trials as u32 {
        let values = suggest(&config, &problem.space, &[Direction::Minimize], &trials, number, &Values::new()).unwrap();
        let value = (problem.objective)(&values);
        trials.push(complete(number, values, value));
    }
    trials
}

/// Milliseconds of a proposal after `n` random trials, the mean of 20.
fn cost(problem: &Problem, n: usize) -> f64 {
    let config = SearchConfig { startup: n, ..SearchConfig::default() };
    let mut trials = Vec::new();
    for number in 0..n as u32 {
        let values = suggest(&config, &problem.space, &[Direction::Minimize], &trials, number, &Values::new()).unwrap();
        let value = (problem.objective)(&values);
        trials.push(complete(number, values, value));
    }
    let start = Instant::now();
    for number in 0..20 {
        suggest(&config, &problem.space, &[Direction::Minimize], &trials, n as u32 + number, &Values::new()).unwrap();
    }
    start.elapsed().as_secs_f64() * 1000.0 / 20.0
}

fn complete(number: u32, params: Values, value: f64) -> Trial {
    Trial {
        id: i64::from(number),
        number,
        state: TrialState::Complete,
        params,
        values: vec![value],
        intermediate: BTreeMap::new(),
        started: None,
        ended: None,
        user_attributes: BTreeMap::new(),
        system_attributes: BTreeMap::new(),
    }
}

fn problems(folder: &Path) -> Vec<Problem> {
    let x = |values: &Values, i: usize| values[&format!("x{i}")];
    let float = |i: usize, low: f64, high: f64| {
        param(&format!("x{i}"), Distribution::Float { low, high, log: false, step: None })
    };
    vec![
        Problem {
            name: "branin",
            space: Space::new(vec![float(0, -5.0, 10.0), float(1, 0.0, 15.0)]).unwrap(),
            objective: Box::new(move |values| branin(x(values, 0), x(values, 1))),
        },
        Problem {
            name: "hartmann6",
            space: Space::new((0..6).map(|i| float(i, 0.0, 1.0)).collect()).unwrap(),
            objective: Box::new(move |values| hartmann6(&(0..6).map(|i| x(values, i)).collect::<Vec<_>>())),
        },
        Problem {
            name: "rosenbrock5",
            space: Space::new((0..5).map(|i| float(i, -5.0, 10.0)).collect()).unwrap(),
            objective: Box::new(move |values| {
                (0..4)
                    .map(|i| 100.0 * (x(values, i + 1) - x(values, i).powi(2)).powi(2) + (1.0 - x(values, i)).powi(2))
                    .sum()
            }),
        },
        mlp(folder),
    ]
}

/// Regret: the minimum is 0.397887.
fn branin(x: f64, y: f64) -> f64 {
    use std::f64::consts::PI;
    let (b, c, t) = (5.1 / (4.0 * PI * PI), 5.0 / PI, 1.0 / (8.0 * PI));
    (y - b * x * x + c * x - 6.0).powi(2) + 10.0 * (1.0 - t) * x.cos() + 10.0 - 0.397_887_357_729_738_16
}

/// Regret: the minimum is -3.32237.
fn hartmann6(x: &[f64]) -> f64 {
    const ALPHA: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const A: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const P: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let of = |i: usize| ALPHA[i] * (-(0..6).map(|j| A[i][j] * (x[j] - P[i][j]).powi(2)).sum::<f64>()).exp();
    3.322_368_011_391_339 - (0..4).map(of).sum::<f64>()
}

fn param(name: &str, distribution: Distribution) -> Param {
    Param { name: name.to_owned(), distribution, when: Vec::new() }
}

/// The mean loss of the five nearest of 1,600 real trainings: `peer.py` makes the table.
fn mlp(folder: &Path) -> Problem {
    let choice = |n: usize| Distribution::Categorical { choices: (0..n).map(|i| i.into()).collect() };
    let float = |low, high| Distribution::Float { low, high, log: true, step: None };
    let int = |low, high, log| Distribution::Int { low, high, log, step: 1 };
    let when = vec![Condition { param: "solver".to_owned(), is_one_of: vec![1.0] }];
    let momentum = Distribution::Float { low: 0.0, high: 0.99, log: false, step: None };
    let space = Space::new(vec![
        param("lr", float(1e-5, 1e-1)),
        param("alpha", float(1e-7, 1.0)),
        param("batch", int(16, 256, true)),
        param("layers", int(1, 4, false)),
        param("width", int(8, 256, true)),
        param("act", choice(2)),
        param("solver", choice(2)),
        Param { when, ..param("momentum", momentum) },
    ])
    .unwrap();
    let text = fs::read_to_string(folder.join("mlp.csv")).unwrap();
    let rows: Vec<Vec<f64>> =
        text.lines().skip(1).map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
    let objective = move |values: &Values| {
        let at = |name: &str| values.get(name).copied().unwrap_or(0.0);
        let ln = |name: &str, low: f64, high: f64| (at(name) / low).ln() / (high / low).ln();
        let point = [
            ln("lr", 1e-5, 1e-1),
            ln("alpha", 1e-7, 1.0),
            ln("batch", 16.0, 256.0),
            (at("layers") - 1.0) / 3.0,
            ln("width", 8.0, 256.0),
            at("act"),
            at("solver"),
            at("momentum") / 0.99,
        ];
        let distance = |row: &Vec<f64>| {
            let numbers = (0..5).map(|i| (row[i] - point[i]).powi(2)).sum::<f64>();
            let kinds = (5..7).map(|i| if row[i] == point[i] { 0.0 } else { 1.0 }).sum::<f64>();
            let momentum = if point[6] == 1.0 && row[6] == 1.0 { (row[7] - point[7]).powi(2) } else { 0.0 };
            numbers + kinds + momentum
        };
        let mut near: Vec<(f64, f64)> = rows.iter().map(|row| (distance(row), row[8])).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut sum, mut weights) = (0.0, 0.0);
        for (distance, loss) in &near[..5] {
            let weight = 1.0 / (distance + 1e-3);
            sum += weight * loss.ln();
            weights += weight;
        }
        sum / weights
    };
    Problem { name: "mlp", space, objective: Box::new(objective) }
}
