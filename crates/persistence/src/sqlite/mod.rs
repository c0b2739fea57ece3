//! The engine's SQLite side.
//!
//! The sessions file is opened as `main`, the base file is attached read-only as `base`; views and triggers are
//! TEMP objects of each connection, which win over all other names.

pub(crate) mod attach;
pub(crate) mod base_file;
pub(crate) mod connect;
pub(crate) mod ddl;
pub(crate) mod discover;
mod hidden;
pub(crate) mod host;
pub(crate) mod load;
mod parse;
