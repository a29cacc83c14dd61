//! Series over time, with the parts they are split into and the gaps in them.

use std::path::Path;

use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use crate::axes::{Axis, Frame, bounds};
use crate::canvas::{Canvas, TextStyle};
use crate::render::{save, text_width};
use crate::style::{self, INK, LABEL, MARGIN, MUTED, PALETTE, Swatch, TICK};
use crate::time::date;
use crate::{Error, Result};

/// Series, one panel under the other over one axis of time.
pub struct SeriesOverview<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. data set and frequency; may be empty.
    pub subtitle: &'a str,
    /// From top to bottom; the first 8 are drawn, and how many are left is said.
    pub panels: &'a [SeriesPanel<'a>],
}

/// One target of one series.
pub struct SeriesPanel<'a> {
    /// Of series and target with the unit, e.g. `traffic_volume (vehicles per hour)`.
    pub name: &'a str,
    /// Epoch seconds, rising.
    pub times: &'a [f64],
    /// As long as `times`; what cannot be drawn is missing, and breaks the line.
    pub values: &'a [f64],
    /// E.g. train, validation and test; equal places in the list have equal colours in all panels.
    pub parts: &'a [SeriesPart<'a>],
    /// First and last missing step of each gap.
    pub gaps: &'a [(f64, f64)],
}

/// A stretch of time.
pub struct SeriesPart<'a> {
    /// E.g. `train`.
    pub name: &'a str,
    /// Epoch seconds.
    pub start: f64,
    /// Epoch seconds.
    pub end: f64,
}

const WIDTH: f64 = 1600.0;
const PANEL_HEAD: f64 = 58.0;
const MAX_PANELS: usize = 8;
/// Room for the names of the parts at the top of a panel.
const PART_ROOM: f64 = 38.0;
/// Colours of the parts, and their opacities.
const PARTS: [(RGBColor, f64); 3] = [(RGBColor(150, 157, 165), 0.12), (PALETTE[5], 0.22), (PALETTE[2], 0.18)];
const GAP: RGBColor = PALETTE[1];
const GAP_OPACITY: f64 = 0.4;

/// Writes the first 8 series over time, 1600 pixels wide: parts are shaded and named at their start, gaps are shaded
/// and counted. Of many values in one column of pixels the lowest and the highest are drawn.
///
/// Fails with `Error::Shape` unless each panel has as many times as values.
pub fn series_overview(spec: &SeriesOverview, stem: &Path) -> Result<()> {
    if let Some(panel) = spec.panels.iter().find(|panel| panel.times.len() != panel.values.len()) {
        let (times, values) = (panel.times.len(), panel.values.len());
        let problem = format!("`{}` has {times} times, but {values} values", panel.name);
        return Err(Error::Shape { picture: "series_overview", problem });
    }
    let panels = &spec.panels[..spec.panels.len().min(MAX_PANELS)];
    let plot_height = match panels.len() {
        0 | 1 => 520.0,
        2 => 340.0,
        3 | 4 => 250.0,
        _ => 180.0,
    };
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let mut top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    top = style::draw_legend_rows(&mut canvas, top, &legend(panels));
    let axes: Vec<Axis> = panels.iter().map(|panel| value_axis(panel, plot_height)).collect();
    let left = MARGIN + axes.iter().map(Axis::tick_width).fold(40.0, f64::max) + 14.0;
    let (first, last) = time_range(panels);
    for (i, (panel, y)) in panels.iter().zip(axes).enumerate() {
        top += PANEL_HEAD;
        let x = Axis::time(first, last, 9);
        let frame = Frame { left, top, width: WIDTH - MARGIN - left, height: plot_height, x, y };
        draw_panel(&mut canvas, panel, &frame);
        if i + 1 == panels.len() {
            frame.draw_x_ticks(&mut canvas);
        }
        top = frame.bottom();
    }
    if panels.is_empty() {
        style::draw_no_data(&mut canvas, (WIDTH / 2.0, top + 80.0));
    }
    canvas.height = (top + 44.0 + MARGIN / 2.0).max(400.0).ceil() as u32;
    if spec.panels.len() > panels.len() {
        let left_out = style::grouped((spec.panels.len() - panels.len()) as f64, 0);
        style::draw_footer(&mut canvas, &format!("and {left_out} more, not drawn"));
    }
    save(&canvas, stem)
}

/// What all panels show; a part is named as in the first panel that has it.
fn legend(panels: &[SeriesPanel]) -> Vec<(Swatch, String)> {
    let mut entries = Vec::new();
    for index in 0..panels.iter().map(|panel| panel.parts.len()).max().unwrap_or(0) {
        let (color, opacity) = PARTS[index % PARTS.len()];
        let name = panels.iter().find_map(|panel| panel.parts.get(index)).map_or("", |part| part.name);
        entries.push((Swatch::Area(color, opacity * 1.5), name.to_string()));
    }
    // The targets of one series have the same gaps.
    let mut gaps: Vec<(u64, u64)> =
        panels.iter().flat_map(|panel| panel.gaps).map(|(from, to)| (from.to_bits(), to.to_bits())).collect();
    gaps.sort_unstable();
    gaps.dedup();
    if !gaps.is_empty() {
        let text = format!("{} {}", style::grouped(gaps.len() as f64, 0), if gaps.len() == 1 { "gap" } else { "gaps" });
        entries.push((Swatch::Area(GAP, GAP_OPACITY), text));
    }
    entries
}

fn time_range(panels: &[SeriesPanel]) -> (f64, f64) {
    bounds(panels.iter().flat_map(|panel| panel.times.iter().copied())).unwrap_or((0.0, 1.0))
}

fn value_axis(panel: &SeriesPanel, plot_height: f64) -> Axis {
    let (low, high) = bounds(panel.values.iter().copied()).unwrap_or((0.0, 1.0));
    let count = (plot_height / 40.0) as usize;
    if panel.parts.is_empty() {
        Axis::padded(low, high, count)
    } else {
        Axis::with_headroom(low, high, count, PART_ROOM / plot_height)
    }
}

fn draw_panel(canvas: &mut Canvas, panel: &SeriesPanel, frame: &Frame) {
    draw_head(canvas, panel, frame);
    for (index, part) in panel.parts.iter().enumerate() {
        let (color, opacity) = PARTS[index % PARTS.len()];
        if is_seen(frame, (part.start, part.end)) {
            let (left, right) = (frame.at(part.start, frame.y.low).0, frame.at(part.end, frame.y.low).0);
            canvas.shade((left, frame.top), (right - left, frame.height), color, opacity);
        }
    }
    frame.draw_grid(canvas);
    draw_gaps(canvas, panel, frame);
    if bounds(panel.values.iter().copied()).is_none() {
        style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.6));
    }
    let values = panel.times.iter().copied().zip(panel.values.iter().copied());
    let width = if panel.values.len() > 3_000 { 1.5 } else { 2.5 };
    frame.draw_broken_curve(canvas, values, width, PALETTE[0]);
    draw_part_names(canvas, panel, frame);
}

/// The name, and at the right how many steps there are and how many of them have no value.
fn draw_head(canvas: &mut Canvas, panel: &SeriesPanel, frame: &Frame) {
    let missing = panel.values.iter().filter(|value| !style::is_drawable(**value)).count();
    let count = |number: usize| style::grouped(number as f64, 0);
    let steps = if panel.values.len() == 1 { "step" } else { "steps" };
    let numbers = match missing {
        0 => format!("{} {steps}", count(panel.values.len())),
        _ => format!("{} {steps}, {} without a value", count(panel.values.len()), count(missing)),
    };
    let style = TextStyle { anchor: HPos::Right, ..TICK };
    canvas.text((frame.right(), frame.top - 14.0), &numbers, style);
    let head = TextStyle { bold: true, color: INK, ..LABEL };
    let room = frame.width - text_width(&numbers, TICK.size, TICK.bold) - 40.0;
    canvas.text((frame.left, frame.top - 14.0), &style::shorten_middle(panel.name, head, room), head);
}

/// Pixels that share the strength of a gap.
const GAP_COLUMN: f64 = 3.0;

/// Shades the gaps, column by column: the more of its time is missing, the stronger, so that many short gaps do not
/// look like a long one.
fn draw_gaps(canvas: &mut Canvas, panel: &SeriesPanel, frame: &Frame) {
    let mut missing = vec![0.0f64; (frame.width / GAP_COLUMN).ceil() as usize];
    let column = |time: f64| frame.x.share(time) * frame.width / GAP_COLUMN;
    // A gap of one step is as wide as a step.
    let half_step = match panel.times {
        [first, .., last] => (last - first) / (panel.times.len() - 1) as f64 / 2.0,
        _ => 0.0,
    };
    for &(from, to) in panel.gaps.iter().filter(|gap| is_seen(frame, **gap)) {
        let (first, last) = (column(from - half_step), column(to + half_step));
        let columns = missing.iter_mut().enumerate().skip(first as usize).take((last - first) as usize + 2);
        columns.for_each(|(i, missing)| *missing += (last.min(i as f64 + 1.0) - first.max(i as f64)).max(0.0));
    }
    for (i, &share) in missing.iter().enumerate().filter(|(_, share)| **share > 0.0) {
        let left = frame.left + i as f64 * GAP_COLUMN;
        let opacity = GAP_OPACITY * (0.3 + 0.7 * share.min(1.0));
        canvas.shade((left, frame.top), (GAP_COLUMN.min(frame.right() - left), frame.height), GAP, opacity);
    }
}

/// Whether a stretch of time is on the axis.
fn is_seen(frame: &Frame, (from, to): (f64, f64)) -> bool {
    from <= to && from <= frame.x.high && to >= frame.x.low
}

/// A dashed line where a part begins, and its name with the date, as far as that fits in.
fn draw_part_names(canvas: &mut Canvas, panel: &SeriesPanel, frame: &Frame) {
    let is_seen = |part: &&SeriesPart| is_seen(frame, (part.start, part.end));
    let ends = |part: &SeriesPart| (frame.at(part.start, frame.y.low).0, frame.at(part.end, frame.y.low).0);
    let parts: Vec<&SeriesPart> = panel.parts.iter().filter(is_seen).collect();
    for (left, _) in parts.iter().skip(1).map(|part| ends(part)) {
        canvas.dashed((left, frame.top), (left, frame.bottom()), 2.5, MUTED);
    }
    let fits = |part: &SeriesPart, text: &str| {
        let (left, right) = ends(part);
        text_width(text, TICK.size, TICK.bold) <= right - left - 20.0
    };
    let long = |part: &SeriesPart| format!("{} from {}", part.name, date(part.start));
    let all_long = parts.iter().all(|part| fits(part, &long(part)));
    // Parts that overlap must not write over each other.
    let mut taken = f64::NEG_INFINITY;
    for part in parts {
        let with_date = if all_long { long(part) } else { format!("{} {}", part.name, date(part.start)) };
        let left = ends(part).0 + 10.0;
        let text = [with_date.as_str(), part.name].into_iter().find(|text| fits(part, text));
        if let Some(text) = text.filter(|_| left > taken) {
            canvas.text((left, frame.top + 27.0), text, TICK);
            taken = left + text_width(text, TICK.size, TICK.bold);
        }
    }
}
