//! Where to cut the scores of a binary model, and what that gives.
//!
//! A row counts as positive if its score is at least the threshold; a score that is NaN never does.

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::names::nearest;
use crate::statistics::ratio;

/// Points of a [`sweep`].
const SWEEP_POINTS: usize = 201;

/// What the threshold is to achieve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// The highest F1.
    F1,
    /// The highest recall + specificity - 1 (Youden 1950).
    Youden,
    /// The lowest cost.
    Cost(Costs),
    /// The highest precision with at least this recall.
    Recall(f64),
    /// The highest recall with at least this precision.
    Precision(f64),
}

/// What the two kinds of mistake cost; right answers cost nothing, so only the ratio matters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Of a negative that is taken for a positive.
    pub false_positive: f64,
    /// Of a positive that is missed.
    pub false_negative: f64,
}

impl Goal {
    /// What is out of range, if anything.
    pub fn check(&self) -> Result<(), String> {
        let share = |name: &str, value: f64| {
            let fine = value > 0.0 && value <= 1.0;
            if fine {
                Ok(())
            } else {
                Err(format!("a {name} of {value} cannot be asked for; give one above 0, up to 1"))
            }
        };
        match *self {
            Self::F1 | Self::Youden => Ok(()),
            Self::Recall(value) => share("recall", value),
            Self::Precision(value) => share("precision", value),
            Self::Cost(Costs { false_positive: a, false_negative: b }) => {
                let fine = a.is_finite() && b.is_finite() && a >= 0.0 && b >= 0.0 && a + b > 0.0;
                if fine { Ok(()) } else { Err(format!("costs of {a} and {b}; both must be 0 or more, one above 0")) }
            }
        }
    }

    /// How good a point is, better first by the first number, then by the second; `None` if it will not do.
    fn merit(&self, point: &OperatingPoint) -> Option<(f64, f64)> {
        match *self {
            Self::F1 => Some((point.f1, 0.0)),
            Self::Youden => Some((point.recall + point.specificity, 0.0)),
            Self::Cost(costs) => Some((-point.cost(&costs), 0.0)),
            Self::Recall(least) => (point.recall >= least).then_some((point.precision, point.recall)),
            Self::Precision(least) => (point.precision >= least).then_some((point.recall, point.precision)),
        }
    }
}

/// In words: `highest F1`, `cost 1 : 5`, `recall of at least 0.9`.
impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::F1 => write!(f, "highest F1"),
            Self::Youden => write!(f, "highest recall + specificity (Youden)"),
            Self::Cost(costs) => write!(
                f,
                "lowest cost (false positive {}, false negative {})",
                costs.false_positive, costs.false_negative
            ),
            Self::Recall(value) => write!(f, "highest precision with recall >= {value}"),
            Self::Precision(value) => write!(f, "highest recall with precision >= {value}"),
        }
    }
}

/// Written by hand, because YAML readers differ in how they take an enum: a name (`f1`) or a mapping of one key
/// (`recall: 0.9`) in all of them.
impl<'de> Deserialize<'de> for Goal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GoalVisitor)
    }
}

struct GoalVisitor;

const GOALS: [&str; 5] = ["f1", "youden", "cost", "recall", "precision"];
const WITH_VALUE: &str = "`cost: {false_positive: 1, false_negative: 5}`, `recall: 0.9` or `precision: 0.8`";

/// The keys that a mapping may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoalFields {
    cost: Option<Costs>,
    recall: Option<f64>,
    precision: Option<f64>,
}

impl<'de> Visitor<'de> for GoalVisitor {
    type Value = Goal;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "`f1`, `youden`, {WITH_VALUE}")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Goal, E> {
        match name {
            "f1" => Ok(Goal::F1),
            "youden" => Ok(Goal::Youden),
            "cost" | "recall" | "precision" => Err(E::custom(format!("`{name}` needs a value: {WITH_VALUE}"))),
            _ => {
                let near = nearest(name, GOALS);
                let hint = near.first().map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
                Err(E::custom(format!("found `{name}`{hint}, expected `f1`, `youden`, {WITH_VALUE}")))
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Goal, A::Error> {
        let fields = GoalFields::deserialize(MapAccessDeserializer::new(map))?;
        match (fields.cost, fields.recall, fields.precision) {
            (Some(costs), None, None) => Ok(Goal::Cost(costs)),
            (None, Some(value), None) => Ok(Goal::Recall(value)),
            (None, None, Some(value)) => Ok(Goal::Precision(value)),
            _ => Err(A::Error::custom(format!("give exactly one of {WITH_VALUE}"))),
        }
    }
}

/// A threshold with what it makes of some rows. Shares of nothing are 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OperatingPoint {
    /// Rows with a score of at least this count as positive.
    pub threshold: f64,
    /// True positives, rows.
    pub tp: u64,
    /// False positives.
    pub fp: u64,
    /// True negatives.
    pub tn: u64,
    /// False negatives.
    #[serde(rename = "fn")]
    pub fn_: u64,
    /// `tp / (tp + fp)`.
    pub precision: f64,
    /// `tp / (tp + fn)`, sensitivity.
    pub recall: f64,
    /// `tn / (tn + fp)`.
    pub specificity: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Share of rows that are right.
    pub accuracy: f64,
    /// Mean of recall and specificity.
    pub balanced_accuracy: f64,
}

impl OperatingPoint {
    fn new(threshold: f64, tp: u64, fp: u64, totals: &Totals) -> Self {
        let (fn_, tn) = (totals.positives - tp, totals.negatives - fp);
        let [t_p, f_p, t_n, f_n] = [tp, fp, tn, fn_].map(|count| count as f64);
        let (recall, specificity) = (ratio(t_p, t_p + f_n), ratio(t_n, t_n + f_p));
        Self {
            threshold,
            tp,
            fp,
            tn,
            fn_,
            precision: ratio(t_p, t_p + f_p),
            recall,
            specificity,
            f1: ratio(2.0 * t_p, 2.0 * t_p + f_p + f_n),
            accuracy: ratio(t_p + t_n, t_p + f_p + t_n + f_n),
            balanced_accuracy: f64::midpoint(recall, specificity),
        }
    }

    /// Total cost of its mistakes.
    pub fn cost(&self, costs: &Costs) -> f64 {
        self.fp as f64 * costs.false_positive + self.fn_ as f64 * costs.false_negative
    }
}

/// The threshold that serves the goal best on these rows, out of the scores that occur (for costs also one above all of
/// them). Of equals the highest. `target` and `scores` `[rows]`. `None` unless both classes are there, or if no threshold
/// reaches the recall or precision asked for.
pub fn choose(target: &[bool], scores: &[f64], goal: &Goal) -> Option<OperatingPoint> {
    let (points, totals) = points(target, scores);
    if totals.positives == 0 || totals.negatives == 0 {
        return None;
    }
    let nothing = points.first().map(|highest| OperatingPoint::new(highest.threshold.next_up(), 0, 0, &totals));
    let nothing = nothing.filter(|_| matches!(goal, Goal::Cost(_)));
    let mut best: Option<((f64, f64), OperatingPoint)> = None;
    for point in nothing.into_iter().chain(points) {
        let Some(merit) = goal.merit(&point) else { continue };
        if best.is_none_or(|(of_best, _)| merit > of_best) {
            best = Some((merit, point));
        }
    }
    best.map(|(_, point)| point)
}

/// What a given threshold makes of these rows.
pub fn at(threshold: f64, target: &[bool], scores: &[f64]) -> OperatingPoint {
    let totals = Totals::new(target, scores);
    let (mut tp, mut fp) = (0, 0);
    for (&target, &score) in target.iter().zip(scores) {
        if score >= threshold {
            *(if target { &mut tp } else { &mut fp }) += 1;
        }
    }
    OperatingPoint::new(threshold, tp, fp, &totals)
}

/// Points for a plot, from the lowest threshold to the highest: every score that occurs, or 201 thresholds at equal
/// distances if there are more. Empty without rows.
pub fn sweep(target: &[bool], scores: &[f64]) -> Vec<OperatingPoint> {
    let (mut points, totals) = points(target, scores);
    points.reverse();
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return points };
    if points.len() <= SWEEP_POINTS {
        return points;
    }
    let (low, high) = (first.threshold, last.threshold);
    let at_step = |step: usize| {
        let threshold = low + (high - low) * step as f64 / (SWEEP_POINTS - 1) as f64;
        // The lowest score that is still taken; rounding may lift the last threshold above all.
        let taken = points.partition_point(|point| point.threshold < threshold).min(points.len() - 1);
        OperatingPoint::new(threshold, points[taken].tp, points[taken].fp, &totals)
    };
    (0..SWEEP_POINTS).map(at_step).collect()
}

struct Totals {
    positives: u64,
    negatives: u64,
}

impl Totals {
    fn new(target: &[bool], scores: &[f64]) -> Self {
        let rows = target.len().min(scores.len());
        let positives = target[..rows].iter().filter(|positive| **positive).count();
        Self { positives: positives as u64, negatives: (rows - positives) as u64 }
    }
}

/// One point for each score that occurs, from the highest down.
fn points(target: &[bool], scores: &[f64]) -> (Vec<OperatingPoint>, Totals) {
    let totals = Totals::new(target, scores);
    let mut rows: Vec<(f64, bool)> =
        scores.iter().copied().zip(target.iter().copied()).filter(|(score, _)| !score.is_nan()).collect();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let (mut tp, mut fp) = (0, 0);
    let point = |equal: &[(f64, bool)]| {
        let positives = equal.iter().filter(|(_, positive)| *positive).count() as u64;
        (tp, fp) = (tp + positives, fp + equal.len() as u64 - positives);
        OperatingPoint::new(equal[0].0, tp, fp, &totals)
    };
    let points = rows.chunk_by(|a, b| a.0 == b.0).map(point).collect();
    (points, totals)
}
