//! The config that is tuned: its file, what is laid over it, and what may be searched of it.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tuning::{Condition, Distribution, Param, Space, Values};

use crate::config::{self, Loaded, Override, nearest};
use crate::download::hex;
use crate::exit::Mistake;
use crate::tune::config::{Config, ParamConfig};
use crate::tune::tunable::Tunable;

/// In the run's output folder: the config that is tuned, complete.
pub const BASE_CONFIG: &str = "configs/base.yaml";

/// The base config and the space around it.
pub struct Base<C> {
    file: PathBuf,
    /// Of `set:` and of `tune` itself.
    overrides: Vec<Override>,
    /// Always set.
    constants: Vec<Override>,
    /// What is searched.
    pub space: Space,
    of: PhantomData<C>,
}

impl<C: Tunable> Base<C> {
    /// Reads the space and tries every bound and every choice on the base config, so that a wrong key, type or value is known
    /// before the first trial. `file` is the base config.
    pub fn open(config: &Config, file: PathBuf) -> Result<Self> {
        let mut overrides = config.set.iter().map(|text| Override::parse_set(text)).collect::<Result<Vec<_>, _>>()?;
        overrides.iter_mut().for_each(|o| o.flag = format!("set: {}", o.key));
        let own = [
            ("mlflow", serde_yaml::to_value(&config.mlflow)),
            ("paths", serde_yaml::to_value(&config.paths)),
            ("logging", serde_yaml::to_value(&config.logging)),
            ("threads", Ok(serde_yaml::Value::Null)),
        ];
        for (key, value) in own {
            overrides.push(Override { flag: format!("{key} of tune"), key: key.to_owned(), value: value? });
        }
        tuning::Study::check_url(&config.storage).map_err(|error| Mistake::new(format!("`storage`: {error}")))?;
        let constants = config.space.iter().filter_map(|(key, param)| Some(setting(key, param.constant.clone()?)));
        let constants = constants.collect();
        let base = Self { file, overrides, constants, space: read_space(&config.space)?, of: PhantomData };
        check_keys::<C>(config.space.keys())?;
        config.search.check(&base.space).map_err(|error| wrong(&error.param, error.problem))?;
        let loaded = base.load(&[]).context("the config that is tuned")?;
        if loaded.config.init_from().is_some() {
            let problem = "`init_from`: a search trains every network from its beginning";
            let hint = "take it out of the base config, or write `set: [init_from=null]`";
            return Err(Mistake::new(problem).hint(hint).into());
        }
        base.try_all(config)?;
        Ok(base)
    }

    /// The base config with these on top.
    pub fn load(&self, on_top: &[Override]) -> Result<Loaded<C>> {
        let all = [self.overrides.as_slice(), &self.constants, on_top].concat();
        Ok(config::load_again(&self.file, &all, C::check)?)
    }

    /// The config of a trial.
    pub fn with(&self, values: &Values) -> Result<Loaded<C>> {
        self.load(&self.settings(values))
    }

    /// The config of a trial as YAML that stands by itself: without what belongs to `tune`.
    pub fn plain(&self, values: &Values) -> Result<String> {
        let own: Vec<Override> = self.overrides.iter().filter(|o| o.flag.starts_with("set: ")).cloned().collect();
        let all = [own.as_slice(), &self.constants, &self.settings(values)].concat();
        Ok(config::load_again(&self.file, &all, C::check)?.to_yaml())
    }

    /// Values of parameters as config keys.
    pub fn settings(&self, values: &Values) -> Vec<Override> {
        let value = |(name, &value): (&String, &f64)| {
            self.space.get(name).map(|param| setting(name, param.distribution.to_json(value)))
        };
        values.iter().filter_map(value).collect()
    }

    /// What decides whether two studies search the same: base config, space, and how a trial is scored.
    pub fn digest(&self, config: &Config) -> Result<String> {
        let mut base = serde_json::to_value(&self.load(&[])?.config)?;
        if let Some(sections) = base.as_object_mut() {
            sections.retain(|key, _| !["mlflow", "paths", "logging", "threads", "device"].contains(&key.as_str()));
        }
        let whole = serde_json::json!([base, config.space, config.metrics, config.folds, config.seeds]);
        Ok(hex(&Sha256::digest(whole.to_string())[..16]))
    }

    /// The points of `start:` in internal form.
    pub fn start_points(&self, config: &Config) -> Result<Vec<Values>> {
        let base = serde_json::to_value(&self.load(&[])?.config)?;
        (0..).zip(&config.start).map(|(index, point)| self.start_point(index, point, &base)).collect()
    }

    /// `{}` is the base config: the values that it has, as far as the space has them.
    fn start_point(&self, index: usize, point: &BTreeMap<String, Value>, base: &Value) -> Result<Values> {
        let mut values = Values::new();
        if let Some(unknown) = point.keys().find(|key| self.space.get(key).is_none()) {
            let mistake = Mistake::new(format!("`start[{index}]`: `{unknown}` is not searched"));
            let known = self.space.params().iter().map(|param| param.name.as_str());
            let hint = nearest(unknown, known)
                .map_or("a point sets keys of `space`".to_owned(), |name| format!("did you mean `{name}`?"));
            return Err(mistake.hint(hint).into());
        }
        for param in self.space.params() {
            let of_base = || base.pointer(&format!("/{}", param.name.replace('.', "/")));
            let value = if point.is_empty() { of_base() } else { point.get(&param.name) };
            let Some(value) = value else { continue };
            match param.distribution.from_json(value) {
                Some(internal) => drop(values.insert(param.name.clone(), internal)),
                None if point.is_empty() => {}
                None => {
                    let problem = format!("`start[{index}]`: `{}: {value}` is not in the space", param.name);
                    return Err(Mistake::new(problem).into());
                }
            }
        }
        Ok(values)
    }

    /// Loads the base config with every bound and every choice of every parameter, one at a time.
    fn try_all(&self, config: &Config) -> Result<()> {
        for param in self.space.params() {
            for value in edges(&param.distribution) {
                let mut values = Values::from([(param.name.clone(), value)]);
                self.meet_conditions(param, &mut values);
                self.with(&values).with_context(|| format!("`space`: `{}`", param.name))?;
            }
        }
        self.start_points(config).map(drop)
    }

    /// The values that a conditional parameter needs of others.
    fn meet_conditions(&self, param: &Param, values: &mut Values) {
        for condition in &param.when {
            if let (Some(parent), Some(&value)) = (self.space.get(&condition.param), condition.is_one_of.first()) {
                values.insert(parent.name.clone(), value);
                self.meet_conditions(parent, values);
            }
        }
    }
}

/// One key of the space as a layer over the base config.
fn setting(key: &str, value: Value) -> Override {
    let value = serde_yaml::to_value(value).unwrap_or_default();
    Override { flag: format!("space: {key}"), key: key.to_owned(), value }
}

/// Bounds of numbers, all choices.
fn edges(distribution: &Distribution) -> Vec<f64> {
    match distribution {
        Distribution::Float { low, high, .. } => vec![*low, *high],
        Distribution::Int { low, high, .. } => vec![*low as f64, *high as f64],
        Distribution::Categorical { choices } => (0..choices.len()).map(|index| index as f64).collect(),
    }
}

/// Refuses keys that are no settings of a model: with another split, say, trials could not be compared.
fn check_keys<'a, C: Tunable>(keys: impl Iterator<Item = &'a String>) -> Result<(), Mistake> {
    let is_in = |key: &str, section: &str| key == section || key.starts_with(&format!("{section}."));
    for key in keys {
        let sections = ["model", "training"].into_iter().chain(C::DATA_SECTIONS.iter().copied());
        // A key of no section at all is reported by the loader, with the nearest one.
        let of_runs =
            ["seed", "ensemble", "init_from", "cv", "backtest", "baselines", "baseline_options", "device", "threads"];
        let of_programs = ["mlflow", "paths", "logging", "find_learning_rate"];
        let is_fixed = C::FIXED.iter().chain(&of_runs).chain(&of_programs).any(|fixed| is_in(key, fixed));
        if is_fixed {
            return Err(Mistake::new(format!(
                "`space`: `{key}` cannot be searched: trials could not be compared, or it does not change them"
            ))
            .hint(format!("a space has keys of {}", sections.collect::<Vec<_>>().join(", "))));
        }
    }
    Ok(())
}

fn wrong(name: &str, problem: String) -> Mistake {
    Mistake::new(format!("`space`: `{name}`: {problem}"))
}

fn read_space(params: &BTreeMap<String, ParamConfig>) -> Result<Space> {
    let mut distributions = BTreeMap::new();
    for (name, param) in params.iter().filter(|(_, param)| !is_constant(param)) {
        distributions.insert(name.as_str(), distribution(param).map_err(|problem| wrong(name, problem))?);
    }
    let mut all = Vec::new();
    for (name, distribution) in &distributions {
        let conditions = params[*name].when.iter().map(|(parent, value)| condition(parent, value, &distributions));
        let when = conditions.collect::<Result<Vec<_>, _>>().map_err(|problem| wrong(name, problem))?;
        all.push(Param { name: (*name).to_owned(), distribution: distribution.clone(), when });
    }
    if all.is_empty() {
        return Err(Mistake::new("`space` has nothing to search")
            .hint("write `training.learning_rate: {float: [1e-4, 1e-2], log: true}` under `space:`")
            .into());
    }
    Ok(Space::new(all).map_err(|error| wrong(&error.param, error.problem))?)
}

fn is_constant(param: &ParamConfig) -> bool {
    param.constant.is_some() && param.float.is_none() && param.int.is_none() && param.choice.is_none()
}

/// `None`, `"exactly one of.."`: the problem in words.
fn distribution(param: &ParamConfig) -> Result<Distribution, String> {
    let whole = |step: f64| {
        (step >= 1.0 && step.fract() == 0.0)
            .then_some(step as i64)
            .ok_or(format!("`step: {step}` is not a whole number, 1 or more"))
    };
    match param {
        ParamConfig { float: Some([low, high]), int: None, choice: None, constant: None, .. } => {
            Ok(Distribution::Float { low: *low, high: *high, log: param.log, step: param.step })
        }
        ParamConfig { int: Some([low, high]), float: None, choice: None, constant: None, .. } => {
            let step = param.step.map_or(Ok(1), whole)?;
            Ok(Distribution::Int { low: *low, high: *high, log: param.log, step })
        }
        ParamConfig { choice: Some(choices), float: None, int: None, constant: None, .. } => {
            match param.log || param.step.is_some() {
                true => Err("`log` and `step` are for `float` and `int`".to_owned()),
                false => Ok(Distribution::Categorical { choices: choices.clone() }),
            }
        }
        _ => Err("it needs exactly one of `float`, `int`, `choice` and `constant`".to_owned()),
    }
}

fn condition(parent: &str, value: &Value, known: &BTreeMap<&str, Distribution>) -> Result<Condition, String> {
    let Some(distribution) = known.get(parent) else {
        return Err(format!("`when`: `{parent}` is not a key of the space that is searched"));
    };
    let one = || distribution.from_json(value).map(|internal| vec![internal]);
    let listed = || value.as_array()?.iter().map(|value| distribution.from_json(value)).collect::<Option<Vec<f64>>>();
    match one().or_else(listed) {
        Some(is_one_of) => Ok(Condition { param: parent.to_owned(), is_one_of }),
        None => Err(format!("`when`: `{parent}` is never `{value}`")),
    }
}
