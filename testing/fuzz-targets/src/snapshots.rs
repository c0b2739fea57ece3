//! What a damaged sessions file holds where the engine reads JSON of its own.

use std::cell::RefCell;

use demo_reset_domain::{ArchiveId, ChangeKind, OnConflict, SessionId, UserKey};
use demo_reset_persistence::{
    AnyConnection, Change, ChangePosition, Database, DatabaseUrl, Error, OpenOptions, load_base,
    sessions_file,
};
use diesel::connection::{Connection, SimpleConnection};
use diesel::sql_types::Text;
use diesel::{RunQueryDsl, SqliteConnection};
use uuid::Uuid;

/// A database with one archive, whose counts are replaced by the bytes.
struct Damaged {
    database: Database,
    session: SessionId,
    sessions: SqliteConnection,
    _folder: tempfile::TempDir,
}

thread_local! {
    static DAMAGED: RefCell<Option<Damaged>> = const { RefCell::new(None) };
}

impl Damaged {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("demo.db");
        let url: DatabaseUrl = format!("sqlite://{}", path.display()).parse().expect("a URL");
        let now = chrono::DateTime::UNIX_EPOCH;
        let build = |conn: &mut AnyConnection| {
            conn.batch_execute(
                "create table t (id integer primary key, x text); insert into t values (1, 'one')",
            )
            .map_err(Error::from)
        };
        load_base(&url, Uuid::from_u128(1), now, build).expect("a base");
        let database = Database::open(&url, OpenOptions::default(), now).expect("a database");
        let user = UserKey::new("acme", "ann").expect("a user");
        let session = database.session(&user, SessionId(Uuid::from_u128(2)), now).expect("a session").id;
        let write =
            |conn: &mut AnyConnection| conn.batch_execute("update t set x = 'eins'").map_err(Error::from);
        database.write(session, now, write).expect("a write");
        database.reset(session, ArchiveId(Uuid::from_u128(3)), now).expect("a reset");
        let file = sessions_file(&path).display().to_string();
        let sessions = SqliteConnection::establish(&file).expect("the sessions file");
        Self { database, session, sessions, _folder: folder }
    }
}

/// Whatever stands where an archive's counts are kept is read or refused. So are two snapshots of a record, whose
/// differences name each field once and only those that differ.
pub fn snapshots(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    DAMAGED.with_borrow_mut(|damaged| {
        let Damaged { database, session, sessions, .. } = damaged.get_or_insert_with(Damaged::new);
        let damage = diesel::sql_query("update demo_archives set counts = ?1, restored_at = null");
        let stored = damage.bind::<Text, _>(text.as_ref()).execute(sessions);
        if stored.is_ok() {
            let now = chrono::DateTime::UNIX_EPOCH;
            let listed = database.archives(*session).is_ok();
            let _ = database.archived_changes(*session, ArchiveId(Uuid::from_u128(3)));
            let _ = database.stats(None, now);
            let id = ArchiveId(Uuid::from_u128(4));
            let undone = database.undo(*session, None, OnConflict::Fail, id, now);
            assert_eq!(undone.is_ok(), listed, "{text:?}: {undone:?}");
            if undone.is_ok() {
                database.reset(*session, ArchiveId(Uuid::from_u128(3)), now).expect("a reset");
            }
        }
    });
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
    let base = values.next().and_then(Result::ok);
    let current = values.next().and_then(Result::ok);
    let change = Change {
        table: "t".to_owned(),
        key: vec!["1".to_owned()],
        kind: ChangeKind::Edited,
        changed_at: chrono::DateTime::UNIX_EPOCH,
        base,
        current,
        position: ChangePosition {
            changed_at: chrono::DateTime::UNIX_EPOCH,
            table: "t".to_owned(),
            key: "[\"1\"]".to_owned(),
        },
    };
    let differences = change.differences();
    for (at, (name, before, after)) in differences.iter().enumerate() {
        assert_ne!(before, after, "{name}");
        assert!(differences[..at].iter().all(|(earlier, ..)| earlier != name), "{name} twice");
    }
}
