//! Per-user copy-on-write sessions over one shared database.
//!
//! [`Database`] is the entry point: it opens a database whose tables stand under sessions, runs units of work
//! bound to a session, and resets, undoes, verifies and cleans up.

mod adapt;
mod archive;
mod attach;
mod binding;
mod changes;
mod cleanup;
mod connection;
mod database;
mod dialect;
mod error;
mod held;
mod host;
mod host_connection;
mod idempotency;
mod migrate;
mod postgres;
mod reconcile;
mod reset;
mod session;
mod spec;
mod sql;
mod sql_text;
mod sqlite;
mod statements;
pub mod types;
mod undo;
mod url;
mod verify;

pub use adapt::Adaptation;
pub use attach::AttachOptions;
pub use connection::{AnyConnection, Link, MultiBackend, SessionConnection};
pub use database::{
    ArchivedChange, BaseState, Change, ChangeFilter, ChangePosition, CleanupReport, CleanupRun,
    DEFAULT_MAX_LAYER_CHANGES, Database, OpenOptions, PoolStatus, RecordKey, RecordPosition, ResetReport,
    Session, SessionSummary, Stats, TableVerification, UndoReport, Verification, base_state, load_base,
    load_first_base, next_number,
};
pub use error::{ConstraintKind, Error, Result};
pub use host::{
    AttachReport, CheckReport, DetachReport, HostState, HostStatus, Note, NoteKind, StatementFinding, attach,
    attach_check, detach, status, suspend,
};
pub use idempotency::{IdempotencyKey, ResetRequest, UndoRequest};
pub use reconcile::Reconciliation;
pub use sql::SqlAnswer;
pub use statements::split_statements;
pub use url::{DatabaseUrl, sessions_file};
