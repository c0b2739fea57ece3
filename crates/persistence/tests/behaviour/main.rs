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

mod anomalies;
mod answers;
mod concurrency;
mod constraints;
mod coverage;
mod defects;
mod differential;
mod faults;
mod fixture;
mod hidden;
mod histories;
mod hosts;
mod interleavings;
mod isolation;
mod lost_answers;
mod moving_base;
mod plans;
mod pooled;
mod postgres_roles;
mod random;
mod reset_undo;
mod search;
mod sessions;
mod tampering;
mod time;
