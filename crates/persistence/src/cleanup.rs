//! Cleanup: purges what can no longer be undone and retires what nobody uses.
//!
//! It works in small transactions, so that nobody waits for it, and each of them looks again at what it is about
//! to remove: it can be stopped anywhere and run again, and two that run at once do no harm.

use chrono::{DateTime, Utc};
use demo_reset_domain::{ArchiveId, Retention, SessionId};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Nullable};

use crate::binding::{Mode, in_transaction, layer_of};
use crate::connection::{Bind, Link, SessionConnection, Sql};
use crate::database::{CleanupReport, CleanupRun};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::idempotency::purge_answers;
use crate::reset::reset;
use crate::spec::{TableSpec, in_foreign_key_order};
use crate::types::{DbTime, DbUuid, sql};

/// How many changes one transaction removes.
const CHANGES_PER_BATCH: i64 = 1_000;

/// How many archives or sessions one look takes up.
const ITEMS_PER_BATCH: i64 = 100;

#[derive(QueryableByName)]
struct ExpiredArchive {
    #[diesel(sql_type = BigInt)]
    session_number: i64,
    #[diesel(sql_type = BigInt)]
    ordinal: i64,
}

#[derive(QueryableByName)]
struct ClaimedArchive {
    #[diesel(sql_type = BigInt)]
    layer: i64,
    #[diesel(sql_type = Nullable<sql::UtcTime>)]
    restored_at: Option<DbTime>,
}

#[derive(QueryableByName)]
struct LayerRow {
    #[diesel(sql_type = BigInt)]
    layer: i64,
}

#[derive(QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct IdleSession {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = sql::Uuid)]
    id: DbUuid,
}

/// What a cleanup looks at, and by which rules.
pub(crate) struct Scope<'a> {
    /// Only the sessions of this organization; none for all.
    pub(crate) organization: Option<&'a str>,
    pub(crate) retention: Retention,
    pub(crate) now: DateTime<Utc>,
}

impl Scope<'_> {
    /// Limits a query over `demo_user_sessions s`.
    fn limit(&self, query: &mut Sql) {
        if let Some(organization) = self.organization {
            query.push(" and s.organization_id = ").bind(organization);
        }
    }
}

/// Runs a whole cleanup on one connection.
pub(crate) fn cleanup<C: SessionConnection>(
    conn: &mut C,
    tables: &[TableSpec],
    scope: &Scope<'_>,
    new_id: &mut dyn FnMut() -> ArchiveId,
) -> Result<CleanupReport> {
    let mut report = CleanupReport::default();
    purge_expired(conn, tables, scope, &mut report)?;
    retire_idle(conn, scope, new_id, &mut report)?;
    in_transaction(conn, Mode::Write, |conn| {
        purge_answers(&mut conn.link(), scope.now)?;
        if scope.organization.is_none() { store_run(&mut conn.link(), scope.now, &report) } else { Ok(()) }
    })?;
    Ok(report)
}

#[derive(QueryableByName)]
struct LockRow {
    #[diesel(sql_type = Bool)]
    locked: bool,
}

/// Takes the lock that lets one server clean up at a time; whether it was free. On SQLite the one writer of a server
/// is enough: servers of one file take turns transaction by transaction.
pub(crate) fn try_lock(link: &mut Link<'_>) -> Result<bool> {
    if link.dialect() == Dialect::Sqlite {
        return Ok(true);
    }
    let row: Option<LockRow> =
        link.first(Sql::new("select pg_try_advisory_lock(hashtext('demo-reset'), 2) as locked", []))?;
    Ok(row.is_some_and(|row| row.locked))
}

/// Gives the lock back.
pub(crate) fn unlock(link: &mut Link<'_>) -> Result<()> {
    if link.dialect() == Dialect::Postgres {
        link.execute(Sql::new("select pg_advisory_unlock(hashtext('demo-reset'), 2)", []))?;
    }
    Ok(())
}

fn store_run(link: &mut Link<'_>, now: DateTime<Utc>, report: &CleanupReport) -> Result<()> {
    let number = |count: u64| Bind::from(i64::try_from(count).unwrap_or(i64::MAX));
    link.execute(Sql::new(
        "insert into demo_cleanup_runs \
         (one, finished_at, archives_purged, changes_purged, sessions_archived, sessions_removed) \
         values (1, ?, ?, ?, ?, ?) on conflict (one) do update set finished_at = excluded.finished_at, \
         archives_purged = excluded.archives_purged, changes_purged = excluded.changes_purged, \
         sessions_archived = excluded.sessions_archived, sessions_removed = excluded.sessions_removed",
        [
            now.into(),
            number(report.archives_purged),
            number(report.changes_purged),
            number(report.sessions_archived),
            number(report.sessions_removed),
        ],
    ))?;
    Ok(())
}

#[derive(QueryableByName)]
struct RunRow {
    #[diesel(sql_type = sql::UtcTime)]
    finished_at: DbTime,
    #[diesel(sql_type = BigInt)]
    archives_purged: i64,
    #[diesel(sql_type = BigInt)]
    changes_purged: i64,
    #[diesel(sql_type = BigInt)]
    sessions_archived: i64,
    #[diesel(sql_type = BigInt)]
    sessions_removed: i64,
}

/// The last complete cleanup, if there was one.
pub(crate) fn cleanup_last(link: &mut Link<'_>) -> Result<Option<CleanupRun>> {
    let row: Option<RunRow> = link.first(Sql::new(
        "select finished_at, archives_purged, changes_purged, sessions_archived, sessions_removed \
         from demo_cleanup_runs",
        [],
    ))?;
    Ok(row.map(|row| CleanupRun {
        finished_at: row.finished_at.get(),
        report: CleanupReport {
            archives_purged: row.archives_purged.unsigned_abs(),
            changes_purged: row.changes_purged.unsigned_abs(),
            sessions_archived: row.sessions_archived.unsigned_abs(),
            sessions_removed: row.sessions_removed.unsigned_abs(),
        },
    }))
}

fn purge_expired<C: SessionConnection>(
    conn: &mut C,
    tables: &[TableSpec],
    scope: &Scope<'_>,
    report: &mut CleanupReport,
) -> Result<()> {
    // Once through all archives by their key: what is younger than the retention is skipped, and that is never much
    // more than what has expired since the last cleanup.
    let (mut session_number, mut ordinal) = (0, 0);
    loop {
        let mut select = Sql::new(
            "select a.session_number, a.ordinal from demo_archives a \
             join demo_user_sessions s on s.number = a.session_number \
             where (a.session_number, a.ordinal) > (?, ?) and a.expires_at <= ?",
            [session_number.into(), ordinal.into(), scope.now.into()],
        );
        scope.limit(&mut select);
        select.push(" order by a.session_number, a.ordinal limit ").bind(ITEMS_PER_BATCH);
        let expired: Vec<ExpiredArchive> = conn.link().load(select)?;
        for archive in &expired {
            let purged =
                in_transaction(conn, Mode::Write, |conn| claim(&mut conn.link(), archive, scope.now))?;
            report.archives_purged += u64::from(purged);
            (session_number, ordinal) = (archive.session_number, archive.ordinal);
        }
        let layers: Vec<LayerRow> = conn.link().load(Sql::new(
            "select layer from demo_purges order by layer limit ?",
            [ITEMS_PER_BATCH.into()],
        ))?;
        for row in &layers {
            report.changes_purged += purge_layer(conn, tables, row.layer)?;
        }
        if expired.is_empty() && layers.is_empty() {
            return Ok(());
        }
    }
}

/// Takes an archive that is still expired out of everybody's reach; whether its changes are to be purged. Under the
/// write guard of its session: an undo has either brought it back before, or no longer finds it.
fn claim(link: &mut Link<'_>, archive: &ExpiredArchive, now: DateTime<Utc>) -> Result<bool> {
    link.execute(Sql::new(
        "update demo_user_sessions set writes = writes + 1 where number = ?",
        [archive.session_number.into()],
    ))?;
    let claimed: Option<ClaimedArchive> = link.first(Sql::new(
        "delete from demo_archives where session_number = ? and ordinal = ? and expires_at <= ? \
         returning layer, restored_at",
        [archive.session_number.into(), archive.ordinal.into(), now.into()],
    ))?;
    // A restored archive's changes live on in the session; only its record has had its time.
    let Some(ClaimedArchive { layer, restored_at: None }) = claimed else { return Ok(false) };
    link.execute(Sql::new("insert into demo_purges (layer) values (?)", [layer.into()]))?;
    Ok(true)
}

/// Removes the changes of a claimed layer, children before parents; how many there were.
fn purge_layer<C: SessionConnection>(conn: &mut C, tables: &[TableSpec], layer: i64) -> Result<u64> {
    let mut purged = 0;
    for table in in_foreign_key_order(tables).into_iter().rev() {
        loop {
            let removed = in_transaction(conn, Mode::Write, |conn| -> Result<usize> {
                let mut link = conn.link();
                let dialect = link.dialect();
                let change = dialect.change_table(&table.name);
                let row = dialect.row_address();
                let mut delete = Sql::default();
                delete.push(&format!(
                    "delete from {change} where {row} in (select {row} from {change} where demo_layer = "
                ));
                delete.bind(layer).push(" limit ").bind(CHANGES_PER_BATCH).push(")");
                link.execute(delete)
            })?;
            purged += removed as u64;
            if removed == 0 {
                break;
            }
        }
    }
    in_transaction(conn, Mode::Write, |conn| {
        let mut link = conn.link();
        link.execute(Sql::new("delete from demo_layer_counts where layer = ?", [layer.into()]))?;
        link.execute(Sql::new("delete from demo_purges where layer = ?", [layer.into()]))
    })?;
    Ok(purged)
}

fn retire_idle<C: SessionConnection>(
    conn: &mut C,
    scope: &Scope<'_>,
    new_id: &mut dyn FnMut() -> ArchiveId,
    report: &mut CleanupReport,
) -> Result<()> {
    let mut after = 0;
    loop {
        let mut select = Sql::new(
            "select s.number, s.id from demo_user_sessions s where s.last_activity_at <= ? and s.number > ?",
            [scope.retention.idle_since(scope.now).into(), after.into()],
        );
        scope.limit(&mut select);
        select.push(" order by s.number limit ").bind(ITEMS_PER_BATCH);
        let idle: Vec<IdleSession> = conn.link().load(select)?;
        let Some(last) = idle.last() else { return Ok(()) };
        after = last.number;
        for row in &idle {
            retire(conn, SessionId(row.id.0), scope, new_id, report)?;
        }
    }
}

/// Archives the live layer of an idle session; removes the session once nothing of it can be restored.
fn retire<C: SessionConnection>(
    conn: &mut C,
    session: SessionId,
    scope: &Scope<'_>,
    new_id: &mut dyn FnMut() -> ArchiveId,
    report: &mut CleanupReport,
) -> Result<()> {
    let retired = in_transaction(conn, Mode::Write, |conn| -> Result<(u64, u64)> {
        let mut link = conn.link();
        if !is_idle(&mut link, session, scope.retention.idle_since(scope.now))? {
            return Ok((0, 0));
        }
        if reset(&mut link, session, new_id(), scope.retention, scope.now)?.archive.is_some() {
            return Ok((1, 0));
        }
        Ok((0, remove(&mut link, session)?))
    });
    match retired {
        Ok((archived, removed)) => {
            report.sessions_archived += archived;
            report.sessions_removed += removed;
            Ok(())
        }
        // Removed by someone else meanwhile.
        Err(Error::UnknownSession) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a session without changes, unless something of it can be restored; how many were removed.
fn remove(link: &mut Link<'_>, session: SessionId) -> Result<u64> {
    let removed: Option<NumberRow> = link.first(Sql::new(
        "delete from demo_user_sessions where id = ? and not exists \
         (select 1 from demo_archives a where a.session_number = demo_user_sessions.number) returning number",
        [session.0.into()],
    ))?;
    let Some(removed) = removed else { return Ok(0) };
    // What its layers were counted as while they grew and shrank again.
    link.execute(Sql::new(
        "delete from demo_layer_counts where layer >= ? and layer < ? and not exists \
         (select 1 from demo_purges p where p.layer = demo_layer_counts.layer)",
        [layer_of(removed.number, 0).0.into(), layer_of(removed.number + 1, 0).0.into()],
    ))?;
    Ok(1)
}

fn is_idle(link: &mut Link<'_>, session: SessionId, idle_since: DateTime<Utc>) -> Result<bool> {
    let row: Option<IdleSession> = link.first(Sql::new(
        "select number, id from demo_user_sessions where id = ? and last_activity_at <= ?",
        [session.0.into(), idle_since.into()],
    ))?;
    Ok(row.is_some())
}
