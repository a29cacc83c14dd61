//! A trained model for people without this workspace: an ONNX graph from raw columns to predictions, and the files that
//! make its folder an MLflow model.
//!
//! `tabular.rs` builds the graph of a table's model out of `features.rs` (columns to inputs), `scaling.rs` and `dates.rs`;
//! `mlmodel.rs` writes what MLflow wants beside it.

mod dates;
mod features;
mod mlmodel;
mod scaling;
pub mod series;
pub mod tabular;

use anyhow::Result;
use dataset::DatasetInfo;
use serde_json::Value;

use crate::session::Session;

pub use dates::{Moments, stand_in};

/// The name of a graph's first dimension.
pub const ROWS: &str = "rows";

/// What a graph cannot do; the message goes on from "the model has no ONNX file: ".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    reason: String,
}

impl Unsupported {
    /// Says what it is.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// A column of MLflow's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The column's name.
    pub name: String,
    /// `double`, `float`, `long`, `boolean` or `string`: what pandas makes of the column in a file.
    pub kind: &'static str,
}

/// A model as an ONNX graph.
#[derive(Debug, Clone)]
pub struct Export {
    /// The bytes of `model.onnx`.
    pub onnx: Vec<u8>,
    /// The graph's inputs, in order.
    pub inputs: Vec<Field>,
    /// The graph's outputs, in order.
    pub outputs: Vec<Field>,
    /// Rows to try it with; a cell for each input, `null` if missing.
    pub example: Vec<Vec<Value>>,
}

/// Makes `model/` an MLflow model. Without a graph it has neither the `onnx` nor the `python_function` flavor, and the user
/// is told why.
pub fn write(
    session: &Session,
    model_type: &str,
    export: &Result<Export, Unsupported>,
    info: &DatasetInfo,
) -> Result<()> {
    if let Err(Unsupported { reason }) = export {
        session.console.warn(&format!("the model has no ONNX file: {reason}"));
    }
    mlmodel::write(session, model_type, export.as_ref().ok(), info)
}
