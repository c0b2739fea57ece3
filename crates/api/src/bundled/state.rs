//! What handlers share.

use std::sync::Arc;

use actix_web::web;
use chrono::Duration;
use demo_reset_compliance::{self as compliance, Actor, Writer};
use demo_reset_domain::SessionId;
use demo_reset_persistence::AnyConnection;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::auth::CurrentUser;
use super::cursor::Cursors;
use super::entity_names;
use super::identity::Identity;
use super::limits::{SignInLimiter, WriteLimiter};
use super::metrics::Metrics;
use super::server::{ServeError, ServerConfig};
use super::tokens::Tokens;
use crate::demo::{DemoState, SessionUser as _};
use crate::engine::Engine;
use crate::error::ApiError;

/// Under which name the database keeps the signing key.
const SIGNING_KEY_SECRET: &str = "jwt_signing_key";

/// What the handlers of the compliance demo share.
pub struct AppState {
    engine: Engine,
    demo: web::Data<DemoState>,
    pub(crate) tokens: Tokens,
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) cursors: Cursors,
    /// Whether the demo users are told to everybody.
    pub(crate) tells_demo_people: bool,
    pub(crate) sign_in_limiter: SignInLimiter,
    write_limiter: WriteLimiter,
    pub(crate) metrics: Arc<Metrics>,
    /// A password check takes 19 MiB: this many run at the same time.
    pub(crate) password_checks: Semaphore,
}

impl AppState {
    /// State over a database. The signing key is the configured one, or made once and kept in the database, so
    /// that restarts and further servers accept the same tokens.
    ///
    /// # Errors
    /// Where the key cannot be made or kept.
    pub fn new(engine: Engine, config: &ServerConfig) -> Result<web::Data<Self>, ServeError> {
        let key = match &config.signing_key {
            Some(key) => key.clone(),
            None => {
                let mut bytes = [0; 32];
                getrandom::fill(&mut bytes).map_err(ServeError::Randomness)?;
                let made = blake3::Hash::from_bytes(bytes).to_hex().to_string();
                engine.database().secret(SIGNING_KEY_SECRET, || made)?
            }
        };
        let metrics = Arc::new(Metrics::new()?);
        let observer = Arc::clone(&metrics);
        let demo = DemoState::new(engine.clone(), entity_names());
        let demo = demo.observed_by(move |event| observer.happened(event));
        let lifetime = Duration::from_std(config.token_lifetime).unwrap_or(Duration::MAX);
        Ok(web::Data::new(Self {
            demo: web::Data::new(demo),
            engine,
            tokens: Tokens::new(key.as_bytes(), lifetime),
            identity: config.identity_provider.clone().map(|provider| Arc::new(Identity::new(provider))),
            cursors: Cursors::new(key.as_bytes()),
            tells_demo_people: config.demo_people,
            sign_in_limiter: SignInLimiter::new(config.sign_in_limits),
            write_limiter: WriteLimiter::new(config.writes_per_second),
            metrics,
            password_checks: Semaphore::new(config.workers.max(1)),
        }))
    }

    /// The database, the clock and the ids.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What the demo scope works with.
    pub(crate) fn demo(&self) -> web::Data<DemoState> {
        self.demo.clone()
    }

    /// Reads the world of the user's session.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        user: &CurrentUser,
        work: impl FnOnce(&mut AnyConnection, Uuid) -> compliance::Result<T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let user = user.clone();
        let done = self.engine.reading(move |engine| {
            let (key, new_id) = (user.session_key()?, SessionId(engine.new_id()));
            let read = |conn: &mut AnyConnection| work(conn, user.organization_id);
            Ok::<_, ApiError>(engine.database().read_as(&key, new_id, engine.now(), read)?)
        });
        done.await
    }

    /// Writes in the world of the user's session, with an id for a new record.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        user: &CurrentUser,
        expected_versions: Option<Vec<String>>,
        work: impl FnOnce(&mut AnyConnection, &Writer, Uuid) -> compliance::Result<T> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.write_limiter.check(user.id)?;
        let user = user.clone();
        let done = self.engine.writing(move |engine| {
            let (key, new_id) = (user.session_key()?, SessionId(engine.new_id()));
            let now = engine.now();
            let actor = Actor { organization_id: user.organization_id, user_id: user.id, name: user.name };
            let writer = Writer { actor, now, audit_id: engine.new_id(), expected_versions };
            let id = engine.new_id();
            Ok::<_, ApiError>(engine.database().write_as(&key, new_id, now, |conn| work(conn, &writer, id))?)
        });
        done.await
    }
}
