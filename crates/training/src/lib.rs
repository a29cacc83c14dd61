//! The training loop, optimizer, schedule, early stopping and metrics.
//!
//! [`fit`] is a plain function over closures: the caller says what a step computes and what happens after an epoch.
//! It knows no data set, no tracker and no file.

mod config;
mod fit;
pub mod metrics;
mod optimizer;
mod stopping;

pub use config::{Schedule, TrainingConfig};
pub use fit::{EpochEnd, Error, Fitted, Next, StepEnd, StepOutput, fit};
pub use optimizer::{OptimizerKind, clip_by_global_norm};
pub use stopping::{EarlyStopping, EarlyStoppingConfig, Verdict};
