//! Certificates, tokens that change, and proxies: what stands between a run and a server that is well.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/loopback.rs"]
mod loopback;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use certificates::Authority;
use loopback::{Request, accept, healthy, read_request, reply, serve, serve_tls};
use tempfile::TempDir;
use tracking::{
    ArtifactsOf, Batch, Error, Experiment, HttpOptions, NewRun, Options, RestStore, Result, RunOptions, RunStatus,
    Store, Tracker,
};

const SERVER_CERT: &str = "MLFLOW_TRACKING_SERVER_CERT_PATH";
const CLIENT_CERT: &str = "MLFLOW_TRACKING_CLIENT_CERT_PATH";
const INSECURE: &str = "MLFLOW_TRACKING_INSECURE_TLS";
const TOKEN_FILE: &str = "MLFLOW_TRACKING_TOKEN_FILE";

/// Options as a program gets them from these variables.
fn options(variables: &[(&str, &str)]) -> HttpOptions {
    let variables: BTreeMap<&str, &str> =
        variables.iter().copied().chain([("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")]).collect();
    HttpOptions::from_variables(|name| variables.get(name).map(ToString::to_string)).expect("options")
}

fn ask(uri: &str, variables: &[(&str, &str)]) -> Result<Option<Experiment>> {
    RestStore::new(uri, &options(variables))?.experiment_by_name("Default")
}

fn refusal(uri: &str, variables: &[(&str, &str)]) -> Error {
    match ask(uri, variables) {
        Ok(found) => panic!("{uri} let us in with {variables:?}: {found:?}"),
        Err(error) => error,
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

#[test]
fn only_a_certificate_that_is_trusted_lets_a_server_in() {
    let folder = TempDir::new().expect("a folder");
    let ours = Authority::new("ours");
    let uri = format!("https://{}", serve_tls(ours.server("127.0.0.1", None), healthy));
    let trusted = ours.write(folder.path(), "ca.pem");
    let other = Authority::new("other").write(folder.path(), "other.pem");

    for variables in [&[][..], &[(SERVER_CERT, text(&other))]] {
        let error = refusal(&uri, variables);
        assert!(error.is_transient() && error.to_string().contains(SERVER_CERT), "{error}");
    }
    for variables in [(SERVER_CERT, text(&trusted)), (INSECURE, "true")] {
        let found = ask(&uri, &[variables]).unwrap_or_else(|error| panic!("{variables:?}: {error}"));
        assert_eq!(found.expect("an experiment").name, "Default");
    }
    let answer = ask_in_child(&uri, &[("SSL_CERT_FILE", text(&trusted))]);
    assert!(answer.contains("name: \"Default\""), "one that the system trusts: {answer}");
    // A bundle of several.
    let bundle = folder.path().join("bundle.pem");
    let both = [&other, &trusted].map(|path| fs::read_to_string(path).expect("a file")).concat();
    fs::write(&bundle, both).expect("a file");
    ask(&uri, &[(SERVER_CERT, text(&bundle))]).expect("the second of the bundle");
    // The right authority, and the name of another server.
    let elsewhere = format!("https://{}", serve_tls(ours.server("mlflow.test", None), healthy));
    let error = refusal(&elsewhere, &[(SERVER_CERT, text(&trusted))]).to_string();
    assert!(error.contains("not valid for name") && error.contains(SERVER_CERT), "{error}");
}

#[test]
fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let folder = TempDir::new().expect("a folder");
    let (ours, clients) = (Authority::new("ours"), Authority::new("clients"));
    let uri = format!("https://{}", serve_tls(ours.server("127.0.0.1", Some(&clients)), healthy));
    let trusted = ours.write(folder.path(), "ca.pem");
    let known = clients.write_client(folder.path(), "known.pem");
    let unknown = Authority::new("other").write_client(folder.path(), "unknown.pem");

    ask(&uri, &[(SERVER_CERT, text(&trusted)), (CLIENT_CERT, text(&known))]).expect("a known client");
    for variables in
        [&[(SERVER_CERT, text(&trusted))][..], &[(SERVER_CERT, text(&trusted)), (CLIENT_CERT, text(&unknown))]]
    {
        let error = refusal(&uri, variables);
        assert!(error.is_transient() && error.to_string().contains(CLIENT_CERT), "{error}");
    }
}

#[test]
fn files_that_hold_no_certificate_are_named() {
    let folder = TempDir::new().expect("a folder");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("a file");
        path
    };
    let torn = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let bad: [PathBuf; 4] =
        [folder.path().join("none.pem"), file("empty.pem", ""), file("odd.pem", "s3cret"), file("torn.pem", torn)];
    for path in &bad {
        for variable in [SERVER_CERT, CLIENT_CERT] {
            let error = refusal("https://127.0.0.1:1", &[(variable, text(path))]);
            let message = error.to_string();
            assert!(matches!(error, Error::Invalid(_)), "{message}");
            assert!(message.contains(variable) && message.contains(text(path)), "{message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }
    let trusted = Authority::new("other").write(folder.path(), "ca.pem");
    let both = refusal("https://127.0.0.1:1", &[(SERVER_CERT, text(&trusted)), (INSECURE, "true")]);
    assert!(both.to_string().contains(INSECURE) && both.to_string().contains(SERVER_CERT), "{both}");
}

/// A server that takes one token, and what it heard.
struct Guarded {
    uri: String,
    heard: Arc<Mutex<Vec<(String, usize)>>>,
}

impl Guarded {
    /// `refused` is called, and then `status` said, for every request without `Bearer {token}`.
    fn start(token: &'static str, status: u16, refused: impl Fn() + Send + Sync + 'static) -> Self {
        let heard: Arc<Mutex<Vec<(String, usize)>>> = Arc::default();
        let hears = heard.clone();
        let script = move |request: &Request| {
            hears.lock().expect("a lock").push((request.header("authorization").into(), request.body.len()));
            if request.header("authorization") == format!("Bearer {token}") {
                return healthy(request);
            }
            refused();
            reply(status, "", "who are you?")
        };
        Self { uri: format!("http://{}", serve(script)), heard }
    }

    fn heard(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut self.heard.lock().expect("a lock"))
    }
}

type Call<'a> = &'a dyn Fn(&RestStore) -> Result<()>;

#[test]
fn a_token_that_has_changed_is_read_again() {
    let folder = TempDir::new().expect("a folder");
    let (token, file) = (folder.path().join("token"), folder.path().join("model.bin"));
    fs::write(&file, vec![7; 300_000]).expect("a file");
    for status in [401, 403] {
        let rotated = token.clone();
        let server = Guarded::start("second", status, move || fs::write(&rotated, "second\n").expect("a file"));
        let calls: [(&str, Call<'_>); 4] = [
            ("log-batch", &|store| {
                store.log_batch("r1", &Batch { params: vec![("a".into(), "1".into())], ..Batch::default() })
            }),
            ("create", &|store| store.create_run(&NewRun::default()).map(drop)),
            ("get", &|store| store.run("r1").map(drop)),
            ("upload", &|store| store.put_artifact(ArtifactsOf::Run("r1"), &file, "model.bin")),
        ];
        for (name, call) in calls {
            fs::write(&token, "first").expect("a file");
            let store = RestStore::new(&server.uri, &options(&[(TOKEN_FILE, text(&token))])).expect("a store");
            call(&store).unwrap_or_else(|error| panic!("{name} after {status}: {error}"));
            let heard = server.heard();
            let tokens: Vec<&str> = heard.iter().map(|(header, _)| header.as_str()).collect();
            assert_eq!(tokens[..2], ["Bearer first", "Bearer second"], "{name}");
            assert!(tokens[2..].iter().all(|header| *header == "Bearer second"), "{name}: {tokens:?}");
            // The body goes out whole both times.
            assert_eq!(heard[0].1, heard[1].1, "{name}");
            assert!(name != "upload" || heard.last().is_some_and(|(_, bytes)| *bytes == 300_000), "{heard:?}");
        }
    }
}

#[test]
fn an_upload_is_sent_again_with_the_new_token() {
    let folder = TempDir::new().expect("a folder");
    let (token, file) = (folder.path().join("token"), folder.path().join("model.bin"));
    fs::write(&file, vec![7; 300_000]).expect("a file");
    fs::write(&token, "first").expect("a file");
    let current = Arc::new(Mutex::new("first"));
    let (accepted, rotated) = (current.clone(), token.clone());
    let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
    let seen = sizes.clone();
    // The token is changed between the question for the artifact root and the upload.
    let uri = serve(move |request| {
        if request.head.starts_with("PUT") {
            seen.lock().expect("a lock").push(request.body.len());
            *accepted.lock().expect("a lock") = "second";
        }
        if request.header("authorization") == format!("Bearer {}", accepted.lock().expect("a lock")) {
            return healthy(request);
        }
        fs::write(&rotated, "second").expect("a file");
        reply(401, "", "expired")
    });
    let store = RestStore::new(&format!("http://{uri}"), &options(&[(TOKEN_FILE, text(&token))])).expect("a store");
    store.put_artifact(ArtifactsOf::Run("r1"), &file, "model.bin").expect("the second try");
    assert_eq!(*sizes.lock().expect("a lock"), [300_000, 300_000]);
    assert_eq!(*current.lock().expect("a lock"), "second");
}

#[test]
fn who_has_nothing_else_to_show_is_denied_at_once() {
    let folder = TempDir::new().expect("a folder");
    let token = folder.path().join("token");
    let server = Guarded::start("other", 401, || {});
    fs::write(&token, "mine").expect("a file");
    let error = refusal(&server.uri, &[(TOKEN_FILE, text(&token))]);
    assert!(matches!(&error, Error::Denied(message) if message.contains(TOKEN_FILE)), "{error:?}");
    assert_eq!(server.heard().len(), 1);
    let missing = folder.path().join("missing");
    let error = refusal(&server.uri, &[(TOKEN_FILE, text(&missing))]);
    assert!(matches!(&error, Error::Denied(message) if message.contains(text(&missing))), "{error:?}");
    assert_eq!(server.heard(), [(String::new(), 0)]);
}

#[test]
fn mlflows_own_file_of_users_is_read() {
    let home = TempDir::new().expect("a folder");
    let file = home.path().join(".mlflow/credentials");
    fs::create_dir(home.path().join(".mlflow")).expect("a folder");
    let write = |password: &str| {
        let entries = format!("[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = {password}\n");
        fs::write(&file, entries).expect("a file");
    };
    write("old");
    let server = Guarded::start("none", 401, || {});
    let store = RestStore::new(&server.uri, &options(&[("HOME", text(home.path()))])).expect("a store");
    write("new");
    store.experiment_by_name("Default").expect_err("denied both times");
    // me:old, me:new
    assert_eq!(
        server.heard().iter().map(|(header, _)| header.as_str()).collect::<Vec<_>>(),
        ["Basic bWU6b2xk", "Basic bWU6bmV3"]
    );
}

#[test]
fn a_run_goes_on_when_its_token_is_renewed() {
    let folder = TempDir::new().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "first").expect("a file");
    let expired = Arc::new(AtomicBool::new(false));
    let (now, denied, points) = (expired.clone(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (denies, counts) = (denied.clone(), points.clone());
    let address = serve(move |request| {
        let valid = if now.load(Ordering::SeqCst) { "Bearer second" } else { "Bearer first" };
        if request.header("authorization") != valid {
            denies.fetch_add(1, Ordering::SeqCst);
            return reply(401, "", "expired");
        }
        if request.call() == "log-batch" {
            let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
            counts.fetch_add(body["metrics"].as_array().map_or(0, Vec::len), Ordering::SeqCst);
        }
        healthy(request)
    });
    let http = options(&[(TOKEN_FILE, text(&token))]);
    let uri = format!("http://{address}");
    let artifact_root = folder.path().join("mlruns");
    let spool_dir = folder.path().join("spool");
    let tracker = Tracker::open(&Options { uri, http, artifact_root, spool_dir, ..Options::default() }).expect("opens");
    let run = tracker.start_run(&RunOptions::default()).expect("starts");
    expired.store(true, Ordering::SeqCst);
    (0..100).for_each(|step| run.log_metric("loss", 0.5, step));
    while denied.load(Ordering::SeqCst) == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    fs::write(&token, "second").expect("a file");
    let outcome = run.finish(RunStatus::Finished);
    assert!(outcome.is_complete(), "{outcome}");
    assert_eq!(points.load(Ordering::SeqCst), 100);
}

/// Not a test: what the tests below run in a process of its own, because a process has but one environment.
#[test]
#[ignore = "run by other tests, with an environment of their own"]
fn child() {
    let uri = std::env::var("CHILD_URI").expect("an address");
    let http = HttpOptions { max_retries: 0, ..HttpOptions::from_env().expect("options") };
    let answer = RestStore::new(&uri, &http).and_then(|store| store.experiment_by_name("Default"));
    println!("answer: {answer:?}");
}

fn ask_in_child(uri: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["child", "--exact", "--ignored", "--nocapture"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let output = command.env("CHILD_URI", uri).envs(variables.iter().copied()).output().expect("runs");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    output.lines().find(|line| line.contains("answer: ")).unwrap_or_else(|| panic!("no answer: {output}")).to_string()
}

/// Starts a proxy. A plain request is answered by `script`; a tunnel, wherever it should lead, leads to `tunnel_end`
/// when `script` answers with status 200.
fn proxy(script: impl Fn(&Request) -> String + Send + Sync + 'static, tunnel_end: SocketAddr) -> SocketAddr {
    let script = Arc::new(script);
    accept(move |stream| forward(stream, script.as_ref(), tunnel_end))
}

fn forward(stream: TcpStream, script: &impl Fn(&Request) -> String, tunnel_end: SocketAddr) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let request = read_request(&mut reader)?;
    let answer = script(&request);
    (&stream).write_all(answer.as_bytes()).ok()?;
    if !request.head.starts_with("CONNECT") || !answer.starts_with("HTTP/1.1 200") {
        return Some(());
    }
    let far = TcpStream::connect(tunnel_end).ok()?;
    let mut up = (reader, far.try_clone().ok()?);
    thread::spawn(move || io::copy(&mut up.0, &mut up.1));
    io::copy(&mut &far, &mut &stream).ok().map(drop)
}

/// A proxy that answers by itself, and the targets it was asked for, with the proxy's and the server's credentials.
fn recording_proxy(tunnel_end: SocketAddr) -> (String, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let hears = asked.clone();
    let script = move |request: &Request| {
        let line = ["proxy-authorization", "authorization"].map(|name| request.header(name)).join("|");
        hears.lock().expect("a lock").push(format!("{}|{line}", request.target()));
        if request.head.starts_with("CONNECT") { "HTTP/1.1 200 X\r\n\r\n".into() } else { healthy(request) }
    };
    (proxy(script, tunnel_end).to_string(), asked)
}

const QUESTION: &str = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default";

#[test]
fn a_proxy_is_used_for_every_address_but_those_excepted() {
    let server = serve(|request: &Request| healthy(request));
    let (proxy, asked) = recording_proxy(server);
    let (name, address) = ("http://mlflow.test:5000", format!("http://{server}"));
    let through = |uri: &str| vec![format!("{uri}{QUESTION}||")];
    let bare = proxy.as_str();
    let with_scheme = format!("http://{proxy}");
    for (uri, variables, expected) in [
        (name, &[("HTTP_PROXY", with_scheme.as_str())][..], through(name)),
        (name, &[("http_proxy", &with_scheme)], through(name)),
        (name, &[("ALL_PROXY", bare)], through(name)),
        // As Python's `requests` does: an address of this machine is not excepted by itself.
        (&address, &[("HTTP_PROXY", &with_scheme)], through(&address)),
        (&address, &[("HTTP_PROXY", &with_scheme), ("NO_PROXY", "localhost,127.0.0.0/8")], vec![]),
        (&address, &[("http_proxy", &with_scheme), ("no_proxy", "127.0.0.1")], vec![]),
        (&address, &[("HTTP_PROXY", &with_scheme), ("NO_PROXY", "*")], vec![]),
        (&address, &[("HTTPS_PROXY", &with_scheme)], vec![]),
    ] {
        let answer = ask_in_child(uri, variables);
        assert!(answer.contains("name: \"Default\""), "{uri} {variables:?}: {answer}");
        assert_eq!(std::mem::take(&mut *asked.lock().expect("a lock")), expected, "{uri} {variables:?}");
    }
}

#[test]
fn a_proxy_gets_its_own_password_and_the_server_its_own() {
    let folder = TempDir::new().expect("a folder");
    let ours = Authority::new("ours");
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let hears = seen.clone();
    let server = serve_tls(ours.server("mlflow.test", None), move |request: &Request| {
        let line = ["proxy-authorization", "authorization"].map(|name| request.header(name)).join("|");
        hears.lock().expect("a lock").push(line);
        healthy(request)
    });
    let (proxy, asked) = recording_proxy(server);
    let (proxy, ca) = (format!("http://u:p%40w@{proxy}"), ours.write(folder.path(), "ca.pem"));
    let common = [("MLFLOW_TRACKING_TOKEN", "tok"), (SERVER_CERT, text(&ca))];
    let answer = ask_in_child("http://mlflow.test", &[("HTTP_PROXY", proxy.as_str()), common[0]]);
    assert!(answer.contains("name: \"Default\""), "{answer}");
    let answer = ask_in_child("https://mlflow.test", &[("HTTPS_PROXY", proxy.as_str()), common[0], common[1]]);
    assert!(answer.contains("name: \"Default\""), "{answer}");
    // u:p@w
    let to_proxy =
        [format!("http://mlflow.test{QUESTION}|Basic dTpwQHc=|Bearer tok"), "mlflow.test:443|Basic dTpwQHc=|".into()];
    assert_eq!(*asked.lock().expect("a lock"), to_proxy);
    assert_eq!(*seen.lock().expect("a lock"), ["|Bearer tok"]);
}

#[test]
fn a_proxy_that_refuses_is_explained_and_its_password_kept() {
    let refuse = |request: &Request| {
        let quoted = request.header("proxy-authorization").to_string();
        reply(407, "Proxy-Authenticate: Basic\r\n", &format!("wrong: {quoted} (u:pr0xy-pw)"))
    };
    let proxy = format!("http://u:pr0xy-pw@{}", proxy(refuse, SocketAddr::from(([127, 0, 0, 1], 1))));
    for (uri, variable) in [("http://mlflow.test", "HTTP_PROXY"), ("https://mlflow.test", "HTTPS_PROXY")] {
        let answer = ask_in_child(uri, &[(variable, &proxy)]);
        assert!(answer.contains("Unavailable") && answer.contains("HTTP_PROXY="), "{answer}");
        // u:pr0xy-pw
        assert!(!answer.contains("pr0xy-pw") && !answer.contains("dTpwcjB4eS1wdw"), "{answer}");
    }
}
