//! Time and new ids, which everything below this crate takes as parameters.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Tells the time. Tests bring their own and move it.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;
}

/// Makes ids. Tests bring their own and know them.
pub trait Ids: Send + Sync {
    /// An id that was never made before.
    fn new_id(&self) -> Uuid;
}

/// The clock and the ids of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    #[allow(clippy::disallowed_methods, reason = "this is the edge at which the server reads the clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

impl Ids for System {
    /// Ordered by time, so that new rows sit side by side in every index.
    #[allow(clippy::disallowed_methods, reason = "this is the edge at which the server makes ids")]
    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}
