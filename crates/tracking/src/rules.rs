//! MLflow's rules, so that every store refuses, cuts and words things as a server does.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Batch, Error, Lifecycle, Millis, NewRun, Result};

/// Tag that always equals the run's name.
pub(crate) const RUN_NAME_TAG: &str = "mlflow.runName";
/// Tag that repeats the run's owner.
pub(crate) const USER_TAG: &str = "mlflow.user";
/// The run that this one is a part of.
pub(crate) const PARENT_TAG: &str = "mlflow.parentRunId";
/// The id that a run was started under while its server was away.
pub(crate) const LOCAL_ID_TAG: &str = "tracking.local_run_id";
/// When a run on a server was last known to live.
pub(crate) const HEARTBEAT_TAG: &str = "tracking.heartbeat";
/// When a run that died was last known to live.
pub(crate) const LAST_SEEN_TAG: &str = "tracking.last_seen";
/// Why a run failed.
pub(crate) const ERROR_TAG: &str = "error";
/// What MLflow's table of inputs calls a data set's purpose, and `datasets.context` means.
pub(crate) const DATASET_CONTEXT_TAG: &str = "mlflow.data.context";

/// Longest key of a metric, param or tag.
pub const MAX_KEY_CHARS: usize = 250;
/// Longest value of a param; what is longer is cut.
pub const MAX_PARAM_CHARS: usize = 6000;
/// Longest value of a tag; what is longer is cut.
pub const MAX_TAG_CHARS: usize = 8000;
/// Longest name of an experiment.
pub const MAX_EXPERIMENT_NAME_CHARS: usize = 500;

/// Checks the key of a metric, param or tag (`what`: `Metric name`, `Param key`, `Tag key`).
///
/// Errors with [`Error::Invalid`] in MLflow's words when it is too long, has other characters than letters, digits and
/// `_-. :/`, or would be another file as a path (`a//b`, `../a`, `/a`).
pub fn check_key(what: &str, key: &str) -> Result<()> {
    if key.chars().count() > MAX_KEY_CHARS {
        return Err(Error::Invalid(format!("'{what}' exceeds the maximum length of {MAX_KEY_CHARS} characters")));
    }
    let why = if !key.chars().all(|c| c.is_alphanumeric() || "_-. :/".contains(c)) {
        "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and \
         slashes (/)."
    } else if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "Names may be treated as files in certain cases, and must not resolve to other names when treated as such."
    } else {
        return Ok(());
    };
    Err(Error::Invalid(format!("Invalid value \"{key}\" for parameter '{what}' supplied: {why}")))
}

/// Checks every key of a batch with [`check_key`].
pub fn check_batch(batch: &Batch) -> Result<()> {
    batch.metrics.iter().try_for_each(|metric| check_key("Metric name", &metric.key))?;
    batch.params.iter().try_for_each(|(key, _)| check_key("Param key", key))?;
    batch.tags.iter().try_for_each(|(key, _)| check_key("Tag key", key))
}

/// Checks the name of a new experiment. Errors with [`Error::Invalid`] when it is empty or too long.
pub fn check_experiment_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::Invalid("Invalid experiment name: ''".into()));
    }
    if name.chars().count() > MAX_EXPERIMENT_NAME_CHARS {
        let limit = MAX_EXPERIMENT_NAME_CHARS;
        return Err(Error::Invalid(format!("'name' exceeds the maximum length of {limit} characters")));
    }
    Ok(())
}

/// The first `max_chars` characters.
pub fn truncate(text: &str, max_chars: usize) -> &str {
    text.char_indices().nth(max_chars).map_or(text, |(end, _)| &text[..end])
}

/// What MLflow's database keeps of a value: `(value, is_nan)` with NaN as 0 and infinities as the largest numbers.
/// Zero loses its sign, as in SQLite.
pub fn stored_value(value: f64) -> (f64, bool) {
    if value.is_nan() { (0.0, true) } else { (value.clamp(f64::MIN, f64::MAX) + 0.0, false) }
}

/// Name and tags of a new run: the name also is tag `mlflow.runName`, the user `mlflow.user`. A run without any name is
/// called after its id.
pub(crate) fn name_and_tags(run: &NewRun, run_id: &str) -> (String, BTreeMap<String, String>) {
    let mut tags = run.tags.clone();
    let name = match (run.name.is_empty(), tags.remove(RUN_NAME_TAG)) {
        (false, _) => run.name.clone(),
        (true, Some(name)) => name,
        (true, None) => format!("run-{}", truncate(run_id, 8)),
    };
    tags.insert(RUN_NAME_TAG.into(), name.clone());
    if !run.user.is_empty() {
        tags.insert(USER_TAG.into(), run.user.clone());
    }
    for value in tags.values_mut() {
        *value = truncate(value, MAX_TAG_CHARS).to_owned();
    }
    (name, tags)
}

/// Parses an experiment id. Errors with [`Error::Invalid`] in MLflow's words.
pub(crate) fn parse_experiment_id(experiment_id: &str) -> Result<i64> {
    experiment_id.parse().map_err(|_| {
        Error::Invalid(format!("Invalid experiment ID '{experiment_id}'. Experiment ID must be a valid integer."))
    })
}

pub(crate) fn experiment_not_found(experiment_id: &str) -> Error {
    Error::NotFound(format!("No Experiment with id={experiment_id} exists"))
}

pub(crate) fn run_not_found(run_id: &str) -> Error {
    Error::NotFound(format!("Run with id={run_id} not found"))
}

pub(crate) fn tag_not_found(run_id: &str, key: &str) -> Error {
    Error::NotFound(format!("No tag with name: {key} in run with id {run_id}"))
}

/// Errors unless `what` (`run` or `experiment`) is active: what is deleted is not written.
pub(crate) fn check_active(what: &str, id: &str, lifecycle: Lifecycle) -> Result<()> {
    match lifecycle {
        Lifecycle::Active => Ok(()),
        Lifecycle::Deleted => Err(Error::Invalid(format!(
            "The {what} {id} must be in the 'active' state. Current state is deleted. Hint: restore it first."
        ))),
    }
}

/// The error for params that have another value already: `(key, old value, new value)` each.
pub(crate) fn param_conflict(run_id: &str, conflicts: &[(String, String, String)]) -> Error {
    let list: Vec<String> = conflicts
        .iter()
        .map(|(key, old, new)| format!("{{'key': '{key}', 'old_value': '{old}', 'new_value': '{new}'}}"))
        .collect();
    Error::Invalid(format!(
        "Changing param values is not allowed. Params were already logged='[{}]' for run ID='{run_id}'. Hint: log the \
         new value under another key, or as a tag.",
        list.join(", ")
    ))
}

/// Milliseconds since the epoch; 0 for a clock before it.
pub(crate) fn now_ms() -> Millis {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(elapsed.as_millis()).unwrap_or(Millis::MAX)
}

/// `2026-11-25T23:01:02Z`.
pub(crate) fn rfc3339(time_ms: Millis) -> String {
    let seconds = time_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a date in the Gregorian calendar, counted in eras of 400 years that begin in March (Howard Hinnant,
    // "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (era * 400 + year, month + 3) } else { (era * 400 + year + 1, month - 9) };
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Milliseconds of a time that [`rfc3339`] has written.
pub(crate) fn parse_rfc3339(text: &str) -> Option<Millis> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // The inverse of the above: years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let days = era * 146_097 + year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_mlflow() {
        for good in ["lr", "val/auc", "hidden dim", "a.b-c_d:1", "größe", &"k".repeat(250)] {
            assert!(check_key("Param key", good).is_ok(), "{good}");
        }
        for bad in ["", "a%b", "a//b", "/a", "a/", "..", "../a", "a/./b", "a\nb", &"k".repeat(251)] {
            assert!(check_key("Param key", bad).is_err(), "{bad}");
        }
    }

    /// Against `date -u -d @SECONDS`.
    #[test]
    fn times_are_written_as_people_read_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds * 1000 + 5), text);
            assert_eq!(parse_rfc3339(text), Some(seconds * 1000));
        }
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn truncation_counts_characters() {
        assert_eq!(truncate("äöü", 2), "äö");
        assert_eq!(truncate("äöü", 3), "äöü");
    }

    #[test]
    fn values_are_stored_as_mlflow_stores_them() {
        assert_eq!(stored_value(f64::NAN), (0.0, true));
        assert_eq!(stored_value(f64::INFINITY), (f64::MAX, false));
        assert_eq!(stored_value(f64::NEG_INFINITY), (f64::MIN, false));
        assert_eq!(stored_value(0.5), (0.5, false));
        assert!(stored_value(-0.0).0.is_sign_positive());
    }
}
