//! What is special about rows of a table: the network with its rows, its scores, baselines, folds, files and pictures.

pub mod baselines;
pub mod batch;
pub mod cross_validation;
pub mod importance;
pub mod interval;
pub mod job;
pub mod outputs;
pub mod plots;
pub mod predictor;
pub mod scoring;
