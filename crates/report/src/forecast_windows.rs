//! Forecasts of single windows beside what happened.

use std::path::Path;

use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use crate::axes::{Axis, Frame, bounds};
use crate::canvas::{Canvas, TextStyle};
use crate::render::{save, text_width};
use crate::style::{self, BASELINE, INK, LABEL, LINE_WIDTH, MARGIN, MUTED, PALETTE, Swatch};
use crate::{Error, Result};

/// Windows, one panel under the other, each over its own axis of time.
pub struct ForecastWindows<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name and data set; may be empty.
    pub subtitle: &'a str,
    /// What the bands of all panels hold, e.g. `90% interval`.
    pub interval_label: &'a str,
    /// From top to bottom; the first 12 are drawn, and how many are left is said.
    pub panels: &'a [ForecastWindow<'a>],
}

/// One window of one target. Times are epoch seconds, rising.
pub struct ForecastWindow<'a> {
    /// Over the panel, e.g. `median window, MAE 214 · 2018-03-02 05:00`.
    pub title: &'a str,
    /// The target with its unit, at the end of the line over the panel.
    pub target: &'a str,
    /// The end of what the model saw.
    pub history_times: &'a [f64],
    /// As long as `history_times`.
    pub history: &'a [f64],
    /// The steps of the horizon.
    pub times: &'a [f64],
    /// What happened, as long as `times`; empty if it is not known yet.
    pub actual: &'a [f64],
    /// What the model said, as long as `times`.
    pub forecast: &'a [f64],
    /// The bounds of an interval around the forecast.
    pub interval: Option<Interval<'a>>,
}

/// The bounds of an interval for each step of a window, each as long as its `times`.
#[derive(Clone, Copy)]
pub struct Interval<'a> {
    /// Lower bounds.
    pub lower: &'a [f64],
    /// Upper bounds.
    pub upper: &'a [f64],
}

const WIDTH: f64 = 1600.0;
const PANEL_HEAD: f64 = 62.0;
const MAX_PANELS: usize = 12;
const FORECAST: RGBColor = PALETTE[1];
const INTERVAL_OPACITY: f64 = 0.2;

/// Writes forecasts over what happened, 1600 pixels wide: the end of the history, the truth, the forecast, its interval
/// and a mark where the forecast begins.
///
/// Fails with `Error::Shape` unless the slices of each panel fit together.
pub fn forecast_windows(spec: &ForecastWindows, stem: &Path) -> Result<()> {
    spec.panels.iter().try_for_each(check)?;
    let panels = &spec.panels[..spec.panels.len().min(MAX_PANELS)];
    let plot_height = match panels.len() {
        0 | 1 => 560.0,
        2 | 3 => 340.0,
        _ => 250.0,
    };
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let mut top = style::draw_legend_rows(&mut canvas, top, &legend(spec));
    let axes: Vec<Axis> = panels.iter().map(|panel| value_axis(panel, plot_height)).collect();
    let left = MARGIN + axes.iter().map(Axis::tick_width).fold(40.0, f64::max) + 14.0;
    for (panel, y) in panels.iter().zip(axes) {
        top += PANEL_HEAD;
        let (first, last) = bounds(panel.history_times.iter().chain(panel.times).copied()).unwrap_or((0.0, 1.0));
        let padding = (last - first) * 0.008;
        let x = Axis::time(first - padding, last + padding, 9);
        let frame = Frame { left, top, width: WIDTH - MARGIN - left, height: plot_height, x, y };
        draw_panel(&mut canvas, panel, &frame);
        top = frame.bottom() + 44.0;
    }
    if panels.is_empty() {
        style::draw_no_data(&mut canvas, (WIDTH / 2.0, top + 80.0));
    }
    canvas.height = (top + MARGIN / 2.0).max(400.0).ceil() as u32;
    if spec.panels.len() > panels.len() {
        let left_out = style::grouped((spec.panels.len() - panels.len()) as f64, 0);
        style::draw_footer(&mut canvas, &format!("and {left_out} more, not drawn"));
    }
    save(&canvas, stem)
}

fn check(panel: &ForecastWindow) -> Result<()> {
    let steps = panel.times.len();
    let (lower, upper) = panel.interval.map_or((steps, steps), |i| (i.lower.len(), i.upper.len()));
    let problem = if panel.history.len() != panel.history_times.len() {
        format!("{} history values, but {} times", panel.history.len(), panel.history_times.len())
    } else if panel.forecast.len() != steps || !(panel.actual.is_empty() || panel.actual.len() == steps) {
        format!("{steps} times, but {} forecasts and {} actual values", panel.forecast.len(), panel.actual.len())
    } else if (lower, upper) != (steps, steps) {
        format!("{steps} times, but {lower} lower and {upper} upper bounds")
    } else {
        return Ok(());
    };
    let problem = format!("`{}` has {problem}", panel.title);
    Err(Error::Shape { picture: "forecast_windows", problem })
}

fn legend(spec: &ForecastWindows) -> Vec<(Swatch, String)> {
    let any = |has: fn(&ForecastWindow) -> bool| spec.panels.iter().any(has);
    let mut entries = Vec::new();
    if any(|panel| !panel.history.is_empty()) {
        entries.push((Swatch::Line(BASELINE), "history".to_string()));
    }
    if any(|panel| !panel.actual.is_empty()) {
        entries.push((Swatch::Line(INK), "actual".to_string()));
    }
    if any(|panel| !panel.forecast.is_empty()) {
        entries.push((Swatch::Line(FORECAST), "forecast".to_string()));
        entries.push((Swatch::Dashed(MUTED), "start of the forecast".to_string()));
    }
    if any(|panel| panel.interval.is_some()) {
        entries.push((Swatch::Area(FORECAST, INTERVAL_OPACITY), spec.interval_label.to_string()));
    }
    entries
}

/// All numbers of a panel.
fn values<'a>(panel: &'a ForecastWindow) -> impl Iterator<Item = f64> + 'a {
    let bounds = panel.interval.into_iter().flat_map(|i| i.lower.iter().chain(i.upper));
    panel.history.iter().chain(panel.actual).chain(panel.forecast).chain(bounds).copied()
}

fn value_axis(panel: &ForecastWindow, plot_height: f64) -> Axis {
    let (low, high) = bounds(values(panel)).unwrap_or((0.0, 1.0));
    Axis::padded(low, high, (plot_height / 45.0) as usize)
}

fn draw_panel(canvas: &mut Canvas, panel: &ForecastWindow, frame: &Frame) {
    let head = TextStyle { bold: true, ..LABEL };
    let title = style::shorten(panel.title, head, frame.width * 0.75);
    canvas.text((frame.left, frame.top - 16.0), &title, head);
    let room = frame.width - text_width(&title, head.size, head.bold) - 40.0;
    let style = TextStyle { anchor: HPos::Right, color: MUTED, ..LABEL };
    canvas.text((frame.right(), frame.top - 16.0), &style::shorten_middle(panel.target, style, room), style);
    if bounds(values(panel)).is_none() {
        return style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height / 2.0));
    }
    frame.draw_grid(canvas);
    frame.draw_x_ticks(canvas);
    if let Some(interval) = panel.interval {
        let bounds = interval.lower.iter().zip(interval.upper);
        let bounds = panel.times.iter().zip(bounds).map(|(&time, (&lower, &upper))| [time, lower, upper]);
        frame.draw_broken_band(canvas, bounds, FORECAST, INTERVAL_OPACITY);
    }
    let pairs = |times: &'_ [f64], values: &'_ [f64]| -> Vec<(f64, f64)> {
        times.iter().copied().zip(values.iter().copied()).collect()
    };
    let (history, actual) = (pairs(panel.history_times, panel.history), pairs(panel.times, panel.actual));
    let across: Vec<(f64, f64)> = history.last().into_iter().chain(actual.first()).copied().collect();
    if let Some(&start) = panel.times.first().filter(|start| style::is_drawable(**start)) {
        let (x, _) = frame.at(history.last().map_or(start, |last| last.0), frame.y.low);
        canvas.dashed((x, frame.top), (x, frame.bottom()), 2.5, MUTED);
    }
    let width = if frame.width / (history.len() + panel.times.len()) as f64 > 4.0 { LINE_WIDTH } else { 2.5 };
    frame.draw_broken_curve(canvas, history.into_iter(), width - 1.0, BASELINE);
    if across.len() == 2 && across.iter().all(|(x, y)| style::is_drawable(*x) && style::is_drawable(*y)) {
        let ends: Vec<_> = across.iter().map(|(x, y)| frame.at(*x, *y)).collect();
        canvas.line(&ends, width - 1.0, INK);
    }
    frame.draw_broken_curve(canvas, actual.into_iter(), width - 1.0, INK);
    frame.draw_broken_curve(canvas, pairs(panel.times, panel.forecast).into_iter(), width, FORECAST);
}
