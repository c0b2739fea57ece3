//! Operations that fail on the way: at each of their statements, at each call to the disk. Afterwards everything is
//! exactly as before, and the operation done again succeeds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chrono::{DateTime, Duration, Utc};
use demo_reset_domain::{ArchiveId, ArchiveState, OnConflict, SessionId, UserKey};
use demo_reset_persistence::{
    AnyConnection, CleanupReport, Database, DatabaseUrl, Error, OpenOptions, RecordKey, load_base,
};
use diesel::connection::{
    CacheSize, Instrumentation, InstrumentationEvent, SimpleConnection, set_default_instrumentation,
};
use diesel::prelude::*;
use diesel::sql_types::Text;
use sqlite_faults::{Disk, Event, Failure, Io, Lasting};
use uuid::Uuid;

use crate::fixture::{Backend, Fixture, Session, dump, now, on_each_database, options, say, tables};
use crate::random::Random;

// A statement that fails.

/// The statement that is to fail on this thread.
struct Statements {
    nth: usize,
    seen: usize,
    /// The owner's connection, which cuts all others; none on SQLite, where the statement is refused.
    killer: Option<AnyConnection>,
}

thread_local! {
    static STATEMENTS: RefCell<Option<Statements>> = const { RefCell::new(None) };
}

/// Watches the statements of every connection of this process that is opened from now on.
fn watch_statements() {
    fn watcher() -> Option<Box<dyn Instrumentation>> {
        Some(Box::new(|event: InstrumentationEvent<'_>| match event {
            InstrumentationEvent::StartQuery { .. } => statement_begins(),
            InstrumentationEvent::FinishQuery { .. } => sqlite_faults::refuse_statements(false),
            _ => {}
        }))
    }
    sqlite_faults::install();
    set_default_instrumentation(watcher).unwrap();
}

fn statement_begins() {
    // Taken out meanwhile: the owner's statement is not one of those that are counted.
    let Some(mut statements) = STATEMENTS.take() else { return };
    statements.seen += 1;
    if statements.seen == statements.nth {
        match &mut statements.killer {
            None => sqlite_faults::refuse_statements(true),
            Some(owner) => cut_connections(owner),
        }
    }
    STATEMENTS.set(Some(statements));
}

/// Every connection to the database but this one is gone when it returns.
pub fn cut_connections(owner: &mut AnyConnection) {
    let others = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
        and backend_type = 'client backend'";
    // PostgreSQL itself would look every 100 ms whether they are gone.
    while texts(owner, &format!("select pg_terminate_backend(pid)::text as value {others}")).pop().is_some() {
        std::thread::yield_now();
    }
}

/// Runs `work` with its `nth` statement failing; what came of it, and whether it has so many.
fn with_failing_statement<T>(fixture: &Fixture, nth: usize, work: impl FnOnce() -> T) -> (T, bool) {
    let killer = (fixture.backend == Backend::Postgres).then(|| fixture.outsider());
    STATEMENTS.set(Some(Statements { nth, seen: 0, killer }));
    let result = work();
    sqlite_faults::refuse_statements(false);
    let statements = STATEMENTS.take().unwrap();
    (result, statements.seen >= nth)
}

/// The library, with every statement of its writer prepared anew each time, so that each can be refused.
fn library(backend: Backend) -> Fixture {
    watch_statements();
    let mut fixture = Fixture::library(backend);
    // One connection: each that is cut must be made anew.
    fixture.database = Database::open(&fixture.url, OpenOptions { readers: 1, ..options() }, now()).unwrap();
    if backend == Backend::Sqlite {
        on_the_writer(&fixture, |conn| conn.set_prepared_statement_cache_size(CacheSize::Disabled));
    }
    fixture
}

/// Works on SQLite's one connection that writes.
fn on_the_writer(fixture: &Fixture, work: impl FnOnce(&mut SqliteConnection)) {
    let session = fixture.session("nobody");
    let done = fixture.database.write(session.id, now(), |conn| {
        if let AnyConnection::Sqlite(conn) = conn {
            work(conn);
        }
        Ok::<_, Error>(())
    });
    done.unwrap();
}

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    value: String,
}

pub fn texts(conn: &mut AnyConnection, query: &str) -> Vec<String> {
    let rows: Vec<TextRow> = diesel::sql_query(query).load(conn).unwrap();
    rows.into_iter().map(|row| row.value).collect()
}

/// Every row of the engine's own tables and of the change tables.
fn engine_dump(fixture: &Fixture) -> Vec<String> {
    match fixture.backend {
        Backend::Sqlite => {
            let sessions = fixture.base_file().with_file_name("demo.sessions.db");
            let mut conn =
                AnyConnection::Sqlite(SqliteConnection::establish(&sessions.display().to_string()).unwrap());
            let all = "select 'select ''' || t.name || ': '' || ' || group_concat('quote(\"' || c.name || '\")', ' || '','' || ') \
                || ' as value from \"' || t.name || '\" order by 1' as value from sqlite_schema t, pragma_table_xinfo(t.name) c \
                where t.type = 'table' and t.name not like 'sqlite_stat%' group by t.name order by t.name";
            texts(&mut conn, all).iter().flat_map(|query| texts(&mut conn, query)).collect()
        }
        Backend::Postgres => {
            // One query: this runs twice a round.
            let all = "select relname || query_to_xml(format('select t::text from %I.%I t order by 1', nspname, relname), \
                true, true, '')::text as value from pg_class c join pg_namespace n on n.oid = relnamespace \
                where nspname in ('demo', 'demo_changes') and relkind = 'r' order by nspname, relname";
            texts(&mut fixture.outsider(), all)
        }
    }
}

/// What an operation is tried on, and how.
struct Operation {
    name: &'static str,
    prepare: fn(&Session<'_>),
    run: fn(&Session<'_>) -> Result<(), Error>,
}

/// One change of every kind, with keys that do not depend on how often they were tried.
const CHANGES: &str = "
    insert into publishers (code, name) values ('new', 'New');
    insert into authors (id, name, email, mentor_id) values (40, 'Di', 'di@x.example', 1);
    insert into books (isbn, title, author_id, publisher, cover) values ('9', 'Nine', 40, 'new', x'0001ff');
    insert into reviews (isbn, reviewer, stars) values ('9', 'zoe', 3), ('2', 'zoe', 2);
    update authors set name = 'Änn', born = -0.0 where id = 1;
    update books set price = 0.30000000000000004, cover = null where isbn = '2';
    delete from books where isbn = '1';
    delete from notes where id = 1;";

/// Changes that stand beside the others.
const OTHER_CHANGES: &str = "insert into publishers (code, name) values ('late', 'Late'); \
    update authors set name = 'Cyn' where id = 3;";

/// Changes that are in the way of the others.
const RIVAL_CHANGES: &str = "insert into publishers (code, name) values ('new', 'Newer'); \
    insert into authors (id, name) values (41, 'Eve'); update books set price = 7 where isbn = '2'; \
    insert into reviews (isbn, reviewer, stars) values ('1', 'eve', 2);";

fn undo(session: &Session<'_>, on_conflict: OnConflict) -> Result<(), Error> {
    session.undo_with(None, on_conflict, now() + Duration::hours(1)).map(|_| ())
}

fn changed(session: &Session<'_>) {
    session.write(CHANGES).unwrap();
}

fn archived(session: &Session<'_>) {
    changed(session);
    assert!(session.reset().archive.is_some());
}

fn archived_and_changed_otherwise(session: &Session<'_>) {
    archived(session);
    session.write(OTHER_CHANGES).unwrap();
}

fn archived_and_in_conflict(session: &Session<'_>) {
    archived(session);
    session.write(RIVAL_CHANGES).unwrap();
}

const OPERATIONS: [Operation; 7] = [
    Operation { name: "write", prepare: |_| (), run: write_statement_by_statement },
    Operation {
        name: "reset",
        prepare: changed,
        run: |session| {
            let archive = ArchiveId(Uuid::new_v4());
            session.fixture.database.reset(session.id, archive, now()).map(|_| ())
        },
    },
    Operation { name: "undo", prepare: archived, run: |session| undo(session, OnConflict::Fail) },
    Operation {
        name: "undo by merging",
        prepare: archived_and_changed_otherwise,
        run: |session| undo(session, OnConflict::Fail),
    },
    Operation {
        name: "undo that keeps what is there",
        prepare: archived_and_in_conflict,
        run: |session| undo(session, OnConflict::KeepCurrent),
    },
    Operation {
        name: "undo that restores what was archived",
        prepare: archived_and_in_conflict,
        run: |session| undo(session, OnConflict::RestoreArchived),
    },
    Operation { name: "reset of some records", prepare: changed, run: reset_some_records },
];

fn write_statement_by_statement(session: &Session<'_>) -> Result<(), Error> {
    let sql = session.fixture.backend.sql(CHANGES);
    session.fixture.database.write(session.id, now(), |conn| {
        for statement in sql.split(';').filter(|statement| !statement.trim().is_empty()) {
            conn.batch_execute(statement)?;
        }
        Ok(())
    })
}

fn reset_some_records(session: &Session<'_>) -> Result<(), Error> {
    let record = |table: &str, key: &str| RecordKey { table: table.to_owned(), key: vec![key.to_owned()] };
    let records = [record("authors", "40"), record("books", "1"), record("publishers", "new")];
    let archive = ArchiveId(Uuid::new_v4());
    session.fixture.database.reset_records(session.id, &records, archive, now()).map(|_| ())
}

/// What an operation has to end with, but for ids: the world, and each archive's changes.
pub fn outcome(session: &Session<'_>) -> Vec<String> {
    let mut outcome = session.world();
    for archive in session.fixture.database.archives(session.id).unwrap() {
        let changes = session.fixture.database.archived_changes(session.id, archive.id).unwrap();
        outcome.push(format!("{:?} {:?}", archive.counts, archive.restored_at));
        outcome.extend(changes.into_iter().map(|change| format!("{change:?}")));
    }
    outcome
}

/// Tries an operation with its first, second, … fault, each time in a session of its own, until it meets none. How
/// often it failed.
fn fail_at_each<F>(
    fixture: &Fixture,
    operation: &Operation,
    title: &str,
    step: fn(usize) -> usize,
    mut with_fault: F,
) -> usize
where
    F: FnMut(usize, &mut dyn FnMut() -> Result<(), Error>) -> (Result<(), Error>, bool),
{
    let Operation { name, prepare, run } = operation;
    let user = |n: usize| format!("{title} {name} {n}");
    let faultless = fixture.session(&user(0));
    prepare(&faultless);
    run(&faultless).unwrap();
    let expected = outcome(&faultless);
    let base = fixture.base_dump();
    let (mut failed, mut next) = (0, 1);
    loop {
        let n = next;
        next += step(n);
        let session = fixture.session(&user(n));
        prepare(&session);
        let before = engine_dump(fixture);
        let (result, was_met) = with_fault(n, &mut || run(&session));
        let at = format!("{title} {n} of {name}");
        match result {
            Err(error) => {
                assert!(was_met, "{at}: {error:?}");
                assert!(matches!(error, Error::Unavailable(_) | Error::Database(_)), "{at}: {error:?}");
                assert_eq!(engine_dump(fixture), before, "{at}: {error:?}");
                run(&session).unwrap_or_else(|error| panic!("after {at}: {error:?}"));
                failed += 1;
            }
            // A connection that is found dead before the operation begins is replaced, and a checkpoint after the
            // commit that fails is made later.
            Ok(()) if was_met => {}
            Ok(()) => break,
        }
        assert_eq!(outcome(&session), expected, "{at}");
    }
    assert_eq!(fixture.base_dump(), base, "{name}");
    assert!(fixture.database.verify().unwrap().base_is_intact());
    failed
}

on_each_database! { fn an_operation_that_fails_at_any_of_its_statements_changes_nothing_and_succeeds_when_done_again(backend) {
    let fixture = library(backend);
    let mut counts = Vec::new();
    for operation in &OPERATIONS {
        let failed = fail_at_each(&fixture, operation, "statement", |_| 1, |n, work| {
            with_failing_statement(&fixture, n, work)
        });
        // On PostgreSQL a reset is one statement, and so is most undo, which is repeated where the connection was lost.
        let is_repeated = ["reset", "undo"].contains(&operation.name) && backend == Backend::Postgres;
        assert_eq!(failed == 0, is_repeated, "{}: {failed} statements failed", operation.name);
        counts.push(format!("{} {failed}", operation.name));
    }
    say(&format!("failed statements on {backend:?}: {}", counts.join(", ")));
}}

// A cleanup is many small transactions: what was done until then stays done.

/// A user with two archives that expire and a layer; one who is idle; one who is at work.
struct Users<'a> {
    old: Session<'a>,
    idle: Session<'a>,
    active: Session<'a>,
}

fn a_month_later() -> DateTime<Utc> {
    now() + Duration::days(30)
}

impl<'a> Users<'a> {
    fn new(fixture: &'a Fixture) -> Self {
        let users = Self {
            old: fixture.session("old"),
            idle: fixture.session("idle"),
            active: fixture.session("active"),
        };
        for _ in 0..2 {
            archived(&users.old);
        }
        changed(&users.old);
        changed(&users.idle);
        let later = a_month_later() - Duration::hours(1);
        let key = UserKey::new("acme", "active").unwrap();
        fixture.database.session(&key, SessionId(Uuid::new_v4()), later).unwrap();
        changed(&users.active);
        assert!(users.active.reset_at(later).archive.is_some());
        users.active.write(OTHER_CHANGES).unwrap();
        users
    }

    fn all(&self) -> [&Session<'a>; 3] {
        [&self.old, &self.idle, &self.active]
    }

    fn worlds(&self) -> Vec<Vec<String>> {
        self.all().map(|session| session.world()).into()
    }
}

fn cleanup(fixture: &Fixture, at: DateTime<Utc>) -> Result<CleanupReport, Error> {
    fixture.database.cleanup(at, &mut || ArchiveId(Uuid::new_v4()))
}

/// Cuts a cleanup at each place in turn. How often it was cut.
fn cleanup_cut_at_each<F>(
    fixture: &Fixture,
    title: &str,
    step: fn(usize) -> usize,
    mut with_fault: F,
) -> usize
where
    F: FnMut(usize, &mut dyn FnMut() -> Result<CleanupReport, Error>) -> (Result<CleanupReport, Error>, bool),
{
    let base = fixture.base_dump();
    Users::new(fixture);
    cleanup(fixture, a_month_later()).unwrap();
    let sizes = table_sizes(fixture);
    remove_everything(fixture);
    let (mut failed, mut next) = (0, 1);
    loop {
        let n = next;
        next += step(n);
        let users = Users::new(fixture);
        let active = outcome(&users.active);
        let worlds = users.worlds();
        let (result, was_met) = with_fault(n, &mut || cleanup(fixture, a_month_later()));
        let at = format!("{title} {n} of a cleanup");
        if let Err(error) = &result {
            assert!(matches!(error, Error::Unavailable(_) | Error::Database(_)), "{at}: {error:?}");
            // Each layer is live still, or archived as a whole.
            for (session, world) in users.all().into_iter().zip(&worlds) {
                let seen = session.world();
                assert!(seen == *world || seen == base, "{at}: {seen:?}");
            }
            cleanup(fixture, a_month_later()).unwrap_or_else(|error| panic!("after {at}: {error:?}"));
            failed += 1;
        }
        assert_eq!(outcome(&users.active), active, "{at}");
        // As much is left as a cleanup leaves that was not cut, and what it archived comes back.
        assert_eq!(table_sizes(fixture), sizes, "{at}");
        for (session, world) in [(&users.old, &worlds[0]), (&users.idle, &worlds[1])] {
            session.undo_with(None, OnConflict::Fail, a_month_later()).unwrap();
            assert_eq!(session.world(), *world, "{at}");
        }
        remove_everything(fixture);
        if result.is_ok() && !was_met {
            break;
        }
    }
    assert_eq!(fixture.base_dump(), base);
    failed
}

/// How many rows the tables hold in which sessions leave something.
fn table_sizes(fixture: &Fixture) -> Vec<usize> {
    let dump = engine_dump(fixture);
    let rows = |table: &str| {
        let prefix = format!("{table}: ");
        let of_table =
            dump.iter().filter(|line| line.starts_with(&prefix) || line.starts_with(&format!("{table}<")));
        // A line is a row on SQLite and a table on PostgreSQL.
        of_table.map(|line| line.matches("</row>").count().max(usize::from(line.starts_with(&prefix)))).sum()
    };
    let changes = if fixture.backend == Backend::Sqlite { "demo_changes_" } else { "" };
    let mut tables: Vec<String> = tables().iter().map(|table| format!("{changes}{table}")).collect();
    tables.extend(
        ["demo_user_sessions", "demo_archives", "demo_layer_counts", "demo_purges"].map(str::to_owned),
    );
    tables.iter().map(|table| rows(table)).collect()
}

/// Two more cleanups, long after, leave nothing of any session.
fn remove_everything(fixture: &Fixture) {
    for months in [3, 6] {
        cleanup(fixture, now() + Duration::days(30 * months)).unwrap();
    }
    let sizes = table_sizes(fixture);
    assert!(sizes.iter().all(|size| *size == 0), "{sizes:?}");
}

on_each_database! { fn a_cleanup_that_fails_at_any_of_its_statements_halves_nothing_and_ends_when_done_again(backend) {
    let fixture = library(backend);
    let failed = cleanup_cut_at_each(&fixture, "statement", |_| 1, |n, work| with_failing_statement(&fixture, n, work));
    assert!(failed >= 30, "{failed} statements failed");
    say(&format!("failed statements of a cleanup on {backend:?}: {failed}"));
}}

// A load builds beside the old base, or in one transaction over it.

/// Loads the library anew with one row more, statement by statement.
fn load(fixture: &Fixture, n: usize) -> Result<(), Error> {
    load_at(&fixture.url, fixture.backend, n)
}

fn load_at(url: &DatabaseUrl, backend: Backend, n: usize) -> Result<(), Error> {
    let library = backend.library();
    load_base(url, Uuid::new_v4(), now(), |conn| {
        for statement in library.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            // On PostgreSQL the tables are there, and emptied.
            if backend == Backend::Sqlite || !statement.starts_with("create") {
                conn.batch_execute(statement)?;
            }
        }
        conn.batch_execute(&format!("insert into publishers values ('load', 'load {n}')"))?;
        Ok(())
    })
}

/// Cuts a load at each place in turn. How often it was cut.
fn load_cut_at_each<F>(
    fixture: &mut Fixture,
    title: &str,
    step: fn(usize) -> usize,
    mut with_fault: F,
) -> usize
where
    F: FnMut(&Fixture, usize, &mut dyn FnMut() -> Result<(), Error>) -> (Result<(), Error>, bool),
{
    fixture.session("ann").write(CHANGES).unwrap();
    let (mut failed, mut next) = (0, 1);
    loop {
        let n = next;
        next += step(n);
        let before = (fixture.base_dump(), engine_dump(fixture));
        let (result, was_met) = with_fault(fixture, n, &mut || load(fixture, n));
        let at = format!("{title} {n} of a load");
        if let Err(error) = &result {
            assert!(was_met, "{at}: {error:?}");
            let is_typed = matches!(error, Error::Unavailable(_) | Error::Database(_) | Error::File { .. });
            assert!(is_typed, "{at}: {error:?}");
            assert_eq!((fixture.base_dump(), engine_dump(fixture)), before, "{at}: {error:?}");
            assert!(fixture.database.verify().unwrap().base_is_intact(), "{at}");
            load(fixture, n).unwrap_or_else(|error| panic!("after {at}: {error:?}"));
            failed += 1;
        }
        fixture.database =
            Database::open(&fixture.url, OpenOptions { readers: 1, ..options() }, now()).unwrap();
        let session = fixture.session("ann");
        let seen = "select (select name from publishers where code = 'load')||' '||(select name from authors where id = 1)";
        assert_eq!(session.value(seen), format!("load {n} Änn"), "{at}");
        assert!(fixture.database.verify().unwrap().base_is_intact(), "{at}");
        if result.is_ok() && !was_met {
            break;
        }
    }
    failed
}

on_each_database! { fn a_load_that_fails_at_any_of_its_statements_leaves_the_old_base_and_succeeds_when_done_again(backend) {
    let mut fixture = library(backend);
    let failed = load_cut_at_each(&mut fixture, "statement", |_| 1, |fixture, n, work| with_failing_statement(fixture, n, work));
    assert!(failed >= 20, "{failed} statements failed");
    say(&format!("failed statements of a load on {backend:?}: {failed}"));
}}

// A disk that fails.

/// What can fail of a disk, and for how long. A full one only fails where something is written.
const DISK_FAULTS: [(Io, Failure, Lasting); 8] = [
    (Io::Write, Failure::Full, Lasting::Once),
    (Io::Write, Failure::Full, Lasting::Ever),
    (Io::Write, Failure::Broken, Lasting::Ever),
    (Io::Read, Failure::Broken, Lasting::Once),
    (Io::Read, Failure::Broken, Lasting::Ever),
    (Io::Sync, Failure::Broken, Lasting::Ever),
    (Io::Truncate, Failure::Broken, Lasting::Once),
    (Io::Open, Failure::Full, Lasting::Ever),
];

/// From one call to the next that fails: all of them on demand; else the first ones, and then one in so many.
fn step(n: usize) -> usize {
    if std::env::var_os("DEMO_RESET_EVERY_FAULT").is_some() { 1 } else { 1 + n / 6 }
}

fn with_failing_disk<T>(
    (of, failure, lasting): (Io, Failure, Lasting),
    nth: usize,
    work: impl FnOnce() -> T,
) -> (T, bool) {
    let fault = sqlite_faults::fail(of, nth, failure, lasting);
    let result = work();
    (result, fault.was_met())
}

/// The library on a disk that is really used: little is kept in memory that could be read again, and each commit is
/// brought into the file at once.
fn library_on_disk() -> Fixture {
    let fixture = library(Backend::Sqlite);
    let settings = "pragma cache_size = 8; pragma wal_autocheckpoint = 1";
    on_the_writer(&fixture, |conn| conn.batch_execute(settings).unwrap());
    fixture
}

#[derive(Default)]
struct Counts(BTreeMap<String, usize>);

impl Counts {
    fn add(&mut self, (of, failure, _): (Io, Failure, Lasting), failed: usize) {
        *self.0.entry(format!("{of:?} {failure:?}")).or_default() += failed;
    }

    /// Every kind of fault has met something, but for those that this operation does not do.
    fn say(&self, what: &str) {
        say(&format!("{what} that failed at a call to the disk: {:?}", self.0));
        for kind in ["Write Full", "Write Broken", "Read Broken"] {
            assert!(self.0[kind] > 0, "{kind}: {:?}", self.0);
        }
    }
}

#[test]
fn an_operation_on_a_full_or_broken_disk_changes_nothing_and_succeeds_when_the_disk_does() {
    let mut counts = Counts::default();
    for fault in DISK_FAULTS {
        for operation in &OPERATIONS {
            let fixture = library_on_disk();
            let title = format!("{fault:?}");
            let failed =
                fail_at_each(&fixture, operation, &title, step, |n, work| with_failing_disk(fault, n, work));
            counts.add(fault, failed);
        }
    }
    counts.say("operations");
}

#[test]
fn a_cleanup_on_a_full_or_broken_disk_halves_nothing_and_ends_when_the_disk_works() {
    let mut counts = Counts::default();
    for fault in DISK_FAULTS {
        let fixture = library_on_disk();
        let title = format!("{fault:?}");
        counts.add(
            fault,
            cleanup_cut_at_each(&fixture, &title, step, |n, work| with_failing_disk(fault, n, work)),
        );
    }
    counts.say("cleanups");
}

#[test]
fn a_load_on_a_full_or_broken_disk_leaves_the_old_base_and_succeeds_when_the_disk_works() {
    let mut counts = Counts::default();
    for fault in DISK_FAULTS {
        let mut fixture = library_on_disk();
        let title = format!("{fault:?}");
        let failed =
            load_cut_at_each(&mut fixture, &title, step, |_, n, work| with_failing_disk(fault, n, work));
        counts.add(fault, failed);
    }
    counts.say("loads");
}

#[test]
fn a_database_that_cannot_be_opened_for_its_disk_is_opened_when_the_disk_works() {
    let fixture = library(Backend::Sqlite);
    let mut counts = Counts::default();
    for fault in DISK_FAULTS {
        let mut n = 1;
        loop {
            let (folder, url) = copy_of(&fixture, &["demo.db"]);
            let open = || Database::open(&url, options(), now());
            let (opened, was_met) = with_failing_disk(fault, n, open);
            if !was_met {
                opened.unwrap();
                break;
            }
            if let Err(error) = opened {
                let is_typed =
                    matches!(error, Error::Unavailable(_) | Error::Database(_) | Error::File { .. });
                assert!(is_typed, "{fault:?} {n}: {error:?}");
                counts.add(fault, 1);
            }
            let database = open().unwrap_or_else(|error| panic!("after {fault:?} {n}: {error:?}"));
            let user = UserKey::new("acme", "ann").unwrap();
            let session = database.session(&user, SessionId(Uuid::new_v4()), now()).unwrap().id;
            let write = |conn: &mut AnyConnection| conn.batch_execute(CHANGES).map_err(Error::from);
            database.write(session, now(), write).unwrap();
            assert!(database.verify().unwrap().base_is_intact());
            drop((database, folder));
            n += step(n);
        }
    }
    counts.say("openings");
}

// What a power cut leaves: copies of the files, taken while everybody works.

/// The files of the fixture in a folder of their own, those that exist.
fn copy_of(fixture: &Fixture, files: &[&str]) -> (tempfile::TempDir, DatabaseUrl) {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let from = fixture.base_file().with_file_name(file);
        if from.exists() {
            std::fs::copy(from, folder.path().join(file)).unwrap();
        }
    }
    let url = format!("sqlite://{}", folder.path().join("demo.db").display()).parse().unwrap();
    (folder, url)
}

/// A user's world: the number that the last write left in four places, if its changes are live; and the one that the
/// newest archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Numbers {
    live: Option<i64>,
    archived: Option<i64>,
}

/// What is acknowledged, and what an operation in flight will leave.
#[derive(Debug, Clone, Copy)]
struct Known {
    now: Numbers,
    then: Option<Numbers>,
}

/// One more operation of a user: writes, resets and undos in turn.
fn work(session: &Session<'_>, known: &Mutex<Known>, random: &mut Random, count: i64) {
    let Numbers { live, archived } = known.lock().unwrap().now;
    let announce = |then| known.lock().unwrap().then = Some(then);
    match (live, archived, random.below(3)) {
        (Some(_), _, 0) => {
            announce(Numbers { live: None, archived: live });
            assert!(session.reset().archive.is_some());
        }
        (None, Some(_), _) => {
            announce(Numbers { live: archived, archived: None });
            session.undo().unwrap();
        }
        _ => {
            announce(Numbers { live: Some(count), archived });
            let write = format!(
                "update books set price = {count} where isbn in ('1', '2'); update authors set born = {count} where id = 1; \
                 delete from notes where id = 77; insert into notes (id, isbn, body) values (77, '1', '{count}')"
            );
            session.write(&write).unwrap();
        }
    }
    let mut known = known.lock().unwrap();
    known.now = known.then.take().unwrap();
}

/// How a copy shows a user: the same number everywhere, or that of the base.
fn numbers_in(database: &Database, user: &str) -> Numbers {
    let key = UserKey::new("acme", user).unwrap();
    let session = database.session_find(&key).unwrap().unwrap().id;
    let look = "select (select cast(price as integer) from books where isbn = '1')||' '||(select cast(price as integer) from books where isbn = '2')\
        ||' '||(select born from authors where id = 1)||' '||coalesce((select body from notes where id = 77), '-') as value";
    let seen = database.read(session, |conn| Ok::<_, Error>(texts(conn, look).remove(0))).unwrap();
    let live = match seen.split(' ').collect::<Vec<_>>()[..] {
        ["0", "2", "1950", "-"] => None,
        [a, b, c, d] if a == b && b == c && c == d => Some(a.parse().unwrap()),
        _ => panic!("half of a write: {seen}"),
    };
    let archives = database.archives(session).unwrap();
    let newest = archives.iter().find(|archive| archive.state(now()) == ArchiveState::Available);
    let archived = newest.map(|archive| {
        let changes = database.archived_changes(session, archive.id).unwrap();
        let note = changes.iter().find(|change| change.table == "notes" && change.key == ["77"]).unwrap();
        assert_eq!(changes.len(), 4);
        note.snapshot["body"].as_str().unwrap().parse().unwrap()
    });
    Numbers { live, archived }
}

#[test]
fn a_copy_of_the_files_at_any_moment_under_load_is_some_committed_state() {
    let given = std::env::var("DEMO_RESET_COPIES").ok().and_then(|text| text.parse().ok());
    let copies: usize = given.unwrap_or(40);
    sqlite_faults::install();
    let fixture = Fixture::library(Backend::Sqlite);
    on_the_writer(&fixture, |conn| conn.batch_execute("pragma wal_autocheckpoint = 20").unwrap());
    let users = ["ann", "ben", "cy"];
    let nothing = Known { now: Numbers { live: None, archived: None }, then: None };
    let known = users.map(|_| Mutex::new(nothing));
    let sessions = users.map(|user| fixture.session(user));
    let done = AtomicBool::new(false);
    let calls = AtomicUsize::new(0);
    let (mut in_flight, mut with_log) = (0, 0);
    std::thread::scope(|scope| {
        for (at, (session, known)) in sessions.iter().zip(&known).enumerate() {
            let (done, calls) = (&done, &calls);
            scope.spawn(move || {
                let mut random = Random::new(at as u64);
                for count in 3.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    work(session, known, &mut random, count);
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut random = Random::new(7);
        let mut check = || {
            for _ in 0..copies {
                // Some operations later, and then somewhere inside one.
                let until = calls.load(Ordering::Relaxed) + 1 + random.below(12);
                while calls.load(Ordering::Relaxed) < until {
                    std::thread::yield_now();
                }
                for _ in 0..random.below(200) {
                    std::thread::yield_now();
                }
                let files = ["demo.db", "demo.sessions.db", "demo.sessions.db-wal"];
                let ((folder, url), expected) = sqlite_faults::hold(|| {
                    (copy_of(&fixture, &files), known.each_ref().map(|known| *known.lock().unwrap()))
                });
                let log = std::fs::metadata(folder.path().join(files[2]));
                with_log += usize::from(log.is_ok_and(|log| log.len() > 0));
                let sessions = folder.path().join(files[1]).display().to_string();
                let mut conn = AnyConnection::Sqlite(SqliteConnection::establish(&sessions).unwrap());
                assert_eq!(
                    texts(&mut conn, "select integrity_check as value from pragma_integrity_check"),
                    ["ok"]
                );
                assert_eq!(
                    texts(&mut conn, "select \"table\" as value from pragma_foreign_key_check"),
                    [""; 0]
                );
                drop(conn);
                let database = Database::open(&url, options(), now()).unwrap();
                assert!(database.verify().unwrap().base_is_intact());
                for (user, Known { now, then }) in users.iter().zip(expected) {
                    let found = numbers_in(&database, user);
                    assert!(
                        found == now || Some(found) == then,
                        "{user}: {found:?}, not {now:?} or {then:?}"
                    );
                    in_flight += usize::from(then.is_some());
                }
            }
        };
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut check));
        done.store(true, Ordering::Relaxed);
        if let Err(panic) = checked {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(in_flight > 0 && with_log > 0, "{in_flight} operations in flight, {with_log} copies with a log");
    say(&format!("{copies} copies, {with_log} of them with a log, {in_flight} operations in flight"));
}

// What a power cut leaves: also what was written and not synced is gone, or half there.

/// What a run of three users in turn has written, and what was acknowledged when.
struct Run {
    fixture: Fixture,
    disk: Disk,
    events: Vec<Event>,
    /// The state of all after each operation, and how many events there were when it was acknowledged.
    states: Vec<([Numbers; 3], usize)>,
}

const USERS: [&str; 3] = ["ann", "ben", "cy"];

fn run_on_a_recorded_disk(settings: &str, operations: i64) -> Run {
    sqlite_faults::install();
    let fixture = Fixture::library(Backend::Sqlite);
    let sessions = USERS.map(|user| fixture.session(user));
    on_the_writer(&fixture, |conn| conn.batch_execute(settings).unwrap());
    let files = ["demo.db", "demo.sessions.db", "demo.sessions.db-wal"];
    let disk = Disk::new(files.iter().filter_map(|file| {
        let path = fixture.base_file().with_file_name(file);
        std::fs::read(&path).ok().map(|content| (path, content))
    }));
    let nothing = Known { now: Numbers { live: None, archived: None }, then: None };
    let known = USERS.map(|_| Mutex::new(nothing));
    let mut random = Random::new(11);
    let mut states = vec![([nothing.now; 3], 0)];
    sqlite_faults::record();
    for count in 3..3 + operations {
        let user = random.below(3);
        work(&sessions[user], &known[user], &mut random, count);
        states.push((known.each_ref().map(|known| known.lock().unwrap().now), sqlite_faults::recorded()));
    }
    let events = sqlite_faults::stop_recording();
    Run { fixture, disk, events, states }
}

/// What is on the disk where `kept` of four pieces are that were not synced, and whether others are gone.
fn cut(disk: &Disk, kept: usize, random: &mut Random) -> (BTreeMap<PathBuf, Vec<u8>>, bool) {
    let (mut pieces, mut gone) = (0, 0);
    let files = disk.cut(|| {
        let is_kept = random.below(4) < kept;
        pieces += 1;
        gone += usize::from(!is_kept);
        is_kept
    });
    (files, gone > 0 && gone < pieces)
}

/// Cuts the power at moments that chance chooses. At how many of them something acknowledged was lost.
fn cut_the_power(run: Run, cuts: usize) -> usize {
    let Run { fixture, mut disk, events, states } = run;
    let log = fixture.base_file().with_file_name("demo.sessions.db-wal");
    let mut random = Random::new(13);
    let mut moments: Vec<usize> = (0..cuts).map(|_| random.below(events.len() + 1)).collect();
    moments.sort_unstable();
    let (mut happened, mut synced, mut torn, mut losses) = (0, 0, 0, 0);
    for moment in moments {
        while happened < moment {
            disk.take(&events[happened]);
            happened += 1;
            if events[happened - 1] == Event::Sync(log.clone()) {
                synced = happened;
            }
        }
        let kept = random.below(5);
        let (files, is_torn) = cut(&disk, kept, &mut random);
        torn += usize::from(is_torn);
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in files {
            std::fs::write(folder.path().join(file.file_name().unwrap()), content).unwrap();
        }
        let sessions = folder.path().join("demo.sessions.db").display().to_string();
        let mut conn = AnyConnection::Sqlite(SqliteConnection::establish(&sessions).unwrap());
        let check = "select integrity_check as value from pragma_integrity_check";
        let at = format!("power cut after {moment} of {} calls, {kept}/4 of the rest kept", events.len());
        assert_eq!(texts(&mut conn, check), ["ok"], "{at}");
        drop(conn);
        let url = format!("sqlite://{}", folder.path().join("demo.db").display()).parse().unwrap();
        // A busy machine takes its time to open so many.
        let patient = OpenOptions { connection_timeout: std::time::Duration::from_secs(120), ..options() };
        let database = Database::open(&url, patient, now()).unwrap_or_else(|error| panic!("{at}: {error:?}"));
        assert!(database.verify().unwrap().base_is_intact(), "{at}");
        let found = USERS.map(|user| numbers_in(&database, user));
        // What was in the log when it was synced stays; then come the acknowledged operations, and the one in flight.
        let done = states.partition_point(|(_, at)| *at <= moment) - 1;
        let safe = states.partition_point(|(_, at)| *at <= synced).saturating_sub(1);
        let possible = &states[safe..states.len().min(done + 2)];
        assert!(
            possible.iter().any(|(state, _)| *state == found),
            "{at}: {found:?}, not one of {possible:?}"
        );
        losses +=
            usize::from(states[done..states.len().min(done + 2)].iter().all(|(state, _)| *state != found));
    }
    assert!(torn > cuts / 10, "{torn} of {cuts} cuts left some pieces and lost others");
    say(&format!(
        "{cuts} power cuts, {torn} of them with half of something, {losses} lost acknowledged operations"
    ));
    losses
}

/// How many cuts are tried.
fn power_cuts() -> usize {
    std::env::var("DEMO_RESET_POWER_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(50)
}

#[test]
fn a_power_cut_during_a_load_leaves_the_old_base_over_which_another_load_succeeds() {
    sqlite_faults::install();
    let fixture = Fixture::library(Backend::Sqlite);
    let ann = fixture.session("ann");
    changed(&ann);
    let world = ann.world();
    let (old, _) = copy_of(&fixture, &["demo.db", "demo.sessions.db", "demo.sessions.db-wal"]);
    sqlite_faults::record();
    load(&fixture, 0).unwrap();
    let events = sqlite_faults::stop_recording();
    let loading = fixture.base_file().with_file_name("demo.db.loading");
    let open = |folder: &std::path::Path| {
        let url = format!("sqlite://{}", folder.join("demo.db").display()).parse().unwrap();
        // A busy machine takes its time to open so many.
        let patient = OpenOptions { connection_timeout: std::time::Duration::from_secs(120), ..options() };
        (Database::open(&url, patient, now()).unwrap(), url)
    };
    let seen_in = |database: &Database| {
        let id = database.session_find(&UserKey::new("acme", "ann").unwrap()).unwrap().unwrap().id;
        database.read(id, |conn| Ok::<_, Error>(dump(conn, &tables()))).unwrap()
    };
    let mut random = Random::new(17);
    let mut torn = 0;
    for n in 1..=power_cuts() {
        let mut disk = Disk::new([]);
        let moment = random.below(events.len() + 1);
        events[..moment].iter().for_each(|event| disk.take(event));
        let kept = random.below(5);
        let (files, is_torn) = cut(&disk, kept, &mut random);
        torn += usize::from(is_torn);
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(old.path()).unwrap().map(Result::unwrap) {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        // Nothing but the new file was written: the old one is as it was.
        for (file, content) in files {
            assert_eq!(file, loading);
            std::fs::write(folder.path().join("demo.db.loading"), content).unwrap();
        }
        let (database, url) = open(folder.path());
        assert!(database.verify().unwrap().base_is_intact());
        assert_eq!(seen_in(&database), world, "power cut after {moment} of {} calls", events.len());
        drop(database);
        load_at(&url, Backend::Sqlite, n).unwrap();
        let (database, _) = open(folder.path());
        assert!(database.verify().unwrap().base_is_intact());
        assert!(seen_in(&database).contains(&format!("publishers: 'load','load {n}'")), "{n}");
    }
    assert!(torn > 0, "no cut left some pieces and lost others");
    say(&format!("{} power cuts in a load, {torn} of them with half of something", power_cuts()));
}

#[test]
fn a_power_cut_at_any_moment_leaves_some_acknowledged_state_and_all_that_the_log_had_synced() {
    let cuts = power_cuts();
    let operations = 40 + i64::try_from(cuts / 50).unwrap();
    // As the engine opens its files: the last operations may be gone, wholly and the newest first.
    let losses = cut_the_power(run_on_a_recorded_disk("pragma wal_autocheckpoint = 20", operations), cuts);
    assert!(losses > 0, "nothing was lost, so nothing was simulated");
    // With every commit synced nothing is lost. The setting cannot be changed within a transaction.
    let durable = "commit; pragma wal_autocheckpoint = 20; pragma synchronous = full; begin immediate";
    assert_eq!(cut_the_power(run_on_a_recorded_disk(durable, operations), cuts), 0);
}
