//! Rows to learn from: checked, thinned out where there are too many, in `f64`, centred, column after column.

use ndarray::{Array2, ShapeBuilder};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{BaselineKind, Error};
use crate::Task;

/// linfa's trees count rows in `f32`.
const MAX_ROWS: usize = 1 << 24;

/// What the solvers take.
pub(super) struct Rows {
    /// `[rows, columns]` less `centre`, stored column after column: twice as fast for logistic regression.
    pub x: Array2<f64>,
    /// `[columns]`: train means; a constant column has exactly its value, so that nothing of it is left.
    pub centre: Vec<f64>,
    /// `[rows]`
    pub y: Vec<f64>,
}

impl Rows {
    /// Takes at most `max_cells` values.
    pub fn new(
        numeric: &[f32],
        columns: usize,
        target: &[f32],
        max_cells: usize,
        seed: u64,
        warnings: &mut Vec<String>,
    ) -> Self {
        let (total, wanted) = (target.len(), kept(target.len(), columns, max_cells));
        let chosen: Vec<usize> = if wanted < total {
            warnings
                .push(format!("learned from {wanted} of {total} rows, drawn at random: `max_cells` is {max_cells}"));
            sample(total, wanted, seed)
        } else {
            (0..total).collect()
        };
        let mut values = Vec::with_capacity(wanted * columns);
        let mut centre = Vec::with_capacity(columns);
        for column in 0..columns {
            let value = |&row: &usize| f64::from(numeric[row * columns + column]);
            let first = value(&chosen[0]);
            let mean = first + chosen.iter().map(|row| value(row) - first).sum::<f64>() / wanted as f64;
            centre.push(mean);
            values.extend(chosen.iter().map(|row| value(row) - mean));
        }
        let y = chosen.iter().map(|&row| f64::from(target[row])).collect();
        let x = Array2::from_shape_vec((wanted, columns).f(), values).expect("rows x columns values were pushed");
        Self { x, centre, y }
    }

    pub fn n_rows(&self) -> usize {
        self.y.len()
    }

    pub fn n_columns(&self) -> usize {
        self.centre.len()
    }

    /// The target as class indices.
    pub fn classes(&self) -> Vec<usize> {
        self.y.iter().map(|&class| class as usize).collect()
    }

    /// The constant to add when coefficients meant for centred rows are used on rows as they are.
    pub fn intercept(&self, centred_intercept: f64, coefficients: &[f64]) -> f64 {
        centred_intercept - self.centre.iter().zip(coefficients).map(|(mean, w)| mean * w).sum::<f64>()
    }

    /// Mean and standard deviation (of the population) of the target.
    pub fn target_scale(&self) -> (f64, f64) {
        let n = self.n_rows() as f64;
        let mean = self.y.iter().sum::<f64>() / n;
        (mean, (self.y.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / n).sqrt())
    }

    /// An error if there is only one class.
    pub fn check_classes(&self, kind: BaselineKind) -> Result<(), Error> {
        if self.y.iter().all(|&class| class == self.y[0]) {
            return Err(Error::OneClass { rows: self.n_rows(), class: self.y[0] as usize, kind: kind.name() });
        }
        Ok(())
    }
}

/// Rows that `max_cells` allows.
pub(super) fn kept(rows: usize, columns: usize, max_cells: usize) -> usize {
    rows.min((max_cells / columns.max(1)).max(1)).min(if columns == 0 { rows } else { MAX_ROWS })
}

/// `wanted` of `total` rows, each set equally likely, ascending (Knuth's algorithm S).
fn sample(total: usize, wanted: usize, seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut chosen = Vec::with_capacity(wanted);
    for row in 0..total {
        // The high half of a 128-bit product is uniform on 0..total - row but for 1 part in 2^64 / rows.
        let draw = (u128::from(rng.next_u64()) * (total - row) as u128) >> 64;
        if (draw as usize) < wanted - chosen.len() {
            chosen.push(row);
        }
    }
    chosen
}

/// An error for lengths that differ, numbers that are not finite and classes that do not exist.
pub(super) fn check(numeric: &[f32], columns: usize, target: &[f32], task: Task) -> Result<(), Error> {
    let rows = target.len();
    if rows == 0 || rows.checked_mul(columns) != Some(numeric.len()) {
        let reason = format!("{rows} targets, {} values in {columns} columns", numeric.len());
        return Err(Error::Shape { reason });
    }
    if let Some(place) = numeric.iter().position(|value| !value.is_finite()) {
        let (row, column) = (place / columns + 1, place % columns + 1);
        return Err(Error::NotFinite { row, place: format!("encoded column {column}"), value: numeric[place] });
    }
    if let Some(row) = target.iter().position(|value| !value.is_finite()) {
        return Err(Error::NotFinite { row: row + 1, place: "the target".to_string(), value: target[row] });
    }
    let classes = match task {
        Task::Regression => return Ok(()),
        Task::Binary => 2,
        Task::Multiclass { classes } => classes,
    };
    match target.iter().position(|&class| class < 0.0 || class.fract() != 0.0 || class >= classes as f32) {
        Some(row) => {
            let reason = format!("row {} has class {}, there are {classes} classes", row + 1, target[row]);
            Err(Error::Shape { reason })
        }
        None => Ok(()),
    }
}

/// Numeric columns followed by one 0/1 column per embedding index: what a baseline needs where the network has
/// embeddings.
///
/// `numeric` `[rows, n_numeric]`, `categorical` `[rows, cardinalities.len()]`, both row-major; the result is `[rows,
/// n_numeric + sum of cardinalities]`.
pub fn design_matrix(
    numeric: &[f32],
    n_numeric: usize,
    categorical: &[u32],
    cardinalities: &[usize],
    rows: usize,
) -> Result<Vec<f32>, Error> {
    if numeric.len() != rows * n_numeric || categorical.len() != rows * cardinalities.len() {
        let (numbers, indices) = (numeric.len(), categorical.len());
        let reason = format!("{rows} rows, {numbers} numbers for {n_numeric} columns, {indices} category indices");
        return Err(Error::Shape { reason });
    }
    let width = n_numeric + cardinalities.iter().sum::<usize>();
    let mut cells = vec![0.0; rows * width];
    for (row, cells) in cells.chunks_exact_mut(width.max(1)).enumerate() {
        cells[..n_numeric].copy_from_slice(&numeric[row * n_numeric..(row + 1) * n_numeric]);
        let mut place = n_numeric;
        for (column, &cardinality) in cardinalities.iter().enumerate() {
            let index = categorical[row * cardinalities.len() + column] as usize;
            if index >= cardinality {
                let reason = format!("row {} has index {index} in a category of {cardinality}", row + 1);
                return Err(Error::Shape { reason });
            }
            cells[place + index] = 1.0;
            place += cardinality;
        }
    }
    Ok(cells)
}
