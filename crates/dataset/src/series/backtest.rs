//! A back-test with a rolling origin: where its blocks lie.

use super::SeriesEncoder;
use super::features::BacktestConfig;
use super::fitting::{Windows, enumerate, fit_encoder};
use super::source::SeriesSource;
use super::splits::SeriesSplits;
use super::windows::Parts;
use crate::{Error, Result};

/// One block that is scored, by a model of what came before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BacktestFold {
    /// From 1, in the order of time.
    pub fold: usize,
    /// Epoch seconds of the first and the last scored step, over all series.
    pub scored: (i64, i64),
    pub(crate) parts: Vec<Parts>,
}

impl SeriesSource {
    /// The blocks of a back-test within train and valid; the last one ends with the valid part. Before each scored
    /// block lies one of the same length to choose the best epoch by, and all before that is to learn from. Errors if a
    /// block has no window.
    pub fn backtest(&self, config: &BacktestConfig) -> Result<Vec<BacktestFold>> {
        config.check()?;
        let horizon = self.unfitted.windows.horizon;
        if let Some(step) = config.step.filter(|&step| step < horizon) {
            let problem = format!("a block of {step} steps has no window with a horizon of {horizon}");
            return Err(Error::Setting { key: "backtest.step", problem });
        }
        let folds: Vec<BacktestFold> = (1..=config.folds).map(|fold| self.block(fold, config)).collect();
        let first = &folds[0];
        let longest = first.parts.iter().map(|parts| parts.0[0]).max().unwrap_or(0);
        if longest < self.unfitted.windows.lookback + horizon {
            let problem = format!(
                "the first of {} folds would have {longest} steps to learn from, fewer than look-back + horizon = {}; \
                 lower `backtest.folds` or `backtest.step`",
                config.folds,
                self.unfitted.windows.lookback + horizon
            );
            return Err(Error::Setting { key: "backtest.folds", problem });
        }
        for fold in &folds {
            self.fit_fold(fold, None).map_err(|error| {
                let problem = format!("block {} of {}: {error}", fold.fold, config.folds);
                Error::Setting { key: "backtest.folds", problem }
            })?;
        }
        Ok(folds)
    }

    fn block(&self, fold: usize, config: &BacktestConfig) -> BacktestFold {
        let after = config.folds - fold;
        let divide = |parts: &Parts| {
            let step = config.step.unwrap_or_else(|| parts.range(1).len());
            let border = |blocks: usize| parts.0[1].saturating_sub(blocks * step);
            Parts([border(after + 2), border(after + 1), border(after)])
        };
        let parts: Vec<Parts> = self.parts.iter().map(divide).collect();
        let time = |series: usize, step: usize| self.raw.series[series].time(self.raw.frequency, step);
        let first = parts.iter().enumerate().map(|(i, parts)| time(i, parts.0[1])).min();
        let last = parts.iter().enumerate().map(|(i, parts)| time(i, parts.0[2].max(1) - 1)).max();
        BacktestFold { fold, scored: (first.unwrap_or(0), last.unwrap_or(0)), parts }
    }

    /// The windows of a fold, with everything fitted on its own train steps.
    pub fn fold(&self, fold: &BacktestFold) -> Result<SeriesSplits> {
        let (encoder, windows, warnings) = self.fit_fold(fold, None)?;
        Ok(self.with_windows(&fold.parts, encoder, windows, warnings))
    }

    /// The windows of a fold for a model that was trained before, such as that of the first fold: nothing is fitted.
    pub fn fold_for(&self, fold: &BacktestFold, model: &SeriesEncoder) -> Result<SeriesSplits> {
        let (encoder, windows, warnings) = self.fit_fold(fold, Some(model))?;
        Ok(self.with_windows(&fold.parts, encoder, windows, warnings))
    }

    fn fit_fold(
        &self,
        fold: &BacktestFold,
        model: Option<&SeriesEncoder>,
    ) -> Result<(SeriesEncoder, Windows, Vec<String>)> {
        let mut warnings = Vec::new();
        let encoder = fit_encoder(&self.unfitted, &self.raw, &fold.parts, model, &self.file, &mut warnings)?;
        let windows = enumerate(&self.raw, &encoder, &fold.parts, &self.file)?;
        Ok((encoder, windows, warnings))
    }
}
