//! Reset: the live layer becomes an archive, and a fresh layer becomes live. Its cost does not depend on how
//! much was changed: no change is touched.

use std::cell::Cell;

use chrono::{DateTime, Utc};
use demo_reset_domain::{Archive, ArchiveId, ChangeCounts, Retention, SessionId};
use diesel::sql_types::{Nullable, Text};
use diesel::{QueryableByName, SqliteConnection};

use crate::archive::{counts_from_json, counts_from_text};
use crate::binding::LAYERS_PER_SESSION;
use crate::connection::{Fixed, Link, fixed_text};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::types::{DbJson, DbTime, sql};
use crate::verify::seal_on_sqlite;

/// What a reset did, and what it saw on the way.
pub(crate) struct Reset {
    /// None where there was nothing to reset.
    pub(crate) archive: Option<Archive>,
    /// The [seal](crate::verify::seal_holds) of the base.
    pub(crate) seal: Option<String>,
}

fixed_text!(
    /// Tells what it archives by the way: see [`Told`].
    ArchiveLiveLayer,
    concat!(
        "insert into demo_archives \
         (session_number, ordinal, id, session_id, layer, epoch, archived_at, expires_at, counts) \
         select s.number, s.archives_made + 1, ?, s.id, s.live_layer, s.live_epoch, ?, ?, \
         demo_told(json_group_object(c.table_name, json_array(c.created, c.edited, c.deleted)), s.number, ",
        seal_on_sqlite!(),
        ") from demo_user_sessions s join demo_layer_counts c on c.layer = s.live_layer \
         where s.id = ? and c.created + c.edited + c.deleted > 0 having count(*) > 0"
    )
);
fixed_text!(
    /// The layer after the last one used: `number * 2^24 + n`, as [`layer_of`](crate::binding::layer_of) has it.
    MoveOn,
    "update demo_user_sessions set live_layer = number * 16777216 + layers_used + 1, \
     live_epoch = (select epoch from demo_base), layers_used = layers_used + 1, \
     archives_made = archives_made + 1 where number = ?"
);
const _: () =
    assert!(LAYERS_PER_SESSION == 16_777_216, "the number in the text of MoveOn, and in demo.reset_session");

fixed_text!(
    NothingArchived,
    concat!("select null as counts, ", seal_on_sqlite!(), " as seal from demo_user_sessions where id = ?")
);
fixed_text!(ResetOnPostgres, "select counts, seal from demo.reset_session(?, ?, ?, ?)");

/// What was archived, if anything, and the seal.
struct Archived {
    counts: Option<ChangeCounts>,
    seal: Option<String>,
}

#[derive(QueryableByName)]
struct ArchivedRow {
    #[diesel(sql_type = Nullable<sql::Json>)]
    counts: Option<DbJson>,
    #[diesel(sql_type = Nullable<Text>)]
    seal: Option<String>,
}

impl ArchivedRow {
    fn archived(self) -> Result<Archived> {
        let counts = self.counts.map(|counts| counts_from_json(counts.0)).transpose()?;
        Ok(Archived { counts, seal: self.seal })
    }
}

/// Retires the live layer of `session`; nothing where it is empty. On SQLite it runs in a writing transaction, of which
/// it may be the first statement ([`Mode::WriteFirst`](crate::binding::Mode::WriteFirst)); on PostgreSQL it is one
/// statement, and outside of a transaction one by itself.
pub(crate) fn reset(
    link: &mut Link<'_>,
    session: SessionId,
    new_id: ArchiveId,
    retention: Retention,
    now: DateTime<Utc>,
) -> Result<Reset> {
    // As it will be read back: the databases store microseconds.
    let archived_at = DbTime::new(now).get();
    let expires_at = DbTime::new(retention.expires_at(now)).get();
    let archived = match link.dialect() {
        Dialect::Sqlite => reset_on_sqlite(link, session, new_id, archived_at, expires_at)?,
        Dialect::Postgres => {
            let values = [session.0.into(), new_id.0.into(), archived_at.into(), expires_at.into()];
            let row: Option<ArchivedRow> = link.first(Fixed::<ResetOnPostgres, 4>::new(values))?;
            row.map(ArchivedRow::archived).transpose()?
        }
    };
    let Archived { counts, seal } = archived.ok_or(Error::UnknownSession)?;
    let archive =
        counts.map(|counts| Archive { id: new_id, archived_at, expires_at, restored_at: None, counts });
    Ok(Reset { archive, seal })
}

/// Two statements and no RETURNING, for which SQLite makes a table each time: see docs/performance.md. One program
/// writes at a time: the first statement that writes is guard enough.
fn reset_on_sqlite(
    link: &mut Link<'_>,
    session: SessionId,
    new_id: ArchiveId,
    archived_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<Option<Archived>> {
    let values = [new_id.0.into(), archived_at.into(), expires_at.into(), session.0.into()];
    if link.execute(Fixed::<ArchiveLiveLayer, 4>::new(values))? == 0 {
        let row: Option<ArchivedRow> = link.first(Fixed::<NothingArchived, 1>::new([session.0.into()]))?;
        return row.map(ArchivedRow::archived).transpose();
    }
    let told = TOLD.take().ok_or(diesel::result::Error::NotFound)?;
    link.execute(Fixed::<MoveOn, 1>::new([told.session_number.into()]))?;
    Ok(Some(Archived { counts: Some(counts_from_text(&told.counts)?), seal: told.seal }))
}

/// What the statement that makes an archive on SQLite found while it ran. It gives it to a function of the connection,
/// which runs on the thread that runs the statement: reading the archive back took an eighth of a reset.
struct Told {
    session_number: i64,
    counts: String,
    seal: Option<String>,
}

thread_local! {
    /// Filled and taken within one reset.
    static TOLD: Cell<Option<Told>> = const { Cell::new(None) };
}

mod functions {
    // The macro writes items without docs.
    #![allow(missing_docs)]
    #[allow(unused_imports, reason = "whether the macro names them is its own affair")]
    use diesel::sql_types::{BigInt, Nullable, Text};

    #[diesel::declare_sql_function]
    extern "SQL" {
        fn demo_told(counts: Text, session_number: BigInt, seal: Nullable<Text>) -> Text;
    }
}

/// Gives a connection the function by which a reset tells what it archives.
pub(crate) fn register(conn: &mut SqliteConnection) -> Result<()> {
    functions::demo_told_utils::register_impl(
        conn,
        |counts: String, session_number: i64, seal: Option<String>| {
            TOLD.set(Some(Told { session_number, counts: counts.clone(), seal }));
            counts
        },
    )?;
    Ok(())
}
