//! Archives as stored.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use demo_reset_domain::{Archive, ArchiveId, ChangeCounts, KindCounts, LayerId, SessionId};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable};

use crate::binding::GuardedSession;
use crate::connection::{Bind, Link, Sql};
use crate::error::{Error, Result};
use crate::session::layer_counts;
use crate::types::{DbJson, DbTime, DbUuid, sql};

/// An archive with where its changes are.
#[derive(Debug, Clone)]
pub(crate) struct StoredArchive {
    pub(crate) archive: Archive,
    pub(crate) layer: LayerId,
}

/// Stands for the epoch of an archive of some records. Over the base alone it need not make a whole: what hung on it
/// stayed in the live layer. No base has this epoch, so an undo always compares before it brings such an archive back.
const PART_OF_A_LAYER: i64 = 0;

#[derive(QueryableByName)]
struct ArchiveRow {
    #[diesel(sql_type = sql::Uuid)]
    id: DbUuid,
    #[diesel(sql_type = BigInt)]
    layer: i64,
    #[diesel(sql_type = sql::UtcTime)]
    archived_at: DbTime,
    #[diesel(sql_type = sql::UtcTime)]
    expires_at: DbTime,
    #[diesel(sql_type = Nullable<sql::UtcTime>)]
    restored_at: Option<DbTime>,
    #[diesel(sql_type = sql::Json)]
    counts: DbJson,
}

/// Counts as an archive keeps them: `{"table": [created, edited, deleted]}`.
fn counts_json(counts: &ChangeCounts) -> serde_json::Value {
    let tables = counts.iter().map(|(table, kinds)| {
        (table.to_owned(), serde_json::json!([kinds.created, kinds.edited, kinds.deleted]))
    });
    serde_json::Value::Object(tables.collect())
}

/// Reads them.
pub(crate) fn counts_from_json(json: serde_json::Value) -> Result<ChangeCounts> {
    serde_json::from_value(json).map(counts_of).map_err(Error::unreadable)
}

/// [`counts_from_json`] of a text, without a document in between.
pub(crate) fn counts_from_text(text: &str) -> Result<ChangeCounts> {
    serde_json::from_str(text).map(counts_of).map_err(Error::unreadable)
}

/// A count of four thousand million and more is none of ours, and the sum of such would not fit.
fn counts_of(tables: BTreeMap<String, (u32, u32, u32)>) -> ChangeCounts {
    let mut counts = ChangeCounts::default();
    for (table, (created, edited, deleted)) in tables {
        let [created, edited, deleted] = [created, edited, deleted].map(u64::from);
        counts.add(table, KindCounts { created, edited, deleted });
    }
    counts
}

/// The archives of a session, newest first.
pub(crate) fn archive_list(link: &mut Link<'_>, session: SessionId) -> Result<Vec<StoredArchive>> {
    let rows: Vec<ArchiveRow> = link.load(Sql::new(
        "select a.id, a.layer, a.archived_at, a.expires_at, a.restored_at, a.counts \
         from demo_archives a join demo_user_sessions s on s.number = a.session_number \
         where s.id = ? order by a.ordinal desc",
        [session.0.into()],
    ))?;
    rows.into_iter()
        .map(|row| {
            Ok(StoredArchive {
                archive: Archive {
                    id: ArchiveId(row.id.0),
                    archived_at: row.archived_at.get(),
                    expires_at: row.expires_at.get(),
                    restored_at: row.restored_at.map(DbTime::get),
                    counts: counts_from_json(row.counts.0)?,
                },
                layer: LayerId(row.layer),
            })
        })
        .collect()
}

/// A layer about to become an archive.
pub(crate) struct NewArchive<'a> {
    pub(crate) id: ArchiveId,
    /// Its number among the archives of the session, from 1.
    pub(crate) ordinal: i64,
    pub(crate) layer: LayerId,
    pub(crate) epoch: i64,
    pub(crate) archived_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) counts: &'a ChangeCounts,
}

/// Records an archive as the session's newest. The caller has the write guard.
pub(crate) fn archive_insert(
    link: &mut Link<'_>,
    session: SessionId,
    session_number: i64,
    new: &NewArchive<'_>,
) -> Result<()> {
    let values: [Bind; 9] = [
        session_number.into(),
        new.ordinal.into(),
        new.id.0.into(),
        session.0.into(),
        new.layer.0.into(),
        new.epoch.into(),
        new.archived_at.into(),
        new.expires_at.into(),
        counts_json(new.counts).into(),
    ];
    link.execute(Sql::new(
        "insert into demo_archives \
         (session_number, ordinal, id, session_id, layer, epoch, archived_at, expires_at, counts) \
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values,
    ))?;
    Ok(())
}

/// What a side layer is archived under.
pub(crate) struct SideArchive {
    pub(crate) id: ArchiveId,
    pub(crate) archived_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
}

/// Archives the session's next unused layer, into which changes were moved; nothing where none were. The caller has
/// the write guard.
pub(crate) fn archive_side_layer(
    link: &mut Link<'_>,
    session: SessionId,
    guarded: &GuardedSession,
    side: &SideArchive,
) -> Result<Option<Archive>> {
    let layer = guarded.fresh_layer(1);
    let counts = layer_counts(link, layer)?;
    if counts.is_empty() {
        return Ok(None);
    }
    // As they will be read back: the databases store microseconds.
    let archived_at = DbTime::new(side.archived_at).get();
    let expires_at = DbTime::new(side.expires_at).get();
    let new = NewArchive {
        id: side.id,
        ordinal: guarded.archives_made + 1,
        layer,
        epoch: PART_OF_A_LAYER,
        archived_at,
        expires_at,
        counts: &counts,
    };
    archive_insert(link, session, guarded.number, &new)?;
    link.execute(Sql::new(
        "update demo_user_sessions set layers_used = layers_used + 1, archives_made = archives_made + 1 \
         where number = ?",
        [guarded.number.into()],
    ))?;
    Ok(Some(Archive { id: side.id, archived_at, expires_at, restored_at: None, counts }))
}

/// Marks an archive as brought back.
pub(crate) fn archive_mark_restored(
    link: &mut Link<'_>,
    guarded: &GuardedSession,
    id: ArchiveId,
    now: DateTime<Utc>,
) -> Result<()> {
    link.execute(Sql::new(
        "update demo_archives set restored_at = ? where session_number = ? and id = ?",
        [now.into(), guarded.number.into(), id.0.into()],
    ))?;
    Ok(())
}
