//! How precision, recall and the like change with the threshold, and where the decision was put.

use std::path::Path;

use crate::axes::{Axis, Frame, bounds};
use crate::canvas::{Canvas, TextStyle};
use crate::render::save;
use crate::style::{self, INK, LABEL, LINE_WIDTH, MARGIN, PALETTE, Swatch};
use crate::{Error, Result};

/// Scores of a classifier of two classes at each threshold.
pub struct OperatingPoint<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name and the rows that chose; may be empty.
    pub subtitle: &'a str,
    /// Rows whose probability is at least this count as positive; rising, in 0..=1.
    pub thresholds: &'a [f64],
    /// Shares in 0..=1, e.g. precision, recall and F1; up to 10 have colours of their own.
    pub curves: &'a [ThresholdCurve<'a>],
    /// Any numbers, in a panel of their own below, e.g. the cost per row.
    pub below: Option<ThresholdCurve<'a>>,
    /// The threshold that was taken, drawn as a line.
    pub chosen: Option<f64>,
    /// What it was chosen for, for the legend, e.g. `highest F1 on validation rows`; may be empty.
    pub goal: &'a str,
}

/// One quantity: `values[i]` belongs to `thresholds[i]`; where it is not finite the curve has a hole.
pub struct ThresholdCurve<'a> {
    /// Shown in the legend, with the value at the chosen threshold.
    pub name: &'a str,
    /// One value per threshold.
    pub values: &'a [f64],
}

const WIDTH: f64 = 1400.0;
const PLOT_HEIGHT: f64 = 560.0;
const BELOW_HEIGHT: f64 = 260.0;

/// Writes the curves over the threshold and a line at the chosen one.
pub fn operating_point(spec: &OperatingPoint, stem: &Path) -> Result<()> {
    check(spec)?;
    let y = Axis::linear(0.0, 1.0, 5);
    let below = spec.below.as_ref().map(|curve| {
        let (low, high) = bounds(curve.values.iter().copied()).unwrap_or((0.0, 1.0));
        (curve, Axis::padded(low, high, 4))
    });
    let widest = below.iter().map(|(_, axis)| axis.tick_width()).fold(y.tick_width(), f64::max);
    let left = MARGIN + widest.max(40.0) + 14.0;
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &legend(spec)) + 28.0;
    let width = WIDTH - MARGIN - left;
    let mut frame = Frame { left, top, width, height: PLOT_HEIGHT, x: Axis::linear(0.0, 1.0, 10), y };
    frame.draw_grid(&mut canvas);
    for (curve, color) in spec.curves.iter().zip(PALETTE.iter().cycle()) {
        let points = spec.thresholds.iter().copied().zip(curve.values.iter().copied());
        frame.draw_broken_curve(&mut canvas, points.filter(|p| (0.0..=1.0).contains(&p.0)), LINE_WIDTH, *color);
    }
    if bounds(spec.curves.iter().flat_map(|curve| curve.values.iter().copied())).is_none() {
        style::draw_no_data(&mut canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
    draw_chosen(&mut canvas, spec, &frame);
    if let Some((curve, y)) = below {
        let (top, x) = (frame.bottom() + 78.0, Axis::linear(0.0, 1.0, 10));
        frame = Frame { top, height: BELOW_HEIGHT, x, y, ..frame };
        draw_below(&mut canvas, spec, curve, &frame);
    }
    frame.draw_x_labels(&mut canvas, "Threshold: rows with at least this probability count as positive");
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;
    save(&canvas, stem)
}

fn check(spec: &OperatingPoint) -> Result<()> {
    let thresholds = spec.thresholds.len();
    let wrong = spec.curves.iter().chain(&spec.below).find(|curve| curve.values.len() != thresholds);
    let Some(curve) = wrong else { return Ok(()) };
    let problem = format!("{thresholds} thresholds, but {} values of `{}`", curve.values.len(), curve.name);
    Err(Error::Shape { picture: "operating_point", problem })
}

fn chosen(spec: &OperatingPoint) -> Option<f64> {
    spec.chosen.filter(|threshold| (0.0..=1.0).contains(threshold))
}

/// Of the threshold that is nearest to the chosen one.
fn value_at_chosen(spec: &OperatingPoint, curve: &ThresholdCurve) -> Option<f64> {
    let chosen = chosen(spec)?;
    let values = spec.thresholds.iter().zip(curve.values).filter(|(t, v)| t.is_finite() && v.is_finite());
    values.min_by(|a, b| (a.0 - chosen).abs().total_cmp(&(b.0 - chosen).abs())).map(|(_, value)| *value)
}

fn legend(spec: &OperatingPoint) -> Vec<(Swatch, String)> {
    let room = WIDTH - 2.0 * MARGIN;
    let entry = |(curve, color): (&ThresholdCurve, &_)| {
        let text = match value_at_chosen(spec, curve) {
            Some(value) => style::legend_text(curve.name, &format!("{value:.3}"), room),
            None => curve.name.to_string(),
        };
        (Swatch::Line(*color), text)
    };
    let mut entries: Vec<_> = spec.curves.iter().zip(PALETTE.iter().cycle()).map(entry).collect();
    if let Some(threshold) = chosen(spec) {
        let name = format!("chosen threshold {threshold:.3}");
        let text = if spec.goal.is_empty() { name } else { format!("{name}: {}", spec.goal) };
        entries.push((Swatch::Dashed(INK), text));
    }
    entries
}

fn draw_chosen(canvas: &mut Canvas, spec: &OperatingPoint, frame: &Frame) {
    let Some(threshold) = chosen(spec) else { return };
    canvas.dashed(frame.at(threshold, frame.y.low), frame.at(threshold, frame.y.high), 3.0, INK);
    for (curve, color) in spec.curves.iter().zip(PALETTE.iter().cycle()) {
        if let Some(value) = value_at_chosen(spec, curve).filter(|value| (0.0..=1.0).contains(value)) {
            canvas.dot(frame.at(threshold, value), 10.0, plotters::style::WHITE, 1.0);
            canvas.dot(frame.at(threshold, value), 8.0, *color, 1.0);
        }
    }
}

fn draw_below(canvas: &mut Canvas, spec: &OperatingPoint, curve: &ThresholdCurve, frame: &Frame) {
    frame.draw_grid(canvas);
    let head = TextStyle { bold: true, ..LABEL };
    let value = value_at_chosen(spec, curve).map_or(String::new(), |v| format!(" ({})", style::significant(v)));
    let name = style::shorten(curve.name, head, frame.width - 220.0) + &value;
    canvas.text((frame.left, frame.top - 18.0), &name, head);
    let color = PALETTE[spec.curves.len() % PALETTE.len()];
    let points = spec.thresholds.iter().copied().zip(curve.values.iter().copied());
    frame.draw_broken_curve(canvas, points.filter(|p| (0.0..=1.0).contains(&p.0)), LINE_WIDTH, color);
    if let Some(threshold) = chosen(spec) {
        canvas.dashed(frame.at(threshold, frame.y.low), frame.at(threshold, frame.y.high), 3.0, INK);
    }
    if bounds(curve.values.iter().copied()).is_none() {
        style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height / 2.0));
    }
}
