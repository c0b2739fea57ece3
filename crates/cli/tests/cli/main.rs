//! The `demo-reset` binary as a user and a script meet it: real processes on temporary databases.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says what it skips, in its helpers too"
)]

mod attach;
mod cluster;
mod database;
mod embedding;
mod faults;
mod harness;
mod serve;
mod servers;
mod sessions;
mod tls;
mod usage;
