//! The runs as a table: the columns that there are, and those that are worth their place.

use serde_json::{Map, Value, json};

use super::Comparison;
use super::grid::{Grid, GridColumn};
use super::groups::{Group, Groups};
use super::params::{differing_params, is_of_seed, short_names};
use super::select::{Candidate, about};
use super::verdicts::short;
use crate::console::number;
use crate::exit::Mistake;
use crate::runs::near_names;

/// Names of the columns that are about a run itself.
const FACTS: [&str; 15] = [
    "rank",
    "name",
    "id",
    "run_id",
    "kind",
    "status",
    "experiment",
    "user",
    "started",
    "age",
    "duration",
    "interval",
    "delta",
    "delta_champion",
    "p",
];
/// More differing params than this are no help in a terminal.
const MOST_PARAMS: usize = 8;

/// A column that was asked for.
enum Column {
    Fact(&'static str),
    Metric(usize),
    OtherMetric(String),
    Param(String),
    Tag(String),
}

/// The runs as a grid. `is_exact`: for programs, in full precision and with full ids.
pub fn grid(comparison: &Comparison, columns: Option<&[String]>, is_exact: bool) -> Result<Grid, Mistake> {
    let chosen = match columns {
        Some(names) => names.iter().map(|name| named(name, comparison)).collect::<Result<Vec<_>, _>>()?,
        None => default_columns(comparison, is_exact),
    };
    let params: Vec<String> = chosen
        .iter()
        .filter_map(|column| if let Column::Param(name) = column { Some(name.clone()) } else { None })
        .collect();
    let short = short_names(&params);
    let heading = |column: &Column| match column {
        Column::Fact(name) => (*name).to_owned(),
        Column::Metric(index) => comparison.selection.metrics[*index].name.clone(),
        Column::OtherMetric(name) | Column::Tag(name) => name.clone(),
        Column::Param(name) if is_exact => name.clone(),
        Column::Param(name) => {
            params.iter().position(|known| known == name).map_or_else(String::new, |i| short[i].clone())
        }
    };
    let is_asked = columns.is_some();
    let columns = chosen.iter().enumerate().map(|(index, column)| GridColumn {
        name: heading(column),
        is_number: is_number(column, comparison),
        rank: if is_asked {
            0
        } else {
            rank(column, index, chosen[..index].iter().filter(|other| is_param(other)).count())
        },
    });
    let row = |(place, candidate): (usize, &Candidate)| {
        chosen.iter().map(|column| cell(comparison, (place, candidate), column, is_exact)).collect()
    };
    let rows = comparison.selection.runs.iter().enumerate().map(row).collect();
    Ok(Grid { columns: columns.collect(), rows })
}

fn is_param(column: &Column) -> bool {
    matches!(column, Column::Param(_))
}

/// What goes first when there is no room.
fn rank(column: &Column, index: usize, n_params_before: usize) -> usize {
    match column {
        Column::Fact("rank" | "name" | "id") | Column::Metric(0) => 0,
        Column::Fact("delta") => 1,
        Column::Fact("delta_champion") => 2,
        Column::Metric(index) => 2 + index,
        Column::Fact("kind") => 40,
        Column::Fact("p") => 50,
        Column::Fact("duration" | "age") => 60,
        Column::Fact("interval") => 70,
        // The last of the params goes before the first; a few say more than a time.
        Column::Param(_) if n_params_before < 3 => 55 + n_params_before,
        Column::Param(_) => 200 + index,
        _ => 1000 + index,
    }
}

fn named(name: &str, comparison: &Comparison) -> Result<Column, Mistake> {
    if let Some(fact) = FACTS.iter().find(|fact| **fact == name) {
        return Ok(Column::Fact(fact));
    }
    let metrics = &comparison.selection.metrics;
    let runs = || comparison.selection.runs.iter().map(|candidate| &candidate.run);
    let bare = name.strip_prefix("metrics.").unwrap_or(name);
    if let Some(index) = metrics.iter().position(|metric| metric.name == bare) {
        return Ok(Column::Metric(index));
    }
    if runs().any(|run| run.metrics.contains_key(bare)) {
        return Ok(Column::OtherMetric(bare.to_owned()));
    }
    let bare = name.strip_prefix("params.").unwrap_or(name);
    if runs().any(|run| run.params.contains_key(bare)) {
        return Ok(Column::Param(bare.to_owned()));
    }
    let bare = name.strip_prefix("tags.").unwrap_or(name);
    if runs().any(|run| run.tags.contains_key(bare)) || comparison.selection.runs.is_empty() {
        return Ok(Column::Tag(bare.to_owned()));
    }
    let mut known: Vec<String> = FACTS.iter().map(|fact| (*fact).to_owned()).collect();
    for run in runs() {
        known.extend(run.metrics.keys().map(|key| format!("metrics.{key}")));
        known.extend(run.params.keys().map(|key| format!("params.{key}")));
        known.extend(run.tags.keys().map(|key| format!("tags.{key}")));
    }
    known.sort();
    known.dedup();
    let problem = format!("`--columns`: the runs have no `{name}`");
    Err(Mistake::new(problem).hint(near_names(name, known.iter().map(String::as_str))))
}

fn default_columns(comparison: &Comparison, is_exact: bool) -> Vec<Column> {
    let selection = &comparison.selection;
    let mut chosen =
        vec![Column::Fact("rank"), Column::Fact("name"), Column::Fact(if is_exact { "run_id" } else { "id" })];
    let kinds = || selection.runs.iter().map(|candidate| candidate.kind);
    let first = kinds().next();
    if is_exact || kinds().any(|kind| Some(kind) != first) {
        chosen.push(Column::Fact("kind"));
    }
    chosen.push(Column::Metric(0));
    if !comparison.judgement.intervals.is_empty() {
        chosen.push(Column::Fact("interval"));
    }
    chosen.push(Column::Fact("delta"));
    if !comparison.judgement.verdicts.is_empty() {
        chosen.push(Column::Fact("p"));
    }
    if comparison.champion.as_ref().is_some_and(|champion| champion.value.is_some()) {
        chosen.push(Column::Fact("delta_champion"));
    }
    chosen.extend((1..selection.metrics.len()).map(Column::Metric));
    let params = comparison.params();
    let most = if is_exact { params.len() } else { MOST_PARAMS };
    chosen.extend(params.into_iter().take(most).map(Column::Param));
    chosen.extend(["duration", "age"].map(Column::Fact));
    chosen
}

fn is_number(column: &Column, comparison: &Comparison) -> bool {
    match column {
        Column::Fact(name) => ["rank", "age", "duration", "interval", "delta", "delta_champion", "p"].contains(name),
        Column::Metric(_) | Column::OtherMetric(_) => true,
        Column::Tag(_) => false,
        Column::Param(name) => {
            let values = comparison.selection.runs.iter().filter_map(|candidate| candidate.run.params.get(name));
            values.clone().count() > 0 && values.clone().all(|value| value.parse::<f64>().is_ok())
        }
    }
}

fn cell(comparison: &Comparison, (place, candidate): (usize, &Candidate), column: &Column, is_exact: bool) -> String {
    let missing = || if is_exact { String::new() } else { "-".to_owned() };
    let value = |value: f64| match (value.is_finite(), is_exact) {
        (false, _) => missing(),
        (true, true) => value.to_string(),
        (true, false) => number(value),
    };
    let info = &candidate.run.info;
    match column {
        Column::Metric(index) => match &candidate.best[*index] {
            // The step says which epoch it was, where there was more than one.
            Some(point) if !is_exact && *index == 0 && point.step > 0 => {
                format!("{} @{}", value(point.value), point.step)
            }
            point => point.as_ref().map_or_else(missing, |point| value(point.value)),
        },
        Column::OtherMetric(name) => candidate.run.metrics.get(name).map_or_else(missing, |point| value(point.value)),
        Column::Param(name) => candidate.run.params.get(name).cloned().unwrap_or_else(missing),
        Column::Tag(name) => candidate.run.tags.get(name).cloned().unwrap_or_else(missing),
        Column::Fact("rank") => (place + 1).to_string(),
        Column::Fact("name") => {
            let is_champion = comparison.champion.as_ref().is_some_and(|champion| champion.run_id == info.run_id);
            if is_champion && !is_exact { format!("* {}", info.name) } else { info.name.clone() }
        }
        Column::Fact("id") => candidate.short_id().to_owned(),
        Column::Fact("run_id") => info.run_id.clone(),
        Column::Fact("kind") => candidate.kind.as_str().to_owned(),
        Column::Fact("status") => info.status.to_string(),
        Column::Fact("experiment") => comparison.experiment(candidate).to_owned(),
        Column::Fact("user") => info.user.clone(),
        Column::Fact("started") => super::moment(info.start_time_ms),
        Column::Fact("age") => match is_exact {
            true => ((comparison.now_ms - info.start_time_ms) / 1000).to_string(),
            false => about(((comparison.now_ms - info.start_time_ms) as f64 / 1000.0).max(0.0)),
        },
        Column::Fact("duration") => candidate.seconds().map_or_else(missing, |seconds| match is_exact {
            true => seconds.to_string(),
            false => about(seconds),
        }),
        Column::Fact("interval") => match comparison.judgement.intervals.get(&info.run_id) {
            Some(interval) if is_exact => format!("{} {}", interval.low, interval.high),
            Some(interval) => format!("[{}, {}]", short(interval.low), short(interval.high)),
            None => missing(),
        },
        Column::Fact("delta") => match comparison.delta_to_best(candidate) {
            Some(0.0) if !is_exact && place == 0 => String::new(),
            Some(delta) => signed(delta, is_exact),
            None => missing(),
        },
        Column::Fact("delta_champion") => {
            comparison.delta_to_champion(candidate).map_or_else(missing, |delta| signed(delta, is_exact))
        }
        Column::Fact(_) => {
            let verdict = comparison.judgement.verdicts.iter().find(|verdict| verdict.run_id == info.run_id);
            match verdict {
                Some(verdict) if is_exact => verdict.p_adjusted.to_string(),
                Some(verdict) if verdict.p_adjusted < 0.001 => "<.001".to_owned(),
                Some(verdict) => format!("{:.3}", verdict.p_adjusted),
                None if place == 0 && !is_exact => String::new(),
                None => missing(),
            }
        }
    }
}

fn signed(delta: f64, is_exact: bool) -> String {
    if is_exact { delta.to_string() } else { format!("{}{}", if delta > 0.0 { "+" } else { "" }, short(delta)) }
}

/// Groups as a grid.
pub fn group_grid(groups: &Groups, metric: &str, is_exact: bool) -> Grid {
    let column = |name: &str, is_number, rank| GridColumn { name: name.to_owned(), is_number, rank };
    let mut columns = vec![column("rank", true, 0)];
    // The last of the params goes before the first.
    columns.extend(groups.keys.iter().enumerate().map(|(index, key)| column(key, false, 200 + index)));
    columns.extend([
        column("runs", true, 0),
        column(&format!("{metric} mean"), true, 0),
        column("sd", true, 0),
        column("best", true, 20),
        column("best run", false, 30),
        column("delta", true, 1),
        column("p", true, 2),
        column("test", false, 40),
    ]);
    let missing = if is_exact { "" } else { "-" };
    let value = |value: f64| match (value.is_finite(), is_exact) {
        (false, _) => missing.to_owned(),
        (true, true) => value.to_string(),
        (true, false) => number(value),
    };
    let first = groups.groups.first().map_or(f64::NAN, |group| group.mean);
    let row = |(place, group): (usize, &Group)| {
        let test = group.difference.as_ref();
        let id = if is_exact { group.best_run_id.as_str() } else { group.best_run_id.get(..8).unwrap_or_default() };
        let p = |p: f64| if is_exact { p.to_string() } else { format!("{p:.3}") };
        let mut cells = vec![(place + 1).to_string()];
        cells.extend(group.values.iter().cloned());
        cells.extend([
            group.n.to_string(),
            value(group.mean),
            if is_exact || !group.sd.is_finite() { value(group.sd) } else { short(group.sd) },
            value(group.best_value),
            id.to_owned(),
            if place == 0 { String::new() } else { signed(group.mean - first, is_exact) },
            test.map_or_else(String::new, |test| p(test.p_adjusted)),
            test.map_or_else(String::new, |test| test.test.to_owned()),
        ]);
        cells
    };
    Grid { columns, rows: groups.groups.iter().enumerate().map(row).collect() }
}

impl Comparison {
    /// Params that differ between the runs: first those with several values, then those that some runs do not have, last the
    /// seeds.
    pub fn params(&self) -> Vec<String> {
        let runs = || self.selection.runs.iter().map(|candidate| &candidate.run);
        let mut params = differing_params(runs());
        params.sort_by_cached_key(|name| {
            let values: Vec<&String> = runs().filter_map(|run| run.params.get(name)).collect();
            let is_constant = values.iter().all(|value| *value == values[0]);
            (is_of_seed(name), is_constant, usize::MAX - values.len())
        });
        params
    }

    fn experiment(&self, candidate: &Candidate) -> &str {
        self.selection.experiments.get(&candidate.run.info.experiment_id).map_or("", String::as_str)
    }

    /// This run's value less the best one's.
    fn delta_to_best(&self, candidate: &Candidate) -> Option<f64> {
        let best = self.selection.runs.first()?.value();
        Some(candidate.value() - best).filter(|delta| delta.is_finite())
    }

    /// This run's value less the champion's.
    fn delta_to_champion(&self, candidate: &Candidate) -> Option<f64> {
        let champion = self.champion.as_ref()?.value?;
        Some(candidate.value() - champion).filter(|delta| delta.is_finite())
    }

    /// Everything, for programs.
    pub fn to_json(&self) -> Map<String, Value> {
        let selection = &self.selection;
        let run = |(place, candidate): (usize, &Candidate)| {
            let info = &candidate.run.info;
            let best = selection.metrics.iter().zip(&candidate.best).map(|(metric, point)| {
                let point = point.as_ref().map(|point| json!({"value": finite(point.value), "step": point.step}));
                (metric.name.clone(), point.unwrap_or(Value::Null))
            });
            let interval = self.judgement.intervals.get(&info.run_id);
            json!({
                "rank": place + 1,
                "run_id": info.run_id,
                "name": info.name,
                "experiment": self.experiment(candidate),
                "kind": candidate.kind.as_str(),
                "status": info.status.as_str(),
                "started": super::moment(info.start_time_ms),
                "seconds": candidate.seconds(),
                "best": best.collect::<Map<String, Value>>(),
                "interval": interval,
                "delta_to_best": self.delta_to_best(candidate),
                "delta_to_champion": self.delta_to_champion(candidate),
                "data_digest": candidate.digest(),
                "metrics": candidate.run.metrics.iter().map(|(key, point)| (key.clone(), finite(point.value))).collect::<Map<_, _>>(),
                "params": candidate.run.params,
            })
        };
        let metrics = selection.metrics.iter().map(|metric| json!({"name": metric.name, "best": metric.best}));
        let value = json!({
            "metrics": metrics.collect::<Vec<_>>(),
            "runs": selection.runs.iter().enumerate().map(run).collect::<Vec<_>>(),
            "groups": self.groups,
            "warnings": self.warnings,
            "notes": self.judgement.notes,
            "basis": self.judgement.basis,
            "verdicts": self.judgement.verdicts,
            "studies": self.studies,
            "champion": self.champion,
        });
        value.as_object().cloned().unwrap_or_default()
    }
}

impl Candidate {
    /// How long it took; `None` while it runs.
    pub fn seconds(&self) -> Option<f64> {
        let info = &self.run.info;
        info.end_time_ms.map(|end| (end - info.start_time_ms) as f64 / 1000.0)
    }
}

/// JSON has no NaN.
fn finite(value: f64) -> Value {
    if value.is_finite() { value.into() } else { Value::Null }
}
