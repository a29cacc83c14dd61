//! `cv:` trains one network per fold, each in a nested run, and tells mean and spread on the parent.

use anyhow::Result;
use burn::tensor::Device;
use dataset::{CrossValidationConfig, Source};
use modeling::TabularMlpConfig;
use training::TrainingConfig;
use training::metrics::{Direction, METRICS};

use crate::fitting::{Learner, fit};
use crate::folds::{FoldNames, FoldScores, fold_scores, report_folds};
use crate::kind::RunKind;
use crate::outputs::log_input;
use crate::session::Session;
use crate::tabular::job::TabularJob;

const NAMES: FoldNames =
    FoldNames { metrics: "cv", picture: "cross_validation", title: "Cross-validation, left-out rows", split: "val" };

/// Trains on every fold and logs `cv_<metric>_mean` and `cv_<metric>_std` to the parent run.
///
/// The best epoch of a fold is chosen on the rows that it is scored by, as everywhere where early stopping meets
/// cross-validation: the scores compare settings, the test rows judge the result.
pub fn cross_validate(
    cv: &CrossValidationConfig,
    source: &Source,
    (model, training): (&TabularMlpConfig, &TrainingConfig),
    seed: u64,
    device: &Device,
    session: &Session,
) -> Result<()> {
    let mut scores: Vec<FoldScores> = Vec::new();
    for fold in source.folds(cv)? {
        let repeat = if cv.repeats > 1 { format!(", repeat {}", fold.repeat) } else { String::new() };
        let name = format!("fold {} of {}{repeat}", fold.fold, cv.folds);
        let tags = [
            RunKind::Fold.tag(),
            ("model_type", TabularJob::MODEL_TYPE.to_owned()),
            ("cv.fold", fold.fold.to_string()),
            ("cv.repeat", fold.repeat.to_string()),
        ];
        scores.push(session.nested(&name, &tags, |nested| {
            let mut splits = source.fold(&fold)?;
            log_input(&nested.run, &splits.info, "training");
            fit_fold(&TabularJob::new(model, training, &mut splits, device)?, seed, nested)
        })?);
    }
    let shown: Vec<(&str, Direction)> = METRICS.iter().map(|metric| (metric.name, metric.direction)).collect();
    report_folds(session, &NAMES, &scores, &shown, training.early_stopping.metric())
}

fn fit_fold(job: &TabularJob, seed: u64, session: &Session) -> Result<FoldScores> {
    let fitted = fit(job, seed, session)?;
    let valid = job.score_valid(&job.load(&session.in_runs(&fitted.weights))?);
    Ok(fold_scores(valid.metrics.named("val")))
}
