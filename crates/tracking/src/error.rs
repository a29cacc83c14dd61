//! What can go wrong in a store.

use std::io;
use std::path::{Path, PathBuf};

/// Result of a store call.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a store call failed. Messages never contain credentials.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An experiment, run, tag or artifact that is not there.
    #[error("{0}")]
    NotFound(String),
    /// A name that is taken.
    #[error("{0}")]
    AlreadyExists(String),
    /// Something is not as the caller saw it last: an alias that points elsewhere by now.
    #[error("{0}")]
    Conflict(String),
    /// A request that no retry can mend: a bad filter, a changed param, a deleted run.
    #[error("{0}")]
    Invalid(String),
    /// An answer that is not MLflow's: the page of a proxy, a redirect. The address is wrong, or the server is away.
    #[error("{0}")]
    NotMlflow(String),
    /// Wrong or missing credentials.
    #[error("{0}")]
    Denied(String),
    /// The server cannot be reached, is overloaded, or broke: worth a retry.
    #[error("{message}")]
    Unavailable {
        /// What happened, with the address.
        message: String,
        /// The server's wish, in seconds.
        retry_after_s: Option<u64>,
    },
    /// The embedded database refused.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Database {
        /// What was being done: `open`, `write`.
        doing: &'static str,
        /// The database file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// A file could not be read or written.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io {
        /// What was being done: `read`, `write`, `create`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    /// A file could not be read or written; `doing` says which: `read`, `write`, `create`.
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.into(), source }
    }

    /// True when the same call may succeed later: a server is away, the database is locked, the disk is full.
    pub fn is_transient(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, SystemIoFailure};
        match self {
            Self::Unavailable { .. } => true,
            Self::Database { source, .. } => {
                matches!(source.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked | DiskFull | SystemIoFailure))
            }
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }

    /// True when a writer with time should go on trying: besides what is transient, a proxy may find its server again, and
    /// credentials may be renewed.
    pub(crate) fn may_pass(&self) -> bool {
        self.is_transient() || matches!(self, Self::Denied(_) | Self::NotMlflow(_))
    }
}
