//! How the objective went from trial to trial.

use std::path::Path;

use plotters::style::WHITE;
use plotters::style::text_anchor::HPos;

use crate::Result;
use crate::axes::{Axis, Frame, bounds};
use crate::canvas::{Canvas, Point, TextStyle};
use crate::render::{save, text_width};
use crate::style::{self, BASELINE, INK, LABEL, MARGIN, MUTED, PALETTE, Swatch};

use super::scale::Scale;
use super::{FAILED, Search, SearchState, SearchTrial, WINNER, dot_radius, drawable};

const WIDTH: f64 = 1600.0;
const HEIGHT: f64 = 620.0;
/// The strip of the failed trials under the others.
const STRIP: f64 = 44.0;

/// How a trial is drawn.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Complete,
    Pruned,
    Running,
    Failed,
}

/// Writes the objective of each trial by its number, the best so far as a line, and failed trials under them. The few trials
/// that are far worse than all others are marked at the edge.
pub fn search_history(spec: &Search, stem: &Path) -> Result<()> {
    spec.check("search_history")?;
    let marks: Vec<(&SearchTrial, Mark)> = spec.trials.iter().filter_map(|trial| Some((trial, mark(trial)?))).collect();
    let reference = spec.reference.filter(|(_, value)| style::is_drawable(*value));
    let values = marks.iter().filter(|(_, mark)| *mark != Mark::Failed).filter_map(|(trial, _)| trial.value);
    let scale = Scale::of(values.chain(reference.map(|(_, value)| value)), spec.lower_is_better);

    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &legend(spec, &marks, &scale)) + 24.0;
    let (first, last) = bounds(marks.iter().map(|(trial, _)| f64::from(trial.number))).unwrap_or((0.0, 1.0));
    let padding = ((last - first) * 0.015).max(0.5);
    let x = || Axis::whole(first - padding, last + padding, 12);
    let y = scale.axis(6, 0.1);
    let strip = if marks.iter().any(|(_, mark)| *mark == Mark::Failed) { STRIP } else { 0.0 };
    let left = MARGIN + 40.0 + y.tick_width() + 22.0;
    let frame = Frame { left, top, width: WIDTH - MARGIN - left, height: HEIGHT, x: x(), y };
    let whole = Frame { height: HEIGHT + strip, x: x(), y: Axis::unlabelled(), ..frame };
    canvas.height = (whole.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;

    frame.draw_grid(&mut canvas);
    frame.draw_y_name(&mut canvas, &spec.objective_name(HEIGHT));
    whole.draw_x_labels(&mut canvas, "trial");
    if let Some((_, value)) = reference {
        canvas.dashed(frame.at(frame.x.low, value), frame.at(frame.x.high, value), 2.5, MUTED);
    }
    draw_best_so_far(&mut canvas, spec, &frame);
    for (trial, mark) in &marks {
        draw_mark(&mut canvas, &frame, (trial, *mark), &scale, dot_radius(marks.len()));
    }
    draw_winner(&mut canvas, spec, &frame);
    if marks.iter().all(|(_, mark)| *mark == Mark::Failed) {
        style::draw_no_data(&mut canvas, (frame.left + frame.width / 2.0, frame.top + HEIGHT * 0.4));
    }
    save(&canvas, stem)
}

/// `None` for a running trial that has told nothing. A value that cannot be drawn is a failure too.
fn mark(trial: &SearchTrial) -> Option<Mark> {
    match (trial.state, drawable(trial.value)) {
        (SearchState::Running, None) => None,
        (SearchState::Failed, _) | (_, None) => Some(Mark::Failed),
        (SearchState::Complete, _) => Some(Mark::Complete),
        (SearchState::Pruned, _) => Some(Mark::Pruned),
        (SearchState::Running, _) => Some(Mark::Running),
    }
}

fn legend(spec: &Search, marks: &[(&SearchTrial, Mark)], scale: &Scale) -> Vec<(Swatch, String)> {
    let kinds = [
        (Mark::Complete, Swatch::Dot(PALETTE[0]), "complete"),
        (Mark::Pruned, Swatch::Ring(BASELINE), "pruned, last value"),
        (Mark::Running, Swatch::Dot(PALETTE[2]), "running, last value"),
        (Mark::Failed, Swatch::Cross(FAILED), "failed or without a value"),
    ];
    let mut entries: Vec<(Swatch, String)> = spec.winner_entry().into_iter().collect();
    for (kind, swatch, name) in kinds {
        let count = marks.iter().filter(|(_, mark)| *mark == kind).count();
        if count > 0 {
            entries.push((swatch, format!("{name} ({})", style::grouped(count as f64, 0))));
        }
    }
    if !spec.complete().is_empty() {
        entries.push((Swatch::Line(INK), "best so far".to_string()));
    }
    if let Some((name, value)) = spec.reference.filter(|(_, value)| style::is_drawable(*value)) {
        let text = style::legend_text(name, &style::significant(value), WIDTH / 2.0);
        entries.push((Swatch::Dashed(MUTED), text));
    }
    entries.extend(scale.beyond_entry());
    entries
}

/// Steps up to the last trial of any kind.
fn draw_best_so_far(canvas: &mut Canvas, spec: &Search, frame: &Frame) {
    let mut points: Vec<Point> = Vec::new();
    let mut best = f64::NAN;
    for (trial, value) in spec.complete() {
        let is_better = if spec.lower_is_better { value < best } else { value > best };
        if best.is_nan() || is_better {
            let point = frame.at(f64::from(trial.number), value);
            points.extend(points.last().map(|last| (point.0, last.1)));
            points.push(point);
            best = value;
        }
    }
    let last = spec.trials.iter().map(|trial| trial.number).max().unwrap_or(0);
    points.extend(points.last().map(|&(_, y)| (frame.at(f64::from(last), 0.0).0, y)));
    canvas.line(&points, 3.5, INK);
}

fn draw_mark(canvas: &mut Canvas, frame: &Frame, (trial, mark): (&SearchTrial, Mark), scale: &Scale, radius: f64) {
    let number = f64::from(trial.number);
    let value = trial.value.unwrap_or(f64::NAN);
    let color = [PALETTE[0], BASELINE, PALETTE[2], FAILED][mark as usize];
    let at = frame.at(number, value);
    match mark {
        Mark::Failed => canvas.cross((frame.at(number, 0.0).0, frame.bottom() + STRIP / 2.0), radius, color),
        _ if scale.is_beyond(value) => canvas.triangle(at, radius + 2.0, color, value > scale.high),
        Mark::Pruned => canvas.ring(at, radius, color),
        _ => canvas.dot(at, radius, color, 0.85),
    }
}

/// Its number and value stand on the good side, where nothing else is.
fn draw_winner(canvas: &mut Canvas, spec: &Search, frame: &Frame) {
    let Some((trial, value)) = spec.winner() else { return };
    let at = frame.at(f64::from(trial.number), value);
    let text = format!("trial {}: {}", trial.number, style::significant(value));
    let label = TextStyle { bold: true, anchor: HPos::Center, ..LABEL };
    let half = text_width(&text, label.size, label.bold) / 2.0;
    let x = at.0.clamp(frame.left + half + 6.0, frame.right() - half - 6.0);
    let baseline = if spec.lower_is_better { at.1 + 44.0 } else { at.1 - 26.0 };
    canvas.shade((x - half - 6.0, baseline - 24.0), (2.0 * half + 12.0, 32.0), WHITE, 0.8);
    canvas.text((x, baseline), &text, label);
    canvas.diamond(at, 15.0, WINNER);
}
