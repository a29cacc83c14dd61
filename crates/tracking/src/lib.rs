//! MLflow-compatible run tracking: an embedded store, any MLflow server, or memory.

mod error;
mod store;
mod types;

pub use error::{Error, Result};
pub use store::Store;
pub use types::*;
