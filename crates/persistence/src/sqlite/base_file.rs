//! The base file: how it is built, sealed, guarded and compared.
//!
//! A base file that the engine loads carries its own seal (a small table with its id and manifest) and guard
//! triggers. A base file of a host carries nothing of ours; then the seal stands in the sessions file alone.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
#[cfg(target_os = "linux")]
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::connection::{DefaultLoadingMode, LoadConnection};
use diesel::deserialize::FromSql;
use diesel::row::{Field, Row as _};
use diesel::sql_types::{BigInt, Binary, Double, Text};
use diesel::sqlite::{Sqlite, SqliteType};
use diesel::{QueryableByName, SqliteConnection};

use crate::connection::{Link, Sql};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::spec::{TableSpec, is_bookkeeping};
use crate::sql_text::{literal, quote};
use crate::verify::{NotSealed, TableSeal};

/// The table in which a base file that the engine loaded carries its id and manifest.
pub(crate) const SEAL_TABLE: &str = "demo_seal";

#[derive(QueryableByName)]
struct SealRow {
    #[diesel(sql_type = Text)]
    base_id: String,
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = BigInt)]
    row_count: i64,
    #[diesel(sql_type = Text)]
    fingerprint: String,
}

#[derive(QueryableByName)]
struct NameRow {
    #[diesel(sql_type = Text)]
    name: String,
}

/// A fingerprint of rows that does not depend on their order: the sum of a hash of each.
///
/// The rows of a table are a set (each has a key), so equal sums mean equal tables; summing lets the database
/// give rows in the order that is cheapest for it.
#[derive(Debug, Default)]
struct RowSetHash {
    rows: u64,
    lanes: [u64; 4],
}

impl RowSetHash {
    fn add(&mut self, row: &blake3::Hash) {
        self.rows += 1;
        for (lane, bytes) in self.lanes.iter_mut().zip(row.as_bytes().chunks_exact(8)) {
            let bytes: [u8; 8] = bytes.try_into().unwrap_or_default();
            *lane = lane.wrapping_add(u64::from_le_bytes(bytes));
        }
    }

    fn fingerprint(&self) -> String {
        self.lanes.iter().map(|lane| format!("{lane:016x}")).collect()
    }
}

/// Hashes every row that a query gives, value by value with its storage class. Where it `has_key`, the first value is
/// a text that is no part of the row.
fn hash_rows(
    conn: &mut SqliteConnection,
    query: String,
    has_key: bool,
    visit: &mut dyn FnMut(Option<String>, &blake3::Hash),
) -> Result<()> {
    let mut buffer = Vec::new();
    let rows = LoadConnection::<DefaultLoadingMode>::load(conn, diesel::sql_query(query))?;
    for row in rows {
        let row = row?;
        buffer.clear();
        let key = match row.get(0).filter(|_| has_key) {
            Some(field) => field
                .value()
                .map(<String as FromSql<Text, Sqlite>>::from_sql)
                .transpose()
                .map_err(Error::unreadable)?,
            None => None,
        };
        for position in usize::from(has_key)..row.field_count() {
            if let Some(field) = row.get(position) {
                append_value(&mut buffer, &field)?;
            }
        }
        visit(key, &blake3::hash(&buffer));
    }
    Ok(())
}

/// Counts and fingerprints a table of the schema `schema`. Every value counts with its storage class.
pub(crate) fn table_seal(conn: &mut SqliteConnection, schema: &str, table: &str) -> Result<TableSeal> {
    let mut hash = RowSetHash::default();
    let query = format!("select * from {}.{}", quote(schema), quote(table));
    hash_rows(conn, query, false, &mut |_, row| hash.add(row))?;
    Ok(TableSeal { table: table.to_owned(), rows: hash.rows, fingerprint: hash.fingerprint() })
}

/// What is kept of the hash of one row.
fn short(hash: &blake3::Hash) -> [u8; 8] {
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// A table's seal, and the short hashes of its rows one after the other.
pub(crate) fn row_seal(
    conn: &mut SqliteConnection,
    schema: &str,
    table: &str,
) -> Result<(TableSeal, Vec<u8>)> {
    let (mut hash, mut hashes) = (RowSetHash::default(), Vec::new());
    let query = format!("select * from {}.{}", quote(schema), quote(table));
    hash_rows(conn, query, false, &mut |_, row| {
        hash.add(row);
        hashes.extend(short(row));
    })?;
    let seal = TableSeal { table: table.to_owned(), rows: hash.rows, fingerprint: hash.fingerprint() };
    Ok((seal, hashes))
}

/// The rows of a base table whose short hash is not among `sealed`: how many, the first `most` of their keys, and how
/// many of `sealed` no row has.
pub(crate) fn rows_not_sealed(
    conn: &mut SqliteConnection,
    table: &TableSpec,
    sealed: &[u8],
    most: usize,
) -> Result<NotSealed> {
    let mut gone: HashSet<&[u8]> = sealed.chunks_exact(8).collect();
    let mut found = NotSealed::default();
    let key = Dialect::Sqlite.key_as_json_text(table, "x");
    let query = format!("select {key}, x.* from base.{} as x", quote(&table.name));
    hash_rows(conn, query, true, &mut |key, row| {
        if !gone.remove(short(row).as_slice()) {
            found.count += 1;
            if found.keys.len() < most {
                found.keys.extend(key.and_then(|key| serde_json::from_str(&key).ok()));
            }
        }
    })?;
    found.gone = gone.len() as u64;
    Ok(found)
}

fn append_value<'a>(buffer: &mut Vec<u8>, field: &impl Field<'a, Sqlite>) -> Result<()> {
    let Some(value) = field.value() else {
        buffer.push(0);
        return Ok(());
    };
    match value.value_type() {
        None => buffer.push(0),
        Some(SqliteType::Integer | SqliteType::SmallInt | SqliteType::Long) => {
            let number = <i64 as FromSql<BigInt, Sqlite>>::from_sql(value).map_err(Error::unreadable)?;
            buffer.push(1);
            buffer.extend(number.to_le_bytes());
        }
        Some(SqliteType::Float | SqliteType::Double) => {
            let number = <f64 as FromSql<Double, Sqlite>>::from_sql(value).map_err(Error::unreadable)?;
            buffer.push(2);
            buffer.extend(number.to_bits().to_le_bytes());
        }
        Some(class @ (SqliteType::Text | SqliteType::Binary)) => {
            let bytes = <Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value).map_err(Error::unreadable)?;
            buffer.push(if class == SqliteType::Text { 3 } else { 4 });
            buffer.extend((bytes.len() as u64).to_le_bytes());
            buffer.extend(bytes);
        }
    }
    Ok(())
}

/// Counts and fingerprints all tables named.
pub(crate) fn manifest(
    conn: &mut SqliteConnection,
    schema: &str,
    tables: &[String],
) -> Result<Vec<TableSeal>> {
    tables.iter().map(|table| table_seal(conn, schema, table)).collect()
}

/// Writes the seal and the guard triggers into a base file that has just been loaded, opened as `main`.
pub(crate) fn seal(conn: &mut SqliteConnection, base_id: &str) -> Result<()> {
    let mut link = Link::Sqlite(conn);
    let tables: Vec<NameRow> = link.load(Sql::new(
        "select name from pragma_table_list where schema = 'main' and type = 'table' \
         and name not like 'sqlite\\_%' escape '\\' order by name",
        [],
    ))?;
    let tables: Vec<String> =
        tables.into_iter().map(|row| row.name).filter(|name| !is_bookkeeping(name)).collect();
    link.batch(&format!(
        "create table {SEAL_TABLE} (base_id text not null, table_name text not null primary key, \
         row_count integer not null, fingerprint text not null) without rowid;"
    ))?;
    for seal in manifest(conn, "main", &tables)? {
        let mut insert = Sql::default();
        insert.push(&format!(
            "insert into {SEAL_TABLE} (base_id, table_name, row_count, fingerprint) values ("
        ));
        insert.bind(base_id).push(", ").bind(seal.table.as_str()).push(", ");
        insert.bind(i64::try_from(seal.rows).unwrap_or(i64::MAX)).push(", ");
        insert.bind(seal.fingerprint.as_str()).push(")");
        Link::Sqlite(conn).execute(insert)?;
    }
    let guarded = tables.iter().map(String::as_str).chain([SEAL_TABLE]);
    Link::Sqlite(conn).batch(&guarded.map(guard_triggers).collect::<String>())
}

/// Refuse every write to a sealed table, by whatever program. `INSERT OR REPLACE` meets the INSERT guard first.
fn guard_triggers(table: &str) -> String {
    let trigger = |event: &str| {
        format!(
            "create trigger {} before {event} on {} begin select raise(abort, {}); end;\n",
            quote(&format!("demo_guard_{event}_{table}")),
            quote(table),
            literal("base data is sealed: write through a demo session instead")
        )
    };
    ["insert", "update", "delete"].map(trigger).concat()
}

/// The id and manifest that the attached base file carries, if the engine loaded it.
pub(crate) fn carried_seal(link: &mut Link<'_>) -> Result<Option<(String, Vec<TableSeal>)>> {
    let exists: Vec<NameRow> = link.load(Sql::new(
        "select name from base.sqlite_schema where type = 'table' and name = ?",
        [SEAL_TABLE.into()],
    ))?;
    if exists.is_empty() {
        return Ok(None);
    }
    let rows: Vec<SealRow> = link.load(Sql::new(
        "select base_id, table_name, row_count, fingerprint from base.demo_seal order by table_name",
        [],
    ))?;
    let Some(base_id) = rows.first().map(|row| row.base_id.clone()) else { return Ok(None) };
    let seals = rows.into_iter().map(|row| TableSeal {
        table: row.table_name,
        rows: row.row_count.unsigned_abs(),
        fingerprint: row.fingerprint,
    });
    Ok(Some((base_id, seals.collect())))
}

/// Whether two stamps are of the same schema: the schema cookie is their last part.
pub(crate) fn same_schema(left: &str, right: &str) -> bool {
    left.rsplit(':').next() == right.rsplit(':').next()
}

/// Whether the file is in WAL mode, in which a write need not change the header.
pub(crate) fn is_in_wal_mode(path: &Path) -> Result<bool> {
    Ok(header(path)?.0[18] == 2)
}

/// What SQLite changes in the header of a database file whenever a program writes it: the size, the change
/// counter and the schema cookie (<https://www.sqlite.org/fileformat2.html#the_database_header>). Reading it is
/// how a reset can say in constant time that nobody has written the base.
pub(crate) fn stamp(path: &Path) -> Result<String> {
    let (header, length) = header(path)?;
    let field =
        |at: usize| header[at..at + 4].iter().fold(0_u32, |number, &byte| number << 8 | u32::from(byte));
    Ok(format!("{length}:{}:{}", field(24), field(40)))
}

/// How long the times of a file must have stood still before they tell one state of it from the next: file systems
/// count in steps of up to two seconds.
const FILE_TIME_STEP: Duration = Duration::from_secs(2);

/// A file that is looked at again and again. On Linux it is found by its path once (docs/performance.md, "Reset", has what
/// that saves). It is not open for reading, and so its closing drops no lock of SQLite's. Who replaces, moves or removes the
/// file changes the times and links of the one that was found; who moves the folder that it is in moves it from under
/// SQLite's connections just so.
#[derive(Debug)]
struct Found {
    #[cfg(target_os = "linux")]
    file: File,
    #[cfg(not(target_os = "linux"))]
    path: std::path::PathBuf,
}

impl Found {
    #[cfg(target_os = "linux")]
    fn at(path: &Path) -> std::io::Result<Self> {
        let file = File::options().read(true).custom_flags(libc::O_PATH).open(path)?;
        Ok(Self { file })
    }

    #[cfg(target_os = "linux")]
    fn metadata(&self) -> std::io::Result<Metadata> {
        self.file.metadata()
    }

    #[cfg(not(target_os = "linux"))]
    fn at(path: &Path) -> std::io::Result<Self> {
        Ok(Self { path: path.to_owned() })
    }

    #[cfg(not(target_os = "linux"))]
    fn metadata(&self) -> std::io::Result<Metadata> {
        std::fs::metadata(&self.path)
    }

    fn state(&self) -> std::io::Result<FileState> {
        let metadata = self.metadata()?;
        Ok(FileState {
            device: metadata.dev(),
            inode: metadata.ino(),
            links: metadata.nlink(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// What the file system says of a file. No program can set the time of the last change of status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileState {
    device: u64,
    inode: u64,
    links: u64,
    size: u64,
    changed: (i64, i64),
}

#[derive(Debug)]
struct Remembered {
    found: Found,
    state: FileState,
    since: Instant,
    stamp: Option<String>,
}

impl Remembered {
    /// The stamp, where it was remembered and nobody has touched the file since.
    fn stamp(&self) -> Option<&String> {
        self.stamp.as_ref().filter(|_| self.found.state().is_ok_and(|state| state == self.state))
    }
}

/// The stamp of the base file, read again only after somebody has touched the file.
///
/// Besides the time it saves: closing a file drops every lock that this process has on it, those of SQLite's open
/// connections included (<https://www.sqlite.org/howtocorrupt.html>, "POSIX advisory locks"), so the server should open
/// the base file as rarely as it can.
#[derive(Debug)]
pub(crate) struct StampCache {
    remembered: Mutex<Option<Remembered>>,
    time_step: Duration,
}

impl Default for StampCache {
    fn default() -> Self {
        Self { remembered: Mutex::default(), time_step: FILE_TIME_STEP }
    }
}

impl StampCache {
    /// The stamp of the file as it is now.
    pub(crate) fn stamp(&self, path: &Path) -> Result<String> {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stamp) = remembered.as_ref().and_then(Remembered::stamp) {
            return Ok(stamp.clone());
        }
        let known = remembered.take();
        let found = Found::at(path).map_err(file_error(path))?;
        let state = found.state().map_err(file_error(path))?;
        let since = known.filter(|known| known.state == state).map_or_else(Instant::now, |known| known.since);
        let stamp = stamp(path)?;
        // A write right after the last one may leave the times as they are: until they have stood still for a while,
        // the file is read each time.
        let settled = since.elapsed() >= self.time_step;
        *remembered = Some(Remembered { found, state, since, stamp: settled.then(|| stamp.clone()) });
        Ok(stamp)
    }
}

/// Names the file in what stands in its way.
pub(super) fn file_error(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::File { path: path.to_owned(), reason: error.to_string() }
}

/// The header of a database file, and how long the file is.
fn header(path: &Path) -> Result<([u8; 100], u64)> {
    let mut header = [0_u8; 100];
    let mut file = File::open(path).map_err(file_error(path))?;
    file.read_exact(&mut header).map_err(file_error(path))?;
    Ok((header, file.metadata().map_err(file_error(path))?.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of a database file that was written `changes` times.
    fn write_header(path: &Path, changes: u8) {
        let mut header = [0_u8; 100];
        header[27] = changes;
        std::fs::write(path, header).unwrap();
    }

    #[test]
    fn a_file_that_was_just_written_is_read_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base.db");
        let stamps = StampCache::default();
        for changes in 0..100 {
            // All within one step of the file system's clock, and the size stays as it is.
            write_header(&path, changes);
            assert_eq!(stamps.stamp(&path).unwrap(), format!("100:{changes}:0"));
        }
    }

    #[test]
    fn a_file_that_has_stood_still_is_not_read_again_until_it_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base.db");
        let stamps = StampCache { time_step: Duration::ZERO, ..StampCache::default() };
        write_header(&path, 1);
        assert_eq!(stamps.stamp(&path).unwrap(), "100:1:0");
        assert!(stamps.remembered.lock().unwrap().as_ref().unwrap().stamp.is_some());

        let other = folder.path().join("other.db");
        write_header(&other, 2);
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(stamps.stamp(&path).unwrap(), "100:2:0");
    }

    #[test]
    fn a_file_in_the_place_of_one_that_was_moved_away_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base.db");
        let stamps = StampCache { time_step: Duration::ZERO, ..StampCache::default() };
        write_header(&path, 1);
        assert_eq!(stamps.stamp(&path).unwrap(), "100:1:0");
        // The one that was found still exists, with its content, and has a link more for a while.
        let (kept, moved) = (folder.path().join("kept.db"), folder.path().join("moved.db"));
        std::fs::hard_link(&path, &kept).unwrap();
        std::fs::rename(&path, &moved).unwrap();
        std::fs::remove_file(&kept).unwrap();
        write_header(&path, 2);
        assert_eq!(stamps.stamp(&path).unwrap(), "100:2:0");
    }

    /// A process's locks on a file are gone when it closes any file that it has opened there, but for a place.
    #[test]
    fn looking_at_the_file_again_and_again_drops_no_lock_on_it() {
        use diesel::Connection;
        use diesel::connection::SimpleConnection;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base.db");
        let mut writer = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
        writer.batch_execute("create table t (n integer)").unwrap();
        let stamps = StampCache { time_step: Duration::ZERO, ..StampCache::default() };
        stamps.stamp(&path).unwrap();
        writer.batch_execute("begin exclusive").unwrap();
        // What was remembered is found still to hold, and is forgotten: neither may close what the lock is on.
        stamps.stamp(&path).unwrap();
        drop(stamps);
        let other = std::process::Command::new("sqlite3").arg(&path).arg("select * from t").output();
        let Ok(other) = other else {
            assert!(std::env::var_os("CI").is_none(), "in CI sqlite3 must be installed");
            return;
        };
        assert!(String::from_utf8_lossy(&other.stderr).contains("locked"), "{other:?}");
    }

    #[test]
    fn a_file_that_is_gone_is_an_error_though_its_stamp_was_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base.db");
        let stamps = StampCache { time_step: Duration::ZERO, ..StampCache::default() };
        write_header(&path, 1);
        stamps.stamp(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(stamps.stamp(&path).is_err());
    }
}
