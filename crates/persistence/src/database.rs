//! A database under demo sessions: the entry point for servers and commands.
//!
//! Every method here takes a connection from the pool, does its work in one transaction, and gives it back.
//! `now` and new ids are parameters: the engine reads no clock and makes no id of its own.

use chrono::{DateTime, Utc};
use demo_reset_domain::{Archive, ArchiveId, ChangeCounts, OnConflict, SessionId, UserKey};

use crate::connection::AnyConnection;
use crate::error::{Error, Result};

/// A session as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserKey,
    /// When it was first used.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_activity_at: DateTime<Utc>,
}

/// What a reset did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetReport {
    /// The archive, with its counts; none where there was nothing to reset.
    pub archive: Option<Archive>,
    /// Whether the base is sealed, and has not been opened since its manifest was taken.
    pub base_is_sealed: bool,
}

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoReport {
    /// What came back.
    pub restored: ChangeCounts,
    /// With [`OnConflict::KeepCurrent`]: the new archive that holds what did not come back.
    pub kept_archived: Option<ArchiveId>,
    /// With [`OnConflict::RestoreArchived`]: the new archive that holds what was replaced.
    pub replaced: Option<ArchiveId>,
}

/// A table compared with the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableVerification {
    /// The table.
    pub table: String,
    /// Rows when the base was sealed.
    pub expected_rows: u64,
    /// Rows now.
    pub rows: u64,
    /// Whether every value is as it was.
    pub fingerprint_matches: bool,
}

/// The base compared with its manifest, table by table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Every sealed table.
    pub tables: Vec<TableVerification>,
}

impl Verification {
    /// Whether every table has the rows and the values it was sealed with.
    pub fn base_is_intact(&self) -> bool {
        !self.tables.is_empty()
            && self.tables.iter().all(|table| table.fingerprint_matches && table.rows == table.expected_rows)
    }
}

/// What a cleanup removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CleanupReport {
    /// Expired archives purged.
    pub archives_purged: u64,
    /// Changes purged with them.
    pub changes_purged: u64,
    /// Idle sessions whose live layer was archived.
    pub sessions_archived: u64,
    /// Idle sessions removed.
    pub sessions_removed: u64,
}

/// Sessions, changes and archives of one organization, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Base rows by table, from the manifest.
    pub base: Vec<(String, u64)>,
    /// Sessions.
    pub sessions: u64,
    /// Sessions active in the last 7 days.
    pub sessions_active_7d: u64,
    /// Sessions without activity for 30 days.
    pub sessions_stale_30d: u64,
    /// Changes in live layers.
    pub changes: ChangeCounts,
    /// Archives that can be restored.
    pub archives_available: u64,
    /// Archives past their undo window, not yet purged.
    pub archives_expired: u64,
    /// Archives that were restored.
    pub archives_restored: u64,
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    /// The session.
    pub session: Session,
    /// Changes in its live layer.
    pub changes: ChangeCounts,
}

/// A database under demo sessions. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct Database {}

impl Database {
    /// The user's session; made now, with `new_id`, where there is none. Records activity at most once a minute.
    ///
    /// Safe under races: any number of simultaneous first calls give one session.
    pub fn session(&self, user: &UserKey, new_id: SessionId, now: DateTime<Utc>) -> Result<Session> {
        let _ = (user, new_id, now);
        todo!()
    }

    /// The user's session, if there is one.
    pub fn session_find(&self, user: &UserKey) -> Result<Option<Session>> {
        let _ = user;
        todo!()
    }

    /// Runs `work` on the base data alone: no session, read only.
    pub fn read_base<T, E>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E>
    where
        E: From<Error> + From<diesel::result::Error>,
    {
        let _ = work;
        todo!()
    }

    /// Runs `work` in one read-only transaction that sees the world of `session`.
    pub fn read<T, E>(
        &self,
        session: SessionId,
        work: impl FnOnce(&mut AnyConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E>
    where
        E: From<Error> + From<diesel::result::Error>,
    {
        let _ = (session, work);
        todo!()
    }

    /// Runs `work` in one transaction that sees and writes the world of `session`. Committed if `work` returns
    /// `Ok`, rolled back otherwise.
    pub fn write<T, E>(
        &self,
        session: SessionId,
        now: DateTime<Utc>,
        work: impl FnOnce(&mut AnyConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E>
    where
        E: From<Error> + From<diesel::result::Error>,
    {
        let _ = (session, now, work);
        todo!()
    }

    /// Changes in the live layer of `session`.
    pub fn change_counts(&self, session: SessionId) -> Result<ChangeCounts> {
        let _ = session;
        todo!()
    }

    /// Retires the live layer of `session` into an archive. Constant cost.
    pub fn reset(&self, session: SessionId, new_id: ArchiveId, now: DateTime<Utc>) -> Result<ResetReport> {
        let _ = (session, new_id, now);
        todo!()
    }

    /// Brings an archive back: the newest available, or the `wanted` one. `new_id` names the archive that a
    /// conflict may need.
    pub fn undo(
        &self,
        session: SessionId,
        wanted: Option<ArchiveId>,
        on_conflict: OnConflict,
        new_id: ArchiveId,
        now: DateTime<Utc>,
    ) -> Result<UndoReport> {
        let _ = (session, wanted, on_conflict, new_id, now);
        todo!()
    }

    /// The archives of `session`, newest first.
    pub fn archives(&self, session: SessionId) -> Result<Vec<Archive>> {
        let _ = session;
        todo!()
    }

    /// Compares every base table with the manifest: count and fingerprint of every row.
    pub fn verify(&self) -> Result<Verification> {
        todo!()
    }

    /// Purges what is expired, archives what is idle. `new_id` makes the ids of new archives.
    pub fn cleanup(
        &self,
        now: DateTime<Utc>,
        new_id: &mut dyn FnMut() -> ArchiveId,
    ) -> Result<CleanupReport> {
        let _ = (now, new_id);
        todo!()
    }

    /// Figures about one organization, or about all.
    pub fn stats(&self, organization: Option<&str>, now: DateTime<Utc>) -> Result<Stats> {
        let _ = (organization, now);
        todo!()
    }

    /// Sessions of one organization, or of all, most recently active first.
    pub fn sessions(&self, organization: Option<&str>) -> Result<Vec<SessionSummary>> {
        let _ = organization;
        todo!()
    }

    /// A small secret that all servers of this database share (a signing key, a password hash). Stored if absent;
    /// the stored one is returned.
    pub fn secret(&self, name: &str, make: impl FnOnce() -> String) -> Result<String> {
        let _ = (name, make);
        todo!()
    }

    /// Replaces a secret.
    pub fn secret_replace(&self, name: &str, value: &str) -> Result<()> {
        let _ = (name, value);
        todo!()
    }

    /// Whether the database answers, its migrations are current and its base is sealed.
    pub fn ready(&self) -> Result<()> {
        todo!()
    }
}

/// The next number of a session's sequence `name`: one more than the larger of `floor` and the last number handed
/// out, whatever was reset in between. Call it inside [`Database::write`].
pub fn next_number(conn: &mut AnyConnection, name: &str, floor: i64) -> Result<i64> {
    let _ = (conn, name, floor);
    todo!()
}
