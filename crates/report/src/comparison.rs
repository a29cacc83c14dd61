//! Scores side by side: of several models, or of the folds of a cross-validation.

use std::path::Path;

use plotters::style::text_anchor::HPos;
use plotters::style::{RGBColor, WHITE};

use crate::Result;
use crate::axes::{Axis, Frame, bounds};
use crate::canvas::{Canvas, TextStyle};
use crate::render::{save, text_width};
use crate::style::{self, BASELINE, GRID, INK, LABEL, MARGIN, MUTED, PALETTE, Swatch, TICK};

/// One metric of several models on the same rows.
pub struct ModelComparison<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. data set, split and row count; may be empty.
    pub subtitle: &'a str,
    /// The metric with its unit, e.g. `ROC AUC`.
    pub metric: &'a str,
    /// Decides which model stands on top.
    pub lower_is_better: bool,
    /// What the intervals are, for the legend, e.g. `95% interval, 1,000 bootstrap samples`; may be empty.
    pub interval_label: &'a str,
    /// In any order.
    pub models: &'a [ModelScore<'a>],
}

/// The score of one model.
pub struct ModelScore<'a> {
    /// A name too long for its place loses letters in the middle.
    pub name: &'a str,
    /// The metric; a model whose value is NaN stands at the bottom, marked `n/a`.
    pub value: f64,
    /// The ends of the error bar, low and high.
    pub interval: Option<(f64, f64)>,
    /// Coloured and bold, e.g. the model that this run trained; the first one gets a line through all rows.
    pub highlight: bool,
}

/// Scores of the folds of a cross-validation.
pub struct FoldScores<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name, data set and kind of split; may be empty.
    pub subtitle: &'a str,
    /// From top to bottom, each with its own axis.
    pub metrics: &'a [FoldMetric<'a>],
}

/// One metric of each fold.
pub struct FoldMetric<'a> {
    /// The metric with its unit, e.g. `ROC AUC`.
    pub name: &'a str,
    /// Shown behind the name.
    pub lower_is_better: bool,
    /// `values[i]` belongs to fold `i + 1`; one that is not finite is skipped.
    pub values: &'a [f64],
    /// The mean of the values.
    pub mean: f64,
    /// Their standard deviation; NaN if unknown.
    pub sd: f64,
}

const WIDTH: f64 = 1400.0;
const ROW: f64 = 52.0;
const MAX_ROWS: usize = 40;
/// The widest that model names may become, in pixels.
const NAME_ROOM: f64 = 400.0;
const BOLD: TextStyle = TextStyle { bold: true, color: INK, ..TICK };

/// Writes a row per model, the best on top: a dot, an error bar and the number; of more than 40 models the best 40.
///
/// Dots, because the axis does not start at 0: the length of a bar would mean nothing.
pub fn model_comparison(spec: &ModelComparison, stem: &Path) -> Result<()> {
    let sorted = best_first(spec);
    let shown = &sorted[..sorted.len().min(MAX_ROWS)];
    let ends = |m: &&ModelScore| interval(m).map_or([m.value; 2], |(low, high)| [low.min(m.value), high.max(m.value)]);
    let (low, high) = bounds(shown.iter().flat_map(ends)).unwrap_or((0.0, 1.0));
    let texts: Vec<[String; 2]> = shown.iter().map(|m| value_texts(m, low.abs().max(high.abs()))).collect();

    let widest = |column: usize| texts.iter().map(|t| text_width(&t[column], TICK.size, true)).fold(0.0, f64::max);
    let names: Vec<String> = shown.iter().map(|m| style::shorten_middle(m.name, BOLD, NAME_ROOM)).collect();
    let left = MARGIN + names.iter().map(|name| text_width(name, TICK.size, true)).fold(120.0, f64::max) + 18.0;
    let right = WIDTH - MARGIN - widest(0) - widest(1) - 44.0;
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let mut top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    if !spec.interval_label.is_empty() && shown.iter().any(|m| interval(m).is_some()) {
        let entry = (Swatch::Whisker(MUTED), spec.interval_label.to_string());
        top = style::draw_legend_rows(&mut canvas, top, &[entry]);
    }
    let height = ROW * shown.len().max(3) as f64;
    let x = Axis::padded(low, high, 4);
    let frame = Frame { left, top: top + 20.0, width: right - left, height, x, y: Axis::unlabelled() };
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;

    frame.draw_grid(&mut canvas);
    frame.draw_wide_x_labels(&mut canvas, &with_direction(spec.metric, spec.lower_is_better));
    if let Some(own) = shown.iter().find(|m| m.highlight && style::is_drawable(m.value)) {
        let (x, _) = frame.at(own.value, 0.0);
        canvas.dashed((x, frame.top), (x, frame.bottom()), 2.5, PALETTE[0]);
    }
    for (i, model) in shown.iter().enumerate() {
        let middle = frame.top + ROW * (i as f64 + 0.5);
        draw_model(&mut canvas, &frame, model, middle);
        let style = if model.highlight { BOLD } else { TextStyle { color: INK, ..TICK } };
        canvas.text((left - 18.0, middle + 8.5), &names[i], TextStyle { anchor: HPos::Right, ..style });
        let value_end = WIDTH - MARGIN - widest(1) - if widest(1) > 0.0 { 14.0 } else { 0.0 };
        canvas.text((value_end, middle + 8.5), &texts[i][0], TextStyle { anchor: HPos::Right, ..style });
        canvas.text((WIDTH - MARGIN, middle + 8.5), &texts[i][1], TextStyle { anchor: HPos::Right, ..TICK });
    }
    if shown.is_empty() {
        style::draw_no_data(&mut canvas, (frame.left + frame.width / 2.0, frame.top + frame.height / 2.0));
    }
    if sorted.len() > shown.len() {
        style::draw_footer(&mut canvas, &format!("and {} more", sorted.len() - shown.len()));
    }
    save(&canvas, stem)
}

/// Equal values stay in the given order; NaN comes last.
fn best_first<'a>(spec: &ModelComparison<'a>) -> Vec<&'a ModelScore<'a>> {
    let mut sorted: Vec<&ModelScore> = spec.models.iter().collect();
    sorted.sort_by(|a, b| {
        let better = if spec.lower_is_better { a.value.total_cmp(&b.value) } else { b.value.total_cmp(&a.value) };
        a.value.is_nan().cmp(&b.value.is_nan()).then(better)
    });
    sorted
}

fn interval(model: &ModelScore) -> Option<(f64, f64)> {
    model.interval.filter(|(low, high)| style::is_drawable(*low) && style::is_drawable(*high))
}

fn value_texts(model: &ModelScore, largest: f64) -> [String; 2] {
    let number = |v: f64| style::column_number(v, largest);
    let interval = interval(model).map_or(String::new(), |(low, high)| format!("[{}, {}]", number(low), number(high)));
    [number(model.value), interval]
}

fn with_direction(metric: &str, lower_is_better: bool) -> String {
    format!("{metric} ({} is better)", if lower_is_better { "lower" } else { "higher" })
}

fn draw_model(canvas: &mut Canvas, frame: &Frame, model: &ModelScore, middle: f64) {
    if !style::is_drawable(model.value) {
        return;
    }
    let color = if model.highlight { PALETTE[0] } else { MUTED };
    let at = |value: f64| (frame.at(value, 0.0).0, middle);
    if let Some((low, high)) = interval(model) {
        canvas.whisker(at(low), at(high), color);
    }
    canvas.dot(at(model.value), 12.0, WHITE, 1.0);
    canvas.dot(at(model.value), 10.0, color, 1.0);
}

const PANEL_HEAD: f64 = 66.0;
const PANEL_HEIGHT: f64 = 96.0;
const TICK_ROOM: f64 = 48.0;

/// Writes a panel per metric: a dot per fold, their mean as a line, one standard deviation to both sides as a band.
///
/// Up to 10 folds have colours, so that one bad fold is found again in all metrics.
pub fn fold_scores(spec: &FoldScores, stem: &Path) -> Result<()> {
    let folds = spec.metrics.iter().map(|m| m.values.len()).max().unwrap_or(0);
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let mut top = style::draw_legend_rows(&mut canvas, top, &fold_legend(folds));
    for metric in spec.metrics {
        top += PANEL_HEAD;
        draw_metric(&mut canvas, metric, top, folds);
        top += PANEL_HEIGHT + TICK_ROOM;
    }
    if spec.metrics.is_empty() {
        style::draw_no_data(&mut canvas, (WIDTH / 2.0, top + 60.0));
        top += 120.0;
    }
    canvas.height = (top + MARGIN / 2.0).ceil() as u32;
    save(&canvas, stem)
}

fn fold_color(fold: usize, folds: usize) -> RGBColor {
    if folds <= PALETTE.len() { PALETTE[fold] } else { PALETTE[0] }
}

fn fold_legend(folds: usize) -> Vec<(Swatch, String)> {
    let mut entries: Vec<(Swatch, String)> = if folds <= PALETTE.len() {
        (0..folds).map(|i| (Swatch::Dot(fold_color(i, folds)), format!("fold {}", i + 1))).collect()
    } else {
        vec![(Swatch::Dot(PALETTE[0]), format!("one of {} folds", style::grouped(folds as f64, 0)))]
    };
    entries.push((Swatch::Line(INK), "mean".to_string()));
    entries.push((Swatch::Area(GRID, 1.0), "± 1 standard deviation".to_string()));
    entries
}

fn draw_metric(canvas: &mut Canvas, metric: &FoldMetric, top: f64, folds: usize) {
    let (low_sd, high_sd) = (metric.mean - metric.sd.abs(), metric.mean + metric.sd.abs());
    let ends = metric.values.iter().copied().chain([metric.mean, low_sd, high_sd]);
    let (low, high) = bounds(ends).unwrap_or((0.0, 1.0));
    let x = Axis::padded(low, high, 8);
    let y = Axis::unlabelled();
    let frame = Frame { left: MARGIN + 20.0, top, width: WIDTH - 2.0 * MARGIN - 40.0, height: PANEL_HEIGHT, x, y };
    let summary = mean_and_sd(metric, low.abs().max(high.abs()));
    let summary_width = text_width(&summary, LABEL.size, false);
    let (at, end) = ((MARGIN, top - 18.0), (WIDTH - MARGIN, top - 18.0));
    canvas.text(end, &summary, TextStyle { anchor: HPos::Right, ..LABEL });
    let head = TextStyle { bold: true, ..LABEL };
    let name = with_direction(metric.name, metric.lower_is_better);
    canvas.text(at, &style::shorten(&name, head, WIDTH - 2.0 * MARGIN - summary_width - 40.0), head);

    if style::is_drawable(low_sd) && style::is_drawable(high_sd) {
        let ((start, _), (end, _)) = (frame.at(low_sd, 0.0), frame.at(high_sd, 0.0));
        canvas.rect(start, frame.top, end - start, frame.height, GRID);
    }
    canvas.line(&[(frame.left, frame.bottom()), (frame.right(), frame.bottom())], 2.0, BASELINE);
    frame.draw_x_ticks(canvas);
    for (value, _) in &frame.x.ticks {
        let (x, y) = frame.at(*value, 0.0);
        canvas.line(&[(x, y), (x, y + 8.0)], 2.0, BASELINE);
    }
    if style::is_drawable(metric.mean) {
        let (x, _) = frame.at(metric.mean, 0.0);
        canvas.line(&[(x, frame.top), (x, frame.bottom())], 4.0, INK);
    }
    let few = folds <= PALETTE.len();
    let (radius, step) = if few { (10.0, 0.8) } else { (7.0, 0.9) };
    for (i, &value) in metric.values.iter().enumerate().filter(|(_, v)| style::is_drawable(**v)) {
        // Fold under fold, so that equal scores do not hide each other.
        let height = 0.5 + step * (0.5 - (i as f64 + 0.5) / folds as f64);
        if few {
            canvas.dot(frame.at(value, height), radius + 2.0, WHITE, 1.0);
        }
        let opacity = if few { 1.0 } else { 0.6 };
        canvas.dot(frame.at(value, height), radius, fold_color(i, folds), opacity);
    }
    if !metric.values.iter().any(|v| style::is_drawable(*v)) {
        style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height / 2.0));
    }
}

fn mean_and_sd(metric: &FoldMetric, largest: f64) -> String {
    let mean = style::column_number(metric.mean, largest);
    if style::is_drawable(metric.mean) && style::is_drawable(metric.sd) {
        format!("{mean} ± {}", style::column_number(metric.sd.abs(), largest))
    } else {
        mean
    }
}
