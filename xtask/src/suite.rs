//! The tests and the benchmarks.

use std::process::Command;

use crate::postgres::Cluster;
use crate::run::{self, Failure};

/// Something that some tests need and not every machine has.
struct Tool {
    /// What it is called.
    name: &'static str,
    /// What tells whether it is there: this program with these arguments.
    program: &'static str,
    arguments: &'static [&'static str],
    /// The tests that are skipped without it.
    tests: &'static str,
    /// How to get it.
    install: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "sqlite3",
        program: "sqlite3",
        arguments: &["--version"],
        tests: "another program's write to the base file is refused",
        install: "apt-get install sqlite3 (Debian), brew install sqlite (macOS)",
    },
    Tool {
        name: "curl",
        program: "curl",
        arguments: &["--version"],
        tests: "the walkthrough of the README",
        install: "apt-get install curl (Debian), brew install curl (macOS)",
    },
    Tool {
        name: "chromium",
        program: "chromium",
        arguments: &["--version"],
        tests: "the console in a browser",
        install: BROWSER_INSTALL,
    },
    Tool {
        name: "chromedriver",
        program: "chromedriver",
        arguments: &["--version"],
        tests: "the console in a browser",
        install: BROWSER_INSTALL,
    },
    Tool {
        name: "psycopg for Python",
        program: "sh",
        arguments: &["-c", "python3 -c 'import psycopg' || /usr/bin/python3 -c 'import psycopg'"],
        tests: "the Python script of docs/embedding.md",
        install: "apt-get install python3-psycopg (Debian), pip install 'psycopg[binary]'",
    },
];

const BROWSER_INSTALL: &str =
    "apt-get install chromium chromium-driver (Debian), brew install chromium chromedriver (macOS)";

/// Tells the tests where a PostgreSQL listens. Set already, it is used as it is.
const POSTGRES_VARIABLE: &str = "DEMO_RESET_TEST_POSTGRES";

pub(crate) const POSTGRES_INSTALL: &str =
    "apt-get install postgresql (Debian), brew install postgresql (macOS)";

/// The PostgreSQL that a run works on.
pub(crate) enum Server {
    /// The environment names it.
    Given,
    /// A cluster of the run's own.
    Started(Cluster),
}

impl Server {
    /// The one that is given, or else a cluster with these settings; none where PostgreSQL is not installed.
    pub(crate) fn find(settings: &[&str]) -> Result<Option<Self>, Failure> {
        if std::env::var_os(POSTGRES_VARIABLE).is_some() {
            return Ok(Some(Self::Given));
        }
        Ok(Cluster::start(settings)?.map(Self::Started))
    }

    /// Tells a command where it listens, if there is one.
    pub(crate) fn tell(server: Option<&Self>, command: &mut Command) {
        if let Some(Self::Started(cluster)) = server {
            command.env(POSTGRES_VARIABLE, cluster.url());
        }
    }
}

/// Runs every test of the workspace, then says what this machine could not run. In CI nothing may be missing.
pub(crate) fn test(arguments: &[String]) -> Result<(), Failure> {
    let mut skipped: Vec<String> = TOOLS
        .iter()
        .filter(|tool| !run::installed(tool.program, tool.arguments))
        .map(|Tool { name, tests, install, .. }| {
            format!("skipped, since {name} is not installed: {tests}; get it: {install}")
        })
        .collect();
    let server = Server::find(FOR_TESTS)?;
    if server.is_none() {
        skipped.push(format!(
            "skipped, since PostgreSQL's server is not installed: every test on PostgreSQL; get it: {POSTGRES_INSTALL}"
        ));
    }
    let report = || skipped.iter().for_each(|line| run::complain(line));
    if run::in_ci() && !skipped.is_empty() {
        report();
        return Err(Failure::Other("in CI no test may be skipped".to_owned()));
    }
    let mut tests = run::cargo(["test", "--workspace"]);
    Server::tell(server.as_ref(), &mut tests);
    let mut result = run::run(tests.args(arguments));
    if arguments.is_empty() {
        // What a host gets that mounts the scope without the bundled demo is built otherwise, and so tested again.
        let mut mounted =
            run::cargo(["test", "--package", "demo-reset-api", "--no-default-features", "--test", "host"]);
        Server::tell(server.as_ref(), &mut mounted);
        result = result.and(run::run(&mut mounted));
    }
    report();
    result
}

/// Takes the screenshots: a test that is left out otherwise, since it writes into the checkout.
pub(crate) fn screenshots() -> Result<(), Failure> {
    let test = ["test", "--package", "demo-reset-api", "--test", "console"];
    run::run(run::cargo(test).args(["--", "--ignored", "take_the_screenshots"]))
}

/// Draws the charts, in the same way.
pub(crate) fn charts() -> Result<(), Failure> {
    let test = ["test", "--package", "demo-reset-compliance", "--test", "dataset"];
    run::run(run::cargo(test).args(["--", "--ignored", "draw_the_charts"]))
}

/// Nothing that a test writes outlives the run, so nothing is synced to disk.
pub(crate) const FOR_TESTS: &[&str] =
    &["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300"];

/// As PostgreSQL is installed, but for the memory that a server would be given, and for autovacuum, which would come while
/// something else is measured: the benchmarks vacuum and analyze each database when it is filled.
const FOR_BENCHMARKS: &[&str] = &["shared_buffers=512MB", "max_wal_size=4GB", "autovacuum=off"];

/// How the benchmarks are run.
const BENCH_USAGE: &str = "\
Usage: cargo xtask bench [--quick] [group...]

Without arguments everything is measured and written to docs/benchmarks.md. That takes three quarters of an hour on two
cores, some gigabytes of disk, and the programs sqlite3 and python3 and those of PostgreSQL's server; what one of them is
missing for is named as not measured.

  --quick   fewer rounds of fewer settings, in two minutes once it is built; written nowhere
  group     only these, written nowhere: reads, resets, alternatives, writes, loading, server, http, each with postgres-
            before it as well; compiling

At the end every missed goal is named, and every figure whose ratio is worse than the committed one.";

/// Runs the benchmarks, those on PostgreSQL in a cluster of their own.
pub(crate) fn bench(arguments: &[String]) -> Result<(), Failure> {
    // Before anything is compiled, or a whole run begins that nobody wanted.
    if arguments.iter().any(|argument| matches!(argument.as_str(), "--help" | "-h")) {
        run::say(BENCH_USAGE);
        return Ok(());
    }
    if let Some(unknown) =
        arguments.iter().find(|argument| argument.starts_with('-') && *argument != "--quick")
    {
        return Err(Failure::Usage(format!("there is no option {unknown}\n\n{BENCH_USAGE}")));
    }
    // What a run that was killed has left is removed by the next.
    let files = run::root().join("target/bench");
    let clean = || {
        if files.exists() {
            std::fs::remove_dir_all(&files)?;
        }
        std::fs::create_dir_all(&files)
    };
    clean().map_err(|error| Failure::Other(format!("{}: {error}", files.display())))?;
    let server = Server::find(FOR_BENCHMARKS)?;
    let mut figures = run::cargo(["bench", "--package", "demo-reset-cli", "--bench", "figures", "--"]);
    Server::tell(server.as_ref(), &mut figures);
    run::run(figures.args(arguments).env("TMPDIR", &files))
}
