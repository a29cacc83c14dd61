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
const HOURS: [&str; 24] =
    ["0", "", "", "3", "", "", "6", "", "", "9", "", "", "12", "", "", "15", "", "", "18", "", "", "21", "", ""];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const RESIDUAL: &str = "Actual − predicted";

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
    /// Of the bins; empty for a bin that takes no tick.
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
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &legend()) + 54.0;
    let (y, profile_y) = (|| value_axis(bins.iter()), || value_axis(profiles.iter().flat_map(|profile| &profile.bins)));
    let left = MARGIN + 50.0 + y().tick_width().max(profile_y().tick_width()) + 14.0;
    let (first, last) = bounds(rows.iter().map(|row| row.0)).unwrap_or((0.0, 1.0));
    let x = Axis::time(first, last, 9);
    let frame = Frame { left, top, width: WIDTH - MARGIN - left, height: 440.0, x, y: y() };
    draw_plot(&mut canvas, &frame, "Over time", spec.target, &bins);
    if rows.is_empty() {
        style::draw_no_data(&mut canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
    let mut bottom = frame.bottom() + 44.0;
    let (top, mut right) = (bottom + 70.0, 0.0);
    for profile in &profiles {
        let share = 1.0 / profiles.len() as f64;
        let left = right + left;
        let width = (WIDTH - MARGIN) * share - left + right;
        let frame = Frame { left, top, width, height: 340.0, x: Axis::named(profile.names), y: profile_y() };
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

fn value_axis<'a>(bins: impl Iterator<Item = &'a Bin>) -> Axis {
    let (low, high) = bounds(bins.flat_map(|bin| [bin.low, bin.high, bin.mean])).unwrap_or((-1.0, 1.0));
    Axis::padded(low.min(0.0), high.max(0.0), 6)
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
        let mean = group.iter().sum::<f64>() / n as f64;
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

/// The median distance of neighbouring times.
fn spacing(rows: &[(f64, f64)]) -> Option<f64> {
    let mut times: Vec<f64> = rows.iter().map(|row| row.0).collect();
    times.sort_unstable_by(f64::total_cmp);
    let mut distances: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).filter(|d| *d > 0.0).collect();
    let middle = distances.len() / 2;
    (!distances.is_empty()).then(|| *distances.select_nth_unstable_by(middle, f64::total_cmp).1)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_bin_of_the_calendar() {
        // 2018-03-02 05:00 was a Friday.
        let friday = 1_519_966_800.0;
        let hourly: Vec<(f64, f64)> = (0..1_000).map(|i| (friday + 3_600.0 * f64::from(i), f64::from(i % 7))).collect();
        let [hour, weekday] = &profiles(&hourly)[..] else { panic!("two profiles") };
        assert_eq!((hour.bins.len(), weekday.bins.len()), (24, 7));
        let one = &profiles(&[(friday, 3.0), (friday + 3_600.0, 4.0), (friday + 7_200.0, 5.0)]);
        let is_there = |profile: &Profile| -> Vec<f64> {
            profile.bins.iter().filter(|bin| !bin.mean.is_nan()).map(|bin| bin.x).collect()
        };
        assert_eq!((is_there(&one[0]), is_there(&one[1])), (vec![5.0, 6.0, 7.0], vec![4.0]));
        assert_eq!(one[1].bins[4].mean, 4.0);

        let kinds = |step: f64| -> Vec<&str> {
            let rows: Vec<(f64, f64)> = (0..50).map(|i| (step * f64::from(i), 0.0)).collect();
            profiles(&rows).iter().map(|profile| profile.title).collect()
        };
        let day = DAY as f64;
        assert_eq!(kinds(900.0), ["By hour of the day", "By weekday"]);
        assert_eq!((kinds(day), kinds(7.0 * day)), (vec!["By weekday", "By month"], vec!["By month"]));
        assert!(kinds(365.0 * day).is_empty() && kinds(0.0).is_empty() && kinds(1e90).is_empty());
    }

    #[test]
    fn stretches_of_time_hold_equally_many_times() {
        for (n, expected) in [(1, 1), (2, 2), (120, 120), (121, 61), (5_772, 118)] {
            let rows: Vec<(f64, f64)> =
                (0..n).flat_map(|i| [(f64::from(i) * 60.0, 1.0), (f64::from(i) * 60.0, 3.0)]).collect();
            let bins = time_bins(&rows);
            assert_eq!(bins.len(), expected, "{n}");
            assert!(bins.iter().all(|bin| (bin.mean, bin.low, bin.high) == (2.0, 1.0, 3.0)), "{n}");
        }
        // Quantiles at (n - 1) * share, rounded: 1 and 9 of 0..=10; np.mean.
        let rows: Vec<(f64, f64)> = (0..=10).map(|i| (7.0, f64::from(i * i))).collect();
        let [bin] = &time_bins(&rows)[..] else { panic!("one bin") };
        assert_eq!((bin.low, bin.high), (1.0, 81.0));
        assert!((bin.mean - 35.0).abs() < 1e-12);
        // Months are not equally long.
        let monthly = [0.0, 31.0, 59.0, 90.0, 120.0, 151.0, 181.0, 212.0, 243.0, 273.0, 304.0, 334.0];
        let rows: Vec<(f64, f64)> = monthly.iter().map(|day| (day * DAY as f64, 1.0)).collect();
        assert!(time_bins(&rows).iter().all(|bin| bin.mean == 1.0));
        for times in [[0.0, 5e-324, 1e100], [0.0, 1e-9, 1e18], [-1e100, 0.0, 1e100]] {
            let bins = time_bins(&times.map(|time| (time, 1.0)));
            assert!(bins.len() <= BINS && bins.iter().any(|bin| bin.mean == 1.0), "{times:?}");
        }
    }
}
