//! Sessions: get or create, find, list, touch, count.

use chrono::{DateTime, Duration, Utc};
use demo_reset_domain::{
    ChangeCounts, KindCounts, LayerId, SessionId, UserKey, touch_is_due, touch_is_due_since,
};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};

use crate::binding::LAYERS_PER_SESSION;
use crate::cleanup::cleanup_last;
use crate::connection::{Fixed, Link, Sql, fixed_text};
use crate::database::{Session, SessionSummary, Stats};
use crate::error::{Error, Result};
use crate::types::{DbTime, DbUuid, sql};
use crate::verify::base_counts;

#[derive(QueryableByName)]
struct SessionRow {
    #[diesel(sql_type = sql::Uuid)]
    id: DbUuid,
    #[diesel(sql_type = Text)]
    organization_id: String,
    #[diesel(sql_type = Text)]
    user_id: String,
    #[diesel(sql_type = sql::UtcTime)]
    created_at: DbTime,
    #[diesel(sql_type = sql::UtcTime)]
    last_activity_at: DbTime,
    #[diesel(sql_type = BigInt)]
    live_layer: i64,
}

/// What a [`SessionRow`] is read from.
macro_rules! select_session {
    ($from:literal) => {
        concat!("select id, organization_id, user_id, created_at, last_activity_at, live_layer from ", $from)
    };
}

fixed_text!(SessionOfUser, select_session!("demo_user_sessions where organization_id = ? and user_id = ?"));
fixed_text!(SessionById, select_session!("demo_user_sessions where id = ?"));

impl SessionRow {
    fn session(self) -> Result<Session> {
        let user = UserKey::new(self.organization_id, self.user_id).map_err(Error::unreadable)?;
        Ok(Session {
            id: SessionId(self.id.0),
            user,
            created_at: self.created_at.get(),
            last_activity_at: self.last_activity_at.get(),
        })
    }
}

/// The user's session, if there is one.
pub(crate) fn session_find(link: &mut Link<'_>, user: &UserKey) -> Result<Option<Session>> {
    let values = [user.organization().into(), user.user().into()];
    let row: Option<SessionRow> = link.first(Fixed::<SessionOfUser, 2>::new(values))?;
    row.map(SessionRow::session).transpose()
}

/// The session of that id, if there is one.
pub(crate) fn session_by_id(link: &mut Link<'_>, id: SessionId) -> Result<Option<Session>> {
    let row: Option<SessionRow> = link.first(Fixed::<SessionById, 1>::new([id.0.into()]))?;
    row.map(SessionRow::session).transpose()
}

#[derive(QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The number that no session has had yet.
macro_rules! next_number {
    () => {
        "(max(coalesce((select max(number) from demo_user_sessions), 0), \
         (select highest_number from demo_removed_sessions)) + 1)"
    };
}

fixed_text!(
    /// The first layer follows from the number, as [`layer_of`](crate::binding::layer_of) has it. Values and no SELECT: SQLite
    /// would put aside what it selects from the table that it inserts into.
    CreateOnSqlite,
    concat!(
        "insert into demo_user_sessions \
         (number, id, organization_id, user_id, created_at, last_activity_at, live_layer, live_epoch) \
         values (",
        next_number!(),
        ", ?, ?, ?, ?, ?, ",
        next_number!(),
        " * 16777216 + 1, (select epoch from demo_base)) on conflict (organization_id, user_id) do nothing"
    )
);
fixed_text!(SessionOnPostgres, select_session!("demo.session_of(?, ?, ?, ?, ?)"));
const _: () =
    assert!(LAYERS_PER_SESSION == 16_777_216, "the number in CreateOnSqlite, and in demo.number_first_layer");

/// Makes a session on SQLite for a user who has none; nothing where there is one. One statement, and outside of a
/// transaction one by itself: of any number of simultaneous first calls one makes it.
pub(crate) fn session_create(
    link: &mut Link<'_>,
    user: &UserKey,
    new_id: SessionId,
    now: DateTime<Utc>,
) -> Result<Option<Session>> {
    let values = [new_id.0.into(), user.organization().into(), user.user().into(), now.into(), now.into()];
    let made = link.execute(Fixed::<CreateOnSqlite, 5>::new(values))?;
    // As it will be read back: the databases store microseconds.
    let now = DbTime::new(now).get();
    Ok((made == 1).then(|| Session {
        id: new_id,
        user: user.clone(),
        created_at: now,
        last_activity_at: now,
    }))
}

/// The user's session on PostgreSQL, found and touched or made, in one trip to the server.
pub(crate) fn session_on_postgres(
    link: &mut Link<'_>,
    user: &UserKey,
    new_id: SessionId,
    now: DateTime<Utc>,
) -> Result<Session> {
    let row: Option<SessionRow> = link.first(Fixed::<SessionOnPostgres, 5>::new([
        user.organization().into(),
        user.user().into(),
        new_id.0.into(),
        now.into(),
        touch_is_due_since(now).into(),
    ]))?;
    row.ok_or(Error::UnknownSession)?.session()
}

/// Whether the session's activity at `now` is worth a write.
pub(crate) fn session_touch_is_due(session: &Session, now: DateTime<Utc>) -> bool {
    touch_is_due(session.last_activity_at, now)
}

/// Records activity.
pub(crate) fn session_touch(link: &mut Link<'_>, session: SessionId, now: DateTime<Utc>) -> Result<()> {
    link.execute(Sql::new(
        "update demo_user_sessions set last_activity_at = ? where id = ? and last_activity_at < ?",
        [now.into(), session.0.into(), now.into()],
    ))?;
    Ok(())
}

#[derive(QueryableByName)]
struct LayerRow {
    #[diesel(sql_type = BigInt)]
    live_layer: i64,
}

/// The live layer of a session, read without the write guard.
pub(crate) fn session_live_layer(link: &mut Link<'_>, session: SessionId) -> Result<LayerId> {
    let row: Option<LayerRow> =
        link.first(Sql::new("select live_layer from demo_user_sessions where id = ?", [session.0.into()]))?;
    row.map(|row| LayerId(row.live_layer)).ok_or(Error::UnknownSession)
}

#[derive(QueryableByName)]
struct CountsRow {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = BigInt)]
    created: i64,
    #[diesel(sql_type = BigInt)]
    edited: i64,
    #[diesel(sql_type = BigInt)]
    deleted: i64,
}

fn change_counts(rows: Vec<CountsRow>) -> ChangeCounts {
    let mut counts = ChangeCounts::default();
    for row in rows {
        let kinds = KindCounts {
            created: row.created.unsigned_abs(),
            edited: row.edited.unsigned_abs(),
            deleted: row.deleted.unsigned_abs(),
        };
        counts.add(row.table_name, kinds);
    }
    counts
}

/// What a layer holds. Kept with the layer as it grows: constant cost.
pub(crate) fn layer_counts(link: &mut Link<'_>, layer: LayerId) -> Result<ChangeCounts> {
    let rows = link.load(Sql::new(
        "select table_name, created, edited, deleted from demo_layer_counts where layer = ?",
        [layer.0.into()],
    ))?;
    Ok(change_counts(rows))
}

#[derive(QueryableByName)]
struct TotalRow {
    #[diesel(sql_type = BigInt)]
    total: i64,
}

/// How many changes the live layer of a session holds. Constant cost.
pub(crate) fn live_total(link: &mut Link<'_>, session: SessionId) -> Result<u64> {
    let row: Option<TotalRow> = link.first(Sql::new(
        "select cast(coalesce(sum(c.created + c.edited + c.deleted), 0) as bigint) as total \
         from demo_user_sessions s join demo_layer_counts c on c.layer = s.live_layer where s.id = ?",
        [session.0.into()],
    ))?;
    Ok(row.map_or(0, |row| row.total.unsigned_abs()))
}

/// How many changes the largest live layer holds.
fn largest_total(link: &mut Link<'_>, organization: Option<&str>) -> Result<u64> {
    let mut largest = Sql::default();
    largest.push(
        "select cast(coalesce(max(l.total), 0) as bigint) as total from \
         (select sum(c.created + c.edited + c.deleted) as total \
         from demo_user_sessions s join demo_layer_counts c on c.layer = s.live_layer",
    );
    of_organization(&mut largest, organization);
    largest.push(" group by s.number) as l");
    let row: Option<TotalRow> = link.first(largest)?;
    Ok(row.map_or(0, |row| row.total.unsigned_abs()))
}

/// A condition on the organization, or none.
fn of_organization(sql: &mut Sql, organization: Option<&str>) {
    if let Some(organization) = organization {
        sql.push(" where s.organization_id = ").bind(organization);
    }
}

/// Sessions, most recently active first.
pub(crate) fn session_list(link: &mut Link<'_>, organization: Option<&str>) -> Result<Vec<SessionSummary>> {
    let mut list = Sql::default();
    list.push(
        "select s.id, s.organization_id, s.user_id, s.created_at, s.last_activity_at, s.live_layer \
         from demo_user_sessions s",
    );
    of_organization(&mut list, organization);
    list.push(" order by s.last_activity_at desc, s.number");
    let rows: Vec<SessionRow> = link.load(list)?;
    rows.into_iter()
        .map(|row| {
            let changes = layer_counts(link, LayerId(row.live_layer))?;
            Ok(SessionSummary { session: row.session()?, changes })
        })
        .collect()
}

/// How many sessions were active after `since`.
pub(crate) fn session_count_active(
    link: &mut Link<'_>,
    organization: Option<&str>,
    since: DateTime<Utc>,
) -> Result<u64> {
    let mut sql = Sql::default();
    sql.push("select count(case when s.last_activity_at > ").bind(since);
    sql.push(" then 1 end) as number from demo_user_sessions s");
    of_organization(&mut sql, organization);
    let counted: Option<NumberRow> = link.first(sql)?;
    Ok(counted.map_or(0, |row| row.number.unsigned_abs()))
}

#[derive(QueryableByName)]
struct SessionFigures {
    #[diesel(sql_type = BigInt)]
    sessions: i64,
    #[diesel(sql_type = BigInt)]
    active: i64,
    #[diesel(sql_type = BigInt)]
    stale: i64,
}

#[derive(QueryableByName)]
struct ArchiveFigures {
    #[diesel(sql_type = BigInt)]
    available: i64,
    #[diesel(sql_type = BigInt)]
    expired: i64,
    #[diesel(sql_type = BigInt)]
    restored: i64,
}

/// Figures about one organization, or about all.
pub(crate) fn stats(
    link: &mut Link<'_>,
    organization: Option<&str>,
    idle_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Stats> {
    let mut sessions = Sql::default();
    sessions.push("select count(*) as sessions, count(case when s.last_activity_at > ");
    sessions
        .bind(now - Duration::days(7))
        .push(" then 1 end) as active, count(case when s.last_activity_at <= ");
    sessions.bind(idle_since).push(" then 1 end) as stale from demo_user_sessions s");
    of_organization(&mut sessions, organization);
    let sessions: Option<SessionFigures> = link.first(sessions)?;

    let mut archives = Sql::default();
    archives.push("select count(case when a.restored_at is null and a.expires_at > ").bind(now);
    archives.push(" then 1 end) as available, count(case when a.restored_at is null and a.expires_at <= ");
    archives.bind(now).push(
        " then 1 end) as expired, count(a.restored_at) as restored \
         from demo_archives a join demo_user_sessions s on s.number = a.session_number",
    );
    of_organization(&mut archives, organization);
    let archives: Option<ArchiveFigures> = link.first(archives)?;

    let mut changes = Sql::default();
    changes.push(
        "select c.table_name, cast(sum(c.created) as bigint) as created, cast(sum(c.edited) as bigint) as edited, \
         cast(sum(c.deleted) as bigint) as deleted \
         from demo_user_sessions s join demo_layer_counts c on c.layer = s.live_layer",
    );
    of_organization(&mut changes, organization);
    changes.push(" group by c.table_name");
    let changes = change_counts(link.load(changes)?);

    let count = |number: Option<i64>| number.unwrap_or_default().unsigned_abs();
    Ok(Stats {
        base: base_counts(link)?,
        sessions: count(sessions.as_ref().map(|row| row.sessions)),
        sessions_active_7d: count(sessions.as_ref().map(|row| row.active)),
        sessions_stale_30d: count(sessions.as_ref().map(|row| row.stale)),
        changes,
        archives_available: count(archives.as_ref().map(|row| row.available)),
        archives_expired: count(archives.as_ref().map(|row| row.expired)),
        archives_restored: count(archives.as_ref().map(|row| row.restored)),
        largest_layer: largest_total(link, organization)?,
        last_cleanup: cleanup_last(link)?,
    })
}

/// The next number of a session's sequence: one more than the larger of `floor` and the last one handed out,
/// whatever was reset in between. Runs in a unit of work that is bound for writing.
pub(crate) fn sequence_next(link: &mut Link<'_>, session_number: i64, name: &str, floor: i64) -> Result<i64> {
    let next: Option<NumberRow> = link.first(Sql::new(
        "insert into demo_sequences (session_number, name, last_number) values (?, ?, ?) \
         on conflict (session_number, name) do update set last_number = case \
         when demo_sequences.last_number >= excluded.last_number then demo_sequences.last_number + 1 \
         else excluded.last_number end returning last_number as number",
        [session_number.into(), name.into(), (floor + 1).into()],
    ))?;
    next.map(|row| row.number).ok_or(Error::NotBoundForWriting)
}
