//! Operations that overlap, step by step, on PostgreSQL: each schedule says which connection does what and in which
//! order. A step runs, waits for another's lock, or is refused; in the end everything is as after one of the orders in
//! which the operations could have been done one by one.
//!
//! The schedules and what is to come of them are listed in `docs/interleavings.txt`. After a change that is meant,
//! `DEMO_RESET_UPDATE=1 cargo test -p demo-reset-persistence interleavings` writes the list anew.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration as StdDuration;

use chrono::Duration;
use demo_reset_domain::{ArchiveId, OnConflict, SessionId};
use demo_reset_persistence::{AnyConnection, Database, Error, OpenOptions};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer};
use uuid::Uuid;

use crate::faults::outcome;
use crate::fixture::{Backend, Fixture, Session, now, options};

// The machinery: connections that are told what to do, and a look at who waits.

/// A connection that does one step after the other, each told through a channel and answered through another.
pub struct Actor<C> {
    pub pid: i32,
    commands: Sender<C>,
    answers: Receiver<String>,
    /// The steps that it has been told and has not answered.
    open: VecDeque<usize>,
}

impl<C: Send + 'static> Actor<C> {
    /// Runs `work` in a thread of its own until the actor is dropped. `work` answers each command once.
    pub fn start(pid: i32, work: impl FnOnce(Receiver<C>, Sender<String>) + Send + 'static) -> Self {
        let (commands, told) = channel();
        let (answer, answers) = channel();
        std::thread::spawn(move || work(told, answer));
        Self { pid, commands, answers, open: VecDeque::new() }
    }
}

/// How a step ended, and whether it had to wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    pub waited: bool,
    pub answer: String,
}

#[derive(QueryableByName)]
struct Pid {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

pub fn pid_of(conn: &mut AnyConnection) -> i32 {
    diesel::sql_query("select pg_backend_pid() as pid").get_result::<Pid>(conn).unwrap().pid
}

/// Tells the actors one step after the other. The next one is told when each actor has answered or waits for a lock.
/// How each step ended.
pub fn run<C: Send + 'static>(
    observer: &mut AnyConnection,
    actors: &mut [Actor<C>],
    steps: Vec<(usize, C)>,
) -> Vec<Ended> {
    let mut ended: Vec<Ended> = steps.iter().map(|_| Ended::default()).collect();
    for (at, (actor, command)) in steps.into_iter().enumerate() {
        actors[actor].open.push_back(at);
        actors[actor].commands.send(command).unwrap();
        until_settled(observer, actors, &mut ended);
        ended[at].waited = actors[actor].open.contains(&at);
    }
    assert!(actors.iter().all(|actor| actor.open.is_empty()), "somebody waits for nobody");
    ended
}

fn until_settled<C>(observer: &mut AnyConnection, actors: &mut [Actor<C>], ended: &mut [Ended]) {
    loop {
        for actor in actors.iter_mut() {
            while let Ok(answer) = actor.answers.try_recv() {
                let step = actor.open.pop_front().unwrap();
                ended[step].answer = answer;
            }
        }
        let open: Vec<i32> =
            actors.iter().filter(|actor| !actor.open.is_empty()).map(|actor| actor.pid).collect();
        if open.is_empty() {
            return;
        }
        // The lock table, not the activity: there a lock is granted the moment that it is given back. Whoever has
        // not answered when it is read, and waits in it, goes on waiting until somebody else does something.
        let pids: Vec<String> = open.iter().map(i32::to_string).collect();
        let waiting = diesel::sql_query(format!(
            "select count(distinct pid) as count from pg_locks where pid in ({}) and not granted \
             and locktype in ('transactionid', 'tuple', 'advisory')",
            pids.join(", ")
        ));
        if waiting.get_result::<Count>(observer).unwrap().count == open.len() as i64 {
            return;
        }
        std::thread::yield_now();
    }
}

/// Every order in which `counts[i]` steps of each actor can follow each other.
fn interleavings(counts: &[usize]) -> Vec<Vec<usize>> {
    if counts.iter().all(|count| *count == 0) {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for actor in 0..counts.len() {
        if counts[actor] == 0 {
            continue;
        }
        let mut rest = counts.to_vec();
        rest[actor] -= 1;
        for mut order in interleavings(&rest) {
            order.insert(0, actor);
            all.push(order);
        }
    }
    all
}

// The operations.

/// What a connection does: a unit of work in three steps, or an operation of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Script {
    Write,
    OtherWrite,
    WriteOfAnother,
    Reset,
    Undo,
    Cleanup,
    Verify,
}

/// A step of a script.
#[derive(Debug, Clone, Copy)]
enum Step {
    Begin,
    Change(&'static str),
    Commit,
    Reset,
    Undo,
    Cleanup,
    Verify,
}

impl Script {
    fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::OtherWrite => "second write",
            Self::WriteOfAnother => "write of another session",
            Self::Reset => "reset",
            Self::Undo => "undo",
            Self::Cleanup => "cleanup",
            Self::Verify => "verify",
        }
    }

    /// The steps, each with how it is written in a schedule.
    fn steps(self) -> Vec<(&'static str, Step)> {
        const WRITE: &str = "insert into publishers (code, name) values ('w', 'W'); \
            update books set price = price * 2 where isbn = '1'";
        const OTHER: &str = "insert into publishers (code, name) values ('v', 'V'); \
            update books set price = price + 1 where isbn = '1'";
        match self {
            Self::Write => {
                vec![("begin", Step::Begin), ("change", Step::Change(WRITE)), ("commit", Step::Commit)]
            }
            Self::OtherWrite => {
                vec![("begin2", Step::Begin), ("change2", Step::Change(OTHER)), ("commit2", Step::Commit)]
            }
            Self::WriteOfAnother => {
                vec![("begin'", Step::Begin), ("change'", Step::Change(WRITE)), ("commit'", Step::Commit)]
            }
            Self::Reset => vec![("reset", Step::Reset)],
            Self::Undo => vec![("undo", Step::Undo)],
            Self::Cleanup => vec![("cleanup", Step::Cleanup)],
            Self::Verify => vec![("verify", Step::Verify)],
        }
    }
}

fn combinations() -> Vec<Vec<Script>> {
    use Script::*;
    let mut all = vec![vec![Write, Reset], vec![Write, Undo], vec![Write, Cleanup], vec![Write, Verify]];
    all.push(vec![Write, OtherWrite]);
    all.push(vec![Write, WriteOfAnother]);
    let single = [Reset, Undo, Cleanup, Verify];
    for (at, first) in single.into_iter().enumerate() {
        all.extend(single[at + 1..].iter().map(|second| vec![Write, first, *second]));
    }
    all
}

/// A command to a connection: a step in a session.
struct Command(SessionId, Step);

/// A connection of the engine's.
fn engine(fixture: &Fixture) -> Actor<Command> {
    let options = OpenOptions { readers: 1, connection_timeout: StdDuration::from_secs(300), ..options() };
    let database = Database::open(&fixture.url, options, now()).unwrap();
    let pid = database.read_base(|conn| Ok::<_, Error>(pid_of(conn))).unwrap();
    Actor::start(pid, move |commands, answers| {
        while let Ok(Command(session, step)) = commands.recv() {
            let answer = match step {
                Step::Begin => write(&database, session, &commands, &answers),
                other => operation(&database, session, other),
            };
            // Nobody listens any more where the test has failed.
            let _ = answers.send(answer);
        }
    })
}

/// A unit of work, step by step; the answer to its last step.
fn write(
    database: &Database,
    session: SessionId,
    commands: &Receiver<Command>,
    answers: &Sender<String>,
) -> String {
    let done = database.write(session, now(), |conn| {
        let _ = answers.send("ok".to_owned());
        loop {
            match commands.recv() {
                Ok(Command(_, Step::Change(sql))) => {
                    conn.batch_execute(sql)?;
                    let _ = answers.send("ok".to_owned());
                }
                _ => return Ok(()),
            }
        }
    });
    said(done.map(|()| "ok".to_owned()))
}

fn operation(database: &Database, session: SessionId, step: Step) -> String {
    let new_id = || ArchiveId(Uuid::new_v4());
    said(match step {
        // By the clock of the cleanup, which so does not purge what was archived a moment ago.
        Step::Reset => {
            database.reset(session, new_id(), now() + Duration::days(30)).map(|report| match report.archive {
                Some(archive) => format!("archives {}", archive.counts.total()),
                None => "has nothing to do".to_owned(),
            })
        }
        Step::Undo => database
            .undo(session, None, OnConflict::Fail, new_id(), now() + Duration::hours(23))
            .map(|report| format!("restores {}", report.restored.total())),
        Step::Cleanup => clean_up(database, 30 * 24),
        Step::Verify => database
            .verify()
            .map(|found| if found.base_is_intact() { "intact" } else { "not intact" }.to_owned()),
        Step::Begin | Step::Change(_) | Step::Commit => Ok("has no transaction".to_owned()),
    })
}

/// A cleanup so many hours later: after 25 the archive has expired, after 30 days the session is idle as well.
fn clean_up(database: &Database, hours: i64) -> Result<String, Error> {
    let report = database.cleanup(now() + Duration::hours(hours), &mut || ArchiveId(Uuid::new_v4()))?;
    Ok(format!("purges {}, archives {}", report.changes_purged, report.sessions_archived))
}

fn said(result: Result<String, Error>) -> String {
    match result {
        Ok(said) => said,
        Err(Error::UndoConflict(conflicts)) => format!("refused: {} in conflict", conflicts.len()),
        Err(Error::Undo(refusal)) => format!("refused: {refusal}"),
        Err(error) => format!("fails: {error}"),
    }
}

/// A session with changes, over an archive that changed one of the same records.
fn prepared(fixture: &Fixture, name: String) -> Session<'_> {
    let session = fixture.session(&name);
    let first =
        "insert into publishers (code, name) values ('a', 'A'); update books set price = 3 where isbn = '1'";
    session.write(first).unwrap();
    assert!(session.reset().archive.is_some());
    session.write("insert into publishers (code, name) values ('b', 'B'); delete from notes").unwrap();
    session
}

/// What there is in the end: what each operation said, and what is there.
#[derive(Debug, PartialEq, Eq)]
struct End {
    said: BTreeMap<Script, String>,
    left: Vec<Vec<String>>,
}

/// A cleanup is two operations to the others: it purges archives that have expired, then it retires idle sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Script(Script),
    Purge,
    Retire,
}

/// Every order in which the operations can be done one by one.
fn serial_orders(scripts: &[Script]) -> Vec<Vec<Whole>> {
    let wholes: Vec<Vec<Whole>> = scripts
        .iter()
        .map(|script| match script {
            Script::Cleanup => vec![Whole::Purge, Whole::Retire],
            other => vec![Whole::Script(*other)],
        })
        .collect();
    let counts: Vec<usize> = wholes.iter().map(Vec::len).collect();
    let in_order = |order: Vec<usize>| {
        let mut next = vec![0; wholes.len()];
        order
            .into_iter()
            .map(|of| {
                next[of] += 1;
                wholes[of][next[of] - 1]
            })
            .collect()
    };
    interleavings(&counts).into_iter().map(in_order).collect()
}

/// How an order is written in the list.
fn order_name(order: &[Whole]) -> String {
    let together = order.windows(2).any(|pair| pair == [Whole::Purge, Whole::Retire]);
    let names = order.iter().filter_map(|whole| match whole {
        Whole::Script(script) => Some(script.name()),
        Whole::Purge if together => None,
        Whole::Purge => Some("cleanup's purge"),
        Whole::Retire if together => Some("cleanup"),
        Whole::Retire => Some("cleanup's retirement"),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// The worlds of the two users, what they hold archived, and the base.
fn left(sessions: &[Session<'_>; 2]) -> Vec<Vec<String>> {
    let of = |session: &Session<'_>| match session.fixture.database.session_by_id(session.id).unwrap() {
        Some(_) => outcome(session),
        // A cleanup removes a session that has nothing left.
        None => vec!["no session".to_owned()],
    };
    let mut left: Vec<Vec<String>> = sessions.iter().map(of).collect();
    left.push(sessions[0].fixture.base_dump());
    left
}

struct Stage<'a> {
    fixture: &'a Fixture,
    actors: Vec<Actor<Command>>,
    observer: AnyConnection,
    sessions: usize,
}

impl<'a> Stage<'a> {
    fn new(fixture: &'a Fixture) -> Self {
        let actors = (0..3).map(|_| engine(fixture)).collect();
        Self { fixture, actors, observer: fixture.outsider(), sessions: 0 }
    }

    fn sessions(&mut self) -> [Session<'a>; 2] {
        self.sessions += 1;
        ["ann", "ben"].map(|user| prepared(self.fixture, format!("{user} {}", self.sessions)))
    }

    /// Nothing is left of earlier sessions that a cleanup could find.
    fn clear(&self) {
        for months in [3, 6] {
            clean_up(&self.fixture.database, months * 30 * 24).unwrap();
        }
    }

    /// The end of an order in which everything is done one by one.
    fn serial(&mut self, order: &[Whole]) -> End {
        let sessions = self.sessions();
        let database = &self.fixture.database;
        let mut said = BTreeMap::new();
        let mut purged = String::new();
        for whole in order {
            match whole {
                Whole::Purge => purged = clean_up(database, 25).unwrap(),
                Whole::Retire => {
                    let retired = clean_up(database, 30 * 24).unwrap();
                    said.insert(Script::Cleanup, sum(&purged, &retired));
                }
                Whole::Script(script) => {
                    let session = &sessions[usize::from(*script == Script::WriteOfAnother)];
                    let answer = match script.steps()[..] {
                        [(_, step)] => operation(database, session.id, step),
                        [_, (_, Step::Change(sql)), _] => {
                            session.write(sql).map_or_else(|e| e.to_string(), |()| "ok".to_owned())
                        }
                        _ => unreachable!(),
                    };
                    said.insert(*script, answer);
                }
            }
        }
        let end = End { said, left: left(&sessions) };
        self.clear();
        end
    }

    /// Runs a schedule; its steps as they are listed, and how it ends.
    fn schedule(&mut self, scripts: &[Script], order: &[usize]) -> (String, End) {
        let sessions = self.sessions();
        let mut rest: Vec<VecDeque<(&str, Step)>> =
            scripts.iter().map(|script| script.steps().into()).collect();
        let steps: Vec<(usize, &str, Step)> = order
            .iter()
            .map(|&actor| {
                let (name, step) = rest[actor].pop_front().unwrap();
                (actor, name, step)
            })
            .collect();
        let session_of = |actor: usize| sessions[usize::from(scripts[actor] == Script::WriteOfAnother)].id;
        let commands =
            steps.iter().map(|(actor, _, step)| (*actor, Command(session_of(*actor), *step))).collect();
        let ended = run(&mut self.observer, &mut self.actors, commands);
        let mut said = BTreeMap::new();
        let mut listed = Vec::new();
        for ((actor, name, _), Ended { waited, answer }) in steps.iter().zip(ended) {
            let waits = if waited { " waits" } else { "" };
            let answers = if answer == "ok" { String::new() } else { format!(": {answer}") };
            listed.push(format!("{name}{waits}{answers}"));
            // The last answer counts: that to the commit.
            said.insert(scripts[*actor], answer);
        }
        let end = End { said, left: left(&sessions) };
        self.clear();
        (listed.join(" | "), end)
    }
}

/// Two reports of a cleanup as one.
fn sum(one: &str, other: &str) -> String {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
    };
    let (one, other) = (numbers(one), numbers(other));
    format!("purges {}, archives {}", one[0] + other[0], one[1] + other[1])
}

fn list_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/interleavings.txt")
}

#[test]
fn every_schedule_ends_as_listed_and_as_one_operation_after_the_other() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let fixture = Fixture::library(Backend::Postgres);
    let mut stage = Stage::new(&fixture);
    let mut list = String::from(
        "Schedules of two and three connections on PostgreSQL, and what comes of each step.\n\
         A step without a remark is done at once. \"waits\": until another connection's transaction has ended.\n\
         After the arrow: the order in which the operations, one by one, end the same. Where two wait for the same row,\n\
         either may come first: there some order is found, which may be another one each time.\n\
         Written and checked by crates/persistence/tests/behaviour/interleavings.rs.\n",
    );
    let mut count = 0;
    for scripts in combinations() {
        let names: Vec<&str> = scripts.iter().map(|script| script.name()).collect();
        writeln!(list, "\n{}", names.join(" + ")).unwrap();
        let serial: Vec<(String, End)> =
            serial_orders(&scripts).iter().map(|order| (order_name(order), stage.serial(order))).collect();
        let counts: Vec<usize> = scripts.iter().map(|script| script.steps().len()).collect();
        for order in interleavings(&counts) {
            let (listed, end) = stage.schedule(&scripts, &order);
            count += 1;
            let same = serial.iter().find(|(_, serial)| *serial == end);
            let (order, _) =
                same.unwrap_or_else(|| panic!("{listed}\nends as no order does: {end:?}\n{serial:?}"));
            // PostgreSQL does not say which of two that wait for the same row comes first.
            if listed.matches(" waits").count() > 1 {
                let steps = listed.split(" | ").map(|step| step.split(':').next().unwrap_or_default());
                let steps: Vec<&str> = steps.collect();
                writeln!(list, "{count:4}  {}  ->  whichever comes first", steps.join(" | ")).unwrap();
            } else {
                writeln!(list, "{count:4}  {listed}  ->  {order}").unwrap();
            }
        }
    }
    assert!(fixture.database.verify().unwrap().base_is_intact());
    assert!(count >= 150, "{count} schedules");
    if std::env::var_os("DEMO_RESET_UPDATE").is_some() {
        std::fs::write(list_file(), &list).unwrap();
    }
    let expected = std::fs::read_to_string(list_file()).unwrap();
    for (found, expected) in list.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(list.lines().count(), expected.lines().count());
}
