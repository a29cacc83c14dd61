//! What the colours of a picture mean.

use plotters::style::RGBColor;

use crate::canvas::{Canvas, Point};
use crate::style::TICK;

pub(crate) const WIDTH: f64 = 26.0;
const STEPS: u32 = 64;

/// An upright bar with the colour of 0 at its foot and that of 1 at its top; `ticks` are shares and labels.
pub(crate) fn draw(
    canvas: &mut Canvas,
    (left, top): Point,
    height: f64,
    ticks: &[(f64, String)],
    color: impl Fn(f64) -> RGBColor,
) {
    for i in 0..STEPS {
        let share = (f64::from(i) + 0.5) / f64::from(STEPS);
        let y = top + height * (1.0 - f64::from(i + 1) / f64::from(STEPS));
        canvas.rect(left, y, WIDTH, height / f64::from(STEPS) + 0.5, color(share));
    }
    for (share, label) in ticks {
        canvas.text((left + WIDTH + 12.0, top + height * (1.0 - share) + 8.0), label, TICK);
    }
}

/// A lying bar from the colour of 0 to that of 1, between two labels from `left` on.
pub(crate) fn draw_lying(
    canvas: &mut Canvas,
    (left, baseline): Point,
    labels: [&str; 2],
    color: impl Fn(f64) -> RGBColor,
) {
    let width = 200.0;
    let start = left + crate::render::text_width(labels[0], TICK.size, TICK.bold) + 12.0;
    for i in 0..STEPS {
        let share = (f64::from(i) + 0.5) / f64::from(STEPS);
        let step = width / f64::from(STEPS);
        canvas.rect(start + step * f64::from(i), baseline - 20.0, step + 0.5, 24.0, color(share));
    }
    canvas.text((left, baseline), labels[0], TICK);
    canvas.text((start + width + 12.0, baseline), labels[1], TICK);
}
