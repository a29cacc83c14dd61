//! Forecasts judged: figures by block bootstrap, errors by step, series, hour and weekday, gates.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::tensor::Device;
use evaluation::Difference;
use evaluation::gates::{FactError, Measured};
use training::TrainingConfig;
use training::metrics::Direction;

use super::config::Config;
use super::facts::{Known, measured, plain};
use super::figures::SliceScore;
use super::table::reference_uri;
use super::windows::{Blocks, Breakdown, SlotScore, WindowSubject, direction_of};
use super::{Evaluation, Subject, latency, pictures};
use crate::bundle::TrainedModel;
use crate::exit::{Mistake, describe};
use crate::forecast::job::{ForecastJob, Networks};
use crate::forecast::outputs::ForecastNet;
use crate::forecast::plots::plot_test;
use crate::forecast::predictions::TestScores;
use crate::model_place::ModelPlace;
use crate::session::Session;

/// Judges a forecaster. `known_figures`: what training has said of it (`val_mae`, ..).
pub fn judge(
    judged: &WindowSubject,
    (subject, known_figures): (Subject, &BTreeMap<String, f64>),
    config: &Config,
    session: &Session,
) -> Result<Evaluation> {
    let scores = judged.score(session)?;
    session.console.stop_if_interrupted()?;
    let (blocks, breakdown) = judged.tally()?;
    let (metric, direction) = main_metric(judged, &scores, config)?;
    let figures = judged.figures(&scores, &blocks, &config.intervals, config.seed);
    let mut found = Evaluation {
        subject,
        lower_is_better: direction == Direction::Minimize,
        figures,
        level: config.intervals.level,
        table: None,
        latency_ms: measure_latency(judged)?,
        gates: Vec::new(),
        metric,
        forecast: Some(breakdown),
    };
    found.gates = check_gates(judged, &blocks, &found, known_figures, config, session);
    draw(judged, &scores, &found, session)?;
    Ok(found)
}

fn main_metric(judged: &WindowSubject, scores: &TestScores, config: &Config) -> Result<(String, Direction)> {
    // Several targets may differ in their units.
    let default = if judged.net.shape.n_targets > 1 { "mae_scaled" } else { "mae" };
    let metric = config.metric.clone().unwrap_or_else(|| default.to_owned());
    let names: Vec<&str> = scores.scores.metrics.values.iter().map(|(name, _)| *name).collect();
    let direction = direction_of(&metric).filter(|_| names.contains(&metric.as_str()));
    direction.map(|direction| (metric.clone(), direction)).ok_or_else(|| {
        let problem = format!("`metric: {metric}`: forecasts cannot be compared by it");
        Mistake::new(problem).hint(format!("they have {}", names.join(", "))).into()
    })
}

fn measure_latency(judged: &WindowSubject) -> Result<Option<latency::Latency>> {
    let device = Device::flex();
    let windows = &judged.splits.test;
    let mut networks = Networks::of(&judged.net.model, &judged.net.shape, &judged.models, &device);
    latency::measure(windows.len(), |window| {
        networks.predict(&mut judged.splits.batch(&windows[window as usize..=window as usize]));
        Ok(())
    })
}

fn check_gates(
    judged: &WindowSubject,
    blocks: &Blocks,
    found: &Evaluation,
    known_figures: &BTreeMap<String, f64>,
    config: &Config,
    session: &Session,
) -> Vec<evaluation::gates::GateResult> {
    let mut figures: BTreeMap<String, Measured> =
        known_figures.iter().map(|(name, &value)| (name.clone(), plain(value))).collect();
    figures.extend(found.metrics().into_iter().map(|(name, value)| (name, plain(value))));
    figures.extend(found.figures.iter().map(|figure| measured("test", figure)));
    let breakdown = found.forecast.clone().unwrap_or_default();
    let difference = |reference: &str, metric: &str, level: f64| -> Result<Difference, FactError> {
        let uri = reference_uri(reference, found, config).map_err(FactError::Failed)?;
        session.console.note(&format!("the same windows by {uri}"));
        let other = other_blocks(judged, &uri, config)
            .map_err(|error| FactError::Failed(describe(&error).replace('\n', "; ")))?;
        blocks
            .difference(&other, metric, level, (config.intervals.samples, config.seed))
            .ok_or_else(|| FactError::Failed("too few windows to compare models by".to_owned()))
    };
    let known = Known {
        figures,
        main_metric: format!("test_{}", found.metric),
        direction: &direction_of,
        slice: &|column, level, metric| slot_of(&breakdown, column, level, metric),
        difference: &difference,
    };
    known.check(&config.gates)
}

fn other_blocks(judged: &WindowSubject, uri: &str, config: &Config) -> Result<Blocks> {
    let place = ModelPlace::find("gates", uri, &config.mlflow, &config.paths)?;
    let model = TrainedModel::<ForecastNet>::read(&place.folder)?;
    judged.same_windows(model)?.tally().map(|(blocks, _)| blocks)
}

/// `slice hour=08:00 test_mae <= 300`: by step, series, hour or weekday.
fn slot_of(breakdown: &Breakdown, column: &str, level: &str, metric: &str) -> Result<SliceScore, FactError> {
    let kinds = [
        ("step", &breakdown.by_step),
        ("series", &breakdown.by_series),
        ("hour", &breakdown.by_hour),
        ("weekday", &breakdown.by_weekday),
    ];
    let unknown = |what, name: &str, known: Vec<String>| FactError::Unknown { what, name: name.to_owned(), known };
    let (_, slots) = kinds
        .iter()
        .find(|(name, _)| *name == column)
        .ok_or_else(|| unknown("column", column, kinds.iter().map(|(name, _)| (*name).to_owned()).collect()))?;
    let slot = slots
        .iter()
        .find(|slot| slot.slot == level)
        .ok_or_else(|| unknown("level", level, slots.iter().map(|slot| slot.slot.clone()).collect()))?;
    let of_slot: fn(&SlotScore) -> f64 = match metric {
        "mae" => |slot| slot.mae,
        "rmse" => |slot| slot.rmse,
        "bias" => |slot| slot.bias,
        _ => return Err(unknown("metric", metric, ["mae", "rmse", "bias"].map(str::to_owned).to_vec())),
    };
    let interval = evaluation::Interval { low: f64::NAN, high: f64::NAN };
    let (column, level) = (column.to_owned(), level.to_owned());
    Ok(SliceScore { column, level, n_rows: slot.n, value: of_slot(slot), interval })
}

fn draw(judged: &WindowSubject, scores: &TestScores, found: &Evaluation, session: &Session) -> Result<()> {
    let device = Device::flex();
    let training = TrainingConfig::default();
    let job = ForecastJob::new(&judged.net.model, &training, &judged.splits, &device)?;
    plot_test(session, &job, &judged.models, judged.net.intervals.as_ref(), scores, &[])?;
    let Some(breakdown) = &found.forecast else { return Ok(()) };
    let metric = if judged.net.shape.n_targets > 1 { "MAE, standardised" } else { "MAE" };
    let subtitle = format!("{} · {} windows", found.subject.data, found.subject.n_rows);
    pictures::draw_slots(breakdown, metric, &subtitle, &session.folder("plots")?)
}
