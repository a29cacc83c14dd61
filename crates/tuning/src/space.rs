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

    /// The internal form of a value; `None` if it is not among the values.
    pub fn from_json(&self, value: &Value) -> Option<f64> {
        let internal = match self {
            Self::Float { .. } | Self::Int { .. } => value.as_f64()?,
            Self::Categorical { choices } => choices.iter().position(|choice| is_same(choice, value))? as f64,
        };
        self.contains(internal).then_some(internal)
    }

    /// Whether an internal value is within the bounds, and on the grid if there is one.
    pub fn contains(&self, internal: f64) -> bool {
        match self {
            Self::Float { low, high, step, .. } => {
                let is_on_grid = |step: f64| {
                    let steps = (internal - low) / step;
                    (steps - steps.round()).abs() < 1e-8
                };
                let slack = if step.is_some() { 1e-9 * (high - low) } else { 0.0 };
                (low - slack..=high + slack).contains(&internal) && step.is_none_or(is_on_grid)
            }
            Self::Int { low, high, step, .. } => {
                let is_whole = internal.fract() == 0.0 && (*low as f64..=*high as f64).contains(&internal);
                is_whole && (internal as i64 - low) % step == 0
            }
            Self::Categorical { choices } => internal.fract() == 0.0 && (0.0..choices.len() as f64).contains(&internal),
        }
    }

    /// Every value in internal form; `None` for floats without a step.
    pub fn all(&self) -> Option<Vec<f64>> {
        match self {
            Self::Float { step: None, .. } => None,
            Self::Float { low, high, step: Some(step), .. } => {
                let n = ((high - low) / step).round() as usize;
                Some((0..=n).map(|k| (low + k as f64 * step).min(*high)).collect())
            }
            Self::Int { low, high, step, .. } => {
                Some((*low..=*high).step_by(*step as usize).map(|value| value as f64).collect())
            }
            Self::Categorical { choices } => Some((0..choices.len()).map(|index| index as f64).collect()),
        }
    }

    /// The value at a share of the way through, `0 <= share < 1`: even shares give every value the same chance.
    pub(crate) fn at(&self, share: f64) -> f64 {
        match self {
            Self::Float { low, high, log: true, .. } => {
                (low.ln() + share * (high.ln() - low.ln())).exp().clamp(*low, *high)
            }
            Self::Float { low, high, step: None, .. } => (low + share * (high - low)).clamp(*low, *high),
            Self::Int { low, high, log: true, .. } => {
                let (from, to) = ((*low as f64 - 0.5).ln(), (*high as f64 + 0.5).ln());
                (from + share * (to - from)).exp().round().clamp(*low as f64, *high as f64)
            }
            Self::Float { low, high, step: Some(step), .. } => {
                let n = ((high - low) / step).round() + 1.0;
                (low + (share * n).floor().min(n - 1.0) * step).min(*high)
            }
            Self::Int { low, high, step, .. } => {
                let n = ((high - low) / step + 1) as f64;
                *low as f64 + (share * n).floor().min(n - 1.0) * *step as f64
            }
            Self::Categorical { choices } => (share * choices.len() as f64).floor().min(choices.len() as f64 - 1.0),
        }
    }

    /// What is wrong with it, if anything; puts `high` on the grid.
    fn settle(&mut self) -> Result<(), String> {
        match self {
            Self::Float { low, high, log, step } => {
                if !(low.is_finite() && high.is_finite() && low <= high) {
                    return Err(format!("the bounds [{low}, {high}] are not a lower and an upper one"));
                }
                if *log && *low <= 0.0 {
                    return Err(format!("a logarithmic scale begins above 0, not at {low}"));
                }
                match step {
                    Some(_) if *log => Err("`step` and `log` exclude each other".to_owned()),
                    Some(step) if !(*step > 0.0 && step.is_finite()) => Err(format!("`step: {step}` is not above 0")),
                    Some(step) => {
                        *high = *low + ((*high - *low) / *step + 1e-8).floor() * *step;
                        Ok(())
                    }
                    None => Ok(()),
                }
            }
            Self::Int { low, high, log, step } => match () {
                () if low > high => Err(format!("the bounds [{low}, {high}] are not a lower and an upper one")),
                () if high.checked_sub(*low).is_none_or(|range| range > 1 << 53) => {
                    Err(format!("the bounds [{low}, {high}] are too far apart"))
                }
                () if *log && *low < 1 => {
                    Err(format!("a logarithmic scale of whole numbers begins at 1, not at {low}"))
                }
                () if *log && *step != 1 => Err("`step` and `log` exclude each other".to_owned()),
                () if *step < 1 => Err(format!("`step: {step}` is not 1 or more")),
                () => {
                    *high = *low + (*high - *low) / *step * *step;
                    Ok(())
                }
            },
            Self::Categorical { choices } => {
                if choices.is_empty() {
                    return Err("`choice` is empty".to_owned());
                }
                let twice = (1..choices.len()).find(|&i| choices[..i].iter().any(|other| is_same(other, &choices[i])));
                twice.map_or(Ok(()), |i| Err(format!("`{}` stands there twice", choices[i])))
            }
        }
    }
}

/// The same value, 1 and 1.0 too.
pub(crate) fn is_same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

impl Space {
    /// Checks bounds, steps, choices and conditions, and puts the parameters in order.
    pub fn new(mut params: Vec<Param>) -> Result<Self, SpaceError> {
        let wrong = |param: &str, problem: String| SpaceError { param: param.to_owned(), problem };
        for index in 0..params.len() {
            let name = params[index].name.clone();
            if params[..index].iter().any(|other| other.name == name) {
                return Err(wrong(&name, "it stands there twice".to_owned()));
            }
            params[index].distribution.settle().map_err(|problem| wrong(&name, problem))?;
        }
        for param in &params {
            for condition in &param.when {
                let Some(parent) = params.iter().find(|other| other.name == condition.param) else {
                    return Err(wrong(
                        &param.name,
                        format!("it depends on `{}`, which is not searched", condition.param),
                    ));
                };
                let is_never = |value: &&f64| !parent.distribution.contains(**value);
                if condition.is_one_of.is_empty() || condition.is_one_of.iter().any(|value| is_never(&value)) {
                    return Err(wrong(&param.name, format!("it depends on a value that `{}` never has", parent.name)));
                }
            }
        }
        let mut ordered: Vec<Param> = Vec::new();
        while !params.is_empty() {
            let is_known = |name: &String| ordered.iter().any(|param| param.name == *name);
            let ready = params.iter().position(|param| param.when.iter().all(|condition| is_known(&condition.param)));
            match ready {
                Some(index) => ordered.push(params.remove(index)),
                None => return Err(wrong(&params[0].name, "its conditions depend on itself".to_owned())),
            }
        }
        Ok(Self { params: ordered })
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
