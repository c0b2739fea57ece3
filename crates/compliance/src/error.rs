//! What can go wrong, without a word about transport.

use demo_reset_persistence::{ConstraintKind, Error as EngineError};

use crate::audit::EntityKind;

/// One value that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field or parameter.
    pub field: String,
    /// What was expected.
    pub message: String,
}

impl FieldError {
    /// An error about `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Everything a use case can refuse or fail at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such record in the world that the connection shows.
    #[error("there is no such {}", .0.as_str())]
    NotFound(EntityKind),
    /// Values that were not accepted; nothing was changed.
    #[error("{}", describe(.errors))]
    Invalid {
        /// One entry per value.
        errors: Vec<FieldError>,
    },
    /// The record's content is evidence and stays as it was received.
    #[error("the content of a {} cannot be edited ({})", .kind.as_str(), .fields.join(", "))]
    ImmutableContent {
        /// The kind of record.
        kind: EntityKind,
        /// The fields that were to be edited.
        fields: Vec<String>,
    },
    /// Such a record exists already.
    #[error("{0}")]
    AlreadyExists(String),
    /// The record is not in the version that the caller named; nothing was changed.
    #[error("the record has changed meanwhile")]
    Stale,
    /// A stored record does not have the form of its type.
    #[error("a stored record cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The engine refused or failed.
    #[error(transparent)]
    Persistence(EngineError),
}

/// The result of a use case.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// One value that was not accepted.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { errors: vec![FieldError::new(field, message)] }
    }

    /// Whether the value of this field was not accepted.
    pub fn names(&self, field: &str) -> bool {
        matches!(self, Self::Invalid { errors } if errors.iter().any(|error| error.field == field))
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Constraint { kind: ConstraintKind::Unique, message } => Self::AlreadyExists(message),
            other => Self::Persistence(other),
        }
    }
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        EngineError::from(error).into()
    }
}

fn describe(errors: &[FieldError]) -> String {
    let each: Vec<String> =
        errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
    each.join("; ")
}
