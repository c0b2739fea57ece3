//! An UPDATE that its connection keeps prepared.

use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression};
use diesel::query_builder::{AsChangeset, AstPass, QueryFragment, QueryId};
use diesel::query_source::Table;
use diesel::result::QueryResult;
use diesel::sql_types::BoolOrNullableBool;

/// An UPDATE by [`update()`].
#[derive(Debug, Clone, Copy)]
#[must_use = "it does nothing until it is executed"]
pub struct Update<F, W, C> {
    from: F,
    which: W,
    changes: C,
}

/// An UPDATE of the rows of `table` that are `which`, kept prepared by the connection like any other query.
///
/// [`diesel::update`] is prepared anew each time, since its text can be of any columns. Over a view that is most of what an
/// edit costs: with the statement the database plans or compiles everything that the view's triggers could do. Use this where the
/// columns are always the same: a struct that derives [`AsChangeset`] with `treat_none_as_null = true`, or a tuple. Each
/// text stays with its connection, so changes that leave out what is `None` would leave one for every set of columns. Changes
/// of no column at all are refused by the database, as a mistake of syntax. The number of rows that were changed is what the
/// database says it is, which for a view on SQLite is 0.
///
/// ```
/// # use demo_reset_persistence::update;
/// # use diesel::prelude::*;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut conn = SqliteConnection::establish(":memory:")?;
/// # diesel::connection::SimpleConnection::batch_execute(&mut conn, "create table artist (id integer primary key, name text)")?;
/// # diesel::connection::SimpleConnection::batch_execute(&mut conn, "insert into artist values (1, 'Accept')")?;
/// diesel::table! { artist (id) { id -> Integer, name -> Nullable<Text> } }
///
/// let renamed = update(artist::table, artist::id.eq(1), artist::name.eq("Mine")).execute(&mut conn)?;
/// assert_eq!(renamed, 1);
/// # Ok(())
/// # }
/// ```
pub fn update<T, W, C>(table: T, which: W, changes: C) -> Update<T::FromClause, W, C::Changeset>
where
    T: Table,
    W: Expression<SqlType: BoolOrNullableBool> + AppearsOnTable<T>,
    C: AsChangeset<Target = T>,
{
    Update { from: table.from_clause(), which, changes: changes.as_changeset() }
}

impl<F, W, C> QueryId for Update<F, W, C> {
    type QueryId = ();
    // The changes decide on the text, and Diesel keys its cache by that.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<F, W, C, Conn> diesel::RunQueryDsl<Conn> for Update<F, W, C> {}

impl<F, W, C, DB> QueryFragment<DB> for Update<F, W, C>
where
    DB: Backend,
    F: QueryFragment<DB>,
    W: QueryFragment<DB>,
    C: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("UPDATE ");
        self.from.walk_ast(out.reborrow())?;
        out.push_sql(" SET ");
        self.changes.walk_ast(out.reborrow())?;
        out.push_sql(" WHERE ");
        self.which.walk_ast(out)
    }
}
