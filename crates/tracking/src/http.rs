//! HTTP to an MLflow server: credentials, deadlines, retries, and the way from an answer to an [`Error`].

mod credentials;
mod options;
mod secrets;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::blocking::{Body, Client, RequestBuilder, Response};
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use self::credentials::{Auth, Credentials};
pub use self::options::HttpOptions;
use crate::variables::{Variables, environment};
use crate::{Error, Result, redact_url, wire};

/// A longer wish of the server (`Retry-After`) is handed to the caller instead of slept through, and a try that took
/// longer is not repeated: a server that hangs would cost the whole deadline each time.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A transfer slower than this, in bytes per second, is given up after its deadline.
const SLOWEST_TRANSFER: u64 = 100_000;
/// How much of an error page is read.
const ERROR_BODY_BYTES: u64 = 64 * 1024;
const NOT_MLFLOW_HINT: &str = ". Hint: is this the address of an MLflow server?";
const CREDENTIALS_HINT: &str = ". Hint: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, \
                                MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_TOKEN_FILE, to what this server accepts";
const PROXY_HINT: &str =
    ". Hint: the proxy wants a user and a password, as in HTTP_PROXY=http://USER:PASSWORD@HOST:PORT";
/// TLS has two sides.
const SERVER_CERT_HINT: &str = ". Hint: MLFLOW_TRACKING_SERVER_CERT_PATH names a PEM file with the certificates to \
                                trust; MLFLOW_TRACKING_INSECURE_TLS=true accepts any";
const CLIENT_CERT_HINT: &str = ". Hint: MLFLOW_TRACKING_CLIENT_CERT_PATH names a PEM file with the certificate to show, \
                                and its key";
const CLIENT_CERT_ALERTS: [&str; 3] = ["Certificate", "UnknownCA", "AccessDenied"];

/// One server: its address, its credentials and a connection pool.
pub(crate) struct Http {
    client: Client,
    /// Without credentials, query and fragment.
    base: Url,
    credentials: Credentials,
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
        let credentials = Credentials::new(&base, options, Variables(Box::new(environment)));
        let has_host = base.set_username("").is_ok() && base.set_password(None).is_ok() && base.has_host();
        if !has_host || !matches!(base.scheme(), "http" | "https") {
            return Err(bad("it must read http://HOST:PORT or https://HOST".into()));
        }
        base.set_query(None);
        base.set_fragment(None);
        let client = tls::client(&base, options, LONGEST_WAIT)?;
        Ok(Self {
            client,
            base,
            credentials,
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
        self.retrying(|auth| {
            let mut url = self.api(endpoint);
            url.query_pairs_mut().extend_pairs(query);
            self.answer(endpoint, self.client.get(url).timeout(self.timeout), auth)
        })
    }

    /// For end points that servers have for their web page only. They answer in Python's JSON, with bare NaN.
    pub(crate) fn get_ajax<T: DeserializeOwned>(&self, endpoint: &str, query: &[(&str, &str)]) -> Result<T> {
        self.retrying(|auth| {
            let mut url = self.below(["ajax-api", "2.0", "mlflow"].into_iter().chain(endpoint.split('/')));
            url.query_pairs_mut().extend_pairs(query);
            let response = self.send(endpoint, self.client.get(url).timeout(self.timeout), auth)?;
            let text = response.text().map_err(|error| self.unreachable(error))?;
            self.parse(endpoint, &wire::with_quoted_numbers(&text))
        })
    }

    /// For calls that may be repeated.
    pub(crate) fn post<T: DeserializeOwned>(&self, endpoint: &str, body: &str) -> Result<T> {
        self.call(Method::POST, endpoint, body)
    }

    /// For calls that may not be repeated once they were let in.
    pub(crate) fn post_once<T: DeserializeOwned>(&self, endpoint: &str, body: &str) -> Result<T> {
        self.authorized(&|auth| self.call_as(Method::POST, endpoint, body, auth))
    }

    /// For calls with a body that may be repeated.
    pub(crate) fn call<T: DeserializeOwned>(&self, method: Method, endpoint: &str, body: &str) -> Result<T> {
        self.retrying(|auth| self.call_as(method.clone(), endpoint, body, auth))
    }

    fn call_as<T: DeserializeOwned>(&self, method: Method, endpoint: &str, body: &str, auth: &Auth) -> Result<T> {
        let request = self.client.request(method, self.api(endpoint)).header(CONTENT_TYPE, "application/json");
        self.answer(endpoint, request.body(body.to_string()).timeout(self.timeout), auth)
    }

    /// The server's version, e.g. `3.1.4`.
    pub(crate) fn version(&self) -> Result<String> {
        self.retrying(|auth| {
            let request = self.client.get(self.below(["version"].into_iter())).timeout(self.timeout);
            let text = self.send("version", request, auth)?.text().map_err(|error| self.unreachable(error))?;
            Ok(text.trim().to_string())
        })
    }

    /// Lists a folder of the artifact proxy, by names without their folder.
    pub(crate) fn list_files<T: DeserializeOwned>(&self, folder: &str) -> Result<T> {
        self.retrying(|auth| {
            let mut url = self.artifact("");
            url.query_pairs_mut().append_pair("path", folder);
            self.answer("mlflow-artifacts", self.client.get(url).timeout(self.timeout), auth)
        })
    }

    /// Sends a file to the artifact proxy, streamed. `path` is below the proxy's root.
    pub(crate) fn put_file(&self, local_file: &Path, path: &str) -> Result<()> {
        let unreadable = |source| Error::Io { doing: "read", path: local_file.into(), source };
        let furthest = self.unfinished().entry(path.into()).or_default().clone();
        let sent = self.retrying(|auth| {
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
            let text = self.send("mlflow-artifacts", request, auth)?.text().map_err(|error| self.unreachable(error))?;
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
        self.retrying(|auth| {
            // A deadline of the request would hold for the whole file; the client's own holds for each read.
            let response = self.send("mlflow-artifacts", self.client.get(self.artifact(path)), auth)?;
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

    fn answer<T: DeserializeOwned>(&self, endpoint: &str, request: RequestBuilder, auth: &Auth) -> Result<T> {
        let response = self.send(endpoint, request, auth)?;
        let text = response.text().map_err(|error| self.unreachable(error))?;
        self.parse(endpoint, &text)
    }

    fn parse<T: DeserializeOwned>(&self, endpoint: &str, text: &str) -> Result<T> {
        serde_json::from_str(text).map_err(|error| {
            Error::NotMlflow(self.scrub(&format!(
                "`{}` answered {endpoint} with something that is not MLflow's: {error}. Hint: is this the address of an \
                 MLflow server?",
                self.uri()
            )))
        })
    }

    fn send(&self, endpoint: &str, request: RequestBuilder, auth: &Auth) -> Result<Response> {
        let response = auth.sign(request).send().map_err(|error| self.unreachable(error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(endpoint, response)) }
    }

    /// Once more, at once, when the server refuses the credentials and there are others by now.
    fn authorized<T>(&self, attempt: &dyn Fn(&Auth) -> Result<T>) -> Result<T> {
        let used = self.credentials.auth();
        let mut answer = attempt(&used);
        if matches!(answer, Err(Error::Denied(_))) && self.credentials.renewed(&used) {
            answer = attempt(&self.credentials.auth());
        }
        match answer {
            Err(Error::Denied(message)) => {
                Err(Error::Denied(message + CREDENTIALS_HINT + &self.scrub(&self.credentials.problem())))
            }
            other => other,
        }
    }

    fn retrying<T>(&self, attempt: impl Fn(&Auth) -> Result<T>) -> Result<T> {
        let mut tries = 0;
        loop {
            let begin = Instant::now();
            match self.authorized(&attempt) {
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
        let message = self.scrub(&format!("MLflow server `{}`: {reason}", self.uri()));
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
            // Scrubbed before it is cut: half a secret would not be found.
            (true, None) => self.scrub(&text).chars().take(200).collect(),
        };
        let message = self.scrub(&format!("{} (`{}`, {endpoint}, {status})", reason.trim(), self.uri()));
        match (body.error_code.as_str(), status.as_u16()) {
            ("RESOURCE_DOES_NOT_EXIST", _) => Error::NotFound(message),
            ("RESOURCE_ALREADY_EXISTS", _) => Error::AlreadyExists(message),
            (_, 401 | 403) => Error::Denied(message),
            // The server has not been asked, so nothing is wrong with the request.
            (_, 407) => Error::Unavailable { message: message + PROXY_HINT, retry_after_s },
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

    /// A server or proxy may quote what it was sent, so secrets are taken out of every message.
    fn scrub(&self, message: &str) -> String {
        self.credentials.scrub(message)
    }
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

/// The reason, in words. Never shows an address: it may hold a secret.
fn cause(error: reqwest::Error) -> String {
    let (connecting, error) = (error.is_connect(), error.without_url());
    match tls::innermost(&error) {
        // An alert is what the other side says of our certificate.
        text if text.contains("alert") && CLIENT_CERT_ALERTS.iter().any(|alert| text.contains(alert)) => {
            text + CLIENT_CERT_HINT
        }
        text if text.contains("certificate") => format!("cannot connect: {text}{SERVER_CERT_HINT}"),
        text if text.contains("proxy authorization required") => format!("cannot connect: {text}{PROXY_HINT}"),
        text if connecting => format!("cannot connect: {text}"),
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
