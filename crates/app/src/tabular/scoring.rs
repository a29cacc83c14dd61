//! From raw outputs of a network to predictions in original units and their metrics.

use std::mem;

use burn::tensor::{Device, Int, Tensor, TensorData};
use dataset::{Part, Preprocessor, ProblemType};
use modeling::{Inputs, TabularMlp, Task};
use training::metrics::{Kind, METRICS, Predictions, compute_all};

use crate::history::Metrics;

/// Metrics and predictions of one split.
pub struct Scores {
    /// Loss and metrics.
    pub metrics: Metrics,
    /// Original units, or probabilities row by row.
    pub predicted: Vec<f32>,
}

impl Scores {
    /// What the metrics were computed from.
    pub fn predictions<'a>(&'a self, target: &'a [f32], task: Task) -> Predictions<'a> {
        Predictions { kind: kind_of(task), target, predicted: &self.predicted }
    }
}

/// Rows with what came and what was predicted.
#[derive(Clone, Copy)]
pub struct ScoredRows<'a> {
    /// `[rows]`: class indices, or numbers in their own units.
    pub target: &'a [f32],
    /// Original units, or probabilities row by row, `[rows, n_outputs]`.
    pub predicted: &'a [f32],
    /// What was asked for.
    pub task: Task,
    /// Class names by index; empty for a regression.
    pub labels: &'a [String],
    /// The column that is predicted.
    pub target_name: &'a str,
}

impl<'a> ScoredRows<'a> {
    /// What metrics are computed from.
    pub fn predictions(&self) -> Predictions<'a> {
        Predictions { kind: kind_of(self.task), target: self.target, predicted: self.predicted }
    }

    /// A metric by name; NaN if there is none.
    pub fn value(&self, metric: &str) -> f64 {
        METRICS.iter().find(|known| known.name == metric).map_or(f64::NAN, |known| known.value(&self.predictions()))
    }
}

/// One part of the data as tensors on a device. Cheap to clone.
#[derive(Clone)]
pub struct Rows {
    /// `[rows, n_numeric]`
    pub numeric: Tensor<2>,
    /// `[rows, n_categorical]`
    pub categorical: Tensor<2, Int>,
    /// `[rows]`, standardised for regression
    pub target: Tensor<1>,
}

impl Rows {
    /// Moves a part's inputs to the device, so that they are in memory once; the part keeps its target.
    pub fn new(part: &mut Part, preprocessor: &Preprocessor, device: &Device) -> Self {
        let rows = part.n_rows();
        let (n_numeric, n_categorical) = (preprocessor.n_numeric(), preprocessor.cardinalities().len());
        let target: Vec<f32> = part.target.iter().map(|&value| preprocessor.standardize(value)).collect();
        let categorical = mem::take(&mut part.categorical);
        let categorical: Vec<i32> = categorical.into_iter().map(|index| index as i32).collect();
        Self {
            numeric: Tensor::from_data(TensorData::new(mem::take(&mut part.numeric), [rows, n_numeric]), device),
            categorical: Tensor::from_data(TensorData::new(categorical, [rows, n_categorical]), device),
            target: Tensor::from_floats(target.as_slice(), device),
        }
    }

    /// The same rows, as a model without gradients takes them.
    pub fn inner(&self) -> Self {
        let (numeric, categorical, target) = (self.numeric.clone(), self.categorical.clone(), self.target.clone());
        Self { numeric: numeric.inner(), categorical: categorical.inner(), target: target.inner() }
    }

    /// The given rows in the given order.
    pub fn select(&self, rows: &[u32]) -> Self {
        let indices: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let indices = Tensor::<1, Int>::from_ints(indices.as_slice(), &self.numeric.device());
        Self {
            numeric: self.numeric.clone().select(0, indices.clone()),
            categorical: self.categorical.clone().select(0, indices.clone()),
            target: self.target.clone().select(0, indices),
        }
    }
}

/// The raw outputs of one network, or of one that predicts what several predict on average.
pub fn ensemble(models: &[TabularMlp], task: Task) -> impl Fn(Tensor<2>, Tensor<2, Int>) -> Tensor<2> {
    move |numeric: Tensor<2>, categorical: Tensor<2, Int>| {
        let outputs = models.iter().map(|model| model.forward(numeric.clone(), categorical.clone()));
        task.average(outputs.collect())
    }
}

/// Loss and metrics of a part. `forward` is called on 8,192 rows at a time, so that memory stays bounded.
pub fn evaluate(
    forward: impl Fn(Tensor<2>, Tensor<2, Int>) -> Tensor<2>,
    rows: &Rows,
    part: &Part,
    task: Task,
    preprocessor: &Preprocessor,
) -> Scores {
    const CHUNK: usize = 8192;
    let (mut outputs, mut loss_sum) = (Vec::new(), 0.0);
    for start in (0..part.n_rows()).step_by(CHUNK) {
        let chunk = start..(start + CHUNK).min(part.n_rows());
        let numeric = rows.numeric.clone().slice(chunk.clone());
        let output = forward(numeric, rows.categorical.clone().slice(chunk.clone()));
        let loss = task.loss(output.clone(), rows.target.clone().slice(chunk.clone()));
        loss_sum += f64::from(loss.into_scalar::<f32>()) * chunk.len() as f64;
        outputs.push(output);
    }
    score(Tensor::cat(outputs, 0), loss_sum / part.n_rows() as f64, &part.target, task, preprocessor)
}

/// What the network is fed.
pub fn inputs_of(preprocessor: &Preprocessor) -> Inputs {
    Inputs {
        n_numeric: preprocessor.n_numeric(),
        n_real: preprocessor.n_real(),
        cardinalities: preprocessor.cardinalities(),
    }
}

/// What the network has to do for this target.
pub fn task_of(preprocessor: &Preprocessor) -> Task {
    match preprocessor.target.problem_type {
        ProblemType::Regression => Task::Regression,
        ProblemType::Binary => Task::Binary,
        ProblemType::Multiclass => Task::Multiclass { classes: preprocessor.target.labels().len() },
    }
}

/// Which metrics there are for it.
pub fn kind_of(task: Task) -> Kind {
    match task {
        Task::Regression => Kind::Regression,
        Task::Binary => Kind::Binary,
        Task::Multiclass { .. } => Kind::Multiclass,
    }
}

/// Scores raw outputs `[rows, n_outputs]` against targets in original units, row for row.
pub fn score(output: Tensor<2>, loss: f64, target: &[f32], task: Task, preprocessor: &Preprocessor) -> Scores {
    score_predictions(predictions(output, task, preprocessor), loss, target, task)
}

/// Raw outputs `[rows, n_outputs]` as values in original units, or probabilities row by row.
pub fn predictions(output: Tensor<2>, task: Task, preprocessor: &Preprocessor) -> Vec<f32> {
    let mut predicted: Vec<f32> = task.activate(output).into_data().iter::<f32>().collect();
    if task == Task::Regression {
        predicted.iter_mut().for_each(|value| *value = preprocessor.restore(*value));
    }
    predicted
}

/// Scores values in original units, or probabilities row by row.
pub fn score_predictions(predicted: Vec<f32>, loss: f64, target: &[f32], task: Task) -> Scores {
    let values = compute_all(&Predictions { kind: kind_of(task), target, predicted: &predicted });
    Scores { metrics: Metrics { loss, values }, predicted }
}
