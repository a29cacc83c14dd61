//! The learning rate over a run, and the test that finds one.

use std::path::Path;

use plotters::style::WHITE;

use crate::axes::{Axis, Frame, bounds};
use crate::canvas::Canvas;
use crate::render::save;
use crate::style::{self, BAND, FADED, LINE_WIDTH, MARGIN, MUTED, PALETTE, Swatch};
use crate::{Error, Result};

/// The learning rate of every step or epoch of a run.
pub struct LearningRateSchedule<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name and kind of schedule; may be empty.
    pub subtitle: &'a str,
    /// `rates[i]` belongs to step `i + 1`, or to epoch `i + 1` where `steps_per_epoch` is `None`.
    pub rates: &'a [f64],
    /// Optimizer steps in one epoch; `None` if there is one rate per epoch.
    pub steps_per_epoch: Option<usize>,
    /// The rates at the start that belong to the warm-up, in steps or epochs as `rates`; 0 for none.
    pub warmup: usize,
    /// 1-based; a dashed line at its end. Not drawn beyond the last rate.
    pub best_epoch: Option<usize>,
}

/// The losses of a learning rate range test (Smith, Cyclical Learning Rates, 2017): one step per rate.
pub struct LearningRateFinder<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name and data set; may be empty.
    pub subtitle: &'a str,
    /// The loss, e.g. `Cross-entropy loss`.
    pub loss: &'a str,
    /// Above 0, ascending.
    pub rates: &'a [f64],
    /// The loss of the batch at each rate, drawn faintly; as long as `rates`.
    pub losses: &'a [f64],
    /// The losses without noise, as long as `rates` or empty.
    pub smoothed: &'a [f64],
    /// The rate to take.
    pub suggestion: Option<f64>,
}

const WIDTH: f64 = 1400.0;
const PLOT_HEIGHT: f64 = 580.0;

/// Writes the learning rate over the steps or epochs, on a log axis where it spans two to five decades.
///
/// Beyond five it ends at about 0, as a cosine does; a log axis would show little else than that end.
pub fn learning_rate_schedule(spec: &LearningRateSchedule, stem: &Path) -> Result<()> {
    let range = bounds(spec.rates.iter().copied());
    let (low, high) = range.unwrap_or((0.0, 1.0));
    let y = if low > 1e-100 && (99.0..1.01e5).contains(&(high / low)) {
        Axis::log(low / 1.3, high * 1.3)
    } else if is_low_end_zero(low, high) {
        Axis::linear(0.0, high * 1.05, 6)
    } else {
        Axis::padded(low, high, 6)
    };
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &schedule_legend(spec)) + 28.0;
    let frame = frame_below(&mut canvas, top, step_axis(spec.rates.len()), y);
    let warmup = spec.warmup.min(spec.rates.len());
    if warmup > 0 {
        let (end, _) = frame.at(warmup as f64, frame.y.low);
        canvas.rect(frame.left, frame.top, end - frame.left, frame.height, BAND);
    }
    frame.draw_grid(&mut canvas);
    frame.draw_x_labels(
        &mut canvas,
        &match spec.steps_per_epoch {
            Some(steps) => format!("optimizer step ({} per epoch)", style::grouped(steps as f64, 0)),
            None => "epoch".to_string(),
        },
    );
    frame.draw_y_name(&mut canvas, "Learning rate");
    if let Some((_, step)) = best_step(spec) {
        let (x, _) = frame.at(step as f64, frame.y.low);
        canvas.dashed((x, frame.top), (x, frame.bottom()), 2.5, MUTED);
    }
    let values = spec.rates.iter().enumerate().map(|(i, rate)| ((i + 1) as f64, *rate));
    frame.draw_curve(&mut canvas, values, LINE_WIDTH, PALETTE[0]);
    let peak = peak(spec).map(|(step, rate)| (step, rate, PALETTE[1]));
    for (step, rate, color) in last(spec).map(|rate| (spec.rates.len(), rate, MUTED)).into_iter().chain(peak) {
        canvas.dot(frame.at(step as f64, rate), 11.0, WHITE, 1.0);
        canvas.dot(frame.at(step as f64, rate), 8.0, color, 1.0);
    }
    if range.is_none() {
        style::draw_no_data(&mut canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
    save(&canvas, stem)
}

/// Whether a schedule goes down to about 0, which then belongs on the axis.
fn is_low_end_zero(low: f64, high: f64) -> bool {
    low >= 0.0 && high > 1e-200 && low <= high * 0.5
}

/// The frame of a single plot, and the height that the canvas needs for it.
fn frame_below(canvas: &mut Canvas, top: f64, x: Axis, y: Axis) -> Frame {
    let left = MARGIN + 50.0 + y.tick_width().max(40.0) + 14.0;
    let frame = Frame { left, top, width: WIDTH - MARGIN - left, height: PLOT_HEIGHT, x, y };
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;
    frame
}

fn step_axis(steps: usize) -> Axis {
    let span = (steps.max(1) - 1) as f64;
    let padding = (span * 0.015).max(0.2);
    let mut axis = Axis::whole(1.0 - padding, 1.0 + span + padding, 8);
    axis.ticks.retain(|(step, _)| *step >= 1.0);
    axis
}

/// The best epoch, and the step at its end.
fn best_step(spec: &LearningRateSchedule) -> Option<(usize, usize)> {
    let epoch = spec.best_epoch?;
    let step = epoch.checked_mul(spec.steps_per_epoch.unwrap_or(1))?;
    (1..=spec.rates.len()).contains(&step).then_some((epoch, step))
}

/// The first step with the highest rate.
fn peak(spec: &LearningRateSchedule) -> Option<(usize, f64)> {
    let (_, high) = bounds(spec.rates.iter().copied())?;
    spec.rates.iter().position(|rate| *rate == high).map(|i| (i + 1, high))
}

/// The last rate, where it is not the only one.
fn last(spec: &LearningRateSchedule) -> Option<f64> {
    spec.rates.get(1..)?.last().copied().filter(|rate| style::is_drawable(*rate))
}

fn schedule_legend(spec: &LearningRateSchedule) -> Vec<(Swatch, String)> {
    let unit = if spec.steps_per_epoch.is_some() { "step" } else { "epoch" };
    let mut entries = vec![(Swatch::Line(PALETTE[0]), "learning rate".to_string())];
    if let Some((step, rate)) = peak(spec) {
        let text = format!("highest: {} at {unit} {}", style::significant(rate), style::grouped(step as f64, 0));
        entries.push((Swatch::Dot(PALETTE[1]), text));
    }
    if let Some(rate) = last(spec) {
        entries.push((Swatch::Dot(MUTED), format!("last: {}", style::significant(rate))));
    }
    let warmup = spec.warmup.min(spec.rates.len());
    if warmup > 0 {
        let plural = if warmup == 1 { "" } else { "s" };
        let text = format!("warm-up: {} {unit}{plural}", style::grouped(warmup as f64, 0));
        entries.push((Swatch::Area(FADED, 1.0), text));
    }
    if let Some((epoch, _)) = best_step(spec) {
        entries.push((Swatch::Dashed(MUTED), format!("best epoch: {}", style::grouped(epoch as f64, 0))));
    }
    entries
}

/// Writes the loss over the learning rate, which has a log axis; where the loss explodes the curves leave the picture.
///
/// Fails with `Error::Shape` unless the slices have one length (`smoothed` may be empty).
pub fn learning_rate_finder(spec: &LearningRateFinder, stem: &Path) -> Result<()> {
    let (rates, losses, smoothed) = (spec.rates.len(), spec.losses.len(), spec.smoothed.len());
    if losses != rates || (smoothed != rates && smoothed != 0) {
        let problem = format!("{rates} rates, but {losses} losses and {smoothed} smoothed ones");
        return Err(Error::Shape { picture: "learning_rate_finder", problem });
    }
    let raw = curve(spec.rates, spec.losses);
    let smooth = curve(spec.rates, spec.smoothed);
    let (low, high) = loss_range(if smooth.is_empty() { &raw } else { &smooth }, &raw);
    let y = Axis::padded(low, high, 6);
    let mut parts: Vec<_> = visible_parts(&raw, y.high).into_iter().map(|part| (part, true)).collect();
    parts.extend(visible_parts(&smooth, y.high).into_iter().map(|part| (part, false)));
    let ends = bounds(parts.iter().flat_map(|(part, _)| part).map(|p| p.0));
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &finder_legend(spec)) + 28.0;
    let frame = frame_below(&mut canvas, top, rate_axis(ends), y);

    frame.draw_grid(&mut canvas);
    frame.draw_x_labels(&mut canvas, "learning rate, on a log scale");
    frame.draw_y_name(&mut canvas, spec.loss);
    for (part, is_raw) in parts {
        let (width, color) = if is_raw && !smooth.is_empty() { (2.5, FADED) } else { (LINE_WIDTH, PALETTE[0]) };
        frame.draw_curve(&mut canvas, part.into_iter(), width, color);
    }
    if let Some(rate) = suggestion(spec) {
        let (x, _) = frame.at(rate, frame.y.low);
        canvas.dashed((x, frame.top), (x, frame.bottom()), 3.0, PALETTE[1]);
        let on_curve = (if smooth.is_empty() { &raw } else { &smooth }).iter().find(|p| p.0 >= rate);
        if let Some(&(_, loss)) = on_curve.filter(|p| p.1 <= frame.y.high) {
            canvas.dot(frame.at(rate, loss), 11.0, WHITE, 1.0);
            canvas.dot(frame.at(rate, loss), 8.0, PALETTE[1], 1.0);
        }
    }
    if ends.is_none() {
        style::draw_no_data(&mut canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
    save(&canvas, stem)
}

/// What a log axis can show.
fn is_rate(value: f64) -> bool {
    style::is_drawable(value) && value > 1e-100
}

fn curve(rates: &[f64], losses: &[f64]) -> Vec<(f64, f64)> {
    let pairs = rates.iter().copied().zip(losses.iter().copied());
    pairs.filter(|(rate, loss)| is_rate(*rate) && style::is_drawable(*loss)).collect()
}

/// The suggested rate where it lies among those tried.
fn suggestion(spec: &LearningRateFinder) -> Option<f64> {
    let (low, high) = bounds(spec.rates.iter().copied().filter(|rate| is_rate(*rate)))?;
    spec.suggestion.filter(|rate| (low..=high).contains(rate))
}

/// From the lowest loss to somewhat above the highest one before it: not to where the loss explodes.
fn loss_range(main: &[(f64, f64)], raw: &[(f64, f64)]) -> (f64, f64) {
    let Some((lowest, highest)) = bounds(main.iter().map(|p| p.1)) else { return (0.0, 1.0) };
    let before = main.iter().take_while(|p| p.1 > lowest).map(|p| p.1).fold(lowest, f64::max);
    let fall = before - lowest;
    let top = if fall > 0.0 { before + fall * 0.5 } else { lowest + lowest.abs() };
    let bottom = raw.iter().map(|p| p.1).fold(lowest, f64::min);
    (bottom, if top > lowest { top.min(highest) } else { highest })
}

fn rate_axis(ends: Option<(f64, f64)>) -> Axis {
    match ends {
        None => Axis::log(1e-5, 1.0),
        // Wide enough to hold a round number.
        Some((low, high)) if high / low < 5.0 => Axis::log(low / 3.0, high * 3.0),
        Some((low, high)) => Axis::log(low / 1.1, high * 2.0),
    }
}

/// The parts of a curve that are not above `high`, each extended to where it crosses `high`.
fn visible_parts(points: &[(f64, f64)], high: f64) -> Vec<Vec<(f64, f64)>> {
    let mut parts: Vec<Vec<(f64, f64)>> = Vec::new();
    let crossing = |a: (f64, f64), b: (f64, f64)| {
        let share = ((high - a.1) / (b.1 - a.1)).clamp(0.0, 1.0);
        (a.0 * (b.0 / a.0).powf(share), high)
    };
    let mut previous: Option<(f64, f64)> = None;
    for &point in points {
        let was_visible = previous.is_some_and(|p| p.1 <= high);
        if point.1 <= high {
            if !was_visible {
                parts.push(previous.map(|p| crossing(p, point)).into_iter().collect());
            }
            parts.last_mut().into_iter().for_each(|part| part.push(point));
        } else if let (true, Some(p)) = (was_visible, previous) {
            parts.last_mut().into_iter().for_each(|part| part.push(crossing(p, point)));
        }
        previous = Some(point);
    }
    parts
}

fn finder_legend(spec: &LearningRateFinder) -> Vec<(Swatch, String)> {
    let mut entries = Vec::new();
    if spec.smoothed.is_empty() {
        entries.push((Swatch::Line(PALETTE[0]), "loss of each batch".to_string()));
    } else {
        entries.push((Swatch::Line(PALETTE[0]), "smoothed loss".to_string()));
        entries.push((Swatch::Line(FADED), "loss of each batch".to_string()));
    }
    if let Some(rate) = suggestion(spec) {
        entries.push((Swatch::Dashed(PALETTE[1]), format!("suggested: {}", style::significant(rate))));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_stops_where_the_loss_explodes() {
        let points = [(1e-4, 2.0), (1e-3, 1.0), (1e-2, 0.5), (1e-1, 3.0), (1.0, 1e9)];
        assert_eq!(loss_range(&points, &points), (0.5, 2.75));
        assert_eq!(loss_range(&points[3..], &points[3..]), (3.0, 6.0));
        assert_eq!(loss_range(&[], &[]), (0.0, 1.0));
        let parts = visible_parts(&points, 2.75);
        assert_eq!((parts.len(), parts[0].len()), (1, 4));
        let (rate, loss) = parts[0][3];
        assert!(loss == 2.75 && (0.01..0.1).contains(&rate), "{rate} {loss}");
        let parts = visible_parts(&[(1.0, 9.0), (10.0, 1.0), (100.0, 9.0), (1000.0, 1.0)], 5.0);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
        assert!((parts[0][0].0 - 10f64.sqrt()).abs() < 1e-9);
    }
}
