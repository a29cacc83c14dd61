//! Whether the data are still those that the model was trained on: a reference (training) against current rows, one
//! column at a time.
//!
//! | figure | of | what it is |
//! |---|---|---|
//! | PSI | both | population stability index, over tenths of the reference's numbers or over levels |
//! | Jensen-Shannon | both | distance, base 2, 0 to 1, over the same bins |
//! | Kolmogorov-Smirnov | numbers | largest distance of the distribution functions, with its p-value |
//! | Wasserstein | numbers | how far the values moved on average, in units of the column and in standard deviations of the reference |
//! | missing, unseen | both | shares of rows |
//!
//! A p-value says whether there is a difference at all, and with enough rows there always is: at a million rows a shift
//! that no model would notice has p < 0.001. So what decides is the size of the effect ([`Thresholds`]). The p-values only
//! guard the other end: with few rows a large PSI is what chance gives.

mod compare;
mod distances;
mod distribution;
mod thresholds;

pub use compare::{ColumnDrift, DatasetDrift, HistogramBin, compare, histogram, summarize};
pub use distances::{KolmogorovSmirnov, jensen_shannon, kolmogorov_smirnov, psi, wasserstein};
pub use distribution::Distribution;
pub use thresholds::{Judgement, Thresholds, Verdict};
