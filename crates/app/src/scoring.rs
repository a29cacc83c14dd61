//! From raw outputs of a network to predictions in original units and their metrics.

use burn::tensor::Tensor;
use dataset::{Preprocessor, ProblemType};
use modeling::Task;
use training::metrics::{Kind, Predictions, compute_all};

/// Loss, predictions and metrics of one split.
pub struct Scores {
    /// Mean training loss.
    pub loss: f64,
    /// Original units, or probabilities row by row.
    pub predicted: Vec<f32>,
    /// Values of the metrics table.
    pub metrics: Vec<(&'static str, f64)>,
}

impl Scores {
    /// A metric by name, `loss` among them; NaN if there is none.
    pub fn get(&self, name: &str) -> f64 {
        if name == "loss" {
            return self.loss;
        }
        self.metrics.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, value)| *value)
    }

    /// `val_loss`, `val_auc`, ... for a prefix `val`.
    pub fn named(&self, prefix: &str) -> Vec<(String, f64)> {
        let loss = std::iter::once(("loss", self.loss));
        loss.chain(self.metrics.iter().copied()).map(|(name, value)| (format!("{prefix}_{name}"), value)).collect()
    }

    /// What the metrics were computed from.
    pub fn predictions<'a>(&'a self, target: &'a [f32], task: Task) -> Predictions<'a> {
        Predictions { kind: kind_of(task), target, predicted: &self.predicted }
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
    let mut predicted: Vec<f32> = task.activate(output).into_data().iter::<f32>().collect();
    if task == Task::Regression {
        predicted.iter_mut().for_each(|value| *value = preprocessor.restore(*value));
    }
    let metrics = compute_all(&Predictions { kind: kind_of(task), target, predicted: &predicted });
    Scores { loss, predicted, metrics }
}
