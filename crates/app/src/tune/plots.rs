//! Pictures of a search.

use anyhow::Result;
use report::{
    Importance, ParamScale, ParameterImportance, ParetoFront, ParetoObjective, ParetoTrial, Search, SearchContour,
    SearchParam, SearchState, SearchTrial,
};
use tuning::{Direction, Distribution, Param, Trial, TrialState};

use crate::session::Session;
use crate::tune::objective::Objective;
use crate::tune::outputs::{Finished, plain, seconds};

/// Draws everything that the trials are enough for.
pub fn draw(finished: &Finished, importance: &[(String, f64)], session: &Session) -> Result<()> {
    let folder = session.folder("plots")?;
    let params = by_importance(finished.space.params(), importance);
    let choices: Vec<Vec<String>> = params.iter().map(|param| choices_of(param)).collect();
    let axes: Vec<SearchParam> = params.iter().zip(&choices).map(|(param, choices)| axis(param, choices)).collect();
    let values: Vec<Vec<Option<f64>>> = finished.trials.iter().map(|trial| values_of(trial, &params)).collect();
    let begin = finished.trials.iter().filter_map(|trial| trial.started).min();
    let shown = finished.trials.iter().zip(&values).filter(|(trial, _)| is_shown(trial));
    let trials: Vec<SearchTrial> = shown
        .map(|(trial, values)| {
            let since = |time: Option<_>| begin.zip(time).map_or(f64::NAN, |(begin, time)| seconds(begin, time));
            SearchTrial {
                number: trial.number,
                state: state_of(trial),
                value: value_of(trial),
                params: values,
                start_seconds: since(trial.started),
                end_seconds: since(trial.ended),
            }
        })
        .collect();
    if trials.is_empty() {
        return Ok(());
    }
    let first = &finished.objectives[0];
    let subtitle = format!("{} · {} trials", session.run.name(), trials.len());
    let search = Search {
        title: "",
        subtitle: &subtitle,
        objective: &first.name,
        lower_is_better: first.direction == Direction::Minimize,
        reference: None,
        best: finished.best().map(|trial| trial.number),
        params: &axes,
        trials: &trials,
    };
    report::search_history(&Search { title: "Search history", ..search }, &folder.join("search_history"))?;
    report::search_timeline(&Search { title: "Trials over time", ..search }, &folder.join("search_timeline"))?;
    if finished.best().is_none() {
        return Ok(());
    }
    let parallel = folder.join("parallel_coordinates");
    report::parallel_coordinates(&Search { title: "Parallel coordinates", ..search }, &parallel)?;
    report::search_slices(&Search { title: "Objective by parameter", ..search }, &folder.join("search_slices"))?;
    if params.len() > 1 {
        let search = Search { title: "The two most important parameters", ..search };
        report::search_contour(&SearchContour { search, x: 0, y: 1 }, &folder.join("search_contour"))?;
    }
    if let [a, b] = finished.objectives {
        draw_front(finished, [a, b], &subtitle, session)?;
    }
    draw_importance(importance, &subtitle, first, session)
}

fn draw_front(finished: &Finished, [a, b]: [&Objective; 2], subtitle: &str, session: &Session) -> Result<()> {
    let objective = |o: &'_ Objective| (o.name.clone(), o.direction == Direction::Minimize);
    let [(x, x_low), (y, y_low)] = [objective(a), objective(b)];
    let objectives =
        [ParetoObjective { name: &x, lower_is_better: x_low }, ParetoObjective { name: &y, lower_is_better: y_low }];
    let complete = finished.trials.iter().filter(|trial| trial.state == TrialState::Complete);
    let point = |trial: &Trial| {
        Some(ParetoTrial { number: trial.number, values: [*trial.values.first()?, *trial.values.get(1)?] })
    };
    let trials: Vec<ParetoTrial> = complete.filter_map(point).collect();
    let spec = ParetoFront { title: "Pareto front", subtitle, objectives, trials: &trials };
    Ok(report::pareto_front(&spec, &session.folder("plots")?.join("pareto_front"))?)
}

/// Parameters, the most important first.
fn by_importance<'a>(params: &'a [Param], importance: &[(String, f64)]) -> Vec<&'a Param> {
    let rank = |param: &&Param| importance.iter().position(|(name, _)| *name == param.name).unwrap_or(usize::MAX);
    let mut sorted: Vec<&Param> = params.iter().collect();
    sorted.sort_by_key(rank);
    sorted
}

fn choices_of(param: &Param) -> Vec<String> {
    match &param.distribution {
        Distribution::Categorical { choices } => choices.iter().map(plain).collect(),
        _ => Vec::new(),
    }
}

fn axis<'a>(param: &'a Param, choices: &'a [String]) -> SearchParam<'a> {
    let scale = match &param.distribution {
        Distribution::Float { log: true, .. } | Distribution::Int { log: true, .. } => ParamScale::Log,
        Distribution::Float { .. } | Distribution::Int { .. } => ParamScale::Linear,
        Distribution::Categorical { .. } => ParamScale::Choices(choices),
    };
    SearchParam { name: &param.name, scale }
}

fn values_of(trial: &Trial, params: &[&Param]) -> Vec<Option<f64>> {
    params.iter().map(|param| trial.params.get(&param.name).copied()).collect()
}

/// A trial that was queued again is shown as the one that came of it.
fn is_shown(trial: &Trial) -> bool {
    match trial.state {
        TrialState::Waiting => false,
        TrialState::Fail => trial.failure().is_some(),
        TrialState::Running | TrialState::Complete | TrialState::Pruned => true,
    }
}

fn state_of(trial: &Trial) -> SearchState {
    match trial.state {
        TrialState::Complete => SearchState::Complete,
        TrialState::Pruned => SearchState::Pruned,
        TrialState::Fail => SearchState::Failed,
        TrialState::Running | TrialState::Waiting => SearchState::Running,
    }
}

/// The objective, or where a pruned trial stood.
fn value_of(trial: &Trial) -> Option<f64> {
    let last = || trial.intermediate.last_key_value().map(|(_, value)| *value);
    if trial.state == TrialState::Pruned { last() } else { trial.values.first().copied() }
}

fn draw_importance(
    importance: &[(String, f64)],
    subtitle: &str,
    objective: &Objective,
    session: &Session,
) -> Result<()> {
    if importance.is_empty() {
        return Ok(());
    }
    let parameters: Vec<Importance> =
        importance.iter().map(|(name, share)| Importance { feature: name, mean: *share, spread: f64::NAN }).collect();
    let subtitle = format!("{subtitle}, PED-ANOVA");
    let title = "Importance of the parameters";
    let spec = ParameterImportance { title, subtitle: &subtitle, objective: &objective.name, parameters: &parameters };
    Ok(report::parameter_importance(&spec, &session.folder("plots")?.join("parameter_importance"))?)
}
