//! `backtest:` moves the forecast's origin through the past, each time in a nested run, and tells mean and spread.

use std::path::PathBuf;

use anyhow::Result;
use burn::tensor::Device;
use dataset::{BacktestConfig, SeriesSource};
use modeling::ForecasterConfig;
use training::TrainingConfig;
use training::metrics::{Direction, FORECAST_METRICS, ForecastMetric};

use crate::fitting::{Learner, fit};
use crate::folds::{FoldNames, FoldScores, fold_scores, report_folds};
use crate::forecast::job::ForecastJob;
use crate::kind::RunKind;
use crate::outputs::log_input;
use crate::session::Session;

const NAMES: FoldNames =
    FoldNames { metrics: "backtest", picture: "backtest", title: "Rolling-origin back-test", split: "test" };

/// Scores one block after the other by a network that has seen only what lies before, and logs
/// `backtest_<metric>_mean` and `backtest_<metric>_std` to the parent run.
///
/// The blocks end with the valid part, so the run's own test part stays unseen. With `refit`, each fold trains a network of
/// its own (one, whatever `ensemble` says), whose best epoch the block before the scored one decides; else the first fold's
/// network, with the first fold's scales, scores all blocks.
pub fn backtest(
    settings: &BacktestConfig,
    source: &SeriesSource,
    (model, training): (&ForecasterConfig, &TrainingConfig),
    seed: u64,
    device: &Device,
    session: &Session,
) -> Result<()> {
    let (mut scores, mut first): (Vec<FoldScores>, Option<PathBuf>) = (Vec::new(), None);
    let folds = source.backtest(settings)?;
    let fixed = match folds.first() {
        Some(first) if !settings.refit => Some(source.fold(first)?.encoder),
        _ => None,
    };
    let mut headline = "mae";
    for fold in &folds {
        let splits = match &fixed {
            Some(encoder) => source.fold_for(fold, encoder)?,
            None => source.fold(fold)?,
        };
        let job = ForecastJob::new(model, training, &splits, device)?;
        (headline, _) = job.shown_metric();
        let name = format!("backtest {} of {}", fold.fold, folds.len());
        let tags = [
            RunKind::Fold.tag(),
            ("model_type", ForecastJob::MODEL_TYPE.to_owned()),
            ("backtest.fold", fold.fold.to_string()),
        ];
        let known = first.clone().filter(|_| !settings.refit);
        let (of_fold, weights) = session.nested(&name, &tags, |nested| {
            log_input(&nested.run, &splits.info, "training");
            let weights = known.map_or_else(|| Ok(fit(&job, seed, nested)?.weights), anyhow::Ok)?;
            let scores = job.score(&[job.load(&nested.in_runs(&weights))?], &splits.test)?;
            let named = scores.metrics.named(NAMES.split);
            nested.log_metrics(&named, 0);
            Ok((fold_scores(named), weights))
        })?;
        scores.push(of_fold);
        first.get_or_insert(weights);
    }
    let direction = |metric: &ForecastMetric| Some((metric.name, metric.direction?));
    let shown: Vec<(&str, Direction)> = FORECAST_METRICS.iter().filter_map(direction).collect();
    report_folds(session, &NAMES, &scores, &shown, headline)
}
