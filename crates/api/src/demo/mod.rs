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
mod history;
mod names;
mod page;
mod reset;

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use chrono::Duration;
use demo_reset_domain::{CONFIRMATION_TOKEN, SessionId, UserKey};
use demo_reset_persistence::types::DbTime;
use demo_reset_persistence::{Error as EngineError, Session};
use serde_json::{Value, json};

use crate::body::refuse_parameters;
use crate::engine::Engine;
use crate::error::ApiError;
use crate::routing::{Endpoint, mount};

pub(crate) use names::key_text;
pub use names::{EntityName, EntityNames, Shape};

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

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoEvent {
    /// A reset that archived something.
    Reset {
        /// Changes taken back.
        changes: u64,
    },
    /// An undo.
    Undo {
        /// Changes brought back.
        changes: u64,
    },
}

type Observer = Arc<dyn Fn(DemoEvent) + Send + Sync>;

/// What the demo scope works with.
pub struct DemoState {
    engine: Engine,
    names: EntityNames,
    observer: Option<Observer>,
}

impl DemoState {
    /// Sessions of `engine`, told under `names`.
    pub fn new(engine: Engine, names: EntityNames) -> Self {
        Self { engine, names, observer: None }
    }

    /// Tells `observer` of every reset and undo.
    pub fn observed_by(mut self, observer: impl Fn(DemoEvent) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    fn tell(&self, event: Option<DemoEvent>) {
        if let (Some(observer), Some(event)) = (&self.observer, event) {
            observer(event);
        }
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
        Endpoint::at("/reset").post(reset::reset::<U>),
        Endpoint::at("/undo").post(reset::undo::<U>),
        Endpoint::at("/verify").get(verify::<U>),
    ];
    endpoints.extend(history::endpoints::<U>());
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
    let found = state.engine.reading(move |engine| {
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

/// A length of time in hours, a whole number where it is one.
fn hours(length: Duration) -> Value {
    if length.num_seconds() % 3600 == 0 {
        length.num_hours().into()
    } else {
        (length.num_seconds() as f64 / 3600.0).into()
    }
}

async fn preview<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
) -> Result<HttpResponse, ApiError> {
    refuse_parameters(&request)?;
    let key = user.session_key()?;
    let counts = state.engine.reading(move |engine| {
        let session = session_of(engine, &key)?;
        engine.database().change_counts(session.id)
    });
    let counts = counts.await?;
    let total = state.names.total(&counts);
    let hours = hours(state.engine.database().retention().undo_window);
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
