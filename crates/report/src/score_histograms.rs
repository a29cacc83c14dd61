//! How the predicted probabilities of groups of rows are distributed.

use std::path::Path;

use plotters::style::RGBColor;

use crate::Result;
use crate::axes::{Axis, Frame};
use crate::canvas::Canvas;
use crate::render::save;
use crate::style::{self, INK, MARGIN, PALETTE, Swatch};

/// Histograms of predicted probabilities, one over the other.
pub struct ScoreHistograms<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name, data set and row count; may be empty.
    pub subtitle: &'a str,
    /// The name of the x axis, e.g. `Predicted probability of >50K`, or `Confidence: probability of the predicted class`.
    pub score: &'a str,
    /// For two classes the rows of each; for more, e.g. the right and the wrong predictions.
    pub groups: Vec<ScoreGroup<'a>>,
    /// Where the decision turns, drawn dashed.
    pub threshold: Option<f64>,
}

/// Rows that belong together.
pub struct ScoreGroup<'a> {
    /// Shown in the legend, e.g. the true class.
    pub name: &'a str,
    /// Probabilities in 0..=1; values outside are not drawn.
    pub scores: &'a [f64],
}

const WIDTH: f64 = 1400.0;
const BINS: usize = 40;
const OPACITY: f64 = 0.35;
/// Room for the rounding errors of a softmax in `f32`.
const TOLERANCE: f64 = 1e-5;

/// Writes the histogram of each group in percent of its rows, so that a rare class is seen beside a frequent one.
pub fn score_histograms(spec: &ScoreHistograms, stem: &Path) -> Result<()> {
    let shares: Vec<Vec<f64>> = spec.groups.iter().map(|group| percentages(group.scores)).collect();
    let highest = shares.iter().flatten().copied().fold(0.0, f64::max);
    let y = Axis::linear(0.0, if highest > 0.0 { highest * 1.05 } else { 100.0 }, 6);
    let left = MARGIN + 50.0 + y.tick_width().max(40.0) + 14.0;
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &legend(spec)) + 28.0;
    let frame = Frame { left, top, width: WIDTH - MARGIN - left, height: 620.0, x: Axis::linear(0.0, 1.0, 10), y };
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;

    frame.draw_grid(&mut canvas);
    frame.draw_x_labels(&mut canvas, spec.score);
    frame.draw_y_name(&mut canvas, "% of the group's rows");
    for (shares, color) in shares.iter().zip(PALETTE.iter().cycle()) {
        draw_bars(&mut canvas, &frame, shares, *color);
    }
    for (shares, color) in shares.iter().zip(PALETTE.iter().cycle()) {
        draw_outline(&mut canvas, &frame, shares, *color);
    }
    if let Some(threshold) = threshold(spec) {
        canvas.dashed(frame.at(threshold, frame.y.low), frame.at(threshold, frame.y.high), 3.0, INK);
    }
    if highest == 0.0 {
        style::draw_no_data(&mut canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
    save(&canvas, stem)
}

/// Where it can be drawn, and something with it.
fn threshold(spec: &ScoreHistograms) -> Option<f64> {
    let has_scores = spec.groups.iter().flat_map(|group| group.scores).any(|score| in_range(*score));
    spec.threshold.filter(|t| has_scores && (0.0..=1.0).contains(t))
}

fn in_range(score: f64) -> bool {
    (-TOLERANCE..=1.0 + TOLERANCE).contains(&score)
}

/// [rows] -> [BINS], the percentage of the rows in each of equally wide bins of 0..=1.
fn percentages(scores: &[f64]) -> Vec<f64> {
    let mut counts = vec![0usize; BINS];
    for score in scores.iter().filter(|score| in_range(**score)) {
        counts[((score.max(0.0) * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let total = counts.iter().sum::<usize>().max(1) as f64;
    counts.iter().map(|&count| count as f64 / total * 100.0).collect()
}

fn legend(spec: &ScoreHistograms) -> Vec<(Swatch, String)> {
    let mut entries = Vec::new();
    for (group, color) in spec.groups.iter().zip(PALETTE.iter().cycle()) {
        let drawn: Vec<f64> = group.scores.iter().copied().filter(|score| in_range(*score)).collect();
        let plural = if group.scores.len() == 1 { "" } else { "s" };
        let mut numbers = format!("{} row{plural}", style::grouped(group.scores.len() as f64, 0));
        if !drawn.is_empty() {
            numbers += &format!(", mean {:.3}", drawn.iter().sum::<f64>() / drawn.len() as f64);
        }
        entries.push((Swatch::Area(*color, 0.7), style::legend_text(group.name, &numbers, WIDTH - 2.0 * MARGIN)));
    }
    if let Some(threshold) = threshold(spec) {
        entries.push((Swatch::Dashed(INK), format!("threshold {}", style::significant(threshold))));
    }
    entries
}

fn draw_bars(canvas: &mut Canvas, frame: &Frame, shares: &[f64], color: RGBColor) {
    for (i, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
        let (left, top) = frame.at(i as f64 / BINS as f64, share);
        let (right, bottom) = frame.at((i + 1) as f64 / BINS as f64, 0.0);
        canvas.shade((left, top), (right - left, bottom - top), color, OPACITY);
    }
}

/// Steps along the tops of the bars: seen where groups cover each other. Where a group has no rows, there is no line.
fn draw_outline(canvas: &mut Canvas, frame: &Frame, shares: &[f64], color: RGBColor) {
    let edge = |i: usize| i as f64 / BINS as f64;
    let bins: Vec<(usize, f64)> = shares.iter().copied().enumerate().collect();
    for run in bins.chunk_by(|a, b| (a.1 > 0.0) == (b.1 > 0.0)).filter(|run| run[0].1 > 0.0) {
        let (first, last) = (run[0].0, run[run.len() - 1].0);
        let steps = run.iter().flat_map(|&(i, share)| [(edge(i), share), (edge(i + 1), share)]);
        let closed = [(edge(first), 0.0)].into_iter().chain(steps).chain([(edge(last + 1), 0.0)]);
        canvas.line(&closed.map(|(x, y)| frame.at(x, y)).collect::<Vec<_>>(), 3.0, color);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_count_each_row_in_range_once() {
        let shares = percentages(&[0.0, -1e-7, 0.49, 1.0, 1.0 + 1e-7, 1.1, f64::NAN, -0.5]);
        assert_eq!((shares[0], shares[19], shares[39]), (40.0, 20.0, 40.0));
        assert_eq!(shares.iter().sum::<f64>(), 100.0);
        assert!(percentages(&[]).iter().all(|share| *share == 0.0));
    }
}
