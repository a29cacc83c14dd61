//! `predict` as a user runs it: the rows of a file, of the model's own run or another, as CSV and Parquet.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::fs;
use std::path::PathBuf;

use support::{Finished, Workdir};

fn predict(dir: &Workdir, args: &[&str]) -> Finished {
    Finished::from(dir.command_of(env!("CARGO_BIN_EXE_predict"), args).output().unwrap())
}

fn train(dir: &Workdir, args: &[&str]) -> PathBuf {
    let found = dir.run(&[&["--epochs", "3", "--json", "--set", "baselines=[]"], args].concat()).ok().json();
    dir.path(found["outputs"].as_str().unwrap())
}

/// Cells by column name.
fn column<'a>(csv: &'a str, name: &str) -> Vec<&'a str> {
    let place = csv.lines().next().unwrap().split(',').position(|column| column == name);
    let place = place.unwrap_or_else(|| panic!("no column `{name}` in {}", csv.lines().next().unwrap()));
    csv.lines().skip(1).map(|line| line.split(',').nth(place).unwrap()).collect()
}

/// The test rows that training has written, without what it has predicted.
fn test_rows(outputs: &std::path::Path) -> (String, String) {
    let written = fs::read_to_string(outputs.join("predictions/test_predictions.csv")).unwrap();
    let n = written.lines().next().unwrap().split(',').position(|name| name == "y_test").unwrap();
    let cut = |line: &str| line.split(',').take(n).collect::<Vec<_>>().join(",");
    let rows = written.lines().map(cut).collect::<Vec<_>>().join("\n") + "\n";
    (written, rows)
}

#[test]
fn rows_get_what_training_has_said_of_them_in_any_order_of_columns_and_number_of_threads() {
    let dir = Workdir::new();
    let outputs = train(&dir, &[]);
    let (written, rows) = test_rows(&outputs);
    let reversed = |line: &str| line.split(',').rev().collect::<Vec<_>>().join(",");
    let file = dir.write("rows.csv", rows.lines().map(reversed).collect::<Vec<_>>().join("\n"));
    let file = file.to_str().unwrap();
    let one = predict(&dir, &["--data", file, "--threads", "1"]).ok();
    for name in ["y_pred", "y_proba", "alcohol"] {
        assert_eq!(column(&one.stdout, name), column(&written, name), "{name}");
    }
    assert!(one.stderr.contains("another order"), "{}", one.stderr);
    let more = predict(&dir, &["--data", file, "--threads", "3", "--batch-rows", "64", "--quiet"]).ok();
    let one = predict(&dir, &["--data", file, "--threads", "1", "--batch-rows", "64", "--quiet"]).ok();
    assert!(more.stdout == one.stdout, "rows come in their order, with the same bits");

    // As Parquet, which is read back.
    let parquet = dir.path("scored.parquet");
    predict(&dir, &["--data", file, "--output", parquet.to_str().unwrap(), "--keep", "all"]).ok();
    let again = predict(&dir, &["--data", parquet.to_str().unwrap(), "--keep", "none"]).ok();
    assert_eq!(column(&again.stdout, "y_proba"), column(&written, "y_proba"));
    assert_eq!(again.stdout.lines().next().unwrap(), "y_pred,y_proba");
    assert!(again.stderr.contains("y_pred"), "columns that the model does not use are told: {}", again.stderr);
}

#[test]
fn a_threshold_moves_the_classes_and_numbers_come_with_an_interval() {
    let dir = Workdir::new();
    train(&dir, &[]);
    let at = |threshold: &str| {
        let found = predict(&dir, &["--threshold", threshold, "--keep", "none", "--quiet"]).ok();
        column(&found.stdout, "y_pred").iter().filter(|class| **class == "good").count()
    };
    let counts = [at("0"), at("0.2"), at("0.5"), at("1")];
    assert!(counts.is_sorted_by(|a, b| a >= b) && counts[0] == 1599 && counts[3] == 0, "{counts:?}");

    train(&dir, &["--set", "data.target_bins=null", "--problem-type", "regression"]);
    let found = predict(&dir, &["--keep", "none", "--quiet"]).ok().stdout;
    let numbers = |name: &str| column(&found, name).iter().map(|cell| cell.parse().unwrap()).collect::<Vec<f64>>();
    let (low, middle, high) = (numbers("y_lower"), numbers("y_pred"), numbers("y_upper"));
    assert!((0..1599).all(|row| low[row] < middle[row] && middle[row] < high[row]));
}

#[test]
fn files_that_do_not_fit_are_told_and_leave_nothing() {
    let dir = Workdir::new();
    let outputs = train(&dir, &[]);
    let (_, rows) = test_rows(&outputs);
    let without_two = rows.replacen("alcohol", "alcool", 1).replacen("density", "weight", 1);
    let strange = rows.replacen("\n7", "\nseven", 1);
    for (name, text, messages) in [
        ("missing.csv", without_two, &["alcohol", "alcool", "density"][..]),
        ("strange.csv", strange, &["seven", "fixed_acidity"]),
        ("empty.csv", String::new(), &["empty.csv"]),
    ] {
        let file = dir.write(name, text);
        let out = dir.path("out.csv");
        let failed = predict(&dir, &["--data", file.to_str().unwrap(), "--output", out.to_str().unwrap()]);
        assert_ne!(failed.code, 0, "{name}");
        for message in messages {
            assert!(failed.stderr.contains(message), "{name}: {}", failed.stderr);
        }
        assert!(!out.exists(), "{name}");
    }
    // A day without rows is none of these.
    let file = dir.write("no_rows.csv", rows.lines().next().unwrap().to_owned() + "\n");
    let nothing = predict(&dir, &["--data", file.to_str().unwrap(), "--keep", "none"]).ok();
    assert_eq!(nothing.stdout.trim(), "y_pred,y_proba");
    for (args, message) in [
        (&["--model", "nowhere"][..], "nowhere"),
        (&["--threshold", "2"], "threshold"),
        (&["--keep", "alcool"], "alcohol"),
        (&["--data", "nowhere.csv"], "nowhere.csv"),
        (&["--batch-rows", "0"], "batch-rows"),
    ] {
        let failed = predict(&dir, args);
        assert_ne!(failed.code, 0, "{args:?}");
        assert!(failed.stderr.contains(message), "{args:?}: {}", failed.stderr);
    }
}
