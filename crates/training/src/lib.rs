//! The training loop, optimizer, schedule, early stopping and metrics.
//!
//! [`fit`] is a plain function over closures: the caller says what a step computes and what happens after an epoch.
//! It knows no data set, no tracker and no file.

mod adamw;
mod average;
mod checkpoint;
mod class_weights;
mod config;
mod conformal;
mod fit;
mod importance;
pub mod metrics;
mod optimizer;
mod schedule;
mod stopping;
mod sweep;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use class_weights::ClassWeights;
pub use config::TrainingConfig;
pub use conformal::{Conformal, conformal_quantile};
pub use fit::{Ended, EpochEnd, Error, Fitted, Next, Plan, StepEnd, StepOutput, fit};
pub use importance::{Importance, permutation_importance};
pub use optimizer::{Optimizer, OptimizerError, OptimizerKind, clip_by_global_norm};
pub use schedule::{Schedule, ScheduleOptions};
pub use stopping::{EarlyStopping, EarlyStoppingConfig, Verdict};
pub use sweep::{LearningRateSweep, find_learning_rate};
