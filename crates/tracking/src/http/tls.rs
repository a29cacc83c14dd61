//! The connection itself: certificates, time limits, redirects.

use std::fs;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, Url};

use super::options::{CLIENT_CERT, INSECURE_TLS, SERVER_CERT};
use crate::variables::environment;
use crate::{Error, HttpOptions, Result};

/// Makes the client for one server. Errors with `Invalid` for certificates that cannot be used.
///
/// Proxies come from `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, or the same in lower case: `reqwest` reads
/// them by itself.
pub(super) fn client(base: &Url, options: &HttpOptions, longest_connect: Duration) -> Result<Client> {
    static PROVIDER: Once = Once::new();
    // An error says that the program has chosen a provider itself: then that one is used.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let builder = Client::builder()
        .user_agent(concat!("rust-mlflow-tracking/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.timeout.min(longest_connect))
        .timeout(options.timeout)
        // A redirected POST would arrive as a GET, and credentials could go to another host.
        .redirect(Policy::none());
    let builder = trust(builder, base, options)?;
    // Everything is excepted; `reqwest` takes it for every name, but for no number.
    let no_proxy = environment("NO_PROXY").or_else(|| environment("no_proxy"));
    let builder = if no_proxy.is_some_and(|hosts| hosts.trim() == "*") { builder.no_proxy() } else { builder };
    let builder = match &options.client_cert_path {
        Some(path) => builder.identity(read_pem(CLIENT_CERT, path, Identity::from_pem)?),
        None => builder,
    };
    // The certificates are looked at here for the first time, so they are the likely reason.
    builder.build().map_err(|error| {
        let files = [(SERVER_CERT, &options.server_cert_path), (CLIENT_CERT, &options.client_cert_path)];
        let named = files.iter().filter_map(|(name, path)| Some(format!("{name} `{}`", path.as_ref()?.display())));
        let named: Vec<String> = named.collect();
        Error::Invalid(format!("cannot set up the connection to `{base}`: {}. {}", innermost(&error), named.join(", ")))
    })
}

fn trust(builder: ClientBuilder, base: &Url, options: &HttpOptions) -> Result<ClientBuilder> {
    match &options.server_cert_path {
        Some(_) if options.insecure_tls => Err(Error::Invalid(format!(
            "{INSECURE_TLS} and {SERVER_CERT} are both set. Hint: drop the first, so that the server's certificate is \
             checked"
        ))),
        Some(path) => {
            let certificates = read_pem(SERVER_CERT, path, Certificate::from_pem_bundle)?;
            if certificates.is_empty() {
                return Err(Error::Invalid(format!("{SERVER_CERT}: `{}` holds no certificate", path.display())));
            }
            Ok(builder.tls_certs_only(certificates))
        }
        // Plain HTTP must work on machines that have no certificates at all.
        None if base.scheme() == "http" => Ok(builder.tls_certs_only([])),
        None => Ok(builder.tls_danger_accept_invalid_certs(options.insecure_tls)),
    }
}

/// Reads a PEM file. What is in it is never shown: one of them holds a key.
fn read_pem<T>(variable: &str, path: &Path, parse: fn(&[u8]) -> reqwest::Result<T>) -> Result<T> {
    let bad = |reason: String| Error::Invalid(format!("{variable}: cannot read `{}`: {reason}", path.display()));
    let bytes = fs::read(path).map_err(|error| bad(error.to_string()))?;
    parse(&bytes).map_err(|error| bad(format!("{}. Hint: it must be a PEM file", innermost(&error))))
}

/// The innermost reason, which is the one people can act on.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
