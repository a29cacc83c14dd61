//! Builds ONNX graphs: what every framework can run without this workspace.
//!
//! A [`Graph`] is written from its inputs to its outputs: each call adds a node or a constant and gives the [`Value`] that
//! it makes. The operators are those of <https://onnx.ai/onnx/operators>, opset 17 (and `ai.onnx.ml` 3), raised to 20 when
//! a node needs it. The same calls give the same bytes.

pub(crate) mod layers;
mod proto;

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// Opset and the IR version that came with it: what most runtimes of today read.
const BASE: (i64, i64) = (17, 8);
/// The same where texts are taken apart.
const RAISED: (i64, i64) = (20, 9);
/// Operators that came after opset 17.
const RAISING: [&str; 3] = ["StringSplit", "StringConcat", "RegexFullMatch"];
/// Operators whose attribute `axes` became an input with opset 18.
const AXES_AS_INPUT: [&str; 5] = ["ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceL2"];
const ML_DOMAIN: &str = "ai.onnx.ml";
const ML_OPSET: i64 = 3;
/// Constants up to this size are kept once however often they are used.
const SMALL_BYTES: usize = 1024;

/// A tensor of a graph: an input, a constant, or what a node makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    name: String,
}

impl Value {
    /// Stands for an optional input of a node that is left out.
    pub fn absent() -> Self {
        Self { name: String::new() }
    }

    /// Its name in the graph.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What a tensor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Element {
    Float,
    Double,
    Int64,
    Bool,
    String,
}

impl Element {
    /// `TensorProto.DataType`.
    fn code(self) -> i32 {
        match self {
            Self::Float => 1,
            Self::Int64 => 7,
            Self::String => 8,
            Self::Bool => 9,
            Self::Double => 11,
        }
    }
}

/// A size of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dim {
    /// Any size; the same name is the same size.
    Named(&'static str),
    /// This size.
    Fixed(usize),
}

/// A setting of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A whole number, or a flag.
    Int(i64),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// A number.
    Float(f32),
    /// Numbers.
    Floats(Vec<f32>),
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// A type, as `Cast` takes it.
    Element(Element),
}

impl Attribute {
    fn to_proto(&self, name: &str) -> AttributeProto {
        let named = AttributeProto { name: Some(name.to_owned()), ..Default::default() };
        match self {
            Self::Float(number) => AttributeProto { f: Some(*number), r#type: Some(1), ..named },
            Self::Int(number) => AttributeProto { i: Some(*number), r#type: Some(2), ..named },
            Self::Element(element) => AttributeProto { i: Some(element.code().into()), r#type: Some(2), ..named },
            Self::Text(text) => AttributeProto { s: Some(text.clone().into_bytes()), r#type: Some(3), ..named },
            Self::Floats(numbers) => AttributeProto { floats: numbers.clone(), r#type: Some(6), ..named },
            Self::Ints(numbers) => AttributeProto { ints: numbers.clone(), r#type: Some(7), ..named },
            Self::Texts(texts) => {
                let strings = texts.iter().map(|text| text.clone().into_bytes()).collect();
                AttributeProto { strings, r#type: Some(8), ..named }
            }
        }
    }
}

/// A graph under construction.
#[derive(Debug, Clone)]
pub struct Graph {
    graph: GraphProto,
    names: BTreeSet<String>,
    /// Small constants by what they hold.
    constants: BTreeMap<Vec<u8>, Value>,
    is_raised: bool,
    uses_ml: bool,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        Self {
            graph: GraphProto { name: Some(name.to_owned()), ..Default::default() },
            names: BTreeSet::new(),
            constants: BTreeMap::new(),
            is_raised: false,
            uses_ml: false,
        }
    }

    /// What the caller of the model gives, in the order of the calls, each with a name of its own.
    pub fn input(&mut self, name: &str, element: Element, shape: &[Dim]) -> Value {
        self.names.insert(name.to_owned());
        self.graph.input.push(value_info(name, element, shape));
        Value { name: name.to_owned() }
    }

    /// A constant; the product of `shape` is the number of values, `[]` is a scalar.
    pub fn floats(&mut self, values: &[f32], shape: &[usize]) -> Value {
        self.numbers(Element::Float, values.iter().flat_map(|value| value.to_le_bytes()).collect(), shape)
    }

    /// A constant; see [`Self::floats`].
    pub fn doubles(&mut self, values: &[f64], shape: &[usize]) -> Value {
        self.numbers(Element::Double, values.iter().flat_map(|value| value.to_le_bytes()).collect(), shape)
    }

    /// A constant; see [`Self::floats`].
    pub fn ints(&mut self, values: &[i64], shape: &[usize]) -> Value {
        self.numbers(Element::Int64, values.iter().flat_map(|value| value.to_le_bytes()).collect(), shape)
    }

    /// A constant; see [`Self::floats`].
    pub fn bools(&mut self, values: &[bool], shape: &[usize]) -> Value {
        self.numbers(Element::Bool, values.iter().map(|&value| value.into()).collect(), shape)
    }

    /// A constant; see [`Self::floats`].
    pub fn texts(&mut self, values: &[&str], shape: &[usize]) -> Value {
        let string_data = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        self.constant(TensorProto { string_data, ..tensor(Element::String, shape) })
    }

    fn numbers(&mut self, element: Element, bytes: Vec<u8>, shape: &[usize]) -> Value {
        self.constant(TensorProto { raw_data: Some(bytes), ..tensor(element, shape) })
    }

    fn constant(&mut self, tensor: TensorProto) -> Value {
        let key = (tensor.encoded_len() <= SMALL_BYTES).then(|| tensor.encode_to_vec());
        if let Some(known) = key.as_ref().and_then(|key| self.constants.get(key)) {
            return known.clone();
        }
        let value = self.fresh("Constant");
        self.graph.initializer.push(TensorProto { name: Some(value.name.clone()), ..tensor });
        if let Some(key) = key {
            self.constants.insert(key, value.clone());
        }
        value
    }

    /// An operator of ONNX with one output.
    pub fn node(&mut self, op: &str, inputs: &[&Value], attributes: &[(&str, Attribute)]) -> Value {
        let [value] = self.node_n(op, inputs, attributes);
        value
    }

    /// An operator of ONNX with several outputs, such as `Split`.
    pub fn node_n<const N: usize>(
        &mut self,
        op: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute)],
    ) -> [Value; N] {
        self.is_raised |= RAISING.contains(&op);
        self.add("", op, inputs, attributes)
    }

    /// An operator of `ai.onnx.ml`, such as `LabelEncoder`.
    pub fn ml_node(&mut self, op: &str, inputs: &[&Value], attributes: &[(&str, Attribute)]) -> Value {
        self.uses_ml = true;
        let [value] = self.add(ML_DOMAIN, op, inputs, attributes);
        value
    }

    fn add<const N: usize>(
        &mut self,
        domain: &str,
        op: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute)],
    ) -> [Value; N] {
        let outputs = std::array::from_fn(|_| self.fresh(op));
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|input| input.name.clone()).collect(),
            output: outputs.iter().map(|output| output.name.clone()).collect(),
            name: outputs.first().map(|output| output.name.clone()),
            op_type: Some(op.to_owned()),
            attribute: attributes.iter().map(|(name, attribute)| attribute.to_proto(name)).collect(),
            domain: (!domain.is_empty()).then(|| domain.to_owned()),
        });
        outputs
    }

    /// A name that nothing has yet.
    fn fresh(&mut self, op: &str) -> Value {
        let mut number = self.graph.node.len() + self.graph.initializer.len();
        loop {
            let name = format!("/{op}_{number}");
            if self.names.insert(name.clone()) {
                return Value { name };
            }
            number += 1;
        }
    }

    /// Gives a result of the graph a name, which no input may have.
    pub fn output(&mut self, name: &str, value: &Value, element: Element, shape: &[Dim]) {
        self.names.insert(name.to_owned());
        self.graph.node.push(NodeProto {
            input: vec![value.name.clone()],
            output: vec![name.to_owned()],
            name: Some(format!("/Output/{name}")),
            op_type: Some("Identity".to_owned()),
            ..Default::default()
        });
        self.graph.output.push(value_info(name, element, shape));
    }

    /// The bytes of an `.onnx` file. Readers refuse files of 2 GiB and more.
    pub fn to_bytes(&self, metadata: &[(String, String)]) -> Vec<u8> {
        let (opset, ir_version) = if self.is_raised { RAISED } else { BASE };
        let mut opsets = vec![(String::new(), opset)];
        if self.uses_ml {
            opsets.push((ML_DOMAIN.to_owned(), ML_OPSET));
        }
        let mut graph = self.clone();
        if self.is_raised {
            graph.move_axes_to_inputs();
        }
        let model = ModelProto {
            ir_version: Some(ir_version),
            producer_name: Some(env!("CARGO_PKG_NAME").to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            graph: Some(graph.graph),
            opset_import: opsets
                .into_iter()
                .map(|(domain, version)| OperatorSetIdProto { domain: Some(domain), version: Some(version) })
                .collect(),
            metadata_props: metadata
                .iter()
                .map(|(key, value)| StringStringEntryProto { key: Some(key.clone()), value: Some(value.clone()) })
                .collect(),
        };
        model.encode_to_vec()
    }

    /// Nodes are written as opset 17 has them; this makes them those of opset 18 and later.
    fn move_axes_to_inputs(&mut self) {
        for index in 0..self.graph.node.len() {
            let node = &mut self.graph.node[index];
            let is_moved = node.op_type.as_deref().is_some_and(|op| AXES_AS_INPUT.contains(&op));
            let place = node.attribute.iter().position(|attribute| attribute.name.as_deref() == Some("axes"));
            if let (true, Some(place)) = (is_moved, place) {
                let axes = node.attribute.remove(place).ints;
                let value = self.ints(&axes, &[axes.len()]);
                self.graph.node[index].input.push(value.name);
            }
        }
    }
}

/// Shorthands for what graphs are full of.
impl Graph {
    /// The same values as another type.
    pub fn cast(&mut self, value: &Value, to: Element) -> Value {
        self.node("Cast", &[value], &[("to", Attribute::Element(to))])
    }

    /// Another shape; one size may be -1: what is left. 0 keeps the size that is there.
    pub fn reshape(&mut self, value: &Value, shape: &[i64]) -> Value {
        let shape = self.ints(shape, &[shape.len()]);
        self.node("Reshape", &[value, &shape], &[])
    }

    /// Values side by side along an axis.
    pub fn concat(&mut self, values: &[Value], axis: i64) -> Value {
        match values {
            [value] => value.clone(),
            _ => self.node("Concat", &values.iter().collect::<Vec<_>>(), &[("axis", Attribute::Int(axis))]),
        }
    }

    /// The mean of values of one shape.
    pub fn mean(&mut self, values: &[Value]) -> Value {
        match values {
            [value] => value.clone(),
            _ => self.node("Mean", &values.iter().collect::<Vec<_>>(), &[]),
        }
    }

    /// The part `from..to` of an axis.
    pub fn slice(&mut self, value: &Value, axis: i64, from: i64, to: i64) -> Value {
        let [from, to, axis] = [from, to, axis].map(|number| self.ints(&[number], &[1]));
        self.node("Slice", &[value, &from, &to, &axis], &[])
    }

    /// The axes in another order.
    pub fn transpose(&mut self, value: &Value, order: &[i64]) -> Value {
        self.node("Transpose", &[value], &[("perm", Attribute::Ints(order.to_vec()))])
    }
}

fn tensor(element: Element, shape: &[usize]) -> TensorProto {
    let dims = shape.iter().map(|&size| size as i64).collect();
    TensorProto { dims, data_type: Some(element.code()), ..Default::default() }
}

fn value_info(name: &str, element: Element, shape: &[Dim]) -> ValueInfoProto {
    let dim = |dim: &Dim| match *dim {
        Dim::Named(name) => DimensionProto { dim_value: None, dim_param: Some(name.to_owned()) },
        Dim::Fixed(size) => DimensionProto { dim_value: Some(size as i64), dim_param: None },
    };
    let shape = TensorShapeProto { dim: shape.iter().map(dim).collect() };
    let tensor = TensorTypeProto { elem_type: Some(element.code()), shape: Some(shape) };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { tensor_type: Some(tensor) }),
        ..Default::default()
    }
}
