//! Logged models. A store without them must say that they need MLflow 3.

use std::collections::BTreeMap;
use std::path::Path;

use super::registry::{content, fresh_model, put_model};
use super::{fresh_experiment, fresh_name, log_metrics, pairs, point, start};
use crate::{
    ArtifactsOf, DatasetName, Error, LoggedModel, LoggedModels, Metric, ModelMetric, ModelOutput, ModelStatus,
    NewLoggedModel, NewVersion, RunQuery, Store, download,
};

pub(super) fn run(store: &dyn Store, scratch: &Path) {
    match store.logged_models() {
        Ok(models) => {
            life(store, models);
            list(store, models);
            outputs(store, models);
            model_inputs(store, models);
            metrics(store, models);
            files(store, models, scratch);
            registered(store, models, scratch);
            unknown_ids(store, models);
        }
        Err(error) => without(store, &error),
    }
}

/// Nothing is lost in silence where there are no logged models.
fn without(store: &dyn Store, error: &Error) {
    assert!(matches!(error, Error::Invalid(_)) && error.to_string().contains("MLflow 3"), "{error:?}");
    let id = format!("m-{}", "0".repeat(32));
    let name = fresh_model(store.registry(), "no-logged-models");
    let version = NewVersion { name: name.clone(), source: format!("models:/{id}"), ..NewVersion::default() };
    let answers = [
        store.list_artifacts(ArtifactsOf::Model(&id), "").map(drop),
        store.registry().create_version(&version).map(drop),
        download(store, &version.source, Path::new("/no/such/folder")).map(drop),
    ];
    for answer in answers {
        let error = answer.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)) && error.to_string().contains("MLflow 3"), "{error:?}");
    }
    assert_eq!(store.registry().versions(&name).unwrap(), []);
}

fn fresh(store: &dyn Store, models: &dyn LoggedModels, name: &str) -> (LoggedModel, String) {
    let experiment_id = fresh_experiment(store, "logged-models");
    let run_id = start(store, &experiment_id, name, 1).run_id;
    let source_run_id = Some(run_id.clone());
    let new = NewLoggedModel { experiment_id, name: name.into(), source_run_id, ..NewLoggedModel::default() };
    (models.create(&new).unwrap(), run_id)
}

fn life(store: &dyn Store, models: &dyn LoggedModels) {
    let experiment_id = fresh_experiment(store, "logged-model");
    let run_id = start(store, &experiment_id, "maker", 1).run_id;
    let new = NewLoggedModel {
        experiment_id: experiment_id.clone(),
        name: "mlp größe".into(),
        model_type: "classifier".into(),
        source_run_id: Some(run_id.clone()),
        params: pairs(&[("depth", "3"), ("hidden dim", "64")]).into_iter().collect(),
        tags: pairs(&[("team", "red"), ("stage.x", "1")]).into_iter().collect(),
    };
    let created = models.create(&new).unwrap();
    let id = created.model_id.as_str();
    assert!(id.len() == 34 && id.starts_with("m-") && id[2..].chars().all(|c| c.is_ascii_hexdigit()), "{id}");
    assert!(created.artifact_location.ends_with(&format!("/models/{id}/artifacts")), "{}", created.artifact_location);
    assert_eq!((created.status, created.model_type.as_str()), (ModelStatus::Pending, "classifier"));
    assert_eq!(
        (&created.experiment_id, &created.name, &created.source_run_id),
        (&experiment_id, &new.name, &Some(run_id))
    );
    assert_eq!((&created.params, &created.tags, created.metrics.len()), (&new.params, &new.tags, 0));
    assert!(created.creation_time_ms > 1_600_000_000_000 && created.last_update_time_ms >= created.creation_time_ms);
    assert_eq!(models.get(id).unwrap(), created);

    for status in [ModelStatus::Ready, ModelStatus::Failed, ModelStatus::Ready] {
        models.set_status(id, status).unwrap();
        assert_eq!(models.get(id).unwrap().status, status);
    }
    models.set_tags(id, &pairs(&[("team", "blue"), ("note", "")])).unwrap();
    models.remove_tag(id, "stage.x").unwrap();
    let expected: BTreeMap<_, _> = pairs(&[("team", "blue"), ("note", "")]).into_iter().collect();
    assert_eq!(models.get(id).unwrap().tags, expected);
    let error = models.remove_tag(id, "stage.x").unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    for bad in ["", "a/b", "a:b", "a.b", "a%", "a\"b", "a'b"] {
        let error = models.create(&NewLoggedModel { name: bad.into(), ..new.clone() }).expect_err(bad);
        assert!(matches!(error, Error::Invalid(_)), "{bad}: {error:?}");
    }
    models.delete(id).unwrap();
    assert!(matches!(models.get(id).unwrap_err(), Error::NotFound(_)), "a deleted model");
    assert_eq!(models.list(&[experiment_id]).unwrap(), []);
}

fn list(store: &dyn Store, models: &dyn LoggedModels) {
    let experiments =
        [fresh_experiment(store, "list-a"), fresh_experiment(store, "list-b"), fresh_experiment(store, "c")];
    let new = |experiment_id: &String, name: String| NewLoggedModel {
        experiment_id: experiment_id.clone(),
        name,
        ..NewLoggedModel::default()
    };
    // More than a server gives at once.
    let mut ids: Vec<String> = (0..103)
        .map(|index| models.create(&new(&experiments[index % 2], format!("n{index}"))).unwrap().model_id)
        .collect();
    models.create(&new(&experiments[2], "elsewhere".into())).unwrap();
    let found = models.list(&experiments[..2]).unwrap();
    assert!(found.is_sorted_by_key(|model| std::cmp::Reverse(model.creation_time_ms)), "newest first");
    assert_eq!(found.iter().find(|model| model.name == "n7").unwrap(), &models.get(&ids[7]).unwrap(), "whole models");
    let mut found: Vec<String> = found.into_iter().map(|model| model.model_id).collect();
    ids.sort();
    found.sort();
    assert_eq!(found, ids);
    assert_eq!(models.list(&[]).unwrap(), []);
}

fn outputs(store: &dyn Store, models: &dyn LoggedModels) {
    let (first, run_id) = fresh(store, models, "first");
    let (second, _) = fresh(store, models, "second");
    assert_eq!(store.run(&run_id).unwrap().outputs, []);
    let output = |model: &LoggedModel, step| ModelOutput { model_id: model.model_id.clone(), step };
    models.log_outputs(&run_id, &[output(&first, 0)]).unwrap();
    for _ in 0..2 {
        models.log_outputs(&run_id, &[output(&first, 0), output(&second, 7)]).unwrap();
    }
    models.log_outputs(&run_id, &[]).unwrap();
    let run = store.run(&run_id).unwrap();
    let mut found = run.outputs.clone();
    found.sort_by_key(|output| output.step);
    assert_eq!(found, [output(&first, 0), output(&second, 7)]);
    let query = RunQuery { experiment_ids: vec![run.info.experiment_id.clone()], ..RunQuery::default() };
    let mut found = store.search_runs(&query).unwrap().items;
    if found[0].outputs.is_empty() {
        // A search on a server of MLflow 3.1 tells no outputs.
        found[0].outputs.clone_from(&run.outputs);
    }
    assert_eq!(found, [run], "a search gives whole runs");
}

fn model_inputs(store: &dyn Store, models: &dyn LoggedModels) {
    let (used, _) = fresh(store, models, "used");
    let (other, run_id) = fresh(store, models, "other");
    assert_eq!(store.run(&run_id).unwrap().model_inputs, Vec::<String>::new());
    models.log_model_inputs(&run_id, std::slice::from_ref(&used.model_id)).unwrap();
    for _ in 0..2 {
        models.log_model_inputs(&run_id, &[used.model_id.clone(), other.model_id.clone()]).unwrap();
    }
    models.log_model_inputs(&run_id, &[]).unwrap();
    let run = store.run(&run_id).unwrap();
    let (mut found, mut expected) = (run.model_inputs.clone(), vec![used.model_id, other.model_id]);
    found.sort();
    expected.sort();
    assert_eq!((found, run.outputs.len(), run.inputs.len()), (expected, 0, 0));
}

fn metrics(store: &dyn Store, models: &dyn LoggedModels) {
    let (model, run_id) = fresh(store, models, "measured");
    let id = model.model_id.as_str();
    let train = DatasetName { name: "adult".into(), digest: "d1".into() };
    let points = [point("auc", 0.25, 10, 0), point("auc", 0.5, 20, 1), point("loss", f64::INFINITY, 20, 1)];
    for _ in 0..2 {
        models.log_metrics(&run_id, id, &points, Some(&train)).unwrap();
    }
    models.log_metrics(&run_id, id, &[point("auc", 0.75, 30, 2), point("auc", 0.75, 30, 2)], None).unwrap();
    models.log_metrics(&run_id, id, &[], None).unwrap();
    log_metrics(store, &run_id, vec![point("other", 1.0, 1, 0)]);

    let of = |metric: Metric, dataset: Option<&DatasetName>| ModelMetric {
        metric,
        run_id: run_id.clone(),
        dataset: dataset.cloned(),
    };
    let expected = [
        of(points[0].clone(), Some(&train)),
        of(points[1].clone(), Some(&train)),
        of(point("auc", 0.75, 30, 2), None),
        of(point("loss", f64::MAX, 20, 1), Some(&train)),
    ];
    assert_eq!(models.get(id).unwrap().metrics, expected);
    // They are metrics of the run too.
    assert_eq!(store.metric_history(&run_id, "auc").unwrap().len(), 3);
    let run = store.run(&run_id).unwrap();
    assert_eq!((run.metrics["auc"].clone(), run.metrics.len()), (point("auc", 0.75, 30, 2), 3));

    let many: Vec<Metric> = (0..1_200).map(|step| point("many", step as f64, step, step)).collect();
    models.log_metrics(&run_id, id, &many, Some(&train)).unwrap();
    assert_eq!(models.get(id).unwrap().metrics.len(), 1_204);
    let error = models.log_metrics(&run_id, id, &[point("a%b", 1.0, 1, 1)], None).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
}

fn files(store: &dyn Store, models: &dyn LoggedModels, scratch: &Path) {
    let (model, run_id) = fresh(store, models, "with-files");
    let of = ArtifactsOf::Model(&model.model_id);
    assert_eq!(store.list_artifacts(of, "").unwrap(), []);
    let expected = put_model(store, of, "", "logged", scratch);
    models.log_outputs(&run_id, &[ModelOutput { model_id: model.model_id.clone(), step: 0 }]).unwrap();
    let listed = |of, folder| {
        let found = store.list_artifacts(of, folder).unwrap().into_iter();
        found.map(|artifact| format!("{}:{}", artifact.path, artifact.bytes.unwrap_or(0))).collect::<Vec<_>>()
    };
    assert_eq!(listed(of, ""), ["MLmodel:14", "weights:0"]);
    assert_eq!(listed(of, "weights"), ["weights/a 1%.bin:23", "weights/deep:0"]);
    let place = ArtifactsOf::Location(&model.artifact_location);
    assert_eq!(listed(place, "weights"), listed(of, "weights"), "the same by its address");
    assert_eq!(listed(of, "nowhere"), Vec::<String>::new());
    let copy = scratch.join("copy of a model file");
    store.get_artifact(place, "MLmodel", &copy).unwrap();
    assert_eq!(std::fs::read(&copy).unwrap(), b"logged MLmodel");
    store.get_artifact(of, "none", &copy).unwrap_err();

    // By its id, and as Python's MLflow 3 knows it: by its name, below the run that made it.
    for uri in [format!("models:/{}", model.model_id), format!("runs:/{run_id}/with-files")] {
        let target = scratch.join(fresh_name("logged"));
        download(store, &uri, &target).unwrap_or_else(|error| panic!("{uri}: {error}"));
        assert_eq!(content(&target), expected, "{uri}");
    }
}

fn registered(store: &dyn Store, models: &dyn LoggedModels, scratch: &Path) {
    let registry = store.registry();
    let (model, run_id) = fresh(store, models, "to-register");
    let expected = put_model(store, ArtifactsOf::Model(&model.model_id), "", "registered", scratch);
    models.set_status(&model.model_id, ModelStatus::Ready).unwrap();
    let name = fresh_model(registry, "from-logged");
    let source = format!("models:/{}", model.model_id);
    let new = NewVersion { name: name.clone(), source: source.clone(), ..NewVersion::default() };
    for number in 1..=2 {
        let version = registry.create_version(&new).unwrap();
        assert_eq!((version.version, &version.source), (number, &source));
        assert_eq!(version.run_id.as_deref(), Some(run_id.as_str()), "the run that made the model");
        assert_eq!(registry.version(&name, number).unwrap(), version);
        assert_eq!(registry.version_location(&name, number).unwrap(), model.artifact_location);
    }
    let tag = models.get(&model.model_id).unwrap().tags["mlflow.modelVersions"].clone();
    let notes: serde_json::Value = serde_json::from_str(&tag).unwrap();
    let numbers: Vec<String> =
        notes.as_array().unwrap().iter().map(|note| note["version"].to_string().replace('"', "")).collect();
    assert_eq!(numbers, ["1", "2"], "{tag}");
    assert_eq!((notes[0]["name"].as_str(), notes[1]["name"].as_str()), (Some(name.as_str()), Some(name.as_str())));

    registry.set_alias(&name, "champion", 2).unwrap();
    let target = scratch.join(fresh_name("champion"));
    download(store, &format!("models:/{name}@champion"), &target).unwrap();
    assert_eq!(content(&target), expected);
    let copy = NewVersion { source: format!("models:/{name}/2"), ..new };
    assert_eq!(registry.create_version(&copy).unwrap().version, 3);
    assert_eq!(registry.version_location(&name, 3).unwrap(), model.artifact_location);
}

fn unknown_ids(store: &dyn Store, models: &dyn LoggedModels) {
    let nobody = format!("m-{}", uuid::Uuid::new_v4().simple());
    let (model, run_id) = fresh(store, models, "known");
    let no_run = "0".repeat(32);
    let points = [point("auc", 0.5, 1, 0)];
    let name = fresh_model(store.registry(), "of-nobody");
    let version = NewVersion { name, source: format!("models:/{nobody}"), ..NewVersion::default() };
    let new = NewLoggedModel { experiment_id: "999999999".into(), name: "x".into(), ..NewLoggedModel::default() };
    let answers = [
        models.create(&new).map(drop),
        models.get(&nobody).map(drop),
        models.set_status(&nobody, ModelStatus::Ready),
        models.set_tags(&nobody, &pairs(&[("a", "b")])),
        models.remove_tag(&nobody, "a"),
        models.delete(&nobody),
        models.log_metrics(&run_id, &nobody, &points, None),
        models.log_metrics(&no_run, &model.model_id, &points, None),
        models.log_model_inputs(&no_run, std::slice::from_ref(&model.model_id)),
        models.log_outputs(&no_run, &[ModelOutput { model_id: model.model_id.clone(), step: 0 }]),
        store.list_artifacts(ArtifactsOf::Model(&nobody), "").map(drop),
        download(store, &version.source, Path::new("/no/such/folder")).map(drop),
    ];
    for (index, answer) in answers.into_iter().enumerate() {
        let error = answer.expect_err(&format!("call {index} knows no such id"));
        assert!(matches!(error, Error::NotFound(_)), "call {index}: {error:?}");
    }
    store.registry().create_version(&version).unwrap_err();
    assert_eq!(store.run(&run_id).unwrap().metrics.len(), 0, "nothing of a refused call is written");
}
