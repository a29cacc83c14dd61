//! The two sides that are compared, as profiles: what a model was trained on, and rows of now.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use dataset::{DataConfig, DatasetInfo, Part, Profile, RowReader, Table, load_labelled, read_table};
use tracking::{Dataset, DatasetInput, Run};

use super::config::Config;
use crate::console::Console;
use crate::evaluate::table_rows::own_test_rows;
use crate::exit::Mistake;
use crate::model_place::ModelPlace;
use crate::outputs::log_input;
use crate::session::Session;
use crate::tabular::outputs::{PROFILE_FILE, prediction_profiles};
use crate::tabular::predictor::Predictor;

/// One side of the comparison.
pub struct Side {
    /// For people: `train rows of adult`, a file.
    pub name: String,
    /// How its columns, its target and the model's predictions for it are distributed.
    pub profile: Profile,
}

/// Current rows: a side, and what to record about its data.
pub struct Current {
    /// For the comparison.
    pub side: Side,
    /// Name and fingerprint.
    pub data: Data,
}

/// What is recorded about rows.
pub enum Data {
    /// They have the target, and are described as training data are.
    Described(Box<DatasetInfo>),
    /// A file without the target: name, fingerprint, path.
    File(Dataset),
}

impl Data {
    /// Shown name and fingerprint.
    pub fn name_and_digest(&self) -> (String, String) {
        match self {
            Self::Described(info) => (info.name.clone(), info.digest.clone()),
            Self::File(dataset) => (dataset.name.clone(), dataset.digest.clone()),
        }
    }

    /// Records it as what a run looks at.
    pub fn log(&self, run: &Run) {
        const CONTEXT: &str = "monitoring";
        match self {
            Self::Described(info) => log_input(run, info, CONTEXT),
            Self::File(dataset) => run.log_input(DatasetInput {
                dataset: dataset.clone(),
                tags: BTreeMap::from([("mlflow.data.context".to_owned(), CONTEXT.to_owned())]),
            }),
        }
    }
}

/// The profile that training has left beside the weights.
pub fn trained_on(place: &ModelPlace, trained: &str) -> Result<Side> {
    let path = place.folder.join(PROFILE_FILE);
    if !path.is_file() {
        let problem = format!("`{}`: this model has no `{PROFILE_FILE}`", place.folder.display());
        let hint = "train it again, or name the rows that it was trained on with `--reference FILE`";
        return Err(Mistake::new(problem).hint(hint).into());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let profile = Profile::from_json(&text).with_context(|| format!("`{}`", path.display()))?;
    Ok(Side { name: format!("train rows of {trained}"), profile })
}

/// Rows of a file, with or without the target.
pub fn of_file(path: &Path, predictor: &Predictor, console: &Console) -> Result<Current> {
    let net = &predictor.net;
    let data = DataConfig { path: Some(path.to_owned()), target: net.target.clone(), ..net.file.clone() };
    let reader = RowReader::open(&data)?;
    let check = predictor.preprocessor.check_columns(reader.origin(), reader.columns())?;
    check.coerced.iter().for_each(|line| console.note(line));
    let (table, part, described) = if check.has_target {
        let rows = load_labelled(&data, &predictor.preprocessor)?;
        (rows.table, rows.part, Data::Described(Box::new(rows.info)))
    } else {
        console.note(&format!("`{}` has no column `{}`: the target is not compared", path.display(), net.target));
        let table = read_table(&data)?;
        let part = predictor.preprocessor.transform(&table)?;
        let file = Data::File(file_facts(path, &table));
        (table, part, file)
    };
    console.stop_if_interrupted()?;
    let side = Side { name: path.display().to_string(), profile: profile_of(&table, part, predictor)? };
    Ok(Current { side, data: described })
}

/// The test rows of the model's own run.
pub fn own_rows(
    place: &ModelPlace,
    digest: Option<&str>,
    predictor: &Predictor,
    config: &Config,
    session: &Session,
) -> Result<Current> {
    let (table, part, info) = own_test_rows(place, digest, predictor, (&config.mlflow, &config.paths), session)?;
    let profile = profile_of(&table, part, predictor)?;
    let name = format!("test rows of {}", info.name);
    Ok(Current { side: Side { name, profile }, data: Data::Described(Box::new(info)) })
}

fn profile_of(table: &Table, part: Part, predictor: &Predictor) -> Result<Profile> {
    let profile = Profile::of_table(&predictor.preprocessor, table)?;
    let predicted = predictor.predict_encoded(part);
    Ok(profile.with_predictions(prediction_profiles(&predicted, predictor.net.task, &predictor.net.classes)))
}

fn file_facts(path: &Path, table: &Table) -> Dataset {
    let sha256 = table.files().first().map_or("", |file| file.sha256.as_str());
    Dataset {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        // MLflow takes 36 characters.
        digest: sha256.chars().take(32).collect(),
        source_type: "local".to_owned(),
        source: serde_json::json!({"uri": path.display().to_string()}).to_string(),
        schema: None,
        profile: Some(serde_json::json!({"num_rows": table.n_rows()}).to_string()),
    }
}
