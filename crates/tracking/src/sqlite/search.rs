//! Filters and orders in SQL, shaped so that SQLite finds every value by a primary key.

use rusqlite::types::Value;

use crate::filter::{Attribute, Clause, Condition, DatasetField, Field, Filter, NumberOp, OrderBy, SortKey, TextOp};
use crate::rules::{DATASET_CONTEXT_TAG, RUN_NAME_TAG};
use crate::{Result, RunQuery, ViewType, filter, rules};

/// A statement and its numbered values.
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

/// Selects `columns` of `runs r` for one page plus one row, which tells whether there is a next page.
pub(super) fn select_runs(columns: &str, query: &RunQuery, has_workspaces: bool) -> Result<Statement> {
    let order = OrderBy::parse(&query.order_by)?;
    let mut values = Values(Vec::new());
    let conditions = conditions(query, has_workspaces, &mut values)?;

    let mut joins = String::new();
    let mut keys = Vec::new();
    for (index, key) in order.keys.iter().enumerate() {
        sort_by(key, &format!("s{index}"), &mut joins, &mut keys, &mut values);
    }
    keys.push("r.start_time DESC".into());
    keys.push("r.run_uuid".into());

    let limit = values.push(Value::Integer(query.max_results as i64 + 1));
    let offset = values.push(Value::Integer(filter::page_offset(query.page_token.as_deref())? as i64));
    let keys = keys.join(", ");
    let sql = format!(
        "SELECT {columns} FROM runs r {joins} WHERE {conditions} ORDER BY {keys} LIMIT {limit} OFFSET {offset}"
    );
    Ok(Statement { sql, values: values.0 })
}

/// Selects `columns` of `runs r` for all that the filter, the experiments and the view of a query leave, in no order.
pub(super) fn select_all(columns: &str, query: &RunQuery, has_workspaces: bool) -> Result<Statement> {
    let mut values = Values(Vec::new());
    let conditions = conditions(query, has_workspaces, &mut values)?;
    Ok(Statement { sql: format!("SELECT {columns} FROM runs r WHERE {conditions}"), values: values.0 })
}

fn conditions(query: &RunQuery, has_workspaces: bool, values: &mut Values) -> Result<String> {
    let filter = Filter::parse(&query.filter)?;
    let ids: Vec<i64> = query.experiment_ids.iter().map(|id| rules::parse_experiment_id(id)).collect::<Result<_>>()?;
    let ids = values.push(Value::Text(serde_json::json!(ids).to_string()));
    let mut conditions = vec![format!("r.experiment_id IN ({})", experiments_among(&ids, has_workspaces))];
    match query.view {
        ViewType::All => {}
        ViewType::ActiveOnly => conditions.push("r.lifecycle_stage = 'active'".into()),
        ViewType::DeletedOnly => conditions.push("r.lifecycle_stage = 'deleted'".into()),
    }
    conditions.extend(filter.clauses.iter().map(|clause| condition(clause, values)));
    Ok(conditions.join(" AND "))
}

/// Selects the ids in the JSON list `ids` that are experiments.
pub(super) fn experiments_among(ids: &str, has_workspaces: bool) -> String {
    let workspace = if has_workspaces { "workspace = 'default' AND" } else { "" };
    format!(
        "SELECT experiment_id FROM experiments
             WHERE {workspace} experiment_id IN (SELECT value FROM json_each({ids}))"
    )
}

/// Values of a statement; `push` gives the placeholder.
struct Values(Vec<Value>);

impl Values {
    fn push(&mut self, value: Value) -> String {
        self.0.push(value);
        format!("?{}", self.0.len())
    }

    fn text(&mut self, text: &str) -> String {
        self.push(Value::Text(text.to_owned()))
    }
}

fn condition(clause: &Clause, values: &mut Values) -> String {
    let wanted = &clause.condition;
    match &clause.field {
        Field::Metric(key) => keyed("latest_metrics", key, wanted, values),
        Field::Param(key) => keyed("params", key, wanted, values),
        Field::Tag(key) => keyed("tags", key, wanted, values),
        // MLflow searches the tag: runs of before 1.30 have no name.
        Field::Attribute(Attribute::RunName) => keyed("tags", RUN_NAME_TAG, wanted, values),
        Field::Attribute(attribute) => compare(&format!("r.{}", attribute_column(*attribute)), wanted, values),
        Field::Dataset(field) => {
            let tag = values.text(DATASET_CONTEXT_TAG);
            let test = compare(dataset_column(*field), wanted, values);
            format!(
                "EXISTS (SELECT 1 FROM inputs i
                     JOIN datasets d ON d.dataset_uuid = i.source_id
                     LEFT JOIN input_tags t ON t.input_uuid = i.input_uuid AND t.name = {tag}
                     WHERE i.destination_type = 'RUN' AND i.destination_id = r.run_uuid
                         AND i.source_type = 'DATASET' AND {test})"
            )
        }
    }
}

/// A condition on the row of `table` with this key.
fn keyed(table: &str, key: &str, wanted: &Condition, values: &mut Values) -> String {
    let key = values.text(key);
    let row = format!("EXISTS (SELECT 1 FROM {table} v WHERE v.key = {key} AND v.run_uuid = r.run_uuid");
    match wanted {
        Condition::Present => format!("{row})"),
        Condition::Absent => format!("NOT {row})"),
        Condition::Number(NumberOp::Ne, _) => {
            format!("{row} AND (v.is_nan OR {}))", compare("v.value", wanted, values))
        }
        Condition::Number(..) => format!("{row} AND NOT v.is_nan AND {})", compare("v.value", wanted, values)),
        _ => format!("{row} AND {})", compare("v.value", wanted, values)),
    }
}

fn compare(column: &str, wanted: &Condition, values: &mut Values) -> String {
    match wanted {
        Condition::Number(op, number) => format!("{column} {} {}", op.as_sql(), values.push(Value::Real(*number))),
        Condition::Text(TextOp::Eq, text) => format!("{column} = {}", values.text(text)),
        Condition::Text(TextOp::Ne, text) => format!("{column} != {}", values.text(text)),
        Condition::Text(TextOp::Like, text) => format!("{column} LIKE {}", values.text(text)),
        Condition::Text(TextOp::Ilike, text) => format!("lower({column}) LIKE lower({})", values.text(text)),
        Condition::OneOf(list) => format!("{column} IN ({})", placeholders(list, values)),
        Condition::NoneOf(list) => format!("{column} NOT IN ({})", placeholders(list, values)),
        Condition::Absent => format!("{column} IS NULL"),
        Condition::Present => format!("{column} IS NOT NULL"),
    }
}

fn placeholders(list: &[String], values: &mut Values) -> String {
    list.iter().map(|item| values.text(item)).collect::<Vec<_>>().join(", ")
}

/// Adds the two sort keys of one order, NaN and missing values last, and the join that they need.
fn sort_by(key: &SortKey, alias: &str, joins: &mut String, keys: &mut Vec<String>, values: &mut Values) {
    let mut join = |table: &str, name: &str| {
        let name = values.text(name);
        joins
            .push_str(&format!(" LEFT JOIN {table} {alias} ON {alias}.key = {name} AND {alias}.run_uuid = r.run_uuid"));
        format!("{alias}.value")
    };
    let column = match &key.field {
        Field::Metric(name) => join("latest_metrics", name),
        Field::Param(name) => join("params", name),
        Field::Tag(name) => join("tags", name),
        Field::Attribute(attribute) => format!("r.{}", attribute_column(*attribute)),
        // An order over data sets does not parse.
        Field::Dataset(_) => return,
    };
    keys.push(match key.field {
        Field::Metric(_) => format!("CASE WHEN {alias}.is_nan THEN 1 WHEN {column} IS NULL THEN 2 ELSE 0 END"),
        _ => format!("{column} IS NULL"),
    });
    keys.push(format!("{column} {}", if key.ascending { "ASC" } else { "DESC" }));
}

fn attribute_column(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::RunId => "run_uuid",
        Attribute::RunName => "name",
        Attribute::Status => "status",
        Attribute::UserId => "user_id",
        Attribute::ArtifactUri => "artifact_uri",
        Attribute::StartTime => "start_time",
        Attribute::EndTime => "end_time",
    }
}

fn dataset_column(field: DatasetField) -> &'static str {
    match field {
        DatasetField::Name => "d.name",
        DatasetField::Digest => "d.digest",
        DatasetField::Context => "t.value",
    }
}
