//! One file per kind of model: read it from top to bottom to know what a program does.

pub mod compare_runs;
pub mod drift;
pub mod evaluate;
pub mod forecast;
pub mod predict;
pub mod sync_runs;
pub mod tabular_mlp;
pub mod ts_mlp;
pub mod tune;
