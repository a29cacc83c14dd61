//! How much a feature matters to a model, or a hyperparameter to a search: bars from the most important down.

use std::path::Path;

use plotters::style::text_anchor::HPos;

use crate::Result;
use crate::axes::{Axis, Frame, bounds};
use crate::canvas::{Canvas, TextStyle};
use crate::render::{save, text_width};
use crate::style::{self, BASELINE, INK, MARGIN, PALETTE, TICK};

/// The permutation importance of the features of one model (Breiman, Random Forests, 2001; as in scikit-learn).
pub struct PermutationImportance<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name, split, row count and repeats; may be empty.
    pub subtitle: &'a str,
    /// The metric that gets worse, e.g. `ROC AUC`.
    pub metric: &'a str,
    /// Whether a low value of the metric is good, so shuffling increases it.
    pub lower_is_better: bool,
    /// In any order.
    pub features: &'a [Importance<'a>],
}

/// The importance of one feature, or of one hyperparameter.
pub struct Importance<'a> {
    /// A name too long for its place loses letters in the middle.
    pub feature: &'a str,
    /// By how much the metric got worse, mean over the repeats; below 0 if it got better. Of a hyperparameter its share, 0
    /// to 1. Not drawn if NaN.
    pub mean: f64,
    /// Its standard deviation over the repeats, the half length of the whisker; NaN if unknown.
    pub spread: f64,
}

/// How much of the differences between the trials of a search each hyperparameter explains.
pub struct ParameterImportance<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. study, method and number of trials; may be empty.
    pub subtitle: &'a str,
    /// The objective that is explained, e.g. `valid RMSE`.
    pub objective: &'a str,
    /// In any order; the shares need not add up to 1.
    pub parameters: &'a [Importance<'a>],
}

const WIDTH: f64 = 1400.0;
const MAX_BARS: usize = 20;
const ROW: f64 = 46.0;
/// The widest that feature names may become, in pixels.
const NAME_ROOM: f64 = 480.0;

/// Writes horizontal bars with whiskers, the most important on top; of more than 20 features the first 20.
pub fn permutation_importance(spec: &PermutationImportance, stem: &Path) -> Result<()> {
    let verb = if spec.lower_is_better { "Increase" } else { "Decrease" };
    let axis = format!("{verb} of {} when the feature is shuffled", spec.metric);
    let number = style::column_number;
    draw(&Bars { title: spec.title, subtitle: spec.subtitle, axis, features: spec.features, tick: "", number }, stem)
}

/// Writes horizontal bars of shares in percent, the most important on top; of more than 20 hyperparameters the first 20.
pub fn parameter_importance(spec: &ParameterImportance, stem: &Path) -> Result<()> {
    let axis = format!("Share of the variation of {}", spec.objective);
    let percent = spec.parameters.iter().map(|share| Importance {
        feature: share.feature,
        mean: share.mean * 100.0,
        spread: share.spread * 100.0,
    });
    let features: Vec<Importance> = percent.collect();
    let number = |value: f64, _| format!("{}%", style::grouped(value, 1));
    draw(&Bars { title: spec.title, subtitle: spec.subtitle, axis, features: &features, tick: "%", number }, stem)
}

/// What both pictures have in common.
struct Bars<'a> {
    title: &'a str,
    subtitle: &'a str,
    /// The name of the axis.
    axis: String,
    features: &'a [Importance<'a>],
    /// Follows the number of each tick.
    tick: &'a str,
    /// Writes a value, beside the largest.
    number: fn(f64, f64) -> String,
}

fn draw(spec: &Bars, stem: &Path) -> Result<()> {
    let mut sorted: Vec<&Importance> = spec.features.iter().filter(|f| style::is_drawable(f.mean)).collect();
    sorted.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    let (shown, rest) = sorted.split_at(sorted.len().min(MAX_BARS));
    let ends = shown.iter().flat_map(|f| [f.mean - spread(f), f.mean + spread(f), 0.0]);
    let (low, high) = bounds(ends).unwrap_or((0.0, 1.0));
    let largest = low.abs().max(high.abs());
    let values: Vec<[String; 2]> = shown.iter().map(|f| value_texts(spec, f, largest)).collect();

    let width_of = |text: &str| text_width(text, TICK.size, TICK.bold);
    let widest = |column: usize| values.iter().map(|v| width_of(&v[column])).fold(0.0, f64::max);
    let names: Vec<String> = shown.iter().map(|f| style::shorten_middle(f.feature, TICK, NAME_ROOM)).collect();
    let left = MARGIN + names.iter().map(|name| width_of(name)).fold(120.0, f64::max) + 18.0;
    let right = WIDTH - MARGIN - widest(0) - widest(1) - 30.0;
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle) + 20.0;
    let height = ROW * shown.len().max(4) as f64;
    let (mut x, y) = (value_axis(low, high), Axis::unlabelled());
    x.ticks.iter_mut().for_each(|(_, label)| label.push_str(spec.tick));
    let frame = Frame { left, top, width: right - left, height, x, y };
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;

    frame.draw_grid(&mut canvas);
    frame.draw_wide_x_labels(&mut canvas, &spec.axis);
    for (i, feature) in shown.iter().enumerate() {
        let middle = top + ROW * (i as f64 + 0.5);
        canvas.text((left - 18.0, middle + 8.5), &names[i], TextStyle { anchor: HPos::Right, color: INK, ..TICK });
        draw_bar(&mut canvas, &frame, feature, middle);
        let value = TextStyle { anchor: HPos::Right, color: INK, ..TICK };
        canvas.text((WIDTH - MARGIN - widest(1) - 8.0, middle + 8.5), &values[i][0], value);
        canvas.text((WIDTH - MARGIN, middle + 8.5), &values[i][1], TextStyle { anchor: HPos::Right, ..TICK });
    }
    let (zero, _) = frame.at(0.0, 0.0);
    canvas.line(&[(zero, frame.top), (zero, frame.bottom())], 2.0, BASELINE);
    if shown.is_empty() {
        style::draw_no_data(&mut canvas, (frame.left + frame.width / 2.0, frame.top + frame.height / 2.0));
    }
    draw_rest(&mut canvas, spec, spec.features.len() - shown.len(), rest);
    save(&canvas, stem)
}

fn spread(feature: &Importance) -> f64 {
    if style::is_drawable(feature.spread) { feature.spread.abs() } else { 0.0 }
}

/// Room beyond the bars on the sides that have some, none beyond 0.
fn value_axis(low: f64, high: f64) -> Axis {
    if low == high {
        return Axis::linear(-1.0, 1.0, 2);
    }
    let padding = (high - low) * 0.03;
    let or_zero = |value: f64, moved: f64| if value == 0.0 { 0.0 } else { moved };
    Axis::linear(or_zero(low, low - padding), or_zero(high, high + padding), 4)
}

fn value_texts(spec: &Bars, feature: &Importance, largest: f64) -> [String; 2] {
    let spread = if style::is_drawable(feature.spread) && feature.spread != 0.0 {
        format!("± {}", (spec.number)(feature.spread.abs(), largest))
    } else {
        String::new()
    };
    [(spec.number)(feature.mean, largest), spread]
}

fn draw_bar(canvas: &mut Canvas, frame: &Frame, feature: &Importance, middle: f64) {
    let ((zero, _), (end, _)) = (frame.at(0.0, 0.0), frame.at(feature.mean, 0.0));
    // A model that gets better without a feature has found noise in it.
    let color = if feature.mean >= 0.0 { PALETTE[0] } else { PALETTE[1] };
    canvas.rect(zero.min(end), middle - ROW * 0.32, (end - zero).abs().max(1.0), ROW * 0.64, color);
    if spread(feature) > 0.0 {
        let ends = [-1.0, 1.0].map(|sign| (frame.at(feature.mean + sign * spread(feature), 0.0).0, middle));
        canvas.whisker(ends[0], ends[1], INK);
    }
}

/// How many features are not shown, and how important they are at most.
fn draw_rest(canvas: &mut Canvas, spec: &Bars, hidden: usize, rest: &[&Importance]) {
    if hidden == 0 {
        return;
    }
    let count = style::grouped(hidden as f64, 0);
    let text = match rest.first() {
        Some(next) => format!("and {count} more, each at most {}{}", style::significant(next.mean), spec.tick),
        None => format!("and {count} more without a value"),
    };
    style::draw_footer(canvas, &text);
}
