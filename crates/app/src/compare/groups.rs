//! Runs that belong together, such as those of several seeds: mean and spread, and whether groups differ.

use std::collections::{BTreeMap, BTreeSet};

use evaluation::comparison::{TestResult, holm, mean_and_sd, paired_t, welch};
use serde::Serialize;

use super::config::{Best, Config};
use super::params::{differing_params, is_of_seed, short_names};
use super::select::{Candidate, Selection};
use super::verdicts::{p_text, short};
use crate::exit::Mistake;
use crate::runs::near_names;

/// Runs by what they agree in.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Groups {
    /// Short names of the params that tell groups apart.
    pub keys: Vec<String>,
    /// The best mean first.
    pub groups: Vec<Group>,
}

/// Runs that agree.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// In words: `dropout=0.2 hidden_dims=[64]`.
    pub name: String,
    /// Their values of the params that tell groups apart.
    pub values: Vec<String>,
    /// Number of runs.
    pub n: usize,
    /// Mean of their best values.
    pub mean: f64,
    /// Sample standard deviation; NaN of one run.
    pub sd: f64,
    /// The best of them.
    pub best_run_id: String,
    /// Its value.
    pub best_value: f64,
    /// Seeds of the runs, where each has its own.
    pub seeds: Vec<String>,
    /// The best group less this one; `None` of the best group, and where there are too few runs.
    pub difference: Option<GroupDifference>,
    /// Best values by seed, or else by number.
    #[serde(skip)]
    scores: BTreeMap<String, f64>,
}

/// How far a group is behind the best one.
#[derive(Debug, Clone, Serialize)]
pub struct GroupDifference {
    /// `paired by seed` or `Welch`.
    pub test: &'static str,
    /// Best less this one, with its interval.
    #[serde(flatten)]
    pub result: TestResult,
    /// Corrected for the number of groups (Holm).
    pub p_adjusted: f64,
    /// Whether it is more than chance.
    pub is_better: bool,
    /// In words.
    pub text: String,
}

/// The groups, the best mean first.
pub fn group(selection: &Selection, key: &str, config: &Config) -> Result<Groups, Mistake> {
    let best = selection.metrics[0].best;
    let keys = keys(selection, key)?;
    let mut members: BTreeMap<Vec<String>, Vec<&Candidate>> = BTreeMap::new();
    for candidate in selection.runs.iter().filter(|candidate| candidate.value().is_finite()) {
        let value = |key: &String| candidate.run.params.get(key).cloned().unwrap_or_else(|| "-".to_owned());
        members.entry(keys.iter().map(value).collect()).or_default().push(candidate);
    }
    let names = short_names(&keys);
    let mut groups: Vec<Group> =
        members.into_iter().map(|(values, runs)| Group::of((&names, values), &runs, best)).collect();
    groups.sort_by(|a, b| {
        let order = a.mean.total_cmp(&b.mean);
        if best == Best::Highest { order.reverse() } else { order }
    });
    compare(&mut groups, &selection.metrics[0].name, best, config.statistics.level);
    Ok(Groups { keys: names, groups })
}

/// The params that tell groups apart: the one that was asked for, or for `seed` all but seeds.
fn keys(selection: &Selection, key: &str) -> Result<Vec<String>, Mistake> {
    let key = key.strip_prefix("params.").unwrap_or(key);
    if key == "seed" {
        let params = differing_params(selection.runs.iter().map(|candidate| &candidate.run));
        return Ok(params.into_iter().filter(|param| !is_of_seed(param)).collect());
    }
    if selection.runs.iter().any(|candidate| candidate.run.params.contains_key(key)) {
        return Ok(vec![key.to_owned()]);
    }
    let known: BTreeSet<&str> =
        selection.runs.iter().flat_map(|candidate| candidate.run.params.keys().map(String::as_str)).collect();
    let hint = near_names(key, known.into_iter());
    Err(Mistake::new(format!("`--group-by {key}`: none of the runs has this param")).hint(hint))
}

impl Group {
    fn of((names, values): (&[String], Vec<String>), runs: &[&Candidate], best: Best) -> Self {
        let scores: Vec<f64> = runs.iter().map(|candidate| candidate.value()).collect();
        let (mean, sd) = mean_and_sd(&scores);
        let parts: Vec<String> = names.iter().zip(&values).map(|(name, value)| format!("{name}={value}")).collect();
        let better = |found: &&Candidate, run: &Candidate| best.is_better(run.value(), found.value());
        let first = runs.iter().skip(1).fold(runs[0], |found, run| if better(&found, run) { run } else { found });
        let seed = |candidate: &&Candidate| Some((candidate.run.params.get("seed")?.clone(), candidate.value()));
        let by_seed: BTreeMap<String, f64> = runs.iter().filter_map(seed).collect();
        // Two runs of one seed are no pair with anything.
        let by_seed = if by_seed.len() == runs.len() { by_seed } else { BTreeMap::new() };
        Self {
            name: if parts.is_empty() { "all runs".to_owned() } else { parts.join(" ") },
            values,
            n: runs.len(),
            mean,
            sd,
            best_run_id: first.run.info.run_id.clone(),
            best_value: first.value(),
            seeds: by_seed.keys().cloned().collect(),
            difference: None,
            scores: if by_seed.is_empty() {
                scores.iter().enumerate().map(|(index, value)| (format!("#{index}"), *value)).collect()
            } else {
                by_seed
            },
        }
    }

    fn numbers(&self) -> Vec<f64> {
        self.scores.values().copied().collect()
    }
}

/// Holds every group against the best one: by seed where both have the same seeds, else as independent samples (Welch).
fn compare(groups: &mut [Group], metric: &str, best: Best, level: f64) {
    let Some((first, others)) = groups.split_first_mut() else { return };
    let test = |group: &Group| -> Option<(&'static str, TestResult)> {
        let (a, b) = (first.numbers(), group.numbers());
        if a.len() < 2 || b.len() < 2 {
            return None;
        }
        Some(match !first.seeds.is_empty() && first.seeds == group.seeds {
            // Both in the order of their seeds.
            true => ("paired by seed", paired_t(&a, &b, level)),
            false => ("Welch", welch(&a, &b, level)),
        })
    };
    let tests: Vec<Option<(&'static str, TestResult)>> = others.iter().map(test).collect();
    let p_values: Vec<f64> =
        tests.iter().map(|test| test.as_ref().map_or(f64::NAN, |(_, test)| test.p_value)).collect();
    let n_compared = p_values.iter().filter(|p| !p.is_nan()).count();
    for ((group, test), p_adjusted) in others.iter_mut().zip(tests).zip(holm(&p_values)) {
        let Some((name, result)) = test.filter(|(_, result)| !result.p_value.is_nan()) else { continue };
        let (gain, low, high) = match best {
            Best::Highest => (result.difference, result.interval.low, result.interval.high),
            Best::Lowest => (-result.difference, -result.interval.high, -result.interval.low),
        };
        let is_better = gain > 0.0 && p_adjusted < 1.0 - level;
        let range = format!("{} [{}, {}] in {metric}", short(gain), short(low), short(high));
        let corrected = if n_compared > 1 { format!(", Holm for {n_compared} groups") } else { String::new() };
        let why = format!("({name}, {}{corrected})", p_text(p_adjusted));
        let text = match is_better {
            true => format!("`{}` is better than `{}` by {range} {why}", first.name, group.name),
            false => format!("`{}` and `{}` cannot be told apart: {range} {why}", first.name, group.name),
        };
        group.difference = Some(GroupDifference { test: name, result, p_adjusted, is_better, text });
    }
}
