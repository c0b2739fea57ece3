//! SQLite: rows of the base that a session hides are known by places made of row ids, and stay hidden whatever becomes of
//! row ids.

use chrono::Duration;
use demo_reset_domain::{ArchiveId, OnConflict};
use demo_reset_persistence::{AnyConnection, AttachOptions, Database, Error, OpenOptions};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use uuid::Uuid;

use crate::fixture::{Backend, Fixture, Session, now, options};

/// More rows than a session has places, in a table with a key of two columns.
const PLACES: usize = 16_384;

const PARTS: &str = "
create table parts (maker text not null, code text not null, n integer not null, primary key (maker, code));
insert into parts with recursive n (n) as (select 1 union all select n + 1 from n where n < 20000)
  select 'maker', 'code ' || n, n from n;
create table three_names (code text primary key, rowid text, _rowid_ text, oid text);
insert into three_names values ('a', 'x', 'y', 'z'), ('b', 'x', 'y', 'z');
create table one_name (code text primary key, rowid text);
insert into one_name values ('a', 'x'), ('b', 'x');";

fn parts() -> Fixture {
    Fixture::with_template(Backend::Sqlite, "parts", PARTS)
}

fn opened_again(fixture: Fixture) -> Fixture {
    let again = Database::open(&fixture.url, options(), now()).unwrap();
    let mut fixture = fixture;
    fixture.database = again;
    fixture
}

/// Runs the owner's statements where the guards of the base do not stop them.
fn past_the_guards(fixture: &Fixture, tables: &[&str], sql: &str) {
    let names = ["insert", "update", "delete"];
    let each = |what: &dyn Fn(&str, &str) -> String| -> String {
        tables.iter().flat_map(|table| names.map(|event| what(event, table))).collect()
    };
    let off = each(&|event, table| format!("drop trigger demo_guard_{event}_{table};"));
    let on = each(&|event, table| {
        format!(
            "create trigger demo_guard_{event}_{table} before {event} on {table} \
             begin select raise(abort, 'sealed'); end;"
        )
    });
    fixture.outsider().batch_execute(&format!("begin; {off} {sql}; {on} commit;")).unwrap();
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn count(fixture: &Fixture, from: &str) -> i64 {
    let query = diesel::sql_query(format!("select count(*) as count from {from}"));
    let row = |conn: &mut AnyConnection| query.get_result::<CountRow>(conn).map_err(Error::from);
    fixture.database.read_base(row).unwrap().count
}

#[test]
fn rows_that_share_a_place_are_told_apart() {
    let fixture = parts();
    let ann = fixture.session("ann");
    let seen =
        format!("select cast(n as text) as value from parts where n in (1, {}) order by n", PLACES + 1);
    ann.write("delete from parts where code = 'code 1'").unwrap();
    assert_eq!(ann.query(&seen), ["16385"]);
    ann.write("delete from parts where code = 'code 16385'").unwrap();
    assert!(ann.query(&seen).is_empty());
    assert_eq!(ann.value("select count(*) from parts"), "19998");
    assert_eq!(count(&fixture, "main.demo_hidden_parts"), 1);
}

#[test]
fn an_edit_of_all_rows_hides_all_of_the_base() {
    let fixture = parts();
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    ann.write("update parts set n = n + 1").unwrap();
    assert_eq!(ann.value("select count(*) || ' ' || sum(n) from parts"), "20000 200030000");
    assert_eq!(ben.value("select count(*) || ' ' || sum(n) from parts"), "20000 200010000");
    assert_eq!(count(&fixture, "main.demo_hidden_parts"), PLACES as i64);
}

#[test]
fn a_column_may_have_the_name_of_the_row_id() {
    let fixture = parts();
    let ann = fixture.session("ann");
    for table in ["one_name", "three_names"] {
        ann.write(&format!("update {table} set rowid = 'new' where code = 'a'")).unwrap();
        let rows = format!("select code || ' ' || rowid as value from {table} order by code");
        assert_eq!(ann.query(&rows), ["a new", "b x"]);
        ann.write(&format!("update {table} set code = 'c' where code = 'b'")).unwrap();
        assert_eq!(ann.query(&rows), ["a new", "c x"]);
    }
    // Each row by its own row id, under the name that is left; by the key where none is.
    assert_eq!(count(&fixture, "main.demo_hidden_one_name"), 2);
    assert_eq!(count(&fixture, "main.sqlite_schema where name = 'demo_hidden_three_names'"), 0);
}

#[test]
fn a_base_whose_row_ids_are_given_anew_hides_the_same_rows() {
    let fixture = parts();
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    ann.write("delete from parts where n <= 3; update parts set n = 0 where n = 5").unwrap();
    ben.write("delete from parts where n = 19999").unwrap();
    let (ann, ben) = (ann.id, ben.id);
    past_the_guards(
        &fixture,
        &["parts"],
        "update parts set rowid = -rowid; update parts set rowid = rowid + 20001",
    );
    let fixture = opened_again(fixture);
    let ends = |id| {
        let ends = "select code || ' ' || n as value from parts where code in ('code 1', 'code 2', 'code 3', 'code 4', \
            'code 5', 'code 19998', 'code 19999', 'code 20000') order by length(code), code";
        Session { fixture: &fixture, id }.query(ends)
    };
    assert_eq!(
        ends(ann),
        ["code 4 4", "code 5 0", "code 19998 19998", "code 19999 19999", "code 20000 20000"]
    );
    let of_ben =
        ["code 1 1", "code 2 2", "code 3 3", "code 4 4", "code 5 5", "code 19998 19998", "code 20000 20000"];
    assert_eq!(ends(ben), of_ben);
    assert!(fixture.database.verify().unwrap().base_is_intact());
}

#[test]
fn a_vacuum_of_the_base_beside_a_server_leaves_hidden_rows_hidden() {
    let fixture = parts();
    past_the_guards(&fixture, &["parts"], "update parts set rowid = rowid * 3 where n > 10000");
    let fixture = opened_again(fixture);
    let ann = fixture.session("ann");
    ann.write("delete from parts where n % 2 = 0").unwrap();
    fixture.outsider().batch_execute("vacuum").unwrap();
    assert_eq!(ann.value("select count(*) || ' ' || min(n % 2) from parts"), "10000 1");
}

#[test]
fn what_was_hidden_before_there_were_places_stays_hidden() {
    let fixture = parts();
    let ann = fixture.session("ann");
    ann.write("delete from parts where n > 10").unwrap();
    let ann = ann.id;
    let earlier = "update main.demo_base set row_ids_of = null; drop table main.demo_hidden_parts; \
        drop table main.demo_hidden_one_name;";
    let path = fixture.base_file().with_file_name("demo.sessions.db");
    let mut sessions = SqliteConnection::establish(&path.display().to_string()).unwrap();
    sessions.batch_execute(earlier).unwrap();
    drop(sessions);
    let fixture = opened_again(fixture);
    let ann = Session { fixture: &fixture, id: ann };
    assert_eq!(ann.value("select count(*) from parts"), "10");
    ann.write("delete from parts where n > 5").unwrap();
    assert_eq!(ann.value("select count(*) from parts"), "5");
}

#[test]
fn a_table_that_comes_under_sessions_later_has_its_places() {
    let attach = AttachOptions { tables: Some(vec!["parts".to_owned()]), ..AttachOptions::default() };
    let one_table = OpenOptions { attach, ..options() };
    let fixture = Fixture::with_options(Backend::Sqlite, "parts", PARTS, one_table);
    fixture.session("ann").write("delete from parts where n = 1").unwrap();
    let fixture = opened_again(fixture);
    let ann = fixture.session("ann");
    ann.write("delete from one_name where code = 'a'").unwrap();
    assert_eq!(ann.value("select count(*) from one_name"), "1");
    assert_eq!(ann.value("select count(*) from parts"), "19999");
}

#[test]
fn places_outlive_resets_and_undos_and_go_with_the_last_change_that_needs_them() {
    let fixture = parts();
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    ben.write("delete from parts where n = 7").unwrap();
    ann.write("delete from parts where n <= 5").unwrap();
    ann.reset();
    assert_eq!(ann.value("select count(*) from parts"), "20000");
    ann.write("delete from parts where n = 6").unwrap();
    ann.undo_with(None, OnConflict::RestoreArchived, now()).unwrap();
    assert_eq!(ann.value("select count(*) from parts"), "19994");
    ann.reset();
    ann.write("delete from parts where n between 5 and 8").unwrap();
    assert_eq!(count(&fixture, "main.demo_hidden_parts"), 8 + 1);
    fixture.database.cleanup(now() + Duration::days(2), &mut || ArchiveId(Uuid::new_v4())).unwrap();
    assert_eq!(count(&fixture, "main.demo_hidden_parts"), 4 + 1);
    assert_eq!(ann.value("select count(*) from parts"), "19996");
    assert_eq!(ben.value("select count(*) from parts"), "19999");
}
