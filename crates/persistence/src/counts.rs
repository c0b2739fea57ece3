//! Exact totals without counting the base each time: base rows never change, so what was counted among them is kept,
//! and only what the session has changed is counted anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use diesel::OptionalExtension;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Text};

use crate::connection::{AnyConnection, MultiBackend, SessionConnection};
use crate::dialect::Dialect;
use crate::error::Result;
use crate::sql_text::{join, quote};

/// A table whose rows are told apart by these columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedTable {
    /// Its name.
    pub name: &'static str,
    /// Its primary key.
    pub key: &'static [&'static str],
}

/// How many counts are kept: so many of the last ones, and up to as many older ones.
const KEPT: usize = 500;

/// Counts of one base, by what was counted.
#[derive(Debug, Default)]
struct Kept {
    /// The base, and the epoch: counts of another one are of no use.
    base: (String, i64),
    recent: HashMap<String, i64>,
    older: HashMap<String, i64>,
}

impl Kept {
    fn get(&mut self, base: &(String, i64), what: &str) -> Option<i64> {
        if self.base != *base {
            return None;
        }
        let count = self.recent.get(what).copied();
        count.or_else(|| {
            let (what, count) = self.older.remove_entry(what)?;
            self.put(base, what, count);
            Some(count)
        })
    }

    fn put(&mut self, base: &(String, i64), what: String, count: i64) {
        if self.base != *base {
            *self = Self { base: base.clone(), ..Self::default() };
        }
        if self.recent.len() >= KEPT {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(what, count);
    }
}

/// What was counted among base rows. One per [`Database`](crate::Database); a base that is loaded or sealed anew begins
/// with none, on every server.
#[derive(Debug, Default)]
pub struct BaseCounts {
    kept: Mutex<Kept>,
}

impl BaseCounts {
    /// What `query`, which counts rows of `table`'s view, would give. It may name no other table, and `what` must tell
    /// it from every other query over that table. Runs in a unit of work, and reads no base row but those that the
    /// session has changed where the base has been counted before.
    ///
    /// # Errors
    /// Only those of the database; among them that a table under no sessions has no change table.
    pub fn count<Q>(
        &self,
        conn: &mut AnyConnection,
        table: KeyedTable,
        what: &str,
        query: impl Fn() -> Q,
    ) -> Result<i64>
    where
        Q: Query<SqlType = BigInt> + QueryFragment<MultiBackend>,
    {
        let changes = Changes::of(conn.link().dialect(), table);
        self.count_with(conn, table, Some(changes), what, query)
    }

    /// As [`BaseCounts::count`], of a table under no sessions, whose rows are everyone's.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn count_unattached<Q>(
        &self,
        conn: &mut AnyConnection,
        table: KeyedTable,
        what: &str,
        query: impl Fn() -> Q,
    ) -> Result<i64>
    where
        Q: Query<SqlType = BigInt> + QueryFragment<MultiBackend>,
    {
        self.count_with(conn, table, None, what, query)
    }

    fn count_with<Q>(
        &self,
        conn: &mut AnyConnection,
        table: KeyedTable,
        changes: Option<Changes>,
        what: &str,
        query: impl Fn() -> Q,
    ) -> Result<i64>
    where
        Q: Query<SqlType = BigInt> + QueryFragment<MultiBackend>,
    {
        let dialect = conn.link().dialect();
        let changed = Changed { dialect, changes, query: query() };
        let Some(changed) = changed.get_result(conn).optional()? else {
            return Ok(Over { with: String::new(), query: query() }.get_result(conn)?);
        };
        let (base_id, epoch, created, gone): (String, i64, i64, i64) = changed;
        let of_base = (base_id, epoch);
        let what = format!("{} {what}", table.name);
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&of_base, &what);
        let total = match known {
            Some(total) => total,
            None => {
                let rows = format!(
                    "select *{} from {}",
                    is_base_data(dialect, true),
                    dialect.base_table(table.name)
                );
                let with = instead_of(table, &rows);
                let total: i64 = Over { with, query: query() }.get_result(conn)?;
                self.kept.lock().unwrap_or_else(PoisonError::into_inner).put(&of_base, what, total);
                total
            }
        };
        Ok(total + created - gone)
    }
}

/// What a selection of rows ends with: the column by which the condition for words tells rows of the base from a session's
/// own on PostgreSQL, as a view with tracking columns has it.
fn is_base_data(dialect: Dialect, value: bool) -> String {
    match dialect {
        Dialect::Sqlite => String::new(),
        Dialect::Postgres => format!(", {value} as is_base_data"),
    }
}

/// A common table expression of a table's name, which stands in front of a query over it: the query then counts these
/// rows.
fn instead_of(table: KeyedTable, rows: &str) -> String {
    format!("with {} as ({rows}) ", quote(table.name))
}

/// A query with something in front of it.
struct Over<Q> {
    with: String,
    query: Q,
}

impl<Q> QueryId for Over<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Over<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> RunQueryDsl<AnyConnection> for Over<Q> {}

impl<Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for Over<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        out.push_sql(&self.with);
        self.query.walk_ast(out)
    }
}

/// The rows of a table that the bound session has changed, each selection in front of a query over the table.
struct Changes {
    /// Those that it has created or edited.
    present: String,
    /// Those of the base that they hide.
    hidden: String,
}

impl Changes {
    fn of(dialect: Dialect, table: KeyedTable) -> Self {
        // SQLite keeps the order of a cross join: it begins with the session's few rows.
        let (live, join_base) = match dialect {
            Dialect::Sqlite => ("(select layer from temp.demo_binding)", "cross join"),
            Dialect::Postgres => ("demo.live_layer()", "join"),
        };
        let change = dialect.change_table(table.name);
        let same = table.key.iter().map(|column| format!("b.{0} = o.{0}", quote(column)));
        let own = is_base_data(dialect, false);
        let present =
            format!("select *{own} from {change} where demo_layer = {live} and demo_kind <> 'deleted'");
        let hidden = format!(
            "select b.*{own} from {change} as o {join_base} {} as b on {} \
             where o.demo_layer = {live} and o.demo_kind <> 'created'",
            dialect.base_table(table.name),
            join(same, " and ")
        );
        Self { present: instead_of(table, &present), hidden: instead_of(table, &hidden) }
    }
}

/// The base that a count is over, how many of the rows that the bound session has created or edited a query counts, and
/// how many of the base rows that they hide: in one statement, since on PostgreSQL each is a trip to the server.
struct Changed<Q> {
    dialect: Dialect,
    changes: Option<Changes>,
    query: Q,
}

impl<Q> QueryId for Changed<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Changed<Q> {
    type SqlType = (Text, BigInt, BigInt, BigInt);
}

impl<Q> RunQueryDsl<AnyConnection> for Changed<Q> {}

impl<Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for Changed<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        out.push_sql("select base_id, epoch");
        match &self.changes {
            Some(changes) => {
                for rows in [&changes.present, &changes.hidden] {
                    out.push_sql(", (");
                    out.push_sql(rows);
                    self.query.walk_ast(out.reborrow())?;
                    out.push_sql(")");
                }
            }
            None => out.push_sql(", cast(0 as bigint), cast(0 as bigint)"),
        }
        out.push_sql(match self.dialect {
            // What the connection was opened over, which is what it reads.
            Dialect::Sqlite => " from temp.demo_connection",
            Dialect::Postgres => " from demo.demo_base",
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(epoch: i64) -> (String, i64) {
        ("base".to_owned(), epoch)
    }

    #[test]
    fn what_was_asked_last_is_kept_and_no_more_than_twice_the_bound() {
        let mut kept = Kept::default();
        for at in 0..5 * KEPT {
            kept.put(&base(1), at.to_string(), 1);
            assert_eq!(kept.get(&base(1), "0"), Some(1), "asked each time");
        }
        assert!(kept.recent.len() + kept.older.len() <= 2 * KEPT);
        assert_eq!(kept.get(&base(1), "1"), None);
    }

    #[test]
    fn counts_are_of_one_epoch_of_one_base() {
        let mut kept = Kept::default();
        kept.put(&base(1), "all".to_owned(), 3);
        assert_eq!(kept.get(&base(2), "all"), None);
        kept.put(&base(2), "some".to_owned(), 4);
        assert_eq!((kept.get(&base(2), "all"), kept.get(&base(2), "some")), (None, Some(4)));
        assert_eq!(kept.get(&("other".to_owned(), 2), "some"), None);
    }
}
