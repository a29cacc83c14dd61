//! Which values may be tried.

use serde_json::Value;

use crate::Values;

/// Where the values of a parameter come from; one for one Optuna's `FloatDistribution`, `IntDistribution`,
/// `CategoricalDistribution`.
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    /// Numbers between `low` and `high`, both included.
    Float {
        /// Least value.
        low: f64,
        /// Greatest value; with a step, on its grid.
        high: f64,
        /// Drawn evenly on the logarithmic scale.
        log: bool,
        /// Only `low + k * step`; not with `log`.
        step: Option<f64>,
    },
    /// Whole numbers between `low` and `high`, both included.
    Int {
        /// Least value.
        low: i64,
        /// Greatest value, on the grid of `step`.
        high: i64,
        /// Drawn evenly on the logarithmic scale; then `step` is 1.
        log: bool,
        /// Only `low + k * step`.
        step: i64,
    },
    /// One of a list. A list or a mapping among them is kept in the database as its JSON text, because Optuna's own tools take
    /// only null, booleans, numbers and texts.
    Categorical {
        /// At least one, no two the same.
        choices: Vec<Value>,
    },
}

/// A parameter is tried only while another one has one of some values.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Name of the other parameter.
    pub param: String,
    /// Its values in internal form.
    pub is_one_of: Vec<f64>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Dotted key of the config that is tuned.
    pub name: String,
    /// Its values.
    pub distribution: Distribution,
    /// All must hold for it to be tried; none for always.
    pub when: Vec<Condition>,
}

/// All parameters, each after those that it depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    params: Vec<Param>,
}

/// What is wrong with a space.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{param}`: {problem}")]
pub struct SpaceError {
    /// The parameter.
    pub param: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Distribution {
    /// The value as it is used: a number, or the choice.
    pub fn to_json(&self, internal: f64) -> Value {
        match self {
            Self::Float { .. } => internal.into(),
            Self::Int { .. } => (internal as i64).into(),
            Self::Categorical { choices } => choices.get(internal as usize).cloned().unwrap_or(Value::Null),
        }
    }
}

impl Distribution {
    /// The internal form of a value; `None` if it is not among the values.
    pub fn from_json(&self, value: &Value) -> Option<f64> {
        todo!("{value}")
    }
}

impl Space {
    /// Checks bounds, steps, choices and conditions, and puts the parameters in order.
    pub fn new(params: Vec<Param>) -> Result<Self, SpaceError> {
        todo!("{params:?}")
    }

    /// Each after those that it depends on, otherwise as given.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// By name.
    pub fn get(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.name == name)
    }

    /// Whether the conditions of a parameter hold. `values` has those that it depends on, if they are active.
    pub fn is_active(param: &Param, values: &Values) -> bool {
        param.when.iter().all(|condition| values.get(&condition.param).is_some_and(|x| condition.is_one_of.contains(x)))
    }
}
