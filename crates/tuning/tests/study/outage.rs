//! A database that goes away.

use std::thread;
use std::time::Duration;

use tuning::{Error, Outcome, RetryConfig, Study, StudySettings, TrialState, Values, Verdict};

use crate::proxy::{Mode, Proxy};
use crate::{Base, ask, settings};

/// A study on a server behind a proxy; `None` without a server.
fn behind_proxy(outage_seconds: u64) -> Option<(Base, Proxy, Study)> {
    let base = Base::postgres()?;
    let (start, rest) = base.url.split_once('@').unwrap();
    let (target, database) = rest.split_once('/').unwrap();
    let proxy = Proxy::new(target);
    let url = format!("{start}@127.0.0.1:{}/{database}", proxy.port);
    let retry = RetryConfig { outage_seconds, ..RetryConfig::default() };
    let study = Study::create(&url, StudySettings { retry, ..settings("a", 9) }).unwrap();
    Some((base, proxy, study))
}

#[test]
fn a_lost_connection_is_opened_again() {
    let Some((_base, proxy, mut study)) = behind_proxy(60) else { return };
    proxy.cut();
    let trial = ask(&mut study);
    proxy.cut();
    assert_eq!(study.report(&trial, 1, 0.5).unwrap(), Verdict::Continue);
    proxy.cut();
    study.beat().unwrap();
    proxy.cut();
    assert!(study.tell(&trial, &Outcome::Complete(vec![0.5])).unwrap());
    proxy.set(Mode::Refuses);
    proxy.cut();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(700));
            proxy.set(Mode::Works);
        });
        assert_eq!(study.trials().unwrap().len(), 1);
    });
}

#[test]
fn an_answer_that_is_lost_does_no_harm() {
    let Some((_base, proxy, mut study)) = behind_proxy(60) else { return };
    let broken = |proxy: &Proxy| {
        assert!(proxy.works(), "the connection did break");
        proxy.set(Mode::BreaksAtCommit);
    };
    proxy.set(Mode::BreaksAtCommit);
    study.enqueue(&Values::new()).unwrap();
    broken(&proxy);
    let first = ask(&mut study);
    broken(&proxy);
    let second = ask(&mut study);
    assert_eq!((first.number, second.number), (0, 1));
    broken(&proxy);
    assert!(study.tell(&first, &Outcome::Complete(vec![0.5])).unwrap());
    broken(&proxy);
    assert!(study.tell(&second, &Outcome::Requeued).unwrap());
    assert!(proxy.works());
    let states: Vec<TrialState> = study.trials().unwrap().iter().map(|trial| trial.state).collect();
    assert_eq!(states, [TrialState::Complete, TrialState::Fail, TrialState::Waiting]);
    let params = study.trials().unwrap()[1].params.clone();
    assert_eq!(params, second.params, "what was stored is what was told");
}

#[test]
fn patience_ends() {
    let Some((_base, proxy, mut study)) = behind_proxy(0) else { return };
    let unreachable = |error: Error| {
        assert!(matches!(error, Error::Unreachable { .. }) && !error.to_string().contains("s3cret"), "{error}");
    };
    proxy.set(Mode::BreaksAtCommit);
    unreachable(study.ask().unwrap_err());
    let trial = ask(&mut study);
    assert_eq!(trial.number, 0, "the trial of the first call is found");
    proxy.set(Mode::BreaksAtCommit);
    let outcome = Outcome::Complete(vec![0.5]);
    unreachable(study.tell(&trial, &outcome).unwrap_err());
    assert!(study.tell(&trial, &outcome).unwrap(), "it was told");
    assert!(!study.tell(&trial, &outcome).unwrap());
}

#[test]
fn after_an_outage_nobody_is_taken_for_dead_at_once() {
    let Some((base, proxy, mut study)) = behind_proxy(60) else { return };
    let mut silent = Study::open(&base.url, settings("a", 9)).unwrap();
    let trial = ask(&mut silent);
    base.age(&trial);
    proxy.cut();
    study.beat().unwrap();
    assert_eq!(silent.report(&trial, 1, 0.5).unwrap(), Verdict::Continue);
    Study::open(&base.url, settings("a", 9)).unwrap().beat().unwrap();
    assert_eq!(silent.report(&trial, 2, 0.5).unwrap(), Verdict::Lost);
}

#[test]
fn a_server_that_is_not_there_is_an_error_at_once() {
    let url = "postgresql://user:s3cret@127.0.0.1:1/db";
    for error in [Study::names(url).err(), Study::create(url, settings("a", 1)).err()] {
        let error = error.unwrap();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("127.0.0.1:1/db") && text.contains("refused") && !text.contains("s3cret"), "{text}");
    }
}
