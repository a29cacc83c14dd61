//! Logged models on their way from a run's folder to the store.
//!
//! A model is made, its files follow, then the run is linked to it and it is `READY`. How far it has come is kept in its
//! ticket, so that whoever goes on with it, also in another process, makes no second one. Its metrics come last, when the run
//! has written its own: a point that both have is one point.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use crate::model_rules::CREATION_TAG;
use crate::rules::stored_value;
use crate::shared::Shared;
use crate::spool::{Home, ModelTicket, SpooledModel, TicketMetric};
use crate::uploads::put;
use crate::{ArtifactsOf, Batch, Metric, ModelOutput, ModelStatus, NewLoggedModel, Result};

/// The file by which MLflow knows a folder for a model.
const MLMODEL: &str = "MLmodel";

/// Whether there is nothing to do for a model before its run ends.
pub(crate) fn waits(model: &SpooledModel, is_closed: bool) -> bool {
    model.ticket.is_whole && !is_closed
}

/// Brings a model as far as it goes now; true when it is done and its folder is gone. `is_closed`: the run has written all of
/// its records. An error may pass; what the store refuses is set aside.
pub(crate) fn send_model(shared: &Shared, model: &mut SpooledModel, is_closed: bool) -> Result<bool> {
    if matches!(model.ticket.home, Home::Unknown | Home::Begun) {
        find_home(shared, model)?;
    }
    if !model.ticket.is_whole {
        if !send_files(shared, model)? {
            return Ok(false);
        }
        if let Home::Model(model_id) = &model.ticket.home {
            link(shared, &model.ticket, model_id)?;
        }
        model.ticket.is_whole = true;
        model.save()?;
        step_done(shared);
    }
    if !is_closed {
        return Ok(false);
    }
    send_metrics(shared, &model.ticket)?;
    shared.count_written(1);
    model.remove();
    step_done(shared);
    Ok(true)
}

/// The store is alive, and moves on.
fn step_done(shared: &Shared) {
    shared.answers.fetch_add(1, Ordering::Relaxed);
    shared.files_settled.fetch_add(1, Ordering::Relaxed);
}

/// Makes the model; where the store has none, or refuses it, the files go to the run.
fn find_home(shared: &Shared, model: &mut SpooledModel) -> Result<()> {
    let home = match shared.of_mlflow(make(shared, model)) {
        Ok(model_id) => Home::Model(model_id),
        Err(error) if error.may_pass() => return Err(error),
        Err(reason) => {
            shared.note(&format!("model_as_artifacts.{}", model.ticket.name), reason.to_string());
            Home::Run
        }
    };
    model.ticket.home = home;
    model.save()?;
    step_done(shared);
    if let Home::Model(model_id) = &model.ticket.home {
        // It has done its work. A mark that stays does no harm.
        let removed = shared.store.logged_models().and_then(|models| models.remove_tag(model_id, CREATION_TAG));
        if let Err(error) = removed {
            tracing::debug!("tag `{CREATION_TAG}` stays on model `{model_id}`: {error}");
        }
    }
    Ok(())
}

/// Gives the id of the model, which may have been made before.
fn make(shared: &Shared, model: &mut SpooledModel) -> Result<String> {
    let models = shared.store.logged_models()?;
    let experiment_id = shared.store.run(shared.run_id())?.info.experiment_id;
    let mark = model.ticket.mark.clone();
    if model.ticket.home == Home::Begun {
        let known = models.list(std::slice::from_ref(&experiment_id))?;
        if let Some(known) = known.into_iter().find(|known| known.tags.get(CREATION_TAG) == Some(&mark)) {
            return Ok(known.model_id);
        }
    }
    model.ticket.home = Home::Begun;
    model.save()?;
    let ModelTicket { name, model_type, params, mut tags, .. } = model.ticket.clone();
    tags.insert(CREATION_TAG.into(), mark);
    let source_run_id = Some(shared.run_id().to_owned());
    Ok(models.create(&NewLoggedModel { experiment_id, name, model_type, source_run_id, params, tags })?.model_id)
}

/// False when the program exits before all files are settled.
fn send_files(shared: &Shared, model: &mut SpooledModel) -> Result<bool> {
    for (path, local_file) in model.files()? {
        if shared.uploads.is_abandoned() {
            return Ok(false);
        }
        let local_file = if path == MLMODEL { with_ids(shared, model, &local_file)? } else { local_file };
        let in_run = format!("{}/{path}", model.ticket.name);
        let answer = match &model.ticket.home {
            Home::Model(model_id) => put(shared, ArtifactsOf::Model(model_id), &local_file, &path),
            _ => put(shared, ArtifactsOf::Run(shared.run_id()), &local_file, &in_run),
        };
        match answer {
            Err(error) if error.may_pass() => return Err(error),
            Ok(()) => shared.count_written(1),
            Err(reason) => {
                shared.set_aside("artifact", &in_run, &reason);
                model.ticket.is_broken = true;
            }
        }
        model.ticket.settled_files.insert(path);
        model.save()?;
        step_done(shared);
    }
    Ok(true)
}

/// The file `MLmodel` with what only now is known, as a file beside the model's: what the user has is not changed.
fn with_ids(shared: &Shared, model: &SpooledModel, local_file: &Path) -> Result<PathBuf> {
    // One that is no text is sent as it is.
    let Ok(text) = fs::read_to_string(local_file) else { return Ok(local_file.into()) };
    let run_id = ("run_id", shared.run_id());
    let text = match &model.ticket.home {
        Home::Model(model_id) => {
            let location = shared.store.logged_models()?.get(model_id)?.artifact_location;
            let ids = [("artifact_path", location.as_str()), ("model_id", model_id), ("model_uuid", model_id), run_id];
            set_lines(&text, &ids)
        }
        _ => set_lines(&text, &[("artifact_path", &model.ticket.name), run_id]),
    };
    model.write_beside(MLMODEL, &text)
}

/// YAML with these keys at its top level, replaced where they are there.
fn set_lines(yaml: &str, lines: &[(&str, &str)]) -> String {
    let is_kept =
        |line: &&str| !lines.iter().any(|(key, _)| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')));
    let mut text: String = yaml.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect();
    for (key, value) in lines {
        // In quotes: an id may look like a number. A text in JSON is one in YAML.
        text.push_str(&format!("{key}: {}\n", serde_json::Value::from(*value)));
    }
    text
}

/// Says that the run has made the model, and that its files are there.
fn link(shared: &Shared, ticket: &ModelTicket, model_id: &str) -> Result<()> {
    let output = ModelOutput { model_id: model_id.to_owned(), step: ticket.step };
    let status = if ticket.is_broken { ModelStatus::Failed } else { ModelStatus::Ready };
    let models = shared.store.logged_models()?;
    let linked = models.log_outputs(shared.run_id(), &[output]).and_then(|()| models.set_status(model_id, status));
    refused_is_noted(shared, &format!("model_link.{}", ticket.name), linked)
}

/// Only what may pass is an error.
fn refused_is_noted(shared: &Shared, note: &str, answer: Result<()>) -> Result<()> {
    match answer {
        Err(error) if !error.may_pass() => {
            shared.note(note, error.to_string());
            Ok(())
        }
        answer => answer,
    }
}

fn send_metrics(shared: &Shared, ticket: &ModelTicket) -> Result<()> {
    if ticket.metrics.is_empty() {
        return Ok(());
    }
    let note = format!("model_metrics.{}", ticket.name);
    let mut points = Vec::new();
    for metric in &ticket.metrics {
        points.extend(point_of(shared, ticket, metric)?.map(|point| (metric.dataset.as_ref(), point)));
    }
    points.sort_by_key(|(dataset, _)| dataset.map(|dataset| (&dataset.name, &dataset.digest)));
    for group in points.chunk_by(|a, b| a.0 == b.0) {
        let metrics: Vec<Metric> = group.iter().map(|(_, point)| point.clone()).collect();
        let answer = match &ticket.home {
            Home::Model(model_id) => {
                shared.store.logged_models()?.log_metrics(shared.run_id(), model_id, &metrics, group[0].0)
            }
            _ => shared.store.log_batch(shared.run_id(), &Batch { metrics, ..Batch::default() }),
        };
        refused_is_noted(shared, &note, answer)?;
    }
    Ok(())
}

/// The run's last point with the value of a metric of its model; a new one, where the run does not have the metric. None
/// where it has it with other values: its curve would get a point that is none of it.
fn point_of(shared: &Shared, ticket: &ModelTicket, metric: &TicketMetric) -> Result<Option<Metric>> {
    let is_same = |point: &&Metric| stored_value(point.value) == stored_value(metric.value());
    let history = shared.store.metric_history(shared.run_id(), &metric.key)?;
    if let Some(point) = history.iter().rfind(is_same) {
        return Ok(Some(point.clone()));
    }
    let (key, value) = (metric.key.clone(), metric.value());
    let new = || Metric { key, value, timestamp_ms: ticket.time_ms.max(0), step: ticket.step };
    Ok(history.is_empty().then(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_replace_those_of_another_model() {
        let yaml = "flavors:\n  onnx:\n    run_id: nested\nrun_id: old\nmodel_id: m-old\nrun_idle: 1";
        assert_eq!(
            set_lines(yaml, &[("model_id", "m-1"), ("run_id", "123e4"), ("artifact_path", "/a b: c/\"d\"")]),
            "flavors:\n  onnx:\n    run_id: nested\nrun_idle: 1\nmodel_id: \"m-1\"\nrun_id: \"123e4\"\n\
             artifact_path: \"/a b: c/\\\"d\\\"\"\n"
        );
    }
}
