//! Addresses of databases, as Optuna (SQLAlchemy) writes them.

use std::fmt;
use std::path::PathBuf;

use postgres::Config;
use postgres::config::{Host, SslMode};

use crate::{Error, Result};

/// Where a database is.
pub(super) enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Box<Config>),
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
            Self::Postgres(config) => {
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
    let options = rest.split_once('?').map_or("", |(_, options)| options);
    if options.contains("sslmode=verify") {
        return Err(invalid("asks for `sslmode=verify-ca` or `verify-full`, which is not supported"));
    }
    // The driver's message names options but no values.
    let config: Config = format!("postgresql://{rest}").parse().map_err(|error: postgres::Error| {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        invalid(&format!("is not understood: {cause}"))
    })?;
    let host_has_at = config.get_hosts().iter().any(|host| host_text(host).contains('@'));
    if host_has_at || config.get_dbname().is_some_and(|name| name.contains('@')) {
        return Err(invalid("has a second `@`: in a user or password it is written `%40`"));
    }
    if config.get_ssl_mode() == SslMode::Require {
        return Err(invalid("asks for `sslmode=require`, which is not supported: connections are not encrypted"));
    }
    Ok(Location::Postgres(Box::new(config)))
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
            "postgresql://u:s3cret@h/db?sslmode=require",
            "postgresql://u:s3cret@h/db?sslmode=verify-full",
            "postgresql://u:s3cret@h:port/db",
            "postgresql://u:s3cret@h/db?x=s3cret",
        ] {
            let error = Location::parse(url).err().unwrap().to_string();
            assert!(!error.contains("s3cret") && error.contains("postgresql://"), "{url}: {error}");
        }
    }
}
