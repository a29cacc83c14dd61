//! Forecasts without a network, beside which every network is seen: a linear map in closed form, the season before,
//! the last value, the mean of the same hour of the week.
//!
//! All take plain slices on the standardised scale; all targets and series share one model. On ETTh1 by the published
//! protocol (look-back 336, every test window of the 7 channels) MSE / MAE are these, here as with numpy:
//!
//! | horizon | 96 | 192 | 336 | 720 |
//! |---|---|---|---|---|
//! | least squares | .3702 / .3915 | .4034 / .4112 | .4277 / .4262 | .4344 / .4505 |
//! | seasonal naive, 24 steps | .512 / .433 | .581 / .469 | .650 / .501 | .655 / .514 |

use linfa_linalg::cholesky::SolveCInplace;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::baselines::Error;

/// Layout of the JSON that `to_json` writes.
const VERSION: u32 = 1;
/// Windows whose products are added up at a time.
const BLOCK_ROWS: usize = 512;
/// Rows of a product that one thread computes: a fixed number, so that any number of threads gives the same bits.
const STRIP: usize = 48;
/// Share of the mean square of the past that is always added to the diagonal: far below what could be seen in an
/// error, and enough where a series is constant or has fewer windows than steps of look-back.
const LEAST_RIDGE: f64 = 1e-9;

/// Sums over train windows from which [`LeastSquares`] is solved.
///
/// A window counts as its differences from its last value: `x - last` and a constant explain `y - last`. The constant
/// has the place of the last value, of which nothing is left.
#[derive(Debug, Clone)]
pub struct LeastSquaresFit {
    lookback: usize,
    horizon: usize,
    /// `[L, L]`, below the diagonal (and here and there above).
    gram: Array2<f64>,
    /// `[L, H]`
    cross: Array2<f64>,
    rows: usize,
}

impl LeastSquaresFit {
    /// Nothing added yet. `lookback` at least 1.
    pub fn new(lookback: usize, horizon: usize) -> Self {
        let (gram, cross) = (Array2::zeros((lookback, lookback)), Array2::zeros((lookback, horizon)));
        Self { lookback, horizon, gram, cross, rows: 0 }
    }

    /// Adds windows of one target each: `past` `[rows, L]`, `target` `[rows, H]`.
    pub fn add(&mut self, past: &[f32], target: &[f32]) -> Result<(), Error> {
        let rows = rows_of(past, self.lookback)?;
        if target.len() != rows * self.horizon {
            let reason = format!("{rows} pasts, {} values for a horizon of {}", target.len(), self.horizon);
            return Err(Error::Shape { reason });
        }
        for (name, values, width) in [("the past", past, self.lookback), ("the target", target, self.horizon)] {
            if let Some(place) = values.iter().position(|value| !value.is_finite()) {
                return Err(Error::NotFinite { row: place / width + 1, place: name.to_owned(), value: values[place] });
            }
        }
        let blocks = past.chunks(BLOCK_ROWS * self.lookback).zip(target.chunks(BLOCK_ROWS * self.horizon.max(1)));
        for (past, target) in blocks {
            self.add_block(past, target);
        }
        self.rows += rows;
        Ok(())
    }

    fn add_block(&mut self, past: &[f32], target: &[f32]) {
        let (rows, width) = (past.len() / self.lookback, self.lookback);
        let last = |row: usize| f64::from(past[row * width + width - 1]);
        let mut x = Array2::from_shape_fn((rows, width), |(row, l)| f64::from(past[row * width + l]) - last(row));
        x.column_mut(width - 1).fill(1.0);
        let y = |(row, h)| f64::from(target[row * self.horizon + h]) - last(row);
        let y = Array2::from_shape_fn((rows, self.horizon), y);
        let gram: Vec<_> = self.gram.axis_chunks_iter_mut(Axis(0), STRIP).collect();
        let cross: Vec<_> = self.cross.axis_chunks_iter_mut(Axis(0), STRIP).collect();
        let (x, y) = (x.view(), y.view());
        let strips = gram.into_par_iter().zip(cross).enumerate();
        strips.for_each(|(index, (gram, cross))| add_strip(x, y, index * STRIP, gram, cross));
    }

    /// Solves for the map with the least squared error. `ridge` is added to the diagonal, the constant's place
    /// excepted, as a share of the mean square of the past; 0 for plain least squares.
    pub fn solve(&self, ridge: f64) -> Result<LeastSquares, Error> {
        if self.rows == 0 {
            return Err(Error::Shape { reason: "there is no window to learn from".to_owned() });
        }
        let (ridge, mean) = (ridge.max(LEAST_RIDGE), self.gram.diag().mean().unwrap_or(0.0));
        let (mut gram, mut coefficients) = (self.gram.clone(), self.cross.clone());
        gram.diag_mut().iter_mut().take(self.lookback - 1).for_each(|value| *value += ridge * mean);
        let solved = gram.solvec_inplace(&mut coefficients).map(|_| ());
        solved.map_err(|error| Error::Solver { kind: "least_squares", reason: error.to_string() })?;
        let coefficients = coefficients.iter().map(|&value| value as f32).collect();
        let Self { lookback, horizon, rows, .. } = *self;
        Ok(LeastSquares { version: VERSION, lookback, horizon, rows, ridge, coefficients })
    }
}

/// Adds one strip of `x' x`, up to its diagonal, and of `x' y`.
fn add_strip(
    x: ArrayView2<f64>,
    y: ArrayView2<f64>,
    first: usize,
    gram: ArrayViewMut2<f64>,
    mut cross: ArrayViewMut2<f64>,
) {
    let end = first + gram.nrows();
    let strip = x.slice_axis(Axis(1), Slice::from(first..end)).reversed_axes();
    let (mut left, _) = gram.split_at(Axis(1), end);
    general_mat_mul(1.0, &strip, &x.slice_axis(Axis(1), Slice::from(..end)), 1.0, &mut left);
    general_mat_mul(1.0, &strip, &y, 1.0, &mut cross);
}

/// A linear map from look-back to horizon that is added to the last value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeastSquares {
    version: u32,
    /// Steps of the past, L.
    pub lookback: usize,
    /// Steps to forecast, H.
    pub horizon: usize,
    /// Windows (of one target each) it has learned from.
    pub rows: usize,
    /// What was added to the diagonal, as a share of the mean square.
    pub ridge: f64,
    /// `[L, H]`: a row for each difference from the last value; in the last row the constants.
    pub coefficients: Vec<f32>,
}

impl LeastSquares {
    /// `past` row-major `[rows, L]` -> `[rows, H]`
    pub fn forecast(&self, past: &[f32]) -> Result<Vec<f32>, Error> {
        let (rows, width) = (rows_of(past, self.lookback)?, self.lookback);
        let last = |row: usize| past[row * width + width - 1];
        let mut x = Array2::from_shape_fn((rows, width), |(row, l)| past[row * width + l] - last(row));
        x.column_mut(width - 1).fill(1.0);
        let shape = (width, self.horizon);
        let coefficients = ArrayView2::from_shape(shape, &self.coefficients).map_err(|error| unusable(&error))?;
        let mut out = Array2::from_shape_fn((rows, self.horizon), |(row, _)| last(row));
        general_mat_mul(1.0, &x, &coefficients, 1.0, &mut out);
        Ok(out.into_raw_vec_and_offset().0)
    }

    /// The whole model as JSON, readable without this program.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| unusable(&error))
    }

    /// Reads what `to_json` wrote.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let model: Self = serde_json::from_str(json).map_err(|error| unusable(&error))?;
        check_version(model.version)?;
        let size = model.lookback.checked_mul(model.horizon);
        if model.lookback == 0 || size != Some(model.coefficients.len()) {
            return Err(unusable(&"its parts do not fit together"));
        }
        Ok(model)
    }
}

fn rows_of(past: &[f32], lookback: usize) -> Result<usize, Error> {
    if lookback == 0 || !past.len().is_multiple_of(lookback) {
        let reason = format!("{} values are no whole pasts of {lookback} steps", past.len());
        return Err(Error::Shape { reason });
    }
    Ok(past.len() / lookback)
}

fn unusable(reason: &dyn std::fmt::Display) -> Error {
    Error::Json { reason: reason.to_string() }
}

fn check_version(found: u32) -> Result<(), Error> {
    if found == VERSION {
        return Ok(());
    }
    Err(unusable(&format!("it has version {found}, this program reads version {VERSION}")))
}

/// The last season of `season` steps again and again; `None` if the past is shorter. `past` `[L]` -> `[horizon]`
pub fn seasonal_naive(past: &[f32], season: usize, horizon: usize) -> Option<Vec<f32>> {
    let last = &past[past.len().checked_sub(season)?..];
    (season > 0).then(|| last.iter().copied().cycle().take(horizon).collect())
}

/// The last value for every step; `None` if there is no past. `past` `[L]` -> `[horizon]`
pub fn repeat_last(past: &[f32], horizon: usize) -> Option<Vec<f32>> {
    past.last().map(|&last| vec![last; horizon])
}

/// The mean of the train values of each slot of the calendar (hour of the week, month ...).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarProfile {
    version: u32,
    /// By slot; of a slot without values 0.
    pub means: Vec<f64>,
    /// Values by slot.
    pub counts: Vec<u64>,
}

impl CalendarProfile {
    /// Nothing added yet.
    pub fn new(n_slots: usize) -> Self {
        Self { version: VERSION, means: vec![0.0; n_slots], counts: vec![0; n_slots] }
    }

    /// Adds train values, one for each slot given; values that are not finite (missing) are left out.
    pub fn add(&mut self, slots: &[u16], values: &[f32]) -> Result<(), Error> {
        if slots.len() != values.len() {
            let reason = format!("{} slots, {} values", slots.len(), values.len());
            return Err(Error::Shape { reason });
        }
        for (&slot, &value) in slots.iter().zip(values).filter(|(_, value)| value.is_finite()) {
            let (slot, n_slots) = (usize::from(slot), self.means.len());
            let Some(mean) = self.means.get_mut(slot) else {
                return Err(Error::Shape { reason: format!("slot {slot} of {n_slots}") });
            };
            self.counts[slot] += 1;
            *mean += (f64::from(value) - *mean) / self.counts[slot] as f64;
        }
        Ok(())
    }

    /// The mean of each slot; of one without train values the mean of all values.
    pub fn forecast(&self, slots: &[u16]) -> Vec<f32> {
        let count: u64 = self.counts.iter().sum();
        let sum: f64 = self.means.iter().zip(&self.counts).map(|(mean, &count)| mean * count as f64).sum();
        let overall = sum / count.max(1) as f64;
        let mean = |&slot: &u16| match self.counts.get(usize::from(slot)) {
            Some(1..) => self.means[usize::from(slot)] as f32,
            _ => overall as f32,
        };
        slots.iter().map(mean).collect()
    }

    /// The whole model as JSON, readable without this program.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| unusable(&error))
    }

    /// Reads what `to_json` wrote.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let profile: Self = serde_json::from_str(json).map_err(|error| unusable(&error))?;
        check_version(profile.version)?;
        if profile.means.len() != profile.counts.len() {
            return Err(unusable(&"its parts do not fit together"));
        }
        Ok(profile)
    }
}
