//! How the values of each feature were distributed, and how they are now.

use std::path::Path;

use plotters::style::RGBColor;

use crate::axes::{Axis, Frame, bounds};
use crate::canvas::{Canvas, TextStyle};
use crate::panels::{self, MAX_LEVELS, MAX_PANELS, Place, WIDTH};
use crate::render::save;
use crate::style::{self, MARGIN, PALETTE, Swatch, TICK};
use crate::{Error, Result};

/// A panel per feature.
pub struct DriftHistograms<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. names and row counts of both sides; may be empty.
    pub subtitle: &'a str,
    /// The name of the earlier rows, for the legend, e.g. `training rows`.
    pub reference: &'a str,
    /// The name of the later rows.
    pub current: &'a str,
    /// In the order of drawing, usually the strongest drift first; the first 16 are drawn.
    pub features: &'a [DriftPanel<'a>],
}

/// One feature.
pub struct DriftPanel<'a> {
    /// A name too long for its place loses letters in the middle.
    pub feature: &'a str,
    /// Stands beside the name, e.g. `PSI 0.31`; may be empty.
    pub remark: &'a str,
    /// Whether the remark is an alarm; then it is bold and coloured.
    pub is_drift: bool,
    /// What the bars stand for.
    pub bins: DriftBins<'a>,
    /// Rows per bin, or their share: only proportions are drawn.
    pub reference: &'a [f64],
    /// As `reference`, in the same bins.
    pub current: &'a [f64],
}

/// The bins of a feature.
#[derive(Clone, Copy)]
pub enum DriftBins<'a> {
    /// Rising edges, one more than bins. Where they are not equally far apart, the area of a bar is its share.
    Edges(&'a [f64]),
    /// Names of levels; the first 8 are drawn.
    Levels(&'a [&'a str]),
}

const REFERENCE: RGBColor = PALETTE[0];
const CURRENT: RGBColor = PALETTE[1];
const OPACITY: f64 = 0.3;

/// Writes both distributions of each feature in percent of their own rows, over each other for numbers, side by side for
/// levels.
pub fn drift_histograms(spec: &DriftHistograms, stem: &Path) -> Result<()> {
    spec.features.iter().try_for_each(check)?;
    let shown = &spec.features[..spec.features.len().min(MAX_PANELS)];
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let name = |text: &str| style::shorten(text, style::LABEL, WIDTH / 2.0);
    let legend =
        [(Swatch::Area(REFERENCE, 0.7), name(spec.reference)), (Swatch::Area(CURRENT, 0.7), name(spec.current))];
    let top = style::draw_legend_rows(&mut canvas, top, &legend);
    let (places, bottom) = panels::places(shown.len(), top);
    canvas.height = (bottom + MARGIN / 2.0).ceil() as u32;
    for (panel, place) in shown.iter().zip(places) {
        let alarm = TextStyle { color: CURRENT, bold: true, ..TICK };
        let remark = style::shorten(&remark(panel), alarm, place.width * 0.7);
        panels::draw_head(&mut canvas, place, panel.feature, &remark, if panel.is_drift { alarm } else { TICK });
        let shares = [percentages(panel.reference), percentages(panel.current)];
        match panel.bins {
            DriftBins::Edges(edges) => draw_numbers(&mut canvas, edges, &shares, place),
            DriftBins::Levels(names) => draw_levels(&mut canvas, names, &shares, place),
        }
    }
    if shown.is_empty() {
        style::draw_no_data(&mut canvas, (WIDTH / 2.0, top + 160.0));
    }
    panels::draw_more(&mut canvas, shown.len(), spec.features.len());
    save(&canvas, stem)
}

fn check(panel: &DriftPanel) -> Result<()> {
    let (bins, given) = match panel.bins {
        DriftBins::Edges(edges) => (edges.len().saturating_sub(1), format!("{} edges", edges.len())),
        DriftBins::Levels(names) => (names.len(), format!("{} levels", names.len())),
    };
    let (reference, current) = (panel.reference.len(), panel.current.len());
    if (reference, current) == (bins, bins) {
        return Ok(());
    }
    let problem = format!("`{}` has {given}, but {reference} reference and {current} current bars", panel.feature);
    Err(Error::Shape { picture: "drift_histograms", problem })
}

/// With the number of levels that have no place.
fn remark(panel: &DriftPanel) -> String {
    match panel.bins {
        DriftBins::Levels(names) if names.len() > MAX_LEVELS => {
            let separator = if panel.remark.is_empty() { "" } else { ", " };
            format!("{}{separator}{} more levels", panel.remark, names.len() - MAX_LEVELS)
        }
        _ => panel.remark.to_string(),
    }
}

/// What is negative or cannot be drawn counts as nothing.
fn percentages(bars: &[f64]) -> Vec<f64> {
    let usable = |bar: &f64| if style::is_drawable(*bar) { bar.max(0.0) } else { 0.0 };
    let total: f64 = bars.iter().map(usable).sum();
    bars.iter().map(|bar| if total > 0.0 { usable(bar) / total * 100.0 } else { 0.0 }).collect()
}

fn percent_axis(highest: f64) -> Axis {
    let mut axis = Axis::linear(0.0, if highest > 0.0 { highest * 1.05 } else { 100.0 }, 4);
    axis.ticks.iter_mut().for_each(|(_, label)| label.push('%'));
    axis
}

fn draw_numbers(canvas: &mut Canvas, edges: &[f64], shares: &[Vec<f64>; 2], place: Place) {
    let (low, high) = bounds(edges.iter().copied()).unwrap_or((0.0, 1.0));
    let widths: Vec<f64> = edges.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean_width = (high - low) / widths.len().max(1) as f64;
    let is_even = widths.iter().all(|width| (width - mean_width).abs() <= mean_width * 1e-3);
    // The height of an uneven bar is what an even one of the same density would have.
    let heights = shares.each_ref().map(|shares| {
        let height = |(share, width): (&f64, &f64)| if is_even { *share } else { share * mean_width / width };
        shares
            .iter()
            .zip(&widths)
            .map(height)
            .map(|h| if style::is_drawable(h) { h } else { 0.0 })
            .collect::<Vec<f64>>()
    });
    let highest = heights.iter().flatten().copied().fold(0.0, f64::max);
    let mut y = percent_axis(highest);
    if !is_even {
        y.ticks.clear();
    }
    let frame = panels::number_frame(place, Axis::padded(low, high, 5), y);
    frame.draw_grid(canvas);
    frame.draw_x_ticks(canvas);
    for (heights, color) in heights.iter().zip([REFERENCE, CURRENT]) {
        let bars = edges
            .windows(2)
            .zip(heights)
            .filter(|(edges, h)| **h > 0.0 && edges.iter().all(|e| style::is_drawable(*e)));
        for (edges, height) in bars {
            let ((left, top), (right, bottom)) = (frame.at(edges[0], *height), frame.at(edges[1], 0.0));
            canvas.shade((left, top), ((right - left).max(1.0), bottom - top), color, OPACITY);
        }
        draw_outline(canvas, &frame, edges, heights, color);
    }
    if highest == 0.0 {
        style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
}

/// Along the tops of the bars, on the ground where there are none.
fn draw_outline(canvas: &mut Canvas, frame: &Frame, edges: &[f64], heights: &[f64], color: RGBColor) {
    let steps = edges.windows(2).zip(heights).flat_map(|(edges, height)| [(edges[0], *height), (edges[1], *height)]);
    let ends = edges.first().into_iter().map(|edge| (*edge, 0.0)).chain(steps);
    let closed = ends.chain(edges.last().map(|edge| (*edge, 0.0))).filter(|(x, _)| style::is_drawable(*x));
    canvas.line(&closed.map(|(x, y)| frame.at(x, y)).collect::<Vec<_>>(), 3.0, color);
}

fn draw_levels(canvas: &mut Canvas, names: &[&str], shares: &[Vec<f64>; 2], place: Place) {
    let n = names.len().min(MAX_LEVELS);
    let highest = shares.iter().flat_map(|shares| &shares[..n]).copied().fold(0.0, f64::max);
    let x = percent_axis(highest);
    let (frame, middles) = panels::level_frame(canvas, place, x, &names[..n], &[]);
    frame.draw_grid(canvas);
    frame.draw_x_ticks(canvas);
    let thickness = (frame.height / n.max(3) as f64 * 0.36).min(34.0);
    for (side, (shares, color)) in shares.iter().zip([REFERENCE, CURRENT]).enumerate() {
        for (share, middle) in shares.iter().zip(&middles).filter(|(share, _)| **share > 0.0) {
            let (end, _) = frame.at(*share, 0.0);
            let top = middle - thickness + side as f64 * thickness;
            canvas.rect(frame.left, top, (end - frame.left).max(1.0), thickness - 1.0, color);
        }
    }
    if highest == 0.0 {
        style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
}
