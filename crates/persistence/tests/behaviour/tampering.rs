//! Thousands of attempts to change the base, each refused by the database; and with the guards off, a thousand
//! changes of one value each, each found by `verify` with its table and its row.

use std::collections::BTreeMap;

use demo_reset_persistence::{AnyConnection, Error};
use diesel::QueryableByName;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::fixture::{Backend, Fixture, on_each_database};
use crate::random::Random;

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    value: String,
}

fn texts(conn: &mut AnyConnection, query: String) -> Vec<String> {
    let rows: Vec<TextRow> = diesel::sql_query(query).load(conn).unwrap();
    rows.into_iter().map(|row| row.value).collect()
}

/// Each table with its key, a row that is new, and one that is there; and columns that can be set, each with values
/// that are unlike any that is there. Values that differ in type, case, sign or by nothing but a space among them.
struct Target {
    table: &'static str,
    key: &'static [&'static str],
    row: &'static str,
    taken: &'static str,
    columns: &'static [(&'static str, &'static [&'static str])],
}

const TARGETS: [Target; 5] = [
    Target {
        table: "publishers",
        key: &["code"],
        row: "'new', 'New'",
        taken: "'ace', 'Again'",
        columns: &[("code", &["'other'", "'Ace '"]), ("name", &["'ace'", "'Ace '", "''", "' Ace'"])],
    },
    Target {
        table: "authors",
        key: &["id"],
        row: "9, 'New', null, null, 1950",
        taken: "1, 'Again', null, null, 1950",
        columns: &[
            ("id", &["77", "-1"]),
            ("name", &["'ann'", "'Ann '", "'x'"]),
            ("email", &["''", "'ann@x.example '", "'z'"]),
            ("mentor_id", &["77", "0"]),
            ("born", &["1950.5", "0", "-1", "1e300"]),
        ],
    },
    Target {
        table: "books",
        key: &["isbn"],
        row: "'9', 'New', 1, null, 1, null",
        taken: "'1', 'Again', 1, null, 1, null",
        columns: &[
            ("isbn", &["'1 '", "'x'"]),
            ("title", &["'one'", "'One '", "''"]),
            ("author_id", &["77", "3"]),
            ("publisher", &["'ACE '", "'nobody'"]),
            ("price", &["0.3", "-0.0", "0.0", "2.5000000000000004"]),
            ("cover", &["x'00'", "x'00ff00'", "x'ff00'"]),
        ],
    },
    Target {
        table: "reviews",
        key: &["isbn", "reviewer"],
        row: "'9', 'new', 1",
        taken: "'1', 'zoe', 1",
        columns: &[("isbn", &["'77'"]), ("reviewer", &["'Zoe'", "'zoe '"]), ("stars", &["2", "3"])],
    },
    Target {
        table: "notes",
        key: &["id"],
        row: "9, null, 'new'",
        taken: "1, null, 'again'",
        columns: &[
            ("id", &["77"]),
            ("isbn", &["'77'", "''"]),
            ("body", &["''", "'lent out '", "'Lent out'"]),
        ],
    },
];

impl Target {
    fn insert_columns(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

fn chosen<'a, T>(random: &mut Random, all: &'a [T]) -> &'a T {
    &all[random.below(all.len())]
}

/// A statement that any program with the rights of the owner may try on the guarded tables: its kind, and its text.
fn by_the_owner(backend: Backend, random: &mut Random) -> (&'static str, String) {
    let target = chosen(random, &TARGETS);
    let (column, values) = chosen(random, target.columns);
    let value = backend.sql(&format!(" {}", chosen(random, values)));
    let (columns, key) = (target.insert_columns(), target.key.join(", "));
    let table = match backend {
        Backend::Sqlite => format!("main.{}", target.table),
        Backend::Postgres => format!("public.{}", target.table),
    };
    let (row, taken) = (target.row, target.taken);
    let insert = format!("insert into {table} ({columns}) values ({row})");
    let update = format!("update {table} set {column} = {value}");
    let upsert = format!(
        "insert into {table} ({columns}) values ({taken}) on conflict ({key}) do update set {column} = {value}"
    );
    let writes = [insert.clone(), update.clone(), format!("delete from {table}"), upsert.clone()];
    let any = chosen(random, &writes).clone();
    let n = random.next();
    let kinds: &[(&'static str, String)] = &match backend {
        Backend::Sqlite => {
            let bare = any.replace("main.", "");
            vec![
                ("insert", insert),
                ("update", update.clone()),
                ("delete", format!("delete from {table}")),
                ("replace", format!("replace into {table} ({columns}) values ({taken})")),
                ("replace", format!("update or replace {table} set {column} = {value}")),
                ("upsert", upsert),
                ("cte", format!("with x as (select 1) {any}")),
                ("cascade", "pragma foreign_keys = on; delete from authors where id = 1".to_owned()),
                (
                    "trigger",
                    format!(
                        "create temp table t{n} (x); create temp trigger r{n} after insert on t{n} begin {bare}; end; \
                         insert into t{n} values (1)"
                    ),
                ),
                (
                    "view",
                    format!(
                        "create temp view v{n} as select * from {table}; create temp trigger r{n} instead of delete \
                         on v{n} begin {bare}; end; delete from v{n}"
                    ),
                ),
            ]
        }
        Backend::Postgres => vec![
            ("insert", insert),
            ("update", update.clone()),
            ("delete", format!("delete from {table}")),
            ("upsert", upsert),
            ("truncate", format!("truncate {table} cascade")),
            ("cte", format!("with x as (delete from {table} returning 1) select * from x")),
            ("merge", format!("merge into {table} t using (select 1) s on true when matched then delete")),
            ("copy", format!("copy {table} from '/dev/null'")),
            ("do", format!("do $do$ begin {any}; end $do$")),
            ("cascade", "delete from public.authors where id = 1".to_owned()),
            (
                "trigger",
                format!(
                    "begin; create temp table t{n} (x int); create function pg_temp.f{n}() returns trigger language \
                     plpgsql as $f$ begin {any}; return null; end $f$; create trigger r{n} after insert on t{n} \
                     execute function pg_temp.f{n}(); insert into t{n} values (1); commit"
                ),
            ),
            (
                "view",
                format!("begin; create temp view v{n} as select * from {table}; delete from v{n}; commit"),
            ),
        ],
    };
    chosen(random, kinds).clone()
}

/// A statement that reaches for the base in the middle of a user's unit of work.
fn by_the_application(backend: Backend, random: &mut Random) -> (&'static str, String) {
    let target = chosen(random, &TARGETS);
    let (column, values) = chosen(random, target.columns);
    let value = backend.sql(&format!(" {}", chosen(random, values)));
    let schema = if backend == Backend::Sqlite { "base" } else { "public" };
    let table = format!("{schema}.{}", target.table);
    let (columns, key, row, taken) =
        (target.insert_columns(), target.key.join(", "), target.row, target.taken);
    let mut kinds = vec![
        ("insert", format!("insert into {table} ({columns}) values ({row})")),
        ("update", format!("update {table} set {column} = {value}")),
        ("delete", format!("delete from {table}")),
        (
            "upsert",
            format!(
                "insert into {table} ({columns}) values ({taken}) on conflict ({key}) do update set {column} = {value}"
            ),
        ),
        ("ddl", format!("drop table {table}")),
        ("ddl", format!("alter table {table} add column extra integer")),
        ("ddl", format!("alter table {table} rename to gone")),
        ("ddl", format!("create table {schema}.extra (x integer)")),
    ];
    kinds.extend(match backend {
        Backend::Sqlite => vec![
            ("replace", format!("replace into {table} ({columns}) values ({taken})")),
            ("ddl", format!("drop trigger base.demo_guard_delete_{}", target.table)),
            ("ddl", format!("create index base.extra on {} ({column})", target.table)),
            ("manifest", "update base.demo_seal set fingerprint = ''".to_owned()),
        ],
        Backend::Postgres => vec![
            ("truncate", format!("truncate {table} cascade")),
            ("cte", format!("with x as (delete from {table} returning 1) select * from x")),
            ("merge", format!("merge into {table} t using (select 1) s on true when matched then delete")),
            ("do", format!("do $do$ begin delete from {table}; end $do$")),
            ("ddl", format!("alter table {table} disable trigger all")),
            ("ddl", format!("drop trigger demo_guard_write on {table}")),
            ("ddl", format!("create index on {table} ({column})")),
            ("ddl", format!("create rule r as on insert to {table} do instead nothing")),
            ("guards", "set local session_replication_role = replica".to_owned()),
            (
                "guards",
                "create or replace function demo.guard_base() returns trigger language sql as 'select 1'"
                    .to_owned(),
            ),
            ("manifest", "update demo.demo_manifest set fingerprint = ''".to_owned()),
            ("manifest", "update demo.demo_base set sealed_at = null".to_owned()),
        ],
    });
    chosen(random, &kinds).clone()
}

/// The words in which a database refuses.
const REFUSALS: [&str; 6] = [
    "base data is sealed",
    "readonly database",
    "permission denied",
    "must be owner",
    // DDL on a view's table from within SQLite's read-only file.
    "attempt to write",
    "cannot modify",
];

on_each_database! { fn every_attempt_to_change_the_base_is_refused_by_the_database(backend) {
    let fixture = Fixture::library(backend);
    let before = fixture.base_dump();
    let session = fixture.session("ann");
    session.write("delete from notes").unwrap();
    let world = session.world();
    let mut owner = fixture.outsider();
    let mut random = Random::new(7);
    let mut tried: BTreeMap<&str, u64> = BTreeMap::new();
    for attempt in 0..5_000 {
        let (kind, sql, refused) = if attempt % 4 == 0 {
            let (kind, sql) = by_the_application(backend, &mut random);
            (kind, sql.clone(), session.write(&sql).map_err(|error: Error| error.to_string()))
        } else {
            let (kind, sql) = by_the_owner(backend, &mut random);
            let result = owner.batch_execute(&sql).map_err(|error| error.to_string());
            if sql.starts_with("begin;") {
                owner.batch_execute("rollback").unwrap();
            }
            (kind, sql, result)
        };
        let Err(refused) = refused else { panic!("{sql} was not refused") };
        assert!(REFUSALS.iter().any(|words| refused.contains(words)), "{sql}: {refused}");
        *tried.entry(kind).or_default() += 1;
    }
    eprintln!("{backend:?}: {tried:?}");
    let wanted: &[&str] = match backend {
        Backend::Sqlite => &["insert", "update", "delete", "replace", "upsert", "cte", "cascade", "trigger", "view", "ddl", "manifest"],
        Backend::Postgres => &["insert", "update", "delete", "upsert", "truncate", "cte", "merge", "copy", "do", "cascade",
            "trigger", "view", "ddl", "guards", "manifest"],
    };
    assert!(wanted.iter().all(|kind| tried.get(kind).is_some_and(|count| *count > 20)), "{tried:?}");
    assert_eq!(fixture.base_dump(), before);
    assert_eq!(session.world(), world);
    assert!(fixture.database.verify().unwrap().base_is_intact());
}}

/// Lets the owner write: what a superuser can always do.
fn without_guards(fixture: &Fixture) -> AnyConnection {
    let mut owner = fixture.outsider();
    let off = match fixture.backend {
        Backend::Sqlite => TARGETS
            .iter()
            .map(|target| format!("drop trigger demo_guard_update_{};", target.table))
            .chain(["pragma ignore_check_constraints = on; pragma foreign_keys = off;".to_owned()])
            .collect(),
        Backend::Postgres => "set session_replication_role = replica".to_owned(),
    };
    owner.batch_execute(&off).unwrap();
    owner
}

/// Tables that differ, each with the keys of the rows that do.
fn named(fixture: &Fixture) -> Vec<(String, Vec<String>)> {
    let (verification, rows) = fixture.database.verify_rows(10).unwrap();
    let differing = verification.tables.iter().filter(|table| !table.is_intact());
    let differing = differing.map(|table| {
        let of_table = rows.iter().filter(|rows| rows.table == table.table);
        (table.table.clone(), of_table.flat_map(|rows| &rows.keys).map(|key| key.join(" ")).collect())
    });
    differing.collect()
}

on_each_database! { fn every_changed_value_is_noticed_with_its_table_and_its_row(backend) {
    let fixture = Fixture::library(backend);
    let mut owner = without_guards(&fixture);
    let schema = if backend == Backend::Sqlite { "main" } else { "public" };
    let quoted = |column: &str| match backend {
        Backend::Sqlite => format!("quote({column})"),
        Backend::Postgres => format!("quote_nullable({column}::text)"),
    };
    let text = |column: &&str| format!("cast({column} as text)");
    let mut random = Random::new(11);
    let mut changed: BTreeMap<String, u64> = BTreeMap::new();
    let mut changes = 0;
    while changes < 500 {
        let target = chosen(&mut random, &TARGETS);
        let table = format!("{schema}.{}", target.table);
        let (column, values) = chosen(&mut random, target.columns);
        let value = backend.sql(&format!(" {}", chosen(&mut random, values)));
        let key = target.key.iter().map(text).collect::<Vec<_>>().join("||' '||");
        let keys = texts(&mut owner, format!("select {key} as value from {table} order by 1"));
        let key_of = chosen(&mut random, &keys);
        let one = format!("{key} = '{key_of}'");
        let now = |owner: &mut AnyConnection, one: &str| {
            texts(owner, format!("select {} as value from {table} where {one}", quoted(column))).remove(0)
        };
        let before = now(&mut owner, &one);
        // The value by which the row is found afterwards: its key may be what changes.
        let is_key = target.key.contains(column);
        let update = format!("update {table} set {column} = {value} where {one}");
        if owner.batch_execute(&update).is_err() {
            // The value is taken: another unique index than the key's refuses it.
            continue;
        }
        let mut keys_now = texts(&mut owner, format!("select {key} as value from {table} order by 1"));
        keys_now.retain(|key| !is_key || !keys.contains(key));
        let named_key = if is_key { keys_now.remove(0) } else { key_of.clone() };
        let one_now = format!("{key} = '{named_key}'");
        if now(&mut owner, &one_now) != before {
            assert_eq!(named(&fixture), [(target.table.to_owned(), vec![named_key])], "{update}");
            changes += 1;
            *changed.entry(format!("{}.{column}", target.table)).or_default() += 1;
        }
        owner.batch_execute(&format!("update {table} set {column} = {before} where {one_now}")).unwrap();
        if changes % 50 == 0 {
            assert_eq!(named(&fixture), [], "after {update} was taken back");
        }
    }
    let columns: usize = TARGETS.iter().map(|target| target.columns.len()).sum();
    assert_eq!(changed.len(), columns, "{changed:?}");
}}

on_each_database! { fn rows_that_are_new_are_named_and_rows_that_are_gone_are_counted(backend) {
    let fixture = Fixture::library(backend);
    let mut owner = fixture.outsider();
    owner.batch_execute(match backend {
        Backend::Sqlite => "drop trigger demo_guard_insert_notes; drop trigger demo_guard_delete_reviews",
        Backend::Postgres => "set session_replication_role = replica",
    }).unwrap();
    owner.batch_execute("insert into notes values (2, null, 'a'), (3, null, 'b'); delete from reviews where stars > 3").unwrap();
    let (_, rows) = fixture.database.verify_rows(1).unwrap();
    let mut found: Vec<_> = rows.iter().map(|rows| (rows.table.as_str(), rows.count, rows.keys.clone(), rows.gone)).collect();
    found.sort();
    assert_eq!(found, [("notes", 2, vec![vec!["2".to_owned()]], 0), ("reviews", 0, vec![], 2)]);
}}

#[test]
fn on_sqlite_a_byte_that_is_changed_past_sqlite_is_noticed_with_its_row() {
    let fixture = Fixture::library(Backend::Sqlite);
    // The pool's connections have read the file, and nothing in its header will tell them that it has changed.
    assert_eq!(fixture.session("ann").value("select body from notes"), "lent out");
    assert!(fixture.database.verify().unwrap().base_is_intact());
    let file = fixture.base_file();
    let bytes = std::fs::read(&file).unwrap();
    for (text, table, key) in
        [("lent out", "notes", "1"), ("Three", "books", "3"), ("ben@x.example", "authors", "2")]
    {
        let at = bytes.windows(text.len()).rposition(|window| window == text.as_bytes()).unwrap();
        let places: Vec<usize> =
            (0..bytes.len() - text.len()).filter(|&at| bytes[at..].starts_with(text.as_bytes())).collect();
        assert!(places.contains(&at));
        let mut tampered = bytes.clone();
        places.iter().for_each(|&at| tampered[at] ^= 1);
        std::fs::write(&file, &tampered).unwrap();
        assert_eq!(named(&fixture), [(table.to_owned(), vec![key.to_owned()])]);
    }
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(named(&fixture), []);
}
