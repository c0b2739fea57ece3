//! The engine's own migrations, embedded in the binary.

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use diesel::{PgConnection, QueryableByName, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::connection::{Link, Sql};
use crate::dialect::Dialect;
use crate::error::{Error, Result};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/engine/sqlite");

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Database(diesel::result::Error::QueryBuilderError(error))
}

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/engine/postgres");

/// Refuses a database that a newer version has migrated; one that is behind is about to be brought up to date.
fn refuse_newer(link: &mut Link<'_>) -> Result<()> {
    match check_current(link) {
        Err(Error::OlderSchema { .. }) => Ok(()),
        checked => checked,
    }
}

/// Brings the sessions file up to date.
pub(crate) fn migrate(conn: &mut SqliteConnection) -> Result<()> {
    refuse_newer(&mut Link::Sqlite(conn))?;
    conn.run_pending_migrations(SQLITE).map_err(failed)?;
    Ok(())
}

/// Brings the schema `demo` up to date. Diesel's bookkeeping of it stands in that schema.
pub(crate) fn migrate_postgres(conn: &mut PgConnection) -> Result<()> {
    // Of servers that start at the same time one migrates, and the others find it done.
    conn.batch_execute(
        "select pg_advisory_lock(hashtext('demo-reset'), 1); \
         create schema if not exists demo; set search_path = demo;",
    )?;
    let migrated = refuse_newer(&mut Link::Postgres(conn))
        .and_then(|()| conn.run_pending_migrations(POSTGRES).map(|_| ()).map_err(failed));
    conn.batch_execute(
        "set search_path = demo, public; select pg_advisory_unlock(hashtext('demo-reset'), 1);",
    )?;
    migrated
}

#[derive(QueryableByName)]
struct VersionRow {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Whether the engine's tables are those that this version works with. Only reads: the role of a server may not make
/// tables, not even those that are there.
pub(crate) fn check_current(link: &mut Link<'_>) -> Result<()> {
    let (known, there) = match link.dialect() {
        Dialect::Sqlite => (
            versions::<Sqlite>(&SQLITE)?,
            "select name as version from main.sqlite_schema where name = '__diesel_schema_migrations'",
        ),
        Dialect::Postgres => (
            versions::<Pg>(&POSTGRES)?,
            "select relname::text as version from pg_class where relname = '__diesel_schema_migrations' \
             and relnamespace = to_regnamespace('demo')",
        ),
    };
    let is_there: Option<VersionRow> = link.first(Sql::new(there, []))?;
    let applied: Vec<VersionRow> = match (is_there, link.dialect()) {
        (None, _) => Vec::new(),
        (Some(_), Dialect::Sqlite) => {
            link.load(Sql::new("select version from main.__diesel_schema_migrations", []))?
        }
        (Some(_), Dialect::Postgres) => {
            link.load(Sql::new("select version from demo.__diesel_schema_migrations", []))?
        }
    };
    let applied: Vec<String> = applied.into_iter().map(|row| row.version).collect();
    if let Some(migration) = applied.iter().find(|version| !known.iter().any(|(known, _)| known == *version))
    {
        return Err(Error::NewerSchema { migration: migration.clone() });
    }
    let pending: Vec<String> =
        known.into_iter().filter(|(version, _)| !applied.contains(version)).map(|(_, name)| name).collect();
    if pending.is_empty() { Ok(()) } else { Err(Error::OlderSchema { pending }) }
}

/// The version and the name of every migration that is known.
fn versions<DB: diesel::backend::Backend>(source: &EmbeddedMigrations) -> Result<Vec<(String, String)>>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let known: Vec<Box<dyn Migration<DB>>> = source.migrations().map_err(failed)?;
    Ok(known.iter().map(|m| (m.name().version().to_string(), m.name().to_string())).collect())
}

#[cfg(test)]
mod tests {
    use diesel::sql_types::BigInt;
    use diesel::{Connection, RunQueryDsl};

    use super::*;

    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = BigInt)]
        found: i64,
    }

    fn found(conn: &mut SqliteConnection, query: &str) -> i64 {
        diesel::sql_query(query).get_result::<Found>(conn).unwrap().found
    }

    /// One that foreign keys hold for, as for every connection of the engine's.
    fn empty_file() -> SqliteConnection {
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        conn.batch_execute("pragma foreign_keys = on").unwrap();
        conn
    }

    const MADE: &str = "
        insert into demo_base (one, base_id, epoch, tracking_columns, stamp) values (1, 'base', 1, 0, '');
        insert into demo_user_sessions
          (number, id, organization_id, user_id, created_at, last_activity_at, live_layer, live_epoch)
          values (1, 'a', 'acme', 'ann', '', '', 16777217, 1), (7, 'b', 'acme', 'ben', '', '', 117440513, 1);
        insert into demo_sequences values (1, 'cases/2026', 4501);
        insert into demo_archives
          (session_number, ordinal, id, session_id, layer, epoch, archived_at, expires_at, counts)
          values (1, 1, 'x', 'a', 16777216, 1, '', '', '{}');
        delete from demo_user_sessions where number = 7;";

    #[test]
    fn sessions_and_what_belongs_to_them_outlast_the_sequence_of_their_numbers() {
        let mut conn = empty_file();
        let all: Vec<Box<dyn Migration<Sqlite>>> = SQLITE.migrations().unwrap();
        let at = all.iter().position(|m| m.name().to_string().contains("without_sequence")).unwrap();
        for migration in &all[..at] {
            migration.run(&mut conn).unwrap();
        }
        conn.batch_execute(MADE).unwrap();
        let all_there = |conn: &mut SqliteConnection| {
            let rows = "select (select count(*) from demo_user_sessions where number = 1 and user_id = 'ann') \
                 + (select count(*) from demo_sequences) + (select count(*) from demo_archives) as found";
            assert_eq!(found(conn, rows), 3);
            assert_eq!(found(conn, "select count(*) as found from pragma_foreign_key_check"), 0);
            assert_eq!(found(conn, "select foreign_keys as found from pragma_foreign_keys"), 1);
            conn.batch_execute("insert into demo_sequences values (99, 'none', 1)").unwrap_err();
        };
        for run in ["once", "and again, as where it was cut off before it was noted as done"] {
            all[at].run(&mut conn).unwrap_or_else(|error| panic!("{run}: {error}"));
            all_there(&mut conn);
        }
        let highest = "select highest_number as found from demo_removed_sessions";
        assert_eq!(found(&mut conn, highest), 7, "of a session that was removed before");
        all[at].revert(&mut conn).unwrap();
        all_there(&mut conn);
        let sequence = "select seq as found from sqlite_sequence where name = 'demo_user_sessions'";
        assert_eq!(found(&mut conn, sequence), 7);
    }
}
