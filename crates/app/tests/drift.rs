//! `drift` as a user runs it: the newest model on its own rows, files that differ, limits, the record, the pages, mistakes.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::{Finished, Workdir};
use tracking::{RunStatus, Store};

fn drift(dir: &Workdir, args: &[&str]) -> Finished {
    Finished::from(dir.command_of(env!("CARGO_BIN_EXE_drift"), args).output().unwrap())
}

fn train(dir: &Workdir, args: &[&str]) -> Value {
    dir.run(&[&["--epochs", "3", "--json", "--set", "baselines=[]"], args].concat()).ok().json()
}

/// Rows of a small shop. `moved`: amounts are higher by 3, some ages are missing, and there is another color.
fn rows(n: u32, moved: bool) -> String {
    let mut text = "amount,steady,age,color,bought\n".to_owned();
    for i in 0..n {
        let amount = f64::from(i * 37 % 101) / 10.0 + if moved { 3.0 } else { 0.0 };
        let steady = f64::from(i * 53 % 89) / 4.0;
        let age = if moved && i % 7 == 0 { String::new() } else { (20 + i * 29 % 47).to_string() };
        let colors = ["red", "green", "blue"];
        let color = if moved && i % 5 == 0 { "violet" } else { colors[(i * 11 % 13 % 3) as usize] };
        let score = f64::from(i * 37 % 101) / 10.0 + f64::from(i * 53 % 89) / 8.0;
        let bought = if score > 10.0 { "yes" } else { "no" };
        writeln!(text, "{amount:.1},{steady:.2},{age},{color},{bought}").unwrap();
    }
    text
}

/// A folder with a model of the shop, `reference.csv` and `current.csv`.
fn shop() -> (Workdir, Value) {
    let dir = Workdir::new();
    dir.write("reference.csv", rows(600, false));
    dir.write("current.csv", rows(500, true));
    let trained = train(&dir, &["--csv-path", "reference.csv", "--target-column", "bought"]);
    (dir, trained)
}

fn outputs(dir: &Workdir, found: &Value) -> PathBuf {
    dir.path(found["outputs"].as_str().unwrap())
}

fn verdict<'a>(found: &'a Value, column: &str) -> &'a str {
    let columns = found["columns"].as_array().unwrap();
    columns.iter().find(|known| known["name"] == column).unwrap()["verdict"].as_str().unwrap()
}

#[test]
fn the_newest_model_does_not_differ_from_its_own_test_rows() {
    let dir = Workdir::new();
    train(&dir, &[]);
    let found = drift(&dir, &["--json"]).ok().json();
    assert_eq!((found["summary"]["is_drift"].as_bool(), found["alarms"].as_array().unwrap().len()), (Some(false), 0));
    assert_eq!((found["summary"]["n_features"].as_u64(), found["current"]["n_rows"].as_u64()), (Some(11), Some(320)));
    assert_eq!(found["columns"].as_array().unwrap().len(), 14, "11 inputs, two predictions, the target");
    let text = drift(&dir, &[]).ok().stdout;
    assert!(text.contains("no drift") && text.contains("0 of 11 inputs drifted"), "{text}");
}

/// Against scipy 1.17.1 and pandas on the same two files: `ks_2samp(method="exact")`, `wasserstein_distance`, means, standard
/// deviations, shares; `jensenshannon(base=2)` over levels; PSI with half a row added to each level.
#[test]
fn figures_of_two_files_are_those_of_scipy() {
    let (dir, _) = shop();
    let finished = drift(&dir, &["--reference", "reference.csv", "--data", "current.csv", "--json"]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    let found = finished.json();
    let expected = [
        ("ks.amount", 0.299),
        ("ks_p_value.amount", 5.276_677_590_949_361e-22),
        ("wasserstein.amount", 3.005_066_666_666_666_6),
        ("mean_difference.amount", 3.005_066_666_666_666),
        ("std_ratio.amount", 1.000_255_247_246_860_7),
        ("unseen_share.amount", 0.298),
        ("missing_share.amount", 0.0),
        ("ks.steady", 0.003),
        ("ks_p_value.steady", 1.0),
        ("wasserstein.steady", 0.025_75),
        ("mean_difference.steady", -0.021_083_333_333_333_343),
        ("std_ratio.steady", 1.000_636_607_517_844),
        ("ks.age", 0.002_647_975_077_881_62),
        ("wasserstein.age", 0.042_320_872_274_143_44),
        ("missing_share.age", 0.144),
        ("missing_share_change.age", 0.144),
        ("unseen_share.color", 0.2),
        ("jensen_shannon.color", 0.328_721_141_811_611_16),
        ("psi.color", 1.138_047_517_286_418_6),
        ("n_drifted_features", 3.0),
        ("share_drifted", 0.75),
        ("is_drift", 1.0),
    ];
    for (name, value) in expected {
        let ours = found["metrics"][name].as_f64().unwrap_or_else(|| panic!("no {name}"));
        assert!((ours - value).abs() <= 1e-9 * value.abs().max(1e-12), "{name}: {ours} is not {value}");
    }
    let verdicts = ["amount", "color", "age", "steady"].map(|column| verdict(&found, column));
    assert_eq!(verdicts, ["drift", "drift", "drift", "stable"]);
    assert_eq!(verdict(&found, "bought"), "stable", "the same rule makes the target of both files");
}

#[test]
fn what_was_found_is_on_the_run_on_the_model_and_on_pages() {
    let (dir, trained) = shop();
    let finished = drift(&dir, &["--data", "current.csv", "--json"]);
    assert_eq!(finished.code, 1);
    assert!(finished.stderr.contains("error: the data have drifted: 3 of 4 inputs"), "{}", finished.stderr);
    let found = finished.json();
    let (store, source_id) = (dir.store(), trained["run_id"].as_str().unwrap());
    let run = store.run(found["run_id"].as_str().unwrap()).unwrap();
    assert_eq!(run.info.status, RunStatus::Finished, "the work is done: what it found is bad");
    let tags = ["kind", "drift", "source_run_id"].map(|key| run.tags[key].as_str());
    assert_eq!(tags, ["drift", "yes", source_id]);
    let source = store.run(source_id).unwrap();
    assert_eq!(source.tags["drift_run_id"], run.info.run_id);
    let model_id = &source.outputs[0].model_id;
    assert_eq!((&run.tags["model_id"], &run.model_inputs), (model_id, &vec![model_id.clone()]));
    let model = store.logged_models().unwrap().get(model_id).unwrap();
    let points: Vec<_> = model.metrics.iter().filter(|point| point.run_id == run.info.run_id).collect();
    assert!(points.iter().any(|point| point.metric.key == "n_drifted_features" && point.metric.value == 3.0));
    assert!(points.iter().all(|point| point.dataset.as_ref().is_some_and(|dataset| dataset.name == "current")));
    assert_eq!((run.metrics["n_drifted_features"].value, run.metrics["is_drift"].value), (3.0, 1.0));
    assert!(run.metrics.contains_key("psi.amount") && run.metrics.contains_key("prediction_psi.y_proba"));
    assert_eq!(
        (run.inputs[0].dataset.name.as_str(), run.inputs[0].tags["mlflow.data.context"].as_str()),
        ("current", "monitoring")
    );

    let folder = outputs(&dir, &found);
    let files = ["drift.json", "report.html", "report.md", "plots/drift_histograms.svg", "plots/drift_outcomes.png"];
    for file in files {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let html = fs::read_to_string(folder.join("report.html")).unwrap();
    for text in ["3 of 4 inputs have drifted", "29.8 % of the rows outside", "<svg", "prefers-color-scheme"] {
        assert!(html.contains(text), "{text}");
    }
    for outside in ["src=\"http", "href=\"http", "@import", "<link"] {
        assert!(!html.contains(outside), "{outside}");
    }
    let kept: Value = serde_json::from_str(&fs::read_to_string(folder.join("drift.json")).unwrap()).unwrap();
    assert_eq!(kept["alarms"], found["alarms"]);
}

#[test]
fn limits_alarms_and_columns_can_be_chosen() {
    let (dir, _) = shop();
    let run = |args: &[&str]| drift(&dir, &[&["--data", "current.csv", "--json"], args].concat());
    // Neither the target nor half of the inputs that count.
    let calm = run(&[
        "--set",
        "alarms=[features, target]",
        "--set",
        "ignore=[color]",
        "--set",
        "columns.age.missing_share=0.5",
    ]);
    let found = calm.ok().json();
    assert_eq!(
        (verdict(&found, "age"), verdict(&found, "amount"), verdict(&found, "color")),
        ("stable", "drift", "drift")
    );
    assert_eq!(
        (found["summary"]["n_features"].as_u64(), found["summary"]["n_drifted_features"].as_u64()),
        (Some(3), Some(1))
    );
    assert_eq!(found["metrics"]["prediction_drift"], 1.0);
    let alarmed = run(&["--set", "alarms=[predictions]"]);
    assert_eq!(alarmed.code, 1);
    assert!(alarmed.stderr.contains("prediction `y_proba`: ") && alarmed.stderr.contains("PSI"), "{}", alarmed.stderr);
    let text = drift(&dir, &["--data", "current.csv", "--set", "alarms=[]"]).ok().stdout;
    assert!(text.contains("have drifted, which is no reason for an alarm"), "{text}");
}

#[test]
fn rows_without_the_target_and_other_models_are_compared() {
    let (dir, trained) = shop();
    let without: String =
        rows(500, true).lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned() + "\n").collect();
    dir.write("new.csv", without);
    let model = format!("runs:/{}/model", trained["run_id"].as_str().unwrap());
    let finished = drift(&dir, &["--model", &model, "--data", "new.csv", "--json"]);
    assert_eq!(finished.code, 1);
    assert!(finished.stderr.contains("no column `bought`: the target is not compared"), "{}", finished.stderr);
    let found = finished.json();
    assert_eq!(
        (found["metrics"]["prediction_drift"].as_f64(), found["metrics"]["target_drift"].as_f64()),
        (Some(1.0), None)
    );
    let run = dir.store().run(found["run_id"].as_str().unwrap()).unwrap();
    assert_eq!((run.inputs[0].dataset.name.as_str(), run.inputs[0].dataset.digest.len()), ("new", 32));
    // Numbers are predicted as well, and several classes.
    train(&dir, &["--csv-path", "reference.csv", "--target-column", "amount"]);
    let found = drift(&dir, &["--data", "current.csv", "--json"]).json();
    assert_eq!((verdict(&found, "amount"), found["metrics"]["prediction_psi.y_pred"].is_f64()), ("drift", true));
    train(&dir, &["--csv-path", "reference.csv", "--target-column", "color"]);
    let found = drift(&dir, &["--reference", "reference.csv", "--data", "reference.csv", "--json"]).ok().json();
    assert_eq!(found["metrics"]["prediction_psi.y_proba_red"], 0.0);
}

#[test]
fn mistakes_are_told_with_the_way_out() {
    let (dir, trained) = shop();
    dir.write("misnamed.csv", rows(50, false).replacen("amount", "amonut", 1));
    dir.write("text.csv", rows(50, false).replacen("3.7,", "many,", 1));
    dir.write("empty.csv", "amount,steady,age,color,bought\n");
    let cases: [(&[&str], i32, &str); 9] = [
        (&["--data", "nope.csv"], 2, "`data`: no file `nope.csv`"),
        (&["--reference", "nope.csv"], 2, "`reference`: no file `nope.csv`"),
        (&["--model", "nobody"], 2, "`nobody`"),
        (&["--set", "thresholds.pis=1"], 2, "did you mean `thresholds.psi`?"),
        (&["--set", "thresholds.psi=-1"], 2, "`thresholds.psi`: must be above 0"),
        (&["--set", "columns.amuont.psi=1"], 2, "did you mean `amount`?"),
        (&["--data", "misnamed.csv"], 1, "did you mean `amonut`"),
        (&["--data", "text.csv"], 1, "`many` is not a number"),
        (&["--data", "empty.csv"], 1, "no rows"),
    ];
    for (args, code, told) in cases {
        let finished = drift(&dir, args);
        assert_eq!(finished.code, code, "{args:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(told), "{args:?}: {}", finished.stderr);
    }
    // A model from before there were profiles.
    fs::remove_file(outputs(&dir, &trained).join("model/profile.json")).unwrap();
    let finished = drift(&dir, &["--data", "current.csv"]);
    assert_eq!(finished.code, 2);
    assert!(finished.stderr.contains("hint: train it again, or name the rows"), "{}", finished.stderr);
}

/// The output folder of the run is gone: its files, and its model, come from the store.
#[test]
fn a_model_that_is_only_in_the_store_is_compared() {
    let (dir, trained) = shop();
    let run_id = trained["run_id"].as_str().unwrap();
    fs::remove_dir_all(dir.path("models")).unwrap();
    let found = drift(&dir, &["--model", run_id, "--json"]).ok().json();
    assert_eq!(found["current"]["n_rows"].as_u64(), Some(120), "the test rows");
    assert!(dir.path("models").exists());
    fs::remove_dir_all(dir.path("models")).unwrap();
    let model_id = dir.store().run(run_id).unwrap().outputs[0].model_id.clone();
    let found =
        drift(&dir, &["--model", &format!("models:/{model_id}"), "--data", "reference.csv", "--json"]).ok().json();
    assert_eq!(
        (found["model"]["model_id"].as_str(), found["model"]["run_id"].as_str()),
        (Some(model_id.as_str()), Some(run_id))
    );
}
