//! One metric on parts of the rows: where the model is worse than on the whole.

use std::path::Path;

use plotters::style::text_anchor::HPos;
use plotters::style::{RGBColor, WHITE};

use crate::Result;
use crate::axes::{Axis, Frame, bounds};
use crate::canvas::{Canvas, TextStyle};
use crate::render::{save, text_width};
use crate::style::{self, INK, MARGIN, MUTED, PALETTE, Swatch, TICK};

/// One metric of each slice.
pub struct SliceScores<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name, split and row count; may be empty.
    pub subtitle: &'a str,
    /// The metric with its unit, e.g. `ROC AUC`.
    pub metric: &'a str,
    /// Decides which side of `overall` is worse.
    pub lower_is_better: bool,
    /// The metric on all rows, drawn as a line; NaN if unknown.
    pub overall: f64,
    /// What the intervals are, for the legend, e.g. `95% interval, 1,000 bootstrap samples`; may be empty.
    pub interval_label: &'a str,
    /// From top to bottom, usually the worst first; the first 40 are drawn.
    pub slices: &'a [SliceScore<'a>],
}

/// The score on the rows of one slice.
pub struct SliceScore<'a> {
    /// E.g. `sex=Female`, `age (28, 37]`; a name too long for its place loses letters in the middle.
    pub name: &'a str,
    /// Rows in the slice.
    pub count: u64,
    /// The metric; marked `n/a` if NaN, e.g. because the slice has one class only.
    pub value: f64,
    /// The ends of the error bar, low and high.
    pub interval: Option<(f64, f64)>,
}

const WIDTH: f64 = 1400.0;
const ROW: f64 = 46.0;
const MAX_ROWS: usize = 40;
/// The widest that names may become, in pixels.
const NAME_ROOM: f64 = 400.0;
const WORSE: RGBColor = PALETTE[1];
const BETTER: RGBColor = PALETTE[2];

/// Writes a row per slice: name, number of rows, a dot with its interval, and both as text. Coloured where the whole
/// interval lies on one side of the metric on all rows.
pub fn slice_scores(spec: &SliceScores, stem: &Path) -> Result<()> {
    let shown = &spec.slices[..spec.slices.len().min(MAX_ROWS)];
    let ends = |s: &SliceScore| interval(s).map_or([s.value; 2], |(low, high)| [low.min(s.value), high.max(s.value)]);
    let (low, high) = bounds(shown.iter().flat_map(ends).chain([spec.overall])).unwrap_or((0.0, 1.0));
    let texts: Vec<[String; 3]> = shown.iter().map(|slice| texts(slice, low.abs().max(high.abs()))).collect();
    let width_of = |text: &str| text_width(text, TICK.size, TICK.bold);
    let widest = |column: usize| texts.iter().map(|t| width_of(&t[column])).fold(0.0, f64::max);
    let names: Vec<String> = shown.iter().map(|slice| style::shorten_middle(slice.name, TICK, NAME_ROOM)).collect();
    let names_end = MARGIN + names.iter().map(|name| width_of(name)).fold(120.0, f64::max);
    let counts_end = names_end + 28.0 + widest(0).max(width_of("rows"));
    let left = counts_end + 22.0;
    let right = WIDTH - MARGIN - widest(1) - widest(2) - 44.0;

    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &legend(spec, shown)) + 58.0;
    let (x, y) = (value_axis(low, high, right - left), Axis::unlabelled());
    let frame = Frame { left, top, width: right - left, height: ROW * shown.len().max(3) as f64, x, y };
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;
    frame.draw_grid(&mut canvas);
    let direction = if spec.lower_is_better { "lower" } else { "higher" };
    frame.draw_wide_x_labels(&mut canvas, &format!("{} ({direction} is better)", spec.metric));
    let right_aligned = TextStyle { anchor: HPos::Right, ..TICK };
    canvas.text((counts_end, frame.top - 12.0), "rows", right_aligned);
    if style::is_drawable(spec.overall) {
        let (x, _) = frame.at(spec.overall, 0.0);
        canvas.dashed((x, frame.top), (x, frame.bottom()), 2.5, PALETTE[0]);
    }
    for (i, slice) in shown.iter().enumerate() {
        let middle = frame.top + ROW * (i as f64 + 0.5);
        let baseline = middle + 8.5;
        draw_slice(&mut canvas, spec, &frame, slice, middle);
        let ink = TextStyle { color: INK, ..right_aligned };
        canvas.text((names_end, baseline), &names[i], ink);
        canvas.text((counts_end, baseline), &texts[i][0], right_aligned);
        canvas.text((WIDTH - MARGIN - widest(2) - 14.0, baseline), &texts[i][1], ink);
        canvas.text((WIDTH - MARGIN, baseline), &texts[i][2], right_aligned);
    }
    if shown.is_empty() {
        style::draw_no_data(&mut canvas, (frame.left + frame.width / 2.0, frame.top + frame.height / 2.0));
    }
    if spec.slices.len() > shown.len() {
        let more = style::grouped((spec.slices.len() - shown.len()) as f64, 0);
        style::draw_footer(&mut canvas, &format!("and {more} more"));
    }
    save(&canvas, stem)
}

fn interval(slice: &SliceScore) -> Option<(f64, f64)> {
    slice.interval.filter(|(low, high)| style::is_drawable(*low) && style::is_drawable(*high))
}

/// With as many ticks as have room.
fn value_axis(low: f64, high: f64, width: f64) -> Axis {
    let fits = |axis: &Axis| (axis.tick_width() + 24.0) * axis.ticks.len() as f64 <= width;
    let mut axes = (3..=6).rev().map(|count| Axis::padded(low, high, count));
    axes.find(fits).unwrap_or_else(|| Axis::padded(low, high, 2))
}

/// Rows, value and interval.
fn texts(slice: &SliceScore, largest: f64) -> [String; 3] {
    let number = |v: f64| style::column_number(v, largest);
    let interval = interval(slice).map_or(String::new(), |(low, high)| format!("[{}, {}]", number(low), number(high)));
    [style::grouped(slice.count as f64, 0), number(slice.value), interval]
}

fn color(spec: &SliceScores, slice: &SliceScore) -> RGBColor {
    let Some((low, high)) = interval(slice).filter(|_| style::is_drawable(spec.overall)) else { return MUTED };
    let (is_below, is_above) = (high < spec.overall, low > spec.overall);
    match (is_below, is_above, spec.lower_is_better) {
        (true, _, false) | (_, true, true) => WORSE,
        (true, _, true) | (_, true, false) => BETTER,
        _ => MUTED,
    }
}

fn legend(spec: &SliceScores, shown: &[SliceScore]) -> Vec<(Swatch, String)> {
    let mut entries = Vec::new();
    if style::is_drawable(spec.overall) {
        entries.push((Swatch::Dashed(PALETTE[0]), format!("all rows ({})", style::significant(spec.overall))));
    }
    for (of, text) in [(WORSE, "worse than all rows"), (BETTER, "better than all rows")] {
        if shown.iter().any(|slice| color(spec, slice) == of) {
            entries.push((Swatch::Dot(of), text.to_string()));
        }
    }
    if !spec.interval_label.is_empty() && shown.iter().any(|slice| interval(slice).is_some()) {
        entries.push((Swatch::Whisker(MUTED), spec.interval_label.to_string()));
    }
    entries
}

fn draw_slice(canvas: &mut Canvas, spec: &SliceScores, frame: &Frame, slice: &SliceScore, middle: f64) {
    if !style::is_drawable(slice.value) {
        return;
    }
    let color = color(spec, slice);
    let at = |value: f64| (frame.at(value, 0.0).0, middle);
    if let Some((low, high)) = interval(slice) {
        canvas.whisker(at(low), at(high), color);
    }
    canvas.dot(at(slice.value), 11.0, WHITE, 1.0);
    canvas.dot(at(slice.value), 9.0, color, 1.0);
}
