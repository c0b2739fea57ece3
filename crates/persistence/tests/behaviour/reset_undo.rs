//! I3, I4 and I5: reset and undo are atomic, exact, and possible for exactly as long as promised.

use chrono::Duration;
use demo_reset_domain::{ArchiveId, ChangeKind, ConflictReason, OnConflict, UndoRefusal};
use demo_reset_persistence::{AnyConnection, ConstraintKind, Error, RecordKey};
use diesel::connection::{SimpleConnection, TransactionManager};
use diesel::{Connection, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::fixture::{Backend, Fixture, Session, now, on_each_database};

/// One change of every kind in every table, cascades included.
const CHANGES: &str = "
    insert into publishers (code, name) values ('new', 'New');
    insert into authors (name, email, mentor_id) values ('Di', 'di@x.example', 1);
    insert into books (isbn, title, author_id, publisher, cover) values ('9', 'Nine', 4, 'new', x'0001ff');
    insert into reviews (isbn, reviewer, stars) values ('9', 'zoe', 3), ('2', 'zoe', 2);
    insert into notes (isbn, body) values ('9', 'mine');
    update authors set name = 'Änn', born = -0.0 where id = 1;
    update books set price = 0.30000000000000004, cover = null where isbn = '2';
    delete from books where isbn = '1';
    delete from notes where id = 1;";

fn conflicts(
    result: Result<demo_reset_persistence::UndoReport, Error>,
) -> Vec<(String, String, ConflictReason)> {
    match result {
        Err(Error::UndoConflict(conflicts)) => {
            conflicts.into_iter().map(|c| (c.table, c.key.join(","), c.reason)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn conflict(table: &str, key: &str, reason: ConflictReason) -> (String, String, ConflictReason) {
    (table.to_owned(), key.to_owned(), reason)
}

fn changed(fixture: &Fixture) -> Session<'_> {
    let session = fixture.session("ann");
    session.write(CHANGES).unwrap();
    session
}

on_each_database! { fn reset_gives_the_base_back_and_undo_gives_every_change_back(backend) {
    let fixture = Fixture::library(backend);
    let base = fixture.base_dump();
    let session = changed(&fixture);
    let (world, counts) = (session.world(), fixture.database.change_counts(session.id).unwrap());
    let report = session.reset();
    assert!(report.base_is_sealed);
    let archive = report.archive.unwrap();
    assert_eq!(archive.counts, counts);
    assert_eq!(counts.table("reviews"), demo_reset_domain::KindCounts { created: 2, edited: 0, deleted: 2 });
    assert_eq!(session.world(), base);
    assert!(fixture.database.change_counts(session.id).unwrap().is_empty());
    assert_eq!(session.undo().unwrap().restored, counts);
    assert_eq!(session.world(), world);
    assert_eq!(fixture.database.change_counts(session.id).unwrap(), counts);
    assert_eq!(fixture.base_dump(), base);
}}

/// Whoever loses the connection on the way asks again.
#[test]
fn on_postgresql_a_reset_asked_for_again_by_the_id_of_its_archive_is_the_one_that_was_made() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let fixture = Fixture::library(Backend::Postgres);
    let session = changed(&fixture);
    let id = ArchiveId(Uuid::from_u128(7));
    let made = fixture.database.reset(session.id, id, now()).unwrap();
    session.write("insert into publishers (code, name) values ('x', 'X')").unwrap();
    let world = session.world();
    assert_eq!(fixture.database.reset(session.id, id, now()).unwrap(), made);
    assert_eq!(session.world(), world);
    assert_eq!(fixture.database.archives(session.id).unwrap(), [made.archive.unwrap()]);
}

on_each_database! { fn a_reset_without_changes_archives_nothing(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    assert_eq!(session.reset().archive, None);
    session
        .write(
            "insert into publishers (code, name) values ('x', 'X'); delete from publishers where code = 'x'",
        )
        .unwrap();
    assert_eq!(session.reset().archive, None);
    assert!(matches!(session.undo(), Err(Error::Undo(UndoRefusal::NothingToUndo))));
}}

on_each_database! { fn undo_works_until_one_microsecond_before_the_window_closes(backend) {
    let fixture = Fixture::library(backend);
    for (offset, works) in [(-1, true), (0, false), (1, false)] {
        let session = fixture.session(&format!("user {offset}"));
        session.write("delete from notes").unwrap();
        let archive = session.reset().archive.unwrap();
        assert_eq!(archive.expires_at, now() + Duration::hours(24));
        let at = archive.expires_at + Duration::microseconds(offset);
        let result = session.undo_with(None, OnConflict::Fail, at);
        assert_eq!(result.is_ok(), works, "{offset}: {result:?}");
        if !works {
            assert!(matches!(result, Err(Error::Undo(UndoRefusal::Expired { .. }))));
        }
    }
}}

on_each_database! { fn a_second_undo_of_the_same_archive_is_refused(backend) {
    let fixture = Fixture::library(backend);
    let session = changed(&fixture);
    let archive = session.reset().archive.unwrap();
    session.undo().unwrap();
    let again = session.undo_with(Some(archive.id), OnConflict::Fail, now());
    assert!(matches!(again, Err(Error::Undo(UndoRefusal::AlreadyRestored))));
    assert!(matches!(session.undo(), Err(Error::Undo(UndoRefusal::NothingToUndo))));
}}

on_each_database! { fn two_resets_can_be_undone_one_by_one_in_any_order(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    session.write("update books set title = 'Uno' where isbn = '1'").unwrap();
    let first = session.reset().archive.unwrap();
    session.write("update books set title = 'Dos' where isbn = '2'").unwrap();
    let second = session.reset().archive.unwrap();
    session.undo_with(Some(first.id), OnConflict::Fail, now()).unwrap();
    assert_eq!(session.value("select group_concat(title, ',') from (select title from books order by title) b"), "Three,Two,Uno");
    session.undo_with(Some(second.id), OnConflict::Fail, now()).unwrap();
    assert_eq!(session.value("select count(*) from books where title in ('Uno', 'Dos')"), "2");
    // Everything comes back together under a new archive.
    let third = session.reset().archive.unwrap();
    assert_eq!(third.counts.total(), 2);
    assert!(third.id != first.id && third.id != second.id);
}}

on_each_database! { fn the_archives_of_another_session_cannot_be_undone(backend) {
    let fixture = Fixture::library(backend);
    let archive = changed(&fixture).reset().archive.unwrap();
    let other = fixture.session("ben").undo_with(Some(archive.id), OnConflict::Fail, now());
    assert!(matches!(other, Err(Error::Undo(UndoRefusal::NothingToUndo))));
}}

on_each_database! { fn changes_made_since_are_kept_when_nothing_conflicts(backend) {
    let fixture = Fixture::library(backend);
    let session = changed(&fixture);
    let before = session.world();
    session.reset();
    session.write("insert into publishers (code, name) values ('later', 'Later')").unwrap();
    session.undo().unwrap();
    let after = session.world();
    let added: Vec<&String> = after.iter().filter(|row| !before.contains(row)).collect();
    assert_eq!(added, ["publishers: 'later','Later'"]);
    assert_eq!(after.len(), before.len() + 1);
}}

on_each_database! { fn a_merge_moves_the_smaller_layer_with_the_same_result(backend) {
    let fixture = Fixture::library(backend);
    let many = (0..20).map(|n| format!("insert into publishers (code, name) values ('p{n}', 'P{n}');"));
    let session = fixture.session("ann");
    session.write("delete from notes").unwrap();
    session.reset();
    session.write(&many.collect::<String>()).unwrap();
    session.undo().unwrap();
    assert_eq!(session.value("select count(*) from publishers"), "22");
    assert_eq!(session.value("select count(*) from notes"), "0");
    assert_eq!(fixture.database.change_counts(session.id).unwrap().total(), 21);
}}

on_each_database! { fn each_kind_of_conflict_refuses_the_whole_undo_and_changes_nothing(backend) {
    let cases = [
        (
            "update books set price = 1 where isbn = '1'",
            "update books set price = 2 where isbn = '1'",
            conflict("books", "1", ConflictReason::SameRecord),
        ),
        (
            "insert into publishers (code, name) values ('a', 'Same')",
            "insert into publishers (code, name) values ('b', 'Same')",
            conflict("publishers", "a", ConflictReason::UniqueClash),
        ),
        (
            "update authors set email = 'x@x.example' where id = 3",
            "update authors set email = 'X@x.example' where id = 2",
            conflict("authors", "3", ConflictReason::UniqueClash),
        ),
        (
            "insert into reviews (isbn, reviewer, stars) values ('2', 'me', 1)",
            "delete from books where isbn = '2'",
            conflict("reviews", "2,me", ConflictReason::ParentGone),
        ),
        (
            "delete from books where isbn = '2'",
            "insert into reviews (isbn, reviewer, stars) values ('2', 'me', 1)",
            conflict("books", "2", ConflictReason::LiveChildren),
        ),
        (
            "delete from books where isbn = '2'",
            "update notes set isbn = '2'",
            conflict("books", "2", ConflictReason::LiveChildren),
        ),
    ];
    for (archived, live, expected) in cases {
        let fixture = Fixture::library(backend);
        let session = fixture.session("ann");
        session.write(archived).unwrap();
        // Also something that does not conflict: it must not come back alone.
        session.write("insert into publishers (code, name) values ('other', 'Other')").unwrap();
        session.reset();
        session.write(live).unwrap();
        let before = session.world();
        assert_eq!(conflicts(session.undo()), std::slice::from_ref(&expected), "{archived} / {live}");
        assert_eq!(session.world(), before);
        // It can be tried again once the conflict is out of the way.
        session.reset();
        let archives = fixture.database.archives(session.id).unwrap();
        session.undo_with(Some(archives[1].id), OnConflict::Fail, now()).unwrap();
    }
}}

on_each_database! { fn keep_current_leaves_conflicting_changes_and_what_depends_on_them_archived(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    session
        .write(
            "insert into publishers (code, name) values ('a', 'Same'), ('z', 'Fine');
             insert into books (isbn, title, author_id, publisher) values ('9', 'Nine', 1, 'a');
             insert into reviews (isbn, reviewer, stars) values ('9', 'me', 1);",
        )
        .unwrap();
    let first = session.reset().archive.unwrap();
    session.write("insert into publishers (code, name) values ('b', 'Same')").unwrap();
    let report = session.undo_with(None, OnConflict::KeepCurrent, now()).unwrap();
    assert_eq!(report.restored.total(), 1);
    assert_eq!(session.value("select group_concat(code, ',') from (select code from publishers order by code) p"), "ace,b,tor,z");
    let archives = fixture.database.archives(session.id).unwrap();
    assert_eq!(archives[0].id, report.kept_archived.unwrap());
    assert_eq!(archives[0].counts.total(), 3);
    assert_eq!(archives[0].expires_at, first.expires_at);
    // What was kept can still come back once nothing is in its way.
    session.write("delete from publishers where code = 'b'").unwrap();
    session.undo().unwrap();
    assert_eq!(session.value("select count(*) from reviews where isbn = '9'"), "1");
}}

on_each_database! { fn restore_archived_replaces_what_is_in_the_way_and_archives_it(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    session
        .write(
            "update books set price = 1 where isbn = '1';
             insert into reviews (isbn, reviewer, stars) values ('2', 'me', 1);
             delete from authors where id = 3;",
        )
        .unwrap();
    let world = session.world();
    session.reset();
    session
        .write(
            "update books set price = 2 where isbn = '1';
             delete from books where isbn = '2';
             insert into books (isbn, title, author_id) values ('9', 'Nine', 3);
             insert into reviews (isbn, reviewer, stars) values ('9', 'me', 2);",
        )
        .unwrap();
    let report = session.undo_with(None, OnConflict::RestoreArchived, now()).unwrap();
    assert_eq!(session.world(), world);
    let archives = fixture.database.archives(session.id).unwrap();
    assert_eq!(archives[0].id, report.replaced.unwrap());
    assert_eq!(archives[0].counts.total(), 4);
    assert_eq!(archives[0].expires_at, now() + Duration::hours(24));
}}

on_each_database! { fn a_failed_unit_of_work_leaves_nothing_behind(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    let base = session.world();
    let result =
        session.write("delete from notes; insert into books (isbn, title, author_id) values ('x', 'X', 99)");
    assert!(matches!(result, Err(Error::Constraint { kind: ConstraintKind::ForeignKey, .. })));
    assert_eq!(session.world(), base);
    assert!(fixture.database.change_counts(session.id).unwrap().is_empty());
}}

on_each_database! { fn savepoints_that_are_left_open_end_with_their_unit_of_work(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    let mut conn = match fixture.database.connection_url() {
        url if backend == Backend::Sqlite => AnyConnection::Sqlite(SqliteConnection::establish(&url).unwrap()),
        url => AnyConnection::Postgres(PgConnection::establish(&url).unwrap()),
    };
    fixture.database.prepare(&mut conn).unwrap();
    for (title, ended) in [("Kept", Ok(())), ("Dropped", Err(Error::UnknownSession)), ("Also kept", Ok(()))] {
        let is_kept = ended.is_ok();
        let written = fixture.database.write_on(&mut conn, session.id, now(), |conn| {
            for _ in 0..2 {
                <AnyConnection as Connection>::TransactionManager::begin_transaction(conn)?;
            }
            conn.batch_execute(&format!("update books set title = '{title}' where isbn = '1'"))?;
            ended
        });
        assert_eq!(written.is_ok(), is_kept, "{title}: {written:?}");
        let seen = session.value("select title from books where isbn = '1'");
        assert_eq!(seen, if is_kept { title } else { "Kept" });
    }
}}

// PostgreSQL gives up the whole transaction, and SQLite the statement alone.
on_each_database! { fn a_unit_of_work_that_passes_over_a_failed_statement_succeeds_only_if_it_lasts(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    for savepoints in 0..2 {
        let title = format!("Below {savepoints}");
        let written = fixture.database.write(session.id, now(), |conn| {
            for _ in 0..savepoints {
                <AnyConnection as Connection>::TransactionManager::begin_transaction(conn)?;
            }
            conn.batch_execute(&format!("update books set title = '{title}' where isbn = '1'"))?;
            let failed = conn.batch_execute("update nothing set a = 1");
            assert!(failed.is_err());
            Ok::<_, Error>(())
        });
        let seen = session.value("select title from books where isbn = '1'");
        assert_eq!(seen == title, written.is_ok(), "{seen}: {written:?}");
    }
    session.write("update books set title = 'After it' where isbn = '1'").unwrap();
}}

on_each_database! { fn a_unit_of_work_that_ends_its_transaction_itself_is_an_error(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    for ended in ["rollback", "commit"] {
        let written = fixture.database.write(session.id, now(), |conn| {
            conn.batch_execute("update books set title = 'Anns' where isbn = '1'")?;
            conn.batch_execute(ended).map_err(Error::from)
        });
        assert!(written.is_err(), "{ended}");
    }
    session.write("update books set title = 'After it' where isbn = '1'").unwrap();
    assert_eq!(session.value("select title from books where isbn = '1'"), "After it");
}}

on_each_database! { fn archived_changes_are_complete_snapshots(backend) {
    let fixture = Fixture::library(backend);
    let session = changed(&fixture);
    session.reset();
    let rows = session.query(
        "select table_name||' '||record_key||' '||kind||' '||snapshot as value from demo_archived_changes order by 1",
    );
    assert_eq!(rows.len(), 12);
    let snapshot = |start: &str| -> serde_json::Value {
        let row = rows.iter().find_map(|row| row.strip_prefix(start)).unwrap_or_else(|| panic!("{start}: {rows:#?}"));
        serde_json::from_str(row).unwrap()
    };
    let cover = match backend {
        Backend::Sqlite => serde_json::json!({"$hex": "0001FF"}),
        Backend::Postgres => serde_json::json!("\\x0001ff"),
    };
    assert_eq!(
        snapshot(r#"books ["9"] created "#),
        serde_json::json!({"isbn": "9", "title": "Nine", "author_id": 4, "publisher": "new", "price": 9.5,
            "cover": cover, "title_length": 4})
    );
    assert_eq!(
        snapshot(r#"books ["2"] edited "#),
        serde_json::json!({"isbn": "2", "title": "Two", "author_id": 1, "publisher": "tor",
            "price": 0.30000000000000004, "cover": null, "title_length": 3})
    );
}}

on_each_database! {
    fn changes_are_listed_newest_first_with_what_differs_from_the_base(backend) {
        let fixture = Fixture::library(backend);
        let session = changed(&fixture);
        let all = fixture.database.changes(session.id, &[], None, 100).unwrap();
        assert_eq!(all.len(), 12);
        let edited = all.iter().find(|change| change.table == "books" && change.key == ["2"]).unwrap();
        assert_eq!(edited.kind, ChangeKind::Edited);
        let differences = edited.differences();
        assert_eq!(differences, [("price".to_owned(), serde_json::json!(2.5), serde_json::json!(0.30000000000000004))]);
        let deleted = all.iter().find(|change| change.table == "books" && change.key == ["1"]).unwrap();
        assert_eq!((deleted.kind, deleted.current.is_none()), (ChangeKind::Deleted, true));
        let created = all.iter().find(|change| change.table == "books" && change.key == ["9"]).unwrap();
        assert_eq!((created.kind, created.base.is_none()), (ChangeKind::Created, true));
        let mut paged = Vec::new();
        while paged.len() < 12 {
            let after = paged.last().map(|change: &demo_reset_persistence::Change| change.position.clone());
            let page = fixture.database.changes(session.id, &[], after.as_ref(), 5).unwrap();
            assert!(!page.is_empty());
            paged.extend(page);
        }
        assert_eq!(paged, all);
        let archive = session.reset().archive.unwrap();
        assert_eq!(fixture.database.archived_changes(session.id, archive.id).unwrap().len(), 12);
        assert_eq!(fixture.database.changes(session.id, &[], None, 100).unwrap(), []);
    }
}

on_each_database! {
    fn some_records_are_reset_with_what_depends_on_them(backend) {
        let fixture = Fixture::library(backend);
        let session = changed(&fixture);
        let before = session.world();
        let record = |table: &str, key: &str| RecordKey { table: table.to_owned(), key: vec![key.to_owned()] };
        let reset = |records: &[RecordKey]| {
            fixture.database.reset_records(session.id, records, ArchiveId(Uuid::new_v4()), now())
        };
        assert_eq!(reset(&[record("books", "3"), record("nothing", "1")]).unwrap().archive, None);
        // A deleted book comes back with its reviews; a created author takes the book along that needs it.
        let archive = reset(&[record("books", "1"), record("authors", "4")]).unwrap().archive.unwrap();
        assert_eq!(archive.counts.table("books").total(), 2);
        assert_eq!(archive.counts.table("reviews").total(), 3);
        assert_eq!(session.value("select count(*) from reviews where isbn = '1'"), "2");
        assert_eq!(session.value("select count(*) from books where isbn = '9'"), "0");
        assert_eq!(session.value("select price from books where isbn = '2'"), "0.30000000000000004");
        session.undo().unwrap();
        assert_eq!(session.world(), before);
    }
}

on_each_database! {
    fn a_record_is_not_reset_where_its_base_value_is_taken_now(backend) {
        let fixture = Fixture::library(backend);
        let session = fixture.session("ann");
        session
            .write(
                "update publishers set name = 'Ex' where code = 'ace';
                 insert into publishers (code, name) values ('new', 'Ace');",
            )
            .unwrap();
        let before = session.world();
        let record = RecordKey { table: "publishers".to_owned(), key: vec!["ace".to_owned()] };
        let result = fixture.database.reset_records(session.id, &[record], ArchiveId(Uuid::new_v4()), now());
        let Err(Error::UndoConflict(found)) = result else { panic!("{result:?}") };
        assert_eq!((found[0].table.as_str(), found[0].key.as_slice()), ("publishers", ["new".to_owned()].as_slice()));
        assert_eq!(session.world(), before);
    }
}
