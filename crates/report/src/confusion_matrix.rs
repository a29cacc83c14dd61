//! How often each class was taken for each other one.

use std::path::Path;

use plotters::style::WHITE;
use plotters::style::text_anchor::HPos;

use crate::canvas::{Canvas, TextStyle};
use crate::color_bar;
use crate::render::{save, text_width};
use crate::style::{self, INK, LABEL, MARGIN, TICK};
use crate::{Error, Result};

/// Counts of the rows of a test set by actual and predicted class.
pub struct ConfusionMatrix<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name, data set and row count; may be empty.
    pub subtitle: &'a str,
    /// One name per class, in the order of the counts; names too long for their place are shortened.
    pub classes: &'a [String],
    /// `counts[actual][predicted]`, square, one row and one column per class.
    pub counts: &'a [Vec<u64>],
}

/// The widest that class names may become, in pixels.
const NAME_ROOM: f64 = 300.0;
/// In a cell smaller than this no number can be read.
const MIN_READABLE_CELL: f64 = 44.0;

/// Beyond this a class has less than two pixels.
const MAX_CLASSES: usize = 1000;

/// Writes the matrix, coloured by the share of the row: counts in the cells up to 30 classes, row percentages up to 12.
///
/// Fails with `Error::Shape` unless there are as many rows and columns as classes, and beyond 1,000 classes.
pub fn confusion_matrix(spec: &ConfusionMatrix, stem: &Path) -> Result<()> {
    let n = spec.classes.len();
    if spec.counts.len() != n || spec.counts.iter().any(|row| row.len() != n) {
        let columns = spec.counts.iter().map(Vec::len).find(|len| *len != n).unwrap_or(n);
        let problem =
            format!("{n} class names, but {} rows of counts, and a row with {columns} columns", spec.counts.len());
        return Err(Error::Shape { picture: "confusion_matrix", problem });
    }
    if n > MAX_CLASSES {
        let problem = format!("{n} classes, at most {MAX_CLASSES} can be drawn");
        return Err(Error::Shape { picture: "confusion_matrix", problem });
    }
    let cell = cell_size(n);
    let size = cell * n as f64;
    let name_width = |name: &String| text_width(&style::shorten(name, TICK, NAME_ROOM), TICK.size, TICK.bold);
    let row_names = spec.classes.iter().map(name_width).fold(0.0, f64::max);
    let left = MARGIN + 50.0 + row_names + 14.0;
    let upright = row_names > cell - 12.0;
    let mut canvas = Canvas::new((left + size + 150.0 + MARGIN).max(900.0), 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle) + 20.0;
    let names_height = if upright { row_names } else { 24.0 };
    canvas.height = (top + size.max(120.0) + 14.0 + names_height + 60.0 + MARGIN / 2.0).ceil() as u32;
    if n == 0 {
        let middle = f64::from(canvas.width) / 2.0;
        style::draw_no_data(&mut canvas, (middle, top + 60.0));
        return save(&canvas, stem);
    }
    draw_cells(&mut canvas, spec, (left, top), cell);
    draw_names(&mut canvas, spec, (left, top), cell, upright);
    let middle = TextStyle { anchor: HPos::Center, ..LABEL };
    let x_name_y = top + size + 14.0 + names_height + 50.0;
    canvas.text((left + size / 2.0, x_name_y), "Predicted class", middle);
    canvas.text((MARGIN + 24.0, top + size / 2.0), "Actual class", TextStyle { upward: true, ..middle });
    let percents = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (share, format!("{:.0}%", share * 100.0)));
    color_bar::draw(&mut canvas, (left + size + 36.0, top), size.min(520.0), &percents, style::blue);
    save(&canvas, stem)
}

/// Small enough for the picture to be read at half its size, large enough for numbers up to 30 classes.
fn cell_size(classes: usize) -> f64 {
    match classes {
        0..=4 => 240.0,
        5..=30 => (1100.0 / classes as f64).max(56.0),
        _ => (1680.0 / classes as f64).max(1.0),
    }
}

fn draw_cells(canvas: &mut Canvas, spec: &ConfusionMatrix, (left, top): (f64, f64), cell: f64) {
    let gap = if cell >= 20.0 { 3.0 } else { 0.0 };
    let count_size = (cell * 0.26).clamp(18.0, 40.0);
    if gap == 0.0 {
        // One area for all empty cells: a large matrix is mostly empty, and the SVG should not be.
        let size = cell * spec.classes.len() as f64;
        canvas.rect(left, top, size, size, style::blue(0.0));
    }
    for (i, row) in spec.counts.iter().enumerate() {
        let total: f64 = row.iter().map(|&c| c as f64).sum();
        for (j, &count) in row.iter().enumerate() {
            let (x, y) = (left + j as f64 * cell, top + i as f64 * cell);
            let share = if total > 0.0 { count as f64 / total } else { 0.0 };
            if gap > 0.0 || count > 0 {
                canvas.rect(x, y, cell - gap, cell - gap, style::blue(share));
            }
            if cell < MIN_READABLE_CELL || (count == 0 && spec.classes.len() > 6) {
                continue;
            }
            let (x, y) = (x + (cell - gap) / 2.0, y + (cell - gap) / 2.0);
            // Where white on this blue becomes easier to read than black.
            let color = if share > 0.68 { WHITE } else { INK };
            let style = TextStyle { size: count_size, bold: true, color, anchor: HPos::Center, upward: false };
            let text = fitting_count(count, style, cell - 5.0);
            if cell < 90.0 {
                canvas.text((x, y + count_size * 0.36), &text, style);
            } else {
                let percent = if total > 0.0 { format!("{:.1}%", share * 100.0) } else { "–".to_string() };
                canvas.text((x, y - 2.0), &text, style);
                let small = TextStyle { size: (count_size * 0.78).max(20.0), bold: false, ..style };
                canvas.text((x, y + count_size * 0.95), &percent, small);
            }
        }
    }
}

/// `12,345` where it fits, else `12k`.
fn fitting_count(count: u64, style: TextStyle, room: f64) -> String {
    let full = style::grouped(count as f64, 0);
    if text_width(&full, style.size, style.bold) <= room {
        return full;
    }
    let units = [(1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let (unit, letter) = units.into_iter().find(|(unit, _)| count as f64 >= *unit).unwrap_or((1.0, ""));
    format!("{:.0}{letter}", (count as f64 / unit).floor())
}

fn draw_names(canvas: &mut Canvas, spec: &ConfusionMatrix, (left, top): (f64, f64), cell: f64, upright: bool) {
    // Every name where there is room for a line of text, else every second, third, ...
    let every = (30.0 / cell).ceil().max(1.0) as usize;
    let bottom = top + cell * spec.classes.len() as f64 + 14.0;
    for (i, name) in spec.classes.iter().enumerate().step_by(every) {
        let name = style::shorten(name, TICK, NAME_ROOM);
        let middle = (i as f64 + 0.5) * cell;
        canvas.text((left - 14.0, top + middle + 8.0), &name, TextStyle { anchor: HPos::Right, ..TICK });
        if upright {
            let style = TextStyle { anchor: HPos::Right, upward: true, ..TICK };
            canvas.text((left + middle + 8.0, bottom), &name, style);
        } else {
            canvas.text((left + middle, bottom + 20.0), &name, TextStyle { anchor: HPos::Center, ..TICK });
        }
    }
}
