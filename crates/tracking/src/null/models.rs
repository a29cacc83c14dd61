//! Models while tracking is off: what is registered looks as it would, and is gone at once.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{NullStore, nothing_here};
use crate::rules::now_ms;
use crate::{
    DatasetName, LoggedModel, LoggedModels, Metric, ModelOutput, ModelStatus, ModelVersion, NewLoggedModel,
    NewRegisteredModel, NewVersion, RegisteredModel, Registry, Result, Stage,
};

impl Registry for NullStore {
    fn create_model(&self, model: &NewRegisteredModel) -> Result<RegisteredModel> {
        Ok(RegisteredModel {
            name: model.name.clone(),
            description: model.description.clone(),
            creation_time_ms: now_ms(),
            last_update_time_ms: now_ms(),
            aliases: BTreeMap::new(),
            tags: model.tags.clone(),
        })
    }

    fn model(&self, _: &str) -> Result<RegisteredModel> {
        nothing_here()
    }

    fn models(&self) -> Result<Vec<RegisteredModel>> {
        Ok(Vec::new())
    }

    fn set_model_description(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    fn rename_model(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    fn delete_model(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn set_model_tag(&self, _: &str, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    fn delete_model_tag(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    fn create_version(&self, version: &NewVersion) -> Result<ModelVersion> {
        Ok(ModelVersion {
            name: version.name.clone(),
            version: 1,
            source: version.source.clone(),
            run_id: version.run_id.clone(),
            description: version.description.clone(),
            stage: Stage::None,
            creation_time_ms: now_ms(),
            last_update_time_ms: now_ms(),
            aliases: Vec::new(),
            tags: version.tags.clone(),
        })
    }

    fn version(&self, _: &str, _: u32) -> Result<ModelVersion> {
        nothing_here()
    }

    fn versions(&self, _: &str) -> Result<Vec<ModelVersion>> {
        Ok(Vec::new())
    }

    fn version_location(&self, _: &str, _: u32) -> Result<String> {
        nothing_here()
    }

    fn set_version_description(&self, _: &str, _: u32, _: &str) -> Result<()> {
        Ok(())
    }

    fn delete_version(&self, _: &str, _: u32) -> Result<()> {
        Ok(())
    }

    fn set_stage(&self, _: &str, _: u32, _: Stage, _: bool) -> Result<()> {
        Ok(())
    }

    fn set_version_tag(&self, _: &str, _: u32, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    fn delete_version_tag(&self, _: &str, _: u32, _: &str) -> Result<()> {
        Ok(())
    }

    fn set_alias(&self, _: &str, _: &str, _: u32) -> Result<()> {
        Ok(())
    }

    fn move_alias(&self, _: &str, _: &str, _: Option<u32>, _: u32) -> Result<()> {
        Ok(())
    }

    fn delete_alias(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
}

impl LoggedModels for NullStore {
    fn create(&self, model: &NewLoggedModel) -> Result<LoggedModel> {
        Ok(LoggedModel {
            model_id: format!("m-{}", Uuid::new_v4().simple()),
            experiment_id: model.experiment_id.clone(),
            name: model.name.clone(),
            artifact_location: String::new(),
            creation_time_ms: now_ms(),
            last_update_time_ms: now_ms(),
            status: ModelStatus::Pending,
            model_type: model.model_type.clone(),
            source_run_id: model.source_run_id.clone(),
            params: model.params.clone(),
            tags: model.tags.clone(),
            metrics: Vec::new(),
        })
    }

    fn get(&self, _: &str) -> Result<LoggedModel> {
        nothing_here()
    }

    fn list(&self, _: &[String]) -> Result<Vec<LoggedModel>> {
        Ok(Vec::new())
    }

    fn set_status(&self, _: &str, _: ModelStatus) -> Result<()> {
        Ok(())
    }

    fn set_tags(&self, _: &str, _: &[(String, String)]) -> Result<()> {
        Ok(())
    }

    fn remove_tag(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    fn delete(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn log_outputs(&self, _: &str, _: &[ModelOutput]) -> Result<()> {
        Ok(())
    }

    fn log_model_inputs(&self, _: &str, _: &[String]) -> Result<()> {
        Ok(())
    }

    fn log_metrics(&self, _: &str, _: &str, _: &[Metric], _: Option<&DatasetName>) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::{ArtifactsOf, Error, Store, download};

    /// What a program does with its model at the end of a run, and then with what it thinks it registered.
    #[test]
    fn a_model_can_be_registered_and_is_not_there() {
        let store = NullStore;
        let models = store.logged_models().unwrap();
        let model = models.create(&NewLoggedModel { name: "mlp".into(), ..NewLoggedModel::default() }).unwrap();
        assert!(model.model_id.len() == 34 && model.model_id.starts_with("m-"), "{}", model.model_id);
        let file = std::path::Path::new("/no/such/file");
        store.put_artifact(ArtifactsOf::Model(&model.model_id), file, "model.onnx").unwrap();
        models.set_status(&model.model_id, ModelStatus::Ready).unwrap();
        models.log_outputs("r", &[ModelOutput { model_id: model.model_id.clone(), step: 0 }]).unwrap();
        let registry = store.registry();
        registry.create_model(&NewRegisteredModel { name: "wine".into(), ..NewRegisteredModel::default() }).unwrap();
        let source = format!("models:/{}", model.model_id);
        let new = NewVersion { name: "wine".into(), source: source.clone(), ..NewVersion::default() };
        assert_eq!(registry.create_version(&new).unwrap().version, 1);
        registry.set_alias("wine", "champion", 1).unwrap();
        assert_eq!((registry.models().unwrap().len(), registry.versions("wine").unwrap().len()), (0, 0));
        assert_eq!(models.list(&["0".into()]).unwrap(), []);
        for uri in ["models:/wine@champion", "models:/wine/1", "models:/wine/Staging", source.as_str(), "runs:/r/model"]
        {
            let error = download(&store, uri, std::path::Path::new("/no/such/folder")).unwrap_err();
            assert!(matches!(error, Error::NotFound(_)), "{uri}: {error:?}");
        }
    }
}
