//! How the mean prediction changes when one feature is set to a value in all rows.

use std::path::Path;

use plotters::style::{RGBColor, WHITE};

use crate::axes::{Axis, Frame, bounds};
use crate::canvas::Canvas;
use crate::panels::{self, MAX_LEVELS, MAX_PANELS, Place, WIDTH};
use crate::render::save;
use crate::style::{self, BASELINE, FADED, LINE_WIDTH, MARGIN, PALETTE, Swatch, TICK};
use crate::{Error, Result};

/// Partial dependence (Friedman, Greedy Function Approximation, 2001) of several features.
pub struct PartialDependence<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. run name, split and row count; may be empty.
    pub subtitle: &'a str,
    /// What is predicted, one name per curve of each panel, e.g. `probability of >50K`, or one per class.
    pub outputs: &'a [&'a str],
    /// The mean prediction over the rows as they are, drawn as a line; NaN if unknown or if there are several outputs.
    pub overall: f64,
    /// In the order of drawing, usually the most important first; the first 16 are drawn.
    pub features: &'a [FeatureDependence<'a>],
}

/// One panel.
pub struct FeatureDependence<'a> {
    /// A name too long for its place loses letters in the middle.
    pub feature: &'a str,
    /// Where the feature was put.
    pub grid: DependenceGrid<'a>,
    /// `[outputs][grid]`, the mean prediction at each place of the grid.
    pub means: &'a [Vec<f64>],
}

/// The values that a feature was set to.
pub enum DependenceGrid<'a> {
    /// A number: a curve.
    Numbers {
        /// Rising.
        grid: &'a [f64],
        /// The feature in the rows, for the bars that show where they are many; may be empty.
        values: &'a [f64],
    },
    /// A category: a row for each level; the first 8 are drawn.
    Levels {
        /// One name per place.
        names: &'a [&'a str],
        /// Rows that have it.
        counts: &'a [u64],
    },
}

const BINS: usize = 40;
/// How much of a panel's height the highest bar takes.
const BARS_SHARE: f64 = 0.22;

/// Writes a panel per feature, all on one scale of the prediction: a curve for numbers, over bars that show where the rows
/// are; for levels a dot, and a line to the mean prediction.
pub fn partial_dependence(spec: &PartialDependence, stem: &Path) -> Result<()> {
    spec.features.iter().try_for_each(|feature| check(spec, feature))?;
    let shown = &spec.features[..spec.features.len().min(MAX_PANELS)];
    let means = shown.iter().flat_map(drawn_means).chain([spec.overall]);
    let (low, high) = bounds(means).unwrap_or((0.0, 1.0));
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let top = style::draw_legend_rows(&mut canvas, top, &legend(spec, shown));
    let (places, bottom) = panels::places(shown.len(), top);
    canvas.height = (bottom + MARGIN / 2.0).ceil() as u32;
    for (feature, place) in shown.iter().zip(places) {
        let n_levels = feature.means.first().map_or(0, Vec::len);
        let is_cut = matches!(feature.grid, DependenceGrid::Levels { .. }) && n_levels > MAX_LEVELS;
        let more = if is_cut { format!("and {} more levels", n_levels - MAX_LEVELS) } else { String::new() };
        panels::draw_head(&mut canvas, place, feature.feature, &more, TICK);
        // Room below the curves for the bars.
        let y = || Axis::padded(low - (high - low) * BARS_SHARE, high, 6);
        match &feature.grid {
            DependenceGrid::Numbers { grid, values } => {
                draw_numbers(&mut canvas, spec, feature, (grid, values), place, y());
            }
            DependenceGrid::Levels { names, counts } => {
                draw_levels(&mut canvas, spec, feature, (names, counts), place, Axis::padded(low, high, 4));
            }
        }
    }
    if shown.is_empty() {
        style::draw_no_data(&mut canvas, (WIDTH / 2.0, top + 160.0));
    }
    panels::draw_more(&mut canvas, shown.len(), spec.features.len());
    save(&canvas, stem)
}

fn check(spec: &PartialDependence, feature: &FeatureDependence) -> Result<()> {
    let (places, counts) = match &feature.grid {
        DependenceGrid::Numbers { grid, .. } => (grid.len(), grid.len()),
        DependenceGrid::Levels { names, counts } => (names.len(), counts.len()),
    };
    let (outputs, wanted) = (feature.means.len(), spec.outputs.len());
    let problem = if outputs != wanted {
        format!("`{}` has means of {outputs} outputs, but there are {wanted}", feature.feature)
    } else if let Some(means) = feature.means.iter().find(|means| means.len() != places) {
        format!("`{}` has {places} places, but {} means", feature.feature, means.len())
    } else if counts != places {
        format!("`{}` has {places} levels, but {counts} counts", feature.feature)
    } else {
        return Ok(());
    };
    Err(Error::Shape { picture: "partial_dependence", problem })
}

fn n_drawn(feature: &FeatureDependence) -> usize {
    match &feature.grid {
        DependenceGrid::Numbers { grid, .. } => grid.len(),
        DependenceGrid::Levels { names, .. } => names.len().min(MAX_LEVELS),
    }
}

fn drawn_means<'a>(feature: &'a FeatureDependence) -> impl Iterator<Item = f64> + 'a {
    feature.means.iter().flat_map(|means| means.iter().take(n_drawn(feature)).copied())
}

fn legend(spec: &PartialDependence, shown: &[FeatureDependence]) -> Vec<(Swatch, String)> {
    let color = PALETTE.iter().cycle();
    let mut entries: Vec<_> =
        spec.outputs.iter().zip(color).map(|(name, color)| (Swatch::Line(*color), name.to_string())).collect();
    if overall(spec).is_some() {
        let text = format!("mean of all rows ({})", style::significant(spec.overall));
        entries.push((Swatch::Dashed(BASELINE), text));
    }
    let has_values = |feature: &FeatureDependence| matches!(&feature.grid, DependenceGrid::Numbers { values, .. } if !values.is_empty());
    if shown.iter().any(has_values) {
        entries.push((Swatch::Area(FADED, 1.0), "where the rows are".to_string()));
    }
    entries
}

/// One line cannot stand for several outputs.
fn overall(spec: &PartialDependence) -> Option<f64> {
    (spec.outputs.len() == 1 && style::is_drawable(spec.overall)).then_some(spec.overall)
}

fn colored<'a>(feature: &'a FeatureDependence) -> impl Iterator<Item = (&'a Vec<f64>, RGBColor)> {
    feature.means.iter().zip(PALETTE.iter().copied().cycle())
}

fn draw_numbers(
    canvas: &mut Canvas,
    spec: &PartialDependence,
    feature: &FeatureDependence,
    (grid, values): (&[f64], &[f64]),
    place: Place,
    y: Axis,
) {
    let (low, high) = bounds(grid.iter().copied()).unwrap_or((0.0, 1.0));
    let x = Axis::padded(low, high, 5);
    let frame = panels::number_frame(place, x, y);
    draw_values(canvas, &frame, values);
    frame.draw_grid(canvas);
    frame.draw_x_ticks(canvas);
    if let Some(overall) = overall(spec) {
        canvas.dashed(frame.at(frame.x.low, overall), frame.at(frame.x.high, overall), 2.5, BASELINE);
    }
    for (means, color) in colored(feature) {
        frame.draw_curve(canvas, grid.iter().copied().zip(means.iter().copied()), LINE_WIDTH, color);
    }
    if bounds(drawn_means(feature)).is_none() {
        style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
}

/// Bars on the ground of the panel; values beyond its ends are left out.
fn draw_values(canvas: &mut Canvas, frame: &Frame, values: &[f64]) {
    let mut counts = [0u32; BINS];
    for value in values.iter().filter(|value| (frame.x.low..=frame.x.high).contains(*value)) {
        counts[((frame.x.share(*value) * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let most = f64::from(counts.iter().copied().max().unwrap_or(0).max(1));
    let width = frame.width / BINS as f64;
    for (i, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = (frame.height * BARS_SHARE * 0.8 * f64::from(*count) / most).max(1.5);
        canvas.rect(frame.left + width * i as f64, frame.bottom() - height, width - 1.0, height, FADED);
    }
}

fn draw_levels(
    canvas: &mut Canvas,
    spec: &PartialDependence,
    feature: &FeatureDependence,
    (names, counts): (&[&str], &[u64]),
    place: Place,
    x: Axis,
) {
    let n = names.len().min(MAX_LEVELS);
    let notes: Vec<String> = counts[..n].iter().map(|count| style::grouped(*count as f64, 0)).collect();
    let (frame, middles) = panels::level_frame(canvas, place, x, &names[..n], &notes);
    frame.draw_grid(canvas);
    frame.draw_x_ticks(canvas);
    let reference = overall(spec).map(|overall| frame.at(overall, 0.0).0);
    if let Some(x) = reference {
        canvas.dashed((x, frame.top), (x, frame.bottom()), 2.5, BASELINE);
    }
    for (means, color) in colored(feature) {
        for (mean, middle) in means.iter().zip(&middles).filter(|(mean, _)| style::is_drawable(**mean)) {
            let (end, _) = frame.at(*mean, 0.0);
            if let Some(start) = reference {
                canvas.line(&[(start, *middle), (end, *middle)], LINE_WIDTH + 1.0, color);
            }
            canvas.dot((end, *middle), 11.0, WHITE, 1.0);
            canvas.dot((end, *middle), 9.0, color, 1.0);
        }
    }
    if bounds(drawn_means(feature)).is_none() {
        style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height * 0.4));
    }
}
