//! Builds a new base file beside the old one and puts it in place when it is complete and sealed, so that a
//! half-loaded base cannot exist.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, QueryableByName};

use super::base_file::file_error;
use super::{base_file, connect};
use crate::binding::{Mode, in_transaction};
use crate::connection::{AnyConnection, Link, Sql};
use crate::database::BaseState;
use crate::error::{Error, Result};
use crate::url::sessions_file;

#[derive(QueryableByName)]
struct RowsRow {
    #[diesel(sql_type = BigInt)]
    tables: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// What is at `base`.
pub(crate) fn state(base: &Path) -> Result<BaseState> {
    // To SQLite an empty file is a database without tables: there is nothing in it to lose.
    if fs::metadata(base).map_or(true, |file| file.len() == 0) {
        return Ok(BaseState::Missing);
    }
    let mut conn = connect::open_file(base, "?mode=ro")?;
    let mut link = Link::Sqlite(&mut conn);
    let seal = Sql::new(
        "select count(*) as tables, 0 as rows from sqlite_schema where name = ?",
        [base_file::SEAL_TABLE.into()],
    );
    if link.first::<RowsRow>(seal)?.is_none_or(|row| row.tables == 0) {
        let is_attached = super::host::is_attached(&sessions_file(base))?;
        return Ok(if is_attached { BaseState::Attached } else { BaseState::Unsealed });
    }
    let rows = Sql::new(
        "select count(*) as tables, cast(coalesce(sum(row_count), 0) as bigint) as rows from demo_seal",
        [],
    );
    let has_rows = link.first::<RowsRow>(rows)?.is_some_and(|row| row.rows > 0);
    Ok(if has_rows { BaseState::Sealed } else { BaseState::Empty })
}

/// Where a base is built before it is put in place.
fn loading_file(base: &Path) -> PathBuf {
    let mut name = base.file_name().unwrap_or_default().to_owned();
    name.push(".loading");
    base.with_file_name(name)
}

/// Builds a base with `build`, seals it as `base_id`, and puts it at `base`.
///
/// What was at `base` stays there, untouched, until the new file is complete; then it is replaced in one step.
/// Connections that have the old file open keep reading it until they look again. With `only_first` a base that is
/// there by now stays; whether one was built.
pub(crate) fn load<E: From<Error>>(
    base: &Path,
    base_id: &str,
    only_first: bool,
    build: impl FnOnce(&mut AnyConnection) -> std::result::Result<(), E>,
) -> std::result::Result<bool, E> {
    let loading = loading_file(base);
    let folder = base.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let reason = "the folder does not exist: create it first".to_owned();
        return Err(Error::File { path: folder.to_owned(), reason }.into());
    }
    let conn = open_empty(&loading)?;
    if only_first && state(base)? == BaseState::Sealed {
        fs::remove_file(&loading).map_err(file_error(&loading))?;
        return Ok(false);
    }
    match build_in(conn, base_id, build) {
        Ok(()) => {
            put_in_place(&loading, base, folder)?;
            Ok(true)
        }
        Err(error) => {
            // The load failed and says why; a file that cannot be removed is replaced by the next load.
            let _ = fs::remove_file(&loading);
            Err(error)
        }
    }
}

/// Opens an empty file for one loader. What an earlier, broken load has left is removed; a load that is still
/// running holds a lock and is left alone.
fn open_empty(loading: &Path) -> Result<diesel::SqliteConnection> {
    if loading.exists() {
        let mut leftover = diesel::SqliteConnection::establish(&crate::url::file_uri(loading, "?mode=rw"))
            .map_err(|error| Error::File { path: loading.to_owned(), reason: error.to_string() })?;
        let locked = leftover.batch_execute("pragma busy_timeout = 0; begin exclusive; rollback;");
        if locked.is_err_and(|error| error.to_string().contains("locked")) {
            return Err(Error::Unavailable("another load of this base is running".to_owned()));
        }
        drop(leftover);
        fs::remove_file(loading).map_err(file_error(loading))?;
    }
    let mut conn = connect::open_file(loading, "?mode=rwc")?;
    // Nobody reads this file before it is complete and synced, so it needs no journal. The lock is held until
    // the connection is closed. What sorting for an index needs beyond the cache goes to a file: memory stays flat
    // however large the base is.
    conn.batch_execute(
        "pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive; \
         pragma cache_size = -65536; pragma temp_store = file; begin exclusive; \
         create table demo_loading (one integer); commit;",
    )
    .map_err(Error::from)?;
    Ok(conn)
}

fn build_in<E: From<Error>>(
    conn: diesel::SqliteConnection,
    base_id: &str,
    build: impl FnOnce(&mut AnyConnection) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let mut conn = AnyConnection::Sqlite(conn);
    conn.batch_execute("drop table demo_loading;").map_err(Error::from)?;
    in_transaction(&mut conn, Mode::Write, |conn| {
        build(conn)?;
        if let AnyConnection::Sqlite(sqlite) = conn {
            base_file::seal(sqlite, base_id)?;
        }
        Ok(())
    })
}

fn put_in_place(loading: &Path, base: &Path, folder: &Path) -> Result<()> {
    File::open(loading).and_then(|file| file.sync_all()).map_err(file_error(loading))?;
    fs::rename(loading, base).map_err(file_error(base))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(file_error(folder))
}
