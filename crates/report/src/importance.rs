//! How much worse the model gets when the values of a feature are shuffled.

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

/// The importance of one feature.
pub struct Importance<'a> {
    /// A name too long for its place loses letters in the middle.
    pub feature: &'a str,
    /// By how much the metric got worse, mean over the repeats; below 0 if it got better. Not drawn if NaN.
    pub mean: f64,
    /// Its standard deviation over the repeats, the half length of the whisker; NaN if unknown.
    pub spread: f64,
}

const WIDTH: f64 = 1400.0;
const MAX_BARS: usize = 20;
const ROW: f64 = 46.0;
/// The widest that feature names may become, in pixels.
const NAME_ROOM: f64 = 480.0;

/// Writes horizontal bars with whiskers, the most important on top; of more than 20 features the first 20.
pub fn permutation_importance(spec: &PermutationImportance, stem: &Path) -> Result<()> {
    let mut sorted: Vec<&Importance> = spec.features.iter().filter(|f| style::is_drawable(f.mean)).collect();
    sorted.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    let (shown, rest) = sorted.split_at(sorted.len().min(MAX_BARS));
    let ends = shown.iter().flat_map(|f| [f.mean - spread(f), f.mean + spread(f), 0.0]);
    let (low, high) = bounds(ends).unwrap_or((0.0, 1.0));
    let values: Vec<[String; 2]> = shown.iter().map(|f| value_texts(f, low.abs().max(high.abs()))).collect();

    let width_of = |text: &str| text_width(text, TICK.size, TICK.bold);
    let widest = |column: usize| values.iter().map(|v| width_of(&v[column])).fold(0.0, f64::max);
    let names: Vec<String> = shown.iter().map(|f| style::shorten_middle(f.feature, TICK, NAME_ROOM)).collect();
    let left = MARGIN + names.iter().map(|name| width_of(name)).fold(120.0, f64::max) + 18.0;
    let right = WIDTH - MARGIN - widest(0) - widest(1) - 30.0;
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle) + 20.0;
    let height = ROW * shown.len().max(4) as f64;
    let (x, y) = (value_axis(low, high), Axis::unlabelled());
    let frame = Frame { left, top, width: right - left, height, x, y };
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;

    frame.draw_grid(&mut canvas);
    let verb = if spec.lower_is_better { "Increase" } else { "Decrease" };
    frame.draw_wide_x_labels(&mut canvas, &format!("{verb} of {} when the feature is shuffled", spec.metric));
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
    draw_rest(&mut canvas, spec.features.len() - shown.len(), rest);
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

fn value_texts(feature: &Importance, largest: f64) -> [String; 2] {
    let spread = if style::is_drawable(feature.spread) && feature.spread != 0.0 {
        format!("± {}", style::column_number(feature.spread.abs(), largest))
    } else {
        String::new()
    };
    [style::column_number(feature.mean, largest), spread]
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
fn draw_rest(canvas: &mut Canvas, hidden: usize, rest: &[&Importance]) {
    if hidden == 0 {
        return;
    }
    let count = style::grouped(hidden as f64, 0);
    let text = match rest.first() {
        Some(next) => format!("and {count} more, each at most {}", style::significant(next.mean)),
        None => format!("and {count} more without a value"),
    };
    style::draw_footer(canvas, &text);
}
