//! A panic inside a recipe. The only test of its process, because logging and signal handling are set up once.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::path::Path;

use app::cli::CommonFlags;
use app::config::{Override, load};
use app::history::ResultTable;
use app::program::ProgramConfig;
use app::recipes::tabular_mlp::Config;
use app::session::{Session, Setup, run_tracked};
use support::{Workdir, root};
use tracking::RunStatus;

#[test]
fn a_panic_is_a_failed_run_with_the_reason() {
    let dir = Workdir::new();
    let folder = dir.folder.path().display();
    let mut overrides = vec![format!("mlflow.tracking_uri=sqlite:///{folder}/mlflow.db")];
    for (key, name) in
        [("models_dir", "models"), ("logs_dir", "logs"), ("artifacts_dir", "mlruns"), ("spool_dir", "spool")]
    {
        overrides.push(format!("paths.{key}={folder}/{name}"));
    }
    let overrides: Vec<Override> = overrides.iter().map(|text| Override::parse_set(text).unwrap()).collect();
    let file = root().join("configs/train_tabular_baseline.yaml");
    let loaded = load::<Config>(Some(&file), None, &overrides, Config::check).unwrap();
    let config: &Config = &loaded.config;
    let (mlflow, paths, logging) = (&config.mlflow, &config.paths, &config.logging);
    let setup = Setup {
        mlflow,
        paths,
        logging,
        run_name: "panics".to_owned(),
        tags: vec![],
        resumed: None,
        original: None,
        is_helper: false,
    };
    let recipe = |_: &Config, _: &Session| -> anyhow::Result<ResultTable> { panic!("row {} is odd", 7) };
    let error = run_tracked(&loaded, &CommonFlags::default(), &setup, recipe).unwrap_err();
    assert!(error.to_string().contains("the program panicked: row 7 is odd"), "{error}");

    let run = &dir.runs()[0];
    assert_eq!(run.info.status, RunStatus::Failed);
    assert!(run.tags["error"].contains("row 7 is odd"));
    let artifacts = Path::new(&run.info.artifact_uri);
    assert!(artifacts.join("error.txt").exists() && artifacts.join("logs").is_dir());
}
