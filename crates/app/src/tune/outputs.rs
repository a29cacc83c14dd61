//! What a search leaves on its own run: best values, tables of trials, pictures.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::NaiveDateTime;
use dataset::DatasetInfo;
use serde_json::Value;
use tuning::{Space, Trial, TrialState, importance, pareto};

use crate::console::{number, table};
use crate::session::Session;
use crate::tune::board::{ranked, settings};
use crate::tune::config::Config;
use crate::tune::objective::{Objective, best_trial, directions};
use crate::tune::plots;
use crate::tune::result::Found;
use crate::tune::search::RUN_ATTRIBUTE;
use crate::tune::trials_table;

/// Rows of the final table.
const SHOWN: usize = 10;

/// Says what will be done, and records it.
pub fn record_plan(
    session: &Session,
    config: &Config,
    (objectives, epochs): (&[Objective], usize),
    (workers, threads): (usize, usize),
) {
    let names: Vec<&str> = objectives.iter().map(|objective| objective.name.as_str()).collect();
    let word = |objective: &Objective| match objective.direction {
        tuning::Direction::Maximize => "maximize",
        tuning::Direction::Minimize => "minimize",
    };
    let directions: Vec<&str> = objectives.iter().map(word).collect();
    session.run.log_params(&BTreeMap::from([
        ("objective".to_owned(), names.join(",")),
        ("direction".to_owned(), directions.join(",")),
        ("epochs".to_owned(), epochs.to_string()),
    ]));
    session.console.note(&format!(
        "search: {} {}, {} keys, {} trials, {workers} at once on {threads} {} each",
        directions.join(" and "),
        names.join(" and "),
        config.space.len(),
        config.n_trials,
        if threads == 1 { "thread" } else { "threads" },
    ));
}

/// The trials of a search, and what they are about.
pub struct Finished<'a> {
    /// What was searched.
    pub space: &'a Space,
    /// What trials are judged by.
    pub objectives: &'a [Objective],
    /// By number.
    pub trials: &'a [Trial],
}

impl<'a> Finished<'a> {
    /// The winner; of two objectives the best in the first one.
    pub fn best(&self) -> Option<&'a Trial> {
        best_trial(self.trials, &self.objectives[0])
    }

    /// Logs the best values, writes tables and pictures. Done at every end, also of a search that was stopped.
    pub fn report(&self, session: &Session) -> Result<Found> {
        let importance = self.importance();
        if session.was_resumed() {
            self.mend_runs(session);
        }
        self.log_best(session, &importance);
        trials_table::write(self, session)?;
        let shares: Vec<String> = importance.iter().map(|(name, share)| format!("{name},{share}\n")).collect();
        if !importance.is_empty() {
            session.write_text("param_importance.csv", &format!("param,importance\n{}", shares.concat()))?;
        }
        plots::draw(self, &importance, session)?;
        Ok(self.found(session, importance))
    }

    /// How much each parameter decides about the first objective.
    fn importance(&self) -> Vec<(String, f64)> {
        let value = |trial: &Trial| trial.values.first().copied();
        importance::importances(self.space, self.trials, self.objectives[0].direction, value)
    }

    fn count(&self, state: TrialState) -> usize {
        self.trials.iter().filter(|trial| trial.state == state).count()
    }

    /// Trials that failed for a reason of their own; others were queued again.
    fn n_failed(&self) -> usize {
        self.trials.iter().filter(|trial| trial.failure().is_some()).count()
    }

    fn log_best(&self, session: &Session, importance: &[(String, f64)]) {
        let run = &session.run;
        let mut metrics = vec![
            ("n_trials_complete".to_owned(), self.count(TrialState::Complete) as f64),
            ("n_trials_pruned".to_owned(), self.count(TrialState::Pruned) as f64),
            ("n_trials_failed".to_owned(), self.n_failed() as f64),
        ];
        metrics.extend(importance.iter().map(|(name, share)| (format!("importance.{name}"), *share)));
        // The history as a metric: one point per complete trial.
        let mut so_far: Option<f64> = None;
        for trial in self.trials.iter().filter(|trial| trial.state == TrialState::Complete) {
            let Some(&value) = trial.values.first() else { continue };
            if so_far.is_none_or(|best| self.objectives[0].is_better(value, best)) {
                so_far = Some(value);
                session.log_metrics(&[("best_value".to_owned(), value)], trial.number as usize);
            }
        }
        session.log_metrics(&metrics, self.trials.len());
        let Some(best) = self.best() else { return };
        let values = self.objectives.iter().zip(&best.values);
        let values: Vec<_> = values.map(|(objective, value)| (format!("best_{}", objective.name), *value)).collect();
        session.log_metrics(&values, self.trials.len());
        run.set_tag("best_trial", &best.number.to_string());
        for (name, value) in self.real_values(best) {
            run.set_tag(&format!("best.{name}"), &plain(&value));
        }
        if let Some(child) = run_of(best) {
            run.set_tag("best_run_id", child);
            self.mark_best(child, session);
        }
    }

    /// A process that was killed between the last word to the study and that to the store has left runs that seem broken off.
    fn mend_runs(&self, session: &Session) {
        let ended = [(TrialState::Complete, "complete"), (TrialState::Pruned, "pruned")];
        for (state, name) in ended {
            for run_id in self.trials.iter().filter(|trial| trial.state == state).filter_map(run_of) {
                let is_whole = session.store().run(run_id).is_ok_and(|run| run.tags.contains_key("trial.state"));
                if !is_whole {
                    session.tag_run(run_id, "trial.state", name);
                    session.mark_finished(run_id);
                }
            }
        }
    }

    /// `best=true` on the winner's run, and on no other, which an earlier end of a resumed search may have marked.
    fn mark_best(&self, winner: &str, session: &Session) {
        for run_id in self.trials.iter().filter_map(run_of) {
            let is_marked = |run_id| {
                let run = session.store().run(run_id);
                run.is_ok_and(|run| run.tags.get("best").is_some_and(|best| best == "true"))
            };
            if run_id == winner {
                session.tag_run(run_id, "best", "true");
            } else if session.was_resumed() && is_marked(run_id) {
                session.tag_run(run_id, "best", "false");
            }
        }
    }

    /// Parameters as they were used.
    fn real_values(&self, trial: &Trial) -> Vec<(String, Value)> {
        let real =
            |(name, &value): (&String, &f64)| Some((name.clone(), self.space.get(name)?.distribution.to_json(value)));
        trial.params.iter().filter_map(real).collect()
    }

    fn found(&self, session: &Session, importance: Vec<(String, f64)>) -> Found {
        let front: Vec<u32> = match self.objectives {
            [_, _] => pareto::front(self.trials, &directions(self.objectives))
                .into_iter()
                .map(|i| self.trials[i].number)
                .collect(),
            _ => Vec::new(),
        };
        let best = self.best();
        Found {
            table: self.table(),
            n_trials: [self.count(TrialState::Complete), self.count(TrialState::Pruned), self.n_failed()],
            objectives: self.objectives.iter().map(|objective| objective.name.clone()).collect(),
            best: best.map(|trial| (trial.number, trial.values.clone())),
            best_params: best.map_or_else(Vec::new, |trial| self.real_values(trial)),
            best_run_id: best.and_then(run_of).map(str::to_owned),
            parent_run_id: session.run.id().to_owned(),
            pareto_front: front,
            importance,
            best_config: None,
            refit: None,
        }
    }

    /// The best trials.
    fn table(&self) -> String {
        let heading: Vec<&str> =
            std::iter::once("trial").chain(self.objectives.iter().map(|o| o.name.as_str())).collect();
        let best = ranked(self.trials, self.objectives);
        let rows: Vec<(String, Vec<f64>)> =
            best.iter().take(SHOWN).map(|trial| (trial.number.to_string(), trial.values.clone())).collect();
        let text = table(&heading, &rows);
        let mut lines = text.lines().map(str::to_owned);
        let mut shown = vec![lines.next().unwrap_or_default()];
        shown.extend(lines.zip(&best).map(|(line, trial)| format!("{line}  {}", settings(self.space, trial))));
        shown.join("\n")
    }
}

/// The run of a trial of ours.
pub fn run_of(trial: &Trial) -> Option<&str> {
    trial.user_attributes.get(RUN_ATTRIBUTE)?.as_str()
}

/// Between two times.
pub fn seconds(start: NaiveDateTime, end: NaiveDateTime) -> f64 {
    (end - start).as_seconds_f64()
}

/// A value as people write it.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The data in a line for people.
pub fn describe_data(info: &DatasetInfo) -> String {
    let parts = info.parts.iter().filter(|part| part.name != "test");
    let sizes: Vec<String> = parts.map(|part| format!("{} {}", part.n_rows, part.name)).collect();
    format!("data: {} ({}); the test part is not read", info.name, sizes.join(", "))
}

/// `trial 7 with val_auc 0.912`
pub fn describe_best(found: &Found) -> Option<String> {
    let (trial, values) = found.best.as_ref()?;
    let value = |(name, value): (&String, &f64)| format!("{name} {}", number(*value));
    let values: Vec<String> = found.objectives.iter().zip(values).map(value).collect();
    Some(format!("trial {trial} with {}", values.join(", ")))
}
