//! One network trained on one split of the data: the loop with its logging, its weights on disk, and resuming. What is
//! trained, on what, is a [`Learner`].

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, Result};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use dataset::DatasetInfo;
use serde::{Deserialize, Serialize};
use training::metrics::Direction;
use training::{
    Checkpoint, EarlyStopping, Ended, EpochEnd, Next, Plan, StepEnd, StepOutput, TrainingConfig, Verdict,
    find_learning_rate, fit as run_loop,
};

use crate::console::{TrainingBar, number};
use crate::exit::Mistake;
use crate::history::{History, Metrics};
use crate::kind::RunKind;
use crate::outputs::log_input;
use crate::pipeline::lock;
use crate::plots::{plot_finder, plot_training};
use crate::session::Session;

const CHECKPOINT: &str = "checkpoint.bin";
const NAN_HINT: &str = "hint: monitor another metric, e.g. `training.early_stopping.monitor: val_loss`";

/// A network with its data: what the loop needs to know of a program.
pub trait Learner {
    /// The network.
    type Model: Module;
    /// Which network, as in tags and in the names of weight files: `tabular_mlp`.
    const MODEL_TYPE: &'static str;

    /// The loop's settings.
    fn training(&self) -> &TrainingConfig;
    /// The data that is learnt from.
    fn info(&self) -> &DatasetInfo;
    /// What there is to learn from: rows, or windows.
    fn n_samples(&self) -> usize;
    /// Sizes for the subtitle of a picture: `959 train, 320 val rows`.
    fn sizes(&self) -> String;
    /// Name of the training loss.
    fn loss_name(&self) -> &'static str;
    /// Which way a metric (without `val_`) is better, or the names to choose from.
    fn direction_of(&self, metric: &str) -> Result<Direction, Vec<&'static str>>;
    /// Where tensors live.
    fn device(&self) -> &Device;
    /// A network to train, with the weights that this seed gives.
    fn init(&self, seed: u64) -> Result<Self::Model>;
    /// Seeds dropout, before an epoch.
    fn seed_epoch(&self, seed: u64) {
        match self.device() {
            device if *device == Device::flex() => modeling::seed_dropout(seed),
            device => device.seed(seed),
        }
    }
    /// Loss and outputs of one batch of samples.
    fn step(&self, model: &Self::Model, samples: &[u32]) -> StepOutput;
    /// Metrics of train (in training mode) and valid after an epoch.
    fn score_epoch(&self, end: &EpochEnd<Self::Model>) -> Result<[Metrics; 2]>;
}

/// How a training went, and where its weights are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fitted {
    /// Best epoch's weights, below the folder of the experiment's runs ([`Session::in_runs`]): a resumed run may find that
    /// folder in another place.
    pub weights: PathBuf,
    /// Epoch of these weights, from 1.
    pub best_epoch: usize,
    /// Whole epochs trained.
    pub epochs: usize,
}

/// What goes into a checkpoint beside the state of the loop.
#[derive(Serialize, Deserialize)]
struct Notes {
    /// Metrics of the epochs done, as CSV: JSON has no NaN.
    history: String,
}

/// Makes a network's random weights, the same for the same seed: burn's CPU backend has one generator for the whole process,
/// which trainings on other threads must not use meanwhile.
pub fn seeded<M: Module>(device: &Device, seed: u64, init: impl FnOnce() -> M) -> M {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let _alone = lock(&GENERATOR);
    device.seed(seed);
    let model = init();
    model.visit(&mut Draw);
    model
}

/// Looks at every weight: burn draws one when it is first looked at.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}

/// The network with the weights of a member of `init_from`, another seed with those of another; as it is if there is none.
pub fn start_from<M: Module>(model: M, init_from: &[PathBuf], seed: u64) -> Result<M> {
    match init_from {
        [] => Ok(model),
        files => modeling::load_weights(model, &files[seed as usize % files.len()]).context("`init_from`"),
    }
}

/// Trains a network, logs its epochs to the session's run, and goes on from the run's checkpoint if there is one.
pub fn fit<L: Learner>(learner: &L, seed: u64, session: &Session) -> Result<Fitted> {
    let (run, console, config) = (&session.run, &session.console, learner.training());
    let n_samples = learner.n_samples();
    let mut epochs = Epochs::new(learner, session)?;
    let checkpoint = epochs.take_up()?;
    let seed_epoch = |seed| learner.seed_epoch(seed);
    let plan = Plan { config, n_rows: n_samples, seed, resume: checkpoint.as_ref(), seed_epoch: &seed_epoch };
    let step = |model: &L::Model, samples: &[u32]| learner.step(model, samples);
    let bar = console.training_bar(config.steps_per_epoch(n_samples), config.epochs);
    let on_step = |end: StepEnd| {
        bar.step(end.global_step, end.epoch);
        let every = config.log_every_steps;
        let is_new = || !session.logged.reaches("train_loss_step", end.global_step as i64);
        if every > 0 && end.global_step.is_multiple_of(every) && is_new() {
            run.log_metric("train_loss_step", end.loss, end.global_step as i64);
        }
        if console.is_interrupted() { Next::Stop } else { Next::Continue }
    };
    let fitted = match epochs.is_over {
        true => Ok(Ended::Told),
        false => {
            run_loop(learner.init(seed)?, plan, step, on_step, |end| epochs.push(end, &bar)).map(|fitted| fitted.ended)
        }
    };
    bar.finish();
    session.write_text("training_history.csv", &epochs.history.to_csv())?;
    if epochs.history.epochs() > 0 {
        plot_training(session, learner, &epochs.history, epochs.stopping.best())?;
    }
    if fitted.map_err(loop_error)? == Ended::TimeBudget {
        console.note(&format!("`training.time_budget_minutes` is used up after epoch {}", epochs.history.epochs()));
    }
    console.stop_if_interrupted()?;
    let monitor = epochs.history.monitor();
    let best = epochs.stopping.best();
    let (best_epoch, _) = best.with_context(|| never_a_number(monitor))?;
    session.log_metrics(&epochs.history.best(best_epoch), epochs.history.epochs());
    Ok(Fitted { weights: session.below_runs(&epochs.weights("best")), best_epoch, epochs: epochs.history.epochs() })
}

/// One of many seeds that follow from a run's own, far from those of other runs: members of the ensembles of seeds 1 and 2
/// have nothing in common.
pub fn nth_seed(seed: u64, n: usize) -> u64 {
    seed.wrapping_mul(1000).wrapping_add(n as u64)
}

/// Trains the one network in the session's own run, or the members of an ensemble in nested ones, seed after seed.
pub fn fit_members<L: Learner>(learner: &L, members: usize, seed: u64, session: &Session) -> Result<Vec<Fitted>> {
    if members == 1 {
        return Ok(vec![fit(learner, seed, session)?]);
    }
    let fit_member = |member: usize| {
        let seed = nth_seed(seed, member);
        let tags = [
            RunKind::Member.tag(),
            ("model_type", L::MODEL_TYPE.to_owned()),
            ("ensemble_member", (member + 1).to_string()),
        ];
        session.nested(&format!("member {} of {members}", member + 1), &tags, |nested| {
            nested.run.log_param("seed", &seed.to_string());
            log_input(&nested.run, learner.info(), "training");
            fit(learner, seed, nested)
        })
    };
    (0..members).map(fit_member).collect()
}

/// Raises the rate from step to step on a copy of the network, draws the losses and logs the suggestion.
pub fn suggest_learning_rate<L: Learner>(learner: &L, seed: u64, session: &Session) -> Result<()> {
    let step = |model: &L::Model, samples: &[u32]| learner.step(model, samples);
    let (model, n_samples) = (learner.init(seed)?, learner.n_samples());
    let seed_epoch = |seed| learner.seed_epoch(seed);
    let sweep = find_learning_rate(&model, learner.training(), n_samples, seed, &seed_epoch, step);
    let rate = learner.training().learning_rate;
    match sweep.suggestion {
        Some(suggestion) => {
            session.log_metrics(&[("suggested_learning_rate".to_owned(), suggestion)], 0);
            let found = number(suggestion);
            session.console.note(&format!("learning-rate finder: {found} suggested, {rate} set"));
        }
        None => session.console.note("learning-rate finder: the loss never fell; no suggestion"),
    }
    plot_finder(session, &sweep, learner.loss_name())?;
    session.console.stop_if_interrupted()
}

/// Which way the monitored metric is better. `direction_of` knows the metrics that there are for the data.
pub fn check_monitor(
    training: &TrainingConfig,
    direction_of: impl Fn(&str) -> Result<Direction, Vec<&'static str>>,
) -> Result<Direction, Mistake> {
    let monitor = training.early_stopping.metric();
    direction_of(monitor).map_err(|names| {
        Mistake::new(format!("`training.early_stopping.monitor`: no metric `{monitor}` for this problem type"))
            .hint(format!("choose one of {}", names.join(", ")))
    })
}

/// Follows a training epoch by epoch.
struct Epochs<'a, L> {
    learner: &'a L,
    session: &'a Session,
    history: History,
    stopping: EarlyStopping,
    /// The stopping rule has spoken.
    is_over: bool,
    /// Where weights and checkpoint go.
    folder: PathBuf,
}

impl<'a, L: Learner> Epochs<'a, L> {
    fn new(learner: &'a L, session: &'a Session) -> Result<Self> {
        let config = &learner.training().early_stopping;
        let stopping =
            EarlyStopping::new(config, check_monitor(learner.training(), |metric| learner.direction_of(metric))?);
        let (history, folder) = (History::new(config.metric()), session.folder("models")?);
        Ok(Self { learner, session, history, stopping, is_over: false, folder })
    }

    /// Reads the run's checkpoint. The epochs done are judged again, with the patience of today's config, and those that a
    /// killed program could not log any more are logged.
    fn take_up(&mut self) -> Result<Option<Checkpoint>> {
        let path = self.folder.join(CHECKPOINT);
        self.session.check_same_data(&self.learner.info().digest)?;
        if !path.exists() {
            if !self.session.logged.epochs.is_empty() {
                self.session.console.warn(&format!("no checkpoint `{}`: the training starts anew", path.display()));
            }
            return Ok(None);
        }
        let damaged = || format!("cannot go on from `{}`", path.display());
        let checkpoint = Checkpoint::from_bytes(&fs::read(&path).with_context(damaged)?).with_context(damaged)?;
        let notes: Notes = serde_json::from_str(checkpoint.caller()).with_context(damaged)?;
        let history = History::from_csv(self.history.monitor(), &notes.history);
        self.history = history.with_context(damaged)?;
        let monitored = self.history.column(&format!("val_{}", self.history.monitor()));
        for (epoch, value) in (1..).zip(monitored) {
            self.is_over = self.stopping.update(epoch, value) == Verdict::Stop;
            self.log(epoch);
        }
        self.session.console.note(&format!("going on after epoch {}", checkpoint.epoch()));
        Ok(Some(checkpoint))
    }

    /// After an epoch: scores, logs, keeps the weights and the checkpoint, and says whether to go on.
    fn push(&mut self, end: &mut EpochEnd<L::Model>, bar: &TrainingBar) -> Result<Next> {
        let [trained, validated] = self.learner.score_epoch(end)?;
        self.history.push(end, &trained, &validated);
        self.log(end.epoch);
        end.monitored = validated.get(self.history.monitor());
        let verdict = self.stopping.update(end.epoch, end.monitored);
        self.save(end, verdict == Verdict::Best)?;
        bar.epoch(end.epoch, &self.history.line(self.stopping.best()));
        Ok(if verdict == Verdict::Stop { Next::Stop } else { Next::Continue })
    }

    fn log(&self, epoch: usize) {
        if !self.session.logged.epochs.contains(&(epoch as i64)) {
            self.session.log_metrics(&self.history.epoch(epoch), epoch);
        }
    }

    /// The best weights, the last, one of every n-th epoch, and at last the checkpoint: a program that is killed between
    /// the two does the epoch again, with the same bits.
    fn save(&self, end: &EpochEnd<L::Model>, is_best: bool) -> Result<()> {
        let every = self.learner.training().checkpoint_every_epochs;
        modeling::save_weights(&end.model, &self.weights("last"))?;
        if is_best {
            modeling::save_weights(&end.model, &self.weights("best"))?;
        }
        if every > 0 && end.epoch.is_multiple_of(every) {
            modeling::save_weights(&end.model, &self.weights(&format!("epoch_{}", end.epoch)))?;
        }
        let notes = Notes { history: self.history.to_csv() };
        let checkpoint = end.checkpoint(&serde_json::to_string(&notes)?)?;
        self.session.write_file(&format!("models/{CHECKPOINT}"), |temporary| fs::write(temporary, &checkpoint))
    }

    fn weights(&self, which: &str) -> PathBuf {
        self.folder.join(format!("{}_{which}.safetensors", L::MODEL_TYPE))
    }
}

/// Why no epoch is the best.
pub fn never_a_number(monitor: &str) -> String {
    format!("`val_{monitor}` was never a number\n{NAN_HINT}")
}

/// Why the loop ended, with what to do about it.
pub fn loop_error(error: training::Error<anyhow::Error>) -> anyhow::Error {
    match error {
        training::Error::Caller(error) => error,
        training::Error::Resume(error) => error.into(),
        diverged => anyhow::anyhow!(
            "{diverged}\nhint: lower `training.learning_rate`, or look for very large values in the data (`features.scaling: standard`)"
        ),
    }
}
