//! A back-test with a rolling origin: where its blocks lie.

use super::SeriesEncoder;
use super::features::BacktestConfig;
use super::fitting::{Windows, enumerate, fit_encoder};
use super::source::SeriesSource;
use super::splits::SeriesSplits;
use super::windows::Parts;
use crate::{Error, Result};

/// One block that is scored, by a model of what came before.
#[derive(Clone, Debug)]
pub struct BacktestFold {
    /// From 1, in the order of time.
    pub fold: usize,
    /// Epoch seconds of the first and the last scored step, over all series.
    pub scored: (i64, i64),
    parts: Vec<Parts>,
    /// Fitted on its own train steps.
    encoder: SeriesEncoder,
    windows: Windows,
    warnings: Vec<String>,
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
        let blocks: Vec<Vec<Parts>> = (1..=config.folds).map(|fold| self.block(fold, config)).collect();
        let longest = blocks[0].iter().map(|parts| parts.0[0]).max().unwrap_or(0);
        let reach = self.unfitted.reach();
        let needed = self.unfitted.windows.lookback + horizon + reach;
        if longest < needed {
            let what = if reach > 0 { " + what lags and rolling statistics reach back" } else { "" };
            let problem = format!(
                "the first of {} folds would have {longest} steps to learn from, fewer than look-back + horizon{what} \
                 = {needed}; lower `backtest.folds` or `backtest.step`",
                config.folds,
            );
            return Err(Error::Setting { key: "backtest.folds", problem });
        }
        (1..).zip(blocks).map(|(fold, parts)| self.fitted(fold, parts, config.folds)).collect()
    }

    /// The parts of each series.
    fn block(&self, fold: usize, config: &BacktestConfig) -> Vec<Parts> {
        let after = config.folds - fold;
        let divide = |parts: &Parts| {
            let step = config.step.unwrap_or_else(|| parts.range(1).len());
            let border = |blocks: usize| parts.0[1].saturating_sub(blocks * step);
            Parts([border(after + 2), border(after + 1), border(after)])
        };
        self.parts.iter().map(divide).collect()
    }

    fn fitted(&self, fold: usize, parts: Vec<Parts>, n_folds: usize) -> Result<BacktestFold> {
        let (encoder, windows, warnings) = self.fit_block(&parts, None).map_err(|error| {
            let problem = format!("block {fold} of {n_folds}: {error}");
            Error::Setting { key: "backtest.folds", problem }
        })?;
        let time = |series: usize, step: usize| self.raw.series[series].time(self.raw.frequency, step);
        let scored = || parts.iter().map(|parts| parts.range(2)).enumerate().filter(|(_, steps)| !steps.is_empty());
        let first = scored().map(|(series, steps)| time(series, steps.start)).min();
        let last = scored().map(|(series, steps)| time(series, steps.end - 1)).max();
        let scored = (first.unwrap_or(0), last.unwrap_or(0));
        Ok(BacktestFold { fold, scored, parts, encoder, windows, warnings })
    }

    /// The windows of a fold, with everything fitted on its own train steps.
    pub fn fold(&self, fold: &BacktestFold) -> Result<SeriesSplits> {
        let BacktestFold { parts, encoder, windows, warnings, .. } = fold.clone();
        Ok(self.with_windows(&parts, encoder, windows, warnings))
    }

    /// The windows of a fold for a model that was trained before, such as that of the first fold: nothing is fitted.
    pub fn fold_for(&self, fold: &BacktestFold, model: &SeriesEncoder) -> Result<SeriesSplits> {
        let (encoder, windows, warnings) = self.fit_block(&fold.parts, Some(model))?;
        Ok(self.with_windows(&fold.parts, encoder, windows, warnings))
    }

    fn fit_block(
        &self,
        parts: &[Parts],
        model: Option<&SeriesEncoder>,
    ) -> Result<(SeriesEncoder, Windows, Vec<String>)> {
        let mut warnings = Vec::new();
        let encoder = fit_encoder(&self.unfitted, &self.raw, parts, model, &self.file, &mut warnings)?;
        let windows = enumerate(&self.raw, &encoder, parts, &self.file)?;
        Ok((encoder, windows, warnings))
    }
}
