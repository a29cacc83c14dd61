//! Permutation importance: how much worse the model becomes when one input column is shuffled over the valid rows.

use anyhow::Result;
use burn::tensor::{Int, Tensor};
use dataset::InputColumns;
use modeling::TabularMlp;
use training::metrics::{METRICS, Predictions, direction_of};
use training::{Importance, permutation_importance};

use crate::session::Session;
use crate::tabular::job::TabularJob;
use crate::tabular::plots::plot_importance;
use crate::tabular::scoring::{self, Rows, kind_of};

/// Of more valid rows evenly spread ones are taken: the ranking of the columns is clear long before.
const MOST_ROWS: usize = 4096;
const REPEATS: usize = 5;
/// Of more columns the importance costs too much to be had with every run.
const MOST_COLUMNS: usize = 500;

/// Shuffles each input column five times, draws the picture, and writes `feature_importance.csv`. The score is the
/// monitored metric. Valid rows, not test rows: what is learned here may guide the next model.
pub fn measure_importance(job: &TabularJob, models: &[TabularMlp], seed: u64, session: &Session) -> Result<()> {
    let inputs = job.splits.preprocessor.input_columns();
    if inputs.len() > MOST_COLUMNS {
        session.console.note(&format!("no permutation importance: {} columns are too many", inputs.len()));
        return Ok(());
    }
    let all = job.splits.valid.n_rows();
    let rows: Vec<u32> = (0..all).step_by(all.div_ceil(MOST_ROWS)).map(|row| row as u32).collect();
    let valid = job.valid.select(&rows);
    let target: Vec<f32> = rows.iter().map(|&row| job.splits.valid.target[row as usize]).collect();
    let metric = job.training.early_stopping.metric();
    let score = |rows: &Rows| score(job, models, rows, &target, metric);
    let Ok(direction) = direction_of(metric, kind_of(job.task)) else { return Ok(()) };

    let shuffled = |feature: usize, order: &[u32]| {
        // After Ctrl-C the figures are thrown away below.
        if session.console.is_interrupted() { f64::NAN } else { score(&shuffle(&valid, &inputs[feature], order)) }
    };
    let baseline = (score(&valid), direction);
    let found = permutation_importance(inputs.len(), rows.len(), REPEATS, seed, baseline, shuffled);
    session.console.stop_if_interrupted()?;
    let named: Vec<(&str, Importance)> = inputs.iter().map(|input| input.name.as_str()).zip(found).collect();
    let mut text = "feature,importance_mean,importance_std\n".to_owned();
    for (name, importance) in &named {
        text.push_str(&format!("\"{}\",{},{}\n", name.replace('"', "\"\""), importance.mean, importance.std));
    }
    session.write_text("feature_importance.csv", &text)?;
    plot_importance(session, &named, metric, direction, rows.len())
}

fn score(job: &TabularJob, models: &[TabularMlp], rows: &Rows, target: &[f32], metric: &str) -> f64 {
    let output = scoring::ensemble(models, job.task)(rows.numeric.clone(), rows.categorical.clone());
    let Some(metric) = METRICS.iter().find(|known| known.name == metric) else {
        return f64::from(job.task.loss(output, rows.target.clone()).into_scalar::<f32>());
    };
    let predicted = scoring::predictions(output, job.task, &job.splits.preprocessor);
    metric.value(&Predictions { kind: kind_of(job.task), target, predicted: &predicted })
}

/// The rows with the values of one input taken from other rows, in all columns that were made of it.
fn shuffle(rows: &Rows, input: &InputColumns, order: &[u32]) -> Rows {
    let indices: Vec<i32> = order.iter().map(|&row| row as i32).collect();
    let indices = Tensor::<1, Int>::from_ints(indices.as_slice(), &rows.numeric.device());
    let mut shuffled = rows.clone();
    let n_rows = order.len();
    for range in &input.numeric {
        let place = [0..n_rows, range.clone()];
        let values = rows.numeric.clone().slice(place.clone()).select(0, indices.clone());
        shuffled.numeric = shuffled.numeric.slice_assign(place, values);
    }
    if let Some(column) = input.categorical {
        let place = [0..n_rows, column..column + 1];
        let levels = rows.categorical.clone().slice(place.clone()).select(0, indices);
        shuffled.categorical = shuffled.categorical.slice_assign(place, levels);
    }
    shuffled
}
