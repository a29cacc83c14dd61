//! Sentences that a model must satisfy before it may pass.
//!
//! ```text
//! val_auc >= 0.80
//! slice sex=Female test_auc >= 0.78
//! slice "hours per week"="(40, 50]" test_auc >= 0.75
//! latency_ms_p99 <= 5
//! not worse than @champion by more than 0.002 with 95 % confidence
//! test_auc not worse than models:/income/3
//! better than @champion by more than 0.001
//! ```
//!
//! What a gate knows of the world are [`Facts`]; what comes out says in words what was measured.

mod parse;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names;
use crate::{Difference, Interval};

pub use parse::GateError;

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Small is good.
    Minimize,
    /// Great is good.
    Maximize,
}

/// One figure of the model that is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// NaN if it is not defined for these rows.
    pub value: f64,
    /// How sure it is, if known.
    pub interval: Option<Interval>,
    /// Rows behind it, if known.
    pub n_rows: Option<usize>,
}

/// Why a fact is not to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactError {
    /// There is none of this name: `what` is `column`, `level`, `metric`, ..
    Unknown {
        /// Kind of name.
        what: &'static str,
        /// As the gate has it.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Anything else: `model @champion cannot be read: ..`.
    Failed(String),
}

/// What is known of the model that is judged.
pub trait Facts {
    /// A metric by its full name, such as `test_auc`.
    fn metric(&self, name: &str) -> Option<Measured>;
    /// All names that [`Facts::metric`] knows.
    fn names(&self) -> Vec<String>;
    /// What a comparison without a metric compares.
    fn main_metric(&self) -> &str;
    /// Which way a metric is better; `None` if there is no such metric.
    fn direction(&self, metric: &str) -> Option<Direction>;
    /// A metric over the rows of one slice.
    fn slice(&self, column: &str, level: &str, metric: &str) -> Result<Measured, FactError>;
    /// The metric of this model less that of another, on the same rows, with the middle `level` (0 to 1) of its draws.
    /// `reference` is `@ALIAS`, `models:/..` or `runs:/..`.
    fn difference(&self, reference: &str, metric: &str, level: f64) -> Result<Difference, FactError>;
}

/// A sentence that was understood. In YAML and JSON it is its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Gate {
    text: String,
    condition: Condition,
}

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    /// `[slice COLUMN=LEVEL] METRIC >= NUMBER`.
    Bound { slice: Option<(String, String)>, metric: String, comparison: Comparison, bound: f64 },
    /// `[METRIC] not worse than REFERENCE by more than MARGIN with LEVEL confidence`.
    Reference { metric: Option<String>, reference: String, better: bool, margin: f64, confidence: Option<f64> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    AtMost,
    Above,
    Below,
}

impl Comparison {
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::AtLeast => value >= bound,
            Self::AtMost => value <= bound,
            Self::Above => value > bound,
            Self::Below => value < bound,
        }
    }

    /// The sign of the relation as it turned out.
    fn sign(self, holds: bool) -> &'static str {
        match (self, holds) {
            (Self::AtLeast, true) | (Self::Below, false) => ">=",
            (Self::AtMost, true) | (Self::Above, false) => "<=",
            (Self::Above, true) | (Self::AtMost, false) => ">",
            (Self::Below, true) | (Self::AtLeast, false) => "<",
        }
    }
}

/// How a gate turned out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateResult {
    /// The gate's text.
    pub gate: String,
    /// The metric, or the difference to the other model; `None` if it could not be measured.
    pub value: Option<f64>,
    /// How sure that is, if known.
    pub interval: Option<Interval>,
    /// Whether the model may pass. What could not be measured has not passed.
    pub passed: bool,
    /// What was measured, in words: `test_auc 0.7912 [0.771, 0.810] < 0.80`.
    pub reason: String,
}

/// Reads a gate; see the [module](self) for the forms.
pub fn parse(text: &str) -> Result<Gate, GateError> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let condition = parse::condition(&text)?;
    Ok(Gate { text, condition })
}

impl TryFrom<String> for Gate {
    type Error = GateError;

    fn try_from(text: String) -> Result<Self, GateError> {
        parse(&text)
    }
}

impl From<Gate> for String {
    fn from(gate: Gate) -> Self {
        gate.text
    }
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Gate {
    /// The metric that it names, if it names one.
    pub fn metric(&self) -> Option<&str> {
        match &self.condition {
            Condition::Bound { metric, .. } => Some(metric),
            Condition::Reference { metric, .. } => metric.as_deref(),
        }
    }

    /// Column and level of its slice: `("sex", "Female")`.
    pub fn slice(&self) -> Option<(&str, &str)> {
        match &self.condition {
            Condition::Bound { slice, .. } => slice.as_ref().map(|(column, level)| (column.as_str(), level.as_str())),
            Condition::Reference { .. } => None,
        }
    }

    /// The model that it compares with: `@champion`, `models:/..`, `runs:/..`.
    pub fn reference(&self) -> Option<&str> {
        match &self.condition {
            Condition::Bound { .. } => None,
            Condition::Reference { reference, .. } => Some(reference),
        }
    }

    /// Holds the gate against the facts.
    pub fn check(&self, facts: &dyn Facts) -> GateResult {
        let outcome = match &self.condition {
            Condition::Bound { slice, metric, comparison, bound } => {
                self.check_bound(facts, slice.as_ref(), metric, *comparison, *bound)
            }
            Condition::Reference { metric, reference, better, margin, confidence } => {
                let metric = metric.as_deref().unwrap_or_else(|| facts.main_metric());
                self.check_reference(facts, metric, reference, *better, *margin, *confidence)
            }
        };
        outcome.unwrap_or_else(|error| self.result(None, None, false, error.in_words()))
    }

    fn check_bound(
        &self,
        facts: &dyn Facts,
        slice: Option<&(String, String)>,
        metric: &str,
        comparison: Comparison,
        bound: f64,
    ) -> Result<GateResult, FactError> {
        let (measured, label) = match slice {
            None => (facts.metric(metric).ok_or_else(|| unknown_metric(facts, metric))?, Cow::Borrowed(metric)),
            Some((column, level)) => {
                (facts.slice(column, level, metric)?, Cow::Owned(format!("{metric} of {column}={level}")))
            }
        };
        let Measured { value, interval, n_rows } = measured;
        let rows = n_rows.map(|n| format!(" ({n} rows)")).unwrap_or_default();
        if value.is_nan() {
            let reason = format!("{label} is not defined for these rows{rows}");
            return Ok(self.result(None, interval, false, reason));
        }
        let holds = comparison.holds(value, bound);
        let (shown, sign) = (shown_beside(value, bound, comparison), comparison.sign(holds));
        let interval_text = interval.map(shown_interval).unwrap_or_default();
        let bound_text = self.text.rsplit(['<', '>', '=', '≤', '≥']).next().unwrap_or_default().trim();
        let reason = format!("{label} {shown}{interval_text}{rows} {sign} {bound_text}");
        Ok(self.result(Some(value), interval, holds, reason))
    }

    /// With a confidence of 95 %, the end of the difference that counts against the model is its 5 % quantile: the low end
    /// of the interval that holds the middle 90 %.
    fn check_reference(
        &self,
        facts: &dyn Facts,
        metric: &str,
        reference: &str,
        better: bool,
        margin: f64,
        confidence: Option<f64>,
    ) -> Result<GateResult, FactError> {
        let direction = facts.direction(metric).ok_or_else(|| unknown_metric(facts, metric))?;
        let level = confidence.map_or(0.9, |confidence| 2.0 * confidence - 1.0);
        let difference = facts.difference(reference, metric, level)?;
        let Interval { low, high } = difference.interval;
        // From here on more is better.
        let (gain, least) = match direction {
            Direction::Maximize => (difference.value, low),
            Direction::Minimize => (-difference.value, -high),
        };
        let counts = if confidence.is_some() { least } else { gain };
        if gain.is_nan() || counts.is_nan() {
            let reason = format!("the difference of {metric} to {reference} is not defined for these rows");
            return Ok(self.result(None, None, false, reason));
        }
        let passed = if better { counts > margin } else { counts >= -margin };
        let sure = confidence.map(|confidence| {
            let bound = if least >= 0.0 { "at least" } else { "at most" };
            format!(", with {} % confidence {bound} {}", shown_percent(confidence), in_words(least))
        });
        let wanted = match (better, margin > 0.0) {
            (false, true) => format!("allowed: {margin} worse"),
            (false, false) => "allowed: no worse".to_owned(),
            (true, true) => format!("wanted: more than {margin} better"),
            (true, false) => "wanted: better".to_owned(),
        };
        let reason = format!("{metric} is {} than {reference}'s{}; {wanted}", in_words(gain), sure.unwrap_or_default());
        Ok(self.result(Some(difference.value), Some(difference.interval), passed, reason))
    }

    fn result(&self, value: Option<f64>, interval: Option<Interval>, passed: bool, reason: String) -> GateResult {
        GateResult { gate: self.text.clone(), value, interval, passed, reason }
    }
}

impl FactError {
    fn in_words(&self) -> String {
        match self {
            Self::Failed(reason) => reason.clone(),
            Self::Unknown { what, name, known } => {
                let hint = names::hint(name, known);
                let hint = if hint.is_empty() { hint } else { format!("; {hint}") };
                format!("there is no {what} `{name}`{hint}")
            }
        }
    }
}

fn unknown_metric(facts: &dyn Facts, name: &str) -> FactError {
    FactError::Unknown { what: "metric", name: name.to_owned(), known: facts.names() }
}

/// `0.0012 worse`, `0.0300 better`.
fn in_words(gain: f64) -> String {
    format!("{} {}", significant(gain.abs(), 3), if gain < 0.0 { "worse" } else { "better" })
}

fn shown_percent(share: f64) -> String {
    // 0.55 * 100 is 55.00000000000001.
    ((share * 1e8).round() / 1e6).to_string()
}

fn shown_interval(interval: Interval) -> String {
    format!(" [{}, {}]", significant(interval.low, 3), significant(interval.high, 3))
}

/// Four digits, or as many as it takes to be on the same side of the bound as the value itself.
fn shown_beside(value: f64, bound: f64, comparison: Comparison) -> String {
    let agrees = |text: &String| {
        text.parse().is_ok_and(|shown| comparison.holds(shown, bound) == comparison.holds(value, bound))
    };
    (4..17).map(|digits| significant(value, digits)).find(agrees).unwrap_or_else(|| value.to_string())
}

/// A number with so many significant digits, whole digits never cut.
fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    // A number just below a power of ten may be rounded up to it: a digit more does no harm.
    let decimals = digits as i32 - 1 - value.abs().log10().floor() as i32;
    format!("{value:.0$}", decimals.clamp(0, 17) as usize)
}
