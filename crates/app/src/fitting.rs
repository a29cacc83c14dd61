//! One network trained on one split of the data: the loop with its logging, its weights on disk, and resuming.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::Device;
use dataset::Splits;
use modeling::{Inputs, Loss, TabularMlp, TabularMlpConfig, Task};
use serde::{Deserialize, Serialize};
use training::metrics::{Direction, direction_of};
use training::{
    Checkpoint, ClassWeights, EarlyStopping, Ended, EpochEnd, Next, Plan, StepEnd, StepOutput, TrainingConfig, Verdict,
    find_learning_rate, fit,
};

use crate::console::{TrainingBar, number};
use crate::exit::Mistake;
use crate::history::History;
use crate::plots::{plot_finder, plot_training};
use crate::scoring::{self, Rows, Scores};
use crate::session::Session;

const BEST_WEIGHTS: &str = "tabular_mlp_best.safetensors";
const LAST_WEIGHTS: &str = "tabular_mlp_last.safetensors";
const CHECKPOINT: &str = "checkpoint.bin";
const NAN_HINT: &str = "hint: monitor another metric, e.g. `training.early_stopping.monitor: val_loss`";

/// What to train, and on what.
pub struct Job<'a> {
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

/// How a training went, and where its weights are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fitted {
    /// Best epoch's weights.
    pub weights: PathBuf,
    /// Epoch of these weights, from 1.
    pub best_epoch: usize,
    /// Whole epochs trained.
    pub epochs: usize,
    /// Metrics of all epochs, as CSV.
    pub history: String,
}

/// What goes into a checkpoint beside the state of the loop.
#[derive(Serialize, Deserialize)]
struct Notes {
    /// Metrics of the epochs done, as CSV: JSON has no NaN.
    history: String,
}

impl<'a> Job<'a> {
    /// Moves the encoded rows to the device: they stand in memory once.
    pub fn new(
        model: &'a TabularMlpConfig,
        training: &'a TrainingConfig,
        splits: &'a mut Splits,
        device: &Device,
    ) -> Self {
        let preprocessor = splits.preprocessor.clone();
        let train = Rows::new(&mut splits.train, &preprocessor, &device.clone().autodiff());
        let [valid, test] = [&mut splits.valid, &mut splits.test].map(|part| Rows::new(part, &preprocessor, device));
        let (inputs, task) = (scoring::inputs_of(&preprocessor), scoring::task_of(&preprocessor));
        Self { model, training, splits, inputs, task, device: device.clone(), train, valid, test, init_from: &[] }
    }

    /// A network to train, with fresh weights or those of `init_from`; another seed starts from another member.
    pub fn init(&self, seed: u64) -> Result<TabularMlp> {
        self.device.seed(seed);
        let model = self.model.init(&self.inputs, self.task.n_outputs(), &self.device.clone().autodiff());
        match self.init_from {
            [] => Ok(model),
            files => {
                let file = &files[seed as usize % files.len()];
                modeling::load_weights(model, file).context("`init_from`")
            }
        }
    }

    /// A network to predict with, with the weights of a file.
    pub fn load(&self, weights: &Path) -> Result<TabularMlp> {
        let model = self.model.init(&self.inputs, self.task.n_outputs(), &self.device);
        Ok(modeling::load_weights(model, weights)?)
    }

    /// Losses and metrics of train, valid and test rows: of one network, or of what several predict on average.
    pub fn score(&self, models: &[TabularMlp]) -> [Scores; 3] {
        let forward = scoring::ensemble(models, self.task);
        let (splits, train) = (self.splits, self.train.inner());
        [(&train, &splits.train), (&self.valid, &splits.valid), (&self.test, &splits.test)]
            .map(|(rows, part)| scoring::evaluate(&forward, rows, part, self.task, &splits.preprocessor))
    }

    /// The training loss, with the weight of each class.
    pub fn loss(&self) -> Result<Loss> {
        let weights = class_weights(self.training, self.splits)?;
        Ok(Loss::new(self.task, weights.as_deref(), self.training.label_smoothing, &self.device.clone().autodiff()))
    }

    /// Raises the rate from step to step on a copy of the network, draws the losses and logs the suggestion.
    pub fn find_learning_rate(&self, seed: u64, session: &Session) -> Result<()> {
        let (loss, n_rows) = (self.loss()?, self.splits.train.n_rows());
        let step = |model: &TabularMlp, rows: &[u32]| self.step(model, rows, &loss);
        let sweep = find_learning_rate(&self.init(seed)?, self.training, n_rows, seed, step);
        let rate = self.training.learning_rate;
        match sweep.suggestion {
            Some(suggestion) => {
                session.log_metrics(&[("suggested_learning_rate".to_owned(), suggestion)], 0);
                let found = number(suggestion);
                session.console.note(&format!("learning-rate finder: {found} suggested, {rate} set"));
            }
            None => session.console.note("learning-rate finder: the loss never fell; no suggestion"),
        }
        plot_finder(session, &sweep, self.task)?;
        session.console.stop_if_interrupted()
    }

    /// Loss and outputs of one batch.
    fn step(&self, model: &TabularMlp, rows: &[u32], loss: &Loss) -> StepOutput {
        let batch = self.train.select(rows);
        let output = model.forward(batch.numeric, batch.categorical);
        StepOutput { loss: loss.compute(output.clone(), batch.target), output }
    }

    /// Trains a network, logs its epochs to the session's run, and goes on from the run's checkpoint if there is one.
    pub fn fit(&self, seed: u64, session: &Session) -> Result<Fitted> {
        let (run, console, loss) = (&session.run, &session.console, self.loss()?);
        let n_rows = self.splits.train.n_rows();
        let mut epochs = Epochs::new(self, session)?;
        let checkpoint = epochs.take_up()?;
        let plan = Plan { config: self.training, n_rows, seed, resume: checkpoint.as_ref() };
        let step = |model: &TabularMlp, rows: &[u32]| self.step(model, rows, &loss);
        let bar = console.training_bar(self.training.steps_per_epoch(n_rows), self.training.epochs);
        let on_step = |end: StepEnd| {
            bar.step(end.global_step, end.epoch);
            let every = self.training.log_every_steps;
            let is_new = || !session.logged.reaches("train_loss_step", end.global_step as i64);
            if every > 0 && end.global_step.is_multiple_of(every) && is_new() {
                run.log_metric("train_loss_step", end.loss, end.global_step as i64);
            }
            if console.is_interrupted() { Next::Stop } else { Next::Continue }
        };
        let fitted = match epochs.is_over {
            true => Ok(Ended::Told),
            false => {
                fit(self.init(seed)?, plan, step, on_step, |end| epochs.push(end, &bar)).map(|fitted| fitted.ended)
            }
        };
        bar.finish();
        let history = epochs.history.to_csv();
        session.write_text("training_history.csv", &history)?;
        if epochs.history.epochs() > 0 {
            plot_training(session, self.splits, &epochs.history, self.training, epochs.stopping.best())?;
        }
        if fitted.map_err(loop_error)? == Ended::TimeBudget {
            console.note(&format!("`training.time_budget_minutes` is used up after epoch {}", epochs.history.epochs()));
        }
        console.stop_if_interrupted()?;
        let monitor = epochs.history.monitor();
        let best = epochs.stopping.best();
        let (best_epoch, _) = best.with_context(|| format!("`val_{monitor}` was never a number\n{NAN_HINT}"))?;
        session.log_metrics(&epochs.history.best(best_epoch), epochs.history.epochs());
        // Absolute, because it is kept for a resumed run, which may have another working directory.
        let weights = std::path::absolute(epochs.folder.join(BEST_WEIGHTS))?;
        Ok(Fitted { weights, best_epoch, epochs: epochs.history.epochs(), history })
    }
}

/// Follows a training epoch by epoch.
struct Epochs<'a> {
    job: &'a Job<'a>,
    session: &'a Session,
    history: History,
    stopping: EarlyStopping,
    /// The stopping rule has spoken.
    is_over: bool,
    /// Where weights and checkpoint go.
    folder: PathBuf,
}

impl<'a> Epochs<'a> {
    fn new(job: &'a Job<'a>, session: &'a Session) -> Result<Self> {
        let config = &job.training.early_stopping;
        let monitor = config.metric();
        let direction = direction(job.training, job.task)?;
        let stopping = EarlyStopping::new(config, direction);
        let folder = session.folder("models")?;
        Ok(Self { job, session, history: History::new(monitor), stopping, is_over: false, folder })
    }

    /// Reads the run's checkpoint. The epochs done are judged again, with the patience of today's config, and those that a
    /// killed program could not log any more are logged.
    fn take_up(&mut self) -> Result<Option<Checkpoint>> {
        let path = self.folder.join(CHECKPOINT);
        self.session.check_same_data(&self.job.splits.info.digest)?;
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
    fn push(&mut self, end: &mut EpochEnd<TabularMlp>, bar: &TrainingBar) -> Result<Next> {
        let (splits, task) = (self.job.splits, self.job.task);
        let target: Vec<f32> = end.train_rows.iter().map(|&row| splits.train.target[row as usize]).collect();
        let trained = scoring::score(end.train_output.clone(), end.train_loss, &target, task, &splits.preprocessor);
        let forward = |numeric, categorical| end.model.forward(numeric, categorical);
        let validated = scoring::evaluate(forward, &self.job.valid, &splits.valid, task, &splits.preprocessor);
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
    fn save(&self, end: &EpochEnd<TabularMlp>, is_best: bool) -> Result<()> {
        let every = self.job.training.checkpoint_every_epochs;
        modeling::save_weights(&end.model, &self.folder.join(LAST_WEIGHTS))?;
        if is_best {
            modeling::save_weights(&end.model, &self.folder.join(BEST_WEIGHTS))?;
        }
        if every > 0 && end.epoch.is_multiple_of(every) {
            let name = format!("tabular_mlp_epoch_{}.safetensors", end.epoch);
            modeling::save_weights(&end.model, &self.folder.join(name))?;
        }
        let notes = Notes { history: self.history.to_csv() };
        let checkpoint = end.checkpoint(&serde_json::to_string(&notes)?)?;
        self.session.write_file(&format!("models/{CHECKPOINT}"), |temporary| fs::write(temporary, &checkpoint))
    }
}

/// Says whether the settings can be right for this data, before anything is trained on it.
pub fn check_fits(training: &TrainingConfig, splits: &Splits) -> Result<()> {
    direction(training, scoring::task_of(&splits.preprocessor))?;
    class_weights(training, splits).map(drop)
}

/// Which way the monitored metric is better.
fn direction(training: &TrainingConfig, task: Task) -> Result<Direction, Mistake> {
    let monitor = training.early_stopping.metric();
    direction_of(monitor, scoring::kind_of(task)).map_err(|names| {
        Mistake::new(format!("`training.early_stopping.monitor`: no metric `{monitor}` for this problem type"))
            .hint(format!("choose one of {}", names.join(", ")))
    })
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

fn loop_error(error: training::Error<anyhow::Error>) -> anyhow::Error {
    match error {
        training::Error::Caller(error) => error,
        training::Error::Resume(error) => error.into(),
        diverged => anyhow::anyhow!(
            "{diverged}\nhint: lower `training.learning_rate`, or look for very large values in the data (`features.scaling: standard`)"
        ),
    }
}
