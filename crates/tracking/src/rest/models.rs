//! Logged models of a server.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{Nothing, RestStore, none_if_empty, remove_mark};
use crate::wire::{WireLoggedModel, for_each_model_body, status_name, to_pairs};
use crate::{
    DatasetName, Error, LoggedModel, LoggedModels, Metric, ModelOutput, ModelStatus, NewLoggedModel, Result, Store,
    model_rules::{self, CREATION_TAG},
    rules,
};

const MODELS_PER_PAGE: usize = 100;

#[derive(Deserialize)]
struct OneModel {
    model: WireLoggedModel,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ModelPage {
    models: Vec<WireLoggedModel>,
    next_page_token: String,
}

impl RestStore {
    /// Asks the server once what it is.
    pub(super) fn check_logged_models(&self) -> Result<()> {
        if self.logged_models.get().is_none() {
            let major = match self.http.version() {
                Ok(version) => version.split('.').next().and_then(|major| major.parse::<u32>().ok()).zip(Some(version)),
                Err(error) if error.is_transient() => return Err(error),
                // A server in a proxy that tells no version: the calls themselves will say.
                Err(_) => None,
            };
            let answer = match major {
                Some((major, version)) if major < 3 => Err(format!(
                    "`{}` is MLflow {version}, which has no logged models. Hint: they need MLflow 3; runs and the \
                     registry work. Keep the files as artifacts of the run, and register `runs:/RUN_ID/FOLDER`.",
                    self.uri()
                )),
                _ => Ok(()),
            };
            // Two threads that asked at once have the same answer.
            let _ = self.logged_models.set(answer);
        }
        match self.logged_models.get() {
            Some(Err(reason)) => Err(Error::Invalid(reason.clone())),
            _ => Ok(()),
        }
    }

    /// Those that a run does not have yet.
    fn missing_outputs(&self, run_id: &str, outputs: &[ModelOutput]) -> Result<Vec<ModelOutput>> {
        let known = self.run(run_id)?.outputs;
        let is_known = |output: &ModelOutput| known.iter().any(|known| known.model_id == output.model_id);
        Ok(outputs.iter().filter(|output| !is_known(output)).cloned().collect())
    }
}

impl LoggedModels for RestStore {
    fn create(&self, new: &NewLoggedModel) -> Result<LoggedModel> {
        model_rules::check_logged_model(new)?;
        let mut tags = new.tags.clone();
        // A caller may bring the mark, and keeps it then.
        let callers_mark = tags.get(CREATION_TAG).cloned();
        let mark = callers_mark.clone().unwrap_or_else(|| Uuid::new_v4().simple().to_string());
        tags.insert(CREATION_TAG.into(), mark.clone());
        let mut body = json!({
            "experiment_id": new.experiment_id, "name": new.name, "model_type": new.model_type,
            "params": to_pairs(&new.params), "tags": to_pairs(&tags),
        });
        if let Some(run_id) = &new.source_run_id {
            body["source_run_id"] = run_id.as_str().into();
        }
        let body = body.to_string();
        let mut created: LoggedModel = self.create_once(
            || Ok(self.http.post_once::<OneModel>("logged-models", &body)?.model.into()),
            || {
                let marked = |model: &LoggedModel| model.tags.get(CREATION_TAG) == Some(&mark);
                Ok(self.list(std::slice::from_ref(&new.experiment_id))?.into_iter().find(marked))
            },
        )?;
        if callers_mark.is_none() {
            remove_mark(&format!("model `{}`", created.model_id), || self.remove_tag(&created.model_id, CREATION_TAG));
        }
        // What the server sends back at the creation is not all there is.
        created.params.clone_from(&new.params);
        created.tags.clone_from(&new.tags);
        Ok(created)
    }

    fn get(&self, model_id: &str) -> Result<LoggedModel> {
        let found: OneModel = self.http.get(&format!("logged-models/{model_id}"), &[])?;
        Ok(found.model.into())
    }

    fn list(&self, experiment_ids: &[String]) -> Result<Vec<LoggedModel>> {
        let mut models: Vec<LoggedModel> = Vec::new();
        if experiment_ids.is_empty() {
            return Ok(models);
        }
        let mut token: Option<String> = None;
        loop {
            let body = json!({"experiment_ids": experiment_ids, "max_results": MODELS_PER_PAGE, "page_token": token});
            let page: ModelPage = self.http.post("logged-models/search", &body.to_string())?;
            models.extend(page.models.into_iter().map(LoggedModel::from));
            token = none_if_empty(page.next_page_token);
            if token.is_none() {
                break;
            }
        }
        Ok(models)
    }

    fn set_status(&self, model_id: &str, status: ModelStatus) -> Result<()> {
        let body = json!({"model_id": model_id, "status": status_name(status)}).to_string();
        self.http.call::<OneModel>(Method::PATCH, &format!("logged-models/{model_id}"), &body).map(drop)
    }

    fn set_tags(&self, model_id: &str, tags: &[(String, String)]) -> Result<()> {
        tags.iter().try_for_each(|(key, _)| rules::check_key("Tag key", key))?;
        let tags: Vec<_> = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let body = json!({"model_id": model_id, "tags": tags}).to_string();
        // Newer servers send the model back, older ones nothing.
        self.http.call::<Nothing>(Method::PATCH, &format!("logged-models/{model_id}/tags"), &body).map(drop)
    }

    fn remove_tag(&self, model_id: &str, key: &str) -> Result<()> {
        rules::check_key("Tag key", key)?;
        if key.contains('/') {
            return Err(Error::Invalid(format!(
                "MLflow's servers cannot delete a tag of a logged model whose key has a `/`, such as `{key}`. Hint: set \
                 it to an empty value."
            )));
        }
        self.http.call::<Nothing>(Method::DELETE, &format!("logged-models/{model_id}/tags/{key}"), "{}").map(drop)
    }

    fn delete(&self, model_id: &str) -> Result<()> {
        self.http.call::<Nothing>(Method::DELETE, &format!("logged-models/{model_id}"), "{}").map(drop)
    }

    fn log_outputs(&self, run_id: &str, outputs: &[ModelOutput]) -> Result<()> {
        // A server breaks over an output that it has already.
        let missing = self.missing_outputs(run_id, outputs)?;
        if missing.is_empty() {
            return Ok(());
        }
        match self.post("runs/outputs", json!({"run_id": run_id, "models": missing})) {
            // The reply was lost, or another process was faster.
            Err(_) if self.missing_outputs(run_id, outputs)?.is_empty() => Ok(()),
            answer => answer,
        }
    }

    fn log_model_inputs(&self, run_id: &str, model_ids: &[String]) -> Result<()> {
        if model_ids.is_empty() {
            return Ok(());
        }
        let models: Vec<_> = model_ids.iter().map(|model_id| json!({"model_id": model_id})).collect();
        self.post("runs/log-inputs", json!({"run_id": run_id, "models": models}))
    }

    fn log_metrics(
        &self,
        run_id: &str,
        model_id: &str,
        metrics: &[Metric],
        dataset: Option<&DatasetName>,
    ) -> Result<()> {
        // A server breaks over points of a model that it does not know.
        LoggedModels::get(self, model_id)?;
        for_each_model_body(run_id, model_id, metrics, dataset, |body| {
            self.http.post::<Nothing>("runs/log-batch", body).map(drop)
        })
    }
}
