//! How a trial goes, and how it ended.

use super::{Error, FAILURE, MAX_ATTRIBUTE, Outcome, REPLACED, Result, Study, Verdict, WORKER, now};
use crate::history::REQUEUED;
use crate::storage::rows::{self, Attributes};
use crate::storage::{self, Session};
use crate::{PrunerKind, Trial, TrialState, json, judge};

impl Study {
    /// Stores the value of the first objective after a step, in place of an earlier one, and asks the pruner.
    pub fn report(&mut self, trial: &Trial, step: i64, value: f64) -> Result<Verdict> {
        let Self { settings, database, id, history, mine, .. } = self;
        let judges = settings.prune.name != PrunerKind::None;
        let is_running = database.run("report a value", |session| {
            let is_running = rows::report(session, trial.id, step, value)?;
            if is_running && judges {
                history.refresh(session, *id, &settings.space)?;
            }
            Ok(is_running)
        })?;
        if !is_running {
            mine.remove(&trial.id);
            return Ok(Verdict::Lost);
        }
        let (Some(current), Some(direction), true) = (history.get(trial.id), settings.directions.first(), judges)
        else {
            return Ok(Verdict::Continue);
        };
        let judgement =
            judge(&settings.prune, &settings.name, *direction, history.trials(), current, settings.max_epochs);
        if !judgement.attributes.is_empty() {
            let text = |(key, value): &(String, f64)| Some((key.clone(), json::to_text(&finite(*value)?.into())));
            let texts: Vec<(String, String)> = judgement.attributes.iter().filter_map(text).collect();
            let texts: Vec<(&str, String)> = texts.iter().map(|(key, text)| (key.as_str(), text.clone())).collect();
            database.write("report a value", |session, _| {
                rows::set_attributes(session, Attributes::OfTrialSystem, trial.id, &texts)
            })?;
        }
        Ok(if judgement.prune { Verdict::Prune } else { Verdict::Continue })
    }

    /// Ends a trial. False if it is not this worker's any more: nothing was changed then. NaN instead of a value fails the
    /// trial, as in Optuna. Errors with [`Error::Values`].
    pub fn tell(&mut self, trial: &Trial, outcome: &Outcome) -> Result<bool> {
        let expected = self.settings.directions.len();
        let outcome = &match outcome {
            Outcome::Complete(values) if values.len() != expected => {
                return Err(Error::Values { found: values.len(), expected });
            }
            Outcome::Complete(values) if values.iter().any(|value| value.is_nan()) => {
                Outcome::Failed("a value is NaN".to_owned())
            }
            other => other.clone(),
        };
        let state = match outcome {
            Outcome::Complete(_) => TrialState::Complete,
            Outcome::Pruned => TrialState::Pruned,
            Outcome::Failed(_) | Outcome::Requeued => TrialState::Fail,
        };
        // The same time at every attempt, so that one which came through unnoticed is recognised.
        let ended = match self.mine.get_mut(&trial.id) {
            Some(ended) => *ended.get_or_insert_with(now),
            None => now(),
        };
        let study = self.id;
        let is_told = self.database.write("tell how a trial ended", |session, _| {
            if *outcome == Outcome::Requeued {
                rows::lock_study(session, study)?;
            }
            if !rows::finish(session, trial.id, state, ended)? {
                return rows::was_finished(session, trial.id, state, ended);
            }
            write(session, study, expected, trial, outcome)?;
            Ok(true)
        })?;
        self.mine.remove(&trial.id);
        Ok(is_told)
    }
}

fn write(
    session: &mut dyn Session,
    study: i64,
    n_objectives: usize,
    trial: &Trial,
    outcome: &Outcome,
) -> storage::Outcome<()> {
    match outcome {
        Outcome::Complete(values) => rows::set_values(session, trial.id, values),
        Outcome::Pruned if n_objectives > 1 => Ok(()),
        Outcome::Pruned => match rows::last_report(session, trial.id)? {
            Some(value) if !value.is_nan() => rows::set_values(session, trial.id, &[value]),
            _ => Ok(()),
        },
        Outcome::Failed(reason) => set_failure(session, trial.id, reason),
        Outcome::Requeued => {
            let number = rows::next_number(session, study)?;
            let copy = rows::copy_trial(session, study, trial.id, number, &[WORKER, FAILURE, REPLACED, REQUEUED])?;
            let of = json::to_text(&trial.number.into());
            rows::set_attributes(session, Attributes::OfTrialSystem, copy, &[(REQUEUED, of)])?;
            set_replaced(session, trial.id, &format!("its program was stopped; queued again as trial {number}"))
        }
    }
}

pub(super) fn set_failure(session: &mut dyn Session, trial: i64, reason: &str) -> storage::Outcome<()> {
    rows::set_attributes(session, Attributes::OfTrial, trial, &[(FAILURE, cut(reason))])
}

/// A trial that another one has taken the place of has not failed by itself.
pub(super) fn set_replaced(session: &mut dyn Session, trial: i64, reason: &str) -> storage::Outcome<()> {
    rows::set_attributes(session, Attributes::OfTrial, trial, &[(REPLACED, cut(reason))])
}

/// JSON of a text, or of as much of it as an attribute takes.
fn cut(text: &str) -> String {
    let mut end = text.len();
    loop {
        let json = json::to_text(&text[..end].into());
        if json.len() <= MAX_ATTRIBUTE {
            return json;
        }
        end = text.floor_char_boundary(end - (end / 10).max(1));
    }
}

/// JSON has no infinities; the greatest number compares as they do.
fn finite(value: f64) -> Option<f64> {
    (!value.is_nan()).then(|| value.clamp(f64::MIN, f64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(cut("short"), "\"short\"");
        for text in ["x".repeat(10_000), "ü".repeat(10_000), "😀".repeat(1000)] {
            let json = cut(&text);
            assert!(json.len() <= MAX_ATTRIBUTE && json.len() > MAX_ATTRIBUTE * 8 / 10, "{}", json.len());
            assert!(text.starts_with(json::from_text(&json).as_str().unwrap_or("not a text")));
        }
    }
}
