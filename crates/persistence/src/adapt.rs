//! A change table under a table that a migration has changed: made anew, with every change taken over.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::attach::change_count;
use crate::connection::{Link, Sql};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::spec::{ColumnSpec, TableSpec};
use crate::sql_text::{join, quote};
use crate::sqlite::ddl::CONTROL_COLUMNS;
use crate::{postgres, sqlite};

/// A table whose change table was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adaptation {
    /// The table.
    pub table: String,
    /// What differs from the table as it was, one line each.
    pub differences: Vec<String>,
    /// Changes that were taken over.
    pub changes: u64,
}

#[derive(QueryableByName)]
struct OldColumn {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    declared_type: String,
    /// The number that it had in its table, where that is known.
    #[diesel(sql_type = Nullable<BigInt>)]
    number: Option<i64>,
}

fn old_columns(link: &mut Link<'_>, table: &str) -> Result<Vec<OldColumn>> {
    let columns: Vec<OldColumn> = match link.dialect() {
        Dialect::Sqlite => link.load(Sql::new(
            "select name, type as declared_type, null as number from pragma_table_xinfo(?, 'main') order by cid",
            [sqlite::ddl::change_table_name(table).as_str().into()],
        ))?,
        Dialect::Postgres => {
            // As the types of the base were read: qualified where they need to be.
            link.batch("set local search_path = ''")?;
            let columns = link.load(Sql::new(
                "select a.attname::text as name, format_type(a.atttypid, a.atttypmod) as declared_type, \
                 (obj_description(a.attrelid, 'pg_class')::json ->> a.attname)::bigint as number \
                 from pg_attribute a where a.attrelid = ?::regclass and a.attnum > 0 and not a.attisdropped \
                 order by a.attnum",
                [link.dialect().change_table(table).as_str().into()],
            ));
            link.batch("set local search_path = demo, public")?;
            columns?
        }
    };
    let of_table = columns.into_iter().filter(|column| !CONTROL_COLUMNS.contains(&column.name.as_str()));
    Ok(match link.dialect() {
        Dialect::Sqlite => {
            (0..).zip(of_table).map(|(at, column)| OldColumn { number: Some(at), ..column }).collect()
        }
        Dialect::Postgres => of_table.collect(),
    })
}

/// The column that `column` was, under the same name or another.
///
/// On PostgreSQL a column has a number for life. On SQLite it has a place: one of the same type in the same place, the
/// old name gone and the new one unknown before, has been renamed.
fn was<'a>(
    dialect: Dialect,
    table: &TableSpec,
    old: &'a [OldColumn],
    column: &ColumnSpec,
) -> Option<&'a OldColumn> {
    let by_name = old.iter().find(|old| dialect.same_name(&old.name, &column.name));
    by_name.or_else(|| {
        old.iter().find(|old| {
            old.number == Some(column.number)
                && !table.columns.iter().any(|other| dialect.same_name(&other.name, &old.name))
                && (dialect == Dialect::Postgres || old.declared_type == column.declared_type)
        })
    })
}

/// SQLite: a last column that is gone, with another in its place that may be the same or a new one.
fn may_be_new(dialect: Dialect, table: &TableSpec, old: &[OldColumn]) -> Option<String> {
    let last = old.last().filter(|_| dialect == Dialect::Sqlite)?;
    let now = table.columns.iter().find(|column| Some(column.number) == last.number)?;
    let is_other = !dialect.same_name(&now.name, &last.name)
        && was(dialect, table, old, now).is_some_and(|old| std::ptr::eq(old, last));
    is_other.then(|| {
        format!(
            "column {} is gone and {} stands in its place: it may have been renamed, or be a new one. If it is new, \
             attach once between dropping the one and adding the other; if it was renamed, add a column behind it \
             and attach before",
            last.name, now.name
        )
    })
}

fn differences(dialect: Dialect, table: &TableSpec, old: &[OldColumn]) -> Vec<String> {
    let mut lines = Vec::new();
    for column in &table.columns {
        match was(dialect, table, old, column) {
            Some(old) if !dialect.same_name(&old.name, &column.name) => {
                lines.push(format!("column {} was renamed to {}", old.name, column.name));
            }
            None => lines.push(format!("column {} was added", column.name)),
            Some(old) if old.declared_type != column.declared_type => lines.push(format!(
                "column {} was {}, is now {}",
                column.name, old.declared_type, column.declared_type
            )),
            Some(_) => {}
        }
    }
    for gone in old {
        let is_there =
            |column| was(dialect, table, old, column).is_some_and(|found| std::ptr::eq(found, gone));
        if !table.columns.iter().any(is_there) {
            lines.push(format!("column {} was dropped", gone.name));
        }
    }
    if lines.is_empty() {
        lines.push("its constraints or indexes have changed".to_owned());
    }
    lines
}

/// What a column that is new gets in a record of a session's own.
fn default_value(dialect: Dialect, column: &ColumnSpec) -> String {
    let default = match dialect {
        Dialect::Postgres => postgres::ddl::default_value(column),
        Dialect::Sqlite => column.default.as_deref().map(sqlite::ddl::default_expression),
    };
    default.unwrap_or_else(|| "null".to_owned())
}

/// Makes the change table of `table` anew and takes its changes over. A column that is new has its base row's value
/// in copies of base rows, and its default in records of a session's own. Runs in a transaction, before the
/// triggers that settle foreign keys are made.
///
/// # Errors
/// [`Error::Attach`] with the exact difference where the changes do not fit.
pub(crate) fn rebuild(link: &mut Link<'_>, table: &TableSpec) -> Result<Adaptation> {
    let dialect = link.dialect();
    let old = old_columns(link, &table.name)?;
    let differences = differences(dialect, table, &old);
    let changes = change_count(link, &table.name)?.unsigned_abs();
    let kept = |column: &ColumnSpec| was(dialect, table, &old, column);
    let refuse = |why: String| Error::Attach {
        reasons: vec![format!(
            "table {}: {}; {changes} change(s) of sessions cannot be taken over: {why}",
            table.name,
            differences.join(", ")
        )],
    };
    if changes > 0
        && let Some(new) = table.key_columns().find(|column| kept(column).is_none())
    {
        return Err(refuse(format!("its key has the new column {}", new.name)));
    }
    if changes > 0
        && let Some(why) = may_be_new(dialect, table, &old)
    {
        return Err(refuse(why));
    }
    let change = dialect.change_table(&table.name);
    link.batch(&format!("create temp table demo_kept as select * from {change};"))?;
    link.batch(&match dialect {
        Dialect::Sqlite => sqlite::ddl::drop_change_table(&table.name),
        Dialect::Postgres => format!("drop table {change};"),
    })?;
    link.execute(Sql::new(
        "delete from demo_layer_counts where table_name = ?",
        [table.name.as_str().into()],
    ))?;
    make(link, table)?;
    let same = join(
        table.key_columns().map(|column| {
            let was = kept(column).map_or(&column.name, |old| &old.name);
            format!("b.{} = k.{}", quote(&column.name), quote(was))
        }),
        " and ",
    );
    let value = |column: &ColumnSpec| {
        let name = quote(&column.name);
        match kept(column) {
            Some(old) if dialect == Dialect::Postgres && old.declared_type != column.declared_type => {
                format!("k.{}::{}", quote(&old.name), column.declared_type)
            }
            Some(old) => format!("k.{}", quote(&old.name)),
            None => format!(
                "case when k.demo_kind <> 'created' and exists (select 1 from {base} as b where {same}) \
                 then (select b.{name} from {base} as b where {same}) else {} end",
                default_value(dialect, column),
                base = dialect.base_table(&table.name),
            ),
        }
    };
    let taken = link.batch(&format!(
        "insert into {change} (demo_layer, demo_kind, demo_changed_at, {columns}) \
         select k.demo_layer, k.demo_kind, k.demo_changed_at, {values} from demo_kept as k;",
        columns = join(table.writable().map(|column| quote(&column.name)), ", "),
        values = join(table.writable().map(value), ", "),
    ));
    taken.map_err(|error| refuse(error.to_string()))?;
    link.batch("drop table demo_kept;")?;
    Ok(Adaptation { table: table.name.clone(), differences, changes })
}

/// Makes the change table of `table`.
pub(crate) fn make(link: &mut Link<'_>, table: &TableSpec) -> Result<()> {
    let sql = match link.dialect() {
        Dialect::Sqlite => sqlite::ddl::change_table(table),
        Dialect::Postgres => postgres::ddl::change_table(table),
    };
    link.batch(&sql).map_err(|error| Error::Attach {
        reasons: vec![format!("table {}: no change table can be made for it: {error}", table.name)],
    })
}
