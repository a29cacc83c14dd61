//! MLflow-compatible run tracking: an embedded store, any MLflow server, or memory.
#![doc = include_str!("../README.md")]

mod artifacts;
pub mod conformance;
mod error;
pub mod filter;
mod http;
mod memory;
mod model_rules;
mod model_types;
mod model_uri;
mod null;
mod queue;
mod redact;
mod registry;
mod rest;
mod rules;
mod run;
mod sqlite;
mod store;
mod types;
mod uri;
mod wire;
mod writer;

pub use error::{Error, Result};
pub use http::HttpOptions;
pub use memory::MemoryStore;
pub use model_types::*;
pub use model_uri::{ModelUri, Place, download, resolve};
pub use redact::redact_url;
pub use registry::{LoggedModels, Registry};
pub use rest::RestStore;
pub use run::{Options, Outcome, Run, RunOptions, Tracker};
pub use sqlite::SqliteStore;
pub use store::Store;
pub use types::*;
pub use uri::open_store;
