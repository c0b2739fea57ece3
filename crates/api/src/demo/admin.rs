//! What administrators see and do: the sessions of their own organization.

use std::cmp::Reverse;

use actix_web::{HttpRequest, HttpResponse};
use demo_reset_domain::{ArchiveId, SessionId, UserKey};
use demo_reset_persistence::SessionSummary;
use demo_reset_persistence::types::DbTime;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{SessionUser, State, check_confirmation, fresh, reset_session};
use crate::body::{Body, parameters, path_id, refuse_parameters};
use crate::error::{ApiError, Invalid};
use crate::routing::Endpoint;

/// Sessions on a page when the caller does not say, and at most.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// The routes of administrators.
pub(super) fn endpoints<U: SessionUser>() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/admin/stats").get(stats::<U>),
        Endpoint::at("/admin/sessions").get(sessions::<U>),
        Endpoint::at("/admin/sessions/{id}/reset").post(reset::<U>),
        Endpoint::at("/admin/cleanup").post(cleanup::<U>),
    ]
}

/// The administrator's key, or a refusal.
fn administrator<U: SessionUser>(user: &U) -> Result<UserKey, ApiError> {
    let key = user.session_key()?;
    let reason = "Only administrators may do this.";
    if user.is_administrator() { Ok(key) } else { Err(ApiError::Forbidden { reason }) }
}

async fn stats<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let key = administrator(&user)?;
    refuse_parameters(&request)?;
    let stats =
        state.engine.blocking(move |engine| engine.database().stats(Some(key.organization()), engine.now()));
    let stats = stats.await?;
    Ok(fresh(json!({
        "base": state.names.base_counts(&stats.base),
        "sessions": {
            "total": stats.sessions,
            "active7d": stats.sessions_active_7d,
            "stale30d": stats.sessions_stale_30d,
        },
        "changes": state.names.counts(&stats.changes, true),
        "archives": {
            "available": stats.archives_available,
            "expired": stats.archives_expired,
            "restored": stats.archives_restored,
        },
    })))
}

/// Most recently active first; the id breaks ties.
fn order(summary: &SessionSummary) -> (Reverse<i64>, Uuid) {
    (Reverse(summary.session.last_activity_at.timestamp_micros()), summary.session.id.0)
}

fn write_cursor(summary: &SessionSummary) -> String {
    let (Reverse(micros), id) = order(summary);
    format!("{micros}.{id}")
}

/// A cursor hides nothing and can reach nothing that the list does not show anyway, so it needs no seal.
fn read_cursor(cursor: &str) -> Option<(Reverse<i64>, Uuid)> {
    let (micros, id) = cursor.split_once('.')?;
    Some((Reverse(micros.parse().ok()?), Uuid::try_parse(id).ok()?))
}

async fn sessions<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let key = administrator(&user)?;
    let (mut limit, mut after) = (DEFAULT_LIMIT, None);
    let mut errors = Vec::new();
    for (name, value) in parameters(&request)? {
        match name.as_str() {
            "limit" => match value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)) {
                Some(given) => limit = given,
                None => errors.push((name, format!("expected a whole number from 1 to {MAX_LIMIT}"))),
            },
            "cursor" => match read_cursor(&value) {
                Some(position) => after = Some(position),
                None => errors.push((name, "expected the nextCursor of a page of this list".to_owned())),
            },
            _ => errors.push((name, "is not a parameter of this list".to_owned())),
        }
    }
    if !errors.is_empty() {
        return Err(Invalid { errors }.into());
    }
    let listed = state.engine.blocking(move |engine| engine.database().sessions(Some(key.organization())));
    let mut all = listed.await?;
    all.sort_by_key(order);
    let total = all.len();
    let rest: Vec<_> =
        all.into_iter().filter(|summary| after.is_none_or(|after| order(summary) > after)).collect();
    let page = &rest[..limit.min(rest.len())];
    let next = page.last().filter(|_| rest.len() > limit).map(write_cursor);
    let describe = |summary: &SessionSummary| {
        json!({
            "sessionId": summary.session.id.0,
            "userId": summary.session.user.user(),
            "createdAt": DbTime::new(summary.session.created_at).to_string(),
            "lastActivityAt": DbTime::new(summary.session.last_activity_at).to_string(),
            "changes": state.names.counts(&summary.changes, false),
            "totalChanges": state.names.total(&summary.changes),
        })
    };
    let items: Vec<Value> = page.iter().map(describe).collect();
    Ok(fresh(json!({ "items": items, "nextCursor": next, "total": total })))
}

async fn reset<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let key = administrator(&user)?;
    let id = SessionId(path_id(&request, "id")?);
    check_confirmation(&body)?;
    let find = move |engine: &crate::engine::Engine| {
        let session = engine.database().session_by_id(id)?;
        // A session of another organization is answered like one that does not exist.
        let session = session.filter(|session| session.user.organization() == key.organization());
        session.map(|session| session.id).ok_or(ApiError::NotFound { what: "session" })
    };
    reset_session(&state, find).await
}

async fn cleanup<U: SessionUser>(user: U, state: State) -> Result<HttpResponse, ApiError> {
    administrator(&user)?;
    let cleaned = state.engine.blocking(|engine| {
        let mut new_id = || ArchiveId(engine.new_id());
        engine.database().cleanup(engine.now(), &mut new_id)
    });
    let report = cleaned.await?;
    Ok(fresh(json!({
        "archivesPurged": report.archives_purged,
        "changesPurged": report.changes_purged,
        "sessionsArchived": report.sessions_archived,
        "sessionsRemoved": report.sessions_removed,
    })))
}
