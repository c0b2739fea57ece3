//! One connection type over both databases, chosen by the scheme of the URL.

use diesel::deserialize::FromSql;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::HasSqlType;

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
