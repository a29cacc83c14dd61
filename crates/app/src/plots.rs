//! The pictures of every training: from histories to `report`, in the folder `plots/`.

use anyhow::Result;
use report::{
    CurvePanel, LearningCurves, LearningRateFinder, LearningRateSchedule, ModelComparison, ModelScore, Series,
};
use training::metrics::Direction;
use training::{LearningRateSweep, Schedule, TrainingConfig};

use crate::fitting::Learner;
use crate::history::{History, ResultTable};
use crate::session::Session;

/// Learning curves and the learning rate of every step.
pub fn plot_training(
    session: &Session,
    learner: &impl Learner,
    history: &History,
    best: Option<(usize, f64)>,
) -> Result<()> {
    let (folder, config) = (session.folder("plots")?, learner.training());
    let best_epoch = best.map(|(epoch, _)| epoch);
    let subtitle = format!("{} · {}", session.run.name(), learner.sizes());
    let monitor = history.monitor();
    let column = |name: String| history.column(&name);
    let columns = [
        ("Loss", vec![("train", column("train_loss".to_owned())), ("val", column("val_loss".to_owned()))]),
        (monitor, vec![("train", column(format!("train_{monitor}"))), ("val", column(format!("val_{monitor}")))]),
        ("Learning rate", vec![("learning rate", column("learning_rate".to_owned()))]),
    ];
    let panels = columns
        .iter()
        .filter(|(label, _)| *label != "loss")
        .map(|(label, series)| CurvePanel {
            label,
            series: series.iter().map(|(name, values)| Series { name, values }).collect(),
            log_if_wide: *label != monitor,
        })
        .collect();
    let curves = LearningCurves {
        title: "Learning curves",
        subtitle: &subtitle,
        panels,
        best_epoch,
        best_series: "val",
        planned_epochs: config.epochs,
    };
    report::learning_curves(&curves, &folder.join("learning_curves"))?;

    let steps_per_epoch = config.steps_per_epoch(learner.n_samples());
    let schedule = LearningRateSchedule {
        title: "Learning rate",
        subtitle: &subtitle,
        rates: &learning_rates(history, config, steps_per_epoch),
        steps_per_epoch: Some(steps_per_epoch),
        warmup: match config.schedule {
            Schedule::OneCycle => 0,
            _ => (config.warmup_epochs * steps_per_epoch as f64) as usize,
        },
        best_epoch,
    };
    Ok(report::learning_rate_schedule(&schedule, &folder.join("learning_rate_schedule"))?)
}

/// The rate of every step taken. What `reduce_on_plateau` did shows in the last rate of each epoch.
fn learning_rates(history: &History, config: &TrainingConfig, steps_per_epoch: usize) -> Vec<f64> {
    let planned = |step: usize| config.learning_rate_at(step, steps_per_epoch);
    let last_of_epoch = history.column("learning_rate");
    let of_epoch = |(epoch, last): (usize, f64)| {
        let steps = epoch * steps_per_epoch..(epoch + 1) * steps_per_epoch;
        let factor = last / planned(steps.end - 1);
        let factor = if factor.is_finite() { factor } else { 1.0 };
        steps.map(move |step| planned(step) * factor)
    };
    last_of_epoch.into_iter().enumerate().flat_map(of_epoch).collect()
}

/// The learning-rate range test.
pub fn plot_finder(session: &Session, sweep: &LearningRateSweep, loss_name: &str) -> Result<()> {
    let finder = LearningRateFinder {
        title: "Learning-rate finder",
        subtitle: session.run.name(),
        loss: &format!("Training loss ({})", loss_name.replace('_', " ")),
        rates: &sweep.rates,
        losses: &sweep.losses,
        smoothed: &sweep.smoothed,
        suggestion: sweep.suggestion,
    };
    Ok(report::learning_rate_finder(&finder, &session.folder("plots")?.join("learning_rate_finder"))?)
}

/// The network beside the baselines by one metric of the test rows. `samples`: how many of what, `320 test rows`.
pub fn plot_comparison(
    session: &Session,
    result: &ResultTable,
    (metric, direction): (&str, Direction),
    samples: &str,
) -> Result<()> {
    let scores = result.compare(&format!("test_{metric}"));
    if scores.len() == 1 {
        return Ok(());
    }
    let models: Vec<ModelScore> = scores
        .iter()
        .enumerate()
        .map(|(place, (name, value))| ModelScore { name, value: *value, interval: None, highlight: place == 0 })
        .collect();
    let comparison = ModelComparison {
        title: "Models, test",
        subtitle: &format!("{} · {samples}", session.run.name()),
        metric,
        lower_is_better: direction == Direction::Minimize,
        interval_label: "",
        models: &models,
    };
    Ok(report::model_comparison(&comparison, &session.folder("plots")?.join("model_comparison"))?)
}
