//! Sessions on connections that a host opens and pools itself.

use chrono::{DateTime, Utc};
use demo_reset_domain::SessionId;

use crate::binding::{Mode, Unit, begin_bound, finish_bound};
use crate::connection::{Link, SessionConnection};
use crate::database::Database;
use crate::error::{Error, Result};
use crate::sqlite::connect::Connector;
use crate::url::DatabaseUrl;

impl Database {
    /// The URL for a host's own pool: of PostgreSQL the database's, of SQLite the sessions file's.
    /// [`Database::prepare`] then does the rest on each connection.
    pub fn connection_url(&self) -> String {
        match self.url() {
            DatabaseUrl::Sqlite(base) => crate::url::file_uri(&crate::url::sessions_file(base), "?mode=rw"),
            DatabaseUrl::Postgres(url) => url.clone(),
        }
    }

    /// Makes a connection that the host has opened fit for sessions. On SQLite it attaches the base and makes the
    /// views; call it once per connection, for instance in r2d2's `CustomizeConnection::on_acquire`. On PostgreSQL
    /// unqualified names hit the views from then on.
    ///
    /// Foreign keys are enforced on SQLite where the connection enforces them (`PRAGMA foreign_keys = ON`).
    ///
    /// # Errors
    /// [`Error::Suspended`], or those of the database.
    pub fn prepare<C: SessionConnection>(&self, conn: &mut C) -> Result<()> {
        match (conn.link(), self.url()) {
            (Link::Sqlite(conn), DatabaseUrl::Sqlite(base)) => {
                Connector::new(base.clone(), crate::url::sessions_file(base)).prepare(conn)
            }
            (mut link @ Link::Postgres(_), DatabaseUrl::Postgres(_)) => {
                link.batch("set search_path = demo, public; set jit = off;")
            }
            _ => Err(Error::InvalidUrl { reason: "the connection is one to the other database".to_owned() }),
        }
    }

    /// [`Database::read`] on a connection of the host's.
    ///
    /// # Errors
    /// What `work` returns, [`Error::UnknownSession`], [`Error::BaseReplaced`] where the connection was prepared over
    /// a base that has been replaced (open a new one), or those of the database.
    pub fn read_on<C: SessionConnection, T, E: From<Error>>(
        &self,
        conn: &mut C,
        session: SessionId,
        work: impl FnOnce(&mut C) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        begin_bound(conn, session, &Unit::READ)?;
        finish_bound(conn, Mode::Read, |conn| in_front(conn, work))
    }

    /// [`Database::write`] on a connection of the host's.
    ///
    /// # Errors
    /// As [`Database::read_on`], and [`Error::Constraint`] where a deferred foreign key is still broken at the end.
    pub fn write_on<C: SessionConnection, T, E: From<Error>>(
        &self,
        conn: &mut C,
        session: SessionId,
        now: DateTime<Utc>,
        work: impl FnOnce(&mut C) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let unit = Unit { mode: Mode::Write, now: Some(now), ..Unit::READ };
        begin_bound(conn, session, &unit)?;
        finish_bound(conn, Mode::Write, |conn| in_front(conn, work))
    }
}

/// On PostgreSQL the views stand in front for this transaction, whatever the connection's own search path is.
fn in_front<C: SessionConnection, T, E: From<Error>>(
    conn: &mut C,
    work: impl FnOnce(&mut C) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    if let mut link @ Link::Postgres(_) = conn.link() {
        link.batch("set local search_path = demo, public; set local jit = off;")?;
    }
    work(conn)
}
