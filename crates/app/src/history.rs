//! What the epochs brought: for the CSV file, the plots, the progress bar and the final table.

use training::EpochEnd;

use crate::baselines::ModelScores;
use crate::console::{number, table};
use crate::fitting::Fitted;
use crate::session::RunResult;

/// Loss and metrics of one split of the data.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Mean training loss; NaN where there is none.
    pub loss: f64,
    /// Values of the metrics table, without prefix.
    pub values: Vec<(&'static str, f64)>,
}

impl Metrics {
    /// A metric by name, `loss` among them; NaN if there is none.
    pub fn get(&self, name: &str) -> f64 {
        if name == "loss" {
            return self.loss;
        }
        self.values.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, value)| *value)
    }

    /// `val_loss`, `val_auc`, ... for a prefix `val`.
    pub fn named(&self, prefix: &str) -> Vec<(String, f64)> {
        let loss = (format!("{prefix}_loss"), self.loss);
        std::iter::once(loss).chain(self.named_without_loss(prefix)).collect()
    }

    /// `val_auc`, ...: of a model that was not trained with this loss.
    pub fn named_without_loss(&self, prefix: &str) -> Vec<(String, f64)> {
        self.values.iter().map(|(name, value)| (format!("{prefix}_{name}"), *value)).collect()
    }
}

/// One row of metrics per epoch. `train_*` are those of the training steps themselves (dropout on, weights moving), as in
/// Keras and Lightning; the final table scores all splits with the best weights and dropout off.
pub struct History {
    monitor: String,
    names: Vec<String>,
    /// `rows[epoch - 1]`
    rows: Vec<Vec<f64>>,
}

impl History {
    /// Empty; `monitor` (without `val_`) is the metric shown beside the loss.
    pub fn new(monitor: &str) -> Self {
        Self { monitor: monitor.to_owned(), names: Vec::new(), rows: Vec::new() }
    }

    /// Adds an epoch.
    pub fn push<M>(&mut self, end: &EpochEnd<M>, train: &Metrics, valid: &Metrics) {
        let mut row = train.named("train");
        row.extend(valid.named("val"));
        row.push(("learning_rate".to_owned(), end.learning_rate));
        row.push(("epoch_seconds".to_owned(), end.seconds));
        row.push(("samples_per_second".to_owned(), end.samples_per_second));
        self.names = row.iter().map(|(name, _)| name.clone()).collect();
        self.rows.push(row.iter().map(|(_, value)| *value).collect());
    }

    /// Back from [`History::to_csv`]; `None` if the text is not such a table.
    pub fn from_csv(monitor: &str, text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let names = lines.next()?.split(',').skip(1).map(str::to_owned).collect();
        let row = |line: &str| line.split(',').skip(1).map(|value| value.parse().ok()).collect::<Option<Vec<f64>>>();
        Some(Self { monitor: monitor.to_owned(), names, rows: lines.map(row).collect::<Option<_>>()? })
    }

    /// The metrics of an epoch (from 1), as they are logged.
    pub fn epoch(&self, epoch: usize) -> Vec<(String, f64)> {
        self.names.iter().cloned().zip(self.rows[epoch - 1].iter().copied()).collect()
    }

    /// Whole epochs so far.
    pub fn epochs(&self) -> usize {
        self.rows.len()
    }

    /// The monitored metric without `val_`.
    pub fn monitor(&self) -> &str {
        &self.monitor
    }

    /// A metric of an epoch (from 1); NaN if there is none.
    fn value(&self, name: &str, epoch: usize) -> f64 {
        let column = self.names.iter().position(|known| known == name);
        column.zip(self.rows.get(epoch.wrapping_sub(1))).map_or(f64::NAN, |(column, row)| row[column])
    }

    /// One metric over all epochs; empty if there is none of that name.
    pub fn column(&self, name: &str) -> Vec<f64> {
        let index = self.names.iter().position(|known| known == name);
        index.map_or_else(Vec::new, |index| self.rows.iter().map(|row| row[index]).collect())
    }

    /// `best_epoch`, and loss and monitored metric of that epoch as `best_val_*`.
    pub fn best(&self, best_epoch: usize) -> Vec<(String, f64)> {
        let mut names = vec!["val_loss".to_owned(), format!("val_{}", self.monitor)];
        names.dedup();
        let value = |name: &String| (format!("best_{name}"), self.value(name, best_epoch));
        std::iter::once(("best_epoch".to_owned(), best_epoch as f64)).chain(names.iter().map(value)).collect()
    }

    /// The last epoch for the progress bar: `loss 0.31 | val_auc 0.907 | best 0.909 @ 10`.
    pub fn line(&self, best: Option<(usize, f64)>) -> String {
        let last = |name: &str| number(self.value(name, self.rows.len()));
        let monitored = format!("val_{}", self.monitor);
        let best = best.map_or(String::new(), |(epoch, value)| format!(" | best {} @ {epoch}", number(value)));
        format!("train_loss {} | {monitored} {}{best}", last("train_loss"), last(&monitored))
    }

    /// `epoch,train_loss,...` with full precision.
    pub fn to_csv(&self) -> String {
        let mut text = format!("epoch,{}\n", self.names.join(","));
        for (index, row) in self.rows.iter().enumerate() {
            let values: Vec<String> = row.iter().map(f64::to_string).collect();
            text.push_str(&format!("{},{}\n", index + 1, values.join(",")));
        }
        text
    }
}

/// Final metrics of the best epoch's model on every split.
pub struct ResultTable {
    /// The network's name beside the baselines.
    model: &'static str,
    /// The metric that models are compared by.
    shown: &'static str,
    splits: Vec<String>,
    rows: Vec<(String, Vec<f64>)>,
    /// Best epoch and epochs trained of each network.
    members: Vec<(usize, usize)>,
    /// Other models on the same rows.
    baselines: Vec<ModelScores>,
}

impl ResultTable {
    /// From the metrics of each split, all of the same problem type. `model` is the network's name in the table, `shown` the metric
    /// that models are compared by.
    pub fn new(
        (model, shown): (&'static str, &'static str),
        splits: &[(&str, &Metrics)],
        members: &[Fitted],
        baselines: Vec<ModelScores>,
    ) -> Self {
        // The test split has what no other has, such as the coverage of intervals.
        let names = splits.last().map(|(_, scores)| scores.named("")).unwrap_or_default();
        let rows = names.iter().map(|(name, _)| {
            let name = name.trim_start_matches('_').to_owned();
            let values = splits.iter().map(|(_, scores)| scores.get(&name)).collect();
            (name, values)
        });
        Self {
            model,
            shown,
            splits: splits.iter().map(|(name, _)| (*name).to_owned()).collect(),
            rows: rows.collect(),
            members: members.iter().map(|member| (member.best_epoch, member.epochs)).collect(),
            baselines,
        }
    }

    /// `{"logistic": {"test_auc": 0.9, ...}}`
    pub fn baselines_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let of = |(name, scores): &ModelScores| (name.clone(), scores.iter().cloned().collect());
        self.baselines.iter().map(of).collect()
    }

    /// One metric of the network and of every baseline, the network first.
    pub fn compare(&self, metric: &str) -> Vec<(String, f64)> {
        let own = self.metrics_json().get(metric).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
        let of =
            |scores: &[(String, Option<f64>)]| scores.iter().find(|(name, _)| name == metric).and_then(|(_, x)| *x);
        let others = self.baselines.iter().map(|(name, scores)| (name.clone(), of(scores).unwrap_or(f64::NAN)));
        std::iter::once((self.model.to_owned(), own)).chain(others).collect()
    }

    /// Best epoch and epochs trained; of an ensemble, those of the network that trained longest.
    fn longest(&self) -> (usize, usize) {
        self.members.iter().copied().max_by_key(|(_, epochs)| *epochs).unwrap_or_default()
    }

    /// `{"test_auc": 0.91, ...}`; what is not a number is null.
    pub fn metrics_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut object = serde_json::Map::new();
        for (column, split) in self.splits.iter().enumerate() {
            for (name, values) in &self.rows {
                object.insert(format!("{split}_{name}"), values[column].into());
            }
        }
        object
    }
}

impl RunResult for ResultTable {
    fn to_text(&self) -> String {
        let heading: Vec<&str> = std::iter::once("metric").chain(self.splits.iter().map(String::as_str)).collect();
        let text = table(&heading, &self.rows);
        if self.baselines.is_empty() {
            return text;
        }
        let mut shown: Vec<&str> = self.rows.iter().skip(1).map(|(name, _)| name.as_str()).collect();
        shown.sort_by_key(|name| *name != self.shown);
        let shown: Vec<String> = shown.into_iter().take(4).map(|name| format!("test_{name}")).collect();
        let heading: Vec<&str> = std::iter::once("model").chain(shown.iter().map(String::as_str)).collect();
        let columns: Vec<Vec<(String, f64)>> = shown.iter().map(|metric| self.compare(metric)).collect();
        let names = self.compare("").into_iter().map(|(name, _)| name).enumerate();
        let models: Vec<(String, Vec<f64>)> =
            names.map(|(row, name)| (name, columns.iter().map(|column| column[row].1).collect())).collect();
        format!("{text}\n\n{}", table(&heading, &models))
    }

    fn summary(&self) -> String {
        match self.members.as_slice() {
            [(best, epochs)] => format!("best epoch {best} of {epochs}"),
            members => {
                let best: Vec<String> = members.iter().map(|(best, epochs)| format!("{best} of {epochs}")).collect();
                format!("{} networks, best epochs {}", members.len(), best.join(", "))
            }
        }
    }

    fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let (best_epoch, epochs) = self.longest();
        let mut object = serde_json::Map::new();
        object.insert("best_epoch".to_owned(), best_epoch.into());
        object.insert("epochs".to_owned(), epochs.into());
        object.insert("metrics".to_owned(), self.metrics_json().into());
        object.insert("baselines".to_owned(), self.baselines_json().into());
        object
    }
}
