//! What a session has changed, record by record, and what its archives hold.

use std::cmp::Ordering;

use demo_reset_domain::{ArchiveId, ChangeKind, LayerId, SessionId};
use diesel::QueryableByName;
use diesel::sql_types::{Nullable, Text};
use serde_json::Value;

use crate::connection::{Link, Sql};
use crate::database::{ArchivedChange, Change, ChangeFilter, ChangePosition, RecordPosition};
use crate::error::{Error, Result};
use crate::spec::TableSpec;
use crate::sql_text::literal;
use crate::types::{DbJson, DbTime, sql};

#[derive(QueryableByName)]
struct ChangeRow {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    record_key: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = sql::UtcTime)]
    changed_at: DbTime,
    #[diesel(sql_type = Nullable<sql::Json>)]
    base: Option<DbJson>,
    #[diesel(sql_type = Nullable<sql::Json>)]
    current: Option<DbJson>,
}

#[derive(QueryableByName)]
struct ArchivedRow {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    record_key: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = sql::UtcTime)]
    changed_at: DbTime,
    #[diesel(sql_type = sql::Json)]
    snapshot: DbJson,
}

fn unreadable(what: &str) -> Error {
    Error::unreadable(format!("{what} is not readable"))
}

fn parse_kind(text: &str) -> Result<ChangeKind> {
    ChangeKind::parse(text).ok_or_else(|| unreadable("the kind of a change"))
}

fn parse_key(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json).map_err(|_| unreadable("the key of a change"))
}

/// A page of the changes of a layer that the filter keeps, newest first, each with the base record it stands over.
///
/// Each table gives no more than the page can hold, and only those rows become snapshots: what a page costs grows
/// with the layer by a sort of keys and times, not by its contents.
pub(crate) fn change_list(
    link: &mut Link<'_>,
    tables: &[&TableSpec],
    layer: LayerId,
    filter: &ChangeFilter,
    after: Option<&ChangePosition>,
    limit: i64,
) -> Result<Vec<Change>> {
    let dialect = link.dialect();
    let mut list = Sql::default();
    let mut arms = 0;
    for table in tables {
        let mut only = match filter.key.as_deref() {
            None => String::new(),
            Some(key) => match dialect.key_is_one_of(table, "c", &[key]) {
                Some(condition) => format!(" and {condition}"),
                None => continue,
            },
        };
        if let Some(kind) = filter.kind {
            only.push_str(&format!(" and c.demo_kind = {}", literal(kind.as_str())));
        }
        let same: Vec<String> = table
            .key_columns()
            .map(|column| {
                let name = dialect.quote(&column.name);
                format!("b.{name} = c.{name}")
            })
            .collect();
        let record_key = dialect.key_as_json_text(table, "c");
        list.push(if arms == 0 { "select * from (" } else { " union all " });
        list.push(&format!(
            "select {name} as table_name, {record_key} as record_key, c.demo_kind as kind, \
             c.demo_changed_at as changed_at, \
             (select {of_base} from {base} as b where {same} and c.demo_kind <> 'created') as base, \
             case when c.demo_kind <> 'deleted' then {of_change} end as current \
             from (select * from {change} as c where c.demo_layer = {layer}{only}",
            name = literal(&table.name),
            of_base = dialect.snapshot_of_base(table, "b"),
            base = dialect.base_table(&table.name),
            same = same.join(" and "),
            of_change = dialect.snapshot_of_change(table, "c"),
            change = dialect.change_table(&table.name),
            layer = layer.0,
        ));
        if let Some(after) = after {
            push_after(&mut list, &table.name, &dialect.by_bytes(&record_key), after);
        }
        list.push(&format!(" order by c.demo_changed_at desc, {} limit ", dialect.by_bytes(&record_key)));
        list.bind(limit).push(") as c");
        arms += 1;
    }
    if arms == 0 {
        return Ok(Vec::new());
    }
    list.push(&format!(
        ") as changes order by changed_at desc, {}, {} limit ",
        dialect.by_bytes("table_name"),
        dialect.by_bytes("record_key")
    ));
    list.bind(limit);
    let rows: Vec<ChangeRow> = link.load(list)?;
    rows.into_iter()
        .map(|row| {
            let position = ChangePosition {
                changed_at: row.changed_at.get(),
                table: row.table_name.clone(),
                key: row.record_key.clone(),
            };
            Ok(Change {
                key: parse_key(&row.record_key)?,
                kind: parse_kind(&row.kind)?,
                changed_at: row.changed_at.get(),
                base: row.base.map(|json| json.0),
                current: row.current.map(|json| json.0),
                table: row.table_name,
                position,
            })
        })
        .collect()
}

/// Keeps the rows `c` of one table that come after a position: newest first, then by table, then by key.
fn push_after(list: &mut Sql, table: &str, record_key: &str, after: &ChangePosition) {
    let times = match table.cmp(after.table.as_str()) {
        Ordering::Less => " and c.demo_changed_at < ",
        Ordering::Equal | Ordering::Greater => " and c.demo_changed_at <= ",
    };
    list.push(times).bind(after.changed_at);
    if table == after.table {
        list.push(" and (c.demo_changed_at < ").bind(after.changed_at);
        list.push(&format!(" or {record_key} > ")).bind(after.key.as_str()).push(")");
    }
}

/// All changes that an archive holds.
pub(crate) fn archived_change_list(
    link: &mut Link<'_>,
    session: SessionId,
    archive: ArchiveId,
) -> Result<Vec<ArchivedChange>> {
    let rows: Vec<ArchivedRow> = link.load(Sql::new(
        "select table_name, record_key, kind, changed_at, snapshot from demo_archived_changes \
         where session_id = ? and archive_id = ? order by table_name, record_key",
        [session.0.into(), archive.0.into()],
    ))?;
    rows.into_iter().map(archived_change).collect()
}

/// Changes that an archive holds, from `after` on.
pub(crate) fn archived_change_page(
    link: &mut Link<'_>,
    session: SessionId,
    archive: ArchiveId,
    after: Option<&RecordPosition>,
    limit: i64,
) -> Result<Vec<ArchivedChange>> {
    let mut page = Sql::new(
        "select table_name, record_key, kind, changed_at, snapshot from demo_archived_changes \
         where session_id = ? and archive_id = ?",
        [session.0.into(), archive.0.into()],
    );
    if let Some(after) = after {
        page.push(" and (table_name > ").bind(after.table.as_str());
        page.push(" or (table_name = ").bind(after.table.as_str());
        page.push(" and record_key > ").bind(after.key.as_str()).push("))");
    }
    page.push(" order by table_name, record_key limit ").bind(limit);
    let rows: Vec<ArchivedRow> = link.load(page)?;
    rows.into_iter().map(archived_change).collect()
}

fn archived_change(row: ArchivedRow) -> Result<ArchivedChange> {
    Ok(ArchivedChange {
        key: parse_key(&row.record_key)?,
        kind: parse_kind(&row.kind)?,
        changed_at: row.changed_at.get(),
        snapshot: row.snapshot.0,
        position: RecordPosition { table: row.table_name.clone(), key: row.record_key },
        table: row.table_name,
    })
}

/// The fields of two forms of a record that differ, by name; all fields where one form is missing.
pub(crate) fn differences(base: Option<&Value>, current: Option<&Value>) -> Vec<(String, Value, Value)> {
    let field = |record: Option<&Value>, name: &str| {
        record.and_then(|record| record.get(name)).cloned().unwrap_or(Value::Null)
    };
    let Some(Value::Object(names)) = current.or(base) else { return Vec::new() };
    names
        .keys()
        .map(|name| (name.clone(), field(base, name), field(current, name)))
        .filter(|(_, base, current)| base != current)
        .collect()
}
