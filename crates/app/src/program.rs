//! What a program does before its recipe: config and flags, the run to resume, `--print-config`.

use std::path::Path;

use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracking::RunData;

use crate::cli::{CommonFlags, RunFlags};
use crate::config::{self, Loaded, Override};
use crate::console::{LoggingConfig, print_result};
use crate::device::keep_freed_memory;
use crate::exit::Mistake;
use crate::history::ResultTable;
use crate::reproduce;
use crate::resume::{self, StoppedRun};
use crate::runs::{experiments_by_id, find_run};
use crate::session::{MlflowConfig, PathsConfig, RunResult, Session, Setup, run_tracked};

/// The config of a program that tracks a run: the sections that all of them have, and the names of the run.
pub trait ProgramConfig: Serialize + DeserializeOwned + Default + JsonSchema {
    /// The program's name, which its JSON Schema has too.
    const PROGRAM: &'static str;

    /// Looks at ranges; gives the first wrong key and the reason.
    fn check(&self) -> Result<(), (String, String)>;
    /// Shown name of the run.
    fn run_name(&self) -> String;
    /// Tags that say what kind of run this is.
    fn tags(&self) -> Vec<(&'static str, String)>;
    /// `mlflow:`
    fn mlflow(&self) -> &MlflowConfig;
    /// `paths:`
    fn paths(&self) -> &PathsConfig;
    /// `logging:`
    fn logging(&self) -> &LoggingConfig;
}

/// The config of a training program, whose runs can be resumed.
pub trait TrainingProgram: ProgramConfig {
    /// Whether parts of the work (folds, members of an ensemble) are runs of their own, which may be done when the run is
    /// resumed.
    fn has_nested_trainings(&self) -> bool;
}

/// The key and the reason of a setting that cannot be right, as [`ProgramConfig::check`] gives them.
pub fn wrong_setting(error: dataset::Error) -> (String, String) {
    match error {
        dataset::Error::Setting { key, problem } => (key.to_owned(), problem),
        other => ("data".to_owned(), other.to_string()),
    }
}

/// [`ProgramConfig::check`] of `threads:`.
pub fn check_threads(threads: Option<usize>) -> Result<(), (String, String)> {
    match threads.filter(|threads| !(1..=1024).contains(threads)) {
        None => Ok(()),
        Some(threads) => Err(("threads".to_owned(), format!("`{threads}` is not between 1 and 1024"))),
    }
}

/// [`ProgramConfig::check`] of `interval_coverage:`.
pub fn check_coverage(coverage: Option<f64>) -> Result<(), (String, String)> {
    match coverage.filter(|coverage| !(*coverage > 0.0 && *coverage < 1.0)) {
        None => Ok(()),
        Some(coverage) => {
            Err(("interval_coverage".to_owned(), format!("`{coverage}` is not between 0 and 1, like 0.9")))
        }
    }
}

/// [`ProgramConfig::check`] of `ensemble:`.
pub fn check_ensemble(members: usize) -> Result<(), (String, String)> {
    match members {
        1..=1000 => Ok(()),
        _ => Err(("ensemble".to_owned(), format!("`{members}` is not between 1 and 1000"))),
    }
}

/// How a run begins.
#[derive(Debug, Clone, Copy, Default)]
pub enum Start<'a> {
    /// From its config file.
    #[default]
    Fresh,
    /// Goes on with a stopped run, by its id or output folder.
    Resume(&'a str),
    /// Does a run again, by its id.
    Again(&'a str),
}

/// Loads the config, then trains inside a tracked session. `settle` fills in what another model decides (`init_from`).
pub fn train<C: TrainingProgram>(
    file: &Path,
    flags: &RunFlags,
    own: Vec<Override>,
    settle: impl FnOnce(&mut C) -> Result<()>,
    recipe: impl FnOnce(&C, &Session) -> Result<ResultTable>,
) -> Result<()> {
    let start = match (&flags.resume, &flags.from_run) {
        (Some(what), _) => Start::Resume(what),
        (None, Some(what)) => Start::Again(what),
        (None, None) => Start::Fresh,
    };
    run_or_resume(file, &flags.common, start, flags.overrides(own)?, settle, recipe)
}

/// As [`run`], for a program whose runs can be resumed and done again. `overrides` are all flags as config keys.
pub fn run_or_resume<C: TrainingProgram, R: RunResult>(
    file: &Path,
    flags: &CommonFlags,
    start: Start,
    overrides: Vec<Override>,
    settle: impl FnOnce(&mut C) -> Result<()>,
    recipe: impl FnOnce(&C, &Session) -> Result<R>,
) -> Result<()> {
    if flags.print_schema {
        print_result(&config::schema::<C>(C::PROGRAM));
        return Ok(());
    }
    let profile = flags.profile();
    let load = || config::load(Some(file), profile.as_deref(), &overrides, C::check);
    let mut origin = Origin::default();
    let loaded = match start {
        Start::Fresh => load()?,
        Start::Resume(what) => {
            let places = || -> Result<_> {
                let config: C = load()?.config;
                Ok((config.mlflow().clone(), config.paths().clone()))
            };
            let folder = resume::find_folder(what, places)?;
            let loaded = config::load_again(&folder.join(resume::EFFECTIVE_CONFIG), &overrides, C::check)?;
            let config: &C = &loaded.config;
            resume::check_overrides(&overrides, config.has_nested_trainings())?;
            origin.resumed = Some(StoppedRun::open(&folder, config.mlflow(), config.paths())?);
            loaded
        }
        Start::Again(what) => {
            let places: C = load()?.config;
            let tracker = resume::open_tracker(places.mlflow(), places.paths())?;
            let original = find_run(tracker.store(), &experiments_by_id(tracker.store())?, what)?;
            if let Some(program) = reproduce::program_of(&original).filter(|program| *program != C::PROGRAM) {
                let problem = format!("run {} is one of `{program}`", original.info.run_id);
                return Err(Mistake::new(problem)
                    .hint(format!("cargo run --bin {program} -- --from-run {what}"))
                    .into());
            }
            let file = reproduce::config_file(&original, tracker.store(), places.paths())?;
            origin.original = Some(original);
            config::load_again(&file, &overrides, C::check)?
        }
    };
    settle_and_run(loaded, flags, origin, settle, recipe)
}

/// What a run has to do with earlier ones.
#[derive(Default)]
struct Origin {
    resumed: Option<StoppedRun>,
    original: Option<RunData>,
    is_helper: bool,
}

/// Loads the config; `None` if all that was asked for is printed.
pub fn load<C: ProgramConfig>(file: &Path, flags: &CommonFlags, own: Vec<Override>) -> Result<Option<Loaded<C>>> {
    if flags.print_schema {
        print_result(&config::schema::<C>(C::PROGRAM));
        return Ok(None);
    }
    let loaded = config::load(Some(file), flags.profile().as_deref(), &flags.overrides(own)?, C::check)?;
    if flags.print_config {
        print_result(&loaded.explain());
        return Ok(None);
    }
    Ok(Some(loaded))
}

/// Loads the config, then runs the recipe inside a tracked session. `settle` fills in what is found only now, such as the
/// model that is meant.
pub fn run<C: ProgramConfig, R: RunResult>(
    file: &Path,
    flags: &CommonFlags,
    own: Vec<Override>,
    settle: impl FnOnce(&mut C) -> Result<()>,
    recipe: impl FnOnce(&C, &Session) -> Result<R>,
) -> Result<()> {
    open_and_run(file, flags, own, Origin::default(), settle, recipe)
}

/// As [`run`], for a process that helps with the run of another one: it has none of its own.
pub fn help<C: ProgramConfig, R: RunResult>(
    file: &Path,
    flags: &CommonFlags,
    own: Vec<Override>,
    settle: impl FnOnce(&mut C) -> Result<()>,
    recipe: impl FnOnce(&C, &Session) -> Result<R>,
) -> Result<()> {
    open_and_run(file, flags, own, Origin { is_helper: true, ..Origin::default() }, settle, recipe)
}

fn open_and_run<C: ProgramConfig, R: RunResult>(
    file: &Path,
    flags: &CommonFlags,
    own: Vec<Override>,
    origin: Origin,
    settle: impl FnOnce(&mut C) -> Result<()>,
    recipe: impl FnOnce(&C, &Session) -> Result<R>,
) -> Result<()> {
    if flags.print_schema {
        print_result(&config::schema::<C>(C::PROGRAM));
        return Ok(());
    }
    let loaded = config::load(Some(file), flags.profile().as_deref(), &flags.overrides(own)?, C::check)?;
    settle_and_run(loaded, flags, origin, settle, recipe)
}

fn settle_and_run<C: ProgramConfig, R: RunResult>(
    mut loaded: Loaded<C>,
    flags: &CommonFlags,
    origin: Origin,
    settle: impl FnOnce(&mut C) -> Result<()>,
    recipe: impl FnOnce(&C, &Session) -> Result<R>,
) -> Result<()> {
    // What is logged and kept must say what is done.
    settle(&mut loaded.config)?;
    if flags.print_config {
        print_result(&loaded.explain());
        return Ok(());
    }
    run_with(&loaded, flags, origin, recipe)
}

/// Runs the recipe inside a tracked session. `is_untracked`: it leaves no run, but may look at the store.
pub fn run_loaded<C: ProgramConfig, R: RunResult>(
    loaded: &Loaded<C>,
    flags: &CommonFlags,
    is_untracked: bool,
    recipe: impl FnOnce(&C, &Session) -> Result<R>,
) -> Result<()> {
    run_with(loaded, flags, Origin { is_helper: is_untracked, ..Origin::default() }, recipe)
}

fn run_with<C: ProgramConfig, R: RunResult>(
    loaded: &Loaded<C>,
    flags: &CommonFlags,
    Origin { resumed, original, is_helper }: Origin,
    recipe: impl FnOnce(&C, &Session) -> Result<R>,
) -> Result<()> {
    let config = &loaded.config;
    let mut tags = Vec::new();
    if resumed.is_none() {
        tags = config.tags();
        tags.push(("env", flags.profile().unwrap_or_else(|| "default".to_owned())));
    }
    let setup = Setup {
        mlflow: config.mlflow(),
        paths: config.paths(),
        logging: config.logging(),
        run_name: config.run_name(),
        tags,
        resumed,
        original,
        is_helper,
    };
    keep_freed_memory();
    run_tracked(loaded, flags, &setup, recipe)
}
