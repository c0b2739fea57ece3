//! Statements whose preparation is kept.

use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};

/// An `UPDATE` that is prepared once for each connection, and not each time it runs.
///
/// Diesel prepares every update anew, since the columns that it sets may differ from one run to the next. On SQLite
/// preparing a write through a view costs several times as much as running it. Use it where an update always sets the
/// same columns, as one of a whole record does: each other set of columns is kept too, for as long as the connection
/// lives.
///
/// ```no_run
/// # use demo_reset_persistence::Kept;
/// # use diesel::prelude::*;
/// # diesel::table! { books (id) { id -> Integer, title -> Text } }
/// # fn rename(conn: &mut SqliteConnection) -> QueryResult<usize> {
/// Kept(diesel::update(books::table.find(1)).set(books::title.eq("Dune"))).execute(conn)
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Kept<T>(pub T);

impl<DB: Backend, T: QueryFragment<DB>> QueryFragment<DB> for Kept<T> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

/// Found by its text: what it sets is no part of its type.
impl<T> QueryId for Kept<T> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T, Conn> RunQueryDsl<Conn> for Kept<T> {}
