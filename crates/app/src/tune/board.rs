//! What a person sees of a running study: a bar, the best trials, each trial as it ends.

use std::time::Duration;

use indicatif::ProgressBar;
use tuning::{Space, Trial, TrialState};

use crate::console::{Console, number};
use crate::tune::objective::{Objective, best_trial, directions};

/// Rows of the live table.
const LIVE_ROWS: usize = 5;

/// The terminal of a study.
pub struct Board {
    console: Console,
    objectives: Vec<Objective>,
    space: Space,
    bar: ProgressBar,
    /// The best trials below the bar.
    rows: Vec<ProgressBar>,
}

impl Board {
    /// A board for a study with so many trials, some of which may be done.
    pub fn new(console: &Console, objectives: &[Objective], space: &Space, n_trials: u32, trials: &[Trial]) -> Self {
        let bar = console.count_bar("trials");
        bar.set_length(u64::from(n_trials));
        bar.enable_steady_tick(Duration::from_millis(500));
        let rows = (0..LIVE_ROWS).map(|_| console.line()).collect();
        let board = Self { console: console.clone(), objectives: objectives.to_vec(), space: space.clone(), bar, rows };
        board.show(trials);
        board.bar.reset_eta();
        board
    }

    /// A trial of this program has ended.
    pub fn trial(&self, trial: u32, trials: &[Trial], took: Duration) {
        self.show(trials);
        let Some(ended) = trials.iter().find(|known| known.number == trial) else { return };
        let best = best_trial(trials, &self.objectives[0]);
        let is_best = best.is_some_and(|best| best.number == trial && self.objectives.len() == 1);
        let what = match ended.state {
            TrialState::Complete => self.values(ended) + if is_best { " (best so far)" } else { "" },
            TrialState::Pruned => match ended.intermediate.last_key_value() {
                Some((epoch, value)) => format!("pruned at epoch {epoch} with {}", number(*value)),
                None => "pruned".to_owned(),
            },
            TrialState::Fail => match ended.failure() {
                Some(reason) => format!("FAILED: {}", reason.lines().next().unwrap_or_default()),
                None => "queued again".to_owned(),
            },
            TrialState::Running | TrialState::Waiting => return,
        };
        let settings = settings(&self.space, ended);
        self.console.note(&format!("trial {trial}: {what}, {:.1} s · {settings}", took.as_secs_f64()));
    }

    /// Takes bar and table away.
    pub fn finish(&self) {
        self.rows.iter().for_each(ProgressBar::finish_and_clear);
        self.bar.finish_and_clear();
    }

    fn show(&self, trials: &[Trial]) {
        self.bar.set_position(n_ended(trials));
        let running = trials.iter().filter(|trial| trial.state == TrialState::Running).count();
        self.bar.set_message(format!("{running} running"));
        let best = ranked(trials, &self.objectives);
        for (rank, row) in self.rows.iter().enumerate() {
            let text = best.get(rank).map_or(String::new(), |trial| {
                format!(
                    "{}. trial {:<4} {}  {}",
                    rank + 1,
                    trial.number,
                    self.values(trial),
                    settings(&self.space, trial)
                )
            });
            row.set_message(text);
        }
    }

    fn values(&self, trial: &Trial) -> String {
        let value = |(objective, value): (&Objective, &f64)| format!("{} {}", objective.name, number(*value));
        self.objectives.iter().zip(&trial.values).map(value).collect::<Vec<_>>().join(", ")
    }
}

/// Trials that will not come back.
fn n_ended(trials: &[Trial]) -> u64 {
    let is_ended = |trial: &&Trial| match trial.state {
        TrialState::Complete | TrialState::Pruned => true,
        TrialState::Fail => trial.failure().is_some(),
        TrialState::Running | TrialState::Waiting => false,
    };
    trials.iter().filter(is_ended).count() as u64
}

/// Complete trials, the best first; of two objectives those of the Pareto front first.
pub fn ranked<'a>(trials: &'a [Trial], objectives: &[Objective]) -> Vec<&'a Trial> {
    let front = if objectives.len() > 1 { tuning::pareto::front(trials, &directions(objectives)) } else { Vec::new() };
    let complete = trials.iter().enumerate().filter(|(_, trial)| trial.state == TrialState::Complete);
    let mut ranked: Vec<(bool, f64, &Trial)> = complete
        .filter_map(|(index, trial)| {
            let value = *trial.values.first()?;
            let better_is_less = objectives[0].direction.loss(value);
            Some((!front.contains(&index), better_is_less, trial))
        })
        .collect();
    ranked.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.number.cmp(&b.2.number)));
    ranked.into_iter().map(|(.., trial)| trial).collect()
}

/// `learning_rate 0.00312, hidden_dims [64,32]`: keys without their section where that is clear.
pub fn settings(space: &Space, trial: &Trial) -> String {
    let shown = space.params().iter().filter_map(|param| {
        let value = param.distribution.to_json(*trial.params.get(&param.name)?);
        let text = value.as_f64().filter(|_| value.is_f64()).map_or_else(|| value.to_string(), short);
        Some(format!("{} {}", short_name(space, &param.name), text.trim_matches('"')))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Four significant digits.
fn short(value: f64) -> String {
    let text = number(value);
    if text.contains('e') || text.len() <= 6 {
        return text;
    }
    let digits = (3.0 - value.abs().log10().floor()).clamp(0.0, 8.0) as usize;
    format!("{value:.digits$}")
}

/// The last part of a dotted key, if no other key ends with it.
fn short_name<'a>(space: &Space, name: &'a str) -> &'a str {
    let last = |name: &'a str| name.rsplit('.').next().unwrap_or(name);
    let ends = |other: &str| other.rsplit('.').next() == Some(last(name));
    if space.params().iter().filter(|param| ends(&param.name)).count() > 1 { name } else { last(name) }
}
