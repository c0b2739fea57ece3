//! Reset: the live layer becomes an archive, and a fresh layer becomes live. Its cost does not depend on how
//! much was changed: no change is touched.

use chrono::{DateTime, Utc};
use demo_reset_domain::{Archive, ArchiveId, Retention, SessionId};
use diesel::QueryableByName;

use crate::archive::counts_from_json;
use crate::binding::{LAYERS_PER_SESSION, guard};
use crate::connection::{Link, Sql};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::session::session_by_id;
use crate::types::{DbJson, DbTime, sql};

#[derive(QueryableByName)]
struct RetiredLayer {
    #[diesel(sql_type = sql::Json)]
    counts: DbJson,
}

/// Retires the live layer of `session`; nothing where it is empty. Runs in a writing transaction, of which it may be
/// the first statement ([`Mode::WriteFirst`](crate::binding::Mode::WriteFirst)).
pub(crate) fn reset(
    link: &mut Link<'_>,
    session: SessionId,
    new_id: ArchiveId,
    retention: Retention,
    now: DateTime<Utc>,
) -> Result<Option<Archive>> {
    // On SQLite one program writes at a time: the first statement that writes is guard enough.
    let (object, array) = match link.dialect() {
        Dialect::Sqlite => ("json_group_object", "json_array"),
        Dialect::Postgres => {
            guard(link, session)?;
            ("jsonb_object_agg", "jsonb_build_array")
        }
    };
    // As it will be read back: the databases store microseconds.
    let archived_at = DbTime::new(now).get();
    let expires_at = DbTime::new(retention.expires_at(now)).get();
    let retired: Option<RetiredLayer> = link.first(Sql::new(
        &format!(
            "insert into demo_archives \
             (session_number, ordinal, id, session_id, layer, epoch, archived_at, expires_at, counts) \
             select s.number, s.archives_made + 1, ?, s.id, s.live_layer, s.live_epoch, ?, ?, l.counts \
             from (select {object}(c.table_name, {array}(c.created, c.edited, c.deleted)) as counts, \
                 count(*) as tables from demo_layer_counts c \
               where c.layer = (select live_layer from demo_user_sessions where id = ?) \
                 and c.created + c.edited + c.deleted > 0) as l, demo_user_sessions s \
             where l.tables > 0 and s.id = ? returning counts"
        ),
        [new_id.0.into(), archived_at.into(), expires_at.into(), session.0.into(), session.0.into()],
    ))?;
    let Some(retired) = retired else {
        return session_by_id(link, session)?.map(|_| None).ok_or(Error::UnknownSession);
    };
    link.execute(Sql::new(
        &format!(
            "update demo_user_sessions set live_layer = number * {LAYERS_PER_SESSION} + layers_used + 1, \
             live_epoch = (select epoch from demo_base), layers_used = layers_used + 1, \
             archives_made = archives_made + 1, writes = writes + 1 where id = ?"
        ),
        [session.0.into()],
    ))?;
    let counts = counts_from_json(retired.counts.0)?;
    Ok(Some(Archive { id: new_id, archived_at, expires_at, restored_at: None, counts }))
}
