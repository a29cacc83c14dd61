//! The registry in MLflow's tables.
//!
//! Newer files have a column `workspace` with a default in each of these tables and in their keys. So rows are written
//! without it, read where it has its default, and replaced with `INSERT OR REPLACE`, which needs to name no key.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Params, Row, named_params, params};

use super::read::optional_text;
use super::{Outcome, SqliteStore, models};
use crate::model_rules::{self, DELETED_STAGE, PROMPT_TAG};
use crate::rules::now_ms;
use crate::{ModelUri, ModelVersion, NewRegisteredModel, NewVersion, RegisteredModel, Registry, Result, Stage};

/// One view of the registry's tables.
struct Tables<'a> {
    db: &'a Connection,
    has_workspaces: bool,
}

impl Tables<'_> {
    /// Narrows a condition to the rows that a server without workspaces sees.
    fn condition(&self, condition: &str) -> String {
        let workspace = if self.has_workspaces { " AND workspace = 'default'" } else { "" };
        format!("WHERE {condition}{workspace}")
    }

    fn execute(&self, statement: &str, condition: &str, values: impl Params) -> Outcome<usize> {
        Ok(self.db.execute(&format!("{statement} {}", self.condition(condition)), values)?)
    }

    /// `key -> value` of a query of two columns.
    fn pairs<V: rusqlite::types::FromSql>(
        &self,
        query: &str,
        condition: &str,
        values: impl Params,
    ) -> Outcome<BTreeMap<String, V>> {
        let mut statement = self.db.prepare_cached(&format!("{query} {}", self.condition(condition)))?;
        let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn models(&self, condition: &str, values: impl Params) -> Outcome<Vec<RegisteredModel>> {
        let columns = "name, description, creation_time, last_updated_time";
        let query = format!("SELECT {columns} FROM registered_models {} ORDER BY name", self.condition(condition));
        let mut statement = self.db.prepare_cached(&query)?;
        let mut models: Vec<RegisteredModel> =
            statement.query_map(values, to_model)?.collect::<rusqlite::Result<_>>()?;
        for model in &mut models {
            let name = [&model.name];
            model.aliases = self.aliases(&model.name)?;
            model.tags = texts(self.pairs("SELECT key, value FROM registered_model_tags", "name = ?1", name)?);
        }
        Ok(models)
    }

    fn model(&self, name: &str) -> Outcome<RegisteredModel> {
        let found = self.models("name = ?1", [name])?.pop();
        Ok(found.ok_or_else(|| model_rules::model_not_found(name))?)
    }

    fn set_alias(&self, name: &str, alias: &str, version: u32) -> Outcome<()> {
        self.version(name, version)?;
        let statement = "INSERT OR REPLACE INTO registered_model_aliases (name, alias, version) VALUES (?1, ?2, ?3)";
        self.db.execute(statement, params![name, alias, version])?;
        Ok(())
    }

    fn aliases(&self, name: &str) -> Outcome<BTreeMap<String, u32>> {
        self.pairs("SELECT alias, version FROM registered_model_aliases", "name = ?1", [name])
    }

    /// Versions that are not deleted, oldest first.
    fn versions(&self, condition: &str, values: impl Params) -> Outcome<Vec<ModelVersion>> {
        let query = format!(
            "SELECT name, version, source, run_id, description, current_stage, creation_time, last_updated_time
             FROM model_versions {} AND coalesce(current_stage, '') != '{DELETED_STAGE}' ORDER BY name, version",
            self.condition(condition)
        );
        let mut statement = self.db.prepare_cached(&query)?;
        let rows: Vec<Result<ModelVersion>> =
            statement.query_map(values, to_version)?.collect::<rusqlite::Result<_>>()?;
        let mut versions: Vec<ModelVersion> = rows.into_iter().collect::<Result<_>>()?;
        for version in &mut versions {
            let key = params![version.name, version.version];
            let tags = self.pairs("SELECT key, value FROM model_version_tags", "name = ?1 AND version = ?2", key)?;
            version.tags = texts(tags);
            let aliases = self.aliases(&version.name)?.into_iter().filter(|(_, target)| *target == version.version);
            version.aliases = aliases.map(|(alias, _)| alias).collect();
        }
        Ok(versions)
    }

    fn version(&self, name: &str, version: u32) -> Outcome<ModelVersion> {
        let found = self.versions("name = ?1 AND version = ?2", params![name, version])?.pop();
        Ok(found.ok_or_else(|| model_rules::version_not_found(name, version))?)
    }

    fn location(&self, name: &str, version: u32) -> Outcome<String> {
        let ModelVersion { source, .. } = self.version(name, version)?;
        let condition = self.condition("name = ?1 AND version = ?2");
        let query = format!("SELECT storage_location FROM model_versions {condition}");
        let location: Option<String> = self.db.query_row(&query, params![name, version], |row| row.get(0))?;
        Ok(location.filter(|location| !location.is_empty()).unwrap_or(source))
    }

    /// Says that something about a model has changed now.
    fn touch(&self, name: &str) -> Outcome<()> {
        self.execute("UPDATE registered_models SET last_updated_time = ?1", "name = ?2", params![now_ms(), name])?;
        Ok(())
    }

    fn set_model_tag(&self, name: &str, key: &str, value: &str) -> Outcome<()> {
        let statement = "INSERT OR REPLACE INTO registered_model_tags (name, key, value) VALUES (?1, ?2, ?3)";
        self.db.execute(statement, [name, key, value])?;
        Ok(())
    }

    fn set_version_tag(&self, name: &str, version: u32, key: &str, value: &str) -> Outcome<()> {
        let statement = "INSERT OR REPLACE INTO model_version_tags (name, version, key, value) VALUES (?1, ?2, ?3, ?4)";
        self.db.execute(statement, params![name, version, key, value])?;
        Ok(())
    }

    fn create_model(&self, model: &NewRegisteredModel) -> Outcome<RegisteredModel> {
        if !self.models("name = ?1", [&model.name])?.is_empty() {
            return Err(model_rules::model_exists(&model.name).into());
        }
        self.db.execute(
            "INSERT INTO registered_models (name, creation_time, last_updated_time, description)
             VALUES (:name, :now, :now, :description)",
            named_params! { ":name": model.name, ":now": now_ms(), ":description": model.description },
        )?;
        model.tags.iter().try_for_each(|(key, value)| self.set_model_tag(&model.name, key, value))?;
        self.model(&model.name)
    }

    /// The keys of the other tables follow by themselves.
    fn rename_model(&self, name: &str, new_name: &str) -> Outcome<()> {
        self.model(name)?;
        if !self.models("name = ?1", [new_name])?.is_empty() {
            return Err(model_rules::model_exists(new_name).into());
        }
        self.execute("UPDATE registered_models SET name = ?1", "name = ?2", [new_name, name])?;
        self.touch(new_name)?;
        self.execute("UPDATE model_versions SET last_updated_time = ?1", "name = ?2", params![now_ms(), new_name])?;
        Ok(())
    }

    fn delete_model(&self, name: &str) -> Outcome<()> {
        self.model(name)?;
        for table in [
            "model_version_tags",
            "model_versions",
            "registered_model_tags",
            "registered_model_aliases",
            "registered_models",
        ] {
            self.execute(&format!("DELETE FROM {table}"), "name = ?1", [name])?;
        }
        Ok(())
    }

    /// Where the files of a new version are, and the run that its source tells of.
    fn origin(&self, version: &NewVersion) -> Outcome<(String, Option<String>)> {
        let location = match version.source.parse() {
            Ok(ModelUri::Version { name, version, .. }) => {
                return Ok((self.location(&name, version)?, self.version(&name, version)?.run_id));
            }
            Ok(ModelUri::Model { model_id, .. }) => models::get(self.db, &model_id)?.artifact_location,
            _ => version.source.clone(),
        };
        let run_id = match &version.model_id {
            Some(model_id) => models::get(self.db, model_id)?.source_run_id,
            None => None,
        };
        Ok((location, run_id))
    }

    fn create_version(&self, new: &NewVersion) -> Outcome<ModelVersion> {
        self.model(&new.name)?;
        let (location, source_run_id) = self.origin(new)?;
        // Deleted versions count too: their numbers are not used again.
        let query = format!("SELECT max(version) FROM model_versions {}", self.condition("name = ?1"));
        let last: Option<Option<u32>> = self.db.query_row(&query, [&new.name], |row| row.get(0)).optional()?;
        let version = last.flatten().unwrap_or(0) + 1;
        self.db.execute(
            "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, current_stage,
                                         source, run_id, status, storage_location)
             VALUES (:name, :version, :now, :now, :description, 'None', :source, :run_id, 'READY', :location)",
            named_params! {
                ":name": new.name, ":version": version, ":now": now_ms(), ":description": new.description,
                ":source": new.source, ":run_id": new.run_id.as_ref().or(source_run_id.as_ref()), ":location": location,
            },
        )?;
        new.tags.iter().try_for_each(|(key, value)| self.set_version_tag(&new.name, version, key, value))?;
        self.touch(&new.name)?;
        let created = self.version(&new.name, version)?;
        if let Some(model_id) = &new.model_id {
            models::note_version(self.db, model_id, &created)?;
        }
        Ok(created)
    }

    /// Leaves a row that holds the number and tells nothing, as MLflow does.
    fn delete_version(&self, name: &str, version: u32) -> Outcome<()> {
        self.version(name, version)?;
        let key = "name = ?1 AND version = ?2";
        self.execute("DELETE FROM registered_model_aliases", key, params![name, version])?;
        self.execute(
            "UPDATE model_versions
             SET current_stage = ?3, last_updated_time = ?4, description = NULL, user_id = NULL, status_message = NULL,
                 source = 'REDACTED-SOURCE-PATH', run_id = 'REDACTED-RUN-ID', run_link = 'REDACTED-RUN-LINK'",
            key,
            params![name, version, DELETED_STAGE, now_ms()],
        )?;
        self.touch(name)
    }

    fn set_stage(&self, name: &str, version: u32, stage: Stage, archive_existing: bool) -> Outcome<()> {
        self.version(name, version)?;
        let update = "UPDATE model_versions SET current_stage = ?3, last_updated_time = ?4";
        if archive_existing {
            self.execute(
                update,
                "name = ?1 AND version != ?2 AND current_stage = ?5",
                params![name, version, Stage::Archived.as_str(), now_ms(), stage.as_str()],
            )?;
        }
        self.execute(update, "name = ?1 AND version = ?2", params![name, version, stage.as_str(), now_ms()])?;
        self.touch(name)
    }
}

fn to_model(row: &Row<'_>) -> rusqlite::Result<RegisteredModel> {
    Ok(RegisteredModel {
        name: row.get(0)?,
        description: optional_text(row, 1)?,
        creation_time_ms: row.get::<_, Option<i64>>(2)?.unwrap_or_default(),
        last_update_time_ms: row.get::<_, Option<i64>>(3)?.unwrap_or_default(),
        aliases: BTreeMap::new(),
        tags: BTreeMap::new(),
    })
}

fn to_version(row: &Row<'_>) -> rusqlite::Result<Result<ModelVersion>> {
    let stage: Option<String> = row.get(5)?;
    let version = ModelVersion {
        name: row.get(0)?,
        version: row.get(1)?,
        source: optional_text(row, 2)?,
        run_id: row.get::<_, Option<String>>(3)?.filter(|run_id| !run_id.is_empty()),
        description: optional_text(row, 4)?,
        stage: Stage::None,
        creation_time_ms: row.get::<_, Option<i64>>(6)?.unwrap_or_default(),
        last_update_time_ms: row.get::<_, Option<i64>>(7)?.unwrap_or_default(),
        aliases: Vec::new(),
        tags: BTreeMap::new(),
    };
    let stage = stage.map_or(Ok(Stage::None), |stage| stage.parse());
    Ok(stage.map(|stage| ModelVersion { stage, ..version }))
}

/// A tag without a value is empty.
fn texts(pairs: BTreeMap<String, Option<String>>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
}

impl SqliteStore {
    fn read_registry<T>(&self, work: impl FnOnce(Tables<'_>) -> Outcome<T>) -> Result<T> {
        self.read(|db| work(Tables { db, has_workspaces: self.has_workspaces }))
    }

    fn write_registry<T>(&self, work: impl FnOnce(Tables<'_>) -> Outcome<T>) -> Result<T> {
        self.write(|db| work(Tables { db, has_workspaces: self.has_workspaces }))
    }
}

impl Registry for SqliteStore {
    fn create_model(&self, model: &NewRegisteredModel) -> Result<RegisteredModel> {
        model_rules::check_new_model(model)?;
        self.write_registry(|tables| tables.create_model(model))
    }

    fn model(&self, name: &str) -> Result<RegisteredModel> {
        self.read_registry(|tables| tables.model(name))
    }

    fn models(&self) -> Result<Vec<RegisteredModel>> {
        let mut models = self.read_registry(|tables| tables.models("TRUE", []))?;
        models.retain(|model| model.tags.get(PROMPT_TAG).is_none_or(|tag| tag != "true"));
        Ok(models)
    }

    fn set_model_description(&self, name: &str, description: &str) -> Result<()> {
        self.write_registry(|tables| {
            tables.model(name)?;
            tables.execute("UPDATE registered_models SET description = ?1", "name = ?2", [description, name])?;
            tables.touch(name)
        })
    }

    fn rename_model(&self, name: &str, new_name: &str) -> Result<()> {
        model_rules::check_model_name(new_name)?;
        self.write_registry(|tables| tables.rename_model(name, new_name))
    }

    fn delete_model(&self, name: &str) -> Result<()> {
        self.write_registry(|tables| tables.delete_model(name))
    }

    fn set_model_tag(&self, name: &str, key: &str, value: &str) -> Result<()> {
        model_rules::check_tag(key, value)?;
        self.write_registry(|tables| {
            tables.model(name)?;
            tables.set_model_tag(name, key, value)
        })
    }

    fn delete_model_tag(&self, name: &str, key: &str) -> Result<()> {
        self.write_registry(|tables| {
            tables.model(name)?;
            tables.execute("DELETE FROM registered_model_tags", "name = ?1 AND key = ?2", [name, key])?;
            Ok(())
        })
    }

    fn create_version(&self, version: &NewVersion) -> Result<ModelVersion> {
        let version = model_rules::complete(version)?;
        if version.model_id.is_some() {
            self.check_logged_models()?;
        }
        self.write_registry(|tables| tables.create_version(&version))
    }

    fn version(&self, name: &str, version: u32) -> Result<ModelVersion> {
        self.read_registry(|tables| tables.version(name, version))
    }

    fn versions(&self, name: &str) -> Result<Vec<ModelVersion>> {
        self.read_registry(|tables| {
            tables.model(name)?;
            tables.versions("name = ?1", [name])
        })
    }

    fn version_location(&self, name: &str, version: u32) -> Result<String> {
        self.read_registry(|tables| tables.location(name, version))
    }

    fn set_version_description(&self, name: &str, version: u32, description: &str) -> Result<()> {
        self.write_registry(|tables| {
            tables.version(name, version)?;
            let update = "UPDATE model_versions SET description = ?3, last_updated_time = ?4";
            tables.execute(update, "name = ?1 AND version = ?2", params![name, version, description, now_ms()])?;
            Ok(())
        })
    }

    fn delete_version(&self, name: &str, version: u32) -> Result<()> {
        self.write_registry(|tables| tables.delete_version(name, version))
    }

    fn set_stage(&self, name: &str, version: u32, stage: Stage, archive_existing: bool) -> Result<()> {
        model_rules::check_archiving(stage, archive_existing)?;
        self.write_registry(|tables| tables.set_stage(name, version, stage, archive_existing))
    }

    fn set_version_tag(&self, name: &str, version: u32, key: &str, value: &str) -> Result<()> {
        model_rules::check_tag(key, value)?;
        self.write_registry(|tables| {
            tables.version(name, version)?;
            tables.set_version_tag(name, version, key, value)
        })
    }

    fn delete_version_tag(&self, name: &str, version: u32, key: &str) -> Result<()> {
        self.write_registry(|tables| {
            tables.version(name, version)?;
            let row = "name = ?1 AND version = ?2 AND key = ?3";
            tables.execute("DELETE FROM model_version_tags", row, params![name, version, key])?;
            Ok(())
        })
    }

    fn set_alias(&self, name: &str, alias: &str, version: u32) -> Result<()> {
        model_rules::check_alias(alias)?;
        self.write_registry(|tables| tables.set_alias(name, alias, version))
    }

    fn move_alias(&self, name: &str, alias: &str, expected: Option<u32>, version: u32) -> Result<()> {
        model_rules::check_alias(alias)?;
        self.write_registry(|tables| {
            let found = tables.model(name)?.aliases.get(alias).copied();
            model_rules::check_expected(name, alias, expected, found)?;
            tables.set_alias(name, alias, version)
        })
    }

    fn delete_alias(&self, name: &str, alias: &str) -> Result<()> {
        self.write_registry(|tables| {
            tables.model(name)?;
            tables.execute("DELETE FROM registered_model_aliases", "name = ?1 AND alias = ?2", [name, alias])?;
            Ok(())
        })
    }
}
