//! Rows that have something in common: a level of a column, or a range of its numbers.

use std::collections::HashMap;

use crate::statistics::{finite_sorted, occurring_quantile};

/// The label of rows without a value.
pub const MISSING: &str = "missing";
/// The label of the rows of all levels that are too rare for a group of their own.
pub const OTHER: &str = "other";

/// One column `[rows]`.
pub enum Values<'a> {
    /// Text or booleans; `None` is missing.
    Text(Vec<Option<&'a str>>),
    /// Numbers; NaN is missing.
    Number(Vec<f64>),
}

/// Some rows of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The level, the number, or the range: `<= 1.5`, `(1.5, 3]`, `> 3`.
    pub label: String,
    /// Ascending.
    pub rows: Vec<u32>,
}

/// Every row in exactly one group; no group is empty.
///
/// Text: the `max_levels` most frequent levels by falling count, then the rest as `other`. Numbers: up to `bins` groups
/// of about equally many rows, ascending; each number for itself if there are no more than `bins`. The borders are
/// rounded as far as the groups stay about the same, so that a label is the exact truth. Missing values come last as
/// `missing`. Where a level has the name of one of these two, theirs are `(other)` and `(missing)`.
pub fn groups(values: &Values, max_levels: usize, bins: usize) -> Vec<Group> {
    match values {
        Values::Text(values) => of_text(values, max_levels),
        Values::Number(values) => of_numbers(values, bins),
    }
}

fn of_text(values: &[Option<&str>], max_levels: usize) -> Vec<Group> {
    let mut levels: HashMap<&str, Vec<u32>> = HashMap::new();
    let mut missing = Vec::new();
    for (row, value) in values.iter().enumerate() {
        value.map_or(&mut missing, |value| levels.entry(value).or_default()).push(row as u32);
    }
    let mut levels: Vec<(&str, Vec<u32>)> = levels.into_iter().collect();
    levels.sort_unstable_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(b.0)));
    let free_label = |label: &str| {
        let taken = levels.iter().any(|(level, _)| *level == label);
        if taken { format!("({label})") } else { label.to_owned() }
    };
    let labels = [free_label(OTHER), free_label(MISSING)];
    let mut rest: Vec<u32> = levels.drain(max_levels.min(levels.len())..).flat_map(|(_, rows)| rows).collect();
    rest.sort_unstable();
    let named = levels.into_iter().map(|(level, rows)| Group { label: level.to_owned(), rows });
    let others = labels.into_iter().zip([rest, missing]).map(|(label, rows)| Group { label, rows });
    named.chain(others).filter(|group| !group.rows.is_empty()).collect()
}

fn of_numbers(values: &[f64], bins: usize) -> Vec<Group> {
    let sorted = finite_sorted(values);
    let mut distinct = sorted.clone();
    distinct.dedup();
    let single = distinct.len() <= bins.max(1) && values.iter().all(|value| !value.is_infinite());
    let edges = if single { distinct } else { edges(&sorted, bins) };
    let mut rows = vec![Vec::new(); edges.len() + 1];
    let mut missing = Vec::new();
    for (row, &value) in values.iter().enumerate() {
        let bin = edges.partition_point(|&edge| edge < value);
        if value.is_nan() { &mut missing } else { &mut rows[bin] }.push(row as u32);
    }
    let label = |bin: usize| match (bin.checked_sub(1).map(|below| edges[below]), edges.get(bin)) {
        (_, Some(value)) if single => value.to_string(),
        (None, Some(edge)) => format!("<= {edge}"),
        (Some(low), Some(high)) => format!("({low}, {high}]"),
        (Some(low), None) => format!("> {low}"),
        (None, None) => "all".to_owned(),
    };
    let ranges = rows.into_iter().enumerate().map(|(bin, rows)| Group { label: label(bin), rows });
    let missing = Group { label: MISSING.to_owned(), rows: missing };
    ranges.chain([missing]).filter(|group| !group.rows.is_empty()).collect()
}

/// Interior borders of up to `bins` ranges, distinct and ascending.
fn edges(sorted: &[f64], bins: usize) -> Vec<f64> {
    let mut edges: Vec<f64> = (1..bins).map(|i| occurring_quantile(sorted, i as f64 / bins as f64)).collect();
    edges.retain(|edge| edge.is_finite());
    edges.dedup();
    // A border at the greatest value has nothing above.
    edges.pop_if(|edge| sorted.last() == Some(edge));
    let ends = [sorted.first(), sorted.last()].map(|end| end.copied().unwrap_or(f64::NAN));
    let rounded = |i: usize| {
        let below = edges[i] - i.checked_sub(1).map_or(ends[0], |below| edges[below]);
        let above = edges.get(i + 1).copied().unwrap_or(ends[1]) - edges[i];
        let gaps = [below, above].into_iter().filter(|gap| *gap > 0.0);
        round_up(edges[i], gaps.fold(f64::INFINITY, f64::min) / 10.0)
    };
    (0..edges.len()).map(rounded).collect()
}

/// The next number with the fewest decimals (or most zeros) that is at most `reach` above: never below, so that rows with
/// the value itself, often many, stay on its left.
fn round_up(value: f64, reach: f64) -> f64 {
    let decimals = -reach.log10().floor();
    if !(-300.0..=22.0).contains(&decimals) {
        return value;
    }
    // Powers of ten up to 22 are exact, so the quotient is the `f64` nearest to the decimal number.
    let power = 10.0_f64.powi(decimals.abs() as i32);
    let scaled = |n: f64| if decimals > 0.0 { n / power } else { n * power };
    let whole = (if decimals > 0.0 { value * power } else { value / power }).round();
    let candidates = [scaled(whole), scaled(whole + 1.0)];
    candidates.into_iter().find(|up| (value..=value + reach).contains(up)).unwrap_or(value)
}
