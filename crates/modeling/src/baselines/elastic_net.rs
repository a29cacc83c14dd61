//! Least squares with both penalties by `linfa-elasticnet`.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_elasticnet::ElasticNet;
use ndarray::Array1;

use super::rows::Rows;
use super::{BaselineConfig, Error, Parameters};

/// Largest duality gap, as a share of the target's sum of squares.
const TOLERANCE: f64 = 1e-6;

/// Minimises `|y - X w|^2 / (2 n) + penalty (l1_ratio |w|_1 + (1 - l1_ratio) |w|^2 / 2)` for the standardised target.
pub(super) fn fit(rows: &Rows, config: &BaselineConfig, warnings: &mut Vec<String>) -> Result<Parameters, Error> {
    let (mean, deviation) = rows.target_scale();
    let mut coefficients = vec![0.0; rows.n_columns()];
    if deviation > 0.0 {
        let target: Array1<f64> = rows.y.iter().map(|y| (y - mean) / deviation).collect();
        let model = ElasticNet::params()
            .penalty(config.penalty)
            .l1_ratio(config.l1_ratio)
            .with_intercept(false)
            .tolerance(TOLERANCE)
            .max_iterations(config.max_iterations)
            .fit(&DatasetBase::new(rows.x.view(), target))
            .map_err(|error| Error::Solver { kind: "elastic_net", reason: error.to_string() })?;
        if model.n_steps() >= config.max_iterations {
            let gap = model.duality_gap() / rows.n_rows() as f64;
            let steps = model.n_steps();
            warnings.push(format!("not converged after {steps} iterations: duality gap {gap:.1e} per row"));
        }
        coefficients = model.hyperplane().iter().map(|coefficient| coefficient * deviation).collect();
    }
    let intercepts = vec![rows.intercept(mean, &coefficients)];
    Ok(Parameters::Linear { intercepts, coefficients: vec![coefficients] })
}
