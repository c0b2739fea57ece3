//! Units of work: one transaction, bound to a session at its start.
//!
//! The binding lives and dies with the transaction. On SQLite it is a TEMP row, written after BEGIN and deleted before
//! COMMIT; a rollback takes it away by itself. On PostgreSQL it is settings that are local to the transaction.

use chrono::{DateTime, Utc};
use demo_reset_domain::{LayerId, SessionId, UserKey, touch_is_due_since};
use diesel::connection::{
    AnsiTransactionManager, Connection, SimpleConnection, TransactionDepthChange, TransactionManager,
    TransactionManagerStatus,
};
use diesel::result::{Error as DieselError, QueryResult};
use diesel::sql_types::BigInt;
use diesel::{PgConnection, QueryableByName, RunQueryDsl, SqliteConnection};

use crate::connection::{AnyConnection, Fixed, Link, SessionConnection, Sql, fixed_text};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::session::{live_total, session_find, session_touch_is_due};
use crate::sql_text::literal;
use crate::types::DbTime;

/// What a unit of work may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Read only.
    Read,
    /// Read and write.
    Write,
    /// Read and write, where the first statement writes tables of the engine's own. On SQLite that statement takes
    /// the write lock, and nothing is locked in the base file until it is read.
    WriteFirst,
}

/// The session's row as the write guard found it.
#[derive(Debug, Clone, Copy, QueryableByName)]
pub(crate) struct GuardedSession {
    #[diesel(sql_type = BigInt)]
    pub(crate) number: i64,
    #[diesel(sql_type = BigInt)]
    live_layer: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) layers_used: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) archives_made: i64,
}

impl GuardedSession {
    pub(crate) fn live_layer(&self) -> LayerId {
        LayerId(self.live_layer)
    }

    /// The `n`th layer that this session has not used yet.
    pub(crate) fn fresh_layer(&self, n: i64) -> LayerId {
        layer_of(self.number, self.layers_used + n)
    }
}

/// How many layers one session can have before its number runs into the next one's.
pub(crate) const LAYERS_PER_SESSION: i64 = 1 << 24;

/// The `ordinal`th layer of a session. Layers of one session lie side by side in every change table.
pub(crate) fn layer_of(session_number: i64, ordinal: i64) -> LayerId {
    LayerId(session_number * LAYERS_PER_SESSION + ordinal)
}

/// Whether a transaction is open, as after a panic inside a unit of work.
pub(crate) fn is_in_transaction(conn: &mut AnyConnection) -> bool {
    let is_open = match conn {
        AnyConnection::Sqlite(conn) => is_open(conn),
        AnyConnection::Postgres(conn) => is_open(conn),
    };
    is_open.unwrap_or(true)
}

/// Whether a transaction is open that Diesel's manager knows of. An error where it knows the connection to be broken.
fn is_open<C>(conn: &mut C) -> QueryResult<bool>
where
    C: Connection<TransactionManager = AnsiTransactionManager>,
{
    let depth = AnsiTransactionManager::transaction_manager_status_mut(conn).transaction_depth()?;
    Ok(depth.is_some())
}

/// How a unit of work begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unit {
    pub(crate) mode: Mode,
    /// The time that its changes are recorded with; a unit that reads needs none.
    pub(crate) now: Option<DateTime<Utc>>,
    /// A unit that writes is refused where the live layer holds as many changes.
    pub(crate) max_changes: Option<u64>,
    /// Whether a transaction was left open on the connection, which ends with the beginning of this one: see
    /// [`leave_open`].
    pub(crate) ends_another: bool,
}

impl Unit {
    /// One that reads.
    pub(crate) const READ: Self =
        Self { mode: Mode::Read, now: None, max_changes: None, ends_another: false };

    /// What `demo.bind_session` and `demo.bind_user` are told of it: the mode, and the time, and the most changes.
    fn on_postgres(&self) -> (String, String, String) {
        let mode = if self.mode == Mode::Write { "write" } else { "read" };
        let now = DbTime::new(self.now.unwrap_or_default()).to_string();
        let max = self
            .max_changes
            .map_or_else(|| "null".to_owned(), |max| max.min(i64::MAX.unsigned_abs()).to_string());
        (literal(mode), literal(&now), max)
    }
}

/// What begins a transaction on PostgreSQL. One that reads keeps one snapshot, so that it sees one consistent state
/// whatever is reset meanwhile.
fn begin_on_postgres(mode: Mode) -> &'static str {
    match mode {
        Mode::Write | Mode::WriteFirst => "BEGIN",
        Mode::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    }
}

/// Begins a transaction on PostgreSQL and binds it with a call, both in one trip to the server: for a request of two or
/// three statements each trip counts. What was left open on the connection is ended in the same trip.
fn begin_with(conn: &mut PgConnection, unit: &Unit, call: &str) -> Result<()> {
    let end = if unit.ends_another { "commit; " } else { "" };
    let sql = format!("{end}{}; select {call}", begin_on_postgres(unit.mode));
    AnsiTransactionManager::begin_transaction_sql(conn, &sql).map_err(|error| {
        // Where the call fails, the transaction has begun all the same. (Where the host's own is open, nothing was sent.)
        if matches!(error, diesel::result::Error::DatabaseError(..)) {
            let _ = conn.batch_execute("rollback");
        }
        error.into()
    })
}

fixed_text!(BeginDeferred, "BEGIN DEFERRED");
fixed_text!(BeginImmediate, "BEGIN IMMEDIATE");
fixed_text!(Commit, "COMMIT");

/// Begins a transaction on SQLite with a statement that is kept prepared, and tells Diesel's manager of transactions, which
/// would have it parsed each time: a twentieth of a reset (docs/performance.md, "Reset").
fn begin_on_sqlite(conn: &mut SqliteConnection, mode: Mode) -> Result<()> {
    if is_open(conn)? {
        return Err(DieselError::AlreadyInTransaction.into());
    }
    match mode {
        Mode::Write => Fixed::<BeginImmediate, 0>::new([]).execute(conn)?,
        Mode::Read | Mode::WriteFirst => Fixed::<BeginDeferred, 0>::new([]).execute(conn)?,
    };
    match AnsiTransactionManager::transaction_manager_status_mut(conn) {
        TransactionManagerStatus::Valid(status) => {
            Ok(status.change_transaction_depth(TransactionDepthChange::IncreaseDepth)?)
        }
        TransactionManagerStatus::InError => Err(DieselError::BrokenTransactionManager.into()),
    }
}

/// Diesel's manager is told that no transaction is open. It may think of savepoints too, which somebody's work has left open and
/// which have ended with the transaction: asked to commit or roll back, it would end the innermost alone.
fn nothing_is_open<C: Connection<TransactionManager = AnsiTransactionManager>>(conn: &mut C) {
    *AnsiTransactionManager::transaction_manager_status_mut(conn) = TransactionManagerStatus::default();
}

/// Refuses where somebody's work has ended the transaction: PostgreSQL would only warn of a COMMIT.
fn must_be_open(conn: &mut PgConnection) -> Result<()> {
    if is_open(conn)? { Ok(()) } else { Err(DieselError::NotInTransaction.into()) }
}

fn commit_on_postgres(conn: &mut PgConnection, mode: Mode) -> Result<()> {
    must_be_open(conn)?;
    // After a statement that failed PostgreSQL rolls back when it is told to commit, and says that all is well; any other
    // statement it refuses. This one changes nothing. (Diesel learns by itself that no transaction is open.)
    conn.batch_execute(match mode {
        Mode::Write | Mode::WriteFirst => "set local jit = off; commit",
        Mode::Read => "commit",
    })?;
    Ok(())
}

fn rollback_on_sqlite(conn: &mut SqliteConnection) -> Result<()> {
    if let Err(error) = conn.batch_execute("rollback") {
        // Where SQLite had rolled back by itself, Diesel has found that out now.
        if is_open(conn)? {
            AnsiTransactionManager::transaction_manager_status_mut(conn).set_in_error();
        }
        return Err(error.into());
    }
    nothing_is_open(conn);
    Ok(())
}

impl Link<'_> {
    /// Begins a transaction. On SQLite a writing one takes the write lock at once or with its first statement: one that
    /// reads first and then writes fails whatever the timeout.
    fn begin(&mut self, mode: Mode) -> Result<()> {
        match self {
            Self::Sqlite(conn) => begin_on_sqlite(conn, mode)?,
            Self::Postgres(conn) => {
                AnsiTransactionManager::begin_transaction_sql(*conn, begin_on_postgres(mode))?;
            }
        }
        Ok(())
    }

    /// Commits, and with it savepoints that were left open.
    fn commit(&mut self, mode: Mode) -> Result<()> {
        match self {
            Self::Sqlite(conn) => {
                Fixed::<Commit, 0>::new([]).execute(*conn)?;
                nothing_is_open(*conn);
                Ok(())
            }
            Self::Postgres(conn) => commit_on_postgres(conn, mode),
        }
    }

    /// Rolls back what is open, with savepoints that were left open. A connection that cannot is known to be broken from then on.
    fn rollback(&mut self) -> Result<()> {
        let is_open = match self {
            Self::Sqlite(conn) => is_open(*conn)?,
            Self::Postgres(conn) => is_open(*conn)?,
        };
        match self {
            // A commit that failed has ended it.
            _ if !is_open => Ok(()),
            Self::Sqlite(conn) => rollback_on_sqlite(conn),
            Self::Postgres(conn) => Ok(conn.batch_execute("rollback")?),
        }
    }
}

/// Runs `work` in one transaction: committed if it returns `Ok`, rolled back otherwise.
pub(crate) fn in_transaction<C, T, E>(
    conn: &mut C,
    mode: Mode,
    work: impl FnOnce(&mut C) -> std::result::Result<T, E>,
) -> std::result::Result<T, E>
where
    C: SessionConnection,
    E: From<Error>,
{
    conn.link().begin(mode)?;
    finish(conn, mode, work)
}

/// Runs `work` in one transaction: committed if it gives something, rolled back otherwise.
pub(crate) fn in_transaction_if_any<C: SessionConnection, T>(
    conn: &mut C,
    mode: Mode,
    work: impl FnOnce(&mut C) -> Result<Option<T>>,
) -> Result<Option<T>> {
    conn.link().begin(mode)?;
    match work(conn) {
        Ok(None) => {
            conn.link().rollback()?;
            Ok(None)
        }
        ended => finish(conn, mode, |_| ended),
    }
}

/// Runs `work` in the transaction that has begun, and ends it.
fn finish<C, T, E>(
    conn: &mut C,
    mode: Mode,
    work: impl FnOnce(&mut C) -> std::result::Result<T, E>,
) -> std::result::Result<T, E>
where
    C: SessionConnection,
    E: From<Error>,
{
    or_roll_back(conn, |conn| {
        let value = work(conn)?;
        conn.link().commit(mode)?;
        Ok(value)
    })
}

/// Runs `work` in the transaction that has begun, and rolls it back where `work` fails.
pub(crate) fn or_roll_back<C: SessionConnection, T, E>(
    conn: &mut C,
    work: impl FnOnce(&mut C) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    work(conn).inspect_err(|_| {
        // The reason for rolling back is what the caller must hear; a connection that cannot roll back is found broken when
        // it returns to the pool.
        let _ = conn.link().rollback();
    })
}

/// Ends a transaction on PostgreSQL that has read.
pub(crate) fn end_reading(link: &mut Link<'_>) -> Result<()> {
    link.commit(Mode::Read)
}

/// Leaves a transaction on PostgreSQL open that has read, for [`Unit::ends_another`] or [`end_left_open`]. Diesel's manager is told
/// that none is open: the next unit begins one with a statement that ends this one first.
///
/// # Errors
/// Where somebody's work has ended it.
pub(crate) fn leave_open(link: &mut Link<'_>) -> Result<()> {
    if let Link::Postgres(conn) = link {
        must_be_open(conn)?;
        nothing_is_open(*conn);
    }
    Ok(())
}

/// Ends a transaction that [`leave_open`] has left. It fails where the connection is dead, which whoever uses it next finds out.
pub(crate) fn end_left_open(link: &mut Link<'_>) {
    let _ = link.batch("commit");
}

/// Begins a transaction that sees, and in [`Mode::Write`] writes, the world of `session`. [`finish_bound`] ends it.
///
/// # Errors
/// [`Error::BaseReplaced`] where the connection was opened over another base, [`Error::LayerFull`]; no transaction is
/// open then.
pub(crate) fn begin_bound<C: SessionConnection>(conn: &mut C, session: SessionId, unit: &Unit) -> Result<()> {
    let mut link = conn.link();
    if let Link::Postgres(conn) = link {
        let (mode, now, max) = unit.on_postgres();
        let call = format!("demo.bind_session('{}', {mode}, {now}, {max})", session.0);
        return begin_with(conn, unit, &call);
    }
    link.begin(unit.mode)?;
    bind_on_sqlite(&mut link, session, unit).inspect_err(|_| {
        let _ = link.rollback();
    })
}

/// [`begin_bound`] for a user whose session need not be touched at `now`; whether there is such a session.
pub(crate) fn begin_bound_as<C: SessionConnection>(
    conn: &mut C,
    user: &UserKey,
    unit: &Unit,
    now: DateTime<Utc>,
) -> Result<bool> {
    let mut link = conn.link();
    let Link::Postgres(conn) = link else {
        // Asked before the transaction: a writing one would hold the lock for a session that is not there.
        let session = session_find(&mut link, user)?.filter(|session| !session_touch_is_due(session, now));
        return Ok(session.map(|session| begin_bound(conn, session.id, unit)).transpose()?.is_some());
    };
    let (mode, at, max) = unit.on_postgres();
    let call = format!(
        "demo.bind_user({}, {}, {mode}, {at}, {}, {max})",
        literal(user.organization()),
        literal(user.user()),
        literal(&DbTime::new(touch_is_due_since(now)).to_string())
    );
    match begin_with(conn, unit, &call) {
        Err(Error::UnknownSession) => Ok(false),
        begun => begun.map(|()| true),
    }
}

/// Runs `work` in the transaction that [`begin_bound`] has begun, and ends it.
pub(crate) fn finish_bound<C, T, E>(
    conn: &mut C,
    mode: Mode,
    work: impl FnOnce(&mut C) -> std::result::Result<T, E>,
) -> std::result::Result<T, E>
where
    C: SessionConnection,
    E: From<Error>,
{
    finish(conn, mode, |conn| {
        let value = work(conn)?;
        unbind(&mut conn.link())?;
        Ok(value)
    })
}

/// The write guard: updates the session's row, so that the writes, resets and undos of one session happen one
/// after the other, and only then reads which layer is live.
pub(crate) fn guard(link: &mut Link<'_>, session: SessionId) -> Result<GuardedSession> {
    link.first(Fixed::<Guard, 1>::new([session.0.into()]))?.ok_or(Error::UnknownSession)
}

fixed_text!(
    Guard,
    "update demo_user_sessions set writes = writes + 1 where id = ? \
     returning number, live_layer, layers_used, archives_made"
);
fixed_text!(CountWrite, "update demo_user_sessions set writes = writes + 1 where id = ?");
fixed_text!(
    BindOnSqlite,
    "insert into temp.demo_binding (one, session_number, session_id, layer, writable, now) \
     select 1, s.number, s.id, s.live_layer, ?, ? \
     from main.demo_user_sessions s, main.demo_base b, temp.demo_connection c \
     where s.id = ? and b.base_id = c.base_id and b.epoch = c.epoch"
);
fixed_text!(UnbindOnSqlite, "delete from temp.demo_binding");
fixed_text!(
    IsCurrent,
    "select 1 as number from main.demo_base b, temp.demo_connection c \
     where b.base_id = c.base_id and b.epoch = c.epoch"
);

/// Counts a unit of work that writes, on SQLite: the write lock is guard enough there, and this takes it where it is the
/// first statement.
pub(crate) fn count_write(link: &mut Link<'_>, session: SessionId) -> Result<()> {
    link.execute(Fixed::<CountWrite, 1>::new([session.0.into()]))?;
    Ok(())
}

fn bind_on_sqlite(link: &mut Link<'_>, session: SessionId, unit: &Unit) -> Result<()> {
    let writable = i64::from(unit.mode == Mode::Write);
    if unit.mode == Mode::Write {
        count_write(link, session)?;
    }
    let now = unit.now.unwrap_or_default();
    let bound =
        link.execute(Fixed::<BindOnSqlite, 3>::new([writable.into(), now.into(), session.0.into()]))?;
    if bound != 1 {
        return Err(if is_current(link)? { Error::UnknownSession } else { Error::BaseReplaced });
    }
    match unit.max_changes {
        Some(max) if unit.mode == Mode::Write && live_total(link, session)? >= max => {
            Err(Error::LayerFull { max })
        }
        _ => Ok(()),
    }
}

/// Whether the connection was opened over the base that is active now.
pub(crate) fn is_current(link: &mut Link<'_>) -> Result<bool> {
    if link.dialect() == Dialect::Postgres {
        // Views and base are one database there: a connection cannot be behind.
        return Ok(true);
    }
    let row: Option<NumberRow> = link.first(Fixed::<IsCurrent, 0>::new([]))?;
    Ok(row.is_some())
}

/// The number of the session that the connection is bound to for writing.
pub(crate) fn bound_session_number(link: &mut Link<'_>) -> Result<i64> {
    let query = match link.dialect() {
        Dialect::Sqlite => "select session_number as number from temp.demo_binding where writable = 1",
        Dialect::Postgres => {
            "select demo.bound_session_number() as number where current_setting('demo.mode', true) = 'write'"
        }
    };
    let row: Option<NumberRow> = link.first(Sql::new(query, []))?;
    row.map(|row| row.number).ok_or(Error::NotBoundForWriting)
}

fn unbind(link: &mut Link<'_>) -> Result<()> {
    // On PostgreSQL the settings of the binding end with the transaction by themselves.
    if link.dialect() == Dialect::Sqlite {
        link.execute(Fixed::<UnbindOnSqlite, 0>::new([]))?;
    }
    Ok(())
}

#[derive(QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
}
