//! A new base under old layers: every layer, live or archived, is brought in line with it, set-based.
//!
//! Nothing that a user made is dropped. A copy of a base row that is gone becomes a record of the user's own; a
//! record whose key the new base has taken becomes an edit of that row; only a tombstone over a row that is gone
//! has nothing left to say. What no rule can bring in line (a unique value that the base has taken, a parent that is
//! gone) stays as it is and is told.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::BigInt;

use crate::connection::{Link, Sql};
use crate::dialect::Dialect;
use crate::error::Result;
use crate::spec::{ForeignKeySpec, IndexSpec, IndexTerm, TableSpec};
use crate::sql_text::join;

/// What became of the changes to one table when the base under them changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// The table.
    pub table: String,
    /// Edited copies of rows that are gone: now records of the session's own.
    pub now_created: u64,
    /// Created records whose key the base has taken: now edited copies of that row.
    pub now_edited: u64,
    /// Tombstones over rows that are gone.
    pub tombstones_dropped: u64,
    /// Records with a unique value that a row of the base has, too.
    pub unique_clashes: u64,
    /// Records whose parent is gone: with the base, or deleted by the session that now sees a new base record under it.
    pub missing_parents: u64,
}

impl Reconciliation {
    fn is_empty(&self) -> bool {
        let Self { table: _, now_created, now_edited, tombstones_dropped, unique_clashes, missing_parents } =
            self;
        [now_created, now_edited, tombstones_dropped, unique_clashes, missing_parents]
            .iter()
            .all(|count| **count == 0)
    }
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Brings all layers in line with the base as it is now; what there was to do, table by table. Runs in the
/// transaction that begins the new epoch.
pub(crate) fn reconcile(link: &mut Link<'_>, tables: &[TableSpec]) -> Result<Vec<Reconciliation>> {
    let dialect = link.dialect();
    let mut reconciled = Vec::new();
    for table in tables {
        let change = dialect.change_table(&table.name);
        let in_base = format!(
            "exists (select 1 from {} as b where {})",
            dialect.base_table(&table.name),
            same_key(dialect, table, "b", "x")
        );
        let mut execute = |sql: &str| -> Result<u64> {
            let mut statement = Sql::default();
            statement.push(sql);
            Ok(link.execute(statement)? as u64)
        };
        reconciled.push(Reconciliation {
            table: table.name.clone(),
            tombstones_dropped: execute(&format!(
                "delete from {change} as x where x.demo_kind = 'deleted' and not {in_base}"
            ))?,
            now_created: execute(&format!(
                "update {change} as x set demo_kind = 'created' where x.demo_kind = 'edited' and not {in_base}"
            ))?,
            now_edited: execute(&format!(
                "update {change} as x set demo_kind = 'edited' where x.demo_kind = 'created' and {in_base}"
            ))?,
            ..Reconciliation::default()
        });
    }
    for (table, found) in tables.iter().zip(&mut reconciled) {
        let mut count = |condition: String| -> Result<u64> {
            let mut query = Sql::default();
            query.push(&format!(
                "select count(*) as count from {} as x where x.demo_kind <> 'deleted' and {condition}",
                dialect.change_table(&table.name)
            ));
            Ok(link.first::<CountRow>(query)?.map_or(0, |row| row.count.unsigned_abs()))
        };
        for unique in &table.uniques {
            found.unique_clashes += count(clashes(dialect, table, unique))?;
        }
        for key in &table.foreign_keys {
            if let Some(parent) = tables.iter().find(|parent| dialect.same_name(&parent.name, &key.parent)) {
                found.missing_parents += count(has_no_parent(dialect, table, key, parent))?;
            }
        }
    }
    for (table, found) in tables.iter().zip(&mut reconciled) {
        for key in &table.foreign_keys {
            if let Some(parent) = tables.iter().find(|parent| dialect.same_name(&parent.name, &key.parent)) {
                let mut query = Sql::default();
                query.push(&orphans_of_base(dialect, table, key, parent));
                found.missing_parents +=
                    link.first::<CountRow>(query)?.map_or(0, |row| row.count.unsigned_abs());
            }
        }
    }
    reconciled.retain(|reconciliation| !reconciliation.is_empty());
    for reconciliation in &reconciled {
        log::info!("the base has changed under sessions: {reconciliation:?}");
    }
    Ok(reconciled)
}

/// What some layers hold, seen from the base under them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeldOverBase {
    /// Copies of base rows.
    pub edited: u64,
    /// Tombstones over base rows.
    pub deleted: u64,
    /// Records of the sessions' own.
    pub created: u64,
    /// Those of them that have a base row as a parent.
    pub created_under_base: u64,
}

/// What another base would be brought in line with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BaseReferences {
    /// In the live layers.
    pub live: HeldOverBase,
    /// In the archives that can still be restored.
    pub archived: HeldOverBase,
}

#[derive(QueryableByName)]
struct HeldRow {
    #[diesel(sql_type = BigInt)]
    edited: i64,
    #[diesel(sql_type = BigInt)]
    deleted: i64,
    #[diesel(sql_type = BigInt)]
    created: i64,
    #[diesel(sql_type = BigInt)]
    under_base: i64,
}

/// Counts what live layers and restorable archives hold. Reads every change.
pub(crate) fn references(
    link: &mut Link<'_>,
    tables: &[TableSpec],
    now: DateTime<Utc>,
) -> Result<BaseReferences> {
    let mut found = BaseReferences::default();
    for table in tables {
        for is_live in [true, false] {
            let mut query = Sql::default();
            query.push(&held_sql(link.dialect(), table, tables));
            if is_live {
                query.push("(select s.live_layer from demo_user_sessions s)");
            } else {
                query.push(
                    "(select a.layer from demo_archives a where a.restored_at is null and a.expires_at > ",
                );
                query.bind(now).push(")");
            }
            let Some(row) = link.first::<HeldRow>(query)? else { continue };
            let held = if is_live { &mut found.live } else { &mut found.archived };
            held.edited += row.edited.unsigned_abs();
            held.deleted += row.deleted.unsigned_abs();
            held.created += row.created.unsigned_abs();
            held.created_under_base += row.under_base.unsigned_abs();
        }
    }
    Ok(found)
}

/// Counts the changes to a table; which layers is left to the caller to add.
fn held_sql(dialect: Dialect, table: &TableSpec, tables: &[TableSpec]) -> String {
    let parents = table.foreign_keys.iter().filter_map(|key| {
        let parent = tables.iter().find(|parent| dialect.same_name(&parent.name, &key.parent))?;
        let pairs = key.parent_columns.iter().zip(&key.columns).map(|(of_parent, &at)| {
            format!("b.{} = x.{}", dialect.quote(of_parent), dialect.quote(&table.columns[at].name))
        });
        let base = dialect.base_table(&parent.name);
        Some(format!("exists (select 1 from {base} as b where {})", join(pairs, " and ")))
    });
    let parents = join(std::iter::once("1 = 0".to_owned()).chain(parents), " or ");
    let kind = |kind: &str| format!("count(case when x.demo_kind = '{kind}' then 1 end) as {kind}");
    format!(
        "select {}, {}, {}, count(case when x.demo_kind = 'created' and ({parents}) then 1 end) as under_base \
         from {} as x where x.demo_layer in ",
        kind("edited"),
        kind("deleted"),
        kind("created"),
        dialect.change_table(&table.name),
    )
}

fn same_key(dialect: Dialect, table: &TableSpec, left: &str, right: &str) -> String {
    join(
        table.key_columns().map(|column| {
            let name = dialect.quote(&column.name);
            format!("{left}.{name} = {right}.{name}")
        }),
        " and ",
    )
}

/// Whether the layer of `x` has no change of its own to the base row `b`.
fn shines_through(dialect: Dialect, table: &TableSpec) -> String {
    format!(
        "not exists (select 1 from {} as o where o.demo_layer = x.demo_layer and {})",
        dialect.change_table(&table.name),
        same_key(dialect, table, "o", "b")
    )
}

/// Whether a base row that the layer of the change `x` sees has a unique value of `x`.
fn clashes(dialect: Dialect, table: &TableSpec, unique: &IndexSpec) -> String {
    let change = dialect.change_table(&table.name);
    // Each row's values are computed where its columns need no alias, since expressions name none.
    let values = join(
        unique.parts.iter().enumerate().map(|(at, part)| {
            let expression = match &part.term {
                IndexTerm::Column(position) => dialect.quote(&table.columns[*position].name),
                IndexTerm::Expression(expression) => format!("({expression})"),
            };
            format!("{expression} as demo_u{at}")
        }),
        ", ",
    );
    let predicate = unique.predicate.as_ref().map_or_else(String::new, |text| format!(" and ({text})"));
    format!(
        "exists (select 1 from (select {values} from {change} where demo_layer = x.demo_layer and {own}{predicate}) as m, \
         (select {values} from {base} as b where {seen}{predicate}) as n where {same})",
        own = same_key(dialect, table, &change, "x"),
        base = dialect.base_table(&table.name),
        seen = shines_through(dialect, table),
        same = join(
            unique.parts.iter().enumerate().map(|(at, part)| {
                dialect.unique_equal(&format!("m.demo_u{at}"), &format!("n.demo_u{at}"), unique, part)
            }),
            " and "
        ),
    )
}

/// Whether the change `x` refers to a parent that its layer does not see.
fn has_no_parent(dialect: Dialect, table: &TableSpec, key: &ForeignKeySpec, parent: &TableSpec) -> String {
    let columns: Vec<String> = key.columns.iter().map(|&at| dialect.quote(&table.columns[at].name)).collect();
    let is_parent = |alias: &str| {
        let pairs = key.parent_columns.iter().zip(&columns);
        join(pairs.map(|(p, c)| format!("{alias}.{} = x.{c}", dialect.quote(p))), " and ")
    };
    format!(
        "{} and not exists (select 1 from {base} as b where {of_base} and {seen}) \
         and not exists (select 1 from {change} as p where p.demo_layer = x.demo_layer \
         and p.demo_kind <> 'deleted' and {of_layer})",
        join(columns.iter().map(|column| format!("x.{column} is not null")), " and "),
        base = dialect.base_table(&parent.name),
        of_base = is_parent("b"),
        seen = shines_through(dialect, parent),
        change = dialect.change_table(&parent.name),
        of_layer = is_parent("p"),
    )
}

/// Counts the base rows that a layer shows under a parent that it has deleted: the base had none when it did.
fn orphans_of_base(dialect: Dialect, table: &TableSpec, key: &ForeignKeySpec, parent: &TableSpec) -> String {
    let pairs = key.columns.iter().zip(&key.parent_columns).map(|(&at, of_parent)| {
        format!("b.{} = p.{}", dialect.quote(&table.columns[at].name), dialect.quote(of_parent))
    });
    format!(
        "select count(*) as count from {deleted} as x join {parents} as p on {is_parent} join {base} as b on {refers} \
         where x.demo_kind = 'deleted' and {seen}",
        deleted = dialect.change_table(&parent.name),
        parents = dialect.base_table(&parent.name),
        is_parent = same_key(dialect, parent, "p", "x"),
        base = dialect.base_table(&table.name),
        refers = join(pairs, " and "),
        seen = shines_through(dialect, table),
    )
}
