//! PostgreSQL: who may do what. The owner migrates and loads; a server works as the application role, whether its
//! login is the owner's or one of its own, and may write only through the views.

use demo_reset_domain::{ArchiveId, OnConflict, SessionId, UserKey};
use demo_reset_persistence::{
    AttachOptions, BaseState, Database, Error, OpenOptions, base_state, load_base, load_first_base,
};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use uuid::Uuid;

use crate::fixture::{Backend, Fixture, Login, now, options};

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = Text)]
    value: String,
}

fn fixture() -> Option<Fixture> {
    Backend::Postgres.is_there().then(|| Fixture::library(Backend::Postgres))
}

#[test]
fn a_login_of_the_application_role_serves_a_database_that_is_current() {
    let Some(fixture) = fixture() else { return };
    for inherit in ["inherit", "noinherit"] {
        let login = Login::new(&format!("in role demo_app {inherit}"));
        let url = login.url(&fixture);
        assert_eq!(base_state(&url).unwrap(), BaseState::Sealed);
        let database = Database::open(&url, options(), now()).unwrap();
        database.ready().unwrap();
        let user = UserKey::new("acme", inherit).unwrap();
        let session = database.session(&user, SessionId(Uuid::new_v4()), now()).unwrap().id;
        let write =
            |sql: &str| database.write(session, now(), |conn| conn.batch_execute(sql).map_err(Error::from));
        write(
            "insert into notes (isbn, body) values ('1', 'mine'); update authors set name = 'A' where id = 1",
        )
        .unwrap();
        assert_eq!(
            database
                .reset(session, ArchiveId(Uuid::new_v4()), now())
                .unwrap()
                .archive
                .unwrap()
                .counts
                .total(),
            2
        );
        database.undo(session, None, OnConflict::Fail, ArchiveId(Uuid::new_v4()), now()).unwrap();
        assert!(database.verify().unwrap().base_is_intact());
        database.cleanup(now(), &mut || ArchiveId(Uuid::new_v4())).unwrap();
        drop(database);
    }
}

#[test]
fn a_login_of_the_application_role_never_migrates_and_says_what_is_missing() {
    let Some(fixture) = fixture() else { return };
    let login = Login::new("in role demo_app");
    let url = login.url(&fixture);
    let mut owner = fixture.outsider();
    let open = || Database::open(&url, options(), now()).map(drop).unwrap_err();

    let migrations = "demo.__diesel_schema_migrations";
    let newer = "20990101000000";
    owner.batch_execute(&format!("insert into {migrations} (version) values ('{newer}')")).unwrap();
    assert!(matches!(open(), Error::NewerSchema { migration } if migration == newer));
    owner
        .batch_execute(&format!(
            "delete from {migrations} where version = '{newer}'; create temp table kept as table {migrations}; \
             delete from {migrations}"
        ))
        .unwrap();
    let behind = open();
    assert!(matches!(&behind, Error::OlderSchema { pending } if !pending.is_empty()), "{behind:?}");
    assert!(behind.to_string().contains("`demo-reset migrate`"), "{behind}");
    // The server that runs already says so too.
    assert!(matches!(fixture.database.ready(), Err(Error::OlderSchema { .. })));
    owner.batch_execute(&format!("insert into {migrations} table kept")).unwrap();
    fixture.database.ready().unwrap();

    // Views that another version made, or made with other options, are a schema that is behind as well.
    let tracking = AttachOptions { tracking_columns: true, ..Default::default() };
    let other = Database::open(&url, OpenOptions { attach: tracking, ..options() }, now());
    assert!(matches!(other.map(drop), Err(Error::OlderSchema { .. })));
    let fewer = AttachOptions { tables: Some(vec!["books".to_owned()]), ..Default::default() };
    let other = Database::open(&url, OpenOptions { attach: fewer, ..options() }, now());
    assert!(matches!(other.map(drop), Err(Error::OlderSchema { .. })));
    owner
        .batch_execute("update demo.demo_attached_tables set definition = 'older' where name = 'books'")
        .unwrap();
    assert!(matches!(open(), Error::OlderSchema { .. }));

    // What the owner's login does about it.
    drop(Database::open(&fixture.url, options(), now()).unwrap());
    drop(Database::open(&url, options(), now()).unwrap());
}

#[test]
fn loading_needs_the_owner_and_opening_at_least_the_application_role() {
    let Some(fixture) = fixture() else { return };
    let (member, stranger) = (Login::new("in role demo_app"), Login::new(""));
    let load = |_: &mut _| -> Result<(), Error> { panic!("nothing is to be built") };
    let refused = load_base(&member.url(&fixture), Uuid::new_v4(), now(), load).unwrap_err();
    assert!(matches!(&refused, Error::Login { login, .. } if *login == member.name), "{refused:?}");
    assert!(refused.to_string().contains("the owner's login"), "{refused}");
    let refusals = [
        base_state(&stranger.url(&fixture)).map(drop),
        Database::open(&stranger.url(&fixture), options(), now()).map(drop),
        load_base(&stranger.url(&fixture), Uuid::new_v4(), now(), load),
    ];
    for refused in refusals {
        assert!(
            matches!(&refused, Err(Error::Login { login, .. }) if *login == stranger.name),
            "{refused:?}"
        );
    }
}

#[test]
fn the_application_role_may_neither_truncate_nor_define_nor_write_past_the_views() {
    let Some(fixture) = fixture() else { return };
    let base = fixture.base_dump();
    let login = Login::new("in role demo_app");
    let database = Database::open(&login.url(&fixture), options(), now()).unwrap();
    let user = UserKey::new("acme", "ann").unwrap();
    let session = database.session(&user, SessionId(Uuid::new_v4()), now()).unwrap().id;
    // With a login of its own there is nothing to go back to.
    for hostile in ["", "reset role; ", "set session authorization default; "] {
        for sql in [
            "insert into public.publishers values ('x', 'X')",
            "update public.books set title = 'x'",
            "delete from public.notes",
            "truncate public.notes",
            "truncate demo_changes.notes",
            "truncate demo.demo_archives",
            "drop table public.notes",
            "drop view demo.books",
            "drop schema demo cascade",
            "alter table public.notes add column x int",
            "alter table public.notes disable trigger all",
            "alter view demo.books rename to gone",
            "drop trigger demo_guard_write on public.notes",
            "create table public.x (a int)",
            "create table demo.x (a int)",
            "create or replace view demo.books as select 1 as isbn",
            "create or replace function demo.guard_base() returns trigger language plpgsql as 'begin return null; end'",
            "create index on public.notes (body)",
            "lock table public.notes in exclusive mode",
            "update demo.demo_manifest set fingerprint = ''",
            "update demo.demo_base set sealed_at = null",
            "delete from demo.demo_attached_tables",
            "delete from demo.__diesel_schema_migrations",
            "select nextval('public.notes_id_seq')",
            "select setval('public.authors_id_seq', 1000)",
        ] {
            let refused = database
                .write(session, now(), |conn| {
                    conn.batch_execute(&format!("{hostile}{sql}")).map_err(Error::from)
                })
                .unwrap_err()
                .to_string();
            let expected = ["permission denied", "must be owner"];
            assert!(expected.iter().any(|words| refused.contains(words)), "{hostile}{sql}: {refused}");
        }
    }
    assert_eq!(fixture.base_dump(), base);
    assert!(database.verify().unwrap().base_is_intact());
}

#[test]
fn the_hosts_sequences_never_advance() {
    let Some(fixture) = fixture() else { return };
    let sequences = "select string_agg(format('%s %s %s', sequencename, last_value, \
        (select count(*) from public.notes)), ', ' order by sequencename) as value \
        from pg_sequences where schemaname = 'public'";
    let mut owner = fixture.outsider();
    let mut state = || diesel::sql_query(sequences).get_result::<Value>(&mut owner).unwrap().value;
    let before = state();
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    let made = "insert into authors (name) values ('New')";
    ann.write(made).unwrap();
    ben.write(made).unwrap();
    ann.write("insert into notes (body) values ('one'), ('two')").unwrap();
    assert_eq!(state(), before);
    // Numbers are handed out beyond those of the base, and to nobody twice.
    let last = "select max(id) from authors";
    assert_eq!((ann.value(last), ben.value(last)), ("4".to_owned(), "5".to_owned()));
    ann.reset();
    ann.write(made).unwrap();
    assert_eq!(ann.value(last), "6");
}

#[test]
fn of_two_first_loads_at_once_one_is_done() {
    let Some(fixture) = fixture() else { return };
    let mut owner = fixture.outsider();
    owner.batch_execute("drop schema demo cascade; drop schema demo_changes cascade; drop schema public cascade; create schema public").unwrap();
    let barrier = std::sync::Barrier::new(4);
    let built: Vec<bool> = std::thread::scope(|scope| {
        let load = || {
            barrier.wait();
            load_first_base(&fixture.url, Uuid::new_v4(), now(), |conn| {
                conn.batch_execute(Backend::Postgres.library()).map_err(Error::from)
            })
            .unwrap()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(load)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(built.iter().filter(|built| **built).count(), 1, "{built:?}");
    let database = Database::open(&fixture.url, options(), now()).unwrap();
    assert!(database.verify().unwrap().base_is_intact());
}

#[test]
fn who_waits_for_anothers_lock_is_told_in_time() {
    let Some(fixture) = fixture() else { return };
    let quick = OpenOptions { connection_timeout: std::time::Duration::from_millis(200), ..options() };
    let database = Database::open(&fixture.url, quick, now()).unwrap();
    let session = fixture.session("ann").id;
    let mut other = fixture.outsider();
    other.batch_execute("begin; select demo.use_session('acme', 'ann')").unwrap();
    let write = || database.write(session, now(), |_| Ok::<_, Error>(()));
    let refused = write().unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    let refused = database.reset(session, ArchiveId(Uuid::new_v4()), now()).unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    // Reading waits for nobody.
    database.read(session, |_| Ok::<_, Error>(())).unwrap();
    other.batch_execute("commit").unwrap();
    write().unwrap();
}
