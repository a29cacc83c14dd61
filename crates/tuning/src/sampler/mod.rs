//! Proposes the next values.

mod grid;
pub(crate) mod normal;
pub mod parzen;
mod quasi_random;
mod tpe;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::history::REQUEUED;
use crate::{Direction, Distribution, Space, SpaceError, Trial, Values};

/// The `search:` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SearchConfig {
    /// How values are proposed.
    pub name: SamplerKind,
    /// Random trials before TPE takes over.
    pub startup: usize,
    /// Values that TPE draws and chooses from, for each proposal.
    pub candidates: usize,
    /// Seed of the proposals.
    pub seed: u64,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self { name: SamplerKind::Tpe, startup: 10, candidates: 24, seed: 0 }
    }
}

impl SearchConfig {
    /// An error if the sampler cannot search this space.
    pub fn check(&self, space: &Space) -> Result<(), SpaceError> {
        if self.name != SamplerKind::Grid {
            return Ok(());
        }
        let is_endless = |distribution: &Distribution| matches!(distribution, Distribution::Float { step: None, .. });
        if let Some(param) = space.params().iter().find(|param| is_endless(&param.distribution)) {
            let problem = "a grid needs a `step` for numbers with fractions".to_owned();
            return Err(SpaceError { param: param.name.clone(), problem });
        }
        match grid::points(space) {
            Some(_) => Ok(()),
            None => {
                let param = space.params().first().map_or_else(String::new, |param| param.name.clone());
                let problem = format!("the grid has more than {} points", grid::MOST_POINTS);
                Err(SpaceError { param, problem })
            }
        }
    }
}

/// How values are proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SamplerKind {
    /// Multivariate tree-structured Parzen estimator: near what was good, away from what was bad.
    Tpe,
    /// At random.
    Random,
    /// Every combination once, in an order of its own; numbers with fractions need a step.
    Grid,
    /// Quasi-random (scrambled Halton points): evenly spread.
    Qmc,
}

/// Proposes values for all parameters that are active and not in `fixed`; gives them with the fixed ones. `None`: the grid is
/// used up. What it gives depends on the arguments alone: the same study asked again for the same number gives the same.
pub fn suggest(
    config: &SearchConfig,
    space: &Space,
    directions: &[Direction],
    trials: &[Trial],
    number: u32,
    fixed: &Values,
) -> Option<Values> {
    let mut rng = generator(config.seed, number);
    let proposed = match config.name {
        SamplerKind::Tpe => tpe::suggest(config, (space, fixed), directions, trials, number, &mut rng),
        SamplerKind::Random => Values::new(),
        SamplerKind::Qmc => quasi_random::point(space, config.seed, n_fresh(trials, number)),
        // A point of a queue is no point of the grid.
        SamplerKind::Grid if fixed.is_empty() => grid::point(space, config.seed, n_fresh(trials, number))?,
        SamplerKind::Grid => Values::new(),
    };
    Some(complete(space, &proposed, fixed, |distribution| distribution.at(rng.random::<f64>()), |_, _| None))
}

/// All active parameters: the fixed ones, then those of `proposed`, then those that `lone` has something for, the others by `draw`.
fn complete(
    space: &Space,
    proposed: &Values,
    fixed: &Values,
    mut draw: impl FnMut(&Distribution) -> f64,
    mut lone: impl FnMut(&crate::Param, &Values) -> Option<f64>,
) -> Values {
    let mut values = Values::new();
    for param in space.params() {
        if Space::is_active(param, &values) {
            // Drawn in any case, so that a fixed value changes no other.
            let drawn = draw(&param.distribution);
            let known = fixed.get(&param.name).or_else(|| proposed.get(&param.name)).copied();
            let value = known.or_else(|| lone(param, &values)).unwrap_or(drawn);
            values.insert(param.name.clone(), value);
        }
    }
    values
}

/// Every trial has a generator of its own, so that a search that is resumed, or shared by many, does not repeat itself.
fn generator(seed: u64, number: u32) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(number));
    rng
}

/// How many trials before this one were no copies of others and no fixed points: its place in a sequence.
fn n_fresh(trials: &[Trial], number: u32) -> usize {
    let is_fresh = |trial: &&Trial| {
        let attributes = &trial.system_attributes;
        let copies = ["failed_trial", REQUEUED, "fixed_params"];
        trial.number < number && !copies.iter().any(|key| attributes.contains_key(*key))
    };
    trials.iter().filter(is_fresh).count()
}
