//! Linear, NLinear, DLinear (Zeng et al. 2023, arXiv 2205.13504) and RLinear (Li et al. 2023, arXiv 2305.10721): one
//! linear map from look-back to horizon, DLinear two. What NLinear and RLinear add is the instance norm around it.
//!
//! Fresh weights are those of a plain linear layer, as in the authors' code (which holds the constant 1 / look-back of
//! the paper as a comment). RLinear has no dropout here; the authors' code (plumprc/RTSF) has one between RevIN and the
//! linear map.

use burn::module::{Module, Param};
use burn::nn;
use burn::tensor::module::avg_pool1d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Distribution, Tensor};

use super::instance_norm::Past;
use super::{ForecastBatch, ForecastShape, ForecasterConfig, ForecasterKind, for_each};
use crate::fused::windows;
use crate::layers::{Layer, summarize_linear};
use crate::onnx::{self, Attribute, Graph, Value};

#[derive(Module, Debug)]
pub(crate) struct LinearNet {
    /// Of the whole past; for DLinear of what the trend leaves.
    linear: Map,
    /// DLinear only.
    trend: Option<Map>,
    #[module(skip)]
    moving_average: usize,
    #[module(skip)]
    mix_channels: bool,
}

#[derive(Module, Debug)]
enum Map {
    Shared(nn::Linear),
    Individual(IndividualLinear),
}

/// A linear layer for each target.
#[derive(Module, Debug)]
struct IndividualLinear {
    /// `[T, L, N]`
    weight: Param<Tensor<3>>,
    /// `[T, N]`
    bias: Param<Tensor<2>>,
}

/// Inputs and outputs of the map.
fn widths(config: &ForecasterConfig, shape: &ForecastShape) -> [usize; 2] {
    let channels = if config.mixes_channels() { shape.n_targets } else { 1 };
    [channels * shape.lookback, channels * shape.horizon * config.n_quantiles()]
}

impl LinearNet {
    pub fn new(config: &ForecasterConfig, shape: &ForecastShape, device: &Device) -> Self {
        let targets = config.individual.then_some(shape.n_targets);
        let map = || Map::new(targets, widths(config, shape), device);
        Self {
            linear: map(),
            trend: (config.kind == ForecasterKind::Dlinear).then(map),
            moving_average: config.moving_average,
            mix_channels: config.mixes_channels(),
        }
    }

    /// `[B * T, L] -> [B * T, Q * H]`
    pub fn forward(&self, past: Past, batch: &ForecastBatch) -> Tensor<2> {
        let [windows, targets, _] = batch.past.dims();
        let out = match &self.trend {
            None => self.linear.forward(self.arrange(past, targets)),
            Some(trend_map) => {
                let rows = past.rows();
                let (rest, trend) = windows::split_trend(&rows, self.moving_average)
                    .unwrap_or_else(|| split_trend_in_steps(rows, self.moving_average));
                let [rest, trend] = [rest, trend].map(|rows| self.arrange(Past::plain(rows), targets));
                self.linear.forward(rest) + trend_map.forward(trend)
            }
        };
        out.reshape([(windows * targets) as i64, -1])
    }

    /// [`LinearNet::forward`] as nodes. `[B, T, L] -> [B * T, Q * H]`
    pub fn export(&self, graph: &mut Graph, shape: &ForecastShape, past: &Value) -> Value {
        let channels = if self.mix_channels { shape.n_targets } else { 1 };
        let width = (channels * shape.lookback) as i64;
        let rows = graph.reshape(past, &[-1, shape.lookback as i64]);
        let out = match &self.trend {
            None => {
                let rows = graph.reshape(&rows, &[-1, width]);
                self.linear.export(graph, &rows)
            }
            Some(trend_map) => {
                let trend = export_trend(graph, &rows, shape.lookback, self.moving_average);
                let rest = graph.node("Sub", &[&rows, &trend], &[]);
                let [rest, trend] = [rest, trend].map(|rows| graph.reshape(&rows, &[-1, width]));
                let [rest, trend] = [self.linear.export(graph, &rest), trend_map.export(graph, &trend)];
                graph.node("Add", &[&rest, &trend], &[])
            }
        };
        graph.reshape(&out, &[-1, (self.linear.n_outputs() / channels) as i64])
    }

    fn arrange<'a>(&self, past: Past<'a>, targets: usize) -> Past<'a> {
        if self.mix_channels { past.side_by_side(targets) } else { past }
    }
}

impl Map {
    fn new(targets: Option<usize>, [inputs, outputs]: [usize; 2], device: &Device) -> Self {
        let Some(targets) = targets else {
            return Self::Shared(nn::LinearConfig::new(inputs, outputs).init(device));
        };
        let bound = 1.0 / (inputs as f64).sqrt();
        let uniform = Distribution::Uniform(-bound, bound);
        Self::Individual(IndividualLinear {
            weight: Param::from_tensor(Tensor::random([targets, inputs, outputs], uniform, device)),
            bias: Param::from_tensor(Tensor::random([targets, outputs], uniform, device)),
        })
    }

    fn forward(&self, past: Past) -> Tensor<2> {
        match self {
            Self::Shared(linear) => past.through(linear, None),
            Self::Individual(linear) => linear.forward(past.rows()),
        }
    }

    fn n_outputs(&self) -> usize {
        match self {
            Self::Shared(linear) => linear.weight.val().dims()[1],
            Self::Individual(linear) => linear.weight.val().dims()[2],
        }
    }

    fn export(&self, graph: &mut Graph, rows: &Value) -> Value {
        match self {
            Self::Shared(linear) => onnx::layers::linear(graph, rows, linear),
            Self::Individual(linear) => linear.export(graph, rows),
        }
    }
}

impl IndividualLinear {
    /// `[B * T, L] -> [B * T, N]`
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let ([rows, lookback], [targets, _, outputs]) = (x.dims(), weight.dims());
        // [B * T, L] -> [T, B, L] x [T, L, N] -> [T, B, N]
        let x = x.reshape([rows / targets, targets, lookback]).swap_dims(0, 1);
        let out = x.matmul(weight) + bias.unsqueeze_dim::<3>(1);
        out.swap_dims(0, 1).reshape([rows, outputs])
    }

    /// The same as nodes.
    fn export(&self, graph: &mut Graph, x: &Value) -> Value {
        let [targets, lookback, outputs] = self.weight.val().dims();
        let weight = onnx::layers::constant(graph, self.weight.val());
        let bias = onnx::layers::constant(graph, self.bias.val().unsqueeze_dim::<3>(1));
        let x = graph.reshape(x, &[-1, targets as i64, lookback as i64]);
        let x = graph.transpose(&x, &[1, 0, 2]);
        let out = graph.node("MatMul", &[&x, &weight], &[]);
        let out = graph.node("Add", &[&out, &bias], &[]);
        let out = graph.transpose(&out, &[1, 0, 2]);
        graph.reshape(&out, &[-1, outputs as i64])
    }
}

/// What the trend leaves, and the trend: the mean of `steps` values around each, the first and the last value being
/// repeated beyond the ends. `[rows, L]` all.
fn split_trend_in_steps(x: Tensor<2>, steps: usize) -> (Tensor<2>, Tensor<2>) {
    let ([rows, length], beyond) = (x.dims(), steps / 2);
    let end = |column: usize| x.clone().slice([0..rows, column..column + 1]).repeat_dim(1, beyond);
    let padded = if beyond == 0 { x.clone() } else { Tensor::cat(vec![end(0), x.clone(), end(length - 1)], 1) };
    let trend = avg_pool1d(padded.unsqueeze_dim(1), AvgPoolOptions::new([steps]).with_stride([1])).squeeze_dim::<2>(1);
    (x - trend.clone(), trend)
}

/// The trend of [`split_trend_in_steps`] as nodes. `[rows, L]` both
fn export_trend(graph: &mut Graph, rows: &Value, lookback: usize, steps: usize) -> Value {
    let beyond = (steps / 2) as i64;
    let pads = graph.ints(&[0, beyond, 0, beyond], &[4]);
    let padded = graph.node("Pad", &[rows, &pads], &[("mode", Attribute::Text("edge".to_owned()))]);
    let padded = graph.reshape(&padded, &[-1, 1, lookback as i64 + 2 * beyond]);
    let trend = graph.node("AveragePool", &[&padded], &[("kernel_shape", Attribute::Ints(vec![steps as i64]))]);
    graph.reshape(&trend, &[-1, lookback as i64])
}

pub(super) fn summarize(config: &ForecasterConfig, shape: &ForecastShape) -> Vec<Layer> {
    let [inputs, outputs] = widths(config, shape);
    let mut layers = Vec::new();
    for name in if config.kind == ForecasterKind::Dlinear { &["linear", "trend"][..] } else { &["linear"] } {
        let sharing = if config.individual { "Individual" } else { "Shared" };
        let mut layer = summarize_linear(format!("{name}.{sharing}"), inputs, outputs);
        if config.individual {
            layer.parameters *= shape.n_targets;
            layer.kind = format!("{} x {}", shape.n_targets, layer.kind);
        }
        layers.push(layer);
    }
    if config.mixes_channels() { layers } else { for_each(&[shape.n_targets], layers) }
}
