//! Ordinary least squares by `linfa-linear`, on columns that determine each other no longer.

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_linear::LinearRegression;
use ndarray::{Array1, Array2, Axis};

use super::rows::Rows;
use super::{Error, Parameters};

/// A column whose variance is explained to all but this share by the columns before it is left out. Far above rounding
/// of `f32` inputs, far below any share that could matter for a prediction.
const LEAST_NEW_VARIANCE: f64 = 1e-10;

pub(super) fn fit(rows: &Rows, warnings: &mut Vec<String>) -> Result<Parameters, Error> {
    let independent = independent_columns(&rows.x);
    let left_out = rows.n_columns() - independent.len();
    if left_out > 0 {
        let total = rows.n_columns();
        warnings.push(format!("{left_out} of {total} columns are determined by others and have coefficient 0"));
    }
    let mean = rows.y.iter().sum::<f64>() / rows.n_rows() as f64;
    let mut coefficients = vec![0.0; rows.n_columns()];
    if !independent.is_empty() {
        let target: Array1<f64> = rows.y.iter().map(|y| y - mean).collect();
        let data = Dataset::new(rows.x.select(Axis(1), &independent), target);
        // Rows and target are centred: no intercept, and one column less in the decomposition.
        let model = LinearRegression::new().with_intercept(false).fit(&data);
        let model = model.map_err(|error| Error::Solver { kind: "linear", reason: error.to_string() })?;
        for (&column, &coefficient) in independent.iter().zip(model.params()) {
            coefficients[column] = coefficient;
        }
    }
    let intercepts = vec![rows.intercept(mean, &coefficients)];
    Ok(Parameters::Linear { intercepts, coefficients: vec![coefficients] })
}

/// The columns, from left to right, that are no linear combination of those before them: a Cholesky decomposition of
/// the correlations that skips columns of which nothing is left. At most rows - 1, as the columns are centred.
fn independent_columns(centred: &Array2<f64>) -> Vec<usize> {
    let gram = centred.t().dot(centred);
    let mut kept: Vec<usize> = Vec::new();
    // factor[i]: the decomposition's row of the i-th kept column
    let mut factor: Vec<Vec<f64>> = Vec::new();
    for column in 0..gram.nrows() {
        let variance = gram[[column, column]];
        if variance == 0.0 || kept.len() + 1 >= centred.nrows() {
            continue;
        }
        let mut row: Vec<f64> = Vec::with_capacity(kept.len() + 1);
        for (i, &other) in kept.iter().enumerate() {
            let known: f64 = row.iter().zip(&factor[i]).map(|(a, b)| a * b).sum();
            let correlation = gram[[column, other]] / (variance * gram[[other, other]]).sqrt();
            row.push((correlation - known) / factor[i][i]);
        }
        let new_variance = 1.0 - row.iter().map(|value| value * value).sum::<f64>();
        if new_variance > LEAST_NEW_VARIANCE {
            row.push(new_variance.sqrt());
            factor.push(row);
            kept.push(column);
        }
    }
    kept
}
