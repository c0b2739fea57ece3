//! The HTTP API against its own document: Schemathesis asks a running server, openapi-typescript reads the document.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

use crate::run::{self, Failure};

/// Generated requests that a run must come to.
const LEAST_REQUESTS: u64 = 20_000;
/// Statuses of requests that came no further than authentication, validation or a limit.
const TURNED_AWAY: &[&str] = &["400", "401", "403", "405", "413", "415", "422", "429"];
/// What is generated depends on this and on the ids of records; a failure can be asked again with `--seed`.
const SEED: &str = "20260202";
/// A run that takes longer hangs. It needs some eight minutes of processor time; a machine may have much else to do.
const LONGEST: Duration = Duration::from_secs(45 * 60);
/// What the document has no operation for: asked to see that it is refused.
const METHODS_OF_NOBODY: &[&str] = &["PUT ", "TRACE "];
/// The demo users' password on the server that is asked.
const PASSWORD: &str = "a password for this run alone";
/// How long a server may take to load its data and answer, on a machine that has much else to do.
const START: Duration = Duration::from_secs(600);

/// What the two processes ask, each as a user of its own: one process of Python keeps one core busy.
const SHARES: &[(&str, &str)] = &[
    ("demo-admin@acme.example", "^/(api/v1/(auth|demo|cases)|[a-z.]*$)"),
    ("demo-cco@acme.example", "^/api/v1/(?!auth|demo|cases)"),
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

/// What this task installs below `target`, from where, and what it is for.
struct Part {
    /// What is not done without it.
    what: &'static str,
    /// Whether it is there already.
    is_there: fn() -> bool,
    /// The program that installs it, asked whether it works.
    installer: (&'static str, &'static [&'static str]),
    /// How to get that.
    get: &'static str,
    install: fn(&Path) -> Result<(), Failure>,
}

const SCHEMATHESIS: Part = Part {
    what: "requests made from the OpenAPI document, by Schemathesis of PyPI",
    is_there: || schemathesis().exists(),
    installer: ("python3", &["-c", "import ensurepip, venv"]),
    get: "python3 with its module venv: apt-get install python3-venv (Debian), brew install python (macOS)",
    install: |home| {
        run::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(home.join("venv")))?;
        let quiet = ["install", "--quiet", "--disable-pip-version-check", "--requirement"];
        let mut install = Command::new(home.join("venv/bin/pip"));
        run::run(install.args(quiet).arg(sources().join("requirements.txt")))
    },
};

const TYPES: Part = Part {
    what: "types made from the OpenAPI document, by openapi-typescript of npm",
    is_there: || typescript().exists(),
    installer: ("npm", &["--version"]),
    get: "npm: apt-get install npm (Debian), brew install node (macOS)",
    install: |home| {
        let package = home.join("package.json");
        fs::copy(sources().join("package.json"), &package).map_err(failed(&package))?;
        let quiet = ["install", "--silent", "--no-audit", "--no-fund"];
        run::run(Command::new("npm").args(quiet).current_dir(home))
    },
};

impl Part {
    /// Installs it if it is missing. Where that cannot be, says what is skipped; in CI nothing is.
    fn is_ready(&self) -> Result<bool, Failure> {
        let home = home();
        fs::create_dir_all(&home).map_err(failed(&home))?;
        if (self.is_there)() {
            return Ok(true);
        }
        let (program, question) = self.installer;
        let why = if run::installed(program, question) {
            match (self.install)(&home) {
                Ok(()) => return Ok(true),
                Err(failure) => format!("its installation failed, which needs the network: {failure}"),
            }
        } else {
            format!("{program} is not installed; get {}", self.get)
        };
        let skipped = format!("skipped: {}: {why}", self.what);
        if run::in_ci() {
            return Err(Failure::Other(format!("in CI no test may be skipped\n  {skipped}")));
        }
        run::complain(&skipped);
        Ok(false)
    }
}

/// The seed that the arguments name, or the usual one.
fn seed(arguments: &[String]) -> Result<&str, Failure> {
    match arguments {
        [] => Ok(SEED),
        [flag, seed] if flag == "--seed" && seed.parse::<u32>().is_ok() => Ok(seed),
        _ => Err(Failure::Usage("expected nothing, or --seed and a whole number below 2^32".to_owned())),
    }
}

/// Runs all of it, as far as what it needs can be installed.
pub(crate) fn contract(arguments: &[String]) -> Result<(), Failure> {
    let seed = seed(arguments)?;
    let (has_types, has_requests) = (TYPES.is_ready()?, SCHEMATHESIS.is_ready()?);
    if !has_types && !has_requests {
        return Ok(());
    }
    run::run(&mut run::cargo(["build", "--quiet", "--package", "demo-reset-cli"]))?;
    let mut server = Server::start()?;
    if has_types {
        types(&server)?;
    }
    if has_requests { requests(&mut server, seed) } else { Ok(()) }
}

/// Asks the server all that is generated, and judges what it answered.
fn requests(server: &mut Server, seed: &str) -> Result<(), Failure> {
    run::say(&format!("seed {seed}: `cargo xtask contract --seed {seed}` asks the same again"));
    let started = Instant::now();
    let mut asking = Vec::new();
    for (at, (email, paths)) in SHARES.iter().enumerate() {
        asking.push(Asking::start(server, at, email, paths, seed)?);
    }
    let mut wrong = Vec::new();
    while asking.iter_mut().any(|one| matches!(one.process.try_wait(), Ok(None))) {
        if started.elapsed() > LONGEST {
            wrong.push(format!("after {} minutes there is no end in sight", LONGEST.as_secs() / 60));
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut operations = Operations::new();
    for (at, mut one) in asking.into_iter().enumerate() {
        if !matches!(one.process.try_wait(), Ok(Some(status)) if status.success()) {
            let log = log_of(at);
            run::complain(&fs::read_to_string(&log).unwrap_or_default());
            wrong.push(format!("Schemathesis did not succeed, see {}", log.display()));
        }
        let asked = asked_by(at);
        match fs::read_to_string(&asked) {
            Ok(text) => count(&text, &mut operations),
            Err(error) => wrong.push(failed(&asked)(error).to_string()),
        }
    }
    if let Ok(Some(status)) = server.process.try_wait() {
        wrong.push(format!("the server ended ({status}), see {}", log_of_server().display()));
    }
    wrong.extend(judge(&operations, started.elapsed()));
    match server.get("/metrics") {
        Ok(metrics) => wrong.extend(server_errors(&metrics)),
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

fn log_of_server() -> PathBuf {
    home().join("server.log")
}

fn log_of(at: usize) -> PathBuf {
    home().join(format!("schemathesis-{at}.log"))
}

/// What one process has asked: method, path, status and how often, in a line each.
fn asked_by(at: usize) -> PathBuf {
    home().join(format!("asked-{at}.tsv"))
}

/// A process that asks the operations whose paths match. Stopped when dropped.
struct Asking {
    process: Child,
}

impl Asking {
    fn start(server: &Server, at: usize, email: &str, paths: &str, seed: &str) -> Result<Self, Failure> {
        let (log, asked) = (log_of(at), asked_by(at));
        // What a run before has left is not what this one asks.
        let _ = fs::remove_file(&asked);
        let file = fs::File::create(&log).map_err(failed(&log))?;
        let errors = file.try_clone().map_err(failed(&log))?;
        let base = format!("http://{}", server.address);
        let mut command = Command::new(schemathesis());
        command
            .args(["--config-file", "schemathesis.toml", "run", "--seed", seed])
            .args(["--phases", "examples,coverage,fuzzing,stateful"])
            .args(["--include-path-regex", paths, "--url", &base])
            .arg(format!("{base}/openapi.json"))
            .current_dir(sources())
            .envs([
                ("CONTRACT_URL", base.as_str()),
                ("CONTRACT_EMAIL", email),
                ("CONTRACT_PASSWORD", PASSWORD),
            ])
            .envs([("CONTRACT_SEED", seed), ("PYTHONDONTWRITEBYTECODE", "1")])
            .env("CONTRACT_ASKED", &asked)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors);
        run::complain(&format!("+ schemathesis run --include-path-regex '{paths}' {base}/openapi.json"));
        Ok(Self { process: command.spawn().map_err(failed(&schemathesis()))? })
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        // Has ended already, but where something went wrong.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Generated requests by operation: all, and those that came past authentication and validation.
type Operations = BTreeMap<String, (u64, u64)>;

/// Counts what a process has asked: lines of method, path, status and how often.
fn count(asked: &str, operations: &mut Operations) {
    for line in asked.lines() {
        let mut parts = line.split('\t');
        let mut part = || parts.next().unwrap_or_default();
        let (method, path, status) = (part(), part(), part());
        let times = part().parse().unwrap_or(0);
        let (all, past) = operations.entry(format!("{method} {path}")).or_default();
        *all += times;
        if !TURNED_AWAY.contains(&status) {
            *past += times;
        }
    }
}

/// What is wrong with what was asked.
fn judge(operations: &Operations, took: Duration) -> Vec<String> {
    // A method that a path does not have is no operation.
    let is_operation =
        |operation: &str| !METHODS_OF_NOBODY.iter().any(|method| operation.starts_with(method));
    let total: u64 = operations.values().map(|(all, _)| all).sum();
    let mut wrong = Vec::new();
    let mut least = (100, "");
    for (operation, (all, past)) in operations.iter().filter(|(operation, _)| is_operation(operation)) {
        least = least.min((past * 100 / (*all).max(1), operation));
        if past * 2 < *all {
            wrong.push(format!("{operation}: only {past} of {all} requests came past validation"));
        }
    }
    run::say(&format!(
        "{total} requests to {} operations in {} s; of each at least {} % came past validation ({})",
        operations.keys().filter(|operation| is_operation(operation)).count(),
        took.as_secs(),
        least.0,
        least.1
    ));
    if total < LEAST_REQUESTS {
        wrong.push(format!("{total} requests are fewer than {LEAST_REQUESTS}"));
    }
    wrong
}

/// What the server has answered with a 5xx, by its own count.
fn server_errors(metrics: &str) -> impl Iterator<Item = String> {
    metrics.lines().filter(|line| line.contains("status=\"5")).map(str::to_owned)
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
        let log = fs::File::create(log_of_server()).map_err(failed(&folder))?;
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
        let mut server = Self { process, address, folder };
        let started = Instant::now();
        while server.get("/readyz").is_err() {
            let has_ended = matches!(server.process.try_wait(), Ok(Some(_)));
            if has_ended || started.elapsed() > START {
                return Err(Failure::Other(format!(
                    "no server answers on {address}, see {}",
                    log_of_server().display()
                )));
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

    #[test]
    fn a_run_is_judged_by_what_was_asked_and_how_far_it_came() {
        let mut operations = Operations::new();
        count("GET\t/a\t200\t40\nGET\t/a\t422\t60\nTRACE\t/a\t405\t9\n", &mut operations);
        count("GET\t/b\t404\t1\nGET\t/b\t401\t1\n", &mut operations);
        assert_eq!(operations["GET /a"], (100, 40));
        let wrong = judge(&operations, Duration::ZERO);
        assert!(wrong[0].contains("GET /a: only 40 of 100"), "{wrong:?}");
        assert!(wrong[1].contains("111 requests are fewer"), "{wrong:?}");
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        count(&format!("GET\t/a\t304\t{LEAST_REQUESTS}"), &mut operations);
        assert_eq!(judge(&operations, Duration::ZERO), Vec::<String>::new());
    }

    #[test]
    fn an_answer_with_a_server_error_is_told() {
        let metrics = "x{route=\"/a\",status=\"200\"} 1\nx{route=\"/a\",status=\"503\"} 1\n";
        assert_eq!(server_errors(metrics).count(), 1);
    }

    #[test]
    fn a_seed_is_a_number() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(seed(&[]).unwrap(), SEED);
        assert_eq!(seed(&words(&["--seed", "7"])).unwrap(), "7");
        for wrong in [&["--seed"][..], &["--seed", "x"], &["7"]] {
            assert!(seed(&words(wrong)).is_err(), "{wrong:?}");
        }
    }
}
