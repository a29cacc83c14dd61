//! Which trial is next.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;

use super::{Ask, Error, Result, Study, StudySettings, WORKER, now};
use crate::history::History;
use crate::storage::rows::{self, Attributes};
use crate::storage::{Outcome, Session};
use crate::{SamplerKind, SearchConfig, Trial, TrialState, Values, json, params, suggest};

impl Study {
    /// Takes the first trial of the queue, or begins a new one, if fewer than `n_trials` were begun; its parameters are
    /// proposed and stored. A failed trial that was queued again does not count, and a queued one counts when it is begun.
    pub fn ask(&mut self) -> Result<Ask> {
        if self.history.is_empty() {
            // Much to read, which must not make the others wait.
            self.trials()?;
        }
        let started = now();
        let Self { settings, database, id, history, worker, mine, is_unsure } = self;
        let answer = database.write("ask for a trial", |session, is_sent| {
            rows::lock_study(session, *id)?;
            history.refresh(session, *id, &settings.space)?;
            if let (true, Some(trial)) = (is_sent || *is_unsure, forgotten(history, worker, mine)) {
                return Ok(Ask::Trial(trial));
            }
            let next = Next { settings, history, study: *id, worker, started };
            if history.begun() < settings.n_trials as usize
                && let Some(trial) = next.begin(session)?
            {
                return Ok(Ask::Trial(trial));
            }
            // The trial of a program that gives no signs of life never comes back.
            let may_come_back = |pulse: &rows::Pulse| pulse.age.is_some() && !mine.contains_key(&pulse.id);
            let others = rows::pulses(session, *id)?.iter().any(may_come_back);
            Ok(if others { Ask::Wait } else { Ask::Done })
        });
        *is_unsure |= matches!(answer, Err(Error::Unreachable { .. }));
        if let Ok(Ask::Trial(trial)) = &answer {
            *is_unsure = false;
            mine.insert(trial.id, None);
        }
        answer
    }
}

/// A trial that this program has begun without learning of it, because the connection was lost just then.
fn forgotten(history: &History, worker: &str, mine: &BTreeMap<i64, Option<NaiveDateTime>>) -> Option<Trial> {
    let is_own = |trial: &&Trial| {
        trial.state == TrialState::Running
            && trial.user_attributes.get(WORKER).is_some_and(|of| of == worker)
            && !mine.contains_key(&trial.id)
    };
    history.trials().iter().find(is_own).cloned()
}

/// Begins a trial, under the lock of the study.
struct Next<'a> {
    settings: &'a StudySettings,
    history: &'a History,
    study: i64,
    worker: &'a str,
    started: NaiveDateTime,
}

impl Next<'_> {
    /// `None`: nothing is queued, and the grid is used up.
    fn begin(&self, session: &mut dyn Session) -> Outcome<Option<Trial>> {
        let is_waiting = |trial: &&Trial| trial.state == TrialState::Waiting;
        for waiting in self.history.trials().iter().filter(is_waiting) {
            let fixed = params::fixed(&self.settings.space, waiting);
            // Optuna takes trials from the queue without the lock of the study.
            if rows::claim(session, waiting.id, self.started)? {
                let values = self.complete(waiting.number, fixed);
                return self.start(session, Trial { params: values, ..waiting.clone() }).map(Some);
            }
        }
        let number = self.history.trials().len() as u32;
        let Some(params) = self.suggest(&self.settings.search, number, &Values::new()) else { return Ok(None) };
        let id = rows::create_trial(session, self.study, number, TrialState::Running, Some(self.started))?;
        let trial = Trial {
            id,
            number,
            state: TrialState::Running,
            params,
            values: Vec::new(),
            intermediate: BTreeMap::new(),
            started: None,
            ended: None,
            user_attributes: BTreeMap::new(),
            system_attributes: BTreeMap::new(),
        };
        self.start(session, trial).map(Some)
    }

    /// All values of a queued trial. A used-up grid proposes nothing for what is missing: then chance does.
    fn complete(&self, number: u32, fixed: Values) -> Values {
        let random = SearchConfig { name: SamplerKind::Random, ..self.settings.search.clone() };
        self.suggest(&self.settings.search, number, &fixed)
            .or_else(|| self.suggest(&random, number, &fixed))
            .unwrap_or(fixed)
    }

    fn suggest(&self, search: &SearchConfig, number: u32, fixed: &Values) -> Option<Values> {
        let StudySettings { space, directions, .. } = self.settings;
        suggest(search, space, directions, self.history.trials(), number, fixed)
    }

    fn start(&self, session: &mut dyn Session, mut trial: Trial) -> Outcome<Trial> {
        let param = |(name, &value)| (String::as_str(name), value, self.history.distribution(name));
        let params: Vec<_> = trial.params.iter().map(param).collect();
        rows::set_params(session, trial.id, &params)?;
        let worker = self.worker.into();
        rows::set_attributes(session, Attributes::OfTrial, trial.id, &[(WORKER, json::to_text(&worker))])?;
        rows::beat(session, &[trial.id])?;
        trial.user_attributes.insert(WORKER.to_owned(), worker);
        trial.state = TrialState::Running;
        trial.started = Some(self.started);
        Ok(trial)
    }
}
