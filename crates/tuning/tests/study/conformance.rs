//! What holds on every database.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use serde_json::json;
use tuning::{
    Ask, Direction, Distribution, Error, Outcome, PruneConfig, PrunerKind, RetryConfig, SamplerKind, Space, Study,
    StudySettings, TrialState, Values, Verdict,
};

use crate::{Base, ask, param, server, settings};

#[test]
fn a_study_is_made_once_and_joined() {
    for base in Base::all() {
        assert_eq!(Study::names(&base.url).unwrap(), Vec::<String>::new());
        let missing = Study::open(&base.url, settings("a", 1)).err().unwrap();
        assert!(matches!(missing, Error::NotFound { .. }), "{missing}");
        assert!(!missing.to_string().contains("s3cret"), "{missing}");
        if let Some(file) = &base.file {
            assert!(!file.exists(), "looking makes no file");
        }
        Study::create(&base.url, settings("a", 1)).unwrap();
        let two = StudySettings { directions: vec![Direction::Minimize, Direction::Maximize], ..settings("b", 1) };
        Study::create(&base.url, two.clone()).unwrap();
        assert!(matches!(Study::create(&base.url, settings("a", 1)), Err(Error::Exists(name)) if name == "a"));
        assert_eq!(Study::names(&base.url).unwrap(), ["a", "b"]);
        Study::open(&base.url, two).unwrap();
        assert!(matches!(Study::open(&base.url, settings("b", 1)), Err(Error::Directions(_))));
        assert!(matches!(Study::open(&base.url, settings("c", 1)), Err(Error::NotFound { .. })));
    }
}

#[test]
fn connections_are_encrypted_on_demand() {
    let (Some(base), Some(certificate)) = (Base::postgres(), server::certificate()) else { return };
    let url = base.url.replace("127.0.0.1", "localhost");
    let trusted = format!("{url}?sslmode=require&sslrootcert={certificate}");
    let mut study = Study::create(&trusted, settings("a", 1)).unwrap();
    let trial = ask(&mut study);
    assert!(study.tell(&trial, &Outcome::Complete(vec![1.0])).unwrap());
    base.sql(
        "DO $$ BEGIN ASSERT (SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
            WHERE ssl AND datname = current_database()) = 1; END $$",
    );
    let other_name = trusted.replace("localhost", "127.0.0.1");
    for url in [format!("{url}?sslmode=require"), other_name] {
        let error = Study::names(&url).err().unwrap().to_string();
        assert!(error.contains("certificate") && !error.contains("s3cret"), "{error}");
    }
    let error = Study::names(&format!("{url}?sslmode=verify-full&sslrootcert=/no/such.pem")).err().unwrap();
    assert!(error.to_string().contains("`/no/such.pem`"), "{error}");
}

#[test]
fn attributes_are_kept() {
    for base in Base::all() {
        let mut study = Study::create(&base.url, settings("a", 1)).unwrap();
        assert_eq!(study.attribute("space").unwrap(), None);
        let values = BTreeMap::from([("space".to_owned(), json!({"x": [1e-7, "ü"]})), ("n".to_owned(), json!(1))]);
        study.set_attributes(&values).unwrap();
        study.set_attributes(&BTreeMap::from([("n".to_owned(), json!(2))])).unwrap();
        let mut other = Study::open(&base.url, settings("a", 1)).unwrap();
        assert_eq!(other.attribute("space").unwrap(), Some(values["space"].clone()));
        assert_eq!(other.attribute("n").unwrap(), Some(json!(2)));
        let long = BTreeMap::from([("long".to_owned(), json!("x".repeat(3000)))]);
        let error = study.set_attributes(&long).unwrap_err();
        assert!(matches!(error, Error::TooLong { length: 3002, .. }), "{error}");

        let trial = ask(&mut study);
        study.set_trial_attribute(&trial, "run", &json!("abc")).unwrap();
        assert!(study.tell(&trial, &Outcome::Complete(vec![1.0])).unwrap());
        study.trials().unwrap();
        study.set_trial_attribute(&trial, "late", &json!([1])).unwrap();
        let attributes = study.trials().unwrap()[0].user_attributes.clone();
        assert_eq!((&attributes["run"], &attributes["late"]), (&json!("abc"), &json!([1])));
        assert_eq!(other.trials().unwrap()[0].user_attributes, attributes);
    }
}

#[test]
fn every_outcome_is_kept() {
    for base in Base::all() {
        let mut study = Study::create(&base.url, settings("a", 5)).unwrap();
        let complete = ask(&mut study);
        assert_eq!(study.report(&complete, 1, f64::NAN).unwrap(), Verdict::Continue);
        assert_eq!(study.report(&complete, 2, f64::INFINITY).unwrap(), Verdict::Continue);
        study.report(&complete, 2, 0.5).unwrap();
        study.report(&complete, 3, f64::NEG_INFINITY).unwrap();
        assert!(study.tell(&complete, &Outcome::Complete(vec![0.25])).unwrap());
        assert!(!study.tell(&complete, &Outcome::Complete(vec![0.5])).unwrap(), "it is finished");
        assert_eq!(study.report(&complete, 4, 1.0).unwrap(), Verdict::Lost);
        let pruned = ask(&mut study);
        study.report(&pruned, 1, 3.0).unwrap();
        assert!(study.tell(&pruned, &Outcome::Pruned).unwrap());
        let failed = ask(&mut study);
        assert!(study.tell(&failed, &Outcome::Failed("ü".repeat(9000))).unwrap());
        let stopped = ask(&mut study);
        study.report(&stopped, 1, 3.0).unwrap();
        assert!(study.tell(&stopped, &Outcome::Requeued).unwrap());
        assert!(matches!(study.tell(&stopped, &Outcome::Complete(vec![])), Err(Error::Values { .. })));
        let again = ask(&mut study);
        assert_eq!((again.number, &again.params), (4, &stopped.params));
        assert!(study.tell(&again, &Outcome::Complete(vec![f64::NAN])).unwrap());
        let last = ask(&mut study);
        assert!(study.tell(&last, &Outcome::Complete(vec![f64::INFINITY])).unwrap());
        assert!(matches!(study.ask().unwrap(), Ask::Done), "5 trials, for 2 and its copy count once");

        let mut other = Study::open(&base.url, settings("a", 5)).unwrap();
        let trials = other.trials().unwrap();
        let states: Vec<TrialState> = trials.iter().map(|trial| trial.state).collect();
        use TrialState::{Complete, Fail, Pruned};
        assert_eq!(states, [Complete, Pruned, Fail, Fail, Fail, Complete]);
        assert!(trials.iter().zip(0..).all(|(trial, number)| trial.number == number));
        assert_eq!((trials[0].params.clone(), &trials[0].values[..]), (complete.params, &[0.25][..]));
        assert_eq!((&trials[1].values[..], trials[5].values[0]), (&[][..], f64::INFINITY));
        let steps: Vec<(i64, f64)> = trials[0].intermediate.iter().map(|(step, value)| (*step, *value)).collect();
        assert!(steps[0].1.is_nan() && steps[1..] == [(2, 0.5), (3, f64::NEG_INFINITY)], "{steps:?}");
        assert!(trials.iter().all(|trial| trial.started.is_some() && trial.started <= trial.ended));
        assert!(trials[2].user_attributes["failure"].as_str().unwrap().starts_with("üü"));
        let reason = "its program was stopped; queued again as trial 4";
        assert!(trials[3].user_attributes.values().any(|text| text == reason));
        assert_eq!(trials[4].user_attributes["failure"], "a value is NaN");
        assert_eq!(trials[4].system_attributes["requeued_trial"], 3);
    }
}

#[test]
fn the_queue_comes_first() {
    for base in Base::all() {
        let mut study = Study::create(&base.url, settings("a", 3)).unwrap();
        let first = Values::from([("depth".into(), 3.0), ("solver".into(), 1.0), ("layers".into(), 1.0)]);
        study.enqueue(&first).unwrap();
        study.enqueue(&Values::new()).unwrap();
        study.enqueue(&Values::new()).unwrap();
        study.enqueue(&Values::new()).unwrap();
        for (name, value) in [("depth", 7.0), ("depth", 1.5), ("solver", 3.0), ("unknown", 0.0)] {
            let error = study.enqueue(&Values::from([(name.into(), value)])).unwrap_err();
            assert!(matches!(error, Error::Fixed(_)), "{error}");
        }
        let queued = study.trials().unwrap().to_vec();
        assert!(queued.iter().all(|trial| trial.state == TrialState::Waiting && trial.started.is_none()));
        let external = json!({"depth": 3, "layers": "[128]", "solver": "sgd"});
        assert_eq!(queued[0].system_attributes["fixed_params"], external);
        let trial = ask(&mut study);
        assert_eq!((trial.number, trial.state), (0, TrialState::Running));
        assert!(first.iter().all(|(name, value)| trial.params[name] == *value), "{:?}", trial.params);
        assert!(trial.params.contains_key("momentum") && trial.params.contains_key("training.lr"));
        ask(&mut study);
        ask(&mut study);
        assert!(matches!(study.ask().unwrap(), Ask::Done), "one that is queued does not exceed `n_trials`");
        assert_eq!(study.trials().unwrap()[0].params, trial.params);
    }
}

#[test]
fn a_grid_ends() {
    for base in Base::all() {
        let space =
            Space::new(vec![param("depth", Distribution::Int { low: 1, high: 3, log: false, step: 1 })]).unwrap();
        let mut grid = StudySettings { space, ..settings("a", 9) };
        grid.search.name = SamplerKind::Grid;
        let mut study = Study::create(&base.url, grid.clone()).unwrap();
        let mut other = Study::open(&base.url, grid).unwrap();
        let trials = [ask(&mut study), ask(&mut other), ask(&mut study)];
        let depths: BTreeSet<i64> = trials.iter().map(|trial| trial.params["depth"] as i64).collect();
        assert_eq!(depths, BTreeSet::from([1, 2, 3]));
        assert!(matches!(study.ask().unwrap(), Ask::Wait), "the other one still works");
        assert!(other.tell(&trials[1], &Outcome::Complete(vec![0.0])).unwrap());
        assert!(matches!(study.ask().unwrap(), Ask::Done));
        assert_eq!(study.trials().unwrap().len(), 3, "no trial is left over");
    }
}

#[test]
fn the_pruner_is_asked() {
    for base in Base::all() {
        let prune = PruneConfig { name: PrunerKind::Asha, min: 2, factor: 2, startup: 1 };
        let mut study = Study::create(&base.url, StudySettings { prune, ..settings("a", 9) }).unwrap();
        for _ in 0..3 {
            let good = ask(&mut study);
            for step in 1..=20 {
                assert_eq!(study.report(&good, step, 0.1).unwrap(), Verdict::Continue);
            }
            study.tell(&good, &Outcome::Complete(vec![0.1])).unwrap();
        }
        let bad = ask(&mut study);
        assert_eq!(study.report(&bad, 1, 0.9).unwrap(), Verdict::Continue);
        assert_eq!(study.report(&bad, 2, 0.9).unwrap(), Verdict::Prune);
        assert!(study.tell(&bad, &Outcome::Pruned).unwrap());
        let trials = study.trials().unwrap();
        assert_eq!((trials[3].state, trials[3].intermediate.len()), (TrialState::Pruned, 2));
        assert_eq!(trials[3].system_attributes["completed_rung_0"], 0.9);
    }
}

#[test]
fn trials_of_dead_workers_come_back() {
    for base in Base::all() {
        let mut dead = Study::create(&base.url, settings("a", 1)).unwrap();
        let mut numbers = vec![];
        for retry in 0..=2 {
            let lost = ask(&mut dead);
            numbers.push(lost.number);
            dead.report(&lost, 1, 1.0).unwrap();
            base.age(&lost);
            // Two look at the same time.
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| Study::open(&base.url, settings("a", 1)).unwrap().beat().unwrap());
                }
            });
            assert_eq!(dead.report(&lost, 2, 1.0).unwrap(), Verdict::Lost);
            assert!(!dead.tell(&lost, &Outcome::Complete(vec![1.0])).unwrap());
            let trials = dead.trials().unwrap();
            assert_eq!(trials.len(), if retry < 2 { retry + 2 } else { 3 }, "one copy, and only two retries");
            assert_eq!((trials[retry].state, trials[retry].intermediate.len()), (TrialState::Fail, 1));
            let Some(copy) = trials.get(retry + 1) else { continue };
            assert_eq!((copy.state, &copy.params), (TrialState::Waiting, &lost.params));
            assert_eq!(copy.system_attributes["failed_trial"], 0);
            assert_eq!(copy.system_attributes["retry_history"], json!(numbers));
            assert!(!copy.user_attributes.contains_key("worker") && copy.intermediate.is_empty());
        }
        assert!(matches!(dead.ask().unwrap(), Ask::Done), "the last one has failed for good");
        let failure = dead.trials().unwrap()[2].user_attributes["failure"].clone();
        assert!(failure.as_str().unwrap().ends_with("not queued again after 2 retries"), "{failure}");
    }
}

#[test]
fn a_worker_that_beats_lives() {
    for base in Base::all() {
        let mut study = Study::create(&base.url, settings("a", 1)).unwrap();
        let mut other = Study::open(&base.url, settings("a", 1)).unwrap();
        let trial = ask(&mut study);
        other.beat().unwrap();
        base.age(&trial);
        study.beat().unwrap();
        other.beat().unwrap();
        assert!(matches!(other.ask().unwrap(), Ask::Wait));
        base.sql("DELETE FROM trial_heartbeats");
        other.beat().unwrap();
        assert!(matches!(other.ask().unwrap(), Ask::Done), "who gives no signs of life does not come back");
        assert!(study.tell(&trial, &Outcome::Complete(vec![1.0])).unwrap());
    }
}

#[test]
fn orphans_are_requeued_at_once() {
    for base in Base::all() {
        let retry = RetryConfig { max: 1, ..RetryConfig::default() };
        let settings = StudySettings { retry, ..settings("a", 9) };
        let mut study = Study::create(&base.url, settings.clone()).unwrap();
        let (of_gone, of_silent, of_living) = (ask(&mut study), ask(&mut study), ask(&mut study));
        let place = of_gone.user_attributes["worker"].as_str().unwrap().rsplit_once(':').unwrap().0;
        study.set_trial_attribute(&of_gone, "worker", &json!(format!("{place}:0123.1"))).unwrap();
        study.set_trial_attribute(&of_silent, "worker", &json!("elsewhere:1:0123.1")).unwrap();
        base.age(&of_silent);
        let mut resumed = Study::open(&base.url, settings).unwrap();
        assert_eq!(resumed.requeue_orphans(7200).unwrap(), 1);
        assert_eq!(resumed.requeue_orphans(60).unwrap(), 1);
        assert_eq!(resumed.requeue_orphans(60).unwrap(), 0);
        let states: Vec<TrialState> = resumed.trials().unwrap().iter().map(|trial| trial.state).collect();
        use TrialState::{Fail, Running, Waiting};
        assert_eq!(states, [Fail, Fail, Running, Waiting, Waiting]);
        assert!(study.tell(&of_living, &Outcome::Complete(vec![1.0])).unwrap());
    }
}
