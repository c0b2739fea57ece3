//! Tables, columns and constraints with names that nobody would choose.

use demo_reset_domain::{ArchiveId, OnConflict, SessionId, UserKey};
use demo_reset_persistence::{AttachOptions, Database, DatabaseUrl, Error, OpenOptions, attach, detach};
use diesel::connection::{Connection, SimpleConnection};
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl, SqliteConnection};
use uuid::Uuid;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The bytes are names, one per line: of a table, its columns, a table that refers to it, an index. A database that
/// SQLite makes of them is put under sessions, or refused with a reason; in a session everything works as in one with
/// plain names, and nothing of it reaches the base.
pub fn identifiers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut names = text.split('\n').filter(|name| !name.is_empty() && !name.contains('\0'));
    let mut name = |otherwise: &str| quote(names.next().unwrap_or(otherwise));
    let (table, key, column) = (name("t"), name("k"), name("c"));
    let (child, reference, index) = (name("child"), name("reference"), name("i"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("host.db").display().to_string();
    let mut host = SqliteConnection::establish(&path).expect("a database");
    let made = host.batch_execute(&format!(
        "create table {table} ({key} integer primary key, {column} text unique check ({column} <> 'never'));
         create table {child} ({key} integer primary key, {reference} integer references {table} ({key}) on delete cascade);
         create unique index {index} on {child} ({reference}) where {reference} > 1;
         insert into {table} values (1, 'one'), (2, 'two'); insert into {child} values (1, 1), (2, 2);"
    ));
    if made.is_err() {
        // Not a name to SQLite either, or one twice.
        return;
    }
    drop(host);
    let url: DatabaseUrl = format!("sqlite://{path}").parse().expect("a URL");
    let now = chrono::DateTime::UNIX_EPOCH;
    match attach(&url, &AttachOptions::default(), now) {
        Ok(_) => {}
        Err(Error::Attach { reasons }) => {
            assert!(reasons.iter().all(|reason| !reason.is_empty()), "{reasons:?}");
            return;
        }
        Err(error) => panic!("{error:?} for {text:?}"),
    }
    let database = Database::open_attached(&url, OpenOptions { readers: 1, ..OpenOptions::default() }, now);
    let database = database.unwrap_or_else(|error| panic!("{error:?} for {text:?}"));
    let session = SessionId(Uuid::from_u128(1));
    let session =
        database.session(&UserKey::new("acme", "ann").expect("a user"), session, now).expect("a session").id;
    let changes = format!(
        "insert into {table} ({key}, {column}) values (3, 'three'); update {table} set {column} = 'eins' where {key} = 1;
         delete from {table} where {key} = 2; insert into {child} values (3, 3);"
    );
    let write = database.write(session, now, |conn| conn.batch_execute(&changes).map_err(Error::from));
    write.unwrap_or_else(|error| panic!("{error:?} for {text:?}"));
    let look = format!(
        "select (select count(*) from {table} where {column} in ('eins', 'three')) * 10 + (select count(*) from {child}) as count"
    );
    let count = || {
        database
            .read(session, |conn| diesel::sql_query(&look).get_result::<Count>(conn).map_err(Error::from))
            .unwrap_or_else(|error| panic!("{error:?} for {text:?}"))
            .count
    };
    assert_eq!(count(), 22, "{text:?}");
    let archive = |n| ArchiveId(Uuid::from_u128(n));
    database.reset(session, archive(2), now).expect("a reset");
    assert_eq!(count(), 2, "{text:?}");
    database.undo(session, None, OnConflict::Fail, archive(3), now).expect("an undo");
    assert_eq!(count(), 22, "{text:?}");
    assert!(database.verify().expect("a verification").base_is_intact(), "{text:?}");
    drop(database);
    // The connections of a pool that was dropped close in the background.
    loop {
        match detach(&url, true, now) {
            Err(Error::Unavailable(_)) => std::thread::yield_now(),
            Err(error) => panic!("{error:?} for {text:?}"),
            Ok(_) => break,
        }
    }
}
