//! The `demo-reset` binary as a user and a script meet it: real processes on temporary databases.

#![allow(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

mod attach;
mod database;
mod harness;
mod serve;
mod sessions;
mod usage;
