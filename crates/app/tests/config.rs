//! Where values come from, and what is said about wrong ones. All through the program.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use support::{Finished, Workdir};

/// Runs with `--print-config`, which loads and checks everything and trains nothing.
fn print_config(dir: &Workdir, args: &[&str], env: &[(&str, &str)]) -> Finished {
    Finished::from(dir.command(&[args, &["--print-config"]].concat()).envs(env.iter().copied()).output().unwrap())
}

fn line_of(finished: &Finished, key: &str) -> String {
    let line = finished.stdout.lines().find(|line| line.trim_start().starts_with(&format!("{key}:")));
    let words: Vec<&str> = line
        .unwrap_or_else(|| panic!("no `{key}` in\n{}{}", finished.stdout, finished.stderr))
        .split_whitespace()
        .collect();
    words.join(" ")
}

#[test]
fn flags_win_over_environment_over_profile_over_file_over_defaults() {
    let dir = Workdir::new();
    let file = "configs/train_tabular_baseline.yaml";
    let base = print_config(&dir, &[], &[]);
    assert_eq!(line_of(&base, "momentum"), "momentum: 0.9 # default");
    assert_eq!(line_of(&base, "epochs"), format!("epochs: 100 # {file}"));
    let profile = print_config(&dir, &["--env", "dev"], &[]);
    assert_eq!(line_of(&profile, "epochs"), format!("epochs: 15 # profile dev of {file}"));
    let profile = print_config(&dir, &[], &[("ML_TABULAR_ENV", "dev")]);
    assert_eq!(line_of(&profile, "epochs"), format!("epochs: 15 # profile dev of {file}"));
    let variable = [("ML_TABULAR_TRAINING__EPOCHS", "7")];
    let environment = print_config(&dir, &["--env", "dev"], &variable);
    assert_eq!(line_of(&environment, "epochs"), "epochs: 7 # environment variable ML_TABULAR_TRAINING__EPOCHS");
    let set = print_config(&dir, &["--set", "training.epochs=5"], &variable);
    assert_eq!(line_of(&set, "epochs"), "epochs: 5 # --set training.epochs");
    let flag = print_config(&dir, &["--epochs", "4"], &variable);
    assert_eq!(line_of(&flag, "epochs"), "epochs: 4 # --epochs");
}

#[test]
fn mlflow_variables_are_honoured_below_our_own() {
    let dir = Workdir::new();
    let mlflow = ("MLFLOW_TRACKING_URI", "http://a:5000");
    let shown = print_config(&dir, &[], &[mlflow]);
    assert_eq!(
        line_of(&shown, "tracking_uri"),
        "tracking_uri: \"http://a:5000\" # environment variable MLFLOW_TRACKING_URI"
    );
    let shown = print_config(&dir, &[], &[mlflow, ("ML_TABULAR_MLFLOW__TRACKING_URI", "http://b:5000")]);
    assert!(line_of(&shown, "tracking_uri").starts_with("tracking_uri: \"http://b:5000\""));
    let off = print_config(&dir, &[], &[("ML_TABULAR_MLFLOW__ENABLED", "false")]);
    assert!(line_of(&off, "enabled").starts_with("enabled: false # environment variable"));
}

#[test]
fn named_flags_set_their_keys() {
    let dir = Workdir::new();
    let shown = print_config(
        &dir,
        &[
            "--hidden-dims",
            "32,16",
            "--csv-path",
            "x.csv",
            "--id-column",
            "id",
            "--learning-rate",
            "1e-4",
            "--no-mlflow",
        ],
        &[],
    );
    assert!(line_of(&shown, "hidden_dims").starts_with("hidden_dims: [32,16]"));
    assert!(line_of(&shown, "path").starts_with("path: x.csv"));
    assert!(line_of(&shown, "source").starts_with("source: null # --csv-path"));
    assert!(line_of(&shown, "id_columns").starts_with("id_columns: [\"id\"]"));
    assert!(line_of(&shown, "learning_rate").starts_with("learning_rate: 0.0001"));
}

/// (arguments, YAML written to my.yaml, parts of the message)
#[test]
fn mistakes_are_named_with_file_key_and_a_way_out() {
    let cases: [(&[&str], &str, &[&str]); 19] = [
        (
            &["--set", "trainig.epochs=3"],
            "",
            &["unknown key `trainig` in `--set trainig.epochs`", "did you mean `training`?"],
        ),
        (
            &["-c", "my.yaml"],
            "model:\n  hiden_dims: [4]\n",
            &["unknown key `model.hiden_dims` in `my.yaml`", "did you mean `model.hidden_dims`?"],
        ),
        (
            &["-c", "my.yaml"],
            "training:\n  lr: 0.1\n",
            &["unknown key `training.lr`", "did you mean `training.learning_rate`?"],
        ),
        (&["-c", "my.yaml"], "epochs: 3\n", &["unknown key `epochs`", "did you mean `training.epochs`?"]),
        (
            &["-c", "my.yaml"],
            "training: {epochs: ten}\n",
            &["`training.epochs` in `my.yaml`", "found string \"ten\"", "a whole number"],
        ),
        (&["-c", "my.yaml"], "training: {epochs: -1}\n", &["`training.epochs`", "`my.yaml`"]),
        (
            &["-c", "my.yaml"],
            "training: {epochs: 0}\n",
            &["`training.epochs`: `0` is not between 1 and 10000000", "set by `my.yaml`"],
        ),
        (
            &["-c", "my.yaml"],
            "model: {activation: rellu}\n",
            &["`model.activation`", "`rellu` is not one of", "did you mean `relu`?"],
        ),
        (&["-c", "my.yaml"], "model: {dropout: 1.5}\n", &["`model.dropout`: `1.5` is not in 0 <= dropout < 1"]),
        (&["-c", "my.yaml"], "model: [1]\n", &["`model` in `my.yaml`", "a section with keys"]),
        (&["-c", "my.yaml"], "model: {a: 1\n", &["`my.yaml` is not valid YAML", "line"]),
        (&["-c", "my.yaml"], "data: {target_bins: {egdes: [1]}}\n", &["unknown key `egdes`", "did you mean `edges`?"]),
        (&["-c", "no.yaml"], "", &["cannot read config `no.yaml`", "--config FILE"]),
        (&["--env", "pord"], "", &["has no profile `pord`", "did you mean `prod`?", "dev, prod"]),
        (&["--set", "training.epochs"], "", &["has no `=`"]),
        (
            &["-c", "my.yaml"],
            "profiles: {dev: {training: {epoch: 1}}}\n",
            &["unknown key `training.epoch` in profile `dev`", "did you mean `training.epochs`?"],
        ),
        (&["-c", "my.yaml"], "profiles: [dev]\n", &["`profiles` in `my.yaml` is not a mapping"]),
        (&["--set", "data.positive_class=1"], "", &["`data.positive_class`", "needs quotes"]),
        (&["--learning-rate", "0"], "", &["`training.learning_rate`", "set by `--learning-rate`"]),
    ];
    for (args, yaml, parts) in cases {
        let dir = Workdir::new();
        dir.write("my.yaml", if yaml.is_empty() { "" } else { yaml });
        let data = ["--set", "data.source=wine_quality", "--set", "data.target=quality"];
        let finished = dir.run(&[args, &data[..]].concat());
        assert_eq!(finished.code, 2, "{args:?} {yaml}: {}", finished.stderr);
        assert!(finished.stderr.starts_with("error: "), "{}", finished.stderr);
        for part in parts {
            assert!(finished.stderr.contains(part), "{args:?} {yaml}: no `{part}` in\n{}", finished.stderr);
        }
        assert!(
            !dir.path("mlflow.db").exists() && !dir.path("logs").exists(),
            "nothing is written before the config is right"
        );
    }
}

#[test]
fn an_unknown_flag_is_refused_with_the_nearest_one() {
    let finished = Workdir::new().run(&["--epoch", "3"]);
    assert_eq!(finished.code, 2);
    assert!(finished.stderr.contains("'--epochs'"), "{}", finished.stderr);
}

#[test]
fn a_section_with_everything_commented_out_means_the_defaults() {
    let dir = Workdir::new();
    dir.write("my.yaml", "data: {source: wine_quality, target: quality}\nmodel:\n  # hidden_dims: [4]\ntraining:\n");
    let shown = print_config(&dir, &["-c", "my.yaml"], &[]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(line_of(&shown, "hidden_dims").ends_with("# default"));
}

#[test]
fn printed_config_is_a_config() {
    let dir = Workdir::new();
    let first = print_config(&dir, &["--epochs", "9"], &[]);
    dir.write("again.yaml", &first.stdout);
    let second = print_config(&dir, &["-c", "again.yaml"], &[]);
    let values = |finished: &Finished| -> serde_yaml::Value { serde_yaml::from_str(&finished.stdout).unwrap() };
    assert_eq!(values(&first), values(&second));
}

#[test]
fn a_device_that_the_build_lacks_is_named_with_its_cargo_feature() {
    let dir = Workdir::new();
    for (device, is_built) in
        [("auto", true), ("cpu", true), ("cuda", cfg!(feature = "cuda")), ("wgpu", cfg!(feature = "wgpu"))]
    {
        let finished = print_config(&dir, &["--device", device], &[]);
        assert_eq!(finished.code, if is_built { 0 } else { 2 }, "{}", finished.stderr);
        let command = format!("cargo run --features {device} --bin train_tabular_mlp");
        assert_eq!(finished.stderr.contains(&command), !is_built, "{}", finished.stderr);
    }
}
