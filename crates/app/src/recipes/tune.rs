//! Searches the settings of a training program: space -> trials -> the best one, trained anew and scored once.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use tuning::{Study, Trial};

use crate::cli::CommonFlags;
use crate::device::use_threads;
use crate::environment;
use crate::exit::{Interrupted, Mistake};
use crate::outputs::log_input;
use crate::pipeline::lock;
use crate::program::{self, Start};
use crate::recipes::{tabular_mlp, ts_mlp};
use crate::session::Session;
use crate::tune::base::{BASE_CONFIG, Base};
use crate::tune::board::Board;
use crate::tune::config::{Config, Recipe};
use crate::tune::data::DataCache;
use crate::tune::flags::TuneFlags;
use crate::tune::objective::Objective;
use crate::tune::outputs::{self, Finished};
use crate::tune::refit::{self, Refit};
use crate::tune::result::{Found, Helped};
use crate::tune::search::Search;
use crate::tune::study::{self, Fingerprint, PARENT_ATTRIBUTE};
use crate::tune::tunable::Tunable;

/// Config file that the program takes when none is given.
pub const DEFAULT_CONFIG: &str = "configs/tune_tabular.yaml";
/// In the run's output folder: the name of its study, which may have got a number.
const STUDY_NAME: &str = "study.txt";

/// The program: loads the config, tries the space on the base config, then searches inside a tracked session.
pub fn main(file: &Path, flags: &CommonFlags, own: &TuneFlags) -> Result<()> {
    if own.worker && (own.study.is_none() || own.storage.is_none()) {
        return Err(
            Mistake::new("`--worker` needs `--study NAME` and `--storage URL`: those of the study to join").into()
        );
    }
    // A resumed run has its own copy of the base config.
    let check = |config: &mut Config| match config.recipe {
        _ if own.resume.is_some() => Ok(()),
        Recipe::TabularMlp => Base::<tabular_mlp::Config>::open(config, config.base.clone()).map(drop),
        Recipe::TsMlp => Base::<ts_mlp::Config>::open(config, config.base.clone()).map(drop),
    };
    if own.worker {
        return program::help(file, flags, own.overrides(), check, |config: &Config, session| match config.recipe {
            Recipe::TabularMlp => help::<tabular_mlp::Config>(config, own, session),
            Recipe::TsMlp => help::<ts_mlp::Config>(config, own, session),
        });
    }
    let overrides = flags.overrides(own.overrides())?;
    program::run_or_resume(
        file,
        flags,
        own.resume.as_deref().map_or(Start::Fresh, Start::Resume),
        overrides,
        check,
        |config: &Config, session| match config.recipe {
            Recipe::TabularMlp => search::<tabular_mlp::Config>(config, own, session),
            Recipe::TsMlp => search::<ts_mlp::Config>(config, own, session),
        },
    )
}

/// What is needed before the first trial.
struct Prepared<C: Tunable> {
    base: Base<C>,
    config: C,
    device: burn::tensor::Device,
    data: DataCache<C>,
    objectives: Vec<Objective>,
    fingerprint: Fingerprint,
}

/// Base config, space, data and objectives.
fn prepare<C: Tunable>(config: &Config, file: PathBuf, session: &Session) -> Result<Prepared<C>> {
    use_threads(config.threads)?;
    let base: Base<C> = Base::open(config, file)?;
    let tuned = base.load(&[])?.config;
    let device = tuned.device().open(&session.console)?;
    let data = DataCache::new(config.folds);
    let parts = data.get(&tuned, &device, session)?;
    let objectives = Objective::all(config, &tuned, &parts[0])?;
    let info = C::info(&parts[0]);
    session.console.note(&outputs::describe_data(info));
    log_input(&session.run, info, "tuning");
    let code = environment::code();
    let fingerprint = Fingerprint { definition: base.digest(config)?, data: info.digest.clone(), code };
    Ok(Prepared { base, config: tuned, device, data, objectives, fingerprint })
}

/// Searches, and leaves everything in the session's run and output folder.
pub fn search<C: Tunable>(config: &Config, flags: &TuneFlags, session: &Session) -> Result<Found> {
    let console = &session.console;

    // Base config, space, data
    let own_copy = session.in_folder(BASE_CONFIG);
    let file = if own_copy.is_file() { own_copy } else { config.base.clone() };
    let ready: Prepared<C> = prepare(config, file, session)?;
    session.write_text(BASE_CONFIG, &ready.base.load(&[])?.to_yaml())?;
    session.write_text("configs/search_space.yaml", &serde_yaml::to_string(&config.space)?)?;

    // Study
    let study = Mutex::new(open_study(config, flags, &ready, session)?);
    let (workers, threads) = share_threads(config);
    let epochs = ready.config.training().epochs;
    outputs::record_plan(session, config, (&ready.objectives, epochs), (workers, threads));

    // Trials
    let worked = work(config, &ready, session, session.run.id().to_owned(), &study, (workers, threads));
    let trials = lock(&study).trials()?.to_vec();
    let finished = Finished { space: &ready.base.space, objectives: &ready.objectives, trials: &trials };
    let mut found = finished.report(session)?;
    worked?;
    if console.is_interrupted() {
        let command = format!("cargo run --bin tune -- --resume {}", session.run.id());
        console.note(&format!("go on with: {command}"));
        return Err(Interrupted.into());
    }

    // The best: its config, and a network that is trained anew and scored once
    let Some(best) = finished.best() else {
        let reason = trials.iter().rev().find_map(Trial::failure).unwrap_or("all were pruned");
        bail!("no trial is complete: {reason}");
    };
    let name = lock(&study).settings().name.clone();
    found.best_config = Some(refit::write_config(&ready.base, best, &name, &found, session)?);
    if config.refit_best {
        let refit = Refit { config, base: &ready.base, tuned: &ready.config, study: &name };
        found.refit = Some(refit.run(best, session)?);
    }
    console.stop_if_interrupted()?;
    Ok(found)
}

/// Works on another process's study until it is done.
fn help<C: Tunable>(config: &Config, flags: &TuneFlags, session: &Session) -> Result<Helped> {
    let ready: Prepared<C> = prepare(config, config.base.clone(), session)?;
    let settings = settings_of(config, config.study.clone(), &ready);
    let checked = (!flags.accept_changes).then_some(&ready.fingerprint);
    let mut study = study::join(config, &settings, checked, session)?;
    let parent = study.attribute(PARENT_ATTRIBUTE)?.and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_default();
    let n_trials = work(config, &ready, session, parent, &Mutex::new(study), share_threads(config))?;
    session.console.stop_if_interrupted()?;
    Ok(Helped { study: config.study.clone(), n_trials })
}

/// A new study, or that of the run that is resumed, whose orphans are queued again.
fn open_study<C: Tunable>(config: &Config, flags: &TuneFlags, ready: &Prepared<C>, session: &Session) -> Result<Study> {
    if let Ok(name) = fs::read_to_string(session.in_folder(STUDY_NAME)) {
        let settings = settings_of(config, name.trim().to_owned(), ready);
        let checked = (!flags.accept_changes).then_some(&ready.fingerprint);
        let mut study = study::join(config, &settings, checked, session)?;
        let requeued = study.requeue_orphans(config.retry.grace_seconds)?;
        if requeued > 0 {
            session.console.note(&format!("{requeued} trials that were broken off are queued again"));
        }
        return Ok(study);
    }
    let settings = settings_of(config, config.study.clone(), ready);
    let start = ready.base.start_points(config)?;
    let study = study::create(config, &settings, &ready.fingerprint, &start, session)?;
    session.write_text(STUDY_NAME, &format!("{}\n", study.settings().name))?;
    Ok(study)
}

fn settings_of<C: Tunable>(config: &Config, name: String, ready: &Prepared<C>) -> tuning::StudySettings {
    study::settings(config, name, &ready.base.space, &ready.objectives, ready.config.training().epochs)
}

/// Trials at once, and threads for each.
fn share_threads(config: &Config) -> (usize, usize) {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = config.threads.unwrap_or(cores);
    let workers = config.workers.trials.unwrap_or(threads).min(config.n_trials as usize);
    (workers, (threads / workers).max(1))
}

fn work<C: Tunable>(
    config: &Config,
    ready: &Prepared<C>,
    session: &Session,
    parent_run_id: String,
    study: &Mutex<Study>,
    (workers, threads): (usize, usize),
) -> Result<usize> {
    let trials = lock(study).trials()?.to_vec();
    let board = Board::new(&session.console, &ready.objectives, &ready.base.space, config.n_trials, &trials);
    let search = Search {
        config,
        base: &ready.base,
        session,
        objectives: &ready.objectives,
        parent_run_id,
        device: ready.device.clone(),
        data: &ready.data,
        board: &board,
        study,
        is_over: AtomicBool::new(false),
        start: Instant::now(),
    };
    let worked = search.run(workers, threads);
    board.finish();
    worked
}
