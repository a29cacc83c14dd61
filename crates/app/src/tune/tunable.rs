//! What `tune` needs of a program, and the training of one network for a trial.

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::Device;
use dataset::DatasetInfo;
use training::metrics::Direction;
use training::{EarlyStopping, EpochEnd, Next, Plan, StepEnd, TrainingConfig, Verdict, fit as run_loop};

use crate::device::DeviceKind;
use crate::fitting::{Learner, check_monitor, loop_error, never_a_number};
use crate::history::{History, Metrics, ResultTable};
use crate::program::TrainingProgram;
use crate::session::Session;

/// A training program whose config can be searched.
pub trait Tunable: TrainingProgram + Send + Sync {
    /// The sections that decide what the data is, beside `model` and `training`.
    const DATA_SECTIONS: &'static [&'static str];
    /// Keys in them that a search must leave alone: with another split or target, trials cannot be compared.
    const FIXED: &'static [&'static str];
    /// The key that keeps the split when the seed changes; `None` if the split has nothing random.
    const SPLIT_SEED: Option<&'static str>;
    /// Train and valid rows (or windows), prepared for any network. There are no test rows in it.
    type Data: Send + Sync;

    /// `seed:`
    fn seed(&self) -> u64;
    /// `device:`
    fn device(&self) -> DeviceKind;
    /// `training:`
    fn training(&self) -> &TrainingConfig;
    /// The settings that decide the data, as text: what is prepared once for all trials that agree in it.
    fn data_key(&self) -> Result<String>;
    /// The model that trainings go on from, which a search cannot have.
    fn init_from(&self) -> Option<&str>;
    /// Reads and prepares the data: one part, or one for each fold.
    fn prepare(&self, folds: Option<usize>, device: &Device, session: &Session) -> Result<Vec<Self::Data>>;
    /// What to record about it.
    fn info(data: &Self::Data) -> &DatasetInfo;
    /// Which way a metric is better, or the names to choose from.
    fn direction_of(&self, data: &Self::Data, metric: &str) -> Result<Direction, Vec<&'static str>>;
    /// Trains one network with this config.
    fn fit(&self, data: &Self::Data, seed: u64, device: &Device, watch: &mut Watch) -> Result<Scored>;
    /// The whole program.
    fn train(&self, session: &Session) -> Result<ResultTable>;
}

/// Called after an epoch: see [`Watch::on_epoch`].
pub type OnEpoch<'a> = dyn FnMut(usize, &[(String, f64)], &Metrics) -> Result<Next> + 'a;

/// Who follows a training.
pub struct Watch<'a> {
    /// After an epoch: its number, its metrics as they are logged, the metrics of the valid rows; says whether to go on.
    pub on_epoch: &'a mut OnEpoch<'a>,
    /// Whether to stop in the middle of an epoch.
    pub is_stopped: &'a dyn Fn() -> bool,
}

/// A trained network's scores.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Of the valid rows at the best epoch; no epoch was done if there are none.
    pub best: Option<(usize, Metrics)>,
    /// The metric by which the best epoch was chosen, without `val_`.
    pub monitor: String,
    /// Weights of the network.
    pub n_params: usize,
}

impl Scored {
    /// The scores at the best epoch, or the reason why there are none.
    pub fn metrics(&self) -> Result<&(usize, Metrics)> {
        self.best.as_ref().with_context(|| never_a_number(&self.monitor))
    }
}

/// Trains a network and keeps its scores only.
pub fn fit_network<L: Learner>(learner: &L, seed: u64, watch: &mut Watch) -> Result<Scored> {
    let config = learner.training();
    let direction = check_monitor(config, |metric| learner.direction_of(metric))?;
    let mut stopping = EarlyStopping::new(&config.early_stopping, direction);
    let mut history = History::new(config.early_stopping.metric());
    let model = learner.init(seed)?;
    let mut scored = Scored { best: None, monitor: history.monitor().to_owned(), n_params: model.num_params() };
    let Watch { on_epoch, is_stopped } = watch;
    let seed_epoch = |seed| learner.seed_epoch(seed);
    let plan = Plan { config, n_rows: learner.n_samples(), seed, resume: None, seed_epoch: &seed_epoch };
    let step = |model: &L::Model, samples: &[u32]| learner.step(model, samples);
    let on_step = |_: StepEnd| if is_stopped() { Next::Stop } else { Next::Continue };
    let on_end = |end: &mut EpochEnd<L::Model>| -> Result<Next> {
        let [trained, validated] = learner.score_epoch(end)?;
        history.push(end, &trained, &validated);
        end.monitored = validated.get(history.monitor());
        let verdict = stopping.update(end.epoch, end.monitored);
        if verdict == Verdict::Best {
            scored.best = Some((end.epoch, validated.clone()));
        }
        let next = on_epoch(end.epoch, &history.epoch(end.epoch), &validated)?;
        Ok(if verdict == Verdict::Stop { Next::Stop } else { next })
    };
    run_loop(model, plan, step, on_step, on_end).map_err(loop_error)?;
    Ok(scored)
}
