//! Compares the runs of a store: which is best, is it really better, what made the difference; registers and promotes it.

use std::path::Path;

use anyhow::Result;
use tracking::{RunData, Store, Tracker};

use crate::cli::CommonFlags;
use crate::compare::config::Config;
use crate::compare::decision::{self, parse_stage, parse_tags};
use crate::compare::flags::{CompareFlags, DecideFlags, Format};
use crate::compare::promote::{Plan, Target, decide, roll_back};
use crate::compare::{Comparison, compare, diff, page};
use crate::config::Loaded;
use crate::console::{Console, print_result, terminal_width};
use crate::device::use_threads;
use crate::exit::Mistake;
use crate::model_place::MODEL_FOLDER;
use crate::outputs::write_text;
use crate::program;
use crate::registering::model_source;
use crate::reproduce;
use crate::resume::open_tracker;
use crate::runs::{experiments_by_id, find_run};

/// Config file that the program takes when none is given.
pub const DEFAULT_CONFIG: &str = "configs/compare_runs.yaml";
/// What is asked of a registered model if nobody says which alias.
const DEFAULT_ALIAS: &str = "champion";

/// The program: loads the config, then answers what the flags ask.
pub fn main(file: &Path, flags: &CommonFlags, own: &CompareFlags) -> Result<()> {
    let Some(mut loaded) = program::load::<Config>(file, flags, own.overrides())? else { return Ok(()) };
    if let Some(name) = own.decide.register.as_ref().or(own.decide.rollback.as_ref()) {
        loaded.config.mlflow.run_name.get_or_insert_with(|| format!("promotion__{name}"));
        // Its champion is the one to beat.
        loaded.config.registered_model.get_or_insert_with(|| name.clone());
    }
    let config = &loaded.config;
    let console = Console::new(flags.quiet);
    let format = if flags.json { Format::Json } else { own.show.format };
    use_threads(config.threads)?;
    if !config.mlflow.enabled {
        return Err(Mistake::new("there is nothing to compare without tracking: `mlflow.enabled` is false").into());
    }
    let tracker = open_tracker(&config.mlflow, &config.paths)?;
    let store = tracker.store();
    if let Some(pair) = &own.show.diff {
        return show_diff(pair, store, format);
    }
    if let Some(run) = &own.reproduce.export_config {
        return export_config(run, own.reproduce.output.as_deref(), store, config);
    }
    if let Some(name) = &own.decide.rollback {
        return put_back(name, loaded, flags, &own.decide);
    }
    let comparison = compare(config, store, tracker.registry_store()?.as_ref(), &console)?;
    if let Some(path) = &own.show.html {
        write_text(path, &page::html(&comparison, store)?)?;
        console.note(&format!("page: {}", path.display()));
    }
    if let Some(name) = &own.decide.register {
        return register(name, &comparison, loaded, flags, own, &tracker);
    }
    if own.decide.alias.is_some() || own.decide.promote.is_some() {
        let problem = "`--alias` and `--promote` are about a registered model";
        return Err(Mistake::new(problem).hint("name it with `--register NAME` or `--rollback NAME`").into());
    }
    print_result(&comparison.to_text(config, format, terminal_width())?);
    Ok(())
}

/// `--diff A B`
fn show_diff(pair: &[String], store: &dyn Store, format: Format) -> Result<()> {
    let experiments = experiments_by_id(store)?;
    let find = |what: &String| find_run(store, &experiments, what);
    let runs: Vec<RunData> = pair.iter().map(find).collect::<Result<_>>()?;
    print_result(&diff::to_text([&runs[0], &runs[1]], format, terminal_width())?);
    Ok(())
}

/// `--export-config RUN`
fn export_config(what: &str, output: Option<&Path>, store: &dyn Store, config: &Config) -> Result<()> {
    let run = find_run(store, &experiments_by_id(store)?, what)?;
    let text = reproduce::config_text(&run, store, &config.paths)?;
    match output {
        None => print_result(&text),
        Some(path) => write_text(path, &text)?,
    }
    Ok(())
}

/// `--register NAME`
fn register(
    name: &str,
    comparison: &Comparison,
    loaded: Loaded<Config>,
    flags: &CommonFlags,
    own: &CompareFlags,
    tracker: &Tracker,
) -> Result<()> {
    let (store, config) = (tracker.store(), &loaded.config);
    let target = target_of(&own.decide, None)?;
    let selection = &comparison.selection;
    let named = own.decide.run.as_ref().map(|what| find_run(store, &experiments_by_id(store)?, what)).transpose()?;
    let best = selection.runs.first();
    let Some(run) = named.as_ref().or(best.map(|best| &best.run)) else {
        return Err(Mistake::new("no runs found, so there is nothing to register").into());
    };
    let candidate = selection.runs.iter().find(|candidate| candidate.run.info.run_id == run.info.run_id);
    let metric = selection.metrics.first().zip(candidate.map(|candidate| candidate.value()));
    let folder = own.decide.artifact_path.as_deref().unwrap_or(MODEL_FOLDER);
    let plan = Plan {
        name,
        run,
        source: model_source(store, &run.info.run_id, folder)?,
        metric,
        gates: decision::gates(config, &own.decide, selection)?,
        target,
        tags: parse_tags(&own.decide.tag)?,
    };
    if !flags.json && named.is_none() {
        print_result(&format!("{}\n", comparison.to_text(config, Format::Table, terminal_width())?));
    }
    // A dry run leaves no run; its evidence stays on this machine.
    program::run_loaded(&loaded, flags, own.decide.dry_run, |config, session| {
        decide(&plan, &own.decide, config, session)
    })
}

/// `--rollback NAME`
fn put_back(name: &str, loaded: Loaded<Config>, flags: &CommonFlags, own: &DecideFlags) -> Result<()> {
    let default = own.promote.is_none().then_some(DEFAULT_ALIAS);
    let target = target_of(own, default)?;
    program::run_loaded(&loaded, flags, own.dry_run, |_, session| roll_back(name, &target, own.dry_run, session))
}

fn target_of<'a>(own: &'a DecideFlags, default_alias: Option<&'a str>) -> Result<Target<'a>, Mistake> {
    let stage = own.promote.as_deref().map(parse_stage).transpose()?;
    Ok(Target {
        alias: own.alias.as_deref().or(default_alias),
        stage: stage.map(|stage| (stage, own.archive_existing)),
    })
}
