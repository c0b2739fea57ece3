//! What resets and undos are asked, and what they answer.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse};
use demo_reset_domain::{ArchiveId, ChangeCounts, OnConflict, SessionId, UserKey, confirm};
use demo_reset_persistence::types::DbTime;
use demo_reset_persistence::{
    Error as EngineError, IdempotencyKey, RecordKey, ResetReport, ResetRequest, UndoRequest,
};
use serde_json::{Map, Value, json};

use super::names::EntityNames;
use super::{DemoEvent, DemoState, SessionUser, State, fresh, session_of};
use crate::body::{Body, archive_id, refuse_unknown};
use crate::engine::Engine;
use crate::error::{ApiError, Invalid};

/// The header under which a caller names a request, so that it can be repeated.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest such name, in bytes.
const MAX_KEY: usize = 255;
/// The most records that one request resets.
const MAX_RECORDS: usize = 200;

/// A confirmed request for a reset.
pub(super) struct Asked {
    /// Only these records; none for everything.
    records: Option<Vec<(String, String)>>,
    key: Option<IdempotencyKey>,
}

impl Asked {
    /// Reads the body and the idempotency key. A body that does not confirm is refused before all else.
    pub(super) fn of(request: &HttpRequest, body: &Body, names: &EntityNames) -> Result<Self, ApiError> {
        let body = body.object();
        // Whatever is wrong with the body, it does not confirm.
        let token = body.as_ref().ok().and_then(|body| body.get("confirmationToken")).and_then(Value::as_str);
        confirm(token)?;
        let body = body?;
        refuse_unknown(&body, &["confirmationToken", "records"])?;
        let records = body.get("records").map(|records| read_records(records, names)).transpose()?;
        Ok(Self { records, key: idempotency_key(request, &body)? })
    }

    fn record_keys(&self, names: &EntityNames, user: &UserKey) -> Result<Option<Vec<RecordKey>>, ApiError> {
        let Some(records) = &self.records else { return Ok(None) };
        let mut keys = Vec::with_capacity(records.len());
        let mut errors = Vec::new();
        for (at, (entity_type, entity_id)) in records.iter().enumerate() {
            match names.record_key(user, entity_type, entity_id) {
                Some(key) => keys.push(key),
                None => errors.push((format!("records[{at}].entityId"), "expected an id".to_owned())),
            }
        }
        if errors.is_empty() { Ok(Some(keys)) } else { Err(Invalid { errors }.into()) }
    }
}

fn read_records(records: &Value, names: &EntityNames) -> Result<Vec<(String, String)>, ApiError> {
    let listed = records.as_array().filter(|records| (1..=MAX_RECORDS).contains(&records.len()));
    let message = || format!("expected a list of 1 to {MAX_RECORDS} records");
    let listed = listed.ok_or_else(|| Invalid::one("records", message()))?;
    let types = names.types();
    let mut read = Vec::with_capacity(listed.len());
    let mut errors = Vec::new();
    for (at, record) in listed.iter().enumerate() {
        let Some(record) = record.as_object() else {
            errors.push((format!("records[{at}]"), "expected an object".to_owned()));
            continue;
        };
        let unknown = record.keys().filter(|name| !matches!(name.as_str(), "entityType" | "entityId"));
        errors.extend(unknown.map(|name| {
            (format!("records[{at}].{name}"), "is not a field here; expected entityType, entityId".to_owned())
        }));
        let entity_type = record.get("entityType").and_then(Value::as_str);
        let entity_type = entity_type.filter(|word| types.is_empty() || types.contains(word));
        let entity_id = record.get("entityId").and_then(Value::as_str);
        if entity_type.is_none() {
            let expected = if types.is_empty() {
                "expected the name of a table".to_owned()
            } else {
                format!("expected one of {}", types.join(", "))
            };
            errors.push((format!("records[{at}].entityType"), expected));
        }
        if entity_id.is_none() {
            errors.push((format!("records[{at}].entityId"), "expected an id".to_owned()));
        }
        if let (Some(entity_type), Some(entity_id)) = (entity_type, entity_id) {
            read.push((entity_type.to_owned(), entity_id.to_owned()));
        }
    }
    if errors.is_empty() { Ok(read) } else { Err(Invalid { errors }.into()) }
}

/// The name of a request that can be repeated, with what is asked: the address and the body.
fn idempotency_key(
    request: &HttpRequest,
    body: &Map<String, Value>,
) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(sent) = request.headers().get(IDEMPOTENCY_KEY) else { return Ok(None) };
    // The standard writes it as a string in quotes; many callers leave them out.
    let key = sent
        .to_str()
        .ok()
        .map(|text| text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text));
    let is_plain = |key: &&str| {
        !key.is_empty() && key.len() <= MAX_KEY && key.bytes().all(|b| b.is_ascii_graphic() && b != b'"')
    };
    let key = key.filter(is_plain).ok_or_else(|| {
        Invalid::one(
            "Idempotency-Key",
            format!("expected 1 to {MAX_KEY} visible ASCII characters, none a quote"),
        )
    })?;
    // Members are written in the order of their names, so equal bodies are equal text.
    let body = serde_json::to_string(body).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(Some(IdempotencyKey { key: key.to_owned(), request: format!("{} {body}", request.path()) }))
}

pub(super) async fn reset<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let asked = Asked::of(&request, &body, &state.names)?;
    let key = user.session_key()?;
    let owner = key.clone();
    reset_session(&state, &owner, asked, move |engine| Ok(session_of(engine, &key)?.id)).await
}

/// Resets the session that `find` finds. `owner` is of the organization whose records the request names.
pub(super) async fn reset_session(
    state: &DemoState,
    owner: &UserKey,
    asked: Asked,
    find: impl FnOnce(&Engine) -> Result<SessionId, ApiError> + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    let records = asked.record_keys(&state.names, owner)?;
    let names = state.names.clone();
    let done = state.engine.writing(move |engine| {
        let session = find(engine)?;
        let database = engine.database();
        let base = database.base_counts()?;
        let request =
            ResetRequest { session, records, new_id: ArchiveId(engine.new_id()), now: engine.now() };
        let started = Instant::now();
        let mut event = None;
        let answer = |report: &ResetReport, left: &ChangeCounts| {
            event = report.archive.as_ref().map(|done| DemoEvent::Reset { changes: done.counts.total() });
            reset_answer(&names, report, left, &base, started)
        };
        let answer = database.reset_answering(&request, asked.key.as_ref(), answer)?;
        Ok::<_, ApiError>((answer, event))
    });
    answered(state, done.await, |conflicts| ApiError::ResetConflict { conflicts })
}

/// Answers a reset or an undo; what stands in its way becomes the error that `conflict` makes of it.
fn answered(
    state: &DemoState,
    done: Result<(Value, Option<DemoEvent>), ApiError>,
    conflict: impl FnOnce(Vec<Value>) -> ApiError,
) -> Result<HttpResponse, ApiError> {
    match done {
        Ok((answer, event)) => {
            state.tell(event);
            Ok(fresh(answer))
        }
        Err(ApiError::Engine(EngineError::UndoConflict(conflicts))) => {
            Err(conflict(conflicts.iter().map(|conflict| state.names.conflict(conflict)).collect()))
        }
        Err(error) => Err(error),
    }
}

fn reset_answer(
    names: &EntityNames,
    report: &ResetReport,
    left: &ChangeCounts,
    base: &[(String, u64)],
    started: Instant,
) -> Value {
    let archived = report.archive.as_ref().map(|archive| archive.counts.clone()).unwrap_or_default();
    let undo_expires_at = report.archive.as_ref().map(|archive| DbTime::new(archive.expires_at).to_string());
    json!({
        "success": true,
        "deletedCounts": names.counts(&archived, true),
        "archiveId": report.archive.as_ref().map(|archive| archive.id.0),
        "undoExpiresAt": undo_expires_at,
        "durationMs": started.elapsed().as_micros() as f64 / 1000.0,
        "verification": {
            "method": "seal",
            "baseDataIntact": report.base_is_sealed,
            "userChangesCleared": left.is_empty(),
            "counts": names.verification_counts(base, left),
        },
    })
}

pub(super) async fn undo<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let body = body.object_or_empty()?;
    refuse_unknown(&body, &["archiveId", "onConflict"])?;
    let wanted = archive_id(&body)?;
    let on_conflict = match body.get("onConflict") {
        None | Some(Value::Null) => OnConflict::Fail,
        Some(value) => match value.as_str() {
            Some("fail") => OnConflict::Fail,
            Some("keepCurrent") => OnConflict::KeepCurrent,
            Some("restoreArchived") => OnConflict::RestoreArchived,
            _ => {
                let message = "expected one of fail, keepCurrent, restoreArchived";
                return Err(Invalid::one("onConflict", message).into());
            }
        },
    };
    let idempotency = idempotency_key(&request, &body)?;
    let key = user.session_key()?;
    let names = state.names.clone();
    let undone = state.engine.writing(move |engine| {
        let session = session_of(engine, &key)?.id;
        let new_id = ArchiveId(engine.new_id());
        let request = UndoRequest { session, wanted, on_conflict, new_id, now: engine.now() };
        let mut event = None;
        let answer = engine.database().undo_answering(&request, idempotency.as_ref(), |report| {
            event = Some(DemoEvent::Undo { changes: report.restored.total() });
            json!({
                "success": true,
                "restoredCounts": names.counts(&report.restored, true),
                "keptArchivedId": report.kept_archived.map(|id| id.0),
                "replacedArchiveId": report.replaced.map(|id| id.0),
            })
        })?;
        Ok::<_, EngineError>((answer, event))
    });
    answered(&state, undone.await, |conflicts| ApiError::UndoConflict { conflicts })
}
