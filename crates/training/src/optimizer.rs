//! Update rules, and clipping by the norm of the whole gradient.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Bytes, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TrainingConfig;
use crate::adamw::{FusedAdamW, sum_of_squares};

/// Update rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101).
    AdamW,
    /// Adam (Kingma and Ba, arXiv 1412.6980).
    Adam,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// An update rule with what it remembers of each parameter, with PyTorch's definitions.
pub struct Optimizer {
    inner: ModuleOptimizer,
}

/// Why the state of an optimizer could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("the optimizer's state cannot be {doing}: {reason}")]
pub struct OptimizerError {
    doing: &'static str,
    reason: String,
}

impl Optimizer {
    /// One that has seen no gradient.
    pub fn new(config: &TrainingConfig) -> Self {
        let weight_decay = config.weight_decay as f32;
        let penalty = (weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay));
        let [beta_1, beta_2] = config.betas.map(|beta| beta as f32);
        let epsilon = config.epsilon as f32;
        let inner = match config.optimizer {
            OptimizerKind::AdamW => {
                FusedAdamW { betas: config.betas, epsilon: config.epsilon, weight_decay: config.weight_decay }.into()
            }
            OptimizerKind::Adam => {
                let rule = AdamConfig::new().with_beta_1(beta_1).with_beta_2(beta_2).with_epsilon(epsilon);
                rule.with_weight_decay(penalty).init()
            }
            OptimizerKind::Sgd => {
                let (momentum, nesterov) = (config.momentum, config.nesterov);
                let momentum = (momentum > 0.0).then_some(MomentumConfig { momentum, dampening: 0.0, nesterov });
                SgdConfig::new().with_momentum(momentum).with_weight_decay(penalty).init()
            }
        };
        Self { inner }
    }

    /// Moves the weights of `model` against the gradients.
    pub fn step<M: Module>(&mut self, model: M, gradients: GradientsParams, learning_rate: f64) -> M {
        self.inner.step(learning_rate, model, gradients)
    }

    /// All that [`Optimizer::load_bytes`] needs. The state of each parameter is kept under the parameter's id, so it fits
    /// models that were loaded from a record of the same model ([`Module::into_record`] keeps the ids), and no others.
    pub fn to_bytes(&self) -> Result<Vec<u8>, OptimizerError> {
        let bytes = self.inner.into_bytes();
        Ok(bytes.map_err(|error| OptimizerError { doing: "written", reason: error.to_string() })?.to_vec())
    }

    /// Takes over the state of an optimizer of the same kind.
    pub fn load_bytes(&mut self, bytes: &[u8]) -> Result<(), OptimizerError> {
        let bytes = Bytes::from_bytes_vec(bytes.to_vec());
        let loaded = self.inner.clone().from_bytes(bytes);
        self.inner = loaded.map_err(|error| OptimizerError { doing: "read", reason: error.to_string() })?;
        Ok(())
    }
}

/// Scales the gradients so that their joint L2 norm is at most `max_norm`, as PyTorch's `clip_grad_norm_`.
/// Returns the norm before. (burn's own clipping looks at each tensor alone, which changes the direction.)
pub fn clip_by_global_norm<M: Module>(gradients: &mut GradientsParams, model: &M, max_norm: f64) -> f64 {
    let mut squares = SumOfSquares { gradients, sum: 0.0 };
    model.visit(&mut squares);
    let norm = squares.sum.sqrt();
    if norm > max_norm {
        model.visit(&mut Scale { gradients, factor: max_norm / (norm + 1e-6) });
    }
    norm
}

struct SumOfSquares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for SumOfSquares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sum += sum_of_squares(gradient);
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient.mul_scalar(self.factor));
        }
    }
}
