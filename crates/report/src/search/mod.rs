//! Pictures of a hyperparameter search: most take one [`Search`].

mod contour;
mod history;
mod parallel_coordinates;
mod param_axis;
mod pareto_front;
mod scale;
mod slices;
mod timeline;

use plotters::style::RGBColor;

use crate::render::text_width;
use crate::style::{self, LABEL, PALETTE, Swatch};
use crate::{Error, Result};

pub use contour::{SearchContour, search_contour};
pub use history::search_history;
pub use parallel_coordinates::parallel_coordinates;
pub use pareto_front::{ParetoFront, ParetoObjective, ParetoTrial, pareto_front};
pub use slices::search_slices;
pub use timeline::search_timeline;

/// All trials of a search for the hyperparameters with the best objective.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. study, data set and sampler; may be empty.
    pub subtitle: &'a str,
    /// What is optimized, with its unit, e.g. `valid RMSE`.
    pub objective: &'a str,
    /// Decides which trials are good.
    pub lower_is_better: bool,
    /// A name and a value of the objective to compare with, e.g. of the config without a search; in the history.
    pub reference: Option<(&'a str, f64)>,
    /// The number of the winner, which is marked; only a complete trial can win.
    pub best: Option<u32>,
    /// In the order of drawing, usually the most important first.
    pub params: &'a [SearchParam<'a>],
    /// In any order.
    pub trials: &'a [SearchTrial<'a>],
}

/// One hyperparameter.
#[derive(Clone, Copy)]
pub struct SearchParam<'a> {
    /// E.g. `training.optimizer.learning_rate`; drawn as its last parts, as many as tell it from the others.
    pub name: &'a str,
    /// How its axis is drawn.
    pub scale: ParamScale<'a>,
}

/// The axis of a hyperparameter.
#[derive(Clone, Copy)]
pub enum ParamScale<'a> {
    /// Numbers on an even scale.
    Linear,
    /// Numbers on a logarithmic scale; an even one if any is not above 0.
    Log,
    /// One of these names; the value of a trial is an index.
    Choices(&'a [String]),
}

/// One trial of a search.
#[derive(Clone, Copy)]
pub struct SearchTrial<'a> {
    /// Counted from 0 or 1, as the study does.
    pub number: u32,
    /// How it ended.
    pub state: SearchState,
    /// The objective; of a pruned trial the last value that it told.
    pub value: Option<f64>,
    /// One per hyperparameter: a number, or the index of a choice; `None` where another choice leaves it out.
    pub params: &'a [Option<f64>],
    /// On a clock that all trials share; NaN if unknown.
    pub start_seconds: f64,
    /// On the same clock; NaN if it is still running or unknown.
    pub end_seconds: f64,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchState {
    /// It told its objective.
    Complete,
    /// Stopped before its end, because it was worse than others.
    Pruned,
    /// It ended with an error.
    Failed,
    /// It has not ended.
    Running,
}

const WINNER: RGBColor = PALETTE[1];
const FAILED: RGBColor = PALETTE[6];

impl<'a> Search<'a> {
    /// Every trial has a value per hyperparameter, and every index has a name.
    fn check(&self, picture: &'static str) -> Result<()> {
        for trial in self.trials {
            let (number, wanted, got) = (trial.number, self.params.len(), trial.params.len());
            if wanted != got {
                let problem = format!("trial {number} has {got} values, but there are {wanted} parameters");
                return Err(Error::Shape { picture, problem });
            }
            for (param, value) in self.params.iter().zip(trial.params) {
                let (ParamScale::Choices(names), Some(index)) = (param.scale, drawable(*value)) else { continue };
                if index < 0.0 || index.fract() != 0.0 || index >= names.len() as f64 {
                    let (name, count) = (param.name, names.len());
                    let problem = format!("trial {number} has choice {index} of `{name}`, which has {count}");
                    return Err(Error::Shape { picture, problem });
                }
            }
        }
        Ok(())
    }

    /// The trials whose objective can be drawn, with it; by number.
    fn complete(&self) -> Vec<(&'a SearchTrial<'a>, f64)> {
        let is_complete = |trial: &&SearchTrial| trial.state == SearchState::Complete;
        let complete = self.trials.iter().filter(is_complete);
        let mut found: Vec<_> = complete.filter_map(|trial| Some((trial, drawable(trial.value)?))).collect();
        found.sort_by_key(|(trial, _)| trial.number);
        found
    }

    fn winner(&self) -> Option<(&'a SearchTrial<'a>, f64)> {
        self.complete().into_iter().find(|(trial, _)| Some(trial.number) == self.best)
    }

    /// `RMSE (lower is better)`
    fn objective_name(&self, room: f64) -> String {
        with_direction(self.objective, self.lower_is_better, room)
    }

    fn winner_entry(&self) -> Option<(Swatch, String)> {
        let (trial, value) = self.winner()?;
        Some((Swatch::Diamond(WINNER), format!("best: trial {} ({})", trial.number, style::significant(value))))
    }

    /// The names of the hyperparameters, each with as many of its last parts as tell it from the others.
    fn short_names(&self) -> Vec<String> {
        let names: Vec<&str> = self.params.iter().map(|param| param.name).collect();
        names.iter().map(|name| short_name(name, &names)).collect()
    }
}

/// `RMSE (lower is better)`; where that is wider than `room`, the name is shortened.
fn with_direction(objective: &str, lower_is_better: bool, room: f64) -> String {
    let direction = format!(" ({} is better)", if lower_is_better { "lower" } else { "higher" });
    let room = room - text_width(&direction, LABEL.size, LABEL.bold);
    style::shorten(objective, LABEL, room) + &direction
}

fn drawable(value: Option<f64>) -> Option<f64> {
    value.filter(|value| style::is_drawable(*value))
}

fn short_name(name: &str, all: &[&str]) -> String {
    let ends: Vec<usize> = name.rmatch_indices('.').map(|(at, _)| at + 1).filter(|start| *start < name.len()).collect();
    let is_unique = |start: &usize| {
        let (short, dotted) = (&name[*start..], &name[start - 1..]);
        all.iter().filter(|other| **other == short || other.ends_with(dotted)).count() == 1
    };
    ends.into_iter().find(is_unique).map_or(name, |start| &name[start..]).to_string()
}

/// The colour of an objective, from 0 for the worst to 1 for the best; few enough colours for a page to name each.
fn objective_color(goodness: f64) -> RGBColor {
    style::yellow_to_blue(0.2 + 0.8 * (goodness * 24.0).round() / 24.0)
}

/// From the first trial to the last.
fn time_color(share: f64) -> RGBColor {
    style::blue(0.32 + 0.68 * (share * 24.0).round() / 24.0)
}

/// Smaller where they are many.
fn dot_radius(count: usize) -> f64 {
    match count {
        0..=80 => 8.0,
        81..=300 => 6.5,
        _ => 5.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_short_as_they_can_be() {
        let all =
            ["model.width", "optimizer.adam.lr", "optimizer.sgd.lr", "seed", "data.", "width.x", "a.seed", "e.a.seed"];
        let short = all.map(|name| short_name(name, &all));
        assert_eq!(short, ["width", "adam.lr", "sgd.lr", "seed", "data.", "x", "a.seed", "e.a.seed"]);
    }
}
