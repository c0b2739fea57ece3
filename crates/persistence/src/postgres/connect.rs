//! Opens connections to PostgreSQL and gives them the settings that the views need.

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

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

/// Connects as whoever the URL names.
pub(crate) fn open(url: &str) -> Result<PgConnection> {
    let mut conn = PgConnection::establish(url).map_err(|error| Error::Unavailable(error.to_string()))?;
    conn.batch_execute(SETTINGS)?;
    Ok(conn)
}

/// Makes connections for the pool. Whoever the URL names, the work is done as the application role.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    url: String,
    role: String,
}

impl Connector {
    pub(crate) fn new(url: String) -> Self {
        Self { url, role: APPLICATION_ROLE.to_owned() }
    }

    fn connect(&self) -> Result<AnyConnection> {
        let mut conn = open(&self.url)?;
        let mut link = Link::Postgres(&mut conn);
        let is_member: Option<Flag> = link.first(Sql::new(
            "select pg_has_role(current_user, oid, 'member') as flag from pg_roles where rolname = ?",
            [self.role.as_str().into()],
        ))?;
        if is_member.is_some_and(|row| row.flag) {
            link.batch(&format!("set role {}", quote(&self.role)))?;
        }
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
