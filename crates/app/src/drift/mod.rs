//! What `drift` finds out: for each input of a model, its target and its predictions, how far they have moved and whether
//! that counts. `rows` reads both sides, `page` writes it up.

pub mod config;
pub mod page;
pub mod rows;

use anyhow::Result;
use dataset::{ColumnProfile, ProfileValues};
use evaluation::drift::{
    ColumnDrift, DatasetDrift, Distribution, HistogramBin, Judgement, Verdict, compare, histogram, summarize,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::config::Config;
use self::rows::Side;
use crate::session::RunResult;

/// Rows of the table on the console; the page has them all.
const MOST_ROWS: usize = 30;
/// Levels in a picture.
const MOST_LEVELS: usize = 8;

/// What a column is to the model. In the config: a group of columns that can raise the alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What goes in.
    Features,
    /// What comes out.
    Predictions,
    /// What was to be predicted.
    Target,
}

impl Role {
    /// In the order of reports.
    pub const ALL: [Self; 3] = [Self::Features, Self::Predictions, Self::Target];

    /// Stands before the name of a metric: `psi.age`, `prediction_psi.y_proba`.
    fn prefix(self) -> &'static str {
        match self {
            Self::Features => "",
            Self::Predictions => "prediction_",
            Self::Target => "target_",
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Features => "input",
            Self::Predictions => "prediction",
            Self::Target => "target",
        }
    }
}

/// A column of both sides.
#[derive(Debug, Serialize)]
pub struct ComparedColumn {
    /// Its name.
    pub name: String,
    /// What it is to the model.
    pub role: Role,
    /// Whether it counts; the config may leave columns out.
    pub is_judged: bool,
    /// Whether it has drifted.
    pub verdict: Verdict,
    /// What led to that.
    pub reasons: Vec<String>,
    /// All figures.
    pub figures: ColumnDrift,
    /// Shares of both sides.
    pub histogram: Vec<HistogramBin>,
}

/// One side, for the report.
#[derive(Debug, Serialize)]
pub struct SideFacts {
    /// What it is.
    pub name: String,
    /// Its rows.
    pub n_rows: usize,
}

/// The model whose columns are compared.
#[derive(Debug, Default, Serialize)]
pub struct Model {
    /// As it was asked for.
    pub asked: String,
    /// The run that made it.
    pub run_id: Option<String>,
    /// The logged model of MLflow 3.
    pub model_id: Option<String>,
    /// Name and version in the registry.
    pub registered: Option<(String, u32)>,
}

/// Everything that was found out: `drift.json`.
#[derive(Debug, Serialize)]
pub struct Drift {
    /// Whose columns they are.
    pub model: Model,
    /// The earlier rows.
    pub reference: SideFacts,
    /// The later rows.
    pub current: SideFacts,
    /// Why there is an alarm; empty if there is none.
    pub alarms: Vec<String>,
    /// The inputs together. `is_drift` says whether there is an alarm, be it for another reason.
    pub summary: DatasetDrift,
    /// The most drifted first; then predictions and target.
    pub columns: Vec<ComparedColumn>,
}

impl Drift {
    /// Compares both sides column by column.
    pub fn find(model: Model, reference: &Side, current: &Side, config: &Config) -> Self {
        let both = |role: Role, was: &[ColumnProfile], is: &[ColumnProfile]| -> Vec<ComparedColumn> {
            let other = |name: &str| is.iter().find(|column| column.name == name);
            was.iter().filter_map(|was| Some(compare_column(role, was, other(&was.name)?, config))).collect()
        };
        let (was, is) = (&reference.profile, &current.profile);
        let mut columns = both(Role::Features, &was.columns, &is.columns);
        columns.sort_by(|a, b| {
            let psi = |column: &ComparedColumn| column.figures.psi.unwrap_or(0.0);
            b.verdict.cmp(&a.verdict).then(psi(b).total_cmp(&psi(a)))
        });
        columns.extend(both(Role::Predictions, &was.predictions, &is.predictions));
        columns.extend(both(Role::Target, was.target.as_slice(), is.target.as_slice()));
        let judged = columns.iter().filter(|column| column.role == Role::Features && column.is_judged);
        let summary = summarize(judged.map(|column| (&column.figures, column.verdict)), &config.thresholds);
        let alarms = alarms(&summary, &columns, config);
        let facts = |side: &Side| SideFacts { name: side.name.clone(), n_rows: side.profile.n_rows };
        Self {
            model,
            reference: facts(reference),
            current: facts(current),
            summary: DatasetDrift { is_drift: !alarms.is_empty(), ..summary },
            alarms,
            columns,
        }
    }

    /// Columns of a role.
    pub fn of(&self, role: Role) -> impl Iterator<Item = &ComparedColumn> {
        self.columns.iter().filter(move |column| column.role == role)
    }

    /// What there is to say where there is no alarm.
    pub fn without_alarm(&self) -> String {
        let drifted = self.columns.iter().filter(|column| column.is_judged && column.verdict == Verdict::Drift);
        match drifted.count() {
            0 => "no drift".to_owned(),
            1 => "1 column has drifted, which is no reason for an alarm".to_owned(),
            n => format!("{n} columns have drifted, which is no reason for an alarm"),
        }
    }

    /// What is logged as metrics of the run: of all inputs together, then of each column.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let mut all: Vec<(String, f64)> = self.overall().map(|(name, value)| (name.to_owned(), value)).collect();
        for column in &self.columns {
            let named =
                |(figure, value): (&str, f64)| (format!("{}{figure}.{}", column.role.prefix(), column.name), value);
            all.extend(column.figures.metrics().into_iter().map(named));
        }
        all
    }

    /// Metrics of the rows as a whole.
    pub fn overall(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let has_drifted = |role: Role| {
            let mut columns = self.of(role).peekable();
            columns.peek()?;
            Some(f64::from(columns.any(|column| column.is_judged && column.verdict == Verdict::Drift)))
        };
        let roles = [("prediction_drift", Role::Predictions), ("target_drift", Role::Target)];
        let of_roles = roles.map(|(name, role)| Some((name, has_drifted(role)?)));
        let rows = [("n_rows_reference", self.reference.n_rows as f64), ("n_rows_current", self.current.n_rows as f64)];
        self.summary.metrics().into_iter().chain(rows).chain(of_roles.into_iter().flatten())
    }
}

fn compare_column(role: Role, was: &ColumnProfile, is: &ColumnProfile, config: &Config) -> ComparedColumn {
    let (reference, current) = (distribution(was), distribution(is));
    let figures = compare(&reference, &current);
    let Judgement { verdict, reasons } = config.thresholds_of(&was.name).judge(&figures);
    let bins = if figures.is_numeric { config.bins } else { MOST_LEVELS };
    ComparedColumn {
        name: was.name.clone(),
        role,
        is_judged: !config.ignore.contains(&was.name),
        verdict,
        reasons,
        histogram: histogram(&reference, &current, bins),
        figures,
    }
}

fn distribution(column: &ColumnProfile) -> Distribution {
    let (n, n_missing) = ((column.n_rows - column.n_missing) as u64, column.n_missing as u64);
    match &column.values {
        ProfileValues::Numbers { mean, sd, quantiles } => {
            Distribution::from_quantiles(quantiles, n, n_missing, *mean, *sd)
        }
        ProfileValues::Levels { counts, n_rest, .. } => {
            let counts = counts.iter().map(|(level, count)| (level.clone(), *count as u64));
            Distribution::from_levels(counts, *n_rest as u64, n_missing)
        }
    }
}

fn alarms(summary: &DatasetDrift, columns: &[ComparedColumn], config: &Config) -> Vec<String> {
    let mut alarms = Vec::new();
    if config.alarms.contains(&Role::Features) && summary.is_drift {
        alarms.push(format!(
            "{} of {} inputs have drifted: {:.0} %, more than {:.0} %",
            summary.n_drifted_features,
            summary.n_features,
            100.0 * summary.share_drifted,
            100.0 * config.thresholds.drifted_share
        ));
    }
    for role in [Role::Predictions, Role::Target].into_iter().filter(|role| config.alarms.contains(role)) {
        let drifted = columns.iter().filter(|column| column.role == role && column.is_judged);
        let drifted = drifted.filter(|column| column.verdict == Verdict::Drift);
        let name =
            |column: &ComparedColumn| format!("{} `{}`: {}", role.name(), column.name, column.reasons.join(", "));
        alarms.extend(drifted.map(name));
    }
    alarms
}

/// `drift`, `watch`, `stable`, or that it does not count.
pub fn word(column: &ComparedColumn) -> &'static str {
    match column.verdict {
        _ if !column.is_judged => "ignored",
        Verdict::Drift => "DRIFT",
        Verdict::Watch => "watch",
        Verdict::Stable => "stable",
    }
}

/// A figure, or a dash where there is none.
pub fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

impl RunResult for Drift {
    fn to_text(&self) -> String {
        let heading = ["column", "", "PSI", "KS", "JS", "missing", "unseen", ""].map(str::to_owned);
        let row = |column: &ComparedColumn| {
            let figures = &column.figures;
            let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |s| format!("{:.1} %", 100.0 * s));
            [
                format!("{}{}", column.name, if column.role == Role::Features { "" } else { " *" }),
                word(column).to_owned(),
                shown(figures.psi),
                shown(figures.kolmogorov_smirnov.map(|ks| ks.statistic)),
                shown(figures.jensen_shannon),
                percent(figures.missing_share_current),
                percent(figures.unseen_share),
                column.reasons.join(", "),
            ]
        };
        let inputs: Vec<&ComparedColumn> = self.of(Role::Features).collect();
        let others = self.columns.iter().filter(|column| column.role != Role::Features);
        let left = inputs.len().saturating_sub(MOST_ROWS);
        let rows = inputs.iter().take(MOST_ROWS).copied().chain(others).map(row);
        let mut text = aligned(&std::iter::once(heading).chain(rows).collect::<Vec<_>>());
        if left > 0 {
            text += &format!("\n  {left} more inputs, less drifted: report.html has all");
        }
        if self.columns.iter().any(|column| column.role != Role::Features) {
            text += "\n  * no input: what the model predicts, or is to predict";
        }
        let verdict = if self.alarms.is_empty() { self.without_alarm() } else { self.alarms.join("\n  ") };
        format!("{text}\n\n  {verdict}")
    }

    fn summary(&self) -> String {
        let (reference, current) = (&self.reference, &self.current);
        let name = |side: &SideFacts| format!("{} ({} rows)", side.name, side.n_rows);
        let drifted = format!("{} of {} inputs drifted", self.summary.n_drifted_features, self.summary.n_features);
        format!("{} against {}: {drifted}", name(current), name(reference))
    }

    fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let value = serde_json::to_value(self).unwrap_or_default();
        let mut object = value.as_object().cloned().unwrap_or_default();
        let metrics = self.metrics().into_iter().map(|(name, value)| (name, value.into())).collect();
        object.insert("metrics".to_owned(), serde_json::Value::Object(metrics));
        object
    }

    fn verdict(&self) -> Result<()> {
        match &self.alarms[..] {
            [] => Ok(()),
            alarms => Err(anyhow::anyhow!("the data have drifted: {}", alarms.join("; "))),
        }
    }
}

/// Columns side by side; figures stand at the right.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let cell = |column: usize, text: &str| match column {
        _ if column < 2 || column == N - 1 => format!("{text:<width$}", width = widths[column]),
        _ => format!("{text:>width$}", width = widths[column]),
    };
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().enumerate().map(|(column, text)| cell(column, text)).collect();
        format!("  {}", cells.join("  ")).trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
