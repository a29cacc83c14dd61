//! Logistic regression by `linfa-logistic`: L2 on all coefficients but the intercepts, as in scikit-learn.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_logistic::{LogisticRegression, MultiLogisticRegression};
use ndarray::{Array1, Array2, Axis};

use super::rows::Rows;
use super::{BaselineConfig, Error, Parameters, activate};
use crate::Task;

/// Largest norm of the gradient of the mean loss. Coefficients are then right to about 1e-3 on the worst-conditioned
/// data (Adult), predictions to 1e-4.
const TOLERANCE: f64 = 1e-6;
/// Intercept of a class that no train row has.
const NEVER: f64 = -1e300;

pub(super) fn fit(
    rows: &Rows,
    config: &BaselineConfig,
    task: Task,
    warnings: &mut Vec<String>,
) -> Result<Parameters, Error> {
    let (intercepts, coefficients) = match task {
        Task::Multiclass { classes } => multinomial(rows, config, classes)?,
        _ => binary(rows, config)?,
    };
    let gradient = gradient_norm(rows, config.l2, task, &intercepts, &coefficients);
    if gradient.is_nan() || gradient > 2.0 * TOLERANCE {
        warnings.push(format!(
            "not converged within {} iterations: the gradient per row is {gradient:.1e}, not {TOLERANCE:.0e}; scaled \
             features converge sooner",
            config.max_iterations
        ));
    }
    let weights: Vec<Vec<f64>> = coefficients.columns().into_iter().map(|column| column.to_vec()).collect();
    let intercepts = intercepts.iter().zip(&weights).map(|(&b, w)| rows.intercept(b, w)).collect();
    Ok(Parameters::Linear { intercepts, coefficients: weights })
}

/// Intercepts `[1]` and coefficients `[columns, 1]` for centred rows.
fn binary(rows: &Rows, config: &BaselineConfig) -> Result<(Array1<f64>, Array2<f64>), Error> {
    let model = LogisticRegression::default()
        .alpha(config.l2)
        .max_iterations(u64::from(config.max_iterations))
        .gradient_tolerance(TOLERANCE * rows.n_rows() as f64)
        .fit(&DatasetBase::new(rows.x.view(), Array1::from(rows.classes())))
        .map_err(unsolved)?;
    // linfa's positive class is the more frequent one.
    let sign = if model.labels().pos.class == 1 { 1.0 } else { -1.0 };
    let coefficients = (model.params() * sign).insert_axis(Axis(1));
    Ok((Array1::from(vec![model.intercept() * sign]), coefficients))
}

/// Intercepts `[classes]` and coefficients `[columns, classes]` for centred rows.
fn multinomial(rows: &Rows, config: &BaselineConfig, classes: usize) -> Result<(Array1<f64>, Array2<f64>), Error> {
    let model = MultiLogisticRegression::default()
        .alpha(config.l2)
        .max_iterations(u64::from(config.max_iterations))
        .gradient_tolerance(TOLERANCE * rows.n_rows() as f64)
        .fit(&DatasetBase::new(rows.x.view(), Array1::from(rows.classes())))
        .map_err(unsolved)?;
    let mut intercepts = Array1::from_elem(classes, NEVER);
    let mut coefficients = Array2::zeros((rows.n_columns(), classes));
    for (i, &class) in model.classes().iter().enumerate() {
        intercepts[class] = model.intercept()[i];
        coefficients.column_mut(class).assign(&model.params().column(i));
    }
    Ok((intercepts, coefficients))
}

fn unsolved(error: linfa_logistic::error::Error) -> Error {
    Error::Solver { kind: "logistic", reason: error.to_string() }
}

/// Norm of the gradient of the penalised loss, per row.
fn gradient_norm(rows: &Rows, l2: f64, task: Task, intercepts: &Array1<f64>, coefficients: &Array2<f64>) -> f64 {
    // [rows, n_outputs]: linear outputs, then probabilities, then probabilities less targets
    let mut errors = rows.x.dot(coefficients) + intercepts;
    for (mut row, &class) in errors.rows_mut().into_iter().zip(&rows.y) {
        let mut outputs = row.to_vec();
        activate(task, &mut outputs);
        match task {
            Task::Multiclass { .. } => outputs[class as usize] -= 1.0,
            _ => outputs[0] -= class,
        }
        row.assign(&Array1::from(outputs));
    }
    let of_coefficients = rows.x.t().dot(&errors) + coefficients * l2;
    let of_intercepts = errors.sum_axis(Axis(0));
    let squares = of_coefficients.iter().chain(&of_intercepts).map(|value| value * value).sum::<f64>();
    squares.sqrt() / rows.n_rows() as f64
}
