//! Addresses of databases, as Optuna (SQLAlchemy) writes them.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use postgres::Config;
use postgres::config::Host;

use crate::{Error, Result};

/// Where a database is.
pub(super) enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Box<Server>),
}

/// How to connect to PostgreSQL.
pub(super) struct Server {
    pub config: Config,
    /// Whom to trust, if the connection is to be encrypted.
    pub tls: Option<Roots>,
}

/// Certificates of those who may vouch for a server.
#[derive(Debug, PartialEq)]
pub(super) enum Roots {
    /// Those that the system trusts.
    System,
    /// Those of a PEM file.
    File(PathBuf),
}

impl Location {
    /// Errors never show the address itself, which may hold a password.
    pub fn parse(url: &str) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(invalid("has no scheme"));
        };
        match scheme {
            "sqlite" => sqlite(rest),
            "postgresql" | "postgresql+psycopg2" | "postgresql+psycopg" | "postgres" => postgres(rest),
            _ => Err(invalid(&format!("has the unknown scheme `{scheme}`"))),
        }
    }

    /// False for a file that is not there.
    pub fn may_exist(&self) -> bool {
        match self {
            Self::Sqlite(path) => path.exists(),
            Self::Postgres(_) => true,
        }
    }
}

impl fmt::Display for Location {
    /// Without user, password and options.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:///{}", path.display()),
            Self::Postgres(server) => {
                let config = &server.config;
                let host = config.get_hosts().first().map_or_else(|| "localhost".to_owned(), host_text);
                let port = config.get_ports().first().copied().unwrap_or(5432);
                write!(f, "postgresql://{host}:{port}/{}", config.get_dbname().unwrap_or_default())
            }
        }
    }
}

fn sqlite(rest: &str) -> Result<Location> {
    let Some(path) = rest.strip_prefix('/') else {
        return Err(invalid("names a host, which SQLite has not: three slashes come before the file"));
    };
    if path.is_empty() || path == ":memory:" {
        return Err(invalid("names no file: a database in memory cannot be shared or resumed"));
    }
    if path.contains('?') {
        return Err(invalid("has options after a `?`, which are not supported for SQLite"));
    }
    Ok(Location::Sqlite(path.into()))
}

fn postgres(rest: &str) -> Result<Location> {
    let (rest, tls) = take_tls(rest)?;
    // The driver's message names options but no values.
    let config: Config = format!("postgresql://{rest}").parse().map_err(|error: postgres::Error| {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        invalid(&format!("is not understood: {cause}"))
    })?;
    let host_has_at = config.get_hosts().iter().any(|host| host_text(host).contains('@'));
    if host_has_at || config.get_dbname().is_some_and(|name| name.contains('@')) {
        return Err(invalid("has a second `@`: in a user or password it is written `%40`"));
    }
    Ok(Location::Postgres(Box::new(Server { config, tls })))
}

/// Puts what the driver knows of `sslmode` and `sslrootcert` in their place. Other clients do not check the server with
/// `sslmode=require`; here it is always checked, as they do it with `verify-full`.
fn take_tls(rest: &str) -> Result<(String, Option<Roots>)> {
    let host = rest.find('@').map_or(0, |at| at + 1);
    let Some((host, options)) = rest[host..].split_once('?').map(|(name, options)| (host + name.len(), options)) else {
        return Ok((rest.to_owned(), None));
    };
    let (mut is_encrypted, mut roots, mut others) = (false, Roots::System, Vec::new());
    for option in options.split('&') {
        match option.split_once('=') {
            Some(("sslmode", "disable" | "allow" | "prefer")) => {}
            Some(("sslmode", "require" | "verify-ca" | "verify-full")) => is_encrypted = true,
            Some(("sslmode", _)) => return Err(invalid("has an unknown `sslmode`")),
            Some(("sslrootcert", "system")) => roots = Roots::System,
            Some(("sslrootcert", file)) => {
                roots = Roots::File(percent_decode_str(file).decode_utf8_lossy().into_owned().into());
            }
            _ => others.push(option),
        }
    }
    others.push(if is_encrypted { "sslmode=require" } else { "sslmode=disable" });
    Ok((format!("{}?{}", &rest[..host], others.join("&")), is_encrypted.then_some(roots)))
}

fn host_text(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(folder) => folder.display().to_string(),
    }
}

fn invalid(problem: &str) -> Error {
    Error::Url(problem.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_credentials() {
        for (url, shown) in [
            ("sqlite:///a.db", "sqlite:///a.db"),
            ("sqlite:////tmp/a b.db", "sqlite:////tmp/a b.db"),
            ("postgresql://u:s3cret@h/db", "postgresql://h:5432/db"),
            ("postgresql+psycopg2://u:s3%40cret@h:5433/db", "postgresql://h:5433/db"),
            ("postgresql+psycopg://u:s3/cr?et@h/db", "postgresql://h:5432/db"),
            ("postgres://h/db?user=u&password=s3cret", "postgresql://h:5432/db"),
        ] {
            assert_eq!(Location::parse(url).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn encryption_is_asked_for_as_elsewhere() {
        let file = || Some(Roots::File("/a b.pem".into()));
        for (options, tls) in [
            ("", None),
            ("?sslmode=prefer&connect_timeout=5", None),
            ("?sslmode=require", Some(Roots::System)),
            ("?connect_timeout=5&sslmode=verify-full&sslrootcert=system", Some(Roots::System)),
            ("?sslrootcert=/a%20b.pem&sslmode=require", file()),
        ] {
            let Location::Postgres(server) = Location::parse(&format!("postgresql://u:a?b@h/db{options}")).unwrap()
            else {
                panic!("a server");
            };
            assert_eq!(server.tls, tls);
            assert_eq!(server.config.get_password(), Some(&b"a?b"[..]));
            assert_eq!(server.config.get_connect_timeout().is_some(), options.contains("timeout"));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_without_secrets() {
        for url in [
            "study.db",
            "sqlite://study.db",
            "sqlite:///",
            "sqlite:///:memory:",
            "sqlite:///a.db?timeout=3",
            "mysql://u:s3cret@h/db",
            "postgresql://u:s3cret@cret@h/db",
            "postgresql://u:s3@s3cret/w@h/db",
            "postgresql://u:s3cret@h/db?sslmode=s3cret",
            "postgresql://u:s3cret@h:port/db",
            "postgresql://u:s3cret@h/db?x=s3cret",
        ] {
            let error = Location::parse(url).err().unwrap().to_string();
            assert!(!error.contains("s3cret") && error.contains("postgresql://"), "{url}: {error}");
        }
    }
}
