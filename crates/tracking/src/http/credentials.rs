//! Who we are for a server. Read again when the server no longer believes it: tokens expire while runs go on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::blocking::RequestBuilder;
use reqwest::header::HeaderValue;

use super::options::{PASSWORD, TOKEN, TOKEN_FILE, USERNAME};
use super::secrets::Secrets;
use crate::HttpOptions;
use crate::variables::Variables;

/// Where `reqwest` finds proxies, and their passwords in them.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

type Environment = Variables<Box<dyn Fn(&str) -> Option<String> + Send + Sync>>;

/// What one request is sent with.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Auth {
    None,
    Basic { username: String, password: String },
    Bearer(String),
}

impl Auth {
    pub(super) fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Basic { username, password } => request.basic_auth(username, Some(password)),
            Self::Bearer(token) => request.bearer_auth(token),
        }
    }
}

/// Where a value comes from.
enum Setting {
    Fixed(Option<String>),
    /// The program took it from this variable, so what the variable says later counts too.
    Variable(&'static str),
}

/// The sources of the credentials, and what they said last.
pub(super) struct Credentials {
    in_address: Option<Auth>,
    username: Setting,
    password: Setting,
    credentials_file: Option<PathBuf>,
    token: Setting,
    token_file: Option<PathBuf>,
    environment: Environment,
    state: Mutex<State>,
}

struct State {
    auth: Auth,
    /// Why a source could not be read.
    problem: Option<String>,
    /// All that were ever in use.
    secrets: Secrets,
}

impl Credentials {
    pub(super) fn new(address: &Url, options: &HttpOptions, environment: Environment) -> Self {
        let setting = |value: &Option<String>, name| match environment.text(name) {
            Some(variable) if value.as_ref() == Some(&variable) => Setting::Variable(name),
            _ => Setting::Fixed(value.clone().filter(|value| !value.is_empty())),
        };
        let mut secrets = Secrets::default();
        secrets.add_address(address);
        [&options.password, &options.token].into_iter().flatten().for_each(|secret| secrets.add(secret));
        proxies(&environment).for_each(|proxy| secrets.add_address(&proxy));
        let credentials = Self {
            in_address: in_address(address),
            username: setting(&options.username, USERNAME),
            password: setting(&options.password, PASSWORD),
            credentials_file: options.credentials_file.clone(),
            token: setting(&options.token, TOKEN),
            token_file: options.token_file.clone(),
            environment,
            state: Mutex::new(State { auth: Auth::None, problem: None, secrets }),
        };
        let (auth, problem) = credentials.resolve();
        credentials.state().keep(auth, problem);
        credentials
    }

    pub(super) fn auth(&self) -> Auth {
        self.state().auth.clone()
    }

    /// Reads the sources again after the server refused `used`. True when there is something else to try.
    pub(super) fn renewed(&self, used: &Auth) -> bool {
        let (auth, problem) = self.resolve();
        let mut state = self.state();
        if auth == Auth::None {
            // A file that is just being replaced: what it said last may still be good.
            state.problem = problem;
        } else {
            state.keep(auth, problem);
        }
        // Another thread may have been faster, so `used` counts and not what this call found.
        state.auth != *used
    }

    /// Why a source could not be read, as a sentence to put after another.
    pub(super) fn problem(&self) -> String {
        self.state().problem.as_ref().map(|problem| format!(" ({problem})")).unwrap_or_default()
    }

    /// A server or proxy may quote what it was sent.
    pub(super) fn scrub(&self, text: &str) -> String {
        self.state().secrets.scrub(text)
    }

    /// A panic while the lock is held leaves a whole state, so a poisoned lock is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn value(&self, setting: &Setting) -> Option<String> {
        match setting {
            Setting::Fixed(value) => value.clone(),
            Setting::Variable(name) => self.environment.text(name),
        }
    }

    /// What the sources say now, in MLflow's order; and why one of them could not be read.
    fn resolve(&self) -> (Auth, Option<String>) {
        if let Some(auth) = &self.in_address {
            return (auth.clone(), None);
        }
        let (in_file, problem) = match self.credentials_file.as_deref().map(read_credentials_file) {
            None => ((None, None), None),
            Some(Ok(found)) => (found, None),
            Some(Err(problem)) => ((None, None), Some(problem)),
        };
        let username = self.value(&self.username).or(in_file.0);
        let password = self.value(&self.password).or(in_file.1);
        if let (Some(username), Some(password)) = (username, password) {
            return (Auth::Basic { username, password }, problem);
        }
        let (token, problem) = match self.token_file.as_deref().map(read_token) {
            None => (self.value(&self.token), problem),
            Some(Ok(token)) => (Some(token), problem),
            Some(Err(reason)) => (self.value(&self.token), Some(reason)),
        };
        match token.map(|token| token.trim().to_string()) {
            None => (Auth::None, problem),
            Some(token) if is_sendable(&token) => (Auth::Bearer(token), problem),
            Some(_) => (Auth::None, Some("the token holds a line break or another character that none has".into())),
        }
    }
}

impl State {
    fn keep(&mut self, auth: Auth, problem: Option<String>) {
        match &auth {
            Auth::None => {}
            Auth::Basic { username, password } => self.secrets.add_basic(username, password),
            Auth::Bearer(token) => self.secrets.add(token),
        }
        (self.auth, self.problem) = (auth, problem);
    }
}

fn in_address(address: &Url) -> Option<Auth> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let has_user = !address.username().is_empty() || address.password().is_some();
    has_user.then(|| Auth::Basic {
        username: decoded(address.username()),
        password: decoded(address.password().unwrap_or_default()),
    })
}

fn proxies(environment: &Environment) -> impl Iterator<Item = Url> {
    PROXIES.into_iter().filter_map(|name| {
        let proxy = environment.text(name)?;
        // The scheme may be left out.
        Url::parse(&if proxy.contains("://") { proxy } else { format!("http://{proxy}") }).ok()
    })
}

fn is_sendable(token: &str) -> bool {
    !token.is_empty() && HeaderValue::from_str(token).is_ok()
}

fn read_token(path: &Path) -> Result<String, String> {
    let token =
        fs::read_to_string(path).map_err(|error| format!("{TOKEN_FILE}: cannot read `{}`: {error}", path.display()));
    match token?.trim() {
        token if is_sendable(token) => Ok(token.to_string()),
        _ => Err(format!("{TOKEN_FILE}: `{}` does not hold one token", path.display())),
    }
}

/// User and password in MLflow's own file, which need not be there.
fn read_credentials_file(path: &Path) -> Result<(Option<String>, Option<String>), String> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, None)),
        read => read.map_err(|error| format!("cannot read `{}`: {error}", path.display()))?,
    };
    let value = |name: &str| {
        // Python's `configparser` writes a percent sign twice.
        in_section(&text, "mlflow", &name.to_lowercase()).map(|value| value.replace("%%", "%"))
    };
    Ok((value(USERNAME), value(PASSWORD)))
}

/// The value of `key` in an INI file: `key = value` or `key: value`; the key in any case, the section as it is.
fn in_section(text: &str, section: &str, key: &str) -> Option<String> {
    let header = format!("[{section}]");
    let lines = text.lines().map(str::trim).skip_while(|line| *line != header).skip(1);
    let entries = lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.starts_with(['#', ';']));
    let mut pairs = entries.filter_map(|line| line.split_once(['=', ':']));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(key))?;
    Some(value.trim().to_string()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;

    type Values = Arc<Mutex<BTreeMap<String, String>>>;

    fn set(values: &Values, name: &str, value: &str) {
        values.lock().expect("a lock").insert(name.into(), value.into());
    }

    fn environment(values: &Values) -> Environment {
        let values = values.clone();
        Variables(Box::new(move |name: &str| values.lock().expect("a lock").get(name).cloned()))
    }

    fn credentials(address: &str, options: &HttpOptions, values: &Values) -> Credentials {
        Credentials::new(&Url::parse(address).expect("an address"), options, environment(values))
    }

    /// As a header would show it.
    fn shown(credentials: &Credentials) -> String {
        match credentials.auth() {
            Auth::None => "none".into(),
            Auth::Basic { username, password } => format!("{username}:{password}"),
            Auth::Bearer(token) => token,
        }
    }

    #[test]
    fn the_address_goes_first_then_user_and_password_then_the_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("credentials");
        let entries = "; old\n[other]\nmlflow_tracking_username = no\n\n[mlflow]\n# who\n\
                       MLFLOW_TRACKING_USERNAME = filed\nmlflow_tracking_password: p=%%1 \n[next]\n";
        fs::write(&file, entries).expect("a file");
        let none = Values::default();
        let mut options = HttpOptions { token: Some("tok".into()), ..HttpOptions::default() };
        assert_eq!(shown(&credentials("http://h", &options, &none)), "tok");
        options.credentials_file = Some(folder.path().join("not there"));
        assert_eq!(shown(&credentials("http://h", &options, &none)), "tok");
        options.credentials_file = Some(file);
        assert_eq!(shown(&credentials("http://h", &options, &none)), "filed:p=%1");
        options.username = Some("named".into());
        assert_eq!(shown(&credentials("http://h", &options, &none)), "named:p=%1");
        options.password = Some("given".into());
        assert_eq!(shown(&credentials("http://h", &options, &none)), "named:given");
        assert_eq!(shown(&credentials("http://u:p%40w@h", &options, &none)), "u:p@w");
    }

    #[test]
    fn a_variable_is_read_again_and_a_given_value_is_not() {
        let values = Values::default();
        set(&values, TOKEN, "old");
        let options = |token: &str| HttpOptions { token: Some(token.into()), ..HttpOptions::default() };
        let from_variable = credentials("http://h", &options("old"), &values);
        let given = credentials("http://h", &options("mine"), &values);
        let used = from_variable.auth();
        assert!(!from_variable.renewed(&used));
        set(&values, TOKEN, "new");
        assert!(from_variable.renewed(&used));
        assert!(!given.renewed(&given.auth()));
        assert_eq!((shown(&from_variable), shown(&given)), ("new".to_string(), "mine".to_string()));
        // A second thread that was refused with the old token is to use the new one.
        assert!(from_variable.renewed(&used));
        assert_eq!(from_variable.scrub("first old, then new"), "first ***, then ***");
    }

    #[test]
    fn a_token_file_goes_before_the_token_and_survives_being_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        let mut options = HttpOptions { token_file: Some(file.clone()), ..HttpOptions::default() };
        let alone = credentials("http://h", &options, &Values::default());
        options.token = Some("spare".into());
        let spared = credentials("http://h", &options, &Values::default());
        assert_eq!((shown(&alone), shown(&spared)), ("none".to_string(), "spare".to_string()));
        assert!(alone.problem().contains(TOKEN_FILE), "{}", alone.problem());
        fs::write(&file, "first\n").expect("a file");
        assert!(alone.renewed(&alone.auth()) && spared.renewed(&spared.auth()));
        assert_eq!((shown(&alone), shown(&spared)), ("first".to_string(), "first".to_string()));
        assert_eq!(alone.problem(), "");
        for half in ["", "two\nlines"] {
            fs::write(&file, half).expect("a file");
            assert!(!alone.renewed(&alone.auth()));
            assert!(alone.problem().contains("does not hold one token"), "{}", alone.problem());
            assert_eq!(shown(&alone), "first");
        }
        assert!(spared.renewed(&spared.auth()));
        fs::write(&file, "second").expect("a file");
        assert!(alone.renewed(&alone.auth()) && spared.renewed(&spared.auth()));
        assert_eq!(spared.scrub("spare first second"), "*** *** ***");
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_explained() {
        let options = HttpOptions { token: Some("two\nlines".into()), ..HttpOptions::default() };
        let credentials = credentials("http://h", &options, &Values::default());
        assert_eq!(shown(&credentials), "none");
        assert!(credentials.problem().contains("line break") && !credentials.problem().contains("two"));
    }

    #[test]
    fn the_password_of_a_proxy_is_a_secret() {
        let values = Values::default();
        set(&values, "https_proxy", "u:pr0xy@proxy:3128");
        let credentials = credentials("http://h", &HttpOptions::default(), &values);
        assert_eq!(credentials.scrub("Basic dTpwcjB4eQ== pr0xy"), "Basic ***== ***");
    }
}
