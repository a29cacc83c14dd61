//! MLflow-compatible run tracking: an embedded store, any MLflow server, or memory.
#![doc = include_str!("../README.md")]

mod artifacts;
pub mod conformance;
pub mod copy;
mod error;
pub mod filter;
mod gate;
mod http;
mod journal;
mod logged;
mod memory;
mod model_rules;
mod model_types;
mod model_uri;
mod null;
mod panics;
mod queue;
mod record;
mod redact;
mod registry;
mod rest;
mod rules;
mod run;
mod source;
mod spool;
mod sqlite;
mod start;
mod store;
pub mod sync;
mod system_metrics;
mod tracker;
mod types;
mod uri;
mod variables;
mod wire;
mod writer;

pub use error::{Error, Result};
pub use http::HttpOptions;
#[doc(hidden)]
pub use journal::{rewritten_record, whole_records};
pub use memory::MemoryStore;
pub use model_types::*;
pub use model_uri::{ModelUri, Place, download, resolve};
pub use panics::install_panic_hook;
pub use redact::redact_url;
pub use registry::{LoggedModels, Registry};
pub use rest::RestStore;
pub use run::{Outcome, Run};
pub use sqlite::SqliteStore;
pub use store::Store;
pub use system_metrics::{Sampler, SystemMetricsOptions};
pub use tracker::{Options, RunOptions, Tracker};
pub use types::*;
pub use uri::open_store;
