//! Filters and orders as text that reads back as the same value, here and in MLflow.
//!
//! MLflow's grammar has no escapes: a text cannot hold both kinds of quotes. Nothing that was parsed does. One that is
//! made by hand and does is printed all the same, and reads back as an error or as another text.

use std::fmt::{self, Display, Formatter, Write};

use super::{
    Attribute, Clause, Condition, DatasetField, Field, Filter, NumberOp, OrderBy, SortKey, TextOp, end_of_quoted,
    end_of_word,
};

impl Display for Filter {
    /// `metrics.val_auc > 0.8 AND params.model = 'mlp'`; nothing for no clause.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        joined(f, &self.clauses, " AND ")
    }
}

impl Display for Clause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.condition)
    }
}

impl Display for OrderBy {
    /// `metrics.val_auc DESC, start_time ASC`. [`OrderBy::parse`] takes each key as a text of its own.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        joined(f, &self.keys, ", ")
    }
}

impl Display for SortKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, if self.ascending { "ASC" } else { "DESC" })
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Field::Metric(key) => write_keyed(f, "metrics", key),
            Field::Param(key) => write_keyed(f, "params", key),
            Field::Tag(key) => write_keyed(f, "tags", key),
            Field::Attribute(attribute) => write!(f, "attributes.{attribute}"),
            Field::Dataset(field) => write!(f, "datasets.{field}"),
        }
    }
}

impl Display for Attribute {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Attribute::RunId => "run_id",
            Attribute::RunName => "run_name",
            Attribute::Status => "status",
            Attribute::UserId => "user_id",
            Attribute::ArtifactUri => "artifact_uri",
            Attribute::StartTime => "start_time",
            Attribute::EndTime => "end_time",
        })
    }
}

impl Display for DatasetField {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DatasetField::Name => "name",
            DatasetField::Digest => "digest",
            DatasetField::Context => "context",
        })
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Number(op, number) => {
                write!(f, "{op} ")?;
                write_number(f, *number)
            }
            Condition::Text(op, text) => {
                write!(f, "{op} ")?;
                write_text(f, text)
            }
            Condition::OneOf(list) => write_list(f, "IN", list),
            Condition::NoneOf(list) => write_list(f, "NOT IN", list),
            Condition::Absent => f.write_str("IS NULL"),
            Condition::Present => f.write_str("IS NOT NULL"),
        }
    }
}

impl Display for NumberOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_sql())
    }
}

impl Display for TextOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TextOp::Eq => "=",
            TextOp::Ne => "!=",
            TextOp::Like => "LIKE",
            TextOp::Ilike => "ILIKE",
        })
    }
}

fn joined(f: &mut Formatter<'_>, items: &[impl Display], separator: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { separator })?;
    }
    Ok(())
}

/// Without quotes only what every SQL reader takes for a name: MLflow's would split `val-auc` and `0.5`.
fn write_keyed(f: &mut Formatter<'_>, entity: &str, key: &str) -> fmt::Result {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if key.split('.').all(is_name) {
        return write!(f, "{entity}.{key}");
    }
    let reads_back = |quote: &char| {
        let word = format!("{entity}.{quote}{key}{quote}");
        end_of_word(&word, 0).is_ok_and(|end| end == word.len())
    };
    let quote = ['`', '"', '\''].into_iter().find(reads_back).unwrap_or('`');
    write!(f, "{entity}.{quote}{key}{quote}")
}

fn write_text(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    let reads_back = |quote: &char| {
        let quoted = format!("{quote}{text}{quote}");
        end_of_quoted(&quoted, 0, *quote).is_ok_and(|end| end == quoted.len())
    };
    let is_absent = |quote: &char| !text.contains(*quote);
    let mut quotes = ['\'', '"'].into_iter();
    let quote = quotes.clone().find(is_absent).or_else(|| quotes.find(reads_back)).unwrap_or('\'');
    write!(f, "{quote}{text}{quote}")
}

fn write_list(f: &mut Formatter<'_>, comparator: &str, list: &[String]) -> fmt::Result {
    write!(f, "{comparator} (")?;
    for (index, item) in list.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { ", " })?;
        write_text(f, item)?;
    }
    f.write_char(')')
}

/// The shortest decimal that reads back as the same number: `0.8`, `1700000000000`, `1e-7`. `1e999` reads as infinity.
fn write_number(f: &mut Formatter<'_>, number: f64) -> fmt::Result {
    if number.is_infinite() {
        return f.write_str(if number > 0.0 { "1e999" } else { "-1e999" });
    }
    let text = format!("{number:?}");
    // MLflow reads times as whole numbers.
    f.write_str(text.strip_suffix(".0").unwrap_or(&text))
}
