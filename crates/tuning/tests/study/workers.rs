//! Many workers on one study.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tuning::{Ask, Outcome, RetryConfig, Study, StudySettings, Trial, TrialState, Verdict};

use crate::{Base, settings};

const URL: &str = "TUNING_TEST_WORKER_URL";

/// Works until all is done, at most `step_ms` on a step; how many trials it has ended.
pub fn work(url: &str, settings: StudySettings, seed: u64, step_ms: u64) -> usize {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut study = Study::open(url, settings).unwrap();
    let mut ended = 0;
    let mut pause = |longest| thread::sleep(Duration::from_millis(random.random_range(0..=longest)));
    loop {
        study.beat().unwrap();
        match study.ask().unwrap() {
            Ask::Done => return ended,
            Ask::Wait => pause(100),
            Ask::Trial(trial) => ended += usize::from(train(&mut study, &trial, || pause(step_ms))),
        }
    }
}

fn train(study: &mut Study, trial: &Trial, mut pause: impl FnMut()) -> bool {
    for step in 1..=5 {
        pause();
        if study.report(trial, step, trial.params["dropout"]).unwrap() == Verdict::Lost {
            return false;
        }
    }
    let outcome = match trial.number % 10 {
        3 => Outcome::Pruned,
        6 => Outcome::Failed("no luck".into()),
        _ => Outcome::Complete(vec![trial.params["dropout"]]),
    };
    study.tell(trial, &outcome).unwrap()
}

fn check_numbers(trials: &[Trial]) {
    let numbers: BTreeSet<u32> = trials.iter().map(|trial| trial.number).collect();
    assert_eq!(numbers, (0..trials.len() as u32).collect(), "each number once");
}

#[test]
fn four_threads_share_a_study() {
    for base in Base::all() {
        let settings = settings("a", 60);
        Study::create(&base.url, settings.clone()).unwrap();
        let ended: usize = thread::scope(|scope| {
            let worker = |seed| {
                let (url, settings) = (base.url.as_str(), settings.clone());
                scope.spawn(move || work(url, settings, seed, 4))
            };
            let workers: Vec<_> = (0..4).map(worker).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        let mut study = Study::open(&base.url, settings).unwrap();
        let trials = study.trials().unwrap();
        assert_eq!((trials.len(), ended), (60, 60));
        check_numbers(trials);
        assert!(trials.iter().all(|trial| trial.state.is_finished() && trial.intermediate.len() == 5));
    }
}

/// Dies fast, so that a test need not wait long for its trials.
fn fragile() -> StudySettings {
    let retry = RetryConfig { max: 1000, heartbeat_seconds: 1, grace_seconds: 2, outage_seconds: 60 };
    StudySettings { retry, ..settings("a", 80) }
}

/// Not a test of its own: a process that the next one starts.
#[test]
fn worker_process() {
    if let Ok(url) = env::var(URL) {
        work(&url, fragile(), std::process::id().into(), 40);
    }
}

fn start(url: &str) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "workers::worker_process", "--test-threads=1"]).env(URL, url);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn killed_processes_lose_nothing() {
    for base in Base::all() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut study = Study::create(&base.url, fragile()).unwrap();
        let mut workers: Vec<Child> = (0..4).map(|_| start(&base.url)).collect();
        let begun = Instant::now();
        for _ in 0..12 {
            thread::sleep(Duration::from_millis(random.random_range(20..200)));
            let victim = random.random_range(0..workers.len());
            workers[victim].kill().unwrap();
            workers[victim].wait().unwrap();
            workers[victim] = start(&base.url);
        }
        for worker in &mut workers {
            assert!(worker.wait().unwrap().success());
        }
        assert!(begun.elapsed() < Duration::from_secs(120));
        assert!(matches!(study.ask().unwrap(), Ask::Done));
        let trials = study.trials().unwrap();
        check_numbers(trials);
        assert!(trials.iter().all(|trial| trial.state.is_finished()));
        let is_retry = |trial: &&Trial| trial.system_attributes.contains_key("retry_history");
        let n_retries = trials.iter().filter(is_retry).count();
        assert!(n_retries >= 3, "{n_retries} were killed at work");
        assert_eq!(trials.len() - n_retries, 80, "each is finished once, and each dead one has one copy");
        let n_ended = trials
            .iter()
            .filter(|t| {
                t.state != TrialState::Fail
                    || t.user_attributes.get("failure").is_some_and(|reason| reason == "no luck")
            })
            .count();
        assert_eq!(n_ended, 80);
    }
}
