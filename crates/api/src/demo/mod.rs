//! The demo scope: session, preview, reset, undo, verify, archives, to be mounted under any address of any
//! actix-web server.
//!
//! A host says by [`SessionUser`] whose session a request is for, and by [`EntityNames`] what its tables are called
//! in answers.
//!
//! ```no_run
//! use actix_web::{App, FromRequest, HttpRequest, dev::Payload, web};
//! use demo_reset_api::{Engine, demo, error::ApiError};
//! use demo_reset_domain::UserKey;
//! # use std::future::{Ready, ready};
//!
//! struct Visitor(UserKey);
//!
//! impl FromRequest for Visitor {
//!     type Error = ApiError;
//!     type Future = Ready<Result<Self, ApiError>>;
//!     fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
//!         let user = request.headers().get("x-user").and_then(|value| value.to_str().ok());
//!         let key = UserKey::new("acme", user.unwrap_or_default()).map(Visitor);
//!         ready(key.map_err(|_| ApiError::Unauthorized { reason: "Expected the header X-User." }))
//!     }
//! }
//!
//! impl demo::SessionUser for Visitor {
//!     fn session_key(&self) -> Result<UserKey, ApiError> {
//!         Ok(self.0.clone())
//!     }
//! }
//!
//! # fn mount(engine: Engine) {
//! let state = web::Data::new(demo::DemoState::new(engine, demo::EntityNames::of_tables()));
//! App::new().service(web::scope("/api").configure(demo::configure::<Visitor>(state)));
//! # }
//! ```

mod admin;
mod names;

use std::time::Instant;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use demo_reset_domain::{
    Archive, ArchiveId, CONFIRMATION_TOKEN, DEFAULT_UNDO_WINDOW, OnConflict, SessionId, UserKey, confirm,
};
use demo_reset_persistence::types::DbTime;
use demo_reset_persistence::{Error as EngineError, Session};
use serde_json::{Value, json};

use crate::body::{Body, archive_id, refuse_parameters, refuse_unknown};
use crate::engine::Engine;
use crate::error::{ApiError, Invalid};
use crate::routing::{Endpoint, mount};

pub use names::{EntityName, EntityNames};

/// An extractor that tells whose session a request is for.
pub trait SessionUser: FromRequest + 'static {
    /// The organization and the user, as the engine knows them.
    ///
    /// # Errors
    /// Where there is nobody to name.
    fn session_key(&self) -> Result<UserKey, ApiError>;

    /// Whether the user may see and reset the sessions of the whole organization. Nobody may, unless the host
    /// says so.
    fn is_administrator(&self) -> bool {
        false
    }
}

/// What the demo scope works with.
pub struct DemoState {
    engine: Engine,
    names: EntityNames,
}

impl DemoState {
    /// Sessions of `engine`, told under `names`.
    pub fn new(engine: Engine, names: EntityNames) -> Self {
        Self { engine, names }
    }
}

/// Mounts `/demo/…`.
pub fn configure<U: SessionUser>(state: web::Data<DemoState>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config.service(web::scope(SCOPE).app_data(state).configure(mount(endpoints::<U>())));
    }
}

/// Where this scope is, below the address that it is mounted under.
pub(crate) const SCOPE: &str = "/demo";

/// The whole route table of this scope.
pub(crate) fn endpoints<U: SessionUser>() -> Vec<Endpoint> {
    let mut endpoints = vec![
        Endpoint::at("/session").get(session::<U>),
        Endpoint::at("/reset/preview").get(preview::<U>),
        Endpoint::at("/reset").post(reset::<U>),
        Endpoint::at("/undo").post(undo::<U>),
        Endpoint::at("/verify").get(verify::<U>),
        Endpoint::at("/archives").get(archives::<U>),
    ];
    endpoints.extend(admin::endpoints::<U>());
    endpoints
}

type State = web::Data<DemoState>;

/// These answers change with every write: no cache may keep them.
fn fresh(body: Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(body)
}

/// Finds or makes the user's session, off the async worker.
fn session_of(engine: &Engine, key: &UserKey) -> Result<Session, EngineError> {
    engine.database().session(key, SessionId(engine.new_id()), engine.now())
}

async fn session<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
) -> Result<HttpResponse, ApiError> {
    refuse_parameters(&request)?;
    let key = user.session_key()?;
    let found = state.engine.blocking(move |engine| {
        let session = session_of(engine, &key)?;
        let counts = engine.database().change_counts(session.id)?;
        Ok::<_, EngineError>((session, counts))
    });
    let (session, counts) = found.await?;
    Ok(fresh(json!({
        "sessionId": session.id.0,
        "createdAt": DbTime::new(session.created_at).to_string(),
        "lastActivityAt": DbTime::new(session.last_activity_at).to_string(),
        "changes": state.names.counts(&counts, false),
        "totalChanges": state.names.total(&counts),
    })))
}

async fn preview<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
) -> Result<HttpResponse, ApiError> {
    refuse_parameters(&request)?;
    let key = user.session_key()?;
    let counts = state.engine.blocking(move |engine| {
        let session = session_of(engine, &key)?;
        engine.database().change_counts(session.id)
    });
    let counts = counts.await?;
    let total = state.names.total(&counts);
    let hours = DEFAULT_UNDO_WINDOW.num_hours();
    Ok(fresh(json!({
        "message": format!(
            "A reset takes back {total} change(s). The base data stays as it is, and you can undo the reset for \
             {hours} hours."
        ),
        "willDelete": state.names.counts(&counts, false),
        "totalItems": total,
        "baseDataPreserved": true,
        "undoAvailable": true,
        "undoWindowHours": hours,
        "confirmationRequired": true,
        "confirmationToken": CONFIRMATION_TOKEN,
    })))
}

/// Refuses a body that does not confirm a reset.
fn check_confirmation(body: &Body) -> Result<(), ApiError> {
    let body = body.object();
    // Whatever is wrong with the body, it does not confirm.
    let token = body.as_ref().ok().and_then(|body| body.get("confirmationToken")).and_then(Value::as_str);
    confirm(token)?;
    refuse_unknown(&body?, &["confirmationToken"])
}

async fn reset<U: SessionUser>(user: U, state: State, body: Body) -> Result<HttpResponse, ApiError> {
    check_confirmation(&body)?;
    let key = user.session_key()?;
    reset_session(&state, move |engine| Ok(session_of(engine, &key)?.id)).await
}

/// Resets the session that `find` finds.
async fn reset_session(
    state: &DemoState,
    find: impl FnOnce(&Engine) -> Result<SessionId, ApiError> + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    let done = state.engine.blocking(move |engine| {
        let session = find(engine)?;
        let started = Instant::now();
        let report = engine.database().reset(session, ArchiveId(engine.new_id()), engine.now())?;
        let duration = started.elapsed();
        let left = engine.database().change_counts(session)?;
        Ok::<_, ApiError>((report, duration, left, engine.database().base_counts()?))
    });
    let (report, duration, left, base) = done.await?;
    let archived = report.archive.as_ref().map(|archive| archive.counts.clone()).unwrap_or_default();
    let undo_expires_at = report.archive.as_ref().map(|archive| DbTime::new(archive.expires_at).to_string());
    Ok(fresh(json!({
        "success": true,
        "deletedCounts": state.names.counts(&archived, true),
        "archiveId": report.archive.as_ref().map(|archive| archive.id.0),
        "undoExpiresAt": undo_expires_at,
        "durationMs": duration.as_micros() as f64 / 1000.0,
        "verification": {
            "method": "seal",
            "baseDataIntact": report.base_is_sealed,
            "userChangesCleared": left.is_empty(),
            "counts": state.names.verification_counts(&base, &left),
        },
    })))
}

async fn undo<U: SessionUser>(user: U, state: State, body: Body) -> Result<HttpResponse, ApiError> {
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
    let key = user.session_key()?;
    let undone = state.engine.blocking(move |engine| {
        let session = session_of(engine, &key)?;
        let new_id = ArchiveId(engine.new_id());
        engine.database().undo(session.id, wanted, on_conflict, new_id, engine.now())
    });
    let report = match undone.await {
        Err(ApiError::Engine(EngineError::UndoConflict(conflicts))) => {
            let conflicts = conflicts.iter().map(|conflict| state.names.conflict(conflict)).collect();
            return Err(ApiError::UndoConflict { conflicts });
        }
        other => other?,
    };
    Ok(fresh(json!({
        "success": true,
        "restoredCounts": state.names.counts(&report.restored, true),
        "keptArchivedId": report.kept_archived.map(|id| id.0),
        "replacedArchiveId": report.replaced.map(|id| id.0),
    })))
}

async fn verify<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
) -> Result<HttpResponse, ApiError> {
    refuse_parameters(&request)?;
    let key = user.session_key()?;
    let verified = state.engine.blocking(move |engine| {
        let session = session_of(engine, &key)?;
        let verification = engine.database().verify()?;
        let counts = engine.database().change_counts(session.id)?;
        let at_work = engine.database().sessions_at_work(Some(key.organization()), engine.now())?;
        Ok::<_, EngineError>((verification, counts, at_work))
    });
    let (verification, counts, at_work) = verified.await?;
    let base: Vec<(String, u64)> =
        verification.tables.iter().map(|table| (table.table.clone(), table.rows)).collect();
    let tables: Vec<Value> = verification
        .tables
        .iter()
        .map(|table| {
            json!({
                "table": table.table,
                "expectedRows": table.expected_rows,
                "rows": table.rows,
                "fingerprintMatches": table.fingerprint_matches,
            })
        })
        .collect();
    Ok(fresh(json!({
        "method": "fingerprint",
        "baseDataIntact": verification.base_is_intact(),
        "userChangesCleared": counts.is_empty(),
        "counts": state.names.verification_counts(&base, &counts),
        "sessionsAtWork": at_work,
        "tables": tables,
    })))
}

async fn archives<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
) -> Result<HttpResponse, ApiError> {
    refuse_parameters(&request)?;
    let key = user.session_key()?;
    let listed = state.engine.blocking(move |engine| {
        let session = session_of(engine, &key)?;
        Ok::<_, EngineError>((engine.database().archives(session.id)?, engine.now()))
    });
    let (archives, now) = listed.await?;
    let describe = |archive: &Archive| {
        json!({
            "archiveId": archive.id.0,
            "archivedAt": DbTime::new(archive.archived_at).to_string(),
            "undoExpiresAt": DbTime::new(archive.expires_at).to_string(),
            "state": archive.state(now).as_str(),
            "counts": state.names.counts(&archive.counts, true),
        })
    };
    let items: Vec<Value> = archives.iter().map(describe).collect();
    Ok(fresh(json!({ "items": items })))
}
