//! Hidden layers on the look-back, covariates beside it.
//!
//! The first layer sees the (normalised) past of the target and, flattened behind it, the past covariates over the
//! look-back and the known covariates over the horizon (with `covariate_lookback` over both).

use burn::module::Module;
use burn::nn;
use burn::tensor::{Device, Tensor};

use super::instance_norm::Past;
use super::{ForecastBatch, ForecastInputs, ForecastShape, ForecasterConfig, export_repeated, for_each};
use crate::fused;
use crate::layers::{Block, Layer, summarize_block, summarize_linear};
use crate::onnx::{self, Graph, Value};

#[derive(Module, Debug)]
pub(crate) struct MlpNet {
    blocks: Vec<Block>,
    head: nn::Linear,
    /// From the covariates to what the first layer adds: with the layer's own weights one matrix for past and
    /// covariates side by side, but multiplied once for all targets of a window.
    covariates: Option<nn::Linear>,
    skip: Option<nn::Linear>,
    #[module(skip)]
    mix_channels: bool,
    #[module(skip)]
    covariate_lookback: bool,
}

/// Widths of the past, of the covariates beside it, and of the outputs.
fn widths(config: &ForecasterConfig, shape: &ForecastShape) -> [usize; 3] {
    let channels = if config.mixes_channels() { shape.n_targets } else { 1 };
    let known_steps = shape.horizon + if config.covariate_lookback { shape.lookback } else { 0 };
    let covariates = shape.n_past * shape.lookback + shape.n_future * known_steps;
    [channels * shape.lookback, covariates, channels * shape.horizon * config.n_quantiles()]
}

impl MlpNet {
    pub fn new(config: &ForecasterConfig, shape: &ForecastShape, device: &Device) -> Self {
        let [past, covariates, outputs] = widths(config, shape);
        let mut width = past;
        let mut blocks = Vec::new();
        for &hidden in &config.hidden_dims {
            blocks.push(Block::new([width, hidden], config.norm, Some(config.activation), config.dropout, device));
            width = hidden;
        }
        let mut head = nn::LinearConfig::new(width, outputs).init(device);
        let first = blocks.first_mut().map_or(&mut head, |block| &mut block.linear);
        let covariates = (covariates > 0).then(|| {
            // All weights of one layer have one bound.
            let bound = 1.0 / ((past + covariates) as f64).sqrt();
            let part = |inputs, has_bias| {
                let config = nn::LinearConfig::new(inputs, first_width(config, outputs)).with_bias(has_bias);
                config.with_initializer(nn::Initializer::Uniform { min: -bound, max: bound }).init(device)
            };
            *first = part(past, true);
            part(covariates, false)
        });
        Self {
            blocks,
            head,
            covariates,
            skip: config.skip_connection.then(|| nn::LinearConfig::new(past, outputs).init(device)),
            mix_channels: config.mixes_channels(),
            covariate_lookback: config.covariate_lookback,
        }
    }

    /// `[B * T, L] -> [B * T, Q * H]`
    pub fn forward(&self, past: Past, batch: &ForecastBatch) -> Tensor<2> {
        let [windows, targets, _] = batch.past.dims();
        let past = if self.mix_channels { past.side_by_side(targets) } else { past };
        let covariates = self.covariates.as_ref().map(|linear| linear.forward(self.covariates_of(batch)));
        let mut out = match self.blocks.split_first() {
            None => past.clone().through(&self.head, covariates),
            Some((first, others)) => {
                let x = past.clone().through_block(first, covariates);
                fused::linear(others.iter().fold(x, |x, block| block.forward(x)), &self.head)
            }
        };
        if let Some(skip) = &self.skip {
            out = out + past.through(skip, None);
        }
        out.reshape([(windows * targets) as i64, -1])
    }

    /// Covariates of a window in one row, `[B, N]`.
    fn covariates_of(&self, batch: &ForecastBatch) -> Tensor<2> {
        let [windows, _, lookback] = batch.past.dims();
        let [_, n_future, steps] = batch.future_covariates.dims();
        let mut parts: Vec<Tensor<2>> = Vec::new();
        if batch.past_covariates.dims()[1] > 0 {
            parts.push(batch.past_covariates.clone().reshape([windows as i64, -1]));
        }
        if n_future > 0 {
            let from = if self.covariate_lookback { 0 } else { lookback };
            let known = batch.future_covariates.clone().slice([0..windows, 0..n_future, from..steps]);
            parts.push(known.reshape([windows as i64, -1]));
        }
        if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(parts, 1) }
    }
}

impl MlpNet {
    /// [`MlpNet::forward`] as nodes. -> `[B * T, Q * H]`
    pub fn export(&self, graph: &mut Graph, shape: &ForecastShape, inputs: &ForecastInputs) -> Value {
        let (channels, rows) = if self.mix_channels { (shape.n_targets, 1) } else { (1, shape.n_targets) };
        let past = graph.reshape(&inputs.past, &[-1, (channels * shape.lookback) as i64]);
        let covariates = self.covariates.as_ref().map(|linear| {
            let covariates = self.export_covariates(graph, shape, inputs);
            let out = onnx::layers::linear(graph, &covariates, linear);
            export_repeated(graph, &out, linear.weight.val().dims()[1], rows)
        });
        let first = self.blocks.first().map_or(&self.head, |block| &block.linear);
        let mut out = onnx::layers::linear(graph, &past, first);
        if let Some(covariates) = covariates {
            out = graph.node("Add", &[&out, &covariates], &[]);
        }
        if let Some((first, others)) = self.blocks.split_first() {
            out = first.export_after_linear(graph, out);
            out = others.iter().fold(out, |x, block| block.export(graph, &x));
            out = onnx::layers::linear(graph, &out, &self.head);
        }
        if let Some(skip) = &self.skip {
            let skipped = onnx::layers::linear(graph, &past, skip);
            out = graph.node("Add", &[&out, &skipped], &[]);
        }
        graph.reshape(&out, &[-1, (self.head.weight.val().dims()[1] / channels) as i64])
    }

    /// [`MlpNet::covariates_of`] as nodes, `[B, N]`.
    fn export_covariates(&self, graph: &mut Graph, shape: &ForecastShape, inputs: &ForecastInputs) -> Value {
        let (lookback, horizon) = (shape.lookback, shape.horizon);
        let mut parts = Vec::new();
        if let Some(past) = &inputs.past_covariates {
            parts.push(graph.reshape(past, &[-1, (shape.n_past * lookback) as i64]));
        }
        if let Some(future) = &inputs.future_covariates {
            let from = if self.covariate_lookback { 0 } else { lookback };
            let known = graph.slice(future, 2, from as i64, i64::MAX);
            parts.push(graph.reshape(&known, &[-1, (shape.n_future * (lookback + horizon - from)) as i64]));
        }
        graph.concat(&parts, 1)
    }
}

/// Outputs of the first layer.
fn first_width(config: &ForecasterConfig, outputs: usize) -> usize {
    config.hidden_dims.first().copied().unwrap_or(outputs)
}

pub(super) fn summarize(config: &ForecasterConfig, shape: &ForecastShape) -> Vec<Layer> {
    let [past, covariates, outputs] = widths(config, shape);
    let mut width = past;
    let mut layers = Vec::new();
    for (index, &hidden) in config.hidden_dims.iter().enumerate() {
        let after = format!("{:?} + Dropout({})", config.activation, config.dropout);
        layers.extend(summarize_block(&format!("blocks.{index}"), [width, hidden], config.norm, after));
        width = hidden;
    }
    layers.push(summarize_linear("head".to_owned(), width, outputs));
    if config.skip_connection {
        layers.push(summarize_linear("skip".to_owned(), past, outputs));
    }
    if !config.mixes_channels() {
        layers = for_each(&[shape.n_targets], layers);
    }
    if covariates > 0 {
        let first = first_width(config, outputs);
        let parameters = covariates * first;
        layers.insert(0, Layer { parameters, ..summarize_linear("covariates".to_owned(), covariates, first) });
    }
    layers
}
