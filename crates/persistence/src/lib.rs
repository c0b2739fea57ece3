//! Per-user copy-on-write sessions over one shared database.
//!
//! [`Database`] is the entry point: it opens a database whose tables stand under sessions, runs units of work
//! bound to a session, and resets, undoes, verifies and cleans up. [`attach()`] puts a host's tables under sessions
//! first. Times and new ids are the caller's.
//!
//! ```
//! use demo_reset_domain::{ArchiveId, OnConflict, SessionId, UserKey};
//! use demo_reset_persistence::{AttachOptions, Database, Error, OpenOptions, attach};
//! use diesel::connection::SimpleConnection;
//! use diesel::prelude::*;
//! use uuid::Uuid;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("shop.db").display().to_string();
//! let mut host = SqliteConnection::establish(&path)?;
//! host.batch_execute("create table artist (id integer primary key, name text)")?;
//! host.batch_execute("insert into artist values (1, 'Accept')")?;
//! # drop(host);
//!
//! let (url, now) = (format!("sqlite://{path}").parse()?, "2026-02-02T09:00:00Z".parse()?);
//! attach(&url, &AttachOptions::default(), now)?;
//! let database = Database::open_attached(&url, OpenOptions::default(), now)?;
//! let ann = database.session(&UserKey::new("acme", "ann")?, SessionId(Uuid::from_u128(1)), now)?.id;
//!
//! let rename = "update artist set name = 'Mine' where id = 1";
//! database.write(ann, now, |conn| conn.batch_execute(rename).map_err(Error::from))?;
//! assert_eq!(database.change_counts(ann)?.total(), 1);
//!
//! database.reset(ann, ArchiveId(Uuid::from_u128(2)), now)?;
//! assert_eq!(database.change_counts(ann)?.total(), 0);
//!
//! database.undo(ann, None, OnConflict::Fail, ArchiveId(Uuid::from_u128(3)), now)?;
//! assert_eq!(database.change_counts(ann)?.total(), 1);
//! assert!(database.verify()?.base_is_intact());
//! # Ok(())
//! # }
//! ```

mod adapt;
mod archive;
mod attach;
mod binding;
mod changes;
mod cleanup;
mod connection;
mod counts;
mod database;
mod dialect;
mod error;
mod held;
mod host;
mod host_connection;
mod idempotency;
mod migrate;
mod pool;
mod postgres;
mod reconcile;
mod reset;
mod search;
mod session;
mod spec;
mod sql;
mod sql_text;
mod sqlite;
mod statements;
pub mod types;
mod undo;
mod update;
mod url;
mod verify;

pub use adapt::Adaptation;
pub use attach::AttachOptions;
pub use connection::{AnyConnection, Link, MultiBackend, SessionConnection};
pub use counts::{BaseCounts, KeyedTable};
pub use database::{
    ArchivedChange, BaseState, Change, ChangeFilter, ChangePosition, CleanupReport, CleanupRun,
    DEFAULT_MAX_LAYER_CHANGES, Database, DifferingRows, OpenOptions, PoolStatus, RecordKey, RecordPosition,
    ResetReport, Session, SessionSummary, Stats, TableVerification, UndoReport, Verification, base_state,
    load_base, load_first_base, next_number,
};
pub use error::{ConstraintKind, Error, Result};
pub use host::{
    AttachReport, CheckReport, DetachReport, HostState, HostStatus, Note, NoteKind, StatementFinding, attach,
    attach_check, detach, status, suspend,
};
pub use idempotency::{IdempotencyKey, ResetRequest, UndoRequest};
pub use pool::Demand;
pub use reconcile::{BaseReferences, HeldOverBase, Reconciliation};
pub use search::{Matches, SearchIndex, make_search_indexes};
pub use sql::SqlAnswer;
pub use statements::split_statements;
pub use update::{Update, update};
pub use url::{DatabaseUrl, sessions_file};
