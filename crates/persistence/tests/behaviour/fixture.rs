//! A small library of books, made to have one of everything that is hard: keys of text, numbers and two columns,
//! references that cascade, set null, restrict and refer to themselves, uniques plain, partial and on expressions.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Duration, Utc};
use demo_reset_domain::{ArchiveId, OnConflict, SessionId, UserKey};
use demo_reset_persistence::{
    AnyConnection, AttachOptions, Database, DatabaseUrl, Error, OpenOptions, ResetReport, UndoReport,
    load_base,
};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use uuid::Uuid;

/// The base of the tests.
pub const LIBRARY: &str = "
create table publishers (code text primary key not null collate nocase, name text not null unique);
create table authors (
  id integer primary key,
  name text not null check (length(name) > 0),
  email text,
  mentor_id integer references authors (id) on delete set null,
  born integer default 1950
);
create unique index authors_by_email on authors (lower(email)) where email is not null;
create table books (
  isbn text primary key not null,
  title text not null,
  author_id integer not null references authors (id) on delete cascade on update cascade,
  publisher text references publishers (code) on delete restrict,
  price real not null default 9.5,
  cover blob,
  title_length integer generated always as (length(title)) virtual,
  unique (author_id, title)
);
create index books_by_price on books (price desc, isbn);
create table reviews (
  isbn text not null references books (isbn) on delete cascade,
  reviewer text not null,
  stars integer not null check (stars between 1 and 5),
  primary key (isbn, reviewer)
) without rowid;
create table notes (id integer primary key, isbn text references books (isbn), body text not null) strict;
insert into publishers values ('ace', 'Ace'), ('tor', 'Tor');
insert into authors (id, name, email, mentor_id) values
  (1, 'Ann', 'Ann@x.example', null), (2, 'Ben', 'ben@x.example', 1), (3, 'Cy', null, 2);
insert into books (isbn, title, author_id, publisher, price, cover) values
  ('1', 'One', 1, 'ace', 0.30000000000000004, x'00ff'), ('2', 'Two', 1, 'tor', 2.5, null),
  ('3', 'Three', 2, 'tor', 3.5, x'');
insert into reviews values ('1', 'zoe', 5), ('1', 'yan', 4), ('3', 'zoe', 1);
insert into notes values (1, '3', 'lent out');
";

/// A loaded and opened database that is removed at the end.
pub struct Fixture {
    pub database: Database,
    pub url: DatabaseUrl,
    pub base: PathBuf,
    _folder: tempfile::TempDir,
}

/// A user's session.
pub struct Session<'a> {
    pub fixture: &'a Fixture,
    pub id: SessionId,
}

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    value: String,
}

pub fn now() -> DateTime<Utc> {
    "2026-02-02T09:00:00.123456Z".parse().unwrap()
}

pub fn options() -> OpenOptions {
    OpenOptions { attach: AttachOptions::default(), ..Default::default() }
}

impl Fixture {
    pub fn library() -> Self {
        Self::with_template("library", LIBRARY)
    }

    /// A base that is built once per run and copied for each test.
    pub fn with_template(name: &'static str, sql: &str) -> Self {
        static TEMPLATES: Mutex<BTreeMap<&str, Vec<u8>>> = Mutex::new(BTreeMap::new());
        let template = {
            let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
            let build = || std::fs::read(Self::with_base(sql).base).unwrap();
            templates.entry(name).or_insert_with(build).clone()
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("demo.db"), template).unwrap();
        Self::open(folder)
    }

    pub fn with_base(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("demo.db");
        let url: DatabaseUrl = format!("sqlite://{}", base.display()).parse().unwrap();
        let load = |conn: &mut AnyConnection| conn.batch_execute(sql).map_err(Error::from);
        load_base(&url, Uuid::new_v4(), load).unwrap();
        Self::open(folder)
    }

    fn open(folder: tempfile::TempDir) -> Self {
        let base = folder.path().join("demo.db");
        let url: DatabaseUrl = format!("sqlite://{}", base.display()).parse().unwrap();
        let database = Database::open(&url, options(), now()).unwrap();
        Self { database, url, base, _folder: folder }
    }

    pub fn session(&self, user: &str) -> Session<'_> {
        let key = UserKey::new("acme", user).unwrap();
        let session = self.database.session(&key, SessionId(Uuid::new_v4()), now()).unwrap();
        Session { fixture: self, id: session.id }
    }

    /// Every base table, row by row, past all views.
    pub fn base_dump(&self) -> Vec<String> {
        let mut conn = SqliteConnection::establish(&self.base.display().to_string()).unwrap();
        dump(&mut conn, &tables())
    }
}

pub fn tables() -> Vec<&'static str> {
    vec!["publishers", "authors", "books", "reviews", "notes"]
}

/// Every row of the tables, each value exact to the byte, in the order of the rows' text.
pub fn dump<C>(conn: &mut C, tables: &[&str]) -> Vec<String>
where
    C: diesel::connection::LoadConnection,
    TextRow: QueryableByName<C::Backend>,
    diesel::query_builder::SqlQuery: diesel::query_dsl::LoadQuery<'static, C, TextRow>,
{
    let mut rows = Vec::new();
    for table in tables {
        let columns = match *table {
            "publishers" => "quote(code)||','||quote(name)",
            "authors" => {
                "quote(id)||','||quote(name)||','||quote(email)||','||quote(mentor_id)||','||quote(born)"
            }
            "books" => {
                "quote(isbn)||','||quote(title)||','||quote(author_id)||','||quote(publisher)||','||quote(price)\
                 ||','||quote(cover)||','||quote(title_length)"
            }
            "reviews" => "quote(isbn)||','||quote(reviewer)||','||quote(stars)",
            "notes" => "quote(id)||','||quote(isbn)||','||quote(body)",
            other => panic!("no dump for {other}"),
        };
        let query = format!("select '{table}: '||{columns} as value from {table} order by 1");
        rows.extend(diesel::sql_query(query).load::<TextRow>(conn).unwrap().into_iter().map(|row| row.value));
    }
    rows
}

impl Session<'_> {
    /// Runs statements as the user; all or nothing.
    pub fn write(&self, sql: &str) -> Result<(), Error> {
        self.fixture.database.write(self.id, now(), |conn| conn.batch_execute(sql).map_err(Error::from))
    }

    /// The rows of a query for one text named `value`.
    pub fn query(&self, sql: &str) -> Vec<String> {
        let query = diesel::sql_query(sql);
        self.fixture
            .database
            .read(self.id, |conn| query.load::<TextRow>(conn).map_err(Error::from))
            .unwrap()
            .into_iter()
            .map(|row| row.value)
            .collect()
    }

    /// A single value.
    pub fn value(&self, sql: &str) -> String {
        self.query(&format!("select quote(({sql})) as value")).remove(0)
    }

    /// All rows that the user sees.
    pub fn world(&self) -> Vec<String> {
        self.fixture.database.read(self.id, |conn| Ok::<_, Error>(dump(conn, &tables()))).unwrap()
    }

    pub fn reset(&self) -> ResetReport {
        self.reset_at(now())
    }

    pub fn reset_at(&self, at: DateTime<Utc>) -> ResetReport {
        self.fixture.database.reset(self.id, ArchiveId(Uuid::new_v4()), at).unwrap()
    }

    pub fn undo(&self) -> Result<UndoReport, Error> {
        self.undo_with(None, OnConflict::Fail, now() + Duration::hours(1))
    }

    pub fn undo_with(
        &self,
        wanted: Option<ArchiveId>,
        on_conflict: OnConflict,
        at: DateTime<Utc>,
    ) -> Result<UndoReport, Error> {
        self.fixture.database.undo(self.id, wanted, on_conflict, ArchiveId(Uuid::new_v4()), at)
    }
}
