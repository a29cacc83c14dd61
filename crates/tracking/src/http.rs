//! HTTP to an MLflow server: credentials, deadlines, retries, and the way from an answer to an [`Error`].

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::blocking::{Body, Client, RequestBuilder, Response};
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::{Error, Result, redact_url};

/// A longer wish of the server (`Retry-After`) is handed to the caller instead of slept through, and a try that took
/// longer is not repeated: a server that hangs would cost the whole deadline each time.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A transfer slower than this, in bytes per second, is given up after its deadline.
const SLOWEST_TRANSFER: u64 = 100_000;
/// How much of an error page is read.
const ERROR_BODY_BYTES: u64 = 64 * 1024;
const NOT_MLFLOW_HINT: &str = ". Hint: is this the address of an MLflow server?";
const CREDENTIALS_HINT: &str = ". Hint: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, \
                                or MLFLOW_TRACKING_TOKEN, to what this server accepts";

/// How to talk to an MLflow server. Its `Debug` output never shows a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpOptions {
    /// Basic authentication, with `password`. A user in the URI goes first.
    pub username: Option<String>,
    /// Basic authentication, with `username`.
    pub password: Option<String>,
    /// Bearer token, used when there is no user and password.
    pub token: Option<String>,
    /// Accepts any TLS certificate.
    pub insecure_tls: bool,
    /// How long one request may take. A file that is sent may take longer, at 100 kB per second; one that is fetched may
    /// pause for so long.
    pub timeout: Duration,
    /// How often one request is repeated when the server is away, overloaded or broken. One that ran into its deadline
    /// is not.
    pub max_retries: u32,
}

impl Default for HttpOptions {
    /// No credentials, 120 s, 3 retries (1 to 2 seconds together: a [`Run`](crate::Run) goes on retrying by itself).
    fn default() -> Self {
        Self {
            username: None,
            password: None,
            token: None,
            insecure_tls: false,
            timeout: Duration::from_secs(120),
            max_retries: 3,
        }
    }
}

impl HttpOptions {
    /// Reads MLflow's environment variables: `MLFLOW_TRACKING_USERNAME`, `_PASSWORD`, `_TOKEN`, `_INSECURE_TLS`,
    /// `MLFLOW_HTTP_REQUEST_TIMEOUT` (seconds), `MLFLOW_HTTP_REQUEST_MAX_RETRIES`. Errors name the bad variable.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// [`HttpOptions::from_env`] with another source of variables, e.g. a map.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = |name: &str| variable(name).filter(|value| !value.is_empty());
        let number = |name: &str, default: u64| match text(name) {
            Some(value) => {
                value.parse().map_err(|_| Error::Invalid(format!("{name}: `{value}` is not a whole number")))
            }
            None => Ok(default),
        };
        let default = Self::default();
        Ok(Self {
            username: text("MLFLOW_TRACKING_USERNAME"),
            password: text("MLFLOW_TRACKING_PASSWORD"),
            token: text("MLFLOW_TRACKING_TOKEN"),
            insecure_tls: match text("MLFLOW_TRACKING_INSECURE_TLS").as_deref().map(str::to_lowercase).as_deref() {
                None | Some("false" | "0") => false,
                Some("true" | "1") => true,
                Some(other) => {
                    return Err(Error::Invalid(format!(
                        "MLFLOW_TRACKING_INSECURE_TLS: `{other}` is not true or false"
                    )));
                }
            },
            timeout: Duration::from_secs(number("MLFLOW_HTTP_REQUEST_TIMEOUT", default.timeout.as_secs())?),
            max_retries: number("MLFLOW_HTTP_REQUEST_MAX_RETRIES", u64::from(default.max_retries))?.min(100) as u32,
        })
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |secret: &Option<String>| secret.as_ref().map(|_| "***");
        f.debug_struct("HttpOptions")
            .field("username", &shown(&self.username))
            .field("password", &shown(&self.password))
            .field("token", &shown(&self.token))
            .field("insecure_tls", &self.insecure_tls)
            .field("timeout", &self.timeout)
            .field("max_retries", &self.max_retries)
            .finish()
    }
}

enum Auth {
    None,
    Basic { username: String, password: String },
    Bearer(String),
}

/// One server: its address, its credentials and a connection pool.
pub(crate) struct Http {
    client: Client,
    /// Without credentials, query and fragment.
    base: Url,
    auth: Auth,
    /// What must never be seen in a message.
    secrets: Vec<String>,
    timeout: Duration,
    max_retries: u32,
    /// Bytes of files sent and received, so that others can see a long transfer advance. Bytes that are sent again after
    /// a failure are no advance.
    pub(crate) bytes_moved: Arc<AtomicU64>,
    /// How far the tries of each upload that is not stored yet have come, by path.
    unfinished: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("uri", &self.uri()).finish_non_exhaustive()
    }
}

impl Http {
    /// Makes a client. Does not talk to the server yet. Errors with `Invalid` for an address that is none.
    pub(crate) fn new(uri: &str, options: &HttpOptions) -> Result<Self> {
        let shown = redact_url(uri);
        let bad = |reason: String| Error::Invalid(format!("`{shown}` is not the address of a server: {reason}"));
        let mut base = Url::parse(uri).map_err(|error| bad(error.to_string()))?;
        let auth = credentials(&base, options);
        let secrets = secrets(&auth, options);
        let has_host = base.set_username("").is_ok() && base.set_password(None).is_ok() && base.has_host();
        if !has_host || !matches!(base.scheme(), "http" | "https") {
            return Err(bad("it must read http://HOST:PORT or https://HOST".into()));
        }
        base.set_query(None);
        base.set_fragment(None);
        let client = client(&base, options).map_err(|error| bad(cause(error)))?;
        Ok(Self {
            client,
            base,
            auth,
            secrets,
            timeout: options.timeout,
            max_retries: options.max_retries,
            bytes_moved: Arc::default(),
            unfinished: Mutex::default(),
        })
    }

    /// Address without credentials and without a slash at the end.
    pub(crate) fn uri(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_string()
    }

    /// Host name, for the question whether the server is this machine.
    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, endpoint: &str, query: &[(&str, &str)]) -> Result<T> {
        self.retrying(|| {
            let mut url = self.api(endpoint);
            url.query_pairs_mut().extend_pairs(query);
            self.answer(endpoint, self.client.get(url).timeout(self.timeout))
        })
    }

    /// For calls that may be repeated.
    pub(crate) fn post<T: DeserializeOwned>(&self, endpoint: &str, body: &str) -> Result<T> {
        self.call(Method::POST, endpoint, body)
    }

    /// For calls that may not be repeated.
    pub(crate) fn post_once<T: DeserializeOwned>(&self, endpoint: &str, body: &str) -> Result<T> {
        self.call_once(Method::POST, endpoint, body)
    }

    /// For calls with a body that may be repeated.
    pub(crate) fn call<T: DeserializeOwned>(&self, method: Method, endpoint: &str, body: &str) -> Result<T> {
        self.retrying(|| self.call_once(method.clone(), endpoint, body))
    }

    fn call_once<T: DeserializeOwned>(&self, method: Method, endpoint: &str, body: &str) -> Result<T> {
        let request = self.client.request(method, self.api(endpoint)).header(CONTENT_TYPE, "application/json");
        self.answer(endpoint, request.body(body.to_string()).timeout(self.timeout))
    }

    /// The server's version, e.g. `3.1.4`.
    pub(crate) fn version(&self) -> Result<String> {
        self.retrying(|| {
            let request = self.client.get(self.below(["version"].into_iter())).timeout(self.timeout);
            let text = self.send("version", request)?.text().map_err(|error| self.unreachable(error))?;
            Ok(text.trim().to_string())
        })
    }

    /// Lists a folder of the artifact proxy, by names without their folder.
    pub(crate) fn list_files<T: DeserializeOwned>(&self, folder: &str) -> Result<T> {
        self.retrying(|| {
            let mut url = self.artifact("");
            url.query_pairs_mut().append_pair("path", folder);
            self.answer("mlflow-artifacts", self.client.get(url).timeout(self.timeout))
        })
    }

    /// Sends a file to the artifact proxy, streamed. `path` is below the proxy's root.
    pub(crate) fn put_file(&self, local_file: &Path, path: &str) -> Result<()> {
        let unreadable = |source| Error::Io { doing: "read", path: local_file.into(), source };
        let furthest = self.unfinished().entry(path.into()).or_default().clone();
        let sent = self.retrying(|| {
            let file = File::open(local_file).map_err(unreadable)?;
            let metadata = file.metadata().map_err(unreadable)?;
            if !metadata.is_file() {
                return Err(unreadable(io::ErrorKind::IsADirectory.into()));
            }
            let bytes = metadata.len();
            let body = Body::sized(self.counted(file, &furthest), bytes);
            let deadline = self.timeout + Duration::from_secs(bytes / SLOWEST_TRANSFER);
            let request = self.client.put(self.artifact(path)).timeout(deadline).body(body);
            // Read to the end: the page of a proxy is no confirmation. MLflow says `{}` or, since 3, nothing.
            let text = self.send("mlflow-artifacts", request)?.text().map_err(|error| self.unreachable(error))?;
            if text.is_empty() { Ok(()) } else { self.parse::<IgnoredAny>("mlflow-artifacts", &text).map(drop) }
        });
        if !sent.as_ref().is_err_and(Error::may_pass) {
            self.unfinished().remove(path);
        }
        sent
    }

    /// A panic while the lock is held leaves whole entries only, so a poisoned lock is as good as any.
    fn unfinished(&self) -> MutexGuard<'_, BTreeMap<String, Arc<AtomicU64>>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counted<R>(&self, inner: R, furthest: &Arc<AtomicU64>) -> Counted<R> {
        Counted { inner, at: 0, furthest: furthest.clone(), bytes_moved: self.bytes_moved.clone() }
    }

    /// Fetches a file from the artifact proxy, streamed.
    pub(crate) fn get_file(&self, path: &str, local_file: &Path) -> Result<()> {
        let furthest = Arc::default();
        self.retrying(|| {
            // A deadline of the request would hold for the whole file; the client's own holds for each read.
            let response = self.send("mlflow-artifacts", self.client.get(self.artifact(path)))?;
            save(self.counted(response, &furthest), local_file).map_err(|source| {
                // What the system says is about the local file; all else is about the connection.
                match source.raw_os_error() {
                    Some(_) => Error::Io { doing: "write", path: local_file.into(), source },
                    None => self.unavailable(format!("the transfer of `{path}` broke off: {source}"), None),
                }
            })
        })
    }

    fn api(&self, endpoint: &str) -> Url {
        self.below(["api", "2.0", "mlflow"].into_iter().chain(endpoint.split('/')))
    }

    fn artifact(&self, path: &str) -> Url {
        let folders = ["api", "2.0", "mlflow-artifacts", "artifacts"];
        self.below(folders.into_iter().chain(path.split('/').filter(|part| !part.is_empty())))
    }

    fn below<'a>(&self, parts: impl Iterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(parts);
        }
        url
    }

    fn answer<T: DeserializeOwned>(&self, endpoint: &str, request: RequestBuilder) -> Result<T> {
        let response = self.send(endpoint, request)?;
        let text = response.text().map_err(|error| self.unreachable(error))?;
        self.parse(endpoint, &text)
    }

    fn parse<T: DeserializeOwned>(&self, endpoint: &str, text: &str) -> Result<T> {
        serde_json::from_str(text).map_err(|error| {
            Error::NotMlflow(self.scrub(format!(
                "`{}` answered {endpoint} with something that is not MLflow's: {error}. Hint: is this the address of an \
                 MLflow server?",
                self.uri()
            )))
        })
    }

    fn send(&self, endpoint: &str, request: RequestBuilder) -> Result<Response> {
        let request = match &self.auth {
            Auth::None => request,
            Auth::Basic { username, password } => request.basic_auth(username, Some(password)),
            Auth::Bearer(token) => request.bearer_auth(token),
        };
        let response = request.send().map_err(|error| self.unreachable(error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(endpoint, response)) }
    }

    fn retrying<T>(&self, attempt: impl Fn() -> Result<T>) -> Result<T> {
        let mut tries = 0;
        loop {
            let begin = Instant::now();
            match attempt() {
                Err(Error::Unavailable { message, retry_after_s }) => {
                    let took_long = begin.elapsed() >= self.timeout.min(LONGEST_WAIT);
                    let wait = backoff(tries, Duration::from_millis(250), retry_after_s);
                    if tries >= self.max_retries || took_long || wait > LONGEST_WAIT {
                        return Err(Error::Unavailable { message, retry_after_s });
                    }
                    std::thread::sleep(wait);
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    /// The server did not answer.
    fn unreachable(&self, error: reqwest::Error) -> Error {
        let text = if error.is_timeout() {
            format!("no answer within {} s", self.timeout.as_secs_f32())
        } else {
            cause(error)
        };
        self.unavailable(text, None)
    }

    fn unavailable(&self, reason: String, retry_after_s: Option<u64>) -> Error {
        let message = self.scrub(format!("MLflow server `{}`: {reason}", self.uri()));
        Error::Unavailable { message, retry_after_s }
    }

    /// The server answered, but not with a success.
    fn refusal(&self, endpoint: &str, response: Response) -> Error {
        let status = response.status();
        let retry_after_s = header(&response, RETRY_AFTER.as_str()).and_then(|seconds| seconds.trim().parse().ok());
        let location = header(&response, LOCATION.as_str()).map(|target| redact_url(&target));
        let mut bytes = Vec::new();
        let torn = response.take(ERROR_BODY_BYTES).read_to_end(&mut bytes).is_err();
        let text = String::from_utf8_lossy(&bytes);
        let body: ErrorBody = serde_json::from_str(&text).unwrap_or_default();
        let reason = match (body.message.is_empty(), location) {
            (false, _) => body.message,
            (true, Some(location)) => format!("it points to `{location}`"),
            (true, None) => text.chars().take(200).collect(),
        };
        let message = format!("{} (`{}`, {endpoint}, {status})", reason.trim(), self.uri());
        let message = self.scrub(message);
        match (body.error_code.as_str(), status.as_u16()) {
            ("RESOURCE_DOES_NOT_EXIST", _) => Error::NotFound(message),
            ("RESOURCE_ALREADY_EXISTS", _) => Error::AlreadyExists(message),
            (_, 401 | 403) => Error::Denied(message + CREDENTIALS_HINT),
            // The reason is in the part that did not come: a name that is taken and a bad request share a status.
            _ if torn => Error::Unavailable { message, retry_after_s },
            (_, 501) => Error::Invalid(message),
            (_, 408 | 429 | 500..) => Error::Unavailable { message, retry_after_s },
            // The page of a proxy whose server is away, a redirect to a login.
            ("", 300..=399 | 404) => Error::NotMlflow(message + NOT_MLFLOW_HINT),
            ("", _) => Error::Invalid(message + NOT_MLFLOW_HINT),
            _ => Error::Invalid(message),
        }
    }

    /// A proxy may quote what it was sent, so secrets are taken out of every message.
    fn scrub(&self, message: String) -> String {
        self.secrets.iter().fold(message, |message, secret| message.replace(secret.as_str(), "***"))
    }
}

/// All secrets in all their spellings, longest first, so that none leaves a rest of another.
fn secrets(auth: &Auth, options: &HttpOptions) -> Vec<String> {
    let mut secrets: Vec<String> = [&options.password, &options.token].into_iter().flatten().cloned().collect();
    if let Auth::Basic { username, password } = auth {
        secrets.push(BASE64_STANDARD.encode(format!("{username}:{password}")));
        secrets.push(password.clone());
    }
    secrets.retain(|secret| !secret.is_empty());
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    error_code: String,
    message: String,
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_string)
}

fn credentials(uri: &Url, options: &HttpOptions) -> Auth {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    if !uri.username().is_empty() || uri.password().is_some() {
        return Auth::Basic {
            username: decoded(uri.username()),
            password: decoded(uri.password().unwrap_or_default()),
        };
    }
    match (&options.username, &options.password, &options.token) {
        (Some(username), Some(password), _) => Auth::Basic { username: username.clone(), password: password.clone() },
        (_, _, Some(token)) => Auth::Bearer(token.clone()),
        _ => Auth::None,
    }
}

fn client(base: &Url, options: &HttpOptions) -> reqwest::Result<Client> {
    static PROVIDER: Once = Once::new();
    // An error says that the program has chosen a provider itself: then that one is used.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let builder = Client::builder()
        .user_agent(concat!("rust-mlflow-tracking/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.timeout.min(LONGEST_WAIT))
        .timeout(options.timeout)
        // A redirected POST would arrive as a GET, and credentials could go to another host.
        .redirect(Policy::none());
    if base.scheme() == "http" {
        // Plain HTTP must work on machines that have no certificates at all.
        return builder.tls_certs_only([]).build();
    }
    builder.tls_danger_accept_invalid_certs(options.insecure_tls).build()
}

/// The innermost reason, which is the one people can act on. Never shows an address: it may hold a secret.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut deepest: &dyn std::error::Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    match deepest.to_string() {
        text if text.contains("certificate") => {
            format!("cannot connect: {text}. Hint: MLFLOW_TRACKING_INSECURE_TLS=true accepts any certificate")
        }
        text if error.is_connect() => format!("cannot connect: {text}"),
        text => text,
    }
}

/// Wait before try number `tries + 1`: doubled each time, with jitter so that many clients do not come back at once.
/// A wish of the server is kept, and not shortened.
pub(crate) fn backoff(tries: u32, first: Duration, retry_after_s: Option<u64>) -> Duration {
    let doubled = first * 2_u32.pow(tries.min(7));
    let jitter = f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 510.0;
    doubled.mul_f64(0.5 + jitter).max(Duration::from_secs(retry_after_s.unwrap_or(0)))
}

/// Writes a stream to a temporary name beside `local_file` and renames it when it is complete.
fn save(mut stream: impl Read, local_file: &Path) -> io::Result<()> {
    let mut partial = local_file.as_os_str().to_owned();
    partial.push(format!(".{}.part", uuid::Uuid::new_v4().simple()));
    let saved = File::create_new(&partial)
        .and_then(|mut file| io::copy(&mut stream, &mut file))
        .and_then(|_| fs::rename(&partial, local_file));
    if saved.is_err() {
        // What is left of a broken transfer helps nobody; the transfer's own error is the one to report.
        let _ = fs::remove_file(&partial);
    }
    saved
}

/// Counts what is read through it beyond the furthest that any try of the same file has come.
struct Counted<R> {
    inner: R,
    at: u64,
    furthest: Arc<AtomicU64>,
    bytes_moved: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.at += bytes as u64;
        let before = self.furthest.fetch_max(self.at, Ordering::Relaxed);
        self.bytes_moved.fetch_add(self.at.saturating_sub(before), Ordering::Relaxed);
        Ok(bytes)
    }
}
