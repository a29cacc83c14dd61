//! What is special about forecasts: the network with its windows, scores, intervals, baselines, back-test, files, pictures.

pub mod backtest;
pub mod baselines;
pub mod inputs;
pub mod intervals;
pub mod job;
pub mod outputs;
pub mod plots;
pub mod predictions;
pub mod scoring;
pub mod table;
