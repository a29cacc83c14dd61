//! Axes with round ticks, and the frame of grid lines and labels around a plot.

use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use crate::canvas::{Canvas, Point, TextStyle};
use crate::render::text_width;
use crate::style::{self, BASELINE, GRID, LABEL, MARGIN, TICK};
use crate::time;

/// Maps values to 0..1, with ticks at round values.
pub(crate) struct Axis {
    pub low: f64,
    pub high: f64,
    log: bool,
    /// Values and labels, from low to high.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From `low` to `high`, with about `count` ticks inside; equal ends are moved apart.
    pub fn linear(low: f64, high: f64, count: usize) -> Axis {
        let (low, high) = apart(low, high);
        Axis { low, high, log: false, ticks: linear_ticks(low, high, round_step((high - low) / count as f64)) }
    }

    /// As `linear`, with room beyond the outermost values.
    pub fn padded(low: f64, high: f64, count: usize) -> Axis {
        let (low, high) = apart(low, high);
        let padding = (high - low) * 0.05;
        Axis::linear(low - padding, high + padding, count)
    }

    /// As `padded`, with the upper `share` of the axis free of values, for text.
    pub fn with_headroom(low: f64, high: f64, count: usize, share: f64) -> Axis {
        let (low, high) = apart(low, high);
        let padding = (high - low) * 0.05;
        let (low, high) = (low - padding, high + padding);
        Axis::linear(low, low + (high - low) / (1.0 - share), count)
    }

    /// Epoch seconds, with at most about `count` ticks at round dates or times of day. Equal ends are moved half a day
    /// apart; times that no calendar has get plain numbers.
    pub fn time(low: f64, high: f64, count: usize) -> Axis {
        let half_day = time::DAY as f64 / 2.0;
        let (low, high) = if high - low < 1.0 { (low - half_day, high + half_day) } else { (low, high) };
        match time::ticks(low, high, count) {
            Some(ticks) => Axis { low, high, log: false, ticks },
            None => Axis::linear(low, high, count),
        }
    }

    /// Ticks at whole numbers only.
    pub fn whole(low: f64, high: f64, count: usize) -> Axis {
        let step = round_step((high - low) / count as f64).max(1.0);
        Axis { low, high, log: false, ticks: linear_ticks(low, high, step) }
    }

    /// For values above 0: ticks at powers of ten, and between them where there are few.
    pub fn log(low: f64, high: f64) -> Axis {
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let decades = (high / low).log10();
        let every = ((decades / 6.0).ceil() as i32).max(1);
        let multiples: &[f64] = if decades < 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let ticks = (first..=last)
            .filter(|exponent| exponent.rem_euclid(every) == 0)
            .flat_map(|exponent| multiples.iter().map(move |m| m * 10f64.powi(exponent)))
            .filter(|v| (low * 0.999..=high * 1.001).contains(v))
            .map(|v| (v, log_label(v)))
            .collect();
        Axis { low, high, log: true, ticks }
    }

    /// A place for each name, the first at 0, and a tick where the name is not empty.
    pub fn named(names: &[&str]) -> Axis {
        let places = (0..).map(f64::from).zip(names.iter().map(|name| name.to_string()));
        let ticks = places.filter(|(_, name)| !name.is_empty()).collect();
        Axis { low: -0.5, high: names.len() as f64 - 0.5, log: false, ticks }
    }

    /// A place for each of `count` columns, the first at 0, without ticks.
    pub fn columns(count: usize) -> Axis {
        Axis { low: -0.5, high: count.max(1) as f64 - 0.5, log: false, ticks: Vec::new() }
    }

    /// From 0 to 1, with ticks at these shares.
    pub fn shares(ticks: Vec<(f64, String)>) -> Axis {
        Axis { low: 0.0, high: 1.0, log: false, ticks }
    }

    /// From 0 to 1 without ticks: for rows that have names.
    pub fn unlabelled() -> Axis {
        Axis { low: 0.0, high: 1.0, log: false, ticks: Vec::new() }
    }

    /// 0 at the low end, 1 at the high end; values outside are moved to the nearer end.
    pub fn share(&self, value: f64) -> f64 {
        let share = if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }

    /// The width of the widest tick label.
    pub fn tick_width(&self) -> f64 {
        self.ticks.iter().map(|(_, label)| text_width(label, TICK.size, TICK.bold)).fold(0.0, f64::max)
    }
}

/// The lowest and highest of the values that can be drawn.
pub(crate) fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|v| style::is_drawable(*v)).fold(None, |range, v| {
        let (low, high) = range.unwrap_or((v, v));
        Some((v.min(low), v.max(high)))
    })
}

/// Whether a range is too narrow for tick labels of a few digits to tell its ends apart.
pub(crate) fn is_narrow(low: f64, high: f64) -> bool {
    high - low <= (low.abs().max(high.abs()) * 1e-9).max(1e-200)
}

fn apart(low: f64, high: f64) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    let gap = if size > 1e-200 { size * 0.05 } else { 1.0 };
    if is_narrow(low, high) { (low - gap, high + gap) } else { (low, high) }
}

/// The next of 1, 2, 5, 10 times a power of ten.
pub(crate) fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= step * 0.999).unwrap_or(10.0);
    factor * power
}

fn linear_ticks(low: f64, high: f64, step: f64) -> Vec<(f64, String)> {
    let size = low.abs().max(high.abs());
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let count = (last - first).clamp(-1.0, 50.0) as i64;
    let label = |v: f64| {
        if v.abs() < step / 2.0 {
            "0".to_string()
        } else if !(1e-4..1e7).contains(&size) {
            style::scientific(v, (size.log10().floor() - step.log10().floor()).clamp(0.0, 3.0) as usize)
        } else {
            style::grouped(v, (-(step * 1.001).log10().floor()).max(0.0) as usize)
        }
    };
    (0..=count).map(|i| (first + i as f64) * step).map(|v| (v, label(v))).collect()
}

fn log_label(value: f64) -> String {
    if (0.000_999..1e7).contains(&value) {
        style::grouped(value, (-(value * 1.001).log10().floor()).max(0.0) as usize)
    } else {
        style::scientific(value, 0)
    }
}

/// A plot area on the canvas and its two axes.
pub(crate) struct Frame {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub x: Axis,
    pub y: Axis,
}

impl Frame {
    /// The point on the canvas for a pair of values.
    pub fn at(&self, x: f64, y: f64) -> Point {
        (self.left + self.x.share(x) * self.width, self.bottom() - self.y.share(y) * self.height)
    }

    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Grid lines, and the labels of the y ticks.
    pub fn draw_grid(&self, canvas: &mut Canvas) {
        for (value, _) in &self.y.ticks {
            let (_, y) = self.at(self.x.low, *value);
            canvas.line(&[(self.left, y), (self.right(), y)], 1.5, GRID);
        }
        self.draw_y_ticks(canvas);
        for (value, _) in &self.x.ticks {
            let (x, _) = self.at(*value, self.y.low);
            canvas.line(&[(x, self.top), (x, self.bottom())], 1.5, GRID);
        }
        canvas.line(&[(self.left, self.bottom()), (self.right(), self.bottom())], 2.0, BASELINE);
    }

    /// The labels of the y ticks.
    pub fn draw_y_ticks(&self, canvas: &mut Canvas) {
        for (value, label) in &self.y.ticks {
            let (_, y) = self.at(self.x.low, *value);
            canvas.text((self.left - 14.0, y + 8.5), label, TextStyle { anchor: HPos::Right, ..TICK });
        }
    }

    /// The labels of the x ticks and the name of the axis under them: 84 pixels in all.
    pub fn draw_x_labels(&self, canvas: &mut Canvas, name: &str) {
        self.draw_x_ticks(canvas);
        self.draw_x_name(canvas, name, self.width);
    }

    /// The name of the x axis under its tick labels, at most `room` wide.
    pub fn draw_x_name(&self, canvas: &mut Canvas, name: &str, room: f64) {
        let middle = self.left + self.width / 2.0;
        let name = style::shorten(name, LABEL, room);
        canvas.text((middle, self.bottom() + 80.0), &name, TextStyle { anchor: HPos::Center, ..LABEL });
    }

    /// As `draw_x_labels`, for a frame that nothing stands beside: the name may be wider than the frame.
    pub fn draw_wide_x_labels(&self, canvas: &mut Canvas, name: &str) {
        let middle = self.left + self.width / 2.0;
        let half = (middle - MARGIN).min(f64::from(canvas.width) - MARGIN - middle);
        self.draw_x_ticks(canvas);
        self.draw_x_name(canvas, name, 2.0 * half);
    }

    /// The labels of the x ticks: 44 pixels. The last may be moved to the left, into the picture.
    pub fn draw_x_ticks(&self, canvas: &mut Canvas) {
        for (value, label) in &self.x.ticks {
            let (x, _) = self.at(*value, self.y.low);
            let x = x.min(f64::from(canvas.width) - 8.0 - text_width(label, TICK.size, TICK.bold) / 2.0);
            canvas.text((x, self.bottom() + 36.0), label, TextStyle { anchor: HPos::Center, ..TICK });
        }
    }

    /// The name of the y axis, upright at the left of its tick labels.
    pub fn draw_y_name(&self, canvas: &mut Canvas, name: &str) {
        let x = self.left - 14.0 - self.y.tick_width() - 22.0;
        let name = style::shorten(name, LABEL, self.height);
        let style = TextStyle { anchor: HPos::Center, upward: true, ..LABEL };
        canvas.text((x, self.top + self.height / 2.0), &name, style);
    }

    /// A polyline through the pairs of values that can be drawn, and a dot on each where they are few.
    pub fn draw_curve(
        &self,
        canvas: &mut Canvas,
        values: impl Iterator<Item = (f64, f64)>,
        width: f64,
        color: RGBColor,
    ) {
        let drawable = values.filter(|(x, y)| style::is_drawable(*x) && style::is_drawable(*y));
        let points: Vec<Point> = drawable.map(|(x, y)| self.at(x, y)).collect();
        if points.len() <= 30 {
            points.iter().for_each(|&p| canvas.dot(p, width * 1.5, color, 1.0));
        }
        canvas.line(&points, width, color);
    }

    /// A polyline that is broken where a value cannot be drawn, unless the hole is narrower than a pixel; a dot on a
    /// value between two holes, and on each where they are far apart. `values` are pairs of x and y, by rising x.
    pub fn draw_broken_curve(
        &self,
        canvas: &mut Canvas,
        values: impl Iterator<Item = (f64, f64)>,
        width: f64,
        color: RGBColor,
    ) {
        for points in self.runs(values) {
            let length = points[points.len() - 1].0 - points[0].0;
            if points.len() == 1 || length / (points.len() - 1) as f64 >= 20.0 {
                points.iter().for_each(|&point| canvas.dot(point, width * 1.5, color, 1.0));
            }
            canvas.line(&points, width, color);
        }
    }

    /// The area between two curves, broken where one cannot be drawn; a whisker where it stands alone. `bounds` are
    /// [x, lower, upper], by rising x.
    pub fn draw_broken_band(
        &self,
        canvas: &mut Canvas,
        bounds: impl Iterator<Item = [f64; 3]>,
        color: RGBColor,
        opacity: f64,
    ) {
        let slice = |[x, lower, upper]: [f64; 3]| {
            let ((x, bottom), (_, top)) = (self.at(x, lower), self.at(x, upper));
            [x, lower, upper].into_iter().all(style::is_drawable).then_some([x, top, bottom])
        };
        let slices: Vec<Option<[f64; 3]>> = bounds.map(slice).collect();
        for run in slices.split(Option::is_none) {
            let slices: Vec<[f64; 3]> = run.iter().flatten().copied().collect();
            match slices[..] {
                [] => {}
                [[x, top, bottom]] => canvas.whisker((x, top), (x, bottom), color),
                _ => canvas.band(&slices, color, opacity),
            }
        }
    }

    /// Points that a line may join; none of the runs is empty.
    fn runs(&self, values: impl Iterator<Item = (f64, f64)>) -> Vec<Vec<Point>> {
        let mut runs: Vec<Vec<Point>> = Vec::new();
        let mut is_hole = true;
        for (x, y) in values {
            if !style::is_drawable(x) || !style::is_drawable(y) {
                is_hole = true;
                continue;
            }
            let point = self.at(x, y);
            match runs.last_mut() {
                Some(run) if !is_hole || run.last().is_some_and(|last| point.0 - last.0 < 1.0) => run.push(point),
                _ => runs.push(vec![point]),
            }
            is_hole = false;
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(&Axis::linear(0.0, 1.0, 5)), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::linear(-0.31, 0.42, 4)), ["−0.2", "0", "0.2", "0.4"]);
        assert_eq!(labels(&Axis::linear(0.0, 500_000.0, 3)), ["0", "200,000", "400,000"]);
        assert_eq!(labels(&Axis::whole(1.0, 3.0, 10)), ["1", "2", "3"]);
        assert_eq!(labels(&Axis::whole(0.5, 1.5, 10)), ["1"]);
        assert_eq!(labels(&Axis::log(1e-4, 1e-2)), ["1e−4", "0.001", "0.01"]);
        assert_eq!(labels(&Axis::log(0.01, 0.3)), ["0.01", "0.02", "0.05", "0.1", "0.2"]);
        assert_eq!(labels(&Axis::linear(0.0, 3e9, 3)), ["0", "1e9", "2e9", "3e9"]);
    }

    #[test]
    fn curves_are_broken_at_holes_that_can_be_seen() {
        let x = Axis { low: 0.0, high: 100.0, log: false, ticks: vec![] };
        let y = Axis { low: 0.0, high: 1.0, log: false, ticks: vec![] };
        let frame = Frame { left: 0.0, top: 0.0, width: 100.0, height: 10.0, x, y };
        let lengths =
            |values: &[(f64, f64)]| -> Vec<usize> { frame.runs(values.iter().copied()).iter().map(Vec::len).collect() };
        let hole = f64::NAN;
        assert_eq!(lengths(&[(0.0, 0.5), (1.0, hole), (2.0, 0.5), (3.0, 0.5), (4.0, f64::INFINITY)]), [1, 2]);
        assert_eq!(lengths(&[(0.0, hole), (0.3, 0.5), (0.6, hole), (0.9, 0.5), (1.8, 0.5)]), [3]);
        assert_eq!(lengths(&[(0.0, hole)]), [0; 0]);
    }

    #[test]
    fn hostile_ranges_give_few_finite_ticks() {
        for (low, high) in [(0.0, 0.0), (7.0, 7.0), (1e100, 1e100), (-1e100, 1e100), (1e16, 1e16 + 2.0), (0.0, 5e-324)]
        {
            let axis = Axis::padded(low, high, 5);
            assert!(axis.high > axis.low && (2..=12).contains(&axis.ticks.len()), "{low} {high}: {:?}", axis.ticks);
            assert!(axis.share((low + high) / 2.0).is_finite());
        }
        for (low, high) in [(0.0, 0.0), (1e100, 1e100), (-1e100, 1e100), (1e12, 1e12), (253e9, 254e9), (5e-324, 0.5)] {
            let axis = Axis::time(low, high, 8);
            assert!(axis.high > axis.low && (1..=12).contains(&axis.ticks.len()), "{low} {high}: {:?}", axis.ticks);
        }
        let roomy = Axis::with_headroom(3.0, 3.0, 5, 0.2);
        assert!((roomy.share(3.0) - 0.4).abs() < 1e-9, "{}", roomy.share(3.0));
        assert_eq!(bounds([f64::NAN, 3.0, f64::INFINITY, -1.0, 1e300].into_iter()), Some((-1.0, 3.0)));
        assert_eq!(bounds([f64::NAN].into_iter()), None);
    }
}
