//! The database: Optuna's schema in SQLite or PostgreSQL.
//!
//! [`rows`] has one set of operations, in SQL that both understand. A [`Session`] is a connection of one of the two; the few
//! words in which their SQL differs are its [`Dialect`]. A [`Database`] opens sessions, and another one when one is lost.

mod postgres;
pub(crate) mod rows;
mod schema;
mod sqlite;
mod url;

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use uuid::Uuid;

use self::url::Location;
use crate::{Error, Result};

/// Pauses between two attempts while a database is away: they double from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// What a column holds, and what takes the place of `$1` in a statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Real(f64),
    /// Also of enums.
    Text(String),
    /// To the microsecond, without a time zone.
    Time(NaiveDateTime),
}

pub(crate) type Row = Vec<Cell>;

/// Why a statement failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection is lost: a new one may succeed later.
    Away(String),
    /// Others hold a lock for too long, or two transactions met: the same again may succeed.
    Busy(String),
    /// No repetition mends this.
    Broken(String),
    /// A rule of ours, not the database.
    Refused(Error),
}

pub(crate) type Outcome<T> = std::result::Result<T, Failure>;

/// In which words the SQL of the databases differs.
pub(crate) struct Dialect {
    /// Begins a transaction that writes.
    pub begin: &'static str,
    /// Ends a SELECT whose rows are to be locked until the end of the transaction.
    pub for_update: &'static str,
    /// Seconds since column `heartbeat`.
    pub heartbeat_age: &'static str,
    /// Lets one program at a time look whether there are tables, until the end of the transaction.
    pub lock_schema: &'static str,
    /// Names of the tables.
    pub tables: &'static str,
    /// Makes the tables.
    pub schema: &'static str,
}

/// A connection.
pub(crate) trait Session: Send {
    fn dialect(&self) -> &'static Dialect;

    /// Rows of one statement, in which `$1` stands for the first value. Statements without values are not kept prepared: their
    /// text differs from call to call.
    fn query(&mut self, sql: &str, values: &[Cell]) -> Outcome<Vec<Row>>;

    /// The number of rows that one statement changed.
    fn execute(&mut self, sql: &str, values: &[Cell]) -> Outcome<u64>;

    /// Any number of statements.
    fn script(&mut self, sql: &str) -> Outcome<()>;
}

/// Opens sessions; tries again while the database is away.
pub(crate) struct Database {
    location: Location,
    session: Option<Box<dyn Session>>,
    /// How long to go on trying.
    patience: Duration,
    /// When the last outage was seen.
    pub last_outage: Option<Instant>,
}

/// An error if this is no address of a database.
pub(crate) fn check_url(url: &str) -> crate::Result<()> {
    Location::parse(url).map(drop)
}

impl Database {
    /// Connects at once or fails; makes a missing file and the tables if `create`. Without it a missing file is `None`, and so
    /// is a database without tables.
    pub fn open(url: &str, create: bool, patience: Duration) -> Result<Option<Self>> {
        let location = Location::parse(url)?;
        if !create && !location.may_exist() {
            return Ok(None);
        }
        let mut database = Self { location, session: None, patience: Duration::ZERO, last_outage: None };
        let is_ready = database.write("open", |session, _| schema::check(session, create))?;
        database.patience = patience;
        Ok(is_ready.then_some(database))
    }

    /// The address without credentials.
    pub fn shown(&self) -> String {
        self.location.to_string()
    }

    /// Runs statements that need no transaction; all of them again if the connection is lost.
    pub fn run<T>(&mut self, doing: &'static str, mut work: impl FnMut(&mut dyn Session) -> Outcome<T>) -> Result<T> {
        self.persist(doing, |session, _| work(session))
    }

    /// Runs `work` in a transaction, all or nothing. If the connection is lost it runs again, and is told whether an earlier
    /// transaction was already sent to be committed, so that nobody knows whether it was.
    pub fn write<T>(
        &mut self,
        doing: &'static str,
        mut work: impl FnMut(&mut dyn Session, bool) -> Outcome<T>,
    ) -> Result<T> {
        self.persist(doing, |session, unsure| {
            session.script(session.dialect().begin)?;
            let mut transact = || {
                let value = work(session, *unsure)?;
                session.script("COMMIT").inspect_err(|_| *unsure = true)?;
                Ok(value)
            };
            let outcome = transact();
            if outcome.is_err() {
                // It fails where the connection is lost, and then there is nothing to roll back.
                let _ = session.script("ROLLBACK");
            }
            outcome
        })
    }

    fn persist<T>(
        &mut self,
        doing: &'static str,
        mut work: impl FnMut(&mut dyn Session, &mut bool) -> Outcome<T>,
    ) -> Result<T> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut unsure = false;
        loop {
            let failure = match self.session().and_then(|session| work(session, &mut unsure)) {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let reason = match failure {
                Failure::Refused(error) => return Err(error),
                Failure::Broken(reason) => return Err(Error::Database { doing, url: self.shown(), reason }),
                Failure::Busy(reason) => reason,
                Failure::Away(reason) => {
                    self.session = None;
                    self.last_outage = Some(Instant::now());
                    reason
                }
            };
            if begun.elapsed() + pause > self.patience {
                let seconds = begun.elapsed().as_secs();
                return Err(Error::Unreachable { doing, url: self.shown(), seconds, reason });
            }
            thread::sleep(jittered(pause));
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    fn session(&mut self) -> Outcome<&mut dyn Session> {
        if self.session.is_none() {
            self.session = Some(match &self.location {
                Location::Sqlite(path) => Box::new(sqlite::open(path)?),
                Location::Postgres(server) => Box::new(postgres::open(server)?),
            });
        }
        match &mut self.session {
            Some(session) => Ok(session.as_mut()),
            None => Err(Failure::Away("no connection".to_owned())),
        }
    }
}

/// Between half and all of `pause`, so that many programs do not come back in step.
fn jittered(pause: Duration) -> Duration {
    let random = f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + 0.5 * random)
}

impl Cell {
    pub fn int(&self) -> Outcome<i64> {
        match self {
            Self::Int(value) => Ok(*value),
            other => Err(other.is_not("a whole number")),
        }
    }

    pub fn real(&self) -> Outcome<f64> {
        match self {
            Self::Real(value) => Ok(*value),
            Self::Int(value) => Ok(*value as f64),
            other => Err(other.is_not("a number")),
        }
    }

    pub fn text(&self) -> Outcome<&str> {
        match self {
            Self::Text(value) => Ok(value),
            other => Err(other.is_not("a text")),
        }
    }

    /// SQLite keeps times as text.
    pub fn time(&self) -> Outcome<Option<NaiveDateTime>> {
        match self {
            Self::Null => Ok(None),
            Self::Time(value) => Ok(Some(*value)),
            Self::Text(text) => match NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f") {
                Ok(time) => Ok(Some(time)),
                Err(_) => Err(self.is_not("a time")),
            },
            other => Err(other.is_not("a time")),
        }
    }

    fn is_not(&self, kind: &str) -> Failure {
        Failure::Broken(format!("a column should hold {kind}, not {self:?}"))
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<NaiveDateTime> for Cell {
    fn from(value: NaiveDateTime) -> Self {
        Self::Time(value)
    }
}

/// An address without credentials.
pub(crate) fn shown(url: &str) -> Result<String> {
    Ok(Location::parse(url)?.to_string())
}

/// An error with all its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// `(1, 2, 3)`, for `IN`.
fn list(items: &[impl Display]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    format!("({})", items.join(", "))
}
