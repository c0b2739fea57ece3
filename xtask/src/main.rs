//! Developer tasks: `cargo xtask <task>`. Each prints the commands it runs, so that they can be run by hand.
//!
//! Nothing here knows the product: tasks call cargo and the `demo-reset` binary.

mod check;
mod contract;
mod coverage;
mod demo;
mod fuzz;
mod postgres;
mod run;
mod suite;

use std::process::ExitCode;

use run::Failure;

const USAGE: &str = "\
Developer tasks.

Usage: cargo xtask <task> [arguments for what the task runs]

  demo            build the server and run it on data/demo.db, made and seeded if missing
  seed            demo-reset seed
  reset <user>    demo-reset reset
  migrate         demo-reset migrate
  test            the whole test suite; arguments go to `cargo test`
  charts          draw the charts in docs/charts anew, from the data
  coverage        how much of the domain and of the engine their tests reach; too little is a failure
  contract        ask a server everything that its OpenAPI document allows, and generate types from the document; --seed
                  asks something else
  fuzz <target>   search for input that a target of fuzz/ fails on, for a minute or the seconds given
  screenshots     take the pictures in docs/screenshots anew, in a headless Chromium
  bench           the benchmarks, written to docs/benchmarks.md; with --quick or the names of groups only shown (--help)
  check           what CI checks: format, clippy, rustdoc, dependencies

Each task prints the commands it runs.";

fn main() -> ExitCode {
    if coverage::is_compiler() {
        return ended("compile", coverage::compile());
    }
    let mut arguments = std::env::args().skip(1);
    let Some(task) = arguments.next() else {
        run::say(USAGE);
        return ExitCode::from(2);
    };
    let arguments: Vec<String> = arguments.collect();
    ended(&task, perform(&task, &arguments))
}

fn ended(task: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            run::complain(&format!("cargo xtask {task}: {failure}"));
            failure.exit_code()
        }
    }
}

fn perform(task: &str, arguments: &[String]) -> Result<(), Failure> {
    match task {
        "demo" => demo::serve(arguments),
        "seed" | "reset" | "migrate" => demo::command(task, arguments),
        "test" => suite::test(arguments),
        "charts" => suite::charts(),
        "contract" => contract::contract(arguments),
        "screenshots" => suite::screenshots(),
        "coverage" => coverage::coverage(),
        "fuzz" => fuzz::fuzz(arguments),
        "bench" => suite::bench(arguments),
        "check" => check::check(),
        "help" | "--help" | "-h" => {
            run::say(USAGE);
            Ok(())
        }
        _ => Err(Failure::Usage(format!("there is no such task\n\n{USAGE}"))),
    }
}
