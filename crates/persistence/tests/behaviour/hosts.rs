//! Databases that others made: attached where they stand, used by sessions, left as they were found.

use std::process::Command;

use chrono::Duration;
use demo_reset_domain::{ArchiveId, OnConflict, SessionId, UserKey};
use demo_reset_persistence::{
    AnyConnection, AttachOptions, BaseState, Database, DatabaseUrl, Error, HostState, NoteKind, OpenOptions,
    SessionConnection, attach, attach_check, base_state, detach, load_base, status, suspend,
};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use uuid::Uuid;

use crate::fixture::{Backend, HostDatabase, now, on_each_database};

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    value: String,
}

const CHINOOK_SQLITE: &str = include_str!("../data/chinook/Chinook_Sqlite.sql");
const CHINOOK_POSTGRES: &str = include_str!("../data/chinook/Chinook_PostgreSql_SerialPKs.sql");

/// The music shop as its author wrote it.
fn chinook(backend: Backend) -> HostDatabase {
    match backend {
        Backend::Sqlite => HostDatabase::new(backend, CHINOOK_SQLITE),
        Backend::Postgres => {
            // It begins by making its own database, in the words of psql.
            let (_, tables) = CHINOOK_POSTGRES.split_once("\\c chinook_serial;").unwrap();
            HostDatabase::new(backend, tables)
        }
    }
}

/// Names are spelled otherwise in the two scripts.
fn spelled(backend: Backend, sql: &str) -> String {
    match backend {
        Backend::Postgres => sql.to_owned(),
        Backend::Sqlite => {
            let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
            sql.split_inclusive(|c: char| !is_word(c)).map(|part| part.replace('_', "")).collect()
        }
    }
}

const TABLES: [(&str, &str); 11] = [
    ("album", "album_id"),
    ("artist", "artist_id"),
    ("customer", "customer_id"),
    ("employee", "employee_id"),
    ("genre", "genre_id"),
    ("invoice", "invoice_id"),
    ("invoice_line", "invoice_line_id"),
    ("media_type", "media_type_id"),
    ("playlist", "playlist_id"),
    ("playlist_track", "playlist_id"),
    ("track", "track_id"),
];

/// Whose session it is.
struct Ann<'a> {
    backend: Backend,
    database: &'a Database,
    id: SessionId,
}

impl<'a> Ann<'a> {
    fn new(backend: Backend, database: &'a Database, user: &str) -> Self {
        let key = UserKey::new("any text: ✓", user).unwrap();
        Self { backend, database, id: database.session(&key, SessionId(Uuid::new_v4()), now()).unwrap().id }
    }

    fn write(&self, sql: &str) -> Result<(), Error> {
        let sql = spelled(self.backend, sql);
        self.database.write(self.id, now(), |conn| conn.batch_execute(&sql).map_err(Error::from))
    }

    fn query(&self, sql: &str) -> Vec<String> {
        self.database.read(self.id, |conn| Ok::<_, Error>(query(self.backend, conn, sql))).unwrap()
    }

    fn reset(&self) {
        self.database.reset(self.id, ArchiveId(Uuid::new_v4()), now()).unwrap();
    }

    fn undo(&self) {
        let at = now() + Duration::hours(1);
        self.database.undo(self.id, None, OnConflict::Fail, ArchiveId(Uuid::new_v4()), at).unwrap();
    }
}

fn query(backend: Backend, conn: &mut AnyConnection, sql: &str) -> Vec<String> {
    let rows: Vec<TextRow> = diesel::sql_query(spelled(backend, sql)).load(conn).unwrap();
    rows.into_iter().map(|row| row.value).collect()
}

/// Every table, row by row.
fn world(backend: Backend, conn: &mut AnyConnection) -> Vec<String> {
    let mut rows = Vec::new();
    for (table, _) in TABLES {
        let text = match backend {
            Backend::Postgres => {
                format!("select '{table} ' || (t.*)::text as value from {table} t order by 1")
            }
            Backend::Sqlite => {
                let table = table.replace('_', "");
                let columns: Vec<TextRow> = diesel::sql_query(format!(
                    "select name as value from pragma_table_xinfo('{table}') where \
                     name not in ('demo_user_session_id', 'is_base_data', 'change_kind') order by cid"
                ))
                .load(conn)
                .unwrap();
                let values: Vec<String> = columns.iter().map(|row| format!("quote({})", row.value)).collect();
                format!("select '{table} ' || {} as value from {table} order by 1", values.join("||','||"))
            }
        };
        rows.extend(diesel::sql_query(text).load::<TextRow>(conn).unwrap().into_iter().map(|row| row.value));
    }
    rows
}

const REPORTS: [&str; 4] = [
    "select a.name || ': ' || count(*) || ' ' || sum(l.quantity) as value from artist a join album b on b.artist_id = a.artist_id \
     join track t on t.album_id = b.album_id join invoice_line l on l.track_id = t.track_id \
     group by a.artist_id, a.name order by count(*) desc, a.name limit 20",
    "select g.name || ': ' || count(t.track_id) as value from genre g left join track t on t.genre_id = g.genre_id \
     group by g.genre_id, g.name order by 1",
    "select c.country || ' ' || cast(round(sum(i.total), 2) as text) as value from customer c join invoice i on i.customer_id = c.customer_id \
     group by c.country having count(*) > 7 order by 1",
    "select e.last_name || ' under ' || coalesce(m.last_name, 'nobody') as value from employee e \
     left join employee m on m.employee_id = e.reports_to order by 1",
];

/// What a customer and the shop do, statement by statement.
const SHOPPING: &[&str] = &[
    "insert into invoice (invoice_id, customer_id, invoice_date, billing_country, total) values (900, 2, '2026-02-02', 'Germany', 1.98)",
    "insert into invoice_line (invoice_line_id, invoice_id, track_id, unit_price, quantity) values (9001, 900, 1, 0.99, 1), (9002, 900, 2, 0.99, 1)",
    "update customer set company = 'Moved', city = 'Bonn' where customer_id = 2",
    "insert into artist (artist_id, name) values (901, 'The New Ones')",
    "insert into album (album_id, title, artist_id) values (901, 'First', 901)",
    "update track set album_id = 901 where track_id in (1, 2)",
    // Refused: albums refer to it.
    "delete from artist where artist_id = 1",
    "delete from artist where artist_id = 901",
    // Refused: there is no such artist.
    "update album set artist_id = 99999 where album_id = 2",
    "insert into playlist_track values (1, 99999)",
    // Refused: the key is taken, by a base row and by one of the session.
    "insert into artist (artist_id, name) values (1, 'Again')",
    "insert into artist (artist_id, name) values (901, 'Again')",
    "insert into playlist_track values (1, 3402)",
    // From the leaves up it goes.
    "delete from invoice_line where track_id in (select track_id from track where album_id = 2)",
    "delete from playlist_track where track_id in (select track_id from track where album_id = 2)",
    "delete from track where album_id = 2",
    "delete from album where album_id = 2",
    "update employee set reports_to = 1 where reports_to = 2",
    "delete from employee where employee_id = 2",
    "update track set unit_price = unit_price * 2, milliseconds = milliseconds + 1 where genre_id = 1",
    "update album set title = null where album_id = 3",
    "update playlist_track set track_id = 3 where playlist_id = 18",
    "delete from invoice where invoice_id = 900",
    "delete from invoice_line where invoice_id = 900",
    "delete from invoice where invoice_id = 900",
];

on_each_database! { fn the_music_shop_is_used_by_two_sessions_as_on_tables_of_their_own(backend) {
    let host = chinook(backend);
    let before = host.schema_dump();
    assert_eq!(base_state(&host.url).unwrap(), BaseState::Unsealed);
    let report = attach(&host.url, &AttachOptions::default(), now()).unwrap();
    assert_eq!(report.tables.len(), 11);
    assert_eq!(base_state(&host.url).unwrap(), BaseState::Attached);
    let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
    assert_eq!(database.base_counts().unwrap().len(), 11);
    let (ann, ben) = (Ann::new(backend, &database, "ann"), Ann::new(backend, &database, "ben"));
    let mut plain = chinook(backend).plain();
    for sql in SHOPPING {
        let expected = plain.conn().batch_execute(&spelled(backend, sql)).is_ok();
        let found = ann.write(sql);
        assert_eq!(found.is_ok(), expected, "{sql}: {found:?}");
    }
    for report in REPORTS {
        assert_eq!(ann.query(report), query(backend, plain.conn(), report), "{report}");
        assert_ne!(ben.query("select 'x' as value"), ann.query(report));
    }
    let changed = database.read(ann.id, |conn| Ok::<_, Error>(world(backend, conn))).unwrap();
    assert_eq!(changed, world(backend, plain.conn()));
    let untouched = world(backend, chinook(backend).plain().conn());
    assert_eq!(database.read(ben.id, |conn| Ok::<_, Error>(world(backend, conn))).unwrap(), untouched);
    ben.write("update artist set name = 'Bens' where artist_id = 1").unwrap();

    ann.reset();
    assert_eq!(database.read(ann.id, |conn| Ok::<_, Error>(world(backend, conn))).unwrap(), untouched);
    ann.undo();
    assert_eq!(database.read(ann.id, |conn| Ok::<_, Error>(world(backend, conn))).unwrap(), changed);
    assert!(database.verify().unwrap().base_is_intact());
    assert_eq!(ben.query("select name as value from artist where artist_id = 1"), ["Bens"]);

    // Detach loses changes: it asks first.
    drop(database);
    let refused = detach(&host.url, false, now());
    assert!(matches!(refused, Err(Error::HoldsChanges { sessions: 2, .. })), "{refused:?}");
    host.wait_until_unused();
    assert_eq!(detach(&host.url, true, now()).unwrap().sessions, 2);
    assert_eq!(host.schema_dump(), before);
    assert_eq!(world(backend, &mut host.outsider()), untouched);
    assert_eq!(status(&host.url, now()).unwrap(), None);
    assert!(matches!(detach(&host.url, true, now()), Err(Error::NotAttached { .. })));
}}

on_each_database! { fn keys_are_given_out_as_the_table_would(backend) {
    let host = chinook(backend);
    attach(&host.url, &AttachOptions::default(), now()).unwrap();
    let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
    let ann = Ann::new(backend, &database, "ann");
    ann.write("insert into artist (name) values ('New')").unwrap();
    assert_eq!(ann.query("select cast(artist_id as text) as value from artist where name = 'New'"), ["276"]);
}}

on_each_database! { fn the_engine_never_loads_over_a_database_that_is_not_its_own(backend) {
    let host = HostDatabase::new(backend, "create table mine (id integer primary key); insert into mine values (1)");
    let load = || load_base(&host.url, Uuid::new_v4(), now(), |_| Ok::<_, Error>(()));
    assert!(matches!(load(), Err(Error::ForeignBase { .. })));
    attach(&host.url, &AttachOptions::default(), now()).unwrap();
    assert!(matches!(load(), Err(Error::ForeignBase { .. })));
    let rows: Vec<TextRow> =
        diesel::sql_query("select cast(id as text) as value from mine").load(&mut host.outsider()).unwrap();
    assert_eq!(rows.len(), 1);
}}

on_each_database! { fn a_check_tells_everything_and_changes_nothing(backend) {
    let host = HostDatabase::new(backend, "
        create table parents (id integer primary key, name text);
        create table children (id integer primary key, parent_id integer references parents (id));
        create table keyless (x integer);
        create view names as select name from parents;");
    let before = host.schema_dump();
    let options = AttachOptions { tables: Some(vec!["parents".into()]), tracking_columns: false };
    let statements = ["select * from names", "delete from parents where id = 1",
        "insert into parents values (1, 'x') on conflict (id) do update set name = 'y'", "select nothing from nowhere"]
        .map(str::to_owned);
    let check = attach_check(&host.url, &options, &statements, now()).unwrap();
    assert_eq!((check.report.tables, check.report.views), (vec!["parents".to_owned()], vec!["names".to_owned()]));
    assert_eq!(check.refused, Vec::<String>::new());
    assert_eq!(check.report.notes.len(), 1, "{:?}", check.report.notes);
    assert_eq!((check.report.notes[0].kind, &*check.report.notes[0].object), (NoteKind::RefersFromOutside, "children"));
    let refused: Vec<usize> = check.statements.iter().filter(|found| found.refused).map(|found| found.number).collect();
    assert_eq!(refused, [3, 4], "{:?}", check.statements);
    let all = attach_check(&host.url, &AttachOptions::default(), &[], now()).unwrap();
    assert_eq!(all.refused, ["table keyless: it has no primary key"]);
    assert!(matches!(attach(&host.url, &AttachOptions::default(), now()), Err(Error::Attach { .. })));
    let missing = AttachOptions { tables: Some(vec!["nowhere".into()]), tracking_columns: false };
    let Err(Error::Attach { reasons }) = attach(&host.url, &missing, now()) else { panic!() };
    assert!(reasons[0].starts_with("table nowhere: "), "{reasons:?}");
    assert_eq!(host.schema_dump(), before);
    assert_eq!(base_state(&host.url).unwrap(), BaseState::Unsealed);
}}

on_each_database! { fn the_hosts_views_show_what_the_session_sees(backend) {
    let host = HostDatabase::new(backend, "
        create table things (id integer primary key, name text);
        insert into things values (1, 'one'), (2, 'two');
        create view names as select id, name from things where name is not null;
        create view longest as select max(length(name)) as length from names;");
    attach(&host.url, &AttachOptions::default(), now()).unwrap();
    let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
    let ann = Ann::new(backend, &database, "ann");
    ann.write("update things set name = 'eleven' where id = 1; delete from things where id = 2").unwrap();
    assert_eq!(ann.query("select name as value from names order by id"), ["eleven"]);
    assert_eq!(ann.query("select cast(length as text) as value from longest"), ["6"]);
}}

on_each_database! { fn a_migration_between_suspend_and_attach_keeps_every_change(backend) {
    let host = HostDatabase::new(backend, "
        create table things (id integer primary key, name text not null, old text);
        insert into things values (1, 'one', 'x'), (2, 'two', 'y'), (3, 'three', 'z');");
    attach(&host.url, &AttachOptions::default(), now()).unwrap();
    let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
    let ann = Ann::new(backend, &database, "ann");
    ann.write("update things set name = 'mine' where id = 1; delete from things where id = 2; \
               insert into things values (9, 'new', 'n'); update things set name = 'kept' where id = 3").unwrap();
    suspend(&host.url).unwrap();
    assert_eq!(status(&host.url, now()).unwrap().unwrap().state, HostState::Suspended);
    let user = UserKey::new("any text: ✓", "ann").unwrap();
    let nothing = |_: &mut AnyConnection| Ok::<_, Error>(());
    let all_refused = || {
        let all = [
            database.read(ann.id, nothing),
            database.write(ann.id, now(), nothing),
            database.read_as(&user, ann.id, now(), nothing),
            database.write_as(&user, ann.id, now(), nothing),
        ];
        assert!(all.iter().all(|refused| matches!(refused, Err(Error::Suspended))), "{all:?}");
    };
    all_refused();
    host.outsider().batch_execute("
        alter table things add column price integer default 5;
        update things set price = 7 where id = 1;
        alter table things drop column old;
        delete from things where id = 3;
        insert into things values (9, 'theirs', 8);").unwrap();
    let report = attach(&host.url, &AttachOptions::default(), now()).unwrap();
    assert_eq!(report.adapted[0].differences, ["column price was added", "column old was dropped"]);
    assert_eq!((report.adapted[0].changes, report.reconciled[0].now_created, report.reconciled[0].now_edited), (4, 1, 1));
    let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
    let ann = Ann::new(backend, &database, "ann");
    database.read_as(&user, ann.id, now(), nothing).unwrap();
    database.write_as(&user, ann.id, now(), nothing).unwrap();
    let rows = "select id || ' ' || name || ' ' || coalesce(price, -1) as value from things order by id";
    assert_eq!(ann.query(rows), ["1 mine 7", "3 kept 5", "9 new 5"]);
    ann.reset();
    assert_eq!(ann.query(rows), ["1 one 7", "2 two 5", "9 theirs 8"]);
    ann.undo();
    assert_eq!(ann.query(rows), ["1 mine 7", "3 kept 5", "9 new 5"]);
}}

on_each_database! { fn a_migration_that_changes_do_not_fit_is_refused_with_the_difference(backend) {
    let host = HostDatabase::new(backend, "
        create table things (id integer primary key, name text not null); insert into things values (1, 'one');");
    attach(&host.url, &AttachOptions::default(), now()).unwrap();
    let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
    Ann::new(backend, &database, "ann").write("update things set name = 'longer' where id = 1").unwrap();
    suspend(&host.url).unwrap();
    host.outsider().batch_execute(match backend {
        Backend::Postgres => "alter table things add constraint short check (length(name) < 5)",
        Backend::Sqlite => "create table t (id integer primary key, name text not null check (length(name) < 5)); \
            insert into t select * from things; drop table things; alter table t rename to things;",
    }).unwrap();
    let Err(Error::Attach { reasons }) = attach(&host.url, &AttachOptions::default(), now()) else { panic!() };
    assert!(reasons[0].contains("table things: its constraints or indexes have changed; 1 change(s)"), "{reasons:?}");
    assert!(matches!(Database::open_attached(&host.url, OpenOptions::default(), now()), Err(Error::Attach { .. })));
    assert_eq!(status(&host.url, now()).unwrap().unwrap().holds.changes, 1);
}}

#[test]
fn on_sqlite_the_hosts_file_is_never_written() {
    let host = chinook(Backend::Sqlite);
    let DatabaseUrl::Sqlite(base) = &host.url else { panic!() };
    let before = std::fs::read(base).unwrap();
    attach(&host.url, &AttachOptions::default(), now()).unwrap();
    let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
    Ann::new(Backend::Sqlite, &database, "ann").write("delete from invoiceline").unwrap();
    assert!(std::fs::read(base).unwrap() == before);
    // A change past the engine is noticed, also after a restart.
    host.outsider().batch_execute("update Artist set Name = 'x' where ArtistId = 1").unwrap();
    for database in [database, Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap()] {
        let verification = database.verify().unwrap();
        let changed: Vec<_> = verification.tables.iter().filter(|table| !table.fingerprint_matches).collect();
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].table, "Artist");
        assert!(matches!(database.ready(), Err(Error::NotSealed { .. })));
    }
}

#[test]
fn row_triggers_of_the_host_run_in_sessions_with_the_right_rows() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let host = HostDatabase::new(Backend::Postgres, "
        create table notes (id serial primary key, body text, upper_body text, version integer not null default 0);
        create table log (id serial primary key, line text not null);
        insert into notes (body) values ('one'), ('two');
        create function stamp() returns trigger language plpgsql as $$ begin
            new.version := coalesce(old.version, 0) + 1; new.upper_body := upper(new.body); return new; end $$;
        create trigger stamp before insert or update of body on notes for each row execute function stamp();
        create function note() returns trigger language plpgsql as $$ begin
            insert into log (line) values (tg_op || ' ' || coalesce(old.body, '-') || ' ' || coalesce(new.body, '-')
                || ' of ' || (select count(*) from notes));
            return null; end $$;
        create trigger note after insert or update or delete on notes for each row execute function note();
        create function keep() returns trigger language plpgsql as $$ begin return null; end $$;
        create trigger keep before delete on notes for each row when (old.body = 'kept') execute function keep();
        create trigger whole after delete on notes for each statement execute function note();");
    let report = attach(&host.url, &AttachOptions::default(), now()).unwrap();
    assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
    assert_eq!(
        (report.notes[0].kind, &*report.notes[0].object),
        (NoteKind::TriggerNotRun, "trigger whole on notes")
    );
    let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
    let ann = Ann::new(Backend::Postgres, &database, "ann");
    let mut plain = host.plain_copy("drop trigger whole on notes");
    for sql in [
        "update notes set body = 'uno' where id = 1",
        "update notes set version = 9 where id = 2",
        "delete from notes where id = 2",
        "insert into notes (id, body) values (2, 'again')",
        "insert into notes (id, body) values (7, 'new')",
        "delete from notes where id = 7",
        "insert into notes (id, body) values (8, 'kept')",
        "delete from notes where id = 8",
        "update notes set id = 5 where id = 1",
        "update notes set body = body || '!'",
        // Rows one by one: a trigger that runs after them does so after each, not at the end of the statement.
        "delete from notes where id = 2",
    ] {
        plain.conn().batch_execute(sql).unwrap();
        ann.write(sql).unwrap();
        for rows in [
            "select (n.*)::text as value from notes n order by 1",
            "select line as value from log order by id",
        ] {
            assert_eq!(ann.query(rows), query(Backend::Postgres, plain.conn(), rows), "{sql}: {rows}");
        }
    }
    assert!(database.verify().unwrap().base_is_intact());
}

#[test]
fn what_cannot_be_covered_on_postgresql_is_refused_with_its_reason() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let host = HostDatabase::new(
        Backend::Postgres,
        "
        create table guarded (id int primary key); alter table guarded enable row level security;
        create table apart (id int primary key, r int4range, exclude using gist (r with &&));
        create table ruled (id int primary key); create rule r as on delete to ruled do instead nothing;
        create table parents (id int primary key);
        create table parted (id int primary key, p int) partition by range (id);
        create table parted1 partition of parted for values from (0) to (10);
        alter table parted1 add foreign key (p) references parents;
        create table whole (id int primary key); create table heir () inherits (whole);",
    );
    let before = host.schema_dump();
    let Err(Error::Attach { reasons }) = attach(&host.url, &AttachOptions::default(), now()) else {
        panic!()
    };
    for said in [
        "table apart: it has an EXCLUDE",
        "table guarded: it has row-level security",
        "table heir: it has no primary key",
        "table parted: a partition of it has a foreign key",
        "table ruled: it has a rule",
        "table whole: other tables inherit",
    ] {
        assert!(reasons.iter().any(|reason| reason.starts_with(said)), "{said}: {reasons:?}");
    }
    assert_eq!(reasons.len(), 6, "{reasons:?}");
    assert_eq!(host.schema_dump(), before);
}

#[test]
fn another_database_in_the_place_of_the_sessions_is_refused_and_left_as_it_is() {
    let host = HostDatabase::new(Backend::Sqlite, THINGS);
    let DatabaseUrl::Sqlite(base) = &host.url else { panic!() };
    let sessions = base.with_file_name("demo.sessions.db");
    let mut other = SqliteConnection::establish(&sessions.display().to_string()).unwrap();
    other
        .batch_execute("create table ledger (id integer primary key); insert into ledger values (1)")
        .unwrap();
    drop(other);
    let database = std::fs::read(&sessions).unwrap();
    for content in [database, b"no database at all, but long enough to be looked at".repeat(100)] {
        std::fs::write(&sessions, &content).unwrap();
        for refused in [
            attach(&host.url, &AttachOptions::default(), now()).map(|_| ()),
            Database::open(&host.url, OpenOptions::default(), now()).map(|_| ()),
        ] {
            let Err(Error::File { path, reason }) = refused else { panic!("{refused:?}") };
            assert_eq!(path, sessions, "{reason}");
        }
        assert!(std::fs::read(&sessions).unwrap() == content);
        assert!(!base.with_file_name("demo.sessions.db-wal").exists());
    }
}

/// A shop of films, with what real PostgreSQL schemas have: enums, domains, partitions, triggers, functions, views,
/// materialized views, sequences, comments, privileges, arrays, ranges and a full-text column.
const FILMS: &str = r#"
    create type rating as enum ('G', 'PG', 'R');
    create domain year as integer check (value between 1901 and 2155);
    create function last_updated() returns trigger language plpgsql as $$ begin new.last_update := now(); return new; end $$;
    create sequence film_numbers increment by 5 start with 100;
    create table language (language_id serial primary key, name character(20) not null, last_update timestamptz not null default now());
    create table film (
      film_id integer primary key default nextval('film_numbers'), title varchar(255) not null, release_year year,
      language_id integer not null references language on update cascade on delete restrict,
      original_language_id integer references language, rental_rate numeric(4,2) not null default 4.99 check (rental_rate > 0),
      rating rating default 'G', special_features text[], shown daterange, details jsonb not null default '{}',
      fulltext tsvector, last_update timestamptz not null default now(),
      slug text generated always as (lower(title)) stored);
    create index film_fulltext on film using gist (fulltext);
    create index film_title on film (title text_pattern_ops) include (release_year) where rating <> 'R';
    create table actor (actor_id integer generated always as identity (start with 200) primary key, first_name text not null, last_name text not null);
    create table film_actor (actor_id integer references actor on delete cascade, film_id integer references film on delete cascade, primary key (actor_id, film_id));
    create table payment (payment_id bigserial, film_id integer references film, amount numeric(5,2) not null, payment_date date not null, primary key (payment_date, payment_id)) partition by range (payment_date);
    create table payment_2022 partition of payment for values from ('2022-01-01') to ('2023-01-01');
    create table payment_rest partition of payment default;
    create trigger last_updated before update on film for each row execute function last_updated();
    create trigger fulltext before insert or update on film for each row execute function tsvector_update_trigger('fulltext', 'pg_catalog.english', 'title');
    create view film_list as select f.film_id as fid, f.title, l.name as language, string_agg(a.first_name || ' ' || a.last_name, ', ' order by a.actor_id) as actors
      from film f join language l using (language_id) left join film_actor fa using (film_id) left join actor a using (actor_id) group by f.film_id, f.title, l.name;
    create view long_titles with (security_barrier) as select * from film_list where length(title) > 3;
    create materialized view takings as select film_id, sum(amount) as total from payment group by film_id;
    create unique index takings_by_film on takings (film_id);
    create function film_count() returns bigint language sql stable as 'select count(*) from film';
    create aggregate joined (text) (sfunc = textcat, stype = text, initcond = '');
    comment on table film is 'What is shown'; comment on column film.title is 'As on the poster';
    grant select on film_list to public; alter table film set (fillfactor = 70); alter table actor alter column last_name set statistics 500;
    alter table actor replica identity full; create statistics film_stats (dependencies) on release_year, rating from film;
    insert into language (name) values ('English'), ('German');
    insert into film (title, release_year, language_id, rating, special_features, shown) values ('Metropolis', 1927, 2, 'PG', '{Trailers,"Deleted Scenes"}', '[1927-01-10,1927-05-01)'), ('Up', 2009, 1, 'G', null, null);
    insert into actor (first_name, last_name) values ('Brigitte', 'Helm'), ('Ed', 'Asner');
    insert into film_actor values (200, 100), (201, 105);
    insert into payment (film_id, amount, payment_date) values (100, 2.50, '2022-03-01'), (105, 9.99, '2024-07-01');
    refresh materialized view takings;"#;

/// A shop of goods, with what real SQLite schemas have: spaces in names, STRICT and WITHOUT ROWID, generated columns,
/// triggers, views with common table expressions, partial indexes and indexes on expressions, collations.
const GOODS: &str = r#"
    create table "Product Categories" ("Category ID" integer primary key autoincrement, "Category Name" text not null collate nocase unique);
    create table Suppliers (SupplierID integer primary key, CompanyName text not null, "Contact's Name" text);
    create table Products (ProductID integer primary key, ProductName text not null, SupplierID integer references Suppliers, "Category ID" integer references "Product Categories" on delete set null,
      UnitPrice numeric default 0 check (UnitPrice >= 0), Discontinued integer not null default 0, Label text as (ProductName || ' (' || ProductID || ')') stored);
    create table Employees (EmployeeID integer primary key, LastName text not null, ReportsTo integer references Employees) strict;
    create table Orders (OrderID integer primary key, EmployeeID integer references Employees, OrderDate text default current_timestamp);
    create table "Order Details" (OrderID integer not null references Orders on delete cascade, ProductID integer not null references Products, Quantity integer not null default 1, primary key (OrderID, ProductID)) without rowid;
    create index "Products by price" on Products (UnitPrice desc) where Discontinued = 0;
    create unique index "names once" on Products (lower(ProductName));
    create view "Order Subtotals" as with lines as (select d.OrderID, d.Quantity * p.UnitPrice as price from "Order Details" d join Products p using (ProductID))
      select OrderID, sum(price) as Subtotal from lines group by OrderID;
    create view Expensive (name, price) as select ProductName, UnitPrice from Products where UnitPrice > (select avg(UnitPrice) from Products);
    create trigger sold after insert on "Order Details" begin update Products set Discontinued = 0 where ProductID = new.ProductID; end;
    insert into "Product Categories" ("Category Name") values ('Drinks'), ('Cheese');
    insert into Suppliers values (1, 'Exotic', 'Ann O''Hara');
    insert into Products (ProductID, ProductName, SupplierID, "Category ID", UnitPrice) values (1, 'Chai', 1, 1, 18), (2, 'Brie', 1, 2, 3.5);
    insert into Employees values (1, 'Fuller', null), (2, 'Davolio', 1);
    insert into Orders (OrderID, EmployeeID, OrderDate) values (10248, 2, '1996-07-04');
    insert into "Order Details" values (10248, 1, 12), (10248, 2, 10);"#;

on_each_database! { fn a_schema_with_something_of_everything_is_used_by_a_session_and_left_as_it_was(backend) {
    let (schema, work, look, seen) = match backend {
        Backend::Postgres => (FILMS,
            "update film set title = 'Metropolis restored', release_year = 2010, rating = 'R' where film_id = 100; \
             insert into film (title, language_id) values ('Run', 2); insert into actor (first_name, last_name) values ('Franka', 'Potente'); \
             insert into film_actor select actor_id, film_id from actor, film where first_name = 'Franka' and title = 'Run'; \
             insert into payment (film_id, amount, payment_date) values (100, 1, '2022-12-31'); \
             update payment set payment_date = '2030-01-01' where amount = 2.50; delete from film_actor where film_id = 105;",
            "select fid || ' ' || title || ' ' || trim(language) || ' ' || coalesce(actors, '-') as value from long_titles order by fid",
            vec!["100 Metropolis restored German Brigitte Helm"]),
        Backend::Sqlite => (GOODS,
            "update Products set UnitPrice = 20 where ProductID = 1; delete from \"Product Categories\" where \"Category ID\" = 2; \
             insert into Products (ProductID, ProductName, SupplierID) values (3, 'Tofu', 1); update Employees set LastName = 'Leverling' where EmployeeID = 2; \
             insert into Orders (OrderID, EmployeeID) values (10249, 1); insert into \"Order Details\" (OrderID, ProductID) values (10249, 1); \
             delete from Orders where OrderID = 10248;",
            "select OrderID || ' ' || Subtotal as value from \"Order Subtotals\" order by 1",
            vec!["10249 20"]),
    };
    let host = HostDatabase::new(backend, schema);
    let before = host.schema_dump();
    let text = |conn: &mut AnyConnection, sql: &str| -> Vec<String> {
        let rows: Vec<TextRow> = diesel::sql_query(sql).load(conn).unwrap();
        rows.into_iter().map(|row| row.value).collect()
    };
    let shown_before = text(&mut host.outsider(), look);
    let report = attach(&host.url, &AttachOptions::default(), now()).unwrap();
    assert_eq!(report.tables.len(), if backend == Backend::Postgres { 5 } else { 6 }, "{report:?}");
    let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
    let key = UserKey::new("a", "ann").unwrap();
    let ann = database.session(&key, SessionId(Uuid::new_v4()), now()).unwrap().id;
    database.write(ann, now(), |conn| conn.batch_execute(work).map_err(Error::from)).unwrap();
    let shown = || database.read(ann, |conn| Ok::<_, Error>(text(conn, look))).unwrap();
    assert_eq!(shown(), seen);
    database.reset(ann, ArchiveId(Uuid::new_v4()), now()).unwrap();
    assert_eq!(shown(), shown_before);
    database.undo(ann, None, OnConflict::Fail, ArchiveId(Uuid::new_v4()), now()).unwrap();
    assert_eq!(shown(), seen);
    assert!(database.verify().unwrap().base_is_intact());
    drop(database);
    host.wait_until_unused();
    detach(&host.url, true, now()).unwrap();
    assert_eq!(host.schema_dump(), before);
    assert_eq!(text(&mut host.outsider(), look), shown_before);
}}

/// The tool that writes the schema of a database as SQL.
pub fn schema_dump_of(url: &str) -> String {
    let output =
        Command::new("pg_dump").args(["--schema-only", "--dbname", url]).output().expect("pg_dump runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let dump = String::from_utf8(output.stdout).unwrap();
    // Each run has a random key of its own in these lines.
    dump.lines()
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Prepares the connections of a host's own pool.
#[derive(Debug, Clone)]
struct Prepare(Database);

impl<C: SessionConnection + 'static> r2d2::CustomizeConnection<C, diesel::r2d2::Error> for Prepare {
    fn on_acquire(&self, conn: &mut C) -> Result<(), diesel::r2d2::Error> {
        let failed = |error: Error| {
            diesel::r2d2::Error::ConnectionError(diesel::ConnectionError::BadConnection(error.to_string()))
        };
        self.0.prepare(conn).map_err(failed)
    }
}

/// What a host does on its own connection, with the two sessions of two users.
fn works_on<C: SessionConnection>(
    database: &Database,
    conn: &mut C,
    rename: impl Fn(&mut C) -> QueryResult<usize>,
    name: impl Fn(&mut C) -> QueryResult<String>,
) {
    let session = |user: &str| {
        let key = UserKey::new("a", user).unwrap();
        database.session(&key, SessionId(Uuid::new_v4()), now()).unwrap().id
    };
    let (ann, ben) = (session("ann"), session("ben"));
    database.write_on(conn, ann, now(), |conn| rename(conn).map_err(Error::from)).unwrap();
    let mut seen = |id| database.read_on(conn, id, |conn| name(conn).map_err(Error::from)).unwrap();
    assert_eq!((seen(ann), seen(ben)), ("mine".to_owned(), "one".to_owned()));
    let refused = database.read_on(conn, ann, |conn| rename(conn).map_err(Error::from));
    assert!(matches!(refused, Err(Error::NotBoundForWriting)), "{refused:?}");
}

diesel::table! {
    things (id) {
        id -> Integer,
        name -> Text,
    }
}

const THINGS: &str =
    "create table things (id integer primary key, name text); insert into things values (1, 'one');";

#[test]
fn a_hosts_own_pool_of_sqlite_runs_its_diesel_code_in_sessions() {
    let host = HostDatabase::new(Backend::Sqlite, THINGS);
    attach(&host.url, &AttachOptions::default(), now()).unwrap();
    let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
    let manager = diesel::r2d2::ConnectionManager::<SqliteConnection>::new(database.connection_url());
    let pool = r2d2::Pool::builder()
        .max_size(2)
        .connection_customizer(Box::new(Prepare(database.clone())))
        .build(manager)
        .unwrap();
    let mut conn = pool.get().unwrap();
    works_on(
        &database,
        &mut *conn,
        |conn| diesel::update(things::table.find(1)).set(things::name.eq("mine")).execute(conn),
        |conn| things::table.find(1).select(things::name).first(conn),
    );
}

#[test]
fn a_hosts_own_pool_of_postgresql_runs_its_diesel_code_in_sessions() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let host = HostDatabase::new(Backend::Postgres, THINGS);
    attach(&host.url, &AttachOptions::default(), now()).unwrap();
    let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
    // Not even prepared: what binds a session puts the views in front.
    let manager = diesel::r2d2::ConnectionManager::<PgConnection>::new(database.connection_url());
    let pool = r2d2::Pool::builder().max_size(2).build(manager).unwrap();
    let mut conn = pool.get().unwrap();
    works_on(
        &database,
        &mut *conn,
        |conn| diesel::update(things::table.find(1)).set(things::name.eq("mine")).execute(conn),
        |conn| things::table.find(1).select(things::name).first(conn),
    );
    // Outside of a session the host's own tables are what they were.
    let name: String = things::table.find(1).select(things::name).first(&mut *conn).unwrap();
    assert_eq!(name, "one");
}

on_each_database! { fn sql_text_answers_with_its_rows(backend) {
    let host = HostDatabase::new(backend, THINGS);
    attach(&host.url, &AttachOptions::default(), now()).unwrap();
    let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
    let ann = Ann::new(backend, &database, "ann");
    let answer = database.sql(ann.id, "insert into things values (2, 'a ? b'); select name, id from things order by id", now()).unwrap();
    assert_eq!(answer.columns, ["name", "id"]);
    assert_eq!(answer.rows, [["one".into(), serde_json::json!(1)], ["a ? b".into(), serde_json::json!(2)]]);
    let changed = database.sql(ann.id, "delete from things", now()).unwrap().changed;
    assert_eq!(changed, Some(if backend == Backend::Postgres { 2 } else { 0 }));
}}
