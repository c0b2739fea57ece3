//! The connections of a database, and the transactions that are left open on them.
//!
//! To end a transaction on PostgreSQL is a trip to the server. Where a unit of work has only read, nobody waits for that trip
//! but whoever wants the connection next, and begins with a trip of their own. So where somebody waits for a connection, a
//! transaction that has read is left open, and ended in the trip that begins the next one (docs/performance.md, "HTTP").
//! A connection on which nobody waits has no transaction open: it would hold back VACUUM and whoever changes a table.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;

use crate::binding;
use crate::connection::{AnyConnection, SessionConnection};
use crate::error::{Error, Result};
use crate::{postgres, sqlite};

/// Makes connections to either database.
#[derive(Debug, Clone)]
pub(crate) enum Connector {
    Sqlite(sqlite::connect::Connector),
    Postgres(postgres::connect::Connector),
}

impl Connector {
    /// Makes a connection.
    pub(crate) fn connect(&self) -> Result<AnyConnection> {
        match self {
            Self::Sqlite(connector) => connector.connect(),
            Self::Postgres(connector) => connector.connect(),
        }
    }

    /// Whether the database answers on a connection. On SQLite nobody is there who might not.
    pub(crate) fn lives(&self, conn: &mut AnyConnection) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(_) => conn.batch_execute("select 1").is_ok(),
        }
    }
}

impl r2d2::ManageConnection for Connector {
    type Connection = Connection;
    type Error = Error;

    fn connect(&self) -> Result<Connection> {
        Ok(Connection { conn: Connector::connect(self)?, left_open: None })
    }

    /// Not asked: whoever takes a connection finds out by its first statement.
    fn is_valid(&self, _: &mut Connection) -> Result<()> {
        Ok(())
    }

    fn has_broken(&self, conn: &mut Connection) -> bool {
        binding::is_in_transaction(conn)
    }
}

/// A connection of a pool.
pub(crate) struct Connection {
    conn: AnyConnection,
    left_open: Option<LeftOpen>,
}

impl Deref for Connection {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.conn
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.conn
    }
}

/// How many wait for a connection, less how many connections were left for them with a transaction open.
type Wanted = Arc<AtomicI64>;

/// A transaction that was left open for one of those who wait. They want one more again where it ends, or where the connection
/// with it is closed.
struct LeftOpen(Wanted);

impl Drop for LeftOpen {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A unit of work that will soon want a connection, until this is dropped, which should be when it comes for it: see
/// [`Database::demand`](crate::Database::demand).
#[derive(Debug)]
pub struct Demand(Wanted);

impl Demand {
    fn new(wanted: &Wanted) -> Self {
        wanted.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(wanted))
    }
}

impl Drop for Demand {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Connections to one database, at most so many at a time. Clones share them.
#[derive(Clone)]
pub(crate) struct Pool {
    connections: r2d2::Pool<Connector>,
    wanted: Wanted,
}

/// A connection that was taken from a pool, and goes back to it.
pub(crate) type Pooled = r2d2::PooledConnection<Connector>;

impl Pool {
    /// A pool of at most `size` connections, for one of which a caller waits for `timeout`.
    pub(crate) fn new(connector: Connector, size: u32, timeout: Duration) -> Result<Self> {
        let connections = r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(timeout)
            .build(connector)?;
        Ok(Self { connections, wanted: Arc::default() })
    }

    /// How many connections are open, and how many of them idle.
    pub(crate) fn state(&self) -> r2d2::State {
        self.connections.state()
    }

    /// The most connections that there can be.
    pub(crate) fn max_size(&self) -> u32 {
        self.connections.max_size()
    }

    /// A connection, on which no transaction is open.
    pub(crate) fn get(&self) -> Result<Pooled> {
        self.get_as_it_is().map(ended)
    }

    /// A connection, and whether a transaction was left open on it, which is the caller's to end.
    pub(crate) fn get_as_it_is(&self) -> Result<(Pooled, bool)> {
        if let Some(conn) = self.connections.try_get() {
            return Ok(taken_over(conn));
        }
        let demand = self.demand();
        let taken = self.connections.get().map(taken_over);
        drop(demand);
        // What was left open for this caller may be on another connection than the one that came, if any did.
        self.end_forgotten();
        Ok(taken?)
    }

    /// Says that somebody will soon want a connection.
    pub(crate) fn demand(&self) -> Demand {
        Demand::new(&self.wanted)
    }

    /// Gives a connection back on which a transaction is open that has read. It is left open where somebody waits.
    ///
    /// # Errors
    /// Where no transaction is open any more, or it cannot be ended.
    pub(crate) fn give_back_reading(&self, mut conn: Pooled) -> Result<()> {
        let one_less = |wanted: i64| (wanted > 0).then(|| wanted - 1);
        if self.wanted.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_err() {
            return binding::end_reading(&mut conn.link());
        }
        let left_open = LeftOpen(Arc::clone(&self.wanted));
        binding::leave_open(&mut conn.link())?;
        conn.left_open = Some(left_open);
        drop(conn);
        // Whoever it was left for may have got another one, or have waited long enough, before it was back.
        self.end_forgotten();
        Ok(())
    }

    /// Ends transactions that were left open for those who do not wait any more. Both who leaves one open, once it is back, and who
    /// has waited calls this, so the later of the two finds it.
    pub(crate) fn end_forgotten(&self) {
        let mut looked_at = Vec::new();
        while self.wanted.load(Ordering::SeqCst) < 0 {
            let Some(conn) = self.connections.try_get().map(taken_over) else { break };
            looked_at.push(ended(conn));
        }
    }
}

/// A connection, and whether a transaction was left open on it, which is the caller's to end from now on.
fn taken_over(mut conn: Pooled) -> (Pooled, bool) {
    let is_left_open = conn.left_open.take().is_some();
    (conn, is_left_open)
}

/// A connection on which nothing is open any more.
fn ended((mut conn, is_left_open): (Pooled, bool)) -> Pooled {
    if is_left_open {
        binding::end_left_open(&mut conn.link());
    }
    conn
}
