//! Bad time series through `train_ts_mlp`: one clear error, a non-zero exit code, and a run that says FAILED where one was
//! begun.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::fmt::Write;

use support::{Finished, Workdir, assert_contains};
use tracking::RunStatus;

/// Flags for a small run on `data.csv`.
const FLAGS: [&str; 18] = [
    "--csv-path",
    "data.csv",
    "--datetime-column",
    "day",
    "--target-column",
    "y",
    "--input-window",
    "14",
    "--horizon",
    "7",
    "--epochs",
    "1",
    "--hidden-dims",
    "8",
    "--set",
    "training.warmup_epochs=0",
    "--set",
    "baselines=[]",
];

fn run(content: &str, more: &[&str]) -> (Workdir, Finished) {
    let dir = Workdir::new();
    dir.write("data.csv", content);
    let output = dir.command_of(env!("CARGO_BIN_EXE_train_ts_mlp"), &[&FLAGS[..], more].concat()).output().unwrap();
    (dir, Finished::from(output))
}

/// The error of a run on this content, which is FAILED with it.
fn error_of(content: &str, more: &[&str]) -> String {
    let (dir, finished) = run(content, more);
    assert_eq!(finished.code, 1, "stdout: {}\nstderr: {}", finished.stdout, finished.stderr);
    assert_eq!(finished.stdout, "", "results are for successful runs");
    let runs = dir.runs();
    assert_eq!((runs.len(), runs[0].info.status), (1, RunStatus::Failed));
    let error = finished.stderr[finished.stderr.find("error: ").unwrap()..].to_owned();
    assert!(!error.contains("panicked"), "{error}");
    assert!(error.contains(runs[0].tags["error"].lines().next().unwrap()));
    error
}

/// `n` days from 2023-01-01 with a weekly season, each row changed by `edit`.
fn daily(n: usize, edit: impl Fn(usize, String) -> String) -> String {
    let mut text = "day,y\n".to_owned();
    for index in 0..n {
        writeln!(text, "{}", edit(index, format!("{},{}", date(index), 100 + 10 * (index % 7) + index % 3))).unwrap();
    }
    text
}

/// The day `index` days after 2023-01-01.
fn date(index: usize) -> String {
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let (mut month, mut day) = (0, index);
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    format!("2023-{:02}-{:02}", month + 1, day + 1)
}

fn plain(_: usize, row: String) -> String {
    row
}

#[test]
fn a_good_file_trains() {
    let (_, finished) = run(&daily(200, plain), &[]);
    finished.ok();
}

#[test]
fn rows_out_of_order_are_sorted_and_counted_or_refused() {
    let mut rows: Vec<String> = daily(200, plain).lines().map(str::to_owned).collect();
    rows.swap(50, 60);
    let content = rows.join("\n");
    let (_, finished) = run(&content, &[]);
    assert_contains(&finished.ok().stderr, &["not in the order of time"]);
    let error = error_of(&content, &["--set", "data.unsorted=error"]);
    assert_contains(&error, &["data.csv", "`day`", "row 5", "data.unsorted"]);
}

#[test]
fn duplicate_timestamps_are_refused_unless_a_rule_says_which_counts() {
    let content = daily(200, |index, row| if index == 20 { format!("{row}\n{row}") } else { row });
    assert_contains(&error_of(&content, &[]), &["data.csv", "2023-01-21", "data.duplicates", "first"]);
    let (_, finished) = run(&content, &["--set", "data.duplicates=mean"]);
    assert_contains(&finished.ok().stderr, &["1 row with the timestamp of an earlier one"]);
}

#[test]
fn a_timestamp_that_is_none_is_named_with_its_row() {
    let content = daily(200, |index, row| if index == 41 { "2023-02-30,5".to_owned() } else { row });
    assert_contains(&error_of(&content, &[]), &["data.csv", "`day`", "row 42", "`2023-02-30`", "data.time_format"]);
}

#[test]
fn timestamps_of_two_zones_are_refused() {
    let zoned = |index: usize, row: String| {
        let (day, value) = row.split_once(',').unwrap();
        format!("{day}T00:00:00{},{value}", if index == 90 { "+02:00" } else { "Z" })
    };
    assert_contains(&error_of(&daily(200, zoned), &[]), &["data.csv", "row 91", "+02:00", "zone"]);
}

#[test]
fn a_series_that_is_too_short_is_told_the_lengths() {
    let error = error_of(&daily(18, plain), &[]);
    assert_contains(&error, &["data.csv", "18", "14", "7", "21"]);
}

#[test]
fn a_constant_series_has_nothing_to_learn() {
    let error = error_of(&daily(200, |index, _| format!("{},5", date(index))), &[]);
    assert_contains(&error, &["data.csv", "`y`", "constant"]);
}

#[test]
fn missing_values_that_leave_no_whole_window_are_told_with_the_longest_stretch() {
    let holes = |index: usize, row: String| if index.is_multiple_of(10) { format!("{},", date(index)) } else { row };
    let error = error_of(&daily(200, holes), &[]);
    assert_contains(&error, &["data.csv", "9", "data.gaps"]);
    let (_, finished) = run(&daily(200, holes), &["--set", "data.gaps=interpolate"]);
    finished.ok();
    let error = error_of(&daily(200, holes), &["--set", "data.gaps=error"]);
    assert_contains(&error, &["data.csv", "2023-01-01", "data.gaps"]);
}

#[test]
fn rows_at_the_end_without_a_target_are_the_future() {
    let content = daily(200, |index, row| if index >= 190 { format!("{},", date(index)) } else { row });
    let (dir, finished) = run(&content, &[]);
    assert_contains(&finished.ok().stderr, &["10 steps"]);
    let tags = &dir.runs()[0].tags;
    let steps: usize = ["training", "validation", "test"]
        .iter()
        .map(|part| tags[&format!("n_rows.{part}")].parse::<usize>().unwrap())
        .sum();
    assert_eq!(steps, 190);
}

#[test]
fn a_group_of_one_row_is_left_out_and_told() {
    let mut content = daily(200, plain).lines().skip(1).map(|row| format!("{row},a\n")).collect::<String>();
    content.insert_str(0, "day,y,shop\n");
    content.push_str("2023-03-01,7,b\n");
    let group = ["--group-column", "shop"];
    let (_, finished) = run(&content, &group);
    assert_contains(&finished.ok().stderr, &["`b`", "1 step"]);
    let error = error_of(&content, &[&group[..], &["--set", "data.short_series=error"]].concat());
    assert_contains(&error, &["`b`", "data.short_series"]);
}

#[test]
fn columns_that_are_not_there_are_named_with_the_nearest() {
    let error = error_of(&daily(200, plain), &["--set", "data.time=dya"]);
    assert_contains(&error, &["no column `dya`", "data.time", "`day`"]);
    let error = error_of(&daily(200, plain), &["--set", "data.past_covariates=[y]"]);
    assert_contains(&error, &["`y`", "data.past_covariates"]);
}

#[test]
fn text_in_a_target_is_named_with_its_row() {
    let content = daily(200, |index, row| if index == 7 { format!("{},many", date(index)) } else { row });
    assert_contains(&error_of(&content, &[]), &["data.csv", "`y`", "row 8", "`many`"]);
}

/// Before any run is begun.
#[test]
fn wrong_settings_name_key_and_way_out() {
    for (flags, parts) in [
        (
            &["--set", "data.input_window=30"][..],
            &["unknown key `data.input_window`", "did you mean `windows.lookback`?"][..],
        ),
        (&["--set", "data.target_column=y"], &["did you mean `data.targets`?"]),
        (&["--set", "data.freq=D"], &["did you mean `data.frequency`?"]),
        (&["--set", "windows.horizon=0"], &["`windows.horizon`"]),
        (&["--model", "transformer"], &["model.kind", "`transformer`", "tsmixer"]),
        (&["--set", "model.quantiles=[0.1, 0.9]"], &["model.quantiles", "0.5"]),
        (&["--set", "interval_coverage=90"], &["`interval_coverage`", "0.9"]),
        (&["--freq", "fortnight"], &["data.frequency", "`fortnight`"]),
        (&["--set", "data.split={valid: 0.6, test: 0.6}"], &["data.split"]),
        (&["--set", "backtest={folds: 0}"], &["backtest"]),
        (&["--set", "training.early_stopping.monitor=val_auk"], &["monitor", "auk"]),
        (&["--set", "training.early_stopping.monitor=val_auc"], &["no metric `auc`", "mase"]),
        (&["--set", "training.class_weights=balanced"], &["class_weights", "forecast"]),
        (&["--set", "predictions.stride=0"], &["predictions.stride"]),
        (&["--set", "baselines=[repeat_last, repeat_last]"], &["baselines", "twice"]),
    ] {
        let (dir, finished) = run(&daily(200, plain), flags);
        assert_ne!(finished.code, 0, "{flags:?}");
        assert_contains(&finished.stderr, parts);
        assert!(!dir.path("mlflow.db").exists(), "{flags:?}: no run was begun");
    }
}

#[test]
fn settings_that_do_not_fit_the_data_end_the_run() {
    let (dir, finished) = run(&daily(110, plain), &["--set", "backtest={folds: 9}"]);
    assert!([1, 2].contains(&finished.code), "{}", finished.stderr);
    assert_contains(&finished.stderr, &["backtest", "folds"]);
    assert_eq!(dir.runs()[0].info.status, RunStatus::Failed);
}
