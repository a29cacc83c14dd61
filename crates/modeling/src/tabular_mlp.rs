//! A multi-layer perceptron for rows of a table.
//!
//! Categories go through one embedding each and are laid beside the numbers; then blocks of
//! `linear -> norm -> activation -> dropout`, then one linear head. With no hidden layers it is a linear model.

use burn::module::Module;
use burn::nn;
use burn::tensor::{Device, Int, Tensor, activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
}

impl Default for TabularMlpConfig {
    fn default() -> Self {
        Self {
            hidden_dims: vec![256, 256],
            activation: Activation::Relu,
            norm: Norm::None,
            dropout: 0.1,
            embedding_dim: None,
        }
    }
}

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
    fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Relu => activation::relu(x),
            Self::Gelu => activation::gelu(x),
            Self::Silu => activation::silu(x),
            Self::Tanh => activation::tanh(x),
            Self::LeakyRelu => activation::leaky_relu(x, 0.01),
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

/// What the data set feeds into the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// Columns of the numeric matrix.
    pub n_numeric: usize,
    /// Number of levels of each embedded category, the slot for unknown levels included.
    pub cardinalities: Vec<usize>,
}

/// The network; made by [`TabularMlpConfig::init`].
#[derive(Module, Debug)]
pub struct TabularMlp {
    embeddings: Vec<nn::Embedding>,
    blocks: Vec<Block>,
    head: nn::Linear,
}

/// One hidden layer: `linear -> norm -> activation -> dropout`.
#[derive(Module, Debug)]
struct Block {
    linear: nn::Linear,
    batch_norm: Option<nn::BatchNorm>,
    layer_norm: Option<nn::LayerNorm>,
    #[module(skip)]
    activation: Activation,
    dropout: nn::Dropout,
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
            blocks.push(Block {
                linear: nn::LinearConfig::new(width, hidden).init(device),
                batch_norm: (self.norm == Norm::Batch).then(|| nn::BatchNormConfig::new(hidden).init(device)),
                layer_norm: (self.norm == Norm::Layer).then(|| nn::LayerNormConfig::new(hidden).init(device)),
                activation: self.activation,
                dropout: nn::DropoutConfig::new(self.dropout).init(),
            });
            width = hidden;
        }
        TabularMlp { embeddings, blocks, head: nn::LinearConfig::new(width, n_outputs).init(device) }
    }

    /// Width of the first layer's input: numbers plus all embeddings.
    fn input_width(&self, inputs: &Inputs) -> usize {
        inputs.n_numeric + inputs.cardinalities.iter().map(|&levels| self.embedding_width(levels)).sum::<usize>()
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
        let mut parts = vec![numeric];
        for (column, embedding) in self.embeddings.iter().enumerate() {
            // [batch, 1] -> [batch, 1, width] -> [batch, width]
            let levels = categorical.clone().slice([0..categorical.dims()[0], column..column + 1]);
            parts.push(embedding.forward(levels).squeeze_dim(1));
        }
        let mut x = if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(parts, 1) };
        for block in &self.blocks {
            x = block.forward(x);
        }
        self.head.forward(x)
    }
}

impl Block {
    /// `[batch, inputs] -> [batch, hidden]`
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let mut x = self.linear.forward(x);
        if let Some(norm) = &self.batch_norm {
            x = norm.forward(x);
        }
        if let Some(norm) = &self.layer_norm {
            x = norm.forward(x);
        }
        self.dropout.forward(self.activation.apply(x))
    }
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
}

/// Lists the layers that [`TabularMlpConfig::init`] makes.
pub fn summarize(config: &TabularMlpConfig, inputs: &Inputs, n_outputs: usize) -> Vec<Layer> {
    let mut layers = Vec::new();
    for (index, &levels) in inputs.cardinalities.iter().enumerate() {
        let width = config.embedding_width(levels);
        layers.push(Layer {
            name: format!("embeddings.{index}"),
            kind: format!("Embedding({levels} levels)"),
            output: format!("[batch, {width}]"),
            parameters: levels * width,
        });
    }
    let mut width = config.input_width(inputs);
    for (index, &hidden) in config.hidden_dims.iter().enumerate() {
        let mut push = |part: &str, kind: String, parameters| {
            layers.push(Layer {
                name: format!("blocks.{index}{part}"),
                kind,
                output: format!("[batch, {hidden}]"),
                parameters,
            });
        };
        push(".linear", format!("Linear({width} -> {hidden})"), (width + 1) * hidden);
        match config.norm {
            Norm::None => {}
            Norm::Batch => push(".batch_norm", "BatchNorm".to_owned(), 2 * hidden),
            Norm::Layer => push(".layer_norm", "LayerNorm".to_owned(), 2 * hidden),
        }
        push("", format!("{:?} + Dropout({})", config.activation, config.dropout), 0);
        width = hidden;
    }
    layers.push(Layer {
        name: "head".to_owned(),
        kind: format!("Linear({width} -> {n_outputs})"),
        output: format!("[batch, {n_outputs}]"),
        parameters: (width + 1) * n_outputs,
    });
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        Device::flex()
    }

    fn inputs() -> Inputs {
        Inputs { n_numeric: 3, cardinalities: vec![4, 120] }
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
            let out = activation.apply(Tensor::<1>::from_floats(x, &device())).into_data();
            for (found, wanted) in out.as_slice::<f32>().unwrap().iter().zip(values) {
                assert!((found - wanted).abs() < 1e-6, "{activation:?}: {found} != {wanted}");
            }
        }
    }

    #[test]
    fn out_of_range_values_are_named() {
        let bad = TabularMlpConfig { dropout: 1.0, ..Default::default() };
        assert_eq!(bad.check().unwrap_err().0, "dropout");
        let bad = TabularMlpConfig { hidden_dims: vec![8, 0], ..Default::default() };
        assert_eq!(bad.check().unwrap_err().0, "hidden_dims");
        assert_eq!(TabularMlpConfig::default().check(), Ok(()));
    }
}
