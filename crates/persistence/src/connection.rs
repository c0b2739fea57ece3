//! One connection type over both databases, and the engine's own way to run statements on any connection.

use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use diesel::backend::Backend;
use diesel::connection::SimpleConnection;
use diesel::deserialize::{FromSql, QueryableByName};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{BigInt, Binary, HasSqlType, Nullable, Text};
use diesel::sqlite::Sqlite;
use diesel::{PgConnection, RunQueryDsl, SqliteConnection};
use r2d2::{ManageConnection, PooledConnection};

use crate::error::Result;
use crate::types::{DbJson, DbTime, DbUuid, sql};

pub use multi::{AnyConnection, MultiBackend};

mod multi {
    // The derive writes public items without docs.
    #![allow(missing_docs)]
    use diesel::{PgConnection, SqliteConnection};

    /// A connection to either database. Diesel queries run on it unchanged as long as they keep to what both
    /// databases have.
    #[derive(diesel::MultiConnection)]
    pub enum AnyConnection {
        /// The embedded default.
        Sqlite(SqliteConnection),
        /// For teams and several servers.
        Postgres(PgConnection),
    }
}

macro_rules! portable_type {
    ($sql:ty, $rust:ty) => {
        impl HasSqlType<$sql> for MultiBackend {
            fn metadata(lookup: &mut Self::MetadataLookup) -> Self::TypeMetadata {
                MultiBackend::lookup_sql_type::<$sql>(lookup)
            }
        }

        impl FromSql<$sql, MultiBackend> for $rust {
            fn from_sql(
                value: <MultiBackend as diesel::backend::Backend>::RawValue<'_>,
            ) -> diesel::deserialize::Result<Self> {
                value.from_sql::<$rust, $sql>()
            }
        }

        impl ToSql<$sql, MultiBackend> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
                out.set_value((<$sql>::default(), self));
                Ok(IsNull::No)
            }
        }
    };
}

portable_type!(sql::Uuid, DbUuid);
portable_type!(sql::UtcTime, DbTime);
portable_type!(sql::Json, DbJson);

/// A borrowed connection of either database, for the engine's own statements.
///
/// Hosts keep their connection types: whatever can lend a [`Link`] can be put under sessions.
pub enum Link<'a> {
    /// A connection to SQLite.
    Sqlite(&'a mut SqliteConnection),
    /// A connection to PostgreSQL.
    Postgres(&'a mut PgConnection),
}

/// A connection type that the engine can work on.
pub trait SessionConnection {
    /// Lends the connection.
    fn link(&mut self) -> Link<'_>;
}

impl SessionConnection for SqliteConnection {
    fn link(&mut self) -> Link<'_> {
        Link::Sqlite(self)
    }
}

impl SessionConnection for PgConnection {
    fn link(&mut self) -> Link<'_> {
        Link::Postgres(self)
    }
}

impl SessionConnection for AnyConnection {
    fn link(&mut self) -> Link<'_> {
        match self {
            Self::Sqlite(conn) => Link::Sqlite(conn),
            Self::Postgres(conn) => Link::Postgres(conn),
        }
    }
}

impl<M> SessionConnection for PooledConnection<M>
where
    M: ManageConnection,
    M::Connection: SessionConnection,
{
    fn link(&mut self) -> Link<'_> {
        (**self).link()
    }
}

/// A value of a statement of the engine's.
#[derive(Debug, Clone)]
pub(crate) enum Bind {
    Text(String),
    Int(i64),
    Time(DbTime),
    Uuid(Option<DbUuid>),
    Json(DbJson),
    Bytes(Vec<u8>),
}

impl From<Vec<u8>> for Bind {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&str> for Bind {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Bind {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<DateTime<Utc>> for Bind {
    fn from(time: DateTime<Utc>) -> Self {
        Self::Time(DbTime::new(time))
    }
}

impl From<uuid::Uuid> for Bind {
    fn from(id: uuid::Uuid) -> Self {
        Self::Uuid(Some(DbUuid(id)))
    }
}

impl From<Option<uuid::Uuid>> for Bind {
    fn from(id: Option<uuid::Uuid>) -> Self {
        Self::Uuid(id.map(DbUuid))
    }
}

impl From<serde_json::Value> for Bind {
    fn from(value: serde_json::Value) -> Self {
        Self::Json(DbJson(value))
    }
}

/// A statement of the engine's: text and values in turn.
///
/// Unlike `diesel::sql_query` it lets Diesel keep the prepared statement, which matters for the statements that
/// every unit of work begins with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sql {
    text: String,
    /// The values, each with its place in `text`.
    binds: Vec<(usize, Bind)>,
    is_once: bool,
}

impl Sql {
    /// A statement from text without identifiers of the host: every `?` stands for the next value.
    pub(crate) fn new<const N: usize>(text: &str, binds: [Bind; N]) -> Self {
        let mut sql =
            Self { text: String::with_capacity(text.len()), binds: Vec::with_capacity(N), is_once: false };
        let mut binds = binds.into_iter();
        let mut pieces = text.split('?');
        sql.push(pieces.next().unwrap_or_default());
        for piece in pieces {
            if let Some(bind) = binds.next() {
                sql.bind(bind);
            }
            sql.push(piece);
        }
        sql
    }

    /// A statement whose text hardly comes twice, because it names a layer or a record: it is not kept prepared, or a
    /// connection would hold on to every one that it ever ran.
    pub(crate) fn once(text: &str) -> Self {
        Self { text: text.to_owned(), binds: Vec::new(), is_once: true }
    }

    /// Adds text as it is.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a value.
    pub(crate) fn bind(&mut self, value: impl Into<Bind>) -> &mut Self {
        self.binds.push((self.text.len(), value.into()));
        self
    }
}

impl QueryId for Sql {
    type QueryId = ();
    // The text decides: Diesel then keys its cache by the text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Sql {
    type SqlType = diesel::sql_types::Untyped;
}

impl<C> diesel::RunQueryDsl<C> for Sql {}

impl<DB: EngineBackend> QueryFragment<DB> for Sql {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if self.is_once {
            out.unsafe_to_cache_prepared();
        }
        let mut rest = 0;
        for (place, value) in &self.binds {
            out.push_sql(&self.text[rest..*place]);
            rest = *place;
            DB::push_value(&mut out, value)?;
        }
        out.push_sql(&self.text[rest..]);
        Ok(())
    }
}

/// A database that the engine's own statements run on.
pub(crate) trait EngineBackend: Backend {
    /// Adds a value to a statement.
    fn push_value<'b>(out: &mut AstPass<'_, 'b, Self>, value: &'b Bind) -> QueryResult<()>;
}

macro_rules! engine_backend {
    ($backend:ty) => {
        impl EngineBackend for $backend {
            fn push_value<'b>(out: &mut AstPass<'_, 'b, Self>, value: &'b Bind) -> QueryResult<()> {
                match value {
                    Bind::Text(value) => out.push_bind_param::<Text, _>(value),
                    Bind::Int(value) => out.push_bind_param::<BigInt, _>(value),
                    Bind::Time(value) => out.push_bind_param::<sql::UtcTime, _>(value),
                    Bind::Uuid(value) => out.push_bind_param::<Nullable<sql::Uuid>, _>(value),
                    Bind::Json(value) => out.push_bind_param::<sql::Json, _>(value),
                    Bind::Bytes(value) => out.push_bind_param::<Binary, _>(value),
                }
            }
        }
    };
}

engine_backend!(Sqlite);
engine_backend!(Pg);
engine_backend!(MultiBackend);

/// The text of a statement that is the same each time; every `?` stands for the next value.
pub(crate) trait FixedText: 'static {
    /// The statement.
    const TEXT: &'static str;
}

/// Names the text of a statement.
macro_rules! fixed_text {
    ($(#[$doc:meta])* $name:ident, $text:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        struct $name;

        impl $crate::connection::FixedText for $name {
            const TEXT: &'static str = $text;
        }
    };
}
pub(crate) use fixed_text;

/// A statement of the engine's whose text is a type. Diesel finds what it has prepared by that type, without putting
/// the text together and hashing it: for the statements of every unit of work, and of a reset.
#[derive(Debug)]
pub(crate) struct Fixed<S, const N: usize> {
    binds: [Bind; N],
    text: PhantomData<S>,
}

/// Where the values of a statement stand. Found when the engine is compiled, and so is a text with another number of them.
const fn places<const N: usize>(text: &str) -> [usize; N] {
    let text = text.as_bytes();
    let mut places = [0; N];
    let mut found = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at] == b'?' {
            assert!(found < N, "a text with more `?` than values");
            places[found] = at;
            found += 1;
        }
        at += 1;
    }
    assert!(found == N, "a text with fewer `?` than values");
    places
}

impl<S: FixedText, const N: usize> Fixed<S, N> {
    const PLACES: [usize; N] = places(S::TEXT);

    /// The statement with its values.
    pub(crate) fn new(binds: [Bind; N]) -> Self {
        Self { binds, text: PhantomData }
    }
}

impl<S: FixedText, const N: usize> QueryId for Fixed<S, N> {
    type QueryId = S;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<S: FixedText, const N: usize> Query for Fixed<S, N> {
    type SqlType = diesel::sql_types::Untyped;
}

impl<S, C, const N: usize> diesel::RunQueryDsl<C> for Fixed<S, N> {}

impl<S: FixedText, DB: EngineBackend, const N: usize> QueryFragment<DB> for Fixed<S, N> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut rest = 0;
        for (&place, value) in Self::PLACES.iter().zip(&self.binds) {
            out.push_sql(&S::TEXT[rest..place]);
            rest = place + 1;
            DB::push_value(&mut out, value)?;
        }
        out.push_sql(&S::TEXT[rest..]);
        Ok(())
    }
}

/// A statement that runs on either database.
pub(crate) trait Statement:
    Query<SqlType = diesel::sql_types::Untyped>
    + QueryFragment<Sqlite>
    + QueryFragment<Pg>
    + QueryId
    + RunQueryDsl<SqliteConnection>
    + RunQueryDsl<PgConnection>
{
}

impl<T> Statement for T where
    T: Query<SqlType = diesel::sql_types::Untyped>
        + QueryFragment<Sqlite>
        + QueryFragment<Pg>
        + QueryId
        + RunQueryDsl<SqliteConnection>
        + RunQueryDsl<PgConnection>
{
}

/// A row of the engine's own that reads the same from both databases.
pub(crate) trait Row: QueryableByName<Sqlite> + QueryableByName<Pg> + 'static {}

impl<T: QueryableByName<Sqlite> + QueryableByName<Pg> + 'static> Row for T {}

impl Link<'_> {
    /// Runs one statement; how many rows it changed.
    pub(crate) fn execute(&mut self, statement: impl Statement) -> Result<usize> {
        Ok(match self {
            Self::Sqlite(conn) => statement.execute(*conn)?,
            Self::Postgres(conn) => statement.execute(*conn)?,
        })
    }

    /// Runs one query.
    pub(crate) fn load<T: Row>(&mut self, query: impl Statement) -> Result<Vec<T>> {
        Ok(match self {
            Self::Sqlite(conn) => query.load(*conn)?,
            Self::Postgres(conn) => query.load(*conn)?,
        })
    }

    /// The first row of a query, if it has any.
    pub(crate) fn first<T: Row>(&mut self, query: impl Statement) -> Result<Option<T>> {
        Ok(self.load(query)?.into_iter().next())
    }

    /// Runs several statements without values.
    pub(crate) fn batch(&mut self, sql: &str) -> Result<()> {
        // PostgreSQL refuses to do nothing.
        if sql.trim().is_empty() {
            return Ok(());
        }
        match self {
            Self::Sqlite(conn) => conn.batch_execute(sql)?,
            Self::Postgres(conn) => conn.batch_execute(sql)?,
        }
        Ok(())
    }
}
