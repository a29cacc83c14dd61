//! MLflow-compatible run tracking: an embedded store, any MLflow server, or memory.
#![doc = include_str!("../README.md")]

mod artifacts;
pub mod conformance;
mod error;
pub mod filter;
mod http;
mod memory;
mod null;
mod queue;
mod redact;
mod rest;
mod rules;
mod run;
mod sqlite;
mod store;
mod system_metrics;
mod types;
mod uri;
mod variables;
mod wire;
mod writer;

pub use error::{Error, Result};
pub use http::HttpOptions;
pub use memory::MemoryStore;
pub use redact::redact_url;
pub use rest::RestStore;
pub use run::{Options, Outcome, Run, RunOptions, Tracker};
pub use sqlite::SqliteStore;
pub use store::Store;
pub use system_metrics::{Sampler, SystemMetricsOptions};
pub use types::*;
pub use uri::open_store;
