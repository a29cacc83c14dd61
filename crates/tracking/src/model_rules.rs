//! MLflow's rules and words for registered and logged models.

use serde_json::{Value, json};

use crate::rules::check_key;
use crate::{
    Error, Millis, ModelMetric, ModelUri, ModelVersion, NewLoggedModel, NewRegisteredModel, NewVersion,
    RegisteredModel, Result, Stage,
};

/// Tag of a logged model: JSON list of the registered versions that it became.
pub(crate) const MODEL_VERSIONS_TAG: &str = "mlflow.modelVersions";
/// Marks a model or version while it is made, so that it is found again when the server's reply is lost.
pub(crate) const CREATION_TAG: &str = "tracking.creation";
/// Tag that makes a registered model a prompt, which is no model.
pub(crate) const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";
/// What is left of the source of a deleted version.
pub(crate) const DELETED_STAGE: &str = "Deleted_Internal";

const MAX_ALIAS_CHARS: usize = 255;
const MAX_REGISTRY_TAG_CHARS: usize = 100_000;

/// Checks name and tags of a new registered model.
pub(crate) fn check_new_model(model: &NewRegisteredModel) -> Result<()> {
    check_model_name(&model.name)?;
    model.tags.iter().try_for_each(|(key, value)| check_tag(key, value))
}

/// Checks the name of a registered model. Errors with [`Error::Invalid`] when it is empty, has `/` or `:`, or begins as a
/// path to elsewhere does.
pub(crate) fn check_model_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::Invalid("Missing value for required parameter 'name'. Hint: name the model.".into()));
    }
    if name.contains(['/', ':']) || name == "." || name.starts_with("..") {
        return Err(Error::Invalid(format!(
            "Invalid model name '{name}'. Names cannot contain '/' or ':' or begin with '..'."
        )));
    }
    Ok(())
}

/// Checks a tag of a registered model or version.
pub(crate) fn check_tag(key: &str, value: &str) -> Result<()> {
    check_key("key", key)?;
    if value.chars().count() > MAX_REGISTRY_TAG_CHARS {
        return Err(Error::Invalid(format!(
            "'value' of tag `{key}` exceeds the maximum length of {MAX_REGISTRY_TAG_CHARS} characters"
        )));
    }
    Ok(())
}

/// Checks a new alias: letters, digits, `_` and `-`; `latest` and `v1`, `v2`, ... are reserved.
pub(crate) fn check_alias(alias: &str) -> Result<()> {
    if alias.is_empty() {
        return Err(Error::Invalid("Registered model alias name cannot be empty.".into()));
    }
    if !is_alias(alias) {
        return Err(Error::Invalid(format!(
            "Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )));
    }
    if alias.chars().count() > MAX_ALIAS_CHARS {
        return Err(Error::Invalid(format!(
            "'Registered model alias name' exceeds the maximum length of {MAX_ALIAS_CHARS} characters"
        )));
    }
    if alias.eq_ignore_ascii_case("latest") {
        return Err(Error::Invalid("'latest' alias name (case insensitive) is reserved.".into()));
    }
    match alias.strip_prefix(['v', 'V']) {
        Some(digits) if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) => {
            Err(Error::Invalid(format!("Version alias name '{alias}' is reserved.")))
        }
        _ => Ok(()),
    }
}

/// Checks that an alias still is where a caller has seen it.
pub(crate) fn check_expected(name: &str, alias: &str, expected: Option<u32>, found: Option<u32>) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let place =
        |version: Option<u32>| version.map_or("is not there".to_owned(), |at| format!("points to version {at}"));
    let (now, then) = (place(found), place(expected));
    Err(Error::Conflict(format!(
        "Alias `{alias}` of `{name}` {now}, and was to be moved only if it {then}. Hint: someone else has moved it; \
         compare again."
    )))
}

/// True for text that may be an alias.
pub(crate) fn is_alias(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// Checks a move to a stage: only the two active ones push others out.
pub(crate) fn check_archiving(stage: Stage, archive_existing: bool) -> Result<()> {
    if archive_existing && !matches!(stage, Stage::Staging | Stage::Production) {
        return Err(Error::Invalid(format!(
            "Model version transition cannot archive existing model versions because '{stage}' is not an Active stage. \
             Valid stages are ['Staging', 'Production']"
        )));
    }
    Ok(())
}

/// Checks the name and the keys of a new logged model.
pub(crate) fn check_logged_model(model: &NewLoggedModel) -> Result<()> {
    let name = &model.name;
    if name.is_empty() || name.contains(['/', ':', '.', '%', '"', '\'']) {
        return Err(Error::Invalid(format!(
            "Invalid model name ('{name}') provided. Model name must be a non-empty string and cannot contain the \
             following characters: / : . % \" '"
        )));
    }
    model.params.keys().try_for_each(|key| check_key("Param key", key))?;
    model.tags.keys().try_for_each(|key| check_key("Tag key", key))
}

/// Checks a new version, and fills in what its source says about run and model.
pub(crate) fn complete(version: &NewVersion) -> Result<NewVersion> {
    if version.source.is_empty() {
        let name = &version.name;
        return Err(Error::Invalid(format!("Missing value for required parameter 'source' of a version of `{name}`.")));
    }
    version.tags.iter().try_for_each(|(key, value)| check_tag(key, value))?;
    let mut version = version.clone();
    if version.source.starts_with("models:") || version.source.starts_with("runs:") {
        match version.source.parse()? {
            ModelUri::Run { run_id, .. } => version.run_id = version.run_id.or(Some(run_id)),
            ModelUri::Model { model_id, .. } => version.model_id = version.model_id.or(Some(model_id)),
            ModelUri::Version { .. } => {}
            _ => {
                return Err(Error::Invalid(format!(
                    "Invalid model version source: '{}'. Hint: stages and aliases move; write models:/NAME/VERSION.",
                    version.source
                )));
            }
        }
    }
    Ok(version)
}

/// [`MODEL_VERSIONS_TAG`] with a version added to what is there; `None` when it is in already.
pub(crate) fn with_version_noted(tag: Option<&String>, version: &ModelVersion) -> Option<String> {
    // A tag that is no list was not written by MLflow, and is replaced as MLflow would do.
    let mut notes: Vec<Value> = tag.and_then(|tag| serde_json::from_str(tag).ok()).unwrap_or_default();
    let ModelVersion { name, version, .. } = version;
    // Python's client writes the number as text when it has it from a server.
    let (number, text) = (json!(version), json!(version.to_string()));
    let same = |note: &Value| note["name"] == **name && (note["version"] == number || note["version"] == text);
    if notes.iter().any(same) {
        return None;
    }
    notes.push(json!({"name": name, "version": version}));
    Some(json!(notes).to_string())
}

/// Sorts the points of a logged model.
pub(crate) fn metric_order(point: &ModelMetric) -> (&str, i64, Millis, &str) {
    (&point.metric.key, point.metric.step, point.metric.timestamp_ms, &point.run_id)
}

/// The end of a message, `. Hint: did you mean X?`, for the nearest of some names; empty when none is near.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let near = names.map(|other| (strsim::jaro_winkler(name, other), other));
    match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((likeness, other)) if likeness > 0.7 => format!(". Hint: did you mean `{other}`?"),
        _ => String::new(),
    }
}

pub(crate) fn model_not_found(name: &str) -> Error {
    Error::NotFound(format!("Registered Model with name={name} not found"))
}

pub(crate) fn model_exists(name: &str) -> Error {
    Error::AlreadyExists(format!("Registered Model (name={name}) already exists."))
}

pub(crate) fn version_not_found(name: &str, version: u32) -> Error {
    Error::NotFound(format!("Model Version (name={name}, version={version}) not found"))
}

pub(crate) fn alias_not_found(model: &RegisteredModel, alias: &str) -> Error {
    let hint = nearest(alias, model.aliases.keys().map(String::as_str));
    Error::NotFound(format!("Registered model alias {alias} not found for `{}`{hint}", model.name))
}

pub(crate) fn logged_model_not_found(model_id: &str) -> Error {
    Error::NotFound(format!("Logged model with ID '{model_id}' not found."))
}

pub(crate) fn logged_model_tag_not_found(model_id: &str, key: &str) -> Error {
    Error::NotFound(format!("No tag with key '{key}' found for model with ID '{model_id}'."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_follow_mlflow() {
        for good in ["wine", "my model", "größe.v2", "a@b", ".hidden", "100% \"x\""] {
            assert!(check_model_name(good).is_ok(), "{good}");
        }
        for bad in ["", "  ", "a/b", "a:b", ".", "..", "..a"] {
            assert!(check_model_name(bad).is_err(), "{bad}");
        }
        for good in ["champion", "v", "v1a", "latest-one", "ä_1"] {
            assert!(check_alias(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a.b", "latest", "Latest", "v1", "V22", &"a".repeat(256)] {
            assert!(check_alias(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_source_says_run_and_model() {
        let version = |source: &str| NewVersion { name: "n".into(), source: source.into(), ..NewVersion::default() };
        assert_eq!(complete(&version("runs:/abc/model")).unwrap().run_id.as_deref(), Some("abc"));
        let id = format!("m-{}", "0".repeat(32));
        assert_eq!(complete(&version(&format!("models:/{id}"))).unwrap().model_id, Some(id));
        assert_eq!(complete(&version("/srv/x")).unwrap(), version("/srv/x"));
        for bad in ["", "models:/n@champion", "models:/n/latest", "runs:"] {
            assert!(complete(&version(bad)).is_err(), "{bad}");
        }
    }
}
