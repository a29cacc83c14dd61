//! What a network is asked for: how many outputs, which loss, and how outputs become predictions.

use burn::tensor::{Device, Int, Tensor, activation};
use serde::{Deserialize, Serialize};

use crate::fused;
use crate::onnx::{Attribute, Graph, Value};

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
            Self::Binary => fused::binary_cross_entropy(&output, &target).unwrap_or_else(|| {
                // -[y log s(x) + (1 - y) log(1 - s(x))] = max(x, 0) - x y + log(1 + exp(-|x|))
                let logit = output.squeeze_dim::<1>(1);
                let log_term = logit.clone().abs().neg().exp().log1p();
                (activation::relu(logit.clone()) - logit * target + log_term).mean()
            }),
            Self::Multiclass { .. } => {
                let log_probability = activation::log_softmax(output, 1);
                let class: Tensor<2, Int> = target.int().unsqueeze_dim(1);
                log_probability.gather(1, class).mean().neg()
            }
        }
    }

    /// Raw outputs of several networks for the same rows -> those of one that predicts their mean probabilities, or the mean
    /// value. `[batch, n_outputs]` each.
    pub fn average(self, mut outputs: Vec<Tensor<2>>) -> Tensor<2> {
        if outputs.len() == 1 {
            return outputs.remove(0);
        }
        let n = outputs.len() as f64;
        let sum = outputs.into_iter().map(|output| self.activate(output)).reduce(|sum, output| sum + output);
        let Some(sum) = sum else { unreachable!("no networks to average") };
        let mean = sum.div_scalar(n);
        // A quarter of the distance between 1 and the next f32: a probability this near to 0 is as good as 0.
        let log = |x: Tensor<2>| x.clamp_min(f32::EPSILON / 4.0).log();
        match self {
            Self::Regression => mean,
            Self::Binary => log(mean.clone()) - log(mean.neg().add_scalar(1.0)),
            Self::Multiclass { .. } => log(mean),
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

    /// [`Task::average`] of the raw outputs of one or more networks and [`Task::activate`] as nodes.
    ///
    /// `[rows, n_outputs]` each -> probabilities (binary: of class 1) or the standardised value, `[rows, n_outputs]`
    pub fn export(self, graph: &mut Graph, outputs: &[Value]) -> Value {
        let activated: Vec<Value> = outputs
            .iter()
            .map(|output| match self {
                Self::Regression => output.clone(),
                Self::Binary => graph.node("Sigmoid", &[output], &[]),
                Self::Multiclass { .. } => graph.node("Softmax", &[output], &[("axis", Attribute::Int(1))]),
            })
            .collect();
        graph.mean(&activated)
    }
}

/// The loss that a network is trained with: the task's, with classes weighted and targets smoothed if asked for.
///
/// For classes it is PyTorch's `CrossEntropyLoss(weight, label_smoothing)`, the mean being over the weights of the true
/// classes; two classes count as logits `[0, x]`, so that it is binary cross-entropy with the target
/// `y (1 - smoothing) + smoothing / 2`.
#[derive(Debug, Clone)]
pub struct Loss {
    task: Task,
    /// `[classes]`; `None` for the plain loss.
    class_weights: Option<Tensor<1>>,
    label_smoothing: f64,
}

impl Loss {
    /// `class_weights` by class index (two for binary), all above 0. `device` is that of the outputs. Regression has
    /// neither weights nor smoothing.
    pub fn new(task: Task, class_weights: Option<&[f32]>, label_smoothing: f64, device: &Device) -> Self {
        let is_plain = task == Task::Regression || (class_weights.is_none() && label_smoothing == 0.0);
        let classes = if let Task::Multiclass { classes } = task { classes } else { 2 };
        let weights = class_weights.map_or_else(|| vec![1.0; classes], <[f32]>::to_vec);
        let class_weights = (!is_plain).then(|| Tensor::from_floats(weights.as_slice(), device));
        Self { task, class_weights, label_smoothing }
    }

    /// Mean loss of a batch. `output` `[batch, n_outputs]`, `target` `[batch]` -> `[1]`
    pub fn compute(&self, output: Tensor<2>, target: Tensor<1>) -> Tensor<1> {
        let Some(class_weights) = &self.class_weights else { return self.task.loss(output, target) };
        // [batch, classes]
        let log_probability = match self.task {
            Task::Multiclass { .. } => activation::log_softmax(output, 1),
            _ => Tensor::cat(vec![activation::log_sigmoid(output.clone().neg()), activation::log_sigmoid(output)], 1),
        };
        let classes = log_probability.dims()[1];
        let class = target.int();
        let weight_sum = class_weights.clone().select(0, class.clone()).sum();
        let weighted = log_probability * class_weights.clone().unsqueeze();
        let true_class = weighted.clone().gather(1, class.unsqueeze_dim(1)).sum();
        let every_class = weighted.sum().mul_scalar(self.label_smoothing / classes as f64);
        (true_class.mul_scalar(1.0 - self.label_smoothing) + every_class).neg() / weight_sum
    }
}

#[cfg(test)]
mod tests {
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
    fn networks_are_averaged_by_probability() {
        let device = Device::flex();
        let column = |values: [f32; 3]| Tensor::<1>::from_floats(values, &device).reshape([3, 1]);
        let outputs = vec![column([0.0, 2.0, 40.0]), column([1.0, -2.0, 40.0])];
        let mean = Task::Binary.activate(Task::Binary.average(outputs)).into_data();
        // (1 / (1 + e^-0) + 1 / (1 + e^-1)) / 2 = 0.6155293
        for (found, wanted) in mean.as_slice::<f32>().unwrap().iter().zip([0.615_529_3, 0.5, 1.0]) {
            assert!((found - wanted).abs() < 1e-6, "{found} != {wanted}");
        }
        let row = |values: [f32; 3]| Tensor::<1>::from_floats(values, &device).reshape([1, 3]);
        let task = Task::Multiclass { classes: 3 };
        let mean = task.activate(task.average(vec![row([0.0, 0.0, 0.0]), row([1.0, 0.0, 0.0])])).into_data();
        // softmax([1, 0, 0]) = [0.57611688, 0.21194156, 0.21194156]
        for (found, wanted) in mean.as_slice::<f32>().unwrap().iter().zip([0.45472511, 0.27263745, 0.27263745]) {
            assert!((found - wanted).abs() < 1e-6, "{found} != {wanted}");
        }
    }

    #[test]
    fn loss_stays_finite_for_wrong_and_very_sure_outputs() {
        assert!((loss(Task::Binary, &[&[1000.0]], &[0.0]) - 1000.0).abs() < 1e-3);
        assert!((loss(Task::Multiclass { classes: 3 }, &[&[900.0, 0.0, 0.0]], &[1.0]) - 900.0).abs() < 1e-3);
    }

    fn weighted(task: Task, rows: &[&[f32]], target: &[f32], weights: Option<&[f32]>, smoothing: f64) -> f32 {
        let device = Device::flex();
        let output = Tensor::<1>::from_floats(rows.concat().as_slice(), &device).reshape([rows.len(), rows[0].len()]);
        Loss::new(task, weights, smoothing, &device).compute(output, Tensor::from_floats(target, &device)).into_scalar()
    }

    /// Values of PyTorch 2.15, `CrossEntropyLoss(weight, label_smoothing)` in double precision; the binary ones also of
    /// `BCEWithLogitsLoss` with smoothed targets, and with one weight per row.
    #[test]
    fn weights_and_smoothing_agree_with_pytorch() {
        let rows: [&[f32]; 4] = [&[0.1, 0.2, 0.3], &[2.0, -1.0, 0.5], &[-0.7, 1.5, 0.0], &[0.4, 0.4, -2.0]];
        let weights = [0.5, 2.0, 1.25];
        for (weights, smoothing, wanted) in [
            (Some(weights.as_slice()), 0.0, 0.962_862_4),
            (None, 0.1, 1.153_056_7),
            (Some(weights.as_slice()), 0.1, 1.044_288_7),
        ] {
            let found = weighted(Task::Multiclass { classes: 3 }, &rows, &[2.0, 0.0, 0.0, 1.0], weights, smoothing);
            assert!((found - wanted).abs() < 1e-6, "{weights:?} {smoothing}: {found}");
        }
        let rows: [&[f32]; 4] = [&[0.3], &[-1.2], &[4.0], &[-2.5]];
        let weights = [0.5, 2.0];
        for (weights, smoothing, wanted) in [
            (Some(weights.as_slice()), 0.0, 1.681_441_2),
            (None, 0.1, 1.791_169_3),
            (Some(weights.as_slice()), 0.1, 1.631_664),
        ] {
            let found = weighted(Task::Binary, &rows, &[1.0, 0.0, 0.0, 1.0], weights, smoothing);
            assert!((found - wanted).abs() < 1e-6, "{weights:?} {smoothing}: {found}");
        }
        let plain = weighted(Task::Binary, &rows, &[1.0, 0.0, 0.0, 1.0], None, 0.0);
        assert_eq!(plain, loss(Task::Binary, &rows, &[1.0, 0.0, 0.0, 1.0]));
        let regression = weighted(Task::Regression, &rows, &[1.0, 0.0, 0.0, 1.0], Some(&[1.0, 9.0]), 0.5);
        assert_eq!(regression, loss(Task::Regression, &rows, &[1.0, 0.0, 0.0, 1.0]));
    }

    #[test]
    fn weighted_loss_stays_finite_for_wrong_and_very_sure_outputs() {
        assert!((weighted(Task::Binary, &[&[1000.0]], &[0.0], Some(&[3.0, 1.0]), 0.0) - 1000.0).abs() < 1e-3);
    }
}
