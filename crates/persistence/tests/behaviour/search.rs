//! Full text and totals over base and layer, compared with reading every row that the session sees.

use std::collections::BTreeSet;
use std::thread;

use demo_reset_persistence::{
    AnyConnection, AttachOptions, Database, Error, KeyedTable, MultiBackend, SearchIndex, attach, load_base,
    make_search_indexes,
};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use uuid::Uuid;

use crate::fixture::{
    Backend, Fixture, HostDatabase, Login, Session, now, on_each_database, options, options_with_tracking,
};
use crate::random::Random;

diesel::table! {
    books (isbn) {
        isbn -> Text,
        title -> Text,
        price -> Double,
    }
}

const TITLES: SearchIndex = SearchIndex {
    table: KeyedTable { name: "books", key: &["isbn"] },
    columns: &["title", "publisher"],
    indexed: true,
    tracking_columns: false,
};

const AUTHORS: SearchIndex = SearchIndex {
    table: KeyedTable { name: "authors", key: &["id"] },
    columns: &["name"],
    indexed: true,
    tracking_columns: false,
};

/// Words that meet in odd ways: one the beginning of another, cases, accents, signs between them.
const WORDS: [&str; 16] = [
    "cash",
    "Cashier",
    "CASE-2026-00001",
    "2026",
    "missing",
    "Jürgen",
    "JÜRGEN",
    "jurgen",
    "“quoted”",
    "don’t",
    "100€",
    "現金。現",
    "Łódź",
    "a_b",
    "50%",
    "résumé/Résumé",
];

const ASKED: [&str; 20] = [
    "cash",
    "CASH",
    "cashi",
    "ash",
    "2026-00001",
    "case 2026",
    "jürgen",
    "Jürgen",
    "JÜRGEN",
    "jurgen",
    "quoted",
    "\"quoted\"",
    "don’t",
    "100",
    "現",
    "łódź",
    "b",
    "50%",
    "résumé",
    "missing cash",
];

/// What a word is, said once more: everything else separates.
fn words(text: &str) -> BTreeSet<String> {
    let of_a_word = |letter: &char| {
        let code = u32::from(*letter);
        letter.is_ascii_alphanumeric()
            || (code > 0xbf
                && !(0x2000..=0x206f).contains(&code)
                && !(0x20a0..=0x20cf).contains(&code)
                && !(0x3000..=0x303f).contains(&code))
    };
    let spaced: String = text.chars().map(|letter| if of_a_word(&letter) { letter } else { ' ' }).collect();
    spaced.split(' ').filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
}

fn is_found(text: &str, asked: &str) -> bool {
    let there = words(text);
    words(asked).iter().all(|asked| {
        let mut letters = asked.chars();
        let titled: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        let forms = [asked.clone(), asked.to_lowercase(), asked.to_uppercase(), titled];
        let forms = forms.map(|form| form.to_ascii_lowercase());
        there.iter().any(|word| forms.iter().any(|form| word.starts_with(form)))
    })
}

fn title(random: &mut Random, at: usize) -> String {
    let words: Vec<&str> = (0..random.below(4)).map(|_| WORDS[random.below(WORDS.len())]).collect();
    // The number keeps titles of one author apart.
    format!("{} n{at}", words.join(" "))
}

/// A base of random titles, indexed or not.
fn shelf(backend: Backend, random: &mut Random, indexed: bool, tracking_columns: bool) -> Fixture {
    let fixture =
        Fixture::with_options(backend, "library", backend.library(), options_with_tracking(tracking_columns));
    let mut rows = String::new();
    for at in 100..160 {
        rows.push_str(&format!(
            "insert into books (isbn, title, author_id, price) values ('{at}', '{}', 1, {});",
            title(random, at),
            random.below(4)
        ));
    }
    let library = backend.library();
    let start = if backend == Backend::Sqlite { 0 } else { library.find("insert into").unwrap() };
    let load = |conn: &mut AnyConnection| {
        conn.batch_execute(&library[start..])?;
        conn.batch_execute(&rows)?;
        if indexed {
            TITLES.make(conn)?;
        }
        Ok::<_, Error>(())
    };
    load_base(&fixture.url, Uuid::new_v4(), now(), load).unwrap();
    take_up(&fixture, tracking_columns);
    fixture
}

/// A base is taken up when a database is next opened, for every server.
fn take_up(fixture: &Fixture, tracking_columns: bool) {
    drop(Database::open(&fixture.url, options_with_tracking(tracking_columns), now()).unwrap());
}

struct Listed {
    isbns: Vec<String>,
    total: i64,
}

fn list(
    database: &Database,
    session: &Session<'_>,
    titles: SearchIndex,
    asked: &str,
    price: Option<f64>,
) -> Listed {
    let counts = database.counts();
    let work = |conn: &mut AnyConnection| {
        let found = titles.matches(conn, None, asked)?;
        let matching = || {
            let mut query = books::table.into_boxed::<MultiBackend>();
            if let Some(found) = &found {
                query = query.filter(found.clone());
            }
            if let Some(price) = price {
                query = query.filter(books::price.eq(price));
            }
            query
        };
        let what = format!("{asked:?} {price:?}");
        let total = counts.count(conn, titles.table, &what, || matching().count())?;
        let isbns = matching().order(books::isbn).select(books::isbn).load(conn)?;
        Ok::<_, Error>(Listed { isbns, total })
    };
    database.read(session.id, work).unwrap()
}

/// Compares every question with what reading all rows gives.
fn compare(database: &Database, session: &Session<'_>, titles: SearchIndex, step: usize) {
    let load = |conn: &mut AnyConnection| {
        books::table.order(books::isbn).load::<(String, String, f64)>(conn).map_err(Error::from)
    };
    let rows: Vec<(String, String, f64)> = database.read(session.id, load).unwrap();
    for (at, asked) in ASKED.iter().chain(&["", "?!"]).enumerate() {
        let price = [None, Some(1.0)][(at + step) % 2];
        let expected: Vec<&String> = rows
            .iter()
            .filter(|(_, title, of)| is_found(title, asked) && price.is_none_or(|price| price == *of))
            .map(|(isbn, _, _)| isbn)
            .collect();
        let found = list(database, session, titles, asked, price);
        assert_eq!(found.isbns.iter().collect::<Vec<_>>(), expected, "{asked} {price:?} in step {step}");
        assert_eq!(found.total, expected.len() as i64, "{asked} {price:?} in step {step}");
    }
}

fn change(random: &mut Random, session: &Session<'_>, step: usize) {
    let isbn = 100 + random.below(62);
    let statement = match random.below(5) {
        0 => format!("delete from books where isbn = '{isbn}'"),
        1 => format!(
            "insert into books (isbn, title, author_id, price) values ('new{step}', '{}', 1, {})",
            title(random, 1000 + step),
            random.below(4)
        ),
        2 => format!("update books set price = {} where isbn = '{isbn}'", random.below(4)),
        3 => format!("update books set title = '{}' where isbn >= 'new'", title(random, 5000 + step)),
        _ => format!("update books set title = '{}' where isbn = '{isbn}'", title(random, 1000 + step)),
    };
    // Two new books of one title are refused: then nothing has changed.
    let _ = session.write(&statement);
}

on_each_database! { fn words_and_totals_are_exact_whatever_a_session_has_edited(backend) {
    let seed = std::env::var("DEMO_RESET_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let mut random = Random::new(seed);
    for (is_made, indexed, tracking_columns) in [
        (true, true, false),
        (true, true, true),
        // As in a base that was loaded by an earlier version, and as nobody wants an index.
        (false, true, false),
        (false, true, true),
        (false, false, false),
        (false, false, true),
    ] {
        let titles = SearchIndex { indexed, tracking_columns, ..TITLES };
        let fixture = shelf(backend, &mut random, is_made, tracking_columns);
        // What was counted by one server is known to it alone.
        let other = Database::open(&fixture.url, options_with_tracking(tracking_columns), now()).unwrap();
        let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
        compare(&fixture.database, &ann, titles, 0);
        for step in 1..25 {
            change(&mut random, if step % 4 == 0 { &ben } else { &ann }, step);
            compare([&fixture.database, &other][step % 2], &ann, titles, step);
        }
        compare(&other, &ben, titles, 25);
        ann.reset();
        compare(&fixture.database, &ann, titles, 26);
        assert!(fixture.database.verify().unwrap().base_is_intact());
    }
}}

on_each_database! { fn a_new_base_is_counted_anew_by_every_server(backend) {
    let mut random = Random::new(1);
    let fixture = shelf(backend, &mut random, true, false);
    let other = Database::open(&fixture.url, options(), now()).unwrap();
    let ann = fixture.session("ann");
    for database in [&fixture.database, &other] {
        assert_eq!(list(database, &ann, TITLES, "", None).total, 63);
    }
    let only_the_library = |conn: &mut AnyConnection| {
        let library = backend.library();
        let start = if backend == Backend::Sqlite { 0 } else { library.find("insert into").unwrap() };
        conn.batch_execute(&library[start..]).map_err(Error::from)
    };
    load_base(&fixture.url, Uuid::new_v4(), now(), only_the_library).unwrap();
    take_up(&fixture, false);
    for database in [&fixture.database, &other] {
        assert_eq!(list(database, &ann, TITLES, "", None).total, 3);
        assert_eq!(list(database, &ann, TITLES, "cash", None).isbns, [""; 0]);
    }
}}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
}

/// The names that a query of PostgreSQL gives.
fn names(owner: &mut AnyConnection, sql: &str) -> Vec<String> {
    let AnyConnection::Postgres(owner) = owner else { unreachable!() };
    diesel::sql_query(sql).load::<Name>(owner).unwrap().into_iter().map(|row| row.name).collect()
}

/// Or a load takes apart every text twice: for the index and for statistics of it.
#[test]
fn on_postgresql_a_load_makes_statistics_of_tables_and_none_of_their_words() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let fixture = shelf(Backend::Postgres, &mut Random::new(1), true, false);
    let known = "select distinct tablename::text as name from pg_stats where tablename::text like '%books'";
    assert_eq!(names(&mut fixture.outsider(), known), ["books"]);
}

/// The search indexes of a PostgreSQL.
fn indexes(owner: &mut AnyConnection) -> Vec<String> {
    let indexes = "select indexname::text as name from pg_indexes \
        where schemaname = 'public' and starts_with(indexname, 'demo_search_') order by 1";
    names(owner, indexes)
}

#[test]
fn on_postgresql_servers_that_start_together_make_the_indexes_that_are_missing() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let fixture = shelf(Backend::Postgres, &mut Random::new(1), false, false);
    let mut owner = fixture.outsider();
    let application = Login::new("in role demo_app");
    make_search_indexes(&application.url(&fixture), &[TITLES, AUTHORS]).unwrap();
    assert_eq!(indexes(&mut owner), [""; 0], "the application role owns nothing");
    let both = ["demo_search_authors", "demo_search_books"];
    for missing in ["select 1", "drop index public.demo_search_books"] {
        owner.batch_execute(missing).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| make_search_indexes(&fixture.url, &[TITLES, AUTHORS]).unwrap());
            }
        });
        assert_eq!(indexes(&mut owner), both);
    }
    assert!(fixture.database.verify().unwrap().base_is_intact());
}

#[test]
fn on_postgresql_the_tables_of_a_host_get_no_index_of_ours() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let host = HostDatabase::new(Backend::Postgres, Backend::Postgres.library());
    attach(&host.url, &AttachOptions::default(), now()).unwrap();
    make_search_indexes(&host.url, &[TITLES, AUTHORS]).unwrap();
    assert_eq!(indexes(&mut host.outsider()), [""; 0]);
}

on_each_database! { fn long_words_and_many_words_are_looked_for(backend) {
    for (indexed, tracking_columns) in [(true, false), (true, true), (false, true)] {
        let titles = SearchIndex { indexed, tracking_columns, ..TITLES };
        let fixture = shelf(backend, &mut Random::new(1), indexed, tracking_columns);
        let ann = fixture.session("ann");
        let found = |asked: &str| list(&fixture.database, &ann, titles, asked, None).isbns;
        let long = "x".repeat(5000);
        ann.write(&format!("update books set title = 'ü{long} end' where isbn = '100'")).unwrap();
        for asked in ["üxxx".to_owned(), format!("ü{}", &long[..200]), "end".to_owned()] {
            assert_eq!(found(&asked), ["100"], "{}", asked.len());
        }
        let many: Vec<String> = (0x4e00..0x4e00 + 250).filter_map(char::from_u32).map(String::from).collect();
        ann.write(&format!("update books set title = '{}' where isbn = '101'", many.join(", "))).unwrap();
        assert_eq!(found(&many.join(" ")), ["101"]);
    }
}}
