//! Opens connections to PostgreSQL and gives them the settings that the views need.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Bool;
use diesel::{Connection, PgConnection, QueryableByName};

use crate::connection::{AnyConnection, Link, Sql};
use crate::error::{Error, Result};
use crate::sql_text::quote;

/// The role that a server works as unless another is named: it may read base tables and write only through views.
pub(crate) const APPLICATION_ROLE: &str = "demo_app";

/// Unqualified names hit the views. The planner's estimates for the views are far too high, so compiling queries
/// would cost more than it saves.
const SETTINGS: &str = "set search_path = demo, public; set jit = off; set timezone = 'UTC';";

/// How the queries of a server are planned. Planning a query over views takes several times as long as running one
/// that reads a page, so a prepared statement is planned once: left to itself, PostgreSQL plans every query with a
/// bound LIMIT each time it runs. Pages of an index are in memory or on a disk that does not have to seek: at the
/// default of 4 a session with many changes would have them sorted instead of read in order.
const PLANNER: &str = "set plan_cache_mode = force_generic_plan; set random_page_cost = 1.1;";

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

/// Whether the login may work as a role: from PostgreSQL 16 on, being a member is not enough for that.
pub(crate) const MAY_SET_ROLE: &str = "pg_has_role(current_user, oid, \
     case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)";

/// Connects as whoever the URL names.
pub(crate) fn open(url: &str) -> Result<PgConnection> {
    let mut conn = PgConnection::establish(url).map_err(|error| Error::Unavailable(error.to_string()))?;
    conn.batch_execute(SETTINGS)?;
    Ok(conn)
}

/// Works as `role` from now on, if the login may; whether it may.
pub(crate) fn work_as(link: &mut Link<'_>, role: &str) -> Result<bool> {
    let allowed: Option<Flag> = link.first(Sql::new(
        &format!("select {MAY_SET_ROLE} as flag from pg_roles where rolname = ?"),
        [role.into()],
    ))?;
    let allowed = allowed.is_some_and(|row| row.flag);
    if allowed {
        link.batch(&format!("set role {}", quote(role)))?;
    }
    Ok(allowed)
}

/// Makes connections for the pool. Whoever the URL names, the work is done as the application role.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    url: String,
    role: String,
    lock_timeout: Duration,
}

impl Connector {
    /// A statement that waits for another's lock longer than `lock_timeout` fails: whoever holds a session for long
    /// must not take all connections of the pool away from the others.
    pub(crate) fn new(url: String, lock_timeout: Duration) -> Self {
        Self { url, role: APPLICATION_ROLE.to_owned(), lock_timeout }
    }

    fn connect(&self) -> Result<AnyConnection> {
        let mut conn = open(&self.url)?;
        let mut link = Link::Postgres(&mut conn);
        work_as(&mut link, &self.role)?;
        link.batch(&format!("{PLANNER} set lock_timeout = {}", self.lock_timeout.as_millis()))?;
        Ok(AnyConnection::Postgres(conn))
    }
}

impl r2d2::ManageConnection for Connector {
    type Connection = AnyConnection;
    type Error = Error;

    fn connect(&self) -> Result<AnyConnection> {
        Connector::connect(self)
    }

    fn is_valid(&self, conn: &mut AnyConnection) -> Result<()> {
        conn.batch_execute("select 1").map_err(Error::from)
    }

    fn has_broken(&self, conn: &mut AnyConnection) -> bool {
        crate::binding::is_in_transaction(conn)
    }
}
