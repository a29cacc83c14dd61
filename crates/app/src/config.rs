//! From defaults, YAML, environment and flags to one checked config.
//!
//! Later layers win: defaults < YAML file < its profile < MLFLOW_* variables < ML_TABULAR_* variables < flags. Every
//! layer is held against the defaults, so an unknown key is reported with the place it came from before anything runs.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use figment::providers::Serialized;
use figment::value::{Dict, Empty, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::Mistake;

const ENV_PREFIX: &str = "ML_TABULAR_";

/// MLflow's own variables and the keys they set.
const MLFLOW_VARIABLES: [(&str, &str); 4] = [
    ("MLFLOW_TRACKING_URI", "mlflow.tracking_uri"),
    ("MLFLOW_REGISTRY_URI", "mlflow.registry_uri"),
    ("MLFLOW_EXPERIMENT_NAME", "mlflow.experiment_name"),
    ("MLFLOW_EXPERIMENT_ID", "mlflow.experiment_id"),
];

/// Names that users bring from other systems, and what they are called here. Of several the first that the program has counts.
const SYNONYMS: &[(&str, &str)] = &[
    ("lr", "training.learning_rate"),
    ("num_epochs", "training.epochs"),
    ("max_epochs", "training.epochs"),
    ("n_epochs", "training.epochs"),
    ("random_seed", "seed"),
    ("random_state", "seed"),
    ("test_size", "data.split.test"),
    ("val_fraction", "data.split.valid"),
    ("val_size", "data.split.valid"),
    ("dataset_csv", "data.path"),
    ("csv_path", "data.path"),
    ("train_file", "data.train_path"),
    ("valid_file", "data.valid_path"),
    ("test_file", "data.test_path"),
    ("class_weight", "training.class_weights"),
    ("scheduler", "training.schedule"),
    ("lr_scheduler", "training.schedule"),
    ("gradient_accumulation_steps", "training.accumulate_batches"),
    ("accumulate_grad_batches", "training.accumulate_batches"),
    ("max_time", "training.time_budget_minutes"),
    ("ema", "training.ema_decay"),
    ("n_splits", "cv.folds"),
    ("num_threads", "threads"),
    ("target_column", "data.target"),
    ("target_column", "data.targets"),
    ("target", "data.targets"),
    ("value_columns", "data.targets"),
    ("datetime_column", "data.time"),
    ("time_column", "data.time"),
    ("timestamp_column", "data.time"),
    ("group_column", "data.group"),
    ("freq", "data.frequency"),
    ("input_window", "windows.lookback"),
    ("input_size", "windows.lookback"),
    ("seq_len", "windows.lookback"),
    ("lookback", "windows.lookback"),
    ("prediction_horizon", "windows.horizon"),
    ("pred_len", "windows.horizon"),
    ("horizon", "windows.horizon"),
    ("step_size", "windows.stride"),
    ("stride", "windows.stride"),
    ("normalize_per_series", "features.per_series"),
    ("datetime_features", "features.calendar"),
    ("extra_covariates", "data.past_covariates"),
    ("feature_columns", "data.past_covariates"),
    ("numeric_features", "data.past_covariates"),
    ("season_length", "features.season_steps"),
    ("seasonality", "features.season_steps"),
    ("id_column", "data.id_columns"),
    ("id_column", "data.group"),
    ("task_type", "data.problem_type"),
    ("categorical_columns", "data.types"),
    ("numeric_columns", "data.types"),
    ("hidden_dim", "model.hidden_dims"),
    ("hidden_layers", "model.hidden_dims"),
    ("batch_norm", "model.norm"),
    ("layer_norm", "model.norm"),
    ("grad_clip", "training.gradient_clip_norm"),
    ("patience", "training.early_stopping.patience"),
    ("experiment_name", "mlflow.experiment_name"),
];

/// One `key = value` from the command line, with the flag to name in messages.
#[derive(Debug, Clone)]
pub struct Override {
    /// Shown as the source of the value: `--set training.epochs`, `--epochs`.
    pub flag: String,
    /// Dotted key.
    pub key: String,
    /// Value, typed as YAML types it.
    pub value: serde_yaml::Value,
}

impl Override {
    /// Parses the text after `--set`. The value is YAML: `1e-3`, `[64, 32]`, `null`, `text`.
    pub fn parse_set(text: &str) -> Result<Self, Mistake> {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            Mistake::new(format!("`--set {text}` has no `=`")).hint("write `--set training.epochs=3`")
        })?;
        // Named without the value, which may be an address with a password.
        Ok(Self { flag: format!("--set {}", key.trim()), key: key.trim().to_owned(), value: parse_value(value) })
    }
}

/// A config with the memory of where each value came from.
pub struct Loaded<C> {
    /// Checked and complete.
    pub config: C,
    /// The YAML file.
    pub file: PathBuf,
    figment: Figment,
}

/// One source of values.
struct Layer {
    name: String,
    values: Dict,
}

impl Layer {
    /// Drops empty sections; refuses keys that are not among the defaults and values where a section belongs.
    fn clean(&mut self, defaults: &Dict) -> Result<(), Mistake> {
        drop_empty_sections(&mut self.values, defaults);
        reject_unknown_keys(&self.name, &self.values, defaults)?;
        reject_bare_sections(&self.name, &self.values, defaults, "")
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// Loads `file` (or none) with the chosen profile, the environment and the command line's overrides on top of `C`'s
/// defaults.
///
/// `check` looks at ranges and gives the first wrong key with the reason.
pub fn load<C: Serialize + DeserializeOwned + Default>(
    file: Option<&Path>,
    profile: Option<&str>,
    overrides: &[Override],
    check: impl Fn(&C) -> Result<(), (String, String)>,
) -> Result<Loaded<C>, Mistake> {
    let defaults = Value::serialize(C::default()).ok().and_then(Value::into_dict).unwrap_or_default();
    let mut layers = file.map_or_else(|| Ok(Vec::new()), |file| file_layers(file, profile, &defaults))?;
    layers.extend(environment_layers());
    load_layers(file.unwrap_or(Path::new("")), layers, overrides, &defaults, check)
}

/// Loads a run's own config again. Of the environment only MLflow's variables count: another seed, say, would make
/// another run of it.
pub fn load_again<C: Serialize + DeserializeOwned + Default>(
    file: &Path,
    overrides: &[Override],
    check: impl Fn(&C) -> Result<(), (String, String)>,
) -> Result<Loaded<C>, Mistake> {
    let defaults = Value::serialize(C::default()).ok().and_then(Value::into_dict).unwrap_or_default();
    let mut layers = file_layers(file, None, &defaults)?;
    layers.extend(mlflow_layers());
    load_layers(file, layers, overrides, &defaults, check)
}

fn load_layers<C: Serialize + DeserializeOwned + Default>(
    file: &Path,
    mut layers: Vec<Layer>,
    overrides: &[Override],
    defaults: &Dict,
    check: impl Fn(&C) -> Result<(), (String, String)>,
) -> Result<Loaded<C>, Mistake> {
    layers.extend(overrides.iter().map(|o| layer(format!("`{}`", o.flag), &o.key, &o.value)));
    let mut figment = Figment::from(Serialized::defaults(C::default()));
    for mut layer in layers {
        layer.clean(defaults)?;
        figment = figment.merge(layer);
    }
    let config: C = figment.extract().map_err(|error| wrong_value(&error))?;
    check(&config).map_err(|(key, reason)| {
        let source = source_of(&figment, &key).unwrap_or_else(|| "the defaults".to_owned());
        // Other crates write a hint behind their message.
        match reason.split_once(". Hint: ") {
            Some((reason, hint)) => Mistake::new(format!("`{key}`: {reason} (set by {source})")).hint(hint),
            None => Mistake::new(format!("`{key}`: {reason} (set by {source})")),
        }
    })?;
    Ok(Loaded { config, file: file.to_owned(), figment })
}

/// The file's own values, then those of the profile. The keys of the other profiles are checked too.
fn file_layers(file: &Path, profile: Option<&str>, defaults: &Dict) -> Result<Vec<Layer>, Mistake> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| {
        let found = list_configs(file.parent().unwrap_or(Path::new(".")));
        Mistake::new(format!("cannot read config `{shown}`: {error}"))
            .hint(format!("give a YAML file with `--config FILE`{found}"))
    })?;
    let parsed: serde_yaml::Value =
        serde_yaml::from_str(&text).map_err(|error| Mistake::new(format!("`{shown}` is not valid YAML: {error}")))?;
    let parsed = if parsed.is_null() { serde_yaml::Value::Mapping(Default::default()) } else { parsed };
    let mut values = Value::serialize(text_keys(parsed))
        .ok()
        .and_then(Value::into_dict)
        .ok_or_else(|| Mistake::new(format!("`{shown}` is not a mapping of sections such as `data:` and `model:`")))?;
    let profiles = profiles_of(&mut values, file)?;
    let mut layers = vec![Layer { name: format!("`{shown}`"), values }];
    let names: Vec<String> = profiles.keys().cloned().collect();
    for (name, values) in profiles {
        let mut layer = Layer { name: format!("profile `{name}` of `{shown}`"), values };
        layer.clean(defaults)?;
        if profile == Some(name.as_str()) {
            layers.push(layer);
        }
    }
    match profile {
        Some(profile) if layers.len() == 1 => Err(unknown_profile(profile, &names, file)),
        _ => Ok(layers),
    }
}

/// Takes the section `profiles:` out of the file's values.
fn profiles_of(values: &mut Dict, file: &Path) -> Result<BTreeMap<String, Dict>, Mistake> {
    let wrong = |what: &str| Mistake::new(format!("`{what}` in `{}` is not a mapping of sections", file.display()));
    let profiles = match values.remove("profiles") {
        None | Some(Value::Empty(..)) => Dict::new(),
        Some(value) => value.into_dict().ok_or_else(|| wrong("profiles"))?,
    };
    let dict = |(name, value): (String, Value)| match value {
        Value::Empty(..) => Ok((name, Dict::new())),
        value => value.into_dict().map(|dict| (name.clone(), dict)).ok_or_else(|| wrong(&format!("profiles.{name}"))),
    };
    profiles.into_iter().map(dict).collect()
}

fn unknown_profile(profile: &str, names: &[String], file: &Path) -> Mistake {
    let mistake = Mistake::new(format!("`{}` has no profile `{profile}`", file.display()));
    if names.is_empty() {
        return mistake
            .hint("add a section `profiles:` with one key per profile, or leave `--env` and ML_TABULAR_ENV away");
    }
    let nearest = nearest(profile, names.iter().map(String::as_str));
    let did_you_mean = nearest.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
    mistake.hint(format!("{did_you_mean}profiles in this file: {}", names.join(", ")))
}

fn mlflow_layers() -> Vec<Layer> {
    let of_variable = |(name, key): &(&str, &str)| {
        let value = env::var(name).ok().filter(|value| !value.is_empty())?;
        Some(layer(format!("environment variable {name}"), key, &serde_yaml::Value::String(value)))
    };
    MLFLOW_VARIABLES.iter().filter_map(of_variable).collect()
}

/// MLflow's variables first, then ours, which are more specific.
fn environment_layers() -> Vec<Layer> {
    let own: BTreeMap<String, String> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| name.starts_with(ENV_PREFIX))
        .collect();
    let own = own.into_iter().filter(|(name, _)| name != "ML_TABULAR_ENV").map(|(name, value)| {
        let key = name[ENV_PREFIX.len()..].to_lowercase().replace("__", ".");
        layer(format!("environment variable {name}"), &key, &parse_value(&value))
    });
    mlflow_layers().into_iter().chain(own).collect()
}

/// A layer with a single dotted key.
fn layer(name: String, key: &str, value: &serde_yaml::Value) -> Layer {
    let mut value = Value::serialize(text_keys(value.clone())).unwrap_or_else(|_| Value::from(Empty::None));
    for part in key.rsplit('.') {
        value = Value::from(Dict::from([(part.to_owned(), value)]));
    }
    Layer { name, values: value.into_dict().unwrap_or_default() }
}

/// YAML's reading of a bare value; what is no YAML is a string.
fn parse_value(text: &str) -> serde_yaml::Value {
    serde_yaml::from_str(text).unwrap_or_else(|_| serde_yaml::Value::String(text.to_owned()))
}

/// Classes may be called `0` and `1`, or `true` and `false`: as keys of a mapping they are texts.
fn text_keys(value: serde_yaml::Value) -> serde_yaml::Value {
    use serde_yaml::Value;
    let text = |key: Value| match key {
        Value::Bool(key) => Value::String(key.to_string()),
        Value::Number(key) => Value::String(key.to_string()),
        other => other,
    };
    match value {
        Value::Mapping(entries) => {
            Value::Mapping(entries.into_iter().map(|(key, value)| (text(key), text_keys(value))).collect())
        }
        Value::Sequence(items) => Value::Sequence(items.into_iter().map(text_keys).collect()),
        other => other,
    }
}

/// A section with all its keys commented out is `null` in YAML; it means "as the defaults".
fn drop_empty_sections(values: &mut Dict, defaults: &Dict) {
    values.retain(|key, value| {
        !(matches!(value, Value::Empty(..)) && defaults.get(key).is_some_and(|default| default.as_dict().is_some()))
    });
    for (key, value) in values.iter_mut() {
        if let (Value::Dict(_, inner), Some(default)) = (value, defaults.get(key).and_then(Value::as_dict)) {
            drop_empty_sections(inner, default);
        }
    }
}

fn reject_unknown_keys(source: &str, values: &Dict, defaults: &Dict) -> Result<(), Mistake> {
    let Some(unknown) = first_unknown_key(values, defaults, "") else { return Ok(()) };
    let mut known = Vec::new();
    collect_keys(defaults, "", &mut known);
    let mistake = Mistake::new(format!("unknown key `{unknown}` in {source}"));
    let leaf = unknown.rsplit('.').next().unwrap_or(&unknown);
    let has = |key: &str| known.iter().any(|known| known == key);
    let synonym = SYNONYMS.iter().find(|(name, key)| *name == leaf && has(key)).map(|(_, key)| (*key).to_owned());
    let suggestion = synonym
        .or_else(|| nearest(&unknown, known.iter().map(String::as_str)).map(str::to_owned))
        .or_else(|| known.iter().find(|key| key.rsplit('.').next() == Some(leaf)).cloned());
    Err(match suggestion {
        Some(key) => mistake.hint(format!("did you mean `{key}`?")),
        None => mistake.hint("`--print-config` lists all keys"),
    })
}

/// A list or a value where a section of keys belongs (serde would read a list as the section's fields in order).
fn reject_bare_sections(source: &str, values: &Dict, defaults: &Dict, prefix: &str) -> Result<(), Mistake> {
    for (key, value) in values {
        let Some(default) = defaults.get(key).and_then(Value::as_dict).filter(|default| !default.is_empty()) else {
            continue;
        };
        let Some(inner) = value.as_dict() else {
            let keys: Vec<&str> = default.keys().map(String::as_str).collect();
            return Err(Mistake::new(format!(
                "`{prefix}{key}` in {source}: found {}, expected a section with keys",
                value.to_actual()
            ))
            .hint(format!("keys here: {}", keys.join(", "))));
        };
        reject_bare_sections(source, inner, default, &format!("{prefix}{key}."))?;
    }
    Ok(())
}

/// Dotted path of the first key that the defaults do not have. An empty default mapping takes any key.
fn first_unknown_key(values: &Dict, defaults: &Dict, prefix: &str) -> Option<String> {
    values.iter().find_map(|(key, value)| match (defaults.get(key), value) {
        (None, _) => Some(format!("{prefix}{key}")),
        (Some(Value::Dict(_, default)), Value::Dict(_, inner)) if !default.is_empty() => {
            first_unknown_key(inner, default, &format!("{prefix}{key}."))
        }
        _ => None,
    })
}

fn collect_keys(dict: &Dict, prefix: &str, keys: &mut Vec<String>) {
    for (key, value) in dict {
        let path = format!("{prefix}{key}");
        if let Some(inner) = value.as_dict() {
            collect_keys(inner, &format!("{path}."), keys);
        }
        keys.push(path);
    }
}

/// The candidate that a typing error away from `text`, if any.
pub fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(text, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, 4))
        .min()
        .map(|(_, candidate)| candidate)
}

fn list_configs(folder: &Path) -> String {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().display().to_string()))
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    if names.is_empty() { String::new() } else { format!("; found: {}", names.join(", ")) }
}

/// Rewrites figment's error: key, value, source, and the nearest valid value.
fn wrong_value(error: &figment::Error) -> Mistake {
    use figment::error::Kind;
    let key = error.path.join(".");
    let source = error.metadata.as_ref().map_or("the config".to_owned(), |metadata| metadata.name.to_string());
    match &error.kind {
        Kind::InvalidType(found, expected) => {
            let mistake =
                Mistake::new(format!("`{key}` in {source}: found {found}, expected {}", plain_type(expected)));
            if expected == "a string" {
                mistake.hint("a text that looks like a number needs quotes: \"1\"")
            } else {
                mistake
            }
        }
        Kind::UnknownVariant(found, names) => {
            let mistake = Mistake::new(format!("`{key}` in {source}: `{found}` is not one of {}", names.join(", ")));
            match nearest(found, names.iter().copied()) {
                Some(name) => mistake.hint(format!("did you mean `{name}`?")),
                None => mistake,
            }
        }
        Kind::UnknownField(found, names) => {
            let mistake = Mistake::new(format!("unknown key `{found}` under `{key}` in {source}"));
            match nearest(found, names.iter().copied()) {
                Some(name) => mistake.hint(format!("did you mean `{name}`?")),
                None => mistake.hint(format!("keys here: {}", names.join(", "))),
            }
        }
        kind => Mistake::new(format!("`{key}` in {source}: {kind}")),
    }
}

/// Rust's type names in words.
fn plain_type(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" => "a whole number, 0 or more",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        other if other.starts_with("struct ") => "a section with keys",
        other => other,
    }
}

/// Name of the layer that set a key.
fn source_of(figment: &Figment, key: &str) -> Option<String> {
    let metadata = figment.find_metadata(key)?;
    Some(
        if metadata.name.starts_with('`') || metadata.name.contains("variable") || metadata.name.starts_with("profile")
        {
            metadata.name.to_string()
        } else {
            "default".to_owned()
        },
    )
}

impl<C: Serialize> Loaded<C> {
    /// The effective config as YAML, without the credentials that an address may hold.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(&self.redacted()).unwrap_or_default()
    }

    fn redacted(&self) -> serde_yaml::Value {
        let mut value = serde_yaml::to_value(&self.config).unwrap_or_default();
        redact(&mut value);
        value
    }

    /// The effective config as YAML, with the source of every value as a comment.
    pub fn explain(&self) -> String {
        let mut lines = Vec::new();
        let value = self.redacted();
        self.explain_into(&value, "", 0, &mut lines);
        let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0).min(60);
        let line = |(text, source): &(String, Option<String>)| match source {
            Some(source) => format!("{text:width$}  # {}\n", source.trim_matches('`').replace('`', "")),
            None => format!("{text}\n"),
        };
        lines.iter().map(line).collect()
    }

    fn explain_into(
        &self,
        value: &serde_yaml::Value,
        prefix: &str,
        depth: usize,
        lines: &mut Vec<(String, Option<String>)>,
    ) {
        let Some(mapping) = value.as_mapping() else { return };
        for (key, value) in mapping {
            let name = key.as_str().unwrap_or_default();
            let path = format!("{prefix}{name}");
            let indent = "  ".repeat(depth);
            if value.as_mapping().is_some_and(|inner| !inner.is_empty()) {
                lines.push((format!("{indent}{name}:"), None));
                self.explain_into(value, &format!("{path}."), depth + 1, lines);
            } else {
                let shown = serde_json::to_string(value).unwrap_or_default();
                let shown = value.as_str().filter(|text| is_plain(text)).map_or(shown, str::to_owned);
                lines.push((format!("{indent}{name}: {shown}"), source_of(&self.figment, &path)));
            }
        }
    }
}

/// Takes user, password and query out of every address.
fn redact(value: &mut serde_yaml::Value) {
    match value {
        serde_yaml::Value::String(text) if text.contains("://") => *text = tracking::redact_url(text),
        serde_yaml::Value::Sequence(items) => items.iter_mut().for_each(redact),
        serde_yaml::Value::Mapping(entries) => entries.iter_mut().for_each(|(_, value)| redact(value)),
        _ => {}
    }
}

/// True for strings that YAML reads back as the same string without quotes.
fn is_plain(text: &str) -> bool {
    matches!(serde_yaml::from_str::<serde_yaml::Value>(text), Ok(serde_yaml::Value::String(read)) if read == text)
        && !text.contains(['#', ':'])
}

/// The JSON Schema of a config, with `profiles:`, for editors. Ends without a line break.
pub fn schema<C: JsonSchema>(title: &str) -> String {
    let mut schema = schemars::schema_for!(C).to_value();
    // A profile holds any part of the sections; the program checks it key by key.
    schema["title"] = title.into();
    schema["properties"]["profiles"] = serde_json::json!({
        "description": "Named overlays, chosen by `--env` or ML_TABULAR_ENV.",
        "type": "object",
        "additionalProperties": {"type": "object"},
    });
    serde_json::to_string_pretty(&schema).unwrap_or_default()
}
