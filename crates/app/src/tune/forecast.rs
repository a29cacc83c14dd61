//! Searching the settings of `train_ts_mlp`.

use std::mem;

use anyhow::Result;
use burn::tensor::Device;
use dataset::{BacktestConfig, DatasetInfo, SeriesSplits};
use training::TrainingConfig;
use training::metrics::{Direction, forecast_direction_of};

use crate::device::DeviceKind;
use crate::forecast::job::ForecastJob;
use crate::history::ResultTable;
use crate::recipes::ts_mlp::{self, Config};
use crate::session::Session;
use crate::tune::tunable::{Scored, Tunable, Watch, fit_network};

impl Tunable for Config {
    const DATA_SECTIONS: &'static [&'static str] = &["data", "features", "windows"];
    const FIXED: &'static [&'static str] = &[
        "data.source",
        "data.path",
        "data.url",
        "data.sha256",
        "data.time",
        "data.targets",
        "data.group",
        "data.frequency",
        "data.split",
        "windows.horizon",
        "interval_coverage",
        "predictions",
    ];
    const SPLIT_SEED: Option<&'static str> = None;
    /// Without test windows.
    type Data = SeriesSplits;

    fn seed(&self) -> u64 {
        self.seed
    }

    fn device(&self) -> DeviceKind {
        self.device
    }

    fn training(&self) -> &TrainingConfig {
        &self.training
    }

    fn data_key(&self) -> Result<String> {
        // The kind of network decides which features are used.
        Ok(serde_json::to_string(&(&self.data, &self.features, &self.windows, self.model.kind))?)
    }

    fn init_from(&self) -> Option<&str> {
        self.init_from.as_deref()
    }

    /// A fold is scored by the block that a back-test scores; the block before it is a gap.
    fn prepare(&self, folds: Option<usize>, _: &Device, session: &Session) -> Result<Vec<SeriesSplits>> {
        let source = ts_mlp::open_data(self, None, session)?;
        let Some(folds) = folds else {
            let mut splits = source.splits()?;
            splits.test.clear();
            return Ok(vec![splits]);
        };
        let folds = source.backtest(&BacktestConfig { folds, ..BacktestConfig::default() })?;
        let scored = |fold| -> Result<SeriesSplits> {
            let mut splits = source.fold(fold)?;
            splits.valid = mem::take(&mut splits.test);
            Ok(splits)
        };
        folds.iter().map(scored).collect()
    }

    fn info(data: &SeriesSplits) -> &DatasetInfo {
        &data.info
    }

    fn direction_of(&self, _: &SeriesSplits, metric: &str) -> Result<Direction, Vec<&'static str>> {
        forecast_direction_of(metric, !self.model.quantiles.is_empty())
    }

    fn fit(&self, data: &SeriesSplits, seed: u64, device: &Device, watch: &mut Watch) -> Result<Scored> {
        fit_network(&ForecastJob::new(&self.model, &self.training, data, device)?, seed, watch)
    }

    fn train(&self, session: &Session) -> Result<ResultTable> {
        ts_mlp::train(self, session)
    }
}
