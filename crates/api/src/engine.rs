//! The database, the clock and the ids, and the one way from an async worker to them.

use std::sync::Arc;

use actix_web::web;
use chrono::{DateTime, Utc};
use demo_reset_persistence::Database;
use uuid::Uuid;

use crate::clock::{Clock, Ids, System};
use crate::error::ApiError;

/// A database under demo sessions, with the clock and the ids that its use cases are given.
#[derive(Clone)]
pub struct Engine {
    database: Database,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl Engine {
    /// With the clock and the ids of the machine.
    pub fn new(database: Database) -> Self {
        Self::with(database, Arc::new(System), Arc::new(System))
    }

    /// With a clock and ids of the caller's.
    pub fn with(database: Database, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { database, clock, ids }
    }

    /// The time now.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A new id.
    pub fn new_id(&self) -> Uuid {
        self.ids.new_id()
    }

    /// The database. Its calls block: on an async worker use [`Engine::blocking`].
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Runs `work`, which may wait for the database or compute for long, on a thread where that harms nobody.
    ///
    /// # Errors
    /// What `work` refuses or fails at.
    pub async fn blocking<T, E>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        E: Send + 'static,
        ApiError: From<E>,
    {
        let engine = self.clone();
        let done = web::block(move || work(&engine)).await;
        Ok(done.map_err(|cancelled| ApiError::Internal(cancelled.to_string()))??)
    }
}
