//! What the networks are built of: hidden layers, activations, and the lines of a model summary.

use burn::module::Module;
use burn::nn;
use burn::tensor::{Device, Tensor, activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fused;
use crate::kernels::LEAK;
use crate::onnx::{self, Graph, Value};

/// Added to the variance by layer norms; that of PyTorch.
pub(crate) const LAYER_NORM_EPSILON: f64 = 1e-5;

/// Non-linearity of the hidden layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Activation {
    #[default]
    Relu,
    Gelu,
    Silu,
    Tanh,
    LeakyRelu,
    Elu,
}

impl Activation {
    pub(crate) fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Relu => activation::relu(x),
            Self::Gelu => activation::gelu(x),
            Self::Silu => activation::silu(x),
            Self::Tanh => activation::tanh(x),
            Self::LeakyRelu => activation::leaky_relu(x, f64::from(LEAK)),
            Self::Elu => activation::elu(x, 1.0),
        }
    }
}

/// Normalisation of the hidden layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Norm {
    #[default]
    None,
    Batch,
    Layer,
}

/// One hidden layer: `linear -> norm -> activation -> dropout`, its input added if it is residual.
#[derive(Module, Debug)]
pub(crate) struct Block {
    pub(crate) linear: nn::Linear,
    batch_norm: Option<nn::BatchNorm>,
    layer_norm: Option<nn::LayerNorm>,
    #[module(skip)]
    pub(crate) activation: Option<Activation>,
    dropout: nn::Dropout,
    #[module(skip)]
    residual: bool,
}

impl Block {
    /// A layer from the first to the second width, without a skip. `activation` may be missing.
    pub(crate) fn new(
        [inputs, outputs]: [usize; 2],
        norm: Norm,
        activation: Option<Activation>,
        dropout: f64,
        device: &Device,
    ) -> Self {
        Self {
            linear: nn::LinearConfig::new(inputs, outputs).init(device),
            batch_norm: (norm == Norm::Batch).then(|| nn::BatchNormConfig::new(outputs).init(device)),
            layer_norm: (norm == Norm::Layer).then(|| layer_norm_config(outputs).init(device)),
            activation,
            dropout: nn::DropoutConfig::new(dropout).init(),
            residual: false,
        }
    }

    /// The same layer with its input added to the result, which must be as wide.
    pub(crate) fn with_skip(self) -> Self {
        Self { residual: true, ..self }
    }

    /// `[batch, inputs] -> [batch, hidden]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let out =
            if self.is_plain() { fused::layer(&x, &self.linear, self.activation, self.dropout_now(&x)) } else { None };
        let out = out.unwrap_or_else(|| self.forward_in_steps(x.clone()));
        if self.residual { x + out } else { out }
    }

    /// Whether nothing stands between the linear part and the activation.
    pub(crate) fn is_plain(&self) -> bool {
        self.batch_norm.is_none() && self.layer_norm.is_none()
    }

    /// The same with burn's operations: for a layer with a norm, and for devices without a fused form.
    fn forward_in_steps(&self, x: Tensor<2>) -> Tensor<2> {
        self.after_linear(fused::linear(x, &self.linear))
    }

    /// What follows the linear part, but for the skip. `[batch, hidden]` both
    pub(crate) fn after_linear(&self, mut x: Tensor<2>) -> Tensor<2> {
        if let Some(norm) = &self.batch_norm {
            x = norm.forward(x);
        }
        if let Some(norm) = &self.layer_norm {
            x = norm.forward(x);
        }
        let x = self.activation.map_or(x.clone(), |activation| activation.apply(x));
        fused::dropout(&x, self.dropout_now(&x)).unwrap_or_else(|| self.dropout.forward(x))
    }

    /// [`Block::forward`] as nodes. `[rows, inputs] -> [rows, hidden]`
    pub(crate) fn export(&self, graph: &mut Graph, x: &Value) -> Value {
        let out = onnx::layers::linear(graph, x, &self.linear);
        let out = self.export_after_linear(graph, out);
        if self.residual { graph.node("Add", &[x, &out], &[]) } else { out }
    }

    /// [`Block::after_linear`] as nodes. `[rows, hidden]` both
    pub(crate) fn export_after_linear(&self, graph: &mut Graph, mut x: Value) -> Value {
        if let Some(norm) = &self.batch_norm {
            x = onnx::layers::batch_norm(graph, &x, norm);
        }
        if let Some(norm) = &self.layer_norm {
            x = onnx::layers::layer_norm(graph, &x, norm);
        }
        self.activation.map_or(x.clone(), |activation| onnx::layers::activate(graph, &x, activation))
    }

    /// The share of units to drop in this pass: none outside of training.
    pub(crate) fn dropout_now(&self, x: &Tensor<2>) -> f64 {
        if self.dropout.training.is_enabled() && x.device().is_autodiff() { self.dropout.prob } else { 0.0 }
    }
}

/// A layer norm over this many values, with the epsilon that is exported: burn keeps a norm's own to itself.
pub(crate) fn layer_norm_config(width: usize) -> nn::LayerNormConfig {
    nn::LayerNormConfig::new(width).with_epsilon(LAYER_NORM_EPSILON)
}

/// One line of the model summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Path of the layer inside the network, as in the weights file.
    pub name: String,
    /// What it does.
    pub kind: String,
    /// Shape that leaves it; `batch` stands for the batch size.
    pub output: String,
    /// Trained numbers.
    pub parameters: usize,
    /// Multiplications and additions of the matrix products, for the way forward of one row (of a forecaster: one
    /// window); 0 where there is none.
    pub flops: usize,
}

/// Bytes of the weights as `f32`.
pub fn weight_bytes(layers: &[Layer]) -> usize {
    layers.iter().map(|layer| layer.parameters * size_of::<f32>()).sum()
}

pub(crate) fn summarize_linear(name: String, inputs: usize, outputs: usize) -> Layer {
    Layer {
        name,
        kind: format!("Linear({inputs} -> {outputs})"),
        output: format!("[batch, {outputs}]"),
        parameters: (inputs + 1) * outputs,
        flops: 2 * inputs * outputs,
    }
}

/// The lines of a [`Block`]; `after` says what follows its norm.
pub(crate) fn summarize_block(name: &str, [inputs, outputs]: [usize; 2], norm: Norm, after: String) -> Vec<Layer> {
    let mut layers = vec![summarize_linear(format!("{name}.linear"), inputs, outputs)];
    let mut push = |part: &str, kind: String, parameters| {
        let (name, output) = (format!("{name}{part}"), format!("[batch, {outputs}]"));
        layers.push(Layer { name, kind, output, parameters, flops: 0 });
    };
    match norm {
        Norm::None => {}
        Norm::Batch => push(".batch_norm", "BatchNorm".to_owned(), 2 * outputs),
        Norm::Layer => push(".layer_norm", "LayerNorm".to_owned(), 2 * outputs),
    }
    push("", after, 0);
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_activation_is_its_textbook_function() {
        let x = [-2.0_f32, -0.5, 0.0, 0.5, 2.0];
        // The formulas of the papers, in double precision.
        let expected: [(Activation, [f32; 5]); 6] = [
            (Activation::Relu, [0.0, 0.0, 0.0, 0.5, 2.0]),
            (Activation::Gelu, [-0.045500264, -0.15426877, 0.0, 0.34573123, 1.9544997]),
            (Activation::Silu, [-0.23840584, -0.18877034, 0.0, 0.31122967, 1.7615942]),
            (Activation::Tanh, [-0.9640276, -0.46211717, 0.0, 0.46211717, 0.9640276]),
            (Activation::LeakyRelu, [-0.02, -0.005, 0.0, 0.5, 2.0]),
            (Activation::Elu, [-0.86466473, -0.39346933, 0.0, 0.5, 2.0]),
        ];
        for (activation, values) in expected {
            let out = activation.apply(Tensor::<1>::from_floats(x, &Device::flex())).into_data();
            for (found, wanted) in out.as_slice::<f32>().unwrap().iter().zip(values) {
                assert!((found - wanted).abs() < 1e-6, "{activation:?}: {found} != {wanted}");
            }
        }
    }
}
