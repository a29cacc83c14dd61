//! The registry in memory.

use std::collections::BTreeMap;

use super::MemoryStore;
use crate::rules::now_ms;
use crate::{
    ModelUri, ModelVersion, NewRegisteredModel, NewVersion, RegisteredModel, Registry, Result, Stage, model_rules,
};

/// Registered models by name.
pub(super) type Registered = BTreeMap<String, Entry>;

pub(super) struct Entry {
    model: RegisteredModel,
    versions: BTreeMap<u32, Version>,
    /// Deleted versions count too: their numbers are not used again.
    last_version: u32,
}

struct Version {
    facts: ModelVersion,
    location: String,
}

impl Entry {
    /// A version as others see it: with its aliases.
    fn shown(&self, version: &Version) -> ModelVersion {
        let aliases = self.model.aliases.iter().filter(|(_, target)| **target == version.facts.version);
        ModelVersion { aliases: aliases.map(|(alias, _)| alias.clone()).collect(), ..version.facts.clone() }
    }

    fn version(&mut self, version: u32) -> Result<&mut Version> {
        let name = &self.model.name;
        self.versions.get_mut(&version).ok_or_else(|| model_rules::version_not_found(name, version))
    }
}

fn entry<'a>(registered: &'a mut Registered, name: &str) -> Result<&'a mut Entry> {
    registered.get_mut(name).ok_or_else(|| model_rules::model_not_found(name))
}

impl MemoryStore {
    fn with_model<T>(&self, name: &str, work: impl FnOnce(&mut Entry) -> Result<T>) -> Result<T> {
        work(entry(&mut self.state().registered, name)?)
    }

    /// Changes a version, and the time of its last change.
    fn change_version(&self, name: &str, version: u32, change: impl FnOnce(&mut ModelVersion)) -> Result<()> {
        self.with_model(name, |entry| {
            let facts = &mut entry.version(version)?.facts;
            change(facts);
            facts.last_update_time_ms = now_ms();
            Ok(())
        })
    }

    /// Where the files of a new version are, and the run that its source tells of.
    fn origin(&self, version: &NewVersion) -> Result<(String, Option<String>)> {
        let mut state = self.state();
        let location = match version.source.parse() {
            Ok(ModelUri::Version { name, version, .. }) => {
                let source = entry(&mut state.registered, &name)?.version(version)?;
                return Ok((source.location.clone(), source.facts.run_id.clone()));
            }
            Ok(ModelUri::Model { model_id, .. }) => state.logged_model(&model_id)?.artifact_location.clone(),
            _ => version.source.clone(),
        };
        let run_id = match &version.model_id {
            Some(model_id) => state.logged_model(model_id)?.source_run_id.clone(),
            None => None,
        };
        Ok((location, run_id))
    }
}

impl Registry for MemoryStore {
    fn create_model(&self, new: &NewRegisteredModel) -> Result<RegisteredModel> {
        model_rules::check_new_model(new)?;
        let registered = &mut self.state().registered;
        if registered.contains_key(&new.name) {
            return Err(model_rules::model_exists(&new.name));
        }
        let now = now_ms();
        let model = RegisteredModel {
            name: new.name.clone(),
            description: new.description.clone(),
            creation_time_ms: now,
            last_update_time_ms: now,
            aliases: BTreeMap::new(),
            tags: new.tags.clone(),
        };
        let entry = Entry { model: model.clone(), versions: BTreeMap::new(), last_version: 0 };
        registered.insert(new.name.clone(), entry);
        Ok(model)
    }

    fn model(&self, name: &str) -> Result<RegisteredModel> {
        self.with_model(name, |entry| Ok(entry.model.clone()))
    }

    fn models(&self) -> Result<Vec<RegisteredModel>> {
        let is_prompt =
            |model: &RegisteredModel| model.tags.get(model_rules::PROMPT_TAG).is_some_and(|tag| tag == "true");
        let state = self.state();
        Ok(state.registered.values().map(|entry| &entry.model).filter(|model| !is_prompt(model)).cloned().collect())
    }

    fn set_model_description(&self, name: &str, description: &str) -> Result<()> {
        self.with_model(name, |entry| {
            entry.model.description = description.to_owned();
            entry.model.last_update_time_ms = now_ms();
            Ok(())
        })
    }

    fn rename_model(&self, name: &str, new_name: &str) -> Result<()> {
        model_rules::check_model_name(new_name)?;
        let registered = &mut self.state().registered;
        entry(registered, name)?;
        if registered.contains_key(new_name) {
            return Err(model_rules::model_exists(new_name));
        }
        if let Some(mut entry) = registered.remove(name) {
            entry.model.name = new_name.to_owned();
            entry.model.last_update_time_ms = now_ms();
            for version in entry.versions.values_mut() {
                version.facts.name = new_name.to_owned();
                version.facts.last_update_time_ms = entry.model.last_update_time_ms;
            }
            registered.insert(new_name.to_owned(), entry);
        }
        Ok(())
    }

    fn delete_model(&self, name: &str) -> Result<()> {
        self.state().registered.remove(name).map(drop).ok_or_else(|| model_rules::model_not_found(name))
    }

    fn set_model_tag(&self, name: &str, key: &str, value: &str) -> Result<()> {
        model_rules::check_tag(key, value)?;
        self.with_model(name, |entry| {
            entry.model.tags.insert(key.to_owned(), value.to_owned());
            Ok(())
        })
    }

    fn delete_model_tag(&self, name: &str, key: &str) -> Result<()> {
        self.with_model(name, |entry| {
            entry.model.tags.remove(key);
            Ok(())
        })
    }

    fn create_version(&self, new: &NewVersion) -> Result<ModelVersion> {
        let new = model_rules::complete(new)?;
        self.model(&new.name)?;
        let (location, source_run_id) = self.origin(&new)?;
        let now = now_ms();
        let created = self.with_model(&new.name, |entry| {
            entry.last_version += 1;
            entry.model.last_update_time_ms = now;
            let facts = ModelVersion {
                name: new.name.clone(),
                version: entry.last_version,
                source: new.source.clone(),
                run_id: new.run_id.clone().or(source_run_id),
                description: new.description.clone(),
                stage: Stage::None,
                creation_time_ms: now,
                last_update_time_ms: now,
                aliases: Vec::new(),
                tags: new.tags.clone(),
            };
            entry.versions.insert(facts.version, Version { facts: facts.clone(), location });
            Ok(facts)
        })?;
        if let Some(model_id) = &new.model_id {
            let mut state = self.state();
            let tags = &mut state.logged_model(model_id)?.tags;
            if let Some(noted) = model_rules::with_version_noted(tags.get(model_rules::MODEL_VERSIONS_TAG), &created) {
                tags.insert(model_rules::MODEL_VERSIONS_TAG.into(), noted);
            }
        }
        Ok(created)
    }

    fn version(&self, name: &str, version: u32) -> Result<ModelVersion> {
        self.with_model(name, |entry| {
            entry.version(version)?;
            let found = entry.versions.get(&version).map(|found| entry.shown(found));
            found.ok_or_else(|| model_rules::version_not_found(name, version))
        })
    }

    fn versions(&self, name: &str) -> Result<Vec<ModelVersion>> {
        self.with_model(name, |entry| Ok(entry.versions.values().map(|version| entry.shown(version)).collect()))
    }

    fn version_location(&self, name: &str, version: u32) -> Result<String> {
        self.with_model(name, |entry| Ok(entry.version(version)?.location.clone()))
    }

    fn set_version_description(&self, name: &str, version: u32, description: &str) -> Result<()> {
        self.change_version(name, version, |facts| facts.description = description.to_owned())
    }

    fn delete_version(&self, name: &str, version: u32) -> Result<()> {
        self.with_model(name, |entry| {
            entry.version(version)?;
            entry.versions.remove(&version);
            entry.model.aliases.retain(|_, target| *target != version);
            entry.model.last_update_time_ms = now_ms();
            Ok(())
        })
    }

    fn set_stage(&self, name: &str, version: u32, stage: Stage, archive_existing: bool) -> Result<()> {
        model_rules::check_archiving(stage, archive_existing)?;
        let now = now_ms();
        self.with_model(name, |entry| {
            entry.version(version)?;
            for (number, Version { facts, .. }) in &mut entry.versions {
                let to = match (*number == version, archive_existing && facts.stage == stage) {
                    (true, _) => stage,
                    (false, true) => Stage::Archived,
                    (false, false) => continue,
                };
                (facts.stage, facts.last_update_time_ms) = (to, now);
            }
            entry.model.last_update_time_ms = now;
            Ok(())
        })
    }

    fn set_version_tag(&self, name: &str, version: u32, key: &str, value: &str) -> Result<()> {
        model_rules::check_tag(key, value)?;
        self.with_model(name, |entry| {
            entry.version(version)?.facts.tags.insert(key.to_owned(), value.to_owned());
            Ok(())
        })
    }

    fn delete_version_tag(&self, name: &str, version: u32, key: &str) -> Result<()> {
        self.with_model(name, |entry| {
            entry.version(version)?.facts.tags.remove(key);
            Ok(())
        })
    }

    fn set_alias(&self, name: &str, alias: &str, version: u32) -> Result<()> {
        model_rules::check_alias(alias)?;
        self.with_model(name, |entry| {
            entry.version(version)?;
            entry.model.aliases.insert(alias.to_owned(), version);
            Ok(())
        })
    }

    fn move_alias(&self, name: &str, alias: &str, expected: Option<u32>, version: u32) -> Result<()> {
        model_rules::check_alias(alias)?;
        self.with_model(name, |entry| {
            model_rules::check_expected(name, alias, expected, entry.model.aliases.get(alias).copied())?;
            entry.version(version)?;
            entry.model.aliases.insert(alias.to_owned(), version);
            Ok(())
        })
    }

    fn delete_alias(&self, name: &str, alias: &str) -> Result<()> {
        self.with_model(name, |entry| {
            entry.model.aliases.remove(alias);
            Ok(())
        })
    }
}
