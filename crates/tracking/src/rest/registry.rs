//! The registry of a server.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Nothing, RestStore, none_if_empty, remove_mark};
use crate::model_rules::{self, CREATION_TAG, MODEL_VERSIONS_TAG, PROMPT_TAG};
use crate::wire::{WireModel, WireVersion, to_pairs};
use crate::{LoggedModels, ModelVersion, NewRegisteredModel, NewVersion, RegisteredModel, Registry, Result, Stage};

const MODELS_PER_PAGE: &str = "1000";
const VERSIONS_PER_PAGE: &str = "1000";

#[derive(Deserialize)]
struct OneModel {
    registered_model: WireModel,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ModelPage {
    registered_models: Vec<WireModel>,
    next_page_token: String,
}

#[derive(Deserialize)]
struct OneVersion {
    model_version: WireVersion,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct VersionPage {
    model_versions: Vec<WireVersion>,
    next_page_token: String,
}

#[derive(Deserialize)]
struct Location {
    artifact_uri: String,
}

impl RestStore {
    fn change(&self, method: Method, endpoint: &str, body: Value) -> Result<()> {
        self.http.call::<Nothing>(method, endpoint, &body.to_string()).map(drop)
    }

    /// Versions that fulfil a filter of MLflow's, oldest first. A server tells no aliases here.
    fn search_versions(&self, name: &str) -> Result<Vec<ModelVersion>> {
        // MLflow's filters have no way to write a quote of the kind that encloses the text.
        let filter = match (name.contains('\''), name.contains('"')) {
            (false, _) => format!("name = '{name}'"),
            (true, false) => format!("name = \"{name}\""),
            (true, true) => String::new(),
        };
        let mut versions: Vec<ModelVersion> = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = vec![("filter", filter.as_str()), ("max_results", VERSIONS_PER_PAGE)];
            if let Some(token) = &token {
                query.push(("page_token", token));
            }
            let page: VersionPage = self.http.get("model-versions/search", &query)?;
            for version in page.model_versions {
                versions.push(version.into_version()?);
            }
            token = none_if_empty(page.next_page_token);
            if token.is_none() {
                break;
            }
        }
        versions.retain(|version| version.name == name);
        versions.sort_by_key(|version| version.version);
        Ok(versions)
    }

    /// Notes in a logged model's tags that it became a registered version. Newer servers have done it already.
    fn note_version(&self, model_id: &str, version: &ModelVersion) -> Result<()> {
        let model = LoggedModels::get(self, model_id)?;
        match model_rules::with_version_noted(model.tags.get(MODEL_VERSIONS_TAG), version) {
            Some(noted) => self.set_tags(model_id, &[(MODEL_VERSIONS_TAG.into(), noted)]),
            None => Ok(()),
        }
    }
}

/// The key of a version, as requests have it.
fn key(name: &str, version: u32) -> Value {
    json!({"name": name, "version": version.to_string()})
}

fn with(mut body: Value, more: &[(&str, &str)]) -> Value {
    for (key, value) in more {
        body[key] = Value::from(*value);
    }
    body
}

impl Registry for RestStore {
    fn create_model(&self, model: &NewRegisteredModel) -> Result<RegisteredModel> {
        model_rules::check_new_model(model)?;
        let body = json!({"name": model.name, "description": model.description, "tags": to_pairs(&model.tags)});
        let created: OneModel = self.http.post("registered-models/create", &body.to_string())?;
        Ok(created.registered_model.into())
    }

    fn model(&self, name: &str) -> Result<RegisteredModel> {
        let found: OneModel = self.http.get("registered-models/get", &[("name", name)])?;
        Ok(found.registered_model.into())
    }

    fn models(&self) -> Result<Vec<RegisteredModel>> {
        let mut models: Vec<RegisteredModel> = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = vec![("max_results", MODELS_PER_PAGE)];
            if let Some(token) = &token {
                query.push(("page_token", token));
            }
            let page: ModelPage = self.http.get("registered-models/search", &query)?;
            models.extend(page.registered_models.into_iter().map(RegisteredModel::from));
            token = none_if_empty(page.next_page_token);
            if token.is_none() {
                break;
            }
        }
        models.retain(|model| model.tags.get(PROMPT_TAG).is_none_or(|tag| tag != "true"));
        models.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(models)
    }

    fn set_model_description(&self, name: &str, description: &str) -> Result<()> {
        let body = json!({"name": name, "description": description});
        self.change(Method::PATCH, "registered-models/update", body)
    }

    fn rename_model(&self, name: &str, new_name: &str) -> Result<()> {
        model_rules::check_model_name(new_name)?;
        self.change(Method::POST, "registered-models/rename", json!({"name": name, "new_name": new_name}))
    }

    fn delete_model(&self, name: &str) -> Result<()> {
        self.change(Method::DELETE, "registered-models/delete", json!({"name": name}))
    }

    fn set_model_tag(&self, name: &str, key: &str, value: &str) -> Result<()> {
        model_rules::check_tag(key, value)?;
        let body = json!({"name": name, "key": key, "value": value});
        self.change(Method::POST, "registered-models/set-tag", body)
    }

    fn delete_model_tag(&self, name: &str, key: &str) -> Result<()> {
        self.change(Method::DELETE, "registered-models/delete-tag", json!({"name": name, "key": key}))
    }

    fn create_version(&self, new: &NewVersion) -> Result<ModelVersion> {
        let new = model_rules::complete(new)?;
        if new.model_id.is_some() {
            self.check_logged_models()?;
        }
        let mark = Uuid::new_v4().simple().to_string();
        let mut tags: BTreeMap<String, String> = new.tags.clone();
        tags.insert(CREATION_TAG.into(), mark.clone());
        let mut body = json!({"name": new.name, "source": new.source, "tags": to_pairs(&tags)});
        for (key, value) in
            [("run_id", &new.run_id), ("model_id", &new.model_id), ("description", &Some(new.description.clone()))]
        {
            if let Some(value) = value {
                body[key] = Value::from(value.as_str());
            }
        }
        let body = body.to_string();
        let mut created = self.create_once(
            || self.http.post_once::<OneVersion>("model-versions/create", &body)?.model_version.into_version(),
            || {
                let marked = |version: &ModelVersion| version.tags.get(CREATION_TAG) == Some(&mark);
                Ok(self.search_versions(&new.name)?.into_iter().find(marked))
            },
        )?;
        created.tags.remove(CREATION_TAG);
        let (name, version) = (&created.name, created.version);
        let remove = || self.delete_version_tag(name, version, CREATION_TAG);
        remove_mark(&format!("version {version} of `{name}`"), remove);
        if let Some(model_id) = &new.model_id {
            self.note_version(model_id, &created)?;
        }
        Ok(created)
    }

    fn version(&self, name: &str, version: u32) -> Result<ModelVersion> {
        let query = [("name", name), ("version", &version.to_string())];
        self.http.get::<OneVersion>("model-versions/get", &query)?.model_version.into_version()
    }

    fn versions(&self, name: &str) -> Result<Vec<ModelVersion>> {
        let model = self.model(name)?;
        let mut versions = self.search_versions(name)?;
        for version in &mut versions {
            let aliases = model.aliases.iter().filter(|(_, target)| **target == version.version);
            version.aliases = aliases.map(|(alias, _)| alias.clone()).collect();
        }
        Ok(versions)
    }

    fn version_location(&self, name: &str, version: u32) -> Result<String> {
        let query = [("name", name), ("version", &version.to_string())];
        Ok(self.http.get::<Location>("model-versions/get-download-uri", &query)?.artifact_uri)
    }

    fn set_version_description(&self, name: &str, version: u32, description: &str) -> Result<()> {
        let body = with(key(name, version), &[("description", description)]);
        self.change(Method::PATCH, "model-versions/update", body)
    }

    fn delete_version(&self, name: &str, version: u32) -> Result<()> {
        let aliases = self.model(name)?.aliases;
        self.change(Method::DELETE, "model-versions/delete", key(name, version))?;
        // MLflow 2 leaves them, pointing nowhere.
        aliases.iter().filter(|(_, to)| **to == version).try_for_each(|(alias, _)| self.delete_alias(name, alias))
    }

    fn set_stage(&self, name: &str, version: u32, stage: Stage, archive_existing: bool) -> Result<()> {
        model_rules::check_archiving(stage, archive_existing)?;
        let mut body = with(key(name, version), &[("stage", stage.as_str())]);
        body["archive_existing_versions"] = archive_existing.into();
        self.change(Method::POST, "model-versions/transition-stage", body)
    }

    fn set_version_tag(&self, name: &str, version: u32, tag: &str, value: &str) -> Result<()> {
        model_rules::check_tag(tag, value)?;
        let body = with(key(name, version), &[("key", tag), ("value", value)]);
        self.change(Method::POST, "model-versions/set-tag", body)
    }

    fn delete_version_tag(&self, name: &str, version: u32, tag: &str) -> Result<()> {
        self.change(Method::DELETE, "model-versions/delete-tag", with(key(name, version), &[("key", tag)]))
    }

    fn set_alias(&self, name: &str, alias: &str, version: u32) -> Result<()> {
        model_rules::check_alias(alias)?;
        self.change(Method::POST, "registered-models/alias", with(key(name, version), &[("alias", alias)]))
    }

    fn delete_alias(&self, name: &str, alias: &str) -> Result<()> {
        self.change(Method::DELETE, "registered-models/alias", json!({"name": name, "alias": alias}))
    }
}
