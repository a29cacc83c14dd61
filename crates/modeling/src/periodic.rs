//! Numbers as waves: a network of plain layers learns only smooth functions of a number; of its sines and cosines it
//! learns steps and bumps too.

use std::f64::consts::TAU;

use burn::module::{Module, Param};
use burn::nn;
use burn::tensor::{Device, Distribution, Tensor, activation};

use crate::Activation;
use crate::fused;
use crate::onnx::{self, Attribute, Graph, Value};

/// PLR(lite) of Gorishniy et al. 2022, arXiv 2203.05556: per number `x` and frequency `c` the values `cos(2 pi c x)` and
/// `sin(2 pi c x)`, then a linear layer with ReLU that all numbers share.
#[derive(Module, Debug)]
pub(crate) struct Periodic {
    /// `[numbers, frequencies]`, in turns per unit.
    frequencies: Param<Tensor<2>>,
    linear: nn::Linear,
}

impl Periodic {
    /// Frequencies are normal with standard deviation `sigma`; the linear layer maps `2 k` values to `dim`.
    pub(crate) fn new(n_numbers: usize, k: usize, sigma: f64, dim: usize, device: &Device) -> Self {
        let frequencies = Tensor::random([n_numbers, k], Distribution::Normal(0.0, sigma), device);
        Self { frequencies: Param::from_tensor(frequencies), linear: nn::LinearConfig::new(2 * k, dim).init(device) }
    }

    pub(crate) fn n_numbers(&self) -> usize {
        self.frequencies.val().dims()[0]
    }

    /// Width of what leaves it.
    pub(crate) fn n_outputs(&self) -> usize {
        self.n_numbers() * self.linear.weight.val().dims()[1]
    }

    /// `[batch, numbers] -> [batch, numbers * dim]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let frequencies = self.frequencies.val();
        let ([batch, numbers], [_, k]) = (x.dims(), frequencies.dims());
        // [batch, numbers, 1] * [1, numbers, k] -> [batch, numbers, k] -> [batch, numbers, 2 k]
        let turns = x.reshape([batch, numbers, 1]) * frequencies.reshape([1, numbers, k]);
        let angle = turns * TAU;
        let waves = Tensor::cat(vec![angle.clone().cos(), angle.sin()], 2).reshape([batch * numbers, 2 * k]);
        let out = fused::layer(&waves, &self.linear, Some(Activation::Relu), 0.0)
            .unwrap_or_else(|| activation::relu(self.linear.forward(waves)));
        let [_, dim] = out.dims();
        out.reshape([batch, numbers * dim])
    }

    /// [`Periodic::forward`] as nodes. `[rows, numbers] -> [rows, numbers * dim]`
    pub(crate) fn export(&self, graph: &mut Graph, x: &Value) -> Value {
        let frequencies = self.frequencies.val();
        let [numbers, k] = frequencies.dims();
        let x = graph.reshape(x, &[-1, numbers as i64, 1]);
        let frequencies = onnx::layers::constant(graph, frequencies.reshape([1, numbers, k]));
        let turns = graph.node("Mul", &[&x, &frequencies], &[]);
        let turn = graph.floats(&[TAU as f32], &[]);
        let angle = graph.node("Mul", &[&turns, &turn], &[]);
        let waves = ["Cos", "Sin"].map(|op| graph.node(op, &[&angle], &[]));
        let waves = graph.node("Concat", &[&waves[0], &waves[1]], &[("axis", Attribute::Int(2))]);
        let waves = graph.reshape(&waves, &[-1, 2 * k as i64]);
        let out = onnx::layers::linear(graph, &waves, &self.linear);
        let out = graph.node("Relu", &[&out], &[]);
        let [_, dim] = self.linear.weight.val().dims();
        graph.reshape(&out, &[-1, (numbers * dim) as i64])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix<const N: usize>(numbers: [f32; N]) -> Tensor<2> {
        Tensor::<1>::from_floats(numbers, &Device::flex()).reshape([N / 2, 2])
    }

    #[test]
    fn values_are_those_of_the_formula() {
        let mut periodic = Periodic::new(2, 2, 0.1, 2, &Device::flex());
        periodic.frequencies = Param::from_tensor(matrix([0.1, 0.5, -0.2, 1.5]));
        periodic.linear.weight = Param::from_tensor(matrix([0.5, -0.3, 0.2, 0.8, -0.7, 0.1, 0.4, 0.6]));
        periodic.linear.bias = Some(Param::from_tensor(Tensor::from_floats([0.05, -0.1], &Device::flex())));
        let out = periodic.forward(matrix([0.3, -1.2, 1.0, 0.4])).into_data();
        // The formula of the paper in numpy, double precision.
        let wanted = [0.851_140_55, 0.579_690_35, 0.0, 0.798_813_02, 0.0, 0.0, 0.428_463_4, 0.0];
        assert_eq!(out.num_elements(), 8);
        for (found, wanted) in out.as_slice::<f32>().unwrap().iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6, "{found} in place of {wanted}");
        }
    }
}
