//! Opens connections: the sessions file as `main`, the base file attached read-only, and the TEMP objects made.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{Connection, QueryableByName, SqliteConnection};

use super::{attach, base_file};
use crate::connection::{AnyConnection, Link, Sql};
use crate::error::{Error, Result};
use crate::sql_text::literal;
use crate::url::file_uri;
use crate::{reset, search};

/// What every connection needs. `recursive_triggers` also makes REPLACE fire the DELETE trigger of what it
/// overwrites; `busy_timeout` is in milliseconds.
const SETTINGS: &str = "pragma busy_timeout = 5000; pragma foreign_keys = on; pragma recursive_triggers = on; \
    pragma temp_store = memory; pragma synchronous = normal;";

/// A log that one large write has made longer is cut to 16 MiB when it is begun anew; it would keep its length for ever.
const LOG_LIMIT: &str = "pragma journal_size_limit = 16777216;";

/// Opens one file.
pub(crate) fn open_file(path: &Path, query: &str) -> Result<SqliteConnection> {
    let file_error = |reason: String| Error::File { path: path.to_owned(), reason };
    let mut conn =
        SqliteConnection::establish(&file_uri(path, query)).map_err(|e| file_error(e.to_string()))?;
    conn.batch_execute(&[SETTINGS, LOG_LIMIT].concat()).map_err(|e| file_error(e.to_string()))?;
    // The first read of the file: here a file of another kind shows.
    conn.batch_execute("select count(*) from sqlite_schema;").map_err(|e| file_error(e.to_string()))?;
    Ok(conn)
}

/// Opens the sessions file, made if missing, with the base file attached.
pub(crate) fn open_both(base: &Path, sessions: &Path) -> Result<SqliteConnection> {
    let mut conn = open_file(sessions, "?mode=rwc")?;
    attach_base(&mut conn, base)?;
    Ok(conn)
}

/// How much of the base file is mapped into memory, in bytes: all of it, so that the connections of a pool share what
/// they have read, and no page is copied from the system's cache into one of their own.
const BASE_MAPPED: i64 = 1 << 40;

/// Attaches the base file, read-only.
fn attach_base(conn: &mut SqliteConnection, base: &Path) -> Result<()> {
    let mut attach = Sql::default();
    attach.push("attach ").bind(file_uri(base, "?mode=ro").as_str()).push(" as base");
    let unusable = |error: Error| Error::File { path: base.to_owned(), reason: error.to_string() };
    Link::Sqlite(conn).execute(attach).map_err(unusable)?;
    let first_read =
        format!("pragma base.mmap_size = {BASE_MAPPED}; select count(*) from base.sqlite_schema;");
    Link::Sqlite(conn).batch(&first_read).map_err(unusable)
}

/// The base that is active.
#[derive(QueryableByName)]
struct ActiveRow {
    #[diesel(sql_type = Text)]
    base_id: String,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Bool)]
    of_host: bool,
    #[diesel(sql_type = Bool)]
    is_suspended: bool,
}

/// Makes bound connections for the pools.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    base: PathBuf,
    sessions: PathBuf,
    /// The TEMP objects of the newest base, so that discovery runs once per base and not once per connection.
    objects: Arc<Mutex<Option<(i64, String)>>>,
}

impl Connector {
    pub(crate) fn new(base: PathBuf, sessions: PathBuf) -> Self {
        Self { base, sessions, objects: Arc::default() }
    }

    /// Makes a connection.
    pub(crate) fn connect(&self) -> Result<AnyConnection> {
        let mut conn = open_both(&self.base, &self.sessions)?;
        self.make_objects(&mut conn)?;
        Ok(AnyConnection::Sqlite(conn))
    }

    /// Makes a connection of the host's to the sessions file fit for sessions.
    pub(crate) fn prepare(&self, conn: &mut SqliteConnection) -> Result<()> {
        conn.batch_execute("pragma busy_timeout = 5000; pragma recursive_triggers = on;")?;
        conn.batch_execute(LOG_LIMIT)?;
        attach_base(conn, &self.base)?;
        self.make_objects(conn)
    }

    fn make_objects(&self, conn: &mut SqliteConnection) -> Result<()> {
        search::register(conn)?;
        reset::register(conn)?;
        let mut link = Link::Sqlite(conn);
        // All of it at once: what is suspended, or replaced, after this look is of a later epoch.
        let active: Option<ActiveRow> = link.first(Sql::new(
            "select base_id, epoch, of_host, sealed_at is null as is_suspended from main.demo_base",
            [],
        ))?;
        let active = active.ok_or_else(|| Error::NotSealed { reason: "it was never attached".to_owned() })?;
        if active.is_suspended {
            return Err(Error::Suspended);
        }
        // A base file that the engine loaded says which base it is; a host's file is what it was attached as.
        let carried = base_file::carried_seal(&mut link)?.map(|(base_id, _)| base_id);
        let base_id = match carried {
            Some(base_id) => base_id,
            None if active.of_host => active.base_id,
            None => {
                let reason =
                    format!("{} is not the base that was loaded: it has no seal", self.base.display());
                return Err(Error::NotSealed { reason });
            }
        };
        let epoch = active.epoch;
        link.batch(&format!(
            "create temp table demo_connection (base_id text not null, epoch integer not null); \
             insert into demo_connection values ({}, {epoch});",
            literal(&base_id)
        ))?;
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let script = match objects.take() {
            Some((of_epoch, script)) if of_epoch == epoch => script,
            _ => attach::connection_script(&mut link)?,
        };
        link.batch(&script)?;
        *objects = Some((epoch, script));
        Ok(())
    }
}
