//! Models in our database file beside MLflow's own, files of older MLflows, and replies that a server's models lose.
//!
//! `MLFLOW_PYTHON`, `MLFLOW_PYTHON_31` and `MLFLOW2_PYTHON` name Pythons with a current MLflow, 3.1 and 2.x. Tests that
//! need one that is not there say so and pass.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "support/database.rs"]
mod database;
#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use database::{check_integrity, open, python, text};
use serde_json::{Value, json};
use server::Server;
use tempfile::TempDir;
use tracking::{
    ArtifactsOf, DatasetName, HttpOptions, Metric, ModelOutput, ModelStatus, NewLoggedModel, NewRegisteredModel,
    NewRun, NewVersion, RestStore, Stage, Store, conformance, download,
};

fn map(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.into(), value.into())])
}

fn point(key: &str, value: f64, timestamp_ms: i64, step: i64) -> Metric {
    Metric { key: key.into(), value, timestamp_ms, step }
}

/// A logged model with everything, and a registered model with a version from it and one from its run.
fn full_model(store: &dyn Store, name: &str, scratch: &Path) {
    let experiment_id = store.create_experiment("models").unwrap();
    let new = NewRun { experiment_id: experiment_id.clone(), name: "maker".into(), ..NewRun::default() };
    let run_id = store.create_run(&new).unwrap().run_id;
    let models = store.logged_models().unwrap();
    let model = models
        .create(&NewLoggedModel {
            experiment_id,
            name: "mlp".into(),
            model_type: "classifier".into(),
            source_run_id: Some(run_id.clone()),
            params: map("hidden dim", "64"),
            tags: map("team", "red"),
        })
        .unwrap();
    let file = scratch.join("file");
    for (of, path) in [
        (ArtifactsOf::Model(&model.model_id), "MLmodel"),
        (ArtifactsOf::Model(&model.model_id), "data/model.txt"),
        (ArtifactsOf::Run(&run_id), "model/MLmodel"),
    ] {
        fs::write(&file, format!("rust {path}")).unwrap();
        store.put_artifact(of, &file, path).unwrap();
    }
    models.log_outputs(&run_id, &[ModelOutput { model_id: model.model_id.clone(), step: 2 }]).unwrap();
    let adult = DatasetName { name: "adult".into(), digest: "d1".into() };
    let points = [point("auc", 0.5, 10, 1), point("auc", 0.875, 20, 2)];
    models.log_metrics(&run_id, &model.model_id, &points, Some(&adult)).unwrap();
    models.log_metrics(&run_id, &model.model_id, &[point("seconds", 1.5, 20, 2)], None).unwrap();
    models.set_status(&model.model_id, ModelStatus::Ready).unwrap();

    let registry = store.registry();
    let new = NewRegisteredModel { name: name.into(), description: "**all**".into(), tags: map("team", "red") };
    registry.create_model(&new).unwrap();
    for (source, description) in
        [(format!("models:/{}", model.model_id), "logged"), (format!("runs:/{run_id}/model"), "of the run")]
    {
        let tags = map("from", description);
        let new =
            NewVersion { name: name.into(), source, description: description.into(), tags, ..NewVersion::default() };
        registry.create_version(&new).unwrap();
    }
    registry.set_alias(name, "champion", 1).unwrap();
    registry.set_stage(name, 2, Stage::Staging, false).unwrap();
}

fn python_reads_and_continues_our_models(variable: &str) {
    let (folder, scratch) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let name = "wine model.v1";
    let store = open(folder.path());
    full_model(&store, name, scratch.path());
    let db = folder.path().join("mlflow.db");
    let Some(seen) = python(variable, "models.py", &[text(&db), name, text(scratch.path())], "") else { return };

    let files = json!({"MLmodel": "rust MLmodel", "data/model.txt": "rust data/model.txt"});
    let version = store.registry().version(name, 1).unwrap();
    let run_id = version.run_id.as_deref().unwrap();
    let expected = json!({
        "models": [name],
        "description": "**all**",
        "tags": {"team": "red"},
        "aliases": {"champion": 1},
        "versions": [
            [1, version.source, "None", "logged", {"from": "logged"}, true],
            [2, format!("runs:/{run_id}/model"), "Staging", "of the run", {"from": "of the run"}, true],
        ],
        "staging": [2],
        "champion": [1, ["champion"]],
        "champion_files": files,
        "version_files": files,
        "logged_files": files,
        "logged": ["mlp", "classifier", "READY", {"hidden dim": "64"}, true],
        "logged_tag": "red",
        "registered_as": [{"name": name, "version": 1}],
        "logged_metrics": [
            ["auc", 0.5, 10, 1, "adult", "d1", true],
            ["auc", 0.875, 20, 2, "adult", "d1", true],
            ["seconds", 1.5, 20, 2, null, null, true],
        ],
        "best": [true],
        "outputs": [[true, 2]],
        "run_metrics": {"auc": 0.875, "seconds": 1.5},
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(seen[key], *value, "{variable}: {key}");
    }
    check_models_of_python(&store, &seen, scratch.path());
    assert_eq!(store.registry().version_by_alias(name, "challenger").unwrap().version, 2);
    // The file may have a newer schema by now.
    drop(store);
    let store = open(folder.path());
    check_models_of_python(&store, &seen, scratch.path());
    let source = format!("models:/{}", seen["created"][1].as_str().unwrap());
    let new = NewVersion { name: "from python".into(), source, ..NewVersion::default() };
    assert_eq!(store.registry().create_version(&new).unwrap().version, 3);
    store.registry().rename_model("from python", "ours now").unwrap();
    assert_eq!(store.registry().version_by_alias("ours now", "best").unwrap().version, 1);
    drop(store);
    check_integrity(&db);
}

fn check_models_of_python(store: &dyn Store, seen: &Value, scratch: &Path) {
    let (run_id, model_id) = (seen["created"][0].as_str().unwrap(), seen["created"][1].as_str().unwrap());
    let model = store.logged_models().unwrap().get(model_id).unwrap();
    assert_eq!(
        (model.name.as_str(), model.model_type.as_str(), model.status),
        ("sk-model", "tree", ModelStatus::Ready)
    );
    assert_eq!((model.params, model.tags["lang"].as_str()), (map("depth", "3"), "python"));
    assert_eq!((model.metrics.len(), &model.metrics[0].metric), (1, &point("auc", 0.75, 1000, 4)));
    assert_eq!(model.metrics[0].dataset, Some(DatasetName { name: "iris".into(), digest: "d9".into() }));
    assert_eq!(store.run(run_id).unwrap().outputs, [ModelOutput { model_id: model_id.into(), step: 4 }]);

    let registry = store.registry();
    let registered = registry.model("from python").unwrap();
    assert_eq!((registered.description.as_str(), registered.tags), ("of Python", map("team", "blue")));
    assert_eq!(registered.aliases, BTreeMap::from([("best".into(), 1)]));
    let versions = registry.versions("from python").unwrap();
    assert_eq!((versions.len(), versions[0].stage, versions[1].stage), (2, Stage::None, Stage::Production));
    assert_eq!((versions[1].description.as_str(), &versions[1].tags), ("second", &map("checked", "yes")));
    assert_eq!(versions[0].run_id.as_deref(), Some(run_id));
    for uri in [
        "models:/from python@best".to_owned(),
        "models:/from python/Production".into(),
        format!("models:/{model_id}"),
        format!("runs:/{run_id}/sk-model"),
    ] {
        let target = TempDir::new_in(scratch).unwrap();
        assert_eq!(download(store, &uri, target.path()).unwrap(), 2, "{uri}");
        assert_eq!(fs::read_to_string(target.path().join("data/model.txt")).unwrap(), "python data/model.txt", "{uri}");
    }
}

#[test]
fn current_mlflow_reads_and_continues_our_models() {
    python_reads_and_continues_our_models("MLFLOW_PYTHON");
}

#[test]
fn mlflow_31_reads_and_continues_our_models() {
    python_reads_and_continues_our_models("MLFLOW_PYTHON_31");
}

/// A file that MLflow 2 made has runs and the registry, and says what it has not.
#[test]
fn a_file_made_by_mlflow_2_conforms_without_logged_models() {
    let (folder, scratch) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let db = folder.path().join("mlflow.db");
    if python("MLFLOW2_PYTHON", "schema.py", &[text(&db)], "").is_none() {
        return;
    }
    let store = open(folder.path());
    let error = store.logged_models().err().unwrap().to_string();
    assert!(error.contains("mlflow db upgrade sqlite:///") && error.contains("MLflow 3"), "{error}");
    conformance::run(Arc::new(store), scratch.path());
    check_integrity(&db);
}

/// Passes requests on to a server. The reply to the first one of each path in `lost` is thrown away after the server has
/// done its work.
struct Lossy {
    address: String,
    thrown_away: Arc<AtomicUsize>,
}

impl Lossy {
    fn before(server: &Server, lost: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let target = server.uri.trim_start_matches("http://").to_owned();
        let thrown_away = Arc::new(AtomicUsize::new(0));
        let count = thrown_away.clone();
        let mut left = lost.to_vec();
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let request = read_request(&mut client);
                let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
                let reply = ask(&target, &request);
                match left.iter().position(|path| line.starts_with(&format!("POST {path} "))) {
                    Some(at) => {
                        left.remove(at);
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    None => client.write_all(&reply).unwrap(),
                }
                let _ = client.shutdown(Shutdown::Both);
            }
        });
        Self { address, thrown_away }
    }
}

/// One request with its body, told to be the last of its connection.
fn read_request(client: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body).unwrap();
    [head.trim_end().as_bytes(), b"\r\nConnection: close\r\n\r\n", &body].concat()
}

fn ask(target: &str, request: &[u8]) -> Vec<u8> {
    let mut server = TcpStream::connect(target).unwrap();
    server.write_all(request).unwrap();
    let mut reply = Vec::new();
    server.read_to_end(&mut reply).unwrap();
    reply
}

/// A reply that is lost after the server has committed makes no second model, version or output.
#[test]
fn a_lost_reply_makes_nothing_twice() {
    let folder = TempDir::new().unwrap();
    let Some(server) = Server::start("MLFLOW_PYTHON", folder.path(), &[]) else { return };
    let lossy = Lossy::before(
        &server,
        &[
            "/api/2.0/mlflow/logged-models",
            "/api/2.0/mlflow/model-versions/create",
            "/api/2.0/mlflow/runs/outputs",
            "/api/2.0/mlflow/runs/log-batch",
        ],
    );
    let store = RestStore::new(&format!("http://{}", lossy.address), &HttpOptions::default()).unwrap();
    full_model(&store, "wine", folder.path());
    assert_eq!(lossy.thrown_away.load(Ordering::Relaxed), 4);

    let versions = store.registry().versions("wine").unwrap();
    assert_eq!(versions.iter().map(|version| version.version).collect::<Vec<_>>(), [1, 2]);
    assert!(versions.iter().all(|version| version.tags.keys().eq(["from"])), "the marks of the creations are gone");
    let experiment = store.experiment_by_name("models").unwrap().unwrap();
    let models = store.logged_models().unwrap().list(&[experiment.experiment_id]).unwrap();
    assert_eq!((models.len(), models[0].metrics.len()), (1, 3));
    assert_eq!(models[0].tags.keys().collect::<Vec<_>>(), ["mlflow.modelVersions", "team"]);
    let run = store.run(models[0].source_run_id.as_deref().unwrap()).unwrap();
    assert_eq!((run.outputs.len(), store.metric_history(&run.info.run_id, "auc").unwrap().len()), (1, 2));
}
