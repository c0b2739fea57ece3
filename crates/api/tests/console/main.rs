//! The console as people use it, in a real browser. Without a browser these tests are skipped, and say so; in CI
//! they fail.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod browser;
mod pages;
mod screenshots;
mod server;
mod stories;
