//! SQLite: rows of the base that a session hides are known by row ids, and stay hidden whatever becomes of row ids.

use chrono::Duration;
use demo_reset_domain::{ArchiveId, OnConflict};
use demo_reset_persistence::{AnyConnection, AttachOptions, Database, Error, OpenOptions};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use uuid::Uuid;

use crate::fixture::{Backend, Fixture, Session, now, options};

const PARTS: &str = "
create table parts (maker text not null, code text not null, n integer not null, primary key (maker, code));
insert into parts with recursive n (n) as (select 1 union all select n + 1 from n where n < 20000)
  select 'maker', 'code ' || n, n from n;
create table three_names (code text primary key, rowid text, _rowid_ text, oid text);
insert into three_names values ('a', 'x', 'y', 'z'), ('b', 'x', 'y', 'z');
create table one_name (code text primary key, rowid text);
insert into one_name values ('a', 'x'), ('b', 'x');";

/// Turns the row ids of all parts around.
const OTHER_ROW_IDS: &str = "update parts set rowid = -rowid; update parts set rowid = rowid + 20001";

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
fn past_the_guards(mut base: impl SimpleConnection, tables: &[&str], sql: &str) {
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
    base.batch_execute(&format!("begin; {off} {sql}; {on} commit;")).unwrap();
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

/// The changes of all sessions to `parts`, and of them those that do not note the base row which they hide, or another, or
/// one where there is none.
fn noted(fixture: &Fixture) -> [i64; 3] {
    let changes = "main.demo_changes_parts as c";
    let base_row = "(select b.rowid from base.parts as b where b.maker = c.maker and b.code = c.code)";
    [
        count(fixture, changes),
        count(fixture, &format!("{changes} where c.demo_base_row_id is not null")),
        count(fixture, &format!("{changes} where c.demo_base_row_id is not {base_row}")),
    ]
}

#[test]
fn every_change_to_a_row_of_the_base_notes_its_row_id_and_no_other_does() {
    let fixture = parts();
    let ann = fixture.session("ann");
    let steps: [(&str, [i64; 3]); 9] = [
        ("update parts set n = -1 where n <= 2", [2, 2, 0]),
        ("update parts set n = -2 where n = -1", [2, 2, 0]),
        ("insert into parts values ('maker', 'mine', 0)", [3, 2, 0]),
        ("update parts set n = 1 where code = 'mine'", [3, 2, 0]),
        ("delete from parts where n < 5", [4, 4, 0]),
        ("insert into parts values ('maker', 'code 1', 7), ('maker', 'mine', 8)", [5, 4, 0]),
        ("update parts set code = 'code 3' where code = 'mine'", [4, 4, 0]),
        ("update parts set code = 'code 0' where code = 'code 9'", [6, 5, 0]),
        ("update parts set code = 'code 9' where code = 'code 0'", [5, 5, 0]),
    ];
    for (sql, expected) in steps {
        ann.write(sql).unwrap();
        assert_eq!(noted(&fixture), expected, "{sql}");
    }
    assert_eq!(ann.value("select count(*) from parts"), "19998");
    assert_eq!(ann.value("select count(*) from parts where code in ('code 1', 'code 3', 'code 9')"), "3");
    let ben = fixture.session("ben");
    ben.write("delete from parts where n = 1").unwrap();
    assert_eq!(ben.value("select count(*) from parts"), "19999");
    assert_eq!(noted(&fixture), [6, 6, 0]);
}

#[test]
fn an_edit_of_all_rows_hides_all_of_the_base() {
    let fixture = parts();
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    ann.write("update parts set n = n + 1").unwrap();
    assert_eq!(ann.value("select count(*) || ' ' || sum(n) from parts"), "20000 200030000");
    assert_eq!(ben.value("select count(*) || ' ' || sum(n) from parts"), "20000 200010000");
    assert_eq!(noted(&fixture), [20_000, 20_000, 0]);
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
    assert_eq!(count(&fixture, "main.demo_changes_one_name where demo_base_row_id is not null"), 2);
    let noting = "pragma_table_info('demo_changes_three_names', 'main') where name = 'demo_base_row_id'";
    assert_eq!(count(&fixture, noting), 0);
}

#[test]
fn a_base_whose_row_ids_are_given_anew_hides_the_same_rows() {
    let fixture = parts();
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    ann.write("delete from parts where n <= 3; update parts set n = 0 where n = 5").unwrap();
    ben.write("delete from parts where n = 19999").unwrap();
    let (ann, ben) = (ann.id, ben.id);
    past_the_guards(fixture.outsider(), &["parts"], OTHER_ROW_IDS);
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
    assert_eq!(noted(&fixture), [5, 5, 0]);
    assert!(fixture.database.verify().unwrap().base_is_intact());
}

/// As one that is restored from a dump: it has the same seal.
#[test]
fn a_base_that_is_put_back_with_other_row_ids_is_seen_by_a_server_that_has_it_open() {
    let fixture = parts();
    let ann = fixture.session("ann");
    ann.write("delete from parts where n <= 3").unwrap();
    let (base, copy) = (fixture.base_file(), fixture.base_file().with_file_name("copy.db"));
    std::fs::copy(&base, &copy).unwrap();
    let put_back = SqliteConnection::establish(&copy.display().to_string()).unwrap();
    past_the_guards(put_back, &["parts"], OTHER_ROW_IDS);
    std::fs::rename(&copy, &base).unwrap();
    let other_server = Database::open(&fixture.url, options(), now()).unwrap();
    ann.write("delete from parts where n = 20000").unwrap();
    assert_eq!(ann.value("select count(*) || ' ' || min(n) || ' ' || max(n) from parts"), "19996 4 19999");
    assert_eq!(noted(&fixture), [4, 4, 0]);
    drop(other_server);
    let ann = ann.id;
    let fixture = opened_again(fixture);
    let ann = Session { fixture: &fixture, id: ann };
    assert_eq!(ann.value("select count(*) || ' ' || min(n) || ' ' || max(n) from parts"), "19996 4 19999");
    ann.reset();
    ann.undo_with(None, OnConflict::Fail, now()).unwrap();
    assert_eq!(ann.value("select count(*) from parts"), "19996");
}

#[test]
fn a_file_without_a_seal_in_the_place_of_a_loaded_base_is_not_opened() {
    let fixture = parts();
    let (base, copy) = (fixture.base_file(), fixture.base_file().with_file_name("copy.db"));
    std::fs::copy(&base, &copy).unwrap();
    let mut without = SqliteConnection::establish(&copy.display().to_string()).unwrap();
    without.batch_execute("drop table demo_seal").unwrap();
    drop(without);
    std::fs::rename(&copy, &base).unwrap();
    let sessions = base.with_file_name("demo.sessions.db");
    let mut conn = SqliteConnection::establish(&sessions.display().to_string()).unwrap();
    let refused = fixture.database.prepare(&mut conn).unwrap_err();
    assert!(
        matches!(&refused, Error::NotSealed { reason } if reason.contains("it has no seal")),
        "{refused}"
    );
}

#[test]
fn a_vacuum_of_the_base_beside_a_server_leaves_hidden_rows_hidden() {
    let fixture = parts();
    past_the_guards(fixture.outsider(), &["parts"], "update parts set rowid = rowid * 3 where n > 10000");
    let fixture = opened_again(fixture);
    let ann = fixture.session("ann");
    ann.write("delete from parts where n % 2 = 0").unwrap();
    fixture.outsider().batch_execute("vacuum").unwrap();
    assert_eq!(ann.value("select count(*) || ' ' || min(n % 2) from parts"), "10000 1");
}

/// As an earlier version has left it, which noted what is hidden in a table beside the changes.
#[test]
fn what_an_earlier_version_has_hidden_stays_hidden() {
    let fixture = parts();
    let ann = fixture.session("ann");
    ann.write("delete from parts where n > 10; insert into parts values ('maker', 'mine', 0)").unwrap();
    ann.reset();
    ann.write("delete from parts where n > 20; insert into parts values ('maker', 'ours', 0)").unwrap();
    let ann = ann.id;
    let earlier = "
        drop view demo_archived_changes;
        drop index demo_changes_parts_demo_base_row_id;
        alter table demo_changes_parts drop column demo_base_row_id;
        update demo_attached_tables set definition = 'earlier' where name = 'parts';
        create table demo_hidden_parts (place integer primary key);";
    let path = fixture.base_file().with_file_name("demo.sessions.db");
    let mut sessions = SqliteConnection::establish(&path.display().to_string()).unwrap();
    sessions.batch_execute(earlier).unwrap();
    drop(sessions);
    let fixture = opened_again(fixture);
    assert_eq!(noted(&fixture), [39_972, 39_970, 0]);
    assert_eq!(count(&fixture, "main.sqlite_schema where name like 'demo_hidden_%'"), 0);
    let ann = Session { fixture: &fixture, id: ann };
    assert_eq!(ann.value("select count(*) || ' ' || max(code = 'ours') from parts"), "21 1");
    ann.write("delete from parts where n > 5").unwrap();
    assert_eq!(ann.value("select count(*) from parts"), "6");
    ann.undo_with(None, OnConflict::RestoreArchived, now()).unwrap();
    assert_eq!(ann.value("select count(*) || ' ' || max(code = 'mine') from parts"), "7 1");
    assert!(fixture.database.verify().unwrap().base_is_intact());
}

#[test]
fn a_table_that_comes_under_sessions_later_notes_row_ids_too() {
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
fn what_is_hidden_goes_with_its_changes_through_resets_undos_and_cleanup() {
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
    assert_eq!(ann.value("select count(*) from parts"), "19996");
    assert_eq!(noted(&fixture), [6 + 4 + 1, 6 + 4 + 1, 0]);
    fixture.database.cleanup(now() + Duration::days(2), &mut || ArchiveId(Uuid::new_v4())).unwrap();
    assert_eq!(noted(&fixture), [4 + 1, 4 + 1, 0]);
    assert_eq!(ann.value("select count(*) from parts"), "19996");
    assert_eq!(ben.value("select count(*) from parts"), "19999");
}
