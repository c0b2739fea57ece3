//! What happens at the same time: sessions beside each other, the same session twice, and plain SQL beside the engine.
//! Whatever the order, the outcome is that of one order.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration as StdDuration;

use chrono::Duration;
use demo_reset_domain::{ArchiveId, ArchiveState, OnConflict, SessionId, UndoRefusal, UserKey};
use demo_reset_persistence::{AnyConnection, Database, Error, OpenOptions, ResetReport, UndoReport};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{BigInt, Text};
use uuid::Uuid;

use crate::fixture::{Backend, Fixture, Session, now, on_each_database, options, until_wait};

/// Rounds of each race: enough that both orders are met.
const ROUNDS: usize = 20;

/// Runs both at the same time.
fn race<A: Send, B: Send>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B + Send) -> (A, B) {
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            barrier.wait();
            first()
        });
        barrier.wait();
        let second = second();
        (other.join().unwrap(), second)
    })
}

fn new_archive() -> ArchiveId {
    ArchiveId(Uuid::new_v4())
}

fn publishers(session: &Session<'_>) -> String {
    session.value("select group_concat(code, ' ') from (select code from publishers order by code) p")
}

fn add(session: &Session<'_>, code: &str) {
    session.write(&format!("insert into publishers (code, name) values ('{code}', 'of-{code}')")).unwrap();
}

on_each_database! { fn fifty_first_requests_at_once_give_one_session(backend) {
    let fixture = Fixture::library(backend);
    let user = UserKey::new("acme", "ann").unwrap();
    let barrier = Barrier::new(50);
    let ids: Vec<SessionId> = std::thread::scope(|scope| {
        let first = || {
            barrier.wait();
            fixture.database.session(&user, SessionId(Uuid::new_v4()), now()).unwrap().id
        };
        let threads: Vec<_> = (0..50).map(|_| scope.spawn(first)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(fixture.database.sessions(None).unwrap().len(), 1);
}}

on_each_database! { fn fifty_sessions_write_while_others_reset_and_undo(backend) {
    let fixture = Fixture::library(backend);
    let base = fixture.base_dump();
    let writing = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let turners: Vec<_> = (0..4).map(|n| {
            let (fixture, writing) = (&fixture, &writing);
            scope.spawn(move || {
                let session = fixture.session(&format!("turner {n}"));
                session.write("update books set title = title || '!'; delete from notes").unwrap();
                let changed = session.world();
                let mut turns = 0;
                while writing.load(Ordering::Relaxed) || turns == 0 {
                    assert!(session.reset().archive.is_some());
                    session.undo().unwrap();
                    turns += 1;
                }
                assert_eq!(session.world(), changed);
            })
        }).collect();
        let writers: Vec<_> = (0..50).map(|n| {
            let fixture = &fixture;
            scope.spawn(move || {
                let session = fixture.session(&format!("writer {n}"));
                for round in 0..4 {
                    session.write(&format!(
                        "insert into publishers (code, name) values ('w{round}', 'W{n} {round}');
                         update books set price = {n} where isbn = '1'; delete from reviews where isbn = '3'"
                    )).unwrap();
                }
                let seen = "select (select group_concat(name, ' ') from (select name from publishers order by name) p)\
                    ||' '||(select cast(price as integer) from books where isbn = '1')\
                    ||' '||(select count(*) from reviews)||' '||(select count(*) from notes)";
                assert_eq!(session.value(seen), format!("Ace Tor W{n} 0 W{n} 1 W{n} 2 W{n} 3 {n} 2 1"));
            })
        }).collect();
        for writer in writers {
            writer.join().unwrap();
        }
        writing.store(false, Ordering::Relaxed);
        for turner in turners {
            turner.join().unwrap();
        }
    });
    assert_eq!(fixture.base_dump(), base);
    assert!(fixture.database.verify().unwrap().base_is_intact());
}}

on_each_database! { fn of_two_resets_at_once_one_archives(backend) {
    let fixture = Fixture::library(backend);
    for round in 0..ROUNDS {
        let session = fixture.session(&format!("user {round}"));
        add(&session, "x");
        let (one, other): (ResetReport, ResetReport) = race(|| session.reset(), || session.reset());
        let archives: Vec<u64> =
            [one, other].into_iter().filter_map(|report| report.archive).map(|a| a.counts.total()).collect();
        assert_eq!(archives, [1]);
        assert_eq!(fixture.database.archives(session.id).unwrap().len(), 1);
    }
}}

on_each_database! { fn of_two_undos_at_once_one_restores(backend) {
    let fixture = Fixture::library(backend);
    for round in 0..ROUNDS {
        let session = fixture.session(&format!("user {round}"));
        add(&session, "x");
        session.reset();
        // A change since: the undo has to merge.
        if round % 2 == 1 {
            add(&session, "y");
        }
        let (one, other): (Result<UndoReport, Error>, Result<UndoReport, Error>) =
            race(|| session.undo(), || session.undo());
        let (done, refused): (Vec<_>, Vec<_>) = [one, other].into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 1, "{refused:?}");
        let expected = matches!(
            refused[0],
            Err(Error::Undo(UndoRefusal::NothingToUndo | UndoRefusal::AlreadyRestored))
        );
        assert!(expected, "{refused:?}");
        assert_eq!(publishers(&session), if round % 2 == 1 { "ace tor x y" } else { "ace tor x" });
    }
}}

on_each_database! { fn a_reset_against_an_undo_ends_as_one_after_the_other(backend) {
    let fixture = Fixture::library(backend);
    for round in 0..ROUNDS {
        let session = fixture.session(&format!("user {round}"));
        add(&session, "x");
        session.reset();
        add(&session, "y");
        let (reset, undone) = race(|| session.reset(), || session.undo());
        let (archived, restored) = (reset.archive.unwrap().counts.total(), undone.unwrap().restored.total());
        let available = fixture.database.archives(session.id).unwrap();
        let available =
            available.iter().filter(|archive| archive.state(now()) == ArchiveState::Available).count();
        let found = (archived, restored, publishers(&session), available);
        let reset_first = (1, 1, "ace tor y".to_owned(), 1);
        let undo_first = (2, 1, "ace tor".to_owned(), 1);
        assert!(found == reset_first || found == undo_first, "{found:?}");
        // Nothing is lost: what is archived comes back.
        session.undo().unwrap();
        assert_eq!(publishers(&session), "ace tor x y");
    }
}}

on_each_database! { fn a_reset_against_a_cleanup_archives_once(backend) {
    let fixture = Fixture::library(backend);
    let idle = now() + Duration::days(30);
    for round in 0..ROUNDS {
        let session = fixture.session(&format!("user {round}"));
        add(&session, "old");
        session.reset();
        add(&session, "x");
        // The first archive has expired, and the session is idle: both want to archive its layer.
        let (reset, report) = race(|| session.reset_at(idle), || fixture.database.cleanup(idle, &mut new_archive));
        let report = report.unwrap();
        assert_eq!(u64::from(reset.archive.is_some()) + report.sessions_archived, 1);
        assert_eq!(report.changes_purged, 1);
        let archives = fixture.database.archives(session.id).unwrap();
        assert_eq!(archives.iter().map(|archive| archive.counts.total()).collect::<Vec<_>>(), [1]);
        session.undo_with(None, OnConflict::Fail, idle).unwrap();
        assert_eq!(publishers(&session), "ace tor x");
        // Active again, so that the next round's cleanup leaves it alone.
        let user = UserKey::new("acme", format!("user {round}")).unwrap();
        fixture.database.session(&user, SessionId(Uuid::new_v4()), idle).unwrap();
    }
}}

on_each_database! { fn an_undo_against_a_cleanup_gets_all_of_the_archive_or_nothing(backend) {
    let fixture = Fixture::library(backend);
    let expiry = now() + Duration::hours(24);
    for round in 0..ROUNDS {
        let session = fixture.session(&format!("user {round}"));
        for n in 0..5 {
            add(&session, &format!("x{n}"));
        }
        session.write("delete from notes; update books set price = 1").unwrap();
        let changed = session.world();
        session.reset();
        // The clock of the server that cleans up is a moment ahead of the other's.
        let (undone, report) = race(
            || session.undo_with(None, OnConflict::Fail, expiry - Duration::microseconds(1)),
            || fixture.database.cleanup(expiry, &mut new_archive),
        );
        let purged = report.unwrap().changes_purged;
        match undone {
            Ok(report) => assert_eq!((report.restored.total(), purged, session.world()), (9, 0, changed)),
            Err(Error::Undo(UndoRefusal::NothingToUndo)) => {
                assert_eq!((purged, session.world()), (9, fixture.base_dump()));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}}

on_each_database! { fn a_long_read_during_a_reset_sees_one_state(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    add(&session, "x");
    session.reset();
    add(&session, "y");
    let look = |conn: &mut AnyConnection| {
        let world = crate::fixture::dump(conn, &crate::fixture::tables());
        Ok::<_, Error>((world, fixture_archives(conn)))
    };
    let seen = fixture.database.read(session.id, |conn| {
        let before = look(conn)?;
        std::thread::scope(|scope| {
            // A merge moves every change of this session to another layer, a reset gives it a new one.
            scope.spawn(|| {
                session.undo().unwrap();
                session.reset();
                add(&session, "z");
            }).join().unwrap();
        });
        Ok::<_, Error>((before, look(conn)?))
    });
    let (before, after) = seen.unwrap();
    assert_eq!(before, after);
    assert_eq!(publishers(&session), "ace tor z");
}}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn fixture_archives(conn: &mut AnyConnection) -> i64 {
    let query = diesel::sql_query("select count(*) as count from demo_archives");
    query.get_result::<Count>(conn).unwrap().count
}

on_each_database! { fn two_connections_of_a_session_lose_no_update_of_each_other(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    session.write("update books set price = 0 where isbn = '2'").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    // Reads, computes outside the database, writes.
                    fixture.database.write(session.id, now(), |conn| {
                        let stars = diesel::sql_query(
                            "select cast(price as bigint) as count from books where isbn = '2'",
                        );
                        let next = stars.get_result::<Count>(conn).map_err(Error::from)?.count + 1;
                        conn.batch_execute(&format!("update books set price = {next} where isbn = '2'"))
                            .map_err(Error::from)
                    }).unwrap();
                }
            });
        }
    });
    assert_eq!(session.value("select cast(price as bigint) from books where isbn = '2'"), "40");
}}

on_each_database! { fn a_parent_deleted_and_a_child_inserted_at_once_leave_no_orphan(backend) {
    let fixture = Fixture::library(backend);
    for round in 0..ROUNDS {
        let session = fixture.session(&format!("user {round}"));
        let (deleted, inserted) = race(
            || session.write("delete from authors where id = 3"),
            || session.write("insert into books (isbn, title, author_id) values ('9', 'Nine', 3)"),
        );
        deleted.unwrap();
        if let Err(refused) = inserted {
            assert!(matches!(refused, Error::Constraint { .. }), "{refused:?}");
        }
        let orphans = "select count(*) from books where author_id not in (select id from authors)";
        assert_eq!((session.value(orphans), session.value("select count(*) from authors")), ("0".into(), "2".into()));
    }
}}

on_each_database! { fn a_row_that_one_connection_deletes_is_not_brought_back_by_the_other(backend) {
    let fixture = Fixture::library(backend);
    for round in 0..ROUNDS {
        let session = fixture.session(&format!("user {round}"));
        let (deleted, updated) = race(
            || session.write("delete from notes where id = 1"),
            || session.write("update notes set body = 'kept' where id = 1"),
        );
        deleted.unwrap();
        updated.unwrap();
        assert_eq!(session.value("select count(*) from notes"), "0");
    }
}}

// PostgreSQL alone: SQLite has one writer, and no SQL from elsewhere writes a session there.

fn postgres() -> Option<Fixture> {
    Backend::Postgres.is_there().then(|| Fixture::library(Backend::Postgres))
}

#[test]
fn on_postgresql_no_write_waits_for_that_of_another_session() {
    let Some(fixture) = postgres() else { return };
    let quick = OpenOptions { connection_timeout: StdDuration::from_millis(500), ..options() };
    let database = Database::open(&fixture.url, quick, now()).unwrap();
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    add(&ben, "before");
    let everything = "insert into publishers (code, name) values ('x', 'X'); update books set price = 1; \
        update authors set name = name || '!'; delete from reviews; delete from notes; \
        insert into authors (name) values ('New')";
    // A statement of Ben's that waits for a lock fails after half a second.
    fixture
        .database
        .write(ann.id, now(), |conn| -> Result<(), Error> {
            conn.batch_execute(everything)?;
            let write = |database: &Database| {
                database.write(ben.id, now(), |conn| conn.batch_execute(everything).map_err(Error::from))
            };
            write(&database)?;
            database.reset(ben.id, new_archive(), now())?;
            database.undo(ben.id, None, OnConflict::Fail, new_archive(), now())?;
            let new = UserKey::new("acme", "new").unwrap();
            let session = database.session(&new, SessionId(Uuid::new_v4()), now())?.id;
            database.write(session, now(), |conn| conn.batch_execute(everything).map_err(Error::from))?;
            database.cleanup(now() + Duration::days(2), &mut new_archive)?;
            // The session that is writing keeps its own writers waiting, and is read all the same.
            let waited = database.write(ann.id, now(), |_| Ok::<_, Error>(()));
            assert!(matches!(waited, Err(Error::Unavailable(_))), "{waited:?}");
            database.read(ann.id, |_| Ok::<_, Error>(()))?;
            // Nor does the next look at the session that was made while another's was found.
            assert_eq!(
                database.session(&UserKey::new("acme", "ann").unwrap(), SessionId(Uuid::new_v4()), now())?.id,
                ann.id
            );
            Ok(())
        })
        .unwrap();
    assert_eq!((publishers(&ann), publishers(&ben)), ("ace tor x".to_owned(), "ace before tor x".to_owned()));
}

#[test]
fn on_postgresql_one_of_two_servers_cleans_up_at_a_time_and_the_other_takes_over_when_it_dies() {
    let Some(fixture) = postgres() else { return };
    let a = &fixture.database;
    let b = Database::open(&fixture.url, options(), now()).unwrap();
    let idle = now() + Duration::days(30);
    for user in ["ann", "ben", "cy"] {
        add(&fixture.session(user), "x");
    }
    let mut in_turn = Vec::new();
    let report = a.cleanup_in_turn(idle, &mut || {
        // In the middle of A's cleanup.
        in_turn.push(b.cleanup_in_turn(idle, &mut new_archive).unwrap());
        new_archive()
    });
    assert_eq!(report.unwrap().map(|report| report.sessions_archived), Some(3));
    assert_eq!(in_turn, [None, None, None]);
    assert!(b.cleanup_in_turn(idle, &mut new_archive).unwrap().is_some(), "the lock was given back");

    // PostgreSQL sees the death of a server as the end of its connection.
    for user in ["dan", "eve"] {
        add(&fixture.session(user), "x");
    }
    let mut owner = fixture.outsider();
    let mut made = 0;
    let cut = a.cleanup_in_turn(idle, &mut || {
        // An id for each of the five, in the order in which they came: at the last, one of the two is done.
        made += 1;
        if made == 5 {
            owner
                .batch_execute(
                    "select pg_terminate_backend(pid, 5000) from pg_locks where locktype = 'advisory' \
                     and database = (select oid from pg_database where datname = current_database())",
                )
                .unwrap();
        }
        new_archive()
    });
    assert!(matches!(cut, Err(Error::Unavailable(_))), "{cut:?}");
    let rest = b.cleanup_in_turn(idle, &mut new_archive).unwrap();
    assert_eq!(rest.map(|report| report.sessions_archived), Some(1), "what was done stays done");
    // Nor is a failed one's connection left behind with the lock.
    assert!(a.cleanup_in_turn(idle, &mut new_archive).unwrap().is_some());
}

/// A connection of another program that works in the session of a user.
struct Plain {
    conn: AnyConnection,
    isolation: &'static str,
}

const ISOLATIONS: [&str; 2] = ["read committed", "repeatable read"];

impl Plain {
    fn new(fixture: &Fixture, isolation: &'static str) -> Self {
        let mut conn = fixture.outsider();
        conn.batch_execute("set role demo_app; set search_path = demo, public").unwrap();
        Self { conn, isolation }
    }

    fn run(&mut self, sql: &str) -> QueryResult<()> {
        self.conn.batch_execute(sql)
    }

    fn begin(&mut self) {
        self.run(&format!("begin isolation level {}", self.isolation)).unwrap();
    }

    /// One transaction in Ann's session.
    fn write(&mut self, sql: &str) -> QueryResult<()> {
        self.begin();
        let done = self.run("select demo.use_session('acme', 'ann')").and_then(|()| self.run(sql));
        self.run(if done.is_ok() { "commit" } else { "rollback" })?;
        done
    }
}

#[track_caller]
fn assert_refused(result: &QueryResult<()>) {
    let is_40001 =
        matches!(result, Err(DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _)));
    assert!(is_40001, "{result:?}");
}

/// `second` begins while `first` is open in the same session; `first` then commits. What became of `second`.
fn overlap(fixture: &Fixture, isolation: &'static str, first: &str, second: &str) -> QueryResult<()> {
    let mut one = Plain::new(fixture, isolation);
    one.begin();
    one.run("select demo.use_session('acme', 'ann')").unwrap();
    one.run(first).unwrap();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| Plain::new(fixture, isolation).write(second));
        until_wait(&mut fixture.outsider(), 1);
        one.run("commit").unwrap();
        other.join().unwrap()
    })
}

#[test]
fn the_engine_loses_no_update_and_leaves_no_orphan_whatever_isolation_is_the_default() {
    let Some(fixture) = postgres() else { return };
    for isolation in ISOLATIONS {
        let default = format!("set default_transaction_isolation = ''{isolation}''");
        let set =
            format!("do $$ begin execute format('alter database %I {default}', current_database()); end $$");
        fixture.outsider().batch_execute(&set).unwrap();
        // Its connections are new ones.
        let database = Database::open(&fixture.url, options(), now()).unwrap();
        let session = fixture.session(isolation);
        session.write("update books set price = 0 where isbn = '2'").unwrap();
        // Where the second cannot see what the first has done it is refused, and may try again.
        let write = |sql: &str| loop {
            match database.write(session.id, now(), |conn| conn.batch_execute(sql).map_err(Error::from)) {
                Err(Error::Unavailable(_)) => continue,
                done => return done,
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        write("update books set price = price + 1 where isbn = '2'").unwrap();
                    }
                });
            }
        });
        assert_eq!(session.value("select price from books where isbn = '2'"), "40", "{isolation}");
        let (deleted, inserted) = race(
            || write("delete from authors where id = 3; delete from notes where id = 1"),
            || write("insert into books (isbn, title, author_id) values ('9', 'Nine', 3)"),
        );
        deleted.unwrap();
        assert!(matches!(inserted, Ok(()) | Err(Error::Constraint { .. })), "{inserted:?}");
        let updated = write("update notes set body = 'kept' where id = 1");
        updated.unwrap();
        let left = "select (select count(*) from books where author_id not in (select id from authors)) \
            + (select count(*) from notes)";
        assert_eq!(session.value(left), "0");
    }
}

#[test]
fn plain_sql_of_two_connections_loses_no_update() {
    let Some(fixture) = postgres() else { return };
    let session = fixture.session("ann");
    session.write("update books set price = 0 where isbn = '2'").unwrap();
    for (done, isolation) in ISOLATIONS.into_iter().enumerate() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut plain = Plain::new(&fixture, isolation);
                    for _ in 0..10 {
                        while let Err(error) =
                            plain.write("update books set price = price + 1 where isbn = '2'")
                        {
                            assert_refused(&Err(error));
                        }
                    }
                });
            }
        });
        assert_eq!(session.value("select price from books where isbn = '2'"), ((done + 1) * 40).to_string());
    }
}

#[test]
fn plain_sql_of_two_connections_brings_no_row_back_and_leaves_no_orphan() {
    let Some(fixture) = postgres() else { return };
    for isolation in ISOLATIONS {
        let session = fixture.session("ann");
        let stale = isolation == "repeatable read";
        // Under READ COMMITTED the second sees what the first has done; under REPEATABLE READ it cannot.
        let updated =
            overlap(&fixture, isolation, "delete from notes where id = 1", "update notes set body = 'kept'");
        let inserted = overlap(
            &fixture,
            isolation,
            "delete from authors where id = 3",
            "insert into books (isbn, title, author_id) values ('9', 'Nine', 3)",
        );
        let deleted = overlap(
            &fixture,
            isolation,
            "insert into reviews values ('2', 'xi', 2)",
            "delete from books where isbn = '2'",
        );
        if stale {
            assert_refused(&updated);
            assert_refused(&inserted);
            assert_refused(&deleted);
        } else {
            updated.unwrap();
            deleted.unwrap();
            let is_foreign_key = matches!(
                &inserted,
                Err(DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _))
            );
            assert!(is_foreign_key, "{inserted:?}");
        }
        assert_eq!(session.value("select count(*) from notes"), "0");
        assert_eq!(
            session.value("select count(*) from books where author_id not in (select id from authors)"),
            "0"
        );
        assert_eq!(
            session.value("select count(*) from reviews where isbn not in (select isbn from books)"),
            "0"
        );
        session.reset();
    }
}

#[test]
fn plain_sql_that_saw_the_session_before_a_reset_cannot_write_after_it() {
    let Some(fixture) = postgres() else { return };
    let session = fixture.session("ann");
    for change in ["reset", "undo", "write"] {
        add(&session, "x");
        let mut plain = Plain::new(&fixture, "repeatable read");
        plain.begin();
        plain.run("select count(*) from books").unwrap();
        match change {
            "reset" => drop(session.reset()),
            "undo" => {
                session.reset();
                session.undo().unwrap();
            }
            _ => session.write("delete from notes").unwrap(),
        }
        assert_refused(&plain.run("select demo.use_session('acme', 'ann')"));
        plain.run("rollback").unwrap();
        session.reset();
    }
    // What binds itself in the middle of a statement, or only for reading, is refused too.
    for isolation in ISOLATIONS {
        let mut plain = Plain::new(&fixture, isolation);
        for refused in [
            "delete from notes",
            "with s as materialized (select demo.use_session('acme', 'ann')) delete from notes using s",
            "update notes set body = demo.use_session('acme', 'ann')::text",
            "select demo.use_session('acme', 'ann', 'read'); delete from notes",
            "savepoint s; select demo.use_session('acme', 'ann'); rollback to savepoint s; delete from notes",
        ] {
            plain.begin();
            assert_refused(&plain.run(refused));
            plain.run("rollback").unwrap();
        }
        // A binding ends with its transaction.
        plain.write("delete from notes").unwrap();
        assert_refused(&plain.run("delete from reviews"));
    }
    assert_eq!(session.value("select count(*) from notes"), "0");
    assert_eq!(session.value("select count(*) from reviews"), "3");
}

#[test]
fn a_statement_that_binds_another_session_on_the_way_changes_nothing() {
    let Some(fixture) = postgres() else { return };
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    let mut plain = Plain::new(&fixture, "read committed");
    let switched =
        plain.write("update notes set body = 'x' where demo.use_session('acme', 'ben') is not null");
    assert_refused(&switched);
    assert_eq!((ann.world(), ben.world()), (fixture.base_dump(), fixture.base_dump()));
}

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = Text)]
    value: String,
}

#[test]
fn twenty_programs_at_once_get_one_session_from_plain_sql() {
    let Some(fixture) = postgres() else { return };
    let barrier = Barrier::new(20);
    let ids: Vec<String> = std::thread::scope(|scope| {
        let first = || {
            let mut plain = Plain::new(&fixture, "read committed");
            barrier.wait();
            let query = diesel::sql_query("select demo.use_session('acme', 'new')::text as value");
            query.get_result::<Value>(&mut plain.conn).unwrap().value
        };
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(first)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}
