//! Logged models in memory.

use uuid::Uuid;

use super::{MemoryStore, State};
use crate::rules::{self, now_ms, stored_value};
use crate::{
    Batch, DatasetName, LoggedModel, LoggedModels, Metric, ModelMetric, ModelOutput, ModelStatus, NewLoggedModel,
    Result, Store, model_rules,
};

impl State {
    pub(super) fn logged_model(&mut self, model_id: &str) -> Result<&mut LoggedModel> {
        self.logged_models.get_mut(model_id).ok_or_else(|| model_rules::logged_model_not_found(model_id))
    }
}

impl LoggedModels for MemoryStore {
    fn create(&self, new: &NewLoggedModel) -> Result<LoggedModel> {
        model_rules::check_logged_model(new)?;
        let mut state = self.state();
        let experiment = state.experiment(&new.experiment_id)?;
        rules::check_active("experiment", &new.experiment_id, experiment.lifecycle)?;
        let model_id = format!("m-{}", Uuid::new_v4().simple());
        let now = now_ms();
        let model = LoggedModel {
            experiment_id: experiment.experiment_id.clone(),
            name: new.name.clone(),
            artifact_location: format!("{}/models/{model_id}/artifacts", experiment.artifact_location),
            creation_time_ms: now,
            last_update_time_ms: now,
            status: ModelStatus::Pending,
            model_type: new.model_type.clone(),
            source_run_id: new.source_run_id.clone(),
            params: new.params.clone(),
            tags: new.tags.clone(),
            metrics: Vec::new(),
            model_id: model_id.clone(),
        };
        state.logged_models.insert(model_id, model.clone());
        Ok(model)
    }

    fn get(&self, model_id: &str) -> Result<LoggedModel> {
        self.state().logged_model(model_id).cloned()
    }

    fn list(&self, experiment_ids: &[String]) -> Result<Vec<LoggedModel>> {
        let state = self.state();
        let wanted = state.logged_models.values().filter(|model| experiment_ids.contains(&model.experiment_id));
        let mut found: Vec<LoggedModel> = wanted.cloned().collect();
        // They come by id, and stay so where they are of one age.
        found.sort_by_key(|model| std::cmp::Reverse(model.creation_time_ms));
        Ok(found)
    }

    fn set_status(&self, model_id: &str, status: ModelStatus) -> Result<()> {
        let mut state = self.state();
        let model = state.logged_model(model_id)?;
        (model.status, model.last_update_time_ms) = (status, now_ms());
        Ok(())
    }

    fn set_tags(&self, model_id: &str, tags: &[(String, String)]) -> Result<()> {
        tags.iter().try_for_each(|(key, _)| rules::check_key("Tag key", key))?;
        self.state().logged_model(model_id)?.tags.extend(tags.iter().cloned());
        Ok(())
    }

    fn remove_tag(&self, model_id: &str, key: &str) -> Result<()> {
        let removed = self.state().logged_model(model_id)?.tags.remove(key);
        removed.map(drop).ok_or_else(|| model_rules::logged_model_tag_not_found(model_id, key))
    }

    fn delete(&self, model_id: &str) -> Result<()> {
        let removed = self.state().logged_models.remove(model_id);
        removed.map(drop).ok_or_else(|| model_rules::logged_model_not_found(model_id))
    }

    fn log_outputs(&self, run_id: &str, outputs: &[ModelOutput]) -> Result<()> {
        let mut state = self.state();
        let logged = &mut state.active_run(run_id)?.data.outputs;
        for output in outputs {
            if !logged.iter().any(|known| known.model_id == output.model_id) {
                logged.push(output.clone());
            }
        }
        Ok(())
    }

    fn log_model_inputs(&self, run_id: &str, model_ids: &[String]) -> Result<()> {
        let mut state = self.state();
        let logged = &mut state.active_run(run_id)?.data.model_inputs;
        for model_id in model_ids {
            if !logged.contains(model_id) {
                logged.push(model_id.clone());
            }
        }
        Ok(())
    }

    fn log_metrics(
        &self,
        run_id: &str,
        model_id: &str,
        metrics: &[Metric],
        dataset: Option<&DatasetName>,
    ) -> Result<()> {
        self.state().logged_model(model_id)?;
        self.log_batch(run_id, &Batch { metrics: metrics.to_vec(), ..Batch::default() })?;
        let mut state = self.state();
        let points = &mut state.logged_model(model_id)?.metrics;
        for metric in metrics {
            let key = |point: &Metric| (point.key.clone(), point.step, point.timestamp_ms);
            if points.iter().any(|known| known.run_id == run_id && key(&known.metric) == key(metric)) {
                continue;
            }
            let metric = Metric { value: stored_value(metric.value).0, ..metric.clone() };
            points.push(ModelMetric { metric, run_id: run_id.into(), dataset: dataset.cloned() });
        }
        points.sort_by(|a, b| model_rules::metric_order(a).cmp(&model_rules::metric_order(b)));
        Ok(())
    }
}
