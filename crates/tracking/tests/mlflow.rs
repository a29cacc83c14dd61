//! Our database file beside MLflow's own: same schema, and each reads and continues what the other wrote.
//!
//! `MLFLOW_PYTHON` names a Python that has a current MLflow, `MLFLOW_PYTHON_31` one that has MLflow 3.0 or 3.1. Tests
//! that need one that is not there say so and pass.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "support/database.rs"]
mod database;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use database::{check_integrity, open, python, text};
use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tracking::{
    ArtifactsOf, Batch, Dataset, DatasetInput, Error, Lifecycle, MemoryStore, Metric, NewRun, RunQuery, RunStatus,
    SqliteStore, Store, ViewType,
};

/// Of the statements in `normalised` form that MLflow 3.1.4 itself makes.
const MLFLOW_31_SCHEMA: &str = "6e2c87a19c2643fdfc006bc5b7c9edc5fd825dc0463cf4639b9a12c82b92f8e5";

/// Statements without white space and quotes, sorted: what is left is what SQLite and migrations see.
fn normalised(statements: &[String]) -> Vec<String> {
    let mut lines: Vec<String> =
        statements.iter().map(|sql| sql.chars().filter(|c| !c.is_whitespace() && *c != '"').collect()).collect();
    lines.sort();
    lines
}

fn our_schema() -> Vec<String> {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()));
    let connection = Connection::open(folder.path().join("mlflow.db")).unwrap();
    let mut statement = connection
        .prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_stat%'")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    normalised(&rows.collect::<Result<Vec<String>, _>>().unwrap())
}

#[test]
fn schema_has_the_digest_of_mlflow_31() {
    let schema = our_schema();
    assert_eq!(schema.iter().filter(|sql| sql.starts_with("CREATETABLE")).count(), 23);
    let digest: String = Sha256::digest(schema.join("\n")).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, MLFLOW_31_SCHEMA);
}

#[test]
fn schema_is_what_mlflow_31_makes() {
    let folder = TempDir::new().unwrap();
    let Some(statements) = python("MLFLOW_PYTHON_31", "schema.py", &[text(&folder.path().join("m.db"))], "") else {
        return;
    };
    let theirs: Vec<String> = serde_json::from_value(statements).unwrap();
    // MLflow keeps the constraints of a table in a set: their order is another one each time.
    let parts = |schema: Vec<String>| -> Vec<Vec<String>> {
        let sorted = |sql: &String| {
            let mut parts: Vec<String> = sql.split(',').map(|part| part.trim_end_matches(')').to_owned()).collect();
            parts.sort();
            parts
        };
        schema.iter().map(sorted).collect()
    };
    assert_eq!(parts(our_schema()), parts(normalised(&theirs)));
}

fn point(key: &str, value: f64, timestamp_ms: i64, step: i64) -> Metric {
    Metric { key: key.into(), value, timestamp_ms, step }
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.into(), value.into())
}

/// A run with everything in it.
fn full_run(store: &dyn Store, scratch: &Path) -> String {
    let experiment_id = store.create_experiment("tabular").unwrap();
    store.set_experiment_tag(&experiment_id, "team", "red").unwrap();
    let tags = BTreeMap::from([pair("mlflow.source.type", "LOCAL")]);
    let new =
        NewRun { experiment_id, name: "from rust".into(), user: "ada".into(), start_time_ms: 1_700_000_000_000, tags };
    let run_id = store.create_run(&new).unwrap().run_id;
    let batch = Batch {
        metrics: vec![
            point("loss", 1.0, 10, 0),
            point("loss", f64::NAN, 20, 1),
            point("loss", 0.25, 30, 2),
            point("val_auc", 0.9, 30, 2),
            point("diverged", f64::NAN, 30, 2),
            point("up", f64::INFINITY, 30, 2),
        ],
        params: vec![pair("model", "mlp"), pair("hidden dim", "64")],
        tags: vec![pair("mlflow.note.content", "**bold**")],
    };
    store.log_batch(&run_id, &batch).unwrap();
    let dataset = Dataset {
        name: "adult".into(),
        digest: "d1".into(),
        source_type: "local".into(),
        source: r#"{"uri": "adult.csv"}"#.into(),
        schema: None,
        profile: Some(r#"{"num_rows": 48842}"#.into()),
    };
    let tags = BTreeMap::from([pair("mlflow.data.context", "training")]);
    store.log_inputs(&run_id, &[DatasetInput { dataset, tags }]).unwrap();
    let file = scratch.join("a.txt");
    fs::write(&file, "artifact of rust").unwrap();
    store.put_artifact(ArtifactsOf::Run(&run_id), &file, "plots/a.txt").unwrap();
    store.update_run(&run_id, RunStatus::Finished, Some(1_700_000_060_000), None).unwrap();
    run_id
}

/// A current MLflow migrates our file while we have it open, reads and writes, and we go on.
#[test]
fn current_mlflow_reads_and_continues_our_file() {
    let folder = TempDir::new().unwrap();
    let scratch = TempDir::new().unwrap();
    let db = folder.path().join("mlflow.db");
    let store = open(folder.path());
    let run_id = full_run(&store, scratch.path());
    let arguments = [text(&db), &run_id, text(scratch.path())];
    let Some(seen) = python("MLFLOW_PYTHON", "read_and_write.py", &arguments, "") else {
        return;
    };

    let expected = json!({
        "experiment": "tabular",
        "experiment_tags": {"team": "red"},
        "name": "from rust",
        "user": "ada",
        "status": "FINISHED",
        "start_time": 1_700_000_000_000_i64,
        "end_time": 1_700_000_060_000_i64,
        "params": {"model": "mlp", "hidden dim": "64"},
        "tags": {
            "mlflow.runName": "from rust",
            "mlflow.user": "ada",
            "mlflow.source.type": "LOCAL",
            "mlflow.note.content": "**bold**",
        },
        "metrics": {"loss": 0.25, "val_auc": 0.9, "diverged": "NaN", "up": f64::MAX},
        "history": [[0, 10, 1.0], [1, 20, "NaN"], [2, 30, 0.25]],
        "inputs": [["adult", "d1", "{\"num_rows\": 48842}", {"mlflow.data.context": "training"}]],
        "artifacts": [["plots/a.txt", false, 16]],
        "artifact": "artifact of rust",
        "found": [run_id],
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(without_new_tags(key, &seen[key]), *value, "{key}");
    }

    let python_run = seen["created"].as_str().unwrap();
    check_python_run(&store, python_run);
    continue_run(&store, python_run);
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.run(python_run).unwrap().metrics["loss"].step, 2);
    assert_eq!(store.experiments(ViewType::All).unwrap().len(), 3, "Default, tabular, after");
    drop(store);
    check_integrity(&db);
}

/// Current versions tag every experiment with its kind.
fn without_new_tags(key: &str, seen: &Value) -> Value {
    let mut seen = seen.clone();
    if key == "experiment_tags" {
        seen.as_object_mut().unwrap().remove("mlflow.experimentKind");
    }
    seen
}

fn check_python_run(store: &dyn Store, run_id: &str) {
    let run = store.run(run_id).unwrap();
    assert_eq!(
        (run.info.name.as_str(), run.info.status, run.info.end_time_ms),
        ("from python", RunStatus::Failed, Some(5_000))
    );
    assert_eq!(run.params, BTreeMap::from([pair("hidden dim", "64"), pair("model", "tree")]));
    assert_eq!((run.tags["lang"].as_str(), run.tags["group"].as_str()), ("python", "b"));
    assert_eq!(run.metrics["loss"], point("loss", 0.25, 2_000, 1));
    assert!(run.metrics["bad"].value.is_nan());
    assert_eq!(store.metric_history(run_id, "loss").unwrap().len(), 2);
    assert_eq!(run.inputs.len(), 1);
    assert_eq!(
        (run.inputs[0].dataset.name.as_str(), run.inputs[0].tags["mlflow.data.context"].as_str()),
        ("iris", "training")
    );
    let notes = store.list_artifacts(ArtifactsOf::Run(run_id), "notes").unwrap();
    assert_eq!((notes.len(), notes[0].path.as_str(), notes[0].bytes), (1, "notes/hello.txt", Some(5)));
    let experiment = store.experiment(&run.info.experiment_id).unwrap();
    assert_eq!((experiment.lifecycle, experiment.tags["seen"].as_str()), (Lifecycle::Active, "yes"));
}

/// Writes on, into Python's run too.
fn continue_run(store: &dyn Store, python_run: &str) {
    let metrics = vec![point("loss", 0.125, 3_000, 2)];
    store.log_batch(python_run, &Batch { metrics, ..Batch::default() }).unwrap();
    let experiment_id = store.create_experiment("after").unwrap();
    assert!(matches!(store.create_experiment("after").unwrap_err(), Error::AlreadyExists(_)));
    let run = store.create_run(&NewRun { experiment_id, name: "late".into(), ..NewRun::default() }).unwrap();
    assert_eq!(store.run(&run.run_id).unwrap().info.name, "late");
}

/// A file that Python made from scratch, with the newest schema, passes the whole suite.
#[test]
fn a_file_made_by_current_mlflow_conforms() {
    let folder = TempDir::new().unwrap();
    let scratch = TempDir::new().unwrap();
    let db = folder.path().join("mlflow.db");
    if python("MLFLOW_PYTHON", "schema.py", &[text(&db)], "").is_none() {
        return;
    }
    let store = Arc::new(open(folder.path()));
    assert_eq!(store.experiment("0").unwrap().name, "Default");
    tracking::conformance::run(store.clone(), scratch.path());
    drop(store);
    check_integrity(&db);
}

/// Six runs in experiment 0, `r0`..`r5`, with gaps, NaN and infinity.
fn six_runs(store: &dyn Store) {
    let runs = [
        (Some(0.5), "mlp", Some("a")),
        (Some(f64::NAN), "MLP", None),
        (None, "tree", Some("b")),
        (Some(-1.0), "", Some("")),
        (Some(f64::NEG_INFINITY), "100% linear", None),
        (Some(0.5), "mlp_x", Some("a.b")),
    ];
    for (index, (auc, model, group)) in runs.into_iter().enumerate() {
        let new = NewRun {
            experiment_id: "0".into(),
            name: format!("r{index}"),
            start_time_ms: index as i64,
            ..NewRun::default()
        };
        let run_id = store.create_run(&new).unwrap().run_id;
        let metrics = auc.map(|auc| point("val/auc", auc, 1, 1)).into_iter().collect();
        let params = if model.is_empty() { Vec::new() } else { vec![pair("model", model)] };
        let tags = group.map(|group| pair("group.x", group)).into_iter().collect();
        store.log_batch(&run_id, &Batch { metrics, params, tags }).unwrap();
        if index % 2 == 0 {
            store.update_run(&run_id, RunStatus::Failed, Some(100 - index as i64), None).unwrap();
        }
    }
}

/// Searches, also ill-formed ones: `(filter, order_by)`.
const SEARCHES: &[(&str, &[&str])] = &[
    ("metrics.`val/auc` < 1", &[]),
    ("metrics.\"val/auc\" != 0.5", &[]),
    ("metrics.`val/auc` = 0", &[]),
    ("metrics.`val/auc` <= -1e0 and start_time < 4", &[]),
    ("metrics.`val/auc` > .25 AND params.model LIKE 'mlp%'", &[]),
    ("metrics.val/auc > 0", &[]),
    ("metrics.`val/auc` == 1", &[]),
    ("metrics.`val/auc` <> 1", &[]),
    ("metrics.`val/auc` > nan", &[]),
    ("metrics.`val/auc` > '1'", &[]),
    ("metrics.`val/auc` IS NULL", &[]),
    ("metrics.`val/auc` LIKE 'a'", &[]),
    ("params.model IS NULL", &[]),
    ("params.model IS NOT NULL", &[]),
    ("params.model is not null and tags.group.x is null", &[]),
    ("params.model = 'mlp'", &[]),
    ("params.model != 'mlp'", &[]),
    ("params.model LIKE '%l_'", &[]),
    ("params.model ilike 'ML%'", &[]),
    ("params.model LIKE '100% linear'", &[]),
    ("params.model LIKE ''", &[]),
    ("params.model IN ('mlp')", &[]),
    ("params.model NOT LIKE 'mlp'", &[]),
    ("params.model RLIKE 'mlp'", &[]),
    ("params.model = 1", &[]),
    ("params.model = mlp", &[]),
    ("params.model = 'mlp", &[]),
    ("tags.group.x = ''", &[]),
    ("tags.`group.x` = 'a'", &[]),
    ("tags.'group.x' != \"a\"", &[]),
    ("tags.mlflow.runName LIKE 'r%' and tags.mlflow.runName != 'r1'", &[]),
    ("run_name = 'r1'", &[]),
    ("`Run name` = 'r1'", &[]),
    ("attributes.`run name` LIKE '%2'", &[]),
    ("run_name IN ('r1')", &[]),
    ("status = 'FAILED' and end_time > 97", &[]),
    ("end_time != 100", &[]),
    ("attr.status LIKE 'RUN%'", &[]),
    ("status IS NULL", &[]),
    ("Created >= 3", &[]),
    ("start_time > 2.5", &[]),
    ("start_time > '2'", &[]),
    ("lifecycle_stage = 'active'", &[]),
    ("run_id IN ()", &[]),
    ("run_id IN (1)", &[]),
    ("run_id NOT IN ('x', \"y\")", &[]),
    ("datasets.name = 'x'", &[]),
    ("datasets.size = 'x'", &[]),
    ("start_time > 1 AND", &[]),
    ("start_time > 1 start_time < 4", &[]),
    ("start_time > 1 AND AND start_time < 4", &[]),
    ("AND start_time > 1", &[]),
    ("metrics.`val/auc` > -2 metrics.`val/auc` < 1", &[]),
    ("params.model = 'mlp' tags.group.x = 'a'", &[]),
    ("start_time > 1 OR start_time < 4", &[]),
    ("start_time > 1; start_time < 4", &[]),
    ("NOT start_time > 1", &[]),
    ("(start_time > 1)", &[]),
    ("1 < start_time", &[]),
    ("start_time", &[]),
    ("start_time >", &[]),
    ("", &["metrics.`val/auc`"]),
    ("", &["metrics.`val/auc` DESC"]),
    ("", &["metrics.`val/auc` DESC", "start_time ASC"]),
    ("", &["params.model DESC"]),
    ("", &["params.model", "metrics.`val/auc`"]),
    ("", &["tags.group.x desc"]),
    ("", &["status", "end_time DESC"]),
    ("", &["end_time"]),
    ("", &["run_name DESC"]),
    ("", &["created"]),
    ("", &["metrics.nothing"]),
    ("", &["start_time", "created"]),
    ("", &["metrics.`val/auc` UP"]),
    ("", &["datasets.name"]),
    ("", &["nothing"]),
    ("", &["metrics.`val/auc` DESC, start_time"]),
];

fn answers(store: &dyn Store) -> Vec<Option<Vec<String>>> {
    let answer = |(filter, order_by): &(&str, &[&str])| {
        let query = RunQuery {
            experiment_ids: vec!["0".into()],
            filter: (*filter).into(),
            order_by: order_by.iter().map(|&key| key.to_owned()).collect(),
            ..RunQuery::default()
        };
        let found = store.search_runs(&query).ok()?;
        Some(found.items.into_iter().map(|run| run.info.name).collect())
    };
    SEARCHES.iter().map(answer).collect()
}

/// Memory, SQL and MLflow itself find the same runs, and refuse the same searches.
#[test]
fn searches_mean_what_they_mean_in_mlflow() {
    let folder = TempDir::new().unwrap();
    let sqlite = open(folder.path());
    let memory = MemoryStore::new(folder.path());
    six_runs(&sqlite);
    six_runs(&memory);
    let ours = answers(&sqlite);
    assert!(ours.iter().flatten().filter(|found| !found.is_empty()).count() > 30, "{ours:?}");
    for (search, (in_sql, in_memory)) in SEARCHES.iter().zip(ours.iter().zip(answers(&memory))) {
        assert_eq!(*in_sql, in_memory, "{search:?}");
    }
    drop(sqlite);
    let input = serde_json::to_string(SEARCHES).unwrap();
    let Some(theirs) = python("MLFLOW_PYTHON", "search.py", &[text(&folder.path().join("mlflow.db"))], &input) else {
        return;
    };
    let theirs: Vec<Option<Vec<String>>> = serde_json::from_value(theirs).unwrap();
    let different: Vec<_> =
        SEARCHES.iter().zip(ours.iter().zip(&theirs)).filter(|(_, (ours, theirs))| ours != theirs).collect();
    assert!(different.is_empty(), "search, (ours, MLflow's): {different:#?}");
}

#[test]
fn other_files_are_refused() {
    let folder = TempDir::new().unwrap();
    let refused = |name: &str| {
        let path = folder.path().join(name);
        let before = fs::read(&path).unwrap();
        let error = SqliteStore::open(&path, folder.path()).err().unwrap().to_string();
        assert!(error.contains(name), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before, "a refused file is left as it was");
        error
    };
    fs::write(folder.path().join("notes.txt"), "no database at all, but long enough to have a header".repeat(20))
        .unwrap();
    assert!(refused("notes.txt").contains("not a database"));
    let create =
        |name: &str, sql: &str| Connection::open(folder.path().join(name)).unwrap().execute_batch(sql).unwrap();
    create("other.db", "CREATE TABLE users (id INTEGER)");
    assert!(refused("other.db").contains("not one of MLflow"));
    create(
        "old.db",
        "CREATE TABLE alembic_version (version_num); CREATE TABLE experiments (experiment_id INTEGER, name)",
    );
    assert!(refused("old.db").contains("mlflow db upgrade"));
}
