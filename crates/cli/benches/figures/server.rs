//! The memory of a server that nobody asks anything, before and after it has answered requests, and what sessions and
//! their changes take of the disk.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use crate::fixture::{Base, Fixtures, Setting, binary, seed};
use crate::http::Server;
use crate::measure::{Effort, time};
use crate::report::Report;

const NAME: &str = "memory of the idle server";
const GOAL_MIB: f64 = 60.0;

pub(crate) fn measure(fixtures: &Fixtures, report: &mut Report) -> Result<()> {
    report.section("Memory, disk and the program", "of a server on SQLite, of a session, and of the binary.");
    on_disk(fixtures, report)?;
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_demo-reset"))?.len() as f64 / 1024.0 / 1024.0;
    report.judge("the binary, with everything in it", &format!("{size:.1} MiB"), "", None, Some(size));
    let fixture = fixtures.of(Setting { base: Base::Demo, others: 10 }, report)?;
    let base = fixture.path("served.db");
    seed(&base, 1)?;
    judge_idle_server(report, "", &format!("sqlite://{}", base.display()))
}

/// Judges the memory of a server over a loaded base that nobody asks anything, before and after it has answered.
pub(crate) fn judge_idle_server(report: &mut Report, of: &str, url: &str) -> Result<()> {
    let server = Server::start(binary().args(["serve", "--bind", "127.0.0.1:0", "--database-url", url]))?;
    let mut judge = |when: &str| {
        std::thread::sleep(Duration::from_secs(1));
        let name = format!("{of}{NAME}, {when}");
        let Some(Memory { resident, .. }) = memory(&server)? else {
            report.not_measured(&name, "this system has no /proc");
            return Ok::<_, anyhow::Error>(());
        };
        let mib = resident / 1024.0 / 1024.0;
        let goal = format!("under {GOAL_MIB} MiB");
        report.judge(&name, &format!("{mib:.0} MiB"), &goal, Some(mib < GOAL_MIB), Some(mib));
        Ok(())
    };
    judge("just started")?;
    let token = sign_in(&server.address)?;
    let page = format!("GET /api/v1/cases HTTP/1.1\r\nAuthorization: Bearer {token}");
    for _ in 0..500 {
        let answer = request(&server.address, &page, "")?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    judge("after 500 pages")
}

/// How long everything takes to compile for a release, with all that it depends on. Only a whole run has the time.
pub(crate) fn measure_compiling(report: &mut Report) -> Result<()> {
    if report.effort == Effort::Quick {
        return Ok(());
    }
    report.section("Compiling", "`cargo build --release` of the program in an empty target folder.");
    let folder = tempfile::TempDir::new()?;
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--release", "--locked", "--package", "demo-reset-cli", "--target-dir"]);
    build.arg(folder.path()).stdin(Stdio::null());
    let took = time(|| match build.status()? {
        ended if ended.success() => Ok(()),
        ended => bail!("cargo build: {ended}"),
    })?;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let found = format!("{:.0} s on {cores} cores", took.as_secs_f64());
    report.judge("compiling the release from nothing", &found, "", None, Some(took.as_secs_f64()));
    Ok(())
}

/// How many idle sessions are made to see what each takes of the disk.
pub(crate) const IDLE_SESSIONS: usize = 2_000;

/// Judges what so many idle sessions, and then so many edited audit entries, have taken of the disk, in bytes.
pub(crate) fn judge_disk(report: &mut Report, of: &str, sessions: u64, changes: (u64, u64)) -> Result<()> {
    let each = sessions as f64 / IDLE_SESSIONS as f64;
    let name = format!("{of}disk of an idle session");
    report.judge(&name, &format!("{each:.0} bytes"), "under 1 KiB", Some(each < 1024.0), Some(each));
    let (bytes, changed) = changes;
    anyhow::ensure!(changed > 1000, "{changed} changes");
    let each = bytes as f64 / changed as f64;
    let name = format!("{of}disk of a change: an edited audit entry, the whole row with its indexes");
    report.judge(&name, &format!("{each:.0} bytes"), "", None, Some(each));
    Ok(())
}

/// What an idle session, and a change, take of the disk.
fn on_disk(fixtures: &Fixtures, report: &mut Report) -> Result<()> {
    let fixture = fixtures.of(Setting { base: Base::Demo, others: 10 }, report)?;
    let file = fixture.path("demo.sessions.db");
    let size = || -> Result<u64> {
        let mut conn = SqliteConnection::establish(&file.to_string_lossy())?;
        conn.batch_execute("pragma busy_timeout = 5000; pragma wal_checkpoint(truncate)")?;
        Ok(std::fs::metadata(&file)?.len())
    };
    let before = size()?;
    for number in 0..IDLE_SESSIONS {
        fixture.session(3_000_000 + number as u128)?;
    }
    let with_sessions = size()?;
    let session = fixture.session(800)?;
    let edit = "update audit_logs set action_description = action_description || '.' where id in \
        (select id from audit_logs order by id limit 20000)";
    fixture.run(session, edit)?;
    let changed = fixture.database.change_counts(session)?.total();
    judge_disk(report, "", with_sessions - before, (size()? - with_sessions, changed))
}

/// The memory that a process has in use, in bytes.
pub(crate) struct Memory {
    /// All of it, the pages of mapped files included.
    pub(crate) resident: f64,
    /// What it has asked for: no file's.
    pub(crate) anonymous: f64,
}

/// The memory that a server has in use, where the system tells.
pub(crate) fn memory(server: &Server) -> Result<Option<Memory>> {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", server.process.id())) else {
        return Ok(None);
    };
    let bytes = |what: &'static str| {
        let line = status.lines().find_map(|line| line.strip_prefix(what)).context(what)?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok::<_, anyhow::Error>(kib * 1024.0)
    };
    Ok(Some(Memory { resident: bytes("VmRSS:")?, anonymous: bytes("RssAnon:")? }))
}

fn sign_in(address: &str) -> Result<String> {
    let body = r#"{"email":"demo-triage@acme.example","password":"benchmark"}"#;
    let answer =
        request(address, "POST /api/v1/auth/login HTTP/1.1\r\nContent-Type: application/json", body)?;
    let token = answer.split("\"accessToken\":\"").nth(1).and_then(|rest| rest.split('"').next());
    Ok(token.with_context(|| format!("no token: {answer}"))?.to_owned())
}

fn request(address: &str, head: &str, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        stream,
        "{head}\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
