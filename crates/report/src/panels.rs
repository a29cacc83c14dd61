//! Columns of panels of one height: what pictures with a panel per feature share.

use plotters::style::text_anchor::HPos;

use crate::axes::{Axis, Frame};
use crate::canvas::{Canvas, TextStyle};
use crate::render::text_width;
use crate::style::{self, INK, LABEL, MARGIN, TICK};

pub(crate) const WIDTH: f64 = 1600.0;
pub(crate) const PANEL_HEIGHT: f64 = 340.0;
/// Levels beyond these have no place in a panel.
pub(crate) const MAX_LEVELS: usize = 8;
/// More panels make a picture that nobody reads to its end.
pub(crate) const MAX_PANELS: usize = 16;
const GAP: f64 = 64.0;
const HEAD: f64 = 70.0;
const TICK_ROOM: f64 = 50.0;
/// The widest that names of levels may become, in pixels.
const NAME_ROOM: f64 = 250.0;

/// Where one panel may draw: its head stands above `top`, its tick labels below `top + PANEL_HEIGHT`.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub left: f64,
    pub top: f64,
    pub width: f64,
}

/// A place for each of `count` panels below `top`, a single one as wide as the picture; and the bottom of them all.
pub(crate) fn places(count: usize, top: f64) -> (Vec<Place>, f64) {
    places_in(2, count, top)
}

/// As `places`, in at most `columns`.
pub(crate) fn places_in(columns: usize, count: usize, top: f64) -> (Vec<Place>, f64) {
    let columns = count.clamp(1, columns);
    let width = (WIDTH - 2.0 * MARGIN - GAP * (columns - 1) as f64) / columns as f64;
    let row_height = HEAD + PANEL_HEIGHT + TICK_ROOM;
    let place = |i: usize| Place {
        left: MARGIN + (i % columns) as f64 * (width + GAP),
        top: top + (i / columns) as f64 * row_height + HEAD,
        width,
    };
    ((0..count).map(place).collect(), top + count.div_ceil(columns).max(1) as f64 * row_height)
}

/// The name of a panel, and at its right what else is to be said, in `color`.
pub(crate) fn draw_head(canvas: &mut Canvas, place: Place, name: &str, remark: &str, remark_style: TextStyle) {
    let remark_width = text_width(remark, remark_style.size, remark_style.bold);
    let (start, end) = ((place.left, place.top - 20.0), (place.left + place.width, place.top - 20.0));
    canvas.text(end, remark, TextStyle { anchor: HPos::Right, ..remark_style });
    let bold = TextStyle { bold: true, ..LABEL };
    canvas.text(start, &style::shorten_middle(name, bold, place.width - remark_width - 24.0), bold);
}

/// A frame whose y axis has numbers.
pub(crate) fn number_frame(place: Place, x: Axis, y: Axis) -> Frame {
    let indent = y.tick_width().max(30.0) + 14.0;
    Frame { left: place.left + indent, top: place.top, width: place.width - indent, height: PANEL_HEIGHT, x, y }
}

/// A frame with a row per level, the names at its left and a note at its right; and the middle of each row.
pub(crate) fn level_frame(
    canvas: &mut Canvas,
    place: Place,
    x: Axis,
    names: &[&str],
    notes: &[String],
) -> (Frame, Vec<f64>) {
    let names: Vec<String> = names.iter().map(|name| style::shorten_middle(name, TICK, NAME_ROOM)).collect();
    let widest = |texts: &[String]| texts.iter().map(|t| text_width(t, TICK.size, false)).fold(0.0, f64::max);
    let indent = widest(&names).max(60.0) + 16.0;
    let room = if notes.is_empty() { 0.0 } else { widest(notes) + 16.0 };
    let (left, width) = (place.left + indent, place.width - indent - room);
    let frame = Frame { left, top: place.top, width, height: PANEL_HEIGHT, x, y: Axis::unlabelled() };
    let row = PANEL_HEIGHT / names.len().max(3) as f64;
    let middles: Vec<f64> = (0..names.len()).map(|i| place.top + row * (i as f64 + 0.5)).collect();
    for (name, middle) in names.iter().zip(&middles) {
        let style = TextStyle { anchor: HPos::Right, color: INK, ..TICK };
        canvas.text((left - 16.0, middle + 8.5), name, style);
    }
    for (note, middle) in notes.iter().zip(&middles) {
        let style = TextStyle { anchor: HPos::Right, ..TICK };
        canvas.text((place.left + place.width, middle + 8.5), note, style);
    }
    (frame, middles)
}

/// `and 4 more, not drawn`, under all panels.
pub(crate) fn draw_more(canvas: &mut Canvas, drawn: usize, all: usize) {
    if all > drawn {
        style::draw_footer(canvas, &format!("and {} more, not drawn", style::grouped((all - drawn) as f64, 0)));
    }
}
