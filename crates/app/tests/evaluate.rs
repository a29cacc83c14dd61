//! `evaluate` as a user runs it: the newest model, a file, a registered model, predictions; gates; pages; record.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::{Finished, Workdir};
use tracking::{NewRegisteredModel, NewVersion, RunData, RunStatus, Store};

/// Few draws and shuffles: what is tested does not depend on them.
const QUICK: [&str; 4] = ["--set", "intervals.samples=50", "--set", "importance.repeats=1"];

fn evaluate(dir: &Workdir, args: &[&str]) -> Finished {
    let args = [&QUICK[..], args].concat();
    Finished::from(dir.command_of(env!("CARGO_BIN_EXE_evaluate"), &args).output().unwrap())
}

fn train(dir: &Workdir, args: &[&str]) -> Value {
    dir.run(&[&["--epochs", "3", "--json", "--set", "baselines=[]"], args].concat()).ok().json()
}

fn train_series(dir: &Workdir, args: &[&str]) -> Value {
    let short =
        ["--epochs", "1", "--set", "training.warmup_epochs=0", "--hidden-dims", "8", "--set", "windows.stride=8"];
    let args = [&short[..], &["--json"], args].concat();
    Finished::from(dir.command_of(env!("CARGO_BIN_EXE_train_ts_mlp"), &args).output().unwrap()).ok().json()
}

fn outputs(dir: &Workdir, found: &Value) -> PathBuf {
    dir.path(found["outputs"].as_str().unwrap())
}

fn run_of(dir: &Workdir, found: &Value) -> RunData {
    dir.store().run(found["run_id"].as_str().unwrap()).unwrap()
}

/// Every metric that training has said of the test rows is said again, to the last bit.
fn assert_same_test_metrics(trained: &Value, found: &Value) {
    let of_training = trained["metrics"].as_object().unwrap();
    let mut n = 0;
    for (name, value) in of_training.iter().filter(|(name, _)| name.starts_with("test_") && *name != "test_loss") {
        assert_eq!(&found["metrics"][name], value, "{name}");
        n += 1;
    }
    assert!(n >= 7, "{n} metrics");
}

#[test]
fn the_newest_model_is_judged_on_its_own_test_rows_and_linked_both_ways() {
    let dir = Workdir::new();
    let trained = train(&dir, &[]);
    let found = evaluate(&dir, &["--json"]).ok().json();
    assert_same_test_metrics(&trained, &found);
    for figure in found["figures"].as_array().unwrap() {
        let [value, low, high] =
            [&figure["value"], &figure["interval"]["low"], &figure["interval"]["high"]].map(|x| x.as_f64().unwrap());
        assert!(low <= high && low <= value + 0.1 && value <= high + 0.1, "{figure}");
    }

    let (run, source_id) = (run_of(&dir, &found), trained["run_id"].as_str().unwrap());
    assert_eq!(run.info.status, RunStatus::Finished);
    assert_eq!((run.tags["source_run_id"].as_str(), run.tags["kind"].as_str()), (source_id, "evaluate"));
    let source = dir.store().run(source_id).unwrap();
    assert_eq!(source.tags["evaluation_run_id"], run.info.run_id);
    let model_id = &source.outputs[0].model_id;
    assert_eq!(&run.tags["model_id"], model_id);
    let model = dir.store().logged_models().unwrap().get(model_id).unwrap();
    let of_evaluation = model.metrics.iter().filter(|point| point.run_id == run.info.run_id).count();
    assert!(of_evaluation >= 30, "{of_evaluation} points on the model's page");
    assert_eq!(run.inputs[0].dataset.name, "wine_quality");

    let folder = outputs(&dir, &found);
    for file in
        ["evaluation.json", "report.html", "report.md", "model_card.md", "slices.csv", "predictions/predictions.csv"]
    {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    for title in ["Metrics", "Operating point", "Calibration", "Slices", "What the model relies on", "Model card"] {
        assert!(page.contains(&format!(">{title}</h2>")), "{title}");
    }
    assert_eq!(page.matches("<svg").count(), 11, "pictures");
    assert!(!page.contains("src=\"http") && !page.contains("<link"), "needs the network");
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let dir = Workdir::new();
    train(&dir, &[]);
    let judged = |threads: &str| {
        let found = evaluate(&dir, &["--json", "--threads", threads]).ok().json();
        let mut text: Value =
            serde_json::from_str(&fs::read_to_string(outputs(&dir, &found).join("evaluation.json")).unwrap()).unwrap();
        assert!(text["latency_ms"].is_object());
        text["latency_ms"] = Value::Null;
        text
    };
    assert_eq!(judged("1"), judged("2"));
}

/// Wines of the built-in set as a file: the rows that `evaluate` has written itself.
fn wine_file(dir: &Workdir) -> (PathBuf, String) {
    let found = evaluate(dir, &["--json"]).ok().json();
    let text = fs::read_to_string(outputs(dir, &found).join("predictions/predictions.csv")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let columns: Vec<usize> = (0..rows[0].len()).filter(|&column| !rows[0][column].starts_with("y_")).collect();
    // In another order.
    let kept = |row: &Vec<&str>| columns.iter().rev().map(|&column| row[column]).collect::<Vec<_>>().join(",");
    let text = rows.iter().map(kept).collect::<Vec<_>>().join("\n") + "\n";
    (dir.write("wines.csv", &text), text)
}

#[test]
fn a_file_with_the_same_rows_gives_the_same_figures_and_bad_files_are_told() {
    let dir = Workdir::new();
    let trained = train(&dir, &[]);
    let (file, text) = wine_file(&dir);
    let found = evaluate(&dir, &["--json", "--data", file.to_str().unwrap()]).ok().json();
    assert_same_test_metrics(&trained, &found);

    let without = |column: &str| {
        let index = text.lines().next().unwrap().split(',').position(|name| name == column).unwrap();
        let cut = |line: &str| {
            let cells = line.split(',').enumerate().filter(|(place, _)| *place != index);
            cells.map(|(_, cell)| cell).collect::<Vec<_>>().join(",")
        };
        text.lines().map(cut).collect::<Vec<_>>().join("\n")
    };
    for (name, text, message) in [
        ("no_target.csv", without("quality"), "quality"),
        ("no_column.csv", without("alcohol"), "alcohol"),
        ("no_number.csv", text.replacen("\n3,", "\nmany,", 1).replacen("\n5,", "\nmany,", 1), "many"),
    ] {
        let file = dir.write(name, text);
        let failed = evaluate(&dir, &["--data", file.to_str().unwrap()]);
        assert_ne!(failed.code, 0, "{name}");
        assert!(failed.stderr.contains(message) && failed.stderr.contains(name), "{name}: {}", failed.stderr);
    }
    let failed = evaluate(&dir, &["--data", "nowhere.csv"]);
    assert!(failed.stderr.contains("nowhere.csv") && failed.code != 0, "{}", failed.stderr);
}

#[test]
fn three_classes_and_numbers_are_judged_too() {
    let dir = Workdir::new();
    let trained = train(&dir, &["--config", "configs/train_tabular_wine3.yaml"]);
    let found = evaluate(&dir, &["--json"]).ok().json();
    assert_same_test_metrics(&trained, &found);
    assert_eq!(found["table"]["calibration"].as_array().unwrap().len(), 3);
    assert!(found["table"]["threshold"].is_null());
    let n_classes = 3;
    assert_eq!(found["table"]["dependence"].as_array().unwrap().len(), 6 * n_classes);

    let number = [
        "--set",
        "data.target_bins=null",
        "--problem-type",
        "regression",
        "--set",
        "training.early_stopping.monitor=val_rmse",
    ];
    let trained = train(&dir, &number);
    let found = evaluate(&dir, &["--json"]).ok().json();
    assert_same_test_metrics(&trained, &found);
    assert_eq!((found["metric"].as_str(), found["lower_is_better"].as_bool()), (Some("rmse"), Some(true)));
    assert!(found["table"]["calibration"].as_array().unwrap().is_empty());
}

#[test]
fn forecasts_are_judged_by_step_hour_and_weekday() {
    let dir = Workdir::new();
    let trained = train_series(&dir, &[]);
    let gates = "gates=[\"test_mae <= 100000\", \"slice hour=08:00 test_mae <= 1\", \"slice weekday=Sunday test_rmse <= 100000\"]";
    let finished = evaluate(&dir, &["--json", "--set", gates]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    let found = finished.json();
    assert_same_test_metrics(&trained, &found);
    let breakdown = &found["forecast"];
    let lengths = ["by_step", "by_hour", "by_weekday", "by_series"].map(|key| breakdown[key].as_array().unwrap().len());
    assert_eq!(lengths, [24, 24, 7, 1]);
    let of_steps = breakdown["by_step"].as_array().unwrap();
    let mean = of_steps.iter().map(|slot| slot["mae"].as_f64().unwrap()).sum::<f64>() / 24.0;
    assert!((mean / found["metrics"]["test_mae"].as_f64().unwrap() - 1.0).abs() < 1e-9);
    let passed: Vec<bool> =
        found["gates"].as_array().unwrap().iter().map(|gate| gate["passed"].as_bool().unwrap()).collect();
    assert_eq!(passed, [true, false, true]);
    assert!(outputs(&dir, &found).join("plots/error_by_slot.png").is_file());
}

#[test]
fn gates_decide_the_exit_code_and_say_what_was_measured() {
    let dir = Workdir::new();
    train(&dir, &[]);
    let (good, bad) =
        ("gates=[\"test_auc >= 0.5\", \"latency_ms_p99 <= 1000\", \"val_auc > 0\"]", "gates=[\"test_auc >= 0.999\"]");
    let passed = evaluate(&dir, &["--set", good]).ok();
    assert!(passed.stdout.contains("3 of 3 gates passed"), "{}", passed.stdout);
    let failed = evaluate(&dir, &["--json", "--set", bad]);
    assert_eq!(failed.code, 1);
    assert!(failed.stderr.contains("1 of 1 gates did not hold"), "{}", failed.stderr);
    let run = run_of(&dir, &failed.json());
    assert_eq!((run.info.status, run.tags["gates"].as_str()), (RunStatus::Finished, "failed"));
    assert_eq!(run.metrics["gates_failed"].value, 1.0);

    for (gate, hint) in [
        ("tst_auc >= 0.5", "`test_auc`"),
        ("slice alcool=9 test_auc >= 0.5", "`alcohol`"),
        ("slice alcohol=9 test_auk >= 0.5", "`auc`"),
    ] {
        let failed = evaluate(&dir, &["--set", &format!("gates=[\"{gate}\"]")]);
        assert_eq!(failed.code, 1);
        assert!(failed.stdout.contains(hint), "{gate}: {}", failed.stdout);
    }
    let unread = evaluate(&dir, &["--set", "gates=[\"test_auc at least 0.5\"]"]);
    assert_eq!(unread.code, 2);
    assert!(unread.stderr.contains("test_auc at least 0.5"), "{}", unread.stderr);
}

#[test]
fn a_model_is_compared_with_the_champion_on_the_same_rows() {
    let dir = Workdir::new();
    let [weak, strong] = [["--set", "training.learning_rate=1e-6"], ["--set", "training.learning_rate=1e-2"]]
        .map(|args| train(&dir, &args));
    let store = dir.store();
    store.registry().create_model(&NewRegisteredModel { name: "wine".to_owned(), ..Default::default() }).unwrap();
    for trained in [&weak, &strong] {
        let source = format!("runs:/{}/model", trained["run_id"].as_str().unwrap());
        let run_id = Some(trained["run_id"].as_str().unwrap().to_owned());
        store
            .registry()
            .create_version(&NewVersion { name: "wine".to_owned(), source, run_id, ..Default::default() })
            .unwrap();
    }
    store.registry().set_alias("wine", "champion", 2).unwrap();
    drop(store);
    let gate = "gates=[\"not worse than @champion by more than 0.002 with 95 % confidence\"]";
    let judged = |model: &str| evaluate(&dir, &["--json", "--model", model, "--set", gate]);
    let (first, second) = (judged("models:/wine/1"), judged("models:/wine@champion"));
    assert_eq!((first.code, second.code), (1, 0), "{}\n{}", first.stdout, second.stdout);
    assert_eq!(second.json()["gates"][0]["value"], 0.0, "a model is as good as itself");
    assert_eq!(second.json()["subject"]["registered"], serde_json::json!(["wine", 2]));
    assert_same_test_metrics(&strong, &second.json());
    // Without a name in the registry nobody knows whose champion.
    let unnamed = evaluate(&dir, &["--set", gate]);
    assert!(unnamed.code == 1 && unnamed.stdout.contains("registered_model"), "{}", unnamed.stdout);
    let unknown = evaluate(&dir, &["--model", "models:/wime@champion"]);
    assert!(unknown.code != 0 && unknown.stderr.contains("wine"), "{}", unknown.stderr);
}

/// y_test, y_pred, y_proba: the contract of the Python program before.
#[test]
fn a_file_of_predictions_needs_no_model() {
    let dir = Workdir::new();
    let mut binary = "y_test,y_pred,y_proba,shop\n".to_owned();
    for row in 0..200 {
        let (actual, score) = (row % 2, f64::from(row * 37 % 100) / 100.0 * 0.6 + f64::from(row % 2) * 0.4);
        // Cut at 0.4, not at one half.
        writeln!(binary, "{actual},{},{score},{}", u8::from(score >= 0.4), ["north", "south"][row as usize % 4 / 2])
            .unwrap();
    }
    let file = dir.write("scores.csv", &binary);
    let found = evaluate(&dir, &["--json", "--predictions", file.to_str().unwrap()]).ok().json();
    let right = binary.lines().skip(1).filter(|line| line.split(',').next() == line.split(',').nth(1)).count();
    assert_eq!(found["metrics"]["test_accuracy"], right as f64 / 200.0, "by `y_pred`");
    assert!(found["metrics"]["test_auc"].as_f64().unwrap() > 0.9);
    let slices: Vec<&str> =
        found["table"]["slices"].as_array().unwrap().iter().map(|slice| slice["level"].as_str().unwrap()).collect();
    assert_eq!(slices.len(), 2);
    assert!(slices.contains(&"north") && slices.contains(&"south"));

    let classes = dir.write("classes.csv", "y_test,y_pred\ncat,cat\ncat,dog\ndog,dog\nbird,bird\n");
    let found = evaluate(&dir, &["--json", "--predictions", classes.to_str().unwrap()]).ok().json();
    assert_eq!(found["metrics"]["test_accuracy"], 0.75);
    assert!(found["metrics"]["test_auc"].is_null(), "there are no probabilities");
    let numbers = dir.write("numbers.csv", "y_test,y_pred\n1.5,1.0\n2.5,3.0\n-4.25,-4.25\n");
    let found = evaluate(&dir, &["--json", "--predictions", numbers.to_str().unwrap()]).ok().json();
    assert!((found["metrics"]["test_mae"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-6);

    for (name, text, message) in [
        ("a.csv", "y_tst,y_pred\n1,1\n", "y_test"),
        ("b.csv", "y_test,y_pred,y_proba\n1,1,1.5\n0,0,0.5\n", "1.5"),
        ("c.csv", "y_test,y_pred,y_proba\na,a,0.5\nb,b,0.5\nc,c,0.1\n", "y_proba_<class>"),
        ("d.csv", "y_test,y_pred\n1.5,\n", "empty"),
        ("e.csv", "y_test,y_pred,y_proba_a,y_proba_b\na,a,0.5,0.5\nz,b,0.5,0.5\n", "`z`"),
    ] {
        let file = dir.write(name, text);
        let failed = evaluate(&dir, &["--predictions", file.to_str().unwrap()]);
        assert_ne!(failed.code, 0, "{name}");
        assert!(failed.stderr.contains(message), "{name}: {}", failed.stderr);
    }
}

#[test]
fn wrong_use_is_told_before_anything_is_written() {
    let dir = Workdir::new();
    let nothing = evaluate(&dir, &[]);
    assert!(nothing.code == 2 && nothing.stderr.contains("train_tabular_mlp"), "{}", nothing.stderr);
    for (args, message) in [
        (&["--set", "intervals.samples=3"][..], "intervals.samples"),
        (&["--set", "intervals.level=95"], "like 0.95"),
        (&["--set", "operating_point=f2"], "f1"),
        (&["--set", "operating_point={recall: 2}"], "recall"),
        (&["--set", "slices.bin=3"], "slices.bins"),
        (&["--predictions", "a.csv", "--model", "b"], "predictions"),
        (&["--model", "nowhere"], "nowhere"),
    ] {
        let failed = evaluate(&dir, args);
        assert_eq!(failed.code, 2, "{args:?}: {}", failed.stderr);
        assert!(failed.stderr.contains(message), "{args:?}: {}", failed.stderr);
    }
    assert!(!dir.path("models").exists());
    train(&dir, &[]);
    for (args, message) in [(["--metric", "acuracy"], "accuracy"), (["--set", "slices.columns=[alcool]"], "alcohol")] {
        let failed = evaluate(&dir, &args);
        assert!(failed.code == 2 && failed.stderr.contains(message), "{args:?}: {}", failed.stderr);
    }
}
