//! The rows of a table that a model is judged on: the test rows of its own run, or those of a file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dataset::{DataConfig, DatasetInfo, Part, Source, Table, load_labelled};

use super::config::Config;
use super::rows::{JudgedRows, Outcomes};
use crate::bundle::TrainedModel;
use crate::config;
use crate::exit::Mistake;
use crate::model_place::ModelPlace;
use crate::program::ProgramConfig;
use crate::recipes::tabular_mlp;
use crate::resume::{EFFECTIVE_CONFIG, find_folder};
use crate::session::{MlflowConfig, PathsConfig, Session};
use crate::tabular::outputs::{TabularNet, VALIDATION_FILE, read_validation};
use crate::tabular::predictor::Predictor;

/// A model with the rows that it is judged on.
pub struct TableSubject {
    /// The model.
    pub predictor: Predictor,
    /// The rows with its predictions.
    pub rows: JudgedRows,
    /// What to record about the data.
    pub info: DatasetInfo,
}

/// Reads the model and the rows, and predicts them.
pub fn open(config: &Config, place: &ModelPlace, session: &Session) -> Result<TableSubject> {
    let model = TrainedModel::<TabularNet>::read(&place.folder)?;
    let known_digest = model.dataset_digest().map(str::to_owned);
    let predictor = Predictor::load(model)?;
    let (table, part, info) = match &config.data {
        Some(path) => file_rows(path, &predictor)?,
        None => own_test_rows(place, known_digest.as_deref(), &predictor, (&config.mlflow, &config.paths), session)?,
    };
    session.console.stop_if_interrupted()?;
    let target = part.target.clone();
    let predicted = predictor.predict_encoded(part);
    let net = &predictor.net;
    let validation = validation(&place.folder, net)?;
    let rows = JudgedRows {
        task: net.task,
        labels: net.classes.clone(),
        target_name: net.target.clone(),
        table,
        outcomes: Outcomes::new(target, predicted),
        validation,
        has_probabilities: true,
    };
    Ok(TableSubject { predictor, rows, info })
}

fn file_rows(path: &Path, predictor: &Predictor) -> Result<(Table, Part, DatasetInfo)> {
    let data =
        DataConfig { path: Some(path.to_owned()), target: predictor.net.target.clone(), ..predictor.net.file.clone() };
    let rows = load_labelled(&data, &predictor.preprocessor)?;
    Ok((rows.table, rows.part, rows.info))
}

/// The test rows of the model's own run, from the data that the run was given.
pub fn own_test_rows(
    place: &ModelPlace,
    known_digest: Option<&str>,
    predictor: &Predictor,
    places: (&MlflowConfig, &PathsConfig),
    session: &Session,
) -> Result<(Table, Part, DatasetInfo)> {
    let file = run_config(place, places)?;
    let of_run = config::load_again::<tabular_mlp::Config>(&file, &[], ProgramConfig::check)?.config;
    let data = tabular_mlp::found_data(&of_run, session)?;
    let splits = Source::open_for(&data, &predictor.preprocessor, of_run.seed)?.splits()?;
    if known_digest.is_some_and(|known| known != splits.info.digest) {
        let problem = "the data, or its split, is not what the model was trained with, so its test rows are not known";
        return Err(Mistake::new(problem).hint("give rows that it has not seen with `--data FILE`").into());
    }
    Ok((splits.test_table, splits.test, splits.info))
}

/// The config of the run that made the model.
pub fn run_config(place: &ModelPlace, (mlflow, paths): (&MlflowConfig, &PathsConfig)) -> Result<PathBuf> {
    let beside = place.folder.parent().map(|run| run.join(EFFECTIVE_CONFIG)).filter(|file| file.is_file());
    if let Some(file) = beside {
        return Ok(file);
    }
    let hint = "give the rows to judge it on with `--data FILE`";
    let Some(run_id) = &place.run_id else {
        return Err(Mistake::new("the model's folder does not say which run made it").hint(hint).into());
    };
    let places = || Ok((mlflow.clone(), paths.clone()));
    let folder = find_folder(run_id, places).context("the run that made the model is not here").context(hint)?;
    Ok(folder.join(EFFECTIVE_CONFIG))
}

/// What the model said of its validation rows; older models have not kept it.
fn validation(folder: &Path, net: &TabularNet) -> Result<Option<Outcomes>> {
    let path = folder.join(VALIDATION_FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let (target, predicted) = read_validation(&text, net.task.n_outputs())
        .with_context(|| format!("`{}` does not hold the predictions of a model", path.display()))?;
    Ok(Some(Outcomes::new(target, predicted)))
}

/// `predictions/predictions.csv`: the judged rows with what came and what was predicted.
pub fn write_predictions(rows: &JudgedRows, session: &Session) -> Result<()> {
    let path = session.folder("predictions")?.join("predictions.csv");
    let (target, predicted) = (&rows.outcomes.target, &rows.outcomes.predicted);
    let outputs = rows.outcomes.columns();
    let column = |output: usize| predicted.iter().skip(output).step_by(outputs).map(f32::to_string).collect();
    let mut extra: Vec<(String, Vec<String>)> = Vec::new();
    if rows.labels.is_empty() {
        extra.push(("y_test".to_owned(), target.iter().map(f32::to_string).collect()));
        extra.push(("y_pred".to_owned(), column(0)));
    } else {
        let label = |class: usize| rows.labels[class].clone();
        extra.push(("y_test".to_owned(), target.iter().map(|&class| label(class as usize)).collect()));
        let classes = rows.scored().predictions().classes();
        extra.push(("y_pred".to_owned(), classes.into_iter().map(label).collect()));
        let names = rows.labels.iter().map(|label| format!("y_proba_{label}"));
        let names: Vec<String> = if outputs == 1 { vec!["y_proba".to_owned()] } else { names.collect() };
        extra.extend(names.into_iter().enumerate().map(|(output, name)| (name, column(output))));
    }
    let extra: Vec<(&str, Vec<String>)> = extra.iter().map(|(name, values)| (name.as_str(), values.clone())).collect();
    Ok(rows.table.write_csv(&extra, &path)?)
}
