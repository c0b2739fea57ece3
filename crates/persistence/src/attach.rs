//! What to put under sessions.

/// Which tables to attach, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// The tables; all of the base where none are named.
    pub tables: Option<Vec<String>>,
    /// Whether every view ends with `demo_user_session_id`, `is_base_data` and `change_kind`.
    pub tracking_columns: bool,
}
