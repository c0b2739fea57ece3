//! The engine's own migrations, embedded in the binary.

use diesel::SqliteConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::connection::AnyConnection;
use crate::error::{Error, Result};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/engine/sqlite");

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Database(diesel::result::Error::QueryBuilderError(error))
}

/// Refuses a database that a newer version has migrated.
fn refuse_newer(conn: &mut SqliteConnection) -> Result<()> {
    let known: Vec<Box<dyn Migration<Sqlite>>> = SQLITE.migrations().map_err(failed)?;
    let known: Vec<String> = known.iter().map(|migration| migration.name().version().to_string()).collect();
    let applied = conn.applied_migrations().map_err(failed)?;
    match applied.into_iter().map(|version| version.to_string()).find(|version| !known.contains(version)) {
        Some(migration) => Err(Error::NewerSchema { migration }),
        None => Ok(()),
    }
}

/// Brings the sessions file up to date.
pub(crate) fn migrate(conn: &mut SqliteConnection) -> Result<()> {
    refuse_newer(conn)?;
    conn.run_pending_migrations(SQLITE).map_err(failed)?;
    Ok(())
}

/// Whether the engine's tables are those that this version works with.
pub(crate) fn check_current(conn: &mut AnyConnection) -> Result<()> {
    let AnyConnection::Sqlite(conn) = conn else { return Ok(()) };
    refuse_newer(conn)?;
    let pending = conn.pending_migrations(SQLITE).map_err(failed)?;
    if pending.is_empty() {
        return Ok(());
    }
    Err(Error::OlderSchema {
        pending: pending.iter().map(|migration| migration.name().to_string()).collect(),
    })
}
