//! Which of the demo's tables stand under sessions.

use demo_reset_persistence::AttachOptions;

/// Tables that sessions may change; the others are reference data and stay as they are for everyone.
const SESSION_TABLES: [&str; 8] = [
    "rius",
    "cases",
    "investigations",
    "subjects",
    "case_messages",
    "investigation_notes",
    "riu_case_associations",
    "audit_logs",
];

/// How the demo is put under sessions. The tracking columns tell its queries what a session has changed.
pub fn attach_options() -> AttachOptions {
    AttachOptions { tables: Some(SESSION_TABLES.map(str::to_owned).to_vec()), tracking_columns: true }
}
