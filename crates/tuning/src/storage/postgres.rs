//! A study on a server.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use postgres::error::SqlState;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, NoTls, Statement};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::{Roots, Server};
use super::{Cell, Dialect, Failure, Outcome, Row, Session, with_causes};

static DIALECT: Dialect = Dialect {
    begin: "BEGIN",
    for_update: " FOR UPDATE",
    heartbeat_age: "CAST(EXTRACT(EPOCH FROM CAST(CURRENT_TIMESTAMP AS TIMESTAMP) - heartbeat) AS FLOAT)",
    // Any number that nobody else uses: the letters of `tuning`.
    lock_schema: "SELECT pg_advisory_xact_lock(128026086432359)",
    tables: "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema()",
    schema: include_str!("postgres.sql"),
};

struct Postgres {
    client: Client,
    prepared: HashMap<String, Statement>,
}

/// Connects. A silent network or a frozen program stops nobody for long.
pub(super) fn open(server: &Server) -> Outcome<impl Session + use<>> {
    let mut config = server.config.clone();
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(10));
    }
    if config.get_application_name().is_none() {
        config.application_name("tuning");
    }
    config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(Duration::from_secs(30));
    let mut client = match &server.tls {
        None => config.connect(NoTls)?,
        Some(roots) => config.connect(tls(roots)?)?,
    };
    client.batch_execute("SET idle_in_transaction_session_timeout = '60s'")?;
    Ok(Postgres { client, prepared: HashMap::new() })
}

fn tls(roots: &Roots) -> Outcome<MakeRustlsConnect> {
    let failed = |error: rustls::Error| Failure::Broken(with_causes(&error));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(failed)?;
    let builder = match roots {
        Roots::System => builder.with_platform_verifier().map_err(failed)?,
        Roots::File(file) => builder.with_root_certificates(read_roots(file)?),
    };
    Ok(MakeRustlsConnect::new(builder.with_no_client_auth()))
}

fn read_roots(file: &Path) -> Outcome<RootCertStore> {
    let failed = |error: &dyn Error| {
        Failure::Broken(format!("cannot read the certificates of `{}`: {}", file.display(), with_causes(error)))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| failed(&error))? {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    Ok(roots)
}

impl Postgres {
    fn prepare(&mut self, sql: &str) -> Outcome<Statement> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql)?;
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Session for Postgres {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn query(&mut self, sql: &str, values: &[Cell]) -> Outcome<Vec<Row>> {
        let rows = if values.is_empty() {
            self.client.query_typed(sql, &[])?
        } else {
            let statement = self.prepare(sql)?;
            self.client.query(&statement, &references(values))?
        };
        rows.iter().map(|row| (0..row.len()).map(|at| Ok(row.try_get(at)?)).collect()).collect()
    }

    fn execute(&mut self, sql: &str, values: &[Cell]) -> Outcome<u64> {
        if values.is_empty() {
            return Ok(self.client.execute_typed(sql, &[])?);
        }
        let statement = self.prepare(sql)?;
        Ok(self.client.execute(&statement, &references(values))?)
    }

    fn script(&mut self, sql: &str) -> Outcome<()> {
        Ok(self.client.batch_execute(sql)?)
    }
}

fn references(values: &[Cell]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as _).collect()
}

type Coding<T> = Result<T, Box<dyn Error + Sync + Send>>;

/// Where PostgreSQL's time begins.
const EPOCH: NaiveDateTime = match NaiveDate::from_ymd_opt(2000, 1, 1) {
    Some(day) => day.and_time(chrono::NaiveTime::MIN),
    None => DateTime::UNIX_EPOCH.naive_utc(),
};

impl ToSql for Cell {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Coding<IsNull> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) if *ty == Type::INT4 => i32::try_from(*value)?.to_sql(ty, out),
            Self::Int(value) => value.to_sql(ty, out),
            Self::Real(value) => value.to_sql(ty, out),
            Self::Text(value) => value.to_sql(ty, out),
            Self::Time(value) => {
                let microseconds = (*value - EPOCH).num_microseconds().ok_or("a time out of range")?;
                microseconds.to_sql(&Type::INT8, out)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Coding<Self> {
        Ok(match *ty {
            Type::INT4 => Self::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Self::Int(i64::from_sql(ty, raw)?),
            Type::FLOAT8 => Self::Real(f64::from_sql(ty, raw)?),
            Type::TIMESTAMP => {
                let since = TimeDelta::microseconds(i64::from_sql(&Type::INT8, raw)?);
                Self::Time(EPOCH.checked_add_signed(since).ok_or("a time out of range")?)
            }
            _ => Self::Text(String::from_sql(&Type::TEXT, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Coding<Self> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Self {
        let reason = with_causes(&error);
        let of_network = || error.source().is_some_and(|cause| cause.is::<io::Error>());
        match error.code() {
            Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE) => Self::Busy(reason),
            Some(code) if is_of_server(code) => Self::Away(reason),
            None if error.is_closed() || of_network() => Self::Away(reason),
            _ => Self::Broken(reason),
        }
    }
}

/// Connection lost, stopping, starting, no resources left, standby.
fn is_of_server(code: &SqlState) -> bool {
    let code = code.code();
    ["08", "53", "57P", "25P03", "25006"].iter().any(|class| code.starts_with(class))
}
