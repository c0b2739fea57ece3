//! Units of work in the order in which they came, and the threads that do them.
//!
//! A thread does one unit after the other as long as some wait. So under load nothing has to be woken between two of them, neither
//! a thread nor whoever waits for a connection, and on PostgreSQL the connection goes from one unit that reads to the next with
//! its transaction open, which saves a trip to the server (docs/performance.md, "HTTP").

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::rt::task::spawn_blocking;
use actix_web::rt::time::timeout;
use demo_reset_persistence::{Database, Demand, Error as EngineError};
use tokio::sync::oneshot;

use crate::error::ApiError;

/// Units of work for the connections of one pool.
pub(crate) struct Queue {
    database: Database,
    state: Mutex<State>,
    most_threads: u32,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Queued>,
    threads: u32,
}

/// A unit of work that waits for its turn.
struct Queued {
    work: Box<dyn FnOnce() + Send>,
    demand: Demand,
}

impl Queue {
    /// A queue for a pool of so many connections of `database`. A quarter of them are left to those who do not come
    /// through the queue.
    pub(crate) fn new(database: Database, connections: u32) -> Self {
        let most_threads = (connections - connections / 4).max(1);
        Self { database, state: Mutex::default(), most_threads }
    }

    /// Runs `work` when it is its turn.
    ///
    /// # Errors
    /// What `work` refuses or fails at; [`EngineError::Unavailable`] where its turn does not come in `patience`: it is not
    /// done then.
    pub(crate) async fn run<T, E>(
        self: &Arc<Self>,
        patience: Duration,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        E: Send + 'static,
        ApiError: From<E>,
    {
        let (answer, mut answered) = oneshot::channel();
        // Taken by the thread that begins the work, or by who will not wait for it any longer.
        let taken = Arc::new(AtomicBool::new(false));
        let begins = Arc::clone(&taken);
        self.push(Box::new(move || {
            // Where the client has gone, nobody waits for it either.
            if !answer.is_closed() && !begins.swap(true, Ordering::SeqCst) {
                // The client may go meanwhile.
                let _ = answer.send(work());
            }
        }));
        let done = match timeout(patience, &mut answered).await {
            Ok(done) => done,
            Err(_) if !taken.swap(true, Ordering::SeqCst) => {
                return Err(EngineError::Unavailable("every connection is taken".to_owned()).into());
            }
            Err(_) => answered.await,
        };
        Ok(done.map_err(|_| ApiError::Internal("the work has panicked, or the server stops".to_owned()))??)
    }

    fn push(self: &Arc<Self>, work: Box<dyn FnOnce() + Send>) {
        let mut state = self.state();
        state.waiting.push_back(Queued { work, demand: self.database.demand() });
        if state.threads < self.most_threads {
            state.threads += 1;
            drop(state);
            let thread = Thread { queue: Arc::clone(self), is_counted: true };
            spawn_blocking(move || thread.work_off());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the threads of a queue, counted until it ends. A runtime that is shutting down drops it before it has begun.
struct Thread {
    queue: Arc<Queue>,
    is_counted: bool,
}

impl Thread {
    /// Does what waits, until nothing does.
    fn work_off(mut self) {
        while let Some(Queued { work, demand }) = self.next() {
            // It comes for its connection now.
            drop(demand);
            // A panic is its own unit's alone: who waits for that is answered, and what is shared with others stands behind locks.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
        self.queue.database.end_left_open();
    }

    /// What waits longest. Where nothing does, this thread counts no longer: what comes from then on begins another.
    fn next(&mut self) -> Option<Queued> {
        let mut state = self.queue.state();
        let next = state.waiting.pop_front();
        if next.is_none() {
            state.threads -= 1;
            self.is_counted = false;
        }
        next
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if self.is_counted {
            self.queue.state().threads -= 1;
        }
    }
}
