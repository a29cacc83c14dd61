//! Exported networks give what ours give: many small ones are written, and a Python script runs them in onnxruntime.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use modeling::onnx::{Attribute, Dim, Element, Graph, Value};
use modeling::{
    Activation, ForecastBatch, ForecastInputs, ForecastShape, ForecasterConfig, ForecasterKind, Inputs, InstanceNorm,
    Norm, NumericEmbedding, TabularMlpConfig, Task,
};
use serde_json::json;

const ROWS: usize = 7;

/// Uneven numbers from -0.5 to 0.5.
fn made_up(key: usize, n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + key * 104_729 + 13) % 1009) as f32 / 1009.0 - 0.5).collect()
}

fn tensor<const D: usize>(key: usize, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(made_up(key, shape.iter().product()), shape), device)
}

/// Gives every weight a value that no initialisation gives: vectors around 0.75, so that variances are above 0.
struct MadeUp(usize);

impl ModuleMapper for MadeUp {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.0 += 1;
        let shift = if D == 1 { 0.75 } else { 0.0 };
        param.map(|old| tensor(self.0, old.dims(), &old.device()).add_scalar(shift))
    }
}

fn floats<const D: usize>(tensor: &Tensor<D>) -> serde_json::Value {
    let values: Vec<f32> = tensor.to_data().iter().collect();
    json!({"type": "float32", "shape": tensor.dims().as_slice(), "values": values})
}

/// Models in a folder, with inputs and what is wanted of them.
struct Cases {
    folder: tempfile::TempDir,
    cases: Vec<serde_json::Value>,
}

impl Cases {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), cases: Vec::new() }
    }

    fn push(&mut self, graph: &Graph, inputs: serde_json::Value, outputs: serde_json::Value) {
        let file = format!("{}.onnx", self.cases.len());
        let bytes = graph.to_bytes(&[("kind".to_owned(), "test".to_owned())]);
        assert_eq!(bytes, graph.to_bytes(&[("kind".to_owned(), "test".to_owned())]));
        fs::write(self.folder.path().join(&file), bytes).unwrap();
        self.cases.push(json!({"file": file, "inputs": inputs, "outputs": outputs}));
    }

    fn run(self) {
        fs::write(self.folder.path().join("cases.json"), serde_json::to_string(&self.cases).unwrap()).unwrap();
        let Some(python) = env::var_os("MLFLOW_PYTHON") else {
            println!("skipped: MLFLOW_PYTHON names no Python with onnx and onnxruntime");
            return;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/check_onnx.py");
        let out = Command::new(PathBuf::from(python)).arg(script).arg(self.folder.path()).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        println!("{said}");
        assert!(out.status.success(), "{said}");
    }
}

fn tabular(cases: &mut Cases, config: &TabularMlpConfig, inputs: &Inputs, task: Task, members: usize) {
    let device = Device::flex();
    let numeric = tensor::<2>(77, [ROWS, inputs.n_numeric], &device) * 5.0;
    let n_categorical = inputs.cardinalities.len();
    let levels = |row: usize| inputs.cardinalities.iter().map(move |&n| ((row * 5 + n) % n) as i64);
    let levels: Vec<i64> = (0..ROWS).flat_map(levels).collect();
    let categorical = Tensor::<2, Int>::from_data(TensorData::new(levels.clone(), [ROWS, n_categorical]), &device);

    let mut graph = Graph::new("tabular");
    let mut given = serde_json::Map::new();
    let mut take = |graph: &mut Graph, name: &str, element, width: usize, value| -> Option<Value> {
        (width > 0).then(|| {
            given.insert(name.to_owned(), value);
            graph.input(name, element, &[Dim::Named("rows"), Dim::Fixed(width)])
        })
    };
    let numbers = take(&mut graph, "numeric", Element::Float, inputs.n_numeric, floats(&numeric));
    let texts = json!({"type": "int64", "shape": [ROWS, n_categorical], "values": levels});
    let texts = take(&mut graph, "categorical", Element::Int64, n_categorical, texts);
    let (mut raw, mut exported) = (Vec::new(), Vec::new());
    for member in 0..members {
        let model = config.init(inputs, task.n_outputs(), &device).map(&mut MadeUp(100 * member));
        raw.push(model.forward(numeric.clone(), categorical.clone()));
        exported.push(model.export(&mut graph, numbers.as_ref(), texts.as_ref()));
    }
    let shape = [Dim::Named("rows"), Dim::Fixed(task.n_outputs())];
    graph.output("raw", &exported[0], Element::Float, &shape);
    let predicted = task.export(&mut graph, &exported);
    graph.output("predicted", &predicted, Element::Float, &shape);
    let wanted = json!({"raw": floats(&raw[0]), "predicted": floats(&task.activate(task.average(raw)))});
    cases.push(&graph, given.into(), wanted);
}

#[test]
fn tabular_networks_agree_with_onnxruntime() {
    let mut cases = Cases::new();
    let inputs = Inputs { n_numeric: 4, n_real: 3, cardinalities: vec![4, 30] };
    let small = TabularMlpConfig { hidden_dims: vec![8, 8, 5], ..Default::default() };
    for activation in
        [Activation::Relu, Activation::Gelu, Activation::Silu, Activation::Tanh, Activation::LeakyRelu, Activation::Elu]
    {
        for (norm, residual) in [(Norm::None, false), (Norm::Batch, true), (Norm::Layer, true)] {
            let config = TabularMlpConfig { activation, norm, residual, ..small.clone() };
            tabular(&mut cases, &config, &inputs, Task::Binary, 1);
        }
    }
    let periodic = TabularMlpConfig {
        numeric_embedding: NumericEmbedding::Periodic,
        numeric_embedding_frequencies: 6,
        numeric_embedding_dim: 3,
        ..small.clone()
    };
    let linear = TabularMlpConfig { hidden_dims: vec![], embedding_dim: Some(2), ..Default::default() };
    let all_real = Inputs { n_real: 4, ..inputs.clone() };
    let no_real = Inputs { n_real: 0, ..inputs.clone() };
    let only_numbers = Inputs { cardinalities: vec![], ..inputs.clone() };
    let only_categories = Inputs { n_numeric: 0, n_real: 0, ..inputs.clone() };
    for inputs in [inputs, all_real, no_real, only_numbers, only_categories] {
        for config in [&small, &periodic, &linear] {
            for task in [Task::Regression, Task::Binary, Task::Multiclass { classes: 4 }] {
                for members in [1, 3] {
                    tabular(&mut cases, config, &inputs, task, members);
                }
            }
        }
    }
    assert_eq!(cases.cases.len(), 18 + 5 * 3 * 3 * 2);
    cases.run();
}

fn forecaster(cases: &mut Cases, config: &ForecasterConfig, shape: &ForecastShape) {
    let device = Device::flex();
    assert_eq!(config.check(), Ok(()));
    let ForecastShape { n_targets, n_past, n_future, lookback, horizon } = *shape;
    let model = config.init(shape, &device).map(&mut MadeUp(0));
    let windows = 3;
    let batch = ForecastBatch {
        past: tensor::<3>(1000, [windows, n_targets, lookback], &device) * 3.0
            + tensor::<3>(1001, [windows, n_targets, 1], &device) * 4.0,
        past_covariates: tensor(1002, [windows, n_past, lookback], &device),
        future_covariates: tensor(1003, [windows, n_future, lookback + horizon], &device),
    };
    let mut graph = Graph::new("forecaster");
    let mut given = serde_json::Map::new();
    let mut take = |graph: &mut Graph, name: &str, channels: &Tensor<3>| -> Option<Value> {
        let [_, n, steps] = channels.dims();
        (n > 0).then(|| {
            given.insert(name.to_owned(), floats(channels));
            graph.input(name, Element::Float, &[Dim::Named("windows"), Dim::Fixed(n), Dim::Fixed(steps)])
        })
    };
    let inputs = ForecastInputs {
        past: take(&mut graph, "past", &batch.past).unwrap(),
        past_covariates: take(&mut graph, "past_covariates", &batch.past_covariates),
        future_covariates: take(&mut graph, "future_covariates", &batch.future_covariates),
    };
    let out = model.export(&mut graph, shape, &inputs);
    let width = config.n_quantiles() * horizon;
    graph.output("forecast", &out, Element::Float, &[Dim::Named("rows"), Dim::Fixed(width)]);
    cases.push(&graph, given.into(), json!({"forecast": floats(&model.forward(&batch))}));
}

fn small() -> ForecasterConfig {
    ForecasterConfig {
        hidden_dims: vec![9, 6],
        hidden_size: 7,
        decoder_size: 3,
        temporal_hidden: 5,
        covariate_size: 2,
        feed_forward_size: 5,
        moving_average: 5,
        ..Default::default()
    }
}

fn shape(n_targets: usize, n_past: usize, n_future: usize) -> ForecastShape {
    ForecastShape { n_targets, n_past, n_future, lookback: 10, horizon: 4 }
}

/// Point forecasts and quantiles.
fn levels() -> [Vec<f64>; 2] {
    [vec![], vec![0.1, 0.5, 0.9]]
}

#[test]
fn forecasters_of_every_kind_agree_with_onnxruntime() {
    let (mut cases, quantiles) = (Cases::new(), levels());
    for kind in ForecasterKind::ALL {
        for quantiles in &quantiles {
            for (targets, past, future) in [(1, 0, 0), (3, 0, 0), (1, 2, 3), (3, 2, 3), (3, 0, 2), (2, 1, 0)] {
                let config = ForecasterConfig { kind, quantiles: quantiles.clone(), ..small() };
                forecaster(&mut cases, &config, &shape(targets, past, future));
            }
            for norm in [InstanceNorm::None, InstanceNorm::Revin, InstanceNorm::SubtractLast] {
                for revin_affine in [false, true] {
                    let config = ForecasterConfig {
                        kind,
                        instance_norm: norm,
                        revin_affine,
                        quantiles: quantiles.clone(),
                        ..small()
                    };
                    if config.check().is_ok() {
                        forecaster(&mut cases, &config, &shape(3, 1, 1));
                    }
                }
            }
        }
    }
    println!("{} forecasters", cases.cases.len());
    assert!(cases.cases.len() > 100);
    cases.run();
}

#[test]
fn forecasters_with_every_option_agree_with_onnxruntime() {
    let (mut cases, quantiles) = (Cases::new(), levels());
    for kind in [ForecasterKind::Linear, ForecasterKind::Nlinear, ForecasterKind::Dlinear, ForecasterKind::Rlinear] {
        for (mix_channels, individual) in [(true, false), (false, true)] {
            for quantiles in &quantiles {
                let quantiles = quantiles.clone();
                let config = ForecasterConfig { kind, mix_channels, individual, quantiles, ..small() };
                forecaster(&mut cases, &config, &shape(3, 0, 0));
            }
        }
    }
    for (mix_channels, skip_connection, covariate_lookback) in
        [(true, true, false), (true, false, true), (false, true, true), (false, true, false)]
    {
        for hidden_dims in [vec![], vec![6], vec![6, 6]] {
            for norm in [Norm::None, Norm::Batch, Norm::Layer] {
                let config = ForecasterConfig {
                    mix_channels,
                    skip_connection,
                    covariate_lookback,
                    norm,
                    hidden_dims: hidden_dims.clone(),
                    quantiles: quantiles[1].clone(),
                    ..small()
                };
                forecaster(&mut cases, &config, &shape(3, 2, 2));
            }
        }
    }
    for kind in [ForecasterKind::Mlp, ForecasterKind::Tide, ForecasterKind::Tsmixer] {
        for activation in [Activation::Gelu, Activation::Silu, Activation::Tanh] {
            forecaster(&mut cases, &ForecasterConfig { kind, activation, ..small() }, &shape(2, 1, 1));
        }
    }
    for moving_average in [1, 25] {
        let config = ForecasterConfig { kind: ForecasterKind::Dlinear, moving_average, ..small() };
        forecaster(&mut cases, &config, &shape(2, 0, 0));
    }
    assert_eq!(cases.cases.len(), 63);
    cases.run();
}

/// A node that needs opset 20 raises it, and what changed between is written the new way.
#[test]
fn the_opset_is_raised_where_texts_are_taken_apart() {
    let mut cases = Cases::new();
    for raised in [false, true] {
        let mut graph = Graph::new("texts");
        let text = graph.input("text", Element::String, &[Dim::Named("rows")]);
        let number = graph.input("number", Element::Double, &[Dim::Fixed(2)]);
        let axes = [("axes", Attribute::Ints(vec![0])), ("keepdims", Attribute::Int(0))];
        let mean = graph.node("ReduceMean", &[&number], &axes);
        graph.output("mean", &mean, Element::Double, &[]);
        let level = [
            ("keys_strings", Attribute::Texts(vec!["a-1".to_owned(), "b-22".to_owned()])),
            ("values_int64s", Attribute::Ints(vec![1, 22])),
            ("default_int64", Attribute::Int(-1)),
        ];
        let mut wanted = json!({"mean": {"shape": [], "values": [2.5]}, "code": {"shape": [3], "values": [1, 22, -1]}});
        let code = graph.ml_node("LabelEncoder", &[&text], &level);
        graph.output("code", &code, Element::Int64, &[Dim::Named("rows")]);
        if raised {
            let dash = [("delimiter", Attribute::Text("-".to_owned()))];
            let [parts, _count] = graph.node_n("StringSplit", &[&text], &dash);
            let second = graph.ints(&[1], &[]);
            let second = graph.node("Gather", &[&parts, &second], &[("axis", Attribute::Int(1))]);
            let second = graph.cast(&second, Element::Int64);
            graph.output("second", &second, Element::Int64, &[Dim::Named("rows")]);
            wanted["second"] = json!({"shape": [3], "values": [1, 22, 333]});
        }
        let texts = json!({"type": "object", "shape": [3], "values": ["a-1", "b-22", "c-333"]});
        let numbers = json!({"type": "float64", "shape": [2], "values": [1.0, 4.0]});
        cases.push(&graph, json!({"text": texts, "number": numbers}), wanted);
    }
    cases.run();
}
