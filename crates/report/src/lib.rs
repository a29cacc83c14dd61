//! Pictures of a run, from plain numbers, and pages that show them.
//!
//! Each function takes one plain struct and a path stem, and writes `STEM.png` and `STEM.svg` with the same layout.
//! Nothing is computed here but what drawing needs (ticks, bins, row percentages, the trend and quantiles of residuals):
//! curves, areas, intervals and scores come in from the caller.
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
//!
//! A [`Document`] puts text, tables and such pictures on one page: [`Document::to_html`], [`Document::to_markdown`]. A
//! [`RunComparison`] is a page whose views answer to the reader.

mod axes;
mod calibration;
mod canvas;
mod color_bar;
mod comparison;
mod confusion_matrix;
mod document;
mod drift_histograms;
mod error_by_slot;
mod error_by_step;
mod forecast_windows;
mod gain_and_lift;
mod importance;
mod learning_curves;
mod learning_rate;
mod operating_point;
mod panels;
mod partial_dependence;
mod ranking_curves;
mod regression;
mod render;
mod residuals;
mod residuals_over_time;
mod run_comparison;
mod score_histograms;
mod search;
mod series_overview;
mod slice_scores;
mod style;
mod time;

use std::io;
use std::path::PathBuf;

pub use calibration::{Calibration, CalibrationBin, CalibrationCurve, calibration};
pub use comparison::{FoldMetric, FoldScores, ModelComparison, ModelScore, fold_scores, model_comparison};
pub use confusion_matrix::{ConfusionMatrix, confusion_matrix};
pub use document::{Align, Block, Cell, Document, Figure, Section, Table, TableColumn, Tone};
pub use drift_histograms::{DriftBins, DriftHistograms, DriftPanel, drift_histograms};
pub use error_by_slot::{ErrorBySlot, SlotError, SlotPanel, error_by_slot};
pub use error_by_step::{ErrorByStep, StepErrors, error_by_step};
pub use forecast_windows::{ForecastWindow, ForecastWindows, Interval, forecast_windows};
pub use gain_and_lift::{GainAndLift, GainPoint, gain_and_lift};
pub use importance::{
    Importance, ParameterImportance, PermutationImportance, parameter_importance, permutation_importance,
};
pub use learning_curves::{CurvePanel, LearningCurves, Series, learning_curves};
pub use learning_rate::{LearningRateFinder, LearningRateSchedule, learning_rate_finder, learning_rate_schedule};
pub use operating_point::{OperatingPoint, ThresholdCurve, operating_point};
pub use partial_dependence::{DependenceGrid, FeatureDependence, PartialDependence, partial_dependence};
pub use ranking_curves::{Band, RankingCurve, RankingCurves, pr_curve, roc_curve};
pub use regression::{Predictions, predicted_vs_actual};
pub use residuals::residuals;
pub use residuals_over_time::{ResidualsOverTime, residuals_over_time};
pub use run_comparison::{ComparedMetric, ComparedRun, MetricCurves, RunComparison};
pub use score_histograms::{ScoreGroup, ScoreHistograms, score_histograms};
pub use search::{
    ParamScale, ParetoFront, ParetoObjective, ParetoTrial, Search, SearchContour, SearchParam, SearchState,
    SearchTrial, parallel_coordinates, pareto_front, search_contour, search_history, search_slices, search_timeline,
};
pub use series_overview::{SeriesOverview, SeriesPanel, SeriesPart, series_overview};
pub use slice_scores::{SliceScore, SliceScores, slice_scores};

/// Why a picture or a page was not written. No file is ever half-written; before `Write`, none is touched.
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
    /// A row of a table has another number of cells than the table has columns.
    #[error("cannot write the table `{caption}`: {problem}")]
    Table {
        /// The table's caption.
        caption: String,
        /// Which row, and what is wrong with it.
        problem: String,
    },
    /// A picture of a document is not there or cannot be read.
    #[error("cannot read the picture `{path}`")]
    Read {
        /// The file that was to be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
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
