//! Parameters as Optuna keeps them: a distribution as JSON, a value in internal form, and a fixed one in external form.

use serde_json::{Value, json};

use crate::space::is_same;
use crate::{Distribution, Param, Space, Trial, Values, json};

/// Optuna's JSON of a distribution.
pub(crate) fn distribution_json(distribution: &Distribution) -> String {
    let value = match distribution {
        Distribution::Float { low, high, log, step } => {
            json!({"name": "FloatDistribution", "attributes": {"step": step, "low": low, "high": high, "log": log}})
        }
        Distribution::Int { low, high, log, step } => {
            json!({"name": "IntDistribution", "attributes": {"log": log, "step": step, "low": low, "high": high}})
        }
        Distribution::Categorical { choices } => {
            let choices: Vec<Value> = choices.iter().map(stored_choice).collect();
            json!({"name": "CategoricalDistribution", "attributes": {"choices": choices}})
        }
    };
    json::to_text(&value)
}

/// The value of a parameter that may be another program's, if it is one of ours: the same kind of distribution (with equal
/// choices), and the value within.
pub(crate) fn accept(param: &Param, own_json: &str, value: f64, json: &str) -> Option<f64> {
    let fits = json == own_json || fits(&param.distribution, &json::from_text(json));
    (fits && param.distribution.contains(value)).then_some(value)
}

fn fits(distribution: &Distribution, other: &Value) -> bool {
    match (distribution, other["name"].as_str()) {
        (Distribution::Float { .. }, Some("FloatDistribution")) => true,
        (Distribution::Int { .. }, Some("IntDistribution")) => true,
        (Distribution::Categorical { choices }, Some("CategoricalDistribution")) => {
            other["attributes"]["choices"].as_array().is_some_and(|others| {
                choices.len() == others.len() && choices.iter().zip(others).all(|(own, other)| is_choice(own, other))
            })
        }
        _ => false,
    }
}

/// Lists and mappings are kept as text.
fn stored_choice(choice: &Value) -> Value {
    if choice.is_array() || choice.is_object() { choice.to_string().into() } else { choice.clone() }
}

/// Whether `stored`, from a database, is this choice; 1 and 1.0 are the same, as in Python.
fn is_choice(choice: &Value, stored: &Value) -> bool {
    is_same(&stored_choice(choice), stored)
}

/// The values of a queued trial that are fixed: those that it has, and those of Optuna's attribute `fixed_params`. What is not
/// of our space is left out.
pub(crate) fn fixed(space: &Space, trial: &Trial) -> Values {
    let mut fixed = Values::new();
    if let Some(Value::Object(external)) = trial.system_attributes.get("fixed_params") {
        for (name, value) in external {
            let internal = space.get(name).and_then(|param| internal(&param.distribution, value));
            fixed.extend(internal.map(|value| (name.clone(), value)));
        }
    }
    fixed.extend(trial.params.clone());
    fixed
}

fn internal(distribution: &Distribution, external: &Value) -> Option<f64> {
    match distribution {
        Distribution::Categorical { choices } => {
            choices.iter().position(|choice| is_choice(choice, external)).map(|index| index as f64)
        }
        Distribution::Float { .. } | Distribution::Int { .. } => distribution.from_json(external),
    }
}

/// Optuna's attribute `fixed_params`; the name of the parameter that is not of the space, or whose value is not.
pub(crate) fn fixed_params(space: &Space, fixed: &Values) -> Result<Value, String> {
    let mut external = serde_json::Map::new();
    for (name, &value) in fixed {
        match space.get(name) {
            Some(param) if param.distribution.contains(value) => {
                external.insert(name.clone(), stored_choice(&param.distribution.to_json(value)));
            }
            _ => return Err(name.clone()),
        }
    }
    Ok(external.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn categorical() -> Distribution {
        Distribution::Categorical {
            choices: vec![Value::Null, json!(true), json!(1), json!("a"), json!([1, {"b": 2}])],
        }
    }

    #[test]
    fn distributions_are_written_as_optuna_writes_them() {
        let float = Distribution::Float { low: 1e-5, high: 1.0, log: true, step: None };
        let int = Distribution::Int { low: 1, high: 9, log: false, step: 2 };
        for (distribution, text) in [
            (
                float,
                r#"{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 1.0, "log": true}}"#,
            ),
            (int, r#"{"name": "IntDistribution", "attributes": {"log": false, "step": 2, "low": 1, "high": 9}}"#),
            (
                categorical(),
                r#"{"name": "CategoricalDistribution", "attributes": {"choices": [null, true, 1, "a", "[1,{\"b\":2}]"]}}"#,
            ),
        ] {
            assert_eq!(distribution_json(&distribution), text);
        }
    }

    #[test]
    fn values_of_others_must_fit() {
        let param = |distribution| Param { name: "p".into(), distribution, when: vec![] };
        let accepted = |distribution: &Distribution, value, json: &str| {
            accept(&param(distribution.clone()), &distribution_json(distribution), value, json)
        };
        let float = Distribution::Float { low: 0.0, high: 0.6, log: false, step: Some(0.05) };
        let wider =
            r#"{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 9.0, "log": false}}"#;
        assert_eq!(accepted(&float, 0.15000000000000002, wider), Some(0.15000000000000002));
        assert_eq!(accepted(&float, 0.16, wider), None);
        assert_eq!(accepted(&float, 0.65, wider), None);
        assert_eq!(accepted(&Distribution::Int { low: 0, high: 1, log: false, step: 1 }, 0.0, wider), None);
        let own = distribution_json(&categorical());
        assert_eq!(accepted(&categorical(), 4.0, &own), Some(4.0));
        assert_eq!(accepted(&categorical(), 5.0, &own), None);
        assert_eq!(accepted(&categorical(), 4.0, &own.replace('1', "1.0")), None);
        assert_eq!(accepted(&categorical(), 0.0, "no JSON"), None);
    }

    #[test]
    fn fixed_values_have_their_external_form_in_the_database() {
        let external = json!([null, true, 1.0, "a", "[1,{\"b\":2}]"]);
        for (index, value) in external.as_array().unwrap().iter().enumerate() {
            assert_eq!(internal(&categorical(), value), Some(index as f64));
        }
        assert_eq!(internal(&categorical(), &json!("b")), None);
        assert_eq!(internal(&Distribution::Int { low: 1, high: 9, log: false, step: 2 }, &json!(4)), None);
    }
}
