//! Connections to PostgreSQL that are lost before an undo begins, while it runs, and when its answer is on the way: it
//! is done all the same, and once.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use demo_reset_domain::{ArchiveId, OnConflict};
use demo_reset_persistence::{Database, DatabaseUrl, Error, OpenOptions};
use diesel::connection::SimpleConnection;
use uuid::Uuid;

use crate::faults::cut_connections;
use crate::fixture::{Backend, Fixture, Session, now, options, until_wait};

/// What a session's two archives change: not the same.
const FIRST: &str = "update authors set name = 'First' where id = 1";
const SECOND: &str = "update authors set name = 'Second' where id = 2";

/// One change more.
const THIRD: &str = "update authors set name = 'Third' where id = 3";

/// What stands between an engine and the server, and can cut the connection between them.
struct Wire {
    _folder: tempfile::TempDir,
    url: DatabaseUrl,
    cut: Arc<Mutex<Option<Cut>>>,
    /// The answer that was lost.
    lost: Arc<Mutex<Vec<u8>>>,
}

/// Where the next statement's connection is cut.
enum Cut {
    /// As soon as the server has been asked.
    Asked,
    /// When the server has answered, and so has committed, and something else was done.
    Answered(Box<dyn FnOnce() + Send>),
}

type Half = (Box<dyn Read + Send>, Box<dyn Write + Send>);

/// The server that a URL names, by a socket or by an address.
fn server(url: &str) -> Half {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    match query.split('&').find_map(|part| part.strip_prefix("host=")) {
        Some(folder) => {
            let stream = UnixStream::connect(Path::new(folder).join(".s.PGSQL.5432")).unwrap();
            (Box::new(stream.try_clone().unwrap()), Box::new(stream))
        }
        None => {
            let host = address.split('/').nth(2).unwrap().rsplit('@').next().unwrap();
            let host = if host.contains(':') { host.to_owned() } else { format!("{host}:5432") };
            let stream = TcpStream::connect(host).unwrap();
            (Box::new(stream.try_clone().unwrap()), Box::new(stream))
        }
    }
}

impl Wire {
    fn new(fixture: &Fixture) -> Self {
        let DatabaseUrl::Postgres(behind) = fixture.url.clone() else { panic!("a wire is PostgreSQL's") };
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let mark = if behind.contains('?') { '&' } else { '?' };
        let url = format!("{behind}{mark}host={}&port=5432", folder.path().display()).parse().unwrap();
        let wire = Self { _folder: folder, url, cut: Arc::default(), lost: Arc::default() };
        let (cut, lost) = (Arc::clone(&wire.cut), Arc::clone(&wire.lost));
        thread::spawn(move || {
            for engine in listener.incoming() {
                connect(engine.unwrap(), server(&behind), &cut, &lost);
            }
        });
        wire
    }

    /// Cuts the connection with the next statement.
    fn cut(&self, at: Cut) {
        *self.cut.lock().unwrap() = Some(at);
    }
}

/// Passes on what one connection says, both ways, until it is cut or one side is gone.
fn connect(
    engine: UnixStream,
    (mut answers, mut questions): Half,
    cut: &Arc<Mutex<Option<Cut>>>,
    lost: &Arc<Mutex<Vec<u8>>>,
) {
    let (mut asking, mut answered) = (engine.try_clone().unwrap(), engine);
    let asked = Arc::clone(cut);
    thread::spawn(move || {
        while let Some(question) = some_of(&mut asking) {
            if questions.write_all(&question).is_err() {
                return;
            }
            if asked.lock().unwrap().take_if(|cut| matches!(cut, Cut::Asked)).is_some() {
                asking.shutdown(Shutdown::Both).unwrap();
            }
        }
    });
    let (cut, lost) = (Arc::clone(cut), Arc::clone(lost));
    thread::spawn(move || {
        while let Some(answer) = some_of(&mut answers) {
            if let Some(Cut::Answered(meanwhile)) = cut.lock().unwrap().take() {
                *lost.lock().unwrap() = answer;
                meanwhile();
                answered.shutdown(Shutdown::Both).unwrap();
                return;
            }
            if answered.write_all(&answer).is_err() {
                return;
            }
        }
    });
}

/// What has come; nothing where the other side is gone.
fn some_of(from: &mut dyn Read) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 8192];
    let length = from.read(&mut bytes).unwrap_or(0);
    bytes.truncate(length);
    (length > 0).then_some(bytes)
}

/// A library that is reached by a wire, on one connection.
fn on_a_wire() -> (Fixture, Wire, Database) {
    let mut fixture = Fixture::library(Backend::Postgres);
    let wire = Wire::new(&fixture);
    let one = OpenOptions { readers: 1, ..options() };
    let direct = std::mem::replace(&mut fixture.database, Database::open(&wire.url, one, now()).unwrap());
    (fixture, wire, direct)
}

/// Resets two changes, one after the other; the worlds of both.
fn two_resets(session: &Session<'_>) -> [Vec<String>; 2] {
    session.write(FIRST).unwrap();
    session.reset();
    // So that the undo's statement is prepared: what the wire is asked next is the undo itself.
    session.undo().unwrap();
    let first = session.world();
    session.reset();
    session.write(SECOND).unwrap();
    let second = session.world();
    session.reset();
    [first, second]
}

fn unrestored(session: &Session<'_>) -> usize {
    let archives = session.fixture.database.archives(session.id).unwrap();
    archives.iter().filter(|archive| archive.restored_at.is_none()).count()
}

#[test]
fn an_undo_after_the_server_has_dropped_idle_connections_works() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let fixture = Fixture::library(Backend::Postgres);
    let session = fixture.session("ann");
    let [_, second] = two_resets(&session);
    cut_connections(&mut fixture.outsider());
    assert_eq!(session.undo().unwrap().restored.total(), 1);
    assert_eq!(session.world(), second);
    assert_eq!(unrestored(&session), 1);
}

#[test]
fn an_undo_whose_answer_is_lost_after_it_was_committed_does_not_undo_a_second_reset() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let (fixture, wire, _) = on_a_wire();
    for wanted in [false, true] {
        let session = fixture.session(&format!("wants one: {wanted}"));
        let [first, second] = two_resets(&session);
        let oldest =
            fixture.database.archives(session.id).unwrap().into_iter().rfind(|a| a.restored_at.is_none());
        wire.cut(Cut::Answered(Box::new(|| ())));
        let wanted = oldest.filter(|_| wanted).map(|archive| archive.id);
        let report = session.undo_with(wanted, OnConflict::Fail, now()).unwrap();
        assert!(was_done(&wire), "the undo was answered, and the answer lost");
        assert_eq!(report.restored.total(), 1);
        assert_eq!((report.kept_archived, report.replaced), (None, None));
        assert_eq!(session.world(), if wanted.is_some() { first } else { second });
        assert_eq!(unrestored(&session), 1);
    }
}

#[test]
fn an_undo_whose_answer_is_lost_leaves_alone_what_was_reset_or_undone_at_the_same_time_since() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let (fixture, wire, direct) = on_a_wire();
    let session = fixture.session("ann");
    two_resets(&session);
    let id = session.id;
    let elsewhere = direct.clone();
    wire.cut(Cut::Answered(Box::new(move || {
        let [reset, undone, again] = [(); 3].map(|()| ArchiveId(Uuid::new_v4()));
        elsewhere.reset(id, reset, now()).unwrap();
        elsewhere.undo(id, None, OnConflict::Fail, undone, now()).unwrap();
        elsewhere.write(id, now(), |conn| conn.batch_execute(THIRD).map_err(Error::from)).unwrap();
        elsewhere.reset(id, again, now()).unwrap();
    })));
    let report = session.undo_with(None, OnConflict::Fail, now()).unwrap();
    assert!(was_done(&wire));
    assert_eq!(report.restored.total(), 1, "as it was answered at first");
    assert_eq!(session.world(), fixture.session("base").world(), "the reset that came since stays");
    assert_eq!(unrestored(&session), 2);
    // And another undo at the very same time is one of its own.
    session.undo_with(None, OnConflict::Fail, now()).unwrap();
    assert_eq!(session.value("select name from authors where id = 3"), "Third");
    assert_eq!(unrestored(&session), 1);
}

#[test]
fn an_undo_whose_connection_is_lost_while_it_waits_on_the_server_is_done_once() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let (fixture, wire, _) = on_a_wire();
    let session = fixture.session("ann");
    let [_, second] = two_resets(&session);
    let mut owner = fixture.outsider();
    let hold = format!("begin; select from demo.demo_user_sessions where id = '{}' for update", session.id.0);
    owner.batch_execute(&hold).unwrap();
    wire.cut(Cut::Asked);
    let report = thread::scope(|scope| {
        let undo = scope.spawn(|| session.undo_with(None, OnConflict::Fail, now()));
        until_wait(&mut fixture.outsider(), 2);
        owner.batch_execute("commit").unwrap();
        undo.join().unwrap().unwrap()
    });
    assert_eq!(report.restored.total(), 1);
    assert_eq!(session.world(), second);
    assert_eq!(unrestored(&session), 1);
}

/// Whether the answer that was lost is that of a statement which gave one row.
fn was_done(wire: &Wire) -> bool {
    let answer = std::mem::take(&mut *wire.lost.lock().unwrap());
    answer.windows(8).any(|bytes| bytes == b"SELECT 1")
}
