//! TSMixer: MLPs along time and across channels in turns (Chen et al. 2023, arXiv 2303.06053), all targets at once.
//!
//! Channels are the targets and, over the look-back, all covariates. A block mixes time (one linear layer that all
//! channels share), then channels (two layers that all steps share), each behind a norm and beside a skip. A linear
//! map from look-back to horizon makes each target's forecast. Covariates known over the horizon are mixed into it
//! step by step: the second half of the paper's TSMixer-Ext in one layer.
//!
//! The norm is the paper's two-dimensional one, over steps and channels of a window, as layer norm: a batch norm would
//! need running statistics.

use burn::module::Module;
use burn::nn;
use burn::tensor::{Device, Tensor};

use super::{ForecastBatch, ForecastInputs, ForecastShape, ForecasterConfig, for_each};
use crate::fused;
use crate::layers::{Block, Layer, Norm, layer_norm_config, summarize_block, summarize_linear};
use crate::onnx::{self, Graph, Value};

#[derive(Module, Debug)]
pub(crate) struct TsmixerNet {
    blocks: Vec<MixerBlock>,
    projection: nn::Linear,
    /// From the forecasts and the known covariates of a step to what is added to the forecasts.
    future: Option<FeatureMixing>,
}

#[derive(Module, Debug)]
struct MixerBlock {
    time_norm: nn::LayerNorm,
    time: Block,
    feature_norm: nn::LayerNorm,
    features: FeatureMixing,
}

#[derive(Module, Debug)]
struct FeatureMixing {
    hidden: Block,
    output: Block,
}

/// Channels over the look-back.
fn channels(shape: &ForecastShape) -> usize {
    shape.n_targets + shape.n_past + shape.n_future
}

/// Input, hidden and output width of the mixing at the horizon; `None` without known covariates.
fn future_widths(config: &ForecasterConfig, shape: &ForecastShape) -> Option<[usize; 3]> {
    let forecasts = shape.n_targets * config.n_quantiles();
    (shape.n_future > 0).then_some([forecasts + shape.n_future, config.feed_forward_size, forecasts])
}

impl TsmixerNet {
    pub fn new(config: &ForecasterConfig, shape: &ForecastShape, device: &Device) -> Self {
        let (lookback, channels) = (shape.lookback, channels(shape));
        let norm = || layer_norm_config(channels * lookback).init(device);
        let block = |_| MixerBlock {
            time_norm: norm(),
            time: Block::new([lookback, lookback], Norm::None, Some(config.activation), config.dropout, device),
            feature_norm: norm(),
            features: FeatureMixing::new([channels, config.feed_forward_size, channels], config, device),
        };
        Self {
            blocks: (0..config.blocks).map(block).collect(),
            projection: nn::LinearConfig::new(lookback, config.n_quantiles() * shape.horizon).init(device),
            future: future_widths(config, shape).map(|widths| FeatureMixing::new(widths, config, device)),
        }
    }

    /// `[B * T, L] -> [B * T, Q * H]`
    pub fn forward(&self, past: Tensor<2>, batch: &ForecastBatch) -> Tensor<2> {
        let [windows, targets, lookback] = batch.past.dims();
        let [_, n_future, steps] = batch.future_covariates.dims();
        let mut parts = vec![past.reshape([windows, targets, lookback])];
        if batch.past_covariates.dims()[1] > 0 {
            parts.push(batch.past_covariates.clone());
        }
        if n_future > 0 {
            parts.push(batch.future_covariates.clone().slice([0..windows, 0..n_future, 0..lookback]));
        }
        let mut x = if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(parts, 1) };
        for block in &self.blocks {
            x = block.forward(x);
        }
        let x = x.slice([0..windows, 0..targets, 0..lookback]).reshape([windows * targets, lookback]);
        let out = fused::linear(x, &self.projection);
        let Some(mixing) = &self.future else { return out };
        let horizon = steps - lookback;
        // [B * T, Q * H] -> [B, T * Q, H]
        let forecasts = out.clone().reshape([windows as i64, -1, horizon as i64]);
        let known = batch.future_covariates.clone().slice([0..windows, 0..n_future, lookback..steps]);
        out.clone() + mixing.forward(Tensor::cat(vec![forecasts, known], 1)).reshape(out.shape())
    }
}

impl TsmixerNet {
    /// [`TsmixerNet::forward`] as nodes. -> `[B * T, Q * H]`
    pub fn export(&self, graph: &mut Graph, shape: &ForecastShape, inputs: &ForecastInputs) -> Value {
        let (lookback, horizon) = (shape.lookback as i64, shape.horizon as i64);
        let mut parts = vec![inputs.past.clone()];
        parts.extend(inputs.past_covariates.clone());
        if let Some(future) = &inputs.future_covariates {
            parts.push(graph.slice(future, 2, 0, lookback));
        }
        let x = graph.concat(&parts, 1);
        let sizes = [channels(shape) as i64, lookback];
        let x = self.blocks.iter().fold(x, |x, block| block.export(graph, &x, sizes));
        let x = graph.slice(&x, 1, 0, shape.n_targets as i64);
        let x = graph.reshape(&x, &[-1, lookback]);
        let out = onnx::layers::linear(graph, &x, &self.projection);
        let (Some(mixing), Some(future)) = (&self.future, &inputs.future_covariates) else { return out };
        let outputs = self.projection.weight.val().dims()[1] as i64;
        let forecasts = shape.n_targets as i64 * outputs / horizon;
        // [B * T, Q * H] -> [B, T * Q, H]
        let by_step = graph.reshape(&out, &[-1, forecasts, horizon]);
        let known = graph.slice(future, 2, lookback, i64::MAX);
        let mixed = graph.concat(&[by_step, known], 1);
        let mixed = mixing.export(graph, &mixed, [forecasts + shape.n_future as i64, horizon]);
        let mixed = graph.reshape(&mixed, &[-1, outputs]);
        graph.node("Add", &[&out, &mixed], &[])
    }
}

impl MixerBlock {
    /// [`MixerBlock::forward`] as nodes. `[B, C, L]` both
    fn export(&self, graph: &mut Graph, x: &Value, [channels, steps]: [i64; 2]) -> Value {
        let flat = [-1, channels * steps];
        let rows = graph.reshape(x, &flat);
        let rows = onnx::layers::layer_norm(graph, &rows, &self.time_norm);
        let rows = graph.reshape(&rows, &[-1, steps]);
        let mixed = self.time.export(graph, &rows);
        let mixed = graph.reshape(&mixed, &[-1, channels, steps]);
        let x = graph.node("Add", &[x, &mixed], &[]);
        let rows = graph.reshape(&x, &flat);
        let rows = onnx::layers::layer_norm(graph, &rows, &self.feature_norm);
        let rows = graph.reshape(&rows, &[-1, channels, steps]);
        let mixed = self.features.export(graph, &rows, [channels, steps]);
        graph.node("Add", &[&x, &mixed], &[])
    }

    /// `[B, C, L]` both
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [windows, channels, steps] = x.dims();
        let rows = normalise(&self.time_norm, x.clone()).reshape([windows * channels, steps]);
        let x = x + self.time.forward(rows).reshape([windows, channels, steps]);
        x.clone() + self.features.forward(normalise(&self.feature_norm, x))
    }
}

/// Over steps and channels of each window.
fn normalise(norm: &nn::LayerNorm, x: Tensor<3>) -> Tensor<3> {
    let shape = x.dims();
    norm.forward(x.reshape([shape[0], shape[1] * shape[2]])).reshape(shape)
}

impl FeatureMixing {
    fn new([inputs, hidden, outputs]: [usize; 3], config: &ForecasterConfig, device: &Device) -> Self {
        Self {
            hidden: Block::new([inputs, hidden], Norm::None, Some(config.activation), config.dropout, device),
            output: Block::new([hidden, outputs], Norm::None, None, config.dropout, device),
        }
    }

    /// Step by step: `[B, N, steps] -> [B, M, steps]`
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [windows, channels, steps] = x.dims();
        let rows = x.swap_dims(1, 2).reshape([windows * steps, channels]);
        let out = self.output.forward(self.hidden.forward(rows));
        let outputs = out.dims()[1];
        out.reshape([windows, steps, outputs]).swap_dims(1, 2)
    }
}

impl FeatureMixing {
    /// [`FeatureMixing::forward`] as nodes. `[B, N, steps] -> [B, M, steps]`
    fn export(&self, graph: &mut Graph, x: &Value, [channels, steps]: [i64; 2]) -> Value {
        let rows = graph.transpose(x, &[0, 2, 1]);
        let rows = graph.reshape(&rows, &[-1, channels]);
        let out = self.hidden.export(graph, &rows);
        let out = self.output.export(graph, &out);
        let outputs = self.output.linear.weight.val().dims()[1] as i64;
        let out = graph.reshape(&out, &[-1, steps, outputs]);
        graph.transpose(&out, &[0, 2, 1])
    }
}

pub(super) fn summarize(config: &ForecasterConfig, shape: &ForecastShape) -> Vec<Layer> {
    let (lookback, channels) = (shape.lookback, channels(shape));
    let after = format!("{:?} + Dropout({})", config.activation, config.dropout);
    let norm = |name: String| Layer {
        name,
        kind: "LayerNorm".to_owned(),
        output: format!("[batch, {channels}, {lookback}]"),
        parameters: 2 * channels * lookback,
        flops: 0,
    };
    let mut layers = Vec::new();
    for index in 0..config.blocks {
        let name = format!("blocks.{index}");
        layers.push(norm(format!("{name}.time_norm")));
        let time = summarize_block(&format!("{name}.time"), [lookback, lookback], Norm::None, after.clone());
        layers.extend(for_each(&[channels], time));
        layers.push(norm(format!("{name}.feature_norm")));
        let widths = [channels, config.feed_forward_size, channels];
        layers.extend(for_each(&[lookback], summarize_mixing(&format!("{name}.features"), widths, config)));
    }
    let projection = summarize_linear("projection".to_owned(), lookback, config.n_quantiles() * shape.horizon);
    layers.extend(for_each(&[shape.n_targets], [projection]));
    if let Some(widths) = future_widths(config, shape) {
        layers.extend(for_each(&[shape.horizon], summarize_mixing("future", widths, config)));
    }
    layers
}

fn summarize_mixing(name: &str, [inputs, hidden, outputs]: [usize; 3], config: &ForecasterConfig) -> Vec<Layer> {
    let dropout = format!("Dropout({})", config.dropout);
    let after = format!("{:?} + {dropout}", config.activation);
    let mut layers = summarize_block(&format!("{name}.hidden"), [inputs, hidden], Norm::None, after);
    layers.extend(summarize_block(&format!("{name}.output"), [hidden, outputs], Norm::None, dropout));
    layers
}
