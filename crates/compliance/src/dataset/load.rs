//! Loads the dataset into an empty database.

use std::mem;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use demo_reset_persistence::AnyConnection;
use diesel::backend::Backend;
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use diesel::{ExecuteCopyFromDsl, PgConnection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::rows::{Batch, with_tables};
use super::{DatasetError, DatasetOptions, SeedData, Sink, generate};
use crate::schema;
use crate::words::SEARCHED;

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/compliance/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/compliance/postgres");

/// Creates the demo's tables, as far as they are missing.
pub fn migrate(conn: &mut AnyConnection) -> Result<(), DatasetError> {
    let done = match conn {
        AnyConnection::Sqlite(conn) => conn.run_pending_migrations(SQLITE).map(|_| ()),
        AnyConnection::Postgres(conn) => conn.run_pending_migrations(POSTGRES).map(|_| ()),
    };
    done.map_err(|error| DatasetError::Migration(error.to_string()))
}

#[derive(QueryableByName)]
struct VersionRow {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Refuses base data whose tables a newer version of this program has migrated. Only reads.
///
/// # Errors
/// [`demo_reset_persistence::Error::NewerSchema`], or those of the database.
pub fn refuse_newer(conn: &mut AnyConnection) -> Result<(), demo_reset_persistence::Error> {
    let (known, applied) = match conn {
        AnyConnection::Sqlite(_) => {
            (versions::<Sqlite>(&SQLITE)?, "select version from base.__diesel_schema_migrations")
        }
        AnyConnection::Postgres(_) => {
            (versions::<Pg>(&POSTGRES)?, "select version from public.__diesel_schema_migrations")
        }
    };
    let applied: Vec<VersionRow> = diesel::sql_query(applied).load(conn)?;
    match applied.into_iter().find(|row| !known.contains(&row.version)) {
        Some(row) => Err(demo_reset_persistence::Error::NewerSchema { migration: row.version }),
        None => Ok(()),
    }
}

fn versions<DB: Backend>(source: &EmbeddedMigrations) -> Result<Vec<String>, diesel::result::Error>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let migrations: Vec<Box<dyn Migration<DB>>> =
        source.migrations().map_err(diesel::result::Error::QueryBuilderError)?;
    Ok(migrations.iter().map(|migration| migration.name().version().to_string()).collect())
}

/// How far loading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Rows loaded.
    pub rows: u64,
    /// Rows there will be, about; exact in the last report.
    pub expected: u64,
}

/// What was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadSummary {
    /// Rows by table, parents first.
    pub tables: Vec<(&'static str, u64)>,
}

impl LoadSummary {
    /// Rows in all.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum()
    }
}

/// Rows that come with one case, in thousandths, besides the case itself and the employees: for the progress bar.
const ROWS_PER_CASE: u64 = 14_385;

fn expected_rows(seed: &SeedData, options: &DatasetOptions) -> u64 {
    seed.organizations
        .iter()
        .map(|organization| {
            let cases = u64::from(organization.cases) * ROWS_PER_CASE / 1000;
            (u64::from(organization.employees) + cases) * u64::from(options.scale)
        })
        .sum()
}

/// Makes the dataset from `seed` and loads it into an empty database whose tables exist, inside the transaction that
/// is open on `conn`.
///
/// Indexes are set aside while the rows come in and made again at the end, by their own definitions: sorting once
/// is faster than inserting in the middle of a tree. Those of words are left to
/// [`make_search_indexes`](crate::make_search_indexes) on PostgreSQL.
pub fn load(
    conn: &mut AnyConnection,
    seed: &SeedData,
    options: DatasetOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<LoadSummary, DatasetError> {
    refuse_if_not_empty(conn)?;
    let indexes = set_indexes_aside(conn)?;
    let mut sink = Loader {
        conn,
        progress,
        done: Progress { rows: 0, expected: expected_rows(seed, &options) },
        tables: Batch::TABLES.iter().map(|&table| (table, 0)).collect(),
    };
    generate_ahead(seed, &options, &mut sink)?;
    sink.done.expected = sink.done.rows;
    let summary = LoadSummary { tables: sink.tables };
    let done = sink.done;
    for index in indexes {
        conn.batch_execute(&index)?;
    }
    if let AnyConnection::Sqlite(_) = conn {
        // PostgreSQL makes its own at once, on several connections, which see the rows when they are committed.
        crate::words::index_words(conn)?;
    }
    progress(done);
    Ok(summary)
}

/// [`generate()`], with the next rows being made while `sink` takes those before.
fn generate_ahead(
    seed: &SeedData,
    options: &DatasetOptions,
    sink: &mut dyn Sink,
) -> Result<(), DatasetError> {
    let (made, taken) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        let maker = scope.spawn(move || generate(seed, options, &mut Ahead(made)));
        // An error ends the loop and hangs up, which ends the maker.
        let loaded = taken.into_iter().try_for_each(|mut batch| sink.write(&mut batch));
        let generated = maker.join().unwrap_or_else(|panic| resume_unwind(panic));
        loaded.and(generated)
    })
}

/// Hands rows on to the thread that loads them.
struct Ahead(SyncSender<Batch>);

impl Sink for Ahead {
    fn write(&mut self, batch: &mut Batch) -> Result<(), DatasetError> {
        self.0.send(mem::take(batch)).map_err(|_| DatasetError::NotTaken)
    }
}

struct Loader<'a> {
    conn: &'a mut AnyConnection,
    progress: &'a mut dyn FnMut(Progress),
    done: Progress,
    tables: Vec<(&'static str, u64)>,
}

impl Sink for Loader<'_> {
    fn write(&mut self, batch: &mut Batch) -> Result<(), DatasetError> {
        match self.conn {
            AnyConnection::Sqlite(conn) => insert(conn, batch)?,
            AnyConnection::Postgres(conn) => copy(conn, batch)?,
        }
        for (total, rows) in self.tables.iter_mut().zip(batch.counts()) {
            total.1 += rows as u64;
        }
        self.done.rows += batch.len() as u64;
        self.done.expected = self.done.expected.max(self.done.rows);
        batch.clear();
        (self.progress)(self.done);
        Ok(())
    }
}

/// Rows in one statement: more make the statement dearer to prepare than the calls it saves.
const ROWS_PER_INSERT: usize = 50;

fn insert(conn: &mut SqliteConnection, batch: &Batch) -> QueryResult<()> {
    macro_rules! insert_table {
        ($table:ident, $rows:expr) => {
            for rows in $rows.chunks(ROWS_PER_INSERT) {
                diesel::insert_into(schema::$table::table).values(rows).execute(conn)?;
            }
        };
    }
    with_tables!(insert_table, batch);
    Ok(())
}

fn copy(conn: &mut PgConnection, batch: &Batch) -> QueryResult<()> {
    macro_rules! copy_table {
        ($table:ident, $rows:expr) => {
            if !$rows.is_empty() {
                diesel::copy_from(schema::$table::table).from_insertable(&$rows).execute(conn)?;
            }
        };
    }
    with_tables!(copy_table, batch);
    Ok(())
}

fn refuse_if_not_empty(conn: &mut AnyConnection) -> Result<(), DatasetError> {
    let organizations: i64 = schema::organizations::table.count().get_result(conn)?;
    if organizations > 0 {
        return Err(DatasetError::NotEmpty("organizations"));
    }
    Ok(())
}

#[derive(QueryableByName)]
struct Definition {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    definition: String,
}

/// Drops the constraints of this kind, which PostgreSQL checks row by row while rows come in, and returns the
/// statements that make them again.
fn set_constraints_aside(conn: &mut PgConnection, kinds: &str, tables: &str) -> QueryResult<Vec<String>> {
    let found: Vec<Definition> = diesel::sql_query(format!(
        "select format('alter table %s drop constraint %I', k.conrelid::regclass, k.conname) as name, \
         format('alter table %s add constraint %I %s', k.conrelid::regclass, k.conname, \
         pg_get_constraintdef(k.oid)) as definition from pg_constraint k join pg_class t on t.oid = k.conrelid \
         where k.contype in ({kinds}) and t.relnamespace = current_schema()::regnamespace and t.relname in ({tables}) \
         order by t.relname, k.conname"
    ))
    .load(conn)?;
    found
        .into_iter()
        .map(|constraint| {
            conn.batch_execute(&constraint.name)?;
            Ok(constraint.definition)
        })
        .collect()
}

/// Drops the indexes, on PostgreSQL with the constraints that have some, and returns the statements that make them again.
fn set_indexes_aside(conn: &mut AnyConnection) -> Result<Vec<String>, DatasetError> {
    let tables = Batch::TABLES.iter().map(|table| format!("'{table}'")).collect::<Vec<_>>().join(", ");
    let query = match conn {
        // Indexes of constraints have no SQL of their own.
        AnyConnection::Sqlite(_) => format!(
            "select name, sql as definition from main.sqlite_schema \
             where type = 'index' and sql is not null and tbl_name in ({tables}) order by name"
        ),
        AnyConnection::Postgres(_) => format!(
            "select c.relname::text as name, pg_get_indexdef(i.indexrelid) as definition from pg_index i \
             join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid \
             where t.relnamespace = current_schema()::regnamespace and t.relname in ({tables}) \
             and not exists (select 1 from pg_constraint k where k.conindid = i.indexrelid) order by c.relname"
        ),
    };
    let found: Vec<Definition> = diesel::sql_query(query).load(conn)?;
    let mut definitions = Vec::new();
    for index in found {
        conn.batch_execute(&format!("drop index \"{}\"", index.name))?;
        if !SEARCHED.iter().any(|searched| searched.name() == index.name) {
            definitions.push(index.definition);
        }
    }
    if let AnyConnection::Postgres(conn) = conn {
        // A reference needs the key that it refers to: it goes before and comes back after.
        let references = set_constraints_aside(conn, "'f'", &tables)?;
        definitions.extend(set_constraints_aside(conn, "'p', 'u'", &tables)?);
        definitions.extend(references);
    }
    Ok(definitions)
}
