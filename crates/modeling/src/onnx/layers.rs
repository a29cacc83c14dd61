//! What networks are built of, as nodes: the counterparts of `crate::layers`, for inference.

use burn::nn;
use burn::tensor::Tensor;

use super::{Attribute, Graph, Value};
use crate::kernels::LEAK;
use crate::layers::{Activation, LAYER_NORM_EPSILON};

/// Weights as a constant.
pub(crate) fn constant<const D: usize>(graph: &mut Graph, tensor: Tensor<D>) -> Value {
    let shape = tensor.dims();
    graph.floats(&numbers(tensor), &shape)
}

/// Weights as plain numbers.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// `[rows, inputs] -> [rows, outputs]`
pub(crate) fn linear(graph: &mut Graph, x: &Value, linear: &nn::Linear) -> Value {
    let weight = constant(graph, linear.weight.val());
    match &linear.bias {
        None => graph.node("MatMul", &[x, &weight], &[]),
        Some(bias) => {
            let bias = constant(graph, bias.val());
            graph.node("Gemm", &[x, &weight, &bias], &[])
        }
    }
}

/// Over the last axis.
pub(crate) fn layer_norm(graph: &mut Graph, x: &Value, norm: &nn::LayerNorm) -> Value {
    let gamma = constant(graph, norm.gamma.val());
    let mut inputs = vec![x.clone(), gamma];
    if let Some(beta) = &norm.beta {
        inputs.push(constant(graph, beta.val()));
    }
    let epsilon = ("epsilon", Attribute::Float(LAYER_NORM_EPSILON as f32));
    graph.node("LayerNormalization", &inputs.iter().collect::<Vec<_>>(), &[epsilon])
}

/// With the running statistics. `[rows, features]` both
pub(crate) fn batch_norm(graph: &mut Graph, x: &Value, norm: &nn::BatchNorm) -> Value {
    let deviation = (norm.running_var.value() + norm.epsilon).sqrt();
    let [mean, factor, shift] = [norm.running_mean.value(), norm.gamma.val() / deviation, norm.beta.val()]
        .map(|tensor| constant(graph, tensor));
    let x = graph.node("Sub", &[x, &mean], &[]);
    let x = graph.node("Mul", &[&x, &factor], &[]);
    graph.node("Add", &[&x, &shift], &[])
}

/// The counterpart of `Activation::apply`.
pub(crate) fn activate(graph: &mut Graph, x: &Value, activation: Activation) -> Value {
    match activation {
        Activation::Relu => graph.node("Relu", &[x], &[]),
        // x (1 + erf(x / sqrt 2)) / 2: the operator came with opset 20.
        Activation::Gelu => {
            let [root, one, half] = [std::f32::consts::FRAC_1_SQRT_2, 1.0, 0.5].map(|x| graph.floats(&[x], &[]));
            let share = graph.node("Mul", &[x, &root], &[]);
            let share = graph.node("Erf", &[&share], &[]);
            let share = graph.node("Add", &[&share, &one], &[]);
            let x = graph.node("Mul", &[x, &half], &[]);
            graph.node("Mul", &[&x, &share], &[])
        }
        Activation::Silu => {
            let share = graph.node("Sigmoid", &[x], &[]);
            graph.node("Mul", &[x, &share], &[])
        }
        Activation::Tanh => graph.node("Tanh", &[x], &[]),
        Activation::LeakyRelu => graph.node("LeakyRelu", &[x], &[("alpha", Attribute::Float(LEAK))]),
        Activation::Elu => graph.node("Elu", &[x], &[("alpha", Attribute::Float(1.0))]),
    }
}
