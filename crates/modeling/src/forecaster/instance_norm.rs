//! Mean and deviation, or the last value, taken out of each row and given back to its forecast.
//!
//! RevIN is Kim et al. 2022 as in its authors' code: population variance, epsilon 1e-5, no gradient through mean and
//! deviation, and the inverse of the affine map divides by `weight + epsilon^2`.

use burn::module::{Module, Param};
use burn::nn;
use burn::tensor::{Device, Tensor};

use super::repeat_for_targets;
use crate::fused::windows;
use crate::layers::Block;
use crate::onnx::{self, Attribute, Graph, Value};

/// Added to the variance.
pub(crate) const EPSILON: f32 = 1e-5;

/// What is taken out of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Centre {
    /// The mean; what is left is divided by its standard deviation.
    Mean,
    /// The last value.
    Last,
}

#[derive(Module, Debug)]
pub(crate) struct InstanceNormalization {
    #[module(skip)]
    centre: Centre,
    affine: Option<Affine>,
}

/// A factor and a shift for each target.
#[derive(Module, Debug)]
pub(crate) struct Affine {
    /// `[T]`
    pub weight: Param<Tensor<1>>,
    /// `[T]`
    pub bias: Param<Tensor<1>>,
}

/// What was taken out, without a gradient.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    /// `[rows, 1]`
    pub shift: Tensor<2>,
    /// `[rows, 1]`, above 0.
    pub factor: Tensor<2>,
}

impl InstanceNormalization {
    pub fn new(centre: Centre, has_affine: bool, targets: usize, device: &Device) -> Self {
        let affine = has_affine.then(|| Affine {
            weight: Param::from_tensor(Tensor::ones([targets], device)),
            bias: Param::from_tensor(Tensor::zeros([targets], device)),
        });
        Self { centre, affine }
    }

    /// `[rows, L]`, row r being target r mod T -> the same around 0, and what was taken out
    pub fn take_out(&self, x: Tensor<2>) -> (Past<'_>, Taken) {
        let split = windows::standardise(&x, self.centre);
        let (rows, taken) = split.unwrap_or_else(|| take_out_in_steps(x, self.centre));
        (Past { rows, affine: self.affine.as_ref() }, taken)
    }

    /// The inverse of both, for forecasts `[rows, N]`.
    pub fn put_back(&self, x: Tensor<2>, taken: &Taken) -> Tensor<2> {
        windows::restore(&x, taken, self.affine.as_ref()).unwrap_or_else(|| {
            let x = self.affine.as_ref().map_or(x.clone(), |affine| affine.invert(x));
            x * taken.factor.clone() + taken.shift.clone()
        })
    }
}

/// [`Taken`] as tensors of a graph, `[B, T, 1]` each.
pub(crate) struct TakenValues {
    shift: Value,
    /// None for 1.
    factor: Option<Value>,
}

impl InstanceNormalization {
    /// [`Self::take_out`] and the affine map as nodes. `[B, T, L]` both
    pub fn export_take_out(&self, graph: &mut Graph, x: &Value) -> (Value, TakenValues) {
        if self.centre == Centre::Last {
            let shift = graph.slice(x, 2, -1, i64::MAX);
            return (graph.node("Sub", &[x, &shift], &[]), TakenValues { shift, factor: None });
        }
        let mean = |graph: &mut Graph, x: &Value| graph.node("ReduceMean", &[x], &[("axes", Attribute::Ints(vec![2]))]);
        let shift = mean(graph, x);
        let centred = graph.node("Sub", &[x, &shift], &[]);
        let squared = graph.node("Mul", &[&centred, &centred], &[]);
        let variance = mean(graph, &squared);
        let epsilon = graph.floats(&[EPSILON], &[]);
        let variance = graph.node("Add", &[&variance, &epsilon], &[]);
        let factor = graph.node("Sqrt", &[&variance], &[]);
        let mut past = graph.node("Div", &[&centred, &factor], &[]);
        if let Some(affine) = &self.affine {
            let [weight, bias] = affine.export(graph);
            past = graph.node("Mul", &[&past, &weight], &[]);
            past = graph.node("Add", &[&past, &bias], &[]);
        }
        (past, TakenValues { shift, factor: Some(factor) })
    }

    /// [`Self::put_back`] as nodes. `[B * T, N]` both
    pub fn export_put_back(&self, graph: &mut Graph, x: &Value, targets: usize, taken: &TakenValues) -> Value {
        let shape = graph.node("Shape", &[x], &[]);
        let width = graph.slice(&shape, 0, 1, 2);
        let by_target = graph.ints(&[-1, targets as i64], &[2]);
        let by_target = graph.concat(&[by_target, width], 0);
        let mut out = graph.node("Reshape", &[x, &by_target], &[]);
        if let Some(affine) = &self.affine {
            let [weight, bias] = affine.export(graph);
            let tiny = graph.floats(&[EPSILON * EPSILON], &[]);
            let weight = graph.node("Add", &[&weight, &tiny], &[]);
            out = graph.node("Sub", &[&out, &bias], &[]);
            out = graph.node("Div", &[&out, &weight], &[]);
        }
        if let Some(factor) = &taken.factor {
            out = graph.node("Mul", &[&out, factor], &[]);
        }
        out = graph.node("Add", &[&out, &taken.shift], &[]);
        graph.node("Reshape", &[&out, &shape], &[])
    }
}

/// The past as a network gets it, RevIN's affine map being still to do.
#[derive(Debug, Clone)]
pub(crate) struct Past<'a> {
    /// `[B * T, L]`
    rows: Tensor<2>,
    affine: Option<&'a Affine>,
}

impl Past<'_> {
    /// Without an instance norm.
    pub fn plain(rows: Tensor<2>) -> Self {
        Self { rows, affine: None }
    }

    /// `[B * T, L]`, with the affine map.
    pub fn rows(self) -> Tensor<2> {
        self.affine.map_or(self.rows.clone(), |affine| affine.apply(self.rows))
    }

    /// All targets of a window side by side: `[B, T * L]`.
    pub fn side_by_side(self, targets: usize) -> Self {
        let rows = self.rows();
        let [n, lookback] = rows.dims();
        Self::plain(rows.reshape([n / targets, targets * lookback]))
    }

    /// The rows through a linear layer. `extra` `[B, outputs]`, if given, is added to all rows of its window.
    pub fn through(self, linear: &nn::Linear, extra: Option<Tensor<2>>) -> Tensor<2> {
        let together = windows::first_layer(&self.rows, self.affine, extra.as_ref(), linear, None, 0.0);
        together.unwrap_or_else(|| {
            let out = linear.forward(self.rows());
            let Some(extra) = extra else { return out };
            let targets = out.dims()[0] / extra.dims()[0];
            out + repeat_for_targets(extra, targets)
        })
    }

    /// The same through a hidden layer.
    pub fn through_block(self, block: &Block, extra: Option<Tensor<2>>) -> Tensor<2> {
        if block.is_plain() {
            let (activation, dropout) = (block.activation, block.dropout_now(&self.rows));
            let together =
                windows::first_layer(&self.rows, self.affine, extra.as_ref(), &block.linear, activation, dropout);
            if let Some(out) = together {
                return out;
            }
        }
        block.after_linear(self.through(&block.linear, extra))
    }
}

/// [`InstanceNormalization::take_out`] with burn's operations.
fn take_out_in_steps(x: Tensor<2>, centre: Centre) -> (Tensor<2>, Taken) {
    let [rows, length] = x.dims();
    if centre == Centre::Last {
        let shift = x.clone().slice([0..rows, length - 1..length]).detach();
        return (x - shift.clone(), Taken { factor: shift.ones_like(), shift });
    }
    let shift = x.clone().mean_dim(1).detach();
    let centred = x - shift.clone();
    let factor = centred.clone().square().mean_dim(1).add_scalar(EPSILON).sqrt().detach();
    (centred / factor.clone(), Taken { shift, factor })
}

impl Affine {
    fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        for_targets(x, weight.dims()[0], |x| x * weight.reshape([1, -1, 1]) + bias.reshape([1, -1, 1]))
    }

    fn invert(&self, x: Tensor<2>) -> Tensor<2> {
        let weight = self.weight.val().add_scalar(EPSILON * EPSILON);
        let bias = self.bias.val();
        for_targets(x, weight.dims()[0], |x| (x - bias.reshape([1, -1, 1])) / weight.reshape([1, -1, 1]))
    }
}

impl Affine {
    /// Weight and bias, `[T, 1]` each.
    fn export(&self, graph: &mut Graph) -> [Value; 2] {
        [&self.weight, &self.bias].map(|param| onnx::layers::constant(graph, param.val().unsqueeze_dim::<2>(1)))
    }
}

/// Lets `work` see `[rows, N]` as `[B, T, N]`.
fn for_targets(x: Tensor<2>, targets: usize, work: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<2> {
    let [rows, length] = x.dims();
    work(x.reshape([rows / targets, targets, length])).reshape([rows, length])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::IN_STEPS;

    /// What was taken out is given back, even from a constant row; what a network sees has mean 0 and deviation 1.
    #[test]
    fn there_and_back_again() {
        let device = Device::flex();
        let numbers = [5.0, 7.0, 3.0, 9.0, -2.0, -2.0, -2.0, -2.0, 0.1, 0.2, 0.3, 0.4, 1e4, 1e4 + 2.0, 1e4 - 4.0, 1e4];
        let x = Tensor::<1>::from_floats(numbers, &device).reshape([4, 4]);
        for in_steps in [false, true] {
            IN_STEPS.set(in_steps);
            for (centre, has_affine) in [(Centre::Mean, true), (Centre::Mean, false), (Centre::Last, false)] {
                let mut norm = InstanceNormalization::new(centre, has_affine, 2, &device);
                if let Some(affine) = &mut norm.affine {
                    affine.weight = Param::from_tensor(Tensor::from_floats([0.5, -2.0], &device));
                    affine.bias = Param::from_tensor(Tensor::from_floats([1.0, 3.0], &device));
                }
                let (past, taken) = norm.take_out(x.clone());
                let standard: Vec<f32> = past.rows.to_data().iter().collect();
                if centre == Centre::Mean {
                    // (x - 6) / sqrt(5 + 1e-5), numpy
                    for (found, wanted) in standard.iter().zip([-0.447_213_15, 0.447_213_15, -1.341_639_4, 1.341_639_4])
                    {
                        assert!((found - wanted).abs() < 1e-6, "{found} in place of {wanted}");
                    }
                } else {
                    assert_eq!(standard[..4], [-4.0, -2.0, -6.0, 0.0]);
                }
                let back: Vec<f32> = norm.put_back(past.rows(), &taken).to_data().iter().collect();
                for (found, wanted) in back.iter().zip(numbers) {
                    assert!((found - wanted).abs() <= 2e-6 * wanted.abs().max(1.0), "{found} in place of {wanted}");
                }
            }
            IN_STEPS.set(false);
        }
    }
}
