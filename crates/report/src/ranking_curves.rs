//! Receiver operating characteristic and precision-recall curves, for two classes or one class against the rest.

use std::path::Path;

use plotters::style::RGBColor;

use crate::Result;
use crate::axes::{Axis, Frame};
use crate::canvas::Canvas;
use crate::render::save;
use crate::style::{self, BASELINE, FADED, LINE_WIDTH, MARGIN, PALETTE, Swatch};

/// One picture of ROC or precision-recall curves.
pub struct RankingCurves<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name, data set and row count; may be empty.
    pub subtitle: &'a str,
    /// One curve for two classes, else one per class against the rest.
    pub curves: Vec<RankingCurve<'a>>,
}

/// The curve of one class.
pub struct RankingCurve<'a> {
    /// The class that counts as positive.
    pub class: &'a str,
    /// Along the curve: (false positive rate, true positive rate), or (recall, precision). All in 0..=1.
    pub points: &'a [(f64, f64)],
    /// For the legend: the area under the ROC curve, or the average precision.
    pub area: f64,
    /// The positive share of the rows; drawn by `pr_curve` only.
    pub base_rate: f64,
}

/// Up to this many curves the legend stands above the plot, beyond it at the right.
const MAX_ROWS_LEGEND: usize = 3;
const MAX_COLORED: usize = PALETTE.len();
const PLOT_SIZE: f64 = 820.0;
const LEGEND_WIDTH: f64 = 580.0;

/// What tells the two kinds of picture apart.
struct Kind {
    x_name: &'static str,
    y_name: &'static str,
    area_name: &'static str,
    is_roc: bool,
}

/// Writes ROC curves with the diagonal of a random ranking and the area under each curve (AUC).
///
/// Of more than 10 curves, the 10 with the lowest area are coloured and named, the others are grey.
pub fn roc_curve(spec: &RankingCurves, stem: &Path) -> Result<()> {
    let (x_name, y_name) = ("False positive rate", "True positive rate (recall)");
    save(&draw(spec, &Kind { x_name, y_name, area_name: "AUC", is_roc: true }), stem)
}

/// Writes precision-recall curves with the average precision (AP); up to 3 curves also with their base rates, dashed.
///
/// Of more than 10 curves, the 10 with the lowest area are coloured and named, the others are grey.
pub fn pr_curve(spec: &RankingCurves, stem: &Path) -> Result<()> {
    save(&draw(spec, &Kind { x_name: "Recall", y_name: "Precision", area_name: "AP", is_roc: false }), stem)
}

fn draw(spec: &RankingCurves, kind: &Kind) -> Canvas {
    let few = spec.curves.len() <= MAX_ROWS_LEGEND;
    let left = MARGIN + 110.0;
    let width = left + PLOT_SIZE + MARGIN + if few { 0.0 } else { LEGEND_WIDTH };
    let mut canvas = Canvas::new(width, 0.0);
    let mut top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let (named, others) = split_by_area(&spec.curves);
    let entries = legend(spec, kind, &named, &others);
    if few {
        top = style::draw_legend_rows(&mut canvas, top, &entries);
    }
    let axis = || Axis::linear(0.0, 1.0, 5);
    let frame = Frame { left, top: top + 28.0, width: PLOT_SIZE, height: PLOT_SIZE, x: axis(), y: axis() };
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;
    if !few {
        for (i, (swatch, text)) in entries.iter().enumerate() {
            let at = (frame.right() + 40.0, frame.top + 24.0 + 46.0 * i as f64);
            style::draw_legend_entry(&mut canvas, at, *swatch, text, width - MARGIN);
        }
    }
    draw_plot(&mut canvas, spec, kind, &frame, &named, &others);
    canvas
}

/// Indices of the curves to name, the worst (in the given order), and of those to leave grey. Classes without rows come last.
fn split_by_area(curves: &[RankingCurve]) -> (Vec<usize>, Vec<usize>) {
    let mut by_area: Vec<usize> = (0..curves.len()).collect();
    let is_absent = |curve: &RankingCurve| curve.area.is_nan() || curve.base_rate == 0.0;
    by_area.sort_by(|&a, &b| {
        let (a, b) = (&curves[a], &curves[b]);
        is_absent(a).cmp(&is_absent(b)).then(a.area.total_cmp(&b.area))
    });
    let mut others = by_area.split_off(curves.len().min(MAX_COLORED));
    by_area.sort_unstable();
    others.sort_unstable();
    (by_area, others)
}

fn legend(spec: &RankingCurves, kind: &Kind, named: &[usize], others: &[usize]) -> Vec<(Swatch, String)> {
    let few = spec.curves.len() <= MAX_ROWS_LEGEND;
    let mut entries = Vec::new();
    for (&i, color) in named.iter().zip(PALETTE) {
        let curve = &spec.curves[i];
        // Shortened here so that a long name leaves the number visible.
        let name = style::shorten(curve.class, style::LABEL, if few { 400.0 } else { 290.0 });
        let mut numbers = format!("{} {}", kind.area_name, decimal(curve.area));
        if !kind.is_roc && few {
            numbers += &format!(", base rate {}", decimal(curve.base_rate));
        }
        entries.push((Swatch::Line(color), format!("{name} ({numbers})")));
    }
    if !others.is_empty() {
        let lowest = others.iter().map(|&i| spec.curves[i].area).fold(f64::INFINITY, f64::min);
        let text = format!("{} others ({} ≥ {})", others.len(), kind.area_name, decimal(lowest));
        entries.push((Swatch::Line(FADED), text));
    }
    if kind.is_roc {
        entries.push((Swatch::Dashed(BASELINE), "random (AUC 0.500)".to_string()));
    }
    entries
}

fn decimal(value: f64) -> String {
    if value.is_finite() { format!("{value:.3}") } else { "n/a".to_string() }
}

fn draw_plot(canvas: &mut Canvas, spec: &RankingCurves, kind: &Kind, frame: &Frame, named: &[usize], others: &[usize]) {
    frame.draw_grid(canvas);
    frame.draw_x_labels(canvas, kind.x_name);
    frame.draw_y_name(canvas, kind.y_name);
    if kind.is_roc {
        canvas.dashed(frame.at(0.0, 0.0), frame.at(1.0, 1.0), 3.0, BASELINE);
    } else if spec.curves.len() <= MAX_ROWS_LEGEND {
        for (&i, color) in named.iter().zip(PALETTE) {
            let rate = spec.curves[i].base_rate;
            if style::is_drawable(rate) {
                canvas.dashed(frame.at(0.0, rate), frame.at(1.0, rate), 3.0, color);
            }
        }
    }
    let mut curve = |i: usize, width: f64, color: RGBColor| {
        frame.draw_curve(canvas, spec.curves[i].points.iter().copied(), width, color);
    };
    others.iter().for_each(|&i| curve(i, 2.0, FADED));
    named.iter().zip(PALETTE).for_each(|(&i, color)| curve(i, LINE_WIDTH, color));
    let has_points = |p: &(f64, f64)| style::is_drawable(p.0) && style::is_drawable(p.1);
    if !spec.curves.iter().flat_map(|c| c.points).any(has_points) {
        style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
}
