//! What the differential test has found, each in small: the same statements on plain tables and in a session, and
//! whether they end the same.

use demo_reset_domain::{ArchiveId, OnConflict, SessionId, UserKey};
use demo_reset_persistence::{
    AnyConnection, AttachOptions, ConstraintKind, Database, DatabaseUrl, Error, OpenOptions, attach,
    attach_check, suspend,
};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use uuid::Uuid;

use crate::fixture::{Backend, HostDatabase, Login, now, on_each_database};

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    value: String,
}

/// A host's database that is attached, with one session.
struct Attached {
    database: Database,
    session: SessionId,
    host: HostDatabase,
}

fn texts(conn: &mut AnyConnection, sql: &str) -> Vec<String> {
    diesel::sql_query(sql).load::<TextRow>(conn).unwrap().into_iter().map(|row| row.value).collect()
}

impl Attached {
    fn new(backend: Backend, sql: &str) -> Self {
        let host = HostDatabase::new(backend, sql);
        attach(&host.url, &AttachOptions::default(), now()).unwrap();
        let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
        let key = UserKey::new("acme", "ann").unwrap();
        let session = database.session(&key, SessionId(Uuid::new_v4()), now()).unwrap().id;
        Self { database, session, host }
    }

    fn write(&self, sql: &str) -> Result<(), Error> {
        self.database.write(self.session, now(), |conn| conn.batch_execute(sql).map_err(Error::from))
    }

    fn query(&self, sql: &str) -> Vec<String> {
        self.database.read(self.session, |conn| Ok::<_, Error>(texts(conn, sql))).unwrap()
    }
}

/// Runs statements, each a transaction of its own, on plain tables and in a session. `rows` reads what is there then.
fn same(backend: Backend, tables: &str, rows: &str, statements: &[&str]) {
    let attached = Attached::new(backend, tables);
    let mut plain = attached.host.plain_copy("select 1");
    for sql in statements {
        let expected = plain.conn().batch_execute(&format!("begin; {sql}; commit;"));
        if expected.is_err() {
            let _ = plain.conn().batch_execute("rollback");
        }
        let found = attached.write(sql);
        match (expected.map_err(Error::from), found) {
            (Ok(()), Ok(())) => {}
            (Err(Error::Constraint { kind, .. }), Err(Error::Constraint { kind: found, .. })) => {
                assert_eq!(found, kind, "{sql}");
            }
            (Err(Error::Database(expected)), Err(Error::Database(found))) => {
                let text = found.to_string().replace("demo-reset: ", "");
                assert_eq!(text, expected.to_string(), "{sql}");
            }
            // SQLite refuses RESTRICT by a trigger of its own.
            (Err(Error::Database(expected)), Err(Error::Constraint { message, .. })) => {
                assert_eq!(message, expected.to_string(), "{sql}");
            }
            (expected, found) => panic!("{sql}: {found:?} instead of {expected:?}"),
        }
        assert_eq!(attached.query(rows), texts(plain.conn(), rows), "{sql}");
    }
    assert!(attached.database.verify().unwrap().base_is_intact());
}

on_each_database! { fn a_deferred_key_is_checked_at_commit(backend) {
    same(backend, "
        create table parents (id integer primary key);
        create table children (id integer primary key, parent_id integer,
            foreign key (parent_id) references parents (id) deferrable initially deferred);
        insert into parents values (1); insert into children values (1, 1);",
        "select 'p' || id as value from parents union all select 'c' || id || ' ' || parent_id from children order by 1",
        &[
            "insert into children values (2, 2); insert into parents values (2)",
            "insert into children values (3, 3)",
            "delete from parents where id = 1; insert into parents values (1)",
            "delete from parents where id = 1",
            // The row that is to be checked has another key by then.
            "update children set parent_id = 9 where id = 1; update children set id = 7 where id = 1",
            "update children set parent_id = 9 where id = 1; delete from children where id = 1",
        ]);
}}

on_each_database! { fn a_deferred_key_acts_at_once_where_it_acts(backend) {
    same(backend, "
        create table parents (id integer primary key);
        create table children (id integer primary key, parent integer
            references parents (id) on update cascade deferrable initially deferred);
        insert into parents values (1), (2); insert into children values (1, 1), (2, 2);",
        "select id || ' ' || parent as value from children order by id",
        &["update parents set id = 10 where id = 1", "delete from parents where id = 10", "delete from children where id = 1; delete from parents where id = 10"]);
}}

on_each_database! { fn what_an_action_did_at_once_is_not_done_again_at_commit(backend) {
    for action in ["cascade", "set null", "set default", "restrict"] {
        // The deferred key beside it has something to be checked at COMMIT.
        let tables = format!("
            create table parents (id integer primary key);
            create table children (id integer primary key, parent_id integer default 2 references parents (id) on delete {action});
            create table notes (id integer primary key, parent_id integer references parents (id) deferrable initially deferred);
            insert into parents values (1), (2); insert into notes values (1, 1);");
        same(backend, &tables,
            "select 'p' || id as value from parents union all select 'c' || id || ' ' || coalesce(parent_id, 0) from children \
             union all select 'n' || id || ' ' || parent_id from notes order by 1",
            &[
                "delete from parents where id = 1; insert into parents values (1); insert into children values (1, 1)",
                "update children set parent_id = 2; delete from parents where id = 1; insert into parents values (1); \
                    update children set parent_id = 1",
            ]);
    }
}}

on_each_database! { fn a_default_that_is_gone_itself_refuses_set_default(backend) {
    same(backend, "
        create table parents (id integer primary key, code text unique);
        create table children (id integer primary key, code text default 'a' references parents (code)
            on delete set default on update set default);
        insert into parents values (1, 'a'), (2, 'b'); insert into children values (1, 'a'), (2, 'b');",
        "select p.code || id as value from parents p union all select id || code from children order by 1",
        &["update parents set code = 'c' where id = 1", "delete from parents", "delete from parents where id = 2"]);
}}

on_each_database! { fn a_row_that_an_action_has_changed_can_be_deleted_by_the_same_statement(backend) {
    same(backend, "
        create table people (id integer primary key, boss integer default 9 references people (id) on delete set default);
        insert into people values (1, null), (2, 1), (3, 1);",
        "select id || ' ' || coalesce(boss, 0) as value from people order by id",
        &["delete from people where id < 3", "delete from people"]);
}}

on_each_database! { fn what_comes_back_to_a_table_through_another_can_be_deleted_by_the_same_statement(backend) {
    // The tables refer to each other: PostgreSQL wants the second there first.
    let team = "foreign key (team) references teams (id) on delete set default";
    let (inside, afterwards) = match backend {
        Backend::Sqlite => (format!(", {team}"), String::new()),
        Backend::Postgres => (String::new(), format!("alter table people add {team};")),
    };
    let tables = format!("
        create table people (id integer primary key, mentor integer references people (id), team integer default 9{inside});
        create table teams (id integer primary key, owner integer references people (id) on delete cascade);
        {afterwards}
        insert into people values (1, null, null), (2, null, null), (3, 3, null), (4, null, null);
        insert into teams values (1, 1), (2, 2);
        update people set team = 1 where id = 2; update people set team = 2 where id = 3;");
    same(backend, &tables,
        "select 'p' || id || ' ' || coalesce(mentor, 0) || ' ' || coalesce(team, 0) as value from people \
            union all select 't' || id || ' ' || coalesce(owner, 0) from teams order by 1",
        &["delete from people where id < 3", "delete from people where id = 1", "delete from people"]);
}}

on_each_database! { fn a_row_whose_key_changes_keeps_what_an_action_of_the_statement_has_set(backend) {
    same(backend, "
        create table people (id integer primary key, boss integer references people (id)
            on delete cascade on update set null);
        insert into people values (1, null), (2, 1), (3, 2);",
        "select id || ' ' || coalesce(boss, 0) as value from people order by id",
        &["update people set id = id + 10", "update people set boss = 11 where id = 13", "update people set id = id + 10"]);
}}

on_each_database! { fn rows_that_refer_to_each_other_may_all_get_other_keys_at_once(backend) {
    for (action, statements) in [
        ("cascade", ["update people set id = id + 10", "update people set id = id + 10, boss = null where id = 11"]),
        ("set null", ["update people set id = id + 10 where id < 3", "update people set id = id + 10"]),
        ("no action", ["update people set id = id + 10", "update people set id = 4 where id = 2"]),
    ] {
        // The child comes first.
        let tables = format!("create table people (id integer primary key, boss integer references people (id) on update {action}); \
            insert into people values (3, null); insert into people values (1, 3), (2, 1);");
        let rows = "select id || ' ' || coalesce(boss, 0) as value from people order by id";
        same(backend, &tables, rows, &statements);
        // What is checked at COMMIT has another key by then.
        let deferred = tables.replace(&format!("{action})"), &format!("{action} deferrable initially deferred)"));
        same(backend, &deferred, rows, &[
            "insert into people values (5, 9); update people set id = 6 where id = 5; insert into people values (9, null)",
            "insert into people values (7, 8); update people set id = 10 where id = 7",
        ]);
    }
}}

on_each_database! { fn a_value_for_a_generated_column_is_refused(backend) {
    same(backend, "
        create table things (id integer primary key, name text, loud text generated always as (upper(name)) stored);
        insert into things (id, name) values (1, 'a');",
        "select id || coalesce(name, '-') || coalesce(loud, '-') as value from things order by id",
        &["insert into things (id, name) values (2, 'b')", "update things set name = 'c'"]);
    let attached = Attached::new(backend, "
        create table things (id integer primary key, name text, loud text generated always as (upper(name)) stored);
        insert into things (id, name) values (1, 'a');");
    for sql in ["insert into things (id, name, loud) values (2, 'b', 'x')", "update things set loud = 'x'",
        "update things set id = 5, loud = 'x'"] {
        let Err(Error::Database(refused)) = attached.write(sql) else { panic!("{sql}") };
        assert!(refused.to_string().contains("\"loud\""), "{refused}");
    }
}}

on_each_database! { fn a_generated_column_is_kept_unique_and_followed_like_any_other(backend) {
    same(backend, "
        create table parents (id integer primary key, half integer, double integer generated always as (half * 2) stored unique);
        create table followers (id integer primary key, double integer references parents (double) on update cascade);
        create table doublers (id integer primary key, half integer,
            double integer generated always as (half * 2) stored references parents (double));
        insert into parents (id, half) values (1, 1), (2, 2), (3, 3);
        insert into followers values (1, 2), (2, 4);
        insert into doublers (id, half) values (1, 3);",
        "select 'p' || id || ' ' || double as value from parents union all select 'f' || id || ' ' || double from followers \
         union all select 'd' || id || ' ' || double from doublers order by 1",
        &[
            "update parents set half = 2 where id = 1",
            "update parents set half = 7 where id = 2",
            "update parents set half = 8 where id = 3",
            "update doublers set half = 50",
            "update doublers set half = 1",
            "update parents set half = 8 where id = 3",
            "update parents set half = 9, id = 4 where id = 2",
        ]);
}}

on_each_database! { fn a_row_that_comes_under_the_condition_of_a_unique_index_is_checked_by_it(backend) {
    same(backend, "
        create table desks (id integer primary key, number integer, taken integer);
        create unique index desks_taken on desks (number) where taken = 1;
        insert into desks values (1, 7, 1), (2, 7, 0), (3, 7, 0);",
        "select id || ' ' || number || ' ' || taken as value from desks order by id",
        &[
            "update desks set taken = 1 where id = 2",
            "update desks set taken = 0 where id = 1",
            "update desks set taken = 1 where id = 3",
            "update desks set taken = 1 where id = 2",
        ]);
}}

#[test]
fn on_sqlite_a_reference_is_followed_in_the_collation_of_what_it_refers_to() {
    let tables = "
        create table codes (code text primary key not null collate nocase);
        create table things (id integer primary key, code text collate rtrim references codes (code) on delete cascade on update cascade);
        insert into codes values ('ABC'), ('DEF'); insert into things values (1, 'abc'), (2, 'def');";
    let rows = "select id || ' ' || code as value from things order by id";
    same(
        Backend::Sqlite,
        tables,
        rows,
        &["update codes set code = 'xyz' where code = 'def'", "delete from codes"],
    );
}

#[test]
fn on_sqlite_a_key_can_change_the_case_of_its_letters_again_and_again() {
    same(Backend::Sqlite, "
        create table words (word text primary key not null collate nocase, name text);
        create table uses (id integer primary key, word text collate nocase references words (word) on update cascade);
        insert into words values ('a', 'x'); insert into uses values (1, 'a');",
        "select word || name as value from words union all select 'u' || word from uses order by 1",
        &["update words set word = 'A'", "update words set word = 'a', name = 'y'", "update words set word = 'A'"]);
}

on_each_database! { fn archives_of_records_with_binary_and_fractional_keys_can_be_read(backend) {
    let (bytes, number) = match backend {
        Backend::Sqlite => ("blob", "real"),
        Backend::Postgres => ("bytea", "double precision"),
    };
    let attached = Attached::new(backend, &format!("
        create table binary_keys (id {bytes} primary key not null, name text);
        create table real_keys (id {number} primary key not null, name text);"));
    let literal = if backend == Backend::Sqlite { "x'ff00'" } else { "'\\xff00'" };
    attached.write(&format!("insert into binary_keys values ({literal}, 'a'); \
        insert into real_keys values (0.3, 'b'), (0.30000000000000004, 'c')")).unwrap();
    let changes = attached.database.changes(attached.session, &[], None, 10).unwrap();
    let archive = ArchiveId(Uuid::new_v4());
    attached.database.reset(attached.session, archive, now()).unwrap();
    let archived = attached.database.archived_changes(attached.session, archive).unwrap();
    assert_eq!((changes.len(), archived.len()), (3, 3));
    let mut keys: Vec<&str> = archived.iter().map(|change| change.key[0].as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 3, "{keys:?}");
}}

fn postgres() -> bool {
    Backend::Postgres.is_there()
}

#[test]
fn a_key_that_only_looks_different_is_followed() {
    if postgres() {
        same(Backend::Postgres, "
            create table parents (id numeric primary key);
            create table children (id integer primary key, parent_id numeric references parents on update cascade);
            insert into parents values (1.0); insert into children values (1, 1.0);",
            "select parent_id::text as value from children", &["update parents set id = 1.00"]);
    }
}

#[test]
fn match_full_takes_all_or_none() {
    if postgres() {
        same(
            Backend::Postgres,
            "
            create table parents (a integer, b integer, primary key (a, b));
            create table children (id integer primary key, a integer, b integer,
                foreign key (a, b) references parents match full on delete set null);
            insert into parents values (1, 1);",
            "select id || ' ' || coalesce(a, 0) || coalesce(b, 0) as value from children order by id",
            &[
                "insert into children values (1, null, 1)",
                "insert into children values (1, null, null)",
                "insert into children values (2, 1, 1)",
                "update children set a = null where id = 2",
                "update children set a = 1 where id = 1",
                "delete from parents",
            ],
        );
    }
}

#[test]
fn set_null_of_some_columns_sets_those() {
    if postgres() {
        same(
            Backend::Postgres,
            "
            create table parents (a integer, b integer, primary key (a, b));
            create table children (id integer primary key, a integer not null, b integer,
                foreign key (a, b) references parents on delete set null (b));
            insert into parents values (1, 1); insert into children values (1, 1, 1);",
            "select a || ' ' || coalesce(b, 0) as value from children",
            &["delete from parents"],
        );
    }
}

#[test]
fn a_row_that_no_partition_takes_is_refused() {
    if postgres() {
        same(
            Backend::Postgres,
            "
            create table things (id integer primary key, name text not null) partition by range (id);
            create table few partition of things for values from (0) to (10);
            create table words (word text primary key) partition by hash (word);
            create table words_all partition of words for values with (modulus 1, remainder 0);
            create table rest (id integer primary key) partition by list (id);
            create table one partition of rest for values in (1);
            create table other partition of rest default;
            insert into things values (1, 'one');",
            "select id || name as value from things order by id",
            &[
                "insert into things values (10, 'ten')",
                "insert into things values (9, 'nine')",
                "update things set id = 11 where id = 1",
                "insert into things values (12, null)",
                "insert into words values ('any')",
                "insert into rest values (1), (77)",
            ],
        );
    }
}

#[test]
fn a_value_for_generated_always_as_identity_is_refused() {
    if !postgres() {
        return;
    }
    let attached = Attached::new(
        Backend::Postgres,
        "create table things (id integer generated always as identity primary key, name text); \
         insert into things (name) values ('a')",
    );
    attached
        .write("insert into things (name) values ('b'); insert into things values (default, 'c')")
        .unwrap();
    assert_eq!(attached.query("select id || name as value from things order by id"), ["1a", "2b", "3c"]);
    for sql in [
        "insert into things values (9, 'x')",
        "insert into things overriding system value values (9, 'x')",
        "update things set id = 9 where id = 1",
    ] {
        let Err(Error::Database(refused)) = attached.write(sql) else { panic!("{sql}") };
        assert!(refused.to_string().contains("column \"id\""), "{refused}");
    }
}

#[test]
fn a_default_takes_the_numbers_of_any_sequence_from_its_shadow() {
    if !postgres() {
        return;
    }
    let attached = Attached::new(
        Backend::Postgres,
        "create sequence codes start 7; create schema other; create sequence other.\"Odd 'numbers\";
         create table things (id integer primary key, code text default 'A-' || nextval('codes') || nextval('other.\"Odd ''numbers\"'));
         insert into things values (1)",
    );
    attached.write("insert into things values (2); insert into things values (3, default)").unwrap();
    assert_eq!(
        attached.query("select id || code as value from things order by id"),
        ["1A-71", "2A-82", "3A-93"]
    );
    let given_out = "select codes.last_value || ' ' || odd.last_value as value from public.codes, other.\"Odd 'numbers\" as odd";
    assert_eq!(texts(&mut attached.host.outsider(), given_out), ["7 1"]);
}

#[test]
fn a_write_gives_back_what_the_tracking_columns_say_of_the_row() {
    if !postgres() {
        return;
    }
    let host = HostDatabase::new(
        Backend::Postgres,
        "create table things (id integer primary key, name text); insert into things values (1, 'one')",
    );
    let options = AttachOptions { tables: None, tracking_columns: true };
    attach(&host.url, &options, now()).unwrap();
    let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
    let key = UserKey::new("acme", "ann").unwrap();
    let session = database.session(&key, SessionId(Uuid::new_v4()), now()).unwrap().id;
    let tracking = "is_base_data || ' ' || change_kind || ' ' || (demo_user_session_id is not null) as value";
    for (sql, expected) in [
        ("insert into things values (2, 'two')", "false created true"),
        ("update things set name = 'uno' where id = 1", "false edited true"),
        ("update things set name = 'dos' where id = 2", "false created true"),
    ] {
        let returned = database.write(session, now(), |conn| {
            Ok::<_, Error>(texts(conn, &format!("{sql} returning {tracking}")))
        });
        assert_eq!(returned.unwrap(), [expected], "{sql}");
    }
}

#[test]
fn a_row_that_a_trigger_of_the_host_skips_leaves_no_change_behind() {
    if !postgres() {
        return;
    }
    let attached = Attached::new(
        Backend::Postgres,
        "create table things (id integer primary key, name text);
         create function keep() returns trigger language plpgsql as $$ begin return null; end $$;
         create trigger keep before update or delete on things for each row when (old.name = 'kept') execute function keep();
         insert into things values (1, 'kept'), (2, 'free')",
    );
    for sql in
        ["update things set name = 'other'", "delete from things", "insert into things values (3, 'kept')"]
    {
        attached.write(sql).unwrap();
        let changes = attached.database.change_counts(attached.session).unwrap().total();
        let expected = if sql.starts_with("insert") { 2 } else { 1 };
        assert_eq!(changes, expected, "{sql}");
    }
    attached.write("update things set id = id + 10").unwrap();
    attached.write("delete from things where id = 3").unwrap();
    assert_eq!(attached.query("select id || name as value from things order by id"), ["1kept", "3kept"]);
    assert_eq!(attached.database.change_counts(attached.session).unwrap().total(), 2);
}

#[test]
fn a_row_made_again_in_a_table_with_triggers_needs_its_parent() {
    if !postgres() {
        return;
    }
    let attached = Attached::new(
        Backend::Postgres,
        "create table parents (id integer primary key);
         create table children (id integer primary key, parent_id integer references parents);
         create function nothing() returns trigger language plpgsql as $$ begin return new; end $$;
         create trigger nothing before insert or update on children for each row execute function nothing();
         insert into parents values (1); insert into children values (1, 1);",
    );
    attached.write("delete from children").unwrap();
    let refused = attached.write("insert into children values (1, 2)");
    assert!(
        matches!(refused, Err(Error::Constraint { kind: ConstraintKind::ForeignKey, .. })),
        "{refused:?}"
    );
    attached.write("insert into children values (1, 1)").unwrap();
    assert_eq!(attached.database.change_counts(attached.session).unwrap().total(), 1);
}

#[test]
fn an_undo_finds_nulls_that_are_not_distinct() {
    if !postgres() {
        return;
    }
    let attached = Attached::new(
        Backend::Postgres,
        "create table things (id integer primary key, name text, unique nulls not distinct (name))",
    );
    attached.write("insert into things values (1, null)").unwrap();
    let Attached { database, session, .. } = &attached;
    database.reset(*session, ArchiveId(Uuid::new_v4()), now()).unwrap();
    attached.write("insert into things values (2, null)").unwrap();
    let undone = database.undo(*session, None, OnConflict::Fail, ArchiveId(Uuid::new_v4()), now());
    let Err(Error::UndoConflict(conflicts)) = undone else { panic!("{undone:?}") };
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
}

/// What a migration does between a suspend and an attach, with what a session sees of `things` afterwards.
fn migrated(attached: Attached, sql: &str) -> Result<(Vec<String>, Attached), Error> {
    let Attached { database, session, host } = attached;
    suspend(&host.url)?;
    host.outsider().batch_execute(sql).unwrap();
    let report = attach(&host.url, &AttachOptions::default(), now())?;
    let differences = report.adapted.into_iter().flat_map(|adapted| adapted.differences).collect();
    drop(database);
    let database = Database::open_attached(&host.url, OpenOptions::default(), now())?;
    Ok((differences, Attached { database, session, host }))
}

const THINGS: &str = "create table things (id integer primary key, name text, note text, size text); \
    insert into things values (1, 'one', 'n1', '10'), (2, 'two', 'n2', '20')";

on_each_database! { fn a_renamed_column_keeps_what_sessions_wrote_in_it(backend) {
    let attached = Attached::new(backend, THINGS);
    attached.write("update things set name = 'mine' where id = 1; insert into things values (3, 'new', 'n3', '30')").unwrap();
    let (differences, attached) = migrated(attached, "alter table things rename column name to title").unwrap();
    assert_eq!(differences, ["column name was renamed to title"]);
    let rows = "select id || title || note as value from things order by id";
    assert_eq!(attached.query(rows), ["1minen1", "2twon2", "3newn3"]);
    // A key that is renamed is the same key.
    let (differences, attached) = migrated(attached, "alter table things rename column id to number").unwrap();
    assert_eq!(differences, ["column id was renamed to number"]);
    assert_eq!(attached.query("select number || title as value from things order by number"), ["1mine", "2two", "3new"]);
    attached.database.reset(attached.session, ArchiveId(Uuid::new_v4()), now()).unwrap();
    assert_eq!(attached.query("select number || title as value from things order by number"), ["1one", "2two"]);
}}

on_each_database! { fn a_last_column_that_makes_way_for_another_is_not_guessed_at(backend) {
    let attached = Attached::new(backend, THINGS);
    attached.write("update things set size = '11' where id = 1").unwrap();
    let migration = "alter table things drop column size; alter table things add column weight text";
    match (backend, migrated(attached, migration)) {
        (Backend::Postgres, Ok((differences, attached))) => {
            assert_eq!(differences, ["column weight was added", "column size was dropped"]);
            assert_eq!(attached.query("select coalesce(weight, '-') as value from things"), ["-", "-"]);
        }
        (Backend::Sqlite, Err(Error::Attach { reasons })) => {
            assert!(reasons[0].contains("it may have been renamed, or be a new one"), "{reasons:?}");
        }
        (_, Ok(_)) => panic!("guessed"),
        (_, Err(error)) => panic!("{error}"),
    }
}}

on_each_database! { fn a_retyped_column_is_converted_or_refused_with_the_difference(backend) {
    let retype = match backend {
        Backend::Postgres => "alter table things alter column size type integer using size::integer",
        Backend::Sqlite => "create table other (id integer primary key, name text, note text, size integer) strict; \
            insert into other select * from things; drop table things; alter table other rename to things",
    };
    let attached = Attached::new(backend, THINGS);
    attached.write("update things set size = '11' where id = 1").unwrap();
    let (differences, attached) = migrated(attached, retype).unwrap();
    assert_eq!(differences, ["column size was text, is now integer"].map(|line| match backend {
        Backend::Postgres => line.to_owned(),
        Backend::Sqlite => line.replace("integer", "INTEGER").replace("text", "TEXT"),
    }));
    assert_eq!(attached.query("select cast(size + 1 as text) as value from things order by id"), ["12", "21"]);
    let attached = Attached::new(backend, THINGS);
    attached.write("update things set size = 'large' where id = 1").unwrap();
    let Err(Error::Attach { reasons }) = migrated(attached, retype) else { panic!() };
    assert!(reasons[0].contains("1 change(s) of sessions cannot be taken over"), "{reasons:?}");
    assert!(reasons[0].to_lowercase().contains("column size was text, is now integer"), "{reasons:?}");
}}

on_each_database! { fn names_that_are_the_engines_are_refused_before_anything_is_changed(backend) {
    let host = HostDatabase::new(backend, "
        create table demo_things (id integer primary key);
        create table others (id integer primary key, demo_layer integer);
        create table tracked (id integer primary key, is_base_data integer);");
    let before = host.schema_dump();
    let Err(Error::Attach { mut reasons }) = attach(&host.url, &AttachOptions::default(), now()) else { panic!() };
    reasons.sort();
    assert_eq!(reasons, [
        "table demo_things: names that begin with demo_ are the engine's",
        "table others: its column demo_layer has a name that the engine needs",
        "table tracked: its column is_base_data has a name that the engine needs",
    ]);
    assert_eq!(host.schema_dump(), before);
}}

on_each_database! { fn what_is_another_organizations_is_out_of_reach(backend) {
    let attached = Attached::new(backend, THINGS);
    attached.write("delete from things").unwrap();
    let archive = ArchiveId(Uuid::new_v4());
    let Attached { database, session, .. } = &attached;
    database.reset(*session, archive, now()).unwrap();
    let key = UserKey::new("other", "ann").unwrap();
    let other = database.session(&key, SessionId(Uuid::new_v4()), now()).unwrap().id;
    assert_ne!(other, *session);
    let undone = database.undo(other, Some(archive), OnConflict::Fail, ArchiveId(Uuid::new_v4()), now());
    assert!(matches!(undone, Err(Error::Undo(_))), "{undone:?}");
    assert_eq!(database.archived_changes(other, archive).unwrap(), []);
    assert_eq!(database.archives(other).unwrap(), []);
}}

#[test]
fn a_schema_of_the_hosts_in_the_place_of_ours_is_refused() {
    if postgres() {
        let host = HostDatabase::new(Backend::Postgres, &format!("create schema demo; {THINGS}"));
        let before = host.schema_dump();
        let Err(Error::Attach { reasons }) = attach(&host.url, &AttachOptions::default(), now()) else {
            panic!()
        };
        assert_eq!(reasons, ["schema demo: it exists and is not the engine's: rename it"]);
        assert_eq!(host.schema_dump(), before);
    }
}

#[test]
fn a_login_without_rights_is_told_what_it_lacks() {
    if postgres() {
        let host = HostDatabase::new(Backend::Postgres, THINGS);
        let before = host.schema_dump();
        let login = Login::new("");
        let Err(Error::Attach { reasons }) =
            attach(&login.url_of(&host.url), &AttachOptions::default(), now())
        else {
            panic!()
        };
        assert!(reasons.iter().any(|reason| reason.contains("may not create schemas")), "{reasons:?}");
        assert!(reasons.iter().any(|reason| reason.contains("may not create roles")), "{reasons:?}");
        assert!(
            reasons.iter().any(|reason| reason.contains("table things: it belongs to another role")),
            "{reasons:?}"
        );
        assert_eq!(host.schema_dump(), before);
    }
}

on_each_database! { fn a_connection_that_no_session_is_bound_on_reads_the_base_and_writes_nothing(backend) {
    let attached = Attached::new(backend, THINGS);
    attached.write("update things set name = 'mine'").unwrap();
    let seen = attached.database.read_base(|conn| {
        let refused = conn.batch_execute(match backend {
            Backend::Sqlite => "update things set name = 'nobodys'",
            // Reading the base is a transaction that only reads: the refusal of the view is another.
            Backend::Postgres => "update things set name = 'nobodys' where false",
        });
        assert!(matches!(refused.map_err(Error::from), Err(Error::NotBoundForWriting)));
        Ok::<_, Error>(())
    });
    seen.unwrap();
    if backend == Backend::Postgres {
        let mut conn = attached.host.outsider();
        conn.batch_execute("set search_path = demo, public").unwrap();
        assert_eq!(texts(&mut conn, "select name as value from things order by id"), ["one", "two"]);
        let refused = conn.batch_execute("update things set name = 'nobodys'").map_err(Error::from);
        assert!(matches!(refused, Err(Error::NotBoundForWriting)), "{refused:?}");
    }
}}

#[test]
fn deferred_references_on_sqlite_are_settled_at_commit_whatever_happened_before() {
    same(
        Backend::Sqlite,
        "create table p (id integer primary key, code text unique);
         create table c (id integer primary key, p integer references p deferrable initially deferred,
           q text collate nocase references p (code) deferrable initially deferred);
         insert into p values (1, 'a'), (2, 'b'); insert into c values (1, 1, 'a');",
        "select 'c ' || id || ' ' || coalesce(p, '-') || coalesce(q, '-') as value from c \
         union all select 'p ' || id || coalesce(code, '-') from p order by 1",
        &[
            "delete from p where id = 1",
            "delete from p where id = 1; insert into p values (1, 'a')",
            "savepoint s; delete from p where id = 1; rollback to s; release s",
            "delete from p where id = 1; savepoint s; insert into p values (1, 'a'); rollback to s; release s",
            "insert into c values (2, 7, null); update c set id = 3 where id = 2",
            "insert into c values (2, 7, null); update c set id = 3 where id = 2; update c set p = 2 where id = 3",
            "insert into c values (4, 8, null), (5, 8, null); delete from c where id = 4",
            "insert into c values (4, 8, null), (5, 8, null); delete from c where p = 8",
            "insert into c values (6, null, 'z'); insert into p values (26, 'Z')",
            "insert into c values (6, null, 'z'); insert into p values (26, 'z')",
            "update p set code = 'Z' where id = 26",
            "update p set code = 'Z' where id = 26; update p set code = 'z' where id = 26",
            "insert into c values (7, 30, null); insert into p values (30, 'x'); delete from p where id = 30",
            "insert into c values (7, 30, null); insert into p values (30, 'x'); update p set id = 31 where id = 30",
            "insert into c values (7, 30, null); insert into p values (31, 'x'); update p set id = 30 where id = 31",
            "delete from p; delete from c",
        ],
    );
}

#[test]
fn on_sqlite_a_row_that_an_action_has_given_another_key_before_its_turn_is_left_as_it_is() {
    let tables = "create table nodes (name text not null unique, number integer not null,
            parent text not null default 'z' references nodes (name) on update cascade on delete set default,
            primary key (parent, number));
         insert into nodes values ('z', 0, 'z')";
    let rows = "insert into nodes values ('a', 1, 'z'), ('b', 2, 'a')";
    for (base, own) in [(format!("{tables}; {rows}"), "select 1"), (tables.to_owned(), rows)] {
        for (sql, expected) in [
            ("update nodes set name = upper(name) where name <> 'z'", ["A 1 z", "b 2 A", "z 0 z"].as_slice()),
            ("delete from nodes where name in ('a', 'b')", &["b 2 z", "z 0 z"]),
        ] {
            let attached = Attached::new(Backend::Sqlite, &base);
            attached.write(own).unwrap();
            attached.write(sql).unwrap();
            let found = "select name || ' ' || number || ' ' || parent as value from nodes order by 1";
            assert_eq!(attached.query(found), expected, "{sql}");
        }
    }
}

#[test]
fn on_sqlite_or_replace_takes_no_row_of_the_session_away() {
    let attached = Attached::new(
        Backend::Sqlite,
        "create table p (id integer primary key, code text unique, name text collate nocase, number integer,
           unique (name, number));
         create table c (id integer primary key, p integer references p on delete cascade);
         insert into p values (1, 'a', 'x', 1), (3, 'c', 'z', 1);",
    );
    attached
        .write("update p set code = 'b' where id = 1; insert into p values (5, 'five', 'y', 1); insert into c values (1, 5)")
        .unwrap();
    let rows = "select 'p' || id || code as value from p union all select 'c' || id || p from c order by 1";
    let before = attached.query(rows);
    for refused in [
        "insert or replace into p values (2, 'b', 'w', 1)",
        "insert or replace into p values (6, 'five', 'w', 1)",
        "replace into p values (6, 'six', 'Y', 1)",
        "insert or replace into p values (5, 'six', 'w', 1)",
        "insert or replace into p values (9, 'c', 'w', 1)",
        "update or replace p set code = 'five' where id = 1",
        "update or replace p set id = 7, name = 'Y' where id = 1",
    ] {
        let ended = attached.write(refused);
        assert!(
            matches!(ended, Err(Error::Constraint { kind: ConstraintKind::Unique, .. })),
            "{refused}: {ended:?}"
        );
        assert_eq!(attached.query(rows), before, "{refused}");
    }
    attached.write("insert or replace into p values (9, 'nine', 'y', 2); update or replace p set code = 'z' where id = 1").unwrap();
}

#[test]
fn on_sqlite_a_transaction_may_defer_all_its_references() {
    let attached = Attached::new(
        Backend::Sqlite,
        "create table p (id integer primary key, code text unique);
         create table c (id integer primary key, p integer references p on delete restrict on update restrict,
           code text references p (code) on update no action);
         insert into p values (1, 'a'); insert into c values (1, 1, 'a');",
    );
    let mut plain = attached.host.plain_copy("select 1");
    let rows = "select 'c ' || id || ' ' || coalesce(p, '-') || coalesce(code, '-') as value from c \
         union all select 'p ' || id || code from p order by 1";
    for statements in [
        "insert into c values (2, 9, 'z'); insert into p values (9, 'z')",
        "insert into c values (3, 8, null)",
        "insert into c values (3, 8, null); insert into p values (7, 'q'); update p set id = 8 where id = 7",
        "insert into c values (4, 6, null); delete from c where id = 4",
        "insert into c values (4, 6, null); update c set p = 1 where id = 4",
        "delete from p where id = 9",
        "delete from p where id = 9; insert into p values (9, 'z')",
        "update p set id = 10 where id = 9; update p set id = 9 where id = 10",
        "update p set code = 'y' where id = 9",
        "update p set code = 'y' where id = 9; update c set code = 'y' where code = 'z'",
        "delete from p where id = 1; savepoint s; insert into p values (1, 'a'); rollback to s; release s",
        "delete from p; delete from c",
    ] {
        let sql = format!("pragma defer_foreign_keys = on; {statements}");
        let expected = plain.conn().batch_execute(&format!("begin; {sql}; commit;"));
        if expected.is_err() {
            plain.conn().batch_execute("rollback").unwrap();
        }
        let found = attached.write(&sql);
        let is_refused = |kind| kind == ConstraintKind::ForeignKey;
        match (expected.map_err(Error::from), &found) {
            (Ok(()), Ok(())) => {}
            (Err(Error::Constraint { kind: one, .. }), Err(Error::Constraint { kind: other, .. }))
                if is_refused(one) && is_refused(*other) => {}
            (expected, found) => panic!("{sql}: {found:?} instead of {expected:?}"),
        }
        assert_eq!(attached.query(rows), texts(plain.conn(), rows), "{sql}");
    }
}

#[test]
fn a_reference_that_sqlite_itself_cannot_follow_is_refused_before_anything_is_made() {
    const PARENTS: &str =
        "create table p (id integer primary key, code text, name text collate nocase, other text);
        create unique index some_codes on p (code) where id > 1;
        create unique index codes_by_case on p (other collate nocase);
        create unique index pairs on p (name, code);";
    for (reference, is_followed) in [
        ("x text references p (code)", false),
        ("x text references p (other)", false),
        ("x text references p (missing)", false),
        ("x text, y text, foreign key (x, y) references p", false),
        ("x text, y text, foreign key (x, y) references p (code, other)", false),
        ("x text, y text, foreign key (x, y) references p (code, name)", true),
        ("x integer references P", true),
        ("x integer references p (ID)", true),
    ] {
        let sql = format!("{PARENTS} create table c (id integer primary key, {reference});");
        let host = HostDatabase::new(Backend::Sqlite, &sql);
        let attached = attach(&host.url, &AttachOptions::default(), now());
        let DatabaseUrl::Sqlite(base) = &host.url else { panic!() };
        assert_eq!(base.with_file_name("demo.sessions.db").exists(), is_followed);
        // SQLite's own word is that of a statement that would look for the parent.
        let mut conn = host.outsider();
        conn.batch_execute("pragma foreign_keys = on").unwrap();
        let written = conn.batch_execute("insert into c (id) values (1)").map_err(|error| error.to_string());
        if is_followed {
            attached.unwrap();
            written.unwrap();
        } else {
            let Err(Error::Attach { reasons }) = attached else { panic!("{reference}: {attached:?}") };
            assert_eq!(reasons.len(), 1, "{reasons:?}");
            assert!(reasons[0].starts_with("table c: it refers to p ("), "{reasons:?}");
            assert!(
                written.as_ref().is_err_and(|error| error.contains("foreign key mismatch")),
                "{written:?}"
            );
        }
    }
}

#[test]
fn a_key_that_compares_otherwise_than_its_column_is_refused_on_sqlite() {
    let host = HostDatabase::new(
        Backend::Sqlite,
        "create table words (word text not null, primary key (word collate nocase));",
    );
    let Err(Error::Attach { reasons }) = attach(&host.url, &AttachOptions::default(), now()) else {
        panic!()
    };
    assert_eq!(reasons, ["table words: its key compares by another collation than its column declares"]);
}

on_each_database! { fn a_reference_to_a_table_that_cannot_be_attached_is_followed_or_refused(backend) {
    let host = HostDatabase::new(backend, "
        create table codes (code text unique);
        create table things (id integer primary key, code text references codes (code));
        insert into codes values ('a'); insert into things values (1, 'a');");
    let options = AttachOptions { tables: Some(vec!["things".into()]), tracking_columns: false };
    match attach(&host.url, &options, now()) {
        Err(Error::Attach { reasons }) => {
            assert_eq!(backend, Backend::Sqlite);
            assert_eq!(reasons, ["table things: it refers to the table codes, which cannot be looked at: it has no primary key"]);
        }
        attached => {
            attached.unwrap();
            let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
            let key = UserKey::new("acme", "ann").unwrap();
            let ann = database.session(&key, SessionId(Uuid::new_v4()), now()).unwrap().id;
            let write = |sql: &str| database.write(ann, now(), |conn| conn.batch_execute(sql).map_err(Error::from));
            write("insert into things values (2, 'a')").unwrap();
            let refused = write("insert into things values (3, 'b')");
            assert!(matches!(refused, Err(Error::Constraint { kind: ConstraintKind::ForeignKey, .. })), "{refused:?}");
        }
    }
}}

on_each_database! { fn a_row_that_a_table_outside_the_sessions_refers_to_stays_whatever_the_reference_would_do(backend) {
    // The rows outside are everybody's: they can neither go nor follow.
    for action in ["cascade", "set null", "set default", "restrict", "no action"] {
        let references = |column: &str| format!("references shelves ({column}) on delete {action} on update {action}");
        let host = HostDatabase::new(backend, &format!("
            create table shelves (id integer primary key, label text unique);
            create table books (id integer primary key, shelf integer default 3 {}, label text default 'c' {});
            insert into shelves values (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd');
            insert into books values (1, 1, null), (2, null, 'b');", references("id"), references("label")));
        let options = AttachOptions { tables: Some(vec!["shelves".into()]), tracking_columns: false };
        attach(&host.url, &options, now()).unwrap();
        let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
        let key = UserKey::new("acme", "ann").unwrap();
        let session = database.session(&key, SessionId(Uuid::new_v4()), now()).unwrap().id;
        let attached = Attached { database, session, host };
        for held in [
            "delete from shelves where id = 1",
            "delete from shelves where id = 2",
            "delete from shelves",
            "update shelves set id = 10 where id = 1",
            "update shelves set label = 'x' where id = 2",
            "update shelves set id = 20, label = 'x' where id = 2",
        ] {
            let refused = attached.write(held);
            let is_reference = matches!(refused, Err(Error::Constraint { kind: ConstraintKind::ForeignKey, .. }));
            assert!(is_reference, "on delete {action}: {held}: {refused:?}");
        }
        for free in ["update shelves set label = 'x' where id = 1", "update shelves set id = 20 where id = 2", "delete from shelves where id > 20 or id = 4"] {
            attached.write(free).unwrap_or_else(|error| panic!("on delete {action}: {free}: {error:?}"));
        }
        let seen = attached.query("select 'shelf ' || id || label as value from shelves union all \
            select 'book ' || id || coalesce(cast(shelf as text), '-') || coalesce(label, '-') from books order by 1");
        assert_eq!(seen, ["book 11-", "book 2-b", "shelf 1x", "shelf 20b", "shelf 3c"], "on delete {action}");
    }
}}

on_each_database! { fn tables_and_columns_may_have_the_names_that_the_triggers_use(backend) {
    // On SQLite an attach refuses the first two.
    let (old, new) = match backend {
        Backend::Sqlite => ("olds", "news"),
        Backend::Postgres => ("old", "new"),
    };
    let tables = format!(r#"
        create table "{old}" (id integer primary key, "new" text unique);
        create table "{new}" (id integer primary key, "old" integer references "{old}" on delete cascade on update cascade,
            "new" text references "{old}" ("new") on delete set null on update cascade, "c" integer, check ("c" > 0));
        create table c (b integer primary key, c integer references "{new}" on delete cascade on update cascade, "user" text);
        create table b (c integer primary key, b integer default 1 references c on delete set default on update cascade);
        create table demo (demo integer primary key, "public" integer references b on delete set null on update cascade);
        create table "user" (id integer primary key, "user" integer references "user" on delete cascade on update cascade, o integer, x integer, u integer,
            demo integer references demo on delete restrict, unique (o, x));
        create unique index "n" on "user" (abs(u)) where u > 1;
        insert into "{old}" values (1, 'one'), (2, 'two'), (3, 'three');
        insert into "{new}" values (1, 1, 'two', 5), (2, 2, 'one', 6), (3, 3, 'three', 7);
        insert into c values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c');
        insert into b values (1, 1), (2, 2), (3, 3);
        insert into demo values (1, 1), (2, 2);
        insert into "user" values (1, null, 1, 1, 1, 2), (2, 1, 1, 2, 2, null), (3, 2, 2, 2, 3, 1);"#);
    let rows = format!(r#"
        select 'old ' || id || coalesce("new", '-') as value from "{old}"
        union all select 'new ' || id || coalesce(cast("old" as text), '-') || coalesce("new", '-') || "c" from "{new}"
        union all select 'c ' || b || coalesce(cast(c as text), '-') || "user" from c
        union all select 'b ' || c || coalesce(cast(b as text), '-') from b
        union all select 'demo ' || demo || coalesce(cast("public" as text), '-') from demo
        union all select 'user ' || id || coalesce(cast("user" as text), '-') || o || x || coalesce(cast(u as text), '-') || coalesce(cast(demo as text), '-') from "user"
        order by 1"#);
    let statements = [
        format!(r#"update "{old}" set id = id + 10, "new" = 'x' || "new" where id = 2"#),
        format!(r#"update "{new}" set "new" = 'three', "c" = "c" + 1 where "old" = 12"#),
        format!(r#"update "{new}" set "c" = 0 where id = 1"#),
        format!(r#"insert into "{new}" (id, "old", "new", "c") values (9, 7, null, 1)"#),
        format!(r#"insert into "{new}" (id, "old", "new", "c") values (9, 3, 'xtwo', 1)"#),
        format!(r#"update "{new}" set id = id + 20"#),
        r#"update b set c = c + 30, b = 3 where c = 1"#.to_owned(),
        r#"update "user" set u = -3 where id = 1"#.to_owned(),
        r#"update "user" set u = 3 where id = 2"#.to_owned(),
        r#"update "user" set o = 1, x = 1 where id = 3"#.to_owned(),
        r#"delete from demo where demo = 1"#.to_owned(),
        r#"delete from demo where demo not in (select demo from "user" where demo is not null)"#.to_owned(),
        format!(r#"delete from "{old}" where id = 12"#),
        format!(r#"delete from "{old}" where id = 3"#),
        r#"update "user" set id = id + 5 where id = 1"#.to_owned(),
        r#"delete from "user" where id = 6"#.to_owned(),
        format!(r#"delete from "{old}""#),
    ];
    same(backend, &tables, &rows, &statements.iter().map(String::as_str).collect::<Vec<_>>());
}}

on_each_database! { fn a_column_called_true_or_false_is_written_as_any_other_or_refused_with_the_reason(backend) {
    let tables = r#"create table answers (id integer primary key, "true" text, "FALSE" text); insert into answers values (1, 'a', 'b')"#;
    if backend == Backend::Postgres {
        let rows = r#"select id || "true" || "FALSE" as value from answers order by 1"#;
        same(backend, tables, rows, &[r#"update answers set "true" = 'c', "FALSE" = 'd'"#, "insert into answers values (2, 'e', 'f')"]);
        return;
    }
    let host = HostDatabase::new(backend, tables);
    let Err(Error::Attach { reasons }) = attach(&host.url, &AttachOptions::default(), now()) else { panic!() };
    assert_eq!(reasons, ["table answers: its column true has a name that SQLite gives to no column of a view"]);
}}

#[test]
fn a_reference_that_is_refused_row_by_row_says_that_set_constraints_made_it_so() {
    if !postgres() {
        return;
    }
    let attached = Attached::new(
        Backend::Postgres,
        "create table people (id int primary key, boss int references people); insert into people values (1, 1);",
    );
    let detail = |sql: &str| {
        let ended = attached.database.write(attached.session, now(), |conn| {
            let ended = conn.batch_execute(sql);
            Err::<(), Refused>(match ended {
                Err(diesel::result::Error::DatabaseError(_, info)) => {
                    Refused::Detail(info.details().unwrap_or_default().to_owned())
                }
                other => panic!("{sql}: {other:?}"),
            })
        });
        let Err(Refused::Detail(detail)) = ended else { panic!("{sql}") };
        detail
    };
    let each_other = "insert into people values (2, 3), (3, 2)";
    attached.write(each_other).unwrap();
    let said = detail("set constraints all immediate; insert into people values (4, 5), (5, 4)");
    assert_eq!(
        said,
        "Key (boss)=(5) is not present in table \"people\". After SET CONSTRAINTS ALL IMMEDIATE a session has this \
         checked row by row: change the rows in another order, or leave it out."
    );
    assert_eq!(
        detail("insert into people values (4, 5)"),
        "Key (boss)=(5) is not present in table \"people\"."
    );
    assert_eq!(
        detail("delete from people where id = 3"),
        "Key (id)=(3) is still referenced from table \"people\"."
    );
    assert!(detail("set constraints all immediate; delete from people where id > 1").contains("row by row"));
    let found = attach_check(
        &attached.host.url,
        &AttachOptions::default(),
        &["begin".to_owned(), "set constraints all immediate".to_owned()],
        now(),
    );
    let found = found.unwrap().statements;
    assert!(found.len() == 1 && found[0].reason.contains("row by row") && !found[0].refused, "{found:?}");
}

/// Takes what the database says of a refusal out of a unit of work.
#[derive(Debug)]
enum Refused {
    Detail(String),
    Engine(#[allow(dead_code, reason = "shown where a test fails")] Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

#[test]
fn set_constraints_all_immediate_checks_deferred_references_at_once() {
    if !Backend::Postgres.is_there() {
        return;
    }
    same(
        Backend::Postgres,
        "create table p (id int primary key);
         create table c (id int primary key, p int references p deferrable initially deferred);
         insert into p values (1);",
        "select 'c ' || id || ' ' || p as value from c order by id",
        &[
            "set constraints all immediate; insert into c values (1, 9); insert into p values (9)",
            "insert into c values (1, 9); set constraints all immediate; insert into p values (9)",
            "insert into c values (1, 9); insert into p values (9); set constraints all immediate",
            "set constraints all immediate; delete from p where id = 9; delete from c",
            "set constraints all immediate; set constraints all deferred; delete from p where id = 9; delete from c",
        ],
    );
}
