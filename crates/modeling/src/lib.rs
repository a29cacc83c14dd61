//! Networks: config, init, forward, loss and weights on disk.
//!
//! A network is one file: its config, its layers, its `forward`. To change the tabular net, change `tabular_mlp.rs`;
//! to add a net, add a file beside it. What is the same for every net (the loss of a [`Task`], reading and writing
//! weights) stands in `task.rs` and `weights.rs`.

pub mod baselines;
pub mod forecast_baselines;
mod forecaster;
mod fused;
mod kernels;
mod layers;
pub mod onnx;
mod periodic;
mod tabular_mlp;
mod task;
mod weights;

pub use forecaster::{
    ForecastBatch, ForecastInputs, ForecastShape, Forecaster, ForecasterConfig, ForecasterKind, InstanceNorm,
    PointLoss, summarize_forecaster,
};
pub use fused::seed_dropout;
pub use layers::{Activation, Layer, Norm, weight_bytes};
pub use tabular_mlp::{Inputs, NumericEmbedding, TabularMlp, TabularMlpConfig, summarize};
pub use task::{Loss, Task};
pub use weights::{Error, load_weights, save_weights};
