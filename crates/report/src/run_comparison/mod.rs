//! Runs beside each other on one HTML file that needs nothing else: a table to sort and filter, parallel coordinates to
//! brush, curves, scatter and box plots, and what differs between two of them.
//!
//! The data stand in the page as JSON; the scripts beside this file draw them. All views share one filter and one selection.

use serde::Serialize;

use crate::document::html::{DARK_COLORS, POLICY, STYLE, note};
use crate::render::escaped;
use crate::{Error, Result, Tone};

const BODY: &str = include_str!("body.html");
const OWN_STYLE: &str = include_str!("page.css");
/// In the order in which they need each other.
const SCRIPTS: [&str; 8] = [
    include_str!("core.js"),
    include_str!("table.js"),
    include_str!("parallel.js"),
    include_str!("curves.js"),
    include_str!("scatter.js"),
    include_str!("boxes.js"),
    include_str!("diff.js"),
    include_str!("main.js"),
];

/// The runs and what is known of them.
#[derive(Debug, Clone, Default)]
pub struct RunComparison {
    /// Stands on top, and on the browser's tab.
    pub title: String,
    /// One line under the title.
    pub subtitle: String,
    /// Warnings and verdicts, each in a box on top.
    pub notes: Vec<(Tone, String)>,
    /// Columns; the first one ranks the runs. At least one.
    pub metrics: Vec<ComparedMetric>,
    /// Names of the params, those that differ.
    pub params: Vec<String>,
    /// The best first.
    pub runs: Vec<ComparedRun>,
    /// Metrics by step.
    pub curves: Vec<MetricCurves>,
    /// Names of what two runs are compared by beside metrics and params: data digest, git commit, CPU, ..
    pub facts: Vec<String>,
    /// The last line; may be empty.
    pub footer: String,
}

/// A metric.
#[derive(Debug, Clone, Serialize)]
pub struct ComparedMetric {
    /// Its name.
    pub name: String,
    /// Whether a low value is good.
    pub lower_is_better: bool,
}

/// A run. What is not known is `None`; numbers that are not finite count as not known.
#[derive(Debug, Clone, Default, Serialize)]
#[allow(missing_docs)]
pub struct ComparedRun {
    pub run_id: String,
    pub name: String,
    pub status: String,
    /// `train`, `trial`, ..
    pub kind: String,
    pub experiment: String,
    /// When it started, for people.
    pub started: String,
    pub duration_seconds: Option<f64>,
    /// Its page on a server.
    pub url: Option<String>,
    /// `[metrics]`
    pub metrics: Vec<Option<f64>>,
    /// Step of the first metric's value.
    pub best_step: Option<i64>,
    /// How sure the first metric's value is.
    pub interval: Option<(f64, f64)>,
    /// Of the difference to the best run, corrected for the number of comparisons.
    pub p_value: Option<f64>,
    /// Whether its model is in use.
    pub is_champion: bool,
    /// `[params]`
    pub params: Vec<Option<String>>,
    /// `[facts]`
    pub facts: Vec<Option<String>>,
}

/// One metric of several runs by step.
#[derive(Debug, Clone, Serialize)]
pub struct MetricCurves {
    /// Its name.
    pub metric: String,
    /// Place of a run among the runs, and its points `(step, value)` in order.
    pub points: Vec<(usize, Vec<(f64, f64)>)>,
}

impl RunComparison {
    /// The page. [`Error::Shape`] if a run has another number of values than there are columns, a curve is of a run that is
    /// not there, or there is no metric.
    pub fn to_html(&self) -> Result<String> {
        self.check()?;
        let title = escaped(&self.title);
        let notes: String = self.notes.iter().map(|(tone, text)| note(*tone, text)).collect();
        let footer = if self.footer.is_empty() {
            String::new()
        } else {
            format!("<footer>{}</footer>\n", escaped(&self.footer))
        };
        let data = serde_json::json!({
            "metrics": self.metrics, "params": self.params, "runs": self.runs, "curves": self.curves, "facts": self.facts,
        });
        Ok(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n<title>{title}</title>\n\
             <style>\n{STYLE}{OWN_STYLE}@media screen and (prefers-color-scheme: dark){{:root{{{DARK_COLORS}}}}}\n</style>\n\
             </head>\n<body>\n<div class=\"page\">\n<header>\n<h1>{title}</h1>\n<p class=\"subtitle\">{}</p>\n</header>\n\
             <main>\n<section>{notes}</section>\n{BODY}</main>\n{footer}</div>\n\
             <script type=\"application/json\" id=\"data\">{}</script>\n<script>\n{}</script>\n</body>\n</html>\n",
            escaped(&self.subtitle),
            for_script(&data.to_string()),
            SCRIPTS.concat(),
        ))
    }

    fn check(&self) -> Result<()> {
        let wrong = |problem: String| Err(Error::Shape { picture: "run_comparison", problem });
        if self.metrics.is_empty() {
            return wrong("there is no metric to rank by".to_owned());
        }
        for run in &self.runs {
            let lengths = [
                ("metrics", run.metrics.len(), self.metrics.len()),
                ("params", run.params.len(), self.params.len()),
                ("facts", run.facts.len(), self.facts.len()),
            ];
            if let Some((what, found, wanted)) = lengths.iter().find(|(_, found, wanted)| found != wanted) {
                return wrong(format!("run `{}` has {found} {what}, the page {wanted}", run.run_id));
            }
        }
        let places = self.curves.iter().flat_map(|curve| &curve.points).map(|(run, _)| *run);
        match places.max().filter(|last| *last >= self.runs.len()) {
            Some(last) => wrong(format!("a curve is of run {last}, and there are {}", self.runs.len())),
            None => Ok(()),
        }
    }
}

/// JSON that cannot end the script element it stands in.
fn for_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
