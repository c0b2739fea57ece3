//! Per-user copy-on-write sessions over one shared database.
pub mod connection;
pub mod database;
pub mod error;
pub mod types;

pub use connection::AnyConnection;
pub use database::*;
pub use error::{ConstraintKind, Error, Result};
