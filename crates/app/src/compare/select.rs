//! Which runs are compared, by which metric: experiments, direction, ranking.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use tracking::{Experiment, Metric, RankedRun, RunData, RunQuery, Store, ViewType};
use training::metrics::{Direction, FORECAST_METRICS, METRICS};

use super::config::{Best, Config};
use crate::exit::Mistake;
use crate::kind::RunKind;
use crate::runs::{digest_of, near_names};

/// Parts of the data that a metric may be of, as they stand before its name.
const SPLITS: [&str; 8] = ["best_", "final_", "train_", "val_", "valid_", "validation_", "test_", "eval_"];
/// A metric whose name has one of these in it is better the lower it is.
const LOW_IS_GOOD: [&str; 9] = ["loss", "error", "rmse", "mse", "mae", "mape", "seconds", "latency", "perplexity"];
/// And one with these, the higher.
const HIGH_IS_GOOD: [&str; 8] = ["acc", "auc", "f1", "precision", "recall", "r2", "score", "per_second"];
/// The newest runs tell what they were stopped by.
const NEWEST: usize = 50;

/// The runs that are compared.
pub struct Selection {
    /// Names by id.
    pub experiments: BTreeMap<String, String>,
    /// The metrics, the first one ranks.
    pub metrics: Vec<RankedBy>,
    /// The best run first.
    pub runs: Vec<Candidate>,
    /// More runs than are shown.
    pub has_more: bool,
}

/// A metric and which way it is better.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedBy {
    /// Without `metrics.`.
    pub name: String,
    /// Which value is best.
    pub best: Best,
}

/// A run in the comparison.
pub struct Candidate {
    /// With params, tags and last values.
    pub run: RunData,
    /// What it does.
    pub kind: RunKind,
    /// Its best point of each metric, in their order; NaN counts as none.
    pub best: Vec<Option<Metric>>,
}

impl Candidate {
    /// The value that ranks it; NaN if there is none.
    pub fn value(&self) -> f64 {
        self.best.first().and_then(Option::as_ref).map_or(f64::NAN, |point| point.value)
    }

    /// The first digits of its id.
    pub fn short_id(&self) -> &str {
        self.run.info.run_id.get(..8).unwrap_or(&self.run.info.run_id)
    }

    /// Fingerprint of the data that it was trained on, with their split.
    pub fn digest(&self) -> Option<&str> {
        digest_of(&self.run)
    }
}

/// Finds the experiments, the metric and the runs. No runs are no error.
pub fn select(config: &Config, store: &dyn Store) -> Result<Selection> {
    let experiments = experiments(config, store)?;
    let ids: Vec<String> = experiments.keys().cloned().collect();
    let mut selection = Selection { experiments, metrics: Vec::new(), runs: Vec::new(), has_more: false };
    let mut names: Vec<String> =
        config.metrics.iter().map(|name| name.strip_prefix("metrics.").unwrap_or(name).to_owned()).collect();
    if names.is_empty() {
        let Some(name) = default_metric(store, &ids)? else { return Ok(selection) };
        names.push(name);
    }
    for name in names {
        let best = match config.best.or_else(|| direction_of(&name)) {
            Some(best) => best,
            None => {
                check_metric(store, &ids, &name)?;
                let problem = format!("it is not known whether `{name}` is better high or low");
                return Err(Mistake::new(problem).hint("say `--ascending` (low is best) or `--descending`").into());
            }
        };
        selection.metrics.push(RankedBy { name, best });
    }
    let ranking = &selection.metrics[0];
    let query = RunQuery {
        experiment_ids: ids.clone(),
        filter: filter(config),
        view: config.view.into(),
        ..RunQuery::default()
    };
    let ranked = match ids.is_empty() {
        true => None,
        false => Some(store.ranked_runs(&query, &ranking.name, ranking.best == Best::Highest)?),
    };
    for found in ranked.into_iter().flatten() {
        let RankedRun { run, best } = found?;
        let kind = RunKind::of(&run);
        let is_wanted = (config.kinds.is_empty() || config.kinds.contains(&kind))
            && (config.statuses.is_empty() || config.statuses.contains(&run.info.status));
        if !is_wanted {
            continue;
        }
        if selection.runs.len() == config.top && config.group_by.is_none() {
            selection.has_more = true;
            break;
        }
        let best = Some(best).filter(|point| !point.value.is_nan());
        selection.runs.push(Candidate { run, kind, best: vec![best] });
    }
    if selection.runs.is_empty() {
        check_metric(store, &ids, &ranking.name)?;
    }
    add_other_metrics(&mut selection, store)?;
    Ok(selection)
}

/// The named experiments, or all of them; `id -> name`.
fn experiments(config: &Config, store: &dyn Store) -> Result<BTreeMap<String, String>> {
    // A deleted run's experiment may be deleted too.
    let all = store.experiments(if config.view == super::config::View::Active {
        ViewType::ActiveOnly
    } else {
        ViewType::All
    })?;
    let pair = |experiment: &Experiment| (experiment.experiment_id.clone(), experiment.name.clone());
    if config.experiments.is_empty() {
        return Ok(all.iter().map(pair).collect());
    }
    let find = |wanted: &String| {
        let is_it = |experiment: &&Experiment| experiment.name == *wanted || experiment.experiment_id == *wanted;
        all.iter().find(is_it).map(pair).ok_or_else(|| {
            let problem = format!("experiment `{wanted}` not found in `{}`", store.uri());
            let names = all.iter().map(|experiment| experiment.name.as_str());
            Mistake::new(problem).hint(near_names(wanted, names))
        })
    };
    Ok(config.experiments.iter().map(find).collect::<Result<_, _>>()?)
}

/// `val_` and what the newest training was stopped by.
fn default_metric(store: &dyn Store, ids: &[String]) -> Result<Option<String>> {
    if ids.is_empty() {
        return Ok(None);
    }
    let query = RunQuery { experiment_ids: ids.to_vec(), max_results: NEWEST, ..RunQuery::default() };
    let newest = store.search_runs(&query)?.items;
    let monitor = |run: &RunData| {
        let monitor = run.params.get("training.early_stopping.monitor")?;
        run.metrics.contains_key(monitor).then(|| monitor.clone())
    };
    let first =
        |run: &RunData| run.metrics.keys().find(|key| key.starts_with("val_") || key.starts_with("test_")).cloned();
    Ok(newest.iter().find_map(monitor).or_else(|| newest.iter().find_map(first)))
}

/// An error, with the near names that exist, if no run has the metric; none if there are no runs with metrics at all.
fn check_metric(store: &dyn Store, ids: &[String], name: &str) -> Result<()> {
    let known = store.metric_keys(ids)?;
    if known.is_empty() || known.iter().any(|key| key == name) {
        return Ok(());
    }
    let own = known.iter().map(String::as_str).filter(|key| !key.starts_with("system/"));
    Err(Mistake::new(format!("no run has a metric `{name}`")).hint(near_names(name, own)).into())
}

/// Which way a metric is better: by the tables of metrics, else by what its name says.
pub fn direction_of(name: &str) -> Option<Best> {
    let bare = bare_metric(name);
    let of = |direction: Direction| match direction {
        Direction::Maximize => Best::Highest,
        Direction::Minimize => Best::Lowest,
    };
    let in_tables = METRICS
        .iter()
        .map(|metric| (metric.name, Some(metric.direction)))
        .chain(FORECAST_METRICS.iter().map(|metric| (metric.name, metric.direction)))
        .find(|(known, _)| *known == bare);
    if let Some((_, direction)) = in_tables {
        return direction.map(of);
    }
    let lower = bare.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    if has(&LOW_IS_GOOD) { Some(Best::Lowest) } else { has(&HIGH_IS_GOOD).then_some(Best::Highest) }
}

/// `auc` for `best_val_auc`.
pub fn bare_metric(name: &str) -> &str {
    SPLITS.iter().fold(name, |name, split| name.strip_prefix(split).unwrap_or(name))
}

/// The filter with the start time in it.
fn filter(config: &Config) -> String {
    let since = config.since.as_deref().and_then(|since| since_ms(since).ok());
    let since = since.map(|since| format!("attributes.start_time >= {since}"));
    let own = Some(config.filter.trim().to_owned()).filter(|filter| !filter.is_empty());
    own.into_iter().chain(since).collect::<Vec<_>>().join(" and ")
}

/// Milliseconds since the epoch of `7d`, `12h`, `30m`, `2026-05-01`, `2026-05-01T12:00`; local time.
pub fn since_ms(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let ago = text.char_indices().last().and_then(|(end, unit)| {
        let number: i64 = text[..end].parse().ok().filter(|number| *number >= 0)?;
        match unit {
            'd' => TimeDelta::try_days(number),
            'h' => TimeDelta::try_hours(number),
            'm' => TimeDelta::try_minutes(number),
            'w' => TimeDelta::try_weeks(number),
            _ => None,
        }
    });
    if let Some(moment) = ago.and_then(|ago| Utc::now().checked_sub_signed(ago)) {
        return Ok(moment.timestamp_millis());
    }
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.timestamp_millis());
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|date| date.and_hms_opt(0, 0, 0));
    let time = || {
        ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    let moment = date.or_else(time).and_then(|moment| Local.from_local_datetime(&moment).earliest());
    moment
        .map(|moment| moment.timestamp_millis())
        .ok_or_else(|| format!("`{text}` is no time; write `7d`, `12h`, `2026-05-01` or `2026-05-01T12:00`"))
}

/// The best points of the metrics that do not rank.
fn add_other_metrics(selection: &mut Selection, store: &dyn Store) -> Result<()> {
    let ids: Vec<String> = selection.runs.iter().map(|candidate| candidate.run.info.run_id.clone()).collect();
    for metric in selection.metrics.iter().skip(1) {
        let histories = store.metric_histories(&ids, &metric.name)?;
        if histories.is_empty() && !ids.is_empty() {
            let all: Vec<String> = selection.experiments.keys().cloned().collect();
            check_metric(store, &all, &metric.name)?;
        }
        for candidate in &mut selection.runs {
            let points = histories.get(&candidate.run.info.run_id);
            candidate.best.push(points.and_then(|points| best_point(points, metric.best)).cloned());
        }
    }
    Ok(())
}

/// The first of the best points.
pub fn best_point(points: &[Metric], best: Best) -> Option<&Metric> {
    let better =
        |found: Option<&'_ Metric>, point: &Metric| found.is_none_or(|found| best.is_better(point.value, found.value));
    points
        .iter()
        .filter(|point| !point.value.is_nan())
        .fold(None, |found, point| if better(found, point) { Some(point) } else { found })
}

/// `5 min`, `3 h`, `2 d`: about how long.
pub fn about(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.1} min", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}
