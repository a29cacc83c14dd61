//! What a network is asked for: how many outputs, which loss, and how outputs become predictions.

use burn::tensor::{Int, Tensor, activation};
use serde::{Deserialize, Serialize};

/// The kind of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Task {
    /// A number, standardised while training. One output; squared error.
    Regression,
    /// Two classes, 0 and 1. One logit; binary cross-entropy.
    Binary,
    /// More classes, 0..classes. One logit each; cross-entropy.
    Multiclass {
        /// Number of classes, at least 3.
        classes: usize,
    },
}

impl Task {
    /// Columns of the network's output.
    pub fn n_outputs(self) -> usize {
        match self {
            Self::Regression | Self::Binary => 1,
            Self::Multiclass { classes } => classes,
        }
    }

    /// Name of the loss, as logged.
    pub fn loss_name(self) -> &'static str {
        match self {
            Self::Regression => "mean_squared_error",
            Self::Binary => "binary_cross_entropy",
            Self::Multiclass { .. } => "cross_entropy",
        }
    }

    /// Mean loss of a batch, computed from logits so that it stays finite for any confidence.
    ///
    /// `output` `[batch, n_outputs]`, `target` `[batch]` (standardised value or class index) -> `[1]`
    pub fn loss(self, output: Tensor<2>, target: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Regression => (output.squeeze_dim::<1>(1) - target).square().mean(),
            Self::Binary => {
                // -[y log s(x) + (1 - y) log(1 - s(x))] = max(x, 0) - x y + log(1 + exp(-|x|))
                let logit = output.squeeze_dim::<1>(1);
                let log_term = logit.clone().abs().neg().exp().log1p();
                (activation::relu(logit.clone()) - logit * target + log_term).mean()
            }
            Self::Multiclass { .. } => {
                let log_probability = activation::log_softmax(output, 1);
                let class: Tensor<2, Int> = target.int().unsqueeze_dim(1);
                log_probability.gather(1, class).mean().neg()
            }
        }
    }

    /// Outputs -> probabilities (binary: of class 1) or the standardised value, `[batch, n_outputs]` both.
    pub fn activate(self, output: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Regression => output,
            Self::Binary => activation::sigmoid(output),
            Self::Multiclass { .. } => activation::softmax(output, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn loss(task: Task, output: &[&[f32]], target: &[f32]) -> f32 {
        let device = Device::flex();
        let columns = output[0].len();
        let flat: Vec<f32> = output.concat();
        let output = Tensor::<1>::from_floats(flat.as_slice(), &device).reshape([output.len(), columns]);
        task.loss(output, Tensor::from_floats(target, &device)).into_scalar()
    }

    #[test]
    fn losses_agree_with_their_definitions() {
        // Computed from the definitions with numpy, in double precision.
        let binary = loss(Task::Binary, &[&[0.3], &[-1.2], &[4.0]], &[1.0, 0.0, 0.0]);
        assert!((binary - 1.611_929_2).abs() < 1e-5, "{binary}");
        let multiclass = loss(Task::Multiclass { classes: 3 }, &[&[0.1, 0.2, 0.3], &[2.0, -1.0, 0.5]], &[2.0, 0.0]);
        assert!((multiclass - 0.621_627_1).abs() < 1e-5, "{multiclass}");
        let regression = loss(Task::Regression, &[&[1.0], &[2.0]], &[0.5, 4.0]);
        assert!((regression - 2.125).abs() < 1e-6, "{regression}");
    }

    #[test]
    fn loss_stays_finite_for_wrong_and_very_sure_outputs() {
        assert!((loss(Task::Binary, &[&[1000.0]], &[0.0]) - 1000.0).abs() < 1e-3);
        assert!((loss(Task::Multiclass { classes: 3 }, &[&[900.0, 0.0, 0.0]], &[1.0]) - 900.0).abs() < 1e-3);
    }
}
