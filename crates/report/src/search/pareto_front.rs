//! Two objectives against each other, and the trials that no other beats in both.

use std::path::Path;

use plotters::style::text_anchor::HPos;
use plotters::style::{RGBColor, WHITE};

use crate::Result;
use crate::axes::{Axis, Frame};
use crate::canvas::{Canvas, Point, TextStyle};
use crate::render::{save, text_width};
use crate::style::{self, BASELINE, INK, MARGIN, PALETTE, Swatch, TICK};

use super::scale::Scale;
use super::{dot_radius, with_direction};

/// The trials of a search for two objectives at once.
pub struct ParetoFront<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. study and data set; may be empty.
    pub subtitle: &'a str,
    /// Along the bottom and along the left.
    pub objectives: [ParetoObjective<'a>; 2],
    /// The complete trials, in any order; one whose values are not both finite is left out.
    pub trials: &'a [ParetoTrial],
}

/// One of the two objectives.
#[derive(Clone, Copy)]
pub struct ParetoObjective<'a> {
    /// With its unit, e.g. `prediction time (ms)`.
    pub name: &'a str,
    /// Decides which trials are good.
    pub lower_is_better: bool,
}

/// One complete trial.
#[derive(Clone, Copy)]
pub struct ParetoTrial {
    /// As the study counts.
    pub number: u32,
    /// In the order of the objectives.
    pub values: [f64; 2],
}

const WIDTH: f64 = 1600.0;
const HEIGHT: f64 = 860.0;
const FRONT: RGBColor = PALETTE[1];
const NUMBER: TextStyle = TextStyle { color: INK, size: 22.0, ..TICK };

/// Writes a dot per trial; the front is connected by steps, beyond which no trial came, and marked with trial numbers.
pub fn pareto_front(spec: &ParetoFront, stem: &Path) -> Result<()> {
    let is_drawable = |trial: &&ParetoTrial| trial.values.into_iter().all(style::is_drawable);
    let trials: Vec<&ParetoTrial> = spec.trials.iter().filter(is_drawable).collect();
    let front = front(spec, &trials);
    let scales =
        [0, 1].map(|i| Scale::of(trials.iter().map(|trial| trial.values[i]), spec.objectives[i].lower_is_better));
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &legend(trials.len() - front.len(), &front, &scales)) + 24.0;
    let [x, y] = [scales[0].axis(8, 0.04), scales[1].axis(6, 0.04)];
    let left = MARGIN + 40.0 + y.tick_width() + 22.0;
    let frame = Frame { left, top, width: WIDTH - MARGIN - left, height: HEIGHT, x, y };
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;

    let name = |i: usize, room| with_direction(spec.objectives[i].name, spec.objectives[i].lower_is_better, room);
    frame.draw_grid(&mut canvas);
    frame.draw_x_labels(&mut canvas, &name(0, frame.width));
    frame.draw_y_name(&mut canvas, &name(1, HEIGHT));
    let radius = dot_radius(trials.len());
    for trial in trials.iter().filter(|trial| !front.iter().any(|other| std::ptr::eq(*other, **trial))) {
        let [x, y] = trial.values;
        if is_beyond(&scales, trial) {
            canvas.ring(frame.at(x, y), radius, BASELINE);
        } else {
            canvas.dot(frame.at(x, y), radius, PALETTE[0], 0.6);
        }
    }
    draw_steps(&mut canvas, spec, &frame, &front);
    draw_front(&mut canvas, spec, &frame, &front);
    if trials.is_empty() {
        style::draw_no_data(&mut canvas, (frame.left + frame.width / 2.0, frame.top + HEIGHT / 2.0));
    }
    save(&canvas, stem)
}

fn is_beyond(scales: &[Scale; 2], trial: &ParetoTrial) -> bool {
    scales.iter().zip(trial.values).any(|(scale, value)| scale.is_beyond(value))
}

/// The trials that no other beats in both, from the best by the first objective on; of equal ones the first.
fn front<'a>(spec: &ParetoFront, trials: &[&'a ParetoTrial]) -> Vec<&'a ParetoTrial> {
    // Negated where higher is better: then lower is better in both.
    let cost = |trial: &ParetoTrial| {
        [0, 1].map(|i| if spec.objectives[i].lower_is_better { trial.values[i] } else { -trial.values[i] })
    };
    let mut sorted = trials.to_vec();
    sorted.sort_by(|a, b| {
        let ([a0, a1], [b0, b1]) = (cost(a), cost(b));
        a0.total_cmp(&b0).then(a1.total_cmp(&b1)).then(a.number.cmp(&b.number))
    });
    let mut lowest = f64::INFINITY;
    sorted.retain(|trial| {
        let is_lower = cost(trial)[1] < lowest;
        lowest = lowest.min(cost(trial)[1]);
        is_lower
    });
    sorted
}

fn legend(others: usize, front: &[&ParetoTrial], scales: &[Scale; 2]) -> Vec<(Swatch, String)> {
    let mut entries = Vec::new();
    if !front.is_empty() {
        entries.push((Swatch::Dot(FRONT), format!("no other trial is better in both ({})", front.len())));
    }
    if others > 0 {
        entries.push((Swatch::Dot(PALETTE[0]), format!("other complete trial ({})", style::grouped(others as f64, 0))));
    }
    if scales.iter().any(|scale| scale.beyond_entry().is_some()) {
        entries.push((Swatch::Ring(BASELINE), "far beyond the axes".to_string()));
    }
    entries
}

/// What the front leaves behind: from one of its trials to the next over the corner that is worse in both.
fn draw_steps(canvas: &mut Canvas, spec: &ParetoFront, frame: &Frame, front: &[&ParetoTrial]) {
    let worse = |i: usize, a: &ParetoTrial, b: &ParetoTrial| {
        let (a, b) = (a.values[i], b.values[i]);
        if spec.objectives[i].lower_is_better { a.max(b) } else { a.min(b) }
    };
    let mut points: Vec<Point> = Vec::new();
    for pair in front.windows(2) {
        points.push(frame.at(pair[0].values[0], pair[0].values[1]));
        points.push(frame.at(worse(0, pair[0], pair[1]), worse(1, pair[0], pair[1])));
    }
    points.extend(front.last().map(|trial| frame.at(trial.values[0], trial.values[1])));
    canvas.line(&points, 3.5, FRONT);
    // On to the edges: what is worse than an end of the front is beaten too.
    let bad = |i: usize, axis: &Axis| if spec.objectives[i].lower_is_better { axis.high } else { axis.low };
    if let (Some(first), Some(last)) = (front.first(), front.last()) {
        canvas.dashed(
            frame.at(first.values[0], first.values[1]),
            frame.at(first.values[0], bad(1, &frame.y)),
            2.5,
            FRONT,
        );
        canvas.dashed(frame.at(last.values[0], last.values[1]), frame.at(bad(0, &frame.x), last.values[1]), 2.5, FRONT);
    }
}

/// Each number on the good side of its dot, where no trial can be; none where it would run into another.
fn draw_front(canvas: &mut Canvas, spec: &ParetoFront, frame: &Frame, front: &[&ParetoTrial]) {
    let mut taken: Vec<[f64; 4]> = Vec::new();
    for trial in front {
        let (x, y) = frame.at(trial.values[0], trial.values[1]);
        canvas.dot((x, y), 12.0, WHITE, 1.0);
        canvas.dot((x, y), 10.0, FRONT, 1.0);
        let text = trial.number.to_string();
        let width = text_width(&text, NUMBER.size, NUMBER.bold);
        let left = if spec.objectives[0].lower_is_better { x - 10.0 - width } else { x + 10.0 };
        let baseline = if spec.objectives[1].lower_is_better { y + 28.0 } else { y - 12.0 };
        let place = [left - 4.0, baseline - 20.0, left + width + 4.0, baseline + 4.0];
        let is_free = |other: &[f64; 4]| {
            other[2] <= place[0] || other[0] >= place[2] || other[3] <= place[1] || other[1] >= place[3]
        };
        if left > frame.left && left + width < frame.right() && taken.iter().all(is_free) {
            canvas.text((left, baseline), &text, TextStyle { anchor: HPos::Left, ..NUMBER });
            taken.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_no_trial_beats() {
        let values = [[1.0, 9.0], [2.0, 5.0], [2.0, 4.0], [3.0, 4.0], [5.0, 4.0], [9.0, 1.0], [9.0, 0.5], [1.0, 9.0]];
        let trials: Vec<ParetoTrial> =
            (0..).zip(values).map(|(number, values)| ParetoTrial { number, values }).collect();
        let numbers = |[first, second]: [bool; 2]| -> Vec<u32> {
            let objectives = [first, second].map(|lower_is_better| ParetoObjective { name: "", lower_is_better });
            let spec = ParetoFront { title: "", subtitle: "", objectives, trials: &trials };
            front(&spec, &trials.iter().collect::<Vec<_>>()).iter().map(|trial| trial.number).collect()
        };
        assert_eq!(numbers([true, true]), [0, 2, 6]);
        assert_eq!(numbers([false, true]), [6]);
        assert_eq!(numbers([false, false]), [5, 4, 1, 0]);
    }
}
