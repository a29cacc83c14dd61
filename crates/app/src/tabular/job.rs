//! The tabular network and the rows that it learns from.

use std::path::{Path, PathBuf};
use std::slice;

use anyhow::Result;
use burn::tensor::Device;
use dataset::{DatasetInfo, Splits};
use modeling::{Inputs, Loss, TabularMlp, TabularMlpConfig, Task};
use training::metrics::{Direction, direction_of, metrics_for};
use training::{ClassWeights, EpochEnd, StepOutput, TrainingConfig};

use crate::exit::Mistake;
use crate::fitting::{Learner, check_monitor, seeded, start_from};
use crate::history::Metrics;
use crate::tabular::scoring::{self, Rows, Scores};

/// What to train, and on what.
pub struct TabularJob<'a> {
    /// Shape of the network.
    pub model: &'a TabularMlpConfig,
    /// The loop.
    pub training: &'a TrainingConfig,
    /// What is known of the rows; their inputs stand in `train`, `valid` and `test`.
    pub splits: &'a Splits,
    /// What goes in.
    pub inputs: Inputs,
    /// What comes out.
    pub task: Task,
    /// The training loss, with the weight of each class.
    pub loss: Loss,
    /// Where tensors live.
    pub device: Device,
    /// Rows to learn from, with gradients.
    pub train: Rows,
    /// Rows to choose the epoch by.
    pub valid: Rows,
    /// Rows to score once, at the end.
    pub test: Rows,
    /// Weights to start from, in place of random ones: those of each member of an ensemble in turn.
    pub init_from: &'a [PathBuf],
}

/// The encoded rows of each part on a device. Cheap to clone.
#[derive(Clone)]
pub struct SplitRows {
    /// With gradients.
    pub train: Rows,
    /// Without.
    pub valid: Rows,
    /// Without.
    pub test: Rows,
}

impl SplitRows {
    /// Moves the inputs of all parts to the device, so that they are in memory once.
    pub fn new(splits: &mut Splits, device: &Device) -> Self {
        let preprocessor = splits.preprocessor.clone();
        let train = Rows::new(&mut splits.train, &preprocessor, &device.clone().autodiff());
        let [valid, test] = [&mut splits.valid, &mut splits.test].map(|part| Rows::new(part, &preprocessor, device));
        Self { train, valid, test }
    }
}

impl<'a> TabularJob<'a> {
    /// Moves the encoded rows to the device: they stand in memory once.
    pub fn new(
        model: &'a TabularMlpConfig,
        training: &'a TrainingConfig,
        splits: &'a mut Splits,
        device: &Device,
    ) -> Result<Self> {
        let rows = SplitRows::new(splits, device);
        Self::on(model, training, splits, rows, device)
    }

    /// As [`Self::new`], of rows that are on the device already.
    pub fn on(
        model: &'a TabularMlpConfig,
        training: &'a TrainingConfig,
        splits: &'a Splits,
        rows: SplitRows,
        device: &Device,
    ) -> Result<Self> {
        let preprocessor = &splits.preprocessor;
        let (inputs, task) = (scoring::inputs_of(preprocessor), scoring::task_of(preprocessor));
        let weights = class_weights(training, splits)?;
        let loss = Loss::new(task, weights.as_deref(), training.label_smoothing, &device.clone().autodiff());
        let (device, SplitRows { train, valid, test }) = (device.clone(), rows);
        Ok(Self { model, training, splits, inputs, task, loss, device, train, valid, test, init_from: &[] })
    }

    /// A network to predict with, with the weights of a file.
    pub fn load(&self, weights: &Path) -> Result<TabularMlp> {
        let model = self.model.init(&self.inputs, self.task.n_outputs(), &self.device);
        Ok(modeling::load_weights(model, weights)?)
    }

    /// Loss and metrics of the valid rows.
    pub fn score_valid(&self, model: &TabularMlp) -> Scores {
        let forward = scoring::ensemble(slice::from_ref(model), self.task);
        scoring::evaluate(forward, &self.valid, &self.splits.valid, self.task, &self.splits.preprocessor)
    }

    /// Losses and metrics of train, valid and test rows: of one network, or of what several predict on average.
    pub fn score(&self, models: &[TabularMlp]) -> [Scores; 3] {
        let forward = scoring::ensemble(models, self.task);
        let (splits, train) = (self.splits, self.train.inner());
        [(&train, &splits.train), (&self.valid, &splits.valid), (&self.test, &splits.test)]
            .map(|(rows, part)| scoring::evaluate(&forward, rows, part, self.task, &splits.preprocessor))
    }
}

impl Learner for TabularJob<'_> {
    type Model = TabularMlp;
    const MODEL_TYPE: &'static str = "tabular_mlp";

    fn training(&self) -> &TrainingConfig {
        self.training
    }

    fn info(&self) -> &DatasetInfo {
        &self.splits.info
    }

    fn n_samples(&self) -> usize {
        self.splits.train.n_rows()
    }

    fn sizes(&self) -> String {
        format!("{} train, {} val rows", self.splits.train.n_rows(), self.splits.valid.n_rows())
    }

    fn loss_name(&self) -> &'static str {
        self.task.loss_name()
    }

    fn direction_of(&self, metric: &str) -> Result<Direction, Vec<&'static str>> {
        direction_of(metric, scoring::kind_of(self.task))
    }

    fn device(&self) -> &Device {
        &self.device
    }

    /// Fresh weights, or those of `init_from`; another seed starts from another member.
    fn init(&self, seed: u64) -> Result<TabularMlp> {
        let device = self.device.clone().autodiff();
        let model = seeded(&device, seed, || self.model.init(&self.inputs, self.task.n_outputs(), &device));
        start_from(model, self.init_from, seed)
    }

    fn step(&self, model: &TabularMlp, rows: &[u32]) -> StepOutput {
        let batch = self.train.select(rows);
        let output = model.forward(batch.numeric, batch.categorical);
        StepOutput { loss: self.loss.compute(output.clone(), batch.target), output }
    }

    fn score_epoch(&self, end: &EpochEnd<TabularMlp>) -> Result<[Metrics; 2]> {
        let (splits, task) = (self.splits, self.task);
        let target: Vec<f32> = end.train_rows.iter().map(|&row| splits.train.target[row as usize]).collect();
        let trained = scoring::score(end.train_output.clone(), end.train_loss, &target, task, &splits.preprocessor);
        let forward = |numeric, categorical| end.model.forward(numeric, categorical);
        let validated = scoring::evaluate(forward, &self.valid, &splits.valid, task, &splits.preprocessor);
        Ok([trained.metrics, validated.metrics])
    }
}

/// The metric that models are compared by: the monitored one, or the first where that is the loss.
pub fn shown_metric(training: &TrainingConfig, splits: &Splits) -> (&'static str, Direction) {
    let kind = scoring::kind_of(scoring::task_of(&splits.preprocessor));
    let monitor = training.early_stopping.metric();
    let monitored = metrics_for(kind).find(|metric| metric.name == monitor);
    let metric = monitored.or_else(|| metrics_for(kind).next());
    metric.map_or(("loss", Direction::Minimize), |metric| (metric.name, metric.direction))
}

/// Says whether the settings can be right for this data, before anything is trained on it.
pub fn check_fits(training: &TrainingConfig, splits: &Splits) -> Result<()> {
    let kind = scoring::kind_of(scoring::task_of(&splits.preprocessor));
    check_monitor(training, |metric| direction_of(metric, kind))?;
    class_weights(training, splits).map(drop)
}

/// The weight of each class in the training loss; `None` if all weigh the same.
fn class_weights(training: &TrainingConfig, splits: &Splits) -> Result<Option<Vec<f32>>> {
    let labels = splits.preprocessor.target.labels();
    let is_plain = training.class_weights == ClassWeights::None && training.label_smoothing == 0.0;
    if labels.is_empty() && !is_plain {
        let problem = "`training.class_weights` and `training.label_smoothing` need classes; the target is a number";
        return Err(Mistake::new(problem).into());
    }
    let mut counts = vec![0; labels.len()];
    if !labels.is_empty() {
        splits.train.target.iter().for_each(|&class| counts[class as usize] += 1);
    }
    let weights = training.class_weights.resolve(labels, &counts);
    Ok(weights.map_err(|(key, problem)| Mistake::new(format!("`training.{key}`: {problem}")))?)
}
