//! The objective against each hyperparameter.

use std::path::Path;

use crate::Result;
use crate::axes::Frame;
use crate::canvas::Canvas;
use crate::color_bar;
use crate::panels::{self, MAX_PANELS, Place, WIDTH};
use crate::render::save;
use crate::style::{self, MARGIN, Swatch, TICK};

use super::param_axis::ParamAxis;
use super::scale::Scale;
use super::{Search, SearchTrial, WINNER, dot_radius, time_color};

/// Writes a panel per hyperparameter, for at most the first 16: a dot per complete trial, the later the stronger its
/// colour. Choices stand in strips; trials without the hyperparameter at `–`.
pub fn search_slices(spec: &Search, stem: &Path) -> Result<()> {
    spec.check("search_slices")?;
    let trials = spec.complete();
    let scale = Scale::of(trials.iter().map(|(_, value)| *value), spec.lower_is_better);
    let shown = spec.params.len().min(MAX_PANELS);
    let mut canvas = Canvas::new(WIDTH, 0.0);
    let top = style::draw_heading(&mut canvas, spec.title, spec.subtitle);
    let objective = spec.objective_name(WIDTH / 2.0);
    let mut entries = vec![(Swatch::Dot(time_color(0.6)), objective)];
    entries.extend(spec.winner_entry());
    entries.extend(scale.beyond_entry());
    let top = style::draw_legend_rows(&mut canvas, top, &entries);
    let top = draw_time_scale(&mut canvas, &trials, top);
    let columns = if shown > 4 { 3 } else { 2 };
    let (places, bottom) = panels::places_in(columns, shown, top);
    canvas.height = (bottom + MARGIN / 2.0).ceil() as u32;
    for (param, (place, name)) in places.iter().zip(spec.short_names()).enumerate() {
        panels::draw_head(&mut canvas, *place, &name, "", TICK);
        draw_panel(&mut canvas, spec, param, *place, &scale);
    }
    if shown == 0 {
        style::draw_no_data(&mut canvas, (WIDTH / 2.0, top + 160.0));
    }
    panels::draw_more(&mut canvas, shown, spec.params.len());
    save(&canvas, stem)
}

fn ends(trials: &[(&SearchTrial, f64)]) -> Option<(u32, u32)> {
    Some((trials.first()?.0.number, trials.last()?.0.number))
}

/// What the colours mean; returns where it ends.
fn draw_time_scale(canvas: &mut Canvas, trials: &[(&SearchTrial, f64)], top: f64) -> f64 {
    let Some((first, last)) = ends(trials).filter(|(first, last)| first < last) else { return top };
    let labels = [format!("trial {first}"), format!("trial {last}")];
    color_bar::draw_lying(canvas, (MARGIN, top + 34.0), [&labels[0], &labels[1]], time_color);
    top + 48.0
}

fn draw_panel(canvas: &mut Canvas, spec: &Search, param: usize, place: Place, scale: &Scale) {
    let axis = ParamAxis::new(spec, param, 5);
    let y = scale.axis(6, 0.04);
    let indent = y.tick_width().max(30.0) + 14.0;
    let frame = panels::number_frame(place, axis.lying(place.width - indent), y);
    frame.draw_grid(canvas);
    frame.draw_x_ticks(canvas);
    let trials = spec.complete();
    let (first, last) = ends(&trials).unwrap_or((0, 0));
    let radius = dot_radius(trials.len());
    for (trial, value) in &trials {
        let age = f64::from(trial.number - first) / f64::from((last - first).max(1));
        let color = time_color(if first < last { age } else { 1.0 });
        let at = at(&frame, &axis, trial, param, *value);
        if scale.is_beyond(*value) {
            canvas.triangle(at, radius + 1.0, color, *value > scale.high);
        } else {
            canvas.dot(at, radius, color, 0.85);
        }
    }
    if let Some((trial, value)) = spec.winner() {
        canvas.diamond(at(&frame, &axis, trial, param, value), 13.0, WINNER);
    }
    if trials.is_empty() {
        style::draw_no_data(canvas, (frame.left + frame.width / 2.0, frame.top + frame.height / 2.0));
    }
}

fn at(frame: &Frame, axis: &ParamAxis, trial: &SearchTrial, param: usize, value: f64) -> (f64, f64) {
    frame.at(axis.spread_share(trial.params[param], trial.number), value)
}
