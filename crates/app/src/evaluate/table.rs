//! Rows of a table judged: figures, threshold, calibration, slices, what the model relies on, gates.

use std::collections::BTreeMap;

use anyhow::Result;
use evaluation::gates::{FactError, Measured};
use evaluation::{Difference, paired_difference};
use modeling::Task;
use training::metrics::Direction;

use super::config::Config;
use super::facts::{Known, measured, plain};
use super::figures::{SliceScore, Slicing, measure, metric_of};
use super::reliance::Reliance;
use super::rows::{JudgedRows, Outcomes};
use super::{Evaluation, Subject, TableFindings, at_threshold, calibration, latency, operating_point, pictures};
use crate::bundle::TrainedModel;
use crate::exit::Mistake;
use crate::model_place::ModelPlace;
use crate::session::Session;
use crate::tabular::outputs::TabularNet;
use crate::tabular::predictor::Predictor;

/// Judges rows. `predictor`: the model, if there is one; `known_figures`: what training has said of it (`val_auc`, ..);
/// `inputs`: columns to slice by.
pub fn judge(
    judged: &JudgedRows,
    predictor: Option<&Predictor>,
    (subject, known_figures): (Subject, &BTreeMap<String, f64>),
    inputs: &[String],
    config: &Config,
    session: &Session,
) -> Result<Evaluation> {
    let (metric, direction) = main_metric(judged, config)?;
    session.console.note(&format!("bootstrap: {} draws of {} rows", config.intervals.samples, judged.n_rows()));
    let figures = measure(judged, &config.intervals, config.seed);
    session.console.stop_if_interrupted()?;
    let mut findings = TableFindings {
        threshold: operating_point::choose(judged, &config.operating_point, &config.intervals, config.seed),
        calibration: calibration::compare(judged),
        ..TableFindings::default()
    };
    if judged.task == Task::Binary && judged.has_probabilities {
        let (target, scores) = judged.outcomes.binary();
        findings.deciles = evaluation::gains::deciles(&target, &scores);
    }
    let slicing = Slicing { judged, settings: &config.slices, intervals: &config.intervals, seed: config.seed };
    findings.slices = slicing.score((&metric, direction), inputs, session)?;
    let mut latency_ms = None;
    if let Some(predictor) = predictor {
        let reliance = Reliance::new(judged, predictor, &config.importance);
        findings.importance = reliance.importance((&metric, direction), &config.importance, config.seed, session)?;
        for one in findings.importance.iter().take(config.importance.dependence_columns) {
            findings.dependence.extend(reliance.dependence(&one.column)?);
        }
        let one_row = |row: u32| predictor.predict(&judged.table.select(&[row])).map(drop);
        latency_ms = latency::measure(judged.n_rows(), one_row)?;
    }
    let mut found = Evaluation {
        subject,
        lower_is_better: direction == Direction::Minimize,
        figures,
        level: config.intervals.level,
        table: Some(findings),
        forecast: None,
        latency_ms,
        gates: Vec::new(),
        metric,
    };
    found.gates = check_gates(judged, &found, known_figures, &slicing, config, session);
    if let Some(findings) = &found.table {
        pictures::draw_table(judged, findings, &found, config, &session.folder("plots")?)?;
    }
    Ok(found)
}

/// The metric that slices, columns and models are compared by, and which way it is better.
fn main_metric(judged: &JudgedRows, config: &Config) -> Result<(String, Direction)> {
    let first = judged.metrics(&judged.outcomes).first().map_or("loss", |(name, _)| *name);
    let metric = config.metric.clone().unwrap_or_else(|| first.to_owned());
    match judged.direction_of(&metric) {
        Ok(direction) => Ok((metric, direction)),
        Err(names) => {
            let problem = format!("`metric: {metric}`: these predictions have no such metric");
            Err(Mistake::new(problem).hint(format!("they have {}", names.join(", "))).into())
        }
    }
}

fn check_gates(
    judged: &JudgedRows,
    found: &Evaluation,
    known_figures: &BTreeMap<String, f64>,
    slicing: &Slicing,
    config: &Config,
    session: &Session,
) -> Vec<evaluation::gates::GateResult> {
    let mut figures: BTreeMap<String, Measured> =
        known_figures.iter().map(|(name, &value)| (name.clone(), plain(value))).collect();
    // The same figures without intervals: how the threshold does, how long a prediction takes.
    figures.extend(found.metrics().into_iter().map(|(name, value)| (name, plain(value))));
    figures.extend(found.figures.iter().map(|figure| measured("test", figure)));
    if let Some(chosen) = found.table.as_ref().and_then(|table| table.threshold.as_ref()) {
        figures.extend(chosen.figures.iter().map(|figure| (at_threshold(&figure.name), measured("", figure).1)));
    }
    let difference = |reference: &str, metric: &str, level: f64| -> Result<Difference, FactError> {
        let other = reference_outcomes(judged, reference, found, config, session).map_err(FactError::Failed)?;
        let compute = |rows: &[u32]| {
            metric_of(judged, &judged.outcomes.select(rows), metric) - metric_of(judged, &other.select(rows), metric)
        };
        Ok(paired_difference(judged.n_rows(), config.intervals.samples, config.seed, level, compute))
    };
    let slice = |column: &str, level: &str, metric: &str| -> Result<SliceScore, FactError> {
        slicing.score_one(column, level, metric)
    };
    let known = Known {
        figures,
        main_metric: format!("test_{}", found.metric),
        direction: &|metric| judged.direction_of(metric).ok(),
        slice: &slice,
        difference: &difference,
    };
    known.check(&config.gates)
}

/// What another model says of the same rows.
fn reference_outcomes(
    judged: &JudgedRows,
    reference: &str,
    found: &Evaluation,
    config: &Config,
    session: &Session,
) -> Result<Outcomes, String> {
    let uri = reference_uri(reference, found, config)?;
    session.console.note(&format!("the same rows by {uri}"));
    let predict = || -> Result<Outcomes> {
        let place = ModelPlace::find("gates", &uri, &config.mlflow, &config.paths)?;
        let other = Predictor::load(TrainedModel::<TabularNet>::read(&place.folder)?)?;
        if other.net.task != judged.task || other.net.classes != judged.labels {
            return Err(Mistake::new(format!("`{uri}` predicts something else")).into());
        }
        Ok(Outcomes::new(judged.outcomes.target.clone(), other.predict(&judged.table)?))
    };
    predict().map_err(|error| crate::exit::describe(&error).replace('\n', "; "))
}

/// `models:/NAME@champion` for `@champion`.
pub fn reference_uri(reference: &str, found: &Evaluation, config: &Config) -> Result<String, String> {
    let Some(alias) = reference.strip_prefix('@') else { return Ok(reference.to_owned()) };
    let of_model = found.subject.registered.as_ref().map(|(name, _)| name.clone());
    match config.registered_model.clone().or(of_model) {
        Some(name) => Ok(format!("models:/{name}@{alias}")),
        None => Err(format!("`{reference}` of which registered model? set `registered_model`")),
    }
}
