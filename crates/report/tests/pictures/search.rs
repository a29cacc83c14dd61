//! Pictures of a hyperparameter search.

use std::fs;
use std::path::Path;
use std::time::Instant;

use report::{
    Error, Importance, ParamScale, ParameterImportance, ParetoFront, ParetoObjective, ParetoTrial, Result, Search,
    SearchContour, SearchParam, SearchState, SearchTrial, parallel_coordinates, parameter_importance, pareto_front,
    search_contour, search_history, search_slices, search_timeline,
};

use crate::{HOSTILE_NUMBERS, HOSTILE_TEXT, LONG_NAME, assert_contains, check, folder};

type Draw = fn(&Search, &Path) -> Result<()>;

const STATES: [SearchState; 4] =
    [SearchState::Complete, SearchState::Pruned, SearchState::Failed, SearchState::Running];

/// Every picture of one search, by name.
const PICTURES: [(&str, Draw); 5] = [
    ("search_history", search_history),
    ("parallel_coordinates", parallel_coordinates),
    ("search_slices", search_slices),
    ("search_timeline", search_timeline),
    ("search_contour", |search, stem| search_contour(&SearchContour { search: *search, x: 0, y: 1 }, stem)),
];

fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| ["relu", "gelu", LONG_NAME, HOSTILE_TEXT][i % 4].to_string()).collect()
}

fn params<'a>(choices: &'a [String], count: usize) -> Vec<SearchParam<'a>> {
    let kinds = [
        ("training.learning_rate", ParamScale::Log),
        ("model.activation", ParamScale::Choices(choices)),
        ("training.optimizer.weight_decay_of_all_layers_but_the_last_one", ParamScale::Linear),
        ("seed", ParamScale::Linear),
    ];
    (0..count).map(|i| kinds[i % 4]).map(|(name, scale)| SearchParam { name, scale }).collect()
}

/// The values of trial `i`: the third is absent in every other trial, the fourth is a constant.
fn values(i: usize, choices: usize, count: usize) -> Vec<Option<f64>> {
    let rate = 10f64.powf(-5.0 + 4.0 * (i as f64 * 0.618).fract());
    let absent = i.is_multiple_of(2).then_some((i as f64 * 0.31).fract());
    [Some(rate), Some((i % choices) as f64), absent, Some(42.0)].into_iter().cycle().take(count).collect()
}

fn search<'a>(params: &'a [SearchParam<'a>], trials: &'a [SearchTrial<'a>]) -> Search<'a> {
    Search {
        title: "Search",
        subtitle: "study",
        objective: "valid RMSE",
        lower_is_better: true,
        reference: None,
        best: Some(0),
        params,
        trials,
    }
}

/// Trial `i` has `value(i)` and `state(i)`; three run at once.
fn trials<'a>(
    all: &'a [Vec<Option<f64>>],
    value: impl Fn(usize) -> Option<f64>,
    state: impl Fn(usize) -> SearchState,
) -> Vec<SearchTrial<'a>> {
    let trial = |(i, params): (usize, &'a Vec<Option<f64>>)| SearchTrial {
        number: i as u32,
        state: state(i),
        value: value(i),
        params,
        start_seconds: 1.7e9 + (i / 3) as f64 * 100.0,
        end_seconds: 1.7e9 + (i / 3) as f64 * 100.0 + 60.0,
    };
    all.iter().enumerate().map(trial).collect()
}

fn complete(_: usize) -> SearchState {
    SearchState::Complete
}

#[test]
fn search_history_tells_states_and_the_best() {
    let folder = folder();
    let stem = folder.path().join("history");
    let choices = names(2);
    let (params, all): (Vec<_>, Vec<_>) = (params(&choices, 3), (0..40).map(|i| values(i, 2, 3)).collect());
    let value = |i| Some(if i == 9 { 1e6 } else { 0.5 + 1.0 / (i + 1) as f64 });
    let state = |i: usize| if i == 39 { SearchState::Complete } else { STATES[(i / 2) % 4] };
    let trials = trials(&all, value, state);
    let spec = Search { best: Some(39), reference: Some(("config as it is", 0.7)), ..search(&params, &trials) };
    search_history(&spec, &stem).unwrap();
    let (text, size) = check(&stem);
    assert_eq!(size.0, 1600);
    let parts = ["best: trial 39 (0.525)", "trial 39: 0.525", "complete (11)", "pruned, last value (10)"];
    assert_contains(&text, &parts);
    assert_contains(&text, &["failed or without a value (10)", "running, last value (9)", "config as it is (0.7)"]);
    assert_contains(&text, &["beyond the axis (2, worst 1,000,000)", "valid RMSE (lower is better)", "best so far"]);
    search_history(&Search { lower_is_better: false, best: Some(7), ..spec }, &stem).unwrap();
    let (text, _) = check(&stem);
    assert!(text.contains("higher is better") && !text.contains("best: "), "only a complete trial wins");
}

#[test]
fn pictures_of_a_search_take_any_number_of_trials_and_parameters() {
    let folder = folder();
    for (count, n_params, n_choices) in [(0, 0, 1), (1, 1, 1), (2, 2, 2), (3, 15, 3), (60, 4, 40), (1_000, 15, 4)] {
        let choices = names(n_choices);
        let all: Vec<_> = (0..count).map(|i| values(i, n_choices, n_params)).collect();
        let params = params(&choices, n_params);
        let trials = trials(&all, |i| Some(1.0 + (i as f64 * 0.77).sin()), complete);
        for (name, draw) in PICTURES {
            let (stem, start) = (folder.path().join(name), Instant::now());
            draw(&search(&params, &trials), &stem).unwrap();
            println!("{name} of {count} trials and {n_params} parameters: {:.2?}", start.elapsed());
            let (text, _) = check(&stem);
            let needs = if name == "search_contour" { 2 } else { 1 };
            let has_data = count > 0 && (n_params >= needs || name == "search_history" || name == "search_timeline");
            assert_eq!(text.contains("no data"), !has_data, "{name} {count} {n_params}");
            assert_eq!(text.contains("best: trial 0 (1)"), count > 0, "{name}");
            let is_cut = n_params == 15 && name == "parallel_coordinates";
            assert_eq!(text.contains("and 3 more hyperparameters, not drawn"), is_cut && count > 0);
        }
    }
}

#[test]
fn pictures_of_a_search_take_failures_and_equal_values() {
    let folder = folder();
    let choices = names(2);
    let params = params(&choices, 4);
    let all: Vec<_> = (0..12).map(|i| values(i, 2, 4)).collect();
    for state in STATES {
        for value in [None, Some(f64::INFINITY), Some(0.5)] {
            let trials = trials(&all, |_| value, |_| state);
            for (name, draw) in PICTURES {
                let stem = folder.path().join(name);
                draw(&search(&params, &trials), &stem).unwrap();
                let (text, _) = check(&stem);
                let is_drawn = value.is_some_and(|value| value.is_finite() && value.abs() <= 1e100);
                let has_data = match name {
                    "search_timeline" => true,
                    "search_history" => is_drawn && state != SearchState::Failed,
                    _ => is_drawn && state == SearchState::Complete,
                };
                let is_empty = text.contains("no data");
                // A running trial without a value leaves the history empty too.
                assert_eq!(is_empty, !has_data, "{name} {state:?} {value:?}");
            }
        }
    }
}

#[test]
fn pictures_of_a_search_take_any_numbers_and_text() {
    let folder = folder();
    let choices = vec![HOSTILE_TEXT.to_string(), LONG_NAME.to_string()];
    let scales = [ParamScale::Log, ParamScale::Linear, ParamScale::Choices(&choices), ParamScale::Choices(&[])];
    let params = scales.map(|scale| SearchParam { name: HOSTILE_TEXT, scale });
    let none = [None; 4];
    let rows: Vec<Vec<Option<f64>>> = HOSTILE_NUMBERS
        .iter()
        .map(|&v| vec![Some(v), Some(v), (v.is_nan() || v == 0.0).then_some(v), None])
        .chain([none.to_vec()])
        .collect();
    for clock in HOSTILE_NUMBERS {
        let mut trials = trials(&rows, |i| Some(HOSTILE_NUMBERS[i % 9]), complete);
        for (trial, end) in trials.iter_mut().zip(HOSTILE_NUMBERS.into_iter().cycle()) {
            (trial.start_seconds, trial.end_seconds) = (clock, end);
            trial.number = u32::MAX - trial.number;
        }
        let spec = Search {
            title: HOSTILE_TEXT,
            subtitle: HOSTILE_TEXT,
            objective: HOSTILE_TEXT,
            lower_is_better: false,
            reference: Some((LONG_NAME, clock)),
            best: Some(u32::MAX - 8),
            params: &params,
            trials: &trials,
        };
        for (name, draw) in PICTURES {
            draw(&spec, &folder.path().join(name)).unwrap();
            check(&folder.path().join(name));
        }
        for (x, y) in [(2, 0), (1, 2), (3, 2), (0, 0), (0, 9)] {
            search_contour(&SearchContour { search: spec, x, y }, &folder.path().join("contour")).unwrap();
            let (text, _) = check(&folder.path().join("contour"));
            assert_eq!(text.contains("no data"), x == y || y == 9);
        }
    }
}

#[test]
fn pictures_of_a_search_check_their_lengths() {
    let folder = folder();
    let stem = folder.path().join("wrong");
    let choices = names(2);
    let params = params(&choices, 2);
    for (values, problem) in [
        (vec![Some(1.0)], "trial 0 has 1 values, but there are 2 parameters"),
        (vec![Some(1.0), Some(2.0)], "trial 0 has choice 2 of `model.activation`, which has 2"),
        (vec![Some(1.0), Some(0.5)], "trial 0 has choice 0.5 of `model.activation`, which has 2"),
    ] {
        let all = [values];
        let trials = trials(&all, |_| Some(1.0), complete);
        for (name, draw) in PICTURES {
            let error = draw(&search(&params, &trials), &stem).unwrap_err();
            assert!(matches!(error, Error::Shape { picture, .. } if picture == name), "{error}");
            assert_contains(&error.to_string(), &[problem]);
        }
    }
    assert!(!fs::exists(stem.with_extension("svg")).unwrap());
}

#[test]
fn search_timeline_counts_what_it_leaves_out() {
    let folder = folder();
    let stem = folder.path().join("timeline");
    let all = vec![vec![]; 90];
    let mut trials = trials(&all, |_| Some(1.0), |i| STATES[i % 4]);
    for (i, trial) in trials.iter_mut().enumerate() {
        trial.start_seconds = if i < 5 { f64::NAN } else { 7_200.0 + i as f64 };
        trial.end_seconds = if i % 4 == 3 { f64::NAN } else { 4.0 * 3_600.0 + i as f64 };
    }
    search_timeline(&search(&[], &trials), &stem).unwrap();
    let (text, _) = check(&stem);
    let parts = ["not drawn: 5 trials without a start, 21 trials beside too many others", "trials at once"];
    assert_contains(&text, &parts);
    assert_contains(&text, &["minutes since the first trial began", "complete (21)", "running (21)"]);
    let equal = [trials[6], trials[6]];
    search_timeline(&search(&[], &equal), &stem).unwrap();
    check(&stem);
}

fn front<'a>(trials: &'a [ParetoTrial], lower_is_better: [bool; 2]) -> ParetoFront<'a> {
    let objective = |(name, lower_is_better)| ParetoObjective { name, lower_is_better };
    let [first, second] = lower_is_better;
    let objectives = [("time (ms)", first), (LONG_NAME, second)].map(objective);
    ParetoFront { title: "Front", subtitle: HOSTILE_TEXT, objectives, trials }
}

#[test]
fn pareto_fronts_are_marked_in_all_directions() {
    let folder = folder();
    let stem = folder.path().join("front");
    for lower_is_better in [[true, true], [true, false], [false, true], [false, false]] {
        for count in [0, 1, 3, 50] {
            let value = |i: u32, step: f64| if i == 33 { 1e6 } else { (f64::from(i) * step).fract() };
            let trial = |i| ParetoTrial { number: i, values: [value(i, 0.755), value(i, 0.57)] };
            let trials: Vec<ParetoTrial> = (0..count).map(trial).collect();
            pareto_front(&front(&trials, lower_is_better), &stem).unwrap();
            let (text, size) = check(&stem);
            assert_eq!(size.0, 1600);
            let direction =
                if lower_is_better[0] { "time (ms) (lower is better)" } else { "time (ms) (higher is better)" };
            assert_contains(&text, &[direction]);
            assert_eq!(text.contains("no data"), count == 0);
            assert_eq!(text.contains("no other trial is better in both"), count > 0);
        }
    }
    let hostile = HOSTILE_NUMBERS.iter().flat_map(|x| HOSTILE_NUMBERS.map(|y| [*x, y]));
    let trials: Vec<ParetoTrial> = (0..).zip(hostile).map(|(number, values)| ParetoTrial { number, values }).collect();
    pareto_front(&front(&trials, [true, false]), &stem).unwrap();
    check(&stem);
}

fn shares<'a>(parameters: &'a [Importance<'a>]) -> ParameterImportance<'a> {
    ParameterImportance { title: "Importance", subtitle: "", objective: "valid RMSE", parameters }
}

#[test]
fn parameter_importance_shows_percent() {
    let folder = folder();
    let stem = folder.path().join("importance");
    let share = |feature, mean, spread| Importance { feature, mean, spread };
    let mut parameters = vec![share("learning_rate", 0.612, 0.05), share(LONG_NAME, 0.388, f64::NAN)];
    parameter_importance(&shares(&parameters), &stem).unwrap();
    let (text, size) = check(&stem);
    assert_eq!(size.0, 1400);
    assert_contains(&text, &["61.2%", "± 5.0%", "38.8%", "40%", "Share of the variation of valid RMSE"]);
    parameters.extend((0..30).map(|_| share(HOSTILE_TEXT, 0.001, 0.0)));
    parameter_importance(&shares(&parameters), &stem).unwrap();
    assert_contains(&check(&stem).0, &["and 12 more, each at most 0.1%"]);
    for value in HOSTILE_NUMBERS {
        parameter_importance(&shares(&[share(HOSTILE_TEXT, value, value)]), &stem).unwrap();
        check(&stem);
    }
    parameter_importance(&shares(&[]), &stem).unwrap();
    assert_contains(&check(&stem).0, &["no data"]);
}
