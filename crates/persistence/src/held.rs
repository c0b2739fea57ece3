//! What the engine's own tables say of a host's base and of what sessions hold over it, the same on both databases.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Nullable};

use crate::attach::{AttachOptions, attached_rows};
use crate::connection::{Link, Sql};
use crate::error::{Error, Result};
use crate::host::{DetachReport, HostState, HostStatus};
use crate::types::{DbTime, sql};

#[derive(QueryableByName)]
struct HeldRow {
    #[diesel(sql_type = BigInt)]
    sessions: i64,
    #[diesel(sql_type = BigInt)]
    changes: i64,
    #[diesel(sql_type = BigInt)]
    archives: i64,
}

#[derive(QueryableByName)]
struct HostRow {
    #[diesel(sql_type = Bool)]
    of_host: bool,
    #[diesel(sql_type = Bool)]
    all_tables: bool,
    #[diesel(sql_type = Bool)]
    tracking_columns: bool,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Nullable<sql::UtcTime>)]
    sealed_at: Option<DbTime>,
}

fn host_row(link: &mut Link<'_>) -> Result<Option<HostRow>> {
    let row: Option<HostRow> = link.first(Sql::new(
        "select of_host, all_tables, tracking_columns, epoch, sealed_at from demo_base",
        [],
    ))?;
    Ok(row.filter(|row| row.of_host))
}

/// What sessions hold that a detach would lose.
pub(crate) fn held(link: &mut Link<'_>, now: DateTime<Utc>) -> Result<DetachReport> {
    let mut count = Sql::default();
    count.push(
        "select (select count(*) from demo_user_sessions) as sessions, \
         (select cast(coalesce(sum(c.created + c.edited + c.deleted), 0) as bigint) from demo_user_sessions s \
         join demo_layer_counts c on c.layer = s.live_layer) as changes, \
         (select count(*) from demo_archives where restored_at is null and expires_at > ",
    );
    count.bind(now).push(") as archives");
    let row: Option<HeldRow> = link.first(count)?;
    Ok(row.map_or_else(DetachReport::default, |row| DetachReport {
        sessions: row.sessions.unsigned_abs(),
        changes: row.changes.unsigned_abs(),
        archives: row.archives.unsigned_abs(),
    }))
}

/// The same, refused where there is anything to lose and nobody has said so.
pub(crate) fn may_be_lost(link: &mut Link<'_>, confirmed: bool, now: DateTime<Utc>) -> Result<DetachReport> {
    let held = held(link, now)?;
    if !confirmed && (held.changes > 0 || held.archives > 0) {
        let DetachReport { archives, changes, sessions } = held;
        return Err(Error::HoldsChanges { archives, changes, sessions });
    }
    Ok(held)
}

/// How a host's base stands; none where the base is not a host's.
pub(crate) fn host_status(link: &mut Link<'_>, now: DateTime<Utc>) -> Result<Option<HostStatus>> {
    let Some(row) = host_row(link)? else { return Ok(None) };
    Ok(Some(HostStatus {
        state: if row.sealed_at.is_some() { HostState::Attached } else { HostState::Suspended },
        tables: attached_rows(link)?.into_iter().map(|row| row.name).collect(),
        all_tables: row.all_tables,
        tracking_columns: row.tracking_columns,
        epoch: row.epoch,
        sealed_at: row.sealed_at.map(DbTime::get),
        holds: held(link, now)?,
    }))
}

/// What a host's base was attached with; none where the base is not a host's.
pub(crate) fn attached_with(link: &mut Link<'_>) -> Result<Option<AttachOptions>> {
    let Some(row) = host_row(link)? else { return Ok(None) };
    let tables = match row.all_tables {
        true => None,
        false => Some(attached_rows(link)?.into_iter().map(|row| row.name).collect()),
    };
    Ok(Some(AttachOptions { tables, tracking_columns: row.tracking_columns }))
}
