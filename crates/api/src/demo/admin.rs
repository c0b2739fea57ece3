//! What administrators see and do: the sessions of their own organization.

use std::cmp::Reverse;

use actix_web::{HttpRequest, HttpResponse};
use demo_reset_domain::{ArchiveId, SessionId, UserKey};
use demo_reset_persistence::SessionSummary;
use demo_reset_persistence::types::DbTime;
use serde_json::{Value, json};
use uuid::Uuid;

use super::page::{PageRequest, cut};
use super::reset::{Asked, reset_session};
use super::{SessionUser, State, fresh};
use crate::body::{Body, path_id, refuse_parameters};
use crate::error::ApiError;
use crate::routing::Endpoint;

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
        state.engine.reading(move |engine| engine.database().stats(Some(key.organization()), engine.now()));
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
        "lastCleanupAt": stats.last_cleanup.map(|run| DbTime::new(run.finished_at).to_string()),
    })))
}

/// Most recently active first; the id breaks ties.
fn order(summary: &SessionSummary) -> (Reverse<i64>, Uuid) {
    (Reverse(summary.session.last_activity_at.timestamp_micros()), summary.session.id.0)
}

async fn sessions<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let key = administrator(&user)?;
    let page = PageRequest::<(i64, Uuid)>::of(&request)?;
    let after = page.after.map(|(micros, id)| (Reverse(micros), id));
    let listed = state.engine.reading(move |engine| engine.database().sessions(Some(key.organization())));
    let mut all = listed.await?;
    all.sort_by_key(order);
    let total = all.len();
    let rest = all.into_iter().filter(|summary| after.is_none_or(|after| order(summary) > after)).collect();
    let (items, next) = cut(rest, page.limit, |last| {
        let (Reverse(micros), id) = order(last);
        (micros, id)
    })?;
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
    let items: Vec<Value> = items.iter().map(describe).collect();
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
    let asked = Asked::of(&request, &body, &state.names)?;
    let owner = key.clone();
    let find = move |engine: &crate::engine::Engine| {
        let session = engine.database().session_by_id(id)?;
        // A session of another organization is answered like one that does not exist.
        let session = session.filter(|session| session.user.organization() == key.organization());
        session.map(|session| session.id).ok_or(ApiError::NotFound { what: "session" })
    };
    reset_session(&state, &owner, asked, find).await
}

async fn cleanup<U: SessionUser>(user: U, state: State) -> Result<HttpResponse, ApiError> {
    let key = administrator(&user)?;
    let cleaned = state.engine.writing(move |engine| {
        let mut new_id = || ArchiveId(engine.new_id());
        engine.database().cleanup_organization(key.organization(), engine.now(), &mut new_id)
    });
    let report = cleaned.await?;
    Ok(fresh(json!({
        "archivesPurged": report.archives_purged,
        "changesPurged": report.changes_purged,
        "sessionsArchived": report.sessions_archived,
        "sessionsRemoved": report.sessions_removed,
    })))
}
