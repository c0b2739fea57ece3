//! The memory of a server that nobody asks anything, before and after it has answered requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::fixture::{Fixture, binary};
use crate::measure::Report;

const NAME: &str = "memory of the idle server";
const GOAL_MIB: f64 = 60.0;

/// A server that is stopped at the end.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have stopped by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn measure(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let url = format!("sqlite://{}", fixture.path("loaded.db").display());
    let mut server = Server(
        binary()
            .args(["serve", "--bind", "127.0.0.1:0", "--database-url", &url])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("demo-reset serve")?,
    );
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().context("stdout")?).read_line(&mut line)?;
    let address = line.trim().rsplit("http://").next().context("an address")?.to_owned();
    judge(report, &server, "just started")?;
    let token = sign_in(&address)?;
    for _ in 0..500 {
        let answer =
            request(&address, &format!("GET /api/v1/cases HTTP/1.1\r\nAuthorization: Bearer {token}"), "")?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    judge(report, &server, "after 500 pages")
}

fn judge(report: &mut Report, server: &Server, when: &str) -> Result<()> {
    std::thread::sleep(Duration::from_secs(1));
    let name = format!("{NAME}, {when}");
    let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", server.0.id())) else {
        report.not_measured(&name, "this system has no /proc");
        return Ok(());
    };
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: f64 = resident.trim().trim_end_matches(" kB").parse()?;
    let mib = kib / 1024.0;
    report.say(format_args!("{name}: {mib:.0} MiB"));
    report.judge(&name, &format!("{mib:.0} MiB"), &format!("under {GOAL_MIB} MiB"), mib < GOAL_MIB);
    Ok(())
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
