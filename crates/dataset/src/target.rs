//! The target column: which problem it poses, and its values as numbers.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::column::parse_number;
use crate::data_report_text::short;
use crate::error::listed;
use crate::{
    Column, ColumnKind, ColumnType, DataConfig, Error, ProblemTypeSetting, Result, Table, TargetBins, TargetScaling,
    TargetTransform,
};

/// Up to this many distinct integers are classes when nobody says otherwise.
const MAX_INTEGER_CLASSES: usize = 20;

/// Targets are 32-bit numbers. From this share of the standard deviation on, what rounding takes away is worth a word.
const MOST_ROUNDING: f64 = 1e-3;

/// What is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemType {
    /// A number.
    Regression,
    /// One of two classes; class 1 is the positive one.
    Binary,
    /// One of at least three classes.
    Multiclass,
}

/// The target column and how its values become numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The column's name.
    pub name: String,
    /// The column's type before encoding.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// What is predicted.
    pub problem_type: ProblemType,
    /// How values become numbers.
    pub encoding: TargetEncoding,
}

/// How target values become numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetEncoding {
    /// A class becomes its index in `labels`.
    Classes {
        /// Class names by index.
        labels: Vec<String>,
        /// How a numeric target is cut into these classes first.
        bins: Option<TargetBins>,
    },
    /// Numbers stay in their own units; transform, mean and standard deviation serve to standardise them.
    Number {
        /// Applied before mean and standard deviation.
        transform: TargetTransform,
        /// Mean of the transformed train rows; 0 without scaling.
        mean: f64,
        /// Population standard deviation of the transformed train rows, above 0; 1 without scaling.
        std: f64,
    },
}

impl Target {
    /// Says what no target that was fitted can be.
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        match &self.encoding {
            TargetEncoding::Number { mean, std, .. } if !mean.is_finite() || !std.is_finite() || *std <= 0.0 => {
                Err(format!("mean {mean} and standard deviation {std} cannot standardise `{}`", self.name))
            }
            TargetEncoding::Classes { bins: Some(bins), .. } => bins.check().map_err(|error| error.to_string()),
            _ => Ok(()),
        }
    }

    /// Decides the problem type and the classes; also says why. A regression target still lacks mean and std.
    pub(crate) fn new(table: &Table, data: &DataConfig) -> Result<(Self, String)> {
        let column = table.column(&data.target, "`data.target`")?;
        check_complete(column, table.origin())?;
        let column_type = target_type(column, data).unwrap_or(ColumnType::String);
        let (setting, reason) = match (data.problem_type, &data.target_bins) {
            (ProblemTypeSetting::Regression, Some(_)) => {
                let problem = "it makes classes, but `data.problem_type` is `regression`".to_string();
                return Err(Error::Setting { key: "data.target_bins", problem });
            }
            (ProblemTypeSetting::Auto, Some(_)) => (ProblemTypeSetting::Classification, "data.target_bins".to_string()),
            (ProblemTypeSetting::Auto, None) => decide(column, column_type, table.origin())?,
            (setting, _) => (setting, "data.problem_type".to_string()),
        };
        let target = if setting == ProblemTypeSetting::Regression {
            if data.num_classes.is_some() {
                let problem = format!("the problem is a regression ({reason}), which has no classes");
                return Err(Error::Setting { key: "data.num_classes", problem });
            }
            let encoding = TargetEncoding::Number { transform: data.target_transform, mean: 0.0, std: 1.0 };
            Self { name: data.target.clone(), column_type, problem_type: ProblemType::Regression, encoding }
        } else {
            check_no_number_settings(data, &reason)?;
            classes(column, column_type, setting, data, table.origin())?
        };
        Ok((target, reason))
    }

    /// The class names by index; empty for a regression.
    pub fn labels(&self) -> &[String] {
        match &self.encoding {
            TargetEncoding::Classes { labels, .. } => labels,
            TargetEncoding::Number { .. } => &[],
        }
    }

    /// Class indices, or numbers in their own units: `[rows]`.
    pub(crate) fn encode(&self, table: &Table, rows: &[u32]) -> Result<Vec<f32>> {
        let column = table.column(&self.name, "the target")?;
        check_complete(column, table.origin())?;
        let (labels, bins) = match &self.encoding {
            TargetEncoding::Classes { labels, bins } => (labels, bins),
            TargetEncoding::Number { transform, .. } => return numbers(column, *transform, rows, table.origin()),
        };
        let index: HashMap<&str, usize> = labels.iter().enumerate().map(|(i, label)| (label.as_str(), i)).collect();
        let class_index = |class: String| {
            index.get(class.as_str()).map(|&i| i as f32).ok_or_else(|| Error::NoClass {
                file: table.origin().to_string(),
                column: self.name.clone(),
                wanted_by: "the data",
                classes: listed(labels.iter().map(String::as_str)),
                class,
            })
        };
        match bins {
            Some(bins) => {
                let numbers = column.numbers(rows, table.origin())?;
                numbers.into_iter().flatten().map(|y| class_index(bins.labels[bins.bin(y)].clone())).collect()
            }
            None => {
                let find = |cell: Option<&str>| index.get(label(cell?, self.column_type).as_str()).map(|&i| i as f32);
                let unknown =
                    |row: &u32| column.text(*row as usize).map_or(String::new(), |c| label(&c, self.column_type));
                let found = column.map_texts(rows, find).into_iter().zip(rows);
                found.map(|(class, row)| class.map_or_else(|| class_index(unknown(row)), Ok)).collect()
            }
        }
    }

    /// Sets mean and standard deviation of a regression target from its train values, which are those of `rows`.
    pub(crate) fn fit(&mut self, train: &[f32], rows: &[u32], scaling: TargetScaling, table: &Table) -> Result<()> {
        let TargetEncoding::Number { transform, mean, std } = &mut self.encoding else { return Ok(()) };
        if train.iter().all(|y| *y == train[0]) {
            let exact = table.column(&self.name, "the target")?.numbers(rows, table.origin())?;
            let (file, column, value) = (table.origin().to_string(), self.name.clone(), train[0].to_string());
            return Err(match exact.iter().all(|y| *y == exact[0]) {
                true => Error::OneClass { file, column, class: value },
                false => Error::OneNumber { file, column, value },
            });
        }
        if scaling == TargetScaling::Standard {
            let n = train.len() as f64;
            let transformed = train.iter().map(|&y| transform.apply(f64::from(y)));
            *mean = transformed.clone().sum::<f64>() / n;
            *std = (transformed.map(|z| (z - *mean).powi(2)).sum::<f64>() / n).sqrt();
        }
        Ok(())
    }
}

/// What the given train rows of a numeric target lose by rounding to 32 bits, if that matters beside their spread.
pub(crate) fn rounding(column: &Column, train: &[u32], file: &str) -> Result<Option<String>> {
    let numbers: Vec<f64> = column.numbers(train, file)?.into_iter().flatten().collect();
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let std = (numbers.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / n).sqrt();
    let error = numbers.iter().map(|&y| (y - f64::from(y as f32)).abs()).fold(0.0, f64::max);
    let name = &column.name;
    Ok((error > MOST_ROUNDING * std).then(|| {
        let (error, share) = (short(error), short(100.0 * error / std));
        format!(
            "column `{name}`: 32-bit numbers hold it to ±{error} only, {share} % of its standard deviation; subtract a \
             constant such as {mean:.0} from the column"
        )
    }))
}

/// The values of a numeric target: `[rows]`.
fn numbers(column: &Column, transform: TargetTransform, rows: &[u32], file: &str) -> Result<Vec<f32>> {
    let numbers = column.numbers(rows, file)?.into_iter().flatten().map(|y| y as f32);
    let numbers: Vec<f32> = numbers.collect();
    let has_none = |y: &f32| transform == TargetTransform::Log && *y <= -1.0;
    let Some(place) = numbers.iter().position(has_none) else { return Ok(numbers) };
    let (file, column, row) = (file.to_string(), column.name.clone(), rows[place] as usize + 1);
    Err(Error::NoLogarithm { file, column, row, value: numbers[place] })
}

/// A target that becomes classes cannot be transformed or left unscaled.
fn check_no_number_settings(data: &DataConfig, reason: &str) -> Result<()> {
    let key = if data.target_transform != TargetTransform::None {
        "data.target_transform"
    } else if data.target_scaling != TargetScaling::Standard {
        "data.target_scaling"
    } else {
        return Ok(());
    };
    let problem = format!("it is for a number to predict, but the target becomes classes ({reason})");
    Err(Error::Setting { key, problem })
}

fn target_type(column: &Column, data: &DataConfig) -> Option<ColumnType> {
    match (data.types.get(&column.name), column.column_type()?) {
        (Some(ColumnKind::Categorical), _) => Some(ColumnType::String),
        (Some(ColumnKind::Numeric), ColumnType::String) => Some(ColumnType::Double),
        (_, found) => Some(found),
    }
}

fn check_complete(column: &Column, file: &str) -> Result<()> {
    let Some((first, count)) = column.missing_rows() else { return Ok(()) };
    Err(Error::MissingTarget { file: file.to_string(), column: column.name.clone(), count, row: first + 1 })
}

fn decide(column: &Column, column_type: ColumnType, file: &str) -> Result<(ProblemTypeSetting, String)> {
    let distinct = column.distinct(MAX_INTEGER_CLASSES, |cell| label(cell, column_type));
    Ok(match column_type {
        ColumnType::String => {
            column.check_not_mixed(file)?;
            (ProblemTypeSetting::Classification, "the target is text".to_string())
        }
        ColumnType::Boolean => (ProblemTypeSetting::Classification, "the target is true or false".to_string()),
        _ if distinct.len() > MAX_INTEGER_CLASSES => {
            let reason = format!("the target has more than {MAX_INTEGER_CLASSES} distinct numbers");
            (ProblemTypeSetting::Regression, reason)
        }
        _ if distinct.iter().any(|text| parse_number(text).is_none_or(|y| y.fract() != 0.0)) => {
            (ProblemTypeSetting::Regression, "the target has fractional numbers".to_string())
        }
        _ => {
            let reason = format!("the target has {} distinct integers (at most {MAX_INTEGER_CLASSES})", distinct.len());
            (ProblemTypeSetting::Classification, reason)
        }
    })
}

/// The name of a cell's class: numbers without needless digits (`1.0` is `1`, `-0` is `0`), booleans in lower case (`1` is
/// `true`).
fn label(cell: &str, column_type: ColumnType) -> String {
    match column_type {
        ColumnType::String => cell.to_string(),
        ColumnType::Boolean => {
            parse_number(cell).map_or_else(|| cell.to_ascii_lowercase(), |number| (number != 0.0).to_string())
        }
        // Beyond 2^53 an f64 would merge neighbouring ids.
        ColumnType::Long if cell.parse::<i64>().is_ok_and(|id| id.to_string() == cell) => cell.to_string(),
        ColumnType::Long | ColumnType::Double => {
            // The sum of -0 and 0 is 0.
            parse_number(cell).map_or(cell.to_string(), |y| (y + 0.0).to_string())
        }
    }
}

fn classes(
    column: &Column,
    column_type: ColumnType,
    setting: ProblemTypeSetting,
    data: &DataConfig,
    file: &str,
) -> Result<Target> {
    let mut labels = match &data.target_bins {
        Some(bins) => binned_labels(column, bins, file)?,
        None => sorted_labels(column, column_type),
    };
    if labels.len() > 2 && labels.len() * 2 > column.len() {
        let (found, rows) = (labels.len(), column.len());
        return Err(Error::TooManyClasses { file: file.to_string(), column: column.name.clone(), found, rows });
    }
    if let [class] = labels.as_slice() {
        let (column, class) = (column.name.clone(), class.clone());
        return Err(Error::OneClass { file: file.to_string(), column, class });
    }
    check_class_count(&labels, setting, data, file)?;
    let is_binary = labels.len() == 2;
    if let Some(positive) = &data.positive_class {
        move_positive_last(&mut labels, positive, is_binary, data, file)?;
    }
    Ok(Target {
        name: column.name.clone(),
        column_type,
        problem_type: if is_binary { ProblemType::Binary } else { ProblemType::Multiclass },
        encoding: TargetEncoding::Classes { labels, bins: data.target_bins.clone() },
    })
}

fn sorted_labels(column: &Column, column_type: ColumnType) -> Vec<String> {
    let mut labels: Vec<String> = column.distinct(usize::MAX, |cell| label(cell, column_type)).into_iter().collect();
    let number = |label: &String| parse_number(label).unwrap_or(f64::INFINITY);
    labels.sort_by(|a, b| number(a).total_cmp(&number(b)));
    labels
}

fn binned_labels(column: &Column, bins: &TargetBins, file: &str) -> Result<Vec<String>> {
    let rows: Vec<u32> = (0..column.len() as u32).collect();
    let used: BTreeSet<usize> = column.numbers(&rows, file)?.into_iter().flatten().map(|y| bins.bin(y)).collect();
    match (0..bins.labels.len()).find(|bin| !used.contains(bin)) {
        None => Ok(bins.labels.clone()),
        Some(empty) => Err(Error::NoClass {
            file: file.to_string(),
            column: column.name.clone(),
            class: bins.labels[empty].clone(),
            wanted_by: "`data.target_bins`",
            classes: listed(used.iter().map(|&bin| bins.labels[bin].as_str())),
        }),
    }
}

fn check_class_count(labels: &[String], setting: ProblemTypeSetting, data: &DataConfig, file: &str) -> Result<()> {
    if setting == ProblemTypeSetting::Multiclass && labels.len() == 2 {
        let problem = format!("`multiclass` needs at least 3 classes, but `{}` has 2; set `binary`", data.target);
        return Err(Error::Setting { key: "data.problem_type", problem });
    }
    let by_problem = (setting == ProblemTypeSetting::Binary).then_some((2, "data.problem_type: binary"));
    let by_number = data.num_classes.map(|n| (n, "data.num_classes"));
    match by_problem.into_iter().chain(by_number).find(|(expected, _)| *expected != labels.len()) {
        None => Ok(()),
        Some((expected, wanted_by)) => Err(Error::ClassCount {
            file: file.to_string(),
            column: data.target.clone(),
            wanted_by: wanted_by.to_string(),
            expected,
            found: labels.len(),
            classes: listed(labels.iter().map(String::as_str)),
        }),
    }
}

fn move_positive_last(
    labels: &mut [String],
    positive: &str,
    is_binary: bool,
    data: &DataConfig,
    file: &str,
) -> Result<()> {
    if !is_binary {
        let problem = format!("only a binary problem has one; the target has {} classes", labels.len());
        return Err(Error::Setting { key: "data.positive_class", problem });
    }
    if labels[0] == positive {
        labels.swap(0, 1);
    }
    if labels[1] == positive {
        return Ok(());
    }
    Err(Error::NoClass {
        file: file.to_string(),
        column: data.target.clone(),
        class: positive.to_string(),
        wanted_by: "`data.positive_class`",
        classes: listed(labels.iter().map(String::as_str)),
    })
}
