//! A picture as a list of shapes, before anyone knows whether it becomes a bitmap or an SVG.
//!
//! Lengths are pixels of the finished PNG, the origin is the upper left corner. An opacity of 1 hides what is below.

use plotters::style::text_anchor::HPos;
use plotters::style::{RGBColor, WHITE};

pub(crate) type Point = (f64, f64);

/// How a piece of text looks; `size` is the em height.
#[derive(Clone, Copy)]
pub(crate) struct TextStyle {
    pub size: f64,
    pub bold: bool,
    pub color: RGBColor,
    pub anchor: HPos,
    /// Turned by 90 degrees, to be read from bottom to top.
    pub upward: bool,
}

pub(crate) enum Shape {
    Line {
        points: Vec<Point>,
        width: f64,
        color: RGBColor,
    },
    Rect {
        left: f64,
        top: f64,
        width: f64,
        height: f64,
        color: RGBColor,
        opacity: f64,
    },
    /// Filled between two curves, each [x, top, bottom], ordered by x.
    Band {
        slices: Vec<[f64; 3]>,
        color: RGBColor,
        opacity: f64,
    },
    Dot {
        center: Point,
        radius: f64,
        color: RGBColor,
        opacity: f64,
    },
    /// `at` is on the baseline, at the end or middle of the text that the style's anchor names.
    Text {
        at: Point,
        content: String,
        style: TextStyle,
    },
}

pub(crate) struct Canvas {
    pub width: u32,
    pub height: u32,
    pub shapes: Vec<Shape>,
    pub heading: Option<Heading>,
}

/// What the picture says of itself on top: a page that sets it as text cuts it off.
pub(crate) struct Heading {
    pub title: String,
    pub subtitle: String,
    /// Nothing else is drawn above.
    pub bottom: u32,
}

impl Canvas {
    pub fn new(width: f64, height: f64) -> Canvas {
        Canvas { width: width.ceil() as u32, height: height.ceil() as u32, shapes: Vec::new(), heading: None }
    }

    pub fn line(&mut self, points: &[Point], width: f64, color: RGBColor) {
        self.shapes.push(Shape::Line { points: thin(points), width, color });
    }

    /// A straight dashed line.
    pub fn dashed(&mut self, from: Point, to: Point, width: f64, color: RGBColor) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        let (dash, period) = (width * 3.5, width * 5.5);
        for i in 0..(length / period).ceil() as usize {
            let (start, end) = (i as f64 * period / length, ((i as f64 * period + dash) / length).min(1.0));
            let points = vec![(from.0 + dx * start, from.1 + dy * start), (from.0 + dx * end, from.1 + dy * end)];
            self.shapes.push(Shape::Line { points, width, color });
        }
    }

    pub fn rect(&mut self, left: f64, top: f64, width: f64, height: f64, color: RGBColor) {
        self.shade((left, top), (width, height), color, 1.0);
    }

    /// A rectangle that lets through what is below it; `size` is width and height.
    pub fn shade(&mut self, (left, top): Point, size: Point, color: RGBColor, opacity: f64) {
        self.shapes.push(Shape::Rect { left, top, width: size.0, height: size.1, color, opacity });
    }

    /// `slices` are [x, top, bottom], ordered by x; at most one per pixel is kept.
    pub fn band(&mut self, slices: &[[f64; 3]], color: RGBColor, opacity: f64) {
        let last = slices.len().saturating_sub(1);
        let columns = slices.chunk_by(|a, b| a[0].floor() == b[0].floor());
        let mut slices: Vec<[f64; 3]> = columns.map(|column| column[0]).chain(slices.get(last).copied()).collect();
        slices.dedup();
        self.shapes.push(Shape::Band { slices, color, opacity });
    }

    pub fn dot(&mut self, center: Point, radius: f64, color: RGBColor, opacity: f64) {
        self.shapes.push(Shape::Dot { center, radius, color, opacity });
    }

    /// A dot with a hole.
    pub fn ring(&mut self, center: Point, radius: f64, color: RGBColor) {
        self.dot(center, radius, color, 1.0);
        self.dot(center, radius * 0.55, WHITE, 1.0);
    }

    /// Two strokes, lying.
    pub fn cross(&mut self, (x, y): Point, radius: f64, color: RGBColor) {
        for rise in [-radius, radius] {
            self.line(&[(x - radius, y - rise), (x + radius, y + rise)], 3.5, color);
        }
    }

    /// With a white rim, to be seen on anything.
    pub fn diamond(&mut self, (x, y): Point, radius: f64, color: RGBColor) {
        for (radius, color) in [(radius + 4.0, WHITE), (radius, color)] {
            let slices = vec![[x - radius, y, y], [x, y - radius, y + radius], [x + radius, y, y]];
            self.shapes.push(Shape::Band { slices, color, opacity: 1.0 });
        }
    }

    /// With its tip upward or downward.
    pub fn triangle(&mut self, (x, y): Point, radius: f64, color: RGBColor, is_up: bool) {
        let (base, tip) = if is_up { (y + radius, y - radius) } else { (y - radius, y + radius) };
        let slices = vec![[x - radius, base, base], [x, tip.min(base), tip.max(base)], [x + radius, base, base]];
        self.shapes.push(Shape::Band { slices, color, opacity: 1.0 });
    }

    /// An error bar along an axis: a line with short strokes across its ends.
    pub fn whisker(&mut self, from: Point, to: Point, color: RGBColor) {
        let cap = if from.0 == to.0 { (7.0, 0.0) } else { (0.0, 7.0) };
        self.line(&[from, to], 3.0, color);
        for end in [from, to] {
            self.line(&[(end.0 - cap.0, end.1 - cap.1), (end.0 + cap.0, end.1 + cap.1)], 3.0, color);
        }
    }

    pub fn text(&mut self, at: Point, content: &str, style: TextStyle) {
        self.shapes.push(Shape::Text { at, content: writable(content), style });
    }
}

/// XML and HTML have no way to write control characters or these two noncharacters; they become spaces.
pub(crate) fn writable(text: &str) -> String {
    text.replace(|c: char| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}'), " ")
}

/// Keeps of each run of points within one pixel column the first, the lowest, the highest and the last.
///
/// Looks the same, and bounds the size of a curve by the width of the picture (the M4 aggregation of Jugel et al.,
/// VLDB 2014).
fn thin(points: &[Point]) -> Vec<Point> {
    let mut kept = Vec::new();
    for column in points.chunk_by(|a, b| a.0.floor() == b.0.floor()) {
        let heights = || column.iter().map(|p| p.1).enumerate();
        let top = heights().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(i, _)| i);
        let bottom = heights().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(i, _)| i);
        let mut indices = [0, top, bottom, column.len() - 1];
        indices.sort_unstable();
        kept.extend(indices.map(|i| column[i]));
        kept.dedup();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_extremes_of_each_column() {
        let points = [(0.1, 5.0), (0.2, 9.0), (0.3, 6.0), (0.4, 1.0), (0.5, 4.0), (0.6, 3.0), (1.5, 2.0)];
        assert_eq!(thin(&points), [(0.1, 5.0), (0.2, 9.0), (0.4, 1.0), (0.6, 3.0), (1.5, 2.0)]);
        let many: Vec<Point> = (0..16_000).map(|i| (f64::from(i) / 20.0, f64::from(i % 37))).collect();
        assert!(thin(&many).len() <= 4 * 800);
        assert!(thin(&[]).is_empty());
    }
}
