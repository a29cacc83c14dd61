//! Models as files that other programs run.

pub mod series;
