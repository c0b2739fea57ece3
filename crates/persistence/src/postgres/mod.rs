//! The engine's PostgreSQL side.
//!
//! Views and engine tables stand in the schema `demo`, change tables in `demo_changes`; with
//! `search_path = demo, public` unqualified names hit the views. Nothing in `public` is altered but for the guard
//! triggers and grants that sealing adds.

pub(crate) mod attach;
pub(crate) mod base;
pub(crate) mod connect;
pub(crate) mod ddl;
pub(crate) mod discover;
pub(crate) mod host;
