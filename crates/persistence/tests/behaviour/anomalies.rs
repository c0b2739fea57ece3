//! The ten anomalies that Hermitage (Martin Kleppmann) tests isolation levels by, within one session and across two, by
//! plain SQL on PostgreSQL. What is possible is published in `docs/testing.md`, and a difference fails this test.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender};

use demo_reset_persistence::AnyConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::fixture::{Backend, Fixture};
use crate::interleavings::{Actor, Ended, pid_of, run};

const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];

/// How the transactions take up their session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binding {
    /// Every transaction binds for writing before it does anything, as the engine does where it writes.
    WriteFirst,
    /// Every transaction binds for reading, and again for writing only before its first write.
    ReadFirst,
    /// As [`Self::ReadFirst`], each transaction in the session of another user.
    OtherSession,
}

/// A step of a script: whose, and what.
#[derive(Debug, Clone, Copy)]
enum Do {
    Read(&'static str),
    Write(&'static str),
    Commit,
    Rollback,
}

use Do::{Commit, Read, Rollback, Write};

/// An anomaly: the steps of Hermitage's test, and whether what was read is what must not be.
struct Anomaly {
    name: &'static str,
    steps: &'static [(usize, Do)],
    /// Sees the answers to the steps that read, those that failed as none, and the values in the end.
    happened: fn(&[Option<&str>], &str) -> bool,
}

const ONE: &str = "select born::int::text as value from authors where id = 1";
const TWO: &str = "select born::int::text as value from authors where id = 2";
const BOTH: &str =
    "select string_agg(born::int::text, ' ' order by id) as value from authors where id in (1, 2)";
const THIRTY: &str = "select count(*)::text as value from authors where born = 30";
const ADD_THIRTY: &str = "insert into authors (id, name, born) values (50 + {t}, 'New', 30)";

/// The transactions are 0, 1 and 2; authors 1 and 2 begin as 10 and 20.
const ANOMALIES: [Anomaly; 10] = [
    Anomaly {
        name: "dirty write (G0)",
        steps: &[
            (0, Write("update authors set born = 11 where id = 1")),
            (1, Write("update authors set born = 12 where id = 1")),
            (0, Write("update authors set born = 21 where id = 2")),
            (0, Commit),
            (1, Write("update authors set born = 22 where id = 2")),
            (1, Commit),
        ],
        happened: |_, end| end == "11 22" || end == "12 21",
    },
    Anomaly {
        name: "aborted read (G1a)",
        steps: &[
            (0, Write("update authors set born = 101 where id = 1")),
            (1, Read(ONE)),
            (0, Rollback),
            (1, Read(ONE)),
            (1, Commit),
        ],
        happened: |reads, _| reads.contains(&Some("101")),
    },
    Anomaly {
        name: "intermediate read (G1b)",
        steps: &[
            (0, Write("update authors set born = 101 where id = 1")),
            (1, Read(ONE)),
            (0, Write("update authors set born = 11 where id = 1")),
            (0, Commit),
            (1, Read(ONE)),
            (1, Commit),
        ],
        happened: |reads, _| reads.contains(&Some("101")),
    },
    Anomaly {
        name: "circular information flow (G1c)",
        steps: &[
            (0, Write("update authors set born = 11 where id = 1")),
            (1, Write("update authors set born = 22 where id = 2")),
            (0, Read(TWO)),
            (1, Read(ONE)),
            (0, Commit),
            (1, Commit),
        ],
        happened: |reads, _| reads == [Some("22"), Some("11")],
    },
    Anomaly {
        name: "observed transaction vanishes (OTV)",
        steps: &[
            (0, Write("update authors set born = 11 where id = 1")),
            (0, Write("update authors set born = 19 where id = 2")),
            (1, Write("update authors set born = 12 where id = 1")),
            (0, Commit),
            (2, Read(ONE)),
            (1, Write("update authors set born = 18 where id = 2")),
            (2, Read(TWO)),
            (1, Commit),
            (2, Read(TWO)),
            (2, Read(ONE)),
            (2, Commit),
        ],
        happened: |reads, _| {
            // Something of the second transaction was seen, and later something that it has replaced.
            let seen = reads.iter().position(|read| matches!(read, Some("12" | "18")));
            seen.is_some_and(|at| reads[at..].iter().any(|read| matches!(read, Some("11" | "19"))))
        },
    },
    Anomaly {
        name: "predicate-many-preceders (PMP)",
        steps: &[(0, Read(THIRTY)), (1, Write(ADD_THIRTY)), (1, Commit), (0, Read(THIRTY)), (0, Commit)],
        happened: |reads, _| reads == [Some("0"), Some("1")],
    },
    Anomaly {
        name: "lost update (P4)",
        steps: &[
            (0, Read(ONE)),
            (1, Read(ONE)),
            (0, Write("update authors set born = 11 where id = 1")),
            (0, Commit),
            (1, Write("update authors set born = 12 where id = 1")),
            (1, Commit),
        ],
        // Both computed from 10, and both are done.
        happened: |reads, end| reads == [Some("10"), Some("10")] && end.starts_with("12 "),
    },
    Anomaly {
        name: "read skew (G-single)",
        steps: &[
            (0, Read(ONE)),
            (1, Read(BOTH)),
            (1, Write("update authors set born = 12 where id = 1")),
            (1, Write("update authors set born = 18 where id = 2")),
            (1, Commit),
            (0, Read(TWO)),
            (0, Commit),
        ],
        happened: |reads, _| reads.first() == Some(&Some("10")) && reads.last() == Some(&Some("18")),
    },
    Anomaly {
        name: "write skew (G2-item)",
        steps: &[
            (0, Read(BOTH)),
            (1, Read(BOTH)),
            (0, Write("update authors set born = 11 where id = 1")),
            (1, Write("update authors set born = 21 where id = 2")),
            (0, Commit),
            (1, Commit),
        ],
        happened: |reads, end| reads == [Some("10 20"), Some("10 20")] && end == "11 21",
    },
    Anomaly {
        name: "anti-dependency cycle (G2)",
        steps: &[
            (0, Read(THIRTY)),
            (1, Read(THIRTY)),
            (0, Write(ADD_THIRTY)),
            (1, Write(ADD_THIRTY)),
            (0, Commit),
            (1, Commit),
        ],
        happened: |reads, end| reads == [Some("0"), Some("0")] && end == "10 20 30 30",
    },
];

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = Text)]
    value: String,
}

/// What a connection is told: statements whose answers are not looked at, or a query.
enum Command {
    Run(String),
    Query(String),
}

const FAILED: &str = "failed";

/// A connection of another program.
fn program(fixture: &Fixture) -> Actor<Command> {
    let mut conn = fixture.outsider();
    conn.batch_execute("set role demo_app; set search_path = demo, public").unwrap();
    let pid = pid_of(&mut conn);
    Actor::start(pid, move |commands: Receiver<Command>, answers: Sender<String>| {
        while let Ok(command) = commands.recv() {
            let answer = match command {
                Command::Run(sql) => conn.batch_execute(&sql).map(|()| String::new()),
                Command::Query(sql) => {
                    diesel::sql_query(sql).get_result::<Value>(&mut conn).map(|row| row.value)
                }
            };
            // Nobody listens any more where the test has failed.
            let _ = answers.send(answer.unwrap_or_else(|_| FAILED.to_owned()));
        }
    })
}

/// Runs an anomaly's steps. Whether it happened, and whether anybody waited.
fn run_anomaly(
    observer: &mut AnyConnection,
    actors: &mut [Actor<Command>],
    anomaly: &Anomaly,
    level: &str,
    binding: Binding,
    users: [String; 3],
    end: impl FnOnce() -> String,
) -> (bool, bool) {
    let bind = |actor: usize, mode: &str| {
        Command::Run(format!("select demo.use_session('acme', '{}', '{mode}')", users[actor]))
    };
    let mut steps = Vec::new();
    let mut reads = Vec::new();
    let (mut begun, mut writes) = ([false; 3], [false; 3]);
    for &(actor, what) in anomaly.steps {
        if !begun[actor] {
            begun[actor] = true;
            steps.push((actor, Command::Run(format!("begin isolation level {level}"))));
            if binding == Binding::WriteFirst {
                steps.push((actor, bind(actor, "write")));
                writes[actor] = true;
            } else if matches!(what, Read(_)) {
                steps.push((actor, bind(actor, "read")));
            }
        }
        match what {
            Read(query) => {
                reads.push(steps.len());
                steps.push((actor, Command::Query(query.to_owned())));
            }
            Write(sql) => {
                if !writes[actor] {
                    writes[actor] = true;
                    steps.push((actor, bind(actor, "write")));
                }
                steps.push((actor, Command::Run(sql.replace("{t}", &actor.to_string()))));
            }
            Commit => steps.push((actor, Command::Run("commit".to_owned()))),
            Rollback => steps.push((actor, Command::Run("rollback".to_owned()))),
        }
    }
    let ended = run(observer, actors, steps);
    let answers: Vec<Option<&str>> =
        reads.iter().map(|&at| Some(ended[at].answer.as_str()).filter(|answer| *answer != FAILED)).collect();
    let waited = ended.iter().any(|Ended { waited, .. }| *waited);
    ((anomaly.happened)(&answers, &end()), waited)
}

fn published() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/testing.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_anomalies_of_two_connections_are_those_that_are_published() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let fixture = Fixture::library(Backend::Postgres);
    let mut observer = fixture.outsider();
    let mut actors: Vec<Actor<Command>> = (0..3).map(|_| program(&fixture)).collect();
    let mut table = vec![
        "| anomaly | bound for writing first | read committed | repeatable read | serializable | two sessions |"
            .to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    for (at, anomaly) in ANOMALIES.iter().enumerate() {
        let mut trial = |level: &str, binding: Binding| {
            let session = |actor: usize| {
                let of = if binding == Binding::OtherSession { actor } else { 0 };
                format!("{at} {level} {binding:?} {of}")
            };
            let users = [0, 1, 2].map(session);
            let sessions = users.each_ref().map(|user| fixture.session(user));
            for session in &sessions {
                let begin =
                    "update authors set born = case id when 1 then 10 when 2 then 20 end where id < 4";
                session.write(begin).unwrap();
            }
            let end = || {
                let all =
                    "select string_agg(born::int::text, ' ' order by id) from authors where born is not null";
                // Where each has a session, that of the first: nothing of the others may show there.
                sessions[0].value(all)
            };
            let (happened, waited) =
                run_anomaly(&mut observer, &mut actors, anomaly, level, binding, users.clone(), end);
            assert!(!waited || binding != Binding::OtherSession, "{}: {level}", anomaly.name);
            if happened { "**possible**" } else { "no" }
        };
        let anywhere = |outcomes: [&'static str; 3]| {
            assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
            outcomes[0]
        };
        let write_first = anywhere(LEVELS.map(|level| trial(level, Binding::WriteFirst)));
        let read_first = LEVELS.map(|level| trial(level, Binding::ReadFirst));
        let sessions = anywhere(LEVELS.map(|level| trial(level, Binding::OtherSession)));
        assert_eq!((write_first, sessions), ("no", "no"), "{}", anomaly.name);
        table.push(format!("| {} | {write_first} | {} | {sessions} |", anomaly.name, read_first.join(" | ")));
    }
    let table = table.join("\n");
    assert!(published().contains(&table), "docs/testing.md must have this table:\n{table}");
    assert!(fixture.database.verify().unwrap().base_is_intact());
}
