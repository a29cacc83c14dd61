//! A forecaster as one ONNX graph: raw columns in, forecasts in original units out.
//!
//! The rows of a window are those that the model needs: what lags and rolling statistics reach back to, the look-back,
//! and the horizon where the model knows something ahead. Windows are stacked, so a column of B windows with R rows each
//! is `[B * R]`; so are the forecasts, `[B * horizon]` for each target. Arithmetic around the network is in double
//! precision, as ours. A value that the model needs and that is missing, or a series that it does not know, makes the
//! forecasts of that window NaN.

mod channels;
mod times;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use dataset::{ChannelSource, Frequency, Scale, SeriesEncoder};
use modeling::onnx::{Attribute, Dim, Element, Graph, Value};
use modeling::{ForecastInputs, Forecaster};
use serde_json::json;

use crate::forecast::outputs::ForecastNet;
use channels::{Rows, scale_tables, sort};
use times::{Time, TimeInput};

const DAY_SECONDS: i64 = 86_400;
const ROWS: Dim = Dim::Named("rows");
/// Texts that name no holiday, beside those of the file that are missing.
const NO_HOLIDAY: [&str; 13] =
    ["", "0", "0.0", "none", "None", "NONE", "false", "False", "FALSE", "nan", "NaN", "<NA>", "null"];

/// Name, type and meaning of an input or output. The only input of a graph is `[rows, 1]`, every other one `[rows]`.
pub type Column = (String, Element, String);

/// A forecaster that runs without this workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExport {
    /// An `.onnx` file.
    pub bytes: Vec<u8>,
    /// Raw columns, `[B * rows_per_window]` each.
    pub inputs: Vec<Column>,
    /// Forecasts, `[B * horizon]` each.
    pub outputs: Vec<Column>,
    /// R: rows of the file that one window takes.
    pub rows_per_window: usize,
    /// Steps that one window gives.
    pub horizon: usize,
    /// Whether the last `horizon` rows of a window lie ahead: there the targets are not looked at and may be missing.
    pub has_horizon: bool,
}

/// Makes the graph of one or more networks, whose forecasts are averaged. `schema` is MLflow's column schema of the
/// training data: whole numbers that are always there stay such in the inputs.
pub fn graph(net: &ForecastNet, encoder: &SeriesEncoder, models: &[Forecaster], schema: &str) -> Result<SeriesExport> {
    let plan = Plan::new(net, encoder, schema)?;
    let mut builder = Builder { plan: &plan, graph: Graph::new("forecast"), inputs: Vec::new() };
    let rows = builder.rows();
    let graph = &mut builder.graph;
    let [past, future] = &plan.channels;
    let inputs = ForecastInputs {
        past: rows.past(graph),
        past_covariates: rows.channels(graph, past, 0),
        future_covariates: rows.channels(graph, future, net.shape.horizon),
    };
    let outputs: Vec<Value> = models.iter().map(|model| model.export(graph, &net.shape, &inputs)).collect();
    let scaled = graph.mean(&outputs);
    let missing = missing(graph, &inputs);
    let outputs = builder.outputs(net, &rows.scales, &scaled, &missing);
    let metadata = [("rows_per_window", plan.n_rows), ("horizon", net.shape.horizon)]
        .map(|(key, value)| (key.to_owned(), value.to_string()));
    let Builder { graph, inputs, .. } = builder;
    let bytes = graph.to_bytes(&metadata);
    if bytes.len() > i32::MAX as usize {
        bail!("the network is too large for an ONNX file of less than 2 GiB: {} bytes", bytes.len());
    }
    let (rows_per_window, horizon, has_horizon) = (plan.n_rows, net.shape.horizon, plan.has_horizon);
    Ok(SeriesExport { bytes, inputs, outputs, rows_per_window, horizon, has_horizon })
}

/// What the graph takes in.
struct Plan<'a> {
    encoder: &'a SeriesEncoder,
    /// Past and future channels that the network looks at.
    channels: [Vec<ChannelSource>; 2],
    /// Rows of a window before the look-back.
    before: usize,
    lookback: usize,
    n_rows: usize,
    has_horizon: bool,
    /// How the time enters; none if nothing is taken from it.
    time: Option<TimeInput>,
    /// The first row whose time is needed.
    time_from: usize,
    /// Columns of the training file that hold whole numbers, and those that hold true and false.
    whole: BTreeSet<String>,
    flags: BTreeSet<String>,
}

impl<'a> Plan<'a> {
    fn new(net: &ForecastNet, encoder: &'a SeriesEncoder, schema: &str) -> Result<Self> {
        let uses_covariates = net.model.uses_covariates();
        let channels = if uses_covariates { encoder.channels() } else { Default::default() };
        let is_ahead = |source: &ChannelSource| !matches!(source, ChannelSource::Lag { .. });
        let has_horizon = channels[1].iter().any(is_ahead);
        let has = |wanted: fn(&ChannelSource) -> bool| channels.iter().flatten().any(wanted);
        let has_calendar = has(|source| matches!(source, ChannelSource::Calendar { .. }));
        let has_holidays = has(|source| matches!(source, ChannelSource::Holiday { .. }));
        let steps_of_day = match encoder.frequency() {
            Frequency::Seconds(step) if has_holidays => (DAY_SECONDS - 1) / step,
            _ => 0,
        };
        let lookback = net.shape.lookback;
        let reach = if uses_covariates { encoder.reach() } else { 0 };
        // The row that names a holiday may be the first one of its day.
        let before = reach.max(steps_of_day as usize);
        let needs_time = has_calendar || steps_of_day > 0;
        let of_type = |wanted: &str| of_type(schema, wanted);
        Ok(Self {
            encoder,
            channels,
            before,
            lookback,
            n_rows: before + lookback + if has_horizon { net.shape.horizon } else { 0 },
            has_horizon,
            time: needs_time.then(|| TimeInput::new(encoder.data().time_format.as_deref())),
            time_from: before - steps_of_day as usize,
            whole: of_type("long")?,
            flags: of_type("boolean")?,
        })
    }

    /// Columns that some channel is made of, each once.
    fn columns(&self, wanted: fn(&ChannelSource) -> Option<&String>) -> Vec<(String, bool)> {
        let mut columns: Vec<(String, bool)> = Vec::new();
        for (is_future, sources) in [false, true].into_iter().zip(&self.channels) {
            for name in sources.iter().filter_map(wanted) {
                if !columns.iter().any(|(known, _)| known == name) {
                    columns.push((name.clone(), is_future));
                }
            }
        }
        columns
    }
}

/// Columns of that type in MLflow's column schema.
fn of_type(schema: &str, wanted: &str) -> Result<BTreeSet<String>> {
    let schema: serde_json::Value = serde_json::from_str(schema)?;
    let columns = schema["mlflow_colspec"].as_array().into_iter().flatten();
    let found = columns.filter(|column| column["type"] == json!(wanted));
    Ok(found.filter_map(|column| column["name"].as_str().map(str::to_owned)).collect())
}

/// The graph in the making, and its inputs.
struct Builder<'a> {
    plan: &'a Plan<'a>,
    graph: Graph,
    inputs: Vec<Column>,
}

impl Builder<'_> {
    /// Declares the inputs, and makes `[B, R]` of each.
    fn rows(&mut self) -> Rows {
        let plan = self.plan;
        let data = plan.encoder.data();
        let texts = plan.columns(|source| match source {
            ChannelSource::Text { column, .. } => Some(column),
            _ => None,
        });
        let numbers = plan.columns(|source| match source {
            ChannelSource::Number { column, .. } => Some(column),
            _ => None,
        });
        let holidays = plan.columns(|source| match source {
            ChannelSource::Holiday { column } => Some(column),
            _ => None,
        });
        let (shared, of_series) = plan.encoder.scales();
        let is_scaled_by_series = data.group.is_some() && !of_series.is_empty();
        // MLflow gives a graph with one input a table of one column.
        let n_inputs = usize::from(plan.time.is_some())
            + usize::from(is_scaled_by_series)
            + data.targets.len()
            + texts.len()
            + numbers.len()
            + holidays.len();
        let shape: &[Dim] = if n_inputs == 1 { &[ROWS, Dim::Fixed(1)] } else { &[ROWS] };

        let time = plan.time.as_ref().map(|input| self.time(&data.time, input, shape));
        let scales = match data.group.as_ref().filter(|_| is_scaled_by_series) {
            Some(group) => self.scales_of_series(group, shape),
            None => {
                let one = shared.or_else(|| of_series.values().next().map(Vec::as_slice)).unwrap_or_default();
                scale_tables(&mut self.graph, &[one.to_vec()])
            }
        };
        let target = |builder: &mut Self, name: &String| builder.number(name, false, "a target's values so far", shape);
        Rows {
            before: plan.before,
            lookback: plan.lookback,
            n_rows: plan.n_rows,
            targets: data.targets.iter().map(|name| target(self, name)).collect(),
            numbers: numbers
                .into_iter()
                .map(|(name, is_future)| {
                    let values = self.number(&name, is_future, known_until(is_future), shape);
                    (name, values)
                })
                .collect(),
            texts: texts
                .into_iter()
                .map(|(name, is_future)| {
                    let (levels, codes) = self.text(&name, known_until(is_future), shape);
                    (name, levels, codes)
                })
                .collect(),
            holidays: holidays.first().map(|(name, _)| self.holiday(name, shape)),
            time,
            time_from: plan.time_from,
            scales,
        }
    }

    fn input(&mut self, name: &str, element: Element, meaning: &str, shape: &[Dim]) -> Value {
        self.inputs.push((name.to_owned(), element, meaning.to_owned()));
        self.graph.input(name, element, shape)
    }

    /// `[B * R] -> [B, R]`
    fn by_window(&mut self, column: &Value) -> Value {
        self.graph.reshape(column, &[-1, self.plan.n_rows as i64])
    }

    fn time(&mut self, name: &str, input: &TimeInput, shape: &[Dim]) -> Time {
        let meaning = match input {
            TimeInput::EpochSeconds => "times of the rows: seconds since 1970-01-01 on the clock as written",
            _ => "times of the rows, written as in the training file",
        };
        let column = self.input(name, input.element(), meaning, shape);
        let rows = self.by_window(&column);
        let rows = self.graph.slice(&rows, 1, self.plan.time_from as i64, self.plan.n_rows as i64);
        Time::read(&mut self.graph, input, &rows)
    }

    /// A column of numbers as doubles, values outside of their range being missing. `[B, R]`
    fn number(&mut self, name: &str, is_future: bool, meaning: &str, shape: &[Dim]) -> Value {
        let is_whole = self.plan.whole.contains(name) && (is_future || !self.plan.has_horizon);
        let element = match () {
            () if self.plan.flags.contains(name) => Element::Bool,
            () if is_whole => Element::Int64,
            () => Element::Double,
        };
        let column = self.input(name, element, meaning, shape);
        let mut values = self.by_window(&column);
        if element != Element::Double {
            values = self.graph.cast(&values, Element::Double);
        }
        let Some(range) = self.plan.encoder.data().valid_range.get(name) else { return values };
        let nan = self.graph.doubles(&[f64::NAN], &[]);
        for (op, limit) in ["Less", "Greater"].into_iter().zip(range) {
            let limit = self.graph.doubles(&[*limit], &[]);
            let is_outside = self.graph.node(op, &[&values, &limit], &[]);
            values = self.graph.node("Where", &[&is_outside, &nan, &values], &[]);
        }
        values
    }

    /// Levels, and the places of a column's texts in them. `[B, R]` of whole numbers
    fn text(&mut self, name: &str, meaning: &str, shape: &[Dim]) -> (Vec<String>, Value) {
        let of_column = |source: &ChannelSource| match source {
            ChannelSource::Text { column, level } if column == name => Some(level.clone()),
            _ => None,
        };
        let levels: Vec<String> = self.plan.channels.iter().flatten().filter_map(of_column).collect();
        let column = self.input(name, Element::String, meaning, shape);
        let codes = self.encode(&column, Attribute::Texts(levels.clone()), levels.len());
        (levels, self.by_window(&codes))
    }

    /// Places of the values among `n` keys; `n` for a value that is none of them.
    fn encode(&mut self, column: &Value, keys: Attribute, n: usize) -> Value {
        let key = if matches!(keys, Attribute::Texts(_)) { "keys_strings" } else { "keys_int64s" };
        let attributes = [
            (key, keys),
            ("values_int64s", Attribute::Ints((0..n as i64).collect())),
            ("default_int64", Attribute::Int(n as i64)),
        ];
        self.graph.ml_node("LabelEncoder", &[column], &attributes)
    }

    /// 1 where a row names a holiday. `[B, R]` of floats
    fn holiday(&mut self, name: &str, shape: &[Dim]) -> Value {
        let meaning = "a holiday's name, or none; known over the horizon too";
        let is_number = self.plan.whole.contains(name) || self.plan.flags.contains(name);
        if is_number {
            let numbers = self.number(name, true, meaning, shape);
            let flags = self.graph.cast(&numbers, Element::Bool);
            return self.graph.cast(&flags, Element::Float);
        }
        let column = self.input(name, Element::String, meaning, shape);
        let nulls = self.plan.encoder.data().null_values.iter().map(String::as_str);
        let none: BTreeSet<&str> = NO_HOLIDAY.into_iter().chain(nulls).collect();
        let attributes = [
            ("keys_strings", Attribute::Texts(none.iter().map(|&text| text.to_owned()).collect())),
            ("values_floats", Attribute::Floats(vec![0.0; none.len()])),
            ("default_float", Attribute::Float(1.0)),
        ];
        let flags = self.graph.ml_node("LabelEncoder", &[&column], &attributes);
        self.by_window(&flags)
    }

    /// Offsets and factors of the series that each window is of, `[B, C]` each; NaN for one that the model does not know
    /// and for a window with rows of two series.
    fn scales_of_series(&mut self, group: &str, shape: &[Dim]) -> [Value; 2] {
        let (shared, of_series) = self.plan.encoder.scales();
        let n = of_series.len();
        let numbers: Option<Vec<i64>> =
            of_series.keys().map(|name| name.parse().ok().filter(|number: &i64| number.to_string() == *name)).collect();
        let numbers = numbers.filter(|_| self.plan.whole.contains(group));
        let element = if numbers.is_some() { Element::Int64 } else { Element::String };
        let column = self.input(group, element, "the series of the rows; all rows of a window are of one", shape);
        let keys = numbers.map_or_else(|| Attribute::Texts(of_series.keys().cloned().collect()), Attribute::Ints);
        let codes = self.encode(&column, keys, n);
        let codes = self.by_window(&codes);
        let n_channels = of_series.values().map(Vec::len).chain(shared.map(<[Scale]>::len)).next().unwrap_or(0);
        let unknown = Scale { offset: f64::NAN, factor: f64::NAN };
        let mut series: Vec<Vec<Scale>> = of_series.values().cloned().collect();
        series.push(shared.map_or_else(|| vec![unknown; n_channels], <[Scale]>::to_vec));
        series.push(vec![unknown; n_channels]);
        let tables = scale_tables(&mut self.graph, &series);
        let graph = &mut self.graph;
        let [first, last] = ["ReduceMin", "ReduceMax"].map(|op| {
            let along = [("axes", Attribute::Ints(vec![1])), ("keepdims", Attribute::Int(0))];
            graph.node(op, &[&codes], &along)
        });
        let is_one = graph.node("Equal", &[&first, &last], &[]);
        let mixed = graph.ints(&[n as i64 + 1], &[]);
        let code = graph.node("Where", &[&is_one, &first, &mixed], &[]);
        tables.map(|table| graph.node("Gather", &[&table, &code], &[]))
    }

    /// Forecasts and intervals in original units. `scaled` `[B * T, Q * H]`, `missing` `[B, 1, 1]`
    fn outputs(&mut self, net: &ForecastNet, scales: &[Value; 2], scaled: &Value, missing: &Value) -> Vec<Column> {
        let (n_targets, horizon, levels) = (net.shape.n_targets, net.shape.horizon, &net.model.quantiles);
        let n_levels = net.model.n_quantiles();
        let graph = &mut self.graph;
        let [offset, factor] = scales.each_ref().map(|scales| {
            let scales = graph.slice(scales, 1, 0, n_targets as i64);
            graph.reshape(&scales, &[-1, n_targets as i64, 1, 1])
        });
        let x = graph.cast(scaled, Element::Double);
        let x = graph.reshape(&x, &[-1, n_targets as i64, n_levels as i64, horizon as i64]);
        let x = graph.node("Mul", &[&x, &factor], &[]);
        let x = graph.node("Add", &[&x, &offset], &[]);
        let missing = graph.reshape(missing, &[-1, 1, 1, 1]);
        let mut x = graph.node("Add", &[&x, &missing], &[]);
        if n_levels > 1 {
            x = sort(graph, &x, n_levels, 2);
        }
        // [B, T, 1, H] each
        let level = |graph: &mut Graph, i: usize| graph.slice(&x, 2, i as i64, i as i64 + 1);
        let mut parts = vec![("pred".to_owned(), level(graph, net.model.median_index()), "forecast".to_owned())];
        if let Some(intervals) = &net.intervals {
            let (lower, upper) = (level(graph, 0), level(graph, n_levels - 1));
            let widths = graph.doubles(&intervals.widths, &[1, n_targets, 1, horizon]);
            let widths = graph.node("Mul", &[&widths, &factor], &[]);
            let half = graph.doubles(&[0.5], &[]);
            let overlap = graph.node("Sub", &[&lower, &upper], &[]);
            let overlap = graph.node("Mul", &[&overlap, &half], &[]);
            let widths = graph.node("Max", &[&widths, &overlap], &[]);
            let percent = 100.0 * intervals.coverage;
            for (name, op, bound) in [("lower", "Sub", lower), ("upper", "Add", upper)] {
                let bound = graph.node(op, &[&bound, &widths], &[]);
                parts.push((name.to_owned(), bound, format!("{name} bound of the interval that holds {percent} %")));
            }
        }
        if !levels.is_empty() {
            for (i, value) in levels.iter().enumerate() {
                parts.push((format!("q{value}"), level(graph, i), format!("{value} quantile")));
            }
        }
        self.name_outputs(&parts)
    }

    /// `TARGET_PART` for each target and part, `[B * H]`.
    fn name_outputs(&mut self, parts: &[(String, Value, String)]) -> Vec<Column> {
        let mut outputs: Vec<Column> = Vec::new();
        let targets = &self.plan.encoder.data().targets;
        for (target, column) in targets.iter().enumerate() {
            for (part, values, meaning) in parts {
                let mut name = format!("{column}_{part}");
                let is_taken = |name: &String| self.inputs.iter().chain(&outputs).any(|(taken, ..)| taken == name);
                while is_taken(&name) {
                    name.push('_');
                }
                let target = target as i64;
                let values = self.graph.slice(values, 1, target, target + 1);
                let values = self.graph.reshape(&values, &[-1]);
                self.graph.output(&name, &values, Element::Double, &[Dim::Named("steps")]);
                outputs.push((name, Element::Double, format!("{meaning} of `{column}`")));
            }
        }
        outputs
    }
}

fn known_until(is_future: bool) -> &'static str {
    if is_future {
        "a covariate, known over the horizon too"
    } else {
        "a covariate, known up to the first forecast step"
    }
}

/// 0 for a window of which all is there, NaN for another one: networks do not hand on a NaN reliably. `[B, 1, 1]` of
/// doubles
fn missing(graph: &mut Graph, inputs: &ForecastInputs) -> Value {
    let zero = graph.floats(&[0.0], &[]);
    let axes = graph.ints(&[1, 2], &[2]);
    let channels = [Some(&inputs.past), inputs.past_covariates.as_ref(), inputs.future_covariates.as_ref()];
    let mut sums = Vec::new();
    for channels in channels.into_iter().flatten() {
        let nothing = graph.node("Mul", &[channels, &zero], &[]);
        sums.push(graph.node("ReduceSum", &[&nothing, &axes], &[]));
    }
    let sum =
        if sums.len() == 1 { sums.swap_remove(0) } else { graph.node("Sum", &sums.iter().collect::<Vec<_>>(), &[]) };
    graph.cast(&sum, Element::Double)
}
