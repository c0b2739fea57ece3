//! The HTTP API against its own document: Schemathesis asks a running server, openapi-typescript reads the document.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

use crate::run::{self, Failure};

/// Requests that a run must come to.
const LEAST_REQUESTS: u64 = 20_000;
/// Statuses of requests that came no further than authentication, validation or a limit.
const TURNED_AWAY: &[&str] = &["400", "401", "403", "405", "413", "415", "422", "429"];
/// Operations with fewer requests are not worth a share: those without parameters are asked a few times.
const FEW: u64 = 30;
/// The demo users' password on the server that is asked.
const PASSWORD: &str = "a password for this run alone";
/// How long a server may take to load its data and answer.
const START: Duration = Duration::from_secs(120);

/// What the two processes ask, each as a user of its own: one process of Python keeps one core busy.
const SHARES: &[(&str, &str)] = &[
    ("demo-admin@acme.example", "^/(api/v1/(auth|demo|cases|users|employees|categories|locations)|[a-z.]*$)"),
    ("demo-cco@acme.example", "^/api/v1/(rius|investigations|subjects|messages|notes|associations)"),
];

fn home() -> PathBuf {
    run::root().join("target/contract")
}

fn sources() -> PathBuf {
    run::root().join("xtask/contract")
}

fn schemathesis() -> PathBuf {
    home().join("venv/bin/schemathesis")
}

fn typescript() -> PathBuf {
    home().join("node_modules/.bin/openapi-typescript")
}

fn failed(what: &Path) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::Other(format!("{}: {error}", what.display()))
}

fn not_installed(what: &'static str, needs: &'static str) -> impl Fn(Failure) -> Failure {
    move |failure| Failure::Other(format!("{what} could not be installed, which needs {needs}: {failure}"))
}

/// Installs what is missing, below `target`.
fn install() -> Result<(), Failure> {
    let (home, sources) = (home(), sources());
    fs::create_dir_all(&home).map_err(failed(&home))?;
    if !schemathesis().exists() {
        let made = run::run(Command::new("python3").args(["-m", "venv"]).arg(home.join("venv")));
        made.map_err(not_installed("Schemathesis", "python3 with its module venv"))?;
        let pip = home.join("venv/bin/pip");
        let quiet = ["install", "--quiet", "--disable-pip-version-check", "--requirement"];
        run::run(Command::new(pip).args(quiet).arg(sources.join("requirements.txt")))
            .map_err(not_installed("Schemathesis", "PyPI"))?;
    }
    if !typescript().exists() {
        let package = home.join("package.json");
        fs::copy(sources.join("package.json"), &package).map_err(failed(&package))?;
        run::run(
            Command::new("npm").args(["install", "--silent", "--no-audit", "--no-fund"]).current_dir(&home),
        )
        .map_err(not_installed("openapi-typescript", "npm and its registry"))?;
    }
    Ok(())
}

/// Runs all of it.
pub(crate) fn contract() -> Result<(), Failure> {
    install()?;
    run::run(&mut run::cargo(["build", "--quiet", "--package", "demo-reset-cli"]))?;
    let mut server = Server::start()?;
    types(&server)?;
    let started = Instant::now();
    let mut asking = Vec::new();
    for (at, (email, paths)) in SHARES.iter().enumerate() {
        asking.push((at, ask(&server, at, email, paths)?));
    }
    let mut wrong = Vec::new();
    for (at, mut process) in asking {
        let status = process.wait().map_err(failed(&schemathesis()))?;
        if !status.success() {
            let log = log_of(at);
            let text = fs::read_to_string(&log).unwrap_or_default();
            run::complain(&text);
            wrong.push(format!("Schemathesis found something, see {}", log.display()));
        }
    }
    if let Ok(Some(status)) = server.process.try_wait() {
        wrong.push(format!("the server ended ({status}), see {}", home().join("server.log").display()));
    }
    match server.get("/metrics") {
        Ok(metrics) => wrong.extend(judge(&metrics, started.elapsed())),
        Err(failure) => wrong.push(failure.to_string()),
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Other(wrong.join("\n  "))) }
}

/// Generates types from the document, without a warning, and compiles them.
fn types(server: &Server) -> Result<(), Failure> {
    let home = home();
    let document = home.join("openapi.json");
    fs::write(&document, server.get("/openapi.json")?).map_err(failed(&document))?;
    let types = home.join("api.ts");
    let mut generate = Command::new(typescript());
    generate.arg(&document).arg("--output").arg(&types).current_dir(&home).stdin(Stdio::null());
    let output = generate.output().map_err(failed(&typescript()))?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lower = said.to_lowercase();
    if !output.status.success() || ["warn", "⚠", "error"].iter().any(|word| lower.contains(word)) {
        return Err(Failure::Other(format!("openapi-typescript is not content:\n{said}")));
    }
    let compiler = home.join("node_modules/.bin/tsc");
    run::run(Command::new(compiler).args(["--noEmit", "--strict"]).arg(&types).current_dir(&home))
}

fn log_of(at: usize) -> PathBuf {
    home().join(format!("schemathesis-{at}.log"))
}

/// Starts one process that asks the operations whose paths match.
fn ask(server: &Server, at: usize, email: &str, paths: &str) -> Result<Child, Failure> {
    let log = log_of(at);
    let file = fs::File::create(&log).map_err(failed(&log))?;
    let errors = file.try_clone().map_err(failed(&log))?;
    let base = format!("http://{}", server.address);
    let mut command = Command::new(schemathesis());
    command
        .args(["--config-file", "schemathesis.toml", "run", "--phases", "examples,coverage,fuzzing,stateful"])
        .args(["--include-path-regex", paths, "--url", &base])
        .arg(format!("{base}/openapi.json"))
        .current_dir(sources())
        .envs([("CONTRACT_URL", base.as_str()), ("CONTRACT_EMAIL", email), ("CONTRACT_PASSWORD", PASSWORD)])
        .envs([("PYTHONDONTWRITEBYTECODE", "1")])
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors);
    run::complain(&format!("+ schemathesis run --include-path-regex '{paths}' {base}/openapi.json"));
    command.spawn().map_err(failed(&schemathesis()))
}

/// What is wrong with the figures that the server itself has counted.
fn judge(metrics: &str, took: Duration) -> Vec<String> {
    let operations = requests(metrics);
    let total: u64 = operations.values().map(|(all, _)| all).sum();
    run::say(&format!("{total} requests in {} s", took.as_secs()));
    let mut wrong = Vec::new();
    if total < LEAST_REQUESTS {
        wrong.push(format!("{total} requests are fewer than {LEAST_REQUESTS}"));
    }
    for (operation, (all, past)) in &operations {
        if *all >= FEW && past * 2 < *all {
            wrong.push(format!("{operation}: only {past} of {all} requests came past validation"));
        }
    }
    wrong.extend(metrics.lines().filter(|line| line.contains("status=\"5")).map(str::to_owned));
    wrong
}

/// Requests by operation: all, and those that came past authentication and validation.
fn requests(metrics: &str) -> BTreeMap<String, (u64, u64)> {
    let mut operations = BTreeMap::<String, (u64, u64)>::new();
    for line in metrics.lines().filter(|line| line.starts_with("http_requests_total{")) {
        let label = |name: &str| {
            line.split_once(&format!("{name}=\""))
                .and_then(|(_, rest)| rest.split('"').next())
                .unwrap_or_default()
        };
        let (method, route, status) = (label("method"), label("route"), label("status"));
        // Addresses and methods that the document does not have belong to no operation.
        if route == "none" || status == "405" {
            continue;
        }
        let count = line.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0);
        let (all, past) = operations.entry(format!("{method} {route}")).or_default();
        *all += count;
        if !TURNED_AWAY.contains(&status) {
            *past += count;
        }
    }
    operations
}

/// A server over a database of its own; stopped and removed when dropped.
struct Server {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Server {
    fn start() -> Result<Self, Failure> {
        let folder = home().join(format!("server-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(failed(&folder))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = port.map_err(failed(&folder))?;
        let program = run::root().join("target/debug/demo-reset");
        // Stays, for a failure to be explained.
        let log = fs::File::create(home().join("server.log")).map_err(failed(&folder))?;
        let errors = log.try_clone().map_err(failed(&folder))?;
        let mut command = Command::new(&program);
        command
            .args(["serve", "--bind", &address.to_string(), "--database-url"])
            .arg(format!("sqlite://{}", folder.join("demo.db").display()))
            .env("DEMO_USER_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        let process = command.spawn().map_err(failed(&program))?;
        let server = Self { process, address, folder };
        let started = Instant::now();
        while server.get("/readyz").is_err() {
            if started.elapsed() > START {
                return Err(Failure::Other(format!("no server answers on {address}")));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(server)
    }

    /// The body of a 200.
    fn get(&self, path: &str) -> Result<String, Failure> {
        let ask = || -> io::Result<String> {
            let mut stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = ask().map_err(|error| Failure::Other(format!("{path}: {error}")))?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
            _ => Err(Failure::Other(format!("{path}: {}", answer.lines().next().unwrap_or("no answer")))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whatever fails here, the server was of this run alone.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "# TYPE http_requests_total counter\n\
        http_requests_total{method=\"GET\",route=\"/a\",status=\"200\"} 40\n\
        http_requests_total{method=\"GET\",route=\"/a\",status=\"422\"} 60\n\
        http_requests_total{method=\"PUT\",route=\"/a\",status=\"405\"} 9\n\
        http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 9\n";

    #[test]
    fn a_run_is_judged_by_what_the_server_counted() {
        assert_eq!(requests(METRICS), BTreeMap::from([("GET /a".to_owned(), (100, 40))]));
        let wrong = judge(METRICS, Duration::ZERO);
        assert!(wrong[0].contains("fewer than"), "{wrong:?}");
        assert!(wrong[1].contains("only 40 of 100"), "{wrong:?}");
        let broken = METRICS.replace("422", "500");
        assert!(judge(&broken, Duration::ZERO).iter().any(|line| line.contains("status=\"500\"")));
    }
}
