//! Puts the base's tables under sessions: change tables in the sessions file, and the script of TEMP objects.

use std::path::Path;

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Bool, Text};

use super::base_file;
use super::connect;
use super::ddl;
use super::discover::{self, discover};
use crate::attach::{AttachOptions, Attached, attached_rows, change_count};
use crate::binding::{Mode, in_transaction};
use crate::connection::{Link, SessionConnection, Sql};
use crate::error::{Error, Result};
use crate::spec::TableSpec;
use crate::{migrate, reconcile, verify};

#[derive(QueryableByName)]
struct TrackingRow {
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
}

/// Discovers the attached tables.
pub(crate) fn attached(link: &mut Link<'_>) -> Result<Attached> {
    let names = attached_rows(link)?;
    let tracking: Option<TrackingRow> =
        link.first(Sql::new("select tracking_columns from main.demo_base", []))?;
    let all = discover(link)?.tables;
    let is_attached = |table: &TableSpec| names.iter().any(|row| row.name == table.name);
    let (tables, outside) = all.into_iter().partition(is_attached);
    Ok(Attached { tables, outside, tracking_columns: tracking.is_some_and(|row| row.tracking_columns) })
}

/// The statements that make the TEMP objects of a connection.
pub(crate) fn connection_script(link: &mut Link<'_>) -> Result<String> {
    Ok(ddl::connection_objects(&attached(link)?))
}

/// Opens the files, migrates the sessions file, and takes up the base that is there now: where it is another one
/// than before, its manifest becomes the one to verify against and a new epoch begins.
pub(crate) fn take_up(
    base: &Path,
    sessions: &Path,
    options: &AttachOptions,
    now: DateTime<Utc>,
) -> Result<Attached> {
    let mut conn = connect::open_both(base, sessions)?;
    // Readers and the writer work at the same time only in WAL mode; the mode stays with the file.
    conn.batch_execute("pragma main.journal_mode = wal;")?;
    migrate::migrate(&mut conn)?;
    in_transaction(&mut conn, Mode::Write, |conn| {
        let mut link = conn.link();
        let Some((base_id, manifest)) = base_file::carried_seal(&mut link)? else {
            let reason =
                format!("{} has tables but no seal, as if its load was not finished", base.display());
            return Err(Error::NotSealed { reason });
        };
        let attached = attach(&mut link, options)?;
        let active: Option<ActiveRow> =
            link.first(Sql::new("select base_id, epoch, tracking_columns from main.demo_base", []))?;
        let is_same = active.as_ref().is_some_and(|active| {
            active.base_id == base_id && active.tracking_columns == options.tracking_columns
        });
        if !is_same {
            verify::store_manifest(&mut link, &manifest)?;
            let epoch = active.map_or(1, |active| active.epoch + 1);
            reconcile::reconcile(&mut link, &attached.tables)?;
            link.execute(Sql::new(
                "insert or replace into main.demo_base (one, base_id, epoch, tracking_columns, sealed_at, stamp) \
                 values (1, ?, ?, ?, ?, ?)",
                [
                    base_id.as_str().into(),
                    epoch.into(),
                    i64::from(options.tracking_columns).into(),
                    now.into(),
                    base_file::stamp(base)?.as_str().into(),
                ],
            ))?;
        }
        Ok(attached)
    })
}

/// Makes the change tables that are missing, rebuilds those whose table has changed, and removes those of tables
/// that are no longer attached. Runs inside a transaction.
///
/// A change table that holds changes is never dropped: where its table's definition has changed, the attach is
/// refused with the reason.
pub(crate) fn attach(link: &mut Link<'_>, options: &AttachOptions) -> Result<Attached> {
    let discovery = discover(link)?;
    let is_wanted = |name: &str| options.wants(name);
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
    let (tables, outside): (Vec<_>, Vec<_>) =
        discovery.tables.into_iter().partition(|table| is_wanted(&table.name));
    for table in &tables {
        for key in &table.foreign_keys {
            if !known.iter().any(|name| name.eq_ignore_ascii_case(&key.parent)) {
                reasons.push(format!(
                    "table {}: it refers to the table {}, which is missing",
                    table.name, key.parent
                ));
            }
        }
    }
    if !reasons.is_empty() {
        return Err(Error::Attach { reasons });
    }
    let existing = attached_rows(link)?;
    for row in &existing {
        let definition = tables.iter().find(|table| table.name == row.name).map(definition_of);
        if definition.as_deref() == Some(row.definition.as_str()) {
            continue;
        }
        if change_count(link, &row.name)? > 0 {
            reasons.push(match definition {
                None => format!(
                    "table {}: it is gone or no longer wanted, but sessions hold changes to it",
                    row.name
                ),
                Some(_) => {
                    format!("table {}: its definition has changed, but sessions hold changes to it", row.name)
                }
            });
            continue;
        }
        link.batch(&ddl::drop_change_table(&row.name))?;
        link.execute(Sql::new(
            "delete from main.demo_attached_tables where name = ?",
            [row.name.as_str().into()],
        ))?;
    }
    if !reasons.is_empty() {
        return Err(Error::Attach { reasons });
    }
    for table in &tables {
        let definition = definition_of(table);
        if existing.iter().any(|row| row.name == table.name && row.definition == definition) {
            continue;
        }
        link.batch(&ddl::change_table(table)).map_err(|error| Error::Attach {
            reasons: vec![format!("table {}: no change table can be made for it: {error}", table.name)],
        })?;
        link.execute(Sql::new(
            "insert into main.demo_attached_tables (name, definition) values (?, ?)",
            [table.name.as_str().into(), definition.as_str().into()],
        ))?;
    }
    link.batch(&ddl::archived_changes_view(&tables))?;
    Ok(Attached { tables, outside, tracking_columns: options.tracking_columns })
}

/// A change table is right for a table exactly while the statements that make it stay the same.
fn definition_of(table: &TableSpec) -> String {
    blake3::hash(ddl::change_table(table).as_bytes()).to_hex().to_string()
}
