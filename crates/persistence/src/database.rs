//! A database under demo sessions: the entry point for servers and commands.
//!
//! Every method here takes a connection from the pool, does its work in one transaction, and gives it back.
//! `now` and new ids are parameters: the engine reads no clock and makes no id of its own.

use chrono::{DateTime, Utc};
use demo_reset_domain::{
    Archive, ArchiveId, ChangeCounts, ChangeKind, OnConflict, Retention, SessionId, UserKey, at_work_since,
};

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::archive::archive_list;
use crate::attach::{AttachOptions, Attached, Claim};
use crate::binding::{
    self, Mode, Unit, begin_bound, begin_bound_as, finish_bound, in_transaction, in_transaction_if_any,
    or_roll_back,
};
use crate::connection::{AnyConnection, SessionConnection};
use crate::counts::BaseCounts;
use crate::error::{Error, Result};
use crate::idempotency::UndoRequest;
use crate::pool::{Connector, Demand, Pool, Pooled};
use crate::reconcile::BaseReferences;
use crate::reset::{Reset, reset};
use crate::session;
use crate::spec::TableSpec;
use crate::sqlite;
use crate::sqlite::base_file::StampCache;
use crate::undo::{RecordsReset, reset_records, undo, undo_unchanged};
use crate::url::{DatabaseUrl, sessions_file};
use crate::verify;
use crate::{changes, cleanup, reconcile};
use crate::{migrate, postgres};

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

/// A record to reset on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordKey {
    /// Its table.
    pub table: String,
    /// Its values in the order of the primary key, each as text.
    pub key: Vec<String>,
}

/// One change of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The table.
    pub table: String,
    /// The record's key: its values in the order of the primary key, each as text.
    pub key: Vec<String>,
    /// What was done to it.
    pub kind: ChangeKind,
    /// When it was last changed.
    pub changed_at: DateTime<Utc>,
    /// The base record under it; none for a created one.
    pub base: Option<serde_json::Value>,
    /// The record as the session sees it; none for a deleted one.
    pub current: Option<serde_json::Value>,
    /// Where the next page begins if this is the last one of a page.
    pub position: ChangePosition,
}

impl Change {
    /// The fields that differ from the base, each with its base and its current value.
    pub fn differences(&self) -> Vec<(String, serde_json::Value, serde_json::Value)> {
        changes::differences(self.base.as_ref(), self.current.as_ref())
    }
}

/// Which changes are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Only those of this table.
    pub table: Option<String>,
    /// Only those of records with this key: its values in the order of the primary key, each as text.
    pub key: Option<Vec<String>>,
    /// Only those of this kind.
    pub kind: Option<ChangeKind>,
}

/// A place in a list of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePosition {
    /// The time of the last change seen.
    pub changed_at: DateTime<Utc>,
    /// Its table.
    pub table: String,
    /// Its key as a JSON array.
    pub key: String,
}

/// A place in a list of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPosition {
    /// The table of the last record seen.
    pub table: String,
    /// Its key as a JSON array.
    pub key: String,
}

/// One record of an archive.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchivedChange {
    /// The table.
    pub table: String,
    /// The record's key: its values in the order of the primary key, each as text.
    pub key: Vec<String>,
    /// What was done to it.
    pub kind: ChangeKind,
    /// When it was last changed.
    pub changed_at: DateTime<Utc>,
    /// The whole record; for a deleted one as it was before.
    pub snapshot: serde_json::Value,
    /// Where the next page begins if this is the last one of a page.
    pub position: RecordPosition,
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

impl TableVerification {
    /// Whether the table has the rows and the values it was sealed with.
    pub fn is_intact(&self) -> bool {
        self.fingerprint_matches && self.rows == self.expected_rows
    }
}

/// Rows of a table that are not as they were sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferingRows {
    /// The table.
    pub table: String,
    /// How many rows have other values than any row that was sealed: changed ones and new ones.
    pub count: u64,
    /// The keys of those rows, as they are now: each its values in the order of the primary key, as text.
    pub keys: Vec<Vec<String>>,
    /// How many rows that were sealed are not found: changed ones and deleted ones. Only their hashes are kept, so
    /// they have no names.
    pub gone: u64,
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
        !self.tables.is_empty() && self.tables.iter().all(TableVerification::is_intact)
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
    /// Changes in the largest live layer.
    pub largest_layer: u64,
    /// The last complete cleanup, of all organizations.
    pub last_cleanup: Option<CleanupRun>,
}

/// A complete cleanup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupRun {
    /// When it was done.
    pub finished_at: DateTime<Utc>,
    /// What it removed.
    pub report: CleanupReport,
}

/// The connections of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// `readers`, `writer`, or `connections` where they are one pool.
    pub name: &'static str,
    /// Open connections.
    pub open: u32,
    /// Those that wait for work.
    pub idle: u32,
    /// The most that there can be.
    pub max: u32,
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    /// The session.
    pub session: Session,
    /// Changes in its live layer.
    pub changes: ChangeCounts,
}

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// What stands under sessions.
    pub attach: AttachOptions,
    /// How long things are kept.
    pub retention: Retention,
    /// Connections that read at the same time.
    pub readers: u32,
    /// How long a caller waits for a connection, or for whoever else works in the same session, before
    /// [`Error::Unavailable`].
    pub connection_timeout: Duration,
    /// A session whose live layer holds so many changes can make no more: [`Error::LayerFull`].
    pub max_layer_changes: u64,
}

/// How many changes a session's live layer may hold unless said otherwise.
pub const DEFAULT_MAX_LAYER_CHANGES: u64 = 1_000_000;

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            attach: AttachOptions::default(),
            retention: Retention::default(),
            readers: 8,
            connection_timeout: Duration::from_secs(5),
            max_layer_changes: DEFAULT_MAX_LAYER_CHANGES,
        }
    }
}

/// What is at a database URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseState {
    /// Nothing: a base can be loaded.
    Missing,
    /// A sealed base without a single row.
    Empty,
    /// A sealed base.
    Sealed,
    /// A host's database that is attached, or suspended.
    Attached,
    /// A database that was never sealed: of a host, or half loaded by something else.
    Unsealed,
}

/// What is at `url`.
///
/// # Errors
/// Where it cannot be read, or is no database.
pub fn base_state(url: &DatabaseUrl) -> Result<BaseState> {
    match url {
        DatabaseUrl::Sqlite(path) => sqlite::load::state(path),
        DatabaseUrl::Postgres(url) => postgres::base::state(url),
    }
}

/// Builds a base with `build` and seals it as `new_id`, all or nothing: until it is complete, what is at `url`
/// stays as it is. Sessions take the new base up when the database is next opened.
///
/// # Errors
/// [`Error::ForeignBase`] where the data at `url` is not the engine's to replace, what `build` returns, or what
/// stands in the way of putting the base in place.
pub fn load_base<E: From<Error>>(
    url: &DatabaseUrl,
    new_id: uuid::Uuid,
    now: DateTime<Utc>,
    build: impl FnOnce(&mut AnyConnection) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    load(url, new_id, now, false, build).map(|_| ())
}

/// [`load_base`], unless there is a base with rows already, even one that somebody else has loaded since the caller
/// looked. Whether the base was built.
///
/// # Errors
/// As [`load_base`].
pub fn load_first_base<E: From<Error>>(
    url: &DatabaseUrl,
    new_id: uuid::Uuid,
    now: DateTime<Utc>,
    build: impl FnOnce(&mut AnyConnection) -> std::result::Result<(), E>,
) -> std::result::Result<bool, E> {
    load(url, new_id, now, true, build)
}

fn load<E: From<Error>>(
    url: &DatabaseUrl,
    new_id: uuid::Uuid,
    now: DateTime<Utc>,
    only_first: bool,
    build: impl FnOnce(&mut AnyConnection) -> std::result::Result<(), E>,
) -> std::result::Result<bool, E> {
    if matches!(base_state(url)?, BaseState::Unsealed | BaseState::Attached) {
        return Err(Error::ForeignBase { url: url.to_string() }.into());
    }
    let id = new_id.to_string();
    match url {
        DatabaseUrl::Sqlite(path) => sqlite::load::load(path, &id, only_first, build),
        DatabaseUrl::Postgres(url) => postgres::base::load(url, &id, now, only_first, build),
    }
}

/// A database under demo sessions. Cheap to clone; clones share the pools.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Database").field(&self.inner.url).finish()
    }
}

struct Inner {
    url: DatabaseUrl,
    /// SQLite has one writer at a time; a pool of one makes writers queue in this process instead of at the file.
    /// On PostgreSQL both are the same pool.
    writer: Pool,
    readers: Pool,
    connector: Connector,
    options: OpenOptions,
    /// What is attached, and the base epoch that it was read in.
    attached: RwLock<(i64, Arc<Attached>)>,
    stamps: StampCache,
    base_counts: Arc<BaseCounts>,
}

impl Database {
    /// Opens a database whose base is there: migrates the engine's tables, takes up a base that is new, and
    /// attaches its tables.
    ///
    /// # Errors
    /// [`Error::File`] where a file is missing or is no database, [`Error::NotSealed`] where the base was never
    /// sealed, [`Error::NewerSchema`], [`Error::Attach`].
    pub fn open(url: &DatabaseUrl, options: OpenOptions, now: DateTime<Utc>) -> Result<Self> {
        let (connector, attached) = match url {
            DatabaseUrl::Sqlite(base) => {
                if !base.exists() {
                    return Err(Error::File {
                        path: base.clone(),
                        reason: "there is no such file".to_owned(),
                    });
                }
                let sessions = sessions_file(base);
                let (attached, _) =
                    sqlite::attach::take_up(base, &sessions, &options.attach, Claim::Open, now)?;
                (Connector::Sqlite(sqlite::connect::Connector::new(base.clone(), sessions)), attached)
            }
            DatabaseUrl::Postgres(text) => {
                let attached = postgres::base::take_up(text, &options.attach, now)?;
                (
                    Connector::Postgres(postgres::connect::Connector::new(
                        text.clone(),
                        options.connection_timeout,
                    )),
                    attached,
                )
            }
        };
        let pool = |size| Pool::new(connector.clone(), size, options.connection_timeout);
        let readers = pool(options.readers.max(1))?;
        let writer = match url {
            DatabaseUrl::Sqlite(_) => pool(1)?,
            DatabaseUrl::Postgres(_) => readers.clone(),
        };
        let stamps = StampCache::default();
        if let DatabaseUrl::Sqlite(base) = url {
            // From now on it can tell how long the file has stood still.
            stamps.stamp(base)?;
        }
        let inner = Inner {
            url: url.clone(),
            writer,
            readers,
            connector,
            attached: RwLock::new((-1, Arc::new(attached))),
            options,
            stamps,
            base_counts: Arc::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Opens a host's database with what it was attached with.
    ///
    /// # Errors
    /// [`Error::NotAttached`], and those of [`Database::open`].
    pub fn open_attached(url: &DatabaseUrl, options: OpenOptions, now: DateTime<Utc>) -> Result<Self> {
        let attached_with = match url {
            DatabaseUrl::Sqlite(base) => sqlite::host::attached_with(&sessions_file(base))?,
            DatabaseUrl::Postgres(text) => postgres::host::attached_with(text)?,
        };
        let attach = attached_with.ok_or_else(|| Error::NotAttached { url: url.to_string() })?;
        Self::open(url, OpenOptions { attach, ..options }, now)
    }

    /// Where the database is.
    pub fn url(&self) -> &DatabaseUrl {
        &self.inner.url
    }

    /// What was counted among the rows of the base, for totals of lists.
    pub fn counts(&self) -> Arc<BaseCounts> {
        Arc::clone(&self.inner.base_counts)
    }

    fn pool(&self, mode: Mode) -> &Pool {
        if mode == Mode::Write { &self.inner.writer } else { &self.inner.readers }
    }

    fn is_on_postgres(&self) -> bool {
        matches!(self.inner.url, DatabaseUrl::Postgres(_))
    }

    /// A connection of the pool that lives: a PostgreSQL that was restarted leaves dead ones there.
    fn connection(&self, mode: Mode) -> Result<Pooled> {
        let mut conn = self.pool(mode).get()?;
        if !self.inner.connector.lives(&mut conn) {
            self.open_again(&mut conn)?;
        }
        Ok(conn)
    }

    fn open_again(&self, conn: &mut AnyConnection) -> Result<()> {
        *conn = self.inner.connector.connect()?;
        Ok(())
    }

    /// Begins something on a connection of the pool that nobody asked whether it lives: for a request of two or three
    /// statements the question would cost a third. Where it turns out dead, or opened over a base that has been replaced
    /// since, it is opened again, and `begin` begins again: nothing of it may have lasted, unless it does the same when it
    /// is repeated.
    fn begin_on<T>(
        &self,
        mode: Mode,
        begin: impl Fn(&mut AnyConnection) -> Result<T>,
    ) -> Result<(Pooled, T)> {
        self.begin_taken((self.pool(mode).get()?, false), |conn, _| begin(conn))
    }

    /// [`Database::begin_on`] for what can end a transaction that was left open on the connection, which `begin` is told.
    fn begin_unit<T>(
        &self,
        unit: &Unit,
        begin: impl Fn(&mut AnyConnection, &Unit) -> Result<T>,
    ) -> Result<(Pooled, T)> {
        let taken = self.pool(unit.mode).get_as_it_is()?;
        self.begin_taken(taken, |conn, ends_another| begin(conn, &Unit { ends_another, ..*unit }))
    }

    fn begin_taken<T>(
        &self,
        (mut conn, is_left_open): (Pooled, bool),
        begin: impl Fn(&mut AnyConnection, bool) -> Result<T>,
    ) -> Result<(Pooled, T)> {
        let begun = match begin(&mut conn, is_left_open) {
            Err(Error::BaseReplaced) => None,
            Err(Error::Unavailable(_)) if !self.inner.connector.lives(&mut conn) => None,
            begun => Some(begun?),
        };
        let begun = match begun {
            Some(begun) => begun,
            None => {
                self.open_again(&mut conn)?;
                begin(&mut conn, false)?
            }
        };
        Ok((conn, begun))
    }

    /// Runs `work`, which uses the engine's own tables alone, on a connection of the pool.
    fn with_connection<T, E: From<Error>>(
        &self,
        mode: Mode,
        work: impl FnOnce(&mut AnyConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        work(&mut **self.connection(mode)?)
    }

    /// Runs `work`, which looks at the base, on a connection of the pool. One that was opened over a base that has
    /// been replaced since is opened again.
    fn over_base<T, E: From<Error>>(
        &self,
        mode: Mode,
        work: impl FnOnce(&mut AnyConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut conn = self.connection(mode)?;
        if !binding::is_current(&mut conn.link())? {
            self.open_again(&mut conn)?;
        }
        work(&mut conn)
    }

    /// Runs `work` in one transaction bound to `session`. Binding finds out by itself whether the base has been
    /// replaced since the connection was opened.
    fn bound<T, E: From<Error>>(
        &self,
        session: SessionId,
        unit: &Unit,
        work: impl FnOnce(&mut AnyConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let (conn, ()) = self.begin_unit(unit, |conn, unit| begin_bound(conn, session, unit))?;
        self.finish(conn, unit.mode, work)
    }

    /// Runs `work` in the transaction that has begun on a connection of the pool, and gives the connection back.
    fn finish<T, E: From<Error>>(
        &self,
        mut conn: Pooled,
        mode: Mode,
        work: impl FnOnce(&mut AnyConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        if mode == Mode::Read && self.is_on_postgres() {
            let value = or_roll_back(&mut **conn, work)?;
            self.pool(mode).give_back_reading(conn)?;
            return Ok(value);
        }
        finish_bound(&mut **conn, mode, work)
    }

    /// [`Database::session`] and [`Database::bound`] for a user, on one connection of the pool: waiting for one twice makes a
    /// busy server's slowest requests twice as slow.
    fn bound_as<T, E: From<Error>>(
        &self,
        user: &UserKey,
        new_id: SessionId,
        unit: &Unit,
        now: DateTime<Utc>,
        work: impl FnOnce(&mut AnyConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let begin = |conn: &mut AnyConnection, unit: &Unit| begin_bound_as(conn, user, unit, now);
        if let (conn, true) = self.begin_unit(unit, begin)? {
            return self.finish(conn, unit.mode, work);
        }
        let session = self.session(user, new_id, now)?.id;
        self.bound(session, unit, work)
    }

    /// A unit of work that writes, and is refused where the layer is full.
    fn writing(&self, now: DateTime<Utc>) -> Unit {
        let max_changes = Some(self.inner.options.max_layer_changes);
        Unit { mode: Mode::Write, now: Some(now), max_changes, ends_another: false }
    }

    /// What is attached in the base of `epoch`; read again where it is another one than the last time. Runs in a
    /// transaction.
    fn attached(&self, conn: &mut AnyConnection) -> Result<Arc<Attached>> {
        let epoch = verify::epoch(&mut conn.link())?;
        {
            let known = self.inner.attached.read().unwrap_or_else(PoisonError::into_inner);
            if known.0 == epoch {
                return Ok(Arc::clone(&known.1));
            }
        }
        let mut link = conn.link();
        let attached = match &self.inner.url {
            DatabaseUrl::Sqlite(_) => sqlite::attach::attached(&mut link)?,
            DatabaseUrl::Postgres(_) => postgres::attach::attached(&mut link)?,
        };
        let attached = Arc::new(attached);
        *self.inner.attached.write().unwrap_or_else(PoisonError::into_inner) = (epoch, Arc::clone(&attached));
        Ok(attached)
    }

    /// A transaction that writes the engine's own tables, not bound to a session.
    pub(crate) fn transaction<T>(&self, work: impl FnOnce(&mut AnyConnection) -> Result<T>) -> Result<T> {
        self.with_connection(Mode::Write, |conn| in_transaction(conn, Mode::Write, work))
    }

    /// A writing transaction on the engine's own tables whose first statement writes.
    pub(crate) fn transaction_write_first<T>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T>,
    ) -> Result<T> {
        self.with_connection(Mode::Write, |conn| in_transaction(conn, Mode::WriteFirst, work))
    }

    /// A writing transaction that looks at the base, not bound to a session.
    pub(crate) fn transaction_over_base<T>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T>,
    ) -> Result<T> {
        self.over_base(Mode::Write, |conn| in_transaction(conn, Mode::Write, work))
    }

    /// The user's session; made now, with `new_id`, where there is none. Records activity at most once a minute.
    ///
    /// Safe under races: any number of simultaneous first calls give one session.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn session(&self, user: &UserKey, new_id: SessionId, now: DateTime<Utc>) -> Result<Session> {
        if self.is_on_postgres() {
            let get =
                |conn: &mut AnyConnection| session::session_on_postgres(&mut conn.link(), user, new_id, now);
            return self.begin_on(Mode::Write, get).map(|(_, session)| session);
        }
        loop {
            let Some(found) = self.session_find(user)? else {
                let create =
                    |conn: &mut AnyConnection| session::session_create(&mut conn.link(), user, new_id, now);
                match self.begin_on(Mode::Write, create)? {
                    (_, Some(made)) => return Ok(made),
                    // Somebody else has made it meanwhile.
                    (_, None) => continue,
                }
            };
            if !session::session_touch_is_due(&found, now) {
                return Ok(found);
            }
            let touched = self.transaction(|conn| {
                session::session_touch(&mut conn.link(), found.id, now)?;
                session::session_find(&mut conn.link(), user)
            })?;
            // A cleanup may have removed the session since it was found.
            if let Some(touched) = touched {
                return Ok(touched);
            }
        }
    }

    /// The user's session, if there is one.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn session_find(&self, user: &UserKey) -> Result<Option<Session>> {
        let find = |conn: &mut AnyConnection| session::session_find(&mut conn.link(), user);
        self.begin_on(Mode::Read, find).map(|(_, found)| found)
    }

    /// The session of that id, if there is one.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn session_by_id(&self, id: SessionId) -> Result<Option<Session>> {
        self.with_connection(Mode::Read, |conn| session::session_by_id(&mut conn.link(), id))
    }

    /// Runs `work` on the base data alone: no session, and writes through a view are refused.
    ///
    /// # Errors
    /// What `work` returns, or those of the database.
    pub fn read_base<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.over_base(Mode::Read, |conn| in_transaction(conn, Mode::Read, work))
    }

    /// Runs `work` in one read-only transaction that sees the world of `session`.
    ///
    /// # Errors
    /// What `work` returns, [`Error::UnknownSession`], or those of the database.
    pub fn read<T, E: From<Error>>(
        &self,
        session: SessionId,
        work: impl FnOnce(&mut AnyConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.bound(session, &Unit::READ, work)
    }

    /// Runs `work` in one transaction that sees and writes the world of `session`. Committed if `work` returns
    /// `Ok`, rolled back otherwise.
    ///
    /// # Errors
    /// What `work` returns, [`Error::UnknownSession`], [`Error::LayerFull`], [`Error::Constraint`] where a deferred
    /// foreign key is still broken at the end, or those of the database. On PostgreSQL also where `work` returns `Ok` though a
    /// statement failed outside of a savepoint: nothing can be committed there any more.
    pub fn write<T, E: From<Error>>(
        &self,
        session: SessionId,
        now: DateTime<Utc>,
        work: impl FnOnce(&mut AnyConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.bound(session, &self.writing(now), work)
    }

    /// [`Database::read`] in the session of `user`, which is found or made as by [`Database::session`].
    ///
    /// # Errors
    /// What `work` returns, or those of the database.
    pub fn read_as<T, E: From<Error>>(
        &self,
        user: &UserKey,
        new_id: SessionId,
        now: DateTime<Utc>,
        work: impl FnOnce(&mut AnyConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.bound_as(user, new_id, &Unit::READ, now, work)
    }

    /// [`Database::write`] in the session of `user`, which is found or made as by [`Database::session`].
    ///
    /// # Errors
    /// Those of [`Database::write`].
    pub fn write_as<T, E: From<Error>>(
        &self,
        user: &UserKey,
        new_id: SessionId,
        now: DateTime<Utc>,
        work: impl FnOnce(&mut AnyConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.bound_as(user, new_id, &self.writing(now), now, work)
    }

    /// Changes in the live layer of `session`.
    ///
    /// # Errors
    /// [`Error::UnknownSession`], or those of the database.
    pub fn change_counts(&self, session: SessionId) -> Result<ChangeCounts> {
        self.with_connection(Mode::Read, |conn| {
            in_transaction(conn, Mode::Read, |conn| {
                let layer = session::session_live_layer(&mut conn.link(), session)?;
                session::layer_counts(&mut conn.link(), layer)
            })
        })
    }

    /// Retires the live layer of `session` into an archive named `new_id`. Constant cost.
    ///
    /// # Errors
    /// [`Error::UnknownSession`], or those of the database; nothing is changed then.
    pub fn reset(&self, session: SessionId, new_id: ArchiveId, now: DateTime<Utc>) -> Result<ResetReport> {
        let work = |conn: &mut AnyConnection| self.reset_within(conn, session, new_id, now);
        match self.inner.url {
            DatabaseUrl::Sqlite(_) => self.transaction_write_first(work),
            // One statement, and so a transaction of its own, which may be repeated: it archives once under one id.
            DatabaseUrl::Postgres(_) => self.begin_on(Mode::Write, work).map(|(_, report)| report),
        }
    }

    pub(crate) fn reset_within(
        &self,
        conn: &mut AnyConnection,
        session: SessionId,
        new_id: ArchiveId,
        now: DateTime<Utc>,
    ) -> Result<ResetReport> {
        let Reset { archive, seal } = reset(&mut conn.link(), session, new_id, self.retention(), now)?;
        let base_is_sealed = verify::seal_holds(seal.as_deref(), &self.inner.url, &self.inner.stamps)?;
        Ok(ResetReport { archive, base_is_sealed })
    }

    /// Brings an archive back: the newest available, or the `wanted` one. `new_id` names this request, and the archive
    /// that a conflict may need: no other may have it. All or nothing.
    ///
    /// # Errors
    /// [`Error::Undo`], [`Error::UndoConflict`], [`Error::UnknownSession`], or those of the database; nothing is
    /// changed then.
    pub fn undo(
        &self,
        session: SessionId,
        wanted: Option<ArchiveId>,
        on_conflict: OnConflict,
        new_id: ArchiveId,
        now: DateTime<Utc>,
    ) -> Result<UndoReport> {
        self.undo_request(&UndoRequest { session, wanted, on_conflict, new_id, now })
    }

    /// [`Database::undo`] in transactions of its own.
    pub(crate) fn undo_request(&self, request: &UndoRequest) -> Result<UndoReport> {
        let unchanged = |conn: &mut AnyConnection| undo_unchanged(&mut conn.link(), request);
        let undone = match self.inner.url {
            DatabaseUrl::Sqlite(_) => self.with_connection(Mode::Write, |conn| {
                in_transaction_if_any(conn, Mode::WriteFirst, unchanged)
            })?,
            // One statement, and so a transaction of its own, which may be repeated: it undoes once for one request.
            DatabaseUrl::Postgres(_) => self.begin_on(Mode::Write, unchanged)?.1,
        };
        match undone {
            Some(report) => Ok(report),
            None => self.transaction_over_base(|conn| self.undo_within(conn, request)),
        }
    }

    pub(crate) fn undo_within(&self, conn: &mut AnyConnection, request: &UndoRequest) -> Result<UndoReport> {
        // Between two transactions the session may have been reset again.
        if let Some(report) = undo_unchanged(&mut conn.link(), request)? {
            return Ok(report);
        }
        let attached = self.attached(conn)?;
        undo(&mut conn.link(), &attached.tables, request, self.retention())
    }

    /// Resets some records only, with the changes that depend on them: what was created under a created record goes
    /// with it, what was deleted along with a deleted record comes back with it. Archived and undoable like any
    /// reset; nothing is archived where none of the records is changed.
    ///
    /// # Errors
    /// [`Error::UndoConflict`] where a base value that would come back clashes with another change,
    /// [`Error::UnknownSession`], or those of the database; nothing is changed then.
    pub fn reset_records(
        &self,
        session: SessionId,
        records: &[RecordKey],
        new_id: ArchiveId,
        now: DateTime<Utc>,
    ) -> Result<ResetReport> {
        self.transaction_over_base(|conn| self.reset_records_within(conn, session, records, new_id, now))
    }

    pub(crate) fn reset_records_within(
        &self,
        conn: &mut AnyConnection,
        session: SessionId,
        records: &[RecordKey],
        new_id: ArchiveId,
        now: DateTime<Utc>,
    ) -> Result<ResetReport> {
        let attached = self.attached(conn)?;
        let request = RecordsReset { session, records, new_id, now };
        let archive = reset_records(&mut conn.link(), &attached.tables, &request, self.retention())?;
        let base_is_sealed = verify::is_sealed(&mut conn.link(), &self.inner.url, &self.inner.stamps)?;
        Ok(ResetReport { archive, base_is_sealed })
    }

    /// The state of the pools.
    pub fn pools(&self) -> Vec<PoolStatus> {
        let status = |name, pool: &Pool| {
            let state = pool.state();
            PoolStatus { name, open: state.connections, idle: state.idle_connections, max: pool.max_size() }
        };
        match self.inner.url {
            DatabaseUrl::Sqlite(_) => {
                vec![status("readers", &self.inner.readers), status("writer", &self.inner.writer)]
            }
            DatabaseUrl::Postgres(_) => vec![status("connections", &self.inner.readers)],
        }
    }

    /// Says that a unit of work waits for its turn, until the answer is dropped, which should be when the unit begins. Where units
    /// wait, on PostgreSQL a connection goes from one that has read to the next with its transaction open, which saves a trip
    /// to the server. Whoever says so calls [`Database::end_left_open`] when none waits any more.
    pub fn demand(&self) -> Demand {
        self.inner.readers.demand()
    }

    /// Ends transactions that were left open for units of work that have not come: see [`Database::demand`].
    pub fn end_left_open(&self) {
        self.inner.readers.end_forgotten();
    }

    /// How long a caller waits for a connection.
    pub fn connection_timeout(&self) -> Duration {
        self.inner.options.connection_timeout
    }

    /// How long things are kept here.
    pub fn retention(&self) -> Retention {
        self.inner.options.retention
    }

    /// What `session` has changed, newest first, from `after` on. Tables named in `except` are left out.
    ///
    /// # Errors
    /// [`Error::UnknownSession`], or those of the database.
    pub fn changes(
        &self,
        session: SessionId,
        except: &[&str],
        after: Option<&ChangePosition>,
        limit: u32,
    ) -> Result<Vec<Change>> {
        self.changes_of(session, except, &ChangeFilter::default(), after, limit)
    }

    /// [`Database::changes`], only those that the filter keeps.
    ///
    /// # Errors
    /// [`Error::UnknownSession`], or those of the database.
    pub fn changes_of(
        &self,
        session: SessionId,
        except: &[&str],
        filter: &ChangeFilter,
        after: Option<&ChangePosition>,
        limit: u32,
    ) -> Result<Vec<Change>> {
        self.over_base(Mode::Read, |conn| {
            in_transaction(conn, Mode::Read, |conn| {
                let attached = self.attached(conn)?;
                let layer = session::session_live_layer(&mut conn.link(), session)?;
                let is_wanted = |table: &&TableSpec| {
                    !except.contains(&table.name.as_str())
                        && filter.table.as_ref().is_none_or(|name| *name == table.name)
                };
                let tables: Vec<&TableSpec> = attached.tables.iter().filter(is_wanted).collect();
                changes::change_list(&mut conn.link(), &tables, layer, filter, after, i64::from(limit))
            })
        })
    }

    /// All records of an archive of `session`, with complete snapshots; none where the archive was restored.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn archived_changes(&self, session: SessionId, archive: ArchiveId) -> Result<Vec<ArchivedChange>> {
        self.with_connection(Mode::Read, |conn| {
            changes::archived_change_list(&mut conn.link(), session, archive)
        })
    }

    /// At most `limit` records of an archive of `session`, by table and key, from `after` on; none where the archive
    /// was restored.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn archived_changes_page(
        &self,
        session: SessionId,
        archive: ArchiveId,
        after: Option<&RecordPosition>,
        limit: u32,
    ) -> Result<Vec<ArchivedChange>> {
        self.with_connection(Mode::Read, |conn| {
            changes::archived_change_page(&mut conn.link(), session, archive, after, i64::from(limit))
        })
    }

    /// The archives of `session`, newest first.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn archives(&self, session: SessionId) -> Result<Vec<Archive>> {
        self.with_connection(Mode::Read, |conn| {
            let stored = archive_list(&mut conn.link(), session)?;
            Ok(stored.into_iter().map(|stored| stored.archive).collect())
        })
    }

    /// Compares every base table with the manifest: count and fingerprint of every row.
    ///
    /// # Errors
    /// [`Error::NotSealed`], or those of the database.
    pub fn verify(&self) -> Result<Verification> {
        self.with_nothing_cached(|conn| verify::verify(&mut conn.link()))
    }

    /// [`Database::verify`], and for each table that differs the rows that do, at most `most` of each by key. A table
    /// is left out that is gone, or whose base was sealed before the hashes of its rows were kept.
    ///
    /// # Errors
    /// [`Error::NotSealed`], or those of the database.
    pub fn verify_rows(&self, most: u32) -> Result<(Verification, Vec<DifferingRows>)> {
        self.with_nothing_cached(|conn| {
            let verification = verify::verify(&mut conn.link())?;
            let attached = self.attached(conn)?;
            let rows = verify::differing_rows(&mut conn.link(), &attached.tables, &verification, most)?;
            Ok((verification, rows))
        })
    }

    /// A reading transaction that sees the base file as it is on the disk: a connection of the pool may hold pages from
    /// before somebody wrote the file past SQLite.
    fn with_nothing_cached<T>(&self, work: impl FnOnce(&mut AnyConnection) -> Result<T>) -> Result<T> {
        match self.inner.url {
            DatabaseUrl::Sqlite(_) => {
                let mut conn = self.inner.connector.connect()?;
                in_transaction(&mut conn, Mode::Read, work)
            }
            DatabaseUrl::Postgres(_) => {
                self.over_base(Mode::Read, |conn| in_transaction(conn, Mode::Read, work))
            }
        }
    }

    /// Rows of every base table, from the manifest.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn base_counts(&self) -> Result<Vec<(String, u64)>> {
        self.with_connection(Mode::Read, |conn| verify::base_counts(&mut conn.link()))
    }

    /// Purges what is expired, archives what is idle. `new_id` makes the ids of new archives.
    ///
    /// # Errors
    /// Only those of the database; what was done until then stays done.
    pub fn cleanup(
        &self,
        now: DateTime<Utc>,
        new_id: &mut dyn FnMut() -> ArchiveId,
    ) -> Result<CleanupReport> {
        self.cleanup_of(None, now, new_id)
    }

    /// [`Database::cleanup`] for the sessions of one organization.
    ///
    /// # Errors
    /// Only those of the database; what was done until then stays done.
    pub fn cleanup_organization(
        &self,
        organization: &str,
        now: DateTime<Utc>,
        new_id: &mut dyn FnMut() -> ArchiveId,
    ) -> Result<CleanupReport> {
        self.cleanup_of(Some(organization), now, new_id)
    }

    fn cleanup_of(
        &self,
        organization: Option<&str>,
        now: DateTime<Utc>,
        new_id: &mut dyn FnMut() -> ArchiveId,
    ) -> Result<CleanupReport> {
        let scope = cleanup::Scope { organization, retention: self.retention(), now };
        self.over_base(Mode::Write, |conn| {
            let attached = in_transaction(conn, Mode::Read, |conn| self.attached(conn))?;
            cleanup::cleanup(conn, &attached.tables, &scope, new_id)
        })
    }

    /// [`Database::cleanup`], unless another server of this database is at it: then nothing is done.
    ///
    /// # Errors
    /// Only those of the database; what was done until then stays done.
    pub fn cleanup_in_turn(
        &self,
        now: DateTime<Utc>,
        new_id: &mut dyn FnMut() -> ArchiveId,
    ) -> Result<Option<CleanupReport>> {
        let scope = cleanup::Scope { organization: None, retention: self.retention(), now };
        self.with_connection(Mode::Write, |conn| {
            if !cleanup::try_lock(&mut conn.link())? {
                return Ok(None);
            }
            let done = in_transaction(conn, Mode::Read, |conn| self.attached(conn))
                .and_then(|attached| cleanup::cleanup(conn, &attached.tables, &scope, new_id));
            // Also after a failure: the connection returns to the pool and would keep the lock.
            cleanup::unlock(&mut conn.link())?;
            done.map(Some)
        })
    }

    /// Figures about one organization, or about all.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn stats(&self, organization: Option<&str>, now: DateTime<Utc>) -> Result<Stats> {
        let idle_since = self.inner.options.retention.idle_since(now);
        self.read_base(|conn| session::stats(&mut conn.link(), organization, idle_since, now))
    }

    /// What sessions hold over the base, in live layers and in archives that can still be restored: what another
    /// base would be brought in line with. Reads every change.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn base_references(&self, now: DateTime<Utc>) -> Result<BaseReferences> {
        self.read_base(|conn| {
            let attached = self.attached(conn)?;
            reconcile::references(&mut conn.link(), &attached.tables, now)
        })
    }

    /// How many sessions of one organization, or of all, are at work at `now`: see
    /// [`demo_reset_domain::AT_WORK_WITHIN`].
    ///
    /// # Errors
    /// Only those of the database.
    pub fn sessions_at_work(&self, organization: Option<&str>, now: DateTime<Utc>) -> Result<u64> {
        self.read_base(|conn| {
            session::session_count_active(&mut conn.link(), organization, at_work_since(now))
        })
    }

    /// Sessions of one organization, or of all, most recently active first.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn sessions(&self, organization: Option<&str>) -> Result<Vec<SessionSummary>> {
        self.read_base(|conn| session::session_list(&mut conn.link(), organization))
    }

    /// A small secret that all servers of this database share (a signing key, a password hash). Made and stored
    /// if absent; the stored one is returned.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn secret(&self, name: &str, make: impl FnOnce() -> String) -> Result<String> {
        if let Some(value) = self.secret_find(name)? {
            return Ok(value);
        }
        self.transaction(|conn| verify::secret_get_or_store(&mut conn.link(), name, make))
    }

    /// A secret, if it is stored.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn secret_find(&self, name: &str) -> Result<Option<String>> {
        self.with_connection(Mode::Read, |conn| verify::secret_find(&mut conn.link(), name))
    }

    /// Replaces a secret.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn secret_replace(&self, name: &str, value: &str) -> Result<()> {
        self.transaction(|conn| verify::secret_replace(&mut conn.link(), name, value))
    }

    /// Whether the database answers, its migrations are current and its base is sealed.
    ///
    /// # Errors
    /// The one that says why not.
    pub fn ready(&self) -> Result<()> {
        self.with_connection(Mode::Read, |conn| {
            migrate::check_current(&mut conn.link())?;
            if verify::is_sealed(&mut conn.link(), &self.inner.url, &self.inner.stamps)? {
                Ok(())
            } else {
                Err(Error::NotSealed {
                    reason: "the base was opened or written since it was sealed".to_owned(),
                })
            }
        })
    }
}

/// The next number of the bound session's sequence `name`: one more than the larger of `floor` and the last
/// number handed out, whatever was reset in between. Call it inside [`Database::write`].
///
/// # Errors
/// [`Error::NotBoundForWriting`] outside a unit of work that writes.
pub fn next_number(conn: &mut AnyConnection, name: &str, floor: i64) -> Result<i64> {
    let session_number = binding::bound_session_number(&mut conn.link())?;
    session::sequence_next(&mut conn.link(), session_number, name, floor)
}
