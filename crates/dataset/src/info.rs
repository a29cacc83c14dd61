//! What a run records about its data.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use crate::series::{Parts, SeriesDataConfig, TableFacts};
use crate::split::PARTS;
use crate::target::Target;
use crate::{ColumnType, DataConfig, DataFile, Part, Preprocessor, ProblemType, Table};

/// A data set as a tracking server and a reader of logs should see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DatasetInfo {
    /// The name to show.
    pub name: String,
    /// Fingerprint of the values and the split: 32 hex digits (MLflow allows 36).
    ///
    /// The first half of a sha256 over column names, cells (after trimming and `null_values`) and each row's part, so
    /// it changes with a value, a name, the order of rows or columns, and the split, but not with encoding or model.
    pub digest: String,
    /// The file, or those of train, (valid) and test; none for built-in data.
    pub files: Vec<DataFile>,
    /// Rows of all parts.
    pub n_rows: usize,
    /// Train, valid and test.
    pub parts: Vec<PartInfo>,
    /// The target column.
    pub target: String,
    /// What is predicted.
    pub problem_type: ProblemType,
    /// How the problem type was decided.
    pub problem_reason: String,
    /// Class names by index; empty for a regression.
    pub classes: Vec<String>,
    /// Raw columns that became features or that features are made of, in file order.
    pub feature_columns: Vec<String>,
    /// MLflow's source type: `local`, `http` or `code`.
    pub source_type: String,
    /// MLflow's source, as JSON.
    pub source: String,
    /// MLflow's column schema of features and target, as JSON.
    pub schema: String,
    /// MLflow's profile (sizes and classes), as JSON.
    pub profile: String,
    /// What a user should look at, though it is no error.
    pub warnings: Vec<String>,
}

/// One part of the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartInfo {
    /// `train`, `valid` or `test`.
    pub name: String,
    /// Its rows.
    pub n_rows: usize,
    /// Rows per class, by class index; empty for a regression.
    pub class_counts: Vec<usize>,
}

/// Describes what `load` made. `parts` are train, valid and test.
pub(crate) fn describe(
    data: &DataConfig,
    table: &Table,
    parts: [&Part; 3],
    preprocessor: &Preprocessor,
    problem_reason: String,
    mut warnings: Vec<String>,
) -> DatasetInfo {
    let target = &preprocessor.target;
    let part_infos = part_infos(parts, target);
    warnings.extend(part_infos.iter().flat_map(|part| absent_classes(part, target)));
    let mut part_of_row = vec![0; table.n_rows()];
    for (number, part) in (0..).zip(parts) {
        part.row_numbers.iter().for_each(|&row| part_of_row[row as usize] = number);
    }
    let (source_type, source) = source(data);
    DatasetInfo {
        name: data.display_name(),
        digest: table.digest(&part_of_row),
        files: table.files().to_vec(),
        n_rows: table.n_rows(),
        target: target.name.clone(),
        problem_type: target.problem_type,
        problem_reason,
        classes: target.labels().to_vec(),
        feature_columns: preprocessor.raw.iter().map(|column| column.name.clone()).collect(),
        source_type: source_type.to_string(),
        source: source.to_string(),
        schema: schema(preprocessor).to_string(),
        profile: profile(table, &part_infos, target.labels()).to_string(),
        parts: part_infos,
        warnings,
    }
}

/// Rows and classes of train, valid and test.
pub(crate) fn part_infos(parts: [&Part; 3], target: &Target) -> Vec<PartInfo> {
    PARTS.iter().zip(parts).map(|(name, part)| part_info(name, part, target)).collect()
}

/// Describes time series. A part's rows are its steps over all series.
pub(crate) fn describe_series(
    data: &SeriesDataConfig,
    facts: &TableFacts,
    parts: &[Parts],
    target: String,
    digest: String,
    warnings: Vec<String>,
) -> DatasetInfo {
    let steps = |part: usize| parts.iter().map(|parts| parts.range(part).len()).sum();
    let part = |(part, name): (usize, &&str)| PartInfo {
        name: name.to_string(),
        n_rows: steps(part),
        class_counts: Vec::new(),
    };
    let part_infos: Vec<PartInfo> = PARTS.iter().enumerate().map(part).collect();
    let mut profile = json!({"num_rows": facts.n_rows, "num_elements": facts.n_rows * facts.n_columns});
    for part in &part_infos {
        profile[format!("num_{}_rows", part.name)] = json!(part.n_rows);
    }
    let columns =
        facts.columns.iter().map(|(name, column_type)| json!({"type": column_type, "name": name, "required": true}));
    let (source_type, source) = match data.source {
        Some(builtin) => ("code", json!({"tags": {"dataset": builtin.name()}})),
        None => source(&data.file_config()),
    };
    let is_feature = |name: &str| !target.split(',').any(|target| target == name);
    DatasetInfo {
        name: data.display_name(),
        digest,
        files: facts.files.clone(),
        n_rows: facts.n_rows,
        parts: part_infos,
        problem_type: ProblemType::Regression,
        problem_reason: "a forecast of numbers".to_string(),
        classes: Vec::new(),
        feature_columns: facts.columns.iter().map(|(name, _)| name.clone()).filter(|name| is_feature(name)).collect(),
        source_type: source_type.to_string(),
        source: source.to_string(),
        schema: json!({"mlflow_colspec": columns.collect::<Vec<_>>()}).to_string(),
        profile: profile.to_string(),
        target,
        warnings,
    }
}

fn part_info(name: &str, part: &Part, target: &Target) -> PartInfo {
    let mut class_counts = vec![0; target.labels().len()];
    if !class_counts.is_empty() {
        part.target.iter().for_each(|&class| class_counts[class as usize] += 1);
    }
    PartInfo { name: name.to_string(), n_rows: part.n_rows(), class_counts }
}

fn absent_classes(part: &PartInfo, target: &Target) -> Vec<String> {
    let absent = part.class_counts.iter().zip(target.labels()).filter(|(count, _)| **count == 0);
    absent.map(|(_, label)| format!("class `{label}` has no row in {}, so it is not scored there", part.name)).collect()
}

fn source(data: &DataConfig) -> (&'static str, Value) {
    match (&data.url, &data.path, data.source) {
        (_, _, Some(builtin)) => ("code", json!({"tags": {"dataset": builtin.name()}})),
        (Some(url), _, None) => ("http", json!({"url": url})),
        (None, path, None) => {
            let uri = |path: &PathBuf| {
                let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                absolute.display().to_string()
            };
            // MLflow looks at `uri` only.
            let keys = [
                ("uri", path.as_ref().or(data.train_path.as_ref())),
                ("valid_uri", data.valid_path.as_ref()),
                ("test_uri", data.test_path.as_ref()),
            ];
            let uris = keys.into_iter().filter_map(|(key, path)| Some((key.to_string(), json!(uri(path?)))));
            ("local", Value::Object(uris.collect()))
        }
    }
}

fn schema(preprocessor: &Preprocessor) -> Value {
    let column = |name: &str, column_type: ColumnType, required: bool| json!({"type": column_type, "name": name, "required": required});
    let mut columns: Vec<Value> =
        preprocessor.raw.iter().map(|raw| column(&raw.name, raw.column_type, !raw.nullable)).collect();
    columns.push(column(&preprocessor.target.name, preprocessor.target.column_type, true));
    json!({"mlflow_colspec": columns})
}

fn profile(table: &Table, parts: &[PartInfo], labels: &[String]) -> Value {
    let mut profile = json!({"num_rows": table.n_rows(), "num_elements": table.n_rows() * table.columns().len()});
    for part in parts {
        profile[format!("num_{}_rows", part.name)] = json!(part.n_rows);
        if !labels.is_empty() {
            let counts = labels.iter().cloned().zip(part.class_counts.iter().map(|&count| json!(count)));
            profile[format!("{}_class_counts", part.name)] = Value::Object(counts.collect());
        }
    }
    profile
}
