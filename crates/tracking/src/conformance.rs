//! What every [`Store`] must do, checked from outside. Call [`run`] from a test of each implementation.
//!
//! The suite makes experiments with fresh names only, so it can run against a server that others use. It asks for
//! nothing that stock MLflow servers, 2.x and 3.x, do not do.
#![allow(clippy::unwrap_used, reason = "a test suite: a panic is how it says no")]

mod models;
mod ranked;
mod registry;
mod run_models;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;

use uuid::Uuid;

use crate::{
    ArtifactsOf, Batch, Dataset, DatasetInput, Error, Lifecycle, Metric, NewRun, RunData, RunInfo, RunQuery, RunStatus,
    Store, ViewType,
};

/// Runs the whole suite; `scratch` is an empty folder for local files.
///
/// # Panics
/// At the first thing that a store does differently.
pub fn run(shared: Arc<dyn Store>, scratch: &Path) {
    let store = shared.as_ref();
    experiments(store);
    experiment_race(store);
    runs(store);
    params(store);
    metrics(store);
    metric_race(store);
    big_batch(store);
    tags(store);
    limits(store);
    inputs(store);
    input_race(store);
    artifacts(store, scratch);
    search(store);
    invalid_searches(store);
    paging(store);
    bin(store);
    ranked::run(store);
    unknown_ids(store, scratch);
    registry::run(store, scratch);
    models::run(store, scratch);
    run_models::run(&shared, scratch);
}

fn fresh_name(what: &str) -> String {
    format!("conformance-{what}-{}", Uuid::new_v4().simple())
}

fn fresh_experiment(store: &dyn Store, what: &str) -> String {
    store.create_experiment(&fresh_name(what)).unwrap()
}

fn start(store: &dyn Store, experiment_id: &str, name: &str, start_time_ms: i64) -> RunInfo {
    let tags = BTreeMap::from([("mlflow.source.name".to_owned(), "train".to_owned())]);
    let run =
        NewRun { experiment_id: experiment_id.into(), name: name.into(), user: "ada".into(), start_time_ms, tags };
    store.create_run(&run).unwrap()
}

fn fresh_run(store: &dyn Store, what: &str) -> RunInfo {
    start(store, &fresh_experiment(store, what), what, 1_700_000_000_000)
}

fn point(key: &str, value: f64, timestamp_ms: i64, step: i64) -> Metric {
    Metric { key: key.into(), value, timestamp_ms, step }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn log_metrics(store: &dyn Store, run_id: &str, metrics: Vec<Metric>) {
    store.log_batch(run_id, &Batch { metrics, ..Batch::default() }).unwrap();
}

fn log_params(store: &dyn Store, run_id: &str, params: &[(&str, &str)]) -> Result<(), Error> {
    store.log_batch(run_id, &Batch { params: pairs(params), ..Batch::default() })
}

fn log_tags(store: &dyn Store, run_id: &str, tags: &[(&str, &str)]) {
    store.log_batch(run_id, &Batch { tags: pairs(tags), ..Batch::default() }).unwrap();
}

fn experiments(store: &dyn Store) {
    let name = fresh_name("experiments");
    assert_eq!(store.experiment_by_name(&name).unwrap(), None);
    let id = store.create_experiment(&name).unwrap();
    let error = store.create_experiment(&name).unwrap_err();
    assert!(matches!(error, Error::AlreadyExists(_)), "{error}");
    assert!(error.to_string().contains(&name), "{error}");

    store.set_experiment_tag(&id, "team", "red").unwrap();
    store.set_experiment_tag(&id, "team", "blue").unwrap();
    let experiment = store.experiment(&id).unwrap();
    assert_eq!((experiment.experiment_id.as_str(), experiment.name.as_str()), (id.as_str(), name.as_str()));
    assert_eq!(experiment.lifecycle, Lifecycle::Active);
    assert_eq!(experiment.tags["team"], "blue");
    assert!(experiment.creation_time_ms > 1_600_000_000_000 && !experiment.artifact_location.is_empty());
    assert_eq!(store.experiment_by_name(&name).unwrap(), Some(experiment));
    assert!(store.experiment_by_name(&name.to_uppercase()).unwrap().is_none(), "names are case-sensitive");

    store.delete_experiment(&id).unwrap();
    assert_eq!(store.experiment(&id).unwrap().lifecycle, Lifecycle::Deleted);
    assert_eq!(store.experiment_by_name(&name).unwrap().unwrap().lifecycle, Lifecycle::Deleted);
    assert!(matches!(store.create_experiment(&name).unwrap_err(), Error::AlreadyExists(_)));
    assert!(!listed(store, ViewType::ActiveOnly, &id) && listed(store, ViewType::DeletedOnly, &id));
    assert!(listed(store, ViewType::All, &id));
    store.restore_experiment(&id).unwrap();
    assert!(listed(store, ViewType::ActiveOnly, &id) && !listed(store, ViewType::DeletedOnly, &id));

    let newer = fresh_experiment(store, "experiments");
    let ids: Vec<String> =
        store.experiments(ViewType::ActiveOnly).unwrap().into_iter().map(|found| found.experiment_id).collect();
    let place = |id: &String| ids.iter().position(|other| other == id).unwrap();
    assert!(place(&newer) < place(&id), "newest first");
}

fn listed(store: &dyn Store, view: ViewType, id: &str) -> bool {
    store.experiments(view).unwrap().iter().any(|experiment| experiment.experiment_id == id)
}

/// Of many that create one experiment at once, one wins and the others find it.
fn experiment_race(store: &dyn Store) {
    let name = fresh_name("race");
    let attempts: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| store.create_experiment(&name))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let created: Vec<_> = attempts.iter().filter_map(|attempt| attempt.as_ref().ok()).collect();
    assert_eq!(created.len(), 1, "{attempts:?}");
    let lost = attempts.iter().filter(|attempt| matches!(attempt, Err(Error::AlreadyExists(_)))).count();
    assert_eq!(lost, 3, "{attempts:?}");
    assert_eq!(&store.experiment_by_name(&name).unwrap().unwrap().experiment_id, created[0]);
}

fn runs(store: &dyn Store) {
    let experiment_id = fresh_experiment(store, "runs");
    let info = start(store, &experiment_id, "first", 1_700_000_000_123);
    assert!(info.run_id.len() == 32 && info.run_id.chars().all(|c| c.is_ascii_hexdigit()), "{}", info.run_id);
    assert_eq!((info.experiment_id.as_str(), info.name.as_str()), (experiment_id.as_str(), "first"));
    assert_eq!((info.user.as_str(), info.status, info.lifecycle), ("ada", RunStatus::Running, Lifecycle::Active));
    assert_eq!((info.start_time_ms, info.end_time_ms), (1_700_000_000_123, None));
    assert!(info.artifact_uri.contains(&info.run_id), "{}", info.artifact_uri);

    let run = store.run(&info.run_id).unwrap();
    assert_eq!(run.info, info);
    assert!(run.params.is_empty() && run.metrics.is_empty() && run.inputs.is_empty());
    for (key, value) in [("mlflow.runName", "first"), ("mlflow.user", "ada"), ("mlflow.source.name", "train")] {
        assert_eq!(run.tags.get(key).map(String::as_str), Some(value), "{key}");
    }

    for status in [RunStatus::Finished, RunStatus::Failed, RunStatus::Killed] {
        store.update_run(&info.run_id, status, Some(1_700_000_060_000), None).unwrap();
        let ended = store.run(&info.run_id).unwrap().info;
        assert_eq!((ended.status, ended.end_time_ms), (status, Some(1_700_000_060_000)));
    }
    store.update_run(&info.run_id, RunStatus::Running, None, None).unwrap();
    let resumed = store.run(&info.run_id).unwrap().info;
    assert_eq!(resumed, info, "a resumed run has no end");

    store.update_run(&info.run_id, RunStatus::Running, None, Some("second")).unwrap();
    let renamed = store.run(&info.run_id).unwrap();
    assert_eq!((renamed.info.name.as_str(), renamed.tags["mlflow.runName"].as_str()), ("second", "second"));
    log_tags(store, &info.run_id, &[("mlflow.runName", "third")]);
    let renamed = store.run(&info.run_id).unwrap();
    assert_eq!((renamed.info.name.as_str(), renamed.tags["mlflow.runName"].as_str()), ("third", "third"));
}

fn params(store: &dyn Store) {
    let run_id = fresh_run(store, "params").run_id;
    log_params(store, &run_id, &[("lr", "0.1"), ("hidden dim", "64"), ("empty", "")]).unwrap();
    log_params(store, &run_id, &[("lr", "0.1")]).unwrap();
    let error = log_params(store, &run_id, &[("epochs", "3"), ("lr", "0.2")]).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    for part in ["Changing param values is not allowed", "lr", "0.1", "0.2", &run_id] {
        assert!(error.to_string().contains(part), "`{part}` in: {error}");
    }
    let expected: BTreeMap<_, _> = pairs(&[("lr", "0.1"), ("hidden dim", "64"), ("empty", "")]).into_iter().collect();
    assert_eq!(store.run(&run_id).unwrap().params, expected, "nothing of a refused batch is written");
}

fn metrics(store: &dyn Store) {
    let run_id = fresh_run(store, "metrics").run_id;
    // Out of order, and twice: points are a set, and the latest is the greatest step, then time, then value.
    let points = vec![
        point("loss", 0.5, 2_000, 1),
        point("loss", 0.25, 3_000, 2),
        point("loss", 0.125, 2_500, 2),
        point("loss", 1.0, 1_000, 0),
        point("loss", 0.75, 3_000, 2),
        point("val/auc", -0.0, 5, -1),
    ];
    for _ in 0..2 {
        log_metrics(store, &run_id, points.clone());
    }
    log_metrics(store, &run_id, vec![point("loss", 9.0, 9_000, 1)]);
    let history = store.metric_history(&run_id, "loss").unwrap();
    let order: Vec<_> = history.iter().map(|point| (point.step, point.timestamp_ms, point.value)).collect();
    let expected =
        [(0, 1_000, 1.0), (1, 2_000, 0.5), (1, 9_000, 9.0), (2, 2_500, 0.125), (2, 3_000, 0.25), (2, 3_000, 0.75)];
    assert_eq!(order, expected);
    let run = store.run(&run_id).unwrap();
    assert_eq!(run.metrics["loss"], point("loss", 0.75, 3_000, 2));
    assert_eq!(run.metrics["val/auc"], point("val/auc", 0.0, 5, -1));
    assert_eq!(store.metric_history(&run_id, "unknown").unwrap(), []);

    let odd =
        [("nan", f64::NAN), ("up", f64::INFINITY), ("down", f64::NEG_INFINITY), ("tiny", 5e-324), ("pi", 0.1 + 0.2)];
    log_metrics(store, &run_id, odd.iter().map(|&(key, value)| point(key, value, 1, 0)).collect());
    let run = store.run(&run_id).unwrap();
    assert!(run.metrics["nan"].value.is_nan() && store.metric_history(&run_id, "nan").unwrap()[0].value.is_nan());
    assert!(run.metrics["up"].value >= f64::MAX && run.metrics["down"].value <= f64::MIN);
    assert_eq!((run.metrics["tiny"].value, run.metrics["pi"].value), (5e-324, 0.1 + 0.2), "every bit survives");
}

/// Several threads write to one run; every point arrives and the latest is right.
fn metric_race(store: &dyn Store) {
    let run_id = fresh_run(store, "metric-race").run_id;
    let run_id = run_id.as_str();
    thread::scope(|scope| {
        for worker in 0..4 {
            scope.spawn(move || {
                for block in 0..5 {
                    let step = |index: i64| (block * 10 + index) * 4 + worker;
                    log_metrics(store, run_id, (0..10).map(|index| point("loss", 1.0, 1, step(index))).collect());
                }
            });
        }
    });
    let steps: Vec<i64> = store.metric_history(run_id, "loss").unwrap().iter().map(|point| point.step).collect();
    assert_eq!(steps, (0..200).collect::<Vec<_>>());
    assert_eq!(store.run(run_id).unwrap().metrics["loss"].step, 199);
}

/// More than a server takes in one request.
fn big_batch(store: &dyn Store) {
    let run_id = fresh_run(store, "big-batch").run_id;
    let numbered = |what: &str, count: usize| -> Vec<(String, String)> {
        (0..count).map(|index| (format!("{what}{index:03}"), index.to_string())).collect()
    };
    let metrics = (0..2_500).map(|step| point(&format!("m{}", step % 3), step as f64, step, step)).collect();
    let batch = Batch { metrics, params: numbered("p", 250), tags: numbered("t", 250) };
    store.log_batch(&run_id, &batch).unwrap();
    let run = store.run(&run_id).unwrap();
    assert_eq!((run.params.len(), run.params["p249"].as_str()), (250, "249"));
    assert_eq!(run.tags.iter().filter(|(key, _)| key.starts_with('t')).count(), 250);
    assert_eq!(run.metrics["m0"].step, 2_499);
    let points: usize = ["m0", "m1", "m2"].iter().map(|key| store.metric_history(&run_id, key).unwrap().len()).sum();
    assert_eq!(points, 2_500);
    store.log_batch(&run_id, &Batch::default()).unwrap();
}

fn tags(store: &dyn Store) {
    let run_id = fresh_run(store, "tags").run_id;
    let note = "# Finding\n\n*Größe* `x` \u{1F680} \"quoted\" 'single' \\ back";
    log_tags(store, &run_id, &[("mlflow.note.content", "draft"), ("stage", "one")]);
    log_tags(store, &run_id, &[("mlflow.note.content", note), ("stage", "two"), ("stage", "three")]);
    let tags = store.run(&run_id).unwrap().tags;
    assert_eq!((tags["mlflow.note.content"].as_str(), tags["stage"].as_str()), (note, "three"));
    store.delete_tag(&run_id, "stage").unwrap();
    assert!(!store.run(&run_id).unwrap().tags.contains_key("stage"));
    let error = store.delete_tag(&run_id, "stage").unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
}

/// Keys are refused, long values are cut.
fn limits(store: &dyn Store) {
    let run_id = fresh_run(store, "limits").run_id;
    for key in ["a%b", "../up", "a//b", &"k".repeat(251)] {
        let error = log_params(store, &run_id, &[(key, "1")]).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{key}: {error:?}");
    }
    log_params(store, &run_id, &[("long", &"ü".repeat(6_001)), (&"k".repeat(250), "1")]).unwrap();
    let run = store.run(&run_id).unwrap();
    assert_eq!((run.params["long"].chars().count(), run.params.len()), (6_000, 2));
}

fn inputs(store: &dyn Store) {
    let run_id = fresh_run(store, "inputs").run_id;
    let train = input("adult", "d1", "training");
    let test = input("adult-test", "d2", "test");
    store.log_inputs(&run_id, &[train.clone(), test.clone()]).unwrap();
    store.log_inputs(&run_id, std::slice::from_ref(&train)).unwrap();
    let mut found = store.run(&run_id).unwrap().inputs;
    found.sort_by(|a, b| a.dataset.name.cmp(&b.dataset.name));
    assert_eq!(found, [train, test]);
}

/// Runs that begin at once with the same data set, as a run and its nested runs do: each has it.
fn input_race(store: &dyn Store) {
    const RUNS: usize = 4;
    let experiment_id = fresh_experiment(store, "input-race");
    let runs: Vec<RunInfo> = (0..RUNS).map(|_| start(store, &experiment_id, "racer", 1)).collect();
    for round in 0..10 {
        let (input, barrier) = (input("adult", &format!("d{round}"), "training"), Barrier::new(RUNS));
        thread::scope(|scope| {
            for run in &runs {
                scope.spawn(|| {
                    barrier.wait();
                    store.log_inputs(&run.run_id, std::slice::from_ref(&input)).unwrap();
                });
            }
        });
    }
    for run in runs {
        assert_eq!(store.run(&run.run_id).unwrap().inputs.len(), 10);
    }
}

fn input(name: &str, digest: &str, context: &str) -> DatasetInput {
    DatasetInput {
        dataset: Dataset {
            name: name.into(),
            digest: digest.into(),
            source_type: "local".into(),
            source: r#"{"uri": "data/adult.csv"}"#.into(),
            schema: Some(r#"{"mlflow_colspec": [{"type": "double", "name": "age", "required": true}]}"#.into()),
            profile: Some(r#"{"num_rows": 48842, "num_elements": 781472}"#.into()),
        },
        tags: BTreeMap::from([("mlflow.data.context".to_owned(), context.to_owned())]),
    }
}

fn artifacts(store: &dyn Store, scratch: &Path) {
    let run_id = fresh_run(store, "artifacts").run_id;
    assert_eq!(store.list_artifacts(ArtifactsOf::Run(&run_id), "").unwrap(), []);
    let local = scratch.join("local.bin");
    let bytes: Vec<u8> = (0..100_000_u32).map(|index| (index % 251) as u8).collect();
    fs::write(&local, &bytes).unwrap();
    for path in ["weights.bin", "plots/loss curve.png", "plots/deep/a.txt"] {
        store.put_artifact(ArtifactsOf::Run(&run_id), &local, path).unwrap();
    }
    fs::write(&local, b"new").unwrap();
    store.put_artifact(ArtifactsOf::Run(&run_id), &local, "plots/deep/a.txt").unwrap();

    let list = |folder: &str| -> Vec<(String, bool, Option<u64>)> {
        let found = store.list_artifacts(ArtifactsOf::Run(&run_id), folder).unwrap();
        found.into_iter().map(|artifact| (artifact.path, artifact.is_dir, artifact.bytes)).collect()
    };
    assert_eq!(list(""), [("plots".into(), true, None), ("weights.bin".into(), false, Some(100_000))]);
    assert_eq!(
        list("plots"),
        [("plots/deep".into(), true, None), ("plots/loss curve.png".into(), false, Some(100_000))]
    );
    assert_eq!(list("nowhere"), []);

    let copy = scratch.join("copy.bin");
    store.get_artifact(ArtifactsOf::Run(&run_id), "plots/loss curve.png", &copy).unwrap();
    assert_eq!(fs::read(&copy).unwrap(), bytes);
    store.get_artifact(ArtifactsOf::Run(&run_id), "plots/deep/a.txt", &copy).unwrap();
    assert_eq!(fs::read(&copy).unwrap(), b"new");
    store.get_artifact(ArtifactsOf::Run(&run_id), "no.bin", &copy).unwrap_err();
    assert_eq!(fs::read(&copy).unwrap(), b"new", "a failed download leaves the file alone");
    for path in ["../up.txt", "/etc/up.txt", "a/../../up.txt", ""] {
        store.put_artifact(ArtifactsOf::Run(&run_id), &local, path).unwrap_err();
        store.get_artifact(ArtifactsOf::Run(&run_id), path, &copy).unwrap_err();
    }
    store.list_artifacts(ArtifactsOf::Run(&run_id), "../..").unwrap_err();
    let left: Vec<_> = fs::read_dir(scratch).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "no partial files: {left:?}");
}

/// Six runs `r0`..`r5`, started in this order; gives the experiment and the run ids.
fn six_runs(store: &dyn Store) -> (String, Vec<String>) {
    let experiment_id = fresh_experiment(store, "search");
    let ids: Vec<String> =
        (0..6).map(|index| start(store, &experiment_id, &format!("r{index}"), 1_000 * (index + 1)).run_id).collect();
    for (run, auc) in [(0, 0.5), (1, 0.9), (2, f64::NAN), (4, 0.9), (5, f64::INFINITY)] {
        log_metrics(store, &ids[run], vec![point("auc", 0.7, 1, 0), point("auc", auc, 2, 1)]);
    }
    for (run, model) in [(0, "mlp"), (1, "mlp"), (2, "tree"), (3, "MLP")] {
        log_params(store, &ids[run], &[("model", model)]).unwrap();
    }
    log_params(store, &ids[4], &[("hidden dim", "64")]).unwrap();
    log_tags(store, &ids[0], &[("group", "a"), ("mlflow.note.content", "50% done")]);
    log_tags(store, &ids[1], &[("group", "b")]);
    store.update_run(&ids[1], RunStatus::Finished, Some(9_000), None).unwrap();
    store.log_inputs(&ids[4], &[input("iris", "d1", "training"), input("iris-test", "d2", "test")]).unwrap();
    (experiment_id, ids)
}

fn names(runs: &[RunData]) -> String {
    runs.iter().map(|run| run.info.name.as_str()).collect::<Vec<_>>().join(" ")
}

fn search(store: &dyn Store) {
    let (experiment_id, ids) = six_runs(store);
    let find = |filter: &str, order_by: &[&str]| {
        let order_by = order_by.iter().map(|&key| key.to_owned()).collect();
        let query = RunQuery {
            experiment_ids: vec![experiment_id.clone()],
            filter: filter.into(),
            order_by,
            ..RunQuery::default()
        };
        names(&store.search_runs(&query).unwrap_or_else(|error| panic!("{filter}: {error}")).items)
    };
    for (filter, expected) in FILTERS {
        assert_eq!(find(filter, &[]), *expected, "{filter}");
    }
    assert_eq!(find(&format!("run_id IN ('{}', '{}')", ids[3], ids[0]), &[]), "r3 r0");
    assert_eq!(find(&format!("attributes.run_id NOT IN ('{}') and start_time < 4000", ids[1]), &[]), "r2 r0");
    assert_eq!(find(&format!("attribute.run_id = '{}'", ids[2]), &[]), "r2");
    for (order_by, expected) in ORDERS {
        assert_eq!(find("", order_by), *expected, "{order_by:?}");
    }

    let query =
        RunQuery { experiment_ids: vec![experiment_id], filter: "run_name = 'r4'".into(), ..RunQuery::default() };
    let found = store.search_runs(&query).unwrap();
    assert_eq!(found.items, [store.run(&ids[4]).unwrap()], "a search gives whole runs");
    let nowhere = store.search_runs(&RunQuery::default()).unwrap();
    assert_eq!((nowhere.items.len(), nowhere.next_page_token), (0, None), "no experiments, no runs");
}

/// Filters and what they find among the six runs, newest first.
const FILTERS: &[(&str, &str)] = &[
    ("", "r5 r4 r3 r2 r1 r0"),
    ("metrics.auc > 0.6", "r5 r4 r1"),
    ("metrics.auc >= 0.5 AND metric.auc < 0.95", "r4 r1 r0"),
    ("metrics.auc = 0.9", "r4 r1"),
    ("metrics.auc != 0.9", "r5 r2 r0"),
    ("metrics.`auc` <= 1e300 and metrics.auc > 8e-1", "r4 r1"),
    ("metrics.nothing != 1", ""),
    ("params.model = 'mlp'", "r1 r0"),
    ("param.model = \"mlp\" and metrics.auc > 0.6", "r1"),
    ("params.model != 'mlp'", "r3 r2"),
    ("params.model LIKE 'm%'", "r1 r0"),
    ("params.model ILIKE 'm_p'", "r3 r1 r0"),
    ("params.`hidden dim` = '64'", "r4"),
    ("parameters.\"hidden dim\" LIKE '6%'", "r4"),
    ("tags.group = 'a'", "r0"),
    ("tags.group != 'a'", "r1"),
    ("tag.mlflow.note.content LIKE '50%'", "r0"),
    ("tags.mlflow.runName = 'r3'", "r3"),
    ("tags.`mlflow.source.name` = 'train' and run_name != 'r5'", "r4 r3 r2 r1 r0"),
    ("attributes.run_name = 'r3'", "r3"),
    ("attr.`Run name` LIKE 'r%' and start_time > 4000", "r5 r4"),
    ("status = 'FINISHED'", "r1"),
    ("run.status != 'RUNNING'", "r1"),
    ("user_id = 'ada' and created <= 2000", "r1 r0"),
    ("start_time >= 3000 and start_time < 5000", "r3 r2"),
    ("end_time > 1", "r1"),
    ("artifact_uri LIKE '%artifacts' and start_time = 1000", "r0"),
    ("datasets.name = 'iris'", "r4"),
    ("dataset.digest IN ('d0', 'd2')", "r4"),
    ("datasets.context = 'training' and datasets.name LIKE '%-test'", "r4"),
    ("datasets.context = 'validation'", ""),
];

/// Orders of the six runs.
const ORDERS: &[(&[&str], &str)] = &[
    (&["metrics.auc DESC"], "r5 r4 r1 r0 r2 r3"),
    (&["metrics.`auc`"], "r0 r4 r1 r5 r2 r3"),
    (&["params.model", "metrics.auc DESC"], "r3 r1 r0 r2 r5 r4"),
    (&["params.model desc", "start_time asc"], "r2 r0 r1 r3 r4 r5"),
    (&["tags.group DESC"], "r1 r0 r5 r4 r3 r2"),
    (&["attributes.run_name ASC"], "r0 r1 r2 r3 r4 r5"),
    (&["created ASC"], "r0 r1 r2 r3 r4 r5"),
    (&["end_time DESC"], "r1 r5 r4 r3 r2 r0"),
    (&["status", "run_name"], "r1 r0 r2 r3 r4 r5"),
];

fn invalid_searches(store: &dyn Store) {
    let experiment_ids = vec![fresh_experiment(store, "invalid")];
    let refused = |query: RunQuery| {
        let error = store.search_runs(&query).expect_err(&format!("{query:?}"));
        assert!(matches!(error, Error::Invalid(_)), "{query:?}: {error:?}");
    };
    let query = || RunQuery { experiment_ids: experiment_ids.clone(), ..RunQuery::default() };
    for filter in [
        "metrics.auc > 1 OR metrics.auc < 0",
        "(metrics.auc > 1)",
        "metrics.auc > 'x'",
        "metrics.auc",
        "params.model = mlp",
        "params.model > '1'",
        "unknown.key = 'x'",
        "unknown = 'x'",
        "run_name IN ('a')",
        "metrics.val-auc > 1",
    ] {
        refused(RunQuery { filter: filter.into(), ..query() });
    }
    refused(RunQuery { order_by: vec!["metrics.auc DOWN".into()], ..query() });
    refused(RunQuery { order_by: vec!["nonsense".into()], ..query() });
    refused(RunQuery { max_results: 0, ..query() });
    refused(RunQuery { max_results: 50_001, ..query() });
    refused(RunQuery { page_token: Some("not a token".into()), ..query() });
}

/// Pages cover everything once, in order, also where all start times are equal.
fn paging(store: &dyn Store) {
    let experiment_id = fresh_experiment(store, "paging");
    let mut ids: Vec<String> = (0..6).map(|_| start(store, &experiment_id, "same", 1_000).run_id).collect();
    ids.sort();
    for page_size in [1, 2, 4, 6, 7] {
        let mut query =
            RunQuery { experiment_ids: vec![experiment_id.clone()], max_results: page_size, ..RunQuery::default() };
        let mut found = Vec::new();
        loop {
            let page = store.search_runs(&query).unwrap();
            assert!(page.items.len() <= page_size);
            found.extend(page.items.into_iter().map(|run| run.info.run_id));
            query.page_token = page.next_page_token;
            if query.page_token.is_none() {
                break;
            }
            assert_eq!(found.len() % page_size, 0, "only the last page is short");
        }
        assert_eq!(found, ids, "pages of {page_size}");
    }
}

/// Deleted runs and experiments are out of sight, not written, and come back whole.
fn bin(store: &dyn Store) {
    let experiment_id = fresh_experiment(store, "bin");
    let kept = start(store, &experiment_id, "kept", 1).run_id;
    let binned = start(store, &experiment_id, "binned", 2).run_id;
    log_params(store, &binned, &[("lr", "0.1")]).unwrap();
    let find = |view| {
        let query = RunQuery { experiment_ids: vec![experiment_id.clone()], view, ..RunQuery::default() };
        names(&store.search_runs(&query).unwrap().items)
    };
    store.delete_run(&binned).unwrap();
    assert_eq!((find(ViewType::ActiveOnly), find(ViewType::DeletedOnly)), ("kept".into(), "binned".into()));
    assert_eq!(find(ViewType::All), "binned kept");
    assert_eq!(store.run(&binned).unwrap().info.lifecycle, Lifecycle::Deleted);
    let error = log_params(store, &binned, &[("epochs", "3")]).unwrap_err();
    assert!(
        matches!(error, Error::Invalid(_)) && error.to_string().contains("must be in the 'active' state"),
        "{error}"
    );
    store.update_run(&binned, RunStatus::Finished, Some(3), None).unwrap_err();
    store.restore_run(&binned).unwrap();
    assert_eq!((find(ViewType::ActiveOnly), find(ViewType::DeletedOnly)), ("binned kept".into(), String::new()));
    assert_eq!(store.run(&binned).unwrap().params["lr"], "0.1");

    store.delete_experiment(&experiment_id).unwrap();
    assert_eq!(store.run(&kept).unwrap().info.lifecycle, Lifecycle::Deleted);
    let run = NewRun { experiment_id: experiment_id.clone(), name: "late".into(), ..NewRun::default() };
    let error = store.create_run(&run).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    store.delete_experiment(&experiment_id).unwrap_err();
    store.restore_experiment(&experiment_id).unwrap();
    assert_eq!(find(ViewType::ActiveOnly), "binned kept");
    store.create_run(&run).unwrap();
}

fn unknown_ids(store: &dyn Store, scratch: &Path) {
    let nobody = Uuid::new_v4().simple().to_string();
    let local = scratch.join("unknown.bin");
    fs::write(&local, b"x").unwrap();
    let errors = [
        store.experiment("999999999").map(drop),
        store.set_experiment_tag("999999999", "a", "b"),
        store.delete_experiment("999999999"),
        store.run(&nobody).map(drop),
        store.update_run(&nobody, RunStatus::Finished, None, None),
        store.delete_run(&nobody),
        store.restore_run(&nobody),
        log_params(store, &nobody, &[("a", "b")]),
        store.delete_tag(&nobody, "a"),
        store.log_inputs(&nobody, &[input("iris", "d1", "training")]),
        store.metric_history(&nobody, "loss").map(drop),
        store.put_artifact(ArtifactsOf::Run(&nobody), &local, "x.bin"),
        store.list_artifacts(ArtifactsOf::Run(&nobody), "").map(drop),
    ];
    for (index, result) in errors.into_iter().enumerate() {
        let error = result.expect_err(&format!("call {index} knows no such id"));
        assert!(matches!(error, Error::NotFound(_)), "call {index}: {error:?}");
    }
}
