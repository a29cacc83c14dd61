//! `baselines:` fits classical models on the same rows.

use std::borrow::Cow;

use anyhow::{Context, Result, bail};
use dataset::{Part, Preprocessor, Splits};
use modeling::Task;
use modeling::baselines::{BaselineConfig, BaselineKind, MAX_COLUMNS, design_matrix, fit};

use crate::baselines::{ModelScores, fit_baselines};
use crate::outputs::log_input;
use crate::session::Session;
use crate::tabular::scoring::{self, Scores};

/// Fits every baseline that can predict this kind of target on the train rows; scores it on valid and test rows.
/// `shown`: the metric that models are compared by.
pub fn fit_classical(
    kinds: &[BaselineKind],
    config: &BaselineConfig,
    splits: &Splits,
    (seed, shown): (u64, &str),
    session: &Session,
) -> Result<Vec<ModelScores>> {
    let task = scoring::task_of(&splits.preprocessor);
    let able: Vec<&str> = BaselineKind::ALL.iter().filter(|kind| kind.fits(task)).map(|kind| kind.name()).collect();
    let (fitting, others): (Vec<BaselineKind>, Vec<BaselineKind>) = kinds.iter().partition(|kind| kind.fits(task));
    for kind in others {
        let (name, instead) = (kind.name(), able.join(", "));
        session.console.warn(&format!("`baselines`: no `{name}` for this kind of target; there are {instead}"));
    }
    let names: Vec<&str> = fitting.iter().map(|kind| kind.name()).collect();
    let fitted = fit_baselines(&names, shown, session, |name, nested| {
        let kind = fitting.iter().find(|kind| kind.name() == name).context("a baseline of the list")?;
        Ok((fit_one(*kind, config, splits, seed, nested)?, ()))
    })?;
    Ok(fitted.into_iter().map(|(scores, ())| scores).collect())
}

fn fit_one(
    kind: BaselineKind,
    config: &BaselineConfig,
    splits: &Splits,
    seed: u64,
    session: &Session,
) -> Result<Vec<(String, f64)>> {
    let (preprocessor, name) = (&splits.preprocessor, kind.name());
    let task = scoring::task_of(preprocessor);
    let (columns, limit) = (width(preprocessor), MAX_COLUMNS);
    if kind != BaselineKind::Dummy && columns > limit {
        // Said before a matrix of so many columns is made.
        bail!("baseline `{name}` takes at most {limit} columns, there are {columns}; set `features.max_categories`");
    }
    let train = columns_of(kind, &splits.train, preprocessor)?;
    let columns = train.len() / splits.train.n_rows();
    let model = fit(kind, config, &train, columns, &splits.train.target, task, seed)
        .with_context(|| format!("baseline `{name}`"))?;
    model.warnings.iter().for_each(|warning| session.console.warn(&format!("baseline `{name}`: {warning}")));
    log_input(&session.run, &splits.info, "training");
    session.write_text("model/baseline.json", &model.to_json()?)?;
    let mut metrics = Vec::new();
    for (prefix, part) in [("val", &splits.valid), ("test", &splits.test)] {
        let predicted = model.predict(&columns_of(kind, part, preprocessor)?)?;
        metrics.extend(scores(predicted, part, task).metrics.named_without_loss(prefix));
    }
    Ok(metrics)
}

fn scores(predicted: Vec<f32>, part: &Part, task: Task) -> Scores {
    scoring::score_predictions(predicted, f64::NAN, &part.target, task)
}

/// `[rows, width]`, row by row: numbers, then one 0/1 column per level. The dummy looks at none of them.
fn columns_of<'a>(kind: BaselineKind, part: &'a Part, preprocessor: &Preprocessor) -> Result<Cow<'a, [f32]>> {
    if kind == BaselineKind::Dummy {
        return Ok(Cow::Owned(vec![0.0; part.n_rows()]));
    }
    let (n_numeric, cardinalities) = (preprocessor.n_numeric(), preprocessor.cardinalities());
    if cardinalities.is_empty() {
        // A copy of a large table would be the peak of the run's memory.
        return Ok(Cow::Borrowed(&part.numeric));
    }
    Ok(Cow::Owned(design_matrix(&part.numeric, n_numeric, &part.categorical, &cardinalities, part.n_rows())?))
}

fn width(preprocessor: &Preprocessor) -> usize {
    preprocessor.n_numeric() + preprocessor.cardinalities().iter().sum::<usize>()
}
