//! At which hours, on which weekdays and for which series a forecast errs most.

use std::path::Path;

use plotters::style::text_anchor::HPos;

use crate::Result;
use crate::axes::{Axis, Frame, bounds};
use crate::canvas::{Canvas, TextStyle};
use crate::render::{save, text_width};
use crate::style::{self, BASELINE, INK, LABEL, MARGIN, MUTED, PALETTE, Swatch, TICK};

/// One metric of a forecast for groups of its rows.
pub struct ErrorBySlot<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. data set and number of windows; may be empty.
    pub subtitle: &'a str,
    /// The metric with its unit, e.g. `MAE (vehicles per hour)`; low is good.
    pub metric: &'a str,
    /// The metric on all rows, drawn as a line; NaN if unknown.
    pub overall: f64,
    /// What the intervals are, for the legend, e.g. `95% interval`; may be empty.
    pub interval_label: &'a str,
    /// From top to bottom; those with up to 14 slots stand two in a row.
    pub panels: &'a [SlotPanel<'a>],
}

/// One way to group the rows.
pub struct SlotPanel<'a> {
    /// E.g. `By hour of the day`.
    pub title: &'a str,
    /// From left to right; the first 48 are drawn.
    pub slots: &'a [SlotError<'a>],
}

/// The rows of one slot.
pub struct SlotError<'a> {
    /// E.g. `13`, `Tue`, or the name of a series.
    pub name: &'a str,
    /// Rows in the slot, shown where there is room.
    pub count: u64,
    /// The metric; no bar if NaN.
    pub value: f64,
    /// The ends of the error bar, low and high.
    pub interval: Option<(f64, f64)>,
}

const WIDTH: f64 = 1600.0;
const PANEL_HEIGHT: f64 = 340.0;
const HEAD: f64 = 64.0;
const GAP: f64 = 56.0;
/// A panel of more slots takes the whole width.
const MAX_HALF: usize = 14;
const MAX_SLOTS: usize = 48;
/// The longest that upright names may become, in pixels.
const UPRIGHT_ROOM: f64 = 240.0;

/// Writes a panel of bars for each way to group the rows, all on one scale that begins at 0.
pub fn error_by_slot(spec: &ErrorBySlot, stem: &Path) -> Result<()> {
    let (low, high) = bounds(spec.panels.iter().flat_map(ends).chain([spec.overall, 0.0])).unwrap_or((0.0, 1.0));
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let mut top = style::draw_legend_rows(&mut canvas, top, &legend(spec));
    let is_half = |panel: &SlotPanel| panel.slots.len() <= MAX_HALF;
    let mut rest = spec.panels;
    while !rest.is_empty() {
        let is_pair = rest.len() > 1 && is_half(&rest[0]) && is_half(&rest[1]);
        let (row, after) = rest.split_at(if is_pair { 2 } else { 1 });
        let columns = if is_half(&row[0]) && spec.panels.len() > 1 { 2.0 } else { 1.0 };
        let width = (WIDTH - 2.0 * MARGIN - GAP * (columns - 1.0)) / columns;
        let mut bottom = 0.0;
        for (i, panel) in row.iter().enumerate() {
            let start = MARGIN + i as f64 * (width + GAP);
            let end = draw_panel(&mut canvas, spec, panel, (start, top + HEAD, width), value_axis(low, high));
            bottom = f64::max(bottom, end);
        }
        top = bottom + 20.0;
        rest = after;
    }
    if spec.panels.is_empty() {
        style::draw_no_data(&mut canvas, (WIDTH / 2.0, top + 80.0));
        top += 160.0;
    }
    canvas.height = (top + MARGIN / 2.0).ceil() as u32;
    save(&canvas, stem)
}

fn drawn<'a, 'b>(panel: &'b SlotPanel<'a>) -> &'b [SlotError<'a>] {
    &panel.slots[..panel.slots.len().min(MAX_SLOTS)]
}

fn interval(slot: &SlotError) -> Option<(f64, f64)> {
    slot.interval.filter(|(low, high)| style::is_drawable(*low) && style::is_drawable(*high))
}

fn ends(panel: &SlotPanel) -> Vec<f64> {
    drawn(panel).iter().flat_map(|slot| interval(slot).map_or([slot.value; 2], |(low, high)| [low, high])).collect()
}

/// Room beyond the bars on the sides that have some.
fn value_axis(low: f64, high: f64) -> Axis {
    if low == high {
        return Axis::linear(0.0, 1.0, 5);
    }
    let padding = (high - low) * 0.06;
    let or_zero = |value: f64, moved: f64| if value == 0.0 { 0.0 } else { moved };
    Axis::linear(or_zero(low, low - padding), or_zero(high, high + padding), 5)
}

fn legend(spec: &ErrorBySlot) -> Vec<(Swatch, String)> {
    let metric = style::shorten(spec.metric, LABEL, WIDTH / 2.0);
    let mut entries = vec![(Swatch::Area(PALETTE[0], 1.0), metric)];
    if style::is_drawable(spec.overall) {
        entries.push((Swatch::Dashed(MUTED), format!("all rows ({})", style::significant(spec.overall))));
    }
    let has_intervals = spec.panels.iter().flat_map(drawn).any(|slot| interval(slot).is_some());
    if has_intervals && !spec.interval_label.is_empty() {
        entries.push((Swatch::Whisker(INK), spec.interval_label.to_string()));
    }
    entries
}

/// Returns where the panel ends.
fn draw_panel(
    canvas: &mut Canvas,
    spec: &ErrorBySlot,
    panel: &SlotPanel,
    (start, top, width): (f64, f64, f64),
    y: Axis,
) -> f64 {
    let slots = drawn(panel);
    let indent = y.tick_width().max(40.0) + 14.0;
    let x = Axis::columns(slots.len());
    let frame = Frame { left: start + indent, top, width: width - indent, height: PANEL_HEIGHT, x, y };
    let bold = TextStyle { bold: true, ..LABEL };
    let more = panel.slots.len() - slots.len();
    let title = if more > 0 { format!("{}, {more} more not drawn", panel.title) } else { panel.title.to_string() };
    canvas.text((start, top - 20.0), &style::shorten(&title, bold, width), bold);
    frame.draw_grid(canvas);
    let bottom = draw_names(canvas, &frame, slots);
    let cell = frame.width / slots.len().max(1) as f64;
    let bar = (cell * 0.7).min(110.0);
    for (i, slot) in slots.iter().enumerate().filter(|(_, slot)| style::is_drawable(slot.value)) {
        let ((middle, end), (_, zero)) = (frame.at(i as f64, slot.value), frame.at(i as f64, 0.0));
        canvas.rect(middle - bar / 2.0, end.min(zero), bar, (end - zero).abs().max(1.0), PALETTE[0]);
        if let Some((low, high)) = interval(slot) {
            canvas.whisker(frame.at(i as f64, low), frame.at(i as f64, high), INK);
        }
    }
    let (_, zero) = frame.at(0.0, 0.0);
    canvas.line(&[(frame.left, zero), (frame.right(), zero)], 2.0, BASELINE);
    if style::is_drawable(spec.overall) {
        let (_, y) = frame.at(0.0, spec.overall);
        canvas.dashed((frame.left, y), (frame.right(), y), 2.5, MUTED);
    }
    if bounds(slots.iter().map(|slot| slot.value)).is_none() {
        style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
    bottom
}

/// The names under their bars, upright where one is wider than its bar, and the numbers of rows if all fit; returns where
/// they end.
fn draw_names(canvas: &mut Canvas, frame: &Frame, slots: &[SlotError]) -> f64 {
    let cell = frame.width / slots.len().max(1) as f64;
    let width_of = |text: &str| text_width(text, TICK.size, TICK.bold);
    let is_upright = slots.iter().any(|slot| width_of(slot.name) + 10.0 > cell);
    let room = if is_upright { UPRIGHT_ROOM } else { cell };
    let names: Vec<String> = slots.iter().map(|slot| style::shorten_middle(slot.name, TICK, room)).collect();
    let x = |i: usize| frame.at(i as f64, 0.0).0;
    let centered = TextStyle { anchor: HPos::Center, color: INK, ..TICK };
    let upright = TextStyle { anchor: HPos::Right, upward: true, ..centered };
    for (i, name) in names.iter().enumerate() {
        if is_upright {
            canvas.text((x(i) + 8.0, frame.bottom() + 14.0), name, upright);
        } else {
            canvas.text((x(i), frame.bottom() + 36.0), name, centered);
        }
    }
    if is_upright {
        return frame.bottom() + 20.0 + names.iter().map(|name| width_of(name)).fold(0.0, f64::max);
    }
    let counts: Vec<String> = slots.iter().map(|slot| format!("n {}", style::grouped(slot.count as f64, 0))).collect();
    if counts.iter().any(|count| width_of(count) + 10.0 > cell) {
        return frame.bottom() + 44.0;
    }
    for (i, count) in counts.iter().enumerate() {
        canvas.text((x(i), frame.bottom() + 66.0), count, TextStyle { color: TICK.color, ..centered });
    }
    frame.bottom() + 74.0
}
