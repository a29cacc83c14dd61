//! Compares rows of now with those that a model was trained on: model -> both sides -> figures -> page, verdict.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use tracking::DatasetName;

use crate::bundle::TrainedModel;
use crate::cli::{CommonFlags, push};
use crate::config::{Override, nearest};
use crate::device::use_threads;
use crate::drift::config::Config;
use crate::drift::rows::{Current, of_file, own_rows, trained_on};
use crate::drift::{Drift, Model, page};
use crate::exit::Mistake;
use crate::fitting::Learner;
use crate::forecast::job::ForecastJob;
use crate::model_place::{ModelPlace, logged_model_of};
use crate::program;
use crate::session::Session;
use crate::tabular::job::TabularJob;
use crate::tabular::outputs::TabularNet;
use crate::tabular::predictor::Predictor;

/// Config file that the program takes when none is given.
pub const DEFAULT_CONFIG: &str = "configs/drift.yaml";

#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Shortcuts for config keys")]
pub struct DriftFlags {
    /// A run's id, a folder, models:/NAME@ALIAS, models:/NAME/VERSION or runs:/RUN_ID/model (model) [default: the newest]
    #[arg(long, short, value_name = "RUN_ID|PATH|URI")]
    pub model: Option<String>,
    /// Current rows, with or without the target (data) [default: the test rows of the model's own run]
    #[arg(long, short, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Rows to compare with (reference) [default: the model's profile of its train rows]
    #[arg(long, short, value_name = "FILE")]
    pub reference: Option<PathBuf>,
}

impl DriftFlags {
    fn overrides(&self) -> Vec<Override> {
        let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let mut all = Vec::new();
        push(&mut all, "--model", "model", self.model.clone());
        push(&mut all, "--data", "data", shown(&self.data));
        push(&mut all, "--reference", "reference", shown(&self.reference));
        all
    }
}

/// The program: loads the config, finds the model, then compares inside a tracked session.
pub fn main(file: &Path, flags: &CommonFlags, own: &DriftFlags) -> Result<()> {
    let place = OnceCell::new();
    let settle = |config: &mut Config| {
        for (key, path) in [("data", &config.data), ("reference", &config.reference)] {
            check_file(key, path.as_deref())?;
        }
        let found = match &config.model {
            Some(what) => ModelPlace::find("model", what, &config.mlflow, &config.paths)?,
            None => ModelPlace::newest(&config.paths.models_dir, |kind| kind == TabularJob::MODEL_TYPE)?,
        };
        config.model = Some(found.run_id.clone().filter(|_| config.model.is_none()).unwrap_or(found.asked.clone()));
        // Set once: the config is settled once.
        let _ = place.set(found);
        Ok(())
    };
    program::run(file, flags, own.overrides(), settle, |config, session| match place.get() {
        Some(place) => compare(config, place, session),
        None => unreachable!("the config is settled before the recipe begins"),
    })
}

/// A run need not be started for a file that is not there.
fn check_file(key: &str, path: Option<&Path>) -> Result<(), Mistake> {
    match path.filter(|path| !path.exists()) {
        None => Ok(()),
        Some(path) => {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            Err(Mistake::new(format!("`{key}`: no file `{}` (looked for `{}`)", path.display(), absolute.display())))
        }
    }
}

/// Compares the config's rows with those of the model; leaves everything in the session's run and folder.
pub fn compare(config: &Config, place: &ModelPlace, session: &Session) -> Result<Drift> {
    use_threads(config.threads)?;
    if place.model_type()? == ForecastJob::MODEL_TYPE {
        let problem = "the model is a forecaster, and only rows of a table are compared";
        return Err(Mistake::new(problem).hint("name a model of `train_tabular_mlp` with `--model`").into());
    }
    let model = TrainedModel::<TabularNet>::read(&place.folder)?;
    let digest = model.dataset_digest().map(str::to_owned);
    let trained = model.dataset_name().unwrap_or("the model").to_owned();
    let predictor = Predictor::load(model)?;
    check_names(config, &predictor)?;

    // Both sides
    let reference = match &config.reference {
        Some(path) => of_file(path, &predictor, &session.console)?.side,
        None => trained_on(place, &trained)?,
    };
    let current = match &config.data {
        Some(path) => of_file(path, &predictor, &session.console)?,
        None => own_rows(place, digest.as_deref(), &predictor, config, session)?,
    };
    session.console.stop_if_interrupted()?;
    current.data.log(&session.run);

    // Figures
    let of_run = || place.run_id.as_ref().and_then(|run_id| logged_model_of(session.store(), run_id));
    let model = Model {
        asked: config.model.clone().unwrap_or_else(|| place.asked.clone()),
        run_id: place.run_id.clone(),
        model_id: place.model_id.clone().or_else(of_run),
        registered: place.registered.clone(),
    };
    let found = Drift::find(model, &reference, &current.side, config);
    record(&found, &current, session);

    // Page
    let document = page::document(&found, config, &session.folder("plots")?)?;
    session.write_text("report.html", &document.to_html()?)?;
    session.write_text("report.md", &document.to_markdown(Path::new("plots"))?)?;
    session.write_text("drift.json", &serde_json::to_string_pretty(&found)?)?;
    Ok(found)
}

/// A column that is misspelt would silently keep the limits of all.
fn check_names(config: &Config, predictor: &Predictor) -> Result<(), Mistake> {
    let net = &predictor.net;
    let mut known: Vec<String> = predictor.preprocessor.raw.iter().map(|column| column.name.clone()).collect();
    known.extend([net.target.clone(), "y_pred".to_owned()]);
    known.extend(crate::tabular::outputs::proba_names(net.task, &net.classes));
    let asked = config.columns.keys().map(|name| ("columns", name));
    let unknown =
        asked.chain(config.ignore.iter().map(|name| ("ignore", name))).find(|(_, name)| !known.contains(name));
    let Some((key, name)) = unknown else { return Ok(()) };
    let near = nearest(name, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`? "));
    Err(Mistake::new(format!("`{key}`: the model has no column `{name}`")).hint(format!(
        "{}there are {}",
        near.unwrap_or_default(),
        known.join(", ")
    )))
}

/// Metrics and verdict on the run; those of the rows as a whole on the model too; links to the run that made the model, and
/// from there back.
fn record(found: &Drift, current: &Current, session: &Session) {
    let run = &session.run;
    session.log_metrics(&found.metrics(), 0);
    run.set_tag("drift", if found.alarms.is_empty() { "no" } else { "yes" });
    run.set_tag("compared_model", &found.model.asked);
    if let Some(model_id) = &found.model.model_id {
        let (name, digest) = current.data.name_and_digest();
        let overall: Vec<(&str, f64)> = found.overall().collect();
        run.log_model_input(model_id);
        run.set_tag("model_id", model_id);
        run.log_model_metrics(model_id, Some(&DatasetName { name, digest }), &overall, 0);
    }
    if let Some(run_id) = &found.model.run_id {
        run.set_tag("source_run_id", run_id);
        session.tag_run(run_id, "drift_run_id", run.store_id().unwrap_or(run.id()));
    }
}
