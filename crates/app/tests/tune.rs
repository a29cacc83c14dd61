//! `tune` as a user runs it: space, trials, the winner, what is recorded, and that nothing is lost.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Finished, Workdir, assert_contains, files_below};
use tracking::{RunData, RunStatus, Store};

/// Small networks for three epochs.
const QUICK: &str = "
study: quick
set: [training.epochs=3, training.warmup_epochs=0, 'baselines=[]', 'model.hidden_dims=[16]']
metrics: [val_auc]
n_trials: 6
search: {startup: 3}
space:
  training.learning_rate: {float: [1.0e-3, 1.0e-1], log: true}
  model.hidden_dims: {choice: [[8], [16, 8]]}
  training.optimizer: {choice: [adamw, sgd]}
  training.momentum: {float: [0.5, 0.95], when: {training.optimizer: sgd}}
mlflow: {experiment_name: quick}
";

fn tune(dir: &Workdir, args: &[&str]) -> Finished {
    Finished::from(dir.command_of(env!("CARGO_BIN_EXE_tune"), args).output().unwrap())
}

fn workdir(config: &str) -> Workdir {
    let dir = Workdir::new();
    dir.write("configs/quick.yaml", config);
    dir
}

/// Starts a search without waiting for it.
fn start(dir: &Workdir, args: &[&str]) -> Child {
    let mut command = dir.command_of(env!("CARGO_BIN_EXE_tune"), args);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn parent(dir: &Workdir) -> RunData {
    dir.runs().into_iter().find(|run| run.tags.get("kind").is_some_and(|kind| kind == "tune")).unwrap()
}

/// The runs of trials, by number.
fn trials(dir: &Workdir) -> BTreeMap<u32, RunData> {
    let is_trial = |run: &RunData| run.tags.get("kind").is_some_and(|kind| kind == "trial");
    let number = |run: RunData| (run.tags["trial.number"].parse().unwrap(), run);
    dir.all_runs().into_iter().filter(is_trial).map(number).collect()
}

/// Rows of `trials.csv` without what differs from run to run.
fn table(dir: &Workdir, found: &Value) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(dir.path(found["outputs"].as_str().unwrap()).join("trials.csv")).unwrap();
    let mut reader = csv_rows(&text).into_iter();
    let names = reader.next().unwrap();
    let kept = |name: &String| !["seconds", "started", "ended", "run_id"].contains(&name.as_str());
    reader.map(|row| names.iter().cloned().zip(row).filter(|(name, _)| kept(name)).collect()).collect()
}

/// Cells of a CSV file with quotes.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut is_quoted = false;
    for c in text.trim_end().chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => rows.last_mut().unwrap().push(String::new()),
            '\n' if !is_quoted => rows.push(vec![String::new()]),
            c => rows.last_mut().unwrap().last_mut().unwrap().push(c),
        }
    }
    rows
}

#[test]
fn a_search_is_a_run_with_a_nested_run_per_trial_and_a_winner() {
    let dir = workdir(QUICK);
    let found = tune(&dir, &["--config", "configs/quick.yaml", "--json"]).ok().json();
    let (parent, trials) = (parent(&dir), trials(&dir));
    assert_eq!(trials.len(), 6);
    assert_eq!(found["n_trials"]["complete"], 6);
    assert_eq!(parent.info.status, RunStatus::Finished);
    for run in trials.values() {
        assert_eq!(run.tags["mlflow.parentRunId"], parent.info.run_id);
        assert_eq!((run.info.status, run.tags["trial.state"].as_str()), (RunStatus::Finished, "complete"));
        assert!(["[8]", "[16,8]"].contains(&run.params["model.hidden_dims"].as_str()), "{:?}", run.params);
        assert!(run.metrics.contains_key("val_auc") && run.metrics.contains_key("objective"));
        assert!(run.metrics.keys().all(|name| !name.contains("test_")), "the test rows are not for a search");
    }
    // The winner is marked, and is the best.
    let best: Vec<&RunData> =
        trials.values().filter(|run| run.tags.get("best").is_some_and(|best| best == "true")).collect();
    let [best] = best[..] else { panic!("{} runs are the best", best.len()) };
    assert_eq!(found["best"]["run_id"], best.info.run_id.as_str());
    assert_eq!(parent.tags["best_run_id"], best.info.run_id);
    let highest = trials.values().map(|run| run.metrics["objective"].value).fold(f64::MIN, f64::max);
    assert_eq!(best.metrics["objective"].value, highest);
    assert_eq!(parent.metrics["best_val_auc"].value, highest);
    assert_eq!(parent.params["space.training.learning_rate.log"], "true");
    assert_eq!(parent.params["search.name"], "tpe");
    // The winner's config gives the winner's score, in its own program.
    let config = found["best_config"].as_str().unwrap();
    assert_eq!(config, "configs/best_quick.yaml");
    let again = dir.run(&["--config", config, "--json"]).ok().json();
    assert_eq!(again["metrics"]["val_auc"].as_f64().unwrap(), highest, "to the last bit");
    // The refit is a run of its own with a model, from another seed on the same rows.
    let refit = dir.store().run(found["refit"]["run_id"].as_str().unwrap()).unwrap();
    assert_eq!(refit.tags["kind"], "refit");
    assert_eq!(refit.params["data.split.seed"], "42");
    assert_ne!(refit.params["seed"], "42");
    assert!(refit.metrics.contains_key("test_auc") && !refit.outputs.is_empty());
    let digest = |run: &RunData| run.params.get("dataset_digest").cloned();
    assert_eq!(digest(&refit), digest(&dir.store().run(again["run_id"].as_str().unwrap()).unwrap()), "the same split");
}

#[test]
fn what_a_search_leaves_behind() {
    let dir = workdir(QUICK);
    let found = tune(&dir, &["--config", "configs/quick.yaml", "--json", "--set", "refit_best=false"]).ok().json();
    let files = files_below(&dir.path(found["outputs"].as_str().unwrap()));
    for name in ["trials.csv", "trials.parquet", "param_importance.csv", "configs/base.yaml", "configs/best.yaml"] {
        assert!(files.contains(name), "{name} in {files:?}");
    }
    let pictures = [
        "search_history",
        "search_timeline",
        "parallel_coordinates",
        "search_slices",
        "search_contour",
        "parameter_importance",
    ];
    for name in pictures {
        assert!(files.contains(&format!("plots/{name}.png")), "{name} in {files:?}");
    }
    let artifacts = dir.store().list_artifacts(tracking::ArtifactsOf::Run(&parent(&dir).info.run_id), "").unwrap();
    assert!(artifacts.iter().any(|artifact| artifact.path == "trials.csv"));
    let rows = table(&dir, &found);
    assert_eq!(rows.len(), 6);
    // The conditional parameter is there exactly where its condition holds.
    assert!(rows.iter().all(|row| row["training.momentum"].is_empty() == (row["training.optimizer"] == "adamw")));
}

#[test]
fn one_trial_at_a_time_a_search_repeats_bit_for_bit() {
    let run = |seed: &str| {
        let dir = workdir(QUICK);
        let args =
            ["--config", "configs/quick.yaml", "--json", "--workers", "1", "--seed", seed, "--set", "refit_best=false"];
        let found = tune(&dir, &args).ok().json();
        table(&dir, &found)
    };
    let (first, again, other) = (run("7"), run("7"), run("8"));
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn trials_at_once_score_as_alone() {
    // Dropout, and more threads than one for some.
    let grid = "
study: grid
set: [training.epochs=2, training.warmup_epochs=0, 'baselines=[]', model.dropout=0.3]
search: {name: grid}
n_trials: 100
refit_best: false
space:
  training.learning_rate: {choice: [1.0e-3, 1.0e-2, 3.0e-2]}
  model.dropout: {float: [0.1, 0.5], step: 0.2}
";
    let run = |workers: &str| {
        let dir = workdir(grid);
        let found = tune(&dir, &["--config", "configs/quick.yaml", "--json", "--workers", workers]).ok().json();
        let mut rows = table(&dir, &found);
        rows.iter_mut().for_each(|row| drop(row.remove("number")));
        rows.sort();
        rows
    };
    let (alone, together) = (run("1"), run("3"));
    assert_eq!(alone.len(), 9, "every combination once");
    assert_eq!(alone, together);
}

#[test]
fn a_wrong_space_is_refused_before_anything_is_made() {
    let space = |space: &str| format!("study: wrong\nset: [training.epochs=2]\nspace:\n{space}");
    let cases = [
        (
            "  training.learning_rat: {float: [1.0e-3, 1.0e-1]}",
            &["unknown key `training.learning_rat`", "did you mean `training.learning_rate`?"][..],
        ),
        ("  training.learning_rate: {float: [0.1, 0.01]}", &["training.learning_rate"]),
        (
            "  training.learning_rate: {float: [-0.1, 0.01]}",
            &["`training.learning_rate`", "space: training.learning_rate"],
        ),
        ("  training.learning_rate: {float: [0.0, 0.01], log: true}", &["training.learning_rate"]),
        ("  model.dropout: {float: [0.0, 1.0]}", &["`model.dropout`: `1` is not in 0 <= dropout < 1"]),
        ("  training.optimizer: {choice: [adamw, adamww]}", &["`adamww` is not one of", "did you mean `adamw`?"]),
        ("  training.batch_size: {choice: [32, many]}", &["training.batch_size"]),
        ("  training.batch_size: {int: [16, 64], float: [1.0, 2.0]}", &["exactly one of"]),
        (
            "  training.momentum: {float: [0.1, 0.9], when: {training.optimizer: sgd}}",
            &["`training.optimizer` is not a key of the space"],
        ),
        ("  data.split.test: {float: [0.1, 0.3]}", &["cannot be searched"]),
        ("  seed: {int: [1, 5]}", &["cannot be searched"]),
        ("  training.learning_rate: {floats: [0.1, 0.2]}", &["unknown key", "float"]),
        ("  {}", &["nothing to search"]),
        (
            "  training.learning_rate: {float: [0.01, 0.1]}\nstart: [{training.learning_rate: 0.5}]",
            &["`start[0]`", "is not in the space"],
        ),
        (
            "  training.learning_rate: {float: [0.01, 0.1]}\nmetrics: [val_acu]",
            &["no metric `val_acu`", "did you mean `val_auc`?"],
        ),
        (
            "  training.learning_rate: {float: [0.01, 0.1]}\nprune: {name: ash}",
            &["`ash` is not one of", "did you mean `asha`?"],
        ),
        ("  training.learning_rate: {float: [0.01, 0.1]}\nsearch: {name: grid}", &["step"]),
        ("  training.learning_rate: {float: [0.01, 0.1]}\nstorage: mysql://host/db", &["storage", "postgresql://"]),
        (
            "  training.learning_rate: {float: [0.01, 0.1]}\nmetrics: [val_auc, n_params]\nprune: {name: median}",
            &["cannot be pruned"],
        ),
        (
            "  training.learning_rate: {float: [0.01, 0.1]}\nbase: configs/none.yaml",
            &["cannot read config `configs/none.yaml`"],
        ),
        ("  training.learning_rate: {float: [0.01, 0.1]}\nbase: configs/train_ts_baseline.yaml", &["unknown key"]),
    ];
    for (text, parts) in cases {
        let dir = workdir(&space(text));
        let refused = tune(&dir, &["--config", "configs/quick.yaml"]);
        assert_ne!(refused.code, 0, "{text}");
        assert_contains(&refused.stderr, parts);
        let n_trials = if dir.path("mlflow.db").exists() { trials(&dir).len() } else { 0 };
        assert_eq!(n_trials, 0, "{text}");
    }
}

#[test]
fn a_trial_that_fails_is_kept_with_its_reason_and_the_search_goes_on() {
    let wild = QUICK
        .replace("set: [", "set: [training.gradient_clip_norm=0, ")
        .replace("{float: [1.0e-3, 1.0e-1], log: true}", "{choice: [1.0e-2, 100.0]}");
    let dir = workdir(&wild.replace("[adamw, sgd]", "[sgd]"));
    let args = [
        "--config",
        "configs/quick.yaml",
        "--json",
        "--set",
        "search.name=random",
        "--n-trials",
        "8",
        "--set",
        "refit_best=false",
    ];
    let found = tune(&dir, &args).ok().json();
    let n_failed = found["n_trials"]["failed"].as_u64().unwrap();
    assert!((1..8).contains(&n_failed), "{n_failed}");
    assert_eq!(found["n_trials"]["complete"].as_u64().unwrap() + n_failed, 8);
    let failed: Vec<RunData> = trials(&dir).into_values().filter(|run| run.info.status == RunStatus::Failed).collect();
    assert_eq!(failed.len() as u64, n_failed);
    let rows = table(&dir, &found);
    let reasons: Vec<&String> = rows.iter().map(|row| &row["failure"]).filter(|reason| !reason.is_empty()).collect();
    assert!(reasons.iter().all(|reason| reason.contains("the loss became")), "{reasons:?}");
    // Too many of them end the search, with what it has.
    let dir = workdir(&wild.replace("1.0e-2, 100.0", "99.0, 100.0").replace("[adamw, sgd]", "[sgd]"));
    let refused = tune(&dir, &["--config", "configs/quick.yaml", "--set", "max_failures=2", "--workers", "1"]);
    assert_ne!(refused.code, 0);
    assert_contains(&refused.stderr, &["`max_failures: 2` trials have failed", "the loss became"]);
    assert_eq!(trials(&dir).len(), 2);
    assert_eq!(parent(&dir).info.status, RunStatus::Failed);
    let empty = tune(&dir, &["--config", "configs/quick.yaml", "--n-trials", "2"]);
    assert_eq!(empty.code, 1);
    assert_contains(&empty.stderr, &["no trial is complete", "the loss became"]);
}

#[test]
fn the_test_rows_have_no_say() {
    let mut rows = vec!["x,y,part".to_owned()];
    let mut other = rows.clone();
    for i in 0..300_u32 {
        let x = f64::from(i.wrapping_mul(2_654_435_761) % 1000) / 1000.0;
        let part = ["train", "train", "valid", "test"][i as usize % 4];
        let y = if x > 0.5 { "yes" } else { "no" };
        let flipped = if part == "test" && x < 0.9 { if x > 0.5 { "no" } else { "yes" } } else { y };
        rows.push(format!("{x},{y},{part}"));
        other.push(format!("{x},{flipped},{part}"));
    }
    let run = |rows: &[String]| {
        let dir = workdir(&QUICK.replace("set: [", "set: [data.path=rows.csv, data.source=null, data.target=y, data.target_bins=null, data.split.column=part, "));
        dir.write("rows.csv", rows.join("\n"));
        let args = ["--config", "configs/quick.yaml", "--json", "--workers", "1"];
        let found = tune(&dir, &args).ok().json();
        (table(&dir, &found), found["refit"]["metrics"].clone())
    };
    let ((trials, refit), (other_trials, other_refit)) = (run(&rows), run(&other));
    assert_eq!(trials, other_trials);
    assert_ne!(refit, other_refit, "the refit is scored on them");
}

#[test]
fn two_metrics_give_a_front() {
    let dir = workdir(&QUICK.replace("[val_auc]", "[val_auc, n_params]"));
    let found = tune(&dir, &["--config", "configs/quick.yaml", "--json", "--set", "refit_best=false"]).ok().json();
    let front: Vec<u64> =
        found["pareto_front"].as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect();
    assert!(!front.is_empty());
    let rows = table(&dir, &found);
    let value = |row: &BTreeMap<String, String>, name: &str| row[name].parse::<f64>().unwrap();
    for row in &rows {
        let beats = |other: &&BTreeMap<String, String>| {
            let (auc, size) =
                (value(other, "val_auc") - value(row, "val_auc"), value(other, "n_params") - value(row, "n_params"));
            auc >= 0.0 && size <= 0.0 && (auc > 0.0 || size < 0.0)
        };
        let is_beaten = rows.iter().any(|other| beats(&other));
        assert_eq!(front.contains(&row["number"].parse().unwrap()), !is_beaten, "{row:?}");
    }
}

#[test]
fn folds_and_seeds_are_averaged() {
    let dir = workdir(QUICK);
    let args = [
        "--config",
        "configs/quick.yaml",
        "--json",
        "--n-trials",
        "2",
        "--set",
        "folds=3",
        "--set",
        "seeds=2",
        "--set",
        "refit_best=false",
    ];
    tune(&dir, &args).ok();
    for run in trials(&dir).values() {
        let (mean, spread) = (run.metrics["objective"].value, run.metrics["objective_std"].value);
        assert!((0.0..1.0).contains(&mean) && spread > 0.0, "{mean} {spread}");
    }
}

#[test]
fn hopeless_trials_end_early() {
    let dir = workdir(&QUICK.replace("training.epochs=3", "training.epochs=9").replace("n_trials: 6", "n_trials: 14"));
    let args = [
        "--config",
        "configs/quick.yaml",
        "--json",
        "--set",
        "prune={name: asha, min: 2, factor: 3}",
        "--set",
        "refit_best=false",
    ];
    let found = tune(&dir, &args).ok().json();
    let n_pruned = found["n_trials"]["pruned"].as_u64().unwrap();
    assert!(n_pruned > 0);
    for row in table(&dir, &found).iter().filter(|row| row["state"] == "pruned") {
        assert!(row["epochs"].parse::<u32>().unwrap() >= 2, "{row:?}");
    }
    let pruned = trials(&dir).into_values().filter(|run| run.tags["trial.state"] == "pruned").count();
    assert_eq!(pruned as u64, n_pruned);
}

/// Waits until so many trials of a search have ended.
fn wait_for_trials(dir: &Workdir, n: usize) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !dir.path("mlflow.db").exists()
        || trials(dir).values().filter(|run| run.info.status == RunStatus::Finished).count() < n
    {
        assert!(Instant::now() < deadline, "no {n} trials");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn after_kill_9_nothing_is_lost() {
    let dir = workdir(&QUICK.replace("training.epochs=3", "training.epochs=30").replace("n_trials: 6", "n_trials: 10"));
    for round in 0..2 {
        let resume = if round == 0 { String::new() } else { parent(&dir).info.run_id };
        let args = if round == 0 { vec!["--config", "configs/quick.yaml"] } else { vec!["--resume", resume.as_str()] };
        let mut killed = start(&dir, &args);
        wait_for_trials(&dir, 2 + 2 * round);
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    let id = parent(&dir).info.run_id;
    let found = tune(&dir, &["--resume", &id, "--json"]).ok().json();
    assert_eq!(found["run_id"], id.as_str());
    assert_eq!(found["n_trials"]["complete"], 10);
    let parent = parent(&dir);
    assert_eq!(parent.info.status, RunStatus::Finished);
    let complete =
        trials(&dir).into_values().filter(|run| run.tags.get("trial.state").is_some_and(|state| state == "complete"));
    assert_eq!(complete.count(), 10);
    // What was broken off was tried again with the same values.
    let rows = table(&dir, &found);
    let settings = |row: &BTreeMap<String, String>| row["training.learning_rate"].clone();
    for broken in rows.iter().filter(|row| row["state"] == "requeued") {
        assert!(rows.iter().any(|row| row["state"] == "complete" && settings(row) == settings(broken)), "{broken:?}");
    }
    assert_eq!(dir.runs().len(), 1, "one search");
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_is_done_and_says_how_to_go_on() {
    let dir = workdir(&QUICK.replace("training.epochs=3", "training.epochs=30").replace("n_trials: 6", "n_trials: 8"));
    let stopped = start(&dir, &["--config", "configs/quick.yaml"]);
    wait_for_trials(&dir, 2);
    let sent = std::process::Command::new("kill").args(["-INT", &stopped.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let stopped = Finished::from(stopped.wait_with_output().unwrap());
    assert_eq!(stopped.code, 130, "{}", stopped.stderr);
    assert_contains(&stopped.stderr, &["cargo run --bin tune -- --resume"]);
    assert_eq!(parent(&dir).info.status, RunStatus::Killed);
    let id = parent(&dir).info.run_id;
    let found = tune(&dir, &["--resume", &id, "--json"]).ok().json();
    assert_eq!(found["n_trials"]["complete"], 8);
    // Another base config is another search.
    let changed = fs::read_to_string(dir.path("models/quick").join(&id).join("configs/base.yaml")).unwrap();
    dir.write(&format!("models/quick/{id}/configs/base.yaml"), changed.replace("batch_size: 64", "batch_size: 65"));
    let refused = tune(&dir, &["--resume", &id, "--n-trials", "9"]);
    assert_contains(&refused.stderr, &["its base config, its space or its scoring has changed", "--accept-changes"]);
}

#[test]
fn other_processes_work_on_the_same_study() {
    let dir = workdir(&QUICK.replace("training.epochs=3", "training.epochs=20").replace("n_trials: 6", "n_trials: 16"));
    let storage = "sqlite:///shared.db";
    let flags = ["--config", "configs/quick.yaml", "--study", "shared", "--storage", storage, "--workers", "1"];
    let grace = ["--set", "retry.heartbeat_seconds=1", "--set", "retry.grace_seconds=4"];
    let worker = || start(&dir, &[&flags[..], &grace, &["--worker"]].concat());
    let (first, mut second) = (worker(), worker());
    let driver = start(&dir, &[&flags[..], &grace].concat());
    wait_for_trials(&dir, 4);
    second.kill().unwrap();
    second.wait().unwrap();
    for process in [first, driver] {
        let ended = Finished::from(process.wait_with_output().unwrap());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
    let parent = parent(&dir);
    assert_eq!(parent.metrics["n_trials_complete"].value, 16.0);
    assert!(trials(&dir).values().all(|run| run.tags["mlflow.parentRunId"] == parent.info.run_id));
    let complete =
        trials(&dir).into_values().filter(|run| run.tags.get("trial.state").is_some_and(|state| state == "complete"));
    assert_eq!(complete.count(), 16);
}

#[test]
fn forecasters_are_searched_too() {
    let dir = Workdir::new();
    let short = [
        "--config",
        "configs/tune_ts.yaml",
        "--json",
        "--n-trials",
        "3",
        "--set",
        "set=[training.epochs=1, training.warmup_epochs=0, windows.stride=8, 'baselines=[]']",
        "--set",
        "refit_set=[]",
        "--set",
        "start=[]",
    ];
    let found = tune(&dir, &short).ok().json();
    assert_eq!(found["n_trials"]["complete"].as_u64().unwrap() + found["n_trials"]["pruned"].as_u64().unwrap(), 3);
    let refit = dir.store().run(found["refit"]["run_id"].as_str().unwrap()).unwrap();
    assert!(refit.metrics.contains_key("test_mae"));
    let best = found["best"]["values"][0].as_f64().unwrap();
    let args = ["--config", "configs/best_traffic.yaml", "--json"];
    let again = Finished::from(dir.command_of(env!("CARGO_BIN_EXE_train_ts_mlp"), &args).output().unwrap()).ok().json();
    assert_eq!(again["metrics"]["val_mae"].as_f64().unwrap(), best, "to the last bit");
}

#[test]
fn the_refitted_model_can_be_registered() {
    let dir = workdir(QUICK);
    let args = ["--config", "configs/quick.yaml", "--json", "--n-trials", "2", "--set", "register_as=wine"];
    let found = tune(&dir, &args).ok().json();
    let store = dir.store();
    let versions = store.registry().versions("wine").unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].run_id.as_deref(), found["refit"]["run_id"].as_str());
    let judged =
        dir.command_of(env!("CARGO_BIN_EXE_evaluate"), &["--model", "models:/wine/1", "--json"]).output().unwrap();
    let judged = Finished::from(judged).ok().json();
    assert_eq!(judged["metrics"]["test_auc"], serde_json::json!(refit_metric(&found, "test_auc")));
}

fn refit_metric(found: &Value, name: &str) -> f64 {
    let metrics = found["refit"]["metrics"].as_array().unwrap();
    metrics.iter().find(|pair| pair[0] == name).unwrap()[1].as_f64().unwrap()
}
