//! The engine's own migrations, embedded in the binary.

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::Text;
use diesel::{PgConnection, QueryableByName, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::connection::{AnyConnection, Link, Sql};
use crate::error::{Error, Result};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/engine/sqlite");

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Database(diesel::result::Error::QueryBuilderError(error))
}

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/engine/postgres");

/// Refuses a database that a newer version has migrated.
fn refuse_newer<DB, C>(conn: &mut C, source: &EmbeddedMigrations) -> Result<()>
where
    DB: diesel::backend::Backend,
    C: MigrationHarness<DB>,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let known: Vec<Box<dyn Migration<DB>>> = source.migrations().map_err(failed)?;
    let known: Vec<String> = known.iter().map(|migration| migration.name().version().to_string()).collect();
    let applied = conn.applied_migrations().map_err(failed)?;
    match applied.into_iter().map(|version| version.to_string()).find(|version| !known.contains(version)) {
        Some(migration) => Err(Error::NewerSchema { migration }),
        None => Ok(()),
    }
}

fn refuse_older<DB, C>(conn: &mut C, source: EmbeddedMigrations) -> Result<()>
where
    DB: diesel::backend::Backend,
    C: MigrationHarness<DB>,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let pending = conn.pending_migrations(source).map_err(failed)?;
    if pending.is_empty() {
        return Ok(());
    }
    Err(Error::OlderSchema {
        pending: pending.iter().map(|migration| migration.name().to_string()).collect(),
    })
}

/// Brings the sessions file up to date.
pub(crate) fn migrate(conn: &mut SqliteConnection) -> Result<()> {
    refuse_newer(conn, &SQLITE)?;
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
    let migrated = refuse_newer(conn, &POSTGRES)
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

/// Whether the schema `demo` is the one that this version works with. Only reads: Diesel's own way to ask makes its
/// table first, which an application role may not.
pub(crate) fn check_current_postgres(conn: &mut PgConnection) -> Result<()> {
    let applied: Vec<VersionRow> =
        Link::Postgres(conn).load(Sql::new("select version from demo.__diesel_schema_migrations", []))?;
    let known: Vec<Box<dyn Migration<Pg>>> = POSTGRES.migrations().map_err(failed)?;
    let known: Vec<(String, String)> =
        known.iter().map(|one| (one.name().version().to_string(), one.name().to_string())).collect();
    if let Some(row) = applied.iter().find(|row| known.iter().all(|(version, _)| *version != row.version)) {
        return Err(Error::NewerSchema { migration: row.version.clone() });
    }
    let pending = known.into_iter().filter(|(version, _)| applied.iter().all(|row| row.version != *version));
    let pending: Vec<String> = pending.map(|(_, name)| name).collect();
    if pending.is_empty() { Ok(()) } else { Err(Error::OlderSchema { pending }) }
}

/// Whether the engine's tables are those that this version works with.
pub(crate) fn check_current(conn: &mut AnyConnection) -> Result<()> {
    match conn {
        AnyConnection::Sqlite(conn) => {
            refuse_newer(conn, &SQLITE)?;
            refuse_older(conn, SQLITE)
        }
        AnyConnection::Postgres(conn) => check_current_postgres(conn),
    }
}
