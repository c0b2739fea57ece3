//! The HTTP API as its callers see it: one binary, one file per group of routes.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod access;
mod administrators;
mod cases;
mod children;
mod conditional;
mod console;
mod contract;
mod demo_sessions;
mod document;
mod fields;
mod fixture;
mod health;
mod history;
mod identity;
mod lists;
mod plans;
mod problems;
mod provider_keys;
mod reference;
mod repeated;
mod rius;
mod selective;
mod server;
mod service;
mod sign_in;
mod statements;
