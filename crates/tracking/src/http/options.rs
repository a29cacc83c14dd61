//! What can be set about the connection to a server.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::variables::{Variables, environment};

pub(super) const USERNAME: &str = "MLFLOW_TRACKING_USERNAME";
pub(super) const PASSWORD: &str = "MLFLOW_TRACKING_PASSWORD";
pub(super) const TOKEN: &str = "MLFLOW_TRACKING_TOKEN";
pub(super) const TOKEN_FILE: &str = "MLFLOW_TRACKING_TOKEN_FILE";
pub(super) const INSECURE_TLS: &str = "MLFLOW_TRACKING_INSECURE_TLS";
pub(super) const SERVER_CERT: &str = "MLFLOW_TRACKING_SERVER_CERT_PATH";
pub(super) const CLIENT_CERT: &str = "MLFLOW_TRACKING_CLIENT_CERT_PATH";

/// How to talk to an MLflow server. Its `Debug` output never shows a secret.
///
/// A user and a password go before a token, and those in the URI before all others. When the server refuses what was
/// sent, the files, and the variables that the values came from, are read again; if they have changed the request is
/// repeated at once.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpOptions {
    /// Basic authentication, with `password`.
    pub username: Option<String>,
    /// Basic authentication, with `username`.
    pub password: Option<String>,
    /// MLflow's file of users: gives the user or the password that is `None` above. Need not be there.
    pub credentials_file: Option<PathBuf>,
    /// Bearer token.
    pub token: Option<String>,
    /// A file that holds the bearer token and nothing else, for tokens that are changed from outside (Kubernetes, Vault).
    /// Goes before `token`, which is used as long as the file cannot be read.
    pub token_file: Option<PathBuf>,
    /// Accepts any TLS certificate. Not together with `server_cert_path`.
    pub insecure_tls: bool,
    /// PEM file with the certificates that may sign the server's, instead of those that the system trusts.
    pub server_cert_path: Option<PathBuf>,
    /// PEM file with our own certificate and its key, for servers that ask for one.
    pub client_cert_path: Option<PathBuf>,
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
            credentials_file: None,
            token: None,
            token_file: None,
            insecure_tls: false,
            server_cert_path: None,
            client_cert_path: None,
            timeout: Duration::from_secs(120),
            max_retries: 3,
        }
    }
}

impl HttpOptions {
    /// Reads MLflow's environment variables: `MLFLOW_TRACKING_USERNAME`, `_PASSWORD`, `_TOKEN`, `_INSECURE_TLS`,
    /// `_SERVER_CERT_PATH`, `_CLIENT_CERT_PATH`, `MLFLOW_HTTP_REQUEST_TIMEOUT` (seconds),
    /// `MLFLOW_HTTP_REQUEST_MAX_RETRIES`; its file `~/.mlflow/credentials`; and `MLFLOW_TRACKING_TOKEN_FILE`, which is
    /// ours. Errors name the bad variable.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(environment)
    }

    /// [`HttpOptions::from_env`] with another source of variables, e.g. a map.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variables = Variables(variable);
        let path = |name| variables.text(name).map(PathBuf::from);
        let number = |name| variables.number::<u64>(name, "a whole number");
        let home = path("HOME").or_else(|| path("USERPROFILE"));
        let default = Self::default();
        let timeout = number("MLFLOW_HTTP_REQUEST_TIMEOUT")?.map(Duration::from_secs);
        let max_retries = number("MLFLOW_HTTP_REQUEST_MAX_RETRIES")?.map(|retries| retries.min(100) as u32);
        Ok(Self {
            username: variables.text(USERNAME),
            password: variables.text(PASSWORD),
            credentials_file: home.map(|home| home.join(".mlflow/credentials")),
            token: variables.text(TOKEN),
            token_file: path(TOKEN_FILE),
            insecure_tls: variables.flag(INSECURE_TLS)?.unwrap_or(default.insecure_tls),
            server_cert_path: path(SERVER_CERT),
            client_cert_path: path(CLIENT_CERT),
            timeout: timeout.unwrap_or(default.timeout),
            max_retries: max_retries.unwrap_or(default.max_retries),
        })
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |secret: &Option<String>| secret.as_ref().map(|_| "***");
        f.debug_struct("HttpOptions")
            .field("username", &shown(&self.username))
            .field("password", &shown(&self.password))
            .field("credentials_file", &self.credentials_file)
            .field("token", &shown(&self.token))
            .field("token_file", &self.token_file)
            .field("insecure_tls", &self.insecure_tls)
            .field("server_cert_path", &self.server_cert_path)
            .field("client_cert_path", &self.client_cert_path)
            .field("timeout", &self.timeout)
            .field("max_retries", &self.max_retries)
            .finish()
    }
}
