//! Proof that the base is intact, and the small shared secrets.

use std::path::Path;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::connection::{Link, Sql};
use crate::database::{TableVerification, Verification};
use crate::error::{Error, Result};
use crate::sqlite::{base_file, discover};
use crate::types::{DbTime, sql};

#[derive(QueryableByName)]
struct BaseRow {
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Nullable<sql::UtcTime>)]
    sealed_at: Option<DbTime>,
    #[diesel(sql_type = Text)]
    stamp: String,
}

fn base(link: &mut Link<'_>) -> Result<BaseRow> {
    let row = link.first(Sql::new("select epoch, sealed_at, stamp from demo_base", []))?;
    row.ok_or_else(|| Error::NotSealed { reason: "it was never attached".to_owned() })
}

/// How often the base was opened and sealed.
pub(crate) fn epoch(link: &mut Link<'_>) -> Result<i64> {
    Ok(base(link)?.epoch)
}

/// Whether the base is sealed and no program has written it since. Constant time: compares the header of the
/// file with what it was when the manifest was taken.
pub(crate) fn is_sealed(link: &mut Link<'_>, base_file: &Path) -> Result<bool> {
    let base = base(link)?;
    Ok(base.sealed_at.is_some() && base_file::stamp(base_file)? == base.stamp)
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

/// Compares every table with the manifest. A table that has appeared since counts as a difference.
pub(crate) fn verify(link: &mut Link<'_>) -> Result<Verification> {
    let manifest: Vec<ManifestRow> = link.load(Sql::new(
        "select table_name, row_count, fingerprint from demo_manifest order by table_name",
        [],
    ))?;
    if manifest.is_empty() {
        return Err(Error::NotSealed { reason: "it has no manifest".to_owned() });
    }
    let present = discover::base_tables(link)?;
    let mut tables = Vec::new();
    for expected in &manifest {
        let (rows, fingerprint) = if present.contains(&expected.table_name) {
            let Link::Sqlite(conn) = link else { continue };
            let seal = base_file::table_seal(conn, "base", &expected.table_name)?;
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
    for table in present.iter().filter(|table| !manifest.iter().any(|row| &row.table_name == *table)) {
        let Link::Sqlite(conn) = link else { continue };
        let rows = base_file::table_seal(conn, "base", table)?.rows;
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
