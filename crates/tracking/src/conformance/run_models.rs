//! Models that runs log and use, through [`crate::Run`]. Where there are no logged models the files go to the run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::registry::content;
use super::{fresh_name, pairs};
use crate::{
    ArtifactsOf, DatasetName, LoggedModel, LoggedModels, ModelFiles, ModelOutput, ModelStatus, Options, Run,
    RunOptions, RunStatus, Store, Tracker, download,
};

const MLMODEL: &str = "flavors:\n  onnx:\n    data: model.onnx\nmodel_id: m-of-another\n";

pub(super) fn run(store: &Arc<dyn Store>, scratch: &Path) {
    let tracker = tracker(store, scratch);
    let folder = write_folder(scratch, "first");
    let experiment = fresh_name("run-models");
    let start = |name: &str, resume_run_id: Option<String>| {
        let (experiment, name) = (experiment.clone(), name.to_owned());
        tracker.start_run(&RunOptions { experiment, name, resume_run_id, ..RunOptions::default() }).unwrap()
    };
    let run = start("maker", None);
    for step in 0..4 {
        run.log_metric("val_auc", 0.5 + step as f64 / 8.0, step);
    }
    run.log_metric("test_auc", 0.625, 2);
    run.log_model(files(&folder));
    let id = finish(&run);
    assert_eq!(fs::read_to_string(folder.join("MLmodel")).unwrap(), MLMODEL, "the file of the user is as it was");
    // The points that the run had are those of the model: a curve has no step twice.
    assert_eq!(store.metric_history(&id, "val_auc").unwrap().len(), 4);
    assert_eq!(store.metric_history(&id, "test_auc").unwrap().len(), 1);
    assert_eq!(store.metric_history(&id, "seconds").unwrap()[0].step, 2);
    match store.logged_models() {
        Ok(models) => {
            let model = check_model(store.as_ref(), models, &id, &folder, scratch);
            again(store.as_ref(), models, start("maker", Some(id)), &model, scratch);
            used(store.as_ref(), models, &start("user", None), &model);
        }
        Err(_) => without(store.as_ref(), &id, &start("user", None), &folder, scratch),
    }
}

fn tracker(store: &Arc<dyn Store>, scratch: &Path) -> Tracker {
    let exit_timeout = std::time::Duration::from_secs(30);
    let options = Options { spool_dir: scratch.join("spool"), exit_timeout, ..Options::default() };
    Tracker::with_store(Arc::clone(store), &options)
}

fn write_folder(scratch: &Path, name: &str) -> PathBuf {
    let folder = scratch.join(fresh_name("model-folder")).join(name);
    fs::create_dir_all(folder.join("data")).unwrap();
    for (path, text) in [("MLmodel", MLMODEL), ("model.onnx", name), ("data/weights 1%.bin", "weights")] {
        fs::write(folder.join(path), text).unwrap();
    }
    folder
}

fn files(folder: &Path) -> ModelFiles {
    let adult = Some(DatasetName { name: "adult".into(), digest: "d1".into() });
    ModelFiles {
        model_type: "tabular_mlp".into(),
        params: pairs(&[("n_params", "7")]).into_iter().collect(),
        tags: pairs(&[("team", "red")]).into_iter().collect(),
        metrics: vec![
            ("val_auc".into(), 0.75, adult.clone()),
            ("test_auc".into(), 0.625, adult),
            ("seconds".into(), 1.5, None),
            // The run's curve has no such value.
            ("val_auc".into(), 0.9, None),
        ],
        step: 2,
        ..ModelFiles::new(folder)
    }
}

/// The run's id in the store.
fn finish(run: &Run) -> String {
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete() && outcome.spool.is_none(), "{outcome}");
    run.store_id().unwrap().to_owned()
}

fn check_model(
    store: &dyn Store,
    models: &dyn LoggedModels,
    run_id: &str,
    folder: &Path,
    scratch: &Path,
) -> LoggedModel {
    let run = store.run(run_id).unwrap();
    assert_eq!(run.outputs.len(), 1);
    let model = models.get(&run.outputs[0].model_id).unwrap();
    assert_eq!(run.outputs, [ModelOutput { model_id: model.model_id.clone(), step: 2 }]);
    assert_eq!((model.name.as_str(), model.model_type.as_str()), ("model", "tabular_mlp"));
    assert_eq!((model.status, model.source_run_id.as_deref()), (ModelStatus::Ready, Some(run_id)));
    assert_eq!(model.params, files(folder).params);
    assert_eq!(model.tags, files(folder).tags, "the mark of its creation is gone");
    let points: Vec<_> = model
        .metrics
        .iter()
        .map(|point| (point.metric.key.as_str(), point.metric.value, point.metric.step, point.dataset.is_some()))
        .collect();
    assert_eq!(points, [("seconds", 1.5, 2, false), ("test_auc", 0.625, 2, true), ("val_auc", 0.75, 2, true)]);
    assert!(model.metrics.iter().all(|point| point.run_id == run_id));

    for uri in [format!("models:/{}", model.model_id), format!("runs:/{run_id}/model")] {
        let target = scratch.join(fresh_name("downloaded"));
        assert_eq!(download(store, &uri, &target).unwrap(), 3, "{uri}");
        let mlmodel = fs::read_to_string(target.join("MLmodel")).unwrap();
        let (id, place) = (&model.model_id, &model.artifact_location);
        let lines = format!(
            "flavors:\n  onnx:\n    data: model.onnx\nartifact_path: \"{place}\"\nmodel_id: \"{id}\"\n\
             model_uuid: \"{id}\"\nrun_id: \"{run_id}\"\n"
        );
        assert_eq!(mlmodel, lines, "{uri}");
        fs::write(target.join("MLmodel"), MLMODEL).unwrap();
        assert_eq!(content(&target), content(folder), "{uri}");
    }
    model
}

/// A run that goes on and ends again has two models, and the newer one counts.
fn again(store: &dyn Store, models: &dyn LoggedModels, run: Run, first: &LoggedModel, scratch: &Path) {
    let folder = write_folder(scratch, "second");
    // Of its name only what MLflow takes.
    run.log_model(ModelFiles { name: "a/b".into(), ..ModelFiles::new(&folder) });
    run.log_model(ModelFiles::new(&folder));
    let id = finish(&run);
    let outputs = store.run(&id).unwrap().outputs;
    let mut names: Vec<_> = outputs.iter().map(|output| models.get(&output.model_id).unwrap().name).collect();
    names.sort();
    assert_eq!(names, ["a_b", "model", "model"]);
    let target = scratch.join(fresh_name("newest"));
    download(store, &format!("runs:/{id}/model"), &target).unwrap();
    assert_eq!(fs::read_to_string(target.join("model.onnx")).unwrap(), "second");
    assert_eq!(models.get(&first.model_id).unwrap(), *first, "the first one stays as it is");
}

/// Another run judges the model.
fn used(store: &dyn Store, models: &dyn LoggedModels, run: &Run, model: &LoggedModel) {
    let (id, fresh_rows) = (&model.model_id, DatasetName { name: "fresh".into(), digest: "d2".into() });
    run.log_model_input(id);
    run.log_model_metrics(id, Some(&fresh_rows), &[("test_auc", 0.5), ("test_mae", 2.0)], 0);
    // One that is not there costs the point nothing.
    run.log_model_metrics(&format!("m-{}", "0".repeat(32)), None, &[("lonely", 3.0)], 0);
    let run_id = finish(run);
    let data = store.run(&run_id).unwrap();
    assert_eq!(&data.model_inputs[..], std::slice::from_ref(id));
    let values = ["test_auc", "test_mae", "lonely"].map(|key| data.metrics[key].value);
    assert_eq!(values, [0.5, 2.0, 3.0]);
    let points = models.get(id).unwrap().metrics;
    let own: Vec<_> = points.iter().filter(|point| point.run_id == run_id).collect();
    assert_eq!((points.len(), own.len(), own[0].metric.key.as_str()), (5, 2, "test_auc"));
    assert!(own.iter().all(|point| point.dataset.as_ref() == Some(&fresh_rows)));
}

fn without(store: &dyn Store, run_id: &str, user: &Run, folder: &Path, scratch: &Path) {
    let run = store.run(run_id).unwrap();
    assert!(run.tags["tracking.model_as_artifacts.model"].contains("MLflow 3"), "{:?}", run.tags);
    let listed = store.list_artifacts(ArtifactsOf::Run(run_id), "model").unwrap();
    assert_eq!(listed.len(), 3, "{listed:?}");
    let target = scratch.join(fresh_name("artifacts"));
    assert_eq!(download(store, &format!("runs:/{run_id}/model"), &target).unwrap(), 3);
    let mlmodel = fs::read_to_string(target.join("MLmodel")).unwrap();
    assert!(mlmodel.ends_with(&format!("artifact_path: \"model\"\nrun_id: \"{run_id}\"\n")), "{mlmodel}");
    fs::write(target.join("MLmodel"), MLMODEL).unwrap();
    assert_eq!(content(&target), content(folder));

    user.log_model_metrics("m-1", None, &[("test_auc", 0.5)], 0);
    let id = finish(user);
    assert_eq!(store.run(&id).unwrap().metrics["test_auc"].value, 0.5);
}
