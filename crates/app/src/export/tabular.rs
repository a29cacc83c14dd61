//! The graph of a table's model: raw columns -> inputs -> networks -> the columns of `test_predictions.csv`.

use dataset::{Column, ColumnType, Preprocessor, RawColumn, Table, TargetEncoding, TargetTransform};
use modeling::onnx::{Attribute, Dim, Element, Graph, Value};
use modeling::{TabularMlp, Task};
use serde_json::json;

use super::features::{self, Encoded};
use super::{Export, Field, ROWS, Unsupported};

/// Rows in the input example.
const EXAMPLE_ROWS: usize = 5;

/// What a graph is made of beside the networks.
pub struct Source<'a> {
    /// From raw columns to inputs, and back to the target.
    pub preprocessor: &'a Preprocessor,
    /// What the networks were asked for.
    pub task: Task,
    /// Texts that stood for a missing value in the training file.
    pub null_values: &'a [String],
    /// Whether blanks around cells were dropped.
    pub trim: bool,
    /// Some rows of the data, for the example.
    pub rows: &'a Table,
}

/// Builds the graph of one network, or of several whose predictions are averaged.
pub fn export(source: &Source, models: &[TabularMlp]) -> Result<Export, Unsupported> {
    let Source { preprocessor, task, .. } = source;
    let outputs = outputs(preprocessor, *task);
    check_names(preprocessor, &outputs)?;
    let mut graph = Graph::new("tabular_mlp");
    let Encoded { numeric, categorical } =
        features::encode(&mut graph, preprocessor, (source.null_values, source.trim))?;
    let raw: Vec<Value> =
        models.iter().map(|model| model.export(&mut graph, numeric.as_ref(), categorical.as_ref())).collect();
    let predicted = task.export(&mut graph, &raw);
    match task {
        Task::Regression => restore(&mut graph, preprocessor, &predicted),
        Task::Binary | Task::Multiclass { .. } => {
            label(&mut graph, preprocessor.target.labels(), &predicted, *task);
            for (column, output) in outputs[1..].iter().enumerate() {
                let probability = graph.slice(&predicted, 1, column as i64, column as i64 + 1);
                let probability = graph.reshape(&probability, &[-1]);
                graph.output(&output.name, &probability, Element::Float, &[Dim::Named(ROWS)]);
            }
        }
    }
    let metadata = [("trim".to_owned(), source.trim.to_string())];
    Ok(Export { onnx: graph.to_bytes(&metadata), inputs: inputs(source), outputs, example: example(source) })
}

fn outputs(preprocessor: &Preprocessor, task: Task) -> Vec<Field> {
    let field = |name: &str, kind| Field { name: name.to_owned(), kind };
    let labels = preprocessor.target.labels();
    match task {
        Task::Regression => vec![field("y_pred", "float")],
        Task::Binary => vec![field("y_pred", "string"), field("y_proba", "float")],
        Task::Multiclass { .. } => {
            let probabilities = labels.iter().map(|label| field(&format!("y_proba_{label}"), "float"));
            [field("y_pred", "string")].into_iter().chain(probabilities).collect()
        }
    }
}

/// In a graph a name stands for one thing only, and the empty one for nothing.
fn check_names(preprocessor: &Preprocessor, outputs: &[Field]) -> Result<(), Unsupported> {
    for raw in &preprocessor.raw {
        if raw.name.is_empty() {
            return Err(Unsupported::new("an input column has no name"));
        }
        if outputs.iter().any(|output| output.name == raw.name) {
            return Err(Unsupported::new(format!("the input column `{}` has the name of an output", raw.name)));
        }
    }
    Ok(())
}

/// The most probable class; binary: class 1 from a probability of one half on.
fn label(graph: &mut Graph, labels: &[String], probabilities: &Value, task: Task) {
    let class = if task == Task::Binary {
        let half = graph.floats(&[0.5], &[1]);
        let is_positive = graph.node("GreaterOrEqual", &[probabilities, &half], &[]);
        let is_positive = graph.reshape(&is_positive, &[-1]);
        graph.cast(&is_positive, Element::Int64)
    } else {
        graph.node("ArgMax", &[probabilities], &[("axis", Attribute::Int(1)), ("keepdims", Attribute::Int(0))])
    };
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let labels = graph.texts(&labels, &[labels.len()]);
    let label = graph.node("Gather", &[&labels, &class], &[]);
    graph.output("y_pred", &label, Element::String, &[Dim::Named(ROWS)]);
}

/// The counterpart of [`Preprocessor::restore`].
fn restore(graph: &mut Graph, preprocessor: &Preprocessor, value: &Value) {
    let mut number = graph.cast(value, Element::Double);
    number = graph.reshape(&number, &[-1]);
    if let TargetEncoding::Number { transform, mean, std } = &preprocessor.target.encoding {
        let (mean, std) = (graph.doubles(&[*mean], &[1]), graph.doubles(&[*std], &[1]));
        number = graph.node("Mul", &[&number, &std], &[]);
        number = graph.node("Add", &[&number, &mean], &[]);
        if *transform == TargetTransform::Log {
            let one = graph.doubles(&[1.0], &[1]);
            number = graph.node("Exp", &[&number], &[]);
            number = graph.node("Sub", &[&number, &one], &[]);
        }
    }
    let [least, most] = [f32::MIN, f32::MAX].map(|end| graph.doubles(&[f64::from(end)], &[]));
    let number = graph.node("Clip", &[&number, &least, &most], &[]);
    let number = graph.cast(&number, Element::Float);
    graph.output("y_pred", &number, Element::Float, &[Dim::Named(ROWS)]);
}

/// The signature: MLflow refuses an `int64` column where it wants a `double` and the other way round, so each type is that
/// which pandas gives the column of the training file.
fn inputs(source: &Source) -> Vec<Field> {
    let kind = |raw: &RawColumn| {
        let column = source.rows.columns().iter().find(|column| column.name == raw.name);
        // A category of integers is text to the model only.
        let integers = column.filter(|column| has_only_integers(column));
        match (raw.column_type, integers) {
            (ColumnType::Long, _) => "long",
            (ColumnType::Double, _) => "double",
            // Among `True` and `False` pandas holds missing ones as objects, and of `boolean` MLflow's server makes
            // `False` of them.
            (ColumnType::Boolean, _) if raw.nullable => "string",
            (ColumnType::Boolean, _) => "boolean",
            (ColumnType::String, Some(column)) if raw.nullable || has_missing(column) => "double",
            (ColumnType::String, Some(_)) => "long",
            (ColumnType::String, None) => "string",
        }
    };
    let raw = source.preprocessor.raw.iter();
    raw.map(|raw| Field { name: raw.name.clone(), kind: kind(raw) }).collect()
}

fn has_missing(column: &Column) -> bool {
    (0..column.len()).any(|row| column.is_missing(row))
}

/// Whether pandas would read the column as integers and show each as it stands in the file; `007` becomes 7.
fn has_only_integers(column: &Column) -> bool {
    let is_plain = |text: &str| text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    let mut texts = (0..column.len()).filter_map(|row| column.text(row)).peekable();
    texts.peek().is_some() && texts.all(|text| is_plain(&text))
}

/// A row with a missing value if there is one, and the first others.
fn example(source: &Source) -> Vec<Vec<serde_json::Value>> {
    let fields = inputs(source);
    let columns: Vec<&Column> = fields
        .iter()
        .filter_map(|field| source.rows.columns().iter().find(|column| column.name == field.name))
        .collect();
    let n_rows = source.rows.n_rows();
    let with_missing = (0..n_rows).find(|&row| columns.iter().any(|column| column.is_missing(row)));
    let others = (0..n_rows).filter(|row| Some(*row) != with_missing);
    let mut rows: Vec<usize> = with_missing.into_iter().chain(others).take(EXAMPLE_ROWS).collect();
    rows.sort_unstable();
    let row = |row: usize| columns.iter().zip(&fields).map(|(column, field)| cell(column, row, field.kind)).collect();
    rows.into_iter().map(row).collect()
}

fn cell(column: &Column, row: usize, kind: &str) -> serde_json::Value {
    let Some(text) = column.text(row) else { return json!(null) };
    let number = text.parse::<f64>().ok();
    match kind {
        "long" => text.parse::<i64>().ok().map_or(json!(number), |number| json!(number)),
        "double" => json!(number),
        "boolean" => json!(number.map_or(text.eq_ignore_ascii_case("true"), |number| number != 0.0)),
        _ if text.eq_ignore_ascii_case("true") && column.column_type() == Some(ColumnType::Boolean) => json!(true),
        _ if text.eq_ignore_ascii_case("false") && column.column_type() == Some(ColumnType::Boolean) => json!(false),
        _ => json!(text),
    }
}
