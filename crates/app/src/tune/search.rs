//! The trials: worker threads that ask the study for one, train it and tell its score.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use burn::tensor::Device;
use rayon::ThreadPoolBuilder;
use serde_json::Value;
use tracking::{Run, RunStatus};
use training::Next;
use tuning::{Ask, Outcome, Study, Trial, TrialState, Verdict};

use crate::exit::describe;
use crate::fitting::nth_seed;
use crate::flatten::flatten;
use crate::kind::{KIND, RunKind};
use crate::outputs::log_input;
use crate::pipeline::lock;
use crate::session::{Session, log_metrics, panic_message};
use crate::tune::base::Base;
use crate::tune::board::Board;
use crate::tune::config::Config;
use crate::tune::data::DataCache;
use crate::tune::objective::{Measured, Objective, best_trial};
use crate::tune::tunable::{Tunable, Watch};

/// User attribute of a trial: the run that shows it.
pub const RUN_ATTRIBUTE: &str = "mlflow_run_id";
/// How long a worker waits before it asks again.
const PAUSE: Duration = Duration::from_millis(300);

/// Everything that the workers share.
pub struct Search<'a, C: Tunable> {
    /// Of `tune`.
    pub config: &'a Config,
    /// What is tuned.
    pub base: &'a Base<C>,
    /// Console, and where the runs of trials are started.
    pub session: &'a Session,
    /// What a trial is judged by.
    pub objectives: &'a [Objective],
    /// The run that the trials are shown below.
    pub parent_run_id: String,
    /// Where networks are trained.
    pub device: Device,
    /// Prepared once for all trials that agree in their settings.
    pub data: &'a DataCache<C>,
    /// What a person sees.
    pub board: &'a Board,
    /// Where trials come from.
    pub study: &'a Mutex<Study>,
    /// No new trial begins.
    pub is_over: AtomicBool,
    /// Since when `timeout_minutes` runs.
    pub start: Instant,
}

/// How a trial ended, if nothing went wrong.
enum End {
    /// Mean and spread of each objective.
    Complete(Vec<(f64, Option<f64>)>),
    Pruned,
    /// Ctrl-C.
    Stopped,
    /// Another worker has it.
    Lost,
}

impl<C: Tunable> Search<'_, C> {
    /// Works until the study is done, or has to stop: `workers` trials at once, each on `threads` threads. Gives the number of
    /// trials that this process has ended.
    pub fn run(&self, workers: usize, threads: usize) -> Result<usize> {
        thread::scope(|scope| {
            let pulse = scope.spawn(|| self.beat());
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(|| self.work(threads))).collect();
            let mut ended = Ok(0);
            for worker in workers {
                let of_worker = worker.join().unwrap_or_else(|panic| Err(anyhow!(panic_message(panic.as_ref()))));
                ended = match (ended, of_worker) {
                    (Ok(sum), Ok(n)) => Ok(sum + n),
                    (Err(first), _) => Err(first),
                    (Ok(_), Err(error)) => Err(error),
                };
            }
            self.is_over.store(true, Ordering::Relaxed);
            pulse.thread().unpark();
            let _ = pulse.join();
            ended
        })
    }

    /// Signs of life, until the workers are done. A database that is away is waited for by the next report.
    fn beat(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            if let Err(error) = self.study().beat() {
                tracing::warn!("no sign of life to the study: {error}");
            }
            thread::park_timeout(Duration::from_secs(self.config.retry.heartbeat_seconds.max(1)));
        }
    }

    fn work(&self, threads: usize) -> Result<usize> {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
        let mut ended = 0;
        let worked = (|| -> Result<()> {
            while self.may_begin()? {
                let ask = self.study().ask()?;
                match ask {
                    Ask::Done => break,
                    Ask::Wait => thread::sleep(PAUSE),
                    Ask::Trial(trial) => {
                        pool.install(|| self.try_trial(&trial))?;
                        ended += 1;
                    }
                }
            }
            Ok(())
        })();
        // The others end their trials and begin no more.
        if worked.is_err() {
            self.is_over.store(true, Ordering::Relaxed);
        }
        worked.map(|()| ended)
    }

    /// Whether another trial may begin.
    fn may_begin(&self) -> Result<bool> {
        if self.is_over.load(Ordering::Relaxed) || self.session.console.is_interrupted() {
            return Ok(false);
        }
        let minutes = self.start.elapsed().as_secs_f64() / 60.0;
        if self.config.timeout_minutes.is_some_and(|limit| minutes >= limit) {
            return Ok(false);
        }
        let mut study = self.study();
        let trials = study.trials()?;
        let failed = trials.iter().filter(|trial| trial.failure().is_some()).count();
        if let Some(limit) = self.config.max_failures.filter(|&limit| failed >= limit.max(1) as usize) {
            let reason = trials.iter().rev().find_map(Trial::failure).unwrap_or_default();
            bail!("`max_failures: {limit}` trials have failed, the last one with: {reason}");
        }
        Ok(!self.config.patience.is_some_and(|patience| self.is_stale(trials, patience)))
    }

    /// Whether the last `patience` finished trials brought nothing better.
    fn is_stale(&self, trials: &[Trial], patience: u32) -> bool {
        let Some(best) = best_trial(trials, &self.objectives[0]) else { return false };
        let finished = |trial: &&Trial| matches!(trial.state, TrialState::Complete | TrialState::Pruned);
        trials.iter().filter(finished).filter(|trial| trial.number > best.number).count() >= patience as usize
    }

    /// Does a trial in a run of its own. An error is one of the study, not of the trial.
    fn try_trial(&self, trial: &Trial) -> Result<()> {
        let start = Instant::now();
        let run = self.start_run(trial)?;
        let attribute = Value::from(run.id());
        self.study().set_trial_attribute(trial, RUN_ATTRIBUTE, &attribute)?;
        let scored = catch_unwind(AssertUnwindSafe(|| self.score(trial, &run)));
        let scored = scored.unwrap_or_else(|panic: Box<dyn Any + Send>| {
            Err(anyhow!("the training panicked: {}", panic_message(panic.as_ref())))
        });
        let outcome = match &scored {
            Ok(End::Complete(values)) => Some(Outcome::Complete(values.iter().map(|(mean, _)| *mean).collect())),
            Ok(End::Pruned) => Some(Outcome::Pruned),
            Ok(End::Stopped) => Some(Outcome::Requeued),
            Ok(End::Lost) => None,
            Err(error) => Some(Outcome::Failed(describe(error))),
        };
        // A study that cannot be reached is no fault of the trial.
        let is_of_study = scored.as_ref().err().is_some_and(|error| error.is::<tuning::Error>());
        let told = match outcome {
            Some(outcome) if !is_of_study => self.study().tell(trial, &outcome),
            _ => Ok(false),
        };
        let is_ours = *told.as_ref().unwrap_or(&false);
        self.end_run(&run, &scored, is_ours);
        let trials = self.study().trials().map(<[Trial]>::to_vec);
        if let Ok(trials) = &trials {
            self.board.trial(trial.number, trials, start.elapsed());
        }
        match scored {
            Err(error) if is_of_study => Err(error),
            _ => told.map(drop).map_err(Into::into),
        }
    }

    fn start_run(&self, trial: &Trial) -> Result<Run> {
        let tags = BTreeMap::from([
            (KIND.to_owned(), RunKind::Trial.as_str().to_owned()),
            ("study".to_owned(), self.study().settings().name.clone()),
            ("trial.number".to_owned(), trial.number.to_string()),
        ]);
        self.session.start_trial(&self.parent_run_id, &format!("trial_{:03}", trial.number), tags)
    }

    /// Logs what came out, and ends the run as what it was.
    fn end_run(&self, run: &Run, scored: &Result<End>, is_ours: bool) {
        let state = match scored {
            Ok(End::Lost) => "superseded",
            Ok(End::Stopped) => "requeued",
            _ if !is_ours => "superseded",
            Ok(End::Complete(_)) => "complete",
            Ok(End::Pruned) => "pruned",
            Err(_) => "failed",
        };
        run.set_tag("trial.state", state);
        let status = match scored {
            Ok(End::Complete(_) | End::Pruned) if is_ours => Ok(RunStatus::Finished),
            Err(error) => Err(describe(error)),
            _ => Ok(RunStatus::Killed),
        };
        self.session.end_trial(run, status);
    }

    /// Trains the networks of a trial, one per fold and seed.
    fn score(&self, trial: &Trial, run: &Run) -> Result<End> {
        let loaded = self.base.with(&trial.params)?;
        let config = &loaded.config;
        run.log_params(&flatten(config));
        if self.config.mlflow.log_artifacts {
            run.log_text(&loaded.to_yaml(), crate::resume::EFFECTIVE_CONFIG);
        }
        let data = self.data.get(config, &self.device, self.session)?;
        log_input(run, C::info(&data[0]), "training");
        let mut trainings = Vec::new();
        for part in data.iter() {
            for repeat in 0..self.config.seeds {
                // The first is the seed of the config, so that its own program gives the same score.
                let seed = if repeat == 0 { config.seed() } else { nth_seed(config.seed(), repeat) };
                match self.train(config, part, seed, trial, trainings.is_empty().then_some(run))? {
                    Ok(measured) => trainings.push(measured),
                    Err(end) => return Ok(end),
                }
            }
        }
        let values: Vec<_> = self.objectives.iter().map(|objective| objective.over(&trainings)).collect();
        for (objective, (mean, spread)) in self.objectives.iter().zip(&values) {
            if !mean.is_finite() {
                bail!("`{}` is {mean}", objective.name);
            }
            self.log_objective(run, objective, *mean, *spread);
        }
        Ok(End::Complete(values))
    }

    fn log_objective(&self, run: &Run, objective: &Objective, mean: f64, spread: Option<f64>) {
        let is_first = objective == &self.objectives[0];
        let name = if is_first { "objective".to_owned() } else { format!("objective_{}", objective.name) };
        run.log_metric(&name, mean, 0);
        if let Some(spread) = spread {
            run.log_metric(&format!("{name}_std"), spread, 0);
        }
    }

    /// One training. `run`, given for the first of a trial, gets its epochs, and the pruner judges them.
    fn train(
        &self,
        config: &C,
        data: &C::Data,
        seed: u64,
        trial: &Trial,
        run: Option<&Run>,
    ) -> Result<Result<Measured, End>> {
        let (start, console) = (Instant::now(), &self.session.console);
        let mut end = None;
        let mut on_epoch = |epoch: usize, logged: &[(String, f64)], valid: &crate::history::Metrics| -> Result<Next> {
            let Some(run) = run else { return Ok(Next::Continue) };
            log_metrics(run, logged, epoch);
            let Some(value) = self.objectives[0].of_epoch(valid) else { return Ok(Next::Continue) };
            end = match self.study().report(trial, epoch as i64, value)? {
                Verdict::Continue => return Ok(Next::Continue),
                Verdict::Prune => Some(End::Pruned),
                Verdict::Lost => Some(End::Lost),
            };
            Ok(Next::Stop)
        };
        let is_stopped = || console.is_interrupted();
        let mut watch = Watch { on_epoch: &mut on_epoch, is_stopped: &is_stopped };
        let scored = config.fit(data, seed, &self.device, &mut watch)?;
        if console.is_interrupted() {
            return Ok(Err(End::Stopped));
        }
        if let Some(end) = end {
            return Ok(Err(end));
        }
        let (best_epoch, metrics) = scored.metrics()?.clone();
        if let Some(run) = run {
            run.log_metric("best_epoch", best_epoch as f64, best_epoch as i64);
            run.log_param("n_params", &scored.n_params.to_string());
            log_metrics(run, &metrics.named("best_val"), best_epoch);
        }
        let seconds = start.elapsed().as_secs_f64();
        Ok(Ok(Measured { metrics, n_params: scored.n_params, seconds }))
    }

    fn study(&self) -> MutexGuard<'_, Study> {
        lock(self.study)
    }
}
