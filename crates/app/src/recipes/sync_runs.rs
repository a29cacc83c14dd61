//! `sync_runs`: what is left in the spool folder goes to its server, runs of the embedded store go to any server.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};
use tracking::copy::{Copied, CopyOptions, copy_runs};
use tracking::sync::{self, Leftover, Sent};
use tracking::{HttpOptions, Store, ViewType, open_store};

use crate::console::{Console, LoggingConfig, print_result, start_logging};
use crate::exit::Mistake;

const EMBEDDED: &str = "sqlite:///mlflow.db";
/// Where the embedded store keeps artifacts.
const ARTIFACTS_DIR: &str = "mlruns";
/// Locked while runs are copied: two copies at once would not see each other's runs.
const LOCK_FILE: &str = "logs/sync_runs.lock";

#[allow(missing_docs)]
#[derive(Args, Debug, Clone)]
pub struct SyncFlags {
    /// Folder with the journals (paths.spool_dir)
    #[arg(long, value_name = "DIR", default_value = "logs/spool")]
    pub spool_dir: PathBuf,
    /// Server that the runs of the embedded store are copied to
    #[arg(long, value_name = "URI")]
    pub to: Option<String>,
    /// Store that runs are copied from: a file, or another server [default: sqlite:///mlflow.db]
    #[arg(long, value_name = "URI", requires = "to")]
    pub from: Option<String>,
    /// Copy only this experiment; may be repeated
    #[arg(long, value_name = "NAME", requires = "to")]
    pub experiment: Vec<String>,
    /// Copy only this run; may be repeated
    #[arg(long, value_name = "RUN_ID", requires = "to")]
    pub run: Vec<String>,
    /// Send journals to `--to` as well, in place of a server that will not come back: there they become new runs
    #[arg(long, requires = "to")]
    pub redirect: bool,
    /// Only end the runs on a server (`--to`, or MLFLOW_TRACKING_URI) that have been silent for so long, wherever they ran
    #[arg(long, value_name = "MINUTES")]
    pub end_silent: Option<u32>,
    /// How long to wait for a server that does not answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub wait: u64,
    /// Only show what there is to do
    #[arg(long)]
    pub dry_run: bool,
    /// No progress, no notes: only errors, and the result on stdout
    #[arg(long, short)]
    pub quiet: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What the program reports.
#[derive(Default)]
struct Report {
    journals: Vec<Value>,
    lines: Vec<String>,
    copied: Value,
    ended: Vec<String>,
    problems: Vec<String>,
}

/// Runs the program. Errors when something could not be sent; everything else was.
pub fn main(flags: &SyncFlags) -> Result<()> {
    let console = Console::new(flags.quiet);
    start_logging(&LoggingConfig::default(), Path::new("logs"), "sync_runs", &console)?;
    let http = HttpOptions::from_env()?;
    let mut report = Report::default();
    let result = match flags.end_silent {
        Some(minutes) => end_silent(minutes, flags, &http, &mut report),
        None => send_journals(flags, &http, &console, &mut report)
            .and_then(|()| copy_embedded(flags, &http, &console, &mut report)),
    };
    // What was done before something went wrong is reported too.
    if let Err(error) = &result {
        report.problems.push(format!("{error:#}"));
    }
    print_report(&report, flags.json);
    match report.problems.as_slice() {
        // Alone, it keeps its own exit code.
        [_] if result.is_err() => result,
        [] => Ok(()),
        [problem] => bail!("{problem}"),
        problems => bail!("{} problems:\n  {}", problems.len(), problems.join("\n  ")),
    }
}

fn print_report(report: &Report, as_json: bool) {
    if as_json {
        let Report { journals, copied, ended, problems, .. } = report;
        print_result(
            &json!({"journals": journals, "copied": copied, "ended": ended, "problems": problems}).to_string(),
        );
    } else {
        report.lines.iter().for_each(|line| print_result(line));
    }
}

fn send_journals(flags: &SyncFlags, http: &HttpOptions, console: &Console, report: &mut Report) -> Result<()> {
    let leftovers = sync::leftovers(&flags.spool_dir)?;
    if leftovers.is_empty() {
        report.lines.push(format!("nothing is left in `{}`", flags.spool_dir.display()));
    }
    // A server that does not answer is waited for once.
    let mut away = BTreeMap::new();
    for (folder, found) in leftovers {
        match found {
            Ok(leftover) => send_journal(&leftover, flags, http, console, &mut away, report),
            // One that cannot be read must not stop the others.
            Err(error) => report.problems.push(format!("`{}`: {error}", folder.display())),
        }
    }
    for (uri, untried) in away.iter().filter(|(_, untried)| **untried > 0) {
        report.problems.push(format!("{untried} more runs not tried: `{}` is away", tracking::redact_url(uri)));
    }
    Ok(())
}

fn send_journal(
    leftover: &Leftover,
    flags: &SyncFlags,
    http: &HttpOptions,
    console: &Console,
    away: &mut BTreeMap<String, usize>,
    report: &mut Report,
) {
    let Leftover { id, name, uri, records, files, file_bytes, .. } = leftover;
    let what = format!("run {id} `{name}`: {records} records, {files} files ({file_bytes} bytes)");
    let mut entry = json!({
        "run_id": id, "name": name, "uri": uri, "records": records, "files": files, "file_bytes": file_bytes,
        "live": leftover.is_live, "discarded_bytes": leftover.discarded_bytes,
    });
    if leftover.discarded_bytes > 0 {
        let bytes = leftover.discarded_bytes;
        console.warn(&format!("run {id}: {bytes} bytes of its journal are torn or damaged and cannot be read"));
    }
    let to = flags.to.as_deref().filter(|_| flags.redirect);
    if leftover.is_live {
        report.lines.push(format!("{what}: left to the process that holds it, which is alive"));
    } else if flags.dry_run {
        report.lines.push(format!("{what} to send to {}", tracking::redact_url(to.unwrap_or(uri))));
    } else if let Some(untried) = away.get_mut(to.unwrap_or(uri)) {
        *untried += 1;
    } else {
        console.note(&format!("sending {what} ..."));
        match sync::send(&leftover.folder, to, http, Duration::from_secs(flags.wait)) {
            Ok(Sent { is_complete: true, run_id: None, .. }) => {
                report.lines.push(format!("run {id} `{name}`: sent by another process meanwhile"));
            }
            Ok(sent) if sent.is_complete => {
                let run_id = sent.run_id.unwrap_or_default();
                let now = if run_id == *id { String::new() } else { format!(", it is run {run_id} there") };
                let refused = if sent.set_aside > 0 { format!(", {} refused", sent.set_aside) } else { String::new() };
                report.lines.push(format!("run {id} `{name}`: sent {} records and files{refused}{now}", sent.written));
                entry["sent"] = sent.written.into();
                entry["store_run_id"] = run_id.into();
            }
            Ok(sent) => {
                away.insert(to.unwrap_or(uri).to_owned(), 0);
                let why = sent.problem.unwrap_or_else(|| "no answer".into());
                report.problems.push(format!("run {id}: something is left: {why}"));
            }
            Err(error) => report.problems.push(format!("run {id}: {error}")),
        }
    }
    report.journals.push(entry);
}

fn copy_embedded(flags: &SyncFlags, http: &HttpOptions, console: &Console, report: &mut Report) -> Result<()> {
    let from = flags.from.as_deref().unwrap_or(EMBEDDED);
    let is_there = from.strip_prefix("sqlite:///").is_none_or(|file| Path::new(file).exists());
    let Some(to) = &flags.to else {
        if is_there {
            let from = open_store(from, Path::new(ARTIFACTS_DIR), http)?;
            report.lines.push(format!("{}; `--to http://HOST:PORT` copies them", count_runs(from.as_ref())?));
        }
        return Ok(());
    };
    if !is_there && flags.from.is_none() && flags.redirect {
        // Who has no embedded store wants the journals only.
        return Ok(());
    }
    if !is_there {
        return Err(Mistake::new(format!("`{from}` is not there"))
            .hint("`--from sqlite:///FILE` names the store to copy from")
            .into());
    }
    let from = open_store(from, Path::new(ARTIFACTS_DIR), http)?;
    let to = open_store(to, &artifact_root(to), http)?;
    if from.uri() == to.uri() {
        return Err(Mistake::new(format!("`{}` is both source and target", to.uri())).into());
    }
    // Until the end of this function.
    let _lock = lock_for_copying()?;
    let options =
        CopyOptions { experiments: flags.experiment.clone(), run_ids: flags.run.clone(), dry_run: flags.dry_run };
    let bar = console.count_bar("runs");
    let copied = copy_runs(from.as_ref(), to.as_ref(), &options, &mut |done, all, name| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        bar.set_message(name.to_owned());
    });
    bar.finish_and_clear();
    let copied = copied.with_context(|| format!("copying from `{}` to `{}`", from.uri(), to.uri()))?;
    report.lines.push(describe(&copied, &from.uri(), &to.uri(), flags.dry_run));
    report.copied = json!({
        "runs": copied.runs, "unchanged_runs": copied.unchanged_runs, "points": copied.points, "files": copied.files,
        "models": copied.models, "versions": copied.versions,
    });
    report.problems.extend(copied.problems);
    Ok(())
}

/// A file has its artifacts beside it.
fn artifact_root(uri: &str) -> PathBuf {
    let file = uri.strip_prefix("sqlite:///").map(Path::new);
    file.and_then(Path::parent).unwrap_or(Path::new("")).join(ARTIFACTS_DIR)
}

fn lock_for_copying() -> Result<File> {
    let context = || format!("cannot lock `{LOCK_FILE}`");
    let lock = File::create(LOCK_FILE).with_context(context)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!("another `sync_runs` copies runs from this folder. Hint: wait for its end")
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(context),
    }
}

fn count_runs(store: &dyn Store) -> Result<String> {
    let experiments = store.experiments(ViewType::ActiveOnly)?;
    let mut runs = 0;
    for experiment in &experiments {
        let query = tracking::RunQuery {
            experiment_ids: vec![experiment.experiment_id.clone()],
            max_results: 50_000,
            ..tracking::RunQuery::default()
        };
        runs += store.search_runs(&query)?.items.len();
    }
    Ok(format!("`{}` has {runs} runs in {} experiments", store.uri(), experiments.len()))
}

fn describe(copied: &Copied, from: &str, to: &str, dry_run: bool) -> String {
    let Copied { runs, unchanged_runs, points, files, models, versions, .. } = copied;
    let verb = if dry_run { "to copy" } else { "copied" };
    format!(
        "{verb} from `{from}` to `{to}`: {runs} runs with {points} points, {files} files, {models} logged models, \
         {versions} model versions; {unchanged_runs} runs are there already"
    )
}

fn end_silent(minutes: u32, flags: &SyncFlags, http: &HttpOptions, report: &mut Report) -> Result<()> {
    let uri = flags.to.clone().or_else(|| std::env::var("MLFLOW_TRACKING_URI").ok()).ok_or_else(|| {
        Mistake::new("`--end-silent` needs a server").hint("give its address by `--to`, or by MLFLOW_TRACKING_URI")
    })?;
    let store = open_store(&uri, Path::new(ARTIFACTS_DIR), http)?;
    let ended = sync::end_silent_runs(store.as_ref(), Duration::from_secs(u64::from(minutes) * 60), flags.dry_run)?;
    let verb = if flags.dry_run { "to end" } else { "ended as KILLED" };
    for run in ended {
        report.lines.push(format!("{verb}: run {} `{}`, silent for {minutes} minutes or more", run.run_id, run.name));
        report.ended.push(run.run_id);
    }
    Ok(())
}
