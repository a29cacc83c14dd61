//! Whether probabilities mean what they say, as they are and after rescaling that is fitted on validation rows.

use evaluation::calibrate::{Isotonic, Temperature};
use serde::Serialize;

use super::rows::{JudgedRows, Outcomes};

/// Probabilities after one way of rescaling.
#[derive(Debug, Serialize)]
pub struct Calibrated {
    /// `as they are`, `temperature`, `isotonic`.
    pub name: &'static str,
    /// Temperature only: above 1 the model was too sure of itself.
    pub temperature: Option<f64>,
    /// Expected calibration error.
    pub ece: f64,
    /// Log loss.
    pub log_loss: f64,
    /// Brier score.
    pub brier: f64,
    /// Rescaled outcomes of the judged rows.
    #[serde(skip)]
    pub outcomes: Outcomes,
}

/// The probabilities of the judged rows as they are, and after each rescaling. Empty without classes or validation rows.
pub fn compare(judged: &JudgedRows) -> Vec<Calibrated> {
    let Some(validation) = judged.validation.as_ref().filter(|_| judged.has_probabilities && !judged.labels.is_empty())
    else {
        return Vec::new();
    };
    let n_classes = judged.labels.len();
    let classes: Vec<usize> = validation.target.iter().map(|&class| class as usize).collect();
    let wide = |outcomes: &Outcomes| outcomes.predicted.iter().map(|&p| f64::from(p)).collect::<Vec<f64>>();
    let (fitted_on, raw) = (wide(validation), wide(&judged.outcomes));
    let mut all = vec![scored(judged, "as they are", None, raw.clone())];
    if let Some(temperature) = Temperature::fit(&classes, &fitted_on, n_classes) {
        all.push(scored(judged, "temperature", Some(temperature.temperature), temperature.apply(&raw)));
    }
    if let Some(isotonic) = Isotonic::fit(&classes, &fitted_on, n_classes) {
        all.push(scored(judged, "isotonic", None, isotonic.apply(&raw)));
    }
    all
}

fn scored(judged: &JudgedRows, name: &'static str, temperature: Option<f64>, probabilities: Vec<f64>) -> Calibrated {
    let predicted = probabilities.into_iter().map(|p| p as f32).collect();
    let outcomes = Outcomes::new(judged.outcomes.target.clone(), predicted);
    let [ece, log_loss, brier] = ["ece", "log_loss", "brier"].map(|metric| judged.of(&outcomes).value(metric));
    Calibrated { name, temperature, ece, log_loss, brier, outcomes }
}
