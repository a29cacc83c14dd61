//! The objective over two hyperparameters.

use std::path::Path;

use plotters::style::WHITE;
use plotters::style::text_anchor::HPos;

use crate::Result;
use crate::axes::{Axis, Frame};
use crate::canvas::{Canvas, TextStyle};
use crate::color_bar;
use crate::render::save;
use crate::style::{self, BAND, INK, LABEL, MARGIN, Swatch};

use super::param_axis::{ParamAxis, RATIOS};
use super::scale::Scale;
use super::{Search, SearchTrial, WINNER, dot_radius, drawable, objective_color};

/// Two hyperparameters of a search, usually the most important ones.
#[derive(Clone, Copy)]
pub struct SearchContour<'a> {
    /// The search; its title and subtitle are those of the picture.
    pub search: Search<'a>,
    /// The index of the hyperparameter along the bottom.
    pub x: usize,
    /// The index of another one, along the left.
    pub y: usize,
}

const WIDTH: f64 = 1600.0;
const HEIGHT: f64 = 860.0;
/// Cells along an axis of numbers: those of a row that are alike become one shape, so the bottom can have more.
const CELLS: [usize; 2] = [280, 140];
/// A colour per level, as in a map.
const LEVELS: f64 = 12.0;
/// How well a cell is seen by its distance to the nearest trial, in widths of the kernel; not at all farther off.
const OPACITIES: [(f64, f64); 4] = [(1.2, 1.0), (1.6, 0.7), (2.0, 0.45), (2.4, 0.22)];

/// Writes a map of the objective with the trials on it.
///
/// Each cell has the mean of the complete trials, weighted with a Gaussian of their distance on the axes as drawn (Nadaraya,
/// 1964; Watson, 1964), whose width falls with the number of trials. Choices are bands that do not see each other. Far from
/// all trials the map is faint, then empty: nothing is known there.
pub fn search_contour(spec: &SearchContour, stem: &Path) -> Result<()> {
    let search = &spec.search;
    search.check("search_contour")?;
    let trials = search.complete();
    let scale = Scale::of(trials.iter().map(|(_, value)| *value), search.lower_is_better);
    let objective = Axis::linear(scale.low, scale.high, 8);
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, search.title, search.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &legend(search, &scale)) + 24.0;
    canvas.height = (top + HEIGHT + 84.0 + MARGIN / 2.0).ceil() as u32;
    let has_axes = spec.x.max(spec.y) < search.params.len() && spec.x != spec.y;
    if !has_axes || trials.is_empty() {
        style::draw_no_data(&mut canvas, (WIDTH / 2.0, top + 100.0));
        canvas.height = (top + 200.0).ceil() as u32;
        return save(&canvas, stem);
    }
    let mut axes = [ParamAxis::new(search, spec.x, 8), ParamAxis::new(search, spec.y, 8)];
    axes[1].ratio = RATIOS[1];
    let y = axes[1].standing(HEIGHT, 220.0);
    let left = MARGIN + 40.0 + y.tick_width() + 22.0;
    let bar = WIDTH - MARGIN - 46.0 - objective.tick_width().max(40.0) - 12.0 - color_bar::WIDTH;
    let width = bar - 36.0 - left;
    let frame = Frame { left, top, width, height: HEIGHT, x: axes[0].lying(width), y };
    canvas.rect(frame.left, frame.top, frame.width, frame.height, BAND);
    draw_map(&mut canvas, spec, &frame, &axes, &scale);
    draw_trials(&mut canvas, spec, &frame, &axes, trials.len());
    let names = search.short_names();
    draw_labels(&mut canvas, &frame, [&names[spec.x], &names[spec.y]]);
    draw_bar(&mut canvas, search, (bar, top), &objective, &scale);
    save(&canvas, stem)
}

fn legend(search: &Search, scale: &Scale) -> Vec<(Swatch, String)> {
    let count = search.complete().len();
    let mut entries = vec![(Swatch::Dot(INK), format!("complete trial ({})", style::grouped(count as f64, 0)))];
    entries.extend(search.winner_entry());
    let beyond = scale.beyond_entry().map(|(_, text)| text.replace("the axis", "the colours"));
    entries.extend(beyond.map(|text| (Swatch::Area(objective_color(0.0), 1.0), text)));
    entries
}

/// A stretch of an axis, where one value of the map holds.
struct Cell {
    start: f64,
    end: f64,
    class: Class,
}

/// What has to be equal for a trial to count in a cell.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    Absent,
    Number,
    Choice(usize),
}

fn class(axis: &ParamAxis, value: Option<f64>) -> Class {
    match drawable(value) {
        None => Class::Absent,
        Some(_) if axis.choices.is_empty() => Class::Number,
        Some(index) => Class::Choice(index as usize),
    }
}

fn cells(axis: &ParamAxis, numbers: usize) -> Vec<Cell> {
    let absent = axis.absent;
    let (count, gap) = if axis.choices.is_empty() { (numbers, 0.0) } else { (axis.choices.len(), 0.003) };
    let size = (1.0 - absent) / count as f64;
    let cell = |i: usize| Cell {
        start: absent + size * i as f64 + gap,
        end: absent + size * (i + 1) as f64 - gap,
        class: if axis.choices.is_empty() { Class::Number } else { Class::Choice(i) },
    };
    let slot = (absent > 0.0).then_some(Cell { start: 0.0, end: absent * 0.8, class: Class::Absent });
    slot.into_iter().chain((0..count).map(cell)).collect()
}

/// A trial as the map sees it: where it stands, and its objective.
struct Site {
    classes: [Class; 2],
    at: [f64; 2],
    goodness: f64,
}

fn draw_map(canvas: &mut Canvas, spec: &SearchContour, frame: &Frame, axes: &[ParamAxis; 2], scale: &Scale) {
    let site = |(trial, value): (&SearchTrial, f64)| {
        let values = [trial.params[spec.x], trial.params[spec.y]];
        let of = |i: usize| (class(&axes[i], values[i]), axes[i].share(values[i]));
        let [(class_x, x), (class_y, y)] = [of(0), of(1)];
        Site { classes: [class_x, class_y], at: [x, y], goodness: scale.goodness(value) }
    };
    let sites: Vec<Site> = spec.search.complete().into_iter().map(site).collect();
    let width = (0.22 * (sites.len() as f64).powf(-1.0 / 6.0)).clamp(0.05, 0.16);
    let columns = cells(&axes[0], CELLS[0]);
    for row in cells(&axes[1], CELLS[1]) {
        let colors: Vec<Option<(i64, f64)>> = columns.iter().map(|column| level(&sites, column, &row, width)).collect();
        let (top, bottom) = (frame.bottom() - row.end * frame.height, frame.bottom() - row.start * frame.height);
        // Equal neighbours become one shape; choices keep their gaps.
        let mut start = 0;
        for run in colors.chunk_by(|a, b| a == b && axes[0].choices.is_empty()) {
            let (first, last) = (&columns[start], &columns[start + run.len() - 1]);
            start += run.len();
            let Some((level, opacity)) = run[0] else { continue };
            let (left, right) = (frame.left + first.start * frame.width, frame.left + last.end * frame.width);
            let color = objective_color(level as f64 / LEVELS);
            canvas.shade((left, top), (right - left, bottom - top), color, opacity);
        }
    }
}

/// The level of a cell, 0 to 12 from worst to best, and its opacity; `None` where nothing is known.
fn level(sites: &[Site], column: &Cell, row: &Cell, width: f64) -> Option<(i64, f64)> {
    let center = [column, row].map(|cell| (cell.start + cell.end) / 2.0);
    let (mut sum, mut weights, mut nearest) = (0.0, 0.0, f64::INFINITY);
    for site in sites.iter().filter(|site| site.classes == [column.class, row.class]) {
        let away = |i: usize| match site.classes[i] {
            Class::Number => (site.at[i] - center[i]) / width,
            _ => 0.0,
        };
        let squared = away(0).powi(2) + away(1).powi(2);
        nearest = f64::min(nearest, squared);
        let weight = (-0.5 * squared).exp();
        (sum, weights) = (sum + weight * site.goodness, weights + weight);
    }
    let (_, opacity) = OPACITIES.into_iter().find(|(away, _)| nearest <= away * away)?;
    Some(((sum / weights * LEVELS).round() as i64, opacity))
}

fn draw_trials(canvas: &mut Canvas, spec: &SearchContour, frame: &Frame, axes: &[ParamAxis; 2], count: usize) {
    let at = |trial: &SearchTrial| {
        let share = |i: usize, param: usize| axes[i].spread_share(trial.params[param], trial.number);
        frame.at(share(0, spec.x), share(1, spec.y))
    };
    let radius = dot_radius(count) - 2.5;
    for (trial, _) in spec.search.complete() {
        canvas.dot(at(trial), radius + 2.0, WHITE, 1.0);
        canvas.dot(at(trial), radius, INK, 1.0);
    }
    if let Some((trial, _)) = spec.search.winner() {
        canvas.diamond(at(trial), 16.0, WINNER);
    }
}

fn draw_labels(canvas: &mut Canvas, frame: &Frame, [x, y]: [&str; 2]) {
    frame.draw_x_labels(canvas, x);
    frame.draw_y_ticks(canvas);
    frame.draw_y_name(canvas, y);
}

/// The meaning of the colours, with the objective's name at its right.
fn draw_bar(canvas: &mut Canvas, search: &Search, (left, top): (f64, f64), objective: &Axis, scale: &Scale) {
    let ticks: Vec<(f64, String)> =
        objective.ticks.iter().map(|(v, label)| (objective.share(*v), label.clone())).collect();
    let color = |share: f64| {
        let value = objective.low + share * (objective.high - objective.low);
        objective_color((scale.goodness(value) * LEVELS).round() / LEVELS)
    };
    color_bar::draw(canvas, (left, top), HEIGHT, &ticks, color);
    let name = search.objective_name(HEIGHT);
    let style = TextStyle { anchor: HPos::Center, upward: true, ..LABEL };
    canvas.text((WIDTH - MARGIN + 4.0, top + HEIGHT / 2.0), &name, style);
}
