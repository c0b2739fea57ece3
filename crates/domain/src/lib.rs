//! The rules of demo sessions, and nothing else.
//!
//! A *session* is one user's private world over shared *base data*. Its *changes* live in a *layer*; a *reset*
//! retires the layer into an *archive*, which an *undo* can bring back until the undo window closes.
//!
//! This crate knows no clock, no randomness, no SQL and no HTTP: times and new ids are parameters.

mod archive;
mod changes;
mod confirmation;
mod conflict;
mod foreign_keys;
mod ids;
mod retention;

pub use archive::{Archive, ArchiveState, UndoRefusal, choose_archive};
pub use changes::{ChangeCounts, ChangeKind, KindCounts};
pub use confirmation::{CONFIRMATION_TOKEN, ConfirmationRequired, confirm};
pub use conflict::{Conflict, ConflictReason, OnConflict};
pub use foreign_keys::{Reference, children_before_parents, parents_before_children};
pub use ids::{ArchiveId, LayerId, SessionId, UserKey, UserKeyError};
pub use retention::{
    AT_WORK_WITHIN, DEFAULT_UNDO_WINDOW, IDEMPOTENCY_WINDOW, IDLE_AFTER, Retention, TOUCH_INTERVAL,
    at_work_since, touch_is_due, touch_is_due_since,
};
