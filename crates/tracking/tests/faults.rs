//! What a network and a server can do to us, played by a small server in this file.

#[path = "support/request.rs"]
mod request;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use request::Head;
use serde_json::{Value, json};
use tracking::{
    ArtifactsOf, Batch, DatasetInput, Error, HttpOptions, NewRun, Options, RestStore, Run, RunOptions, RunStatus,
    Store, Tracker,
};

struct Request {
    /// Last part of the path: `log-batch`, `create`.
    call: String,
    authorization: String,
    body: Vec<u8>,
}

impl Request {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

enum Reply {
    Ok(Value),
    Status(u16, &'static str, String),
    /// Never answers.
    Hang,
    /// Closes the connection without an answer.
    Reset,
    /// Promises more bytes than come.
    Torn,
    /// Sends 4 KiB in four pieces, 400 ms apart.
    Slow,
}

fn refuse(status: u16, code: &str, message: &str) -> Reply {
    Reply::Status(status, "", json!({"error_code": code, "message": message}).to_string())
}

/// What a well server says.
fn healthy(request: &Request) -> Reply {
    let info = json!({
        "run_id": "r1", "experiment_id": "0", "run_name": "n", "status": "RUNNING", "start_time": "1",
        "artifact_uri": "mlflow-artifacts:/0/r1/artifacts", "lifecycle_stage": "active",
    });
    Reply::Ok(match request.call.as_str() {
        "get-by-name" => json!({"experiment": {"experiment_id": "0", "name": "Default", "lifecycle_stage": "active"}}),
        "create" | "get" => json!({"run": {"info": info}}),
        "update" => json!({"run_info": info}),
        "list" => json!({"files": [{"path": "model.bin", "file_size": "1004"}]}),
        _ => json!({}),
    })
}

/// Starts a server that answers as `script` says, and gives its address. It lives as long as the test binary.
fn serve(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let script = Arc::new(script);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let script = script.clone();
            std::thread::spawn(move || answer(stream, script.as_ref()));
        }
    });
    format!("http://{address}")
}

fn answer(stream: TcpStream, script: &dyn Fn(&Request) -> Reply) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let Head { path, authorization, length, .. } = Head::read(&mut reader)?;
    let mut body = vec![0; length];
    for piece in body.chunks_mut(1 << 20) {
        reader.read_exact(piece).ok()?;
        // A slow disk: 50 ms for each MiB.
        std::thread::sleep(Duration::from_millis(if length > 1 << 20 { 50 } else { 0 }));
    }
    if length > 1 << 20 {
        // A server passes a big file on to its object storage before it answers.
        std::thread::sleep(Duration::from_secs(2));
    }
    let request = Request { call: path.rsplit('/').next()?.to_string(), authorization, body };
    let (status, headers, body, missing) = match script(&request) {
        Reply::Ok(value) => (200, "", value.to_string(), 0),
        Reply::Status(status, headers, body) => (status, headers, body, 0),
        Reply::Torn => (200, "", "half".to_string(), 1000),
        Reply::Slow => {
            (&stream).write_all(b"HTTP/1.1 200 X\r\nContent-Length: 4096\r\nConnection: close\r\n\r\n").ok()?;
            return (0..4).try_for_each(|_| {
                std::thread::sleep(Duration::from_millis(400));
                (&stream).write_all(&[7; 1024]).ok()
            });
        }
        Reply::Hang => {
            std::thread::sleep(Duration::from_secs(600));
            return None;
        }
        Reply::Reset => return None,
    };
    let length = body.len() + missing;
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n");
    (&stream).write_all((head + &body).as_bytes()).ok()
}

/// A spool folder of its own: the server here knows one run only.
fn spool_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(uuid::Uuid::new_v4().simple().to_string())
}

fn http() -> HttpOptions {
    HttpOptions { timeout: Duration::from_secs(1), ..HttpOptions::default() }
}

fn store(uri: &str) -> RestStore {
    RestStore::new(uri, &http()).expect("a store")
}

fn start(uri: &str, exit_timeout: Duration) -> Run {
    let options = Options { uri: uri.into(), http: http(), exit_timeout, spool_dir: spool_dir(), ..Options::default() };
    let tracker = Tracker::open(&options).expect("opens");
    tracker.start_run(&RunOptions::default()).expect("starts")
}

/// Fails the first `times` calls to `call`.
fn failing(call: &'static str, times: u32, fault: fn() -> Reply) -> impl Fn(&Request) -> Reply {
    let seen = AtomicU32::new(0);
    move |request| {
        if request.call == call && seen.fetch_add(1, Ordering::SeqCst) < times { fault() } else { healthy(request) }
    }
}

fn batch() -> Batch {
    Batch { params: vec![("a".into(), "1".into())], ..Batch::default() }
}

#[test]
fn retry_after_is_honoured() {
    let busy = || Reply::Status(429, "Retry-After: 2\r\n", "slow down".into());
    let uri = serve(failing("log-batch", 1, busy));
    let start = Instant::now();
    store(&uri).log_batch("r1", &batch()).expect("the second try");
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_long_wish_is_handed_to_the_caller() {
    let uri = serve(|_| Reply::Status(503, "Retry-After: 900\r\n", "maintenance".into()));
    let start = Instant::now();
    let error = store(&uri).log_batch("r1", &batch()).expect_err("away");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(matches!(&error, Error::Unavailable { retry_after_s: Some(900), .. }), "{error:?}");
    assert!(error.to_string().contains("maintenance") && error.to_string().contains(&uri), "{error}");
}

#[test]
fn passing_faults_are_repeated() {
    let faults: [fn() -> Reply; 4] = [
        || refuse(503, "TEMPORARILY_UNAVAILABLE", "database is locked"),
        || Reply::Status(502, "", "<html>bad gateway</html>".into()),
        || Reply::Reset,
        || Reply::Torn,
    ];
    for (index, fault) in faults.into_iter().enumerate() {
        let uri = serve(failing("log-batch", 2, fault));
        store(&uri).log_batch("r1", &batch()).unwrap_or_else(|error| panic!("fault {index}: {error}"));
    }
}

#[test]
fn a_server_that_hangs_is_left_after_the_deadline() {
    let uri = serve(|_| Reply::Hang);
    let start = Instant::now();
    let error = store(&uri).run("r1").expect_err("hangs");
    // Once: a repetition would take the whole deadline again.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(error.is_transient() && error.to_string().contains("no answer within 1 s"), "{error}");
}

#[test]
fn a_server_that_is_down_at_start_is_explained() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let start = Instant::now();
    let uri = format!("http://127.0.0.1:{port}");
    let error = Tracker::open(&Options { uri: uri.clone(), strict: true, ..Options::default() }).expect_err("down");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    for part in [&uri, "cannot connect", "mlflow server", "sqlite:///mlflow.db"] {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn answers_become_the_right_errors() {
    type Check = fn(&Error) -> bool;
    let cases: [(u16, &str, Check); 7] = [
        (404, "RESOURCE_DOES_NOT_EXIST", |error| matches!(error, Error::NotFound(_))),
        (400, "RESOURCE_ALREADY_EXISTS", |error| matches!(error, Error::AlreadyExists(_))),
        (400, "INVALID_PARAMETER_VALUE", |error| matches!(error, Error::Invalid(_))),
        (409, "RESOURCE_CONFLICT", |error| matches!(error, Error::Invalid(_))),
        (501, "NOT_IMPLEMENTED", |error| matches!(error, Error::Invalid(_))),
        (401, "UNAUTHENTICATED", |error| matches!(error, Error::Denied(_))),
        (403, "PERMISSION_DENIED", |error| matches!(error, Error::Denied(_))),
    ];
    for (status, code, expected) in cases {
        let uri = serve(move |_| refuse(status, code, "the reason"));
        let error = store(&uri).delete_run("r1").expect_err("refused");
        assert!(expected(&error), "{code}: {error:?}");
        let text = error.to_string();
        assert!(text.contains("the reason") && text.contains(&uri) && text.contains("runs/delete"), "{text}");
        assert_eq!(text.contains("MLFLOW_TRACKING_TOKEN"), matches!(status, 401 | 403), "{text}");
    }
}

#[test]
fn what_is_no_mlflow_server_is_said_to_be_none() {
    for reply in [|| Reply::Status(200, "", "<html>".into()), || Reply::Status(404, "", "<html>".into())] {
        let error = store(&serve(move |_| reply())).run("r1").expect_err("no MLflow").to_string();
        assert!(error.contains("is this the address of an MLflow server?"), "{error}");
    }
    let uri = serve(|_| Reply::Status(302, "Location: https://u:s3cret@login/?to=s3cret\r\n", String::new()));
    let error = store(&uri).run("r1").expect_err("moved").to_string();
    assert!(error.contains("points to `https://login/`") && !error.contains("s3cret"), "{error}");
}

#[test]
fn a_lost_reply_makes_no_second_run() {
    let runs: Arc<Mutex<Vec<Value>>> = Arc::default();
    let committed = runs.clone();
    let uri = serve(move |request| match request.call.as_str() {
        "create" => {
            let mut runs = committed.lock().expect("a lock");
            let tags = request.json()["tags"].clone();
            let info = json!({"run_id": format!("r{}", runs.len()), "experiment_id": "0", "status": "RUNNING"});
            runs.push(json!({"info": info, "data": {"tags": tags}}));
            Reply::Reset
        }
        "search" => {
            let filter = request.json()["filter"].as_str().unwrap_or_default().to_string();
            let mark = |run: &&Value| filter.contains(run["data"]["tags"][0]["value"].as_str().unwrap_or("none"));
            let runs = committed.lock().expect("a lock");
            Reply::Ok(json!({"runs": runs.iter().filter(mark).collect::<Vec<_>>()}))
        }
        _ => healthy(request),
    });
    let new = NewRun { experiment_id: "0".into(), ..NewRun::default() };
    assert_eq!(store(&uri).create_run(&new).expect("found again").run_id, "r0");
    assert_eq!(runs.lock().expect("a lock").len(), 1);
}

#[test]
fn one_bad_item_costs_only_itself() {
    let stored: Arc<Mutex<BTreeMap<String, Value>>> = Arc::default();
    let seen = stored.clone();
    let uri = serve(move |request| {
        let body = request.json();
        let metrics = body["metrics"].as_array().cloned().unwrap_or_default();
        if metrics.iter().any(|metric| metric["key"] == "bad") {
            return refuse(400, "INVALID_PARAMETER_VALUE", "not this one");
        }
        let mut stored = seen.lock().expect("a lock");
        for item in metrics.iter().chain(body["tags"].as_array().into_iter().flatten()) {
            stored.insert(item["key"].as_str().unwrap_or_default().into(), item["value"].clone());
        }
        healthy(request)
    });
    let run = start(&uri, Duration::from_secs(5));
    for i in 0..50 {
        run.log_metric(if i == 17 { "bad".into() } else { format!("good{i}") }.as_str(), 1.0, 0);
    }
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.written, outcome.set_aside, outcome.left, outcome.ended), (49, 1, 0, true), "{outcome}");
    let stored = stored.lock().expect("a lock");
    assert_eq!(stored.keys().filter(|key| key.starts_with("good")).count(), 49);
    let reason = stored["tracking.set_aside.metric.bad"].as_str().unwrap_or_default();
    assert!(reason.contains("not this one"), "{reason}");
}

#[test]
fn a_run_outlives_an_outage() {
    let begin = Instant::now();
    let points: Arc<Mutex<Vec<i64>>> = Arc::default();
    let seen = points.clone();
    let uri = serve(move |request| {
        let away = begin.elapsed() > Duration::from_millis(300) && begin.elapsed() < Duration::from_secs(3);
        if away && request.call == "log-batch" {
            return if begin.elapsed().as_millis().is_multiple_of(2) { Reply::Hang } else { Reply::Reset };
        }
        let steps = request.json()["metrics"].as_array().cloned().unwrap_or_default();
        seen.lock().expect("a lock").extend(steps.iter().filter_map(|metric| metric["step"].as_i64()));
        healthy(request)
    });
    let run = start(&uri, Duration::from_secs(10));
    for step in 0..400 {
        let call = Instant::now();
        run.log_metric("loss", 1.0, step);
        assert!(call.elapsed() < Duration::from_millis(50), "a call took {:?}", call.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{outcome}");
    assert_eq!(*points.lock().expect("a lock"), (0..400).collect::<Vec<i64>>());
}

#[test]
fn exit_is_bounded_when_the_server_hangs() {
    let uri = serve(|request| if request.call == "log-batch" { Reply::Hang } else { healthy(request) });
    let run = start(&uri, Duration::from_secs(2));
    run.log_metric("loss", 1.0, 0);
    run.log_text("hello", "hello.txt");
    std::thread::sleep(Duration::from_millis(300));
    let begin = Instant::now();
    let outcome = run.finish(RunStatus::Finished);
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    assert_eq!((outcome.written, outcome.left, outcome.ended), (1, 1, false), "{outcome}");
    assert!(outcome.to_string().contains("1 not sent, status FINISHED not stored"), "{outcome}");
}

#[test]
fn an_upload_that_advances_may_outlast_the_exit_timeout() {
    let uri = serve(healthy);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("checkpoint.bin");
    fs::write(&file, vec![7; 60 << 20]).expect("a file");
    let run = {
        let options =
            Options { uri, exit_timeout: Duration::from_secs(2), spool_dir: spool_dir(), ..Options::default() };
        Tracker::open(&options).expect("opens").start_run(&RunOptions::default()).expect("starts")
    };
    run.log_artifact(&file, "");
    let begin = Instant::now();
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{outcome}");
    assert!(begin.elapsed() > Duration::from_secs(4), "too fast to test anything: {:?}", begin.elapsed());
}

#[test]
fn an_upload_that_hangs_does_not_keep_the_status_from_being_stored() {
    let ended = Arc::new(AtomicU32::new(0));
    let seen = ended.clone();
    let uri = serve(move |request| match request.call.as_str() {
        "hello.txt" => Reply::Hang,
        "update" => {
            seen.fetch_add(1, Ordering::SeqCst);
            healthy(request)
        }
        _ => healthy(request),
    });
    let run = start(&uri, Duration::from_secs(2));
    run.log_text("hello", "hello.txt");
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.left, outcome.ended, ended.load(Ordering::SeqCst)), (1, true, 1), "{outcome}");
}

#[test]
fn an_upload_that_fails_for_ever_does_not_hold_up_the_exit() {
    for status in [403, 404, 500] {
        let uri = serve(move |request| match request.call.as_str() {
            "hello.txt" => Reply::Status(status, "", "no".into()),
            _ => healthy(request),
        });
        let run = start(&uri, Duration::from_secs(2));
        run.log_text("hello", "hello.txt");
        let begin = Instant::now();
        let outcome = run.finish(RunStatus::Finished);
        assert!(begin.elapsed() < Duration::from_secs(4), "{status}: {:?}", begin.elapsed());
        assert_eq!((outcome.left, outcome.ended), (1, true), "{status}: {outcome}");
    }
}

#[test]
fn what_a_proxy_says_while_its_server_is_away_costs_nothing() {
    let pages: [fn() -> Reply; 3] = [
        || Reply::Status(404, "", "<html>no such service</html>".into()),
        || Reply::Status(302, "Location: https://login/\r\n", String::new()),
        || Reply::Status(200, "", "<html>back soon</html>".into()),
    ];
    let begin = Instant::now();
    let stored: Arc<Mutex<Vec<String>>> = Arc::default();
    let (seen, calls) = (stored.clone(), AtomicU32::new(0));
    let uri = serve(move |request| {
        let away = begin.elapsed() > Duration::from_millis(300) && begin.elapsed() < Duration::from_secs(3);
        if away {
            return pages[calls.fetch_add(1, Ordering::SeqCst) as usize % 3]();
        }
        let metrics = request.json()["metrics"].as_array().cloned().unwrap_or_default();
        let mut seen = seen.lock().expect("a lock");
        seen.extend(metrics.iter().map(|metric| metric["step"].to_string()));
        seen.push(request.call.clone());
        healthy(request)
    });
    let run = start(&uri, Duration::from_secs(10));
    for step in 0..200 {
        run.log_metric("loss", 1.0, step);
        if step == 150 {
            run.log_input(DatasetInput::default());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    run.log_text("hello", "hello.txt");
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{outcome}");
    let stored = stored.lock().expect("a lock");
    let steps: Vec<i64> = stored.iter().filter_map(|seen| seen.parse().ok()).collect();
    assert_eq!(steps, (0..200).collect::<Vec<i64>>());
    for call in ["hello.txt", "update"] {
        assert_eq!(stored.iter().filter(|seen| *seen == call).count(), 1, "{call}");
    }
}

#[test]
fn an_old_server_without_inputs_costs_only_the_input() {
    let uri = serve(|request| match request.call.as_str() {
        "log-inputs" => Reply::Status(404, "", "<html>not found</html>".into()),
        _ => healthy(request),
    });
    let run = start(&uri, Duration::from_secs(5));
    run.log_input(DatasetInput::default());
    run.log_metric("loss", 1.0, 0);
    let outcome = run.finish(RunStatus::Finished);
    assert_eq!((outcome.written, outcome.set_aside, outcome.left, outcome.ended), (1, 1, 0, true), "{outcome}");
}

#[test]
fn a_slow_download_may_outlast_the_deadline_of_a_request() {
    let uri = serve(|request| if request.call == "model.bin" { Reply::Slow } else { healthy(request) });
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("m");
    store(&uri).get_artifact(ArtifactsOf::Run("r1"), "model.bin", &copy).expect("comes in the end");
    assert_eq!(fs::read(copy).expect("a copy"), [7; 4096]);
}

#[test]
fn a_torn_download_leaves_no_file() {
    let uri = serve(|request| if request.call == "model.bin" { Reply::Torn } else { healthy(request) });
    let folder = tempfile::tempdir().expect("a folder");
    let options = HttpOptions { max_retries: 1, ..http() };
    // The server knows the file: it is the transfer that fails.
    let torn = RestStore::new(&uri, &options).expect("a store").get_artifact(
        ArtifactsOf::Run("r1"),
        "model.bin",
        &folder.path().join("m"),
    );
    assert!(torn.as_ref().is_err_and(Error::is_transient), "{torn:?}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn secrets_are_sent_and_never_shown() {
    const SECRET: &str = "s3cr3t-do-not-show";
    let received: Arc<Mutex<Vec<String>>> = Arc::default();
    for (status, code) in [(401, "UNAUTHENTICATED"), (400, "INVALID_PARAMETER_VALUE"), (503, "X"), (404, ""), (200, "")]
    {
        let seen = received.clone();
        let uri = serve(move |request| {
            seen.lock().expect("a lock").push(request.authorization.clone());
            // The worst proxy: it quotes what it was sent.
            refuse(status, code, &format!("you sent {} or {SECRET}", request.authorization))
        });
        let in_uri = uri.replace("http://", &format!("http://ada:{SECRET}@")) + &format!("?key={SECRET}");
        let variables = |name: &str| match name {
            "MLFLOW_TRACKING_TOKEN" => Some(SECRET.to_string()),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES" => Some("0".to_string()),
            _ => None,
        };
        let http = HttpOptions::from_variables(variables).expect("options");
        for uri in [uri.as_str(), in_uri.as_str()] {
            let options = Options { uri: uri.into(), http: http.clone(), spool_dir: spool_dir(), ..Options::default() };
            let store = RestStore::new(uri, &http).expect("a store");
            let mut shown = format!("{options:?} {store:?} {}", store.uri());
            let errors = [
                store.run("r").err(),
                store.log_batch("r", &batch()).err(),
                store.create_run(&NewRun::default()).err(),
                store.put_artifact(ArtifactsOf::Run("r"), Path::new("Cargo.toml"), "a").err(),
                Tracker::open(&options).and_then(|tracker| tracker.start_run(&RunOptions::default())).err(),
            ];
            assert!(errors.iter().flatten().count() >= 4, "only the empty answer to a write looks right");
            shown.extend(errors.iter().flatten().map(|error| format!("{error} {error:?}")));
            assert!(!shown.contains(SECRET), "{shown}");
            let basic = "YWRhOnMzY3IzdC1kby1ub3Qtc2hvdw==";
            assert!(!shown.contains(basic), "{shown}");
        }
    }
    let received = received.lock().expect("a lock");
    assert!(received.iter().any(|header| *header == format!("Bearer {SECRET}")));
    assert!(received.iter().any(|header| header == "Basic YWRhOnMzY3IzdC1kby1ub3Qtc2hvdw=="));
}

#[test]
fn environment_variables_are_read_and_checked() {
    let read = |name: &'static str, value: &'static str| {
        HttpOptions::from_variables(move |asked| (asked == name).then(|| value.to_string()))
    };
    let timeout = read("MLFLOW_HTTP_REQUEST_TIMEOUT", "7").expect("options");
    assert_eq!(timeout, HttpOptions { timeout: Duration::from_secs(7), ..HttpOptions::default() });
    let tls = read("MLFLOW_TRACKING_INSECURE_TLS", "True").expect("options");
    assert_eq!(tls, HttpOptions { insecure_tls: true, ..HttpOptions::default() });
    for name in ["MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_TRACKING_INSECURE_TLS"] {
        let error = read(name, "soon").expect_err("no such value").to_string();
        assert!(error.contains(name) && error.contains("`soon`"), "{error}");
    }
}

#[test]
fn many_metrics_arrive_in_requests_that_a_server_takes() {
    let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
    let seen = sizes.clone();
    let uri = serve(move |request| {
        let items = request.json()["metrics"].as_array().map_or(0, Vec::len);
        seen.lock().expect("a lock").push(items);
        healthy(request)
    });
    let run = start(&uri, Duration::from_secs(5));
    (0..5000).for_each(|step| run.log_metric("loss", 0.1, step));
    assert!(run.finish(RunStatus::Finished).is_complete());
    let sizes = sizes.lock().expect("a lock");
    assert_eq!((sizes.iter().sum::<usize>(), sizes.iter().max()), (5000, Some(&1000)));
}
