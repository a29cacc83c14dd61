//! Whether the best run is really better than the others: the same draws of the same rows for all of them.

use std::collections::BTreeMap;

use anyhow::Result;
use evaluation::Interval;
use evaluation::comparison::{
    DeLong, PairedBootstrap, Statistic, TestResult, delong, holm, paired_bootstrap, paired_bootstrap_of,
};
use modeling::Task;
use rayon::prelude::*;
use serde::Serialize;

use super::config::{Best, Config};
use super::select::{Candidate, Selection, bare_metric};
use super::stored::{Part, Places, Stored, are_same_rows};
use crate::console::{Console, number};
use crate::evaluate::figures::metric_of;
use crate::evaluate::rows::JudgedRows;

/// Of more runs than this predictions are not read: it would be minutes.
const MOST_RUNS: usize = 50;
/// Rows over all draws and runs from which on it takes seconds.
const LONG_WORK: usize = 200_000_000;
/// With fewer blocks of windows an interval would say more about chance than about the model.
const FEWEST_BLOCKS: usize = 10;
/// Stored predictions that are this far from the logged value (as a share of it) are of something else.
const MOST_DISTANCE: f64 = 0.05;

/// What can be said of one run beside the best one.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// The best run.
    pub best: String,
    /// The run that it is held against.
    pub run_id: String,
    /// What is compared: `test_auc`.
    pub metric: String,
    /// Best less this one, on the same rows.
    pub difference: f64,
    /// Of the difference, by paired bootstrap.
    pub interval: Interval,
    /// By DeLong's test for an AUC, else by the bootstrap.
    pub p_value: f64,
    /// Corrected for the number of runs (Holm).
    pub p_adjusted: f64,
    /// `delong` or `bootstrap`.
    pub test: &'static str,
    /// DeLong's interval, of an AUC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delong_interval: Option<Interval>,
    /// Whether the difference is more than chance.
    pub is_better: bool,
    /// Rows, or blocks of windows.
    pub n: usize,
    /// In words.
    pub text: String,
}

/// What the stored predictions say.
#[derive(Debug, Default)]
pub struct Judgement {
    /// One for each run that could be compared with the best one, in their order.
    pub verdicts: Vec<Verdict>,
    /// How sure the value of each run is, by run id.
    pub intervals: BTreeMap<String, Interval>,
    /// What the verdicts rest on, in words.
    pub basis: Option<String>,
    /// Why something could not be said.
    pub notes: Vec<String>,
}

/// Compares the best run with each of the others on the rows that they share.
pub fn judge(selection: &Selection, config: &Config, places: &Places, console: &Console) -> Result<Judgement> {
    let mut judgement = Judgement::default();
    let Some(metric) = selection.metrics.first() else { return Ok(judgement) };
    let Some(part) = Part::of_metric(&metric.name) else { return Ok(judgement) };
    if selection.runs.len() < 2 || !config.statistics.enabled {
        return Ok(judgement);
    }
    let compared = &selection.runs[..selection.runs.len().min(MOST_RUNS)];
    let bar = console.count_bar("predictions");
    bar.set_length(compared.len() as u64);
    let read = |candidate: &Candidate| {
        let stored = places.read(candidate, part);
        bar.inc(1);
        // Files that somebody has changed are no reason to show no table.
        stored.unwrap_or_else(|error| {
            let text = format!("predictions of run {}: {error:#}", candidate.run.info.run_id);
            console.warn_plainly(&text);
            None
        })
    };
    let stored: Vec<Option<Stored>> = compared.par_iter().map(read).collect();
    bar.finish_and_clear();
    console.stop_if_interrupted()?;
    let Some(first) = &stored[0] else {
        let who = if stored.iter().all(Option::is_none) { "none of the runs has" } else { "the best run has not" };
        let what = part.rows();
        judgement.notes.push(format!("{who} kept predictions of its {what}, so nothing can be said row by row"));
        return Ok(judgement);
    };
    let others = stored.iter().enumerate().skip(1);
    let (same, other): (Vec<_>, Vec<_>) = others
        .filter_map(|(index, stored)| Some((index, stored.as_ref()?)))
        .partition(|(_, stored)| are_same_rows(first, stored));
    if !other.is_empty() {
        let n = other.len();
        judgement.notes.push(format!(
            "{n} of {} runs {} predicted other {} than the best one, so nothing can be said row by row",
            compared.len(),
            if n == 1 { "has" } else { "have" },
            part.rows()
        ));
    }
    let shared: Vec<(&Candidate, &Stored)> = std::iter::once((&compared[0], first))
        .chain(same.into_iter().map(|(index, stored)| (&compared[index], stored)))
        .collect();
    let work = first.rows.n_rows() * config.statistics.samples * shared.len();
    if work > LONG_WORK {
        let n_rows = first.rows.n_rows();
        console.note(&format!(
            "bootstrap: {} draws of {n_rows} rows for {} runs",
            config.statistics.samples,
            shared.len()
        ));
    }
    compare(&shared, (&metric.name, metric.best), config, &mut judgement);
    Ok(judgement)
}

/// All runs on the same rows; the first one is the best.
fn compare(shared: &[(&Candidate, &Stored)], (metric, best): (&str, Best), config: &Config, judgement: &mut Judgement) {
    let bare = bare_metric(metric);
    let (_, first) = shared[0];
    let Some(draws) = bootstrap(shared, bare, config) else {
        judgement
            .notes
            .push(format!("stored predictions do not tell `{bare}`, or are too few; other metrics can be compared"));
        return;
    };
    let mut kept = Vec::new();
    for (index, (candidate, _)) in shared.iter().enumerate() {
        let (stored, logged) = (draws.values()[index], candidate.value());
        if (stored - logged).abs() <= MOST_DISTANCE * logged.abs().max(f64::MIN_POSITIVE) {
            kept.push(index);
            let interval = draws.interval(index, config.statistics.level);
            judgement.intervals.insert(candidate.run.info.run_id.clone(), interval);
        }
    }
    if kept.len() < shared.len() {
        let n = shared.len() - kept.len();
        judgement.notes.push(format!(
            "of {n} {} the stored predictions give another `{bare}` than was logged; {} not compared row by row",
            if n == 1 { "run" } else { "runs" },
            if n == 1 { "it is" } else { "they are" },
        ));
    }
    if kept.first() != Some(&0) {
        return;
    }
    let level = config.statistics.level;
    let by_delong = (bare == "auc").then(|| auc_test(shared)).flatten();
    let test = |index: usize| match &by_delong {
        Some(delong) => delong.difference(0, index, level),
        None => draws.difference(0, index, level),
    };
    let tests: Vec<TestResult> = kept[1..].iter().map(|&index| test(index)).collect();
    let adjusted = holm(&tests.iter().map(|test| test.p_value).collect::<Vec<_>>());
    let n = match &first.blocks {
        Some(blocks) => blocks.iter().max().map_or(0, |last| *last as usize + 1),
        None => first.rows.n_rows(),
    };
    let how = if by_delong.is_some() { "DeLong's test" } else { "paired bootstrap" };
    let corrected =
        if tests.len() > 1 { format!(", corrected for {} comparisons (Holm)", tests.len()) } else { String::new() };
    let what = if first.blocks.is_some() { "blocks of windows" } else { "rows" };
    judgement.basis = (!tests.is_empty()).then(|| {
        let percent = level * 100.0;
        format!("on the same {n} {what}: {percent} % intervals by paired bootstrap, p by {how}{corrected}")
    });
    for ((&index, test), p_adjusted) in kept[1..].iter().zip(&tests).zip(adjusted) {
        let resampled = draws.difference(0, index, level);
        let gain = if best == Best::Highest { test.difference } else { -test.difference };
        let mut verdict = Verdict {
            best: shared[0].0.run.info.run_id.clone(),
            run_id: shared[index].0.run.info.run_id.clone(),
            metric: metric.to_owned(),
            difference: test.difference,
            interval: resampled.interval,
            p_value: test.p_value,
            p_adjusted,
            test: if by_delong.is_some() { "delong" } else { "bootstrap" },
            delong_interval: by_delong.as_ref().map(|_| test.interval),
            is_better: gain > 0.0 && p_adjusted < 1.0 - level,
            n,
            text: String::new(),
        };
        verdict.text = in_words(&verdict, [shared[0].0, shared[index].0], best);
        judgement.verdicts.push(verdict);
    }
}

/// `A is better than B by 0.004 [0.001, 0.007]`
fn in_words(verdict: &Verdict, [a, b]: [&Candidate; 2], best: Best) -> String {
    let named = |candidate: &Candidate| format!("{} ({})", candidate.run.info.name, candidate.short_id());
    let Interval { low, high } = verdict.interval;
    // Read as a gain, whichever way the metric is better.
    let (gain, low, high) = match best {
        Best::Highest => (verdict.difference, low, high),
        Best::Lowest => (-verdict.difference, -high, -low),
    };
    let p = p_text(verdict.p_adjusted);
    let range = format!("{} [{}, {}]", short(gain), short(low), short(high));
    let (a, b, metric) = (named(a), named(b), &verdict.metric);
    if verdict.is_better {
        format!("{a} is better than {b} by {range} in {metric}, {p}")
    } else {
        format!("{a} and {b} cannot be told apart: {range} in {metric}, {p}")
    }
}

/// `p = 0.012`
pub fn p_text(p: f64) -> String {
    match p {
        p if p.is_nan() => "which nothing says is more than chance".to_owned(),
        p if p < 0.001 => "p < 0.001".to_owned(),
        p => format!("p = {p:.3}"),
    }
}

/// Three significant digits.
pub fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return number(value);
    }
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 8) as usize;
    format!("{value:.decimals$}")
}

/// The values of all runs over the same draws; `None` if the metric is not told by predictions, or there are too few of them.
fn bootstrap(shared: &[(&Candidate, &Stored)], bare: &str, config: &Config) -> Option<PairedBootstrap> {
    let (samples, seed) = (config.statistics.samples, config.seed);
    let (_, first) = shared[0];
    if let Some(blocks) = &first.blocks {
        let statistics: Vec<Statistic> =
            shared.iter().map(|(_, stored)| statistic(&stored.rows, bare)).collect::<Option<_>>()?;
        let n_blocks = blocks.iter().max().map_or(0, |last| *last as usize + 1);
        return (n_blocks >= FEWEST_BLOCKS).then(|| paired_bootstrap(&statistics, Some(blocks), samples, seed));
    }
    if let Some(statistics) = shared.iter().map(|(_, stored)| statistic(&stored.rows, bare)).collect::<Option<Vec<_>>>()
    {
        return Some(paired_bootstrap(&statistics, None, samples, seed));
    }
    first.rows.direction_of(bare).ok()?;
    let compute = |rows: &[u32]| -> Vec<f64> {
        shared.iter().map(|(_, stored)| metric_of(&stored.rows, &stored.rows.outcomes.select(rows), bare)).collect()
    };
    Some(paired_bootstrap_of(first.rows.n_rows(), None, samples, seed, compute))
}

/// The metrics for which a draw is one pass over prepared numbers.
fn statistic(rows: &JudgedRows, bare: &str) -> Option<Statistic> {
    let (target, predicted) = (&rows.outcomes.target, &rows.outcomes.predicted);
    let error = |of: fn(f64) -> f64| -> Vec<f64> {
        target.iter().zip(predicted).map(|(&target, &predicted)| of(f64::from(predicted) - f64::from(target))).collect()
    };
    match (rows.task, bare) {
        (Task::Binary, "auc") if rows.has_probabilities => {
            let (is_positive, scores) = rows.outcomes.binary();
            Some(Statistic::auc(&is_positive, &scores))
        }
        (Task::Binary, "brier") if rows.has_probabilities => Some(Statistic::Mean(error(|error| error * error))),
        (Task::Regression, "mae") => Some(Statistic::Mean(error(f64::abs))),
        (Task::Regression, "mse") => Some(Statistic::Mean(error(|error| error * error))),
        (Task::Regression, "rmse") => Some(Statistic::RootMean(error(|error| error * error))),
        (Task::Binary | Task::Multiclass { .. }, "accuracy") => {
            let own = || rows.scored().predictions().classes().into_iter().map(|class| class as f32).collect();
            let classes: Vec<f32> = rows.outcomes.classes.clone().unwrap_or_else(own);
            let is_right = |(target, class): (&f32, &f32)| f64::from(u8::from(target == class));
            Some(Statistic::Mean(target.iter().zip(&classes).map(is_right).collect()))
        }
        (Task::Binary, "log_loss" | "loss") if rows.has_probabilities => {
            let clip = |p: f64| p.clamp(f64::from(f32::EPSILON), 1.0 - f64::from(f32::EPSILON));
            let of_row =
                |(&target, &p): (&f32, &f32)| -clip(if target == 1.0 { f64::from(p) } else { 1.0 - f64::from(p) }).ln();
            Some(Statistic::Mean(target.iter().zip(predicted).map(of_row).collect()))
        }
        _ => None,
    }
}

/// DeLong's test of all runs at once.
fn auc_test(shared: &[(&Candidate, &Stored)]) -> Option<DeLong> {
    let (_, first) = shared[0];
    if first.rows.task != Task::Binary || first.blocks.is_some() {
        return None;
    }
    let (is_positive, _) = first.rows.outcomes.binary();
    let scores: Vec<Vec<f64>> = shared.iter().map(|(_, stored)| stored.rows.outcomes.binary().1).collect();
    delong(&is_positive, &scores)
}
