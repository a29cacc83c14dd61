//! What judges a model beyond one number: how sure a metric is, whether two models differ, where to cut, which rows it fails, whether its
//! probabilities can be taken at their word, whether the data are still those it was trained on, and whether it may pass.
//!
//! Everything works on plain slices and closures, in `f64`. Nothing panics on data: what cannot be told from the rows at
//! hand (no rows, one class only, nothing but missing values) is `None`, NaN or an empty list, as the function says.
//! Slices that belong together have one length; of longer ones the rest is not looked at.

mod bootstrap;
pub mod calibrate;
pub mod comparison;
pub mod dependence;
pub mod drift;
pub mod gains;
pub mod gates;
mod names;
pub mod slices;
mod statistics;
pub mod threshold;

pub use bootstrap::{Difference, Interval, bootstrap_intervals, paired_difference};
