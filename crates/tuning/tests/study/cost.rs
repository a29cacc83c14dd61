//! What a study costs besides the work itself.

use std::time::{Duration, Instant};

use tuning::{Outcome, PruneConfig, PrunerKind, Study, StudySettings};

use crate::{Base, ask, settings};

/// `cargo test -p tuning --test study -- --ignored --nocapture cost`
#[test]
#[ignore = "measures, and takes its time"]
fn cost_of_a_trial() {
    for base in Base::all() {
        let prune = PruneConfig { name: PrunerKind::Asha, min: 100, factor: 3, startup: 1 };
        let settings = StudySettings { prune, ..settings("a", 100_000) };
        let mut study = Study::create(&base.url, settings.clone()).unwrap();
        let kind = if base.file.is_some() { "SQLite" } else { "PostgreSQL" };
        for upto in [100, 1000, 3000] {
            let before = study.trials().unwrap().len();
            let (mut asks, mut tells, mut reports) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
            for _ in before..upto {
                let begun = Instant::now();
                let trial = ask(&mut study);
                asks += begun.elapsed();
                let begun = Instant::now();
                for step in 1..=10 {
                    study.report(&trial, step, trial.params["dropout"]).unwrap();
                }
                reports += begun.elapsed();
                let begun = Instant::now();
                study.tell(&trial, &Outcome::Complete(vec![trial.params["dropout"]])).unwrap();
                tells += begun.elapsed();
            }
            let each = |time: Duration, n: usize| time.as_secs_f64() * 1e3 / ((upto - before) * n) as f64;
            let begun = Instant::now();
            let mut joined = Study::open(&base.url, settings.clone()).unwrap();
            joined.trials().unwrap();
            let join = begun.elapsed().as_secs_f64() * 1e3;
            let (asks, reports, tells) = (each(asks, 1), each(reports, 10), each(tells, 1));
            println!(
                "{kind} upto {upto}: ask {asks:.2} ms, report {reports:.2} ms, tell {tells:.2} ms; join {join:.0} ms"
            );
        }
    }
}
