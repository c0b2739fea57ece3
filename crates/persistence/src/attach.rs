//! What to put under sessions.

use crate::spec::TableSpec;

/// Which tables to attach, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// The tables; all of the base where none are named.
    pub tables: Option<Vec<String>>,
    /// Whether every view ends with `demo_user_session_id`, `is_base_data` and `change_kind`.
    pub tracking_columns: bool,
}

impl AttachOptions {
    /// Whether a table is to be attached.
    pub(crate) fn wants(&self, name: &str) -> bool {
        match &self.tables {
            Some(wanted) => wanted.iter().any(|table| table.eq_ignore_ascii_case(name)),
            None => true,
        }
    }
}

/// What is attached, as the base defines it now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attached {
    /// Tables under sessions.
    pub(crate) tables: Vec<TableSpec>,
    /// The other tables of the base.
    pub(crate) outside: Vec<TableSpec>,
    /// Whether views end with the tracking columns.
    pub(crate) tracking_columns: bool,
}
