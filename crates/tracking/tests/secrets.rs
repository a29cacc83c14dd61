//! One secret is planted wherever one can be, everything is done that can be done, and then everything that came out is
//! searched for it.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/loopback.rs"]
mod loopback;

use std::fmt::{Debug, Display};
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use certificates::Authority;
use loopback::{Request, healthy, reply, serve, serve_tls};
use serde_json::json;
use tempfile::TempDir;
use tracking::{
    ArtifactsOf, Batch, Dataset, DatasetInput, HttpOptions, Metric, NewRun, Options, RestStore, Result, RunOptions,
    RunQuery, RunStatus, Store, Tracker, ViewType,
};

/// With what is spelled differently in addresses, in JSON and in HTML.
const SECRET: &str = r#"pl4nted/S3cret"+@x&end"#;
const IN_ADDRESS: &str = "pl4nted%2FS3cret%22%2B%40x%26end";
const IN_PATH: &str = "pl4nted/S3cret%22%2b%40x%26end";
/// Parts that no spelling changes.
const PARTS: [&str; 3] = ["pl4nted", "s3cret", "x&end"];

/// What is left of the base64 form of a text that has the secret at any place in it.
fn base64_cores() -> Vec<String> {
    let core = |shift: usize| {
        let encoded = BASE64_STANDARD.encode(format!("{}{SECRET}", &"___"[..shift]));
        // The first four letters and the last depend on what stands around the secret.
        encoded.trim_end_matches('=')[4..24].to_string()
    };
    (0..3).map(core).collect()
}

fn shows_secret(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let lower = text.to_lowercase();
    PARTS.iter().any(|part| lower.contains(part)) || base64_cores().iter().any(|core| text.contains(core))
}

/// Everything that was ever shown, with where it came from.
#[derive(Clone, Default)]
struct Outputs(Arc<Mutex<Texts>>);

type Texts = Vec<(String, Vec<u8>)>;

impl Outputs {
    fn add(&self, source: &str, text: impl Into<Vec<u8>>) {
        self.0.lock().expect("a lock").push((source.into(), text.into()));
    }

    fn debug(&self, source: &str, value: &dyn Debug) {
        self.add(source, format!("{value:?} {value:#?}"));
    }

    fn result<T: Debug>(&self, source: &str, result: &Result<T>) {
        self.debug(source, result);
        if let Err(error) = result {
            self.display(source, error);
        }
    }

    fn display(&self, source: &str, value: &dyn Display) {
        self.add(source, value.to_string());
    }

    fn folder(&self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            self.display("file name", &path.display());
            if path.is_dir() {
                self.folder(&path);
            } else {
                self.add(&path.display().to_string(), fs::read(&path).expect("a file"));
            }
        }
    }

    fn len(&self) -> usize {
        self.0.lock().expect("a lock").len()
    }

    fn assert_without(&self, secret: &str) {
        for (source, text) in self.0.lock().expect("a lock").iter() {
            assert!(!String::from_utf8_lossy(text).contains(secret), "{source}");
        }
    }

    fn assert_clean(&self) {
        for (source, text) in self.0.lock().expect("a lock").iter() {
            assert!(!shows_secret(text), "{source}: {}", String::from_utf8_lossy(text));
        }
    }
}

/// All that this process writes to its log.
static LOG: OnceLock<Outputs> = OnceLock::new();

struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.get_or_init(Outputs::default).add("log", bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `reqwest` writes to `log`, this crate to `tracing`.
struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LOG.get_or_init(Outputs::default).display("log", &format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

fn listen_to_logs() {
    static LISTENING: OnceLock<()> = OnceLock::new();
    LISTENING.get_or_init(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| LogWriter);
        subscriber.init();
        log::set_logger(&Logger).expect("the only one");
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// Credentials, each with the secret in another place.
fn placements(folder: &Path) -> Vec<(&'static str, String, HttpOptions)> {
    let write = |name: &str, content: String| {
        let path = folder.join(name);
        fs::write(&path, content).expect("a file");
        Some(path)
    };
    let http = || HttpOptions { timeout: Duration::from_secs(2), max_retries: 0, ..HttpOptions::default() };
    let some = |text: &str| Some(text.to_string());
    let entries = format!("[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = {SECRET}\n");
    let variable = |name: &str| match name {
        "MLFLOW_TRACKING_TOKEN" => some(SECRET),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES" => some("0"),
        _ => None,
    };
    vec![
        ("password in the address", format!("me:{IN_ADDRESS}@"), http()),
        ("token in the address", format!("{IN_ADDRESS}@"), http()),
        ("password", String::new(), HttpOptions { username: some("me"), password: some(SECRET), ..http() }),
        ("token", String::new(), HttpOptions { token: some(SECRET), ..http() }),
        ("token file", String::new(), HttpOptions { token_file: write("token", format!("{SECRET}\n")), ..http() }),
        ("credentials file", String::new(), HttpOptions { credentials_file: write("users", entries), ..http() }),
        ("variable", String::new(), HttpOptions::from_variables(variable).expect("options")),
    ]
}

/// Quotes what came and what was meant, in every spelling.
fn quote(request: &Request) -> String {
    let html = SECRET.replace('&', "&amp;").replace('"', "&quot;");
    let base64 = BASE64_STANDARD.encode(SECRET);
    let header = request.header("authorization");
    format!("you sent {header}: {SECRET} {IN_ADDRESS} {IN_PATH} {base64} {html}")
}

/// The ways of a server, by the name that is part of its address.
fn misbehave(request: &Request) -> String {
    let quoted = quote(request);
    let refuse =
        |status: u16, code: &str| reply(status, "", &json!({"error_code": code, "message": quoted}).to_string());
    let info = |artifact_uri: &str| {
        json!({"run_id": "r1", "experiment_id": "0", "run_name": "n", "status": "RUNNING", "start_time": "1",
               "artifact_uri": artifact_uri, "lifecycle_stage": "active"})
    };
    let target = request.target().to_string();
    let ways = target.split('/').nth(1).unwrap_or_default();
    match ways {
        "denies" => refuse(401, "UNAUTHENTICATED"),
        "forbids" => reply(403, "", &quoted),
        // Everything but the logging is fine, so the refusals become tags of the run.
        "refuses-items" if request.call() == "log-batch" && String::from_utf8_lossy(&request.body).contains("bad") => {
            refuse(400, "INVALID_PARAMETER_VALUE")
        }
        "breaks" => reply(500, "", &format!("<html><body>{quoted}</body></html>")),
        "is-a-page" => reply(200, "", &format!("<html><body>{quoted}</body></html>")),
        // The secret lies across the place where a long page is cut.
        "is-a-long-page" => reply(404, "", &format!("<html>{}{SECRET}", "-".repeat(190 - "<html>".len()))),
        "quotes-in-a-field" => reply(200, "", &json!({"run": SECRET, "experiment": quoted}).to_string()),
        "redirects" => {
            let location =
                format!("Location: https://me:{IN_ADDRESS}@login/{ways}?token={IN_ADDRESS}#{IN_ADDRESS}\r\n");
            reply(302, &location, "")
        }
        "stores-on-s3" if matches!(request.call(), "get" | "create" | "update" | "get-by-name") => {
            let info = info(&format!("s3://key:{IN_ADDRESS}@bucket/1"));
            let experiment = json!({"experiment_id": "0", "name": "Default", "lifecycle_stage": "active",
                                    "artifact_location": format!("s3://key:{IN_ADDRESS}@bucket")});
            let body = json!({"run": {"info": info}, "run_info": info, "experiment": experiment, "experiment_id": "0"});
            reply(200, "", &body.to_string())
        }
        _ => healthy(request),
    }
}

const WAYS: [&str; 10] = [
    "is-well",
    "denies",
    "forbids",
    "refuses-items",
    "breaks",
    "is-a-page",
    "is-a-long-page",
    "quotes-in-a-field",
    "redirects",
    "stores-on-s3",
];

/// Every call of a store.
fn call_everything(store: &RestStore, folder: &Path, outputs: &Outputs) {
    let file = folder.join("model.bin");
    fs::write(&file, [7; 1000]).expect("a file");
    let metric = Metric { key: "loss".into(), value: 0.5, timestamp_ms: 1, step: 1 };
    let batch = Batch { metrics: vec![metric], params: vec![("bad".into(), "1".into())], ..Batch::default() };
    let dataset =
        Dataset { name: "iris".into(), digest: "1".into(), source_type: "local".into(), ..Dataset::default() };
    let input = DatasetInput { dataset, ..DatasetInput::default() };
    outputs.debug("store", store);
    outputs.display("uri", &store.uri());
    outputs.result("create experiment", &store.create_experiment("e"));
    outputs.result("by name", &store.experiment_by_name("e"));
    outputs.result("experiment", &store.experiment("0"));
    outputs.result("experiments", &store.experiments(ViewType::All));
    outputs.result("experiment tag", &store.set_experiment_tag("0", "a", "b"));
    outputs.result("delete experiment", &store.delete_experiment("0"));
    outputs.result("restore experiment", &store.restore_experiment("0"));
    outputs.result("create run", &store.create_run(&NewRun { name: "n".into(), ..NewRun::default() }));
    outputs.result("run", &store.run("r1"));
    outputs.result("update", &store.update_run("r1", RunStatus::Finished, Some(2), Some("n")));
    outputs.result("delete run", &store.delete_run("r1"));
    outputs.result("restore run", &store.restore_run("r1"));
    outputs.result("batch", &store.log_batch("r1", &batch));
    outputs.result("delete tag", &store.delete_tag("r1", "a"));
    outputs.result("inputs", &store.log_inputs("r1", &[input]));
    outputs.result("search", &store.search_runs(&RunQuery::default()));
    outputs.result("history", &store.metric_history("r1", "loss"));
    outputs.result("put", &store.put_artifact(ArtifactsOf::Run("r1"), &file, "model.bin"));
    outputs.result("list", &store.list_artifacts(ArtifactsOf::Run("r1"), ""));
    outputs.result("get", &store.get_artifact(ArtifactsOf::Run("r1"), "model.bin", &folder.join("copy.bin")));
}

/// A whole run, as a program does it.
fn track(uri: &str, http: &HttpOptions, folder: &Path, outputs: &Outputs) {
    let options = Options {
        uri: uri.into(),
        http: http.clone(),
        artifact_root: folder.join("mlruns"),
        spool_dir: folder.join("spool"),
        exit_timeout: Duration::from_millis(100),
        ..Options::default()
    };
    outputs.debug("options", &options);
    let tracker = Tracker::open(&options);
    outputs.result("open", &tracker);
    let Ok(tracker) = tracker else { return };
    let run = tracker.start_run(&RunOptions { name: "n".into(), ..RunOptions::default() });
    outputs.result("start", &run);
    let Ok(run) = run else { return };
    outputs.debug("addresses", &(run.url(), tracker.view_command(), tracker.experiment_url("0")));
    run.log_param("bad", "1");
    run.log_param("good", &"long".repeat(5000));
    run.log_metric("loss", f64::NAN, 0);
    run.log_text("hello", "notes.txt");
    run.log_artifact(&folder.join("model.bin"), "");
    let outcome = run.fail("an end");
    outputs.debug("outcome", &outcome);
    outputs.display("outcome", &outcome);
}

/// A server that remembers what it was sent: headers must have the secret, bodies must not.
fn listening_server(bodies: &Outputs, signed: &Arc<Mutex<usize>>) -> SocketAddr {
    let (bodies, signed) = (bodies.clone(), signed.clone());
    serve(move |request: &Request| {
        bodies.add(&format!("body of {}", request.target()), request.body.clone());
        bodies.display("target", &request.target());
        *signed.lock().expect("a lock") += usize::from(shows_secret(request.header("authorization").as_bytes()));
        misbehave(request)
    })
}

#[test]
fn the_search_finds_every_spelling() {
    for way in WAYS.iter().filter(|way| !matches!(**way, "is-well" | "refuses-items")) {
        let request = Request { head: format!("GET /{way}/get X\r\n\r\n"), body: Vec::new() };
        assert!(shows_secret(misbehave(&request).as_bytes()), "{way}");
    }
    let basic = |user: &str| BASE64_STANDARD.encode(format!("{user}:{SECRET}"));
    for text in [SECRET, IN_ADDRESS, "PL4NTED", &basic("a"), &basic("me"), &basic("mee")] {
        assert!(shows_secret(text.as_bytes()), "{text}");
    }
    assert!(!shows_secret(b"nothing"));
}

#[test]
fn no_output_shows_a_secret() {
    listen_to_logs();
    let (planted, folder) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let (outputs, signed) = (Outputs::default(), Arc::new(Mutex::new(0)));
    let server = listening_server(&outputs, &signed);
    for (place, user, http) in placements(planted.path()) {
        outputs.debug(place, &http);
        *signed.lock().expect("a lock") = 0;
        for way in WAYS {
            // A secret in the query is one more place.
            let uri = format!("http://{user}{server}/{way}?token={IN_ADDRESS}#{IN_ADDRESS}");
            let store = RestStore::new(&uri, &http).expect("a store");
            call_everything(&store, folder.path(), &outputs);
            track(&uri, &http, folder.path(), &outputs);
        }
        let signed = *signed.lock().expect("a lock");
        assert!(signed > 200, "{place}: only {signed} requests were signed");
    }
    outputs.folder(folder.path());
    outputs.assert_clean();
    let log = LOG.get_or_init(Outputs::default);
    log.assert_clean();
    println!("{} outputs and {} log lines searched", outputs.len(), log.len());
    assert!(outputs.len() > 7 * 10 * 22 && log.len() > 100, "{} {}", outputs.len(), log.len());
}

#[test]
fn no_broken_connection_shows_a_secret() {
    listen_to_logs();
    let planted = TempDir::new().expect("a folder");
    let folder = TempDir::new().expect("a folder");
    let outputs = Outputs::default();
    let plain = serve(|request: &Request| healthy(request));
    let unknown = serve_tls(Authority::new("unknown").server("127.0.0.1", None), |request: &Request| healthy(request));
    let torn =
        serve(|request: &Request| reply(200, "", &quote(request)).replace("Content-Length: ", "Content-Length: 9"));
    let no_http = serve(quote);
    let closed = SocketAddr::from(([127, 0, 0, 1], 1));
    let addresses =
        [("https", plain), ("https", unknown), ("http", unknown), ("http", torn), ("http", no_http), ("http", closed)];
    let authority = Authority::new("trusted");
    let server_cert_path = Some(authority.write(planted.path(), "ca.pem"));
    let client_cert_path = authority.write_client(planted.path(), "client.pem");
    let pem = fs::read_to_string(&client_cert_path).expect("a file");
    let key = pem.lines().skip_while(|line| !line.contains("PRIVATE KEY")).nth(1).expect("a key");
    for (place, user, http) in placements(planted.path()) {
        let client_cert_path = Some(client_cert_path.clone());
        let http = HttpOptions { server_cert_path: server_cert_path.clone(), client_cert_path, ..http };
        for (scheme, server) in addresses {
            let uri = format!("{scheme}://{user}{server}/?token={IN_ADDRESS}");
            let store = RestStore::new(&uri, &http).expect("a store");
            let answer = store.experiment_by_name("Default");
            assert!(answer.is_err(), "{place} at {scheme}://{server}");
            outputs.result(place, &answer);
            track(&uri, &http, folder.path(), &outputs);
        }
        // Addresses that are none.
        for odd in ["ftp", "https:/", "postgresql", "htps", "file", "databricks"] {
            let uri = format!("{odd}://{user}host:5000/x?token={IN_ADDRESS}");
            outputs.result(odd, &tracking::open_store(&uri, folder.path(), &http).map(|store| store.uri()));
            track(&uri, &http, folder.path(), &outputs);
        }
    }
    outputs.assert_clean();
    LOG.get_or_init(Outputs::default).assert_clean();
    assert!(key.len() > 40 && pem.contains(key));
    outputs.assert_without(key);
    LOG.get_or_init(Outputs::default).assert_without(key);
    assert!(outputs.len() > 7 * 12 * 2, "{}", outputs.len());
}
