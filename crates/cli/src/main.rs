//! The `demo-reset` command: thin commands over the engine, the bundled demo and its server.
//!
//! A command reads its arguments, calls one use case, and shows what came back. Rules live in the crates below;
//! here are the clock, randomness, the terminal, and the exit codes.

mod args;
mod backend;
mod commands;
mod credentials;
mod edge;
mod exit;
mod logging;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;

/// The system's allocator costs a server a twentieth of its requests (docs/performance.md, "HTTP").
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    logging::start(&arguments.command);
    match commands::run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
