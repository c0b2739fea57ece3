//! Opens connections to PostgreSQL and gives them the settings that the views need.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::sql_types::{Bool, Text};
use diesel::{Connection, PgConnection, QueryableByName};

use crate::connection::{AnyConnection, Link, Sql};
use crate::error::{Error, Result};
use crate::sql_text::{literal, quote};

/// The role that a server works as unless another is named: it may read base tables and write only through views.
pub(crate) const APPLICATION_ROLE: &str = "demo_app";

/// Unqualified names hit the views. The planner's estimates for the views are far too high, so compiling queries
/// would cost more than it saves. A backslash in a literal is a backslash.
const SETTINGS: &str = "set search_path = demo, public; set jit = off; set timezone = 'UTC'; \
     set standard_conforming_strings = on;";

/// Makes the server's messages English, where the login or the role that it works as may choose: Diesel hands no
/// error codes on, so a wait for a lock that took too long is known by its message.
const ENGLISH: &str = "select set_config('lc_messages', 'C', false) \
     where current_setting('lc_messages') <> 'C' and has_parameter_privilege('lc_messages', 'set');";

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

#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    setting: String,
}

/// Whether the login may work as a role: from PostgreSQL 16 on, being a member is not enough for that.
pub(crate) const MAY_SET_ROLE: &str = "pg_has_role(current_user, oid, \
     case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)";

/// Connects as whoever the URL names.
pub(crate) fn open(url: &str) -> Result<PgConnection> {
    let mut conn = PgConnection::establish(url).map_err(|error| match error.to_string() {
        // libpq's own words: it is bundled, so they are certain. Without TLS it takes `prefer`, the default, for
        // `disable`, and refuses whatever asks for more.
        message if message.contains("SSL support is not compiled in") => Error::NoTls,
        message => Error::Unavailable(message),
    })?;
    conn.batch_execute(&format!("{SETTINGS} {ENGLISH}"))?;
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
        link.batch(&format!("set role {}; {ENGLISH}", quote(role)))?;
    }
    Ok(allowed)
}

/// Lets the application role choose the language of its messages, where the login may grant that: a superuser may.
/// The privilege belongs to the cluster, so another database's owner may be granting it at this moment; whoever does
/// not succeed has lost nothing.
pub(crate) fn let_speak_english(link: &mut Link<'_>) -> Result<()> {
    let role = literal(APPLICATION_ROLE);
    link.batch(&format!(
        "do $$ begin
           if exists (select from pg_roles where rolname = {role})
             and has_parameter_privilege('lc_messages', 'set with grant option')
             and not has_parameter_privilege({role}, 'lc_messages', 'set') then
             grant set on parameter lc_messages to {};
           end if;
         exception when others then null;
         end $$",
        quote(APPLICATION_ROLE)
    ))
}

/// Warns where the server's messages are in a language that the engine does not read.
pub(crate) fn warn_of_other_languages(link: &mut Link<'_>) -> Result<()> {
    let other: Option<Setting> = link.first(Sql::new(
        "select current_setting('lc_messages') as setting where current_setting('lc_messages') !~ '^(C|POSIX|en)'",
        [],
    ))?;
    if let Some(Setting { setting }) = other {
        log::warn!(
            "lc_messages is {setting}: a wait for a lock that took too long is not recognised and is answered as an \
             internal error; let an administrator run `grant set on parameter lc_messages to {APPLICATION_ROLE}`"
        );
    }
    Ok(())
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

    /// Makes a connection.
    pub(crate) fn connect(&self) -> Result<AnyConnection> {
        let mut conn = open(&self.url)?;
        let mut link = Link::Postgres(&mut conn);
        work_as(&mut link, &self.role)?;
        link.batch(&format!("{PLANNER} set lock_timeout = {}", self.lock_timeout.as_millis()))?;
        Ok(AnyConnection::Postgres(conn))
    }
}
