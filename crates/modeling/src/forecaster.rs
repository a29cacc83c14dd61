//! Forecasting networks: the linear family, an MLP, TiDE and TSMixer, one config for all.
//!
//! Every network maps windows of the past (and covariates) to all steps of the horizon at once. What they share stands
//! here: the settings, the instance norm around the network, and the order of the outputs. Each network is one file in
//! `forecaster/`; to add one, add a file, a [`ForecasterKind`] and its arms here.
//!
//! Channel-independent networks see one target at a time: a *row* is one target of one window, and its forecast is row
//! `window * targets + target` of the output. Past and output lie in memory so that no network has to move them.
//!
//! | kind | source | input of one forecast | instance norm by default |
//! |---|---|---|---|
//! | `linear`, `dlinear` | Zeng et al. 2023, arXiv 2205.13504 | past of the target | none |
//! | `nlinear` | Zeng et al. 2023 | past of the target | subtract last |
//! | `rlinear` | Li et al. 2023, arXiv 2305.10721 | past of the target | RevIN |
//! | `mlp` | | past of the target, covariates | RevIN |
//! | `tide` | Das et al. 2023, arXiv 2304.08424 | past of the target, covariates | RevIN |
//! | `tsmixer` | Chen et al. 2023, arXiv 2303.06053 | past of all targets, covariates | RevIN |

mod instance_norm;
mod linear;
mod loss;
mod mlp;
mod tide;
mod tsmixer;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::layers::{Activation, Layer, Norm};
use crate::onnx::{Graph, Value};
use instance_norm::{InstanceNormalization, Past};
use linear::LinearNet;
use mlp::MlpNet;
use tide::TideNet;
use tsmixer::TsmixerNet;

pub(crate) use instance_norm::{Affine, Centre, EPSILON, Taken};
pub(crate) use loss::ForecastLoss;
pub use loss::PointLoss;

/// More weights than this are refused: 4 GiB, and four times that while training.
const MAX_PARAMETERS: usize = 1 << 30;

/// The shape of the network. Facts of the data ([`ForecastShape`]) come from the data, not from here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ForecasterConfig {
    /// Which network. The linear kinds look at the past of the targets only, not at covariates.
    pub kind: ForecasterKind,
    /// What is taken out of each window's past and given back to its forecast.
    pub instance_norm: InstanceNorm,
    /// Let RevIN learn a factor and a shift for each target. Used with RevIN.
    pub revin_affine: bool,
    /// Width of each hidden layer; empty for a linear model. Used with `kind: mlp`.
    pub hidden_dims: Vec<usize>,
    /// Normalisation before each activation. Used with `kind: mlp`.
    pub norm: Norm,
    /// Add a direct linear map from the look-back to the horizon. Used with `kind: mlp`.
    pub skip_connection: bool,
    /// See the covariates known in the future over the look-back too, not only over the horizon. Used with `kind: mlp`.
    pub covariate_lookback: bool,
    /// Non-linearity of the hidden layers. Used with `kind: mlp | tide | tsmixer`.
    pub activation: Activation,
    /// Share of hidden units set to zero while training, 0 <= dropout < 1. Used with `kind: mlp | tide | tsmixer`.
    pub dropout: f64,
    /// The pasts of all targets side by side in, their futures out, in place of one target at a time. Used with
    /// `kind: mlp` and the linear kinds.
    pub mix_channels: bool,
    /// Weights of its own for each target. Used with the linear kinds.
    pub individual: bool,
    /// Steps of the moving average that is the trend; odd. Used with `kind: dlinear`.
    pub moving_average: usize,
    /// Width of the encoder's and the decoder's layers. Used with `kind: tide`.
    pub hidden_size: usize,
    /// Residual blocks of the encoder. Used with `kind: tide`.
    pub encoder_layers: usize,
    /// Residual blocks of the decoder. Used with `kind: tide`.
    pub decoder_layers: usize,
    /// Numbers that the decoder hands on for each step of the horizon. Used with `kind: tide`.
    pub decoder_size: usize,
    /// Hidden width of the blocks that work step by step: projection of the covariates, temporal decoder. Used with
    /// `kind: tide`.
    pub temporal_hidden: usize,
    /// Numbers to which the covariates of a step are reduced. Used with `kind: tide`.
    pub covariate_size: usize,
    /// Mixing blocks. Used with `kind: tsmixer`.
    pub blocks: usize,
    /// Hidden width of the feature mixing. Used with `kind: tsmixer`.
    pub feed_forward_size: usize,
    /// Quantiles to forecast, ascending, 0.5 among them (it is the point forecast), trained with the pinball loss;
    /// empty: a point forecast, trained with `loss`. Nothing keeps the quantiles of a step from crossing.
    pub quantiles: Vec<f64>,
    /// What a point forecast is trained on, on the scale of `features.scaling` (standardised by default).
    pub loss: PointLoss,
    /// Error from which on the loss grows linearly. Used with `loss: huber`.
    pub huber_delta: f64,
}

impl Default for ForecasterConfig {
    fn default() -> Self {
        Self {
            kind: ForecasterKind::Mlp,
            instance_norm: InstanceNorm::Auto,
            revin_affine: true,
            hidden_dims: vec![512],
            norm: Norm::None,
            skip_connection: false,
            covariate_lookback: false,
            activation: Activation::Relu,
            dropout: 0.1,
            mix_channels: false,
            individual: false,
            moving_average: 25,
            hidden_size: 256,
            encoder_layers: 2,
            decoder_layers: 2,
            decoder_size: 8,
            temporal_hidden: 64,
            covariate_size: 4,
            blocks: 2,
            feed_forward_size: 64,
            quantiles: Vec::new(),
            loss: PointLoss::Mse,
            huber_delta: 1.0,
        }
    }
}

/// The networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForecasterKind {
    /// One linear map from look-back to horizon.
    Linear,
    /// The same around the last value.
    Nlinear,
    /// One linear map of the trend (a moving average) and one of what is left.
    Dlinear,
    /// One linear map inside RevIN.
    Rlinear,
    /// Hidden layers.
    #[default]
    Mlp,
    /// Residual MLP encoder and decoder with covariates.
    Tide,
    /// MLPs along time and across channels in turns.
    Tsmixer,
}

impl ForecasterKind {
    /// Every kind, simplest first.
    pub const ALL: [Self; 7] =
        [Self::Linear, Self::Nlinear, Self::Dlinear, Self::Rlinear, Self::Mlp, Self::Tide, Self::Tsmixer];

    /// The name used in a run file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Nlinear => "nlinear",
            Self::Dlinear => "dlinear",
            Self::Rlinear => "rlinear",
            Self::Mlp => "mlp",
            Self::Tide => "tide",
            Self::Tsmixer => "tsmixer",
        }
    }

    fn is_linear(self) -> bool {
        matches!(self, Self::Linear | Self::Nlinear | Self::Dlinear | Self::Rlinear)
    }
}

/// What is taken out of each window's past, target by target, and given back to its forecast. Without it a network
/// fails where the level has drifted since the train rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstanceNorm {
    /// RevIN for `mlp`, `tide`, `tsmixer` and `rlinear`; the last value for `nlinear`; nothing for `linear` and
    /// `dlinear`.
    #[default]
    Auto,
    /// Nothing.
    None,
    /// Mean and standard deviation (Kim et al. 2022, "Reversible Instance Normalization").
    Revin,
    /// The last value.
    SubtractLast,
}

/// What the data set feeds into the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastShape {
    /// Series to forecast, T.
    pub n_targets: usize,
    /// Covariates known up to now, P.
    pub n_past: usize,
    /// Covariates known over the horizon too, F.
    pub n_future: usize,
    /// Steps of the past, L.
    pub lookback: usize,
    /// Steps to forecast, H.
    pub horizon: usize,
}

/// Windows, scaled.
#[derive(Debug, Clone)]
pub struct ForecastBatch {
    /// `[B, T, L]`
    pub past: Tensor<3>,
    /// `[B, P, L]`
    pub past_covariates: Tensor<3>,
    /// `[B, F, L + H]`
    pub future_covariates: Tensor<3>,
}

/// [`ForecastBatch`] as tensors of a graph, all of floats.
#[derive(Debug, Clone)]
pub struct ForecastInputs {
    /// `[B, T, L]`
    pub past: Value,
    /// `[B, P, L]`; none for P = 0.
    pub past_covariates: Option<Value>,
    /// `[B, F, L + H]`; none for F = 0.
    pub future_covariates: Option<Value>,
}

/// A network inside its instance norm; made by [`ForecasterConfig::init`].
#[derive(Module, Debug)]
pub struct Forecaster {
    instance_norm: Option<InstanceNormalization>,
    network: Network,
}

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a program holds one or two of them")]
enum Network {
    Linear(LinearNet),
    Mlp(MlpNet),
    Tide(TideNet),
    Tsmixer(TsmixerNet),
}

impl ForecasterConfig {
    /// Says what is wrong with the values, as `(key, reason)`.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if let Some(width) = self.hidden_dims.iter().find(|width| !(1..=65_536).contains(*width)) {
            return Err(("hidden_dims", format!("layer width `{width}` is not between 1 and 65536")));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(("dropout", format!("`{}` is not in 0 <= dropout < 1", self.dropout)));
        }
        if self.moving_average.is_multiple_of(2) || self.moving_average > 65_535 {
            return Err(("moving_average", format!("`{}` is not an odd number up to 65535", self.moving_average)));
        }
        let sizes = [
            ("hidden_size", self.hidden_size, 65_536),
            ("encoder_layers", self.encoder_layers, 64),
            ("decoder_layers", self.decoder_layers, 64),
            ("decoder_size", self.decoder_size, 4096),
            ("temporal_hidden", self.temporal_hidden, 65_536),
            ("covariate_size", self.covariate_size, 4096),
            ("blocks", self.blocks, 64),
            ("feed_forward_size", self.feed_forward_size, 65_536),
        ];
        if let Some((key, size, most)) = sizes.into_iter().find(|(_, size, most)| !(1..=*most).contains(size)) {
            return Err((key, format!("`{size}` is not between 1 and {most}")));
        }
        if !(self.huber_delta > 0.0 && self.huber_delta.is_finite()) {
            return Err(("huber_delta", format!("`{}` is not a number above 0", self.huber_delta)));
        }
        self.check_quantiles()?;
        self.check_combinations()
    }

    fn check_quantiles(&self) -> Result<(), (&'static str, String)> {
        if let Some(level) = self.quantiles.iter().find(|level| !(**level > 0.0 && **level < 1.0)) {
            return Err(("quantiles", format!("`{level}` is not between 0 and 1")));
        }
        if let Some(pair) = self.quantiles.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(("quantiles", format!("`{}` stands before `{}`: they must ascend", pair[0], pair[1])));
        }
        if !self.quantiles.is_empty() && !self.quantiles.contains(&0.5) {
            return Err(("quantiles", "0.5 is missing: the median is the point forecast".to_owned()));
        }
        Ok(())
    }

    fn check_combinations(&self) -> Result<(), (&'static str, String)> {
        let fits = matches!(self.instance_norm, InstanceNorm::Auto | InstanceNorm::SubtractLast);
        if self.kind == ForecasterKind::Nlinear && !fits {
            let reason = "`nlinear` subtracts the last value: use `auto`, or `kind: linear` or `rlinear`";
            return Err(("instance_norm", reason.to_owned()));
        }
        if self.kind == ForecasterKind::Rlinear
            && !matches!(self.instance_norm, InstanceNorm::Auto | InstanceNorm::Revin)
        {
            return Err(("instance_norm", "`rlinear` is RevIN: use `auto`, or `kind: linear` or `nlinear`".to_owned()));
        }
        if self.kind.is_linear() && self.individual && self.mix_channels {
            let reason = "weights of its own for each target and one matrix for all of them exclude each other";
            return Err(("individual", reason.to_owned()));
        }
        Ok(())
    }

    /// Says what does not fit between settings and data, as `(key, reason)`; after [`Self::check`].
    pub fn check_shape(&self, shape: &ForecastShape) -> Result<(), (&'static str, String)> {
        let sizes =
            [("target", shape.n_targets), ("step of look-back", shape.lookback), ("step to forecast", shape.horizon)];
        if let Some((what, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(("kind", format!("a forecaster needs at least one {what}")));
        }
        let counts = summarize_forecaster(self, shape).into_iter().map(|layer| layer.parameters);
        let parameters = counts.fold(0_usize, usize::saturating_add);
        if parameters > MAX_PARAMETERS {
            let key = if self.mixes_channels() { "mix_channels" } else { "kind" };
            return Err((
                key,
                format!("the network would have {parameters} weights, at most {MAX_PARAMETERS} are allowed"),
            ));
        }
        Ok(())
    }

    /// Makes a network with fresh weights: linear layers uniform in +-1/sqrt(fan_in), as PyTorch's `nn.Linear`.
    pub fn init(&self, shape: &ForecastShape, device: &Device) -> Forecaster {
        let network = match self.kind {
            ForecasterKind::Mlp => Network::Mlp(MlpNet::new(self, shape, device)),
            ForecasterKind::Tide => Network::Tide(TideNet::new(self, shape, device)),
            ForecasterKind::Tsmixer => Network::Tsmixer(TsmixerNet::new(self, shape, device)),
            _ => Network::Linear(LinearNet::new(self, shape, device)),
        };
        let instance_norm =
            self.centre().map(|centre| InstanceNormalization::new(centre, self.has_affine(), shape.n_targets, device));
        Forecaster { instance_norm, network }
    }

    /// What the instance norm takes out; `None` without one.
    fn centre(&self) -> Option<Centre> {
        match (self.instance_norm, self.kind) {
            (InstanceNorm::Revin, _) => Some(Centre::Mean),
            (InstanceNorm::SubtractLast, _) | (InstanceNorm::Auto, ForecasterKind::Nlinear) => Some(Centre::Last),
            (InstanceNorm::None, _) | (InstanceNorm::Auto, ForecasterKind::Linear | ForecasterKind::Dlinear) => None,
            (InstanceNorm::Auto, _) => Some(Centre::Mean),
        }
    }

    fn has_affine(&self) -> bool {
        self.centre() == Some(Centre::Mean) && self.revin_affine
    }

    /// Whether one forecast of the network is one of all targets.
    fn mixes_channels(&self) -> bool {
        self.mix_channels && (self.kind.is_linear() || self.kind == ForecasterKind::Mlp)
    }

    /// Whether the network looks at covariates; the linear kinds do not.
    pub fn uses_covariates(&self) -> bool {
        !self.kind.is_linear()
    }

    /// Forecasts for each step, Q: the number of quantiles, or 1.
    pub fn n_quantiles(&self) -> usize {
        self.quantiles.len().max(1)
    }

    /// Which of the [`Self::n_quantiles`] is the point forecast.
    pub fn median_index(&self) -> usize {
        self.quantiles.iter().position(|&level| level == 0.5).unwrap_or(0)
    }
}

impl Forecaster {
    /// Forecasts on the scale of the past.
    ///
    /// `[B, T, L]` and covariates -> `[B * T, Q * H]`: row `window * T + target`, columns quantile by quantile
    pub fn forward(&self, batch: &ForecastBatch) -> Tensor<2> {
        let [windows, targets, lookback] = batch.past.dims();
        let rows = batch.past.clone().reshape([windows * targets, lookback]);
        let Some(norm) = &self.instance_norm else { return self.network.forward(Past::plain(rows), batch) };
        let (past, taken) = norm.take_out(rows);
        norm.put_back(self.network.forward(past, batch), &taken)
    }

    /// [`Forecaster::forward`] as nodes, without dropout; `shape` is what the network was made for.
    ///
    /// -> `[B * T, Q * H]`: row `window * T + target`, columns quantile by quantile
    pub fn export(&self, graph: &mut Graph, shape: &ForecastShape, inputs: &ForecastInputs) -> Value {
        let Some(norm) = &self.instance_norm else { return self.network.export(graph, shape, inputs) };
        let (past, taken) = norm.export_take_out(graph, &inputs.past);
        let inside = ForecastInputs { past, ..inputs.clone() };
        let out = self.network.export(graph, shape, &inside);
        norm.export_put_back(graph, &out, shape.n_targets, &taken)
    }
}

impl Network {
    /// `[B * T, L] -> [B * T, Q * H]`
    fn forward(&self, past: Past, batch: &ForecastBatch) -> Tensor<2> {
        match self {
            Self::Linear(net) => net.forward(past, batch),
            Self::Mlp(net) => net.forward(past, batch),
            Self::Tide(net) => net.forward(past.rows(), batch),
            Self::Tsmixer(net) => net.forward(past.rows(), batch),
        }
    }

    /// The same as nodes, from the past within the instance norm. -> `[B * T, Q * H]`
    fn export(&self, graph: &mut Graph, shape: &ForecastShape, inputs: &ForecastInputs) -> Value {
        match self {
            Self::Linear(net) => net.export(graph, shape, &inputs.past),
            Self::Mlp(net) => net.export(graph, shape, inputs),
            Self::Tide(net) => net.export(graph, shape, inputs),
            Self::Tsmixer(net) => net.export(graph, shape, inputs),
        }
    }
}

/// Lists the layers that [`ForecasterConfig::init`] makes. `batch` in the shapes and one row in `flops` are one window.
pub fn summarize_forecaster(config: &ForecasterConfig, shape: &ForecastShape) -> Vec<Layer> {
    let mut layers = Vec::new();
    if config.has_affine() {
        layers.push(Layer {
            name: "instance_norm.affine".to_owned(),
            kind: format!("RevIN({} targets)", shape.n_targets),
            output: format!("[batch, {}, {}]", shape.n_targets, shape.lookback),
            parameters: 2 * shape.n_targets,
            flops: 0,
        });
    }
    let (name, network) = match config.kind {
        ForecasterKind::Mlp => ("Mlp", mlp::summarize(config, shape)),
        ForecasterKind::Tide => ("Tide", tide::summarize(config, shape)),
        ForecasterKind::Tsmixer => ("Tsmixer", tsmixer::summarize(config, shape)),
        _ => ("Linear", linear::summarize(config, shape)),
    };
    layers.extend(network.into_iter().map(|layer| Layer { name: format!("network.{name}.{}", layer.name), ..layer }));
    layers
}

/// Turns lines for one row into lines for all rows of a window: `[batch, 5]` becomes `[batch, 7, 5]` for 7 targets.
fn for_each(rows: &[usize], layers: impl IntoIterator<Item = Layer>) -> Vec<Layer> {
    let shape: String = rows.iter().map(|size| format!("{size}, ")).collect();
    let times: usize = rows.iter().product();
    let widen = |layer: Layer| Layer {
        output: layer.output.replacen("[batch, ", &format!("[batch, {shape}"), 1),
        flops: layer.flops * times,
        ..layer
    };
    layers.into_iter().map(widen).collect()
}

/// Repeats what belongs to a window for each of its targets. `[B, N] -> [B * T, N]`
fn repeat_for_targets(x: Tensor<2>, targets: usize) -> Tensor<2> {
    let [windows, width] = x.dims();
    if targets == 1 {
        return x;
    }
    x.reshape([windows, 1, width]).repeat_dim(1, targets).reshape([windows * targets, width])
}

/// The same as nodes.
fn export_repeated(graph: &mut Graph, x: &Value, width: usize, targets: usize) -> Value {
    if targets == 1 {
        return x.clone();
    }
    let x = graph.reshape(x, &[-1, 1, width as i64]);
    let times = graph.ints(&[1, targets as i64, 1], &[3]);
    let x = graph.node("Tile", &[&x, &times], &[]);
    graph.reshape(&x, &[-1, width as i64])
}

#[cfg(test)]
mod tests;
