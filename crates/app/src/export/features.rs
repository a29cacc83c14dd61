//! From raw columns to a network's inputs in a graph: what `dataset::Preprocessor` computes, in `double`.

use std::collections::{BTreeMap, HashSet};

use dataset::{CategoricalEncoding, ColumnType, Encoder, EngineerConfig, Input, Preprocessor, RawColumn};
use modeling::onnx::{Attribute, Dim, Element, Graph, Value};

use super::dates::{self, Moments};
use super::{ROWS, Unsupported, scaling};

/// Texts that stand for a missing value beside those of the training file: what numpy and pandas make of one.
const MISSING_TEXTS: [&str; 5] = ["", "nan", "NaN", "None", "<NA>"];

/// A column in the graph, `[rows]`.
#[derive(Clone)]
enum Cells {
    /// `double`; NaN is missing.
    Numbers(Value),
    Texts(Value),
}

/// What a network is fed.
pub struct Encoded {
    /// `[rows, n_numeric]` of `float`.
    pub numeric: Option<Value>,
    /// `[rows, n_categorical]` of `int64`.
    pub categorical: Option<Value>,
}

/// Whether the graph takes a raw column as texts: categories and dates. Others are `double`, booleans as 0 and 1.
pub fn is_text(raw: &RawColumn, engineer: &EngineerConfig) -> bool {
    raw.column_type == ColumnType::String || engineer.datetime.iter().any(|date| date.column == raw.name)
}

/// Declares the raw columns as inputs and encodes them. `null_values`: texts that stand for a missing value;
/// `trim`: blanks around a text do not count.
pub fn encode(
    graph: &mut Graph,
    preprocessor: &Preprocessor,
    (null_values, trim): (&[String], bool),
) -> Result<Encoded, Unsupported> {
    let mut columns = Columns { graph, null_values, trim, cells: BTreeMap::new() };
    preprocessor.raw.iter().for_each(|raw| columns.declare(raw, &preprocessor.engineer));
    columns.engineer(&preprocessor.engineer)?;
    columns.encode(preprocessor)
}

struct Columns<'a> {
    graph: &'a mut Graph,
    null_values: &'a [String],
    trim: bool,
    cells: BTreeMap<String, Cells>,
}

impl Columns<'_> {
    fn declare(&mut self, raw: &RawColumn, engineer: &EngineerConfig) {
        let cells = if is_text(raw, engineer) {
            Cells::Texts(self.graph.input(&raw.name, Element::String, &[Dim::Named(ROWS)]))
        } else {
            let numbers = self.graph.input(&raw.name, Element::Double, &[Dim::Named(ROWS)]);
            Cells::Numbers(self.without_null_numbers(numbers))
        };
        self.cells.insert(raw.name.clone(), cells);
    }

    /// A training file may say -999 where a value is missing.
    fn without_null_numbers(&mut self, numbers: Value) -> Value {
        let finite = |text: &String| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let (null_values, nan) = (self.null_values, self.graph.doubles(&[f64::NAN], &[1]));
        null_values.iter().filter_map(finite).fold(numbers, |numbers, null| {
            let null = self.graph.doubles(&[null], &[1]);
            let is_null = self.graph.node("Equal", &[&numbers, &null], &[]);
            self.graph.node("Where", &[&is_null, &nan, &numbers], &[])
        })
    }

    fn cells(&self, name: &str) -> Result<Cells, Unsupported> {
        self.cells
            .get(name)
            .cloned()
            .ok_or_else(|| Unsupported::new(format!("column `{name}` is not among the inputs")))
    }

    fn missing_texts(&self) -> impl Iterator<Item = &str> {
        MISSING_TEXTS.into_iter().chain(self.null_values.iter().map(String::as_str))
    }

    /// Whether each text stands for a missing value.
    fn is_missing(&mut self, texts: &Value) -> Value {
        let missing = self.with_blanks(self.missing_texts().map(|text| (text.to_owned(), 1)).collect());
        let is_missing = self.encode_labels(texts, missing, 0);
        self.graph.cast(&is_missing, Element::Bool)
    }

    /// Each text once, and as files with a blank after the comma have it: a graph cannot trim.
    fn with_blanks(&self, pairs: Vec<(String, i64)>) -> Vec<(String, i64)> {
        let blank: Vec<(String, i64)> = match self.trim {
            true => pairs.iter().map(|(text, slot)| (format!(" {text}"), *slot)).collect(),
            false => Vec::new(),
        };
        distinct(pairs.into_iter().chain(blank))
    }

    fn encode_labels(&mut self, texts: &Value, slots: Vec<(String, i64)>, default: i64) -> Value {
        let (keys, values) = slots.into_iter().unzip();
        let attributes = [
            ("keys_strings", Attribute::Texts(keys)),
            ("values_int64s", Attribute::Ints(values)),
            ("default_int64", Attribute::Int(default)),
        ];
        self.graph.ml_node("LabelEncoder", &[texts], &attributes)
    }

    /// `double`, NaN where missing.
    fn numbers(&mut self, name: &str) -> Result<Value, Unsupported> {
        let texts = match self.cells(name)? {
            Cells::Numbers(numbers) => return Ok(numbers),
            Cells::Texts(texts) => texts,
        };
        let (is_missing, nan) = (self.is_missing(&texts), self.graph.texts(&["nan"], &[1]));
        let texts = self.graph.node("Where", &[&is_missing, &nan, &texts], &[]);
        Ok(self.graph.cast(&texts, Element::Double))
    }

    /// The columns of `features.engineer`. Where the program would stop with an error, because a result is no number, a value
    /// counts as missing.
    fn engineer(&mut self, config: &EngineerConfig) -> Result<(), Unsupported> {
        for date in &config.datetime {
            let Cells::Texts(texts) = self.cells(&date.column)? else {
                return Err(Unsupported::new(format!("dates from column `{}`, which is no text", date.column)));
            };
            let format = date.format.as_deref();
            let is_missing = self.is_missing(&texts);
            let stand_in = self.graph.texts(&[&dates::stand_in(format)], &[1]);
            let texts = self.graph.node("Where", &[&is_missing, &stand_in, &texts], &[]);
            let moments = Moments::parse(self.graph, &texts, format)?;
            let nan = self.graph.doubles(&[f64::NAN], &[1]);
            for &part in &date.parts {
                let values = moments.part(self.graph, part, date.cyclic);
                let endings: &[&str] = if values.len() == 2 { &["_sin", "_cos"] } else { &[""] };
                for (value, ending) in values.iter().zip(endings) {
                    let value = self.graph.node("Where", &[&is_missing, &nan, value], &[]);
                    self.made(format!("{}.{}{ending}", date.column, part.name()), value);
                }
            }
        }
        for ratio in &config.ratio {
            let (above, below) = (self.numbers(&ratio.numerator)?, self.numbers(&ratio.denominator)?);
            let quotient = self.graph.node("Div", &[&above, &below], &[]);
            let quotient = self.in_range(&quotient);
            self.made(format!("{}/{}", ratio.numerator, ratio.denominator), quotient);
        }
        for factors in &config.product {
            let mut product = self.numbers(&factors[0])?;
            for factor in &factors[1..] {
                let factor = self.numbers(factor)?;
                product = self.graph.node("Mul", &[&product, &factor], &[]);
            }
            self.made(factors.join("*"), product);
        }
        for power in &config.power {
            let (base, exponent) = (self.numbers(&power.column)?, self.graph.doubles(&[power.exponent], &[1]));
            let value = self.graph.node("Pow", &[&base, &exponent], &[]);
            self.made(format!("{}^{}", power.column, power.exponent), value);
        }
        for column in &config.log1p {
            let x = self.numbers(column)?;
            let value = self.log1p(&x);
            self.made(format!("log1p({column})"), value);
        }
        Ok(())
    }

    fn made(&mut self, name: String, numbers: Value) {
        self.cells.insert(name, Cells::Numbers(numbers));
    }

    /// NaN where a number is infinite or beyond what `f32` holds.
    fn in_range(&mut self, numbers: &Value) -> Value {
        let (most, nan) = (self.graph.doubles(&[f64::from(f32::MAX)], &[1]), self.graph.doubles(&[f64::NAN], &[1]));
        let size = self.graph.node("Abs", &[numbers], &[]);
        let is_in = self.graph.node("LessOrEqual", &[&size, &most], &[]);
        self.graph.node("Where", &[&is_in, numbers, &nan], &[])
    }

    /// `ln(1 + x)`; what rounding takes off `1 + x` is made up for, so that small numbers keep their digits.
    fn log1p(&mut self, x: &Value) -> Value {
        let one = self.graph.doubles(&[1.0], &[1]);
        let more = self.graph.node("Add", &[x, &one], &[]);
        let rounded = self.graph.node("Sub", &[&more, &one], &[]);
        let log = self.graph.node("Log", &[&more], &[]);
        let scaled = self.graph.node("Mul", &[&log, x], &[]);
        let log = self.graph.node("Div", &[&scaled, &rounded], &[]);
        let zero = self.graph.doubles(&[0.0], &[1]);
        let is_lost = self.graph.node("Equal", &[&rounded, &zero], &[]);
        self.graph.node("Where", &[&is_lost, x, &log], &[])
    }

    fn encode(&mut self, preprocessor: &Preprocessor) -> Result<Encoded, Unsupported> {
        let is_number = |input: &&Input| matches!(input.encoder, Encoder::Numeric { .. });
        let numbers: Vec<&Input> = preprocessor.inputs.iter().filter(is_number).collect();
        let mut blocks = self.encode_numbers(&numbers, &preprocessor.engineer)?;
        let mut indices = Vec::new();
        for input in &preprocessor.inputs {
            let Encoder::Category { levels, other, missing } = &input.encoder else { continue };
            let index = self.slot_index(&input.name, levels, *other, *missing)?;
            match preprocessor.categorical {
                CategoricalEncoding::Embedding => indices.push(self.graph.reshape(&index, &[-1, 1])),
                CategoricalEncoding::OneHot => {
                    let n_slots = levels.len() + usize::from(*other) + usize::from(*missing);
                    blocks.push(self.one_hot(&index, n_slots as i64));
                }
            }
        }
        let numeric = (!blocks.is_empty()).then(|| self.graph.concat(&blocks, 1));
        let categorical = (!indices.is_empty()).then(|| self.graph.concat(&indices, 1));
        Ok(Encoded { numeric, categorical })
    }

    /// Filled in and scaled numbers, then missing indicators.
    fn encode_numbers(&mut self, inputs: &[&Input], engineer: &EngineerConfig) -> Result<Vec<Value>, Unsupported> {
        if inputs.is_empty() {
            return Ok(Vec::new());
        }
        let mut columns = Vec::new();
        let (mut fills, mut scalers, mut indicated) = (Vec::new(), Vec::new(), Vec::new());
        for (place, input) in inputs.iter().enumerate() {
            let Encoder::Numeric { fill, scaler, missing_indicator } = &input.encoder else { continue };
            let numbers = self.numbers(&input.name)?;
            columns.push(self.graph.reshape(&numbers, &[-1, 1]));
            fills.push(*fill);
            scalers.push(scaler);
            indicated.extend(missing_indicator.then_some(place as i64));
        }
        let raw = self.graph.concat(&columns, 1);
        let is_missing = self.graph.node("IsNaN", &[&raw], &[]);
        let fills = self.graph.doubles(&fills, &[1, fills.len()]);
        let filled = self.graph.node("Where", &[&is_missing, &fills, &raw], &[]);
        let is_rounded = |input: &&Input| engineer.log1p.iter().any(|column| input.name == format!("log1p({column})"));
        let is_rounded: Vec<bool> = inputs.iter().map(is_rounded).collect();
        let scaled = scaling::scale(self.graph, &filled, &scalers, &is_rounded);
        let [least, most] = [f32::MIN, f32::MAX].map(|end| self.graph.doubles(&[f64::from(end)], &[]));
        let scaled = self.graph.node("Clip", &[&scaled, &least, &most], &[]);
        let mut blocks = vec![self.graph.cast(&scaled, Element::Float)];
        if !indicated.is_empty() {
            let places = self.graph.ints(&indicated, &[indicated.len()]);
            let is_missing = self.graph.node("Gather", &[&is_missing, &places], &[("axis", Attribute::Int(1))]);
            blocks.push(self.graph.cast(&is_missing, Element::Float));
        }
        Ok(blocks)
    }

    /// Slot `i` as `i + 1`, 0 for a level without a slot: `[rows]` of `int64`.
    fn slot_index(&mut self, name: &str, levels: &[String], other: bool, missing: bool) -> Result<Value, Unsupported> {
        let n_levels = levels.len() as i64;
        let unknown = if other { n_levels + 1 } else { 0 };
        let absent = if missing { n_levels + i64::from(other) + 1 } else { 0 };
        Ok(match self.cells(name)? {
            Cells::Texts(texts) => {
                let known = levels.iter().cloned().zip(1..);
                let aliases = levels
                    .iter()
                    .zip(1..)
                    .flat_map(|(level, slot)| aliases(levels, level).into_iter().map(move |alias| (alias, slot)));
                let missing = self.missing_texts().map(|text| (text.to_owned(), absent));
                // The first one with a name counts: a level may well be `None`.
                let slots = self.with_blanks(known.chain(aliases).chain(missing).collect());
                self.encode_labels(&texts, slots, unknown)
            }
            Cells::Numbers(numbers) => self.number_index(&numbers, levels, unknown, absent),
        })
    }

    /// As [`Self::slot_index`], for computed numbers that are categories.
    fn number_index(&mut self, numbers: &Value, levels: &[String], unknown: i64, absent: i64) -> Value {
        let values: Vec<f64> = levels.iter().map(|level| level.parse().unwrap_or(f64::NAN)).collect();
        let values = self.graph.doubles(&values, &[1, levels.len()]);
        let column = self.graph.reshape(numbers, &[-1, 1]);
        let is_level = self.graph.node("Equal", &[&column, &values], &[]);
        let is_level = self.graph.cast(&is_level, Element::Int64);
        let slots: Vec<i64> = (1..=levels.len() as i64).collect();
        let slots = self.graph.ints(&slots, &[1, levels.len()]);
        let slots = self.graph.node("Mul", &[&is_level, &slots], &[]);
        let axis = self.graph.ints(&[1], &[1]);
        let index = self.graph.node("ReduceSum", &[&slots, &axis], &[("keepdims", Attribute::Int(0))]);
        let [zero, unknown, absent] = [0, unknown, absent].map(|slot| self.graph.ints(&[slot], &[1]));
        let is_unknown = self.graph.node("Equal", &[&index, &zero], &[]);
        let index = self.graph.node("Where", &[&is_unknown, &unknown, &index], &[]);
        let is_missing = self.graph.node("IsNaN", &[numbers], &[]);
        self.graph.node("Where", &[&is_missing, &absent, &index], &[])
    }

    /// `[rows]` -> `[rows, n_slots]` of `float`; index 0 has no column.
    fn one_hot(&mut self, index: &Value, n_slots: i64) -> Value {
        let (depth, values) = (self.graph.ints(&[n_slots + 1], &[]), self.graph.floats(&[0.0, 1.0], &[2]));
        let columns = self.graph.node("OneHot", &[index, &depth, &values], &[]);
        self.graph.slice(&columns, 1, 1, i64::MAX)
    }
}

/// Other ways in which a level may be written: pandas makes `1.0` of an integer in a column with gaps, and `True` of a
/// boolean.
fn aliases(levels: &[String], level: &str) -> Vec<String> {
    let is_integer = |level: &String| level.parse::<i128>().is_ok() && !level.starts_with('+');
    if levels.iter().all(is_integer) {
        return vec![format!("{level}.0")];
    }
    let word = ["true", "false"].into_iter().find(|word| level.eq_ignore_ascii_case(word));
    word.map_or(Vec::new(), |word| {
        vec![word.to_owned(), word[..1].to_ascii_uppercase() + &word[1..], word.to_ascii_uppercase()]
    })
}

fn distinct(pairs: impl Iterator<Item = (String, i64)>) -> Vec<(String, i64)> {
    let mut seen = HashSet::new();
    pairs.filter(|(text, _)| seen.insert(text.clone())).collect()
}
