//! Searching the settings of `train_tabular_mlp`.

use anyhow::Result;
use burn::tensor::Device;
use dataset::{CrossValidationConfig, DatasetInfo, Splits};
use training::TrainingConfig;
use training::metrics::Direction;

use crate::device::DeviceKind;
use crate::history::ResultTable;
use crate::recipes::tabular_mlp::{self, Config};
use crate::session::Session;
use crate::tabular::job::{SplitRows, TabularJob};
use crate::tune::tunable::{Scored, Tunable, Watch, fit_network};

/// Encoded rows on the device; the test part is empty.
pub struct TabularData {
    splits: Splits,
    rows: SplitRows,
}

impl Tunable for Config {
    const DATA_SECTIONS: &'static [&'static str] = &["data", "features"];
    const FIXED: &'static [&'static str] = &[
        "data.source",
        "data.path",
        "data.url",
        "data.sha256",
        "data.train_path",
        "data.valid_path",
        "data.test_path",
        "data.target",
        "data.problem_type",
        "data.positive_class",
        "data.target_bins",
        "data.split",
        "interval_coverage",
    ];
    const SPLIT_SEED: Option<&'static str> = Some("data.split.seed");
    type Data = TabularData;

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
        Ok(serde_json::to_string(&(&self.data, &self.features))?)
    }

    fn init_from(&self) -> Option<&str> {
        self.init_from.as_deref()
    }

    fn prepare(&self, folds: Option<usize>, device: &Device, session: &Session) -> Result<Vec<TabularData>> {
        let source = tabular_mlp::open_data(self, None, session)?;
        let ready = |mut splits: Splits| TabularData { rows: SplitRows::new(&mut splits, device), splits };
        let Some(folds) = folds else { return Ok(vec![ready(source.train_and_valid()?)]) };
        let stratify = self.data.split.stratify;
        let folds = source.folds(&CrossValidationConfig { folds, stratify, ..CrossValidationConfig::default() })?;
        folds.iter().map(|fold| Ok(ready(source.fold(fold)?))).collect()
    }

    fn info(data: &TabularData) -> &DatasetInfo {
        &data.splits.info
    }

    fn direction_of(&self, data: &TabularData, metric: &str) -> Result<Direction, Vec<&'static str>> {
        let kind = crate::tabular::scoring::kind_of(crate::tabular::scoring::task_of(&data.splits.preprocessor));
        training::metrics::direction_of(metric, kind)
    }

    fn fit(&self, data: &TabularData, seed: u64, device: &Device, watch: &mut Watch) -> Result<Scored> {
        let job = TabularJob::on(&self.model, &self.training, &data.splits, data.rows.clone(), device)?;
        fit_network(&job, seed, watch)
    }

    fn train(&self, session: &Session) -> Result<ResultTable> {
        tabular_mlp::train(self, session)
    }
}
