//! Classical models on the same encoded rows, so that every network is seen beside simple ones.
//!
//! [`fit`] takes the arrays that the network takes and gives a [`Baseline`]: plain numbers that [`Baseline::predict`]
//! turns into values or probabilities, and that `to_json` writes down. linfa 0.8.1 finds the numbers. Where it was
//! compared with scikit-learn 1.9.1 on the published splits (same rows, same hyperparameters, test rows):
//!
//! | kind | targets | found by | measured here; scikit-learn |
//! |---|---|---|---|
//! | `dummy` | all | own code | train mean or class shares |
//! | `linear` | numbers | `linfa-linear`, QR | California RMSE .7257; .7257 |
//! | `elastic_net` | numbers | `linfa-elasticnet`, coordinate descent | California RMSE .7291; .7291 (alpha .01) |
//! | `logistic` | classes | `linfa-logistic`, L-BFGS | Adult AUC .9051; .9051. Churn .7661; .7661 |
//! | `decision_tree` | two classes | root splits of `linfa-trees` | Adult AUC .9030; .9030. Churn .8300; .8300 |
//!
//! # What linfa does not do by itself, and what is done about it here
//!
//! - `linfa-linear` solves by QR without pivoting. One-hot columns sum to one; it then returns coefficients of 8e12
//!   (Adult) without an error. Columns that others determine are found first and get the coefficient 0, as R's `lm`
//!   does.
//! - `linfa-elasticnet` takes the target's mean for the intercept, which is right for centred columns only (Adult:
//!   RMSE .3454 in place of .3442). Columns are centred here.
//! - `linfa-logistic` calls the more frequent class of two the positive one, and does not tell whether it converged.
//!   The label is looked up and the gradient computed anew. Its multinomial loss takes the maximum over the whole
//!   batch for the stable log-sum-exp, so rows whose outputs are more than 34 below it are wrong; the gradient check
//!   sees that. Row-major columns make it slow: Adult takes twice the time.
//! - `linfa-trees` compares a value with the next one among all rows, not among the rows of the node. A tie there
//!   hides a split, so below the root one-hot columns are hardly ever split: Churn at depth 6 has accuracy .8095, AUC
//!   .774 (scikit-learn .8550, .822), and an unlimited tree on Adult reaches .9393 on its own train rows. It also
//!   merges leaves of the same class and keeps no shares, so it has no probabilities. At the root neither matters:
//!   here each node is a root, fitted on its own rows. With three or more classes the sums run over a hash map in
//!   random order, so two fits may differ (linfa's own tree does even with two: 1,325 and 1,326 leaves on Churn), hence
//!   two classes only. There is no tree for numbers.
//!
//! # What is left out
//!
//! - Random forest (`linfa-ensemble`): built on these trees, one draw of columns per tree and not per split, votes for
//!   labels. 20 trees of depth 10: Churn AUC .723, accuracy .7985 (scikit-learn .835, .8640); Adult accuracy .7638
//!   (.8582). Its AdaBoost boosts the same trees; it was not measured.
//! - Naive Bayes (`linfa-bayes`): agrees with scikit-learn, which is the trouble: Adult accuracy .534, worse than no
//!   model.
//! - Support vector machines (`linfa-svm`): good on Churn (AUC .836), but the kernel matrix is rows x rows: 14 s for
//!   6,400 rows, 5 GB for Adult. Nearest neighbours (`linfa-nn`) is an index, no model.

mod decision_tree;
mod elastic_net;
mod linear;
mod logistic;
mod rows;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Task;
pub use decision_tree::{Node, Split};
use rows::Rows;
pub use rows::design_matrix;

/// Layout of the JSON that [`Baseline::to_json`] writes.
const VERSION: u32 = 1;
/// The linear models hold columns x columns numbers, and their time grows with its product with the rows.
pub const MAX_COLUMNS: usize = 2_000;

/// Why a baseline could not be fitted, read or asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is out of range.
    #[error("`baseline_options.{key}` is {value}: it must be {allowed}")]
    Setting {
        /// The key.
        key: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// The kind of model does not fit the kind of target.
    #[error("the baseline `{kind}` cannot predict {target}; use one of: {instead}")]
    Unfit {
        /// Name of the model.
        kind: &'static str,
        /// What is predicted.
        target: &'static str,
        /// Those that can.
        instead: String,
    },
    /// Lengths do not agree, or a class or an index is out of range.
    #[error("the rows given to a baseline do not fit together: {reason}")]
    Shape {
        /// Which ones.
        reason: String,
    },
    /// NaN or infinity.
    #[error("row {row} has {value} in {place}; a baseline needs finite numbers, impute the missing ones")]
    NotFinite {
        /// 1-based.
        row: usize,
        /// Which column, or the target.
        place: String,
        /// `NaN` or `inf`.
        value: f32,
    },
    /// All train rows are of one class.
    #[error("all {rows} train rows are of class {class}; `{kind}` needs two classes, `dummy` does not")]
    OneClass {
        /// Train rows.
        rows: usize,
        /// Index of that class.
        class: usize,
        /// Name of the model.
        kind: &'static str,
    },
    /// Too many columns for memory and time.
    #[error("the baseline `{kind}` takes at most {limit} columns, there are {columns}; set `features.max_categories`")]
    TooWide {
        /// Name of the model.
        kind: &'static str,
        /// Columns after encoding.
        columns: usize,
        /// The most it takes.
        limit: usize,
    },
    /// linfa gave up.
    #[error("the baseline `{kind}` could not be fitted: {reason}; scale the numeric features (`features.scaling`)")]
    Solver {
        /// Name of the model.
        kind: &'static str,
        /// linfa's reason.
        reason: String,
    },
    /// No baseline of this version.
    #[error("the baseline's JSON cannot be used: {reason}")]
    Json {
        /// The parser's reason, or what does not fit together.
        reason: String,
    },
}

/// A simple model to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BaselineKind {
    /// Looks at no feature: the train mean, or the share of each class.
    Dummy,
    /// Ordinary least squares. Numbers only.
    Linear,
    /// Least squares with L1 and L2 penalties. Numbers only.
    ElasticNet,
    /// Logistic regression with an L2 penalty; more than two classes: multinomial.
    Logistic,
    /// A binary tree by Gini impurity. Two classes only.
    DecisionTree,
}

impl BaselineKind {
    /// Every kind, simplest first.
    pub const ALL: [Self; 5] = [Self::Dummy, Self::Linear, Self::ElasticNet, Self::Logistic, Self::DecisionTree];

    /// The name in configs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dummy => "dummy",
            Self::Linear => "linear",
            Self::ElasticNet => "elastic_net",
            Self::Logistic => "logistic",
            Self::DecisionTree => "decision_tree",
        }
    }

    /// Whether it can predict this kind of target.
    pub fn fits(self, task: Task) -> bool {
        match self {
            Self::Dummy => true,
            Self::Linear | Self::ElasticNet => task == Task::Regression,
            Self::Logistic => task != Task::Regression,
            Self::DecisionTree => task == Task::Binary,
        }
    }
}

/// Settings of the baselines. The defaults were not chosen on any of the data sets above.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BaselineConfig {
    /// `logistic`: weight of half the squared coefficients against the summed loss of all rows; scikit-learn's `1 /
    /// C`.
    pub l2: f64,
    /// `elastic_net`: weight of both penalties, for a target of standard deviation 1.
    pub penalty: f64,
    /// `elastic_net`: share of the L1 penalty, above 0 up to 1 (lasso).
    pub l1_ratio: f64,
    /// `logistic`, `elastic_net`: the solver stops after so many iterations, with a warning.
    pub max_iterations: u32,
    /// `decision_tree`: most splits from the root to a leaf.
    pub max_depth: usize,
    /// `decision_tree`: fewest train rows in a leaf.
    pub min_rows_per_leaf: usize,
    /// Rows x columns to learn from, 8 bytes each, up to four copies; of more a random part is taken, with a warning.
    pub max_cells: usize,
}

impl Default for BaselineConfig {
    fn default() -> Self {
        Self {
            l2: 1.0,
            penalty: 0.01,
            l1_ratio: 0.5,
            max_iterations: 1000,
            max_depth: 6,
            min_rows_per_leaf: 20,
            max_cells: 20_000_000,
        }
    }
}

impl BaselineConfig {
    /// An error that names the first setting out of range.
    pub fn check(&self) -> Result<(), Error> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let settings: [(&'static str, String, bool, &'static str); 7] = [
            ("l2", self.l2.to_string(), positive(self.l2), "a number above 0"),
            ("penalty", self.penalty.to_string(), positive(self.penalty), "a number above 0"),
            ("l1_ratio", self.l1_ratio.to_string(), positive(self.l1_ratio) && self.l1_ratio <= 1.0, "in (0, 1]"),
            ("max_iterations", self.max_iterations.to_string(), self.max_iterations >= 2, "at least 2"),
            ("max_depth", self.max_depth.to_string(), (1..=32).contains(&self.max_depth), "in 1..=32"),
            ("min_rows_per_leaf", self.min_rows_per_leaf.to_string(), self.min_rows_per_leaf >= 1, "at least 1"),
            ("max_cells", self.max_cells.to_string(), self.max_cells >= 1000, "at least 1000"),
        ];
        match settings.into_iter().find(|(_, _, is_allowed, _)| !is_allowed) {
            Some((key, value, _, allowed)) => Err(Error::Setting { key, value, allowed }),
            None => Ok(()),
        }
    }
}

/// What was learned, as plain numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "form")]
pub enum Parameters {
    /// The same prediction for every row: `[n_outputs]`, the mean or probabilities.
    Constant {
        /// In the layout of a prediction.
        values: Vec<f64>,
    },
    /// `intercepts + coefficients x`, one row of coefficients per output; then sigmoid or softmax for classes.
    Linear {
        /// `[n_outputs]`; -1e300 for a class without train rows, whose probability is 0.
        intercepts: Vec<f64>,
        /// `[n_outputs][columns]`
        coefficients: Vec<Vec<f64>>,
    },
    /// The first node is the root; a leaf's value is its share of class 1.
    Tree {
        /// Children stand behind their parent.
        nodes: Vec<Node>,
    },
}

/// A fitted baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    version: u32,
    /// Which model.
    pub kind: BaselineKind,
    /// What it predicts.
    pub task: Task,
    /// Columns of the rows it takes.
    pub columns: usize,
    /// Rows it has learned from.
    pub rows: usize,
    /// What the user should know: not converged, rows left out, columns without effect.
    pub warnings: Vec<String>,
    /// What was learned.
    pub parameters: Parameters,
}

/// Learns from train rows. `seed` matters only where rows must be left out; the same input gives the same bits.
///
/// `numeric` row-major `[rows, columns]`, encoded and scaled as for the network, categories one-hot
/// ([`design_matrix`]); `target` `[rows]`: values in their own units, or class indices.
pub fn fit(
    kind: BaselineKind,
    config: &BaselineConfig,
    numeric: &[f32],
    columns: usize,
    target: &[f32],
    task: Task,
    seed: u64,
) -> Result<Baseline, Error> {
    config.check()?;
    check_kind(kind, columns, task)?;
    let mut warnings = Vec::new();
    let parameters = if kind == BaselineKind::Dummy {
        rows::check(&[], 0, target, task)?;
        dummy(target, task)
    } else {
        rows::check(numeric, columns, target, task)?;
        let rows = Rows::new(numeric, columns, target, config.max_cells, seed, &mut warnings);
        if task != Task::Regression {
            rows.check_classes(kind)?;
        }
        match kind {
            BaselineKind::Dummy | BaselineKind::Linear => linear::fit(&rows, &mut warnings)?,
            BaselineKind::ElasticNet => elastic_net::fit(&rows, config, &mut warnings)?,
            BaselineKind::Logistic => logistic::fit(&rows, config, task, &mut warnings)?,
            BaselineKind::DecisionTree => decision_tree::fit(&rows, config)?,
        }
    };
    let rows = rows::kept(target.len(), if kind == BaselineKind::Dummy { 0 } else { columns }, config.max_cells);
    Ok(Baseline { version: VERSION, kind, task, columns, rows, warnings, parameters })
}

fn check_kind(kind: BaselineKind, columns: usize, task: Task) -> Result<(), Error> {
    if !kind.fits(task) {
        let target = match task {
            Task::Regression => "a number",
            Task::Binary => "two classes",
            Task::Multiclass { .. } => "three or more classes",
        };
        let able: Vec<&str> =
            BaselineKind::ALL.into_iter().filter(|kind| kind.fits(task)).map(|kind| kind.name()).collect();
        return Err(Error::Unfit { kind: kind.name(), target, instead: able.join(", ") });
    }
    if kind != BaselineKind::Dummy && columns > MAX_COLUMNS {
        return Err(Error::TooWide { kind: kind.name(), columns, limit: MAX_COLUMNS });
    }
    Ok(())
}

/// Mean of the target, or the share of each class.
fn dummy(target: &[f32], task: Task) -> Parameters {
    let n = target.len() as f64;
    let values = match task {
        Task::Regression | Task::Binary => vec![target.iter().map(|&value| f64::from(value)).sum::<f64>() / n],
        Task::Multiclass { classes } => {
            (0..classes).map(|class| target.iter().filter(|&&y| y == class as f32).count() as f64 / n).collect()
        }
    };
    Parameters::Constant { values }
}

impl Baseline {
    /// `numeric` row-major `[rows, columns]` -> values in the target's units `[rows]`, probabilities of class 1
    /// `[rows]`, or probabilities row by row `[rows, classes]`.
    pub fn predict(&self, numeric: &[f32]) -> Result<Vec<f32>, Error> {
        if self.columns == 0 || !numeric.len().is_multiple_of(self.columns) {
            let reason = format!("{} values are no whole rows of {} columns", numeric.len(), self.columns);
            return Err(Error::Shape { reason });
        }
        let mut outputs = vec![0.0; self.task.n_outputs()];
        let mut predicted = Vec::with_capacity(numeric.len() / self.columns * outputs.len());
        for row in numeric.chunks_exact(self.columns) {
            self.predict_row(row, &mut outputs);
            predicted.extend(outputs.iter().map(|&value| value as f32));
        }
        Ok(predicted)
    }

    fn predict_row(&self, row: &[f32], outputs: &mut [f64]) {
        match &self.parameters {
            Parameters::Constant { values } => outputs.copy_from_slice(values),
            Parameters::Tree { nodes } => outputs[0] = decision_tree::predict(nodes, row),
            Parameters::Linear { intercepts, coefficients } => {
                for (output, (intercept, weights)) in outputs.iter_mut().zip(intercepts.iter().zip(coefficients)) {
                    *output = intercept + row.iter().zip(weights).map(|(&x, w)| f64::from(x) * w).sum::<f64>();
                }
                activate(self.task, outputs);
            }
        }
    }

    /// The whole model as JSON, readable without this program.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self).map_err(|error| Error::Json { reason: error.to_string() })
    }

    /// Reads what `to_json` wrote.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let unusable = |reason: String| Error::Json { reason };
        let baseline: Self = serde_json::from_str(json).map_err(|error| unusable(error.to_string()))?;
        if baseline.version != VERSION {
            let found = baseline.version;
            return Err(unusable(format!("it has version {found}, this program reads version {VERSION}")));
        }
        let (outputs, columns) = (baseline.task.n_outputs(), baseline.columns);
        let is_whole = columns > 0
            && match &baseline.parameters {
                Parameters::Constant { values } => values.len() == outputs,
                Parameters::Tree { nodes } => outputs == 1 && decision_tree::is_whole(nodes, columns),
                Parameters::Linear { intercepts, coefficients } => {
                    let lengths = [intercepts.len(), coefficients.len()];
                    lengths == [outputs; 2] && coefficients.iter().all(|weights| weights.len() == columns)
                }
            };
        is_whole.then_some(baseline).ok_or_else(|| unusable("its parts do not fit together".to_string()))
    }
}

/// Linear outputs -> probabilities, without overflow.
fn activate(task: Task, outputs: &mut [f64]) {
    match task {
        Task::Regression => {}
        Task::Binary => outputs[0] = 1.0 / (1.0 + (-outputs[0]).exp()),
        Task::Multiclass { .. } => {
            let largest = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            outputs.iter_mut().for_each(|output| *output = (*output - largest).exp());
            let sum: f64 = outputs.iter().sum();
            outputs.iter_mut().for_each(|output| *output /= sum);
        }
    }
}
