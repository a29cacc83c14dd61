//! Hidden layers on the look-back, covariates beside it.
//!
//! The first layer sees the (normalised) past of the target and, flattened behind it, the past covariates over the look-back
//! and the known covariates over the horizon (with `covariate_lookback` over both).

use burn::module::Module;
use burn::nn;
use burn::tensor::{Device, Tensor};

use super::{ForecastBatch, ForecastShape, ForecasterConfig, for_each, repeat_for_targets};
use crate::fused;
use crate::layers::{Block, Layer, summarize_block, summarize_linear};

#[derive(Module, Debug)]
pub(crate) struct MlpNet {
    blocks: Vec<Block>,
    head: nn::Linear,
    skip: Option<nn::Linear>,
    #[module(skip)]
    mix_channels: bool,
    #[module(skip)]
    covariate_lookback: bool,
}

/// The widths of the past, of the covariates beside it, and of the outputs.
fn widths(config: &ForecasterConfig, shape: &ForecastShape) -> [usize; 3] {
    let channels = if config.mixes_channels() { shape.n_targets } else { 1 };
    let known_steps = shape.horizon + if config.covariate_lookback { shape.lookback } else { 0 };
    let covariates = shape.n_past * shape.lookback + shape.n_future * known_steps;
    [channels * shape.lookback, covariates, channels * shape.horizon * config.n_quantiles()]
}

impl MlpNet {
    pub fn new(config: &ForecasterConfig, shape: &ForecastShape, device: &Device) -> Self {
        let [past, covariates, outputs] = widths(config, shape);
        let mut width = past + covariates;
        let mut blocks = Vec::new();
        for &hidden in &config.hidden_dims {
            blocks.push(Block::new([width, hidden], config.norm, Some(config.activation), config.dropout, device));
            width = hidden;
        }
        Self {
            blocks,
            head: nn::LinearConfig::new(width, outputs).init(device),
            skip: config.skip_connection.then(|| nn::LinearConfig::new(past, outputs).init(device)),
            mix_channels: config.mixes_channels(),
            covariate_lookback: config.covariate_lookback,
        }
    }

    /// `[B * T, L] -> [B * T, Q * H]`
    pub fn forward(&self, past: Tensor<2>, batch: &ForecastBatch) -> Tensor<2> {
        let ([rows, lookback], targets) = (past.dims(), batch.past.dims()[1]);
        let rows_of_window = if self.mix_channels { 1 } else { targets };
        let past = if self.mix_channels { past.reshape([rows / targets, targets * lookback]) } else { past };
        let mut x = match self.covariates(batch) {
            None => past.clone(),
            Some(covariates) => Tensor::cat(vec![past.clone(), repeat_for_targets(covariates, rows_of_window)], 1),
        };
        for block in &self.blocks {
            x = block.forward(x);
        }
        let mut out = fused::linear(x, &self.head);
        if let Some(skip) = &self.skip {
            out = out + fused::linear(past, skip);
        }
        out.reshape([rows as i64, -1])
    }

    /// Covariates of a window in one row, `[B, N]`; `None` without any.
    fn covariates(&self, batch: &ForecastBatch) -> Option<Tensor<2>> {
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
        if parts.len() > 1 { Some(Tensor::cat(parts, 1)) } else { parts.pop() }
    }
}

pub(super) fn summarize(config: &ForecasterConfig, shape: &ForecastShape) -> Vec<Layer> {
    let [past, covariates, outputs] = widths(config, shape);
    let mut width = past + covariates;
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
    if config.mixes_channels() { layers } else { for_each(&[shape.n_targets], layers) }
}
