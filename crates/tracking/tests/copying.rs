//! Copying from one store to another: between files, into memory, and to a real server.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use server::Server;
use tempfile::TempDir;
use tracking::copy::{Copied, CopyOptions, copy_runs};
use tracking::{
    ArtifactsOf, Batch, Dataset, DatasetInput, DatasetName, Error, Experiment, HttpOptions, MemoryStore, Metric,
    ModelOutput, ModelStatus, NewLoggedModel, NewRegisteredModel, NewRun, NewVersion, RestStore, RunData, RunQuery,
    RunStatus, SqliteStore, Stage, Store, ViewType, download,
};

const POINTS: i64 = 2500;

fn sqlite(folder: &Path) -> SqliteStore {
    SqliteStore::open(&folder.join("mlflow.db"), &folder.join("mlruns")).unwrap()
}

fn map(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.into(), value.into())])
}

fn write(folder: &Path, text: &str) -> std::path::PathBuf {
    let path = folder.join("scratch.txt");
    fs::write(&path, text).unwrap();
    path
}

/// A parent and two nested runs, with everything that a store can hold. Gives the parent's id.
fn fill(store: &dyn Store, folder: &Path, experiment: &str) -> String {
    let experiment_id = store.create_experiment(experiment).unwrap();
    store.set_experiment_tag(&experiment_id, "team", "red").unwrap();
    let new = |name: &str, start_time_ms, tags| NewRun {
        experiment_id: experiment_id.clone(),
        name: name.into(),
        user: "ada".into(),
        start_time_ms,
        tags,
    };
    // The parent is younger than a nested run: order of time is not order of nesting.
    let parent = store.create_run(&new("parent", 1_700_000_009_000, map("kind", "sweep"))).unwrap().run_id;
    for trial in 0..2 {
        let tags = map("mlflow.parentRunId", &parent);
        let run = store.create_run(&new(&format!("trial {trial}"), 1_700_000_000_000 + trial, tags)).unwrap().run_id;
        log(store, &run, trial);
        store.put_artifact(ArtifactsOf::Run(&run), &write(folder, "a plot"), "plots/roc.svg").unwrap();
        store
            .put_artifact(ArtifactsOf::Run(&run), &write(folder, &format!("model {trial}")), "model/weights.bin")
            .unwrap();
        let status = if trial == 0 { RunStatus::Finished } else { RunStatus::Failed };
        store.update_run(&run, status, Some(1_700_000_005_000 + trial), None).unwrap();
        register(store, folder, &experiment_id, &run, experiment, trial);
        if let [made, ..] = &store.run(&run).unwrap().outputs[..] {
            // The parent, which is copied before the model is, measures it again.
            let models = store.logged_models().unwrap();
            models.log_model_inputs(&parent, std::slice::from_ref(&made.model_id)).unwrap();
            let again = Metric { key: "test_auc".into(), value: 0.75, timestamp_ms: 1_700_000_008_000, step: 0 };
            models.log_metrics(&parent, &made.model_id, &[again], None).unwrap();
        }
    }
    store.update_run(&parent, RunStatus::Finished, Some(1_700_000_010_000), None).unwrap();
    parent
}

fn log(store: &dyn Store, run: &str, trial: i64) {
    let point = |step| Metric {
        key: "loss".into(),
        value: if step == 7 { f64::NAN } else { 1.0 / (1 + step + trial) as f64 },
        timestamp_ms: 1_700_000_000_000 + step,
        step,
    };
    let batch = Batch {
        metrics: (0..POINTS).map(point).collect(),
        params: (0..120).map(|i| (format!("p{i}"), i.to_string())).collect(),
        tags: vec![("note".into(), "zwei\nZeilen".into())],
    };
    store.log_batch(run, &batch).unwrap();
    let dataset = Dataset {
        name: "wine".into(),
        digest: "d1".into(),
        source_type: "local".into(),
        source: r#"{"uri": "data/wine.csv"}"#.into(),
        ..Dataset::default()
    };
    store.log_inputs(run, &[DatasetInput { dataset, tags: map("mlflow.data.context", "training") }]).unwrap();
}

/// Trial 0 has a logged model, registered with alias and stage; trial 1 a version that points into its artifacts.
fn register(store: &dyn Store, folder: &Path, experiment_id: &str, run: &str, name: &str, trial: i64) {
    let registry = store.registry();
    let model = NewRegisteredModel { name: name.into(), description: "wines".into(), tags: map("owner", "ada") };
    if trial == 0 {
        registry.create_model(&model).unwrap();
        let models = store.logged_models().unwrap();
        let model = NewLoggedModel {
            experiment_id: experiment_id.into(),
            name: "net".into(),
            source_run_id: Some(run.into()),
            params: map("depth", "3"),
            tags: map("kind", "mlp"),
            ..NewLoggedModel::default()
        };
        let model_id = models.create(&model).unwrap().model_id;
        store.put_artifact(ArtifactsOf::Model(&model_id), &write(folder, "flavors: {}"), "MLmodel").unwrap();
        models.set_status(&model_id, ModelStatus::Ready).unwrap();
        models.log_outputs(run, &[ModelOutput { model_id: model_id.clone(), step: 3 }]).unwrap();
        let auc = Metric { key: "auc".into(), value: 0.875, timestamp_ms: 1_700_000_000_001, step: 3 };
        let dataset = DatasetName { name: "wine".into(), digest: "d1".into() };
        models.log_metrics(run, &model_id, &[auc], Some(&dataset)).unwrap();
        version(store, name, format!("models:/{model_id}"), run, Some(model_id));
        registry.set_alias(name, "champion", 1).unwrap();
        registry.set_stage(name, 1, Stage::Production, false).unwrap();
    } else {
        version(store, name, format!("runs:/{run}/model"), run, None);
    }
}

fn version(store: &dyn Store, name: &str, source: String, run: &str, model_id: Option<String>) {
    let (name, run_id) = (name.into(), Some(run.into()));
    let version = NewVersion { name, source, run_id, model_id, description: "v".into(), tags: map("by", "ci") };
    store.registry().create_version(&version).unwrap();
}

fn experiment(store: &dyn Store, name: &str) -> Experiment {
    store.experiment_by_name(name).unwrap().unwrap()
}

/// Runs by name.
fn runs(store: &dyn Store, name: &str) -> BTreeMap<String, RunData> {
    let query = RunQuery { experiment_ids: vec![experiment(store, name).experiment_id], ..RunQuery::default() };
    let found = store.search_runs(&query).unwrap().items;
    found.into_iter().map(|run| (run.info.name.clone(), run)).collect()
}

fn copy(from: &dyn Store, to: &dyn Store, name: &str) -> Copied {
    let options = CopyOptions { experiments: vec![name.into()], ..CopyOptions::default() };
    let copied = copy_runs(from, to, &options, &mut |_, _, _| {}).unwrap();
    assert_eq!(copied.problems, Vec::<String>::new());
    copied
}

/// A metric without what no two NaNs agree on.
fn bits(points: &[Metric]) -> Vec<(i64, i64, u64)> {
    points.iter().map(|point| (point.step, point.timestamp_ms, point.value.to_bits())).collect()
}

fn check(from: &dyn Store, to: &dyn Store, name: &str, scratch: &Path) {
    assert_eq!(experiment(to, name).tags["team"], "red");
    let (originals, copies) = (runs(from, name), runs(to, name));
    assert_eq!(copies.keys().collect::<Vec<_>>(), ["parent", "trial 0", "trial 1"]);
    for (name, original) in &originals {
        let copy = &copies[name];
        assert_eq!((&copy.params, copy.info.status), (&original.params, original.info.status));
        assert_eq!(
            (copy.info.start_time_ms, copy.info.end_time_ms),
            (original.info.start_time_ms, original.info.end_time_ms)
        );
        assert_eq!((&copy.info.user, &copy.inputs), (&original.info.user, &original.inputs));
        assert_eq!(copy.tags["tracking.local_run_id"], original.info.run_id);
        for key in original.metrics.keys() {
            let points = |store: &dyn Store, run: &RunData| store.metric_history(&run.info.run_id, key).unwrap();
            assert_eq!(bits(&points(to, copy)), bits(&points(from, original)), "{name}: {key}");
        }
        if name != "parent" {
            assert_eq!(copy.tags["mlflow.parentRunId"], copies["parent"].info.run_id);
            assert_eq!(copy.tags["note"], "zwei\nZeilen");
            assert_eq!(original.metrics.len() + original.params.len(), 121 + usize::from(name == "trial 0"));
        }
    }
    check_models(to, name, &copies["trial 0"], &copies["trial 1"], scratch);
    // A search on a server leaves it out.
    let parent = to.run(&copies["parent"].info.run_id).unwrap();
    assert_eq!(parent.model_inputs, [copies["trial 0"].outputs[0].model_id.clone()]);
}

fn check_models(to: &dyn Store, name: &str, first: &RunData, second: &RunData, scratch: &Path) {
    assert_eq!((first.outputs.len(), first.outputs[0].step), (1, 3));
    let model = to.logged_models().unwrap().get(&first.outputs[0].model_id).unwrap();
    assert_eq!((model.name.as_str(), model.status, model.params["depth"].as_str()), ("net", ModelStatus::Ready, "3"));
    assert_eq!(model.source_run_id.as_deref(), Some(first.info.run_id.as_str()));
    assert_eq!((model.metrics.len(), model.metrics[0].metric.value), (2, 0.875));
    assert_eq!(model.metrics[0].dataset, Some(DatasetName { name: "wine".into(), digest: "d1".into() }));

    let registered = to.registry().model(name).unwrap();
    assert_eq!((registered.description.as_str(), registered.tags["owner"].as_str()), ("wines", "ada"));
    let versions = to.registry().versions(name).unwrap();
    assert_eq!(versions.len(), 2);
    assert_eq!(versions[0].source, format!("models:/{}", model.model_id));
    assert_eq!((versions[0].stage, versions[0].aliases.as_slice()), (Stage::Production, &["champion".to_owned()][..]));
    assert_eq!(versions[1].source, format!("runs:/{}/model", second.info.run_id));
    assert_eq!((versions[1].description.as_str(), versions[1].tags["by"].as_str()), ("v", "ci"));
    for (uri, file, text) in [
        (format!("models:/{name}@champion"), "MLmodel", "flavors: {}"),
        (format!("models:/{name}/2"), "weights.bin", "model 1"),
        (format!("runs:/{}/plots", first.info.run_id), "roc.svg", "a plot"),
    ] {
        let folder = scratch.join(uuid::Uuid::new_v4().simple().to_string());
        download(to, &uri, &folder).unwrap();
        assert_eq!(fs::read_to_string(folder.join(file)).unwrap(), text, "{uri}");
    }
}

/// Copies, checks, copies again, changes something, copies that.
fn check_whole_life(from: &dyn Store, to: &dyn Store, name: &str, folder: &Path) {
    let parent = fill(from, folder, name);
    let options = CopyOptions { experiments: vec![name.into()], dry_run: true, ..CopyOptions::default() };
    let dry = copy_runs(from, to, &options, &mut |_, _, _| {}).unwrap();
    assert_eq!(to.experiment_by_name(name).unwrap(), None, "a dry run changes nothing");
    let copied = copy(from, to, name);
    let all =
        Copied { runs: 3, points: 2 * POINTS as usize + 2, files: 5, models: 1, versions: 2, ..Copied::default() };
    assert_eq!(copied, all);
    assert_eq!(dry, Copied { files: 4, ..all }, "the files of models are not counted");
    check(from, to, name, folder);

    assert_eq!(copy(from, to, name), Copied { unchanged_runs: 3, ..Copied::default() });
    check(from, to, name, folder);

    let tags = vec![("later".into(), "yes".into())];
    from.log_batch(&parent, &Batch { tags, ..Batch::default() }).unwrap();
    let again = copy(from, to, name);
    assert_eq!((again.runs, again.unchanged_runs, again.versions), (1, 2, 0));
    let copies = runs(to, name);
    assert_eq!((copies.len(), copies["parent"].tags["later"].as_str()), (3, "yes"));
}

#[test]
fn from_a_file_to_a_file() {
    let (a, b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    check_whole_life(&sqlite(a.path()), &sqlite(b.path()), "wine", a.path());
}

#[test]
fn from_a_file_to_memory_and_back() {
    let (a, b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let memory = MemoryStore::new(&b.path().join("mlruns"));
    check_whole_life(&sqlite(a.path()), &memory, "wine", a.path());
    let third = TempDir::new().unwrap();
    let back = sqlite(third.path());
    copy(&memory, &back, "wine");
    assert_eq!(runs(&back, "wine").len(), 3);
}

#[test]
fn from_a_file_to_a_server_and_back() {
    let folder = TempDir::new().unwrap();
    let Some(server) = Server::shared() else { return };
    let store = RestStore::new(&server.uri, &HttpOptions::default()).unwrap();
    check_whole_life(&sqlite(folder.path()), &store, "copied wine", folder.path());
    let back = TempDir::new().unwrap();
    copy(&store, &sqlite(back.path()), "copied wine");
    assert_eq!(runs(&sqlite(back.path()), "copied wine").len(), 3);
}

/// A copy that breaks off at any call goes on where it was, and ends as one that did not.
#[test]
fn a_copy_that_breaks_off_goes_on() {
    let folder = TempDir::new().unwrap();
    let from = sqlite(folder.path());
    fill(&from, folder.path(), "wine");
    let target = TempDir::new().unwrap();
    let to = sqlite(target.path());
    let mut breaks = 0;
    for calls in 1.. {
        let count = AtomicUsize::new(0);
        let options = CopyOptions::default();
        let failing = Failing { inner: &from, calls, count: &count };
        match copy_runs(&failing, &to, &options, &mut |_, _, _| {}) {
            Err(Error::Unavailable { .. }) => breaks += 1,
            copied => {
                copied.unwrap();
                break;
            }
        }
    }
    assert_eq!(breaks, 11, "once at each call");
    check(&from, &to, "wine", folder.path());
    assert_eq!(to.logged_models().unwrap().list(&[experiment(&to, "wine").experiment_id]).unwrap().len(), 1);
}

/// What the target refuses costs only itself, and is tried again.
#[test]
fn what_is_refused_costs_only_itself() {
    let (a, b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (from, to) = (sqlite(a.path()), sqlite(b.path()));
    let experiment_id = from.create_experiment("odd").unwrap();
    // MLflow checks the keys of a new run's tags as little as we do.
    let tags = map("no tag 🦀", "x");
    let new = NewRun { experiment_id, name: "odd".into(), start_time_ms: 1, tags, ..NewRun::default() };
    let run = from.create_run(&new).unwrap();
    log(&from, &run.run_id, 0);
    for name in ["first.txt", "weights.bin"] {
        from.put_artifact(ArtifactsOf::Run(&run.run_id), &write(a.path(), name), name).unwrap();
    }
    // A name that no artifact may have.
    fs::write(Path::new(&run.artifact_uri).join("m\\n.txt"), "odd").unwrap();
    from.update_run(&run.run_id, RunStatus::Failed, Some(5), None).unwrap();

    let copied = copy_runs(&from, &to, &CopyOptions::default(), &mut |_, _, _| {}).unwrap();
    assert_eq!((copied.files, copied.points, copied.problems.len()), (2, 2500, 1), "{:?}", copied.problems);
    assert!(copied.problems[0].contains(r"`m\n.txt`"), "{:?}", copied.problems);
    // Somebody has taken the odd tag away: it cannot be set again.
    let copy = runs(&to, "odd").remove("odd").unwrap();
    to.delete_tag(&copy.info.run_id, "no tag 🦀").unwrap();
    let copied = copy_runs(&from, &to, &CopyOptions::default(), &mut |_, _, _| {}).unwrap();
    assert_eq!((copied.runs, copied.files, copied.problems.len()), (1, 0, 2), "{:?}", copied.problems);
    assert!(copied.problems[0].contains("tag `no tag 🦀`"), "{:?}", copied.problems);

    let copy = runs(&to, "odd").remove("odd").unwrap();
    assert_eq!(
        (copy.info.status, copy.params.len(), copy.tags["note"].as_str()),
        (RunStatus::Failed, 120, "zwei\nZeilen")
    );
    assert_eq!(to.metric_history(&copy.info.run_id, "loss").unwrap().len(), 2500);
}

/// An experiment that the target has deleted does not stop the others.
#[test]
fn a_deleted_experiment_costs_only_itself() {
    let (a, b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (from, to) = (sqlite(a.path()), sqlite(b.path()));
    for name in ["wine", "beer"] {
        fill(&from, a.path(), name);
    }
    to.delete_experiment(&to.create_experiment("wine").unwrap()).unwrap();
    for dry_run in [true, false] {
        let options = CopyOptions { dry_run, ..CopyOptions::default() };
        let copied = copy_runs(&from, &to, &options, &mut |_, _, _| {}).unwrap();
        assert_eq!(copied.runs, 3);
        assert!(copied.problems[0].contains("experiment `wine` is deleted"), "{:?}", copied.problems);
    }
    assert_eq!(runs(&to, "beer").len(), 3);
}

/// One experiment of two: the registered model of the other is no problem.
#[test]
fn a_part_is_copied_without_the_rest() {
    let (a, b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (from, to) = (sqlite(a.path()), sqlite(b.path()));
    for name in ["wine", "beer"] {
        fill(&from, a.path(), name);
    }
    assert_eq!(copy(&from, &to, "wine").versions, 2);
    assert_eq!(copy(&from, &to, "beer").versions, 2);
}

#[test]
fn a_nested_run_that_was_copied_alone_finds_its_parent() {
    let (a, b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (from, to) = (sqlite(a.path()), sqlite(b.path()));
    fill(&from, a.path(), "wine");
    let child = runs(&from, "wine")["trial 1"].info.run_id.clone();
    let options = CopyOptions { run_ids: vec![child], ..CopyOptions::default() };
    assert_eq!(copy_runs(&from, &to, &options, &mut |_, _, _| {}).unwrap().runs, 1);
    assert_eq!(copy(&from, &to, "wine").runs, 3, "its tag has changed");
    check(&from, &to, "wine", a.path());
    assert_eq!(copy(&from, &to, "wine").unchanged_runs, 3);
}

#[test]
fn an_alias_that_is_given_later_is_copied() {
    let (a, b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (from, to) = (sqlite(a.path()), sqlite(b.path()));
    fill(&from, a.path(), "wine");
    copy(&from, &to, "wine");
    from.registry().set_alias("wine", "challenger", 2).unwrap();
    // The target has its own mind about this one.
    from.registry().set_alias("wine", "champion", 2).unwrap();
    copy(&from, &to, "wine");
    let aliases = to.registry().model("wine").unwrap().aliases;
    assert_eq!(aliases, BTreeMap::from([("challenger".to_owned(), 2), ("champion".to_owned(), 1)]));
}

#[test]
fn a_copy_is_not_copied_back() {
    let (a, b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (from, to) = (sqlite(a.path()), sqlite(b.path()));
    fill(&from, a.path(), "wine");
    copy(&from, &to, "wine");
    // A new run there, below a copy.
    let parent = &runs(&to, "wine")["parent"];
    let new = NewRun {
        experiment_id: parent.info.experiment_id.clone(),
        name: "trial 2".into(),
        start_time_ms: 1_700_000_000_003,
        tags: map("mlflow.parentRunId", &parent.info.run_id),
        ..NewRun::default()
    };
    to.create_run(&new).unwrap();
    let back = copy(&to, &from, "wine");
    assert_eq!(back, Copied { runs: 1, unchanged_runs: 3, ..Copied::default() });
    let originals = runs(&from, "wine");
    assert_eq!(originals.len(), 4);
    assert_eq!(originals["trial 2"].tags["mlflow.parentRunId"], originals["parent"].info.run_id);
    assert_eq!(from.registry().versions("wine").unwrap().len(), 2);
    assert_eq!(copy(&from, &to, "wine"), Copied { unchanged_runs: 4, ..Copied::default() });
}

#[test]
fn a_store_is_not_copied_to_itself() {
    let folder = TempDir::new().unwrap();
    let (from, to) = (sqlite(folder.path()), sqlite(folder.path()));
    fill(&from, folder.path(), "wine");
    let error = copy_runs(&from, &to, &CopyOptions::default(), &mut |_, _, _| {}).unwrap_err().to_string();
    assert!(error.contains("the same store"), "{error}");
    assert_eq!(runs(&from, "wine").len(), 3);
}

#[test]
fn what_is_not_there_is_said() {
    let folder = TempDir::new().unwrap();
    let from = sqlite(folder.path());
    fill(&from, folder.path(), "wine");
    let to = MemoryStore::new(&folder.path().join("other"));
    let wanted = |experiments: &[&str], run_ids: &[&str]| CopyOptions {
        experiments: experiments.iter().map(|name| (*name).into()).collect(),
        run_ids: run_ids.iter().map(|id| (*id).into()).collect(),
        dry_run: false,
    };
    let error = copy_runs(&from, &to, &wanted(&["wein"], &[]), &mut |_, _, _| {}).unwrap_err().to_string();
    assert!(error.contains("`wein`") && error.contains("wine"), "{error}");
    let error = copy_runs(&from, &to, &wanted(&[], &["r1"]), &mut |_, _, _| {}).unwrap_err().to_string();
    assert!(error.contains("`r1`"), "{error}");
    assert_eq!(to.experiments(ViewType::ActiveOnly).unwrap().iter().filter(|e| e.name == "wine").count(), 0);
}

/// A store that answers so many reads of artifacts and histories, and then no more.
struct Failing<'a> {
    inner: &'a SqliteStore,
    calls: usize,
    count: &'a AtomicUsize,
}

impl Failing<'_> {
    fn count(&self) -> tracking::Result<()> {
        match self.count.fetch_add(1, Ordering::SeqCst) < self.calls {
            true => Ok(()),
            false => Err(Error::Unavailable { message: "away".into(), retry_after_s: None }),
        }
    }
}

#[allow(clippy::unimplemented, reason = "a copy only reads its source")]
impl Store for Failing<'_> {
    fn uri(&self) -> String {
        self.inner.uri()
    }
    fn create_experiment(&self, _: &str) -> tracking::Result<String> {
        unimplemented!()
    }
    fn experiment_by_name(&self, name: &str) -> tracking::Result<Option<Experiment>> {
        self.inner.experiment_by_name(name)
    }
    fn experiment(&self, experiment_id: &str) -> tracking::Result<Experiment> {
        self.inner.experiment(experiment_id)
    }
    fn experiments(&self, view: ViewType) -> tracking::Result<Vec<Experiment>> {
        self.inner.experiments(view)
    }
    fn set_experiment_tag(&self, _: &str, _: &str, _: &str) -> tracking::Result<()> {
        unimplemented!()
    }
    fn delete_experiment(&self, _: &str) -> tracking::Result<()> {
        unimplemented!()
    }
    fn restore_experiment(&self, _: &str) -> tracking::Result<()> {
        unimplemented!()
    }
    fn create_run(&self, _: &NewRun) -> tracking::Result<tracking::RunInfo> {
        unimplemented!()
    }
    fn run(&self, run_id: &str) -> tracking::Result<RunData> {
        self.inner.run(run_id)
    }
    fn update_run(&self, _: &str, _: RunStatus, _: Option<i64>, _: Option<&str>) -> tracking::Result<()> {
        unimplemented!()
    }
    fn delete_run(&self, _: &str) -> tracking::Result<()> {
        unimplemented!()
    }
    fn restore_run(&self, _: &str) -> tracking::Result<()> {
        unimplemented!()
    }
    fn log_batch(&self, _: &str, _: &Batch) -> tracking::Result<()> {
        unimplemented!()
    }
    fn delete_tag(&self, _: &str, _: &str) -> tracking::Result<()> {
        unimplemented!()
    }
    fn log_inputs(&self, _: &str, _: &[DatasetInput]) -> tracking::Result<()> {
        unimplemented!()
    }
    fn search_runs(&self, query: &RunQuery) -> tracking::Result<tracking::Page<RunData>> {
        self.inner.search_runs(query)
    }
    fn metric_history(&self, run_id: &str, key: &str) -> tracking::Result<Vec<Metric>> {
        self.count()?;
        self.inner.metric_history(run_id, key)
    }
    fn put_artifact(&self, _: ArtifactsOf<'_>, _: &Path, _: &str) -> tracking::Result<()> {
        unimplemented!()
    }
    fn list_artifacts(&self, of: ArtifactsOf<'_>, folder: &str) -> tracking::Result<Vec<tracking::Artifact>> {
        self.count()?;
        self.inner.list_artifacts(of, folder)
    }
    fn get_artifact(&self, of: ArtifactsOf<'_>, artifact_path: &str, local_file: &Path) -> tracking::Result<()> {
        self.count()?;
        self.inner.get_artifact(of, artifact_path, local_file)
    }
    fn registry(&self) -> &dyn tracking::Registry {
        self.inner.registry()
    }
    fn logged_models(&self) -> tracking::Result<&dyn tracking::LoggedModels> {
        self.inner.logged_models()
    }
}
