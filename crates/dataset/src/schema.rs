//! Whether a file has what a model needs, told before any row is read.

use crate::error::{listed, nearest};
use crate::preprocessor::Encoder;
use crate::{ColumnType, Error, FileColumn, Preprocessor, RawColumn, Result};

/// How the columns of a file differ from those that a model was trained on, where that does no harm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnCheck {
    /// Columns that the model does not use, in file order; not the target.
    pub extra: Vec<String>,
    /// Whether the model's columns stand in another order: they are found by name.
    pub is_reordered: bool,
    /// Whether the target is among the columns: predictions do not need it.
    pub has_target: bool,
    /// Columns of another type whose values are understood all the same, each with what is done.
    pub coerced: Vec<String>,
}

impl Preprocessor {
    /// Looks at the columns of a file by their names and declared types. All columns that are missing, cannot be read or hold
    /// values of another kind are named in one error; `file` is for its message.
    ///
    /// What is understood in another form than at training: numbers as texts (`"39"`), true/false as 1 and 0, and numbers for
    /// categories that are all integers (`1` and `1.0` are the same one).
    pub fn check_columns(&self, file: &str, columns: &[FileColumn]) -> Result<ColumnCheck> {
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        let (mut problems, mut missing, mut check) = (Vec::new(), Vec::new(), ColumnCheck::default());
        for raw in &self.raw {
            match place(&raw.name).map(|place| &columns[place]) {
                None => missing.push(raw.name.as_str()),
                Some(FileColumn { name, unreadable: Some(found), .. }) => {
                    problems.push(format!("column `{name}` has the Parquet type {found}, which cannot be read"));
                }
                Some(column) => match self.fit_type(raw, column.declared) {
                    Ok(coerced) => check.coerced.extend(coerced),
                    Err(problem) => problems.push(problem),
                },
            }
        }
        if let Some(problem) = missing_columns(&missing, columns) {
            problems.insert(0, problem);
        }
        if !problems.is_empty() {
            return Err(Error::Columns { file: file.to_string(), problems });
        }
        let is_used = |name: &str| self.raw.iter().any(|raw| raw.name == name);
        let extra =
            columns.iter().map(|column| &column.name).filter(|name| !is_used(name) && **name != self.target.name);
        check.extra = extra.cloned().collect();
        check.is_reordered = !self.raw.iter().map(|raw| place(&raw.name)).is_sorted();
        check.has_target = place(&self.target.name).is_some();
        Ok(check)
    }

    /// What is done with the values of a column whose type is not that of training; an error if nothing can be.
    fn fit_type(&self, raw: &RawColumn, found: Option<ColumnType>) -> std::result::Result<Option<String>, String> {
        use ColumnType::{Boolean, Double, Long, String};
        let name = &raw.name;
        let levels = self.inputs.iter().filter(|input| input.name == *name).find_map(|input| match &input.encoder {
            Encoder::Category { levels, .. } => Some(levels.as_slice()),
            Encoder::Numeric { .. } => None,
        });
        let (found, can_match): (&str, fn(&str) -> bool) = match (raw.column_type, found) {
            (_, None) | (String, Some(String)) => return Ok(None),
            (String, Some(Boolean)) => ("true/false", |level| matches!(level, "true" | "false")),
            (String, Some(Long | Double)) => ("numbers", |level| level.parse::<f64>().is_ok()),
            (_, Some(String)) => return Ok(Some(format!("texts of `{name}` are read as numbers"))),
            (Long | Double, Some(Boolean)) => return Ok(Some(format!("true/false of `{name}` is read as 1 and 0"))),
            _ => return Ok(None),
        };
        let Some(levels) = levels else {
            return Err(format!("column `{name}` holds {found} in place of texts"));
        };
        if levels.iter().any(|level| can_match(level)) {
            return Ok(Some(format!("{found} of `{name}` are taken for categories")));
        }
        let known = listed(levels.iter().take(3).map(|level| level.as_str()));
        Err(format!("column `{name}` holds {found} in place of texts such as {known}"))
    }
}

fn missing_columns(missing: &[&str], columns: &[FileColumn]) -> Option<String> {
    let names = columns.iter().map(|column| column.name.as_str());
    let hint = |name: &&str| match nearest(name, names.clone()) {
        hint if hint.starts_with("did you mean") => format!("`{name}` ({hint})"),
        _ => format!("`{name}`"),
    };
    let told: Vec<String> = missing.iter().map(hint).collect();
    match told.as_slice() {
        [] => None,
        [one] => Some(format!("it has no column {one}; it has {}", listed(names))),
        _ => Some(format!("it has no columns {}; it has {}", told.join(", "), listed(names))),
    }
}
