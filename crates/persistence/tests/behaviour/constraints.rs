//! The tables' own constraints, upheld as the session sees the world: whatever a session does through the views
//! must end exactly as on a plain copy of the tables.

use demo_reset_persistence::{ConstraintKind, Error};
use diesel::connection::SimpleConnection;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::fixture::{Backend, Fixture, dump, on_each_database, plain, tables};
use crate::random::Random;

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Outcome {
    Done,
    Refused(ConstraintKind),
}

fn plain_outcome(result: Result<(), DieselError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(DieselError::DatabaseError(kind, info)) => match kind {
            DatabaseErrorKind::UniqueViolation => Outcome::Refused(ConstraintKind::Unique),
            DatabaseErrorKind::ForeignKeyViolation => Outcome::Refused(ConstraintKind::ForeignKey),
            DatabaseErrorKind::NotNullViolation => Outcome::Refused(ConstraintKind::NotNull),
            DatabaseErrorKind::CheckViolation => Outcome::Refused(ConstraintKind::Check),
            // What SQLite raises for RESTRICT has the code of a trigger's error.
            _ if info.message() == "FOREIGN KEY constraint failed" => {
                Outcome::Refused(ConstraintKind::ForeignKey)
            }
            _ => panic!("{kind:?}: {}", info.message()),
        },
        Err(other) => panic!("{other}"),
    }
}

fn session_outcome(result: Result<(), Error>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(Error::Constraint { kind, .. }) => Outcome::Refused(kind),
        Err(other) => panic!("{other}"),
    }
}

/// Runs statements one after the other on a plain copy and through a session, each a transaction of its own, and
/// compares how each ends and what is there afterwards.
///
/// A statement that breaks several constraints may be refused for another of them than on the plain table, since a
/// trigger checks the key first: `strict` asks for the same kind.
fn same_as_plain(backend: Backend, statements: &[String], strict: bool) {
    let fixture = Fixture::library(backend);
    let base = fixture.base_dump();
    let session = fixture.session("ann");
    let mut plain = plain(backend);
    for (at, sql) in statements.iter().enumerate() {
        let expected = plain_outcome(plain.conn().batch_execute(&backend.sql(sql)));
        let found = session_outcome(session.write(sql));
        let so_far = || statements[..=at].join(";\n");
        let is_same = found == expected || (!strict && found != Outcome::Done && expected != Outcome::Done);
        assert!(is_same, "{found:?} instead of {expected:?} after\n{}", so_far());
        assert_eq!(session.world(), dump(plain.conn(), &tables()), "after\n{}", so_far());
    }
    assert_eq!(fixture.base_dump(), base);
}

fn same(backend: Backend, statements: &[&str]) {
    same_as_plain(backend, &statements.iter().map(|sql| (*sql).to_owned()).collect::<Vec<_>>(), true);
}

on_each_database! { fn not_null_check_and_defaults_hold(backend) {
    same(backend, &[
        "insert into authors (id, name) values (10, '')",
        "insert into authors (id, name) values (10, null)",
        "insert into authors (id, name) values (10, 'Di')",
        "insert into books (isbn, title, author_id) values ('x', 'X', 10)",
        "insert into reviews values ('x', 'zoe', 6)",
        "update reviews set stars = 0 where isbn = '1'",
        "update books set title = null where isbn = '1'",
        "update books set price = 1 where isbn = '1'",
    ]);
}}

on_each_database! { fn keys_and_uniques_hold_against_base_and_layer(backend) {
    same(backend, &[
        "insert into publishers values ('ace', 'Other')",
        "insert into publishers values ('x', 'Ace')",
        "insert into books (isbn, title, author_id) values ('1', 'X', 3)",
        "insert into books (isbn, title, author_id) values ('x', 'One', 1)",
        "insert into books (isbn, title, author_id) values ('x', 'One', 2)",
        "insert into books (isbn, title, author_id) values ('y', 'One', 2)",
        "insert into authors (id, name, email) values (10, 'Di', 'ANN@x.example')",
        "insert into authors (id, name, email) values (10, 'Di', null)",
        "update authors set email = 'BEN@X.example' where id = 10",
        // The value becomes free for others once its row has given it up.
        "update authors set email = 'ann2@x.example' where id = 1",
        "update authors set email = 'ANN@x.example' where id = 10",
        "update authors set email = 'Ann@X.EXAMPLE' where id = 1",
        "delete from books where isbn = '2'",
        "update books set title = 'Two' where isbn = '1'",
        "insert into reviews values ('1', 'zoe', 3)",
        "update reviews set reviewer = 'yan' where isbn = '1' and reviewer = 'zoe'",
    ]);
}}

on_each_database! { fn a_deleted_base_row_can_be_made_again(backend) {
    same(backend, &[
        "delete from reviews where isbn = '3'",
        "insert into reviews values ('3', 'zoe', 2)",
        "delete from reviews where isbn = '3'",
        "insert into reviews values ('3', 'zoe', 4)",
        "update reviews set stars = 5 where isbn = '3'",
    ]);
}}

on_each_database! { fn foreign_keys_are_checked_at_the_end_of_the_statement(backend) {
    same(backend, &[
        "insert into books (isbn, title, author_id) values ('x', 'X', 99)",
        "update books set author_id = 99 where isbn = '1'",
        "insert into authors (id, name, mentor_id) values (20, 'Eve', 21), (21, 'Fay', 20)",
        "insert into authors (id, name, mentor_id) values (30, 'Gus', 31), (31, 'Hal', 32)",
        "delete from publishers where code = 'tor'",
        "delete from books where publisher = 'tor'",
        "delete from notes",
        "delete from books where publisher = 'tor'",
        "delete from publishers where code = 'tor'",
        "update publishers set code = 'new' where code = 'ace'",
        "update publishers set code = 'ACE' where code = 'ace'",
    ]);
}}

/// SQLite has no WITH that writes.
#[test]
fn on_postgresql_a_row_whose_parent_goes_with_the_same_statement_is_refused() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let child = "insert into reviews values ('2', 'yan', 3) returning isbn";
    let parent = "delete from books where isbn = '2' and exists (select 1 from child)";
    same(Backend::Postgres, &[&format!("with child as ({child}) {parent}"), child]);
}

on_each_database! { fn deleting_a_parent_does_what_its_references_say(backend) {
    same(backend, &[
        "delete from authors where id = 2",
        "delete from notes",
        "delete from authors where id = 2",
        "delete from authors where id = 1",
        "delete from authors",
    ]);
}}

on_each_database! { fn changing_a_key_does_what_its_references_say(backend) {
    same(backend, &[
        "update authors set id = 3 where id = 1",
        "update authors set id = 50 where id = 3",
        "update authors set id = 51 where id = 1",
        "update authors set id = id + 100",
        "update books set isbn = 'one' where isbn = '1'",
        "delete from reviews where isbn = '1'",
        "update books set isbn = 'one' where isbn = '1'",
        "update books set isbn = '1' where isbn = '2'",
        "insert into books (isbn, title, author_id) values ('2', 'Again', 151)",
        "update notes set id = 7",
    ]);
}}

on_each_database! { fn row_ids_are_handed_out_once_per_session(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    let highest = || session.value("select max(id) from authors");
    session.write("insert into authors (name) values ('Di'), ('Eve')").unwrap();
    assert_eq!(highest(), "5");
    session.write("delete from authors where id = 5; insert into authors (name) values ('Fay')").unwrap();
    assert_eq!(highest(), "6");
    session.write("insert into authors (id, name) values (40, 'Gus')").unwrap();
    session.reset();
    session.write("insert into authors (name) values ('Hal')").unwrap();
    // A sequence knows only what it gave out itself; SQLite's row ids also pass what was given.
    assert_eq!(highest(), if backend == Backend::Sqlite { "41" } else { "7" });
    let other = fixture.session("ben");
    other.write("insert into authors (name) values ('Ida')").unwrap();
    let others = other.value("select max(id) from authors");
    assert_eq!(others, if backend == Backend::Sqlite { "4" } else { "8" });
}}

on_each_database! { fn a_refusal_names_the_tables_own_constraint(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    session.write("insert into books (isbn, title, author_id) values ('x', 'X', 1)").unwrap();
    let refusals = [
        (
            "insert into books (isbn, title, author_id) values ('y', 'One', 1)",
            "UNIQUE constraint failed: books.author_id, books.title",
            "duplicate key value violates unique constraint \"books_author_id_title_key\"",
        ),
        (
            "insert into books (isbn, title, author_id) values ('y', 'X', 1)",
            "UNIQUE constraint failed: books.author_id, books.title",
            "duplicate key value violates unique constraint \"books_author_id_title_key\"",
        ),
        (
            "insert into authors (id, name) values (1, 'X')",
            "UNIQUE constraint failed: authors.id",
            "duplicate key value violates unique constraint \"authors_pkey\"",
        ),
        (
            "update books set title = null",
            "NOT NULL constraint failed: books.title",
            "null value in column \"title\" of relation \"books\" violates not-null constraint",
        ),
        (
            "update authors set name = ''",
            "CHECK constraint failed: length(name) > 0",
            "new row for relation \"authors\" violates check constraint \"authors_name_check\"",
        ),
        (
            "update notes set isbn = 'none'",
            "FOREIGN KEY constraint failed",
            "insert or update on table \"notes\" violates foreign key constraint \"notes_isbn_fkey\"",
        ),
    ];
    for (sql, on_sqlite, on_postgres) in refusals {
        let Err(Error::Constraint { message, .. }) = session.write(sql) else { panic!("{sql}") };
        assert_eq!(message, if backend == Backend::Sqlite { on_sqlite } else { on_postgres });
    }
}}

/// A random statement over the library: often one that a constraint refuses.
fn statement(random: &mut Random) -> String {
    let author = |random: &mut Random| ["1", "2", "3", "4", "5", "null"][random.below(6)];
    let isbn = |random: &mut Random| ["'1'", "'2'", "'3'", "'4'", "'5'"][random.below(5)];
    let publisher = |random: &mut Random| ["'ace'", "'TOR'", "'new'", "null"][random.below(4)];
    let title = |random: &mut Random| ["'One'", "'Two'", "'Three'", "'Four'"][random.below(4)];
    let email = |random: &mut Random| {
        ["'ann@x.example'", "'BEN@x.example'", "'new@x.example'", "null"][random.below(4)]
    };
    let stars = |random: &mut Random| random.below(7);
    match random.below(20) {
        0 => format!(
            "insert into authors (id, name, email, mentor_id) values ({}, {}, {}, {})",
            random.below(6),
            title(random),
            email(random),
            author(random)
        ),
        1 => format!(
            "insert into authors (id, name, mentor_id) values ({0}, 'A', {1}), ({1}, 'B', {0})",
            4 + random.below(3),
            4 + random.below(3)
        ),
        2 | 3 => format!(
            "insert into books (isbn, title, author_id, publisher) values ({}, {}, {}, {})",
            isbn(random),
            title(random),
            author(random),
            publisher(random)
        ),
        4 => format!("insert into reviews values ({}, 'zoe', {})", isbn(random), stars(random)),
        5 => format!("insert into notes values ({}, {}, 'n')", random.below(4), isbn(random)),
        6 => format!("insert into publishers values ({}, {})", publisher(random), title(random)),
        7 => format!("update authors set email = {} where id = {}", email(random), author(random)),
        8 => format!("update authors set mentor_id = {} where id <= {}", author(random), random.below(6)),
        9 => format!("update authors set id = {} where id = {}", 1 + random.below(6), author(random)),
        10 => format!("update books set title = {} where isbn = {}", title(random), isbn(random)),
        11 => format!("update books set isbn = {} where isbn = {}", isbn(random), isbn(random)),
        12 => format!(
            "update books set author_id = {}, publisher = {} where isbn >= {}",
            author(random),
            publisher(random),
            isbn(random)
        ),
        13 => format!("update reviews set stars = {} where isbn = {}", stars(random), isbn(random)),
        14 => format!("update reviews set isbn = {} where isbn = {}", isbn(random), isbn(random)),
        15 => format!("delete from authors where id = {}", author(random)),
        16 => format!("delete from books where isbn = {}", isbn(random)),
        17 => format!("delete from publishers where code = {}", publisher(random)),
        18 => format!("delete from notes where id = {}", random.below(4)),
        _ => format!("update publishers set code = {} where code = {}", publisher(random), publisher(random)),
    }
}

on_each_database! { fn random_statements_end_as_on_plain_tables(backend) {
    for seed in 0..if backend == Backend::Sqlite { 60 } else { 20 } {
        let mut random = Random::new(seed);
        let statements: Vec<String> = (0..30).map(|_| statement(&mut random)).collect();
        let run = std::panic::catch_unwind(|| same_as_plain(backend, &statements, false));
        assert!(run.is_ok(), "seed {seed}");
    }
}}
