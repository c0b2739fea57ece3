//! Proof that the base is intact, and the small shared secrets.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use crate::connection::{Link, Sql};
use crate::database::{DifferingRows, TableVerification, Verification};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::postgres;
use crate::spec::TableSpec;
use crate::sqlite::base_file::{self, StampCache};
use crate::sqlite::discover;
use crate::url::DatabaseUrl;

#[derive(QueryableByName)]
struct EpochRow {
    #[diesel(sql_type = BigInt)]
    epoch: i64,
}

#[derive(QueryableByName)]
struct StoredSeal {
    #[diesel(sql_type = Nullable<Text>)]
    seal: Option<String>,
}

fn never_attached() -> Error {
    Error::NotSealed { reason: "it was never attached".to_owned() }
}

/// How often the base was opened and sealed.
pub(crate) fn epoch(link: &mut Link<'_>) -> Result<i64> {
    let row: Option<EpochRow> = link.first(Sql::new("select epoch from demo_base", []))?;
    row.map(|row| row.epoch).ok_or_else(never_attached)
}

/// The seal as SQLite stores it: the stamp that the base file had; null while the base is open for changes.
macro_rules! seal_on_sqlite {
    () => {
        "(select stamp from demo_base where sealed_at is not null)"
    };
}
pub(crate) use seal_on_sqlite;

/// Whether no program has written the base since it got this seal. Constant time: on SQLite it compares the header
/// of the file with what it was when the manifest was taken; on PostgreSQL a base that was opened has none.
pub(crate) fn seal_holds(seal: Option<&str>, url: &DatabaseUrl, stamps: &StampCache) -> Result<bool> {
    match (seal, url) {
        (None, _) => Ok(false),
        (Some(_), DatabaseUrl::Postgres(_)) => Ok(true),
        (Some(stamp), DatabaseUrl::Sqlite(path)) => Ok(stamps.stamp(path)? == stamp),
    }
}

/// Whether the base is sealed and no program has written it since.
pub(crate) fn is_sealed(link: &mut Link<'_>, url: &DatabaseUrl, stamps: &StampCache) -> Result<bool> {
    let query = match link.dialect() {
        Dialect::Sqlite => concat!("select ", seal_on_sqlite!(), " as seal"),
        // When the base got it; null while the base is open for changes.
        Dialect::Postgres => "select (select sealed_at::text from demo_base) as seal",
    };
    let row: Option<StoredSeal> = link.first(Sql::new(query, []))?;
    seal_holds(row.and_then(|row| row.seal).as_deref(), url, stamps)
}

fn base_tables(link: &mut Link<'_>) -> Result<Vec<String>> {
    match link {
        Link::Sqlite(_) => discover::base_tables(link),
        Link::Postgres(_) => postgres::base::base_tables(link),
    }
}

fn table_seal(link: &mut Link<'_>, table: &str) -> Result<TableSeal> {
    match link {
        Link::Sqlite(conn) => base_file::table_seal(conn, "base", table),
        Link::Postgres(_) => postgres::base::table_seal(link, table),
    }
}

/// Count and content of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableSeal {
    pub(crate) table: String,
    pub(crate) rows: u64,
    pub(crate) fingerprint: String,
}

/// Replaces the manifest.
pub(crate) fn store_manifest(link: &mut Link<'_>, seals: &[TableSeal]) -> Result<()> {
    link.batch("delete from demo_manifest; delete from demo_row_seals;")?;
    for seal in seals {
        link.execute(Sql::new(
            "insert into demo_manifest (table_name, row_count, fingerprint) values (?, ?, ?)",
            [
                seal.table.as_str().into(),
                i64::try_from(seal.rows).unwrap_or(i64::MAX).into(),
                seal.fingerprint.as_str().into(),
            ],
        ))?;
    }
    Ok(())
}

/// Keeps the short hashes of a table's rows.
pub(crate) fn store_row_hashes(link: &mut Link<'_>, table: &str, hashes: Vec<u8>) -> Result<()> {
    link.execute(Sql::new(
        "insert into demo_row_seals (table_name, row_hashes) values (?, ?)",
        [table.into(), hashes.into()],
    ))?;
    Ok(())
}

/// Rows of a table that are not as they were sealed.
#[derive(Debug, Default)]
pub(crate) struct NotSealed {
    /// How many.
    pub(crate) count: u64,
    /// Sealed rows that are not found.
    pub(crate) gone: u64,
    /// The keys of the first of them.
    pub(crate) keys: Vec<Vec<String>>,
}

#[derive(QueryableByName)]
struct HashesRow {
    #[diesel(sql_type = Binary)]
    row_hashes: Vec<u8>,
}

/// Per table that differs: the rows that do, at most `most` of each by key. A table that is gone, is not attached, or
/// was sealed without the hashes of its rows is left out.
pub(crate) fn differing_rows(
    link: &mut Link<'_>,
    tables: &[TableSpec],
    verification: &Verification,
    most: u32,
) -> Result<Vec<DifferingRows>> {
    let present = base_tables(link)?;
    let mut differing = Vec::new();
    for table in tables.iter().filter(|table| present.contains(&table.name)) {
        if !verification.tables.iter().any(|found| found.table == table.name && !found.is_intact()) {
            continue;
        }
        let found = match link {
            Link::Postgres(_) => postgres::base::rows_not_sealed(link, table, most)?,
            Link::Sqlite(_) => {
                let sealed: Option<HashesRow> = link.first(Sql::new(
                    "select row_hashes from main.demo_row_seals where table_name = ?",
                    [table.name.as_str().into()],
                ))?;
                match (sealed, &mut *link) {
                    (Some(HashesRow { row_hashes }), Link::Sqlite(conn)) => {
                        Some(base_file::rows_not_sealed(conn, table, &row_hashes, most as usize)?)
                    }
                    _ => None,
                }
            }
        };
        differing.extend(found.map(|NotSealed { count, gone, keys }| DifferingRows {
            table: table.name.clone(),
            count,
            keys,
            gone,
        }));
    }
    Ok(differing)
}

#[derive(QueryableByName)]
struct RowCount {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = BigInt)]
    row_count: i64,
}

/// Rows of every base table when the base was sealed.
pub(crate) fn base_counts(link: &mut Link<'_>) -> Result<Vec<(String, u64)>> {
    let rows: Vec<RowCount> =
        link.load(Sql::new("select table_name, row_count from demo_manifest order by table_name", []))?;
    Ok(rows.into_iter().map(|row| (row.table_name, row.row_count.unsigned_abs())).collect())
}

#[derive(QueryableByName)]
struct ManifestRow {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = BigInt)]
    row_count: i64,
    #[diesel(sql_type = Text)]
    fingerprint: String,
}

/// Compares every table with the manifest. A table that has appeared since counts as a difference, unless the base is a
/// host's, of which only what is attached is sealed.
pub(crate) fn verify(link: &mut Link<'_>) -> Result<Verification> {
    let manifest: Vec<ManifestRow> = link.load(Sql::new(
        "select table_name, row_count, fingerprint from demo_manifest order by table_name",
        [],
    ))?;
    if manifest.is_empty() {
        return Err(Error::NotSealed { reason: "it has no manifest".to_owned() });
    }
    let present = base_tables(link)?;
    let mut tables = Vec::new();
    for expected in &manifest {
        let (rows, fingerprint) = if present.contains(&expected.table_name) {
            let seal = table_seal(link, &expected.table_name)?;
            (seal.rows, seal.fingerprint)
        } else {
            (0, String::new())
        };
        tables.push(TableVerification {
            table: expected.table_name.clone(),
            expected_rows: expected.row_count.unsigned_abs(),
            rows,
            fingerprint_matches: fingerprint == expected.fingerprint,
        });
    }
    let of_host = crate::held::attached_with(link)?.is_some();
    let added = present.iter().filter(|_| !of_host);
    for table in added.filter(|table| !manifest.iter().any(|row| &row.table_name == *table)) {
        let rows = table_seal(link, table)?.rows;
        tables.push(TableVerification {
            table: table.clone(),
            expected_rows: 0,
            rows,
            fingerprint_matches: false,
        });
    }
    Ok(Verification { tables })
}

#[derive(QueryableByName)]
struct SecretRow {
    #[diesel(sql_type = Text)]
    value: String,
}

/// A secret, if it is stored.
pub(crate) fn secret_find(link: &mut Link<'_>, name: &str) -> Result<Option<String>> {
    let row: Option<SecretRow> =
        link.first(Sql::new("select value from demo_secrets where name = ?", [name.into()]))?;
    Ok(row.map(|row| row.value))
}

/// The stored secret; stores one where there is none.
pub(crate) fn secret_get_or_store(
    link: &mut Link<'_>,
    name: &str,
    make: impl FnOnce() -> String,
) -> Result<String> {
    let made = make();
    link.execute(Sql::new(
        "insert into demo_secrets (name, value) values (?, ?) on conflict (name) do nothing",
        [name.into(), made.as_str().into()],
    ))?;
    Ok(secret_find(link, name)?.unwrap_or(made))
}

/// Replaces a secret.
pub(crate) fn secret_replace(link: &mut Link<'_>, name: &str, value: &str) -> Result<()> {
    link.execute(Sql::new(
        "insert into demo_secrets (name, value) values (?, ?) \
         on conflict (name) do update set value = excluded.value",
        [name.into(), value.into()],
    ))?;
    Ok(())
}
