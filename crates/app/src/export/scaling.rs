//! Scalers in a graph, in `double` as [`Scaler::apply`] computes.

use dataset::{NORMAL_DEVIATE, SMALLEST_SHARE, Scaler, quantile_share};
use modeling::onnx::{Element, Graph, Value};

/// What a graph computes (logarithms) may differ from ours in the last bit and would then miss the quantiles that are
/// equal to it: numbers this near to each other, as a share of a column's range, are equal.
const NEARBY: f64 = 1e-15;

/// Numbers `[rows, scalers]` on the scales of their columns, `double` both. `is_rounded`: the graph's numbers may differ from
/// ours in the last bit.
pub fn scale(graph: &mut Graph, numbers: &Value, scalers: &[&Scaler], is_rounded: &[bool]) -> Value {
    let is_quantile = |scaler: &Scaler| matches!(scaler, Scaler::QuantileNormal { .. });
    let mut blocks = Vec::new();
    let mut start = 0;
    for run in scalers.chunk_by(|a, b| is_quantile(a) == is_quantile(b)) {
        let end = start + run.len();
        let columns = match run.len() == scalers.len() {
            true => numbers.clone(),
            false => graph.slice(numbers, 1, start as i64, end as i64),
        };
        blocks.push(if is_quantile(run[0]) {
            Quantiles::new(run, &is_rounded[start..end]).normal_deviate(graph, &columns)
        } else {
            linear(graph, &columns, run)
        });
        start = end;
    }
    graph.concat(&blocks, 1)
}

/// `(x - from) / width`
fn linear(graph: &mut Graph, numbers: &Value, scalers: &[&Scaler]) -> Value {
    let ends = scalers.iter().map(|scaler| match scaler {
        Scaler::Standard { mean, std } => (*mean, *std),
        Scaler::MinMax { min, max } => (*min, max - min),
        Scaler::None | Scaler::QuantileNormal { .. } => (0.0, 1.0),
    });
    let (from, widths): (Vec<f64>, Vec<f64>) =
        ends.map(|(from, width)| (from, if width > 0.0 { width } else { 1.0 })).unzip();
    let shape = [1, scalers.len()];
    let (from, widths) = (graph.doubles(&from, &shape), graph.doubles(&widths, &shape));
    let shifted = graph.node("Sub", &[numbers, &from], &[]);
    graph.node("Div", &[&shifted, &widths], &[])
}

/// The quantiles of several columns, one after the other, each filled up to `size` with infinities.
struct Quantiles<'a> {
    columns: Vec<&'a [f64]>,
    /// Numbers this near to a quantile are equal to it.
    nearby: Vec<f64>,
    /// One less than a power of two, so that a binary search never leaves a column.
    size: usize,
}

impl<'a> Quantiles<'a> {
    fn new(scalers: &[&'a Scaler], is_rounded: &[bool]) -> Self {
        let columns: Vec<&[f64]> = scalers
            .iter()
            .map(|scaler| match scaler {
                Scaler::QuantileNormal { quantiles } => quantiles.as_slice(),
                _ => &[],
            })
            .collect();
        let most = columns.iter().map(|column| column.len()).max().unwrap_or(0);
        let range = |column: &[f64]| column.last().zip(column.first()).map_or(0.0, |(last, first)| last - first);
        let nearby = |(column, is_rounded): (&&[f64], &bool)| if *is_rounded { NEARBY * range(column) } else { 0.0 };
        let nearby = columns.iter().zip(is_rounded).map(nearby).collect();
        Self { columns, nearby, size: (most + 1).next_power_of_two() - 1 }
    }

    /// One number for each quantile of each column, `other` where a column is filled up.
    fn table(&self, graph: &mut Graph, other: f64, f: impl Fn(&[f64], usize) -> f64) -> Value {
        let of_column = |column: &&[f64]| {
            let values = (0..self.size).map(|i| if i < column.len() { f(column, i) } else { other });
            values.collect::<Vec<f64>>()
        };
        let values: Vec<f64> = self.columns.iter().flat_map(of_column).collect();
        graph.doubles(&values, &[values.len()])
    }

    /// One number for each column, `[1, columns]`.
    fn row(&self, graph: &mut Graph, f: impl Fn(&[f64]) -> f64) -> Value {
        let values: Vec<f64> = self.columns.iter().map(|column| f(column)).collect();
        graph.doubles(&values, &[1, values.len()])
    }

    /// The place of the first quantile of each column, `[1, columns]`.
    fn starts(&self, graph: &mut Graph, offset: impl Fn(&[f64]) -> usize) -> Value {
        let values: Vec<i64> =
            self.columns.iter().enumerate().map(|(j, column)| (j * self.size + offset(column)) as i64).collect();
        graph.ints(&values, &[1, values.len()])
    }

    /// The place of the first quantile for which `is_below(quantile, x)` does not hold, `[rows, columns]`: a binary search.
    fn search(&self, graph: &mut Graph, quantiles: &Value, x: &Value, is_below: &str) -> Value {
        let mut place = self.starts(graph, |_| 0);
        let mut step = self.size.div_ceil(2);
        while step > 0 {
            let (last, size) = (graph.ints(&[step as i64 - 1], &[1]), graph.ints(&[step as i64], &[1]));
            let probe = graph.node("Add", &[&place, &last], &[]);
            let quantile = graph.node("Gather", &[quantiles, &probe], &[]);
            let is_below = graph.node(is_below, &[&quantile, x], &[]);
            let is_below = graph.cast(&is_below, Element::Int64);
            let jump = graph.node("Mul", &[&is_below, &size], &[]);
            place = graph.node("Add", &[&place, &jump], &[]);
            step /= 2;
        }
        place
    }

    /// The share at `x` on a line through the quantile at `place`, `[rows, columns]`. `tables`: quantiles, shares, slopes.
    fn on_line(&self, graph: &mut Graph, x: &Value, place: &Value, tables: [&Value; 3]) -> Value {
        let (first, last) = (self.starts(graph, |_| 0), self.starts(graph, |column| column.len().saturating_sub(1)));
        let place = graph.node("Max", &[place, &first], &[]);
        let place = graph.node("Min", &[&place, &last], &[]);
        let [quantile, share, slope] = tables.map(|table| graph.node("Gather", &[table, &place], &[]));
        let beyond = graph.node("Sub", &[x, &quantile], &[]);
        let more = graph.node("Mul", &[&beyond, &slope], &[]);
        graph.node("Add", &[&share, &more], &[])
    }

    /// The share of train values below each number: from 0 to 1, halfway between the first and the last of equal quantiles.
    fn share_below(&self, graph: &mut Graph, x: &Value) -> Value {
        let slope = |column: &[f64], i: usize| match column.get(i + 1) {
            Some(next) if *next > column[i] => {
                (quantile_share(i + 1, column.len()) - quantile_share(i, column.len())) / (next - column[i])
            }
            _ => 0.0,
        };
        let quantiles = self.table(graph, f64::INFINITY, |column, i| column[i]);
        let shares = self.table(graph, 1.0, |column, i| quantile_share(i, column.len()));
        let after = self.table(graph, 0.0, slope);
        let before = self.table(graph, 0.0, |column, i| if i == 0 { 0.0 } else { slope(column, i - 1) });
        let nearby = graph.doubles(&self.nearby, &[1, self.nearby.len()]);
        let [behind, at] = [("Add", "LessOrEqual"), ("Sub", "Less")].map(|(op, is_below)| {
            let x = graph.node(op, &[x, &nearby], &[]);
            self.search(graph, &quantiles, &x, is_below)
        });
        let one = graph.ints(&[1], &[1]);
        let below = graph.node("Sub", &[&behind, &one], &[]);
        let from_below = self.on_line(graph, x, &below, [&quantiles, &shares, &after]);
        let from_above = self.on_line(graph, x, &at, [&quantiles, &shares, &before]);
        let sum = graph.node("Add", &[&from_below, &from_above], &[]);
        let [half, none, all] = [0.5, 0.0, 1.0].map(|share| graph.doubles(&[share], &[1]));
        let share = graph.node("Mul", &[&half, &sum], &[]);

        let (first, last) = (self.row(graph, |column| column[0]), self.row(graph, |column| column[column.len() - 1]));
        let margin = graph.doubles(&[1e-7], &[1]);
        let more = graph.node("Add", &[x, &margin], &[]);
        let is_last = graph.node("Greater", &[&more, &last], &[]);
        let share = graph.node("Where", &[&is_last, &all, &share], &[]);
        let less = graph.node("Sub", &[x, &margin], &[]);
        let is_first = graph.node("Less", &[&less, &first], &[]);
        let share = graph.node("Where", &[&is_first, &none, &share], &[]);
        let is_constant = graph.node("Equal", &[&first, &last], &[]);
        graph.node("Where", &[&is_constant, &half, &share], &[])
    }

    fn normal_deviate(&self, graph: &mut Graph, x: &Value) -> Value {
        let share = self.share_below(graph, x);
        let [least, most, half, one, zero] =
            [SMALLEST_SHARE, 1.0 - SMALLEST_SHARE, 0.5, 1.0, 0.0].map(|number| graph.doubles(&[number], &[]));
        let share = graph.node("Clip", &[&share, &least, &most], &[]);
        let [a, b, c, d] = NORMAL_DEVIATE;

        let centred = graph.node("Sub", &[&share, &half], &[]);
        let square = graph.node("Mul", &[&centred, &centred], &[]);
        let border = graph.doubles(&[0.180625], &[]);
        let r = graph.node("Sub", &[&border, &square], &[]);
        let middle = quotient(graph, &r, &a, &b);
        let middle = graph.node("Mul", &[&centred, &middle], &[]);

        let other = graph.node("Sub", &[&one, &share], &[]);
        let tail = graph.node("Min", &[&share, &other], &[]);
        let logarithm = graph.node("Log", &[&tail], &[]);
        let logarithm = graph.node("Neg", &[&logarithm], &[]);
        let root = graph.node("Sqrt", &[&logarithm], &[]);
        let shift = graph.doubles(&[1.6], &[]);
        let r = graph.node("Sub", &[&root, &shift], &[]);
        let far = quotient(graph, &r, &c, &d);
        let negative = graph.node("Neg", &[&far], &[]);
        let is_left = graph.node("Less", &[&centred, &zero], &[]);
        let far = graph.node("Where", &[&is_left, &negative, &far], &[]);

        let (width, reach) = (graph.node("Abs", &[&centred], &[]), graph.doubles(&[0.425], &[]));
        let is_middle = graph.node("LessOrEqual", &[&width, &reach], &[]);
        graph.node("Where", &[&is_middle, &middle, &far], &[])
    }
}

/// Two polynomials of `x`, one over the other; coefficients from the highest power down.
fn quotient(graph: &mut Graph, x: &Value, above: &[f64; 8], below: &[f64; 8]) -> Value {
    let [above, below] = [above, below].map(|coefficients| {
        let first = graph.doubles(&coefficients[..1], &[]);
        coefficients[1..].iter().fold(first, |sum, &coefficient| {
            let (product, coefficient) = (graph.node("Mul", &[&sum, x], &[]), graph.doubles(&[coefficient], &[]));
            graph.node("Add", &[&product, &coefficient], &[])
        })
    });
    graph.node("Div", &[&above, &below], &[])
}
