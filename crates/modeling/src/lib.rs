//! Networks: config, init, forward, loss and weights on disk.
//!
//! A network is one file: its config, its layers, its `forward`. To change the tabular net, change `tabular_mlp.rs`;
//! to add a net, add a file beside it. What is the same for every net (the loss of a [`Task`], reading and writing
//! weights) stands in `task.rs` and `weights.rs`.

pub mod baselines;
mod fused;
mod kernels;
mod periodic;
mod tabular_mlp;
mod task;
mod weights;

pub use tabular_mlp::{
    Activation, Inputs, Layer, Norm, NumericEmbedding, TabularMlp, TabularMlpConfig, summarize, weight_bytes,
};
pub use task::{Loss, Task};
pub use weights::{Error, load_weights, save_weights};
