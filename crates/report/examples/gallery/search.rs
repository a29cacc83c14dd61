//! Pictures of a hyperparameter search.

use std::path::Path;
use std::time::Instant;

use report::{
    Importance, ParamScale, ParameterImportance, ParetoFront, ParetoObjective, ParetoTrial, Result, Search,
    SearchContour, SearchParam, SearchState, SearchTrial, parallel_coordinates, parameter_importance, pareto_front,
    search_contour, search_history, search_slices, search_timeline,
};

use crate::Noise;

/// A search with `trials` trials, as a sampler would go about it: the first at random, later ones nearer the best.
struct Study {
    choices: Vec<Vec<String>>,
    values: Vec<Vec<Option<f64>>>,
    /// Number, state, objective, start and end.
    trials: Vec<(u32, SearchState, Option<f64>, f64, f64)>,
    best: Option<u32>,
}

const NAMES: [&str; 15] = [
    "training.optimizer.learning_rate",
    "model.dropout",
    "model.activation",
    "model.layers",
    "training.batch_size",
    "training.optimizer.weight_decay",
    "training.schedule.kind",
    "training.schedule.warm_up_steps",
    "data.scaler.kind",
    "training.loss.kind",
    "model.embedding_width",
    "data.lookback_steps",
    "training.clip_norm",
    "model.attention.positional_encoding_of_the_time_of_day.width",
    "seed",
];

/// The best trials have a learning rate near 2e-3, little dropout and the activation `gelu`.
fn objective(values: &[Option<f64>], noise: f64) -> f64 {
    let rate = values[0].unwrap_or(1e-3).log10() + 2.7;
    let dropout = values.get(1).copied().flatten().unwrap_or(0.2) - 0.15;
    let activation = values.get(2).copied().flatten().map_or(0.0, |choice| [0.03, 0.0, 0.02, 0.06][choice as usize]);
    0.4127 + 0.05 * rate * rate + 0.5 * (dropout - 0.05 * rate).powi(2) + activation + 0.012 * noise.abs()
}

fn sample(noise: &mut Noise, params: usize, center: f64, width: f64) -> Vec<Option<f64>> {
    let near = |noise: &mut Noise, best: f64| {
        (center * best + (1.0 - center) * noise.uniform() + width * noise.normal()).clamp(0.0, 1.0)
    };
    let pick = |noise: &mut Noise, count: f64, best: f64| {
        let is_best = noise.uniform() < 0.8 * center;
        if is_best { best } else { (noise.uniform() * count).floor() }
    };
    let rate = 10f64.powf(-5.0 + 4.0 * near(noise, 0.58));
    let dropout = 0.5 * near(noise, 0.3);
    let activation = pick(noise, 4.0, 1.0);
    let schedule = pick(noise, 3.0, 0.0);
    let mut values = vec![
        Some(rate),
        Some(dropout),
        Some(activation),
        Some((1.0 + 5.0 * near(noise, 0.5)).round()),
        Some(2f64.powf((5.0 + 5.0 * near(noise, 0.6)).round())),
        Some(10f64.powf(-6.0 + 4.0 * near(noise, 0.4))),
        Some(schedule),
        (schedule == 0.0).then(|| (1_000.0 * near(noise, 0.3)).round()),
        Some(pick(noise, 2.0, 0.0)),
        Some(pick(noise, 3.0, 2.0)),
        Some((8.0 + 120.0 * near(noise, 0.7)).round()),
        Some((24.0 + 312.0 * near(noise, 0.5)).round()),
        Some(10f64.powf(-1.0 + 2.0 * near(noise, 0.5))),
        (activation == 1.0).then(|| (4.0 * near(noise, 0.5)).round() + 4.0),
        Some(42.0),
    ];
    values.truncate(params);
    values
}

impl Study {
    fn new(trials: u32, params: usize, workers: usize) -> Study {
        let mut noise = Noise(101 + u64::from(trials));
        let names: [&[&str]; 15] = [
            &[],
            &[],
            &["relu", "gelu", "silu", "tanh"],
            &[],
            &[],
            &[],
            &["cosine", "step", "constant"],
            &[],
            &["standard", "quantile_to_normal"],
            &["mse", "mae", "huber"],
            &[],
            &[],
            &[],
            &[],
            &[],
        ];
        let choices =
            names.iter().take(params).map(|names| names.iter().map(|name| name.to_string()).collect()).collect();
        let mut study = Study { choices, values: vec![], trials: vec![], best: None };
        let mut free = vec![0.0f64; workers];
        let mut lowest = f64::INFINITY;
        for number in 0..trials {
            let center = if number < 10 { 0.0 } else { 0.85 * (f64::from(number) / 60.0).min(1.0) };
            let values = sample(&mut noise, params, center, 0.05);
            let value = objective(&values, noise.normal());
            let chance = noise.uniform();
            let is_late = number + workers as u32 > trials && workers > 1;
            let (state, value, share) = match number {
                13 | 40 => (SearchState::Complete, Some(1.3e6), 1.0),
                _ if is_late => (SearchState::Running, None, 1.0),
                _ if chance < 0.05 => (SearchState::Failed, None, 0.1),
                _ if number > 5 && value > 0.465 && chance < 0.75 => (SearchState::Pruned, Some(value + 0.05), 0.3),
                _ => (SearchState::Complete, Some(value), 1.0),
            };
            let worker = (0..workers).min_by(|a, b| free[*a].total_cmp(&free[*b])).unwrap_or(0);
            let start = free[worker] + 2.0;
            let end = start + share * (60.0 + 240.0 * noise.uniform());
            free[worker] = if state == SearchState::Running { f64::INFINITY } else { end };
            if let (SearchState::Complete, Some(value)) = (state, value)
                && value < lowest
            {
                (lowest, study.best) = (value, Some(number));
            }
            study.values.push(values);
            study.trials.push((
                number,
                state,
                value,
                start,
                if state == SearchState::Running { f64::NAN } else { end },
            ));
        }
        study
    }

    /// Hands the search to `draw`.
    fn with<T>(&self, title: &str, draw: impl FnOnce(&Search) -> T) -> T {
        let scale = |i: usize| match i {
            0 | 5 | 12 => ParamScale::Log,
            4 => ParamScale::Log,
            _ if self.choices[i].is_empty() => ParamScale::Linear,
            _ => ParamScale::Choices(&self.choices[i]),
        };
        let params: Vec<SearchParam> =
            (0..self.choices.len()).map(|i| SearchParam { name: NAMES[i], scale: scale(i) }).collect();
        let trial = |(&(number, state, value, start_seconds, end_seconds), params)| SearchTrial {
            number,
            state,
            value,
            params,
            start_seconds,
            end_seconds,
        };
        let values = self.values.iter().map(Vec::as_slice);
        let trials: Vec<SearchTrial> = self.trials.iter().zip(values).map(trial).collect();
        draw(&Search {
            title,
            subtitle: "traffic-mlp · tree-structured Parzen estimator · 4 workers",
            objective: "valid RMSE",
            lower_is_better: true,
            reference: Some(("config as it is", 0.458)),
            best: self.best,
            params: &params,
            trials: &trials,
        })
    }
}

pub(crate) fn draw_all(folder: &Path) -> Result<()> {
    let start = Instant::now();
    for (trials, params, workers) in
        [(0, 1, 1), (1, 1, 1), (2, 2, 1), (3, 3, 2), (30, 6, 1), (120, 8, 4), (1_000, 15, 12)]
    {
        let study = Study::new(trials, params, workers);
        let stem = |name: &str| folder.join(format!("{name}_{trials}"));
        study.with("Search history", |search| search_history(search, &stem("search_history")))?;
        study.with("Parallel coordinates", |search| parallel_coordinates(search, &stem("parallel_coordinates")))?;
        study.with("Objective by hyperparameter", |search| search_slices(search, &stem("search_slices")))?;
        study.with("Timeline", |search| search_timeline(search, &stem("search_timeline")))?;
        for (x, y) in [(0, 1), (0, 2), (2, 7), (6, 2)] {
            let draw = |search: &Search| {
                let stem = folder.join(format!("search_contour_{trials}_{x}{y}"));
                search_contour(&SearchContour { search: *search, x, y }, &stem)
            };
            if y < params {
                study.with("Objective over two hyperparameters", draw)?;
            }
        }
        draw_front(trials, &stem("pareto_front"))?;
    }
    draw_ugly(folder)?;
    draw_shares(&folder.join("parameter_importance"))?;
    println!("pictures of searches: {:.2?}", start.elapsed());
    Ok(())
}

/// Long names, many choices, a narrow range, a hyperparameter that all but one leave out; a higher objective is better.
fn draw_ugly(folder: &Path) -> Result<()> {
    let mut noise = Noise(5);
    let choices: Vec<String> = (0..40).map(|i| format!("calendar features of the kind {i}")).collect();
    let names = ["a", "b"].map(|end| format!("model.encoder.layers.of_the_first_block.kernel_size_in_steps.{end}"));
    let scales = [ParamScale::Choices(&choices), ParamScale::Log, ParamScale::Linear, ParamScale::Log];
    let names = [&names[0], &names[1], "data.calendar_features_that_are_known_for_the_future", "x"];
    let params: Vec<SearchParam> = names.iter().zip(scales).map(|(name, scale)| SearchParam { name, scale }).collect();
    let values: Vec<[Option<f64>; 4]> = (0..60)
        .map(|i| {
            let absent = (i == 7).then_some(0.25);
            [Some((40.0 * noise.uniform()).floor()), Some(0.031 + 0.004 * noise.uniform()), absent, Some(1e-3)]
        })
        .collect();
    for (name, lower, state) in [("ugly", false, SearchState::Complete), ("failed", true, SearchState::Failed)] {
        let trials: Vec<SearchTrial> = (0..)
            .zip(&values)
            .map(|(number, params)| SearchTrial {
                number,
                state,
                value: Some(f64::from((number % 3).min(1))),
                params,
                start_seconds: f64::from(number * number),
                end_seconds: f64::from(number * number + 900),
            })
            .collect();
        let search = Search {
            title: "A search that went badly, with a title that says so at some length, and goes on, and on, and on",
            subtitle: "",
            objective: "share of the hours whose error is below 5 % of the mean of all hours of the month",
            lower_is_better: lower,
            reference: Some(("the config as it was before anybody thought of a search for anything better", 0.4)),
            best: Some(1),
            params: &params,
            trials: &trials,
        };
        let stem = |picture: &str| folder.join(format!("{picture}_{name}"));
        search_history(&search, &stem("search_history"))?;
        parallel_coordinates(&search, &stem("parallel_coordinates"))?;
        search_slices(&search, &stem("search_slices"))?;
        search_timeline(&search, &stem("search_timeline"))?;
        search_contour(&SearchContour { search, x: 1, y: 0 }, &stem("search_contour"))?;
        search_contour(&SearchContour { search, x: 0, y: 2 }, &stem("search_contour_absent"))?;
    }
    Ok(())
}

fn draw_front(trials: u32, stem: &Path) -> Result<()> {
    let mut noise = Noise(17);
    let trial = |number: u32| {
        let size = noise.uniform();
        let value = 0.41 + 0.12 * (-4.0 * size).exp() + 0.02 * noise.normal().abs();
        let values = [0.3 + 12.0 * size * size + 0.8 * noise.normal().abs(), if number == 7 { 2.1e5 } else { value }];
        ParetoTrial { number, values }
    };
    let trials: Vec<ParetoTrial> = (0..trials).map(trial).collect();
    let spec = ParetoFront {
        title: "Pareto front",
        subtitle: "traffic-mlp · NSGA-II",
        objectives: [
            ParetoObjective { name: "prediction time (ms)", lower_is_better: true },
            ParetoObjective { name: "valid RMSE", lower_is_better: true },
        ],
        trials: &trials,
    };
    pareto_front(&spec, stem)
}

fn draw_shares(stem: &Path) -> Result<()> {
    let shares = [0.523, 0.187, 0.124, 0.061, 0.043, 0.031, 0.019, 0.012];
    let share = |(feature, mean): (&&'static str, f64)| Importance { feature, mean, spread: 0.12 * mean };
    let parameters: Vec<Importance> = NAMES.iter().zip(shares).map(share).collect();
    let spec = ParameterImportance {
        title: "Importance of the hyperparameters",
        subtitle: "traffic-mlp · fANOVA over 83 complete trials",
        objective: "valid RMSE",
        parameters: &parameters,
    };
    parameter_importance(&spec, stem)
}
