//! Models outside of the workspace: Python's onnxruntime and MLflow give the numbers that the program wrote.
//!
//! `MLFLOW_PYTHON` names a Python with mlflow, onnx and onnxruntime; without it the tests say that they were skipped.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use support::{Finished, Workdir, root};

/// The Python of `MLFLOW_PYTHON`, to be given its arguments.
fn python(dir: &Workdir) -> Option<Command> {
    let Ok(python) = std::env::var("MLFLOW_PYTHON") else {
        println!("SKIPPED: MLFLOW_PYTHON is not set");
        return None;
    };
    let mut command = Command::new(python);
    command.current_dir(dir.folder.path());
    Some(command)
}

/// Random numbers that are the same everywhere: a linear congruential generator, Knuth's MMIX.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }

    /// The text, or nothing once in `n` times.
    fn or_missing(&mut self, n: u64, text: String) -> String {
        if self.one_in(n) { String::new() } else { text }
    }
}

fn part(row: usize) -> &'static str {
    ["train", "train", "train", "val", "test"][row % 5]
}

/// Trains, and compares in Python.
fn check(dir: &Workdir, config: &str, data: &str) {
    dir.write("data.csv", data);
    dir.write("config.yaml", config);
    let finished = dir.run(&["--config", "config.yaml", "--json"]).ok();
    assert!(!finished.stderr.contains("no ONNX file"), "{}", finished.stderr);
    let folder = PathBuf::from(finished.json()["outputs"].as_str().unwrap());
    let Some(mut python) = python(dir) else { return };
    let script = root().join("crates/app/tests/py/check_export.py");
    let predictions = folder.join("predictions/test_predictions.csv");
    let output = python.arg(script).arg(folder.join("model")).arg("data.csv").arg(predictions).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{stdout}");
    assert!(output.status.success() && stdout.ends_with("checked\n"), "{stdout}\n{stderr}");
}

/// Numbers, integers, booleans and texts, with and without missing values; levels that only test rows have.
fn people(n: usize) -> String {
    let mut random = Random(1);
    let mut csv = "part,age,hours,income,member,veteran,work,sex,zip,region,grade\n".to_owned();
    for row in 0..n {
        let age = 17 + random.below(70);
        let hours = random.below(80).to_string();
        let hours = random.or_missing(9, hours);
        let income = format!("{}.{:02}", random.below(100_000), random.below(100));
        let income = random.or_missing(7, income);
        let (member, veteran) = (random.pick(&["True", "False"]), random.pick(&["True", "False"]).to_owned());
        let veteran = random.or_missing(5, veteran);
        let is_test = part(row) == "test";
        let work = match random.below(12) {
            0 if is_test => "Never-seen",
            1 => "?",
            2 => "",
            3 => " Self-emp",
            _ => random.pick(&["Private", "State-gov", "Private"]),
        };
        let zip = if is_test && random.one_in(6) { 999 } else { 100 + random.below(9) };
        let region = random.below(4).to_string();
        let region = random.or_missing(8, region);
        let score = age as f64 / 20.0 + f64::from(u8::from(work == "Private")) + random.below(3) as f64;
        let grade = if score > 4.5 { ">50K" } else { "<=50K" };
        let sex = random.pick(&["Male", "Female"]);
        let part = part(row);
        writeln!(csv, "{part},{age},{hours},{income},{member},{veteran},{work},{sex},{zip},{region},{grade}").unwrap();
    }
    csv
}

const SHORT: &str = "
training: {epochs: 3, batch_size: 32}
mlflow: {log_artifacts: false}
";

#[test]
fn a_binary_model_with_one_hot_columns() {
    let config = format!(
        "
data: {{path: data.csv, target: grade, split: {{column: part}}, types: {{zip: categorical, region: categorical}}}}
features: {{impute: median, scaling: standard, missing_indicator: true, min_frequency: 3}}
model: {{hidden_dims: [16, 8], activation: gelu}}
{SHORT}"
    );
    check(&Workdir::new(), &config, &people(1500));
}

/// Three kinds told apart by two skewed numbers and two categories, one of which is rare in places.
fn flowers(n: usize) -> String {
    let mut random = Random(2);
    let mut csv = "part,length,width,soil,colour,kind\n".to_owned();
    for row in 0..n {
        let kind = random.below(3);
        let length = (kind + 1) as f64 * 1.5 + random.below(100) as f64 / 40.0;
        let width = format!("{}", (random.below(100) as f64 / 30.0).powi(3));
        let width = random.or_missing(6, width);
        let is_test = part(row) == "test";
        let soil = if is_test && random.one_in(5) {
            "moon"
        } else {
            ["clay", "sand", "peat"][(kind + random.below(2)) as usize % 3]
        };
        let colour = random.pick(&["red", "blue", "white", "white", "green"]).to_owned();
        let colour = random.or_missing(4, colour);
        let kind = ["setosa", "vir, ginica", "größte"][kind as usize];
        writeln!(csv, "{},{length},{width},{soil},{colour},\"{kind}\"", part(row)).unwrap();
    }
    csv
}

#[test]
fn several_classes_with_embeddings_periodic_numbers_and_an_ensemble() {
    for norm in ["batch", "layer"] {
        let config = format!(
            "
data: {{path: data.csv, target: kind, split: {{column: part}}}}
features: {{categorical: embedding, scaling: min_max}}
model: {{hidden_dims: [16, 16], norm: {norm}, residual: true, activation: silu, numeric_embedding: periodic, numeric_embedding_frequencies: 8}}
ensemble: 2
{SHORT}"
        );
        check(&Workdir::new(), &config, &flowers(600));
    }
}

/// Prices with a long tail, dates, quotients, towns.
fn houses(n: usize) -> String {
    let mut random = Random(3);
    let mut csv = "part,sold,rooms,people,income,town,price\n".to_owned();
    for row in 0..n {
        let sold = format!("{}-{:02}-{:02}", 2015 + random.below(8), 1 + random.below(12), 1 + random.below(28));
        let sold = random.or_missing(11, sold);
        let (rooms, people) = (1 + random.below(9), random.below(6));
        let income = format!("{:.4}", (1.0 + random.below(1000) as f64 / 100.0).powi(2));
        let income = random.or_missing(6, income);
        let is_test = part(row) == "test";
        let town =
            if is_test && random.one_in(7) { "Atlantis" } else { random.pick(&["Bergen", "Oslo", "Oslo", "Moss"]) };
        let price = 50_000.0 * (rooms as f64).powf(1.2) + random.below(100_000) as f64;
        writeln!(csv, "{},{sold},{rooms},{people},{income},{town},{price}", part(row)).unwrap();
    }
    csv
}

#[test]
fn a_number_from_dates_ratios_products_powers_and_quantiles() {
    let engineer = "
  engineer:
    datetime: [{column: sold, parts: [year, month, weekday, day_of_year, epoch_days], cyclic: true}]
    ratio: [{numerator: income, denominator: people}]
    product: [[rooms, people]]
    power: [{column: rooms, exponent: 0.5}]
    log1p: [income]";
    for target in ["target_transform: log", "target_scaling: standard"] {
        let config = format!(
            "
data: {{path: data.csv, target: price, problem_type: regression, split: {{column: part}}, {target}}}
features:
  scaling: quantile_normal
  impute: mean
  columns: {{rooms: {{scaling: standard}}}}{engineer}
model: {{hidden_dims: [16], activation: tanh}}
{SHORT}"
        );
        check(&Workdir::new(), &config, &houses(600));
    }
}

/// From the registry, where another program looks for it: predictions of a table's and of a series' model.
#[test]
fn a_registered_champion_is_loaded_and_served_by_mlflow() {
    let dir = Workdir::new();
    dir.write("data.csv", people(600));
    let config = format!(
        "
data: {{path: data.csv, target: grade, split: {{column: part}}}}
{}",
        SHORT.replace("log_artifacts: false", "log_artifacts: true")
    );
    dir.write("config.yaml", config);
    let trained = dir.run(&["--config", "config.yaml", "--json"]).ok().json();
    let short = ["--json", "--epochs", "1", "--hidden-dims", "8", "--set", "windows.stride=24"];
    let series = dir.command_of(env!("CARGO_BIN_EXE_train_ts_mlp"), &short).output().unwrap();
    let series = Finished::from(series).ok().json();
    let Some(mut python) = python(&dir) else { return };
    let script = root().join("crates/app/tests/py/check_registered.py");
    let outputs = |found: &serde_json::Value| found["outputs"].as_str().unwrap().to_owned();
    let ids = [&trained, &series].map(|found| found["run_id"].as_str().unwrap().to_owned());
    let output = python.arg(script).args(ids).args([outputs(&trained), outputs(&series)]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stdout.ends_with("checked\n"), "{stdout}\n{stderr}");
}
