//! What runs have said of their rows, so that they can be compared row by row.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use dataset::Table;
use tracking::Store;

use super::select::Candidate;
use crate::bundle::TrainedModel;
use crate::evaluate::predictions_file;
use crate::evaluate::rows::{JudgedRows, Outcomes, numbers, texts};
use crate::model_place::MODEL_FOLDER;
use crate::resume::local_folder;
use crate::runs::{fetched_files, run_file};
use crate::session::PathsConfig;
use crate::tabular::outputs::{TabularNet, VALIDATION_FILE, read_validation};

/// Predictions of the test rows, in the order in which they are looked for; `evaluate` calls them otherwise.
const TEST_FILES: [&str; 3] =
    ["predictions/test_predictions.csv", "predictions/test_predictions.parquet", "predictions/predictions.csv"];

/// The rows that a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `val_..`
    Validation,
    /// `test_..`
    Test,
}

impl Part {
    /// By the name of a metric; nothing is kept of train rows.
    pub fn of_metric(name: &str) -> Option<Self> {
        let name = name.strip_prefix("best_").unwrap_or(name);
        match name.split_once('_')?.0 {
            "val" | "valid" | "validation" => Some(Self::Validation),
            "test" => Some(Self::Test),
            _ => None,
        }
    }

    /// For people.
    pub fn rows(self) -> &'static str {
        match self {
            Self::Validation => "validation rows",
            Self::Test => "test rows",
        }
    }
}

/// The predictions of one run.
pub struct Stored {
    /// Rows, targets, predictions.
    pub rows: JudgedRows,
    /// Rows that hang together, `[rows]`: forecast windows that overlap. `None`: each row stands for itself.
    pub blocks: Option<Vec<u32>>,
    digest: Option<String>,
}

/// Where runs and their files are.
pub struct Places<'a> {
    /// Artifacts of runs of other machines.
    pub store: &'a dyn Store,
    /// Output folders of runs of this machine.
    pub paths: &'a PathsConfig,
}

impl Places<'_> {
    /// Reads what a run has kept of its predictions; `None` if it has kept nothing.
    pub fn read(&self, candidate: &Candidate, part: Part) -> Result<Option<Stored>> {
        let run_id = &candidate.run.info.run_id;
        let rows = match part {
            Part::Test => {
                let find = |file: &&str| run_file(self.store, self.paths, run_id, file).transpose();
                let Some(path) = TEST_FILES.iter().find_map(find).transpose()? else { return Ok(None) };
                predictions_file::read(&path)?
            }
            Part::Validation => match self.validation(run_id)? {
                Some(rows) => rows,
                None => return Ok(None),
            },
        };
        let blocks = forecast_blocks(&rows.table);
        Ok(Some(Stored { rows, blocks, digest: candidate.digest().map(str::to_owned) }))
    }

    /// What a model of rows of a table says of its validation rows.
    fn validation(&self, run_id: &str) -> Result<Option<JudgedRows>> {
        let Some(folder) = self.model_folder(run_id)? else { return Ok(None) };
        let path = folder.join(VALIDATION_FILE);
        let Ok(model) = TrainedModel::<TabularNet>::read(&folder) else { return Ok(None) };
        let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
        let net = model.net;
        let Some((target, predicted)) = read_validation(&text, net.task.n_outputs()) else { return Ok(None) };
        Ok(Some(JudgedRows {
            task: net.task,
            labels: net.classes,
            target_name: net.target,
            table: Table::new(&path.display().to_string(), Vec::new())?,
            outcomes: Outcomes::new(target, predicted),
            validation: None,
            has_probabilities: true,
        }))
    }

    /// The folder of a run's model on this machine; of another machine's run the files are fetched that are needed here.
    fn model_folder(&self, run_id: &str) -> Result<Option<PathBuf>> {
        let local = local_folder(run_id, &self.paths.models_dir).map(|folder| folder.join(MODEL_FOLDER));
        if let Some(local) = local.filter(|folder| folder.join(VALIDATION_FILE).is_file()) {
            return Ok(Some(local));
        }
        let folder = fetched_files(self.paths, run_id).join(MODEL_FOLDER);
        if folder.join(VALIDATION_FILE).is_file() {
            return Ok(Some(folder));
        }
        let Ok(place) = tracking::resolve(self.store, &format!("runs:/{run_id}/{MODEL_FOLDER}")) else {
            return Ok(None);
        };
        fs::create_dir_all(&folder).with_context(|| format!("cannot create folder `{}`", folder.display()))?;
        // Last the file by which it is known that all are here.
        for name in ["bundle.json", "preprocessor.json", VALIDATION_FILE] {
            let path = if place.path.is_empty() { name.to_owned() } else { format!("{}/{name}", place.path) };
            if self.store.get_artifact(place.of(), &path, &folder.join(name)).is_err() {
                return Ok(None);
            }
        }
        Ok(Some(folder))
    }
}

/// Windows of one series that follow each other, as many as a window has steps, hang together: `[rows]`, block by number.
fn forecast_blocks(table: &Table) -> Option<Vec<u32>> {
    let find = |name: &str| table.columns().iter().find(|column| column.name == name);
    let whole = |name: &str| numbers(find(name)?, table.origin());
    let (window, step) = (whole("window")?, whole("step")?);
    let horizon = step.iter().copied().fold(1.0, f64::max);
    let series = find("series").map(texts);
    let mut known: HashMap<(Option<&str>, u64), u32> = HashMap::new();
    let block = |row: usize| {
        let series = series.as_ref().and_then(|names| names[row].as_deref());
        let next = known.len() as u32;
        *known.entry((series, (window[row] / horizon) as u64)).or_insert(next)
    };
    Some((0..window.len()).map(block).collect())
}

/// Whether both are about the same rows, in the same order.
pub fn are_same_rows(a: &Stored, b: &Stored) -> bool {
    let (a_rows, b_rows) = (&a.rows, &b.rows);
    let is_same_target = a_rows.task == b_rows.task
        && a_rows.labels == b_rows.labels
        && a_rows.outcomes.target == b_rows.outcomes.target;
    // The split is in the digest; without one, or with another one, the cells must say it.
    let is_same_data = a.digest.is_some() && a.digest == b.digest;
    is_same_target && (is_same_data || has_same_cells(&a_rows.table, &b_rows.table))
}

/// An empty table proves nothing.
fn has_same_cells(a: &Table, b: &Table) -> bool {
    let shared: Vec<_> = a
        .columns()
        .iter()
        .filter_map(|column| Some((column, b.columns().iter().find(|c| c.name == column.name)?)))
        .collect();
    !shared.is_empty()
        && shared.iter().all(|(a, b)| a.len() == b.len() && (0..a.len()).all(|row| a.text(row) == b.text(row)))
}
