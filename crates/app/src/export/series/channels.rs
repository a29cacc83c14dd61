//! From raw columns inside a graph to the channels that a network sees.

use std::ops::Range;

use dataset::{ChannelSource, DatetimePart, RollingStatistic, Scale};
use modeling::onnx::{Attribute, Element, Graph, Value};

use super::times::Time;

/// Raw columns of windows, B windows of R rows.
pub struct Rows {
    /// Steps that a window has before its look-back.
    pub before: usize,
    /// Steps of the look-back.
    pub lookback: usize,
    /// Rows of a window.
    pub n_rows: usize,
    /// The targets, `[B, R]` of doubles each.
    pub targets: Vec<Value>,
    /// Covariates of numbers, `[B, R]` of doubles.
    pub numbers: Vec<(String, Value)>,
    /// Covariates of texts, `[B, R]`: places in the levels, or their count for none of them.
    pub texts: Vec<(String, Vec<String>, Value)>,
    /// 1 where a row names a holiday, `[B, R]` of floats.
    pub holidays: Option<Value>,
    /// Times of the rows from `time_from` on.
    pub time: Option<Time>,
    /// The first row with a time.
    pub time_from: usize,
    /// Offset and factor of all number channels, `[B, C]` of doubles each (or B = 1).
    pub scales: [Value; 2],
}

impl Rows {
    /// The channels over the look-back and `beyond` steps more, `[B, N, steps]` of floats; none if there are none.
    pub fn channels(&self, graph: &mut Graph, sources: &[ChannelSource], beyond: usize) -> Option<Value> {
        let steps = self.before..self.before + self.lookback + beyond;
        let blocks: Vec<Value> =
            sources.chunk_by(are_of_one).map(|block| self.block(graph, block, steps.clone())).collect();
        (!blocks.is_empty()).then(|| graph.concat(&blocks, 1))
    }

    /// Channels that come out of one column, or out of one part of the time. `[B, n, steps]`
    fn block(&self, graph: &mut Graph, block: &[ChannelSource], steps: Range<usize>) -> Value {
        let x = match &block[0] {
            ChannelSource::Text { column, .. } => return self.one_hot(graph, column, block, steps),
            ChannelSource::Calendar { part, .. } => return self.calendar(graph, *part, block, steps),
            ChannelSource::Holiday { .. } => return self.holiday(graph, steps),
            ChannelSource::Number { column, scale } => {
                let found = self.numbers.iter().find(|(name, _)| name == column).map(|(_, values)| values.clone());
                let values = found.unwrap_or_else(Value::absent);
                let values = cut(graph, &values, &steps, 0);
                self.to_scale(graph, &values, *scale)
            }
            ChannelSource::Lag { target, steps: lag } => {
                let values = cut(graph, &self.targets[*target], &steps, *lag);
                self.to_scale(graph, &values, *target)
            }
            ChannelSource::Difference { target, steps: distance, scale } => {
                let [now, earlier] = [0, *distance].map(|lag| cut(graph, &self.targets[*target], &steps, lag));
                let difference = graph.node("Sub", &[&now, &earlier], &[]);
                self.to_scale(graph, &difference, *scale)
            }
            ChannelSource::Rolling { target, window, statistic, scale } => {
                let values = rolling(graph, &self.targets[*target], &steps, *window, *statistic);
                self.to_scale(graph, &values, *scale)
            }
        };
        let axis = graph.ints(&[1], &[1]);
        graph.node("Unsqueeze", &[&x, &axis], &[])
    }

    /// The targets over the look-back, scaled. `[B, T, L]` of floats
    pub fn past(&self, graph: &mut Graph) -> Value {
        let steps = self.before..self.before + self.lookback;
        let lag = |target| ChannelSource::Lag { target, steps: 0 };
        let past: Vec<Value> =
            (0..self.targets.len()).map(|target| self.block(graph, &[lag(target)], steps.clone())).collect();
        graph.concat(&past, 1)
    }

    /// `[B, steps]` of doubles -> floats on the scale of that place
    fn to_scale(&self, graph: &mut Graph, values: &Value, place: usize) -> Value {
        let place = place as i64;
        let [offset, factor] = self.scales.each_ref().map(|scales| graph.slice(scales, 1, place, place + 1));
        let x = graph.node("Sub", &[values, &offset], &[]);
        let mut x = graph.node("Div", &[&x, &factor], &[]);
        // As a `Clip` that keeps NaN.
        for (op, limit) in [("Greater", f64::from(f32::MAX)), ("Less", f64::from(f32::MIN))] {
            let limit = graph.doubles(&[limit], &[]);
            let is_beyond = graph.node(op, &[&x, &limit], &[]);
            x = graph.node("Where", &[&is_beyond, &limit, &x], &[]);
        }
        graph.cast(&x, Element::Float)
    }

    fn one_hot(&self, graph: &mut Graph, column: &str, block: &[ChannelSource], steps: Range<usize>) -> Value {
        let Some((_, levels, codes)) = self.texts.iter().find(|(name, ..)| name == column) else {
            return Value::absent();
        };
        let codes = cut(graph, codes, &steps, 0);
        let is_of = |level: &String, source: &ChannelSource| matches!(source, ChannelSource::Text { level: of, .. } if of == level);
        let mut table: Vec<f32> = Vec::new();
        for level in levels {
            table.extend(block.iter().map(|source| f32::from(is_of(level, source))));
        }
        table.extend(std::iter::repeat_n(0.0, block.len()));
        let table = graph.floats(&table, &[levels.len() + 1, block.len()]);
        look_up(graph, &table, &codes)
    }

    fn calendar(&self, graph: &mut Graph, part: DatetimePart, block: &[ChannelSource], steps: Range<usize>) -> Value {
        let Some(time) = &self.time else { return Value::absent() };
        let slots = time.slot(graph, part);
        let slots = cut(graph, &slots, &(steps.start - self.time_from..steps.end - self.time_from), 0);
        let values = |source: &ChannelSource| match source {
            ChannelSource::Calendar { values, .. } => values.clone(),
            _ => Vec::new(),
        };
        let columns: Vec<Vec<f32>> = block.iter().map(values).collect();
        let n_slots = columns[0].len();
        let table: Vec<f32> = (0..n_slots).flat_map(|slot| columns.iter().map(move |column| column[slot])).collect();
        let table = graph.floats(&table, &[n_slots, block.len()]);
        look_up(graph, &table, &slots)
    }

    /// A row with a holiday makes all steps of its day one. `[B, 1, steps]`
    fn holiday(&self, graph: &mut Graph, steps: Range<usize>) -> Value {
        let Some(holidays) = &self.holidays else { return Value::absent() };
        let axis = graph.ints(&[1], &[1]);
        let Some(time) = &self.time else {
            let holidays = cut(graph, holidays, &steps, 0);
            return graph.node("Unsqueeze", &[&holidays, &axis], &[]);
        };
        let days = time.days(graph);
        let of_steps = cut(graph, &days, &(steps.start - self.time_from..steps.end - self.time_from), 0);
        let last = graph.ints(&[2], &[1]);
        // [B, steps, 1] = [B, 1, rows]
        let of_steps = graph.node("Unsqueeze", &[&of_steps, &last], &[]);
        let days = graph.node("Unsqueeze", &[&days, &axis], &[]);
        let is_same = graph.node("Equal", &[&of_steps, &days], &[]);
        let is_same = graph.cast(&is_same, Element::Float);
        let holidays = cut(graph, holidays, &(self.time_from..self.n_rows), 0);
        let holidays = graph.node("Unsqueeze", &[&holidays, &last], &[]);
        let count = graph.node("MatMul", &[&is_same, &holidays], &[]);
        let zero = graph.floats(&[0.0], &[]);
        let is_holiday = graph.node("Greater", &[&count, &zero], &[]);
        let is_holiday = graph.cast(&is_holiday, Element::Float);
        graph.transpose(&is_holiday, &[0, 2, 1])
    }
}

fn are_of_one(a: &ChannelSource, b: &ChannelSource) -> bool {
    match (a, b) {
        (ChannelSource::Text { column: a, .. }, ChannelSource::Text { column: b, .. }) => a == b,
        (ChannelSource::Calendar { part: a, .. }, ChannelSource::Calendar { part: b, .. }) => a == b,
        _ => false,
    }
}

/// `[B, R]` -> the rows of these steps, so much earlier
fn cut(graph: &mut Graph, values: &Value, steps: &Range<usize>, lag: usize) -> Value {
    graph.slice(values, 1, (steps.start - lag) as i64, (steps.end - lag) as i64)
}

/// `[slots, n]` at `[B, steps]` -> `[B, n, steps]`
fn look_up(graph: &mut Graph, table: &Value, slots: &Value) -> Value {
    let values = graph.node("Gather", &[table, slots], &[]);
    graph.transpose(&values, &[0, 2, 1])
}

/// The statistic of `window` rows up to and with each step. `[B, R] -> [B, steps]`
fn rolling(
    graph: &mut Graph,
    values: &Value,
    steps: &Range<usize>,
    window: usize,
    statistic: RollingStatistic,
) -> Value {
    let places: Vec<i64> = steps.clone().flat_map(|t| (t + 1 - window..=t).map(|row| row as i64)).collect();
    let places = graph.ints(&places, &[steps.len(), window]);
    // [B, steps, window]
    let rows = graph.node("Gather", &[values, &places], &[("axis", Attribute::Int(1))]);
    let reduce = |graph: &mut Graph, op: &str, x: &Value, keep: i64| {
        graph.node(op, &[x], &[("axes", Attribute::Ints(vec![2])), ("keepdims", Attribute::Int(keep))])
    };
    let result = match statistic {
        RollingStatistic::Mean => return reduce(graph, "ReduceMean", &rows, 0),
        RollingStatistic::Std => {
            let mean = reduce(graph, "ReduceMean", &rows, 1);
            let centred = graph.node("Sub", &[&rows, &mean], &[]);
            let squared = graph.node("Mul", &[&centred, &centred], &[]);
            let variance = reduce(graph, "ReduceMean", &squared, 0);
            let of_sample = graph.doubles(&[window as f64 / (window - 1) as f64], &[]);
            let variance = graph.node("Mul", &[&variance, &of_sample], &[]);
            return graph.node("Sqrt", &[&variance], &[]);
        }
        RollingStatistic::Min => reduce(graph, "ReduceMin", &rows, 0),
        RollingStatistic::Max => reduce(graph, "ReduceMax", &rows, 0),
        RollingStatistic::Median => {
            let sorted = sort(graph, &rows, window, 2);
            let middle = graph.slice(&sorted, 2, ((window - 1) / 2) as i64, (window / 2 + 1) as i64);
            reduce(graph, "ReduceMean", &middle, 0)
        }
    };
    // An order knows no NaN: a missing value among the rows makes the result one.
    let zero = graph.doubles(&[0.0], &[]);
    let nothing = graph.node("Mul", &[&rows, &zero], &[]);
    let nothing = reduce(graph, "ReduceMean", &nothing, 0);
    graph.node("Add", &[&result, &nothing], &[])
}

/// `n` values along an axis in ascending order.
pub fn sort(graph: &mut Graph, values: &Value, n: usize, axis: i64) -> Value {
    let n = graph.ints(&[n as i64], &[1]);
    let how = [("axis", Attribute::Int(axis)), ("largest", Attribute::Int(0)), ("sorted", Attribute::Int(1))];
    let [sorted, _] = graph.node_n("TopK", &[values, &n], &how);
    sorted
}

/// Offsets and factors of some series as one constant each, `[series, C]` of doubles.
pub fn scale_tables(graph: &mut Graph, series: &[Vec<Scale>]) -> [Value; 2] {
    let shape = [series.len(), series.first().map_or(0, Vec::len)];
    let parts: [fn(&Scale) -> f64; 2] = [|scale| scale.offset, |scale| scale.factor];
    parts.map(|part| graph.doubles(&series.iter().flatten().map(part).collect::<Vec<f64>>(), &shape))
}
