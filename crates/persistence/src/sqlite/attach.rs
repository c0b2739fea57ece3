//! Puts the base's tables under sessions: change tables in the sessions file, and the script of TEMP objects.

use std::path::Path;

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::base_file;
use super::connect;
use super::ddl;
use super::discover::{self, discover, has_declared_collation};
use super::hidden;
use crate::adapt::{self, Adaptation};
use crate::attach::{AttachOptions, Attached, Claim, attached_rows, change_count};
use crate::binding::{Mode, in_transaction};
use crate::connection::{Link, SessionConnection, Sql};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::host::AttachReport;
use crate::spec::{ForeignKeySpec, IndexSpec, IndexTerm, TableSpec};
use crate::{migrate, reconcile, verify};

/// The id of a base that carries none: a host's.
const HOST_BASE: &str = "host";

#[derive(QueryableByName)]
struct ViewsRow {
    #[diesel(sql_type = Bool)]
    tracking_columns: bool,
}

#[derive(QueryableByName)]
struct ActiveRow {
    #[diesel(sql_type = Text)]
    base_id: String,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Bool)]
    tracking_columns: bool,
    #[diesel(sql_type = Bool)]
    is_sealed: bool,
    #[diesel(sql_type = Bool)]
    of_host: bool,
    #[diesel(sql_type = Bool)]
    all_tables: bool,
    #[diesel(sql_type = Text)]
    stamp: String,
    #[diesel(sql_type = Nullable<Text>)]
    row_ids_of: Option<String>,
}

/// Discovers the attached tables.
pub(crate) fn attached(link: &mut Link<'_>) -> Result<Attached> {
    let names = attached_rows(link)?;
    let views: Option<ViewsRow> = link.first(Sql::new("select tracking_columns from main.demo_base", []))?;
    let discovery = discover(link)?;
    let is_attached = |table: &TableSpec| names.iter().any(|row| row.name == table.name);
    let (tables, outside) = discovery.tables.into_iter().partition(is_attached);
    Ok(Attached {
        tables,
        outside,
        views: discovery.views,
        tracking_columns: views.is_some_and(|row| row.tracking_columns),
    })
}

/// The statements that make the TEMP objects of a connection.
pub(crate) fn connection_script(link: &mut Link<'_>) -> Result<String> {
    let mut attached = attached(link)?;
    let enforces: Option<EnforcesRow> =
        link.first(Sql::new("select foreign_keys as enforces from pragma_foreign_keys", []))?;
    if !enforces.is_some_and(|row| row.enforces) {
        // A connection of a host's that does not enforce them on its tables does not on the views either.
        for table in attached.tables.iter_mut().chain(&mut attached.outside) {
            table.foreign_keys.clear();
        }
    }
    Ok(ddl::connection_objects(&attached))
}

#[derive(QueryableByName)]
struct EnforcesRow {
    #[diesel(sql_type = Bool)]
    enforces: bool,
}

/// Opens the files, migrates the sessions file, and takes up the base that is there now: where it is another one
/// than before, its manifest becomes the one to verify against and a new epoch begins.
pub(crate) fn take_up(
    base: &Path,
    sessions: &Path,
    options: &AttachOptions,
    claim: Claim,
    now: DateTime<Utc>,
) -> Result<(Attached, AttachReport)> {
    let mut conn = connect::open_both(base, sessions)?;
    refuse_other_file(&mut conn, sessions)?;
    // Readers and the writer work at the same time only in WAL mode; the mode stays with the file.
    conn.batch_execute("pragma main.journal_mode = wal;")?;
    migrate::migrate(&mut conn)?;
    in_transaction(&mut conn, Mode::Write, |conn| {
        let stamp = base_file::stamp(base)?;
        take_up_in(conn, base, options, claim, &stamp, now)
    })
}

#[derive(QueryableByName)]
struct ObjectsRow {
    #[diesel(sql_type = BigInt)]
    ours: i64,
    #[diesel(sql_type = BigInt)]
    objects: i64,
}

/// Refuses a file at the place of the sessions file that is another database, before anything is written into it.
/// What a killed start has left, the bookkeeping of migrations at most, is ours.
fn refuse_other_file(conn: &mut SqliteConnection, sessions: &Path) -> Result<()> {
    let row: Option<ObjectsRow> = conn.link().first(Sql::new(
        "select count(case when name = 'demo_user_sessions' then 1 end) as ours, count(*) as objects \
         from main.sqlite_schema where tbl_name <> '__diesel_schema_migrations' and name not like 'sqlite!_%' escape '!'",
        [],
    ))?;
    if row.is_some_and(|row| row.ours == 0 && row.objects > 0) {
        return Err(Error::File {
            path: sessions.to_owned(),
            reason: "it stands where the sessions are kept, and is another database: move it away".to_owned(),
        });
    }
    Ok(())
}

/// The same on a connection that has the two files open and is in a transaction.
pub(crate) fn take_up_in(
    conn: &mut SqliteConnection,
    base: &Path,
    options: &AttachOptions,
    claim: Claim,
    stamp: &str,
    now: DateTime<Utc>,
) -> Result<(Attached, AttachReport)> {
    let mut link = conn.link();
    let active: Option<ActiveRow> = link.first(Sql::new(
        "select base_id, epoch, tracking_columns, sealed_at is not null as is_sealed, of_host, all_tables, stamp, \
         row_ids_of \
         from main.demo_base",
        [],
    ))?;
    let carried = base_file::carried_seal(&mut link)?;
    let is_known_host = active.as_ref().is_some_and(|active| active.of_host);
    if carried.is_none() && claim == Claim::Open && !is_known_host {
        let reason = format!(
            "{} has tables but no seal: it was neither loaded by demo-reset nor attached, or its load was not \
             finished",
            base.display()
        );
        return Err(Error::NotSealed { reason });
    }
    let (attached, mut report) = attach(&mut link, options)?;
    let of_host = carried.is_none();
    let base_id = carried.as_ref().map_or(HOST_BASE, |(id, _)| id.as_str()).to_owned();
    let is_same = active.as_ref().is_some_and(|active| {
        active.base_id == base_id
            && active.is_sealed
            && active.tracking_columns == options.tracking_columns
            && (!of_host
                || (!report.tables_changed
                    && active.all_tables == options.tables.is_none()
                    && match claim {
                        Claim::Attach => active.stamp == stamp,
                        Claim::Open => base_file::same_schema(&active.stamp, stamp),
                    }))
    });
    if is_same {
        let row_ids_of = active.as_ref().and_then(|active| active.row_ids_of.as_deref());
        if !of_host && (report.tables_changed || row_ids_of != Some(stamp)) {
            hidden::note_anew(&mut link, &attached.tables, stamp)?;
        }
        if let Some(active) = &active
            && !of_host
            && row_ids_of.is_some_and(|of| of != stamp)
        {
            // The same base in another file, or in another state: who has it open as it was must not note its row ids.
            report.epoch = active.epoch + 1;
            link.execute(Sql::new("update main.demo_base set epoch = ?", [report.epoch.into()]))?;
        }
        return Ok((attached, report));
    }
    let names: Vec<String> = match &carried {
        Some((_, manifest)) => manifest.iter().map(|seal| seal.table.clone()).collect(),
        None => attached.tables.iter().map(|table| table.name.clone()).collect(),
    };
    let present = discover::base_tables(&mut conn.link())?;
    let mut computed = Vec::new();
    for name in names.iter().filter(|name| present.contains(name)) {
        computed.push(base_file::row_seal(conn, "base", name)?);
    }
    let manifest = match carried {
        Some((_, manifest)) => manifest,
        None => computed.iter().map(|(seal, _)| seal.clone()).collect(),
    };
    let mut link = conn.link();
    verify::store_manifest(&mut link, &manifest)?;
    // Rows of a table that is not as the base file was sealed are no witnesses of how it was.
    for (seal, hashes) in computed.into_iter().filter(|(seal, _)| manifest.contains(seal)) {
        verify::store_row_hashes(&mut link, &seal.table, hashes)?;
    }
    report.epoch = active.map_or(1, |active| active.epoch + 1);
    report.reconciled = reconcile::reconcile(&mut link, &attached.tables)?;
    link.execute(Sql::new(
        "insert or replace into main.demo_base \
         (one, base_id, epoch, tracking_columns, sealed_at, stamp, of_host, all_tables) \
         values (1, ?, ?, ?, ?, ?, ?, ?)",
        [
            base_id.as_str().into(),
            report.epoch.into(),
            i64::from(options.tracking_columns).into(),
            now.into(),
            stamp.into(),
            i64::from(of_host).into(),
            i64::from(options.tables.is_none()).into(),
        ],
    ))?;
    if !of_host {
        hidden::note_anew(&mut link, &attached.tables, stamp)?;
    }
    Ok((attached, report))
}

/// What attaching with `options` would cover.
pub(crate) fn report(link: &mut Link<'_>, options: &AttachOptions) -> Result<AttachReport> {
    Ok(AttachReport::of(&discover(link)?, options, Dialect::Sqlite))
}

/// Makes the change tables that are missing, makes those anew whose table has changed, and removes those of tables
/// that are no longer attached. Runs inside a transaction.
///
/// No change is ever dropped: where changes do not fit the new definition of their table, the attach is refused with
/// the difference.
fn attach(link: &mut Link<'_>, options: &AttachOptions) -> Result<(Attached, AttachReport)> {
    let discovery = discover(link)?;
    let is_wanted = |name: &str| options.wants(name, Dialect::Sqlite);
    let mut reasons: Vec<String> = discovery
        .refused
        .iter()
        .filter(|(name, _)| is_wanted(name))
        .map(|(name, reason)| format!("table {name}: {reason}"))
        .collect();
    let known = discover::base_tables(link)?;
    for wanted in options.tables.iter().flatten() {
        if !known.iter().any(|name| name.eq_ignore_ascii_case(wanted)) {
            reasons.push(format!("table {wanted}: the base has no such table"));
        }
    }
    let mut report = AttachReport::of(&discovery, options, Dialect::Sqlite);
    let (tables, outside): (Vec<_>, Vec<_>) =
        discovery.tables.into_iter().partition(|table| is_wanted(&table.name));
    if tables.is_empty() && reasons.is_empty() {
        reasons.push("the base has no table to attach".to_owned());
    }
    for table in &tables {
        for key in &table.foreign_keys {
            if !known.iter().any(|name| name.eq_ignore_ascii_case(&key.parent)) {
                reasons.push(format!(
                    "table {}: it refers to the table {}, which is missing",
                    table.name, key.parent
                ));
                continue;
            }
            let refused = discovery.refused.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key.parent));
            match refused {
                Some((name, _)) if is_wanted(name) => {}
                Some((name, reason)) => reasons.push(format!(
                    "table {}: it refers to the table {name}, which cannot be looked at: {reason}",
                    table.name
                )),
                None => reasons.extend(mismatch(table, key, tables.iter().chain(&outside))),
            }
        }
    }
    let existing = attached_rows(link)?;
    for row in &existing {
        if !tables.iter().any(|table| table.name == row.name) {
            let changes = change_count(link, &row.name)?;
            if changes > 0 {
                reasons.push(format!(
                    "table {}: it is gone or no longer wanted, but sessions hold {changes} change(s) to it",
                    row.name
                ));
            }
        }
    }
    if !reasons.is_empty() {
        return Err(Error::Attach { reasons });
    }
    // Its arms name the change tables that are about to go.
    link.batch("drop view if exists main.demo_archived_changes;")?;
    for row in &existing {
        if !tables.iter().any(|table| table.name == row.name) {
            report.tables_changed = true;
            link.batch(&ddl::drop_change_table(&row.name))?;
            remove_row(link, &row.name)?;
        }
    }
    for table in &tables {
        let definition = definition_of(table);
        match existing.iter().find(|row| row.name == table.name) {
            Some(row) if row.definition == definition => continue,
            Some(_) => {
                report.adapted.push(adapted(adapt::rebuild(link, table))?);
                remove_row(link, &table.name)?;
            }
            None => adapt::make(link, table)?,
        }
        report.tables_changed = true;
        link.execute(Sql::new(
            "insert into main.demo_attached_tables (name, definition) values (?, ?)",
            [table.name.as_str().into(), definition.as_str().into()],
        ))?;
    }
    link.batch(&ddl::archived_changes_view(&tables))?;
    let attached = Attached::new(tables, outside, discovery.views, options);
    Ok((attached, report))
}

/// Why SQLite itself would refuse to work with a foreign key: its parent's columns are not unique together, as their
/// declared collations compare. (SQLite says so when rows are written, not when the table is made.)
fn mismatch<'a>(
    table: &TableSpec,
    key: &ForeignKeySpec,
    mut all: impl Iterator<Item = &'a TableSpec>,
) -> Option<String> {
    let parent = all.find(|parent| parent.name.eq_ignore_ascii_case(&key.parent))?;
    let columns: Option<Vec<usize>> = key.parent_columns.iter().map(|name| parent.column(name)).collect();
    let is_target = columns.is_some_and(|mut columns| {
        columns.sort_unstable();
        let is_all = |mut others: Vec<usize>| {
            others.sort_unstable();
            others == columns
        };
        let by_index = |index: &IndexSpec| {
            let plain = index.parts.iter().map(|part| match part.term {
                IndexTerm::Column(at) if has_declared_collation(&parent.columns[at], part) => Some(at),
                _ => None,
            });
            index.predicate.is_none() && plain.collect::<Option<Vec<usize>>>().is_some_and(is_all)
        };
        key.columns.len() == columns.len()
            && (is_all(parent.key.clone()) || parent.uniques.iter().any(by_index))
    });
    (!is_target).then(|| {
        format!(
            "table {}: it refers to {} ({}), which is neither the key of that table nor unique (SQLite calls it a \
             foreign key mismatch): make it unique, or drop the reference",
            table.name,
            parent.name,
            key.parent_columns.join(", ")
        )
    })
}

fn adapted(rebuilt: Result<Adaptation>) -> Result<Adaptation> {
    let adaptation = rebuilt?;
    log::info!("table {}: {}", adaptation.table, adaptation.differences.join(", "));
    Ok(adaptation)
}

fn remove_row(link: &mut Link<'_>, table: &str) -> Result<()> {
    link.execute(Sql::new("delete from main.demo_attached_tables where name = ?", [table.into()]))?;
    Ok(())
}

/// A change table is right for a table exactly while the statements that make it stay the same.
fn definition_of(table: &TableSpec) -> String {
    blake3::hash(ddl::change_table(table).as_bytes()).to_hex().to_string()
}
