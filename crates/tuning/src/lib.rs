//! Hyperparameter search.
//!
//! A [`Space`] says which values may be tried, a sampler ([`suggest`]) proposes, a pruner ([`judge`]) ends what has no hope, and
//! a [`Study`] keeps it all in a database in Optuna's own schema, so that any number of programs on any number of machines
//! share it. The crate runs nothing itself: the caller asks for a trial, does the work, and tells the score.

mod history;
pub mod importance;
mod json;
mod params;
pub mod pareto;
mod pruner;
mod sampler;
mod space;
mod storage;
mod study;
mod trial;
mod worker;

pub use pruner::{Judgement, PruneConfig, PrunerKind, judge};
pub use sampler::parzen::Parzen;
pub use sampler::{SamplerKind, SearchConfig, suggest};
pub use space::{Condition, Distribution, Param, Space, SpaceError};
pub use study::{Ask, Error, Outcome, Result, RetryConfig, Study, StudySettings, Verdict};
pub use trial::{Direction, Trial, TrialState, Values};
