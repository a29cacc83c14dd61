//! The programs, their recipes, config loading and console.
//!
//! A program in `src/bin` parses flags and calls its recipe. A recipe in `src/recipes` is the program: read it from top
//! to bottom. Around it, `session` opens the run and ends it truthfully, `config` loads the YAML, `outputs` writes files.

pub mod baselines;
pub mod bundle;
pub mod cli;
pub mod compare;
pub mod config;
pub mod console;
pub mod device;
pub mod download;
pub mod drift;
pub mod environment;
pub mod evaluate;
pub mod exit;
pub mod export;
pub mod fitting;
pub mod flatten;
pub mod folds;
pub mod forecast;
pub mod history;
pub mod kind;
mod model_log;
pub mod model_place;
pub mod outputs;
pub mod pipeline;
pub mod plots;
pub mod program;
pub mod recipes;
pub mod registering;
pub mod reproduce;
pub mod resume;
pub mod runs;
pub mod session;
pub mod tabular;
pub mod tune;
