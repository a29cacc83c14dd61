//! The losses, on the scale of the network's output.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ForecasterConfig;
use crate::fused::windows;

/// What a point forecast is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PointLoss {
    /// Mean squared error.
    #[default]
    Mse,
    /// Mean absolute error.
    Mae,
    /// Half the squared error up to `huber_delta`, linear beyond (PyTorch's `HuberLoss`).
    Huber,
}

/// The error of one forecast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ForecastLoss<'a> {
    Squared,
    Absolute,
    Huber(f32),
    /// By quantile: `level * (y - f)` where the forecast f is too low, `(1 - level) * (f - y)` where it is too high.
    Pinball(&'a [f64]),
}

impl ForecasterConfig {
    /// Name of the loss, as logged.
    pub fn loss_name(&self) -> &'static str {
        match self.kind_of_loss() {
            ForecastLoss::Squared => "mean_squared_error",
            ForecastLoss::Absolute => "mean_absolute_error",
            ForecastLoss::Huber(_) => "huber",
            ForecastLoss::Pinball(_) => "pinball",
        }
    }

    /// Mean over all rows, steps and quantiles.
    ///
    /// `output` `[B * T, Q * H]`, `target` `[B * T, H]` -> `[1]`
    pub fn loss(&self, output: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        let loss = self.kind_of_loss();
        windows::forecast_loss(&output, &target, loss).unwrap_or_else(|| loss.in_steps(output, target))
    }

    fn kind_of_loss(&self) -> ForecastLoss<'_> {
        match self.loss {
            _ if !self.quantiles.is_empty() => ForecastLoss::Pinball(&self.quantiles),
            PointLoss::Mse => ForecastLoss::Squared,
            PointLoss::Mae => ForecastLoss::Absolute,
            PointLoss::Huber => ForecastLoss::Huber(self.huber_delta as f32),
        }
    }
}

impl ForecastLoss<'_> {
    /// With burn's operations.
    pub(super) fn in_steps(self, output: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        match self {
            Self::Squared => (output - target).square().mean(),
            Self::Absolute => (output - target).abs().mean(),
            Self::Huber(delta) => {
                // Half of (e^2 - what |e| exceeds delta by, squared).
                let error = (output - target).abs();
                let beyond = error.clone().sub_scalar(delta).clamp_min(0.0);
                (error.square() - beyond.square()).mean().mul_scalar(0.5)
            }
            Self::Pinball(levels) => {
                let ([rows, steps], n) = (target.dims(), levels.len());
                let levels: Vec<f32> = levels.iter().map(|&level| level as f32).collect();
                let levels = Tensor::<1>::from_floats(levels.as_slice(), &output.device()).reshape([1, n, 1]);
                let too_low = target.unsqueeze_dim::<3>(1) - output.reshape([rows, n, steps]);
                (too_low.clone() * levels + too_low.neg().clamp_min(0.0)).mean()
            }
        }
    }
}
