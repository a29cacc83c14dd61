//! What a search prints at its end.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::console::number;
use crate::session::RunResult;
use crate::tune::outputs::{describe_best, plain};
use crate::tune::refit::Refitted;

/// What a search found.
pub struct Found {
    /// The best trials, for people.
    pub table: String,
    /// Complete, pruned and failed trials.
    pub n_trials: [usize; 3],
    /// Names of the objectives.
    pub objectives: Vec<String>,
    /// Number and values of the winner.
    pub best: Option<(u32, Vec<f64>)>,
    /// Its parameters as they were used.
    pub best_params: Vec<(String, Value)>,
    /// Its run.
    pub best_run_id: Option<String>,
    /// The run of the search.
    pub parent_run_id: String,
    /// Numbers of the trials that no other beats in both objectives; empty with one objective.
    pub pareto_front: Vec<u32>,
    /// Shares of the parameters, the greatest first.
    pub importance: Vec<(String, f64)>,
    /// The winner's config, ready to run.
    pub best_config: Option<PathBuf>,
    /// The winner trained anew.
    pub refit: Option<Refitted>,
}

impl Found {
    /// The winner's value beside what its refit has on valid and on test rows.
    fn refit_lines(&self, refit: &Refitted) -> String {
        let objective = &self.objectives[0];
        let metric = objective.strip_prefix("val_").unwrap_or(objective);
        let searched = self.best.as_ref().and_then(|(_, values)| values.first().copied());
        let of = |split: &str| refit.metrics.iter().find(|(name, _)| *name == format!("{split}_{metric}"))?.1;
        let shown = |value: Option<f64>| value.map_or("-".to_owned(), number);
        let registered =
            refit.registered.as_ref().map(|(name, version)| format!("\nregistered: `{name}` version {version}"));
        format!(
            "\n\nrefit with fresh seeds, run {}: {metric} {} in the search, {} on valid rows, {} on test rows{}",
            refit.run_id,
            shown(searched),
            shown(of("val")),
            shown(of("test")),
            registered.unwrap_or_default()
        )
    }
}

impl RunResult for Found {
    fn to_text(&self) -> String {
        let mut text = self.table.clone();
        if let Some(best) = describe_best(self) {
            text.push_str(&format!("\n\nbest: {best}"));
            self.best_params.iter().for_each(|(name, value)| text.push_str(&format!("\n  {name}: {}", plain(value))));
        }
        if !self.pareto_front.is_empty() {
            let numbers: Vec<String> = self.pareto_front.iter().map(u32::to_string).collect();
            text.push_str(&format!("\n\nPareto front: trials {}", numbers.join(", ")));
        }
        if !self.importance.is_empty() {
            let share = |(name, share): &(String, f64)| format!("{name} {:.0} %", share * 100.0);
            let shares: Vec<String> = self.importance.iter().take(5).map(share).collect();
            text.push_str(&format!("\n\nimportance: {}", shares.join(", ")));
        }
        text.push_str(&self.refit.as_ref().map(|refit| self.refit_lines(refit)).unwrap_or_default());
        if let Some(path) = &self.best_config {
            text.push_str(&format!("\nconfig of the best: {}", path.display()));
        }
        text + "\n"
    }

    fn summary(&self) -> String {
        let [complete, pruned, failed] = self.n_trials;
        format!("{complete} trials complete, {pruned} pruned, {failed} failed")
    }

    fn to_json(&self) -> Map<String, Value> {
        let [complete, pruned, failed] = self.n_trials;
        let best = self.best.as_ref().map(|(number, values)| {
            let params: Map<String, Value> = self.best_params.iter().cloned().collect();
            json!({"trial": number, "values": values, "params": params, "run_id": self.best_run_id})
        });
        let object = json!({
            "objectives": self.objectives,
            "n_trials": {"complete": complete, "pruned": pruned, "failed": failed},
            "best": best,
            "pareto_front": self.pareto_front,
            "importance": self.importance.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "best_config": self.best_config,
            "refit": self.refit,
        });
        match object {
            Value::Object(object) => object,
            _ => Map::new(),
        }
    }
}

/// What a worker did.
pub struct Helped {
    /// Name of the study.
    pub study: String,
    /// Trials that this process has ended.
    pub n_trials: usize,
}

impl RunResult for Helped {
    fn to_text(&self) -> String {
        format!("study `{}` has no more trials", self.study)
    }

    fn summary(&self) -> String {
        format!("{} trials by this worker", self.n_trials)
    }

    fn to_json(&self) -> Map<String, Value> {
        Map::from_iter([("study".to_owned(), self.study.clone().into()), ("n_trials".to_owned(), self.n_trials.into())])
    }
}
