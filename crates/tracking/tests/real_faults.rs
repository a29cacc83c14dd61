//! Faults of the network in front of a real MLflow server: one test or more per row of the table of faults.
//!
//! `MLFLOW_PYTHON` names a Python that has MLflow; without it the tests say that they were skipped. Outages, which need
//! the journal, are in `outage.rs`.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "support/stage.rs"]
mod stage;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rusqlite::{Connection, OpenFlags};
use stage::proxy::Fault::{
    self, Answer, CutUpload, DelayAfter, DelayBefore, Hang, LoseReply, Pass, ResetBefore, SlowUpload, TearReply,
};
use stage::proxy::Request;
use stage::{Stage, figure, memory_kb, output_of, spawn, up_to};
use tracking::{
    ArtifactsOf, Batch, DatasetInput, Error, HttpOptions, Options, RestStore, Run, RunData, RunInfo, RunOptions,
    RunStatus, Store, Tracker, ViewType,
};

const URI: &str = "TRACKING_TEST_URI";
const EXPERIMENT: &str = "TRACKING_TEST_EXPERIMENT";
const FILE: &str = "TRACKING_TEST_FILE";

/// The first `times` requests to each endpoint.
fn first(times: usize, fault: Fault) -> impl Fn(&Request<'_>) -> Fault {
    move |request| if request.number < times { fault } else { Pass }
}

/// Logs one thing of each kind through a proxy that plays `script`, from the first request on, and looks for each once.
fn everything_arrives_once(name: &str, script: impl Fn(&Request<'_>) -> Fault + Send + Sync + 'static) {
    let Some(stage) = Stage::new() else { return };
    stage.proxy.script(script);
    let run = stage.start(name);
    log_everything(&run);
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{outcome}");
    let endpoints =
        ["experiments/create", "runs/create", "runs/log-batch", "runs/log-inputs", "PUT artifact", "runs/update"];
    for endpoint in endpoints {
        assert!(stage.proxy.count(endpoint) >= 1, "{endpoint} was never asked");
    }
    let runs = stage.runs(name);
    assert_eq!(runs.len(), 1, "runs in the experiment");
    assert_eq!(runs[0].info.run_id, stage.run(run.id()).info.run_id);
    check_everything(&stage, &runs[0]);
}

fn log_everything(run: &Run) {
    run.log_params(&BTreeMap::from([("model".into(), "mlp".into()), ("seed".into(), "42".into())]));
    for step in 0..2500 {
        run.log_metrics(&[("loss", 1.0 / (1 + step) as f64), ("constant", 0.5)], step);
    }
    run.log_metric("diverged", f64::NAN, 3);
    run.set_tag("team", "red");
    run.log_input(DatasetInput::default());
    run.log_text("hello", "notes/hello.txt");
}

fn check_everything(stage: &Stage, run: &RunData) {
    let id = &run.info.run_id;
    assert_eq!(run.info.status, RunStatus::Finished);
    assert_eq!(run.params, BTreeMap::from([("model".into(), "mlp".into()), ("seed".into(), "42".into())]));
    assert_eq!(run.tags["team"], "red");
    assert!(!run.tags.contains_key("tracking.creation"), "the mark of the creation is gone");
    for key in ["loss", "constant"] {
        assert_eq!(stage.steps(id, key), up_to(2500), "{key}");
    }
    assert_eq!((stage.steps(id, "diverged"), run.inputs.len()), (vec![3], 1));
    let files = stage.files(id, "notes");
    let names: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
    assert_eq!(names, [("notes/hello.txt", Some(5))]);
}

/// Row "reply lost after the server committed".
#[test]
fn lost_replies_make_no_duplicate() {
    everything_arrives_once("lost replies", first(2, LoseReply));
}

/// Row "reply lost after the server committed": half of it came.
#[test]
fn torn_replies_make_no_duplicate() {
    everything_arrives_once("torn replies", first(2, TearReply));
}

/// Row "server down mid-run": connections that break before the server sees anything.
#[test]
fn resets_are_repeated() {
    everything_arrives_once("resets", first(2, ResetBefore));
}

/// Row "server answering 429/500/503 mid-run". The pauses are those that the server asks for.
#[test]
fn busy_answers_are_repeated_when_the_server_says() {
    let Some(stage) = Stage::new() else { return };
    let answers = [(429, "Retry-After: 2\r\n", 2.0), (503, "Retry-After: 2\r\n", 2.0), (500, "", 0.1), (503, "", 0.1)];
    for (status, headers, least_s) in answers {
        let before = stage.proxy.count("runs/log-batch");
        stage.proxy.script(move |request| match request.endpoint {
            "runs/log-batch" if request.number == before => Answer(status, headers),
            _ => Pass,
        });
        let run = stage.start("busy");
        run.log_metric("loss", 1.0, 0);
        assert!(run.finish(RunStatus::Finished).is_complete());
        let times = stage.proxy.times("runs/log-batch");
        let pause = (times[before + 1] - times[before]).as_secs_f64();
        assert!(pause >= least_s && pause < least_s + 5.0, "{status} {headers}: {pause} s");
        assert_eq!(stage.steps(run.id(), "loss"), [0], "{status}");
    }
}

/// Row "server hanging mid-run": each request has a deadline, and the server may come late.
#[test]
fn requests_that_hang_are_left_at_their_deadline() {
    let Some(stage) = Stage::new() else { return };
    let run = stage.start("hanging");
    stage.proxy.script(|request| match (request.endpoint, request.number) {
        ("runs/log-batch", 0) => Hang,
        // The server commits, and answers when nobody listens any more.
        ("runs/log-batch", 1) => DelayAfter(Duration::from_secs(4)),
        ("runs/log-batch", 2) => DelayBefore(Duration::from_secs(1)),
        _ => Pass,
    });
    (0..100).for_each(|step| run.log_metric("loss", 1.0, step));
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{outcome}");
    let times = stage.proxy.times("runs/log-batch");
    let waits: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!(waits.len() >= 2 && waits[..2].iter().all(|wait| (2.9..10.0).contains(wait)), "{waits:?}");
    assert_eq!(stage.steps(run.id(), "loss"), up_to(100));
}

/// Row "token expired": as long as the server refuses the credentials the run goes on, and nothing is lost.
#[test]
fn refused_credentials_cost_nothing_once_they_are_accepted_again() {
    let Some(stage) = Stage::new() else { return };
    let run = stage.start("expired");
    stage.proxy.always(Answer(401, ""));
    for step in 0..200 {
        run.log_metric("loss", 1.0, step);
        thread::sleep(Duration::from_millis(10));
    }
    assert!(stage.proxy.count("runs/log-batch") > 0, "nobody asked while the credentials were refused");
    stage.proxy.always(Pass);
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{outcome}");
    assert_eq!(stage.steps(run.id(), "loss"), up_to(200));
}

/// Row "4xx on one item": what a real server refuses although we have checked it.
#[test]
fn one_bad_item_costs_only_itself() {
    let Some(stage) = Stage::new() else { return };
    let run = stage.start("bad items");
    // Another program was here before us.
    let batch = Batch { params: vec![("seed".into(), "1".into())], ..Batch::default() };
    stage.store.log_batch(run.id(), &batch).unwrap();
    for step in 0..300 {
        run.log_metric("loss", 1.0, step);
        if step == 150 {
            run.log_param("seed", "2");
            let mut input = DatasetInput::default();
            (input.dataset.name, input.dataset.digest) = ("adult".into(), "d".repeat(37));
            run.log_input(input);
        }
    }
    run.log_param("model", "mlp");
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.set_aside, outcome.dropped, outcome.left, outcome.ended), (2, 0, 0, true), "{outcome}");
    let stored = stage.run(run.id());
    let params = BTreeMap::from([("model".into(), "mlp".into()), ("seed".into(), "1".into())]);
    assert_eq!((stage.steps(run.id(), "loss"), stored.params), (up_to(300), params));
    let reasons: Vec<&String> =
        stored.tags.iter().filter(|(key, _)| key.starts_with("tracking.set_aside.")).map(|(_, why)| why).collect();
    assert_eq!(reasons.len(), 2, "{:?}", stored.tags);
    for expected in ["Changing param values is not allowed", "exceeds the maximum length of 36"] {
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "{reasons:?}");
    }
}

/// Row "4xx on one item": here it is all of them, because someone has deleted the run.
#[test]
fn a_deleted_run_costs_itself_and_no_flood_of_requests() {
    let Some(stage) = Stage::new() else { return };
    let run = stage.start("deleted");
    stage.store.delete_run(run.id()).unwrap();
    (0..1000).for_each(|step| run.log_metric("loss", 1.0, step));
    let start = Instant::now();
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.written, outcome.set_aside, outcome.dropped, outcome.left), (0, 1000, 0, 0), "{outcome}");
    assert!(outcome.to_string().contains("1000 refused"), "{outcome}");
    let requests = stage.proxy.count("runs/log-batch");
    assert!(requests < 200 && start.elapsed() < Duration::from_secs(30), "{requests} in {:?}", start.elapsed());
}

/// Row "NaN or infinity as a metric": the same rows as from MLflow's own client.
#[test]
fn values_that_are_no_numbers_are_stored_as_mlflow_stores_them() {
    let Some(stage) = Stage::new() else { return };
    let run = stage.start("not finite");
    for (step, value) in [(1, 0.5), (2, f64::NAN), (3, f64::INFINITY), (4, f64::NEG_INFINITY), (5, f64::NAN)] {
        run.log_metric("loss", value, step);
    }
    assert!(run.finish(RunStatus::Finished).is_complete());
    let database = Connection::open_with_flags(stage.server.database(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut rows =
        database.prepare("SELECT step, value, is_nan FROM metrics WHERE run_uuid = ? ORDER BY step").unwrap();
    let rows: Vec<(i64, f64, bool)> =
        rows.query_map([run.id()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap().flatten().collect();
    let expected = [(1, 0.5, false), (2, 0.0, true), (3, f64::MAX, false), (4, f64::MIN, false), (5, 0.0, true)];
    assert_eq!(rows, expected);
    assert_eq!(stage.run(run.id()).tags["tracking.not_finite.loss"], "NaN at step 2");
}

/// Not a test of its own: what a child process does.
#[test]
#[ignore = "run by the test below"]
fn child_run() {
    let options = Options { uri: env::var(URI).unwrap(), ..Options::default() };
    let experiment = env::var(EXPERIMENT).unwrap();
    let run = Tracker::open(&options)
        .unwrap()
        .start_run(&RunOptions { experiment, name: "child".into(), ..RunOptions::default() })
        .unwrap();
    (0..500).for_each(|step| run.log_metric("loss", 1.0, step));
    assert!(run.finish(RunStatus::Finished).is_complete());
}

/// Row "two processes create the same experiment at once": six of them, and some replies are lost as well.
#[test]
fn processes_that_create_one_experiment_at_once_all_go_on() {
    let Some(stage) = Stage::new() else { return };
    stage.proxy.script(|request| match request.endpoint {
        // All have seen that there is none before the first one is made.
        "experiments/create" if request.number == 0 => DelayBefore(Duration::from_secs(1)),
        "experiments/create" if request.number == 1 => LoseReply,
        _ => Pass,
    });
    let variables = [(URI, stage.proxy.uri()), (EXPERIMENT, "made at once".into())];
    let children: Vec<Child> = (0..6).map(|_| spawn("child_run", &variables)).collect();
    children.into_iter().map(output_of).for_each(drop);
    assert!(stage.proxy.count("experiments/create") > 1, "only one process tried: nothing was tested");
    let all = stage.store.experiments(ViewType::All).unwrap();
    assert_eq!(all.iter().filter(|experiment| experiment.name == "made at once").count(), 1);
    let runs = stage.runs("made at once");
    assert_eq!(runs.len(), 6);
    runs.iter().for_each(|run| assert_eq!(stage.steps(&run.info.run_id, "loss"), up_to(500)));
}

/// All faults that pass, one after the other, on runs of one process that go on at once.
#[test]
fn parallel_runs_outlive_all_faults() {
    let Some(stage) = Stage::new() else { return };
    // Eight runs at once, beside the other tests, can keep a server busy for seconds.
    let tracker = stage.tracker_that_waits(Duration::from_secs(15));
    let options = RunOptions { experiment: "parallel".into(), ..RunOptions::default() };
    let runs: Vec<Run> = (0..8).map(|_| tracker.start_run(&options).unwrap()).collect();
    let late = Duration::from_millis(300);
    let faults =
        [LoseReply, Pass, Answer(503, ""), ResetBefore, Pass, TearReply, DelayAfter(late), CutUpload(10), Pass];
    stage.proxy.script(move |request| faults[request.number % faults.len()]);
    thread::scope(|scope| {
        for run in &runs {
            scope.spawn(|| {
                for step in 0..2000 {
                    run.log_metrics(&[("loss", 1.0), ("accuracy", 0.5)], step);
                    if step % 100 == 0 {
                        thread::sleep(Duration::from_millis(50));
                    }
                }
                run.log_text("hello", "hello.txt");
                let outcome = run.finish(RunStatus::Finished);
                assert!(outcome.is_complete(), "{outcome}");
            });
        }
    });
    assert!(stage.proxy.count("runs/log-batch") > 40, "{}", stage.proxy.count("runs/log-batch"));
    assert_eq!(stage.runs("parallel").len(), 8);
    for run in &runs {
        for key in ["loss", "accuracy"] {
            assert_eq!(stage.steps(run.id(), key), up_to(2000), "{key}");
        }
        assert_eq!(stage.files(run.id(), "").len(), 1);
    }
}

/// Row "big checkpoint": an upload that is cut, and one whose reply is lost, are made again; the download as well.
#[test]
fn transfers_that_are_cut_are_repeated_and_whole() {
    let Some(stage) = Stage::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (folder.path().join("model.bin"), folder.path().join("copy.bin"));
    let content: Vec<u8> = (0..20 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(&file, &content).unwrap();
    stage.proxy.script(|request| match (request.endpoint, request.number) {
        ("PUT artifact", 0) => CutUpload(5 << 20),
        ("PUT artifact", 1) => LoseReply,
        ("GET artifact", 0) => TearReply,
        _ => Pass,
    });
    let run = stage.start("cut transfers");
    run.log_artifact(&file, "checkpoints");
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{outcome}");
    assert_eq!(stage.proxy.count("PUT artifact"), 3);
    stage.tracker().store().get_artifact(ArtifactsOf::Run(run.id()), "checkpoints/model.bin", &copy).unwrap();
    assert_eq!(stage.proxy.count("GET artifact"), 2);
    assert!(fs::read(&copy).unwrap() == content, "the copy differs");
    assert_eq!(stage.files(run.id(), "checkpoints").len(), 1, "no rest of the broken transfer");
}

/// Not a test of its own: uploads a file and logs a point every 10 ms meanwhile, for two seconds.
#[test]
#[ignore = "run by the test below"]
fn child_upload() {
    let options = Options { uri: env::var(URI).unwrap(), ..Options::default() };
    let experiment = env::var(EXPERIMENT).unwrap();
    let run = Tracker::open(&options).unwrap().start_run(&RunOptions { experiment, ..RunOptions::default() }).unwrap();
    let before = memory_kb("self", "VmRSS").unwrap();
    run.log_artifact(Path::new(&env::var(FILE).unwrap()), "");
    for step in 0..200 {
        run.log_metric("loss", 1.0, step);
        thread::sleep(Duration::from_millis(10));
    }
    assert!(run.finish(RunStatus::Finished).is_complete());
    println!("\ngrowth_kb: {}", memory_kb("self", "VmHWM").unwrap().saturating_sub(before));
}

/// Row "big checkpoint": it holds up no metric and is never whole in memory.
#[test]
fn a_big_file_takes_little_memory_and_holds_up_no_metric() {
    const BYTES: u64 = 300 << 20;
    let Some(stage) = Stage::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.bin");
    fs::File::create(&file).unwrap().set_len(BYTES).unwrap();
    stage.proxy.script(|request| if request.endpoint == "PUT artifact" { SlowUpload(80 << 20) } else { Pass });
    let variables = [(URI, stage.proxy.uri()), (EXPERIMENT, "big".into()), (FILE, file.display().to_string())];
    let output = output_of(spawn("child_upload", &variables));
    let growth_kb = figure(&output, "growth_kb");
    println!("300 MiB uploaded, memory grew by {growth_kb} kB");
    assert!(growth_kb < 64 << 10, "memory grew by {growth_kb} kB");

    let RunInfo { run_id: run, experiment_id, .. } = &stage.runs("big")[0].info;
    let files = stage.files(run, "");
    assert_eq!((files.len(), files[0].bytes), (1, Some(BYTES)));
    assert_eq!(stage.steps(run, "loss"), up_to(200));
    // The upload takes more than 3 s. What was logged in the first two came through beside it.
    let upload = stage.proxy.times("PUT artifact")[0];
    let beside =
        stage.proxy.times("runs/log-batch").iter().filter(|time| (**time - upload).as_secs_f64() < 2.5).count();
    assert!(beside >= 5, "{beside} requests beside the upload");
    // 300 MiB need not lie about until the tests run again.
    fs::remove_dir_all(stage.server.folder.join("artifacts").join(experiment_id)).unwrap();
}

/// A broken download leaves an error and no file, also when the server is real.
#[test]
fn a_download_that_always_breaks_is_an_error() {
    let Some(stage) = Stage::new() else { return };
    let run = stage.start("broken download");
    run.log_text("hello", "hello.txt");
    assert!(run.finish(RunStatus::Finished).is_complete());
    stage.proxy.script(|request| if request.endpoint == "GET artifact" { TearReply } else { Pass });
    let folder = tempfile::tempdir().unwrap();
    let http = HttpOptions { max_retries: 1, ..HttpOptions::default() };
    let store = RestStore::new(&stage.proxy.uri(), &http).unwrap();
    let error = store.get_artifact(ArtifactsOf::Run(run.id()), "hello.txt", &folder.path().join("copy")).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
