//! Params that tell runs apart.

use std::collections::{BTreeMap, BTreeSet};

use tracking::RunData;

/// Params that follow from others or from the data, and say nothing by themselves.
const DERIVED: [&str; 4] = ["dataset_digest", "feature_columns", "n_params", "n_features"];

/// Names of the params that are not the same in all runs, by name.
pub fn differing_params<'a>(runs: impl Iterator<Item = &'a RunData> + Clone) -> Vec<String> {
    let n = runs.clone().count();
    let mut values: BTreeMap<&str, (BTreeSet<&str>, usize)> = BTreeMap::new();
    for run in runs {
        for (name, value) in &run.params {
            let (distinct, count) = values.entry(name).or_default();
            distinct.insert(value);
            *count += 1;
        }
    }
    let differs = |(name, (distinct, count)): &(&str, (BTreeSet<&str>, usize))| {
        (distinct.len() > 1 || *count < n) && !DERIVED.contains(name)
    };
    values.into_iter().filter(differs).map(|(name, _)| name.to_owned()).collect()
}

/// Whether a param is a seed: `seed`, `data.split.seed`, `random_state`.
pub fn is_of_seed(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.ends_with("seed") || last == "random_state"
}

/// The last part of a dotted name, or as much of it as tells it from the others.
pub fn short_names(names: &[String]) -> Vec<String> {
    let tail = |name: &str, parts: usize| {
        let all: Vec<&str> = name.split('.').collect();
        all[all.len().saturating_sub(parts)..].join(".")
    };
    let shorten = |name: &String| {
        (1..=name.split('.').count())
            .map(|parts| tail(name, parts))
            .find(|short| names.iter().filter(|other| tail(other, short.split('.').count()) == *short).count() == 1)
            .unwrap_or_else(|| name.clone())
    };
    names.iter().map(shorten).collect()
}
