//! The files that make a folder an MLflow model: `MLmodel`, environments, examples, and the Python module that feeds the
//! graph.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use chrono::Utc;
use dataset::DatasetInfo;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Export, Field};
use crate::download::hex;
use crate::session::Session;

/// MLflow's own loader, `mlflow.onnx`, hands a data frame's columns to onnxruntime as they are. onnxruntime refuses the
/// string columns of pandas 3 ("Input must be a list of dictionaries or a single numpy array"), integers where the graph
/// has `double`, and booleans with gaps. Hence this loader. Python keeps a module by its name, so a name stands for one
/// behaviour: give the file another number when it changes.
const LOADER: (&str, &str) = ("table_to_onnx_1", include_str!("table_to_onnx_1.py"));

/// The type of every input in the signature. With `double` MLflow (2.22 to 3.17) refuses a column that happens to hold
/// whole numbers, with `long` one with gaps, with `string` one without any text; the loader takes them all, and says what it
/// cannot take. `metadata.input_types` has the types.
const ANY: &str = "any";
/// The MLflow whose layout this is.
const MLFLOW_VERSION: &str = "3.1.0";
const PYTHON_VERSION: &str = "3.11";
/// What running `model.onnx` takes. onnxruntime 1.17 came with opset 20, which dates in a graph need.
const REQUIREMENTS: [&str; 5] = ["mlflow>=2.22", "numpy>=1.24", "onnx>=1.15", "onnxruntime>=1.17", "pandas>=2.0"];

/// `MLmodel`, keys in MLflow's order.
#[derive(Serialize)]
struct MlModel {
    artifact_path: &'static str,
    flavors: BTreeMap<&'static str, Value>,
    metadata: Value,
    mlflow_version: &'static str,
    model_size_bytes: usize,
    model_uuid: String,
    run_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved_input_example_info: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<Value>,
    utc_time_created: String,
}

/// Writes the files into `model/`. Without an export there is a flavor of ours only.
pub fn write(session: &Session, model_type: &str, export: Option<&Export>, info: &DatasetInfo) -> Result<()> {
    let yaml = |value: &Value| serde_yaml::to_string(value);
    if let Some(export) = export {
        session.write_file("model/model.onnx", |temporary| fs::write(temporary, &export.onnx))?;
        session.write_text(&format!("model/code/{}.py", LOADER.0), LOADER.1)?;
        session.write_text("model/requirements.txt", &(REQUIREMENTS.join("\n") + "\n"))?;
        session.write_text("model/conda.yaml", &yaml(&conda())?)?;
        session.write_text("model/python_env.yaml", &yaml(&python_env())?)?;
        let names: Vec<&str> = export.inputs.iter().map(|field| field.name.as_str()).collect();
        if !export.example.is_empty() {
            let example = json!({"columns": names, "data": export.example});
            session.write_text("model/input_example.json", &example.to_string())?;
            let serving = serde_json::to_string_pretty(&json!({"dataframe_split": example}))?;
            session.write_text("model/serving_input_example.json", &serving)?;
        }
    }
    let model = ml_model(session.run.id(), model_type, export, info);
    session.write_text("model/MLmodel", &serde_yaml::to_string(&model)?)
}

fn ml_model(run_id: &str, model_type: &str, export: Option<&Export>, info: &DatasetInfo) -> MlModel {
    let version = env!("CARGO_PKG_VERSION");
    let mut flavors = BTreeMap::from([("bundle", json!({"data": "bundle.json", "version": version}))]);
    if export.is_some() {
        flavors.insert(
            "onnx",
            json!({"data": "model.onnx", "onnx_version": "1.15.0", "providers": ["CPUExecutionProvider"]}),
        );
        flavors.insert(
            "python_function",
            json!({
                "code": "code",
                "data": "model.onnx",
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": LOADER.0,
                "python_version": PYTHON_VERSION,
            }),
        );
    }
    let onnx = export.map_or(&[][..], |export| &export.onnx);
    let typed = |field: &Field| (field.name.clone(), json!(field.kind));
    let input_types: serde_json::Map<String, Value> =
        export.map_or(&[][..], |export| &export.inputs).iter().map(typed).collect();
    let created = Utc::now().format("%Y-%m-%d %H:%M:%S%.6f").to_string();
    MlModel {
        artifact_path: "model",
        flavors,
        metadata: json!({
            "app_version": version,
            "model_type": model_type,
            "dataset_name": info.name,
            "dataset_digest": info.digest,
            "input_types": input_types,
        }),
        mlflow_version: MLFLOW_VERSION,
        model_size_bytes: onnx.len(),
        model_uuid: model_uuid(run_id, &created, onnx),
        run_id: run_id.to_owned(),
        saved_input_example_info: export.filter(|export| !export.example.is_empty()).map(|_| {
            json!({
                "artifact_path": "input_example.json",
                "pandas_orient": "split",
                "serving_input_path": "serving_input_example.json",
                "type": "dataframe",
            })
        }),
        signature: export.map(|export| {
            let inputs: Vec<Field> =
                export.inputs.iter().map(|field| Field { name: field.name.clone(), kind: ANY }).collect();
            json!({"inputs": columns(&inputs), "outputs": columns(&export.outputs), "params": null})
        }),
        utc_time_created: created,
    }
}

/// MLflow's column specifications, as JSON inside the YAML.
fn columns(fields: &[Field]) -> String {
    let column = |field: &Field| json!({"type": field.kind, "name": field.name, "required": true});
    json!(fields.iter().map(column).collect::<Vec<_>>()).to_string()
}

/// 32 hex digits that no other model has.
fn model_uuid(run_id: &str, created: &str, onnx: &[u8]) -> String {
    let mut hasher = Sha256::new();
    [run_id.as_bytes(), created.as_bytes(), onnx].iter().for_each(|part| hasher.update(part));
    hex(&hasher.finalize()[..16])
}

fn conda() -> Value {
    json!({
        "channels": ["conda-forge"],
        "dependencies": [format!("python={PYTHON_VERSION}"), "pip", {"pip": REQUIREMENTS}],
        "name": "mlflow-env",
    })
}

fn python_env() -> Value {
    json!({
        "python": PYTHON_VERSION,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    })
}
