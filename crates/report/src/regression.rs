//! Predictions of a number against the truth.

use std::path::Path;

use plotters::style::WHITE;
use plotters::style::text_anchor::HPos;

use crate::axes::{Axis, Frame, bounds};
use crate::canvas::{Canvas, TextStyle};
use crate::render::{save, text_width};
use crate::style::{self, LABEL, MARGIN, MUTED, PALETTE, TICK};
use crate::{Error, Result};

/// The predictions for a test set; row `i` has `actual[i]` and `predicted[i]`.
pub struct Predictions<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name, data set and row count; may be empty.
    pub subtitle: &'a str,
    /// The target with its unit, e.g. `median house value (100,000 USD)`.
    pub target: &'a str,
    /// The truth.
    pub actual: &'a [f64],
    /// What the model said, as long as `actual`.
    pub predicted: &'a [f64],
    /// Names and values for the corner of `predicted_vs_actual`, e.g. `("RMSE", 0.47)`.
    pub scores: &'a [(&'a str, f64)],
}

/// Beyond this many rows dots hide each other: counts per bin are drawn instead.
pub(crate) const MAX_DOTS: usize = 5_000;
/// Bins along the longer side of a plot.
const BINS: usize = 100;
/// For the lines of perfect predictions: seen on white and on dark blue.
pub(crate) const REFERENCE: plotters::style::RGBColor = PALETTE[1];
pub(crate) const COLOR_SCALE_ROOM: f64 = 180.0;

/// Writes actual over predicted values with the identity line; beyond 5,000 rows as a density with log colours.
///
/// Fails with `Error::Shape` unless both slices have one length.
pub fn predicted_vs_actual(spec: &Predictions, stem: &Path) -> Result<()> {
    let points = drawable_pairs(spec, "predicted_vs_actual", |actual, predicted| (actual, predicted))?;
    let (low, high) = bounds(points.iter().flat_map(|p| [p.0, p.1])).unwrap_or((0.0, 1.0));
    let axis = || Axis::padded(low, high, 6);
    let left = MARGIN + 50.0 + axis().tick_width() + 14.0;
    let scale_room = if points.len() > MAX_DOTS { COLOR_SCALE_ROOM } else { 0.0 };
    let mut canvas = Canvas::new(left + 860.0 + MARGIN + scale_room, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle) + 20.0;
    let frame = Frame { left, top, width: 860.0, height: 860.0, x: axis(), y: axis() };
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;

    frame.draw_grid(&mut canvas);
    frame.draw_x_labels(&mut canvas, &format!("Actual {}", spec.target));
    frame.draw_y_name(&mut canvas, &format!("Predicted {}", spec.target));
    draw_cloud(&mut canvas, &frame, &points);
    let (low, high) = (frame.x.low, frame.x.high);
    canvas.dashed(frame.at(low, low), frame.at(high, high), 3.0, REFERENCE);
    draw_scores(&mut canvas, &frame, spec.scores);
    save(&canvas, stem)
}

/// (actual, predicted) of each row turned into a point; rows that cannot be drawn are left out.
pub(crate) fn drawable_pairs(
    spec: &Predictions,
    picture: &'static str,
    to_point: impl Fn(f64, f64) -> (f64, f64),
) -> Result<Vec<(f64, f64)>> {
    if spec.actual.len() != spec.predicted.len() {
        let problem = format!("{} actual values, but {} predicted ones", spec.actual.len(), spec.predicted.len());
        return Err(Error::Shape { picture, problem });
    }
    let points = spec.actual.iter().zip(spec.predicted).map(|(a, p)| to_point(*a, *p));
    Ok(points.filter(|p| style::is_drawable(p.0) && style::is_drawable(p.1)).collect())
}

/// Transparent dots for few points, coloured bins for many.
pub(crate) fn draw_cloud(canvas: &mut Canvas, frame: &Frame, points: &[(f64, f64)]) {
    if points.is_empty() {
        style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    } else if points.len() <= MAX_DOTS {
        let opacity = (12.0 / (points.len() as f64).sqrt()).clamp(0.22, 0.8);
        let radius = if points.len() <= 500 { 7.0 } else { 5.0 };
        points.iter().for_each(|p| canvas.dot(frame.at(p.0, p.1), radius, PALETTE[0], opacity));
    } else {
        draw_density(canvas, frame, points);
    }
}

fn draw_density(canvas: &mut Canvas, frame: &Frame, points: &[(f64, f64)]) {
    let side = frame.width.max(frame.height) / BINS as f64;
    let (columns, rows) = ((frame.width / side).ceil() as usize, (frame.height / side).ceil() as usize);
    let mut counts = vec![0u32; columns * rows];
    for &(x, y) in points {
        let (x, y) = frame.at(x, y);
        let column = (((x - frame.left) / side) as usize).min(columns - 1);
        let row = (((y - frame.top) / side) as usize).min(rows - 1);
        counts[row * columns + column] += 1;
    }
    let highest = f64::from(counts.iter().copied().max().unwrap_or(1)).max(2.0);
    // Starts at a blue that stands out from white.
    let color = |count: f64| style::blue(0.25 + 0.75 * count.ln() / highest.ln());
    for (i, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (left, top) = (frame.left + (i % columns) as f64 * side, frame.top + (i / columns) as f64 * side);
        canvas.rect(left, top, side.min(frame.right() - left), side.min(frame.bottom() - top), color(f64::from(count)));
    }
    draw_count_scale(canvas, (frame.right() + 40.0, frame.top + 50.0), highest, &color);
}

/// The meaning of the colours: rows per bin, from 1 to the highest count.
fn draw_count_scale(
    canvas: &mut Canvas,
    (left, top): (f64, f64),
    highest: f64,
    color: &dyn Fn(f64) -> plotters::style::RGBColor,
) {
    let (height, steps) = (400.0, 64);
    canvas.text((left, top - 28.0), "rows per bin", TICK);
    for i in 0..steps {
        let y = top + height * (1.0 - f64::from(i + 1) / f64::from(steps));
        let count = highest.powf((f64::from(i) + 0.5) / f64::from(steps));
        canvas.rect(left, y, 26.0, height / f64::from(steps) + 0.5, color(count));
    }
    let scale = Axis::log(1.0, highest);
    for (value, label) in &scale.ticks {
        canvas.text((left + 38.0, top + height * (1.0 - scale.share(*value)) + 8.0), label, TICK);
    }
}

/// In the upper left corner, where a model that is any good has no points.
fn draw_scores(canvas: &mut Canvas, frame: &Frame, scores: &[(&str, f64)]) {
    if scores.is_empty() {
        return;
    }
    let texts: Vec<_> = scores.iter().map(|(name, value)| (*name, style::significant(*value))).collect();
    let widest =
        |texts: &mut dyn Iterator<Item = &str>| texts.map(|t| text_width(t, LABEL.size, false)).fold(0.0, f64::max);
    let names = widest(&mut texts.iter().map(|(name, _)| *name));
    let values = widest(&mut texts.iter().map(|(_, value)| value.as_str()));
    let (left, top) = (frame.left + 20.0, frame.top + 20.0);
    let width = names + values + 28.0;
    canvas.rect(left - 8.0, top - 8.0, width + 16.0, 38.0 * texts.len() as f64 + 16.0, WHITE);
    for (i, (name, value)) in texts.iter().enumerate() {
        let y = top + 27.0 + 38.0 * i as f64;
        canvas.text((left, y), name, TextStyle { color: MUTED, ..LABEL });
        canvas.text((left + width, y), value, TextStyle { anchor: HPos::Right, ..LABEL });
    }
}
