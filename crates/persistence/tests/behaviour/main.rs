//! The behaviour of demo sessions, on every database that the engine serves.
//!
//! One binary, so that it links once; one file per topic.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod concurrency;
mod constraints;
mod coverage;
mod differential;
mod fixture;
mod histories;
mod hosts;
mod isolation;
mod plans;
mod postgres_roles;
mod random;
mod reset_undo;
mod search;
mod sessions;
