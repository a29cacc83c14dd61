//! `backtest:` moves the forecast's origin through the past, each time in a nested run, and tells mean and spread.

use std::path::PathBuf;

use anyhow::Result;
use burn::tensor::Device;
use dataset::{BacktestConfig, SeriesSource, SeriesSplits};
use training::metrics::{Direction, FORECAST_METRICS};

use crate::fitting::{Learner, fit};
use crate::folds::{FoldNames, FoldScores, fold_scores, report_folds};
use crate::forecast::job::ForecastJob;
use crate::outputs::log_input;
use crate::recipes::ts_mlp::Config;
use crate::session::Session;

const NAMES: FoldNames =
    FoldNames { metrics: "backtest", picture: "backtest", title: "Rolling-origin back-test", split: "test" };

/// Scores one block after the other by a network that has seen only what lies before, and logs
/// `backtest_<metric>_mean` and `backtest_<metric>_std` to the parent run.
///
/// The blocks end with the valid part, so the run's own test part stays unseen. With `refit`, each fold trains a network of
/// its own, whose best epoch the block before the scored one decides; else the first fold's network scores all blocks.
pub fn backtest(
    settings: &BacktestConfig,
    source: &SeriesSource,
    config: &Config,
    device: &Device,
    session: &Session,
) -> Result<()> {
    let (mut scores, mut fitted): (Vec<FoldScores>, Option<PathBuf>) = (Vec::new(), None);
    let folds = source.backtest(settings)?;
    for fold in &folds {
        let name = format!("backtest {} of {}", fold.fold, folds.len());
        let tags = [("model_type", ForecastJob::MODEL_TYPE.to_owned()), ("backtest.fold", fold.fold.to_string())];
        let known = fitted.clone().filter(|_| !settings.refit);
        let (of_fold, weights) = session.nested(&name, &tags, |nested| {
            let splits = source.fold(fold)?;
            log_input(&nested.run, &splits.info);
            score_fold(&splits, known, config, device, nested)
        })?;
        scores.push(of_fold);
        fitted = Some(weights);
    }
    let direction = |metric: &training::metrics::ForecastMetric| Some((metric.name, metric.direction?));
    let shown: Vec<(&str, Direction)> = FORECAST_METRICS.iter().filter_map(direction).collect();
    report_folds(session, &NAMES, &scores, &shown, config.training.early_stopping.metric())
}

/// Scores of the fold's test block, and the weights that made them: `known` ones, or those trained here.
fn score_fold(
    splits: &SeriesSplits,
    known: Option<PathBuf>,
    config: &Config,
    device: &Device,
    session: &Session,
) -> Result<(FoldScores, PathBuf)> {
    let job = ForecastJob::new(&config.model, &config.training, splits, device)?;
    let weights = match known {
        Some(weights) => weights,
        None => fit(&job, config.seed, session)?.weights,
    };
    let scores = job.score(&[job.load(&weights)?], &splits.test)?;
    let named = scores.metrics.named(NAMES.split);
    session.log_metrics(&named, 0);
    Ok((fold_scores(named), weights))
}
