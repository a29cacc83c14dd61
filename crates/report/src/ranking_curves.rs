//! Receiver operating characteristic and precision-recall curves, for two classes or one class against the rest.

use std::path::Path;

use plotters::style::RGBColor;

use crate::axes::{Axis, Frame};
use crate::canvas::Canvas;
use crate::render::save;
use crate::style::{self, BASELINE, FADED, LINE_WIDTH, MARGIN, MUTED, PALETTE, Swatch};
use crate::{Error, Result};

/// One picture of ROC or precision-recall curves.
pub struct RankingCurves<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name, data set and row count; may be empty.
    pub subtitle: &'a str,
    /// What bands and intervals are, for the legend, e.g. `95% interval, 1,000 bootstrap samples`; may be empty.
    pub band_label: &'a str,
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
    /// For the legend, behind the area: its confidence interval, low and high.
    pub interval: Option<(f64, f64)>,
    /// Where the curve may lie; drawn up to 3 curves.
    pub band: Option<Band<'a>>,
    /// The positive share of the rows; drawn by `pr_curve` only.
    pub base_rate: f64,
}

/// The area between two curves: at `x[i]` from `lower[i]` to `upper[i]`. The three have one length; `x` ascends.
pub struct Band<'a> {
    /// False positive rates or recalls.
    pub x: &'a [f64],
    /// Lower bounds of the true positive rate or precision.
    pub lower: &'a [f64],
    /// Upper bounds.
    pub upper: &'a [f64],
}

/// Up to this many curves the legend stands above the plot, beyond it at the right.
const MAX_ROWS_LEGEND: usize = 3;
const PLOT_SIZE: f64 = 820.0;
/// The width of the legend at the right, without and with intervals.
const LEGEND_WIDTHS: [f64; 2] = [580.0, 740.0];
const BAND_OPACITY: f64 = 0.18;

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
/// Fails with `Error::Shape` if the slices of a band differ in length.
pub fn roc_curve(spec: &RankingCurves, stem: &Path) -> Result<()> {
    check(spec, "roc_curve")?;
    let (x_name, y_name) = ("False positive rate", "True positive rate (recall)");
    save(&draw(spec, &Kind { x_name, y_name, area_name: "AUC", is_roc: true }), stem)
}

/// Writes precision-recall curves with the average precision (AP); up to 3 curves also with their base rates, dashed.
///
/// Of more than 10 curves, the 10 with the lowest area are coloured and named, the others are grey.
/// Fails with `Error::Shape` if the slices of a band differ in length.
pub fn pr_curve(spec: &RankingCurves, stem: &Path) -> Result<()> {
    check(spec, "pr_curve")?;
    save(&draw(spec, &Kind { x_name: "Recall", y_name: "Precision", area_name: "AP", is_roc: false }), stem)
}

fn check(spec: &RankingCurves, picture: &'static str) -> Result<()> {
    for curve in &spec.curves {
        let lengths = curve.band.as_ref().map_or([0; 3], |b| [b.x.len(), b.lower.len(), b.upper.len()]);
        if lengths != [lengths[0]; 3] {
            let [x, lower, upper] = lengths;
            let problem = format!("the band of `{}` has {x} x, {lower} lower and {upper} upper values", curve.class);
            return Err(Error::Shape { picture, problem });
        }
    }
    Ok(())
}

fn draw(spec: &RankingCurves, kind: &Kind) -> Canvas {
    let few = spec.curves.len() <= MAX_ROWS_LEGEND;
    let left = MARGIN + 110.0;
    let column = LEGEND_WIDTHS[usize::from(spec.curves.iter().any(|c| c.interval.is_some()))];
    let width = left + PLOT_SIZE + MARGIN + if few { 0.0 } else { column };
    let mut canvas = Canvas::new(width, 0.0);
    let mut top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    // Classes without rows come last.
    let key = |c: &RankingCurve| if c.base_rate == 0.0 { f64::NAN } else { c.area };
    let (named, others) = style::split_lowest(&spec.curves.iter().map(key).collect::<Vec<_>>());
    let entries = legend(spec, kind, &named, &others, if few { width - 2.0 * MARGIN } else { column - 40.0 });
    if few {
        top = style::draw_legend_rows(&mut canvas, top, &entries);
    }
    let axis = || Axis::linear(0.0, 1.0, 5);
    let frame = Frame { left, top: top + 28.0, width: PLOT_SIZE, height: PLOT_SIZE, x: axis(), y: axis() };
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;
    if !few {
        style::draw_legend_column(&mut canvas, (frame.right() + 40.0, frame.top + 24.0), &entries);
    }
    draw_plot(&mut canvas, spec, kind, &frame, &named, &others);
    canvas
}

/// `room` is the width of the longest entry.
fn legend(spec: &RankingCurves, kind: &Kind, named: &[usize], others: &[usize], room: f64) -> Vec<(Swatch, String)> {
    let few = spec.curves.len() <= MAX_ROWS_LEGEND;
    let mut entries = Vec::new();
    for (&i, color) in named.iter().zip(PALETTE) {
        let curve = &spec.curves[i];
        let mut numbers = format!("{} {}", kind.area_name, decimal(curve.area));
        if let Some((low, high)) = curve.interval {
            numbers += &format!(" [{}, {}]", decimal(low), decimal(high));
        }
        if !kind.is_roc && few {
            numbers += &format!(", base rate {}", decimal(curve.base_rate));
        }
        entries.push((Swatch::Line(color), style::legend_text(curve.class, &numbers, room)));
    }
    if !others.is_empty() {
        let lowest = others.iter().map(|&i| spec.curves[i].area).fold(f64::INFINITY, f64::min);
        let text = format!("{} others ({} ≥ {})", others.len(), kind.area_name, decimal(lowest));
        entries.push((Swatch::Line(FADED), text));
    }
    if !spec.band_label.is_empty() {
        entries.push(if few {
            (Swatch::Area(MUTED, BAND_OPACITY), spec.band_label.to_string())
        } else {
            (Swatch::Blank, format!("[ ]: {}", spec.band_label))
        });
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
    let few = spec.curves.len() <= MAX_ROWS_LEGEND;
    for (&i, color) in named.iter().zip(PALETTE).filter(|_| few) {
        spec.curves[i].band.iter().for_each(|band| draw_band(canvas, frame, band, color));
    }
    if kind.is_roc {
        canvas.dashed(frame.at(0.0, 0.0), frame.at(1.0, 1.0), 3.0, BASELINE);
    } else if few {
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

fn draw_band(canvas: &mut Canvas, frame: &Frame, band: &Band, color: RGBColor) {
    let values = band.x.iter().zip(band.lower).zip(band.upper).map(|((x, lower), upper)| [*x, *lower, *upper]);
    let drawable = values.filter(|slice| slice.iter().all(|v| style::is_drawable(*v)));
    let mut slices: Vec<[f64; 3]> = drawable
        .map(|[x, lower, upper]| {
            let ((x, bottom), (_, top)) = (frame.at(x, lower.min(upper)), frame.at(x, upper.max(lower)));
            [x, top, bottom]
        })
        .collect();
    slices.sort_by(|a, b| a[0].total_cmp(&b[0]));
    canvas.band(&slices, color, BAND_OPACITY);
}
