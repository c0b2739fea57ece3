//! Requests of many clients from many sessions, against a server without sessions that runs the same queries on plain
//! tables.

mod bare;
mod clients;
mod data;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::fixture::{Fixtures, binary, thousands};
use crate::measure::{Effort, nearest_rank};
use crate::postgres::Cluster;
use crate::report::Report;
use crate::server::{Memory, memory};
pub(crate) use bare::serve_if_asked;
use clients::{Asked, Load, Run, Target};

/// Clients that ask at the same time.
const CLIENTS: usize = 64;

/// Users who ask, each with a session of its own.
const USERS: usize = 1_000;

/// Users that there are: as many sessions can live at once.
const ALL_USERS: usize = 10_000;

/// The secret that tokens are signed with.
pub(crate) const SECRET: &str = "a benchmark keeps no secret, but a server asks for one";

/// A server in a process of its own, stopped at the end.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) address: String,
}

impl Server {
    /// Starts it, and reads where it listens from its first line.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("stdout")?).read_line(&mut line)?;
        let address = line.trim().rsplit("http://").next().context("an address")?.to_owned();
        Ok(Self { process, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have stopped by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn measure(_: &Fixtures, report: &mut Report) -> Result<()> {
    let folder = tempfile::TempDir::new()?;
    let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    measure_on("SQLite", &url("demo.db"), &url("plain.db"), report)
}

pub(crate) fn measure_postgres(cluster: &Cluster, report: &mut Report) -> Result<()> {
    cluster.create("bench_http")?;
    cluster.create("bench_http_plain")?;
    measure_on("PostgreSQL", &cluster.url("bench_http")?, &cluster.url("bench_http_plain")?, report)
}

fn measure_on(database: &str, url: &str, plain: &str, report: &mut Report) -> Result<()> {
    let (length, turns, users) = match report.effort {
        Effort::Whole => (Duration::from_secs(2), 20, ALL_USERS),
        Effort::Quick => (Duration::from_secs(1), 3, USERS),
    };
    report.section(
        &format!("{database}: HTTP"),
        format!(
            "{CLIENTS} clients ask at the same time, each request for one of {} users with a session of their own: 40 % pages \
             of 50 cases, 40 % cases by id, 10 % edits, 10 % new messages. The other server is actix-web with Diesel, one \
             connection that writes and a pool that reads on SQLite, one pool on PostgreSQL; it runs the same functions of the \
             bundled demo on plain tables and checks no token. Both give the exact total with each page: the other server counts \
             its table, as it must, while ours knows what the base counts, which nobody changes, and counts a session's changes. \
             Its connections are as they come: no memory map on SQLite, and on PostgreSQL plans as its planner chooses to keep \
             them, where ours asks for those of any value. What is beside resets and cleanups has one more client, which resets \
             one session after another and cleans up after each fifth, with all archives expired. Clients and servers share \
             the machine; the servers take turns. Spreads are of the runs, of {} seconds each.",
            thousands(USERS as u64),
            length.as_secs(),
        ),
    );
    let asked = data::load(url, plain, users)?;
    let ours = Server::start(binary().env("JWT_SECRET", SECRET).args([
        "serve",
        "--bind",
        "127.0.0.1:0",
        "--database-url",
        url,
    ]))?;
    let bare = Server::start(&mut bare::command(plain)?)?;
    let ours = Target { is_bare: false, server: ours, url: url.to_owned() };
    let bare = Target { is_bare: true, server: bare, url: plain.to_owned() };
    // Sessions are made and pools are filled.
    let run = Run { length, users: USERS, resets: false };
    Load::run(&ours, &asked, Run { length: Duration::from_secs(3), ..run })?;
    Load::run(&bare, &asked, Run { length: Duration::from_secs(1), ..run })?;
    let [mut with, mut without, mut beside] = [Load::default(), Load::default(), Load::default()];
    for _ in 0..turns {
        with.add(Load::run(&ours, &asked, run)?);
        without.add(Load::run(&bare, &asked, run)?);
        beside.add(Load::run(&ours, &asked, Run { resets: true, ..run })?);
    }
    for (name, load) in [("ours", &with), ("the bare server", &without), ("ours beside resets", &beside)] {
        ensure!(load.failed == 0, "{name}: {} requests failed, the last with {}", load.failed, load.failure);
    }
    let share = with.per_second() / without.per_second();
    report.judge(
        &format!("{database}: requests a second"),
        &format!("{} against {} of the bare server, {share:.2}x", rates(&with), rates(&without)),
        "at least 0.9x",
        Some(share >= 0.9),
        Some(1.0 / share),
    );
    slowest(report, &format!("{database}: p99 of a request"), 1.3, &with, ("the bare server", &without));
    for (at, kind) in clients::KINDS.iter().enumerate() {
        report.ratio(
            &format!("{database}: {}", kind.name),
            None,
            &with.by_kind[at],
            ("the bare server", &without.by_kind[at]),
        );
    }
    // A short run may reset too few.
    ensure!(beside.purged > 0 || report.effort == Effort::Quick, "no cleanup found anything to remove");
    let name = format!("{database}: p99 of other sessions during resets and cleanups");
    slowest(report, &name, 1.2, &beside, ("without them", &with));
    let [resets, cleanups, purged] = [beside.resets, beside.cleanups, beside.purged].map(thousands);
    let found = format!("{resets} resets, {cleanups} cleanups, {purged} changes removed");
    report.judge(&format!("{database}: what there was of them"), &found, "", None, None);
    match report.effort {
        Effort::Whole => live_sessions(database, &ours, &asked, run, turns, report),
        Effort::Quick => Ok(()),
    }
}

/// What ten thousand live sessions cost a server that had a tenth of them.
fn live_sessions(
    database: &str,
    ours: &Target,
    asked: &Asked,
    run: Run,
    turns: usize,
    report: &mut Report,
) -> Result<()> {
    let all = thousands(ALL_USERS as u64);
    let before = memory(&ours.server)?;
    clients::visit(ours, asked)?;
    let visited = memory(&ours.server)?;
    let [mut few, mut many] = [Load::default(), Load::default()];
    for _ in 0..turns {
        few.add(Load::run(ours, asked, run)?);
        many.add(Load::run(ours, asked, Run { users: ALL_USERS, ..run })?);
    }
    ensure!(few.failed + many.failed == 0, "requests failed: {}{}", few.failure, many.failure);
    let name = format!("{database}: memory of the server");
    match (before, visited, memory(&ours.server)?) {
        (Some(before), Some(visited), Some(written)) => {
            // The system gives and takes whole pages: a server may well have less than before.
            let grown =
                |from: &Memory, to: &Memory, count: usize| (to.anonymous - from.anonymous) / count as f64;
            let a_session = grown(&before, &visited, ALL_USERS - USERS);
            let read = format!("{name} for a session that has read a case");
            let met = Some(a_session < 1024.0);
            report.judge(&read, &format!("{a_session:.0} bytes"), "under 1 KiB", met, None);
            let writes = few.writes() + many.writes();
            let a_write = grown(&visited, &written, writes);
            let wrote = format!("{name} for each of {} writes, reads between them", thousands(writes as u64));
            report.judge(&wrote, &format!("{a_write:.0} bytes"), "", None, None);
            let mib = written.resident / 1024.0 / 1024.0;
            let name = format!("{name} with {all} live sessions, mapped files included");
            report.judge(&name, &format!("{mib:.0} MiB"), "", None, Some(mib));
        }
        _ => report.not_measured(&name, "this system has no /proc"),
    }
    let share = many.per_second() / few.per_second();
    report.judge(
        &format!("{database}: requests a second of {all} live sessions"),
        &format!("{} against {} of {}, {share:.2}x", rates(&many), rates(&few), thousands(USERS as u64)),
        "",
        None,
        Some(1.0 / share),
    );
    let few_sessions = format!("of {}", thousands(USERS as u64));
    let name = format!("{database}: p99 of a request of {all} live sessions");
    slowest(report, &name, 1.3, &many, (&few_sessions, &few));
    Ok(())
}

/// Requests a second, with the 10th and 90th percentile of the runs.
fn rates(load: &Load) -> String {
    let [low, high] = spread(load.runs.iter().map(|(rate, _)| *rate));
    format!("{:.0} ({low:.0}-{high:.0}, n={})", load.per_second(), load.runs.len())
}

/// The 10th and the 90th percentile.
fn spread(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    [10, 90].map(|percent| nearest_rank(&sorted, percent))
}

/// Compares the 99th percentiles of all requests.
fn slowest(report: &mut Report, name: &str, goal: f64, work: &Load, reference: (&str, &Load)) {
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
    let p99 = |load: &Load| milliseconds(load.took.percentile(99));
    let shown = |load: &Load| {
        let [low, high] = spread(load.runs.iter().map(|(_, p99)| milliseconds(*p99)));
        format!("{:.1} ms ({low:.1}-{high:.1}, n={})", p99(load), load.runs.len())
    };
    let ratio = p99(work) / p99(reference.1).max(f64::MIN_POSITIVE);
    report.judge(
        name,
        &format!("{} against {} {}, {ratio:.2}x", shown(work), shown(reference.1), reference.0),
        &format!("at most {goal}x"),
        Some(ratio <= goal),
        Some(ratio),
    );
}
