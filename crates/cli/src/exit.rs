//! Exit codes: every error becomes one here and nowhere else.

use std::io;
use std::process::ExitCode;

use demo_reset_api::{PasswordError, ServeError};
use demo_reset_compliance as compliance;
use demo_reset_compliance::dataset::{SeedError, SeedMistake};
use demo_reset_domain::{Conflict, UndoRefusal};
use demo_reset_persistence::Error as EngineError;

use crate::output::{self, OutputError};

/// What the process tells the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    NotConfirmed = 3,
    NotFound = 4,
    NothingToUndo = 5,
    UndoTooLate = 6,
    UndoConflict = 7,
    BaseChanged = 8,
    Unavailable = 9,
    NotReady = 10,
    AddressInUse = 11,
}

/// Every code with its meaning, as `--help` and the README list them.
const MEANINGS: &[(Exit, &str)] = &[
    (Exit::Done, "done"),
    (Exit::Failed, "failed for a reason not listed here"),
    (Exit::Usage, "the command line is wrong"),
    (Exit::NotConfirmed, "not confirmed: nothing was changed; answer yes, or give --yes"),
    (Exit::NotFound, "no such organization or user"),
    (Exit::NothingToUndo, "there is no reset to undo"),
    (Exit::UndoTooLate, "the undo window has closed, or the reset has already been undone"),
    (Exit::UndoConflict, "the undo conflicts with newer changes: nothing was changed"),
    (Exit::BaseChanged, "the base data is not as it was sealed"),
    (Exit::Unavailable, "the database cannot be reached, read or written"),
    (Exit::NotReady, "the database is not ready: not seeded, already seeded, or of another version"),
    (Exit::AddressInUse, "the address to listen on cannot be used"),
];

/// The table of exit codes at the end of `--help`.
pub(crate) fn help() -> String {
    let lines = MEANINGS.iter().map(|(exit, meaning)| format!("  {:>2}  {meaning}", *exit as u8));
    std::iter::once("Exit codes:".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

/// What a command refuses by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}: nothing was changed")]
    NotConfirmed(String),
    #[error("there is no organization `{0}`")]
    UnknownOrganization(String),
    #[error("there is no user {user} in the organization `{organization}`")]
    UnknownUser { user: String, organization: String },
    #[error("the base data is not as it was sealed: {}", .tables.join(", "))]
    BaseChanged { tables: Vec<String> },
    #[error("{0} holds no base data yet")]
    NotSeeded(String),
    #[error("{0} already holds base data")]
    AlreadySeeded(String),
    #[error("{0} obstacle(s) stand in the way of an attach")]
    CannotAttach(usize),
    #[error("{0} was not made by demo-reset, or was not completely loaded")]
    Foreign(String),
}

/// Writes the error to stderr, one line with its cause and what to do, and gives the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if reader_left(error) {
        return ExitCode::from(Exit::Done as u8);
    }
    let (exit, advice) = judge(error);
    let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
    output::note(format_args!("demo-reset: {}{advice}", one_line(error)));
    for mistake in mistakes(error) {
        output::note(format_args!("  {mistake}"));
    }
    for Conflict { table, key, reason } in conflicts(error) {
        output::note(format_args!("  {table} {}: {reason}", key.join(", ")));
    }
    ExitCode::from(exit as u8)
}

/// The error and its causes. Some errors tell their cause themselves: it is not told twice.
fn one_line(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if message.is_empty() {
            message = text;
        } else if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
    }
    message
}

/// The mistakes that seed data was refused for.
fn mistakes(error: &anyhow::Error) -> &[SeedMistake] {
    match error.downcast_ref() {
        Some(SeedError(mistakes)) => mistakes,
        None => &[],
    }
}

/// The conflicts that an undo was refused for.
pub(crate) fn conflicts(error: &anyhow::Error) -> &[Conflict] {
    match engine_error(error) {
        Some(EngineError::UndoConflict(conflicts)) => conflicts,
        _ => &[],
    }
}

/// The engine's error, whether it came from the engine itself or through a crate that uses it.
fn engine_error(error: &anyhow::Error) -> Option<&EngineError> {
    if let Some(compliance::Error::Persistence(engine)) = error.downcast_ref() {
        return Some(engine);
    }
    if let Some(ServeError::Database(engine)) = error.downcast_ref() {
        return Some(engine);
    }
    if let Some(PasswordError::Database(engine)) = error.downcast_ref() {
        return Some(engine);
    }
    error.downcast_ref()
}

/// Whether only the reader of stdout has had enough, as in `demo-reset sessions | head`.
fn reader_left(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(|OutputError(cause)| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// The exit code of an error, and what to do about it where the error does not say so itself.
fn judge(error: &anyhow::Error) -> (Exit, Option<&'static str>) {
    if let Some(refusal) = error.downcast_ref() {
        return judge_refusal(refusal);
    }
    match error.downcast_ref() {
        Some(ServeError::AddressInUse { .. }) => {
            return (Exit::AddressInUse, Some("stop that program, or choose another address with --bind"));
        }
        Some(ServeError::Bind { .. }) => {
            return (Exit::AddressInUse, Some("choose another address with --bind"));
        }
        _ => {}
    }
    engine_error(error).map_or((Exit::Failed, None), judge_engine)
}

fn judge_refusal(refusal: &Refusal) -> (Exit, Option<&'static str>) {
    match refusal {
        Refusal::NotConfirmed(_) => (Exit::NotConfirmed, None),
        Refusal::UnknownOrganization(_) => (Exit::NotFound, Some("choose another with --org")),
        Refusal::UnknownUser { .. } => (
            Exit::NotFound,
            Some("`demo-reset sessions` lists users with a session; --org chooses the organization"),
        ),
        Refusal::BaseChanged { .. } => {
            (Exit::BaseChanged, Some("`demo-reset seed --replace` loads the base data again"))
        }
        Refusal::NotSeeded(_) => (Exit::NotReady, Some("`demo-reset seed` loads it")),
        Refusal::AlreadySeeded(_) => (Exit::NotReady, Some("--replace loads it again")),
        Refusal::CannotAttach(_) => (Exit::NotReady, Some("--tables names the tables to attach")),
        Refusal::Foreign(_) => {
            (Exit::NotReady, Some("choose another with --database-url, or move this one away"))
        }
    }
}

fn judge_engine(error: &EngineError) -> (Exit, Option<&'static str>) {
    match error {
        EngineError::InvalidUrl { .. } | EngineError::NoTls => (Exit::Usage, None),
        EngineError::File { .. } | EngineError::Unavailable(_) | EngineError::BaseReplaced => {
            (Exit::Unavailable, None)
        }
        EngineError::NewerSchema { .. }
        | EngineError::OlderSchema { .. }
        | EngineError::Login { .. }
        | EngineError::Attach { .. }
        | EngineError::ForeignBase { .. } => (Exit::NotReady, None),
        EngineError::NotAttached { .. } | EngineError::Suspended => {
            (Exit::NotReady, Some("`demo-reset attach` puts its tables under sessions"))
        }
        EngineError::HoldsChanges { .. } => (Exit::NotConfirmed, None),
        EngineError::NotSealed { .. } => {
            (Exit::NotReady, Some("load the demo dataset with `demo-reset seed`"))
        }
        EngineError::UnknownSession => (Exit::NotFound, None),
        EngineError::Undo(UndoRefusal::NothingToUndo) => (Exit::NothingToUndo, None),
        EngineError::Undo(UndoRefusal::Expired { .. } | UndoRefusal::AlreadyRestored) => {
            (Exit::UndoTooLate, None)
        }
        EngineError::UndoConflict(_) => {
            (Exit::UndoConflict, Some("choose with --on-conflict keep-current or restore-archived"))
        }
        EngineError::NotBoundForWriting
        | EngineError::LayerFull { .. }
        | EngineError::IdempotencyKeyReused
        | EngineError::Constraint { .. }
        | EngineError::Database(_) => (Exit::Failed, None),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use demo_reset_domain::ConflictReason;

    use super::*;

    #[test]
    fn codes_are_distinct_and_listed_in_order() {
        let codes: Vec<u8> = MEANINGS.iter().map(|(exit, _)| *exit as u8).collect();
        assert_eq!(codes, (0..=11).collect::<Vec<_>>());
    }

    #[test]
    fn the_readme_lists_every_code() {
        let readme = include_str!("../../../README.md");
        for (exit, meaning) in MEANINGS {
            let row = format!("| {} | {meaning} |", *exit as u8);
            assert!(readme.contains(&row), "README.md lacks {row:?}");
        }
    }

    #[test]
    fn an_error_keeps_its_code_whatever_context_is_added() {
        let error = |error: EngineError| anyhow::Error::new(error);
        let cases = [
            (error(EngineError::Undo(UndoRefusal::NothingToUndo)), Exit::NothingToUndo),
            (error(EngineError::Undo(UndoRefusal::AlreadyRestored)), Exit::UndoTooLate),
            (error(EngineError::Unavailable("gone".into())), Exit::Unavailable),
            (compliance::Error::from(EngineError::Unavailable("gone".into())).into(), Exit::Unavailable),
            (error(EngineError::NewerSchema { migration: "x".into() }), Exit::NotReady),
            (anyhow::Error::new(Refusal::UnknownOrganization("x".into())), Exit::NotFound),
            (anyhow::anyhow!("anything else"), Exit::Failed),
        ];
        for (error, exit) in cases {
            assert_eq!(judge(&error).0, exit, "{error}");
            assert_eq!(judge(&error.context("while trying")).0, exit);
        }
    }

    #[test]
    fn a_message_is_one_line_that_tells_every_cause_once() {
        let tells_its_cause = compliance::Error::from(EngineError::Unavailable("gone\naway".into()));
        let error =
            anyhow::Error::new(tells_its_cause).context("the database is not available").context("stats");
        assert_eq!(
            one_line(&error),
            "stats: the database is not available: the database is not available: gone away"
        );
        let told = anyhow::anyhow!("gone").context("failed: gone");
        assert_eq!(one_line(&told), "failed: gone");
    }

    #[test]
    fn conflicts_are_found_behind_context() {
        let conflict =
            Conflict { table: "t".into(), key: vec!["1".into()], reason: ConflictReason::SameRecord };
        let error =
            Err::<(), _>(EngineError::UndoConflict(vec![conflict.clone()])).context("undo").unwrap_err();
        assert_eq!(conflicts(&error), [conflict]);
    }

    #[test]
    fn a_closed_stdout_is_no_failure() {
        let closed = OutputError(io::ErrorKind::BrokenPipe.into());
        assert!(reader_left(&anyhow::Error::new(closed)));
        assert!(!reader_left(&anyhow::Error::new(OutputError(io::ErrorKind::StorageFull.into()))));
    }
}
