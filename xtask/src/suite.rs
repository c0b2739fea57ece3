//! The tests and the benchmarks.

use crate::run::{self, Failure};

/// A program that some tests need and not every machine has.
struct Tool {
    program: &'static str,
    arguments: &'static [&'static str],
    /// The tests that are skipped without it.
    tests: &'static str,
    /// How to get it.
    install: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        program: "sqlite3",
        arguments: &["--version"],
        tests: "another program's write to the base file is refused",
        install: "apt-get install sqlite3 (Debian), brew install sqlite (macOS)",
    },
    Tool {
        program: "curl",
        arguments: &["--version"],
        tests: "the walkthrough of the README",
        install: "apt-get install curl (Debian), brew install curl (macOS)",
    },
];

/// Runs every test of the workspace, then says what this machine could not run. In CI nothing may be missing.
pub(crate) fn test(arguments: &[String]) -> Result<(), Failure> {
    let missing: Vec<&Tool> =
        TOOLS.iter().filter(|tool| !run::installed(tool.program, tool.arguments)).collect();
    let report = || {
        for Tool { program, tests, install, .. } in &missing {
            run::complain(&format!("skipped, since {program} is not installed: {tests}; get it: {install}"));
        }
    };
    if run::in_ci() && !missing.is_empty() {
        report();
        return Err(Failure::Other("in CI no test may be skipped".to_owned()));
    }
    let result = run::run(run::cargo(["test", "--workspace"]).args(arguments));
    report();
    result
}

/// Runs the benchmarks.
pub(crate) fn bench(arguments: &[String]) -> Result<(), Failure> {
    run::run(run::cargo(["bench", "--package", "demo-reset-cli", "--bench", "figures", "--"]).args(arguments))
}
