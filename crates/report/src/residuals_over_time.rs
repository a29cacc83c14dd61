//! When forecasts are wrong: over the calendar, and by hour, weekday or month.

use std::path::Path;

use plotters::style::text_anchor::HPos;

use crate::axes::{Axis, Frame, bounds};
use crate::canvas::{Canvas, TextStyle};
use crate::regression::REFERENCE;
use crate::render::save;
use crate::style::{self, LABEL, LINE_WIDTH, MARGIN, PALETTE, Swatch};
use crate::time::{self, DAY};
use crate::{Error, Result};

/// Forecasts at known times; row `i` has `times[i]`, `actual[i]` and `predicted[i]`. A time may come more than once.
pub struct ResidualsOverTime<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name and data set; may be empty.
    pub subtitle: &'a str,
    /// The target with its unit, e.g. `traffic volume (vehicles per hour)`.
    pub target: &'a str,
    /// Epoch seconds, in any order.
    pub times: &'a [f64],
    /// The truth.
    pub actual: &'a [f64],
    /// What the model said.
    pub predicted: &'a [f64],
}

const WIDTH: f64 = 1600.0;
/// Stretches of the time axis, at most.
const BINS: usize = 120;
const BAND_OPACITY: f64 = 0.22;
const HOURS: [&str; 24] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20",
    "21", "22", "23",
];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const RESIDUAL: &str = "Residual (actual − predicted)";

/// The mean and the 10th and 90th percentile of the residuals around `x`; NaN where there are none.
struct Bin {
    x: f64,
    mean: f64,
    low: f64,
    high: f64,
}

/// Residuals by a feature of their time.
struct Profile {
    title: &'static str,
    names: &'static [&'static str],
    bins: Vec<Bin>,
}

/// Writes the residuals (actual - predicted) over time, as mean and middle 80 % of up to 120 stretches of equal length,
/// and the same by hour of the day and weekday; for data that are daily or longer apart, by weekday and month.
///
/// Fails with `Error::Shape` unless all slices have one length.
pub fn residuals_over_time(spec: &ResidualsOverTime, stem: &Path) -> Result<()> {
    let rows = rows(spec)?;
    let (bins, profiles) = (time_bins(&rows), profiles(&rows));
    let ends =
        bins.iter().chain(profiles.iter().flat_map(|profile| &profile.bins)).flat_map(|b| [b.low, b.high, b.mean]);
    let (low, high) = bounds(ends).unwrap_or((-1.0, 1.0));
    let y = || Axis::padded(low.min(0.0), high.max(0.0), 6);

    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &legend()) + 54.0;
    let left = MARGIN + 50.0 + y().tick_width() + 14.0;
    let (first, last) = bounds(rows.iter().map(|row| row.0)).unwrap_or((0.0, 1.0));
    let x = Axis::time(first, last, 9);
    let frame = Frame { left, top, width: WIDTH - MARGIN - left, height: 440.0, x, y: y() };
    draw_plot(&mut canvas, &frame, "Over time", spec.target, &bins);
    if rows.is_empty() {
        style::draw_no_data(&mut canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
    let mut bottom = frame.bottom() + 44.0;
    let n_names: usize = profiles.iter().map(|profile| profile.names.len()).sum();
    let (top, mut right) = (bottom + 70.0, 0.0);
    for profile in &profiles {
        // The name of a weekday is wider than that of an hour, so not all of the room goes by their number.
        let share = (profile.names.len() as f64 / n_names as f64 + 1.0 / profiles.len() as f64) / 2.0;
        let left = right + left;
        let width = (WIDTH - MARGIN) * share - left + right;
        let frame = Frame { left, top, width, height: 340.0, x: Axis::named(profile.names), y: y() };
        draw_plot(&mut canvas, &frame, profile.title, "", &profile.bins);
        (right, bottom) = (frame.right(), frame.bottom() + 44.0);
    }
    canvas.height = (bottom + MARGIN / 2.0).ceil() as u32;
    save(&canvas, stem)
}

/// (time, residual) of the rows that can be drawn.
fn rows(spec: &ResidualsOverTime) -> Result<Vec<(f64, f64)>> {
    let (times, actual, predicted) = (spec.times.len(), spec.actual.len(), spec.predicted.len());
    if times != actual || times != predicted {
        let problem = format!("{times} times, but {actual} actual values and {predicted} predicted ones");
        return Err(Error::Shape { picture: "residuals_over_time", problem });
    }
    let residuals = spec.actual.iter().zip(spec.predicted).map(|(actual, predicted)| actual - predicted);
    let rows = spec.times.iter().copied().zip(residuals);
    Ok(rows.filter(|row| style::is_drawable(row.0) && style::is_drawable(row.1)).collect())
}

fn legend() -> Vec<(Swatch, String)> {
    vec![
        (Swatch::Line(PALETTE[0]), "mean".to_string()),
        (Swatch::Area(PALETTE[0], BAND_OPACITY), "middle 80%".to_string()),
        (Swatch::Dashed(REFERENCE), "no error".to_string()),
    ]
}

/// Groups residuals by a slot below `slots`; a bin stands at `x` of its slot.
fn bins(rows: &[(f64, f64)], slots: usize, slot: impl Fn(f64) -> usize, x: impl Fn(usize) -> f64) -> Vec<Bin> {
    let mut groups: Vec<Vec<f64>> = vec![Vec::new(); slots];
    rows.iter().for_each(|(time, residual)| groups[slot(*time).min(slots - 1)].push(*residual));
    let bin = |(slot, group): (usize, &mut Vec<f64>)| {
        let (x, n) = (x(slot), group.len());
        if n == 0 {
            return Bin { x, mean: f64::NAN, low: f64::NAN, high: f64::NAN };
        }
        let mean = group.iter().map(|residual| residual / n as f64).sum();
        let mut at = |share: f64| {
            let rank = ((n - 1) as f64 * share).round() as usize;
            *group.select_nth_unstable_by(rank, f64::total_cmp).1
        };
        Bin { x, mean, low: at(0.1), high: at(0.9) }
    };
    groups.iter_mut().enumerate().map(bin).collect()
}

/// Up to `BINS` stretches; where times are regular, all hold the same number of them.
fn time_bins(rows: &[(f64, f64)]) -> Vec<Bin> {
    let Some((first, last)) = bounds(rows.iter().map(|row| row.0)) else { return Vec::new() };
    let Some(spacing) = spacing(rows) else { return bins(rows, 1, |_| 0, |_| first) };
    let times_of_each = (((last - first) / spacing + 1.0) / BINS as f64).ceil();
    let regular = times_of_each * spacing;
    // Times that are nowhere near regular may give infinitely many.
    let length = if regular.is_finite() { regular } else { (last - first) / BINS as f64 };
    let slot = |time: f64| ((time - first) / length + 1e-9) as usize;
    bins(rows, slot(last).min(BINS - 1) + 1, slot, |slot| first + slot as f64 * length + (length - spacing) / 2.0)
}

/// The smallest distance of two different times.
fn spacing(rows: &[(f64, f64)]) -> Option<f64> {
    let mut times: Vec<f64> = rows.iter().map(|row| row.0).collect();
    times.sort_unstable_by(f64::total_cmp);
    times.windows(2).map(|pair| pair[1] - pair[0]).filter(|distance| *distance > 0.0).reduce(f64::min)
}

/// By what the spacing of the times lets vary: hour and weekday, weekday and month, or month.
fn profiles(rows: &[(f64, f64)]) -> Vec<Profile> {
    let profile = |title, names: &'static [&'static str], slot: fn(i64) -> i64| {
        let bins = bins(rows, names.len(), |time| slot(time as i64) as usize, |slot| slot as f64);
        Profile { title, names, bins }
    };
    let hour = || profile("By hour of the day", &HOURS, |time| time.rem_euclid(DAY) / 3_600);
    // 1970-01-01 was a Thursday.
    let weekday = || profile("By weekday", &WEEKDAYS, |time| (time.div_euclid(DAY) + 3).rem_euclid(7));
    let month = || profile("By month", &time::MONTHS, |time| time::civil(time).1 - 1);
    let is_in_calendar = rows.iter().all(|row| time::YEARS.contains(&row.0));
    let day = DAY as f64;
    match spacing(rows).filter(|_| is_in_calendar) {
        Some(spacing) if spacing < day => vec![hour(), weekday()],
        Some(spacing) if spacing < 7.0 * day => vec![weekday(), month()],
        Some(spacing) if spacing < 300.0 * day => vec![month()],
        _ => Vec::new(),
    }
}

/// `note` stands at the end of the line over the plot.
fn draw_plot(canvas: &mut Canvas, frame: &Frame, title: &str, note: &str, bins: &[Bin]) {
    canvas.text((frame.left, frame.top - 16.0), title, TextStyle { bold: true, ..LABEL });
    let note = style::shorten(note, LABEL, frame.width - 200.0);
    canvas.text((frame.right(), frame.top - 16.0), &note, TextStyle { anchor: HPos::Right, ..LABEL });
    frame.draw_grid(canvas);
    frame.draw_x_ticks(canvas);
    frame.draw_y_name(canvas, RESIDUAL);
    frame.draw_broken_band(canvas, bins.iter().map(|bin| [bin.x, bin.low, bin.high]), PALETTE[0], BAND_OPACITY);
    canvas.dashed(frame.at(frame.x.low, 0.0), frame.at(frame.x.high, 0.0), 3.0, REFERENCE);
    frame.draw_broken_curve(canvas, bins.iter().map(|bin| (bin.x, bin.mean)), LINE_WIDTH, PALETTE[0]);
}
