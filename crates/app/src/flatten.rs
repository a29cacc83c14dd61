//! A nested config as flat MLflow params.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// Sections that say nothing about the result.
const NO_PARAMS: [&str; 3] = ["mlflow", "paths", "logging"];

/// Leaves of `config` as `dotted key -> text`, without sections that say where things are kept. Lists are JSON text; nulls and
/// empty collections are left out; addresses lose their credentials.
pub fn flatten<C: Serialize>(config: &C) -> BTreeMap<String, String> {
    let mut params = BTreeMap::new();
    if let Ok(Value::Object(sections)) = serde_json::to_value(config) {
        for (name, value) in sections.into_iter().filter(|(name, _)| !NO_PARAMS.contains(&name.as_str())) {
            flatten_into(name, value, &mut params);
        }
    }
    params
}

fn flatten_into(key: String, value: Value, params: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Array(items) if items.is_empty() => {}
        Value::Object(entries) => {
            for (name, value) in entries {
                flatten_into(format!("{key}.{name}"), value, params);
            }
        }
        Value::String(text) if text.contains("://") => {
            params.insert(key, tracking::redact_url(&text));
        }
        Value::String(text) => {
            params.insert(key, text);
        }
        other => {
            params.insert(key, other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values_become_dotted_keys() {
        let config = serde_json::json!({
            "seed": 1, "mlflow": {"tracking_uri": "secret"},
            "model": {"hidden_dims": [8, 4], "norm": "none", "embedding_dim": null, "extra": []},
        });
        let expected = [("seed", "1"), ("model.hidden_dims", "[8,4]"), ("model.norm", "none")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(flatten(&config), BTreeMap::from(expected));
    }
}
