//! The behaviour of demo sessions, on every database that the engine serves.
//!
//! One binary, so that it links once; one file per topic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod constraints;
mod fixture;
mod isolation;
