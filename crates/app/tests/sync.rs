//! A server that is away, a process that is killed, and `sync_runs`, through the real programs.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

#[path = "../../tracking/tests/support/server.rs"]
mod server;
mod support;

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use server::Server;
use support::{Finished, SHORT, Workdir};
use tracking::{HttpOptions, RestStore, RunData, RunQuery, RunStatus, SqliteStore, Store, ViewType};

/// An address where nobody listens.
fn nowhere() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

fn sync(dir: &Workdir, args: &[&str]) -> Finished {
    Finished::from(dir.command_of(env!("CARGO_BIN_EXE_sync_runs"), args).output().unwrap())
}

/// Trains with the server away; gives the run's id.
fn train_without_server(dir: &Workdir, uri: &str) -> String {
    let mut command = dir.command(&[&["--json"], &SHORT[..]].concat());
    let finished = Finished::from(command.env("MLFLOW_TRACKING_URI", uri).output().unwrap()).ok();
    assert!(finished.stderr.contains("cannot connect") && finished.stderr.contains("sync_runs"), "{}", finished.stderr);
    let report = finished.json();
    assert_eq!(report["status"], "FINISHED");
    report["run_id"].as_str().unwrap().to_owned()
}

/// The runs of a store with the local id that each was started under.
fn runs(store: &dyn Store) -> Vec<RunData> {
    let experiments = store.experiments(ViewType::ActiveOnly).unwrap();
    let experiment_ids = experiments.into_iter().map(|experiment| experiment.experiment_id).collect();
    store.search_runs(&RunQuery { experiment_ids, ..RunQuery::default() }).unwrap().items
}

#[test]
fn a_run_whose_server_is_away_is_sent_later_and_once() {
    let dir = Workdir::new();
    let Some(server) = Server::shared() else { return };
    // Away: another address. Then it is back: that of the server.
    let away = nowhere();
    let id = train_without_server(&dir, &away);
    assert_eq!(fs::read_dir(dir.path("logs/spool")).unwrap().count(), 3, "the run and two baselines");

    let finished = sync(&dir, &["--wait", "1"]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    assert!(finished.stderr.contains(&id) && finished.stderr.contains(&away), "{}", finished.stderr);
    let dry = sync(&dir, &["--dry-run", "--to", &server.uri, "--redirect", "--from", "sqlite:///none.db"]);
    assert_eq!(dry.code, 2, "the store to copy from is not there: {}", dry.stderr);

    fs::write(dir.path("empty.db"), "").unwrap();
    let flags = ["--to", server.uri.as_str(), "--redirect", "--from", "sqlite:///empty.db", "--json"];
    let sent = sync(&dir, &flags).ok().json();
    assert_eq!(sent["journals"].as_array().unwrap().len(), 3, "{sent}");
    assert_eq!(fs::read_dir(dir.path("logs/spool")).unwrap().count(), 0);
    let again = sync(&dir, &flags).ok().json();
    assert_eq!(again["journals"].as_array().unwrap().len(), 0, "{again}");

    let store = RestStore::new(&server.uri, &HttpOptions::default()).unwrap();
    let found: Vec<RunData> =
        runs(&store).into_iter().filter(|run| run.tags.get("tracking.local_run_id") == Some(&id)).collect();
    assert_eq!(found.len(), 1);
    let parent = &found[0];
    assert_eq!((parent.info.status, parent.params["seed"].as_str()), (RunStatus::Finished, "42"));
    assert_eq!(store.metric_history(&parent.info.run_id, "val_loss").unwrap().len(), 3);
    let of_parent = |run: &&RunData| run.tags.get("mlflow.parentRunId") == Some(&parent.info.run_id);
    assert_eq!(runs(&store).iter().filter(of_parent).count(), 2, "nested runs hang below the run they belong to");
    goes_on_with_a_server(&dir, server, &id, &parent.info.run_id);
}

/// A run that was started without its server is resumed by the id that its program knew.
fn goes_on_with_a_server(dir: &Workdir, server: &Server, local_id: &str, id: &str) {
    let uri = format!("mlflow.tracking_uri={}", server.uri);
    let mut command = dir.command(&["--resume", local_id, "--epochs", "5", "--json", "--set", &uri]);
    let finished = Finished::from(command.env("MLFLOW_TRACKING_URI", &server.uri).output().unwrap()).ok();
    assert_eq!(finished.json()["run_id"], id, "{}", finished.stdout);
    let store = RestStore::new(&server.uri, &HttpOptions::default()).unwrap();
    let steps: Vec<i64> = store.metric_history(id, "val_loss").unwrap().into_iter().map(|point| point.step).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5], "no step twice");
}

#[test]
fn strict_tracking_needs_its_server() {
    let dir = Workdir::new();
    let mut command = dir.command(&[&["--set", "mlflow.strict=true"], &SHORT[..]].concat());
    let begin = Instant::now();
    let finished = Finished::from(command.env("MLFLOW_TRACKING_URI", nowhere()).output().unwrap());
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("mlflow server") && !finished.stderr.contains("epoch"), "{}", finished.stderr);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert!(!dir.path("models").exists(), "nothing is written");
}

#[test]
fn a_killed_run_is_found_by_the_next_one() {
    let dir = Workdir::new();
    let long = ["--epochs", "100000", "--set", "training.early_stopping.patience=100000"];
    let mut child = dir.command(&long).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    let has_points =
        || dir.path("mlflow.db").exists() && dir.runs().iter().any(|run| run.metrics.contains_key("val_loss"));
    while !has_points() {
        assert!(begin.elapsed() < Duration::from_secs(120), "the run does not start");
        thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = dir.runs().remove(0);
    assert_eq!(killed.info.status, RunStatus::Running, "nobody has noticed yet");

    let next = dir.run(&SHORT).ok();
    let killed = dir.store().run(&killed.info.run_id).unwrap();
    assert_eq!(killed.info.status, RunStatus::Killed, "{}", next.stderr);
    let last_point = killed.metrics["val_loss"].timestamp_ms;
    let end = killed.info.end_time_ms.unwrap();
    assert!((last_point - 1000..last_point + 3000).contains(&end), "last point {last_point}, last sign of life {end}");
    assert!(killed.tags["error"].contains(&format!("process {}", child.id())), "{:?}", killed.tags);
    assert!(killed.tags["tracking.last_seen"].starts_with("20"));
    let tail = fs::read_to_string(std::path::Path::new(&killed.info.artifact_uri).join("log_tail.txt")).unwrap();
    assert!(tail.contains("epoch"), "{tail}");
    assert_eq!(fs::read_dir(dir.path("logs/spool")).unwrap().count(), 0);
}

#[test]
fn runs_of_a_file_are_copied_once() {
    let dir = Workdir::new();
    dir.run(&SHORT).ok();
    let said = sync(&dir, &[]).ok().stdout;
    assert!(said.contains("nothing is left") && said.contains("3 runs in 2 experiments"), "{said}");
    let to = ["--to", "sqlite:///other.db", "--json"];
    let dry = sync(&dir, &[&to[..], &["--dry-run"]].concat()).ok().json();
    assert_eq!((&dry["copied"]["runs"], &dry["problems"]), (&3.into(), &serde_json::json!([])));
    let copied = sync(&dir, &to).ok().json();
    assert_eq!(copied["copied"]["runs"], 3, "{copied}");
    let again = sync(&dir, &to).ok().json();
    assert_eq!((&again["copied"]["runs"], &again["copied"]["unchanged_runs"]), (&0.into(), &3.into()), "{again}");

    let other = SqliteStore::open(&dir.path("other.db"), &dir.path("mlruns")).unwrap();
    let copies = runs(&other);
    assert_eq!(copies.len(), 3);
    let original = dir.runs().remove(0);
    let copy = copies.iter().find(|run| run.tags["tracking.local_run_id"] == original.info.run_id).unwrap();
    assert_eq!((&copy.params, copy.metrics.len()), (&original.params, original.metrics.len()));
}

#[test]
fn wrong_use_is_explained() {
    let dir = Workdir::new();
    dir.run(&SHORT).ok();
    for (args, code, parts) in [
        (&["--to", "sqlite:///mlflow.db"][..], 2, &["both source and target"][..]),
        (&["--to", "htp://localhost"], 1, &["htp", "did you mean `http`"]),
        (&["--from", "sqlite:///none.db", "--to", "sqlite:///other.db"], 2, &["sqlite:///none.db", "--from"]),
        (&["--redirect"], 2, &["--to"]),
        (&["--to", "sqlite:///other.db", "--experiment", "wein"], 1, &["`wein`", "tabular_mlp_baseline"]),
        (&["--to", "sqlite:///other.db", "--run", "r1"], 1, &["`r1`"]),
        (&["--end-silent", "10"], 2, &["needs a server"]),
        (&["--end-silent", "99999999999", "--to", "sqlite:///other.db"], 2, &["--end-silent"]),
        (&["--experiment", "wine"], 2, &["--to"]),
        (&["--sync"], 2, &["unexpected argument '--sync'"]),
    ] {
        let finished = sync(&dir, args);
        assert_eq!(finished.code, code, "{args:?}: {}", finished.stderr);
        for part in parts {
            assert!(finished.stderr.contains(part), "{args:?}: `{part}` is not in {}", finished.stderr);
        }
    }
}

/// One journal that cannot be read does not stop the others.
#[test]
fn a_damaged_journal_is_named_and_the_others_are_sent() {
    let dir = Workdir::new();
    let away = nowhere();
    let id = train_without_server(&dir, &away);
    fs::write(dir.path("logs/spool").join(&id).join("run.json"), "{").unwrap();
    // There is no embedded store, and none is needed.
    let finished = sync(&dir, &["--to", "sqlite:///other.db", "--redirect"]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("run.json") && finished.stderr.contains("damaged"), "{}", finished.stderr);
    let other = SqliteStore::open(&dir.path("other.db"), &dir.path("mlruns")).unwrap();
    assert_eq!(runs(&other).len(), 2, "{}", finished.stdout);
}

/// What was done before the target went away is reported, and what is not done is counted, not listed.
#[test]
fn a_target_that_is_away_does_not_silence_the_report() {
    let dir = Workdir::new();
    let id = train_without_server(&dir, &nowhere());
    dir.run(&SHORT).ok();
    let finished = sync(&dir, &["--to", &nowhere(), "--wait", "1", "--json"]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    let report = finished.json();
    assert_eq!(report["journals"].as_array().unwrap().len(), 3, "{report}");
    let problems: Vec<&str> = report["problems"].as_array().unwrap().iter().filter_map(|text| text.as_str()).collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].contains(&id) && problems[1].contains("2 more runs not tried"), "{problems:?}");
    assert!(problems[2].contains("copying from `sqlite:///mlflow.db`"), "{problems:?}");
    assert!(problems.iter().all(|problem| finished.stderr.contains(problem)), "{}", finished.stderr);
}

#[test]
fn two_copies_at_once_do_not_double_runs() {
    let dir = Workdir::new();
    dir.run(&SHORT).ok();
    let lock = fs::File::create(dir.path("logs/sync_runs.lock")).unwrap();
    lock.lock().unwrap();
    let to = ["--to", "sqlite:///other.db"];
    let finished = sync(&dir, &to);
    assert_eq!(finished.code, 1, "{}", finished.stdout);
    assert!(finished.stderr.contains("another `sync_runs`"), "{}", finished.stderr);
    drop(lock);
    sync(&dir, &to).ok();
}
