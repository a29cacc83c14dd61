//! Logged models that wait in a run's folder, one folder `models/N/` each: `model.json`, the [`ModelTicket`], and below
//! `files/` second names of the model's files. They stay until all of the model is stored, so that it can also be sent to
//! another store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{RunFolder, create_folder, file_behind, files_in, second_name, write_whole};
use crate::keys::clean_key;
use crate::record::Upload;
use crate::rules::{MAX_PARAM_CHARS, MAX_TAG_CHARS, truncate};
use crate::{DatasetName, Error, Millis, ModelFiles, Result};

const MODELS: &str = "models";
const FILES: &str = "files";
const TICKET: &str = "model.json";
/// Ending of a folder that is not complete, or being deleted.
const PARTIAL: &str = "part";

/// What a model is, and how far it has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelTicket {
    /// Marks the model in the store until its id is written here.
    pub(crate) mark: String,
    pub(crate) name: String,
    pub(crate) model_type: String,
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) metrics: Vec<TicketMetric>,
    pub(crate) step: i64,
    pub(crate) time_ms: Millis,
    pub(crate) home: Home,
    /// Files that the store has taken or refused.
    pub(crate) settled_files: BTreeSet<String>,
    /// The store has refused one of them.
    pub(crate) is_broken: bool,
    /// All but the metrics is stored.
    pub(crate) is_whole: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TicketMetric {
    pub(crate) key: String,
    /// As bits: JSON has no NaN.
    bits: u64,
    pub(crate) dataset: Option<DatasetName>,
}

impl TicketMetric {
    pub(crate) fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }
}

/// Where a model's files go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Home {
    /// Nobody has asked the store yet.
    Unknown,
    /// The store was asked to make the model; its answer may be lost.
    Begun,
    /// The logged model of this id.
    Model(String),
    /// The store has no logged models: to a folder of the run.
    Run,
}

impl ModelTicket {
    /// Of what the program has logged, in a form that MLflow takes.
    pub(crate) fn new(files: &ModelFiles, time_ms: Millis) -> Self {
        let clean = |map: &BTreeMap<String, String>, max_chars| {
            map.iter().map(|(key, value)| (clean_key(key), truncate(value, max_chars).to_owned())).collect()
        };
        let metric = |(key, value, dataset): &(String, f64, Option<DatasetName>)| TicketMetric {
            key: clean_key(key),
            bits: value.to_bits(),
            dataset: dataset.clone(),
        };
        Self {
            mark: Uuid::new_v4().simple().to_string(),
            name: clean_name(&files.name),
            model_type: files.model_type.clone(),
            params: clean(&files.params, MAX_PARAM_CHARS),
            tags: clean(&files.tags, MAX_TAG_CHARS),
            metrics: files.metrics.iter().map(metric).collect(),
            step: files.step,
            time_ms,
            home: Home::Unknown,
            settled_files: BTreeSet::new(),
            is_broken: false,
            is_whole: false,
        }
    }
}

/// A name without the characters that MLflow refuses.
fn clean_name(name: &str) -> String {
    let plain: String = name.chars().map(|c| if "/:.%\"'".contains(c) { '_' } else { c }).collect();
    if plain.is_empty() { "model".to_owned() } else { plain }
}

/// A model that waits, in its folder.
#[derive(Debug, PartialEq)]
pub(crate) struct SpooledModel {
    pub(super) number: u64,
    path: PathBuf,
    pub(crate) ticket: ModelTicket,
}

impl RunFolder {
    /// Takes a model with all files below a folder, all or nothing; gives the number of files. Errors when there are none.
    pub(crate) fn add_model(&self, local_dir: &Path, ticket: &ModelTicket) -> Result<u64> {
        let number = self.next_file.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(MODELS).join(format!("{number:08}"));
        let partial = path.with_extension(PARTIAL);
        // What a process that was killed has left.
        let _ = fs::remove_dir_all(&partial);
        let added = fill(&partial, local_dir, ticket).and_then(|files| {
            // The name is what makes the model count, so it comes last.
            fs::rename(&partial, &path).map_err(|source| Error::io("rename", &partial, source))?;
            Ok(files)
        });
        added.inspect_err(|_| {
            // Half a model helps nobody, and takes room on a full disk.
            let _ = fs::remove_dir_all(&partial);
        })
    }

    /// Models that wait, oldest first.
    pub(crate) fn models(&self) -> Result<Vec<SpooledModel>> {
        waiting_models(&self.path)
    }

    /// The run goes to another store: there it has made no model yet.
    pub(crate) fn forget_homes(&self) -> Result<()> {
        for mut model in self.models()? {
            let ticket = &mut model.ticket;
            (ticket.home, ticket.is_broken, ticket.is_whole) = (Home::Unknown, false, false);
            ticket.settled_files.clear();
            model.save()?;
        }
        Ok(())
    }
}

fn fill(partial: &Path, local_dir: &Path, ticket: &ModelTicket) -> Result<u64> {
    let files = files_in(local_dir, "")?;
    if files.is_empty() {
        return Err(Error::io("read", local_dir, io::Error::new(io::ErrorKind::NotFound, "there are no files in it")));
    }
    for upload in &files {
        let Upload::File { local_file, folder } = upload else { continue };
        let folder = partial.join(FILES).join(folder);
        create_folder(&folder)?;
        second_name(&file_behind(local_file)?, &folder.join(local_file.file_name().unwrap_or_default()))?;
    }
    write_ticket(partial, ticket)?;
    Ok(files.len() as u64)
}

fn write_ticket(folder: &Path, ticket: &ModelTicket) -> Result<()> {
    write_whole(&folder.join(TICKET), &serde_json::to_string_pretty(ticket).unwrap_or_default())
}

/// Models that wait in a run's folder, oldest first.
pub(crate) fn waiting_models(run_folder: &Path) -> Result<Vec<SpooledModel>> {
    let folder = run_folder.join(MODELS);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::io("read", &folder, source)),
    };
    let mut models = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if let Some(number) = path.file_name().and_then(|name| name.to_str()?.parse().ok())
            && let Ok(text) = fs::read_to_string(path.join(TICKET))
            && let Ok(ticket) = serde_json::from_str(&text)
        {
            models.push(SpooledModel { number, path, ticket });
        }
    }
    models.sort_by_key(|model| model.number);
    Ok(models)
}

impl SpooledModel {
    /// Files that the store has not settled yet, by their path in the model; the file `MLmodel`, by which a model is known,
    /// comes last.
    pub(crate) fn files(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        for upload in files_in(&self.path.join(FILES), "")? {
            let Upload::File { local_file, folder } = upload else { continue };
            let name = local_file.file_name().unwrap_or_default().to_string_lossy();
            let path = super::below(&folder, &name);
            if !self.ticket.settled_files.contains(&path) {
                files.push((path, local_file));
            }
        }
        files.sort_by_key(|(path, _)| path == "MLmodel");
        Ok(files)
    }

    /// Writes text to a file beside the model's files.
    pub(crate) fn write_beside(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        write_whole(&path, text)?;
        Ok(path)
    }

    /// Remembers how far the model has come.
    pub(crate) fn save(&self) -> Result<()> {
        write_ticket(&self.path, &self.ticket)
    }

    /// The model is stored, or never will be.
    pub(crate) fn remove(&self) {
        // Renamed first: after a kill in between, half a folder would be half a model. What stays goes with the run's folder.
        let gone = self.path.with_extension(PARTIAL);
        let path = if fs::rename(&self.path, &gone).is_ok() { &gone } else { &self.path };
        let _ = fs::remove_dir_all(path);
    }
}
