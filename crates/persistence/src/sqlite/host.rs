//! A host's SQLite database: everything of sessions is in the sessions file, nothing in the host's own.

use std::fs;
use std::path::Path;

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Text};

use super::base_file::file_error;
use super::{attach, base_file, connect, ddl};
use crate::attach::{AttachOptions, Claim};
use crate::binding::{Mode, in_transaction};
use crate::connection::{SessionConnection, Sql};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::held;
use crate::host::{AttachReport, CheckReport, DetachReport, HostStatus, missing};
use crate::migrate;
use crate::statements;
use crate::url::DatabaseUrl;

/// Puts the tables of `base` under sessions.
pub(crate) fn attach(
    base: &Path,
    sessions: &Path,
    options: &AttachOptions,
    now: DateTime<Utc>,
) -> Result<AttachReport> {
    refuse_unusable(base)?;
    let is_new = !sessions.exists();
    let taken = attach::take_up(base, sessions, options, Claim::Attach, now);
    if taken.is_err() && is_new {
        remove_sessions(sessions)?;
    }
    Ok(taken?.1)
}

/// A dry run: with a sessions file that exists in memory alone.
pub(crate) fn check(
    base: &Path,
    options: &AttachOptions,
    statements: &[String],
    now: DateTime<Utc>,
) -> Result<CheckReport> {
    let mut refused = Vec::new();
    if let Err(Error::Attach { reasons }) = refuse_unusable(base) {
        refused = reasons;
    }
    refuse_missing(base)?;
    let mut conn = connect::open_both(base, Path::new(":memory:"))?;
    migrate::migrate(&mut conn)?;
    let stamp = base_file::stamp(base)?;
    let tried = in_transaction(&mut conn, Mode::Write, |conn| {
        attach::take_up_in(conn, base, options, Claim::Attach, &stamp, now)
    });
    let (attached, report) = match tried {
        Ok(taken) => taken,
        Err(Error::Attach { reasons }) => {
            refused.extend(reasons);
            let report = attach::report(&mut conn.link(), options)?;
            return Ok(CheckReport { report, refused, statements: Vec::new() });
        }
        Err(error) => return Err(error),
    };
    conn.batch_execute(&ddl::connection_objects(&attached)).map_err(Error::from)?;
    let found =
        statements::check(statements, &attached, Dialect::Sqlite, |statement| prepare(&mut conn, statement));
    Ok(CheckReport { report, refused, statements: found? })
}

/// Whether the database takes a statement; its words where it does not.
fn prepare(conn: &mut SqliteConnection, statement: &str) -> Result<Option<String>> {
    Ok(conn.batch_execute(&format!("explain {statement}")).err().map(|error| error.to_string()))
}

fn refuse_missing(base: &Path) -> Result<()> {
    if base.exists() { Ok(()) } else { Err(missing(base)) }
}

/// Refuses a base file that sessions cannot stand over.
fn refuse_unusable(base: &Path) -> Result<()> {
    refuse_missing(base)?;
    // A look at the file first: one of another kind is told as such.
    drop(connect::open_file(base, "?mode=ro")?);
    if base_file::is_in_wal_mode(base)? {
        return Err(Error::Attach {
            reasons: vec![
                "its journal mode is WAL, in which a write does not show in the file's header: \
                 run `PRAGMA journal_mode = DELETE` on it first"
                    .to_owned(),
            ],
        });
    }
    Ok(())
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    ours: i64,
}

/// The sessions file, if it is there and of a version that knows hosts.
fn open_sessions(sessions: &Path, query: &str) -> Result<Option<SqliteConnection>> {
    if !sessions.exists() {
        return Ok(None);
    }
    let mut conn = connect::open_file(sessions, query)?;
    let row: Option<CountRow> = conn.link().first(Sql::new(
        "select count(*) as ours from pragma_table_info('demo_base') where name = 'of_host'",
        [],
    ))?;
    Ok(row.filter(|row| row.ours > 0).map(|_| conn))
}

/// Whether the sessions file stands over a host's base.
pub(crate) fn is_attached(sessions: &Path) -> Result<bool> {
    Ok(attached_with(sessions)?.is_some())
}

/// What the host's base was attached with.
pub(crate) fn attached_with(sessions: &Path) -> Result<Option<AttachOptions>> {
    match open_sessions(sessions, "?mode=rw")? {
        Some(mut conn) => held::attached_with(&mut conn.link()),
        None => Ok(None),
    }
}

/// How it stands.
pub(crate) fn status(sessions: &Path, now: DateTime<Utc>) -> Result<Option<HostStatus>> {
    match open_sessions(sessions, "?mode=rw")? {
        Some(mut conn) => held::host_status(&mut conn.link(), now),
        None => Ok(None),
    }
}

/// Begins a new epoch that is not sealed: no connection is current any more, and none can be opened.
pub(crate) fn suspend(url: &DatabaseUrl, base: &Path, sessions: &Path) -> Result<()> {
    refuse_missing(base)?;
    let not_attached = || Error::NotAttached { url: url.to_string() };
    let mut conn = open_sessions(sessions, "?mode=rw")?.ok_or_else(not_attached)?;
    in_transaction(&mut conn, Mode::Write, |conn| {
        let mut link = conn.link();
        held::attached_with(&mut link)?.ok_or_else(not_attached)?;
        link.batch(
            "update demo_base set sealed_at = null, epoch = epoch + (sealed_at is not null) where of_host = 1;",
        )
    })
}

#[derive(QueryableByName)]
struct ModeRow {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

/// Removes the sessions file.
pub(crate) fn detach(
    url: &DatabaseUrl,
    sessions: &Path,
    confirmed: bool,
    now: DateTime<Utc>,
) -> Result<DetachReport> {
    let not_attached = || Error::NotAttached { url: url.to_string() };
    let mut conn = open_sessions(sessions, "?mode=rw")?.ok_or_else(not_attached)?;
    held::attached_with(&mut conn.link())?.ok_or_else(not_attached)?;
    let report = held::may_be_lost(&mut conn.link(), confirmed, now)?;
    // Only who is alone with the file can change its mode.
    conn.batch_execute("pragma busy_timeout = 0;")?;
    let mode: Option<ModeRow> = conn
        .link()
        .first(Sql::new("pragma journal_mode = delete", []))
        .or_else(|error| if matches!(error, Error::Unavailable(_)) { Ok(None) } else { Err(error) })?;
    if mode.is_none_or(|row| row.journal_mode != "delete") {
        let reason = format!("another program has {} open: stop it first", sessions.display());
        return Err(Error::Unavailable(reason));
    }
    drop(conn);
    remove_sessions(sessions)?;
    Ok(report)
}

/// Removes the sessions file and what SQLite keeps beside it.
fn remove_sessions(sessions: &Path) -> Result<()> {
    for suffix in ["-wal", "-shm", "-journal", ""] {
        let mut name = sessions.file_name().unwrap_or_default().to_owned();
        name.push(suffix);
        let file = sessions.with_file_name(name);
        if file.exists() {
            fs::remove_file(&file).map_err(file_error(&file))?;
        }
    }
    Ok(())
}
