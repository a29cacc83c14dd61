//! Update rules, and clipping by the norm of the whole gradient.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TrainingConfig;

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

impl TrainingConfig {
    /// A fresh optimizer with the constants that PyTorch uses.
    pub(crate) fn init_optimizer(&self) -> ModuleOptimizer {
        let weight_decay = self.weight_decay as f32;
        let penalty = (weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay));
        match self.optimizer {
            OptimizerKind::AdamW => AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(weight_decay).init(),
            OptimizerKind::Adam => AdamConfig::new().with_epsilon(1e-8).with_weight_decay(penalty).init(),
            OptimizerKind::Sgd => {
                let momentum = MomentumConfig { momentum: self.momentum, dampening: 0.0, nesterov: false };
                let momentum = (self.momentum > 0.0).then_some(momentum);
                SgdConfig::new().with_momentum(momentum).with_weight_decay(penalty).init()
            }
        }
    }
}

/// Scales the gradients so that their joint L2 norm is at most `max_norm`, as PyTorch's `clip_grad_norm_`.
/// Returns the norm before. (burn's own clipping looks at each tensor alone, which changes the direction.)
pub fn clip_by_global_norm<M: Module>(gradients: &mut GradientsParams, model: &M, max_norm: f64) -> f64 {
    let mut squares = SumOfSquares { gradients, sums: Vec::new() };
    model.visit(&mut squares);
    let Some(total) = squares.sums.into_iter().reduce(|a, b| a + b) else { return 0.0 };
    let norm = f64::from(total.into_scalar::<f32>()).sqrt();
    if norm > max_norm {
        model.visit(&mut Scale { gradients, factor: max_norm / (norm + 1e-6) });
    }
    norm
}

struct SumOfSquares<'a> {
    gradients: &'a GradientsParams,
    sums: Vec<Tensor<1>>,
}

impl ModuleVisitor for SumOfSquares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sums.push(gradient.square().sum());
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
