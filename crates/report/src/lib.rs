//! Pictures of a run, from plain numbers.
//!
//! Each function takes one plain struct and a path stem, and writes `STEM.png` and `STEM.svg` with the same layout.
//! Nothing is computed here but what drawing needs (ticks, bins, row percentages): curves, areas and scores come in
//! from the caller.
//!
//! What may be wrong with the input, and what happens then:
//! - a value that is NaN, infinite or beyond ±1e100 is not drawn;
//! - nothing left to draw: the picture says "no data";
//! - arrays whose lengths contradict each other: [`Error::Shape`], and nothing is written;
//! - text that is too long is shortened with "…"; letters the built-in font lacks show as boxes in the PNG.
//!
//! The way to a picture: a file such as `ranking_curves` puts shapes on a `canvas`; `render` turns them into bytes with
//! plotters' bitmap and SVG backends; then both files are written. `axes` and `style` hold what all pictures share.
//! Equal input gives equal bytes.

mod axes;
mod canvas;
mod confusion_matrix;
mod learning_curves;
mod ranking_curves;
mod regression;
mod render;
mod style;

use std::io;
use std::path::PathBuf;

pub use confusion_matrix::{ConfusionMatrix, confusion_matrix};
pub use learning_curves::{CurvePanel, LearningCurves, Series, learning_curves};
pub use ranking_curves::{RankingCurve, RankingCurves, pr_curve, roc_curve};
pub use regression::{Predictions, predicted_vs_actual, residuals};

/// Why a picture was not written. No file is ever half-written; before `Write`, none is touched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Lengths in the input contradict each other.
    #[error("cannot draw `{picture}`: {problem}")]
    Shape {
        /// The function that was called.
        picture: &'static str,
        /// Which lengths, and what they are.
        problem: String,
    },
    /// The drawing backend or the PNG encoder refused.
    #[error("cannot draw `{path}`: {reason}")]
    Draw {
        /// The file that was to be written.
        path: PathBuf,
        /// The backend's message.
        reason: String,
    },
    /// The file could not be written or renamed.
    #[error("cannot write `{path}`")]
    Write {
        /// The file that was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The result of every function here.
pub type Result<T> = std::result::Result<T, Error>;
