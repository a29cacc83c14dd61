//! `train_tabular_mlp` as a user runs it: every shipped config, its outputs, its record, its end.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::{Finished, SHORT, Workdir, files_below, root, shared_data};
use tracking::{RunStatus, Store};

fn short<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &SHORT].concat()
}

const OUTPUTS: [&str; 27] = [
    "extra_artifacts/preprocessor.json",
    "configs/effective_app_config.yaml",
    "configs/train_tabular_baseline.yaml",
    "model/bundle.json",
    "model/model.safetensors",
    "model/preprocessor.json",
    "model_summary.txt",
    "classification_report.txt",
    "data_report.html",
    "data_report.json",
    "data_report.md",
    "feature_importance.csv",
    "models/checkpoint.bin",
    "models/tabular_mlp_best.safetensors",
    "models/tabular_mlp_last.safetensors",
    "plots/calibration.png",
    "plots/learning_rate_schedule.png",
    "plots/permutation_importance.svg",
    "plots/score_histograms.png",
    "plots/confusion_matrix.png",
    "plots/confusion_matrix.svg",
    "plots/learning_curves.png",
    "plots/learning_curves.svg",
    "plots/precision_recall.png",
    "plots/roc.png",
    "predictions/test_predictions.csv",
    "training_history.csv",
];

#[test]
fn without_flags_it_trains_the_baseline_and_records_everything() {
    let dir = Workdir::new();
    let finished = dir.run(&short(&[])).ok();
    let wal_left = dir.path("mlflow.db-wal").exists();
    let runs = dir.runs();
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    assert!(!wal_left, "the database is closed: one file, which can be copied");
    assert_eq!(run.info.status, RunStatus::Finished);
    assert_eq!(run.info.name, "tabular_mlp__dataset=wine_quality__seed=42");
    assert!(finished.stdout.contains(&format!("run {} FINISHED", run.info.run_id)), "{}", finished.stdout);
    assert!(finished.stderr.contains("mlflow ui --backend-store-uri sqlite:///"), "{}", finished.stderr);

    for (key, value) in [("seed", "42"), ("training.epochs", "3"), ("model.hidden_dims", "[128,64]")] {
        assert_eq!(run.params[key], value, "{key}");
    }
    for key in ["dataset_name", "dataset_digest", "n_features", "n_params", "loss_function", "problem_type"] {
        assert!(run.params.contains_key(key), "{key}");
    }
    assert!(!run.params.keys().any(|key| key.starts_with("mlflow.") || key.starts_with("paths.")));
    for key in
        ["mlflow.user", "mlflow.source.name", "model_type", "framework", "host.cpu", "rustc", "app.cargo_lock_sha256"]
    {
        assert!(run.tags.contains_key(key), "{key}");
    }
    for key in ["train_loss", "val_loss", "train_auc", "val_auc", "val_accuracy", "learning_rate", "samples_per_second"]
    {
        let history = dir.store().metric_history(&run.info.run_id, key).unwrap();
        assert_eq!(history.iter().map(|point| point.step).collect::<Vec<_>>(), [1, 2, 3], "{key}");
    }
    for key in ["test_auc", "test_accuracy", "test_log_loss", "test_f1", "best_epoch", "best_val_loss"] {
        assert!(run.metrics.contains_key(key), "{key}");
    }
    assert_eq!(run.inputs.len(), 1);
    assert_eq!(run.inputs[0].dataset.name, "wine_quality");

    let local = files_below(&dir.path("models/tabular_mlp_baseline").join(&run.info.run_id));
    let artifacts = files_below(Path::new(&run.info.artifact_uri));
    let model = dir.store().logged_models().unwrap().get(&run.outputs[0].model_id).unwrap();
    let of_model = files_below(Path::new(&model.artifact_location));
    for file in OUTPUTS {
        assert!(local.contains(file), "{file} is not among the local outputs {local:?}");
        match file.strip_prefix("model/") {
            Some(file) => assert!(of_model.contains(file), "{file} is not in the logged model {of_model:?}"),
            None => assert!(artifacts.contains(file), "{file} is not among the artifacts {artifacts:?}"),
        }
    }
    assert!(!artifacts.iter().any(|file| file.starts_with("model/")), "a model is not kept twice");
    assert!(artifacts.iter().any(|file| file.starts_with("logs/") && file.ends_with(".log")), "{artifacts:?}");
    assert!(!local.iter().any(|file| file.ends_with(".tmp")));

    let predictions =
        fs::read_to_string(Path::new(&run.info.artifact_uri).join("predictions/test_predictions.csv")).unwrap();
    let mut lines = predictions.lines();
    assert!(lines.next().unwrap().ends_with("quality,y_test,y_pred,y_proba"), "{predictions}");
    assert_eq!(lines.count(), 320, "every fifth of 1,599 rows");
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_does_not() {
    let outputs = |seed: &str| {
        let dir = Workdir::new();
        let json = dir.run(&short(&["--json", "--no-mlflow", "--seed", seed])).ok().json();
        let folder = dir.path(json["outputs"].as_str().unwrap());
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        (json["metrics"].clone(), read("model/model.safetensors"), read("predictions/test_predictions.csv"))
    };
    let first = outputs("7");
    assert!(first == outputs("7"), "two runs with one seed differ");
    assert!(first != outputs("8"));
}

#[test]
fn tracking_switched_off_changes_nothing_else() {
    let (tracked, untracked) = (Workdir::new(), Workdir::new());
    let with = tracked.run(&short(&["--json"])).ok().json();
    let without = untracked.run(&short(&["--json", "--no-mlflow"])).ok().json();
    assert_eq!(with["metrics"], without["metrics"]);
    assert!(!untracked.path("mlflow.db").exists() && !untracked.path("mlruns").exists());
    let outputs = |dir: &Workdir, json: &serde_json::Value| {
        let files = files_below(&dir.path(json["outputs"].as_str().unwrap()));
        files.into_iter().filter(|file| !file.starts_with("logs/")).collect::<BTreeSet<String>>()
    };
    assert_eq!(outputs(&untracked, &without), outputs(&tracked, &with));
    let off_by_config = Workdir::new();
    off_by_config.run(&short(&["--set", "mlflow.enabled=false"])).ok();
    assert!(!off_by_config.path("mlflow.db").exists());
}

#[test]
fn multiclass_config_runs_as_shipped() {
    let dir = Workdir::new();
    dir.run(&short(&["-c", "configs/train_tabular_wine3.yaml"])).ok();
    let run = &dir.runs()[0];
    for key in ["val_accuracy", "val_f1_macro", "val_auc", "test_log_loss"] {
        assert!(run.metrics[key].value.is_finite(), "{key}");
    }
    let header =
        fs::read_to_string(Path::new(&run.info.artifact_uri).join("predictions/test_predictions.csv")).unwrap();
    assert!(header.lines().next().unwrap().ends_with("y_pred,y_proba_low,y_proba_medium,y_proba_high"), "{header}");
}

#[test]
fn adult_config_runs_on_the_published_split() {
    let Some(file) = shared_data("adult.csv") else { return };
    let dir = Workdir::new();
    let config = "configs/train_tabular_adult.yaml";
    let file = file.display().to_string();
    let args = [
        "-c",
        config,
        "--csv-path",
        &file,
        "--set",
        "data.has_header=true",
        "--set",
        "data.columns=[]",
        "--set",
        "data.split.column=split",
    ];
    let args = [&args[..], &["--epochs", "1", "--set", "training.warmup_epochs=0"]].concat();
    dir.run(&args).ok();
    let run = &dir.runs()[0];
    let rows = ["training", "validation", "test"].map(|part| run.tags[&format!("n_rows.{part}")].clone());
    assert_eq!(rows, ["26048", "6513", "16281"]);
    assert!(run.metrics["test_auc"].value > 0.89, "{}", run.metrics["test_auc"].value);
    // The same rows with embeddings in place of one-hot columns.
    let embedded = Workdir::new();
    embedded.run(&[&args[..], &["--set", "features.categorical=embedding"]].concat()).ok();
    let run = &embedded.runs()[0];
    assert!(run.metrics["test_auc"].value > 0.88, "{}", run.metrics["test_auc"].value);
}

#[test]
fn california_config_runs_and_reports_original_units() {
    let Some(file) = shared_data("california_housing_raw.csv") else { return };
    let dir = Workdir::new();
    let file = file.display().to_string();
    dir.run(&short(&["-c", "configs/train_tabular_california_raw.yaml", "--csv-path", &file])).ok();
    let run = &dir.runs()[0];
    let rmse = run.metrics["test_rmse"].value;
    assert!((40_000.0..100_000.0).contains(&rmse), "dollars: {rmse}");
    let artifacts = files_below(Path::new(&run.info.artifact_uri));
    assert!(artifacts.contains("plots/predicted_vs_actual.png") && artifacts.contains("plots/residuals.svg"));
}

#[test]
fn ctrl_c_ends_the_run_as_killed_with_its_last_weights() {
    let dir = Workdir::new();
    let mut child =
        dir.command(&["--epochs", "100000", "--set", "training.early_stopping.patience=0"]).spawn().unwrap();
    let start = Instant::now();
    let has_weights = || {
        dir.path("models").exists()
            && files_below(&dir.path("models")).iter().any(|file| file.ends_with("tabular_mlp_last.safetensors"))
    };
    while !has_weights() {
        assert!(start.elapsed() < Duration::from_secs(60), "no checkpoint after a minute");
        sleep(Duration::from_millis(50));
    }
    let signalled = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let run = &dir.runs()[0];
    assert_eq!(run.info.status, RunStatus::Killed);
    assert!(run.info.end_time_ms.is_some());
    assert!(!dir.store().metric_history(&run.info.run_id, "val_auc").unwrap().is_empty());
    let artifacts = files_below(Path::new(&run.info.artifact_uri));
    for file in ["models/tabular_mlp_last.safetensors", "training_history.csv", "model_summary.txt"] {
        assert!(artifacts.contains(file), "{file}: {artifacts:?}");
    }
}

#[test]
fn a_second_ctrl_c_stops_at_once_and_the_status_is_still_true() {
    let dir = Workdir::new();
    // One epoch of many small steps: the loop would only be left after a step, and the first signal is followed at once.
    let mut child = dir.command(&["--epochs", "100000", "--batch-size", "1"]).spawn().unwrap();
    let start = Instant::now();
    while !dir.path("mlflow.db").exists() || dir.runs().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "no run after a minute");
        sleep(Duration::from_millis(20));
    }
    sleep(Duration::from_millis(200));
    for _ in 0..2 {
        std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(dir.runs()[0].info.status, RunStatus::Killed);
}

#[test]
fn every_nth_epoch_is_kept_when_asked() {
    let dir = Workdir::new();
    let json = dir.run(&short(&["--json", "--no-mlflow", "--set", "training.checkpoint_every_epochs=2"])).ok().json();
    let weights = files_below(&dir.path(json["outputs"].as_str().unwrap()).join("models"));
    let expected = [
        "checkpoint.bin",
        "tabular_mlp_best.safetensors",
        "tabular_mlp_epoch_2.safetensors",
        "tabular_mlp_last.safetensors",
    ];
    assert!(weights.iter().eq(&expected), "{weights:?}");
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let dir = Workdir::new();
    let weights = |threads: &str| {
        // Batches large enough to be divided among threads.
        let args = ["--threads", threads, "--batch-size", "512", "--hidden-dims", "256,256", "--json", "--no-mlflow"];
        let json = dir.run(&short(&args)).ok().json();
        fs::read(dir.path(json["outputs"].as_str().unwrap()).join("model/model.safetensors")).unwrap()
    };
    let one = weights("1");
    assert!(one == weights("2") && one == weights("3"));
}

#[test]
fn a_model_is_trained_on_with_new_rows() {
    let dir = Workdir::new();
    // One line; the second file goes on where the first one ends, with other mean and spread.
    let rows = |range: std::ops::Range<i32>| -> String {
        range.map(|x| format!("{},{},{}\n", x % 50, ["a", "b"][(x % 2) as usize], 3 * (x % 50) + x % 2)).collect()
    };
    dir.write("old.csv", format!("x,kind,y\n{}", rows(0..400)));
    dir.write("new.csv", format!("x,kind,y\n{}", rows(400..500).replace("49,", "90,")));
    let flags = ["--target-column", "y", "--problem-type", "regression", "--json"];
    let monitor = ["--set", "training.early_stopping.monitor=val_rmse", "--set", "model.hidden_dims=[32]"];
    let flags = [&flags[..], &monitor].concat();
    let first = dir.run(&[&["--csv-path", "old.csv", "--epochs", "100"], &flags[..]].concat()).ok().json();
    let from = format!("init_from={}", first["run_id"].as_str().unwrap());
    // `model` is the model's own, whatever the file says.
    let warm = ["--csv-path", "new.csv", "--set", &from, "--set", "model.hidden_dims=[8]"];
    let second = dir.run(&[&flags[..], &warm, &["--epochs", "1", "--set", "training.warmup_epochs=0"]].concat());
    let second = second.ok().json();
    let outputs = |json: &serde_json::Value| dir.path(json["outputs"].as_str().unwrap());
    let preprocessor = |json| fs::read(outputs(json).join("model/preprocessor.json")).unwrap();
    assert_eq!(preprocessor(&first), preprocessor(&second), "columns, levels and scales are the model's");
    let cold = ["--csv-path", "new.csv", "--epochs", "1", "--set", "training.warmup_epochs=0"];
    let cold = dir.run(&[&flags[..], &cold].concat()).ok().json();
    let rmse = |json: &serde_json::Value| json["metrics"]["test_rmse"].as_f64().unwrap();
    assert!(rmse(&second) < rmse(&cold) / 2.0, "{} against {} from scratch", rmse(&second), rmse(&cold));

    // Another split of the file that the model comes from has test rows that it has seen.
    let same = ["--csv-path", "old.csv", "--set", &from, "--seed", "7", "--epochs", "1"];
    let leak = dir.run(&[&flags[..], &same, &["--set", "training.warmup_epochs=0"]].concat());
    assert_eq!(leak.code, 2);
    assert!(leak.stderr.contains("has seen test rows"), "{}", leak.stderr);

    dir.write("less.csv", "kind,y\na,1\nb,2\na,3\nb,4\na,5\n");
    let missing = dir.run(&[&flags[..], &["--csv-path", "less.csv", "--set", &from]].concat());
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("`x`") && missing.stderr.contains("less.csv"), "{}", missing.stderr);
}

#[test]
fn class_weights_shift_the_predictions_to_the_rare_class() {
    let dir = Workdir::new();
    let recall = |weights: &str| {
        let json = dir.run(&short(&["--json", "--no-mlflow", "--set", weights])).ok().json();
        json["metrics"]["test_recall"].as_f64().unwrap()
    };
    assert!(recall("training.class_weights=balanced") > recall("training.class_weights=none") + 0.2);
    assert!(recall("training.class_weights={good: 20}") > 0.8);
    // Classes may have numbers for names.
    let numbered = ["--set", "data.target_bins.labels=['0', '1']", "--set", "training.class_weights={1: 20}"];
    let json = dir.run(&short(&[&numbered[..], &["--json", "--no-mlflow"]].concat())).ok().json();
    assert!(json["metrics"]["test_recall"].as_f64().unwrap() > 0.8);
    let unknown = dir.run(&short(&["--set", "training.class_weights={god: 2}"]));
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("`training.class_weights.god`: no class `god`"), "{}", unknown.stderr);
}

#[test]
fn the_learning_rate_finder_draws_and_suggests_and_changes_nothing() {
    let dir = Workdir::new();
    let with = dir.run(&short(&["--json", "--set", "find_learning_rate=true"])).ok().json();
    let without = dir.run(&short(&["--json"])).ok().json();
    assert_eq!(with["metrics"], without["metrics"]);
    assert!(dir.path(with["outputs"].as_str().unwrap()).join("plots/learning_rate_finder.png").exists());
    let run = dir.store().run(with["run_id"].as_str().unwrap()).unwrap();
    assert!((1e-5..1.0).contains(&run.metrics["suggested_learning_rate"].value));
}

#[test]
fn a_run_is_repeated_from_its_effective_config() {
    let dir = Workdir::new();
    let first = dir.run(&["--json", "--epochs", "2", "--seed", "5", "--set", "training.warmup_epochs=0.5"]).ok().json();
    let config = format!("{}/configs/effective_app_config.yaml", first["outputs"].as_str().unwrap());
    let again = dir.run(&["--json", "-c", &config]).ok().json();
    assert_eq!(first["metrics"], again["metrics"]);
}

#[test]
fn credentials_reach_no_file_and_no_screen() {
    let dir = Workdir::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("http://user:planted-secret@127.0.0.1:{port}/x.csv?token=planted-secret");
    let set = [format!("data.url={url}"), "data.path=x.csv".to_owned(), "data.source=null".to_owned()];
    let args: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
    let shown = dir.run(&[&args[..], &["--print-config"]].concat()).ok();
    let failed = dir.run(&args);
    assert_eq!(failed.code, 1);
    assert!(failed.stderr.contains(&format!("cannot download `http://127.0.0.1:{port}/x.csv`")), "{}", failed.stderr);
    let mut texts = vec![shown.stdout, failed.stderr];
    for file in files_below(dir.folder.path()) {
        texts.push(String::from_utf8_lossy(&fs::read(dir.path(&file)).unwrap()).into_owned());
    }
    assert!(texts.len() > 5, "config, log, database and error tag were looked at");
    assert!(!texts.iter().any(|text| text.contains("planted-secret")));
}

#[test]
fn a_diverging_run_is_failed_with_the_reason() {
    let dir = Workdir::new();
    let args = ["--learning-rate", "100", "--set", "training.optimizer=sgd", "--set", "training.gradient_clip_norm=0"];
    let finished = dir.run(&[&args[..], &["--set", "model.activation=elu", "--epochs", "20"]].concat());
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("the loss became"), "{}", finished.stderr);
    assert!(finished.stderr.contains("hint: lower `training.learning_rate`"), "{}", finished.stderr);
    let run = &dir.runs()[0];
    assert_eq!(run.info.status, RunStatus::Failed);
    assert!(run.tags["error"].contains("the loss became"));
}

#[test]
fn quiet_says_nothing_but_the_result_and_json_is_one_object() {
    let dir = Workdir::new();
    let finished = dir.run(&short(&["--quiet", "--json"])).ok();
    assert_eq!(finished.stderr, "");
    let json = finished.json();
    assert_eq!(json["run_id"], dir.runs()[0].info.run_id);
    assert!(json["metrics"]["test_auc"].as_f64().unwrap() > 0.5);
}

/// `script` (util-linux) gives the program a terminal.
#[test]
fn on_a_terminal_it_draws_a_bar() {
    let dir = Workdir::new();
    let program = env!("CARGO_BIN_EXE_train_tabular_mlp");
    // Batches of one row take long enough for the bar to be drawn.
    let line = format!("{program} --no-mlflow --batch-size 1 {} --device auto", SHORT.join(" "));
    let mut command = std::process::Command::new("script");
    let Ok(output) = command.args(["-qec", &line, "/dev/null"]).current_dir(dir.folder.path()).output() else {
        println!("SKIPPED: no `script` on this machine");
        return;
    };
    let screen = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{screen}");
    for part in ["epoch 3/3 [===", "val_loss", "FINISHED, best epoch"] {
        assert!(screen.contains(part), "no `{part}` on\n{screen}");
    }
}

#[test]
fn log_file_is_text_or_json() {
    for (format, profile) in [("text", vec![]), ("json", vec!["--env", "prod"])] {
        let dir = Workdir::new();
        dir.run(&short(&[&profile[..], &["--no-mlflow"]].concat())).ok();
        let logs = files_below(&dir.path("logs"));
        assert_eq!(logs.len(), 1);
        let text = fs::read_to_string(dir.path("logs").join(logs.first().unwrap())).unwrap();
        let first = text.lines().find(|line| line.contains("epoch 1/3")).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(first).is_ok(), format == "json", "{first}");
    }
}

#[test]
fn the_schemas_in_configs_are_current() {
    let programs = [
        ("train_tabular_mlp", env!("CARGO_BIN_EXE_train_tabular_mlp")),
        ("train_ts_mlp", env!("CARGO_BIN_EXE_train_ts_mlp")),
        ("evaluate", env!("CARGO_BIN_EXE_evaluate")),
        ("drift", env!("CARGO_BIN_EXE_drift")),
        ("tune", env!("CARGO_BIN_EXE_tune")),
    ];
    for (name, program) in programs {
        let printed = Workdir::new().command_of(program, &["--print-schema"]).output().unwrap();
        let file = format!("configs/schema/{name}.schema.json");
        let committed = fs::read_to_string(root().join(&file)).unwrap_or_default();
        let command = format!("cargo run --bin {name} -- --print-schema > {file}");
        assert!(Finished::from(printed).ok().stdout == committed, "the schema is out of date: run `{command}`");
    }
}

/// At most three times the numeric matrix, and what the program needs for itself: the raw table goes as the rows are
/// encoded, and the rows are in memory once.
#[cfg(target_os = "linux")]
#[test]
fn memory_follows_the_numeric_matrix() {
    const ROWS: u32 = 600_000;
    const MATRIX_KB: u64 = ROWS as u64 * 20 * 4 / 1024;
    /// Code, the data report's sample, the pictures, what the allocator keeps at hand: less and less beside more rows.
    const PROGRAM_KB: u64 = 160 * 1024;
    let names: Vec<String> = (0..20).map(|column| format!("x{column}")).collect();
    let mut text = format!("{},y\n", names.join(","));
    let mut state = 1u32;
    for _ in 0..ROWS {
        let mut sum = 0;
        for _ in 0..20 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            sum += state >> 16;
            text += &format!("{}.{:04},", state >> 28, (state >> 12) % 10_000);
        }
        text += if sum > 20 * 32_768 { "1\n" } else { "0\n" };
    }
    let dir = Workdir::new();
    dir.write("data.csv", &text);
    let args = ["--csv-path", "data.csv", "--target-column", "y", "--epochs", "1", "--no-mlflow", "--quiet"];
    let mut command =
        dir.command(&[&args[..], &["--set", "training.batch_size=2048", "--set", "baselines=[]"]].concat());
    let mut child = command.args(["--set", "training.warmup_epochs=0"]).spawn().unwrap();
    let status = Path::new("/proc").join(child.id().to_string()).join("status");
    let mut peak_kb = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak_kb = peak.unwrap_or(0).max(peak_kb);
        sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    println!("peak {peak_kb} kB, matrix {MATRIX_KB} kB");
    assert!(peak_kb > MATRIX_KB && peak_kb < 3 * MATRIX_KB + PROGRAM_KB, "{peak_kb} kB");
}
