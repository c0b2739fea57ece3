//! The base on PostgreSQL: how it is loaded, sealed, guarded and compared.

use std::panic::resume_unwind;
use std::thread;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Binary, Bool, Text};
use diesel::{PgConnection, QueryableByName};

use super::attach::{self, grant};
use super::connect::{self, APPLICATION_ROLE};
use super::host;
use crate::attach::{AttachOptions, Attached, Claim};
use crate::binding::{Mode, in_transaction};
use crate::connection::{AnyConnection, Link, SessionConnection, Sql};
use crate::database::BaseState;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::host::AttachReport;
use crate::search::SearchIndex;
use crate::spec::{TableSpec, is_bookkeeping};
use crate::sql_text::{join, literal, quote};
use crate::types::{DbJson, sql};
use crate::verify::{NotSealed, TableSeal, store_manifest, store_row_hashes};
use crate::{migrate, reconcile, verify};

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

#[derive(QueryableByName)]
struct FingerprintRow {
    #[diesel(sql_type = BigInt)]
    row_count: i64,
    #[diesel(sql_type = Text)]
    fingerprint: String,
}

#[derive(QueryableByName)]
struct RowSealRow {
    #[diesel(sql_type = BigInt)]
    row_count: i64,
    #[diesel(sql_type = Text)]
    fingerprint: String,
    #[diesel(sql_type = Binary)]
    row_hashes: Vec<u8>,
}

#[derive(QueryableByName)]
struct FoundRow {
    #[diesel(sql_type = sql::Json)]
    found: DbJson,
}

#[derive(QueryableByName)]
struct StateRow {
    #[diesel(sql_type = Bool)]
    is_sealed: bool,
    #[diesel(sql_type = Bool)]
    of_host: bool,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

#[derive(QueryableByName)]
struct BaseRow {
    #[diesel(sql_type = Bool)]
    is_sealed: bool,
    #[diesel(sql_type = Bool)]
    of_host: bool,
    #[diesel(sql_type = Bool)]
    all_tables: bool,
    #[diesel(sql_type = Bool)]
    tracking_columns: bool,
}

/// The names of all ordinary tables of `public`, migration bookkeeping left out.
pub(crate) fn base_tables(link: &mut Link<'_>) -> Result<Vec<String>> {
    let names: Vec<Name> = link.load(Sql::new(
        "select relname::text as name from pg_class where relnamespace = 'public'::regnamespace \
         and relkind in ('r', 'p') and not relispartition order by relname",
        [],
    ))?;
    Ok(names.into_iter().map(|row| row.name).filter(|name| !is_bookkeeping(name)).collect())
}

/// Counts and fingerprints a table. One that the server may not read, since it appeared after the seal, has no
/// fingerprint and counts as empty.
pub(crate) fn table_seal(link: &mut Link<'_>, table: &str) -> Result<TableSeal> {
    let name = qualified(table);
    let readable: Option<Flag> =
        link.first(Sql::new("select has_table_privilege(?, 'select') as flag", [name.as_str().into()]))?;
    if !readable.is_some_and(|row| row.flag) {
        return Ok(TableSeal { table: table.to_owned(), rows: 0, fingerprint: String::new() });
    }
    let row: Option<FingerprintRow> = link.first(Sql::new(
        "select row_count, fingerprint from demo.table_fingerprint(?::regclass)",
        [name.as_str().into()],
    ))?;
    let row = row.ok_or(Error::NotSealed { reason: format!("{table} has no fingerprint") })?;
    Ok(TableSeal {
        table: table.to_owned(),
        rows: row.row_count.unsigned_abs(),
        fingerprint: row.fingerprint,
    })
}

/// [`table_seal`] of a table of the owner's, with the hashes of its rows.
fn row_seal(link: &mut Link<'_>, table: &str) -> Result<(TableSeal, Vec<u8>)> {
    let row: Option<RowSealRow> = link.first(Sql::new(
        "select row_count, fingerprint, row_hashes from demo.table_seal(?::regclass)",
        [qualified(table).as_str().into()],
    ))?;
    let row = row.ok_or(Error::NotSealed { reason: format!("{table} has no fingerprint") })?;
    let seal = TableSeal {
        table: table.to_owned(),
        rows: row.row_count.unsigned_abs(),
        fingerprint: row.fingerprint,
    };
    Ok((seal, row.row_hashes))
}

/// The rows of a base table that are not as they were sealed; none where their hashes are not kept.
pub(crate) fn rows_not_sealed(
    link: &mut Link<'_>,
    table: &TableSpec,
    most: u32,
) -> Result<Option<NotSealed>> {
    let found: Option<FoundRow> = link.first(Sql::new(
        "select demo.rows_not_sealed(?::regclass, ?, row_hashes, ?) as found from demo.demo_row_seals where table_name = ?",
        [
            qualified(&table.name).as_str().into(),
            Dialect::Postgres.key_as_json_text(table, "x").as_str().into(),
            i64::from(most).into(),
            table.name.as_str().into(),
        ],
    ))?;
    let Some(FoundRow { found }) = found else { return Ok(None) };
    let (count, gone, keys) = serde_json::from_value(found.0).map_err(Error::unreadable)?;
    Ok(Some(NotSealed { count, gone, keys }))
}

/// Whether the engine's tables are there, of a version that knows hosts.
pub(crate) fn has_engine(link: &mut Link<'_>) -> Result<bool> {
    let row: Option<Flag> = link.first(Sql::new(
        "select exists (select 1 from pg_attribute where attrelid = to_regclass('demo.demo_base') \
         and attname = 'of_host') as flag",
        [],
    ))?;
    Ok(row.is_some_and(|row| row.flag))
}

/// What is in the database.
pub(crate) fn state(url: &str) -> Result<BaseState> {
    let mut conn = connect::open(url)?;
    if !is_owner(&mut conn)? && !connect::work_as(&mut Link::Postgres(&mut conn), APPLICATION_ROLE)? {
        return Err(login_error(&mut conn, NEITHER)?);
    }
    holds(&mut Link::Postgres(&mut conn))
}

fn holds(link: &mut Link<'_>) -> Result<BaseState> {
    let has_tables = !base_tables(link)?.is_empty();
    let sealed: Option<StateRow> = if has_engine(link)? {
        link.first(Sql::new(
            "select sealed_at is not null as is_sealed, of_host, \
             (select coalesce(sum(row_count), 0)::bigint from demo.demo_manifest) as rows from demo.demo_base",
            [],
        ))?
    } else {
        None
    };
    Ok(match sealed {
        Some(row) if row.of_host => BaseState::Attached,
        Some(row) if row.is_sealed && row.rows > 0 => BaseState::Sealed,
        Some(row) if row.is_sealed => BaseState::Empty,
        _ if has_tables => BaseState::Unsealed,
        _ => BaseState::Missing,
    })
}

/// A table's name, as statements name it whatever the search path.
fn qualified(table: &str) -> String {
    format!("public.{}", quote(table))
}

fn all_qualified(tables: &[String]) -> Vec<String> {
    tables.iter().map(|table| qualified(table)).collect()
}

/// The names of the guard triggers on a base table.
const GUARDS: [(&str, &str); 2] =
    [("demo_guard_write", "insert or update or delete"), ("demo_guard_truncate", "truncate")];

pub(crate) fn guard(table: &str) -> String {
    let create = |(name, events): (&str, &str)| {
        format!(
            "create or replace trigger {name} before {events} on public.{} for each statement \
             execute function demo.guard_base();\n",
            quote(table)
        )
    };
    GUARDS.map(create).concat()
}

pub(crate) fn unguard(table: &str) -> String {
    GUARDS.map(|(name, _)| format!("drop trigger if exists {name} on public.{};\n", quote(table))).concat()
}

/// Takes the manifest of `tables`, guards them, and begins a new epoch. Runs in a transaction of the owner.
fn seal(
    link: &mut Link<'_>,
    tables: &[String],
    base_id: &str,
    options: Option<&AttachOptions>,
    now: DateTime<Utc>,
) -> Result<()> {
    // Nobody writes between the count and the guard.
    let names = all_qualified(tables);
    if !names.is_empty() {
        link.batch(&format!("lock table {} in share row exclusive mode;", names.join(", ")))?;
    }
    let sealed = tables.iter().map(|table| row_seal(link, table)).collect::<Result<Vec<_>>>()?;
    let (seals, hashes): (Vec<_>, Vec<_>) = sealed.into_iter().unzip();
    let before: Vec<Name> =
        link.load(Sql::new("select table_name as name from demo.demo_manifest order by table_name", []))?;
    let present = base_tables(link)?;
    let gone = before.into_iter().map(|row| row.name).filter(|name| !tables.contains(name));
    let unguards: String = gone.filter(|name| present.contains(name)).map(|name| unguard(&name)).collect();
    store_manifest(link, &seals)?;
    for (table, hashes) in tables.iter().zip(hashes) {
        store_row_hashes(link, table, hashes)?;
    }
    link.batch(&(unguards + &tables.iter().map(|table| guard(table)).collect::<String>()))?;
    let flag = |value: bool| if value { "true" } else { "false" };
    let mut update = Sql::default();
    update.push("insert into demo.demo_base as b (one, base_id, epoch, tracking_columns, sealed_at, application_role, of_host, all_tables) values (1, ");
    update
        .bind(base_id)
        .push(&format!(", 1, {}, ", flag(options.is_some_and(|options| options.tracking_columns))));
    update.bind(now).push(&format!(
        ", {}, {}, {}) on conflict (one) do update set base_id = excluded.base_id, epoch = b.epoch + 1, \
         sealed_at = excluded.sealed_at, of_host = excluded.of_host, all_tables = excluded.all_tables{}",
        literal(APPLICATION_ROLE),
        flag(options.is_some()),
        flag(options.is_none_or(|options| options.tables.is_none())),
        if options.is_some() { ", tracking_columns = excluded.tracking_columns" } else { "" },
    ));
    link.execute(update)?;
    grant(link)
}

/// Empties the base tables, builds the base anew with `build`, and seals it, all in one transaction. With
/// `only_first` a base that is there by now stays; whether one was built.
pub(crate) fn load<E: From<Error>>(
    url: &str,
    base_id: &str,
    now: DateTime<Utc>,
    only_first: bool,
    build: impl FnOnce(&mut AnyConnection) -> std::result::Result<(), E>,
) -> std::result::Result<bool, E> {
    let mut owner = connect::open(url)?;
    if !is_owner(&mut owner)? {
        return Err(login_error(&mut owner, NOT_OWNER)?.into());
    }
    migrate::migrate_postgres(&mut owner)?;
    let mut conn = AnyConnection::Postgres(owner);
    in_transaction(&mut conn, Mode::Write, |conn| {
        // One load at a time, and none beside an attach.
        conn.link().batch("select pg_advisory_xact_lock(hashtext('demo-reset'), 1)")?;
        if only_first && holds(&mut conn.link())? == BaseState::Sealed {
            return Ok(false);
        }
        let tables = base_tables(&mut conn.link())?;
        if !tables.is_empty() {
            let names = all_qualified(&tables);
            let unguards: String = tables.iter().map(|table| unguard(table)).collect();
            conn.link().batch(&format!("{unguards}truncate {};", names.join(", ")))?;
        }
        conn.link().batch("set local search_path = public;")?;
        build(conn)?;
        let mut link = conn.link();
        let tables = base_tables(&mut link)?;
        analyze(&mut link)?;
        link.batch("set local search_path = demo, public;")?;
        seal(&mut link, &tables, base_id, None, now)?;
        let attached = attach::attached(&mut link)?;
        reconcile::reconcile(&mut link, &attached.tables)?;
        Ok(true)
    })
}

/// [`crate::make_search_indexes`].
pub(crate) fn make_search_indexes(url: &str, indexes: &[SearchIndex]) -> Result<()> {
    let mut conn = connect::open(url)?;
    if !is_owner(&mut conn)? || holds(&mut conn.link())? != BaseState::Sealed {
        return Ok(());
    }
    let mut missing = Vec::new();
    for index in indexes {
        let name = qualified(&index.name());
        let row: Option<Flag> =
            conn.link().first(Sql::new("select to_regclass(?) is null as flag", [name.as_str().into()]))?;
        if row.is_some_and(|row| row.flag) {
            missing.push(index);
        }
    }
    drop(conn);
    thread::scope(|scope| {
        let makers: Vec<_> =
            missing.into_iter().map(|index| scope.spawn(|| make_search_index(url, index))).collect();
        // All are waited for, whatever the first of them says.
        let made: Vec<Result<()>> = makers
            .into_iter()
            .map(|maker| maker.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect();
        made.into_iter().collect()
    })
}

fn make_search_index(url: &str, index: &SearchIndex) -> Result<()> {
    let mut conn = AnyConnection::Postgres(connect::open(url)?);
    in_transaction(&mut conn, Mode::Write, |conn| {
        let mut link = conn.link();
        // Another server that starts may be making the same index: `if not exists` alone looks before it waits.
        link.execute(Sql::new(
            "select pg_advisory_xact_lock(hashtext('demo-reset'), hashtext(?))",
            [index.name().as_str().into()],
        ))?;
        link.batch("set local search_path = public;")?;
        index.make(conn)
    })
}

/// Gives the planner its first statistics of the base tables, of a tenth of the usual sample and of the columns that an
/// index holds, between which it chooses: autovacuum takes the whole one a minute later, when nobody waits for it.
///
/// Where columns are named, no text is taken apart for the statistics of an index of words.
fn analyze(link: &mut Link<'_>) -> Result<()> {
    let tables: Vec<Name> = link.load(Sql::new(
        "select 'public.' || quote_ident(t.relname) || coalesce((select '(' || string_agg(quote_ident(a.attname), ', ') || ')' \
           from pg_attribute a where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped \
           and exists (select from pg_index i where i.indrelid = t.oid and a.attnum = any (i.indkey))), '') as name \
         from pg_class t where t.relnamespace = 'public'::regnamespace and t.relkind in ('r', 'p') \
         and not t.relispartition order by t.relname",
        [],
    ))?;
    if tables.is_empty() {
        return Ok(());
    }
    let tables = join(tables.into_iter().map(|row| row.name), ", ");
    link.batch(&format!("set local default_statistics_target = 10; analyze {tables};"))
}

/// Migrates if the login owns the engine's schema, and attaches; a login of the application role only looks
/// whether everything is current.
pub(crate) fn take_up(url: &str, options: &AttachOptions, now: DateTime<Utc>) -> Result<Attached> {
    let mut conn = connect::open(url)?;
    if !is_owner(&mut conn)? {
        if !connect::work_as(&mut Link::Postgres(&mut conn), APPLICATION_ROLE)? {
            return Err(login_error(&mut conn, NEITHER)?);
        }
        connect::warn_of_other_languages(&mut Link::Postgres(&mut conn))?;
        migrate::check_current(&mut Link::Postgres(&mut conn))?;
        return in_transaction(&mut conn, Mode::Read, |conn| {
            let mut link = conn.link();
            if base_row(&mut link)?.is_some_and(|row| row.of_host && !row.is_sealed) {
                return Err(Error::Suspended);
            }
            attach::attached_currently(&mut link, options)
        });
    }
    migrate::migrate_postgres(&mut conn)?;
    let attached = in_transaction(&mut conn, Mode::Write, |conn| {
        Ok::<_, Error>(take_up_in(conn, options, Claim::Open, now)?.0)
    })?;
    let mut link = Link::Postgres(&mut conn);
    connect::let_speak_english(&mut link)?;
    connect::warn_of_other_languages(&mut link)?;
    Ok(attached)
}

fn base_row(link: &mut Link<'_>) -> Result<Option<BaseRow>> {
    link.first(Sql::new(
        "select sealed_at is not null as is_sealed, of_host, all_tables, tracking_columns from demo.demo_base",
        [],
    ))
}

/// Attaches, and takes a host's base up as it is now where it was suspended, where its schema or what is attached of
/// it has changed, or where its owner says so. Runs in a transaction of the owner, over migrated tables.
pub(crate) fn take_up_in(
    conn: &mut PgConnection,
    options: &AttachOptions,
    claim: Claim,
    now: DateTime<Utc>,
) -> Result<(Attached, AttachReport)> {
    let mut link = conn.link();
    link.batch("select pg_advisory_xact_lock(hashtext('demo-reset'), 1)")?;
    let base = base_row(&mut link)?;
    let of_host = base.as_ref().map_or(claim == Claim::Attach, |row| row.of_host);
    let is_sealed = base.as_ref().is_some_and(|row| row.is_sealed);
    if !of_host && !is_sealed {
        return Err(Error::NotSealed { reason: "the database has no sealed base".to_owned() });
    }
    if !of_host {
        link.execute(Sql::new(
            if options.tracking_columns {
                "update demo.demo_base set tracking_columns = true where not tracking_columns"
            } else {
                "update demo.demo_base set tracking_columns = false where tracking_columns"
            },
            [],
        ))?;
        return attach::attach(&mut link, options, false);
    }
    host::resume(&mut link)?;
    let (attached, mut report) = attach::attach(&mut link, options, !is_sealed)?;
    let is_as_asked = base.as_ref().is_some_and(|row| {
        row.tracking_columns == options.tracking_columns && row.all_tables == options.tables.is_none()
    });
    let tables: Vec<String> = attached.tables.iter().map(|table| table.name.clone()).collect();
    let is_same = is_sealed
        && is_as_asked
        && !report.tables_changed
        && (claim == Claim::Open || verify::verify(&mut link)?.base_is_intact());
    if !is_same {
        seal(&mut link, &tables, HOST_BASE, Some(options), now)?;
        report.epoch = verify::epoch(&mut link)?;
        report.reconciled = reconcile::reconcile(&mut link, &attached.tables)?;
    }
    Ok((attached, report))
}

/// What a login is told that is no member of the application role.
const NEITHER: &str = "neither owns the schema demo nor may work as the role demo_app";

/// What a login is told that is not the owner's.
const NOT_OWNER: &str = "may not load base data or migrate: use the owner's login for that";

fn login_error(conn: &mut PgConnection, reason: &str) -> Result<Error> {
    let row: Option<Name> = Link::Postgres(conn).first(Sql::new("select session_user::text as name", []))?;
    let login = row.map(|row| row.name).unwrap_or_default();
    Ok(Error::Login { login, reason: reason.to_owned() })
}
/// The id of a base that the engine has not loaded.
const HOST_BASE: &str = "host";

/// Whether the login may change the engine's schema, or make it.
fn is_owner(conn: &mut PgConnection) -> Result<bool> {
    let row: Option<Flag> = Link::Postgres(conn).first(Sql::new(
        "select case when to_regnamespace('demo') is null \
         then has_database_privilege(current_database(), 'create') \
         else pg_has_role(current_user, (select nspowner from pg_namespace where nspname = 'demo'), 'usage') end as flag",
        [],
    ))?;
    Ok(row.is_some_and(|row| row.flag))
}
