//! Signs of life, and trials of dead workers.

use serde_json::Value;

use super::tell::{set_failure, set_replaced};
use super::{FAILURE, REPLACED, Result, Study, WORKER, now};
use crate::history::REQUEUED;
use crate::storage::rows::{self, Attributes, Pulse};
use crate::storage::{Outcome, Session};
use crate::{TrialState, json, worker};

/// Optuna's system attributes of a retried trial: the number of the first one, and those of all.
const FIRST: &str = "failed_trial";
const RETRIES: &str = "retry_history";

impl Study {
    /// A sign of life for every trial that this program works on, to be given every `heartbeat_seconds`; then fails the trials
    /// of dead workers and queues them again.
    pub fn beat(&mut self) -> Result<()> {
        let mine: Vec<i64> = self.mine.keys().copied().collect();
        self.database.run("give a sign of life", |session| rows::beat(session, &mine))?;
        let grace_seconds = self.settings.retry.grace_seconds;
        self.fail_dead(|pulse| pulse.age.is_some_and(|age| age > grace_seconds as f64))?;
        Ok(())
    }

    /// Fails trials whose worker is known to be dead and queues them again, at most `retry.max` times over, without waiting for
    /// the grace time; how many there were. For a program that takes up a study after a crash.
    ///
    /// Known to be dead is a worker that was a process of this host (attribute `worker`) which is no more, and one that has
    /// given no sign of life for `older_than_seconds`. Hosts are told apart by their names: where containers share a name but
    /// not their processes, do not call this while others work.
    pub fn requeue_orphans(&mut self, older_than_seconds: u64) -> Result<u32> {
        self.fail_dead(|pulse| {
            let worker = pulse.worker.as_deref().map(json::from_text);
            worker.as_ref().and_then(Value::as_str).is_some_and(worker::is_gone)
                || pulse.age.is_some_and(|age| age > older_than_seconds as f64)
        })
    }

    fn fail_dead(&mut self, is_dead: impl Fn(&Pulse) -> bool) -> Result<u32> {
        const DOING: &str = "look for dead workers";
        let (study, max_retries, grace_seconds) = (self.id, self.settings.retry.max, self.settings.retry.grace_seconds);
        let Self { database, mine, .. } = self;
        let dead = |session: &mut dyn Session| {
            let mut pulses = rows::pulses(session, study)?;
            pulses.retain(|pulse| !mine.contains_key(&pulse.id) && is_dead(pulse));
            Ok(pulses)
        };
        let is_nobody_dead = database.run(DOING, dead)?.is_empty();
        // Those who are silent since an outage may have had no chance yet.
        let is_after_outage = database.last_outage.is_some_and(|outage| outage.elapsed().as_secs() <= grace_seconds);
        if is_nobody_dead || is_after_outage {
            return Ok(0);
        }
        database.write(DOING, |session, _| {
            rows::lock_study(session, study)?;
            let mut failed = 0;
            for pulse in dead(session)? {
                failed += u32::from(fail(session, study, max_retries, &pulse)?);
            }
            Ok(failed)
        })
    }
}

/// False if it has just ended.
fn fail(session: &mut dyn Session, study: i64, max_retries: u32, pulse: &Pulse) -> Outcome<bool> {
    if !rows::finish(session, pulse.id, TrialState::Fail, now())? {
        return Ok(false);
    }
    let of_trial = |session: &mut dyn Session, key| rows::attribute(session, Attributes::OfTrialSystem, pulse.id, key);
    let number = Value::from(pulse.number);
    let mut retries = match of_trial(session, RETRIES)?.map(|text| json::from_text(&text)) {
        Some(Value::Array(retries)) => retries,
        _ => Vec::new(),
    };
    retries.push(number.clone());
    let silence = match pulse.age {
        Some(age) => format!("no sign of life of its worker for {age:.0} s"),
        None => "its worker is dead".to_owned(),
    };
    if retries.len() > max_retries as usize {
        set_failure(session, pulse.id, &format!("{silence}; not queued again after {max_retries} retries"))?;
        return Ok(true);
    }
    let first = of_trial(session, FIRST)?.unwrap_or_else(|| json::to_text(&number));
    let copy_number = rows::next_number(session, study)?;
    let without = [WORKER, FAILURE, REPLACED, REQUEUED, FIRST, RETRIES];
    let copy = rows::copy_trial(session, study, pulse.id, copy_number, &without)?;
    let attributes = [(FIRST, first), (RETRIES, json::to_text(&Value::Array(retries)))];
    rows::set_attributes(session, Attributes::OfTrialSystem, copy, &attributes)?;
    set_replaced(session, pulse.id, &format!("{silence}; queued again as trial {copy_number}"))?;
    Ok(true)
}
