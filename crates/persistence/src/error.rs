//! What can go wrong, without a word about transport.

use std::path::PathBuf;

use demo_reset_domain::{Conflict, UndoRefusal};
use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// Everything the engine can refuse or fail at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is not one of a database that the engine knows.
    #[error("database URL: {reason}; expected sqlite://PATH or postgres://USER@HOST/DATABASE")]
    InvalidUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// The URL asks for TLS, and the program was built without.
    #[error(
        "database URL: it asks for TLS (sslmode), which this program was built without: build it with \
         `--features tls`"
    )]
    NoTls,
    /// A file or folder could not be used.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// The database was written by a newer version of the program.
    #[error(
        "the database has the migration {migration}, which this version does not know: use a newer version"
    )]
    NewerSchema {
        /// The first migration that is not known.
        migration: String,
    },
    /// The database is older than the program and must be migrated first.
    #[error(
        "the database is behind: run `demo-reset migrate`, on PostgreSQL as its owner (pending: {})",
        pending.join(", ")
    )]
    OlderSchema {
        /// The migrations to run.
        pending: Vec<String>,
    },
    /// The login that the URL names may not do what is asked.
    #[error("the login {login} {reason}")]
    Login {
        /// Its name.
        login: String,
        /// What it may not do, and who may.
        reason: String,
    },
    /// There is no base data yet, or its load was not finished and sealed.
    #[error("the base is not sealed: {reason}")]
    NotSealed {
        /// What is missing.
        reason: String,
    },
    /// The database is not the engine's to fill: its data would be lost.
    #[error("{url} holds data that demo-reset did not load: it is not replaced")]
    ForeignBase {
        /// The database, without a password.
        url: String,
    },
    /// No database of a host is attached there.
    #[error("{url} is not attached")]
    NotAttached {
        /// The database, without a password.
        url: String,
    },
    /// Sessions have stepped aside for a change of the host's.
    #[error("sessions are suspended: attach the database again")]
    Suspended,
    /// What a detach would lose has not been confirmed; nothing was changed.
    #[error(
        "the database holds {archives} archive(s) that can still be undone and {changes} change(s) of \
         {sessions} session(s)"
    )]
    HoldsChanges {
        /// Archives inside their undo window.
        archives: u64,
        /// Changes in live layers.
        changes: u64,
        /// Sessions.
        sessions: u64,
    },
    /// Tables cannot be put under sessions.
    #[error("cannot attach: {}", reasons.join("; "))]
    Attach {
        /// One reason per obstacle, each naming its table.
        reasons: Vec<String>,
    },
    /// The base was replaced since this connection was opened. Servers open a new one and try again.
    #[error("the base was replaced: try again")]
    BaseReplaced,
    /// The session does not exist (any more).
    #[error("there is no such session")]
    UnknownSession,
    /// An undo is refused before anything is looked at.
    #[error(transparent)]
    Undo(#[from] UndoRefusal),
    /// An undo is refused because of conflicts; nothing was changed.
    #[error("the undo conflicts with {} newer change(s)", .0.len())]
    UndoConflict(Vec<Conflict>),
    /// The session's live layer holds as many changes as it may; nothing was changed. A reset makes room.
    #[error("the session holds {max} changes, the most that it may: reset it to go on")]
    LayerFull {
        /// The most that a layer may hold.
        max: u64,
    },
    /// An idempotency key that stands for another request.
    #[error("this idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// A write through a view on a connection that is not bound for writing.
    #[error("this connection is not bound to a session for writing: nothing was changed")]
    NotBoundForWriting,
    /// A constraint of the table refused the write.
    #[error("{message}")]
    Constraint {
        /// Which kind.
        kind: ConstraintKind,
        /// The database's own words, with the table's own names.
        message: String,
    },
    /// The database cannot be reached, or no connection came free in time. Trying again can help.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Any other answer of the database.
    #[error("database: {0}")]
    Database(DieselError),
}

/// The kinds of constraint that a write can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConstraintKind {
    /// PRIMARY KEY or UNIQUE.
    Unique,
    /// FOREIGN KEY: a missing parent, or children left behind.
    ForeignKey,
    /// NOT NULL.
    NotNull,
    /// CHECK.
    Check,
}

/// The engine's result.
pub type Result<T> = std::result::Result<T, Error>;

/// What the generated triggers put before a message of theirs, so that it can be told from any other.
pub(crate) const TRIGGER_ERROR: &str = "demo-reset: ";

/// How change tables are named: this and the table's own name.
pub(crate) const CHANGE_TABLE_PREFIX: &str = "demo_changes_";

/// How the databases say that somebody else is in the way, or that the connection is gone, so that trying again can
/// help. PostgreSQL's are its English messages, which the engine's connections ask for: Diesel tells an error code
/// only by its kind, and those below have none of their own.
const BUSY: [&str; 9] = [
    "database is locked",
    // The disk: nothing was changed, and it works again when there is room.
    "database or disk is full",
    "disk I/O error",
    "No space left on device",
    "canceling statement due to lock timeout",
    "deadlock detected",
    // libpq's, on a connection that was lost while it was idle or between two statements.
    "no connection to the server",
    "server closed the connection unexpectedly",
    "terminating connection due to",
];

impl Error {
    /// Something stored is not what it should be, and so cannot be read.
    pub(crate) fn unreadable(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Database(DieselError::DeserializationError(reason.into()))
    }
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        let (kind, info) = match &error {
            DieselError::DatabaseError(kind, info) => (kind, info),
            DieselError::RollbackErrorOnCommit { commit_error, .. } => {
                return match &**commit_error {
                    DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, info) => {
                        Self::Unavailable(info.message().to_owned())
                    }
                    _ => Self::Database(error),
                };
            }
            // A connection that was lost on the way: the pool replaces it.
            DieselError::BrokenTransactionManager => return Self::Unavailable(error.to_string()),
            _ => return Self::Database(error),
        };
        let message = with_the_tables_own_names(info.message());
        let constraint = |kind| Self::Constraint { kind, message: message.clone() };
        match kind {
            DatabaseErrorKind::UniqueViolation => constraint(ConstraintKind::Unique),
            DatabaseErrorKind::ForeignKeyViolation => constraint(ConstraintKind::ForeignKey),
            DatabaseErrorKind::NotNullViolation => constraint(ConstraintKind::NotNull),
            DatabaseErrorKind::CheckViolation => constraint(ConstraintKind::Check),
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
                Self::Unavailable(message)
            }
            // On PostgreSQL a unit of work that is bound for reading is a read-only transaction.
            DatabaseErrorKind::ReadOnlyTransaction => Self::NotBoundForWriting,
            _ => match message.split_once(TRIGGER_ERROR) {
                Some((_, reason)) => from_trigger(reason).unwrap_or(Self::Database(error)),
                None if *kind == DatabaseErrorKind::SerializationFailure => Self::Unavailable(message),
                None if BUSY.iter().any(|words| message.contains(words)) => Self::Unavailable(message),
                None => Self::Database(error),
            },
        }
    }
}

/// A change table has its table's name behind a prefix, and its unique indexes begin with the layer.
fn with_the_tables_own_names(message: &str) -> String {
    let message = message.replace(CHANGE_TABLE_PREFIX, "");
    match (message.find(": "), message.find(".demo_layer, ")) {
        (Some(colon), Some(layer)) if colon < layer => {
            format!("{}{}", &message[..colon + 2], &message[layer + ".demo_layer, ".len()..])
        }
        _ => message,
    }
}

/// What a message of a generated trigger means. SQLite's triggers cannot raise an error of a constraint's own
/// kind: their messages say it in words.
fn from_trigger(reason: &str) -> Option<Error> {
    let constraint = |kind| Some(Error::Constraint { kind, message: reason.to_owned() });
    let starts = |prefix: &str| reason.starts_with(prefix);
    if let Some(max) = reason.strip_prefix("the layer is full: ") {
        return max.trim().parse().ok().map(|max| Error::LayerFull { max });
    }
    match () {
        () if starts("UNIQUE constraint failed") => constraint(ConstraintKind::Unique),
        () if starts("FOREIGN KEY constraint failed") => constraint(ConstraintKind::ForeignKey),
        () if starts("not bound") || starts("the statement began") => Some(Error::NotBoundForWriting),
        () if starts("there is no such session") => Some(Error::UnknownSession),
        () if starts("sessions are suspended") => Some(Error::Suspended),
        () => None,
    }
}

impl From<r2d2::Error> for Error {
    fn from(error: r2d2::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}
