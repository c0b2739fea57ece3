//! Reset: the live layer becomes an archive, and a fresh layer becomes live. Its cost does not depend on how
//! much was changed: no change is touched.

use chrono::{DateTime, Utc};
use demo_reset_domain::{Archive, ArchiveId, Retention, SessionId};

use crate::archive::{NewArchive, archive_insert};
use crate::binding::guard;
use crate::connection::{Link, Sql};
use crate::error::Result;
use crate::session::layer_counts;
use crate::types::DbTime;

/// Retires the live layer of `session`; nothing where it is empty. Runs in a writing transaction.
pub(crate) fn reset(
    link: &mut Link<'_>,
    session: SessionId,
    new_id: ArchiveId,
    retention: Retention,
    now: DateTime<Utc>,
) -> Result<Option<Archive>> {
    let guarded = guard(link, session)?;
    let counts = layer_counts(link, guarded.live_layer())?;
    if counts.is_empty() {
        return Ok(None);
    }
    // As it will be read back: the databases store microseconds.
    let archived_at = DbTime::new(now).get();
    let expires_at = DbTime::new(retention.expires_at(now)).get();
    let new = NewArchive {
        id: new_id,
        layer: guarded.live_layer(),
        epoch: guarded.live_epoch,
        archived_at,
        expires_at,
        counts: &counts,
    };
    archive_insert(link, session, &guarded, &new)?;
    link.execute(Sql::new(
        "update demo_user_sessions set live_layer = ?, live_epoch = (select epoch from demo_base), \
         layers_used = layers_used + 1, archives_made = archives_made + 1 where number = ?",
        [guarded.fresh_layer(1).0.into(), guarded.number.into()],
    ))?;
    Ok(Some(Archive { id: new_id, archived_at, expires_at, restored_at: None, counts }))
}
