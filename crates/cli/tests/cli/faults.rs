//! Power cuts: the server, and PostgreSQL itself, killed while they work. Afterwards everything is as it was before
//! the operation or as it is after it, and whatever was acknowledged is there.
//!
//! A round counts only if the kill met an operation in flight: 50 of them in an everyday run, 500 in CI.
//! `DEMO_RESET_FAULT_ROUNDS=3850 cargo test -p demo-reset-cli faults` makes 10,000.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use diesel::connection::SimpleConnection;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::harness::{Answer, Backend, Demo, PASSWORD, Server};

const TRIAGE: &str = "demo-triage@acme.example";
const ADMIN: &str = "demo-admin@acme.example";
const CONFIRMED: &str = r#"{"confirmationToken":"CONFIRM_RESET"}"#;

/// Rounds of kills of a server: many in CI, few on a user's machine, as many as the variable says.
fn rounds() -> usize {
    let given = std::env::var("DEMO_RESET_FAULT_ROUNDS").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(if std::env::var_os("CI").is_some() { 192 } else { 20 })
}

/// Numbers that differ from run to run: where a kill falls is chance, whatever is done.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        #[allow(clippy::disallowed_methods, reason = "chance is wanted here")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        Self(u64::from(now.subsec_nanos()) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        // Xorshift (Marsaglia 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// An answer, or none where the connection was cut.
struct Answered {
    status: u16,
    retry_after: bool,
    body: Value,
}

fn ask(address: &str, token: &str, method: &str, path: &str, body: &str) -> Option<Answered> {
    let mut stream = TcpStream::connect(address).ok()?;
    let content = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    write!(
        stream,
        "{method} /api/v1{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         authorization: Bearer {token}\r\n{content}content-length: {}\r\n\r\n{body}",
        body.len(),
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some(Answered {
        status: head.split(' ').nth(1)?.parse().ok()?,
        retry_after: head.to_lowercase().contains("\r\nretry-after: "),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    })
}

/// What is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Write,
    Reset,
    Undo,
    Cleanup,
    Load,
}

/// How often a kill met each operation.
#[derive(Default)]
struct Tally(BTreeMap<Operation, usize>);

impl Tally {
    fn add(&mut self, operation: Operation) {
        *self.0.entry(operation).or_default() += 1;
    }

    fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// Past the test harness, which keeps what a test prints to itself.
    fn say(&self, what: &str) {
        let counts: Vec<String> =
            self.0.iter().map(|(operation, count)| format!("{operation:?} {count}")).collect();
        let _ = writeln!(
            std::io::stderr(),
            "{what}: {} operations in flight: {}",
            self.total(),
            counts.join(", ")
        );
    }
}

/// What a user's world must be: so many messages and audit entries on one case, or, where an operation was cut, one
/// of two such states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct World {
    messages: u64,
    activity: u64,
    /// Archives that can be restored.
    available: usize,
}

/// A user who works on one case, and what is known of it.
struct Worker {
    token: String,
    admin: String,
    case: String,
    base: World,
    /// As last acknowledged.
    now: World,
    /// The live state that the newest archive holds.
    archived: Option<World>,
}

impl Worker {
    fn new(server: &Server) -> Self {
        let user = server.sign_in(TRIAGE);
        let admin = server.sign_in(ADMIN).token;
        let case = user.newest_case();
        let token = user.token.clone();
        let nothing = World { messages: 0, activity: 0, available: 0 };
        let mut worker = Self { token, admin, case, base: nothing, now: nothing, archived: None };
        let (messages, activity) = worker.totals(&server.address);
        worker.base = World { messages, activity, available: 0 };
        worker.now = worker.base;
        assert_eq!(worker.look(&server.address), worker.base);
        worker
    }

    fn get(&self, address: &str, path: &str) -> Value {
        let answer = ask(address, &self.token, "GET", path, "").expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// How many messages and audit entries the case has.
    fn totals(&self, address: &str) -> (u64, u64) {
        let total = |path: &str| {
            let list = self.get(address, &format!("/cases/{}/{path}?limit=1", self.case));
            list["total"].as_u64().expect("a total")
        };
        (total("messages"), total("activity"))
    }

    /// The world as the server shows it; its parts must agree with each other.
    fn look(&self, address: &str) -> World {
        let (messages, activity) = self.totals(address);
        let session = self.get(address, "/demo/session");
        assert_eq!(session["changes"]["messages"], messages - self.base.messages, "{session}");
        assert_eq!(
            messages - self.base.messages,
            activity - self.base.activity,
            "each write left one audit entry"
        );
        let archives = self.get(address, "/demo/archives");
        let available = archives["items"].as_array().expect("a list").iter();
        let available = available.filter(|archive| archive["state"] == "available").count();
        World { messages, activity, available }
    }

    /// What the world is once the operation is done.
    fn after(&self, operation: Operation) -> World {
        let World { messages, activity, available } = self.now;
        match operation {
            Operation::Write => World { messages: messages + 1, activity: activity + 1, available },
            Operation::Reset => {
                World { messages: self.base.messages, activity: self.base.activity, available: available + 1 }
            }
            Operation::Undo => {
                let archived = self.archived.expect("an archive");
                World { messages: archived.messages, activity: archived.activity, available: available - 1 }
            }
            Operation::Cleanup | Operation::Load => self.now,
        }
    }

    fn took_effect(&mut self, operation: Operation) {
        let after = self.after(operation);
        self.archived = match operation {
            Operation::Reset => Some(self.now),
            Operation::Undo => None,
            _ => self.archived,
        };
        self.now = after;
    }

    fn send(&self, address: &str, operation: Operation) -> Option<Answered> {
        let (token, path, body) = match operation {
            Operation::Write => {
                let body = r#"{"direction":"OUTBOUND","content":"A message."}"#;
                (&self.token, format!("/cases/{}/messages", self.case), body)
            }
            Operation::Reset => (&self.token, "/demo/reset".to_owned(), CONFIRMED),
            Operation::Undo => (&self.token, "/demo/undo".to_owned(), ""),
            Operation::Cleanup | Operation::Load => (&self.admin, "/demo/admin/cleanup".to_owned(), ""),
        };
        ask(address, token, "POST", &path, body)
    }

    /// What to do next: writes, resets and undos in a mix in which each can be done.
    fn next(&self, chance: &mut Chance) -> Operation {
        let changed = self.now.messages > self.base.messages;
        match chance.below(8) {
            0 if !changed && self.now.available > 0 => Operation::Undo,
            1 if changed && self.now.available == 0 => Operation::Reset,
            2 => Operation::Cleanup,
            _ if self.now.available > 0 && !changed => Operation::Undo,
            _ if self.now.available == 0 && changed && chance.below(2) == 0 => Operation::Reset,
            _ => Operation::Write,
        }
    }

    /// Works until an operation is not acknowledged, and says which: where it was cut off, or was answered that the
    /// database is away.
    fn work_until_cut(&mut self, address: &str, chance: &mut Chance) -> (Operation, Option<Answered>) {
        loop {
            let operation = self.next(chance);
            match self.send(address, operation) {
                Some(answer) if answer.status < 300 => self.took_effect(operation),
                cut => return (operation, cut),
            }
        }
    }

    /// Takes up the state that is there: exactly that before the operation or that after it.
    fn take_up(&mut self, address: &str, cut: Operation) {
        let found = self.look(address);
        if found == self.now {
            return;
        }
        assert_eq!(found, self.after(cut), "{cut:?} was cut off; before it the world was {:?}", self.now);
        self.took_effect(cut);
    }
}

/// Lets every archive that can still be restored expire.
fn expire_archives(demo: &Demo, backend: Backend) {
    match backend {
        Backend::Sqlite => demo.execute(
            "demo.sessions.db",
            "pragma busy_timeout = 5000; update demo_archives set expires_at = '2020-01-01T00:00:00.000000Z'",
        ),
        Backend::Postgres => demo.execute_in_base(EXPIRE),
    }
}

const EXPIRE: &str = "update demo.demo_archives set expires_at = '2020-01-01'";

/// Kills after a few milliseconds, while the worker works.
fn after_a_moment(chance: &mut Chance, limit: u64) -> Duration {
    Duration::from_micros(chance.below(limit))
}

fn kill_servers(backend: Backend) {
    let demo = Demo::seeded_on(backend);
    let mut chance = Chance::new();
    let mut tally = Tally::default();
    let mut server = demo.serve();
    let mut worker = Worker::new(&server);
    while tally.total() < rounds() {
        let address = server.address.clone();
        let delay = after_a_moment(&mut chance, 60_000);
        let (cut, answer) = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(delay);
                server.kill();
            });
            worker.work_until_cut(&address, &mut chance)
        });
        assert!(answer.is_none(), "only the kill stops the worker: {:?}", answer.map(|answer| answer.body));
        server = demo.serve();
        worker.take_up(&server.address, cut);
        tally.add(cut);
        // Every few rounds an archive expires, so that the next cleanup removes rows.
        if tally.total() % 5 == 0 && worker.now.available > 0 {
            expire_archives(&demo, backend);
            (worker.now.available, worker.archived) = (0, None);
        }
    }
    let mut cleanups = 0;
    while cleanups < (rounds() / 10).max(1) {
        let was_in_flight;
        (server, was_in_flight) = kill_a_cleanup(&demo, backend, &mut chance, &mut worker, server);
        if was_in_flight {
            tally.add(Operation::Cleanup);
            cleanups += 1;
        }
    }
    // What the cut ones have left, a whole one removes.
    let answer = worker.send(&server.address, Operation::Cleanup).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let stats = ask(&server.address, &worker.admin, "GET", "/demo/admin/stats", "").expect("an answer");
    assert_eq!(stats.body["archives"]["expired"], 0, "{}", stats.body);
    drop(server);
    demo.run(&["verify"]).succeeds();
    let load = || demo.command(&LOAD);
    let whole = length_of(load());
    for _ in 0..(rounds() / 30).max(1) {
        cut_a_load(load, whole, &mut chance, |seed| seed.kill().expect("killed"), || ());
        demo.run(&["verify"]).succeeds();
        let server = demo.serve();
        if backend == Backend::Sqlite {
            assert!(demo.base().exists());
        }
        worker.take_up(&server.address, Operation::Load);
        tally.add(Operation::Load);
    }
    tally.say(&format!("server killed on {backend:?}"));
}

/// Kills the server while it cleans up archives that have expired, with changes in them; whether the kill came before
/// the answer. Nothing that the user sees may change.
fn kill_a_cleanup(
    demo: &Demo,
    backend: Backend,
    chance: &mut Chance,
    worker: &mut Worker,
    server: Server,
) -> (Server, bool) {
    for _ in 0..4 {
        for operation in [Operation::Write, Operation::Write, Operation::Reset] {
            let answer = worker.send(&server.address, operation).expect("an answer");
            assert!(answer.status < 300, "{operation:?}: {}", answer.body);
            worker.took_effect(operation);
        }
    }
    expire_archives(demo, backend);
    (worker.now.available, worker.archived) = (0, None);
    let answer = worker.send(&server.address, Operation::Write).expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.body);
    worker.took_effect(Operation::Write);
    let delay = after_a_moment(chance, 12_000);
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(delay);
            server.kill();
        });
        worker.send(&server.address, Operation::Cleanup)
    });
    drop(server);
    let server = demo.serve();
    worker.take_up(&server.address, Operation::Cleanup);
    (server, answer.is_none())
}

/// Loads the base that is there: whether a cut one has ended with the old base or with the new one, the worker's case
/// is in it, and sessions keep what they made.
const LOAD: [&str; 5] = ["seed", "--replace", "--yes", "--as-of", "2026-02-02"];

/// How long a load takes that nobody cuts.
fn length_of(mut load: Command) -> Duration {
    let started = Instant::now();
    assert!(load.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs").success());
    started.elapsed()
}

/// Cuts a load at any moment of it. One that has ended before, on a machine that is faster for a moment, is followed
/// by another, after what the cut has stopped is started again.
fn cut_a_load(
    load: impl Fn() -> Command,
    whole: Duration,
    chance: &mut Chance,
    cut: impl Fn(&mut Child),
    start_again: impl Fn(),
) {
    let length = u64::try_from(whole.as_micros()).expect("a load of seconds");
    loop {
        let mut seed = load();
        let mut seed = seed.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
        std::thread::sleep(after_a_moment(chance, length));
        cut(&mut seed);
        let was_in_flight = !seed.wait().expect("ended").success();
        start_again();
        if was_in_flight {
            return;
        }
    }
}

#[test]
fn a_killed_server_on_sqlite_loses_and_halves_nothing() {
    kill_servers(Backend::Sqlite);
}

#[test]
fn a_killed_server_on_postgresql_loses_and_halves_nothing() {
    if Backend::Postgres.is_there() {
        kill_servers(Backend::Postgres);
    }
}

/// Asks until the server says that it is ready again.
fn until_ready(address: &str) {
    let started = Instant::now();
    loop {
        let mut text = String::new();
        let asked = TcpStream::connect(address).and_then(|mut stream| {
            write!(stream, "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
            stream.read_to_string(&mut text)
        });
        if asked.is_ok() && text.starts_with("HTTP/1.1 200") {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{text}");
    }
}

#[track_caller]
fn assert_unavailable(answer: &Option<Answered>) {
    let answer = answer.as_ref().expect("the server itself is alive and answers");
    assert_eq!((answer.status, answer.retry_after), (503, true), "{}", answer.body);
}

#[test]
fn a_killed_postgresql_loses_and_halves_nothing_and_the_server_recovers_by_itself() {
    let Some(cluster) = Cluster::start() else { return };
    let demo = Demo::new();
    // The base that is loaded again below: a server's own would be of today, with other cases.
    let mut seed = demo.command(&["seed", "--as-of", "2026-02-02"]);
    Answer::of(seed.env("DATABASE_URL", cluster.url()).env("DEMO_USER_PASSWORD", PASSWORD)).succeeds();
    let server = demo.serve_at(&cluster.url());
    let mut worker = Worker::new(&server);
    let mut chance = Chance::new();
    let mut tally = Tally::default();
    while tally.total() < (rounds() / 3).max(4) {
        let delay = after_a_moment(&mut chance, 60_000);
        let (cut, answer) = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(delay);
                cluster.kill();
            });
            worker.work_until_cut(&server.address, &mut chance)
        });
        assert_unavailable(&answer);
        cluster.start_again();
        until_ready(&server.address);
        worker.take_up(&server.address, cut);
        tally.add(cut);
        // So that the next cleanup removes rows.
        if tally.total() % 3 == 0 && worker.now.available > 0 {
            cluster.execute(EXPIRE);
            (worker.now.available, worker.archived) = (0, None);
        }
    }
    let run = |arguments: &[&str]| {
        let mut command = demo.command(arguments);
        command.env("DATABASE_URL", cluster.url());
        command
    };
    let load = || run(&LOAD);
    let whole = length_of(load());
    let start_again = || {
        cluster.start_again();
        until_ready(&server.address);
    };
    for _ in 0..(rounds() / 30).max(1) {
        cut_a_load(load, whole, &mut chance, |_| cluster.kill(), start_again);
        Answer::of(&mut run(&["verify"])).succeeds();
        worker.take_up(&server.address, Operation::Load);
        tally.add(Operation::Load);
    }
    tally.say("PostgreSQL killed");
}

#[test]
fn a_wait_for_a_lock_is_told_whatever_language_postgresql_speaks() {
    // Without a locale of its own on this machine, a language is chosen by the environment.
    let german = [("LANGUAGE", "de"), ("LC_ALL", "C.UTF-8")];
    let Some(cluster) = Cluster::start_with(&["lc_messages=C.UTF-8"], &german, |_| {}) else { return };
    let refused = cluster.connect().batch_execute("select 1 / 0").expect_err("refused").to_string();
    if !refused.contains("durch Null") {
        eprintln!("skipped: PostgreSQL has no German messages here: {refused}");
        return;
    }
    let demo = Demo::new();
    // The superuser's server lets the application role choose its language; a login of that role then does.
    let by_owner = demo.serve_at(&cluster.url());
    cluster.execute("create role demo_server login in role demo_app");
    let by_login = demo.serve_at(&format!("{}&user=demo_server", cluster.url()));
    let worker = Worker::new(&by_owner);
    let mut holder = cluster.connect();
    holder.batch_execute("begin; select from demo.demo_user_sessions for update").expect("held");
    std::thread::scope(|scope| {
        for server in [&by_owner, &by_login] {
            scope.spawn(|| assert_unavailable(&worker.send(&server.address, Operation::Write)));
        }
    });
    holder.batch_execute("rollback").expect("let go");
    assert_eq!(worker.send(&by_login.address, Operation::Write).expect("an answer").status, 201);
}

#[test]
fn connections_cut_in_the_middle_of_a_transaction_are_told_and_replaced() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let demo = Demo::seeded_on(Backend::Postgres);
    let server = demo.serve();
    let mut worker = Worker::new(&server);
    let mut chance = Chance::new();
    let mut tally = Tally::default();
    // No kill: half as many are enough.
    while tally.total() < rounds() / 2 {
        let delay = after_a_moment(&mut chance, 20_000);
        let cut_off = || {
            demo.execute_in_base(
                "select pg_terminate_backend(pid) from pg_stat_activity \
                 where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'",
            );
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(delay);
                cut_off();
            });
            for _ in 0..10 {
                let operation = worker.next(&mut chance);
                match worker.send(&server.address, operation) {
                    Some(answer) if answer.status < 300 => worker.took_effect(operation),
                    cut => {
                        assert_unavailable(&cut);
                        worker.take_up(&server.address, operation);
                        tally.add(operation);
                    }
                }
            }
        });
    }
    tally.say("connections cut");
}

#[test]
fn an_exhausted_pool_is_told_in_bounded_time_and_comes_back() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let demo = Demo::seeded_on(Backend::Postgres);
    let server = demo.serve();
    let worker = Worker::new(&server);
    // Somebody holds a table that every request looks at, longer than the server waits.
    let held = demo.hold("lock table demo.demo_user_sessions in access exclusive mode");
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_unavailable(&worker.send(&server.address, Operation::Write)));
        }
    });
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    drop(held);
    until_ready(&server.address);
    assert_eq!(worker.send(&server.address, Operation::Write).expect("an answer").status, 201);
    assert!(server.sign_in(TRIAGE).get("/demo/session").is_object());
}
