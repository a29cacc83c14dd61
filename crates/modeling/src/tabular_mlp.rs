//! A multi-layer perceptron for rows of a table.
//!
//! Categories go through one embedding each and are laid beside the numbers (which may go through a periodic embedding);
//! then blocks of `linear -> norm -> activation -> dropout`, then one linear head. With no hidden layers it is a linear model.

use burn::module::Module;
use burn::nn;
use burn::tensor::{Device, Int, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fused;
use crate::layers::{Activation, Block, Layer, Norm, summarize_block, summarize_linear};
use crate::onnx::{self, Attribute, Graph, Value};
use crate::periodic::Periodic;

/// The shape of the network. Facts of the data (numbers of inputs and outputs) come from the data, not from here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TabularMlpConfig {
    /// Width of each hidden layer; empty for a linear model.
    pub hidden_dims: Vec<usize>,
    /// Non-linearity after each hidden layer.
    pub activation: Activation,
    /// Normalisation before each activation.
    pub norm: Norm,
    /// Share of hidden units set to zero while training, 0 <= dropout < 1.
    pub dropout: f64,
    /// Width of each category embedding; null for `min(50, (levels + 1) / 2)`. Used with `features.categorical: embedding`.
    pub embedding_dim: Option<usize>,
    /// Add its input to the result of every hidden layer that is as wide as its input; helps from four layers on.
    pub residual: bool,
    /// How real numbers enter the network; 0/1 columns always enter as they are.
    pub numeric_embedding: NumericEmbedding,
    /// Frequencies per number. Used with `numeric_embedding: periodic`.
    pub numeric_embedding_frequencies: usize,
    /// Standard deviation of the initial frequencies, in turns per unit of the scaled number; the setting that matters
    /// most, try 0.01 to 1. Used with `numeric_embedding: periodic`.
    pub numeric_embedding_sigma: f64,
    /// Width of each number's embedding. Used with `numeric_embedding: periodic`.
    pub numeric_embedding_dim: usize,
}

impl Default for TabularMlpConfig {
    fn default() -> Self {
        Self {
            hidden_dims: vec![256, 256],
            activation: Activation::Relu,
            norm: Norm::None,
            dropout: 0.1,
            embedding_dim: None,
            residual: false,
            numeric_embedding: NumericEmbedding::None,
            numeric_embedding_frequencies: 48,
            numeric_embedding_sigma: 0.1,
            numeric_embedding_dim: 16,
        }
    }
}

/// How real numbers enter the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NumericEmbedding {
    /// As they are.
    #[default]
    None,
    /// As sines and cosines of trained frequencies, then a linear layer with ReLU that all numbers share: PLR(lite) of
    /// Gorishniy et al. 2022, arXiv 2203.05556.
    Periodic,
}

/// What the data set feeds into the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// Columns of the numeric matrix.
    pub n_numeric: usize,
    /// How many of them, from the left, hold real numbers; the others hold 0 or 1 and are not embedded.
    #[serde(default)]
    pub n_real: usize,
    /// Number of levels of each embedded category, the slot for unknown levels included.
    pub cardinalities: Vec<usize>,
}

/// The network; made by [`TabularMlpConfig::init`].
#[derive(Module, Debug)]
pub struct TabularMlp {
    periodic: Option<Periodic>,
    embeddings: Vec<nn::Embedding>,
    blocks: Vec<Block>,
    head: nn::Linear,
}

impl TabularMlpConfig {
    /// Says what is wrong with the values, as `(key, reason)`.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if let Some(width) = self.hidden_dims.iter().find(|width| !(1..=65_536).contains(*width)) {
            return Err(("hidden_dims", format!("layer width `{width}` is not between 1 and 65536")));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(("dropout", format!("`{}` is not in 0 <= dropout < 1", self.dropout)));
        }
        if self.embedding_dim == Some(0) {
            return Err(("embedding_dim", "must be at least 1, or null for the rule".to_owned()));
        }
        let sizes = [
            ("numeric_embedding_frequencies", self.numeric_embedding_frequencies),
            ("numeric_embedding_dim", self.numeric_embedding_dim),
        ];
        if let Some((key, size)) = sizes.into_iter().find(|(_, size)| !(1..=4096).contains(size)) {
            return Err((key, format!("`{size}` is not between 1 and 4096")));
        }
        let sigma = self.numeric_embedding_sigma;
        if !(sigma > 0.0 && sigma <= 1000.0) {
            return Err(("numeric_embedding_sigma", format!("`{sigma}` is not above 0 and at most 1000")));
        }
        Ok(())
    }

    /// Makes a network with fresh weights: uniform in +-1/sqrt(fan_in), as PyTorch's `nn.Linear`; embeddings standard normal.
    pub fn init(&self, inputs: &Inputs, n_outputs: usize, device: &Device) -> TabularMlp {
        let embeddings = inputs
            .cardinalities
            .iter()
            .map(|&levels| init_embedding(levels, self.embedding_width(levels), device))
            .collect();
        let mut width = self.input_width(inputs);
        let mut blocks = Vec::new();
        for &hidden in &self.hidden_dims {
            let block = Block::new([width, hidden], self.norm, Some(self.activation), self.dropout, device);
            blocks.push(if self.residual && width == hidden { block.with_skip() } else { block });
            width = hidden;
        }
        let (k, sigma, dim) =
            (self.numeric_embedding_frequencies, self.numeric_embedding_sigma, self.numeric_embedding_dim);
        let periodic = self.embeds_numbers(inputs).then(|| Periodic::new(inputs.n_real, k, sigma, dim, device));
        TabularMlp { periodic, embeddings, blocks, head: nn::LinearConfig::new(width, n_outputs).init(device) }
    }

    fn embeds_numbers(&self, inputs: &Inputs) -> bool {
        self.numeric_embedding == NumericEmbedding::Periodic && inputs.n_real > 0
    }

    /// Width of the first layer's input: numbers, or what they are embedded into, plus all categories' embeddings.
    fn input_width(&self, inputs: &Inputs) -> usize {
        let real = inputs.n_real * if self.embeds_numbers(inputs) { self.numeric_embedding_dim } else { 1 };
        let categories: usize = inputs.cardinalities.iter().map(|&levels| self.embedding_width(levels)).sum();
        real + (inputs.n_numeric - inputs.n_real) + categories
    }

    /// The rule of fastai for the width of an embedding, capped at 50.
    fn embedding_width(&self, levels: usize) -> usize {
        self.embedding_dim.unwrap_or(levels.div_ceil(2).clamp(1, 50))
    }
}

/// Index 0 stands for levels that no train row has, so it is never trained: it is the zero vector, not noise.
fn init_embedding(levels: usize, width: usize, device: &Device) -> nn::Embedding {
    let mut embedding = nn::EmbeddingConfig::new(levels, width).init(device);
    embedding.weight = embedding.weight.map(|weight| {
        let is_trained = weight.is_require_grad();
        weight.slice_fill(0..1, 0.0).detach().set_require_grad(is_trained)
    });
    embedding
}

impl TabularMlp {
    /// Raw outputs (logits, or the standardised target).
    ///
    /// `numeric` `[batch, n_numeric]`, `categorical` `[batch, n_categorical]` -> `[batch, n_outputs]`
    pub fn forward(&self, numeric: Tensor<2>, categorical: Tensor<2, Int>) -> Tensor<2> {
        let mut parts = match &self.periodic {
            None => vec![numeric],
            Some(periodic) => {
                let [rows, columns] = numeric.dims();
                let (real, n_real) = (numeric.clone().slice([0..rows, 0..periodic.n_numbers()]), periodic.n_numbers());
                let mut parts = vec![periodic.forward(real)];
                if columns > n_real {
                    parts.push(numeric.slice([0..rows, n_real..columns]));
                }
                parts
            }
        };
        for (column, embedding) in self.embeddings.iter().enumerate() {
            // [batch, 1] -> [batch, 1, width] -> [batch, width]
            let levels = categorical.clone().slice([0..categorical.dims()[0], column..column + 1]);
            parts.push(embedding.forward(levels).squeeze_dim(1));
        }
        let mut x = if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(parts, 1) };
        for block in &self.blocks {
            x = block.forward(x);
        }
        fused::linear(x, &self.head)
    }

    /// [`TabularMlp::forward`] as nodes, without dropout.
    ///
    /// `numeric` `[rows, n_numeric]` of floats and `categorical` `[rows, n_categorical]` of 64-bit integers, left out where
    /// there are none -> `[rows, n_outputs]`
    pub fn export(&self, graph: &mut Graph, numeric: Option<&Value>, categorical: Option<&Value>) -> Value {
        let mut parts = Vec::new();
        match (&self.periodic, numeric) {
            (Some(periodic), Some(numeric)) => {
                let n_real = periodic.n_numbers() as i64;
                let real = graph.slice(numeric, 1, 0, n_real);
                parts.push(periodic.export(graph, &real));
                if self.n_beside_real() > 0 {
                    parts.push(graph.slice(numeric, 1, n_real, i64::MAX));
                }
            }
            (_, numeric) => parts.extend(numeric.cloned()),
        }
        for (column, embedding) in self.embeddings.iter().enumerate() {
            let Some(categorical) = categorical else { break };
            let column = graph.ints(&[column as i64], &[]);
            let levels = graph.node("Gather", &[categorical, &column], &[("axis", Attribute::Int(1))]);
            let weight = onnx::layers::constant(graph, embedding.weight.val());
            parts.push(graph.node("Gather", &[&weight, &levels], &[]));
        }
        let x = graph.concat(&parts, 1);
        let x = self.blocks.iter().fold(x, |x, block| block.export(graph, &x));
        onnx::layers::linear(graph, &x, &self.head)
    }
}

impl TabularMlp {
    /// Columns of 0 and 1 beside embedded numbers.
    fn n_beside_real(&self) -> usize {
        let first = self.blocks.first().map_or(&self.head, |block| &block.linear);
        let embedded: usize = self.embeddings.iter().map(|embedding| embedding.weight.val().dims()[1]).sum();
        let periodic = self.periodic.as_ref().map_or(0, Periodic::n_outputs);
        first.weight.val().dims()[0] - embedded - periodic
    }
}

/// Lists the layers that [`TabularMlpConfig::init`] makes.
pub fn summarize(config: &TabularMlpConfig, inputs: &Inputs, n_outputs: usize) -> Vec<Layer> {
    let mut layers = Vec::new();
    if config.embeds_numbers(inputs) {
        layers.push(summarize_periodic(config, inputs.n_real));
    }
    for (index, &levels) in inputs.cardinalities.iter().enumerate() {
        let width = config.embedding_width(levels);
        layers.push(Layer {
            name: format!("embeddings.{index}"),
            kind: format!("Embedding({levels} levels)"),
            output: format!("[batch, {width}]"),
            parameters: levels * width,
            flops: 0,
        });
    }
    let mut width = config.input_width(inputs);
    for (index, &hidden) in config.hidden_dims.iter().enumerate() {
        let skip = if config.residual && width == hidden { " + skip" } else { "" };
        let after = format!("{:?} + Dropout({}){skip}", config.activation, config.dropout);
        layers.extend(summarize_block(&format!("blocks.{index}"), [width, hidden], config.norm, after));
        width = hidden;
    }
    layers.push(summarize_linear("head".to_owned(), width, n_outputs));
    layers
}

fn summarize_periodic(config: &TabularMlpConfig, n_real: usize) -> Layer {
    let (k, dim) = (config.numeric_embedding_frequencies, config.numeric_embedding_dim);
    Layer {
        name: "periodic".to_owned(),
        kind: format!("Periodic({n_real} numbers, {k} frequencies)"),
        output: format!("[batch, {}]", n_real * dim),
        parameters: n_real * k + (2 * k + 1) * dim,
        flops: n_real * 2 * (2 * k) * dim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weight_bytes;

    fn device() -> Device {
        Device::flex()
    }

    fn inputs() -> Inputs {
        Inputs { n_numeric: 3, n_real: 2, cardinalities: vec![4, 120] }
    }

    #[test]
    fn summary_counts_what_init_makes() {
        for norm in [Norm::None, Norm::Batch, Norm::Layer] {
            for hidden_dims in [vec![], vec![7], vec![16, 8, 4]] {
                let config = TabularMlpConfig { hidden_dims, norm, ..Default::default() };
                let model = config.init(&inputs(), 2, &device());
                let counted: usize = summarize(&config, &inputs(), 2).iter().map(|layer| layer.parameters).sum();
                // Batch norm's running mean and variance are counted by burn but not trained.
                let running = if norm == Norm::Batch { 2 * config.hidden_dims.iter().sum::<usize>() } else { 0 };
                assert_eq!(model.num_params(), counted + running, "{config:?}");
            }
        }
    }

    #[test]
    fn summary_counts_embedded_numbers_and_products() {
        let config = TabularMlpConfig {
            hidden_dims: vec![8, 8],
            residual: true,
            numeric_embedding: NumericEmbedding::Periodic,
            numeric_embedding_frequencies: 5,
            numeric_embedding_dim: 3,
            ..Default::default()
        };
        let layers = summarize(&config, &inputs(), 2);
        let model = config.init(&inputs(), 2, &device());
        assert_eq!(model.num_params(), layers.iter().map(|layer| layer.parameters).sum::<usize>());
        assert_eq!(weight_bytes(&layers), 4 * model.num_params());
        // Inputs: 2 numbers of width 3, one 0/1 column, categories of width 2 and 50. Products times two.
        let products = 2 * 10 * 3 + 59 * 8 + 8 * 8 + 8 * 2;
        assert_eq!(layers.iter().map(|layer| layer.flops).sum::<usize>(), 2 * products);
        let skips: Vec<bool> =
            layers.iter().filter(|l| l.kind.contains("Dropout")).map(|l| l.kind.contains("skip")).collect();
        assert_eq!(skips, [false, true], "only the second layer is as wide as its input");
    }

    #[test]
    fn residual_layers_add_their_input() {
        let plain = TabularMlpConfig { hidden_dims: vec![6, 6], activation: Activation::Tanh, ..Default::default() };
        let mut model = plain.init(&inputs(), 1, &device());
        let numeric = Tensor::<2>::ones([4, 3], &device());
        let categorical = Tensor::<2, Int>::ones([4, 2], &device());
        let before = model.forward(numeric.clone(), categorical.clone());
        model.blocks[1] = model.blocks[1].clone().with_skip();
        let after = model.forward(numeric.clone(), categorical.clone());
        // The head is linear: what the skip adds is the first hidden layer through the head, without its bias.
        let skipped = TabularMlp { blocks: vec![model.blocks[0].clone()], ..model.clone() };
        let bias = model.head.bias.as_ref().unwrap().val().reshape([1, 1]);
        let wanted = before + skipped.forward(numeric, categorical) - bias;
        let difference: f32 = (after - wanted).abs().max().into_scalar();
        assert!(difference < 1e-6, "{difference}");
    }

    #[test]
    fn columns_of_zeros_and_ones_pass_beside_the_periodic_embedding() {
        let config = TabularMlpConfig {
            hidden_dims: vec![],
            numeric_embedding: NumericEmbedding::Periodic,
            numeric_embedding_dim: 4,
            ..Default::default()
        };
        let inputs = Inputs { n_numeric: 3, n_real: 2, cardinalities: vec![] };
        let model = config.init(&inputs, 1, &device());
        assert_eq!(model.head.weight.val().dims(), [2 * 4 + 1, 1]);
        let output = |last: f32| -> f32 {
            let numeric = Tensor::<1>::from_floats([0.3, -0.2, last], &device()).reshape([1, 3]);
            model.forward(numeric, Tensor::<2, Int>::zeros([1, 0], &device())).into_scalar()
        };
        let weight: Vec<f32> = model.head.weight.val().into_data().iter().collect();
        assert!((output(1.0) - output(0.0) - weight[8]).abs() < 1e-6);
    }

    #[test]
    fn forward_gives_one_row_per_sample() {
        let model = TabularMlpConfig::default().init(&inputs(), 5, &device());
        let numeric = Tensor::<2>::zeros([6, 3], &device());
        let categorical = Tensor::<2, Int>::zeros([6, 2], &device());
        assert_eq!(model.forward(numeric, categorical).dims(), [6, 5]);
    }

    #[test]
    fn an_unknown_level_adds_nothing() {
        let config = TabularMlpConfig { hidden_dims: vec![], ..Default::default() };
        let model = config.init(&inputs(), 1, &device());
        let output = |levels: [i32; 2]| -> f32 {
            let levels = Tensor::<1, Int>::from_ints(levels, &device()).reshape([1, 2]);
            model.forward(Tensor::zeros([1, 3], &device()), levels).into_scalar()
        };
        let bias = model.head.bias.as_ref().unwrap().val().into_scalar::<f32>();
        assert_eq!(output([0, 0]), bias);
        assert_ne!(output([1, 0]), bias);
    }

    #[test]
    fn out_of_range_values_are_named() {
        let bad = TabularMlpConfig { dropout: 1.0, ..Default::default() };
        assert_eq!(bad.check().unwrap_err().0, "dropout");
        let bad = TabularMlpConfig { numeric_embedding_sigma: 0.0, ..Default::default() };
        assert_eq!(bad.check().unwrap_err().0, "numeric_embedding_sigma");
        let bad = TabularMlpConfig { numeric_embedding_dim: 0, ..Default::default() };
        assert_eq!(bad.check().unwrap_err().0, "numeric_embedding_dim");
        let bad = TabularMlpConfig { hidden_dims: vec![8, 0], ..Default::default() };
        assert_eq!(bad.check().unwrap_err().0, "hidden_dims");
        assert_eq!(TabularMlpConfig::default().check(), Ok(()));
    }
}
