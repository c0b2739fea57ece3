//! The shop's own queries: not a word about sessions.

use diesel::prelude::*;
use serde::Serialize;

use schema::artists;

mod schema {
    // The macro writes public items without docs.
    #![allow(missing_docs, unreachable_pub)]

    diesel::table! {
        #[sql_name = "Artist"]
        artists (artist_id) {
            #[sql_name = "ArtistId"]
            artist_id -> Integer,
            #[sql_name = "Name"]
            name -> Nullable<Text>,
        }
    }
}

/// An artist.
#[derive(Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = artists)]
pub struct Artist {
    /// Its key.
    #[serde(rename = "id")]
    pub artist_id: i32,
    /// What it is called.
    pub name: Option<String>,
}

/// All artists, by name.
///
/// # Errors
/// Those of the database.
pub fn artists(conn: &mut SqliteConnection) -> QueryResult<Vec<Artist>> {
    artists::table.order((artists::name, artists::artist_id)).select(Artist::as_select()).load(conn)
}

/// Adds an artist. The newest has the highest key, which is read since a view on SQLite does not return it.
///
/// # Errors
/// Those of the database.
pub fn add_artist(conn: &mut SqliteConnection, name: &str) -> QueryResult<Artist> {
    diesel::insert_into(artists::table).values(artists::name.eq(name)).execute(conn)?;
    artists::table.order(artists::artist_id.desc()).select(Artist::as_select()).first(conn)
}

/// Removes an artist, unless albums refer to it.
///
/// # Errors
/// Those of the database.
pub fn remove_artist(conn: &mut SqliteConnection, id: i32) -> QueryResult<()> {
    diesel::delete(artists::table.find(id)).execute(conn)?;
    Ok(())
}
