//! What `evaluate` finds out about a model: figures with intervals, threshold, slices, calibration, what it relies on,
//! speed, gates. Each file computes one of these; `pictures` draws them, `page` and `card` write them up.

pub mod calibration;
pub mod card;
pub mod config;
pub mod facts;
pub mod figures;
pub mod forecasts;
pub mod latency;
pub mod operating_point;
pub mod page;
pub mod pictures;
pub mod predictions_file;
pub mod reliance;
pub mod rows;
pub mod table;
pub mod table_rows;
pub mod windows;

use anyhow::Result;
use evaluation::gains::Decile;
use evaluation::gates::GateResult;
use serde::Serialize;

use self::calibration::Calibrated;
use self::figures::{Figure, SliceScore};
use self::latency::Latency;
use self::operating_point::ChosenThreshold;
use self::reliance::{ColumnImportance, Dependence};
use self::windows::Breakdown;
use crate::console::number;
use crate::session::RunResult;

/// What was judged, on what.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Subject {
    /// The model as it was asked for, or the file of predictions.
    pub model: String,
    /// `tabular_mlp`, `ts_mlp`, or `predictions`.
    pub model_type: String,
    /// The run that made it.
    pub run_id: Option<String>,
    /// The logged model of MLflow 3.
    pub model_id: Option<String>,
    /// Name and version in the registry.
    pub registered: Option<(String, u32)>,
    /// Shown name of the data.
    pub data: String,
    /// Fingerprint of the data, and of the split where the rows are a part of it.
    pub digest: Option<String>,
    /// Judged rows, or windows.
    pub n_rows: usize,
    /// `rows` or `windows`.
    pub unit: &'static str,
    /// The columns that are predicted.
    pub target: String,
    /// `two classes (bad, good)`, `a number`, ..
    pub task: String,
}

impl Subject {
    /// `tabular_mlp on adult`
    pub fn title(&self) -> String {
        match self.registered.as_ref() {
            Some((name, version)) => format!("{name} {version} on {}", self.data),
            None => format!("{} on {}", self.model_type, self.data),
        }
    }
}

/// What is known of rows of a table beyond their metrics.
#[derive(Debug, Default, Serialize)]
pub struct TableFindings {
    /// Two classes only.
    pub threshold: Option<ChosenThreshold>,
    /// The worst first.
    pub slices: Vec<SliceScore>,
    /// Classes only.
    pub calibration: Vec<Calibrated>,
    /// Two classes only.
    pub deciles: Vec<Decile>,
    /// The most important column first.
    pub importance: Vec<ColumnImportance>,
    /// Of the most important columns.
    pub dependence: Vec<Dependence>,
}

/// Everything that was found out: `evaluation.json`.
#[derive(Debug, Serialize)]
pub struct Evaluation {
    /// What was judged, on what.
    pub subject: Subject,
    /// The metric that slices, columns and models are compared by.
    pub metric: String,
    /// Whether a low value of it is good.
    pub lower_is_better: bool,
    /// All metrics of the judged rows.
    pub figures: Vec<Figure>,
    /// Share that intervals hold.
    pub level: f64,
    /// Rows of a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<TableFindings>,
    /// Forecasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Breakdown>,
    /// A model, not a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Latency>,
    /// In the order of the config.
    pub gates: Vec<GateResult>,
}

impl Evaluation {
    /// The figure by which models are compared.
    pub fn main_figure(&self) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == self.metric)
    }

    /// Gates that did not hold.
    pub fn n_failed(&self) -> usize {
        self.gates.iter().filter(|gate| !gate.passed).count()
    }

    /// What is logged as metrics of the run: each figure, its interval, and the rest as single numbers.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let mut all = Vec::new();
        for figure in &self.figures {
            all.push((format!("test_{}", figure.name), figure.value));
            all.push((format!("test_{}_low", figure.name), figure.interval.low));
            all.push((format!("test_{}_high", figure.name), figure.interval.high));
        }
        if let Some(table) = &self.table {
            if let Some(chosen) = &table.threshold {
                all.push(("threshold".to_owned(), chosen.test.threshold));
                all.extend(chosen.figures.iter().map(|figure| (at_threshold(&figure.name), figure.value)));
            }
            for calibrated in table.calibration.iter().skip(1) {
                all.push((format!("test_ece_{}", calibrated.name), calibrated.ece));
                all.push((format!("test_log_loss_{}", calibrated.name), calibrated.log_loss));
                all.extend(calibrated.temperature.map(|temperature| ("temperature".to_owned(), temperature)));
            }
        }
        if let Some(latency) = &self.latency_ms {
            all.push(("latency_ms_p50".to_owned(), latency.p50));
            all.push(("latency_ms_p99".to_owned(), latency.p99));
        }
        if !self.gates.is_empty() {
            all.push(("gates_failed".to_owned(), self.n_failed() as f64));
        }
        all.retain(|(_, value)| value.is_finite());
        all
    }
}

/// The name of a metric at the chosen threshold.
pub fn at_threshold(metric: &str) -> String {
    format!("test_{metric}_at_threshold")
}

impl RunResult for Evaluation {
    fn to_text(&self) -> String {
        let percent = 100.0 * self.level;
        let mut rows: Vec<[String; 3]> =
            vec![["metric".to_owned(), "value".to_owned(), format!("{percent} % interval")]];
        let table = self.table.as_ref();
        let chosen = table.and_then(|table| table.threshold.as_ref());
        let row = |name: String, figure: &Figure| {
            let (low, high) = (figure.interval.low, figure.interval.high);
            let interval = if low.is_nan() { "-".to_owned() } else { format!("{} .. {}", number(low), number(high)) };
            [name, number(figure.value), interval]
        };
        rows.extend(self.figures.iter().map(|figure| row(format!("test_{}", figure.name), figure)));
        if let Some(chosen) = chosen {
            rows.extend(chosen.figures.iter().map(|figure| row(at_threshold(&figure.name), figure)));
        }
        let mut text = aligned(&rows);
        if let Some(chosen) = chosen {
            text += &format!("\n\nthreshold {} ({}, on validation rows)", number(chosen.test.threshold), chosen.goal);
        }
        if !self.gates.is_empty() {
            let mark = |passed: bool| if passed { "pass" } else { "FAIL" }.to_owned();
            let gates = self.gates.iter().map(|gate| [mark(gate.passed), gate.gate.clone(), gate.reason.clone()]);
            text += &format!("\n\n{}", aligned(&gates.collect::<Vec<_>>()));
        }
        text
    }

    fn summary(&self) -> String {
        let judged = format!("{} {} of {} judged", self.subject.n_rows, self.subject.unit, self.subject.data);
        match (self.gates.len(), self.n_failed()) {
            (0, _) => judged,
            (all, failed) => format!("{judged}, {} of {all} gates passed", all - failed),
        }
    }

    fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let value = serde_json::to_value(self).unwrap_or_default();
        let mut object = value.as_object().cloned().unwrap_or_default();
        let metrics = self.metrics().into_iter().map(|(name, value)| (name, value.into())).collect();
        object.insert("metrics".to_owned(), serde_json::Value::Object(metrics));
        object
    }

    fn verdict(&self) -> Result<()> {
        match self.n_failed() {
            0 => Ok(()),
            failed => Err(anyhow::anyhow!("{failed} of {} gates did not hold", self.gates.len())),
        }
    }
}

/// Columns side by side; all but the first and the last stand at the right.
fn aligned(rows: &[[String; 3]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    let line = |[a, b, c]: &[String; 3]| format!("  {a:first$}  {b:>second$}  {c}").trim_end().to_owned();
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
