//! MLflow's grammar for finding and ordering runs, with its meaning.
//!
//! ```text
//! filter     clause [AND clause]...                     no OR, no NOT, no parentheses
//! clause     field (= != > >= < <=) number              metrics, start_time, end_time
//!            field (= != LIKE ILIKE) 'text'             params, tags, datasets, other attributes
//!            field [NOT] IN ('a', 'b')                  run_id, datasets
//!            field IS [NOT] NULL                        params, tags
//! field      metrics.KEY  params.KEY  tags.KEY  datasets.(name|digest|context)
//!            [attributes.](run_id|run_name|status|user_id|artifact_uri|start_time|end_time)
//! KEY        letters, digits, `_` and `.`; anything else in backticks: metrics.`val/auc`
//! order_by   field [ASC|DESC]                           not datasets
//! ```
//!
//! A text is quoted with `'` or `"` and cannot hold both: there are no escapes, and a doubled quote stays doubled. A parsed
//! filter or order prints as text that reads back as the same value.
//!
//! A run without the metric, param or tag never matches, also not with `!=`. NaN matches `!=` only. `LIKE` knows `%`
//! and `_`; `ILIKE` ignores the case of ASCII letters. In an order, NaN comes after the numbers and a missing value
//! last, whatever the direction; ties are broken by start time, newest first, then by run id.

mod display;

use std::cmp::Ordering;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::rules::{DATASET_CONTEXT_TAG, RUN_NAME_TAG};
use crate::{DatasetInput, Error, Result, RunData};

const ENTITIES: &str = "['metric', 'parameter', 'tag', 'attribute', 'dataset']";
const ATTRIBUTES: &str =
    "['artifact_uri', 'created', 'end_time', 'run_id', 'run_name', 'start_time', 'status', 'user_id']";
const TEXT_COMPARATORS: &str = "['=', '!=', 'LIKE', 'ILIKE']";
const NUMBER_COMPARATORS: &str = "['=', '!=', '>', '>=', '<', '<=']";

/// What a clause or an order looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Latest value of a metric.
    Metric(String),
    /// A param.
    Param(String),
    /// A tag.
    Tag(String),
    /// A fact about the run.
    Attribute(Attribute),
    /// A data set of the run: one that matches is enough.
    Dataset(DatasetField),
}

/// The facts about a run that a filter can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// `run_id`.
    RunId,
    /// `run_name`.
    RunName,
    /// `status`: `RUNNING`, `FINISHED`, ...
    Status,
    /// `user_id`.
    UserId,
    /// `artifact_uri`.
    ArtifactUri,
    /// `start_time` or `created`, milliseconds.
    StartTime,
    /// `end_time`, milliseconds.
    EndTime,
}

/// The facts about a data set that a filter can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasetField {
    /// `datasets.name`.
    Name,
    /// `datasets.digest`.
    Digest,
    /// `datasets.context`: the tag `mlflow.data.context`.
    Context,
}

/// How numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberOp {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `<`
    Lt,
    /// `<=`
    Le,
}

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextOp {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `LIKE`
    Like,
    /// `ILIKE`
    Ilike,
}

/// What a field must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Compared with a number.
    Number(NumberOp, f64),
    /// Compared with a text.
    Text(TextOp, String),
    /// `IN`.
    OneOf(Vec<String>),
    /// `NOT IN`.
    NoneOf(Vec<String>),
    /// `IS NULL`.
    Absent,
    /// `IS NOT NULL`.
    Present,
}

/// One condition on one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Clause {
    /// What is looked at.
    pub field: Field,
    /// What it must be.
    pub condition: Condition,
}

/// A parsed filter: all clauses must hold; none at all matches every run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// The clauses in order of appearance.
    pub clauses: Vec<Clause>,
}

impl Filter {
    /// Parses a filter. Errors with [`Error::Invalid`] in MLflow's words plus a hint.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser { tokens: tokenize(text)?, next: 0 };
        if parser.tokens.iter().any(|token| token.kind == Kind::Semicolon) {
            return Err(Error::Invalid(format!(
                "Search filter contained multiple expression '{text}'. Provide AND-ed expression list."
            )));
        }
        let mut clauses = Vec::new();
        while let Some(token) = parser.take() {
            if !token.is_word("AND") {
                clauses.push(parser.clause(token)?);
            }
        }
        Ok(Self { clauses })
    }

    /// True when every clause holds.
    pub fn matches(&self, run: &RunData) -> bool {
        self.clauses.iter().all(|clause| clause.matches(run))
    }
}

impl Clause {
    fn matches(&self, run: &RunData) -> bool {
        let condition = &self.condition;
        match &self.field {
            Field::Dataset(field) => run.inputs.iter().any(|input| condition.holds(field.of(input).into())),
            // MLflow searches the tag, which can be deleted, and sorts by the name.
            Field::Attribute(Attribute::RunName) => {
                condition.holds(run.tags.get(RUN_NAME_TAG).map(String::as_str).into())
            }
            field => condition.holds(field.of(run)),
        }
    }
}

/// A field of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    Number(f64),
    Text(&'a str),
    Missing,
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Value::Missing, Value::Text)
    }
}

impl Field {
    /// The value in a run. A data set field has none: a run may have several data sets.
    fn of<'a>(&self, run: &'a RunData) -> Value<'a> {
        match self {
            Field::Metric(key) => run.metrics.get(key).map_or(Value::Missing, |metric| Value::Number(metric.value)),
            Field::Param(key) => run.params.get(key).map(String::as_str).into(),
            Field::Tag(key) => run.tags.get(key).map(String::as_str).into(),
            Field::Attribute(attribute) => attribute.of(run),
            Field::Dataset(_) => Value::Missing,
        }
    }
}

impl Attribute {
    fn of(self, run: &RunData) -> Value<'_> {
        let info = &run.info;
        match self {
            Attribute::RunId => Value::Text(&info.run_id),
            Attribute::RunName => Value::Text(&info.name),
            Attribute::Status => Value::Text(info.status.as_str()),
            Attribute::UserId => Value::Text(&info.user),
            Attribute::ArtifactUri => Value::Text(&info.artifact_uri),
            Attribute::StartTime => Value::Number(info.start_time_ms as f64),
            Attribute::EndTime => info.end_time_ms.map_or(Value::Missing, |end| Value::Number(end as f64)),
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Attribute::StartTime | Attribute::EndTime)
    }
}

impl DatasetField {
    fn of(self, input: &DatasetInput) -> Option<&str> {
        match self {
            DatasetField::Name => Some(&input.dataset.name),
            DatasetField::Digest => Some(&input.dataset.digest),
            DatasetField::Context => input.tags.get(DATASET_CONTEXT_TAG).map(String::as_str),
        }
    }
}

impl Condition {
    fn holds(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Condition::Absent, value) => value == Value::Missing,
            (Condition::Present, value) => value != Value::Missing,
            (Condition::Number(op, right), Value::Number(left)) => op.holds(left, *right),
            (Condition::Text(op, right), Value::Text(left)) => op.holds(left, right),
            (Condition::OneOf(list), Value::Text(left)) => list.iter().any(|item| item == left),
            (Condition::NoneOf(list), Value::Text(left)) => list.iter().all(|item| item != left),
            _ => false,
        }
    }
}

impl NumberOp {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" => NumberOp::Eq,
            "!=" => NumberOp::Ne,
            ">" => NumberOp::Gt,
            ">=" => NumberOp::Ge,
            "<" => NumberOp::Lt,
            "<=" => NumberOp::Le,
            _ => return None,
        })
    }

    /// The operator in SQL, which is spelled the same.
    pub(crate) fn as_sql(self) -> &'static str {
        match self {
            NumberOp::Eq => "=",
            NumberOp::Ne => "!=",
            NumberOp::Gt => ">",
            NumberOp::Ge => ">=",
            NumberOp::Lt => "<",
            NumberOp::Le => "<=",
        }
    }

    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            NumberOp::Eq => left == right,
            NumberOp::Ne => left != right,
            NumberOp::Gt => left > right,
            NumberOp::Ge => left >= right,
            NumberOp::Lt => left < right,
            NumberOp::Le => left <= right,
        }
    }
}

impl TextOp {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" => TextOp::Eq,
            "!=" => TextOp::Ne,
            "LIKE" => TextOp::Like,
            "ILIKE" => TextOp::Ilike,
            _ => return None,
        })
    }

    fn holds(self, left: &str, right: &str) -> bool {
        match self {
            TextOp::Eq => left == right,
            TextOp::Ne => left != right,
            TextOp::Like => like(left, right),
            TextOp::Ilike => like(&left.to_ascii_lowercase(), &right.to_ascii_lowercase()),
        }
    }
}

/// SQL's `LIKE`: `%` is any text, `_` any one character. Retries only from the last `%`, so it is never exponential.
fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut t, mut p) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '%' {
            p += 1;
            retry = Some((p, t));
        } else if p < pattern.len() && (pattern[p] == '_' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((after_percent, from)) = retry {
            p = after_percent;
            t = from + 1;
            retry = Some((after_percent, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '%')
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// What is compared; never a data set.
    pub field: Field,
    /// False for `DESC`.
    pub ascending: bool,
}

/// A parsed order. Empty: start time, newest first, then run id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderBy {
    /// The keys, most important first.
    pub keys: Vec<SortKey>,
}

impl OrderBy {
    /// Parses clauses such as `metrics.val_auc DESC`. Errors with [`Error::Invalid`] also when a field comes twice.
    pub fn parse(clauses: &[String]) -> Result<Self> {
        let mut keys: Vec<SortKey> = Vec::new();
        for clause in clauses {
            let key = SortKey::parse(clause)?;
            if keys.iter().any(|earlier| earlier.field == key.field) {
                return Err(Error::Invalid(format!("`order_by` contains duplicate fields: {clauses:?}")));
            }
            keys.push(key);
        }
        Ok(Self { keys })
    }

    /// Sorts runs in place.
    pub fn sort(&self, runs: &mut [RunData]) {
        runs.sort_by(|a, b| self.compare(a, b));
    }

    fn compare(&self, a: &RunData, b: &RunData) -> Ordering {
        let by_keys = self.keys.iter().fold(Ordering::Equal, |order, key| order.then_with(|| key.compare(a, b)));
        let newest_first = b.info.start_time_ms.cmp(&a.info.start_time_ms);
        by_keys.then(newest_first).then_with(|| a.info.run_id.cmp(&b.info.run_id))
    }
}

impl SortKey {
    fn parse(clause: &str) -> Result<Self> {
        let tokens = tokenize(clause)?;
        let (name, direction) = match tokens.as_slice() {
            [name] if name.is_name() => (name, "ASC".to_owned()),
            [name, direction] if name.is_name() => (name, direction.text.to_ascii_uppercase()),
            _ => {
                return Err(Error::Invalid(format!(
                    "Invalid order_by clause '{clause}'. Could not be parsed. Hint: write e.g. `metrics.val_auc DESC`."
                )));
            }
        };
        let ascending = match direction.as_str() {
            "ASC" => true,
            "DESC" => false,
            _ => {
                return Err(Error::Invalid(format!(
                    "Invalid ordering key in order_by clause '{clause}'. Hint: end it with ASC or DESC."
                )));
            }
        };
        match parse_field(name.text)? {
            Field::Dataset(_) => Err(Error::Invalid(format!(
                "Invalid identifier type 'dataset' in order_by clause '{clause}'. Hint: order by a metric, param, tag \
                 or attribute."
            ))),
            field => Ok(Self { field, ascending }),
        }
    }

    fn compare(&self, a: &RunData, b: &RunData) -> Ordering {
        let (a, b) = (self.field.of(a), self.field.of(b));
        let values = match (a, b) {
            (Value::Number(a), Value::Number(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            _ => Ordering::Equal,
        };
        rank(a).cmp(&rank(b)).then(if self.ascending { values } else { values.reverse() })
    }
}

/// Numbers and texts first, then NaN, then nothing.
fn rank(value: Value<'_>) -> u8 {
    match value {
        Value::Missing => 2,
        Value::Number(number) if number.is_nan() => 1,
        Value::Number(_) | Value::Text(_) => 0,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name, keyword or number.
    Word,
    /// A text with its quotes.
    Quoted,
    Operator,
    Open,
    Close,
    Comma,
    Semicolon,
}

#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
}

impl Token<'_> {
    fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }

    fn number(&self) -> Option<f64> {
        let numeric = self.text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
            && self.text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
        if self.kind == Kind::Word && numeric { self.text.parse().ok() } else { None }
    }
}

fn tokenize(text: &str) -> Result<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(first) = text[start..].chars().next() {
        let (kind, end) = match first {
            c if c.is_whitespace() => {
                start += c.len_utf8();
                continue;
            }
            '(' => (Kind::Open, start + 1),
            ')' => (Kind::Close, start + 1),
            ',' => (Kind::Comma, start + 1),
            ';' => (Kind::Semicolon, start + 1),
            '\'' | '"' => (Kind::Quoted, end_of_quoted(text, start, first)?),
            '=' | '<' | '>' | '!' => {
                let rest = &text[start..];
                (Kind::Operator, start + rest.find(|c| !"=<>!".contains(c)).unwrap_or(rest.len()))
            }
            _ => (Kind::Word, end_of_word(text, start)?),
        };
        tokens.push(Token { kind, text: &text[start..end] });
        start = end;
    }
    Ok(tokens)
}

/// End of a quoted text; a doubled quote inside is part of it.
fn end_of_quoted(text: &str, start: usize, quote: char) -> Result<usize> {
    let mut from = start + 1;
    while let Some(found) = text[from..].find(quote) {
        let after = from + found + 1;
        if !text[after..].starts_with(quote) {
            return Ok(after);
        }
        from = after + 1;
    }
    Err(Error::Invalid(format!("Error on parsing filter '{text}'. Hint: the quote {quote} is never closed.")))
}

/// End of a word, whose parts may be quoted after a dot: metrics.`a b`.
fn end_of_word(text: &str, start: usize) -> Result<usize> {
    let mut at = start;
    while let Some(c) = text[at..].chars().next() {
        let part_starts = at == start || text[..at].ends_with('.');
        if c == '`' || (part_starts && (c == '"' || c == '\'')) {
            at = end_of_quoted(text, at, c)?;
        } else if c.is_whitespace() || "=<>!(),;'\"".contains(c) {
            break;
        } else {
            at += c.len_utf8();
        }
    }
    Ok(at)
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
}

impl<'a> Parser<'a> {
    fn take(&mut self) -> Option<Token<'a>> {
        let token = self.tokens.get(self.next).copied();
        self.next += 1;
        token
    }

    fn clause(&mut self, name: Token<'a>) -> Result<Clause> {
        if !name.is_name() || name.is_word("OR") || name.is_word("NOT") {
            return Err(invalid_clause(name.text));
        }
        if name.number().is_some() {
            return Err(Error::Invalid(format!(
                "Invalid comparison clause. Expected 'Identifier' found '{}'. Hint: write the field first: \
                 `metrics.loss < 1`.",
                name.text
            )));
        }
        let comparator = self.comparator().ok_or_else(|| invalid_clause(name.text))?;
        let field = parse_field(name.text)?;
        let condition = match &field {
            Field::Metric(_) => self.number_condition(name.text, &comparator)?,
            Field::Attribute(attribute) if attribute.is_number() => self.number_condition(name.text, &comparator)?,
            _ => self.text_condition(name.text, &field, &comparator)?,
        };
        Ok(Clause { field, condition })
    }

    /// The comparator in capitals, words joined by one space.
    fn comparator(&mut self) -> Option<String> {
        let token = self.take()?;
        let word = token.text.to_ascii_uppercase();
        match (token.kind, word.as_str()) {
            (Kind::Operator, _) | (Kind::Word, "LIKE" | "ILIKE" | "RLIKE" | "IN") => Some(word),
            (Kind::Word, "NOT") => Some(format!("NOT {}", self.take()?.text.to_ascii_uppercase())),
            (Kind::Word, "IS") => {
                let mut next = self.take()?.text.to_ascii_uppercase();
                if next == "NOT" {
                    next = format!("NOT {}", self.take()?.text.to_ascii_uppercase());
                }
                Some(format!("IS {next}"))
            }
            _ => None,
        }
    }

    fn number_condition(&mut self, name: &str, comparator: &str) -> Result<Condition> {
        if matches!(comparator, "IS NULL" | "IS NOT NULL") {
            return Err(Error::Invalid(format!(
                "IS NULL / IS NOT NULL is only supported for tags and params, not for '{name}'"
            )));
        }
        let op = NumberOp::parse(comparator).ok_or_else(|| invalid_comparator(comparator, NUMBER_COMPARATORS))?;
        let value = self.take().ok_or_else(|| invalid_clause(name))?;
        let number = value.number().ok_or_else(|| {
            Error::Invalid(format!(
                "Expected numeric value type for '{name}'. Found {}. Hint: write a number without quotes.",
                value.text
            ))
        })?;
        Ok(Condition::Number(op, number))
    }

    fn text_condition(&mut self, name: &str, field: &Field, comparator: &str) -> Result<Condition> {
        let nullable = matches!(field, Field::Param(_) | Field::Tag(_));
        let listable = matches!(field, Field::Dataset(_) | Field::Attribute(Attribute::RunId));
        match comparator {
            "IS NULL" if nullable => return Ok(Condition::Absent),
            "IS NOT NULL" if nullable => return Ok(Condition::Present),
            "IS NULL" | "IS NOT NULL" => {
                return Err(Error::Invalid(format!(
                    "IS NULL / IS NOT NULL is only supported for tags and params, not for '{name}'"
                )));
            }
            "IN" if listable => return Ok(Condition::OneOf(self.list(name)?)),
            "NOT IN" if listable => return Ok(Condition::NoneOf(self.list(name)?)),
            "IN" | "NOT IN" => {
                return Err(Error::Invalid(format!(
                    "Only ['run_id'] attributes and datasets support comparison with a list of quoted string values, \
                     not '{name}'"
                )));
            }
            _ => {}
        }
        let op = TextOp::parse(comparator).ok_or_else(|| invalid_comparator(comparator, TEXT_COMPARATORS))?;
        let value = self.take().ok_or_else(|| invalid_clause(name))?;
        if value.kind != Kind::Quoted {
            return Err(Error::Invalid(format!(
                "Expected a quoted string value for '{name}' (e.g. 'my-value'). Got value {}. Hint: put it in quotes: \
                 `{name} = '{}'`.",
                value.text, value.text
            )));
        }
        Ok(Condition::Text(op, unquote(value.text).to_owned()))
    }

    fn list(&mut self, name: &str) -> Result<Vec<String>> {
        let ill_formed = || {
            Error::Invalid(format!(
                "While parsing a list in the query, expected a non-empty list of string values, but got ill-formed \
                 list. Hint: write `{name} IN ('a', 'b')`."
            ))
        };
        if self.take().is_none_or(|token| token.kind != Kind::Open) {
            return Err(ill_formed());
        }
        let mut items = Vec::new();
        loop {
            let item = self.take().filter(|token| token.kind == Kind::Quoted).ok_or_else(ill_formed)?;
            items.push(unquote(item.text).to_owned());
            match self.take().map(|token| token.kind) {
                Some(Kind::Comma) => {}
                Some(Kind::Close) => return Ok(items),
                _ => return Err(ill_formed()),
            }
        }
    }
}

fn invalid_clause(found: &str) -> Error {
    Error::Invalid(format!(
        "Invalid clause(s) in filter string: '{found}'. Hint: join clauses such as `metrics.val_auc > 0.8` with AND; \
         there is no OR, no NOT and no parentheses."
    ))
}

fn invalid_comparator(comparator: &str, allowed: &str) -> Error {
    Error::Invalid(format!("Invalid comparator '{comparator}' not one of {allowed}"))
}

/// Reads `metrics.KEY`, `attributes.NAME`, a bare attribute and so on.
fn parse_field(name: &str) -> Result<Field> {
    let (entity, key) = name.split_once('.').unwrap_or(("attribute", name));
    let quoted = unquote(key);
    if quoted == key && !key.chars().all(|c| c.is_alphanumeric() || "_.$#".contains(c)) {
        return Err(Error::Invalid(format!(
            "Invalid comparison clause. Expected 'Identifier' found '{name}'. Hint: put the key in backticks: \
             {entity}.`{key}`."
        )));
    }
    let key = quoted.to_owned();
    match unquote(entity) {
        "metric" | "metrics" => Ok(Field::Metric(key)),
        "parameter" | "parameters" | "param" | "params" => Ok(Field::Param(key)),
        "tag" | "tags" => Ok(Field::Tag(key)),
        "attribute" | "attributes" | "attr" | "run" => parse_attribute(&key).map(Field::Attribute),
        "dataset" | "datasets" => parse_dataset_field(&key).map(Field::Dataset),
        other => Err(Error::Invalid(format!("Invalid entity type '{other}'. Valid values are {ENTITIES}"))),
    }
}

fn parse_attribute(key: &str) -> Result<Attribute> {
    Ok(match key {
        "run_id" => Attribute::RunId,
        "run_name" | "run name" | "Run name" | "Run Name" => Attribute::RunName,
        "status" => Attribute::Status,
        "user_id" => Attribute::UserId,
        "artifact_uri" => Attribute::ArtifactUri,
        "start_time" | "created" | "Created" => Attribute::StartTime,
        "end_time" => Attribute::EndTime,
        _ => {
            return Err(Error::Invalid(format!(
                "Invalid attribute key '{key}' specified. Valid keys are {ATTRIBUTES}. Hint: metrics, params and tags \
                 are written `metrics.{key}`, `params.{key}`, `tags.{key}`."
            )));
        }
    })
}

fn parse_dataset_field(key: &str) -> Result<DatasetField> {
    Ok(match key {
        "name" => DatasetField::Name,
        "digest" => DatasetField::Digest,
        "context" => DatasetField::Context,
        _ => {
            let valid = "['context', 'digest', 'name']";
            return Err(Error::Invalid(format!("Invalid dataset key '{key}' specified. Valid keys are {valid}")));
        }
    })
}

/// Takes off one pair of equal quotes or backticks.
fn unquote(text: &str) -> &str {
    ['\'', '"', '`'].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(text)
}

#[derive(Serialize, Deserialize)]
struct PageToken {
    offset: usize,
}

/// The token of the page that starts at `offset`: base64 of `{"offset": N}`.
pub fn page_token(offset: usize) -> String {
    BASE64_STANDARD.encode(format!("{{\"offset\": {offset}}}"))
}

/// Where a page starts. Errors with [`Error::Invalid`] for a token that no store has given.
pub fn page_offset(token: Option<&str>) -> Result<usize> {
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        return Ok(0);
    };
    let decoded = BASE64_STANDARD
        .decode(token)
        .map_err(|_| Error::Invalid("Invalid page token, could not base64-decode".into()))?;
    let token: PageToken = serde_json::from_slice(&decoded).map_err(|_| {
        Error::Invalid(format!("Invalid page token, decoded value={}", String::from_utf8_lossy(&decoded)))
    })?;
    // SQL counts in 64 bits with a sign.
    if i64::try_from(token.offset).is_err() {
        return Err(Error::Invalid(format!("Invalid page token, offset {} is too large", token.offset)));
    }
    Ok(token.offset)
}

/// Checks a page size. Errors with [`Error::Invalid`] outside 1..=50000.
pub fn check_max_results(max_results: usize) -> Result<()> {
    let wish = match max_results {
        0 => "It must be a positive integer",
        1..=50_000 => return Ok(()),
        _ => "It must be at most 50000",
    };
    Err(Error::Invalid(format!("Invalid value {max_results} for parameter 'max_results' supplied. {wish}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn message(filter: &str) -> String {
        Filter::parse(filter).unwrap_err().to_string()
    }

    #[test]
    fn filters_become_clauses() {
        let filter =
            Filter::parse("metrics.`val auc` >= -1e-3 and params.\"a b\" iLike 'x AND y' AND tags.a.b is not null")
                .unwrap();
        let clause = |field, condition| Clause { field, condition };
        assert_eq!(
            filter.clauses,
            [
                clause(Field::Metric("val auc".into()), Condition::Number(NumberOp::Ge, -1e-3)),
                clause(Field::Param("a b".into()), Condition::Text(TextOp::Ilike, "x AND y".into())),
                clause(Field::Tag("a.b".into()), Condition::Present),
            ]
        );
        let filter = Filter::parse("run_id NOT IN('a',\"b\")").unwrap();
        let none_of = Condition::NoneOf(vec!["a".into(), "b".into()]);
        assert_eq!(filter.clauses, [clause(Field::Attribute(Attribute::RunId), none_of)]);
        assert_eq!(Filter::parse("  ").unwrap(), Filter::default());
    }

    #[test]
    fn errors_are_worded_as_in_mlflow_and_say_what_to_do() {
        for (filter, expected) in [
            ("status = 'a' OR status = 'b'", "Invalid clause(s) in filter string: 'OR'. Hint: join clauses"),
            ("params.x = mlp", "Got value mlp. Hint: put it in quotes: `params.x = 'mlp'`"),
            ("metrics.val-auc > 1", "Hint: put the key in backticks: metrics.`val-auc`"),
            ("metrics.x LIKE 1", "Invalid comparator 'LIKE' not one of ['=', '!=', '>'"),
            ("metrics.x > '1'", "Found '1'. Hint: write a number without quotes"),
            ("loss < 1", "Invalid attribute key 'loss' specified."),
            ("loss < 1", "`metrics.loss`"),
            ("1 > metrics.x", "Expected 'Identifier' found '1'"),
            ("x.y = 'a'", "Invalid entity type 'x'. Valid values are ['metric'"),
            ("params.x = 'a", "the quote ' is never closed"),
            ("run_name IN ('a')", "Only ['run_id'] attributes"),
            ("run_id IN ('a', )", "ill-formed list. Hint: write `run_id IN ('a', 'b')`"),
            ("params.x = 'a'; params.y = 'b'", "Provide AND-ed expression list"),
        ] {
            assert!(message(filter).contains(expected), "{filter}: {}", message(filter));
        }
        let error = OrderBy::parse(&["metrics.x DOWN".into()]).unwrap_err().to_string();
        assert!(error.contains("Invalid ordering key") && error.contains("Hint: end it with ASC or DESC"), "{error}");
        let error = OrderBy::parse(&["start_time".into(), "created DESC".into()]).unwrap_err().to_string();
        assert!(error.contains("contains duplicate fields"), "{error}");
    }

    #[test]
    fn like_needs_no_time_to_say_no() {
        assert!(like("abc", "a%c") && like("abc", "_b_") && like("", "%") && like("50%", "50%"));
        assert!(!like("abc", "b%") && !like("abc", "a_") && !like("abc", "ABC") && !like("", "_"));
        assert!(!like(&"a".repeat(5_000), &format!("{}b", "%a".repeat(50))));
    }

    #[test]
    fn page_tokens_are_those_of_mlflow() {
        assert_eq!(page_token(1), "eyJvZmZzZXQiOiAxfQ==");
        assert_eq!(page_offset(Some(&page_token(12_345))).unwrap(), 12_345);
        assert_eq!((page_offset(None).unwrap(), page_offset(Some("")).unwrap()), (0, 0));
        let far = page_token(usize::MAX);
        for bad in ["%", "bm8=", "eyJhIjogMX0=", far.as_str()] {
            assert!(page_offset(Some(bad)).unwrap_err().to_string().contains("Invalid page token"), "{bad}");
        }
    }
}
