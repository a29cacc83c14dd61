//! The forecasting network and the windows that it learns from.

use std::mem;
use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};
use dataset::{DatasetInfo, SeriesBatch, SeriesShape, SeriesSplits, Window};
use modeling::{ForecastBatch, ForecastShape, Forecaster, ForecasterConfig};
use training::metrics::{Direction, FORECAST_METRICS, forecast_direction_of};
use training::{ClassWeights, EpochEnd, StepOutput, TrainingConfig};

use crate::exit::Mistake;
use crate::fitting::{Learner, seeded, start_from};
use crate::forecast::scoring::{ForecastScores, score};
use crate::history::Metrics;

/// What to train, and on what.
pub struct ForecastJob<'a> {
    /// Kind and shape of the network.
    pub model: &'a ForecasterConfig,
    /// The loop.
    pub training: &'a TrainingConfig,
    /// The windows of each part.
    pub splits: &'a SeriesSplits,
    /// What goes in and what comes out.
    pub shape: ForecastShape,
    /// Where tensors live.
    pub device: Device,
    /// Weights to start from, in place of random ones: those of each member of an ensemble in turn.
    pub init_from: &'a [PathBuf],
}

impl<'a> ForecastJob<'a> {
    /// Errors if the settings cannot be right for this data, before anything is trained on it.
    pub fn new(
        model: &'a ForecasterConfig,
        training: &'a TrainingConfig,
        splits: &'a SeriesSplits,
        device: &Device,
    ) -> Result<Self> {
        let shape = forecast_shape(&splits.shape());
        model.check_shape(&shape).map_err(|(key, reason)| Mistake::new(format!("`model.{key}`: {reason}")))?;
        Ok(Self { model, training, splits, shape, device: device.clone(), init_from: &[] })
    }

    /// A network to forecast with, with the weights of a file.
    pub fn load(&self, weights: &Path) -> Result<Forecaster> {
        load(self.model, &self.shape, weights, &self.device)
    }

    /// Loss and metrics of windows: of one network, or of the mean of what several forecast.
    pub fn score(&self, models: &[Forecaster], windows: &[Window]) -> Result<ForecastScores> {
        let mut networks = Networks::new(self, models);
        let mut scores = score(self.splits, windows, &self.model.quantiles, |batch| Ok(networks.predict(batch)))?;
        scores.metrics.loss = networks.mean_loss();
        Ok(scores)
    }

    /// The metric that models are compared by: the monitored one; where that is the loss or needs quantiles, `mae`, of several
    /// targets on the standardised scale, because their units may differ.
    pub fn shown_metric(&self) -> (&'static str, Direction) {
        let monitor = self.training.early_stopping.metric();
        let monitored = FORECAST_METRICS.iter().find(|metric| metric.name == monitor && monitor != "pinball");
        let direction = |metric: &training::metrics::ForecastMetric| Some((metric.name, metric.direction?));
        let default = if self.shape.n_targets > 1 { "mae_scaled" } else { "mae" };
        monitored.and_then(direction).unwrap_or((default, Direction::Minimize))
    }
}

/// The wrong key and the reason, if a forecaster cannot be trained with these settings.
pub fn check_training(training: &TrainingConfig, model: &ForecasterConfig) -> Result<(), (String, String)> {
    let monitor = training.early_stopping.metric();
    if let Err(names) = forecast_direction_of(monitor, !model.quantiles.is_empty()) {
        let problem = format!("no metric `{monitor}` of forecasts; there are {}", names.join(", "));
        return Err(("training.early_stopping.monitor".to_owned(), problem));
    }
    for (key, is_plain) in [
        ("training.class_weights", training.class_weights == ClassWeights::None),
        ("training.label_smoothing", training.label_smoothing == 0.0),
    ] {
        if !is_plain {
            return Err((key.to_owned(), "it needs classes, and this is a forecast".to_owned()));
        }
    }
    Ok(())
}

/// A network to forecast with, with the weights of a file.
pub fn load(config: &ForecasterConfig, shape: &ForecastShape, weights: &Path, device: &Device) -> Result<Forecaster> {
    Ok(modeling::load_weights(config.init(shape, device), weights)?)
}

/// The facts of the data that the network is shaped by.
pub fn forecast_shape(shape: &SeriesShape) -> ForecastShape {
    ForecastShape {
        n_targets: shape.n_targets,
        n_past: shape.n_past,
        n_future: shape.n_future,
        lookback: shape.lookback,
        horizon: shape.horizon,
    }
}

/// Networks that forecast together, and their loss on what they have seen.
pub struct Networks<'a> {
    config: &'a ForecasterConfig,
    shape: &'a ForecastShape,
    models: &'a [Forecaster],
    device: &'a Device,
    loss_sum: f64,
    n_windows: usize,
}

impl<'a> Networks<'a> {
    /// At least one network, all of the job's shape.
    pub fn new(job: &'a ForecastJob, models: &'a [Forecaster]) -> Self {
        Self::of(job.model, &job.shape, models, &job.device)
    }

    /// As [`Self::new`] without a job. `device` without gradients.
    pub fn of(
        config: &'a ForecasterConfig,
        shape: &'a ForecastShape,
        models: &'a [Forecaster],
        device: &'a Device,
    ) -> Self {
        Self { config, shape, models, device, loss_sum: 0.0, n_windows: 0 }
    }

    /// Takes the windows out of the batch; gives the mean of what the networks forecast for them, scaled,
    /// `[batch * targets, quantiles * horizon]`.
    pub fn predict(&mut self, batch: &mut SeriesBatch) -> Vec<f32> {
        let target = target_tensor(batch, self.shape, self.device);
        let inputs = input_tensors(batch, self.shape, self.device);
        let n_windows = inputs.past.dims()[0];
        let outputs = self.models.iter().map(|model| model.forward(&inputs));
        let Some(sum) = outputs.reduce(|sum, output| sum + output) else { return Vec::new() };
        let mean = if self.models.len() > 1 { sum.div_scalar(self.models.len() as f64) } else { sum };
        if let Some(target) = target {
            let loss = self.config.loss(mean.clone(), target).into_scalar::<f32>();
            self.loss_sum += f64::from(loss) * n_windows as f64;
            self.n_windows += n_windows;
        }
        mean.into_data().iter::<f32>().collect()
    }

    /// Mean training loss over all windows so far.
    pub fn mean_loss(&self) -> f64 {
        self.loss_sum / self.n_windows as f64
    }
}

/// Moves the inputs of a batch to the device.
fn input_tensors(batch: &mut SeriesBatch, shape: &ForecastShape, device: &Device) -> ForecastBatch {
    let tensor =
        |values: &mut Vec<f32>, dims: [usize; 3]| Tensor::from_data(TensorData::new(mem::take(values), dims), device);
    let ForecastShape { n_targets, n_past, n_future, lookback, horizon } = *shape;
    let n_windows = batch.past.len() / (n_targets * lookback);
    ForecastBatch {
        past: tensor(&mut batch.past, [n_windows, n_targets, lookback]),
        past_covariates: tensor(&mut batch.past_covariates, [n_windows, n_past, lookback]),
        future_covariates: tensor(&mut batch.future_covariates, [n_windows, n_future, lookback + horizon]),
    }
}

/// Moves the targets of a batch to the device, `[batch * targets, horizon]`; `None` if it has none.
fn target_tensor(batch: &mut SeriesBatch, shape: &ForecastShape, device: &Device) -> Option<Tensor<2>> {
    let target = mem::take(&mut batch.target);
    let rows = target.len() / shape.horizon;
    (rows > 0).then(|| Tensor::from_data(TensorData::new(target, [rows, shape.horizon]), device))
}

impl Learner for ForecastJob<'_> {
    type Model = Forecaster;
    const MODEL_TYPE: &'static str = "ts_mlp";

    fn training(&self) -> &TrainingConfig {
        self.training
    }

    fn info(&self) -> &DatasetInfo {
        &self.splits.info
    }

    fn n_samples(&self) -> usize {
        self.splits.train.len()
    }

    fn sizes(&self) -> String {
        format!("{} train, {} val windows", self.splits.train.len(), self.splits.valid.len())
    }

    fn loss_name(&self) -> &'static str {
        self.model.loss_name()
    }

    fn direction_of(&self, metric: &str) -> Result<Direction, Vec<&'static str>> {
        forecast_direction_of(metric, !self.model.quantiles.is_empty())
    }

    fn device(&self) -> &Device {
        &self.device
    }

    /// Fresh weights, or those of `init_from`; another seed starts from another member.
    fn init(&self, seed: u64) -> Result<Forecaster> {
        let device = self.device.clone().autodiff();
        let model = seeded(&device, seed, || self.model.init(&self.shape, &device));
        start_from(model, self.init_from, seed)
    }

    /// The output is what the epoch's train metrics need, and no more, so that memory does not grow with the horizon: mean
    /// squared and mean absolute error of each target of each window, `[batch, 2 * targets]`.
    fn step(&self, model: &Forecaster, samples: &[u32]) -> StepOutput {
        let windows: Vec<Window> = samples.iter().map(|&sample| self.splits.train[sample as usize]).collect();
        let mut batch = self.splits.batch(&windows);
        let device = self.device.clone().autodiff();
        let errors = batch.target.clone();
        let Some(target) = target_tensor(&mut batch, &self.shape, &device) else {
            unreachable!("train windows have targets")
        };
        let output = model.forward(&input_tensors(&mut batch, &self.shape, &device));
        let loss = self.model.loss(output.clone(), target);
        StepOutput { loss, output: self.window_errors(output, errors) }
    }

    fn score_epoch(&self, end: &EpochEnd<Forecaster>) -> Result<[Metrics; 2]> {
        let valid = self.score(std::slice::from_ref(&end.model), &self.splits.valid)?;
        Ok([self.train_metrics(end), valid.metrics])
    }
}

impl ForecastJob<'_> {
    /// `output` `[batch * targets, quantiles * horizon]`, `target` `[batch * targets, horizon]` -> `[batch, 2 * targets]`
    fn window_errors(&self, output: Tensor<2>, target: Vec<f32>) -> Tensor<2> {
        let (horizon, n_targets) = (self.shape.horizon, self.shape.n_targets);
        let columns = horizon * self.model.n_quantiles();
        let point = self.model.median_index() * horizon;
        let output: Vec<f32> = output.inner().into_data().iter::<f32>().collect();
        let mut errors = Vec::with_capacity(2 * output.len() / columns);
        for (forecast, target) in output.chunks(columns).zip(target.chunks(horizon)) {
            let forecast = &forecast[point..point + horizon];
            let (mut squared, mut absolute) = (0.0_f32, 0.0_f32);
            for (forecast, target) in forecast.iter().zip(target) {
                let error = forecast - target;
                squared += error * error;
                absolute += error.abs();
            }
            errors.extend([squared / horizon as f32, absolute / horizon as f32]);
        }
        let n_windows = errors.len() / (2 * n_targets);
        Tensor::from_data(TensorData::new(errors, [n_windows, 2 * n_targets]), &self.device.clone().autodiff())
    }

    /// Of an epoch in training mode, from what the steps kept.
    fn train_metrics(&self, end: &EpochEnd<Forecaster>) -> Metrics {
        let n_targets = self.shape.n_targets;
        let errors: Vec<f32> = end.train_output.clone().into_data().iter::<f32>().collect();
        let (mut mse, mut mae, mut mse_scaled, mut mae_scaled) = (0.0, 0.0, 0.0, 0.0);
        for (&sample, errors) in end.train_rows.iter().zip(errors.chunks(2 * n_targets)) {
            let series = self.splits.train[sample as usize].series as usize;
            for (target, pair) in errors.chunks(2).enumerate() {
                let (factor, [squared, absolute]) = (self.splits.scale(series, target).factor, [pair[0], pair[1]]);
                mse_scaled += f64::from(squared);
                mae_scaled += f64::from(absolute);
                mse += f64::from(squared) * factor * factor;
                mae += f64::from(absolute) * factor;
            }
        }
        let n = (end.train_rows.len() * n_targets) as f64;
        let values = vec![
            ("mae", mae / n),
            ("rmse", (mse / n).sqrt()),
            ("mse", mse / n),
            ("mse_scaled", mse_scaled / n),
            ("mae_scaled", mae_scaled / n),
        ];
        Metrics { loss: end.train_loss, values }
    }
}
