//! TiDE: a residual MLP encoder and decoder with covariates (Das et al. 2023, arXiv 2304.08424), one target at a time.
//!
//! The covariates of each step are projected to a few numbers; past and projections, flattened, go through the encoder
//! and the decoder, which gives a vector for each step of the horizon; with that step's projected covariates beside it
//! the temporal decoder makes the forecast of the step. A linear map from look-back to horizon is added.
//!
//! As in the paper: layer norm ends each block. Other than there: the temporal decoder's block has none (it has one
//! output, of which a layer norm would leave nothing), and past covariates, which the paper has not, have a projection
//! of their own.

use burn::module::Module;
use burn::nn;
use burn::tensor::{Device, Tensor};

use super::{
    ForecastBatch, ForecastInputs, ForecastShape, ForecasterConfig, export_repeated, for_each, repeat_for_targets,
};
use crate::fused;
use crate::layers::{Activation, Block, Layer, Norm, layer_norm_config, summarize_block, summarize_linear};
use crate::onnx::{self, Graph, Value};

#[derive(Module, Debug)]
pub(crate) struct TideNet {
    past_projection: Option<ResidualBlock>,
    future_projection: Option<ResidualBlock>,
    encoder: Vec<ResidualBlock>,
    decoder: Vec<ResidualBlock>,
    temporal_decoder: ResidualBlock,
    skip: nn::Linear,
}

/// `norm(dropout(linear(activation(linear(x)))) + linear(x))`
#[derive(Module, Debug)]
struct ResidualBlock {
    hidden: Block,
    output: Block,
    skip: nn::Linear,
    layer_norm: Option<nn::LayerNorm>,
}

/// Input, hidden and output width of a block, and whether it ends in a layer norm.
type BlockSizes = ([usize; 3], bool);

/// All blocks in the order in which they work, by name.
struct Sizes {
    past_projection: Option<BlockSizes>,
    future_projection: Option<BlockSizes>,
    encoder: Vec<BlockSizes>,
    decoder: Vec<BlockSizes>,
    temporal_decoder: BlockSizes,
    skip: [usize; 2],
}

impl Sizes {
    fn new(config: &ForecasterConfig, shape: &ForecastShape) -> Self {
        let (hidden, step_hidden, projected) = (config.hidden_size, config.temporal_hidden, config.covariate_size);
        let projection = |n| (n > 0).then_some(([n, step_hidden, projected], true));
        let past_width = if shape.n_past > 0 { projected * shape.lookback } else { 0 };
        let future_width = if shape.n_future > 0 { projected } else { 0 };
        let width = shape.lookback + past_width + future_width * (shape.lookback + shape.horizon);
        let mut encoder = vec![([hidden; 3], true); config.encoder_layers];
        encoder[0].0[0] = width;
        let mut decoder = vec![([hidden; 3], true); config.decoder_layers];
        decoder[config.decoder_layers - 1].0[2] = config.decoder_size * shape.horizon;
        let outputs = config.n_quantiles();
        Self {
            past_projection: projection(shape.n_past),
            future_projection: projection(shape.n_future),
            encoder,
            decoder,
            temporal_decoder: ([config.decoder_size + future_width, step_hidden, outputs], false),
            skip: [shape.lookback, outputs * shape.horizon],
        }
    }
}

impl TideNet {
    pub fn new(config: &ForecasterConfig, shape: &ForecastShape, device: &Device) -> Self {
        let sizes = Sizes::new(config, shape);
        let block = |sizes| ResidualBlock::new(sizes, config.activation, config.dropout, device);
        Self {
            past_projection: sizes.past_projection.map(block),
            future_projection: sizes.future_projection.map(block),
            encoder: sizes.encoder.into_iter().map(block).collect(),
            decoder: sizes.decoder.into_iter().map(block).collect(),
            temporal_decoder: block(sizes.temporal_decoder),
            skip: nn::LinearConfig::new(sizes.skip[0], sizes.skip[1]).init(device),
        }
    }

    /// `[B * T, L] -> [B * T, Q * H]`
    pub fn forward(&self, past: Tensor<2>, batch: &ForecastBatch) -> Tensor<2> {
        let [windows, targets, lookback] = batch.past.dims();
        let rows = windows * targets;
        let past_steps = self.past_projection.as_ref().map(|block| project(block, &batch.past_covariates));
        let known_steps = self.future_projection.as_ref().map(|block| project(block, &batch.future_covariates));
        let covariates = [&past_steps, &known_steps].into_iter().flatten();
        let covariates =
            covariates.map(|steps| repeat_for_targets(steps.clone().reshape([windows as i64, -1]), targets));
        let mut x: Vec<Tensor<2>> = std::iter::once(past.clone()).chain(covariates).collect();
        let mut x = if x.len() == 1 { x.swap_remove(0) } else { Tensor::cat(x, 1) };
        for block in self.encoder.iter().chain(&self.decoder) {
            x = block.forward(x);
        }
        let horizon = batch.future_covariates.dims()[2] - lookback;
        // [B * T, H * size] -> [B * T * H, size]
        let mut steps = x.reshape([(rows * horizon) as i64, -1]);
        if let Some(known) = known_steps {
            let [_, all, size] = known.dims();
            let known = known.slice([0..windows, lookback..all, 0..size]).reshape([windows, horizon * size]);
            steps = Tensor::cat(vec![steps, repeat_for_targets(known, targets).reshape([rows * horizon, size])], 1);
        }
        let out = self.temporal_decoder.forward(steps);
        let quantiles = out.dims()[1];
        // [B * T * H, Q] -> [B * T, Q * H]
        let out = out.reshape([rows, horizon, quantiles]).swap_dims(1, 2).reshape([rows, quantiles * horizon]);
        out + fused::linear(past, &self.skip)
    }
}

impl TideNet {
    /// [`TideNet::forward`] as nodes. -> `[B * T, Q * H]`
    pub fn export(&self, graph: &mut Graph, shape: &ForecastShape, inputs: &ForecastInputs) -> Value {
        let (targets, lookback, horizon) = (shape.n_targets, shape.lookback, shape.horizon);
        let past = graph.reshape(&inputs.past, &[-1, lookback as i64]);
        let mut parts = vec![past.clone()];
        if let (Some(block), Some(covariates)) = (&self.past_projection, &inputs.past_covariates) {
            let steps = block.export_projection(graph, covariates, shape.n_past, lookback);
            parts.push(export_repeated(graph, &steps, lookback * block.n_outputs(), targets));
        }
        let mut known = None;
        if let (Some(block), Some(covariates)) = (&self.future_projection, &inputs.future_covariates) {
            let steps = block.export_projection(graph, covariates, shape.n_future, lookback + horizon);
            let size = block.n_outputs();
            parts.push(export_repeated(graph, &steps, (lookback + horizon) * size, targets));
            known = Some((graph.slice(&steps, 1, (lookback * size) as i64, i64::MAX), size));
        }
        let x = graph.concat(&parts, 1);
        let x = self.encoder.iter().chain(&self.decoder).fold(x, |x, block| block.export(graph, &x));
        let decoded = self.decoder.last().map_or(0, ResidualBlock::n_outputs) / horizon;
        // [B * T, H * size] -> [B * T * H, size]
        let mut steps = graph.reshape(&x, &[-1, decoded as i64]);
        if let Some((known, size)) = known {
            let known = export_repeated(graph, &known, horizon * size, targets);
            let known = graph.reshape(&known, &[-1, size as i64]);
            steps = graph.concat(&[steps, known], 1);
        }
        let out = self.temporal_decoder.export(graph, &steps);
        let quantiles = self.temporal_decoder.n_outputs();
        // [B * T * H, Q] -> [B * T, Q * H]
        let out = graph.reshape(&out, &[-1, horizon as i64, quantiles as i64]);
        let out = graph.transpose(&out, &[0, 2, 1]);
        let out = graph.reshape(&out, &[-1, (quantiles * horizon) as i64]);
        let skip = onnx::layers::linear(graph, &past, &self.skip);
        graph.node("Add", &[&out, &skip], &[])
    }
}

/// Step by step: `[B, N, steps] -> [B, steps, size]`
fn project(block: &ResidualBlock, covariates: &Tensor<3>) -> Tensor<3> {
    let [windows, n, steps] = covariates.dims();
    let out = block.forward(covariates.clone().swap_dims(1, 2).reshape([windows * steps, n]));
    let size = out.dims()[1];
    out.reshape([windows, steps, size])
}

impl ResidualBlock {
    fn new(
        ([inputs, hidden, outputs], has_norm): BlockSizes,
        activation: Activation,
        dropout: f64,
        device: &Device,
    ) -> Self {
        Self {
            hidden: Block::new([inputs, hidden], Norm::None, Some(activation), 0.0, device),
            output: Block::new([hidden, outputs], Norm::None, None, dropout, device),
            skip: nn::LinearConfig::new(inputs, outputs).init(device),
            layer_norm: has_norm.then(|| layer_norm_config(outputs).init(device)),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let out = self.output.forward(self.hidden.forward(x.clone())) + fused::linear(x, &self.skip);
        self.layer_norm.as_ref().map_or(out.clone(), |norm| norm.forward(out))
    }

    fn n_outputs(&self) -> usize {
        self.skip.weight.val().dims()[1]
    }

    /// [`ResidualBlock::forward`] as nodes.
    fn export(&self, graph: &mut Graph, x: &Value) -> Value {
        let out = self.hidden.export(graph, x);
        let out = self.output.export(graph, &out);
        let skip = onnx::layers::linear(graph, x, &self.skip);
        let out = graph.node("Add", &[&out, &skip], &[]);
        self.layer_norm.as_ref().map_or(out.clone(), |norm| onnx::layers::layer_norm(graph, &out, norm))
    }

    /// [`project`] as nodes, flat. `[B, N, steps] -> [B, steps * size]`
    fn export_projection(&self, graph: &mut Graph, covariates: &Value, n: usize, steps: usize) -> Value {
        let by_step = graph.transpose(covariates, &[0, 2, 1]);
        let rows = graph.reshape(&by_step, &[-1, n as i64]);
        let out = self.export(graph, &rows);
        graph.reshape(&out, &[-1, (steps * self.n_outputs()) as i64])
    }
}

pub(super) fn summarize(config: &ForecasterConfig, shape: &ForecastShape) -> Vec<Layer> {
    let sizes = Sizes::new(config, shape);
    let block = |name: &str, sizes| summarize_residual(name, sizes, config);
    let (targets, steps) = (shape.n_targets, shape.lookback + shape.horizon);
    let mut layers = Vec::new();
    if let Some(sizes) = sizes.past_projection {
        layers.extend(for_each(&[shape.lookback], block("past_projection", sizes)));
    }
    if let Some(sizes) = sizes.future_projection {
        layers.extend(for_each(&[steps], block("future_projection", sizes)));
    }
    for (name, blocks) in [("encoder", sizes.encoder), ("decoder", sizes.decoder)] {
        for (index, sizes) in blocks.into_iter().enumerate() {
            layers.extend(for_each(&[targets], block(&format!("{name}.{index}"), sizes)));
        }
    }
    layers.extend(for_each(&[targets, shape.horizon], block("temporal_decoder", sizes.temporal_decoder)));
    let [inputs, outputs] = sizes.skip;
    layers.extend(for_each(&[targets], [summarize_linear("skip".to_owned(), inputs, outputs)]));
    layers
}

fn summarize_residual(name: &str, sizes: BlockSizes, config: &ForecasterConfig) -> Vec<Layer> {
    let ([inputs, hidden, outputs], has_norm) = sizes;
    let activation = format!("{:?}", config.activation);
    let mut layers = summarize_block(&format!("{name}.hidden"), [inputs, hidden], Norm::None, activation);
    let dropout = format!("Dropout({})", config.dropout);
    layers.extend(summarize_block(&format!("{name}.output"), [hidden, outputs], Norm::None, dropout));
    layers.push(summarize_linear(format!("{name}.skip"), inputs, outputs));
    if has_norm {
        layers.push(Layer {
            name: format!("{name}.layer_norm"),
            kind: "LayerNorm".to_owned(),
            output: format!("[batch, {outputs}]"),
            parameters: 2 * outputs,
            flops: 0,
        });
    }
    layers
}
