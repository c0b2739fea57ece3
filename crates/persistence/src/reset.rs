//! Reset: the live layer becomes an archive, and a fresh layer becomes live. Its cost does not depend on how
//! much was changed: no change is touched.

use chrono::{DateTime, Utc};
use demo_reset_domain::{Archive, ArchiveId, LayerId, Retention, SessionId};
use diesel::QueryableByName;
use diesel::sql_types::BigInt;

use crate::archive::{NewArchive, archive_insert, counts_from_json};
use crate::binding::layer_of;
use crate::connection::{Link, Sql};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::types::{DbJson, DbTime, sql};

#[derive(QueryableByName)]
struct LiveLayer {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = BigInt)]
    live_layer: i64,
    #[diesel(sql_type = BigInt)]
    live_epoch: i64,
    #[diesel(sql_type = BigInt)]
    layers_used: i64,
    #[diesel(sql_type = BigInt)]
    archives_made: i64,
    #[diesel(sql_type = sql::Json)]
    counts: DbJson,
}

/// Retires the live layer of `session`; nothing where it is empty. Runs in a writing transaction, of which it may be
/// the first statement ([`Mode::WriteFirst`](crate::binding::Mode::WriteFirst)).
///
/// Few statements, and none with a RETURNING, for which SQLite makes a table each time: see docs/performance.md.
pub(crate) fn reset(
    link: &mut Link<'_>,
    session: SessionId,
    new_id: ArchiveId,
    retention: Retention,
    now: DateTime<Utc>,
) -> Result<Option<Archive>> {
    // The write guard.
    link.execute(Sql::new(
        "update demo_user_sessions set writes = writes + 1 where id = ?",
        [session.0.into()],
    ))?;
    let (object, array) = match link.dialect() {
        Dialect::Sqlite => ("json_group_object", "json_array"),
        Dialect::Postgres => ("jsonb_object_agg", "jsonb_build_array"),
    };
    let live: Option<LiveLayer> = link.first(Sql::new(
        &format!(
            "select number, live_layer, live_epoch, layers_used, archives_made, \
             (select coalesce({object}(c.table_name, {array}(c.created, c.edited, c.deleted)), '{{}}') \
              from demo_layer_counts c \
              where c.layer = live_layer and c.created + c.edited + c.deleted > 0) as counts \
             from demo_user_sessions where id = ?"
        ),
        [session.0.into()],
    ))?;
    let live = live.ok_or(Error::UnknownSession)?;
    let counts = counts_from_json(live.counts.0)?;
    if counts.is_empty() {
        return Ok(None);
    }
    // As it will be read back: the databases store microseconds.
    let archived_at = DbTime::new(now).get();
    let expires_at = DbTime::new(retention.expires_at(now)).get();
    let new = NewArchive {
        id: new_id,
        ordinal: live.archives_made + 1,
        layer: LayerId(live.live_layer),
        epoch: live.live_epoch,
        archived_at,
        expires_at,
        counts: &counts,
    };
    archive_insert(link, session, live.number, &new)?;
    link.execute(Sql::new(
        "update demo_user_sessions set live_layer = ?, live_epoch = (select epoch from demo_base), \
         layers_used = layers_used + 1, archives_made = archives_made + 1 where number = ?",
        [layer_of(live.number, live.layers_used + 1).0.into(), live.number.into()],
    ))?;
    Ok(Some(Archive { id: new_id, archived_at, expires_at, restored_at: None, counts }))
}
