//! Baselines are simple models on the same data, each in a nested run, so that the network is seen beside them.

use anyhow::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::kind::RunKind;
use crate::session::Session;

/// Name and metrics of a model on valid and test rows. What is not a number is `None`: JSON has no NaN.
pub type ModelScores = (String, Vec<(String, Option<f64>)>);

/// Fits one baseline after the other in nested runs, and logs the metric that models are compared by, `shown`, to the parent
/// too, as `baseline_<name>_<metric>`: with all of them its page would show little else.
/// `fit` gives the metrics of valid and test rows, and what else is to be known of it.
pub fn fit_baselines<E: Serialize + DeserializeOwned>(
    names: &[&str],
    shown: &str,
    session: &Session,
    fit: impl Fn(&str, &Session) -> Result<(Vec<(String, f64)>, E)>,
) -> Result<Vec<(ModelScores, E)>> {
    let mut all = Vec::new();
    for name in names {
        let tags = [RunKind::Baseline.tag(), ("model_type", (*name).to_owned())];
        let fitted = session.nested(&format!("baseline {name}"), &tags, |nested| {
            let (metrics, more) = fit(name, nested)?;
            nested.log_metrics(&metrics, 0);
            let finite = |(metric, value): (String, f64)| (metric, Some(value).filter(|value| value.is_finite()));
            Ok((metrics.into_iter().map(finite).collect::<Vec<_>>(), more))
        });
        session.console.stop_if_interrupted()?;
        // The network is what the run is for: it does without a baseline that fails.
        let (scores, more) = match fitted {
            Ok(fitted) => fitted,
            Err(error) => {
                session.console.warn(&format!("{error:#}"));
                continue;
            }
        };
        let is_shown = |metric: &str| ["val", "test"].iter().any(|split| *metric == format!("{split}_{shown}"));
        let compared = scores.iter().filter(|(metric, _)| is_shown(metric));
        let finite = compared.filter_map(|(metric, value)| Some((format!("baseline_{name}_{metric}"), (*value)?)));
        session.log_metrics(&finite.collect::<Vec<_>>(), 0);
        all.push((((*name).to_owned(), scores), more));
    }
    Ok(all)
}
