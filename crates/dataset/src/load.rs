//! The whole way from a file to three encoded parts.

use std::path::Path;

use crate::features::Columns;
use crate::preprocessor::Input;
use crate::source::Source;
use crate::target::{Target, rounding};
use crate::{
    Column, ColumnKind, ColumnType, DataConfig, DatasetInfo, Error, FeaturesConfig, Preprocessor, ProblemType,
    RawColumn, Result, SplitConfig, Table, csv_file::UNNAMED, info, read_table, split,
};

/// Above this many levels a category is more likely an identifier.
const MANY_LEVELS: usize = 10_000;
/// f32 values in all parts together: 4 GiB.
const MAX_CELLS: usize = 1 << 30;

/// Everything that a training run needs to know about its data.
#[derive(Clone, Debug)]
pub struct Splits {
    /// Rows to learn from.
    pub train: Part,
    /// Rows to choose the best epoch by.
    pub valid: Part,
    /// Rows to score once, at the end.
    pub test: Part,
    /// The raw columns of the test rows, row for row with `test`.
    pub test_table: Table,
    /// What turned raw columns into these arrays; belongs into the model's bundle.
    pub preprocessor: Preprocessor,
    /// What to record about the data.
    pub info: DatasetInfo,
}

/// Encoded rows.
#[derive(Clone, Debug)]
pub struct Part {
    /// Row-major `[rows, n_numeric]`; includes one-hot columns.
    pub numeric: Vec<f32>,
    /// Embedding indices, row-major `[rows, n_categorical]`; empty under one-hot encoding.
    pub categorical: Vec<u32>,
    /// `[rows]`: class indices, or numbers in their own units. Empty after `Preprocessor::transform`.
    pub target: Vec<f32>,
    /// `[rows]`: the 0-based data row in the file, counted on through the files where there are several; ascending.
    pub row_numbers: Vec<u32>,
}

impl Part {
    /// Rows that are not encoded yet.
    pub(crate) fn empty(row_numbers: Vec<u32>, target: Vec<f32>) -> Self {
        Self { numeric: Vec::new(), categorical: Vec::new(), target, row_numbers }
    }

    /// The number of rows.
    pub fn n_rows(&self) -> usize {
        self.row_numbers.len()
    }
}

impl Splits {
    /// Writes all raw columns of the test rows, then `extra` ones such as `y_pred`, as CSV with a header.
    pub fn write_predictions(&self, extra: &[(&str, Vec<String>)], path: &Path) -> Result<()> {
        self.test_table.write_csv(extra, path)
    }
}

/// Reads, types, splits and encodes a data set. The same `seed` gives the same split on every machine.
pub fn load(data: &DataConfig, features: &FeaturesConfig, seed: u64) -> Result<Splits> {
    Source::open(data, features, seed)?.splits()
}

/// All rows of a file for a model that is there, to be judged on them.
#[derive(Clone, Debug)]
pub struct LabelledRows {
    /// Raw columns.
    pub table: Table,
    /// Encoded as the model wants them, with their target.
    pub part: Part,
    /// What to record about the data; all rows are in the test part.
    pub info: DatasetInfo,
}

/// Reads a file that has the columns of a model and its target. Errors if one is missing, or if the target has a class
/// that the model does not know.
pub fn load_labelled(data: &DataConfig, model: &Preprocessor) -> Result<LabelledRows> {
    let table = read_table(data)?;
    let files = table.files().to_vec();
    let encode = |table: &Table| -> Result<Part> {
        let target = model.encode_target(table)?;
        Ok(Part { target, ..model.transform(table)? })
    };
    let part = encode(&table).map_err(|error| error.located(&files))?;
    let none = Part::empty(Vec::new(), Vec::new());
    let reason = "as the model".to_string();
    let info = info::describe(data, &table, [&none, &none, &part], model, reason, Vec::new());
    // That the other parts are empty is no news.
    Ok(LabelledRows { table, part, info: DatasetInfo { warnings: Vec::new(), ..info } })
}

/// What is predicted, and which row goes where.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Without the figures that come from the train rows.
    pub target: Target,
    /// How the problem type was decided.
    pub problem_reason: String,
    /// `[rows of the table]`: class indices, or numbers in their own units.
    pub targets: Vec<f32>,
    /// Train, valid and test.
    pub rows: split::Rows,
}

impl Plan {
    /// `known`: the target of a model that is trained on; otherwise the data says what the target is.
    pub(crate) fn new(table: &Table, data: &DataConfig, known: Option<&Target>, seed: u64) -> Result<Self> {
        feature_columns(table, data)?;
        let (target, problem_reason) = match known {
            Some(target) if target.name != data.target => {
                let problem = format!("the model that is trained on predicts `{}`", target.name);
                return Err(Error::Setting { key: "data.target", problem });
            }
            Some(target) => (target.clone(), "as the model that is trained on".to_string()),
            None => Target::new(table, data)?,
        };
        let all_rows: Vec<u32> = (0..table.n_rows() as u32).collect();
        let targets = target.encode(table, &all_rows)?;
        let rows = split_rows(table, data, &target, &targets, seed)?;
        if known.is_none() {
            check_seen(table, &target, &targets, [&rows[0], &rows[1], &rows[2]])?;
        }
        Ok(Self { target, problem_reason, targets, rows })
    }
}

/// Fits everything on the train rows. `targets` are those of all rows.
pub(crate) fn fit(
    columns: Columns,
    data: &DataConfig,
    features: &FeaturesConfig,
    plan: &Plan,
    train: &[u32],
    warnings: &mut Vec<String>,
) -> Result<Preprocessor> {
    let table = columns.table;
    let of_train: Vec<f32> = train.iter().map(|&row| plan.targets[row as usize]).collect();
    let mut target = plan.target.clone();
    target.fit(&of_train, train, data.target_scaling, table)?;
    if target.problem_type == ProblemType::Regression {
        warnings.extend(rounding(table.column(&target.name, "the target")?, train, table.origin())?);
    }
    let is_kept = |column: &&Column| !features.engineer.replaces(&column.name);
    let mut inputs = Vec::new();
    for column in feature_columns(table, data)?.into_iter().filter(is_kept) {
        inputs.extend(fit_input(column, data, features, train, table, warnings)?);
    }
    let mut idle = Vec::new();
    for column in columns.made.iter().filter(is_kept) {
        match fit_input(column, data, features, train, table, &mut Vec::new())? {
            Some(input) => inputs.push(input),
            None => idle.push(column.name.as_str()),
        }
    }
    if !idle.is_empty() {
        let names = crate::error::listed(idle.iter().copied());
        warnings.push(format!("of no use, since they have a single value in all train rows: {names}"));
    }
    if inputs.is_empty() {
        let (file, target, reason) = (table.origin().to_string(), data.target.clone(), warnings.join("; "));
        return Err(Error::NoFeatures { file, target, reason });
    }
    check_column_settings(features, columns, &target.name, &inputs)?;
    let preprocessor = Preprocessor::new(raw_columns(table, data, features, &inputs, train), inputs, features, target);
    check_width(&preprocessor, table)?;
    Ok(preprocessor)
}

/// The raw columns that inference needs: those that are encoded and those that others are computed from.
fn raw_columns(
    table: &Table,
    data: &DataConfig,
    features: &FeaturesConfig,
    inputs: &[Input],
    train: &[u32],
) -> Vec<RawColumn> {
    let is_needed = |name: &str| inputs.iter().any(|input| input.name == name) || features.engineer.uses(name);
    let raw = |column: &Column| {
        let column_type = column_type(column, data)?;
        let nullable = train.iter().any(|&row| column.is_missing(row as usize));
        Some(RawColumn { name: column.name.clone(), column_type, nullable })
    };
    table.columns().iter().filter(|column| is_needed(&column.name)).filter_map(raw).collect()
}

/// The columns that no setting excludes. Checks that every column named in a setting exists and has one role.
pub(crate) fn feature_columns<'a>(table: &'a Table, data: &DataConfig) -> Result<Vec<&'a Column>> {
    if data.target.is_empty() {
        let columns = crate::error::listed(table.names());
        return Err(Error::NoTarget { file: table.origin().to_string(), columns });
    }
    table.column(&data.target, "`data.target`")?;
    let mut excluded = vec![&data.target];
    for (key, names) in [("`data.id_columns`", &data.id_columns), ("`data.ignore_columns`", &data.ignore_columns)] {
        for name in names {
            table.column(name, key)?;
            if *name == data.target {
                return Err(Error::ColumnRole { column: name.clone(), role: "target", wanted_by: key });
            }
            excluded.push(name);
        }
    }
    for (key, name) in [("`data.split.column`", &data.split.column), ("`data.split.group`", &data.split.group)] {
        let Some(name) = name else { continue };
        table.column(name, key)?;
        if *name == data.target {
            return Err(Error::ColumnRole { column: name.clone(), role: "target", wanted_by: key });
        }
        excluded.push(name);
    }
    Ok(table.columns().iter().filter(|column| !excluded.contains(&&column.name)).collect())
}

fn split_rows(table: &Table, data: &DataConfig, target: &Target, targets: &[f32], seed: u64) -> Result<split::Rows> {
    let rows = match &data.split.column {
        Some(name) => split::by_column(table.column(name, "`data.split.column`")?, table.origin())?,
        None => divide(table, data, target, targets, seed)?,
    };
    split::check_not_empty(&rows, &data.split, table.origin())?;
    if let Some(name) = &data.split.group {
        let column = table.column(name, "`data.split.group`")?;
        split::check_groups(column, &split::group_numbers(column), &rows, table.origin())?;
    }
    Ok(rows)
}

/// An error if a part has a class that no train row has.
pub(crate) fn check_seen(table: &Table, target: &Target, targets: &[f32], parts: [&Vec<u32>; 3]) -> Result<()> {
    let mut seen = vec![false; target.labels().len()];
    if seen.is_empty() {
        return Ok(());
    }
    parts[0].iter().for_each(|&row| seen[targets[row as usize] as usize] = true);
    for (part, rows) in split::PARTS.iter().zip(parts) {
        if let Some(&row) = rows.iter().find(|&&row| !seen[targets[row as usize] as usize]) {
            let class = target.labels()[targets[row as usize] as usize].clone();
            return Err(Error::UnseenClass { file: table.origin().to_string(), row: row as usize + 1, class, part });
        }
    }
    Ok(())
}

/// The type that is set, else the one that the values have; `None` without values.
pub(crate) fn column_type(column: &Column, data: &DataConfig) -> Option<ColumnType> {
    let guess = column.column_type()?;
    Some(match data.types.get(&column.name) {
        Some(ColumnKind::Categorical) => ColumnType::String,
        Some(ColumnKind::Numeric) if guess == ColumnType::String => ColumnType::Double,
        _ => guess,
    })
}

/// Deals rows out by ratio: all of them, or with a test file those of the train file. A file per part needs no dealing.
fn divide(table: &Table, data: &DataConfig, target: &Target, targets: &[f32], seed: u64) -> Result<split::Rows> {
    let all = table.n_rows() as u32;
    let sizes: Vec<u32> = table.files().iter().map(|file| file.n_rows as u32).collect();
    let n_dealt = match sizes.as_slice() {
        [train, valid, _] => return Ok([0..*train, *train..train + valid, train + valid..all].map(Vec::from_iter)),
        [train, _] => *train,
        _ => all,
    };
    let config = SplitConfig { test: if n_dealt < all { 0.0 } else { data.split.test }, ..data.split.clone() };
    let mut rows = match &data.split.group {
        Some(name) => {
            let groups = split::group_numbers(table.column(name, "`data.split.group`")?);
            split::by_group(&groups[..n_dealt as usize], &config, seed)
        }
        None => {
            let is_stratified = data.split.stratify && !target.labels().is_empty();
            let class = |&y: &f32| if is_stratified { y as u32 } else { 0 };
            split::by_ratio(&targets[..n_dealt as usize].iter().map(class).collect::<Vec<_>>(), &config, seed)
        }
    };
    rows[2].extend(n_dealt..all);
    Ok(rows)
}

/// `None`, with a warning, for a column that cannot help.
fn fit_input(
    column: &Column,
    data: &DataConfig,
    features: &FeaturesConfig,
    train: &[u32],
    table: &Table,
    warnings: &mut Vec<String>,
) -> Result<Option<Input>> {
    let name = &column.name;
    let Some(column_type) = column_type(column, data) else {
        warnings.push(format!("column `{name}` is dropped: it has no values"));
        return Ok(None);
    };
    if column_type == ColumnType::String && !data.types.contains_key(name) {
        column.check_not_mixed(table.origin())?;
        warnings.extend(column.stray_text());
    }
    let Some(input) = Input::fit(column, column_type, train, features, table.origin())? else {
        warnings.push(format!("column `{name}` is dropped: it has a single value, or none, in all train rows"));
        return Ok(None);
    };
    warnings.extend(doubt(&input, column, train.len()));
    Ok(Some(input))
}

/// An error if `features.columns` names a column that is none of the numeric features. A dropped one may be named.
fn check_column_settings(features: &FeaturesConfig, columns: Columns, target: &str, inputs: &[Input]) -> Result<()> {
    for name in features.columns.keys() {
        columns.column(name, "`features.columns`")?;
        if *name == target {
            return Err(Error::ColumnRole { column: name.clone(), role: "target", wanted_by: "`features.columns`" });
        }
        let input = inputs.iter().find(|input| input.name == *name);
        if input.is_some_and(|input| input.column_type == ColumnType::String) {
            let problem = format!("column `{name}` is categorical, so it is neither imputed nor scaled");
            return Err(Error::Setting { key: "features.columns", problem });
        }
    }
    Ok(())
}

/// What may be wrong with a column although it can be used.
fn doubt(input: &Input, column: &Column, n_train: usize) -> Option<String> {
    let (name, n_levels) = (&input.name, input.n_slots());
    if name.starts_with(UNNAMED) {
        return Some(format!("column `{name}` has no name in the file; if it is a row number, ignore it"));
    }
    if n_levels > MANY_LEVELS {
        return Some(format!("column `{name}` has {n_levels} levels; set `features.max_categories`, or ignore it"));
    }
    if has_too_many_levels(n_levels, n_train) {
        let problem = "levels in the train rows alone, like an identifier; list it in `data.ignore_columns`?";
        return Some(format!("column `{name}` has {n_levels} {problem}"));
    }
    let dates = input.column_type == ColumnType::String && column.looks_like_dates();
    dates.then(|| format!("column `{name}` looks like dates; each date is taken for a category of its own"))
}

/// Whether levels are as many as an identifier has.
pub(crate) fn has_too_many_levels(n_levels: usize, n_train: usize) -> bool {
    n_levels > MANY_LEVELS || (n_levels >= 50 && n_levels * 2 > n_train)
}

/// An error rather than a full memory: a text column with a value per row makes rows x rows one-hot cells.
fn check_width(preprocessor: &Preprocessor, table: &Table) -> Result<()> {
    let (columns, rows) = (preprocessor.n_numeric(), table.n_rows());
    let widest = preprocessor.inputs.iter().max_by_key(|input| input.n_slots());
    match widest {
        Some(widest) if columns.saturating_mul(rows) > MAX_CELLS => Err(Error::TooWide {
            file: table.origin().to_string(),
            columns,
            rows,
            widest: widest.name.clone(),
            levels: widest.n_slots(),
        }),
        _ => Ok(()),
    }
}
