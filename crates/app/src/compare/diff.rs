//! What differs between two runs: data, code, environment, params, metrics.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tracking::RunData;

use super::flags::Format;
use super::grid::{Grid, GridColumn};
use crate::console::number;
use crate::runs::digest_of;

/// Tags by what they tell of; the first part of a name that fits counts. Others are left out: they are notes and links.
const TAGS: [(&str, &str); 9] = [
    ("dataset", "data"),
    ("n_rows", "data"),
    ("n_windows", "data"),
    ("mlflow.source", "code"),
    ("app.", "code"),
    ("framework", "code"),
    ("rustc", "code"),
    ("host.", "environment"),
    ("mlflow.user", "environment"),
];

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// `run`, `data`, `code`, `environment`, `params`, `metrics`.
    pub section: &'static str,
    /// Its name.
    pub name: String,
    /// Of both runs; `None` where there is none.
    pub values: [Option<String>; 2],
    /// Second less first, of metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
}

/// What differs, by section.
pub fn differences(runs: [&RunData; 2]) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut push = |section, name: &str, values: [Option<String>; 2]| {
        if values[0] != values[1] {
            found.push(Difference { section, name: name.to_owned(), values, delta: None });
        }
    };
    push("run", "name", runs.map(|run| Some(run.info.name.clone())));
    push("run", "status", runs.map(|run| Some(run.info.status.to_string())));
    push("run", "started", runs.map(|run| Some(super::moment(run.info.start_time_ms))));
    push("data", "digest", runs.map(|run| digest_of(run).map(str::to_owned)));
    for section in ["data", "code", "environment"] {
        let tags = runs.map(|run| in_section(run, section));
        for key in keys(&tags) {
            push(section, key, tags.each_ref().map(|tags| tags.get(key).cloned()));
        }
    }
    let params = runs.map(|run| run.params.clone());
    for key in keys(&params) {
        push("params", key, params.each_ref().map(|params| params.get(key).cloned()));
    }
    found.extend(metrics(runs));
    found
}

fn in_section(run: &RunData, section: &str) -> BTreeMap<String, String> {
    let section_of = |key: &str| TAGS.iter().find(|(start, _)| key.starts_with(start)).map(|(_, section)| *section);
    run.tags.iter().filter(|(key, _)| section_of(key) == Some(section)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn keys(maps: &[BTreeMap<String, String>; 2]) -> BTreeSet<&String> {
    maps.iter().flat_map(BTreeMap::keys).collect()
}

/// Last values.
fn metrics(runs: [&RunData; 2]) -> Vec<Difference> {
    let names: BTreeSet<&String> = runs.iter().flat_map(|run| run.metrics.keys()).collect();
    let difference = |name: &String| {
        let values = runs.map(|run| run.metrics.get(name).map(|point| point.value));
        let is_same = values[0].map(f64::to_bits) == values[1].map(f64::to_bits);
        let delta = values[0].zip(values[1]).map(|(a, b)| b - a).filter(|delta| delta.is_finite());
        let values = values.map(|value| value.map(|value| value.to_string()));
        (!is_same).then(|| Difference { section: "metrics", name: name.clone(), values, delta })
    };
    names.into_iter().filter_map(difference).collect()
}

/// As it was asked for.
pub fn to_text(runs: [&RunData; 2], format: Format, width: Option<usize>) -> serde_json::Result<String> {
    let found = differences(runs);
    if format == Format::Json {
        let ids = runs.map(|run| run.info.run_id.as_str());
        return serde_json::to_string_pretty(&serde_json::json!({"runs": ids, "differences": found}));
    }
    if found.is_empty() {
        return Ok("The runs do not differ.".to_owned());
    }
    let is_exact = format == Format::Csv;
    let shown = |difference: &Difference, place: usize| match &difference.values[place] {
        None => {
            if is_exact {
                String::new()
            } else {
                "-".to_owned()
            }
        }
        Some(value) if difference.section == "metrics" && !is_exact => value.parse().map_or(value.clone(), number),
        Some(value) => value.clone(),
    };
    let delta = |difference: &Difference| match difference.delta {
        Some(delta) if is_exact => delta.to_string(),
        Some(delta) => format!("{}{}", if delta > 0.0 { "+" } else { "" }, super::verdicts::short(delta)),
        None => String::new(),
    };
    let row = |difference: &Difference| {
        vec![
            difference.section.to_owned(),
            difference.name.clone(),
            shown(difference, 0),
            shown(difference, 1),
            delta(difference),
        ]
    };
    let heading = |run: &RunData| format!("{} {}", run.info.run_id.get(..8).unwrap_or_default(), run.info.name);
    let names = ["".to_owned(), "what differs".to_owned(), heading(runs[0]), heading(runs[1]), "delta".to_owned()];
    let columns =
        names.into_iter().enumerate().map(|(index, name)| GridColumn { name, is_number: index == 4, rank: 0 });
    let grid = Grid { columns: columns.collect(), rows: found.iter().map(row).collect() };
    Ok(match format {
        Format::Csv => grid.to_csv(),
        Format::Md => grid.to_markdown(),
        Format::Table | Format::Json => grid.to_text(width).0,
    })
}
