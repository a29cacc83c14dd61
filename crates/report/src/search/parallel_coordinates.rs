//! Every trial as a line through one axis per hyperparameter.

use std::path::Path;

use plotters::style::WHITE;
use plotters::style::text_anchor::HPos;

use crate::Result;
use crate::axes::Axis;
use crate::canvas::{Canvas, Point, TextStyle};
use crate::color_bar;
use crate::render::{save, text_width};
use crate::style::{self, BASELINE, INK, LABEL, MARGIN, Swatch, TICK};

use super::param_axis::ParamAxis;
use super::scale::Scale;
use super::{Search, SearchTrial, WINNER, objective_color};

const HEIGHT: f64 = 700.0;
/// More axes make a picture that nobody can read.
const MAX_AXES: usize = 12;
const NAME: TextStyle = TextStyle { bold: true, color: INK, anchor: HPos::Center, ..TICK };
const SMALL: TextStyle = TextStyle { size: 22.0, color: INK, anchor: HPos::Right, ..TICK };
/// The height of a row of names.
const NAME_ROW: f64 = 36.0;

/// The objectives of all trials. A search tries many good trials and few bad ones: by their rank all colours are used.
struct Ranks {
    /// Negated where higher is better; rising.
    costs: Vec<f64>,
    lower_is_better: bool,
}

impl Ranks {
    fn of(trials: &[(&SearchTrial, f64)], lower_is_better: bool) -> Ranks {
        let mut ranks = Ranks { costs: Vec::new(), lower_is_better };
        ranks.costs = trials.iter().map(|(_, value)| ranks.cost(*value)).collect();
        ranks.costs.sort_by(f64::total_cmp);
        ranks
    }

    fn cost(&self, value: f64) -> f64 {
        if self.lower_is_better { value } else { -value }
    }

    /// The share of the others that are worse, or as bad.
    fn goodness(&self, value: f64) -> f64 {
        let better = self.costs.partition_point(|cost| *cost < self.cost(value));
        1.0 - (better as f64 / self.costs.len().saturating_sub(1).max(1) as f64).min(1.0)
    }
}

/// Where the axes stand: one for each hyperparameter, and the objective's after them.
struct Axes<'a> {
    params: Vec<ParamAxis<'a>>,
    /// In pixels, one more than hyperparameters.
    x: Vec<f64>,
    top: f64,
}

impl Axes<'_> {
    fn y(&self, share: f64) -> f64 {
        self.top + HEIGHT * (1.0 - share)
    }

    fn gap(&self) -> f64 {
        self.x[1] - self.x[0]
    }
}

/// Writes a line per complete trial, the better the stronger its colour and the later drawn; of more than 12
/// hyperparameters the first 12. A trial without a hyperparameter passes its axis at `–`.
pub fn parallel_coordinates(spec: &Search, stem: &Path) -> Result<()> {
    spec.check("parallel_coordinates")?;
    let trials = spec.complete();
    let scale = Scale::of(trials.iter().map(|(_, value)| *value), spec.lower_is_better);
    let objective = scale.axis(8, 0.0);
    let count = spec.params.len().min(MAX_AXES);
    let width = (170.0 * (count + 1) as f64).clamp(1600.0, 2200.0);
    let mut canvas = Canvas::new(width, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &legend(spec, &scale, trials.len())) + 24.0;

    if count == 0 || trials.is_empty() {
        style::draw_no_data(&mut canvas, (width / 2.0, top + 100.0));
        canvas.height = (top + 200.0).ceil() as u32;
        return save(&canvas, stem);
    }
    let params: Vec<ParamAxis> = (0..count).map(|param| ParamAxis::new(spec, param, 6)).collect();
    // At the left the labels of the first axis, at the right the bar of the objective and its labels.
    let left = MARGIN + 130.0;
    let bar = width - MARGIN - objective.tick_width().max(60.0) - 12.0 - color_bar::WIDTH;
    let x: Vec<f64> = (0..=count).map(|i| left + (bar - left) * i as f64 / count as f64).collect();
    let mut axes = Axes { params, x, top };
    axes.top += draw_names(&mut canvas, spec, &axes, top);
    canvas.height = (axes.top + HEIGHT + MARGIN).ceil() as u32;

    let ranks = Ranks::of(&trials, spec.lower_is_better);
    draw_trials(&mut canvas, spec, &axes, &objective, &ranks);
    draw_axes(&mut canvas, &axes);
    let ticks: Vec<(f64, String)> =
        objective.ticks.iter().map(|(v, label)| (objective.share(*v), label.clone())).collect();
    let value_of = |share: f64| objective.low + share * (objective.high - objective.low);
    let color = |share: f64| objective_color(ranks.goodness(value_of(share)));
    color_bar::draw(&mut canvas, (bar, axes.top), HEIGHT, &ticks, color);
    if spec.params.len() > count {
        let more = spec.params.len() - count;
        style::draw_footer(&mut canvas, &format!("and {more} more hyperparameters, not drawn"));
    }
    save(&canvas, stem)
}

fn legend(spec: &Search, scale: &Scale, trials: usize) -> Vec<(Swatch, String)> {
    let direction = if spec.lower_is_better { "lower" } else { "higher" };
    let count = style::grouped(trials as f64, 0);
    let objective = style::shorten(spec.objective, LABEL, 420.0);
    let text = format!("complete trials ({count}), the stronger the better ({direction} {objective})");
    let mut entries = vec![(Swatch::Line(objective_color(0.8)), text)];
    if let Some((_, text)) = spec.winner_entry() {
        entries.push((Swatch::Line(WINNER), text));
    }
    entries.extend(scale.beyond_entry());
    entries
}

/// The names above their axes, in two rows where one is wider than its place; returns their height.
fn draw_names(canvas: &mut Canvas, spec: &Search, axes: &Axes, top: f64) -> f64 {
    let count = axes.x.len();
    let mut names = spec.short_names();
    names.truncate(count - 1);
    names.push(spec.objective.to_string());
    let is_wide = |name: &String| text_width(name, NAME.size, NAME.bold) + 20.0 > axes.gap();
    let rows = if names.iter().any(is_wide) { 2 } else { 1 };
    let half_place = axes.gap() * rows as f64 / 2.0 - 10.0;
    for (i, (name, &x)) in names.iter().zip(&axes.x).enumerate() {
        // The last but one row is the upper: the objective's name stands low, beside its axis.
        let row = (count - 1 - i) % rows;
        let (start, end) = ((x - half_place).max(MARGIN), (x + half_place).min(f64::from(canvas.width) - MARGIN));
        let name = style::shorten_middle(name, NAME, end - start);
        let half = text_width(&name, NAME.size, NAME.bold) / 2.0;
        let middle = x.max(start + half).min(end - half);
        let y = top + NAME_ROW * (rows - row) as f64 - 12.0;
        canvas.text((middle, y), &name, NAME);
        if row > 0 {
            canvas.line(&[(x, y + 10.0), (x, top + NAME_ROW * rows as f64 + 10.0)], 1.5, BASELINE);
        }
    }
    NAME_ROW * rows as f64 + 14.0
}

/// The worst first, so that the good ones lie on top.
fn draw_trials(canvas: &mut Canvas, spec: &Search, axes: &Axes, objective: &Axis, ranks: &Ranks) {
    let mut trials = spec.complete();
    trials.sort_by(|a, b| ranks.goodness(a.1).total_cmp(&ranks.goodness(b.1)));
    let is_winner = |number: u32| Some(number) == spec.best;
    let (others, winner): (Vec<_>, Vec<_>) = trials.into_iter().partition(|(trial, _)| !is_winner(trial.number));
    let thin = if others.len() > 200 { 0.6 } else { 1.0 };
    for (trial, value) in others.iter().chain(&winner) {
        let shares = axes.params.iter().zip(trial.params).map(|(axis, value)| axis.spread_share(*value, trial.number));
        let shares = shares.chain([objective.share(*value)]);
        let points: Vec<Point> = axes.x.iter().zip(shares).map(|(&x, share)| (x, axes.y(share))).collect();
        let goodness = ranks.goodness(*value);
        if is_winner(trial.number) {
            canvas.line(&points, 9.0, WHITE);
            canvas.line(&points, 5.0, WINNER);
        } else {
            canvas.line(&points, thin * (2.0 + 2.0 * goodness), objective_color(goodness));
        }
    }
}

fn draw_axes(canvas: &mut Canvas, axes: &Axes) {
    for (i, (axis, &x)) in axes.params.iter().zip(&axes.x).enumerate() {
        let room = if i == 0 { 112.0 } else { axes.gap() - 34.0 };
        let bottom = axes.y(if axis.absent > 0.0 { axis.absent * 0.8 } else { 0.0 });
        canvas.line(&[(x, axes.top), (x, bottom)], 2.5, INK);
        for (share, label) in axis.standing(HEIGHT, room.min(190.0)).ticks {
            let y = axes.y(share);
            let width = text_width(&label, SMALL.size, SMALL.bold);
            canvas.shade((x - 16.0 - width, y - 13.0), (width + 8.0, 26.0), WHITE, 0.8);
            canvas.line(&[(x - 7.0, y), (x + 7.0, y)], 2.5, INK);
            canvas.text((x - 12.0, y + 8.0), &label, SMALL);
        }
    }
}
