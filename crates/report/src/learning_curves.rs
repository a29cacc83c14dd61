//! Losses, metrics and the learning rate over the epochs of one run.

use std::path::Path;

use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use crate::Result;
use crate::axes::{Axis, Frame, bounds};
use crate::canvas::{Canvas, TextStyle};
use crate::render::{save, text_width};
use crate::style::{self, BAND, FADED, INK, LABEL, LINE_WIDTH, MARGIN, MUTED, PALETTE, Swatch, TICK};

/// The history of one run, one panel under the other over the same epochs.
pub struct LearningCurves<'a> {
    /// Drawn large, e.g. the name of the program or model.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name, data set and row count; may be empty.
    pub subtitle: &'a str,
    /// From top to bottom.
    pub panels: Vec<CurvePanel<'a>>,
    /// 1-based; a dashed line in all panels. Not drawn if no curve reaches it.
    pub best_epoch: Option<usize>,
    /// The series whose value at the best epoch gets a dot and a label, e.g. `val`.
    pub best_series: &'a str,
    /// The epochs the run was to take; a run that took fewer shows that it stopped early.
    pub planned_epochs: usize,
}

/// One panel with its own y axis.
pub struct CurvePanel<'a> {
    /// The quantity with its unit, e.g. `Cross-entropy loss`.
    pub label: &'a str,
    /// Equal names have equal colours in all panels.
    pub series: Vec<Series<'a>>,
    /// Takes a log axis if all values are above 0 and span two decades or more.
    pub log_if_wide: bool,
}

/// One curve: `values[i]` belongs to epoch `i + 1`; a value that is not finite is skipped.
pub struct Series<'a> {
    /// Shown in the legend, e.g. `train`.
    pub name: &'a str,
    /// One value per epoch.
    pub values: &'a [f64],
}

const WIDTH: f64 = 1600.0;
const PANEL_HEAD: f64 = 62.0;

/// Writes the learning curves of one run, 1600 pixels wide.
pub fn learning_curves(spec: &LearningCurves, stem: &Path) -> Result<()> {
    let plot_height = match spec.panels.len() {
        0 | 1 => 620.0,
        2 => 400.0,
        3 => 300.0,
        _ => 240.0,
    };
    let height = 230.0 + spec.panels.len().max(1) as f64 * (plot_height + PANEL_HEAD) + 130.0;
    let mut canvas = Canvas::new(WIDTH, height);
    let epochs = spec.panels.iter().flat_map(|p| &p.series).map(|s| s.values.len()).max().unwrap_or(0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let mut top = style::draw_legend_rows(&mut canvas, top, &legend(spec, epochs));

    let axes: Vec<Axis> = spec.panels.iter().map(|p| value_axis(p, plot_height)).collect();
    let left = MARGIN + axes.iter().map(Axis::tick_width).fold(40.0, f64::max) + 14.0;
    for (i, (panel, y)) in spec.panels.iter().zip(axes).enumerate() {
        let x = epoch_axis(spec, epochs);
        top += PANEL_HEAD;
        let frame = Frame { left, top, width: WIDTH - MARGIN - left, height: plot_height, x, y };
        draw_panel(&mut canvas, spec, panel, &frame, epochs);
        if i + 1 == spec.panels.len() {
            frame.draw_x_labels(&mut canvas, "epoch");
        }
        top = frame.bottom();
    }
    if spec.panels.is_empty() {
        style::draw_no_data(&mut canvas, (WIDTH / 2.0, top + 80.0));
    }
    canvas.height = (top + 84.0 + MARGIN / 2.0).max(400.0).ceil() as u32;
    save(&canvas, stem)
}

/// The names of all series in order of appearance, which fixes their colours.
fn series_names<'a>(spec: &LearningCurves<'a>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for series in spec.panels.iter().flat_map(|p| &p.series) {
        if !names.contains(&series.name) {
            names.push(series.name);
        }
    }
    names
}

fn color_of(spec: &LearningCurves, name: &str) -> RGBColor {
    let position = series_names(spec).iter().position(|n| *n == name).unwrap_or(0);
    PALETTE[position % PALETTE.len()]
}

fn legend(spec: &LearningCurves, epochs: usize) -> Vec<(Swatch, String)> {
    // A panel whose label is the name of its only series needs no further explanation.
    let explained = |name: &str| spec.panels.iter().any(|p| p.series.len() == 1 && p.label == name);
    let names = series_names(spec).into_iter().filter(|name| !explained(name));
    let mut entries: Vec<_> = names.map(|name| (Swatch::Line(color_of(spec, name)), name.to_string())).collect();
    if let Some(best) = best_epoch(spec, epochs) {
        entries.push((Swatch::Dashed(MUTED), format!("best epoch: {}", style::grouped(best as f64, 0))));
    }
    if stopped_early(spec, epochs) {
        let (done, planned) = (style::grouped(epochs as f64, 0), style::grouped(spec.planned_epochs as f64, 0));
        entries.push((Swatch::Area(FADED, 1.0), format!("stopped early after epoch {done} of {planned}")));
    }
    entries
}

fn best_epoch(spec: &LearningCurves, epochs: usize) -> Option<usize> {
    spec.best_epoch.filter(|best| (1..=epochs).contains(best))
}

fn stopped_early(spec: &LearningCurves, epochs: usize) -> bool {
    epochs > 0 && epochs < spec.planned_epochs
}

/// Leaves room right of the last epoch for the band that marks an early stop.
fn epoch_axis(spec: &LearningCurves, epochs: usize) -> Axis {
    let span = (epochs.max(1) - 1) as f64;
    let padding = (span * 0.015).max(0.2);
    let band = if stopped_early(spec, epochs) { (span * 0.025).max(0.2) } else { 0.0 };
    let mut axis = Axis::whole(1.0 - padding, 1.0 + span + padding + band, 12);
    axis.ticks.retain(|(epoch, _)| *epoch >= 1.0);
    axis
}

fn value_axis(panel: &CurvePanel, plot_height: f64) -> Axis {
    let values = || panel.series.iter().flat_map(|s| s.values.iter().copied());
    let (low, high) = bounds(values()).unwrap_or((0.0, 1.0));
    if panel.log_if_wide && low > 1e-100 && high / low >= 99.0 {
        Axis::log(low / 1.3, high * 1.3)
    } else {
        Axis::padded(low, high, (plot_height / 60.0) as usize)
    }
}

fn draw_panel(canvas: &mut Canvas, spec: &LearningCurves, panel: &CurvePanel, frame: &Frame, epochs: usize) {
    let head = TextStyle { bold: true, ..LABEL };
    let label = style::shorten(panel.label, head, frame.width / 2.0);
    canvas.text((frame.left, frame.top - 16.0), &label, head);
    if stopped_early(spec, epochs) {
        let (start, _) = frame.at(epochs as f64, frame.y.low);
        canvas.rect(start, frame.top, frame.right() - start, frame.height, BAND);
    }
    if bounds(panel.series.iter().flat_map(|s| s.values.iter().copied())).is_none() {
        return style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height / 2.0));
    }
    frame.draw_grid(canvas);
    let best = best_epoch(spec, epochs);
    if let Some(best) = best {
        let (x, _) = frame.at(best as f64, frame.y.low);
        canvas.dashed((x, frame.top), (x, frame.bottom()), 2.5, MUTED);
    }
    for series in &panel.series {
        let values = series.values.iter().enumerate().map(|(i, v)| ((i + 1) as f64, *v));
        let width = if epochs > 500 { LINE_WIDTH / 2.0 } else { LINE_WIDTH };
        frame.draw_curve(canvas, values, width, color_of(spec, series.name));
    }
    let label_end = frame.left + text_width(&label, head.size, head.bold);
    for series in panel.series.iter().filter(|s| s.name == spec.best_series) {
        let value = best.and_then(|epoch| Some((epoch, *series.values.get(epoch - 1)?)));
        if let Some((epoch, value)) = value.filter(|(_, v)| style::is_drawable(*v)) {
            draw_best(canvas, frame, (epoch, value), color_of(spec, series.name), label_end);
        }
    }
}

/// A dot on the curve, and its label above the plot, where no curve can run through it.
fn draw_best(canvas: &mut Canvas, frame: &Frame, (epoch, value): (usize, f64), color: RGBColor, label_end: f64) {
    let point = frame.at(epoch as f64, value);
    canvas.dot(point, 11.0, plotters::style::WHITE, 1.0);
    canvas.dot(point, 8.0, color, 1.0);
    let text = format!("epoch {}: {}", style::grouped(epoch as f64, 0), style::significant(value));
    let style = TextStyle { color: INK, anchor: HPos::Center, ..TICK };
    let half = text_width(&text, style.size, style.bold) / 2.0;
    let x = point.0.max(label_end + 30.0 + half).min(frame.right() - half);
    canvas.text((x, frame.top - 14.0), &text, style);
}
