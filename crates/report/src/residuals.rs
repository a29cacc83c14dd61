//! What a regression gets wrong: how much, where, and whether the errors are normal.

use std::path::Path;

use plotters::style::text_anchor::HPos;
use plotters::style::{RGBColor, WHITE};

use crate::Result;
use crate::axes::{Axis, Frame, bounds, is_narrow, round_step};
use crate::canvas::{Canvas, Point, TextStyle};
use crate::regression::{COLOR_SCALE_ROOM, MAX_DOTS, Predictions, REFERENCE, draw_cloud, drawable_pairs};
use crate::render::save;
use crate::style::{self, LABEL, MARGIN, PALETTE, Swatch};

/// For the trend of the residuals: seen on white and on all blues.
const TREND: RGBColor = PALETTE[4];
const WIDTH: f64 = 1600.0;
const RESIDUAL: &str = "Residual (actual − predicted)";

/// Writes three plots of the residuals (actual - predicted): over the predicted values, with the median and the middle
/// 80 % of up to 20 groups of rows; their histogram, with mean and standard deviation; and their normal Q-Q plot.
///
/// Fails with `Error::Shape` unless both slices have one length.
pub fn residuals(spec: &Predictions, stem: &Path) -> Result<()> {
    let points = drawable_pairs(spec, "residuals", |actual, predicted| (predicted, actual - predicted))?;
    let scale_room = if points.len() > MAX_DOTS { COLOR_SCALE_ROOM } else { 0.0 };
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let groups = groups(&points);
    let top = style::draw_legend_rows(&mut canvas, top, &residuals_legend(!groups.is_empty())) + 20.0;

    let (low, high) = bounds(points.iter().map(|p| p.1)).unwrap_or((-1.0, 1.0));
    let y = || Axis::padded(low.min(0.0), high.max(0.0), 6);
    let left = MARGIN + 50.0 + y().tick_width() + 14.0;
    let (first, last) = bounds(points.iter().map(|p| p.0)).unwrap_or((0.0, 1.0));
    let width = WIDTH - MARGIN - scale_room - left;
    let frame = Frame { left, top, width, height: 560.0, x: Axis::padded(first, last, 8), y: y() };
    frame.draw_grid(&mut canvas);
    frame.draw_x_labels(&mut canvas, &format!("Predicted {}", spec.target));
    frame.draw_y_name(&mut canvas, RESIDUAL);
    draw_cloud(&mut canvas, &frame, &points);
    draw_groups(&mut canvas, &frame, &groups);
    canvas.dashed(frame.at(frame.x.low, 0.0), frame.at(frame.x.high, 0.0), 3.0, REFERENCE);

    let (top, height) = (frame.bottom() + 84.0 + 76.0, 460.0);
    let bins = histogram(&points);
    let counts = Axis::whole(0.0, bins.iter().map(|b| b.count as f64).fold(1.0, f64::max) * 1.05, 5);
    let (low, high) = match bins.as_slice() {
        [first, .., last] => (first.low, last.low + last.width),
        [only] => (only.low, only.low + only.width),
        [] => (-1.0, 1.0),
    };
    let left = MARGIN + 50.0 + counts.tick_width() + 14.0;
    let middle = WIDTH / 2.0;
    let frame = Frame { left, top, width: middle - 20.0 - left, height, x: Axis::padded(low, high, 5), y: counts };
    draw_histogram(&mut canvas, &frame, &bins);
    draw_head(&mut canvas, &frame, "Histogram", &summary(&points));
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;

    let left = middle + 20.0 + 50.0 + y().tick_width() + 14.0;
    draw_quantiles(&mut canvas, (left, top), height, y(), &points);
    save(&canvas, stem)
}

fn residuals_legend(has_groups: bool) -> Vec<(Swatch, String)> {
    let mut entries = vec![(Swatch::Dashed(REFERENCE), "no error, or normal errors".to_string())];
    if has_groups {
        entries.push((Swatch::Line(TREND), "median".to_string()));
        entries.push((Swatch::Dashed(TREND), "10th and 90th percentile".to_string()));
    }
    entries
}

/// Rows with neighbouring predictions.
struct Group {
    predicted: f64,
    /// The 10th, 50th and 90th percentile of the residuals.
    residuals: [f64; 3],
}

/// 4 to 20 groups of 25 rows or more, equally large, by predicted value; none for few rows or one predicted value.
fn groups(points: &[(f64, f64)]) -> Vec<Group> {
    let Some((low, high)) = bounds(points.iter().map(|p| p.0)).filter(|_| points.len() >= 100) else {
        return Vec::new();
    };
    if is_narrow(low, high) {
        return Vec::new();
    }
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let count = (sorted.len() / 50).clamp(4, 20);
    let group = |i: usize| {
        let rows = &mut sorted[i * points.len() / count..(i + 1) * points.len() / count];
        let predicted = rows[rows.len() / 2].0;
        rows.sort_by(|a, b| a.1.total_cmp(&b.1));
        let at = |share: f64| rows[((rows.len() - 1) as f64 * share).round() as usize].1;
        Group { predicted, residuals: [at(0.1), at(0.5), at(0.9)] }
    };
    (0..count).map(group).collect()
}

fn draw_groups(canvas: &mut Canvas, frame: &Frame, groups: &[Group]) {
    for (i, width) in [(0, 3.0), (2, 3.0), (1, 5.0)] {
        let points: Vec<_> = groups.iter().map(|group| frame.at(group.predicted, group.residuals[i])).collect();
        if i == 1 {
            canvas.line(&points, width + 4.0, WHITE);
            canvas.line(&points, width, TREND);
        } else {
            points.windows(2).for_each(|pair| canvas.dashed(pair[0], pair[1], width, TREND));
        }
    }
}

/// (mean, standard deviation with n - 1) of the residuals; NaN where there are too few.
fn mean_and_sd(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let mean = points.iter().map(|p| p.1 / n).sum::<f64>();
    let variance = points.iter().map(|p| (p.1 - mean).powi(2) / (n - 1.0)).sum::<f64>();
    if points.is_empty() { (f64::NAN, f64::NAN) } else { (mean, variance.sqrt()) }
}

/// What a plot shows, in the line above it, and numbers at the end of the line.
fn draw_head(canvas: &mut Canvas, frame: &Frame, text: &str, numbers: &str) {
    canvas.text((frame.left, frame.top - 18.0), text, TextStyle { bold: true, ..LABEL });
    canvas.text((frame.right(), frame.top - 18.0), numbers, TextStyle { anchor: HPos::Right, ..LABEL });
}

fn summary(points: &[(f64, f64)]) -> String {
    let (mean, sd) = mean_and_sd(points);
    match points.len() {
        0 => String::new(),
        1 => format!("mean {}", style::significant(mean)),
        _ => format!("mean {}, SD {}", style::significant(mean), style::significant(sd)),
    }
}

/// Sorted residuals over the quantiles of the standard normal distribution at (i + 0.5) / n; where the errors are
/// normal, they lie on the line mean + SD * quantile.
fn draw_quantiles(canvas: &mut Canvas, (left, top): Point, height: f64, y: Axis, points: &[(f64, f64)]) {
    let mut sorted: Vec<f64> = points.iter().map(|p| p.1).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let quantile = |i: usize| normal_quantile((i as f64 + 0.5) / n as f64);
    let outermost = if n == 0 { 1.0 } else { quantile(n - 1).max(1.0) };
    let x = Axis::padded(-outermost, outermost, 5);
    let frame = Frame { left, top, width: WIDTH - MARGIN - left, height, x, y };
    frame.draw_grid(canvas);
    draw_head(canvas, &frame, "Normal Q-Q plot", "");
    frame.draw_x_labels(canvas, "Quantile of the normal distribution");
    frame.draw_y_name(canvas, RESIDUAL);
    if n == 0 {
        return style::draw_no_data(canvas, (left + frame.width / 2.0, top + height * 0.4));
    }
    // One dot hides those within a pixel or so.
    let mut last = None;
    for (i, residual) in sorted.iter().enumerate() {
        let (x, y) = frame.at(quantile(i), *residual);
        if last.is_none_or(|(left, low): Point| x - left >= 1.5 || low - y >= 1.5) {
            canvas.dot((x, y), 5.0, PALETTE[0], 0.6);
            last = Some((x, y));
        }
    }
    let (mean, sd) = mean_and_sd(points);
    let ends: Vec<Point> = line_within(&frame, mean, sd).into_iter().map(|(x, y)| frame.at(x, y)).collect();
    if let [from, to] = ends[..] {
        canvas.dashed(from, to, 3.0, REFERENCE);
    }
}

/// The ends of y = mean + sd * x where it enters and leaves the frame.
fn line_within(frame: &Frame, mean: f64, sd: f64) -> Vec<(f64, f64)> {
    if !style::is_drawable(mean) || !style::is_drawable(sd) || sd <= 0.0 {
        return Vec::new();
    }
    let start = frame.x.low.max((frame.y.low - mean) / sd);
    let end = frame.x.high.min((frame.y.high - mean) / sd);
    [start, end].map(|x| (x, mean + sd * x)).to_vec()
}

/// The inverse of the standard normal distribution function, with a relative error below 1.2e-9 (Acklam's algorithm).
fn normal_quantile(p: f64) -> f64 {
    let polynomial = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    if p < 0.02425 {
        let q = (-2.0 * p.ln()).sqrt();
        return polynomial(&TAIL[0], q) / polynomial(&TAIL[1], q);
    }
    let (q, r) = (p - 0.5, (p - 0.5).powi(2));
    polynomial(&CENTER[0], r) * q / polynomial(&CENTER[1], r)
}

/// Numerator and denominator of Acklam's rational functions, highest power first.
const CENTER: [[f64; 6]; 2] = [
    [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ],
    [-5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1, -1.328068155288572e1, 1.0],
];
const TAIL: [[f64; 6]; 2] = [
    [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ],
    [0.0, 7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0],
];

struct Bin {
    low: f64,
    width: f64,
    count: usize,
}

/// 10 to 60 bins with round ends, 0 among them, over all residuals.
fn histogram(points: &[(f64, f64)]) -> Vec<Bin> {
    let Some((low, high)) = bounds(points.iter().map(|p| p.1)) else { return Vec::new() };
    let bins = (points.len() as f64).sqrt().clamp(10.0, 60.0);
    let size = low.abs().max(high.abs());
    let width = if is_narrow(low, high) {
        // One or two bars, wide enough to be seen.
        round_step(if size > 1e-200 { size * 0.05 } else { 0.1 })
    } else {
        round_step((high - low) / bins)
    };
    let first = (low / width).floor();
    let mut counts = vec![0; ((high / width).floor() - first) as usize + 1];
    for (_, residual) in points {
        let bin = ((residual / width).floor() - first).max(0.0) as usize;
        let last = counts.len() - 1;
        counts[bin.min(last)] += 1;
    }
    (0..).zip(counts).map(|(i, count)| Bin { low: (first + f64::from(i)) * width, width, count }).collect()
}

fn draw_histogram(canvas: &mut Canvas, frame: &Frame, bins: &[Bin]) {
    frame.draw_grid(canvas);
    frame.draw_x_labels(canvas, RESIDUAL);
    frame.draw_y_name(canvas, "Rows");
    if bins.is_empty() {
        return style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
    for bin in bins.iter().filter(|bin| bin.count > 0) {
        let (left, top) = frame.at(bin.low, bin.count as f64);
        let (right, bottom) = frame.at(bin.low + bin.width, 0.0);
        canvas.rect(left + 0.5, top, (right - left - 1.0).max(1.0), bottom - top, PALETTE[0]);
    }
    if (frame.x.low..=frame.x.high).contains(&0.0) {
        canvas.dashed(frame.at(0.0, frame.y.low), frame.at(0.0, frame.y.high), 3.0, REFERENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_quantiles_are_those_of_scipy() {
        // scipy.stats.norm.ppf
        let expected = [
            (1e-6, -4.753424308822899),
            (0.01, -2.3263478740408408),
            (0.1, -1.2815515655446004),
            (0.5, 0.0),
            (0.75, 0.6744897501960817),
            (0.975, 1.959963984540054),
            (0.999, 3.090232306167813),
        ];
        for (p, z) in expected {
            assert!((normal_quantile(p) - z).abs() < 1e-8, "{p}: {}", normal_quantile(p));
        }
    }

    #[test]
    fn groups_follow_a_bias() {
        // The residual is 2 for predictions below 500, else -1, with noise between -0.5 and 0.5.
        let bias = |i: i32| if i < 500 { 2.0 } else { -1.0 };
        let points: Vec<(f64, f64)> =
            (0..1000).map(|i| (f64::from(i), bias(i) + f64::from(i * 37 % 101) / 100.0 - 0.5)).collect();
        let groups = groups(&points);
        assert_eq!(groups.len(), 20);
        for (i, group) in groups.iter().enumerate() {
            let [low, median, high] = group.residuals;
            assert!((median - if i < 10 { 2.0 } else { -1.0 }).abs() < 0.2, "{i}: {median}");
            assert!(low < median - 0.2 && high > median + 0.2);
            assert!((group.predicted - (25.0 + 50.0 * i as f64)).abs() <= 1.0);
        }
        assert!(super::groups(&points[..99]).is_empty());
        assert!(super::groups(&[(1.0, 2.0); 200]).is_empty());
    }

    #[test]
    fn the_summary_is_that_of_numpy() {
        // np.mean, np.std(ddof=1)
        let (mean, sd) = mean_and_sd(&[1.0, 2.0, 4.0, 9.0].map(|residual| (0.0, residual)));
        assert!((mean - 4.0).abs() < 1e-12 && (sd - 3.559026084010437).abs() < 1e-12, "{mean} {sd}");
        assert!(mean_and_sd(&[]).0.is_nan());
    }

    #[test]
    fn histogram_counts_every_row_once() {
        let points: Vec<(f64, f64)> = (0..1000).map(|i| (0.0, f64::from(i) * 0.01 - 5.0)).collect();
        let bins = histogram(&points);
        assert_eq!(bins.iter().map(|b| b.count).sum::<usize>(), 1000);
        assert!(bins.iter().any(|b| b.low == 0.0), "0 is the end of a bin");
        assert!((10..=60).contains(&bins.len()));
        assert!(bins[0].low <= -5.0);
        let same = histogram(&[(0.0, 7.0), (1.0, 7.0)]);
        assert!(same.len() == 1 && same[0].count == 2 && same[0].width > 0.1);
        for (low, high) in [(-1e100, 1e100), (0.0, 5e-324), (-0.0, 1e-201), (1e16, 1e16 + 2.0), (-7.0, -7.0 + 1e-9)] {
            let bins = histogram(&[(0.0, low), (0.0, high)]);
            assert!(bins.len() < 60 && bins.iter().map(|b| b.count).sum::<usize>() == 2, "{low} {high}");
        }
    }
}
