//! Every refusal and failure as an HTTP answer: the only place where a status is chosen.
//!
//! Answers are problem details (RFC 9457) with a stable `code`. What a client could do nothing about is logged in
//! full and told only by the id of the request.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use demo_reset_domain::{ConfirmationRequired, Conflict, UndoRefusal, UserKeyError};
use demo_reset_persistence::{ConstraintKind, Error as EngineError};
use serde_json::{Map, Value, json};

use crate::demo::key_text;
use crate::request_id;

/// The media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The limit and what is left of it, as the IETF's draft of rate limit fields has them.
const RATE_LIMIT_POLICY: &str = "ratelimit-policy";
const RATE_LIMIT: &str = "ratelimit";

/// When a server that cannot answer now should be asked again, in seconds.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Values that were not accepted: field or parameter, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// One entry per value.
    pub errors: Vec<(String, String)>,
}

impl Invalid {
    /// One value that was not accepted.
    pub fn one(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { errors: vec![(field.into(), message.into())] }
    }
}

/// A limit on how often something may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// What is limited.
    pub name: &'static str,
    /// So often.
    pub quota: u32,
    /// In so many seconds.
    pub window_seconds: u32,
}

/// Everything that a request can be answered with other than success.
#[derive(Debug)]
pub enum ApiError {
    /// There is nothing at this address.
    NoRoute,
    /// There is something at this address, but not for this method.
    MethodNotAllowed {
        /// The methods it is for.
        allow: String,
    },
    /// A page of another origin asked whether it may do something, and may not.
    PreflightRefused(String),
    /// No token, or one that is not accepted.
    Unauthorized {
        /// Why.
        reason: &'static str,
    },
    /// The address and the password do not go together.
    WrongCredentials,
    /// The user's role may not do this.
    Forbidden {
        /// What is needed.
        reason: &'static str,
    },
    /// The body is not JSON, or did not arrive.
    MalformedBody(String),
    /// An id in the path is not a UUID.
    MalformedId {
        /// What stands there.
        found: String,
    },
    /// The body is of a type other than JSON.
    UnsupportedMediaType,
    /// The body is too large.
    BodyTooLarge {
        /// The largest that is read.
        max_bytes: usize,
    },
    /// Values or names that were not accepted.
    Invalid(Invalid),
    /// The record that is named in the path does not exist in this session's world.
    NotFound {
        /// The kind of record.
        what: &'static str,
    },
    /// `If-Match` names other versions.
    PreconditionFailed,
    /// Too many requests.
    TooManyRequests {
        /// When to try again, in seconds.
        retry_after_seconds: u64,
        /// The limit that was met.
        limit: RateLimit,
    },
    /// A reset without its confirmation.
    ConfirmationRequired(ConfirmationRequired),
    /// The content of this record is evidence.
    ImmutableContent(String),
    /// Such a record exists already.
    AlreadyExists(String),
    /// The engine refused or failed.
    Engine(EngineError),
    /// An undo conflicts with newer changes; the entities by the names that this API uses.
    UndoConflict {
        /// `{"entityType", "entityId", "reason"}`.
        conflicts: Vec<Value>,
    },
    /// A reset of some records conflicts with other changes; the entities by the names that this API uses.
    ResetConflict {
        /// `{"entityType", "entityId", "reason"}`.
        conflicts: Vec<Value>,
    },
    /// The identity provider's keys cannot be read.
    KeysUnavailable,
    /// Anything that no client can do something about.
    Internal(String),
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<ConfirmationRequired> for ApiError {
    fn from(error: ConfirmationRequired) -> Self {
        Self::ConfirmationRequired(error)
    }
}

impl From<UserKeyError> for ApiError {
    fn from(error: UserKeyError) -> Self {
        Self::Internal(error.to_string())
    }
}

#[cfg(feature = "bundled-demo")]
impl From<demo_reset_compliance::Error> for ApiError {
    fn from(error: demo_reset_compliance::Error) -> Self {
        use demo_reset_compliance::Error;
        match error {
            Error::NotFound(kind) => Self::NotFound { what: kind.as_str() },
            Error::Invalid { errors } => Self::Invalid(Invalid {
                errors: errors.into_iter().map(|error| (error.field, error.message)).collect(),
            }),
            Error::ImmutableContent { .. } => Self::ImmutableContent(error.to_string()),
            Error::AlreadyExists(message) => Self::AlreadyExists(message),
            Error::Stale => Self::PreconditionFailed,
            Error::Malformed(_) => Self::Internal(error.to_string()),
            Error::Persistence(error) => Self::Engine(error),
        }
    }
}

impl ApiError {
    /// The body that it is answered with, under the id of the request.
    #[cfg(feature = "bundled-demo")]
    pub(crate) fn as_problem(&self, request: Option<String>) -> Value {
        Problem::of(self).into_json(request)
    }
}

/// A problem, ready to be written.
struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    /// Members beyond the standard ones.
    more: Map<String, Value>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, title, detail: detail.into(), more: Map::new() }
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    fn invalid(errors: &[(String, String)]) -> Self {
        let listed: Vec<Value> =
            errors.iter().map(|(field, message)| json!({ "field": field, "message": message })).collect();
        let detail: Vec<String> =
            errors.iter().map(|(field, message)| format!("{field}: {message}")).collect();
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid values", detail.join("; "))
            .with("errors", listed.into())
    }

    fn internal() -> Self {
        let detail = "The server failed to answer; its log has the reason under this request's id.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    fn unavailable(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available", detail)
    }

    fn not_ready(error: &EngineError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "Not ready", error.to_string())
    }

    fn undo(refusal: &UndoRefusal) -> Self {
        let (status, code, title) = match refusal {
            UndoRefusal::NothingToUndo => (StatusCode::BAD_REQUEST, "nothing_to_undo", "Nothing to undo"),
            UndoRefusal::Expired { .. } => (StatusCode::GONE, "undo_expired", "Undo window closed"),
            UndoRefusal::AlreadyRestored => (StatusCode::CONFLICT, "already_restored", "Already restored"),
        };
        Self::new(status, code, title, refusal.to_string())
    }

    fn undo_conflict(conflicts: Vec<Value>) -> Self {
        let detail = format!(
            "{} archived change(s) conflict with newer ones; nothing was changed. Choose onConflict keepCurrent or \
             restoreArchived.",
            conflicts.len()
        );
        Self::new(StatusCode::CONFLICT, "undo_conflict", "Undo conflicts with newer changes", detail)
            .with("conflicts", conflicts.into())
    }

    fn reset_conflict(conflicts: Vec<Value>) -> Self {
        let detail = format!(
            "{} change(s) have taken a value that would come back with the base; nothing was changed. Reset them too, \
             or change them first.",
            conflicts.len()
        );
        Self::new(StatusCode::CONFLICT, "reset_conflict", "Reset conflicts with other changes", detail)
            .with("conflicts", conflicts.into())
    }

    fn of_engine(error: &EngineError) -> Self {
        match error {
            EngineError::Undo(refusal) => Self::undo(refusal),
            EngineError::UndoConflict(conflicts) => {
                Self::undo_conflict(conflicts.iter().map(conflict_by_table).collect())
            }
            EngineError::Constraint { kind: ConstraintKind::Unique, message } => {
                Self::new(StatusCode::CONFLICT, "already_exists", "Already exists", message)
            }
            EngineError::Constraint { message, .. } => {
                Self::invalid(&[("body".to_owned(), message.to_owned())])
            }
            EngineError::LayerFull { .. } => {
                Self::new(StatusCode::CONFLICT, "layer_full", "The session is full", error.to_string())
            }
            EngineError::IdempotencyKeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "Idempotency key used before",
                "This Idempotency-Key was sent with another request; use a new key for a new request.",
            ),
            EngineError::Unavailable(_) => {
                Self::unavailable("The database is busy or away. Trying again shortly can help.")
            }
            EngineError::BaseReplaced => {
                Self::unavailable("The base data was replaced just now. Trying again shortly can help.")
            }
            EngineError::UnknownSession => {
                Self::unavailable("The session was removed meanwhile. Trying again makes a new one.")
            }
            EngineError::NotSealed { .. }
            | EngineError::NotAttached { .. }
            | EngineError::Suspended
            | EngineError::OlderSchema { .. }
            | EngineError::NewerSchema { .. }
            | EngineError::Login { .. } => Self::not_ready(error),
            EngineError::InvalidUrl { .. }
            | EngineError::NoTls
            | EngineError::File { .. }
            | EngineError::Attach { .. }
            | EngineError::ForeignBase { .. }
            | EngineError::HoldsChanges { .. }
            | EngineError::NotBoundForWriting
            | EngineError::Database(_) => Self::internal(),
        }
    }

    fn of(error: &ApiError) -> Self {
        match error {
            ApiError::NoRoute => {
                Self::new(StatusCode::NOT_FOUND, "no_route", "Not found", "There is nothing at this address.")
            }
            ApiError::MethodNotAllowed { allow } => Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Method not allowed",
                format!("Expected one of {allow}."),
            ),
            ApiError::PreflightRefused(reason) => {
                Self::new(StatusCode::BAD_REQUEST, "preflight_refused", "Not for this origin", reason)
            }
            ApiError::Unauthorized { reason } => {
                Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Sign-in required", *reason)
            }
            ApiError::WrongCredentials => Self::new(
                StatusCode::UNAUTHORIZED,
                "wrong_credentials",
                "Wrong credentials",
                "The e-mail address and the password do not go together.",
            ),
            ApiError::Forbidden { reason } => {
                Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", *reason)
            }
            ApiError::MalformedBody(reason) => {
                Self::new(StatusCode::BAD_REQUEST, "malformed_json", "Malformed JSON", reason)
            }
            ApiError::MalformedId { found } => Self::new(
                StatusCode::BAD_REQUEST,
                "malformed_id",
                "Malformed id",
                format!("Expected a UUID in the path, found `{found}`."),
            ),
            ApiError::UnsupportedMediaType => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Unsupported media type",
                "Expected Content-Type: application/json.",
            ),
            ApiError::BodyTooLarge { max_bytes } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "Body too large",
                format!("Expected a body of at most {max_bytes} bytes."),
            ),
            ApiError::Invalid(invalid) => Self::invalid(&invalid.errors),
            ApiError::NotFound { what } => Self::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "Not found",
                format!("There is no such {what}."),
            ),
            ApiError::PreconditionFailed => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "precondition_failed",
                "Changed meanwhile",
                "The record is not in a version that If-Match names; nothing was changed.",
            ),
            ApiError::TooManyRequests { retry_after_seconds, .. } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "Too many requests",
                format!("Try again in {retry_after_seconds} second(s)."),
            ),
            ApiError::ConfirmationRequired(error) => Self::new(
                StatusCode::BAD_REQUEST,
                "confirmation_required",
                "Confirmation required",
                error.to_string(),
            ),
            ApiError::ImmutableContent(reason) => {
                Self::new(StatusCode::CONFLICT, "immutable_content", "Content cannot be edited", reason)
            }
            ApiError::AlreadyExists(reason) => {
                Self::new(StatusCode::CONFLICT, "already_exists", "Already exists", reason)
            }
            ApiError::Engine(error) => Self::of_engine(error),
            ApiError::UndoConflict { conflicts } => Self::undo_conflict(conflicts.clone()),
            ApiError::ResetConflict { conflicts } => Self::reset_conflict(conflicts.clone()),
            ApiError::KeysUnavailable => Self::unavailable(
                "The identity provider's keys cannot be read. Trying again shortly can help.",
            ),
            ApiError::Internal(_) => Self::internal(),
        }
    }

    fn into_json(self, request: Option<String>) -> Value {
        let mut members = Map::new();
        members.insert("type".to_owned(), format!("urn:demo-reset:problem:{}", self.code).into());
        members.insert("title".to_owned(), self.title.into());
        members.insert("status".to_owned(), self.status.as_u16().into());
        members.insert("detail".to_owned(), self.detail.into());
        members.insert("code".to_owned(), self.code.into());
        if let Some(request) = request {
            members.insert("requestId".to_owned(), request.into());
        }
        members.extend(self.more);
        Value::Object(members)
    }
}

/// A conflict under the engine's own names.
fn conflict_by_table(conflict: &Conflict) -> Value {
    json!({
        "entityType": conflict.table,
        "entityId": key_text(&conflict.key),
        "reason": conflict.reason.as_str(),
    })
}

impl fmt::Display for ApiError {
    /// In full, for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(error) => error.fmt(f),
            Self::Internal(reason) => f.write_str(reason),
            other => f.write_str(&Problem::of(other).detail),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        Problem::of(self).status
    }

    fn error_response(&self) -> HttpResponse {
        let problem = Problem::of(self);
        let request = request_id::current();
        if problem.status.is_server_error() {
            let request = request.as_deref().unwrap_or("-");
            log::error!("{} {}: {self} request={request}", problem.status.as_u16(), problem.code);
        }
        let mut response = HttpResponseBuilder::new(problem.status);
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
        match self {
            Self::MethodNotAllowed { allow } => {
                response.insert_header((ALLOW, allow.as_str()));
            }
            Self::Unauthorized { .. } | Self::WrongCredentials => {
                response.insert_header((WWW_AUTHENTICATE, "Bearer"));
            }
            Self::TooManyRequests { retry_after_seconds, limit } => {
                let RateLimit { name, quota, window_seconds } = limit;
                response.insert_header((RETRY_AFTER, retry_after_seconds.to_string()));
                response
                    .insert_header((RATE_LIMIT_POLICY, format!("\"{name}\";q={quota};w={window_seconds}")));
                response.insert_header((RATE_LIMIT, format!("\"{name}\";r=0;t={retry_after_seconds}")));
            }
            _ if problem.status == StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((RETRY_AFTER, RETRY_AFTER_SECONDS.to_string()));
            }
            _ => {}
        }
        response.body(problem.into_json(request).to_string())
    }
}
