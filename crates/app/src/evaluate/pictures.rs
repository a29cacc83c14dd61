//! The pictures of an evaluation, in the folder `plots/`: from findings to `report`.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use evaluation::Interval;
use modeling::Task;
use report::{
    DependenceGrid, ErrorBySlot, FeatureDependence, GainAndLift, GainPoint, PartialDependence, PermutationImportance,
    SlotError, SlotPanel, ThresholdCurve,
};

use super::calibration::Calibrated;
use super::config::Config;
use super::figures::SliceScore;
use super::operating_point::ChosenThreshold;
use super::reliance::{ColumnImportance, Dependence, Grid};
use super::rows::{JudgedRows, numbers, texts};
use super::windows::{Breakdown, SlotScore};
use super::{Evaluation, TableFindings};
use crate::tabular::plots::{calibration_curves, plot_scored};

/// Slices in the picture; the table has them all.
const MOST_SLICES: usize = 24;
const MOST_SERIES: usize = 30;

/// Everything that is drawn of rows of a table.
pub fn draw_table(
    judged: &JudgedRows,
    findings: &TableFindings,
    evaluation: &Evaluation,
    config: &Config,
    folder: &Path,
) -> Result<()> {
    let subtitle = format!("{} · {} rows", evaluation.subject.data, judged.n_rows());
    if judged.has_probabilities {
        plot_scored(&judged.scored(), &subtitle, folder)?;
    } else {
        crate::tabular::plots::plot_confusion(&judged.scored(), &subtitle, folder)?;
    }
    if let Some(chosen) = &findings.threshold {
        draw_threshold(chosen, &subtitle, folder)?;
    }
    if judged.task == Task::Binary && judged.has_probabilities {
        draw_gains(judged, findings.threshold.as_ref(), &subtitle, folder)?;
    }
    if findings.calibration.len() > 1 {
        draw_calibration(judged, &findings.calibration, &subtitle, folder)?;
    }
    if !findings.slices.is_empty() {
        draw_slices(&findings.slices, evaluation, config, &subtitle, folder)?;
    }
    if !findings.importance.is_empty() {
        draw_importance(&findings.importance, evaluation, &subtitle, folder)?;
    }
    draw_dependence(judged, &findings.dependence, &subtitle, folder)
}

fn draw_threshold(chosen: &ChosenThreshold, subtitle: &str, folder: &Path) -> Result<()> {
    let column = |value: fn(&evaluation::threshold::OperatingPoint) -> f64| -> Vec<f64> {
        chosen.sweep.iter().map(value).collect()
    };
    let thresholds = column(|point| point.threshold);
    let (precision, recall, f1) =
        (column(|point| point.precision), column(|point| point.recall), column(|point| point.f1));
    let curves = [("precision", &precision), ("recall", &recall), ("F1", &f1)]
        .map(|(name, values)| ThresholdCurve { name, values });
    let spec = report::OperatingPoint {
        title: "Operating point, test",
        subtitle,
        thresholds: &thresholds,
        curves: &curves,
        below: None,
        chosen: Some(chosen.test.threshold),
        goal: &format!("{}, on validation rows", chosen.goal),
    };
    Ok(report::operating_point(&spec, &folder.join("operating_point"))?)
}

fn draw_gains(judged: &JudgedRows, chosen: Option<&ChosenThreshold>, subtitle: &str, folder: &Path) -> Result<()> {
    let (target, scores) = judged.outcomes.binary();
    let found = evaluation::gains::gains(&target, &scores);
    let points: Vec<GainPoint> =
        found.iter().map(|point| GainPoint { share: point.share, gain: point.gain, lift: point.lift }).collect();
    let n_rows = judged.n_rows() as f64;
    let spec = GainAndLift {
        title: "Gain and lift, test",
        subtitle,
        class: &judged.labels[1],
        points: &points,
        base_rate: target.iter().filter(|is_hit| **is_hit).count() as f64 / n_rows,
        selected: chosen.map(|chosen| (chosen.test.tp + chosen.test.fp) as f64 / n_rows),
    };
    Ok(report::gain_and_lift(&spec, &folder.join("gain_and_lift"))?)
}

/// Of two classes the probability of class 1, of more the confidence of the most probable class.
fn draw_calibration(judged: &JudgedRows, all: &[Calibrated], subtitle: &str, folder: &Path) -> Result<()> {
    let confidences = all.iter().map(|calibrated| {
        let scored = judged.of(&calibrated.outcomes);
        if judged.task == Task::Binary {
            return (calibrated.name, scored.target.to_vec(), scored.predicted.to_vec());
        }
        let classes = scored.predictions().classes();
        let right = classes.iter().zip(scored.target).map(|(&class, &target)| f32::from(class as f32 == target));
        let columns = judged.task.n_outputs();
        let highest = scored.predicted.chunks(columns).map(|row| row.iter().copied().fold(0.0, f32::max));
        (calibrated.name, right.collect(), highest.collect())
    });
    let curves: Vec<(&str, Vec<f32>, Vec<f32>)> = confidences.collect();
    calibration_curves("Calibration after rescaling, test", subtitle, &curves, &folder.join("calibration_rescaled"))
}

fn draw_slices(slices: &[SliceScore], of: &Evaluation, config: &Config, subtitle: &str, folder: &Path) -> Result<()> {
    let worst = &slices[..slices.len().min(MOST_SLICES)];
    let names: Vec<String> = worst.iter().map(|slice| format!("{} = {}", slice.column, slice.level)).collect();
    let scores: Vec<report::SliceScore> = worst
        .iter()
        .zip(&names)
        .map(|(slice, name)| report::SliceScore {
            name,
            count: slice.n_rows as u64,
            value: slice.value,
            interval: known(slice.interval),
        })
        .collect();
    let spec = report::SliceScores {
        title: "Worst slices, test",
        subtitle,
        metric: &of.metric,
        lower_is_better: of.lower_is_better,
        overall: of.main_figure().map_or(f64::NAN, |figure| figure.value),
        interval_label: &format!("{} % interval, bootstrap", 100.0 * config.intervals.level),
        slices: &scores,
    };
    Ok(report::slice_scores(&spec, &folder.join("slices"))?)
}

fn known(interval: Interval) -> Option<(f64, f64)> {
    Some((interval.low, interval.high)).filter(|(low, high)| low.is_finite() && high.is_finite())
}

fn draw_importance(found: &[ColumnImportance], of: &Evaluation, subtitle: &str, folder: &Path) -> Result<()> {
    let features: Vec<report::Importance> =
        found.iter().map(|one| report::Importance { feature: &one.column, mean: one.mean, spread: one.std }).collect();
    let spec = PermutationImportance {
        title: "Permutation importance, test",
        subtitle,
        metric: &of.metric,
        lower_is_better: of.lower_is_better,
        features: &features,
    };
    Ok(report::permutation_importance(&spec, &folder.join("permutation_importance"))?)
}

fn draw_dependence(judged: &JudgedRows, found: &[Dependence], subtitle: &str, folder: &Path) -> Result<()> {
    let Some(first) = found.first() else { return Ok(()) };
    let n_outputs = found.iter().filter(|one| one.column == first.column).count();
    let names: Vec<String> = match judged.labels.is_empty() {
        true => vec![judged.target_name.clone()],
        false => found[..n_outputs].iter().map(|one| format!("probability of {}", one.class)).collect(),
    };
    let panels: Vec<Panel> =
        found.chunks(n_outputs).map(|outputs| Panel::new(judged, outputs)).collect::<Result<Vec<_>>>()?;
    let level_names: Vec<Vec<&str>> =
        panels.iter().map(|panel| panel.levels.iter().map(String::as_str).collect()).collect();
    let features: Vec<FeatureDependence> = panels
        .iter()
        .zip(&level_names)
        .map(|(panel, names)| FeatureDependence {
            feature: panel.feature,
            grid: match &panel.grid {
                Grid::Numbers(grid) => DependenceGrid::Numbers { grid, values: &panel.values },
                Grid::Levels(_) => DependenceGrid::Levels { names, counts: &panel.counts },
            },
            means: &panel.means,
        })
        .collect();
    let outputs: Vec<&str> = names.iter().map(String::as_str).collect();
    let mean = judged.outcomes.predicted.iter().map(|&p| f64::from(p)).sum::<f64>() / judged.n_rows() as f64;
    let spec = PartialDependence {
        title: "Partial dependence, test",
        subtitle,
        outputs: &outputs,
        overall: if n_outputs == 1 { mean } else { f64::NAN },
        features: &features,
    };
    Ok(report::partial_dependence(&spec, &folder.join("partial_dependence"))?)
}

/// One column of the picture of partial dependence.
struct Panel<'a> {
    feature: &'a str,
    grid: Grid,
    values: Vec<f64>,
    levels: Vec<String>,
    counts: Vec<u64>,
    means: Vec<Vec<f64>>,
}

impl<'a> Panel<'a> {
    /// `outputs`: one entry for each output of the model, all of one column.
    fn new(judged: &JudgedRows, outputs: &'a [Dependence]) -> Result<Self> {
        let first = &outputs[0];
        let column = judged.table.column(&first.column, "the model")?;
        let (mut values, mut levels, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        match &first.grid {
            Grid::Numbers(_) => {
                values = numbers(column, judged.table.origin()).unwrap_or_default();
                values.retain(|value| value.is_finite());
            }
            Grid::Levels(names) => {
                let mut rows: HashMap<String, u64> = HashMap::new();
                texts(column).into_iter().flatten().for_each(|text| *rows.entry(text).or_default() += 1);
                levels.clone_from(names);
                counts = names.iter().map(|name| rows.get(name).copied().unwrap_or(0)).collect();
            }
        }
        let means = outputs.iter().map(|output| output.mean.clone()).collect();
        Ok(Self { feature: &first.column, grid: first.grid.clone(), values, levels, counts, means })
    }
}

/// Errors of forecasts by hour, weekday and series.
pub fn draw_slots(breakdown: &Breakdown, metric: &str, subtitle: &str, folder: &Path) -> Result<()> {
    let mut series = breakdown.by_series.clone();
    series.sort_by(|a, b| b.mae.total_cmp(&a.mae));
    series.truncate(if series.len() > 1 { MOST_SERIES } else { 0 });
    let kinds = [
        ("By hour of the day", &breakdown.by_hour),
        ("By day of the week", &breakdown.by_weekday),
        ("By series, worst first", &series),
    ];
    let drawn: Vec<(&str, Vec<SlotError>)> = kinds
        .into_iter()
        .filter(|(_, slots)| !slots.is_empty())
        .map(|(title, slots)| (title, slots.iter().map(slot_error).collect()))
        .collect();
    if drawn.is_empty() {
        return Ok(());
    }
    let panels: Vec<SlotPanel> = drawn.iter().map(|(title, slots)| SlotPanel { title, slots }).collect();
    let all: usize = breakdown.by_step.iter().map(|slot| slot.n).sum();
    let overall = breakdown.by_step.iter().map(|slot| slot.mae * slot.n as f64).sum::<f64>() / all as f64;
    let spec = ErrorBySlot { title: "Errors, test", subtitle, metric, overall, interval_label: "", panels: &panels };
    Ok(report::error_by_slot(&spec, &folder.join("error_by_slot"))?)
}

fn slot_error(slot: &SlotScore) -> SlotError<'_> {
    SlotError { name: &slot.slot, count: slot.n as u64, value: slot.mae, interval: None }
}
