//! Per-user copy-on-write sessions over one shared database.
//!
//! [`Database`] is the entry point: it opens a database whose tables stand under sessions, runs units of work
//! bound to a session, and resets, undoes, verifies and cleans up.

mod archive;
mod attach;
mod binding;
mod changes;
mod cleanup;
mod connection;
mod database;
mod dialect;
mod error;
mod idempotency;
mod migrate;
mod postgres;
mod reconcile;
mod reset;
mod session;
mod spec;
mod sql_text;
mod sqlite;
pub mod types;
mod undo;
mod url;
mod verify;

pub use attach::AttachOptions;
pub use connection::{AnyConnection, Link, MultiBackend, SessionConnection};
pub use database::{
    ArchivedChange, BaseState, Change, ChangePosition, CleanupReport, Database, OpenOptions, RecordKey,
    RecordPosition, ResetReport, Session, SessionSummary, Stats, TableVerification, UndoReport, Verification,
    base_state, load_base, load_first_base, next_number,
};
pub use error::{ConstraintKind, Error, Result};
pub use idempotency::{IdempotencyKey, ResetRequest, UndoRequest};
pub use url::{DatabaseUrl, sessions_file};
