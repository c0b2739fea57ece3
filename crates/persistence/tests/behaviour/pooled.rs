//! Connections that go from one unit of work to the next.

use std::thread;
use std::time::Duration as StdDuration;

use demo_reset_domain::{SessionId, UserKey};
use demo_reset_persistence::{AnyConnection, Database, Error, OpenOptions};
use diesel::connection::SimpleConnection;
use uuid::Uuid;

use crate::faults::{cut_connections, texts};
use crate::fixture::{Backend, Fixture, Session, now, options};

const TITLE: &str = "select title from books where isbn = '1'";

/// A library on PostgreSQL with one connection, and another pool for the same database.
fn with_one_connection() -> (Fixture, Database) {
    let mut fixture = Fixture::library(Backend::Postgres);
    let one = OpenOptions { readers: 1, ..options() };
    let other = std::mem::replace(&mut fixture.database, Database::open(&fixture.url, one, now()).unwrap());
    (fixture, other)
}

/// How many connections to the database wait with a transaction open.
fn left_open(fixture: &Fixture) -> usize {
    let open = "select pid::text as value from pg_stat_activity \
        where datname = current_database() and state like 'idle in transaction%'";
    texts(&mut fixture.outsider(), open).len()
}

fn titles(conn: &mut AnyConnection) -> Result<Vec<String>, Error> {
    Ok(texts(conn, &format!("select ({TITLE}) as value")))
}

fn change_title(database: &Database, session: &Session<'_>, title: &str) {
    let change = format!("update books set title = '{title}' where isbn = '1'");
    database.write(session.id, now(), |conn| conn.batch_execute(&change).map_err(Error::from)).unwrap();
}

#[test]
fn a_transaction_that_has_read_is_left_open_only_where_somebody_waits() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let (fixture, _) = with_one_connection();
    let session = fixture.session("ann");
    session.value(TITLE);
    assert_eq!(left_open(&fixture), 0);
    let demand = fixture.database.demand();
    session.value(TITLE);
    assert_eq!(left_open(&fixture), 1);
    drop(demand);
    session.value(TITLE);
    assert_eq!(left_open(&fixture), 0);
}

#[test]
fn after_a_transaction_was_left_open_each_unit_of_work_sees_its_own_session_as_it_is_now() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let (fixture, other) = with_one_connection();
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    let _demand = fixture.database.demand();
    assert_eq!((ann.value(TITLE), left_open(&fixture)), ("One".to_owned(), 1));
    change_title(&other, &ann, "Changed elsewhere");
    assert_eq!(ann.value(TITLE), "Changed elsewhere");
    assert_eq!(ben.value(TITLE), "One");
    change_title(&fixture.database, &ben, "Changed after Ann");
    assert_eq!(left_open(&fixture), 0, "what has written is committed");
    assert_eq!(ben.value(TITLE), "Changed after Ann");
    assert_eq!(ann.value(TITLE), "Changed elsewhere");
    ann.reset();
    assert_eq!((ann.value(TITLE), left_open(&fixture)), ("One".to_owned(), 1));
}

#[test]
fn what_is_bound_to_no_session_ends_a_transaction_that_was_left_open() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let (fixture, _) = with_one_connection();
    let ann = fixture.session("ann");
    change_title(&fixture.database, &ann, "Ann");
    let uses: [(&str, &dyn Fn()); 4] = [
        ("the base", &|| assert_eq!(fixture.database.read_base(titles).unwrap(), ["One"])),
        ("counts", &|| assert_eq!(fixture.database.change_counts(ann.id).unwrap().total(), 1)),
        ("another user", &|| assert_ne!(fixture.session("ben").id, ann.id)),
        ("what fails", &|| {
            let nobody = SessionId(Uuid::new_v4());
            let refused = fixture.database.read(nobody, titles).unwrap_err();
            assert!(matches!(refused, Error::UnknownSession), "{refused}");
        }),
    ];
    let demand = fixture.database.demand();
    for (name, use_it) in uses {
        ann.value(TITLE);
        assert_eq!(left_open(&fixture), 1, "before {name}");
        use_it();
        assert_eq!(left_open(&fixture), 0, "after {name}");
    }
    ann.value(TITLE);
    drop(demand);
    fixture.database.end_left_open();
    assert_eq!(left_open(&fixture), 0);
}

#[test]
fn a_connection_that_died_with_a_transaction_left_open_is_made_anew() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let (fixture, _) = with_one_connection();
    let ann = fixture.session("ann");
    let demand = fixture.database.demand();
    for _ in 0..2 {
        ann.value(TITLE);
        cut_connections(&mut fixture.outsider());
        assert_eq!(ann.value(TITLE), "One");
        cut_connections(&mut fixture.outsider());
        assert_eq!(fixture.database.change_counts(ann.id).unwrap().total(), 0);
    }
    ann.value(TITLE);
    cut_connections(&mut fixture.outsider());
    drop(demand);
    fixture.database.end_left_open();
    assert_eq!(ann.value(TITLE), "One");
}

#[test]
fn no_transaction_stays_open_where_many_wait_for_connections_and_give_up() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let mut fixture = Fixture::library(Backend::Postgres);
    let impatient = OpenOptions { readers: 2, connection_timeout: StdDuration::from_millis(40), ..options() };
    let patient = Database::open(&fixture.url, options(), now()).unwrap();
    let ann = UserKey::new("acme", "ann").unwrap();
    let id = patient.session(&ann, SessionId(Uuid::new_v4()), now()).unwrap().id;
    // A busy machine may take longer to make the first connection.
    let opened = (0..100).find_map(|_| Database::open(&fixture.url, impatient.clone(), now()).ok());
    fixture.database = opened.unwrap();
    for _ in 0..10 {
        let (read, gave_up) = thread::scope(|scope| {
            let reads = |_| match fixture.database.read(id, titles) {
                Ok(found) => {
                    assert_eq!(found, ["One"]);
                    (1, 0)
                }
                Err(Error::Unavailable(_)) => (0, 1),
                Err(other) => panic!("{other}"),
            };
            let threads: Vec<_> =
                (0..64).map(|_| scope.spawn(move || (0..5).map(reads).collect::<Vec<_>>())).collect();
            let all = threads.into_iter().flat_map(|thread| thread.join().unwrap());
            all.fold((0, 0), |sum: (u32, u32), one| (sum.0 + one.0, sum.1 + one.1))
        });
        assert_eq!(read + gave_up, 64 * 5);
        assert!(read > 0);
        assert_eq!(left_open(&fixture), 0);
    }
}
