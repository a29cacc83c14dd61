//! What a campaign gains that takes the rows with the highest scores first.

use std::path::Path;

use crate::Result;
use crate::axes::{Axis, Frame, bounds};
use crate::canvas::Canvas;
use crate::render::save;
use crate::style::{self, BASELINE, FADED, INK, LINE_WIDTH, MARGIN, PALETTE, Swatch};

/// Cumulative gain and lift of one class.
pub struct GainAndLift<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name, data set and row count; may be empty.
    pub subtitle: &'a str,
    /// The class that counts as positive.
    pub class: &'a str,
    /// By rising `share`.
    pub points: &'a [GainPoint],
    /// Share of positive rows, in 0..=1: how far the perfect model is.
    pub base_rate: f64,
    /// The share of the rows that the operating point takes, drawn as a line.
    pub selected: Option<f64>,
}

/// The `share` of all rows that have the highest scores.
pub struct GainPoint {
    /// In 0..=1.
    pub share: f64,
    /// The share of all positives that is among them, in 0..=1.
    pub gain: f64,
    /// How many times more positives than among as many random rows.
    pub lift: f64,
}

const WIDTH: f64 = 1600.0;
const PLOT_HEIGHT: f64 = 600.0;

/// Writes gain and lift side by side, each over the share of rows taken, beside random order and the perfect one.
pub fn gain_and_lift(spec: &GainAndLift, stem: &Path) -> Result<()> {
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &legend(spec)) + 28.0;
    let lifts = spec.points.iter().map(|point| point.lift);
    // The perfect lift would press the curve to the ground where positives are rare.
    let (_, highest) = bounds(lifts.chain([1.0])).unwrap_or((0.0, 1.0));
    let frames = [percent_axis(5), Axis::linear(0.0, highest * 1.08, 6)].map(|y| (y, percent_axis(5)));
    let width = (WIDTH - 2.0 * MARGIN - 48.0) / 2.0;
    let names = ["% of the positives found", "Lift"];
    for (i, ((y, x), name)) in frames.into_iter().zip(names).enumerate() {
        let start = MARGIN + i as f64 * (width + 48.0);
        let indent = 50.0 + y.tick_width() + 14.0;
        let frame = Frame { left: start + indent, top, width: width - indent, height: PLOT_HEIGHT, x, y };
        frame.draw_grid(&mut canvas);
        frame.draw_x_labels(&mut canvas, "% of the rows, highest scores first");
        frame.draw_y_name(&mut canvas, name);
        draw_curves(&mut canvas, spec, &frame, i == 0);
        canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;
    }
    save(&canvas, stem)
}

fn percent_axis(count: usize) -> Axis {
    Axis::linear(0.0, 100.0, count)
}

fn is_share(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

fn legend(spec: &GainAndLift) -> Vec<(Swatch, String)> {
    let name = style::shorten(spec.class, style::LABEL, WIDTH / 2.0);
    let mut entries = vec![(Swatch::Line(PALETTE[0]), name), (Swatch::Dashed(BASELINE), "random order".to_string())];
    if is_share(spec.base_rate) {
        let text = format!("perfect order ({:.1}% positives)", spec.base_rate * 100.0);
        entries.push((Swatch::Line(FADED), text));
    }
    if let Some(selected) = spec.selected.filter(|share| is_share(*share)) {
        entries.push((Swatch::Dashed(INK), format!("chosen threshold: {:.1}% of the rows", selected * 100.0)));
    }
    entries
}

fn draw_curves(canvas: &mut Canvas, spec: &GainAndLift, frame: &Frame, is_gain: bool) {
    let height = |gain: f64, lift: f64| if is_gain { gain * 100.0 } else { lift };
    if is_share(spec.base_rate) && spec.base_rate > 0.0 {
        let gain = |share: f64| (share / spec.base_rate).min(1.0);
        let lift = |share: f64| 1.0 / share.max(spec.base_rate);
        // As far as the frame reaches.
        let shares = (0..=400).map(|i| f64::from(i) / 400.0).chain([spec.base_rate]);
        let mut points: Vec<(f64, f64)> =
            shares.map(|share| (share * 100.0, height(gain(share), lift(share)))).collect();
        points.retain(|(_, y)| *y <= frame.y.high);
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let points = points.iter().map(|&(x, y)| frame.at(x, y));
        canvas.line(&points.collect::<Vec<_>>(), LINE_WIDTH - 1.0, FADED);
    }
    let random = if is_gain { (0.0, 100.0) } else { (1.0, 1.0) };
    canvas.dashed(frame.at(0.0, random.0), frame.at(100.0, random.1), 3.0, BASELINE);
    if let Some(selected) = spec.selected.filter(|share| is_share(*share)) {
        canvas.dashed(frame.at(selected * 100.0, frame.y.low), frame.at(selected * 100.0, frame.y.high), 3.0, INK);
    }
    let curve: Vec<(f64, f64)> = spec
        .points
        .iter()
        .map(|point| (point.share * 100.0, height(point.gain, point.lift)))
        .filter(|(x, y)| style::is_drawable(*x) && style::is_drawable(*y))
        .collect();
    if curve.is_empty() {
        style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
    frame.draw_curve(canvas, curve.into_iter(), LINE_WIDTH + 1.0, PALETTE[0]);
}
