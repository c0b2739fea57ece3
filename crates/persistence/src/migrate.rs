//! The engine's own migrations, embedded in the binary.

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::{PgConnection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::connection::AnyConnection;
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
    conn.batch_execute("create schema if not exists demo; set search_path = demo;")?;
    let migrated = refuse_newer(conn, &POSTGRES)
        .and_then(|()| conn.run_pending_migrations(POSTGRES).map(|_| ()).map_err(failed));
    conn.batch_execute("set search_path = demo, public;")?;
    migrated
}

/// Whether the schema `demo` is the one that this version works with.
pub(crate) fn check_current_postgres(conn: &mut PgConnection) -> Result<()> {
    refuse_newer(conn, &POSTGRES)?;
    refuse_older(conn, POSTGRES)
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
