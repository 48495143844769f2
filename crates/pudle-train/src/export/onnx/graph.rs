//! A graph under construction.

use prost::Message;

use super::proto::{
    AttributeProto, AttributeType, Dimension, DimensionValue, FLOAT, GraphProto, INT64, ModelProto,
    NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The version of the operators.
const OPSET: i64 = 17;

/// The version of the file format that came with these operators.
const IR: i64 = 8;

/// The name of a value in the graph.
pub(super) type Value = String;

/// An axis of an input or output: a number, or the name of a length that the caller chooses.
pub(super) enum Axis {
    Fixed(usize),
    Free(&'static str),
}

/// A graph under construction. Every value gets a name of its own.
#[derive(Default)]
pub(super) struct Graph {
    graph: GraphProto,
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(kind as i32),
        ..AttributeProto::default()
    }
}

/// An attribute that is an integer.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

/// An attribute that is a list of integers.
pub(super) fn ints(name: &str, values: Vec<i64>) -> AttributeProto {
    AttributeProto { ints: values, ..attribute(name, AttributeType::Ints) }
}

fn tensor_info(name: &str, axes: &[Axis]) -> ValueInfoProto {
    let dim = axes.iter().map(|axis| Dimension {
        value: Some(match axis {
            Axis::Fixed(length) => DimensionValue::DimValue(*length as i64),
            Axis::Free(name) => DimensionValue::DimParam((*name).to_owned()),
        }),
    });
    let shape = TensorShapeProto { dim: dim.collect() };
    let tensor = TensorTypeProto { elem_type: Some(FLOAT), shape: Some(shape) };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { tensor_type: Some(tensor) }),
    }
}

impl Graph {
    /// An input of floating-point numbers.
    pub fn input(&mut self, name: &str, axes: &[Axis]) -> Value {
        self.graph.input.push(tensor_info(name, axes));
        name.to_owned()
    }

    /// Makes `value` an output of this name.
    pub fn output(&mut self, name: &str, value: &str, axes: &[Axis]) {
        self.add("Identity", &[value], vec![], name.to_owned());
        self.graph.output.push(tensor_info(name, axes));
    }

    /// The result of an operator.
    pub fn op(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> Value {
        let name = self.fresh(op);
        self.add(op, inputs, attributes, name.clone());
        name
    }

    /// The second result of an operator that has two.
    pub fn second(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> Value {
        let name = self.fresh(op);
        self.add(op, inputs, attributes, format!("{name}_first"));
        let node = self.graph.node.last_mut().expect("a node was added");
        node.output.push(name.clone());
        name
    }

    /// `count` equal parts of a value along the batch.
    pub fn split(&mut self, value: &str, count: usize) -> Vec<Value> {
        let name = self.fresh("Split");
        let parts: Vec<Value> = (0..count).map(|k| format!("{name}_{k}")).collect();
        self.add("Split", &[value], vec![int("axis", 0)], String::new());
        self.graph.node.last_mut().expect("a node was added").output.clone_from(&parts);
        parts
    }

    fn fresh(&self, op: &str) -> Value {
        format!("{}_{}", op.to_lowercase(), self.graph.node.len() + self.graph.initializer.len())
    }

    fn add(&mut self, op: &str, inputs: &[&str], attribute: Vec<AttributeProto>, output: Value) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            name: Some(format!("node_{}", self.graph.node.len())),
            output: vec![output],
            op_type: Some(op.to_owned()),
            attribute,
        });
    }

    fn constant(&mut self, dims: &[usize], data_type: i32, raw_data: Vec<u8>, name: &str) -> Value {
        let dims = dims.iter().map(|axis| *axis as i64).collect();
        self.graph.initializer.push(TensorProto {
            dims,
            data_type: Some(data_type),
            name: Some(name.to_owned()),
            raw_data: Some(raw_data),
        });
        name.to_owned()
    }

    /// Weights of this name.
    pub fn weights(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(shape, FLOAT, bytes, name)
    }

    /// A floating-point number.
    pub fn number(&mut self, value: f64) -> Value {
        let name = self.fresh("number");
        self.constant(&[], FLOAT, (value as f32).to_le_bytes().to_vec(), &name)
    }

    /// A list of integers.
    pub fn integers(&mut self, values: &[i64]) -> Value {
        let name = self.fresh("integers");
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(&[values.len()], INT64, bytes, &name)
    }

    /// An integer.
    pub fn integer(&mut self, value: i64) -> Value {
        let name = self.fresh("integer");
        self.constant(&[], INT64, value.to_le_bytes().to_vec(), &name)
    }

    /// The length of an axis, an integer without axes.
    pub fn length(&mut self, of: &str, axis: usize) -> Value {
        let shape = self.op("Shape", &[of], vec![]);
        let axis = self.integer(axis as i64);
        self.op("Gather", &[&shape, &axis], vec![int("axis", 0)])
    }

    /// An integer as a list of one.
    pub fn list(&mut self, integer: &str) -> Value {
        let axes = self.integers(&[0]);
        self.op("Unsqueeze", &[integer, &axes], vec![])
    }

    /// The file, with a text of this name beside the graph.
    pub fn finish(mut self, (key, value): (&str, String)) -> Vec<u8> {
        self.graph.name = Some("pudle".to_owned());
        let text = StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) };
        let model = ModelProto {
            ir_version: Some(IR),
            producer_name: Some("pudle".to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetIdProto {
                domain: Some(String::new()),
                version: Some(OPSET),
            }],
            metadata_props: vec![text],
        };
        model.encode_to_vec()
    }
}
