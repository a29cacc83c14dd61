//! How the error grows with the distance to the future.

use std::path::Path;

use plotters::style::RGBColor;

use crate::Result;
use crate::axes::{Axis, Frame, bounds};
use crate::canvas::Canvas;
use crate::render::save;
use crate::style::{self, FADED, LINE_WIDTH, MARGIN, PALETTE, Swatch};

/// One metric of several models for each step of the horizon.
pub struct ErrorByStep<'a> {
    /// Drawn large.
    pub title: &'a str,
    /// Drawn under the title, e.g. data set and number of windows; may be empty.
    pub subtitle: &'a str,
    /// The metric with its unit, e.g. `MAE (vehicles per hour)`.
    pub metric: &'a str,
    /// Name of the x axis, e.g. `step of the horizon (1 hour each)`.
    pub step: &'a str,
    /// Up to 10 are named; of more, those with a highlight and the lowest means.
    pub models: &'a [StepErrors<'a>],
}

/// One curve: `values[i]` belongs to step `i + 1`.
pub struct StepErrors<'a> {
    /// Shown in the legend, with the mean.
    pub name: &'a str,
    /// One value per step.
    pub values: &'a [f64],
    /// Drawn thick and on top, e.g. the model beside its baselines.
    pub highlight: bool,
}

const WIDTH: f64 = 1600.0;

/// Writes a metric over the steps of the horizon, 1600 pixels wide; on a log axis if the values are above 0 and span a
/// factor of 10 or more, so that one bad baseline does not press the others together.
pub fn error_by_step(spec: &ErrorByStep, stem: &Path) -> Result<()> {
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let keys: Vec<f64> =
        spec.models.iter().map(|m| if m.highlight { f64::NEG_INFINITY } else { mean(m.values) }).collect();
    let (named, others) = style::split_lowest(&keys);
    let colors = colors(spec.models, &named);
    let top = style::draw_legend_rows(&mut canvas, top, &legend(spec.models, &named, others.len(), &colors)) + 40.0;

    let steps = spec.models.iter().map(|model| model.values.len()).max().unwrap_or(0);
    let y = value_axis(spec.models);
    let left = MARGIN + 50.0 + y.tick_width() + 14.0;
    let padding = (steps as f64 * 0.01).max(0.2);
    let mut x = Axis::whole(1.0 - padding, steps.max(1) as f64 + padding, 12);
    x.ticks.retain(|(step, _)| *step >= 1.0);
    let frame = Frame { left, top, width: WIDTH - MARGIN - left, height: 600.0, x, y };
    canvas.height = (frame.bottom() + 84.0 + MARGIN / 2.0).ceil() as u32;
    frame.draw_grid(&mut canvas);
    frame.draw_x_labels(&mut canvas, spec.step);
    frame.draw_y_name(&mut canvas, spec.metric);
    if bounds(all_values(spec.models)).is_none() {
        style::draw_no_data(&mut canvas, (frame.left + frame.width / 2.0, frame.top + frame.height / 2.0));
    }
    for (index, color) in others.iter().map(|i| (*i, FADED)).chain(by_height(spec.models, &named, &colors)) {
        let model = &spec.models[index];
        let values = model.values.iter().enumerate().map(|(i, value)| ((i + 1) as f64, *value));
        let thinner = if steps > 200 { 0.6 } else { 1.0 };
        let width = if model.highlight { LINE_WIDTH + 2.0 } else { LINE_WIDTH - 1.0 };
        frame.draw_curve(&mut canvas, values, width * thinner, color);
    }
    save(&canvas, stem)
}

/// Those with a highlight come last, so that they lie on top.
fn by_height(models: &[StepErrors], named: &[usize], colors: &[RGBColor]) -> Vec<(usize, RGBColor)> {
    let mut order: Vec<(usize, RGBColor)> = named.iter().copied().zip(colors.iter().copied()).collect();
    order.sort_by_key(|(index, _)| models[*index].highlight);
    order
}

/// The first colours go to the highlights, whatever their place.
fn colors(models: &[StepErrors], named: &[usize]) -> Vec<RGBColor> {
    let highlights = named.iter().filter(|index| models[**index].highlight).count();
    let (mut first, mut rest) = (0, highlights);
    let color = |index: &usize| {
        let next = if models[*index].highlight { &mut first } else { &mut rest };
        *next += 1;
        PALETTE[(*next - 1) % PALETTE.len()]
    };
    named.iter().map(color).collect()
}

fn legend(models: &[StepErrors], named: &[usize], n_others: usize, colors: &[RGBColor]) -> Vec<(Swatch, String)> {
    let largest = named.iter().map(|index| mean(models[*index].values)).filter(|m| m.is_finite()).fold(0.0, f64::max);
    let entry = |(index, color): (&usize, &RGBColor)| {
        let mean = style::column_number(mean(models[*index].values), largest);
        (Swatch::Line(*color), style::legend_text(models[*index].name, &format!("mean {mean}"), WIDTH - 2.0 * MARGIN))
    };
    let mut entries: Vec<_> = named.iter().zip(colors).map(entry).collect();
    if n_others > 0 {
        entries.push((Swatch::Line(FADED), format!("{n_others} others")));
    }
    entries
}

fn all_values<'a>(models: &'a [StepErrors]) -> impl Iterator<Item = f64> + 'a {
    models.iter().flat_map(|model| model.values.iter().copied())
}

/// NaN for none.
fn mean(values: &[f64]) -> f64 {
    let drawable = || values.iter().copied().filter(|value| style::is_drawable(*value));
    drawable().sum::<f64>() / drawable().count() as f64
}

fn value_axis(models: &[StepErrors]) -> Axis {
    let (low, high) = bounds(all_values(models)).unwrap_or((0.0, 1.0));
    if low > 1e-100 && high / low >= 10.0 { Axis::log(low / 1.2, high * 1.2) } else { Axis::padded(low, high, 8) }
}
