//! The database, the clock and the ids, and the ways from an async worker to them.

use std::sync::Arc;

use actix_web::web;
use chrono::{DateTime, Utc};
use demo_reset_persistence::{Database, PoolStatus};
use uuid::Uuid;

use crate::clock::{Clock, Ids, System};
use crate::error::ApiError;
use crate::queue::Queue;

/// A database under demo sessions, with the clock and the ids that its use cases are given.
#[derive(Clone)]
pub struct Engine {
    database: Database,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    readers: Arc<Queue>,
    writers: Arc<Queue>,
}

impl Engine {
    /// With the clock and the ids of the machine.
    pub fn new(database: Database) -> Self {
        Self::with(database, Arc::new(System), Arc::new(System))
    }

    /// With a clock and ids of the caller's.
    pub fn with(database: Database, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        let pools = database.pools();
        let queue = |pool: Option<&PoolStatus>| {
            Arc::new(Queue::new(database.clone(), pool.map_or(1, |pool| pool.max)))
        };
        let readers = queue(pools.first());
        // Writers may have a pool of their own.
        let writers = if pools.len() > 1 { queue(pools.last()) } else { Arc::clone(&readers) };
        Self { database, clock, ids, readers, writers }
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

    /// Runs `work`, which reads the database, on a thread where waiting for it harms nobody, when it is its turn at
    /// a connection.
    ///
    /// # Errors
    /// What `work` refuses or fails at; [`demo_reset_persistence::Error::Unavailable`] where its turn does not come in the
    /// time that a connection is waited for.
    pub async fn reading<T, E>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        E: Send + 'static,
        ApiError: From<E>,
    {
        self.in_turn(&self.readers, work).await
    }

    /// [`Engine::reading`] for work that writes, and may read besides.
    ///
    /// # Errors
    /// As there.
    pub async fn writing<T, E>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        E: Send + 'static,
        ApiError: From<E>,
    {
        self.in_turn(&self.writers, work).await
    }

    async fn in_turn<T, E>(
        &self,
        queue: &Arc<Queue>,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        E: Send + 'static,
        ApiError: From<E>,
    {
        let engine = self.clone();
        queue.run(self.database.connection_timeout(), move || work(&engine)).await
    }

    /// Runs `work`, which may wait or compute for long, on a thread where that harms nobody, at once: for what must not wait
    /// behind requests, or must not keep them waiting.
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
