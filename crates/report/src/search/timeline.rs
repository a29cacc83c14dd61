//! When each trial ran, and beside which others.

use std::path::Path;

use plotters::style::text_anchor::HPos;
use plotters::style::{RGBColor, WHITE};

use crate::Result;
use crate::axes::{Axis, Frame};
use crate::canvas::{Canvas, TextStyle};
use crate::render::{save, text_width};
use crate::style::{self, BASELINE, MARGIN, PALETTE, Swatch, TICK};

use super::{FAILED, Search, SearchState, SearchTrial, WINNER};

const WIDTH: f64 = 1600.0;
/// More trials at once than these are not drawn.
const MAX_ROWS: usize = 64;

/// A trial with the times between which it is drawn.
struct Bar<'a> {
    trial: &'a SearchTrial<'a>,
    /// Seconds since the first trial began.
    start: f64,
    end: f64,
    row: usize,
}

/// Writes a bar per trial from its start to its end; trials that ran at once stand in different rows. A trial without an end
/// goes on to the last time known.
pub fn search_timeline(spec: &Search, stem: &Path) -> Result<()> {
    spec.check("search_timeline")?;
    let bars = pack(spec.trials);
    let rows = bars.iter().map(|bar| bar.row + 1).max().unwrap_or(1);
    let shown = rows.min(MAX_ROWS);
    let row = (1_000.0 / shown as f64).min(if shown == 1 { 90.0 } else { 58.0 });
    let seconds = bars.iter().map(|bar| bar.end).fold(0.0, f64::max);
    let (unit, name) = unit(seconds);
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &legend(spec, &bars)) + 24.0;
    let end = if seconds > 0.0 { seconds / unit } else { 1.0 };
    let (x, y) = (Axis::linear(0.0, end * 1.01, 10), rows_axis(shown, row));
    let left = MARGIN + 40.0 + y.tick_width() + 22.0;
    let frame = Frame { left, top, width: WIDTH - MARGIN - left, height: row * shown as f64, x, y };
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;

    draw_frame(&mut canvas, &frame, shown);
    frame.draw_x_labels(&mut canvas, &format!("{name} since the first trial began"));
    let best = spec.winner().map(|(trial, _)| trial.number);
    for bar in bars.iter().filter(|bar| bar.row < MAX_ROWS) {
        let has_number = Some(bar.trial.number) != best;
        draw_bar(&mut canvas, &frame, bar, unit, (row, has_number));
    }
    if let Some(bar) = bars.iter().find(|bar| Some(bar.trial.number) == best && bar.row < MAX_ROWS) {
        let (middle, y) = frame.at((bar.start + bar.end) / 2.0 / unit, (shown - 1 - bar.row) as f64);
        canvas.diamond((middle, y), (row * 0.34).clamp(9.0, 16.0), WINNER);
    }
    if bars.is_empty() {
        style::draw_no_data(&mut canvas, (frame.left + frame.width / 2.0, frame.top + frame.height / 2.0));
    }
    draw_rest(&mut canvas, spec, &bars);
    save(&canvas, stem)
}

/// Each trial in the first row that is free when it begins.
fn pack<'a>(trials: &'a [SearchTrial<'a>]) -> Vec<Bar<'a>> {
    let mut timed: Vec<&SearchTrial> = trials.iter().filter(|trial| style::is_drawable(trial.start_seconds)).collect();
    timed.sort_by(|a, b| a.start_seconds.total_cmp(&b.start_seconds).then(a.number.cmp(&b.number)));
    let times = timed.iter().flat_map(|trial| [trial.start_seconds, trial.end_seconds]);
    let last = times.filter(|time| style::is_drawable(*time)).fold(f64::MIN, f64::max);
    let first = timed.first().map_or(0.0, |trial| trial.start_seconds);
    let mut free_from: Vec<f64> = Vec::new();
    let mut bars = Vec::with_capacity(timed.len());
    for trial in timed {
        let is_open = trial.state == SearchState::Running || !style::is_drawable(trial.end_seconds);
        let end = if is_open { last } else { trial.end_seconds.max(trial.start_seconds) };
        let row = free_from.iter().position(|free| *free <= trial.start_seconds).unwrap_or(free_from.len());
        if row == free_from.len() {
            free_from.push(end);
        } else {
            free_from[row] = end;
        }
        bars.push(Bar { trial, start: trial.start_seconds - first, end: end - first, row });
    }
    bars
}

/// The length of a unit in which `seconds` is a number of one to three digits, and its name.
fn unit(seconds: f64) -> (f64, &'static str) {
    match seconds {
        s if s <= 180.0 => (1.0, "seconds"),
        s if s <= 3.0 * 3_600.0 => (60.0, "minutes"),
        s if s <= 3.0 * 86_400.0 => (3_600.0, "hours"),
        _ => (86_400.0, "days"),
    }
}

/// Row 1 on top; a number where rows have room.
fn rows_axis(count: usize, row: f64) -> Axis {
    let every = (30.0 / row).ceil() as usize;
    let name = |i: usize| if i.is_multiple_of(every) { (i + 1).to_string() } else { String::new() };
    let names: Vec<String> = (0..count).rev().map(name).collect();
    Axis::named(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn color(state: SearchState) -> RGBColor {
    match state {
        SearchState::Complete => PALETTE[0],
        SearchState::Pruned => BASELINE,
        SearchState::Failed => FAILED,
        SearchState::Running => PALETTE[2],
    }
}

fn legend(spec: &Search, bars: &[Bar]) -> Vec<(Swatch, String)> {
    let mut entries: Vec<(Swatch, String)> = spec.winner_entry().into_iter().collect();
    let states = [
        (SearchState::Complete, "complete"),
        (SearchState::Pruned, "pruned"),
        (SearchState::Failed, "failed"),
        (SearchState::Running, "running"),
    ];
    for (state, name) in states {
        let count = bars.iter().filter(|bar| bar.trial.state == state).count();
        if count > 0 {
            let text = format!("{name} ({})", style::grouped(count as f64, 0));
            entries.push((Swatch::Area(color(state), 1.0), text));
        }
    }
    entries
}

/// Grid lines at times only: the bars show the rows.
fn draw_frame(canvas: &mut Canvas, frame: &Frame, rows: usize) {
    let grid = Frame { x: Axis::shares(shares(&frame.x)), y: Axis::unlabelled(), ..*frame };
    grid.draw_grid(canvas);
    frame.draw_y_ticks(canvas);
    let name = if rows > 3 { "trials at once" } else { "" };
    frame.draw_y_name(canvas, name);
}

fn shares(axis: &Axis) -> Vec<(f64, String)> {
    axis.ticks.iter().map(|(value, label)| (axis.share(*value), label.clone())).collect()
}

/// With the trial's number, where it has room; the winner's diamond takes its place.
fn draw_bar(canvas: &mut Canvas, frame: &Frame, bar: &Bar, unit: f64, (row, has_number): (f64, bool)) {
    let height = if row > 8.0 { row * 0.78 } else { row - 1.0 };
    let y = (frame.y.high - 0.5) - bar.row as f64;
    let ((start, middle), (end, _)) = (frame.at(bar.start / unit, y), frame.at(bar.end / unit, y));
    // A hair of ground between neighbours.
    let width = (end - start - 1.5).max(1.5);
    canvas.rect(start, middle - height / 2.0, width, height, color(bar.trial.state));
    let number = bar.trial.number.to_string();
    let style = TextStyle { color: WHITE, anchor: HPos::Center, size: 22.0, ..TICK };
    if has_number && height >= 26.0 && text_width(&number, style.size, style.bold) + 10.0 <= width {
        canvas.text((start + width / 2.0, middle + 8.0), &number, style);
    }
}

fn draw_rest(canvas: &mut Canvas, spec: &Search, bars: &[Bar]) {
    let untimed = spec.trials.len() - bars.len();
    let beyond = bars.iter().filter(|bar| bar.row >= MAX_ROWS).count();
    let text = |count: usize, what: &str| (count > 0).then(|| format!("{} {what}", style::grouped(count as f64, 0)));
    let parts = [text(untimed, "trials without a start"), text(beyond, "trials beside too many others")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if !parts.is_empty() {
        style::draw_footer(canvas, &format!("not drawn: {}", parts.join(", ")));
    }
}
