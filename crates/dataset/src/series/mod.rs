//! A file with time series becomes scaled arrays, window by window.
//!
//! [`SeriesSource::open`] reads the columns, gives each its role (`roles`), puts the rows of each series on a regular
//! grid (`time_axis`, `frequency`, `grid`), fills or marks what is missing (`gaps`), computes differences and rolling
//! statistics (`raw`, `rolling`), divides each series in the order of time and lists its windows (`windows`), and fits
//! scales and levels on the train steps (`scaling`, `fitting`). [`SeriesSplits::batch`] copies windows out of the
//! scaled series (`store`). [`SeriesEncoder`] is what a model needs to forecast from the last rows of another file
//! (`latest`).
//!
//! No window sees the future: what it is shown of targets and past covariates, and all that is computed from them, lies
//! before its origin; scales and levels come from train steps. There are two exceptions. Under `gaps: interpolate`, a
//! gap that spans the origin is filled with the help of the value after it; such windows are counted. Under
//! `max_gap_steps`, whether such a gap is filled depends on how long it goes on: that decides which windows there are,
//! not what they show.

mod backtest;
mod channels;
mod config;
mod encoder;
mod error;
mod features;
mod fitting;
mod frequency;
mod gaps;
mod generator;
mod grid;
mod latest;
mod layout;
mod raw;
mod report;
mod report_text;
mod roles;
mod rolling;
mod scaling;
mod source;
mod splits;
mod store;
mod time_axis;
mod windows;

pub use backtest::BacktestFold;
pub use channels::ChannelSource;
pub use config::{Duplicates, GapPolicy, SeriesBuiltin, SeriesDataConfig, SeriesSplitConfig, ShortSeries, Unsorted};
pub use encoder::SeriesEncoder;
pub use error::SeriesError;
pub use features::{
    BacktestConfig, CalendarEncoding, RollingConfig, RollingStatistic, SeriesFeaturesConfig, SeriesScaling,
    WindowsConfig,
};
pub use fitting::SkippedSeries;
pub use frequency::Frequency;
pub use latest::{Latest, LatestSeries};
pub use report::{Gap, SeriesPart, SeriesReport, TargetFigures};
pub use roles::Covariate;
pub use scaling::Scale;
pub use source::{SeriesLine, SeriesSource};
pub use splits::SeriesSplits;
pub use store::{SeriesBatch, SeriesShape, Window};

pub(crate) use source::TableFacts;
pub(crate) use windows::Parts;
