//! A file of predictions of any model: columns `y_test`, `y_pred` and, for classes, `y_proba` or `y_proba_<class>`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use dataset::{Column, DataConfig, Table, read_table};
use modeling::Task;

use super::rows::{JudgedRows, Outcomes, certain, numbers, texts};
use crate::exit::Mistake;

const TARGET: &str = "y_test";
const PREDICTED: &str = "y_pred";
const PROBABILITY: &str = "y_proba";
const OF_CLASS: &str = "y_proba_";
/// Up to this many distinct whole numbers are classes, as in training.
const MOST_INTEGER_CLASSES: usize = 20;

/// Reads the file. Two classes with `y_proba`, any with `y_proba_<class>`; without probabilities, texts and up to 20
/// distinct whole numbers are classes, other numbers a regression.
pub fn read(path: &Path) -> Result<JudgedRows> {
    let data = DataConfig { path: Some(path.to_owned()), ..DataConfig::default() };
    let table = read_table(&data)?;
    let wanted_by = "`--predictions`";
    let target = table.column(TARGET, wanted_by)?;
    let predicted = table.column(PREDICTED, wanted_by)?;
    for column in [target, predicted] {
        if let Some(row) = (0..column.len()).find(|&row| column.is_missing(row)) {
            let problem = format!("`{}`: row {} of `{}` is empty", path.display(), row + 1, column.name);
            return Err(Mistake::new(problem).into());
        }
    }
    let of_class: Vec<&Column> = table.columns().iter().filter(|column| column.name.starts_with(OF_CLASS)).collect();
    let has_one = table.names().any(|name| name == PROBABILITY);
    let (task, labels, outcomes) = match (numbers(target, table.origin()), numbers(predicted, table.origin())) {
        (Some(actual), Some(values)) if !has_one && of_class.is_empty() && !are_classes(&actual, &values) => {
            let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
            (Task::Regression, Vec::new(), Outcomes::new(narrow(actual), narrow(values)))
        }
        _ => classes(&table, &of_class, has_one)?,
    };
    let has_probabilities = has_one || !of_class.is_empty();
    let named: Vec<&str> = [TARGET, PREDICTED, PROBABILITY]
        .into_iter()
        .chain(of_class.iter().map(|column| column.name.as_str()))
        .collect();
    let others =
        table.columns().iter().filter(|column| !named.contains(&column.name.as_str())).cloned().collect::<Vec<_>>();
    // A table without columns has no rows either: then there is nothing to slice.
    let others = Table::new(table.origin(), others)?;
    Ok(JudgedRows {
        task,
        labels,
        target_name: TARGET.to_owned(),
        table: others,
        outcomes,
        validation: None,
        has_probabilities: has_probabilities || task == Task::Regression,
    })
}

fn are_classes(actual: &[f64], predicted: &[f64]) -> bool {
    let all = || actual.iter().chain(predicted);
    let distinct: BTreeSet<u64> = all().map(|value| value.to_bits()).take(1_000_000).collect();
    all().all(|value| value.fract() == 0.0) && distinct.len() <= MOST_INTEGER_CLASSES
}

fn classes(table: &Table, of_class: &[&Column], has_one: bool) -> Result<(Task, Vec<String>, Outcomes)> {
    let plain = |column: &Column| -> Vec<String> {
        texts(column).into_iter().map(|text| text.unwrap_or_default()).map(|text| whole(&text).to_owned()).collect()
    };
    let target = plain(table.column(TARGET, "`--predictions`")?);
    let predicted = plain(table.column(PREDICTED, "`--predictions`")?);
    let labels: Vec<String> = match of_class {
        [] => in_order(target.iter().chain(&predicted).collect()),
        columns => columns.iter().map(|column| whole(&column.name[OF_CLASS.len()..]).to_owned()).collect(),
    };
    let file = table.origin();
    if labels.len() < 2 || (has_one && labels.len() > 2) {
        let problem = format!(
            "`{file}`: `{PROBABILITY}` is for two classes, and there are {}: {}",
            labels.len(),
            labels.join(", ")
        );
        return Err(Mistake::new(problem).hint("give one column `y_proba_<class>` for each class").into());
    }
    let index = |(row, text): (usize, &String)| {
        labels.iter().position(|label| label == text).map(|class| class as f32).ok_or_else(|| {
            Mistake::new(format!(
                "`{file}`: row {} has class `{text}`, for which there is no `{OF_CLASS}{text}`",
                row + 1
            ))
        })
    };
    let target = target.iter().enumerate().map(index).collect::<Result<Vec<f32>, _>>()?;
    let task = if labels.len() == 2 { Task::Binary } else { Task::Multiclass { classes: labels.len() } };
    let classes = predicted.iter().enumerate().map(index).collect::<Result<Vec<f32>, _>>()?;
    let columns: Vec<Vec<f32>> = match (has_one, of_class) {
        (true, _) => vec![probabilities(table.column(PROBABILITY, "`--predictions`")?, file)?],
        (false, [_, second]) => vec![probabilities(second, file)?],
        (false, []) => {
            let predicted = certain(&classes, task);
            return Ok((task, labels, Outcomes::new(target, predicted)));
        }
        (false, many) => many.iter().map(|column| probabilities(column, file)).collect::<Result<_>>()?,
    };
    let predicted = (0..target.len()).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
    // Where another threshold was used, `y_pred` counts.
    let outcomes = Outcomes { target, predicted, classes: Some(classes) };
    Ok((task, labels, outcomes))
}

/// Numbers by size, other texts by letter.
fn in_order(found: BTreeSet<&String>) -> Vec<String> {
    let mut labels: Vec<String> = found.into_iter().cloned().collect();
    if labels.iter().all(|label| label.parse::<f64>().is_ok()) {
        labels.sort_by(|a, b| a.parse::<f64>().unwrap_or(0.0).total_cmp(&b.parse::<f64>().unwrap_or(0.0)));
    }
    labels
}

/// `1` for `1.0`: which one a file says depends on the program that wrote it.
fn whole(text: &str) -> &str {
    text.strip_suffix(".0").unwrap_or(text)
}

fn probabilities(column: &Column, file: &str) -> Result<Vec<f32>> {
    let values = numbers(column, file).unwrap_or_default();
    let is_wrong = |value: &f64| !(0.0..=1.0).contains(value);
    if values.is_empty() && !column.is_empty() {
        return Err(Mistake::new(format!("`{file}`: `{}` does not hold numbers", column.name)).into());
    }
    if let Some(row) = values.iter().position(is_wrong) {
        let problem =
            format!("`{file}`: row {} of `{}` is {}, which is no probability", row + 1, column.name, values[row]);
        return Err(Mistake::new(problem).into());
    }
    Ok(values.into_iter().map(|value| value as f32).collect())
}
