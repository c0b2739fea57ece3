//! Sessions, binding, verification and cleanup.

use chrono::Duration;
use demo_reset_domain::{ArchiveId, IDLE_AFTER, OnConflict, SessionId, UserKey};
use demo_reset_persistence::{AnyConnection, Database, Error, load_base, next_number};
use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl};
use uuid::Uuid;

use crate::fixture::{Backend, Fixture, dump, now, on_each_database, options, tables};

on_each_database! { fn a_user_of_two_organizations_has_two_sessions(backend) {
    let fixture = Fixture::library(backend);
    let session = |organization: &str| {
        let user = UserKey::new(organization, "ann").unwrap();
        fixture.database.session(&user, SessionId(Uuid::new_v4()), now()).unwrap().id
    };
    assert_ne!(session("acme"), session("globex"));
    assert_eq!(fixture.database.sessions(Some("globex")).unwrap().len(), 1);
}}

on_each_database! { fn activity_is_recorded_at_most_once_a_minute(backend) {
    let fixture = Fixture::library(backend);
    let user = UserKey::new("acme", "ann").unwrap();
    let seen_at = |at| {
        fixture.database.session(&user, SessionId(Uuid::new_v4()), at).unwrap();
        fixture.database.session_find(&user).unwrap().unwrap().last_activity_at
    };
    assert_eq!(seen_at(now()), now());
    assert_eq!(seen_at(now() + Duration::seconds(59)), now());
    assert_eq!(seen_at(now() + Duration::seconds(60)), now() + Duration::seconds(60));
}}

on_each_database! { fn a_unit_of_work_of_a_user_finds_or_makes_the_session_and_records_activity(backend) {
    let fixture = Fixture::library(backend);
    let user = UserKey::new("acme", "ann").unwrap();
    let id = SessionId(Uuid::from_u128(1));
    let run = |sql: &'static str, at, is_write: bool| {
        let work = |conn: &mut AnyConnection| conn.batch_execute(sql).map_err(Error::from);
        // An id is for a session that is made: the one that is there keeps its own.
        let new_id = if at == now() && is_write { id } else { SessionId(Uuid::from_u128(2)) };
        match is_write {
            true => fixture.database.write_as(&user, new_id, at, work),
            false => fixture.database.read_as(&user, new_id, at, work),
        }
    };
    let edit = "update books set title = 'Anns' where isbn = '1'";
    run(edit, now(), true).unwrap();
    let seconds = |seconds| now() + Duration::seconds(seconds);
    for (at, is_write, recorded) in
        [(30, false, 0), (59, true, 0), (60, false, 60), (100, true, 60), (121, true, 121)]
    {
        run(if is_write { edit } else { "select 1" }, seconds(at), is_write).unwrap();
        let session = fixture.database.session_find(&user).unwrap().unwrap();
        assert_eq!((session.id, session.last_activity_at), (id, seconds(recorded)));
    }
    assert_eq!(fixture.database.change_counts(id).unwrap().total(), 1);
    run(edit, seconds(130), false).unwrap_err();
    run("update nothing set a = 1", seconds(130), true).unwrap_err();
    run("select 1", seconds(130), false).unwrap();
}}

on_each_database! { fn two_sessions_edit_the_same_base_record_apart(backend) {
    let fixture = Fixture::library(backend);
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    ann.write("update books set title = 'Anns' where isbn = '1'").unwrap();
    ben.write("update books set title = 'Bens' where isbn = '1'").unwrap();
    let title = "select title from books where isbn = '1'";
    assert_eq!((ann.value(title), ben.value(title)), ("Anns".to_owned(), "Bens".to_owned()));
    ann.reset();
    assert_eq!((ann.value(title), ben.value(title)), ("One".to_owned(), "Bens".to_owned()));
}}

on_each_database! { fn a_deleted_base_row_takes_its_children_along_for_that_session_only(backend) {
    let fixture = Fixture::library(backend);
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    ann.write("delete from authors where id = 1").unwrap();
    let left = "select (select count(*) from books)||' '||(select count(*) from reviews)";
    assert_eq!((ann.value(left), ben.value(left)), ("1 1".to_owned(), "3 3".to_owned()));
    assert_eq!(ann.value("select mentor_id from authors where id = 2"), "NULL");
}}

on_each_database! { fn an_update_does_not_bring_back_a_row_that_was_deleted(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    session.write("delete from books where isbn = '1'").unwrap();
    session.write("update books set title = 'Back' where isbn = '1'").unwrap();
    assert_eq!(session.value("select count(*) from books where isbn = '1'"), "0");
}}

on_each_database! { fn a_binding_ends_with_its_transaction_rolled_back_or_not(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    session.write("delete from notes").unwrap();
    session.write("delete from nothing").unwrap_err();
    fixture.database.write(session.id, now(), |_| Err::<(), Error>(Error::UnknownSession)).unwrap_err();
    // The pool has one writing connection: this is the one that was bound.
    for write in [false, true] {
        let seen: Vec<String> = if write {
            let refused = fixture
                .database
                .read_base(|conn| conn.batch_execute("delete from notes").map_err(Error::from));
            assert!(matches!(refused, Err(Error::NotBoundForWriting)), "{refused:?}");
            continue;
        } else {
            fixture.database.read_base(|conn| Ok::<_, Error>(dump(conn, &["notes"]))).unwrap()
        };
        assert_eq!(seen.len(), 1);
    }
}}

on_each_database! { fn a_unit_of_work_bound_for_reading_cannot_write(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    for sql in [
        "delete from notes",
        "update books set price = 1",
        "insert into publishers (code, name) values ('x', 'X')",
    ] {
        let refused = fixture.database.read(session.id, |conn| conn.batch_execute(sql).map_err(Error::from));
        assert!(matches!(refused, Err(Error::NotBoundForWriting)), "{refused:?}");
    }
    assert_eq!(session.world(), fixture.base_dump());
}}

on_each_database! { fn an_unknown_session_is_refused(backend) {
    let fixture = Fixture::library(backend);
    let unknown = SessionId(Uuid::new_v4());
    assert!(matches!(fixture.database.read(unknown, |_| Ok::<_, Error>(())), Err(Error::UnknownSession)));
    assert!(matches!(
        fixture.database.write(unknown, now(), |_| Ok::<_, Error>(())),
        Err(Error::UnknownSession)
    ));
    assert!(matches!(
        fixture.database.reset(unknown, ArchiveId(Uuid::new_v4()), now()),
        Err(Error::UnknownSession)
    ));
}}

on_each_database! { fn numbers_handed_out_are_never_handed_out_again(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    let next = |floor| {
        fixture.database.write(session.id, now(), |conn| next_number(conn, "cases/2026", floor)).unwrap()
    };
    assert_eq!((next(4_500), next(4_500)), (4_501, 4_502));
    session.write("delete from notes").unwrap();
    session.reset();
    assert_eq!((next(4_500), next(6_000), next(0)), (4_503, 6_001, 6_002));
}}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

on_each_database! { fn the_number_of_a_removed_session_is_not_given_to_another(backend) {
    let fixture = Fixture::library(backend);
    let database = &fixture.database;
    let number_of = |name: &str, at| {
        let user = UserKey::new("acme", name).unwrap();
        database.session(&user, SessionId(Uuid::new_v4()), at).unwrap();
        let number = |conn: &mut AnyConnection| {
            let query = format!("select number from demo_user_sessions where user_id = '{name}'");
            Ok::<_, Error>(diesel::sql_query(query).get_result::<Number>(conn).unwrap().number)
        };
        database.read_base(number).unwrap()
    };
    let of_ann = number_of("ann", now());
    let of_ben = number_of("ben", now());
    assert!(of_ben > of_ann);
    let later = now() + IDLE_AFTER + Duration::days(1);
    assert_eq!(number_of("ann", later), of_ann, "whose session is in use");
    let report = database.cleanup(later, &mut || ArchiveId(Uuid::new_v4())).unwrap();
    assert_eq!(report.sessions_removed, 1);
    let of_cal = number_of("cal", later);
    assert!(of_cal > of_ben, "{of_cal} after {of_ben}");
}}

on_each_database! { fn the_base_refuses_every_write_of_any_program(backend) {
    let fixture = Fixture::library(backend);
    let base = fixture.base_dump();
    let mut other = fixture.outsider();
    let attempts: &[&str] = match backend {
        Backend::Sqlite => &[
            "update books set title = 'x'",
            "delete from notes",
            "insert into publishers values ('x', 'X')",
            "insert or replace into publishers values ('ace', 'X')",
            "replace into notes values (1, null, 'x')",
            "insert into publishers values ('ace', 'X') on conflict (code) do update set name = 'X'",
            "update demo_seal set fingerprint = ''",
        ],
        Backend::Postgres => &[
            "update public.books set title = 'x'",
            "delete from public.notes",
            "insert into public.publishers values ('x', 'X')",
            "insert into public.publishers values ('ace', 'X') on conflict (code) do update set name = 'X'",
            "truncate public.notes",
            "truncate public.books cascade",
            "with x as (delete from public.reviews returning *) select * from x",
            "merge into public.notes n using (select 1) s on true when matched then delete",
        ],
    };
    for sql in attempts {
        let refused = other.batch_execute(sql).unwrap_err().to_string();
        assert!(refused.contains("base data is sealed"), "{sql}: {refused}");
    }
    let session = fixture.session("ann");
    let attempts: &[&str] = match backend {
        Backend::Sqlite => &[
            "update base.books set title = 'x'",
            "delete from base.notes",
            "drop table base.notes",
            "drop trigger base.demo_guard_delete_notes",
        ],
        // The server works as the application role, which has no right to any of this.
        Backend::Postgres => &[
            "update public.books set title = 'x'",
            "delete from public.notes",
            "truncate public.notes",
            "drop table public.notes",
            "alter table public.notes disable trigger all",
            "drop trigger demo_guard_write on public.notes",
            "update demo.demo_manifest set fingerprint = ''",
        ],
    };
    for sql in attempts {
        let refused = session.write(sql).unwrap_err().to_string();
        let expected = ["readonly", "permission denied", "must be owner"];
        assert!(expected.iter().any(|words| refused.contains(words)), "{sql}: {refused}");
    }
    assert_eq!(fixture.base_dump(), base);
}}

/// What the owner, or a superuser, can do to step around the guards.
fn unguard(backend: Backend) -> String {
    let one = |table: &&str| match backend {
        Backend::Sqlite => ["insert", "update", "delete"]
            .map(|event| format!("drop trigger demo_guard_{event}_{table};"))
            .concat(),
        Backend::Postgres => format!("alter table public.{table} disable trigger user;"),
    };
    tables().iter().map(one).collect()
}

on_each_database! { fn verify_notices_any_change_and_names_the_table(backend) {
    let changes = [
        ("books", "update books set price = 0.3 where isbn = '1'"),
        ("books", "update books set cover = x'01' where isbn = '3'"),
        ("authors", "update authors set born = 1950.5 where id = 1"),
        ("authors", "update authors set name = 'ann' where id = 1"),
        ("reviews", "delete from reviews where isbn = '3'"),
        ("notes", "insert into notes values (2, null, '')"),
        ("extra", "create table extra (a int)"),
        ("notes", "drop table notes"),
    ];
    for (table, sql) in changes {
        let fixture = Fixture::library(backend);
        let session = fixture.session("ann");
        assert!(fixture.database.verify().unwrap().base_is_intact());
        session.write("delete from notes").unwrap();
        assert!(session.reset().base_is_sealed);
        let mut other = fixture.outsider();
        other.batch_execute(&unguard(backend)).unwrap();
        assert!(fixture.database.verify().unwrap().base_is_intact());
        if backend == Backend::Postgres && sql.starts_with("drop") {
            // The view stands on it: PostgreSQL itself refuses.
            other.batch_execute(sql).unwrap_err();
            continue;
        }
        other.batch_execute(&backend.sql(sql)).unwrap();
        let verification = fixture.database.verify().unwrap();
        assert!(!verification.base_is_intact());
        let differing: Vec<&str> = verification
            .tables
            .iter()
            .filter(|t| !t.fingerprint_matches || t.rows != t.expected_rows)
            .map(|t| t.table.as_str())
            .collect();
        assert_eq!(differing, [table], "{sql}");
        if backend == Backend::Sqlite {
            // The constant-time look of a reset notices it too.
            session.write("update publishers set name = name || '!'").unwrap();
            assert!(!session.reset().base_is_sealed);
            assert!(matches!(fixture.database.ready(), Err(Error::NotSealed { .. })));
        }
    }
}}

on_each_database! { fn cleanup_removes_only_what_is_expired(backend) {
    let fixture = Fixture::library(backend);
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    let mut new_id = || ArchiveId(Uuid::new_v4());
    ann.write("delete from notes; update books set price = 1").unwrap();
    ann.reset();
    ann.write("delete from reviews").unwrap();
    ann.reset_at(now() + Duration::hours(1));
    ben.write("delete from notes").unwrap();
    let day = now() + Duration::hours(24);
    let report = fixture.database.cleanup(day - Duration::microseconds(1), &mut new_id).unwrap();
    assert_eq!(report, Default::default());
    let report = fixture.database.cleanup(day, &mut new_id).unwrap();
    assert_eq!((report.archives_purged, report.changes_purged), (1, 4));
    assert_eq!(ben.value("select count(*) from notes"), "0");
    assert_eq!(fixture.database.archives(ann.id).unwrap().len(), 1);
    ann.undo_with(None, OnConflict::Fail, day).unwrap();
    assert_eq!(ann.value("select count(*) from reviews"), "0");
}}

on_each_database! { fn cleanup_keeps_the_changes_of_a_restored_archive(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    session.write("delete from notes").unwrap();
    session.reset();
    session.undo().unwrap();
    let report =
        fixture.database.cleanup(now() + Duration::days(2), &mut || ArchiveId(Uuid::new_v4())).unwrap();
    assert_eq!(report.changes_purged, 0);
    assert_eq!(session.value("select count(*) from notes"), "0");
    assert_eq!(fixture.database.archives(session.id).unwrap(), []);
}}

on_each_database! { fn an_undo_racing_a_cleanup_brings_back_everything_or_nothing(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    let expiry = now() + Duration::hours(24);
    let mut restored = 0;
    for _ in 0..40 {
        session.write("delete from reviews; delete from notes; update books set price = 1").unwrap();
        let archive = session.reset_at(now()).archive.unwrap();
        let start = std::sync::Barrier::new(2);
        let undone = std::thread::scope(|scope| {
            let cleanup = scope.spawn(|| {
                start.wait();
                fixture.database.cleanup(expiry, &mut || ArchiveId(Uuid::new_v4())).unwrap()
            });
            start.wait();
            let undone = session.undo_with(Some(archive.id), OnConflict::Fail, expiry - Duration::microseconds(1));
            let changes_purged = cleanup.join().unwrap().changes_purged;
            assert_eq!(changes_purged, if undone.is_ok() { 0 } else { 7 });
            undone
        });
        let changes = fixture.database.change_counts(session.id).unwrap().total();
        assert_eq!(changes, if undone.is_ok() { 7 } else { 0 }, "{undone:?}");
        assert_eq!(session.value("select count(*) from reviews"), if undone.is_ok() { "0" } else { "3" });
        restored += u32::from(undone.is_ok());
        session.reset_at(now() - Duration::days(2));
        fixture.database.cleanup(now(), &mut || ArchiveId(Uuid::new_v4())).unwrap();
    }
    assert_eq!(session.value("select count(*) from demo_purges"), "0");
    eprintln!("{restored} of 40 undos came first");
}}

on_each_database! { fn an_idle_session_is_archived_first_and_removed_once_that_has_expired(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    session.write("delete from notes").unwrap();
    let idle = now() + Duration::days(30);
    let mut new_id = || ArchiveId(Uuid::new_v4());
    let nothing = fixture.database.cleanup(idle - Duration::microseconds(1), &mut new_id).unwrap();
    assert_eq!(nothing, Default::default());
    let report = fixture.database.cleanup(idle, &mut new_id).unwrap();
    assert_eq!((report.sessions_archived, report.sessions_removed), (1, 0));
    // Who comes back within the window finds everything.
    let undone = session.undo_with(None, OnConflict::Fail, idle + Duration::hours(23));
    assert_eq!(undone.unwrap().restored.total(), 1);
    session.reset_at(idle + Duration::hours(23));
    let report = fixture.database.cleanup(idle + Duration::hours(47), &mut new_id).unwrap();
    assert_eq!((report.changes_purged, report.sessions_removed), (1, 1));
    assert_eq!(fixture.database.sessions(None).unwrap(), []);
    let other = fixture.session("ben");
    assert_eq!(other.value("select count(*) from demo_layer_counts"), "0");
}}

on_each_database! { fn writes_racing_resets_are_all_alive_or_archived(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    let written: usize = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            (0..200)
                .filter(|n| {
                    session
                        .write(&format!("insert into publishers (code, name) values ('r{n}', 'R{n}')"))
                        .is_ok()
                })
                .count()
        });
        scope.spawn(|| (0..10).for_each(|_| drop(session.reset())));
        scope.spawn(|| (0..10).for_each(|_| drop(session.reset())));
        writer.join().unwrap()
    });
    session.reset();
    let archived: u64 = fixture.database.archives(session.id).unwrap().iter().map(|a| a.counts.total()).sum();
    assert_eq!((written, archived), (200, 200));
    let snapshots = session.value("select count(distinct snapshot) from demo_archived_changes");
    assert_eq!(snapshots, "200");
}}

on_each_database! { fn a_new_base_is_taken_up_and_no_change_of_a_user_is_lost(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    session
        .write(
            "update books set title = 'Mine' where isbn = '1';
             insert into publishers (code, name) values ('new', 'New');
             delete from notes where id = 1;",
        )
        .unwrap();
    let changed_base = format!(
        "{} delete from reviews where isbn = '1'; delete from books where isbn = '1';
         insert into publishers values ('new', 'Newer'); delete from notes;",
        // On PostgreSQL the tables are there, emptied.
        &backend.library()[if backend == Backend::Sqlite { 0 } else { backend.library().find("insert into").unwrap() }..]
    );
    let load = |conn: &mut AnyConnection| conn.batch_execute(&changed_base).map_err(Error::from);
    load_base(&fixture.url, Uuid::new_v4(), now(), load).unwrap();
    let opened = Database::open(&fixture.url, options(), now()).unwrap();
    // The database that was open before takes the new base up as well.
    for database in [&opened, &fixture.database] {
        assert!(database.verify().unwrap().base_is_intact());
        let counts = database.change_counts(session.id).unwrap();
        assert_eq!(
            (counts.table("books").created, counts.table("publishers").edited, counts.total()),
            (1, 1, 2)
        );
    }
    assert_eq!(session.value("select title from books where isbn = '1'"), "Mine");
    assert_eq!(session.value("select name from publishers where code = 'new'"), "New");
    session.reset();
    assert_eq!(session.value("select name from publishers where code = 'new'"), "Newer");
    session.undo().unwrap();
    assert_eq!(session.value("select title from books where isbn = '1'"), "Mine");
}}

on_each_database! { fn a_load_that_fails_leaves_the_old_base_in_place(backend) {
    let fixture = Fixture::library(backend);
    let base = fixture.base_dump();
    let fail = |conn: &mut AnyConnection| {
        conn.batch_execute("create table half (a)").map_err(Error::from)?;
        Err(Error::UnknownSession)
    };
    load_base(&fixture.url, Uuid::new_v4(), now(), fail).unwrap_err();
    assert_eq!(fixture.base_dump(), base);
    if backend == Backend::Postgres {
        return;
    }
    assert!(!fixture.base_file().with_file_name("demo.db.loading").exists());
    // What a killed load has left is no obstacle.
    std::fs::copy(fixture.base_file(), fixture.base_file().with_file_name("demo.db.loading")).unwrap();
    let load = |conn: &mut AnyConnection| conn.batch_execute(backend.library()).map_err(Error::from);
    load_base(&fixture.url, Uuid::new_v4(), now(), load).unwrap();
}}

on_each_database! { fn a_column_with_a_default_can_be_emptied_also_where_the_key_changes(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    let born = |id: i32| {
        let born = "coalesce(cast(cast(born as integer) as text), 'null')";
        session.query(&format!("select {born} as value from authors where id = {id}"))
    };
    session.write("insert into authors (id, name) values (40, 'Di'); update authors set born = null where id = 1").unwrap();
    assert_eq!((born(1), born(40)), (vec!["null".to_owned()], vec!["1950".to_owned()]));
    session.write("update authors set id = 41, born = null where id = 40").unwrap();
    assert_eq!((born(40), born(41)), (vec![], vec!["null".to_owned()]));
}}

#[test]
fn a_log_that_one_large_write_has_made_longer_gives_its_room_back() {
    let fixture = Fixture::library(Backend::Sqlite);
    let session = fixture.session("ann");
    let log = fixture.base_file().with_file_name("demo.sessions.db-wal");
    let length = || std::fs::metadata(&log).unwrap().len();
    session.write("update books set cover = zeroblob(40000000) where isbn = '1'").unwrap();
    assert!(length() > 40_000_000, "{}", length());
    // COMMIT has taken the pages over into the file, so the next write begins the log anew.
    session.write("update books set price = 1 where isbn = '2'").unwrap();
    assert!(length() <= 16 << 20, "{}", length());
}
