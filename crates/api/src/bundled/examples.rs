//! Examples in the OpenAPI document: problems as the server really writes them, and answers made from their schemas.

use chrono::DateTime;
use demo_reset_domain::{ConfirmationRequired, UndoRefusal};
use demo_reset_persistence::{ConstraintKind, DEFAULT_MAX_LAYER_CHANGES, Error as EngineError};
use serde_json::{Map, Value, json};

use super::limits::DEFAULT_WRITES_PER_SECOND;
use crate::body::MAX_BODY_BYTES;
use crate::error::{ApiError, Invalid, RateLimit};

/// The id in every example.
pub(crate) const ID: &str = "01a205d5-247f-73f4-b316-e03f65b59780";
/// The time in every example.
const TIME: &str = "2026-02-02T09:00:00.000000Z";
/// How deep an example of a schema goes. No schema here refers to itself.
const MAX_DEPTH: usize = 8;

pub(crate) fn malformed_body() -> ApiError {
    ApiError::MalformedBody("EOF while parsing an object at line 1 column 1".to_owned())
}

pub(crate) fn malformed_id() -> ApiError {
    ApiError::MalformedId { found: "42".to_owned() }
}

pub(crate) fn unconfirmed() -> ApiError {
    ConfirmationRequired.into()
}

pub(crate) fn nothing_to_undo() -> ApiError {
    EngineError::Undo(UndoRefusal::NothingToUndo).into()
}

pub(crate) fn already_restored() -> ApiError {
    EngineError::Undo(UndoRefusal::AlreadyRestored).into()
}

pub(crate) fn expired() -> ApiError {
    EngineError::Undo(UndoRefusal::Expired { expires_at: DateTime::UNIX_EPOCH }).into()
}

pub(crate) fn unauthorized() -> ApiError {
    ApiError::Unauthorized { reason: "Expected Authorization: Bearer TOKEN." }
}

pub(crate) fn forbidden() -> ApiError {
    ApiError::Forbidden { reason: "Only administrators may do this." }
}

pub(crate) fn immutable() -> ApiError {
    ApiError::ImmutableContent("the content of a riu cannot be edited: details".to_owned())
}

pub(crate) fn exists() -> ApiError {
    EngineError::Constraint {
        kind: ConstraintKind::Unique,
        message: "riu_case_associations: (case_id, riu_id) exists already".to_owned(),
    }
    .into()
}

pub(crate) fn full() -> ApiError {
    EngineError::LayerFull { max: DEFAULT_MAX_LAYER_CHANGES }.into()
}

fn conflicts(reason: &str) -> Vec<Value> {
    vec![json!({ "entityType": "case", "entityId": ID, "reason": reason })]
}

pub(crate) fn undo_conflict() -> ApiError {
    ApiError::UndoConflict { conflicts: conflicts("same_record") }
}

pub(crate) fn reset_conflict() -> ApiError {
    ApiError::ResetConflict { conflicts: conflicts("unique_clash") }
}

pub(crate) fn too_large() -> ApiError {
    ApiError::BodyTooLarge { max_bytes: MAX_BODY_BYTES }
}

pub(crate) fn invalid() -> ApiError {
    Invalid::one("status", "expected one of NEW, OPEN, CLOSED").into()
}

pub(crate) fn key_reused() -> ApiError {
    EngineError::IdempotencyKeyReused.into()
}

pub(crate) fn too_many() -> ApiError {
    let limit = RateLimit { name: "writes", quota: DEFAULT_WRITES_PER_SECOND.get(), window_seconds: 1 };
    ApiError::TooManyRequests { retry_after_seconds: 1, limit }
}

pub(crate) fn unavailable() -> ApiError {
    EngineError::Unavailable("no connection".to_owned()).into()
}

/// Gives every JSON body and answer without an example one that its schema describes.
pub(crate) fn complete(paths: &mut Map<String, Value>, schemas: &Map<String, Value>) {
    let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(|item| item.values_mut());
    for operation in operations {
        if let Some(body) = operation.get_mut("requestBody") {
            give_example(body, schemas);
        }
        let answers = operation.get_mut("responses").and_then(Value::as_object_mut);
        for answer in answers.into_iter().flat_map(|answers| answers.values_mut()) {
            give_example(answer, schemas);
        }
    }
}

fn give_example(described: &mut Value, schemas: &Map<String, Value>) {
    let Some(content) = described.pointer_mut("/content/application~1json") else { return };
    let example = sample("", &content["schema"], schemas, 0);
    content["example"] = example;
}

/// A value of the field `name` that the schema describes.
fn sample(name: &str, schema: &Value, schemas: &Map<String, Value>, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    if let Some(named) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return schemas.get(named).map_or(Value::Null, |schema| sample(name, schema, schemas, depth + 1));
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(first) = schema["examples"].get(0).or_else(|| schema["enum"].get(0)) {
        return first.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("object") => sample_object(schema, schemas, depth),
        Some("array") => json!([sample(name, &schema["items"], schemas, depth + 1)]),
        Some("integer" | "number") => schema["minimum"].as_i64().unwrap_or(3).max(1).into(),
        Some("boolean") => (name != "isBaseData").into(),
        Some("string") => sample_text(name, schema).into(),
        // Anything: the old and the new value of a field.
        _ => name.to_uppercase().into(),
    }
}

fn sample_object(schema: &Value, schemas: &Map<String, Value>, depth: usize) -> Value {
    if let Some(properties) = schema["properties"].as_object() {
        let member =
            |(name, schema): (&String, &Value)| (name.clone(), sample(name, schema, schemas, depth + 1));
        return Value::Object(properties.iter().map(member).collect());
    }
    // Members that are named by what they are about.
    match schema.get("additionalProperties") {
        Some(values) if values.is_object() => {
            let name = if values["type"] == "integer" { "cases" } else { "status" };
            json!({ name: sample(name, values, schemas, depth + 1) })
        }
        _ => json!({}),
    }
}

fn sample_text(name: &str, schema: &Value) -> String {
    match (schema["format"].as_str(), name) {
        (Some("uuid"), _) => ID,
        (Some("date-time"), _) => TIME,
        (_, "email") => "demo-cco@acme.example",
        (_, "referenceNumber") => "CASE-2026-00001",
        (_, "month") => "2026-02",
        (_, "timezone") => "Europe/Berlin",
        (_, "nextCursor" | "cursor") => "AAAAAAAAAAAAAAAA",
        (_, "entityType") => "case",
        (_, "table") => "cases",
        (_, "tags") => "payments",
        (_, "firstName") => "Morgan",
        (_, "lastName") => "Reyes",
        (_, "authorName" | "actorName" | "name") => "Morgan Reyes",
        (_, "confirmationToken") => demo_reset_domain::CONFIRMATION_TOKEN,
        (_, "message") => "A reset takes back 3 change(s).",
        (_, "status") => "ok",
        _ => return format!("The {name} in a few words."),
    }
    .to_owned()
}
