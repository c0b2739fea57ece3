//! The eleven defects of the module that this engine replaces, each as a test that the engine must pass. They are
//! numbered as they were found there; every one was seen in an experiment.

use std::sync::Barrier;

use chrono::Duration;
use demo_reset_domain::{ArchiveId, OnConflict, SessionId, UserKey};
use demo_reset_persistence::{AnyConnection, Error, next_number};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use uuid::Uuid;

use crate::fixture::{Backend, Fixture, Session, now, on_each_database};

/// Ten authors, each with a pupil, two books and five reviews: ninety records.
fn ninety_records(session: &Session<'_>) {
    for n in 100..110 {
        session
            .write(&format!(
                "insert into authors (id, name) values ({n}, 'Author {n}');
                 insert into authors (id, name, mentor_id) values ({n} + 100, 'Pupil of {n}', {n});
                 insert into books (isbn, title, author_id) values ('a{n}', 'A', {n}), ('b{n}', 'B', {n});
                 insert into reviews values ('a{n}', 'u', 1), ('a{n}', 'v', 2), ('a{n}', 'w', 3), ('b{n}', 'u', 4),
                   ('b{n}', 'v', 5);"
            ))
            .unwrap();
    }
}

// 1. Undo restored 30 of 90 rows and answered that all was well.
on_each_database! { fn defect_1_undo_brings_back_every_record_with_all_that_hangs_on_it(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    ninety_records(&session);
    let world = session.world();
    assert_eq!(session.reset().archive.unwrap().counts.total(), 90);
    assert_eq!(session.world(), fixture.base_dump());
    assert_eq!(session.undo().unwrap().restored.total(), 90);
    assert_eq!(session.world(), world);
}}

// 2. Undo restored in the order in which the rows lay, and failed silently where a child lay before its parent.
on_each_database! { fn defect_2_undo_restores_whatever_the_order_in_which_the_rows_lie(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    ninety_records(&session);
    // Parents are written again, last first, so that they lie behind their children; some get a pupil as their mentor.
    for n in (100..110).rev() {
        session.write(&format!("update authors set name = name || '!', born = {n} where id = {n}")).unwrap();
        session.write(&format!("update authors set mentor_id = {n} + 100 where id = {n} - 1 and id > 99")).unwrap();
    }
    let world = session.world();
    session.reset();
    // Another layer lives meanwhile: the undo has to merge.
    session.write("update notes set body = 'other' where id = 1").unwrap();
    assert_eq!(session.undo().unwrap().restored.total(), 90);
    session.write("update notes set body = 'lent out' where id = 1").unwrap();
    assert_eq!(session.world(), world);
}}

// 3. Archive and delete were two transactions: of 636 records written during resets 157 were lost.
on_each_database! { fn defect_3_what_is_written_during_resets_is_alive_or_archived(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..150 {
                session.write(&format!("insert into publishers (code, name) values ('r{n}', 'R{n}')")).unwrap();
            }
        });
        for _ in 0..10 {
            scope.spawn(|| session.reset());
        }
    });
    let alive: u64 = session.value("select count(*) from publishers where code like 'r%'").parse().unwrap();
    let archived: u64 = fixture.database.archives(session.id).unwrap().iter().map(|a| a.counts.total()).sum();
    assert_eq!(alive + archived, 150);
}}

/// Makes the last statement of a reset or an undo fail from now on.
fn break_it(fixture: &Fixture, owner: &mut AnyConnection, table: &str, column: &str) {
    owner
        .batch_execute(&match fixture.backend {
            Backend::Sqlite => format!(
                "create trigger broken before update of {column} on {table} begin select raise(abort, 'broken'); end"
            ),
            Backend::Postgres => format!(
                "create or replace function public.broken() returns trigger language plpgsql as
                   $$ begin raise exception 'broken'; end $$;
                 create trigger broken before update of {column} on demo.{table} for each row
                   execute function public.broken()"
            ),
        })
        .unwrap();
}

fn mend_it(fixture: &Fixture, owner: &mut AnyConnection, table: &str) {
    owner
        .batch_execute(&match fixture.backend {
            Backend::Sqlite => "drop trigger broken".to_owned(),
            Backend::Postgres => format!("drop trigger broken on demo.{table}"),
        })
        .unwrap();
}

// 4. Stopped halfway, archives piled up and undos restored nothing, or half. (`crates/cli/tests/cli/faults.rs` kills
// the process; here the last statement fails.)
on_each_database! { fn defect_4_a_reset_or_an_undo_that_is_stopped_halfway_has_done_nothing(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    ninety_records(&session);
    let world = session.world();
    let mut owner = match backend {
        Backend::Postgres => fixture.outsider(),
        Backend::Sqlite => {
            let file = fixture.base_file().with_file_name("demo.sessions.db");
            let mut conn = SqliteConnection::establish(&file.display().to_string()).unwrap();
            conn.batch_execute("pragma busy_timeout = 5000").unwrap();
            AnyConnection::Sqlite(conn)
        }
    };
    break_it(&fixture, &mut owner, "demo_user_sessions", "live_layer");
    for _ in 0..3 {
        fixture.database.reset(session.id, ArchiveId(Uuid::new_v4()), now()).unwrap_err();
    }
    assert_eq!((session.world(), fixture.database.archives(session.id).unwrap().len()), (world.clone(), 0));
    mend_it(&fixture, &mut owner, "demo_user_sessions");
    session.reset();
    session.write("update notes set body = 'other' where id = 1").unwrap();
    let before = session.world();

    break_it(&fixture, &mut owner, "demo_archives", "restored_at");
    for _ in 0..3 {
        session.undo().unwrap_err();
    }
    assert_eq!(session.world(), before);
    mend_it(&fixture, &mut owner, "demo_archives");
    assert_eq!(session.undo().unwrap().restored.total(), 90);
}}

// 5. Everybody in the organization saw everybody's records, and edits of base records were shared and survived a reset.
on_each_database! { fn defect_5_what_a_user_makes_or_edits_is_theirs_alone_and_goes_with_a_reset(backend) {
    let fixture = Fixture::library(backend);
    let base = fixture.base_dump();
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    ann.write(
        "insert into authors (id, name) values (100, 'Mine'); update books set title = 'Defaced' where isbn = '1';
         insert into reviews values ('1', 'ann', 1)",
    )
    .unwrap();
    assert_eq!(ben.world(), base);
    assert_eq!(ann.reset().archive.unwrap().counts.total(), 3);
    assert_eq!(ann.world(), base);
}}

// 6. One user's reset deleted another's investigation along with a record of their own, unarchived and uncounted.
on_each_database! { fn defect_6_a_reset_leaves_what_another_user_has_made_under_the_same_records(backend) {
    let fixture = Fixture::library(backend);
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    ann.write("delete from authors where id = 1").unwrap();
    for session in [&ann, &ben] {
        session.write("insert into authors (id, name) values (100, 'Same key'); \
            insert into books (isbn, title, author_id) values ('100', 'Same key', 100)").unwrap();
    }
    ben.write("insert into reviews values ('1', 'ben', 2), ('100', 'ben', 3)").unwrap();
    let world = ben.world();
    ann.reset();
    assert_eq!(ben.world(), world);
    assert_eq!(fixture.database.change_counts(ben.id).unwrap().total(), 4);
}}

// 7. After two resets one undo brought both back, and numbers were given out again, so that an undo restored nothing.
on_each_database! { fn defect_7_two_resets_are_undone_one_by_one_and_no_number_is_given_out_twice(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    let add = |session: &Session<'_>| {
        fixture.database.write(session.id, now(), |conn| {
            let number = next_number(conn, "notes", 1)?;
            conn.batch_execute(&format!("insert into notes values ({number}, null, 'n{number}')"))?;
            Ok::<_, Error>(number)
        }).unwrap()
    };
    let first = add(&session);
    session.reset();
    let second = add(&session);
    session.reset();
    assert_ne!(first, second);
    let notes = "select coalesce(group_concat(body, ' '), '') from (select body from notes where id > 1 order by id) n";
    session.undo().unwrap();
    assert_eq!(session.value(notes), format!("n{second}"));
    session.undo().unwrap();
    assert_eq!(session.value(notes), format!("n{first} n{second}"));
    let third = add(&session);
    assert!(![first, second].contains(&third));
}}

// 8. "Base data intact" stayed true with a tenth of the records gone, all of them defaced, or none left.
on_each_database! { fn defect_8_base_data_is_intact_only_while_not_one_value_has_changed(backend) {
    for sql in [
        "delete from reviews where reviewer = 'yan'",
        "update books set title = title || '!'",
        "delete from notes",
    ] {
        let fixture = Fixture::library(backend);
        assert!(fixture.database.verify().unwrap().base_is_intact());
        let mut owner = fixture.outsider();
        owner.batch_execute(match backend {
            Backend::Postgres => "set session_replication_role = replica",
            Backend::Sqlite => "drop trigger demo_guard_delete_reviews; drop trigger demo_guard_update_books; \
                drop trigger demo_guard_delete_notes",
        }).unwrap();
        owner.batch_execute(sql).unwrap();
        assert!(!fixture.database.verify().unwrap().base_is_intact(), "{sql}");
    }
}}

// 9. Twenty first requests at once made one session and nineteen errors; two resets at once archived everything twice.
on_each_database! { fn defect_9_first_requests_and_resets_at_once_make_one_session_and_one_archive(backend) {
    let fixture = Fixture::library(backend);
    let user = UserKey::new("acme", "ann").unwrap();
    let start = Barrier::new(20);
    let ids: Vec<SessionId> = std::thread::scope(|scope| {
        let request = || {
            start.wait();
            fixture.database.session(&user, SessionId(Uuid::new_v4()), now()).unwrap().id
        };
        let all: Vec<_> = (0..20).map(|_| scope.spawn(request)).collect();
        all.into_iter().map(|request| request.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    let session = Session { fixture: &fixture, id: ids[0] };
    ninety_records(&session);
    let start = Barrier::new(2);
    let archived: Vec<u64> = std::thread::scope(|scope| {
        let reset = || {
            start.wait();
            session.reset().archive.map_or(0, |archive| archive.counts.total())
        };
        let both = [scope.spawn(reset), scope.spawn(reset)];
        both.into_iter().map(|reset| reset.join().unwrap()).collect()
    });
    assert_eq!(archived.iter().sum::<u64>(), 90, "{archived:?}");
    assert_eq!(fixture.database.archives(session.id).unwrap().len(), 1);
}}

// 10. SQL NULL in a JSON column came back as JSON null.
on_each_database! { fn defect_10_a_null_in_a_json_column_comes_back_as_a_null(backend) {
    let (name, json) = match backend {
        Backend::Sqlite => ("documents on sqlite", "text"),
        Backend::Postgres => ("documents on postgresql", "jsonb"),
    };
    let base = format!(
        "create table documents (id integer primary key, body {json}); insert into documents values (1, null), (2, 'null');"
    );
    let fixture = Fixture::with_template(backend, name, &base);
    let session = fixture.session("ann");
    session.write("insert into documents values (3, null), (4, 'null'), (5, '{\"a\": null}'); \
        update documents set id = id + 10 where id < 3").unwrap();
    let rows = "select cast(id as text)||' '||coalesce(cast(body as text), 'SQL NULL') as value from documents order by id";
    let before = session.query(rows);
    assert_eq!(before, ["3 SQL NULL", "4 null", "5 {\"a\": null}", "11 SQL NULL", "12 null"]);
    session.reset();
    session.undo_with(None, OnConflict::Fail, now() + Duration::hours(1)).unwrap();
    assert_eq!(session.query(rows), before);
}}

// 11. No index on the session column, so that the cost grew with the base and with other sessions; and nothing called
// the cleanup. (`serve` calls it: `crates/api/tests/http/service.rs`.)
on_each_database! { fn defect_11_the_changes_of_a_session_are_found_by_an_index_in_every_table(backend) {
    let fixture = Fixture::library(backend);
    let mut tables = 0;
    for table in crate::fixture::tables() {
        let changes = match backend {
            Backend::Sqlite => format!("main.demo_changes_{table}"),
            Backend::Postgres => format!("demo_changes.{table}"),
        };
        let find = format!("select * from {changes} where demo_layer = 16777217");
        let plan: Vec<String> = fixture.database.read_base(|conn| Ok::<_, Error>(plan(conn, &find))).unwrap();
        let by_index = match backend {
            Backend::Sqlite => "demo_layer=?",
            Backend::Postgres => "Index Cond: (demo_layer",
        };
        assert!(plan.iter().any(|line| line.contains(by_index)), "{table}: {plan:?}");
        tables += 1;
    }
    assert_eq!(tables, 5);
}}

fn plan(conn: &mut AnyConnection, query: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct SqliteLine {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    #[derive(QueryableByName)]
    struct PostgresLine {
        #[diesel(sql_type = diesel::sql_types::Text, column_name = "QUERY PLAN")]
        line: String,
    }
    match conn {
        AnyConnection::Sqlite(conn) => {
            let rows: Vec<SqliteLine> =
                diesel::sql_query(format!("explain query plan {query}")).load(conn).unwrap();
            rows.into_iter().map(|row| row.detail).collect()
        }
        AnyConnection::Postgres(conn) => {
            // The tables are empty: what counts is that there is an index to use.
            conn.batch_execute("set local enable_seqscan = off").unwrap();
            let rows: Vec<PostgresLine> = diesel::sql_query(format!("explain {query}")).load(conn).unwrap();
            rows.into_iter().map(|row| row.line).collect()
        }
    }
}
