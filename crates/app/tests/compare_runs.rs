//! `compare_runs` as a user runs it: which runs, how they are shown, what is said of chance, what is registered.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

#[path = "../../tracking/tests/support/server.rs"]
mod server;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;
use server::Server;
use support::{Finished, Workdir, assert_contains};
use tracking::{Batch, HttpOptions, Metric, NewRun, RestStore, RunStatus, Stage, Store};

fn compare(dir: &Workdir, args: &[&str]) -> Finished {
    Finished::from(dir.command_of(env!("CARGO_BIN_EXE_compare_runs"), args).output().unwrap())
}

fn json(dir: &Workdir, args: &[&str]) -> Value {
    compare(dir, &[&["--format", "json"], args].concat()).ok().json()
}

/// Names of the runs in their order.
fn names(found: &Value) -> Vec<&str> {
    found["runs"].as_array().unwrap().iter().map(|run| run["name"].as_str().unwrap()).collect()
}

/// A run that nobody has trained: points of metrics `(key, step, value)`, params, tags.
struct Fake<'a> {
    name: &'a str,
    points: &'a [(&'a str, i64, f64)],
    params: &'a [(&'a str, &'a str)],
    tags: &'a [(&'a str, &'a str)],
    status: RunStatus,
    started: i64,
}

const FAKE: Fake =
    Fake { name: "", points: &[], params: &[], tags: &[], status: RunStatus::Finished, started: 1_700_000_000_000 };

impl Fake<'_> {
    fn make(&self, dir: &Workdir, experiment: &str) -> String {
        let store = dir.store();
        let experiment_id = match store.experiment_by_name(experiment).unwrap() {
            Some(known) => known.experiment_id,
            None => store.create_experiment(experiment).unwrap(),
        };
        let tags = self.tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let new = NewRun {
            experiment_id,
            name: self.name.to_owned(),
            user: "ada".to_owned(),
            start_time_ms: self.started,
            tags,
        };
        let run_id = store.create_run(&new).unwrap().run_id;
        let point = |&(key, step, value): &(&str, i64, f64)| Metric {
            key: key.to_owned(),
            value,
            timestamp_ms: self.started + step,
            step,
        };
        let params = self.params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let batch = Batch { metrics: self.points.iter().map(point).collect(), params, ..Batch::default() };
        store.log_batch(&run_id, &batch).unwrap();
        store.update_run(&run_id, self.status, Some(self.started + 90_000), None).unwrap();
        run_id
    }
}

/// Trains, for three epochs unless told otherwise; gives what the program said as JSON.
fn train(dir: &Workdir, args: &[&str]) -> Value {
    let quick = ["--json", "--quiet", "--set", "baselines=[]", "--set", "training.warmup_epochs=0"];
    let epochs: &[&str] = if args.contains(&"--epochs") { &[] } else { &["--epochs", "3"] };
    dir.run(&[&quick, epochs, args].concat()).ok().json()
}

fn id(run: &Value) -> &str {
    run["run_id"].as_str().unwrap()
}

#[test]
fn runs_are_ranked_by_their_best_value() {
    let dir = Workdir::new();
    let of = |name, points| Fake { name, points, ..FAKE };
    of("rises", &[("val_auc", 1, 0.7), ("val_auc", 2, 0.8)]).make(&dir, "a");
    of("falls", &[("val_auc", 1, 0.7), ("val_auc", 2, 0.9), ("val_auc", 3, 0.6)]).make(&dir, "a");
    of("has nothing", &[("val_loss", 1, 0.7)]).make(&dir, "a");
    of("is no number", &[("val_auc", 1, f64::NAN)]).make(&dir, "b");
    of("breaks off", &[("val_auc", 1, 0.75), ("val_auc", 2, f64::NAN), ("val_loss", 1, 0.2)]).make(&dir, "b");

    let found = json(&dir, &["--metric", "metrics.val_auc"]);
    assert_eq!(names(&found), ["falls", "rises", "breaks off", "is no number"]);
    assert_eq!(found["runs"][0]["best"]["val_auc"], serde_json::json!({"value": 0.9, "step": 2}));
    assert_eq!(found["runs"][0]["metrics"]["val_auc"], 0.6, "the last value is there too");
    assert_eq!(found["runs"][3]["best"]["val_auc"], Value::Null);
    assert!((found["runs"][1]["delta_to_best"].as_f64().unwrap() + 0.1).abs() < 1e-12);

    // The other way round, and losses the right way by themselves.
    assert_eq!(names(&json(&dir, &["--metric", "val_auc", "--ascending"]))[0], "falls");
    assert_eq!(names(&json(&dir, &["--metric", "val_loss"])), ["breaks off", "has nothing"]);
    let two = json(&dir, &["--metric", "val_auc", "--metric", "val_loss", "--top", "3"]);
    assert_eq!(names(&two).len(), 3);
    assert_eq!(two["runs"][2]["best"]["val_loss"]["value"], 0.2);

    assert_eq!(names(&json(&dir, &["--metric", "val_auc", "--experiment", "b"])), ["breaks off", "is no number"]);
    assert_eq!(names(&json(&dir, &["--metric", "val_auc", "--experiment", "b", "--experiment", "a"])).len(), 4);
    let filtered = json(&dir, &["--metric", "val_auc", "--filter", "metrics.val_auc > 0.65"]);
    assert_eq!(names(&filtered), ["rises"], "MLflow's filter looks at the last value");
}

#[test]
fn kind_status_time_and_bin_choose_runs() {
    let dir = Workdir::new();
    let points = &[("val_auc", 1, 0.7)];
    let now = chrono_now_ms();
    Fake { name: "old", points, ..FAKE }.make(&dir, "a");
    Fake { name: "new", points, started: now - 3_600_000, ..FAKE }.make(&dir, "a");
    Fake { name: "broken", points, status: RunStatus::Failed, ..FAKE }.make(&dir, "a");
    Fake { name: "trial", points, tags: &[("kind", "trial")], ..FAKE }.make(&dir, "a");
    Fake { name: "judged", points, tags: &[("kind", "evaluate")], ..FAKE }.make(&dir, "a");
    Fake { name: "python part", points, tags: &[("mlflow.parentRunId", "x")], ..FAKE }.make(&dir, "a");
    let gone = Fake { name: "gone", points, ..FAKE }.make(&dir, "a");
    dir.store().delete_run(&gone).unwrap();

    let of = |args: &[&str]| -> BTreeSet<String> {
        let found = json(&dir, &[&["--metric", "val_auc"], args].concat());
        names(&found).into_iter().map(str::to_owned).collect()
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    assert_eq!(of(&[]), set(&["old", "new"]));
    assert_eq!(of(&["--status", "failed"]), set(&["broken"]));
    assert_eq!(of(&["--kind", "trial", "--kind", "evaluate"]), set(&["trial", "judged"]));
    assert_eq!(of(&["--kind", "all"]), set(&["old", "new", "trial", "judged", "python part"]));
    assert_eq!(of(&["--view", "deleted"]), set(&["gone"]));
    assert_eq!(of(&["--view", "all", "--since", "2000-01-01"]), set(&["old", "new", "gone"]));
    assert_eq!(of(&["--since", "2h"]), set(&["new"]));
    assert_eq!(of(&["--since", "30m"]), set(&[]));
}

fn chrono_now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

#[test]
fn no_runs_are_no_error_and_wrong_names_are() {
    let dir = Workdir::new();
    let found = compare(&dir, &[]).ok();
    assert_eq!(found.stdout, "No runs found.\n");
    Fake { name: "one", points: &[("val_auc", 1, 0.7), ("depth", 1, 2.0)], params: &[("seed", "1")], ..FAKE }
        .make(&dir, "income");
    let none = compare(&dir, &["--metric", "val_auc", "--filter", "params.seed = '2'"]).ok();
    assert_eq!(none.stdout, "No runs found.\n");

    let wrong: [(&[&str], &[&str]); 12] = [
        (&["--metric", "val_auk"], &["no run has a metric `val_auk`", "did you mean `val_auc`?"]),
        (
            &["--experiment", "incme"],
            &["experiment `incme` not found in `sqlite:///mlflow.db`", "did you mean `income`?"],
        ),
        (&["--metric", "depth"], &["not known whether `depth` is better high or low", "--ascending"]),
        (&["--diff", "one", "oen"], &["run `oen` not found", "did you mean `one`?"]),
        (&["--filter", "metrics.val_auc >"], &["`filter`", "(set by `--filter`)\nhint: "]),
        (&["--kind", "tril"], &["`tril` is not one of", "did you mean `trial`?"]),
        (&["--status", "finshed"], &["did you mean `FINISHED`?"]),
        (&["--since", "yesterday"], &["`since`: `yesterday` is no time; write `7d`"]),
        (&["--columns", "nam"], &["the runs have no `nam`", "did you mean `name`?"]),
        (&["--group-by", "sed"], &["none of the runs has this param", "did you mean `seed`?"]),
        (&["--alias", "champion"], &["about a registered model", "--register NAME"]),
        (&["--register", "m", "--promote", "Prodction"], &["`--promote Prodction`", "did you mean `Production`?"]),
    ];
    for (args, parts) in wrong {
        let found =
            compare(&dir, &[&["--metric", "val_auc"][..usize::from(!args.contains(&"--metric")) * 2], args].concat());
        assert_eq!((found.code, found.stdout.as_str()), (2, ""), "{args:?}: {}", found.stderr);
        assert_contains(&found.stderr, parts);
    }
    // A model there is none of.
    let found = compare(&dir, &["--metric", "val_auc", "--register", "m"]);
    assert_eq!(found.code, 2, "{}", found.stderr);
    assert_contains(&found.stderr, &["has no model", "model/MLmodel"]);
    assert!(dir.store().registry().models().unwrap().is_empty());
    assert_eq!(dir.all_runs().len(), 1, "a mistake is no decision");
}

#[test]
fn tables_fit_and_programs_get_everything() {
    let dir = Workdir::new();
    for (index, name) in ["a run with a very long name that ends in seed=1", "b", "c | d, \"e\""].iter().enumerate() {
        let dropout = format!("0.{index}");
        let params = [("model.dropout", dropout.as_str()), ("training.epochs", "5"), ("data.split.seed", "9")];
        Fake { name, points: &[("val_auc", 3, 0.75 - index as f64 / 100.0)], params: &params, ..FAKE }.make(&dir, "a");
    }
    let mut command = dir.command_of(env!("CARGO_BIN_EXE_compare_runs"), &["--metric", "val_auc"]);
    let narrow = Finished::from(command.env("COLUMNS", "80").output().unwrap()).ok().stdout;
    let rows: Vec<&str> = narrow.lines().skip(2).take(4).collect();
    assert!(rows.iter().all(|row| row.chars().count() <= 80), "{narrow}");
    assert_contains(rows[0], &["rank", "name", "id", "val_auc", "delta", "dropout"]);
    assert_contains(rows[1], &["1  a run", "…", "seed=1", "0.750000 @3", "0.0"]);
    assert_contains(rows[2], &["-0.0100", "0.1"]);
    assert!(!narrow.contains("epochs"), "only params that differ: {narrow}");
    assert_contains(&narrow, &["val_auc, higher is better: 3 runs", "Best run: ", "not shown for want of room"]);

    let csv = compare(&dir, &["--metric", "val_auc", "--format", "csv"]).ok().stdout;
    let mut lines = csv.lines();
    assert_eq!(lines.next().unwrap(), "rank,name,run_id,kind,val_auc,delta,model.dropout,duration,age");
    assert!(csv.contains(",\"c | d, \"\"e\"\"\","), "{csv}");
    let first = lines.next().unwrap();
    assert!(first.contains(",train,0.75,0,0.0,90,"), "{first}");

    let markdown = compare(&dir, &["--metric", "val_auc", "--format", "md"]).ok().stdout;
    assert_contains(&markdown, &["| rank | name |", "| ---: | --- |", "c \\| d, \"e\""]);

    let chosen =
        ["--metric", "val_auc", "--format", "csv", "--columns", "name,params.training.epochs,user,status,started"];
    let chosen = compare(&dir, &chosen).ok().stdout;
    assert!(chosen.starts_with("name,training.epochs,user,status,started\n"), "{chosen}");
    assert!(chosen.contains("b,5,ada,FINISHED,2023-11-1"), "{chosen}");
}

#[test]
fn predictions_say_whether_the_best_is_better() {
    let dir = Workdir::new();
    let good = train(&dir, &["--run-name", "good", "--epochs", "20"]);
    let twin = train(&dir, &["--run-name", "twin", "--epochs", "20", "--set", "model.dropout=0.21"]);
    let bad = train(&dir, &["--run-name", "bad", "--set", "model.hidden_dims=[2]"]);
    let other = train(&dir, &["--run-name", "other split", "--seed", "5"]);

    let found = json(&dir, &["--metric", "test_auc"]);
    let verdicts = found["verdicts"].as_array().unwrap();
    assert!(verdicts.iter().all(|verdict| verdict["run_id"] != other["run_id"]), "other rows: {found}");
    assert_eq!(verdicts.len(), 2);
    let of = |run: &Value| verdicts.iter().find(|verdict| verdict["run_id"] == run["run_id"]);
    let bad_verdict = of(&bad).unwrap();
    assert_eq!((&bad_verdict["is_better"], &bad_verdict["test"]), (&Value::Bool(true), &"delong".into()));
    assert!(bad_verdict["p_adjusted"].as_f64().unwrap() < 0.001, "{bad_verdict}");
    assert!(bad_verdict["text"].as_str().unwrap().contains(" is better than bad ("), "{bad_verdict}");
    let close = of(&twin).or_else(|| of(&good)).unwrap();
    assert_eq!(close["is_better"], false, "{close}");
    assert!(close["text"].as_str().unwrap().contains("cannot be told apart"), "{close}");
    // The difference is that of the logged figures, and lies inside its interval.
    let best = found["runs"].as_array().unwrap().iter().find(|run| run["run_id"] == bad_verdict["best"]).unwrap();
    let logged = best["metrics"]["test_auc"].as_f64().unwrap() - bad["metrics"]["test_auc"].as_f64().unwrap();
    let difference = bad_verdict["difference"].as_f64().unwrap();
    assert!((difference - logged).abs() < 1e-9, "{difference} is not {logged}");
    let end = |name: &str| bad_verdict["interval"][name].as_f64().unwrap();
    assert!(end("low") > 0.0 && end("low") < difference && difference < end("high"));
    let warnings = found["warnings"].to_string();
    assert_contains(&warnings, &["1 of 4 runs has split the same data in another way", &id(&other)[..8]]);

    // Other metrics by the bootstrap, validation rows too; without statistics nothing is said.
    for metric in ["test_accuracy", "test_f1", "val_auc", "val_loss", "test_log_loss"] {
        let found = json(&dir, &["--metric", metric, "--filter", "params.seed = '42'"]);
        let verdicts = found["verdicts"].as_array().unwrap();
        assert_eq!(verdicts.len(), 2, "{metric}: {found}");
        let test = if metric == "val_auc" { "delong" } else { "bootstrap" };
        assert!(verdicts.iter().all(|verdict| verdict["test"] == test), "{metric}: {found}");
    }
    assert_eq!(json(&dir, &["--metric", "test_auc", "--no-statistics"])["verdicts"], serde_json::json!([]));
    // Again, and with any number of threads, the same.
    let again = |threads| json(&dir, &["--metric", "test_auc", "--threads", threads])["verdicts"].clone();
    assert_eq!(again("1"), found["verdicts"]);
    assert_eq!(again("3"), found["verdicts"]);
}

#[test]
fn forecasts_are_compared_by_blocks_of_windows() {
    let dir = Workdir::new();
    let train = |args: &[&str]| {
        let args = [&["--json", "--quiet", "--set", "training.warmup_epochs=0"], args].concat();
        Finished::from(dir.command_of(env!("CARGO_BIN_EXE_train_ts_mlp"), &args).output().unwrap()).ok().json()
    };
    let good = train(&["--epochs", "6"]);
    let bad = train(&["--epochs", "1", "--learning-rate", "1e-6"]);
    for metric in ["test_mae", "test_rmse"] {
        let found = json(&dir, &["--metric", metric]);
        let verdict = &found["verdicts"][0];
        assert_eq!((&verdict["best"], &verdict["run_id"]), (&good["run_id"], &bad["run_id"]), "{found}");
        assert_eq!(verdict["is_better"], true, "{found}");
        let n = verdict["n"].as_u64().unwrap();
        assert!((10..2000).contains(&n), "{n} blocks, not all windows");
        let logged = good["metrics"][metric].as_f64().unwrap() - bad["metrics"][metric].as_f64().unwrap();
        let difference = verdict["difference"].as_f64().unwrap();
        assert!((difference / logged - 1.0).abs() < 1e-6, "{difference} is not {logged}");
    }
}

#[test]
fn groups_have_spread_and_a_paired_test() {
    let dir = Workdir::new();
    // By seed: the second group is always a little worse than the first one.
    let values = [("0.1", [0.80, 0.84, 0.88]), ("0.2", [0.79, 0.828, 0.871])];
    for (dropout, of_seed) in values {
        for (seed, value) in of_seed.into_iter().enumerate() {
            let seed = seed.to_string();
            let params = [("model.dropout", dropout), ("seed", seed.as_str())];
            Fake { name: &format!("{dropout} {seed}"), points: &[("val_auc", 1, value)], params: &params, ..FAKE }
                .make(&dir, "a");
        }
    }
    let found = json(&dir, &["--metric", "val_auc", "--group-by", "seed"]);
    let groups = found["groups"]["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    let number = |value: &Value| value.as_f64().unwrap();
    assert_eq!((groups[0]["name"].as_str().unwrap(), &groups[0]["n"]), ("dropout=0.1", &3.into()));
    assert!((number(&groups[0]["mean"]) - 0.84).abs() < 1e-12 && (number(&groups[0]["sd"]) - 0.04).abs() < 1e-12);
    // scipy 1.17.1: `stats.ttest_rel([.80, .84, .88], [.79, .828, .871])`, and `.confidence_interval()`.
    let test = &groups[1]["difference"];
    assert_eq!(test["test"], "paired by seed");
    assert!((number(&test["p_value"]) - 0.007_205_446).abs() < 1e-6, "{test}");
    assert!((number(&test["interval"]["low"]) - 0.006_538_750).abs() < 1e-6, "{test}");
    assert!(
        test["text"].as_str().unwrap().starts_with("`dropout=0.1` is better than `dropout=0.2` by 0.0103 ["),
        "{test}"
    );

    // Another set of seeds: independent samples.
    Fake { name: "x", points: &[("val_auc", 1, 0.85)], params: &[("model.dropout", "0.1"), ("seed", "9")], ..FAKE }
        .make(&dir, "a");
    let found = json(&dir, &["--metric", "val_auc", "--group-by", "params.model.dropout"]);
    let test = &found["groups"]["groups"][1]["difference"];
    assert_eq!((&test["test"], &test["is_better"]), (&"Welch".into(), &Value::Bool(false)), "{found}");
    let text = compare(&dir, &["--metric", "val_auc", "--group-by", "seed"]).ok().stdout;
    assert_contains(&text, &["val_auc mean", "sd", "cannot be told apart"]);
}

#[test]
fn a_diff_shows_what_differs_and_nothing_else() {
    let dir = Workdir::new();
    let a = train(&dir, &["--run-name", "a"]);
    let b = train(&dir, &["--run-name", "b", "--seed", "7", "--set", "model.dropout=0.4"]);
    let (a_id, b_id) = (id(&a), id(&b));
    // By the beginning of an id, or a name.
    let found = json(&dir, &["--diff", &a_id[..10], "b"]);
    assert_eq!(found["runs"], serde_json::json!([a_id, b_id]));
    let rows: BTreeMap<(String, String), &Value> = found["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            ((row["section"].as_str().unwrap().to_owned(), row["name"].as_str().unwrap().to_owned()), &row["values"])
        })
        .collect();
    let row = |section: &str, name: &str| rows.get(&(section.to_owned(), name.to_owned())).copied();
    assert_eq!(row("params", "model.dropout").unwrap(), &serde_json::json!(["0.2", "0.4"]));
    assert_eq!(row("params", "seed").unwrap(), &serde_json::json!(["42", "7"]));
    assert!(row("data", "digest").is_some(), "another seed splits in another way");
    assert!(row("metrics", "test_auc").is_some());
    assert!(row("params", "training.epochs").is_none() && row("code", "rustc").is_none());
    let text = compare(&dir, &["--diff", "a", "b"]).ok().stdout;
    assert_contains(&text, &["what differs", &format!("{} a", &a_id[..8]), "params", "model.dropout", "0.2", "0.4"]);
}

#[test]
fn a_run_is_reproduced_from_its_config() {
    let dir = Workdir::new();
    let first = train(&dir, &["--run-name", "first", "--set", "model.dropout=0.33", "--epochs", "4"]);
    let run_id = id(&first);

    // As a file: a new run of it has the same figures.
    let yaml = compare(&dir, &["--export-config", "first"]).ok().stdout;
    assert_contains(&yaml, &[run_id, "train_tabular_mlp -- --from-run", "dropout: 0.33"]);
    compare(&dir, &["--export-config", run_id, "--output", "again/first.yaml"]).ok();
    assert_eq!(fs::read_to_string(dir.path("again/first.yaml")).unwrap(), yaml);
    let again = dir.run(&["--config", "again/first.yaml", "--json", "--quiet"]).ok().json();
    assert_eq!(again["metrics"], first["metrics"]);

    // By the run itself, also on a machine that has only the store.
    fs::remove_dir_all(dir.path("models")).unwrap();
    let found = dir.run(&["--from-run", run_id]).ok();
    assert_contains(&found.stdout, &[&format!("identical to run {run_id}: "), "to the last bit"]);
    let runs = dir.runs();
    assert_eq!((&runs[0].tags["reproduces"], runs[0].tags["reproduced"].as_str()), (&run_id.to_owned(), "identical"));

    // With another setting it is said what differs.
    let found = dir.run(&["--from-run", run_id, "--set", "model.dropout=0.2", "--json", "--quiet"]).ok().json();
    assert_eq!(found["reproduces"]["identical"], false);
    assert!(found["reproduces"]["differing"].as_array().unwrap().len() > 10, "{found}");
    // Another split is another task.
    let refused = dir.run(&["--from-run", run_id, "--seed", "8"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert_contains(&refused.stderr, &["cannot reproduce run", "the data, or its split, is not what it was"]);
    let other = dir.command_of(env!("CARGO_BIN_EXE_train_ts_mlp"), &["--from-run", run_id]).output().unwrap();
    assert_contains(&Finished::from(other).stderr, &["is one of `train_tabular_mlp`", "--from-run"]);
    let refused = dir.run(&["--from-run", "frst"]);
    assert_eq!(refused.code, 2);
    assert_contains(&refused.stderr, &["run `frst` not found", "did you mean `first`?"]);
}

/// Two models, the second one plainly worse, and a file of gates.
fn two_models() -> (Workdir, String, String) {
    let dir = Workdir::new();
    let good = train(&dir, &["--run-name", "good", "--epochs", "20"]);
    let bad = train(&dir, &["--run-name", "bad", "--set", "model.hidden_dims=[2]"]);
    let (good, bad) = (id(&good).to_owned(), id(&bad).to_owned());
    (dir, good, bad)
}

/// Version that the alias points to, by name.
fn champion(dir: &Workdir) -> Option<u32> {
    dir.store().registry().model("wine").ok()?.aliases.get("champion").copied()
}

#[test]
fn the_best_is_registered_and_promoted_behind_gates() {
    let (dir, good, bad) = two_models();
    dir.write("gates.yaml", "gates:\n- test_auc >= 0.8\n");
    let best = ["--metric", "test_auc", "--register", "wine", "--alias", "champion", "--gate", "gates.yaml"];

    // A dry run changes nothing, and leaves no run.
    let before = dir.all_runs();
    let dry = compare(&dir, &[&best[..], &["--dry-run", "--quiet"]].concat()).ok();
    assert_contains(
        &dry.stdout,
        &["pass  test_auc >= 0.8", "would be registered as wine", "dry run: nothing was changed"],
    );
    assert!(dir.store().registry().models().unwrap().is_empty());
    assert_eq!(dir.all_runs(), before);

    let found = compare(&dir, &[&best[..], &["--tag", "team=red", "--json", "--quiet"]].concat()).ok().json();
    assert_eq!((&found["accepted"], &found["version"]), (&Value::Bool(true), &1.into()));
    let store = dir.store();
    let version = store.registry().version("wine", 1).unwrap();
    assert_eq!((version.run_id.as_deref(), version.tags["team"].as_str()), (Some(good.as_str()), "red"));
    assert_contains(
        &version.description,
        &["test_auc 0.9", &good, "registered on 20", "given the alias champion on 20"],
    );
    assert_eq!(champion(&dir), Some(1));
    // The decision is a run with its evidence.
    let decision = dir.runs().into_iter().find(|run| run.info.run_id == id(&found)).unwrap();
    let tags = ["kind", "decision", "registered_model", "version"].map(|key| decision.tags[key].as_str());
    assert_eq!(tags, ["promotion", "accepted", "wine", "1"]);
    assert_eq!(version.tags["decision_run_id"], decision.info.run_id);
    assert!(decision.metrics["test_auc"].value > 0.8 && decision.metrics.contains_key("test_auc_low"));
    let outputs = dir.path(found["outputs"].as_str().unwrap());
    assert!(outputs.join("report.html").is_file() && outputs.join("decision.json").is_file());

    // A worse one is refused by a gate, and by the champion: nothing changes, the exit code is 1.
    let worse = ["--metric", "test_auc", "--register", "wine", "--run", "bad", "--alias", "champion"];
    let refused = compare(&dir, &[&worse[..], &["--gate", "gates.yaml"]].concat());
    assert_eq!(refused.code, 1);
    assert_contains(&refused.stdout, &["FAIL  test_auc >= 0.8", "nothing was changed"]);
    assert_contains(&refused.stderr, &["`wine` stays as it is: test_auc 0."]);
    let than = ["--require-better-than", "@champion", "--min-delta", "0.001", "--confidence", "0.95"];
    let refused = compare(&dir, &[&worse[..], &than[..]].concat());
    assert_eq!(refused.code, 1);
    assert_contains(
        &refused.stdout,
        &["test_auc better than @champion by more than 0.001 with 95 % confidence", "worse than @champion's"],
    );
    assert_eq!((champion(&dir), store.registry().versions("wine").unwrap().len()), (Some(1), 1));
    assert_eq!(dir.runs().iter().filter(|run| run.tags.get("decision").is_some_and(|d| d == "refused")).count(), 2);

    // An alias that nobody has is a mistake, unless it is the one that is given.
    let refused = compare(&dir, &[&worse[..], &["--require-better-than", "@champoin"]].concat());
    assert_eq!(refused.code, 1);
    assert_contains(&refused.stdout, &["FAIL", "champoin", "champion"]);

    // A first champion has nobody to beat.
    let first = ["--metric", "test_auc", "--register", "other", "--run", &bad, "--alias", "champion"];
    let first = compare(&dir, &[&first[..], &than[..]].concat()).ok();
    assert_contains(&first.stdout, &["`other` has no @champion yet: there is nothing to beat"]);

    // The table shows the champion, and what others are away from it.
    let found = json(
        &dir,
        &["--metric", "test_auc", "--config", "configs/compare_runs.yaml", "--set", "registered_model=wine"],
    );
    assert_eq!(found["champion"]["run_id"], good);
    assert!(found["runs"][1]["delta_to_champion"].as_f64().unwrap() < -0.01);
}

#[test]
fn stages_move_and_a_promotion_is_rolled_back() {
    let (dir, good, bad) = two_models();
    let register = |run: &str, more: &[&str]| {
        compare(&dir, &[&["--metric", "test_auc", "--register", "wine", "--run", run, "-q"], more].concat())
    };
    register(&bad, &["--alias", "champion", "--promote", "production"]).ok();
    register(&good, &["--alias", "champion", "--promote", "Production", "--archive-existing"]).ok();
    let store = dir.store();
    let stages =
        || -> Vec<Stage> { store.registry().versions("wine").unwrap().iter().map(|version| version.stage).collect() };
    assert_eq!((stages(), champion(&dir)), (vec![Stage::Archived, Stage::Production], Some(2)));
    // The same again: no new version.
    register(&good, &["--alias", "champion"]).ok();
    assert_eq!((stages().len(), champion(&dir)), (2, Some(2)));

    let dry = compare(&dir, &["--rollback", "wine", "--dry-run", "-q"]).ok();
    assert_contains(&dry.stdout, &["@champion: back from version 2 to version 1", "dry run"]);
    assert_eq!(champion(&dir), Some(2));
    let back = compare(&dir, &["--rollback", "wine", "-q"]).ok();
    assert_contains(&back.stdout, &["@champion: back from version 2 to version 1"]);
    assert_eq!((stages(), champion(&dir)), (vec![Stage::Archived, Stage::Production], Some(1)));
    compare(&dir, &["--rollback", "wine", "--promote", "Production", "-q"]).ok();
    assert_eq!(stages(), [Stage::Production, Stage::Archived]);

    let none = compare(&dir, &["--rollback", "wine", "-q"]);
    assert_eq!(none.code, 2);
    assert_contains(&none.stderr, &["before version 1 of `wine` nothing was champion", "--register wine --run RUN"]);
    let unknown = compare(&dir, &["--rollback", "wein", "-q"]);
    assert_ne!(unknown.code, 0);
    assert_contains(&unknown.stderr, &["wein"]);
}

/// Several processes promote at once, each only if it is better than the champion: in the end the best one is, and nobody was
/// replaced by a worse one.
#[test]
fn promotions_at_once_leave_one_champion_the_best() {
    let dir = Workdir::new();
    let epochs = ["1", "3", "8", "20"];
    let runs: Vec<Value> =
        epochs.iter().map(|n| train(&dir, &["--epochs", n, "--set", "training.early_stopping.patience=50"])).collect();
    let auc = |run: &Value| run["metrics"]["test_auc"].as_f64().unwrap();
    let best = runs.iter().max_by(|a, b| auc(a).total_cmp(&auc(b))).unwrap();
    let promote = |run: &Value| {
        let args = ["--metric", "test_auc", "--register", "wine", "--run", id(run), "--alias", "champion", "-q"];
        let args = [&args[..], &["--require-better-than", "@champion", "--set", "statistics.samples=100"]].concat();
        let mut command: Command = dir.command_of(env!("CARGO_BIN_EXE_compare_runs"), &args);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = runs.iter().map(promote).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    }
    let store = dir.store();
    let current = champion(&dir).unwrap();
    let version = |number: u32| store.registry().version("wine", number).unwrap();
    assert_eq!(version(current).run_id.as_deref(), Some(id(best)), "the best run is the champion");
    let holders: Vec<u32> = store
        .registry()
        .versions("wine")
        .unwrap()
        .iter()
        .filter(|v| v.aliases.contains(&"champion".to_owned()))
        .map(|v| v.version)
        .collect();
    assert_eq!(holders, [current]);
    // Back along the chain every one was better than the one before.
    let value = |number: u32| -> f64 { version(number).tags["metric.test_auc"].parse().unwrap() };
    let mut chain = vec![current];
    while let Ok(before) = version(chain[chain.len() - 1]).tags["replaces.champion"].parse() {
        assert!(value(before) < value(chain[chain.len() - 1]));
        chain.push(before);
    }
    assert!(chain.len() <= epochs.len());
}

#[test]
fn a_search_shows_what_its_winner_is_worth() {
    let dir = Workdir::new();
    let args = ["--n-trials", "3", "--set", "set=[training.epochs=2, training.warmup_epochs=0]", "--json", "--quiet"];
    let tuned = Finished::from(dir.command_of(env!("CARGO_BIN_EXE_tune"), &args).output().unwrap()).ok().json();
    let found = json(&dir, &["--metric", "val_auc"]);
    let study = &found["studies"][0];
    assert_eq!(study["run_id"], tuned["run_id"]);
    let parent = dir.all_runs().into_iter().find(|run| run.info.run_id == id(&tuned)).unwrap();
    assert_eq!(study["n_trials"].as_f64().unwrap(), parent.metrics["n_trials_complete"].value);
    let refit =
        dir.all_runs().into_iter().find(|run| run.tags.get("kind").is_some_and(|kind| kind == "refit")).unwrap();
    assert_eq!(study["refit_test"].as_f64().unwrap(), refit.metrics["test_auc"].value);
    assert_contains(
        study["text"].as_str().unwrap(),
        &["was chosen by val_auc", "trained anew with another seed", "on the test rows"],
    );
    // Trials are ranked where they are asked for.
    let trials = json(&dir, &["--metric", "val_auc", "--kind", "trial"]);
    assert_eq!(names(&trials).len(), 3);
    assert_eq!(trials["runs"][0]["best"]["val_auc"]["value"], study["winner"]);
}

#[test]
fn the_page_has_everything_and_needs_nothing() {
    let dir = Workdir::new();
    train(&dir, &["--run-name", "first </script><b>run", "--epochs", "5"]);
    train(&dir, &["--run-name", "second", "--set", "model.dropout=0.4"]);
    let found =
        compare(&dir, &["--metric", "test_auc", "--metric", "val_loss", "--html", "pages/runs.html", "--quiet"]).ok();
    assert!(found.stdout.contains("Best run:"), "the table is printed too");
    let page = fs::read_to_string(dir.path("pages/runs.html")).unwrap();
    assert!(!page.contains("first </script><b>run"), "names are escaped");
    assert_contains(&page, &["second", "model.dropout", "val_loss", "on the same 320 rows: 95 % intervals"]);
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"));
    let Ok(chromium) = std::env::var("CHROMIUM") else {
        eprintln!("SKIPPED: CHROMIUM is not set");
        return;
    };
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", dir.path("profile").display()))
        .arg(format!("file://{}", dir.path("pages/runs.html").display()))
        .output()
        .unwrap();
    let dom = String::from_utf8(output.stdout).unwrap();
    assert_contains(&dom, &["first &lt;/script&gt;&lt;b&gt;run"]);
}

#[test]
fn works_with_the_newest_server() {
    works_with_a_server("MLFLOW_PYTHON");
}

#[test]
fn works_with_a_server_of_3_1() {
    works_with_a_server("MLFLOW_PYTHON_31");
}

#[test]
fn works_with_a_2x_server() {
    works_with_a_server("MLFLOW2_PYTHON");
}

/// From another folder than that of the training: everything comes from the server.
fn works_with_a_server(variable: &str) {
    let trained = Workdir::new();
    let destination = trained.path("server_artifacts").display().to_string();
    let options = ["--artifacts-destination", &destination];
    let Some(server) = Server::start(variable, trained.folder.path(), &options) else { return };
    let on_server =
        |mut command: Command| Finished::from(command.env("MLFLOW_TRACKING_URI", &server.uri).output().unwrap());
    let train = |args: &[&str]| {
        let quick = ["--json", "--quiet", "--set", "baselines=[]", "--set", "training.warmup_epochs=0"];
        on_server(trained.command(&[&quick, args].concat())).ok().json()
    };
    let good = train(&["--run-name", "good", "--epochs", "20"]);
    let bad = train(&["--run-name", "bad", "--epochs", "3", "--set", "model.hidden_dims=[2]"]);

    let dir = Workdir::new();
    let run = |args: &[&str]| on_server(dir.command_of(env!("CARGO_BIN_EXE_compare_runs"), args));
    for metric in ["test_auc", "val_auc"] {
        let found = run(&["--metric", metric, "--json", "--quiet"]).ok().json();
        assert_eq!(names(&found), ["good", "bad"]);
        assert_eq!(found["verdicts"][0]["is_better"], true, "{metric}: {found}");
    }
    let history = trained.path(good["outputs"].as_str().unwrap()).join("training_history.csv");
    let history = fs::read_to_string(history).unwrap();
    let column = history.lines().next().unwrap().split(',').position(|name| name == "val_auc").unwrap();
    let values = history.lines().skip(1).map(|line| line.split(',').nth(column).unwrap().parse::<f64>().unwrap());
    let found = run(&["--metric", "val_auc", "--json", "--quiet"]).ok().json();
    assert_eq!(found["runs"][0]["best"]["val_auc"]["value"].as_f64().unwrap(), values.fold(0.0, f64::max));

    let promote = |name: &str, more: &[&str]| {
        let args = [
            "--metric",
            "test_auc",
            "--register",
            "wine",
            "--run",
            name,
            "--alias",
            "champion",
            "--promote",
            "Production",
        ];
        run(&[&args[..], &["--archive-existing", "--quiet"], more].concat())
    };
    promote("bad", &[]).ok();
    promote("good", &["--require-better-than", "@champion", "--confidence", "0.95"]).ok();
    let refused = promote("bad", &["--require-better-than", "@champion"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    let store = RestStore::new(&server.uri, &HttpOptions::default()).unwrap();
    let versions = store.registry().versions("wine").unwrap();
    let seen: Vec<_> = versions.iter().map(|v| (v.run_id.clone().unwrap(), v.stage, v.aliases.clone())).collect();
    let champion = vec!["champion".to_owned()];
    let expected = [(id(&bad), Stage::Archived, vec![]), (id(&good), Stage::Production, champion)];
    assert_eq!(seen, expected.map(|(run, stage, aliases)| (run.to_owned(), stage, aliases)));
    assert_contains(&versions[1].description, &["test_auc 0.9", "given the alias champion on"]);

    run(&["--rollback", "wine", "--quiet"]).ok();
    assert_eq!(store.registry().version_by_alias("wine", "champion").unwrap().version, 1);
    let again = on_server(dir.command(&["--from-run", id(&bad), "--quiet"])).ok();
    assert_contains(&again.stdout, &[&format!("identical to run {}", id(&bad))]);
}
