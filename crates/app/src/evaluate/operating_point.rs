//! Two classes: the probability from which on a row counts as class 1, chosen on validation rows, judged on others.

use evaluation::threshold::{self, Goal, OperatingPoint};
use evaluation::{Interval, bootstrap_intervals};
use serde::Serialize;

use super::config::IntervalsConfig;
use super::figures::Figure;
use super::rows::{JudgedRows, Outcomes};

/// A threshold and what it brings.
#[derive(Debug, Serialize)]
pub struct ChosenThreshold {
    /// What was asked for, in words.
    pub goal: String,
    /// On the rows that it was chosen on.
    pub validation: OperatingPoint,
    /// On the judged rows.
    pub test: OperatingPoint,
    /// Precision, recall, .. of the judged rows, with intervals.
    pub figures: Vec<Figure>,
    /// Points for the picture: of the judged rows, by threshold.
    #[serde(skip)]
    pub sweep: Vec<OperatingPoint>,
}

/// `None` for other tasks, without validation rows, and if no threshold reaches the goal.
pub fn choose(judged: &JudgedRows, goal: &Goal, intervals: &IntervalsConfig, seed: u64) -> Option<ChosenThreshold> {
    let is_binary = judged.task == modeling::Task::Binary && judged.has_probabilities;
    let validation = judged.validation.as_ref().filter(|_| is_binary)?;
    let (target, scores) = validation.binary();
    let chosen = threshold::choose(&target, &scores, goal)?;
    let (target, scores) = judged.outcomes.binary();
    let test = threshold::at(chosen.threshold, &target, &scores);
    let draw = |rows: &[u32]| {
        let (target, scores) = Outcomes::binary(&judged.outcomes.select(rows));
        values(&threshold::at(chosen.threshold, &target, &scores)).map(|(_, value)| value).to_vec()
    };
    let found = bootstrap_intervals(judged.n_rows(), intervals.samples, seed, intervals.level, draw);
    let figure = |((name, value), interval): ((&str, f64), Interval)| Figure { name: name.to_owned(), value, interval };
    let figures = values(&test).into_iter().zip(found).map(figure).collect();
    let sweep = threshold::sweep(&target, &scores);
    Some(ChosenThreshold { goal: goal.to_string(), validation: chosen, test, figures, sweep })
}

fn values(point: &OperatingPoint) -> [(&'static str, f64); 5] {
    [
        ("precision", point.precision),
        ("recall", point.recall),
        ("f1", point.f1),
        ("accuracy", point.accuracy),
        ("specificity", point.specificity),
    ]
}
