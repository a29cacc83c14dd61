//! Hyperparameter search over any training program's config: a parent run, one nested run per trial.

pub mod base;
pub mod board;
pub mod config;
pub mod data;
pub mod flags;
mod forecast;
pub mod objective;
pub mod outputs;
mod plots;
pub mod refit;
pub mod result;
pub mod search;
pub mod study;
mod tabular;
mod trials_table;
pub mod tunable;
