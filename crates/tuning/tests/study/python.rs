//! Optuna reads our studies and works on them beside us.

use std::env;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tuning::{Outcome, RetryConfig, Study, StudySettings, TrialState, Values};

use crate::{Base, ask, settings, workers};

/// Standard output of a script; `None` without a Python that has Optuna.
pub fn run(script: &str, arguments: &[&str]) -> Option<String> {
    let Ok(python) = env::var("PEER_PYTHON") else {
        eprintln!("skipped: Optuna, because PEER_PYTHON names no Python");
        return None;
    };
    let mut command = Command::new(python);
    command.args(["-W", "ignore", "-c", script]).args(arguments).stderr(Stdio::piped());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

const READ: &str = r#"
import json, math, sys, optuna
study = optuna.load_study(study_name="a", storage=sys.argv[1])
trials = [dict(number=t.number, state=t.state.name, params=t.params, value=t.value, steps=sorted(t.intermediate_values.items()),
    user=t.user_attrs, system=t.system_attrs, duration=t.duration and t.duration.total_seconds()) for t in study.trials]
print(json.dumps(dict(trials=trials, best=study.best_trial.number, attrs=study.user_attrs,
    direction=study.direction.name)))
"#;

#[test]
fn optuna_reads_all_that_we_write() {
    for base in Base::all() {
        let mut study = Study::create(&base.url, settings("a", 9)).unwrap();
        study.set_attributes(&[("data".to_owned(), json!({"sha": "ü"}))].into()).unwrap();
        let told = [
            Outcome::Complete(vec![0.5]),
            Outcome::Complete(vec![0.25]),
            Outcome::Complete(vec![f64::INFINITY]),
            Outcome::Pruned,
            Outcome::Failed("no luck".into()),
            Outcome::Requeued,
        ];
        let asked: Vec<_> = told
            .iter()
            .map(|outcome| {
                let trial = ask(&mut study);
                for (step, value) in [(1, f64::NAN), (2, f64::NEG_INFINITY), (3, 0.75)] {
                    study.report(&trial, step, value).unwrap();
                }
                assert!(study.tell(&trial, outcome).unwrap());
                trial
            })
            .collect();
        let Some(output) = run(READ, &[&base.url]) else { return };
        let read: Value = serde_json::from_str(
            &output.replace("-Infinity", "\"-inf\"").replace("Infinity", "\"inf\"").replace("NaN", "\"nan\""),
        )
        .unwrap();
        assert_eq!((&read["best"], &read["direction"]), (&json!(1), &json!("MINIMIZE")));
        assert_eq!(read["attrs"], json!({"data": {"sha": "ü"}}));
        let of = |key: &str| -> Vec<Value> {
            read["trials"].as_array().unwrap().iter().map(|trial| trial[key].clone()).collect()
        };
        assert_eq!(of("state"), ["COMPLETE", "COMPLETE", "COMPLETE", "PRUNED", "FAIL", "FAIL", "WAITING"]);
        assert_eq!(
            of("value"),
            [json!(0.5), json!(0.25), json!("inf"), json!(0.75), Value::Null, Value::Null, Value::Null]
        );
        assert_eq!(of("steps")[3], json!([[1, "nan"], [2, "-inf"], [3, 0.75]]));
        assert_eq!(of("user")[4]["failure"], "no luck");
        assert_eq!(of("params")[6], of("params")[5]);
        assert!(of("duration")[..6].iter().all(|seconds| seconds.as_f64().is_some_and(|s| (0.0..60.0).contains(&s))));
        for (trial, params) in asked.iter().zip(of("params")) {
            assert_eq!(params.as_object().unwrap().len(), trial.params.len());
            for (name, value) in &trial.params {
                let value = match study.settings().space.get(name).unwrap().distribution.to_json(*value) {
                    list @ Value::Array(_) => list.to_string().into(),
                    other => other,
                };
                assert_eq!(params[name], value, "{name}");
            }
        }
    }
}

const DISTRIBUTIONS: &str = r#"
import sys, optuna, optuna.distributions as d
study = optuna.create_study(storage=sys.argv[1], study_name="a")
study.enqueue_trial({"solver": "sgd", "depth": 5, "layers": "[128]", "other": 1, "dropout": 7.0}, user_attrs={"note": "x"})
t = study.ask({"depth": d.IntDistribution(1, 6), "other": d.FloatDistribution(0, 1)})
study.tell(t, 1.0)
study.enqueue_trial({"solver": "sgd", "depth": 4, "layers": "[128]", "other": 1, "dropout": 7.0}, user_attrs={"note": "x"})
study.add_trial(optuna.create_trial(state=optuna.trial.TrialState.WAITING,
    params={"depth": 2, "dropout": 0.3, "solver": "adamw", "layers": "[64,64]", "training.lr": 0.5},
    distributions={"depth": d.IntDistribution(1, 9), "dropout": d.FloatDistribution(0, 1), "training.lr": d.FloatDistribution(0, 1),
        "solver": d.CategoricalDistribution(["adamw", "sgd"]), "layers": d.CategoricalDistribution(["[64,64]", "[128]"])}))
"#;

#[test]
fn we_take_what_optuna_queues() {
    for base in Base::all() {
        if let Some(file) = &base.file {
            std::fs::create_dir(file.parent().unwrap()).unwrap();
        }
        if run(DISTRIBUTIONS, &[&base.url]).is_none() {
            return;
        }
        let mut study = Study::open(&base.url, settings("a", 9)).unwrap();
        let theirs = study.trials().unwrap()[0].clone();
        assert_eq!((theirs.state, &theirs.params), (TrialState::Complete, &Values::from([("depth".into(), 5.0)])));
        let fixed = ask(&mut study);
        assert_eq!((fixed.params["solver"], fixed.params["depth"], fixed.params["layers"]), (1.0, 4.0, 1.0));
        assert!(fixed.params["dropout"] <= 0.6, "what is not of our space is proposed");
        assert_eq!(fixed.user_attributes["note"], "x");
        let copied = ask(&mut study);
        assert_eq!((copied.params["depth"], copied.params["dropout"], copied.params["layers"]), (2.0, 0.3, 0.0));
        assert!(copied.params["training.lr"] <= 0.1 && copied.params.contains_key("solver"));
    }
}

const OPTIMIZE: &str = r#"
import random, sys, time, optuna
storage = optuna.storages.RDBStorage(sys.argv[1], heartbeat_interval=1, grace_period=60,
    heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=3))
study = optuna.load_study(study_name="a", storage=storage, sampler=optuna.samplers.RandomSampler(seed=int(sys.argv[2])))
def objective(trial):
    lr = trial.suggest_float("training.lr", 1e-5, 0.1, log=True)
    x = trial.suggest_float("dropout", 0.0, 0.6, step=0.05)
    trial.suggest_int("depth", 1, 6)
    trial.suggest_categorical("layers", ["[64,64]", "[128]"])
    if trial.suggest_categorical("solver", ["adamw", "sgd", None]) == "sgd":
        trial.suggest_float("momentum", 0.0, 0.99)
    for step in range(1, 6):
        time.sleep(random.random() * 0.01)
        trial.report(x, step)
    return x
if sys.argv[3] == "queue":
    study.enqueue_trial({"dropout": 0.0})
study.optimize(objective, n_trials=10)
assert all(t.state.is_finished() or t.state.name in ("WAITING", "RUNNING") for t in study.trials)
"#;

const ANALYSE: &str = r#"
import sys, optuna
from optuna import importance, visualization
study = optuna.load_study(study_name="a", storage=sys.argv[1])
numbers = [t.number for t in study.trials]
assert numbers == list(range(len(numbers))), numbers
importance.get_param_importances(study, evaluator=importance.PedAnovaImportanceEvaluator())
find = __import__("importlib.util").util.find_spec
plots = visualization if find("plotly") else visualization.matplotlib if find("matplotlib") else None
if find("matplotlib"):
    import matplotlib
    matplotlib.use("Agg")
for plot in ("optimization_history", "intermediate_values", "parallel_coordinate", "slice", "param_importances",
        "timeline", "edf", "rank", "contour") if plots else ():
    getattr(plots, "plot_" + plot)(study)
if find("pandas"):
    study.trials_dataframe()
print(sum(t.state.is_finished() for t in study.trials), plots.__name__ if plots else "no plots")
"#;

#[test]
fn optuna_works_beside_us() {
    for base in Base::all() {
        if run("import optuna", &[]).is_none() {
            return;
        }
        let retry = RetryConfig { max: 2, heartbeat_seconds: 1, grace_seconds: 60, outage_seconds: 60 };
        let settings = StudySettings { retry, ..settings("a", 60) };
        let mut study = Study::create(&base.url, settings.clone()).unwrap();
        thread::scope(|scope| {
            for seed in ["1", "2"] {
                let url = &base.url;
                // In a file two Optunas may take the same trial from the queue, and one of them dies of it.
                let queue = if base.file.is_none() { "queue" } else { "" };
                scope.spawn(move || run(OPTIMIZE, &[url, seed, queue]).unwrap());
            }
            // Python takes its time to start.
            while study.trials().unwrap().is_empty() {
                thread::sleep(Duration::from_millis(20));
            }
            for seed in 0..2 {
                let (url, settings) = (&base.url, settings.clone());
                scope.spawn(move || workers::work(url, settings, seed, 4));
            }
        });
        let trials = study.trials().unwrap();
        let n_ours = trials.iter().filter(|trial| trial.user_attributes.contains_key("worker")).count();
        assert!(trials.len() >= 60 && n_ours >= 20, "{n_ours} of {}", trials.len());
        assert!(trials.iter().all(|trial| trial.params.len() >= 5), "theirs are of our space");
        let n_trials = trials.len();
        eprintln!("{n_ours} of {n_trials}; {}", run(ANALYSE, &[&base.url]).unwrap());
    }
}

const STALE: &str = r#"
import sys, optuna
storage = optuna.storages.RDBStorage(sys.argv[1], heartbeat_interval=1, grace_period=60,
    heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=3))
study = optuna.load_study(study_name="a", storage=storage)
optuna.storages.fail_stale_trials(study)
print([t.state.name for t in study.trials])
"#;

#[test]
fn both_agree_who_is_dead() {
    for base in Base::all() {
        let mut study = Study::create(&base.url, settings("a", 9)).unwrap();
        let trial = ask(&mut study);
        let Some(states) = run(STALE, &[&base.url]) else { return };
        assert_eq!(states.trim(), "['RUNNING']", "its sign of life is new, by the clock of the database");
        base.age(&trial);
        let states = run(STALE, &[&base.url]).unwrap();
        assert_eq!(states.trim(), "['FAIL', 'WAITING']");
        assert!(!study.tell(&trial, &Outcome::Complete(vec![1.0])).unwrap());
        let again = ask(&mut study);
        assert_eq!((again.number, again.params), (1, trial.params));
        assert_eq!(again.system_attributes["retry_history"], json!([0]));
    }
}
