//! Reliability diagrams: whether of the rows given 70 %, 70 % are positive.

use std::path::Path;

use plotters::style::{RGBColor, WHITE};

use crate::Result;
use crate::axes::{Axis, Frame};
use crate::canvas::Canvas;
use crate::render::save;
use crate::style::{self, BASELINE, FADED, LINE_WIDTH, MARGIN, MUTED, PALETTE, Swatch};

/// One reliability diagram.
pub struct Calibration<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name, data set and row count; may be empty.
    pub subtitle: &'a str,
    /// What the bins' intervals are, for the legend, e.g. `95% Wilson interval`; may be empty.
    pub interval_label: &'a str,
    /// One curve for two classes, else one per class against the rest, or one for the confidence of the predicted class.
    /// Or the same class several times, e.g. before and after its probabilities were scaled.
    pub curves: Vec<CalibrationCurve<'a>>,
}

/// The probabilities of one class.
pub struct CalibrationCurve<'a> {
    /// The class that counts as positive, or the method that gave its probabilities.
    pub class: &'a str,
    /// From low to high probability; bins without rows are not drawn.
    pub bins: &'a [CalibrationBin],
    /// For the legend: the expected calibration error, in 0..=1.
    pub ece: f64,
}

/// The rows whose predicted probability lies between `low` and `high`. All but the count are in 0..=1.
pub struct CalibrationBin {
    /// Lower edge of the bin.
    pub low: f64,
    /// Upper edge of the bin.
    pub high: f64,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Share of the rows that are positive.
    pub observed: f64,
    /// Confidence interval of `observed`, low and high; drawn up to 3 curves.
    pub interval: Option<(f64, f64)>,
    /// Rows in the bin; the area of a dot grows with it.
    pub count: u64,
}

/// Up to this many curves the legend stands above the plot, beyond it at the right.
const MAX_ROWS_LEGEND: usize = 3;
const PLOT_SIZE: f64 = 820.0;
const COUNTS_HEIGHT: f64 = 200.0;
const LEGEND_WIDTH: f64 = 580.0;
/// Radii of the dots of nearly empty bins and of the fullest one.
const RADII: [f64; 2] = [5.0, 15.0];
/// The same where many curves would hide each other.
const SMALL_RADII: [f64; 2] = [5.0, 9.0];

/// Writes the observed share of positives over the predicted probability, the diagonal of perfect calibration and,
/// below, the rows per bin.
///
/// Of more than 10 curves, the 10 with the highest ECE are coloured and named, the others are grey.
pub fn calibration(spec: &Calibration, stem: &Path) -> Result<()> {
    let few = spec.curves.len() <= MAX_ROWS_LEGEND;
    let keys: Vec<f64> = spec.curves.iter().map(|curve| -curve.ece).collect();
    let (named, others) = style::split_lowest(&keys);
    let highest = spec.curves.iter().flat_map(|c| c.bins).map(|bin| bin.count).max().unwrap_or(0) as f64;
    let counts = Axis::whole(0.0, (highest * 1.05).max(1.0), 3);

    let left = MARGIN + 50.0 + counts.tick_width().max(40.0) + 14.0;
    let width = left + PLOT_SIZE + MARGIN + if few { 0.0 } else { LEGEND_WIDTH };
    let mut canvas = Canvas::new(width, 0.0);
    let mut top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let entries = legend(spec, &named, &others, if few { width - 2.0 * MARGIN } else { LEGEND_WIDTH - 40.0 });
    if few {
        top = style::draw_legend_rows(&mut canvas, top, &entries);
    }
    let share = || Axis::linear(0.0, 1.0, 5);
    let frame = Frame { left, top: top + 28.0, width: PLOT_SIZE, height: PLOT_SIZE, x: share(), y: share() };
    let below = Frame { top: frame.bottom() + 36.0, height: COUNTS_HEIGHT, x: share(), y: counts, ..frame };
    canvas.height = (below.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;
    if !few {
        style::draw_legend_column(&mut canvas, (frame.right() + 40.0, frame.top + 24.0), &entries);
    }
    draw_curves(&mut canvas, spec, &frame, &named, &others);
    draw_counts(&mut canvas, spec, &below, &named);
    save(&canvas, stem)
}

/// `room` is the width of the longest entry.
fn legend(spec: &Calibration, named: &[usize], others: &[usize], room: f64) -> Vec<(Swatch, String)> {
    let decimal = |v: f64| if v.is_finite() { format!("{v:.3}") } else { "n/a".to_string() };
    let entry =
        |&i: &usize| style::legend_text(spec.curves[i].class, &format!("ECE {}", decimal(spec.curves[i].ece)), room);
    let mut entries: Vec<_> = named.iter().zip(PALETTE).map(|(i, color)| (Swatch::Line(color), entry(i))).collect();
    if !others.is_empty() {
        let highest = others.iter().map(|&i| spec.curves[i].ece).fold(f64::NEG_INFINITY, f64::max);
        entries.push((Swatch::Line(FADED), format!("{} others (ECE ≤ {})", others.len(), decimal(highest))));
    }
    entries.push((Swatch::Dashed(BASELINE), "perfectly calibrated".to_string()));
    let has_intervals = spec.curves.iter().flat_map(|c| c.bins).any(|bin| bin.interval.is_some());
    if spec.curves.len() <= MAX_ROWS_LEGEND && has_intervals && !spec.interval_label.is_empty() {
        entries.push((Swatch::Whisker(MUTED), spec.interval_label.to_string()));
    }
    entries
}

fn drawable_bins<'a>(curve: &'a CalibrationCurve) -> impl Iterator<Item = &'a CalibrationBin> {
    let is_drawable = |bin: &&CalibrationBin| {
        bin.count > 0 && [bin.low, bin.high, bin.predicted, bin.observed].iter().all(|v| style::is_drawable(*v))
    };
    curve.bins.iter().filter(is_drawable)
}

fn draw_curves(canvas: &mut Canvas, spec: &Calibration, frame: &Frame, named: &[usize], others: &[usize]) {
    frame.draw_grid(canvas);
    frame.draw_y_name(canvas, "Observed share of positives");
    canvas.dashed(frame.at(0.0, 0.0), frame.at(1.0, 1.0), 3.0, BASELINE);
    let points = |i: usize| drawable_bins(&spec.curves[i]).map(|bin| frame.at(bin.predicted, bin.observed));
    for &i in others {
        canvas.line(&points(i).collect::<Vec<_>>(), 2.0, FADED);
    }
    for (&i, color) in named.iter().zip(PALETTE) {
        if spec.curves.len() <= MAX_ROWS_LEGEND {
            drawable_bins(&spec.curves[i]).for_each(|bin| draw_interval(canvas, frame, bin, color));
        }
        canvas.line(&points(i).collect::<Vec<_>>(), LINE_WIDTH, color);
    }
    let [small, large] = if spec.curves.len() <= MAX_ROWS_LEGEND { RADII } else { SMALL_RADII };
    for (&i, color) in named.iter().zip(PALETTE) {
        let fullest = spec.curves[i].bins.iter().map(|bin| bin.count).max().unwrap_or(1).max(1) as f64;
        for bin in drawable_bins(&spec.curves[i]) {
            let radius = small + (large - small) * (bin.count as f64 / fullest).sqrt();
            canvas.dot(frame.at(bin.predicted, bin.observed), radius + 2.0, WHITE, 1.0);
            canvas.dot(frame.at(bin.predicted, bin.observed), radius, color, 1.0);
        }
    }
    if spec.curves.iter().all(|curve| drawable_bins(curve).next().is_none()) {
        style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
}

fn draw_interval(canvas: &mut Canvas, frame: &Frame, bin: &CalibrationBin, color: RGBColor) {
    let Some((low, high)) = bin.interval.filter(|(l, h)| style::is_drawable(*l) && style::is_drawable(*h)) else {
        return;
    };
    canvas.whisker(frame.at(bin.predicted, low), frame.at(bin.predicted, high), color);
}

/// Bars of all named curves side by side within each bin.
fn draw_counts(canvas: &mut Canvas, spec: &Calibration, frame: &Frame, named: &[usize]) {
    frame.draw_grid(canvas);
    frame.draw_x_labels(canvas, "Mean predicted probability");
    frame.draw_y_name(canvas, "Rows");
    for (position, (&i, color)) in named.iter().zip(PALETTE).enumerate() {
        for bin in drawable_bins(&spec.curves[i]) {
            let (start, top) = frame.at(bin.low.min(bin.high), bin.count as f64);
            let (end, bottom) = frame.at(bin.high.max(bin.low), 0.0);
            let width = (end - start - 2.0) / named.len() as f64;
            canvas.rect(start + 1.0 + width * position as f64, top, width.max(1.0), bottom - top, color);
        }
    }
}
