//! Puts the tables of `public` under sessions: change tables, views, triggers and the grants of the application
//! role.

use diesel::QueryableByName;
use diesel::sql_types::Bool;

use super::connect::{APPLICATION_ROLE, MAY_SET_ROLE};
use super::ddl::{self, shadow_sequence};
use super::discover::discover;
use crate::attach::{AttachOptions, Attached, AttachedRow, attached_rows, change_count};
use crate::connection::{Link, Sql};
use crate::error::{Error, Result};
use crate::spec::TableSpec;
use crate::sql_text::{literal, quote};

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

/// Discovers the attached tables. Runs in a transaction.
pub(crate) fn attached(link: &mut Link<'_>) -> Result<Attached> {
    let names = attached_rows(link)?;
    let tracking: Option<Flag> =
        link.first(Sql::new("select tracking_columns as flag from demo.demo_base", []))?;
    let all = discover(link)?.tables;
    let (tables, outside) = all.into_iter().partition(|table| names.iter().any(|row| row.name == table.name));
    Ok(Attached { tables, outside, tracking_columns: tracking.is_some_and(|row| row.flag) })
}

/// Makes what is missing, rebuilds what has changed, and removes what is no longer attached. Runs in a
/// transaction of the owner. A change table that holds changes is never dropped.
pub(crate) fn attach(link: &mut Link<'_>, options: &AttachOptions) -> Result<Attached> {
    let discovery = discover(link)?;
    let is_wanted = |name: &str| options.wants(name);
    let mut reasons: Vec<String> = discovery
        .refused
        .iter()
        .filter(|(name, _)| is_wanted(name))
        .map(|(name, reason)| format!("table {name}: {reason}"))
        .collect();
    for wanted in options.tables.iter().flatten() {
        let is_known = discovery.tables.iter().any(|table| table.name == *wanted)
            || discovery.refused.iter().any(|(name, _)| name == wanted);
        if !is_known {
            reasons.push(format!("table {wanted}: the schema public has no such table"));
        }
    }
    let (tables, outside): (Vec<_>, Vec<_>) =
        discovery.tables.into_iter().partition(|table| is_wanted(&table.name));
    let attached = Attached { tables, outside, tracking_columns: options.tracking_columns };
    let existing = attached_rows(link)?;
    let objects = ddl::objects(&attached);
    let objects_hash = hash(&objects);
    let is_same = |table: &TableSpec, row: &AttachedRow| {
        row.name == table.name && row.definition == definition(table, &objects_hash)
    };
    if existing.len() == attached.tables.len()
        && attached.tables.iter().all(|table| existing.iter().any(|row| is_same(table, row)))
        && reasons.is_empty()
    {
        return Ok(attached);
    }
    for row in &existing {
        let table = attached.tables.iter().find(|table| table.name == row.name);
        let is_kept = table.is_some_and(|table| row.definition.starts_with(&change_table_hash(table)));
        if !is_kept && change_count(link, &row.name)? > 0 {
            reasons.push(format!(
                "table {}: {}, but sessions hold changes to it",
                row.name,
                if table.is_some() { "its definition has changed" } else { "it is gone or no longer wanted" }
            ));
        }
    }
    if !reasons.is_empty() {
        return Err(Error::Attach { reasons });
    }
    for row in &existing {
        link.batch(&ddl::drop_objects(&row.name))?;
    }
    link.batch("drop view if exists demo.demo_archived_changes;")?;
    for row in &existing {
        let table = attached.tables.iter().find(|table| table.name == row.name);
        if table.is_none_or(|table| !row.definition.starts_with(&change_table_hash(table))) {
            link.batch(&format!("drop table demo_changes.{};", quote(&row.name)))?;
        }
    }
    for table in &attached.tables {
        let is_kept = existing
            .iter()
            .any(|row| row.name == table.name && row.definition.starts_with(&change_table_hash(table)));
        if !is_kept {
            link.batch(&ddl::change_table(table)).map_err(|error| Error::Attach {
                reasons: vec![format!("table {}: no change table can be made for it: {error}", table.name)],
            })?;
        }
        link.batch(&shadow_sequences(table))?;
    }
    link.batch(&objects)?;
    link.batch(&ddl::archived_changes_view(&attached.tables))?;
    link.batch("delete from demo.demo_attached_tables;")?;
    for table in &attached.tables {
        link.execute(Sql::new(
            "insert into demo.demo_attached_tables (name, definition) values (?, ?)",
            [table.name.as_str().into(), definition(table, &objects_hash).as_str().into()],
        ))?;
    }
    grant(link)?;
    Ok(attached)
}

/// What is attached, for a login that may not attach: refused where the views and triggers are not those that this
/// version would make. Runs in a transaction.
pub(crate) fn attached_currently(link: &mut Link<'_>, options: &AttachOptions) -> Result<Attached> {
    let attached = attached(link)?;
    let objects_hash = hash(&ddl::objects(&attached));
    let existing = attached_rows(link)?;
    let is_current = |table: &TableSpec| {
        let row = existing.iter().find(|row| row.name == table.name);
        row.is_some_and(|row| row.definition == definition(table, &objects_hash))
    };
    let is_as_asked = attached.tracking_columns == options.tracking_columns
        && attached.outside.iter().all(|table| !options.wants(&table.name))
        && attached.tables.iter().all(|table| options.wants(&table.name));
    if is_as_asked && existing.len() == attached.tables.len() && attached.tables.iter().all(is_current) {
        Ok(attached)
    } else {
        Err(Error::OlderSchema { pending: vec!["the views of this version".to_owned()] })
    }
}

fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn change_table_hash(table: &TableSpec) -> String {
    // The generated text says LIKE for the columns: they count too.
    let columns: Vec<String> = table.columns.iter().map(|column| format!("{column:?}")).collect();
    hash(&format!("{}\n{}", ddl::change_table(table), columns.join("\n")))
}

/// What is stored of a table: its change table, and the views and triggers of all tables, which refer to each
/// other.
fn definition(table: &TableSpec, objects_hash: &str) -> String {
    format!("{}:{objects_hash}", change_table_hash(table))
}

/// Sequences of the same name in `demo`, beyond what the base has used.
fn shadow_sequences(table: &TableSpec) -> String {
    let with_sequence = table.columns.iter().filter_map(|column| Some((column, column.sequence.as_ref()?)));
    let statements = with_sequence.map(|(column, sequence)| {
        let shadow = shadow_sequence(sequence);
        format!(
            "create sequence if not exists {shadow};\n\
             select setval({}::regclass, greatest((select last_value from {shadow}), (select last_value from {sequence}), \
             (select coalesce(max({})::bigint, 1) from public.{})), true);\n",
            literal(&shadow),
            quote(&column.name),
            quote(&table.name)
        )
    });
    statements.collect()
}

/// Makes the application role if it is missing, and gives it what a server needs: to read base tables, to write
/// through views, and the engine's own tables.
pub(crate) fn grant(link: &mut Link<'_>) -> Result<()> {
    let role = quote(APPLICATION_ROLE);
    let exists: Option<Flag> = link
        .first(Sql::new("select true as flag from pg_roles where rolname = ?", [APPLICATION_ROLE.into()]))?;
    if exists.is_none() {
        link.batch(&format!("create role {role} nologin"))?;
    }
    let is_member: Option<Flag> = link.first(Sql::new(
        &format!("select {MAY_SET_ROLE} as flag from pg_roles where rolname = ?"),
        [APPLICATION_ROLE.into()],
    ))?;
    if !is_member.is_some_and(|row| row.flag) {
        link.batch(&format!("grant {role} to current_user"))?;
    }
    link.batch(&format!(
        "grant usage on schema public, demo, demo_changes to {role};
         grant select on all tables in schema public to {role};
         revoke insert, update, delete, truncate, references, trigger on all tables in schema public from {role};
         grant select, insert, update, delete on all tables in schema demo, demo_changes to {role};
         grant usage, select on all sequences in schema demo to {role};
         grant execute on all functions in schema demo, demo_changes to {role};
         revoke insert, update, delete on demo.demo_base, demo.demo_manifest, demo.demo_attached_tables, \
           demo.__diesel_schema_migrations from {role};"
    ))
}
