//! The trials of a study as this program knows them. Finished ones never change, so only the others are read again.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use crate::storage::rows::{self, Detail, TrialRow};
use crate::storage::{Outcome, Session};
use crate::{Space, Trial, TrialState, Values, json, params};

/// See the module.
#[derive(Default)]
pub(crate) struct History {
    /// By number.
    trials: Vec<Trial>,
    last_id: i64,
    /// JSON of our distributions, by name of the parameter.
    distributions: HashMap<String, String>,
}

impl History {
    pub fn new(space: &Space) -> Self {
        let json = |param: &crate::Param| (param.name.clone(), params::distribution_json(&param.distribution));
        Self { distributions: space.params().iter().map(json).collect(), ..Self::default() }
    }

    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    pub fn is_empty(&self) -> bool {
        self.trials.is_empty()
    }

    pub fn get(&self, id: i64) -> Option<&Trial> {
        self.trials.iter().rfind(|trial| trial.id == id)
    }

    /// The JSON of our distribution of a parameter of the space.
    pub fn distribution(&self, name: &str) -> &str {
        self.distributions.get(name).map_or("", String::as_str)
    }

    /// Reads what is new.
    pub fn refresh(&mut self, session: &mut dyn Session, study: i64, space: &Space) -> Outcome<()> {
        let open: HashMap<i64, TrialState> = self
            .trials
            .iter()
            .filter(|trial| !trial.state.is_finished())
            .map(|trial| (trial.id, trial.state))
            .collect();
        let mut ids: Vec<i64> = open.keys().copied().collect();
        ids.sort_unstable();
        let mut changed = rows::trials(session, study, self.last_id, &ids)?;
        // Queued trials do not change either.
        changed.retain(|row| row.state != TrialState::Waiting || !open.contains_key(&row.id));
        let ids: Vec<i64> = changed.iter().map(|row| row.id).collect();
        let mut details: HashMap<i64, Vec<Detail>> = HashMap::new();
        for (id, detail) in rows::details(session, &ids)? {
            details.entry(id).or_default().push(detail);
        }
        for row in changed {
            self.last_id = self.last_id.max(row.id);
            let details = details.remove(&row.id).unwrap_or_default();
            self.put(self.trial(row, details, space));
        }
        Ok(())
    }

    fn put(&mut self, trial: Trial) {
        let key = |trial: &Trial| (trial.number, trial.id);
        match self.trials.binary_search_by_key(&key(&trial), key) {
            Ok(at) => self.trials[at] = trial,
            Err(at) => self.trials.insert(at, trial),
        }
    }

    fn trial(&self, row: TrialRow, details: Vec<Detail>, space: &Space) -> Trial {
        let TrialRow { id, number, state, started, ended } = row;
        let mut trial = Trial {
            id,
            number,
            state,
            params: Values::new(),
            values: Vec::new(),
            intermediate: BTreeMap::new(),
            started,
            ended,
            user_attributes: BTreeMap::new(),
            system_attributes: BTreeMap::new(),
        };
        let mut values = BTreeMap::new();
        for detail in details {
            match detail {
                Detail::Param { name, value, distribution } => {
                    let accept = |param| params::accept(param, self.distribution(&name), value, &distribution);
                    if let Some(value) = space.get(&name).and_then(accept) {
                        trial.params.insert(name, value);
                    }
                }
                Detail::Value { objective, value } => drop(values.insert(objective, value)),
                Detail::Intermediate { step, value } => drop(trial.intermediate.insert(step, value)),
                Detail::UserAttribute { key, json } => drop(trial.user_attributes.insert(key, json::from_text(&json))),
                Detail::SystemAttribute { key, json } => {
                    drop(trial.system_attributes.insert(key, json::from_text(&json)));
                }
            }
        }
        if state == TrialState::Complete {
            trial.values = values.into_values().collect();
        }
        trial
    }

    /// A finished trial has a new attribute.
    pub fn set_attribute(&mut self, id: i64, key: &str, value: &Value) {
        if let Some(trial) = self.trials.iter_mut().find(|trial| trial.id == id) {
            trial.user_attributes.insert(key.to_owned(), value.clone());
        }
    }

    /// Trials that were begun, without those that another one has taken the place of.
    pub fn begun(&self) -> usize {
        let replaced: HashSet<u64> = self.trials.iter().flat_map(replaced_by).collect();
        let counts = |trial: &&Trial| match trial.state {
            TrialState::Waiting => false,
            TrialState::Fail => !replaced.contains(&trial.number.into()),
            _ => true,
        };
        self.trials.iter().filter(counts).count()
    }
}

/// Numbers of the trials that this one was queued in place of: Optuna's attribute of retries, and ours.
fn replaced_by(trial: &Trial) -> Vec<u64> {
    let history = trial.system_attributes.get("retry_history").and_then(Value::as_array);
    let requeued = trial.system_attributes.get(REQUEUED).and_then(Value::as_u64);
    history.into_iter().flatten().filter_map(Value::as_u64).chain(requeued).collect()
}

/// System attribute of a trial that was queued in place of one whose program was stopped: the number of that one.
pub(crate) const REQUEUED: &str = "requeued_trial";
