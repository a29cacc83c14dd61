//! `train_ts_mlp` and `forecast` as a user runs them: every shipped config, outputs, record, end.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use dataset::SeriesBuiltin;
use support::{Finished, Workdir, files_below, shared_data};
use tracking::{RunStatus, Store};

/// Flags that make a run short.
const SHORT: [&str; 8] =
    ["--epochs", "2", "--set", "training.warmup_epochs=0", "--hidden-dims", "16", "--set", "windows.stride=8"];

fn train(dir: &Workdir, args: &[&str]) -> Finished {
    let args = [args, &SHORT].concat();
    Finished::from(dir.command_of(env!("CARGO_BIN_EXE_train_ts_mlp"), &args).output().unwrap())
}

fn forecast(dir: &Workdir, args: &[&str]) -> Finished {
    Finished::from(dir.command_of(env!("CARGO_BIN_EXE_forecast"), args).output().unwrap())
}

fn outputs(dir: &Workdir, finished: &Finished) -> PathBuf {
    dir.path(finished.json()["outputs"].as_str().unwrap())
}

/// Daily sales of two shops with a weekly season, a promotion that is known ahead, and their weather, which is not.
fn shops() -> String {
    let mut text = "day,shop,sales,promotion,weather\n".to_owned();
    for shop in ["north", "south"] {
        for day in 0..140 {
            let (month, of_month) = (1 + day / 28, 1 + day % 28);
            let promotion = usize::from(day % 9 == 0);
            let sales = 100 + 10 * (day % 7) + 40 * promotion + if shop == "north" { 50 } else { 0 } + day * 7 % 5;
            let weather = ["dry", "wet", "snow"][day * 5 % 3];
            writeln!(text, "2023-{month:02}-{of_month:02},{shop},{sales},{promotion},{weather}").unwrap();
        }
    }
    text
}

/// The week after `shops`, as a table of its own: promotions are planned, sales are not known.
fn next_week() -> String {
    let mut text = shops();
    for shop in ["north", "south"] {
        (1..=7).for_each(|day| writeln!(text, "2023-05-{:02},{shop},,{},", day + 28, usize::from(day == 3)).unwrap());
    }
    // Of 28 days have the months before, this one 31: the rest is June.
    text.replace("2023-05-32", "2023-06-01")
        .replace("2023-05-33", "2023-06-02")
        .replace("2023-05-34", "2023-06-03")
        .replace("2023-05-35", "2023-06-04")
}

/// A config for `shops`: months of 28 days, so the days between are gaps.
const SHOPS: [&str; 20] = [
    "--csv-path",
    "shops.csv",
    "--datetime-column",
    "day",
    "--target-column",
    "sales",
    "--group-column",
    "shop",
    "--set",
    "data.future_covariates=[promotion]",
    "--set",
    "data.past_covariates=[weather]",
    "--set",
    "data.gaps=forward_fill",
    "--set",
    "windows.stride=1",
    "--set",
    "features.lags=[7, 1]",
    "--set",
    "features.rolling={windows: [7], statistics: [mean]}",
];

const OUTPUTS: [&str; 28] = [
    "extra_artifacts/preprocessor.json",
    "configs/effective_app_config.yaml",
    "configs/train_ts_baseline.yaml",
    "data_report.json",
    "data_report.md",
    "gaps.csv",
    "metrics_by_series.csv",
    "metrics_by_step.csv",
    "model/bundle.json",
    "model/model.safetensors",
    "model/preprocessor.json",
    "model_summary.txt",
    "models/checkpoint.bin",
    "models/ts_mlp_best.safetensors",
    "models/ts_mlp_last.safetensors",
    "plots/error_by_step.png",
    "plots/forecasts.png",
    "plots/forecasts.svg",
    "plots/learning_curves.png",
    "plots/learning_rate_schedule.png",
    "plots/model_comparison.png",
    "plots/predicted_vs_actual.png",
    "plots/residuals.png",
    "plots/residuals_over_time.png",
    "plots/series.png",
    "plots/worst_windows.png",
    "predictions/test_predictions.csv",
    "training_history.csv",
];

#[test]
fn without_flags_it_trains_the_baseline_and_records_everything() {
    let dir = Workdir::new();
    let finished = train(&dir, &["--json"]).ok();
    let folder = outputs(&dir, &finished);
    let files = files_below(&folder);
    let missing: Vec<&&str> = OUTPUTS.iter().filter(|name| !files.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} not in {files:#?}");

    let runs = dir.runs();
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    assert_eq!(run.info.status, RunStatus::Finished);
    assert_eq!(run.info.name, "ts_mlp__dataset=traffic_demo__input=168__horizon=24");
    for (key, value) in [
        ("ts_input_window", "168"),
        ("ts_prediction_horizon", "24"),
        ("ts_num_targets", "1"),
        ("targets", "traffic_volume"),
        ("problem_type", "forecast"),
        ("model.kind", "mlp"),
    ] {
        assert_eq!(run.params.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert_eq!(run.tags["model_type"], "ts_mlp");
    // A year of 365 and one of 366 days, a fifth of them at the end, and 24 steps need to lie in the part.
    let n_test: usize = run.tags["n_rows.test"].parse().unwrap();
    assert_eq!(run.tags["n_windows.test"], (n_test - 24 + 1).to_string());
    for metric in ["mae", "rmse", "mse", "mape", "smape", "mase", "rmsse", "r2", "mse_scaled", "mae_scaled", "coverage"]
    {
        assert!(run.metrics.contains_key(&format!("test_{metric}")), "{metric} of {:?}", run.metrics.keys());
    }
    let store = dir.store();
    let steps = store.metric_history(&run.info.run_id, "test_mae_by_step").unwrap();
    assert_eq!(steps.iter().map(|point| point.step).collect::<Vec<_>>(), (1..=24).collect::<Vec<i64>>());
    assert_eq!(store.metric_history(&run.info.run_id, "val_mase").unwrap().len(), 2, "one per epoch");

    // Baselines always run, as nested runs and beside the model.
    let children = dir.all_runs().into_iter().filter(|child| child.tags.contains_key("mlflow.parentRunId"));
    let names: BTreeSet<String> = children.map(|child| child.info.name).collect();
    let baselines = ["repeat_last", "seasonal_naive", "calendar_profile", "least_squares"];
    assert_eq!(names, baselines.iter().map(|name| format!("baseline {name}")).collect());
    let value = |name: &str| run.metrics[name].value;
    for name in baselines {
        assert!(value(&format!("baseline_{name}_test_mae")) > 0.0);
    }
    assert!(value("baseline_repeat_last_test_mae") > 3.0 * value("baseline_calendar_profile_test_mae"));
    // Intervals asked to hold 90 % hold about that much of windows that nothing was fitted on.
    assert!((0.8..1.0).contains(&value("test_coverage")), "{}", value("test_coverage"));

    // The mean over the file of forecasts is the metric: every window is there.
    let predictions = fs::read_to_string(folder.join("predictions/test_predictions.csv")).unwrap();
    let mut lines = predictions.lines();
    assert_eq!(lines.next().unwrap(), "window,step,time,y_test,y_pred,y_lower,y_upper");
    let errors: Vec<f64> = lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[3].parse::<f64>().unwrap() - cells[4].parse::<f64>().unwrap()).abs()
        })
        .collect();
    assert_eq!(errors.len(), (n_test - 23) * 24);
    let mae = errors.iter().sum::<f64>() / errors.len() as f64;
    assert!((mae / value("test_mae") - 1.0).abs() < 1e-6, "{mae} {}", value("test_mae"));
}

/// Everything that must not depend on anything but the seed.
fn results(folder: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    let names = [
        "model/model.safetensors",
        "model/preprocessor.json",
        "predictions/test_predictions.csv",
        "plots/forecasts.png",
    ];
    // The picture's subtitle has the run's name, which is the same.
    names.into_iter().map(|name| (name, fs::read(folder.join(name)).unwrap())).collect()
}

#[test]
fn the_same_seed_gives_the_same_bits_with_any_number_of_threads() {
    let dir = Workdir::new();
    let run = |args: &[&str]| results(&outputs(&dir, &train(&dir, &[args, &["--json", "--no-mlflow"]].concat()).ok()));
    let first = run(&["--threads", "1"]);
    assert!(first == run(&["--threads", "2"]));
    assert!(first != run(&["--seed", "43"]));
}

#[test]
fn a_stopped_run_goes_on_bit_for_bit() {
    let dir = Workdir::new();
    let flags = ["--json", "--no-mlflow", "--set", "baselines=[]"];
    let whole = outputs(&dir, &train(&dir, &flags).ok());
    // Two epochs of one schedule, the second after a restart.
    let first = train(&dir, &[&flags[..], &["--set", "training.time_budget_minutes=1e-9"]].concat()).ok();
    assert_eq!(first.json()["epochs"], 1);
    let folder = outputs(&dir, &first);
    let resume = ["--resume", folder.to_str().unwrap(), "--json", "--set", "training.time_budget_minutes=null"];
    let second = Finished::from(dir.command_of(env!("CARGO_BIN_EXE_train_ts_mlp"), &resume).output().unwrap()).ok();
    assert_eq!(second.json()["epochs"], 2);
    assert!(results(&whole) == results(&folder));
}

#[test]
fn every_kind_of_network_trains_forecasts_and_loads() {
    let dir = Workdir::new();
    dir.write("shops.csv", shops());
    dir.write("next_week.csv", next_week());
    for kind in ["linear", "nlinear", "dlinear", "rlinear", "mlp", "tide", "tsmixer"] {
        let flags = ["--model", kind, "--input-window", "14", "--horizon", "7", "--json", "--set", "baselines=[]"];
        let small = ["--set", "model.hidden_size=8", "--set", "mlflow.experiment_name=kinds"];
        let finished = train(&dir, &[&SHOPS[..], &flags, &small].concat()).ok();
        let metrics = &finished.json()["metrics"];
        assert!(metrics["test_mae"].as_f64().unwrap().is_finite(), "{kind}: {metrics}");
        let folder = outputs(&dir, &finished);
        // Without rows of the coming week nothing is known of its promotions.
        let blind = forecast(&dir, &["--model", folder.to_str().unwrap()]);
        assert!(blind.code != 0 && blind.stderr.contains("`promotion`"), "{}", blind.stderr);
        let args = ["--model", folder.to_str().unwrap(), "--data", "next_week.csv", "--quiet"];
        let made = forecast(&dir, &args).ok();
        assert_eq!(made.stdout.lines().count(), 1 + 2 * 7, "{kind}: {}", made.stdout);
    }
}

#[test]
fn quantiles_intervals_ensemble_and_backtest_work_together() {
    let dir = Workdir::new();
    dir.write("shops.csv", shops());
    let flags = [
        "--input-window",
        "14",
        "--horizon",
        "7",
        "--json",
        "--set",
        "model.quantiles=[0.1, 0.5, 0.9]",
        "--set",
        "interval_coverage=0.8",
        "--set",
        "ensemble=2",
        "--set",
        "backtest={folds: 2, step: 14}",
        "--set",
        "predictions.format=parquet",
        "--set",
        "training.early_stopping.monitor=val_pinball",
    ];
    let finished = train(&dir, &[&SHOPS[..], &flags].concat()).ok();
    let (json, folder) = (finished.json(), outputs(&dir, &finished));
    assert!(json["metrics"]["test_pinball"].as_f64().unwrap() > 0.0, "{json}");
    assert!(folder.join("model/model_2.safetensors").exists());
    let run = &dir.runs()[0];
    assert!(run.metrics["backtest_mae_std"].value > 0.0);
    let bytes = fs::read(folder.join("predictions/test_predictions.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1"));
    assert!(folder.join("plots/backtest.png").exists() && folder.join("backtest_results.csv").exists());
    let children = dir.all_runs().len() - 1;
    assert_eq!(children, 2 + 4 + 2, "folds, baselines, members");
    // A fold that is not trained anew has no epochs of its own.
    let fixed = ["--set", "backtest.refit=false"];
    let finished = train(&dir, &[&SHOPS[..], &flags, &fixed].concat()).ok();
    let runs = dir.all_runs();
    let fold = runs.iter().find(|run| run.tags.get("backtest.fold").is_some_and(|fold| fold == "2")).unwrap();
    assert!(fold.metrics.contains_key("test_mae") && !fold.metrics.contains_key("val_mae"), "{}", finished.stderr);
}

/// Scales of a fold's own, of a series that rises, would make its errors look smaller to the first fold's network.
#[test]
fn a_network_that_is_not_trained_again_keeps_its_scales() {
    let dir = Workdir::new();
    let rows: String = (0..400).map(|day| format!("{},{}\n", date(day), day * 3 + day % 7)).collect();
    dir.write("rising.csv", format!("day,y\n{rows}"));
    let data = ["--csv-path", "rising.csv", "--datetime-column", "day", "--target-column", "y"];
    let size = ["--input-window", "14", "--horizon", "7", "--model", "nlinear", "--set", "windows.stride=1"];
    let folds = ["--set", "backtest={folds: 3, refit: false}", "--set", "baselines=[]"];
    train(&dir, &[&data[..], &size, &folds].concat()).ok();
    let factors: BTreeMap<String, f64> = dir
        .all_runs()
        .iter()
        .filter_map(|run| {
            let factor = run.metrics["test_mae"].value / run.metrics["test_mae_scaled"].value;
            Some((run.tags.get("backtest.fold")?.clone(), factor))
        })
        .collect();
    assert_eq!(factors.len(), 3);
    assert!(factors.values().all(|factor| (factor / factors["1"] - 1.0).abs() < 1e-9), "{factors:?}");
}

/// The day `index` days after 2023-01-01.
fn date(index: usize) -> String {
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 29];
    let (mut month, mut day) = (0, index);
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    format!("{}-{:02}-{:02}", 2023 + month / 12, month % 12 + 1, day + 1)
}

/// Billions with a deviation of 10: single precision could not tell the forecasts apart.
#[test]
fn written_forecasts_have_the_digits_of_large_numbers() {
    let dir = Workdir::new();
    let value = |day: usize| 1_000_000_000 + 10 * (day % 7) + day * 7 % 5;
    let rows: String = (0..300).map(|day| format!("{},{}\n", date(day), value(day))).collect();
    dir.write("large.csv", format!("day,y\n{rows}"));
    let data = ["--csv-path", "large.csv", "--datetime-column", "day", "--target-column", "y", "--json"];
    let size = ["--input-window", "14", "--horizon", "7", "--set", "windows.stride=1", "--set", "baselines=[]"];
    let finished = train(&dir, &[&data[..], &size].concat()).ok();
    let text = fs::read_to_string(outputs(&dir, &finished).join("predictions/test_predictions.csv")).unwrap();
    let errors: Vec<f64> = text
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap_or(f64::NAN)).collect();
            (cells[3] - cells[4]).abs()
        })
        .collect();
    let (mae, logged) = (errors.iter().sum::<f64>() / errors.len() as f64, &finished.json()["metrics"]["test_mae"]);
    assert!((mae / logged.as_f64().unwrap() - 1.0).abs() < 1e-9, "{mae} {logged}");
}

#[test]
fn a_forecast_continues_the_file_that_it_is_given() {
    let dir = Workdir::new();
    let trained = train(&dir, &["--json"]).ok();
    // The newest model, the data it was trained on.
    let made = forecast(&dir, &[]).ok();
    let lines: Vec<&str> = made.stdout.lines().collect();
    assert_eq!(lines[0], "step,time,y_pred,y_lower,y_upper");
    assert_eq!(lines.len(), 25);
    let last = made.stdout.lines().last().unwrap();
    assert!(last.starts_with("24,"), "{last}");
    // A file of one's own, cut: what follows its last row is forecast.
    let rows = dataset_csv(&dir);
    let cut: Vec<&str> = rows.lines().take(1 + 400).collect();
    let path = dir.write("cut.csv", cut.join("\n"));
    let expected = rows.lines().nth(401).unwrap().split(',').next().unwrap().to_owned();
    let run_id = trained.json()["run_id"].as_str().unwrap().to_owned();
    let args = ["--model", &run_id, "--data", path.to_str().unwrap(), "--output", "next.csv", "--plot", "next.png"];
    let made = forecast(&dir, &args).ok();
    assert!(made.stdout.is_empty(), "{}", made.stdout);
    let text = fs::read_to_string(dir.path("next.csv")).unwrap();
    assert!(text.lines().nth(1).unwrap().starts_with(&format!("1,{expected}")), "{text} {expected}");
    assert!(fs::read(dir.path("next.png")).unwrap().starts_with(b"\x89PNG"));

    let none = forecast(&dir, &["--model", "no-such-run"]);
    assert_ne!(none.code, 0);
    assert!(none.stderr.contains("no such folder, and no such run"), "{}", none.stderr);
    let short = dir.write("short.csv", rows.lines().take(100).collect::<Vec<_>>().join("\n"));
    let short = forecast(&dir, &["--data", short.to_str().unwrap()]);
    assert_ne!(short.code, 0);
    assert!(short.stderr.contains("168"), "{}", short.stderr);
}

/// The demo series as a CSV file.
fn dataset_csv(dir: &Workdir) -> String {
    let path = dir.path("demo.csv");
    SeriesBuiltin::TrafficDemo.table().unwrap().write_csv(&[], &path).unwrap();
    fs::read_to_string(path).unwrap()
}

#[test]
fn it_goes_on_training_a_model_with_new_data() {
    let dir = Workdir::new();
    let first = train(&dir, &["--json", "--set", "baselines=[]"]).ok();
    let run_id = first.json()["run_id"].as_str().unwrap().to_owned();
    // Another split of the same file has test rows that the model has seen; a later one has not.
    let init_from = format!("init_from={run_id}");
    let earlier = ["--set", "baselines=[]", "--set", &init_from, "--set", "data.split.test=0.4"];
    let refused = train(&dir, &earlier);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("the model has seen steps up to 2017-08-07 18:00:00"), "{}", refused.stderr);
    let later = ["--set", "baselines=[]", "--set", &init_from, "--set", "data.split.test=0.1"];
    train(&dir, &later).ok();
    let flags = ["--json", "--set", "baselines=[]", "--set", &init_from, "--lookback", "24"];
    let second = train(&dir, &flags).ok();
    let run = &dir.runs()[0];
    assert_eq!(run.params["ts_input_window"], "168", "the model's");
    let loss = |finished: &Finished| finished.json()["metrics"]["val_loss"].as_f64().unwrap();
    assert!(loss(&second) < loss(&first), "{} {}", loss(&second), loss(&first));
}

#[test]
fn shipped_configs_run_on_their_data() {
    for (config, file, windows) in [
        ("train_ts_airline.yaml", "airline-passengers.csv", "18"),
        ("train_ts_etth1.yaml", "ETTh1.csv", "2785"),
        ("train_ts_metro.yaml", "Metro_Interstate_Traffic_Volume.csv", "5772"),
    ] {
        let Some(path) = shared_data(file) else { continue };
        let dir = Workdir::new();
        let config = format!("configs/{config}");
        let flags = ["--config", &config, "--csv-path", path.to_str().unwrap(), "--json", "--set", "baselines=[]"];
        let finished = train(&dir, &[&flags[..], &["--set", "windows.stride=16"]].concat()).ok();
        assert_eq!(dir.runs()[0].tags["n_windows.test"], windows, "{config}: {}", finished.stderr);
    }
}
